-- bind/lua_props: what a socket shows, and what may be set.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local rigs = require "support.rig"

local T = rigs.class()
local contains = lu.assertErrorMsgContains

-- ---- constants and names ---------------------------------------------------------------

-- W-20
function T:test_constants()
  local socket = self.rig:opened()
  for i, name in ipairs { "CONNECTING", "OPEN", "CLOSING", "CLOSED" } do
    lu.assertEquals(socket[name], i - 1)
    lu.assertEquals(wsock[name], i - 1)
    contains("'" .. name .. "'", function() socket[name] = 7 end)
    contains("'" .. name .. "'", function() wsock[name] = 7 end)
  end
end

function T:test_what_may_not_be_set()
  local socket = self.rig:opened()
  for _, name in ipairs { "readyState", "bufferedAmount", "url", "protocol", "extensions", "isPaused", "request",
    "response", "latency", "remoteAddress", "remotePort", "localAddress", "localPort", "send", "close", "on" } do
    contains("field '" .. name .. "' of a socket is read-only", function() socket[name] = 1 end)
  end
end

-- A misspelt name is an error at the assignment, naming the nearest.
function T:test_unknown_names()
  local socket = self.rig:opened()
  contains("'onmesage'; did you mean 'onmessage'?", function() socket.onmesage = print end)
  contains("'onMessage'; did you mean 'onmessage'?", function() socket.onMessage = print end)
  contains("'onconnection'", function() socket.onconnection = print end) -- a server's
  contains("unknown", function() socket.anything = 1 end)
  lu.assertError(function() socket[1] = 1 end)
  lu.assertError(function() socket[{}] = 1 end)
  lu.assertNil(socket.anything)
  lu.assertNil(socket.onmesage)
  lu.assertNil(socket[1])
  lu.assertNil(socket[true])
end

function T:test_a_socket_is_no_table()
  local socket = self.rig:opened()
  lu.assertEquals(type(socket), "userdata")
  lu.assertFalse(getmetatable(socket))
  lu.assertError(setmetatable, socket, {})
end

function T:test_tostring()
  local socket, record, peer = self.rig:opened()
  lu.assertStrContains(tostring(socket), socket.url)
  lu.assertStrContains(tostring(socket), "open")
  peer:close()
  self.rig:closed(record)
  lu.assertStrContains(tostring(socket), "closed")
  local _, _, far = self.rig:pair()
  lu.assertStrContains(tostring(far), "open")
end

function T:test_data_is_the_users()
  local socket = self.rig:opened()
  lu.assertNil(socket.data)
  for _, value in ipairs { 1, "x", false, {}, print, socket } do
    socket.data = value
    lu.assertTrue(rawequal(socket.data, value))
  end
  socket.data = nil
  lu.assertNil(socket.data)
end

-- W-28; what comes of it: lua_bytes_spec.lua
function T:test_binary_type()
  local socket = self.rig:opened()
  lu.assertEquals(socket.binaryType, "string")
  for _, good in ipairs { "blob", "arraybuffer", "string" } do
    socket.binaryType = good
    lu.assertEquals(socket.binaryType, good)
  end
  for _, bad in ipairs { "nodebuffer", "", 1, true } do
    lu.assertError(function() socket.binaryType = bad end)
  end
  lu.assertError(function() socket.binaryType = nil end)
  lu.assertEquals(socket.binaryType, "string")
end

-- ---- the state (W-22, W-23) --------------------------------------------------------------

function T:test_ready_state_over_a_life()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, "p")
  local record = rigs.record(socket, true)
  lu.assertEquals({ socket.readyState, socket.protocol, socket.extensions }, { 0, "", "" })
  local peer = server:welcome "Sec-WebSocket-Protocol: p"
  lu.assertEquals(socket.readyState, 0)
  self.rig:events(record, 1)
  lu.assertEquals({ socket.readyState, socket.protocol, socket.extensions }, { 1, "p", "" })
  socket:close(1000)
  lu.assertEquals(socket.readyState, 2)
  peer:take_close()
  peer:say_close(1000)
  peer:close()
  self.rig:closed(record)
  lu.assertEquals({ socket.readyState, socket.protocol }, { 3, "p" })
  lu.assertEquals(tostring(record), "open@1 close:1000::true@3")
