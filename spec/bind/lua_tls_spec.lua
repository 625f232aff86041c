-- bind/lua_tls: the option `tls`, server:setTLS and socket.tls.
local lu = require "luaunit"
local certs = require "support.certs"
local files = require "support.files"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = require "support.tls".class()

-- ---- misuse raises -------------------------------------------------------------------

function T:test_what_a_client_may_say()
  local function try(tls, url)
    local ok, why = pcall(wsock.WebSocket, url or "wss://127.0.0.1:1", nil, { tls = tls, loop = self.rig.loop })
    lu.assertFalse(ok)
    return (why:gsub("^[^:]+:%d+: ", ""))
  end
  for _, row in ipairs {
    { { cert_file = "x" }, "option of tls" },
    { { requestCert = true }, "option of tls" },
    { { sni = {} }, "option of tls" },
    { { ca = 1 }, "ca" },
    { { crl = 1 }, "crl" },
    { { crl = "/no/such" }, "option 'tls': crl '/no/such': No such file or directory" },
    { { crl = "/no/such", verify = false }, "option 'tls.crl' would do nothing: 'tls.verify' is false" },
    { { ca = "" }, "option 'tls.ca' is empty or has a zero byte" },
    { { key = "a\0b" }, "option 'tls.key' is empty or has a zero byte" },
    { { verify = 0 }, "verify" },
    { { minVersion = "1.1" }, "option 'tls.minVersion' must be \"1.2\" or \"1.3\", got '1.1'" },
    { { minVersion = 1.2 }, "minVersion" },
    { { alpn = "http/1.1" }, "alpn" },
    { { alpn = { "" } }, "option 'tls.alpn' must be a list of names" },
    { { alpn = { ["http/1.1"] = true } }, "option 'tls.alpn' must be a list, got a string key" },
    { { alpn = { 1 } }, "option 'tls.alpn' must be a list of names" },
    { { alpn = { ("a"):rep(255) } }, "option 'tls.alpn' must be a list of names" },
    { { serverName = ("a"):rep(256) }, "option 'tls.serverName' is too long" },
    { { ca = "/no/such" }, "option 'tls': ca '/no/such': No such file or directory" },
    { { cert = self.good.cert },
      "option 'tls': key '" .. self.good.cert .. "': no private key is given, and none is in this" },
    { true, "tls" },
  } do
    lu.assertStrContains(try(row[1]), row[2])
    lu.assertStrContains(try(row[1], "ws://127.0.0.1:1"), row[2]) -- also where it is not needed
  end
end

function T:test_what_a_server_may_say()
  local c = self.good
  for _, row in ipairs {
    { { cert = c.cert, key = c.key, serverName = "a" }, "option of tls" },
    { { cert = c.cert, key = c.key, sni = { "a.test" } }, "option 'tls.sni' must map host names to tables" },
    { { cert = c.cert, key = c.key, sni = { ["a.test"] = true } }, "option 'tls.sni' must map host names to tables" },
    { { cert = c.cert, key = c.key, sni = { [""] = {} } }, "option 'tls.sni' must map host names to tables" },
    { { cert = c.cert, key = c.key, sni = { a = { ca = "x" } } }, "option of tls.sni" },
    { { cert = c.cert, key = c.key, sni = { a = { cert = "" } } }, "option 'tls.cert' is empty" },
    { { cert = c.cert, key = c.key, requestCert = true }, "option 'tls.requestCert' needs 'tls.ca'" },
    { { cert = c.cert, key = c.key, requestCert = "yes" }, "requestCert" },
    { { cert = c.cert, key = c.key, crl = c.ca }, "option 'tls.crl' needs 'tls.requestCert'" },
    { { cert = c.cert, key = c.key, ca = c.ca }, "option 'tls.ca' needs 'tls.requestCert'" },
    { { cert = c.cert, key = c.key, requestCert = true, verify = false, crl = c.ca }, "'tls.verify' is false" },
    { { cert = c.cert, key = c.key, sni = { a = { crl = "x" } } }, "option of tls.sni" },
    { { cert = c.cert, key = c.key, tickets = 1 }, "tickets" },
    { "x", "tls" },
  } do
    local ok, why = pcall(wsock.listen, { port = 0, loop = self.rig.loop, tls = row[1] })
    lu.assertFalse(ok)
    lu.assertStrContains(why, row[2])
  end
end

