-- threats section 6 over real connections: how things end, and that they do.
-- Peers that are silent, that talk on, that half-close, that reset; the last
-- Close frame, which nothing may destroy; deadlines one by one.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

-- A server, a raw peer of it, the server's socket for that with a record of
-- its events, and a bystander.
local function guest(rig, options)
  options = options or {}
  local socket
  options.onconnection = function(s) socket = s end
  local _, _, port = rig:listen(options)
  local bystander = visitors.bystander(rig, port)
  local peer = visitors.knock(rig, port)
  return peer, socket, rigs.record(socket), bystander
end

-- Exactly one close event, the last of all, and it stays so.
local function ends_with(rig, record, ...)
  rig:closed(record)
  rig:idle()
  lu.assertEquals({ table.unpack(record) }, { ... })
end

-- ---- no reset eats the last Close ----------------------------------------------------------

-- What a peer still gets when it goes on sending `rest` and reads late: the
-- Close frame with its code, and the end; no reset.
local function gets_close(rig, peer, code, rest)
  local at = 1
  for _ = 1, 200 do
    local last, why, part = peer.sock:send(rest, at)
    at = (last or part or at - 1) + 1
    if at > #rest or why == "closed" then break end
    rig.loop:step(0)
  end
  rig:idle(10)
  lu.assertEquals((peer:take_close()), code)
  lu.assertEquals(peer:take_end(), "closed")
end

function T:test_a_peer_with_unread_data_gets_1009()
  for _, rest in ipairs { "", ("x"):rep(1 << 20), bytes.frame { mask = true, ("y"):rep(60000) }:rep(50) } do
    local peer, _, record, bystander = guest(self.rig, { maxPayload = 1000 })
    peer:frame { op = "binary", length = 1 << 30 }
    gets_close(self.rig, peer, 1009, rest)
    bystander:check()
    peer:close()
    ends_with(self.rig, record, "error:TOOBIG", "close:1006::false")
  end
end

function T:test_a_peer_with_unread_data_gets_1002_and_1007()
  for _, row in ipairs { { 1002, "\x83\x80" }, { 1007, bytes.frame { mask = true, "\xff" } } } do
    local peer, _, record, bystander = guest(self.rig)
    peer:send(row[2])
    gets_close(self.rig, peer, row[1], ("x"):rep(1 << 20))
    bystander:check()
    peer:close()
    ends_with(self.rig, record, "error:PROTOCOL", "close:1006::false")
  end
end

function T:test_a_peer_with_unread_data_gets_1000()
  local peer, socket, record, bystander = guest(self.rig)
  local talk = bytes.frame { mask = true, ("y"):rep(60000) }:rep(30)
  socket:close(1000, "enough")
  peer:send(talk)
  self.rig:idle()
  lu.assertEquals({ peer:take_close() }, { 1000, "enough" })
  peer:say_close(1000)
  lu.assertEquals(peer:take_end(), "closed")
  peer:close()
  bystander:check()
  ends_with(self.rig, record, "close:1000::true")
end

-- And the answer to its own Close, when it was followed by more.
function T:test_a_peer_that_talks_behind_its_close()
  local peer, _, record, bystander = guest(self.rig)
  peer:send(bytes.close(3000, "bye", true) .. bytes.frame { mask = true, ("z"):rep(60000) }:rep(20))
  lu.assertEquals(peer:take_close(), 3000)
  lu.assertEquals(peer:take_end(), "closed")
  peer:close()
  bystander:check()
  ends_with(self.rig, record, "close:3000:bye:true")
end

-- A refusal of a request arrives, too.
function T:test_a_refusal_reaches_who_talks_on()
  local _, _, port = self.rig:listen {}
  local bystander = visitors.bystander(self.rig, port)
  for _, row in ipairs { { 400, "BAD\r\n" }, { 426, visitors.plain() }, { 413,
    visitors.plain("POST / HTTP/1.1", { "Content-Length: 999999999" }) } } do
    local peer = visitors.visit(self.rig, port, row[2])
    local rest, at = ("x"):rep(1 << 20), 1
    for _ = 1, 100 do
      local last, _, part = peer.sock:send(rest, at)
      at = (last or part or at - 1) + 1
      if at > #rest then break end
      self.rig.loop:step(0)
    end
    lu.assertEquals(visitors.answer(peer).status, row[1])
    bystander:check()
  end
