-- bind/lua_verbs: send, ping, pong, close and a client's request, as told.

local lu = require "luaunit"
local bytes = require "support.bytes"
local protocol = require "wsock.core".protocol

local T = {}

local REQUEST = table.concat({ "GET / HTTP/1.1", "Host: h", "Upgrade: websocket", "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "" }, "\r\n")

local function open()
  local conn = protocol.server()
  conn:feed(REQUEST)
  conn:next()
  assert(conn:accept())
  conn:next()
  conn:output()
  return conn
end

local function sent(conn)
  local f, rest = bytes.parse(conn:output())
  lu.assertEquals(rest, "")
  return f
end

-- ---- send --------------------------------------------------------------------

-- W-33, W-34, W-35
function T:test_data_and_kinds()
  local conn = open()
  local callable = setmetatable({}, { __tostring = function() return "x" end })
  for _, row in ipairs { { "text", nil, 1, "text" }, { "", nil, 1, "" }, { "b", "binary", 2, "b" },
    { "t", "text", 1, "t" },
    { 5, nil, 1, "5" }, { 5.0, nil, 1, "5" }, { 1.5, nil, 1, "1.5" }, { -2 ^ 70, nil, 1, tostring(-2 ^ 70) },
    { "\xff", "binary", 2, "\xff" } } do
    lu.assertTrue(conn:send(row[1], row[2]))
    local f = sent(conn)
    lu.assertEquals({ f.op, f.payload, f.fin }, { row[3], row[4], true })
  end
  for _, bad in ipairs { true, {}, print, callable } do
    lu.assertErrorMsgContains("data must be a string, a number", conn.send, conn, bad)
  end
  lu.assertErrorMsgContains("data must be", conn.send, conn)
  for _, kind in ipairs { "Text", "", 1, true, {} } do
    lu.assertErrorMsgContains("kind must be", conn.send, conn, "x", kind)
  end
  lu.assertErrorMsgContains("got a table; options are the argument behind it", conn.send, conn, "x", { final = false })
  lu.assertEquals(conn:output(), "")
end

-- U8-09, W-32
function T:test_text_must_be_utf8()
  local conn = open()
  lu.assertErrorMsgContains("not valid UTF-8", conn.send, conn, "\xff")
  lu.assertEquals(conn:output(), "")
end

function T:test_fragments()
  local conn = open()
  lu.assertTrue(conn:send("a", "binary", { final = false }))
  lu.assertFalse(sent(conn).fin)
  lu.assertTrue(conn:send("b", nil, { final = true }))
  local f = sent(conn)
  lu.assertEquals({ f.op, f.fin }, { 0, true })
  lu.assertErrorMsgContains("unknown option of send 'Final'; did you mean 'final'?",
    conn.send, conn, "x", "text", { Final = false })
  lu.assertErrorMsgContains("must be a boolean", conn.send, conn, "x", "text", { final = 1 })
  lu.assertErrorMsgContains("options must be a table", conn.send, conn, "x", "text", true)
  lu.assertErrorMsgContains("every option of send must have a name", conn.send, conn, "x", "text", { 1 })
end

-- The kind of what goes on with a message is the message's.
function T:test_bytes_that_go_on_with_a_text()
  local conn = open()
  conn:send("\xc3", "text", { final = false })
  lu.assertErrorMsgContains("goes on with a message that is text", conn.send, conn, "\xff", "binary")
  lu.assertTrue(conn:send "\xa4")
  lu.assertErrorMsgContains('send it as "binary"', conn.send, conn, "\xff")
end

-- W-30: the state is looked at first
function T:test_before_open()
  local conn = protocol.server()
  for _, call in ipairs { "send", "ping", "pong" } do
    lu.assertErrorMsgContains("InvalidStateError", conn[call], conn)
  end
end

-- Who goes on sending learns why nobody listens.
function T:test_after_a_close_of_the_peer()
  local conn = open()
  conn:feed "\x88\x82\0\0\0\0\x03\xf1"
  for _ in conn.next, conn do end
  local closed = { nil, "connection is not open; the peer closed with 1009", "CLOSED" }
  lu.assertEquals({ conn:send "x" }, closed)
  lu.assertEquals({ conn:ping() }, closed)
  for _, usual in ipairs { "\x88\x80\0\0\0\0", "\x88\x82\0\0\0\0\x03\xe8" } do
    conn = open()
    conn:feed(usual)
    for _ in conn.next, conn do end
    lu.assertEquals({ conn:send "x" }, { nil, "connection is not open", "CLOSED" })
  end
end

-- W-31
function T:test_after_close()
  local conn = open()
  conn:close()
  local closed = { nil, "connection is not open", "CLOSED" }
  lu.assertEquals({ conn:send "x" }, closed)
  lu.assertEquals({ conn:ping() }, closed)
  lu.assertEquals({ conn:pong "x" }, closed)
end

function T:test_ping_and_pong()
  local conn = open()
  for op, call in pairs { [9] = "ping", [10] = "pong" } do
    lu.assertTrue(conn[call](conn))
    lu.assertEquals(sent(conn).op, op)
    lu.assertTrue(conn[call](conn, ("x"):rep(125)))
    lu.assertEquals(#sent(conn).payload, 125)
    lu.assertTrue(conn[call](conn, 7))
    lu.assertEquals(sent(conn).payload, "7")
    lu.assertErrorMsgContains(call .. ": data is 126 bytes, at most 125 fit", conn[call], conn, ("x"):rep(126))
    lu.assertErrorMsgContains("data must be", conn[call], conn, {})
  end
end

-- ---- close -------------------------------------------------------------------

-- W-40, W-41, W-42, W-46, W-47
function T:test_close_codes()
  for _, bad in ipairs { 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536 + 1000, 1000.5, 0 / 0, 1e300, "1000", true,
    {} } do
    local conn = open()
    lu.assertErrorMsgContains("InvalidAccessError: close code", conn.close, conn, bad)
    lu.assertEquals(conn.readyState, 1)
    conn:close()
    lu.assertErrorMsgContains("InvalidAccessError", conn.close, conn, bad)
  end
  for _, row in ipairs { { nil, nil, "" }, { 1000, nil, "\x03\xe8" }, { 3000.0, "x", "\x0b\xb8x" },
    { nil, "x", "\x03\xe8x" },
    { 1001, "", "\x03\xe9" }, { 4999, ("é"):rep(61) .. "x", "\x13\x87" .. ("é"):rep(61) .. "x" } } do
    local conn = open()
    lu.assertTrue(conn:close(row[1], row[2]))
    bytes.equals(sent(conn).payload, row[3])
    lu.assertTrue(conn:close())
    lu.assertEquals(conn:output(), "")
  end
  local client = protocol.client "ws://h"
  lu.assertErrorMsgContains("close code 1001 is not 1000 or 3000 to 4999", client.close, client, 1001)
end

function T:test_close_reasons()
  local conn = open()
  lu.assertErrorMsgContains("SyntaxError: the close reason is longer", conn.close, conn, 1000, ("x"):rep(124))
  lu.assertErrorMsgContains("SyntaxError: the close reason is not valid", conn.close, conn, 1000, "\xff")
  lu.assertErrorMsgContains("reason must be a string", conn.close, conn, 1000, 5)
  lu.assertEquals(conn.readyState, 1)
end

-- ---- a client's request --------------------------------------------------------

-- W-01: whatever makes itself a string
function T:test_urls()
  local url = setmetatable({}, { __tostring = function() return "ws://made/up" end })
  lu.assertStrContains(protocol.client(url):output(), "GET /up HTTP/1.1\r\nHost: made\r\n")
  for _, bad in ipairs { "", "ws:", "ws://", "http:/", "ftp://h", "ws://h:65536", "ws://a b", "ws://h/#x", "//h",
    "h" } do
    lu.assertErrorMsgContains("SyntaxError: the URL '" .. bad .. "' is invalid: ", protocol.client, bad)
  end
  for _, bad in ipairs { 5, true, {} } do
    lu.assertErrorMsgContains("url must be a string", protocol.client, bad)
  end
end

-- AU-03, URI-07: the user alone, the password alone
function T:test_credentials()
  lu.assertStrContains(protocol.client("ws://u@h"):output(), "\r\nAuthorization: Basic dTo=\r\n")
  lu.assertStrContains(protocol.client("ws://:p@h"):output(), "\r\nAuthorization: Basic OnA=\r\n")
  lu.assertNil(protocol.client("ws://h"):output():find "Authorization")
end

function T:test_headers()
  local out = protocol.client("ws://h", { headers = { { "B", "1" }, { "A", "2" }, { "B", "3" } } }):output()
  lu.assertStrContains(out, "B: 1\r\nA: 2\r\nB: 3\r\n")
  lu.assertErrorMsgContains("must be a table", protocol.client, "ws://h", { headers = "x" })
  lu.assertErrorMsgContains("must be a string", protocol.client, "ws://h", { origin = 5 })
end

return T
