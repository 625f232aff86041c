-- adapter/tasks: sockets for coroutines, over a loop and a transport made here.
-- What real loops do with it is in cqueues_spec and copas_spec.

local lu = require "luaunit"
local protocol = require "wsock".protocol
local tasks = require "wsock.adapter.tasks"

local T = {}

-- A loop with a clock that is moved by hand.
local function new_loop()
  local loop = { time = 0, ready = {}, sleeping = {} }
  function loop.now() return loop.time end
  local function resume(co, ...)
    local ok, message = coroutine.resume(co, ...)
    if not ok then loop.raised = message end
  end
  function loop.spawn(fn, ...) resume(coroutine.create(fn), ...) end
  function loop.slot()
    local slot = {}
    function slot:wait(seconds)
      local co = coroutine.running()
      self[co] = true
      loop.sleeping[co] = seconds and loop.time + seconds or math.huge
      coroutine.yield()
      self[co] = nil
    end
    function slot:signal()
      for co in pairs(self) do
        if type(co) == "thread" then loop.sleeping[co] = loop.time end
      end
    end
    return slot
  end
  -- Lets everything happen that can at this time.
  function loop.settle()
    local due
    repeat
      due = nil
      for co, time in pairs(loop.sleeping) do
        if time <= loop.time then due = co end
      end
      if due then
        loop.sleeping[due] = nil
        resume(due)
      end
    until not due
  end
  return loop
end

