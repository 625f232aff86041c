-- proto/hello: the opening handshake, client side.

local lu = require "luaunit"
local bytes = require "support.bytes"
local conn = require "support.conn"
local counted = require "support.counted"
local probe = require "wsock.probe"

local T = counted.class()
local proto = probe.proto

-- The request for a conf; without target and host they are "/" and "h".
function T:write(conf, nonce)
  conf.target = conf.target or "/"
  conf.host = conf.host or "h"
  return proto.hello_write(conf, nonce or conn.NONCE, self.mem)
end

function T:refused(conf, code)
  local ok, got = self:write(conf)
  lu.assertNil(ok)
  lu.assertEquals(got, code)
end

-- ---- the request -----------------------------------------------------------

-- HC-11, HC-12, HC-13, HC-15, HC-16, HC-21: line by line, Host first
function T:test_plain_request()
  bytes.equals(self:write { target = "/chat?x=1", host = "server.example.com:81" }, conn.head {
    "GET /chat?x=1 HTTP/1.1",
    "Host: server.example.com:81",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
  })
end

-- HC-20, HC-23, HC-24, HC-25
function T:test_request_with_everything()
  bytes.equals(self:write {
    origin = "http://example.com", protocols = "chat, superchat", extensions = "foo; bar=1",
    fields = { { "Cookie", "a=b" }, { "X-Two", "one" }, { "X-Two", "two" }, { "X-Empty", "" } },
  }, conn.head {
    "GET / HTTP/1.1", "Host: h", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Extensions: foo; bar=1",
    "Origin: http://example.com", "Cookie: a=b", "X-Two: one", "X-Two: two", "X-Empty: ",
  })
end

-- HC-17: 24 characters, "==" at the end, 16 bytes
function T:test_key_is_the_nonce()
  for _, row in ipairs { { ("\0"):rep(16), ("A"):rep(22) .. "==" }, { ("\xff"):rep(16), ("/"):rep(21) .. "w==" },
    { ("\xfb\xff"):rep(8), "+//7//v/+//7//v/+//7/w==" }, { conn.NONCE, conn.KEY } } do
    lu.assertEquals(self:write({}, row[1]):match "Sec%-WebSocket%-Key: (%S+)\r\n", row[2])
  end
end

-- HC-19, HC-22, H6: nothing the handshake writes itself may be added; RP-09:
-- nor what is for a proxy
function T:test_reserved_headers_are_refused()
  for _, name in ipairs { "Host", "UPGRADE", "connection", "Sec-WebSocket-Key", "sec-websocket-accept",
    "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-X",
    "Content-Length", "Transfer-Encoding", "Origin", "proxy-authorization" } do
    lu.assertTrue(proto.hello_reserved(name), name)
    self:refused({ fields = { { name, "x" } } }, "FIELD")
  end
  for _, name in ipairs { "Cookie", "Authorization", "User-Agent", "Sec-WebSocket", "Hos", "Hosts", "" } do
    lu.assertFalse(proto.hello_reserved(name), name)
  end
end

-- H6: what would break the head apart, in every place
function T:test_injection_is_refused()
  for _, bad in ipairs { "\r\nX: y", "\n", "\r", "\0", "\x7f", "\x80", "\xff", "\x01" } do
    for _, text in ipairs { bad, "a" .. bad, "a" .. bad .. "b" } do
      local what = bytes.hex(text)
      local function no(conf, code)
        local ok, got = self:write(conf)
        lu.assertNil(ok, what)
        lu.assertEquals(got, code or "FIELD", what)
      end
      no { target = "/" .. text }
      no { target = "/?" .. text }
      no { host = text }
      no { origin = text }
      no { extensions = text }
      no { fields = { { text, "v" } } }
      no { fields = { { "X", text } } }
      no({ protocols = text }, "PROTOCOLS")
    end
  end
end

-- HC-13: the target is a path
function T:test_targets()
  for _, target in ipairs { "", "x", "*", "http://h/", "/a b", "/a#b", " /" } do
    local ok, code = proto.hello_write({ target = target, host = "h" }, conn.NONCE, self.mem)
    lu.assertNil(ok, target)
    lu.assertEquals(code, "FIELD", target)
  end
end

-- HC-14
function T:test_hosts()
  for _, host in ipairs { "h", "h:443", "127.0.0.1:8080", "[::1]", "[::1]:81", "xn--hst-0na" } do
    lu.assertStrContains(assert(self:write { host = host }), "\r\nHost: " .. host .. "\r\n")
  end
  for _, host in ipairs { "a b", "h:99999", "[::1", "u@h", "h/", "%41" } do
    self:refused({ host = host }, "FIELD")
  end
  local ok, code = proto.hello_write({ target = "/", host = "" }, conn.NONCE, self.mem)
  lu.assertNil(ok)
  lu.assertEquals(code, "FIELD")
end

