-- spec/examples/in_luv.lua -- our loop inside luv's: a WebSocket server in a
-- program whose own work is luv's.
--
--   lua5.4 in_luv.lua [port]                  8080; 0 takes any free port
--
-- Every socket is told when luv's timer ticks.

local wsock = require "wsock"
local uv = require "luv"

local loop = wsock.loop { backend = "epoll" } -- the one with a descriptor
local poll, timer = uv.new_poll(loop:getfd()), uv.new_timer()

-- One turn of ours, and when the next is due.  Call it, too, after a send or
-- close from outside our handlers.
local function turn()
  loop:step()
  local seconds = loop:timeout()
  if seconds then timer:start(math.ceil(seconds * 1000), 0, turn) else timer:stop() end
end
poll:start("r", turn)

local server, message = wsock.listen {
  port = tonumber(arg[1] or 8080), loop = loop,
  onmessage = function(socket, data, kind) socket:send(data, kind) end,
}
if not server then
  io.stderr:write(message, "\n")
  os.exit(1)
end

local n = 0
uv.new_timer():start(100, 100, function()
  n = n + 1
  server:broadcast("tick " .. n)
  turn()
end)

io.stdout:setvbuf "line"
print(("listening on ws://%s:%d/"):format(server:address()))
turn()
uv.run()
