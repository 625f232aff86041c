-- bind/lua_event: the close table of the WHATWG object, case by case, against
-- raw peers, for both roles.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"

local T = rigs.class()

-- The answer of a server that is no server of ours; what the client tells.
function T:answered(answer, protocols)
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, protocols, { closeTimeout = 0.05 })
  local record = rigs.record(socket, true)
  local peer = server:accept()
  local key = peer:head():match "Key: (%S+)"
  peer:send((answer:gsub("KEY", function() return require "wsock.core".codec.accept(key) end)))
  self.rig:closed(record)
  return tostring(record), record, socket
end

-- ---- the close table ---------------------------------------------------------------

function T:test_case_1_refused()
  local port = self.rig:dead_port()
  local record = rigs.record(self.rig:client("ws://127.0.0.1:" .. port), true)
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:ECONNREFUSED@3 close:1006::false@3")
  lu.assertStrContains(record.message, "connect 127.0.0.1:" .. port .. ": ")
end

function T:test_case_1_no_such_name()
  local record = rigs.record(self.rig:client "ws://nowhere.invalid/", true)
  self.rig:closed(record)
  lu.assertStrMatches(tostring(record), "error:EAI_%u+@3 close:1006::false@3")
  lu.assertStrContains(record.message, "resolve nowhere.invalid: ")
end

function T:test_case_1_the_server_leaves_before_its_answer()
  for _, part in ipairs { "", "H", "HTTP/1.1 101 Switching Protocols\r\nUpgr" } do
    local server = self.rig:raw_server()
    local record = rigs.record(self.rig:client(server.url), true)
    local peer = server:accept()
    peer:head()
    if part ~= "" then peer:send(part) end
    peer:close()
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "error:CLOSED@3 close:1006::false@3", part)
  end
end

function T:test_case_2_another_status()
  for _, answer in ipairs {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n",
  } do
    local seen, record = self:answered(answer)
    lu.assertEquals(seen, "error:HANDSHAKE@3 close:1006::false@3", answer)
    lu.assertStrContains(record.message, answer:match " (%d%d%d) ")
  end
end

