-- spec/base/base64_spec.lua -- RFC 4648 section 4, strictly.

local lu = require "luaunit"
local base = require "wsock.probe".base
local bytes = require "support.bytes"

local T = {}

local VECTORS = { -- RFC 4648 10, then RFC 6455 1.3 and the alphabet's ends
  { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
  { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
  { "the sample nonce", "dGhlIHNhbXBsZSBub25jZQ==" },
  { "\0", "AA==" }, { "\xff", "/w==" }, { "\xfb\xef\xbe", "++++" }, { "\xff\xff\xff", "////" },
}

function T:test_vectors()
  for _, row in ipairs(VECTORS) do
    lu.assertEquals(base.base64_encode(row[1]), row[2])
    bytes.equals(base.base64_decode(row[2]), row[1])
  end
end

function T:test_all_lengths_there_and_back()
  for n = 0, 200 do
    local data = bytes.random(n)
    local text = base.base64_encode(data)
    lu.assertEquals(#text, (n + 2) // 3 * 4)
    lu.assertNil(text:find "[^%w+/=]")
    bytes.equals(base.base64_decode(text), data)
  end
end

function T:test_all_bytes_at_all_places()
  for b = 0, 255 do
    for place = 0, 5 do
      local data = ("x"):rep(place) .. string.char(b) .. ("y"):rep(5 - place)
      bytes.equals(base.base64_decode(base.base64_encode(data)), data)
    end
  end
end

local BAD = {
  "A", "AA", "AAA", "AAAAA", "AA=", "A===", "====", "=AAA", "A=AA", "AA=A", "=", "==",
  "AAAA=", "AA==AAAA", "AAA=AAAA", "AAAA====", "AA==\n", "AA ==", " AA==", "AAA\n", "AAA\0",
  "AA-_", "AA,A", "AA.A", "A\xc3\xa9A", "AAA\xff",
}

function T:test_refuses_what_is_not_base64()
  for _, text in ipairs(BAD) do
    lu.assertEquals({ base.base64_decode(text) }, { nil, "ARGUMENT" }, bytes.hex(text))
    lu.assertEquals({ base.base64_decode("Zm9v" .. text) }, { nil, "ARGUMENT" }, bytes.hex(text))
  end
end

function T:test_refuses_every_character_outside_the_alphabet()
  for b = 0, 255 do
    local ch = string.char(b)
    local inside = ch:find "^[A-Za-z0-9+/]$" ~= nil
    for _, text in ipairs { ch .. "AAA", "A" .. ch .. "AA", "AA" .. ch .. "A" } do
      lu.assertEquals(base.base64_decode(text) ~= nil, inside, bytes.hex(text))
    end
    lu.assertEquals(base.base64_decode("AAA" .. ch) ~= nil, inside or ch == "=", bytes.hex(ch))
  end
end

function T:test_pad_bits_must_be_zero()
  -- One text per value: of the 64 last characters, 4 or 16 end a padded group.
  local two, one = 0, 0
  for b = 33, 126 do
    local ch = string.char(b)
    if ch ~= "=" then
      if base.base64_decode("A" .. ch .. "==") then two = two + 1 end
      if base.base64_decode("AA" .. ch .. "=") then one = one + 1 end
    end
  end
  lu.assertEquals({ two, one }, { 4, 16 })
end

return T
