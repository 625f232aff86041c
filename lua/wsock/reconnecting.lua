--- A client's socket that comes back.
--
-- When its connection is lost, or cannot be had, it waits and tries again: a random time up to a ceiling that doubles
-- with each try (full jitter), so that the clients of a server that was restarted do not all come at once. What is sent
-- meanwhile waits in a queue. What was on its way when the connection was lost is lost: no peer says what it got.
-- Messages go to listeners, or are asked for, over as many connections as it takes.
-- @module wsock.reconnecting

local check = require "wsock.check"
local core = require "wsock.core"
local events = require "wsock.events"
local outbox = require "wsock.outbox"

local M = {}

--- Numbers from 0 up to 1: what waits are multiplied by. Specs put a function of their own here.
M.random = math.random

-- Answers to a handshake that may be others the next time, though 4xx: too slow, too early, too many requests.
local passing = { [408] = true, [425] = true, [429] = true }

-- Close codes by which a peer says that coming back is no use.
local GIVE_UP = { 1000, 1003, 1008, 1009, 1010 }

local own_options = {
  delay = "seconds", maxDelay = "seconds", maxAttempts = "count", maxQueue = "count", giveUpCodes = "list or function",
}

-- Events with the names of their arguments; with the option streaming messages come in parts.
local function fields_of(streaming)
  return {
    open = {}, error = { "message", "code", "status" }, close = { "code", "reason", "wasClean" },
    message = not streaming and { "data", "kind" } or nil, chunk = streaming and { "data", "kind", "final" } or nil,
    ping = { "data" }, pong = { "data" }, drain = {},
    reconnecting = { "delay", "attempt", "code", "reason" }, reconnected = { "attempts" },
  }
end

local CONNECTING, OPEN, CLOSING, CLOSED = 0, 1, 2, 3

local STATE = {} -- the key of what is nobody's business

-- ---- asking in place of listening ---------------------------------------------------------

-- While it is asked for them, messages wait in the socket; those of a connection that is over lie in a list, the rest.

-- From here on the socket's messages go to our listeners. Without any it has none itself, so that it keeps what comes
-- while one of its handlers waits.
local function hear(s, socket)
  if s.heard == socket then return end
  socket:on(s.said, s.pass)
  s.heard = socket
end

-- From here on the socket keeps its messages.
local function hold(s, socket)
  s.heard = nil
  socket:off(s.said, s.pass)
  socket:messages()
end

local function pull(s)
  if s.options.streaming then error("with the option streaming messages come in parts, as 'chunk'", 3) end
  s.turning = nil
  if s.pulls then return end
  s.pulls = true
  if not s.lost then hold(s, s.socket) end
end

-- The oldest message of the rest. While there are too many, the connection of now is not read.
local function take(s)
  local message = table.remove(s.rest, 1)
  if s.paused and #s.rest < s.rest_max then
    s.paused = false
    s.socket:resume()
  end
  return message[1], message[2]
end

-- Hands out what waits; then messages go to listeners as they come. One of these may ask again.
local function push(s)
  if not s.turning then return end
  s.turning, s.pulls = nil, false
  while not s.pulls and s.rest[1] do s.pass(take(s)) end
  if not s.pulls and not s.lost then hear(s, s.socket) end
end

