-- proto/welcome: the opening handshake, server side.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local conn = require "support.conn"
local counted = require "support.counted"
local probe = require "wsock.probe"

local T = counted.class()
T.alone = true -- it measures
local proto = probe.proto

-- A request as a list of lines; `change` maps names to values: nil leaves the
-- line, false drops it, a string replaces it, a list makes several of it.
local function request(change, start, more)
  change = change or {}
  local list = { start or "GET /chat HTTP/1.1" }
  for _, line in ipairs { { "Host", "example.com" }, { "Upgrade", "websocket" },
    { "Connection", "Upgrade" }, { "Sec-WebSocket-Key", conn.KEY }, { "Sec-WebSocket-Version", "13" } } do
    local values = change[line[1]]
    if values == nil then values = line[2] end
    if type(values) ~= "table" then values = { values or nil } end
    for _, value in ipairs(values) do list[#list + 1] = line[1] .. ": " .. value end
  end
  for _, line in ipairs(more or {}) do list[#list + 1] = line end
  return conn.head(list)
end

local function welcome(head)
  local w, code = proto.welcome_check(head)
  lu.assertNotNil(w, tostring(code) .. ": " .. head)
  return w
end

local function refused(code, head)
  local w, got = proto.welcome_check(head)
  lu.assertNil(w, head)
  lu.assertEquals(got, code, head)
end

-- ---- what is welcome -------------------------------------------------------

function T:test_good_request()
  local w = welcome(request())
  lu.assertEquals({ w.upgrade, w.key, w.head_method }, { true, conn.KEY, false })
end

-- SC-01, SC-02: the method
function T:test_method()
  for _, method in ipairs { "POST", "HEAD", "PUT", "OPTIONS", "get", "X" } do
    refused("METHOD", request(nil, method .. " /chat HTTP/1.1"))
  end
end

-- SC-02: HTTP/1.1 or higher; for what is lower there is no head
function T:test_version_of_http()
  for _, version in ipairs { "HTTP/1.1", "HTTP/1.2", "HTTP/1.9" } do
    lu.assertTrue(welcome(request(nil, "GET /chat " .. version)).upgrade)
  end
end

-- SC-03, MH-13: absolute form, whose authority is the host
function T:test_targets()
  for _, target in ipairs { "/", "/chat?x=y", "http://h/chat", "https://h", "http://h:81/x?y", "HTTP://h/" } do
    lu.assertTrue(welcome(request(nil, "GET " .. target .. " HTTP/1.1")).upgrade)
  end
  for _, target in ipairs { "*", "chat", "h:80", "ftp://h/", "ws://h/chat", "httpx://h/", "xhttp://h/" } do
    refused("HEAD_LINE", request(nil, "GET " .. target .. " HTTP/1.1"))
  end
  refused("HEAD_HOST", request(nil, "GET http://h:99999/ HTTP/1.1"))
  refused("HEAD_HOST", request({ Host = false }, "GET http://h/ HTTP/1.1"))
  refused("METHOD", request(nil, "CONNECT h:80 HTTP/1.1"))
end

-- SC-04, MH-11, threats H3
function T:test_host()
  for _, host in ipairs { "h", "h:8080", "[::1]", "[::1]:80", "127.0.0.1", "a.b.c:1", "h:" } do
    welcome(request { Host = host })
    welcome(request({ Host = host, Upgrade = false }))
  end
  for _, host in ipairs { "", "a b", "[::1", "a:99999", "%00", ("a"):rep(300), "http://h", "u@h", "h:x" } do
    refused("HEAD_HOST", request { Host = host })
    refused("HEAD_HOST", request { Host = host, Upgrade = false })
  end
  refused("HEAD_HOST", request { Host = false })
  refused("HEAD_HOST", request { Host = { "h", "h" } })
end

-- SC-05: without a websocket token it is plain HTTP
function T:test_upgrade()
  for _, value in ipairs { "WebSocket", "h2c, websocket", "websocket,", { "h2c", "websocket" } } do
    lu.assertTrue(welcome(request { Upgrade = value }).upgrade)
  end
  for _, value in ipairs { "", "h2c", "websockets", "xwebsocket", "web socket", "websocket/13" } do
    lu.assertFalse(welcome(request { Upgrade = value }).upgrade, value)
  end
  lu.assertFalse(welcome(request { Upgrade = false }).upgrade)
end

-- SC-06, threats H5: a token, also in a list or on several lines
function T:test_connection()
  for _, value in ipairs { "upgrade", "keep-alive, Upgrade", ", Upgrade,", { "keep-alive", "UPGRADE" } } do
    welcome(request { Connection = value })
  end
  for _, value in ipairs { "", "keep-alive", "xUpgrade", "Upgrades", "close", false } do
    refused("CONNECTION", request { Connection = value })
  end
end

-- SC-01: and what stands beside it is well-formed
function T:test_malformed_lists()
  for _, value in ipairs { "Upgrade, a b", 'Upgrade, "x"', "Upgrade, a/1", { "Upgrade", "@" }, { "a;b", "Upgrade" } } do
    refused("HEAD_SYNTAX", request { Connection = value })
  end
  for _, value in ipairs { "websocket, a b", 'websocket, "x', "websocket, /1", { "@", "websocket" } } do
    refused("HEAD_SYNTAX", request { Upgrade = value })
  end
  lu.assertTrue(welcome(request { Upgrade = "TLS/1.0, websocket" }).upgrade)
  lu.assertFalse(welcome(request { Upgrade = "a b" }).upgrade) -- who asks for something else is not judged by it
end

-- SC-07, SC-08, threats H5: one key, 16 bytes
function T:test_key()
  for _, key in ipairs { conn.KEY, "Iv8io/9s+lYFgZWcXczP8Q==", "\t" .. conn.KEY .. "  ",
    ("A"):rep(22) .. "==", ("/"):rep(21) .. "w==",
    -- bits that mean nothing are set: accepted, and hashed as they came
    "AQIDBAUGBwgJCgsMDQ4PEC==", ("/"):rep(22) .. "==" } do
    lu.assertEquals(welcome(request { ["Sec-WebSocket-Key"] = key }).key, key:match "%S+")
  end
  for _, key in ipairs { "", "x", ("A"):rep(20), ("A"):rep(22), ("A"):rep(24), ("A"):rep(20) .. "====",
    ("A"):rep(23) .. "=", ("A"):rep(28), ("A"):rep(21) .. "===", ("A"):rep(22) .. "= ", ("A"):rep(21) .. "-==",
    ("A"):rep(21) .. "_==", ("A"):rep(21) .. "*==", "*" .. ("A"):rep(21) .. "==", ("A"):rep(10) .. "=" ..
    ("A"):rep(11) .. "==", "A" .. conn.KEY, conn.KEY .. "=", conn.KEY .. "," .. conn.KEY,
    ("A"):rep(21) .. "===", ("A"):rep(21) .. "\xff==" } do
    refused("KEY", request { ["Sec-WebSocket-Key"] = key })
  end
  refused("KEY", request { ["Sec-WebSocket-Key"] = false })
  refused("KEY", request { ["Sec-WebSocket-Key"] = { conn.KEY, conn.KEY } })
end

-- SC-09, SC-10, threats L6
function T:test_version()
  welcome(request { ["Sec-WebSocket-Version"] = " 13\t" })
  for _, version in ipairs { "", "7", "8", "0", "6", "14", "13,8", "13 8", "013", "13.0", "25", "+13", "xiii" } do
    refused("VERSION", request { ["Sec-WebSocket-Version"] = version })
  end
  refused("VERSION", request { ["Sec-WebSocket-Version"] = false })
  refused("VERSION", request { ["Sec-WebSocket-Version"] = { "13", "13" } })
end

-- threats L6: the draft of before the version header
function T:test_hixie_76()
  refused("KEY", request({ ["Sec-WebSocket-Key"] = false, ["Sec-WebSocket-Version"] = false }, nil,
    { "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00" }))
end

-- SC-12, threats H4: several lines are one list; empty elements are skipped
function T:test_protocols()
  local function offer(...)
    local list = {}
    for _, value in ipairs { ... } do list[#list + 1] = "Sec-WebSocket-Protocol: " .. value end
    return request(nil, nil, list)
  end
  welcome(offer "chat")
  welcome(offer "a, b,c")
  welcome(offer("a, b", "c"))
  welcome(offer ",, a,,")
  welcome(offer("", "a"))
  welcome(offer "chat, Chat")
  for _, value in ipairs { "", " ", ",", "a b", "a, b c", '"a"', "a;b", "a/b", "a, a", "a,b,a", "\xc3\xa9" } do
    refused("PROTOCOLS", offer(value))
  end
  refused("PROTOCOLS", offer("a", "a"))
  refused("PROTOCOLS", offer("a, b", "c, b"))
end

-- threats H4: a thousand are fine, more are not looked at; space costs nothing
function T:test_many_protocols()
  local function offer(n)
    local list, lines = {}, {}
    for i = 1, n do
      list[#list + 1] = "p" .. i
      if #list == 1000 or i == n then
        lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. table.concat(list, ",")
        list = {}
      end
    end
    return request(nil, nil, lines)
  end
  welcome(offer(1000))
  local most = offer(1024)
  lu.assertTrue(clock.quickest(0.003, function() welcome(most) end) < 0.003) -- takes 0.3 ms
  refused("PROTOCOLS", offer(1025))
  refused("PROTOCOLS", offer(5000))
  local began = os.clock()
  for _, filler in ipairs { (" "):rep(16384), (","):rep(16384), (" ,"):rep(8192) } do
    welcome(request(nil, nil, { "Sec-WebSocket-Protocol: a" .. filler .. ",b" }))
  end
  lu.assertTrue(os.clock() - began < 0.5)
end

-- EX-04, EX-05, EX-06, EX-07, EX-08, EX-14
function T:test_extensions()
  local function offer(...)
    local list = {}
    for _, value in ipairs { ... } do list[#list + 1] = "Sec-WebSocket-Extensions: " .. value end
    return request(nil, nil, list)
  end
  for _, value in ipairs { "permessage-deflate", "foo; bar", 'foo;bar="b\\az"', "a ; b = 1 , c", ", foo,,",
    "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits" } do
    lu.assertTrue(welcome(offer(value)).upgrade)
  end
  welcome(offer("a; b=1", "c"))
  for _, value in ipairs { "", ",", "foo;=", "foo;", '"foo"', "f@o", 'foo;bar="b@z"', 'foo;bar="baz', "foo bar",
    'foo;bar=""', "foo;bar=", ";foo" } do
    refused("EXTENSIONS", offer(value))
  end
  refused("EXTENSIONS", offer("a", "b;"))
end

-- SC-13
function T:test_unknown_headers_and_order()
  local w = welcome(conn.head { "GET / HTTP/1.1", "x-unknown: \xff\xfe", "SEC-WEBSOCKET-VERSION: 13",
    "connection: Upgrade", "Accept: */*", "sec-websocket-key: " .. conn.KEY, "UPGRADE: WEBSOCKET",
    "Cookie: a=b", "host: h" })
  lu.assertTrue(w.upgrade)
end

-- MH-36, MH-37, threats H5: no body behind an upgrade
function T:test_upgrade_with_a_body()
  local function with(...)
    return request(nil, nil, { ... })
  end
  welcome(with "Content-Length: 0") -- Apache sends it
  refused("HEAD_BODY", with "Content-Length: 5")
  refused("HEAD_BODY", with "Transfer-Encoding: chunked")
  refused("HEAD_CODING", with "Transfer-Encoding: gzip, chunked")
  refused("HEAD_CODING", with "Transfer-Encoding: foo")
  refused("HEAD_LENGTH", with("Content-Length: 5", "Transfer-Encoding: chunked"))
  for _, value in ipairs { "-1", "5,6", "0x5", "", "+5", "5 5", "99999999999999999999" } do
    refused("HEAD_LENGTH", with("Content-Length: " .. value))
  end
end

-- MH-34: documented instead of served
function T:test_expect()
  refused("HEAD_EXPECT", request(nil, nil, { "Expect: 100-continue" }))
  refused("HEAD_EXPECT", request({ Upgrade = false }, "POST / HTTP/1.1",
    { "Expect: 100-continue", "Content-Length: 5" }))
end

-- ---- plain HTTP ------------------------------------------------------------

function T:test_plain_requests()
  local function plain(start, ...)
    return welcome(conn.head { start, "Host: h", ... })
  end
  lu.assertEquals(plain("GET / HTTP/1.1").body, "none")
  lu.assertTrue(plain("HEAD / HTTP/1.1").head_method)
  local w = plain("POST /x HTTP/1.1", "Content-Length: 12")
  lu.assertEquals({ w.upgrade, w.body, w.length, w.head_method }, { false, "length", 12, false })
  lu.assertEquals(plain("POST /x HTTP/1.1", "Transfer-Encoding: chunked").body, "chunked")
  lu.assertEquals(plain("OPTIONS * HTTP/1.1").upgrade, false)
  refused("HEAD_CODING", conn.head { "POST / HTTP/1.1", "Host: h", "Transfer-Encoding: gzip" })
  refused("HEAD_LENGTH", conn.head { "POST / HTTP/1.1", "Host: h", "Content-Length: 1", "Content-Length: 2" })
  refused("HEAD_LINE", conn.head { "GET * HTTP/1.1", "Host: h" })
end

-- a refusal of HEAD has no body either, so that much is known of bad requests
function T:test_head_method_is_known_of_refused_requests()
  local _, code, head = proto.welcome_check(conn.head { "HEAD / HTTP/1.1" })
  lu.assertEquals({ code, head }, { "HEAD_HOST", true })
end

-- ---- the 101 ---------------------------------------------------------------

-- SC-21, SC-22, SC-23, SC-24, SC-25, SC-26, MH-31, MH-35
function T:test_accept()
  bytes.equals(proto.welcome_accept(conn.KEY, "", nil, self.mem), conn.head {
    "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" })
  local other = proto.welcome_accept("Iv8io/9s+lYFgZWcXczP8Q==", "", nil, self.mem)
  lu.assertStrContains(other, "Accept: hsBlbuDTkk24srzEOTBUlZAlC2g=\r\n")
end

function T:test_accept_with_more()
  bytes.equals(proto.welcome_accept(conn.KEY, "chat", { { "Set-Cookie", "a=b" }, { "Set-Cookie", "c=d" } },
    self.mem), conn.response("Sec-WebSocket-Protocol: chat", "Set-Cookie: a=b", "Set-Cookie: c=d"))
end

-- SC-27, H6: nothing twice, nothing that breaks the head
function T:test_accept_refuses()
  local function no(protocol, fields)
    local ok, code = proto.welcome_accept(conn.KEY, protocol, fields, self.mem)
    lu.assertNil(ok)
    lu.assertEquals(code, "FIELD")
  end
  for _, protocol in ipairs { "a b", "a,b", "a\r\nX: y", "\0", "\xff" } do no(protocol) end
  for _, name in ipairs { "Upgrade", "connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions", "Content-Length", "Transfer-Encoding", "a b", "" } do
    no("", { { name, "x" } })
  end
  for _, value in ipairs { "a\r\nX: y", "\n", "\r", "\0", "\x7f", "\x80", " a", "a " } do
    no("", { { "X", value } })
  end
end

-- ---- refusals and other answers --------------------------------------------

function T:refuse(answer)
  return proto.welcome_refuse(answer, self.mem)
end

-- SC-30, SC-34, MH-39
function T:test_response()
  bytes.equals(self:refuse { status = 404, body = "no\n", fields = { { "Content-Type", "text/plain" } } },
    conn.head { "HTTP/1.1 404 Not Found", "Content-Type: text/plain", "Connection: close",
      "Content-Length: 3" } .. "no\n")
  bytes.equals(self:refuse { status = 200 },
    conn.head { "HTTP/1.1 200 OK", "Connection: close", "Content-Length: 0" })
  bytes.equals(self:refuse { status = 299, reason = "My Own" },
    conn.head { "HTTP/1.1 299 My Own", "Connection: close", "Content-Length: 0" })
end

-- RFC 9110 6.6.1
function T:test_date()
  local DATE = "Date: Sun, 06 Nov 1994 08:49:37 GMT"
  bytes.equals(self:refuse { status = 403, date = 784111777, fields = { { "X", "y" } } },
    conn.head { "HTTP/1.1 403 Forbidden", DATE, "X: y", "Connection: close", "Content-Length: 0" })
  bytes.equals(self:refuse { status = 304, date = 784111777 },
    conn.head { "HTTP/1.1 304 Not Modified", DATE, "Connection: close" })
  bytes.equals(self:refuse { status = 200, date = 784111777, fields = { { "date", "mine" } } },
    conn.head { "HTTP/1.1 200 OK", "date: mine", "Connection: close", "Content-Length: 0" })
  -- a clock that was never set, or cannot be right
  for _, date in ipairs { 0, -1, math.mininteger, 253402300800, math.maxinteger } do
    bytes.equals(self:refuse { status = 200, date = date },
      conn.head { "HTTP/1.1 200 OK", "Connection: close", "Content-Length: 0" })
  end
  local number = probe.base.err.codes.HEAD_HOST
  lu.assertStrContains(proto.welcome_refuse_error(number, false, self.mem, 784111777), "\r\n" .. DATE .. "\r\n")
  lu.assertNil(proto.welcome_refuse_error(number, false, self.mem):find "Date")
end

-- MH-32, SC-10: RFC 9110 7.8 wants Upgrade named in Connection
function T:test_426()
  bytes.equals(self:refuse { status = 426 }, conn.head { "HTTP/1.1 426 Upgrade Required",
    "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Connection: close, Upgrade", "Content-Length: 0" })
  bytes.equals(self:refuse { status = 426, fields = { { "upgrade", "TLS/1.3" }, { "sec-websocket-version", "8" } } },
    conn.head { "HTTP/1.1 426 Upgrade Required", "upgrade: TLS/1.3", "sec-websocket-version: 8",
      "Connection: close, Upgrade", "Content-Length: 0" })
end

-- MH-33
function T:test_405()
  bytes.equals(self:refuse { status = 405 }, conn.head { "HTTP/1.1 405 Method Not Allowed",
    "Allow: GET", "Connection: close", "Content-Length: 0" })
  bytes.equals(self:refuse { status = 405, fields = { { "allow", "PUT" } } }, conn.head {
    "HTTP/1.1 405 Method Not Allowed", "allow: PUT", "Connection: close", "Content-Length: 0" })
end

-- AU-01, AU-04
function T:test_401()
  local function head(line)
    return conn.head { "HTTP/1.1 401 Unauthorized", line, "Connection: close", "Content-Length: 0" }
  end
  for _, host in ipairs { "h", "[::1]", "a!$&'()*+,;=-._~b", ("x"):rep(255), "" } do
    bytes.equals(self:refuse { status = 401, host = host },
      head(('WWW-Authenticate: Basic realm="%s", charset="UTF-8"'):format(host)))
  end
  bytes.equals(self:refuse { status = 401, host = ("x"):rep(256) },
    head 'WWW-Authenticate: Basic realm="", charset="UTF-8"')
  for _, own in ipairs { "www-authenticate: Bearer", "WWW-Authenticate: " } do
    bytes.equals(self:refuse { status = 401, host = "h", fields = { { own:match "^(.-): (.*)$" } } }, head(own))
  end
  lu.assertNil(self:refuse({ status = 403, host = "h" }):find "WWW")
end

-- SC-16
function T:test_307()
  lu.assertStrContains(self:refuse { status = 307, fields = { { "Location", "/y" } } }, "\r\nLocation: /y\r\n")
end

function T:test_no_body_where_none_may_be()
  for _, status in ipairs { 204, 304 } do
    local text = self:refuse { status = status, body = "x" }
    lu.assertNil(text:find "Content%-Length")
    lu.assertEquals(text:sub(-4), "\r\n\r\n")
  end
  local text = self:refuse { status = 200, body = "hello", head_method = true }
  lu.assertStrContains(text, "Content-Length: 5\r\n")
  lu.assertEquals(text:sub(-4), "\r\n\r\n")
end

function T:test_response_refuses()
  for _, status in ipairs { -1, 0, 100, 101, 199, 600, 1000 } do
    lu.assertEquals({ self:refuse { status = status } }, { nil, "ARGUMENT" })
  end
  for _, name in ipairs { "content-length", "Transfer-Encoding", "CONNECTION", "a b" } do
    lu.assertEquals({ self:refuse { status = 200, fields = { { name, "1" } } } }, { nil, "FIELD" })
  end
  for _, value in ipairs { "a\r\nX: y", "\0", "\x80" } do
    lu.assertEquals({ self:refuse { status = 200, fields = { { "X", value } } } }, { nil, "FIELD" })
    lu.assertEquals({ self:refuse { status = 200, reason = value } }, { nil, "FIELD" })
  end
end

-- SC-01, SC-32: every error of the handshake has a whole answer
function T:test_every_error_has_its_answer()
  local err, answered = probe.base.err, 0
  for name, number in pairs(err.codes) do
    local _, _, _, status, text = err.row(number)
    local answer, code = proto.welcome_refuse_error(number, false, self.mem)
    if status == 0 then
      lu.assertEquals({ answer, code }, { nil, "ARGUMENT" }, name)
    else
      answered = answered + 1
      local head, body = answer:match "^(.-\r\n)\r\n(.*)$"
      lu.assertStrMatches(head:match "^[^\r]+", "HTTP/1%.1 " .. status .. " %u.*")
      lu.assertEquals(body, text .. "\n", name)
      lu.assertStrContains(head, "\r\nContent-Length: " .. #body .. "\r\n")
      lu.assertStrContains(head, "\r\nContent-Type: text/plain\r\n")
      lu.assertStrContains(head, "\r\nConnection: close")
      lu.assertEquals(head:find "\r\nUpgrade: websocket\r\n" ~= nil, status == 426, name)
      lu.assertEquals(head:find "\r\nSec%-WebSocket%-Version: 13\r\n" ~= nil, status == 426, name)
      lu.assertEquals(head:find "\r\nAllow: GET\r\n" ~= nil, status == 405, name)
      local bare = proto.welcome_refuse_error(number, true, self.mem)
      bytes.equals(bare, head .. "\r\n")
    end
  end
  lu.assertTrue(answered > 20)
end

function T:test_no_memory()
  for _, make in ipairs {
    function() return self:refuse { status = 200, body = ("x"):rep(300) } end,
    function() return proto.welcome_accept(conn.KEY, "chat", { { "X", ("x"):rep(300) } }, self.mem) end,
    function() return proto.welcome_refuse_error(probe.base.err.codes.KEY, false, self.mem) end,
  } do
    local n = 0
    repeat
      n = n + 1
      self.mem:fail(n)
      local ok, code = make()
      if not ok then lu.assertEquals(code, "NOMEM") end
    until ok
    self.mem:fail(0)
    lu.assertTrue(n > 1)
  end
end

-- ---- help for the application ----------------------------------------------

function T:test_offers()
  local head = request(nil, nil, { "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c" })
  for _, name in ipairs { "a", "b", "c" } do lu.assertTrue(proto.welcome_offers(head, name)) end
  for _, name in ipairs { "A", "d", "", "a, b", "ab" } do lu.assertFalse(proto.welcome_offers(head, name)) end
  lu.assertFalse(proto.welcome_offers(request(), "a"))
end

-- SC-11, SC-17, SC-18, threats X1
function T:test_same_host()
  local function same(host, origin, start)
    return proto.welcome_same_host(request({ Host = host }, start,
      origin and { "Origin: " .. origin } or {}))
  end
  lu.assertTrue(same("example.com", nil))
  for _, row in ipairs {
    { "example.com", "http://example.com" }, { "example.com:8080", "http://example.com" },
    { "example.com", "https://EXAMPLE.com:444" }, { "[::1]:80", "http://[::1]" },
    { "127.0.0.1:1", "http://127.0.0.1:2" },
  } do
    lu.assertTrue(same(row[1], row[2]), row[2])
  end
  for _, origin in ipairs { "null", "http://evil-example.com", "http://example.com.evil", "http://example.com.",
    "http://example.com:80@evil", "http://evil@example.com", "example.com", "", "http://", "http://example.co",
    "http://example.com http://example.com", "http://example.com/" } do
    lu.assertFalse(same("example.com", origin), origin)
  end
  lu.assertFalse(proto.welcome_same_host(request(nil, nil,
    { "Origin: http://example.com", "Origin: http://example.com" })))
  -- a request that is none of ours has no host
  lu.assertFalse(same("a", "http://a", "GET chat HTTP/1.1"))
  -- the target's authority counts, when it has one
  lu.assertTrue(same("a", "http://b", "GET http://b/ HTTP/1.1"))
  lu.assertFalse(same("a", "http://a", "GET http://b/ HTTP/1.1"))
end

-- threats X2. A port that is not written is the scheme's, http's or https'.
function T:test_names_of_hosts()
  for _, row in ipairs {
    { "a.example", "a.example", 0 }, { "a.example", "A.EXAMPLE", 8080 }, { "A.example:8080", "a.example", 8080 },
    { "a.example:80", "a.example", 0 }, { "a.example:443", "a.example", 0 }, { "a.example:443", "a.example", 443 },
    { "127.0.0.1", "127.0.0.1", 1 }, { "[::1]", "[::1]", 80 }, { "[0:0::1]:81", "[::1]", 81 },
    { "[::AB]", "[::ab]", 0 },
  } do
    lu.assertTrue(proto.welcome_names(row[1], row[2], row[3]), row[1])
  end
  for _, row in ipairs {
    { "a.example", "b.example", 0 }, { "a.example", "a.example.evil", 0 }, { "a.example", "xa.example", 0 },
    { "a.example", "a.example.", 0 }, { "a.example:8080", "a.example", 0 }, { "a.example:8080", "a.example", 8081 },
    { "a.example:80", "a.example", 443 }, { "[::1]", "[::2]", 0 }, { "[::1]", "::1", 0 }, { "::1", "[::1]", 0 },
    { "127.0.0.1", "[::ffff:127.0.0.1]", 0 }, { "[::ffff:127.0.0.1]", "127.0.0.1", 0 }, { "", "a", 0 },
    { "http://a", "a", 0 }, { "[::1]", "", 0 },
  } do
    lu.assertFalse(proto.welcome_names(row[1], row[2], row[3]), row[1])
  end
end

function T:test_accepting_with_extensions()
  bytes.equals(proto.welcome_accept(conn.KEY, "", nil, self.mem, "permessage-deflate"), conn.head {
    "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: " .. conn.ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate" })
end

return T
