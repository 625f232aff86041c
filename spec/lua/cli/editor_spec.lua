-- wsock.cli.editor: keys, history, and what the line looks like.

local lu = require "luaunit"
local editor = require "wsock.cli.editor"

local T = {}

function T:setUp()
  self.editor = editor.new()
  self.seen = {}
end

function T:feed(...)
  for _, bytes in ipairs { ... } do
    self.editor:feed(bytes, function(what, line)
      self.seen[#self.seen + 1] = line and what .. " " .. line or what
    end)
  end
end

-- Feeds keys to an empty line; the line with | for the cursor.
function T:line(...)
  self.editor = editor.new()
  self:feed(...)
  local chars, at = self.editor.chars, self.editor.at
  return table.concat(chars, "", 1, at) .. "|" .. table.concat(chars, "", at + 1)
end

local LEFT, RIGHT, UP, DOWN = "\27[D", "\27[C", "\27[A", "\27[B"

function T:test_lines()
  self:feed "one\rtwo\nthree"
  lu.assertEquals(self.seen, { "line one", "line two" })
  lu.assertEquals(self.editor:text(), "three")
end

function T:test_moving()
  lu.assertEquals(self:line("abc", LEFT), "ab|c")
  lu.assertEquals(self:line("abc", LEFT, LEFT, LEFT, LEFT), "|abc")
  lu.assertEquals(self:line("abc", LEFT, RIGHT, RIGHT), "abc|")
  lu.assertEquals(self:line("abc", "\2", "\2", "\6"), "ab|c")
  for _, home in ipairs { "\1", "\27[H", "\27OH", "\27[1~", "\27[7~" } do
    lu.assertEquals(self:line("abc", home), "|abc")
  end
  for _, last in ipairs { "\5", "\27[F", "\27OF", "\27[4~", "\27[8~" } do
    lu.assertEquals(self:line("abc", "\1", last), "abc|")
  end
  lu.assertEquals(self:line("one two  three ", "\27b", "x"), "one two  x|three ")
  lu.assertEquals(self:line("one two", "\27[1;5D", "\27[1;3D"), "|one two")
  lu.assertEquals(self:line("one two", "\1", "\27f"), "one| two")
  lu.assertEquals(self:line("one two", "\1", "\27[1;5C", "\27[1;3C"), "one two|")
end

function T:test_taking_out()
  lu.assertEquals(self:line("abc", "\127"), "ab|")
  lu.assertEquals(self:line("abc", LEFT, "\8"), "a|c")
  lu.assertEquals(self:line("\127", "\8"), "|")
  lu.assertEquals(self:line("abc", "\1", "\27[3~"), "|bc")
  lu.assertEquals(self:line("abc", LEFT, "\4"), "ab|")
  lu.assertEquals(self:line("abc", "\4"), "abc|")
  lu.assertEquals(self:line("abc", LEFT, "\11"), "ab|")
  lu.assertEquals(self:line("abc", LEFT, "\21"), "|c")
  lu.assertEquals(self:line("one two", "\23"), "one |")
  lu.assertEquals(self:line("one two", "\23", "\1", "\25"), "two|one ")
  lu.assertEquals(self.seen, {})
end

function T:test_characters_are_not_bytes()
  lu.assertEquals(self:line("grüße", LEFT, LEFT, "\127"), "gr|ße")
  lu.assertEquals(self:line("ü", "\127"), "|")
  lu.assertEquals(self:line("a", "\xc3", "\xbc", "b"), "aüb|") -- cut in two reads
  lu.assertEquals(self:line "a\xffb", "ab|") -- no character
  lu.assertEquals(self:line("\xf0\x9f\x98", "\x80"), "😀|")
end

function T:test_keys_in_pieces_and_unknown_ones()
  lu.assertEquals(self:line("ab", "\27", "[", "D"), "a|b")
  lu.assertEquals(self:line("ab", "\27[1;", "5D"), "|ab")
  lu.assertEquals(self:line("ab", "\27[24~", "\27OP", "\27x", "\0", "\29"), "ab|")
  lu.assertEquals(self:line("a\tb"), "a\tb|")
end

function T:test_the_end_and_a_clean_screen()
  self:feed "\4"
  self:feed "a\12"
  lu.assertEquals(self.seen, { "end", "clear" })
  lu.assertEquals(self.editor:text(), "a")
end

function T:test_history()
  self:feed("one\r", "two\r", "two\r", "\r", "dra", UP)
  lu.assertEquals(self.editor:text(), "two") -- once, and no empty line
  self:feed(UP)
  lu.assertEquals(self.editor:text(), "one")
  self:feed(UP)
  lu.assertEquals(self.editor:text(), "one")
  self:feed("\14", DOWN)
  lu.assertEquals(self.editor:text(), "dra") -- what was being typed
  self:feed(DOWN, "ft")
  lu.assertEquals(self.editor:text(), "draft")
  self:feed("\16", "\16", "!\r")
  lu.assertEquals(self.seen[5], "line one!")
  self:feed(UP)
  lu.assertEquals(self.editor:text(), "one!")
end

function T:test_history_has_an_end()
  for i = 1, 600 do self:feed(i .. "\r") end
  lu.assertEquals(#self.editor.history, 500)
  lu.assertEquals(self.editor.history[1], "101")
end

-- ---- what it looks like ---------------------------------------------------------------

function T:view(columns, ...)
  self:line(...)
  local text, cursor = self.editor:view("> ", columns):match "^\r\27%[K(.*)\r\27%[(%d+)C$"
  return text, tonumber(cursor)
end

function T:test_view()
  lu.assertEquals({ self:view(80, "") }, { "> ", 2 })
  lu.assertEquals({ self:view(80, "abc") }, { "> abc", 5 })
  lu.assertEquals({ self:view(80, "abc", LEFT) }, { "> abc", 4 })
  lu.assertEquals({ self:view(80, "a\tb") }, { "> a^Ib", 6 })
  lu.assertEquals({ self:view(80, "漢字e\u{301}") }, { "> 漢字e\u{301}", 7 })
  lu.assertEquals({ self:view(80, "\u{9b}") }, { "> ?", 3 })
end

function T:test_a_long_line_is_seen_around_the_cursor()
  local text = "abcdefghijklmnopqrstuvwxyz"
  lu.assertEquals({ self:view(13, text) }, { "> qrstuvwxyz", 12 })
  lu.assertEquals({ self:view(13, text, "\1") }, { "> abcdefghij", 2 })
  lu.assertEquals({ self:view(13, "漢字漢字漢字") }, { "> 字漢字漢字", 12 })
  for columns = 1, 30 do -- never wider than the terminal, where that can be
    for steps = 0, 26 do
      local shown, cursor = self:view(columns, text, LEFT:rep(steps))
      lu.assertTrue(#shown <= math.max(columns - 1, 3), columns)
      lu.assertTrue(cursor <= #shown)
    end
  end
end

return T
