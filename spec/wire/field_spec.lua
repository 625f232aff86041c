-- spec/wire/field_spec.lua -- header grammar: rows EX-04 to EX-08, MH-11 and
-- MH-28 of the matrix, H3, H4, N4, N5 and X1 of the threats.

local lu = require "luaunit"
local field = require "wsock.core".wire.field
local probe = require "wsock.probe".wire
local clock = require "support.clock"
local growth = require "support.growth"

local T = {}
T.alone = true -- it measures

local function refused(ok, message, code, name)
  lu.assertNil(ok)
  lu.assertEquals({ message, code, name }, { "malformed header value", "HANDSHAKE", "FIELD" })
end

-- "foo; a; b=c" for what extensions() made of it
local function spell(list)
  local out = {}
  for i, e in ipairs(list) do
    out[i] = e.name
    for _, p in ipairs(e.params) do
      out[i] = out[i] .. "; " .. p.name .. (p.value and "=" .. (p.quoted and "'" .. p.value .. "'" or p.value) or "")
    end
  end
  return table.concat(out, ", ")
end

-- ---- bytes ---------------------------------------------------------------------

function T:test_classes_of_bytes()
  local kinds = {
    [1] = "[%w!#$%%&'*+.^_`|~-]", [2] = "[ \t]", [4] = "[\t -~\x80-\xFF]", [8] = "[!-~]",
    [16] = "[%w._~!$&'()*+,;=-]", [32] = "[0-9]", [64] = "[0-9a-fA-F]", [128] = "[!\"$-~]",
  }
  for b = 0, 255 do
    local c, set = string.char(b), 0
    for bit, pattern in pairs(kinds) do
      if c:find(pattern) then set = set | bit end
    end
    lu.assertEquals(probe.classes(b), set, ("byte %02x"):format(b))
  end
end

function T:test_tokens()
  for b = 0, 255 do
    local c = string.char(b)
    local is = c:find "[%w!#$%%&'*+.^_`|~-]" ~= nil
    lu.assertEquals(field.isToken(c), is, ("byte %02x"):format(b))
    lu.assertEquals(field.isToken("a" .. c), is)
    lu.assertEquals(field.isToken(c .. "a"), is)
  end
  lu.assertFalse(field.isToken "")
  lu.assertTrue(field.isToken(("x"):rep(65536)))
end

-- ---- lists ---------------------------------------------------------------------

function T:test_lists()
  for value, items in pairs {
    [""] = {}, [","] = {}, [" , ,\t,"] = {}, ["a"] = { "a" }, [" a "] = { "a" }, ["a,b"] = { "a", "b" },
    [",a , ,b,"] = { "a", "b" }, ["a b, c"] = { "a b", "c" }, ['"a,b",c'] = { '"a,b"', "c" },
    ['x="a,b";y, c'] = { 'x="a,b";y', "c" }, ['"a\\",b",c'] = { '"a\\",b"', "c" }, ['"a,b'] = { '"a,b' },
    ['a,"b\\'] = { "a", '"b\\' }, ["a\\,b"] = { "a\\", "b" }, ['"a\\\\",b'] = { '"a\\\\"', "b" },
    ["\xC3\xA9,\0"] = { "\xC3\xA9", "\0" },
  } do
    lu.assertEquals(field.list(value), items, value)
  end
end

function T:test_MH_28_token_lists()
  for value, tokens in pairs {
    [""] = {}, [","] = {}, [" "] = {}, ["chat"] = { "chat" }, ["chat, superchat"] = { "chat", "superchat" },
    [",chat ,\t, superchat,"] = { "chat", "superchat" }, ["a,a"] = { "a", "a" }, ["v1.x"] = { "v1.x" },
  } do
    lu.assertEquals(field.tokens(value), tokens, value)
  end
  for _, value in ipairs { "a b", "a;b", '"a"', "a,b c", "a,(", "a/b", "\xC3\xA9", "a,\0", "a=b", "=", "a@b",
    "a\r\n" } do
    refused(field.tokens(value))
  end
end

-- ---- extensions ------------------------------------------------------------------

function T:test_extension_lists()
  for value, expected in pairs {
    ["foo"] = "foo",
    ["permessage-deflate; client_max_window_bits"] = "permessage-deflate; client_max_window_bits",
    ["permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate"] =
      "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
    ["foo;bar;baz"] = "foo; bar; baz", ["foo;bar=1;bar=2"] = "foo; bar=1; bar=2",
    ["foo,bar;x=y,baz"] = "foo, bar; x=y, baz", ["Foo; Bar"] = "Foo; Bar",
    ['foo;bar="baz"'] = "foo; bar='baz'",
    -- EX-05
    ['foo;bar="b\\az"'] = "foo; bar='baz'", ['foo;bar="\\b\\a\\z";c=d'] = "foo; bar='baz'; c=d",
    ['foo;a="x";b="\\y";c="z"'] = "foo; a='x'; b='y'; c='z'",
    -- EX-07
    [" a ; b = 1 , c"] = "a; b=1, c", ["a\t;\tb\t=\t1"] = "a; b=1", ['a; b = "1" ; c'] = "a; b='1'; c",
    -- EX-08
    [", permessage-deflate,,"] = "permessage-deflate", [",,a,, ,b"] = "a, b",
    -- N4
    ["__index; __gc=1"] = "__index; __gc=1", ["__proto__; constructor"] = "__proto__; constructor",
  } do
    local list, message = field.extensions(value)
    lu.assertEquals(list and spell(list) or message, expected, value)
    lu.assertTrue((probe.extension_check(value)), value)
  end
