-- wsock.cli.terminal: what is safe to show, and whether anybody looks.

local lu = require "luaunit"
local process = require "support.process"
local terminal = require "wsock.cli.terminal"

local T = {}

function T:test_orders_to_the_terminal_are_written_out()
  lu.assertEquals(terminal.clean "a\tb\nc", "a\tb\nc")
  lu.assertEquals(terminal.clean "\27[2Jx\r\7\0\127", "\\e[2Jx\\r\\x07\\x00\\x7f")
  lu.assertEquals(terminal.clean "\u{9b}31m", "\\u{9b}31m")
  lu.assertEquals(terminal.clean "ok\x9b31m \xfc", "ok\\x9b31m \\xfc") -- no UTF-8, as a reason phrase may be
  lu.assertEquals(terminal.clean "grüße 漢字 \u{a0}", "grüße 漢字 \u{a0}")
end

function T:test_hex()
  lu.assertEquals(terminal.hex "\0\1\xff", "0001ff")
  lu.assertEquals(terminal.hex("abc", 2), "6162…")
  lu.assertEquals(terminal.hex("ab", 2), "6162")
  lu.assertEquals(terminal.hex "", "")
end

function T:test_a_pipe_is_none()
  local output = process.run_lua { "-e", "t = require 'wsock.cli.terminal' print(t.is(0), t.is(1))" }
  lu.assertEquals(output, "false\tfalse\n")
end

function T:test_a_terminal_is_one()
  local words = process.shell_lua { "-e", "print(require 'wsock.cli.terminal'.is(0))" }
  local output = process.run { "script", "-qec", words, "/dev/null" }
  lu.assertStrContains(output, "true")
end

return T
