-- spec/proto/chunks_spec.lua -- messages handed out in parts: with `streaming`
-- what did not come whole is told as chunks, and what is told is checked as ever.

local lu = require "luaunit"
local bytes = require "support.bytes"
local conn = require "support.conn"

local T = conn.class()

local PMD = "Sec-WebSocket-Extensions: permessage-deflate"

local function with(options)
  local t = { streaming = 1 }
  for k, v in pairs(options or {}) do t[k] = v end
  return t
end

-- An open peer with permessage-deflate.
local function open_packed(role, options)
  local peer
  if role == "client" then
    options.pmd.client_window = 255 -- whatever the server says
    peer = conn.client(options)
    peer:flush()
    peer:feed(conn.response(PMD))
  else
    peer = conn.server(options):feed(conn.request(PMD))
  end
  peer:heard()
  peer:take()
  return peer
end

-- An open peer that hands out parts, plain or with permessage-deflate, and the
-- mask its other side uses.
local function open(role, options, packed)
  local o = with(options)
  if not packed then return conn.open(role, o) end
  o.pmd = {}
  return open_packed(role, o), role == "server" and "\x37\xfa\x21\x3d" or nil
end

-- The far side of one that packs: a connection that sends.
local function sender(role)
  return open_packed(role, { buffered_max = 1 << 30, pmd = { threshold = 0, threshold_kept = 0 } })
end

local function frame(op, payload, mask, fin, rsv)
  return bytes.frame { op = op, payload = payload, mask = mask, fin = fin, rsv = rsv }
end

