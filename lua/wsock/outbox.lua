--- Messages that wait for a socket to take them, as many and as large in all as may wait.
-- @module wsock.outbox

local core = require "wsock.core"

local Outbox = {}
Outbox.__index = Outbox

local M = {}

--- An empty one.
-- @tparam integer most how many messages may wait
-- @tparam number bytes how many bytes of them
-- @return it; its `bytes` are those that wait
function M.new(most, bytes)
  return setmetatable({ queue = {}, first = 1, last = 0, bytes = 0, most = most, bytes_max = bytes }, Outbox)
end

--- A message as it waits. Raises now, in the name of whoever called the caller, for what could not be sent then.
-- @param data a string, a number, a Blob or an ArrayBuffer, which is copied
-- @param kind nil, "text" or "binary"
-- @tparam ?table options of send, when it is its turn
-- @treturn table
function M.message(data, kind, options)
  local ok, blob = pcall(core.blob, data) -- a copy of an ArrayBuffer
  if not ok then error(blob, 3) end
  local binary = type(data) == "userdata"
  if kind ~= nil and kind ~= "text" and kind ~= "binary" then
    error(("kind must be \"text\" or \"binary\", got %s"):format(tostring(kind)), 3)
  end
  kind = kind or (binary and "binary" or "text")
  local text = not binary and blob:text()
  if kind == "text" and not utf8.len(text or blob:text()) then
    error("data is not valid UTF-8; send it as \"binary\"", 3)
  end
  return { data = text or blob, kind = kind, size = blob.size, options = options }
end

--- How many wait.
-- @treturn integer
function Outbox:count() return self.last - self.first + 1 end

--- Lets a message wait.
-- @tparam table message
-- @treturn ?boolean true; or nil, message and "BUFFER"
function Outbox:add(message)
  if self:count() >= self.most then return nil, "send: maxQueue would be passed", "BUFFER" end
  if self.bytes + message.size > self.bytes_max then return nil, "send: maxBuffered would be passed", "BUFFER" end
  self.last = self.last + 1
  self.queue[self.last] = message
  self.bytes = self.bytes + message.size
  return true
end

--- Sends what waits, as far as the socket, while it is open, takes it.
-- @param socket
function Outbox:flush(socket)
  while self.first <= self.last and socket.readyState == socket.OPEN do
    local message = self.queue[self.first]
    if not socket:send(message.data, message.kind, message.options) then return end
    self.queue[self.first] = nil
    self.first = self.first + 1
    self.bytes = self.bytes - message.size
  end
end

--- Forgets what waits.
function Outbox:clear() self.queue, self.first, self.last, self.bytes = {}, 1, 0, 0 end

return M
