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

-- The options of every adapter's server, which the protocol object would not know, and their kinds.
local own = {
  host = "string", port = "any", maxConnections = "count", hosts = "any", origins = "any",
  protocols = "list or function",
  verify = "function", onrequest = "function",
}

-- The protocol object's options: all but the adapter's own and those named.
local function options_of(options, now, also)
  local rest = { now = now }
  for key, value in pairs(options or {}) do
    if not also[key] then rest[key] = value end
  end
  return rest
end

-- What is wrong with the options of an adapter, or nil; conn is what was made of the others, or why none was.
local function fault(options, types, ok, conn)
  return check.fault(options, types) or not ok and check.nearer(conn, types) or nil
end

--- How messages name an end.
function M.place(host, port) return (host:find(":", 1, true) and "[%s]:%s" or "%s:%s"):format(host, port) end

--- A client's connection, its host and its port; only the connection when the
-- options have a connected `stream`.  Raises when URL or options cannot be right.
-- @param url ws: or http:; with a stream any
-- @param options of the adapter and of `wsock.protocol.client`
-- @param now seconds by the loop's clock
-- @param types the options that are the adapter's, by name, and their kinds
function M.client(url, options, now, types)
  if options ~= nil and type(options) ~= "table" then error("options must be a table, got " .. type(options), 3) end
  local ok, conn = pcall(core.protocol.client, url, options_of(options, now, types))
  local message = fault(options or {}, types, ok, conn)
  if message then error(message, 3) end
  local uri = core.wire.uri.parse(tostring(url)) -- an object may stand for one
  if options and options.stream then return conn end -- how it came to be is its owner's affair
  if uri.secure then error("connect: " .. uri.scheme .. ": adapters have no TLS; give a stream that has", 3) end
  if uri.path then error("connect: adapters have no unix sockets; give a stream", 3) end
  return conn, (uri.host:gsub("^%[(.*)%]$", "%1")), uri.port
end

--- The options of an adapter's server, and their kinds: adds to its own those that all have.
function M.server_types(types)
  for name, kind in pairs(own) do types[name] = kind end
  return types
end

--- A server's connection.  Raises as `client`.
function M.server(options, now, types)
  local ok, conn = pcall(core.protocol.server, options_of(options, now, types))
  local message = fault(options or {}, types, ok, conn)
  if message then error(message, 3) end
  return conn
end

--- Whether a transport that is no longer wanted may go at once: what was given
-- to it (`socket.writing`) still leaves, unless the connection failed or was
-- cut (`socket.cut`).
function M.may_drop(socket)
  return not socket.writing or socket.cut or socket.conn.fault ~= nil
end

-- The Origin, as a server's option `origins` has it: nil is the same host.
local function from_here(conn, origins)
  if origins == nil then return conn.sameHost end
  local request = conn.request
  local list = request.headers:all "origin"
  if #list > 1 then return false end -- no browser sends two
  local origin = list[1]
  if check.callable(origins) then return check.verdict("origins", origins(origin, request)) end
  if origin == nil or origins == "*" then return true end
  for _, ours in ipairs(type(origins) == "table" and origins or { origins }) do
    if ours:lower() == origin:lower() then return true end -- RFC 6454 4
  end
  return false
end

-- What is wrong with what says who may come in, or nil.
local function lists_fault(options)
  local protocols = options.protocols
  local ok, message = pcall(core.checkOrigins, options.origins)
  if ok then ok, message = pcall(core.checkHosts, options.hosts) end
  if ok and not check.callable(protocols) then ok, message = pcall(core.checkProtocols, protocols) end
  return not ok and message or nil
end

--- Raises, in the name of whoever called listen, unless the options can be right.
-- @param options of listen
-- @param types of `server_types`
-- @param needs_handler whether each connection is its `handler`'s
function M.check_listen(options, types, needs_handler)
  if type(options) ~= "table" then error("options must be a table, got " .. type(options), 3) end
  local message = fault(options, types, pcall(core.protocol.server, options_of(options, 0, types)))
    or lists_fault(options)
  if message then error(message, 3) end
  local port = options.port
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    error("option 'port' must be an integer from 0 to 65535, got " .. tostring(port), 3)
  end
  if needs_handler and options.handler == nil then error("option 'handler' must be a function, got nil", 3) end
end

--- Raises, in the name of whoever sets a field of a socket, unless it is a handler of these.
-- @tparam string key which begins with `on`
-- @param value nil or a function
-- @tparam table types what may be set, by name
function M.check_handler(key, value, types)
  local names = {}
  for name in pairs(types) do
    if name:find "^on" then names[#names + 1] = name end
  end
  table.sort(names)
  local ok, message = pcall(core.checkKeys, { [key] = true }, "field of a socket", names)
  if not ok then error(message, 3) end
  message = check.fault({ [key] = value }, { [key] = "function" })
  if message then error((message:gsub("^option '(.-)'", "%1")), 3) end
end

--- Answers "upgrade": the host, the Origin, then `verify(request)` → true or false,
-- status, headers, body; then 101 with the first subprotocol we know.
function M.admit(conn, options)
  if not core.isFor(conn, options.hosts) then return conn:reject(421) end
  if not from_here(conn, options.origins) then return conn:reject(403) end
  if options.verify then
    local ok, status, headers, body = options.verify(conn.request)
    if not check.verdict("verify", ok) then return conn:reject(status, headers, body) end
  end
  conn:accept { protocol = check.subprotocol(conn.request, options.protocols) }
end

--- Answers "request" by `onrequest(request)` → status, headers, body; without
-- it there is only WebSocket here (RFC 9110 15.5.22).
function M.answer(conn, options)
  if not core.isFor(conn, options.hosts) then return conn:respond(421) end
  if not options.onrequest then return conn:respond(426, { Upgrade = "websocket" }) end
  conn:respond(options.onrequest(conn.request))
end

return M
