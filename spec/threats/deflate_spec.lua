-- threats section 3 over real connections: small messages that mean large ones,
-- data that is none, and what compression may cost. What each piece refuses is
-- in wire/deflate, proto/offer, proto/pmd, proto/packed and bind/lua_deflate;
-- here a whole server, beside a connection that must not notice.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local conn = require "support.conn"
local process = require "support.process"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local probe = require "wsock.probe"

local T = {}
T.alone = true -- it measures

function T:setUp() self.rig = rigs.new() end

function T:tearDown()
  self.rig:close()
  if self.restore then self.restore() end
  if self.child then self.child:stop() end
end

local PMD = "Sec-WebSocket-Extensions: permessage-deflate"
local LIMIT = 65536

-- A server with a small limit, what it saw, and a bystander of it.
local function serve(rig, options)
  local seen = { messages = 0, closes = {} }
  options = options or {}
  options.maxPayload = options.maxPayload or LIMIT
  if options.perMessageDeflate == nil then options.perMessageDeflate = true end
  options.onmessage = function(_, data) seen.messages, seen.last = seen.messages + 1, data end
  options.onclose = function(_, code) seen.closes[#seen.closes + 1] = code end
  local server, url, port = rig:listen(options)
  seen.server, seen.url = server, url
  return port, seen, visitors.bystander(rig, port)
end

local function knock(rig, port)
  local peer, answer = visitors.knock(rig, port, conn.request(PMD))
  lu.assertStrContains(answer.headers["sec-websocket-extensions"], "permessage-deflate")
  return peer
end

-- Zeros: 1 MiB of them compressed, and again with those in the window.
local function zeros()
  local d = probe.wire.deflate(probe.base.mem(), { level = 9 })
  local block = ("\0"):rep(1 << 20)
  local first, next_one = d:run(block, true), d:run(block, true)
  d:free()
  return first, next_one
end

-- 1 GiB in about 1 MiB, without its tail.
local function bomb()
  local first, next_one = zeros()
  return (first .. next_one:rep(1023)):sub(1, -5)
end

-- ---- whose turn it is -------------------------------------------------------------------

-- Turns the loop until `done`; how much of amount() came in one turn at most.
local function most_in_a_turn(rig, amount, done)
  local most = 0
  function rig:turn(seconds)
    local before = amount()
    local more = self.loop:step(seconds or 0.005)
    most = math.max(most, amount() - before)
    return more
  end
  done()
  rig.turn = nil
  return most
end

-- One read may hold hundreds of messages of 1 MiB, which take seconds to
-- decompress: they wait for the next turn, and others have theirs.
function T:test_many_large_ones_in_one_read()
  local port, seen = serve(self.rig, { maxPayload = 1 << 20 })
  local peer = knock(self.rig, port)
  local one = bytes.frame { op = "binary", rsv = 4, mask = "\0\0\0\0", zeros():sub(1, -5) }
  local most = most_in_a_turn(self.rig, function() return seen.messages end, function()
    peer:send(one:rep(150))
    self.rig:wait(function() return seen.messages == 150 end)
  end)
  lu.assertTrue(most <= 4, most)
  lu.assertEquals(seen.last, ("\0"):rep(1 << 20))
end

-- The same of one message that is handed out in parts.
function T:test_a_large_one_in_parts()
  local size, last = 0, nil
  local _, _, port = self.rig:listen { streaming = true, perMessageDeflate = true,
    onchunk = function(_, data, _, final) size, last = size + #data, final end }
  local peer = knock(self.rig, port)
  local first, next_one = zeros()
  local most = most_in_a_turn(self.rig, function() return size end, function()
    peer:frame { op = "binary", rsv = 4, (first .. next_one:rep(149)):sub(1, -5) }
    self.rig:wait(function() return last end)
  end)
  lu.assertTrue(most <= 4 << 20, most)
  lu.assertEquals(size, 150 << 20)
end

-- ---- Z1 ------------------------------------------------------------------------------

-- A message in so many frames, masked by zeros if at all; made beforehand, so
-- that they do not count as memory.
local function frames(op, message, fragments, masked)
  local list, size = {}, #message // fragments + 1
  for piece in bytes.pieces(message, size) do
    local first = #list == 0
    list[#list + 1] = bytes.frame { op = first and op or 0, rsv = first and 4 or 0, fin = #piece < size,
      mask = masked and "\0\0\0\0" or nil, length = #piece, "" } .. piece
  end
  return list
end

-- Sends them until the peer has said Close, or all of them.
local function throw(peer, list)
  for i, frame in ipairs(list) do
    peer:send(frame)
    if #list > 2 and i % 100 == 0 and peer:look():find("\x88", 1, true) then break end
  end
end

-- In any number of fragments, text and binary, with a window that was taken
-- over: 1009, and no more memory than the limit, a window and what belongs to it.
function T:test_Z1_a_bomb_for_a_server()
  local port, seen, bystander = serve(self.rig, { maxFragments = 20000 })
  local message = bomb()
  for _, fragments in ipairs { 1, 2, 10000 } do
    for _, op in ipairs { "text", "binary" } do
      local peer = knock(self.rig, port)
      peer:frame { op = "text", rsv = 4, bytes.unhex "f248cdc9c90700" }
      self.rig:wait(function() return seen.messages > 0 end)
      lu.assertEquals(seen.last, "Hello")
      seen.messages = 0
      local list = frames(op, message, fragments, true)
      visitors.costs_at_most(8 << 20, "a bomb", function()
        throw(peer, list)
        lu.assertEquals({ peer:take_close() }, { 1009, "message is larger than maxPayload" })
      end)
      peer:close()
      lu.assertEquals(seen.messages, 0)
      bystander:check()
    end
  end
end

function T:test_Z1_a_bomb_for_a_client()
  local message = bomb()
  for _, fragments in ipairs { 1, 2, 10000 } do
    local socket, record, peer = self.rig:opened({ maxPayload = LIMIT, maxFragments = 20000 }, PMD)
    local list = frames("binary", message, fragments, false)
    visitors.costs_at_most(8 << 20, "a bomb", function()
      throw(peer, list)
      lu.assertEquals((peer:take_close()), 1009)
    end)
    peer:close()
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "open error:TOOBIG close:1006::false")
    lu.assertTrue(socket:stats().uncompressedIn <= LIMIT)
  end
end

-- A thousand hold as much as they may, then go one byte further.
function T:test_Z1_a_thousand_at_once()
  local n
  n, self.restore = visitors.room(clock.times(2000, 400))
  n = n // 2
  local port, seen, bystander = serve(self.rig, { maxConnections = n + 1 })
  local crowd
  local first = zeros()
  local d = probe.wire.deflate(probe.base.mem(), { level = 9 })
  local most = d:run(("\0"):rep(LIMIT), true)
  d:free()
  local part = bytes.frame { op = "binary", rsv = 4, fin = false, mask = "\0\0\0\0", most }
  local rest = bytes.frame { op = 0, mask = "\0\0\0\0", first }
  visitors.costs_at_most(n * (LIMIT + 32768 + 16384 + 4096) + (16 << 20), "a crowd of bombs", function()
    crowd = visitors.crowd(self.rig, port, n, conn.request(PMD))
    visitors.admitted(self.rig, crowd)
    for i, sock in ipairs(crowd) do
      assert(sock:send(part))
      if i % 32 == 0 then self.rig.loop:step(0) end
    end
    self.rig:idle(20)
    lu.assertEquals(#seen.closes, 0)
    for i, sock in ipairs(crowd) do
      assert(sock:send(rest))
      if i % 32 == 0 then self.rig.loop:step(0) end
    end
    for i, sock in ipairs(crowd) do
      local got = ""
      self.rig:wait(function()
        local data, _, more = sock:receive(4096)
        got = got .. (data or more or "")
        return got:find("\x88\x23\x03\xF1", 1, true)
      end, "no 1009 for " .. i)
      sock:close()
    end
  end)
  self.rig:wait(function() return #seen.closes == n end)
  lu.assertEquals(seen.messages, 0)
  bystander:check()
end

-- The same against a server that is not given more: it survives.
local SERVER = [[
local wsock = require "wsock"
local server = assert(wsock.listen { port = 0, perMessageDeflate = true, maxPayload = 65536, maxConnections = 2000 })
io.stdout:write("port ", select(2, server:address()), "\n")
io.stdout:flush()
wsock.run()
]]

function T:test_Z1_with_little_memory()
  if not visitors.measurable then return end -- a sanitizer needs all addresses
  local n
  n, self.restore = visitors.room(1100)
  n = math.min(n, 1000)
  self.child = process.start { "sh", "-c", "ulimit -v 262144; exec " .. process.shell_lua { "-e", SERVER } }
  local port = tonumber((self.child:expect "port (%d+)"))
  local bystander = visitors.bystander(self.rig, port)
  local message = bomb():sub(1, 65536)
  local crowd = visitors.crowd(self.rig, port, n, conn.request(PMD))
  visitors.admitted(self.rig, crowd)
  local frame = bytes.frame { op = "binary", rsv = 4, fin = false, mask = "\0\0\0\0", message }
  for _, sock in ipairs(crowd) do sock:send(frame) end
  for i, sock in ipairs(crowd) do
    local got, ended = "", false
    self.rig:wait(function()
      local data, why, part = sock:receive(4096)
      got, ended = got .. (data or part or ""), why == "closed"
      return got:find("\x88\x23\x03\xF1", 1, true) or ended
    end, "no 1009 for " .. i)
    lu.assertStrContains(got, "\x88\x23\x03\xF1")
    sock:close()
  end
  bystander:check()
  lu.assertNil(self.child:code())
end

-- ---- Z2, Z3 --------------------------------------------------------------------------

-- Nothing of a message that failed, or ended strangely, is in another.
function T:test_Z2_Z3_data_that_is_none()
  local port, seen, bystander = serve(self.rig)
  for _, text in ipairs {
    "07", "f200110000", "0005", "000500faff4865", "00050005004865", "f248cdc9c907", "f248cd", "ed", "fc",
    "f348cdc9c90700ff", "030007", "f348cdc9c90700f2",
  } do
    local peer = knock(self.rig, port)
    peer:frame { op = "binary", rsv = 4, bytes.unhex(text) }
    lu.assertEquals({ peer:take_close() }, { 1007, "compressed message does not inflate" }, text)
    peer:close()
  end
  lu.assertEquals(seen.messages, 0)
  local peer = knock(self.rig, port)
  for i, text in ipairs { "f348cdc9c9070000", "f348cdc9c90700", "", "f348cdc9c90700f348cdc9c9070000", "f200110000" } do
    peer:frame { op = "text", rsv = 4, bytes.unhex(text) }
    self.rig:wait(function() return seen.messages == i end)
    lu.assertEquals(seen.last, ({ "Hello", "Hello", "", "HelloHello", "Hello" })[i])
  end
  bystander:check()
end

-- What means nothing costs little: empty blocks, last blocks, empty fragments.
function T:test_blocks_without_end()
  local port, seen, bystander = serve(self.rig, { maxPayload = 1 << 20 })
  for _, block in ipairs { "\3\0", "\0\0\0\xFF\xFF", "\2\0", "\0" } do
    local peer = knock(self.rig, port)
    local payload = block:rep((1 << 20) // #block // clock.slow)
    visitors.cheap(2, "a MiB of " .. bytes.hex(block), function()
      peer:frame { op = "binary", rsv = 4, mask = "\0\0\0\0", payload }
      peer:frame { op = "ping", "done" }
      peer:take()
    end)
    peer:close()
  end
  lu.assertTrue(seen.messages <= 4)
  bystander:check()
end

-- ---- N2, N5 ----------------------------------------------------------------------------

function T:test_N2_RSV1_where_it_may_not_be()
  local port, _, bystander = serve(self.rig)
  local Z = " 00 00 00 00"
  for _, text in ipairs {
    "C9 80" .. Z, "CA 80" .. Z, "C8 80" .. Z, "41 81" .. Z .. " 00 C0 81" .. Z .. " 00",
    "01 81" .. Z .. " 61 C0 81" .. Z .. " 00", "E1 81" .. Z .. " 00", "D1 81" .. Z .. " 00", "A1 80" .. Z, "91 80" .. Z,
  } do
    local peer = knock(self.rig, port)
    peer:send(bytes.unhex(text))
    lu.assertEquals({ peer:take_close() }, { 1002, "reserved bits are set" }, text)
    peer:close()
    bystander:check()
  end
end

function T:test_N3_N5_offers_without_end()
  local port, _, bystander = serve(self.rig)
  local line = "Sec-WebSocket-Extensions: "
  for _, value in ipairs {
    ("permessage-deflate; server_max_window_bits=7,"):rep(150) .. "permessage-deflate",
    "permessage-deflate" .. ("; server_max_window_bits=9"):rep(250),
    'permessage-deflate; server_max_window_bits="' .. ("\\1"):rep(3500) .. '"',
  } do
    visitors.cheap(0.2, "offers", function()
      local peer, answer = visitors.knock(self.rig, port, conn.request(line .. value))
      lu.assertEquals(answer.status, 101)
      peer:close()
    end)
  end
  bystander:check()
end

-- ---- memory ----------------------------------------------------------------------------

-- n connections that have sent and got a compressed message, and what each costs.
function T:test_memory_of_idle_connections()
  local n = clock.times(100, 20)
  local alone = { serverNoContextTakeover = true, clientNoContextTakeover = true }
  for _, row in ipairs {
    { alone, 4096 }, -- nothing beside the connection
    { true, 70 * 1024 + 40 * 1024 + 8192 },
    { { serverMaxWindowBits = 9, clientMaxWindowBits = 9 }, 10 * 1024 + 8 * 1024 + 8192 },
  } do
    local done = 0
    local server, url = self.rig:listen {
      perMessageDeflate = row[1],
      onmessage = function(socket, data) socket:send(data) end,
    }
    local clients = {}
    for i = 1, n do
      clients[i] = self.rig:client(url, nil, { perMessageDeflate = true })
      clients[i]:on("open", function() done = done + 1 end)
    end
    self.rig:wait(function() return done == n end)
    local message = ("all the same, "):rep(100)
    for _, client in ipairs(clients) do client:on("message", function() done = done + 1 end) end
    clients[1]:send(message) -- what is shared is there
    self.rig:wait(function() return done == n + 1 end)
    visitors.costs_at_most((n - 1) * 2 * row[2] + (1 << 20), "idle connections", function()
      for i = 2, n do
        clients[i]:send(message)
        self.rig:wait(function() return done == n + i end)
      end
    end)
    for _, client in ipairs(clients) do client:terminate() end
    server:close(1001, "", 0)
    self.rig:settle()
  end
end

return T
