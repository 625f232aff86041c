-- peer/session: the pump between a transport and a connection, over real
-- sockets: what waits, what is dropped, and that there is one ending.
local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

-- A server that notes what it gets, and a raw client of it.
function T:visited(options)
  local seen = {}
  options.port = 0
  options.onmessage = options.onmessage or function(_, data) seen[#seen + 1] = data end
  options.onclose = function(_, code, _, clean) seen[#seen + 1] = ("close %d %s"):format(code, clean) end
  local server = self.rig:listen(options)
  local _, port = server:address()
  return seen, visitors.knock(self.rig, port), server
end

local function masked(...)
  local list = {}
  for _, text in ipairs { ... } do list[#list + 1] = bytes.frame { text, op = "text", mask = true } end
  return table.concat(list)
end

function T:test_what_came_behind_a_pause_waits_in_order()
  local seen, paused = {}, nil
  local _, peer = self:visited { onmessage = function(socket, data)
    seen[#seen + 1] = data
    if data == "one" then paused = socket:pause() end
  end }
  peer:send(masked("one", "two", "three"))
  self.rig:wait(function() return paused end)
  self.rig:idle()
  lu.assertEquals(seen, { "one" })
  peer:send(masked "four")
  self.rig:idle()
  lu.assertEquals(seen, { "one" })
  paused:resume()
  self.rig:wait(function() return #seen == 4 end)
  lu.assertEquals(seen, { "one", "two", "three", "four" })
end

function T:test_nothing_is_told_behind_terminate()
  local seen
  seen = self:visited { onmessage = function() end }
  local heard = {}
  local _, peer = self:visited { onmessage = function(socket, data)
    heard[#heard + 1] = data
    socket:terminate()
  end }
  peer:send(masked("one", "two", "three"))
  peer:take_end()
  self.rig:idle()
  lu.assertEquals(heard, { "one" })
  lu.assertEquals(seen, {})
end

-- A large payload is read straight into its message; what follows it in the
-- same stream is not lost, whatever the sizes.
function T:test_large_messages_and_what_follows_them()
  for _, size in ipairs { 16383, 16384, 262130, 262144, 300000, 1048576 } do
    local seen, peer, server = self:visited {}
    local big = bytes.random(size)
    peer:send(bytes.frame { big, op = "binary", mask = true } .. masked "small"
      .. bytes.frame { big, op = "binary", mask = true } .. masked "last")
    self.rig:wait(function() return #seen == 4 end, "size " .. size)
    lu.assertTrue(seen[1] == big and seen[3] == big, size)
    lu.assertEquals({ seen[2], seen[4] }, { "small", "last" })
    peer:close()
    self.rig:wait(function() return server.clientCount == 0 end)
  end
end

-- CL-15: the peer says its Close and goes, and does not read what was sent
-- before the answer to it.
function T:test_an_answer_that_never_leaves_is_not_clean()
  local ended, socket, size = nil, nil, 32 << 20 -- more than a kernel keeps
  local server = self.rig:listen {
    port = 0, maxBuffered = 2 * size, highWaterMark = 2 * size,
    onconnection = function(s) socket = s:send(("x"):rep(size), "binary") and s end,
    onclose = function(_, code, _, clean) ended = ("close %d %s"):format(code, clean) end,
  }
  local _, port = server:address()
  local peer = visitors.knock(self.rig, port)
  self.rig:idle()
  peer:say_close(1000)
  self.rig:wait(function() return socket.readyState == 2 end)
  peer:reset()
  self.rig:wait(function() return ended end)
  lu.assertEquals(ended, "close 1000 false")
end

-- A client, open, its record and peer; by a proxy, which is the peer, too.
function T:connected(by_proxy)
  if not by_proxy then return self.rig:opened() end
  local proxy = self.rig:raw_server()
  local socket = self.rig:client("ws://a.test:8080/", nil, { proxy = (proxy.url:gsub("^ws", "http")) })
  local record, peer = rigs.record(socket), proxy:accept()
  peer:head()
  peer:send "HTTP/1.1 200 Connected\r\n\r\n"
  peer:welcome()
  self.rig:events(record, 1)
  return socket, record, peer
end

-- SR-07, CL-17: what a peer sent before it left is told, though a write fails
-- in between, its Close too.
function T:test_a_failed_write_does_not_hide_what_came()
  for i = 0, 3 do
    local close = i % 2 == 0
    local socket, record, peer = self:connected(i > 1)
    socket:pause()
    for k = 1, 3 do peer:frame { op = "text", ("%d"):format(k) } end
    if close then peer:say_close(1001, "gone") end
    peer:close()
    self.rig:send_in_vain(socket, record)
    socket:resume()
    self.rig:closed(record)
    lu.assertEquals(rigs.after_open(record):gsub(":E%u+", ":E"), "text:1 text:2 text:3 "
      .. (close and "close:1001:gone:false" or "error:E close:1006::false"))
  end
end

-- and where there is nothing to be read it ends at once, reading or not.
function T:test_a_failed_write_with_nothing_to_read()
  local socket, record, peer = self.rig:opened()
  socket:pause()
  peer:close()
  self.rig:send_in_vain(socket, record)
  self.rig:closed(record) -- without a resume
  lu.assertEquals(rigs.after_open(record):gsub(":E%u+", ":E"), "error:E close:1006::false")
end

function T:test_the_end_comes_once_however_it_comes()
  for _, leave in ipairs { "close", "reset" } do
    local seen, peer = self:visited {}
    peer:send(masked "hello")
    self.rig:wait(function() return #seen == 1 end)
    peer[leave](peer)
    self.rig:wait(function() return #seen == 2 end)
    self.rig:idle()
    lu.assertEquals(seen, { "hello", "close 1006 false" }, leave)
  end
end

-- ---- a process that stands still ----------------------------------------------------

local function stand_still(seconds)
  local over = wsock.now() + seconds
  repeat until wsock.now() > over
end

-- What the peer did in time counts, though it is read late.
function T:test_a_pong_that_waits()
  local near, record, peer = self.rig:opened { pingInterval = 0.02, pingTimeout = 0.1 }
  for _ = 1, 3 do
    local ping = peer:take()
    peer:frame { op = "pong", ping.payload }
    stand_still(0.2)
    self.rig:wait(function() return near.latency end)
  end
  lu.assertEquals(near.readyState, 1)
  self.rig:closed(record)
  lu.assertEquals(record:last(), "close:1006::false")
  lu.assertEquals(record.code, "TIMEOUT")
end

function T:test_a_request_that_waits()
  local _, _, port = self.rig:listen { handshakeTimeout = 0.1 }
  local peer = self.rig:raw_client(port, true)
  self.rig:turn(1) -- accepts it
  peer.sock:send(visitors.upgrade())
  stand_still(0.2)
  lu.assertStrContains(peer:head(), " 101 ")
end

function T:test_an_answer_that_waits()
  clock.patiently(function(times)
    local server = self.rig:raw_server()
    local client = self.rig:client(server.url, nil, { handshakeTimeout = 0.1 * times })
    local peer = server:accept()
    peer:welcome()
    stand_still(0.2 * times)
    self.rig:wait(function() return client.readyState > 0 end)
    lu.assertEquals(client.readyState, 1)
  end)
end

function T:test_a_close_that_waits()
  local near, record, peer = self.rig:opened { closeTimeout = 0.1 }
  near:close(4000)
  lu.assertEquals(peer:take_close(), 4000)
  peer:say_close(4001)
  peer:close()
  stand_still(0.2)
  self.rig:closed(record)
  lu.assertEquals(record:last(), "close:4001::true")
end

function T:test_room_that_waits()
  clock.patiently(function(times)
    local near, record, peer = self.rig:opened { sendTimeout = 0.1 * times, pingInterval = 0, maxBuffered = 0 }
    near:send(("x"):rep(32 << 20), "binary")
    self.rig:idle()
    repeat until not peer.sock:receive(1 << 20) -- all that is there
    stand_still(0.2 * times)
    local waits = near.bufferedAmount
    self.rig:idle(3)
    lu.assertEquals(near.readyState, 1)
    lu.assertTrue(near.bufferedAmount < waits)
    self.rig:closed(record)
    lu.assertEquals(record.code, "TIMEOUT")
  end)
end

-- A peer that always has something to say gains two turns.
function T:test_a_peer_that_never_rests_does_not_stop_the_clock()
  local _, _, port = self.rig:listen { handshakeTimeout = 0.1 }
  local peer = self.rig:raw_client(port, true)
  peer:send "GET / HTTP/1.1\r\nX: "
  local turns = 0
  self.rig:idle()
  stand_still(0.1)
  repeat
    peer.sock:send "x"
    self.rig.loop:step(0)
    turns = turns + 1
  until peer:look() ~= ""
  lu.assertStrContains(peer.got, " 408 ")
  lu.assertTrue(turns <= 6, turns)
end

-- W-26: what is given to send after the end counts, and is never sent.
function T:test_buffered_amount_after_the_end()
  local client = self.rig:opened {}
  client:terminate()
  lu.assertEquals({ client:send "12345" }, { nil, "connection is not open", "CLOSED" })
  lu.assertEquals(client.bufferedAmount, 5)
  self.rig:wait(function() return client.readyState == client.CLOSED end)
  client:send "678"
  lu.assertEquals(client.bufferedAmount, 8)
end

return T
