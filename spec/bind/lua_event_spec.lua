-- bind/lua_event: which events come, in which order, with what in them. How
-- connections end is in lua_event_close_spec.lua.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

-- ---- order -----------------------------------------------------------------------------

-- W-12, S8: nothing happens before the loop turns
function T:test_no_event_in_the_constructor()
  local server = self.rig:raw_server()
  server:close()
  local socket = self.rig:client(server.url)
  lu.assertEquals(socket.readyState, socket.CONNECTING)
  local record = rigs.record(socket) -- not too late
  self.rig:closed(record)
  lu.assertEquals(#record, 2)
end

-- W-56: open before any message even if both came in one packet, one by one
function T:test_head_and_frames_in_one_packet()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local record = rigs.record(socket, true)
  local peer = server:accept()
  local key = peer:head():match "Key: (%S+)"
  peer:send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
    .. require "wsock.core".codec.accept(key) .. "\r\n\r\n" .. bytes.frame { op = "ping", "p" }
    .. bytes.frame { "one" } .. bytes.frame { op = "binary", "two" } .. bytes.frame { op = "pong", "q" }
    .. bytes.close(1000, "z"))
  lu.assertEquals(peer:take().op, bytes.OP.pong)
  peer:close()
  self.rig:closed(record)
  lu.assertEquals(tostring(record),
    "open@1 ping:p@1 text:one@1 binary:two@1 pong:q@1 close:1000:z:true@3")
end

-- W-51, W-56, C3: a handler that closes stops later queued messages
function T:test_nothing_after_close_in_a_handler()
  for _, how in ipairs { "close", "terminate" } do
    local socket, record, peer = self.rig:opened { closeTimeout = 0.05 }
    socket:on("message", function() socket[how](socket) end)
    peer:send(bytes.frame { "one" } .. bytes.frame { "two" } .. bytes.frame { op = "ping", "" })
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "open text:one close:1006::false", how)
  end
end

function T:test_messages_under_way_when_we_close_are_dropped()
  lu.assertEquals((self.rig:life(function(socket, peer)
    peer:frame { "late" }
    socket:close(1000)
    peer:take_close()
    peer:frame { "later" }
    peer:say_close(1000)
    peer:close()
  end)), "close:1000::true")
end

function T:test_data_after_the_peers_close_is_ignored()
  lu.assertEquals((self.rig:life(function(_, peer)
    peer:send(bytes.close(1000, "x") .. bytes.frame { "late" } .. bytes.close(1001) .. "\xff\xff\xff")
    peer:take_close()
    peer:close()
  end)), "close:1000:x:true")
end

-- S14
function T:test_open_message_close_with_a_server_of_ours()
  local near, record = self.rig:pair(nil, {
    onmessage = function(s, data, kind)
      s:send("Hello from server, " .. data, kind)
      s:close(1000, "Bye!")
    end,
  })
  near:send "John"
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "open text:Hello from server, John close:1000:Bye!:true")
end

function T:test_error_once_then_close_once()
  local socket, record, peer = self.rig:opened()
  peer:send("\xff\xff" .. "\xff\xff")
  peer:close()
  self.rig:closed(record)
  socket:close()
  socket:terminate()
  self.rig:settle()
  lu.assertEquals(tostring(record), "open error:PROTOCOL close:1006::false")
end

-- ---- event tables (W-50 to W-55) -----------------------------------------------------------

