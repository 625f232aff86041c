-- threats section 2, O1 and P1, and section 9: who sends and never reads, who
-- never reads at all, and a thousand of them.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = {}
T.alone = true -- it measures

function T:setUp() self.rig = rigs.new() end

function T:tearDown()
  self.rig:close()
  if self.restore then self.restore() end
end

-- ---- O1: the peer never reads ---------------------------------------------------------

function T:test_O1_a_peer_that_never_reads()
  local socket
  local server, _, port = self.rig:listen { maxBuffered = 2 << 20, sendTimeout = 0,
    onconnection = function(s) socket = s end }
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.knock(self.rig, port)
  local message, accepted, refused = ("x"):rep(65536), 0, 0
  for _ = 1, clock.times(16384, 1000) do -- up to 1 GiB
    local ok, why, code = socket:send(message, "binary")
    if ok then
      accepted = accepted + #message
    else
      refused = refused + 1
      lu.assertEquals({ why, code }, { "maxBuffered would be passed", "BUFFER" })
    end
    lu.assertTrue(socket.bufferedAmount <= 2 << 20)
    if refused % 1000 == 0 then self.rig.loop:step(0) end
  end
  lu.assertTrue(refused > 0)
  lu.assertEquals(socket.readyState, 1)
  bystander:check()
  -- nothing is lost of what was accepted, and nothing else comes
  local got = 0
  self.rig:wait(function()
    peer:look()
    local frame, rest = bytes.parse(peer.got)
    while frame do
      peer.got, got = rest, got + #frame.payload
      frame, rest = bytes.parse(rest)
    end
    return got == accepted
  end)
  self.rig:idle()
  lu.assertEquals({ socket.bufferedAmount, peer:look() }, { 0, "" })
  lu.assertTrue(socket:send "again")
  lu.assertEquals(peer:take().payload, "again")
  lu.assertEquals(server.clientCount, 2)
end

