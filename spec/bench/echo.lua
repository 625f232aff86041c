-- spec/bench/echo.lua -- every message back to where it came from.
--
-- One function for all sockets, as a server that is meant to be fast has it.
-- Arguments: the files of a certificate and its key, for TLS. Prints "port N"; ends
-- by itself after an hour.

local wsock = require "wsock"

local cert, key = ...
local server = assert(wsock.listen {
  port = 0,
  tls = cert and { cert = cert, key = key },
  maxPayload = 16 << 20,
  onmessage = function(socket, data, kind) socket:send(data, kind) end,
})
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
