-- spec/base/chain_spec.lua -- the output queue: order, sharing, pins, pool.

local lu = require "luaunit"
local counted = require "support.counted"
local base = require "wsock.probe".base
local bytes = require "support.bytes"

local T = {}

local CHUNK = 16384

function T:setUp()
  self.mem = base.mem()
  self.pool = base.pool(self.mem)
  self.chains, self.blocks = {}, {}
  self.pins, self.last = {}, 0 -- texts the chain points at
end

function T:chain()
  local c = base.chain(self.pool)
  self.chains[#self.chains + 1] = c
  return c
end

function T:block(cap, text)
  local b = base.block(self.mem, cap)
  self.blocks[#self.blocks + 1] = b
  if text then b:write(text) end
  return b
end

function T:pin(c, text)
  self.last = self.last + 1
  local ok, code = c:pin(text, self.last)
  if ok then self.pins[self.last] = text end
  return ok, code
end

-- Takes finished pins back; each must be one of ours.
function T:unpin(c)
  local list = {}
  while true do
    local pin = c:unpin()
    if not pin then break end
    lu.assertNotNil(self.pins[pin], "unknown pin " .. pin)
    self.pins[pin] = nil
    list[#list + 1] = pin
  end
  table.sort(list)
  return list
end

function T:tearDown()
  self.mem:fail(0)
  for _, c in ipairs(self.chains) do
    c:clear()
    self:unpin(c)
    lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
  end
  lu.assertEquals(next(self.pins), nil, "a pin never came back")
  for _, b in ipairs(self.blocks) do b:drop() end
  self.pool:free()
  self.pool:free() -- twice is fine
  counted.clean(self.mem)
end

local function all(c)
  return table.concat(c:peek(64))
end

-- ---- own bytes -------------------------------------------------------------

function T:test_empty()
  local c = self:chain()
  lu.assertEquals(c:peek(8), {})
  c:skip(0)
  c:clear()
  lu.assertNil(c:unpin())
  lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
  lu.assertEquals(self.mem:state().calls, 0)
end

function T:test_small_ones_lie_side_by_side()
  local c = self:chain()
  c:put("one ", 2)
  c:put("two ", 3)
  c:put("three", 5)
  lu.assertEquals(c:peek(8), { "one two three" })
  lu.assertEquals({ c:sizes() }, { 13, 10, 1 })
  c:skip(4)
  lu.assertEquals(c:peek(8), { "two three" })
  c:put("!", 0)
  lu.assertEquals(c:peek(8), { "two three!" })
  lu.assertEquals({ c:sizes() }, { 10, 10, 1 }) -- payload: until the segment is done
  c:skip(10)
  lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
end

function T:test_room_may_be_larger_than_what_is_committed()
  local c = self:chain()
  c:put("ab", 2, 1000)
  c:put("cd", 2, 14)
  lu.assertEquals(c:peek(8), { "abcd" })
end

function T:test_a_chunk_holds_exactly_its_size()
  for off = -1, 1 do
    local c = self:chain()
    c:put(("x"):rep(CHUNK - 10), 0)
    c:put(("y"):rep(10 + off), 0)
    lu.assertEquals(#c:peek(8), off <= 0 and 1 or 2, "at " .. off)
    lu.assertEquals(all(c), ("x"):rep(CHUNK - 10) .. ("y"):rep(10 + off))
    c:clear()
  end
end

function T:test_large_ones_have_their_own_memory()
  local c = self:chain()
  c:put(("x"):rep(CHUNK), 0)
  lu.assertEquals(c:kinds(), "chunk")
  local before = self.mem:state().used
  c:put(("y"):rep(CHUNK + 1), 0)
  lu.assertEquals(c:kinds(), "chunk own")
  lu.assertTrue(self.mem:state().used - before < CHUNK + 1 + 200, "exactly, not doubled")
  c:put("z", 0)
  lu.assertEquals(c:kinds(), "chunk own chunk")
  c:skip(2 * CHUNK + 1)
  lu.assertEquals(c:peek(8), { "z" })
  lu.assertEquals({ self.pool:kept() }, { 1, 0 }) -- the chunk is kept, the large one not
end

function T:test_room_left_in_a_large_one_is_used()
  local c = self:chain()
  c:put("a", 0, CHUNK + 100)
  c:put(("b"):rep(CHUNK), 0)
  lu.assertEquals(c:kinds(), "own")
  lu.assertEquals(c:peek(8), { "a" .. ("b"):rep(CHUNK) })
end

function T:test_an_unused_room()
  local c = self:chain()
  c:put("", 0, 100)
  lu.assertEquals(c:peek(8), {})
  self:pin(c, "pinned")
  c:put("", 0, 100)
  local b = self:block(10, "shared")
  c:share(b, 0, 6, 0)
  lu.assertEquals(c:peek(8), { "pinned", "shared" })
  c:skip(6)
  lu.assertEquals(self:unpin(c), { 1 })
  lu.assertEquals(c:peek(8), { "shared" })
  c:skip(6)
  lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
end

function T:test_uncommit()
  local c = self:chain()
  c:put("keep", 3)
  c:put("gone", 4)
  c:uncommit(4, 4)
  lu.assertEquals(c:peek(8), { "keep" })
  lu.assertEquals({ c:sizes() }, { 4, 3, 1 })
  c:put("!", 0)
  lu.assertEquals(c:peek(8), { "keep!" })
end

function T:test_room_for_no_size_at_all()
  local c = self:chain()
  for _, n in ipairs { -1, -50, math.maxinteger } do -- SIZE_MAX and near it
    lu.assertEquals({ c:put("", 0, n) }, { nil, "NOMEM" })
  end
  c:put("x", 0)
  lu.assertEquals({ c:put("", 0, -1) }, { nil, "NOMEM" })
  lu.assertEquals(c:peek(8), { "x" })
end

-- ---- shared ----------------------------------------------------------------

function T:test_shared_by_many()
  local b = self:block(100, "hello")
  local chains = {}
  for i = 1, 10 do
    chains[i] = self:chain()
    chains[i]:share(b, 0, 5, 4)
  end
  lu.assertEquals(b:refs(), 11)
  for i = 1, 5 do chains[i]:skip(5) end
  lu.assertEquals(b:refs(), 6)
  b:drop()
  for i = 6, 10 do lu.assertEquals(chains[i]:peek(8), { "hello" }) end
  for i = 6, 10 do chains[i]:skip(5) end
  lu.assertEquals(self.mem:state().live, 10) -- ten heads in the pool, no block
end

function T:test_what_continues_is_joined()
  local b = self:block(100, "onetwothree")
  local c = self:chain()
  c:share(b, 0, 3, 1)
  c:share(b, 3, 3, 2)
  c:share(b, 6, 5, 3)
  lu.assertEquals(c:peek(8), { "onetwothree" })
  lu.assertEquals({ c:sizes() }, { 11, 6, 1 })
  lu.assertEquals(b:refs(), 2)
  c:skip(4) -- a part of it sent does not keep the next from joining
  b:write "four"
  c:share(b, 11, 4, 4)
  lu.assertEquals(c:peek(8), { "wothreefour" })
  lu.assertEquals({ c:sizes() }, { 11, 10, 1 })
end

function T:test_what_does_not_continue_is_not_joined()
  local a, b = self:block(100, "onetwothree"), self:block(100, "onetwothree")
  local c = self:chain()
  c:share(a, 0, 3, 0)
  c:share(b, 3, 3, 0)  -- another block
  c:share(b, 3, 3, 0)  -- the same range again
  c:share(b, 8, 3, 0)  -- a gap
  c:put("x", 0)
  c:share(b, 11, 0, 0) -- something between
  lu.assertEquals(c:peek(8), { "one", "two", "two", "ree", "x" })
  lu.assertEquals(b:refs(), 5)
end

function T:test_own_bytes_never_go_into_shared_ones()
  local b = self:block(100, "shared")
  local c = self:chain()
  c:share(b, 0, 6, 0)
  c:put("own", 0)
  lu.assertEquals(c:kinds(), "shared chunk")
  lu.assertEquals(b:write "next", 6)
  lu.assertEquals(c:peek(8), { "shared", "own" })
end

function T:test_block_of_no_size_at_all()
  lu.assertNil(base.block(self.mem, -1))
  lu.assertNil(base.block(self.mem, -20))
  lu.assertNil(base.block(self.mem, math.maxinteger))
end

-- ---- pinned ----------------------------------------------------------------

function T:test_pinned_until_sent()
  local c = self:chain()
  self:pin(c, "first")
  self:pin(c, "second")
  lu.assertEquals({ c:sizes() }, { 11, 11, 2 })
  lu.assertEquals(self:unpin(c), {})
  c:skip(4)
  lu.assertEquals(self:unpin(c), {})
  c:skip(1)
  lu.assertEquals(self:unpin(c), { 1 })
  c:skip(6)
  lu.assertEquals(self:unpin(c), { 2 })
end

function T:test_pinned_and_cleared()
  local c = self:chain()
  self:pin(c, "first")
  c:put("x", 1)
  self:pin(c, "second")
  c:skip(2)
  c:clear()
  lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
  lu.assertEquals(self:unpin(c), { 1, 2 })
end

function T:test_nothing_pinned_is_done_at_once()
  local c = self:chain()
  self:pin(c, "")
  lu.assertEquals(self:unpin(c), { 1 })
  lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
end

-- ---- front -----------------------------------------------------------------

function T:test_peek_takes_as_many_as_asked()
  local c = self:chain()
  for i = 1, 5 do self:pin(c, "p" .. i) end
  lu.assertEquals(c:peek(0), {})
  lu.assertEquals(c:peek(1), { "p1" })
  lu.assertEquals(c:peek(3), { "p1", "p2", "p3" })
  lu.assertEquals(#c:peek(5), 5)
  lu.assertEquals(#c:peek(64), 5)
end

function T:test_every_skip()
  local b = self:block(10, "shared")
  local text = "own" .. "shared" .. "pinned" .. "own again"
  for first = 0, #text do
    local c = self:chain()
    c:put("own", 1)
    c:share(b, 0, 6, 2)
    self:pin(c, "pinned")
    c:put("own again", 4)
    c:skip(first)
    lu.assertEquals(all(c), text:sub(first + 1))
    lu.assertEquals((c:sizes()), #text - first)
    c:skip(#text - first)
    lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
    self:unpin(c)
  end
end

-- ---- pool ------------------------------------------------------------------

function T:test_the_steady_state_allocates_nothing()
  local c = self:chain()
  local b = self:block(CHUNK, ("s"):rep(1000))
  local calls
  for round = 1, 200 do
    if round == 3 then calls = self.mem:state().calls end
    for i = 1, 15 do
      c:put(("x"):rep(500), 500)
      c:share(b, i * 7, 9, 8)
      self:pin(c, "text")
    end
    c:skip((c:sizes()))
    self:unpin(c)
  end
  lu.assertEquals(self.mem:state().calls, calls)
end

function T:test_an_empty_chunk_goes_back_at_once()
  local a, b = self:chain(), self:chain()
  for _ = 1, 100 do
    for _, c in ipairs { a, b } do
      c:put("frame", 5)
      c:skip(5)
      lu.assertEquals({ c:sizes() }, { 0, 0, 0 })
    end
  end
  lu.assertEquals(self.mem:state().calls, 1) -- one chunk serves both
  lu.assertEquals({ self.pool:kept() }, { 1, 0 })
end

function T:test_the_pool_keeps_so_many_and_no_more()
  local c = self:chain()
  for _ = 1, 18 do c:put(("x"):rep(CHUNK), 0) end
  for n = 15, 18 do
    c:skip(n == 15 and 15 * CHUNK or CHUNK)
    lu.assertEquals((self.pool:kept()), math.min(n, 16))
  end
  local b = self:block(10, "0123456789")
  for i = 1, 4098 do c:share(b, i % 2, 5, 0) end
  for n = 4095, 4098 do
    c:skip(n == 4095 and 4095 * 5 or 5)
    lu.assertEquals(select(2, self.pool:kept()), math.min(n, 4096))
  end
end

-- ---- failure ---------------------------------------------------------------

function T:test_no_memory_adds_nothing()
  local c = self:chain()
  local b = self:block(100, "shared")
  local function check(what, expected)
    for _, add in ipairs {
      function() return c:put(("x"):rep(CHUNK), 0) end, function() return c:put(("x"):rep(CHUNK + 1), 0) end,
      function() return c:share(b, 0, 6, 6) end, function() return self:pin(c, "pinned") end,
      function() return self:pin(c, "") end,
    } do
      self.mem:fail(1)
      lu.assertEquals({ add() }, { nil, "NOMEM" }, what)
      lu.assertEquals(all(c), expected)
      lu.assertEquals({ c:sizes() }, { #expected, #expected, #expected == 0 and 0 or 1 })
      lu.assertEquals(b:refs(), 1)
    end
    self.mem:fail(0)
  end
  check("empty", "")
  c:put("tail", 4)
  check("with a tail", "tail")
end

function T:test_no_memory_for_a_block()
  self.mem:fail(1)
  lu.assertNil(base.block(self.mem, 10))
end

-- Any sequence of calls against a Lua string.
function T:random_walk(steps, fails)
  local c, model = self:chain(), ""
  local block, at = self:block(4000), 0
  for step = 1, steps do
    local what = math.random(6)
    local text = bytes.random(math.random(step % 40 == 0 and 40000 or 200))
    if fails and step % 2 == 0 then self.mem:fail(1) end
    local ok
    if what == 1 then
      ok = c:put(text, #text, #text + math.random(0, 100))
    elseif what == 2 and at + #text <= 4000 then
      block:write(text)
      ok = c:share(block, at, #text, #text)
      at = at + #text
    elseif what == 2 then
      block:drop()
      block = self:block(4000)
      while not block do block = self:block(4000) end
      at = 0
    elseif what == 3 then
      ok = self:pin(c, text)
    elseif what == 4 and math.random(30) == 1 then
      c:clear()
      model = ""
    else
      local n = math.random(0, #model)
      c:skip(n)
      model = model:sub(n + 1)
    end
    self.mem:fail(0)
    if ok then model = model .. text end
    if not fails then lu.assertTrue(ok ~= nil or what == 2 or what > 3) end
    self:unpin(c)
    local size, payload, segments = c:sizes()
    lu.assertEquals(size, #model, "size at step " .. step)
    lu.assertTrue(payload >= size)
    lu.assertTrue(model ~= "" or segments == 0)
    local seen = all(c)
    bytes.equals(seen, model:sub(1, #seen), "step " .. step)
    lu.assertTrue(segments > 64 or #seen == #model)
  end
end

function T:test_random() self:random_walk(3000, false) end
function T:test_random_with_failures() self:random_walk(2000, true) end

return T
