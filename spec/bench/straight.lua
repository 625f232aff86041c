-- spec/bench/straight.lua -- the echo of echo.lua, by waiting in place of listening.
--
-- Prints "port N"; ends by itself after an hour.

local wsock = require "wsock"

local server = assert(wsock.listen {
  port = 0,
  maxPayload = 16 << 20,
  onconnection = function(socket)
    for data, kind in socket:messages() do socket:send(data, kind) end
  end,
})
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
