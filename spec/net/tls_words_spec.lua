-- net/tls_words: each way a certificate can be bad has a sentence of its own,
-- which names the check and the name (threats.md 8, S1; TL-07).
local lu = require "luaunit"
local certs = require "support.certs"
local rigs = require "support.rig"
local base64 = require "wsock.core".codec.base64

local T = rigs.class()

-- A server with a certificate of that kind, and what our client says of it.
function T:visit(kind, tls, server_tls, host)
  local c = certs.get(kind)
  local o = { cert = c.cert, key = c.key }
  for k, v in pairs(server_tls or {}) do o[k] = v end
  local refused
  local _, url = self.rig:listen { tls = o, onrefused = function(message, code) refused = { message, code } end }
  url = url:gsub("^ws:", "wss:")
  if host then url = url:gsub("127%.0%.0%.1", host) end
  local client = self.rig:client(url, nil, { tls = tls or { ca = c.ca } })
  local record = rigs.record(client)
  self.rig:wait(function() return client.readyState ~= 0 end, "neither open nor closed")
  if client.readyState == 1 then
    client:close(1000)
    self.rig:closed(record)
    return "open", client
  end
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:TLS close:1006::false")
  self.rig:wait(function() return refused end, "the server does not know")
  lu.assertEquals(refused[2], "TLS")
  return record.message, refused[1]
end

local with = "TLS handshake with 127.0.0.1: "

function T:test_a_good_one()
  lu.assertEquals(self:visit "good", "open")
  lu.assertEquals(self:visit("good", nil, nil, "localhost"), "open")
end

function T:test_each_failure_in_its_own_words()
  for kind, words in pairs {
    expired = "certificate has expired (CN=old.test, 2021-01-02)",
    future = "certificate is not valid yet (CN=new.test, from 2090-01-02)",
    self_signed = "certificate is self-signed (CN=own.test)",
    unknown = "certificate is from an unknown authority (CN=stranger.test, by CN=Other Root)",
    other_host = "certificate is not for 127.0.0.1: it is for a.test, b.test, 10.0.0.1",
    client = "certificate is not meant for servers (CN=Alice)",
    no_names = "certificate is not for 127.0.0.1: it names no host",
    address_name = "certificate is not for 127.0.0.1: it is for DNS:127.0.0.1, a.test, 10.0.0.1",
    signed_by_a_server = "certificate must not sign others, and does (CN=Some Server)",
  } do
    lu.assertEquals(self:visit(kind), with .. words, kind)
  end
end

-- By OpenSSL's own idea of what is weak, which a server can be talked out of.
function T:test_a_weak_key()
  lu.assertEquals(self:visit("weak", nil, { ciphers = "DEFAULT:@SECLEVEL=0" }),
    with .. "certificate has a key that is too weak (CN=weak.test)")
end

function T:test_the_server_hears_why()
  for kind, words in pairs {
    expired = "certificate expired", unknown = "unknown CA", self_signed = "unknown CA",
    client = "unsupported certificate",
  } do
    local _, refused = self:visit(kind)
    lu.assertEquals(refused, "TLS handshake: the peer refused: " .. words, kind)
  end
end

-- CN is no host name (RFC 9525 2), and an address in it no address.
function T:test_the_common_name_does_not_count()
  lu.assertEquals(self:visit("cn_only", nil, nil, "localhost"),
    "TLS handshake with localhost: certificate is not for localhost: it names no host")
end

-- A wildcard stands for one whole label, the left-most.
function T:test_wildcards()
  local ca = certs.authority "ca"
  for name, ok in pairs {
    ["a.wild.test"] = true, ["A.Wild.Test"] = true, ["a.wild.test."] = true,
    ["wild.test"] = false, ["a.b.wild.test"] = false, ["a.wild.test.evil"] = false, [".wild.test"] = false,
  } do
    local words = self:visit("wild", { ca = ca, serverName = name })
    if ok then lu.assertEquals(words, "open", name) else lu.assertStrContains(words, "it is for *.wild.test") end
  end
  lu.assertStrContains(self:visit("partial", { ca = ca, serverName = "ww.wild.test" }), "it is for w*.wild.test")
end

function T:test_a_chain_with_an_authority_in_between()
  lu.assertEquals(self:visit "chained", "open")
  local c = certs.get "chained"
  local leaf = certs.read(c.cert):match "^.-%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n"
  lu.assertEquals(self:visit("chained", nil, { cert = leaf }),
    with .. "certificate is from an unknown authority (CN=chained.test, by CN=Spec Middle)")
  -- Whoever is named is trusted, be it no root.
  lu.assertEquals(self:visit("chained", { ca = certs.authority "middle" }, { cert = leaf }), "open")
  lu.assertEquals(self:visit("self_signed", { ca = certs.get("self_signed").cert }), "open")
end

-- A root that came along is no reason to trust it.
function T:test_a_root_that_comes_along()
  local c = certs.get "unknown"
  local chain = certs.read(c.cert) .. certs.read(certs.authority "other_ca")
  lu.assertEquals(self:visit("unknown", nil, { cert = chain }),
    with .. "certificate is from an authority we do not trust (CN=Other Root)")
end

function T:test_the_system_knows_no_authority_of_ours()
  lu.assertStrContains(self:visit("good", {}), "unknown authority")
end

-- ---- revocation (RFC 5280 5) ---------------------------------------------------------

