-- bind/lua_options: every option of both roles, what it refuses, its default,
-- and what it does at its edge.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

-- What a call of listen or WebSocket with one option says.
local function complaint(rig, role, name, value)
  local options = { loop = rig.loop, [name] = value }
  local ok, message
  if role == "server" then
    options.port = 0
    ok, message = pcall(wsock.listen, options)
    if ok then message:close() end
  else
    ok, message = pcall(wsock.WebSocket, "ws://127.0.0.1:1/", nil, options)
    if ok then message:terminate() end
  end
  return not ok and message or nil
end

-- ---- what is refused --------------------------------------------------------------------

local sizes = { "maxPayload", "maxFragments", "maxBuffered", "highWaterMark", "lowWaterMark" }
local times = { "handshakeTimeout", "closeTimeout", "pingInterval", "pingTimeout", "sendTimeout" }
local switches = { "autoPong", "noDelay" }

local function each(names, fn)
  for _, role in ipairs { "server", "client" } do
    for _, name in ipairs(names) do fn(role, name) end
  end
end

function T:test_sizes()
  each(sizes, function(role, name)
    for _, value in ipairs { -1, 1.5, math.mininteger, 1e300 } do
      local message = complaint(self.rig, role, name, value)
      lu.assertStrContains(tostring(message), ("option '%s' must be an integer"):format(name))
    end
    for _, value in ipairs { "1", true, {} } do
      local message = complaint(self.rig, role, name, value)
      lu.assertStrContains(tostring(message), ("option '%s' must be a number"):format(name))
    end
    for _, value in ipairs { 0, 1, 262144.0, math.maxinteger } do
      local partner = name == "lowWaterMark" and value > 1 << 20 or name == "highWaterMark"
      if not partner then lu.assertNil(complaint(self.rig, role, name, value)) end
    end
  end)
end

function T:test_times()
  each(times, function(role, name)
    for _, value in ipairs { -1, -0.001, 0 / 0, -math.huge } do
      local message = complaint(self.rig, role, name, value)
      lu.assertStrContains(tostring(message), ("option '%s' must be a number of seconds"):format(name))
    end
    lu.assertStrContains(tostring(complaint(self.rig, role, name, "1")), ("option '%s' must be a number"):format(name))
    for _, value in ipairs { 0, 0.001, 1, 1e9, 1e300, math.huge } do
      lu.assertNil(complaint(self.rig, role, name, value))
    end
  end)
end

function T:test_a_servers_own_time()
  lu.assertNil(complaint(self.rig, "server", "responseTimeout", 0.5))
  lu.assertStrContains(complaint(self.rig, "server", "responseTimeout", -1), "must be a number of seconds")
  lu.assertStrContains(complaint(self.rig, "client", "responseTimeout", 1), "unknown option 'responseTimeout'")
end

function T:test_switches()
  each(switches, function(role, name)
    for _, value in ipairs { 0, 1, "true", {} } do
      local message = complaint(self.rig, role, name, value)
      lu.assertStrContains(tostring(message), ("option '%s' must be a boolean"):format(name))
    end
    for _, value in ipairs { true, false } do lu.assertNil(complaint(self.rig, role, name, value)) end
  end)
end

function T:test_ranges()
  for _, row in ipairs {
    { "maxHeaderSize", 256, 1 << 20, "client" }, { "maxHeaderSize", 256, 1 << 20 }, { "backlog", 1, 65535 },
    { "maxConnections", 1, 0x7FFFFFFF }, { "handshakesMax", 1, 0x7FFFFFFF }, { "maxBody", 0, math.maxinteger },
  } do
    local name, min, max, role = table.unpack(row)
    role = role or "server"
    lu.assertNil(complaint(self.rig, role, name, min))
    lu.assertNil(complaint(self.rig, role, name, max))
    for _, value in ipairs { min - 1, max ~= math.maxinteger and max + 1 or -1, min + 0.5 } do
      lu.assertStrContains(tostring(complaint(self.rig, role, name, value)),
        ("option '%s' must be an integer"):format(name))
    end
  end
end

function T:test_strings_and_tables_of_a_client()
  for _, row in ipairs {
    { "origin", 1, "'origin' must be a string" }, { "localAddress", 1, "'localAddress' must be a string" },
    { "localAddress", "here", "must be an IP address" }, { "headers", { Host = "x" }, "written by" },
    { "headers", { ["Sec-WebSocket-Key"] = "x" }, "written by" }, -- S32
  } do
    lu.assertStrContains(tostring(complaint(self.rig, "client", row[1], row[2])), row[3])
  end
