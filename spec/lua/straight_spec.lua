-- wsock.straight: connect; and straight-line programs as they are written.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local clock = require "support.clock"
local codec = require "wsock.core".codec
local rigs = require "support.rig"

local T = rigs.class()
T.alone = true -- it measures

-- wsock.connect in the rig's loop.
function T:connect(url, options)
  local o = { loop = self.loop }
  for key, value in pairs(options or {}) do o[key] = value end
  return wsock.connect(url, o)
end

local function echo(socket, data, kind) socket:send(data, kind) end

-- ---- connect --------------------------------------------------------------------------

function T:test_an_open_socket()
  local _, url = self.rig:listen { onmessage = echo, protocols = { "b" } }
  local socket <close> = assert(self:connect(url, { protocols = { "a", "b" } }))
  lu.assertEquals({ socket.readyState, socket.protocol, socket.url }, { 1, "b", url })
  socket:send "hello"
  lu.assertEquals({ socket:receive(5) }, { "hello", "text" })
end

-- A server that asks another one before it hears its client, and loses nothing.
function T:test_a_handler_that_connects_before_its_first_receive()
  local _, behind = self.rig:listen { onmessage = echo }
  local _, url = self.rig:listen { onconnection = function(near)
    local far <close> = assert(self:connect(behind))
    for data in near:messages() do
      far:send(data)
      near:send(far:receive(rigs.LIMIT))
    end
  end }
  local socket <close> = assert(self:connect(url))
  socket:send "first"
  socket:send "second"
  lu.assertEquals({ socket:receive(rigs.LIMIT) }, { "first", "text" })
  lu.assertEquals({ socket:receive(rigs.LIMIT) }, { "second", "text" })
end

function T:test_in_the_default_loop()
  local server = assert(wsock.listen { port = 0, onmessage = echo })
  local socket = assert(wsock.connect("ws://127.0.0.1:" .. select(2, server:address())))
  socket:send "x"
  lu.assertEquals(socket:receive(5), "x")
  socket:terminate()
  server:close(1001, "", 0)
  wsock.run()
end

function T:test_refused_connections()
  lu.assertEquals({ self:connect "ws://127.0.0.1:1/" },
    { nil, "connect 127.0.0.1:1: Connection refused", "ECONNREFUSED" })
  local _, message, code = self:connect "ws://no.such.host.invalid/"
  lu.assertStrContains(message, "no.such.host.invalid")
  lu.assertStrMatches(code, "EAI_%u+")
end

function T:test_refused_handshakes()
  local _, url = self.rig:listen { verify = function() return false, 401 end }
  local _, message, code, status = self:connect(url)
  lu.assertEquals({ code, status }, { "HANDSHAKE", 401 })
  lu.assertStrContains(message, "401")
  local server = self.rig:raw_server()
  local task = self.loop:spawn(self.connect, self, server.url)
  server:accept():send "HTTP/1.1 101 X\r\nUpgrade: no\r\n\r\n"
  lu.assertEquals(select(4, task:join(5)), "HANDSHAKE")
end

function T:test_redirects_are_followed()
  local _, url = self.rig:listen { onconnection = function(socket) socket:send "here" end }
  local _, from = self.rig:listen { onupgrade = function(request) request:reject(302, { Location = url }) end }
  lu.assertEquals(select(4, self:connect(from)), 302)
  local socket <close> = assert(self:connect(from, { maxRedirects = 1 }))
  lu.assertEquals({ socket.url, socket:receive(5) }, { url, "here", "text" })
end

function T:test_a_handshake_that_takes_too_long()
  local server = self.rig:raw_server()
  local _, message, code = self:connect(server.url, { handshakeTimeout = 0.02 })
  lu.assertEquals(code, "TIMEOUT")
  lu.assertNotNil(message)
end

function T:test_misuse_raises()
  lu.assertErrorMsgContains("SyntaxError", wsock.connect, "nonsense")
  lu.assertErrorMsgContains("unknown option 'protocol'", wsock.connect, "ws://a/", { protocol = "x" })
  lu.assertErrorMsgContains("options must be a table", wsock.connect, "ws://a/", "x")
  lu.assertErrorMsgContains("connect takes a URL and options", wsock.connect, "ws://a/", nil, { origin = "x" })
end

-- Greeting and Close in the read that opened it: nothing is missed, whoever
-- listens afterwards.
-- Accepts from a timer, since the main thread may be busy waiting, and answers
-- the request with 101, a message and Close in one go.
local function hasty(r)
  local server = r:raw_server()
  local peer, timer
  timer = r.loop:every(0.001, function()
    peer = peer or server.sock:accept()
    if not peer then return end
    peer:settimeout(0)
    local data, _, part = peer:receive(4096)
    local key = (data or part):match "Key: (%S+)"
    if not key then return end
    timer:cancel()
    peer:send("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
      .. codec.accept(key) .. "\r\n\r\n" .. bytes.frame { "greeting" } .. bytes.close(3000, "bye"))
    peer:shutdown "send"
    r:keep(peer)
  end)
  return server.url
end