-- Nobody but us has what __index makes: it must outlive the table's next answer.
function T:test_options_that_are_made_when_asked_for()
  local function lazy(fields)
    return setmetatable({}, { __index = function(_, key)
      collectgarbage()
      return fields[key] and fields[key]()
    end })
  end
  local function name(text) return function() return "/no/such/" .. text:rep(100) end end
  for _ = 1, 3 do
    lu.assertErrorMsgContains("ca '/no/such/aaaa", wsock.WebSocket, "wss://127.0.0.1:1", nil,
      { loop = self.rig.loop, tls = lazy { ca = name "a", ciphers = function() return "HIGH" end } })
    local server, why = wsock.listen { port = 0, loop = self.rig.loop, tls = lazy { cert = name "c", key = name "k" } }
    lu.assertNil(server)
    lu.assertStrContains(why, "cert '/no/such/cccc")
  end
end

function T:test_names_that_change_while_they_are_read()
  local c, asked, sni = self.good, 0, {}
  local lazy = setmetatable({}, { __index = function(_, key)
    asked = asked + 1
    if asked > 6 then sni["a.test"], sni["b.test"] = true, true end -- three of each: this is the second look
    return c[key]
  end })
  sni["a.test"], sni["b.test"] = lazy, lazy
  local tls = { cert = c.cert, key = c.key, sni = sni }
  local ok, why = pcall(wsock.listen, { port = 0, loop = self.rig.loop, tls = tls })
  lu.assertFalse(ok)
  lu.assertStrContains(why, "option 'tls.sni' must map host names to tables")
end

-- ---- socket.tls -----------------------------------------------------------------------

function T:test_what_a_socket_shows()
  local far
  local server, url = self:server(nil, { onconnection = function(socket) far = socket end })
  local client = wsock.WebSocket(url, nil, { tls = { ca = self.good.ca }, loop = self.rig.loop })
  lu.assertNil(client.tls) -- not yet
  self.rig:wait(function() return client.readyState == 1 end)
  local t = client.tls
  lu.assertEquals(t.version, "TLSv1.3")
  lu.assertStrContains(t.cipher, "TLS_")
  lu.assertFalse(t.resumed)
  local cert = t.peerCertificate
  lu.assertEquals({ cert.subject, cert.issuer }, { "CN=good.test, O=Specs", "CN=Spec Root" })
  lu.assertEquals(cert.names, { "localhost", "127.0.0.1", "::1" })
  lu.assertEquals({ cert.validFrom, cert.validTo }, { "2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z" })
  lu.assertStrMatches(cert.fingerprint256, ("%x%x:"):rep(31) .. "%x%x")
  lu.assertStrMatches(cert.serialNumber, "%x+")
  lu.assertIs(client.tls, t)
  lu.assertEquals(far.tls.version, "TLSv1.3")
  lu.assertNil(far.tls.peerCertificate)
  lu.assertEquals(client.url, url)
  client:close()
  self.rig:wait(function() return client.readyState == 3 and far.readyState == 3 end)
  lu.assertIs(client.tls, t) -- whoever asked keeps it
  lu.assertEquals(server.clientCount, 0)
end

function T:test_plain_sockets_have_none()
  local near, _, far = self.rig:pair()
  lu.assertNil(near.tls)
  lu.assertNil(far.tls)
  lu.assertErrorMsgContains("tls", function() near.tls = {} end)
end

-- ---- a server's other certificate ---------------------------------------------------------

