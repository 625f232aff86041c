-- threats sections 1 and 2 over real connections: lengths that lie, data that
-- dribbles. The protocol core is attacked in spec/proto; here a whole server,
-- beside a connection that must not notice.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local growth = require "support.growth"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local costs_at_most = visitors.costs_at_most

local T = rigs.class()
T.alone = true -- it measures

-- A server that counts messages and their bytes, and a bystander of it.
local function serve(rig, options)
  local seen = { messages = 0, bytes = 0, closes = {} }
  options = options or {}
  options.onmessage = function(_, data)
    seen.messages, seen.bytes, seen.last = seen.messages + 1, seen.bytes + #data, data
  end
  options.onclose = function(_, code) seen.closes[#seen.closes + 1] = code end
  local server, _, port = rig:listen(options)
  seen.server = server
  return port, seen, visitors.bystander(rig, port)
end

-- ---- section 1: lengths ------------------------------------------------------------------

-- L1, L3, L5: refused as soon as the offending byte is there, not later
function T:test_lengths_that_cannot_be()
  local port, seen, bystander = serve(self.rig)
  local key = " 00 00 00 00"
  for _, row in ipairs {
    { 1002, "82 FF 80" }, { 1002, "82 FF 80 00 00 00 00 00 00 00" },
    { 1009, "82 FF 7F FF FF FF FF FF FF FF" .. key }, { 1009, "82 FF 00 00 00 00 00 10 00 01" .. key },
    { 1009, "82 FF 00 00 00 01 00 00 00 00" .. key }, { 1009, "82 FF 00 00 00 00 80 00 00 00" .. key },
    { 1009, "82 FF 00 20 00 00 00 00 00 00" .. key },
    { 1009, "02 81 00 00 00 00 78 80 FF 7F FF FF FF FF FF FF FF" .. key },
    { 1009, "02 81 00 00 00 00 78 80 FF 00 00 00 00 00 10 00 00" .. key },
    { 1002, "89 FE" }, { 1002, "89 FF" }, { 1002, "88 FE" }, { 1002, "8A FF" }, { 1002, "09" }, { 1002, "08 80" },
    { 1002, "82 FE 00 05" }, { 1002, "82 FF 00 00 00 00 00 00 00 80" }, { 1002, "82 05" }, { 1002, "83 80" },
    { 1002, "C2 80" }, { 1002, "A2 80" }, { 1002, "92 80" }, { 1002, "8B" }, { 1002, "80 80" .. key },
  } do
    local peer = visitors.knock(self.rig, port)
    visitors.cheap(1, row[2], function()
      peer:send(bytes.unhex(row[2]))
      lu.assertEquals({ (peer:take_close()), row[2] }, row)
    end)
    peer:close()
  end
  lu.assertEquals(seen.messages, 0)
  bystander:check()
end

function T:test_lengths_that_cannot_be_from_a_server()
  for _, row in ipairs {
    { 1002, "82 7F 80" }, { 1009, "82 7F 7F FF FF FF FF FF FF FF" }, { 1009, "82 7F 00 00 00 00 01 00 00 01" },
    { 1002, "89 7E" }, { 1002, "89 7F" }, { 1002, "82 7E 00 05" }, { 1002, "82 80" },
  } do
    local _, record, peer = self.rig:opened()
    peer:send(bytes.unhex(row[2]))
    lu.assertEquals({ (peer:take_close()), row[2] }, row)
    peer:close()
    self.rig:closed(record)
    lu.assertEquals(record:last(), "close:1006::false")
  end
end

-- L4: without a limit a claim still costs nothing but a buffer
function T:test_claims_without_a_limit()
  local port, seen, bystander = serve(self.rig, { maxPayload = 0 })
  local peers = {}
  costs_at_most(4 << 20, "claims without a limit", function()
    for i, length in ipairs { 1 << 31, 1 << 32, 1 << 53, math.maxinteger } do
      peers[i] = visitors.knock(self.rig, port)
      peers[i]:frame { op = "binary", mask = "\0\0\0\0", length = length, "some of it" }
    end
    self.rig:idle()
    bystander:check()
  end)
  for _, peer in ipairs(peers) do
    lu.assertEquals(peer:look(), "")
    peer:reset()
  end
  self.rig:wait(function() return #seen.closes == 4 end)
end

-- ---- M1, M2 -----------------------------------------------------------------------------

function T:test_M1_200_claims()
  local port, seen, bystander = serve(self.rig)
  local crowd
  costs_at_most(200 * (32 << 10), "200 claims of 1 MiB", function()
    crowd = visitors.crowd(self.rig, port, 200, visitors.upgrade()
      .. bytes.frame { op = "binary", mask = true, length = (1 << 20) - 1, "x" })
    visitors.admitted(self.rig, crowd)
    bystander:check()
  end)
  for _, sock in ipairs(crowd) do sock:close() end
  self.rig:wait(function() return #seen.closes == 200 end)
  bystander:check()
end

-- M1 before there is a connection: heads, bodies, chunks that only begin
function T:test_M1_200_requests()
  for _, text in ipairs {
    "GET / HTTP/1.1\r\nX: ", visitors.plain("POST / HTTP/1.1", { "Content-Length: 1048576" }, "x"),
    visitors.plain("POST / HTTP/1.1", { "Transfer-Encoding: chunked" }, "fffff\r\nx"),
  } do
    local _, _, port = self.rig:listen { onrequest = function() lu.fail "was called" end }
    local bystander = visitors.bystander(self.rig, port)
    costs_at_most(200 * (32 << 10), text, function()
      visitors.crowd(self.rig, port, 200, text)
      self.rig:idle()
      bystander:check()
    end)
  end
end

-- M2: 256 MiB of messages that are all allowed, and then a frame of 2 GiB
function T:test_M2_one_who_sends_a_lot()
  local port, seen, bystander = serve(self.rig)
  local peer = visitors.knock(self.rig, port)
  local message = bytes.frame { op = "binary", mask = "\1\2\3\4", ("x"):rep(1 << 16) }:rep(16)
  local count = clock.times(256, 16)
  costs_at_most(24 << 20, "a lot", function()
    for i = 1, count do
      peer:send(message)
      if i % 64 == 0 then bystander:check() end
    end
    self.rig:wait(function() return seen.messages == count * 16 end)
  end)
  lu.assertEquals(seen.bytes, count << 20)
  peer:frame { op = "binary", mask = "\0\0\0\0", length = 1 << 31 }
  lu.assertEquals(peer:take_close(), 1009)
  local piece, sent = ("y"):rep(1 << 20), 0
  self.rig:wait(function() -- what it goes on to send is thrown away, and not for ever
    local n, why, part = peer.sock:send(piece)
    sent = sent + (n or part or 0)
    return why == "closed"
  end, "it may go on for ever")
  lu.assertTrue(sent < 64 << 20, sent)
  self.rig:wait(function() return #seen.closes == 1 end)
  bystander:check()
end

-- ---- F1 to F4: fragments and dribble ------------------------------------------------------

-- F1: empty, of one byte, with pings between; never the last one
function T:test_F1_endless_fragments()
  for _, payload in ipairs { "", "x" } do
    for _, ping in ipairs { false, true } do
      local port, seen, bystander = serve(self.rig)
      local peer = visitors.knock(self.rig, port)
      peer:frame { fin = false, payload }
      local part = bytes.frame { op = 0, fin = false, mask = true, payload }
        .. (ping and bytes.frame { op = "ping", mask = true } or "")
      costs_at_most(8 << 20, "endless fragments", function()
        peer:send(part:rep(5000))
        lu.assertEquals({ peer:take_close() }, { 1008, "message has more fragments than maxFragments" })
      end)
      peer:close()
      self.rig:wait(function() return #seen.closes == 1 end)
      lu.assertEquals(seen.messages, 0)
      bystander:check()
    end
  end
end

-- F1 without the limit: empty fragments are nothing but time
function T:test_F1_fragments_without_a_limit()
  local port, seen, bystander = serve(self.rig, { maxFragments = 0 })
  local peer = visitors.knock(self.rig, port)
  peer:frame { fin = false, "" }
  local part = bytes.frame { op = 0, fin = false, mask = true }:rep(10000)
  costs_at_most(2 << 20, "a million empty fragments", function()
    for _ = 1, clock.times(100, 5) do peer:send(part) end
    bystander:check()
  end)
  peer:frame { op = "continuation", "end" }
  self.rig:wait(function() return seen.messages == 1 end)
  lu.assertEquals(seen.last, "end")
end

-- F2: the sum of all fragments counts, however it is cut
function T:test_F2_sums()
  local max = 1000
  local port, seen, bystander = serve(self.rig, { maxPayload = max })
  for _, cuts in ipairs { { 0, 1001 }, { 1, 1000 }, { 500, 501 }, { 1000, 1 }, { 1001, 0 }, { 333, 333, 335 },
    { 1000, 0, 0, 1 } } do
    local peer = visitors.knock(self.rig, port)
    for i, n in ipairs(cuts) do
      bytes.frame { ("x"):rep(n) }
      local ok = pcall(peer.frame, peer, { op = i == 1 and "binary" or 0, fin = i == #cuts, ("x"):rep(n) })
      if not ok then break end -- it was dropped already
    end
    lu.assertEquals(peer:take_close(), 1009)
    peer:close()
  end
  lu.assertEquals(seen.messages, 0)
  local peer = visitors.knock(self.rig, port)
  for i, n in ipairs { 999, 0, 1 } do peer:frame { op = i == 1 and "binary" or 0, fin = i == 3, ("x"):rep(n) } end
  self.rig:wait(function() return seen.messages == 1 end)
  lu.assertEquals(seen.bytes, max)
  bystander:check()
end

-- F3: a frame in reads of one byte is one buffer, and counted while it comes
function T:test_F3_a_byte_at_a_time()
  local n = clock.times(32768, 4096)
  local port, seen, bystander = serve(self.rig)
  local peer = visitors.knock(self.rig, port)
  local socket
  for s in pairs(seen.server.clients) do socket = s.remotePort == select(2, peer.sock:getsockname()) and s or socket end
  local frame = bytes.frame { mask = true, ("abcdefgh"):rep(n // 8) }
  costs_at_most(4 << 20, "dribble", function()
    visitors.cheap(5, "dribble", function()
      for i = 1, #frame - 1 do
        peer.sock:send(frame, i, i)
        self.rig.loop:step(0)
      end
    end)
  end)
  self.rig:idle()
  bystander:check()
  lu.assertEquals(seen.messages, 0)
  peer:send(frame:sub(-1))
  self.rig:wait(function() return seen.messages == 1 end)
  lu.assertEquals(seen.last, ("abcdefgh"):rep(n // 8))
  if socket then lu.assertEquals(socket:stats().bytesIn, #frame) end
end

-- F4: n fragments cost n, not n times n
function T:test_F4_linear()
  local port, seen = serve(self.rig, { maxFragments = 0 })
  local peer = visitors.knock(self.rig, port)
  growth.linear(function(n)
    return bytes.frame { fin = false, mask = true, "x" } .. bytes.frame { op = 0, fin = false, mask = true, "x" }:rep(n)
      .. bytes.frame { op = 0, mask = true }
  end, function(input)
    local before = seen.messages
    peer:send(input)
    self.rig:wait(function() return seen.messages > before end)
  end, 1 << 14, "fragments of one byte")
end

-- The same from a server: a client is as careful.
function T:test_fragments_for_a_client()
  local _, record, peer = self.rig:opened()
  peer:frame { fin = false, "" }
  peer:send(bytes.frame { op = 0, fin = false }:rep(5000))
  lu.assertEquals(peer:take_close(), 1008)
  peer:close()
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "open error:TOOBIG close:1006::false")
end

return T