-- HC-23: tokens, not empty, all different
function T:test_protocol_lists()
  for _, list in ipairs { "", "a", "a, b", "a,b", "a , b", "chat, Chat", "a.b!#$%&'*+-^_`|~" } do
    lu.assertTrue(proto.hello_protocols_ok(list), list)
  end
  for _, list in ipairs { " ", ",", "a,", ",a", "a,,b", "a, a", "a, b, a", "a b", "a;b", "a=b", '"a"', "a/b",
    "(a)", "a@b", "a:b", "a\\b", "a[b", "a]b", "a{b", "a}b", "a?b", "<a>", "\xc3\xa9", "a\tb" } do
    lu.assertFalse(proto.hello_protocols_ok(list), list)
    self:refused({ protocols = list }, "PROTOCOLS")
  end
end

function T:test_no_memory()
  local conf = { protocols = "a, b", origin = "http://h", fields = { { "X", ("x"):rep(300) } } }
  local n = 0
  repeat
    n = n + 1
    self.mem:fail(n)
    local ok, code = self:write(conf)
    if not ok then lu.assertEquals(code, "NOMEM") end
  until ok
  self.mem:fail(0)
  lu.assertTrue(n > 1)
end

-- ---- the answer ------------------------------------------------------------

local function lines(...)
  return conn.head { "HTTP/1.1 101 Switching Protocols", ... }
end

local UPGRADE, CONNECTION = "Upgrade: websocket", "Connection: Upgrade"
local ACCEPT = "Sec-WebSocket-Accept: " .. conn.ACCEPT

local function check(head, offered, extensions)
  return proto.hello_check(conn.KEY, offered or "", extensions or false, head)
end

local function good(head, offered, extensions)
  local protocol, more = check(head, offered, extensions)
  lu.assertNotNil(protocol, tostring(more) .. ": " .. head)
  return protocol, more
end

local function bad(code, head, offered, extensions)
  local ok, got = check(head, offered, extensions)
  lu.assertNil(ok, head)
  lu.assertEquals(got, code, head)
end

-- HC-10, HC-38
function T:test_good_answer()
  lu.assertEquals({ good(conn.response()) }, { "", "" })
end

-- HC-27: any other status is not the end of the handshake wanted
function T:test_status()
  for _, status in ipairs { 200, 204, 301, 302, 400, 401, 403, 404, 426, 500, 503, 999 } do
    bad("STATUS", conn.head { "HTTP/1.1 " .. status .. " X", UPGRADE, CONNECTION, ACCEPT })
  end
end

-- MH-29: interim answers are told apart, 101 is none of them
function T:test_interim()
  for _, status in ipairs { 100, 102, 103, 199 } do
    lu.assertEquals(check(conn.head { "HTTP/1.1 " .. status .. " X" }), "interim")
  end
end

-- MH-40, HC-33: HTTP/1.0 cannot upgrade
function T:test_http_1_0()
  bad("HEAD_VERSION", conn.head { "HTTP/1.0 101 Switching Protocols", UPGRADE, CONNECTION, ACCEPT })
end

-- MH-15: odd reasons
function T:test_reasons()
  for _, line in ipairs { "HTTP/1.1 101 ", "HTTP/1.1 101", "HTTP/1.1 101 Web Socket Protocol Handshake",
    "HTTP/1.1 101 \xff" } do
    good(conn.head { line, UPGRADE, CONNECTION, ACCEPT })
  end
end

-- HC-28: exactly websocket, in any case
function T:test_upgrade()
  for _, value in ipairs { "websocket", "WebSocket", "WEBSOCKET", "\twebsocket  " } do
    good(lines("Upgrade: " .. value, CONNECTION, ACCEPT))
  end
  for _, value in ipairs { "", "h2c", "websocket, foo", "websockets", "web socket", "websocket/13" } do
    bad("UPGRADE", lines("Upgrade: " .. value, CONNECTION, ACCEPT))
  end
  bad("UPGRADE", lines(CONNECTION, ACCEPT))
  bad("UPGRADE", lines(UPGRADE, UPGRADE, CONNECTION, ACCEPT))
end

-- HC-29: a token of the list
function T:test_connection()
  for _, value in ipairs { "Upgrade", "keep-alive, uPgRaDe", "upgrade,", ", Upgrade" } do
    good(lines(UPGRADE, "Connection: " .. value, ACCEPT))
  end
  good(lines(UPGRADE, "Connection: keep-alive", "Connection: upgrade", ACCEPT))
  for _, value in ipairs { "", "close", "Upgrades", "xUpgrade", "Up grade" } do
    bad("CONNECTION", lines(UPGRADE, "Connection: " .. value, ACCEPT))
  end
  bad("CONNECTION", lines(UPGRADE, ACCEPT))
  for _, value in ipairs { "Upgrade, a b", "@, Upgrade", 'Upgrade, "x' } do -- HC-33
    bad("HEAD_SYNTAX", lines(UPGRADE, "Connection: " .. value, ACCEPT))
  end
  bad("HEAD_SYNTAX", lines(UPGRADE, CONNECTION, "Connection: a/1", ACCEPT))
end

