-- spec/interop/python_spec.lua -- Python's websockets: its client at our
-- server, its server under our client.

local lu = require "luaunit"
local peer = require "interop.peer"

local T = {}

function T:setUpClass()
  self.python = peer.driver "python"
end

function T:tearDownClass()
  self.python:stop()
end

function T:tearDown()
  self.python:run [[
for server in vars(shared).pop("servers", []):
    server.close()
    await server.wait_closed()
]]
  peer.cleanup()
end

-- ---- Python's client ------------------------------------------------------------------

-- Runs code in Python while `socket` is connected to our server.
function T:client(port, code, options)
  local body = ("\n" .. code):gsub("\n", "\n    ")
  return self.python:begin(("async with websockets.connect('ws://127.0.0.1:$port/'%s) as socket:%s")
    :format(options or "", body), { port = port })
end

function T:test_every_size_comes_back()
  local _, port, record = peer.echo()
  local seen = self:client(port, [[
wrong = []
for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
    for data in ("~" * size, b"\xff" * size):
        await socket.send(data)
        if await socket.recv() != data:
            wrong.append(size)
await socket.close(1000, "bye")
return f"{wrong} {socket.extensions} {socket.subprotocol} {socket.close_code} {socket.close_reason}"]],
    ", max_size=None")
  lu.assertEquals(seen(), "[] [] None 1000 bye")
  record:wait "^close 1000 bye clean"
end

function T:test_fragments_of_a_client()
  local _, port, record = peer.echo()
  local seen = self:client(port, [[
await socket.send(["Zo", "ë", "!"])
return await socket.recv()]])
  lu.assertEquals(seen(), "Zoë!")
  lu.assertEquals(record[1], "text Zoë!")
end

function T:test_pings_both_ways()
  local _, port, record = peer.echo()
  local seen = self:client(port, [[
await (await socket.ping("from python"))
try:
    await socket.recv()
except websockets.ConnectionClosed as end:
    return f"{end.rcvd.code} {end.rcvd.reason}"]])
  record:wait "^ping from python"
  record.socket:ping "from us"
  record:wait "^pong from us"
  record.socket:close(4000, "enough")
  lu.assertEquals(seen(), "4000 enough")
  record:wait "^close 4000 enough clean"
end

function T:test_close_codes_of_a_client()
  local _, port, record = peer.echo()
  for _, code in ipairs { 1000, 1001, 1011, 3000, 4999 } do
    self:client(port, ("await socket.close(%d, 'Grüße')"):format(code))()
    record:wait(("^close %d Grüße clean"):format(code))
  end
end

function T:test_the_subprotocol_our_server_chooses()
  local _, port = peer.echo { protocols = { "soap" } }
  local seen = self:client(port, "return socket.subprotocol", ", subprotocols=['wamp', 'soap']")
  lu.assertEquals(seen(), "soap")
end

function T:test_a_refusal()
  local _, port = peer.echo { verify = function() return false, 403 end }
  local seen = self.python:run([[
try:
    await websockets.connect("ws://127.0.0.1:$port/")
except websockets.InvalidStatusCode as refusal:
    return refusal.status_code
]], { port = port })
  lu.assertEquals(seen, "403")
end

-- ---- Python's server --------------------------------------------------------------------

-- A server in Python; its URL.  `code` runs for each connection, `socket`.
function T:serve(code, options)
  local body = ("\n" .. code):gsub("\n", "\n    ")
  local port = self.python:run(([=[
async def handler(socket):%s
server = await websockets.serve(handler, "127.0.0.1", 0%s)
vars(shared).setdefault("servers", []).append(server)
return server.sockets[0].getsockname()[1]]=]):format(body, options or ""))
  return ("ws://127.0.0.1:%s/"):format(port)
end

local ECHO = "async for message in socket: await socket.send(message)"

function T:test_our_client_gets_every_size_back()
  local socket, record = peer.connect(self:serve(ECHO, ", max_size=None"))
  record:wait "open"
  local got
  socket:on("message", function(data, kind) got = { data, kind } end)
  for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 1 << 20 } do
    for _, kind in ipairs { "text", "binary" } do
      local data = (kind == "text" and "~" or "\xff"):rep(size)
      got = nil
      socket:send(data, kind)
      peer.wait(function() return got end, "an echo")
      lu.assertTrue(got[1] == data and got[2] == kind, kind .. " of " .. size)
    end
  end
  socket:close(3000, "x")
  record:wait "^close 3000 x clean"
end

function T:test_fragments_and_a_ping_of_a_server()
  local url = self:serve [[
await socket.send([b"\x00", b"", b"\xff"])
await (await socket.ping("hm"))
await socket.close(1000, "pong came")]]
  local _, record = peer.connect(url)
  record:wait "^close"
  lu.assertEquals(tostring(record), "open, binary 00ff, ping hm, close 1000 pong came clean")
end

function T:test_a_server_that_raises_is_1011()
  local _, record = peer.connect(self:serve "raise SystemError('a bug in Python')")
  lu.assertStrMatches(record:wait "^close", "close 1011 .* clean")
end

function T:test_the_subprotocol_a_server_chooses()
  local socket, record = peer.connect(self:serve(ECHO, ", subprotocols=['soap']"), { "wamp", "soap" })
  record:wait "open"
  lu.assertEquals(socket.protocol, "soap")
end

function T:test_offers_a_server_does_not_take_fail()
  local _, record = peer.connect(self:serve(ECHO), { "wamp" })
  record:wait "^close"
  lu.assertEquals(tostring(record), "error HANDSHAKE, close 1006 - unclean")
end

return T