-- Feeds pieces and gathers messages: {kind, text, parts} each; other events as
-- strings.
local function gather(peer, pieces)
  local list, parts, n = {}, {}, 0
  local function note(name, data, kind, final)
    if name == "text" or name == "binary" then data, kind, final, name = data, name, true, "chunk" end
    if name ~= "chunk" then
      list[#list + 1] = name == "fault" and "fault:" .. data or name
      return
    end
    assert(#data <= 65536, #data)
    assert(data ~= "" or final, "an empty part in the middle")
    n = n + 1
    parts[#parts + 1] = data
    if final then
      list[#list + 1] = { kind, table.concat(parts), n }
      parts, n = {}, 0
    end
  end
  for _, piece in ipairs(pieces) do
    local rest = piece
    repeat
      local taken = peer.raw:feed(rest)
      rest = rest:sub(taken + 1)
      local any = taken > 0
      while true do
        local name, data, kind, final = peer.raw:next()
        if not name then break end
        any = true
        note(name, data, kind, final)
      end
    until not any
  end
  return list, table.concat(parts)
end

-- ---- plain ------------------------------------------------------------------------

function T:test_whole_messages_are_told_as_ever()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    peer:feed(frame(1, "hello", mask) .. frame(2, "\0", mask) .. frame(1, "", mask))
    lu.assertEquals(peer:heard(), "text:hello | binary:\0 | text:")
  end
end

function T:test_fragments_are_told_as_they_come()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    peer:feed(frame(1, "one", mask, false))
    lu.assertEquals(peer:heard(), "chunk:one:text:false")
    peer:feed(frame(9, "p", mask) .. frame(0, "two", mask, false) .. frame(0, "", mask, false))
    lu.assertEquals(peer:heard(), "ping:p | chunk:two:text:false")
    peer:feed(frame(0, "", mask))
    lu.assertEquals(peer:heard(), "chunk:text:true")
    peer:feed(frame(2, "x", mask, false) .. frame(0, "y", mask) .. frame(1, "z", mask))
    lu.assertEquals(peer:heard(), "chunk:x:binary:false | chunk:y:binary:true | text:z")
    lu.assertEquals(peer:state().messages_in or 3, 3)
  end
end

-- A frame that is cut: what came of it.
function T:test_a_frame_in_pieces()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    local all = frame(2, ("abcdefg"):rep(40), mask)
    peer:feed(all:sub(1, 40))
    local first = peer:heard():match "^chunk:(%a+):binary:false$"
    peer:feed(all:sub(41, 42))
    local second = peer:heard():match "^chunk:(%a%a):binary:false$"
    peer:feed(all:sub(43))
    local third = peer:heard():match "^chunk:(%a+):binary:true$"
    lu.assertEquals(first .. second .. third, ("abcdefg"):rep(40))
  end
end

-- Whatever the pieces: the same messages, the same other events.
function T:test_any_pieces_any_fragments()
  for _, role in ipairs(conn.ROLES) do
    local _, mask = open(role)
    local text = ("Gänse, €uro, 𝄞"):rep(30)
    local input = frame(1, text, mask) .. frame(2, text:sub(1, 101), mask, false) .. frame(10, "", mask)
      .. frame(0, text:sub(102), mask) .. frame(1, "", mask, false) .. frame(0, "", mask)
    local function expect(pieces)
      local peer = open(role)
      local list, rest = gather(peer, pieces)
      for _, m in ipairs(list) do if type(m) == "table" then m[3] = nil end end
      lu.assertEquals(list, { { "text", text }, "pong", { "binary", text }, { "text", "" } })
      lu.assertEquals(rest, "")
      peer:free()
    end
    expect { input }
    local single = {}
    for piece in bytes.pieces(input) do single[#single + 1] = piece end
    expect(single)
    for head, tail in bytes.splits(input) do expect { head, tail } end
    for _, most in ipairs { 3, 16, 200 } do expect(bytes.cuts(input, most)) end
  end
end

function T:test_large_frames_come_in_parts_of_64_KiB()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role, { payload_max = 1 << 30 })
    local payload = bytes.random(300000)
    local list = gather(peer, { frame(2, payload, mask):sub(1, -2), frame(2, payload, mask):sub(-1) })
    lu.assertEquals(list, { { "binary", payload, 6 } })
  end
end

-- ---- limits and UTF-8 ---------------------------------------------------------------

function T:test_utf8_fails_at_the_first_bad_byte()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    peer:feed(frame(1, "good \xe2\x82", mask, false))
    lu.assertEquals(peer:heard(), "chunk:good \xe2\x82:text:false")
    peer:feed(frame(0, "\xac fine", mask, false))
    lu.assertEquals(peer:heard(), "chunk:\xac fine:text:false")
    peer:feed(frame(0, "x\xffy", mask, false)) -- not handed out
    lu.assertEquals(peer:heard(), "")
    lu.assertEquals(peer:state().fault, "UTF8")
  end
end

function T:test_text_that_ends_in_a_character()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    peer:feed(frame(1, "a\xe2\x82", mask, false) .. frame(0, "", mask))
    lu.assertEquals(peer:heard(), "chunk:a\xe2\x82:text:false")
    lu.assertEquals(peer:state().fault, "UTF8")
  end
end

function T:test_payload_max_counts_all_parts()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role, { payload_max = 10 })
    peer:feed(frame(2, "12345", mask, false) .. frame(0, "67890", mask))
    lu.assertEquals(peer:heard(), "chunk:12345:binary:false | chunk:67890:binary:true")
    peer:feed(frame(2, "12345", mask, false) .. frame(0, "678901", mask))
    lu.assertEquals(peer:heard(), "chunk:12345:binary:false") -- the claim is enough
    lu.assertEquals(peer:state().fault, "TOOBIG")
  end
end

function T:test_fragments_max_and_order()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role, { fragments_max = 2 })
    peer:feed(frame(2, "a", mask, false) .. frame(0, "b", mask, false) .. frame(0, "c", mask))
    lu.assertEquals(peer:state().fault, "FRAGMENTS")
    peer, mask = open(role)
    peer:feed(frame(0, "b", mask))
    lu.assertEquals(peer:state().fault, "ORPHAN")
    peer, mask = open(role)
    peer:feed(frame(2, "a", mask, false) .. frame(1, "b", mask))
    lu.assertEquals(peer:state().fault, "INTERLEAVED")
  end
end

-- ---- memory ---------------------------------------------------------------------------

function T:test_nothing_is_kept()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role, { payload_max = 1 << 40 })
    local used = peer.mem:state().used
    peer:feed(bytes.frame { op = 2, length = 1 << 30, wide = 64, mask = mask or false, fin = false })
    local block = ("x"):rep(100000)
    for _ = 1, 20 do
      peer:feed(block)
      lu.assertTrue(#peer:heard() > 100000)
      lu.assertTrue(peer.mem:state().used - used <= 64)
    end
  end
end

-- ---- ends -------------------------------------------------------------------------------

function T:test_closing_in_the_middle()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    peer:feed(frame(2, "part", mask, false))
    peer:heard()
    assert(peer.raw:close(1000, ""))
    peer:feed(frame(0, "dropped", mask) .. frame(1, "dropped", mask))
    lu.assertEquals(peer:heard(), "")
    peer:feed(bytes.close(1000, "", mask))
    lu.assertEquals(peer:state().fault, "OK")
  end
end

function T:test_a_close_frame_or_the_end_in_the_middle()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    peer:feed(frame(1, "part", mask, false) .. bytes.close(1001, "", mask))
    lu.assertEquals(peer:heard(), "chunk:part:text:false")
    peer, mask = open(role)
    peer:feed(frame(1, "part", mask, false))
    peer:eof()
    lu.assertEquals(peer:state().fault, "LOST")
  end
end

function T:test_paused_between_parts()
  for _, role in ipairs(conn.ROLES) do
    local peer, mask = open(role)
    local all = frame(2, ("x"):rep(100), mask)
    peer:feed(all:sub(1, 50))
    peer:heard()
    peer.raw:pause(true)
    peer:feed(all:sub(51))
    lu.assertEquals(peer:heard(), "")
    peer.raw:pause(false)
    peer:feed()
    lu.assertStrMatches(peer:heard(), "chunk:x+:binary:true")
  end
end

-- ---- compressed ---------------------------------------------------------------------------

-- What a far side makes of messages, in parts of `size` (nil: whole).
local function packed(role, messages, size)
  local far = sender(role == "client" and "server" or "client")
  for _, m in ipairs(messages) do
    local kind, text = m[1], m[2]
    local at = 1
    if size then
      while #text - at + 1 > size do
        assert(far.raw:send(text:sub(at, at + size - 1), kind, true))
        at = at + size
      end
    end
    assert(far.raw:send(text:sub(at), kind))
  end
  return far:take()
end

function T:test_compressed_messages_in_any_pieces()
  local messages = { { "text", ("Gänse fließen "):rep(500) }, { "binary", "" }, { "binary", bytes.random(5000) },
    { "text", "x" } }
  for _, role in ipairs(conn.ROLES) do
    for _, size in ipairs { 0, 700 } do
      local input = packed(role, messages, size > 0 and size)
      for _, most in ipairs { #input, 1, 7, 300 } do
        local peer = open(role, nil, true)
        local list, rest = gather(peer, bytes.cuts(input, most))
        for _, m in ipairs(list) do m[3] = nil end
        lu.assertEquals(list, messages)
        lu.assertEquals(rest, "")
        peer:free()
      end
    end
  end
end

-- A little that means a lot comes out by and by, from one feed.
function T:test_what_expands_comes_in_parts_and_costs_one_buffer()
  for _, role in ipairs(conn.ROLES) do
    local text = ("0"):rep((5 << 20) + 100)
    local input = packed(role, { { "text", text }, { "text", "next" } })
    lu.assertTrue(#input < 20000)
    local peer = open(role, { payload_max = 1 << 40 }, true)
    local used, top = peer.mem:state().used, 0
    local got, n, last = 0, 0, nil
    local at = 1
    repeat
      local taken = peer.raw:feed(input:sub(at))
      at = at + taken
      local name, data, kind, final = peer.raw:next()
      if name then
        n = n + 1
        lu.assertEquals({ name, kind }, { "chunk", "text" })
        if #data > 4 then got = got + #data else last = data end
        lu.assertEquals(final, got == #text)
        top = math.max(top, peer.mem:state().used - used)
      end
    until not name and taken == 0
    lu.assertEquals({ got, n, last }, { #text, 82, "next" })
    lu.assertTrue(top < 65536 + 64 + 50000, top) -- the buffer, and zlib's window
  end
end

-- A peer that was fed all there is of a message, and has more of it to tell: the
-- last byte means what fits in no buffer any more.
local function with_more(role)
  for n = 65536, 65536 + 600 do
    local peer = open(role, nil, true)
    local input, taken, got = packed(role, { { "binary", ("0"):rep(n) } }), 0, 0
    while taken < #input do
      taken = taken + peer.raw:feed(input:sub(taken + 1))
      local _, data = peer.raw:next()
      got = got + #(data or "")
      if taken == #input and peer:wants "event" then return peer, n - got end
    end
    peer:free()
  end
  lu.fail "there never was more"
end

function T:test_a_pause_while_more_is_to_come()
  for _, role in ipairs(conn.ROLES) do
    local peer, left = with_more(role)
    peer.raw:pause(true)
    lu.assertNil(peer.raw:next())
    lu.assertFalse(peer:wants "event")
    peer.raw:pause(false)
    lu.assertEquals(peer.raw:feed "later", 0) -- not before the rest is out
    local last
    for _, data, _, final in peer.raw.next, peer.raw do left, last = left - #data, final end
    lu.assertEquals({ left, last }, { 0, true })
    lu.assertFalse(peer:wants "event")
  end
end

function T:test_closing_while_more_is_to_come()
  for _, how in ipairs { "close", "terminate", "lost", "free" } do
    local peer = with_more "client"
    if how == "close" then assert(peer.raw:close(1000, "")) end
    if how == "terminate" then peer.raw:terminate() end
    if how == "lost" then peer.raw:eof() end
    if how == "close" or how == "terminate" then lu.assertNil(peer.raw:next()) end
    if how == "close" then peer:feed(bytes.close(1000, "")) end
    peer:free()
  end
end

-- What an event shows stays until the next call, also when the end comes.
function T:test_a_part_outlives_a_close()
  local peer = open("client", nil, true)
  peer.raw:feed(packed("client", { { "text", ("part "):rep(300) } }, 100))
  assert(peer.raw:close(1000, "")) -- the event is still to be pulled
  lu.assertEquals({ peer.raw:next() }, { "chunk", ("part "):rep(20), "text", false })
  lu.assertNil(peer.raw:next())
end

function T:test_limits_of_compressed_messages()
  for _, role in ipairs(conn.ROLES) do
    local peer = open(role, { payload_max = 100000 }, true)
    peer:feed(packed(role, { { "binary", ("0"):rep(100000) } }))
    lu.assertEquals(peer:state().fault, "OK")
    peer:heard()
    peer:feed(packed(role, { { "binary", ("0"):rep(100001) } }))
    lu.assertEquals(peer:state().fault, "TOOBIG")
    peer = open(role, nil, true)
    local input = packed(role, { { "binary", ("0"):rep(100) } })
    peer:feed((input:gsub("^.", "\xc1"))) -- as text, which zeros are
    lu.assertEquals(peer:state().fault, "OK")
    peer = open(role, nil, true)
    input = packed(role, { { "binary", ("\xff"):rep(100) } })
    peer:feed((input:gsub("^.", "\xc1")))
    lu.assertEquals(peer:state().fault, "UTF8")
  end
end

-- ---- no memory ------------------------------------------------------------------------------

function T:test_when_memory_is_short()
  local probe = require "wsock.probe"
  for n = 1, 40 do
    local mem = probe.base.mem()
    local peer = open("server", { mem = mem }, true)
    local input = packed("server", { { "text", ("abc"):rep(60000) } }, 5000)
      .. frame(1, "x", "\1\2\3\4", false)
    mem:fail(n)
    peer:feed(input)
    peer:settle()
    mem:fail(0)
    peer:free()
  end
end

return T
