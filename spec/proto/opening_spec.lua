-- proto/opening: the handshake's stages of a connection, both roles.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local conn = require "support.conn"

local T = conn.class()
T.alone = true -- it measures

-- The head and the content of a response.
local function answer(out)
  local head, body = out:match "^(.-\r\n)\r\n(.*)$"
  lu.assertNotNil(head, "no response: " .. out)
  local length = tonumber(head:match "\r\nContent%-Length: (%d+)\r\n")
  lu.assertEquals(#body, length, head)
  lu.assertStrContains(head, "\r\nConnection: close")
  return tonumber(head:match "^HTTP/1%.1 (%d%d%d) "), body, head
end

-- ---- client ----------------------------------------------------------------

-- HC-10, HC-11, HC-17
function T:test_request_is_the_output()
  local client = conn.client(nil, { protocols = "chat", fields = { { "Cookie", "a=b" } } })
  bytes.equals(client:take(), conn.head { "GET /chat HTTP/1.1", "Host: example.com", "Upgrade: websocket",
    "Connection: Upgrade", "Sec-WebSocket-Key: " .. conn.KEY, "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: chat", "Cookie: a=b" })
  lu.assertEquals(client:state().state, 0)
  lu.assertEquals(client.raw:want(), "read")
end

-- HC-18: each its own
function T:test_keys_differ()
  local seen = {}
  local chance = bytes.random(16 * 50)
  for i = 0, 49 do
    local key = conn.client { random = chance:sub(16 * i + 1) }:take():match "Key: (%S+)"
    lu.assertNil(seen[key])
    seen[key] = true
  end
end

function T:test_start_refuses()
  for _, row in ipairs { { { protocols = "a,a" }, "PROTOCOLS" }, { { target = "x" }, "FIELD" },
    { { fields = { { "Host", "x" } } }, "FIELD" }, { { origin = "a\r\nb" }, "FIELD" } } do
    local peer = conn.peer { role = "client" }
    local conf = { target = "/", host = "h" }
    for k, v in pairs(row[1]) do conf[k] = v end
    lu.assertEquals({ peer.raw:start(conf) }, { nil, row[2] })
    lu.assertEquals(peer:take(), "")
    peer:free()
  end
  local peer = conn.peer { role = "client", random_fail = 1 }
  lu.assertEquals({ peer.raw:start { target = "/", host = "h" } }, { nil, "RANDOM" })
end

-- the offer is kept, wherever the caller had it
function T:test_offer_is_copied()
  local client = conn.client(nil, { protocols = ("p"):rep(100) .. ", " .. ("q"):rep(100) })
  collectgarbage()
  local scratch = bytes.random(202) -- where the offer may have been
  client:feed(conn.response("Sec-WebSocket-Protocol: " .. ("q"):rep(100)))
  lu.assertEquals({ client:heard(), #scratch }, { "open", 202 })
end

-- HC-10, HC-38
function T:test_open()
  local client = conn.client(nil, { protocols = "a, b" }):feed(conn.response("Sec-WebSocket-Protocol: b"))
  local state = client:state()
  lu.assertEquals({ client:heard(), state.state, state.protocol, state.extensions }, { "open", 1, "b", "" })
  bytes.equals(state.head, conn.response("Sec-WebSocket-Protocol: b"))
end

-- HC-39: frames behind the 101; every split of it all
function T:test_frames_behind_the_answer()
  local input = conn.response() .. bytes.frame { "first" } .. bytes.frame { op = "ping", "" }
    .. bytes.close(1000, "bye")
  local events, out = conn.every_split(function() return conn.client() end, input)
  lu.assertEquals(events, "open | text:first | ping")
  local list = bytes.frames(out:match "\r\n\r\n(.*)$")
  lu.assertEquals({ list[1].op, list[2].op }, { 10, 8 })
end

-- HC-27 to HC-35, MH-40: what is no handshake never opens; one fault, 1006
function T:test_bad_answers()
  local function swap(line, with)
    return (conn.response():gsub(line:gsub("%p", "%%%0"), (with:gsub("%%", "%%%%")), 1))
  end
  local rows = {
    { swap("Upgrade: websocket\r\n", ""), "UPGRADE" },
    { swap("Upgrade: websocket", "Upgrade: h2c"), "UPGRADE" },
    { swap("Connection: Upgrade\r\n", ""), "CONNECTION" },
    { swap(conn.ACCEPT, conn.ACCEPT:upper()), "ACCEPT" },
    { conn.response("Sec-WebSocket-Accept: " .. conn.ACCEPT), "ACCEPT" },
    { conn.response "Sec-WebSocket-Extensions: foo", "EXTENSION_ANSWER" },
    { conn.response "Sec-WebSocket-Protocol: foo", "PROTOCOL_ANSWER" },
    { swap("HTTP/1.1", "HTTP/1.0"), "HEAD_VERSION" },
    { "HTTP/2.0 101 X\r\n\r\n", "HEAD_VERSION" },
    { "ICY 101 OK\r\n\r\n", "HEAD_LINE" },
    { "HTTP/1.1 abc X\r\n\r\n", "HEAD_LINE" },
    { "HTTP/1.1 1010 X\r\n\r\n", "HEAD_LINE" },
    { conn.response "a b: c", "HEAD_SYNTAX" },
    { conn.response "X: a\rb", "HEAD_SYNTAX" },
    { conn.response "X: a\0b", "HEAD_SYNTAX" },
    { "\x16\x03\x01\x02\x00\x01", "HEAD_LINE" }, { ("A"):rep(33), "HEAD_METHOD" },
    { "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD_LINE" },
  }
  for _, row in ipairs(rows) do
    local events = conn.every_split(function() return conn.client() end, row[1])
    lu.assertEquals(events, "fault:" .. row[2] .. " | close:1006::false", row[1])
  end
end

-- HC-40: the head is kept as it came
function T:test_head_is_kept()
  local text = conn.response("Set-Cookie: a", "Set-Cookie: b")
  bytes.equals(conn.client():feed(text):state().head, text)
end

-- MH-29
function T:test_interim_answers()
  local input = conn.head { "HTTP/1.1 100 Continue" } .. conn.head { "HTTP/1.1 103 Early Hints", "Link: x" }
    .. conn.response()
  lu.assertEquals((conn.every_split(function() return conn.client() end, input)), "open")
  local client = conn.client():feed(input)
  bytes.equals(client:state().head, conn.response())
end

-- HC-27, MH-38: a refusal is kept, its content too
function T:test_refusals()
  local rows = {
    { { "HTTP/1.1 404 Not Found", "Content-Length: 4" }, "gone", "gone" },
    { { "HTTP/1.1 404 Not Found", "Content-Length: 4" }, "gonemore", "gone" },
    { { "HTTP/1.1 401 X", "Content-Length: 0" }, "", "" },
    { { "HTTP/1.1 204 X" }, "", "" },
    { { "HTTP/1.1 500 X", "Transfer-Encoding: chunked" }, "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n", "abcde" },
    { { "HTTP/1.1 500 X", "Transfer-Encoding: chunked" }, "3\r\nabcXX", "abc" }, -- what came of it
    { { "HTTP/1.0 302 X", "Location: /" }, "until the end", "until the end" },
    { { "HTTP/1.1 403 X", "Content-Length: 100" }, "cut", "cut" },
  }
  for _, row in ipairs(rows) do
    local head = conn.head(row[1])
    local input = head .. row[2]
    for _, size in ipairs { 1, 7, #input } do
      local client = conn.client()
      for piece in bytes.pieces(input, size) do client:feed(piece) end
      client:eof():settle()
      lu.assertEquals(client:heard(), "fault:STATUS | close:1006::false", input)
      lu.assertEquals(client:state().body, row[3], input)
      bytes.equals(client:state().head, head)
      client:free()
    end
  end
  local client = conn.client():feed(conn.head { "HTTP/1.1 404 X", "Content-Length: 1", "Content-Length: 2" })
  lu.assertEquals(client:settle():heard(), "fault:STATUS | close:1006::false")
end

-- RP-02: who follows redirects is asked; then nothing more is read
function T:test_redirects_are_events()
  local function moved(status, ...)
    return conn.head { ("HTTP/1.1 %d Moved"):format(status), ... } .. "content"
  end
  conn.every_split(function() return conn.client { follow = 1 } end, moved(302, "Location: /x?y", "Content-Length: 7"),
    "redirect")
  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    local client = conn.client { follow = 1 }
    client:feed(moved(status, "location:  ../x "))
    lu.assertEquals(client:heard(), "redirect:../x")
    lu.assertFalse(client:wants "read")
    client:eof()
    lu.assertEquals(client:heard(), "") -- the owner still decides
    client:drop()
    lu.assertEquals(client:heard(), "fault:LOST | close:1006::false")
  end
  for _, row in ipairs { { 300, "Location: /x" }, { 304, "Location: /x" }, { 302, "X: y" },
    { 302, "Location: /x\r\nLocation: /y" } } do
    local client = conn.client { follow = 1 }
    client:feed(moved(row[1], row[2], "Content-Length: 7")):settle()
    lu.assertEquals(client:heard(), "fault:STATUS | close:1006::false")
  end
  local client = conn.client()
  client:feed(moved(302, "Location: /x", "Content-Length: 7")):settle()
  lu.assertEquals(client:heard(), "fault:STATUS | close:1006::false")
end

-- AU-15: who answers challenges is told of one it can answer; which, the request says
function T:test_challenges_are_events()
  local function asked(status, ...)
    return conn.head { ("HTTP/1.1 %d X"):format(status), ... } .. "content"
  end
  local DIGEST, LENGTH = 'WWW-Authenticate: Basic realm=x, Digest realm="r", nonce="n"', "Content-Length: 7"
  local refused = "fault:STATUS | close:1006::false"
  conn.every_split(function() return conn.client({}, { challenges = 2 }) end, asked(401, DIGEST, LENGTH), "challenge")
  for _, row in ipairs {
    { 2, "challenge", 401, DIGEST }, { 2, "challenge", 401, DIGEST .. ", stale=true" },
    { 1, refused, 401, DIGEST }, { 1, "challenge", 401, DIGEST .. ", stale=true" }, { 0, refused, 401, DIGEST },
    { 2, refused, 403, DIGEST }, { 2, refused, 401, "WWW-Authenticate: Basic realm=x" }, { 2, refused, 401, "X: y" },
    { 2, refused, 401, 'WWW-Authenticate: Digest realm="r"' }, { 2, refused, 401, 'Proxy-Auth' .. DIGEST:sub(8) },
  } do
    local client = conn.client({}, { challenges = row[1] })
    client:feed(asked(row[3], row[4], LENGTH)):settle()
    lu.assertEquals(client:heard(), row[2], row[4])
    if row[2] == "challenge" then
      lu.assertFalse(client:wants "read")
      client:eof():drop()
      lu.assertEquals(client:heard(), "fault:LOST | close:1006::false")
    else
      lu.assertEquals(client:state().body, "content")
    end
    client:free()
  end
end

-- the content of a refusal is cut: n-1, n, n+1
function T:test_refusal_content_limit()
  for n = 9, 11 do
    for _, head in ipairs { "Content-Length: " .. n, "Server: x" } do
      local client = conn.client { body_max = 10 }
      client:feed(conn.head { "HTTP/1.1 404 X", head } .. ("x"):rep(n)):eof():settle()
      lu.assertEquals(client:heard(), "fault:STATUS | close:1006::false")
      lu.assertEquals(client:state().body, ("x"):rep(math.min(n, 10)))
      client:free()
    end
    local client = conn.client { body_max = 10 }
    client:feed(conn.head { "HTTP/1.1 404 X", "Transfer-Encoding: chunked" }
      .. ("%x\r\n%s\r\n0\r\n\r\n"):format(n, ("x"):rep(n))):settle()
    lu.assertEquals(client:heard(), "fault:STATUS | close:1006::false")
    lu.assertEquals(client:state().body, ("x"):rep(math.min(n, 10)))
  end
end

-- HC-43: limits of the head
function T:test_answer_limits()
  local function filled(n)
    local bare = #conn.response("X: ")
    return conn.response("X: " .. ("x"):rep(n - bare))
  end
  for _, n in ipairs { 999, 1000, 1001 } do
    local text = filled(n)
    lu.assertEquals(#text, n)
    local events = conn.every_split(function() return conn.client { size_max = 1000 } end, text, "head of " .. n)
    lu.assertEquals(events, n <= 1000 and "open" or "fault:HEAD_BIG | close:1006::false")
  end
end

-- ---- server: what is refused ------------------------------------------------

local function bad_requests()
  local good = conn.request()
  local function swap(line, with)
    return (good:gsub(line:gsub("%p", "%%%0"), (with:gsub("%%", "%%%%")), 1))
  end
  return {
    { swap("GET", "POST"), 405 }, { swap("HTTP/1.1", "HTTP/1.0"), 505 }, { swap("HTTP/1.1", "http/1.1"), 400 },
    { swap("GET", ("G"):rep(32)), 405 }, { swap("GET", ("G"):rep(33)), 501 },
    { swap("HTTP/1.1", "HTTP/2.0"), 505 }, { swap("/chat", "/a b"), 400 }, { swap("/chat", "chat"), 400 },
    { swap("Host: example.com\r\n", ""), 400 }, { swap("Host: example.com", "Host: a b"), 400 },
    { conn.request "Host: example.com", 400 },
    { swap("Connection: Upgrade", "Connection: keep-alive"), 400 }, { swap("Connection: Upgrade\r\n", ""), 400 },
    { swap(conn.KEY, "short"), 400 }, { conn.request("Sec-WebSocket-Key: " .. conn.KEY), 400 },
    { swap("Version: 13", "Version: 8"), 426 }, { conn.request "Sec-WebSocket-Version: 13", 426 },
    { swap("Sec-WebSocket-Version: 13\r\n", ""), 426 },
    { conn.request "Sec-WebSocket-Protocol: a b", 400 }, { conn.request "Sec-WebSocket-Protocol: a, a", 400 },
    { conn.request "Sec-WebSocket-Extensions: foo;", 400 }, { conn.request "Content-Length: 5", 400 },
    { conn.request "Transfer-Encoding: chunked", 400 }, { conn.request "Transfer-Encoding: x", 501 },
    { conn.request "Expect: 100-continue", 417 },
    -- H2, MH-02, MH-03, MH-05, MH-17, MH-19, MH-22, MH-23
    { conn.request " folded", 400 }, { conn.request "X: a\nY: b", 400 }, { conn.request "X: a\rb", 400 },
    { conn.request "X: a\0b", 400 }, { conn.request "X : a", 400 }, { conn.request ": a", 400 },
    { conn.request "a b: c", 400 }, { conn.request "no colon", 400 }, { "GET / HTTP/1.1\r\n X: y\r\n\r\n", 400 },
    -- MH-06, MH-09, H3
    { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400 }, { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
    { "GET  / HTTP/1.1\r\n\r\n", 400 }, { "\r\n\r\n\r\n", 400 }, { "GET /#x HTTP/1.1\r\n\r\n", 400 },
    { ("A"):rep(100) .. " / HTTP/1.1\r\n\r\n", 501 },
  }
end

-- SC-01 to SC-10, SC-30, SC-32, SC-34, MH-*: each gets its status, whole, and
-- then the connection ends; cut anywhere
function T:test_bad_requests()
  for _, row in ipairs(bad_requests()) do
    local events, out = conn.every_split(function() return conn.server() end, row[1])
    lu.assertEquals(events, "", row[1])
    local status, body, head = answer(out)
    lu.assertEquals(status, row[2], row[1])
    lu.assertTrue(#body > 0)
    lu.assertEquals(head:find "\r\nUpgrade: websocket\r\n" ~= nil, status == 426)
    lu.assertEquals(head:find "\r\nSec%-WebSocket%-Version: 13\r\n" ~= nil, status == 426)
    lu.assertEquals(head:find "\r\nAllow: GET\r\n" ~= nil, status == 405)
  end
end

-- SC-30, L6: the transport: our direction ends, the rest is thrown away, then
-- it is dropped; the fault is told
function T:test_end_of_a_refused_request()
  local server = conn.server():feed(conn.request "Content-Length: 5" .. "abcde")
  lu.assertEquals(server:state().fault, "HEAD_BODY")
  lu.assertEquals(server.raw:want(), "read shutdown")
  server:feed(("x"):rep(1000))
  lu.assertEquals(server.raw:want(), "read shutdown")
  server:eof()
  lu.assertEquals(server.raw:want(), "close")
  lu.assertEquals(server:drop():heard(), "fault:HEAD_BODY | close:1006::false")
  lu.assertEquals(server.raw:want(), "")
end

-- MH-33: no content for HEAD, not even for the refusal's
function T:test_refused_head_request()
  local out = conn.server():feed(conn.head { "HEAD / HTTP/1.1" }):take()
  lu.assertStrContains(out, "HTTP/1.1 400 ")
  lu.assertEquals(out:sub(-4), "\r\n\r\n")
  out = conn.server():feed((conn.request():gsub("GET", "HEAD"))):take()
  lu.assertStrContains(out, "HTTP/1.1 405 ")
  lu.assertEquals(out:sub(-4), "\r\n\r\n")
end

-- SC-33, MH-08, MH-27, threats H2: at n-1, n, n+1
function T:test_request_limits()
  local function status(options, text, what)
    local events, out = conn.every_split(function() return conn.server(options) end, text, what)
    return events == "upgrade | open" and 101 or answer(out)
  end
  for _, n in ipairs { 999, 1000, 1001 } do
    local bare = #conn.request("X: ")
    lu.assertEquals(status({ size_max = 1000 }, conn.request("X: " .. ("x"):rep(n - bare)), "head of " .. n),
      n <= 1000 and 101 or 431)
  end
  for _, n in ipairs { 5, 6, 7 } do -- five lines there are
    local more = {}
    for i = 1, n - 5 do more[i] = "X: y" end
    lu.assertEquals(status({ lines_max = 6 }, conn.request(table.unpack(more)), n .. " lines"), n <= 6 and 101 or 431)
  end
end

function T:test_default_request_limits()
  local function status(text)
    local server = conn.server():feed(text)
    local out = server:take()
    return server:state().state == 1 and 101 or answer(out)
  end
  local function lines(n)
    local more = {}
    for i = 1, n - 5 do more[i] = "Same: name" end
    return conn.request(table.unpack(more))
  end
  lu.assertEquals(status(lines(100)), 101)
  lu.assertEquals(status(lines(101)), 431)
  lu.assertEquals(status(conn.request("X: " .. ("x"):rep(8192 - 3))), 101)
  lu.assertEquals(status(conn.request("X: " .. ("x"):rep(8193 - 3))), 431)
  for _, row in ipairs { { 8000, 101 }, { 8192, 101 }, { 8193, 414 } } do
    lu.assertEquals(status((conn.request():gsub("/chat", "/" .. ("x"):rep(row[1] - 1)))), row[2])
  end
  lu.assertEquals(status(lines(100000)), 431)
end

-- threats H1, I7: a huge head dribbled is looked at once, and refused at the
-- limit, not at its end
function T:test_dribbled_head()
  local server = conn.server()
  local start = conn.request():sub(1, -3) .. "X: "
  local before = os.clock()
  server:feed(start)
  local n = #start
  while server:state().fault == "OK" and n < 65536 do
    n = n + 1
    server.raw:feed(n % 8000 == 0 and "\r\nX: y" or "x")
  end
  lu.assertTrue(n <= 32768, n)
  lu.assertEquals(server:state().fault, "HEAD_BIG")
  lu.assertTrue(os.clock() - before < 2 * clock.slow)
  lu.assertEquals((answer(server:take())), 431)
  lu.assertTrue(server.mem:state().used < 40000)
end

-- MH-04: one empty line first
function T:test_empty_line_first()
  lu.assertEquals((conn.every_split(function() return conn.server() end, "\r\n" .. conn.request())), "upgrade | open")
end

-- ---- server: accept ----------------------------------------------------------

-- SC-23 to SC-26
function T:test_accept()
  local server = conn.server():feed(conn.request())
  bytes.equals(server:take(), conn.response())
  lu.assertEquals(server:state().state, 1)
  bytes.equals(server:state().head, conn.request())
end

-- nothing happens until the application says so, however long the peer talks
function T:test_the_application_decides()
  local server = conn.peer { role = "server", handshake_ms = 1000 }
  server:feed(conn.request() .. bytes.frame { mask = true, "early" })
  lu.assertEquals({ server:heard(), server:take(), server.raw:want() }, { "upgrade", "", "watch" })
  lu.assertEquals(#server.rest, 11)
  lu.assertEquals(server.raw:due(), -1) -- the peer has done its part
  server:pass(100000)
  assert(server.raw:accept())
  server:pull()
  server:feed()
  lu.assertEquals(server:heard(), "open | text:early") -- SC-29
end

-- SC-20, SC-21: what was offered, or nothing
function T:test_accept_with_protocol()
  local function asked(...)
    local server = conn.peer { role = "server" }
    server:feed(conn.request(...))
    lu.assertEquals(server:heard(), "upgrade")
    return server
  end
  local server = asked("Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c")
  for _, name in ipairs { "d", "A", "a, b", "b\r\nX: y" } do
    lu.assertEquals({ server.raw:accept(name) }, { nil, "PROTOCOLS" })
  end
  assert(server.raw:accept("c", { { "X", "y" } }))
  lu.assertEquals(server:state().protocol, "c")
  bytes.equals(server:take(), conn.response("Sec-WebSocket-Protocol: c", "X: y"))

  server = asked "Sec-WebSocket-Protocol: a"
  assert(server.raw:accept())
  lu.assertEquals(server:state().protocol, "")
  bytes.equals(server:take(), conn.response())

  server = asked()
  lu.assertEquals({ server.raw:accept "a" }, { nil, "PROTOCOLS" })
  for _, fields in ipairs { { { "Upgrade", "x" } }, { { "X", "a\nb" } } } do
    lu.assertEquals({ server.raw:accept("", fields) }, { nil, "FIELD" })
  end
  lu.assertEquals(server:take(), "")
  assert(server.raw:accept()) -- it can still be had
end

function T:test_one_answer_only()
  for _, first in ipairs { "accept", "respond" } do
    local server = conn.peer { role = "server" }
    for _ = 1, 2 do -- not asked yet
      lu.assertEquals({ server.raw:accept() }, { nil, "STATE" })
      lu.assertEquals({ server.raw:respond { status = 404 } }, { nil, "STATE" })
    end
    server:feed(conn.request())
    assert(server.raw[first](server.raw, first == "respond" and { status = 404 } or nil))
    lu.assertEquals({ server.raw:accept() }, { nil, "STATE" })
    lu.assertEquals({ server.raw:respond { status = 404 } }, { nil, "STATE" })
    server:free()
  end
end

-- SC-28, SC-29, threats H8: frames glued to the head, both ways
function T:test_frames_behind_the_request()
  for _, n in ipairs { 0, 1, 125 } do
    local input = conn.request() .. bytes.frame { op = "ping", mask = true, ("p"):rep(n) }
      .. bytes.frame { mask = true, "hello" }
    local events, out = conn.every_split(function()
      local server = conn.server()
      function server.on.open(p) assert(p.raw:send("welcome", "text")) end
      return server
    end, input, "ping of " .. n)
    lu.assertEquals(events, "upgrade | open | ping" .. (n > 0 and ":" .. ("p"):rep(n) or "") .. " | text:hello")
    local list = bytes.frames(out:sub(#conn.response() + 1))
    lu.assertEquals({ list[1].payload, list[2].op, list[2].payload }, { "welcome", 10, ("p"):rep(n) })
  end
end

-- ---- server: plain HTTP ------------------------------------------------------

local function page(options, body)
  local server = conn.peer { role = "server", body_max = options and options.body_max }
  function server.on.request(self)
    assert(self.raw:respond { status = 200, body = body or "page", fields = { { "Content-Type", "text/plain" } } })
  end
  return server
end

-- SC-05
function T:test_plain_request()
  local events, out = conn.every_split(page, conn.head { "GET / HTTP/1.1", "Host: h" })
  lu.assertEquals(events, "request")
  bytes.equals(out, conn.head { "HTTP/1.1 200 OK", "Content-Type: text/plain", "Connection: close",
    "Content-Length: 4" } .. "page")
end

-- RFC 9110 6.6.1: answers and refusals are dated, a 101 need not be
function T:test_date()
  local DATE = "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
  local function server() return conn.server { dated = 1 } end
  local asked = server():feed(conn.head { "GET / HTTP/1.1", "Host: h" })
  assert(asked.raw:respond { status = 404 })
  lu.assertStrContains(asked:take(), DATE)
  asked = server():feed(conn.head { "GET / HTTP/1.1", "Host: h" })
  assert(asked.raw:respond { status = 200, fields = { { "DATE", "mine" } } })
  lu.assertNil(asked:take():find "Date")
  for _, bad in ipairs { "\22", conn.head { "GET / HTTP/1.1" }, conn.request "Sec-WebSocket-Version: 8" } do
    lu.assertStrContains(server():feed(bad):take(), DATE)
  end
  local accepted = server():feed(conn.request()):take()
  lu.assertStrContains(accepted, "HTTP/1.1 101 ")
  lu.assertNil(accepted:find "Date")
end

-- MH-36: with content
function T:test_plain_request_with_content()
  for _, row in ipairs {
    { "Content-Length: 5", "hello", "hello" }, { "Content-Length: 5", "hello, ignored", "hello" },
    { "Content-Length: 0", "", "" },
    { "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "hello" },
    { "Transfer-Encoding: chunked", "2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nT: x\r\n\r\nignored", "hello" },
    { "Transfer-Encoding: chunked", "0\r\n\r\n", "" },
  } do
    local events, out = conn.every_split(page, conn.head { "POST / HTTP/1.1", "Host: h", row[1] } .. row[2])
    lu.assertEquals(events, row[3] == "" and "request" or "request:" .. row[3])
    lu.assertEquals((answer(out)), 200)
  end
end

-- maxBody: n-1, n, n+1
function T:test_content_limit()
  for n = 9, 11 do
    for _, row in ipairs {
      { "Content-Length: " .. n, ("x"):rep(n) },
      { "Transfer-Encoding: chunked", ("%x\r\n%s\r\n0\r\n\r\n"):format(n, ("x"):rep(n)) },
      { "Transfer-Encoding: chunked", "1\r\nx\r\n" .. ("%x\r\n%s\r\n0\r\n\r\n"):format(n - 1, ("x"):rep(n - 1)) },
    } do
      local events, out = conn.every_split(function() return page { body_max = 10 } end,
        conn.head { "POST / HTTP/1.1", "Host: h", row[1] } .. row[2], row[1])
      lu.assertEquals(events, n <= 10 and "request:" .. ("x"):rep(n) or "")
      lu.assertEquals((answer(out)), n <= 10 and 200 or 413)
    end
  end
end

-- LM-01: what is announced to be too much is refused before any of it comes.
function T:test_too_much_content_is_refused_at_its_head()
  for n = 10, 11 do
    local server = page { body_max = 10 }
    server:feed(conn.head { "POST / HTTP/1.1", "Host: h", "Content-Length: " .. n })
    local out = server:take()
    lu.assertEquals(out == "" and out or answer(out), n == 10 and "" or 413)
  end
end

-- I1: a length that is only claimed is not allocated
function T:test_claimed_content()
  local server = page { body_max = 1 << 30 }
  server:feed(conn.head { "POST / HTTP/1.1", "Host: h", "Content-Length: 1000000000" } .. "x")
  lu.assertTrue(server.mem:state().used < 4096)
end

function T:test_bad_chunks()
  for _, body in ipairs { "x\r\n", "-1\r\n", "5\nhello", "5\r\nhello!", "ffffffffffffffffff\r\n" } do
    local events, out = conn.every_split(page,
      conn.head { "POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked" } .. body)
    lu.assertEquals(events, "")
    lu.assertEquals((answer(out)), 400)
  end
end

function T:test_head_request()
  local out = page():feed(conn.head { "HEAD / HTTP/1.1", "Host: h" }):take()
  lu.assertStrContains(out, "Content-Length: 4\r\n")
  lu.assertEquals(out:sub(-4), "\r\n\r\n")
end

-- after the answer: our direction ends, then the transport; no fault
function T:test_end_of_a_plain_request()
  local server = page():feed(conn.head { "GET / HTTP/1.1", "Host: h" })
  lu.assertEquals(server.raw:want(), "read shutdown")
  server:feed "GET /second HTTP/1.1\r\n\r\n" -- no pipelining: not answered
  lu.assertEquals((answer(server:take())), 200)
  server:eof()
  lu.assertEquals(server.raw:want(), "close")
  lu.assertEquals(server:drop():heard(), "request | close:1006::false")
end

-- a peer that ended its direction after the request is answered all the same
function T:test_answer_to_a_half_closed_peer()
  local server = conn.peer { role = "server" }
  server:feed(conn.head { "GET / HTTP/1.1", "Host: h" }):eof()
  lu.assertEquals({ server:heard(), server.raw:want() }, { "request", "" }) -- nothing more to be told
  server.held = true
  assert(server.raw:respond { status = 200, body = "late" })
  lu.assertTrue(server:wants "write")
  server.held = false
  lu.assertEquals((answer(server:take())), 200)
  lu.assertEquals(server.raw:want(), "close")
end

-- an upgrade whose peer has left before the answer is over
function T:test_a_peer_that_left_before_the_answer()
  local server = conn.peer { role = "server" }
  server:feed(conn.request())
  lu.assertEquals(server.raw:want(), "watch")
  server:eof()
  lu.assertEquals({ server.raw:accept() }, { nil, "STATE" })
  lu.assertEquals({ server.raw:respond { status = 403 } }, { nil, "STATE" })
  lu.assertEquals(server:settle():heard(), "upgrade | fault:LOST | close:1006::false")
end

-- the application's time runs from the end of the request, at n-1, n, n+1
function T:test_the_application_does_not_answer()
  local requests = { upgrade = conn.request(), request = conn.head { "GET / HTTP/1.1", "Host: h" } }
  for event, text in pairs(requests) do
    for late = -1, 1 do
      local server = conn.peer { role = "server", handshake_ms = 1000, answer_ms = 100 }
      server:feed(text:sub(1, 10)):pass(900):feed(text:sub(11)):pass(100 + late)
      if late < 0 then
        lu.assertEquals({ server:heard(), server:take(), server.raw:due() - server.now }, { event, "", 1 })
        lu.assertTrue(server.raw:respond { status = 200 })
        lu.assertEquals((answer(server:take())), 200)
      else
        lu.assertEquals((answer(server:take())), 503)
        lu.assertEquals({ server.raw:respond { status = 200 } }, { nil, "STATE" })
        server:eof()
        lu.assertEquals(server:settle():heard(), event .. " | fault:ANSWER_TIMEOUT | close:1006::false")
      end
      server:free()
    end
    local server = conn.peer { role = "server", handshake_ms = 1000 }
    lu.assertEquals(server:feed(text).raw:due(), -1) -- 0: as long as it likes
  end
end

-- SC-15, SC-16, SC-19: the application refuses an upgrade
function T:test_reject()
  local server = conn.peer { role = "server" }
  server:feed(conn.request())
  lu.assertEquals({ server.raw:respond { status = 101 } }, { nil, "ARGUMENT" })
  lu.assertEquals({ server.raw:respond { status = 401, fields = { { "X", "\n" } } } }, { nil, "FIELD" })
  assert(server.raw:respond { status = 401, reason = "Who Are You", fields = { { "WWW-Authenticate", "Basic" } } })
  local status, _, head = answer(server:take())
  lu.assertEquals(status, 401)
  lu.assertStrContains(head, "401 Who Are You\r\nWWW-Authenticate: Basic\r\n")
  server:eof()
  lu.assertEquals(server:settle():heard(), "upgrade | close:1006::false")
end

-- AU-01, AU-04: who is asked for something is told what
function T:test_401()
  for _, row in ipairs {
    { "GET / HTTP/1.1", "Host: example.org:8080", "example.org" }, { "GET / HTTP/1.1", "Host: [::1]:1", "[::1]" },
    { "GET http://a.example/ HTTP/1.1", "Host: b.example", "a.example" },
  } do
    local server = conn.peer { role = "server" }
    server:feed(conn.head { row[1], row[2] })
    assert(server.raw:respond { status = 401 })
    local status, _, head = answer(server:take())
    lu.assertEquals(status, 401)
    lu.assertStrContains(head, ('\r\nWWW-Authenticate: Basic realm="%s", charset="UTF-8"\r\n'):format(row[3]))
    server:free()
  end
end

-- ---- ends in the middle ------------------------------------------------------

-- CL-16, HC-08: the transport ends at any byte of the handshake
function T:test_lost_at_every_byte()
  for role, text in pairs { client = conn.response():sub(1, -2), server = conn.request():sub(1, -2) } do
    for n = 0, #text do
      local peer = role == "client" and conn.client() or conn.server()
      peer:feed(text:sub(1, n)):eof():settle()
      lu.assertEquals(peer:heard(), "fault:UNANSWERED | close:1006::false", role .. n)
      peer:free()
    end
  end
end

-- every allocation may fail: an answer or an end, never a leak
function T:test_no_memory()
  local function attempt(make, drive)
    local n, hit = 0
    repeat
      n = n + 1
      local peer = make()
      peer.mem:fail(n)
      drive(peer)
      hit = peer.mem:state().failed > 0
      if hit then
        peer:settle()
        lu.assertTrue(peer:state().fault ~= "OK" or peer.refused ~= nil, "failure " .. n)
      end
      peer:free()
    until not hit
    lu.assertTrue(n > 2, n)
  end
  local function server() return conn.peer { role = "server" } end
  attempt(server, function(peer)
    function peer.on.upgrade(p)
      local ok, code = p.raw:accept("a", { { "X", ("x"):rep(400) } })
      p.refused = not ok and code or nil
    end
    peer:feed(conn.request("Sec-WebSocket-Protocol: a"))
    lu.assertTrue(peer.refused == nil or peer.refused == "NOMEM")
  end)
  attempt(server, function(peer)
    function peer.on.request(p)
      local ok, code = p.raw:respond { status = 200, body = ("x"):rep(20000) }
      p.refused = not ok and code or nil
    end
    peer:feed(conn.head { "POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked" } .. "3\r\nabc\r\n0\r\n\r\n")
    lu.assertTrue(peer.refused == nil or peer.refused == "NOMEM")
  end)
  attempt(server, function(peer) peer:feed(conn.request "Content-Length: 5") end)
  attempt(function() return conn.peer { role = "client" } end, function(peer)
    local ok, code = peer.raw:start { target = "/", host = "h", protocols = "a" }
    peer.refused = not ok and code or nil
    if ok then peer:feed(conn.head { "HTTP/1.1 103 X" }):feed(conn.response("Sec-WebSocket-Protocol: a")) end
  end)
  attempt(function() return conn.peer { role = "client" } end, function(peer)
    local ok, code = peer.raw:start { target = "/", host = "h" }
    peer.refused = not ok and code or nil
    if ok then peer:feed(conn.head { "HTTP/1.1 404 X", "Content-Length: 300" } .. ("x"):rep(300)) end
  end)
end

-- ---- permessage-deflate: PM-01, PM-04, PM-07, PM-08, PM-09 --------------------------------

local PMD = "Sec-WebSocket-Extensions: permessage-deflate"

function T.test_a_client_offers_compression()
  local client = conn.client { pmd = { client_window = 255, server_alone = true } }
  lu.assertStrContains(client:take(), "\r\n" .. PMD .. "; server_no_context_takeover; client_max_window_bits\r\n")
  client:feed(conn.response(PMD .. "; server_no_context_takeover"))
  lu.assertEquals({ client:heard(), client:state().extensions },
    { "open", "permessage-deflate; server_no_context_takeover" })
  lu.assertNotNil(client:state().pmd)
  client = conn.client { pmd = {} }
  client:take()
  client:feed(conn.response())
  lu.assertEquals({ client:heard(), client:state().extensions, client:state().pmd }, { "open", "" })
  for more, fault in pairs {
    ["; foo"] = "DEFLATE_PARAM", ["; client_max_window_bits=9"] = "DEFLATE_ANSWER",
    [", permessage-deflate"] = "EXTENSION_ANSWER",
  } do
    client = conn.client { pmd = {} }
    client:take()
    client:feed(conn.response(PMD .. more))
    lu.assertEquals({ client:state().fault, client:heard() }, { fault, "" }, more)
  end
  client = conn.client()
  client:take()
  lu.assertEquals(client:feed(conn.response(PMD)):state().fault, "EXTENSION_ANSWER")
end

function T.test_a_server_chooses_compression()
  local server = conn.server { pmd = { server_window = 10 } }
  server:feed(conn.request("Sec-WebSocket-Extensions: foo, permessage-deflate; bar", PMD .. "; client_max_window_bits"))
  local extensions = "permessage-deflate; server_max_window_bits=10"
  lu.assertStrContains(server:take(), "\r\nSec-WebSocket-Extensions: " .. extensions .. "\r\n")
  lu.assertEquals({ server:heard(), server:state().extensions }, { "upgrade | open", extensions })
  for _, lines in ipairs { {}, { "Sec-WebSocket-Extensions: deflate-frame" }, { PMD .. "; foo" } } do
    server = conn.server({ pmd = {} }):feed(conn.request(table.unpack(lines)))
    lu.assertNil(server:take():find("Extensions", 1, true))
    lu.assertEquals({ server:heard(), server:state().extensions, server:state().pmd }, { "upgrade | open", "" })
  end
  server = conn.server():feed(conn.request(PMD)) -- is not set to
  lu.assertEquals({ server:heard(), server:state().extensions }, { "upgrade | open", "" })
end

-- What a server is set to may differ from request to request; one that fails
-- leaves nothing agreed on.
function T.test_compression_for_one_request()
  local server = conn.peer { role = "server" }
  server:feed(conn.request(PMD, "Sec-WebSocket-Protocol: a"))
  lu.assertEquals({ server.raw:accept("b", nil, {}) }, { nil, "PROTOCOLS" })
  lu.assertEquals({ server.raw:accept("a", { { "Host", "x" } }, {}) }, { nil, "FIELD" })
  lu.assertEquals({ server:state().extensions, server:state().pmd }, { "" })
  lu.assertTrue(server.raw:accept("a", nil, { client_alone = true }))
  lu.assertEquals(server:state().extensions, "permessage-deflate; client_no_context_takeover")
end

function T.test_compression_without_memory()
  for n = 1, 12 do
    local server = conn.peer { role = "server" }
    server:feed(conn.request(PMD))
    server.mem:fail(n)
    local ok, code = server.raw:accept(nil, nil, {})
    server.mem:fail(0)
    if not ok then
      lu.assertEquals({ code, server:state().extensions }, { "NOMEM", "" })
      lu.assertTrue(server.raw:accept(nil, nil, {}))
    end
    lu.assertEquals(server:state().extensions, "permessage-deflate")
    server:free()
    local client = conn.client { pmd = {} }
    client:take()
    client.mem:fail(n)
    client:feed(conn.response(PMD))
    client.mem:fail(0)
    lu.assertTrue(client:state().fault == "NOMEM" or client:heard() == "open")
    client:free()
  end
end

return T
