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
function T:open(words, behind, jobs)
  local line = command.shell { "127.0.0.1:" .. self.port, env = words and words.env, table.unpack(words or {}) }
  self.terminal = tmux.start(line .. (behind or ""), jobs)
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
  local t = self:open()
  t:type "/ping abc\n"
  t:expect "%* pong abc, after %d+%.%d+ s"
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

-- ---- editing ------------------------------------------------------------------------

function T:test_history_and_keys()
  local t = self:open()
  t:type "one\ntwo\n"
  t:expect "< two\n> $"
  t:key "Up"
  t:key "Up"
  t:expect "< two\n> one$"
  t:key "Home"
  t:type "nothing "
  t:key "Enter"
  t:expect "< nothing one\n> $"
end

-- A message that comes while a line is half typed.
function T:test_a_half_typed_line_stays()
  local t = self:open()
  t:type "x\n"
  self.record:wait "^text x"
  t:expect "< x\n> $"
  t:type "half a"
  t:expect "> half a$"
  self.record.socket:send "hello"
  t:expect "< x\n< hello\n> half a$"
  t:type " line\n"
  t:expect "> half a line\n< half a line\n> $"
end

function T:test_a_line_longer_than_the_terminal()
  local t = self:open()
  local line = ("0123456789"):rep(10)
  t:type(line)
  t:expect("\n> " .. line:sub(-77) .. "$")
  t:key "Home"
  t:expect("\n> " .. line:sub(1, 77) .. "$")
  t:key "Enter"
  t:expect("\n> " .. line .. "\n< " .. line .. "\n> $")
end

function T:test_another_width()
  local t = self:open()
  t:type(("0123456789"):rep(7))
  t:expect "\n> 0123456789"
  t:tmux("resize-window", "-x", "40", "-y", "24")
  t:expect "\n> 3456789012345678901234567890123456789$" -- what tmux has wrapped stays above
end

function T:test_the_terminal_is_given_back()
  local t = self:open({}, "; stty -a | tr ';' '\\n' | grep -o -- '-*icanon\\|-*echo\\b'")
  t:key "C-d"
  t:expect "\nicanon\necho\nexit 0"
end

function T:test_stopped_and_continued()
  local t = self:open({}, nil, true)
  t:type "half"
  t:expect "> half$"
  t:key "C-z"
  t:expect "Stopped"
  t:type "stty -a | tr ';' '\\n' | grep -o -- '-*icanon'\n"
  t:expect "\nicanon\n"
  t:type "fg\n"
  t:expect "\n> half$"
  t:type " line\n"
  t:expect "< half line\n> $"
end

-- A terminal that can do nothing edits the line itself.
function T:test_a_dumb_terminal()
  local t = self:open({ env = { TERM = "dumb" } })
  t:type "abc\n"
  t:expect "\n> abc\n< abc\n> $"
  t:key "C-d"
  t:expect "exit 0"
end

function T:test_typed_while_away()
  local t = self:open { "--reconnect" }
  t:type "one\n"
  t:expect "< one\n> $"
  self.record.socket:terminate()
  self.server:close(1001, "", 0)
  t:expect "lost: 1006.*> $"
  t:type "two\n"
  t:type "half"
  peer.wait(function() return not self.server:address() end)
  peer.echo { port = self.port }
  t:expect "\nwsock: connected again\n.*< two\n> half$"
end

function T:test_count()
  local t = self:open { "-n2" }
  t:type "a\n"
  t:expect "< a\n"
  t:type "b\n"
  t:expect "exit 0"
end

return T