end

-- ---- who ends TCP ---------------------------------------------------------------------------

-- RFC 6455 7.1.1: the server, so that TIME_WAIT is its
function T:test_the_server_ends_tcp_first()
  local peer, _, record = guest(self.rig)
  peer:say_close(1000)
  lu.assertEquals(peer:take_close(), 1000)
  lu.assertEquals(peer:take_end(), "closed")
  peer:close()
  ends_with(self.rig, record, "close:1000::true")
  local second, socket, other = guest(self.rig)
  socket:close(4000)
  lu.assertEquals(second:take_close(), 4000)
  self.rig:idle()
  lu.assertNil(second.ended) -- not before the answer
  second:say_close(4000)
  second:take_end()
  second:close()
  ends_with(self.rig, other, "close:4000::true")
end

function T:test_a_client_waits_for_it()
  local _, record, peer = self.rig:opened { closeTimeout = 60 }
  peer:say_close(1000)
  lu.assertEquals(peer:take_close(), 1000)
  self.rig:idle(20)
  peer:look()
  lu.assertNil(peer.ended)
  lu.assertFalse(record.closed or false)
  peer:close()
  ends_with(self.rig, record, "open", "close:1000::true")
end

-- ---- C1: after our Close ---------------------------------------------------------------------

-- Each way a peer may behave, what becomes of it, and how it is told. act is
-- called again and again with the peer.
local behaviours = {
  { "is silent", function() end, "close:1006::false" },
  { "talks on", function(peer) peer.sock:send(bytes.frame { mask = peer.masks, ("x"):rep(1000) }) end,
    "close:1006::false" },
  { "answers and never ends", function(peer, n) if n == 1 then peer:say_close(4000) end end, "close:4000::true" },
  { "half-closes without an answer", function(peer, n) if n == 1 then peer:shut() end end, "close:1006::false" },
  { "answers and half-closes", function(peer, n)
    if n == 1 then
      peer:say_close(4000)
      peer:shut()
    end
  end, "close:4000::true" },
  { "resets", function(peer, n) if n == 1 then peer:reset() end end, "close:1006::false" },
  { "answers and resets", function(peer, n)
    if n == 1 then
      peer:say_close(4000)
      peer:reset()
    end
  end, "close:4000::true" },
}

local function behave(rig, peer, record, row)
  local n = 0
  rig:wait(function()
    n = n + 1
    if not record.closed then row[2](peer, n) end
    return record.closed
  end, "a peer that " .. row[1])
  rig:idle()
  lu.assertEquals({ row[1], record:last() }, { row[1], row[3] })
end

