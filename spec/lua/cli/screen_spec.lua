-- wsock.cli.screen: what messages look like. Where they go is seen in talk.

local lu = require "luaunit"
local screen = require "wsock.cli.screen"

local T = {}

function T:test_text_is_shown_as_a_terminal_may_see_it()
  lu.assertEquals(screen.shown("grüße\n\27[2J", "text"), "grüße\n\\e[2J")
end

function T:test_binary_is_shown_in_hexadecimal()
  lu.assertEquals(screen.shown("\0\1", "binary"), "(2 bytes) 0001")
  lu.assertEquals(screen.shown("", "binary"), "(0 bytes) ")
  local long = screen.shown(("x"):rep(1000), "binary")
  lu.assertEquals(long, "(1000 bytes) " .. ("78"):rep(256) .. "…")
end

return T