-- The server with that kind of certificate, judged by lists.
function T:judged(kind, ...)
  local texts = {}
  for _, list in ipairs { ... } do texts[#texts + 1] = certs.read(list) end
  return (self:visit(kind, { ca = certs.authority "ca", crl = table.concat(texts) }))
end

function T:test_what_a_list_says_in_its_own_words()
  local list = certs.list("ca", { "revoked", "client_revoked" })
  local none = certs.list("other_ca", {})
  lu.assertEquals(self:judged("good", list), "open")
  lu.assertEquals(self:judged("revoked", list), with .. "certificate is revoked (CN=gone.test, since 2022-03-04)")
  lu.assertEquals(self:judged("good", none),
    with .. "certificate may be revoked: there is no list of its authority (CN=good.test, by CN=Spec Root)")
  lu.assertEquals(self:judged("good", certs.list("ca", {}, "past")),
    with .. "revocation list has expired (CN=Spec Root, 2021-01-02)")
  lu.assertEquals(self:judged("good", certs.list("ca", {}, "future")),
    with .. "revocation list is not valid yet (CN=Spec Root, from 2090-01-02)")
  -- what is wrong besides is told as ever
  lu.assertStrContains(self:judged("expired", list), "certificate has expired (CN=old.test, 2021-01-02)")
  lu.assertStrContains(self:judged("unknown", list), "certificate is from an unknown authority")
  lu.assertStrContains(self:judged("other_host", list), "certificate is not for 127.0.0.1")
end

-- A list that says what its authority did not sign.
function T:test_a_forged_list()
  local text = certs.read(certs.list("ca", { "revoked" }))
  local head, body, foot = text:match "^(%-.-%-\n)(.*)(\n%-.*)$"
  local forged = base64.decode((body:gsub("\n", ""))):gsub("220304050607Z", "220304050608Z")
  text = head .. base64.encode(forged):gsub(("."):rep(64), "%0\n") .. foot
  lu.assertEquals(self:judged("good", certs.file("forged.crl", text)),
    with .. "revocation list cannot be trusted: its authority did not sign it (CN=Spec Root)")
end

function T:test_the_server_hears_of_revocation()
  local tls = { ca = certs.authority "ca", crl = certs.list("ca", { "revoked" }) }
  local _, refused = self:visit("revoked", tls)
  lu.assertEquals(refused, "TLS handshake: the peer refused: certificate revoked")
end

-- Only `false` written out turns it off (TL-08).
function T:test_verify_false()
  for _, kind in ipairs { "expired", "self_signed", "unknown", "other_host" } do
    lu.assertEquals(self:visit(kind, { verify = false }), "open", kind)
  end
end

-- What a stranger wrote into a certificate cannot write on our terminal.
function T:test_control_characters()
  lu.assertEquals(self:visit "control",
    with .. "certificate is from an unknown authority (CN=a?b, by CN=Other Root)")
end

-- ---- certificates of clients -----------------------------------------------------------

-- In TLS 1.3 the client is done before the server has looked: both orders.
function T:client_certificate(kind, version, mine)
  local good, ca = certs.get "good", certs.authority "ca"
  local refused, named
  local _, url = self.rig:listen {
    tls = { cert = good.cert, key = good.key, ca = ca, requestCert = true },
    onrefused = function(message, code) refused = code .. " " .. message end,
    onconnection = function(socket) named = socket.tls.peerCertificate.subject end,
  }
  local c = kind and certs.get(kind) or {}
  local client = self.rig:client(url:gsub("^ws:", "wss:"), nil,
    { tls = { ca = ca, cert = c.cert, key = c.key, minVersion = version }, maxPayload = mine })
  local record = rigs.record(client)
  self.rig:wait(function() return named or refused and record.closed end, function() return tostring(record) end)
  if named then return named end
  return refused, record.message, record.code
end

function T:test_client_certificates()
  lu.assertEquals(self:client_certificate "client", "CN=Alice, O=Specs")
  local refused, message, code = self:client_certificate(nil)
  lu.assertEquals(refused, "TLS TLS handshake: the client showed no certificate")
  lu.assertEquals({ message, code }, { "TLS: the peer refused: certificate required", "TLS" })
  refused, message = self:client_certificate "client_old"
  lu.assertEquals(refused, "TLS TLS handshake: certificate has expired (CN=Old Alice, 2021-01-02)")
  lu.assertStrContains(message, "the peer refused: certificate expired")
  refused, message = self:client_certificate "client_unknown"
  lu.assertEquals(refused, "TLS TLS handshake: certificate is from an unknown authority (CN=Mallory, by CN=Other Root)")
  lu.assertStrContains(message, "the peer refused: unknown CA")
  refused = self:client_certificate "good"
  lu.assertEquals(refused, "TLS TLS handshake: certificate is not meant for clients (CN=good.test)")
end

-- Without verify anything is accepted, and shown.
function T:test_client_certificates_that_are_only_looked_at()
  local good, own = certs.get "good", certs.get "self_signed"
  local seen = {}
  local _, url = self.rig:listen {
    tls = { cert = good.cert, key = good.key, requestCert = true, verify = false },
    onconnection = function(socket)
      local cert = socket.tls.peerCertificate
      seen[#seen + 1] = cert and cert.subject or "none"
    end,
  }
  url = url:gsub("^ws:", "wss:")
  for _, c in ipairs { own, {} } do
    local client = self.rig:client(url, nil, { tls = { ca = good.ca, cert = c.cert, key = c.key } })
    self.rig:wait(function() return client.readyState == 1 end)
  end
  self.rig:wait(function() return #seen == 2 end)
  lu.assertEquals(seen, { "CN=own.test, O=Specs", "none" })
end

return T
