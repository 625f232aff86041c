-- wsock.cli.prompt: at a terminal of tmux, as a user sees it. What an editor does:
-- support/editor_cases.

local lu = require "luaunit"
local files = require "support.files"
local peer = require "interop.peer"
local prompt = require "support.prompt"

local T = prompt.class()

function T:test_lines_are_messages()
  local t = self:open()
  t:type "hello\n"
  t:expect "\n> hello\n< hello\n> $"
  t:type "grüße\n"
  t:expect "< grüße\n> $"
end

-- What says that it is connected is looked at by `open`.
function T:test_a_password_is_not_shown()
  local t = self:open { user = "ann:s3cret@" }
  t:type "hello\n"
  t:expect "\n> hello\n< hello\n> $"
  lu.assertNotStrContains(t:screen(), "s3cret@127.0.0.1:" .. self.port .. "/")
end

function T:test_ping_pong_close()
  local t = self:open()
  t:type "/ping abc\n"
  t:expect "%* pong abc, after %d+%.%d+ s"
  t:type "/ping\n"
  t:expect "%* pong, after %d+%.%d+ s"
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
  t:expect "\nwsock: InvalidAccessError: close code 1005"
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

-- ---- which editor, which history ---------------------------------------------------

-- A terminal that can do nothing edits the line itself, as where there is no editor.
function T:test_no_editor()
  for _, env in ipairs { { TERM = "dumb" }, { TERM = "" }, { WSOCK_EDITOR = "none" } } do
    env.WSOCK_HISTORY = self.folder .. "/lines"
    local t = self:open { env = env }
    t:type "abc\n"
    t:expect "\n> abc\n< abc\n> $"
    self:send "hello"
    t:expect "< abc\n< hello\n> $"
    t:key "C-d"
    t:expect "exit 0"
    t:stop()
    lu.assertNil(files.read(env.WSOCK_HISTORY))
  end
end

-- Found by their names: what is no editor's, or not installed, is passed over.
function T:test_the_first_editor_there_is()
  for _, names in ipairs { "vi libedit", "readline libedit" } do
    local t = self:open { env = { WSOCK_EDITOR = names } }
    t:type "half"
    t:key "C-a"
    t:type "+"
    t:expect "> %+half$"
    t:stop()
  end
end

function T:test_where_the_history_is()
  local t = self:open { env = { WSOCK_HISTORY = false, XDG_STATE_HOME = self.folder .. "/state" } }
  t:type "ws\n"
  t:expect "< ws\n> $"
  t:stop()
  lu.assertEquals(files.read(self.folder .. "/state/wsock/history"), "ws\n")
  t = self:open { env = { WSOCK_HISTORY = false } }
  t:type "home\n"
  t:expect "< home\n> $"
  t:stop()
  lu.assertEquals(files.read(self.folder .. "/.local/state/wsock/history"), "home\n")
end

function T:test_a_history_that_cannot_be_kept()
  for _, where in ipairs { "/dev/null/history", "" } do
    local t = self:open { env = { WSOCK_HISTORY = where } }
    t:type "one\n"
    t:expect "\n> one\n< one\n> $" -- and not a word
    t:key "Up"
    t:expect "> one$" -- until the end
    t:stop()
  end
end

function T:test_typed_while_away()
  local t = self:open { "--reconnect" }
  t:type "one\n"
  t:expect "< one\n> $"
  self.record.socket:terminate()
  self.server:close(1001, "", 0)
  t:expect "lost: 1006.*> $"
  t:type "/ping\n"
  t:expect "wsock: ping: there is no connection\n"
  t:type "two\n"
  t:type "half"
  peer.wait(function() return not self.server:address() end)
  peer.echo { port = self.port }
  t:expect "\nwsock: connected again\n< two\n> half$"
end

function T:test_count()
  local t = self:open { "-n2" }
  t:type "a\n"
  t:expect "< a\n"
  t:type "b\n"
  t:expect "exit 0"
end

return T
