-- spec/support/command.lua -- the command wsock for specs: run it, pipe into
-- it, against a server that lives in this process.

local clock = require "support.clock"
local peer = require "interop.peer"
local process = require "support.process"

local M = {}

local root = require "support.files".root
local script = root .. "/lua/wsock/bin/wsock"

local function with_script(words)
  local t = { script, table.unpack(words) }
  t.env, t.stdin, t.cwd = words.env, words.stdin, words.cwd
  return t
end

--- Starts it: {word..., env =, stdin = text or true}; peer.cleanup ends it.
function M.start(words)
  return peer.start_lua(with_script(words))
end

--- Runs it to its end while our loop turns; both outputs in one, exit code.
function M.run(words)
  local child = M.start(words)
  local code = child:wait(20, peer.pump)
  return child:output(), code
end

--- It and its words, quoted for a shell.
function M.shell(words)
  return process.shell_lua(with_script(words))
end

--- Runs a line of shell, in which %s stands for the command with these words;
--- what the line printed, exit code.
function M.pipe(line, words)
  local child = peer.start { "sh", "-c", (line:gsub("%%s", function() return M.shell(words) end)) }
  local code = child:wait(60, peer.pump)
  return child:output(), code
end

--- Waits with our loop turning.
function M.wait(condition) return clock.wait(condition, 10, peer.pump) end

return M
