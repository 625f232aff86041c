-- peer/tally: how many connections each address has.

local lu = require "luaunit"
local base = require "wsock.probe".base
local clock = require "support.clock"
local peer = require "wsock.probe".peer

local NOT, CAME, IN = 0, 1, 2
local SOME = 8 -- WS_TALLY_SOME

local T = {}

function T:setUp()
  self.mem = base.mem()
end

function T:tearDown()
  if self.t then
    self.t:free()
    self.t:free()
  end
  lu.assertEquals({ self.mem:state().live, self.mem:state().wrong }, { 0, 0 })
end

function T:tally(max)
  self.t = peer.tally(self.mem, max)
  return self.t
end

-- Comes, and gets in.
local function enters(t, address)
  local how, why = t:arrive(address)
  if how then how, why = t:enter(address, how) end
  return how, why
end

-- ---- the bounds -------------------------------------------------------------------

function T:test_as_many_as_may_be_are_let_in()
  for _, max in ipairs { 1, 2, 5 } do
    local t = self:tally(max)
    for _ = 1, max do lu.assertEquals(enters(t, "10.0.0.1"), IN) end
    local late = t:arrive "10.0.0.1"
    lu.assertEquals({ late, t:enter("10.0.0.1", late) }, { CAME, nil, "CROWDED" })
    lu.assertEquals(enters(t, "10.0.0.2"), IN) -- another's places are his
    lu.assertEquals(t:leave("10.0.0.1", IN), NOT)
    lu.assertEquals(t:enter("10.0.0.1", late), IN)
    lu.assertEquals({ t:enter("10.0.0.1", CAME) }, { nil, "CROWDED" })
    lu.assertEquals(t:enter("10.0.0.1", IN), IN) -- who is in stays in
    t:free()
  end
end

function T:test_how_many_may_be_on_their_way()
  for _, max in ipairs { 1, 2, 5 } do
    local t = self:tally(max)
    for _ = 1, max do lu.assertEquals(enters(t, "::1"), IN) end
    for _ = 1, max + SOME do lu.assertEquals(t:arrive "::1", CAME) end
    lu.assertEquals({ t:arrive "::1" }, { nil, "CROWDED" })
    lu.assertEquals(t:arrive "0:0:0:1::1", CAME)
    lu.assertEquals(t:leave("::1", CAME), NOT)
    lu.assertEquals(t:arrive "::1", CAME)
    lu.assertEquals({ t:arrive "::1" }, { nil, "CROWDED" })
    t:free()
  end
end

-- Refused ones that are still there take nobody's place among those that are in.
function T:test_who_was_not_let_in_gives_back_only_what_it_had()
  local t = self:tally(1)
  lu.assertEquals(enters(t, "10.0.0.1"), IN)
  for _ = 1, 3 do
    local late = t:arrive "10.0.0.1"
    lu.assertEquals({ t:enter("10.0.0.1", late) }, { nil, "CROWDED" })
    lu.assertEquals(t:leave("10.0.0.1", late), NOT)
  end
  lu.assertEquals({ enters(t, "10.0.0.1") }, { nil, "CROWDED" })
end

-- ---- addresses --------------------------------------------------------------------

