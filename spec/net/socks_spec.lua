-- spec/net/socks_spec.lua -- SOCKS5 tunnels (RFC 1928, 1929): what is said,
-- every answer in words, every cut, and proxies that are up to no good.

local lu = require "luaunit"
local bytes = require "support.bytes"
local tunnels = require "support.tunnels"

local T = tunnels.class { kind = "socks", host = "example.org", port = 443 }

local function failure(t) return tunnels.failure(t, "SOCKS5 example.org:443 by proxy:1080: ") end

local V4 = "\5\0\0\1\1\2\3\4\0\80"
local V6 = "\5\0\0\4" .. ("\0"):rep(16) .. "\0\80"
local NAME = "\5\0\0\3\4name\0\80"

-- ---- what is said -------------------------------------------------------------------

function T:test_the_name_goes_to_the_proxy()
  local t = self:tunnel()
  lu.assertEquals({ t:open() }, { nil, "AGAIN" })
  bytes.equals(t:said(), "\5\1\0")
  lu.assertEquals(t:want(), "opening")
  t:feed "\5\0"
  lu.assertEquals({ t:open() }, { nil, "AGAIN" })
  bytes.equals(t:said(), "\5\1\0\3\11example.org\1\187")
  t:feed(V4 .. "x")
  lu.assertTrue(t:open())
  lu.assertEquals(t:want(), "")
  lu.assertEquals(t:read(5), "x")
end

function T:test_addresses_go_as_addresses()
  for host, part in pairs { ["10.1.2.3"] = "\1\10\1\2\3", ["::1"] = "\4" .. ("\0"):rep(15) .. "\1",
    ["2001:db8::ff"] = "\4\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\xff", h = "\3\1h" } do
    local t = self:tunnel { host = host, port = 65535 }
    t:feed "\5\0"
    t:open()
    bytes.equals(t:said(), "\5\1\0\5\1\0" .. part .. "\xff\xff")
  end
end

-- RFC 1929
function T:test_user_and_password()
  local t = self:tunnel { user = "user", password = "p\xc3\xa4ss" }
  t:open()
  bytes.equals(t:said(), "\5\2\0\2")
  t:feed "\5\2"
  t:open()
  bytes.equals(t:said(), "\1\4user\5p\xc3\xa4ss")
  t:feed "\1\0"
  t:open()
  bytes.equals(t:said(), "\5\1\0\3\11example.org\1\187")
  t:feed(V6)
  lu.assertTrue(t:open())
  -- the proxy may do without
  t = self:tunnel { user = "user" }
  t:feed("\5\0" .. NAME)
  lu.assertTrue(t:open())
  bytes.equals(t:said(), "\5\2\0\2\5\1\0\3\11example.org\1\187")
end

function T:test_what_may_not_be_said()
  local long = ("x"):rep(256)
  for _, o in ipairs { { host = "" }, { host = long }, { user = "" }, { user = long },
    { user = "u", password = long } } do
    lu.assertEquals({ self:tunnel(o) }, { nil, "FIELD" })
  end
  local t = self:tunnel { host = long:sub(2), user = long:sub(2), password = long:sub(2) }
  t:feed("\5\2\1\0" .. V4)
  lu.assertTrue(t:open())
  lu.assertEquals(#t:said(), 4 + 1 + 256 + 256 + 4 + 256 + 2)
end

-- ---- every answer --------------------------------------------------------------------

function T:test_replies_in_words()
  for code, text in pairs {
    "general failure of the proxy", "the proxy's rules forbid it", "network unreachable", "host unreachable",
    "connection refused", "TTL expired", "the proxy does not support CONNECT",
    "the proxy does not support this kind of address", [9] = "a reply code that is not known",
    [255] = "a reply code that is not known",
  } do
    for _, rest in ipairs { "", "\0\1\0\0\0\0\0\0" } do -- some say no more than that
      local t = self:tunnel()
      t:feed("\5\0\5" .. string.char(code) .. rest)
      lu.assertEquals(failure(t), text)
    end
  end
end

function T:test_ways_to_authenticate()
  for _, row in ipairs {
    { {}, "\5\xff", "the proxy wants authentication" },
    { { user = "u" }, "\5\xff", "the proxy takes no user and password" },
    { {}, "\5\2", "the proxy chose a way to authenticate that was not offered" },
    { { user = "u" }, "\5\1", "the proxy chose a way to authenticate that was not offered" },
    { { user = "u" }, "\5\2\1\1", "user or password is wrong" },
    { { user = "u" }, "\5\2\1\xff", "user or password is wrong" },
  } do
    local t = self:tunnel(row[1])
    t:feed(row[2])
    lu.assertEquals(failure(t), row[3])
  end
  local t = self:tunnel { user = "u" }
  t:feed("\5\2\5\0" .. V4) -- a version some servers have here
  lu.assertTrue(t:open())
end

function T:test_garbage()
  local not_socks = "the answer is not SOCKS5"
  for _, row in ipairs {
    { "HTTP/1.1 400 Bad\r\n\r\n", not_socks }, { "\4\0", not_socks }, { "\0\90", not_socks },
    { "\5\0\4\0\0\1", not_socks }, { "\5\0\0\0", not_socks },
    { "\5\0\5\0\0\2\0\0\0\0\0\0", "an address of a kind that is not known" },
    { "\5\0\5\0\0\0\0\0\0\0\0\0", "an address of a kind that is not known" },
  } do
    local t = self:tunnel()
    t:feed(row[1])
    lu.assertEquals(failure(t), row[2])
  end
  local t = self:tunnel { user = "u" }
  t:feed "\5\2HTTP"
  lu.assertEquals(failure(t), not_socks)
  for _ = 1, 500 do
    t = self:tunnel { user = math.random(2) == 1 and "u" or nil }
    t:feed((math.random(2) == 1 and "\5\0" or "") .. bytes.random(math.random(1, 300)))
    t:ends()
    local ok, code = tunnels.open(t)
    if not ok then lu.assertEquals(code, "PROXY") end
    t:close()
  end
end

-- Whole answers work in any pieces, cut ones never, and nothing behind is lost.
function T:test_every_cut_and_every_sip()
  for _, reply in ipairs { V4, V6, NAME, "\5\0\0\3\0\0\0", "\5\0\0\3\255" .. ("n"):rep(255) .. "\0\1" } do
    local whole = "\5\2\1\0" .. reply
    for n = 0, #whole - 1 do
      local t = self:tunnel { user = "u", password = "p" }
      t:feed(whole:sub(1, n))
      lu.assertEquals({ t:open() }, { nil, "AGAIN" }, n)
      t:ends()
      lu.assertEquals(failure(t), "the proxy ended the connection")
    end
    for sip = 1, 12 do
      local t = self:tunnel { user = "u", password = "p", sip = sip, turns = 1 }
      t:feed(whole .. "first")
      local tries = 0
      repeat tries = tries + 1 until t:open() or tries > 5000
      bytes.equals(t:said(), "\5\2\0\2\1\1u\1p\5\1\0\3\11example.org\1\187")
      local got = ""
      for _ = 1, 20 do got = got .. (t:read(3) or "") end
      lu.assertEquals(got, "first")
      t:close()
    end
  end
end

function T:test_every_allocation_may_fail()
  local n = self:exhaust({ user = "u", password = "p", sip = 2 }, "\5\2\1\0" .. NAME)
  lu.assertTrue(n > 5, n)
end

return T
