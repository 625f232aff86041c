-- proto/conn: life, events, wants and time of a connection.

local lu = require "luaunit"
local counted = require "support.counted"
local bytes = require "support.bytes"
local conn = require "support.conn"
local probe = require "wsock.probe"

local T = conn.class()

-- ---- life --------------------------------------------------------------------

-- house 3: what an idle connection may cost
function T:test_size()
  lu.assertTrue(conn.proto.conn_size <= 640, conn.proto.conn_size)
end

-- an idle open connection holds its head, and no buffer
function T:test_idle_memory()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = conn.open(role)
    peer:feed(bytes.frame { op = "binary", fin = false, mask = mask, ("x"):rep(50000) })
    peer:feed(bytes.frame { op = "continuation", mask = mask, ("x"):rep(50000) })
    peer:feed(bytes.frame { mask = mask, "hello" })
    peer:take()
    -- what is left beside the head is the pool, which all connections share
    lu.assertTrue(peer.mem:state().used <= #conn.request() + 125 + 17000, peer.mem:state().used)
  end
end

function T:test_free_in_every_state()
  conn.client():free()
  conn.server():free()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = conn.open(role)
    peer.held = true
    peer:feed(bytes.frame { mask = mask, fin = false, "half" } .. "\x81")
    assert(peer.raw:send("unsent", "text"))
    peer:free()
    peer, mask = conn.open(role)
    peer:feed(bytes.frame { op = "ping", mask = mask, "half" }:sub(1, -2))
    peer:free()
    peer, mask = conn.open(role)
    peer:feed(bytes.close(1000, "bye", mask))
    peer:free()
    peer = conn.open(role)
    peer.raw:terminate()
    peer:drop():free()
  end
end

-- what was never made, and what ends while the application makes up its mind
function T:test_ends_of_beginnings()
  conn.proto.conn_blank()
  local server = conn.peer { role = "server" }
  server:feed(conn.request()):eof()
  lu.assertEquals({ server.raw:accept() }, { nil, "STATE" })
  lu.assertEquals(server:settle():heard(), "upgrade | fault:LOST | close:1006::false")
  local client = conn.client():feed(conn.head { "HTTP/1.1 404 X", "Content-Length: 9" } .. "cut"):eof()
  lu.assertEquals(client:settle():heard(), "fault:STATUS | close:1006::false")
end

-- ---- events ------------------------------------------------------------------

-- W-56: one at a time, open before any message, close last and once
function T:test_order_of_events()
  local client, server = conn.pair()
  assert(server.raw:send("one", "text"))
  assert(server.raw:control("p", "ping"))
  assert(server.raw:send("two", "binary"))
  assert(server.raw:close(1001, "end"))
  conn.wind_up(client, server)
  lu.assertEquals(client:heard(), "text:one | ping:p | binary:two | close:1001:end:true")
  for _, peer in ipairs { client, server } do
    peer:settle()
    peer.raw:eof()
    peer.raw:lost(probe.base.err.codes.LOST)
    peer.raw:closed()
    peer:pull()
    lu.assertEquals(peer.raw:want(), "")
  end
  lu.assertEquals({ client:heard(), server:heard() }, { "", "close:1001:end:true" })
end

-- feeding stops at each event, and goes on when it was pulled
function T:test_feed_stops_at_events()
  local server = conn.open_server()
  local frame = bytes.frame { mask = true, "x" }
  lu.assertEquals(server.raw:feed(frame .. frame), #frame)
  lu.assertEquals(server.raw:want(), "read event")
  lu.assertEquals(server.raw:feed(frame), 0)
  lu.assertEquals((server.raw:next()), "text")
  lu.assertNil(server.raw:next())
  lu.assertEquals(server.raw:feed "", 0)
  lu.assertEquals(server.raw:feed(frame), #frame)
end

-- nothing is taken once the transport is to go, or gone
function T:test_feed_after_the_end()
  local server = conn.open_server()
  server.raw:terminate()
  lu.assertEquals(server.raw:feed "x", 0)
  server.raw:closed()
  lu.assertEquals(server.raw:feed "x", 0)
  lu.assertNil(server.raw:direct "x")
end

-- the transport goes while an event is waiting: it is still told
function T:test_event_waiting_at_the_end()
  local server = conn.open_server()
  server.raw:feed(bytes.frame { mask = true, "last" })
  server.raw:lost(probe.base.err.codes.LOST)
  server.raw:closed()
  lu.assertEquals(server.raw:want(), "event")
  server:pull()
  lu.assertEquals(server:heard(), "text:last | fault:LOST | close:1006::false")
  lu.assertEquals(server.raw:want(), "")
end

-- ---- wants -------------------------------------------------------------------

function T:test_wants()
  local server = conn.server()
  lu.assertEquals(server.raw:want(), "read")
  server.raw:feed(conn.request())
  lu.assertEquals(server.raw:want(), "event watch")
  server.raw:next()
  lu.assertEquals(server.raw:want(), "watch")
  server.raw:accept()
  lu.assertEquals(server.raw:want(), "read write event")
  server.raw:next()
  lu.assertEquals(server.raw:want(), "read write")
  server.raw:sent(server:state().output)
  lu.assertEquals(server.raw:want(), "read")
end

-- LM-07: paused, nothing is taken; the Close is seen when it goes on
function T:test_pause()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = conn.open(role)
    peer.raw:pause(true)
    lu.assertEquals(peer.raw:want(), "")
    peer:feed(bytes.frame { mask = mask, "x" })
    lu.assertEquals(peer:heard(), "")
    assert(peer.raw:send("out", "text")) -- the other direction goes on
    lu.assertEquals(#peer:frames(), 1)
    peer.raw:pause(false)
    lu.assertEquals(peer.raw:want(), "read")
    peer:feed()
    lu.assertEquals(peer:heard(), "text:x")
    peer.raw:pause(true)
    assert(peer.raw:close(1000)) -- closing, it listens again
    lu.assertTrue(peer:wants "read")
    peer:free()
  end
end

-- ---- time --------------------------------------------------------------------

-- HC-43, SC-33, C4: one clock for the whole handshake, whatever dribbles
function T:test_handshake_deadline()
  local client = conn.client { handshake_ms = 10000, now = 5 }
  client:take()
  lu.assertEquals(client.raw:due(), 10005)
  for piece in bytes.pieces(conn.response():sub(1, 90)) do
    client:feed(piece):pass(111)
  end
  lu.assertFalse(client:wants "close")
  client:pass(10000 - 90 * 111 - 1)
  lu.assertFalse(client:wants "close")
  client:pass(1)
  lu.assertTrue(client:wants "close")
  lu.assertEquals(client:drop():heard(), "fault:HANDSHAKE_TIMEOUT | close:1006::false")

  local server = conn.server { handshake_ms = 10000 }
  server:feed(conn.request():sub(1, 50)):pass(9999)
  lu.assertEquals(server:take(), "")
  server:pass(1)
  lu.assertStrContains(server:take(), "HTTP/1.1 408 Request Timeout\r\n")
  lu.assertEquals(server.raw:want(), "read shutdown")
  server:eof()
  lu.assertEquals(server:settle():heard(), "fault:HANDSHAKE_TIMEOUT | close:1006::false")

  server = conn.peer { role = "server", handshake_ms = 10000 } -- in the content
  server:feed(conn.head { "POST / HTTP/1.1", "Host: h", "Content-Length: 10" } .. "x"):pass(10000)
  lu.assertStrContains(server:take(), "HTTP/1.1 408 ")

  -- in a refusal's, which is a refusal all the same: a page that never ends, say
  for _, row in ipairs { { "Content-Length: 10", "x" }, { "Transfer-Encoding: chunked", "1\r\nx" },
    { "Server: x", "x" } } do
    client = conn.client { handshake_ms = 10000 }
    client:feed(conn.head { "HTTP/1.1 404 X", row[1] } .. row[2]):pass(9999)
    lu.assertFalse(client:wants "close")
    client:pass(1)
    lu.assertEquals({ client:drop():heard(), client:state().body }, { "fault:STATUS | close:1006::false", "x" })
  end
end

-- a refused peer that never ends is not waited for for ever
function T:test_deadline_after_a_refusal()
  local server = conn.server { handshake_ms = 10000, close_ms = 5000 }
  server:pass(1000):feed "junk\r\n\r\n"
  lu.assertStrContains(server:take(), "HTTP/1.1 400 ")
  lu.assertEquals(server.raw:due(), 6000)
  server:pass(5000)
  lu.assertTrue(server:wants "close")
end

-- ... but what he is told, however long that is, has its time from where it last got on
function T:test_deadline_of_an_answer_that_moves()
  local server = conn.server { handshake_ms = 10000, close_ms = 5000, send_ms = 30000 }
  server:feed(conn.head { "GET / HTTP/1.1", "Host: h" })
  server.held = true
  assert(server.raw:respond { status = 200, body = ("x"):rep(1000) })
  for _ = 1, 5 do
    server:pass(4999)
    server.raw:sent(100)
    lu.assertFalse(server:wants "close")
  end
  server:pass(4999)
  lu.assertFalse(server:wants "close")
  server:pass(1)
  lu.assertTrue(server:wants "close")
  -- it is out: the peer's end is waited for as long, and no longer
  server = conn.server { close_ms = 5000 }
  server:feed(conn.head { "GET / HTTP/1.1", "Host: h" })
  server.held = true
  assert(server.raw:respond { status = 200, body = ("x"):rep(1000) })
  server:pass(4000)
  server.held = false
  server:take()
  server:pass(4999)
  lu.assertFalse(server:wants "close")
  server:pass(1)
  lu.assertTrue(server:wants "close")
end

function T:test_no_deadline_once_open()
  for _, role in ipairs(conn.ROLES) do
    lu.assertEquals(conn.open(role, { handshake_ms = 10000, close_ms = 5000, send_ms = 3000 }).raw:due(), -1)
  end
end

-- send_ms: no byte accepted for that long while bytes wait, C2
function T:test_send_deadline()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { send_ms = 30000, now = 7 })
    peer.held = true
    peer:pass(1000)
    assert(peer.raw:send(("x"):rep(100), "text"))
    lu.assertEquals(peer.raw:due(), 31007)
    peer:pass(29999)
    peer.raw:sent(1) -- one byte is enough
    lu.assertEquals(peer.raw:due(), 31006 + 30000)
    peer:pass(29999)
    lu.assertFalse(peer:wants "close")
    peer:pass(1)
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(peer:drop():heard(), "fault:SEND_TIMEOUT | close:1006::false")
  end
  local client = conn.client { send_ms = 30000 } -- the request, too
  client:pass(30000)
  lu.assertTrue(client:wants "close")
end

-- CT-11: a ping each interval; what comes in time is a sign of life
function T:test_keep_alive()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = conn.open(role, { ping_ms = 30000, pong_ms = 20000 })
    lu.assertEquals(peer.raw:due(), 30000)
    peer:pass(29999)
    lu.assertEquals(peer:take(), "")
    peer:pass(1)
    local first = peer:frames()
    lu.assertEquals({ #first, first[1].op }, { 1, 9 })
    lu.assertEquals(peer.raw:due(), 50000)
    peer:pass(19999)
    peer:feed(bytes.frame { op = "pong", mask = mask, first[1].payload })
    lu.assertEquals(peer:state().latency, 19999)
    lu.assertEquals(peer:heard(), "pong:" .. first[1].payload)
    lu.assertEquals(peer.raw:due(), 60000)
    peer:pass(10001)
    local second = peer:frames()
    lu.assertEquals(#second, 1)
    lu.assertNotEquals(second[1].payload, first[1].payload)
    peer:pass(5000):feed(bytes.frame { mask = mask, "alive" }) -- no pong, but alive
    lu.assertEquals(peer.raw:due(), 90000)
    peer:pass(25000)
    lu.assertEquals(#peer:frames(), 1)
    peer:pass(19999)
    lu.assertFalse(peer:wants "close")
    peer:pass(1)
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(peer:drop():heard(), "text:alive | fault:PING_TIMEOUT | close:1006::false")
  end
end

-- the first ping that waits counts, not the last one
function T:test_pings_closer_than_their_answers()
  local peer = conn.open("client", { ping_ms = 1000, pong_ms = 2500 })
  for _ = 1, 3 do peer:pass(1000) end
  lu.assertEquals({ #peer:frames(), peer.raw:due() }, { 3, 3500 })
  peer:pass(499)
  lu.assertFalse(peer:wants "close")
  peer:pass(1)
  lu.assertEquals(peer:drop():heard(), "fault:PING_TIMEOUT | close:1006::false")
end

-- CL-26: off by default here; and a ping that gets no clock fails nobody
function T:test_keep_alive_off()
  local peer = conn.open_client { pong_ms = 20000 }
  peer:pass(10 ^ 9 // 1)
  lu.assertEquals({ peer:take(), peer.raw:due() }, { "", -1 })
  peer = conn.open_client { ping_ms = 1000 }
  peer:pass(1000):pass(1000):pass(1000)
  lu.assertEquals(#peer:frames(), 3)
  lu.assertFalse(peer:wants "close")
end

-- who does not listen cannot blame the other's silence
function T:test_no_ping_timeout_while_paused()
  local peer, mask = conn.open("server", { ping_ms = 30000, pong_ms = 20000 })
  peer:pass(30000)
  peer.raw:pause(true)
  peer:pass(20000)
  lu.assertFalse(peer:wants "close")
  peer.raw:pause(false)
  peer:feed(bytes.frame { op = "pong", mask = mask, "" })
  lu.assertEquals(peer:state().fault, "OK")
end

-- no ping is put behind output that does not move
function T:test_no_ping_into_a_full_queue()
  local peer = conn.open("client", { ping_ms = 1000, high_water = 100, low_water = 10 })
  peer.held = true
  assert(peer.raw:send(("x"):rep(200), "binary"))
  local size = peer:state().output
  peer:pass(1000):pass(1000)
  lu.assertEquals(peer:state().output, size)
  peer:flush()
  peer.held = false
  peer:take()
  peer:pass(1000)
  lu.assertEquals(#peer:frames(), 1)
end

-- no pings once closing
function T:test_no_ping_while_closing()
  local peer = conn.open("client", { ping_ms = 1000, pong_ms = 1000 })
  assert(peer.raw:close(1000))
  peer:take()
  peer:pass(100000)
  lu.assertEquals(peer:take(), "")
end

-- latency of the application's own ping
function T:test_latency()
  local peer, mask = conn.open "server"
  lu.assertEquals(peer:state().latency, -1)
  peer:feed(bytes.frame { op = "pong", mask = mask, "" }) -- unsolicited
  lu.assertEquals(peer:state().latency, -1)
  assert(peer.raw:control("a", "ping"))
  peer:pass(40)
  peer:feed(bytes.frame { op = "pong", mask = mask, "a" })
  lu.assertEquals(peer:state().latency, 40)
  lu.assertEquals(peer:state().last_rx, 40)
end

function T:test_tick_after_the_end()
  local peer = conn.open("client", { close_ms = 1000, ping_ms = 500 })
  peer.raw:terminate()
  lu.assertEquals(peer.raw:due(), -1)
  peer:pass(100000):drop():pass(100000)
  lu.assertEquals({ peer:take(), peer.raw:due() }, { "", -1 })
end

-- a large number of milliseconds is only a number
function T:test_far_future()
  local now = 1 << 50
  local peer = conn.open("client", { now = now, close_ms = 5000 })
  assert(peer.raw:close())
  peer:take()
  lu.assertEquals(peer.raw:due(), now + 5000)
end

-- ---- two of them -------------------------------------------------------------

-- everything both ways, in pieces of any size
local function conversation(size)
  local client, server = conn.client(nil, { protocols = "chat" }), conn.peer { role = "server" }
  function server.on.upgrade(self) assert(self.raw:accept "chat") end
  function server.on.text(self, data) assert(self.raw:send(data, "text")) end
  function server.on.binary(self, data) assert(self.raw:send(data, "binary")) end
  local heard = {}
  local function carry()
    repeat
      local up, down = client:take(), server:take()
      for piece in bytes.pieces(up, size) do server:feed(piece) end
      for piece in bytes.pieces(down, size) do client:feed(piece) end
    until up == "" and down == ""
  end
  carry()
  assert(client.raw:send("κόσμε", "text"))
  carry()
  assert(client.raw:send(("\0\xff"):rep(300), "binary", true))
  assert(client.raw:control("between", "ping"))
  assert(client.raw:send(("y"):rep(70000), "binary"))
  carry()
  assert(server.raw:control("", "ping"))
  assert(server.raw:close(1012, "restart"))
  carry()
  conn.wind_up(client, server)
  heard[1], heard[2] = client:heard(), server:heard()
  client:free()
  server:free()
  return heard
end

function T:test_conversation_in_pieces()
  local whole = conversation(1 << 20)
  lu.assertStrMatches(whole[1], "open | text:κόσμε | pong:between | binary:.* | ping | close:1012:restart:true")
  lu.assertStrMatches(whole[2], "upgrade | open | text:κόσμε | ping:between | binary:.* | close:1012:restart:true")
  for _, size in ipairs { 1, 2, 3, 13, 125, 4096, 16384 } do
    local cut = conversation(size)
    bytes.equals(cut[1], whole[1])
    bytes.equals(cut[2], whole[2])
  end
end

-- fail the n-th allocation, for every n of a whole session of both: each ends
-- with one close at most, nothing leaks, nobody crashes
function T:test_every_allocation_may_fail()
  local function session(n)
    local mem = probe.base.mem()
    mem:fail(n)
    local client = conn.peer { role = "client", mem = mem }
    local server = conn.peer { role = "server", mem = mem, high_water = 40000, low_water = 100 }
    local function try(peer, call, ...)
      local ok, code = peer.raw[call](peer.raw, ...)
      if not ok then lu.assertTrue(code == "NOMEM" or code == "STATE", code) end
    end
    function server.on.upgrade(p) try(p, "accept", "a") end
    function server.on.text(p, data) try(p, "send", data, "text") end
    function server.on.binary(p, data) try(p, "pinned", data, "binary", false, 1) end
    try(client, "start", { target = "/", host = "h", protocols = "a" })
    conn.carry(client, server)
    try(client, "send", "hello", "text")
    try(client, "send", ("x"):rep(20000), "binary")
    try(client, "send", "frag", "text", true)
    try(client, "send", "ment", "text")
    try(client, "control", "ping", "ping")
    local bits = client:take()
    for _, piece in ipairs { bits:sub(1, 9), bits:sub(10, 15000), bits:sub(15001, 20025), bits:sub(20026) } do
      server:feed(piece)
    end
    conn.carry(client, server)
    client:feed(bytes.frame { op = "ping", "cut" }:sub(1, 3)):feed "ut"
    try(client, "close", 3000, "reason")
    conn.wind_up(client, server)
    local hit = mem:state().failed > 0
    for _, peer in ipairs { client, server } do
      if peer:state().state ~= 3 then
        peer.raw:terminate()
        peer:drop()
      end
      local _, closes = peer:heard():gsub("close:%d+", "")
      lu.assertEquals(closes, 1)
      peer.raw:free()
    end
    counted.clean(mem, "failure " .. n)
    client:free()
    server:free()
    return hit
  end
  local n = 0
  repeat n = n + 1 until not session(n)
  lu.assertTrue(n > 10, n)
end

-- What a message was put together in goes with it, not when the next one comes.
function T:test_memory_between_messages()
  local peer, mask = conn.open("server")
  local before = peer.mem:state().used
  peer:feed(bytes.frame { op = 2, payload = ("x"):rep(60000), mask = mask, fin = false })
  lu.assertTrue(peer.mem:state().used > before + 60000)
  peer:feed(bytes.frame { op = 0, payload = "x", mask = mask })
  lu.assertEquals(peer:heard(), "binary:" .. ("x"):rep(60001))
  lu.assertEquals(peer.mem:state().used, before)
end

-- A compressor goes when it was not used between two pings, and with the end.
function T.test_a_compressor_goes()
  for _, at in ipairs { "pings", "end" } do
    local peer = conn.server({ pmd = {}, ping_ms = 1000 })
      :feed(conn.request "Sec-WebSocket-Extensions: permessage-deflate")
    peer:take()
    local before = peer.mem:state().used
    peer.raw:send(("x"):rep(1000), "text")
    peer:take()
    lu.assertTrue(peer.mem:state().used > before + 100 * 1024)
    if at == "end" then peer.raw:terminate() end
    if at == "end" then peer:drop() else peer:pass(1000):pass(1000):take() end
    lu.assertTrue(peer.mem:state().used < before + 40 * 1024)
  end
end

return T
