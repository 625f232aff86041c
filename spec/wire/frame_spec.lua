-- spec/wire/frame_spec.lua -- frame heads: rows FR of the matrix, L1 to L8 of
-- the threats as far as a head alone shows them.

local lu = require "luaunit"
local frame = require "wsock.core".wire.frame
local probe = require "wsock.probe".wire
local bytes = require "support.bytes"

local T = {}

local KEY = "\x37\xfa\x21\x3d"

-- ---- the model -----------------------------------------------------------------
-- From the figure in RFC 6455 5.2: the answer to a head, and the number of
-- bytes that are enough to give it.

local function model(s, masked, rsv1)
  local a, b = s:byte(1, 2)
  if not a then return "MORE" end
  local op = a & 15
  if a & 0x30 ~= 0 then return "RSV" end
  if a & 0x40 ~= 0 and not (rsv1 and op > 0 and op < 8) then return "RSV" end
  if op > 2 and op < 8 or op > 10 then return "OPCODE" end
  if op >= 8 and a & 0x80 == 0 then return "CONTROL_CUT" end
  if not b then return "MORE" end
  if (b & 0x80 ~= 0) ~= masked then return masked and "UNMASKED" or "MASKED" end
  local length, size = b & 0x7F, 2
  if op >= 8 and length > 125 then return "CONTROL_LONG" end
  if length > 125 then
    local wide = length == 126 and 2 or 8
    if wide == 8 and (s:byte(3) or 0) >= 0x80 then return "LENGTH_TOP" end
    if #s < 2 + wide then return "MORE" end
    length = string.unpack(wide == 2 and ">I2" or ">i8", s, 3)
    if wide == 2 and length < 126 or wide == 8 and length < 65536 then return "LENGTH_LONG" end
    size = 2 + wide
  end
  local key
  if masked then
    if #s < size + 4 then return "MORE" end
    key, size = s:sub(size + 1, size + 4), size + 4
  end
  return size, a & 0x80 ~= 0, a & 0x40 ~= 0, op, length, key
end

local function check(s, masked, rsv1)
  local expected = { model(s, masked, rsv1) }
  if type(expected[1]) == "string" then expected = { nil, expected[1] } end
  local got = { probe.frame(s, masked, rsv1) }
  for i = 1, 6 do
    if got[i] ~= expected[i] then
      lu.fail(("%s: %s is not %s"):format(bytes.hex(s), lu.prettystr(got), lu.prettystr(expected)))
    end
  end
end

local function refused(hex, name, masked, rsv1)
  local s = bytes.unhex(hex)
  for n = 0, #s - 1 do
    lu.assertEquals({ probe.frame(s:sub(1, n), masked, rsv1) }, { nil, "MORE" }, hex)
  end
  lu.assertEquals({ probe.frame(s, masked, rsv1) }, { nil, name }, hex)
end

-- ---- against the model -----------------------------------------------------------

function T:test_FR_01_every_start()
  for a = 0, 255 do
    for b = 0, 255 do
      local s = string.char(a, b)
      for _, masked in ipairs { true, false } do
        check(s, masked, false)
        check(s, masked, true)
      end
    end
    check(string.char(a), true, true)
  end
end

