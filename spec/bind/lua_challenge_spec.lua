-- bind/lua_challenge: clients that are asked who they are (AU-08, AU-11, AU-12, AU-13, AU-15).

local lu = require "luaunit"
local base = require "wsock.probe".base
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

local DIGEST = 'Digest realm="a realm", nonce="n1", qop="auth", algorithm=SHA-256, opaque="o"'

-- Refuses the next request of a raw server; the request's head and the peer.
local function refuse(server, ...)
  local peer = server:accept()
  local head = peer:head()
  local lines = { "HTTP/1.1 401 Unauthorized" }
  for _, challenge in ipairs { ... } do lines[#lines + 1] = "WWW-Authenticate: " .. challenge end
  lines[#lines + 1] = "Content-Length: 3\r\n\r\nwho"
  peer:send(table.concat(lines, "\r\n"))
  return head, peer
end

local function authorization(head) return head:match "\r\nAuthorization: ([^\r]*)\r\n" end

-- The parameters of a Digest answer, quotes and all.
local function params(head)
  local rest = authorization(head):match "^Digest (.*)$"
  lu.assertNotNil(rest, head)
  local t = {}
  for name, value in (rest .. ", "):gmatch '([%w*]+)=("?[^"]-"?), ' do t[name] = value end
  return t
end

-- What the response must be for a challenge like DIGEST.
local function response(p, user, password, uri, kind)
  local function bare(name) return p[name]:sub(2, -2) end
  local ha1 = base.hash(kind or 1, user, ":", bare "realm", ":", password)
  return base.hash(kind or 1, ha1, ":", bare "nonce", ":", p.nc, ":", bare "cnonce", ":auth:",
    base.hash(kind or 1, "GET:", uri))
end

local function failure(rig, socket)
  local record = rigs.record(socket)
  rig:closed(record)
  lu.assertEquals(#record, 2, tostring(record)) -- one error, one close
  return record.message, record.code
end

local function not_101(socket, status)
  return ("handshake with %s: server did not answer 101: %d"):format(socket.origin, status)
end

local function refused(rig, socket)
  lu.assertEquals({ failure(rig, socket) }, { not_101(socket, 401), "HANDSHAKE" })
  lu.assertEquals({ socket.response.status, socket.response.body }, { 401, "who" })
end

-- Nobody asks once more.
local function nobody(rig, server)
  rig:idle()
  lu.assertNil((server.sock:accept()))
end

local WAYS = {
  option = function(url) return url, { auth = { "ann", "sesame" } } end,
  digest = function(url) return url, { auth = { "ann", "sesame", scheme = "digest" } } end,
  url = function(url) return (url:gsub("//", "//ann:sesame@")), {} end,
}

-- ---- answered ------------------------------------------------------------------------

-- AU-10 to AU-13
function T:test_a_challenge_is_answered()
  for way, of in pairs(WAYS) do
    local server = self.rig:raw_server()
    local url, options = of(server.url .. "a/b?c=%22d")
    local socket = self.rig:client(url, nil, options)
    local record = rigs.record(socket)
    local first, gone = refuse(server, DIGEST)
    lu.assertEquals(authorization(first), way ~= "digest" and "Basic YW5uOnNlc2FtZQ==" or nil)
    lu.assertEquals(gone:take_end(), "closed")
    local peer = server:welcome()
    self.rig:events(record, 1)
    local p = params(peer.request)
    lu.assertStrContains(p.cnonce, '"')
    lu.assertEquals(p, { username = '"ann"', realm = '"a realm"', nonce = '"n1"', uri = '"/a/b?c=%22d"', qop = "auth",
      nc = "00000001", cnonce = p.cnonce, algorithm = "SHA-256", opaque = '"o"',
      response = '"' .. response(p, "ann", "sesame", "/a/b?c=%22d") .. '"' })
    lu.assertStrContains(peer.request, "GET /a/b?c=%22d HTTP/1.1\r\n")
    lu.assertNil(peer.request:find("sesame", 1, true))
    lu.assertNotEquals(peer.request:match "Key: (%S+)", first:match "Key: (%S+)")
    lu.assertEquals(select(2, peer.request:gsub("Authorization", "")), 1)
    lu.assertEquals({ tostring(record), socket.response.status }, { "open", 101 })
    peer:frame { op = "text", "hello" }
    self.rig:events(record, 2)
    socket:terminate()
  end
end

function T:test_everything_else_is_as_in_the_first_request()
  local server = self.rig:raw_server()
  self.rig:client(server.url, { "p", "q" }, { auth = { "u", "p", scheme = "digest" }, host = "a.example",
    origin = "http://o", headers = { Cookie = "a=b" }, handshakeKey = "dGhlIHNhbXBsZSBub25jZQ==" })
  local first = refuse(server, DIGEST)
  local second = server:accept():head()
  local function rest(head) return (head:gsub("\r\nAuthorization: [^\r]*", ""):gsub("Key: %S+", "")) end
  lu.assertEquals(rest(second), rest(first))
  lu.assertNotEquals(second:match "Key: (%S+)", first:match "Key: (%S+)")
end

function T:test_each_answer_has_chance_of_its_own()
  local seen = {}
  for _ = 1, 5 do
    local server = self.rig:raw_server()
    self.rig:client(server.url, nil, { auth = { "u", "p" } })
    refuse(server, DIGEST)
    local cnonce = params(server:accept():head()).cnonce
    lu.assertNil(seen[cnonce])
    seen[cnonce] = true
  end
end

-- AU-08, AU-09
function T:test_the_strongest_of_several()
  local md5 = 'Digest realm="md5", nonce="x", qop="auth", algorithm=MD5'
  local odd = 'Digest realm="odd", nonce="x", qop="auth", algorithm=SHA3-256'
  for _, row in ipairs {
    { '"a realm"', 'Basic realm="b"', md5, DIGEST }, { '"md5"', 'Basic realm="b"', odd, md5 },
    { '"a realm"', ('Negotiate, Basic realm="b, c", %s, %s'):format(md5, DIGEST) },
  } do
    local server = self.rig:raw_server()
    self.rig:client(server.url, nil, { auth = { "u", "p" } })
    refuse(server, table.unpack(row, 2))
    lu.assertEquals(params(server:accept():head()).realm, row[1])
  end
end

-- ---- refused -------------------------------------------------------------------------

-- AU-15: two requests, no more
function T:test_a_wrong_password()
  for way, of in pairs(WAYS) do
    local server = self.rig:raw_server()
    local url, options = of(server.url)
    local socket = self.rig:client(url, nil, options)
    lu.assertEquals(authorization(refuse(server, DIGEST)) ~= nil, way ~= "digest")
    lu.assertStrContains(authorization(refuse(server, (DIGEST:gsub("n1", "n2")))), 'nonce="n1"')
    refused(self.rig, socket)
    lu.assertStrContains(socket.response.headers["www-authenticate"], 'nonce="n2"')
    nobody(self.rig, server)
  end
end

-- AU-15: a new nonce is answered once
function T:test_a_nonce_that_was_too_old()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { auth = { "u", "p" } })
  local record = rigs.record(socket)
  refuse(server, DIGEST)
  local second = params(refuse(server, (DIGEST:gsub("n1", "n2")) .. ", stale=true"))
  local p = params(server:welcome().request)
  lu.assertEquals({ second.nonce, p.nonce, p.nc }, { '"n1"', '"n2"', "00000001" })
  lu.assertNotEquals(p.cnonce, second.cnonce)
  lu.assertEquals(p.response, '"' .. response(p, "u", "p", "/") .. '"')
  self.rig:events(record, 1)
  socket:terminate()
end

function T:test_nonces_that_are_always_too_old()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { auth = { "u", "p" } })
  for i = 1, 3 do refuse(server, (DIGEST:gsub("n1", "n" .. i)) .. ", stale=true") end
  refused(self.rig, socket)
  nobody(self.rig, server)
end

function T:test_what_is_not_answered()
  for _, row in ipairs {
    { 'Basic realm="x"' }, {}, { 'Digest realm="x"' }, { 'Digest realm="x", nonce="y' }, { "Digest" }, { "(" },
    { 'Digest realm="x", nonce="y", algorithm=SHA-1' }, { 'Digest realm="x", nonce="y", qop="auth-int"' },
    { ('Digest realm="%s", nonce="%s'):format(("x"):rep(3000), ("\\"):rep(5001)) },
  } do
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url, nil, { auth = { "u", "p" } })
    refuse(server, table.unpack(row))
    refused(self.rig, socket)
    nobody(self.rig, server)
  end
