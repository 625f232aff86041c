-- spec/examples/ticker/client.lua -- prints what the ticker says, and comes
-- back when it was away.
--
--   lua5.4 client.lua [url]                  ws://127.0.0.1:8080/
--
-- Stop the server and start it again: the client goes on by itself.  It ends
-- at a refusal (4xx), a Close with 1000, or Ctrl-C.

local wsock = require "wsock"

io.stdout:setvbuf "line"
local ticker = wsock.reconnecting(arg[1] or "ws://127.0.0.1:8080/", { delay = 0.2, maxDelay = 5 })

ticker:on("open", function() print "connected" end)
ticker:on("message", print)
ticker:on("error", function(message) print("error: " .. message) end)
ticker:on("reconnecting", function(delay, attempt)
  print(("away; try %d in %.1f s"):format(attempt, delay))
end)
ticker:on("reconnected", function(attempts) print(("back after %d"):format(attempts)) end)
ticker:on("close", function(code, reason) print(("the end: %d %s"):format(code, reason)) end)

wsock.run()