function T:test_L2_every_length()
  local lengths = { 0, 1, 124, 125, 126, 127, 128, math.maxinteger, math.maxinteger - 1 }
  for _, bits in ipairs { 7, 15, 16, 31, 32, 53, 62 } do
    for d = -1, 1 do lengths[#lengths + 1] = (1 << bits) + d end
  end
  for _, length in ipairs(lengths) do
    for _, wide in ipairs { 7, 16, 64 } do
      if length < 1 << (wide == 7 and 7 or 16) or wide == 64 then
        for op = 0, 15 do
          for _, key in ipairs { false, KEY } do
            for _, fin in ipairs { false, true } do
              if wide ~= 7 or length < 126 then
                check(bytes.frame { op = op, length = length, wide = wide, mask = key, fin = fin }, key
                  and true or false, true)
              end
            end
          end
        end
      end
    end
  end
end

function T:test_random_heads()
  for _ = 1, 5000 do
    local s = bytes.random(math.random(0, 15))
    check(s, math.random(2) == 1, math.random(2) == 1)
  end
end

-- FR-13: what is known early is the same as what is known late.
function T:test_FR_13_every_split()
  for _, t in ipairs { { "hi", mask = KEY }, { ("x"):rep(126), mask = KEY }, { ("x"):rep(65536), mask = KEY }, { "" },
    { op = "ping", "x" }, { ("x"):rep(300) }, { ("x"):rep(70000), op = "binary", fin = false } } do
    local s = bytes.frame(t):sub(1, 20)
    local size = probe.frame(s, t.mask ~= nil, false)
    for n = 0, #s do
      local got, name = probe.frame(s:sub(1, n), t.mask ~= nil, false)
      if n < size then lu.assertEquals({ got, name }, { nil, "MORE" }) else lu.assertEquals(got, size) end
    end
  end
end

-- ---- the examples of RFC 6455 5.7 ------------------------------------------------------

function T:test_the_examples_of_the_rfc()
  for hex, expected in pairs {
    ["81 05 48 65 6c 6c 6f"] = { 2, true, false, 1, 5 },
    ["81 85 37 fa 21 3d 7f 9f 4d 51 58"] = { 6, true, false, 1, 5, KEY },
    ["01 03 48 65 6c"] = { 2, false, false, 1, 3 }, ["80 02 6c 6f"] = { 2, true, false, 0, 2 },
    ["89 05 48 65 6c 6c 6f"] = { 2, true, false, 9, 5 },
    ["8a 85 37 fa 21 3d 7f 9f 4d 51 58"] = { 6, true, false, 10, 5, KEY },
    ["82 7e 01 00"] = { 4, true, false, 2, 256 }, ["82 7f 00 00 00 00 00 01 00 00"] = { 10, true, false, 2, 65536 },
  } do
    local s = bytes.unhex(hex)
    lu.assertEquals({ probe.frame(s, expected[6] ~= nil, false) }, expected, hex)
  end
end

-- ---- what is refused, and with which byte --------------------------------------------

function T:test_FR_03_reserved_bits()
  for _, first in ipairs { "91", "a1", "b1", "c1", "d1", "f1", "99", "a8", "c9", "c8", "ca", "c0", "40" } do
    refused(first, "RSV", true, false)
  end
  for _, first in ipairs { "91", "a1", "b1", "d1", "e1", "f1", "c8", "c9", "ca", "c0", "40", "d0" } do
    refused(first, "RSV", true, true)
  end
  lu.assertEquals({ probe.frame("\xC1\x00", false, true) }, { 2, true, true, 1, 0 })
  lu.assertEquals({ probe.frame("\x42\x00", false, true) }, { 2, false, true, 2, 0 })
end

function T:test_FR_04_opcodes()
  for _, op in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
    refused(("%02x"):format(0x80 | op), "OPCODE", true, false)
    refused(("%02x"):format(op), "OPCODE", false, true)
  end
end

function T:test_FR_05_12_lengths()
  for length, size in pairs { [0] = 2, [1] = 2, [125] = 2, [126] = 4, [127] = 4, [128] = 4, [65535] = 4,
    [65536] = 10, [math.maxinteger] = 10 } do
    for op = 0, 2 do
      lu.assertEquals({ probe.frame(bytes.frame { op = op, length = length }, false, false) }, { size, true, false,
        op, length })
    end
  end
end

-- L1: with the byte that shows it, before the rest of the length and the key.
function T:test_FR_06_L1_top_bit()
  refused("82 ff 80", "LENGTH_TOP", true)
  refused("82 7f 80", "LENGTH_TOP", false)
  refused("82 ff ff", "LENGTH_TOP", true)
  lu.assertEquals({ probe.frame(bytes.unhex "82 ff 7f ff ff ff ff ff ff ff 01 02 03 04", true) },
    { 14, true, false, 2, math.maxinteger, "\1\2\3\4" })
end

function T:test_FR_08_lengths_that_are_too_long()
  for _, hex in ipairs { "82 fe 00 05", "82 fe 00 7d", "82 fe 00 00" } do refused(hex, "LENGTH_LONG", true) end
  for _, hex in ipairs { "82 7f 00 00 00 00 00 00 00 80", "82 7f 00 00 00 00 00 00 ff ff",
    "82 7f 00 00 00 00 00 00 00 00" } do
    refused(hex, "LENGTH_LONG", false)
  end
  lu.assertEquals((probe.frame(bytes.unhex "82 7e 00 7e", false)), 4)
  lu.assertEquals((probe.frame(bytes.unhex "82 7f 00 00 00 00 00 01 00 00", false)), 10)
end

function T:test_FR_09_masks()
  refused("81 05", "UNMASKED", true)
  refused("81 85", "MASKED", false)
  refused("88 00", "UNMASKED", true)
  refused("89 80", "MASKED", false)
end

-- L5: after two bytes.
function T:test_L5_control_frames()
  refused("89 fe", "CONTROL_LONG", true)
  refused("89 ff", "CONTROL_LONG", true)
  refused("88 7e", "CONTROL_LONG", false)
  refused("8a 7f", "CONTROL_LONG", false)
  refused("09", "CONTROL_CUT", true)
  refused("08", "CONTROL_CUT", false)
  refused("0a", "CONTROL_CUT", false)
  lu.assertEquals((probe.frame("\x89\xFD" .. KEY, true)), 6)
end

-- FR-14: nothing is waited for when the head is enough.
function T:test_FR_14_large_and_wrong()
  refused("83", "OPCODE", true)
  refused("8b", "OPCODE", true)
  lu.assertEquals(select(5, probe.frame(bytes.frame { op = 2, length = 1 << 40 }, false)), 1 << 40)
end

-- ---- writing -------------------------------------------------------------------

function T:test_FR_07_the_shortest_form()
  for _, length in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 1 << 32, math.maxinteger } do
    for _, key in ipairs { false, KEY } do
      for _, fin in ipairs { true, false } do
        for op = 0, 10 do
          local written = frame.encode { opcode = op, length = length, key = key or nil, fin = fin }
          bytes.equals(written, (bytes.frame { op = op, length = length, mask = key or nil, fin = fin }))
          lu.assertEquals(probe.head_size(length, key ~= false), #written)
        end
      end
    end
  end
  bytes.equals(frame.encode { opcode = 1, rsv1 = true }, "\xC1\0")
end

function T:test_what_is_written_can_be_read()
  for _ = 1, 500 do
    local h = { opcode = math.random(0, 2), length = math.random(0) >> math.random(1, 63), fin = math.random(2) == 1,
      rsv1 = false, key = math.random(2) == 1 and bytes.random(4) or nil }
    local s = frame.encode(h)
    local got, size = frame.decode(s .. "rest", h.key ~= nil)
    lu.assertEquals(got, h)
    lu.assertEquals(size, #s)
  end
end

-- ---- counting payload ------------------------------------------------------------

function T:test_payload_in_a_run_of_frames()
  local run, payload = {}, {}
  local function add(t, counts)
    local s = bytes.frame(t)
    local head = #s - #t[1]
    for i = 1, #s do payload[#payload + 1] = counts and i > head and 1 or 0 end
    run[#run + 1] = s
  end
  add({ "hello", mask = KEY }, true)
  add({ "ping!", op = "ping" }, false)
  add({ "" }, true)
  add({ ("x"):rep(126), op = "binary", fin = false, mask = KEY }, true)
  add({ "tail", op = "continuation" }, true)
  add({ "\3\232bye", op = "close", mask = KEY }, false)
  add({ "x" }, true)
  local s, sum = table.concat(run), 0
  for off = 0, #s do
    lu.assertEquals(probe.payload_in(s, off), sum, off)
    sum = sum + (payload[off + 1] or 0)
  end
  -- the payload of the last frame may be missing, or be large
  lu.assertEquals(probe.payload_in(bytes.frame { op = 2, length = 1 << 20 }, 1000), 990)
  lu.assertEquals(probe.payload_in(bytes.frame { op = 2, length = 300 }:sub(1, 4), 4), 0)
  lu.assertEquals(probe.payload_in("", 0), 0)
end

return T