end

function T:test_only_a_401_with_credentials_is_answered()
  local server = self.rig:raw_server()
  for _, options in ipairs { {}, { headers = { Authorization = "Bearer x" } },
    { auth = { "u", "p", scheme = "basic" } } } do
    local socket = self.rig:client(server.url, nil, options)
    refuse(server, DIGEST)
    refused(self.rig, socket)
  end
  for _, status in ipairs { 200, 302, 400, 403, 407, 503 } do
    local socket = self.rig:client(server.url, nil, { auth = { "u", "p" } })
    local peer = server:accept()
    peer:head()
    peer:send(("HTTP/1.1 %d X\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n"):format(status, DIGEST))
    lu.assertEquals(failure(self.rig, socket), not_101(socket, status))
  end
  nobody(self.rig, server)
end

function T:test_the_option()
  local contains = lu.assertErrorMsgContains
  for _, scheme in ipairs { "Digest", "", "bearer", 1, true } do
    contains("option 'auth': scheme must be 'basic' or 'digest'", wsock.WebSocket, "ws://h/", nil,
      { auth = { "u", "p", scheme = scheme } })
  end
  contains("did you mean 'scheme'?", wsock.WebSocket, "ws://h/", nil, { auth = { "u", "p", sheme = "digest" } })
  contains("option 'auth' must be {user, password}", wsock.WebSocket, "ws://u:p@h/", nil,
    { auth = { scheme = "digest" } })
  contains("header 'Authorization' is given", wsock.WebSocket, "ws://h/", nil,
    { auth = { "u", "p", scheme = "digest" }, headers = { authorization = "x" } })