local function receiver(socket, got)
  repeat
    local data, _, code = socket:receive(5)
    got[#got + 1] = data or code
  until not data
end

local function listener(socket, got)
  socket:on("message", function(data) got[#got + 1] = data end)
  socket:on("close", function() got[#got + 1] = "CLOSED" end)
end

-- Nothing is missed, whoever listens afterwards.
function T:test_nothing_happens_before_it_returns()
  for _, use in ipairs { receiver, listener } do
    for _, run in ipairs { function(f) f() end, function(f) self.loop:spawn(f) end } do
      local got = {}
      run(function() use(assert(self:connect(hasty(self.rig))), got) end)
      self.rig:wait(function() return #got == 2 end)
      lu.assertEquals(got, { "greeting", "CLOSED" })
    end
  end
end

function T:test_a_cancelled_connect_leaves_nothing()
  local server = self.rig:raw_server()
  local task = self.loop:spawn(self.connect, self, server.url)
  local peer = server:accept()
  task:cancel()
  lu.assertNotNil(peer:take_end())
  self.rig:settle()
end

function T:test_an_interrupted_connect_leaves_nothing()
  local server = self.rig:raw_server()
  local main = coroutine.running()
  self.loop:after(0.005, function()
    debug.sethook(main, function() debug.sethook() error("interrupted!", 0) end, "c", 0)
  end)
  local ok, message = pcall(self.connect, self, server.url)
  lu.assertEquals({ ok, message }, { false, "interrupted!" })
  self.rig:settle()
end

function T:test_a_close_variable_closes()
  local code
  local _, url = self.rig:listen { onclose = function(_, c) code = c end }
  do
    local socket <close> = assert(self:connect(url)) -- luacheck: ignore
  end
  self.rig:wait(function() return code end)
  lu.assertEquals(code, 1005)
end

function T:test_messages_that_came_before_a_listener()
  local _, url = self.rig:listen { onconnection = function(socket) for i = 1, 3 do socket:send("m" .. i) end end }
  local socket = assert(self:connect(url))
  self.rig:idle()
  local got = {}
  socket.onmessage = function(event) got[#got + 1] = event.data end
  self.rig:wait(function() return #got == 3 end)
  lu.assertEquals(table.concat(got), "m1m2m3")
end

-- ---- programs ------------------------------------------------------------------------------

function T:test_round_trips_in_the_main_thread()
  local _, url = self.rig:listen { onmessage = echo }
  local socket <close> = assert(self:connect(url))
  for i = 1, 500 do
    socket:send("m" .. i)
    lu.assertEquals(socket:receive(5), "m" .. i)
  end
  socket:send(("x"):rep(1 << 20), "binary")
  lu.assertEquals(#socket:receive(5), 1 << 20)
end

function T:test_two_at_once()
  local _, url = self.rig:listen { onmessage = function(socket, data)
    self.loop:sleep(tonumber(data))
    socket:send(data)
  end }
  local start, tasks = self.loop:now(), {}
  for i = 1, 5 do
    tasks[i] = self.loop:spawn(function()
      local socket <close> = assert(self:connect(url))
      socket:send "0.05"
      return socket:receive(5)
    end)
  end
  for i = 1, 5 do lu.assertEquals({ tasks[i]:join() }, { true, "0.05", "text" }) end
  lu.assertTrue(self.loop:now() - start < 5 * 0.05 + 5)
end

-- Ten thousand coroutines, each with a socket, need 20,000 descriptors for both
-- ends; what the system allows is used.
local function allowed()
  local limits = assert(io.open "/proc/self/limits"):read "a"
  return tonumber(limits:match "Max open files%s+(%d+)") or 1024
end

function T:test_ten_thousand_coroutines_each_with_a_socket()
  local n = math.min(clock.times(10000, 500), (allowed() - 100) // 2)
  local _, url = self.rig:listen { onmessage = echo, maxConnections = n, handshakesMax = n, backlog = 4096 }
  collectgarbage()
  local before, ready, gate, failed = collectgarbage "count", 0, false, nil
  local tasks = {}
  local function client(i)
    local socket <close> = assert(self:connect(url, { handshakeTimeout = 200 }))
    ready = ready + 1
    while not gate do self.loop:sleep(0.05) end
    socket:send("m" .. i)
    local data = socket:receive(200)
    if data ~= "m" .. i then failed = i end
  end
  local start = os.clock()
  for i = 1, n do
    tasks[i] = self.loop:spawn(client, i)
    if i % 200 == 0 then for _ = 1, 3 do self.loop:step(0) end end
  end
  clock.wait(function() return ready == n end, 200, function() self.rig:turn() end)
  collectgarbage()
  local each = (collectgarbage "count" - before) * 1024 / n
  gate = true
  for i = 1, n do assert(tasks[i]:join(200)) end
  lu.assertNil(failed)
  lu.assertTrue(each < 10000, each) -- both ends, and the coroutine
  lu.assertTrue(os.clock() - start < 20 * clock.slow)
end

-- What is wrong is wrong where connect was called, not somewhere in the library.
function T:test_misuse_names_the_callers_line()
  for _, arguments in ipairs { {}, { "nonsense" }, { "ws://h/", { protocls = {} } }, { "ws://h/", "chat" } } do
    local ok, message = pcall(function() local socket = wsock.connect(table.unpack(arguments, 1, 2)) return socket end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "[^:]*straight_spec%.lua:%d+: [^:]+.*")
  end
  local message
  wsock.spawn(function()
    message = select(2, coroutine.resume(coroutine.create(function()
      local socket = wsock.connect "ws://127.0.0.1:1/"
      return socket
    end)))
  end):join()
  wsock.run() -- nothing is left of it
  lu.assertStrMatches(message, "[^:]*straight_spec%.lua:%d+: cannot wait here.*")
end

return T
