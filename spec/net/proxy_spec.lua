-- spec/net/proxy_spec.lua -- tunnels of HTTP proxies: what is asked, what is
-- taken for a yes, and proxies that are up to no good (RP-06 to RP-09, H10).

local lu = require "luaunit"
local bytes = require "support.bytes"
local tunnels = require "support.tunnels"

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
