-- spec/base/digest_spec.lua -- accept token, chance, keys, comparing.
-- Matrix MK-05; threats I10, K1, K2, K4.

local lu = require "luaunit"
local base = require "wsock.probe".base
local bytes = require "support.bytes"

local T = {}

function T:tearDown()
  base.break_random(false)
  base.break_digest(false)
end

-- ---- accept ----------------------------------------------------------------

function T:test_accept()
  lu.assertEquals(base.accept "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") -- RFC 6455 1.3
  lu.assertEquals(base.accept "x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk=")
  lu.assertEquals(base.accept "", "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=")
end

function T:test_accept_limits_the_key()
  lu.assertEquals(#base.accept(("x"):rep(63)), 28)
  lu.assertEquals(#base.accept(("x"):rep(64)), 28)
  lu.assertNotEquals(base.accept(("x"):rep(63)), base.accept(("x"):rep(64)))
  lu.assertEquals({ base.accept(("x"):rep(65)) }, { nil, "ARGUMENT" })
end

function T:test_accept_without_sha1()
  base.break_digest(true)
  lu.assertEquals({ base.accept "x" }, { nil, "SYSTEM" })
  base.break_digest(false)
  lu.assertEquals(#base.accept "x", 28)
end

-- ---- hashes ----------------------------------------------------------------

-- RFC 1321 A.5, FIPS 180-4's "abc"; the last computed by another implementation
function T:test_hashes()
  lu.assertEquals(base.hash(0), "d41d8cd98f00b204e9800998ecf8427e")
  lu.assertEquals(base.hash(0, "abc"), "900150983cd24fb0d6963f7d28e17f72")
  lu.assertEquals(base.hash(0, "message", "", " digest"), "f96b697d7cb7938d525a2f31aaf161d0")
  lu.assertEquals(base.hash(1, "a", "bc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  lu.assertEquals(base.hash(2, "abc"), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23")
  for kind = 0, 2 do lu.assertTrue(base.hash_there(kind)) end
end

-- RFC 4231 4.2, 4.3, 4.7
function T:test_hmac()
  lu.assertEquals(base.hmac(("\x0b"):rep(20), "Hi There"),
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
  lu.assertEquals(base.hmac("Jefe", "what do ya want for nothing?"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  lu.assertEquals(base.hmac(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  lu.assertEquals(base.hmac("", ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
end

function T:test_no_hashes()
  base.break_digest(true)
  lu.assertEquals({ base.hmac("key", "data") }, { nil, "SYSTEM" })
  for kind = 0, 2 do
    lu.assertEquals({ base.hash(kind, "abc") }, { nil, "SYSTEM" })
    lu.assertFalse(base.hash_there(kind))
  end
end

function T:test_wiping()
  lu.assertEquals(base.wiped "secret", ("\0"):rep(6))
  lu.assertEquals(base.wiped "", "")
end

-- ---- chance ----------------------------------------------------------------

function T:test_random_bytes()
  lu.assertEquals(base.random(0), "")
  local seen = {}
  for _ = 1, 1000 do
    local r = base.random(16) -- K2: a nonce
    lu.assertEquals(#r, 16)
    lu.assertNil(seen[r])
    seen[r] = true
  end
end

function T:test_random_differs_after_a_fork()
  local child = base.child(function() return base.random(32) end)
  lu.assertEquals(#child, 32)
  lu.assertNotEquals(bytes.hex(child), bytes.hex(base.random(32)))
end

function T:test_no_random_is_an_error_and_no_fallback()
  base.break_random(true)
  local r, code, left = base.random(24)
  lu.assertNil(r)
  lu.assertEquals(code, "RANDOM")
  lu.assertEquals(left, ("\0"):rep(24)) -- nothing that looks like chance
  base.break_random(false)
  lu.assertEquals(#base.random(24), 24)
end

-- ---- keys ------------------------------------------------------------------

local function number(key) return (string.unpack("<I4", key)) end

function T:test_keys_are_fresh()
  -- Of 10^5 keys among 2^32, 1.2 pairs are expected to meet; 12 never do.
  local keys, seen, met = base.keys(), {}, 0
  for _ = 1, 100000 do
    local k = number(keys:next())
    if seen[k] then met = met + 1 end
    seen[k] = true
  end
  keys:free()
  lu.assertTrue(met < 12, met .. " of 100000 keys were not new")
end

-- Chi square of 256 counts: 255 expected, 23 its deviation.
local function chi(counts, expected)
  local sum = 0
  for b = 0, 255 do sum = sum + ((counts[b] or 0) - expected) ^ 2 / expected end
  return sum
end

function T:test_key_bytes_are_even()
  local keys, counts = base.keys(), { {}, {}, {}, {} }
  for _ = 1, 100000 do
    local key = keys:next()
    for i = 1, 4 do
      local b = key:byte(i)
      counts[i][b] = (counts[i][b] or 0) + 1
    end
  end
  keys:free()
  for i = 1, 4 do
    local x = chi(counts[i], 100000 / 256)
    lu.assertTrue(x > 255 - 6 * 23 and x < 255 + 8 * 23, ("byte %d: chi square %.0f"):format(i, x))
  end
end

function T:test_used_keys_are_wiped()
  local keys = base.keys()
  lu.assertNil(keys:page())
  for _ = 1, 200 do
    local key = keys:next()
    lu.assertTrue(key == "\0\0\0\0" or not keys:page():find(key, 1, true))
  end
  keys:free()
end

function T:test_two_pools_differ()
  local a, b = base.keys(), base.keys()
  local one = a:next() .. a:next() .. a:next()
  lu.assertNotEquals(one, b:next() .. b:next() .. b:next())
  a:free()
  b:free()
end

local function some(keys, n)
  local t = {}
  for i = 1, n do t[i] = keys:next() end
  return table.concat(t)
end

-- A child with the parent's pool draws other keys than the parent then does.
local function check_fork(keys)
  local child = base.child(function() return some(keys, 300) end)
  local parent = some(keys, 300)
  lu.assertEquals({ #child, #parent }, { 1200, 1200 })
  local seen, met = {}, 0
  for i = 1, 1200, 4 do seen[parent:sub(i, i + 3)] = true end
  for i = 1, 1200, 4 do
    if seen[child:sub(i, i + 3)] then met = met + 1 end
  end
  lu.assertTrue(met < 3, met .. " keys of the child are the parent's")
end

function T:test_keys_differ_after_a_fork()
  local keys = base.keys()
  some(keys, 10) -- a pool half used
  check_fork(keys)
  check_fork(keys)
  keys:free()
  check_fork(keys) -- a pool not yet filled
  keys:free()
end

function T:test_keys_differ_after_a_fork_where_pages_are_not_emptied()
  local keys = base.keys()
  some(keys, 10)
  keys:plain()
  check_fork(keys)
  check_fork(keys)
  keys:free()
end

function T:test_grandchildren_too()
  local keys = base.keys()
  some(keys, 1)
  for _, plain in ipairs { false, true } do
    if plain then keys:plain() end
    local both = base.child(function()
      return some(keys, 4) .. base.child(function() return some(keys, 4) end)
    end)
    local own = some(keys, 4)
    lu.assertEquals(#both, 32)
    lu.assertNotEquals(both:sub(1, 16), both:sub(17))
    lu.assertNotEquals(both:sub(1, 16), own)
    lu.assertNotEquals(both:sub(17), own)
  end
  keys:free()
end

function T:test_no_random_no_keys()
  local keys = base.keys()
  base.break_random(true)
  lu.assertEquals({ keys:next() }, { nil, "RANDOM" })
  lu.assertEquals({ keys:next() }, { nil, "RANDOM" })
  base.break_random(false)
  lu.assertEquals(#keys:next(), 4)
  base.break_random(true)
  for _ = 2, 256 do lu.assertEquals(#keys:next(), 4) end -- what was drawn is good
  lu.assertEquals({ keys:next() }, { nil, "RANDOM" })
  keys:free()
  keys:free()
end

function T:test_no_page_no_keys()
  local keys = base.keys()
  lu.assertEquals(keys:scarce(), "NOMEM")
  lu.assertEquals(#keys:next(), 4)
  keys:free()
end

-- ---- comparing -------------------------------------------------------------

function T:test_equal()
  lu.assertTrue(base.equal("", ""))
  lu.assertTrue(base.equal("secret", "secret"))
  lu.assertFalse(base.equal("secret", "secre"))
  lu.assertFalse(base.equal("", "x"))
  local a = bytes.random(64)
  for i = 1, 64 do
    local b = a:sub(1, i - 1) .. string.char(a:byte(i) ~ 1 << i % 8) .. a:sub(i + 1)
    lu.assertFalse(base.equal(a, b), "differs at " .. i)
  end
end

return T
