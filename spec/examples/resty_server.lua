-- spec/examples/resty_server.lua -- a server written for lua-resty-websocket,
-- run by plain Lua.
--
--   lua5.4 resty_server.lua [port]            8080; 0 takes any free port
--
-- content() is what would stand in a content_by_lua block: messages come back
-- in capitals, fragments as they came, and a client that is silent for five
-- seconds is pinged, and given up the second time.

package.preload["resty.websocket.server"] = function() return require "wsock.resty.server" end

local function content()
  local server = require "resty.websocket.server"
  local wb, err = server:new { timeout = 5000, max_payload_len = 65535 }
  if not wb then
    print("failed to make a WebSocket: " .. err)
    return
  end
  local silent = false
  while true do
    local data, typ, more = wb:recv_frame()
    if wb.fatal then
      print("failed to receive a frame: " .. more)
      return
    elseif not data and silent then
      wb:send_close(1001, "silence")
      return
    elseif not data then
      silent = true
      wb:send_ping()
    elseif typ == "close" then
      wb:send_close(more or 1000, data)
      print("closed: " .. tostring(more))
      return
    elseif typ == "ping" then
      wb:send_pong(data)
    elseif typ ~= "pong" then
      silent = false
      wb:send_frame(more ~= "again", typ == "text" and 1 or typ == "binary" and 2 or 0, data:upper())
    end
  end
end

-- What nginx does: a port, and a handler for each request.
local wsock = require "wsock"
local server, message = wsock.resty.server.listen { port = tonumber(arg[1] or 8080), handler = content }
if not server then
  io.stderr:write(message, "\n")
  os.exit(1)
end
io.stdout:setvbuf "line"
print(("listening on ws://%s:%d/"):format(server:address()))
wsock.run()
