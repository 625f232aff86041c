-- The slow, obvious codecs that other specs compare with.
local lu = require "luaunit"
local bytes = require "support.bytes"

local T = {}

-- RFC 6455 5.7
function T:test_the_frames_of_the_rfc()
  lu.assertEquals(bytes.hex(bytes.frame { "Hello" }), "81 05 48 65 6c 6c 6f")
  lu.assertEquals(bytes.hex(bytes.frame { mask = true, "Hello" }), "81 85 37 fa 21 3d 7f 9f 4d 51 58")
  lu.assertEquals(bytes.hex(bytes.frame { op = "ping", "Hello" }), "89 05 48 65 6c 6c 6f")
  lu.assertEquals(bytes.hex(bytes.close(1000, "x")), "88 03 03 e8 78")
end

function T:test_parse_undoes_frame()
  for _, n in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 70000 } do
    local payload = bytes.random(n)
    local f, rest = bytes.parse(bytes.frame { op = "binary", mask = "abcd", payload } .. "x")
    bytes.equals(f.payload, payload)
    lu.assertEquals({ f.op, f.fin, f.masked, rest }, { 2, true, true, "x" })
  end
end

function T:test_mask_byte_by_byte()
  local key, s = "\x80\x01\xFE\x7F", bytes.random(33)
  for n = 0, #s do
    local masked = bytes.mask(s:sub(1, n), key)
    lu.assertEquals(#masked, n)
    for i = 1, n do lu.assertEquals(masked:byte(i), s:byte(i) ~ key:byte((i - 1) % 4 + 1)) end
    lu.assertEquals(#bytes.random(n), n)
  end
end

function T:test_parse_waits_for_the_whole_frame()
  for head in bytes.splits(bytes.frame { mask = true, ("x"):rep(130) }:sub(1, -2)) do
    lu.assertNil(bytes.parse(head))
  end
  lu.assertEquals(#bytes.frames(bytes.frame { "a" } .. bytes.close(1000)), 2)
end

function T:test_cuts_lose_nothing()
  local s = bytes.random(200)
  bytes.equals(table.concat(bytes.cuts(s, 7)), s)
  local n = 0
  for head, tail in bytes.splits "abc" do
    lu.assertEquals(head .. tail, "abc")
    n = n + 1
  end
  lu.assertEquals(n, 4)
  lu.assertEquals(bytes.unhex "81 05\n7F", "\x81\5\x7f")
end

function T:test_equals_says_where()
  local ok, message = pcall(bytes.equals, ("a"):rep(100) .. "b", ("a"):rep(100) .. "c")
  lu.assertFalse(ok)
  lu.assertStrContains(message, "offset 100")
end

return T
