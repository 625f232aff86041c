-- net/tls_resume: how a client comes back to a host.
local lu = require "luaunit"
local certs = require "support.certs"
local process = require "support.process"

local T = require "support.tls".class()

function T:test_resumption()
  local _, url = self:server()
  lu.assertFalse(self:connect(url).resumed)
  for _ = 1, 3 do lu.assertTrue(self:connect(url).resumed) end
  -- another name, other options: nothing in common
  lu.assertFalse(self:connect((url:gsub("127.0.0.1", "localhost"))).resumed)
  lu.assertFalse(self:connect(url, { ca = certs.read(self.good.ca) }).resumed)
end

-- A session of TLS 1.2 may be used again and again.
function T:test_resumption_of_tls_1_2()
  local port = process.free_port()
  local program = process.start { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-tls1_2", "-cert",
    self.good.cert, "-key", self.good.key, stdin = true }
  self.program = program
  program:expect "ACCEPT"
  for i = 0, 2 do
    local client = self:client("wss://127.0.0.1:" .. port)
    self.rig:wait(function()
      return select(2, program:output():gsub("GET / HTTP", "")) == i + 1
    end, "no request")
    lu.assertEquals(select(2, program:output():gsub("Reused session", "")), i)
    client:terminate()
    self.rig:idle(5)
  end
end

-- Each ticket of TLS 1.3 is for one connection.
function T:test_a_ticket_is_used_once()
  local _, url = self:server()
  self:connect(url)
  local first = self.rig:client(url, nil, { tls = { ca = self.good.ca } })
  local second = self.rig:client(url, nil, { tls = { ca = self.good.ca } })
  self.rig:wait(function() return first.readyState == 1 and second.readyState == 1 end)
  lu.assertEquals((first.tls.resumed and 1 or 0) + (second.tls.resumed and 1 or 0), 1)
end

function T:test_no_tickets()
  local _, url = self:server { cert = self.good.cert, key = self.good.key, tickets = false }
  for _ = 1, 3 do lu.assertFalse(self:connect(url).resumed) end
end

-- TL-06: what was agreed for one name is not resumed for another.
function T:test_no_resumption_under_another_name()
  local _, url = self:two_names()
  local function tls(name) return { ca = self.good.ca, serverName = name } end
  lu.assertFalse(self:connect(url, tls "a.test").resumed)
  lu.assertFalse(self:connect(url, tls "b.test").resumed)
  lu.assertTrue(self:connect(url, tls "a.test").resumed)
  lu.assertTrue(self:connect(url, tls "b.test").resumed)
end

-- A session is kept for so many hosts, and the oldest makes room.
function T:test_many_hosts()
  local _, url = self:server()
  for i = 1, 70 do
    self.rig:wait(function() return true end)
    local client = self.rig:client(url, nil, { tls = { verify = false, serverName = ("h%d.test"):format(i) } })
    self.rig:wait(function() return client.readyState == 1 end)
    self.rig:idle(2)
    client:terminate()
  end
  local function again(i)
    local client = self.rig:client(url, nil, { tls = { verify = false, serverName = ("h%d.test"):format(i) } })
    self.rig:wait(function() return client.readyState == 1 end)
    return client.tls.resumed
  end
  lu.assertFalse(again(1))
  lu.assertTrue(again(70))
  lu.assertTrue(again(60))
end

-- S4: no ticket of ours allows for early data.
function T:test_no_early_data()
  local _, _, port = self:server()
  local file = certs.file("session.pem", "")
  self.program = process.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-sess_out", file,
    stdin = true }
  self.rig:wait(function() return #certs.read(file) > 0 end, "no ticket")
  lu.assertStrContains(process.run { "openssl", "sess_id", "-in", file, "-text", "-noout" }, "Max Early Data: 0")
end

return T
