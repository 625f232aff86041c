-- bind/lua_handler: calling the user's code. What it raises is reported and
-- goes no further; what it does to sockets, servers and the loop meanwhile is
-- in lua_handler_life_spec.lua.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local process = require "support.process"
local rigs = require "support.rig"

local T = rigs.class()

-- A client whose message handler is fn, after its message came; the one error.
function T:error_of(fn)
  local socket, record, peer = self.rig:opened()
  socket:on("message", fn)
  peer:frame { "x" }
  self.rig:wait(function() return #self.rig.errors > 0 end, "no error was reported")
  peer:frame { op = "pong", "still here" } -- W-64: a client's socket is left as it is
  self.rig:wait(function() return record:last() == "pong:still here" end)
  lu.assertEquals(#self.rig.errors, 1)
  local e = self.rig.errors[1]
  self.rig.errors = {}
  lu.assertIs(e[3], socket)
  return e[1], e[2]
end

-- ---- what is reported ------------------------------------------------------------------

local function deep() error "the message" end

function T:test_message_traceback_and_socket()
  local message, traceback = self:error_of(function() deep() end)
  lu.assertStrMatches(message, ".*lua_handler_spec.lua:%d+: the message")
  lu.assertStrContains(traceback, message)
  lu.assertStrContains(traceback, "stack traceback:")
  lu.assertStrContains(traceback, "deep") -- the stack was not unwound
end

function T:test_error_values_of_every_type()
  local t = setmetatable({}, { __tostring = function() return "as text" end })
  for _, value in ipairs { t, {}, 42, 1.5, true, false, print, io.stdout, "text\0with a zero" } do
    local message, traceback = self:error_of(function() error(value, 0) end)
    lu.assertTrue(rawequal(message, value) or message == value, tostring(value))
    lu.assertEquals(type(traceback), "string")
  end
  local message, traceback = self:error_of(function() error(t) end)
  lu.assertIs(message, t)
  lu.assertStrContains(traceback, "as text")
end

function T:test_error_nil()
  local message, traceback = self:error_of(function() error() end)
  lu.assertNil(message)
  lu.assertStrContains(traceback, "nil")
end

function T:test_error_values_that_cannot_be_shown()
  for _, show in ipairs { function() error "not me" end, function() return 1 end, function() return nil end,
    function() error(setmetatable({}, { __tostring = error })) end, function() coroutine.yield() end } do
    local value = setmetatable({}, { __tostring = show })
    local message, traceback = self:error_of(function() error(value) end)
    lu.assertIs(message, value)
    lu.assertEquals(type(traceback), "string")
  end
end

function T:test_runtime_errors()
  lu.assertStrContains(self:error_of(function() return nil + 1 end), "attempt to perform arithmetic on a nil")
  lu.assertStrContains(self:error_of(function() string.rep() end), "bad argument")
  lu.assertStrContains(self:error_of(function() return ("x"):rep(1 << 50) end), "large")
  lu.assertStrContains(self:error_of(function() error("a", 2) end), "a")
end

function T:test_stack_overflow()
  collectgarbage() -- or finalizers are met with at the stack's end: Lua takes 10 ms to give one up
  local function forever() return 1 + forever() end
  lu.assertStrContains(self:error_of(forever), "stack overflow")
  local t = setmetatable({}, {})
  getmetatable(t).__index = function(_, k) return t[k] end -- overflows the C stack
  lu.assertStrContains(self:error_of(function() return t.x end), "overflow")
end

function T:test_a_handler_that_yields()
  local got
  local message = self:error_of(function()
    got = coroutine.isyieldable()
    coroutine.yield(1, 2, 3)
  end)
  lu.assertStrContains(message, "yield")
  lu.assertNotNil(got)
end

-- A coroutine closed within an xpcall may go on asking its message handler (Lua 5.4.4 does): it is not used again.
function T:test_errors_after_a_handler_that_yields_within_xpcall()
  local asked = 0
  local function handle() asked = asked + 1 end
  local function yields() return xpcall(coroutine.yield, handle) end
  local function sleeps() return xpcall(function() self.loop:sleep(1) end, handle) end
  local _, url = self.rig:listen { verify = sleeps }
  for i, wait in ipairs { yields, function() self.rig:client(url) end } do
    self.loop:after(0, wait)
    self.rig:wait(function() return #self.rig.errors == i * 2 - 1 end)
    self.loop:after(0, function() error("one's own", 0) end)
    self.rig:wait(function() return #self.rig.errors == i * 2 end)
    lu.assertEquals(self.rig.errors[i * 2][1], "one's own")
  end
  lu.assertEquals(asked, 0)
  self.rig.errors = {}
end

function T:test_to_be_closed_variables_of_a_handler_that_raises_or_yields()
  local closed = 0
  local guard = setmetatable({}, { __close = function() closed = closed + 1 end })
  self:error_of(function() local g <close> = guard error "x" end) -- luacheck: ignore
  self:error_of(function() local g <close> = guard coroutine.yield() end) -- luacheck: ignore
  local failing = setmetatable({}, { __close = function() closed = closed + 1 error "in close" end })
  self:error_of(function() local g <close> = failing error "x" end) -- luacheck: ignore
  lu.assertEquals(closed, 3)
end

function T:test_coroutines_inside_a_handler_work()
  local socket, _, peer = self.rig:opened()
  local seen
  socket:on("message", function(data)
    local co = coroutine.wrap(function(a) coroutine.yield(a .. "1") return a .. "2" end)
    seen = co(data) .. co()
  end)
  peer:frame { "x" }
  self.rig:wait(function() return seen end)
  lu.assertEquals(seen, "x1x2")
end

function T:test_pcall_in_a_handler()
  local socket, _, peer = self.rig:opened()
  local seen
  socket:on("message", function() seen = { pcall(error, "caught") } end)
  peer:frame { "x" }
  self.rig:wait(function() return seen end)
  lu.assertEquals(seen, { false, "caught" })
end

-- The coroutine handlers run on is nothing one can hurt.
function T:test_playing_with_the_coroutine_of_a_handler()
  local socket, record, peer = self.rig:opened()
  local co, seen = nil, {}
  socket:on("message", function()
    local running, main = coroutine.running()
    co = co or running
    seen[#seen + 1] = main
    seen[#seen + 1] = select(2, pcall(coroutine.close, running)) ~= true
    coroutine.wrap(function() pcall(coroutine.close, co) pcall(coroutine.resume, co) end)()
  end)
  peer:frame { "1" }
  self.rig:events(record, 2)
  pcall(coroutine.resume, co)
  pcall(coroutine.resume, co, function() end)
  pcall(coroutine.close, co)
  peer:frame { "2" }
  self.rig:events(record, 3)
  lu.assertEquals(seen, { false, true, false, true })
end

-- ---- who goes on -------------------------------------------------------------------------

function T:test_the_other_listeners_go_on()
  local socket, _, peer = self.rig:opened()
  local seen = {}
  socket:on("message", function() error "1" end)
  socket:addEventListener("message", function() seen[#seen + 1] = "2" error "2" end)
  socket.onmessage = function() seen[#seen + 1] = "3" end
  peer:send(bytes.frame { "x" } .. bytes.frame { "y" })
  self.rig:wait(function() return #seen == 4 end)
  lu.assertEquals(table.concat(seen), "2323")
  lu.assertEquals(#self.rig.errors, 4)
  self.rig.errors = {}
end

function T:test_errors_in_every_event_and_the_close_still_comes()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local n = 0
  for _, name in ipairs { "open", "message", "ping", "pong", "close", "error" } do
    socket:on(name, function() n = n + 1 error(name) end)
  end
  local peer = server:welcome()
  peer:send(bytes.frame { "x" } .. bytes.frame { op = "ping", "" } .. bytes.frame { op = "pong", "" })
  peer:close()
  self.rig:wait(function() return n == 6 end)
  self.rig:settle()
  lu.assertEquals(#self.rig.errors, 6)
  self.rig.errors = {}
end

-- S66: a server's socket whose handler raised is closed with 1011
function T:test_a_servers_socket_is_closed_with_1011()
  for _, where in ipairs { "socket", "server", "connection" } do
    local near, record, _, far_record, server = self.rig:pair(nil, where == "server" and {
      onmessage = function() error "mine" end } or nil)
    if where == "socket" then
      for s in pairs(server.clients) do s:on("message", function() error "mine" end) end
    elseif where == "connection" then
      server:on("connection", function() error "mine" end)
      near = self.rig:client(near.url)
      record = rigs.record(near)
      self.rig:wait(function() return near.readyState ~= 0 end)
    end
    if near.readyState == 1 then near:send "x" end
    self.rig:closed(record)
    lu.assertStrMatches(record:last(), "close:1011:.*:true")
    if where ~= "connection" then self.rig:closed(far_record) end
    lu.assertEquals(#self.rig.errors, 1, where)
    self.rig.errors = {}
  end
end

function T:test_timers_and_watchers_that_raise()
  local n = 0
  local timer = self.rig.loop:every(0.001, function() n = n + 1 error "timer" end)
  self.rig:wait(function() return n == 3 end)
  timer:cancel()
  lu.assertEquals(#self.rig.errors, 3)
  lu.assertStrContains(self.rig.errors[1][1], "timer")
  lu.assertNil(self.rig.errors[1][3]) -- about no socket
  self.rig.errors = {}
end

-- ---- onerror -----------------------------------------------------------------------------------

function T:test_on_error_that_raises_is_not_the_end()
  local code = [[
    local wsock = require "wsock"
    wsock.onerror = function() error "in onerror" end
    local n = 0
    wsock.every(0.001, function() n = n + 1 if n == 2 then wsock.stop() end error "in handler" end)
    wsock.run()
    print("done " .. n)]]
  local out, status = process.run_lua { "-e", code }
  lu.assertEquals(status, 0)
  lu.assertStrContains(out, "done 2")
  lu.assertStrContains(out, "in onerror")
end

function T:test_without_on_error_it_goes_to_standard_error()
  local code = [[
    local wsock = require "wsock"
    wsock.after(0, function() error "where it happened" end)
    wsock.after(0, function() error(setmetatable({}, {__tostring = function() error "no" end})) end)
    wsock.after(0.01, function() print "done" end)
    wsock.run()]]
  local out, status = process.run_lua { "-e", code }
  lu.assertEquals(status, 0)
  lu.assertStrContains(out, "where it happened")
  lu.assertStrContains(out, "stack traceback:")
  lu.assertStrContains(out, "done")
end

function T:test_on_error_of_the_default_loop()
  lu.assertNil(wsock.onerror)
  local function f() end
  wsock.onerror = f
  lu.assertIs(wsock.onerror, f)
  lu.assertError(function() wsock.onerror = 1 end)
  wsock.onerror = nil
  lu.assertNil(wsock.onerror)
  lu.assertError(function() self.rig.loop.onerror = {} end)
  lu.assertErrorMsgContains("onerror", function() self.rig.loop.onerrror = print end)
end

function T:test_on_error_may_close_the_socket()
  local socket, record, peer = self.rig:opened()
  self.rig.loop.onerror = function(_, _, s) s:terminate() end
  socket:on("message", function() error "x" end)
  peer:send(bytes.frame { "1" } .. bytes.frame { "2" })
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "open text:1 close:1006::false")
end

function T:test_on_error_that_yields()
  local code = [[
    local wsock = require "wsock"
    wsock.onerror = function() coroutine.yield() end
    wsock.after(0, function() error "x" end)
    wsock.after(0.002, function() print "done" end)
    coroutine.wrap(wsock.run)()]]
  local out, status = process.run_lua { "-e", code }
  lu.assertEquals(status, 0)
  lu.assertStrContains(out, "yield")
  lu.assertStrContains(out, "done")
end

-- Ctrl-C while a handler runs ends run() (the first one; nobody is killed).
function T:test_interrupt_during_a_handler()
  local code = [[
    local wsock = require "wsock"
    local f = io.open "/proc/self/stat"
    local pid = f:read "n"
    f:close()
    wsock.after(0, function() io.popen("kill -INT " .. pid):close() end)
    wsock.after(60, print)
    local ok, message = pcall(wsock.run)
    print(ok, message)]]
  local out, status = process.run_lua { "-e", code }
  lu.assertEquals(status, 0)
  lu.assertStrContains(out, "interrupted!")
end

return T
