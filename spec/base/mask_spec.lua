-- spec/base/mask_spec.lua -- the XOR against a byte-wise one: all lengths,
-- alignments and phases (matrix MK-07, MK-09, MK-10; threats L8).

local base = require "wsock.probe".base
local bytes = require "support.bytes"

local T = {}

local KEY = "\x37\xfa\x21\x3d" -- RFC 6455 5.7

local function turned(key, phase)
  phase = phase % 4
  return key:sub(phase + 1) .. key:sub(1, phase)
end

-- Like guard:mask, but compares and says where it was.
local function check(guard, data, expected, ...)
  local got = guard:mask(data, ...)
  if got ~= expected then
    bytes.equals(got, expected, ("%d bytes, phase %d, place %d"):format(#data, select(2, ...), (select(3, ...))))
  end
end

function T:setUp()
  self.guard = base.guard()
end

function T:test_rfc_example()
  bytes.equals(self.guard:mask("Hello", KEY, 0, 0), bytes.unhex "7f 9f 4d 51 58")
  bytes.equals(self.guard:mask(bytes.unhex "7f 9f 4d 51 58", KEY, 0, -1), "Hello")
end

function T:test_nothing()
  bytes.equals(self.guard:mask("", KEY, 3, 0), "")
end

function T:test_every_length_phase_and_alignment_in_place()
  local data = bytes.random(200)
  for phase = 0, 3 do
    local expected = bytes.mask(data, turned(KEY, phase))
    for n = 0, 200 do
      local part, want = data:sub(1, n), expected:sub(1, n)
      for where = 0, 63 do check(self.guard, part, want, KEY, phase, where) end
      check(self.guard, part, want, KEY, phase, -1) -- ends where memory ends
    end
  end
end

function T:test_every_length_and_phase_to_another_place()
  local other = base.guard()
  local data = bytes.random(200)
  for phase = 0, 3 do
    local expected = bytes.mask(data, turned(KEY, phase))
    for n = 0, 200 do
      local part, want = data:sub(1, n), expected:sub(1, n)
      check(self.guard, part, want, KEY, phase, -1, other, -1)
      check(self.guard, part, want, KEY, phase, 0, other, 0)
      for _ = 1, 8 do
        check(self.guard, part, want, KEY, phase, math.random(0, 63), other, math.random(0, 63))
      end
    end
  end
end

function T:test_long_ones()
  for _, n in ipairs { 255, 256, 257, 1023, 1024, 1025, 4096, 16384, 50001 } do
    local data = bytes.random(n)
    for phase = 0, 3 do
      check(self.guard, data, bytes.mask(data, turned(KEY, phase)), KEY, phase, -1)
    end
  end
end

function T:test_the_phase_runs_over_the_whole_payload()
  for _ = 1, 50 do
    local key = bytes.random(4)
    local data = bytes.random(math.random(600))
    local t, at = {}, 0
    for _, piece in ipairs(bytes.cuts(data, 90)) do
      t[#t + 1] = self.guard:mask(piece, key, at, math.random(0, 63))
      at = at + #piece
    end
    bytes.equals(table.concat(t), bytes.mask(data, key), "key " .. bytes.hex(key))
  end
end

function T:test_only_the_phase_modulo_four_matters()
  local data = bytes.random(99)
  for _, phase in ipairs { 4, 5, 1 << 31, (1 << 32) + 3, math.maxinteger } do
    check(self.guard, data, bytes.mask(data, turned(KEY, phase)), KEY, phase, 0)
  end
end

function T:test_the_zero_key_changes_nothing()
  local data = bytes.random(300)
  check(self.guard, data, data, "\0\0\0\0", 1, 0)
end

function T:test_twice_is_nothing()
  local data, key = bytes.random(1000), bytes.random(4)
  for phase = 0, 3 do
    bytes.equals(self.guard:mask(self.guard:mask(data, key, phase, 0), key, phase, 0), data)
  end
end

return T
