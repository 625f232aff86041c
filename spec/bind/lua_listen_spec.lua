-- bind/lua_listen: where a server listens, and what it refuses to begin with.

local lu = require "luaunit"
local ipv6 = require "support.ipv6"
local process = require "support.process"
local rigs = require "support.rig"
local sys = require "wsock.probe".net.sys
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

-- ---- where it listens ------------------------------------------------------------

function T:test_any_free_port()
  local one, two = self.rig:listen(), self.rig:listen()
  local host, port = one:address()
  lu.assertEquals(host, "127.0.0.1")
  lu.assertEquals(math.type(port), "integer")
  lu.assertTrue(port > 0 and port ~= rigs.port_of(two))
end

function T:test_hosts()
  for _, row in ipairs {
    { nil, "127.0.0.1" }, { "localhost", "127.0.0.1" }, { "127.0.0.1", "127.0.0.1" }, { "127.0.0.2", "127.0.0.2" },
    { "0.0.0.0", "0.0.0.0" }, { "*", "0.0.0.0" }, ipv6.here and { "::1", "::1" }, ipv6.here and { "::", "::" },
  } do
    if not row then break end
    local server = self.rig:try_listen { port = 0, host = row[1] }
    local host, port = server:address()
    lu.assertEquals(host, row[2])
    local reached = host == "0.0.0.0" and "127.0.0.1" or host:find ":" and "[::1]" or host
    local socket = self.rig:client(("ws://%s:%d/"):format(reached, port))
    self.rig:wait(function() return socket.readyState == 1 end, "not open: " .. host)
    socket:terminate()
  end
end

function T:test_bad_hosts_raise()
  for _, host in ipairs { "example.com", "", "[::1]", "127.0.0.1:80", "256.0.0.1", "a b", "ws://127.0.0.1" } do
    lu.assertErrorMsgContains("'host' must be an IP address", self.rig.try_listen, self.rig, { port = 0, host = host })
  end
  lu.assertErrorMsgContains("'host' must be a string", self.rig.try_listen, self.rig, { port = 0, host = 1 })
end

function T:test_bad_ports_raise()
  lu.assertErrorMsgContains("'port' or 'path' is needed", self.rig.try_listen, self.rig, {})
  lu.assertErrorMsgContains("options must be a table, got no value", wsock.listen)
  lu.assertErrorMsgContains("options must be a table, got number", wsock.listen, 8080)
  lu.assertErrorMsgContains("options must be a table, got string", wsock.loop, "epoll")
  lu.assertErrorMsgContains("listen takes options only", wsock.listen, { port = 0 }, print)
  for _, port in ipairs { -1, -2, 65536, 1.5, 2 ^ 53 } do
    lu.assertErrorMsgContains("'port' must be an integer", self.rig.try_listen, self.rig, { port = port })
  end
  for _, port in ipairs { "80", true, {} } do
    lu.assertErrorMsgContains("'port' must be a number", self.rig.try_listen, self.rig, { port = port })
  end
end

-- Which of the two is meant, nobody knows.
function T:test_a_path_and_a_port()
  for _, also in ipairs { { port = 0 }, { host = "127.0.0.1" } } do
    also.path = "@wsock/never"
    lu.assertErrorMsgContains("'path' is in place of 'port' and 'host'", self.rig.try_listen, self.rig, also)
  end
end

function T:test_port_in_use()
  local _, _, port = self.rig:listen()
  local server, message, code = self.rig:try_listen { port = port }
  lu.assertEquals({ server, message, code },
    { nil, ("listen 127.0.0.1:%d: Address already in use"):format(port), "EADDRINUSE" })
  server, message, code = self.rig:try_listen { port = port, reusePort = true }
  lu.assertNil(server, message)
  lu.assertEquals(code, "EADDRINUSE")
end

function T:test_address_of_somebody_else()
  local server, message, code = self.rig:try_listen { port = 7, host = "192.0.2.1" }
  lu.assertNil(server)
  lu.assertEquals({ message, code }, { "listen 192.0.2.1:7: Address not available", "EADDRNOTAVAIL" })
end

function T:test_an_address_of_ipv6_in_brackets()
  ipv6.needed()
  local server = self.rig:try_listen { port = 0, host = "::1" }
  local _, port = server:address()
  lu.assertEquals({ self.rig:try_listen { port = port, host = "::1" } },
    { nil, ("listen [::1]:%d: Address already in use"):format(port), "EADDRINUSE" })
