-- spec/wire/proxy_spec.lua -- proxies' URLs, and which one the environment
-- means (RP-13).

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local wire = probe.wire

local T = counted.class()

function T:parse(s) return wire.proxy(self.mem, s) end

-- ---- URLs ----------------------------------------------------------------------------

function T:test_urls()
  for s, want in pairs {
    ["http://h"] = "http h 80", ["http://h:3128/"] = "http h 3128",
    ["h"] = "http h 80",
    ["h:8080"] = "http h 8080", ["10.0.0.1:1"] = "http 10.0.0.1 1", ["[::1]:3128"] = "http ::1 3128",
    ["HTTPS://H."] = "https h. 443", ["https://h:80"] = "https h 80",
    ["socks5://h"] = "socks5 h 1080", ["socks5h://h:80"] = "socks5 h 80", ["SOCKS5://h:1080/"] = "socks5 h 1080",
    [" http://h "] = "http h 80", ["socks5://[fe80::1]"] = "socks5 fe80::1 1080",
    ["http://h:443"] = "http h 443",
  } do
    lu.assertEquals(table.concat({ self:parse(s) }, " "), want, s)
  end
  lu.assertEquals({ self:parse "http://u%40x:p%3A@h" }, { "http", "h", 80, "u@x", "p:" })
  lu.assertEquals({ self:parse "socks5://u@h" }, { "socks5", "h", 1080, "u" })
  lu.assertEquals({ self:parse "u:p@h:1" }, { "http", "h", 1, "u", "p" })
  lu.assertEquals({ self:parse "http://:p@h" }, { "http", "h", 80, "", "p" })
end

function T:test_what_is_refused()
  local scheme = "the scheme is none of http, https, socks5, socks5h"
  for s, why in pairs {
    [""] = "the URL has no host", ["http://"] = "the URL has no host", ["ws://h"] = scheme, ["wss://h"] = scheme,
    ["socks4://h"] = scheme, ["socks://h"] = scheme, ["ftp://h"] = scheme, ["ws+unix://h"] = scheme,
    ["http://h/x"] = "a proxy's URL has no path", ["http://h?x"] = "a proxy's URL has no path",
    ["http://h#"] = "the URL has a fragment",
    ["http://h:0x"] = "the port is no number",
    ["http://h h"] = "the host has a character that is not allowed", ["http://a%3Ab:c@h"] = "the user has a colon",
    ["http://u%0A@h"] = "the user has a control character", ["socks5://:p@h"] = "a password without a user",
    ["socks5://" .. ("u"):rep(256) .. "@h"] = "user or password is longer than 255 bytes",
    ["socks5://u:" .. ("p"):rep(256) .. "@h"] = "user or password is longer than 255 bytes",
  } do
    lu.assertEquals({ self:parse(s) }, { nil, "URI", why }, s)
  end
end

function T:test_every_allocation_may_fail()
  lu.assertTrue(self:exhaust(function() return self:parse "u:p@h:1" end) > 2)
end

-- ---- no_proxy --------------------------------------------------------------------------

local function bypass(list, yes, no)
  for _, host in ipairs(yes) do
    local name, port = host:match "^(.-)|(%d+)$"
    lu.assertTrue(wire.bypass(list, name or host, tonumber(port or 80)), list .. " should name " .. host)
  end
  for _, host in ipairs(no) do
    local name, port = host:match "^(.-)|(%d+)$"
    lu.assertFalse(wire.bypass(list, name or host, tonumber(port or 80)), list .. " should not name " .. host)
  end
end

function T:test_names()
  for _, list in ipairs { "example.org", ".example.org", "*.example.org", "EXAMPLE.ORG", "example.org.",
    "other, example.org", "a b\texample.org,c", ",,example.org,," } do
    bypass(list, { "example.org", "a.example.org", "a.b.example.org", "example.org.", "A.Example.Org" },
      { "badexample.org", "example.org.evil", "example.com", "org", "xample.org", "10.0.0.1", "::1" })
  end
  bypass("org", { "example.org", "org" }, { "org.example", "borg" })
  bypass("localhost", { "localhost", "a.localhost" }, { "localhost.example.org" })
end

function T:test_nothing_and_all()
  bypass("*", { "a", "10.0.0.1", "::1" }, {})
  bypass("x,*", { "a" }, {})
  for _, list in ipairs { "", " ", ",", ".", "*.", "*.*", "**", ":80", "/", "/8", "[]", "[", "]", "a*" } do
    bypass(list, {}, { "a", "example.org", "10.0.0.1", "::1" })
  end
end

function T:test_ports()
  bypass("example.org:8080", { "example.org|8080", "a.example.org|8080" }, { "example.org|80", "example.org|808" })
  bypass("10.0.0.1:8080", { "10.0.0.1|8080" }, { "10.0.0.1|80" })
  bypass("[::1]:8080", { "::1|8080" }, { "::1|80" })
  bypass("*:8080", {}, { "a|80" })
  for _, list in ipairs { "a:", "a:x", "a:123456", "a:-1", "a:8 0" } do bypass(list, {}, { "a|80", "a|0" }) end
end

