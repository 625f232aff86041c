-- spec/wire/deflate_spec.lua -- DEFLATE streams: rows ZL-01 to ZL-08 and ZL-10
-- of the matrix, L7 and Z2 of the threats.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local bytes = require "support.bytes"
local wire = probe.wire

local T = counted.class()

function T:deflate(options)
  return self:keep(wire.deflate(self.mem, options or {}))
end

function T:inflate(window)
  return self:keep(wire.inflate(self.mem, window or 15))
end

local hex = bytes.unhex
local TAIL = "\0\0\xFF\xFF"

-- Words that repeat themselves now and then, so that there is something to find.
local function text(n, seed)
  local words, list, size = {}, {}, 0
  local function next_word()
    if not seed then return math.random(#words) end
    seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
    return seed // 65536 % #words + 1
  end
  for i = 1, 200 do words[i] = ("word%x"):format(i * 7919 % 4096) end
  while size < n do
    local word = words[next_word()]
    list[#list + 1] = word
    size = size + #word + 1
  end
  return table.concat(list, " "):sub(1, n)
end

-- ---- vectors -------------------------------------------------------------------

-- ZL-10: RFC 7692 7.2.3.1, 7.2.3.2
function T:test_the_vectors()
  local d, z = self:deflate(), self:inflate()
  bytes.equals((d:run("Hello", true)), hex "f248cdc9c907000000ffff")
  bytes.equals((d:run("Hello", true)), hex "f200110000000000ffff":sub(1, 5) .. TAIL)
  lu.assertEquals({ z:run(hex "f248cdc9c907000000ffff") }, { "Hello", 0 })
  lu.assertEquals({ z:run(hex "f200110000" .. TAIL) }, { "Hello", 0 })
  lu.assertEquals({ z:run(hex "000500faff48656c6c6f00" .. TAIL) }, { "Hello", 0 })
  lu.assertEquals({ z:run(hex "f248050000 00ffff cac9c90700":gsub(" ", "") .. TAIL) }, { "Hello", 0 })
end

-- ---- round trips ------------------------------------------------------------------

-- ZL-01, ZL-02, PM-39, PM-42: every window reads what it wrote, and 8 is served by 9
function T:test_every_window_level_and_memory()
  for window = 8, 15 do
    for level = 0, 9 do
      local d = self:deflate { window = window, level = level, memory = math.max(level, 1) }
      local z = self:inflate(window)
      for _, n in ipairs { 1, 250, 300, 5000, 70000 } do
        local s = text(n)
        lu.assertEquals({ z:run((d:run(s, true))) }, { s, 0 })
        lu.assertEquals({ z:at() }, { true, false })
      end
    end
  end
end

-- fetching what it remembers changes nothing of it
function T:test_a_warm_one()
  for window = 8, 15 do
    local conf = { window = window, memory = 1, level = 6 }
    local cold, warm = self:deflate(conf), self:deflate(conf)
    for _, n in ipairs { 0, 1, 500, 5000 } do
      warm:warm()
      local s = text(n, n)
      bytes.equals((warm:run(s, true)), (cold:run(s, true)))
    end
  end
end

-- ZL-02: without the 9 of an 8 this would look back too far
function T:test_a_window_of_8_is_not_left()
  local d, z = self:deflate { window = 8, level = 9 }, self:inflate(8)
  local random = bytes.random(251)
  for _ = 1, 50 do
    local packed = d:run(random, true)
    for piece in bytes.pieces(packed, 7) do lu.assertNotNil((z:run(piece, 3))) end
  end
end

-- L7: more than the 64 KiB that zlib is given at once, in any rooms
function T:test_large_messages()
  for _, s in ipairs { text((1 << 20) + 1), bytes.random((1 << 20) + 1), ("\0"):rep(1 << 20), text(65536) } do
    local d, z = self:deflate { level = 1 }, self:inflate()
    local packed = d:run(s, true, 1 << 22)
    lu.assertEquals(packed:sub(-4), TAIL)
    lu.assertTrue(z:run(packed, 1 << 21) == s)
    z:reset()
    lu.assertTrue(z:run(packed, 1000) == s)
  end
end

-- ZL-05, ZL-06: rooms that are exactly full
function T:test_rooms_of_any_size()
  local s = text(3000)
  local d = self:deflate()
  local whole = d:run(s, true)
  for room = 16, 80 do
    d:reset(6)
    local packed, rounds = d:run(s, true, room)
    lu.assertTrue(rounds < 2 * #packed)
    local z = self:inflate()
    for _, size in ipairs { 1, 2, 15, room, #s } do
      z:reset()
      lu.assertEquals({ z:run(packed, size) }, { s, 0 })
      lu.assertTrue((z:at()))
    end
  end
  for room = #whole - 3, #whole + 1 do
    d:reset(6)
    local packed = d:run(s, true, room)
    lu.assertEquals(packed:sub(1, #whole), whole)
    lu.assertEquals(packed:sub(-4), TAIL)
  end
end

function T:test_room_that_is_too_small_does_nothing()
  local d = self:deflate()
  local out, rounds = d:run("x", true, 15)
  lu.assertEquals({ out, rounds }, { "", 1000000 })
end

-- ZL-04: nothing to flush is nothing; without flush nothing has to come
function T:test_flushing()
  local d = self:deflate()
  lu.assertEquals((d:run("", true)), "\0" .. TAIL)
  lu.assertEquals((d:run("", true)), "")
  lu.assertEquals((d:run("abc", false)), "")
  local z = self:inflate()
  lu.assertEquals((z:run((d:run("", true)))), "abc")
end

function T:test_reset_forgets_and_sets_the_level()
  local d, s = self:deflate { level = 9 }, text(5000)
  local best = d:run(s, true)
  lu.assertTrue(#d:run(s, true) < #best / 10)
  d:reset(9)
  lu.assertEquals((d:run(s, true)), best)
  d:reset(1)
  lu.assertEquals({ d:conf() }, { 15, 8, 1 })
  lu.assertTrue(#d:run(s, true) > #best)
  d:reset(9)
  lu.assertEquals((d:run(s, true)), best)
  -- the usual one is level 6 that was told otherwise, and is so after a reset
  local sizes = {}
  for i, level in ipairs { 6, 0, 0, 6, 0, 4 } do
    d:reset(level)
    sizes[i] = #d:run(text(60000, 5), true)
  end
  lu.assertEquals({ sizes[3], sizes[4], sizes[5] }, { sizes[2], sizes[1], sizes[2] })
  lu.assertTrue(sizes[1] < sizes[2] and sizes[2] < sizes[6])
  lu.assertEquals(#self:deflate({ level = 0 }):run(text(60000, 5), true), sizes[2])
  local z = self:inflate()
  z:run(best)
  z:reset()
  lu.assertEquals({ z:at() }, { true, true })
  lu.assertEquals((z:run(best)), s)
end

-- every cut gives the same bytes
function T:test_input_cut_anywhere()
  local d = self:deflate()
  local packed, s = "", text(400)
  for piece in bytes.pieces(s, 130) do packed = packed .. d:run(piece, true) end
  local z = self:inflate()
  for head, tail in bytes.splits(packed) do
    z:reset()
    local a, b = z:run(head), z:run(tail)
    lu.assertEquals(a .. b, s)
  end
end

-- ---- ends -------------------------------------------------------------------------

-- ZL-07, ZL-08, PM-35: streams that end, and what may come behind; the window stays
function T:test_last_blocks()
  local z = self:inflate()
  lu.assertEquals({ z:at() }, { true, true })
  lu.assertEquals({ z:run(hex "f348cdc9c90700") }, { "Hello", 0 })
  lu.assertEquals({ z:at() }, { true, true })
  lu.assertEquals({ z:run("\0" .. TAIL) }, { "", 0 })
  lu.assertEquals({ z:at() }, { true, false })
  lu.assertEquals({ z:run(hex "f348cdc9c90700f348cdc9c90700" .. "\0" .. TAIL) }, { "HelloHello", 0 })
  lu.assertEquals({ z:run(hex "f200110000" .. TAIL) }, { "Hello", 0 }) -- from the window
end

-- Z2: where it stops in the middle is told
function T:test_between()
  local packed = self:deflate():run(text(300), true)
  for n = 1, #packed - 1 do
    local z = self:inflate()
    z:run(packed:sub(1, n))
    -- before the empty block a byte may end by chance
    if n ~= #packed - 5 then lu.assertFalse((z:at()), n) end
  end
end

local BAD = {
  "07", -- a block of type 3
  "00050005004865", -- stored, NLEN is no complement of LEN
  "f200110000", -- refers to what is not there
  "0b0000000000", -- distances before the start
  "ed", "fc", -- lengths of codes that make no code
}

-- Z2
function T:test_bad_data()
  for _, text_ in ipairs(BAD) do
    local z = self:inflate()
    local got, err = z:run(hex(text_) .. ("\xFF"):rep(300))
    lu.assertNil(got, text_)
    lu.assertEquals(err, "DEFLATE")
    lu.assertNil((z:run("\0"))) -- and it stays so
  end
end

-- Z2: a distance beyond the window
function T:test_a_window_that_was_left()
  local d, z = self:deflate { window = 15 }, self:inflate(9)
  local s = bytes.random(600)
  for piece in bytes.pieces(d:run(s, true), 64) do z:run(piece, 64) end
  local got, err = z:run((d:run(s, true)), 64)
  lu.assertNil(got)
  lu.assertEquals(err, "DEFLATE")
end

-- ---- memory --------------------------------------------------------------------------

-- ZL-09, and every allocation that fails
function T:test_memory()
  for _, case in ipairs { { 15, 8, 262 }, { 12, 5, 38 }, { 9, 1, 9 } } do
    local before = self.mem:state().used
    local d = self:deflate { window = case[1], memory = case[2] }
    lu.assertTrue((self.mem:state().used - before) // 1024 <= case[3], case[1])
    d:free()
    lu.assertEquals(self.mem:state().used, before)
  end
  local z = self:inflate(15)
  lu.assertTrue(self.mem:state().used < 8 * 1024)
  z:run("\0")
  lu.assertTrue(self.mem:state().used < 8 * 1024)
  z:run(TAIL .. hex "f248cdc9c907000000ffff")
  lu.assertTrue(self.mem:state().used < 42 * 1024)
end

function T:test_no_memory()
  for n = 1, 8 do
    self.mem:fail(n)
    local d = wire.deflate(self.mem, {})
    self.mem:fail(0)
    if d then d:free() end
    lu.assertEquals(d == nil, n <= 6) -- itself, the state, four buffers
    self.mem:fail(n)
    local z = wire.inflate(self.mem, 15)
    local got, err
    if z then got, err = z:run(hex "f248cdc9c907000000ffff") end
    self.mem:fail(0)
    if z then z:free() end
    lu.assertEquals(z == nil, n <= 2)
    if n == 3 then lu.assertEquals({ got, err }, { nil, "NOMEM" }) end -- its window
  end
end

return T
