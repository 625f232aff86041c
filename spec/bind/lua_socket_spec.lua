-- bind/lua_socket: what one does with a socket: send, ping, close, pause. How
-- it is made is in lua_client_spec.lua.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"

local T = rigs.class()
local contains = lu.assertErrorMsgContains

-- ---- send ------------------------------------------------------------------------------

-- W-30: checked before looking at the data
function T:test_send_while_connecting()
  local socket = self.rig:client(self.rig:raw_server().url)
  contains("InvalidStateError: ", socket.send, socket, "x")
  contains("InvalidStateError: ", socket.send, socket, {})
  contains("InvalidStateError: ", socket.ping, socket)
  contains("InvalidStateError: ", socket.pong, socket)
  lu.assertEquals(socket.bufferedAmount, 0)
end

-- W-32 to W-35
function T:test_what_arrives_for_what_is_sent()
  local socket, _, peer = self.rig:opened()
  local rows = {
    { { "hi" }, 1, "hi" }, { { "hi", "text" }, 1, "hi" }, { { "hi", "binary" }, 2, "hi" }, { { "" }, 1, "" },
    { { "", "binary" }, 2, "" }, { { "h\xc3\xa9\0" }, 1, "h\xc3\xa9\0" }, { { "\xff\0", "binary" }, 2, "\xff\0" },
    { { 1 }, 1, "1" }, { { -0.5 }, 1, "-0.5" }, { { math.maxinteger }, 1, "9223372036854775807" },
    { { 7, "binary" }, 2, "7" }, { { "x", nil, {} }, 1, "x" }, { { "x", "text", { final = true } }, 1, "x" },
  }
  for _, row in ipairs(rows) do
    lu.assertTrue(socket:send(table.unpack(row[1], 1, 3)))
    local frame = peer:take()
    lu.assertEquals({ frame.op, frame.payload, frame.fin, frame.masked, frame.rsv }, { row[2], row[3], true, true, 0 })
  end
end

function T:test_frames_of_all_sizes()
  local socket, _, peer = self.rig:opened()
  for _, n in ipairs { 0, 1, 125, 126, 127, 4095, 4096, 65535, 65536, 300000 } do
    local data = bytes.random(n)
    socket:send(data, "binary")
    local frame = peer:take()
    bytes.equals(frame.payload, data)
    lu.assertEquals(frame.wide, n < 126 and 7 or n < 65536 and 16 or 64)
  end
end

function T:test_what_cannot_be_sent_raises()
  local socket, _, peer = self.rig:opened()
  for _, bad in ipairs { true, {}, print, socket } do
    contains("data must be", socket.send, socket, bad)
  end
  contains("data must be", socket.send, socket, nil)
  lu.assertError(socket.send, socket)
  lu.assertError(socket.send)
  lu.assertError(socket.send, "not a socket", "x")
  lu.assertError(socket.send, io.stdout, "x")
  for _, bad in ipairs { "Text", "BINARY", "", "text\0", "blob", 1, true, {} } do
    contains("kind must be", socket.send, socket, "x", bad)
  end
  for _, bad in ipairs { "\xff", "\xc3", "a\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80" } do
    contains("UTF-8", socket.send, socket, bad)
    contains("UTF-8", socket.send, socket, bad, "text")
  end
  contains("fin", socket.send, socket, "x", "text", { fin = true })
  contains("final", socket.send, socket, "x", "text", { final = 1 })
  lu.assertError(socket.send, socket, "x", "text", true)
  lu.assertEquals(socket.bufferedAmount, 0) -- none of it was counted
  socket:send "fine"
  lu.assertEquals(peer:take().payload, "fine") -- nor sent
end

-- final = false: a fragment; following sends continue it
function T:test_fragments()
  local socket, _, peer = self.rig:opened()
  socket:send("h\xc3", "text", { final = false })
  socket:ping "between"
  socket:send("\xa9", "text", { final = false })
  socket:send "!"
  socket:send("b", "binary", { final = false })
  socket:send("", "binary")
  socket:send "next"
  local seen = {}
  for i = 1, 7 do
    local f = peer:take()
    seen[i] = f.op .. (f.fin and "." or "-") .. f.payload
  end
  lu.assertEquals(seen, { "1-h\xc3", "9.between", "0-\xa9", "0.!", "2-b", "0.", "1.next" })
end

