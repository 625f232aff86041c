-- wsock.cli.prompt: at a terminal of tmux, as a user sees it.

local command = require "support.command"
local peer = require "interop.peer"
local tmux = require "support.tmux"

local T = {}

function T:setUp()
  self.server, self.port, self.record = peer.echo()
end

function T:tearDown()
  if self.terminal then self.terminal:stop() end
  peer.cleanup()
end

-- The command in a terminal, connected.
function T:open(words)
  self.terminal = tmux.start(command.shell { "127.0.0.1:" .. self.port, table.unpack(words or {}) })
  self.terminal:expect "connected to ws://127.0.0.1:%d+/; Ctrl%-C or /close ends\n> $"
  return self.terminal
end

function T:test_lines_are_messages()
  local t = self:open()
  t:type "hello\n"
  t:expect "\n> hello\n< hello\n> $"
  t:type "grüße\n"
  t:expect "< grüße\n> $"
end

function T:test_ping_pong_close()
  local t = self:open { "-v" }
  t:type "/ping abc\n"
  t:expect "%* pong abc, after 0%.%d+ s"
  t:type "/pong x\n"
  self.record:wait "^pong x"
  t:type "/close 4000 good bye\n"
  self.record:wait "^close 4000 good bye clean"
  t:expect "exit 0"
end

function T:test_commands_that_are_none()
  local t = self:open()
  t:type "/pnig\n"
  t:expect "no command /pnig; there are /ping, /pong and /close, and //pnig sends /pnig\n> $"
  t:type "//pnig\n"
  t:expect "< /pnig\n"
  t:type "/close 1005\n"
  t:expect "InvalidAccessError"
  t:type "/close\n"
  self.record:wait "^close 1005"
  t:expect "exit 0"
end

function T:test_the_end_of_the_input_and_signals()
  local t = self:open()
  t:key "C-d"
  self.record:wait "^close 1000 %- clean"
  t:expect "exit 0"
  t:stop()
  t = self:open()
  t:key "C-c"
  t:expect "exit 0"
end

function T:test_the_server_closes()
  local t = self:open()
  t:type "x\n"
  self.record:wait "^text x"
  self.record.socket:close(1011, "tired")
  t:expect "wsock: closed: 1011 INTERNAL_ERROR tired\nexit 3"
end

function T:test_a_message_cannot_give_the_terminal_orders()
  local t = self:open()
  t:type "x\n"
  self.record:wait "^text x"
  self.record.socket:send "\27[2Jgone?"
  self.record.socket:send("\0\1", "binary")
  t:expect "< \\e%[2Jgone%?\n< %(2 bytes%) 0001\n> $"
end

function T:test_count()
  local t = self:open { "-n2" }
  t:type "a\n"
  t:expect "< a\n"
  t:type "b\n"
  t:expect "exit 0"
end

return T
