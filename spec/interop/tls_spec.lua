-- spec/interop/tls_spec.lua -- wss, both ways: Node's ws, Python's websockets, a
-- page in Chromium that knows our authority, and curl.

local lu = require "luaunit"
local certs = require "support.certs"
local peer = require "interop.peer"

local T = {}

local SIZES = { 0, 1, 125, 126, 16384, 65535, 65536, 1 << 20 }

function T:setUpClass()
  self.good, self.other = certs.get "good", certs.authority "other_ca"
  self.tls = { cert = self.good.cert, key = self.good.key }
  self.node, self.python = peer.driver "node", peer.driver "python"
  self.browser = peer.driver("chromium", { HOME = certs.home() }) -- it trusts our authority
end

function T:tearDownClass()
  self.node:stop()
  self.python:stop()
  self.browser:stop()
end

function T:tearDown()
  self.node:run [[
    for (const server of shared.servers ?? []) server.close();
    shared.servers = [];
  ]]
  self.browser:run "await closePages()"
  peer.cleanup()
end

function T:echo(options)
  options = options or {}
  options.tls = options.tls or self.tls
  return peer.echo_of_localhost(options)
end

-- Echoes of every size by our client; the socket stays open.
local function echoes(url, tls)
  local socket, record = peer.connect(url, nil, { tls = tls })
  record:wait "^open"
  local got = {}
  socket:on("message", function(data) got[#got + 1] = data end)
  for _, size in ipairs(SIZES) do socket:send(("\xfe"):rep(size), "binary") end
  peer.wait(function() return #got == #SIZES end, "the echoes")
  for i, size in ipairs(SIZES) do lu.assertTrue(got[i] == ("\xfe"):rep(size), size) end
  return socket, record
end

-- ---- Node -------------------------------------------------------------------------------

function T:test_nodes_client()
  local _, port, record = self:echo()
  local seen = self.node:run(([[
    const fs = require("fs");
    const socket = await connect("wss://localhost:$port/", { ca: fs.readFileSync("$ca") });
    const wrong = [];
    for (const size of [%s]) {
      const data = Buffer.alloc(size, "\u0001\u00fe");
      socket.send(data);
      const [got] = await once(socket, "message");
      if (!got.equals(data)) wrong.push(size);
    }
    const tls = socket._socket;
    const what = [tls.authorized, tls.getProtocol()].join();
    socket.close(1000, "bye");
    await socket.ended;
    return [what, wrong.join(), socket.lines.at(-1)].join(" ");
  ]]):format(table.concat(SIZES, ",")), { port = port, ca = self.good.ca })
  lu.assertEquals(seen, "true,TLSv1.3  close 1000 bye")
  record:wait "^close 1000 bye clean"
end

function T:test_nodes_client_that_does_not_know_us()
  local refused
  local _, port = self:echo { onrefused = function(message) refused = message end }
  local seen = self.node:run([[
    const socket = await connect("wss://localhost:$port/");
    return socket.lines.join(", ");
  ]], { port = port })
  lu.assertStrContains(seen, "error unable to verify the first certificate")
  peer.wait(function() return refused end)
  lu.assertStrContains(refused, "TLS handshake: ")
end

-- A server of Node's; its port.
function T:node_server(more)
  return self.node:run([[
    const fs = require("fs"), https = require("https"), { WebSocketServer } = require("ws");
    const server = https.createServer({ cert: fs.readFileSync("$cert"), key: fs.readFileSync("$key") $more });
    const ws = new WebSocketServer({ server, maxPayload: 1 << 24 });
    ws.on("connection", socket => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
      socket.on("error", () => {});
    });
    await new Promise(done => server.listen(0, "127.0.0.1", done));
    (shared.servers ??= []).push(ws, server);
    return server.address().port;
  ]], { cert = self.good.cert, key = self.good.key, more = more or "" })
end

function T:test_nodes_server()
  for _, more in ipairs { "", ", maxVersion: 'TLSv1.2'" } do
    local url = ("wss://localhost:%s/"):format(self:node_server(more))
    local socket, record = echoes(url, { ca = self.good.ca })
    lu.assertEquals(socket.tls.version, more == "" and "TLSv1.3" or "TLSv1.2")
    lu.assertEquals(socket.tls.peerCertificate.subject, "CN=good.test, O=Specs")
    socket:close(1000, "bye")
    record:wait "^close 1000 bye clean"
    -- and back, by a session
    socket, record = peer.connect(url, nil, { tls = { ca = self.good.ca } })
    record:wait "^open"
    lu.assertTrue(socket.tls.resumed)
  end
end

function T:test_nodes_server_that_asks_for_a_certificate()
  local client = certs.get "client"
  local url = ("wss://localhost:%s/"):format(self:node_server(
    (", requestCert: true, ca: fs.readFileSync('%s')"):format(self.good.ca)))
  echoes(url, { ca = self.good.ca, cert = client.cert, key = client.key }):close()
  local _, record = peer.connect(url, nil, { tls = { ca = self.good.ca } })
  record:wait "^error"
  record:wait "^close 1006"
end

-- ---- Python ---------------------------------------------------------------------------------

function T:test_pythons_client()
  local client = certs.get "client"
  local _, port, record = self:echo { tls = { cert = self.good.cert, key = self.good.key, ca = self.good.ca,
    requestCert = true } }
  local seen = self.python:run([[
import ssl
context = ssl.create_default_context(cafile="$ca")
context.load_cert_chain("$cert", "$key")
async with websockets.connect("wss://localhost:$port/", ssl=context, max_size=None) as socket:
    wrong = []
    for size in (0, 1, 16384, 65536, 1 << 20):
        data = b"\xfe" * size
        await socket.send(data)
        if await socket.recv() != data:
            wrong.append(size)
    version = socket.transport.get_extra_info("ssl_object").version()
    await socket.close(1000, "bye")
    return f"{version} {wrong} {socket.close_code}"]],
    { port = port, ca = self.good.ca, cert = client.cert, key = client.key })
  lu.assertEquals(seen, "TLSv1.3 [] 1000")
  lu.assertNil(record.socket.tls) -- gone, and nobody had asked
  record:wait "^close 1000 bye clean"
end

function T:test_pythons_server()
  local port = self.python:run([[
import ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("$cert", "$key")
async def echo(socket):
    async for data in socket:
        await socket.send(data)
shared.server = await websockets.serve(echo, "127.0.0.1", 0, ssl=context, max_size=None)
return shared.server.sockets[0].getsockname()[1] ]], { cert = self.good.cert, key = self.good.key })
  local url = ("wss://127.0.0.1:%s/"):format(port)
  local socket, record = echoes(url, { ca = self.good.ca })
  socket:close(1000, "bye")
  record:wait "^close 1000 bye clean"
  local _, refused = peer.connect(url, nil, { tls = { ca = self.other } })
  refused:wait "^error TLS"
  self.python:run "shared.server.close()"
end

-- ---- curl -------------------------------------------------------------------------------------

-- Plain HTTP on the same port; a browser's page may come from here.
function T:test_https_by_curl()
  local _, port = self:echo { onrequest = function(request, response)
    response:send(200, nil, request.method .. " " .. request.path .. " " .. #request.body)
  end }
  local function curl(...)
    return peer.run { "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", ... }
  end
  local url = ("https://localhost:%d/page"):format(port)
  lu.assertEquals(curl("--cacert", self.good.ca, url), "GET /page 0")
  lu.assertEquals(curl("--cacert", self.good.ca, "--tls-max", "1.2", "--data", ("x"):rep(50000), url),
    "POST /page 50000")
  local _, code = curl("--cacert", self.other, url)
  lu.assertEquals(code, 60)
  _, code = curl("--cacert", self.good.ca, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url)
  lu.assertEquals(code, 35)
end

-- ---- Chromium -----------------------------------------------------------------------------------

local PAGE = [[<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script>
  function talk(url, data) {
    return new Promise(done => {
      const socket = new WebSocket(url), lines = [];
      socket.onopen = () => { lines.push("open"); socket.send(data); };
      socket.onmessage = event => { lines.push(event.data.length); socket.close(1000, "bye"); };
      socket.onerror = () => lines.push("error");
      socket.onclose = event => done(lines.concat(event.code, event.wasClean).join());
    });
  }
</script>]]

function T:page(port, name)
  local browser = self.browser
  browser:run([[await open("page", "https://$name:$port/")]], { port = port, name = name or "localhost" })
  return function(url)
    return browser:run([[return run("page", $code)]], { code = peer.js(
      ([[return await talk("%s", "x".repeat(100000))]]):format(url)) })
  end
end

function T:test_a_page_in_chromium()
  local function onrequest(_, response) response:send(200, { ["Content-Type"] = "text/html" }, PAGE) end
  local _, port, record = self:echo { onrequest = onrequest }
  local talk = self:page(port)
  lu.assertEquals(talk(("wss://localhost:%d/"):format(port)), "open,100000,1000,true")
  record:wait "^close 1000 bye clean"
  -- An authority the browser does not know: the page is told nothing but 1006.
  local refused
  local stranger = certs.get "unknown"
  local _, bad = peer.echo { tls = { cert = stranger.cert, key = stranger.key }, origins = "*",
    onrefused = function(message) refused = message end }
  lu.assertEquals(talk(("wss://localhost:%d/"):format(bad)), "error,1006,false")
  peer.wait(function() return refused end)
  lu.assertStrContains(refused, "TLS handshake: ")
end

-- S95: the page of one name, the WebSocket of another, one port.
function T:test_two_names_in_chromium()
  local a, b = certs.get "localhost", certs.get "ws_localhost"
  local here = require "support.files".root .. "/spec/examples/two_names.lua"
  local child = peer.start_lua { here, "0", a.cert, a.key, b.cert, b.key }
  local port = child:expect("https://localhost:(%d+)/", 20, peer.pump)
  local browser = self.browser
  browser:run([[await open("page", "https://localhost:$port/")]], { port = port })
  peer.wait(function()
    return browser:run [[return run("page", "return document.body.textContent")]]:find "you said: hello from localhost"
  end, "the answer on the page")
end

return T
