-- spec/support/tls.lua -- what the specs of TLS share: a class with a rig, a good
-- certificate, servers that speak TLS and clients that trust them.

local lu = require "luaunit"
local bytes = require "support.bytes"
local certs = require "support.certs"
local relays = require "support.relay"
local rigs = require "support.rig"

local sys = require "wsock.probe".net.sys

sys.reach() -- faults of these specs are the module's

local M = {}

--- A spec's class; a test may leave a program in self.program.
function M.class()
  local T = rigs.class(function(self) self.good = certs.get "good" end)
  local close_rig = T.tearDown

  function T:tearDown()
    for _, call in ipairs { "recv", "send", "sendmsg" } do sys.fault(call, 0, 0) end
    if self.program then self.program:stop() end
    close_rig(self)
  end

  --- A server with the good certificate unless tls: server, url, port.
  function T:server(tls, options)
    local o = { tls = tls or { cert = self.good.cert, key = self.good.key } }
    for k, v in pairs(options or {}) do o[k] = v end
    local server, url, port = self.rig:listen(o)
    return server, (url:gsub("^ws:", "wss:")), port
  end

  --- A client that trusts our authority unless tls, and its record.
  function T:client(url, tls, options)
    local o = { tls = tls or { ca = self.good.ca } }
    for k, v in pairs(options or {}) do o[k] = v end
    local client = self.rig:client(url, nil, o)
    return client, rigs.record(client)
  end

  --- The same, open; or nil and the message it was refused with.
  function T:open(url, tls, options)
    local client, record = self:client(url, tls, options)
    self.rig:wait(function() return client.readyState ~= 0 end, "neither open nor closed")
    if client.readyState == 1 then return client, record end
    self.rig:closed(record)
    return nil, record.message
  end

  --- Connects and closes: what socket.tls was; or nil and the message.
  function T:connect(url, tls)
    local client, record = self:open(url, tls)
    if not client then return nil, record end
    local info = client.tls
    self.rig:idle(3) -- a ticket comes behind the handshake
    client:close(1000)
    self.rig:closed(record)
    return info
  end

  --- A server with three certificates.
  function T:two_names(more)
    local a, b = certs.get "a_test", certs.get "b_test"
    local tls = {
      cert = self.good.cert, key = self.good.key,
      sni = { ["A.test"] = { cert = a.cert, key = a.key }, ["b.test"] = { cert = b.cert, key = b.key },
        ["*.b.test"] = { cert = certs.read(b.cert), key = certs.read(b.key) } },
    }
    for k, v in pairs(more or {}) do tls[k] = v end
    return self:server(tls)
  end

  --- A client and a server's socket, a relay between them if pieces.
  function T:pair(client_options, server_options, pieces)
    local far, far_record
    local o = { onconnection = function(socket) far, far_record = socket, rigs.record(socket) end }
    for k, v in pairs(server_options or {}) do o[k] = v end
    local server, url, port = self:server(nil, o)
    local relay = pieces and relays.new(self.rig, port, pieces)
    if relay then url = "wss://127.0.0.1:" .. relay.port .. "/" end
    local near, record = self:client(url, nil, client_options)
    self.rig:wait(function() return far and near.readyState == 1 end, function() return tostring(record) end)
    return { near = near, near_record = record, far = far, far_record = far_record, relay = relay, server = server }
  end

  --- Echoes of all sizes that matter to records, both ways at once.
  function T:echo(p, sizes)
    local sent, got = {}, { {}, {} }
    p.near:on("message", function(data) got[1][#got[1] + 1] = data end)
    p.far:on("message", function(data) got[2][#got[2] + 1] = data end)
    for i, size in ipairs(sizes) do
      sent[i] = bytes.random(size)
      lu.assertTrue(p.near:send(sent[i], "binary"))
      lu.assertTrue(p.far:send(sent[i], "binary"))
    end
    self.rig:wait(function() return #got[1] == #sizes and #got[2] == #sizes end, function()
      return ("%d, %d of %d: %s %s"):format(#got[1], #got[2], #sizes, tostring(p.near_record), tostring(p.far_record))
    end)
    for i = 1, #sizes do lu.assertTrue(got[1][i] == sent[i] and got[2][i] == sent[i], sizes[i]) end
  end

  --- The closing handshake, TLS's too.
  function T:finish(p)
    p.near:close(1000, "bye")
    self.rig:closed(p.near_record)
    self.rig:closed(p.far_record)
    lu.assertEquals(p.near_record:last(), "close:1000:bye:true")
    lu.assertEquals(p.far_record:last(), "close:1000:bye:true")
  end

  return T
end

return M
