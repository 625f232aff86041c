-- spec/loop/wake_spec.lua -- waking from threads and signals.

local lu = require "luaunit"
local probe = require "wsock.probe"
local clock = require "support.clock"
local loop, base = probe.loop, probe.base
local sys = loop.sys

local T = {}

function T:setUp()
  self.wake = assert(loop.wake())
end

function T:tearDown()
  self.wake:join()
  for _, signo in ipairs { sys.SIGUSR1, sys.SIGUSR2 } do self.wake:unwatch(signo) end
  self.wake:free()
end

-- Whether its descriptor is readable now.
local function sent(wake)
  return sys.wait(wake:fd(), "r", 0) == "r"
end

function T:test_send_and_drain()
  lu.assertFalse(sent(self.wake))
  lu.assertTrue(self.wake:send(), "errno is left alone")
  lu.assertTrue(sent(self.wake))
  self.wake:drain()
  lu.assertFalse(sent(self.wake))
end

function T:test_many_sends_are_one()
  for _ = 1, 100000 do self.wake:send() end
  self.wake:drain()
  lu.assertFalse(sent(self.wake))
end

function T:test_draining_nothing_does_not_block()
  self.wake:drain()
  lu.assertFalse(sent(self.wake))
end

function T:test_interrupted_calls_are_repeated()
  sys.fault("write", probe.net.E.EINTR, 3)
  lu.assertTrue(self.wake:send())
  lu.assertTrue(sent(self.wake))
  sys.fault("read", probe.net.E.EINTR, 3)
  self.wake:drain()
  lu.assertFalse(sent(self.wake))
end

function T:test_descriptors()
  lu.assertEquals({ sys.flags(self.wake:fd()) }, { true, true })
  self.wake:free()
  lu.assertEquals(self.wake:fd(), -1)
  self.wake:free()
end

function T:test_no_descriptor()
  sys.fault("eventfd", probe.net.E.EMFILE)
  lu.assertEquals({ loop.wake() }, { nil, "SYSTEM", "EMFILE" })
end

function T:test_a_thread_wakes_a_loop()
  for _, backend in ipairs { "epoll", "poll" } do
    local l = assert(loop.new(base.mem(), backend))
    local w = loop.watcher(1)
    l:watch(w, self.wake:fd(), loop.READ)
    self.wake:thread()
    lu.assertTrue(l:turn(20000))
    lu.assertEquals({ l:next() }, { "watcher", 1, loop.READ })
    self.wake:join()
    self.wake:drain()
    l:free()
  end
end

function T:test_a_thread_that_does_not_stop()
  self.wake:thread(true)
  for _ = 1, 200 do
    clock.wait(function() return sent(self.wake) end, 5, function() end)
    self.wake:drain()
  end
end

-- ---- signals ---------------------------------------------------------------

function T:test_a_signal_is_reported_once()
  lu.assertTrue(self.wake:watch(sys.SIGUSR1))
  lu.assertEquals(self.wake:next(), 0)
  sys.raise(sys.SIGUSR1)
  sys.raise(sys.SIGUSR1)
  lu.assertTrue(sent(self.wake))
  self.wake:drain()
  lu.assertEquals(self.wake:next(), sys.SIGUSR1)
  lu.assertEquals(self.wake:next(), 0)
  lu.assertFalse(sent(self.wake))
end

function T:test_two_signals()
  self.wake:watch(sys.SIGUSR2)
  self.wake:watch(sys.SIGUSR1)
  sys.raise(sys.SIGUSR2)
  sys.raise(sys.SIGUSR1)
  self.wake:drain()
  lu.assertEquals(self.wake:next(), math.min(sys.SIGUSR1, sys.SIGUSR2))
  lu.assertEquals(self.wake:next(), math.max(sys.SIGUSR1, sys.SIGUSR2))
  lu.assertEquals(self.wake:next(), 0)
end

