-- net/tls_write: what one turn queued leaves in full records and in one system
-- call, and what the socket does not take is neither lost nor sent twice.
local lu = require "luaunit"
local probe = require "wsock.probe"
local bytes = require "support.bytes"
local forward = require "support.forward"
local hostile = require "support.hostile"
local relays = require "support.relay"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local sys, E = probe.net.sys, probe.net.E

local T = require "support.tls".class()

-- Everything a turn queued leaves in one record, up to 16 KiB (8446 5.1).
function T:test_one_record_a_turn()
  local p = self:pair(nil, nil, {})
  local from, count = #p.relay.up, 0
  p.far:on("message", function() count = count + 1 end)
  for i = 1, 100 do p.near:send(("x"):rep(i)) end
  self.rig:wait(function() return count == 100 end)
  local list = relays.records(p.relay.up:sub(from + 1))
  lu.assertEquals(#list, 1)
  lu.assertEquals(list[1][1], 23)
  from, count = #p.relay.up, 0
  for _ = 1, 40 do p.near:send(("y"):rep(1000)) end
  self.rig:wait(function() return count == 40 end)
  list = relays.records(p.relay.up:sub(from + 1))
  lu.assertEquals(#list, 3) -- 40 * 1008 bytes
  lu.assertTrue(list[1][2] > 16384 and list[2][2] > 16384, list[1][2])
end

-- A large message is records that are full, whatever lies in front of it.
function T:test_full_records()
  local p = self:pair(nil, nil, {})
  local from, count = #p.relay.down, 0
  p.near:on("message", function() count = count + 1 end)
  p.far:send "small"
  p.far:send(("z"):rep(100000), "binary")
  p.far:send "small"
  self.rig:wait(function() return count == 3 end)
  lu.assertEquals(#relays.records(p.relay.down:sub(from + 1)), 7)
end

-- A request that comes with the end of the handshake is read with it, and the
-- ticket leaves with the answer; so do Close, close_notify and FIN.
function T:test_few_packets()
  local _, _, port = self:server()
  local raw, tls = self.rig:raw_client(port, true), probe.net.tls_peer {}
  local got = ""
  local function take()
    got = got .. tls:feed(raw:look())
    raw.got = ""
    return tls:take()
  end
  raw:send(take())
  local finished
  self.rig:wait(function()
    finished = take()
    return tls:open()
  end)
  local held, reads = sys.holds(), sys.fault "recv"
  raw:send(finished .. tls:record(23, visitors.upgrade()))
  self.rig:wait(function()
    take()
    return got:find "\r\n\r\n$"
  end)
  lu.assertEquals({ sys.holds() - held, sys.fault "recv" - reads }, { 1, 1 })
  raw:send(tls:record(23, bytes.frame { "\3\232", op = "close", mask = true }))
  self.rig:wait(function()
    take()
    return raw.ended
  end)
  lu.assertEquals(sys.holds() - held, 3)
end

-- The far side reads nothing: both socket buffers and then the queue fill up.
function T:test_a_peer_that_does_not_read()
  local p = self:pair()
  local big, got = bytes.random(400000), 0
  p.near:on("message", function(data)
    lu.assertTrue(data == big)
    got = got + 1
  end)
  p.near:pause()
  for _ = 1, 15 do p.far:send(big, "binary") end
  self.rig:idle(10)
  lu.assertTrue(p.far.bufferedAmount > 0)
  p.near:resume()
  self.rig:wait(function() return got == 15 end)
  lu.assertEquals(p.far.bufferedAmount, 0)
  self:finish(p)
end

-- Each call of send in turn takes nothing, with messages of several batches.
function T:test_sending_that_stops_anywhere()
  for skip = 0, 12 do
    local p = self:pair()
    sys.fault("send", E.EAGAIN, 3, skip)
    self:echo(p, { 5, 300000, 1, 16384, 200000 })
    sys.fault("send", 0, 0)
    self:finish(p)
  end
end

-- Of a full socket all that was queued arrives, once and in order, when small
-- and large messages are mixed and reading goes on in bits.
function T:test_a_slow_reader()
  local p = self:pair(nil, nil, { up = 3000, down = 3000 })
  local sent, got = {}, {}
  p.near:on("message", function(data) got[#got + 1] = data end)
  for i = 1, 40 do
    sent[i] = bytes.random(i % 7 == 0 and 90000 or i * 11)
    lu.assertTrue(p.far:send(sent[i], "binary"))
    if i % 10 == 0 then self.rig:idle(2) end
  end
  self.rig:wait(function() return #got == #sent end)
  for i, data in ipairs(sent) do lu.assertTrue(got[i] == data, i) end
  self:finish(p)
end

-- 64 KiB with its frame's head is one call.
function T:test_one_call()
  local p = self:pair()
  local got
  p.near:on("message", function(data) got = #data end)
  sys.fault("send", E.EIO, 1, 1) -- the second one would end it
  p.far:send(bytes.random(65536), "binary")
  self.rig:wait(function() return got end)
  sys.fault("send", 0, 0)
  lu.assertEquals(got, 65536)
end

-- The connection is reset with records that were kept: freed, and told.
function T:test_reset_while_something_is_kept()
  local p = self:pair(nil, nil, {})
  p.near:pause()
  local big = bytes.random(400000)
  for _ = 1, 15 do p.far:send(big, "binary") end
  self.rig:idle(10)
  p.relay:cut()
  self.rig:closed(p.far_record)
  lu.assertStrContains(tostring(p.far_record), "close:1006::false")
  p.near:terminate()
end

-- Some of it is out when the rest fails: what is there by then is read, and not
-- past TLS, as if it had been decrypted.
function T:test_what_comes_behind_a_write_that_failed()
  local socket, record
  local _, _, port = self:server(nil, { onconnection = function(s) socket, record = s, rigs.record(s) end })
  local peer = hostile.client(self.rig, port)
  peer:data(visitors.upgrade())
  peer:head()
  sys.fault("send", E.ECONNRESET, 1, 1)
  socket:send(bytes.random(300000), "binary")
  self.rig.loop:step(0) -- the first 80 KiB are out
  lu.assertEquals(tostring(record), "")
  peer:data(bytes.frame { op = "text", mask = true, "hello" })
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "text:hello error:ECONNRESET close:1006::false")
  lu.assertStrMatches(record.message, "send 127%.0%.0%.1:%d+: Connection reset by peer")
end

-- A peer's last messages and its Close wait behind a pause when a write finds
-- that it has left: they are read, whether it said close_notify or not.
function T:test_what_a_peer_that_left_has_sent()
  local socket, record
  local _, _, port = self:server(nil, { onconnection = function(s) socket, record = s, rigs.record(s) end })
  for _, last in ipairs { "close", "notify", "nothing" } do
    socket = nil
    local peer = hostile.client(self.rig, port)
    peer:data(visitors.upgrade())
    peer:head()
    self.rig:wait(function() return socket end)
    socket:pause()
    for i = 1, 3 do peer:data(bytes.frame { op = "text", mask = true, ("%d"):format(i) }) end
    if last == "close" then peer:data(bytes.close(1001, "gone", true)) end
    if last == "notify" then peer:send(peer.tls:record(21, "\1\0")) end
    peer.raw:close()
    self.rig:send_in_vain(socket, record)
    socket:resume()
    self.rig:closed(record)
    lu.assertEquals(tostring(record):gsub(":E%u+", ":E"), "text:1 text:2 text:3 "
      .. (last == "close" and "close:1001:gone:false" or "error:E close:1006::false"))
  end
end

-- So it is through a proxy, where each record goes out on its own.
function T:test_what_a_peer_that_left_has_sent_through_a_tunnel()
  local far
  local _, _, port = self:server(nil, { onconnection = function(socket) far = socket end })
  for kind, scheme in pairs { http = "http", socks = "socks5" } do
    local proxy = forward.new(self.rig, { kind = kind })
    for _, last in ipairs { "close", "nothing" } do
      far = nil
      local near, record = self:open(("wss://localhost:%d/"):format(port), nil,
        { proxy = scheme .. "://" .. proxy.where })
      self.rig:wait(function() return far end)
      near:pause()
      for i = 1, 3 do far:send(("%d"):format(i)) end
      if last == "close" then far:close(1001, "gone") end
      self.rig:wait(function() return far.bufferedAmount == 0 end)
      far:terminate()
      self.rig:wait(function() return #proxy.clients == 0 end)
      self.rig:send_in_vain(near, record)
      near:resume()
      self.rig:closed(record)
      lu.assertEquals(rigs.after_open(record):gsub(":E%u+", ":E"), "text:1 text:2 text:3 "
        .. (last == "close" and "close:1001:gone:false" or "error:E close:1006::false"))
    end
  end
end

return T
