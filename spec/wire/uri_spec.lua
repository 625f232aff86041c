-- spec/wire/uri_spec.lua -- URLs: rows URI-01 to URI-09 of the matrix, W-02 to
-- W-07 of the browser's constructor, H6 of the threats.

local lu = require "luaunit"
local parse = require "wsock.core".wire.uri.parse
local probe = require "wsock.probe"
local growth = require "support.growth"

local T = {}
T.alone = true -- it measures

local function good(s)
  local u, why = parse(s)
  if not u then lu.fail(("%q: %s"):format(s, why)) end
  return u
end

local function bad(s, why)
  local u, message, code, name = parse(s)
  if u then lu.fail(("%q should be refused, is %s"):format(s, u.url)) end
  lu.assertEquals({ message, code, name }, { why, "ARGUMENT", "URI" }, ("%q"):format(s))
end

-- What a URL becomes.
local function table_of(rows)
  for s, url in pairs(rows) do lu.assertEquals(good(s).url, url, ("%q"):format(s)) end
end

local NO_HOST, NO_SCHEME = "the URL has no host", "the URL has no scheme"
local FRAGMENT = "the URL has a fragment"
local OTHER = "the scheme is none of ws, wss, http, https, ws+unix"
local CHARACTER = "the host has a character that is not allowed"

-- ---- parts ---------------------------------------------------------------------

function T:test_all_parts()
  lu.assertEquals(good "wss://us%65r:pa%3ass@EXAMPLE.com:8443/a/../chat?x=y", {
    scheme = "wss", secure = true, url = "wss://us%65r:pa%3ass@example.com:8443/chat?x=y",
    origin = "wss://example.com:8443", host = "example.com", kind = "name", port = 8443, defaultPort = false,
    target = "/chat?x=y", user = "user", password = "pa:ss", hostHeader = "example.com:8443",
  })
  lu.assertEquals(good "ws://h", {
    scheme = "ws", secure = false, url = "ws://h/", origin = "ws://h", host = "h", kind = "name", port = 80,
    defaultPort = true, target = "/", hostHeader = "h",
  })
end

function T:test_URI_01_schemes()
  for s, expected in pairs {
    ["ws://h/"] = { "ws", false, 80 }, ["WS://h/"] = { "ws", false, 80 }, ["Wss://h/"] = { "wss", true, 443 },
    ["wSS://h/"] = { "wss", true, 443 }, ["http://h/"] = { "http", false, 80 },
    ["HTTPS://h/"] = { "https", true, 443 },
  } do
    local u = good(s)
    lu.assertEquals({ u.scheme, u.secure, u.port }, expected, s)
  end
end

-- W-04: http is ws in what the browser's object shows.
function T:test_W_04_http_is_ws()
  table_of { ["http://h:80/"] = "ws://h/", ["https://h:443/x"] = "wss://h/x", ["http://h:443/"] = "ws://h:443/" }
  lu.assertEquals(good("https://h:1/").origin, "wss://h:1")
end

function T:test_URI_02_ports()
  for s, expected in pairs {
    ["ws://h"] = { 80, true, "h" }, ["ws://h:"] = { 80, true, "h" }, ["wss://h"] = { 443, true, "h" },
    ["wss://h:/"] = { 443, true, "h" }, ["ws://h:80"] = { 80, true, "h" }, ["wss://h:443"] = { 443, true, "h" },
    ["ws://h:443"] = { 443, false, "h:443" }, ["wss://h:80"] = { 80, false, "h:80" },
    ["ws://h:0"] = { 0, false, "h:0" },
    ["ws://h:65535"] = { 65535, false, "h:65535" }, ["ws://h:00080"] = { 80, true, "h" },
    ["ws://h:000000000000000000008080"] = { 8080, false, "h:8080" },
  } do
    local u = good(s)
    lu.assertEquals({ u.port, u.defaultPort, u.hostHeader }, expected, s)
  end
  for _, port in ipairs { "65536", "99999", "18446744073709551617", "4294967376" } do
    bad("ws://h:" .. port, "the port is above 65535")
  end
  for _, port in ipairs { "x", "8x", "-1", "+1", "8 0", "0x50", "80:80", "%38", "8.0" } do
    bad("ws://h:" .. port, "the port is no number")
  end