function T:test_addresses()
  bypass("10.1.2.3", { "10.1.2.3", "::ffff:a01:203" }, { "10.1.2.4", "x.10.1.2.3", "::a01:203" })
  bypass("::1", { "::1" }, { "::2", "0.0.0.1" })
  bypass("[2001:DB8::1]", { "2001:db8::1" }, { "2001:db8::2" })
  bypass("::ffff:10.1.2.3", { "10.1.2.3" }, { "10.1.2.4" })
  for _, list in ipairs { "010.1.2.3.4", "10.1.2", "10.1.2.256", "10.1.2.3.", "10..2.3", "10.1.2.03x" } do
    bypass(list, {}, { "10.1.2.3" })
  end
end

function T:test_ranges()
  bypass("10.0.0.0/8", { "10.0.0.0", "10.255.255.255", "::ffff:aff:ffff" },
    { "11.0.0.0", "9.255.255.255", "::a00:0", "h" })
  bypass("192.168.4.0/22", { "192.168.4.0", "192.168.7.255" }, { "192.168.3.255", "192.168.8.0" })
  bypass("192.168.5.77/22", { "192.168.4.0" }, { "192.168.8.0" }) -- bits behind do not count
  bypass("1.2.3.4/32", { "1.2.3.4" }, { "1.2.3.5" })
  bypass("0.0.0.0/0", { "1.2.3.4" }, { "::1", "h" })
  bypass("fd00::/8", { "fd00::1", "fdff::" }, { "fe00::", "fc00::", "10.0.0.1" })
  bypass("2001:db8::/33", { "2001:db8::1", "2001:db8:7fff::" }, { "2001:db8:8000::" })
  bypass("::1/128", { "::1" }, { "::2" })
  bypass("::/0", { "::1", "10.0.0.1" }, { "h" })
  for _, list in ipairs { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "fd00::/129", "10/8", "h/8",
    "[::1]/8" } do
    bypass(list, {}, { "10.0.0.0", "fd00::", "h", "::1" })
  end
end

function T:test_random_ranges_against_arithmetic()
  for _ = 1, 2000 do
    local net, bits = math.random(0, 0xFFFFFFFF), math.random(0, 32)
    local ip = net ~ (math.random(2) == 1 and 1 << math.random(0, 31) or 0)
    local function text(n) return ("%d.%d.%d.%d"):format(n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255) end
    local mask = bits == 0 and 0 or 0xFFFFFFFF << 32 - bits & 0xFFFFFFFF
    lu.assertEquals(wire.bypass(text(net) .. "/" .. bits, text(ip), 80), net & mask == ip & mask)
  end
end

-- ---- the environment ---------------------------------------------------------------------

local function choose(url, env)
  return wire.choose(url, env)
end

function T:test_the_order_of_the_variables()
  for scheme, names in pairs {
    ws = { "ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY" },
    wss = { "wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" },
  } do
    local env = {}
    for i = #names, 1, -1 do
      env[names[i]] = "p" .. i
      lu.assertEquals({ choose(scheme .. "://h/", env) }, { "p" .. i, names[i] })
    end
    for i = 1, #names do
      env[names[i]] = "" -- empty is not set
      local value = choose(scheme .. "://h/", env)
      lu.assertEquals(value, names[i + 1] and "p" .. i + 1)
    end
  end
  lu.assertNil(choose("ws://h/", { https_proxy = "x", wss_proxy = "x" }))
  lu.assertNil(choose("wss://h/", { http_proxy = "x", ws_proxy = "x" }))
end

-- "httpoxy": in a CGI program HTTP_PROXY is the client's header Proxy
function T:test_http_proxy_under_cgi()
  local cgi = { HTTP_PROXY = "evil", REQUEST_METHOD = "GET" }
  lu.assertNil(choose("ws://h/", cgi))
  cgi.REQUEST_METHOD = ""
  lu.assertNil(choose("ws://h/", cgi))
  cgi.all_proxy = "good"
  lu.assertEquals(choose("ws://h/", cgi), "good")
  cgi.http_proxy = "better" -- a server makes no such variable
  lu.assertEquals(choose("ws://h/", cgi), "better")
  lu.assertEquals(choose("wss://h/", { HTTPS_PROXY = "p", REQUEST_METHOD = "GET" }), "p")
end

function T:test_no_proxy()
  lu.assertNil(choose("ws://h/", { all_proxy = "p", no_proxy = "h" }))
  lu.assertNil(choose("ws://h/", { all_proxy = "p", NO_PROXY = "h" }))
  lu.assertEquals(choose("ws://h/", { all_proxy = "p", no_proxy = "x", NO_PROXY = "h" }), "p")
  lu.assertNil(choose("ws://h:81/", { all_proxy = "p", no_proxy = "h:81" }))
  lu.assertEquals(choose("ws://h:82/", { all_proxy = "p", no_proxy = "h:81" }), "p")
  lu.assertNil(choose("wss://h/", { all_proxy = "p", no_proxy = "h:443" }))
  lu.assertNil(choose("ws://[fd00::1]/", { all_proxy = "p", no_proxy = "fd00::/8" }))
end

function T:test_this_machine_needs_no_proxy()
  local env = { all_proxy = "p" }
  for _, host in ipairs { "localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1", "127.255.255.255", "[::1]",
    "[::ffff:127.0.0.1]" } do
    lu.assertNil(choose("ws://" .. host .. "/", env), host)
  end
  for _, host in ipairs { "localhost.example", "128.0.0.1", "126.255.255.255", "[::2]", "notlocalhost" } do
    lu.assertEquals(choose("ws://" .. host .. "/", env), "p", host)
  end
  lu.assertNil(choose("ws+unix:/a:/", env))
end

return T
