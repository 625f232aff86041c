--- Lines typed at a terminal.
-- Edited here when the terminal gives us its keys, else by the terminal.
-- @module wsock.cli.prompt

local wsock = require "wsock"
local editor = require "wsock.cli.editor"
local input = require "wsock.cli.input"
local terminal = require "wsock.cli.terminal"

local M = {}

local Prompt = {}
Prompt.__index = Prompt

local MARK = "> "

--- Takes the prompt off its row, for something else to be printed there.
function Prompt:erase()
  if self.drawn then io.stdout:write "\r\27[K" end
  self.drawn = false
end

--- Shows the prompt and what is typed behind it, unless it is there.
function Prompt:draw()
  if self.drawn or self.screen.prompt ~= self then return end
  self.drawn = true
  io.stdout:write(self.editor and self.editor:view(MARK, self.columns) or MARK)
  io.stdout:flush()
end

--- Takes the prompt away, for good.
function Prompt:stop()
  if self.screen.prompt ~= self then return end
  self:erase()
  self.screen.prompt = nil
  self.input:stop()
  for _, signal in ipairs(self.signals) do signal:cancel() end
  if self.saved then terminal.restore(self.saved) end
end

-- ---- our own editing ------------------------------------------------------------------

function Prompt:act(what, line)
  if what == "line" then
    self:erase()
    io.stdout:write(MARK, terminal.clean(line), "\n")
    self.take(line)
  elseif what == "clear" then
    io.stdout:write "\27[H\27[2J"
  elseif what == "end" then
    self.done()
  end
end

function Prompt:keys(bytes)
  self.editor:feed(bytes, function(...)
    if self.screen.prompt == self then self:act(...) end
  end)
  self.drawn = false
  self:draw()
end

-- The terminal's modes are given back while we are stopped, and its width may change.
function Prompt:follow()
  local function on(name, act) self.signals[#self.signals + 1] = wsock.signal(name, act) end
  on("TSTP", function()
    self:erase()
    io.stdout:flush()
    terminal.restore(self.saved)
    terminal.suspend()
  end)
  on("CONT", function()
    terminal.raw()
    self:draw()
  end)
  on("WINCH", function()
    self.columns = terminal.columns()
    self.drawn = false
    self:draw()
  end)
end

-- ---- either way -----------------------------------------------------------------------

--- Shows a prompt and reads what is typed.
-- @tparam table screen
-- @tparam function take gets each line
-- @tparam function done called when the user ends the input
function M.start(screen, take, done)
  local self = setmetatable({ screen = screen, take = take, done = done, signals = {} }, Prompt)
  screen.prompt = self
  self.saved = terminal.raw()
  if self.saved then
    self.editor, self.columns = editor.new(), terminal.columns()
    self:follow()
    self.input = input.start(0, { blocks = true, take = function(bytes) self:keys(bytes) end, done = done })
  else
    local function line(text)
      self.drawn = false -- Enter has left its row
      take(text)
      self:draw()
    end
    self.input = input.start(0, { take = line, done = done })
  end
  self:draw()
  return self
end

return M
