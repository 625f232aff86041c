-- spec/examples/in_cqueues.lua -- our loop inside cqueues': a WebSocket server
-- in a program whose own work is cqueues'.
--
--   lua5.4 in_cqueues.lua [port]              8080; 0 takes any free port
--
-- A loop is something cqueues.poll takes: it has pollfd, events and timeout.
-- Every socket is told when a coroutine of cqueues' ticks.

local wsock = require "wsock"
local cqueues = require "cqueues"
local condition = require "cqueues.condition"

local loop = wsock.loop { backend = "epoll" } -- the one with a descriptor
local server, message = wsock.listen {
  port = tonumber(arg[1] or 8080), loop = loop,
  onmessage = function(socket, data, kind) socket:send(data, kind) end,
}
if not server then
  io.stderr:write(message, "\n")
  os.exit(1)
end

local controller = cqueues.new()
local said = condition.new() -- something was sent from outside our handlers

controller:wrap(function()
  while loop:step() do cqueues.poll(loop, said) end
end)

controller:wrap(function()
  local n = 0
  while true do
    cqueues.sleep(0.1)
    n = n + 1
    server:broadcast("tick " .. n)
    said:signal()
  end
end)

io.stdout:setvbuf "line"
print(("listening on ws://%s:%d/"):format(server:address()))
assert(controller:loop())