function T:test_fragments_are_checked_as_one_text()
  local socket, _, peer = self.rig:opened()
  socket:send("\xe2\x82", "text", { final = false })
  contains("UTF-8", socket.send, socket, "x") -- the sequence is not finished
  contains("UTF-8", socket.send, socket, "") -- nor may it end here
  socket:send "\xac"
  lu.assertEquals(peer:take().payload .. peer:take().payload, "\xe2\x82\xac")
end

-- W-31, W-26
function T:test_send_when_closing_and_closed()
  local socket, record, peer = self.rig:opened()
  socket:close()
  lu.assertEquals({ socket:send "12345" }, { nil, "connection is not open", "CLOSED" })
  lu.assertEquals(socket.bufferedAmount, 5)
  lu.assertEquals({ socket:ping() }, { nil, "connection is not open", "CLOSED" })
  lu.assertEquals({ socket:pong() }, { nil, "connection is not open", "CLOSED" })
  lu.assertNil((peer:take_close()))
  peer:say_close()
  peer:close()
  self.rig:closed(record)
  lu.assertEquals({ socket:send("\xff\xff", "binary") }, { nil, "connection is not open", "CLOSED" })
  lu.assertEquals(socket.bufferedAmount, 7)
  lu.assertEquals({ socket:send "\xff" }, { nil, "connection is not open", "CLOSED" }) -- dropped, so never wrong
  contains("data must be", socket.send, socket, {}) -- misuse stays misuse
  lu.assertError(socket.send, socket)
  self.rig:idle()
  lu.assertEquals(socket.bufferedAmount, 8)
end

-- ---- a server's socket: long strings are sent where they lie -----------------------------

