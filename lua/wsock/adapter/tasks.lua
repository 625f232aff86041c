--- A socket for loops of coroutines: three tasks carry bytes and time, and
-- whoever uses the socket waits in the loop's own way.
--
-- The loop is a table: `now()`, `spawn(fn, …)`, and `slot()`, something with
-- `wait([seconds])` and `signal()`.  The transport: `read()` → bytes, or nil at
-- the end, or nil and why; `write(bytes)` → whether they went; `shutdown()`,
-- which ends the sending direction; `close()`, which also ends a `read` and a
-- `write` that wait.
-- @module wsock.adapter.tasks

local check = require "wsock.check"
local shared = require "wsock.adapter.shared"

local M = {}

local QUEUE = 16 -- messages nobody asked for yet; then reading stops

local Socket = {}
Socket.__index = Socket

-- ---- events ---------------------------------------------------------------------

local on = {}

function on.open(self) self.opened = true end

-- The user's functions answer; who raises has answered 500.
function on.upgrade(self)
  local ok, message = xpcall(shared.admit, debug.traceback, self.conn, self.options)
  if ok then return end
  self.raised = message
  self.conn:reject(500)
end

function on.request(self)
  local ok, message = xpcall(shared.answer, debug.traceback, self.conn, self.options)
  if ok then return end
  self.raised = message
  self.conn:respond(500)
end

-- A message is data and kind, a part of one also final, and so is a frame, with
-- a close code if it has one.
function on.message(self, data, kind, final, code)
  self.last = self.last + 1
  self.queue[self.last] = { data, kind, final, code }
  if self.last - self.first + 1 >= self.most then self.conn:pause() end
end

on.chunk, on.frame = on.message, on.message

function on.drain(self) self.room:signal() end

function on.error(self, ...) self.fault = { ... } end

function on.close(self, code, reason, clean)
  self.over = { code = code, reason = reason, wasClean = clean }
  self.transport:close()
  for _, slot in ipairs { self.room, self.income, self.outgo, self.clock } do slot:signal() end
end

local function tell(self)
  for name, a, b, c, d in self.conn.next, self.conn do
    if on[name] then
      on[name](self, a, b, c, d)
      self.news:signal()
    end
  end
end

-- Looks at what happened, and wakes whom it concerns.
local function round(self)
  local conn = self.conn
  tell(self)
  if conn:want "close" and shared.may_drop(self) then
    conn:closed()
    tell(self)
  end
  if conn:want "write" or conn:want "shutdown" then self.outgo:signal() end
  if conn:want "read" then self.income:signal() end
  local left = conn:timeout()
  if left and self.loop.now() + left < self.alarm then self.clock:signal() end
end

-- ---- tasks ----------------------------------------------------------------------

local function read(self)
  local conn = self.conn
  local bytes, why
  repeat
    while not conn:want "read" and not self.over do self.income:wait() end
    if self.over then return end
    bytes, why = self.transport:read()
    if self.over then return end
    conn:tick(self.loop.now())
    if bytes then
      conn:feed(bytes)
    elseif why then
      conn:closed()
    else
      conn:eof()
    end
    round(self)
  until not bytes
  -- Copas closes what the task that ends has read last.
  while not self.over do self.income:wait() end
end

-- Does the next thing that is wanted of the transport; false: nothing is.
local function act(self)
  local conn = self.conn
  local out = conn:output(shared.PIECE)
  if out ~= "" then
    self.writing = true
    local ok = self.transport:write(out)
    self.writing = false
    if not ok then conn:closed() end
    conn:tick(self.loop.now())
  elseif conn:want "shutdown" and not self.shut then
    self.shut = true
    self.transport:shutdown()
  else
    return false
  end
  round(self)
  return true
end

local function write(self)
  while not self.over do
    if not act(self) then self.outgo:wait() end
  end
end

local function keep_time(self)
  local conn, now = self.conn, self.loop.now
  while not self.over do
    local left = conn:timeout()
    self.alarm = left and now() + left or math.huge
    self.clock:wait(left)
    conn:tick(now())
    round(self)
  end
end

-- ---- the socket -----------------------------------------------------------------

-- What a finished connection says; in frame mode one that failed is finished.
local function ended(self)
  local over, fault = self.over, self.fault
  return nil, fault and fault[1] or "the connection is closed", "CLOSED", over and over.code or 1006,
    over and over.reason or ""
