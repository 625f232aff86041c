-- spec/wire/host_spec.lua -- hosts of URLs: IPv4 and IPv6 in all spellings
-- (W-07), names.

local lu = require "luaunit"
local host = require "wsock.probe".wire.host

local T = {}

local V4, V6 = "the host is no IPv4 address", "the host is no IPv6 address"
local CHARACTER = "the host has a character that is not allowed"

local function all(rows, kind)
  for s, text in pairs(rows) do lu.assertEquals({ host(s) }, { text, kind }, s) end
end

local function refused(list, why)
  for _, s in ipairs(list) do lu.assertEquals({ host(s) }, { nil, why }, ("%q"):format(s)) end
end

function T:test_ipv4()
  all({
    ["1.2.3.4"] = "1.2.3.4", ["1.2.3.4."] = "1.2.3.4", ["0.0.0.0"] = "0.0.0.0",
    ["255.255.255.255"] = "255.255.255.255",
    ["1.2.3"] = "1.2.0.3", ["1.2"] = "1.0.0.2", ["1"] = "0.0.0.1", ["1."] = "0.0.0.1", ["0"] = "0.0.0.0",
    ["127.1"] = "127.0.0.1", ["1.65535"] = "1.0.255.255", ["1.2.65535"] = "1.2.255.255",
    ["1.16777215"] = "1.255.255.255",
    ["4294967295"] = "255.255.255.255", ["256"] = "0.0.1.0", ["0x7f.0.0.1"] = "127.0.0.1",
    ["0X7F000001"] = "127.0.0.1",
    ["0x"] = "0.0.0.0", ["1.0x"] = "1.0.0.0", ["017.0.0.1"] = "15.0.0.1", ["00000000000000000000001"] = "0.0.0.1",
    ["0x00000000000000000ff"] = "0.0.0.255", ["100.200.10.9"] = "100.200.10.9", ["%31.2.3.4"] = "1.2.3.4",
    ["１２７。１"] = "127.0.0.1", ["0xABCDEF"] = "0.171.205.239",
  }, "ipv4")
  refused({ "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "1.2.65536", "1.16777216", "4294967296", "0x100000000", "09",
  "08.0.0.1",
    "1.2.3.08", "1..2", "a.1", "a.0x1", "a.09", "1.a.2", ".1", "..1", "99999999999999999999", "0xfffffffffffffffffff",
    "1.2.3.4.5.", "a.0x", "x.0xF" }, V4)
end

function T:test_names_that_are_no_addresses()
  all({ ["a"] = "a", ["1a"] = "1a", ["1.2.3.4a"] = "1.2.3.4a", ["0xg"] = "0xg", ["a.0xg"] = "a.0xg",
  ["1.2.3.x"] = "1.2.3.x",
    ["x0"] = "x0", ["."] = ".", [".."] = "..", ["1.."] = "1..", ["1.2.."] = "1.2..", ["a.."] = "a..",
    ["1.2.3.4.x."] = "1.2.3.4.x.", ["-1"] = "-1",
    ["+1"] = "+1", ["1e3"] = "1e3" }, "name")
end

