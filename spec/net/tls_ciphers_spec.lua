-- net/tls_ciphers: which cipher it comes to, and that a server's list holds for
-- each of its names.
local lu = require "luaunit"
local hostile = require "support.hostile"
local wsock = require "wsock"

local T = require "support.tls".class()

local AES128, AES256, CHACHA = "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"

function T:tls(ciphers) return { cert = self.good.cert, key = self.good.key, ciphers = ciphers } end

-- The cipher of a client with that list at a server with that list.
function T:cipher(client, server)
  local _, url = self:server(self:tls(server))
  local info, why = self:connect(url, { ca = self.good.ca, ciphers = client })
  return info and info.cipher or why
end

function T:test_the_order_is_the_server_s()
  lu.assertEquals(self:cipher(), AES128)
  lu.assertEquals(self:cipher(AES256 .. ":" .. AES128), AES128)
  lu.assertEquals(self:cipher(AES256), AES256)
  lu.assertEquals(self:cipher(AES128 .. ":" .. AES256, AES256 .. ":" .. AES128), AES256)
  lu.assertEquals(self:cipher(nil, CHACHA), CHACHA)
end

-- Who has no AES in hardware has ChaCha20 in front, and is heard.
function T:test_chacha_for_who_wants_it_most()
  lu.assertEquals(self:cipher(CHACHA .. ":" .. AES128), CHACHA)
  lu.assertEquals(self:cipher(AES128 .. ":" .. CHACHA), AES128)
end

function T:test_none_in_common()
  lu.assertStrContains(self:cipher(AES128, CHACHA), "TLS handshake with 127.0.0.1: the peer refused: handshake failure")
end

-- Lists of TLS 1.2 leave those of 1.3 as they were, and the other way round.
function T:test_lists_of_either_version()
  local old = "ECDHE-ECDSA-AES256-GCM-SHA384"
  lu.assertEquals(self:cipher(nil, old), AES128)
  lu.assertEquals(self:cipher(old), AES128)
  local _, _, port = self:server(self:tls(CHACHA .. ":" .. old))
  local peer = hostile.client(self.rig, port, { old = "1.2", ciphers = "ALL" })
  lu.assertEquals(peer.tls:cipher(), old)
end

-- In TLS 1.2 OpenSSL asks the context of the name: it has the server's list, too.
function T:test_a_list_holds_for_all_names()
  local only, other = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"
  local refused = ""
  local server, _, port = self:two_names { ciphers = only .. ":" .. CHACHA }
  server.onrefused = function(message) refused = refused .. message .. "\n" end
  for _, name in ipairs { "a.test", "www.b.test", "c.test" } do
    lu.assertEquals(hostile.client(self.rig, port, { old = "1.2", name = name, ciphers = "ALL" }).tls:cipher(), only)
    lu.assertNil(hostile.client(self.rig, port, { old = "1.2", name = name, ciphers = other }))
  end
  self.rig:wait(function() return select(2, refused:gsub("TLS handshake: no cipher in common", "")) == 3 end, refused)
end

function T:test_lists_that_cannot_be()
  for list, words in pairs {
    NONSENSE = "OpenSSL knows none of them", TLS_NO = "OpenSSL knows none of them",
    [("A"):rep(600)] = "the list is too long",
  } do
    local server, message, code = wsock.listen { port = 0, loop = self.rig.loop, tls = self:tls(list) }
    lu.assertEquals({ server, message, code }, { nil, "tls: ciphers: " .. words, "TLS" })
  end
end

return T