function T:test_set_tls()
  local far = {}
  local server, url = self:server(nil, { onconnection = function(socket)
    far[#far + 1] = socket
    socket:on("message", function(data) socket:send(data) end)
  end })
  local first = self:open(url)
  local record = rigs.record(first)
  local before = first.tls.peerCertificate.fingerprint256
  local second = certs.get "second"
  lu.assertTrue(server:setTLS { cert = second.cert, key = second.key })
  local later = self:open(url)
  lu.assertNotEquals(later.tls.peerCertificate.fingerprint256, before)
  lu.assertFalse(later.tls.resumed) -- what was agreed under other rules is over
  first:send "still here"
  self.rig:events(record, 1)
  lu.assertEquals(tostring(record), "text:still here")
  -- one that cannot be changes nothing
  lu.assertEquals({ server:setTLS { cert = "/no", key = "/no" } },
    { nil, "tls: cert '/no': No such file or directory", "TLS" })
  lu.assertErrorMsgContains("option of tls", server.setTLS, server, { crt = "x" })
  lu.assertErrorMsgContains("tls must be a table, got nil", server.setTLS, server, nil)
  lu.assertEquals(self:open(url).tls.peerCertificate.fingerprint256, later.tls.peerCertificate.fingerprint256)
  server:close()
  lu.assertTrue(server:setTLS { cert = second.cert, key = second.key })
end

function T:test_set_tls_needs_tls()
  local server = self.rig:listen {}
  lu.assertErrorMsgContains("speaks no TLS", server.setTLS, server, {})
end

-- ---- contexts -----------------------------------------------------------------------------

-- A loop may outlive a list, or a certificate: a file that has changed is read by
-- the next client; one that cannot be read, for it is being written, is not.
function T:test_files_that_change()
  local list = self.rig:directory() .. "/list.pem"
  local function put(text)
    files.write(list .. ".new", text)
    assert(os.rename(list .. ".new", list))
  end
  local none, gone = certs.read(certs.list("ca", {})), certs.read(certs.list("ca", { "good" }))
  local _, url = self:server()
  local tls = { ca = self.good.ca, crl = list }
  put(none)
  lu.assertFalse(self:connect(url, tls).resumed)
  lu.assertTrue(self:connect(url, tls).resumed)
  put(gone)
  for _ = 1, 2 do lu.assertStrContains(select(2, self:connect(url, tls)), "certificate is revoked") end
  put(gone:sub(1, 200))
  lu.assertStrContains(select(2, self:connect(url, tls)), "certificate is revoked") -- by the one before
  put(none)
  lu.assertFalse(self:connect(url, tls).resumed)
  os.remove(list)
  lu.assertTrue(self:connect(url, tls).resumed)
end

-- Equal options share a context, and with it the way back to a host.
function T:test_equal_options_are_one_context()
  local _, url = self:server()
  self:open(url)
  self.rig:idle(3)
  local same = { ca = self.good.ca, verify = true, minVersion = "1.2", alpn = { "http/1.1" } }
  lu.assertTrue(self:open(url, same).tls.resumed)
  self.rig:idle(3)
  lu.assertFalse(self:open(url, { ca = self.good.ca, minVersion = "1.3" }).tls.resumed)
end

function T:test_many_contexts()
  local _, url = self:server()
  local list = {}
  for i = 1, 40 do
    list[i] = self.rig:client(url, nil, { tls = { ca = certs.read(self.good.ca) .. ("\n"):rep(i) } })
    if i % 10 == 0 then collectgarbage() end
  end
  self.rig:wait(function()
    for _, socket in ipairs(list) do if socket.readyState ~= 1 then return false end end
    return true
  end)
end

-- A loop with TLS in it is let go at any moment.
function T:test_loops_that_go()
  for turns = 0, 8 do
    local loop = wsock.loop()
    local server = assert(wsock.listen { port = 0, loop = loop, tls = { cert = self.good.cert, key = self.good.key } })
    local url = ("wss://127.0.0.1:%d/"):format(select(2, server:address()))
    wsock.WebSocket(url, nil, { loop = loop, tls = { ca = self.good.ca } })
    for _ = 1, turns do loop:step(0.001) end
    if turns % 2 == 0 then loop:close() end
    loop, server = nil, nil
    collectgarbage()
    collectgarbage()
    lu.assertNil(loop or server)
  end
end

function T:test_in_every_handler()
  for _, event in ipairs { "open", "message", "close", "error" } do
    for _, act in ipairs {
      function(s) s:close() end, function(s) s:terminate() end, function() collectgarbage() end,
      function() error "on purpose" end, function(s) s:send "more" end, function() self.rig.loop:stop() end,
    } do
      local _, url = self:server(nil, {
        onconnection = function(s) s:send "hello" end,
        onmessage = function(s) s:terminate() end,
      })
      local client = self.rig:client(url, nil, { tls = { ca = self.good.ca } })
      local closed
      client:on(event, function() act(client) end)
      client:on("message", function() client:send "bye" end)
      client:on("close", function() closed = true end)
      self.rig:wait(function() return closed or client.readyState == 3 end)
    end
  end
  self.rig.errors = {}
end

-- AU-18, TL-12: a gate sees who shows which certificate.
function T:test_a_gate_knows_the_client_by_its_certificate()
  local tls = { cert = self.good.cert, key = self.good.key, ca = self.good.ca, requestCert = true }
  local seen = {}
  local function verify(request)
    local subject = request.tls.peerCertificate.subject
    seen[#seen + 1] = request.tls.version .. " " .. subject
    return subject:find("^CN=Alice,") ~= nil
  end
  local _, url = self:server(tls, { verify = verify })
  local function visit(kind)
    local c = certs.get(kind)
    return self:open(url, { ca = c.ca, cert = c.cert, key = c.key })
  end
  lu.assertNotNil((visit "client"))
  local _, why = visit "both_uses"
  lu.assertStrContains(why, ": server did not answer 101: 403")
  lu.assertEquals(seen, { "TLSv1.3 CN=Alice, O=Specs", "TLSv1.3 CN=both.test, O=Specs" })
end

return T