end

function T:test_EX_04_05_refused()
  for _, value in ipairs {
    "foo;=", "foo;", "foo; ", '"foo"', "f@o", 'foo;bar="b@z"', 'foo;bar="baz', 'foo;bar=""', "foo;bar=", "foo;bar=,x",
    "foo;;bar", "foo;bar;", "foo bar", "foo;bar baz", "foo;bar=1 2", "foo=1", ";", ";foo", "=", "foo;bar==1",
    'foo;bar="', 'foo;bar="\\', 'foo;bar="\\"', 'foo;bar="a" "b"', 'foo;bar="a"b', 'foo;bar="a b"', 'foo;bar="a,b"',
    'foo;bar=a"b"', "foo\0", "foo;\0", "foo;b=\0", "foo;b=\xC3", "foo;b=(", "foo,b@r", "foo;bar=1,;", "foo/1",
    "foo\r\n", 'foo;bar="\r"', 'foo;"bar"', "foo; bar=1; =2",
  } do
    refused(field.extensions(value))
    lu.assertEquals({ probe.extension_check(value) }, { nil, "FIELD" }, value)
  end
end

function T:test_EX_08_nothing_in_it()
  for _, value in ipairs { "", ",", " , ,", "\t" } do
    lu.assertEquals(field.extensions(value), {})
    lu.assertEquals({ probe.extension_check(value) }, { nil, "FIELD" })
  end
end

-- A quoted value without backslashes needs no room; with them as much as it
-- has characters.
function T:test_room_for_unescaped_values()
  lu.assertEquals({ probe.param('; a="bcd"', 0) }, { "a", "bcd", true })
  lu.assertEquals({ probe.param("; a=bcd", 0) }, { "a", "bcd", false })
  lu.assertEquals({ probe.param('; a="b\\cd"', 3) }, { "a", "bcd", true })
  lu.assertEquals({ probe.param('; a="b\\cd"', 4) }, { "a", "bcd", true })
  lu.assertEquals({ probe.param('; a="b\\cd"', 2) }, { nil, "LIMIT" })
  lu.assertEquals({ probe.param('; a="b\\cd"', 0) }, { nil, "LIMIT" })
  lu.assertEquals({ probe.param("", 9) }, { nil, "MORE" })
  lu.assertEquals({ probe.param(" \t", 9) }, { nil, "MORE" })
  lu.assertEquals({ probe.param("x", 9) }, { nil, "FIELD" })
end

