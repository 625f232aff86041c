-- bind/lua_timer: timers, JavaScript's timers, foreign descriptors, signals.

local lu = require "luaunit"
local luasocket = require "socket"
local wsock = require "wsock"
local clock = require "support.clock"
local process = require "support.process"
local rigs = require "support.rig"
local sys = require "wsock.probe".net.sys

local T = rigs.class(function(self) self.seen = {} end)
local contains = lu.assertErrorMsgContains

-- A callback that notes its name.
function T:note(name, act)
  return function(...)
    self.seen[#self.seen + 1] = name
    if act then act(...) end
  end
end

function T:order() return table.concat(self.seen, " ") end

-- ---- after, every -----------------------------------------------------------------------

function T:test_order_by_time_then_by_registration()
  clock.patiently(function(times) -- each counts from its own start
    self.seen = {}
    self.loop:after(0.02 * times, self:note "c")
    self.loop:after(0.01 * times, self:note "a")
    self.loop:after(0.01 * times, self:note "b")
    self.loop:after(0, self:note "first")
    self.loop:run()
    lu.assertEquals(self:order(), "first a b c")
  end)
end

function T:test_never_early()
  for _, seconds in ipairs { 0, 0.001, 0.0101, 0.03 } do
    local start, took = wsock.now(), nil
    self.loop:after(seconds, function() took = wsock.now() - start end)
    self.loop:run()
    lu.assertTrue(took >= seconds - 0.001, took .. " for " .. seconds) -- the clock has milliseconds
  end
end

function T:test_never_in_the_call()
  self.loop:after(0, self:note "later")
  lu.assertEquals(self:order(), "")
  self.loop:run()
end

-- Timers started by a timer wait for the next turn.
function T:test_started_by_a_timer()
  self.loop:after(0, self:note("1", function() self.loop:after(0, self:note "2") end))
  self.loop:step()
  lu.assertEquals(self:order(), "1")
  self.loop:step()
  lu.assertEquals(self:order(), "1 2")
end

function T:test_every()
  local timer, start = nil, wsock.now()
  timer = self.loop:every(0.005, self:note("t", function() if #self.seen == 4 then timer:cancel() end end))
  self.loop:run()
  lu.assertEquals(self:order(), "t t t t")
  lu.assertTrue(wsock.now() - start >= 0.019)
end

function T:test_every_of_zero_lets_others_go_on()
  local timer
  timer = self.loop:every(0, self:note("t", function() if #self.seen >= 6 then timer:cancel() end end))
  self.loop:after(0.002, self:note "other")
  self.loop:run()
  lu.assertStrContains(self:order(), "other")
end

-- What was missed is not made up for.
function T:test_every_after_a_long_handler()
  local timer
  timer = self.loop:every(0.002, self:note("t", function()
    local busy = wsock.now() + 0.02
    while wsock.now() < busy do end -- luacheck: ignore
  end))
  for turn = 1, 3 do
    lu.assertEquals(#self.seen, turn - 1) -- one a turn
    self.loop:step(1)
  end
  timer:cancel()
end

function T:test_forever_is_never_and_keeps_nothing_going()
  local timer = self.loop:after(math.huge, print)
  self.loop:after(1e300, print)
  self.loop:run()
  timer:cancel()
end

function T:test_very_long_is_no_overflow()
  local timer = self.loop:after(1e15, print)
  lu.assertTrue(self.loop:timeout() > 1e14)
  self.loop:step(0)
  timer:cancel()
end

function T:test_bad_arguments()
  for _, name in ipairs { "after", "every" } do
    for _, bad in ipairs { -1, -0.001, 0 / 0, "1", true, {} } do
      contains("seconds must be", self.loop[name], self.loop, bad, print)
      contains("seconds must be", wsock[name], bad, print)
    end
    for _, bad in ipairs { 1, "x", {}, true } do
      contains("callback must be", self.loop[name], self.loop, 0, bad)
    end
    contains("callback must be", self.loop[name], self.loop, 0, nil)
    lu.assertError(self.loop[name], self.loop)
  end
  lu.assertFalse(self.loop:step())
end

-- ---- cancel ---------------------------------------------------------------------------------

function T:test_cancel()
  local timer = self.loop:after(0, self:note "never")
  timer:cancel()
  timer:cancel()
  self.loop:run()
  lu.assertEquals(self:order(), "")
  local done = self.loop:after(0, self:note "done")
  self.loop:run()
  done:cancel() -- too late is fine
  lu.assertEquals(self:order(), "done")
end

function T:test_cancel_in_handlers()
  local a, b, c
  a = self.loop:after(0, self:note("a", function()
    a:cancel()
    b:cancel() -- due in the same turn
    c:cancel()
  end))
  b = self.loop:after(0, self:note "b")
  c = self.loop:every(0.001, self:note "c")
  self.loop:run()
  lu.assertEquals(self:order(), "a")
end

function T:test_cancel_from_its_own_interval_the_first_time()
  local t
  t = self.loop:every(0.001, self:note("t", function() t:cancel() t = nil collectgarbage() end))
  self.loop:run()
  lu.assertEquals(self:order(), "t")
end

function T:test_a_timer_nobody_holds_fires()
  self.loop:after(0.01, self:note "t")
  collectgarbage()
  collectgarbage()
  self.loop:run()
  lu.assertEquals(self:order(), "t")
end

function T:test_done_timers_are_let_go()
  local weak = setmetatable({}, { __mode = "k" })
  for i = 1, 20 do
    local t = self.loop:after(i % 2 == 0 and 0 or 60, function() return i end)
    weak[t] = true
    if i % 2 == 1 then t:cancel() end
  end
  self.loop:run()
  collectgarbage()
  collectgarbage()
  lu.assertNil(next(weak))
end

function T:test_to_be_closed()
  do local t <close> = self.loop:after(0, self:note "never") end -- luacheck: ignore
  do local t <close> = self.loop:every(0, self:note "never") end -- luacheck: ignore
  self.loop:run()
  lu.assertEquals(self:order(), "")
end

function T:test_a_timer_that_raises_once_and_every()
  local timer
  self.loop:after(0, function() error "once" end)
  timer = self.loop:every(0.001, self:note("t", function()
    if #self.seen == 3 then timer:cancel() end
    error "every"
  end))
  self.loop:run()
  lu.assertEquals(self:order(), "t t t") -- it goes on
  lu.assertEquals(#self.rig.errors, 4)
  self.rig.errors = {}
end

function T:test_many_timers()
  local n = 0
  for i = 1, 5000 do
    local seconds = (i * 7919 % 5000) // 100 / 1000
    local due = wsock.now() + seconds
    self.loop:after(seconds, function()
      n = n + 1
      assert(wsock.now() >= due - 0.001, "early")
    end)
  end
  self.loop:run()
  lu.assertEquals(n, 5000)
end

-- ---- JavaScript's -------------------------------------------------------------------------------

-- S20, S57
function T:test_set_timeout()
  local start, args = wsock.now(), nil
  self.loop:setTimeout(function(...) args = table.pack(...) end, 20, "a", nil, 3, nil)
  self.loop:run()
  lu.assertTrue(wsock.now() - start >= 0.019)
  lu.assertEquals(args, { n = 4, "a", nil, 3, nil })
end

function T:test_set_timeout_without_delay()
  self.loop:setTimeout(self:note "none")
  self.loop:setTimeout(self:note "nil", nil, 1)
  self.loop:setTimeout(self:note "negative", -5)
  self.loop:setTimeout(self:note "nan", 0 / 0)
  self.loop:setTimeout(self:note "fraction", 0.5)
  lu.assertEquals(self:order(), "")
  self.loop:run()
  lu.assertEquals(self:order(), "none nil negative nan fraction")
end

function T:test_set_interval_and_clear()
  local args, id
  id = self.loop:setInterval(function(...)
    args = table.pack(...)
    self.seen[#self.seen + 1] = "t"
    if #self.seen == 3 then self.loop:clearInterval(id) end
  end, 1, "x", "y")
  self.loop:run()
  lu.assertEquals(self:order(), "t t t")
  lu.assertEquals(args, { n = 2, "x", "y" })
  local timeout = self.loop:setTimeout(self:note "never", 1)
  self.loop:clearTimeout(timeout)
  self.loop:clearTimeout(timeout)
  self.loop:clearTimeout(nil)
  self.loop:clearTimeout()
  self.loop:clearTimeout(17)
  self.loop:clearInterval {}
  self.loop:run()
  lu.assertEquals(self:order(), "t t t")
end

function T:test_set_timeout_of_the_module()
  wsock.setTimeout(self:note "t", 1, "x")
  local id = wsock.setInterval(self:note "never", 60000)
  wsock.clearInterval(id)
  wsock.run()
  lu.assertEquals(self:order(), "t")
end

function T:test_set_timeout_refuses()
  contains("callback must be", self.loop.setTimeout, self.loop, "print('code')", 1)
  contains("callback must be a function, got number", self.loop.setTimeout, self.loop, 1, print)
  contains("callback must be", self.loop.setInterval, self.loop, nil, 1)
  for _, name in ipairs { "setTimeout", "setInterval" } do
    contains(name .. ": milliseconds must be a number, got string", self.loop[name], self.loop, print, "soon")
    contains(name .. ": callback must be a function", self.loop[name], self.loop, "print")
  end
  lu.assertError(self.loop.setTimeout, self.loop)
end

function T:test_set_timeout_with_many_arguments()
  local n
  self.loop:setTimeout(function(...) n = select("#", ...) end, 0, table.unpack({}, 1, 150))
  self.loop:run()
  lu.assertEquals(n, 150)
end

-- ---- watch ------------------------------------------------------------------------------------------

-- Two connected TCP sockets.
function T:sockets()
  local listener = assert(luasocket.bind("127.0.0.1", 0))
  local a = assert(luasocket.connect("127.0.0.1", (select(2, listener:getsockname()))))
  local b = assert(listener:accept())
  listener:close()
  return self.rig:keep(a), self.rig:keep(b)
end

function T:test_watch_reading()
  local a, b = self:sockets()
  local watcher
  watcher = self.loop:watch(a:getfd(), "r", function(what)
    self.seen[#self.seen + 1] = what .. a:receive(1)
    if #self.seen == 1 then b:send "y" end -- one at a time: a buffers what it reads
    if #self.seen == 2 then watcher:cancel() end
  end)
  self.rig:idle(3)
  lu.assertEquals(self:order(), "")
  b:send "x"
  self.loop:run() -- a watcher keeps it going, until it is cancelled
  lu.assertEquals(self:order(), "rx ry")
end

function T:test_watch_writing_and_both()
  local a, b = self:sockets()
  local watcher = self.loop:watch(a:getfd(), "w", self:note "w")
  self.loop:step()
  lu.assertEquals(self:order(), "w")
  watcher:cancel()
  local events
  watcher = self.loop:watch(a:getfd(), "rw", function(what) events = what end)
  self.loop:step()
  lu.assertEquals(events, "w")
  b:send "x"
  self.rig:wait(function() return events == "rw" end)
  watcher:cancel()
  watcher:cancel()
end

function T:test_watch_hears_of_the_end()
  local a, b = self:sockets()
  local watcher = self.loop:watch(a:getfd(), "r", self:note "r")
  b:close()
  self.rig:wait(function() return #self.seen > 0 end)
  watcher:cancel()
end

function T:test_watch_a_pipe()
  local rd, wr = sys.pipe()
  local watcher
  watcher = self.loop:watch(rd, "r", function()
    local data = sys.read(rd, 100)
    self.seen[#self.seen + 1] = data == "" and "end" or data
    if data == "" then watcher:cancel() end
  end)
  sys.write(wr, "hello")
  self.rig:wait(function() return #self.seen == 1 end)
  sys.close(wr)
  self.loop:run()
  lu.assertEquals(self:order(), "hello end")
  sys.close(rd)
end

-- What it does: spec/loop/fd_spec.lua.
function T:test_read_checks_what_it_is_given()
  local read = require "wsock.core".read
  contains("no file descriptor", read, -1)
  contains("no file descriptor", read, 1 << 31)
  contains("must be 1 to 1 MiB", read, 0, 0)
  contains("must be 1 to 1 MiB", read, 0, (1 << 20) + 1)
  contains("number expected", read, "x")
end

function T:test_watch_a_regular_file()
  local fd = sys.open "/proc/self/stat"
  local watcher, _, code = self.loop:watch(fd, "r", self:note "r")
  if watcher then -- poll: always ready
    self.loop:step(1)
    lu.assertEquals(self:order(), "r")
    watcher:cancel()
  else
    lu.assertEquals(code, "EPERM")
  end
  sys.close(fd)
end

function T:test_cancelled_by_another_that_is_ready_in_the_same_turn()
  local a, b = self:sockets()
  local one, two
  one = self.loop:watch(a:getfd(), "w", self:note("1", function() one:cancel() two:cancel() end))
  two = self.loop:watch(b:getfd(), "w", self:note("2", function() one:cancel() two:cancel() end))
  self.loop:run()
  lu.assertEquals(#self.seen, 1)
end

function T:test_watch_refuses()
  local a = self:sockets()
  local fd = a:getfd()
  for _, bad in ipairs { "", "x", "rx", "R", "r ", 5, false, {} } do
    contains("watch: events must be", self.loop.watch, self.loop, fd, bad, print)
  end
  for _, bad in ipairs { -1, 1.5, "x", {}, true, 1 << 40 } do
    contains("fd must be", self.loop.watch, self.loop, bad, "r", print)
  end
  -- a table of all numbers up to this one would have 16 GiB
  lu.assertEquals({ self.loop:watch(0x7FFFFFFF, "r", print) }, { nil, "watch: Bad file descriptor", "EBADF" })
  contains("callback must be", self.loop.watch, self.loop, fd, "r", nil)
  contains("watch: events must be", self.loop.watch, self.loop, fd)
  contains("watch: fd must be", self.loop.watch, self.loop)
  local watcher, message, code = self.loop:watch(999, "r", print)
  if self.loop.backend == "epoll" then
    lu.assertNil(watcher)
    lu.assertStrContains(message, "watch")
    lu.assertEquals(code, "EBADF")
  else
    lu.assertTrue(watcher == nil or watcher:cancel() == nil)
  end
end

function T:test_the_same_descriptor_twice()
  local a = self:sockets()
  local one = self.loop:watch(a:getfd(), "r", print)
  local two, message, code = self.loop:watch(a:getfd(), "r", print)
  lu.assertNil(two)
  lu.assertEquals(code, "EEXIST")
  lu.assertStrContains(message, "the descriptor has a watcher already")
  one:cancel()
  two = assert(self.loop:watch(a:getfd(), "r", print))
  two:cancel()
end

function T:test_a_watcher_nobody_holds_still_watches()
  local a, b = self:sockets()
  self.loop:watch(a:getfd(), "r", self:note("r", function() a:receive(1) end))
  collectgarbage()
  collectgarbage()
  b:send "x"
  self.rig:wait(function() return #self.seen == 1 end)
end

-- ---- signal -------------------------------------------------------------------------------------------

local function raise(signal)
  local stat = assert(io.open "/proc/self/stat")
  local pid = stat:read "n"
  stat:close()
  io.popen(("kill -%s %d"):format(signal, pid)):close()
end

function T:test_signal()
  local handle = assert(self.loop:signal("USR1", self:note "usr1"))
  local other = assert(self.loop:signal("SIGUSR2", self:note "usr2"))
  raise "USR1"
  self.rig:wait(function() return #self.seen == 1 end)
  raise "USR2"
  raise "USR1"
  self.rig:wait(function() return #self.seen == 3 end)
  table.sort(self.seen)
  lu.assertEquals(self:order(), "usr1 usr1 usr2")
  handle:cancel()
  handle:cancel()
  other:cancel()
end

-- What the manual lists.
function T:test_every_signal()
  for name in ("HUP INT QUIT USR1 USR2 TERM ALRM CHLD WINCH CONT TSTP PIPE"):gmatch "%u+%d?" do
    local came
    local handle = assert(self.loop:signal("SIG" .. name, function() came = true end))
    raise(name)
    self.rig:wait(function() return came end, name)
    handle:cancel()
  end
end

function T:test_signal_alone_does_not_keep_run_going()
  local handle = self.loop:signal("USR1", print)
  self.loop:run()
  handle:cancel()
end

function T:test_two_handlers_and_one_that_leaves()
  local a, b
  a = self.loop:signal("USR1", self:note("a", function() a:cancel() end))
  b = self.loop:signal("USR1", self:note "b")
  raise "USR1"
  self.rig:wait(function() return #self.seen == 2 end)
  raise "USR1"
  self.rig:wait(function() return #self.seen == 3 end)
  lu.assertEquals(self:order(), "a b b")
  b:cancel()
end

function T:test_signal_handler_cancels_the_next()
  local a, b
  a = self.loop:signal("USR1", self:note("a", function() b:cancel() end))
  b = self.loop:signal("USR1", self:note "b")
  raise "USR1"
  self.rig:wait(function() return #self.seen == 1 end)
  self.rig:idle()
  lu.assertEquals(self:order(), "a")
  a:cancel()
end

function T:test_a_signal_belongs_to_one_loop()
  local other = rigs.new()
  local a = self.loop:signal("USR1", self:note "a")
  local b, message, code = other.loop:signal("USR1", self:note "b")
  lu.assertEquals({ b, code }, { nil, "EBUSY" })
  lu.assertStrContains(message, "signal")
  a:cancel()
  b = assert(other.loop:signal("USR1", self:note "b"))
  raise "USR1"
  other:wait(function() return #self.seen == 1 end)
  b:cancel()
  other:close()
end

function T:test_signal_handler_that_raises()
  local handle = self.loop:signal("USR1", function() error "x" end)
  raise "USR1"
  self.rig:wait(function() return #self.rig.errors == 1 end)
  self.rig.errors = {}
  handle:cancel()
end

function T:test_signal_refuses()
  contains("'NOPE'", self.loop.signal, self.loop, "NOPE", print)
  contains("'KILL'", self.loop.signal, self.loop, "KILL", print)
  contains("callback must be", self.loop.signal, self.loop, "USR1", nil)
  contains("signal: name must be a string, got number", self.loop.signal, self.loop, 10, print)
  contains("signal: name must be a string, got no value", self.loop.signal, self.loop)
end

-- After cancel, and after the loop's end, the signal does what it did before.
function T:test_what_the_signal_did_before_comes_back()
  for _, code in ipairs { "h:cancel()", "l:close()", "h = nil l = nil collectgarbage() collectgarbage()" } do
    local child <close> = process.start_lua { "-e", [[
      io.stdout:setvbuf "no"
      local wsock = require "wsock"
      local l = wsock.loop()
      local caught
      local h = l:signal("TERM", function() caught = true print "caught" end)
      l:after(60, print)
      print "ready"
      while not caught do l:step(60) end
      ]] .. code .. [[

      print "again"
      wsock.after(60, print)
      wsock.run()]] }
    child:expect "ready"
    child:kill "TERM"
    child:expect "again"
    lu.assertStrContains(child:output(), "caught")
    child:kill "TERM"
    lu.assertEquals(child:wait(), 128 + 15, code)
  end
end

-- wsock.signal instead of Lua's own Ctrl-C.
function T:test_int_can_be_caught()
  local child <close> = process.start_lua { "-e", [[
    io.stdout:setvbuf "no"
    local wsock = require "wsock"
    wsock.signal("INT", function() print "caught" wsock.stop() end)
    wsock.after(60, print)
    print "ready"
    wsock.run()]] }
  child:expect "ready"
  child:kill "INT"
  lu.assertEquals(child:wait(), 0)
  lu.assertStrContains(child:output(), "caught")
end

return T
