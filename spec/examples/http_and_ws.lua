-- spec/examples/http_and_ws.lua -- a web server and a WebSocket server in one
-- process, over one database.
--
--   lua5.4 http_and_ws.lua [port [database]]      8080, kept in memory
--
--   POST /messages     stores the body, answers 201 and the message as JSON
--   GET /messages      all messages as a JSON list
--   ws://…/messages    gets each new message as JSON, whoever stored it;
--                      a text sent here is stored, too
--
-- The database is SQLite by LuaSQL (Debian: lua-sql-sqlite3).

local sqlite = require "luasql.sqlite3"
local wsock = require "wsock"

local PATH = "/messages"
local database = assert(sqlite.sqlite3():connect(arg[2] or ":memory:"))
assert(database:execute [[
  CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, body TEXT NOT NULL)
]])

-- ---- messages ---------------------------------------------------------------

local names = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n" }

local function json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return names[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function json(id, body)
  return ('{"id":%d,"body":%s}'):format(id, json_string(body))
end

-- All messages as a JSON list.
local function list()
  local all = {}
  local cursor = assert(database:execute "SELECT id, body FROM messages ORDER BY id")
  for id, body in function() return cursor:fetch() end do
    all[#all + 1] = json(id, body)
  end
  cursor:close()
  return "[" .. table.concat(all, ",") .. "]\n"
end

-- A message is some text; a zero byte would end it in the middle.
local function storable(body)
  return #body > 0 and utf8.len(body) and not body:find("\0", 1, true)
end

-- Stores one message; the message as JSON.
local function store(body)
  assert(database:execute(
    ("INSERT INTO messages (body) VALUES ('%s')"):format(database:escape(body))))
  return json(database:getlastautoid(), body)
end

-- ---- the two servers that are one ---------------------------------------------

local server

local function answer(response, status, body)
  response:send(status, { ["Content-Type"] = "application/json" }, body)
end

local function post(request, response)
  if not storable(request.body) then
    return answer(response, 400, '{"error":"a message is UTF-8 text"}\n')
  end
  local stored = store(request.body)
  answer(response, 201, stored .. "\n")
  server:broadcast(stored)
end

local message
server, message = wsock.listen {
  port = tonumber(arg[1] or 8080),
  onrequest = function(request, response)
    if request.path ~= PATH then
      answer(response, 404, '{"error":"not found"}\n')
    elseif request.method == "POST" then
      post(request, response)
    elseif request.method == "GET" then
      answer(response, 200, list())
    else
      response:send(405, { Allow = "GET, POST" })
    end
  end,
  verify = function(request)
    if request.path == PATH then return true end
    return false, 404
  end,
  onmessage = function(socket, body, kind)
    if kind ~= "text" or not storable(body) then
      return socket:close(1003, "a message is text")
    end
    server:broadcast(store(body))
  end,
}
if not server then
  io.stderr:write(message, "\n")
  os.exit(1)
end

io.stdout:setvbuf "line"
local host, port = server:address()
print(("listening on http://%s:%d%s"):format(host, port, PATH))
wsock.run()
