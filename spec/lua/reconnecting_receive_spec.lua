-- lua/wsock/reconnecting: asked for its messages, across the connections they come by.

local lu = require "luaunit"
local reconnecting = require "wsock.reconnecting"
local returning = require "support.returning"
local wsock = require "wsock"

local T = returning.class()
local contains = lu.assertErrorMsgContains

-- What receive answers, from a coroutine that reads until the end; list.done then.
function T:reader(socket, timeout)
  local list = {}
  self.rig.loop:spawn(function()
    repeat
      local data, kind, code = socket:receive(timeout)
      list[#list + 1] = data and ("%s:%s"):format(kind, data) or code
    until code == "CLOSED"
    list.done = true
  end)
  return list
end

function T:saw(list, n)
  self.rig:wait(function() return #list >= n end, function() return "only: " .. table.concat(list, " ") end)
  return table.concat(list, " ")
end

local function say(peer, text) peer:frame { op = "text", text } end

-- ---- drops in the middle ----------------------------------------------------------------

function T:test_a_coroutine_reads_across_connections()
  local socket = self:begin()
  local got = self:reader(socket)
  local peer = self.server:welcome()
  say(peer, "one")
  self:saw(got, 1)
  peer:reset()
  peer = self.server:welcome()
  peer:frame { op = "binary", "two" }
  say(peer, "three")
  self:saw(got, 3)
  peer:say_close(1001)
  peer:take_close()
  peer:close()
  peer = self.server:welcome()
  say(peer, "four")
  lu.assertEquals(self:saw(got, 4), "text:one binary:two text:three text:four")
  socket:close()
  peer:take_close()
  peer:say_close()
  peer:close()
  lu.assertEquals(self:saw(got, 5):match "%S+$", "CLOSED")
  self.rig:settle()
end

-- In the main thread receive turns the loop: a server of ours in the same one drops every other connection.
function T:test_the_main_thread()
  local comings = 0
  local _, url = self.rig:listen { onconnection = function(far)
    comings = comings + 1
    far:send("connection " .. comings)
    if comings < 4 then far:close(1012) else far:close(1000, "enough") end
  end }
  local socket = self:begin(nil, url)
  for i = 1, 4 do lu.assertEquals({ socket:receive(5) }, { "connection " .. i, "text" }) end
  lu.assertEquals({ socket:receive(5) }, { nil, "the connection was closed (1000)", "CLOSED", 1000, "enough" })
  lu.assertEquals({ socket:receive(0) }, { nil, "the connection was closed (1000)", "CLOSED", 1000, "enough" })
  lu.assertEquals(comings, 4)
end

function T:test_messages_is_an_iterator()
  local comings = 0
  local _, url = self.rig:listen { onconnection = function(far)
    comings = comings + 1
    for i = 1, 3 do far:send(("%d.%d"):format(comings, i), i == 2 and "binary" or "text") end
    far:close(comings < 3 and 1011 or 1008)
  end }
  local got = {}
  for data, kind in self:begin(nil, url):messages() do got[#got + 1] = kind:sub(1, 1) .. data end
  lu.assertEquals(table.concat(got, " "), "t1.1 b1.2 t1.3 t2.1 b2.2 t2.3 t3.1 b3.2 t3.3")
end

-- What came before a connection was lost is not lost with it, however late it is asked for.
function T:test_what_waited_outlives_its_connection()
  local socket = self:begin()
  local peer = self.server:welcome()
  lu.assertEquals({ socket:receive(0) }, { nil, "receive: timed out", "TIMEOUT" })
  self.rig:wait(function() return socket.readyState == 1 end)
  for i = 1, 3 do say(peer, "first " .. i) end
  peer:say_close(1001)
  peer:take_close()
  peer:close()
  peer = self.server:welcome()
  say(peer, "second")
  self.rig:wait(function() return socket.readyState == 1 end)
  for i = 1, 3 do lu.assertEquals({ socket:receive() }, { "first " .. i, "text" }) end
  lu.assertEquals({ socket:receive() }, { "second", "text" })
end

-- ---- time -------------------------------------------------------------------------------

function T:test_a_timeout_loses_nothing()
  local socket = self:begin()
  lu.assertEquals({ socket:receive(0.01) }, { nil, "receive: timed out", "TIMEOUT" }) -- not connected yet
  local peer = self.server:welcome()
  lu.assertEquals({ socket:receive(0.01) }, { nil, "receive: timed out", "TIMEOUT" })
  peer:send "\x81\3o" -- a part of a frame
  lu.assertEquals({ socket:receive(0.01) }, { nil, "receive: timed out", "TIMEOUT" })
  peer:send "ne"
  lu.assertEquals({ socket:receive(5) }, { "one", "text" })
end

-- While it waits to try again there is no socket to ask.
function T:test_a_timeout_between_connections()
  reconnecting.random = function() return 1 end
  local socket = self:begin { delay = 1000 }
  self.server:welcome():reset()
  self.rig:wait(function() return socket.attempts == 1 end)
  for _ = 1, 2 do lu.assertEquals({ socket:receive(0.01) }, { nil, "receive: timed out", "TIMEOUT" }) end
  local got = self:reader(socket)
  self.rig:idle()
  lu.assertEquals(#got, 0)
  socket:close()
  self:saw(got, 1)
  lu.assertEquals({ socket:receive() },
    { nil, ("recv 127.0.0.1:%d: Connection reset by peer"):format(self.server.port), "CLOSED", 1006, "" })
  self.rig:settle() -- nobody waits any more
end

-- ---- the end ----------------------------------------------------------------------------

function T:test_it_gives_up()
  local socket = self:begin()
  local peer = self.server:accept()
  peer:head()
  peer:send "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
  local why = ("handshake with ws://127.0.0.1:%d: server did not answer 101: 403"):format(self.server.port)
  lu.assertEquals({ socket:receive() }, { nil, why, "CLOSED", 1006, "" })
  self.server.close()
  socket = self:begin { maxAttempts = 3 }
  lu.assertEquals(select(3, socket:receive()), "CLOSED")
  lu.assertEquals(socket.attempts, 3)
end

-- Whether to give up cannot be asked: it does, and says so to all who wait.
function T:test_a_give_up_function_that_raises()
  local closed
  local socket = self:begin { giveUpCodes = function() error "oh" end }
  socket:on("close", function(code) closed = code end)
  local got = self:reader(socket)
  self.server:welcome():reset()
  self:saw(got, 1)
  lu.assertEquals({ got[1], closed, socket.readyState }, { "CLOSED", 1006, 3 })
  lu.assertStrContains(self.rig.errors[1][1], "oh")
  self.rig.errors = {}
  self.rig:settle()
end

function T:test_several_who_wait_share_the_messages()
  local socket = self:begin()
  local lists = { self:reader(socket), self:reader(socket), self:reader(socket) }
  local function sum() return #lists[1] + #lists[2] + #lists[3] end
  for round = 1, 3 do
    local peer = self.server:welcome()
    for i = 1, 4 do say(peer, "x" .. i) end
    self.rig:wait(function() return sum() == round * 4 end)
    peer:reset()
    self.rig:wait(function() return socket.attempts >= 1 or socket.readyState == 0 end)
  end
  socket:terminate()
  self.rig:wait(function() return lists[1].done and lists[2].done and lists[3].done end)
  lu.assertEquals(sum(), 15)
end

function T:test_cancelled_while_it_waits()
  reconnecting.random = function() return 1 end
  local socket = self:begin { delay = 1000 }
  local task = self.rig.loop:spawn(socket.receive, socket)
  self.server:welcome():reset()
  self.rig:wait(function() return socket.attempts == 1 end)
  self.rig:idle()
  lu.assertTrue(task:cancel())
  lu.assertEquals({ socket:receive(0.01) }, { nil, "receive: timed out", "TIMEOUT" })
end

-- ---- back-pressure ------------------------------------------------------------------------

-- Who does not read stops the peer, also across connections: what is over holds so much, and then the next is not read.
function T:test_who_does_not_read_fills_no_memory()
  local comings, sent = 0, 0
  local _, url = self.rig:listen { pingInterval = 0, onconnection = function(far)
    comings = comings + 1
    for _ = 1, 3 do far:send "x" end
    sent = sent + 3
    far:close(1011)
  end }
  local socket = self:begin({ receiveQueue = 4, pingInterval = 0 }, url)
  lu.assertEquals({ socket:receive() }, { "x", "text" })
  for _ = 1, 30 do self.rig:turn() end
  lu.assertTrue(comings <= 5, comings)
  for _ = 2, 40 do lu.assertEquals({ socket:receive() }, { "x", "text" }) end
  lu.assertTrue(sent >= 40 and sent <= 60, sent)
end

-- ---- asking and listening -------------------------------------------------------------------

function T:test_a_listener_gets_what_waited()
  for _, listen in ipairs {
    function(s, fn) s:on("message", fn) end,
    function(s, fn) s.onmessage = function(e) fn(e.data) end end,
    function(s, fn) s:addEventListener("message", function(e) fn(e.data) end) end,
  } do
    local socket, got = self:begin(), {}
    local peer = self.server:welcome()
    lu.assertNil((socket:receive(0)))
    say(peer, "one")
    peer:reset()
    peer = self.server:welcome()
    say(peer, "two")
    self.rig:wait(function() return socket.readyState == 1 end)
    listen(socket, function(data) got[#got + 1] = data end)
    lu.assertEquals(got, {}) -- in a turn of its own
    say(peer, "three")
    lu.assertEquals(self:saw(got, 3), "one two three")
    peer:reset()
    say(self.server:welcome(), "four")
    lu.assertEquals(self:saw(got, 4), "one two three four")
    socket:terminate()
    self.rig:settle()
  end
end

-- The first receive takes the messages from a listener, and one may be asked for in a handler.
function T:test_receive_takes_over()
  local socket, heard, asked = self:begin(), {}, {}
  socket:once("message", function(data)
    heard[#heard + 1] = data
    asked[#asked + 1] = socket:receive()
    asked[#asked + 1] = socket:receive()
  end)
  local peer = self.server:welcome()
  say(peer, "one")
  self:saw(heard, 1)
  say(peer, "two")
  self:saw(asked, 1)
  peer:reset()
  say(self.server:welcome(), "three")
  self:saw(asked, 2)
  lu.assertEquals({ heard, asked }, { { "one" }, { "two", "three" } })
end

-- A listener that is told of the rest asks for what is behind.
function T:test_asked_while_the_rest_is_handed_out()
  local socket, got = self:begin(), {}
  local peer = self.server:welcome()
  lu.assertNil((socket:receive(0)))
  for i = 1, 3 do say(peer, "m" .. i) end
  peer:reset()
  self.rig:wait(function() return socket.attempts == 1 end)
  socket:once("message", function(data)
    got[1] = data
    got[2] = socket:receive()
    got[3] = socket:receive()
    got[4] = socket:receive(0.01) or "none"
  end)
  lu.assertEquals(self:saw(got, 4), "m1 m2 m3 none")
end

function T:test_misuse()
  local socket = self:begin()
  for _, bad in ipairs { -1, 0 / 0 } do contains("seconds >= 0", socket.receive, socket, bad) end
  for _, bad in ipairs { "1", {}, true } do
    contains("receive: timeout must be a number of seconds >= 0, got " .. type(bad), socket.receive, socket, bad)
  end
  local parts = wsock.reconnecting(self.server.url, { loop = self.rig.loop, streaming = true })
  contains("reconnecting_receive_spec.lua:", function() local none = wsock.reconnecting "nonsense" return none end)
  contains("as 'chunk'", parts.receive, parts)
  contains("as 'chunk'", parts.messages, parts)
  parts:terminate()
  contains("cannot wait here", function()
    local raised
    self.rig.loop:after(0, function()
      raised = coroutine.wrap(function() return pcall(socket.receive, socket) end)
      raised = select(2, raised())
    end)
    self.rig:wait(function() return raised end)
    error(raised, 0)
  end)
end

-- What is wrong is wrong in the line that called.
function T:test_misuse_names_the_callers_line()
  local socket = self:begin()
  self.server:welcome()
  self.rig:wait(function() return socket.readyState == 1 end)
  for what, fn in pairs {
    ["data must be"] = function() local ok = socket:send {} return ok end,
    ["kind must be"] = function() local ok = socket:send("x", "y") return ok end,
    ["InvalidAccessError"] = function() local ok = socket:close(1001) return ok end,
    ["ping: data"] = function() local ok = socket:ping(("x"):rep(126)) return ok end,
    ["binaryType must be"] = function() socket.binaryType = "buffer" end,
    ["receive: timeout"] = function() local data = socket:receive "x" return data end,
  } do
    local _, message = pcall(fn)
    lu.assertStrMatches(message, "[^:]*reconnecting_receive_spec%.lua:%d+: " .. what .. ".*")
  end
end

-- ---- an open handler that waits --------------------------------------------------------------

function T:test_what_comes_while_an_open_handler_waits()
  for _, way in ipairs { "receive", "on", "onmessage" } do
    local go, got = false, {}
    local socket = self:begin()
    local function take(data) got[#got + 1] = data end
    socket:on("open", function()
      while not go do self.loop:sleep(0.001) end
      if way == "on" then socket:on("message", take) end
      if way == "onmessage" then socket.onmessage = function(event) take(event.data) end end
      if way == "receive" then
        for data in socket:messages() do take(data) end
      end
    end)
    local peer = self.server:welcome()
    peer:frame { "a" }
    peer:frame { "b" }
    self.rig:idle(10)
    go = true
    self.rig:wait(function() return #got == 2 end)
    peer:frame { "c" }
    self.rig:wait(function() return #got == 3 end)
    lu.assertEquals(table.concat(got), "abc")
    socket:terminate()
  end
end

return T