-- Every cut of a good value is good or refused, and never longer than it was.
function T:test_truncation_at_every_byte()
  local value = 'foo; a=1; b="x\\y" , bar;c = d,, baz'
  for n = 0, #value do
    local list = field.extensions(value:sub(1, n))
    if list then
      lu.assertTrue(#list <= 3)
      lu.assertEquals(field.extensions(spell(list):gsub("'", '"') .. ""), list)
    end
  end
end

-- ---- cost ----------------------------------------------------------------------

local function within(seconds, fn, value)
  fn(value)
  local best = math.huge
  for _ = 1, 5 do
    local start = os.clock()
    fn(value)
    best = math.min(best, os.clock() - start)
  end
  lu.assertTrue(best < seconds * clock.slow, ("%.1f ms"):format(best * 1000))
end

-- H4: sixteen kilobytes of nothing, a thousand tokens.
function T:test_H4_lists()
  for _, part in ipairs { " ", ",", " ,", "\t", "\"", "\\", "\\\"", "a", "a,", "\"a\"," } do
    local function make(n) return part:rep(n // #part) end
    for _, read in ipairs { field.list, field.tokens, field.extensions } do
      within(0.01, read, make(16384))
      growth.linear(make, read, 16384, part)
    end
  end
  local list = {}
  for i = 1, 1000 do list[i] = "p" .. i end
  lu.assertEquals(field.tokens(table.concat(list, ", ")), list)
end

-- N5: unclosed quotes and the like, less than a millisecond; N4: 64 KiB.
function T:test_N5_extensions()
  for _, value in ipairs {
    'a; b="' .. ("\\c"):rep(4096), 'a; b="' .. ('\\"'):rep(4096), 'a; b="' .. ('"\\'):rep(4096), (","):rep(8192),
    "a" .. (";"):rep(8192), 'a; b="' .. ("c"):rep(8192), "a;" .. (" "):rep(8192), "a;b=" .. (" "):rep(8192) .. "@",
    ("a;b="):rep(2048), "a;b" .. ("="):rep(8192),
  } do
    within(0.001, field.extensions, value)
  end
  local long = ("t"):rep(65536)
  lu.assertEquals(field.extensions(long .. ";" .. long .. "=" .. long)[1].params[1].value, long)
  local offers = ("permessage-deflate; client_max_window_bits, "):rep(10000)
  lu.assertEquals(#field.extensions(offers), 10000)
  growth.linear(function(n) return ("a;b=c,"):rep(n) end, field.extensions, 1000, "offers")
  growth.linear(function(n) return "a" .. (";b=c"):rep(n) end, field.extensions, 1000, "parameters")
  growth.linear(function(n) return 'a;b="' .. ("\\c"):rep(n) .. '"' end, field.extensions, 10000, "escapes")
end

-- ---- hosts ---------------------------------------------------------------------

function T:test_MH_11_hosts()
  for value, expected in pairs {
    ["h"] = { "h", 0 }, ["server.example.com"] = { "server.example.com", 0 }, ["h:80"] = { "h", 80 },
    ["h:"] = { "h", 0 }, ["h:0"] = { "h", 0 }, ["h:65535"] = { "h", 65535 }, ["h:00080"] = { "h", 80 },
    ["127.0.0.1:8080"] = { "127.0.0.1", 8080 }, ["[::1]"] = { "[::1]", 0 }, ["[::1]:99"] = { "[::1]", 99 },
    ["[1:2:3:4:5:6:7:8]:1"] = { "[1:2:3:4:5:6:7:8]", 1 }, ["[::ffff:1.2.3.4]"] = { "[::ffff:1.2.3.4]", 0 },
    ["a_b-c~d"] = { "a_b-c~d", 0 }, ["H."] = { "H.", 0 },
  } do
    lu.assertEquals({ field.hostPort(value) }, expected, value)
  end
end

function T:test_H3_bad_hosts()
  for _, value in ipairs {
    "", " ", "a b", "[::1", "::1", "a:99999", "a:65536", "%00", "a%41", "a:x", "a:-1", "a:+1", "a: 1", ":80",
    "a:80:80",
    "[]", "[::1]x", "[::1]:x", "[::g]", "[1.2.3.4]", "[v1.x]", "[::1%25eth0]", "u@h", "u:p@h", "h/", "h?", "h#",
    "h\\",
    "\xC3\xA9", "h\0", "h\r", "a,b c", "http://h", "<h>", "h\"", "{h}", "h|", "h^", "h:99999999999999999999",
  } do
    refused(field.hostPort(value))
  end
  lu.assertEquals((field.hostPort(("h"):rep(255))), ("h"):rep(255))
  lu.assertEquals((field.hostPort(("h"):rep(254))), ("h"):rep(254))
  refused(field.hostPort(("h"):rep(256)))
  refused(field.hostPort(("h"):rep(300)))
end

function T:test_origins()
  for value, expected in pairs {
    ["http://example.com"] = { "http", "example.com", 80 }, ["https://example.com"] = { "https", "example.com", 443 },
    ["HTTPS://Example.com"] = { "HTTPS", "Example.com", 443 }, ["http://h:8080"] = { "http", "h", 8080 },
    ["ws://h"] = { "ws", "h", 80 }, ["wss://h"] = { "wss", "h", 443 },
    ["chrome-extension://abc"] = { "chrome-extension", "abc", 0 },
    ["http://[::1]:3"] = { "http", "[::1]", 3 }, ["moz+x.1-y://h:1"] = { "moz+x.1-y", "h", 1 },
    ["http://example.com."] = { "http", "example.com.", 80 },
  } do
    lu.assertEquals({ field.origin(value) }, expected, value)
  end
end

-- X1: what looks like an origin and is none.
function T:test_X1_bad_origins()
  for _, value in ipairs {
    "", "null", "example.com", "//example.com", "http:example.com", "http:/example.com", "http://", "http:///",
    "http://example.com/", "http://example.com/x", "http://example.com?x", "http://example.com#x",
    "http://u@example.com",
    "http://example.com:80@evil", "http://evil\\@example.com", "http://a http://b", "http://a, http://b",
    "http://a,http://b c",
    "http://h:", "http://h:0", "http://h:x", "http://h:65536", "1http://h", "://h", "ht tp://h", "http://[::1",
    " http://h",
    "http://h ", "http://\xC3\xA9", "http://h%41", "file://", "data:,x", "http:// h", "http\0://h", "http://h\0",
  } do
    refused(field.origin(value))
  end
end

-- What a peer says stands in messages only as text, and cut.
function T:test_show()
  lu.assertEquals(probe.show("a b", 10), "a b")
  lu.assertEquals(probe.show("a\tb\r\n\0\x7f\xff", 10), "a?b?????")
  for room = 1, 8 do lu.assertEquals(probe.show("abcdef", room), ("abcdef"):sub(1, room - 1)) end
  lu.assertEquals(probe.show("", 1), "")
end

return T
