-- spec/interop/peer.lua -- what the interop specs share: peers that run
-- snippets of their own language, and a record of what our side saw.
--
-- Our server or client lives in the spec's process and moves while a spec
-- waits (M.wait turns the default loop); the peer is a child.  M.cleanup, in
-- every tearDown (M.class has it), ends what a test has begun.

local wsock = require "wsock"
local clock = require "support.clock"
local files = require "support.files"
local process = require "support.process"

local M = {}

local LIMIT = 10 -- seconds, for what takes milliseconds

local function nothing()
  return { processes = {}, servers = {}, sockets = {}, closed = 0 }
end

-- What a test has begun.
local begun = nothing()

-- ---- waiting ------------------------------------------------------------------

--- One turn of the loop, and at least a pause.
function M.pump()
  local timer = wsock.after(0.005, function() end)
  wsock.step(0.005)
  timer:cancel()
end

--- Turns the loop until condition() is true; its value.
function M.wait(condition, what, seconds)
  local ok, value = pcall(clock.wait, condition, seconds or LIMIT, M.pump)
  if not ok then error((what or "a condition") .. ": " .. tostring(value), 2) end
  return value
end

--- Turns the loop for a while: to see that something does not happen.
function M.turn(seconds)
  local over
  wsock.after(seconds, function() over = true end)
  M.wait(function() return over end)
end

-- ---- a record of what our side sees --------------------------------------------

local Record = {}
Record.__index = Record

--- A list of what happened, in order, one string each.
function M.record()
  return setmetatable({}, Record)
end

