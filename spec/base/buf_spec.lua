-- spec/base/buf_spec.lua -- the byte queue: order, limit, growth, failure.

local lu = require "luaunit"
local base = require "wsock.probe".base
local counted = require "support.counted"
local bytes = require "support.bytes"

local T = counted.class()

function T:buf(max) return self:keep(base.buf(self.mem, max or 0)) end

function T:test_empty()
  local b = self:buf()
  lu.assertEquals(b:peek(), "")
  b:skip(0)
  lu.assertTrue(b:append "")
  lu.assertEquals(b:room(0), 0)
  lu.assertEquals(self.mem:state().calls, 0)
end

function T:test_append_peek_skip()
  local b = self:buf()
  b:append "hello "
  b:append "world"
  lu.assertEquals(b:peek(), "hello world")
  b:skip(6)
  lu.assertEquals(b:peek(), "world")
  b:append "!"
  lu.assertEquals(b:peek(), "world!")
  b:skip(6)
  lu.assertEquals(b:peek(), "")
  b:append "again"
  lu.assertEquals(b:peek(), "again")
end

function T:test_room_gives_all_there_is()
  local b = self:buf()
  lu.assertEquals(b:room(1), 64) -- the smallest memory
  b:commit(("x"):rep(10))
  lu.assertEquals(b:room(1), 54)
  lu.assertEquals(b:room(54), 54)
  lu.assertEquals(b:room(55), 118) -- doubled
  b:commit "yz"
  lu.assertEquals(b:peek(), ("x"):rep(10) .. "yz")
  lu.assertTrue(b:room(100000) >= 100000)
  lu.assertEquals(b:peek(), ("x"):rep(10) .. "yz")
end

function T:test_the_limit()
  local b = self:buf(100)
  lu.assertTrue(b:append(("a"):rep(99)))
  lu.assertTrue(b:append "b") -- exactly full
  lu.assertEquals({ b:append "c" }, { nil, "LIMIT" })
  lu.assertEquals({ b:room(1) }, { nil, "LIMIT" })
  lu.assertEquals(b:room(0), 0)
  lu.assertEquals(b:peek(), ("a"):rep(99) .. "b")
  b:skip(1)
  lu.assertEquals(b:room(1), 1) -- never more than the limit leaves
  lu.assertEquals({ b:room(2) }, { nil, "LIMIT" })
  b:commit "d"
  lu.assertEquals(b:peek(), ("a"):rep(98) .. "bd")
end

function T:test_limits_at_the_edges()
  for _, max in ipairs { 1, 63, 64, 65, 127, 128, 129, 1000 } do
    for off = -1, 1 do
      local b = self:buf(max)
      local n = max + off
      local ok, code = b:append(("x"):rep(n))
      lu.assertEquals({ ok, code }, off <= 0 and { true } or { nil, "LIMIT" }, ("%d of %d"):format(n, max))
      lu.assertTrue(b:cap() <= math.max(max, 0), "memory within the limit")
      b:free()
    end
  end
end

function T:test_sizes_do_not_overflow()
  local b = self:buf()
  lu.assertEquals({ b:room(-1) }, { nil, "NOMEM" }) -- SIZE_MAX, no limit
  lu.assertEquals({ b:room(math.maxinteger) }, { nil, "NOMEM" })
  b:append "abc"
  lu.assertEquals({ b:room(-1) }, { nil, "LIMIT" }) -- would pass SIZE_MAX
  lu.assertEquals({ b:room(-4) }, { nil, "NOMEM" }) -- just fits a size
  lu.assertEquals(b:peek(), "abc")
  b:skip(1)
  lu.assertEquals({ b:room(-4) }, { nil, "NOMEM" })
  lu.assertEquals(b:peek(), "bc")
  local c = self:buf(10)
  lu.assertEquals({ c:room(-1) }, { nil, "LIMIT" })
end

function T:test_grows_by_doubling()
  local b = self:buf()
  for _ = 1, 1 << 16 do b:append "x" end
  lu.assertTrue(self.mem:state().calls <= 12, "calls for 65536 appends of a byte")
  lu.assertEquals(b:cap(), 1 << 16)