end

function T:test_URI_03_resource_name()
  for s, target in pairs {
    ["ws://h"] = "/", ["ws://h?x=1"] = "/?x=1", ["ws://h/p?"] = "/p", ["ws://h/?"] = "/", ["ws://h?"] = "/",
    ["ws://h/p?q?r"] = "/p?q?r", ["ws://h/p/"] = "/p/", ["ws://h//p"] = "//p", ["ws://h/p;a=b"] = "/p;a=b",
    ["ws://h/p??"] = "/p??",
  } do
    lu.assertEquals(good(s).target, target, s)
  end
  lu.assertEquals(good("ws://h/p?").url, "ws://h/p?") -- as browsers have it
end

-- W-06: the empty fragment is one too.
function T:test_URI_04_fragments()
  for _, s in ipairs { "ws://h/#", "ws://h/#a", "ws://h#", "ws://h/?#", "ws://h/?a#b", "ws://u#:p@h", "ws://#",
    "ws+unix:/s:/#a" } do
    bad(s, FRAGMENT)
  end
  lu.assertEquals(good("ws://h/%23").target, "/%23")
end

function T:test_URI_05_bad()
  for s, why in pairs {
    [""] = NO_SCHEME, [" "] = NO_SCHEME, ["\t\n"] = NO_SCHEME, ["/x"] = NO_SCHEME, ["?"] = NO_SCHEME,
    ["test"] = NO_SCHEME,
    ["//h"] = NO_SCHEME, ["://h"] = NO_SCHEME, [":"] = NO_SCHEME, ["/ws://h"] = NO_SCHEME,
    ["ftp://h"] = OTHER, ["mailto:a@b"] = OTHER, ["about:blank"] = OTHER, ["ws2://h"] = OTHER, ["w s://h"] = OTHER,
    ["wss+unix:/s:/"] = OTHER, ["file:///x"] = OTHER, ["localhost:80"] = OTHER, ["\xC2\xA0ws://h"] = OTHER,
    ["ws\0://h"] = OTHER,
    ["ws:"] = NO_HOST, ["ws://"] = NO_HOST, ["ws:///"] = NO_HOST, ["ws://?x"] = NO_HOST, ["ws://:80"] = NO_HOST,
    ["ws://@"] = NO_HOST, ["ws://u:p@"] = NO_HOST, ["ws://u@/x"] = NO_HOST, ["ws://@:80"] = NO_HOST,
    ["wss:?"] = NO_HOST,
    ["ws://\xC2\xAD/"] = NO_HOST,
    ["ws://a b/"] = CHARACTER, ["ws://a<b"] = CHARACTER, ["ws://a|b"] = CHARACTER, ["ws://a^b"] = CHARACTER,
    ["ws://a%b"] = CHARACTER, ["ws://a%zz"] = CHARACTER, ["ws://a%00b"] = CHARACTER, ["ws://a%2Fb"] = CHARACTER,
    ["ws://a%40b"] = CHARACTER, ["ws://a%20b"] = CHARACTER, ["ws://a\0b"] = CHARACTER, ["ws://a\x7Fb"] = CHARACTER,
    ["ws://a]b"] = CHARACTER, ["ws://a[b"] = CHARACTER, ["ws://\xEF\xBC\x85"] = CHARACTER,
    ["ws://a\xE3\x80\x80b"] = CHARACTER,
    ["ws://a%01b"] = CHARACTER, ["ws://a\1b"] = CHARACTER,
    ["ws://\xFF/"] = "the host is not UTF-8", ["ws://%C3/"] = "the host is not UTF-8",
    ["ws://[::1"] = "the host is no IPv6 address", ["ws://[]"] = "the host is no IPv6 address",
    ["ws://["] = "the host is no IPv6 address", ["ws://[::1]x"] = "the host is no IPv6 address",
    ["ws://1.2.3.4.5"] = "the host is no IPv4 address", ["ws://09"] = "the host is no IPv4 address",
  } do
    bad(s, why)
  end
  for _, s in ipairs { nil, {}, true } do lu.assertFalse((pcall(parse, s))) end