end

function T:test_a_port_is_free_again_after_close()
  local one, _, port = self.rig:listen()
  local peer = visitors.bystander(self.rig, port)
  peer:check()
  one:close(1001, "", 0)
  self.rig:settle()
  lu.assertNotNil(self.rig:try_listen { port = port })
end

function T:test_sharing_a_port()
  local counts = { 0, 0 }
  local function counter(i) return function() counts[i] = counts[i] + 1 end end
  local _, _, port = self.rig:listen { reusePort = true, onconnection = counter(1) }
  lu.assertNotNil(self.rig:try_listen { port = port, reusePort = true, onconnection = counter(2) })
  for _ = 1, 64 do -- the kernel deals them out by their ports: none for one of them is 2 ^ -63
    visitors.knock(self.rig, port)
  end
  lu.assertEquals(counts[1] + counts[2], 64)
  lu.assertTrue(counts[1] > 0 and counts[2] > 0)
end

-- How many of this process's sockets send small messages at once.
local function undelayed()
  local n = 0
  for fd = 3, 255 do n = n + ((sys.option(fd, "nodelay") or 0) ~= 0 and 1 or 0) end
  return n
end

function T:test_no_delay()
  for _, row in ipairs { { nil, 1 }, { true, 1 }, { false, 0 } } do
    local _, _, port = self.rig:listen { noDelay = row[1] }
    local before = undelayed()
    visitors.bystander(self.rig, port) -- whose own end is one
    lu.assertEquals(undelayed() - before - 1, row[2])
  end
  lu.assertErrorMsgContains("'noDelay' must be a boolean", self.rig.try_listen, self.rig, { port = 0, noDelay = 1 })
end

-- ---- unix sockets ------------------------------------------------------------------

function T:test_unix_path()
  local dir = self.rig:directory()
  local path = dir .. "/sock"
  local heard
  local server = self.rig:try_listen { path = path, onmessage = function(socket, data)
    heard = socket.remoteAddress
    socket:send(data)
  end }
  lu.assertEquals({ server:address() }, { path })
  local socket = self.rig:client("ws+unix:" .. path .. ":/")
  local record = rigs.record(socket)
  socket:on("open", function() socket:send "hi" end)
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open text:hi")
  lu.assertEquals(heard, "unix")

  local second, message, code = self.rig:try_listen { path = path }
  lu.assertEquals({ second, message, code }, { nil, ("listen %s: Address already in use"):format(path), "EADDRINUSE" })
end

function T:test_unix_path_left_behind()
  local dir = self.rig:directory()
  local path = dir .. "/sock"
  self.rig:try_listen { path = path }:close()
  self.rig:settle()
  local child = process.start_lua { "-e", ([[
    local wsock = require "wsock"
    assert(wsock.listen{ path = %q })
    print "ready"
    wsock.run()]]):format(path .. 2) }
  child:expect "ready"
  child:kill "KILL"
  child:wait()
  child:stop()
  for _, name in ipairs { path, path .. 2 } do
    local server, message = self.rig:try_listen { path = name }
    lu.assertNotNil(server, message)
  end
end

function T:test_unix_paths_that_cannot_be()
  local dir = self.rig:directory()
  lu.assertErrorMsgContains("'path' is empty or too long", self.rig.try_listen, self.rig, { path = "" })
  lu.assertErrorMsgContains("'path' is empty or too long", self.rig.try_listen, self.rig, { path = ("x"):rep(108) })
  lu.assertErrorMsgContains("'path'", self.rig.try_listen, self.rig, { path = dir .. "/a\0b" })
  local server, message, code = self.rig:try_listen { path = dir .. "/none/sock" }
  lu.assertNil(server)
  lu.assertEquals({ message, code }, { ("listen %s/none/sock: No such file or directory"):format(dir), "ENOENT" })
end

-- ---- what handshakes will ask ------------------------------------------------------

