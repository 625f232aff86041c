-- spec/examples/hello/server.lua -- greets whoever tells it a name.
--
--   lua5.4 server.lua [port]                 8080; 0 takes any free port
--
-- A message "My name is John" is answered with "Hello from server, John!", and
-- five seconds after each message the connection is closed with 1000 "Bye!".
-- A plain HTTP request gets an empty page.  As a module (require it) it starts
-- nothing by itself: .start(port) does.

local wsock = require "wsock"

local M = {}

-- The word a text ends with: letters, digits, _, and whatever is not ASCII.
local function name_in(text)
  return text:match "[%w_\x80-\xff]+$" or "Guest"
end

--- Seconds from a message to the good-bye.
M.delay = 5

--- Listens on 127.0.0.1; the server, or nil, message, code.
function M.start(port)
  return wsock.listen {
    port = port,
    onrequest = function(_, response) response:send(200) end,
    onmessage = function(socket, data)
      socket:send("Hello from server, " .. name_in(data) .. "!")
      -- Once it is closed, a later close() does nothing: two messages may
      -- start two timers.
      wsock.after(M.delay, function() socket:close(1000, "Bye!") end)
    end,
  }
end

-- Run as a program, not required?
if arg and debug.getinfo(1, "S").source == "@" .. arg[0] then
  io.stdout:setvbuf "line"
  local server, message = M.start(tonumber(arg[1] or 8080))
  if not server then
    io.stderr:write(message, "\n")
    os.exit(1)
  end
  print(("listening on ws://%s:%d/"):format(server:address()))
  wsock.run()
end

return M
