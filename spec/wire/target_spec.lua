-- spec/wire/target_spec.lua -- request targets: row MH-13 of the matrix, H3 of
-- the threats; dot segments (RFC 3986 5.2.4).

local lu = require "luaunit"
local target = require "wsock.core".wire.uri.target
local probe = require "wsock.probe".wire
local normalise = probe.normalise
local growth = require "support.growth"

local T = {}
T.alone = true -- it measures

function T:test_forms()
  for s, expected in pairs {
    ["/"] = { "origin", "", "/", "" }, ["/a/b?c=d?e"] = { "origin", "", "/a/b", "c=d?e" },
    ["/?"] = { "origin", "", "/", "" },
    ["//h/x"] = { "origin", "", "//h/x", "" }, ["/http://h/"] = { "origin", "", "/http://h/", "" },
    ["*"] = { "asterisk", "", "*", "" },
    ["http://h"] = { "absolute", "h", "/", "" }, ["http://h/"] = { "absolute", "h", "/", "" },
    ["http://h:80/p?q"] = { "absolute", "h:80", "/p", "q" }, ["WS://[::1]:8/x"] = { "absolute", "[::1]:8", "/x", "" },
    ["http://h?q"] = { "absolute", "h", "/", "q" }, ["http://u@h/"] = { "absolute", "u@h", "/", "" },
    ["a+b-c.1://h/"] = { "absolute", "h", "/", "" }, ["http://h?/x"] = { "absolute", "h", "/", "/x" },
    ["h:80"] = { "authority", "h:80", "/", "" }, ["[::1]:80"] = { "authority", "[::1]:80", "/", "" },
  } do
    local t = target(s)
    lu.assertEquals({ t.form, t.authority, t.path, t.query }, expected, s)
  end
end

function T:test_none_of_the_forms()
  for _, s in ipairs { "", "x", "?q", "http://", "http:///x", "http://?x", "http:/h", "h:80/x", "http:h/x", "**",
  "h/x", "h?q", "1http://h/",
    "h", "x/http://h/" } do
    local t, message, code, name = target(s)
    lu.assertNil(t)
    lu.assertEquals({ message, code, name }, { "malformed start line", "HANDSHAKE", "HEAD_LINE" }, s)
  end
end

function T:test_dot_segments()
  for s, expected in pairs {
    [""] = "", ["/"] = "/", ["/a"] = "/a", ["/a/"] = "/a/", ["/."] = "/", ["/./"] = "/", ["/.."] = "/",
    ["/../"] = "/",
    ["/a/."] = "/a/", ["/a/.."] = "/", ["/a/../"] = "/", ["/a/b/.."] = "/a/", ["/a/b/../c"] = "/a/c",
    ["/../../a"] = "/a",
    ["/a/./b/./c"] = "/a/b/c", ["//"] = "//", ["//a"] = "//a", ["//.."] = "/", ["/a//b"] = "/a//b",
    ["/a//../b"] = "/a/b",
    ["/..."] = "/...", ["/.a"] = "/.a", ["/..a/."] = "/..a/", ["/%2e"] = "/", ["/a/%2E%2e"] = "/",
    ["/a/%2e./b"] = "/b",
    ["/a/.%2E/b"] = "/b", ["/%2e%2e%2e"] = "/%2e%2e%2e", ["/%2f"] = "/%2f", ["/%2"] = "/%2", ["/%"] = "/%",
    ["/.%2"] = "/.%2",
    ["\\a\\..\\b"] = "/b", ["\\"] = "/", ["/a\\b"] = "/a/b", ["\\\\"] = "//", ["/a/b/c/./../../g"] = "/a/g",
  } do
    lu.assertEquals(normalise(s), expected, s)
    lu.assertEquals(normalise(expected), expected, s) -- once is enough
  end
end

-- A slow one that keeps a list, for random paths.
function T:test_dot_segments_against_a_list()
  local parts = { "/", "/", "a", "b", ".", "..", "%2e", "\\", "%2E", "c" }
  for _ = 1, 2000 do
    local t = { "/" }
    for i = 2, math.random(12) do t[i] = parts[math.random(#parts)] end
    local s = table.concat(t)
    local out, text = {}, s:gsub("\\", "/")
    for segment, at in text:gmatch "/([^/]*)()" do
      local last = at > #text
      local plain = segment:gsub("%%2[eE]", ".")
      if plain == ".." then
        out[#out] = nil
        if last then out[#out + 1] = "" end
      elseif plain == "." then
        if last then out[#out + 1] = "" end
      else
        out[#out + 1] = segment
      end
    end
    lu.assertEquals(normalise(s), "/" .. table.concat(out, "/"), s)
  end
end

function T:test_percent_signs()
  for s, octet in pairs { ["%41"] = 0x41, ["%fF"] = 0xFF, ["%00"] = 0, ["%4a~"] = 0x4A } do
    lu.assertEquals(probe.percent(s, 0), octet, s)
    lu.assertEquals(probe.percent("x" .. s, 1), octet, s)
  end
  for _, s in ipairs { "", "%", "%4", "%4g", "%g4", "%%41", "x41", "%-1", "41%" } do
    lu.assertNil(probe.percent(s, 0), s)
    lu.assertNil(probe.percent("x" .. s, 1), s)
  end
end

function T:test_linear()
  growth.linear(function(n) return ("/a"):rep(n) .. ("/.."):rep(n) end, normalise, 5000)
  growth.linear(function(n) return "http" .. ("x"):rep(n) end, target, 10000)
end

return T
