-- spec/bind/lua_codec_spec.lua -- the codecs as Lua sees them: values in and
-- out, misuse, errors.  What they compute is tested in spec/base.

local lu = require "luaunit"
local codec = require "wsock.core".codec
local probe = require "wsock.probe".base
local bytes = require "support.bytes"

local T = {}

local function raises(text, fn, ...)
  lu.assertErrorMsgContains(text, fn, ...)
end

function T:tearDown()
  probe.break_random(false)
  probe.break_digest(false)
end

function T:test_utf8_valid()
  lu.assertEquals(codec.utf8.valid "h\u{e9}", true)
  lu.assertEquals(codec.utf8.valid "\xff", false)
  lu.assertEquals(codec.utf8.valid "", true)
  raises("text must be a string, got nil", codec.utf8.valid, nil)
end

function T:test_utf8_in_pieces()
  local v = codec.utf8.new()
  lu.assertEquals({ v:feed "h\xc3" }, { true })
  lu.assertEquals({ v:feed "" }, { true })
  lu.assertEquals({ v:feed "\xa9" }, { true })
  lu.assertEquals({ v:finish() }, { true })
  -- ready for another
  lu.assertEquals({ v:feed "\xc3" }, { true })
  lu.assertEquals({ v:finish() }, { nil, "text message is not valid UTF-8", "PROTOCOL" })
  lu.assertEquals({ v:feed "ok" }, { true })
  lu.assertEquals({ v:feed "\xff" }, { nil, "text message is not valid UTF-8", "PROTOCOL" })
  lu.assertEquals({ v:feed "ok" }, { nil, "text message is not valid UTF-8", "PROTOCOL" })
  lu.assertNil(v:finish())
  lu.assertTrue(v:finish())
end

function T:test_utf8_validators_are_apart()
  local a, b = codec.utf8.new(), codec.utf8.new()
  a:feed "\xe4"
  lu.assertTrue(b:feed "x")
  lu.assertTrue(a:feed "\xbd\xa0")
  lu.assertTrue(a:finish())
end

function T:test_utf8_misuse()
  local v = codec.utf8.new()
  raises("piece must be a string, got number", v.feed, v, 1)
  raises("wsock.utf8 expected", v.feed, {}, "x")
  raises("wsock.utf8 expected", v.finish, io.stdout)
  lu.assertStrContains(tostring(v), "wsock.utf8")
  lu.assertEquals(getmetatable(v), false)
end

function T:test_mask()
  local key = "\x37\xfa\x21\x3d"
  bytes.equals(codec.mask("Hello", key), bytes.unhex "7f 9f 4d 51 58")
  bytes.equals(codec.mask("lo", key, 3), codec.mask("Hello", key):sub(4))
  bytes.equals(codec.mask("", key), "")
  local long = bytes.random(100000)
  bytes.equals(codec.mask(long, key), bytes.mask(long, key))
end

function T:test_mask_does_not_change_its_argument()
  local data = ("x"):rep(100)
  codec.mask(data, "abcd")
  lu.assertEquals(data, ("x"):rep(100))
end

function T:test_mask_misuse()
  raises("data must be a string", codec.mask, nil, "abcd")
  raises("key must be a string", codec.mask, "x", 1234)
  raises("key must have 4 bytes, got 3", codec.mask, "x", "abc")
  raises("key must have 4 bytes, got 5", codec.mask, "x", "abcde")
  raises("phase must not be negative", codec.mask, "x", "abcd", -1)
  raises("integer", codec.mask, "x", "abcd", 1.5)
end

function T:test_base64()
  lu.assertEquals(codec.base64.encode "the sample nonce", "dGhlIHNhbXBsZSBub25jZQ==")
  lu.assertEquals(codec.base64.decode "dGhlIHNhbXBsZSBub25jZQ==", "the sample nonce")
  lu.assertEquals(codec.base64.encode "", "")
  lu.assertEquals(codec.base64.decode "", "")
  lu.assertEquals({ codec.base64.decode "AAA" }, { nil, "not base64", "ARGUMENT" })
  lu.assertEquals({ codec.base64.decode(("!"):rep(4000)) }, { nil, "not base64", "ARGUMENT" })
  local long = bytes.random(50000)
  bytes.equals(codec.base64.decode(codec.base64.encode(long)), long)
  raises("data must be a string", codec.base64.encode, 1)
  raises("text must be a string", codec.base64.decode, {})
end

function T:test_accept()
  lu.assertEquals(codec.accept "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  lu.assertEquals(#codec.accept(("x"):rep(64)), 28)
  raises("key must have at most 64 bytes", codec.accept, ("x"):rep(65))
  raises("key must be a string", codec.accept)
  probe.break_digest(true)
  lu.assertEquals({ codec.accept "x" }, { nil, "system call failed", "SYSTEM" })
end

function T:test_random()
  lu.assertEquals(codec.random(0), "")
  for _, n in ipairs { 1, 16, 10000, 1 << 20 } do lu.assertEquals(#codec.random(n), n) end
  lu.assertNotEquals(codec.random(16), codec.random(16))
  raises("n must be from 0 to 1048576", codec.random, -1)
  raises("n must be from 0 to 1048576", codec.random, (1 << 20) + 1)
  raises("number expected", codec.random)
  probe.break_random(true)
  lu.assertEquals({ codec.random(16) }, { nil, "no random bytes from the system", "RANDOM" })
end

function T:test_equal()
  lu.assertEquals(codec.equal("abc", "abc"), true)
  lu.assertEquals(codec.equal("abc", "abd"), false)
  lu.assertEquals(codec.equal("abc", "ab"), false)
  raises("a must be a string", codec.equal, nil, "")
  raises("b must be a string", codec.equal, "", nil)
end

function T:test_hash_and_hmac()
  lu.assertEquals(codec.hash("MD5", "abc"), "900150983cd24fb0d6963f7d28e17f72")
  lu.assertEquals(codec.hash("SHA-256", "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  lu.assertEquals(codec.hash("SHA-512-256", "abc"), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23")
  lu.assertEquals(codec.hmac("Jefe", "what do ya want for nothing?"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  raises("invalid option 'SHA-1'", codec.hash, "SHA-1", "abc")
  raises("data must be a string", codec.hash, "MD5")
  raises("key must be a string", codec.hmac, nil, "x")
  raises("data must be a string", codec.hmac, "x", nil)
  probe.break_digest(true)
  lu.assertEquals({ codec.hash("MD5", "x") }, { nil, "system call failed", "SYSTEM" })
  lu.assertEquals({ codec.hmac("x", "x") }, { nil, "system call failed", "SYSTEM" })
end

return T
