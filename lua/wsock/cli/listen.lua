--- `wsock listen PORT`: a server for trying things out.
-- @module wsock.cli.listen

local wsock = require "wsock"
local flags = require "wsock.cli.flags"
local terminal = require "wsock.cli.terminal"

local M = {}

M.help = [==[
Usage: wsock listen [flags] PORT    be a server; port 0: any free one
       wsock listen [flags] --path FILE

      --echo                send every message back to its sender (the default)
      --broadcast           send every message to all others
      --host ADDRESS        listen there (127.0.0.1; 0.0.0.0: everywhere)
      --path FILE           listen on a unix socket
  -o, --origin ORIGIN       let pages from there in, * from anywhere; repeatable
                            (without: pages of the same host)
  -s, --subprotocol NAME    agree to it; repeatable
  -H, --header LINE         "Name: value" for each answer; repeatable
      --ping SECONDS        between pings (30; 0: none)
  -v, --verbose             who comes, goes and sends, on standard error
  -h, --help, --version     this; the version

Exit code: 0 ended by a signal, 1 cannot listen there, 2 usage
]==]
M.lists = { "header", "origin", "subprotocol" }

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
  before("onclose", function(socket, code, reason) note("- %s %d %s", name_of(socket), code, reason) end)
  before("onrefused", function(message) note("! %s", message) end)
end

local function echo(socket, data, kind) socket:send(data, kind) end

-- ---- from the command line ----------------------------------------------------------

local function port_of(options, words)
  if words[2] then flags.usage("one port is enough: what is '%s'?", words[2]) end
  if options.path then
    if words[1] then flags.usage "a port and --path exclude one another" end
    return nil
  end
  local port = math.tointeger(tonumber(words[1]))
  if not words[1] then flags.usage "a port is missing" end
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

local function address_of(server)
  local host, port = server:address()
  if not port then return "ws+unix:" .. host .. ":/" end
  return ("ws://%s:%d/"):format(host:find ":" and "[" .. host .. "]" or host, port)
end

--- Serves until a signal comes.
-- @tparam table options from `flags.parse`
-- @tparam {string,...} words the port
-- @treturn integer exit code
function M.run(options, words)
  if options.echo and options.broadcast then flags.usage "--echo and --broadcast exclude one another" end
  local server
  local settings = {
    port = port_of(options, words), path = options.path, host = options.host, headers = flags.fields(options.header),
    protocols = options.subprotocol, origins = origins(options.origin), pingInterval = options.ping, onmessage = echo,
  }
  if options.broadcast then
    function settings.onmessage(socket, data, kind) server:broadcast(data, kind, { except = socket }) end
  end
  if options.verbose then tell(settings) end
  local ok, message
  ok, server, message = pcall(wsock.listen, settings)
  if not ok then flags.usage("%s", server) end
  if not server then
    note("wsock: %s", message)
    return 1
  end
  print("listening on " .. address_of(server))
  io.stdout:flush()
  local ending
  for _, name in ipairs { "INT", "TERM", "HUP" } do
    wsock.signal(name, function()
      if ending then return wsock.stop() end
      ending = true
      server:close()
    end)
  end
  wsock.run()
  return 0
end

return M
