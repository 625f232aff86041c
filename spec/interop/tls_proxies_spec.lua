-- spec/interop/tls_proxies_spec.lua -- our server behind programs that speak TLS
-- for it: nginx, haproxy, stunnel; and Chromium's WebSocket over HTTP/2 (RFC
-- 8441), which haproxy turns into an upgrade of HTTP/1.1.

local lu = require "luaunit"
local certs = require "support.certs"
local fronts = require "interop.fronts"
local peer = require "interop.peer"
local process = require "support.process"

local T = {}

local NGINX = [[
  server {
    listen 127.0.0.1:$port ssl;
    server_name ws.localhost;
    ssl_certificate $wscert; ssl_certificate_key $wskey;
    location / {
      proxy_pass http://127.0.0.1:$backend;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
  server {
    listen 127.0.0.1:$port ssl default_server;
    server_name localhost;
    ssl_certificate $cert; ssl_certificate_key $key;
    location / { return 200 "the site\n"; }
  }
]]

local HAPROXY = [[
frontend front
  bind 127.0.0.1:$port ssl crt $both alpn $alpn
  http-request set-header X-Version %[req.ver]
  default_backend back
backend back
  server wsock 127.0.0.1:$backend $more
]]

-- haproxy with our certificates; its port.
function T:haproxy(backend, alpn, more)
  return fronts.haproxy(self.folder, HAPROXY, { backend = backend, both = self.both, alpn = alpn, more = more or "" })
end

function T:setUpClass()
  self.good, self.ws = certs.get "good", certs.get "ws_localhost"
  self.both = certs.file("both.pem", certs.read(self.good.cert) .. certs.read(self.good.key))
  self.browser = peer.driver("chromium", { HOME = certs.home() })
end

function T:tearDownClass()
  self.browser:stop()
end

function T:setUp() self.folder, self.remove = process.directory() end

function T:tearDown()
  self.browser:run "await closePages()"
  peer.cleanup()
  self.remove()
end

-- Messages of all sizes and both ends' close through it.
local function carries(url, record, tls)
  local socket, seen = peer.connect(url, nil, { tls = tls, origin = "https://localhost" })
  seen:wait "^open"
  local got = {}
  socket:on("message", function(data) got[#got + 1] = data end)
  local sizes = { 0, 125, 126, 65535, 65536, 200000, 1 << 20 }
  for _, size in ipairs(sizes) do socket:send(("\xff"):rep(size), "binary") end
  peer.wait(function() return #got == #sizes end, "the echoes")
  for i, size in ipairs(sizes) do lu.assertEquals(#got[i], size) end
  socket:close(3000, "Grüße")
  seen:wait "^close 3000 Grüße clean"
  record:wait "^close 3000 Grüße clean"
end

local function server(options)
  local requests = {}
  options = options or {}
  options.origins = "*"
  local s, backend, record = peer.echo(options)
  s:on("connection", function(_, request) requests[#requests + 1] = request end)
  return backend, record, requests
end

-- The configuration of README's chapter; S95, with two certificates.
function T:test_nginx()
  local backend, record, requests = server()
  local port = fronts.nginx(self.folder, NGINX, { backend = backend, cert = self.good.cert, key = self.good.key,
    wscert = self.ws.cert, wskey = self.ws.key })
  local url = ("wss://127.0.0.1:%d/"):format(port)
  local _, refused = peer.connect(url, nil, { tls = { ca = self.good.ca } }) -- the site, which is no WebSocket
  refused:wait "^error HANDSHAKE"
  self.browser:run([[await open("page", "https://localhost:$port/")]], { port = port })
  lu.assertEquals(self.browser:run([[return run("page", $code)]], { code = peer.js(([[
    return await new Promise(done => {
      const socket = new WebSocket("wss://ws.localhost:%d/x");
      socket.onopen = () => socket.send("hello");
      socket.onmessage = event => { done(event.data); socket.close(3000, "Grüße"); };
      socket.onerror = () => done("error");
    })]]):format(port)) }), "hello")
  record:wait "^close 3000"
  lu.assertEquals(requests[1].headers.host, "ws.localhost:" .. port)
  lu.assertEquals(requests[1].headers["x-forwarded-proto"], "https")
end

function T:test_haproxy()
  local backend, record = server()
  local port = self:haproxy(backend, "http/1.1")
  carries(("wss://localhost:%d/"):format(port), record, { ca = self.good.ca })
end

-- TLS on both of its sides: it checks our certificate as a client.
function T:test_haproxy_to_our_tls()
  local backend, record = server { tls = { cert = self.good.cert, key = self.good.key } }
  local port = self:haproxy(backend, "http/1.1",
    ("ssl verify required ca-file %s verifyhost localhost"):format(self.good.ca))
  carries(("wss://localhost:%d/"):format(port), record, { ca = self.good.ca })
end

function T:test_stunnel()
  local backend, record = server()
  local port = fronts.stunnel(self.folder, { backend = backend, cert = self.good.cert, key = self.good.key })
  carries(("wss://localhost:%d/"):format(port), record, { ca = self.good.ca })
end

-- RFC 8441: the browser speaks HTTP/2, we see an upgrade of HTTP/1.1.
function T:test_websocket_over_http_2()
  local backend, record, requests = server {
    onrequest = function(_, response) response:send(200, { ["Content-Type"] = "text/html" }, "<title>h2</title>") end,
  }
  local port = self:haproxy(backend, "h2,http/1.1")
  self.browser:run([[await open("page", "https://localhost:$port/")]], { port = port })
  local seen = self.browser:run([[return run("page", $code)]], { code = peer.js(([[
    return await new Promise(done => {
      const socket = new WebSocket("wss://localhost:%d/x"), lines = [];
      socket.onopen = () => { lines.push("open"); socket.send("x".repeat(100000)); };
      socket.onmessage = event => { lines.push(event.data.length); socket.close(1000, "bye"); };
      socket.onerror = () => lines.push("error");
      socket.onclose = event => done(lines.concat(event.code, event.wasClean).join());
    })]]):format(port)) })
  lu.assertEquals(seen, "open,100000,1000,true")
  record:wait "^close 1000 bye clean"
  lu.assertEquals(requests[1].headers["x-version"], "2.0")
end

return T
