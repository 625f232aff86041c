-- spec/examples/rooms.lua -- what is said in a room is heard by all who are in it.
--
--   lua5.4 rooms.lua [port]                  8080; 0 takes any free port
--
-- A WebSocket at /rooms/<name> is in that room until it closes. Whoever comes
-- or goes changes the number of those who are there, and all are told; a plain
-- request to the same path answers it. /rooms answers with the names of all.

local wsock = require "wsock"

local port = tonumber(arg[1] or 8080)
local plain = { ["Content-Type"] = "text/plain; charset=utf-8" }

local hub
local function tell(_, room, count)
  hub:publish(room, ("%d here"):format(count))
end
hub = wsock.hub { onjoin = tell, onleave = tell }

local router = wsock.router()

router:get("/rooms", function(_, response)
  response:send(200, plain, table.concat(hub:rooms(), "\n") .. "\n")
end)

router:get("/rooms/:room", function(request, response)
  response:send(200, plain, ("%d here\n"):format(hub:count(request.params.room)))
end)

router:ws("/rooms/:room", {
  onconnection = function(socket, request)
    local ok, message = hub:join(socket, request.params.room)
    if not ok then socket:close(1013, message) end -- there are too many rooms
  end,
  onmessage = function(socket, data, kind)
    hub:publish(socket.request.params.room, data, kind, { except = socket })
  end,
})

io.stdout:setvbuf "line"
local server = assert(wsock.listen { port = port, router = router })
print(("listening on ws://%s:%d/rooms/"):format(server:address()))
wsock.run()