function T:test_which_addresses_are_one()
  for _, row in ipairs {
    { "10.0.0.1", "10.0.0.1", true }, { "10.0.0.1", "10.0.0.2", false }, { "10.0.0.1", "11.0.0.1", false },
    { "10.0.0.1", "::ffff:10.0.0.1", true }, { "::ffff:10.0.0.1", "::ffff:10.0.0.2", false },
    { "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true }, { "2001:db8:1:2::1", "2001:db8:1:3::1", false },
    { "2001:db8:1:2::1", "2001:db9:1:2::1", false }, { "::1", "::2", true }, { "0.0.0.1", "0:0:0:1::", false },
    { "::ffff:0.0.0.1", "::1", false }, { "::fffe:10.0.0.1", "10.0.0.1", false }, { "0.0.0.0", "::", false },
  } do
    local t = self:tally(1)
    lu.assertEquals(enters(t, row[1]), IN)
    lu.assertEquals(enters(t, row[2]) == nil, row[3], row[2])
    lu.assertEquals(t:rows(), row[3] and 1 or 2)
    t:free()
  end
end

function T:test_what_is_not_counted()
  local t = self:tally(1)
  for _ = 1, 5 do lu.assertEquals(enters(t, "/a/path"), NOT) end
  lu.assertEquals(t:leave("/a/path", NOT), NOT)
  lu.assertEquals(t:leave("10.0.0.1", NOT), NOT) -- nor was it ever there
  t = self:tally(0)
  for _ = 1, 5 do lu.assertEquals(enters(t, "10.0.0.1"), NOT) end
  lu.assertEquals({ t:rows() }, { 0, 0 })
  lu.assertEquals(self.mem:state().calls, 0)
end

-- ---- rows -------------------------------------------------------------------------

-- Against a plain table, over addresses that come, ask and go as chance has it.
function T:test_as_a_table_would_have_it()
  local t, max = self:tally(2), 2
  local there, inside, live, rows = {}, {}, {}, 0
  local function address()
    local n = math.random(0, math.random() < 0.5 and 300 or 5)
    return n % 3 == 0 and ("10.0.%d.%d"):format(n // 16, n % 16) or ("2001:db8:%x::%x"):format(n, n)
  end
  for _ = 1, clock.times(20000, 2000) do
    if #live == 0 or math.random() < (#live > 400 and 0.3 or 0.55) then
      local a = address()
      local n = there[a] or 0
      local how, why = t:arrive(a)
      lu.assertEquals({ how, why }, n - (inside[a] or 0) < max + SOME and { CAME } or { nil, "CROWDED" })
      if how then
        there[a], rows = n + 1, rows + (n == 0 and 1 or 0)
        live[#live + 1] = { a, how }
        if math.random() < 0.7 then
          local m = inside[a] or 0
          how, why = t:enter(a, how)
          lu.assertEquals({ how, why }, m < max and { IN } or { nil, "CROWDED" })
          if how then inside[a], live[#live][2] = m + 1, IN end
        end
      end
    else
      local one = table.remove(live, math.random(#live))
      lu.assertEquals(t:leave(one[1], one[2]), NOT)
      there[one[1]] = there[one[1]] - 1
      rows = rows - (there[one[1]] == 0 and 1 or 0)
      if one[2] == IN then inside[one[1]] = inside[one[1]] - 1 end
    end
    lu.assertEquals(t:rows(), rows)
  end
  for _, one in ipairs(live) do t:leave(one[1], one[2]) end
  lu.assertEquals(t:rows(), 0)
end

-- Half of the rows are free at any time; they grow with the addresses, not with the connections.
function T:test_growing()
  local t, before = self:tally(2000), 0
  for i = 1, 1000 do
    lu.assertEquals(t:arrive(("10.0.%d.%d"):format(i // 256, i % 256)), CAME)
    local used, size = t:rows()
    lu.assertTrue(used == i and 2 * used <= size and (size == before or size == math.max(64, 2 * before)), size)
    before = size
  end
  for _ = 1, 1000 do t:arrive "10.0.0.1" end
  lu.assertEquals({ t:rows() }, { 1000, 2048 })
end

function T:test_without_memory_nobody_is_counted()
  local t = self:tally(1000)
  local n = 0
  for i = 1, 200 do
    self.mem:fail(1)
    local address = ("10.0.0.%d"):format(i)
    local how, why = t:arrive(address)
    if not how then
      n = n + 1
      lu.assertEquals(why, "NOMEM")
      lu.assertEquals(t:rows(), i - 1)
      self.mem:fail(0)
      lu.assertEquals(t:arrive(address), CAME)
    end
    self.mem:fail(0)
  end
  lu.assertEquals(n, 4) -- 64, 128, 256, 512 rows
  for i = 1, 200 do lu.assertEquals(enters(t, ("10.0.0.%d"):format(i)), IN) end
end

return T
