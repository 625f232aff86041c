-- spec/bench/broadcast.lua -- every message to everybody, the sender as well.
--
-- Prints "port N"; ends by itself after an hour.

local wsock = require "wsock"

local server
server = assert(wsock.listen {
  port = 0,
  onmessage = function(_, data, kind) server:broadcast(data, kind) end,
})
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
