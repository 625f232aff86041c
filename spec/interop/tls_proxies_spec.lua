-- spec/interop/tls_proxies_spec.lua -- our server behind programs that speak TLS
-- for it: nginx, haproxy, stunnel; and Chromium's WebSocket over HTTP/2 (RFC
-- 8441), which haproxy turns into an upgrade of HTTP/1.1.

local lu = require "luaunit"
local certs = require "support.certs"
local fronts = require "interop.fronts"
local peer = require "interop.peer"
local files = require "support.files"
local process = require "support.process"

local T = {}

-- What the README shows, with names, files and ports of here.
local function nginx_of_readme()
  local text = files.read(files.root .. "/README.md"):match "```nginx\n(.-)```"
  for from, to in pairs {
    ["map [^\n]*\n"] = "", -- fronts has it
    ["listen 443"] = "listen 127.0.0.1:$port",
    ["/etc/ssl/ws%.example%.com%.pem"] = "$wscert", ["/etc/ssl/ws%.example%.com%.key"] = "$wskey",
    ["/etc/ssl/example%.com%.pem"] = "$cert", ["/etc/ssl/example%.com%.key"] = "$key",
    ["server_name ws%.example%.com"] = "server_name ws.localhost",
    ["server_name example%.com"] = "server_name localhost",
    ["127%.0%.0%.1:8080"] = "127.0.0.1:$backend",
    ["root /srv/example%.com"] = "root $folder",
  } do
    local n
    text, n = text:gsub(from, to)
    lu.assertTrue(n > 0, from)
  end
  return text
end

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
  options.origins = options.origins or "*"
  local s, backend, record = peer.echo(options)
  s:on("connection", function(_, request) requests[#requests + 1] = request end)
  return backend, record, requests
end

-- S95: the README's configuration: two names, two certificates; the page of one
-- may connect to the other, since the server names its origin.
function T:test_nginx()
  files.write(self.folder .. "/index.html", "<title>the site</title>")
  local port
  local function origins(origin) return origin == "https://localhost:" .. port end
  local backend, record, requests = server { origins = origins }
  port = fronts.nginx(self.folder, nginx_of_readme(), { backend = backend, cert = self.good.cert, key = self.good.key,
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
  lu.assertEquals({ requests[1].headers["x-forwarded-for"], requests[1].remoteAddress }, { "127.0.0.1", "127.0.0.1" })
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
