--- WebSocket under cqueues: a client and a server whose coroutines are
-- cqueues' own.
-- @module wsock.adapter.cqueues

local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local errno = require "cqueues.errno"
local net = require "cqueues.socket"
local shared = require "wsock.adapter.shared"
local tasks = require "wsock.adapter.tasks"

local M = {}

-- The options that are this adapter's, and their kinds.
local CLIENT = { receiveQueue = "count", stream = "any" }
local SERVER = shared.server_types { handler = "function", receiveQueue = "count", loop = "any" }

local loop = { now = cqueues.monotime, slot = condition.new }

-- The controller of the coroutine that runs.
local function running()
  return cqueues.running() or error("no controller of cqueues runs here", 3)
end

function loop.spawn(fn, ...) cqueues.running():wrap(fn, ...) end

-- ---- the transport ----------------------------------------------------------------

local Transport = {}
Transport.__index = Transport

-- Errors are answers here, and bytes go out at once.
local function transport(sock)
  sock:setmode("bn", "bn")
  sock:onerror(function(_, _, why) return why end)
  return setmetatable({ sock = sock }, Transport)
end

function Transport:read()
  local bytes, why = self.sock:recv(-shared.PIECE)
  while not bytes and why == errno.EAGAIN and not self.closed do
    cqueues.poll { pollfd = self.sock:pollfd(), events = "r" }
    if self.closed then return nil end
    bytes, why = self.sock:recv(-shared.PIECE)
  end
  if not bytes and why == errno.EPIPE then why = nil end -- cqueues' word for the end
  return bytes, why
end

function Transport:write(bytes)
  local at = 1
  while at <= #bytes do
    local n, why = self.sock:send(bytes, at, #bytes)
    at = at + n
    if why == errno.EAGAIN then
      cqueues.poll { pollfd = self.sock:pollfd(), events = "w" }
      if self.closed then return false end
    elseif why then
      return false
    end
  end
  return true
end

function Transport:shutdown() self.sock:shutdown "w" end

function Transport:close()
  self.closed = true
  self.sock:close()
end

-- ---- connecting and listening ------------------------------------------------------

local function failed(what, host, port, why)
  local text, code = errno.strerror(why), errno[why]
  if code then return nil, ("%s %s: %s"):format(what, shared.place(host, port), text), code end
  -- No errno: cqueues' resolver has numbers of its own.
  return nil, ("resolve %s: %s"):format(host, text), text:find("not resolve", 1, true) and "EAI_NONAME" or "EAI_FAIL"
end

--- Connects and waits until the connection is open; in a coroutine of cqueues.
-- @param url ws: or http:
-- @param options those of `wsock.protocol.client`, receiveQueue, and stream, a
-- connected socket of cqueues to be used (with starttls behind it, say)
-- @return socket, or nil, message, code
function M.connect(url, options)
  local conn, host, port = shared.client(url, options, loop.now(), CLIENT)
  running()
  if not host then return tasks.start(loop, transport(options.stream), conn, options) end
  local sock = net.connect { host = host, port = port, nodelay = true }
  sock:onerror(function(_, _, why) return why end)
  local ok, why = sock:connect(options and options.handshakeTimeout or 10)
  if not ok then
    sock:close()
    return failed("connect", host, port, why)
  end
  return tasks.start(loop, transport(sock), conn, options)
end

--- Makes a WebSocket of an accepted connection, and waits until it is open.
-- @param sock a stream socket of cqueues
-- @param options of a server; see listen
-- @return socket, or nil, message, code
function M.accept(sock, options)
  running()
  return tasks.start(loop, transport(sock), shared.server(options, loop.now(), SERVER), options)
end

local Server = {}
Server.__index = Server

--- Host and port.
function Server:address()
  local _, host, port = self.sock:localname()
  return host, port
end

--- Accepts no more; who is there stays.
function Server:close()
  self.closed = true
  self.sock:close()
end

-- Out of descriptors, say: then it rests.
local function accept(server, controller, options)
  local sock = server.sock
  while not server.closed do
    local client, why = sock:accept(nil, 0)
    if client then
      controller:wrap(tasks.serve, server, M.accept, client, options)
    elseif why == errno.ETIMEDOUT then
      cqueues.poll { pollfd = sock:pollfd(), events = "r" }
    else
      cqueues.sleep(0.1)
    end
  end
end

--- Listens; each connection's `handler(socket)` runs in a coroutine of its own.
-- @param options host, port, handler, loop (a controller; else the one that
-- runs), maxConnections, hosts, origins, protocols, verify, onrequest, and those of
-- `wsock.protocol.server`
-- @return server, or nil, message, code
function M.listen(options)
  shared.check_listen(options, SERVER, true)
  local host, port = options.host or "127.0.0.1", options.port
  local controller = options.loop or running()
  if cqueues.type(controller) ~= "controller" then
    error("option 'loop' must be a controller of cqueues, got " .. type(controller), 2)
  end
  local sock = net.listen { host = host, port = port, reuseaddr = true, nodelay = true }
  sock:onerror(function(_, _, why) return why end)
  local ok, why = sock:listen()
  if not ok then
    sock:close()
    return failed("listen", host, port, why)
  end
  local server = setmetatable({ sock = sock, count = 0 }, Server)
  controller:wrap(accept, server, controller, options)
  return server
end

return M
