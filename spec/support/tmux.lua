-- spec/support/tmux.lua -- a real terminal: type into it, read its screen.
--
-- Each terminal is a tmux server of its own with one window of 80 columns and
-- 24 lines, found by a socket in a directory of its own.

local clock = require "support.clock"
local files = require "support.files"
local peer = require "interop.peer"
local process = require "support.process"

local M = {}

local Terminal = {}
Terminal.__index = Terminal

function Terminal:tmux(...)
  return process.run { "tmux", "-S", self.dir .. "/tmux", "-f", "/dev/null", ... }
end

--- What is on the screen, without blanks and empty lines at its end; but the prompt keeps its blank.
function Terminal:screen()
  return (self:tmux("capture-pane", "-p", "-J"):gsub("%s+$", ""):gsub("\n>$", "\n> "))
end

--- Waits until the screen matches, our loop turning.
function Terminal:expect(pattern)
  local shown
  local ok = pcall(clock.wait, function()
    shown = self:screen()
    return shown:find(pattern)
  end, 10, peer.pump)
  if not ok then error(("no '%s' on the screen:\n%s"):format(pattern, shown), 2) end
end

--- Types text; a line feed is the Enter key.
function Terminal:type(text)
  for part, enter in text:gmatch "([^\n]*)(\n?)" do
    if part ~= "" then self:tmux("send-keys", "-l", part) end
    if enter ~= "" then self:key "Enter" end
  end
end

--- Pastes text, as one is pasted where the program asks for it.
function Terminal:paste(text)
  files.write(self.dir .. "/paste", text)
  self:tmux("load-buffer", self.dir .. "/paste")
  self:tmux("paste-buffer", "-p", "-r")
end

--- Presses a key by tmux's name: "C-c", "Up".
function Terminal:key(name) self:tmux("send-keys", name) end

--- Ends it, and what runs in it.
function Terminal:stop()
  if not self.remove then return end
  self:tmux "kill-server"
  self.remove()
  self.remove = nil
end

--- Starts a terminal that runs a shell command, prints "exit CODE" and stays. With jobs the command is run by a shell
--- that can stop and continue it.
function M.start(words, jobs)
  local self = setmetatable({}, Terminal)
  self.dir, self.remove = process.directory()
  local file <close> = assert(io.open(self.dir .. "/run", "w"))
  file:write("stty -echoctl; trap : INT\n", words, "\necho exit $?\n", jobs and "" or "exec cat >/dev/null\n")
  file:close()
  local shell = jobs and "env PS1='$ ' bash --noprofile --norc" or "sh " .. self.dir .. "/run"
  self:tmux("new-session", "-d", "-x", "80", "-y", "24", shell)
  if jobs then self:type(". " .. self.dir .. "/run\n") end
  return self
end

return M
