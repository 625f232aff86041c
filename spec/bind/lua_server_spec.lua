-- bind/lua_server: handlers, connections, closing, life.

local lu = require "luaunit"
local bytes = require "support.bytes"
local process = require "support.process"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

-- ---- the object ----------------------------------------------------------------------

function T:test_listening_is_told_once_and_not_before_the_loop_turns()
  local told = 0
  local server = self.rig:listen { onlistening = function() told = told + 1 end }
  local later = 0
  server:on("listening", function() later = later + 1 end)
  lu.assertEquals({ told, later }, { 0, 0 })
  self.rig:idle(5)
  lu.assertEquals({ told, later }, { 1, 1 })
end

function T:test_handlers_in_all_three_ways()
  local log = {}
  local function note(name) return function() log[#log + 1] = name end end
  local server, _, port = self.rig:listen { onmessage = note "option" }
  server:on("message", note "on"):once("message", note "once")
  local option = server.onmessage
  lu.assertIsFunction(option)
  local function gone() log[#log + 1] = "gone" end
  server:on("message", gone):off("message", gone)
  local peer = visitors.knock(self.rig, port)
  peer:frame { "1" }
  peer:frame { "2" }
  self.rig:wait(function() return #log == 5 end)
  lu.assertEquals(table.concat(log, " "), "option on once option on")
  server.onmessage = nil
  lu.assertNil(server.onmessage)
  server.onmessage = note "set"
  peer:frame { "3" }
  self.rig:wait(function() return #log == 7 end)
  lu.assertEquals({ log[6], log[7] }, { "on", "set" })
end

function T:test_misspelt_names_raise()
  local server = self.rig:listen {}
  lu.assertErrorMsgContains("did you mean 'onmessage'?", function() server.onmesage = print end)
  lu.assertErrorMsgContains("unknown event 'mesage'", function() server:on("mesage", print) end)
  lu.assertErrorMsgContains("unknown field of a server 'whatever'", function() server.whatever = 1 end)
  for _, name in ipairs { "clients", "clientCount", "close" } do
    lu.assertErrorMsgContains("field '" .. name .. "' of a server is read-only", function() server[name] = 1 end)
  end
  lu.assertErrorMsgContains("onmessage must be a function", function() server.onmessage = "x" end)
  lu.assertErrorMsgContains("listener must be a function", function() server:on("message", nil) end)
  lu.assertErrorMsgContains("did you mean 'onmessage'?", self.rig.listen, self.rig, { onmesage = print })
  lu.assertErrorMsgContains("onmessage must be a function", self.rig.listen, self.rig, { onmessage = 1 })
end

-- A server's sockets are open when it hears of them: "connection" is meant.
function T:test_there_is_no_open_event()
  local server = self.rig:listen {}
  lu.assertErrorMsgContains("unknown event of a server 'open'", server.on, server, "open", print)
  lu.assertErrorMsgContains("unknown event of a server 'open'", server.once, server, "open", print)
  lu.assertErrorMsgContains("unknown field of a server 'onopen'", function() server.onopen = print end)
  lu.assertNil(server.onopen)
  lu.assertNil(server.nothing)
end

function T:test_a_callable_object_is_a_handler()
  local got
  local _, _, port = self.rig:listen {
    onmessage = setmetatable({}, { __call = function(_, _, data) got = data end }) }
  visitors.knock(self.rig, port):frame { "hi" }
  self.rig:wait(function() return got end)
  lu.assertEquals(got, "hi")
end

function T:test_tostring_and_metatable()
  local server = self.rig:listen {}
  lu.assertStrContains(tostring(server), "wsock.server (listening, 0 clients)")
  lu.assertFalse(getmetatable(server))
  server:close()
  self.rig:settle()
  lu.assertStrContains(tostring(server), "closed")
end

function T:test_events_of_a_socket_go_to_its_own_listeners_first()
  local log = {}
  local _, _, port = self.rig:listen {
    onconnection = function(socket)
      socket:on("message", function(data) log[#log + 1] = "own " .. data end)
      socket.onmessage = function(event) log[#log + 1] = "event " .. event.data end
    end,
    onmessage = function(_, data, kind) log[#log + 1] = "server " .. data .. " " .. kind end,
    onping = function(_, data) log[#log + 1] = "ping " .. data end,
    onpong = function(_, data) log[#log + 1] = "pong " .. data end,
    onclose = function(_, code, reason, clean) log[#log + 1] = ("close %d %s %s"):format(code, reason, clean) end,
  }
  local peer = visitors.knock(self.rig, port)
  peer:frame { "t" }
  peer:frame { op = "binary", "b" }
  peer:frame { op = "ping", "i" }
  peer:frame { op = "pong", "o" }
  peer:say_close(1000, "Bye!")
  peer:take_end()
  peer:close()
  self.rig:wait(function() return #log == 9 end)
  lu.assertEquals(table.concat(log, ", "), "own t, event t, server t text, "
    .. "own b, event b, server b binary, ping i, pong o, close 1000 Bye! true")
end

-- ---- connections -------------------------------------------------------------------

function T:test_connection_comes_with_socket_and_request_and_its_sends_come_first()
  local socket, request
  local _, _, port = self.rig:listen {
    onconnection = function(s, r)
      socket, request = s, r
      s:send "one"
      s:send("two", "binary")
    end,
    onmessage = function(s, data) s:send(data) end,
  }
  local peer = visitors.visit(self.rig, port, visitors.upgrade() .. bytes.frame { "three", mask = true })
  peer:head()
  local got = {}
  for i = 1, 3 do got[i] = peer:take().payload end
  lu.assertEquals(got, { "one", "two", "three" })
  lu.assertEquals(socket.readyState, 1)
  lu.assertTrue(rawequal(socket.request, request))
  lu.assertEquals(socket.remoteAddress, "127.0.0.1")
  lu.assertEquals(socket.localPort, port)
end

-- S69, S84: a client that is killed
function T:test_a_killed_client()
  local close
  local server, _, port = self.rig:listen { onmessage = function(socket, data) socket:send(data) end,
    onclose = function(_, ...) close = { ... } end }
  local bystander = visitors.bystander(self.rig, port)
  local child <close> = process.start_lua { "-e", ([[
    local socket = require "wsock".WebSocket("ws://127.0.0.1:%d/")
    socket.onopen = function() socket:send "hi" end
    socket.onmessage = function() print "heard" end
    require "wsock".run()]]):format(port) }
  child:expect("heard", 10, function() self.rig:turn() end)
  lu.assertEquals(server.clientCount, 2)
  child:kill "KILL"
  self.rig:wait(function() return close end)
  lu.assertEquals(close, { 1006, "", false })
  lu.assertEquals(server.clientCount, 1)
  bystander:check()
end

-- ---- life ---------------------------------------------------------------------------

function T:test_a_server_nobody_holds_goes_on()
  local port
  local alive = setmetatable({}, { __mode = "v" })
  do
    alive[1] = assert(wsock.listen { port = 0, loop = self.rig.loop, onmessage = function(s, data) s:send(data) end })
    port = rigs.port_of(alive[1])
  end
  for _ = 1, 3 do
    collectgarbage()
    local peer = visitors.knock(self.rig, port)
    collectgarbage()
    peer:frame { "hi" }
    lu.assertEquals(peer:take().payload, "hi")
  end
  alive[1]:close(1001, "", 0)
  self.rig:settle()
  collectgarbage()
  collectgarbage()
  lu.assertNil(alive[1])
end

function T:test_a_dropped_loop_takes_its_servers_along()
  local port, got
  do
    local loop = wsock.loop()
    local server = assert(wsock.listen { port = 0, loop = loop, onconnection = function(s) s:send "hi" end })
    port = rigs.port_of(server)
    local socket = self.rig:client(("ws://127.0.0.1:%d/"):format(port))
    got = rigs.record(socket)
    self.rig:wait(function()
      loop:step(0)
      return #got == 2
    end)
  end
  collectgarbage()
  collectgarbage()
  self.rig:closed(got)
  lu.assertEquals(tostring(got), "open text:hi close:1001::true")
  lu.assertNotNil(self.rig:listen { port = port })
end

function T:test_after_its_loop_was_closed()
  local loop = wsock.loop()
  local server = assert(wsock.listen { port = 0, loop = loop })
  local peer = visitors.visit(self.rig, rigs.port_of(server), visitors.upgrade())
  self.rig:wait(function()
    loop:step(0)
    return server.clientCount == 1
  end)
  loop:close()
  lu.assertEquals({ server:address() }, {})
  lu.assertEquals(server:broadcast "x", 0)
  lu.assertTrue(server:close())
  lu.assertEquals(server.clientCount, 0)
  for _ in pairs(server.clients) do lu.fail "a client" end
  lu.assertStrContains(tostring(server), "closed")
  peer:take_end()
  server = nil -- luacheck: ignore
  loop = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
end

return T
