-- spec/examples/hello/client.lua -- tells a server its name and prints what
-- happens.
--
--   lua5.4 client.lua [url]                  ws://127.0.0.1:8080/

local wsock = require "wsock"

local socket = wsock.WebSocket(arg[1] or "ws://127.0.0.1:8080/")

function socket.onopen()
  print "[open] Connection established"
  print "Sending to server"
  socket:send "My name is John"
end

function socket.onmessage(event)
  print("[message] Data received from server: " .. event.data)
end

function socket.onclose(event)
  if event.wasClean then
    print(("[close] Connection closed cleanly, code=%d reason=%s")
      :format(event.code, event.reason))
  else
    -- The server was killed, say, or the network is down: the code is 1006.
    print "[close] Connection died"
  end
end

function socket.onerror(event)
  print("[error] " .. event.message)
end

io.stdout:setvbuf "line"
wsock.run()
