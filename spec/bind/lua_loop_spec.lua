-- bind/lua_loop: run, step, stop, several loops, and a loop inside another.

local lu = require "luaunit"
local wsock = require "wsock"
local process = require "support.process"
local rigs = require "support.rig"

local T = rigs.class()
local contains = lu.assertErrorMsgContains

-- ---- run, step, stop ------------------------------------------------------------------

function T:test_run_ends_when_nothing_is_left()
  self.loop:run()
  local seen = {}
  self.loop:after(0.01, function() seen[#seen + 1] = "late" end)
  self.loop:after(0, function() seen[#seen + 1] = "soon" end)
  lu.assertIs(self.loop:run(), nil)
  lu.assertEquals(seen, { "soon", "late" })
  self.loop:run()
end

function T:test_run_ends_when_the_last_socket_has_told_its_close()
  local near, record = self.rig:pair()
  for k in pairs { [near] = true } do k:close(1000) end
  self.rig.begun[1]:close() -- the server
  self.loop:run()
  lu.assertEquals(record:last():sub(1, 6), "close:")
end

function T:test_step_says_whether_anything_is_left()
  lu.assertFalse(self.loop:step())
  lu.assertFalse(self.loop:step(0))
  local timer = self.loop:after(60, print)
  lu.assertTrue(self.loop:step())
  timer:cancel()
  lu.assertFalse(self.loop:step(math.huge)) -- not for ever for nothing
end

function T:test_step_waits_no_longer_than_asked()
  self.loop:after(60, print):cancel()
  self.loop:watch(self.rig:raw_server().sock:getfd(), "r", print)
  local start = wsock.now()
  self.loop:step(0.05)
  local took = wsock.now() - start
  lu.assertTrue(took > 0.03 and took < 2, took)
end

function T:test_step_returns_when_something_has_happened()
  self.loop:after(0.01, print):cancel()
  local seen
  self.loop:after(0.01, function() seen = true end)
  local start = wsock.now()
  while not seen do self.loop:step(60) end
  lu.assertTrue(wsock.now() - start < 5)
end

function T:test_bad_timeouts()
  for _, bad in ipairs { -1, 0 / 0, "1", true, {} } do contains("timeout must be", self.loop.step, self.loop, bad) end
  self.loop:after(0, function() end)
  self.loop:step(math.huge)
  self.loop:step(1e300)
end

function T:test_stop_in_a_handler()
  local n = 0
  self.loop:every(0.001, function() n = n + 1 if n == 3 then self.loop:stop() end end)
  self.loop:run()
  lu.assertEquals(n, 3)
  self.loop:after(0, function() self.loop:stop() end)
  self.loop:run() -- stopping is over when run has ended
  lu.assertTrue(n >= 3)
end

function T:test_stop_outside_is_nothing()
  self.loop:stop()
  local seen
  self.loop:after(0.001, function() seen = true end)
  self.loop:run()
  lu.assertTrue(seen)
end

function T:test_run_and_step_in_a_handler_are_refused()
  local n = 0
  self.loop:after(0, function()
    contains("loop is running", self.loop.run, self.loop)
    contains("loop is running", self.loop.step, self.loop, 0)
    n = n + 1
  end)
  self.loop:run()
  lu.assertEquals(n, 1)
  local co = coroutine.wrap(function() self.loop:after(0, function() n = n + 1 end) self.loop:run() end)
  co() -- but they run in a coroutine
  lu.assertEquals(n, 2)
end

function T:test_run_in_a_coroutine_of_a_handler_is_refused()
  local message
  self.loop:after(0, function()
    message = select(2, coroutine.resume(coroutine.create(function() self.loop:run() end)))
  end)
  self.loop:run()
  lu.assertStrContains(message, "loop is running")
end

-- ---- several --------------------------------------------------------------------------

function T:test_several_loops_do_not_disturb_one_another()
  local one, two = wsock.loop(), wsock.loop { backend = "poll" }
  local seen = {}
  one:after(0, function() seen[#seen + 1] = "one" end)
  two:after(0, function()
    seen[#seen + 1] = "two"
    one:run() -- another loop may run inside a handler
  end)
  wsock.after(0, function() seen[#seen + 1] = "default" end)
  two:run()
  lu.assertEquals(seen, { "two", "one" })
  wsock.run()
  lu.assertEquals(seen, { "two", "one", "default" })
  one:close()
  two:close()
end

function T:test_server_in_one_loop_client_in_another()
  local other = rigs.new()
  local server, url = self.rig:listen { onmessage = function(s, data) s:send(data:upper()) end }
  local client = other:client(url)
  local got
  client.onopen = function() client:send "hello" end
  client.onmessage = function(e) got = e.data end
  self.rig:wait(function() other:turn(0) return got end)
  lu.assertEquals(got, "HELLO")
  server:close()
  client:terminate()
  other:close()
end

-- Each socket lives in the loop it was made in, whichever runs.
function T:test_only_the_loop_that_turns_tells_its_events()
  local other = rigs.new()
  local _, url = self.rig:listen()
  local record = rigs.record(other:client(url))
  self.rig:idle(20)
  lu.assertEquals(#record, 0)
  other:close()
end

-- ---- the object ----------------------------------------------------------------------------

function T:test_backend()
  lu.assertEquals(wsock.loop({ backend = "poll" }).backend, "poll")
  lu.assertEquals(wsock.loop({ backend = "epoll" }).backend, "epoll")
  local usual = os.getenv "WSOCK_BACKEND"
  if usual and usual ~= "" then lu.assertEquals(self.loop.backend, usual) end
  contains("option 'backend' must be \"epoll\" or \"poll\", got 'kqueue'", wsock.loop, { backend = "kqueue" })
  contains("backend", wsock.loop, { backend = 1 })
  contains("'bakend'; did you mean 'backend'?", wsock.loop, { bakend = "poll" })
  lu.assertError(wsock.loop, 1)
  collectgarbage()
end

function T:test_backend_by_the_environment()
  for _, name in ipairs { "poll", "epoll" } do
    local out = process.run_lua { "-e", "print(require 'wsock'.loop().backend)", env = { WSOCK_BACKEND = name } }
    lu.assertEquals(out, name .. "\n")
  end
  local out, code = process.run_lua { "-e", "require 'wsock'.run()", env = { WSOCK_BACKEND = "nonsense" } }
  lu.assertEquals(code, 1)
  lu.assertStrContains(out, "WSOCK_BACKEND must be \"epoll\" or \"poll\", got 'nonsense'")
end

function T:test_fields()
  lu.assertStrContains(tostring(self.loop), self.loop.backend)
  lu.assertNil(self.loop.nothing)
  contains("field 'backend' of a loop is read-only", function() self.loop.backend = "poll" end)
  contains("field 'run' of a loop is read-only", function() self.loop.run = print end)
  contains("unknown field of a loop 'nothing'", function() self.loop.nothing = 1 end)
  lu.assertFalse(getmetatable(self.loop))
  contains("loop", self.loop.run, {})
  contains("loop", self.loop.run)
end

-- What it does: peer/dial_pending.
function T:test_handshakes_max()
  lu.assertEquals(self.loop.handshakesMax, 256)
  local loop <close> = wsock.loop { handshakesMax = 7 }
  lu.assertEquals(loop.handshakesMax, 7)
  loop.handshakesMax = 2147483647
  lu.assertEquals(loop.handshakesMax, 2147483647)
  for shown, bad in pairs { ["0"] = 0, ["1.5"] = 1.5, ["2147483648"] = 2147483648, string = "1", table = {} } do
    contains("handshakesMax must be an integer from 1 to 2147483647, got " .. shown,
      function() loop.handshakesMax = bad end)
    contains("option 'handshakesMax' must be a", wsock.loop, { handshakesMax = bad })
  end
  contains("got nil", function() loop.handshakesMax = nil end)
  contains("'handshakeMax'; did you mean 'handshakesMax'?", function() loop.handshakeMax = 1 end)
  lu.assertEquals(loop.handshakesMax, 2147483647)
  loop:close()
  lu.assertNil(loop.handshakesMax)
  contains("loop is closed", function() loop.handshakesMax = 1 end)
end

function T:test_every_function_is_a_method_too()
  for _, name in ipairs { "run", "step", "stop", "now", "after", "every", "watch", "signal", "setTimeout",
    "setInterval", "clearTimeout", "clearInterval" } do
    lu.assertEquals(type(self.loop[name]), "function", name)
    lu.assertEquals(type(wsock[name]), "function", name)
  end
  for _, name in ipairs { "getfd", "events", "timeout", "close" } do
    lu.assertEquals(type(self.loop[name]), "function", name)
  end
end

function T:test_now_is_monotonic_seconds()
  local a = wsock.now()
  local b = self.loop:now()
  lu.assertEquals(math.type(a), "float")
  lu.assertTrue(b >= a and b - a < 1)
  self.loop:after(0.02, function() end)
  self.loop:run()
  lu.assertTrue(wsock.now() - b >= 0.019)
end

function T:test_close_and_to_be_closed()
  local loop = wsock.loop()
  loop:after(60, print)
  loop:close()
  loop:close()
  lu.assertStrContains(tostring(loop), "closed")
  for _, name in ipairs { "run", "step", "stop", "after", "watch", "getfd", "timeout", "events" } do
    contains("closed", loop[name], loop, 0, print, print)
  end
  lu.assertTrue(loop:now() > 0)
  do
    local l <close> = wsock.loop() -- luacheck: ignore
    loop = l
  end
  contains("closed", loop.run, loop)
end

-- ---- inside another loop ----------------------------------------------------------------------

-- what had ended before goes on showing itself, as what went with the loop does
function T:test_what_closed_before_its_loop()
  local mine = rigs.new()
  local server, url = mine:listen {}
  local client, other = mine:client(url), mine:client(url)
  local task, timer = mine.loop:spawn(function() return "done" end), mine.loop:after(0, function() end)
  mine:wait(function() return client.readyState == 1 and other.readyState == 1 end)
  client:send "four"
  lu.assertEquals(client.bufferedAmount, 4)
  client:close()
  mine:wait(function() return client.readyState == 3 and tostring(task):find "done" end)
  mine:idle()
  mine:close()
  for _, socket in ipairs { client, other } do
    lu.assertEquals(select(3, socket:send "four"), "CLOSED")
    lu.assertEquals(select(3, socket:ping()), "CLOSED")
    lu.assertTrue(socket.bufferedAmount >= 4)
    lu.assertTrue(socket:stats().sinceReceived >= 0)
    lu.assertEquals(select(3, socket:receive(1)), "CLOSED")
    lu.assertEquals(select(3, socket:drain(1)), "CLOSED")
    lu.assertTrue(socket:close() and socket:terminate())
    lu.assertIs(socket:pause():resume(), socket)
    lu.assertNil(socket.remoteAddress)
    socket:on("message", function() end)
  end
  lu.assertEquals({ task:join() }, { true, "done" })
  lu.assertFalse(task:cancel())
  timer:cancel()
  lu.assertEquals(server:broadcast "x", 0)
  lu.assertEquals({ server:address() }, {})
  lu.assertTrue(server:close())
end

function T:test_timeout()
  lu.assertNil(self.loop:timeout())
  local timer = self.loop:after(60, print)
  local t = self.loop:timeout()
  lu.assertTrue(t > 59 and t <= 60, t)
  timer:cancel()
  lu.assertNil(self.loop:timeout())
  self.loop:after(0, print)
  lu.assertEquals(self.loop:timeout(), 0.0)
end

function T:test_timeout_is_zero_when_a_socket_waits_to_be_served()
  local near = self.rig:pair()
  self.rig:idle()
  lu.assertTrue(self.loop:timeout() > 0)
  near:send "x" -- not sent yet: the turn does that
  lu.assertEquals(self.loop:timeout(), 0.0)
  self.rig:idle()
end

function T:test_getfd_and_events()
  local loop = wsock.loop { backend = "epoll" }
  lu.assertEquals(math.type(loop:getfd()), "integer")
  lu.assertEquals(loop:getfd(), loop:pollfd())
  lu.assertEquals(loop:events(), "r")
  loop:close()
  loop = wsock.loop { backend = "poll" }
  lu.assertNil(loop:getfd()) -- poll has none
  loop:close()
end

-- A loop within a loop of our own, by nothing but the three functions.
function T:test_a_loop_inside_another()
  local inner = rigs.new "epoll"
  local near, record = inner:pair(nil, { onmessage = function(s, data) s:send(data) s:close(1000) end })
  near:send "echo"
  local timer
  local function turn()
    inner.loop:step(0)
    if timer then timer:cancel() end
    local t = inner.loop:timeout()
    timer = t and self.loop:after(t, turn)
  end
  local watcher = self.loop:watch(inner.loop:getfd(), inner.loop:events(), turn)
  turn()
  self.rig:wait(function() return record.closed end)
  lu.assertEquals(tostring(record), "open text:echo close:1000::true")
  watcher:cancel()
  if timer then timer:cancel() end
  inner:close()
end

-- The same under the loops people have, where they are installed.
local function foreign(library, code)
  local found = package.searchpath(library, package.cpath) or package.searchpath(library, package.path)
  if not found then lu.skip(library .. " is not installed") end
  local out, status = process.run_lua { "-e", [[
    local wsock = require "wsock"
    local loop = wsock.loop { backend = "epoll" }
    local server = assert(wsock.listen { port = 0, loop = loop })
    function server.onmessage(s, d) s:send(d) s:close(1000) end
    local socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, server:address()), nil, { loop = loop })
    socket.onopen = function() socket:send "through another loop" end
    socket.onmessage = function(e) print(e.data) end
    local done
    socket.onclose = function(e) print("closed", e.code) server:close() end
    server.onclosed = function() done = true end
    loop:after(0.01, function() print "timer" end)
    local function alive() return not done end
  ]] .. code, seconds = 10 }
  lu.assertEquals(status, 0, out)
  lu.assertStrContains(out, "through another loop\n")
  lu.assertStrContains(out, "closed\t1000\n")
end

function T:test_under_luv()
  foreign("luv", [[
    local uv = require "luv"
    local poll, timer = uv.new_poll(loop:getfd()), uv.new_timer()
    local function turn()
      loop:step(0)
      timer:stop()
      if not alive() then poll:close() timer:close() return end
      local t = loop:timeout()
      if t then timer:start(math.ceil(t * 1000), 0, turn) end
    end
    poll:start("r", turn)
    turn()
    uv.run()]])
end

function T:test_under_cqueues()
  foreign("cqueues", [[
    local cqueues = require "cqueues"
    local cq = cqueues.new()
    cq:wrap(function()
      while alive() do
        loop:step(0)
        if not alive() then break end
        cqueues.poll({ pollfd = loop:getfd(), events = loop:events() }, loop:timeout())
      end
    end)
    assert(cq:loop())]])
end

-- ---- interrupts ----------------------------------------------------------------------------------

function T:test_ctrl_c_ends_run()
  for _, code in ipairs {
    "wsock.listen { port = 0 } print 'ready' wsock.run()",
    "wsock.after(60, print) print 'ready' wsock.run()",
    "wsock.every(0.001, function() end) print 'ready' wsock.run()",
    "wsock.listen { port = 0 } print 'ready' while true do wsock.step(60) end",
  } do
    local child <close> = process.start_lua { "-e", "io.stdout:setvbuf 'no' local wsock = require 'wsock' " .. code }
    child:expect "ready"
    child:kill "INT"
    lu.assertEquals(child:wait(), 1, code)
    lu.assertStrContains(child:output(), "interrupted!")
  end
end

-- After an interrupt that was caught, everything goes on.
function T:test_run_again_after_an_interrupt()
  local child <close> = process.start_lua { "-e", [[
    io.stdout:setvbuf "no"
    local wsock = require "wsock"
    local server = wsock.listen { port = 0, onmessage = function(s, d) s:send(d) end }
    print "ready"
    print(pcall(wsock.run))
    local socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, server:address()))
    socket.onopen = function() socket:send "still" end
    socket.onmessage = function(e) print(e.data) wsock.stop() end
    wsock.run()]] }
  child:expect "ready"
  child:kill "INT"
  child:expect "still"
  lu.assertEquals(child:wait(), 0)
end

-- W-72 by the end of the program, however it comes.
function T:test_the_programs_end_says_goodbye()
  for _, code in ipairs { "", "os.exit(0, true)", "wsock.after(0, function() os.exit(0, true) end) wsock.run()" } do
    local server = self.rig:raw_server()
    local child <close> = process.start_lua { "-e", [[
      local wsock = require "wsock"
      local socket = wsock.WebSocket "]] .. server.url .. [["
      while socket.readyState == 0 do wsock.step(1) end ]] .. code }
    local peer = server:welcome()
    lu.assertEquals(peer:take_close(), 1001, code)
    lu.assertEquals(child:wait(), 0)
  end
end

function T:test_the_programs_end_is_no_crash()
  for _, code in ipairs { "", "os.exit(0, true)", "wsock.after(0, function() os.exit(0, true) end) wsock.run()",
    "wsock.after(0, function() os.exit(0) end) wsock.run()" } do
    local out, status = process.run_lua { "-e", [[
      local wsock = require "wsock"
      local server = wsock.listen { port = 0 }
      local socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, server:address()))
      for _ = 1, 5 do wsock.step(0.01) end
      assert(socket.readyState == 1)
      wsock.every(1, print) wsock.signal("USR1", print)
    ]] .. code }
    lu.assertEquals({ out, status }, { "", 0 }, code)
  end
end

return T