end

function T:test_unknown_keys_name_the_nearest()
  for _, row in ipairs {
    { "server", "prot", "did you mean 'port'?" }, { "server", "maxpayload", "did you mean 'maxPayload'?" },
    { "server", "onOpen", "did you mean" }, { "server", "onopen", "did you mean 'onconnection'?" },
    { "server", "origin", "did you mean 'origins'?" }, { "server", "zzz", "unknown option 'zzz'" },
    { "server", "localAddress", "unknown option 'localAddress'" }, { "server", 1, "every option must have a name" },
    { "client", "port", "unknown option 'port'" }, { "client", "maxConnections", "unknown option" },
    { "client", "pinginterval", "did you mean 'pingInterval'?" }, { "client", true, "every option must have a name" },
    { "client", "ca", "did you mean 'tls.ca'?" }, { "server", "cert", "did you mean 'tls.cert'?" },
    { "client", "timeout", "did you mean 'handshakeTimeout'?" }, { "client", "onopen", "unknown option 'onopen'" },
    { "client", "onmessage", "'onmessage'; a client's handlers are set on its socket" },
    { "client", "verify", "did you mean 'tls.verify'?" },
    -- later issues' options are unknown until they exist
    { "server", "proxy", "unknown option 'proxy'" },
    { "server", "maxRedirects", "unknown option" },
  } do
    lu.assertStrContains(tostring(complaint(self.rig, row[1], row[2], 1)), row[3])
  end
  lu.assertError(wsock.listen)
  lu.assertError(wsock.listen, 80)
  lu.assertErrorMsgContains("options must be a table", wsock.WebSocket, "ws://127.0.0.1/", nil, 5)
end

function T:test_water_marks_must_fit_together()
  local function says(role, high, low)
    local o = { loop = self.rig.loop, port = role == "server" and 0 or nil, highWaterMark = high, lowWaterMark = low }
    local ok, message
    if role == "server" then ok, message = pcall(wsock.listen, o)
    else ok, message = pcall(wsock.WebSocket, "ws://127.0.0.1:1/", nil, o) end
    if ok then message[role == "server" and "close" or "terminate"](message) end
    return not ok and message or nil
  end
  for _, role in ipairs { "server", "client" } do
    lu.assertStrContains(tostring(says(role, 10, 11)), "'lowWaterMark' must not be above 'highWaterMark'")
    lu.assertStrContains(tostring(says(role, nil, (1 << 20) + 1)), "'lowWaterMark'")
    local most = math.maxinteger
    for _, row in ipairs { { 10, 10 }, { 0, 0 }, { 10 }, { 0 }, { nil, 1 << 20 }, { most, most } } do
      lu.assertNil(says(role, row[1], row[2]))
    end
  end
end

-- Options may be inherited.
function T:test_defaults_of_ones_own()
  local defaults = { host = "127.0.0.1", maxPayload = 10, verify = function(r) return r.path == "/x" end }
  local server = self.rig:keep(assert(wsock.listen(
    setmetatable({ port = 0, loop = self.rig.loop }, { __index = defaults }))))
  local _, port = server:address()
  local _, answer = visitors.knock(self.rig, port)
  lu.assertEquals(answer.status, 403)
  local peer = visitors.knock(self.rig, port, visitors.upgrade(nil, "GET /x HTTP/1.1"))
  peer:frame { ("x"):rep(11) }
  lu.assertEquals(peer:take_close(), 1009)
end

-- ---- what they do at a server -----------------------------------------------------------------

