-- spec/interop/deflate_spec.lua -- permessage-deflate with Chromium, Node's ws in
-- every combination of the four parameters, Python's websockets, and nginx in
-- between: 0 bytes to 4 MiB, in text characters of several bytes that lie across
-- the borders of fragments and windows.

local lu = require "luaunit"
local fronts = require "interop.fronts"
local peer = require "interop.peer"
local bytes = require "support.bytes"
local process = require "support.process"

local T = {}

function T:setUpClass()
  self.node, self.python, self.chromium = peer.driver "node", peer.driver "python", peer.driver "chromium"
end

function T:tearDownClass()
  self.node:stop()
  self.python:stop()
  self.chromium:stop()
end

function T:tearDown()
  self.node:run [[
    for (const server of shared.servers ?? []) {
      for (const socket of server.clients) socket.terminate();
      server.close();
    }
    shared.servers = [];
  ]]
  self.chromium:run "await closePages()"
  self.python:run [[
for server in vars(shared).pop("servers", []):
    server.close()
    await server.wait_closed()
]]
  peer.cleanup()
  if self.remove then self.remove() end
end

-- n bytes of text, at most one less than a character's: words of one to four
-- bytes per character, from a sequence that JavaScript and Python have, too.
local WORDS = { "price ", "grün ", "日本語 ", "😀😀 ", "{\"id\":", "żółć ", "x" }

local texts = {} -- many ask for the same

