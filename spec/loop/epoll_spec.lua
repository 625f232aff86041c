-- spec/loop/epoll_spec.lua -- the epoll backend.

local lu = require "luaunit"
local probe = require "wsock.probe"
local loop, base = probe.loop, probe.base
local sys = loop.sys

local T = require "support.backend_cases" "epoll"

local function ids(l, ms)
  local list = {}
  assert(l:turn(ms or 0))
  for _, id in function() return l:next() end do list[#list + 1] = id end
  table.sort(list)
  return list
end

function T:test_is_the_best_there_is()
  local l = assert(loop.new(base.mem()))
  lu.assertEquals(select(5, l:state()), "epoll")
  l:free()
end

-- Another loop may wait for this one's descriptor.
function T:test_its_descriptor_is_readable_while_something_is_ready()
  local a, b = assert(sys.pair())
  local w = loop.watcher(1)
  lu.assertEquals(sys.wait(self.loop:fd(), "r", 0), "")
  self.loop:watch(w, a, loop.READ)
  lu.assertEquals(sys.wait(self.loop:fd(), "r", 0), "")
  sys.write(b, "x")
  lu.assertEquals(sys.wait(self.loop:fd(), "r", 0), "r")
  sys.read(a, 1)
  lu.assertEquals(sys.wait(self.loop:fd(), "r", 0), "")
  self.loop:unwatch(w)
  lu.assertEquals({ select(2, sys.flags(self.loop:fd())) }, { true })
  sys.close(a)
  sys.close(b)
end

-- Contract: unwatch before close.  When it is broken, and the open file lives
-- on under another number, the kernel reports for a watcher that is gone.
function T:test_a_descriptor_closed_too_early()
  local a, b = assert(sys.pair())
  local c, d = assert(sys.pair())
  local w, v = loop.watcher(1), loop.watcher(2)
  self.loop:watch(w, a, loop.READ)
  self.loop:watch(v, c, loop.READ)
  local copy = assert(sys.dup(a))
  sys.close(a)
  self.loop:unwatch(w)
  sys.write(b, "x")
  local fd = self.loop:fd()
  lu.assertEquals(ids(self.loop, 1000), {}, "nobody's report")
  lu.assertEquals(sys.wait(self.loop:fd(), "r", 0), "", "and no more of it")
  lu.assertEquals(self.loop:fd(), fd, "under the same number")
  lu.assertEquals({ select(2, sys.flags(fd)) }, { true })
  sys.write(d, "x")
  lu.assertEquals(ids(self.loop), { 2 }, "the others are still there")
  self.loop:unwatch(v)
  for _, one in ipairs { copy, b, c, d } do sys.close(one) end
end

function T:test_a_number_closed_too_early_and_used_again()
  local a, b = assert(sys.pair())
  local w, v = loop.watcher(1), loop.watcher(2)
  self.loop:watch(w, a, loop.READ)
  local copy = assert(sys.dup(a))
  sys.close(a)
  self.loop:unwatch(w)
  local c, d = assert(sys.pair())
  lu.assertEquals(c, a)
  self.loop:watch(v, c, loop.READ)
  sys.write(b, "x")
  for _ = 1, 3 do lu.assertEquals(ids(self.loop), {}) end
  sys.write(d, "x")
  lu.assertEquals(ids(self.loop), { 2 })
  self.loop:unwatch(v)
  for _, one in ipairs { copy, b, c, d } do sys.close(one) end
end

function T:test_a_stale_entry_that_cannot_be_dropped()
  local a, b = assert(sys.pair())
  local w = loop.watcher(1)
  self.loop:watch(w, a, loop.READ)
  local copy = assert(sys.dup(a))
  sys.close(a)
  self.loop:unwatch(w)
  sys.write(b, "x")
  sys.fault("epoll_create1", probe.net.E.EMFILE)
  lu.assertEquals({ self.loop:turn(0) }, { nil, "SYSTEM", "EMFILE" })
  lu.assertNil(self.loop:next())
  lu.assertEquals(ids(self.loop), {}, "next time it works")
  sys.close(copy)
  sys.close(b)
end

function T:test_no_set()
  sys.fault("epoll_create1", probe.net.E.EMFILE)
  lu.assertEquals({ loop.new(self.mem, "epoll") }, { nil, "SYSTEM", "EMFILE" })
end

function T:test_a_full_kernel_leaves_things_as_they_were()
  local a, b = assert(sys.pair())
  local w = loop.watcher(1)
  sys.fault("epoll_ctl", probe.net.E.ENOMEM)
  lu.assertEquals({ self.loop:watch(w, a, loop.READ) }, { nil, "SYSTEM", "ENOMEM" })
  lu.assertTrue(self.loop:watch(w, a, loop.READ))
  sys.fault("epoll_ctl", probe.net.E.ENOMEM)
  lu.assertEquals({ self.loop:watch(w, a, loop.WRITE) }, { nil, "SYSTEM", "ENOMEM" })
  lu.assertEquals((w:state()), loop.READ)
  sys.write(b, "x")
  lu.assertEquals(ids(self.loop), { 1 })
  self.loop:unwatch(w)
  sys.close(a)
  sys.close(b)
end

-- The same want again costs nothing; a change costs one call.
function T:test_system_calls()
  local a, b = assert(sys.pair())
  local w = loop.watcher(1)
  local function calls(fn)
    local before = sys.fault "epoll_ctl"
    fn()
    return sys.fault "epoll_ctl" - before
  end
  lu.assertEquals(calls(function() self.loop:watch(w, a, 0) end), 0)
  lu.assertEquals(calls(function() self.loop:watch(w, a, 1) end), 1)
  lu.assertEquals(calls(function() self.loop:watch(w, a, 1) end), 0)
  lu.assertEquals(calls(function() self.loop:watch(w, a, 3) end), 1)
  lu.assertEquals(calls(function() self.loop:watch(w, a, 0) end), 1)
  lu.assertEquals(calls(function() self.loop:unwatch(w) end), 0)
  sys.close(a)
  sys.close(b)
end

return T
