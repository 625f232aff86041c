-- bind/lua_pull: receive, messages, drain; push and pull; a slow reader stops
-- the peer.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"

local T = rigs.class()

-- A client that nobody listens to, and its raw peer.
function T:silent(options)
  local socket, _, peer = self.rig:opened(options)
  for _, name in ipairs { "message", "drain", "open", "close", "error", "ping", "pong" } do socket:off(name) end
  return socket, peer
end

-- The peer says Close and ends TCP, as a server does.
local function bye(peer, code, reason)
  peer:say_close(code, reason)
  peer:shut()
end

-- Both ways to wait: in the main thread, and in a coroutine of the loop.
function T:both(fn)
  fn(function(f, ...) return f(...) end)
  fn(function(f, ...) return select(2, assert(self.loop:spawn(f, ...):join(rigs.LIMIT))) end)
end

-- ---- receive -------------------------------------------------------------------------

function T:test_data_and_kind_in_order()
  self:both(function(where)
    local socket, peer = self:silent()
    peer:send(bytes.frame { "a" } .. bytes.frame { op = "binary", "\0" } .. bytes.frame { "" })
    lu.assertEquals({ where(socket.receive, socket) }, { "a", "text" })
    lu.assertEquals({ where(socket.receive, socket, 5) }, { "\0", "binary" })
    lu.assertEquals({ where(socket.receive, socket, 0.5) }, { "", "text" })
    lu.assertEquals(select(3, where(socket.receive, socket, 0)), "TIMEOUT")
  end)
end

-- A timeout in the middle of a frame, a message, a character: nothing is lost.
function T:test_a_timeout_loses_nothing()
  local whole = bytes.frame { "aä€", fin = false } .. bytes.frame { op = "continuation", "b", fin = false }
    .. bytes.frame { op = "ping", "" } .. bytes.frame { op = "continuation", ("c"):rep(200) }
  local expected = "aä€b" .. ("c"):rep(200)
  self:both(function(where)
    for at = 1, #whole - 1, 7 do
      local socket, peer = self:silent()
      peer:send(whole:sub(1, at))
      lu.assertEquals(select(3, where(socket.receive, socket, 0.002)), "TIMEOUT")
      peer:send(whole:sub(at + 1))
      lu.assertEquals({ where(socket.receive, socket, 5) }, { expected, "text" })
      socket:terminate()
    end
  end)
end

function T:test_the_end()
  self:both(function(where)
    local socket, peer = self:silent()
    peer:frame { "last" }
    bye(peer, 3000, "bye")
    lu.assertEquals({ where(socket.receive, socket, 5) }, { "last", "text" })
    for _ = 1, 2 do
      lu.assertEquals({ where(socket.receive, socket, 5) },
        { nil, "the connection was closed (3000)", "CLOSED", 3000, "bye" })
    end
  end)
end

function T:test_an_end_without_a_close()
  self:both(function(where)
    local socket, peer = self:silent()
    peer:reset()
    local data, message, code, close, reason = where(socket.receive, socket, 5)
    lu.assertEquals({ data, code, close, reason }, { nil, "CLOSED", 1006, "" })
    lu.assertStrMatches(message, "recv 127%.0%.0%.1:%d+: .+")
  end)
end

function T:test_what_the_peer_did_wrong()
  self:both(function(where)
    local socket, peer = self:silent()
    peer:frame { "\xff" }
    peer:shut()
    local _, message, code, close = where(socket.receive, socket, 5)
    lu.assertEquals({ code, close }, { "CLOSED", 1006 })
    lu.assertStrContains(message, "UTF-8")
  end)
end

function T:test_after_our_own_close()
  local socket, peer = self:silent()
  peer:frame { "before" }
  lu.assertEquals(socket:receive(5), "before")
  socket:close(1000)
  peer:take_close()
  peer:frame { "dropped" }
  bye(peer, 1000, "")
  lu.assertEquals({ select(3, socket:receive(5)) }, { "CLOSED", 1000, "" })
end

function T:test_while_connecting_and_refused()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local task = self.loop:spawn(socket.receive, socket)
  local peer = server:welcome()
  peer:frame { "x" }
  lu.assertEquals({ task:join(5) }, { true, "x", "text" })
  socket = self.rig:client "ws://127.0.0.1:1/"
  lu.assertEquals({ select(3, socket:receive(5)) }, { "CLOSED", 1006, "" })