local function text(n)
  if texts[n] then return texts[n] end
  local list, size, i = {}, 0, 0
  while true do
    local word = WORDS[(i * i + i // 7) % 7 + 1]
    if size + #word > n then break end
    list[#list + 1], size, i = word, size + #word, i + 1
  end
  texts[n] = table.concat(list) .. ("."):rep(n - size)
  return texts[n]
end

-- In the other languages: of the same length, made the same way.
local JS = [[
  const words = ["price ", "grün ", "日本語 ", "😀😀 ", "{\"id\":", "żółć ", "x"];
  const encoder = new TextEncoder();
  const lengths = words.map(word => encoder.encode(word).length);
  const texts = new Map();
  function text(n) {
    if (!texts.has(n)) texts.set(n, make(n));
    return texts.get(n);
  }
  function make(n) {
    const list = [];
    let size = 0;
    for (let i = 0; ; i++) {
      const k = (i * i + Math.floor(i / 7)) % 7;
      if (size + lengths[k] > n) break;
      list.push(words[k]);
      size += lengths[k];
    }
    return list.join("") + ".".repeat(n - size);
  }
  function noise(n) {
    let x = 1;
    return Uint8Array.from({ length: n }, () => (x = (x * 16807) % 2147483647) >> 8);
  }
]]

local SIZES = { 0, 1, 20, 64, 125, 126, 1000, 1024, 32767, 32768, 65535, 65536, 100000, 1 << 20, 4 << 20 }
local SIZE_LIST = table.concat(SIZES, ",")

local function on(options)
  options = options or {}
  if options.perMessageDeflate == nil then options.perMessageDeflate = true end
  options.maxPayload = 8 << 20
  return peer.echo(options)
end

-- ---- Node's ws ---------------------------------------------------------------------

-- All that its options for the four parameters can be.
local function combinations()
  local list = {}
  for _, server_alone in ipairs { "false", "true" } do
    for _, client_alone in ipairs { "false", "true" } do
      for _, server_window in ipairs { "undefined", "8", "9", "12", "15" } do
        for _, client_window in ipairs { "undefined", "8", "9", "12", "15", "true" } do
          list[#list + 1] = ("{ serverNoContextTakeover: %s, clientNoContextTakeover: %s, "
            .. "serverMaxWindowBits: %s, clientMaxWindowBits: %s, threshold: 0 }"):format(
            server_alone, client_alone, server_window, client_window)
        end
      end
    end
  end
  return list
end

function T:test_node_clients_in_every_combination()
  local _, port = on()
  local list = combinations()
  for i = 1, #list, 20 do
    local some = { table.unpack(list, i, i + 19) }
    lu.assertEquals(self.node:run(JS .. [[
      const wrong = [];
      let agreed = 0;
      for (const options of [$list]) {
        const socket = await connect("ws://127.0.0.1:$port/", { perMessageDeflate: options });
        if (socket.extensions.includes("permessage-deflate")) agreed++;
        for (const size of [0, 5, 2000, 2000, 40000, 40000]) {
          for (const data of [Buffer.from(noise(size)), text(size)]) {
            socket.send(data);
            const [got, binary] = await Promise.race([once(socket, "message"), socket.ended.then(() => ["", null])]);
            if (binary !== Buffer.isBuffer(data) || !got.equals(Buffer.from(data)))
              wrong.push(JSON.stringify(options) + size + socket.lines.at(-1));
          }
        }
        socket.terminate();
      }
      return `${agreed} ${wrong}`;
    ]], { port = port, list = table.concat(some, ",\n") }), #some .. " ")
  end
end

function T:test_node_servers_in_every_combination()
  local agreed, list = 0, combinations()
  local made = {}
  for i, options in ipairs(list) do
    -- a server of Node's takes no `true` for a window, and wants it offered
    if not options:find("clientMaxWindowBits: true", 1, true) then made[#made + 1] = list[i] end
  end
  local ports = self.node:run([[
    const ports = [];
    for (const options of [$list]) {
      const server = await listen({ perMessageDeflate: options, maxPayload: 1 << 23 }, socket => {
        socket.on("message", (data, binary) => socket.send(data, { binary }));
      });
      (shared.servers ??= []).push(server);
      ports.push(server.address().port);
    }
    return ports.join();
  ]], { list = table.concat(made, ",\n") })
  local i = 0
  for port in ports:gmatch "%d+" do
    i = i + 1
    local socket, record = peer.connect(("ws://127.0.0.1:%s/"):format(port))
    record:wait "^open"
    if socket.extensions:find("permessage-deflate", 1, true) then agreed = agreed + 1 end
    local sent, got = {}, {}
    socket:on("message", function(data, kind) got[#got + 1] = kind .. data end)
    for _, size in ipairs { 0, 5, 2000, 2000, 40000, 40000 } do
      for _, message in ipairs { { bytes.random(size), "binary" }, { text(size), "text" } } do
        socket:send(message[1], message[2])
        sent[#sent + 1] = message[2] .. message[1]
      end
    end
    peer.wait(function() return #got == #sent or socket.readyState > 1 end, made[i])
    for k in ipairs(sent) do lu.assertTrue(got[k] == sent[k], made[i] .. k) end
    socket:terminate()
  end
  lu.assertEquals({ agreed, i }, { #made, #made })
end

-- What our clients may ask for, of Node's servers; and what our servers may want
-- of Node's clients.
function T:test_our_parameters_with_node()
  local ours = {
    { serverNoContextTakeover = true }, { clientNoContextTakeover = true }, { serverMaxWindowBits = 9 },
    { clientMaxWindowBits = 8 }, { serverMaxWindowBits = 10, clientMaxWindowBits = 11, level = 1, memLevel = 1 },
    { serverNoContextTakeover = true, clientNoContextTakeover = true, level = 9, memLevel = 9, threshold = 0 },
  }
  local url = self.node:run [[
    const server = await listen({ perMessageDeflate: true, maxPayload: 1 << 23 }, socket => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    (shared.servers ??= []).push(server);
    return "ws://127.0.0.1:" + server.address().port;
  ]]
  for _, options in ipairs(ours) do
    local socket, record = peer.connect(url, nil, { perMessageDeflate = options })
    record:wait "^open"
    lu.assertStrContains(socket.extensions, "permessage-deflate")
    local got
    socket:on("message", function(data) got = data end)
    for _, size in ipairs { 0, 2000, 70000, 2000 } do
      local data = text(size)
      got = nil
      socket:send(data)
      peer.wait(function() return got end, "an echo")
      lu.assertTrue(got == data)
    end
    socket:terminate()
    local _, port = on { perMessageDeflate = options }
    lu.assertEquals(self.node:run(JS .. [[
      const socket = await connect("ws://127.0.0.1:$port/");
      for (const size of [0, 2000, 70000, 2000]) {
        socket.send(text(size));
        const [got] = await once(socket, "message");
        if (!got.equals(Buffer.from(text(size)))) return "wrong: " + size;
      }
      socket.terminate();
      return socket.extensions.slice(0, 18);
    ]], { port = port }), "permessage-deflate")
  end
end

function T:test_every_size_with_node()
  local _, port, record = on()
  lu.assertEquals(self.node:run(JS .. [[
    const socket = await connect("ws://127.0.0.1:$port/");
    const wrong = [];
    for (const size of [$sizes]) {
      for (const data of [Buffer.from(noise(size)), text(size)]) {
        socket.send(data);
        const [got, binary] = await once(socket, "message");
        if (binary !== Buffer.isBuffer(data) || !got.equals(Buffer.from(data))) wrong.push(size);
      }
    }
    socket.close(1000, "bye");
    await socket.ended;
    return wrong.join();
  ]], { port = port, sizes = SIZE_LIST }), "")
  record:wait "^close 1000 bye clean"
end

-- Characters and windows cut by fragments, both ways.
function T:test_fragments_with_node()
  local whole = text(100000)
  local server, port = on()
  server.onmessage = function(socket, data)
    local at = 1
    while at <= #data do
      local n = (at * 7) % 9973 + 1
      socket:send(data:sub(at, at + n - 1), "text", { final = at + n > #data })
      at = at + n
    end
  end
  lu.assertEquals(self.node:run(JS .. [[
    const socket = await connect("ws://127.0.0.1:$port/");
    const data = Buffer.from(text(100000));
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < data.length; ) {
        const n = (at * 5) % 7919 + 1;
        socket.send(data.subarray(at, at + n), { binary: false, compress: true, fin: at + n >= data.length });
        at += n;
      }
      const [got, binary] = await once(socket, "message");
      if (binary || !got.equals(data)) return "wrong " + round;
    }
    return socket.extensions;
  ]], { port = port }), "permessage-deflate")
  lu.assertEquals(#whole, 100000)
end

-- ---- Python's websockets -----------------------------------------------------------

local PYTHON = [==[
words = ["price ", "grün ", "日本語 ", "😀😀 ", "{\"id\":", "żółć ", "x"]
def text(n):
    out, size, i = [], 0, 0
    while True:
        word = words[(i * i + i // 7) % 7]
        if size + len(word.encode()) > n: break
        out.append(word); size += len(word.encode()); i += 1
    return "".join(out) + "." * (n - size)
]==]

function T:test_python_clients()
  local _, port, record = on()
  local seen = self.python:run(PYTHON .. [[
import os
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Offer
wrong = []
for offer in (Offer(), Offer(True, True), Offer(server_max_window_bits=9, client_max_window_bits=10), None,
              Offer(client_max_window_bits=True, compress_settings={"level": 9})):
    more = {} if offer is None else {"compression": None, "extensions": [offer]}
    async with websockets.connect("ws://127.0.0.1:$port/", max_size=None, **more) as socket:
        if "permessage-deflate" not in str(socket.extensions).lower() and len(socket.extensions) != 1:
            wrong.append("not agreed")
        for size in [$sizes] if offer is None else [0, 1, 1024, 70000, 1024]:
            for data in (text(size), os.urandom(size)):
                await socket.send(data)
                if await socket.recv() != data: wrong.append(size)
        await socket.send([text(1000)[:100], "", text(70000)])
        if await socket.recv() != text(1000)[:100] + text(70000): wrong.append("fragments")
return wrong]], { port = port, sizes = SIZE_LIST })
  lu.assertEquals(seen, "[]")
  record:wait "^close 1000"
end

function T:test_python_servers()
  local port = self.python:run [==[
async def handler(socket):
    async for message in socket:
        half = len(message) // 2
        await socket.send([message[:half], message[half:]])
server = await websockets.serve(handler, "127.0.0.1", 0, max_size=None)
vars(shared).setdefault("servers", []).append(server)
return server.sockets[0].getsockname()[1]]==]
  local socket, record = peer.connect(("ws://127.0.0.1:%s/"):format(port), nil, { maxPayload = 8 << 20 })
  record:wait "^open"
  lu.assertStrContains(socket.extensions, "permessage-deflate")
  local got
  socket:on("message", function(data, kind) got = kind .. data end)
  for _, size in ipairs(SIZES) do
    for _, message in ipairs { { text(size), "text" }, { bytes.random(size), "binary" } } do
      got = nil
      socket:send(message[1], message[2])
      peer.wait(function() return got end, "an echo of " .. size)
      lu.assertTrue(got == message[2] .. message[1], size)
    end
  end
  lu.assertTrue(socket:stats().compressedOut > 0 and socket:stats().compressedIn > 0)
end

-- ---- Chromium ----------------------------------------------------------------------

local PAGE = [[<!doctype html><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">]]

function T:page(options)
  options = options or {}
  options.onrequest = function(_, response) response:send(200, { ["Content-Type"] = "text/html" }, PAGE) end
  local server, port, record = on(options)
  self.chromium:run([[await open("page", "$url")]], { url = "http://127.0.0.1:" .. port .. "/" })
  return server, port, record
end

function T:in_page(code, values)
  code = code:gsub("%$(%a+)", values)
  return self.chromium:run([[return run("page", $code)]], { code = peer.js(code) })
end

-- Sends what the sizes say and closes; what came back wrong.
local IN_PAGE = JS .. [[
  const socket = new WebSocket("ws://127.0.0.1:$port/");
  socket.binaryType = "arraybuffer";
  const wrong = [];
  await new Promise(done => socket.onopen = done);
  const message = () => new Promise(done => socket.onmessage = event => done(event.data));
  for (const size of [$sizes]) {
    const words = text(size);
    socket.send(words);
    if (await message() !== words) wrong.push("text " + size);
    const data = noise(size);
    socket.send(data);
    const got = new Uint8Array(await message());
    if (got.length !== size || !got.every((byte, i) => byte === data[i])) wrong.push("binary " + size);
  }
  socket.close(1000);
  return socket.extensions.slice(0, 18) + wrong;
]]

function T:test_chromium()
  for _, row in ipairs {
    { true, "0,1,20,64,125,126,1000,1024,32767,32768,65535,65536,100000" }, { true, 1 << 20 }, { true, 4 << 20 },
    { { serverNoContextTakeover = true, clientNoContextTakeover = true }, "0,1,2000,2000,65536,100000" },
    { { serverMaxWindowBits = 9, clientMaxWindowBits = 9 }, "0,1,2000,2000,65536,100000" },
  } do
    local _, port, record = self:page { perMessageDeflate = row[1] }
    lu.assertEquals(self:in_page(IN_PAGE, { port = port, sizes = row[2] }), "permessage-deflate")
    record:wait "^close 1000"
    local stats = record.socket:stats()
    lu.assertTrue(stats.compressedIn < stats.uncompressedIn and stats.compressedOut < stats.uncompressedOut)
  end
end

-- ---- nginx in between ----------------------------------------------------------------

local NGINX = [[
  server {
    listen 127.0.0.1:$port;
    location / {
      proxy_pass http://127.0.0.1:$backend;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;
    }
  }
]]

function T:test_behind_nginx()
  local _, backend = on()
  self.folder, self.remove = process.directory()
  local port = fronts.nginx(self.folder, NGINX, { backend = backend })
  local socket, record = peer.connect(("ws://127.0.0.1:%d/"):format(port), nil, { maxPayload = 8 << 20 })
  record:wait "^open"
  lu.assertEquals(socket.extensions, "permessage-deflate")
  local got
  socket:on("message", function(data) got = data end)
  for _, size in ipairs(SIZES) do
    local data = text(size)
    got = nil
    socket:send(data)
    peer.wait(function() return got end, "an echo of " .. size)
    lu.assertTrue(got == data, size)
  end
  lu.assertEquals(self.node:run(JS .. [[
    const socket = await connect("ws://127.0.0.1:$port/");
    socket.send(text(300000));
    const [got] = await once(socket, "message");
    return socket.extensions + got.equals(Buffer.from(text(300000)));
  ]], { port = port }), "permessage-deflatetrue")
end

return T