function T:test_ipv6()
  all({
    ["[::]"] = "::", ["[::1]"] = "::1", ["[1::]"] = "1::", ["[0:0:0:0:0:0:0:0]"] = "::",
    ["[1:2:3:4:5:6:7:8]"] = "1:2:3:4:5:6:7:8",
    ["[0001:00:0:0::1]"] = "1::1", ["[ABCD::eF]"] = "abcd::ef", ["[1:0:0:2:0:0:0:3]"] = "1:0:0:2::3",
    ["[1:0:0:2:0:0:3:4]"] = "1::2:0:0:3:4", ["[1:0:2:0:3:0:4:0]"] = "1:0:2:0:3:0:4:0",
    ["[0:0:1:0:0:1:0:0]"] = "::1:0:0:1:0:0",
    ["[1:2:3:4:5:6:7::]"] = "1:2:3:4:5:6:7:0", ["[::2:3:4:5:6:7:8]"] = "0:2:3:4:5:6:7:8",
    ["[1:2:3::5:6:7:8]"] = "1:2:3:0:5:6:7:8",
    ["[1::8]"] = "1::8", ["[::1.2.3.4]"] = "::102:304", ["[::ffff:255.255.255.255]"] = "::ffff:ffff:ffff",
    ["[1:2:3:4:5:6:1.2.3.4]"] = "1:2:3:4:5:6:102:304", ["[1:2:3:4:5::1.2.3.4]"] = "1:2:3:4:5:0:102:304",
    ["[1::0.0.0.0]"] = "1::", ["[fe80:0:0:0:0:0:0:0]"] = "fe80::", ["[0:0:0:0:0:0:0:1]"] = "::1",
    ["[0:1::]"] = "0:1::",
    ["[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"] = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  }, "ipv6")
  refused({
    "[", "[]", "[]]", "[:]", "[:1]", "[1:]", "[:::]", "[1:::2]", "[::1::]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]",
    "[1:2:3:4:5:6:7:8::]", "[::1:2:3:4:5:6:7:8]", "[1::2:3:4:5:6:7:8]", "[12345::]", "[g::]", "[1.2.3.4]",
    "[::1.2.3]",
    "[::1.2.3.4.5]", "[::1.2.3.256]", "[::01.2.3.4]", "[::1.2.3.04]", "[::1..3.4]", "[::1.2.3.]", "[::.1.2.3]",
    "[1:2:3:4:5:6:7:1.2.3.4]", "[1:2:3:4:5:6::1.2.3.4]", "[::1.2.3.4:5]", "[::a.2.3.4]", "[::1.2.3.4", "[::1]x",
    "[::1] ",
    "[::1%25eth0]", "[::1%eth0]", "[%31::]", "[v1.x]", "[ ::1]", "[::1 ]", "[1:2", "[::1:]", "[1: 2::]", "[::-1]",
    "[::1\0]",
    "[::1.2.3.4444444444444444]",
  }, V6)
end

-- Every address written by us reads as itself: all patterns of zeros.
function T:test_ipv6_compression()
  for pattern = 0, 255 do
    local pieces, zeros, best = {}, {}, 0
    for i = 1, 8 do
      local zero = pattern >> (i - 1) & 1 == 1
      pieces[i] = zero and "0" or ("%x"):format(i * 0x111)
      zeros[i] = zero and (zeros[i - 1] or 0) + 1 or 0
      best = math.max(best, zeros[i])
    end
    local text = host("[" .. table.concat(pieces, ":") .. "]")
    lu.assertEquals((host("[" .. text .. "]")), text)
    lu.assertEquals(text:find("::", 1, true) ~= nil, best >= 2, text)
    if best >= 2 then -- the first longest run is the one that is left out
      local at = 1
      while zeros[at] < best do at = at + 1 end
      local before = table.concat(pieces, ":", 1, at - best)
      lu.assertEquals(text:sub(1, #before + 2), before .. "::")
    end
  end
end

function T:test_names()
  all({ ["H"] = "h", ["a.B.c"] = "a.b.c", ["%41%2d%42"] = "a-b", ["a_b"] = "a_b", ["xn--hst-0na"] = "xn--hst-0na",
    ["HØST"] = "xn--hst-0na", ["%C3%B8"] = "xn--pda", ["!$&'()*+,-.;=_~"] = "!$&'()*+,-.;=_~" }, "name")
  for b = 0, 0x7F do
    local c = string.char(b)
    local forbidden = b <= 0x20 or b == 0x7F or c:find '[#%%/:<>?@%[\\%]^|"`{}]' ~= nil
    local text, why = host("a" .. c .. "b")
    lu.assertEquals(text == nil, forbidden, ("byte %02x"):format(b))
    if forbidden then lu.assertEquals(why, CHARACTER) end
    lu.assertEquals((host(("a%%%02Xb"):format(b))), text) -- decoded before it is looked at
  end
  refused({ "a%", "a%4", "a%4g", "%", "%%41" }, CHARACTER)
  refused({ "", "%C2%AD" }, "the URL has no host")
end

function T:test_length()
  lu.assertEquals((host(("a"):rep(255))), ("a"):rep(255))
  refused({ ("a"):rep(256), ("a"):rep(5000), ("%61"):rep(256), ("Ａ"):rep(256) }, "the host is too long")
  lu.assertEquals((host(("Ａ"):rep(255))), ("a"):rep(255))
end

return T