function T:test_long_strings_of_a_server()
  local _, _, port = self.rig:listen { onmessage = function(socket, data, kind)
    for _, n in ipairs { 4095, 4096, 4097, 200000 } do
      socket:send(data .. ("x"):rep(n - #data), kind)
      collectgarbage()
    end
    socket:send(("f"):rep(5000), "text", { final = false })
    socket:ping "between"
    socket:send(("g"):rep(5000))
    collectgarbage()
  end }
  local peer = self.rig:raw_client(port)
  peer:frame { op = "binary", "ab" }
  for _, n in ipairs { 4095, 4096, 4097, 200000 } do
    local frame = peer:take()
    bytes.equals(frame.payload, "ab" .. ("x"):rep(n - 2))
    lu.assertEquals(frame.op, bytes.OP.binary)
    collectgarbage()
  end
  lu.assertEquals(peer:take().payload, ("f"):rep(5000))
  lu.assertEquals(peer:take().payload, "between")
  local last = peer:take()
  lu.assertEquals({ last.op, last.payload }, { 0, ("g"):rep(5000) })
end

function T:test_long_strings_that_cannot_be_sent()
  local _, _, far = self.rig:pair(nil, { maxBuffered = 10000 })
  contains("UTF-8", far.send, far, ("\xff"):rep(5000))
  lu.assertEquals({ far:send(("x"):rep(10001)) }, { nil, "maxBuffered would be passed", "BUFFER" })
  lu.assertEquals(far.bufferedAmount, 0)
  lu.assertTrue(far:send(("x"):rep(10000)))
  far:close()
  lu.assertEquals({ far:send(("x"):rep(5000)) }, { nil, "connection is not open", "CLOSED" })
  lu.assertEquals(far.bufferedAmount, 15000)
end

-- What a socket had not sent is let go when it ends.
function T:test_strings_of_a_socket_that_ended_are_let_go()
  local far, closed
  local _, _, port = self.rig:listen { onconnection = function(s) far = s end, onclose = function() closed = true end }
  local peer = self.rig:raw_client(port)
  self.rig:wait(function() return far end)
  collectgarbage()
  collectgarbage()
  local before = collectgarbage "count"
  for i = 1, 12 do far:send(("x"):rep(1 << 20) .. i, "binary") end
  self.rig:idle()
  lu.assertTrue(far.bufferedAmount > 1 << 20)
  collectgarbage()
  lu.assertTrue(collectgarbage "count" - before > 1024)
  peer:reset()
  self.rig:wait(function() return closed end)
  collectgarbage()
  collectgarbage()
  lu.assertTrue(collectgarbage "count" - before < 512, collectgarbage "count" - before)
end

-- ---- maxBuffered, bufferedAmount ---------------------------------------------------------

function T:test_max_buffered_at_its_edge()
  for n, fits in pairs { [9] = true, [10] = true, [11] = false } do
    local socket, _, peer = self.rig:opened { maxBuffered = 10 }
    local ok, message, code = socket:send(("x"):rep(n))
    lu.assertEquals(ok, fits or nil, n)
    if fits then
      lu.assertEquals(socket.bufferedAmount, n)
      lu.assertEquals(#peer:take().payload, n)
    else
      lu.assertEquals({ message, code }, { "maxBuffered would be passed", "BUFFER" })
      lu.assertEquals(socket.bufferedAmount, 0)
    end
  end
end

function T:test_max_buffered_counts_what_waits()
  local socket, _, peer = self.rig:opened { maxBuffered = 10 }
  lu.assertTrue(socket:send "123456")
  lu.assertTrue(socket:send "1234")
  lu.assertTrue(socket:send "")
  lu.assertNil((socket:send "1"))
  lu.assertEquals(socket.bufferedAmount, 10)
  lu.assertTrue(socket:ping "control frames do not count")
  for _ = 1, 4 do peer:take() end
  lu.assertEquals(socket.bufferedAmount, 0)
  lu.assertTrue(socket:send "1234567890")
  lu.assertEquals(peer:take().payload, "1234567890")
end

-- ---- ping, pong ----------------------------------------------------------------------------

function T:test_ping_and_pong_sizes()
  local socket, _, peer = self.rig:opened()
  for _, op in ipairs { "ping", "pong" } do
    for _, n in ipairs { 0, 1, 124, 125 } do
      lu.assertTrue(socket[op](socket, ("x"):rep(n)))
      local frame = peer:take()
      lu.assertEquals({ frame.op, #frame.payload }, { bytes.OP[op], n })
    end
    lu.assertTrue(socket[op](socket))
    lu.assertEquals(peer:take().payload, "")
    lu.assertTrue(socket[op](socket, 12))
    lu.assertEquals(peer:take().payload, "12")
    lu.assertTrue(socket[op](socket, "\xff\0"))
    lu.assertEquals(peer:take().payload, "\xff\0")
    contains(op, socket[op], socket, ("x"):rep(126))
    contains("125", socket[op], socket, ("x"):rep(126))
    contains("data must be", socket[op], socket, {})
  end
end

function T:test_pings_are_answered_in_order()
  local _, record, peer = self.rig:opened()
  peer:send(bytes.frame { op = "ping", "1" } .. bytes.frame { op = "ping", "2" } .. bytes.frame { op = "ping", "" })
  for _, payload in ipairs { "1", "2", "" } do
    local frame = peer:take()
    lu.assertEquals({ frame.op, frame.payload, frame.masked }, { bytes.OP.pong, payload, true })
  end
  lu.assertEquals(tostring(record), "open ping:1 ping:2 ping:")
end

function T:test_auto_pong_off()
  local socket, record, peer = self.rig:opened { autoPong = false }
  socket:on("ping", function(data) socket:pong("<" .. data .. ">") end)
  peer:frame { op = "ping", "x" }
  lu.assertEquals(peer:take().payload, "<x>")
  lu.assertEquals(tostring(record), "open ping:x")
end

-- ---- close -----------------------------------------------------------------------------------

local function refuses(socket, code, what)
  contains("InvalidAccessError: ", socket.close, socket, code, what)
end

-- W-40, W-42
function T:test_codes_a_client_may_not_send()
  local socket, record, peer = self.rig:opened()
  local bad = { 0, -1, 1, 999, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 5000, 65535,
    65536, 66536, 1 << 40, math.mininteger, 1000.5, 0 / 0, 1 / 0, "1000", "abc", true, {} }
  local function all_refused() for _, code in ipairs(bad) do refuses(socket, code) end end
  all_refused()
  lu.assertEquals(socket.readyState, socket.OPEN)
  socket:close()
  all_refused() -- before the state is looked at
  peer:close()
  self.rig:closed(record)
  all_refused()
  contains("SyntaxError: ", socket.close, socket, 1000, ("x"):rep(124))
  contains("InvalidAccessError: close code must be a number, got string", socket.close, socket, "1000")
end

function T:test_codes_a_client_may_send()
  for _, code in ipairs { 1000, 1000.0, 3000, 3999, 4000, 4999 } do
    local socket, _, peer = self.rig:opened()
    lu.assertTrue(socket:close(code))
    lu.assertEquals({ peer:take_close() }, { math.tointeger(code), "" })
  end
end

-- W-48
function T:test_codes_a_server_may_send()
  for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999 } do
    local _, record, far = self.rig:pair()
    lu.assertTrue(far:close(code, "r"))
    self.rig:closed(record)
    lu.assertEquals(record:last(), "close:" .. code .. ":r:true")
  end
  local _, _, far = self.rig:pair()
  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000 } do refuses(far, code) end
end

-- W-41, W-47
function T:test_reasons()
  for reason, n in pairs { [""] = 0, [("x"):rep(123)] = 123, [("\xc3\xa9"):rep(61) .. "x"] = 123 } do
    local socket, _, peer = self.rig:opened()
    lu.assertTrue(socket:close(1000, reason))
    local code, got = peer:take_close()
    lu.assertEquals({ code, #got }, { 1000, n })
  end
  local socket, _, peer = self.rig:opened()
  for _, bad in ipairs { ("x"):rep(124), ("\xc3\xa9"):rep(62), "\xff", "\xc3" } do
    contains("SyntaxError: ", socket.close, socket, 1000, bad)
    contains("SyntaxError: ", socket.close, socket, nil, bad)
  end
  for _, bad in ipairs { 1, true, {} } do contains("reason must be a string", socket.close, socket, 1000, bad) end
  lu.assertEquals(socket.readyState, socket.OPEN)
  lu.assertTrue(socket:close(nil, "x"))
  lu.assertEquals({ peer:take_close() }, { 1000, "x" })
end

-- threats K3: what goes out is what was given, of every length, and nothing of
-- ours; a number is no length of anything
function T:test_K3_payloads_of_every_length()
  local text = ("0123456789"):rep(13)
  for n = 0, 123 do
    local socket, _, peer = self.rig:opened()
    for _, bad in ipairs { n, 1e3, true, {} } do
      contains("reason must be a string", socket.close, socket, 1000, bad)
      if type(bad) ~= "number" then contains("string", socket.ping, socket, bad) end
    end
    lu.assertTrue(socket:ping(text:sub(1, n)))
    lu.assertTrue(socket:pong(text:sub(1, n)))
    lu.assertTrue(socket:close(1000, text:sub(1, n)))
    lu.assertEquals(peer:take().payload, text:sub(1, n))
    lu.assertEquals(peer:take().payload, text:sub(1, n))
    lu.assertEquals({ peer:take_close() }, { 1000, text:sub(1, n) })
  end
end

function T:test_an_empty_reason_without_code_is_an_empty_close()
  local socket, _, peer = self.rig:opened()
  socket:close(nil, "")
  lu.assertEquals(#peer:take().payload, 0)
end

-- W-43, W-45
function T:test_close_comes_after_what_was_sent_and_once()
  local socket, record, peer = self.rig:opened()
  local big = ("x"):rep(200000)
  socket:send(big)
  socket:send "last"
  lu.assertTrue(socket:close(3000, "first"))
  lu.assertTrue(socket:close(4000, "second"))
  lu.assertTrue(socket:close())
  lu.assertEquals(#peer:take().payload, #big)
  lu.assertEquals(peer:take().payload, "last")
  lu.assertEquals({ peer:take_close() }, { 3000, "first" })
  peer:say_close(3000)
  peer:close()
  self.rig:closed(record)
  lu.assertTrue(socket:close())
  self.rig:settle()
  lu.assertEquals(tostring(record), "open close:3000::true")
  lu.assertEquals(peer:look(), "")
end

function T:test_a_to_be_closed_socket_starts_the_closing_handshake()
  local outer, record, peer = self.rig:opened()
  do local s <close> = outer lu.assertEquals(s.readyState, 1) end -- luacheck: ignore
  lu.assertEquals(outer.readyState, outer.CLOSING)
  lu.assertNil((peer:take_close()))
  peer:say_close()
  peer:close()
  self.rig:closed(record)
  do local s <close> = outer end -- luacheck: ignore
  lu.assertEquals(record:last(), "close:1005::true")
end

-- ---- pause, resume -----------------------------------------------------------------------------

function T:test_pause_holds_messages_back()
  local socket, record, peer = self.rig:opened()
  lu.assertFalse(socket.isPaused)
  lu.assertIs(socket:pause(), socket)
  lu.assertTrue(socket.isPaused)
  socket:pause()
  peer:send(bytes.frame { "1" } .. bytes.frame { op = "ping", "" } .. bytes.frame { "2" })
  self.rig:idle(10)
  lu.assertEquals(tostring(record), "open")
  lu.assertIs(socket:resume(), socket)
  lu.assertFalse(socket.isPaused)
  lu.assertEquals(tostring(record), "open") -- not before the loop turns
  self.rig:events(record, 4)
  lu.assertEquals(tostring(record), "open text:1 ping: text:2")
end

function T:test_pause_in_a_handler_keeps_the_rest_of_the_packet()
  local socket, record, peer = self.rig:opened()
  socket:on("message", function() socket:pause() end)
  peer:send(bytes.frame { "1" } .. bytes.frame { "2" } .. bytes.frame { "3" })
  for i = 1, 3 do
    self.rig:events(record, i + 1)
    self.rig:idle()
    lu.assertEquals(#record, i + 1)
    socket:resume()
  end
  lu.assertEquals(tostring(record), "open text:1 text:2 text:3")
end

function T:test_pause_is_back_pressure()
  local socket, _, peer = self.rig:opened()
  socket:pause()
  local sent, stuck, data = 0, 0, bytes.frame { op = "binary", ("x"):rep(65535) }
  while sent < 64 << 20 and stuck < 5 do -- until the system's buffers are full
    local at = sent % #data + 1
    local last, _, part = peer.sock:send(data, at)
    local n = (last or part) - at + 1
    sent, stuck = sent + n, n > 0 and 0 or stuck + 1
    self.rig:idle(1)
  end
  lu.assertTrue(sent < 64 << 20, "the peer could send " .. sent)
  lu.assertTrue(socket:stats().bytesIn < 1 << 20)
end

function T:test_close_while_paused()
  local socket, record, peer = self.rig:opened()
  socket:pause()
  peer:frame { "unread" }
  self.rig:idle()
  socket:close(1000)
  peer:take_close()
  peer:say_close(1000)
  peer:close()
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "open close:1000::true")
end

function T:test_pause_before_open_and_after_close()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local record = rigs.record(socket)
  socket:pause()
  local peer = server:welcome()
  peer:frame { "x" }
  self.rig:wait(function() return socket.readyState == 1 end)
  self.rig:idle()
  lu.assertEquals(tostring(record), "open")
  socket:resume()
  self.rig:events(record, 2)
  peer:close()
  self.rig:closed(record)
  socket:pause():resume()
  lu.assertEquals(tostring(record), "open text:x error:CLOSED close:1006::false")
end

-- ---- what nobody holds -----------------------------------------------------------------------

-- W-70, W-71
function T:test_an_open_socket_nobody_holds_still_works()
  local server = self.rig:raw_server()
  local seen = {}
  self.rig:client(server.url):on("message", function(data) seen[#seen + 1] = data end)
  local peer = server:welcome()
  collectgarbage()
  collectgarbage()
  peer:frame { "still here" }
  self.rig:wait(function() return seen[1] end)
  collectgarbage()
  peer:frame { "and still" }
  self.rig:wait(function() return seen[2] end)
end

function T:test_a_closed_socket_is_collected()
  local socket, record, peer = self.rig:opened()
  socket:on("message", function() return socket end) -- captures itself
  peer:close()
  self.rig:closed(record)
  local weak = setmetatable({ socket }, { __mode = "v" })
  socket, record = nil, nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  lu.assertNil(weak[1])
end

function T:test_methods_of_a_socket_whose_loop_is_gone()
  local socket = self.rig:opened()
  socket.data = "kept"
  self.rig.loop:close()
  lu.assertEquals(socket.readyState, socket.CLOSED)
  lu.assertEquals({ socket:send "x" }, { nil, "connection is not open", "CLOSED" })
  lu.assertEquals({ socket:ping() }, { nil, "connection is not open", "CLOSED" })
  lu.assertTrue(socket:close())
  lu.assertTrue(socket:close(1000, "x"))
  refuses(socket, 999)
  lu.assertTrue(socket:terminate())
  lu.assertIs(socket:pause(), socket)
  lu.assertIs(socket:resume(), socket)
  lu.assertEquals(socket.data, "kept")
  lu.assertEquals(socket.bufferedAmount, 1)
  for _, key in ipairs { "url", "protocol", "extensions", "response", "request", "latency", "isPaused",
    "remoteAddress", "remotePort", "localAddress", "localPort", "binaryType", "onopen" } do
    lu.assertTrue(pcall(function() return socket[key] end), key)
  end
  lu.assertEquals(type(socket:stats()), "table")
  lu.assertStrContains(tostring(socket), "closed")
  do local s <close> = socket end -- luacheck: ignore
end

return T
