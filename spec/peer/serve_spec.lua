-- peer/serve: accepting, in the worst of times too.

local lu = require "luaunit"
local luasocket = require "socket"
local bytes = require "support.bytes"
local clock = require "support.clock"
local process = require "support.process"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local sys = require "wsock.probe".net.sys
local wsock = require "wsock"

local T = {}
T.alone = true -- it measures

function T:setUp() self.rig = rigs.new() end

function T:tearDown()
  if self.restore then self.restore() end
  self.rig:close()
end

-- Lets this process have n more descriptors than it has now.
local function scarce(self, n)
  lu.skipIf(visitors.valgrind, "valgrind has descriptors of its own")
  local free = sys.dup(0)
  sys.close(free)
  local before = assert(sys.limit("fds", free + n))
  self.restore = function()
    self.restore = nil
    assert(sys.limit("fds", before))
  end
end

-- As Bystander:check, without a descriptor for a clock.
local function still_served(rig, bystander)
  assert(bystander.peer.sock:send(bytes.frame { op = "ping", mask = true, "even now" }))
  for _ = 1, 5 do rig.loop:step(0.02) end
  local frame
  frame, bystander.peer.got = bytes.parse(bystander.peer:look())
  lu.assertEquals(frame and frame.payload, "even now")
end

-- ---- accepting ------------------------------------------------------------------------

-- A crowd is let in bit by bit: the others have their turn in between.
function T:test_a_storm()
  local connected = 0
  local _, _, port = self.rig:listen { onconnection = function() connected = connected + 1 end }
  local bystander = visitors.bystander(self.rig, port)
  local crowd = visitors.queue(self.rig, port, 200, visitors.upgrade())
  bystander.peer:frame { op = "ping", "now" }
  local before = connected
  self.rig.loop:step(0.1)
  self.rig.loop:step(0)
  lu.assertTrue(connected - before <= 2 * 64, connected - before)
  lu.assertEquals(bystander.peer:take().payload, "now")
  visitors.admitted(self.rig, crowd)
  lu.assertEquals(connected, 201)
  bystander:check()
end

function T:test_they_come_in_order()
  local _, _, port = self.rig:listen { onconnection = function(socket) socket:send(socket.request.path) end }
  local peers = {}
  for i = 1, 100 do
    peers[i] = visitors.visit(self.rig, port, visitors.upgrade(nil, "GET /" .. i .. " HTTP/1.1"))
  end
  for i = 1, 100 do
    peers[i]:head()
    lu.assertEquals(peers[i]:take().payload, "/" .. i)
  end
end

-- Who is gone before it is accepted is no trouble.
function T:test_gone_before_their_turn()
  local refused = 0
  local server, _, port = self.rig:listen { onrefused = function() refused = refused + 1 end }
  local bystander = visitors.bystander(self.rig, port)
  for i, sock in ipairs(visitors.queue(self.rig, port, 50)) do
    if i % 2 == 0 then sock:setoption("linger", { on = true, timeout = 0 }) end
    sock:close()
  end
  self.rig:wait(function() return refused >= 25 end) -- a reset one may never show up at all
  bystander:check()
  visitors.bystander(self.rig, port):check()
  lu.assertEquals(server.clientCount, 2)
end

function T:test_pausing_and_going_on()
  local _, _, port = self.rig:listen { handshakesMax = 1 }
  local bystander = visitors.bystander(self.rig, port)
  local crowd = visitors.queue(self.rig, port, 50, visitors.upgrade()) -- one opening at a time
  visitors.admitted(self.rig, crowd)
  bystander:check()
end

-- What is ready is not reported again and again while nobody may come in.
function T:test_a_paused_server_sleeps()
  local _, _, port = self.rig:listen { handshakesMax = 1, onupgrade = function() end }
  visitors.queue(self.rig, port, 3, visitors.upgrade())
  self.rig:idle(10)
  visitors.cheap(0.1, "waiting with a full house", function()
    local over
    self.rig.loop:after(0.3, function() over = true end)
    while not over do self.rig.loop:step(1) end
  end)
end

-- Nor while it waits for the time when somebody has to give way, or for somebody to come then.
function T:test_a_server_full_of_silent_ones_sleeps()
  local _, _, port = self.rig:listen { handshakesMax = 2 }
  local mute = visitors.queue(self.rig, port, 2)
  self.rig:idle(10)
  local over
  visitors.cheap(0.1, "waiting among the silent", function()
    self.rig.loop:after(1.2, function() over = true end)
    while not over do self.rig.loop:step(1) end
  end)
  lu.assertEquals({ visitors.read(mute[1]) }, { "", false }) -- as nobody has come
  visitors.bystander(self.rig, port):check()
  self.rig:wait(function() return select(2, visitors.read(mute[1])) end)
  lu.assertEquals({ visitors.read(mute[2]) }, { "", false })
  visitors.cheap(0.1, "waiting with a queue", function()
    visitors.queue(self.rig, port, 5)
    over = false
    self.rig.loop:after(0.5, function() over = true end)
    while not over do self.rig.loop:step(1) end
  end)
