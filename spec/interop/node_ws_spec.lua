-- spec/interop/node_ws_spec.lua -- Node's ws: its client at our server, its
-- server under our client.

local lu = require "luaunit"
local wsock = require "wsock"
local peer = require "interop.peer"

local T = {}

local SIZES = { 0, 1, 125, 126, 65535, 65536, 1 << 20 }

function T:setUpClass()
  self.node = peer.driver "node"
end

function T:tearDownClass()
  self.node:stop()
end

function T:tearDown()
  self.node:run [[
    for (const socket of shared.sockets ?? []) socket.terminate();
    for (const server of shared.servers ?? []) server.close();
    shared.sockets = []; shared.servers = [];
  ]]
  peer.cleanup()
end

-- ---- Node's client ----------------------------------------------------------------

-- Begins code in Node after `socket` is connected to our server.
function T:client(port, code, options)
  return self.node:begin(([[
    const socket = await connect("ws://127.0.0.1:$port/path?query", %s);
    (shared.sockets ??= []).push(socket);
    %s]]):format(options or "[]", code), { port = port })
end

function T:test_every_size_comes_back_text_and_binary()
  local _, port, record = peer.echo()
  local seen = self:client(port, ([[
    const wrong = [];
    for (const size of [%s]) {
      for (const data of [Buffer.alloc(size, "\u0001\u00fe"), "x".repeat(size)]) {
        socket.send(data);
        const [got, binary] = await once(socket, "message");
        if (binary !== Buffer.isBuffer(data) || !got.equals(Buffer.from(data))) wrong.push(size);
      }
    }
    socket.close(1000, "bye");
    await socket.ended;
    return wrong.join() + socket.extensions + socket.protocol + socket.lines.at(-1);
  ]]):format(table.concat(SIZES, ",")))
  lu.assertEquals(seen(), "close 1000 bye")
  record:wait "^close 1000 bye clean"
  lu.assertEquals(#record, 2 * #SIZES + 1)
  lu.assertEquals(record[1], "binary ")
  lu.assertEquals(record[2], "text ")
end

function T:test_fragments_of_a_client_with_a_ping_between()
  local _, port, record = peer.echo()
  local seen = self:client(port, [[
    socket.send("Zo", { fin: false });
    socket.ping("now");
    socket.send(Buffer.from([0xc3]), { fin: false, binary: false });
    socket.send(Buffer.from([0xab]), { fin: false, binary: false });
    socket.send("", { fin: true });
    const [answer] = await once(socket, "message");
    return `${answer} ${socket.lines}`;
  ]])
  lu.assertEquals(seen(), "Zoë open,pong now,text Zoë")
  lu.assertEquals(tostring(record), "ping now, text Zoë")
end

function T:test_fragments_of_our_server()
  local server, port = peer.echo()
  server.onconnection = function(socket)
    socket:send("\xe2\x82", "binary", { final = false })
    socket:send("", "binary", { final = false })
    socket:send("\xac", "binary")
    socket:close(1000)
  end
  lu.assertEquals(self:client(port, "return await socket.ended;")(), "open, binary e282ac, close 1000 -")
end

function T:test_pings_both_ways()
  local _, port, record = peer.echo()
  local seen = self:client(port, [[
    socket.ping("");
    socket.ping("x".repeat(125));
    await once(socket, "pong", 2);
    socket.pong("unasked");
    return await socket.ended;
  ]])
  record:wait "^pong unasked"
  local down = {}
  record.socket:on("pong", function(data) down[#down + 1] = #data end)
  record.socket:ping()
  record.socket:ping(("y"):rep(125))
  peer.wait(function() return #down == 2 end, "the pongs")
  lu.assertEquals(down, { 0, 125 })
  record.socket:close(1000)
  lu.assertEquals(seen(), ("open, pong , pong %s, ping , ping %s, close 1000 -"):format(
    ("x"):rep(125), ("y"):rep(125)))
end

function T:test_every_close_code_of_a_client()
  local _, port, record = peer.echo()
  for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999 } do
    local seen = self:client(port, ([[socket.close(%d, "reason"); return await socket.ended;]]):format(code))
    lu.assertEquals(seen(), ("open, close %d reason"):format(code))
    record:wait(("^close %d reason clean"):format(code))
  end
  lu.assertEquals(self:client(port, [[socket.close(); return await socket.ended;]])(), "open, close 1005 -")
  record:wait "^close 1005 %- clean"
  local longest = ("é"):rep(61) .. "!"
  lu.assertEquals(self:client(port, ([[socket.close(1000, "%s"); return await socket.ended;]]):format(longest))(),
    "open, close 1000 " .. longest)
  record:wait("^close 1000 " .. longest .. " clean")
end

function T:test_every_close_code_of_our_server()
  local server, port = peer.echo()
  local code
  server.onconnection = function(socket) socket:close(code, "reason") end
  for _, c in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999 } do
    code = c
    lu.assertEquals(self:client(port, "return await socket.ended;")(), ("open, close %d reason"):format(c))
  end
end

function T:test_a_client_that_drops_is_1006()
  local _, port, record = peer.echo()
  self:client(port, "socket.terminate();")()
  lu.assertEquals(record:wait "^close", "close 1006 - unclean")
end

function T:test_our_server_drops()
  local _, port, record = peer.echo()
  local seen = self:client(port, "return await socket.ended;")
  peer.wait(function() return record.socket end, "the connection")
  record.socket:terminate()
  lu.assertStrMatches(seen(), "open, .*close 1006 %-")
end

function T:test_the_subprotocol_our_server_chooses()
  local _, port, record = peer.echo { protocols = { "soap", "mqtt" } }
  local seen = self:client(port, "return socket.protocol;", '["x", "mqtt", "soap"]')
  lu.assertEquals(seen(), "mqtt")
  lu.assertEquals(record.socket.protocol, "mqtt")
end

function T:test_the_request_our_server_sees()
  local server, port = peer.echo()
  local request
  server.onconnection = function(_, r) request = r end
  self:client(port, "", [=[[], { origin: "http://127.0.0.1:9", headers: { "X-Token": "a", Cookie: "b=c" } }]=])()
  peer.wait(function() return request end, "the connection")
  lu.assertEquals({ request.method, request.target, request.path, request.query },
    { "GET", "/path?query", "/path", "query" })
  lu.assertEquals({ request.headers["x-token"], request.headers.COOKIE, request.headers.origin },
    { "a", "b=c", "http://127.0.0.1:9" })
end

function T:test_a_refusal_with_status_and_body()
  local _, port = peer.echo {
    verify = function(request)
      if request.headers.authorization then return true end
      return false, 401, { ["WWW-Authenticate"] = "Basic" }, "who are you?"
    end,
  }
  local seen = self.node:run([[
    return await new Promise(done => {
      const socket = new WebSocket("ws://127.0.0.1:$port/");
      socket.on("error", error => done(error.message));
      socket.on("open", () => done("open"));
      socket.on("unexpected-response", async (_, response) => {
        let body = "";
        for await (const chunk of response) body += chunk;
        done(`${response.statusCode} ${response.headers["www-authenticate"]} ${body}`);
      });
    });
  ]], { port = port })
  lu.assertEquals(seen, "401 Basic who are you?")
end

function T:test_a_thousand_clients()
  local server, port = peer.echo()
  local count, closed = 1000, 0
  server.onconnection = nil
  server.onmessage = function(socket, data) socket:send(data) end
  server.onclose = function(_, code) closed = closed + (code == 1000 and 1 or 0) end
  local seen = self.node:begin([[
    const all = await Promise.all(Array.from({ length: $count }, () => connect("ws://127.0.0.1:$port/")));
    shared.all = all;
    await Promise.all(all.map((socket, i) => { socket.send(`${i}`); return once(socket, "message"); }));
    return all.filter((socket, i) => socket.lines.join() === `open,text ${i}`).length;
  ]], { port = port, count = count })
  lu.assertEquals(seen(), tostring(count))
  lu.assertEquals(server.clientCount, count)
  lu.assertEquals(server:broadcast "to all", count)
  lu.assertEquals(self.node:run [[
    await Promise.all(shared.all.map(socket => socket.lines.length === 3 || once(socket, "message")));
    shared.all.forEach(socket => socket.close(1000));
    const lines = await Promise.all(shared.all.map(socket => socket.ended));
    shared.all = null;
    return new Set(lines.map(line => line.replace(/^open, text \d+/, ""))).size + lines[7];
  ]], "1open, text 7, text to all, close 1000 -")
  peer.wait(function() return closed == count end, "the ends")
  lu.assertEquals(server.clientCount, 0)
end

-- ---- Node's server ------------------------------------------------------------------

-- A server in Node; its URL.  `code` runs for each connection, `socket`.
function T:serve(code, options)
  local port = self.node:run(([[
    const server = await listen(%s, (socket, request) => { %s });
    (shared.servers ??= []).push(server);
    return server.address().port;
  ]]):format(options or "{}", code))
  return ("ws://127.0.0.1:%s/path?query"):format(port)
end

local ECHO = [[socket.on("message", (data, binary) => socket.send(data, { binary }));]]

function T:test_our_client_gets_every_size_back()
  local socket = wsock.WebSocket(self:serve(ECHO))
  local record = peer.record()
  local got, sent = {}, {}
  socket:on("message", function(data, kind) got[#got + 1] = { data, kind } end)
  socket:on("open", function()
    for _, size in ipairs(SIZES) do
      for _, kind in ipairs { "text", "binary" } do
        local data = (kind == "text" and "~" or "\xff"):rep(size)
        sent[#sent + 1] = { data, kind }
        lu.assertTrue(socket:send(data, kind))
      end
    end
  end)
  record:watch(socket)
  peer.wait(function() return #got == 2 * #SIZES end, "the echoes")
  for i, message in ipairs(sent) do
    lu.assertTrue(got[i][1] == message[1] and got[i][2] == message[2], "message " .. i)
  end
  lu.assertEquals({ socket.bufferedAmount, socket.protocol, socket.extensions }, { 0, "", "" })
  socket:close(1000, "bye")
  record:wait "^close 1000 bye clean"
  lu.assertEquals(record[1], "open")
end

function T:test_fragments_of_nodes_server()
  local url = self:serve [[
    socket.send("\u20ac", { fin: false });
    socket.ping("!");
    socket.send("", { fin: false });
    socket.send("\ud83d\ude42", { fin: true });
    socket.close(4000, "all");
  ]]
  local _, record = peer.connect(url)
  record:wait "^close"
  lu.assertEquals(tostring(record), "open, ping !, text €🙂, close 4000 all clean")
end

function T:test_fragments_of_our_client()
  local socket, record = peer.connect(self:serve(ECHO))
  record:wait "open"
  for i = 1, 3 do socket:send(tostring(i), "text", { final = i == 3 }) end
  record:wait "^text 123$"
end

function T:test_pings_of_client_and_server()
  local socket, record = peer.connect(self:serve [[
    socket.ping("down");
    socket.on("pong", data => socket.send(`got ${data}`));
  ]])
  record:wait "^ping down"
  record:wait "^text got down"
  socket:ping "up"
  record:wait "^pong up"
  lu.assertIsNumber(socket.latency)
end

function T:test_close_codes_of_our_client()
  for _, code in ipairs { 1000, 3000, 4999 } do
    local socket, record = peer.connect(self:serve "shared.ended = socket.ended;")
    record:wait "open"
    socket:close(code, "Grüße")
    record:wait(("^close %d Grüße clean"):format(code))
    lu.assertEquals(self.node:run "return await shared.ended;", ("close %d Grüße"):format(code))
  end
  local socket, record = peer.connect(self:serve "shared.ended = socket.ended;")
  record:wait "open"
  socket:close()
  lu.assertEquals(record:wait "^close", "close 1005 - clean")
  lu.assertEquals(self.node:run "return await shared.ended;", "close 1005 -")
end

function T:test_close_codes_of_nodes_server()
  local url = self:serve [[
    const code = Number(new URL(request.url, "ws://x").searchParams.get("code"));
    code ? socket.close(code, "reason") : socket.close();
  ]]
  for _, code in ipairs { 1000, 1001, 1003, 1008, 1011, 1013, 3000, 4999 } do
    local _, record = peer.connect((url:gsub("query$", "code=" .. code)))
    record:wait "^close"
    lu.assertEquals(tostring(record), ("open, close %d reason clean"):format(code))
  end
  local _, record = peer.connect(url)
  record:wait "^close"
  lu.assertEquals(tostring(record), "open, close 1005 - clean")
end

function T:test_the_subprotocol_nodes_server_chooses()
  local url = self:serve("", "{ handleProtocols: offered => [...offered][1] }")
  local socket, record = peer.connect(url, { "soap", "wamp" })
  record:wait "open"
  lu.assertEquals(socket.protocol, "wamp")
end

function T:test_the_request_of_our_client()
  local url = self:serve [=[
    socket.send([request.url, request.headers.origin, request.headers["x-token"],
      request.headers.host === `127.0.0.1:${request.socket.localPort}`,
      request.headers["sec-websocket-version"]].join(" "));
  ]=]
  local _, record = peer.connect(url, nil, { origin = "https://javascript.info", headers = { ["X-Token"] = "t" } })
  lu.assertEquals(record:wait "^text", "text /path?query https://javascript.info t true 13")
end

function T:test_a_refusal_by_nodes_server()
  local url = self:serve("", [[{
    verifyClient: (_, done) => done(false, 403, "No entry", { "X-Why": "because" }),
  }]])
  local socket, record = peer.connect(url)
  record:wait "^close"
  lu.assertEquals(tostring(record), "error HANDSHAKE, close 1006 - unclean")
  lu.assertEquals(socket.response.status, 403)
  lu.assertEquals(socket.response.headers["x-why"], "because")
  lu.assertEquals(socket.response.body, "No entry")
end

function T:test_a_server_killed_in_the_middle()
  local other = peer.driver "node"
  local ok, message = pcall(function()
    local port = other:run [[
      const server = await listen({}, socket => socket.send("hello"));
      return server.address().port;
    ]]
    local _, record = peer.connect("ws://127.0.0.1:" .. port .. "/")
    record:wait "^text hello"
    other.child:kill "KILL"
    record:wait "^close"
    lu.assertStrMatches(tostring(record), "open, text hello, error %u+, close 1006 %- unclean")
  end)
  other:stop()
  if not ok then error(message, 0) end
end

function T:test_a_thousand_sockets_of_ours()
  local url = self:serve(ECHO)
  local count, right, closed = 1000, 0, 0
  for i = 1, count do
    local socket = wsock.WebSocket(url)
    socket:on("open", function() socket:send("number " .. i) end)
    socket:on("message", function(data)
      right = right + (data == "number " .. i and 1 or 0)
      socket:close(1000)
    end)
    socket:on("close", function(code, _, clean)
      closed = closed + (code == 1000 and clean and 1 or 0)
    end)
  end
  peer.wait(function() return closed == count end, "the ends")
  lu.assertEquals(right, count)
end

return T
