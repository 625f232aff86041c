-- proto/input: bytes to frames to events, on an open connection, both roles.

local lu = require "luaunit"
local bytes = require "support.bytes"
local conn = require "support.conn"
local autobahn = require "vectors.autobahn"
local rfc = require "vectors.rfc6455"

local T = conn.class()

local OPS = { [0] = "continuation", "text", "binary", [8] = "close", [9] = "ping", [10] = "pong" }

-- Frames as the other side of that role sends them.
local function frames(role, list)
  local parts = {}
  for i, f in ipairs(list) do
    local copy = {}
    for k, v in pairs(f) do copy[k] = v end
    if copy.mask == nil then copy.mask = role == "server" or nil end
    parts[i] = bytes.frame(copy)
  end
  return table.concat(parts)
end

-- "text:hello" for each frame of the output; only the code of a Close.
local function answers(role, out)
  local list = {}
  local all, rest = bytes.frames(out)
  bytes.equals(rest, "", "output that is no whole frame")
  for i, f in ipairs(all) do
    lu.assertEquals(f.masked, role == "client") -- MK-01, MK-02
    lu.assertTrue(f.fin)
    lu.assertEquals(f.rsv, 0)
    local body = f.payload
    if f.op == 8 then body = #body >= 2 and tostring(string.unpack(">I2", body)) or "" end
    list[i] = OPS[f.op] .. ":" .. body
  end
  return list
end

-- An open peer that echoes.
local function echo(role, options)
  local peer = conn.open(role, options)
  function peer.on.text(self, data) assert(self.raw:send(data, "text")) end
  function peer.on.binary(self, data) assert(self.raw:send(data, "binary")) end
  return peer
end

-- For every role: what `input(role)` makes of an open peer, at every split.
local function everywhere(list, options, expected)
  for _, role in ipairs(conn.ROLES) do
    local events, out = conn.every_split(function() return echo(role, options) end, frames(role, list))
    if expected.events then lu.assertEquals(events, expected.events) end
    if expected.answers then lu.assertEquals(answers(role, out), expected.answers) end
  end
end

-- ---- vectors ---------------------------------------------------------------

-- FR-01, FR-09, MK-08: RFC 6455 5.7
function T:test_rfc_frames()
  for _, row in ipairs(rfc) do
    local role = row[3] == "server" and "client" or "server"
    local input = bytes.unhex(row[2]) .. (row[5] or "")
    local events = conn.every_split(function() return conn.open(role) end, input, row[1])
    lu.assertEquals(events, row[4])
  end
end

