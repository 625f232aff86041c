-- spec/bind/lua_wire_spec.lua -- the binding of frames, codes, fields and
-- URLs: what it takes, what it answers, what it leaves behind.  The rules
-- themselves: spec/wire/.

local lu = require "luaunit"
local wire = require "wsock.core".wire

local T = {}

function T:test_the_table()
  for name, functions in pairs {
    frame = { "decode", "encode" }, status = { "decode", "encode", "onWire", "maySend", "names" },
    field = { "isToken", "list", "tokens", "extensions", "hostPort", "origin", "credentials" },
    uri = { "parse", "target" },
    head = { "scanner", "parse", "body", "write", "reason", "chunked" },
  } do
    for _, fn in ipairs(functions) do lu.assertEquals(type(wire[name][fn]), "function", name .. "." .. fn) end
  end
end

function T:test_frames()
  lu.assertEquals({ wire.frame.decode "\x81\x05hello" }, { { opcode = 1, fin = true, rsv1 = false, length = 5 }, 2 })
  lu.assertEquals({ wire.frame.decode "" }, { false })
  lu.assertEquals({ wire.frame.decode "\x83" }, { nil, "reserved opcode", "PROTOCOL", "OPCODE" })
  lu.assertEquals(wire.frame.decode("\x81\x80abcd", true).key, "abcd")
  lu.assertEquals(wire.frame.decode("\xC1\x00", false, true).rsv1, true)
  lu.assertEquals(wire.frame.encode { opcode = 8, fin = nil, length = nil }, "\x88\0")
  lu.assertEquals(wire.frame.encode { opcode = 1, fin = false, rsv1 = true, length = 3, key = "abcd" },
    "\x41\x83abcd")
end

-- AU-02
function T:test_credentials()
  local read = wire.field.credentials
  lu.assertEquals({ read 'Digest username="a, \\"b\\\\", NC=1,, x = "" ' },
    { "Digest", { { "username", 'a, "b\\' }, { "NC", "1" }, { "x", "" } } })
  lu.assertEquals({ read "x a=b, a=c" }, { "x", { { "a", "b" }, { "a", "c" } } })
  for _, value in ipairs { "Digest", "Basic YWJj==", 'Digest a="b', 'Digest a="b\\', 'Digest a="b\\"', "Digest a=b c=d",
    "Digest a=b, Basic c", "Digest a=b, c=", "Digest a=b, \xff", "Digest ," } do
    local scheme = value:match "^%a+"
    lu.assertEquals({ read(value) }, { scheme }, value)
  end
  for n = 31, 33 do
    local _, list = read("Digest " .. ("a=b,"):rep(n))
    lu.assertEquals(list and #list, n < 33 and n or nil)
  end
  for _, value in ipairs { "", ",", "a=b", '"Digest"', "\xff", "Digest/x a=b", "Digest =" } do
    lu.assertEquals({ read(value) }, { nil, "malformed header value", "HANDSHAKE", "FIELD" }, value)
  end
end

function T:test_misuse_raises()
  for _, call in ipairs {
    function() wire.frame.decode() end, function() wire.frame.encode "x" end, function() wire.frame.encode {} end,
    function() wire.frame.encode { opcode = 16 } end, function() wire.frame.encode { opcode = -1 } end,
    function() wire.frame.encode { opcode = 1, length = -1 } end, function() wire.frame.encode { opcode = 1,
    key = "abc" } end,
    function() wire.frame.encode { opcode = 1, key = 1234 } end, function() wire.frame.encode { opcode = 1,
    length = 1.5 } end,
    function() wire.status.decode {} end, function() wire.status.onWire "x" end, function() wire.field.list() end,
    function() wire.uri.parse() end, function() wire.uri.target {} end, function() wire.status.encode(1000, {}) end,
  } do
    lu.assertFalse((pcall(call)))
  end
end

function T:test_urls()
  local u = wire.uri.parse "ws+unix:/tmp/s:/x"
  lu.assertEquals({ u.path, u.target }, { "/tmp/s", "/x" })
  lu.assertEquals({ wire.uri.parse "x" }, { nil, "the URL has no scheme", "ARGUMENT", "URI" })
  lu.assertEquals(wire.uri.target "/a?b", { form = "origin", authority = "", path = "/a", query = "b" })
end

-- Numbers are strings where Lua says so, as everywhere in its library.
function T:test_numbers_as_strings()
  lu.assertTrue(wire.field.isToken(12))
  lu.assertEquals(wire.field.list(12), { "12" })
end

-- What C allocated is given back at once, not with the garbage.
function T:test_memory_comes_back()
  local long = "ws://h/" .. ("x"):rep(60000)
  local function round()
    wire.uri.parse(long)
    wire.uri.parse(long .. "#")
    wire.head.write { method = "GET", target = "/" .. ("x"):rep(60000) }
    wire.head.write { method = "GET", target = "/ " .. ("x"):rep(60000) }
    wire.head.write { method = "GET", target = "/", fields = { { "X", ("x"):rep(60000) }, { "a b", "" } } }
  end
  round()
  collectgarbage()
  collectgarbage()
  local before = collectgarbage "count"
  for _ = 1, 50 do round() end
  collectgarbage()
  collectgarbage()
  lu.assertTrue(collectgarbage "count" - before < 64)
end

return T