end

--- Queues a message and waits while more than highWaterMark bytes wait.
-- @return true, or nil, message, "CLOSED" or "BUFFER" (nothing was queued)
function Socket:send(data, kind, options)
  local conn = self.conn
  conn:tick(self.loop.now())
  local ok, message, code = check.passed(pcall(conn.send, conn, data, kind, options))
  round(self)
  while ok and conn.bufferedAmount > self.high and not self.over do self.room:wait() end
  return ok, message, code
end

--- The next message: data, kind; with the option `frames` the next frame:
-- data, kind, final, and a close code if it has one; or nil, message, "TIMEOUT" (nothing is lost);
-- or nil, message, "CLOSED", close code, reason.
-- @param timeout seconds; none: as long as it takes
function Socket:receive(timeout)
  check.timeout(timeout, "receive")
  local now = self.loop.now
  local deadline = timeout and now() + timeout
  while self.first > self.last do
    local left = deadline and deadline - now()
    if self.over or self.fault then return ended(self) end
    if left and left <= 0 then return nil, "receive: no message came in time", "TIMEOUT" end
    self.news:wait(left)
  end
  local message = self.queue[self.first]
  self.queue[self.first] = nil
  self.first = self.first + 1
  if self.conn.isPaused and not self.over then
    self.conn:resume()
    round(self)
  end
  return table.unpack(message)
end

--- With the option `streaming` the next part of a message: data, kind, final;
-- else as receive.
Socket.receiveChunk = Socket.receive

--- Iterates over the messages: data, kind.
function Socket:messages()
  return function() return self:receive() end
end

-- The verbs that pass straight on.
for _, name in ipairs { "ping", "pong", "close", "terminate", "sendFrame" } do
  Socket[name] = function(self, ...)
    self.conn:tick(self.loop.now())
    local ok, message, code = check.passed(pcall(self.conn[name], self.conn, ...))
    self.cut = self.cut or name == "terminate"
    round(self)
    return ok, message, code
  end
end

-- Sockets that wait have no handlers; one would never be called.
function Socket:__newindex(key, value)
  if type(key) == "string" and key:find "^on" then
    error(("%s: here messages are asked for, by receive or messages"):format(key), 2)
  end
  rawset(self, key, value)
end

Socket.__close = function(self) self:close() end

-- Counts a connection of a server for as long as its task runs.
local counted = { __close = function(entry) entry.server.count = entry.server.count - 1 end }

--- A server's connection from its first to its last byte: `options.handler`
-- gets the socket, which is closed behind it, with 1011 if it raised; the error
-- then goes on to the loop.
-- @param server has count, the connections there are
-- @param accept the adapter's, for (client, options)
-- @param client what it accepts
-- @param options of the server
function M.serve(server, accept, client, options)
  if server.count >= (options.maxConnections or shared.MOST) then return client:close() end
  server.count = server.count + 1
  local entry <close> = setmetatable({ server = server }, counted) -- luacheck: ignore 211
  local socket = accept(client, options)
  if not socket then return end
  local ok, message = xpcall(options.handler, debug.traceback, socket)
  if ok then socket:close(1000) else socket:close(1011, "internal error") end
  while socket:receive() do end -- what still comes is for nobody
  if not ok then error(message, 0) end
end

--- Starts a connection on a transport and waits until it is open.
-- @return socket, or nil, message, code
function M.start(loop, transport, conn, options)
  options = options or {}
  local self = setmetatable({
    loop = loop, transport = transport, conn = conn, options = options,
    queue = {}, first = 1, last = 0, most = options.receiveQueue or QUEUE,
    high = options.highWaterMark or 1048576, alarm = math.huge,
    news = loop.slot(), room = loop.slot(), income = loop.slot(), outgo = loop.slot(), clock = loop.slot(),
  }, Socket)
  loop.spawn(read, self)
  loop.spawn(write, self)
  loop.spawn(keep_time, self)
  while not self.opened and not self.over do self.news:wait() end
  if self.raised then error(self.raised, 0) end
  if self.opened then return self end
  local fault = self.fault or { "the request was refused, or no WebSocket's", "HANDSHAKE" }
  return nil, fault[1], fault[2], fault[3]
end

return M
