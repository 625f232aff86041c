-- spec/wire/challenge_spec.lua -- what a 401 asks for (AU-02, AU-08, AU-09, AU-11).

local lu = require "luaunit"
local bytes = require "support.bytes"
local growth = require "support.growth"
local base = require "wsock.probe".base
local wire = require "wsock.probe".wire

local T = {}
T.alone = true -- it measures

function T:tearDown() base.break_digest(false) end

local function check(value, expected, left)
  local list, rest = wire.challenges(value)
  lu.assertEquals(list, expected, value)
  lu.assertEquals(rest, left or "", value)
end

-- ---- the list ------------------------------------------------------------------------

-- AU-02
function T:test_several_on_one_line()
  check('Basic realm="a, b", Digest realm="c", nonce="d"',
    { { "Basic", "realm", "a, b" }, { "Digest", "realm", "c", "nonce", "d" } })
  check("Negotiate", { { "Negotiate" } })
  check("Negotiate, NTLM , Basic realm=x", { { "Negotiate" }, { "NTLM" }, { "Basic", "realm", "x" } })
  check("Negotiate YII/+~-._==, Basic realm=x", { { "Negotiate", rest = "YII/+~-._==" }, { "Basic", "realm", "x" } })
  check('Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"', -- RFC 9110 11.6.1
    { { "Newauth", "realm", "apps", "type", "1", "title", 'Login to \\"apps\\"' }, { "Basic", "realm", "simple" } })
  check(' , ,Digest  a = b ,\tc\t=\t"d" ,, e="" ,', { { "Digest", "a", "b", "c", "d", "e", "" } })
  check('X a="\\"", b="\\\\", c=",X y=z"', { { "X", "a", '\\"', "b", "\\\\", "c", ",X y=z" } })
  check("", {})
  check(" , ,", {})
end

