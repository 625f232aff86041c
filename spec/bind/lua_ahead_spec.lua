-- bind/lua_ahead: a coroutine that was handed a message takes
-- those behind it from the session itself. Nobody must be able to tell.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local probe = require "wsock.probe".bind

local T = {}

function T:setUp()
  self.rig = rigs.new()
  self.loop = self.rig.loop
  self.log = {}
end

function T:tearDown() self.rig:close() end

function T:say(...) self.log[#self.log + 1] = table.concat({ ... }, " ") end

-- Text messages m1 ... mn, as bytes.
local function messages(n, first)
  local list = {}
  for i = first or 1, n do list[#list + 1] = bytes.frame { "m" .. i } end
  return table.concat(list)
end

-- A client whose coroutine waits for a message, and its raw peer; reader(socket)
-- is that coroutine.
function T:waiting(reader, options)
  local socket, _, peer = self.rig:opened(options)
  for _, name in ipairs { "message", "ping", "pong", "close", "error" } do socket:off(name) end
  local task = self.loop:spawn(reader, socket)
  self.rig:turn()
  return task, socket, peer
end

function T:test_what_lies_between_messages_comes_between_them()
  local task, socket, peer = self:waiting(function(socket)
    for data in socket:messages() do self:say(data) end
    self:say((select(2, socket:receive())))
  end)
  socket:on("ping", function(data) self:say("ping", data) end)
  socket:on("pong", function(data) self:say("pong", data) end)
  socket:on("close", function(code) self:say("close", tostring(code)) end)
  peer:send(messages(2) .. bytes.frame { op = "ping", "1" } .. bytes.frame { op = "pong", "2" } .. messages(3, 3)
    .. bytes.frame { op = "ping", "3" } .. messages(5, 4) .. bytes.close(3000))
  peer:shut()
  task:join(rigs.LIMIT)
  lu.assertEquals(self.log, { "m1", "m2", "ping 1", "pong 2", "m3", "ping 3", "m4", "m5", "close 3000",
    "the connection was closed (3000)" })
end

-- It may answer each at once.
function T:test_answers_to_a_burst()
  local _, _, peer = self:waiting(function(socket)
    for data in socket:messages() do socket:send(data) end
  end)
  peer:send(messages(9))
  for i = 1, 9 do lu.assertEquals(peer:take().payload, "m" .. i) end
end

function T:test_several_readers_of_one_burst_take_turns()
  local function reader(name)
    return function(socket) for data in socket:messages() do self:say(name, data) end end
  end
  local one, socket, peer = self:waiting(reader "a")
  local two = self.loop:spawn(reader "b", socket)
  self.rig:turn()
  peer:send(messages(4) .. bytes.close())
  peer:shut()
  one:join(rigs.LIMIT)
  two:join(rigs.LIMIT)
  lu.assertEquals(self.log, { "a m1", "b m2", "a m3", "b m4" })
end

function T:test_a_reader_that_waits_for_something_else_in_between()
  local task, socket, peer = self:waiting(function(socket)
    self:say((socket:receive()))
    self.loop:sleep(0.001)
    self:say((socket:receive()))
    self:say(self.loop:spawn(socket.receive, socket):join() and "joined")
    self:say((socket:receive()))
  end)
  peer:send(messages(4))
  lu.assertTrue(task:join(rigs.LIMIT))
  lu.assertEquals(self.log, { "m1", "m2", "joined", "m4" })
  socket:terminate()
end

function T:test_kinds_and_binary_types()
  local task, _, peer = self:waiting(function(socket)
    for data, kind in socket:messages() do
      self:say(type(data) == "string" and data or data:text(), kind)
      socket.binaryType = "blob"
    end
  end)
  peer:send(bytes.frame { op = "binary", "\1" } .. bytes.frame { op = "binary", "\2" } .. bytes.frame { "a" }
    .. bytes.close())
  peer:shut()
  task:join(rigs.LIMIT)
  lu.assertEquals(self.log, { "\1 binary", "\2 binary", "a text" })
end

function T:test_a_listener_in_the_middle_gets_the_rest()
  local task, socket, peer = self:waiting(function(socket)
    self:say((socket:receive()))
    self:say((socket:receive()))
    socket:on("message", function(data) self:say("heard", data) end)
  end)
  peer:send(messages(4))
  lu.assertTrue(task:join(rigs.LIMIT))
  self.rig:wait(function() return #self.log == 4 end)
  lu.assertEquals(self.log, { "m1", "m2", "heard m3", "heard m4" })
  socket:terminate()
end

-- Everything that may happen to the socket in the middle of a burst.
function T:test_the_end_in_the_middle()
  local ends = {
    close = function(socket) socket:close(3001) end,
    terminate = function(socket) socket:terminate() end,
    raise = function() error("mine", 0) end,
    cancel = function(_, task) task:cancel() end,
    pause = function(socket) socket:pause() end,
    listener = function(socket) socket:on("message", function() end) end,
    collect = function() collectgarbage() end,
  }
  for name, act in pairs(ends) do
    local task, socket, peer
    local over = false
    task, socket, peer = self:waiting(function(s)
      s:receive()
      self.loop:after(0, function() act(s, task) end)
      for _ in s:messages() do if not over then over = true act(s, task) end end
    end)
    peer:send(messages(5))
    self.rig:wait(function() return over end, name)
    self.rig:idle()
    socket:terminate()
    task:cancel()
    if name == "raise" then lu.assertEquals(self.rig.errors[1][1], "mine") end
    self.rig.errors = {}
  end
end

-- A peer that never stops talking leaves the others their turn.
function T:test_a_flood_does_not_hold_the_loop()
  local n, fired = 0, nil
  local task, socket, peer = self:waiting(function(s) for _ in s:messages() do n = n + 1 end end)
  self.loop:after(0, function() fired = n end)
  local flood = messages(20000)
  peer.sock:settimeout(0)
  local at = 1
  self.rig:wait(function()
    local sent, _, partly = peer.sock:send(flood, at)
    at = (sent or partly or at - 1) + 1
    return at > #flood and n == 20000
  end)
  lu.assertTrue(fired < n, fired)
  socket:terminate()
  lu.assertTrue(task:join(rigs.LIMIT))
end

-- Without memory for a message it is gone, and so is its connection: who catches the error and asks again is not
-- handed the one behind it.
function T:test_no_memory_for_a_message()
  local text = [[
    local wsock = require "wsock"
    local loop, got = wsock.loop(), {}
    loop.onerror = function() end
    local server = assert(wsock.listen { loop = loop, port = 0, onconnection = function(socket)
      for i = 1, 6 do socket:send(i .. ("x"):rep(3000)) end
    end })
    local socket = assert(wsock.connect("ws://127.0.0.1:" .. select(2, server:address()) .. "/", { loop = loop }))
    loop:spawn(function()
      for _ = 1, 12 do
        local ok, data, _, code = pcall(socket.receive, socket)
        got[#got + 1] = not ok and "!" or data and data:sub(1, 1) or code
      end
    end)
    arm()
    pcall(function() for _ = 1, 10 do loop:step(0.01) end end)
    disarm()
    loop:close()
    return table.concat(got)]]
  local _, info = probe.state(text)
  local told = 0
  for n = 1, info.calls do
    local got = probe.state(text, n, 2)
    local read = got:match "^[%d!]*":gsub("!", "")
    lu.assertEquals({ n, ("123456"):sub(1, #read) }, { n, read })
    if got:find "%d!" then told = told + 1 end
  end
  lu.assertTrue(told > 0)
end

return T
