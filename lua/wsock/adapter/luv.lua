--- WebSocket under luv (libuv): a client and a server with callbacks.
--
-- A socket's handlers are its `on…` fields: `onopen(socket)`,
-- `onmessage(socket, data, kind)`, `onclose(socket, code, reason, wasClean)`,
-- `onerror(socket, message, code)`, `onping(socket, data)`, `onpong(socket,
-- data)`, `ondrain(socket)`, with the option `streaming` `onchunk(socket, data,
-- kind, final)`, with `frames` `onframe(socket, data, kind, final, code)`; they
-- are taken from the options and may be set later.
-- @module wsock.adapter.luv

local uv = require "luv"
local check = require "wsock.check"
local shared = require "wsock.adapter.shared"

local M = {}

-- The options that are this adapter's, and their kinds.
local CLIENT = { onopen = "function", stream = "any" }
local SERVER = shared.server_types { onconnection = "function", backlog = "count" }
for _, name in ipairs { "onmessage", "onclose", "onerror", "onping", "onpong", "ondrain", "onchunk", "onframe" } do
  CLIENT[name], SERVER[name] = "function", "function"
end

local function now() return uv.hrtime() / 1e9 end

local Socket = {}
Socket.__index = Socket

-- ---- bytes and time -----------------------------------------------------------------

local pull, settle -- below

-- Gives up the transport; the close event comes when it is gone.
local function drop(self)
  if self.handle:is_closing() then return end
  self.timer:close()
  self.handle:close(function()
    if self.of then self.of.count = self.of.count - 1 end
    self.conn:closed()
    pull(self)
  end)
end

-- One piece at a time: what is not given to libuv yet counts as waiting.
local function write(self)
  if self.writing or not self.connected then return end
  local out = self.conn:output(shared.PIECE)
  if out == "" then return end
  self.writing = true
  local ok = self.handle:write(out, function(err)
    self.writing = false
    if self.handle:is_closing() then return end
    self.conn:tick(now())
    if err then return drop(self) end
    pull(self)
  end)
  if not ok then drop(self) end
end

local function came(self, err, bytes)
  if self.handle:is_closing() then return end
  self.conn:tick(now())
  if err then return drop(self) end
  if bytes then self.conn:feed(bytes) else self.conn:eof() end
  pull(self)
end

local function read(self, wanted)
  if wanted == self.reading or not self.connected then return end
  self.reading = wanted
  if not wanted then return self.handle:read_stop() end
  self.handle:read_start(function(err, bytes) came(self, err, bytes) end)
end

-- Looks again in so many seconds, or sooner.
local function arm(self, left)
  local due = left and now() + left or math.huge
  if due >= self.alarm then return end
  self.alarm = due
  self.timer:start(math.ceil(left * 1000), 0, function()
    self.alarm = math.huge
    self.conn:tick(now())
    pull(self)
  end)
end

-- Does what the connection wants.
function settle(self)
  local conn = self.conn
  if self.handle:is_closing() then return end
  if conn:want "close" then
    if shared.may_drop(self) then drop(self) end
    return
  end
  write(self)
  if conn:want "shutdown" and not self.writing and not self.shut then
    self.shut = true
    self.handle:shutdown()
  end
  read(self, conn:want "read")
  arm(self, conn:timeout())
end

-- ---- events ---------------------------------------------------------------------------

-- Calls the user's code; the first error is kept until the turn is done.
local function call(self, fn, ...)
  local ok, message = xpcall(fn, debug.traceback, ...)
  if ok then return true end
  self.raised = self.raised or message
  return false
end

local on = {}

function on.upgrade(self)
  if not call(self, shared.admit, self.conn, self.options) then self.conn:reject(500) end
end

function on.request(self)
  if not call(self, shared.answer, self.conn, self.options) then self.conn:respond(500) end
end

-- Hands out what happened.  An error of a handler goes on to libuv when the
-- rest is done; a server's socket is closed for it.
function pull(self)
  local conn = self.conn
  for name, a, b, c, d in conn.next, conn do
    if name == "error" and self.why then a, b = self.why[1], self.why[2] end
    local fn = self["on" .. name]
    if name == "open" and self.server then fn = self.onconnection end
    if on[name] then
      on[name](self)
    elseif fn and not call(self, fn, self, a, b, c, d) and self.server then
      conn:close(1011, "internal error")
    end
  end
  settle(self)
  local message = self.raised
  self.raised = nil
  if message then error(message, 0) end
end

-- ---- the socket -----------------------------------------------------------------------

-- The verbs of the protocol object.
for _, name in ipairs { "send", "sendFrame", "ping", "pong", "close", "terminate", "pause", "resume" } do
  Socket[name] = function(self, ...)
    local conn = self.conn
    conn:tick(now())
    local ok, message, code = check.passed(pcall(conn[name], conn, ...))
    self.cut = self.cut or name == "terminate"
    settle(self)
    -- What is known already is told in the next turn.
    if conn:want "event" and not self.handle:is_closing() then arm(self, 0) end
    if ok == conn then return self end -- pause and resume give what they were called on
    return ok, message, code
  end
