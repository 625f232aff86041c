--- `wsock listen PORT`: a server for trying things out.
-- @module wsock.cli.listen

local wsock = require "wsock"
local exec_file = require "wsock.cli.exec"
local flags = require "wsock.cli.flags"
local terminal = require "wsock.cli.terminal"

local M = {}

M.help = [==[
Usage: wsock listen [flags] PORT    be a server; port 0: any free one
       wsock listen [flags] --path FILE

      --echo                send every message back to its sender (the default)
      --broadcast           send every message to all others
      --exec FILE           run this Lua file, which returns the options of
                            wsock.listen; it may name the port
      --watch               run it again when it changes, keep the connections
      --static DIR          answer plain requests with the files of a directory
      --host ADDRESS        listen there (127.0.0.1; 0.0.0.0: everywhere)
      --path FILE           listen on a unix socket
      --tls CERT KEY        speak wss, with these two files
  -o, --origin ORIGIN       let pages from there in, * from anywhere; repeatable
                            (without: pages of the same host)
  -s, --subprotocol NAME    agree to it; repeatable
  -H, --header LINE         "Name: value" for each 101 and file; repeatable
      --compress            compress messages where the client offers it
      --ping SECONDS        between pings (30; 0: none)
  -v, --verbose             who comes, goes and sends, on standard error
  -h, --help, --version     this; the version

Exit code: 0 ended by a signal, 1 cannot listen there, 2 usage
]==]
M.lists = { "header", "origin", "subprotocol" }
M.strangers = { ["-p"] = "the port stands alone", ["--port"] = "the port stands alone" }

local function note(...)
  io.stderr:write(terminal.clean(string.format(...)), "\n")
end

local function name_of(socket)
  return socket.remotePort and ("%s:%d"):format(socket.remoteAddress, socket.remotePort) or "unix"
end

-- Handlers that say what happens, in front of those there are.
local function tell(handlers)
  local function before(name, say)
    local act = handlers[name]
    handlers[name] = function(...)
      say(...)
      if act then act(...) end
    end
  end
  before("onconnection", function(socket, request) note("+ %s %s", name_of(socket), request.target) end)
  before("onmessage", function(socket, data, kind) note("  %s %s, %d bytes", name_of(socket), kind, #data) end)
  before("onclose", function(socket, code, reason)
    note("- %s %d%s", name_of(socket), code, reason ~= "" and " " .. reason or "")
  end)
  before("onrefused", function(message) note("! %s", message) end)
end

local function echo(socket, data, kind) socket:send(data, kind) end

-- ---- from the command line ----------------------------------------------------------

local function port_of(options, words)
  local host = words[1] and (words[1]:match "^(.+):%d+$" or words[2] and words[1]:find "%D" and words[1])
  if host then flags.usage("the address has a flag of its own: --host %s PORT", host) end
  if words[2] then flags.usage("one port is enough: what is '%s'?", words[2]) end
  if options.path then
    if options.tls then flags.usage "--tls and --path exclude one another" end
    if words[1] then flags.usage "a port and --path exclude one another" end
    return nil
  end
  if not words[1] then return not options.exec and flags.usage "a port is missing" or nil end
  local port = math.tointeger(tonumber(words[1]))
  if not port or port < 0 or port > 65535 then flags.usage("a port is a number up to 65535, not '%s'", words[1]) end
  return port
end

local function origins(list)
  if #list == 0 then return nil end
  for _, origin in ipairs(list) do
    if origin == "*" then return "*" end
  end
  return list
end

local function address_of(server, secure)
  local host, port = server:address()
  if not port then return "ws+unix:" .. host .. ":/" end
  return ("%s://%s:%d/"):format(secure and "wss" or "ws", host:find ":" and "[" .. host .. "]" or host, port)
end

local function check(options)
  local mode
  for _, name in ipairs { "echo", "broadcast", "exec" } do
    if options[name] then
      if mode then flags.usage("--%s and --%s exclude one another", mode, name) end
      mode = name
    end
  end
  if options.watch and not options.exec then flags.usage "--watch needs --exec" end
end

local function files(directory, lines)
  local headers = {}
  for _, field in ipairs(lines) do headers[field[1]] = field[2] end
  local ok, handler = pcall(wsock.static, directory, { headers = headers })
  if not ok then flags.usage("--static: %s", handler) end
  return handler
end

-- What the command line says, put over the options of a file.
local function dresser(options, words)
  local lines = flags.fields(options.header)
  local own = {
    port = port_of(options, words), path = options.path, host = options.host, pingInterval = options.ping,
    perMessageDeflate = options.compress, onrequest = options.static and files(options.static, lines),
    tls = options.tls and { cert = options.tls[1], key = options.tls[2] },
    headers = #lines > 0 and lines or nil,
    protocols = #options.subprotocol > 0 and options.subprotocol or nil, origins = origins(options.origin),
  }
  return function(settings)
    local t = {}
    for key, value in pairs(settings) do t[key] = value end
    for key, value in pairs(own) do t[key] = value end
    local router = t.router
    if type(router) == "table" and router.options then t = router:options(t) end -- now handlers like any
    if options.verbose then tell(t) end
    return t
  end
end

-- The server and whether it speaks TLS, or nil and what the world did; raises for what cannot be.
local function open(options, words)
  local dress = dresser(options, words)
  local exec, server, message, ok
  local settings = { onmessage = echo } -- unless a file says otherwise
  if options.exec then
    exec, message = exec_file.open(options.exec, note, dress)
    if not exec then flags.usage("%s", message) end
  elseif options.broadcast then
    function settings.onmessage(socket, data, kind) server:broadcast(data, kind, { except = socket }) end
  end
  ok, settings = pcall(exec and exec.settings or dress, exec or settings)
  if not ok then flags.usage("%s", settings) end
  ok, server, message = pcall(wsock.listen, settings)
  if not ok then flags.usage("%s", server) end
  if server and exec then
    exec.server = server
    if options.watch then exec:watch() end
  end
  return server, server and settings.tls ~= nil or message
end

--- Serves until a signal comes.
-- @tparam table options from `flags.parse`
-- @tparam {string,...} words the port
-- @treturn integer exit code
function M.run(options, words)
  check(options)
  local server, secure = open(options, words)
  if not server then
    note("wsock: %s", secure)
    return 1
  end
  server:on("closed", wsock.stop) -- whatever else a file has begun
  local ending
  for _, name in ipairs { "INT", "TERM", "HUP" } do
    wsock.signal(name, function()
      if ending then return wsock.stop() end
      ending = true
      server:close()
    end)
  end
  io.stdout:setvbuf "line"
  print("listening on " .. address_of(server, secure)) -- who reads this may send a signal
  wsock.run()
  return 0
end

return M
