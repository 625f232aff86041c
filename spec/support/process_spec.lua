-- Programs started by specs: their output, their end, what they see.
local lu = require "luaunit"
local process = require "support.process"

local T = {}

function T:test_run_gives_output_and_exit_code()
  local out, code = process.run { "sh", "-c", "echo 'a b' \"$X\" >&2; exit 7", env = { X = "it's" } }
  lu.assertEquals(out, "a b it's\n")
  lu.assertEquals(code, 7)
end

function T:test_lua_children_see_our_modules()
  local out, code = process.run_lua { "-e", "print(require 'support.bytes'.hex('ab'))", cwd = "/" }
  lu.assertEquals(out, "61 62\n")
  lu.assertEquals(code, 0)
end

function T:test_standard_input_as_text()
  lu.assertEquals((process.run { "cat", stdin = "a\0b" }), "a\0b")
end

function T:test_standard_input_by_hand()
  local p <close> = process.start { "cat", stdin = true }
  p:write "hello\n"
  lu.assertEquals(p:expect "(hel+o)", "hello")
  p:finish()
  lu.assertEquals(p:wait(), 0)
end

function T:test_a_signal_is_128_and_its_number()
  local p <close> = process.start { "sleep", "100" }
  p:kill "KILL"
  lu.assertEquals(p:wait(), 137)
end

function T:test_expect_shows_the_output_when_the_program_ends()
  local p <close> = process.start { "sh", "-c", "echo one; exit 3" }
  local ok, message = pcall(p.expect, p, "two", 5)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "code 3")
  lu.assertStrContains(message, "one")
end

function T:test_stop_ends_what_ignores_it_and_keeps_the_output()
  local p = process.start { "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done" }
  p:expect "ready"
  p:stop(0.2)
  lu.assertEquals(p:code(), 137)
  lu.assertStrContains(p:output(), "ready")
  p:stop()
end

return T
