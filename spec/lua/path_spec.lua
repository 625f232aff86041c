-- lua/wsock/path: the path of a request, cut up.

local lu = require "luaunit"
local paths = require "wsock.path"

local T = {}

function T:test_pieces()
  for _, row in ipairs {
    { "/", "" }, { "/a", "a" }, { "/a/", "a", "" }, { "//", "", "" }, { "/a/b", "a", "b" }, { "/..", ".." },
    { "/%2F%2f/%2e%00", "//", ".\0" }, { "/%25%32%35", "%25" }, { "/%c3%BC", "ü" }, { "/a+b", "a+b" },
  } do
    local pieces, raw = paths.split(row[1])
    lu.assertEquals(pieces, { table.unpack(row, 2) }, row[1])
    lu.assertEquals("/" .. table.concat(raw, "/"), row[1])
  end
end

function T:test_no_paths()
  for _, bad in ipairs { "", "a", "*", "a/b", "/%", "/%2", "/a%g0", "/a/%%41", "/%u0041", 1, true, {} } do
    lu.assertNil(paths.split(bad), bad)
  end
  lu.assertNil(paths.split(nil))
end

function T:test_every_byte()
  for i = 0, 255 do
    lu.assertEquals(paths.split(("/%%%02x"):format(i)), { string.char(i) })
    lu.assertEquals(paths.split(("/%%%02X"):format(i)), { string.char(i) })
  end
end

return T
