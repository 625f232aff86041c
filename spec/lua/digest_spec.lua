-- lua/wsock/digest: servers that ask for passwords by Digest (AU-02, AU-10, AU-14 to AU-17).

local lu = require "luaunit"
local bytes = require "support.bytes"
local core = require "wsock.core"
local probe = require "wsock.probe".base
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class(function(self)
  self.real_now, self.now = core.now, 1000
  core.now = function() return self.now end
end)

local tear_down = T.tearDown
function T:tearDown()
  core.now = self.real_now
  probe.break_digest(false)
  probe.break_random(false)
  tear_down(self)
end

local contains = lu.assertErrorMsgContains
local passwords = { ann = "open sesame", ["J\u{e4}s\u{f8}n"] = "\u{e9}", [""] = "" }

-- An object for those above, with these options.
local function new(options)
  options = options or {}
  options.realm = options.realm or "a realm"
  options.password = options.password or function(user) return passwords[user] end
  return wsock.digest(options)
end

-- ---- a client by hand ------------------------------------------------------------------

-- The challenges that an object gives, as one table of parameters each, and the answer's status.
local function challenges(digest, why)
  local verdict, status, headers = digest:challenge(why)
  lu.assertFalse(verdict)
  local list = {}
  for _, field in ipairs(headers) do
    local t = { text = field[2] }
    for name, value in (field[2] .. ", "):gmatch '(%w+)="?([^"]-)"?, ' do t[name] = value end
    if field[1] == "WWW-Authenticate" then list[#list + 1] = t end
  end
  return list, status
end

local kinds = { MD5 = 0, ["SHA-256"] = 1, ["SHA-512-256"] = 2 }

-- What a client answers to a challenge c, and what of that is given differently; false: left out.
local function answer(c, given)
  local p = { username = "ann", password = passwords.ann, realm = c.realm, nonce = c.nonce, uri = "/chat?a=b",
    algorithm = c.algorithm, qop = "auth", nc = "00000001", cnonce = "chance", method = "GET" }
  for key, value in pairs(given or {}) do p[key] = value end
  local kind = kinds[p.algorithm or "MD5"] or 1
  local function hash(...) return probe.hash(kind, table.concat({ ... }, ":")) end
  if p.response ~= nil then return p end
  local secret = hash(p.username or "", p.realm or "", p.password)
  p.response = hash(secret, p.nonce or "", p.nc or "", p.cnonce or "", p.qop or "", hash(p.method, p.uri or ""))
  return p
end

local quoted = { username = true, realm = true, nonce = true, uri = true, response = true, cnonce = true }

-- The line of these parameters, and more behind them.
local function line(p, more)
  local list = {}
  for _, name in ipairs { "username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce" } do
    local value = p[name]
    if value and quoted[name] then value = '"' .. value:gsub('["\\]', "\\%0") .. '"' end
    if value then list[#list + 1] = name .. "=" .. value end
  end
  return "Digest " .. table.concat(list, ", ") .. (more or "")
end

-- The request that has these lines of Authorization.
local function request(...)
  local lines = { ... }
  return { method = "GET", target = "/chat?a=b", headers = { all = function() return lines end } }
end

local function try(digest, c, given, more) return digest:check(request(line(answer(c, given), more))) end

local function passes(...) lu.assertEquals({ try(...) }, { "ann" }) end
local function fails(why, ...) lu.assertEquals({ try(...) }, { nil, why }) end

-- ---- challenges -------------------------------------------------------------------------

-- AU-14: what is quoted, and what is not
function T:test_the_challenge()
  local digest = new { realm = 'a "b\\', algorithms = { "SHA-256", "SHA-512-256", "MD5" } }
  local verdict, status, headers, body = digest:challenge()
  lu.assertEquals({ verdict, status, headers[1], body, #headers },
    { false, 401, { "Content-Type", "text/plain; charset=utf-8" }, "who are you?\n", 4 })
  for i, name in ipairs { "SHA-256", "SHA-512-256", "MD5" } do
    lu.assertEquals(headers[i + 1][1], "WWW-Authenticate")
    lu.assertStrMatches(headers[i + 1][2], 'Digest realm="a \\"b\\\\", nonce="' .. ("%x"):rep(56) .. '", opaque="'
      .. ("%x"):rep(32) .. '", algorithm=' .. name:gsub("%-", "%%-") .. ', qop="auth", charset=UTF%-8')
  end
  lu.assertEquals(headers[2][2]:match 'nonce="(.-)"', headers[4][2]:match 'nonce="(.-)"')
  lu.assertEquals(#select(3, new():challenge()), 2)
  local stale = challenges(new(), "stale")
  lu.assertStrMatches(stale[1].text, ".*, stale=true")
end

function T:test_nonces_differ()
  local digest, seen = new(), {}
  for _ = 1, 1000 do
    local nonce = challenges(digest)[1].nonce
    lu.assertNil(seen[nonce])
    seen[nonce] = true
  end
  lu.assertNotEquals(challenges(new())[1].nonce:sub(25), challenges(new())[1].nonce:sub(25))
  lu.assertEquals(digest.recent.n + digest.older.n, 0) -- who only asks costs nothing
end

function T:test_malformed_is_400()
  local verdict, status, headers, body = new():challenge "malformed"
  lu.assertEquals({ verdict, status, headers, body },
    { false, 400, { { "Content-Type", "text/plain; charset=utf-8" } }, "malformed credentials\n" })
  contains("challenge: why must be nil, 'stale' or 'malformed', got 'x'", new().challenge, new(), "x")
end

-- ---- answers ----------------------------------------------------------------------------

-- AU-10: RFC 7616 3.9.1; the nonce is another server's, which is looked at last
function T:test_the_examples_of_the_rfc()
  local digest = new { realm = "http-auth@example.org", algorithms = { "SHA-256", "MD5" },
    password = function(user) return user == "Mufasa" and "Circle of Life" end }
  local given = { username = "Mufasa", uri = "/dir/index.html", cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", realm = digest.realm }
  for algorithm, response in pairs {
    MD5 = "8ca523f5e9506fed4657c9700eebdbec",
    ["SHA-256"] = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
  } do
    given.algorithm, given.response = algorithm, response
    local r = request(line(answer({}, given), ', opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'))
    r.target = "/dir/index.html"
    lu.assertEquals({ digest:check(r) }, { nil, "stale" })
    given.response = response:gsub("%x$", { c = "d", ["1"] = "2" })
    r = request(line(answer({}, given)))
    r.target = "/dir/index.html"
    lu.assertEquals({ digest:check(r) }, {})
  end
end

function T:test_the_right_password()
  local digest = new { algorithms = { "SHA-256", "SHA-512-256", "MD5" } }
  for i = 1, 3 do passes(digest, challenges(digest)[i]) end
  local c = challenges(digest)[3]
  passes(digest, c, { algorithm = false }) -- MD5 then, 3.4
  local name = "J\u{e4}s\u{f8}n"
  lu.assertEquals(try(digest, c, { username = name, password = "\u{e9}", nc = "00000002" }), name)
  lu.assertEquals(try(digest, c, { username = "", password = "", nc = "00000003" }), "")
  digest = new { realm = 'the "\\ realm' }
  passes(digest, challenges(digest)[1], { realm = digest.realm })
end

function T:test_the_wrong_one()
  local digest = new()
  local c = challenges(digest)[1]
  for _, given in ipairs {
    { password = "Open sesame" }, { password = "" }, { username = "bob" }, { realm = "another" }, { method = "POST" },
    { response = ("0"):rep(64) }, { response = "" }, { response = "0" }, { algorithm = "MD5" }, { algorithm = false },
    { algorithm = "SHA-512-256" }, { algorithm = "SHA-256-sess" }, { algorithm = "x" },
  } do
    fails(nil, digest, c, given)
  end
  fails(nil, digest, c, { response = answer(c).response:upper() })
  passes(digest, c)
end

-- What is not ours to judge: nothing, another scheme, two at once.
function T:test_no_credentials()
  local digest = new()
  local good = line(answer(challenges(digest)[1]))
  for _, lines in ipairs { {}, { "Basic YTpi" }, { "" }, { "Bearer x" }, { good, good }, { good, "Basic YTpi" },
    { good:sub(8) }, { "(" } } do
    lu.assertEquals({ digest:check(request(table.unpack(lines))) }, {})
  end
  lu.assertEquals(digest:check(request((good:gsub("Digest", "dIGEST")))), "ann")
end

-- AU-02
function T:test_parameters()
  local digest = new()
  local c = challenges(digest)[1]
  for _, more in ipairs { ", stale=true", ', username="ann"', ", NC=00000001", ", x=1, X=2", ', opaque="a", opaque="a"',
    ", (", ', x="y', ", Basic YTpi", ", username*=UTF-8''ann" } do
    fails("malformed", digest, c, nil, more .. (more == ", stale=true" and ", stale=x" or ""))
  end
  for _, name in ipairs { "username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce" } do
    fails("malformed", digest, c, { [name] = false })
  end
  for name, values in pairs { qop = { "auth-int", "x" }, nc = { "1", "000000001", "0000000g", "-0000001", "0x000001" },
    username = { "a\tb" } } do
    for _, value in ipairs(values) do fails("malformed", digest, c, { [name] = value }) end
  end
  local many = {}
  for i = 1, 30 do many[i] = (", x%d=y"):format(i) end
  fails("malformed", digest, c, nil, table.concat(many)) -- more than any scheme has
  for _, empty in ipairs { "Digest", "Digest ", "Digest YTpi==" } do
    lu.assertEquals({ digest:check(request(empty)) }, { nil, "malformed" })
  end
  passes(digest, c, { cnonce = "" }, ', opaque="' .. c.opaque .. '", more="a, \\"b", userhash=false')
end

-- RFC 8187: what our own client sends for a name beyond ASCII
function T:test_extended_names()
  local digest = new()
  local c = challenges(digest)[1]
  local function named(user, value, nc)
    local p = answer(c, { username = user, password = passwords[user], nc = nc })
    p.username = false
    return digest:check(request(line(p, ", username*=" .. value)))
  end
  local name = "J\u{e4}s\u{f8}n"
  lu.assertEquals(named(name, "UTF-8''J%C3%A4s%c3%b8n", "00000001"), name)
  lu.assertEquals(named(name, "utf-8'de'J%C3%A4s%C3%B8n", "00000002"), name)
  lu.assertEquals(named("ann", "UTF-8''%61nn", "00000003"), "ann")
  for _, value in ipairs { "ann", "''ann", "UTF-8'ann", "ISO-8859-1''ann", "UTF-8''%C3", "UTF-8''%4", "UTF-8''%zz",
    "UTF-8''%", "UTF-8''a%00", "UTF-8''a%0A", "UTF-8''a'b" } do
    lu.assertEquals({ named("ann", value, "00000004") }, { nil, "malformed" }, value)
  end
end

-- AU-16
function T:test_another_target()
  local digest = new()
  for _, uri in ipairs { "/chat", "/chat?a=B", "http://h/chat?a=b", "", "*" } do
    fails("malformed", digest, challenges(digest)[1], { uri = uri })
  end
  local asked = 0
  digest = new { password = function() asked = asked + 1 end }
  fails("malformed", digest, challenges(digest)[1], { uri = "/" })
  lu.assertEquals(asked, 0)
end

-- ---- passwords ----------------------------------------------------------------------------

function T:test_hashes_in_the_place_of_passwords()
  local stored, given = {}, nil
  local digest = new { algorithms = { "SHA-256", "MD5" }, password = function(user, asked)
    given = { user, asked.target }
    return stored
  end }
  local c = challenges(digest)
  fails(nil, digest, c[1])
  lu.assertEquals(given, { "ann", "/chat?a=b" })
  stored["SHA-256"] = digest:hash("ann", "open sesame")
  lu.assertEquals(stored["SHA-256"], probe.hash(1, "ann:a realm:open sesame"))
  passes(digest, c[1])
  fails(nil, digest, c[2], { nc = "00000002" })
  stored.MD5 = digest:hash("ann", "open sesame", "MD5"):upper()
  passes(digest, c[2], { nc = "00000002" })
  lu.assertEquals(new { algorithms = { "MD5" } }:hash("a", "b"), probe.hash(0, "a:a realm:b"))
  contains("hash: unknown algorithm 'SHA-1'", digest.hash, digest, "a", "b", "SHA-1")
  contains("hash: user must be a string, got nil", digest.hash, digest)
  contains("hash: password must be a string, got nil", digest.hash, digest, "a")
end

function T:test_what_password_may_not_return()
  local found
  local digest = new { password = function() return found end }
  local c = challenges(digest)[1]
  for _, row in ipairs {
    { 5, "password must return a string, a table of hashes or nil, got number" }, { true, "or nil, got boolean" },
    { { ["SHA-256"] = 5 }, "password: the hash of SHA-256 must have 64 hex digits" },
    { { ["SHA-256"] = ("0"):rep(63) }, "64 hex digits" }, { { ["SHA-256"] = ("g"):rep(64) }, "64 hex digits" },
  } do
    found = row[1]
    contains(row[2], try, digest, c)
  end
  found = false
  fails(nil, digest, c)
end

-- ---- nonces -------------------------------------------------------------------------------

function T:test_counts_must_grow()
  local digest = new()
  local c, other = challenges(digest)[1], challenges(digest)[1]
  fails("stale", digest, c, { nc = "00000000" })
  for _, nc in ipairs { "00000001", "00000002", "0000000a", "0000000B", "ffffffff" } do
    passes(digest, c, { nc = nc })
    fails("stale", digest, c, { nc = nc }) -- a replay
    fails("stale", digest, c, { nc = "00000001" })
  end
  passes(digest, other)
  lu.assertEquals(digest.recent.n, 2)
end

-- Wrong passwords use nothing up.
function T:test_only_who_is_let_in_is_counted()
  local digest = new()
  local c = challenges(digest)[1]
  for _ = 1, 3 do fails(nil, digest, c, { password = "x", nc = "ffffffff" }) end
  lu.assertEquals(digest.recent.n, 0)
  passes(digest, c)
end

function T:test_nonces_that_are_not_ours()
  local digest = new()
  local c = challenges(digest)[1]
  for i = 1, #c.nonce do
    local other = c.nonce:sub(i, i) == "0" and "1" or "0"
    fails("stale", digest, c, { nonce = c.nonce:sub(1, i - 1) .. other .. c.nonce:sub(i + 1) })
  end
  for _, nonce in ipairs { "", "x", c.nonce .. "0", c.nonce:sub(1, -2), c.nonce:upper() .. " ", ("0"):rep(56),
    ("f"):rep(56),    c.nonce:sub(1, 24), challenges(new())[1].nonce, "\xff" } do
    fails("stale", digest, c, { nonce = nonce })
    fails(nil, digest, c, { nonce = nonce, password = "x" }) -- who does not know the password is told nothing
  end
  passes(digest, c)
end

function T:test_lifetime()
  local digest = new { lifetime = 2.5 }
  local c = challenges(digest)[1]
  passes(digest, c)
  self.now = self.now + 2.5
  passes(digest, c, { nc = "00000002" })
  self.now = self.now + 0.001
  fails("stale", digest, c, { nc = "00000003" })
  fails(nil, digest, c, { nc = "00000003", password = "x" })
  passes(digest, challenges(digest)[1])
  digest = new()
  c = challenges(digest)[1]
  self.now = self.now + 300
  passes(digest, c)
  self.now = self.now + 0.001
  fails("stale", digest, c, { nc = "00000002" })
  digest = new { lifetime = math.huge }
  c = challenges(digest)[1]
  self.now = self.now + 1e6
  passes(digest, c)
end

-- No nonce is forgotten while it could be used, and none is kept for long after.
function T:test_nonces_are_forgotten_in_time()
  local digest = new { lifetime = 10 }
  local all, used = {}, {}
  local function count() return digest.recent.n + digest.older.n end
  for step = 1, 200 do
    self.now = self.now + math.random(0, 40) / 10
    all[#all + 1] = { c = challenges(digest)[1], time = self.now }
    local one = all[math.random(math.max(1, #all - 5), #all)]
    local fresh = self.now - one.time <= 10
    if fresh and not used[one] then
      passes(digest, one.c)
      used[one] = true
    end
    for i = math.max(1, #all - 15), #all do
      if used[all[i]] then fails("stale", digest, all[i].c) end
    end
    lu.assertTrue(count() <= 60, step) -- of twenty seconds and a step
  end
  for _ = 1, 3 do
    self.now = self.now + 11
    passes(digest, challenges(digest)[1])
  end
  lu.assertEquals({ digest.older.n, digest.recent.n }, { 1, 1 })
end

-- ---- the limit ------------------------------------------------------------------------------

function T:test_as_many_nonces_as_there_may_be()
  for _, most in ipairs { 0, 1, 2, 3, 10 } do
    local digest = new { maxNonces = most }
    local list, waiting = {}, challenges(digest)[1]
    for i = 1, most + 1 do list[i] = challenges(digest)[1] end
    for i = 1, most do
      passes(digest, list[i])
      passes(digest, list[i], { nc = "00000002" })
      lu.assertEquals(digest.recent.n, i)
    end
    passes(digest, list[most + 1]) -- one too many: it comes in, and all that was made is stale
    lu.assertEquals(digest.recent.n, 0)
    for i = 1, most + 1 do fails("stale", digest, list[i], { nc = "00000003" }) end
    fails("stale", digest, waiting)
    if most > 0 then
      local fresh = challenges(digest)[1]
      passes(digest, fresh)
      passes(digest, fresh, { nc = "00000002" })
      fails("stale", digest, fresh, { nc = "00000002" })
    end
  end
end

-- Those from before the last turn of the tables count too.
function T:test_the_limit_over_both_tables()
  local digest = new { maxNonces = 3, lifetime = 10 }
  passes(digest, challenges(digest)[1])
  self.now = self.now + 9
  local second = challenges(digest)[1]
  passes(digest, second)
  self.now = self.now + 9
  passes(digest, challenges(digest)[1])
  lu.assertEquals({ digest.older.n, digest.recent.n }, { 2, 1 })
  passes(digest, second, { nc = "00000002" })
  fails("stale", digest, second, { nc = "00000002" })
  lu.assertEquals({ digest.older.n, digest.recent.n }, { 2, 1 })
  passes(digest, challenges(digest)[1])
  lu.assertEquals({ digest.older.n, digest.recent.n }, { 0, 0 })
end

-- ---- hostile, and without help -----------------------------------------------------------------

function T:test_any_bytes()
  local digest = new()
  local good = line(answer(challenges(digest)[1]))
  local pieces = { "Digest ", 'username="ann"', "nc=00000001", ", ", '"', "\\", "=", "qop=auth", 'uri="/chat?a=b"', "%",
    "username*=UTF-8''", "\xff", 'nonce=""', "response=x", 'realm="a realm"', "cnonce=y" }
  for _ = 1, 3000 do
    local t = {}
    for i = 1, math.random(16) do t[i] = pieces[math.random(#pieces)] end
    local user, why = digest:check(request("Digest " .. table.concat(t) .. bytes.random(math.random(0, 9))))
    lu.assertNil(user)
    lu.assertTrue(why == nil or why == "stale" or why == "malformed")
  end
  for i = 1, #good do lu.assertNil((digest:check(request(good:sub(1, i - 1) .. "\0" .. good:sub(i + 1))))) end
  for i = 0, #good - 2 do lu.assertNil((digest:check(request(good:sub(1, i))))) end
  lu.assertEquals(digest:check(request(good)), "ann")
end

function T:test_without_hashes_nobody_comes_in()
  local digest = new()
  local c = challenges(digest)[1]
  local p = line(answer(c))
  probe.break_digest(true)
  contains("system call failed", digest.check, digest, request(p))
  contains("system call failed", digest.challenge, digest)
  contains("OpenSSL does not have 'SHA-256'", new)
  probe.break_digest(false)
  probe.break_random(true)
  contains("no random bytes from the system", new)
  probe.break_random(false)
  passes(digest, c)
end

function T:test_misuse()
  for message, options in pairs {
    ["option 'realm' must be a string, got nil"] = { password = print },
    ["option 'realm' must be a string, got number"] = { realm = 5, password = print },
    ["option 'realm' must be of visible ASCII characters and spaces"] = { realm = "a\n", password = print },
    ["option 'password' must be a function, got nil"] = { realm = "r" },
    ["option 'password' must be a function, got table"] = { realm = "r", password = {} },
    ["option 'algorithms' must be a table, got string"] = { realm = "r", password = print, algorithms = "MD5" },
    ["option 'algorithms': 'SHA-1' is none of SHA-256, SHA-512-256, MD5"] = { realm = "r", password = print,
      algorithms = { "SHA-256", "SHA-1" } },
    ["option 'algorithms' has 'MD5' twice"] = { realm = "r", password = print, algorithms = { "MD5", "MD5" } },
    ["option 'algorithms' must not be empty"] = { realm = "r", password = print, algorithms = {} },
    ["option 'lifetime' must be a number of seconds >= 0, got -1"] = { realm = "r", password = print, lifetime = -1 },
    ["option 'maxNonces' must be an integer >= 0, got 1.5"] = { realm = "r", password = print, maxNonces = 1.5 },
    ["unknown option of digest 'relm'; did you mean 'realm'?"] = { relm = "r" },
  } do
    contains(message, wsock.digest, options)
  end
  contains("options of digest must be a table, got string", wsock.digest, "r")
  contains("functions of wsock are called with '.'", wsock.digest, wsock, {})
  local digest = new()
  contains("methods are called with ':'", digest.check, "x")
  contains("check: request must be a request, got nil", digest.check, digest)
  contains("check: request must be a request, got table", digest.check, digest, {})
end

-- ---- servers ------------------------------------------------------------------------------------

-- A server that lets in whom a new object knows; its URL and port, the object, and the users that came in.
function T:serve(options, before)
  local digest, users = new(options), {}
  local _, url, port = self.rig:listen {
    verify = function(r)
      if before then before(r) end
      local user, why = digest:check(r)
      if not user then return digest:challenge(why) end
      users[#users + 1] = user
      return true
    end,
    onrequest = function(r, response)
      local user, why = digest:check(r)
      if user then response:send(200, nil, user) else response:send(select(2, digest:challenge(why))) end
    end,
  }
  return url .. "?a=%22b", port, digest, users
end

-- AU-10, AU-15: our client
function T:test_our_client_comes_in()
  local function round(options, auth, users)
    local url, _, _, seen = self:serve(options)
    local socket = self.rig:client(url, nil, { auth = auth })
    self.rig:wait(function() return socket.readyState == 1 end)
    lu.assertEquals(seen, users)
    socket:terminate()
  end
  for _, algorithms in ipairs { { "SHA-256" }, { "SHA-512-256" }, { "MD5" }, { "MD5", "SHA-256" } } do
    for _, scheme in ipairs { "digest", false } do
      local auth = { "ann", "open sesame", scheme = scheme or nil }
      round({ algorithms = algorithms, realm = 'a "b\\ c' }, auth, { "ann" })
    end
  end
  local name = "J\u{e4}s\u{f8}n"
  round(nil, { name, "\u{e9}", scheme = "digest" }, { name })
end

function T:test_our_client_stays_outside()
  local url, _, _, users = self:serve()
  for _, auth in ipairs { { "ann", "sesame" }, { "bob", "open sesame" }, { "ann", "open sesame", scheme = "basic" } } do
    local socket = self.rig:client(url, nil, { auth = auth })
    self.rig:closed(rigs.record(socket))
    lu.assertEquals({ socket.response.status, socket.response.body }, { 401, "who are you?\n" })
    lu.assertNil(socket.response.headers["www-authenticate"]:find "stale")
  end
  lu.assertEquals(users, {})
end

-- AU-15: the nonce is too old when the first answer comes; the second is in time.
function T:test_our_client_when_the_nonce_is_stale()
  local asked, late = 0, { 0, 301, 0 }
  local url, _, _, users = self:serve(nil, function()
    asked = asked + 1
    self.now = self.now + late[asked]
  end)
  local socket = self.rig:client(url, nil, { auth = { "ann", "open sesame" } })
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertEquals({ asked, users }, { 3, { "ann" } })
end

function T:test_by_hand()
  local _, port, digest, users = self:serve()
  local function upgrade(given, more)
    local value = line(answer(challenges(digest)[1], given), more)
    return visitors.ask(self.rig, port, visitors.upgrade({ Authorization = value }, "GET /chat?a=b HTTP/1.1"))
  end
  local answered = upgrade { uri = "/" }
  lu.assertEquals({ answered.status, answered.body, answered.headers["www-authenticate"] },
    { 400, "malformed credentials\n", nil })
  lu.assertEquals(upgrade(nil, ", nc=00000001").status, 400)
  answered = upgrade { nonce = "x" }
  lu.assertEquals(answered.status, 401)
  lu.assertStrContains(answered.headers["www-authenticate"], ", stale=true")
  local c = challenges(digest)[1]
  local text = visitors.upgrade({ Authorization = line(answer(c)) }, "GET /chat?a=b HTTP/1.1")
  local peer, first = visitors.knock(self.rig, port, text)
  lu.assertEquals({ first.status, users }, { 101, { "ann" } })
  peer:close()
  lu.assertEquals(visitors.ask(self.rig, port, text).status, 401) -- the same once more
  lu.assertEquals(users, { "ann" })
end

-- A connection without a socket, and a route.
function T:test_requests_of_all_kinds()
  local digest = new()
  local function head() return visitors.upgrade({ Authorization = line(answer(challenges(digest)[1])) },
    "GET /chat?a=b HTTP/1.1") end
  local conn = wsock.protocol.server()
  conn:feed(head())
  lu.assertEquals(conn:next(), "upgrade")
  lu.assertEquals(digest:check(conn.request), "ann")
  lu.assertEquals({ digest:check(conn.request) }, { nil, "stale" })
  conn:reject(select(2, digest:challenge "stale"))
  lu.assertStrMatches(conn:output(), "HTTP/1.1 401 .*\r\nWWW%-Authenticate: Digest .*, stale=true\r\n.*who are you%?\n")
  local router = wsock.router()
  router:ws("/chat", { verify = function(r)
    local user, why = digest:check(r)
    if not user then return digest:challenge(why) end
    return true
  end })
  local _, _, port = self.rig:listen { router = router }
  local refused = visitors.ask(self.rig, port, visitors.upgrade(nil, "GET /chat?a=b HTTP/1.1"))
  lu.assertEquals({ refused.status, refused.headers["www-authenticate"]:match "^%a+" }, { 401, "Digest" })
  local peer, welcome = visitors.knock(self.rig, port, head())
  lu.assertEquals(welcome.status, 101)
  peer:close()
end

function T:test_plain_http()
  local _, port, digest = self:serve { algorithms = { "SHA-256", "MD5" } }
  local answered = visitors.ask(self.rig, port, visitors.plain())
  lu.assertEquals({ answered.status, answered.body }, { 401, "who are you?\n" })
  lu.assertStrMatches(answered.headers["www-authenticate"],
    "Digest .*, algorithm=SHA%-256, .*|Digest .*, algorithm=MD5, .*")
  local function get(nc)
    local p = answer(challenges(digest)[1], { method = "POST", nc = nc })
    return visitors.ask(self.rig, port, visitors.plain("POST /chat?a=b HTTP/1.1", { "Authorization: " .. line(p) }))
  end
  lu.assertEquals(get().body, "ann")
  lu.assertEquals(get("0000000z").status, 400)
end

return T