-- The cases of sections 1 to 7, whole, chopped and, when short, cut anywhere.
local function run_case(role, row)
  local input = frames(role, row[2])
  local function check(out, how)
    local got = answers(role, out)
    local what = ("%s %s %s"):format(role, row[1], how)
    lu.assertEquals(#got, #row[3], what .. ": number of answers")
    for i, want in ipairs(row[3]) do bytes.equals(got[i], want, what) end
  end
  if #input <= 120 then
    local _, out = conn.every_split(function() return echo(role) end, input, row[1])
    check(out, "cut anywhere")
    return
  end
  for _, size in ipairs { #input, row.chop or 997 } do
    local peer = echo(role)
    for piece in bytes.pieces(input, size) do peer:feed(piece) end
    check(peer:take(), "in pieces of " .. size)
    peer:free()
  end
end

for _, role in ipairs(conn.ROLES) do
  for section = 1, 7 do
    T[("test_conformance_%d_%s"):format(section, role)] = function()
      local n = 0
      for _, row in ipairs(autobahn) do
        local number = row[1]:match "^close" and 7 or tonumber(row[1]:match "^%d")
        if number == section then
          n = n + 1
          run_case(role, row)
        end
      end
      lu.assertTrue(n > 0)
    end
  end
end

-- threats L4, I3: the same without limits
function T:test_conformance_without_limits()
  for _, role in ipairs(conn.ROLES) do
    for _, row in ipairs(autobahn) do
      local peer = echo(role, { payload_max = -1, fragments_max = -1, buffered_max = -1,
        high_water = -1, low_water = -1 })
      peer:feed(frames(role, row[2]))
      local got = answers(role, peer:take())
      lu.assertEquals(#got, #row[3], row[1])
      for i, want in ipairs(row[3]) do bytes.equals(got[i], want, row[1]) end
      peer:free()
    end
  end
end

-- ---- heads that are refused ------------------------------------------------

-- FR-03, FR-04, FR-06, FR-08, FR-14, FG-06, CT-01, MK-03, MK-04, threats L1,
-- L5: by the byte that shows it.  {hex as a client sends it (mask bit set), or
-- as a server does, error, close code}; the last byte is the one.
local HEADS = {
  { "server", "c1", "RSV" }, { "server", "a1", "RSV" }, { "server", "91", "RSV" }, { "server", "f1", "RSV" },
  { "client", "c1", "RSV" }, { "client", "a2", "RSV" }, { "client", "9a", "RSV" }, { "client", "c8", "RSV" },
  { "server", "83", "OPCODE" }, { "server", "07", "OPCODE" }, { "server", "8b", "OPCODE" },
  { "client", "8f", "OPCODE" }, { "client", "04", "OPCODE" },
  { "server", "08", "CONTROL_CUT" }, { "server", "09", "CONTROL_CUT" }, { "client", "0a", "CONTROL_CUT" },
  { "server", "81 05", "UNMASKED" }, { "server", "88 00", "UNMASKED" }, { "server", "82 7f", "UNMASKED" },
  { "client", "81 85", "MASKED" }, { "client", "89 80", "MASKED" }, { "client", "82 ff", "MASKED" },
  { "server", "89 fe", "CONTROL_LONG" }, { "server", "89 ff", "CONTROL_LONG" }, { "client", "8a 7e", "CONTROL_LONG" },
  { "client", "88 7f", "CONTROL_LONG" },
  { "server", "82 ff 80", "LENGTH_TOP" }, { "client", "82 7f 80", "LENGTH_TOP" },
  { "client", "82 7f ff", "LENGTH_TOP" },
  { "server", "82 fe 00 05", "LENGTH_LONG" }, { "client", "82 7e 00 7d", "LENGTH_LONG" },
  { "client", "82 7f 00 00 00 00 00 00 ff ff", "LENGTH_LONG" },
  { "server", "82 ff 00 00 00 00 00 00 00 80", "LENGTH_LONG" },
}

function T:test_bad_heads_fail_at_their_first_bad_byte()
  for _, row in ipairs(HEADS) do
    local role, input, err = row[1], bytes.unhex(row[2]), row[3]
    local what = role .. " " .. row[2]
    local peer = conn.open(role)
    peer:feed(input:sub(1, -2))
    lu.assertEquals(peer:state().fault, "OK", what)
    peer:feed(input:sub(-1))
    lu.assertEquals(peer:state().fault, err, what)
    lu.assertEquals(answers(role, peer:take()), { "close:1002" }, what)
    lu.assertTrue(peer:wants "shutdown", what)
    peer:free()
    conn.every_split(function() return conn.open(role) end, input .. "trailing", what)
  end
end

-- threats L2, I2: all lengths around the powers of two against a model
function T:test_length_model()
  local function model(length, limit)
    if length < 0 then return "LENGTH_TOP" end
    if limit >= 0 and length > limit then return "TOOBIG" end
    return "OK"
  end
  for _, role in ipairs(conn.ROLES) do
    for _, limit in ipairs { 1, 125, 65535, (1 << 31) - 1, 1 << 32, 1 << 53, -1 } do
      for _, power in ipairs { 7, 16, 31, 32, 53, 62, 63 } do
        for delta = -1, 1 do
          local length = (1 << power) + delta
          local wide = length >= 0 and length <= 125 and 7 or length >= 0 and length <= 65535 and 16 or 64
          for _, op in ipairs { "text", "binary" } do
            local peer = conn.open(role, { payload_max = limit })
            local used = peer.mem:state().used
            local head = bytes.frame { op = op, length = length, wide = wide, mask = role == "server" or nil }
            peer:feed(head)
            local what = ("%s limit %d length %x"):format(role, limit, length)
            lu.assertEquals(peer:state().fault, model(length, limit), what)
            if peer:state().fault == "OK" then
              lu.assertTrue(peer.mem:state().used - used <= 64, what) -- I1: nothing for its bytes
              peer:feed "x"
              lu.assertTrue(peer.mem:state().used - used <= 16384 + 64, what)
            end
            peer:free()
          end
        end
      end
    end
  end
end

-- ---- fragments, control frames in between ----------------------------------

-- FG-02, FG-05, FG-09, FG-10, FR-12, CT-03
function T:test_fragments_with_control_frames_between()
  everywhere({
    { op = "binary", fin = false, "ab" }, { op = "ping", "1" }, { op = "continuation", fin = false, "" },
    { op = "pong", "2" }, { op = "continuation", "cd" }, { op = "text", "next" },
  }, nil, { events = "ping:1 | pong:2 | binary:abcd | text:next",
    answers = { "pong:1", "binary:abcd", "text:next" } })
end

-- FG-11: a Close inside a message is answered, the half message dropped
function T:test_close_inside_a_message()
  everywhere({ { op = "text", fin = false, "half" }, { op = "close", "\x03\xe8" } }, nil,
    { answers = { "close:1000" } })
end

-- LM-02, FG-14: at n-1, n, n+1
function T:test_limits()
  for _, row in ipairs { { 9, "OK" }, { 10, "OK" }, { 11, "TOOBIG" } } do
    local n, fault = row[1], row[2]
    for cut = 0, n do
      for _, role in ipairs(conn.ROLES) do
        local peer = conn.open(role, { payload_max = 10 })
        peer:feed(frames(role, { { op = "binary", fin = false, ("x"):rep(cut) },
          { op = "continuation", ("x"):rep(n - cut) } }))
        lu.assertEquals(peer:state().fault, fault)
        if fault == "OK" then lu.assertEquals(peer:heard(), "binary:" .. ("x"):rep(n))
        else lu.assertEquals(answers(role, peer:take()), { "close:1009" }) end
        peer:free()
      end
    end
    everywhere({ { op = "text", ("x"):rep(n) } }, { payload_max = 10 },
      { answers = { fault == "OK" and "text:" .. ("x"):rep(n) or "close:1009" } })
  end
  for n = 2, 4 do
    local list = { { op = "text", fin = false, "a" } }
    for i = 2, n do list[i] = { op = "continuation", fin = i == n, "" } end
    everywhere(list, { fragments_max = 3 }, { answers = { n <= 3 and "text:a" or "close:1008" } })
  end
end

-- threats F1: endless empty continuations, pings between them
function T:test_endless_fragments()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { fragments_max = 4096 })
    peer:feed(frames(role, { { op = "text", fin = false, "" } }))
    local used = peer.mem:state().used
    local flood = frames(role, { { op = "continuation", fin = false, "" }, { op = "ping", "" } }):rep(1000)
    for _ = 1, 4 do peer:feed(flood) end
    lu.assertEquals(peer:state().fault, "OK")
    lu.assertTrue(peer.mem:state().used - used <= 65536)
    peer:feed(flood)
    lu.assertEquals(peer:state().fault, "FRAGMENTS")
  end
end

-- threats F4: fragments of one byte, each a read of its own
function T:test_one_byte_fragments()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { fragments_max = 1 << 20 })
    local calls = peer.mem:state().calls
    peer:feed(frames(role, { { op = "binary", fin = false, "z" } }))
    local more = frames(role, { { op = "continuation", fin = false, "z" } })
    for _ = 2, 1 << 15 do peer.raw:feed(more) end
    peer:feed(frames(role, { { op = "continuation", "z" } }))
    bytes.equals(peer:heard(), "binary:" .. ("z"):rep((1 << 15) + 1))
    lu.assertTrue(peer.mem:state().calls - calls < 40)
  end
end

-- ---- memory ----------------------------------------------------------------

-- threats M1: a head that claims the limit costs a few bytes, its first byte 16 KiB,
-- and then at most 16 times what came
function T:test_claims_are_not_believed()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { payload_max = 1 << 30 })
    local used = peer.mem:state().used
    peer:feed(bytes.frame { op = "binary", length = (1 << 30) - 1, mask = role == "server" or nil })
    local head = peer.mem:state().used - used -- what keeps the pieces' order
    lu.assertTrue(head <= 64, head)
    peer:feed "x"
    lu.assertEquals(peer.mem:state().used, used + head + 16384)
    peer:feed(("x"):rep(16384))
    local more = peer.mem:state().used - used - head
    lu.assertTrue(more > 16384 and more <= 16 * 16385, more)
  end
