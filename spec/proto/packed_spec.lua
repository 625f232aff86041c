-- spec/proto/packed_spec.lua -- compressed messages of a connection: rows PM-28 to
-- PM-32, PM-36 to PM-38, PM-44, PM-50 to PM-52, U8 and W-24 of the matrix, Z1, Z2,
-- N2 of the threats.

local lu = require "luaunit"
local conn = require "support.conn"
local bytes = require "support.bytes"
local probe = require "wsock.probe"

local T = conn.class()

local hex = bytes.unhex
local PMD = "Sec-WebSocket-Extensions: permessage-deflate"
local ANY = 255

-- An open peer with what was agreed on, and the mask its other side has to use.
local function open(role, options, answer)
  options = options or {}
  options.pmd = options.pmd or {}
  if role == "client" then
    options.pmd.client_window = ANY
    local peer = conn.client(options)
    peer:flush()
    peer:feed(conn.response(PMD .. (answer or "")))
    lu.assertEquals(peer:heard(), "open")
    peer:take()
    return peer
  end
  local peer = conn.server(options):feed(conn.request(PMD .. (answer or "")))
  lu.assertEquals(peer:heard(), "upgrade | open")
  peer:take()
  return peer, "\x37\xfa\x21\x3d"
end

local function each_role(fn)
  for _, role in ipairs(conn.ROLES) do fn(role) end
end

local function frame(op, payload, mask, more)
  local t = { op = op, payload = payload, mask = mask, rsv = 4 }
  for k, v in pairs(more or {}) do t[k] = v end
  return bytes.frame(t)
end

local HELLO = hex "f248cdc9c90700"

-- ---- in --------------------------------------------------------------------------

-- RFC 7692 7.2.3 and PM-34, PM-35, PM-38, in each role, cut anywhere
function T:test_the_vectors()
  each_role(function(role)
    local _, mask = open(role)
    local all = frame(1, HELLO, mask) .. frame(1, hex "f200110000", mask)
      .. frame(1, hex "000500faff48656c6c6f00", mask) .. frame(1, hex "f348cdc9c9070000", mask)
      .. frame(1, hex "f248050000 00ffff cac9c90700":gsub(" ", ""), mask)
      .. frame(1, HELLO:sub(1, 3), mask, { fin = false }) .. frame(0, HELLO:sub(4), mask, { rsv = 0 })
      .. frame(2, "\0", mask) .. frame(1, hex "0200", mask) .. frame(1, "", mask)
      .. frame(1, "", mask, { fin = false }) .. frame(0, "", mask, { rsv = 0, fin = false })
      .. frame(0, HELLO, mask, { rsv = 0 })
    local events = conn.every_split(function() return open(role) end, all)
    lu.assertEquals(events, ("text:Hello | "):rep(6) .. "binary: | text: | text: | text:Hello")
  end)
end

-- PM-30: both kinds in turn; a plain one leaves the window alone
function T:test_plain_ones_between()
  each_role(function(role)
    local peer, mask = open(role)
    peer:feed(frame(1, HELLO, mask) .. frame(1, "plain", mask, { rsv = 0 })
      .. frame(1, "pl", mask, { rsv = 0, fin = false }) .. bytes.frame { op = 9, payload = "x", mask = mask }
      .. frame(0, "ain", mask, { rsv = 0 }) .. frame(1, hex "f200110000", mask))
    lu.assertEquals(peer:heard(), "text:Hello | text:plain | ping:x | text:plain | text:Hello")
  end)
end

-- PM-29, N2, PM-07
function T:test_RSV1_where_it_may_not_be()
  each_role(function(role)
    local _, mask = open(role)
    for _, wrong in ipairs {
      frame(9, "", mask), frame(10, "", mask), frame(8, "", mask),
      frame(1, "\0", mask, { fin = false }) .. frame(0, "\0", mask),
      frame(1, "a", mask, { fin = false, rsv = 0 }) .. frame(0, "\0", mask),
      frame(1, "\0", mask, { rsv = 6 }), frame(1, "\0", mask, { rsv = 5 }),
    } do
      local peer = open(role)
      peer:feed(wrong)
      lu.assertEquals(peer:state().fault, "RSV", bytes.hex(wrong))
      lu.assertEquals(bytes.hex(peer:frames()[1].payload:sub(1, 2)), "03 ea")
    end
    local plain = conn.open(role):feed(frame(1, HELLO, mask))
    lu.assertEquals(plain:state().fault, "RSV")
  end)
