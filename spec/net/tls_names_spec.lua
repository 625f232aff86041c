-- net/tls_names: whose certificate a name gets, what a client asks for, and that
-- what was agreed for one name is not taken up for another.
local lu = require "luaunit"
local certs = require "support.certs"
local process = require "support.process"

local T = require "support.tls".class()

-- S95: two certificates on one port.
function T:test_a_name_gets_its_certificate()
  local _, url = self:two_names()
  for name, subject in pairs {
    ["a.test"] = "a.test", ["b.test"] = "b.test", ["www.b.test"] = "b.test", ["WWW.B.TEST"] = "b.test",
    ["a.test."] = "a.test",
  } do
    local info, why = self:connect(url, { ca = self.good.ca, serverName = name })
    lu.assertEquals(info and info.peerCertificate.subject or why, "CN=" .. subject .. ", O=Specs")
  end
  for _, name in ipairs { "c.test", "x.www.b.test", "x.a.test" } do -- TL-05: goes on with the first one
    local _, why = self:connect(url, { ca = self.good.ca, serverName = name })
    lu.assertStrContains(why, "it is for localhost, 127.0.0.1")
  end
  lu.assertEquals(self:connect(url).peerCertificate.subject, "CN=good.test, O=Specs") -- an address: no SNI
end

-- The extensions of a ClientHello, by number.
local function extensions(text)
  local at = 1 + 5 + 4 + 2 + 32
  at = at + 1 + text:byte(at) -- session id
  at = at + 2 + (">I2"):unpack(text, at) -- ciphers
  at = at + 1 + text:byte(at) -- compressions
  local found, stop = {}, at + 2 + (">I2"):unpack(text, at)
  at = at + 2
  while at < stop do
    local kind, data
    kind, data, at = (">I2s2"):unpack(text, at)
    assert(not found[kind], "twice")
    found[kind] = data
  end
  return found
end

-- TL-02, TL-03, TL-04: what a client asks for.
function T:test_what_a_client_asks_for()
  local raw = self.rig:raw_server()
  local function hello(tls)
    local client = self.rig:client("wss://127.0.0.1:" .. raw.port, nil, { tls = tls })
    local peer = raw:accept()
    self.rig:wait(function()
      local got = peer:look()
      return #got > 5 and #got >= 5 + (">I2"):unpack(got, 4)
    end)
    client:terminate()
    self.rig:idle(2)
    return extensions(peer.got)
  end
  local function sni(name) return (">s2"):pack(("\0" .. (">s2"):pack(name))) end
  lu.assertNil(hello {}[0]) -- an address is no name
  lu.assertNil(hello { serverName = "::1" }[0])
  lu.assertEquals(hello { serverName = "a.test" }[0], sni "a.test")
  lu.assertEquals(hello { serverName = "a.test." }[0], sni "a.test")
  lu.assertEquals(hello {}[16], (">s2"):pack "\8http/1.1")
  lu.assertEquals(hello { alpn = { "a", "bc" } }[16], (">s2"):pack "\1a\2bc")
  lu.assertNil(hello { alpn = {} }[16])
  lu.assertNil(hello {}[42]) -- early data
end

function T:test_client_certificates_and_names()
  local a, client = certs.get "a_test", certs.get "client"
  local named = {}
  local _, url = self:server({
    cert = self.good.cert, key = self.good.key, ca = self.good.ca, requestCert = true,
    sni = { ["a.test"] = { cert = a.cert, key = a.key } },
  }, { onconnection = function(socket) named[#named + 1] = socket.tls.peerCertificate.subject end })
  local tls = { ca = self.good.ca, cert = client.cert, key = client.key, serverName = "a.test" }
  lu.assertEquals(self:connect(url, tls).peerCertificate.subject, "CN=a.test, O=Specs")
  lu.assertTrue(self:connect(url, tls).resumed)
  self.rig:wait(function() return #named == 2 end)
  lu.assertEquals(named, { "CN=Alice, O=Specs", "CN=Alice, O=Specs" })
  local none, why = self:connect(url, { ca = self.good.ca, serverName = "a.test" })
  lu.assertTrue(none == nil or why == nil) -- TLS 1.3 tells a client late
end

-- TL-06, of the server: in TLS 1.2 a session of one name is not resumed for
-- another (in 1.3 the name is asked for and answered anew, RFC 8446 4.2.11).
function T:test_no_session_of_another_name()
  local _, _, port = self:two_names()
  local file = certs.file("named.pem", "")
  local function visit(name, ...)
    local program <close> = process.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_2",
      "-servername", name, ... }
    program:wait(5, function() self.rig:turn() end)
    return program:output()
  end
  lu.assertStrContains(visit("a.test", "-sess_out", file), "New, TLSv1.2")
  lu.assertStrContains(visit("a.test", "-sess_in", file), "Reused, TLSv1.2")
  local text = visit("b.test", "-sess_in", file)
  lu.assertStrContains(text, "New, TLSv1.2")
  lu.assertStrContains(text, "CN = b.test")
end

return T
