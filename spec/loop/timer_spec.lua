-- spec/loop/timer_spec.lua -- the heap: order, moving, removing, no memory.

local lu = require "luaunit"
local probe = require "wsock.probe"
local loop, base = probe.loop, probe.base

local T = {}

function T:setUp()
  self.mem = base.mem()
  self.heap = loop.heap(self.mem)
  self.timers = {}
end

function T:tearDown()
  self.heap:free()
  lu.assertEquals(self.mem:state().used, 0)
  lu.assertEquals(self.mem:state().live, 0)
  lu.assertEquals(self.mem:state().wrong, 0)
end

-- Adds timers with these deadlines, numbered from 1.
function T:add(...)
  for _, due in ipairs { ... } do
    local t = loop.timer(#self.timers + 1)
    self.timers[#self.timers + 1] = t
    lu.assertTrue(self.heap:add(t, due))
  end
end

function T:drain()
  local ids = {}
  for id in function() return (self.heap:pop()) end do ids[#ids + 1] = id end
  return ids
end

function T:test_empty()
  lu.assertNil(self.heap:top())
  local t = loop.timer(1)
  self.heap:remove(t)
  lu.assertEquals({ t:state() }, { false, 0, 9 })
end

function T:test_orders_by_deadline()
  self:add(50, 10, 40, 20, 30)
  lu.assertEquals({ self.heap:top() }, { 2, 10 })
  lu.assertEquals(self:drain(), { 2, 4, 5, 3, 1 })
end

function T:test_equal_deadlines_keep_the_order_of_arming()
  for _ = 1, 200 do self:add(7) end
  local ids = self:drain()
  for i = 1, 200 do lu.assertEquals(ids[i], i) end
end

function T:test_deadlines_may_be_anything()
  self:add(math.maxinteger, 0, math.mininteger, -1)
  lu.assertEquals(self:drain(), { 3, 4, 2, 1 })
end

function T:test_arming_again_moves_behind_its_equals()
  self:add(5, 5, 5)
  self.heap:add(self.timers[1], 5)
  lu.assertEquals(self:drain(), { 2, 3, 1 })
end

function T:test_arming_again_moves_both_ways()
  self:add(1, 2, 3, 4, 5, 6, 7, 8)
  self.heap:add(self.timers[8], 0)
  self.heap:add(self.timers[1], 9)
  lu.assertEquals({ self.timers[8]:state() }, { true, 0, 9 })
  lu.assertEquals(self:drain(), { 8, 2, 3, 4, 5, 6, 7, 1 })
end

function T:test_removing_disarms()
  self:add(1, 2, 3)
  self.heap:remove(self.timers[2])
  self.heap:remove(self.timers[2])
  lu.assertEquals({ self.timers[2]:state() }, { false, 2, 9 })
  lu.assertEquals(self:drain(), { 1, 3 })
  self.heap:add(self.timers[2], 0)
  lu.assertEquals(self:drain(), { 2 })
end

function T:test_a_zeroed_timer_will_do()
  local t = loop.timer(1, true)
  self.heap:add(t, 3)
  lu.assertEquals(self:drain(), { 1 })
end

-- Everything that can be done, in random order, against a sorted list.
function T:test_against_a_slow_one()
  local armed, order = {}, 0
  for id = 1, 60 do self.timers[id] = loop.timer(id) end
  local function expected()
    local list = {}
    for id, key in pairs(armed) do list[#list + 1] = { key[1], key[2], id } end
    table.sort(list, function(a, b)
      if a[1] ~= b[1] then return a[1] < b[1] end
      return a[2] < b[2]
    end)
    return list
  end
  for _ = 1, 4000 do
    local id = math.random(60)
    if math.random(3) == 1 then
      self.heap:remove(self.timers[id])
      armed[id] = nil
    else
      local due = math.random(20)
      order = order + 1
      self.heap:add(self.timers[id], due)
      armed[id] = { due, order }
    end
    local first = expected()[1]
    lu.assertEquals((self.heap:top()), first and first[3])
  end
  local ids = {}
  for i, row in ipairs(expected()) do ids[i] = row[3] end
  lu.assertEquals(self:drain(), ids)
end

function T:test_many()
  local n = 100000
  for id = 1, n do
    self.timers[id] = loop.timer(id)
    assert(self.heap:add(self.timers[id], (id * 7919) % n))
  end
  for id = 1, n, 2 do self.heap:remove(self.timers[id]) end
  local last, count = -1, 0
  for _, due in function() return self.heap:pop() end do
    if due < last then lu.fail("out of order at " .. due) end
    last, count = due, count + 1
  end
  lu.assertEquals(count, n // 2)
end

function T:test_no_memory()
  self.mem:fail(1)
  local t = loop.timer(1)
  lu.assertEquals({ self.heap:add(t, 1) }, { nil, "NOMEM" })
  lu.assertEquals({ t:state() }, { false, 0, 9 })
  lu.assertNil(self.heap:top())
  for _ = 1, 16 do self:add(5) end
  self.mem:fail(1)
  lu.assertEquals({ self.heap:add(t, 1) }, { nil, "NOMEM" })
  -- one that is armed needs none
  self.mem:fail(1)
  lu.assertTrue(self.heap:add(self.timers[16], 1))
  lu.assertEquals((self.heap:top()), 16)
  self.mem:fail(0)
  lu.assertEquals(#self:drain(), 16)
end

function T:test_free_disarms()
  self:add(1, 2, 3)
  self.heap:free()
  for _, t in ipairs(self.timers) do lu.assertFalse((t:state())) end
  self.heap:remove(self.timers[1])
  self.heap:free()
  self:add(4)
  lu.assertEquals(self:drain(), { 4 })
end

return T