-- A raw peer of a server with these options that echoes; and what it saw.
local function guest(rig, options)
  local seen = { sizes = {} }
  options.onmessage = function(_, data) seen.sizes[#seen.sizes + 1] = #data end
  options.onclose = function(_, code) seen.close = code end
  options.onerror = function(_, message, code) seen.message, seen.code = message, code end
  local server, _, port = rig:listen(options)
  local peer = visitors.knock(rig, port)
  for socket in pairs(server.clients) do seen.socket = socket end
  return peer, seen, port
end

-- S65
function T:test_max_payload_at_its_edge()
  for _, max in ipairs { 1, 125, 126, 65535, 65536 } do
    for n = max - 1, max + 1 do
      for parts = 1, 3 do
        local peer, seen = guest(self.rig, { maxPayload = max })
        local size = n // parts
        for i = 1, parts do
          peer:frame { op = i == 1 and "binary" or "continuation", fin = i == parts,
            ("x"):rep(i == parts and n - (parts - 1) * size or size) }
        end
        if n <= max then
          self.rig:wait(function() return seen.sizes[1] end)
          lu.assertEquals(seen.sizes, { n })
        else
          lu.assertEquals({ peer:take_close() }, { 1009, "message is larger than maxPayload" })
          lu.assertEquals(seen.sizes, {})
          peer:close()
          self.rig:wait(function() return seen.close end)
          lu.assertEquals({ seen.close, seen.code }, { 1006, "TOOBIG" })
        end
        peer:close()
      end
    end
  end
end

function T:test_default_max_payload_of_a_server()
  local max = 1 << 20
  local peer, seen, port = guest(self.rig, {})
  local bystander = visitors.bystander(self.rig, port)
  peer:frame { op = "binary", ("x"):rep(max) }
  self.rig:wait(function() return seen.sizes[1] end)
  lu.assertEquals(seen.sizes, { max })
  peer:frame { op = "binary", length = max + 1 } -- the head is enough
  lu.assertEquals(peer:take_close(), 1009)
  bystander:check()
end

function T:test_default_max_payload_of_a_client()
  local max = 16 << 20
  local _, record, peer = self.rig:opened()
  peer:frame { op = "binary", length = max }
  self.rig:idle()
  lu.assertEquals(tostring(record), "open")
  local _, second, other = self.rig:opened()
  other:frame { op = "binary", length = max + 1 }
  lu.assertEquals(other:take_close(), 1009)
  other:close()
  self.rig:closed(second)
  lu.assertEquals(tostring(second), "open error:TOOBIG close:1006::false")
end

function T:test_no_max_payload()
  local peer, seen = guest(self.rig, { maxPayload = 0 })
  peer:frame { op = "binary", ("x"):rep((1 << 20) + 1) }
  self.rig:wait(function() return seen.sizes[1] end)
  lu.assertEquals(seen.sizes, { (1 << 20) + 1 })
end

function T:test_max_fragments_at_its_edge()
  for _, max in ipairs { 1, 3 } do
    for n = math.max(1, max - 1), max + 1 do
      local peer, seen = guest(self.rig, { maxFragments = max })
      for i = 1, n do peer:frame { op = i == 1 and "text" or "continuation", fin = i == n, "x" } end
      if n <= max then
        self.rig:wait(function() return seen.sizes[1] end)
        lu.assertEquals(seen.sizes, { n })
      else
        lu.assertEquals({ peer:take_close() }, { 1008, "message has more fragments than maxFragments" })
      end
    end
  end
end

function T:test_default_max_fragments()
  local peer, seen = guest(self.rig, {})
  local parts = bytes.frame { fin = false, mask = true, "x" }
    .. bytes.frame { op = 0, fin = false, mask = true }:rep(4094)
  peer:send(parts)
  peer:frame { op = "continuation", "y" }
  self.rig:wait(function() return seen.sizes[1] end)
  lu.assertEquals(seen.sizes, { 2 })
  peer:send(parts)
  peer:send(bytes.frame { op = 0, fin = false, mask = true }:rep(2))
  lu.assertEquals(peer:take_close(), 1008)
end

function T:test_max_header_size_at_its_edge()
  for _, max in ipairs { 256, 40000 } do
    local _, _, port = self.rig:listen { maxHeaderSize = max }
    for n = max - 1, max + 1 do
      local head = visitors.upgrade()
      repeat -- lines of at most 8 KiB
        local room = n - #head
        local line = room > 8000 and 8000 or room
        if room - line > 0 and room - line < 10 then line = line - 10 end
        head = head:sub(1, -3) .. "X: " .. ("x"):rep(line - 5) .. "\r\n\r\n"
      until #head == n
      local peer, answer = visitors.knock(self.rig, port, head)
      lu.assertEquals(answer.status, n <= max and 101 or 431)
      peer:close()
    end
  end
end

function T:test_max_buffered_at_its_edge()
  for n = 999, 1001 do
    local peer, seen = guest(self.rig, { maxBuffered = 1000 })
    local sent, message, code = seen.socket:send(("x"):rep(n))
    if n <= 1000 then
      lu.assertTrue(sent)
      lu.assertEquals({ seen.socket:send(("y"):rep(1001 - n)) }, { nil, "maxBuffered would be passed", "BUFFER" })
      lu.assertEquals(seen.socket.bufferedAmount, n)
      lu.assertEquals(#peer:take().payload, n)
    else
      lu.assertEquals({ sent, message, code }, { nil, "maxBuffered would be passed", "BUFFER" })
      lu.assertEquals(seen.socket.bufferedAmount, 0)
    end
    lu.assertEquals(seen.socket.readyState, 1)
  end
end

function T:test_water_marks()
  for _, row in ipairs { { 99, 0 }, { 100, 0 }, { 101, 1 } } do
    local drained = 0
    local peer, seen = guest(self.rig, { highWaterMark = 102, lowWaterMark = 10, ondrain = function()
      drained = drained + 1
    end })
    seen.socket:send(("x"):rep(row[1])) -- and a head of two bytes
    peer:take()
    self.rig:idle()
    lu.assertEquals(drained, row[2])
  end
end

-- ---- keep-alive and time (S47) --------------------------------------------------------------

function T:test_ping_interval()
  local peer, seen = guest(self.rig, { pingInterval = 0.05 })
  local payloads = {}
  for i = 1, 3 do
    local frame = peer:take()
    lu.assertEquals({ frame.op, #frame.payload }, { bytes.OP.ping, 4 })
    payloads[i] = frame.payload
    peer:frame { op = "pong", frame.payload }
    self.rig:wait(function() return seen.socket.latency end)
  end
  lu.assertTrue(payloads[1] < payloads[2] and payloads[2] < payloads[3])
  lu.assertEquals(seen.socket.readyState, 1)
end

function T:test_ping_timeout()
  clock.patiently(function(k)
    local peer, seen, port = guest(self.rig, { pingInterval = 0.05 * k, pingTimeout = 0.1 * k })
    local bystander = visitors.bystander(self.rig, port)
    self.rig:wait(function()
      bystander.peer:frame { op = "pong" } -- any sign of life will do
      return seen.close
    end)
    lu.assertEquals({ seen.close, seen.code }, { 1006, "TIMEOUT" })
    lu.assertEquals(peer:take().op, bytes.OP.ping)
    peer:take_end()
  end)
end

function T:test_no_pings()
  guest(self.rig, { pingInterval = 0, handshakeTimeout = 0 })
  self.rig:idle(10)
  lu.assertNil(self.rig.loop:timeout())
end

function T:test_auto_pong_off()
  local pings = {}
  local peer = guest(self.rig, { autoPong = false, onping = function(socket, data)
    pings[#pings + 1] = data
    if data == "2" then socket:pong "by hand" end
  end })
  peer:frame { op = "ping", "1" }
  peer:frame { op = "ping", "2" }
  lu.assertEquals(peer:take().payload, "by hand")
  lu.assertEquals(pings, { "1", "2" })
end

-- C2: no byte accepted while bytes wait
function T:test_send_timeout()
  local peer, seen, port = guest(self.rig, { sendTimeout = 0.2, maxBuffered = 64 << 20, pingInterval = 0 })
  local bystander = visitors.bystander(self.rig, port)
  seen.socket:send(("x"):rep(32 << 20), "binary")
  self.rig:wait(function()
    bystander:check()
    return seen.close
  end)
  lu.assertEquals({ seen.close, seen.code }, { 1006, "TIMEOUT" })
  lu.assertStrContains(seen.message, "sendTimeout")
  bystander:check()
  peer:close()
end

-- As long as some of it goes out, it may take as long as it takes.
function T:test_send_timeout_and_a_reader_that_is_only_slow()
  clock.patiently(function(k)
    local peer, seen = guest(self.rig, { sendTimeout = 0.3 * k, maxBuffered = 64 << 20 })
    seen.socket:send(("x"):rep(32 << 20), "binary")
    local start = self.rig.loop:now()
    while self.rig.loop:now() - start < 0.6 * k do
      peer.sock:receive(1 << 20) -- the system tells of room only when there is much
      for _ = 1, 5 do self.rig:turn(0.01 * k) end
    end
    lu.assertNil(seen.close)
    peer:close()
  end)
end

function T:test_close_timeout()
  local peer, seen = guest(self.rig, { closeTimeout = 0.1 })
  seen.socket:close(4000)
  self.rig:wait(function() return seen.close end)
  lu.assertEquals({ seen.close, seen.code, seen.socket.readyState }, { 1006, nil, 3 })
  lu.assertEquals(peer:take_close(), 4000)
  peer:take_end()
end

return T
