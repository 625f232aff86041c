-- bind/lua_readline.c: what every editor does, and what only readline does.

local lu = require "luaunit"
local files = require "support.files"
local T = require "support.editor_cases" "readline"

-- A paste is text, whatever is in it, until Enter.
function T:test_a_paste_waits_for_enter()
  local t = self:open()
  t:paste "one\n/close\n"
  t:expect "> one\n/close$"
  t:key "C-u"
  t:expect "\n> $"
  t:type "x\n"
  self.record:wait "^text x$"
  lu.assertEquals(#self.record, 1)
end

-- U+009B begins what a terminal takes for an order.
function T:test_a_pasted_control_character_is_none()
  local t = self:open()
  t:paste "a\u{9b}2Jbü\n"
  t:expect "> a%?2Jbü$"
  t:key "Enter"
  self.record:wait "^text a%?2Jbü$"
end

function T:test_the_users_own_keys()
  files.write(self.folder .. "/.inputrc", [[
set convert-meta on
$if wsock
"\C-xg": "good "
"\C-xm": "one\ntwo\n"
$endif
]])
  local t = self:open()
  t:key "C-x"
  t:key "g"
  t:expect "> good ?$"
  t:key "C-x"
  t:key "m"
  t:expect "\n< two\n> $"
  lu.assertEquals({ table.unpack(self.record, 1, 2) }, { "text good one", "text two" })
end

-- An environment that knows ASCII only.
function T:test_utf8_anywhere()
  local t = self:open { env = { LC_ALL = "C" } }
  t:type "grüße"
  t:key "BSpace"
  t:expect "> grüß$"
  t:key "Enter"
  self.record:wait "^text grüß$"
end

return T