end

function T:test_URI_06_not_ascii()
  lu.assertEquals(good("ws://høst/").hostHeader, "xn--hst-0na")
  lu.assertEquals(good("ws://h/?é").target, "/?%C3%A9")
  lu.assertEquals(good("ws://h/é/日?é").target, "/%C3%A9/%E6%97%A5?%C3%A9")
  lu.assertEquals(good("ws://h/\xFF?\xFE").target, "/%FF?%FE") -- no UTF-8: octets all the same
end

function T:test_URI_07_user_information()
  for s, expected in pairs {
    ["ws://u:p@h/"] = { "u", "p", "ws://u:p@h/" }, ["ws://u@h/"] = { "u", nil, "ws://u@h/" },
    ["ws://u:@h/"] = { "u", nil, "ws://u@h/" }, ["ws://:p@h/"] = { "", "p", "ws://:p@h/" },
    ["ws://@h/"] = { nil, nil, "ws://h/" },
    ["ws://:@h/"] = { nil, nil, "ws://h/" }, ["ws://a%40b:c@h/"] = { "a@b", "c", "ws://a%40b:c@h/" },
    ["ws://a@b@h/"] = { "a@b", nil, "ws://a%40b@h/" }, ["ws://u:a:b@h/"] = { "u", "a:b", "ws://u:a%3Ab@h/" },
    ["ws://é:ü@h/"] = { "é", "ü", "ws://%C3%A9:%C3%BC@h/" },
    ["ws://u p:a;b=c|[]^@h/"] = { "u p", "a;b=c|[]^", "ws://u%20p:a%3Bb%3Dc%7C%5B%5D%5E@h/" },
    ["ws://u%zz:%@h/"] = { "u%zz", "%", "ws://u%zz:%@h/" },
    ["ws://%41:%2541@h"] = { "A", "%41", "ws://%41:%2541@h/" },
  } do
    local u = good(s)
    lu.assertEquals({ u.user, u.password, u.url }, expected, s)
    lu.assertEquals({ u.hostHeader, u.target, u.origin }, { "h", "/", "ws://h" }, s)
  end
end

function T:test_URI_08_addresses()
  for s, expected in pairs {
    ["ws://[::1]"] = { "::1", "ipv6", "[::1]", "ws://[::1]/" },
    ["ws://[::1]:99"] = { "::1", "ipv6", "[::1]:99", "ws://[::1]:99/" },
    ["ws://[0:0:0:0:0:0:0:1]:80"] = { "::1", "ipv6", "[::1]", "ws://[::1]/" },
    ["ws://127.1:9"] = { "127.0.0.1", "ipv4", "127.0.0.1:9", "ws://127.0.0.1:9/" },
    ["ws://u@[::FFFF:1.2.3.4]/"] = { "::ffff:102:304", "ipv6", "[::ffff:102:304]", "ws://u@[::ffff:102:304]/" },
  } do
    local u = good(s)
    lu.assertEquals({ u.host, u.kind, u.hostHeader, u.url }, expected, s)
  end
end

function T:test_URI_09_octets_stay_as_they_are()
  for _, target in ipairs { "/a%2Fb?x=%26", "/%41", "/%7e", "/%", "/%zz?%", "/%c3%A9", "/%00", "/%2" } do
    lu.assertEquals(good("ws://h" .. target).target, target)
  end
end

-- ---- the constructor of browsers ---------------------------------------------------

function T:test_W_07_space_and_slashes()
  table_of {
    [" ws://h "] = "ws://h/", ["\0\x1F ws://h\n\t"] = "ws://h/", ["w\ts://h\n/p\r?q"] = "ws://h/p?q",
    ["ws:h"] = "ws://h/", ["ws:/h"] = "ws://h/", ["ws:///h"] = "ws://h/", ["ws:\\\\h\\p"] = "ws://h/p",
    ["ws:/\\/h"] = "ws://h/", ["ws://h\\p\\..\\q?a\\b"] = "ws://h/q?a\\b", ["ws:h:1"] = "ws://h:1/",
    ["ws:u@h"] = "ws://u@h/", ["ws://h:8\t0/"] = "ws://h/", ["ws://\th/"] = "ws://h/", ["ws:\r\n//h"] = "ws://h/",
  }
