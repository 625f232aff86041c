-- spec/support/backend_cases.lua -- what every loop backend must do alike.
--
-- require "support.backend_cases" "poll" is a class of tests of that backend;
-- poll_spec and epoll_spec return one each, with what is special added.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local loop, base = probe.loop, probe.base
local sys = loop.sys
local R, W, E = loop.READ, loop.WRITE, loop.ERROR
local RW = R | W

-- What a turn reports as {[id] = got}, and the number of sources.
local function turn(self, ms)
  local got, n = {}, 0
  assert(self.loop:turn(ms or 0))
  for kind, id, bits in function() return self.loop:next() end do
    lu.assertEquals(kind, "watcher")
    lu.assertNil(got[id], "reported twice in a turn")
    got[id], n = bits, n + 1
  end
  return got, n
end

local function pair(self)
  local a, b = assert(sys.pair())
  self.fds[a], self.fds[b] = true, true
  return a, b
end

local function pipe(self)
  local a, b = assert(sys.pipe())
  self.fds[a], self.fds[b] = true, true
  return a, b
end

local function close(self, fd)
  assert(sys.close(fd))
  self.fds[fd] = nil
end

-- Milliseconds fn() takes.
local function ms_of(fn)
  local before = loop.clock()
  fn()
  return loop.clock() - before
end

