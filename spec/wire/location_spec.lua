-- spec/wire/location_spec.lua -- where a redirect leads (RP-02, RP-05, S2).

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"

local T = counted.class()

local function to(self, from, ref)
  return probe.wire.location(self.mem, from, ref)
end

-- RFC 3986 5.4.1 and 5.4.2, but for fragments and for what ws URLs normalise
function T:test_the_examples_of_the_rfc()
  local base = "ws://a/b/c/d;p?q"
  for ref, want in pairs {
    ["g"] = "ws://a/b/c/g", ["./g"] = "ws://a/b/c/g", ["g/"] = "ws://a/b/c/g/", ["/g"] = "ws://a/g",
    ["//g"] = "ws://g/", ["?y"] = "ws://a/b/c/d;p?y", ["g?y"] = "ws://a/b/c/g?y", [";x"] = "ws://a/b/c/;x",
    ["g;x"] = "ws://a/b/c/g;x", [""] = "ws://a/b/c/d;p?q", ["."] = "ws://a/b/c/", ["./"] = "ws://a/b/c/",
    [".."] = "ws://a/b/", ["../"] = "ws://a/b/", ["../g"] = "ws://a/b/g", ["../.."] = "ws://a/",
    ["../../g"] = "ws://a/g", ["../../../g"] = "ws://a/g", ["/./g"] = "ws://a/g", ["/../g"] = "ws://a/g",
    ["g."] = "ws://a/b/c/g.", ["..g"] = "ws://a/b/c/..g", ["./../g"] = "ws://a/b/g", ["g/../h"] = "ws://a/b/c/h",
    ["g?y/./x"] = "ws://a/b/c/g?y/./x",
  } do
    lu.assertEquals((to(self, base, ref)), want, ref)
  end
end

function T:test_schemes_hosts_and_odd_spellings()
  for _, row in ipairs {
    { "ws://a/x", "http://b/y", "ws://b/y", false }, { "ws://a/x", "https://b/y", "wss://b/y", false },
    { "ws://a/x", "WSS://A/", "wss://a/", false }, { "ws://a/x", "ws://A:80", "ws://a/", true },
    { "ws://a:81/x", "/y", "ws://a:81/y", true }, { "ws://a:81/x", "//a/y", "ws://a/y", false },
    { "wss://a/x", "//b:444", "wss://b:444/", false }, { "wss://a/x", "https://a", "wss://a/", true },
    { "ws://u:p@a/x", "y", "ws://a/y", true }, { "ws://[::1]:9/x", "y", "ws://[::1]:9/y", true },
    { "ws://a", "b:/c", nil }, { "ws://a/x", "1:2", "ws://a/1:2", true }, { "ws://a/x", "\\y", "ws://a/y", true },
    { "ws://a/x", "\\\\b\\y", "ws://b/y", false }, { "ws://a/x", "\xc3\xa9", "ws://a/%C3%A9", true },
    { "ws://a/x", "a b", "ws://a/a%20b", true }, { "ws://a/x", "%0d%0aX:", "ws://a/%0d%0aX:", true },
    { "ws://a/x?", "y", "ws://a/y", true }, { "ws://a/x?/y/z", "w", "ws://a/w", true },
  } do
    local url, same = to(self, row[1], row[2])
    lu.assertEquals({ url, url and same }, { row[3], row[4] }, row[2])
  end
end

function T:test_unix_sockets()
  local base = "ws+unix:/run/a%3Ab.sock:/x/y?q"
  for ref, want in pairs {
    z = "ws+unix:/run/a%3Ab.sock:/x/z", ["/"] = "ws+unix:/run/a%3Ab.sock:/", ["?r"] = "ws+unix:/run/a%3Ab.sock:/x/y?r",
    ["ws+unix:/run/a%3Ab.sock:/w"] = "ws+unix:/run/a%3Ab.sock:/w",
  } do
    lu.assertEquals({ to(self, base, ref) }, { want, true }, ref)
  end
  lu.assertEquals({ to(self, base, "ws://h/") }, { "ws://h/", false })
  lu.assertEquals({ to(self, base, "//h/") }, { "ws://h/", false })
  for _, from in ipairs { base, "ws://localhost/" } do
    lu.assertEquals({ to(self, from, "ws+unix:/run/b.sock:/x") }, { nil, "URI", "it leads to a unix socket" })
  end
end

function T:test_what_is_refused()
  for _, row in ipairs {
    { "ws://a/", "/#x", "the URL has a fragment" }, { "ws://a/", "#", "the URL has a fragment" },
    { "wss://a/", "ws://a/", "it leads from wss to ws" }, { "wss://a/", "http://b/", "it leads from wss to ws" },
    { "ws://a/", "ws://u@a/", "it names a user" }, { "ws://a/", "ws://:p@b/", "it names a user" },
    { "ws://a/", "ftp://b/", "the scheme is none of ws, wss, http, https, ws+unix" },
    { "ws://a/", "javascript:1", "the scheme is none of ws, wss, http, https, ws+unix" },
    { "ws://a/", "ws://", "the URL has no host" }, { "ws://a/", "//", "the URL has no host" },
    { "ws://a/", "ws://b:70000/", "the port is above 65535" },
  } do
    lu.assertEquals({ to(self, row[1], row[2]) }, { nil, "URI", row[3] }, row[2])
  end
  lu.assertEquals(select(3, to(self, "ws://a/", ("x"):rep(70000))), "the URL is too long")
end

function T:test_every_allocation_may_fail()
  local n = self:exhaust(function() return to(self, "ws://a/b", "c/../d?" .. ("x"):rep(300)) end)
  lu.assertTrue(n > 3)
end

-- 300 lets one choose, 304 and 305 mean other things, 306 nothing (RFC 9110 15.4)
function T:test_statuses()
  local list = {}
  for status = 100, 599 do
    if probe.wire.redirects(status) then list[#list + 1] = status end
  end
  lu.assertEquals(list, { 301, 302, 303, 307, 308 })
end

return T
