-- bind/lua_editline.c: what every editor does, and what only libedit does.

local files = require "support.files"
local T = require "support.editor_cases" "libedit"

-- Tabs and control characters count where rows are counted.
function T:test_characters_that_are_wider_than_they_look()
  local t = self:open()
  t:type "x\n"
  t:expect "< x\n> $"
  t:type(("x"):rep(75))
  t:key "C-v"
  t:key "C-g"
  t:key "C-v"
  t:key "C-g"
  t:expect "x^G^G$"
  self:send "hello"
  t:expect("< x\n< hello\n> " .. ("x"):rep(75) .. "^G^G$")
  t:key "Enter"
  self.record:wait "^text <77 bytes>"
  t:type "a\tb"
  self:send "again"
  t:expect "\n< again\n> a     b$"
end

function T:test_the_users_own_keys()
  files.write(self.folder .. "/.editrc", "wsock:bind ^X ed-move-to-beg\n")
  local t = self:open()
  t:type "abc"
  t:key "C-x"
  t:type "+"
  t:expect "> %+abc$"
end

-- Bytes that are no character.
function T:test_no_utf8()
  local t = self:open()
  t:paste "a\xffb"
  t:key "Enter"
  self.record:wait "^text a\u{fffd}b$"
end

return T