end

-- ---- out of descriptors (C5) ------------------------------------------------------------

function T:test_out_of_descriptors()
  local server, _, port = self.rig:listen {}
  local bystander = visitors.bystander(self.rig, port)
  local crowd = visitors.queue(self.rig, port, 12, visitors.upgrade())
  local since = self.rig.loop:now()
  scarce(self, 5)
  self.rig.loop:step(0.1)
  self.rig.loop:step(0)
  lu.assertEquals(server.clientCount, 6)
  still_served(self.rig, bystander)
  visitors.cheap(0.1, "resting", function() -- while connections wait
    local over
    self.rig.loop:after(0.35, function() over = true end)
    while not over do self.rig.loop:step(1) end
  end)
  lu.assertEquals(server.clientCount, 6)
  still_served(self.rig, bystander)
  local looks = 2 + (self.rig.loop:now() - since) // 0.1
  self.restore()
  local admitted, shed = 0, 0
  for _, sock in ipairs(crowd) do
    local got, ended = "", false
    self.rig:wait(function()
      local data, closed = visitors.read(sock)
      got, ended = got .. data, closed
      return ended or got:find "\r\n\r\n"
    end)
    if got:find "^HTTP/1.1 101" then admitted = admitted + 1 else shed = shed + 1 end
  end
  -- each look of a tenth of a second got rid of one
  lu.assertTrue(shed >= 1 and shed <= math.min(7, looks), shed)
  lu.assertEquals(admitted, 12 - shed)
  lu.assertEquals(server.clientCount, 13 - shed)
  visitors.bystander(self.rig, port):check()
  bystander:check()
end

-- With the very last descriptor it can listen, but not keep one to spare.
function T:test_no_descriptor_to_spare_either()
  local crowd = {}
  for i = 1, 3 do
    crowd[i] = self.rig:keep(luasocket.tcp4())
    crowd[i]:settimeout(5)
  end
  self.rig:idle()
  scarce(self, 1)
  local server, _, port = self.rig:listen {}
  for _, sock in ipairs(crowd) do
    assert(sock:connect("127.0.0.1", port))
    assert(sock:send(visitors.upgrade()))
    sock:settimeout(0)
  end
  for _ = 1, 3 do self.rig.loop:step(0.12) end
  lu.assertEquals(server.clientCount, 0)
  self.restore()
  visitors.admitted(self.rig, crowd) -- all of them: they only had to wait
  lu.assertEquals(server.clientCount, 3)
end

function T:test_a_server_closed_while_it_rests()
  local server, _, port = self.rig:listen {}
  visitors.queue(self.rig, port, 3, visitors.upgrade())
  scarce(self, 1)
  self.rig:idle(3)
  server:close(1001, "", 0)
  self.restore()
  self.rig:settle()
  lu.assertEquals(server.clientCount, 0)
end

-- Seconds of processor time a process has had.
local function cpu_of(pid)
  local f = assert(io.open(("/proc/%d/stat"):format(pid)))
  local user, system = f:read "a":match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  f:close()
  return (user + system) / 100
end

-- The same as a program of its own, under the limit it was started with.
function T:test_a_program_with_few_descriptors()
  local child <close> = process.start_lua { "-e", [[
    local wsock = require "wsock"
    assert(require "wsock.probe".net.sys.limit("fds", 32))
    local server = assert(wsock.listen{ port = 0, onmessage = function(s, d) s:send(d) end })
    print("port " .. select(2, server:address()) .. ".")
    wsock.run()]] }
  local port = tonumber((child:expect("port (%d+)%.")))
  local bystander = visitors.bystander(self.rig, port)
  visitors.queue(self.rig, port, 60, visitors.upgrade())
  for _ = 1, 3 do bystander:check() end
  local before = cpu_of(child.pid)
  for _ = 1, 3 do
    local over
    self.rig.loop:after(0.1, function() over = true end)
    self.rig:wait(function() return over end)
    bystander:check()
  end
  lu.assertNil(child:code(), child:output())
  lu.assertTrue(cpu_of(child.pid) - before < 0.15 * clock.slow)
end

-- ---- opening ------------------------------------------------------------------------------

function T:test_no_descriptor_to_listen_with()
  self.rig:idle()
  scarce(self, 0)
  local server, message, code = wsock.listen { port = 0, loop = self.rig.loop }
  self.restore()
  lu.assertNil(server)
  lu.assertEquals({ message, code }, { "listen 127.0.0.1:0: Too many open files", "EMFILE" })
end

function T:test_backlogs()
  for _, backlog in ipairs { 1, 128, 65535 } do
    local _, _, port = self.rig:listen { backlog = backlog }
    visitors.bystander(self.rig, port):check()
  end
end

return T
