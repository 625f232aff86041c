-- proto/closing: the closing handshake and failing, both roles.

local lu = require "luaunit"
local bytes = require "support.bytes"
local conn = require "support.conn"
local probe = require "wsock.probe"

local T = conn.class()

local function refused(code, ok, got)
  lu.assertNil(ok)
  lu.assertEquals(got, code)
end

-- The Close frames of the output as {code, reason} or {} for an empty one.
local function closes(peer)
  local list = {}
  for _, f in ipairs(peer:frames()) do
    if f.op == 8 then
      list[#list + 1] = f.payload == "" and {} or { string.unpack(">I2", f.payload), f.payload:sub(3) }
    end
  end
  return list
end

-- body(peer, feed, mask) for an open peer of each role; feed sends it a Close.
local function each(body, options)
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = conn.open(role, options)
    body(peer, function(code, reason) return peer:feed(bytes.close(code, reason, mask)) end, mask)
    peer:free()
  end
end

-- ---- what may be said --------------------------------------------------------

-- CC-01 to CC-21, CL-19, W-40, W-42, W-48: by role, in every state
function T:test_codes()
  local function allowed(code, role)
    if code == 1000 or code >= 3000 and code <= 4999 then return true end
    return role == "server" and (code >= 1001 and code <= 1003 or code >= 1007 and code <= 1014)
  end
  local codes = { -1, 1, 999, 65535, 65536 + 1000, 5000, 4999, 4000, 3999, 3000, 2999, 1016 }
  for code = 1000, 1015 do codes[#codes + 1] = code end
  for _, role in ipairs(conn.ROLES) do
    for _, code in ipairs(codes) do
      local peer = conn.open(role)
      if allowed(code, role) then
        assert(peer.raw:close(code, "why"))
        lu.assertEquals(closes(peer), { { code, "why" } })
        lu.assertEquals(peer:state().state, 2)
      else
        refused("CODE", peer.raw:close(code))
        lu.assertEquals({ peer:take(), peer:state().state }, { "", 1 })
        peer.raw:close()
        refused("CODE", peer.raw:close(code)) -- CLOSING
        peer:drop()
        refused("CODE", peer.raw:close(code)) -- CLOSED
      end
      peer:free()
    end
  end
  refused("CODE", conn.client().raw:close(1001)) -- CONNECTING
end

-- W-41, CL-03: 122, 123, 124 bytes
function T:test_reasons()
  each(function(peer)
    refused("REASON", peer.raw:close(1000, ("x"):rep(124)))
    refused("REASON", peer.raw:close(1000, ("é"):rep(62)))
    refused("CLOSE_UTF8", peer.raw:close(1000, "\xff"))
    refused("CLOSE_UTF8", peer.raw:close(1000, ("x"):rep(122) .. "\xc3"))
    lu.assertEquals({ peer:take(), peer:state().state }, { "", 1 })
    assert(peer.raw:close(1000, ("x"):rep(121) .. "é"))
    lu.assertEquals(closes(peer), { { 1000, ("x"):rep(121) .. "é" } })
    refused("REASON", peer.raw:close(1000, ("x"):rep(124)))
  end)
end

-- W-46, W-47, CL-04: without a code; a reason alone means 1000
function T:test_empty_and_reason_only()
  each(function(peer)
    assert(peer.raw:close())
    lu.assertEquals(closes(peer), { {} })
  end)
  each(function(peer)
    assert(peer.raw:close(nil, "x"))
    lu.assertEquals(closes(peer), { { 1000, "x" } })
  end)
end

-- W-43, CL-07: once
function T:test_close_twice()
  each(function(peer, feed)
    assert(peer.raw:close(1000, "first"))
    assert(peer.raw:close(3000, "second"))
    peer.raw:finish(1001, "third")
    feed(1000)
    assert(peer.raw:close(3000))
    lu.assertEquals(closes(peer), { { 1000, "first" } })
  end)
end

-- ---- the table of close results ----------------------------------------------

-- What a finished peer told.
local function result(peer)
  peer:settle()
  lu.assertEquals(peer:state().state, 3)
  return peer:heard()
end

-- case 1: the transport never came to be; CL-16
function T:test_case_1_no_transport()
  local codes = probe.base.err.codes
  local told = { SYSTEM = "SYSTEM", HANDSHAKE_TIMEOUT = "HANDSHAKE_TIMEOUT", LOST = "UNANSWERED" }
  for lost, name in pairs(told) do
    local client = conn.client()
    client.raw:lost(codes[lost])
    lu.assertEquals(result(client), "fault:" .. name .. " | close:1006::false")
  end
end

-- case 2 is in opening_spec; case 3: W-44
function T:test_case_3_close_while_connecting()
  for _, peer in ipairs { conn.client(), conn.server() } do
    assert(peer.raw:close(3000, "never mind"))
    lu.assertEquals(peer:state().state, 2)
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(result(peer), "fault:ABORTED | close:1006::false")
  end
end

-- cases 4, 5: CL-06, CL-15, CL-17, CL-18
function T:test_case_4_5_peer_closes()
  each(function(peer, feed)
    feed(1000, "bye")
    lu.assertEquals(closes(peer), { { 1000, "bye" } }) -- the reason, too
    lu.assertEquals(result(peer:eof()), "close:1000:bye:true")
  end)
  each(function(peer, feed)
    feed()
    lu.assertEquals(closes(peer), { {} })
    lu.assertEquals(result(peer:eof()), "close:1005::true")
  end)
end

-- CL-15: an answer that never left is none, whoever drops the transport
function T:test_a_close_that_stays_behind_is_not_clean()
  for _, ours in ipairs { false, true } do
    each(function(peer, feed)
      peer.held = true
      assert(peer.raw:send("before it", "text"))
      if ours then assert(peer.raw:close(3001, "ours")) end
      feed(1000, "bye")
      peer.raw:sent(3) -- some of it leaves, not all
      peer.raw:lost(probe.base.err.codes.SYSTEM)
      lu.assertEquals(peer:drop():heard(), "close:1000:bye:false")
    end)
  end
  each(function(peer, feed) -- with nothing left behind, losing it is no news
    feed(1000, "bye")
    peer.raw:lost(probe.base.err.codes.SYSTEM)
    lu.assertEquals(peer:drop():heard(), "close:1000:bye:true")
  end)
end

-- ---- a transport that takes no more --------------------------------------------

-- What the peer sent before it left is told, its Close among it; then that is
-- all, though the answer cannot leave.
function T:test_what_comes_after_the_last_write()
  each(function(peer, feed, mask)
    peer.held = true
    assert(peer.raw:send("never read", "text"))
    lu.assertTrue(peer.raw:mute())
    lu.assertFalse(peer:wants "write")
    lu.assertTrue(peer:wants "read")
    peer:feed(bytes.frame { op = "ping", mask = mask, "p" } .. bytes.frame { op = "text", mask = mask, "last" })
    feed(1000, "bye")
    lu.assertTrue(peer:wants "close")
    lu.assertFalse(peer.raw:mute())
    lu.assertEquals(peer:drop():heard(), "ping:p | text:last | close:1000:bye:false")
  end)
  each(function(peer, _, mask) -- no Close is there
    peer.held = true
    assert(peer.raw:send("never read", "text"))
    lu.assertTrue(peer.raw:mute())
    lu.assertEquals(peer:feed(bytes.frame { op = "text", mask = mask, "last" }):eof():drop():heard(),
      "text:last | fault:LOST | close:1006::false")
  end)
  each(function(peer, _, mask) -- and what is there is wrong
    peer.held = true
    assert(peer.raw:send("never read", "text"))
    lu.assertTrue(peer.raw:mute())
    peer:feed(bytes.frame { op = 3, mask = mask, "" })
    lu.assertFalse(peer:wants "write")
    lu.assertEquals(peer:eof():drop():heard(), "fault:OPCODE | close:1006::false")
  end)
end

-- A server above its high water does not read; one that cannot write does.
function T:test_a_mute_server_reads_whatever_waits()
  local peer = conn.open_server { high_water = 100 }
  peer.held = true
  assert(peer.raw:send(("x"):rep(200), "text"))
  lu.assertFalse(peer:wants "read")
  lu.assertTrue(peer.raw:mute())
  lu.assertTrue(peer:wants "read")
  peer.raw:pause(true)
  lu.assertFalse(peer:wants "read")
end

-- cases 6, 7: our Close, echoed
function T:test_case_6_7_we_close()
  each(function(peer, feed)
    assert(peer.raw:close())
    feed()
    lu.assertEquals(result(peer:eof()), "close:1005::true")
  end)
  each(function(peer, feed)
    assert(peer.raw:close(3000, "x"))
    feed(3000, "x")
    lu.assertEquals(result(peer:eof()), "close:3000:x:true")
  end)
end

-- cases 8, 9: the first Close received counts, whoever was first (CL-13)
function T:test_case_8_9_both_close()
  each(function(peer, feed)
    assert(peer.raw:close(4111, "mine"))
    feed(4222, "theirs")
    lu.assertEquals(closes(peer), { { 4111, "mine" } })
    lu.assertEquals(result(peer:eof()), "close:4222:theirs:true")
  end)
  each(function(peer, feed)
    assert(peer.raw:close(3000))
    feed(1000)
    feed(3001, "second") -- CL-29
    lu.assertEquals(result(peer:eof()), "close:1000::true")
  end)
end

-- case 10: CL-24, CL-25
function T:test_case_10_lost()
  each(function(peer)
    lu.assertEquals(result(peer:eof()), "fault:LOST | close:1006::false")
  end)
  each(function(peer, _, mask)
    peer:feed(bytes.frame { mask = mask, "half" }:sub(1, -2))
    peer.raw:lost(probe.base.err.codes.SYSTEM)
    lu.assertEquals(result(peer), "fault:SYSTEM | close:1006::false")
  end)
end

-- case 11, 12: CL-21, CL-22, CL-23
function T:test_case_11_12_violations()
  local rows = {
    { { op = "text", rsv = 4, "x" }, "RSV", 1002 }, { { op = 5, "" }, "OPCODE", 1002 },
    { { op = "continuation", "" }, "ORPHAN", 1002 }, { { op = "text", "\xff" }, "UTF8", 1007 },
    { { op = "binary", ("x"):rep(11) }, "TOOBIG", 1009 },
  }
  for _, row in ipairs(rows) do
    each(function(peer, feed, mask)
      row[1].mask = mask
      peer:feed(bytes.frame(row[1]))
      local list = closes(peer)
      lu.assertEquals({ #list, list[1][1] }, { 1, row[3] })
      lu.assertTrue(#list[1][2] > 0) -- says why
      lu.assertEquals(peer:state().state, 2)
      feed(1000, "too late")
      lu.assertEquals(result(peer:eof()), "fault:" .. row[2] .. " | close:1006::false")
    end, { payload_max = 10 })
  end
end

-- case 13: CL-02, CL-20, U8-07, CC
function T:test_case_13_bad_close_frames()
  local rows = { { "\x03", "CLOSE_BODY", 1002 }, { "\x03\xe8\xff", "CLOSE_UTF8", 1007 },
    { "\x03\xe8" .. ("x"):rep(122) .. "\xc3", "CLOSE_UTF8", 1007 } }
  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535 } do
    rows[#rows + 1] = { string.pack(">I2", code), "CLOSE_CODE", 1002 }
  end
  for _, row in ipairs(rows) do
    each(function(peer, _, mask)
      if #row[1] <= 125 then
        peer:feed(bytes.frame { op = "close", mask = mask, row[1] })
        lu.assertEquals(closes(peer)[1][1], row[3])
        lu.assertEquals(result(peer:eof()), "fault:" .. row[2] .. " | close:1006::false")
      end
    end)
  end
  for code = 1000, 1014 do -- what may stand there
    if code < 1004 or code > 1006 then
      each(function(peer, feed)
        feed(code, ("x"):rep(123))
        lu.assertEquals(closes(peer), { { code, ("x"):rep(123) } })
        lu.assertEquals(result(peer:eof()), ("close:%d:%s:true"):format(code, ("x"):rep(123)))
      end)
    end
  end
end

-- case 14, CL-30: no answer; the application ended it, so it is no error
function T:test_case_14_no_answer()
  each(function(peer)
    assert(peer.raw:close(1000))
    peer:take()
    lu.assertEquals(peer.raw:due(), 5000)
    peer:pass(4999)
    lu.assertFalse(peer:wants "close")
    peer:pass(1)
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(result(peer), "close:1006::false")
  end, { close_ms = 5000 })
end

-- case 15, CL-10: both Close frames are through, the peer does not end TCP
function T:test_case_15_no_end()
  each(function(peer, feed)
    feed(1000, "bye")
    peer:take()
    peer:pass(4999)
    lu.assertFalse(peer:wants "close")
    peer:pass(1)
    lu.assertEquals(result(peer), "close:1000:bye:true")
  end, { close_ms = 5000 })
end

-- case 16: a reset after both
function T:test_case_16_reset_at_the_end()
  each(function(peer, feed)
    feed(1000, "bye")
    peer.raw:lost(probe.base.err.codes.SYSTEM)
    lu.assertEquals(result(peer), "close:1000:bye:true")
  end)
end

-- case 18
function T:test_case_18_terminate()
  each(function(peer)
    peer.raw:terminate()
    lu.assertEquals({ peer:state().state, peer.raw:want() }, { 2, "close" })
    lu.assertEquals(result(peer), "close:1006::false")
    peer.raw:terminate()
    lu.assertEquals(peer.raw:want(), "")
  end)
  local client = conn.client()
  client.raw:terminate()
  lu.assertEquals(result(client), "close:1006::false")
end

-- close() answered by an end without a Close: not clean, no error
function T:test_end_instead_of_an_answer()
  each(function(peer)
    assert(peer.raw:close(1000))
    peer:take()
    lu.assertEquals(result(peer:eof()), "close:1006::false")
  end)
end

-- a violation after our close() is one
function T:test_violation_instead_of_an_answer()
  each(function(peer, _, mask)
    assert(peer.raw:close(1000))
    peer:feed(bytes.frame { op = 3, mask = mask, "" })
    lu.assertEquals(closes(peer), { { 1000, "" } }) -- CL-07
    lu.assertEquals(result(peer:eof()), "fault:OPCODE | close:1006::false")
  end)
end

-- CL-27: the library's own ends
function T:test_finish()
  each(function(peer, feed)
    peer.raw:finish(1001, "going")
    lu.assertEquals(closes(peer), { { 1001, "going" } })
    feed(1001)
    lu.assertEquals(result(peer:eof()), "close:1001::true")
  end)
  local client = conn.client()
  client.raw:finish(1001, "going")
  lu.assertEquals(result(client), "fault:ABORTED | close:1006::false")
end

-- ---- who ends the transport --------------------------------------------------

-- CL-08, CL-09, CL-11, CL-12: the server's direction ends as soon as its Close
-- is out; then it waits for the client's
function T:test_server_ends_first()
  local server, mask = conn.open "server"
  server.held = true
  server:feed(bytes.close(1000, "", mask))
  lu.assertEquals(server.raw:want(), "read write")
  server.held = false
  server:flush()
  lu.assertEquals(server.raw:want(), "read shutdown")
  server:eof()
  lu.assertEquals(server.raw:want(), "close")
end

-- ... also when the server was the first to close
function T:test_server_ends_first_after_its_own_close()
  local server, mask = conn.open "server"
  assert(server.raw:close(1000))
  server:take()
  lu.assertEquals(server.raw:want(), "read")
  server:feed(bytes.close(1000, "", mask))
  lu.assertEquals(server.raw:want(), "read shutdown")
end

-- CL-10: the client waits
function T:test_client_waits()
  local client = conn.open "client"
  client:feed(bytes.close(1000, ""))
  client:take()
  lu.assertEquals(client.raw:want(), "read")
  client:eof()
  lu.assertEquals(client.raw:want(), "close")
end

-- the peer's end before our answer is out: the answer goes out first
function T:test_answer_goes_out_before_the_end()
  each(function(peer, feed)
    peer.held = true
    feed(1000)
    peer:eof()
    lu.assertTrue(peer:wants "write")
    lu.assertFalse(peer:wants "close")
    peer.held = false
    lu.assertEquals(closes(peer), { { 1000, "" } })
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(result(peer), "close:1000::true")
  end)
end

-- after failing, either role ends its direction
function T:test_failed_connection_ends()
  each(function(peer, _, mask)
    peer:feed(bytes.frame { op = 3, mask = mask, "" })
    peer:take()
    lu.assertEquals(peer.raw:want(), "read shutdown")
  end)
end

-- ---- C1, C2, C3: peers that will not let go ----------------------------------

-- threats C1 (b): what comes while we wait is thrown away, up to 16 MiB
function T:test_discarded_bytes_are_bounded()
  local junk = ("x"):rep(1 << 20)
  each(function(peer, feed)
    feed(1000)
    peer:take()
    for _ = 1, 16 do peer.raw:feed(junk) end
    lu.assertFalse(peer:wants "close")
    peer.raw:feed "x"
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(result(peer), "close:1000::true")
  end)
end

-- the same bound before their Close: our close(), and they talk on
function T:test_talk_after_our_close_is_bounded_by_the_clock()
  each(function(peer, _, mask)
    assert(peer.raw:close(1000))
    local message = bytes.frame { op = "binary", mask = mask, ("x"):rep(100000) }
    for _ = 1, 49 do
      peer:feed(message)
      peer:pass(100)
    end
    lu.assertFalse(peer:wants "close")
    peer:feed(message):pass(100)
    lu.assertTrue(peer:wants "close")
    lu.assertTrue(peer.mem:state().used < 40000)
    lu.assertEquals(result(peer), "close:1006::false")
  end, { close_ms = 5000 })
end

-- threats C2: the Close cannot even be written
function T:test_close_that_cannot_be_written()
  each(function(peer)
    peer.held = true
    assert(peer.raw:send(("x"):rep(1000), "binary"))
    assert(peer.raw:close(1000))
    peer:pass(4999)
    lu.assertFalse(peer:wants "close")
    peer:pass(1)
    lu.assertTrue(peer:wants "close")
    lu.assertEquals(result(peer), "close:1006::false")
  end, { close_ms = 5000 })
end

-- the closing clock starts once and is not put off by traffic or by more calls
function T:test_closing_clock_starts_once()
  each(function(peer, feed)
    assert(peer.raw:close(1000))
    peer:pass(3000)
    feed(1000)
    assert(peer.raw:close(1000))
    peer:take()
    lu.assertEquals(peer.raw:due(), 5000)
  end, { close_ms = 5000 })
end

-- threats C3: no event after the end was asked for
function T:test_no_events_after_terminate()
  each(function(peer, _, mask)
    function peer.on.text(p) p.raw:terminate() end
    peer:feed(bytes.frame { mask = mask, "one" } .. bytes.frame { mask = mask, "two" })
    lu.assertEquals(result(peer), "text:one | close:1006::false")
  end)
end

-- W-51: messages in the same packet as a close() in a handler are not told
-- close() in the middle of a frame, or of its head: what comes is still frames
function T:test_close_within_a_frame()
  for _, role in ipairs(conn.ROLES) do
    local mask = role == "server" or nil
    local input = bytes.frame { op = "text", mask = mask, ("x"):rep(70000) } .. bytes.close(1000, "", mask)
    for _, cut in ipairs { 1, 2, 3, 7, 9, 10, 13, 14, 15, 100, 69999, 70001, #input - 1 } do
      local peer = conn.open(role):feed(input:sub(1, cut))
      peer:heard()
      lu.assertTrue(peer.raw:close(1000))
      peer:feed(input:sub(cut + 1))
      lu.assertEquals({ peer:state().fault, #peer:frames() }, { "OK", 1 }, cut)
      peer.raw:eof()
      peer:settle()
      lu.assertEquals(peer:heard(), "close:1000::true")
      peer:free()
    end
  end
end

function T:test_no_messages_after_close()
  each(function(peer, _, mask)
    function peer.on.text(p) assert(p.raw:close(1000)) end
    peer:feed(bytes.frame { mask = mask, "one" } .. bytes.frame { mask = mask, "two" } .. bytes.close(1000, "", mask))
    lu.assertEquals(result(peer:eof()), "text:one | close:1000::true")
  end)
end

-- CL-14: the state at each step
function T:test_states()
  each(function(peer, feed)
    lu.assertEquals(peer:state().state, 1)
    feed(1000)
    lu.assertEquals(peer:state().state, 2)
    peer:eof()
    lu.assertEquals(peer:state().state, 2)
    peer:drop()
    lu.assertEquals(peer:state().state, 3)
  end)
end

-- failing: once; while connecting by the handshake's means, or by none
function T:test_failing()
  each(function(peer, _, mask)
    peer:feed(bytes.frame { op = 3, mask = mask, "" })
    peer:pass(5000) -- another reason to fail
    lu.assertEquals(result(peer), "fault:OPCODE | close:1006::false")
  end, { close_ms = 5000 })
  local server = conn.server():feed "junk\r\n"
  lu.assertStrContains(server:take(), "HTTP/1.1 400 ")
  server:feed "more junk\r\n"
  lu.assertEquals(server:take(), "")
  lu.assertEquals(result(server:eof()), "fault:HEAD_LINE | close:1006::false")
  local client = conn.client():feed "junk\r\n"
  lu.assertEquals(result(client), "fault:HEAD_LINE | close:1006::false")
end

-- a Close that cannot be masked is not sent: the transport goes
function T:test_no_chance()
  local client = conn.open_client { random_fail = 2 }
  assert(client.raw:close(1000))
  lu.assertEquals(client.raw:want(), "close")
end

-- ---- two of them -------------------------------------------------------------

function T:test_pairs()
  local function ends(start)
    local client, server = conn.pair()
    start(client.raw, server.raw)
    conn.wind_up(client, server)
    local told = { client:heard(), server:heard() }
    client:free()
    server:free()
    return told
  end
  lu.assertEquals(ends(function(c) c:close(3000, "c") end), { "close:3000:c:true", "close:3000:c:true" })
  lu.assertEquals(ends(function(_, s) s:close(1001, "s") end), { "close:1001:s:true", "close:1001:s:true" })
  lu.assertEquals(ends(function(c) c:close() end), { "close:1005::true", "close:1005::true" })
  lu.assertEquals(ends(function(c, s) c:close(3000, "c") s:close(4000, "s") end),
    { "close:4000:s:true", "close:3000:c:true" })
  lu.assertEquals(ends(function(c) c:send("last words", "text") c:close(1000) end),
    { "close:1000::true", "text:last words | close:1000::true" })
  lu.assertEquals(ends(function(c) c:terminate() end),
    { "close:1006::false", "fault:LOST | close:1006::false" })
end

-- ---- memory ------------------------------------------------------------------

-- the reason may be lost for want of memory, the code is not
function T:test_no_memory()
  for _, role in ipairs(conn.ROLES) do
    for n = 1, 4 do
      local peer, mask = conn.open(role)
      peer.mem:fail(n)
      peer:feed(bytes.close(1000, "why", mask)):eof():settle()
      local told = peer:heard()
      lu.assertTrue(told == "close:1000:why:true" or told == "close:1000::true"
        or told == "fault:NOMEM | close:1006::false", told)
      peer:free()
    end
  end
end

return T
