-- spec/interop/proxies_spec.lua -- our server behind nginx and haproxy.
--
-- What people get wrong in front of a WebSocket server, and what the server
-- then sees: the Host without its port, the Host of the backend, no Upgrade.

local lu = require "luaunit"
local fronts = require "interop.fronts"
local peer = require "interop.peer"
local process = require "support.process"

local T = peer.class()

local NGINX = [[
  server {
    listen 127.0.0.1:$port;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    location /http_host {
      proxy_pass http://127.0.0.1:$backend;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
    location /host {
      proxy_pass http://127.0.0.1:$backend;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $host;
    }
    location /backend_host { proxy_pass http://127.0.0.1:$backend; }
    location /no_upgrade {
      proxy_pass http://127.0.0.1:$backend;
      proxy_set_header Connection "";
    }
    location /http_1_0 {
      proxy_pass http://127.0.0.1:$backend;
      proxy_http_version 1.0;
      proxy_set_header Connection close;
    }
  }
]]

local HAPROXY = [[
frontend front
  bind 127.0.0.1:$port
  option forwardfor
  default_backend back
backend back
  server wsock 127.0.0.1:$backend
]]

-- Starts a proxy in front of the backend; its port.
function T:proxy(name, backend)
  local port
  port, self.child = fronts[name](self.folder, name == "nginx" and NGINX or HAPROXY, { backend = backend })
  return port
end

function T:setUp() self:directory() end

-- A client through the proxy, with the Origin a page there would have.
local function visit(port, path, options)
  options = options or {}
  options.origin = options.origin or "http://localhost:" .. port
  return peer.connect(("ws://localhost:%d%s"):format(port, path), options.protocols, options)
end

-- What every proxy must carry.
function T:carries(name, path)
  local requests = {}
  local server, backend, record = peer.echo { protocols = { "soap" } }
  server:on("connection", function(_, request) requests[#requests + 1] = request end)
  local port = self:proxy(name, backend)

  local socket, seen = visit(port, path, { protocols = { "soap" } })
  seen:wait "^open"
  lu.assertEquals(socket.protocol, "soap")
  local got = {}
  socket:on("message", function(data, kind) got[#got + 1] = { data, kind } end)
  local sent = {}
  for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 200000, 1 << 20 } do
    sent[#sent + 1] = { ("\xff"):rep(size), "binary" }
  end
  sent[#sent + 1] = { "Zoë 🙂", "text" }
  for _, message in ipairs(sent) do socket:send(message[1], message[2]) end
  peer.wait(function() return #got == #sent end, "the echoes")
  for i, message in ipairs(sent) do
    lu.assertTrue(got[i][1] == message[1] and got[i][2] == message[2], "message " .. i)
  end
  socket:ping "through"
  seen:wait "^pong through"
  record.socket:ping "back"
  record:wait "^pong back"

  socket:close(3000, "Grüße")
  seen:wait "^close 3000 Grüße clean"
  record:wait "^close 3000 Grüße clean"

  record.socket = nil
  local _, second = visit(port, path, { protocols = { "soap" } })
  peer.wait(function() return record.socket end, "the second connection")
  record.socket:close(4001, "off you go")
  second:wait "^close 4001 off you go clean"
  return requests, port
end

function T:test_nginx_carries_everything()
  local requests, port = self:carries("nginx", "/http_host")
  lu.assertEquals(requests[1].headers.host, "localhost:" .. port)
  lu.assertEquals(requests[1].headers["x-forwarded-for"], "127.0.0.1")
end

function T:test_haproxy_carries_everything()
  local requests, port = self:carries("haproxy", "/")
  lu.assertEquals(requests[1].headers.host, "localhost:" .. port)
  lu.assertEquals(requests[1].headers["x-forwarded-for"], "127.0.0.1")
end

-- nginx's $host has no port, the Origin has one: ports are not compared.
function T:test_a_host_that_lost_its_port_is_the_same_host()
  local requests, port = self:carries("nginx", "/host")
  lu.assertEquals(requests[1].headers.host, "localhost")
  lu.assertEquals(requests[1].headers.origin, "http://localhost:" .. port)
end

-- Without a Host line nginx names the backend: the page's host is another one,
-- and has to be listed.
function T:test_a_host_that_is_the_backends_needs_a_list()
  local server, backend = peer.echo()
  local port = self:proxy("nginx", backend)
  local socket, seen = visit(port, "/backend_host")
  seen:wait "^close"
  lu.assertEquals(tostring(seen), "error HANDSHAKE, close 1006 - unclean")
  lu.assertEquals(socket.response.status, 403)
  lu.assertEquals(server.clientCount, 0)

  local allowed = { "https://other.example" }
  local _, listed = peer.echo { origins = allowed }
  self.child:stop()
  port = self:proxy("nginx", listed)
  _, seen = visit(port, "/backend_host", { origin = "https://other.example" })
  seen:wait "^open"
end

-- What an nginx does that nobody told about WebSocket.
function T:test_nginx_without_upgrade_lines_is_told_426()
  local server, backend = peer.echo()
  local port = self:proxy("nginx", backend)
  for path, status in pairs { ["/no_upgrade"] = 426, ["/http_1_0"] = 505 } do
    local socket, seen = visit(port, path)
    seen:wait "^close"
    lu.assertEquals(tostring(seen), "error HANDSHAKE, close 1006 - unclean")
    lu.assertEquals(socket.response.status, status)
  end
  lu.assertEquals(server.clientCount, 0)
end

function T:test_plain_http_through_both()
  local _, backend = peer.listen {
    onrequest = function(request, response)
      response:send(200, { ["Content-Type"] = "text/plain" }, request.method .. " " .. request.body)
    end,
  }
  for _, name in ipairs { "nginx", "haproxy" } do
    local port = self:proxy(name, backend)
    local output, code = peer.run { "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10",
      "--data", ("x"):rep(5000), ("http://127.0.0.1:%d/host"):format(port), }
    lu.assertEquals({ output, code }, { "POST " .. ("x"):rep(5000), 0 })
  end
end

function T:test_a_backend_that_is_gone_is_502_or_503()
  local dead = process.free_port()
  for name, status in pairs { nginx = 502, haproxy = 503 } do
    local socket, seen = visit(self:proxy(name, dead), "/host")
    seen:wait "^close 1006"
    lu.assertEquals(socket.response.status, status)
  end
end

function T:test_a_killed_proxy_is_1006_on_both_sides()
  for _, name in ipairs { "nginx", "haproxy" } do
    local _, backend, record = peer.echo()
    local _, seen = visit(self:proxy(name, backend), "/host")
    seen:wait "^open"
    peer.wait(function() return record.socket end, "the connection")
    self.child:kill "KILL"
    seen:wait "^error %u+"
    seen:wait "^close 1006 %- unclean"
    record:wait "^close 1006 %- unclean"
  end
end

return T
