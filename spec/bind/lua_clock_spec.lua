-- bind: what begins when a socket was idle has its whole time. A connection is
-- told the time when its own turn comes; who acts on it between two tells it too.
--
-- Times are looked at from below only: nothing may be over too early.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rig = require "support.rig"

local T = rig.class()

local TIME, IDLE = 0.3, 0.4 -- seconds
local options = { closeTimeout = TIME, pingInterval = 0 }

function T:idle()
  local over
  self.loop:after(IDLE, function() over = true end)
  self.rig:wait(function() return over end)
end

-- Whether it took its time since then; the system's clock is read in milliseconds.
function T:took(since) lu.assertTrue(self.loop:now() - since >= TIME - 0.005, self.loop:now() - since) end

function T:test_closing()
  local socket, record = self.rig:opened(options)
  self:idle()
  local since = self.loop:now()
  socket:close(1000)
  self.rig:closed(record)
  self:took(since)
  lu.assertEquals(record:last(), "close:1006::false")
end

function T:test_closing_in_a_handler()
  local socket, record = self.rig:opened(options)
  local since
  self.loop:after(IDLE, function()
    since = self.loop:now()
    socket:close(1000)
  end)
  self.rig:closed(record)
  self:took(since)
end

-- The loop stood still meanwhile.
function T:test_closing_after_something_else()
  local socket, record = self.rig:opened(options)
  os.execute("sleep " .. IDLE)
  local since = self.loop:now()
  socket:close(1000)
  self.rig:closed(record)
  self:took(since)
end

function T:test_a_closing_server()
  local ended
  local server, _, port = self.rig:listen {
    closeTimeout = TIME, pingInterval = 0, onclose = function() ended = true end,
  }
  self.rig:raw_client(port)
  self:idle()
  local since = self.loop:now()
  server:close()
  self.rig:wait(function() return ended end)
  self:took(since)
end

function T:test_latency()
  local socket, record, peer = self.rig:opened(options)
  self:idle()
  local since = self.loop:now()
  socket:ping "x"
  lu.assertEquals(peer:take().payload, "x")
  peer:send(bytes.frame { op = "pong", "x" })
  self.rig:events(record, 2)
  lu.assertTrue(socket.latency <= self.loop:now() - since + 0.005, socket.latency)
end

return T