function T:events_of(fn)
  local list = {}
  local socket, record, peer = self.rig:opened()
  for _, name in ipairs { "message", "error", "close", "ping", "pong", "drain" } do
    socket["on" .. name] = function(event) list[#list + 1] = event end
  end
  fn(socket, peer)
  self.rig:closed(record)
  for _, event in ipairs(list) do
    lu.assertIs(event.target, socket)
    lu.assertIs(event.currentTarget, socket)
    lu.assertTrue(rawequal(event.target, socket))
  end
  return list, socket, record
end

function T:test_event_tables()
  local list, socket = self:events_of(function(_, peer)
    peer:frame { "t" }
    peer:frame { op = "binary", "\0\xff" }
    peer:frame { op = "ping", "pi" }
    peer:frame { op = "pong", "po" }
    peer:say_close(3000, "why")
    peer:take_close()
    peer:close()
  end)
  local origin = socket.url:match "^(.*)/$"
  local function fields(e, ...)
    local t = {}
    for _, key in ipairs { ... } do t[#t + 1] = tostring(e[key]) end
    return table.concat(t, " ")
  end
  lu.assertEquals(#list, 5)
  lu.assertEquals(fields(list[1], "type", "data", "kind", "origin"), "message t text " .. origin)
  lu.assertEquals(fields(list[2], "type", "data", "kind", "origin"), "message \0\xff binary " .. origin)
  lu.assertEquals(fields(list[3], "type", "data"), "ping pi")
  lu.assertEquals(fields(list[4], "type", "data"), "pong po")
  lu.assertEquals(fields(list[5], "type", "code", "reason", "wasClean"), "close 3000 why true")
  lu.assertTrue(math.type(list[5].code) == "integer")
end

function T:test_open_event_and_what_is_known_by_then()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, { "a", "b" })
  local event, protocol, state
  lu.assertEquals({ socket.protocol, socket.extensions }, { "", "" })
  socket.onopen = function(e) event, protocol, state = e, socket.protocol, socket.readyState end
  local peer = server:welcome "Sec-WebSocket-Protocol: b"
  self.rig:wait(function() return event end)
  lu.assertEquals({ event.type, protocol, state }, { "open", "b", 1 })
  lu.assertStrContains(peer.request, "Sec-WebSocket-Protocol: a, b\r\n")
end

function T:test_error_event()
  local list = self:events_of(function(_, peer) peer:frame { mask = true, "x" } peer:close() end)
  lu.assertEquals({ list[1].type, list[1].code, list[1].message },
    { "error", "PROTOCOL", "frame from the server is masked" })
  lu.assertNil(list[1].status)
  lu.assertEquals({ list[2].type, list[2].code, list[2].reason, list[2].wasClean }, { "close", 1006, "", false })
end

function T:test_error_event_of_a_refusal_has_the_status()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local event
  socket.onerror = function(e) event = e end
  local peer = server:accept()
  peer:head()
  peer:send "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nX-Why: because\r\n\r\nno!"
  self.rig:wait(function() return event end)
  lu.assertEquals({ event.status, event.code }, { 403, "HANDSHAKE" })
  lu.assertEquals({ socket.response.status, socket.response.body, socket.response.headers["x-why"] },
    { 403, "no!", "because" })
end

-- One event table is shared by those who want one.
function T:test_listeners_get_the_same_table()
  local socket, _, peer = self.rig:opened()
  local first, second
  socket.onmessage = function(e) first = e end
  socket:addEventListener("message", function(e) second = e end)
  peer:frame { "x" }
  self.rig:wait(function() return second end)
  lu.assertTrue(rawequal(first, second))
end

-- ---- no listeners ---------------------------------------------------------------------------

function T:test_a_socket_without_listeners_still_works()
  local near, _, far, far_record = self.rig:pair()
  near:send "unheard"
  far:send "unheard"
  far:ping "x"
  self.rig:wait(function() return far.latency end)
  near:off "message"
  far:off "message"
  near:send "unheard too"
  near:close(1000)
  self.rig:closed(far_record)
  lu.assertEquals(far_record:last(), "close:1000::true")
end

-- ---- a text that is sent on -----------------------------------------------------------------

-- A long text that came is not looked at again when it is sent on: each of these
-- acts on one, as `act(socket, data)` in its handler, must not get past that.
function T:relayed(act, kind, sent)
  local got, far = {}, nil
  sent = sent or ("ä€"):rep(500)
  local near = self.rig:pair(nil, { onmessage = function(socket, data)
    far = socket
    act(socket, data)
  end })
  near:on("message", function(data) got[#got + 1] = data end)
  near:send(sent, kind)
  self.rig:wait(function() return far and #got > 0 end)
  return got, sent, far
end

function T:test_what_came_is_sent_on()
  for _, n in ipairs { 0, 1023, 1024, 1025, 100000 } do -- from 1024 on it counts
    local text = ("x"):rep(n % 5) .. ("ä€"):rep(n // 5)
    local got = self:relayed(function(socket, data) socket:send(data) end, "text", text)
    lu.assertEquals(got, { text })
  end
end

function T:test_bytes_in_the_place_of_a_text_that_is_gone()
  local raised = 0
  local got = self:relayed(function(socket, data)
    local n = #data
    data = nil -- luacheck: ignore
    for _ = 1, 200 do
      collectgarbage()
      if not pcall(socket.send, socket, ("\xff"):rep(n)) then raised = raised + 1 end
    end
    socket:send "end"
  end)
  lu.assertEquals({ raised, got[1] }, { 200, "end" })
end

function T:test_binary_is_no_text()
  local ok = {}
  self:relayed(function(socket, data)
    ok[1] = pcall(socket.send, socket, data .. "\xff")
    ok[2] = pcall(socket.send, socket, data)
    ok[3] = pcall(socket.send, socket, wsock.blob(data):slice(0, 1001), "text") -- cuts a character
    socket:send "end"
  end, "binary")
  lu.assertEquals(ok, { false, true, false })
end

function T:test_in_the_middle_of_a_text_in_parts()
  local raised
  local got, sent = self:relayed(function(socket, data)
    socket:send("\xc3", "text", { final = false })
    raised = not pcall(socket.send, socket, data)
    socket:send("\xa4", "text", { final = false })
    socket:send(data, "text", { final = false })
    socket:send(data, "text")
  end)
  lu.assertTrue(raised)
  lu.assertEquals(got, { "ä" .. sent .. sent })
end

-- After a handler's error was thrown through run, and in the turns after.
function T:test_in_later_turns()
  local kept
  local _, sent, far = self:relayed(function(socket, data) kept = data socket:send "x" end)
  lu.assertEquals(kept, sent)
  lu.assertTrue(far:send(kept))
  lu.assertErrorMsgContains("UTF-8", far.send, far, ("\xff"):rep(#kept))
end

return T