end

function T:test_closing_when_the_peer_closes()
  local socket, record, peer = self.rig:opened()
  peer:say_close(1000)
  self.rig:wait(function() return socket.readyState == 2 end)
  lu.assertEquals(tostring(record), "open")
  peer:close()
  self.rig:closed(record)
end

-- ---- bufferedAmount (W-24 to W-27) ----------------------------------------------------------

function T:test_buffered_amount_grows_in_send_and_falls_between_turns()
  local socket, _, peer = self.rig:opened()
  lu.assertEquals(socket.bufferedAmount, 0)
  socket:send "hello"
  lu.assertEquals(socket.bufferedAmount, 5)
  socket:send "\xc3\xa9"
  lu.assertEquals(socket.bufferedAmount, 7)
  socket:send("\0\xff", "binary")
  socket:send ""
  socket:ping "not data"
  lu.assertEquals(socket.bufferedAmount, 9)
  lu.assertEquals(socket:stats().buffered, 9)
  for _ = 1, 5 do peer:take() end
  lu.assertEquals(socket.bufferedAmount, 0)
end

function T:test_buffered_amount_stands_still_in_a_handler()
  local near, _, far = self.rig:pair()
  local seen = {}
  far:on("message", function()
    for _ = 1, 3 do
      far:send "12345"
      seen[#seen + 1] = far.bufferedAmount
    end
  end)
  near:send "go"
  near:send "on"
  self.rig:wait(function() return #seen == 6 end)
  lu.assertEquals(table.concat(seen, " "):sub(1, 7), "5 10 15")
  self.rig:idle()
  lu.assertEquals(far.bufferedAmount, 0)
end

-- What the system takes is counted to the byte: by what has really arrived.
function T:test_buffered_amount_is_exact_for_a_peer_that_does_not_read()
  local socket, record, peer = self.rig:opened { closeTimeout = 0.05 }
  local n = 1 << 20
  for i = 1, 12 do
    socket:send(("x"):rep(n), "binary")
    lu.assertEquals(socket.bufferedAmount, i * n)
  end
  self.rig:idle(20)
  local waits = socket.bufferedAmount
  lu.assertTrue(waits > 0 and waits < 12 * n, waits)
  local out = socket:stats().bytesOut
  self.rig:idle(20)
  lu.assertEquals({ socket.bufferedAmount, socket:stats().bytesOut }, { waits, out })
  -- Frames have 14 bytes of head here; the request went out before them.
  local payload = out - #peer.request
  payload = payload - 14 * (payload // (n + 14)) - math.min(14, payload % (n + 14))
  lu.assertEquals(waits, 12 * n - payload)
  socket:terminate()
  self.rig:closed(record)
  lu.assertEquals(socket.bufferedAmount, waits) -- W-26: it does not reset
  socket:send "12345"
  lu.assertEquals(socket.bufferedAmount, waits + 5)
end

function T:test_buffered_amount_falls_to_nothing_as_the_peer_reads()
  local socket, _, peer = self.rig:opened()
  socket:send(("x"):rep(4 << 20), "binary")
  local last = socket.bufferedAmount
  self.rig:wait(function()
    peer:look()
    local now = socket.bufferedAmount
    lu.assertTrue(now <= last, "it grew by itself")
    last = now
    return now == 0
  end)
  lu.assertEquals(#peer:take().payload, 4 << 20)
end

-- ---- drain ------------------------------------------------------------------------------------

function T:test_drain_after_the_high_water_mark_was_passed()
  local socket, record, peer = self.rig:opened { highWaterMark = 100000, lowWaterMark = 1000 }
  socket:send(("x"):rep(90000), "binary")
  peer:take()
  self.rig:idle()
  lu.assertEquals(tostring(record), "open") -- it was never above
  socket:on("drain", function() record.at = socket:stats().buffered end)
  socket:send(("x"):rep(100000), "binary")
  peer:take()
  self.rig:wait(function() return record.at end)
  lu.assertTrue(record.at <= 1000, record.at)
  self.rig:idle()
  lu.assertEquals(tostring(record), "open drain") -- once
end

function T:test_no_drain_for_what_goes_at_once()
  local socket, record, peer = self.rig:opened()
  socket:send "small"
  peer:take()
  self.rig:idle()
  lu.assertEquals(tostring(record), "open")
end

function T:test_marks_of_zero()
  local socket, record, peer = self.rig:opened { highWaterMark = 0, lowWaterMark = 0 }
  socket:send "x"
  peer:take()
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open drain")
end

-- ---- addresses ---------------------------------------------------------------------------------

function T:test_addresses_of_both_ends()
  local near, record, far, far_record, server = self.rig:pair()
  local host, port = server:address()
  lu.assertEquals({ near.remoteAddress, near.remotePort }, { host, port })
  lu.assertEquals({ far.localAddress, far.localPort }, { host, port })
  lu.assertEquals({ far.remoteAddress, far.remotePort }, { near.localAddress, near.localPort })
  lu.assertEquals(math.type(near.localPort), "integer")
  local at_close
  far:on("close", function() at_close = far.remoteAddress end)
  near:close()
  self.rig:closed(record)
  self.rig:closed(far_record)
  lu.assertEquals(at_close, "127.0.0.1") -- for the log
end

function T:test_addresses_of_a_unix_socket()
  local dir, remove = require "support.process".directory()
  local far
  self.rig:keep(wsock.listen { path = dir .. "/s", loop = self.rig.loop, onconnection = function(s) far = s end })
  local near = self.rig:client("ws+unix:" .. dir .. "/s")
  self.rig:wait(function() return far and near.readyState == 1 end)
  lu.assertEquals({ near.remoteAddress, far.localAddress }, { dir .. "/s", dir .. "/s" })
  lu.assertNil(near.remotePort)
  lu.assertNil(near.localPort)
  lu.assertNil(far.remotePort)
  remove()
end

function T:test_addresses_before_a_connection()
  local socket = self.rig:client(self.rig:raw_server().url)
  lu.assertNil(socket.localAddress)
  lu.assertNil(socket.localPort)
  lu.assertNil(socket.remoteAddress)
  lu.assertNil(socket.remotePort)
end

function T:test_local_address_option()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { localAddress = "127.0.0.2" })
  local peer = server:welcome()
  lu.assertEquals(peer.sock:getpeername(), "127.0.0.2")
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertEquals(socket.localAddress, "127.0.0.2")
  for _, bad in ipairs { "localhost", "", "1.2.3", "127.0.0.1:80", "[::1]" } do
    contains("localAddress", wsock.WebSocket, server.url, nil, { localAddress = bad })
  end
  contains("localAddress", wsock.WebSocket, server.url, nil, { localAddress = 1 })
end

function T:test_local_address_that_is_not_ours()
  local record = rigs.record(self.rig:client("ws://127.0.0.1:1/", nil, { localAddress = "192.0.2.1" }))
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:EADDRNOTAVAIL close:1006::false")
  record = rigs.record(self.rig:client("ws://127.0.0.1:1/", nil, { localAddress = "::1" }))
  self.rig:closed(record)
  lu.assertStrMatches(tostring(record), "error:E%u+ close:1006::false")
end

-- ---- request, response -----------------------------------------------------------------------------

function T:test_response_of_an_accepted_handshake()
  local socket = self.rig:opened(nil, "X-Server: raw", "Set-Cookie: a=1", "Set-Cookie: b=2", "X-List: 1", "x-list: 2")
  local response = socket.response
  lu.assertEquals({ response.status, response.reason }, { 101, "Switching Protocols" })
  lu.assertEquals(response.headers["x-SERVER"], "raw")
  lu.assertEquals(response.headers["X-List"], "1, 2")
  lu.assertEquals(response.headers:all "set-cookie", { "a=1", "b=2" })
  lu.assertEquals(response.headers:all "nothing", {})
  lu.assertNil(response.headers.nothing)
  lu.assertNil(socket.request)
end

function T:test_no_response_before_there_is_one()
  local socket = self.rig:client(self.rig:raw_server().url)
  lu.assertNil(socket.response)
  socket:terminate()
end

-- Refuses a client with this answer, byte for byte; its socket and record.
function T:refused(answer, options)
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, options)
  local record = rigs.record(socket)
  local peer = server:accept()
  peer:head()
  pcall(peer.send, peer, answer)
  peer:close()
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:HANDSHAKE close:1006::false")
  return socket
end

function T:test_body_of_a_refusal_up_to_64_kib()
  for _, n in ipairs { 0, 1, 65535, 65536, 65537, 200000 } do
    local socket = self:refused("HTTP/1.1 404 Not Found\r\nContent-Length: " .. n .. "\r\n\r\n" .. ("b"):rep(n))
    lu.assertEquals({ socket.response.status, socket.response.reason, #socket.response.body },
      { 404, "Not Found", math.min(n, 65536) })
  end
end

function T:test_body_of_a_refusal_by_other_means()
  local chunked = self:refused("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n"
    .. "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
  lu.assertEquals(chunked.response.body, "abcde")
  local until_end = self:refused "HTTP/1.1 400 Bad Request\r\n\r\nall of it"
  lu.assertEquals(until_end.response.body, "all of it")
  local cut = self:refused "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\npart"
  lu.assertEquals(cut.response.body, "part")
  local none = self:refused "HTTP/1.1 204 No Content\r\n\r\n"
  lu.assertEquals(none.response.body, "")
end

-- ---- latency, stats ------------------------------------------------------------------------------------

function T:test_latency()
  local socket, record, peer = self.rig:opened()
  lu.assertNil(socket.latency)
  peer:frame { op = "pong", "unasked" }
  self.rig:events(record, 2)
  lu.assertNil(socket.latency)
  socket:ping "x"
  lu.assertEquals(peer:take().payload, "x")
  peer:frame { op = "pong", "x" }
  self.rig:events(record, 3)
  lu.assertTrue(socket.latency >= 0 and socket.latency < 5)
  lu.assertEquals(math.type(socket.latency), "float")
end

function T:test_stats()
  local socket, record, peer = self.rig:opened()
  local before = socket:stats()
  lu.assertEquals({ before.messagesIn, before.messagesOut, before.framesIn, before.framesOut }, { 0, 0, 0, 0 })
  lu.assertEquals(before.bytesOut, #peer.request)
  socket:send("a", "text", { final = false })
  socket:send "b"
  socket:ping "p"
  for _ = 1, 3 do peer:take() end
  local frames = bytes.frame { fin = false, "xx" } .. bytes.frame { op = 0, "yy" } .. bytes.frame { op = "pong", "p" }
  peer:send(frames)
  self.rig:events(record, 3)
  local after = socket:stats()
  lu.assertEquals({ after.messagesIn, after.messagesOut, after.framesIn, after.framesOut }, { 1, 1, 3, 3 })
  lu.assertEquals(after.bytesIn - before.bytesIn, #frames)
  lu.assertEquals(after.bytesOut - before.bytesOut, 3 * 6 + 3)
  lu.assertEquals(after.buffered, 0)
  lu.assertTrue(after.sinceReceived >= 0 and after.sinceReceived < 5)
end

function T:test_no_delay_option()
  local server = self.rig:raw_server()
  for _, on in ipairs { true, false } do
    local socket = self.rig:client(server.url, nil, { noDelay = on })
    local peer = server:welcome()
    self.rig:wait(function() return socket.readyState == 1 end)
    lu.assertNotNil(peer)
  end
  contains("noDelay", wsock.WebSocket, server.url, nil, { noDelay = 1 })
end

return T
