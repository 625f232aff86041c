-- net/tls_ctx: what a context is made from, and whose certificate a name gets.
local lu = require "luaunit"
local certs = require "support.certs"
local hostile = require "support.hostile"
local process = require "support.process"

local T = require "support.tls".class()

-- ---- certificates and keys ----------------------------------------------------------

function T:test_files_and_text()
  local c = self.good
  for _, tls in ipairs {
    { cert = certs.read(c.cert), key = certs.read(c.key) },
    { cert = c.cert, key = certs.read(c.key) },
    { cert = certs.read(c.cert) .. certs.read(c.key) }, -- one text with both
    { cert = certs.read(c.key) .. certs.read(c.cert) },
    { cert = c.cert, key = certs.locked("good", "secret"), password = "secret" },
    { cert = c.cert, key = certs.read(certs.locked("good", "secret")), password = "secret" },
  } do
    local _, url = self:server(tls)
    lu.assertEquals(self:connect(url).peerCertificate.subject, "CN=good.test, O=Specs")
  end
end

-- What is wrong is named, and nothing listens.
function T:test_what_cannot_be()
  local c, second, weak = { cert = self.good.cert, key = self.good.key }, certs.get "second", certs.get "weak"
  local empty = certs.file("empty.pem", "nothing here\n")
  local broken = certs.read(c.cert):gsub("\nM", "\nN", 1)
  for _, row in ipairs {
    { { cert = "/no/such.pem", key = c.key }, "tls: cert '/no/such.pem': No such file or directory" },
    { { cert = c.cert, key = "/no/such.key" }, "tls: key '/no/such.key': No such file or directory" },
    { { cert = empty, key = c.key }, "tls: cert '" .. empty .. "': no good certificate in PEM" },
    { { cert = c.cert, key = empty }, "tls: key '" .. empty .. "': no good private key in PEM" },
    { { cert = broken, key = c.key }, "tls: cert: no good certificate in PEM" },
    { { cert = certs.read(c.cert) .. broken, key = c.key }, "tls: cert: what is behind it cannot be read" },
    { { cert = weak.cert, key = weak.key }, "tls: cert '" .. weak.cert .. "': its key is too weak" },
    { { cert = c.cert }, "tls: key '" .. c.cert .. "': no private key is given, and none is in this" },
    { { key = c.key }, "tls: cert: it is missing, key is there" },
    { {}, "tls: cert: it is missing" },
    { { cert = c.cert, key = second.key }, "tls: key '" .. second.key .. "': it does not belong to the certificate" },
    { { cert = c.cert, key = certs.locked("good", "secret") },
      "tls: key '" .. certs.locked("good", "secret") .. "': it needs a password" },
    { { cert = c.cert, key = certs.read(certs.locked("good", "secret")), password = "wrong" },
      "tls: key: the password is wrong" },
    { { cert = c.cert, key = c.key, requestCert = true, ca = "/no/ca" },
      "tls: ca '/no/ca': No such file or directory" },
    { { cert = c.cert, key = c.key, requestCert = true, ca = empty },
      "tls: ca '" .. empty .. "': no certificate in PEM" },
    { { cert = c.cert, key = c.key, requestCert = true, ca = certs.read(self.good.ca) .. broken },
      "tls: ca: a certificate cannot be read" },
    { { cert = c.cert, key = c.key, sni = { ["a.test"] = { cert = "/no" } } },
      "tls: sni 'a.test': cert '/no': No such file or directory" },
    { { cert = c.cert, key = c.key, sni = { ["a.test"] = {} } }, "tls: sni 'a.test': cert: it is missing" },
    { { cert = c.cert, key = c.key, sni = { ["*x"] = c } }, "tls: sni '*x': it is no host name" },
    { { cert = c.cert, key = c.key, sni = { ["https://a"] = c } }, "tls: sni 'https://a': it is no host name" },
    { { cert = c.cert, key = c.key, sni = { ["a:443"] = c } }, "tls: sni 'a:443': it is no host name" },
    { { cert = c.cert, key = c.key, sni = { ["*.*.a"] = c } }, "tls: sni '*.*.a': it is no host name" },
    { { cert = c.cert, key = c.key, sni = { [("a"):rep(256)] = c } },
      "tls: sni '" .. ("a"):rep(200) .. "': it is no host name" },
  } do
    local wsock = require "wsock"
    local server, message, code = wsock.listen { port = 0, loop = self.rig.loop, tls = row[1] }
    lu.assertEquals({ server, message, code }, { nil, row[2], "TLS" })
  end
end

-- ---- whom to trust ---------------------------------------------------------------------

function T:test_authorities()
  local _, url = self:server()
  for _, ca in ipairs {
    self.good.ca, certs.read(self.good.ca), certs.directory(),
    certs.read(certs.authority "other_ca") .. "\n" .. certs.read(self.good.ca),
    "what is said in between\n" .. certs.read(self.good.ca):gsub("\n", "\r\n") .. certs.read(self.good.key) .. "x",
  } do lu.assertNotNil(self:connect(url, { ca = ca }), ca) end
  local none, why = self:connect(url, { ca = certs.authority "other_ca" })
  lu.assertNil(none)
  lu.assertStrContains(why, "unknown authority")
end

-- OpenSSL's own way to name the system's authorities.
function T:test_the_system_store()
  local _, url = self:server()
  local script = ([[
    local wsock = require "wsock"
    local s = wsock.WebSocket %q
    s.onopen = function() print "open" s:close() end
    s.onerror = function(e) print(e.message) end
    wsock.run()]]):format(url)
  for file, words in pairs { [self.good.ca] = "open", [certs.authority "other_ca"] = "unknown authority" } do
    self.program = process.start_lua { "-e", script, env = { SSL_CERT_FILE = file, SSL_CERT_DIR = "/nowhere" } }
    local function turn() self.rig:turn() end
    self.program:expect(words, 10, turn)
    self.program:wait(10, turn) -- not killed while it cleans up
    self.program:stop()
  end
end

-- ---- versions, protocols --------------------------------------------------------

function T:test_versions()
  local c = self.good
  local function tls(more)
    more.cert, more.key = c.cert, c.key
    return more
  end
  local _, url, port = self:server(tls { minVersion = "1.3" })
  lu.assertEquals(self:connect(url).version, "TLSv1.3")
  lu.assertEquals(self:connect(url, { ca = c.ca, minVersion = "1.3" }).version, "TLSv1.3")
  lu.assertNil(hostile.client(self.rig, port, { old = "1.2" }))
end

function T:test_alpn()
  local c = self.good
  local _, _, port = self:server()
  local function ask(list)
    local program = process.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-alpn", list }
    self.program = program
    program:wait(5, function() self.rig:turn() end)
    local text = program:output()
    program:stop()
    return text
  end
  lu.assertStrContains(ask "h2,http/1.1", "ALPN protocol: http/1.1")
  lu.assertStrContains(ask "h2", "no application protocol")
  local _, url = self:server { cert = c.cert, key = c.key, alpn = { "other" } }
  local none, why = self:connect(url)
  lu.assertNil(none)
  lu.assertStrContains(why, "the peer refused: no application protocol")
  lu.assertNotNil(self:connect(url, { ca = c.ca, alpn = { "other" } }))
  lu.assertNotNil(self:connect(url, { ca = c.ca, alpn = {} })) -- who asks for none gets one
end

return T