-- A transport whose far end is read and written by hand.
local function new_transport(loop)
  local t = { sent = "", income = {}, slot = loop.slot(), shut = false, closed = false }
  function t:read()
    while #self.income == 0 and not self.closed do self.slot:wait() end
    if self.closed then return nil end
    local item = table.remove(self.income, 1)
    if item == "" then return nil end
    if item == "broken" then return nil, "ECONNRESET" end
    return item
  end
  function t:write(bytes)
    while self.stuck and not self.closed do self.slot:wait() end
    self.sent = self.sent .. bytes
    return not self.broken
  end
  function t:shutdown() self.shut = true end
  function t:close()
    self.closed = true
    self.slot:signal()
  end
  function t:give(bytes)
    self.income[#self.income + 1] = bytes
    self.slot:signal()
    loop.settle()
  end
  return t
end

-- An open client of ours on that transport, and the far end as a protocol object.
function T:open(options)
  self.loop = new_loop()
  self.transport = new_transport(self.loop)
  self.far = protocol.server()
  self.loop.spawn(function()
    self.answer = table.pack(tasks.start(self.loop, self.transport, protocol.client("ws://h", options and options.conn),
      options))
    self.socket = self.answer[1]
  end)
  self.loop.settle()
  self.events = {}
  self:carry()
  lu.assertEquals(self.events, { "upgrade", "open" })
  self.events = {}
  return self.socket
end

-- Carries both ways and notes what the far end hears.
function T:carry()
  for _ = 1, 4 do
    self.far:feed(self.transport.sent)
    self.transport.sent = ""
    for name, a in self.far.next, self.far do
      if name == "upgrade" then
        a = nil
        self.far:accept()
      end
      self.events[#self.events + 1] = a and name .. " " .. a or name
    end
    local out = self.far:output()
    if out ~= "" then self.transport:give(out) end
    self.loop.settle()
  end
end

function T:task(fn)
  local result
  self.loop.spawn(function() result = table.pack(fn()) end)
  self.loop.settle()
  return function()
    if result then return table.unpack(result, 1, result.n) end
  end
end

function T:test_there_and_back()
  local socket = self:open()
  socket:send "hello"
  self:carry()
  lu.assertEquals(self.events, { "message hello" })
  local heard = self:task(function() return socket:receive() end)
  lu.assertNil(heard())
  self.far:send("\1", "binary")
  self:carry()
  lu.assertEquals({ heard() }, { "\1", "binary" })
end

function T:test_receive_with_a_time()
  local socket = self:open()
  local heard = self:task(function() return socket:receive(5) end)
  self.loop.time = 4.9
  self.loop.settle()
  lu.assertNil(heard())
  self.loop.time = 5
  self.loop.settle()
  lu.assertEquals({ heard() }, { nil, "receive: no message came in time", "TIMEOUT" })
end

function T:test_keep_alive_and_its_end()
  self:open { conn = { pingInterval = 30, pingTimeout = 20 } }
  self.loop.time = 30
  self.loop.settle()
  self:carry()
  lu.assertEquals(self.events, { "ping \0\0\0\1" })
  self.loop.time = 60
  self.loop.settle()
  self.loop.time = 80
  self.loop.settle()
  lu.assertTrue(self.transport.closed)
  lu.assertEquals(self.socket.over.code, 1006)
  local answer = self:task(function() return self.socket:receive() end)
  lu.assertEquals({ select(3, answer()) }, { "CLOSED", 1006, "" })
end

function T:test_what_is_being_written_may_leave()
  local socket = self:open()
  self.transport.stuck = true
  socket:send "x"
  self.loop.settle()
  self.far:close(1000)
  self.transport:give(self.far:output()) -- our answer waits behind x
  self.transport:give ""
  lu.assertFalse(self.transport.closed)
  self.transport.stuck = false
  self.transport.slot:signal()
  self:carry()
  lu.assertEquals(self.far:stats().framesIn, 2) -- x, which is dropped behind Close, and our Close
  lu.assertTrue(self.transport.closed)
end

function T:test_terminate_cuts_what_is_being_written()
  local socket = self:open()
  self.transport.stuck = true
  socket:send "x"
  self.loop.settle()
  socket:terminate()
  lu.assertTrue(self.transport.closed)
  self.loop.settle()
end

function T:test_a_transport_that_breaks()
  local socket = self:open()
  self.transport:give "broken"
  lu.assertEquals({ socket.over.code, self.transport.closed }, { 1006, true })
  socket = self:open()
  self.transport.broken = true
  socket:send "x"
  self.loop.settle()
  lu.assertEquals({ socket.over.code, self.transport.closed }, { 1006, true })
end

function T:test_the_queue_stops_reading()
  local socket = self:open { receiveQueue = 2 }
  for i = 1, 5 do self.far:send("m" .. i) end
  self.transport:give(self.far:output())
  lu.assertEquals({ socket.last, socket.conn.isPaused }, { 2, true })
  local list = {}
  self:task(function()
    for data in socket:messages() do list[#list + 1] = data end
  end)
  lu.assertEquals(list, { "m1", "m2", "m3", "m4", "m5" })
end

function T:test_send_waits_above_the_mark()
  local socket = self:open { highWaterMark = 1000, conn = { highWaterMark = 1000, lowWaterMark = 500 } }
  self.transport.stuck = true
  local done = self:task(function()
    socket:send(("x"):rep(100000))
    return socket:send(("y"):rep(100000))
  end)
  lu.assertNil(done())
  self.transport.stuck = false
  self.transport.slot:signal()
  self.loop.settle()
  lu.assertTrue(done())
end

function T:test_serve_closes_and_raises()
  self.loop = new_loop()
  local said = {}
  local socket = {
    close = function(_, ...) said[#said + 1] = table.concat({ ... }, " ") end,
    receive = function() said[#said + 1] = "receive" end,
  }
  local server = { count = 0 }
  tasks.serve(server, function(client, options)
    lu.assertEquals({ client, server.count }, { 1, 1 })
    return options and socket
  end, 1, { handler = function() end })
  lu.assertErrorMsgContains("oh", tasks.serve, server, function() return socket end, 1,
    { handler = function() error "oh" end })
  lu.assertNil(tasks.serve(server, function() return nil end, 1, {}))
  lu.assertEquals(server.count, 0)
  local closed
  tasks.serve({ count = 3 }, error, { close = function() closed = true end }, { maxConnections = 3 })
  lu.assertTrue(closed)
  lu.assertEquals(said, { "1000", "receive", "1011 internal error", "receive" })
end

return T
