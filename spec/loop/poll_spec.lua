-- spec/loop/poll_spec.lua -- the poll backend.

local lu = require "luaunit"
local probe = require "wsock.probe"
local loop, base = probe.loop, probe.base

local T = require "support.backend_cases" "poll"

function T:test_has_no_descriptor_to_wait_for()
  lu.assertEquals(self.loop:fd(), -1)
end

-- Contract: unwatch before close.  Breaking it must not hurt others.
function T:test_a_descriptor_closed_too_early()
  local a, b = assert(loop.sys.pair())
  local v, w = loop.watcher(1), loop.watcher(2)
  self.loop:watch(v, a, loop.READ)
  self.loop:watch(w, b, loop.READ)
  loop.sys.close(a)
  assert(self.loop:turn(1000))
  local seen = {}
  for _, id, got in function() return self.loop:next() end do seen[id] = got end
  lu.assertEquals(seen[1], loop.ERROR)
  self.loop:unwatch(v)
  self.loop:unwatch(w)
  loop.sys.close(b)
end

function T:test_waits_longer_than_an_int_holds()
  local mem = base.mem()
  local l = assert(loop.new(mem, "poll"))
  local t = loop.timer(1)
  local s = loop.wake()
  local w = loop.watcher(2)
  l:watch(w, s:fd(), loop.READ)
  l:arm(t, math.maxinteger)
  s:send()
  lu.assertTrue(l:turn(-1))
  lu.assertEquals({ l:next() }, { "watcher", 2, loop.READ })
  l:free()
  s:free()
end

return T
