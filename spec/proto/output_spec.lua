-- proto/output: messages to frames to the output queue.

local lu = require "luaunit"
local bytes = require "support.bytes"
local conn = require "support.conn"

local T = conn.class()

local TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

local function refused(code, ok, got)
  lu.assertNil(ok)
  lu.assertEquals(got, code)
end

-- ---- frames ----------------------------------------------------------------

-- FR-01, FR-07, FR-09, FG-01, MK-01, MK-02, SR-02, SR-03, SR-04, SR-05: every
-- length in its shortest form, masked by clients only
function T:test_lengths()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    for _, row in ipairs { { 0, 7 }, { 1, 7 }, { 125, 7 }, { 126, 16 }, { 127, 16 }, { 65535, 16 }, { 65536, 64 },
      { 70000, 64 } } do
      for _, kind in ipairs { "text", "binary" } do
        local data = ("a"):rep(row[1])
        assert(peer.raw:send(data, kind))
        local out = peer:take()
        local list = bytes.frames(out)
        lu.assertEquals(#list, 1)
        local f = list[1]
        bytes.equals(f.payload, data)
        lu.assertEquals({ f.fin, f.rsv, f.op, f.masked, f.wide },
          { true, 0, kind == "text" and TEXT or BINARY, role == "client", row[2] })
      end
    end
  end
end

-- MK-05: a key per frame, whatever frame
function T:test_keys_are_fresh()
  local peer = conn.open_client { random = conn.NONCE .. bytes.random(4096) }
  local out = {}
  for i = 1, 100 do
    assert(peer.raw:send("\0\0\0\0", "binary"))
    assert(peer.raw:control("\0\0\0\0", "ping"))
    peer:feed(bytes.frame { op = "ping", "\0\0\0\0" })
    out[i] = peer:take()
  end
  local seen, n = {}, 0
  for _, text in ipairs(out) do
    for at = 1, #text, 10 do
      local key = text:sub(at + 2, at + 5)
      bytes.equals(text:sub(at + 6, at + 9), key) -- zeros, masked
      lu.assertNil(seen[key])
      seen[key], n = true, n + 1
    end
  end
  lu.assertEquals(n, 300)
end

-- no random bytes: nothing is sent, nothing weaker is used
function T:test_no_chance()
  local peer = conn.open_client { random_fail = 2 }
  refused("RANDOM", peer.raw:send("x", "text"))
  lu.assertEquals(peer:take(), "")
  assert(peer.raw:send("y", "text"))
  lu.assertEquals(peer:frames()[1].payload, "y")
end

function T:test_no_chance_for_a_close()
  local peer = conn.open_client { random_fail = 2 }
  assert(peer.raw:close(1000))
  lu.assertTrue(peer:wants "close")
  lu.assertEquals(peer:drop():heard(), "close:1006::false")
end

-- MK-06: a copy is sent; Lua strings do not change, so look at the queue
function T:test_order_is_the_order_of_calls()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    peer.held = true
    for i = 1, 2000 do -- SR-08
      local data = i .. (":"):rep(i % 97)
      assert(peer.raw:send(data, i % 2 == 0 and "text" or "binary"))
    end
    assert(peer.raw:close(1000)) -- SR-06
    peer.held = false
    local list = peer:frames()
    lu.assertEquals(#list, 2001)
    for i = 1, 2000 do lu.assertEquals(list[i].payload, i .. (":"):rep(i % 97)) end
    lu.assertEquals(list[2001].op, CLOSE)
  end
end

-- FR-13: output may leave in any pieces
function T:test_output_in_pieces()
  for _, size in ipairs { 1, 2, 3, 7, 1000, 16383 } do
    local peer = conn.open_server()
    peer.held = true
    local want = {}
    for i = 1, 20 do
      local data = ("x"):rep(i * i * 50)
      assert(peer.raw:send(data, "binary"))
      want[i] = bytes.frame { op = "binary", data }
    end
    want = table.concat(want)
    local got, left = {}, #want
    while left > 0 do
      local piece = peer.raw:peek(2, size)
      lu.assertTrue(#piece > 0)
      got[#got + 1] = piece
      peer.raw:sent(#piece)
      left = left - #piece
    end
    bytes.equals(table.concat(got), want)
    lu.assertFalse(peer:wants "write")
    peer:free()
  end
end

-- ---- what may be sent ------------------------------------------------------

-- HC-26, SR-01, W-30, W-31
function T:test_send_only_when_open()
  for _, peer in ipairs { conn.client(), conn.server() } do
    refused("STATE", peer.raw:send("x", "text"))
    refused("STATE", peer.raw:control("x", "ping"))
    refused("STATE", peer.raw:share("\x81\x01x", 1))
  end
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    assert(peer.raw:close())
    refused("STATE", peer.raw:send("x", "text"))
    refused("STATE", peer.raw:control("x", "pong"))
    lu.assertEquals(#peer:frames(), 1) -- CL-05: the Close, and nothing else
    peer.raw:closed()
    refused("STATE", peer.raw:send("x", "text"))
    lu.assertEquals(peer:take(), "")
  end
end

-- U8-09: text is UTF-8, or stays here
function T:test_text_is_checked()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    for _, bad in ipairs { "\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\x80" } do
      refused("UTF8", peer.raw:send(bad, "text"))
      lu.assertEquals(peer:take(), "")
      assert(peer.raw:send(bad, "binary"))
      lu.assertEquals(peer:frames()[1].payload, bad)
    end
    for _, good in ipairs { "", "\0", "\u{FEFF}", "κόσμε", "\u{10FFFF}" } do
      assert(peer.raw:send(good, "text"))
      bytes.equals(peer:frames()[1].payload, good)
    end
  end
end

-- CT-01, CT-07: 125 bytes, and not one more
function T:test_control_frames()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    for _, n in ipairs { 0, 1, 124, 125 } do
      assert(peer.raw:control(("\xff"):rep(n), "ping"))
      assert(peer.raw:control(("\xff"):rep(n), "pong"))
      local list = peer:frames()
      lu.assertEquals({ list[1].op, #list[1].payload, list[2].op, #list[2].payload }, { PING, n, PONG, n })
    end
    refused("ARGUMENT", peer.raw:control(("x"):rep(126), "ping"))
    lu.assertEquals(peer:take(), "")
  end
end

-- ---- fragments -------------------------------------------------------------

-- FG-02, FG-12: the kind of the first one counts; control frames may pass
function T:test_fragments()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    assert(peer.raw:send("one", "text", true))
    assert(peer.raw:send("", "binary", true))
    assert(peer.raw:control("p", "ping"))
    assert(peer.raw:send("two", "binary"))
    assert(peer.raw:send("next", "binary"))
    local got = {}
    for i, f in ipairs(peer:frames()) do got[i] = ("%d%s:%s"):format(f.op, f.fin and "." or "", f.payload) end
    lu.assertEquals(got, { "1:one", "0:", "9.:p", "0.:two", "2.:next" })
    lu.assertEquals(peer:state().out.messages, 2)
  end
end

-- U8-09 over fragments: at the first bad byte, and at the end
function T:test_fragmented_text_is_checked()
  local peer = conn.open_server()
  assert(peer.raw:send("\xe2\x82", "text", true))
  refused("UTF8", peer.raw:send("\x28", "text", true))
  refused("UTF8", peer.raw:send("", "text"))       -- would end inside
  assert(peer.raw:send("\xac", "text", true))      -- and it can go on
  assert(peer.raw:send("!", "text"))
  refused("UTF8", peer.raw:send("\x82", "text"))   -- nothing of it is left over
  assert(peer.raw:send("\xff", "binary", true))
  assert(peer.raw:send("\xff", "binary"))
end

-- a close in the middle ends the fragments, too
function T:test_close_inside_fragments()
  local peer = conn.open_server()
  assert(peer.raw:send("one", "text", true))
  assert(peer.raw:close(1001))
  refused("STATE", peer.raw:send("two", "text"))
  local list = peer:frames()
  lu.assertEquals({ list[1].fin, list[2].op }, { false, CLOSE })
end

-- ---- bufferedAmount, and its limit -----------------------------------------

-- W-24, W-25, W-27: payload only, exact while it leaves byte by byte
function T:test_buffered_amount()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    local sizes, total = { 5, 0, 125, 126, 300, 20000, 70000, 3 }, 0
    for _, n in ipairs(sizes) do
      assert(peer.raw:send(("x"):rep(n), "binary"))
      assert(peer.raw:control("not counted", "ping"))
      total = total + n
      lu.assertEquals(peer:state().buffered, total)
    end
    local model = {} -- payload left before each byte of the output
    local out = peer.raw:peek()
    local rest, at, left = out, 0, total
    while rest ~= "" do
      local f, after = bytes.parse(rest)
      local head = #rest - #after - #f.payload
      for i = 1, #rest - #after do
        model[at + i - 1] = left
        if i > head and f.op == BINARY then left = left - 1 end
      end
      at, rest = at + #rest - #after, after
    end
    at = 0
    while at < #out do
      lu.assertEquals(peer:state().buffered, model[at], at)
      local step = math.min(at < 1000 and 1 or 1237, #out - at)
      peer.raw:sent(step)
      at = at + step
    end
    lu.assertEquals(peer:state().buffered, 0)
    peer:free()
  end
end

-- the handshake's own bytes are nobody's payload
function T:test_buffered_behind_the_handshake()
  local server = conn.server()
  server.held = true
  server:feed(conn.request())
  assert(server.raw:send("hello", "text"))
  lu.assertEquals(server:state().buffered, 5)
  local size = server:state().output
  for i = 1, size do
    lu.assertEquals(server:state().buffered, math.min(5, size - i + 1))
    server.raw:sent(1)
  end
  lu.assertEquals(server:state().buffered, 0)
end

-- LM-06, maxBuffered: n-1, n, n+1; what was sent makes room
function T:test_buffer_limit()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { buffered_max = 100 })
    peer.held = true
    refused("BUFFER", peer.raw:send(("x"):rep(101), "text"))
    assert(peer.raw:send(("x"):rep(100), "text"))
    peer:flush()
    assert(peer.raw:send(("x"):rep(99), "text"))
    refused("BUFFER", peer.raw:send("xx", "text"))
    refused("BUFFER", peer.raw:share("\x81\x02xx", 2))
    assert(peer.raw:send("", "text"))
    assert(peer.raw:send("x", "text"))
    lu.assertEquals(peer:state().buffered, 100)
    assert(peer.raw:control("x", "ping")) -- not a message
    peer.raw:sent(10)                     -- a part of the first is out
    local room = 100 - peer:state().buffered
    lu.assertTrue(room > 0)
    refused("BUFFER", peer.raw:send(("x"):rep(room + 1), "text"))
    assert(peer.raw:send(("x"):rep(room), "text"))
    peer:free()
  end
end

-- DRAIN once, when it falls to the low mark after being over the high one
function T:test_drain()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { high_water = 1000, low_water = 100 })
    peer.held = true
    assert(peer.raw:send(("x"):rep(900), "binary"))
    peer.raw:sent(peer:state().output)
    peer:pull()
    lu.assertEquals(peer:heard(), "") -- never over
    assert(peer.raw:send(("x"):rep(1100), "binary"))
    peer.raw:sent(peer:state().output - 101)
    peer:pull()
    lu.assertEquals(peer:heard(), "")
    lu.assertFalse(peer:wants "event")
    peer.raw:sent(1)
    lu.assertTrue(peer:wants "event")
    peer:pull()
    lu.assertEquals(peer:heard(), "drain")
    peer.raw:sent(100)
    peer:pull()
    lu.assertEquals(peer:heard(), "")
    peer:free()
  end
end

-- LM-07: a server stops reading while its output does not move; were clients
-- to do so too, both could wait for ever
function T:test_back_pressure()
  local server = conn.open_server { high_water = 1000, low_water = 100 }
  function server.on.binary(p, data) p.raw:send(data, "binary") end
  server.held = true
  local message = bytes.frame { op = "binary", mask = true, ("x"):rep(300) }
  server:feed(message:rep(10))
  lu.assertEquals(#server.events, 4) -- the fourth passed the mark
  lu.assertEquals(#server.rest, 6 * #message)
  lu.assertFalse(server:wants "read")
  server.held = false
  server:flush()
  server:feed()
  lu.assertEquals(select(2, server:heard():gsub("binary", "")), 10)

  local client = conn.open_client { high_water = 1000, low_water = 100 }
  client.held = true
  assert(client.raw:send(("x"):rep(5000), "binary"))
  lu.assertTrue(client:wants "read")
end

-- the plain path: small messages share a chunk, the pool keeps it
function T:test_sending_allocates_nothing_in_the_long_run()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    local function turn()
      for _ = 1, 10 do assert(peer.raw:send("hello", "text")) end
      peer:take()
    end
    turn()
    local calls = peer.mem:state().calls
    for _ = 1, 100 do turn() end
    lu.assertEquals(peer.mem:state().calls, calls)
  end
end

-- ---- pongs -----------------------------------------------------------------

-- the newest ping's pong waits, and is not sent after the peer's Close (CT-08)
function T:test_kept_pong()
  local function blocked(role)
    local peer, mask = conn.open(role, { high_water = 100, low_water = 10 })
    peer.held = true
    assert(peer.raw:send(("x"):rep(200), "binary"))
    return peer, mask
  end
  local client = blocked "client"
  client:feed(bytes.frame { op = "ping", "1" } .. bytes.frame { op = "ping", "22" } .. bytes.frame { op = "ping", "" })
  client.held = false
  local list = client:frames()
  lu.assertEquals({ #list, list[2].op, list[2].payload }, { 2, PONG, "" })
  client:feed(bytes.frame { op = "ping", "again" })
  lu.assertEquals(client:frames()[1].payload, "again")

  client = blocked "client"
  client:feed(bytes.frame { op = "ping", "1" } .. bytes.frame { op = "close", "" })
  client.held = false
  list = client:frames()
  lu.assertEquals({ #list, list[2].op }, { 2, CLOSE })
end

-- nothing but the newest ping's: also while the output is still high
function T:test_kept_pong_waits_for_room()
  local client = conn.open_client { high_water = 100, low_water = 10 }
  client.held = true
  assert(client.raw:send(("x"):rep(400), "binary"))
  client:feed(bytes.frame { op = "ping", "1" })
  client.raw:sent(0)
  client.raw:sent(100)
  lu.assertEquals(client:state().output, 308)
  client.raw:sent(250)
  lu.assertEquals(client:state().output, 58 + 7)
  client:flush()
end

function T:test_auto_pong_off()
  local client = conn.open_client { auto_pong = 0 }
  client:feed(bytes.frame { op = "ping", "1" })
  lu.assertEquals(client:take(), "")
end

-- without memory or chance for a pong the connection fails
function T:test_pongs_that_fail()
  local client = conn.open_client { high_water = 100, low_water = 10 }
  client.held = true
  assert(client.raw:send(("x"):rep(400), "binary"))
  client.mem:fail(1)
  client:feed(bytes.frame { op = "ping", "1" })
  lu.assertEquals(client:state().fault, "NOMEM")
  client = conn.open_client { random_fail = 2 }
  client:feed(bytes.frame { op = "ping", "1" })
  lu.assertEquals(client:state().fault, "RANDOM")
  client = conn.open_client { high_water = 100, low_water = 10, random_fail = 3 }
  client.held = true
  assert(client.raw:send(("x"):rep(400), "binary"))
  client:feed(bytes.frame { op = "ping", "1" })
  client:flush()
  lu.assertEquals(client:state().fault, "RANDOM")
end

-- ---- without a copy --------------------------------------------------------

function T:test_pinned()
  local peer = conn.open_server()
  assert(peer.raw:pinned(("a"):rep(70000), "binary", false, 7))
  assert(peer.raw:send("between", "text"))
  assert(peer.raw:pinned("", "text", false, 8))
  assert(peer.raw:pinned("last", "text", true, 9))
  lu.assertEquals(peer:state().buffered, 70000 + 7 + 4)
  lu.assertEquals(peer.raw:unpin(), 8) -- nothing of it has to be sent
  lu.assertNil(peer.raw:unpin())
  local list = peer:frames()
  lu.assertEquals({ list[1].payload, list[2].payload, list[3].payload, list[4].payload, list[4].fin },
    { ("a"):rep(70000), "between", "", "last", false })
  local pins = {}
  for i = 1, 2 do pins[i] = peer.raw:unpin() end
  table.sort(pins)
  lu.assertEquals(pins, { 7, 9 })
  lu.assertNil(peer.raw:unpin())
  refused("UTF8", peer.raw:pinned("\xff", "text", false, 1))
end

function T:test_buffered_inside_a_pinned_message()
  local peer = conn.open_server()
  peer.held = true
  assert(peer.raw:pinned(("a"):rep(5000), "binary", false, 1))
  peer.raw:sent(4)
  lu.assertEquals(peer:state().buffered, 5000)
  peer.raw:sent(1000)
  lu.assertEquals(peer:state().buffered, 4000)
end

-- no room for a pinned message's head
function T:test_no_memory_for_a_pinned_message()
  local peer = conn.open_server()
  peer.held = true
  assert(peer.raw:send(("x"):rep(16000), "binary")) -- fill a chunk
  assert(peer.raw:send(("x"):rep(16384 - 16000 - 4 - 4), "binary"))
  peer.mem:fail(1)
  refused("NOMEM", peer.raw:pinned("x", "binary", false, 1))
end

-- pins come back when the transport goes, too
function T:test_pins_of_what_was_dropped()
  local peer = conn.open_server()
  assert(peer.raw:pinned("abc", "text", false, 5))
  peer.raw:terminate()
  peer:drop()
  lu.assertEquals(peer.raw:unpin(), 5)
end

function T:test_shared()
  local peer = conn.open_server()
  assert(peer.raw:share("\x81\x03abc", 3))
  lu.assertEquals(peer:state().buffered, 3)
  lu.assertEquals(peer:frames()[1].payload, "abc")
  assert(peer.raw:send("x", "text", true))
  refused("STATE", peer.raw:share("\x81\x03abc", 3))
end

function T:test_counts()
  local peer = conn.open_server()
  local before = peer:state().out
  assert(peer.raw:send("abc", "text"))
  assert(peer.raw:send("d", "text", true))
  assert(peer.raw:send("e", "text"))
  assert(peer.raw:control("", "ping"))
  assert(peer.raw:share("\x81\x00", 0))
  local out = peer:take()
  local after = peer:state().out
  lu.assertEquals({ after.bytes - before.bytes, after.frames - before.frames, after.messages - before.messages },
    { #out, 5, 3 })
end

-- every allocation of sending may fail: nothing is queued, the next goes out
function T:test_no_memory()
  local peer = conn.open_server()
  for _, send in ipairs {
    function() return peer.raw:send(("x"):rep(100000), "binary") end,
    function() return peer.raw:pinned("x", "binary", false, 1) end,
    function() return peer.raw:share("\x81\x00", 0) end,
    function() return peer.raw:control("x", "ping") end,
  } do
    local n, hit = 0
    repeat
      n = n + 1
      peer.mem:fail(n)
      local ok, code = send()
      hit = peer.mem:state().failed > 0
      if hit then
        lu.assertEquals({ ok, code }, { nil, "NOMEM" })
        lu.assertEquals(peer:take(), "")
      end
    until not hit
    peer.mem:fail(0)
    peer:take()
  end
end

-- ---- compressed: see packed_spec ------------------------------------------------------

local function compressing(role)
  local peer = role == "client" and conn.client { pmd = {} }
    or conn.server({ pmd = {} }):feed(conn.request "Sec-WebSocket-Extensions: permessage-deflate")
  peer:take()
  if role == "client" then peer:feed(conn.response "Sec-WebSocket-Extensions: permessage-deflate") end
  peer:heard()
  peer:take()
  return peer
end

-- W-24: what waits is what was given, however small it has become
function T.test_buffered_counts_what_was_given()
  for _, role in ipairs(conn.ROLES) do
    local peer = compressing(role)
    peer.held = true
    local s = ("ab"):rep(1000)
    peer.raw:send(s, "text")
    peer.raw:send(s, "text", false, true)
    lu.assertEquals(peer:state().buffered, 2 * #s)
    local last = 2 * #s
    for _ = 1, #peer.raw:peek() do
      peer.raw:sent(1)
      lu.assertTrue(peer:state().buffered <= last)
      last = peer:state().buffered
    end
    lu.assertEquals(last, 0)
    peer.raw:control("", "ping")
    peer.raw:sent(1)
    lu.assertEquals(peer:state().buffered, 0)
  end
end

function T.test_a_shared_frame_that_is_compressed()
  local peer = compressing "server"
  local frame = bytes.frame { op = 1, rsv = 4, payload = bytes.unhex "f248cdc9c90700" }
  lu.assertTrue(peer.raw:share(frame, 5))
  lu.assertEquals(peer:state().buffered, 5)
  bytes.equals(peer:take(), frame)
  lu.assertEquals(peer:state().pmd, { 0, 0, #frame, 5 })
end

return T