end

-- threats F3: a message dribbled byte by byte costs the memory of the whole
function T:test_dribbled_message()
  local payload = bytes.random(65536)
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    local used, top = peer.mem:state().used, 0
    for piece in bytes.pieces(frames(role, { { op = "binary", payload } })) do
      peer.raw:feed(piece)
      top = math.max(top, peer.mem:state().used)
    end
    peer:pull()
    lu.assertTrue(top - used <= 65536 + 64, top - used)
    bytes.equals(peer:heard(), "binary:" .. payload)
    peer:feed(frames(role, { { op = "pong", "" } })) -- lets go of the message
    lu.assertEquals(peer.mem:state().used, used)
  end
end

-- the plain path: whole frames are views, they allocate nothing
function T:test_whole_frames_allocate_nothing()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    local calls = peer.mem:state().calls
    local three = frames(role, { { op = "text", "hello" }, { op = "binary", ("x"):rep(70000) }, { op = "pong", "" } })
    for _ = 1, 100 do peer:feed(three) end
    lu.assertEquals(#peer.events, 300)
    lu.assertEquals(peer.mem:state().calls, calls)
  end
end

-- no memory for what is cut: 1011, and the end
function T:test_no_memory()
  for _, role in ipairs(conn.ROLES) do
    for _, f in ipairs { { op = "binary", ("x"):rep(100) }, { op = "ping", "hello" } } do
      local peer = conn.open(role)
      peer.mem:fail(1)
      peer:feed(frames(role, { f }):sub(1, -2))
      lu.assertEquals(peer:state().fault, "NOMEM")
      lu.assertEquals(answers(role, peer:take()), { "close:1011" })
      peer:free()
    end
  end
  local peer = conn.open_server()
  peer:feed(bytes.frame { op = "binary", mask = true, length = 100000, "" })
  peer.mem:fail(1)
  lu.assertNil(peer.raw:direct "x") -- then feed meets it
  lu.assertEquals(peer:state().fault, "OK")
end

-- what is no frame goes other ways: the content of a request
function T:test_content_goes_by()
  local server = conn.peer { role = "server" }
  server:feed(conn.head { "POST / HTTP/1.1", "Host: h", "Content-Length: 5" } .. "he"):feed "llo"
  lu.assertEquals(server:heard(), "request:hello")
end

-- ---- masking ---------------------------------------------------------------

-- MK-07, MK-09, MK-10: any key, any length, any pieces
function T:test_masks()
  for _, key in ipairs { "\0\0\0\0", "\xff\xff\xff\xff", "\1\2\3\4", "\0\0\0\1" } do
    local parts, want = {}, {}
    for n = 0, 70 do
      local payload = bytes.random(n)
      parts[#parts + 1] = bytes.frame { op = "binary", mask = key, payload }
      want[#want + 1] = "binary:" .. payload
    end
    local peer = conn.open_server()
    for _, piece in ipairs(bytes.cuts(table.concat(parts), 40)) do peer:feed(piece) end
    bytes.equals(peer:heard(), table.concat(want, " | "))
  end
end

-- ---- pings -----------------------------------------------------------------

-- CT-02, CT-04, CT-06, CT-08, U8-10
function T:test_pings_and_pongs()
  everywhere({ { op = "ping", "" }, { op = "ping", "\xff\0" }, { op = "pong", "\xfe" },
    { op = "ping", ("p"):rep(125) } },
    nil, { events = "ping | ping:\xff\0 | pong:\xfe | ping:" .. ("p"):rep(125),
      answers = { "pong:", "pong:\xff\0", "pong:" .. ("p"):rep(125) } })
  everywhere({ { op = "close", "" }, { op = "ping", "late" } }, nil, { answers = { "close:" } })
end

-- a pong to our ping tells how far away it is
function T:test_latency()
  local peer, mask = conn.open "server"
  assert(peer.raw:control("a", "ping"))
  peer:pass(30):feed(bytes.frame { op = "pong", mask = mask, "a" })
  lu.assertEquals(peer:state().latency, 30)
end

function T:test_auto_pong_can_be_off()
  everywhere({ { op = "ping", "x" } }, { auto_pong = 0 }, { events = "ping:x", answers = {} })
end

-- CT-09: asked between our Close and theirs, a ping is answered, not told
function T:test_ping_after_our_close()
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role)
    assert(peer.raw:close(1000))
    peer:feed(frames(role, { { op = "ping", "still" }, { op = "text", "not told" }, { op = "close", "\x03\xe8" } }))
    lu.assertEquals(answers(role, peer:take()), { "close:1000", "pong:still" })
    lu.assertEquals(peer:heard(), "")
  end
end

-- CT-05, CT-10, I5, threats P1: a flood of pings and no reader
function T:test_ping_flood()
  local function number(i)
    return ("%d:"):format(i) .. ("p"):rep(100)
  end
  for _, role in ipairs(conn.ROLES) do
    local peer = conn.open(role, { high_water = 1000, low_water = 100 })
    peer.held = true
    local flood, n = {}, 2000
    for i = 1, n do flood[i] = frames(role, { { op = "ping", number(i) } }) end
    local used = peer.mem:state().used
    peer:feed(table.concat(flood))
    lu.assertTrue(peer.mem:state().used - used < 40000)
    lu.assertTrue(peer:state().output < 1200)
    if role == "server" then
      lu.assertFalse(peer:wants "read") -- I5: it stops reading
      lu.assertTrue(#peer.rest > 0)
    else
      lu.assertEquals(#peer.rest, 0)
    end
    -- the reader is back: what had been queued, and the newest ping's
    peer.held = false
    peer:flush()
    peer:feed()
    local list = answers(role, peer:take())
    lu.assertEquals(list[1], "pong:" .. number(1))
    lu.assertEquals(list[#list], "pong:" .. number(n))
  end
end

-- ---- reading straight into the message -------------------------------------

function T:test_room_and_commit()
  for _, role in ipairs(conn.ROLES) do
    for _, op in ipairs { "text", "binary" } do
      local payload = ("0123456789abcdef"):rep(8192)
      local input = frames(role, { { op = op, payload }, { op = "pong", "end" } })
      local peer = conn.open(role)
      peer:feed(input:sub(1, 100))
      local at, direct = 100, 0
      while at < #input do
        local n = peer.raw:direct(input:sub(at + 1, at + 5000))
        if n then
          direct = direct + n
          peer:pull()
        else
          n = math.min(3, #input - at)
          peer:feed(input:sub(at + 1, at + n))
        end
        at = at + n
      end
      lu.assertTrue(direct > 100000, direct)
      bytes.equals(peer:heard(), op .. ":" .. payload .. " | pong:end")
      lu.assertEquals(peer:state().input.bytes - #conn[role == "server" and "request" or "response"](), #input)
      peer:free()
    end
  end
end

function T:test_no_room_when_feed_is_better()
  local peer = conn.open_server()
  lu.assertNil(peer.raw:direct "x")                                        -- no frame
  peer:feed(bytes.frame { op = "binary", mask = true, length = 100, "" })
  lu.assertNil(peer.raw:direct "x")                                        -- little left
  peer:feed(("x"):rep(100) .. bytes.frame { op = "binary", mask = true, length = 100000, "" })
  lu.assertEquals(peer.raw:direct "x", 1)
  assert(peer.raw:close(1000))
  lu.assertNil(peer.raw:direct "x")                                        -- nobody wants it
end

function T:test_direct_text_fails_fast()
  local peer = conn.open_server()
  peer:feed(bytes.frame { op = "text", mask = "\0\0\0\0", length = 100000, "" })
  lu.assertEquals(peer.raw:direct "ok \xc3\x28 more", 10)
  lu.assertEquals(peer:state().fault, "UTF8")
end

-- ---- after the end ---------------------------------------------------------

-- CL-23, CL-29: what follows a failure, or a Close, is not looked at
function T:test_deaf_after_failure()
  everywhere({ { op = "text", "\xff" }, { op = "text", "late" }, { op = "ping", "" }, { op = "close", "" } }, nil,
    { events = "", answers = { "close:1007" } })
  everywhere({ { op = "close", "\x03\xe8" }, { op = "text", "late" }, { op = 7, "" } }, nil,
    { events = "", answers = { "close:1000" } })
end

-- CL-31: data after our own Close is read and dropped
function T:test_data_after_our_close()
  for _, role in ipairs(conn.ROLES) do
    local input = frames(role, { { op = "continuation", "f2" }, { op = "text", ("x"):rep(300) },
      { op = "binary", "" }, { op = "close", "\x0b\xb8bye" } })
    local events, out = conn.every_split(function()
      local peer = conn.open(role)
      peer:feed(frames(role, { { op = "text", fin = false, "f1" } }))
      assert(peer.raw:close(1000, "mine"))
      return peer
    end, input)
    lu.assertEquals(events, "")
    lu.assertEquals(answers(role, out), { "close:1000" })
  end
end

function T:test_counts()
  local peer = conn.open_server()
  local before = peer:state().input
  local input = frames("server", { { op = "text", fin = false, "a" }, { op = "ping", "" }, { op = "continuation", "b" },
    { op = "binary", "c" } })
  peer:feed(input)
  local after = peer:state().input
  lu.assertEquals({ after.bytes - before.bytes, after.frames - before.frames, after.messages - before.messages },
    { #input, 4, 2 })
end

-- The rest of a compressed message is no frame a transport may write into.
function T.test_a_compressed_message_is_not_read_directly()
  local peer, mask = conn.server { pmd = {} }, "\x37\xfa\x21\x3d"
  peer:feed(conn.request "Sec-WebSocket-Extensions: permessage-deflate")
  peer:heard()
  local frame = bytes.frame { op = 1, rsv = 4, mask = mask, length = 100000, payload = "" }
  peer:feed(frame)
  lu.assertNil(peer.raw:direct "x")
  peer:feed(bytes.mask(bytes.unhex "f248cdc9c90700", mask))
  lu.assertNil(peer.raw:direct "x")
  lu.assertEquals({ peer:heard(), peer:state().fault, peer:state().pmd[2] }, { "", "OK", 5 })
end

return T
