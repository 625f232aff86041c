-- bind/lua_conn: a protocol object's heads, answers and attributes.

local lu = require "luaunit"
local protocol = require "wsock.core".protocol

local T = {}

local function head(lines)
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function request(...)
  return head { "GET /chat?a=b HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", ... }
end

local function asked(...)
  local conn = protocol.server()
  conn:feed(request(...))
  return conn, conn:next()
end

local function client(answer, options)
  local conn = protocol.client("ws://h/", options)
  local key = conn:output():match "Sec%-WebSocket%-Key: (%S+)"
  conn:feed((answer:gsub("$ACCEPT", require "wsock.core".codec.accept(key))))
  return conn
end

-- ---- heads -------------------------------------------------------------------

function T:test_request()
  local conn, name, r = asked("X-Two: 1", "x-two: 2", "Set-Cookie: a", "Set-Cookie: b")
  lu.assertEquals(name, "upgrade")
  lu.assertEquals({ r.method, r.target, r.path, r.query, r.body }, { "GET", "/chat?a=b", "/chat", "a=b", "" })
  lu.assertEquals({ r.headers.HOST, r.headers["X-TWO"], r.headers["x-none"] }, { "example.com", "1, 2" })
  lu.assertEquals(r.headers:all "set-cookie", { "a", "b" })
  lu.assertTrue(rawequal(conn.request, r))
  lu.assertNil(conn.response)
  lu.assertEquals(conn.url, "/chat?a=b")
end

function T:test_no_head_yet()
  local conn = protocol.server()
  lu.assertNil(conn.request)
  lu.assertNil(conn.url)
  lu.assertNil(conn.sameHost)
  lu.assertNil(protocol.client("ws://h").response)
end

function T:test_plain_request()
  local conn = protocol.server()
  conn:feed(head { "POST /x HTTP/1.1", "Host: h", "Content-Length: 5" } .. "hello")
  local name, r = conn:next()
  lu.assertEquals({ name, r.method, r.path, r.query, r.body }, { "request", "POST", "/x", "", "hello" })
  lu.assertTrue(conn:respond(201, { ["Content-Type"] = "text/plain" }, "made"))
  local out, dates = conn:output():gsub("Date: %u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT\r\n", "", 1)
  lu.assertEquals(dates, 1)
  lu.assertEquals(out, head { "HTTP/1.1 201 Created", "Content-Type: text/plain", "Connection: close",
    "Content-Length: 4" } .. "made")
  lu.assertTrue(conn:want "shutdown")
end

function T:test_response()
  local conn = client(head { "HTTP/1.1 101 Fine", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: $ACCEPT", "Sec-WebSocket-Protocol: b" }, { protocols = { "a", "b" } })
  lu.assertEquals(conn:next(), "open")
  lu.assertEquals({ conn.response.status, conn.response.reason, conn.response.body, conn.protocol, conn.extensions },
    { 101, "Fine", "", "b", "" })
  lu.assertEquals(conn.response.headers.upgrade, "websocket")
  lu.assertNil(conn.request)
  lu.assertNil(conn.fault)
end

-- a refusal: looked at before its content is there, and after
function T:test_refusal()
  local conn = client(head { "HTTP/1.1 404 Nope", "Content-Length: 4" } .. "go")
  lu.assertNil(conn:next())
  lu.assertEquals({ conn.response.status, conn.response.body }, { 404, "go" })
  conn:feed "ne"
  lu.assertNil(conn:next())
  lu.assertTrue(conn:want "close")
  conn:closed()
  lu.assertEquals({ conn:next() }, { "error", "server did not answer 101: 404", "HANDSHAKE", 404 })
  lu.assertEquals({ conn:next() }, { "close", 1006, "", false })
  lu.assertEquals({ conn.response.status, conn.response.reason, conn.response.body }, { 404, "Nope", "gone" })
  lu.assertTrue(rawequal(conn.response, conn.response))
  lu.assertEquals(conn.fault, "server did not answer 101")
end

-- ---- answers -----------------------------------------------------------------

function T:test_accept()
  local conn = asked "Sec-WebSocket-Protocol: a, b"
  lu.assertErrorMsgContains("not offered", conn.accept, conn, { protocol = "c" })
  lu.assertErrorMsgContains("unknown option of accept 'protocols'; did you mean 'protocol'?",
    conn.accept, conn, { protocols = "a" })
  lu.assertErrorMsgContains("wsock itself", conn.accept, conn, { headers = { Upgrade = "x" } })
  lu.assertErrorMsgContains("may not be sent", conn.accept, conn, { headers = { X = "\n" } })
  lu.assertErrorMsgContains("must be a string", conn.accept, conn, { protocol = 5 })
  lu.assertError(conn.accept, conn, "a")
  lu.assertTrue(conn:accept { protocol = "b", headers = { { "X", "1" }, { "X", "2" } } })
  lu.assertEquals(conn.protocol, "b")
  lu.assertEquals(conn:output(), head { "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
    "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol: b",
    "X: 1", "X: 2" })
  local nothing = { nil, "there is no request that waits for an answer", "CLOSED" }
  lu.assertEquals({ conn:accept() }, nothing)
  lu.assertEquals({ conn:reject() }, nothing)
  lu.assertEquals({ protocol.server():accept() }, nothing)
end

function T:test_reject()
  local conn = asked()
  lu.assertErrorMsgContains("status", conn.reject, conn, 101)
  lu.assertErrorMsgContains("status", conn.reject, conn, 600)
  lu.assertError(conn.reject, conn, "no")
  lu.assertErrorMsgContains("may not be sent", conn.reject, conn, 400, { X = "a\r\nb" })
  lu.assertErrorMsgContains("wsock itself", conn.reject, conn, 400, { Connection = "x" })
  lu.assertTrue(conn:reject())
  lu.assertStrContains(conn:output(), "HTTP/1.1 403 Forbidden\r\n")
  conn = asked()
  lu.assertTrue(conn:reject(401, { ["WWW-Authenticate"] = "Basic" }, "who?"))
  local out = conn:output()
  lu.assertStrContains(out, "\r\nWWW-Authenticate: Basic\r\n")
  lu.assertEquals(out:sub(-4), "who?")
  conn:closed()
  lu.assertEquals({ conn:next() }, { "close", 1006, "", false })
end

-- X1: what the default of a server would say
function T:test_same_host()
  lu.assertTrue(asked().sameHost)
  lu.assertTrue(asked "Origin: http://example.com:81".sameHost)
  lu.assertFalse(asked "Origin: http://evil.example.com".sameHost)
  lu.assertFalse(asked "Origin: null".sameHost)
  lu.assertNil(protocol.client("ws://h").sameHost)
end

-- ---- attributes --------------------------------------------------------------

function T:test_attributes()
  local conn = protocol.client "WS://Example.com:80/x"
  lu.assertEquals({ conn.readyState, conn.bufferedAmount, conn.protocol, conn.extensions, conn.url, conn.isPaused },
    { 0, 0, "", "", "ws://example.com/x", false })
  lu.assertNil(conn.latency)
  lu.assertNil(conn.nothing)
  lu.assertNil(conn[1])
  lu.assertEquals(tostring(conn), "wsock.protocol (client, connecting)")
  lu.assertEquals(tostring(asked()), "wsock.protocol (server, connecting)")
  lu.assertErrorMsgContains("no field 'x'", function() conn.x = 1 end)
  lu.assertFalse(getmetatable(conn))
end

function T:test_stats()
  local stats = asked():stats()
  lu.assertEquals({ stats.bytesIn, stats.framesIn, stats.messagesOut }, { #request(), 0, 0 })
end

return T
