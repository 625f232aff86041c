--- What the adapters of other loops have in common: how a connection is made
-- of a URL and options, and who may come in.  No loop is known here.
-- @module wsock.adapter.shared

local check = require "wsock.check"
local core = require "wsock.core"

local M = {}

--- Bytes that are given to a transport at a time: what is not given yet counts
-- as waiting, for `bufferedAmount`, `highWaterMark` and `sendTimeout`.
M.PIECE = 65536

--- Connections of one server, as of wsock's own, when maxConnections is not given.
M.MOST = 10000

-- The options of an adapter, which the protocol object would not know.
local own = {
  host = true, port = true, backlog = true, loop = true, receiveQueue = true,
  maxConnections = true, origins = true, protocols = true, verify = true, onrequest = true,
}

-- The protocol object's options: all but the adapter's own and those named.
local function options_of(options, now, also)
  local rest = { now = now }
  for key, value in pairs(options or {}) do
    if not also[key] then rest[key] = value end
  end
  return rest
end

--- The handlers an adapter calls, by name.
function M.names(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

--- How messages name an end.
function M.place(host, port) return (host:find(":", 1, true) and "[%s]:%s" or "%s:%s"):format(host, port) end

--- A client's connection, its host and its port; only the connection when the
-- options have a connected `stream`.  Raises when URL or options cannot be right.
-- @param url ws: or http:; with a stream any
-- @param options of the adapter and of `wsock.protocol.client`
-- @param now seconds by the loop's clock
-- @param handlers names that are the adapter's
function M.client(url, options, now, handlers)
  if options ~= nil and type(options) ~= "table" then error("options must be a table, got " .. type(options), 3) end
  local ok, conn = pcall(core.protocol.client, url, options_of(options, now, handlers))
  if not ok then error(conn, 3) end
  local uri = core.wire.uri.parse(url)
  if options and options.stream then return conn end -- how it came to be is its owner's affair
  if uri.secure then error("connect: " .. uri.scheme .. ": adapters have no TLS; give a stream that has", 3) end
  if uri.path then error("connect: adapters have no unix sockets; give a stream", 3) end
  return conn, (uri.host:gsub("^%[(.*)%]$", "%1")), uri.port
end

local function server_options(options, now, handlers)
  local also = setmetatable({}, { __index = function(_, key) return own[key] or handlers[key] end })
  return options_of(options, now, also)
end

--- A server's connection.
function M.server(options, now, handlers) return core.protocol.server(server_options(options, now, handlers)) end

--- Whether a transport that is no longer wanted may go at once: what was given
-- to it (`socket.writing`) still leaves, unless the connection failed or was
-- cut (`socket.cut`).
function M.may_drop(socket)
  return not socket.writing or socket.cut or socket.conn.fault ~= nil
end

-- The Origin: "*" lets everyone in, a list those in it, nothing the same host.
local function from_here(conn, origins)
  if origins == nil then return conn.sameHost end
  local origin = conn.request.headers.origin
  return origin == nil or origins == "*" or M.names(origins)[origin]
end

--- Raises, in the name of whoever called listen, unless the options can be right.
-- @param options of listen
-- @param handlers names that are the adapter's
-- @param needs_handler whether each connection is its `handler`'s
function M.check_listen(options, handlers, needs_handler)
  if type(options) ~= "table" then error("options must be a table, got " .. type(options), 3) end
  local ok, message = pcall(core.protocol.server, server_options(options, 0, handlers))
  if not ok then error(message, 3) end
  local port = options.port
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    error("option 'port' must be an integer from 0 to 65535, got " .. tostring(port), 3)
  end
  if needs_handler and not check.callable(options.handler) then
    error("option 'handler' must be a function, got " .. type(options.handler), 3)
  end
end

--- Answers "upgrade": the Origin, then `verify(request)` → true or false,
-- status, headers, body; then 101 with the first subprotocol we know.
function M.admit(conn, options)
  if not from_here(conn, options.origins) then return conn:reject(403) end
  if options.verify then
    local ok, status, headers, body = options.verify(conn.request)
    if not check.verdict(ok) then return conn:reject(status, headers, body) end
  end
  conn:accept { protocol = check.subprotocol(conn.request, options.protocols or {}) }
end

--- Answers "request" by `onrequest(request)` → status, headers, body; without
-- it there is only WebSocket here (RFC 9110 15.5.22).
function M.answer(conn, options)
  if not options.onrequest then return conn:respond(426, { Upgrade = "websocket" }) end
  conn:respond(options.onrequest(conn.request))
end

return M
