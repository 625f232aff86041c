-- net/tls_ctx: lists of what is revoked (RFC 5280 5), whom they are asked about,
-- and who takes them up; what they say in words is tls_words_spec's.
local lu = require "luaunit"
local certs = require "support.certs"

local T = require "support.tls".class()

local function lists(...)
  local texts = {}
  for i, path in ipairs { ... } do texts[i] = certs.read(path) end
  return table.concat(texts, "\n")
end

-- A server with that kind of certificate.
function T:kind(name)
  local c = certs.get(name)
  return (select(2, self:server { cert = c.cert, key = c.key }))
end

function T:refused(url, tls, words)
  local info, why = self:connect(url, tls)
  lu.assertNil(info, words)
  lu.assertStrContains(why, words)
end

-- ---- how a list is given ----------------------------------------------------------

function T:test_a_file_a_text_and_several()
  local url, ca, gone = self:kind "revoked", self.good.ca, "certificate is revoked (CN=gone.test, since 2022-03-04)"
  local list, other = certs.list("ca", { "revoked" }), certs.list("other_ca", {})
  for _, crl in ipairs {
    list, lists(list), lists(other, list), lists(list, other),
    certs.file("two.crl", lists(other, list)), lists(ca, list), -- what else is in a file counts for nothing
  } do self:refused(url, { ca = ca, crl = crl }, gone) end
  lu.assertNotNil(self:connect(url, { ca = ca })) -- who gives no list asks nobody
  lu.assertNotNil(self:connect(url, { ca = ca, crl = certs.list("ca", { "client" }) }))
end