end

-- A handler set later; a misspelt one would never be called.
function Socket:__newindex(key, value)
  if type(key) == "string" and key:find "^on" then shared.check_handler(key, value, self.handlers) end
  rawset(self, key, value)
end

local function socket(handle, conn, options, types)
  local self = setmetatable({
    handle = handle, timer = uv.new_timer(), conn = conn, options = options, alarm = math.huge, handlers = types,
  }, Socket)
  for name in pairs(types) do
    if name:find "^on" then self[name] = options[name] end
  end
  return self
end

local function check_stream(handle)
  local ok, closing = pcall(uv.is_closing, handle)
  if ok and not closing and handle.read_start then return handle end
  error("stream must be a connected uv_tcp or uv_pipe, got " .. type(handle), 3)
end

-- A transport is there.
local function connected(self)
  self.connected = true
  pcall(self.handle.nodelay, self.handle, true) -- a pipe has none
  settle(self)
end

-- ---- connecting -------------------------------------------------------------------------

-- Tries the addresses in turn.
local function try(self, list, i, where)
  local address = list[i]
  local function done(err)
    if self.handle:is_closing() then return end -- given up already, which is told
    if not err then return connected(self) end
    if list[i + 1] then
      self.handle:close()
      self.handle = uv.new_tcp()
      return try(self, list, i + 1, where)
    end
    self.why = { ("connect %s: %s"):format(where, err), err }
    drop(self)
  end
  local ok, message, code = self.handle:connect(address.addr, address.port, done)
  if not ok then done(code or message) end
end

--- Connects; everything else is told by handlers.
-- @param url ws: or http:
-- @param options those of `wsock.protocol.client`, handlers, and stream, a
-- connected uv_tcp or uv_pipe to be used
-- @return socket
function M.connect(url, options)
  local conn, host, port = shared.client(url, options, now(), CLIENT)
  if not host then
    local self = socket(check_stream(options.stream), conn, options, CLIENT)
    connected(self)
    return self
  end
  local self = socket(uv.new_tcp(), conn, options or {}, CLIENT)
  uv.getaddrinfo(host, tostring(port), { socktype = "stream" }, function(err, list)
    local there, closing = pcall(uv.is_closing, self.handle)
    if closing or not there then return end -- not there: the program ended before its loop ran
    if not err then return try(self, list, 1, shared.place(host, port)) end
    self.why = { ("resolve %s: %s"):format(host, err), (err:match "^[%u_]+") or "EAI_FAIL" }
    drop(self)
  end)
  settle(self)
  return self
end

-- ---- listening ----------------------------------------------------------------------------

--- Makes a WebSocket of an accepted connection.
-- @param handle a uv_tcp or uv_pipe
-- @param options of a server; see listen
-- @return socket, which is open when `onconnection(socket)` is called
function M.accept(handle, options)
  options = options or {}
  local self = socket(check_stream(handle), shared.server(options, now(), SERVER), options, SERVER)
  self.server = true
  connected(self)
  return self
end

local Server = {}
Server.__index = Server

--- Host and port.
function Server:address()
  local name = self.handle:getsockname()
  return name.ip, name.port
end

--- Accepts no more; who is there stays.
function Server:close()
  if not self.handle:is_closing() then self.handle:close() end
end

-- Takes a connection that waits, if there is room for one more.
local function take(server, options)
  local client = uv.new_tcp()
  if server.handle:accept(client) and server.count < (options.maxConnections or shared.MOST) then
    server.count = server.count + 1
    M.accept(client, options).of = server
  else
    client:close()
  end
end

--- Listens.
-- @param options host, port, backlog, handlers, `onconnection(socket)`,
-- maxConnections, hosts, origins, protocols, verify, onrequest, and those of `wsock.protocol.server`
-- @return server, or nil, message, code
function M.listen(options)
  shared.check_listen(options, SERVER)
  local host = options.host or "127.0.0.1"
  local list, why = uv.getaddrinfo(host, nil, { socktype = "stream", passive = true })
  if not list then return nil, ("resolve %s: %s"):format(host, why), why:match "^[%u_]+" or "EAI_FAIL" end
  local handle = uv.new_tcp()
  local server = setmetatable({ handle = handle, count = 0 }, Server)
  local ok, message, code = handle:bind(list[1].addr, options.port)
  if ok then
    ok, message, code = handle:listen(options.backlog or 511, function(err)
      if not err then take(server, options) end
    end)
  end
  if ok then return server end
  handle:close()
  return nil, ("listen %s: %s"):format(shared.place(host, options.port), message), code
end

return M
