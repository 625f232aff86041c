--- WebSocket under copas: a client and a server whose coroutines are copas'
-- own.
--
-- A copas without `sleep` (before 2.0, and so Debian's) can wake no task: there
-- `M.tick` does, see there.
-- @module wsock.adapter.copas

local copas = require "copas"
local net = require "socket"
local shared = require "wsock.adapter.shared"
local tasks = require "wsock.adapter.tasks"

local M = {}

-- The options that are this adapter's, and their kinds.
local CLIENT = { receiveQueue = "count", stream = "any" }
local SERVER = shared.server_types { handler = "function", receiveQueue = "count", backlog = "count" }

-- ---- waiting ------------------------------------------------------------------------

-- Without copas.sleep: task → when it goes on, math.huge: when it is woken.
local asleep = {}

-- What an old copas is told at a yield: a queue to put the task in.
local nowhere = { insert = function() end, push = function() end }

local function sleep(co, seconds)
  if copas.pauseforever and not seconds then
    copas.pauseforever()
  elseif copas.sleep then
    copas.sleep(seconds or -1)
  else
    asleep[co] = seconds and net.gettime() + seconds or math.huge
    coroutine.yield(co, nowhere)
  end
end

local function wake(co)
  if copas.sleep then copas.wakeup(co) else asleep[co] = 0 end
end

--- Where copas has no `sleep`: lets the tasks go on that are due or were woken.
-- A program is then run by
--
--     while true do copas.step(wsock.adapter.copas.tick()) end
--
-- @return seconds until it has to be called again, or nil
function M.tick()
  local now, soonest, due = net.gettime(), math.huge, {}
  for co, time in pairs(asleep) do
    if time <= now then due[#due + 1] = co else soonest = math.min(soonest, time) end
  end
  for _, co in ipairs(due) do
    asleep[co] = nil
    copas.addthread(co)
  end
  if #due > 0 then return 0 end
  return soonest < math.huge and soonest - now or nil
end

local Slot = {}
Slot.__index = Slot

function Slot:wait(seconds)
  local co = coroutine.running()
  self[co] = true
  sleep(co, seconds)
  self[co] = nil
end

function Slot:signal()
  for co in pairs(self) do wake(co) end
end

local loop = { now = net.gettime }

function loop.slot() return setmetatable({}, Slot) end

function loop.spawn(fn, socket)
  copas.addthread(function() fn(socket) end)
end

-- ---- the transport --------------------------------------------------------------------

local Transport = {}
Transport.__index = Transport

-- Copas must not lose sight of a socket that somebody waits for: it ends first.
local function let_go(self)
  if not self.closed then return end
  if self.reading or self.writing then self.sock:shutdown "both" else self.sock:close() end
end

function Transport:read()
  self.reading = true
  local bytes, why, part = copas.receivePartial(self.sock, shared.PIECE)
  self.reading = false
  let_go(self)
  bytes = bytes or part
  if bytes and bytes ~= "" then return bytes end
  if why == "timeout" then return "" end -- a later copas may have been told one
  return nil, why ~= "closed" and why or nil
end

function Transport:write(bytes)
  self.writing = true
  local sent = copas.send(self.sock, bytes)
  self.writing = false
  let_go(self)
  return sent == #bytes
end

function Transport:shutdown() self.sock:shutdown "send" end

function Transport:close()
  self.closed = true
  let_go(self)
end

-- ---- connecting and listening -----------------------------------------------------------

local words = { ["connection refused"] = "ECONNREFUSED", ["address already in use"] = "EADDRINUSE",
  ["permission denied"] = "EACCES", timeout = "TIMEOUT" }

-- What luasocket says of a name that could not be looked up.
local look_up = { ["host or service not provided, or not known"] = "EAI_NONAME",
  ["temporary failure in name resolution"] = "EAI_AGAIN", ["non-recoverable failure in name resolution"] = "EAI_FAIL" }

local function failed(what, host, port, why)
  if look_up[why] then return nil, ("resolve %s: %s"):format(host, why), look_up[why] end
  return nil, ("%s %s: %s"):format(what, shared.place(host, port), why), words[why] or "CLOSED"
end

local function start(sock, conn, options)
  sock:settimeout(0)
  sock:setoption("tcp-nodelay", true)
  return tasks.start(loop, setmetatable({ sock = sock }, Transport), conn, options)
end

-- The addresses of a host, in the order in which they are to be tried; nil and why.
local function addresses(host)
  local list, why = net.dns.getaddrinfo(host)
  if not list then return nil, why end
  local found, seen = {}, {}
  for _, each in ipairs(list) do -- some systems list one for every kind of socket
    if not seen[each.addr] then found[#found + 1] = each.addr end
    seen[each.addr] = true
  end
  return found
end

-- A socket that is connected there in time; nil and why.
local function open(address, port, till)
  local sock = net.tcp()
  if copas.settimeout then copas.settimeout(sock, math.max(till - net.gettime(), 0.001)) end
  local ok, why = copas.connect(sock, address, port)
  if not ok then
    sock:close()
    return nil, why
  end
  if copas.settimeout then copas.settimeout(sock, nil) end
  return sock
end

--- Connects and waits until the connection is open; in a task of copas.  The
-- name is looked up by LuaSocket, which waits for it; its addresses are tried
-- one after the other.
-- @param url ws: or http:
-- @param options those of `wsock.protocol.client`, receiveQueue, and stream, a
-- connected socket of LuaSocket's to be used
-- @return socket, or nil, message, code
function M.connect(url, options)
  local conn, host, port = shared.client(url, options, loop.now(), CLIENT)
  if not host then return start(options.stream, conn, options) end
  local till = net.gettime() + (options and options.handshakeTimeout or 10)
  local list, why = addresses(host)
  for _, address in ipairs(list or {}) do
    local sock
    host, sock, why = address, open(address, port, till)
    if sock then return start(sock, conn, options) end
  end
  return failed("connect", host, port, why)
end

--- Makes a WebSocket of an accepted connection, and waits until it is open.
-- Copas closes the connection when the function it called ends.
-- @param sock LuaSocket's, as copas.addserver hands it over
-- @param options of a server; see listen
-- @return socket, or nil, message, code
function M.accept(sock, options)
  return start(sock, shared.server(options, loop.now(), SERVER), options)
end

local Server = {}
Server.__index = Server

--- Host and port.
function Server:address()
  local host, port = self.sock:getsockname()
  return host, math.tointeger(tonumber(port))
end

--- Accepts no more; who is there stays.
function Server:close()
  if copas.removeserver then copas.removeserver(self.sock) else self.sock:close() end
end

--- Listens; each connection's `handler(socket)` runs in a task of its own.
-- @param options host, port, handler, backlog, maxConnections, hosts, origins, protocols, verify,
-- onrequest, and those of `wsock.protocol.server`
-- @return server, or nil, message, code
function M.listen(options)
  shared.check_listen(options, SERVER, true)
  local host, port = options.host or "127.0.0.1", options.port
  local sock, why = net.bind(host, port, options.backlog or 511)
  if not sock then return failed("listen", host, port, why) end
  local server = setmetatable({ sock = sock, count = 0 }, Server)
  copas.addserver(sock, function(client) tasks.serve(server, M.accept, client, options) end, 0)
  return server
end

return M
