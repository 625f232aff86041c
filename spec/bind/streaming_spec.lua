-- bind: messages in parts, over sockets: the option streaming, chunk events, receiveChunk,
-- and how little memory a large message needs. The protocol's part is in
-- spec/proto/chunks_spec.lua.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local clock = require "support.clock"
local process = require "support.process"
local rigs = require "support.rig"

local T = rigs.class()

-- A client that streams, and its raw peer.
function T:silent(options)
  local o = { streaming = true }
  for key, value in pairs(options or {}) do o[key] = value end
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, o)
  local peer = server:welcome()
  self.rig:wait(function() return socket.readyState == 1 end, "not open")
  return socket, peer
end

local function part(op, text, fin) return bytes.frame { op = op, text, fin = fin or false } end

-- ---- events ---------------------------------------------------------------------------

function T:test_chunk_events_in_every_style()
  local socket, peer = self:silent()
  local seen = {}
  local function note(...) seen[#seen + 1] = table.concat({ ... }, "/") end
  socket:on("chunk", function(data, kind, final) note("on", data, kind, tostring(final)) end)
  socket.onchunk = function(e) note("attribute", e.type, e.data, e.kind, tostring(e.final)) end
  socket:addEventListener("chunk", function(e) note("event", e.data, tostring(e.origin)) end)
  peer:send(part("text", "a") .. part("continuation", "b", true) .. bytes.frame { op = "binary", "whole" })
  self.rig:wait(function() return #seen == 9 end)
  lu.assertEquals(seen, {
    "on/a/text/false", "attribute/chunk/a/text/false", "event/a/nil",
    "on/b/text/true", "attribute/chunk/b/text/true", "event/b/nil",
    "on/whole/binary/true", "attribute/chunk/whole/binary/true", "event/whole/nil",
  })
end

function T:test_a_servers_handlers()
  for _, style in ipairs { "option", "attribute", "on" } do
    local seen = {}
    local function note(socket, ...) seen[#seen + 1] = { tostring(socket):match "%a+%.%a+", ... } end
    local server, url = self.rig:listen { streaming = true, onchunk = style == "option" and note or nil }
    if style == "attribute" then server.onchunk = note end
    if style == "on" then server:on("chunk", note) end
    local client = self.rig:client(url)
    self.rig:wait(function() return client.readyState == 1 end)
    client:send("a", "text", { final = false })
    client:send "b"
    self.rig:wait(function() return #seen == 2 end)
    lu.assertEquals(seen, { { "wsock.socket", "a", "text", false }, { "wsock.socket", "b", "text", true } })
  end
end

function T:test_what_never_comes_cannot_be_listened_to()
  local streams, plain = self:silent(), self.rig:opened()
  local function nothing() end
  for _, method in ipairs { "on", "once", "addEventListener" } do
    lu.assertErrorMsgContains("streaming", streams[method], streams, "message", nothing)
    lu.assertErrorMsgContains("streaming", plain[method], plain, "chunk", nothing)
  end
  lu.assertErrorMsgContains("streaming", function() streams.onmessage = nothing end)
  lu.assertErrorMsgContains("streaming", function() plain.onchunk = nothing end)
  streams.onmessage, plain.onchunk = nil, nil
  for _, method in ipairs { "receive", "messages" } do
    lu.assertErrorMsgContains("receiveChunk", streams[method], streams)
  end
  lu.assertErrorMsgContains("streaming", plain.receiveChunk, plain)
  lu.assertErrorMsgContains("streaming", wsock.listen, { port = 0, loop = self.loop, onchunk = nothing })
  lu.assertErrorMsgContains("streaming", wsock.listen,
    { port = 0, loop = self.loop, streaming = true, onmessage = nothing })
  lu.assertErrorMsgContains("streaming", self.rig.client, self.rig, "ws://a/", nil, { streaming = 1 })
end

function T:test_binary_types()
  local socket, peer = self:silent()
  socket.binaryType = "blob"
  local seen = {}
  socket:on("chunk", function(data) seen[#seen + 1] = type(data) == "string" and data or data:text() end)
  peer:send(part("binary", "\1\2") .. part("continuation", "\3", true) .. bytes.frame { "text" })
  self.rig:wait(function() return #seen == 3 end)
  lu.assertEquals(seen, { "\1\2", "\3", "text" })
  socket.binaryType = "arraybuffer"
  peer:send(part("binary", "\5\6"))
  lu.assertEquals(socket:receiveChunk(5)[2], 6)
end

-- ---- receiveChunk ------------------------------------------------------------------------

function T:test_receive_chunk()
  local socket, peer = self:silent()
  peer:send(part("text", "a") .. bytes.frame { op = "ping", "" } .. part("continuation", "b", true))
  lu.assertEquals({ socket:receiveChunk(5) }, { "a", "text", false })
  lu.assertEquals({ socket:receiveChunk(5) }, { "b", "text", true })
  lu.assertEquals({ socket:receiveChunk(0) }, { nil, "receiveChunk: timed out", "TIMEOUT" })
  local task = self.loop:spawn(socket.receiveChunk, socket)
  self.rig:turn()
  peer:frame { op = "binary", "whole" }
  lu.assertEquals({ task:join(5) }, { true, "whole", "binary", true })
  lu.assertErrorMsgContains("receiveChunk: timeout", socket.receiveChunk, socket, "x")
  peer:say_close(3000, "bye")
  peer:shut()
  lu.assertEquals({ select(3, socket:receiveChunk(5)) }, { "CLOSED", 3000, "bye" })
end

function T:test_a_listener_turns_it_back()
  local socket, peer = self:silent()
  socket:receiveChunk(0)
  peer:send(part("text", "a") .. part("continuation", "b", true))
  self.rig:idle()
  local seen = {}
  socket:on("chunk", function(data, _, final) seen[#seen + 1] = data .. tostring(final) end)
  self.rig:wait(function() return #seen == 2 end)
  lu.assertEquals(seen, { "afalse", "btrue" })
end

function T:test_limits_are_none_unless_told()
  local socket, peer = self:silent()
  socket:receiveChunk(0)
  for i = 1, 5000 do peer:send(part(i == 1 and "binary" or "continuation", "x", i == 5000)) end
  local n, final = 0, false
  while not final do
    local data, _, last = assert(socket:receiveChunk(5))
    n, final = n + #data, last
  end
  lu.assertEquals(n, 5000)
  for option, code in pairs { maxPayload = 1009, maxFragments = 1008 } do
    socket, peer = self:silent { [option] = 3 }
    socket:receiveChunk(0)
    peer:send(part("binary", "1"))
    for i = 2, 4 do peer:send(part("continuation", tostring(i))) end
    lu.assertEquals(peer:take_close(), code)
    for i = 1, 3 do lu.assertEquals(socket:receiveChunk(5), tostring(i)) end
    peer:shut()
    lu.assertEquals(select(3, socket:receiveChunk(5)), "CLOSED")
  end
end

-- ---- much through little -------------------------------------------------------------------

-- Sends MiB in parts from a client to a server, or back, in a process of its own
-- whose heap is small; prints bytes, kind and the peak of memory in KiB.
local program = [[
local wsock = require "wsock"
local mib, pmd, back = tonumber(arg[1]), arg[2] == "packed", arg[3] == "back"
local block, got, kind = ("0123456789abcdef"):rep(4096), 0, nil
local function send(socket)
  for i = 1, mib * 16 do
    assert(socket:send(block, "binary", { final = i == mib * 16 }))
    assert(socket:drain())
  end
end
local function receive(socket)
  local data, final
  while not final do
    data, kind, final = assert(socket:receiveChunk(60))
    got = got + #data
  end
  socket:close(1000)
end
local server = assert(wsock.listen { port = 0, streaming = true, perMessageDeflate = pmd,
  onconnection = back and send or receive })
local socket = assert(wsock.connect("ws://127.0.0.1:" .. select(2, server:address()),
  { streaming = true, perMessageDeflate = pmd }))
collectgarbage()
local before, peak = collectgarbage "count", 0
local timer = wsock.every(0.001, function() peak = math.max(peak, collectgarbage "count" - before) end)
if back then receive(socket) else send(socket) end
while socket.readyState ~= 3 do wsock.step(0.1) end
timer:cancel()
server:close()
wsock.run()
print(got, kind, math.ceil(peak))
]]

local MIB = clock.times(128, 4)

local function expect_little(how)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(program):close()
  for _, way in ipairs { "there", "back" } do
    local out, status = process.run_lua { path, tostring(MIB), how, way }
    lu.assertEquals(status, 0, out)
    local got, kind, peak = out:match "(%d+)%s+(%a+)%s+(%d+)"
    lu.assertEquals({ tonumber(got), kind }, { MIB << 20, "binary" }, out)
    lu.assertTrue(tonumber(peak) < 1024, peak)
  end
  os.remove(path)
end

function T:test_a_large_message_needs_little_memory() expect_little "plain" end
function T:test_compressed_too() expect_little "packed" end

-- A reader that does not read: the peer stops, and memory stays.
function T:test_a_slow_reader_stops_the_peer()
  local socket, peer = self:silent()
  socket:receiveChunk(0)
  collectgarbage()
  local before = collectgarbage "count"
  peer:send(bytes.frame { op = "binary", length = 1 << 30, wide = 64 })
  local block, sent, still = ("x"):rep(60000), 0, 0
  peer.sock:settimeout(0)
  while still < 20 do
    local last, _, rest = peer.sock:send(block)
    local n = last or rest
    sent, still = sent + n, n == 0 and still + 1 or 0
    self.loop:step(0)
    lu.assertTrue(sent < 64 << 20, "it reads on")
  end
  collectgarbage()
  lu.assertTrue(collectgarbage "count" - before < 900)
  local got = 0
  while got < sent do got = got + #assert(socket:receiveChunk(5)) end
  lu.assertEquals(got, sent)
end

-- ---- protocol objects ------------------------------------------------------------------------

function T:test_protocol_objects()
  local client, server = wsock.protocol.client("ws://a/", { streaming = true }), wsock.protocol.server()
  local heard = {}
  local function carry()
    for _ = 1, 4 do
      server:feed(client:output())
      for name in server.next, server do if name == "upgrade" then server:accept() end end
      client:feed(server:output())
      local event = { client:next() }
      while event[1] do
        heard[#heard + 1] = event
        event = { client:next() }
      end
    end
  end
  carry()
  server:send("a", "text", { final = false })
  server:ping "p"
  server:send "b"
  server:send("whole", "binary")
  carry()
  lu.assertEquals(heard, { { "open" }, { "chunk", "a", "text", false }, { "ping", "p" },
    { "chunk", "b", "text", true }, { "chunk", "whole", "binary", true } })
end

return T