-- HC-30, HC-34: once, to the letter, space around does not matter
function T:test_accept()
  good(lines(UPGRADE, CONNECTION, "Sec-WebSocket-Accept:\t " .. conn.ACCEPT .. " \t"))
  for _, value in ipairs { "", "x", conn.ACCEPT:lower(), conn.ACCEPT:sub(1, -2), conn.ACCEPT .. "=",
    conn.ACCEPT .. " " .. conn.ACCEPT, "S" .. conn.ACCEPT:sub(2), conn.KEY } do
    bad("ACCEPT", lines(UPGRADE, CONNECTION, "Sec-WebSocket-Accept: " .. value))
  end
  bad("ACCEPT", lines(UPGRADE, CONNECTION))
  bad("ACCEPT", lines(UPGRADE, CONNECTION, ACCEPT, ACCEPT))
end

-- the second test vector of the seed
function T:test_accept_vector()
  local protocol = proto.hello_check("Iv8io/9s+lYFgZWcXczP8Q==", "", false,
    lines(UPGRADE, CONNECTION, "Sec-WebSocket-Accept: hsBlbuDTkk24srzEOTBUlZAlC2g="))
  lu.assertEquals(protocol, "")
end

-- HC-31: no extension that was not offered; HC-36 waits for a second one
function T:test_extensions()
  local function with(...)
    return lines(UPGRADE, CONNECTION, ACCEPT, ...)
  end
  for _, value in ipairs { "foo", "permessage-deflate", "", "," } do
    bad("EXTENSION_ANSWER", with("Sec-WebSocket-Extensions: " .. value))
  end
  lu.assertEquals({ good(with "Sec-WebSocket-Extensions: foo; a=1", "", true) }, { "", "foo; a=1" })
  lu.assertEquals({ good(with(), "", true) }, { "", "" })
  for _, value in ipairs { "", ",", "foo;=", '"foo"', "f@o", 'foo; a="b' } do
    bad("EXTENSION_ANSWER", with("Sec-WebSocket-Extensions: " .. value), "", true)
  end
  bad("EXTENSION_ANSWER", with("Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b"), "", true)
end

-- HC-32, HC-35, W-15
function T:test_protocol()
  local function with(...)
    return lines(UPGRADE, CONNECTION, ACCEPT, ...)
  end
  local function named(value)
    return with("Sec-WebSocket-Protocol: " .. value)
  end
  lu.assertEquals(good(named "chat", "chat"), "chat")
  lu.assertEquals(good(named " b\t", "a, b, c"), "b")
  bad("PROTOCOL_ANSWER", named "chat")               -- none offered
  bad("PROTOCOL_ANSWER", named "", "chat")           -- empty
  bad("PROTOCOL_ANSWER", named "")
  bad("PROTOCOL_MISSING", with(), "chat")            -- offered, and none chosen
  bad("PROTOCOL_ANSWER", named "Chat", "chat")       -- other case
  bad("PROTOCOL_ANSWER", named "cha", "chat")
  bad("PROTOCOL_ANSWER", named "chat, soap", "chat, soap")
  bad("PROTOCOL_ANSWER", named "d", "a, b, c")
  bad("PROTOCOL_ANSWER", with("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"), "a")
end

-- HC-37: names in any case, lines in any order, folded ones too (MH-20)
function T:test_names_and_order()
  good(conn.head { "HTTP/1.1 101 X", "SEC-WEBSOCKET-ACCEPT: " .. conn.ACCEPT, "Server: x",
    "CONNECTION: Upgrade", "upgrade: websocket" })
  good(lines("Server: a", " folded", UPGRADE, CONNECTION, ACCEPT))
end

-- HC-42: bytes above 0x7F are none of our affair
function T:test_opaque_bytes()
  good(lines(UPGRADE, CONNECTION, ACCEPT, "Server: \xff\xc0\x80"))
end

-- RP-04: only what is known to be harmless
-- AU-15
function T:test_challenges_that_may_be_answered()
  local function head(status, challenge)
    return conn.head { ("HTTP/1.1 %d X"):format(status), "www-authenticate: " .. challenge }
  end
  local fresh, stale = 'Digest realm="r", nonce="n"', 'Digest realm="r", nonce="n", stale=true'
  for challenges = 0, 2 do
    lu.assertEquals(proto.hello_challenged(challenges, head(401, fresh)), challenges == 2)
    lu.assertEquals(proto.hello_challenged(challenges, head(401, stale)), challenges > 0)
    for _, no in ipairs { head(407, stale), head(101, stale), head(401, "Basic realm=x"), head(401, "") } do
      lu.assertFalse(proto.hello_challenged(challenges, no))
    end
  end
end

function T:test_headers_that_follow_to_another_origin()
  for _, name in ipairs { "Accept", "accept-language", "Cache-Control", "PRAGMA", "User-Agent" } do
    lu.assertTrue(proto.hello_travels(name), name)
  end
  for _, name in ipairs { "Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "Accept-", "" } do
    lu.assertFalse(proto.hello_travels(name), name)
  end
end

return T
