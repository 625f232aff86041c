-- spec/bench/idle.lua -- a server that only lets them in, with defaults all over.
--
-- Prints "port N"; ends by itself after an hour.

local wsock = require "wsock"

local server = assert(wsock.listen { port = 0, onmessage = function() end })
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
