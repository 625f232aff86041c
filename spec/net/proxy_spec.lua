-- spec/net/proxy_spec.lua -- tunnels of HTTP proxies: what is asked, what is
-- taken for a yes, and proxies that are up to no good (RP-06 to RP-09, H10);
-- challenges of Digest (AU-10 to AU-13, AU-15).

local lu = require "luaunit"
local bytes = require "support.bytes"
local tunnels = require "support.tunnels"
local base = require "wsock.probe".base

local T = tunnels.class { kind = "http", host = "example.org", port = 443 }
local open = tunnels.open

local function failure(t) return tunnels.failure(t, "CONNECT example.org:443 by proxy:1080: ") end

local YES = "HTTP/1.1 200 Connection established\r\n\r\n"

-- ---- asking ----------------------------------------------------------------------

-- RP-06: always a port, in Host too
function T:test_the_request()
  for _, row in ipairs { { "example.org", 443, "example.org:443" }, { "h", 80, "h:80" },
    { "10.1.2.3", 8080, "10.1.2.3:8080" }, { "::1", 443, "[::1]:443" } } do
    local t = self:tunnel { host = row[1], port = row[2] }
    lu.assertEquals({ t:open() }, { nil, "AGAIN" })
    lu.assertEquals(t:said(), ("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(row[3], row[3]))
    lu.assertEquals(t:want(), "opening")
  end
end

-- RP-09
function T:test_credentials()
  for _, row in ipairs { { "Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==" }, { "u", nil, "dTo=" },
    { "", "p", "OnA=" } } do
    local t = self:tunnel { user = row[1], password = row[2] }
    t:open()
    lu.assertStrContains(t:said(), "\r\nProxy-Authorization: Basic " .. row[3] .. "\r\n\r\n")
  end
end

-- H6: nothing of it reaches the wire
function T:test_what_may_not_be_sent()
  for _, bad in ipairs { "a b", "a\r\nX: y", "a\n", "\xff", "a#b", "a\x7f" } do
    lu.assertEquals({ self:tunnel { host = bad } }, { nil, "FIELD" })
  end
  for _, bad in ipairs { "a:b", "a\r\nX: y", "\x01" } do
    lu.assertEquals({ self:tunnel { user = bad, password = "p" } }, { nil, "FIELD" })
  end
  lu.assertEquals({ self:tunnel { user = "u", password = "a\nb" } }, { nil, "FIELD" })
end

-- ---- a yes -------------------------------------------------------------------------

-- RP-07, RP-08
function T:test_every_2xx_is_one()
  for _, head in ipairs { YES, "HTTP/1.0 200 Connection established\r\n\r\n", "HTTP/1.1 200\r\n\r\n",
    "HTTP/1.1 204 No\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 299 \r\nX: y\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" .. YES } do
    local t = self:tunnel()
    t:feed(head .. "tunnel")
    lu.assertTrue(open(t), head)
    lu.assertEquals(t:want(), "pending")
    bytes.equals(t:read(100), "tunnel")
    lu.assertEquals({ t:read(100) }, { nil, "AGAIN" })
    lu.assertEquals(t:want(), "")
  end
end

function T:test_in_pieces_of_every_size_and_with_waits()
  for sip = 1, 60 do
    for turns = 0, 1 do
      local t = self:tunnel { sip = sip, turns = turns, user = "u", password = "p" }
      local said, got = "", ""
      t:feed("HTTP/1.1 100 Wait\r\n\r\n" .. YES .. "behind")
      for _ = 1, 2000 do
        if t:open() then break end
        said = said .. t:said()
      end
      said = said .. t:said()
      lu.assertStrMatches(said, "CONNECT .*\r\nProxy%-Authorization: Basic dTpw\r\n\r\n")
      for _ = 1, 50 do
        local part = t:read(4)
        got = got .. (part or "")
      end
      lu.assertEquals(got, "behind")
    end
  end
end

-- The answer is whole, and nothing of it, at every cut.
function T:test_at_every_cut()
  local head = "HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"
  for n = 0, #head - 1 do
    local t = self:tunnel()
    t:feed(head:sub(1, n))
    lu.assertEquals({ open(t) }, { nil, "AGAIN" }, n)
    t:feed(head:sub(n + 1) .. "x")
    lu.assertTrue(open(t))
    lu.assertEquals(t:read(9), "x")
    t = self:tunnel()
    t:feed(head:sub(1, n))
    t:ends()
    lu.assertEquals(failure(t), "the proxy ended the connection")
  end
end

-- ---- challenges ----------------------------------------------------------------------

local DIGEST = 'Proxy-Authenticate: Basic realm="b", Digest realm="r", nonce="n1", algorithm=SHA-256, qop="auth"'

-- A 407 with a content of five bytes.
local function asks(lines, version)
  return ("HTTP/%s 407 Who\r\n%s\r\nContent-Length: 5\r\n\r\nwho?\n"):format(version or "1.1", lines or DIGEST)
end

function T:asked(...)
  local t = self:tunnel { user = "ann", password = "sesame" }
  for _, text in ipairs { ... } do t:feed(text) end
  return t
end

-- AU-10 to AU-13: the method is CONNECT, the uri its target
function T:test_a_challenge_is_answered()
  local t = self:asked(asks())
  lu.assertEquals({ open(t) }, { nil, "AGAIN" })
  local first, second = t:said():match "^(CONNECT.-\r\n\r\n)(CONNECT.-\r\n\r\n)$"
  lu.assertStrContains(first, "\r\nProxy-Authorization: Basic YW5uOnNlc2FtZQ==\r\n")
  local cnonce = second:match ', cnonce="([%w+/=]+)", '
  local function hash(...) return base.hash(1, table.concat({ ... }, ":")) end
  local response = hash(hash("ann", "r", "sesame"), "n1", "00000001", cnonce, "auth",
    hash("CONNECT", "example.org:443"))
  lu.assertEquals(second, 'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nProxy-Authorization: Digest '
    .. 'username="ann", realm="r", nonce="n1", uri="example.org:443", response="' .. response
    .. '", algorithm=SHA-256, cnonce="' .. cnonce .. '", qop=auth, nc=00000001\r\n\r\n')
  t:feed(YES .. "tunnel")
  lu.assertTrue(open(t))
  bytes.equals(t:read(100), "tunnel")
end

function T:test_a_challenge_in_pieces_of_every_size()
  for sip = 1, 60 do
    local t = self:tunnel { sip = sip, turns = sip % 2, user = "u", password = "p" }
    t:feed(asks() .. "HTTP/1.1 100 Wait\r\n\r\n" .. YES .. "behind")
    lu.assertTrue(open(t))
    lu.assertEquals(select(2, t:said():gsub("CONNECT", "")), 2)
    local got = ""
    for _ = 1, 50 do got = got .. (t:read(4) or "") end
    lu.assertEquals(got, "behind")
  end
end

-- AU-15
function T:test_challenges_end()
  local stale = asks(DIGEST:gsub("n1", "n2") .. ", stale=true")
  for _, row in ipairs { { 2, asks(), asks() }, { 3, asks(), stale, stale }, { 3, stale, stale, asks() } } do
    local t = self:asked(table.unpack(row, 2))
    lu.assertEquals(failure(t), "407 Who")
    lu.assertEquals(select(2, t:said():gsub("CONNECT", "")), row[1])
  end
  local t = self:asked(asks(), stale, YES)
  lu.assertTrue(open(t))
  lu.assertStrMatches(t:said(), '.*"n1".*"n2".*')
end

function T:test_what_is_not_answered()
  for _, text in ipairs {
    asks "X: y", asks 'Proxy-Authenticate: Digest realm="r"', (asks():gsub("Proxy%-Auth", "WWW-Auth")),
  } do
    local t = self:asked(text)
    lu.assertEquals(failure(t), "407 Who", text)
    lu.assertEquals(select(2, t:said():gsub("CONNECT", "")), 1)
  end
  local t = self:tunnel()
  t:feed(asks())
  lu.assertEquals(failure(t), "407 Who") -- nobody to say
  t = self:asked((asks():sub(1, -3)))
  t:ends()
  lu.assertEquals(failure(t), "the proxy ended the connection")
end

-- Where it cannot be answered over the connection it is over another.
function T:test_a_challenge_of_who_closes()
  for _, text in ipairs {
    asks(DIGEST .. "\r\nConnection: close"), asks(DIGEST, "1.0"),
    asks(DIGEST .. "\r\nProxy-Connection: x, Close"), asks(DIGEST .. "\r\nTransfer-Encoding: chunked"),
    (asks():gsub("Content%-Length: 5", "Content-Length: 65537")), (asks():gsub("Content%-Length", "X")),
  } do
    local t = self:asked(text .. YES)
    lu.assertEquals({ open(t) }, { nil, "AGAIN" })
    lu.assertStrContains(t:want(), "opening anew")
    lu.assertEquals(select(2, t:said():gsub("CONNECT", "")), 1)
    t:anew()
    t:feed(YES .. "x")
    lu.assertTrue(open(t)) -- what came over the first is nothing of this
    lu.assertEquals(t:read(9), "x")
    lu.assertStrMatches(t:said(), 'CONNECT [^\r]*\r\n[^\r]*\r\nProxy%-Authorization: Digest [^\r]*"n1"[^\r]*\r\n\r\n')
  end
end

-- AU-15, over as many connections
function T:test_challenges_of_who_closes_end()
  local closes = asks(DIGEST .. "\r\nConnection: close")
  local stale = closes:gsub('SHA%-256', 'SHA-256, stale=true')
  for _, row in ipairs { { closes, closes }, { closes, stale, stale }, { stale, stale, closes }, { closes, asks() } } do
    local t = self:asked(row[1])
    for i = 2, #row do
      lu.assertEquals({ open(t) }, { nil, "AGAIN" })
      t:anew()
      t:feed(row[i])
    end
    lu.assertEquals(failure(t), "407 Who")
    lu.assertEquals(select(2, t:said():gsub("CONNECT", "")), #row)
  end
end

function T:test_challenges_without_memory_chance_or_hash()
  lu.assertTrue(self:exhaust({ user = "u", password = "p" }, asks() .. YES) > 4)
  local t = self:asked(asks())
  base.break_random(true)
  local ok, text = pcall(failure, t)
  base.break_random(false)
  lu.assertTrue(ok, text)
  lu.assertStrContains(text, "random")
end

-- ---- a no, and worse ---------------------------------------------------------------

function T:test_refusals_are_shown()
  for head, text in pairs {
    ["HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 1\r\n\r\nx"] =
      "407 Proxy Authentication Required",
    ["HTTP/1.0 403 Filtered\r\n\r\n"] = "403 Filtered", ["HTTP/1.1 502\r\n\r\n"] = "502 ",
    ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"] = "101 Switching Protocols",
    ["HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"] = "302 Found",
    ["HTTP/1.1 500 a\tb\xff\r\n\r\n"] = "500 a?b?",
    ["HTTP/1.1 500 " .. ("x"):rep(5000) .. "\r\n\r\n"] = "500 " .. ("x"):rep(120),
  } do
    local t = self:tunnel()
    t:feed(head)
    lu.assertEquals(failure(t), text)
  end
end

function T:test_garbage()
  for _, text in ipairs { "\0", "SSH-2.0-x\r\n", "\x16\x03\x01\x02\0", "HTTP/2.0 200 OK\r\n\r\n", "200 OK\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n", "\5\0", "<html>" } do
    local t = self:tunnel()
    t:feed(text)
    lu.assertStrMatches(failure(t), "[^:]+") -- which rule it breaks
  end
  for _ = 1, 300 do
    local t = self:tunnel { sip = math.random(0, 3) }
    t:feed(bytes.random(math.random(1, 200)))
    t:ends()
    lu.assertEquals(select(2, open(t)), "PROXY")
    t:close()
  end
end

function T:test_endless_heads()
  local line = "X-Long: " .. ("y"):rep(100) .. "\r\n"
  local t = self:tunnel()
  t:feed("HTTP/1.1 200 OK\r\n" .. line:rep(250))
  lu.assertStrContains(failure(t), "HTTP head")
  t = self:tunnel()
  t:feed("HTTP/1.1 200 " .. ("x"):rep(30000))
  lu.assertStrContains(failure(t), "HTTP head")
  t = self:tunnel()
  t:feed(("HTTP/1.1 100 Wait\r\n\r\n"):rep(1000))
  lu.assertEquals(failure(t), "100 Wait")
  lu.assertTrue(self.mem:state().used < 70000, self.mem:state().used)
end

-- ---- memory ------------------------------------------------------------------------

function T:test_every_allocation_may_fail()
  local n = self:exhaust({ user = "u", password = "p", sip = 7 }, YES .. "x")
  lu.assertTrue(n > 4, n)
end

return T
