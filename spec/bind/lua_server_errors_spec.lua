-- bind/lua_server, api "Errors in handlers": what a handler that raises costs,
-- and whom.

local lu = require "luaunit"
local process = require "support.process"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

local function oops() error "oops" end

-- The one error that was reported: message, traceback, socket.
local function reported(rig)
  rig:wait(function() return #rig.errors > 0 end, "nothing was reported")
  lu.assertEquals(#rig.errors, 1)
  local e = table.remove(rig.errors)
  lu.assertStrContains(e[1], "oops")
  lu.assertStrContains(e[2], "oops")
  lu.assertStrContains(e[2], "stack traceback:")
  lu.assertStrContains(e[2], "lua_server_errors_spec.lua")
  return e[3]
end

-- S66: that socket only, 1011; the server and the others go on.
function T:test_handlers_of_sockets()
  local frames = { message = {}, ping = { op = "ping", "" }, pong = { op = "pong", "" } }
  for name, frame in pairs(frames) do
    local sockets = {}
    local server, _, port = self.rig:listen { ["on" .. name] = oops,
      onconnection = function(socket) sockets[#sockets + 1] = socket end }
    local bystander = visitors.bystander(self.rig, port)
    local peer = visitors.knock(self.rig, port)
    server["on" .. name] = oops
    if name == "ping" then server.onping = function(socket) if socket == sockets[2] then oops() end end end
    peer:frame(frame)
    lu.assertTrue(rawequal(reported(self.rig), sockets[2]))
    lu.assertEquals({ peer:take_close() }, { 1011, "internal error" }, name)
    peer:say_close(1011)
    peer:take_end()
    bystander:check()
    visitors.bystander(self.rig, port):check()
  end
end

function T:test_a_listener_of_the_socket_itself()
  local _, _, port = self.rig:listen { onconnection = function(socket) socket:on("message", oops) end }
  local peer = visitors.knock(self.rig, port)
  peer:frame {}
  reported(self.rig)
  lu.assertEquals(peer:take_close(), 1011)
end

function T:test_onconnection()
  local close
  local _, _, port = self.rig:listen { onconnection = oops,
    onclose = function(_, code, _, clean) close = { code, clean } end }
  local peer, answer = visitors.knock(self.rig, port)
  lu.assertEquals(answer.status, 101)
  lu.assertEquals(peer:take_close(), 1011)
  lu.assertEquals(reported(self.rig).readyState, 2)
  peer:say_close(1011)
  peer:take_end()
  peer:close()
  self.rig:wait(function() return close end)
  lu.assertEquals(close, { 1011, true })
end

-- The others still hear of it, and nothing follows.
function T:test_the_other_listeners_go_on_and_no_message_follows()
  local log = {}
  local server, _, port = self.rig:listen { onmessage = oops }
  server:on("message", function(_, data) log[#log + 1] = data end)
  local peer = visitors.knock(self.rig, port)
  local frame = require "support.bytes".frame
  peer:send(frame { "1", mask = true } .. frame { "2", mask = true } .. frame { "3", mask = true })
  lu.assertEquals(peer:take_close(), 1011)
  reported(self.rig)
  self.rig:idle()
  lu.assertEquals(log, { "1" })
end

function T:test_onclose_and_onerror()
  local log = {}
  local server, _, port = self.rig:listen { onclose = oops }
  local bystander = visitors.bystander(self.rig, port)
  server:on("close", function(_, code) log[#log + 1] = code end)
  visitors.knock(self.rig, port):reset()
  reported(self.rig)
  lu.assertEquals(log, { 1006 })
  server.onerror, server.onclose = oops, nil
  visitors.knock(self.rig, port):reset()
  reported(self.rig)
  self.rig:wait(function() return server.clientCount == 1 end)
  lu.assertEquals(log, { 1006, 1006 })
  bystander:check()
end

function T:test_ondrain()
  local _, _, port = self.rig:listen { ondrain = oops, highWaterMark = 10, lowWaterMark = 5,
    onconnection = function(socket) socket:send(("x"):rep(100)) end }
  local peer = visitors.knock(self.rig, port)
  lu.assertEquals(peer:take_close(), 1011)
  reported(self.rig)
end

-- ---- before there is a socket -------------------------------------------------------------

function T:test_hooks_of_the_handshake()
  for name, value in pairs { verify = oops, origins = oops, protocols = oops, onupgrade = oops } do
    local server, _, port = self.rig:listen { [name] = value }
    local answer = visitors.ask(self.rig, port, visitors.upgrade())
    lu.assertEquals({ answer.status, answer.body }, { 500, "internal error\n" }, name)
    reported(self.rig)
    lu.assertEquals(server.clientCount, 0)
  end
end

function T:test_onupgrade_that_raises_after_accept()
  local accepted
  local server, _, port = self.rig:listen { onupgrade = function(request)
    accepted = request:accept()
    oops()
  end }
  local peer, answer = visitors.knock(self.rig, port)
  lu.assertEquals(answer.status, 101)
  lu.assertEquals(peer:take_close(), 1011)
  reported(self.rig)
  lu.assertEquals(accepted.readyState, 2)
  peer:reset()
  self.rig:wait(function() return server.clientCount == 0 end)
end

function T:test_onupgrade_that_raises_after_reject()
  local _, _, port = self.rig:listen { onupgrade = function(request)
    request:reject(404)
    oops()
  end }
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 404)
  reported(self.rig)
end

-- An answer that could not be given is none: 500, not silence.
function T:test_answers_that_raise()
  for _, answer in ipairs {
    { 99 }, { 101 }, { 600 }, { 200.5 }, { "oops" }, { {} }, { 200, "oops" }, { 200, { ["a b"] = "x" } },
    { 200, { X = "a\r\nb" } }, { 200, { ["Content-Length"] = "3" } }, { 200, { Connection = "x" } },
    { 200, { ["Transfer-Encoding"] = "x" } }, { 200, { X = true } }, { 200, nil, {} }, { 4294967496 },
  } do
    for _, kind in ipairs { "onrequest", "onupgrade", "verify" } do
      local _, _, port = self.rig:listen { [kind] = function(request, response)
        if kind == "verify" then return false, answer[1], answer[2], answer[3] end
        if response then response:send(answer[1], answer[2], answer[3]) end
        request:reject(answer[1], answer[2], answer[3])
      end }
      local got = visitors.ask(self.rig, port, kind == "onrequest" and visitors.plain() or visitors.upgrade())
      lu.assertEquals({ got.status, got.body }, { 500, "internal error\n" })
      lu.assertEquals(#self.rig.errors, 1)
      self.rig.errors = {}
    end
  end
end

function T:test_onrequest()
  local _, _, port = self.rig:listen { onrequest = oops }
  local bystander = visitors.bystander(self.rig, port)
  local answer = visitors.ask(self.rig, port, visitors.plain())
  lu.assertEquals({ answer.status, answer.headers.connection }, { 500, "close" })
  reported(self.rig)
  bystander:check()
end

function T:test_onrequest_that_raises_after_its_answer()
  local _, _, port = self.rig:listen { onrequest = function(_, response)
    response:send(200, nil, "fine")
    oops()
  end }
  local answer = visitors.ask(self.rig, port, visitors.plain())
  lu.assertEquals({ answer.status, answer.body }, { 200, "fine" })
  reported(self.rig)
end

-- ---- the server's own --------------------------------------------------------------------

function T:test_events_of_the_server()
  local server, _, port = self.rig:listen { onlistening = oops, onrefused = oops }
  reported(self.rig)
  visitors.visit(self.rig, port):close()
  reported(self.rig)
  visitors.bystander(self.rig, port):check()
  server.onclosed = oops
  server:close(1001, "", 0)
  reported(self.rig)
end

-- ---- who hears of it --------------------------------------------------------------------

function T:test_any_value_can_be_raised()
  local object = setmetatable({}, { __tostring = function() return "oops" end })
  for _, value in ipairs { { "a table" }, 42, false, object } do
    local _, _, port = self.rig:listen { onmessage = function() error(value) end }
    local peer = visitors.knock(self.rig, port)
    peer:frame {}
    lu.assertEquals(peer:take_close(), 1011)
    lu.assertEquals(#self.rig.errors, 1)
    local e = table.remove(self.rig.errors)
    lu.assertTrue(rawequal(e[1], value))
    lu.assertStrContains(e[2], "stack traceback:")
  end
end

function T:test_onerror_that_raises()
  local output, code = process.run_lua { "-e", [[
    local wsock = require "wsock"
    wsock.onerror = function() error "worse" end
    local server = assert(wsock.listen{ port = 0, onmessage = function() error "bad" end })
    local socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, server:address()))
    socket.onopen = function() socket:send "x" end
    socket.onclose = function(event)
      print(event.code)
      server:close()
    end
    wsock.run()]] }
  lu.assertEquals(code, 0, output)
  lu.assertStrContains(output, "worse")
  lu.assertStrContains(output, "1011")
end

function T:test_without_onerror_it_goes_to_standard_error()
  local output, code = process.run_lua { "-e", [[
    local wsock = require "wsock"
    local server = assert(wsock.listen{ port = 0, onmessage = function() error "bad luck" end })
    local socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, server:address()))
    socket.onopen = function() socket:send "x" end
    socket.onclose = function(event)
      print(event.code)
      server:close()
    end
    wsock.run()]] }
  lu.assertEquals(code, 0, output)
  lu.assertStrMatches(output, "wsock: .*bad luck\nstack traceback:.*1011\n")
end

function T:test_handlers_cannot_run_the_loop()
  local messages = {}
  local _, _, port = self.rig:listen { onmessage = function()
    for i, call in ipairs { "run", "step", "close" } do
      messages[i] = select(2, pcall(self.rig.loop[call], self.rig.loop))
    end
  end }
  local peer = visitors.knock(self.rig, port)
  peer:frame {}
  self.rig:wait(function() return #messages == 3 end)
  lu.assertStrContains(messages[1], "cannot be called in a handler")
  lu.assertStrContains(messages[2], "cannot be called in a handler")
  lu.assertStrContains(messages[3], "cannot be closed while it runs")
  peer:frame { op = "ping", "still" }
  lu.assertEquals(peer:take().payload, "still")
end

-- A loop inside a handler is another one's business.
function T:test_another_loop_in_a_handler()
  local got
  local _, _, port = self.rig:listen { onmessage = function(socket)
    local loop <close> = wsock.loop()
    loop:after(0, function() got = "other" end)
    loop:run()
    socket:send(got)
  end }
  local peer = visitors.knock(self.rig, port)
  peer:frame {}
  lu.assertEquals(peer:take().payload, "other")
end

return T