end

function T:test_W_07_hosts()
  table_of {
    ["ws://EXAMPLE.Com"] = "ws://example.com/", ["ws://%41.%62"] = "ws://a.b/", ["ws://h."] = "ws://h./",
    ["ws://."] = "ws://./", ["ws://a..b"] = "ws://a..b/", ["ws://a_b-"] = "ws://a_b-/", ["ws://-"] = "ws://-/",
    ["ws://!$&'()*+,;=~"] = "ws://!$&'()*+,;=~/", ["ws://Ｇｏ.com"] = "ws://go.com/",
    ["ws://a。b"] = "ws://a.b/",
    ["ws://0x7f.1"] = "ws://127.0.0.1/", ["ws://256"] = "ws://0.0.1.0/",
    ["ws://0300.168.0xF0"] = "ws://192.168.0.240/",
    ["ws://4294967295"] = "ws://255.255.255.255/", ["ws://1.2.3.4."] = "ws://1.2.3.4/",
    ["ws://１.２.３.４"] = "ws://1.2.3.4/",
    ["ws://日本語。jp/"] = "ws://xn--wgv71a119e.jp/", ["ws://faß.de"] = "ws://xn--fa-hia.de/",
  }
end

function T:test_W_07_paths()
  table_of {
    ["ws://h/."] = "ws://h/", ["ws://h/.."] = "ws://h/", ["ws://h/a/.."] = "ws://h/", ["ws://h/a/../"] = "ws://h/",
    ["ws://h/a/./b"] = "ws://h/a/b", ["ws://h/a/b/../../../c"] = "ws://h/c", ["ws://h/%2e"] = "ws://h/",
    ["ws://h/a/%2E%2e/b"] = "ws://h/b", ["ws://h/a/.%2e"] = "ws://h/", ["ws://h/..."] = "ws://h/...",
    ["ws://h/..a"] = "ws://h/..a",
    ["ws://h/a//../b"] = "ws://h/a/b", ["ws://h//.."] = "ws://h/", ["ws://h?/../x"] = "ws://h/?/../x",
    ["ws://h/a b"] = "ws://h/a%20b", ["ws://h/\"<>`{}^"] = "ws://h/%22%3C%3E%60%7B%7D%5E",
    ["ws://h/|'[]@:$&()*+,;=~!"] = "ws://h/|'[]@:$&()*+,;=~!",
    ["ws://h/\0x"] = "ws://h/%00x", ["ws://h/\x7F"] = "ws://h/%7F", ["ws://h/\x1Fx"] = "ws://h/%1Fx",
  }
end

function T:test_W_07_queries()
  table_of {
    ["ws://h/?a b"] = "ws://h/?a%20b", ["ws://h/?\"<>'"] = "ws://h/?%22%3C%3E%27",
    ["ws://h/?`{}|^\\[]"] = "ws://h/?`{}|^\\[]",
    ["ws://h/?\0x"] = "ws://h/?%00x", ["ws://h/?\x7F"] = "ws://h/?%7F", ["ws://h/?"] = "ws://h/?",
    ["ws://h/?%"] = "ws://h/?%",
  }
end

-- ---- ws+unix -------------------------------------------------------------------

