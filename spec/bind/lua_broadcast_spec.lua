-- bind/lua_broadcast: one message to all clients.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()
T.alone = true -- it measures

-- A server, n raw peers, and the server's sockets for them in the same order.
local function gather(rig, n, options)
  local sockets = {}
  options = options or {}
  options.onconnection = function(socket) sockets[#sockets + 1] = socket end
  local server, _, port = rig:listen(options)
  local peers = {}
  for i = 1, n do peers[i] = visitors.knock(rig, port) end
  return server, peers, sockets, port
end

local function heard(peer, op, payload)
  local frame = peer:take()
  lu.assertEquals({ frame.op, frame.fin, frame.masked }, { op, true, false })
  bytes.equals(frame.payload, payload)
end

-- Nothing but the answer to a ping comes.
local function heard_nothing(peer)
  peer:frame { op = "ping", "?" }
  heard(peer, bytes.OP.pong, "?")
end

-- ---- what arrives ---------------------------------------------------------------------

function T:test_everybody_is_counted_and_served()
  local server, peers = gather(self.rig, 3)
  lu.assertEquals({ server:broadcast "hello" }, { 3, 0 })
  for _, peer in ipairs(peers) do heard(peer, bytes.OP.text, "hello") end
end

function T:test_nobody_there()
  local server = gather(self.rig, 0)
  lu.assertEquals({ server:broadcast "hello" }, { 0, 0 })
end

function T:test_kinds_and_sizes()
  local server, peers = gather(self.rig, 2)
  for _, row in ipairs {
    { "", nil, 1 }, { "ä", "text", 1 }, { "\xff\0", "binary", 2 }, { 42, nil, 1, "42" }, { 2.0, nil, 1, "2" },
    { ("x"):rep(125), nil, 1 }, { ("x"):rep(126), nil, 1 }, { ("x"):rep(65535), nil, 1 }, { ("x"):rep(65536), nil, 1 },
    { ("x"):rep(65526), nil, 1 }, { ("x"):rep(65532), nil, 1 }, { ("y"):rep(1 << 20), "binary", 2 },
  } do
    lu.assertEquals(server:broadcast(row[1], row[2]), 2)
    for _, peer in ipairs(peers) do heard(peer, row[3], row[4] or row[1]) end
  end
end

function T:test_misuse_raises()
  local server, peers = gather(self.rig, 1)
  for _, row in ipairs {
    { "not valid UTF-8", "\xff" }, { "not valid UTF-8", "\xed\xa0\x80", "text" }, { "data must be", nil },
    { "data must be", {} }, { "data must be", true }, { "kind must be", "x", "blob" },
    { "options must be a table, got number", "x", "text", 1 },
    { "unknown option of broadcast 'excpt'; did you mean 'except'?", "x", "text", { excpt = 1 } },
    { "'except' must be a socket, got table", "x", nil, { except = {} } },
    { "'filter' must be a function", "x", nil, { filter = 1 } },
  } do
    lu.assertErrorMsgContains(row[1], server.broadcast, server, row[2], row[3], row[4])
  end
  lu.assertError(server.broadcast, server, "x", nil, { except = io.stdout })
  heard_nothing(peers[1])
end

-- S82: those who are leaving do not count and do no harm.
function T:test_only_open_sockets_are_reached()
  local server, peers, sockets, port = gather(self.rig, 4)
  sockets[1]:close(4000)
  sockets[2]:terminate()
  visitors.visit(self.rig, port, "GET / HTTP/1.1\r\n")
  visitors.visit(self.rig, port, visitors.plain())
  self.rig:idle()
  lu.assertEquals({ server:broadcast "x" }, { 2, 0 })
  heard(peers[3], bytes.OP.text, "x")
  heard(peers[4], bytes.OP.text, "x")
  lu.assertEquals({ peers[1]:take_close() }, { 4000, "" })
  peers[1]:close()
  self.rig:wait(function() return server.clientCount == 2 end)
end

-- In one row with what each socket sends by itself.
function T:test_order_with_direct_sends()
  local server, peers, sockets = gather(self.rig, 2)
  sockets[1]:send "a"
  server:broadcast "b"
  sockets[1]:send(("c"):rep(5000)) -- queued by reference
  server:broadcast(("d"):rep(70000)) -- a block of its own
  server:broadcast "e"
  sockets[1]:ping "f"
  server:broadcast "g"
  sockets[1]:close(4000)
  lu.assertEquals(server:broadcast "h", 1)
  local order = {}
  for i = 1, 7 do order[i] = peers[1]:take().payload:sub(1, 1) end
  lu.assertEquals(table.concat(order), "abcdefg")
  lu.assertEquals(peers[1]:take_close(), 4000)
  order = {}
  for i = 1, 5 do order[i] = peers[2]:take().payload:sub(1, 1) end
  lu.assertEquals(table.concat(order), "bdegh")
end

-- Directly behind the 101, before the peer has seen any of it.
function T:test_in_onconnection()
  local server
  server = self.rig:listen { onconnection = function(socket)
    socket:send "1"
    lu.assertEquals(server:broadcast "2", server.clientCount)
  end }
  local _, port = server:address()
  local one, two = visitors.knock(self.rig, port), visitors.knock(self.rig, port)
  for _, payload in ipairs { "1", "2", "2" } do heard(one, bytes.OP.text, payload) end
  for _, payload in ipairs { "1", "2" } do heard(two, bytes.OP.text, payload) end
end

function T:test_many_in_one_turn()
  local server, peers, sockets = gather(self.rig, 3)
  local n = 5000 -- several blocks of 64 KiB
  for i = 1, n do
    lu.assertEquals(server:broadcast(("message %d "):format(i) .. ("x"):rep(i % 50)), 3)
  end
  lu.assertEquals(sockets[1].bufferedAmount, sockets[2].bufferedAmount)
  for _, peer in ipairs(peers) do
    for i = 1, n do
      heard(peer, bytes.OP.text, ("message %d "):format(i) .. ("x"):rep(i % 50))
      if peer.got == "" then peer:look() end
    end
  end
  self.rig:idle()
  lu.assertEquals(sockets[1].bufferedAmount, 0)
  lu.assertEquals(sockets[1]:stats().messagesOut, n)
end

-- A block that was sent is used afresh; what still waits in one is not touched.
function T:test_blocks_are_used_again_only_when_nobody_needs_them()
  local server, peers = gather(self.rig, 2, { maxBuffered = 64 << 20, sendTimeout = 0 })
  local size, got, most = 4 + 2000, { 0, 0 }, 4000
  local function read(i) -- frames of one size, with their numbers
    local text, at = peers[i]:look(), 1
    while at + size - 1 <= #text do
      got[i] = got[i] + 1
      lu.assertEquals(tonumber(text:sub(at + 4, at + 11)), got[i])
      at = at + size
    end
    peers[i].got = text:sub(at)
  end
  for count = 1, most do -- the second one does not read
    lu.assertEquals(server:broadcast(("%08d"):format(count) .. ("x"):rep(1992), "binary"), 2)
    self.rig:turn(0)
    if count % 10 == 0 then read(1) end
  end
  self.rig:wait(function()
    read(1)
    read(2)
    return got[1] == most and got[2] == most
  end)
end

-- ---- except and filter -------------------------------------------------------------------

function T:test_except()
  local server, peers, sockets = gather(self.rig, 3)
  lu.assertEquals(server:broadcast("x", nil, { except = sockets[2] }), 2)
  heard(peers[1], bytes.OP.text, "x")
  heard_nothing(peers[2])
  heard(peers[3], bytes.OP.text, "x")
  local other = self.rig:pair()
  lu.assertEquals(server:broadcast("y", "text", { except = other }), 3) -- not one of ours
  lu.assertEquals(server:broadcast("z", "text", {}), 3)
end

function T:test_filter()
  local server, peers, sockets = gather(self.rig, 3)
  for i, socket in ipairs(sockets) do socket.data = i end
  local asked = 0
  local n = server:broadcast("odd", nil, { filter = function(socket)
    asked = asked + 1
    return socket.data % 2 == 1
  end })
  lu.assertEquals({ n, asked }, { 2, 3 })
  heard(peers[1], bytes.OP.text, "odd")
  heard_nothing(peers[2])
  heard(peers[3], bytes.OP.text, "odd")
  lu.assertEquals(server:broadcast("x", nil, { filter = function() end }), 0)
  lu.assertEquals(server:broadcast("x", nil, { except = sockets[1],
    filter = setmetatable({}, { __call = function(_, socket) return socket ~= sockets[2] end }) }), 1)
  heard(peers[3], bytes.OP.text, "x")
end

function T:test_a_filter_that_closes_and_collects()
  for _, how in ipairs { "close", "terminate" } do
    local server, peers, sockets = gather(self.rig, 4)
    for i, socket in ipairs(sockets) do socket.data = i end
    local n = server:broadcast("x", nil, { filter = function(socket)
      if socket.data == 2 then
        for i = 1, 3 do sockets[i][how](sockets[i]) end
        sockets = nil
      end
      socket = nil -- luacheck: ignore
      collectgarbage()
      return true
    end })
    lu.assertEquals(n, 1)
    heard(peers[4], bytes.OP.text, "x")
    for i = 1, 3 do
      if how == "close" then lu.assertNil((peers[i]:take_close())) else peers[i]:take_end() end
      peers[i]:close()
    end
    self.rig:wait(function() return server.clientCount == 1 end)
  end
end

function T:test_a_filter_that_broadcasts()
  local server, peers = gather(self.rig, 2)
  local inner
  local n = server:broadcast("outer", nil, { filter = function()
    inner = inner or server:broadcast "inner"
    return true
  end })
  lu.assertEquals({ n, inner }, { 2, 2 })
  for _, peer in ipairs(peers) do
    heard(peer, bytes.OP.text, "inner")
    heard(peer, bytes.OP.text, "outer")
  end
end

-- Nobody gets it then, and nothing is kept of it.
function T:test_a_filter_that_raises()
  local server, peers = gather(self.rig, 3)
  local n = 0
  for _ = 1, 100 do
    lu.assertErrorMsgContains("oops", server.broadcast, server, "x", nil, { filter = function()
      n = n + 1
      if n % 2 == 0 then error "oops" end
      return true
    end })
  end
  for _, peer in ipairs(peers) do heard_nothing(peer) end
  lu.assertEquals(server:broadcast "y", 3)
  for _, peer in ipairs(peers) do heard(peer, bytes.OP.text, "y") end
end

function T:test_a_filter_that_closes_the_server()
  local server, peers = gather(self.rig, 2)
  local n = server:broadcast("x", nil, { filter = function()
    server:close()
    return true
  end })
  lu.assertEquals(n, 0)
  for _, peer in ipairs(peers) do lu.assertEquals(peer:take_close(), 1001) end
end

function T:test_a_filter_that_closes_the_loop()
  local loop = wsock.loop()
  local server = assert(wsock.listen { port = 0, loop = loop })
  local peer = visitors.visit(self.rig, select(2, server:address()), visitors.upgrade())
  self.rig:wait(function()
    loop:step(0)
    return server.clientCount == 1
  end)
  lu.assertEquals(server:broadcast("x", nil, { filter = function()
    loop:close()
    return true
  end }), 0)
  peer:take_end()
end

-- A message that is being sent in fragments cannot be interrupted.
function T:test_in_the_middle_of_a_fragmented_message()
  local server, peers, sockets = gather(self.rig, 2)
  sockets[1]:send("a", "text", { final = false })
  lu.assertEquals({ server:broadcast "x" }, { 1, 1 })
  sockets[1]:send "b"
  lu.assertEquals({ server:broadcast "y" }, { 2, 0 })
  local first = peers[1]:take()
  lu.assertEquals({ first.op, first.fin, first.payload }, { 1, false, "a" })
  lu.assertEquals({ peers[1]:take().payload, peers[1]:take().payload }, { "b", "y" })
  lu.assertEquals({ peers[2]:take().payload, peers[2]:take().payload }, { "x", "y" })
end

-- ---- slow consumers ------------------------------------------------------------------------

-- Broadcasts until the first peer, which never reads, gets no more; how often
-- it was served, and what the last call returned.
local function saturate(server, rig, peer, message)
  for i = 1, 10000 do
    local n, skipped = server:broadcast(message, "binary")
    rig:turn(0)
    peer:take() -- the other one reads
    if n < 2 then return i - 1, n, skipped end
  end
  lu.fail "it was never too much"
end

function T:test_a_slow_consumer_is_skipped()
  local server, peers, sockets = gather(self.rig, 2, { maxBuffered = 1 << 20 })
  local message = ("x"):rep(65536)
  local count, n, skipped = saturate(server, self.rig, peers[2], message)
  lu.assertEquals({ n, skipped }, { 1, 1 })
  lu.assertEquals(sockets[1].readyState, 1)
  lu.assertTrue(sockets[1].bufferedAmount <= 1 << 20)
  lu.assertTrue(sockets[1].bufferedAmount > (1 << 20) - 65536)
  lu.assertEquals({ server:broadcast("still", "text") }, { 2, 0 }) -- a small one fits
  for _ = 1, count do heard(peers[1], bytes.OP.binary, message) end
  heard(peers[1], bytes.OP.text, "still")
  self.rig:wait(function() return sockets[1].bufferedAmount == 0 end)
  lu.assertEquals(server:broadcast "again", 2)
  heard(peers[1], bytes.OP.text, "again")
end

function T:test_a_slow_consumer_is_closed()
  local closed
  local server, peers, sockets = gather(self.rig, 2, { maxBuffered = 1 << 20, slowConsumer = "close",
    closeTimeout = 60, -- what waits is read in its time
    onclose = function(_, code) closed = code end })
  local message = ("x"):rep(65536)
  local count, n, skipped = saturate(server, self.rig, peers[2], message)
  lu.assertEquals({ n, skipped, sockets[1].readyState }, { 1, 1, 2 })
  lu.assertEquals({ server:broadcast "x" }, { 1, 0 })
  for _ = 1, count do heard(peers[1], bytes.OP.binary, message) end
  lu.assertEquals({ peers[1]:take_close() }, { 1013, "too slow" })
  peers[1]:say_close(1013)
  peers[1]:take_end()
  peers[1]:close()
  self.rig:wait(function() return closed end)
  lu.assertEquals({ closed, server.clientCount }, { 1013, 1 })
end

function T:test_max_buffered_at_its_edge()
  for _, n in ipairs { 999, 1000, 1001 } do
    local server, peers = gather(self.rig, 1, { maxBuffered = 1000 })
    lu.assertEquals({ server:broadcast(("x"):rep(n)) }, n <= 1000 and { 1, 0 } or { 0, 1 })
    if n <= 1000 then lu.assertEquals({ server:broadcast(("x"):rep(1001 - n)) }, { 0, 1 }) end
    if n <= 1000 then heard(peers[1], bytes.OP.text, ("x"):rep(n)) end
    self.rig:idle()
    lu.assertEquals(server:broadcast(("x"):rep(1000)), 1)
  end
end

function T:test_after_the_end()
  local server, peers = gather(self.rig, 1)
  server:close(1001, "", 0)
  self.rig:settle()
  lu.assertEquals({ server:broadcast "x" }, { 0, 0 })
  lu.assertError(server.broadcast, server, "\xff")
  peers[1]:take_close()
end

-- ---- wsock.broadcast: to the sockets of a table ------------------------------------------

function T:test_to_a_set_and_to_a_list()
  local server, peers, sockets = gather(self.rig, 3)
  lu.assertEquals({ wsock.broadcast(server.clients, "all") }, { 3, 0 })
  for _, peer in ipairs(peers) do heard(peer, bytes.OP.text, "all") end
  lu.assertEquals({ wsock.broadcast({ [sockets[1]] = true, [sockets[2]] = false }, "set") }, { 2, 0 })
  lu.assertEquals({ wsock.broadcast({ sockets[2], sockets[3], x = sockets[2] }, "\xff", "binary") }, { 3, 0 })
  lu.assertEquals({ wsock.broadcast(sockets, wsock.arraybuffer "ab", nil, { except = sockets[2] }) }, { 2, 0 })
  lu.assertEquals({ wsock.broadcast({}, "nobody") }, { 0, 0 })
  heard(peers[1], bytes.OP.text, "set")
  heard(peers[1], bytes.OP.binary, "ab")
  heard(peers[2], bytes.OP.text, "set")
  heard(peers[2], bytes.OP.binary, "\xff")
  heard(peers[2], bytes.OP.binary, "\xff")
  heard(peers[3], bytes.OP.binary, "\xff")
  heard(peers[3], bytes.OP.binary, "ab")
  for _, peer in ipairs(peers) do heard_nothing(peer) end
end

-- Of other servers, of other loops, of clients: each gets what it needs.
function T:test_sockets_of_all_kinds()
  local _, peers, sockets = gather(self.rig, 2)
  local _, more_peers, more = gather(self.rig, 2)
  local rig = self.rig:keep(rigs.new())
  local _, far_peers, far = gather(rig, 1)
  local client, _, peer = self.rig:opened()
  local all = { sockets[1], far[1], more[1], client, sockets[2], more[2] }
  for _, data in ipairs { "short", ("long"):rep(50000) } do
    lu.assertEquals({ wsock.broadcast(all, data) }, { 6, 0 })
    for _, p in ipairs { peers[1], peers[2], more_peers[1], more_peers[2], far_peers[1] } do
      heard(p, bytes.OP.text, data)
    end
    local frame = peer:take()
    lu.assertEquals({ frame.op, frame.masked }, { bytes.OP.text, true })
    bytes.equals(frame.payload, data)
  end
end

function T:test_only_open_ones_of_a_table()
  local _, peers, sockets = gather(self.rig, 2)
  local connecting = self.rig:client(self.rig:raw_server().url)
  sockets[2]:close()
  lu.assertEquals({ wsock.broadcast({ connecting, sockets[1], sockets[2] }, "x") }, { 1, 0 })
  heard(peers[1], bytes.OP.text, "x")
  lu.assertEquals({ wsock.broadcast({ connecting, sockets[2] }, "x") }, { 0, 0 })
end

-- Who is in the middle of a message of his own misses it, and so does who is too slow.
function T:test_who_has_no_room_in_a_table()
  local _, _, sockets = gather(self.rig, 2, { maxBuffered = 1000 })
  local client, _, peer = self.rig:opened { maxBuffered = 1000 }
  local all = { sockets[1], sockets[2], client }
  sockets[1]:send("part", "text", { final = false })
  client:send("part", "text", { final = false })
  lu.assertEquals({ wsock.broadcast(all, "x") }, { 1, 2 })
  client:send "end"
  lu.assertEquals({ wsock.broadcast(all, ("x"):rep(2000)) }, { 0, 3 })
  lu.assertEquals({ wsock.broadcast(all, "y") }, { 2, 1 })
  lu.assertEquals({ peer:take().payload, peer:take().payload, peer:take().payload }, { "part", "end", "y" })
end

function T:test_tables_that_are_none()
  local _, peers, sockets = gather(self.rig, 1)
  for _, bad in ipairs { 1, "x", true, sockets[1] } do
    lu.assertErrorMsgContains("sockets must be a set or a list", wsock.broadcast, bad, "x")
  end
  for _, bad in ipairs { { 1 }, { x = true }, { sockets[1], {} }, { [io.stdout] = true }, { sockets[1], "x" } } do
    lu.assertErrorMsgContains("in it", wsock.broadcast, bad, "x")
  end
  for _, row in ipairs { { "not valid UTF-8", "\xff" }, { "data must be", {} },
    { "kind must be", "x", "blob" }, { "did you mean 'except'?", "x", nil, { excpt = 1 } },
    { "unknown option", "x", nil, { filter = print } }, { "boolean", "x", nil, { compress = 1 } },
    { "options must be a table, got number", "x", nil, 1 } } do
    lu.assertErrorMsgContains(row[1], wsock.broadcast, sockets, row[2], row[3], row[4])
  end
  heard_nothing(peers[1]) -- nothing went out before the fault was found
end

-- One copy for all, as long as somebody has it to send.
function T:test_one_copy_for_a_table()
  local _, _, sockets = gather(self.rig, 20, { maxBuffered = 64 << 20 })
  local data = ("x"):rep(8 << 20)
  local before = visitors.memory()
  lu.assertEquals(wsock.broadcast(sockets, data), 20)
  lu.assertTrue(visitors.memory() - before < 32 << 20) -- where twenty copies are 160
end

return T