function T:test_hooks_and_lists()
  for _, row in ipairs {
    { "verify", 1, "'verify' must be a function" }, { "verify", {}, "'verify' must be a function" },
    { "origins", 1, "'origins' must be" }, { "origins", true, "'origins' must be" },
    { "origins", { "https://a", 1 }, "'origins' must hold strings" },
    { "origins", { "a.example" }, "'a.example' is no origin" }, { "origins", "http://a/", "'http://a/' is no origin" },
    { "origins", { "*" }, "'*' is no origin" }, { "origins", "", "'' is no origin" },
    { "origins", { ["https://a"] = true }, "'origins' must be a list, got a string key" },
    { "origins", { "https://a:443" }, "browsers leave out the port of 'https://a:443'" },
    { "origins", "http://[::1]:80", "browsers leave out the port of 'http://[::1]:80'" },
    { "hosts", 1, "'hosts' must be a host or a list, got number" }, { "hosts", print, "'hosts' must be a host" },
    { "hosts", { "a", 1 }, "'hosts' must hold strings, got a number" },
    { "hosts", { a = true }, "'hosts' must be a list, got a string key" },
    { "hosts", { "http://a" }, "'http://a' is no host like" }, { "hosts", { "a/b" }, "'a/b' is no host" },
    { "hosts", "*", "'*' is no host" }, { "hosts", "*.a", "'*.a' is no host" },
    { "hosts", "", "'' is no host" }, { "hosts", "a:", "'a:' is no host" },
    { "hosts", "a:65536", "'a:65536' is no host" }, { "hosts", { "::1" }, "'::1' is no host" },
    { "protocols", { a = true }, "'protocols' must be a list, got a string key" },
    { "protocols", 1, "'protocols' must be" }, { "protocols", "soap", "'protocols' must be" },
    { "protocols", { "a b" }, "SyntaxError" }, { "protocols", { "a", "a" }, "SyntaxError" },
    { "protocols", { 1 }, "SyntaxError" }, { "protocols", { "" }, "SyntaxError" },
    { "headers", 1, "headers must be a table" }, { "headers", { ["Sec-WebSocket-Accept"] = "x" }, "written by" },
    { "headers", { Upgrade = "x" }, "written by" }, { "headers", { Connection = "x" }, "written by" },
    { "headers", { ["a b"] = "x" }, "may not be sent" }, { "headers", { a = "x\r\ny: z" }, "may not be sent" },
    { "headers", { a = {} }, "must be strings" }, { "slowConsumer", "wait", "'slowConsumer' must be" },
    { "slowConsumer", true, "'slowConsumer' must be" },
    { "maxPerAddress", -1, "'maxPerAddress' must be" }, { "maxPerAddress", 1.5, "'maxPerAddress' must be" },
    { "path", 1, "'path' must be a string" }, { "reusePort", 1, "'reusePort' must be a boolean" },
  } do
    lu.assertErrorMsgContains(row[3], self.rig.try_listen, self.rig, { port = 0, [row[1]] = row[2] })
  end
end

function T:test_bad_loops()
  for _, loop in ipairs { 1, io.stdout, {} } do
    lu.assertErrorMsgContains("option 'loop' must be a loop, got " .. type(loop), wsock.listen,
      { port = 0, loop = loop })
  end
  local closed = wsock.loop()
  closed:close()
  lu.assertErrorMsgContains("loop is closed", wsock.listen, { port = 0, loop = closed })
end

-- Accepted in all their forms, and asked at the handshake.
function T:test_hooks()
  for _, row in ipairs {
    { { origins = "*" }, 101 }, { { origins = "http://a" }, 101 }, { { origins = { "null" } }, 403 },
    { { origins = function() return true end }, 101 }, { {}, 403 }, { { origins = { "http://a", "http://b" } }, 101 },
  } do
    local _, _, port = self.rig:listen { origins = row[1].origins, protocols = { "x" }, headers = { A = "b" } }
    local peer, answer = visitors.knock(self.rig, port,
      visitors.upgrade { Origin = "http://a", ["Sec-WebSocket-Protocol"] = "x" })
    lu.assertEquals(answer.status, row[2])
    if row[2] == 101 then
      lu.assertEquals({ answer.headers["sec-websocket-protocol"], answer.headers.a }, { "x", "b" })
    end
    peer:close()
  end
end

-- The default loop is where a server goes that names none.
function T:test_the_default_loop()
  local told
  local server = assert(wsock.listen { port = 0, onlistening = function() told = true end })
  self.rig:wait(function()
    wsock.step(0)
    return told
  end)
  server:close()
  wsock.run()
end

return T