function T:test_what_is_no_list()
  local ca, list = self.good.ca, lists(certs.list("ca", {}))
  local cut = list:sub(1, #list // 2)
  local broken = list:gsub("\nM", "\nN", 1)
  local function try(crl)
    local wsock = require "wsock"
    local server, message, code = wsock.listen { port = 0, loop = self.rig.loop,
      tls = { cert = self.good.cert, key = self.good.key, requestCert = true, ca = ca, crl = crl } }
    lu.assertNil(server)
    lu.assertEquals(code, "TLS")
    return message
  end
  local empty = certs.file("no.crl", "nothing here\n")
  lu.assertEquals(try "/no/such.crl", "tls: crl '/no/such.crl': No such file or directory")
  lu.assertEquals(try(empty), "tls: crl '" .. empty .. "': no revocation list in PEM")
  lu.assertEquals(try(ca), "tls: crl '" .. ca .. "': no revocation list in PEM")
  lu.assertEquals(try(lists(ca)), "tls: crl: no revocation list in PEM")
  lu.assertEquals(try(cut), "tls: crl: a revocation list cannot be read")
  -- be the first one good: whom the second would refuse nobody knows
  for _, text in ipairs { list .. cut, list .. broken, broken .. list } do
    lu.assertEquals(try(text), "tls: crl: a revocation list cannot be read")
  end
  for n = 1, #list - 26, 7 do -- its last line is 26 with the end of it
    lu.assertStrContains(try(list .. "-----BEGIN X509 CRL-----\n" .. list:sub(26, 26 + n % 200)), "cannot be read")
  end
end

-- ---- chains -----------------------------------------------------------------------------

-- Each certificate of a chain is looked for in the list of who signed it, and
-- there has to be one; as nginx, curl and Node do it.
function T:test_a_chain_needs_a_list_of_each_authority()
  local url, ca = self:kind "chained", self.good.ca
  local root, middle = certs.list("ca", {}), certs.list("middle", {})
  lu.assertNotNil(self:connect(url, { ca = ca, crl = lists(root, middle) }))
  self:refused(url, { ca = ca, crl = root },
    "there is no list of its authority (CN=chained.test, by CN=Spec Middle)")
  self:refused(url, { ca = ca, crl = middle }, "there is no list of its authority (CN=Spec Middle, by CN=Spec Root)")
  self:refused(url, { ca = ca, crl = lists(root, certs.list("middle", { "chained" })) },
    "certificate is revoked (CN=chained.test, ")
  self:refused(url, { ca = ca, crl = lists(certs.list("ca", { "middle" }), middle) },
    "certificate is revoked (CN=Spec Middle, ")
  self:refused(url, { ca = ca, crl = lists(certs.list("ca", {}, "past"), middle) },
    "revocation list has expired (CN=Spec Root, 2021-01-02)")
end

-- No list can speak of who is trusted by name and is no root: its issuer is not
-- in the chain. One that does counts.
function T:test_whom_ca_names_needs_no_list()
  local url, middle = self:kind "chained", certs.authority "middle"
  lu.assertNotNil(self:connect(url, { ca = middle, crl = certs.list("middle", {}) }))
  lu.assertNotNil(self:connect(url, { ca = middle, crl = lists(certs.list("middle", {}), certs.list("ca", {})) }))
  self:refused(url, { ca = middle, crl = certs.list("middle", { "chained" }) }, "certificate is revoked")
  self:refused(url, { ca = middle, crl = certs.list("ca", {}) }, "there is no list of its authority (CN=chained.test")
  local own = certs.get "self_signed"
  lu.assertNotNil(self:connect(self:kind "self_signed", { ca = own.cert, crl = certs.list("ca", {}) }))
end

-- It is let off the list, and nothing else.
function T:test_whom_ca_names_has_to_be_good_all_the_same()
  for name, words in pairs { expired = "certificate has expired (CN=old.test", future = "not valid yet (CN=new.test",
    other_host = "certificate is not for " } do
    for _, list in ipairs { certs.list("ca", {}), certs.list("other_ca", {}) } do
      self:refused(self:kind(name), { ca = certs.get(name).cert, crl = list }, words)
    end
  end
end

function T:test_an_authority_that_revoked_itself()
  self:refused(self:kind "good", { ca = self.good.ca, crl = certs.list("ca", { "ca" }) },
    "certificate is revoked (CN=Spec Root, ")
end

-- ---- servers ---------------------------------------------------------------------------

function T:test_clients_of_a_server()
  local tls = { requestCert = true, ca = self.good.ca, crl = certs.list("ca", { "client_revoked" }) }
  local refused
  local server, url = self:two_names(tls)
  server:on("refused", function(message, code) refused = code .. " " .. message end)
  for _, name in ipairs { "localhost", "a.test", "x.b.test" } do -- one list for all names
    for _, version in ipairs { "1.2", "1.3" } do
      local function mine(kind)
        local c = certs.get(kind)
        return { ca = self.good.ca, serverName = name, cert = c.cert, key = c.key, minVersion = version }
      end
      lu.assertNotNil(self:connect(url, mine "client"))
      refused = nil
      local _, record = self:client(url, mine "client_revoked")
      self.rig:wait(function() return refused and record.closed end, "not refused")
      lu.assertEquals(refused, "TLS TLS handshake: certificate is revoked (CN=Gone Alice, since 2022-03-04)")
      lu.assertStrContains(record.message, "the peer refused: certificate revoked")
    end
  end
end

-- Who was let in stays, and does not come back, by a ticket either.
function T:test_revoked_while_the_server_runs()
  local client = certs.get "client"
  local function tls(...)
    return { cert = self.good.cert, key = self.good.key, requestCert = true, ca = self.good.ca,
      crl = certs.list("ca", { ... }) }
  end
  local server, url = self:server(tls())
  local mine = { ca = self.good.ca, cert = client.cert, key = client.key }
  lu.assertNotNil(self:connect(url, mine))
  lu.assertTrue(self:connect(url, mine).resumed)
  local socket, record = self:open(url, mine)
  lu.assertTrue(server:setTLS(tls "client"))
  local _, why = self:open(url, mine)
  lu.assertStrContains(why or "let in", "the peer refused: certificate revoked")
  lu.assertEquals(socket.readyState, 1)
  socket:close(1000)
  self.rig:closed(record)
  local ok, message, code = server:setTLS { cert = self.good.cert, key = self.good.key, requestCert = true,
    ca = self.good.ca, crl = "/no/such" }
  lu.assertEquals({ ok, message, code }, { nil, "tls: crl '/no/such': No such file or directory", "TLS" })
end

-- Clients share what equal options lead to; other lists are other options.
function T:test_a_list_that_is_renewed()
  local url, ca = self:kind "revoked", self.good.ca
  lu.assertNotNil(self:connect(url, { ca = ca, crl = lists(certs.list("ca", {})) }))
  self:refused(url, { ca = ca, crl = lists(certs.list("ca", { "revoked" })) }, "certificate is revoked")
end

return T
