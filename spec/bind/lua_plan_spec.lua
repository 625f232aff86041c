-- bind/lua_plan: the way to a server: which proxy, by option or environment
-- (RP-13), and with whose TLS, also where a redirect leads (RP-02, RP-04).

local lu = require "luaunit"
local clock = require "support.clock"
local files = require "support.files"
local forward = require "support.forward"
local process = require "support.process"
local rigs = require "support.rig"
local certs = require "support.certs"
local wsock = require "wsock"

local T = require "support.tls".class()

function T:test_what_the_option_may_be()
  local function says(value, words)
    lu.assertErrorMsgContains("option 'proxy' " .. words, wsock.WebSocket, "ws://h/", nil, { proxy = value })
  end
  for _, bad in ipairs { true, 1, {}, print } do says(bad, "must be a URL or false, got") end
  says("", "is no URL of a proxy: the URL has no host")
  says("ws://h", "is no URL of a proxy: the scheme is none of http, https, socks5, socks5h")
  says("http://h/x", "is no URL of a proxy: a proxy's URL has no path")
  says("http://a\r\nX: y", "is no URL of a proxy: ")
  says("http://a%0D%0A:b@h", "is no URL of a proxy: the user has a control character")
  says("socks5://" .. ("u"):rep(256) .. "@h", "is no URL of a proxy: user or password is longer than 255 bytes")
end

-- Who had it before, by event and by pull; never with the URL's password.
function T:test_errors_of_a_handshake_name_whom_it_was_with()
  local refuses = { verify = function() return false, 403 end }
  local path = self.rig:directory() .. "/sock"
  self.rig:try_listen { path = path, verify = refuses.verify }
  local _, url, port = self.rig:listen(refuses)
  local _, tls_url, tls_port = self:server(nil, refuses)
  for _, row in ipairs {
    { url, "ws://127.0.0.1:" .. port }, { "ws://ann:secret@127.0.0.1:" .. port .. "/x?y", "ws://127.0.0.1:" .. port },
    { tls_url, "wss://127.0.0.1:" .. tls_port }, { "ws+unix:" .. path .. ":/x", "ws+unix:" .. path .. ":/x" },
  } do
    local options = { tls = row[1] == tls_url and { ca = self.good.ca } or nil, loop = self.rig.loop }
    local why = ("handshake with %s: server did not answer 101: 403"):format(row[2])
    local record = rigs.record(self.rig:client(row[1], nil, options))
    self.rig:closed(record)
    lu.assertEquals({ record.message, record.code }, { why, "HANDSHAKE" })
    lu.assertEquals({ wsock.connect(row[1], options) }, { nil, why, "HANDSHAKE", 403 })
  end
end

-- A reset says which call failed, and of whom.
function T:test_a_reset_within_a_handshake_names_whom_it_was_with()
  local server = self.rig:raw_server()
  for _, part in ipairs { "", "HTTP/1.1 101 Sw" } do
    local record = rigs.record(self.rig:client(server.url))
    local peer = server:accept()
    peer:head()
    peer:send(part)
    peer:reset()
    self.rig:closed(record)
    local why = ("recv 127.0.0.1:%d: Connection reset by peer"):format(server.port)
    lu.assertEquals({ record.message, record.code }, { why, "ECONNRESET" })
  end
end

-- What goes wrong behind it is about messages.
function T:test_later_errors_do_not()
  local server = self.rig:raw_server()
  local record = rigs.record(self.rig:client(server.url))
  local peer = server:welcome()
  peer:send "\xFF\0"
  peer:take_close()
  peer:close()
  self.rig:closed(record)
  lu.assertNotStrContains(record.message, "handshake with")
end

-- A client in a process with these variables; prints what became of it.
local script = [[
local wsock = require "wsock"
local proxy = arg[2]
if proxy == "false" then proxy = false end
local socket = wsock.WebSocket(arg[1], nil, { proxy = proxy, handshakeTimeout = 5 })
socket.onopen = function() print "open" socket:close() end
socket.onerror = function(event) print(event.code, event.message) end
wsock.run()
]]

function T:outcome(url, env, option)
  local path = os.tmpname()
  files.write(path, script)
  for _, name in ipairs { "ws_proxy", "http_proxy", "all_proxy", "no_proxy", "WS_PROXY", "HTTP_PROXY", "ALL_PROXY",
    "NO_PROXY", "REQUEST_METHOD" } do
    env[name] = env[name] or ""
  end
  if env.REQUEST_METHOD == "" then env.REQUEST_METHOD = nil end
  self.program = process.start_lua { path, url, option, env = env }
  clock.wait(function() return self.program:code() end, 10, function() self.rig:turn() end)
  local output = self.program:output()
  self.program:stop()
  os.remove(path)
  return (output:gsub("%s+$", ""))
