-- bind/lua_protocol: wsock.protocol, bytes in, events out.

local lu = require "luaunit"
local bytes = require "support.bytes"
local protocol = require "wsock.core".protocol
local visitors = require "support.visitors"

local T = {}
T.alone = true -- it measures

local MASK = "\x37\xfa\x21\x3d"
local REQUEST = table.concat({ "GET /chat HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "" }, "\r\n")

-- Every event there is, as "name:value:value".
local function events(conn)
  local list = {}
  for name, a, b, c, d in conn.next, conn do
    local parts = { name }
    if name == "upgrade" or name == "request" then a = nil end
    for _, value in ipairs { a, b, c, d } do parts[#parts + 1] = tostring(value) end
    list[#list + 1] = table.concat(parts, ":")
  end
  return table.concat(list, " | ")
end

local function open_server(options)
  local conn = protocol.server(options)
  conn:feed(REQUEST)
  lu.assertEquals(events(conn), "upgrade")
  lu.assertTrue(conn:accept())
  lu.assertEquals(events(conn), "open")
  conn:output()
  return conn
end

-- Carries output both ways until there is none.
local function carry(a, b, heard)
  repeat
    local up, down = a:output(), b:output()
    if up ~= "" then b:feed(up) end
    if down ~= "" then a:feed(down) end
    for _, conn in ipairs { a, b } do
      local text = events(conn)
      if text ~= "" then heard[conn][#heard[conn] + 1] = text end
      if text == "upgrade" then conn:accept() end
    end
  until up == "" and down == ""
end

local function pair(client_options, server_options)
  local client = protocol.client("ws://example.com/chat", client_options)
  local server = protocol.server(server_options)
  local heard = { [client] = {}, [server] = {} }
  carry(client, server, heard)
  lu.assertEquals(heard[client], { "open" })
  lu.assertEquals(heard[server], { "upgrade", "open" })
  heard[client], heard[server] = {}, {}
  return client, server, heard
end

-- ---- making ------------------------------------------------------------------

function T:test_request()
  local out = protocol.client("ws://example.com:8080/a/../b?c", { origin = "http://o",
    headers = { Cookie = "a=b" }, protocols = { "x", "y" } }):output()
  local lines = {}
  for line in out:gmatch "([^\r]*)\r\n" do lines[#lines + 1] = line end
  lu.assertEquals(lines[1], "GET /b?c HTTP/1.1")
  lu.assertEquals(lines[2], "Host: example.com:8080")
  lu.assertStrMatches(lines[5], "Sec%-WebSocket%-Key: [%w+/]+==")
  lu.assertEquals({ table.unpack(lines, 7) },
    { "Sec-WebSocket-Protocol: x, y", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
      "Origin: http://o", "Cookie: a=b", "" })
end

-- K2: from the system's generator, each time another
function T:test_keys_differ()
  local seen = {}
  for _ = 1, 100 do
    local key = protocol.client("ws://h"):output():match "Key: (%S+)"
    lu.assertNil(seen[key])
    seen[key] = true
  end
end

-- K1: mask keys are from there, too, and each is another
function T:test_mask_keys()
  local client = pair()
  local n, seen, repeated, count = 20000, {}, 0, {}
  for i = 0, 255 do count[i] = 0 end
  for _ = 1, n do
    client:send "x"
    local out = client:output()
    local key = out:sub(3, 6)
    if seen[key] then repeated = repeated + 1 end
    seen[key] = true
    for i = 1, 4 do count[key:byte(i)] = count[key:byte(i)] + 1 end
  end
  lu.assertTrue(repeated <= 2, repeated) -- 0.05 are to be expected
  local chi, mean = 0, 4 * n / 256
  for i = 0, 255 do chi = chi + (count[i] - mean) ^ 2 / mean end
  lu.assertTrue(chi > 130 and chi < 420, chi) -- 255 on average, 22.6 either way
end

-- HC-14: TLS is the owner's affair; the port that is the default is not sent
function T:test_secure_urls()
  lu.assertStrContains(protocol.client("wss://h:443/"):output(), "\r\nHost: h\r\n")
  lu.assertStrContains(protocol.client("ws://h:443/"):output(), "\r\nHost: h:443\r\n")
  lu.assertStrContains(protocol.client("https://h/"):output(), "\r\nHost: h\r\n")
end

-- URI-07
function T:test_credentials_of_the_url()
  local out = protocol.client("ws://test:123%C2%A3@h/"):output()
  lu.assertStrContains(out, "\r\nAuthorization: Basic dGVzdDoxMjPCow==\r\n")
  lu.assertStrContains(out, "\r\nHost: h\r\n")
end

-- What a URL may have for a host may stand in the header Host, too.
function T:test_every_byte_in_a_host()
  for b = 0, 255 do
    local ok, result = pcall(protocol.client, ("ws://a%cb/"):format(b))
    if not ok then lu.assertStrContains(result, "SyntaxError: the URL ") end
  end
end

function T:test_misuse_raises()
  lu.assertErrorMsgContains("SyntaxError", protocol.client, "ftp://h")
  lu.assertErrorMsgContains("SyntaxError", protocol.client, "ws://h/#")
  lu.assertErrorMsgContains("SyntaxError", protocol.client, "ws://h", { protocols = { "a", "a" } })
  lu.assertErrorMsgContains("SyntaxError", protocol.client, "ws://h", { protocols = "a b" })
  lu.assertErrorMsgContains("SyntaxError", protocol.client, "ws://h", { protocols = { "" } })
  lu.assertErrorMsgContains("SyntaxError", protocol.client, "ws://h", { protocols = { "a,b" } })
  lu.assertErrorMsgContains("url must be a string", protocol.client, nil)
  lu.assertErrorMsgContains("options must be a table", protocol.client, "ws://h", 5)
  lu.assertErrorMsgContains("unknown option 'maxpayload'; did you mean 'maxPayload'?",
    protocol.server, { maxpayload = 5 })
  lu.assertErrorMsgContains("unknown option", protocol.server, { protocols = {} })
  lu.assertErrorMsgContains("unknown option", protocol.client, "ws://h", { port = 1 })
  lu.assertErrorMsgContains("wsock itself", protocol.client, "ws://h", { headers = { Host = "x" } })
  lu.assertErrorMsgContains("may not be sent", protocol.client, "ws://h", { headers = { X = "a\r\nb" } })
  lu.assertErrorMsgContains("option 'origin'", protocol.client, "ws://h", { origin = "a\nb" })
  local conn = protocol.server()
  lu.assertError(conn.feed, conn)
  lu.assertError(conn.feed, {}, "x")
  lu.assertError(conn.want, conn, "everything")
  lu.assertError(conn.tick, conn)
  lu.assertError(conn.tick, conn, 0 / 0)
  lu.assertError(conn.tick, conn, 1e300)
  lu.assertErrorMsgContains("InvalidStateError", conn.send, conn, "x")
end

-- ---- a whole life ------------------------------------------------------------

function T:test_session()
  local client, server, heard = pair()
  lu.assertTrue(client:send "κόσμε")
  lu.assertTrue(client:send("\0\xff", "binary"))
  lu.assertTrue(client:send(42))
  lu.assertTrue(client:send("one, ", "text", { final = false }))
  lu.assertTrue(client:send "two")
  lu.assertTrue(client:ping "p")
  lu.assertTrue(server:pong())
  carry(client, server, heard)
  lu.assertEquals(heard[server],
    { "message:κόσμε:text | message:\0\xff:binary | message:42:text | message:one, two:text | ping:p" })
  lu.assertEquals(heard[client], { "pong:", "pong:p" })
  lu.assertTrue(server:close(1001, "going"))
  carry(client, server, heard)
  lu.assertEquals({ client.readyState, server.readyState }, { 2, 2 })
  lu.assertTrue(server:want "shutdown")
  client:eof()
  lu.assertEquals(events(client), "")
  lu.assertTrue(client:want "close")
  client:closed()
  server:eof()
  lu.assertEquals({ events(client), events(server) }, { "close:1001:going:true", "" })
  lu.assertTrue(server:want "close")
  server:closed()
  lu.assertEquals(events(server), "close:1001:going:true")
  for _, conn in ipairs { client, server } do
    lu.assertEquals({ conn.readyState, events(conn), conn:output(), conn:want "event", conn:timeout() },
      { 3, "", "", false, nil })
  end
end

function T:test_stats()
  local client, server, heard = pair()
  local before = server:stats()
  client:send "hello"
  client:ping()
  carry(client, server, heard)
  local after = server:stats()
  lu.assertEquals({ after.messagesIn - before.messagesIn, after.framesIn - before.framesIn,
    after.bytesIn - before.bytesIn, after.framesOut - before.framesOut }, { 1, 2, 11 + 6, 1 })
end

-- ---- feeding -----------------------------------------------------------------

-- the invariant, at this level: any pieces, whenever events are asked for
function T:test_pieces()
  local input = REQUEST .. bytes.frame { mask = MASK, "hello" } .. bytes.frame { op = "ping", mask = MASK, "p" }
    .. bytes.frame { op = "binary", mask = MASK, fin = false, ("x"):rep(300) }
    .. bytes.frame { op = "continuation", mask = MASK, "y" } .. bytes.close(1000, "bye", MASK)
  local function run(size, often)
    local conn = protocol.server()
    local list, out = {}, {}
    local function round()
      for name, a, b in conn.next, conn do
        list[#list + 1] = name .. ":" .. tostring(type(a) == "string" and a) .. ":" .. tostring(b)
        if name == "upgrade" then conn:accept() end
      end
      out[#out + 1] = conn:output()
    end
    for piece in bytes.pieces(input, size) do
      conn:feed(piece)
      if often then round() end
    end
    round()
    conn:eof()
    conn:closed()
    round()
    return table.concat(list, "\n"), table.concat(out)
  end
  local whole, out = run(#input)
  lu.assertStrContains(whole, "close:false:bye")
  for _, size in ipairs { 1, 2, 7, 100 } do
    for _, often in ipairs { true, false } do
      local list, bits = run(size, often)
      bytes.equals(list, whole)
      bytes.equals(bits, out)
    end
  end
end

-- what was fed is looked at before the end is
function T:test_end_behind_unread_bytes()
  local conn = open_server()
  conn:feed(bytes.frame { mask = MASK, "last" })
  conn:eof()
  conn:closed()
  lu.assertFalse(conn:want "read")
  lu.assertTrue(conn:want "event")
  lu.assertErrorMsgContains("end was told", conn.feed, conn, "x")
  lu.assertEquals(events(conn),
    "message:last:text | error:connection ended without a close frame:CLOSED | close:1006::false")
end

-- the transport was lost, in every state
function T:test_lost()
  local client = protocol.client "ws://h"
  client:closed()
  lu.assertEquals(events(client), "error:connection ended before the handshake was done:CLOSED | close:1006::false")
  lu.assertEquals(client.fault, "connection ended before the handshake was done")
  client = protocol.client "ws://h"
  client:feed "HTTP/1.1 101"
  client:eof()
  client:closed()
  lu.assertEquals(events(client), "error:connection ended before the handshake was done:CLOSED | close:1006::false")
  local conn = open_server()
  conn:terminate()
  lu.assertTrue(conn:want "close")
  conn:closed()
  conn:closed()
  lu.assertEquals(events(conn), "close:1006::false")
end

function T:test_wants()
  local conn = protocol.server()
  local function wants()
    local list = {}
    for _, what in ipairs { "read", "write", "event", "shutdown", "close" } do
      if conn:want(what) then list[#list + 1] = what end
    end
    return table.concat(list, " ")
  end
  lu.assertEquals(wants(), "read")
  conn:feed(REQUEST)
  lu.assertEquals(wants(), "event")
  conn:next()
  lu.assertEquals(wants(), "")
  conn:accept()
  lu.assertEquals(wants(), "read write event")
  events(conn)
  conn:output()
  lu.assertEquals(wants(), "read")
  conn:pause()
  lu.assertEquals({ wants(), conn.isPaused }, { "", true })
  conn:feed(bytes.frame { mask = MASK, "x" })
  lu.assertEquals(events(conn), "")
  lu.assertEquals(conn:resume(), conn)
  lu.assertEquals(wants(), "event")
  lu.assertEquals(events(conn), "message:x:text")
  conn:feed(bytes.close(nil, nil, MASK))
  events(conn)
  conn:output()
  lu.assertEquals(wants(), "read shutdown")
  conn:eof()
  lu.assertEquals(wants(), "event shutdown")
  events(conn)
  lu.assertEquals(wants(), "close")
  conn:closed()
  lu.assertEquals(wants(), "event")
  lu.assertEquals(events(conn), "close:1005::true")
  lu.assertEquals(wants(), "")
end

-- more slices than fit at once: large messages each have their own
function T:test_much_output()
  local conn = open_server { maxBuffered = 0 }
  local want = {}
  for i = 1, 300 do
    local data = string.char(32 + i % 90):rep(20000)
    conn:send(data, "binary")
    want[i] = bytes.frame { op = "binary", data }
  end
  lu.assertEquals(conn.bufferedAmount, 300 * 20000)
  bytes.equals(conn:output(), table.concat(want))
  lu.assertEquals({ conn.bufferedAmount, conn:output() }, { 0, "" })
end

function T:test_frame_mode()
  local client, server, heard = pair({ frames = true }, { frames = true })
  lu.assertTrue(client:sendFrame("a", "text", false))
  lu.assertTrue(client:sendFrame("p", "ping"))
  lu.assertTrue(client:sendFrame("b", "continuation", true))
  server:sendFrame("\xff", "binary")
  server:sendFrame("", "pong")
  server:sendFrame("\3\232bye", "close")
  carry(client, server, heard)
  lu.assertEquals(heard[server], { "frame:a:text:false | frame:p:ping:true | frame:b:continuation:true" })
  lu.assertEquals(heard[client], { "frame:\xff:binary:true | frame::pong:true | frame:bye:close:true:1000" })
  lu.assertEquals({ client.readyState, server.readyState }, { 1, 2 })
  lu.assertTrue(client:sendFrame("", "close"))
  lu.assertEquals(select(3, client:sendFrame("x", "text")), "CLOSED")
  carry(client, server, heard)
  lu.assertEquals(heard[server][2], "frame::close:true")
  for _, conn in ipairs { client, server } do conn:closed() end
  lu.assertEquals({ events(client), events(server) }, { "close:1000:bye:true", "close:1005::true" })
end

function T:test_frame_mode_misuse()
  local client = pair { frames = true }
  lu.assertErrorMsgContains("'texts' is no kind of frame", client.sendFrame, client, "x", "texts")
  lu.assertErrorMsgContains("'' is no kind of frame", client.sendFrame, client, "x", "")
  lu.assertErrorMsgContains("string expected", client.sendFrame, client, "x")
  lu.assertErrorMsgContains("at most 125 bytes", client.sendFrame, client, ("x"):rep(126), "ping")
  lu.assertErrorMsgContains("is final", client.sendFrame, client, "x", "pong", false)
  lu.assertErrorMsgContains("InvalidStateError", protocol.client("ws://h", { frames = true }).sendFrame,
    protocol.client("ws://h", { frames = true }), "x", "text")
  local plain = pair()
  lu.assertErrorMsgContains("option frames is not set", plain.sendFrame, plain, "x", "text")
  lu.assertErrorMsgContains("frames", protocol.server, { frames = 1 })
  for _, value in ipairs { true, { level = 1 } } do
    lu.assertErrorMsgContains("exclude one another", protocol.server, { frames = true, perMessageDeflate = value })
  end
  lu.assertNil(protocol.client("ws://h", { frames = true, perMessageDeflate = false }):output():find "Extensions")
  lu.assertNil(protocol.client("ws://h", { frames = true }):output():find "Extensions")
end

function T:test_output_in_parts()
  local client, server, heard = pair()
  local want = {}
  for i = 1, 400 do
    want[i] = "message:" .. ("%d"):format(i):rep(300) .. ":text"
    client:send(("%d"):format(i):rep(300))
  end
  local size, waiting = 0, client.bufferedAmount
  lu.assertErrorMsgContains("at least 1", client.output, client, 0)
  repeat
    local part = client:output(1 + size % 3000)
    lu.assertTrue(#part <= 1 + size % 3000)
    size = size + #part
    server:feed(part)
    local text = events(server)
    if text ~= "" then heard[server][#heard[server] + 1] = text end
    lu.assertTrue(client.bufferedAmount <= waiting) -- what was not asked for waits
    waiting = client.bufferedAmount
  until part == ""
  lu.assertEquals({ waiting, client:want "write" }, { 0, false })
  lu.assertEquals(table.concat(heard[server], " | "), table.concat(want, " | "))
end

-- One large frame: drain comes with the part that empties the queue far enough.
function T:test_output_in_parts_and_marks()
  local client = pair { highWaterMark = 50000, lowWaterMark = 10000 }
  client:send(("x"):rep(100000), "binary")
  lu.assertEquals({ #client:output(80000), events(client) }, { 80000, "" })
  lu.assertEquals(client.bufferedAmount, 100014 - 80000)
  lu.assertEquals({ #client:output(20000), events(client) }, { 20000, "drain" })
  lu.assertEquals(#client:output(20000), 14)
end

-- ---- limits and times --------------------------------------------------------

-- maxPayload at n-1, n, n+1; maxFragments; 0 is no limit
function T:test_limits()
  local function answer(options, input)
    local conn = open_server(options)
    conn:feed(input)
    events(conn)
    local f = bytes.parse(conn:output())
    return f and f.op == 8 and string.unpack(">I2", f.payload) or "ok"
  end
  for n = 9, 11 do
    lu.assertEquals(answer({ maxPayload = 10 }, bytes.frame { mask = MASK, ("x"):rep(n) }), n <= 10 and "ok" or 1009)
  end
  lu.assertEquals(answer({ maxPayload = 0 }, bytes.frame { mask = MASK, ("x"):rep(2 << 20) }), "ok")
  lu.assertEquals(answer({}, bytes.frame { mask = MASK, ("x"):rep(1 << 20) }), "ok")
  lu.assertEquals(answer({}, bytes.frame { mask = MASK, ("x"):rep((1 << 20) + 1) }), 1009)
  local fragments = bytes.frame { fin = false, mask = MASK, "" } .. bytes.frame { op = 0, fin = false, mask = MASK, "" }
  lu.assertEquals(answer({ maxFragments = 2 }, fragments), "ok")
  lu.assertEquals(answer({ maxFragments = 1 }, fragments), 1008)
end

function T:test_buffer_limit()
  local conn = open_server { maxBuffered = 10 }
  lu.assertTrue(conn:send "1234567890")
  lu.assertEquals({ conn:send "x" }, { nil, "maxBuffered would be passed", "BUFFER" })
  conn:output()
  lu.assertTrue(conn:send "x")
end

-- times as large as may be do not overflow when they are added
function T:test_clock_far_away()
  local far = { handshakeTimeout = 8.9e15, responseTimeout = 8.9e15, now = 9.9e13 }
  lu.assertEquals(protocol.server(far):timeout(), far.handshakeTimeout)
  far.now = -9.9e13
  local conn = protocol.server(far)
  conn:tick(9.9e13)
  lu.assertTrue(conn:timeout() > 8e15)
  for _, now in ipairs { 1e14, -1e14, math.huge, 0 / 0 } do
    lu.assertErrorMsgContains("now must be", protocol.server, { now = now })
    lu.assertErrorMsgContains("now must be", conn.tick, conn, now)
  end
end

function T:test_clock()
  local conn = protocol.server { now = 100.5, handshakeTimeout = 2 }
  lu.assertEquals(conn:timeout(), 2)
  conn:tick(101)
  lu.assertEquals(conn:timeout(), 1.5)
  conn:tick(102.499)
  lu.assertEquals({ conn:output(), events(conn) }, { "", "" })
  conn:tick(102.5)
  lu.assertStrContains(conn:output(), "408")
  conn = open_server { now = 10, pingInterval = 5, pingTimeout = 2, handshakeTimeout = 0, sendTimeout = 0 }
  lu.assertEquals(conn:timeout(), 5)
  conn:tick(15)
  local ping = bytes.parse(conn:output())
  lu.assertEquals({ ping.op, conn:timeout() }, { 9, 2 })
  conn:tick(15.25)
  conn:feed(bytes.frame { op = "pong", mask = MASK, ping.payload })
  events(conn)
  lu.assertEquals({ conn.latency, conn:timeout() }, { 0.25, 4.75 })
  conn:tick(20)
  conn:output()
  conn:tick(22)
  lu.assertTrue(conn:want "close")
  conn:closed()
  lu.assertEquals(events(conn), "error:no answer to a ping within pingTimeout:TIMEOUT | close:1006::false")
  lu.assertNil(protocol.server { handshakeTimeout = 0 }:timeout())
end

-- ---- lifetime ----------------------------------------------------------------

-- an object that is dropped at any moment gives everything back
function T:test_garbage()
  local function many()
    for i = 1, 200 do
      local conn = i % 2 == 0 and open_server() or protocol.client("ws://h", { protocols = { "a" } })
      if i % 4 == 0 then
        conn:send(("x"):rep(50000))
        conn:feed(bytes.frame { fin = false, mask = MASK, ("y"):rep(50000) } .. "\x81")
        conn:next()
      end
    end
    collectgarbage()
    collectgarbage()
  end
  many()
  local before = collectgarbage "count"
  many()
  lu.assertTrue(collectgarbage "count" - before < 200)
end

-- a client's mask keys lie in memory of the system's, which no allocator counts
function T:test_the_page_of_mask_keys_goes_too()
  local function many()
    for i = 1, 3000 do
      pair():send "masked"
      if i % 100 == 0 then collectgarbage() end
    end
  end
  many()
  visitors.costs_at_most(6 << 20, "3,000 clients that are gone", many) -- a page of 4 KiB each would be 12 MiB
end

-- a failing constructor leaves an object that can be collected
function T:test_failed_constructor_is_collected()
  for _ = 1, 50 do
    pcall(protocol.client, "ws://h", { maxPayload = -1 })
    pcall(protocol.client, "ws://h", { headers = { Upgrade = "x" } })
    pcall(protocol.server, { now = "noon" })
  end
  collectgarbage()
end

return T