function T:test_unix_sockets()
  for s, expected in pairs {
    ["ws+unix:/tmp/s.sock:/chat?x"] = { "/tmp/s.sock", "/chat?x", "ws+unix:/tmp/s.sock:/chat?x" },
    ["ws+unix:///tmp/s.sock:/chat"] = { "/tmp/s.sock", "/chat", "ws+unix:/tmp/s.sock:/chat" },
    ["WS+UNIX:/s"] = { "/s", "/", "ws+unix:/s:/" }, ["ws+unix:/s:"] = { "/s", "/", "ws+unix:/s:/" },
    ["ws+unix:rel/s:/x"] = { "rel/s", "/x", "ws+unix:rel/s:/x" },
    ["ws+unix:/a%3Ab c:/t"] = { "/a:b c", "/t", "ws+unix:/a%3Ab%20c:/t" },
    ["ws+unix:/s:/a/../b"] = { "/s", "/b", "ws+unix:/s:/b" }, ["ws+unix:/s?q"] = { "/s", "/?q", "ws+unix:/s:/?q" },
    ["ws+unix:/a/../s:/"] = { "/a/../s", "/", "ws+unix:/a/../s:/" },
    ["ws+unix:/é:/"] = { "/é", "/", "ws+unix:/%C3%A9:/" },
    ["ws+unix:////s:/"] = { "//s", "/", "ws+unix:////s:/" },
    ["ws+unix:/s:/x:y"] = { "/s", "/x:y", "ws+unix:/s:/x:y" },
  } do
    local u = good(s)
    lu.assertEquals({ u.path, u.target, u.url }, expected, s)
    lu.assertEquals({ u.scheme, u.host, u.hostHeader, u.origin, u.port, u.secure },
      { "ws+unix", "localhost", "localhost", "null", 0, false })
  end
  bad("ws+unix://h/s:/", "a ws+unix URL has no host")
  bad("ws+unix://", "a ws+unix URL has no host")
  bad("ws+unix:", "the URL has no socket path")
  bad("ws+unix::/x", "the URL has no socket path")
  bad("ws+unix:/s:x", "the target of a ws+unix URL starts with a slash")
  bad("ws+unix:/s%00:/", "the socket path has a control character")
end

-- ---- what goes on the wire -----------------------------------------------------------

