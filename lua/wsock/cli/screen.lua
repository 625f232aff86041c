--- Where the command writes: messages to standard output, remarks to standard error.
-- Into a pipe messages go as they are, one a line; a terminal gets what it can
-- show. What a turn of the loop prints leaves in one piece at its end.
-- @module wsock.cli.screen

local wsock = require "wsock"
local terminal = require "wsock.cli.terminal"

local M = {}

local Screen = {}
Screen.__index = Screen

local SHOWN = 256 -- bytes of a binary message at a terminal

--- A message as a terminal may show it.
function M.shown(data, kind)
  if kind == "text" then return terminal.clean(data) end
  return ("(%d bytes) %s"):format(#data, terminal.hex(data, SHOWN))
end

function Screen:flush()
  self.due = false
  if self.prompt then self.prompt:draw() end
  if self.broken or io.stdout:flush() then return end
  self.broken = true
  self.onbroken()
end

-- The prompt is taken off the screen; who flushes puts it back below what was printed.
function Screen:line(text)
  if self.prompt then self.prompt:erase() end
  io.stdout:write(text, "\n")
end

--- Prints a message.
function Screen:message(data, kind)
  local o = self.options
  if o.hex then
    self:line(self.mark .. terminal.hex(data))
  elseif self.terminal then
    self:line(self.mark .. M.shown(data, kind))
  elseif o.binary then
    io.stdout:write(data)
  else
    io.stdout:write(data, "\n")
  end
  if not self.due then
    self.due = true
    wsock.after(0, function() self:flush() end)
  end
end

--- Prints a remark.
function Screen:note(format, ...)
  local text = terminal.clean(format:format(...))
  if self.prompt then
    self:line(text)
    self:flush()
  else
    io.stdout:flush() -- in the order it happened
    io.stderr:write(text, "\n")
  end
end

--- The same when the user wants to know everything.
function Screen:detail(...)
  if self.options.verbose then self:note(...) end
end

--- A screen. `onbroken()` is called once, when nobody reads what we print.
-- @tparam table options of the command line: hex, binary, verbose
-- @tparam table t terminal = whether standard output is one, onbroken
function M.new(options, t)
  io.stdout:setvbuf "full"
  return setmetatable({ options = options, terminal = t.terminal, onbroken = t.onbroken, mark = "" }, Screen)
end

return M