-- What a connection that is over has left.
local function keep_rest(s)
  if not s.pulls then return end
  for data, kind in s.socket:messages() do s.rest[#s.rest + 1] = { data, kind } end
end

-- A listener for messages is there, or one more: what waited for receive is for it, in a turn of its own.
local function listened(s, name)
  if name ~= s.said or s.turning then return end
  if not s.pulls then
    if not s.lost then hear(s, s.socket) end
    return
  end
  s.turning = true
  s.loop:after(0, function() push(s) end)
end

-- A task without an end: who waits for a connection joins it, and who has one cancels it.
local function gap(s)
  s.gap = s.gap or s.loop:spawn(s.loop.sleep, s.loop, math.huge)
  return s.gap
end

local function end_gap(s)
  if s.gap then s.gap:cancel() end
  s.gap = nil -- not before: without memory there is no cancel
end

-- ---- connections ------------------------------------------------------------------------

local again

local function finish(s, code, reason, clean)
  if s.state == CLOSED then return end
  s.state, s.lost, s.code, s.reason = CLOSED, true, code, reason
  if s.timer then s.timer:cancel() end
  end_gap(s)
  s.outbox:clear()
  s.events:fire("close", code, reason, clean)
end

-- A step of its life. One that raises, for want of memory or because giveUpCodes did, is the last.
local function take_step(s, step, ...)
  local ok, message = pcall(step, s, ...)
  if ok then return end
  pcall(finish, s, 1006, "", false)
  error(message, 0)
end

-- How long to wait before try number n, at most.
local function ceiling(s, n)
  return math.min(s.max_delay, s.delay * 2.0 ^ math.min(n - 1, 62))
end

local function hopeless(s, code, reason)
  local status = s.status
  if status and status >= 400 and status < 500 and not passing[status] then return true end
  if s.max_attempts > 0 and s.attempts >= s.max_attempts then return true end
  if type(s.give_up) == "table" then return s.give_up[code] == true end
  return s.give_up(code, reason) and true or false
end

-- The connection is gone, or was never there.
local function lost(s, code, reason, clean)
  s.lost, s.paused, s.greeter = true, false, nil
  keep_rest(s)
  if s.opened_at then
    -- one that lasted longer than the wait before it starts the count anew
    if s.loop:now() - s.opened_at >= ceiling(s, s.attempts + 1) then s.attempts = 0 end
    s.opened_at = nil
  end
  if s.state >= CLOSING or hopeless(s, code, reason) then return finish(s, code, reason, clean) end
  s.state = CONNECTING
  s.attempts = s.attempts + 1
  local delay = M.random() * ceiling(s, s.attempts)
  s.timer = s.loop:after(delay, function() take_step(s, again) end)
  s.events:fire("reconnecting", delay, s.attempts, code, reason)
end

-- What its listeners send goes out before what waits: to say who one is comes first. One that waits, though, may do so
-- for ever: in the next turn the rest goes on its way.
local function opened(s)
  local socket, greeter = s.socket, coroutine.running()
  s.state, s.opened_at = OPEN, s.loop:now()
  if #s.rest >= s.rest_max then
    s.paused = true
    socket:pause()
  end
  local function greeted() if s.greeter == greeter then s.greeter = nil s.outbox:flush(socket) end end
  s.greeter = greeter
  local waits = s.loop:after(0, greeted)
  s.events:fire "open"
  if s.been_open and s.state == OPEN and s.socket == socket then s.events:fire("reconnected", s.attempts) end
  s.been_open = true
  waits:cancel()
  greeted()
end

local function listen(s, socket)
  local fire = s.events
  socket.binaryType = s.binary_type
  socket:on("open", function() opened(s) end)
  if s.pulls then
    hold(s, socket)
  elseif s.events:listens(s.said) then
    hear(s, socket)
  end
  socket:on("error", function(message, code, status)
    s.status, s.why = status, message
    if s.state == OPEN then s.state = CONNECTING end
    fire:fire("error", message, code, status)
  end)
  socket:on("ping", function(data) fire:fire("ping", data) end)
  socket:on("pong", function(data) fire:fire("pong", data) end)
  socket:on("drain", function()
    if not s.greeter then s.outbox:flush(s.socket) end
    if s.outbox:count() == 0 then fire:fire "drain" end
  end)
  socket:on("close", function(code, reason, clean) take_step(s, lost, code, reason, clean) end)
end

-- One more connection; whether it is on its way, and why not.
local function connect(s)
  local ok, socket = pcall(core.WebSocket, s.url, nil, s.options)
  if not ok then return false, socket end
  local message
  ok, message = pcall(listen, s, socket)
  if not ok then -- out of memory: nobody would hear of it
    socket:terminate()
    return false, message
  end
  s.socket, s.status, s.why, s.lost = socket, nil, nil, false
  end_gap(s)
  return true
end

-- What was right at first may be wrong now: a table of headers, which the user has.
function again(s)
  s.timer = nil
  local ok, message = connect(s)
  if ok then return end
  s.state = CLOSING
  s.events:fire("error", message, "ARGUMENT")
  finish(s, 1006, "", false)
end

-- When its loop was closed under it no step of its life comes any more: it has ended.
local function abandoned(s)
  if s.state == CLOSED or s.socket.readyState ~= CLOSED or pcall(s.loop.timeout, s.loop) then return end
  s.state, s.lost, s.code, s.reason = CLOSED, true, 1006, ""
  s.outbox:clear()
end

-- It ends for good. Where no connection is, its close comes in a turn of its own, as a socket's does.
local function stop(s)
  abandoned(s)
  if s.state == CLOSED then return end_gap(s) end
  if s.ending then return end
  s.state = CLOSING
  if s.socket.readyState ~= CLOSED then return end
  s.ending = s.loop:after(0, function() take_step(s, finish, 1006, "", false) end)
  if s.timer then s.timer:cancel() end
end

-- ---- what users call ----------------------------------------------------------------------

local Reconnecting = {}

--- Sends a message, or queues it while there is no connection.
-- @param data a string, a number, a Blob or an ArrayBuffer
-- @tparam[opt] string kind "text" or "binary"
-- @tparam[opt] table options `compress = false`; a message in parts could not wait, so there is no `final`
-- @treturn ?boolean true; nil, message and "BUFFER" when the queue is full, "CLOSED" once it has ended
function Reconnecting:send(data, kind, options)
  local s = self[STATE]
  if options ~= nil then
    options = { compress = check.options(options, "send", { compress = "boolean" }).compress }
  end
  if s.socket.readyState == OPEN and (s.outbox:count() == 0 or s.greeter == coroutine.running()) then
    local sent, why, code = check.passed(pcall(s.socket.send, s.socket, data, kind, options))
    return sent, why, code
  end
  local message = outbox.message(data, kind, options)
  abandoned(s)
  if s.state >= CLOSING then return nil, "send: it has ended", "CLOSED" end
  return s.outbox:add(message)
end

--- Waits for the next message, across as many connections as it takes.
-- @tparam[opt] number timeout seconds
-- @return data, kind; or nil, message, "TIMEOUT", and nothing is lost; or, once it has ended, nil, message, "CLOSED",
-- close code, reason
function Reconnecting:receive(timeout)
  local s = self[STATE]
  check.timeout(timeout, "receive")
  abandoned(s)
  pull(s)
  local deadline = timeout and s.loop:now() + timeout
  while true do
    if s.rest[1] then return take(s) end
    local left, socket = deadline and math.max(0, deadline - s.loop:now()), s.socket
    local data, kind, code
    if not s.lost then
      data, kind, code = socket:receive(left)
      s.lost = s.lost or code == "CLOSED" and s.socket == socket -- its close event may still come
    elseif s.state == CLOSED then
      return nil, s.why or ("the connection was closed (%d)"):format(s.code), "CLOSED", s.code, s.reason
    else
      code = select(3, gap(s):join(left))
    end
    if data ~= nil then return data, kind end
    if code == "TIMEOUT" then return nil, "receive: timed out", "TIMEOUT" end
  end
end

--- Iterates over the messages: data, kind; ends when it has ended.
-- @treturn function
function Reconnecting:messages()
  local s = self[STATE]
  pull(s)
  return function() return self:receive() end
end

--- Ends it for good, with or without a connection.
-- @tparam[opt] integer code
-- @tparam[opt] string reason
-- @treturn boolean true
function Reconnecting:close(code, reason)
  local s = self[STATE]
  check.passed(pcall(s.socket.close, s.socket, code, reason)) -- looks at both, whatever its state
  stop(s)
  return true
end

--- Ends it for good and drops the connection now.
-- @treturn boolean true
function Reconnecting:terminate()
  local s = self[STATE]
  s.socket:terminate()
  stop(s)
  return true
end

--- Pings the peer.
-- @tparam[opt] string data
-- @treturn ?boolean true; nil, message and "CLOSED" without a connection
function Reconnecting:ping(data)
  local socket = self[STATE].socket
  if socket.readyState ~= OPEN then return nil, "ping: there is no connection", "CLOSED" end
  local sent, why, code = check.passed(pcall(socket.ping, socket, data))
  return sent, why, code
end

--- Listens with plain arguments, as a socket's on.
-- @tparam string name a socket's event, "reconnecting" or "reconnected"
-- @tparam function listener
-- @return itself
function Reconnecting:on(name, listener)
  self[STATE].events:on(name, listener)
  listened(self[STATE], name)
  return self
end

--- Listens to one event.
-- @tparam string name
-- @tparam function listener
-- @return itself
function Reconnecting:once(name, listener)
  self[STATE].events:on(name, listener, true)
  listened(self[STATE], name)
  return self
end

--- Takes listeners away.
-- @tparam string name
-- @tparam[opt] function listener without it: all that on and once added
-- @return itself
function Reconnecting:off(name, listener)
  self[STATE].events:off(name, listener)
  return self
end

--- Listens as in browsers.
-- @tparam string name
-- @param listener
-- @tparam[opt] table options `once`
function Reconnecting:addEventListener(name, listener, options)
  if type(options) == "boolean" then options = nil end -- in browsers: capture
  options = check.options(options, "addEventListener", { once = "boolean" })
  self[STATE].events:add(name, listener, options.once)
  if listener ~= nil then listened(self[STATE], name) end
end

--- Takes away what addEventListener added.
-- @tparam string name
-- @param listener
function Reconnecting:removeEventListener(name, listener)
  self[STATE].events:remove(name, listener)
end

-- ---- attributes -----------------------------------------------------------------------------

local attributes = {
  readyState = function(s)
    abandoned(s)
    return s.state
  end,
  bufferedAmount = function(s) return s.outbox.bytes + (s.state == OPEN and s.socket.bufferedAmount or 0) end,
  queueLength = function(s) return s.outbox:count() end,
  attempts = function(s) return s.attempts end,
  socket = function(s) return s.socket end,
  url = function(s) return s.socket.url end,
  protocol = function(s) return s.socket.protocol end,
  extensions = function(s) return s.socket.extensions end,
  binaryType = function(s) return s.binary_type end,
  data = function(s) return s.data end,
}

local binary_types = { string = true, blob = true, arraybuffer = true }

local constants = { CONNECTING = CONNECTING, OPEN = OPEN, CLOSING = CLOSING, CLOSED = CLOSED }

check.methods(Reconnecting, "wsock.reconnecting")

local function attribute_name(s, key)
  local name = type(key) == "string" and key:match "^on(.*)$"
  return name and s.events.lists[name] and name
end

-- What can be set and is spelt much like key, for an error.
local function nearest(s, key)
  local names = { "binaryType", "data" }
  for _, name in ipairs(s.events.names) do names[#names + 1] = "on" .. name end
  local _, message = pcall(core.checkKeys, { [tostring(key)] = true }, "field", names)
  return message:match "; did you mean.*" or ""
end

local meta = { __name = "wsock.reconnecting", __metatable = false }

function meta:__index(key)
  if Reconnecting[key] then return Reconnecting[key] end
  local s, get = rawget(self, STATE), attributes[key]
  if get then return get(s) end
  local name = attribute_name(s, key)
  if name then return s.events:get(name) end
  return constants[key]
end

function meta:__newindex(key, value)
  local s = rawget(self, STATE)
  local name = attribute_name(s, key)
  if name then
    s.events:set(name, value)
    if value ~= nil then listened(s, name) end
  elseif key == "binaryType" then
    if not binary_types[value] then
      error(('binaryType must be "string", "blob" or "arraybuffer", got %s'):format(tostring(value)), 2)
    end
    s.socket.binaryType = value
    s.binary_type = value
  elseif key == "data" then
    s.data = value
  else
    error(("field '%s' cannot be set%s"):format(tostring(key), nearest(s, key)), 2)
  end
end

function meta:__tostring()
  local s = rawget(self, STATE)
  local states = { "connecting", "open", "closing", "closed" }
  return ("wsock.reconnecting (%s, %s)"):format(self.url, states[s.state + 1])
end

function meta:__close() self:close() end

--- A client that connects, and connects again.
-- @tparam string url as for wsock.WebSocket; raises when it, or an option, cannot be right
-- @tparam[opt] table options those of wsock.WebSocket, and: `delay` (1), seconds: the ceiling of the first wait;
-- `maxDelay` (30): of all; `maxAttempts` (0: no limit): tries to come back, in a row; `maxQueue` (1000): messages that
-- may wait; `giveUpCodes`: a list of close codes, or a function(code, reason), by which it does not come back (1000,
-- 1003, 1008, 1009, 1010)
-- @return an object like a socket
function M.new(url, options, ...)
  check.two("reconnecting", ...)
  if options ~= nil and type(options) ~= "table" then
    error("options must be a table, got " .. type(options), 2)
  end
  local own, rest = {}, {}
  for name, value in pairs(options or {}) do
    if own_options[name] then own[name] = value else rest[name] = value end
  end
  own = check.options(own, "reconnecting", own_options)
  if rest.frames then error("option 'frames': a client that comes back has whole messages", 2) end
  local loop = rest.loop or core.defaultLoop()
  local s = {
    url = url, options = rest, loop = loop, state = CONNECTING, attempts = 0, binary_type = "string",
    delay = own.delay or 1, max_delay = own.maxDelay or 30, max_attempts = own.maxAttempts or 0,
    give_up = check.integers("giveUpCodes", own.giveUpCodes or GIVE_UP),
    outbox = outbox.new(own.maxQueue or 1000, rest.maxBuffered == 0 and math.huge or rest.maxBuffered or 16 << 20),
    said = rest.streaming and "chunk" or "message", rest = {}, rest_max = rest.receiveQueue or 16,
  }
  s.pass = function(...) s.events:fire(s.said, ...) end
  local self = { [STATE] = s }
  s.events = events.new(self, fields_of(rest.streaming), loop, function(event)
    if event.type == "message" then event.origin = s.socket.origin end
  end)
  local ok, message = connect(s)
  if not ok then error(check.nearer(message, own_options), 2) end
  return setmetatable(self, meta)
end

return M