-- Data as it stands in a record: long data by size, bytes in hex.
local function shown(data)
  if #data > 64 then return ("<%d bytes>"):format(#data) end
  if not utf8.len(data) or data:find "%c" then
    return (data:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
  end
  return data
end

--- Adds a line.
function Record:add(...)
  self[#self + 1] = table.concat({ ... }, " ")
end

--- Records the events of a socket from now on.
function Record:watch(socket)
  begun.sockets[#begun.sockets + 1] = socket
  socket:on("open", function() self:add "open" end)
  socket:on("message", function(data, kind) self:add(kind, shown(data)) end)
  socket:on("ping", function(data) self:add("ping", shown(data)) end)
  socket:on("pong", function(data) self:add("pong", shown(data)) end)
  socket:on("error", function(_, code) self:add("error", tostring(code)) end)
  socket:on("close", function(code, reason, clean)
    self:add("close", code, reason == "" and "-" or reason, clean and "clean" or "unclean")
  end)
  return socket
end

--- Whether there is a line that matches.
function Record:has(pattern)
  for _, line in ipairs(self) do
    if line:find(pattern) then return line end
  end
end

--- Waits for a line that matches.
function Record:wait(pattern)
  local ok, line = pcall(M.wait, function() return self:has(pattern) end)
  if not ok then
    error(("no '%s' came, but: %s"):format(pattern, tostring(self)), 2)
  end
  return line
end

function Record:__tostring()
  return table.concat(self, ", ")
end

-- ---- beginning and ending --------------------------------------------------------

local function keep(server)
  local mine = begun
  mine.servers[#mine.servers + 1] = server
  server:on("closed", function() mine.closed = mine.closed + 1 end)
end

--- wsock.listen on any port; returns the server and its port.
function M.listen(options)
  options.port = options.port or 0
  local server = assert(wsock.listen(options))
  keep(server)
  local _, port = server:address()
  return server, port
end

--- A server that echoes; returns it, its port, and a record of its sockets.
function M.echo(options)
  local record = M.record()
  options = options or {}
  options.onconnection = function(socket)
    record:watch(socket)
    record.socket = socket
  end
  options.onmessage = options.onmessage
    or function(socket, data, kind) socket:send(data, kind) end
  local server, port = M.listen(options)
  return server, port, record
end

--- The same where the name localhost leads to: on most machines ::1 as well, and not everybody who finds nobody there
--- goes on to 127.0.0.1.
function M.echo_of_localhost(options)
  options = options or {}
  local server, port, record = M.echo(options)
  options.host, options.port = "::1", port
  local six, message, code = wsock.listen(options)
  if not six and code ~= "EADDRNOTAVAIL" and code ~= "EAFNOSUPPORT" then error(message) end -- a machine without IPv6
  if six then keep(six) end
  return server, port, record
end

--- A client socket with a record of its events.
function M.connect(url, protocols, options)
  local record = M.record()
  return record:watch(wsock.WebSocket(url, protocols, options)), record
end

--- A client that sends an echo much more than the system holds, and reads only when nothing moves any more: it gets
--- all of it. pump() turns the loops, wait(condition, what, seconds) until then. Returns the socket.
function M.read_late(url, pump, wait)
  local got, n, block = 0, 400, ("e"):rep(100000)
  local socket = wsock.WebSocket(url, nil, { pingInterval = 0, perMessageDeflate = false, maxBuffered = 0 })
  socket:on("message", function(data) got = got + #data end)
  wait(function() return socket.readyState == 1 end, "open")
  socket:pause()
  for _ = 1, n do assert(socket:send(block, "binary")) end
  local before
  repeat
    before = socket.bufferedAmount
    for _ = 1, 50 do pump() end
  until socket.bufferedAmount == before
  assert(before > 0, "the echo took all of it")
  socket:resume()
  wait(function() return got == n * #block end, "all of it", 60)
  return socket
end

--- support.process.start; M.cleanup stops it.
function M.start(command)
  local child = process.start(command)
  begun.processes[#begun.processes + 1] = child
  return child
end

--- The same for a Lua program of ours.
function M.start_lua(command)
  local child = process.start_lua(command)
  begun.processes[#begun.processes + 1] = child
  return child
end

--- Runs a program to its end, the loop turning; output, exit code.
function M.run(command)
  local child <close> = process.start(command)
  local code = child:wait(LIMIT, M.pump)
  return child:output(), code
end

--- Whether somebody listens on the port, without touching it.
function M.listens(port)
  local file <close> = assert(io.open "/proc/net/tcp")
  return file:read "a":find((":%04X 00000000:0000 0A"):format(port), 1, true) ~= nil
end

--- Starts a program that must be told its port and waits until it listens;
--- command(port) is what M.start is given.  The process and the port.  Somebody
--- else may take the port first: then another one.
function M.start_listening(command)
  local message
  for _ = 1, 5 do
    local port = process.free_port()
    local child = M.start(command(port))
    M.wait(function() return child:code() or M.listens(port) end, "the start of " .. child.name, 2 * LIMIT)
    if not child:code() then return child, port end
    message = child:output()
  end
  error("it does not start: " .. message, 2)
end

--- Ends everything begun since the last cleanup.
function M.cleanup()
  local list = begun
  begun = nothing()
  for _, child in ipairs(list.processes) do child:stop(nil, M.pump) end
  for _, server in ipairs(list.servers) do server:close(1001, "", 0.2) end
  for _, socket in ipairs(list.sockets) do socket:terminate() end
  M.wait(function() return list.closed == #list.servers end, "the end of the servers")
  M.wait(function()
    for _, socket in ipairs(list.sockets) do
      if socket.readyState ~= wsock.CLOSED then return false end
    end
    return true
  end, "the end of the sockets")
end

--- A class of specs: with a test ends what it has begun, and self:directory(),
--- a folder of its own, also self.folder.
function M.class()
  local T = {}

  function T:directory()
    self.folder, self.remove = process.directory()
    return self.folder
  end

  function T:tearDown()
    M.cleanup()
    if self.remove then self.remove() end
  end

  return T
end

-- ---- peers that run snippets --------------------------------------------------------

local Driver = {}
Driver.__index = Driver

local commands = {
  node = { "node", files.root .. "/spec/interop/js/node.js" },
  chromium = { "node", files.root .. "/spec/interop/js/chromium.js" },
  python = { "/usr/bin/python3", files.root .. "/spec/interop/py/driver.py" },
}

-- Node looks for modules in folders with absolute names only.
local function node_path()
  local text = process.run { "sh", "-c", "cd '" .. files.root .. "' && pwd -P" }
  return text:match "[^\n]+" .. "/build/node/node_modules"
end

--- Starts a peer: "node" (with ws), "chromium" (Node with playwright-core) or
--- "python" (with websockets), with env in its environment.  It stops by
--- :stop(), not by M.cleanup.
function M.driver(name, env)
  local command = { stdin = true, env = env or {} }
  table.move(commands[name], 1, 2, 1, command)
  if name ~= "python" then command.env.NODE_PATH = node_path() end
  local child = process.start(command)
  local self = setmetatable({ child = child, count = 0, name = name }, Driver)
  local ok, message = pcall(child.expect, child, "=ready\n", LIMIT, M.pump)
  if not ok then
    self:stop()
    error(message, 2)
  end
  return self
end

local function escaped(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function unescaped(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- A JavaScript expression for a string.
function M.js(text)
  return 'decodeURIComponent("' .. escaped(text) .. '")'
end

--- Starts a snippet, in which $name stands for values.name; returns a function
--- that waits for its end and returns its value, a string.  A snippet that
--- throws raises there.
function Driver:begin(snippet, values)
  local code = snippet:gsub("%$(%a+)", values or {})
  if self.child:code() then error(self.name .. " has ended: " .. self.child:output(), 2) end
  self.count = self.count + 1
  local id = self.count
  self.child:write(id .. " " .. escaped(code) .. "\n")
  return function()
    local state, text = self.child:expect("=" .. id .. " (%a+) (%S*)\n", LIMIT, M.pump)
    text = unescaped(text)
    if state ~= "ok" then error(("%s: %s\nin: %s"):format(self.name, text, code), 2) end
    return text
  end
end

--- Runs a snippet to its end; its value.
function Driver:run(snippet, values)
  return self:begin(snippet, values)()
end

--- Ends the peer.
function Driver:stop()
  self.child:stop(5)
end

return M