-- An echo to one who never reads: the server stops reading, and its memory
-- stays what it is. Nobody else waits.
function T:test_O1_an_echo_nobody_reads()
  local socket
  local _, _, port = self.rig:listen { highWaterMark = 1 << 18, lowWaterMark = 1 << 16, sendTimeout = 0,
    onmessage = function(s, data, kind)
      socket = s
      s:send(data, kind)
    end }
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.knock(self.rig, port)
  local message = bytes.frame { op = "binary", mask = true, ("x"):rep(10000) }
  local input, sent = message:rep(100), 0
  local stalled = 0
  repeat
    local last, _, part = peer.sock:send(input, sent % #input + 1)
    local now = (last or part or sent % #input) - sent % #input
    sent, stalled = sent + now, now > 0 and 0 or stalled + 1
    self.rig.loop:step(0)
  until stalled == 50
  lu.assertTrue(socket.bufferedAmount < (1 << 18) + 400000, socket.bufferedAmount)
  visitors.cheap(0.1, "waiting for a reader", function()
    local over
    self.rig.loop:after(0.2, function() over = true end)
    while not over do self.rig.loop:step(1) end
  end)
  bystander:check()
  -- it reads after all: everything comes, in order, while it goes on
  local got = 0
  self.rig:wait(function()
    peer:look()
    local frame, rest = bytes.parse(peer.got)
    while frame do
      peer.got, got = rest, got + 1
      frame, rest = bytes.parse(rest)
    end
    return got == sent // #message
  end)
end

-- ---- P1: pings that nobody reads the answers of -----------------------------------------

-- Floods with numbered pings until nothing moves, or `most` are out; how many.
local function flood(rig, peer, most)
  local sent, stalled, buffer, at = 0, 0, "", 1
  while stalled < 50 and (sent < most or at <= #buffer) do
    if at > #buffer then
      local list = {}
      for i = 1, 200 do
        list[i] = bytes.frame { op = "ping", mask = peer.masks and "\0\0\0\0" or nil,
          ("%08d"):format(sent + i) .. ("x"):rep(117) }
      end
      buffer, at, sent = table.concat(list), 1, sent + 200
    end
    local last, _, part = peer.sock:send(buffer, at)
    local now = last or part or at - 1
    stalled = now >= at and 0 or stalled + 1
    at = now + 1
    rig.loop:step(0)
  end
  return sent, buffer:sub(at)
end

-- Reads all pongs, which are of one size; how many there were. They must be in
-- order, none twice, and end with the last ping.
local function pongs(rig, peer, last)
  local count, number, size = 0, 0, 2 + 125 + (peer.masks and 0 or 4)
  local start = peer.masks and "\x8a\x7d" or "\x8a\xfd"
  rig:wait(function()
    local got = peer:look()
    local at = 1
    while at + size - 1 <= #got do
      local digits = got:sub(at + size - 125, at + size - 118)
      if not peer.masks then digits = bytes.mask(digits, got:sub(at + 2, at + 5)) end
      local this = tonumber(digits)
      if got:sub(at, at + 1) ~= start or this <= number then lu.fail "not the next pong" end
      number, count, at = this, count + 1, at + size
    end
    peer.got = got:sub(at)
    return number == last
  end, function() return ("the last pong is %d, not %d"):format(number, last) end)
  return count
end

function T:test_P1_a_flood_of_pings_for_a_server()
  local socket
  local _, _, port = self.rig:listen { highWaterMark = 1 << 16, lowWaterMark = 1 << 14, maxBuffered = 1 << 20,
    sendTimeout = 0, onconnection = function(s) socket = s end }
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.knock(self.rig, port)
  local sent, rest
  visitors.costs_at_most(16 << 20, "a flood of pings", function()
    sent, rest = flood(self.rig, peer, clock.times(1000000, 20000))
  end)
  lu.assertTrue(sent < 1000000 or rest == "")
  visitors.cheap(0.1, "a peer that does not read its pongs", function()
    local over
    self.rig.loop:after(0.2, function() over = true end)
    while not over do self.rig.loop:step(1) end
  end)
  bystander:check()
  local stopped = false
  self.rig:wait(function() -- the rest of the last batch, while it reads
    local last, _, part = peer.sock:send(rest)
    rest = rest:sub((last or part or 0) + 1)
    stopped = rest == ""
    peer:look()
    return stopped
  end)
  pongs(self.rig, peer, sent)
  lu.assertEquals(socket.readyState, 1)
end

-- A client goes on reading, and owes no more than the newest.
function T:test_P1_a_flood_of_pings_for_a_client()
  local far = self.rig:raw_server()
  local socket = self.rig:client(far.url, nil, { highWaterMark = 1 << 16, lowWaterMark = 1 << 14, sendTimeout = 0 })
  local peer = far:welcome()
  local most = clock.times(400000, 100000)
  local sent, rest
  visitors.costs_at_most(16 << 20, "a flood of pings", function() sent, rest = flood(self.rig, peer, most) end)
  lu.assertEquals({ sent, rest }, { most, "" }) -- all of them were read
  local count = pongs(self.rig, peer, sent)
  lu.assertTrue(count < sent)
  lu.assertEquals(socket.readyState, 1)
end

-- ---- C5: one address, and one peer ---------------------------------------------------------

-- Who comes from one address, however often, takes his share of what a server has, in whatever way he stays:
-- silent, half a request, asking for pages, or as a socket.
function T:test_C5_one_address_takes_its_share()
  for _, text in ipairs { "", "GET / HTTP/1.1\r\n", visitors.plain(), visitors.upgrade() } do
    local server, _, port = self.rig:listen { maxPerAddress = 5, maxConnections = 20, handshakesMax = 20,
      onrequest = function() end }
    local crowd = visitors.crowd(self.rig, port, clock.times(200, 50), text ~= "" and text or nil)
    local bystander = visitors.bystander(self.rig, port, nil, "127.0.0.2")
    local there = #crowd
    self.rig:wait(function() -- all but those who may be there
      there = 0
      for _, sock in ipairs(crowd) do
        local _, ended = visitors.read(sock)
        there = there + (ended and 0 or 1)
      end
      return there <= 5 + 8
    end, function() return there .. " are there" end)
    bystander:check()
    lu.assertTrue(server.clientCount <= 1 + 5)
    server:close(1001, "", 0)
    self.rig:settle()
  end
end

-- C4: as many silent ones as may be opening, and more behind them, with all the time in the world: whoever means it
-- still gets in, and those who are in notice nothing.
function T:test_C4_the_silent_lock_nobody_out()
  local n, refused = clock.times(100, 20), {}
  local server, _, port = self.rig:listen { handshakesMax = n, handshakeTimeout = 0,
    onrefused = function(_, code) refused[code] = (refused[code] or 0) + 1 end }
  local bystander = visitors.bystander(self.rig, port)
  local crowd = visitors.crowd(self.rig, port, n)
  for _, sock in ipairs(visitors.queue(self.rig, port, 2 * n)) do crowd[#crowd + 1] = sock end
  for i = 1, 3 do
    visitors.bystander(self.rig, port):check() -- behind all of them
    bystander:check()
    for _, sock in ipairs(visitors.queue(self.rig, port, n)) do crowd[#crowd + 1] = sock end
    lu.assertEquals(server.clientCount, 1 + i)
  end
  lu.assertTrue(refused.TIMEOUT >= 2 * n)
  refused.TIMEOUT = nil
  lu.assertEquals(refused, {})
end

-- A rate of messages is the application's to bound: by an end ...
function T:test_C5_who_sends_too_many_messages_is_sent_away()
  local _, _, port = self.rig:listen { onconnection = function(socket) socket.data = 0 end,
    onmessage = function(socket)
      socket.data = socket.data + 1
      if socket.data > 100 then socket:close(1008, "too many messages") end
    end }
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.knock(self.rig, port)
  peer:send(bytes.frame({ mask = true, "x" }):rep(100))
  peer:frame { op = "ping", "still here" }
  lu.assertEquals(peer:take().payload, "still here")
  peer:send(bytes.frame({ mask = true, "x" }):rep(100))
  lu.assertEquals({ peer:take_close() }, { 1008, "too many messages" })
  bystander:check()
end

-- ... or by reading no more of him for a while, so that he has to wait.
function T:test_C5_who_sends_too_many_messages_has_to_wait()
  local credit, got, pauses = 10, {}, 0
  local _, _, port = self.rig:listen { onmessage = function(socket, data)
    got[#got + 1] = data
    credit = credit - 1
    lu.assertTrue(credit >= 0)
    if credit > 0 then return end
    socket:pause()
    pauses = pauses + 1
    self.rig.loop:after(0.001, function()
      credit = 10
      socket:resume()
    end)
  end }
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.knock(self.rig, port)
  local list = {}
  for i = 1, 105 do list[i] = bytes.frame { mask = true, tostring(i) } end
  peer:send(table.concat(list))
  self.rig:wait(function() return #got == 105 end, function() return #got .. " messages" end)
  lu.assertEquals({ pauses, got[1], got[105] }, { 10, "1", "105" })
  bystander:check()
end

-- ---- section 9: many at once --------------------------------------------------------------

-- Half of a crowd never reads. The others get everything, at once, and what
-- waits for the rest is one copy for all. (Unix sockets: the system keeps
-- megabytes for each connection over TCP to itself.)
function T:test_a_broadcast_to_many_of_whom_half_do_not_read()
  local dir = self.rig:directory()
  local n
  n, self.restore = visitors.room(clock.times(2000, 400))
  n = n // 2
  local path = dir .. "/sock"
  local server = self.rig:keep(assert(wsock.listen { path = path, loop = self.rig.loop, maxBuffered = 1 << 19,
    maxConnections = n, sendTimeout = 0, pingInterval = 0 }))
  local crowd = visitors.crowd(self.rig, path, n, visitors.upgrade())
  visitors.admitted(self.rig, crowd)
  lu.assertEquals(server.clientCount, n)
  local message = ("x"):rep(65536)
  local frame = bytes.frame { op = "binary", message }
  local rounds, reached, skipped = 20, 0, 0
  local function round(i)
    local r, s = server:broadcast(message, "binary")
    reached, skipped = reached + r, skipped + s
    lu.assertEquals(r + s, n)
    local left, at = n // 2, {}
    self.rig:wait(function() -- the readers are done before the next one
      for k = 1, n // 2 do
        if (at[k] or 0) < #frame then
          at[k] = (at[k] or 0) + #visitors.read(crowd[k])
          if at[k] >= #frame then left = left - 1 end
        end
      end
      return left == 0
    end, ("round %d"):format(i))
    for k = 1, n // 2 do lu.assertEquals(at[k], #frame) end
  end
  -- copies for each would be n/4 MiB
  visitors.costs_at_most(32 << 20, "20 broadcasts", function()
    for i = 1, rounds do round(i) end
  end)
  lu.assertTrue(skipped > 0)
  lu.assertEquals(reached + skipped, rounds * n)
  for socket in pairs(server.clients) do
    lu.assertTrue(socket.bufferedAmount <= 1 << 19)
    lu.assertEquals(socket.readyState, 1)
  end
end

-- All of a crowd leave in one turn, each in its own way; whoever stays is served.
function T:test_many_sockets_closing_in_one_turn()
  for _, how in ipairs { "they close", "they reset", "terminate", "close", "server" } do
    local n
    n, self.restore = visitors.room(clock.times(20000, 400))
    n = math.min(n // 2 - 50, 10000) -- both ends are ours
    local closed = 0
    local server, _, port = self.rig:listen { maxConnections = n + 1, onclose = function() closed = closed + 1 end }
    local bystander = visitors.bystander(self.rig, port)
    local stays
    for socket in pairs(server.clients) do stays = socket end
    local crowd = visitors.crowd(self.rig, port, n, visitors.upgrade())
    self.rig:wait(function() return server.clientCount == n + 1 end)
    if how == "terminate" or how == "close" then
      for socket in pairs(server.clients) do
        if socket ~= stays then socket[how](socket) end
      end
    elseif how == "server" then
      server:close(1001, "", 0)
    end
    for _, sock in ipairs(crowd) do
      if how == "they reset" then sock:setoption("linger", { on = true, timeout = 0 }) end
      if how ~= "terminate" and how ~= "server" then sock:close() end
    end
    self.rig:wait(function() return closed >= n end, how .. ": " .. closed .. " of " .. n)
    if how ~= "server" then
      bystander:check()
      lu.assertEquals({ closed, server.clientCount }, { n, 1 })
      visitors.bystander(self.rig, port):check()
    end
    for _, sock in ipairs(crowd) do sock:close() end
    self.rig.begun = {}
    server:close(1001, "", 0)
    self.rig:settle()
    self.restore()
  end
end

return T