end

function T:test_a_queue_moves_instead_of_growing()
  local b = self:buf()
  for i = 1, 10000 do
    b:append(string.pack(">I4", i))
    if i > 4 then
      lu.assertEquals(b:peek(), string.pack(">I4I4I4I4I4", i - 4, i - 3, i - 2, i - 1, i))
      b:skip(4)
    end
  end
  lu.assertEquals(self.mem:state().calls, 1)
  lu.assertEquals(b:cap(), 64)
end

function T:test_a_full_queue_at_its_limit_moves_seldom()
  -- One byte out, one byte in, always full: memory up to twice the limit, and
  -- then moves only when as much was skipped as is moved.
  local b = self:buf(1000)
  b:append(("x"):rep(1000))
  for i = 1, 5000 do
    b:skip(1)
    lu.assertTrue(b:append(string.char(i % 256)))
  end
  lu.assertTrue(b:cap() <= 2000)
  lu.assertTrue(self.mem:state().calls <= 4)
  lu.assertEquals(b:peek():byte(1000), 5000 % 256)
end

function T:test_free_keeps_the_limit()
  local b = self:buf(10)
  b:append "0123456789"
  b:free()
  lu.assertEquals(b:peek(), "")
  lu.assertEquals(self.mem:state().used, 0)
  lu.assertTrue(b:append "0123456789")
  lu.assertEquals({ b:append "x" }, { nil, "LIMIT" })
end

function T:test_no_memory_leaves_the_bytes()
  local b = self:buf()
  self.mem:fail(1)
  lu.assertEquals({ b:append "abc" }, { nil, "NOMEM" })
  lu.assertTrue(b:append(("abcd"):rep(16)))
  self.mem:fail(1)
  lu.assertEquals({ b:append "x" }, { nil, "NOMEM" }) -- by resize
  lu.assertEquals(b:peek(), ("abcd"):rep(16))
  b:skip(2)
  self.mem:fail(1)
  lu.assertEquals({ b:append "x" }, { nil, "NOMEM" }) -- by a move to new memory
  lu.assertEquals(b:peek(), ("abcd"):rep(16):sub(3))
  lu.assertTrue(b:append "x")
  lu.assertEquals(b:peek(), ("abcd"):rep(16):sub(3) .. "x")
end

-- Any sequence of calls against a Lua string, with every call failing in turn.
function T:random_walk(max, steps, fail_every)
  local b, model = self:buf(max), ""
  for step = 1, steps do
    local what = math.random(4)
    if what == 1 and #model > 0 then
      local n = math.random(0, #model)
      b:skip(n)
      model = model:sub(n + 1)
    else
      local piece = bytes.random(math.random(0, step % 50 == 0 and 3000 or 90))
      if fail_every and step % fail_every == 0 then self.mem:fail(1) end
      local ok, code
      if what == 2 then
        local room = math.random(#piece, #piece + 30)
        ok, code = b:room(room)
        lu.assertTrue(not ok or ok >= room)
        if ok then b:commit(piece) end
        if max > 0 then lu.assertEquals(code == "LIMIT", #model + room > max) end
      else
        ok, code = b:append(piece)
        if max > 0 then lu.assertEquals(code == "LIMIT", #model + #piece > max) end
      end
      if ok then model = model .. piece
      else lu.assertTrue(code == "LIMIT" and max > 0 or code == "NOMEM" and fail_every ~= nil, code) end
      self.mem:fail(0)
    end
    bytes.equals(b:peek(), model, "step " .. step)
    if max > 0 then lu.assertTrue(b:cap() <= math.max(64, 2 * max)) end
  end
end

function T:test_random_without_limit() self:random_walk(0, 2000) end
function T:test_random_with_limit() self:random_walk(500, 2000) end
function T:test_random_with_failures() self:random_walk(0, 1000, 2) end
function T:test_random_with_both() self:random_walk(2000, 1000, 3) end

return T
