-- spec/wire/auth_spec.lua -- Basic credentials, written and read (AU-03, AU-05).

local lu = require "luaunit"
local wire = require "wsock.probe".wire
local base64 = require "wsock.core".codec.base64

local T = {}

-- RFC 7617 2 and 2.1
function T:test_the_examples_of_the_rfc()
  lu.assertEquals(wire.basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
  lu.assertEquals(wire.basic("test", "123\xc2\xa3"), "Basic dGVzdDoxMjPCow==")
  lu.assertEquals({ wire.basic_read "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" }, { "Aladdin", "open sesame" })
  lu.assertEquals({ wire.basic_read "Basic dGVzdDoxMjPCow==" }, { "test", "123\xc2\xa3" })
end

function T:test_there_and_back_in_all_lengths()
  for u = 0, 7 do
    for w = 0, 7 do
      local user, word = ("u"):rep(u), (":p\xff "):rep(2):sub(1, w)
      local value = wire.basic(user, word)
      lu.assertEquals(value, "Basic " .. base64.encode(user .. ":" .. word))
      lu.assertEquals({ wire.basic_read(value) }, { user, word })
    end
  end
  local long = ("x"):rep(5000)
  lu.assertEquals({ wire.basic_read(wire.basic(long, long)) }, { long, long })
end

-- AU-03
function T:test_what_may_not_be_sent()
  lu.assertEquals({ wire.basic("a:b", "c") }, { nil, "FIELD" })
  lu.assertEquals(wire.basic("a", "b:c"), "Basic " .. base64.encode "a:b:c")
  for byte = 0, 255 do
    local ch = string.char(byte)
    local bad = byte < 32 or byte == 127
    lu.assertEquals(wire.basic("a" .. ch, "b") == nil, bad or ch == ":", byte)
    lu.assertEquals(wire.basic("a", "b" .. ch) == nil, bad, byte)
  end
end

-- AU-02, AU-05
function T:test_the_scheme_in_any_letter_case_and_spaces()
  for _, value in ipairs { "basic YTpi", "BASIC YTpi", "Basic  YTpi", "Basic YTpi ", "bAsIc   YTpi\t" } do
    lu.assertEquals({ wire.basic_read(value) }, { "a", "b" }, value)
  end
end

function T:test_what_is_no_basic_value()
  for _, value in ipairs {
    "", "B", "Basic", "Basic ", "BasicYTpi", "Basic\tYTpi", " Basic YTpi", "Bearer YTpi", "Basicx YTpi", "Basi YTpi",
    "Basic YTp", "Basic YTpi=", "Basic YWI=", "Basic YTp i", "Basic YTpi, x", "Basic YTpi x=y", "Basic a:b",
    "Basic YQ==", "Basic " .. base64.encode "ab", "Basic " .. base64.encode "a\0:b", "Basic " .. base64.encode "a:\n",
    "Basic " .. base64.encode "a:b\x7f", "Basic YTpj\xff", "Digest username=\"x\"", "Basic YTpi\0",
  } do
    lu.assertEquals({ wire.basic_read(value) }, { nil, "FIELD" }, ("%q"):format(value))
  end
end

return T
