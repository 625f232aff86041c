-- bind/lua_server: the end of a server, and what everybody in it gets to hear.

local lu = require "luaunit"
local luasocket = require "socket"
local rigs = require "support.rig"
local process = require "support.process"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

-- A server with a record of its own end: server, port, log.
local function listen(rig, options)
  local log = {}
  options.onclosed = function() log[#log + 1] = "closed" end
  options.onclose = options.onclose or function(_, code, reason, clean)
    log[#log + 1] = ("%d %s %s"):format(code, reason, clean)
  end
  local server, _, port = rig:listen(options)
  return server, port, log
end

local function wait_closed(rig, log)
  rig:wait(function() return log[#log] == "closed" end, "never closed")
end

local function is_refused(port)
  local sock = luasocket.tcp4()
  sock:settimeout(5)
  local ok, why = sock:connect("127.0.0.1", port)
  sock:close()
  lu.assertEquals({ ok, why }, { nil, "connection refused" })
end

-- ---- what clients hear -------------------------------------------------------------

-- S64
function T:test_everybody_hears_1001()
  local server, port, log = listen(self.rig, {})
  local records = {}
  for i = 1, 3 do
    local socket = self.rig:client(("ws://127.0.0.1:%d/"):format(port))
    records[i] = rigs.record(socket)
    self.rig:events(records[i], 1)
  end
  self.rig:wait(function() return server.clientCount == 3 end)
  lu.assertTrue(server:close())
  lu.assertEquals(log, {})
  wait_closed(self.rig, log)
  lu.assertEquals(log, { "1001  true", "1001  true", "1001  true", "closed" })
  lu.assertEquals(server.clientCount, 0)
  for i = 1, 3 do
    self.rig:closed(records[i])
    lu.assertEquals(tostring(records[i]), "open close:1001::true")
  end
  is_refused(port)
  self.rig:settle() -- nothing keeps the loop busy
end

function T:test_code_and_reason()
  for _, row in ipairs {
    { 1000 }, { 1001, "" }, { 1012, "back soon" }, { 3000, "ä" }, { 4999, ("x"):rep(123) }, { 4000, "a\0b" },
    { nil, "only a reason", code = 1001 },
  } do
    local server, port, log = listen(self.rig, {})
    local peer = visitors.knock(self.rig, port)
    server:close(row[1], row[2])
    lu.assertEquals({ peer:take_close() }, { row[1] or row.code, row[2] or "" })
    peer:say_close(row[1] or row.code)
    peer:take_end()
    peer:close()
    wait_closed(self.rig, log)
  end
end

function T:test_bad_arguments_raise_and_do_nothing()
  local server, port = listen(self.rig, {})
  local bystander = visitors.bystander(self.rig, port)
  for _, code in ipairs { 0, -1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536, 4294968296 } do
    lu.assertErrorMsgContains("InvalidAccessError", server.close, server, code)
  end
  lu.assertErrorMsgContains("SyntaxError", server.close, server, 1000, ("x"):rep(124))
  lu.assertErrorMsgContains("SyntaxError", server.close, server, 1000, "\xff")
  lu.assertErrorMsgContains("reason must be a string", server.close, server, 1000, {})
  lu.assertErrorMsgContains("timeout must be a number", server.close, server, 1000, "", "x")
  lu.assertErrorMsgContains("timeout must be a number", server.close, server, 1000, "", -1)
  lu.assertErrorMsgContains("InvalidAccessError: close code 1000.5 is not", server.close, server, 1000.5)
  for _, bad in ipairs { "soon", "1000", true, {} } do
    lu.assertErrorMsgContains("close code must be a number, got " .. type(bad), server.close, server, bad)
  end
  lu.assertStrContains(tostring(server), "listening")
  bystander:check()
end

function T:test_what_was_sent_comes_first()
  local server, port, log = listen(self.rig, {})
  local peer = visitors.knock(self.rig, port)
  for socket in pairs(server.clients) do socket:send "1" end
  server:broadcast "2"
  server:close()
  lu.assertEquals(server:broadcast "3", 0)
  for socket in pairs(server.clients) do
    lu.assertEquals({ socket:send "4" }, { nil, "connection is not open", "CLOSED" })
  end
  lu.assertEquals({ peer:take().payload, peer:take().payload, (peer:take_close()) }, { "1", "2", 1001 })
  peer:reset()
  wait_closed(self.rig, log)
end

-- ---- how long it takes --------------------------------------------------------------

function T:test_timeout_drops_who_is_silent()
  local server, port, log = listen(self.rig, { closeTimeout = 60 })
  local silent, polite = visitors.knock(self.rig, port), visitors.knock(self.rig, port)
  server:close(1001, "", 0.2)
  lu.assertEquals(polite:take_close(), 1001)
  polite:say_close(1001)
  polite:take_end()
  polite:close()
  self.rig:wait(function() return #log == 1 end)
  lu.assertEquals(log, { "1001  true" })
  wait_closed(self.rig, log)
  lu.assertEquals(log, { "1001  true", "1006  false", "closed" })
  lu.assertEquals(silent:take_close(), 1001)
  silent:take_end()
end

function T:test_timeout_of_0_drops_at_once_but_says_goodbye()
  local server, port, log = listen(self.rig, { closeTimeout = 60 })
  local peers = {}
  for i = 1, 3 do peers[i] = visitors.knock(self.rig, port) end
  server:close(4000, "now", 0)
  wait_closed(self.rig, log)
  for i = 1, 3 do
    lu.assertEquals({ peers[i]:take_close() }, { 4000, "now" })
    peers[i]:take_end()
  end
end

function T:test_close_timeout_is_the_default()
  local server, port, log = listen(self.rig, { closeTimeout = 0.1 })
  visitors.knock(self.rig, port)
  server:close()
  wait_closed(self.rig, log)
  lu.assertEquals(log, { "1006  false", "closed" })
end

-- closeTimeout = 0 is "off": as long as the peer needs.
function T:test_no_close_timeout()
  local server, port, log = listen(self.rig, { closeTimeout = 0 })
  local peer = visitors.knock(self.rig, port)
  server:close()
  self.rig:idle(20)
  lu.assertEquals(log, {})
  lu.assertEquals(peer:take_close(), 1001)
  peer:say_close(1001)
  peer:take_end()
  peer:close()
  wait_closed(self.rig, log)
  lu.assertEquals(log, { "1001  true", "closed" })
end

function T:test_twice()
  local server, port, log = listen(self.rig, {})
  local peer = visitors.knock(self.rig, port)
  server:close(4001, "first")
  lu.assertTrue(server:close(4002, "second", 0))
  lu.assertEquals({ peer:take_close() }, { 4001, "first" })
  peer:say_close(4001)
  peer:take_end()
  peer:close()
  wait_closed(self.rig, log)
  server:close()
  self.rig:settle()
  lu.assertEquals(log, { "4001  true", "closed" })
end

function T:test_before_the_loop_turned()
  local listening = 0
  local server, port, log = listen(self.rig, { onlistening = function() listening = listening + 1 end })
  local waiting = visitors.visit(self.rig, port, visitors.upgrade())
  local second, port2, log2 = listen(self.rig, { onlistening = function() listening = listening + 1 end })
  second:close()
  wait_closed(self.rig, log2)
  is_refused(port2)
  lu.assertEquals(listening, 1)
  server:close()
  wait_closed(self.rig, log)
  waiting:take_end()
end

-- ---- who is not a client yet ------------------------------------------------------------

function T:test_an_answer_on_its_way_arrives()
  local server, log, port
  local body = ("x"):rep(4 << 20) -- more than the system takes at once
  server, port, log = listen(self.rig, { onrequest = function(_, response)
    response:send(200, nil, body)
    server:close()
  end })
  local answer = visitors.ask(self.rig, port, visitors.plain())
  lu.assertEquals({ answer.status, #answer.body }, { 200, #body })
  wait_closed(self.rig, log)
end

function T:test_an_answer_that_is_owed_may_come_late()
  local owed
  local server, port, log = listen(self.rig, { onrequest = function(_, response) owed = response end })
  local peer = visitors.visit(self.rig, port, visitors.plain())
  self.rig:wait(function() return owed end)
  server:close()
  self.rig:idle()
  lu.assertEquals(log, {})
  lu.assertTrue(owed:send(200, nil, "late"))
  lu.assertEquals(visitors.answer(peer).body, "late")
  wait_closed(self.rig, log)
end

function T:test_an_answer_that_never_comes_does_not_hold_it_up()
  local owed
  local server, port, log = listen(self.rig, { onrequest = function(_, response) owed = response end })
  local peer = visitors.visit(self.rig, port, visitors.plain())
  self.rig:wait(function() return owed end)
  server:close(1001, "", 0.1)
  wait_closed(self.rig, log)
  peer:take_end()
  lu.assertEquals({ owed:send(200) },
    { nil, "the request was answered already, or its connection is gone", "CLOSED" })
end

function T:test_who_waits_to_be_let_in_is_told()
  local asked
  local server, port, log = listen(self.rig, { onupgrade = function(request) asked = request end })
  local peer = visitors.visit(self.rig, port, visitors.upgrade())
  local mute, half = visitors.visit(self.rig, port), visitors.visit(self.rig, port, "GET / HTTP/1.1\r\n")
  self.rig:wait(function() return asked end)
  server:close()
  local socket, message, code = asked:accept()
  lu.assertNil(socket)
  lu.assertEquals({ message, code }, { "the request was answered already, or its connection is gone", "CLOSED" })
  lu.assertEquals(visitors.answer(peer).status, 503)
  wait_closed(self.rig, log)
  mute:take_end()
  half:take_end()
end

-- ---- from everywhere ----------------------------------------------------------------------

function T:test_inside_handlers()
  for _, name in ipairs { "connection", "message", "ping", "close", "listening", "verify", "protocols", "upgrade" } do
    local server, port, log
    local function close(x)
      server:close(1001, "", 0)
      if name == "upgrade" then x:accept() end
      return name == "verify"
    end
    local options = { [name]= close }
    if name ~= "verify" and name ~= "protocols" then options = { ["on" .. name] = close } end
    server, port, log = listen(self.rig, options)
    local peer = visitors.visit(self.rig, port, visitors.upgrade())
    if name == "message" or name == "ping" then peer:frame { op = name == "ping" and "ping" or "text", "" } end
    if name == "close" then peer:reset() end
    wait_closed(self.rig, log)
    peer:take_end()
    lu.assertEquals(server.clientCount, 0, name)
    collectgarbage()
  end
end

function T:test_inside_its_own_end()
  local server, count = nil, 0
  server = self.rig:listen { onclosed = function()
    count = count + 1
    server:close()
  end }
  server:close()
  self.rig:settle()
  lu.assertEquals(count, 1)
end

function T:test_a_closing_variable()
  local log, port, kept
  do
    local server <close> = assert(wsock.listen { loop = self.rig.loop, port = 0,
      onclosed = function() log = "closed" end })
    kept = server
    port = select(2, server:address())
    lu.assertStrContains(tostring(server), "listening")
  end
  is_refused(port)
  self.rig:settle()
  lu.assertEquals(log, "closed")
  lu.assertStrContains(tostring(kept), "closed")
end

function T:test_a_closing_variable_and_an_error()
  local port
  lu.assertErrorMsgContains("on purpose", function()
    local server <close> = assert(wsock.listen { loop = self.rig.loop, port = 0 })
    port = select(2, server:address())
    error "on purpose"
  end)
  is_refused(port)
  self.rig:settle()
end

function T:test_one_server_of_two()
  local one, port, log = listen(self.rig, {})
  local _, port2 = listen(self.rig, {})
  local bystander = visitors.bystander(self.rig, port2)
  local peer = visitors.knock(self.rig, port)
  one:close(1001, "", 0)
  wait_closed(self.rig, log)
  peer:take_end()
  bystander:check()
  visitors.bystander(self.rig, port2):check()
end

-- run() returns when the last server has closed.
function T:test_a_program_ends()
  local output, code = process.run_lua { "-e", [[
    local wsock = require "wsock"
    local server = assert(wsock.listen{ port = 0, onclosed = function() print "closed" end })
    local _, port = server:address()
    local socket = wsock.WebSocket("ws://127.0.0.1:" .. port)
    socket.onopen = function() server:close(1000, "done") end
    socket.onclose = function(event) print(event.code, event.reason, event.wasClean) end
    collectgarbage()
    wsock.run()
    print "end"]] }
  lu.assertEquals(code, 0)
  local lines = {}
  for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  lu.assertEquals(lines, { "1000\tdone\ttrue", "closed", "end" })
end

return T
