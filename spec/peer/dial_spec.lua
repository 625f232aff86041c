-- peer/dial: a client's way to a connected socket, and its failures in words.
local lu = require "luaunit"
local ipv6 = require "support.ipv6"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

-- The error and the close of a client that fails: message, code, close code.
function T:failure(url, options)
  local client = self.rig:client(url, nil, options)
  local got = {}
  client:on("error", function(message, code) got.message, got.code = message, code end)
  client:on("close", function(code, _, clean) got.close, got.clean = code, clean end)
  lu.assertNil(got.close) -- nothing before the loop turns (W-12)
  self.rig:wait(function() return got.close end)
  lu.assertEquals({ got.close, got.clean }, { 1006, false })
  return got.message, got.code
end

function T:test_refused()
  local port = self.rig:dead_port()
  local message, code = self:failure(("ws://127.0.0.1:%d/"):format(port))
  lu.assertEquals(message, ("connect 127.0.0.1:%d: Connection refused"):format(port))
  lu.assertEquals(code, "ECONNREFUSED")
end

function T:test_refused_by_ipv6()
  ipv6.needed()
  local port = self.rig:dead_port()
  lu.assertEquals({ self:failure(("ws://[::1]:%d/"):format(port)) },
    { ("connect [::1]:%d: Connection refused"):format(port), "ECONNREFUSED" })
end

function T:test_refused_at_port_0()
  lu.assertStrContains((self:failure "ws://127.0.0.1:0/"), "connect 127.0.0.1:0: ")
end

function T:test_every_address_of_a_name_is_tried()
  local message, code = self:failure(("ws://localhost:%d/"):format(self.rig:dead_port()))
  lu.assertStrMatches(message, "connect .+:%d+: .+")
  lu.assertStrMatches(code, ipv6.here and "ECONNREFUSED" or "E%u+") -- the last one's: there is no ::1 without IPv6
end

function T:test_a_name_that_has_an_answer_among_dead_ones()
  local server = self.rig:listen { port = 0 } -- on 127.0.0.1 only
  local _, port = server:address()
  local client = self.rig:client(("ws://localhost:%d/"):format(port))
  self.rig:wait(function() return client.readyState == client.OPEN end)
  lu.assertEquals(client.remoteAddress, "127.0.0.1")
end

function T:test_names_that_do_not_exist()
  local message, code = self:failure "ws://nobody.invalid/"
  lu.assertStrMatches(message, "resolve nobody%.invalid: .+")
  lu.assertStrMatches(code, "EAI_%u+")
end

function T:test_unix_sockets()
  local path = os.tmpname()
  os.remove(path)
  local message, code = self:failure(("ws+unix:%s:/"):format(path))
  lu.assertEquals(message, ("connect %s: No such file or directory"):format(path))
  lu.assertEquals(code, "ENOENT")
  self.rig:keep(assert(wsock.listen { path = path, loop = self.rig.loop }))
  local client = self.rig:client(("ws+unix:%s:/chat"):format(path))
  self.rig:wait(function() return client.readyState == client.OPEN end)
  os.remove(path)
end

function T:test_local_address()
  local server = self.rig:listen { port = 0 }
  local _, port = server:address()
  local client = self.rig:client(("ws://127.0.0.1:%d/"):format(port), nil, { localAddress = "127.0.0.9" })
  self.rig:wait(function() return client.readyState == client.OPEN end)
  lu.assertEquals(client.localAddress, "127.0.0.9")
  local _, code = self:failure(("ws://127.0.0.1:%d/"):format(port), { localAddress = "192.0.2.1" })
  lu.assertEquals(code, "EADDRNOTAVAIL")
end

function T:test_close_while_it_looks_up_and_while_it_connects()
  for _, url in ipairs { "ws://nobody.invalid/", ("ws://127.0.0.1:%d/"):format(self.rig:dead_port()) } do
    local client = self.rig:client(url)
    local events = {}
    client:on("error", function(_, code) events[#events + 1] = code end)
    client:on("close", function(code) events[#events + 1] = code end)
    client:close()
    lu.assertEquals(client.readyState, client.CLOSING)
    self.rig:wait(function() return #events == 2 end)
    self.rig:idle()
    lu.assertEquals(events, { "CLOSED", 1006 })
  end
end

return T
