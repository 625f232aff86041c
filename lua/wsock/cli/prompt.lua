--- Lines typed at a terminal.
-- Edited by readline or libedit where there is one, which leaves a half typed line
-- whole when a message comes; else by the terminal itself.
-- @module wsock.cli.prompt

local wsock = require "wsock"
local core = require "wsock.core"
local history = require "wsock.cli.history"
local input = require "wsock.cli.input"
local terminal = require "wsock.cli.terminal"

local M = {}

local Prompt = {}
Prompt.__index = Prompt

--- Takes the prompt, and what is typed behind it, off the screen, for something else to be printed there.
function Prompt:erase()
  if self.drawn then self.editor:hide() end
  self.drawn = false
end

--- Shows them again, unless they are there.
function Prompt:draw()
  if self.drawn or self.screen.prompt ~= self then return end
  self.drawn = true
  self.editor:show()
end

--- Takes the prompt away, for good.
function Prompt:stop()
  if self.screen.prompt ~= self then return end
  self:erase()
  self.screen.prompt = nil
  self.input:stop()
  for _, signal in ipairs(self.signals) do signal:cancel() end
  self.editor:close()
end

--- Nothing: who types is not stopped, as a pipe is.
function Prompt:resume() end

-- ---- a library's editor ---------------------------------------------------------------

-- What is typed is UTF-8, whatever the environment says of it.
local function speak_utf8()
  for _, name in ipairs { "", "C.UTF-8", "UTF-8", "en_US.UTF-8" } do
    local locale = os.setlocale(name, "ctype")
    if locale and locale:lower():find "utf%-?8" then return end
  end
end

-- The first there is of these, or nil.
local function find(names)
  if terminal.dumb() then return nil end
  for name in names:gmatch "%S+" do
    speak_utf8()
    local editor = core.lineEditor(name, history.most)
    speak_utf8() -- readline has asked the environment
    if editor then return editor end
  end
end

-- One key. Lines come one by one, also those that were pasted together.
function Prompt:key()
  self:draw() -- a message of this turn may have taken it off
  local lines = self.editor:read()
  if lines == false then return self.done() end
  if not lines then return end
  self.drawn = false -- they stay on the screen
  for line in lines:gmatch "([^\n]*)\n" do
    if self.screen.prompt ~= self then return end
    if self.history:add(line) then self.editor:remember(line) end
    self.take(line)
  end
  self:draw()
end

-- The terminal is given back while we are stopped, and its size may change.
function Prompt:follow()
  local function on(name, act) self.signals[#self.signals + 1] = wsock.signal(name, act) end
  on("TSTP", function()
    self:erase()
    io.stdout:flush()
    self.editor:suspend()
    terminal.suspend()
  end)
  on("CONT", function()
    self.editor:resume()
    self.drawn = false
    self:draw()
  end)
  on("WINCH", function()
    self:draw()
    self.editor:resize()
  end)
end

function Prompt:edit()
  local lines
  self.history, lines = history.open(history.path(os.getenv))
  for _, line in ipairs(lines) do self.editor:remember(line) end
  self:follow()
  local watcher = assert(wsock.watch(0, "r", function() self:key() end))
  self.input = { stop = function() watcher:cancel() end }
end

-- ---- the terminal's own ---------------------------------------------------------------

local plain = {}
function plain.show()
  io.stdout:write "> "
  io.stdout:flush()
end
function plain.hide() io.stdout:write "\r\27[K" end
function plain.close() end

function Prompt:lines()
  self.editor = plain
  local function line(text)
    self.drawn = false -- Enter has left its row
    self.take(text)
    self:draw()
  end
  self.input = input.start(0, { take = line, done = self.done })
end

-- ---- either way -----------------------------------------------------------------------

--- Shows a prompt and reads what is typed.
-- @tparam table screen
-- @tparam function take gets each line
-- @tparam function done called when the user ends the input
function M.start(screen, take, done)
  local self = setmetatable({ screen = screen, take = take, done = done, signals = {} }, Prompt)
  screen.prompt = self
  self.editor = find(os.getenv "WSOCK_EDITOR" or "readline libedit")
  if self.editor then self:edit() else self:lines() end
  self:draw()
  return self
end

return M