function T:test_case_2_a_101_that_is_wrong()
  local lines = { "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: KEY" }
  local function with(line, at)
    local copy = table.move(lines, 1, #lines, 1, {})
    copy[at or #copy + 1] = line
    if line == "" then table.remove(copy, at) end
    return table.concat(copy, "\r\n") .. "\r\n\r\n"
  end
  for _, answer in ipairs {
    with("", 2), with("", 3), with("", 4), with("Upgrade: h2c", 2), with("Connection: close", 3),
    with("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 4),
    with "Sec-WebSocket-Protocol: chat", with "Sec-WebSocket-Extensions: permessage-deflate; no",
    "ICY 101 fine\r\n\r\n", "HTTP/1.1 1x1 no\r\n\r\n", "\r\n\r\n\r\n\r\n", "hello?\n\n",
  } do
    lu.assertEquals((self:answered(answer)), "error:HANDSHAKE@3 close:1006::false@3", answer)
  end
  lu.assertEquals((self:answered(with "X-Fine: yes" .. bytes.close(1000))),
    "open@1 close:1000::true@3")
end

-- W-15
function T:test_case_2_no_answer_to_the_subprotocols()
  lu.assertEquals((self:answered("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Accept: KEY\r\n\r\n", { "chat" })), "error:HANDSHAKE@3 close:1006::false@3")
end

function T:test_case_3_close_while_connecting()
  for _, how in ipairs { "at once", "accepted", "asked" } do
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url)
    local record = rigs.record(socket, true)
    local peer
    if how ~= "at once" then peer = server:accept() end
    if how == "asked" then peer:head() end
    lu.assertTrue(socket:close(3000, "never mind"))
    lu.assertEquals(socket.readyState, socket.CLOSING, how) -- W-44: at once
    lu.assertEquals(tostring(record), "", how) -- but told later
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "error:CLOSED@3 close:1006::false@3", how)
    if peer then lu.assertEquals(peer:take_end(), "closed") end
  end
end

function T:test_case_3_close_while_the_name_is_looked_up()
  local socket = self.rig:client "ws://nowhere.invalid/"
  local record = rigs.record(socket, true)
  socket:close()
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:CLOSED@3 close:1006::false@3")
end

function T:test_case_4_the_server_closes()
  local seen, peer = self.rig:life(function(_, peer)
    peer:say_close(1000, "bye")
    lu.assertEquals(peer:take_close(), 1000)
    peer:close()
  end)
  lu.assertEquals(seen, "close:1000:bye:true")
  lu.assertNotNil(peer)
end

function T:test_case_5_the_server_closes_without_a_code()
  lu.assertEquals((self.rig:life(function(_, peer)
    peer:say_close()
    lu.assertNil((peer:take_close()))
    peer:close()
  end)), "close:1005::true")
end

function T:test_case_6_we_close_without_a_code()
  lu.assertEquals((self.rig:life(function(socket, peer)
    socket:close()
    lu.assertEquals(socket.readyState, socket.CLOSING)
    lu.assertNil((peer:take_close())) -- W-46: an empty Close
    peer:say_close()
    peer:close()
  end)), "close:1005::true")
end

function T:test_case_7_we_close_with_a_code()
  lu.assertEquals((self.rig:life(function(socket, peer)
    socket:close(3000, "x")
    lu.assertEquals({ peer:take_close() }, { 3000, "x" })
    peer:say_close(3000, "x")
    peer:close()
  end)), "close:3000:x:true")
end

function T:test_case_8_both_close()
  lu.assertEquals((self.rig:life(function(socket, peer)
    peer:say_close(4222, "server's")
    socket:close(4111, "ours")
    lu.assertEquals({ peer:take_close() }, { 4111, "ours" })
    peer:close()
  end)), "close:4222:server's:true")
end

function T:test_case_9_another_code_comes_back()
  lu.assertEquals((self.rig:life(function(socket, peer)
    socket:close(3000, "x")
    peer:take_close()
    peer:say_close(1000, "ok")
    peer:close()
  end)), "close:1000:ok:true")
end

function T:test_case_10_the_connection_ends_without_close()
  lu.assertEquals((self.rig:life(function(_, peer) peer:close() end)), "error:CLOSED close:1006::false")
end

function T:test_case_10_the_connection_is_reset()
  lu.assertEquals((self.rig:life(function(_, peer) peer:reset() end)), "error:ECONNRESET close:1006::false")
end

function T:test_case_10_in_the_middle_of_a_frame()
  lu.assertEquals((self.rig:life(function(_, peer)
    peer:send(bytes.frame { "half a message" }:sub(1, 8))
    peer:close()
  end)), "error:CLOSED close:1006::false")
end

function T:test_case_11_protocol_violations()
  for what, frame in pairs {
    masked = { mask = true, "x" }, rsv1 = { rsv = 4, "x" }, rsv2 = { rsv = 2, "x" }, rsv3 = { rsv = 1, "x" },
    reserved = { op = 3, "x" }, reserved_control = { op = 11, "" }, orphan = { op = "continuation", "x" },
    long_ping = { op = "ping", ("x"):rep(126) }, cut_ping = { op = "ping", fin = false, "" },
    wide = { wide = 16, "x" }, wider = { wide = 64, "x" },
  } do
    lu.assertEquals((self.rig:life(function(_, peer)
      peer:frame(frame)
      lu.assertEquals(peer:take_close(), 1002, what)
      peer:close()
    end)), "error:PROTOCOL close:1006::false", what)
  end
end

function T:test_case_12_text_that_is_not_utf8()
  lu.assertEquals((self.rig:life(function(_, peer)
    peer:frame { "\xff" }
    lu.assertEquals(peer:take_close(), 1007)
    peer:close()
  end)), "error:PROTOCOL close:1006::false")
end

function T:test_case_12_a_message_that_is_too_big()
  for _, n in ipairs { 9, 10, 11 } do
    local seen = self.rig:life(function(_, peer)
      peer:frame { op = "binary", ("x"):rep(n) }
      if n <= 10 then peer:say_close(1000) end
      lu.assertEquals(peer:take_close(), n <= 10 and 1000 or 1009)
      peer:close()
    end, { maxPayload = 10 })
    lu.assertEquals(seen, n <= 10 and "binary:" .. ("x"):rep(n) .. " close:1000::true"
      or "error:TOOBIG close:1006::false")
  end
end

function T:test_case_13_a_close_frame_that_is_wrong()
  for _, payload in ipairs { "\x03", "\x03\xed", "\x03\xee", "\x00\x00", "\x13\x88", "\x03\xe8\xff" } do
    lu.assertEquals((self.rig:life(function(_, peer)
      peer:frame { op = "close", payload }
      lu.assertEquals(peer:take_close(), #payload == 3 and 1007 or 1002)
      peer:close()
    end)), "error:PROTOCOL close:1006::false", bytes.hex(payload))
  end
end

function T:test_case_14_the_peer_never_answers_our_close()
  lu.assertEquals((self.rig:life(function(socket) socket:close(1000, "x") end, { closeTimeout = 0.05 })),
    "close:1006::false")
end

function T:test_case_14_the_peer_talks_on_and_never_answers()
  local socket, record, peer = self.rig:opened { closeTimeout = 0.05 }
  socket:close(1000)
  self.rig:wait(function()
    pcall(peer.send, peer, bytes.frame { "still talking" })
    return record.closed
  end)
  lu.assertEquals(rigs.after_open(record), "close:1006::false")
end

function T:test_case_15_the_peer_never_ends_tcp()
  clock.patiently(function(times)
    lu.assertEquals((self.rig:life(function(socket, peer)
      socket:close(3001, "done")
      peer:take_close()
      peer:say_close(3001, "done")
    end, { closeTimeout = 0.05 * times })), "close:3001:done:true")
  end)
end

function T:test_case_16_reset_after_both_closes()
  lu.assertEquals((self.rig:life(function(socket, peer)
    socket:close(1000, "a")
    peer:take_close()
    peer:say_close(1000, "b")
    peer:reset()
  end)), "close:1000:b:true")
end

-- Case 17 is the browser's when it can buffer no more; here send says so and
-- the connection lives (api.md).
function T:test_case_17_a_full_buffer_is_an_answer()
  local socket, record = self.rig:opened { maxBuffered = 10 }
  lu.assertEquals({ socket:send(("x"):rep(11)) }, { nil, "maxBuffered would be passed", "BUFFER" })
  lu.assertEquals(socket.readyState, socket.OPEN)
  self.rig:idle()
  lu.assertEquals(tostring(record), "open")
end

function T:test_case_18_terminate()
  local seen, peer = self.rig:life(function(socket)
    socket:terminate()
    lu.assertNotEquals(socket.readyState, socket.OPEN)
  end)
  lu.assertEquals(seen, "close:1006::false")
  peer:take_end()
end

function T:test_case_18_terminate_while_connecting_and_closing()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local record = rigs.record(socket)
  socket:terminate()
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "close:1006::false")
  lu.assertEquals((self.rig:life(function(s)
    s:close(1000)
    s:terminate()
  end)), "close:1006::false")
end

-- ---- the same table from the server's side ----------------------------------------------

function T:server_case(fn, options)
  local socket, record
  local _, _, port = self.rig:listen((function()
    local o = { onconnection = function(s) socket, record = s, rigs.record(s) end }
    for key, value in pairs(options or {}) do o[key] = value end
    return o
  end)())
  local peer = self.rig:raw_client(port)
  fn(socket, peer)
  self.rig:closed(record)
  lu.assertEquals(socket.readyState, socket.CLOSED)
  return tostring(record), peer
end

function T:test_server_the_client_closes()
  lu.assertEquals((self:server_case(function(_, peer)
    peer:say_close(4000, "bye")
    lu.assertEquals(peer:take_close(), 4000)
    peer:take_end() -- the server ends TCP first
    peer:close()
  end)), "close:4000:bye:true")
end

function T:test_server_closes()
  lu.assertEquals((self:server_case(function(socket, peer)
    socket:close(1001, "down")
    lu.assertEquals({ peer:take_close() }, { 1001, "down" })
    peer:say_close(1001)
    peer:take_end()
    peer:close()
  end)), "close:1001::true")
end

function T:test_server_fin_and_reset()
  lu.assertEquals((self:server_case(function(_, peer) peer:close() end)), "error:CLOSED close:1006::false")
  lu.assertEquals((self:server_case(function(_, peer) peer:reset() end)), "error:ECONNRESET close:1006::false")
end

function T:test_server_violations()
  for code, frame in pairs { [1002] = { mask = false, "x" }, [1007] = { "\xc3" }, [1009] = { ("x"):rep(11) } } do
    lu.assertStrMatches((self:server_case(function(_, peer)
      peer:frame(frame)
      lu.assertEquals(peer:take_close(), code)
      peer:take_end()
      peer:close()
    end, { maxPayload = 10 })), "error:%u+ close:1006::false")
  end
end

function T:test_server_silent_client()
  lu.assertEquals((self:server_case(function(socket) socket:close() end, { closeTimeout = 0.05 })),
    "close:1006::false")
end

function T:test_server_terminates()
  local seen, peer = self:server_case(function(socket) socket:terminate() end)
  lu.assertEquals(seen, "close:1006::false")
  peer:take_end()
end

return T