-- H6: whatever is in a URL, nothing that could break a line comes out of it.
function T:test_H6_injection()
  local injections = { "\r\nX: y", "\n", "\r", "\0", "\x7F", "\x1F" }
  for b = 0x80, 0xFF do injections[#injections + 1] = string.char(b) end
  for _, bad_bytes in ipairs(injections) do
    for _, format in ipairs { "ws://a%sb/", "ws://h/a%sb", "ws://h/?a%sb", "ws://a%sb:c@h/", "ws://a:b%sc@h/",
      "ws://h:8%s0/" } do
      local u = parse((format:gsub("%%s", function() return bad_bytes end)))
      for _, part in ipairs { "url", "target", "host", "hostHeader", "origin" } do
        if u then lu.assertFalse(u[part]:find "[^!-~]" ~= nil, ("%q"):format(u[part])) end
      end
    end
  end
  for _, s in ipairs { "ws://a%0D%0Ab@h/", "ws://a%00@h/", "ws://%7F@h/", "ws://a\1@h/" } do
    bad(s, "the user has a control character")
  end
  for _, s in ipairs { "ws://a:%0D%0Ab@h/", "ws://a:b%00@h/", "ws://a:b\x7F@h/" } do
    bad(s, "the password has a control character")
  end
end

-- ---- limits --------------------------------------------------------------------

function T:test_length()
  local function url(n) return "ws://h/" .. ("x"):rep(n - 7) end
  for _, n in ipairs { 65534, 65535 } do lu.assertEquals(good(url(n)).url, url(n)) end
  bad(url(65536), "the URL is too long")
end

function T:test_length_of_hosts()
  local function host(n) return ("h"):rep(n) end
  for _, n in ipairs { 254, 255 } do lu.assertEquals(good("ws://" .. host(n)).host, host(n)) end
  bad("ws://" .. host(256), "the host is too long")
  bad("ws://" .. ("%68"):rep(256), "the host is too long")
  bad("ws://" .. ("."):rep(256), "the host is too long")
  bad("ws://" .. ("\xC2\xAD"):rep(400) .. "h", "the host is too long")
end

function T:test_room_for_the_host_header()
  local mem = probe.base.mem()
  lu.assertEquals({ probe.wire.uri(mem, "ws://h:8080", 7) }, { "ws://h:8080/", "h:8080" })
  lu.assertEquals({ probe.wire.uri(mem, "ws://h:8080", 6) }, { nil, "LIMIT" })
  lu.assertEquals(select(2, probe.wire.uri(mem, "ws://" .. ("h"):rep(255) .. ":65535")), ("h"):rep(255) .. ":65535")
  lu.assertEquals({ probe.wire.uri(mem, "ws+unix:/s:/", 9) }, { nil, "LIMIT" })
  lu.assertEquals({ probe.wire.uri(mem, "ws+unix:/s:/", 10) }, { "ws+unix:/s:/", "localhost" })
  lu.assertEquals(mem:state().used, 0)
end

function T:test_every_allocation_may_fail()
  local long = ("x"):rep(3000)
  for _, s in ipairs { "ws://h/", "wss://u:p@h:1/" .. long .. "?" .. long, "ws+unix:/s:/" .. long, "ws://h:x",
    "ws://u%00@" .. long } do
    local n = 0
    repeat
      n = n + 1
      local mem = probe.base.mem()
      mem:fail(n)
      local url, why = probe.wire.uri(mem, s)
      local state = mem:state()
      lu.assertEquals({ state.used, state.live, state.wrong }, { 0, 0, 0 })
      if state.failed > 0 then lu.assertEquals({ url, why }, { nil, "NOMEM" }) end
    until state.failed == 0
    lu.assertTrue(n > 1)
  end
end

-- ---- properties ----------------------------------------------------------------

local PIECES = { "ws:", "wss:", "http:", "//", "/", "\\", "h", "EX.com", "1.2", "[::1]", "@", ":", ":80", "u",
"%41", "%2e", ".", "..",
  "é", "?", "a=b", " ", "\t", "%", "'", "^", "\0", "xn--", "ß", "0x1", "ws+unix:", "[", "]", "|" }

-- Parsing what came out gives the same again, and everything in it is ASCII.
function T:test_what_comes_out_is_stable()
  local seen = 0
  for _ = 1, 4000 do
    local t = { math.random(2) == 1 and "ws://h" or "wss:" }
    for i = 2, math.random(2, 12) do t[i] = PIECES[math.random(#PIECES)] end
    local s = table.concat(t)
    local u = parse(s)
    if u then
      seen = seen + 1
      local again = good(u.url)
      for key, value in pairs(u) do
        if key ~= "scheme" then lu.assertEquals(again[key], value, ("%q %s"):format(s, key)) end
      end
      lu.assertFalse((u.url .. u.target .. u.host .. u.origin):find "[^!-~]" ~= nil, ("%q"):format(s))
    end
  end
  lu.assertTrue(seen > 400)
end

function T:test_truncation_at_every_byte()
  local s = "wss://us%65r:p%3as@ex.%61mple:8443/a/./b%20?q='x'"
  for n = 0, #s do
    local u, why = parse(s:sub(1, n))
    lu.assertTrue(u ~= nil or type(why) == "string")
  end
end

function T:test_linear()
  for name, make in pairs {
    path = function(n) return "ws://h/" .. ("a/"):rep(n) end, dots = function(n) return "ws://h"
    .. ("/a/.."):rep(n) end,
    deep = function(n) return "ws://h" .. ("/a"):rep(n) .. ("/.."):rep(n) end, user = function(n) return "ws://"
    .. ("@"):rep(n) .. "h" end,
    query = function(n) return "ws://h?" .. (" "):rep(n) end, tabs = function(n) return "ws://h/" .. ("\t"):rep(n)
    .. "x" end,
    slashes = function(n) return "ws:" .. ("/"):rep(n) .. "h" end, spaces = function(n) return (" "):rep(n)
    .. "ws:h" .. (" "):rep(n) end,
    port = function(n) return "ws://h:" .. ("0"):rep(n) .. "1" end,
  } do
    growth.linear(make, parse, 5000, name)
  end
end

-- Of proxies: other schemes, and their default ports; see wire/proxy.
function T:test_urls_of_proxies()
  local mem = probe.base.mem()
  for url, want in pairs { ["http://h"] = "http h 80", ["https://h"] = "https h 443", ["socks5://h"] = "socks5 h 1080",
    ["SOCKS5H://H:9"] = "socks5 h 9" } do
    lu.assertEquals(table.concat({ probe.wire.proxy(mem, url) }, " "), want)
  end
  for _, url in ipairs { "ws://h", "wss://h", "ws+unix://h", "socks4://h" } do
    lu.assertEquals(select(2, probe.wire.proxy(mem, url)), "URI")
  end
  lu.assertEquals(mem:state().used, 0)
end

return T