end

-- PM-51, Z2
function T:test_what_does_not_inflate()
  each_role(function(role)
    for _, text in ipairs { "07", "f200110000", "f248cd", "0005", "ed" } do
      local _, mask = open(role)
      local peer = open(role):feed(frame(2, hex(text), mask))
      lu.assertEquals(peer:state().fault, "DEFLATE", text)
      lu.assertEquals(bytes.hex(peer:frames()[1].payload:sub(1, 2)), "03 ef") -- 1007
    end
  end)
end

-- PM-32, U8: what is meant has to be UTF-8, and fails as soon as it is seen
function T:test_utf8()
  local pool = probe.proto.pmd_pool(probe.base.mem())
  local function packed(s) return pool:pack(s, {}) end
  each_role(function(role)
    local _, mask = open(role)
    local good = ("grün 水 😀 "):rep(3000)
    local peer = open(role)
    for piece in bytes.pieces(frame(1, packed(good), mask), 7) do peer:feed(piece) end
    lu.assertTrue(peer:heard() == "text:" .. good)
    for _, bad in ipairs { "\xFF", "abc\xC3", "\xED\xA0\x80", ("x"):rep(70000) .. "\xF8" .. ("x"):rep(70000) } do
      peer = open(role):feed(frame(1, packed(bad), mask))
      lu.assertEquals(peer:state().fault, "UTF8")
      peer = open(role):feed(frame(2, packed(bad), mask))
      lu.assertTrue(peer:heard() == "binary:" .. bad)
      -- also when the rest never comes
      local start = frame(1, packed(bad), mask, { fin = false })
      peer = open(role):feed(start)
      lu.assertEquals(peer:state().fault, bad == "abc\xC3" and "OK" or "UTF8")
    end
  end)
  pool:free()
end

-- ---- limits ------------------------------------------------------------------------

