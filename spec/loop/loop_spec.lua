-- spec/loop/loop_spec.lua -- turns: order, lists, deadlines.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local clock = require "support.clock"
local loop, base = probe.loop, probe.base
local sys = loop.sys
local R = loop.READ

local T = {}

function T:setUp()
  self.mem = base.mem()
  self.loop = assert(loop.new(self.mem, os.getenv "WSOCK_BACKEND"))
  self.wake = assert(loop.wake())
  self.watcher = loop.watcher(100)
  self.timers = {} -- a loop does not keep what is in it alive
end

function T:tearDown()
  self.loop:free()
  self.wake:free()
  counted.clean(self.mem)
end

local function now() return (loop.clock()) end

-- All that is left of the turn, as ids.
local function rest(self)
  local list = {}
  for _, id in function() return self.loop:next() end do list[#list + 1] = id end
  return list
end

local function turn(self, ms)
  lu.assertTrue(self.loop:turn(ms or 0))
  return rest(self)
end

-- A timer that is armed for a moment in the past, unless told otherwise.
local function timer(self, id, due)
  local t = loop.timer(id)
  self.timers[#self.timers + 1] = t
  assert(self.loop:arm(t, due or 0))
  return t
end

-- Makes watcher 100 ready.
local function ready(self)
  assert(self.loop:watch(self.watcher, self.wake:fd(), R))
  self.wake:send()
end

-- ---- opening ---------------------------------------------------------------

function T:test_backends_by_name()
  lu.assertEquals({ loop.new(self.mem, "kqueue") }, { nil, "ARGUMENT" })
  lu.assertEquals({ loop.new(self.mem, "") }, { nil, "ARGUMENT" })
  for _, name in ipairs { "epoll", "poll" } do
    local l = assert(loop.new(self.mem, name))
    lu.assertEquals(select(5, l:state()), name)
    l:free()
  end
end

function T:test_a_new_loop()
  local at, turns, watchers, fd = self.loop:state()
  lu.assertTrue(math.abs(at - now()) < 1000)
  lu.assertEquals({ turns, watchers }, { 0, 0 })
  lu.assertTrue(fd >= 0)
  lu.assertEquals(self.loop:timeout(), -1)
  lu.assertNil(self.loop:next())
  lu.assertEquals(select(2, self.loop:state()), 0)
end

function T:test_no_loop()
  sys.fault("eventfd", probe.net.E.EMFILE)
  lu.assertEquals({ loop.new(self.mem) }, { nil, "SYSTEM", "EMFILE" })
  self.mem:fail(1)
  lu.assertEquals({ loop.new(self.mem) }, { nil, "NOMEM" })
end

-- ---- watchers (more in support/backend_cases.lua) ------------------------------

function T:test_a_descriptor_has_one_watcher()
  ready(self)
  local other = loop.watcher(101)
  lu.assertEquals({ self.loop:watch(other, self.wake:fd(), R) }, { nil, "SYSTEM", "EEXIST" })
  lu.assertEquals(turn(self), { 100 })
end

function T:test_a_refused_descriptor_is_free()
  local file = assert(sys.open "spec/run.lua")
  lu.assertEquals({ self.loop:watch(self.watcher, file, R) }, { nil, "SYSTEM", "EPERM" })
  self.loop:unwatch(self.watcher)
  sys.close(file)
  local again = assert(loop.wake())
  lu.assertEquals(again:fd(), file)
  lu.assertTrue(self.loop:watch(self.watcher, file, R))
  self.loop:unwatch(self.watcher)
  again:free()
end

function T:test_high_descriptors()
  for _, fd in ipairs { 63, 64, 65, 700, 1023, 1024, 5000 } do
    assert(sys.dup(self.wake:fd(), fd))
    local w = loop.watcher(fd)
    assert(self.loop:watch(w, fd, R))
    self.wake:send()
    lu.assertEquals(turn(self), { fd })
    self.loop:unwatch(w)
    sys.close(fd)
  end
end

function T:test_unwatching_a_ready_one_takes_it_back()
  ready(self)
  lu.assertTrue(self.loop:turn(0))
  self.loop:unwatch(self.watcher)
  lu.assertNil(self.loop:next())
  ready(self)
  lu.assertTrue(self.loop:turn(0))
  self.loop:watch(self.watcher, self.wake:fd(), 0)
  lu.assertNil(self.loop:next())
end

function T:test_a_descriptor_to_wait_for()
  local fd, backend = self.loop:fd(), select(5, self.loop:state())
  lu.assertEquals(fd >= 0, backend == "epoll")
end

-- ---- order -----------------------------------------------------------------

function T:test_posted_then_timers_then_watchers()
  ready(self)
  timer(self, 2, 7)
  timer(self, 1, 5)
  local s = loop.bare(50)
  self.loop:post(s)
  lu.assertEquals(turn(self, 1000), { 50, 1, 2, 100 })
end

function T:test_equal_deadlines_fire_in_the_order_of_arming()
  for id = 1, 50 do timer(self, id, 3) end
  local ids = turn(self)
  lu.assertEquals(#ids, 50)
  for i = 1, 50 do lu.assertEquals(ids[i], i) end
end

function T:test_what_was_not_pulled_comes_first_in_the_next_turn()
  timer(self, 1)
  timer(self, 2)
  self.loop:turn(0)
  lu.assertEquals({ self.loop:next() }, { "timer", 1 })
  timer(self, 3)
  lu.assertEquals(self.loop:timeout(), 0)
  lu.assertEquals(turn(self, 5000), { 2, 3 })
end

-- ---- timers ----------------------------------------------------------------

function T:test_a_timer_fires_once()
  local t = timer(self, 1)
  self.loop:turn(0)
  lu.assertFalse((t:state()), "it is not armed any more")
  lu.assertEquals({ self.loop:next() }, { "timer", 1 })
  lu.assertNil(self.loop:next())
  lu.assertEquals(turn(self), {})
end

function T:test_a_timer_fires_when_it_is_due_and_not_before()
  clock.patiently(function(times)
    local due = now() + 20 * times
    local t = timer(self, 1, due)
    lu.assertEquals(turn(self), {})
    local timeout = self.loop:timeout()
    lu.assertTrue(timeout >= 0 and timeout <= 20 * times)
    while (t:state()) do self.loop:turn(-1) end
    lu.assertTrue(now() >= due)
    lu.assertEquals(rest(self), { 1 })
    lu.assertTrue((self.loop:state()) >= due, "now is the time it fired at")
  end)
end

function T:test_the_shorter_wait_counts()
  timer(self, 1, now() + 60000)
  local before = now()
  lu.assertEquals(turn(self, 15), {})
  lu.assertTrue(now() - before >= 15)
  lu.assertTrue(now() - before < 10000)
  timer(self, 2, now() + 15)
  lu.assertEquals(turn(self, 60000), { 2 })
  lu.assertTrue(now() - before < 20000)
end

function T:test_a_timer_armed_by_a_timer_waits_for_the_next_turn()
  local first = timer(self, 1)
  self.loop:turn(0)
  lu.assertEquals({ self.loop:next() }, { "timer", 1 })
  timer(self, 2)
  self.loop:arm(first, 0)
  lu.assertNil(self.loop:next())
  lu.assertEquals(turn(self, 5000), { 2, 1 })
end

function T:test_disarming_a_collected_timer_takes_it_back()
  timer(self, 1)
  local second = timer(self, 2)
  timer(self, 3)
  self.loop:turn(0)
  self.loop:next()
  self.loop:disarm(second)
  self.loop:disarm(second)
  lu.assertEquals(rest(self), { 3 })
  lu.assertEquals(turn(self), {})
end

function T:test_arming_a_collected_timer_puts_it_off()
  timer(self, 1)
  local second = timer(self, 2)
  self.loop:turn(0)
  self.loop:next()
  self.loop:arm(second, now() + 60000)
  lu.assertNil(self.loop:next())
  lu.assertTrue((second:state()))
  self.loop:disarm(second)
  lu.assertEquals(self.loop:timeout(), -1)
end

function T:test_arming_again_is_one_timer()
  local t = timer(self, 1, 1)
  for due = 1, 1000 do self.loop:arm(t, due) end
  lu.assertEquals(turn(self), { 1 })
  lu.assertEquals(turn(self), {})
end

function T:test_many_timers()
  local n = 100000
  for id = 1, n do timer(self, id, -(id % 1000)) end
  lu.assertTrue(self.loop:turn(0))
  local last, count = -math.huge, 0
  for _, id in function() return self.loop:next() end do
    local due = -(id % 1000)
    if due < last then lu.fail "out of order" end
    last, count = due, count + 1
  end
  lu.assertEquals(count, n)
end

function T:test_no_memory_for_a_timer()
  self.mem:fail(1)
  local t = loop.timer(1)
  lu.assertEquals({ self.loop:arm(t, 0) }, { nil, "NOMEM" })
  lu.assertFalse((t:state()))
  lu.assertEquals(turn(self), {})
end

-- ---- posting ---------------------------------------------------------------

function T:test_a_posted_source_does_not_let_the_turn_wait()
  local s = loop.bare(1)
  self.loop:post(s)
  self.loop:post(s)
  lu.assertEquals(self.loop:timeout(), 0)
  lu.assertEquals(turn(self, -1), { 1 }, "once")
  lu.assertEquals(self.loop:timeout(), -1)
  lu.assertEquals(turn(self), {})
end

function T:test_a_source_that_posts_itself_waits_for_the_next_turn()
  local s = loop.bare(1)
  self.loop:post(s)
  for _ = 1, 5 do
    self.loop:turn(-1)
    lu.assertEquals({ self.loop:next() }, { "bare", 1 })
    self.loop:post(s)
    lu.assertNil(self.loop:next())
  end
end

function T:test_a_posted_watcher_has_got_nothing()
  ready(self)
  lu.assertEquals(turn(self), { 100 })
  self.wake:drain()
  self.loop:post(self.watcher)
  lu.assertTrue(self.loop:turn(0))
  lu.assertEquals({ self.loop:next() }, { "watcher", 100, 0 })
end

function T:test_a_posted_watcher_that_is_ready_comes_once()
  ready(self)
  self.loop:post(self.watcher)
  lu.assertTrue(self.loop:turn(0))
  lu.assertEquals({ self.loop:next() }, { "watcher", 100, R })
  lu.assertNil(self.loop:next())
end

function T:test_posting_a_watcher_that_waits_to_be_pulled_changes_nothing()
  ready(self)
  lu.assertTrue(self.loop:turn(0))
  self.loop:post(self.watcher)
  lu.assertEquals({ self.loop:next() }, { "watcher", 100, R })
  lu.assertNil(self.loop:next())
end

function T:test_a_posted_watcher_stays_posted_when_its_want_changes()
  ready(self)
  self.loop:post(self.watcher)
  self.loop:turn(0)
  self.loop:watch(self.watcher, self.wake:fd(), 0)
  lu.assertEquals({ self.loop:next() }, { "watcher", 100, 0 })
end

function T:test_unwatching_takes_a_post_back()
  ready(self)
  self.loop:post(self.watcher)
  self.loop:unwatch(self.watcher)
  lu.assertEquals(self.loop:timeout(), -1)
  lu.assertEquals(turn(self), {})
end

function T:test_disarming_takes_a_post_back()
  local t = loop.timer(1)
  self.loop:post(t)
  self.loop:disarm(t)
  lu.assertEquals(turn(self), {})
end

-- ---- turns -----------------------------------------------------------------

function T:test_turns_are_counted()
  local function count() return (select(2, self.loop:state())) end
  timer(self, 1)
  self.loop:turn(0)
  lu.assertEquals(count(), 1, "odd within a turn")
  self.loop:next()
  lu.assertEquals(count(), 1)
  self.loop:next()
  lu.assertEquals(count(), 2, "even between turns")
  self.loop:next()
  lu.assertEquals(count(), 2)
  timer(self, 2)
  self.loop:turn(0)
  lu.assertEquals(count(), 3)
  self.loop:turn(0) -- one that was cut short
  lu.assertEquals(count(), 5)
  rest(self)
  lu.assertEquals(count(), 6)
end

function T:test_the_time_stands_within_a_turn()
  self.loop:turn(0)
  local at = (self.loop:state())
  local until_later = now() + 3
  repeat until now() >= until_later
  lu.assertEquals((self.loop:state()), at)
  self.loop:turn(0)
  lu.assertTrue((self.loop:state()) >= until_later)
end

-- The wait is reckoned from the true time, not from the turn's.
function T:test_a_slow_turn_does_not_delay_a_timer()
  timer(self, 1, now() + 30)
  self.loop:turn(0)
  local until_later = now() + 25
  repeat until now() >= until_later
  lu.assertTrue(self.loop:timeout() <= 5)
  lu.assertEquals(turn(self, -1), { 1 })
end

function T:test_ready_and_due_at_once_wakes_at_once()
  ready(self)
  lu.assertEquals(turn(self, -1), { 100 })
end

return T