end

function T:test_the_environment()
  local _, _, port = self.rig:listen {}
  local url = ("ws://target.spec:%d/"):format(port)
  local proxy = forward.new(self.rig, { names = { ["target.spec"] = "127.0.0.1" }, user = "u:p" })
  local at = "http://u:p@" .. proxy.where
  for i, env in ipairs { { ws_proxy = at }, { http_proxy = at }, { ALL_PROXY = at }, { HTTP_PROXY = at },
    { http_proxy = at, no_proxy = "other.spec" } } do
    lu.assertEquals(self:outcome(url, env), "open")
    lu.assertEquals(#proxy.heads, i)
  end
  for _, row in ipairs {
    { { http_proxy = at, no_proxy = ".spec" } }, { { HTTP_PROXY = at, REQUEST_METHOD = "GET" } },
    { { http_proxy = at }, "false" },
  } do
    lu.assertStrMatches(self:outcome(url, row[1], row[2]), "EAI_%u+\tresolve target%.spec: .*") -- went there directly
  end
  lu.assertEquals(self:outcome(url, { http_proxy = "http://127.0.0.1:1" }, at), "open") -- the option goes first
  lu.assertEquals(self:outcome(("ws://127.0.0.1:%d/"):format(port), { all_proxy = "http://127.0.0.1:1" }), "open")
end

-- The environment is not the program's mistake: it is told, with no word of a
-- password, and nothing goes past the proxy that somebody wanted.
function T:test_an_environment_that_makes_no_sense()
  local _, _, port = self.rig:listen {}
  lu.assertEquals(self:outcome(("ws://target.spec:%d/"):format(port), { http_proxy = "socks4://u:secret@h" }),
    "PROXY\thttp_proxy of the environment: the scheme is none of http, https, socks5, socks5h")
end

-- ---- TLS on the way ------------------------------------------------------------------

-- S6, RP-10: the proxy sees records, and cannot be the server.
local function only_records(bytes)
  local at, n = 1, 0
  while at + 5 <= #bytes do
    local kind, major, minor, length = (">BBBI2"):unpack(bytes, at)
    lu.assertTrue(kind >= 20 and kind <= 23 and major == 3 and minor <= 4, ("record %d at %d"):format(kind, at))
    at, n = at + 5 + length, n + 1
  end
  lu.assertTrue(n > 2)
end

function T:test_wss_through_proxies_is_end_to_end()
  local a = certs.get "a_test"
  local _, _, port = self:server({ cert = a.cert, key = a.key }, {
    onmessage = function(socket, data) socket:send("secret " .. data) end })
  for kind, scheme in pairs { http = "http", socks = "socks5" } do
    local proxy = forward.new(self.rig, { kind = kind, names = { ["a.test"] = "127.0.0.1", ["b.test"] = "127.0.0.1" } })
    local options = { proxy = scheme .. "://" .. proxy.where, auth = { "ann", "sesame" } }
    local client, record = self:open(("wss://a.test:%d/"):format(port), nil, options)
    client:send "hello"
    self.rig:events(record, 2)
    lu.assertEquals({ record[2], client.tls.version }, { "text:secret hello", "TLSv1.3" })
    client:close(1000)
    self.rig:closed(record)
    lu.assertEquals(record:last(), "close:1000::true")
    only_records(proxy.up)
    only_records(proxy.down)
    for _, word in ipairs { "hello", "GET ", "Authorization", "101" } do
      lu.assertNil((proxy.up .. proxy.down):find(word, 1, true), word)
    end
    -- the name that counts is the target's
    local none, message = self:open(("wss://b.test:%d/"):format(port), nil, options)
    lu.assertNil(none)
    lu.assertStrContains(message, "TLS handshake with b.test")
    -- and a server behind the proxy that speaks no TLS is none
    local _, _, plain = self.rig:listen {}
    lu.assertNil((self:open(("wss://a.test:%d/"):format(plain), nil, options)))
  end
end

-- AU-15: the second attempt goes the same way as the first
function T:test_a_challenge_behind_tls_and_a_proxy()
  local a = certs.get "a_test"
  local seen = {}
  local _, _, port = self:server({ cert = a.cert, key = a.key }, { onupgrade = function(request)
    seen[#seen + 1] = request.headers.authorization or "none"
    if seen[#seen]:find "^Digest" then return request:accept() end
    request:reject(401, { ["WWW-Authenticate"] = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"' })
  end })
  for kind, scheme in pairs { http = "http", socks = "socks5" } do
    local proxy = forward.new(self.rig, { kind = kind, names = { ["a.test"] = "127.0.0.1" }, user = "u:p" })
    local client = self:open(("wss://a.test:%d/x"):format(port), nil,
      { proxy = scheme .. "://u:p@" .. proxy.where, auth = { "ann", "sesame", scheme = "digest" } })
    lu.assertEquals({ client.tls.version, client.url }, { "TLSv1.3", ("wss://a.test:%d/x"):format(port) })
    lu.assertEquals(#seen, 2)
    lu.assertEquals(seen[1], "none")
    lu.assertStrContains(seen[2], 'Digest username="ann", realm="r", nonce="n", uri="/x", ')
    seen = {}
    client:terminate()
  end
end

-- The TLS that was to stand on the first tunnel stands on the second.
function T:test_a_proxy_that_asks_and_closes()
  local _, _, port = self:server(nil, { onmessage = function(socket, data) socket:send("got " .. data) end })
  local proxy = forward.new(self.rig, { digest = true })
  for i = 1, 2 do
    local client, record = self:open(("wss://localhost:%d/"):format(port), nil,
      { proxy = "http://ann:sesame@" .. proxy.where })
    client:send "hello"
    self.rig:events(record, 2)
    lu.assertEquals({ record[2], #proxy.heads, client.tls.resumed }, { "text:got hello", 2 * i, i == 2 })
    client:close(1000)
    self.rig:closed(record)
    lu.assertEquals(record:last(), "close:1000::true")
  end
end

function T:test_redirects_to_wss()
  local _, secure = self:server()
  local _, plain = self.rig:listen { onupgrade = function(request) request:reject(307, { Location = secure }) end }
  local client = self:open(plain, nil, { maxRedirects = 1 })
  lu.assertEquals({ client.url, client.tls.version }, { secure, "TLSv1.3" })
  local none, message = self:open(plain, {}, { maxRedirects = 1 }) -- the system's authorities: not ours
  lu.assertNil(none)
  lu.assertStrContains(message, "TLS handshake with 127.0.0.1")
  local bare = self.rig:client(plain, nil, { maxRedirects = 1 })
  local record = rigs.record(bare)
  self.rig:closed(record)
  lu.assertEquals(record.code, "TLS")
end

function T:test_redirects_from_wss()
  local _, plain = self.rig:listen {}
  local target = plain
  local _, secure = self:server(nil, { onupgrade = function(request)
    if request.path == "/end" then return request:accept() end
    request:reject(302, { Location = target })
  end })
  local none, message = self:open(secure, nil, { maxRedirects = 3 })
  lu.assertNil(none)
  lu.assertEquals(message, ("redirect to '%s': it leads from wss to ws"):format(plain))
  target = "/end"
  lu.assertEquals(self:open(secure, nil, { maxRedirects = 3 }).url, secure .. "end")
end

-- Certificate and serverName are for the first origin.
function T:test_what_is_ours_stays_behind()
  local me, seen = certs.get "client", {}
  local asks = { cert = self.good.cert, key = self.good.key, requestCert = true, verify = false }
  local _, second = self:server(asks, { onconnection = function(socket)
    seen[2] = socket.tls.peerCertificate and socket.tls.peerCertificate.subject or "nobody"
  end })
  local target = second
  local _, first = self:server(asks, {
    verify = function() return true end,
    onupgrade = function(request)
      if request.path == "/again" then
        local socket = request:accept()
        seen[1] = socket.tls.peerCertificate and socket.tls.peerCertificate.subject or "nobody"
        return
      end
      request:reject(308, { Location = target })
    end,
  })
  local tls = { ca = self.good.ca, cert = me.cert, key = me.key, serverName = "localhost" }
  local client = self:open(first, tls, { maxRedirects = 1 })
  self.rig:wait(function() return seen[2] end)
  lu.assertEquals({ client.url, seen[2] }, { second, "nobody" })
  target = "/again"
  self:open(first, tls, { maxRedirects = 1 })
  self.rig:wait(function() return seen[1] end)
  lu.assertStrContains(seen[1], "Alice")
end

-- S2, RP-04: another origin is met under its own name, not that of the first.
function T:test_the_name_of_the_first_is_not_asked_of_the_second()
  local a = certs.get "a_test"
  local named = { cert = a.cert, key = a.key }
  local _, good = self:server()
  local _, wrong = self:server(named)
  local target
  local _, first = self:server(named, { onupgrade = function(request) request:reject(302, { Location = target }) end })
  local tls = { ca = self.good.ca, serverName = "a.test" }
  target = good
  lu.assertEquals(self:open(first, tls, { maxRedirects = 1 }).url, good)
  target = wrong
  local none, message = self:open(first, tls, { maxRedirects = 1 })
  lu.assertNil(none)
  lu.assertStrContains(message, "TLS handshake with 127.0.0.1: certificate is not for 127.0.0.1: it is for a.test")
end

return T