function T:test_what_is_no_parameter()
  for value, good in pairs {
    ['D a="b'] = {}, ['D a="b\\'] = {}, ['D a="b\\"'] = {}, ['D a="'] = {}, ['D a="b" c="d"'] = {}, ['D a="b"c'] = {},
    ["D a=b c"] = {}, ["D a="] = {}, ["D a=b/c"] = {}, ["D a=b=c"] = {}, ["D a==b"] = {}, ["D (=b"] = {},
    ['D a=b, c="d" e'] = { "a", "b" }, ['D a=b, c=\xff'] = { "a", "b" }, ['D a=b, c="d'] = { "a", "b" },
  } do
    local list = wire.challenges(value)
    lu.assertEquals(#list, 1, value)
    lu.assertIsString(list[1].rest, value)
    list[1].rest = nil
    lu.assertEquals(list[1], { "D", table.unpack(good) }, value)
  end
end

function T:test_where_no_challenge_begins()
  check("a=b, Basic realm=x", {}, "a=b, Basic realm=x")
  check('"Digest realm=x"', {}, '"Digest realm=x"')
  check("Digest/x", {}, "Digest/x")
  check("Basic realm=x, (, Digest realm=y", { { "Basic", "realm", "x" } }, ", (, Digest realm=y")
  check("\xff", {}, "\xff")
end

-- ---- Digest --------------------------------------------------------------------------

local FULL = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"'

local function digest(...) return wire.digest { ... } end

function T:test_all_of_it()
  lu.assertEquals(digest('dIGEST REALM="a \\"b\\"", nonce="n/+=", Opaque="", qop="auth-int, AUTH", ALGORITHM=sha-256, '
    .. 'stale=TRUE, domain="/a /b", charset=UTF-8, userhash=true, x-more="y"'),
  { realm = 'a \\"b\\"', nonce = "n/+=", opaque = "", algorithm = "sha-256", hash = 1, session = false, qop = true,
    stale = true, userhash = true })
  lu.assertEquals(digest 'Digest realm="", nonce=""',
    { realm = "", nonce = "", hash = 0, session = false, qop = false, stale = false, userhash = false })
  lu.assertFalse(digest(FULL .. ", stale=false").stale)
  lu.assertTrue(digest(FULL .. ', stale="true"').stale)
  lu.assertEquals(digest 'Digest realm=r, nonce=n, algorithm="MD5"'.algorithm, "MD5") -- quoted or not
end

-- AU-09
function T:test_algorithms()
  for i, name in ipairs { "MD5", "SHA-256", "SHA-512-256" } do
    for session, suffix in pairs { [false] = "", [true] = "-sess" } do
      local d = digest(('Digest realm="r", nonce="n", qop="auth", algorithm=%s%s'):format(name, suffix))
      lu.assertEquals({ d.hash, d.session }, { i - 1, session })
    end
  end
  for _, name in ipairs { "SHA-1", "SHA-512", "MD4", "MD5-", "MD5-session", '""', "token" } do
    lu.assertNil(digest('Digest realm="r", nonce="n", qop="auth", algorithm=' .. name), name)
  end
end

function T:test_an_algorithm_that_openssl_does_not_have()
  lu.assertNotNil(digest(FULL))
  base.break_digest(true)
  lu.assertNil(digest(FULL))
end

-- AU-11
function T:test_qop()
  for qop, yes in pairs { ["auth"] = true, ["auth,auth-int"] = true, ["auth-int , x,\tauth"] = true,
    ["auth-int"] = false, [""] = false, ["x"] = false, ["auth auth"] = false, ["authx"] = false, ["\\auth"] = false } do
    local d = digest(('Digest realm="r", nonce="n", qop="%s"'):format(qop))
    lu.assertEquals(d ~= nil, yes, qop)
    if d then lu.assertTrue(d.qop) end
  end
  lu.assertFalse(digest 'Digest realm="r", nonce="n", algorithm=SHA-256'.qop)
  lu.assertNil(digest 'Digest realm="r", nonce="n", algorithm=MD5-sess') -- no RFC says what to do
end

function T:test_what_is_not_answered()
  for _, value in ipairs {
    "", "Digest", 'Digest realm="r"', 'Digest nonce="n"', 'Basic realm="r", nonce="n"', 'Digestx realm="r", nonce="n"',
    'Digest realm="r", nonce="n', 'Digest realm="r" nonce="n"', 'Digest realm="r", nonce="n", nonce="n"',
    'Digest realm="r", nonce="n", REALM="x"', 'Digest realm="r", nonce="n", stale=true, stale=false',
    'Digest realm="\xc3\xa9", nonce="n"', 'Digest realm="r", nonce="\xff"',
    'Digest realm="r", nonce="n", opaque="\x80"',
    'Digest realm="r", nonce="n", x="y', "Digest YWJj==", 'realm="r", nonce="n"', 'Digest realm=, nonce="n"',
  } do
    lu.assertNil(digest(value), value)
  end
  lu.assertEquals(digest 'Digest realm="r", nonce="n", realm'.realm, "r") -- a scheme named realm follows
end

-- AU-08, RFC 7616 3.7
function T:test_which_of_several()
  local function of(algorithm, realm)
    return ('Digest realm="%s", nonce="n", qop="auth"%s'):format(realm, algorithm and ", algorithm=" .. algorithm or "")
  end
  local md5, sha, sha512, odd = of("MD5", "md5"), of("SHA-256", "sha"), of("SHA-512-256", "sha512"), of("X-99", "odd")
  local basic = 'Basic realm="basic"'
  for _, row in ipairs {
    { "md5", basic, md5 }, { "sha", md5, sha }, { "sha", sha, md5 }, { "sha", sha, sha512 }, { "sha512", sha512, sha },
    { "sha512", md5, basic, sha512, sha }, { "md5", odd, md5 }, { "md5", md5, of("MD5-sess", "second") },
    { "md5", of(nil, "md5"), odd }, { "sha", "Negotiate", "NTLM abc=", basic, odd, md5, sha },
  } do
    local wanted = table.remove(row, 1)
    lu.assertEquals(wire.digest(row).realm, wanted) -- a line each
    lu.assertEquals(wire.digest { table.concat(row, ", ") }.realm, wanted)
  end
  lu.assertEquals(wire.digest { "(bad", md5 }.realm, "md5") -- the other line is as good as before
  lu.assertEquals(wire.digest { md5 .. ', (bad, Digest realm="x", nonce="n", algorithm=SHA-256' }.realm, "md5")
  lu.assertNil(wire.digest { basic, odd, "Negotiate" })
  lu.assertNil(wire.digest {})
end

-- ---- hostile -------------------------------------------------------------------------

function T:test_any_bytes()
  local pieces = { "Digest ", "Basic ", 'realm="r"', "nonce=n", 'qop="auth"', ",", " ", '"', "\\", "=", "\t", "x",
    "\xff" }
  for _ = 1, 2000 do
    local t = {}
    for i = 1, math.random(12) do t[i] = pieces[math.random(#pieces)] end
    local value = table.concat(t)
    for n = 0, #value do wire.challenges(value:sub(1, n)) end
    local d = wire.digest { value, bytes.random(20) }
    if d then lu.assertStrMatches(d.realm, "[\t -~]*") end
  end
end

function T:test_many_and_long_ones_take_linear_time()
  for _, piece in ipairs { "Digest a=b,", 'Digest realm="r",nonce="n",', "D,", "a=b,", '"', "Digest \\,", "=,",
    'D a=",' } do
    growth.linear(function(n) return "D x=y," .. piece:rep(n) end, function(value)
      wire.challenges(value)
      wire.digest { value }
    end, 500, piece)
  end
end

return T
