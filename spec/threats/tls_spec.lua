-- threats section 8, S3: a peer that shakes hands in TLS as it should, and then
-- floods with records that carry nothing, or next to nothing. It costs little, ends
-- itself where nobody honest would get to, and nobody else waits.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local hostile = require "support.hostile"
local probe = require "wsock.probe"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local sys, E = probe.net.sys, probe.net.E

local T = require "support.tls".class()
T.alone = true -- it measures

local APPLICATION, ALERT, HANDSHAKE = 23, 21, 22
local PONG = bytes.frame { op = "pong", mask = true, "" }
local MANY = clock.times(20000, 4000)

--- A server, a bystander it must not forget, and a hostile peer that is let in.
function T:scene(old, options)
  local scene = {}
  local server, url, port = self:server(nil, options)
  server:on("connection", function(socket) scene.socket, scene.record = socket, rigs.record(socket) end)
  scene.bystander, scene.near = self:open(url)
  scene.peer = hostile.client(self.rig, port, { old = old })
  scene.peer:data(visitors.upgrade())
  lu.assertStrContains(scene.peer:head(), "HTTP/1.1 101 ")
  scene.peer:check "before"
  return scene
end

function T:served(scene)
  local count = #scene.near
  scene.bystander:ping "x"
  self.rig:wait(function() return #scene.near > count end, "the bystander waits")
  lu.assertEquals(scene.near:last(), "pong:x")
end

local function times(n, fn)
  local list = {}
  for i = 1, n do list[i] = fn(i) end
  return table.concat(list)
end

-- Sends all of it while the loop turns, unless the connection ends before; no
-- turn may cost much, nor may memory grow.
function T:flood(scene, data)
  local at, ended = 1, false
  visitors.costs_at_most(4 << 20, "a flood of records", function()
    while at <= #data and not ended do
      local last, why, part = scene.peer.raw.sock:send(data, at)
      at, ended = (last or part or at - 1) + 1, last == nil and why ~= "timeout"
      visitors.cheap(0.2, "a turn", function() self.rig.loop:step(0) end)
      if scene.record.closed then break end
    end
  end)
  self:served(scene)
end

-- ---- what carries nothing ----------------------------------------------------------------

-- Each is more than OpenSSL or we take without data in between.
function T:test_S3_floods_that_end_themselves()
  local floods = {
    { "TLS: too many messages of TLS's own, and no data", function(tls) return tls:update(false) end },
    { "TLS: too many messages of TLS's own, and no data", function(tls) return tls:update(true) end },
    { "TLS: record too small", function(tls) return tls:record(APPLICATION, "") end },
    { "TLS: record too small", function(tls) return tls:record(APPLICATION, "", 1000) end },
    { "TLS: too many warn alerts", function(tls) return tls:record(ALERT, "\1\90") end }, -- user_canceled
    -- a ClientHello, each answered by an alert: no renegotiation
    { "TLS: too many messages of TLS's own, and no data", function(tls) return tls:record(HANDSHAKE, "\1\0\0\0") end,
      "1.2" },
    { "TLS: record too small", function(tls) return tls:record(APPLICATION, "") end, "1.2" },
    { "TLS: too many warn alerts", function(tls) return tls:record(ALERT, "\1\90") end, "1.2" },
  }
  for _, case in ipairs(floods) do
    local words, make, old = table.unpack(case)
    local scene = self:scene(old)
    local data = times(MANY, function() return make(scene.peer.tls) end)
    self:flood(scene, data)
    self.rig:closed(scene.record)
    lu.assertStrContains(tostring(scene.record), "error:TLS close:1006::false")
    lu.assertEquals(scene.record.message, words)
    self:served(scene)
  end
end

-- The same for a client, whose server may send tickets too, and in TLS 1.2
-- HelloRequests, many to a record.
function T:test_S3_floods_for_a_client()
  local nonce = 0
  local function ticket(tls)
    nonce = nonce + 1
    local body = (">I4I4s1s2s2"):pack(7200, nonce, (">I4"):pack(nonce), ("t"):rep(32), "")
    return tls:record(HANDSHAKE, "\4" .. (">I3"):pack(#body) .. body)
  end
  local floods = {
    { function(tls) return tls:update(true) end }, { ticket },
    { function(tls) return tls:record(HANDSHAKE, ("\0"):rep(400)) end, "1.2" },
  }
  local far = self.rig:raw_server()
  for _, case in ipairs(floods) do
    local make, old = table.unpack(case)
    local client, record = self:client((far.url:gsub("^ws:", "wss:")))
    local peer = hostile.server(self.rig, far:accept(),
      { cert = self.good.cert, key = self.good.key, old = old })
    peer:welcome()
    self.rig:wait(function() return client.readyState == 1 end, "not open")
    local data, at = times(MANY, function() return make(peer.tls) end), 1
    visitors.costs_at_most(4 << 20, "a flood for a client", function()
      while at <= #data and not record.closed do
        local last, _, part = peer.raw.sock:send(data, at)
        at = (last or part or at - 1) + 1
        visitors.cheap(0.2, "a turn", function() self.rig.loop:step(0) end)
      end
    end)
    self.rig:closed(record)
    lu.assertEquals(record.message, "TLS: too many messages of TLS's own, and no data")
    lu.assertEquals(tostring(record), "open error:TLS close:1006::false")
  end
end

-- Keys may change as often as one likes, as long as there is something in between.
function T:test_S3_many_key_updates_with_data()
  local scene = self:scene()
  local data = times(MANY // 10, function(i)
    return scene.peer.tls:update(i % 2 == 0) .. scene.peer.tls:record(APPLICATION, PONG)
  end)
  self:flood(scene, data)
  scene.peer:check "behind"
  lu.assertEquals(scene.socket.readyState, 1)
end

-- ---- what carries next to nothing ----------------------------------------------------------

-- A byte in each record, and padding around some: taken, bit by bit.
function T:test_S3_tiny_records()
  local scene = self:scene()
  local data = times(MANY, function(i)
    local k = (i - 1) % #PONG + 1
    return scene.peer.tls:record(APPLICATION, PONG:sub(k, k), i % 100 == 0 and 500 or 0)
  end)
  self:flood(scene, data)
  scene.peer:send(scene.peer.tls:record(APPLICATION, PONG:sub(MANY % #PONG + 1)))
  scene.peer:check "behind"
  lu.assertEquals(scene.socket.readyState, 1)
end

-- ---- answers nobody reads -------------------------------------------------------------------

-- Each KeyUpdate wants one back. Where that cannot leave nothing more is read,
-- so there is never more than one.
function T:test_S3_key_updates_that_want_an_answer_nobody_reads()
  local scene, pongs, all = self:scene(), 0, MANY // 10
  scene.socket:on("pong", function() pongs = pongs + 1 end)
  local data = times(all, function() return scene.peer.tls:update(true) .. scene.peer.tls:record(APPLICATION, PONG) end)
  sys.fault("send", E.EAGAIN, 1 << 30)
  local at = 1
  visitors.costs_at_most(2 << 20, "answers that wait", function()
    for _ = 1, 100 do
      local last, _, part = scene.peer.raw.sock:send(data, at)
      at = (last or part or at - 1) + 1
      self.rig.loop:step(0)
    end
  end)
  lu.assertTrue(pongs <= 1, pongs)
  lu.assertEquals({ scene.socket.bufferedAmount, scene.socket.readyState }, { 0, 1 })
  sys.fault("send", 0, 0)
  scene.peer:send(data:sub(at))
  self.rig:wait(function()
    scene.peer:look()
    return pongs == all
  end, function() return pongs .. " pongs" end)
  scene.peer:check "behind"
  self:served(scene)
end

-- P1: pings, whose pongs nobody reads, until nothing moves any more; then those
-- that were not overtaken come in order, the newest for certain.
function T:test_P1_a_flood_of_pings_over_tls()
  local scene = self:scene(nil, { highWaterMark = 1 << 16, lowWaterMark = 1 << 14, pingInterval = 0 })
  local tls, sock = scene.peer.tls, scene.peer.raw.sock
  local sent, stalled, buffer, at = 0, 0, "", 1
  visitors.costs_at_most(16 << 20, "a flood of pings", function()
    while stalled < 50 and sent < MANY * 20 do
      if at > #buffer then
        buffer = tls:record(APPLICATION, times(100, function(i)
          return ("\x89\xfd\0\0\0\0%08d"):format(sent + i) .. ("x"):rep(117) -- a mask of zeros
        end))
        sent, at = sent + 100, 1
      end
      local last, _, part = sock:send(buffer, at)
      local now = (last or part or at - 1) + 1
      stalled, at = now > at and 0 or stalled + 1, now
      self.rig.loop:step(0)
    end
  end)
  self:served(scene)
  scene.peer:send(buffer:sub(at))
  local got, number = "", 0
  self.rig:wait(function()
    got = got .. scene.peer:look()
    scene.peer.got = ""
    for k = 1, #got - #got % 127, 127 do -- unmasked pongs of 125 bytes
      local this = tonumber(got:sub(k + 2, k + 9))
      if got:sub(k, k + 1) ~= "\x8a\x7d" or this <= number then lu.fail "not the next pong" end
      number = this
    end
    got = got:sub(#got - #got % 127 + 1)
    return number == sent
  end, function() return ("the last pong is %d of %d"):format(number, sent) end)
  lu.assertEquals(scene.socket.readyState, 1)
end

return T
