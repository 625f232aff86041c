-- spec/examples/ticker/server.lua -- says a number to everybody, again and
-- again.
--
--   lua5.4 server.lua [port [seconds]]       8080, one each second

local wsock = require "wsock"

local port, seconds = tonumber(arg[1] or 8080), tonumber(arg[2] or 1)

io.stdout:setvbuf "line"
local server = assert(wsock.listen { port = port })
print(("listening on ws://%s:%d/"):format(server:address()))

local n = 0
wsock.every(seconds, function()
  n = n + 1
  server:broadcast(("tick %d"):format(n))
end)
wsock.run()