end

-- ---- together with others --------------------------------------------------------------

function T:test_redirects_of_the_same_origin()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url .. "a", nil, { auth = { "u", "p" }, maxRedirects = 2 })
  local record = rigs.record(socket)
  refuse(server, DIGEST)
  local peer = server:accept()
  lu.assertEquals(params(peer:head()).uri, '"/a"')
  peer:send "HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n"
  lu.assertEquals(authorization(refuse(server, DIGEST)), "Basic dTpw") -- the answer was for /a
  local p = params(server:welcome().request)
  lu.assertEquals({ p.uri, p.response }, { '"/b"', '"' .. response(p, "u", "p", "/b") .. '"' })
  self.rig:events(record, 1)
  socket:terminate()
end

function T:test_another_origin_is_told_nothing()
  for _, way in pairs(WAYS) do
    for _, asked in ipairs { true, false } do
      local first, second = self.rig:raw_server(), self.rig:raw_server()
      local url, options = way(first.url)
      options.maxRedirects = 5
      local socket = self.rig:client(url, nil, options)
      if asked then refuse(first, DIGEST) end
      local peer = first:accept()
      peer:head()
      peer:send(("HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n"):format(second.url))
      lu.assertNil(authorization(refuse(second, DIGEST)))
      refused(self.rig, socket)
      nobody(self.rig, second)
    end
  end
end

function T:test_a_client_that_comes_back()
  local server = self.rig:raw_server()
  local socket = wsock.reconnecting(server.url, { loop = self.loop, auth = { "u", "p", scheme = "digest" },
    delay = 0.001, maxDelay = 0.002 })
  for i = 1, 2 do
    lu.assertNil(authorization(refuse(server, (DIGEST:gsub("n1", "m" .. i)))))
    local peer = server:welcome()
    lu.assertEquals(params(peer.request).nonce, ('"m%d"'):format(i))
    self.rig:wait(function() return socket.readyState == 1 end)
    peer:reset()
    self.rig:wait(function() return socket.readyState ~= 1 end)
  end
  socket:terminate()
end

function T:test_straight_line()
  local server = self.rig:raw_server()
  local result
  self.loop:spawn(function()
    local socket = assert(wsock.connect(server.url, { loop = self.loop, auth = { "u", "p" } }))
    result = socket:receive(5)
    socket:terminate()
  end)
  refuse(server, DIGEST)
  server:welcome():frame { op = "text", "in" }
  self.rig:wait(function() return result end)
  lu.assertEquals(result, "in")
end

-- ---- acts meanwhile -----------------------------------------------------------

function T:test_closing_in_between()
  for _, act in ipairs { "close", "terminate" } do
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url, nil, { auth = { "u", "p" } })
    local record = rigs.record(socket)
    refuse(server, DIGEST)
    server:accept()
    socket[act](socket)
    self.rig:closed(record)
    lu.assertEquals(tostring(record), act == "close" and "error:CLOSED close:1006::false" or "close:1006::false")
  end
end

-- A challenge in pieces, and the loop dropped at each of them.
function T:test_dropped_at_each_byte()
  local text = "HTTP/1.1 401 X\r\nWWW-Authenticate: " .. DIGEST .. "\r\n\r\n"
  for n = 0, #text, 7 do
    local rig = rigs.new()
    local server = rig:raw_server()
    rig:client(server.url, nil, { auth = { "u", "p" } })
    local peer = server:accept()
    peer:head()
    if n > 0 then peer:send(text:sub(1, n)) end
    rig:idle(2)
    rig:close()
  end
end

function T:test_without_chance()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { auth = { "u", "p" } })
  local peer = server:accept()
  peer:head()
  base.break_random(true)
  local ok, message, code = pcall(function()
    peer:send("HTTP/1.1 401 X\r\nWWW-Authenticate: " .. DIGEST .. "\r\n\r\n")
    return failure(self.rig, socket)
  end)
  base.break_random(false)
  lu.assertTrue(ok, message)
  lu.assertEquals(code, "RANDOM")
  nobody(self.rig, server)
end

return T
