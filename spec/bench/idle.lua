-- spec/bench/idle.lua -- a server that only lets them in, with defaults all over.
--
-- Arguments: the files of a certificate and its key, for TLS. Prints "port N"; ends
-- by itself after an hour.

local wsock = require "wsock"

local cert, key = ...
local server = assert(wsock.listen { port = 0, tls = cert and { cert = cert, key = key }, onmessage = function() end })
wsock.after(3600, os.exit)
print("port " .. select(2, server:address()))
io.stdout:flush()
wsock.run()