function T:test_what_it_did_before_is_put_back()
  lu.assertEquals(sys.disposition(sys.SIGUSR1), "default")
  self.wake:watch(sys.SIGUSR1)
  lu.assertEquals(sys.disposition(sys.SIGUSR1), "handler")
  self.wake:unwatch(sys.SIGUSR1)
  lu.assertEquals(sys.disposition(sys.SIGUSR1), "default")
  sys.ignore(sys.SIGUSR1, true)
  self.wake:watch(sys.SIGUSR1)
  self.wake:unwatch(sys.SIGUSR1)
  lu.assertEquals(sys.disposition(sys.SIGUSR1), "ignore")
  self.wake:unwatch(sys.SIGUSR1)
  sys.ignore(sys.SIGUSR1, false)
end

function T:test_what_somebody_else_set_since_stays()
  self.wake:watch(sys.SIGUSR1)
  sys.ignore(sys.SIGUSR1, true)
  self.wake:unwatch(sys.SIGUSR1)
  lu.assertEquals(sys.disposition(sys.SIGUSR1), "ignore")
  sys.ignore(sys.SIGUSR1, false)
end

function T:test_a_signal_has_one_owner()
  local other = assert(loop.wake())
  lu.assertTrue(self.wake:watch(sys.SIGUSR1))
  lu.assertTrue(self.wake:watch(sys.SIGUSR1), "once more is fine")
  lu.assertEquals({ other:watch(sys.SIGUSR1) }, { nil, "SYSTEM", "EBUSY" })
  other:unwatch(sys.SIGUSR1)
  sys.raise(sys.SIGUSR1)
  lu.assertEquals(other:next(), 0)
  lu.assertEquals(self.wake:next(), sys.SIGUSR1)
  self.wake:unwatch(sys.SIGUSR1)
  lu.assertTrue(other:watch(sys.SIGUSR1))
  sys.raise(sys.SIGUSR1)
  lu.assertEquals(other:next(), sys.SIGUSR1)
  other:unwatch(sys.SIGUSR1)
  other:free()
end

function T:test_what_came_before_is_not_reported_after()
  self.wake:watch(sys.SIGUSR1)
  sys.raise(sys.SIGUSR1)
  self.wake:unwatch(sys.SIGUSR1)
  self.wake:watch(sys.SIGUSR1)
  lu.assertEquals(self.wake:next(), 0)
end

function T:test_signals_that_cannot_be_watched()
  lu.assertEquals({ self.wake:watch(0) }, { nil, "ARGUMENT" })
  lu.assertEquals({ self.wake:watch(-1) }, { nil, "ARGUMENT" })
  lu.assertEquals({ self.wake:watch(65) }, { nil, "ARGUMENT" })
  lu.assertEquals({ self.wake:watch(sys.SIGKILL) }, { nil, "SYSTEM", "EINVAL" })
  lu.assertEquals({ self.wake:watch(sys.SIGKILL) }, { nil, "SYSTEM", "EINVAL" }, "and nobody has it")
  self.wake:unwatch(sys.SIGKILL)
  self.wake:unwatch(0)
  self.wake:unwatch(65)
end

function T:test_a_signal_wakes_a_loop()
  for _, backend in ipairs { "epoll", "poll" } do
    local l = assert(loop.new(base.mem(), backend))
    local w = loop.watcher(1)
    l:watch(w, self.wake:fd(), loop.READ)
    self.wake:watch(sys.SIGALRM)
    sys.alarms(0.01)
    -- it may come while the loop waits (EINTR) or before
    local signo = clock.wait(function()
      l:turn(20000)
      if not l:next() then return nil end
      self.wake:drain()
      return self.wake:next()
    end, 10, function() end)
    sys.alarms(0)
    lu.assertEquals(signo, sys.SIGALRM)
    self.wake:unwatch(sys.SIGALRM)
    l:free()
  end
end

function T:test_a_signal_that_is_not_watched_for_wakes_with_eintr()
  for _, backend in ipairs { "epoll", "poll" } do
    local l = assert(loop.new(base.mem(), backend))
    local t = loop.timer(1)
    self.wake:watch(sys.SIGALRM)
    l:arm(t, 0)
    sys.alarms(0.01)
    lu.assertTrue(l:turn(20000))
    lu.assertEquals({ l:next() }, { "timer", 1 })
    lu.assertEquals({ l:turn(20000) }, { nil, "SYSTEM", "EINTR" })
    lu.assertNil(l:next())
    sys.alarms(0)
    self.wake:unwatch(sys.SIGALRM)
    l:free()
  end
end

return T
