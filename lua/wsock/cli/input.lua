--- A descriptor read inside the loop, line by line or as it comes.
-- It waits for input without stopping the loop, and reads no more while it is
-- paused, so that whoever writes into the pipe is stopped too.
-- @module wsock.cli.input

local wsock = require "wsock"
local core = require "wsock.core"

local M = {}

local Input = {}
Input.__index = Input

-- A line may come in many pieces; they are joined once, at its end.
function Input:split(bytes)
  local from = 1
  while true do
    local at = bytes:find("\n", from, true)
    if not at then break end
    self.pieces[#self.pieces + 1] = bytes:sub(from, at - 1)
    local line = table.concat(self.pieces)
    self.pieces, from = {}, at + 1
    self.take(line)
    if self.over then return end
  end
  if from <= #bytes then self.pieces[#self.pieces + 1] = bytes:sub(from) end
end

function Input:finish(message)
  local rest = table.concat(self.pieces)
  self:stop()
  if rest ~= "" then self.take(rest) end
  self.done(message)
end

-- Reads once; what is left over wakes the loop again.
function Input:read()
  local bytes, message, code = core.read(self.fd)
  if not bytes then
    if code ~= "EAGAIN" then self:finish(message) end
  elseif bytes == "" then
    self:finish()
  elseif self.blocks then
    self.take(bytes)
  else
    self:split(bytes)
  end
end

--- Goes on reading; nothing when it reads already, or is over.
function Input:resume()
  if self.over or self.handle then return end
  local function ready() self:read() end
  self.handle = wsock.watch(self.fd, "r", ready)
  -- a file, or /dev/null: always ready, and epoll will not have it
  self.handle = self.handle or wsock.every(0, ready)
end

--- Reads no more for now.
function Input:pause()
  if self.handle then self.handle:cancel() end
  self.handle = nil
end

--- Reads no more, for good.
function Input:stop()
  self:pause()
  self.over, self.pieces = true, {}
end

--- Starts reading a descriptor.
-- @tparam integer fd
-- @tparam table t `take(bytes)` gets each line, without its end; the last one also when it has none. With
-- `blocks = true` it gets the bytes as they come. `done([message])` is called once, at the end, with what was wrong.
function M.start(fd, t)
  local self = setmetatable({ fd = fd, take = t.take, done = t.done, blocks = t.blocks, pieces = {} }, Input)
  self:resume()
  return self
end

return M
