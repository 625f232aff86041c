-- spec/bench/packed.lua -- the echo of echo.lua with permessage-deflate.
--
-- With the argument "alone" no window is taken over. Prints "port N"; ends by itself
-- after an hour.

local wsock = require "wsock"

local alone = ... == "alone"
local server = assert(wsock.listen {
  port = 0,
  perMessageDeflate = { serverNoContextTakeover = alone, clientNoContextTakeover = alone },
  maxPayload = 16 << 20,
  onmessage = function(socket, data, kind) socket:send(data, kind) end,
})
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