end

function T:test_of_a_closed_loop()
  local socket = self:silent()
  self.loop:close()
  lu.assertEquals(select(3, socket:receive()), "CLOSED")
  lu.assertEquals(select(3, socket:drain()), "CLOSED")
  for _ in socket:messages() do lu.fail "a message" end
  self.rig = rigs.new()
end

function T:test_misuse()
  local socket = self:silent()
  lu.assertErrorMsgContains("wsock.socket expected", socket.receive, self.loop)
  lu.assertErrorMsgContains("wsock.socket expected", socket.messages, {})
  lu.assertErrorMsgContains("wsock.socket expected", (socket:messages()), {})
  lu.assertErrorMsgContains("wsock.socket expected", socket.drain, nil)
  for _, wrong in ipairs { 0, -1, 1.5, 1 << 40, "1" } do
    lu.assertErrorMsgContains("receiveQueue", self.rig.client, self.rig, "ws://127.0.0.1:1/", nil,
      { receiveQueue = wrong })
  end
end

function T:test_several_readers_take_turns()
  local socket, peer = self:silent()
  local got, tasks = {}, {}
  for i = 1, 3 do
    tasks[i] = self.loop:spawn(function()
      local data = socket:receive()
      while data do
        got[#got + 1] = i .. data
        data = socket:receive()
      end
    end)
  end
  self.rig:turn()
  for i = 1, 6 do peer:frame { "m" .. i } self.rig:turn() end
  bye(peer, 1000)
  for i = 1, 3 do tasks[i]:join() end
  lu.assertEquals(table.concat(got, " "), "1m1 2m2 3m3 1m4 2m5 3m6")
end

function T:test_a_reader_that_gave_up_is_not_handed_anything()
  local socket, peer = self:silent()
  local one = self.loop:spawn(socket.receive, socket, 0.001)
  local two = self.loop:spawn(socket.receive, socket)
  local three = self.loop:spawn(socket.receive, socket)
  self.rig:turn()
  one:join()
  two:cancel()
  peer:frame { "x" }
  lu.assertEquals({ three:join() }, { true, "x", "text" })
end

function T:test_binary_types()
  local socket, peer = self:silent()
  socket.binaryType = "blob"
  local task = self.loop:spawn(socket.receive, socket)
  self.rig:turn()
  peer:frame { op = "binary", "\1\2" }
  lu.assertEquals(select(2, task:join()):text(), "\1\2")
  peer:send(bytes.frame { op = "binary", "\3" } .. bytes.frame { "text" })
  self.rig:idle()
  socket.binaryType = "arraybuffer" -- counts when it is delivered
  lu.assertEquals(socket:receive()[1], 3)
  lu.assertEquals(socket:receive(), "text")
end

-- ---- messages ------------------------------------------------------------------------

function T:test_messages_until_the_end()
  self:both(function(where)
    local socket, peer = self:silent()
    for i = 1, 40 do peer:frame { "m" .. i } end
    bye(peer, 1001, "gone")
    local got = where(function()
      local list = {}
      for data, kind in socket:messages() do list[#list + 1] = data .. kind end
      return list
    end)
    lu.assertEquals(#got, 40)
    lu.assertEquals(got[40], "m40text")
    lu.assertEquals(select(4, socket:receive()), 1001)
  end)
end

function T:test_messages_can_be_left_and_gone_on_with()
  local socket, peer = self:silent()
  for i = 1, 4 do peer:frame { "m" .. i } end
  for data in socket:messages() do if data == "m2" then break end end
  local receive, of = socket:messages()
  lu.assertEquals(receive(of, "m2"), "m3")
  lu.assertEquals(socket:receive(5), "m4")
end

-- ---- a server's socket --------------------------------------------------------------------

function T:test_a_coroutine_for_each_connection()
  local ended = 0
  local _, url = self.rig:listen {
    onconnection = function(socket)
      for data, kind in socket:messages() do socket:send(data .. "!", kind) end
      ended = ended + 1
    end,
    onmessage = function() error "it was pulled" end,
  }
  local clients, records = {}, {}
  for i = 1, 10 do
    clients[i] = self.rig:client(url)
    records[i] = rigs.record(clients[i])
    clients[i]:on("open", function(_) clients[i]:send("m" .. i) end)
  end
  for i = 1, 10 do
    self.rig:events(records[i], 2)
    lu.assertEquals(records[i]:last(), ("text:m%d!"):format(i))
    clients[i]:close()
  end
  self.rig:wait(function() return ended == 10 end)
end

function T:test_a_servers_socket_whose_reader_raised_is_closed_with_1011()
  local _, url = self.rig:listen { onconnection = function(socket) socket:receive() error("mine", 0) end }
  local client = self.rig:client(url)
  local record = rigs.record(client)
  self.rig:wait(function() return client.readyState == 1 end)
  client:send "x"
  self.rig:closed(record)
  lu.assertStrMatches(record:last(), "close:1011:.*:true")
  lu.assertEquals(self.rig.errors[1][1], "mine")
  self.rig.errors = {}
end

function T:test_a_request_for_more_in_the_servers_message_handler()
  local answers = {}
  local near, record = self.rig:pair(nil, { onmessage = function(socket, data)
    if data ~= "name?" then return end
    socket:send "yours first"
    answers[1] = socket:receive(5)
    socket:send("hello " .. answers[1])
  end })
  near:send "name?"
  near:send "ann"
  self.rig:wait(function() return record:last() == "text:hello ann" end)
end

-- ---- push and pull -----------------------------------------------------------------------

function T:test_push_until_the_first_receive()
  local socket, peer = self:silent()
  local pushed = {}
  socket:on("message", function(data) pushed[#pushed + 1] = data end)
  peer:frame { "a" }
  self.rig:wait(function() return #pushed == 1 end)
  peer:frame { "b" }
  lu.assertEquals(socket:receive(5), "b")
  peer:frame { "c" }
  self.rig:idle()
  lu.assertEquals(pushed, { "a" })
  lu.assertEquals(socket:receive(5), "c")
end

function T:test_a_listener_turns_it_back_and_gets_what_waited()
  for _, way in ipairs { "on", "once", "attribute", "add" } do
    local socket, peer = self:silent()
    lu.assertEquals(select(3, socket:receive(0)), "TIMEOUT")
    for i = 1, 3 do peer:frame { "m" .. i } end
    self.rig:idle()
    local got = {}
    local function take(data) got[#got + 1] = type(data) == "table" and data.data or data end
    if way == "on" then socket:on("message", take) end
    if way == "once" then socket:once("message", take) socket:on("message", function() end) end
    if way == "attribute" then socket.onmessage = take end
    if way == "add" then socket:addEventListener("message", take) end
    lu.assertEquals(got, {}) -- not before the loop turns
    peer:frame { "m4" }
    local n = way == "once" and 1 or 4
    self.rig:wait(function() return #got == n end)
    lu.assertEquals(table.concat(got, " "), ("m1 m2 m3 m4"):sub(1, 3 * n - 1))
  end
end

-- Also one that is added in a handler of the socket's own: whatever comes next may be long in coming, and behind the
-- close nothing comes.
function T:test_a_listener_that_is_added_in_a_handler()
  for _, event in ipairs { "ping", "close" } do
    local far
    local _, url = self.rig:listen { onconnection = function(socket)
      far = socket
      for i = 1, 3 do socket:send("m" .. i) end
    end }
    local socket, got = assert(wsock.connect(url, { loop = self.rig.loop })), {}
    socket:on(event, function() socket:on("message", function(data) got[#got + 1] = data end) end)
    self.rig:wait(function() return far end)
    self.rig:idle()
    lu.assertEquals(got, {})
    if event == "ping" then far:ping() else far:close() end
    self.rig:wait(function() return #got == 3 end)
    lu.assertEquals(got, { "m1", "m2", "m3" })
    socket:terminate()
  end
end

function T:test_other_listeners_and_taking_away_leave_it_as_it_is()
  local socket, peer = self:silent()
  local function listener() lu.fail "was called" end
  socket:on("message", listener)
  socket:receive(0)
  socket:on("close", print):on("ping", print)
  socket:off("message", listener)
  socket.onmessage = nil
  socket:off "close"
  peer:frame { "x" }
  lu.assertEquals(socket:receive(5), "x")
end

function T:test_what_waits_when_a_full_queue_is_turned_back()
  local socket, peer = self:silent { receiveQueue = 4 }
  socket:receive(0)
  for i = 1, 20 do peer:frame { "m" .. i } end
  self.rig:idle()
  local got = {}
  socket:on("message", function(data) got[#got + 1] = data end)
  self.rig:wait(function() return #got == 20 end)
  lu.assertEquals(got[20], "m20")
end

function T:test_a_listener_that_receives()
  local socket, peer = self:silent()
  socket:receive(0)
  for i = 1, 4 do peer:frame { "m" .. i } end
  self.rig:idle()
  local got = {}
  socket:on("message", function(data)
    got[#got + 1] = data
    for more in socket:messages() do got[#got + 1] = "+" .. more end
    got[#got + 1] = "end"
  end)
  bye(peer)
  self.rig:wait(function() return got[#got] == "end" end)
  lu.assertEquals(table.concat(got, " "), "m1 +m2 +m3 +m4 end")
end

-- ---- a slow reader -------------------------------------------------------------------------

function T:test_a_slow_reader_stops_the_peer_and_not_the_memory()
  local socket, peer = self:silent()
  socket:receive(0)
  collectgarbage()
  local before = collectgarbage "count"
  local frame, sent, still = bytes.frame { op = "binary", ("x"):rep(60000) }, 0, 0
  local rest = ""
  peer.sock:settimeout(0)
  while still < 20 do -- as much as it takes
    if rest == "" then rest = frame end
    local last, _, part = peer.sock:send(rest)
    local n = last or part
    rest, sent, still = rest:sub(n + 1), sent + n, n == 0 and still + 1 or 0
    self.loop:step(0)
    lu.assertTrue(sent < 64 << 20, "it reads on")
  end
  collectgarbage()
  lu.assertTrue(collectgarbage "count" - before < 2200) -- 16 of 60 KB, and a read's rest
  -- and goes on
  local got = 0
  peer:send(rest)
  sent = sent + #rest
  while got * #frame < sent do
    lu.assertEquals(#assert(socket:receive(5)), 60000)
    got = got + 1
  end
  lu.assertEquals(select(3, socket:receive(0)), "TIMEOUT")
end

function T:test_the_queue_is_as_long_as_it_says()
  for _, max in ipairs { 1, 2, 3, 16, 100 } do
    local socket, peer = self:silent { receiveQueue = max }
    socket:receive(0)
    for i = 1, 150 do peer:frame { "m" .. i } end
    self.rig:idle(10)
    lu.assertEquals(socket:stats().messagesIn, max)
    for i = 1, 150 do lu.assertEquals(socket:receive(5), "m" .. i) end
    socket:terminate()
  end
end

-- However long it may become, it takes no more room than it had to.
function T:test_a_queue_that_may_be_long()
  local socket, peer = self:silent { receiveQueue = 0x7FFFFFFF }
  local function some()
    for _ = 1, 10 do
      peer:send(bytes.frame { "x" }:rep(500))
      for _ = 1, 500 do lu.assertEquals(socket:receive(5), "x") end
    end
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  local before = some()
  lu.assertTrue(some() - before < 20, "KiB for messages that are gone")
end

-- A few large messages fill it as well.
function T:test_bytes_count_too()
  local socket, peer = self:silent { highWaterMark = 100000, lowWaterMark = 0 }
  socket:receive(0)
  for _ = 1, 10 do peer:frame { ("x"):rep(60000) } end
  self.rig:idle(10)
  lu.assertEquals(socket:stats().messagesIn, 2)
  for _ = 1, 10 do lu.assertEquals(#socket:receive(5), 60000) end
end

function T:test_pause_and_receive()
  local socket, peer = self:silent()
  socket:pause()
  peer:frame { "x" }
  lu.assertEquals(select(3, socket:receive(0.01)), "TIMEOUT")
  lu.assertTrue(socket.isPaused)
  socket:resume()
  lu.assertEquals(socket:receive(5), "x")
end

function T:test_a_full_queue_is_no_pause_of_the_users()
  local socket, peer = self:silent { receiveQueue = 1 }
  socket:receive(0)
  for i = 1, 3 do peer:frame { "m" .. i } end
  self.rig:idle()
  lu.assertFalse(socket.isPaused)
  socket:resume()
  self.rig:idle()
  lu.assertEquals(socket:stats().messagesIn, 1)
end

-- The silence of one we do not listen to is our own.
function T:test_pings_while_the_queue_is_full()
  clock.patiently(function(times)
    local socket, peer = self:silent { receiveQueue = 1, pingInterval = 0.01 * times, pingTimeout = 0.01 * times }
    socket:receive(0)
    for i = 1, 3 do peer:frame { "m" .. i } end
    self.loop:sleep(0.1 * times)
    lu.assertEquals(socket.readyState, 1)
    lu.assertEquals(socket:receive(), "m1")
  end)
end

-- ---- drain ----------------------------------------------------------------------------------

function T:test_drain()
  self:both(function(where)
    local socket, peer = self:silent { highWaterMark = 1 << 20, lowWaterMark = 1000 }
    lu.assertEquals({ where(socket.drain, socket, 0) }, { true })
    local drained
    socket:on("drain", function() drained = true end)
    socket:send(("x"):rep(8 << 20), "binary")
    lu.assertEquals({ where(socket.drain, socket, 0.01) }, { nil, "drain: timed out", "TIMEOUT" })
    self.loop:spawn(function()
      while not drained do
        peer:look()
        peer.got = ""
        self.loop:sleep(0)
      end
    end)
    lu.assertEquals({ where(socket.drain, socket, 5) }, { true })
    lu.assertTrue(socket.bufferedAmount <= 1000)
  end)
end

-- Between the marks no drain event is owed, but who asks is told.
function T:test_drain_between_the_marks()
  local socket, peer = self:silent { highWaterMark = 64 << 20, maxBuffered = 64 << 20, lowWaterMark = 0 }
  socket:send(("x"):rep(8 << 20), "binary")
  local task = self.loop:spawn(socket.drain, socket)
  self.rig:wait(function()
    peer:look()
    peer.got = ""
    return tostring(task):find "done"
  end)
  lu.assertEquals({ task:join() }, { true, true })
end

function T:test_drain_of_one_that_ends()
  local socket, peer = self:silent()
  socket:send(("x"):rep(8 << 20), "binary")
  local task = self.loop:spawn(socket.drain, socket)
  self.rig:turn()
  peer:reset()
  lu.assertEquals({ select(4, task:join()) }, { "CLOSED", 1006, "" })
end

-- ---- sent at once where no turn runs --------------------------------------------------------

function T:test_straight_line_code_sends_at_once()
  local socket, peer = self:silent()
  socket:receive(0)
  socket:send "now"
  self.loop = nil
  local frame
  for _ = 1, 200 do -- the peer only: our loop stands still
    frame = frame or bytes.parse(peer:look())
  end
  lu.assertEquals(frame and frame.payload, "now")
  socket:ping "p"
  socket:close(1000)
  for _ = 1, 200 do peer:look() end
  local _, rest = bytes.parse(peer.got)
  local ping, last = bytes.parse(rest)
  lu.assertEquals({ ping.payload, bytes.parse(last).op }, { "p", bytes.OP.close })
end

-- ---- lifetime -------------------------------------------------------------------------------

-- What may be done to a socket while somebody waits in it.
local acts = {
  close = function(s) s.socket:close(1000) end,
  terminate = function(s) s.socket:terminate() end,
  peer_resets = function(s) s.peer:reset() end,
  peer_closes = function(s) bye(s.peer, 1000) end,
  drop = function(s) s.socket = nil collectgarbage() collectgarbage() end,
  cancel = function(s) for _, task in ipairs(s.tasks) do task:cancel() end end,
  listen = function(s) s.socket:on("message", function() end) end,
  raise = function() error("act", 0) end,
  receive_too = function(s) s.socket:receive(0.001) end,
  pause = function(s) s.socket:pause() s.socket:resume() end,
}

for name, act in pairs(acts) do
  T["test_while_others_wait_" .. name] = function(self)
    local s = { tasks = {} }
    s.socket, s.peer = self:silent { lowWaterMark = 0, highWaterMark = 0 }
    s.socket:send(("x"):rep(8 << 20), "binary")
    for i, method in ipairs { "receive", "drain", "receive", "drain" } do
      s.tasks[i] = self.loop:spawn(s.socket[method], s.socket)
    end
    self.loop:spawn(function() act(s) end)
    self.rig:idle()
    self.rig.errors = {}
    pcall(s.peer.frame, s.peer, { "x" })
    self.rig:idle()
    pcall(s.peer.reset, s.peer)
    for _, task in ipairs(s.tasks) do
      local _, result = task:join(rigs.LIMIT)
      lu.assertNotEquals(result, "join: timed out")
    end
    if s.socket then s.socket:terminate() end
    s = nil -- luacheck: ignore
    self.rig:settle()
  end
end

return T
