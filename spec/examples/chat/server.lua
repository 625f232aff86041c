-- spec/examples/chat/server.lua -- a chat: what one says, everybody reads.
--
--   lua5.4 server.lua [port]        $PORT, or 8080; 0 takes any free port
--
-- GET / is the page (index.html, beside this file), /ws the WebSocket, and
-- everything else is 404.  One message is one text of at most 50 characters.

local wsock = require "wsock"

local LONGEST = 50 -- characters, not bytes

local here = arg[0]:match "^(.*/)" or ""
local port = arg[1] or os.getenv "PORT" or "8080"

local function fail(message)
  io.stderr:write("chat: ", message, "\n")
  os.exit(1)
end

local function read(path)
  local file, message = io.open(path, "rb")
  if not file then fail(message) end
  local text = file:read "a"
  file:close()
  return text
end

-- The first LONGEST characters: cutting bytes could leave half a character.
local function cut(text)
  local past = utf8.offset(text, LONGEST + 1)
  return past and text:sub(1, past - 1) or text
end

-- What strangers write goes to a terminal: no control characters.
local function plain(text)
  return (text:gsub("%c", "?"):gsub("\xc2[\x80-\x9f]", "?"))
end

local page = read(here .. "index.html")
local not_found = { 404, { ["Content-Type"] = "text/plain" }, "Not found\n" }

local number = math.tointeger(tonumber(port))
if not number or number < 0 or number > 65535 then
  fail(("%s is not a port"):format(port))
end

local server, message, code
server, message, code = wsock.listen {
  port = number,
  maxPayload = 4096, -- who sends more than a line is not our page
  verify = function(request)
    if request.path == "/ws" then return true end
    return false, table.unpack(not_found)
  end,
  onrequest = function(request, response)
    if request.path == "/" then
      response:send(200, { ["Content-Type"] = "text/html; charset=utf-8" }, page)
    else
      response:send(table.unpack(not_found))
    end
  end,
  onconnection = function() print "new connection" end,
  onmessage = function(socket, text, kind)
    if kind ~= "text" then return socket:close(1003, "text, please") end
    text = cut(text)
    print("message received: " .. plain(text))
    server:broadcast(text)
  end,
  onclose = function() print "connection closed" end,
}
if not server then
  if code == "EADDRINUSE" then
    fail(("port %d is taken; another one: PORT=%d"):format(number, number + 1))
  end
  fail(message)
end

io.stdout:setvbuf "line"
wsock.signal("INT", function() server:close() end)
print(("the chat is on http://%s:%d/ (Ctrl-C ends it)"):format(server:address()))
wsock.run()
