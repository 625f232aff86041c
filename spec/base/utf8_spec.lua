-- spec/base/utf8_spec.lua -- the UTF-8 validator against a slow one.
--
-- The model decodes to numbers and knows no byte ranges beyond the lead
-- bytes: a text is bad at the first byte from which no code point can be
-- reached that is in range, no surrogate and in its shortest form.
-- Rows U8-01 to U8-06 of the matrix; Autobahn 6.

local lu = require "luaunit"
local base = require "wsock.probe".base
local bytes = require "support.bytes"

local T = {}

-- ---- the model --------------------------------------------------------------

local FORMS = { -- first byte from, to, continuations, least code point
  { 0x00, 0x7F, 0, 0 }, { 0xC0, 0xDF, 1, 0x80 }, { 0xE0, 0xEF, 2, 0x800 }, { 0xF0, 0xF7, 3, 0x10000 },
}

-- Is there a code point from low to high that a form with this least one may spell?
local function reachable(low, high, least)
  low, high = math.max(low, least), math.min(high, 0x10FFFF)
  if low >= 0xD800 and high <= 0xDFFF then return false end
  return low <= high
end

-- "whole", or "open" (ends inside a code point), or "bad" and the offset of the first bad byte.
local function judge(s)
  local at = 1
  while at <= #s do
    local first, form = s:byte(at), nil
    for _, f in ipairs(FORMS) do
      if first >= f[1] and first <= f[2] then form = f end
    end
    if not form then return "bad", at - 1 end
    local value, left = first - form[1], form[3]
    if not reachable(value << 6 * left, (value + 1 << 6 * left) - 1, form[4]) then return "bad", at - 1 end
    at = at + 1
    while left > 0 do
      local b = s:byte(at)
      if not b then return "open" end
      if b < 0x80 or b > 0xBF then return "bad", at - 1 end
      value, left = value << 6 | b - 0x80, left - 1
      if not reachable(value << 6 * left, (value + 1 << 6 * left) - 1, form[4]) then return "bad", at - 1 end
      at = at + 1
    end
  end
  return "whole"
end

local FILLERS = { "a", "\0", "\u{7F}", "\u{E9}", "\u{4F60}", "\u{FFFF}", "\u{1F600}", "\u{10FFFF}" }

-- s among code points, at all offsets that matter: valid in all places or in none.
local function spread(s, filler)
  local valid, tried = base.utf8_spread(s, filler)
  local want = judge(s) == "whole" and tried or 0
  if valid ~= want then
    lu.fail(("%s among %s: valid in %d of %d places"):format(bytes.hex(s), bytes.hex(filler), valid, tried))
  end
end

