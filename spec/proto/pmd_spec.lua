-- spec/proto/pmd_spec.lua -- messages through the codec: rows PM-33 to PM-48,
-- PM-54, ZL-04, ZL-07, ZL-08 of the matrix, Z2, Z3 of the threats.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local bytes = require "support.bytes"
local proto, wire = probe.proto, probe.wire

local T = counted.class(function(self) self.pool = proto.pmd_pool(self.mem) end,
  function(self) self.pool:free() end)

function T:one(options)
  return self:keep(proto.pmd(self.pool, options))
end

-- A client's and a server's with the same answer.
function T:pair(answer, more)
  local options = { answer = answer }
  for k, v in pairs(more or {}) do options[k] = v end
  local client = self:one(options)
  options.server = true
  return client, self:one(options)
end

local hex = bytes.unhex
local ALONE = { server_alone = true, client_alone = true }

local function pack(p, data, part) return (p:deflate(data, part)) end

-- ---- out -------------------------------------------------------------------------

-- PM-33, PM-40, PM-41: RFC 7692 7.2.3.1 and 7.2.3.2
function T:test_the_vectors()
  for _, p in ipairs { self:pair {} } do
    bytes.equals(pack(p, "Hello"), hex "f248cdc9c90700")
    bytes.equals(pack(p, "Hello"), hex "f200110000")
  end
  for _, p in ipairs { self:pair(ALONE) } do
    bytes.equals(pack(p, "Hello"), hex "f248cdc9c90700")
    bytes.equals(pack(p, "Hello"), hex "f248cdc9c90700")
  end
end

-- A client may keep to what it only hinted at.
function T:test_a_client_that_wanted_to_be_alone()
  local p = self:one { answer = {}, offer = { client_alone = true } }
  bytes.equals(pack(p, "Hello"), hex "f248cdc9c90700")
  bytes.equals(pack(p, "Hello"), hex "f248cdc9c90700")
end

-- PM-38, ZL-04
function T:test_empty_messages()
  for _, answer in ipairs { {}, ALONE } do
    local client, server = self:pair(answer)
    for _, data in ipairs { "", "a", "", "", "b", "" } do
      local packed = pack(client, data)
      if data == "" then bytes.equals(packed, "\0") end
      bytes.equals(server:inflate(packed), data)
    end
  end
end

-- PM-36, PM-37: parts; each can be read when it comes
function T:test_parts()
  for _, answer in ipairs { {}, ALONE } do
    local client, server = self:pair(answer)
    for _, parts in ipairs {
      { "Hello", ", ", "world" }, { "", "x", "" }, { "x", "" }, { "", "" }, { ("ab"):rep(9000), "c" },
    } do
      for i, part in ipairs(parts) do
        local last = i == #parts
        local packed = pack(client, part, not last)
        bytes.equals(server:inflate(packed, not last), part)
      end
    end
    bytes.equals(server:inflate(pack(client, "next")), "next")
  end
end

