-- proto/message: fragments to messages.

local lu = require "luaunit"
local bytes = require "support.bytes"
local counted = require "support.counted"
local probe = require "wsock.probe"

local T = counted.class()

local TEXT, BINARY, MORE = 1, 2, 0
local UNLIMITED = -1 -- as an unsigned number the largest there is

-- An assembler that is freed after body(m) was called.
function T:with(payload_max, fragments_max, body)
  local m = probe.proto.message(self.mem, payload_max, fragments_max)
  body(m)
  m:free()
  m:free() -- twice is fine
end

local function refused(code, ok, got)
  lu.assertNil(ok)
  lu.assertEquals(got, code)
end

local function whole(m, op, pieces)
  for i, piece in ipairs(pieces) do
    assert(m:begin(i == 1 and op or MORE, #piece, i == #pieces))
    assert(m:put(piece))
  end
  return assert(m:finish())
end

-- FG-02, FG-09: fragments in order make one message
function T:test_fragments_become_one_message()
  self:with(100, 10, function(m)
    lu.assertEquals(whole(m, TEXT, { "Hel", "lo" }), "Hello")
  end)
end

-- FG-04, FR-12: empty fragments, at the start, in the middle and at the end
function T:test_empty_fragments()
  self:with(100, 10, function(m)
    lu.assertEquals(whole(m, BINARY, { "", "a", "", "b", "" }), "ab")
    lu.assertEquals(whole(m, BINARY, { "", "" }), "")
  end)
end

-- FG-10: what comes after the last fragment is another message
function T:test_messages_one_after_another()
  self:with(100, 10, function(m)
    lu.assertEquals(whole(m, TEXT, { "one" }), "one")
    lu.assertEquals(whole(m, BINARY, { "\xff\xfe", "\xfd" }), "\xff\xfe\xfd")
    m:free()
    lu.assertEquals(whole(m, TEXT, { "three" }), "three")
  end)
end

-- FG-08
function T:test_continuation_without_a_message()
  self:with(100, 10, function(m)
    refused("ORPHAN", m:begin(MORE, 0, true))
    whole(m, TEXT, { "x" })
    refused("ORPHAN", m:begin(MORE, 0, false))
  end)
end

-- FG-07
function T:test_new_message_inside_one()
  for _, op in ipairs { TEXT, BINARY } do
    self:with(100, 10, function(m)
      assert(m:begin(op, 0, false))
      refused("INTERLEAVED", m:begin(TEXT, 0, true))
      refused("INTERLEAVED", m:begin(BINARY, 0, false))
    end)
  end
end

-- LM-02: n-1, n, n+1, in one frame
function T:test_size_limit_of_one_frame()
  self:with(10, 10, function(m)
    for _, n in ipairs { 9, 10 } do
      lu.assertEquals(#whole(m, BINARY, { ("x"):rep(n) }), n)
    end
    refused("TOOBIG", m:begin(BINARY, 11, true))
  end)
end

-- LM-02, threats F2: the sum of the fragments counts, cut anywhere
function T:test_size_limit_of_fragments()
  for cut = 0, 11 do
    self:with(10, 10, function(m)
      if cut <= 10 then
        lu.assertEquals(#whole(m, BINARY, { ("x"):rep(cut), ("x"):rep(10 - cut) }), 10)
        m:free()
        assert(m:begin(BINARY, cut, false))
        assert(m:put(("x"):rep(cut)))
        refused("TOOBIG", m:begin(MORE, 11 - cut, true))
      else
        refused("TOOBIG", m:begin(BINARY, cut, false))
      end
    end)
  end
end

-- threats L1, L3, I2: lengths near 2^63 cannot wrap the sum, with any limit
function T:test_lengths_at_the_edge()
  local top = math.maxinteger
  for _, limit in ipairs { 1, 125, 65535, 1 << 31, 1 << 53, top, UNLIMITED } do
    self:with(limit, 10, function(m)
      assert(m:begin(BINARY, 1, false))
      assert(m:put "x")
      if limit == UNLIMITED then
        assert(m:begin(MORE, top, true))
      else
        refused("TOOBIG", m:begin(MORE, top, true))
      end
      lu.assertTrue(self.mem:state().used <= 16384)
    end)
  end
end

-- FG-14, threats F1: empty ones count, n-1, n, n+1
function T:test_fragment_limit()
  self:with(100, 3, function(m)
    lu.assertEquals(whole(m, TEXT, { "a", "b" }), "ab")
    lu.assertEquals(whole(m, TEXT, { "a", "", "c" }), "ac")
    m:free()
    assert(m:begin(TEXT, 0, false))
    assert(m:begin(MORE, 0, false))
    assert(m:begin(MORE, 0, false))
    refused("FRAGMENTS", m:begin(MORE, 0, true))
    lu.assertEquals(self.mem:state().used, 0) -- empty ones cost nothing
  end)
end

function T:test_fragment_limit_of_one()
  self:with(100, 1, function(m)
    lu.assertEquals(whole(m, TEXT, { "alone" }), "alone")
    m:free()
    assert(m:begin(TEXT, 0, false))
    refused("FRAGMENTS", m:begin(MORE, 0, true))
  end)
end

-- threats M1, I1: a claim alone costs at most 16 KiB, at its first byte
function T:test_claimed_length_is_not_allocated()
  for _, limit in ipairs { 1 << 30, UNLIMITED } do
    for _, fin in ipairs { true, false } do
      self:with(limit, 10, function(m)
        assert(m:begin(BINARY, (1 << 30) - 1, fin))
        lu.assertEquals(self.mem:state().used, 0)
        lu.assertEquals(m:room((1 << 30) - 1), 16384)
        lu.assertEquals(self.mem:state().used, 16384)
      end)
    end
  end
end

-- then by what came, and a lone frame's never passes what it claims
function T:test_growth()
  local claim = 1000000
  self:with(1 << 20, 10, function(m)
    assert(m:begin(BINARY, claim, true))
    local sizes, left = {}, claim
    while left > 0 do
      local n = math.min(assert(m:room(left)), 4096)
      assert(m:put(("y"):rep(n), left))
      left = left - n
      local used, came = self.mem:state().used, claim - left
      lu.assertTrue(used <= math.max(16384, 16 * came), used)
      if used ~= sizes[#sizes] then sizes[#sizes + 1] = used end
    end
    lu.assertEquals(sizes, { 16384, 32768, 65536, 131072, 262144, 524288, claim })
    lu.assertEquals(assert(m:finish()), ("y"):rep(claim))
  end)
end

-- bytes that have come are no claim: there is room for all of them
function T:test_room_for_what_has_come()
  self:with(1 << 20, 10, function(m)
    assert(m:begin(BINARY, 1000000, true))
    lu.assertEquals(m:room(1000000, 50000), 8 * 50000)
    lu.assertEquals(m:room(1000000, 400000), 8 * 50000) -- what fits must not move
  end)
  self:with(1 << 20, 10, function(m)
    assert(m:begin(BINARY, 100000, true))
    lu.assertEquals(m:room(100000, 50000), 100000)
    assert(m:put(("x"):rep(50000), 100000))
    lu.assertEquals(m:room(50000, 1), 50000) -- up to the claim
  end)
end

-- a small frame takes no more than it needs
function T:test_small_frame_takes_little()
  self:with(1 << 20, 10, function(m)
    assert(m:begin(BINARY, 100, true))
    lu.assertEquals(m:room(100), 100)
    lu.assertTrue(self.mem:state().used <= 128)
  end)
end

-- threats F4, I4: n fragments of one byte cost O(n): few allocations
function T:test_one_byte_fragments_are_linear()
  self:with(1 << 20, 1 << 20, function(m)
    local n = 1 << 16
    assert(m:begin(BINARY, 1, false))
    assert(m:put "z")
    for _ = 2, n do
      assert(m:begin(MORE, 1, false))
      assert(m:put "z")
    end
    lu.assertTrue(self.mem:state().calls < 40, self.mem:state().calls)
    lu.assertTrue(self.mem:state().used <= 2 * n)
    assert(m:begin(MORE, 0, true))
    lu.assertEquals(#assert(m:finish()), n)
  end)
end

-- U8-01, U8-06: fails at the first bad byte, also within a frame
function T:test_utf8_fails_at_once()
  self:with(100, 10, function(m)
    assert(m:begin(TEXT, 20, true))
    assert(m:put("ab\xe2\x82", 20))
    refused("UTF8", m:put("\x28", 16))
  end)
  self:with(100, 10, function(m)
    assert(m:begin(TEXT, 3, false))
    assert(m:put "\xf4")
    assert(m:begin(MORE, 9, true))
    refused("UTF8", m:put("\x90", 9))
  end)
end

-- U8-05: the end inside a character
function T:test_utf8_cut_at_the_end()
  self:with(100, 10, function(m)
    assert(m:begin(TEXT, 2, true))
    assert(m:put "\xe2\x82")
    refused("UTF8", m:finish())
  end)
end

-- U8-01: a frame may end inside a character, at each of its bytes
function T:test_utf8_across_fragments()
  local text = "κόσμε \u{20AC} \u{10348}"
  for head, tail in bytes.splits(text) do
    self:with(100, 10, function(m)
      lu.assertEquals(whole(m, TEXT, { head, tail }), text)
    end)
  end
  self:with(100, 100, function(m)
    local pieces = {}
    for piece in bytes.pieces(text) do pieces[#pieces + 1] = piece end
    lu.assertEquals(whole(m, TEXT, pieces), text)
  end)
end

-- a text's state does not reach the next one
function T:test_utf8_starts_anew()
  self:with(100, 10, function(m)
    assert(m:begin(TEXT, 1, true))
    assert(m:put "\xe2")
    refused("UTF8", m:finish())
    lu.assertEquals(whole(m, TEXT, { "fine" }), "fine")
  end)
end

-- U8-10: binary is not looked at
function T:test_binary_is_any_bytes()
  self:with(1000, 10, function(m)
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    all = table.concat(all)
    bytes.equals(whole(m, BINARY, { all, all }), all .. all)
  end)
end

function T:test_no_memory()
  self:with(1 << 20, 10, function(m)
    assert(m:begin(BINARY, 40000, true))
    self.mem:fail(1)
    refused("NOMEM", m:room(40000))
    assert(m:put(("x"):rep(16384), 40000)) -- and it goes on
    self.mem:fail(1)
    refused("NOMEM", m:put("x", 40000 - 16384))
  end)
end

-- What is decompressed: the limit is for what is meant, twice that and 1 KiB for
-- what is sent, in all fragments.
function T:test_compressed_messages()
  local m = probe.proto.message(self.mem, 100, 5)
  lu.assertTrue(m:begin(1, 1224, true, true))
  m:free()
  lu.assertEquals({ m:begin(1, 1225, true, true) }, { nil, "TOOBIG" })
  m:free()
  lu.assertTrue(m:begin(1, 1000, false, true))
  lu.assertTrue(m:begin(0, 224, false))
  lu.assertEquals({ m:begin(0, 1, false) }, { nil, "TOOBIG" })
  m:free()
  lu.assertTrue(probe.proto.message(self.mem, -1, 5):begin(2, math.maxinteger, true, true))
end

function T:test_space_for_what_is_meant()
  local m = probe.proto.message(self.mem, 100, 5)
  lu.assertTrue(m:begin(2, 10, true, true))
  lu.assertTrue(m:space(40) >= 40)
  m:put(("x"):rep(90))
  lu.assertEquals(m:space(40), 10) -- as many as the limit leaves
  m:put(("x"):rep(10))
  lu.assertEquals({ m:space(1) }, { nil, "MORE" })
  lu.assertEquals(#m:finish(), 100)
  m:free()
  self.mem:fail(1)
  lu.assertTrue(m:begin(2, 10, true, true))
  lu.assertEquals({ m:space(40) }, { nil, "NOMEM" })
end

return T
