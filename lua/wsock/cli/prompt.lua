--- Lines typed at a terminal.
-- @module wsock.cli.prompt

local input = require "wsock.cli.input"

local M = {}

local Prompt = {}
Prompt.__index = Prompt

--- Takes the prompt off its line, for something else to be printed there.
function Prompt:erase()
  if self.drawn then io.stdout:write "\r\27[K" end
  self.drawn = false
end

--- Shows the prompt, unless it is there.
function Prompt:draw()
  if self.drawn or self.screen.prompt ~= self then return end
  self.drawn = true
  io.stdout:write "> "
  io.stdout:flush()
end

--- Takes the prompt away, for good.
function Prompt:stop()
  if self.screen.prompt ~= self then return end
  self:erase()
  self.screen.prompt = nil
  self.input:stop()
end

--- Drawn by us and edited by the terminal.
-- @tparam table screen
-- @tparam function take gets each line
-- @tparam function done called when the user ends the input
function M.start(screen, take, done)
  local self = setmetatable({ screen = screen }, Prompt)
  screen.prompt = self
  self.input = input.start(0, {
    take = function(line)
      self.drawn = false -- Enter has left its line
      take(line)
      self:draw()
    end,
    done = done,
  })
  self:draw()
  return self
end

return M