-- PM-50: exactly so much, whatever the pieces
function T:test_the_limit_is_for_what_is_meant()
  local pool = probe.proto.pmd_pool(probe.base.mem())
  for _, limit in ipairs { 1, 10, 1000, 65536, 100000 } do
    for _, fill in ipairs { "\0", "random" } do
      local s = fill == "\0" and fill:rep(limit) or bytes.random(limit)
      for extra = 0, 1 do
        local packed = pool:pack(s .. ("x"):rep(extra), {})
        local _, mask = open "server"
        for _, size in ipairs { 1, 1000, #packed + 20 } do
          local peer = open("server", { payload_max = limit })
          if limit < 5000 or size > 1 then
            for piece in bytes.pieces(frame(2, packed, mask), size) do peer:feed(piece) end
            lu.assertEquals(peer:state().fault, extra == 0 and "OK" or "TOOBIG")
            if extra == 0 then lu.assertTrue(peer:heard() == "binary:" .. s) end
          end
          peer:free()
        end
      end
    end
  end
  pool:free()
end

-- Z1: a bomb is stopped at its limit, and held nothing beside
function T:test_a_bomb()
  local d = probe.wire.deflate(probe.base.mem(), { level = 9 })
  local zeros = ("\0"):rep(1 << 20)
  local bomb = d:run(zeros, true) .. d:run(zeros, true):rep(255) -- 256 MiB
  d:free()
  bomb = bomb:sub(1, -5)
  each_role(function(role)
    for _, fragments in ipairs { 1, 2, 1000 } do
      local peer, mask = open(role, { payload_max = 65536 })
      peer:feed(frame(2, HELLO, mask)) -- a window to take over
      local size = #bomb // fragments + 1
      local first = true
      for piece in bytes.pieces(bomb, size) do
        if peer:state().fault ~= "OK" then break end
        peer:feed(frame(first and 2 or 0, piece, mask, { rsv = first and 4 or 0, fin = false }))
        first = false
        local state = peer.mem:state()
        lu.assertTrue(state.used < 65536 + 32768 + 65536)
      end
      lu.assertEquals(peer:state().fault, "TOOBIG")
      lu.assertTrue(peer:state().pmd[2] <= 65536 + 5)
      lu.assertEquals(bytes.hex(peer:frames()[1].payload:sub(1, 2)), "03 f1") -- 1009
      peer:free()
    end
  end)
end

-- Compressed bytes without end that mean nothing; a claim is enough.
function T:test_the_limit_of_what_is_sent()
  each_role(function(role)
    local _, mask = open(role)
    for _, row in ipairs { { 3024, "OK" }, { 3025, "TOOBIG" }, { math.maxinteger, "TOOBIG" } } do
      local head = bytes.frame { op = 2, rsv = 4, mask = mask, length = row[1], payload = "" }
      lu.assertEquals(open(role, { payload_max = 1000 }):feed(head):state().fault, row[2], row[1])
    end
    local peer = open(role, { payload_max = 1000, fragments_max = 1000000 })
    local nothing = ("\0\0\0\xFF\xFF"):rep(100)
    peer:feed(frame(2, nothing, mask, { fin = false }))
    for _ = 2, 6 do peer:feed(frame(0, nothing, mask, { fin = false, rsv = 0 })) end
    lu.assertEquals(peer:state().fault, "OK")
    peer:feed(frame(0, nothing, mask, { fin = false, rsv = 0 }))
    lu.assertEquals(peer:state().fault, "TOOBIG")
    -- no limit at all
    local head = bytes.frame { op = 2, rsv = 4, mask = mask, length = math.maxinteger, payload = "" }
    lu.assertEquals(open(role, { payload_max = math.maxinteger }):feed(head):state().fault, "OK")
  end)
end

-- ---- out ---------------------------------------------------------------------------

-- PM-28, PM-31, PM-38
function T:test_sending()
  each_role(function(role)
    local peer = open(role)
    peer.raw:send("Hello", "text")
    peer.raw:send("Hello", "binary")
    peer.raw:send("", "text")
    local list = peer:frames()
    lu.assertEquals({ #list, list[1].op, list[2].op }, { 3, 1, 2 })
    for i, payload in ipairs { HELLO, hex "f200110000", "\0" } do
      bytes.equals(list[i].payload, payload)
      lu.assertEquals({ list[i].rsv, list[i].fin, list[i].masked }, { 4, true, role == "client" })
    end
    lu.assertEquals({ table.unpack(peer:state().pmd, 3, 4) }, { 13, 10 })
  end)
end

-- PM-36, PM-37: in parts; the first decides
function T:test_sending_in_parts()
  each_role(function(role)
    local peer = open(role, { pmd = { threshold = 1000, threshold_kept = 1000 } })
    lu.assertFalse(peer.raw:packs(10))
    lu.assertTrue(peer.raw:packs(10, true))
    lu.assertFalse(peer.raw:packs(10, true, true))
    peer.raw:send("Hel", "text", true)
    lu.assertTrue(peer.raw:packs(10, false, true))
    peer.raw:send("lo", "text", true)
    peer.raw:send("", "text", false)
    peer.raw:send("pla", "text", true, true)
    lu.assertFalse(peer.raw:packs(5000))
    peer.raw:send("in", "text")
    local list = peer:frames()
    local got, z = "", probe.wire.inflate(probe.base.mem())
    for i, row in ipairs { { 1, 4, false }, { 0, 0, false }, { 0, 0, true }, { 1, 0, false }, { 0, 0, true } } do
      lu.assertEquals({ list[i].op, list[i].rsv, list[i].fin }, row, i)
      if i <= 3 then got = got .. z:run(list[i].payload) end
    end
    lu.assertEquals(got .. z:run "\0\0\xFF\xFF", "Hello")
    lu.assertEquals(list[4].payload .. list[5].payload, "plain")
    z:free()
  end)
end

-- PM-52: short ones, unwanted ones, and those that would grow go as they are
function T:test_sending_plain()
  local alone = "; server_no_context_takeover; client_no_context_takeover"
  each_role(function(role)
    local peer = open(role, { pmd = { threshold = 10, threshold_kept = 4 } })
    peer.raw:send("abc", "text")
    peer.raw:send("abcd", "text")
    peer.raw:send("abcdefgh", "text", false, true)
    local list = peer:frames()
    lu.assertEquals({ list[1].rsv, list[2].rsv, list[3].rsv }, { 0, 4, 0 })
    peer = open(role, { pmd = { threshold = 10, threshold_kept = 4 } }, alone)
    local random = bytes.random(500)
    peer.raw:send("abcdefghi", "text")
    peer.raw:send(("a"):rep(10), "text")
    peer.raw:send(random, "binary")
    list = peer:frames()
    lu.assertEquals({ list[1].rsv, list[2].rsv, list[3].rsv }, { 0, 4, 0 })
    bytes.equals(list[3].payload, random)
  end)
end

-- Either side reads what the other sends, also in parts; fragments at random.
function T:test_round_trips()
  local lists = { "", "a", "Hello", ("grün "):rep(1000), bytes.random(5000), ("\0"):rep(200000), bytes.random(70000) }
  for _, terms in ipairs {
    {}, { server_alone = true }, { client_alone = true }, { server_alone = true, client_alone = true },
    { server_window = 9, client_window = 8 }, { server_window = 8, client_window = 12, server_alone = true },
  } do
    local theirs = { client_window = terms.client_window or ANY, memory = 3, level = 4 }
    local client, server = conn.pair({ pmd = theirs, buffered_max = 1 << 24 }, { pmd = terms })
    for round = 1, 2 do
      for _, s in ipairs(lists) do
        for _, turn in ipairs { { client, server }, { server, client } } do
          local from, to = turn[1], turn[2]
          if round == 1 then
            assert(from.raw:send(s, "binary"))
          else
            local n = math.random(0, #s)
            assert(from.raw:send(s:sub(1, n), "binary", true))
            assert(from.raw:send("", "binary", true))
            assert(from.raw:send(s:sub(n + 1), "binary"))
          end
          conn.carry(client, server)
          lu.assertTrue(to:heard() == "binary:" .. s, #s)
        end
      end
    end
    client:free()
    server:free()
  end
end

-- W-24: what waits is counted as it was given, and falls to nothing as it goes
function T:test_buffered()
  each_role(function(role)
    local peer = open(role)
    peer.held = true
    local n = 0
    for _, s in ipairs { ("ab"):rep(5000), bytes.random(3000), "", ("c"):rep(100) } do
      peer.raw:send(s, "binary")
      n = n + #s
      lu.assertEquals(peer:state().buffered, n)
    end
    peer.raw:control("x", "ping")
    local last = n
    for _ = 1, #peer.raw:peek() do
      peer.raw:sent(1)
      local now = peer:state().buffered
      lu.assertTrue(now <= last and now >= 0)
      last = now
    end
    lu.assertEquals(last, 0)
    -- the limit counts the same
    peer = open(role, { buffered_max = 100 })
    peer.held = true
    lu.assertEquals({ peer.raw:send(("a"):rep(101), "text") }, { nil, "BUFFER" })
    lu.assertEquals({ peer.raw:send(("a"):rep(60), "text"), (peer.raw:send(("a"):rep(41), "text")) }, { true, nil })
  end)
end

-- What could not be queued is nothing the peer has seen.
function T:test_a_message_that_was_not_queued()
  each_role(function(role)
    for n = 1, 14 do
      local peer = open(role)
      local other = probe.wire.inflate(probe.base.mem())
      peer.held = true
      local s = bytes.random(30000)
      peer.mem:fail(n)
      local ok, err = peer.raw:send(s, "binary")
      peer.mem:fail(0)
      if not ok then lu.assertEquals(err, "NOMEM") end
      assert(peer.raw:send(s, "binary"))
      peer.held = false
      local got = ""
      for _, f in ipairs(peer:frames()) do got = got .. other:run(f.payload .. "\0\0\xFF\xFF") end
      lu.assertTrue(got == (ok and s .. s or s))
      other:free()
      peer:free()
    end
  end)
  -- random bytes for the mask
  local peer = open("client", { random_fail = 2 })
  lu.assertEquals({ peer.raw:send("Hello", "text") }, { nil, "RANDOM" })
  peer.raw:send("Hello", "text")
  bytes.equals(peer:frames()[1].payload, HELLO)
end

function T:test_no_memory_in()
  each_role(function(role)
    local _, mask = open(role)
    for n = 1, 8 do
      local peer = open(role)
      peer.mem:fail(n)
      peer:feed(frame(1, HELLO, mask))
      peer.mem:fail(0)
      local fault = peer:state().fault
      lu.assertTrue(fault == "NOMEM" or fault == "OK")
      lu.assertEquals(peer:heard(), fault == "OK" and "text:Hello" or "")
      peer:free()
    end
  end)
end

-- ---- shared ------------------------------------------------------------------------

function T:test_sharing()
  local pool = probe.proto.pmd_pool(probe.base.mem())
  local peer = open("server", { pmd = { threshold = 10, server_window = 10, memory = 3, level = 2 } })
  lu.assertEquals({ peer.raw:share_conf(9) }, { 0, 0, 0 })
  lu.assertEquals({ peer.raw:share_conf(10) }, { 10, 3, 2 })
  -- what nobody named is as large as it is worth
  local usual = open("server", { pmd = { memory = 0, level = 0 } })
  lu.assertEquals({ usual.raw:share_conf(4095) }, { 13, 5, 0 })
  lu.assertEquals({ usual.raw:share_conf(4096) }, { 14, 7, 0 })
  usual = open("server", { pmd = { memory = 0, level = 0 } }, "; server_max_window_bits=9")
  lu.assertEquals({ usual.raw:share_conf(65536) }, { 9, 2, 0 })
  usual = open("server", { pmd = { memory = 0, level = 0, server_window = 15 } })
  lu.assertEquals({ usual.raw:share_conf(1) }, { 15, 8, 0 })
  lu.assertEquals({ conn.open_server().raw:share_conf(100) }, { 0, 0, 0 })
  local z = probe.wire.inflate(probe.base.mem(), 10)
  local function sent()
    local got = {}
    for i, f in ipairs(peer:frames()) do
      got[i] = f.rsv == 4 and z:run(f.payload .. "\0\0\xFF\xFF") or f.payload
    end
    return got
  end
  local packed = pool:pack("to everyone", { window = 10 })
  peer.raw:send("Hello", "text")
  peer.raw:share(bytes.frame { op = 1, payload = "plain" }, 5)
  peer.raw:send("Hello", "text")
  lu.assertEquals(peer:state().buffered, 15)
  lu.assertEquals(sent(), { "Hello", "plain", "Hello" })
  peer.raw:share(frame(1, packed), 11)
  lu.assertEquals(peer:state().buffered, 11)
  peer.raw:send("to everyone, Hello", "text") -- with an empty window
  lu.assertEquals(sent(), { "to everyone", "to everyone, Hello" })
  z:free()
  pool:free()
end

-- ---- ends --------------------------------------------------------------------------

-- what it held goes with the transport
function T:test_the_end()
  each_role(function(role)
    local peer, mask = open(role)
    local before = peer.mem:state().used
    peer.raw:send(("Hello"):rep(100), "text")
    peer:feed(frame(1, HELLO, mask) .. frame(1, HELLO:sub(1, 3), mask, { fin = false }))
    lu.assertTrue(peer.mem:state().used > before + 100 * 1024)
    peer:take()
    peer:feed(bytes.close(1000, "", mask))
    peer:take()
    peer:drop()
    lu.assertTrue(peer.mem:state().used < before + 60 * 1024) -- the pool, and a chunk
    lu.assertEquals({ peer.raw:send("x", "text") }, { nil, "STATE" })
    lu.assertNotNil(peer:state().pmd)
  end)
end

-- Between two pings without a message the compressor goes, but not out of one.
function T:test_idle_connections()
  each_role(function(role)
    local peer, mask = open(role, { ping_ms = 1000 })
    local before = peer.mem:state().used
    local function compressor() return peer.mem:state().used > before + 100 * 1024 end
    peer.raw:send(("Hello"):rep(100), "text")
    peer:pass(1000):take()
    lu.assertTrue(compressor())
    peer:pass(1000):take()
    lu.assertFalse(compressor())
    peer.raw:send("Hello", "text")
    bytes.equals(peer:frames()[1].payload, HELLO)
    peer.raw:send("one, ", "text", true)
    for _ = 1, 3 do peer:pass(1000):feed(bytes.frame { op = 10, mask = mask }) end
    lu.assertTrue(compressor())
    peer:take()
    peer.raw:send("two", "text")
    lu.assertEquals(#peer:frames(), 1)
  end)
end

-- data after our Close is dropped as it is, without being looked at
function T:test_after_our_close()
  each_role(function(role)
    local peer, mask = open(role)
    peer.raw:close(1000)
    peer:feed(frame(1, "\x07junk", mask) .. frame(2, HELLO, mask) .. bytes.close(1000, "", mask))
    lu.assertEquals(peer:state().fault, "OK")
  end)
end

return T
