-- spec/bench/echo.lua -- every message back to where it came from.
--
-- One function for all sockets, as a server that is meant to be fast has it.
-- Prints "port N"; ends by itself after an hour.

local wsock = require "wsock"

local server = assert(wsock.listen {
  port = 0,
  maxPayload = 16 << 20,
  onmessage = function(socket, data, kind) socket:send(data, kind) end,
})
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