local function pick(list) return list[math.random(#list)] end

-- Random text: code points of all lengths, or mostly of one.
local function text(n)
  local list, kind = {}, math.random(0, 5)
  local bounds = { { 0, 0x7F }, { 0x80, 0x7FF }, { 0x800, 0xD7FF }, { 0xE000, 0xFFFF }, { 0x10000, 0x10FFFF } }
  for i = 1, n do
    local range = kind == 0 and pick(bounds) or bounds[math.random(8) == 1 and 1 or kind]
    list[i] = utf8.char(math.random(range[1], range[2]))
  end
  return table.concat(list)
end

-- ---- vectors ---------------------------------------------------------------

local VALID = {
  "", "Hello", "H\u{e9}llo", "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}", "\u{4f60}\u{597d}", "\u{1f600}",
  "\0", "a\0b", "\u{feff}", "\u{feff}x", "\u{fffd}",          -- U8-04: NUL and BOM are text
  "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{ffff}", "\u{10000}", "\u{10ffff}",
  "\u{d7ff}", "\u{e000}", "\u{fdd0}", "\u{fdef}", "\u{fffe}", -- non-characters
  "\u{1fffe}", "\u{1ffff}", "\u{8fffe}", "\u{ffffe}", "\u{fffff}", "\u{10fffe}",
}

local BAD = { -- hex, offset of the first bad byte (U8-03)
  { "80", 0 }, { "bf", 0 }, { "61 80", 1 }, { "c3 a9 80", 2 },
  { "c0 80", 0 }, { "c1 bf", 0 }, { "e0 80 80", 1 }, { "e0 9f bf", 1 }, { "f0 80 80 80", 1 }, { "f0 8f bf bf", 1 },
  { "ed a0 80", 1 }, { "ed bf bf", 1 }, { "ed a0 80 ed b0 80", 1 },
  { "f4 90 80 80", 1 }, { "f5 80 80 80", 0 }, { "f7 bf bf bf", 0 },
  { "f8 88 80 80 80", 0 }, { "fc 84 80 80 80 80", 0 }, { "fe", 0 }, { "ff", 0 },
  { "c3 28", 1 }, { "e2 82 28", 2 }, { "e2 28 a1", 1 }, { "f0 9f 98 28", 3 }, { "f0 9f 28", 2 }, { "f0 28", 1 },
  { "ce ba e1 bd b9 cf 83 ce bc ce b5 f4 90 80 80 65 64", 12 }, -- Autobahn 6.4
  { "c3 c3", 1 }, { "e2 e2", 1 }, { "f0 f0", 1 }, { "c3", 1, "open" },
}

function T:test_valid_texts()
  for _, s in ipairs(VALID) do
    lu.assertTrue(base.utf8(s), bytes.hex(s))
    lu.assertEquals(judge(s), "whole")
  end
end

function T:test_bad_texts_at_their_first_bad_byte()
  for _, row in ipairs(BAD) do
    local s, offset, open = bytes.unhex(row[1]), row[2], row[3]
    lu.assertFalse(base.utf8(s), row[1])
    local pieces = {}
    for piece in bytes.pieces(s) do pieces[#pieces + 1] = piece end
    local refused, ended = base.utf8_feed(table.unpack(pieces))
    lu.assertEquals(refused, open and 0 or offset + 1, row[1])
    lu.assertFalse(ended, row[1])
  end
end

function T:test_ends_inside_a_code_point()
  for _, s in ipairs { "\u{e9}", "\u{4f60}", "\u{1f600}", "\u{10ffff}", "\u{d7ff}" } do
    for n = 1, #s - 1 do
      local part = "ab" .. s:sub(1, n)
      lu.assertFalse(base.utf8(part), bytes.hex(part)) -- U8-05
      lu.assertEquals({ base.utf8_feed(part) }, { 0, false })
      lu.assertEquals({ base.utf8_feed(part, s:sub(n + 1)) }, { 0, true }) -- U8-01
      lu.assertEquals({ base.utf8_feed(part, "", s:sub(n + 1), "") }, { 0, true })
    end
  end
end

-- ---- against the model -----------------------------------------------------

local EDGES = {
  0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
  0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
}

function T:test_all_pairs_of_bytes()
  for a = 0, 255 do
    for b = 0, 255 do
      local s = string.char(a, b)
      local whole = judge(s) == "whole"
      if base.utf8(s) ~= whole or base.utf8(("x"):rep(30) .. s .. ("y"):rep(20)) ~= whole then
        lu.fail(bytes.hex(s) .. " is not as the model has it")
      end
    end
  end
end

function T:test_pairs_at_the_edges_in_all_places()
  for a = 0, 255 do
    local filler = pick(FILLERS)
    for _, b in ipairs(EDGES) do spread(string.char(a, b), filler) end
  end
end

function T:test_triples_at_the_edges()
  for _, a in ipairs(EDGES) do
    local filler = pick(FILLERS)
    for _, b in ipairs(EDGES) do
      for _, c in ipairs(EDGES) do spread(string.char(a, b, c), filler) end
    end
  end
end

function T:test_quadruples_at_the_edges()
  local tails = { 0x7F, 0x80, 0x8F, 0xBF, 0xC2, 0xF0 }
  for _, a in ipairs { 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF } do
    local filler = pick(FILLERS)
    for _, b in ipairs(EDGES) do
      for _, c in ipairs(tails) do
        for _, d in ipairs(tails) do spread(string.char(a, b, c, d), filler) end
      end
    end
  end
end

function T:test_random_sequences()
  for _ = 1, 5000 do
    local t = {}
    for i = 1, math.random(5) do t[i] = pick(EDGES) end
    spread(string.char(table.unpack(t)), pick(FILLERS))
  end
end

-- ---- pieces ----------------------------------------------------------------

-- The piece that holds the first bad byte is the one refused, whatever the cuts (U8-06).
local function check_pieces(s, pieces, what)
  local verdict, offset = judge(s)
  local want, at = 0, 0
  for i, piece in ipairs(pieces) do
    if verdict == "bad" and offset >= at and offset < at + #piece then want = i end
    at = at + #piece
  end
  local refused, ended = base.utf8_feed(table.unpack(pieces))
  if refused ~= want or ended ~= (verdict == "whole") then
    lu.fail(("%s: %s in %d pieces (%s): refused piece %d, expected %d; end %s"):format(
      bytes.hex(s), verdict, #pieces, what, refused, want, ended))
  end
end

function T:test_every_split()
  local samples = { "a\u{e9}\u{4f60}\u{1f600}z", ("x"):rep(62) .. "\u{1f600}" .. ("\u{e9}"):rep(40) }
  for _, row in ipairs(BAD) do samples[#samples + 1] = "ok \u{e9}" .. bytes.unhex(row[1]) .. " end" end
  for _, s in ipairs(samples) do
    for head, tail, n in bytes.splits(s) do check_pieces(s, { head, tail }, "cut at " .. n) end
  end
end

function T:test_every_split_into_three()
  for _, s in ipairs { "a\u{1f600}\u{4f60}", "\u{4f60}\xed\xa0\x80", "\xf4\x8f\xbf\xbf\xf4\x90" } do
    for head, rest in bytes.splits(s) do
      for middle, tail in bytes.splits(rest) do check_pieces(s, { head, middle, tail }, "two cuts") end
    end
  end
end

function T:test_random_text_with_errors_in_random_pieces()
  for round = 1, 3000 do
    local s = text(math.random(round % 10 == 0 and 400 or 40))
    for _ = 1, math.random(0, 2) do
      local at = math.random(#s)
      local kind = math.random(4)
      if kind == 1 then s = s:sub(1, at - 1) .. string.char(math.random(0, 255)) .. s:sub(at + 1)
      elseif kind == 2 then s = s:sub(1, at - 1) .. s:sub(at + 1)
      elseif kind == 3 then s = s:sub(1, at) .. string.char(pick(EDGES)) .. s:sub(at + 1)
      else s = s:sub(1, at) end
      if s == "" then s = "x" end
    end
    local whole = judge(s) == "whole"
    if base.utf8(s) ~= whole then lu.fail(bytes.hex(s) .. " is not as the model has it") end
    check_pieces(s, bytes.cuts(s, pick { 3, 20, 100 }), "random")
  end
end

function T:test_one_bad_byte_anywhere_in_a_long_text()
  for _, filler in ipairs { "a", "\u{e9}", "\u{4f60}", "\u{1f600}" } do
    local s = filler:rep(600 // #filler)
    lu.assertTrue(base.utf8(s))
    for at = 1, #s do
      local bad = s:sub(1, at - 1) .. "\xff" .. s:sub(at + 1)
      if base.utf8(bad) then lu.fail(("ff at %d of %d x %s"):format(at - 1, #s, bytes.hex(filler))) end
    end
  end
end

function T:test_a_long_text_of_ascii_with_one_code_point()
  -- The wide path leaves out runs of ASCII: what stands before a run must still be looked at.
  local odd = { "\u{e9}", "\u{4f60}", "\u{1f600}", "\xe9", "\xe4\xbd", "\xf0\x9f\x98", "\x80", "\xed\xa0\x80" }
  for _, s in ipairs(odd) do
    local whole = judge(s) == "whole"
    for before = 0, 300 do
      local full = ("a"):rep(before) .. s .. ("b"):rep(600 - before)
      if base.utf8(full) ~= whole then lu.fail(("%s after %d bytes"):format(bytes.hex(s), before)) end
    end
  end
end

function T:test_unfinished_after_unfinished_at_the_end()
  -- The last one may still be finished, the one before it not.
  local parts = { "\xc3", "\xe1", "\xe1\x98", "\xf0", "\xf0\x9f", "\xf0\x9f\x98", "\xc0", "\xf5", "\x80" }
  for before = 0, 100 do
    local full = ("a"):rep(before < 70 and before or before + 60)
    for _, first in ipairs(parts) do
      for _, last in ipairs(parts) do
        local s = full .. first .. last
        check_pieces(s, { s }, "one piece")
      end
    end
  end
end

-- ---- the edge of memory ----------------------------------------------------

function T:test_no_byte_outside_is_read()
  local guard = base.guard()
  for _, filler in ipairs { "a", "\u{e9}", "\u{4f60}", "\u{1f600}" } do
    local long = filler:rep(300)
    for n = 0, 200 do
      local s = long:sub(1, n)
      local whole = n % #filler == 0
      for where = -1, 0 do
        if guard:utf8(s, where) ~= whole then lu.fail(("%d bytes of %s at %d"):format(n, bytes.hex(filler), where)) end
      end
    end
  end
end

function T:test_every_length_at_every_alignment()
  local guard = base.guard()
  local long = ("a\u{e9}\u{4f60}b\u{1f600}"):rep(20)
  for n = 0, 200 do
    local s = long:sub(1, n)
    local whole = judge(s) == "whole"
    for where = 0, 63 do
      if guard:utf8(s, where) ~= whole then lu.fail(("%d bytes at %d"):format(n, where)) end
      if guard:utf8(s, -1 - where) ~= whole then lu.fail(("%d bytes at -%d"):format(n, where)) end
    end
  end
end

-- ---- the model itself ------------------------------------------------------

function T:test_the_model_agrees_with_lua()
  for _ = 1, 2000 do
    local t = {}
    for i = 1, math.random(6) do t[i] = pick(EDGES) end
    local s = string.char(table.unpack(t))
    lu.assertEquals(judge(s) == "whole", utf8.len(s) ~= nil, bytes.hex(s))
  end
end

return T
