--- lua-resty-websocket's client over our loop.
-- @module wsock.resty.client

local core = require "wsock.core"
local frames = require "wsock.resty.frames"
local straight = require "wsock.straight"

local M = frames.methods {}

local class = { __index = M }

--- A client that is not connected yet.
-- @param options timeout (ms), max_payload_len, max_recv_len, max_send_len
-- @return the client, or nil, err
function M:new(options) -- luacheck: ignore 212
  options = options or {}
  if options.send_unmasked then return nil, "send_unmasked: a client must mask (RFC 6455 5.1)" end
  return setmetatable(frames.init({ masks = true }, options), class)
end

-- ---- the pool -------------------------------------------------------------------------

-- name → pool: a list of idle connections, {sock, timer}, the longest idle first; `open`, how many there are, in use
-- or not; `waiting`, who waits for room, each with a task that sleeps until his time is over.
local pools = {}

local SIZE = 30 -- connections of a pool, unless told

local function pool_named(name)
  return pools[name] or { open = 0, waiting = {} }
end

-- Takes it out and gives up the connection, or hands it back.
local function take(pool, i)
  local idle = table.remove(pool, i)
  if idle.timer then idle.timer:cancel() end
  return idle.sock
end

-- An idle connection that is still good: open, and nothing came.
local function pooled(pool)
  while #pool > 0 do
    local sock = take(pool, #pool)
    if select(3, sock:receive(0)) == "TIMEOUT" and sock.readyState == sock.OPEN then return sock end
    sock:terminate()
  end
end

-- There is room for one more; whether somebody waited for it.
local function wake(pool)
  local first = table.remove(pool.waiting, 1)
  if first then first.task:cancel() end
  return first ~= nil
end

-- Whoever is cancelled while he waits leaves his place, or hands on his turn.
local place = { __close = function(mine)
  if mine.done then return end
  for i, other in ipairs(mine.pool.waiting) do
    if other == mine then return table.remove(mine.pool.waiting, i) end
  end
  wake(mine.pool)
end }

-- A connection belongs to a pool until it is closed; the last one takes the pool with it.
local function count(name, pool, sock)
  pools[name], pool.open = pool, pool.open + 1
  sock:on("close", function()
    pool.open = pool.open - 1
    if not wake(pool) and pool.open == 0 then pools[name] = nil end
  end)
end

-- Waits until a pool has less than so many connections, or an idle one; why it has not, or nil.
local function no_room(pool, size, backlog, seconds)
  local loop = core.defaultLoop()
  local deadline = loop:now() + seconds
  while pool.open >= size and #pool == 0 do
    if #pool.waiting >= backlog then return "too many waiting connect operations" end
    local task <close> = loop:spawn(loop.sleep, loop, math.max(0, deadline - loop:now()))
    local mine <close> = setmetatable({ pool = pool, task = task }, place)
    pool.waiting[#pool.waiting + 1] = mine
    if task:join() then return "timeout" end
    mine.done = true
  end
end

--- Puts the connection into its pool, for a later connect.
-- @param idle milliseconds it may wait there; 0: no limit
-- @param size connections the pool may have (30), unless connect was told by
-- pool_size; the longest idle one makes room
-- @return 1, or nil, err
function M:set_keepalive(idle, size)
  local sock = self.sock
  if not sock or self.closed or sock.readyState ~= sock.OPEN then return nil, "closed" end
  local pool = pool_named(self.pool)
  while #pool >= (self.pool_size or size or SIZE) do take(pool, 1):close(1000) end
  local entry = { sock = sock }
  idle = idle or 60000
  if idle > 0 then
    entry.timer = core.defaultLoop():after(idle / 1000, function()
      for i, other in ipairs(pool) do
        if other == entry then take(pool, i):close(1000) end
      end
    end)
  end
  pool[#pool + 1] = entry
  self.sock = nil
  wake(pool)
  return 1
end

-- ---- connecting -----------------------------------------------------------------------

-- What must be a string, and how that library calls it.
local texts = {
  host = "custom host header", key = "custom Sec-WebSocket-Key", server_name = "SSL server_name",
  client_cert = "client_cert", client_priv_key = "client_priv_key",
}

local function check_texts(options)
  for name, words in pairs(texts) do
    local value = options[name]
    if value ~= nil and type(value) ~= "string" then return words .. " must be a string" end
  end
  for _, name in ipairs { "pool_size", "backlog" } do
    if options[name] ~= nil and math.type(options[name]) ~= "integer" then return name .. " must be an integer" end
  end
  if options.client_cert and not options.client_priv_key then return "client_cert needs client_priv_key" end
end

-- "Name: value" lines to ours.
local function read_headers(list)
  if list ~= nil and type(list) ~= "table" then return nil, "custom headers must be a table" end
  local fields = {}
  for i, line in ipairs(list or {}) do
    local name, value = tostring(line):match "^%s*([^:%s]+)%s*:%s*(.-)%s*$"
    if not name then return nil, "custom header is no \"Name: value\": " .. tostring(line) end
    fields[i] = { name, value }
  end
  return fields
end

-- What wss: needs.  Unlike that library's, a certificate is checked unless
-- ssl_verify = false is written out.
local function read_tls(uri, options)
  if not uri.secure then return nil end
  return {
    verify = options.ssl_verify ~= false,
    serverName = options.server_name or options.host and core.wire.field.hostPort(options.host),
    cert = options.client_cert, key = options.client_priv_key,
  }
end

-- Who may use a connection again: whoever would have made the same one.
local function pool_of(uri, options)
  if options.pool then return options.pool end
  local parts = { uri.url }
  for _, name in ipairs { "host", "server_name", "ssl_verify", "client_cert", "client_priv_key" } do
    parts[#parts + 1] = tostring(options[name])
  end
  return table.concat(parts, "\0")
end

-- A string "a, b" or a list.
local function read_protocols(value)
  if type(value) ~= "string" then return value end
  local list = {}
  for name in value:gmatch "[^,%s]+" do list[#list + 1] = name end
  return list
end

-- The head of the answer as it came.
local function head_of(response)
  if not response then return nil end
  local lines = { ("HTTP/1.1 %d %s"):format(response.status, response.reason) }
  for _, field in ipairs(response.headers) do lines[#lines + 1] = field[1] .. ": " .. field[2] end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- nil, err: it could not even begin
local function impossible(message)
  message = tostring(message):gsub("^option 'tls': ", "failed to set TLS client certificate: ")
  return nil, message
end

local reasons = { ECONNREFUSED = "connection refused", TIMEOUT = "timeout", CLOSED = "closed" }

-- nil, err, head
local function failed(socket, message, code, status)
  local head = head_of(socket.response)
  if status then return nil, "failed websocket handshake: unexpected response status: " .. status, head end
  if code == "HANDSHAKE" then return nil, "failed websocket handshake: " .. message, head end
  if code == "TLS" then return nil, "ssl handshake failed: " .. message, head end
  local before = message:find "^connect " or message:find "^resolve "
  local stage = before and "failed to connect: " or "failed to receive response header: "
  return nil, stage .. (reasons[code] or message), head
end

--- Connects, or takes a connection from the pool.
-- @param uri ws://host:port/path, wss: too, or ws://unix:/path/to.sock:/path
-- @param options protocols (a string or a list), origin, headers (a list of
-- "Name: value"), host, key (Host and Sec-WebSocket-Key), ssl_verify, server_name
-- (else the host), client_cert and client_priv_key (PEM, or files), pool (its
-- name; else all that counts), pool_size (connections that may wait there; 30),
-- backlog: then there are no more than pool_size in all, and so many callers may
-- wait for one, as long as the timeout says
-- @return 1, nil, the answer's head or "connection reused"; or nil, err [, head]
function M:connect(uri, options)
  if self == M then return nil, "not initialized" end
  options = options or {}
  uri = tostring(uri):gsub("^ws://unix:", "ws+unix:")
  local parsed = core.wire.uri.parse(uri)
  if not parsed then return nil, "bad websocket uri" end
  local headers, err = read_headers(options.headers)
  err = err or check_texts(options)
  if err then return nil, err end
  if self.sock then self.sock:close(1000) end -- as that library has it: the one before ends
  self.pool, self.pool_size = pool_of(parsed, options), options.pool_size
  self.sock, self.fatal, self.closed = nil, nil, nil
  local pool = pool_named(self.pool)
  err = options.backlog and no_room(pool, options.pool_size or SIZE, options.backlog, frames.seconds(self))
  if err then return nil, "failed to connect: " .. err end
  self.sock = pooled(pool)
  if self.sock then return 1, nil, "connection reused" end
  local able, socket = pcall(core.WebSocket, uri, read_protocols(options.protocols), {
    frames = true, headers = headers, origin = options.origin, host = options.host, handshakeKey = options.key,
    handshakeTimeout = frames.seconds(self), maxPayload = self.max_recv_len, maxBuffered = 0, pingInterval = 0,
    tls = read_tls(parsed, options),
  })
  if not able then return impossible(socket) end
  count(self.pool, pool, socket)
  local made <close> = setmetatable({ socket = socket }, straight.unfinished)
  local open, message, code, status = core.opened(socket)
  made.done = true
  if not open then return failed(socket, message, code, status) end
  self.sock = socket
  return 1, nil, head_of(socket.response)
end

--- Sends a close frame, if none was sent, and lets go of the connection; does
-- not wait for the peer's.
-- @return 1, or nil, err
function M:close()
  if self.fatal then return nil, "fatal error already happened" end
  if not self.closed then
    local bytes, err = self:send_close()
    if not bytes then return nil, "failed to send close frame: " .. err end
  end
  self.sock = nil
  return 1
end

return M