-- PM-31 and 4 MiB, and the room that is given back
function T:test_large_messages()
  local client, server = self:pair {}
  for _, data in ipairs { bytes.random(1 << 20), ("word "):rep(1 << 19), bytes.random(70000) } do
    local packed = pack(client, data)
    lu.assertTrue(#packed < #data + #data // 1000 + 100)
    lu.assertTrue(server:inflate(packed) == data)
  end
  pack(client, "x")
  lu.assertTrue(self.mem:state().used < 900 * 1024)
end

-- What was not sent is nothing the peer knows.
function T:test_forgetting()
  local client, server = self:pair {}
  bytes.equals(server:inflate(pack(client, "Hello")), "Hello")
  bytes.equals(pack(client, "Hello"), hex "f200110000")
  client:forget()
  local packed = pack(client, "Hello")
  bytes.equals(packed, hex "f248cdc9c90700")
  bytes.equals(server:inflate(packed), "Hello")
  -- in the middle of a message, too
  bytes.equals(server:inflate(pack(client, "abc", true), true), "abc")
  pack(client, "lost", true)
  client:forget()
  bytes.equals(server:inflate(pack(client, "abc")), "abc")
  local alone = self:pair(ALONE)
  alone:forget() -- has nothing to forget
end

-- Nor is it the peer's window when something else was sent.
function T:test_what_was_shared()
  local client = self:pair {}
  bytes.equals(pack(client, "Hello"), hex "f248cdc9c90700")
  lu.assertEquals({ client:shared(7, 1000) }, { 7, 1000 })
  bytes.equals(pack(client, "Hello"), hex "f248cdc9c90700")
end

-- Compressed once, read by whoever has the window.
function T:test_packing_for_many()
  local s = ("to everyone, "):rep(100)
  for window = 8, 15 do
    local packed = self.pool:pack(s, { window = window })
    for bits = window, 15 do
      local client = self:one { answer = { server_window = bits } }
      bytes.equals(client:inflate(packed), s)
      bytes.equals(client:inflate(packed), s)
    end
  end
  bytes.equals(self.pool:pack("", {}), "\0")
end

-- ---- in --------------------------------------------------------------------------

-- PM-34, PM-35, PM-44, ZL-08: what others send
local GOOD = {
  { "000500faff48656c6c6f00", "Hello" }, -- stored
  { "f348cdc9c9070000", "Hello" }, -- BFINAL, and the octet behind it
  { "f2480500 0000ffff cac9c90700", "Hello" }, -- two blocks
  { "f348cdc9c90700 f348cdc9c90700 00", "HelloHello" }, -- two streams
  { "f348cdc9c90700 f248cdc9c90700", "HelloHello" },
  { "00", "" }, { "0200", "" }, { "", "" }, { "0300 00", "" }, -- PM-38
  { "f348cdc9c90700", "Hello" }, -- BFINAL and no octet: lenient, Z3
  { "0300", "" },
}

function T:test_what_others_send()
  for _, answer in ipairs { {}, ALONE } do
    local client = self:pair(answer)
    for _, room in ipairs { 1, 3, 5, 65536 } do
      for _, row in ipairs(GOOD) do
        local packed = hex((row[1]:gsub(" ", "")))
        bytes.equals(client:inflate(packed, false, room), row[2], row[1])
        for head, tail in bytes.splits(packed) do
          local a = client:inflate(head, true, room)
          bytes.equals(a .. client:inflate(tail, false, room), row[2], row[1])
        end
      end
    end
  end
end

-- PM-45, PM-46, ZL-07: the window is taken over, also past a last block
function T:test_taking_over()
  local client = self:pair {}
  bytes.equals(client:inflate(hex "f248cdc9c90700"), "Hello")
  bytes.equals(client:inflate(hex "f200110000"), "Hello")
  bytes.equals(client:inflate(""), "")
  bytes.equals(client:inflate(hex "f348cdc9c9070000"), "Hello")
  bytes.equals(client:inflate(hex "f200110000"), "Hello")
end

-- PM-40: and is not when that was agreed on
function T:test_not_taking_over()
  local client, server = self:pair(ALONE)
  for _, p in ipairs { client, server } do
    bytes.equals(p:inflate(hex "f248cdc9c90700"), "Hello")
    lu.assertEquals({ p:inflate(hex "f200110000") }, { nil, "DEFLATE" })
  end
end

-- Z2, Z3: no message ends in the middle, and none reaches into the next
local BAD = {
  "f248cdc9c907", "f248cd", "f2", -- cut
  "0005", "000500faff4865", "00050005004865", -- stored: cut, and a wrong length
  "07", "ed", "f348cdc9c90700ff", "f348cdc9c9070007", "030007", -- junk behind a last block
  "f348cdc9c90700f2", "f348cdc9c9070000f2",
}

function T:test_bad_messages()
  for _, answer in ipairs { {}, ALONE } do
    for _, text in ipairs(BAD) do
      for _, room in ipairs { 1, 65536 } do
        local client = self:pair(answer)
        lu.assertEquals({ client:inflate(hex(text), false, room) }, { nil, "DEFLATE" }, text)
      end
    end
  end
end

-- PM-43, PM-47, PM-48, ZL-02: windows as agreed
function T:test_windows()
  local s = bytes.random(200)
  local data = (s .. bytes.random(3000)):rep(20)
  for bits = 8, 15 do
    local answer = { server_window = bits, client_window = 23 - bits }
    local client, server = self:pair(answer)
    for _ = 1, 3 do
      bytes.equals(server:inflate(pack(client, data), false, 100), data)
      bytes.equals(client:inflate(pack(server, data), false, 100), data)
    end
  end
end

-- a side may use less than was agreed
function T:test_a_smaller_window()
  local client = self:one { answer = { client_window = 15 }, offer = { client_window = 9 } }
  local server = self:one { answer = { client_window = 9 }, server = true }
  local data = (bytes.random(600)):rep(5)
  bytes.equals(server:inflate(pack(client, data), false, 64), data)
end

-- both speak to zlib as python, Node and browsers use it: see interop/
function T:test_against_plain_deflate()
  local d, z = wire.deflate(self.mem, {}), wire.inflate(self.mem, 15)
  local client = self:pair {}
  for _, s in ipairs { "a", ("b"):rep(70000), bytes.random(5000) } do
    bytes.equals(client:inflate(d:run(s, true):sub(1, -5)), s)
    bytes.equals((z:run(pack(client, s) .. "\0\0\xFF\xFF")), s)
  end
  d:free()
  z:free()
end

function T:test_the_answer_as_text()
  lu.assertEquals(self:one({ answer = { server_window = 10, client_alone = true } }):text(),
    "permessage-deflate; client_no_context_takeover; server_max_window_bits=10")
end

-- ---- memory ----------------------------------------------------------------------

function T:used() return self.mem:state().used end

-- PM-54: nothing before it is needed, one of each for all that are alone
function T:test_who_has_a_codec()
  local small = 256
  local list = {}
  for i = 1, 20 do list[i] = { self:pair(ALONE) } end
  lu.assertTrue(self:used() < 40 * small)
  for _, pair in ipairs(list) do
    bytes.equals(pair[2]:inflate(pack(pair[1], "Hello")), "Hello")
    bytes.equals(pair[1]:inflate(pack(pair[2], "Hello")), "Hello")
  end
  local one = self:used()
  lu.assertTrue(one < 40 * small + (268 + 44 + 17) * 1024)
  -- who is in the middle of a message has its own for so long
  for _, pair in ipairs(list) do pair[2]:inflate(pack(pair[1], "Hello", true), true) end
  lu.assertTrue(self:used() > one + 19 * (160 + 38) * 1024)
  for _, pair in ipairs(list) do bytes.equals(pair[2]:inflate(pack(pair[1], "Hello")), "Hello") end
  lu.assertEquals(self:used(), one)
  -- and whoever rests in the middle gives it back, at most one stays
  for i = 1, 3 do list[i][2]:inflate(pack(list[i][1], "Hello", true), true) end
  for i = 1, 3 do
    list[i][1]:rest()
    list[i][2]:rest()
  end
  lu.assertEquals(self:used(), one)
end

function T:test_who_keeps_a_codec()
  local client, server = self:pair({}, { window = 12, memory = 5 })
  local before = self:used()
  bytes.equals(server:inflate(pack(client, "Hello")), "Hello")
  lu.assertTrue(self:used() > before + (262 + 38) * 1024 / 8)
  client:rest()
  server:rest()
  lu.assertTrue(self:used() - before < 18 * 1024) -- the pool's room
end

-- a smaller one for who begins with short messages, unless told
function T:test_who_begins_with_short_messages()
  local function costs(n, memory)
    local client = self:one { answer = {}, memory = memory }
    local before = self:used()
    pack(client, ("x"):rep(n))
    return self:used() - before
  end
  costs(5000, 0) -- the pool's room
  lu.assertEquals((costs(4096, 0) - costs(4095, 0)) // 1024, (64 - 32) + (64 - 16))
  lu.assertEquals((costs(4096, 8) - costs(4095, 8)) // 1024, 64 - 32)
end

-- who has not used it for a while gives it back, and begins anew
function T:test_who_has_not_used_a_codec()
  local client, server = self:pair {}
  client:age()
  bytes.equals(server:inflate(pack(client, "Hello")), "Hello")
  local used = self:used()
  client:age()
  lu.assertEquals(self:used(), used)
  bytes.equals(pack(client, "Hello"), hex "f200110000")
  client:age()
  client:forget()
  client:age()
  lu.assertTrue(self:used() < used - 160 * 1024)
  bytes.equals(server:inflate(pack(client, "Hello")), "Hello")
  bytes.equals(server:inflate(pack(client, "Hello")), "Hello")
  local alone = self:pair(ALONE)
  pack(alone, "Hello")
  alone:age()
  alone:age()
  bytes.equals(pack(alone, "Hello"), hex "f248cdc9c90700")
end

-- a spare one is for its kind only
function T:test_spare_compressors()
  local a = self:one { answer = ALONE, memory = 8, level = 9 }
  local b = self:one { answer = ALONE, memory = 5, level = 9 }
  local c = self:one { answer = ALONE, memory = 5, level = 1 }
  local s = ("abcabcabd"):rep(100)
  for _, p in ipairs { a, b, c, b, a } do
    bytes.equals(self:one({ answer = ALONE, server = true }):inflate(pack(p, s)), s)
  end
end

-- every allocation that fails, and it goes on
function T:test_no_memory()
  local big = bytes.random(40000)
  for _, answer in ipairs { {}, ALONE } do
    for n = 1, 12 do
      local client, server = self:pair(answer)
      bytes.equals(server:inflate(pack(client, "before")), "before")
      client:rest()
      self.mem:fail(n)
      local packed, err = client:deflate(big)
      self.mem:fail(0)
      if not packed then
        lu.assertEquals(err, "NOMEM")
        packed = client:deflate(big)
      end
      self.mem:fail(n)
      local other = proto.pmd(self.pool, { answer = answer, server = true })
      local got
      if other then got, err = other:inflate(packed) end
      self.mem:fail(0)
      if other and not got then lu.assertEquals(err, "NOMEM") end
      if got then bytes.equals(got, big) end
      if other then other:free() end
      bytes.equals(server:inflate(packed), big)
      self.mem:fail(n)
      packed, err = self.pool:pack(big, { memory = n % 9 + 1 })
      self.mem:fail(0)
      if not packed then lu.assertEquals(err, "NOMEM") end
      self.pool:free()
      self.pool = proto.pmd_pool(self.mem)
      for _, p in ipairs(self.made) do p:free() end
      self.made = {}
    end
  end
end

return T