return function(backend)
  local T = {}

  function T:setUp()
    self.mem = base.mem()
    self.loop = assert(loop.new(self.mem, backend))
    self.fds = {}
  end

  function T:tearDown()
    self.loop:free()
    self.loop:free()
    for fd in pairs(self.fds) do sys.close(fd) end
    counted.clean(self.mem)
  end

  function T:test_name()
    lu.assertEquals(select(5, self.loop:state()), backend)
  end

  -- ---- reports -----------------------------------------------------------

  function T:test_nothing_to_wait_for()
    lu.assertTrue(ms_of(function() lu.assertEquals(turn(self, 15), {}) end) >= 15)
    lu.assertEquals(turn(self, 0), {})
  end

  function T:test_readable()
    local a, b = pair(self)
    local w = loop.watcher(1)
    lu.assertTrue(self.loop:watch(w, a, R))
    lu.assertEquals({ w:state() }, { R, 0, a, 7 })
    lu.assertEquals(turn(self), {})
    sys.write(b, "x")
    lu.assertEquals(turn(self, 5000), { R })
    lu.assertEquals(turn(self), { R }, "until it is read")
    sys.read(a, 10)
    lu.assertEquals(turn(self), {})
  end

  function T:test_writable_and_both()
    local a, b = pair(self)
    local w = loop.watcher(1)
    self.loop:watch(w, a, W)
    lu.assertEquals(turn(self, 5000), { W })
    sys.write(b, "x")
    lu.assertEquals(turn(self), { W }, "only what was asked for")
    self.loop:watch(w, a, RW)
    lu.assertEquals(turn(self), { RW })
    while sys.write(a, ("x"):rep(65536)) do end
    lu.assertEquals(turn(self), { R }, "full")
    while sys.read(b, 65536) do end
    lu.assertEquals(turn(self), { RW })
    self.loop:watch(w, a, R)
    lu.assertEquals(turn(self), { R })
  end

  function T:test_end_is_readable()
    local a, b = pair(self)
    local w = loop.watcher(1)
    self.loop:watch(w, a, R)
    sys.shutdown(b)
    lu.assertEquals(turn(self), { R })
  end

  function T:test_hang_up_is_reported_whatever_was_asked_for()
    for _, want in ipairs { R, W, RW } do
      local a, b = pair(self)
      local w = loop.watcher(1)
      self.loop:watch(w, a, want)
      close(self, b)
      local got = turn(self)[1]
      lu.assertEquals(got & E, E)
      lu.assertEquals(got & ~E & ~want, 0, "only what was asked for")
      self.loop:unwatch(w)
    end
    local a, b = pipe(self)
    local w = loop.watcher(1)
    self.loop:watch(w, a, R)
    close(self, b)
    lu.assertEquals(turn(self), { E }, "an empty pipe")
    self.loop:unwatch(w)
  end

  function T:test_an_error_of_a_writer()
    local a, b = pipe(self)
    local w = loop.watcher(1)
    self.loop:watch(w, b, W)
    close(self, a)
    lu.assertEquals(turn(self)[1] & E, E)
  end

  -- ---- wanting nothing ---------------------------------------------------

  function T:test_a_hang_up_nobody_wants_does_not_keep_the_loop_awake()
    local a, b = pair(self)
    local w = loop.watcher(1)
    self.loop:watch(w, a, R)
    close(self, b)
    lu.assertNotNil(turn(self)[1])
    self.loop:watch(w, a, 0)
    lu.assertTrue(ms_of(function() lu.assertEquals(turn(self, 15), {}) end) >= 15)
    self.loop:watch(w, a, W)
    lu.assertEquals(turn(self)[1] & E, E, "it is still there")
  end

  function T:test_wanting_nothing_from_the_start()
    local a, b = pair(self)
    local w = loop.watcher(1)
    close(self, b)
    lu.assertTrue(self.loop:watch(w, a, 0))
    lu.assertTrue(ms_of(function() lu.assertEquals(turn(self, 15), {}) end) >= 15)
    self.loop:watch(w, a, R)
    lu.assertEquals(turn(self)[1] & E, E)
  end

  function T:test_counts_those_that_want_something()
    local a, b = pair(self)
    local v, w = loop.watcher(1), loop.watcher(2)
    local function n() return (select(3, self.loop:state())) end
    self.loop:watch(v, a, R)
    self.loop:watch(w, b, 0)
    lu.assertEquals(n(), 1)
    self.loop:watch(w, b, W)
    self.loop:watch(w, b, RW)
    lu.assertEquals(n(), 2)
    self.loop:watch(v, a, 0)
    lu.assertEquals(n(), 1)
    self.loop:unwatch(v)
    self.loop:unwatch(v)
    self.loop:unwatch(w)
    lu.assertEquals(n(), 0)
  end

  -- ---- taking back during a turn -----------------------------------------

  -- Two ready watchers; the first one handed out is `first`, then `other`.
  local function two_ready(self, want)
    local a, b = pair(self)
    sys.write(a, "x")
    sys.write(b, "x")
    local list = { loop.watcher(1), loop.watcher(2) }
    local fds = { a, b }
    for i = 1, 2 do assert(self.loop:watch(list[i], fds[i], want)) end
    self.loop:turn(0)
    local _, id = self.loop:next()
    return list[id], list[3 - id], fds[3 - id]
  end

  function T:test_unwatching_a_ready_one_takes_it_back()
    local _, other = two_ready(self, R)
    self.loop:unwatch(other)
    lu.assertNil(self.loop:next())
    lu.assertEquals(select(2, turn(self)), 1)
  end

  function T:test_wanting_nothing_takes_it_back_too()
    local _, other, fd = two_ready(self, R)
    self.loop:watch(other, fd, 0)
    lu.assertNil(self.loop:next())
  end

  function T:test_wanting_something_else_changes_the_report()
    local _, other, fd = two_ready(self, RW)
    self.loop:watch(other, fd, W)
    local _, _, got = self.loop:next()
    lu.assertEquals(got, W)
    lu.assertNil(self.loop:next())
    _, other, fd = two_ready(self, R)
    self.loop:watch(other, fd, W)
    repeat
      local _, id = self.loop:next()
      lu.assertFalse(id ~= nil and select(2, other:state()) == R)
    until not id
  end

  function T:test_the_same_want_changes_nothing()
    local _, other, fd = two_ready(self, R)
    self.loop:watch(other, fd, R)
    local _, _, got = self.loop:next()
    lu.assertEquals(got, R)
  end

  function T:test_unwatching_all_in_a_turn()
    local list = {}
    for id = 1, 40 do
      local a, b = pair(self)
      sys.write(b, "x")
      list[id] = loop.watcher(id)
      self.loop:watch(list[id], a, R)
    end
    self.loop:turn(0)
    local seen = 0
    for _, id in function() return self.loop:next() end do
      seen = seen + 1
      -- everybody takes back itself and the one before
      self.loop:unwatch(list[id])
      self.loop:unwatch(list[id > 1 and id - 1 or 40])
    end
    lu.assertTrue(seen >= 20 and seen <= 40)
    lu.assertEquals(turn(self), {})
  end

  -- ---- descriptors -------------------------------------------------------

  function T:test_a_descriptor_has_one_watcher()
    local a = pair(self)
    local v, w = loop.watcher(1), loop.watcher(2)
    self.loop:watch(v, a, W)
    lu.assertEquals({ self.loop:watch(w, a, W) }, { nil, "SYSTEM", "EEXIST" })
    lu.assertEquals(turn(self), { W })
    self.loop:unwatch(w)
    lu.assertEquals(turn(self), { W })
    self.loop:unwatch(v)
    lu.assertTrue(self.loop:watch(w, a, W))
    lu.assertEquals(turn(self), { [2] = W })
  end

  function T:test_a_number_used_again()
    local w, v = loop.watcher(1), loop.watcher(2)
    for _ = 1, 50 do
      local a, b = pair(self)
      self.loop:watch(w, a, R)
      self.loop:watch(v, b, R)
      sys.write(b, "x")
      lu.assertEquals(turn(self), { R })
      self.loop:unwatch(w)
      self.loop:unwatch(v)
      close(self, a)
      close(self, b)
    end
  end

  function T:test_a_number_used_again_within_a_turn()
    local _, other, fd = two_ready(self, R)
    self.loop:unwatch(other)
    close(self, fd)
    local a, b = pair(self)
    lu.assertTrue(a == fd or b == fd, "the system gives the lowest number")
    local w = loop.watcher(3)
    self.loop:watch(w, fd, R)
    lu.assertNil(self.loop:next(), "the old one's report is gone")
    lu.assertNil(turn(self)[3])
  end

  function T:test_a_watcher_moves_to_another_descriptor()
    local a, b = pair(self)
    local w = loop.watcher(1)
    sys.write(b, "x")
    self.loop:watch(w, a, R)
    lu.assertEquals(turn(self), { R })
    self.loop:watch(w, b, R)
    lu.assertEquals(turn(self), {})
    lu.assertTrue(self.loop:watch(loop.watcher(2), a, 0), "a is free")
  end

  function T:test_a_zeroed_watcher_will_do()
    local a = pair(self)
    local w = loop.watcher(1, true)
    self.loop:unwatch(w)
    self.loop:watch(w, a, W)
    lu.assertEquals(turn(self), { W })
    self.loop:unwatch(w)
    lu.assertEquals(turn(self), {})
  end

  function T:test_what_cannot_be_watched()
    local w = loop.watcher(1)
    lu.assertEquals({ self.loop:watch(w, -1, R) }, { nil, "ARGUMENT" })
    local a = pair(self)
    close(self, a)
    lu.assertEquals({ self.loop:watch(w, a, R) }, { nil, "SYSTEM", "EBADF" })
    local file = assert(sys.open "spec/run.lua")
    self.fds[file] = true
    lu.assertEquals({ self.loop:watch(w, file, R) }, { nil, "SYSTEM", "EPERM" })
    lu.assertTrue(self.loop:watch(loop.watcher(2), file, 0), "nothing stuck to it")
    local folder = assert(sys.open "spec")
    self.fds[folder] = true
    lu.assertEquals({ self.loop:watch(w, folder, R) }, { nil, "SYSTEM", "EPERM" })
    lu.assertEquals(turn(self), {})
  end

  function T:test_descriptor_zero()
    local a, b = pipe(self)
    local saved = sys.dup(0)
    assert(sys.dup(a, 0))
    local w = loop.watcher(1)
    local ok, code, word = self.loop:watch(w, 0, R)
    sys.write(b, "x")
    local got = turn(self)
    self.loop:unwatch(w)
    local after = turn(self)
    assert(sys.dup(saved, 0))
    sys.close(saved)
    lu.assertEquals({ ok, code, word }, { true })
    lu.assertEquals({ got, after }, { { R }, {} })
  end

  function T:test_many()
    local a, b = pipe(self)
    local n, list = 1100, {}
    for id = 1, n do
      local fd = assert(sys.dup(a))
      self.fds[fd] = true
      list[id] = loop.watcher(id)
      assert(self.loop:watch(list[id], fd, R))
    end
    lu.assertEquals(turn(self), {})
    sys.write(b, "x")
    local seen, turns = {}, 0
    for _ = 1, 10 do -- a backend may report some at a time, but nobody starves
      for id in pairs((turn(self))) do seen[id] = true end
      turns = turns + 1
      if #seen == n then break end
    end
    lu.assertEquals(#seen, n)
    lu.assertTrue(turns <= 3)
    for id = 1, n, 3 do self.loop:unwatch(list[id]) end
    seen = {}
    for _ = 1, 3 do
      for id in pairs((turn(self))) do seen[id] = true end
    end
    for id = 1, n do lu.assertEquals(seen[id] == nil, id % 3 == 1, id) end
  end

  -- Random changes, and after each the reports against poll on each alone.
  function T:test_against_asking_each()
    local n, list, fds, want = 12, {}, {}, {}
    for id = 1, n, 2 do
      fds[id], fds[id + 1] = pair(self)
    end
    for id = 1, n do list[id], want[id] = loop.watcher(id), false end
    local function change(id)
      local peer = id % 2 == 1 and id + 1 or id - 1
      local what = math.random(7)
      if what == 1 then
        self.loop:unwatch(list[id])
        want[id] = false
      elseif what <= 4 then
        want[id] = math.random(0, 3)
        assert(self.loop:watch(list[id], fds[id], want[id]))
      elseif what == 5 then sys.write(fds[peer], "x")
      elseif what == 6 then sys.read(fds[id], 100)
      elseif math.random(10) == 1 then sys.shutdown(fds[id])
      end
    end
    for _ = 1, 1500 do
      change(math.random(n))
      local expected = {}
      for id = 1, n do
        local bits = want[id] or 0
        if bits ~= 0 then
          local events = (bits & R ~= 0 and "r" or "") .. (bits & W ~= 0 and "w" or "")
          local ready = sys.wait(fds[id], events, 0)
          local got = (ready:find "r" and R or 0) | (ready:find "w" and W or 0) | (ready:find "e" and E or 0)
          expected[id] = got ~= 0 and got or nil
        end
      end
      lu.assertEquals(turn(self), expected)
    end
  end

  -- ---- failing -----------------------------------------------------------

  function T:test_no_memory_for_a_loop()
    for n = 1, 10 do
      local mem = base.mem()
      mem:fail(n)
      local l, code = loop.new(mem, backend)
      if l then
        lu.assertEquals(mem:state().failed, 0)
        l:free()
        lu.assertTrue(n > 1)
        return
      end
      lu.assertEquals(code, "NOMEM")
      lu.assertEquals(mem:state().used, 0)
    end
    lu.fail "never succeeded"
  end

  function T:test_no_memory_for_a_watcher()
    local list = {}
    local a, b = pipe(self)
    sys.write(b, "x")
    for id = 1, 200 do
      local fd = assert(sys.dup(a))
      self.fds[fd] = true
      list[id] = loop.watcher(id)
      for n = 1, 5 do
        self.mem:fail(n)
        local ok, code = self.loop:watch(list[id], fd, R)
        local failed = self.mem:state().failed
        self.mem:fail(0)
        if ok then
          lu.assertEquals(failed, 0)
          break
        end
        lu.assertEquals(code, "NOMEM")
      end
      lu.assertEquals((list[id]:state()), R)
    end
    local _, n = turn(self)
    lu.assertEquals(n, 200)
  end

  function T:test_no_descriptor_for_a_loop()
    sys.fault("eventfd", probe.net.E.EMFILE)
    lu.assertEquals({ loop.new(self.mem, backend) }, { nil, "SYSTEM", "EMFILE" })
  end

  function T:test_a_failing_wait_still_collects_timers()
    local t = loop.timer(1)
    self.loop:arm(t, 0)
    sys.fault(backend == "poll" and "poll" or "epoll_wait", probe.net.E.ENOMEM)
    lu.assertEquals({ self.loop:turn(1000) }, { nil, "SYSTEM", "ENOMEM" })
    lu.assertEquals({ self.loop:next() }, { "timer", 1 })
    lu.assertNil(self.loop:next())
    lu.assertEquals(turn(self), {})
  end

  -- ---- the end -----------------------------------------------------------

  function T:test_freeing_with_everything_in_it()
    local first, other, fd = two_ready(self, R)
    local t, s = loop.timer(3), loop.bare(4)
    self.loop:arm(t, 1 << 60)
    self.loop:post(s)
    self.loop:free()
    lu.assertEquals(select(3, self.loop:state()), 0)
    lu.assertFalse((t:state()))
    self.loop:unwatch(first)
    self.loop:disarm(t)
    -- the old one's memory is gone before its sources are taken out of it
    self.loop = assert(loop.new(self.mem, backend))
    collectgarbage()
    self.loop:unwatch(first)
    self.loop:unwatch(other)
    self.loop:disarm(t)
    lu.assertTrue(self.loop:watch(other, fd, R))
    lu.assertEquals(select(2, turn(self)), 1)
  end

  return T
end
