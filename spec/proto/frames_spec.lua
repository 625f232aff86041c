-- proto/input, output, closing in frame mode: every frame is an event, and
-- nothing is done by itself.

local lu = require "luaunit"
local bytes = require "support.bytes"
local conn = require "support.conn"

local T = conn.class()

local function open(role, options)
  options = options or {}
  options.frames = 1
  return conn.open(role, options)
end

-- Frames as the other side of that role sends them.
local function frames(role, list)
  local parts = {}
  for i, f in ipairs(list) do
    f.mask = role == "server" or nil
    parts[i] = bytes.frame(f)
  end
  return table.concat(parts)
end

local function everywhere(list, expected, options)
  for _, role in ipairs(conn.ROLES) do
    local events, out = conn.every_split(function() return open(role, options) end, frames(role, list))
    lu.assertEquals({ events, out }, { expected, "" }, role)
  end
end

-- first byte of each: FIN and opcode
function T:test_frames_as_they_are()
  everywhere({ { op = "text", fin = false, "Hel" }, { op = "ping", "p" }, { op = "continuation", fin = false, "" },
    { op = "pong", "q" }, { op = "continuation", "lo" }, { op = "binary", "\xff" }, { op = "text", "" } },
    "frame:Hel:1:0 | frame:p:137:0 | frame:0:0 | frame:q:138:0 | frame:lo:128:0 | frame:\xff:130:0 | frame:129:0")
end

function T:test_no_look_at_utf8_or_order()
  everywhere({ { op = "continuation", "lost" }, { op = "text", fin = false, "\xff" },
    { op = "binary", fin = false, "b" }, { op = "text", "\xe2\x82" } },
    "frame:lost:128:0 | frame:\xff:1:0 | frame:b:2:0 | frame:\xe2\x82:129:0")
end

