-- spec/support/prompt.lua -- the command wsock in a terminal, connected to a
-- server of ours.
--
-- It finds a home of its own there, empty, and keeps no history unless told.

local command = require "support.command"
local peer = require "interop.peer"
local tmux = require "support.tmux"

local M = {}

--- What is shown above the first prompt.
M.connected = "connected to ws://127.0.0.1:%d+/; Ctrl%-C or /close ends\n> $"

--- A class of specs: self.server, self.port and self.record are an echo server's (see peer.echo), self.folder the home.
function M.class()
  local T = peer.class()

  function T:setUp()
    self.server, self.port, self.record = peer.echo()
    self:directory()
  end

  local tearDown = T.tearDown
  function T:tearDown()
    if self.terminal then self.terminal:stop() end
    tearDown(self)
  end

  -- The command in a terminal, connected. words: flags; user: what is in front of the host; env, added to ours; behind:
  -- shell behind it; jobs: see tmux.
  function T:open(words)
    words = words or {}
    local env = {
      HOME = self.folder, XDG_STATE_HOME = "", INPUTRC = self.folder .. "/.inputrc", WSOCK_EDITOR = self.editor,
      WSOCK_HISTORY = "",
    }
    for name, value in pairs(words.env or {}) do env[name] = value or nil end
    local line = command.shell { (words.user or "") .. "127.0.0.1:" .. self.port, env = env, table.unpack(words) }
    self.terminal = tmux.start(line .. (words.behind or ""), words.jobs)
    self.terminal:expect(M.connected)
    return self.terminal
  end

  -- A message of the server's, whom something was sent before.
  function T:send(text)
    self.record:wait "^text"
    self.record.socket:send(text)
  end

  return T
end

return M
