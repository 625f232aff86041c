-- spec/wire/auth_spec.lua -- Basic credentials, written and read (AU-03, AU-05); answers to challenges of Digest
-- (AU-09 to AU-13).

local lu = require "luaunit"
local probe = require "wsock.probe"
local wire, base = probe.wire, probe.base
local base64 = require "wsock.core".codec.base64

local T = {}

function T:tearDown() base.break_digest(false) end

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

-- ---- Digest --------------------------------------------------------------------------

-- Nonce and cnonce of RFC 7616 3.9.1.
local NONCE, CNONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

local function challenge(algorithm)
  return ('Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, nonce="%s", '
    .. 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'):format(algorithm, NONCE)
end

local function mufasa(algorithm)
  return wire.answer({ challenge(algorithm) }, "Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE)
end

-- RFC 7616 3.9.1; AU-10, AU-13: order, quotes and all
function T:test_the_first_examples_of_rfc_7616()
  for algorithm, response in pairs {
    MD5 = "8ca523f5e9506fed4657c9700eebdbec",
    ["SHA-256"] = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
  } do
    lu.assertEquals(mufasa(algorithm), 'Digest username="Mufasa", realm="http-auth@example.org", nonce="' .. NONCE
      .. '", uri="/dir/index.html", response="' .. response .. '", algorithm=' .. algorithm
      .. ', opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", cnonce="' .. CNONCE .. '", qop=auth, nc=00000001')
  end
end

-- 3.9.2 with the hashes of erratum 4897, which are those of SHA-512/256
function T:test_the_second_example_of_rfc_7616()
  local answer = wire.answer({ 'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
    .. 'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", '
    .. "charset=UTF-8, userhash=true" }, "J\xc3\xa4s\xc3\xb8n Doe", "Secret, or not?", "GET", "/doe.json",
  "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")
  lu.assertStrContains(answer, 'Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", ')
  lu.assertStrContains(answer, ' response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5", ')
  lu.assertStrContains(answer, ", nc=00000001, userhash=true")
end

-- AU-09: the same as in the first examples, computed by another implementation
function T:test_every_algorithm()
  for algorithm, response in pairs {
    ["MD5-sess"] = "e783283f46242139c486a698fec7211d",
    ["SHA-256-sess"] = "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
    ["SHA-512-256"] = "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0",
    ["SHA-512-256-sess"] = "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e",
  } do
    lu.assertStrContains(mufasa(algorithm), ' response="' .. response .. '", algorithm=' .. algorithm .. ", ")
  end
end

-- RFC 2617 3.5 and, without a qop, RFC 2069
function T:test_older_servers()
  local old = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
  local newer = wire.answer({ old .. ", qop=auth" }, "Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b")
  lu.assertStrContains(newer, ' response="6629fae49393a05397450978507c4ef1", cnonce="0a4f113b", qop=auth, nc=00000001')
  lu.assertEquals(wire.answer({ old }, "Mufasa", "CircleOfLife", "GET", "/dir/index.html", "unused"),
    'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    .. 'uri="/dir/index.html", response="1949323746fe6a43ef61f9606e7febea"')
end

-- A backslash is for the wire: what is hashed has none, what is repeated has all.
function T:test_quotes_and_backslashes()
  local answer = wire.answer({ [[Digest realm="a \"b\" \c\\", nonce="\n\"", opaque="\\"]] }, [[u"s\er]], [[p"\]], "GET",
    [[/x?a\b"c]], "c")
  local ha1 = base.hash(0, [[u"s\er:a "b" c\:p"\]])
  local response = base.hash(0, ha1, [[:n":]], base.hash(0, [[GET:/x?a\b"c]]))
  lu.assertEquals(answer, [[Digest username="u\"s\\er", realm="a \"b\" \c\\", nonce="\n\"", uri="/x?a\\b\"c", ]]
    .. 'response="' .. response .. [[", opaque="\\"]])
end

-- RFC 8187: what may not stand between quotes
function T:test_a_user_with_letters_of_other_languages()
  local answer = wire.answer({ 'Digest realm="r", nonce="n"' }, "j\xc3\xa4 %'*a!", "p", "GET", "/", "c")
  lu.assertStrContains(answer, "Digest username*=UTF-8''j%C3%A4%20%25%27%2Aa!, realm=")
  lu.assertStrContains(answer, base.hash(0, base.hash(0, "j\xc3\xa4 %'*a!:r:p"), ":n:", base.hash(0, "GET:/")))
end

function T:test_everything_empty_and_everything_long()
  lu.assertStrContains(wire.answer({ 'Digest realm="", nonce="", opaque=""' }, "", "", "", "", ""),
    'username="", realm="", nonce="", uri="", response="' .. base.hash(0, base.hash(0, "::"), "::", base.hash(0, ":")))
  local long = ([["\]]):rep(5000) -- all of it is escaped
  local quoted = ([[\"\\]]):rep(5000)
  local value = ('Digest realm="%s", nonce="%s", opaque="%s", qop=auth'):format(quoted, quoted, quoted)
  local answer = wire.answer({ value }, long, long, "GET", long, "c")
  lu.assertEquals(select(2, answer:gsub(quoted, "")), 5)
  answer = wire.answer({ 'Digest realm="r", nonce="n"' }, ("\xff"):rep(5000), "", "", "", "")
  lu.assertStrContains(answer, ("%FF"):rep(5000))
end

function T:test_without_a_hash()
  local function answer(value)
    return { wire.answer({ value }, "u", "p", "GET", "/", "c", function() base.break_digest(true) end) }
  end
  for _, more in ipairs { "", ", userhash=true", ", qop=auth, algorithm=MD5-sess" } do
    lu.assertEquals(answer('Digest realm="r", nonce="n"' .. more), { nil, "SYSTEM" })
    base.break_digest(false)
  end
end

return T