function T:test_large_frames()
  for _, size in ipairs { 125, 126, 65535, 65536, 100000 } do
    local data = bytes.random(size)
    for _, role in ipairs(conn.ROLES) do
      local input = frames(role, { { op = "binary", fin = false, data }, { op = "continuation", data } })
      for _, cut in ipairs { #input, 1, size // 2, size + 20 } do
        local peer, got = open(role), {}
        function peer.on.frame(_, payload) got[#got + 1] = payload end
        peer:feed(input:sub(1, cut)):feed(input:sub(cut + 1))
        lu.assertEquals(#got, 2)
        bytes.equals(got[1], data)
        bytes.equals(got[2], data)
        peer:free()
      end
    end
  end
end

-- What a frame is, is checked as ever.
function T:test_what_is_no_frame()
  local cases = {
    { { op = "text", rsv = 4, "x" }, "RSV" }, { { op = 3, "x" }, "OPCODE" }, { { op = 11, "x" }, "OPCODE" },
    { { op = "ping", fin = false, "x" }, "CONTROL_CUT" }, { { op = "ping", ("x"):rep(126) }, "CONTROL_LONG" },
    { { op = "text", wide = 16, "x" }, "LENGTH_LONG" }, { { op = "close", "x" }, "CLOSE_BODY" },
  }
  for _, case in ipairs(cases) do
    for _, role in ipairs(conn.ROLES) do
      local peer = open(role):feed(frames(role, { case[1] }))
      lu.assertEquals({ peer:state().fault, peer:heard() }, { case[2], "fault:" .. case[2] })
      lu.assertEquals(peer:frames()[1].op, 8)
      peer:free()
    end
  end
  local server = open "server"
  server:feed(bytes.frame { op = "text", "x" })
  lu.assertEquals({ server:heard(), server:state().fault }, { "fault:UNMASKED", "UNMASKED" })
  server.raw:eof()
  server:settle()
  lu.assertEquals(server:heard(), "close:1006::false") -- the fault once
end

function T:test_each_frame_has_the_limit()
  for _, role in ipairs(conn.ROLES) do
    local peer = open(role, { payload_max = 10 })
    peer:feed(frames(role, { { op = "text", fin = false, ("x"):rep(10) },
      { op = "continuation", fin = false, ("y"):rep(10) } }))
    lu.assertEquals(peer:heard(), "frame:xxxxxxxxxx:1:0 | frame:yyyyyyyyyy:0:0")
    peer:feed(frames(role, { { op = "continuation", length = 11, "" } }))
    lu.assertEquals(peer:state().fault, "TOOBIG")
    peer:free()
  end
end

-- ---- closing ------------------------------------------------------------------------

function T:test_a_close_is_told_and_not_answered()
  for _, role in ipairs(conn.ROLES) do
    local peer = open(role):feed(frames(role, { { op = "close", "\3\232bye" }, { op = "text", "late" } }))
    lu.assertEquals({ peer:heard(), peer:take(), peer:state().state }, { "frame:bye:136:1000", "", 1 })
    lu.assertTrue(peer.raw:send_frame("\3\232", 8))
    lu.assertEquals(peer:frames()[1].payload, "\3\232")
    lu.assertEquals({ peer:state().state, peer:wants "shutdown" }, { 2, role == "server" })
    peer.raw:eof()
    lu.assertTrue(peer:wants "close")
    peer:drop()
    lu.assertEquals(peer:heard(), "close:1000:bye:true")
    peer:free()
  end
end

function T:test_our_close_first()
  for _, role in ipairs(conn.ROLES) do
    local peer = open(role, { close_ms = 1000 })
    lu.assertTrue(peer.raw:send_frame("", 8))
    lu.assertEquals(peer:frames()[1].payload, "")
    lu.assertEquals({ peer.raw:send_frame("x", 1) }, { nil, "STATE" })
    -- what was on its way is still told
    peer:feed(frames(role, { { op = "text", "on its way" }, { op = "ping", "too" }, { op = "close", "" } }))
    lu.assertEquals(peer:heard(), "frame:on its way:129:0 | frame:too:137:0 | frame:136:1005")
    lu.assertEquals({ peer:take(), peer:wants "shutdown" }, { "", role == "server" })
    peer.raw:eof()
    peer:drop()
    lu.assertEquals(peer:heard(), "close:1005::true")
    peer:free()
    peer = open(role, { close_ms = 1000 })
    peer.raw:send_frame("", 8)
    peer:pass(1000)
    lu.assertTrue(peer:wants "close")
    peer:free()
  end
end

-- close() in the middle of a frame that comes: the rest of it is dropped, what
-- comes behind it is told.
function T:test_close_within_a_frame()
  for _, role in ipairs(conn.ROLES) do
    local input = frames(role, { { op = "text", ("x"):rep(200) }, { op = "text", "y" }, { op = "close", "" } })
    for cut = 1, 205 do
      local peer = open(role):feed(input:sub(1, cut))
      peer.raw:close(1000)
      peer:feed(input:sub(cut + 1))
      lu.assertStrContains(peer:heard(), "frame:y:129:0 | frame:136:1005")
      lu.assertEquals(#peer:frames(), 1)
      peer:free()
    end
    local peer = open(role):feed(input:sub(1, 100))
    peer.raw:send_frame("", 8)
    peer:feed(input:sub(101))
    lu.assertEquals(peer:heard(), "frame:" .. ("x"):rep(200) .. ":129:0 | frame:y:129:0 | frame:136:1005")
    peer:free()
  end
end

function T:test_an_unanswered_close_ends_with_the_transport()
  local peer = open "client"
  peer:feed(frames("client", { { op = "close", "\3\233" } }))
  peer.raw:eof()
  lu.assertTrue(peer:wants "close")
  peer:drop()
  lu.assertEquals(peer:heard(), "frame:136:1001 | close:1001::false")
end

-- ---- sending ---------------------------------------------------------------------------

function T:test_any_frame_goes_out()
  for _, role in ipairs(conn.ROLES) do
    local peer = open(role)
    for _, f in ipairs { { 1, true, "\xff" }, { 0, true, "a" }, { 9, false, "p" }, { 0, false, "b" },
      { 2, false, "" }, { 10, false, ("x"):rep(125) } } do
      lu.assertTrue(peer.raw:send_frame(f[3], f[1], f[2]))
    end
    local list = {}
    for i, f in ipairs(peer:frames()) do
      list[i] = ("%d%s:%d"):format(f.op, f.fin and "" or "+", #f.payload)
      lu.assertEquals(f.masked, role == "client")
    end
    lu.assertEquals(table.concat(list, " "), "1+:1 0+:1 9:1 0:1 2:0 10:125")
    peer:free()
  end
end

function T:test_frames_that_do_not_go_out()
  local peer = open("server", { buffered_max = 100 })
  lu.assertEquals({ peer.raw:send_frame(("x"):rep(126), 9) }, { nil, "ARGUMENT" })
  lu.assertEquals({ peer.raw:send_frame("x", 10, true) }, { nil, "ARGUMENT" })
  lu.assertEquals({ peer.raw:send_frame(("x"):rep(101), 2) }, { nil, "BUFFER" })
  lu.assertEquals(peer:take(), "")
  peer:free()
  lu.assertEquals({ conn.open_server().raw:send_frame("x", 1) }, { nil, "STATE" })
end

-- A keep-alive ping's pong is a frame, too, and tells the latency.
function T:test_keep_alive()
  local peer = open("client", { ping_ms = 1000, pong_ms = 500 })
  peer:pass(1000)
  local ping = peer:frames()[1]
  lu.assertEquals(ping.op, 9)
  peer.now = peer.now + 20
  peer.raw:clock(peer.now)
  peer:feed(frames("client", { { op = "pong", ping.payload } }))
  lu.assertEquals({ peer:heard(), peer:state().latency }, { "frame:" .. ping.payload .. ":138:0", 20 })
end

-- ---- memory -------------------------------------------------------------------------------

function T:test_whole_frames_allocate_nothing()
  local peer = open "server"
  peer:feed(frames("server", { { op = "text", "warm" } }))
  local before = peer.mem:state().calls
  peer:feed(frames("server", { { op = "text", fin = false, "a" }, { op = "ping", "b" }, { op = "continuation", "c" } }))
  lu.assertEquals(peer.mem:state().calls, before)
end

return T