function T:test_C1_after_a_servers_close()
  for _, row in ipairs(behaviours) do
    local peer, socket, record, bystander = guest(self.rig, { closeTimeout = 0.1 })
    socket:close(4000)
    lu.assertEquals(peer:take_close(), 4000)
    behave(self.rig, peer, record, row)
    lu.assertEquals(#record, 1, row[1])
    bystander:check()
    if row[1]:find "reset" == nil then peer:close() end
  end
end

function T:test_C1_after_a_clients_close()
  for _, row in ipairs(behaviours) do
    local socket, record, peer = self.rig:opened { closeTimeout = 0.1 }
    socket:close(4000)
    lu.assertEquals(peer:take_close(), 4000)
    behave(self.rig, peer, record, row)
    lu.assertEquals({ #record, record[1] }, { 2, "open" }, row[1])
  end
end

-- What is thrown away meanwhile is bounded in bytes as well as in time.
function T:test_C1_a_peer_that_talks_a_lot()
  local peer, socket, record, bystander = guest(self.rig, { closeTimeout = 60, maxPayload = 1000 })
  peer:send "\x83\x80" -- failed: 1002
  local piece, sent = ("x"):rep(1 << 20), 0
  self.rig:wait(function()
    local last, why, part = peer.sock:send(piece)
    sent = sent + (last or part or 0)
    return why == "closed" or record.closed
  end)
  lu.assertTrue(sent < 40 << 20, sent)
  ends_with(self.rig, record, "error:PROTOCOL", "close:1006::false")
  lu.assertEquals(socket.readyState, 3)
  bystander:check()
end

-- ---- C2: the Close frame cannot be written ---------------------------------------------------

function T:test_C2_a_close_that_cannot_be_written()
  local peer, socket, record, bystander = guest(self.rig, { closeTimeout = 0.15, maxBuffered = 64 << 20 })
  socket:send(("x"):rep(32 << 20), "binary")
  socket:close(4000)
  self.rig:closed(record)
  ends_with(self.rig, record, "close:1006::false")
  bystander:check()
  peer:close()
end

function T:test_C2_server_close_with_a_stuck_client()
  local closed
  local peer, socket = guest(self.rig, { closeTimeout = 0.15, maxBuffered = 64 << 20,
    onclosed = function() closed = true end })
  local server
  for _, thing in ipairs(self.rig.begun) do
    if tostring(thing):find("wsock.server", 1, true) then server = thing end
  end
  socket:send(("x"):rep(32 << 20), "binary")
  server:close()
  self.rig:wait(function() return closed end)
  peer:close()
end

-- ---- C3: nothing comes after the end -----------------------------------------------------------

function T:test_C3_frames_in_the_same_read()
  local many = bytes.frame { mask = true, "1" } .. bytes.frame { op = "ping", mask = true, "p" }
    .. bytes.frame { mask = true, "2" } .. bytes.frame { op = "pong", mask = true } .. bytes.close(1000, "", true)
  for _, row in ipairs { { "terminate", "close:1006::false" }, { "close", "close:1000::true" } } do
    local act
    local peer, socket, record, bystander = guest(self.rig, { onmessage = function(s) act(s) end })
    act = function(s) s[row[1]](s, row[1] == "close" and 1000 or nil) end
    peer:send(many)
    self.rig:wait(function() return socket.readyState > 1 end)
    peer:take_end()
    peer:close()
    ends_with(self.rig, record, "text:1", row[2])
    bystander:check()
  end
end

function T:test_C3_close_twice_and_terminate()
  local peer, socket, record = guest(self.rig)
  socket:close(4000)
  socket:close(4001)
  lu.assertEquals(peer:take_close(), 4000)
  socket:terminate()
  socket:terminate()
  socket:close(4002)
  peer:take_end()
  ends_with(self.rig, record, "close:1006::false")
end

-- ---- C4: half frames ---------------------------------------------------------------------------

-- A frame that never ends is no sign of life for ever: the pings find out.
function T:test_C4_half_a_frame_and_silence()
  clock.patiently(function(times)
    local peer, _, record, bystander = guest(self.rig, { pingInterval = 0.1 * times, pingTimeout = 0.1 * times })
    peer:send(bytes.frame { mask = true, ("x"):rep(1000) }:sub(1, 500))
    self.rig:wait(function()
      bystander:check()
      return record.closed
    end)
    ends_with(self.rig, record, "error:TIMEOUT", "close:1006::false")
    bystander:check()
  end)
end

-- ---- resets at any time --------------------------------------------------------------------

function T:test_resets_in_every_state()
  local acts = {
    idle = function() end,
    sending = function(socket) socket:send(("x"):rep(1 << 20)) end,
    closing = function(socket) socket:close(1000) end,
    paused = function(socket)
      socket:pause()
      self.rig.loop:after(0.05, function() socket:resume() end)
    end,
    half_a_message = function(_, peer) peer:frame { fin = false, "x" } end,
    half_a_frame = function(_, peer) peer:send(bytes.frame { mask = true, ("x"):rep(100) }:sub(1, 50)) end,
    full = function(socket) for _ = 1, 15 do socket:send(("x"):rep(1 << 20)) end end,
  }
  for name, act in pairs(acts) do
    local peer, socket, record, bystander = guest(self.rig)
    act(socket, peer)
    self.rig:idle(3)
    peer:reset()
    self.rig:closed(record)
    self.rig:idle()
    lu.assertEquals({ name, record:last() }, { name, "close:1006::false" })
    if name ~= "closing" then lu.assertStrMatches(record[#record - 1], "error:E%u+") end
    lu.assertEquals(socket.readyState, 3)
    bystander:check()
  end
end

return T
