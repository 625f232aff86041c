-- spec/support/editor_cases.lua -- what a line editor must do, whichever it is.
--
-- require "support.editor_cases" "readline" is a class of tests of that one, at
-- a terminal of tmux, as a user sees it.

local lu = require "luaunit"
local peer = require "interop.peer"
local prompt = require "support.prompt"

local digits = ("0123456789"):rep(30)

local function cases(T)
  function T:test_characters_are_not_bytes()
    local t = self:open()
    t:type "grüße漢字"
    t:key "BSpace"
    t:key "Left"
    t:type "x"
    t:expect "> grüßex漢$"
    t:key "Enter"
    self.record:wait "^text grüßex漢$"
    t:expect "< grüßex漢\n> $"
  end

  function T:test_keys()
    local t = self:open()
    t:type "one two three"
    for _, key in ipairs { "C-a", "x", "End", "y", "Home", "DC", "C-e", "C-w" } do t:key(key) end
    t:expect "> one two *$"
    t:key "C-k"
    t:key "C-u"
    t:expect "\n> $"
    t:type "a\tb\n"
    self.record:wait "^text 610962$"
  end

  function T:test_lines_come_back()
    local t = self:open()
    t:type "one\ntwo\n"
    t:expect "< two\n> $"
    t:key "Up"
    t:expect "> two$"
    t:key "Up"
    t:expect "< two\n> one$"
    t:key "Home"
    t:type "nothing "
    t:expect "> nothing one$"
    t:key "Enter"
    t:expect "< nothing one\n> $"
    t:key "Up"
    t:expect "> nothing one$"
    t:key "Down"
    t:expect "\n> $"
  end

  function T:test_and_in_the_next_run()
    local env = { WSOCK_HISTORY = self.folder .. "/lines" }
    local t = self:open { env = env }
    t:type "first\nsecond\nsecond\n secret\n"
    t:expect "<  secret\n> $"
    t:key "C-d"
    t:expect "exit 0"
    t:stop()
    t = self:open { env = env }
    t:key "Up"
    t:expect "> second$"
    t:key "Up"
    t:expect "> first$"
    t:key "Enter"
    t:expect "< first\n> $"
  end

  -- A message that comes while a line is half typed, with the cursor within it.
  function T:test_a_half_typed_line_stays()
    local t = self:open()
    t:type "x\n"
    t:expect "< x\n> $"
    t:type "half ine"
    for _ = 1, 3 do t:key "Left" end
    t:expect "> half ine$"
    self:send "hello"
    t:expect "< x\n< hello\n> half ine$"
    t:type "l\n"
    t:expect "> half line\n< half line\n> $"
  end

  function T:test_typing_while_messages_come()
    local t = self:open()
    t:type "x\n"
    t:expect "< x\n> $"
    for letter in ("abcdefghij"):gmatch "." do
      self:send("got " .. letter)
      t:type(letter)
    end
    t:expect "\n< got i\n< got j\n> abcdefghij$"
    t:key "Enter"
    t:expect "\n> abcdefghij\n< abcdefghij\n> $"
  end

  -- Rows of a terminal that are exactly full, that a wide character does not fit in, that are many.
  function T:test_a_half_typed_line_of_many_rows_stays()
    local t = self:open()
    t:type "x\n"
    t:expect "< x\n> $"
    local above = "x"
    local lines = { digits:sub(1, 77), digits:sub(1, 78), digits:sub(1, 77) .. "漢字", digits:sub(1, 158), digits }
    for i, line in ipairs(lines) do
      local shown = line:gsub("漢", "[ \n]?%0") -- a column is left empty
      t:paste(line)
      t:expect(above .. "\n> " .. shown .. "$")
      self:send("hello " .. i)
      t:expect(above .. "\n< hello " .. i .. "\n> " .. shown .. "$")
      t:key "Home"
      t:type "+"
      self:send("again " .. i)
      t:expect("\n< hello " .. i .. "\n< again " .. i .. "\n> %+" .. shown .. "$")
      t:key "BSpace"
      t:key "Enter"
      t:expect("\n> " .. shown .. " *\n+< " .. line .. "\n> $")
      above = line
    end
  end

  function T:test_a_line_longer_than_the_screen()
    local t, line = self:open(), digits:rep(10) -- 3,000 characters, 1,920 on the screen
    local got
    t:type "x\n"
    t:expect "< x\n> $"
    self.record.socket:on("message", function(data) got = data end)
    t:paste(line)
    t:expect(digits .. "$")
    self:send "hello"
    t:expect(digits .. "$")
    t:type "!\n"
    peer.wait(function() return got end)
    lu.assertEquals(got, line .. "!")
    t:expect(digits .. "!\n> $")
  end

  function T:test_another_size()
    local t = self:open()
    t:type "x\n"
    t:expect "< x\n> $"
    t:type(digits:sub(1, 70))
    t:expect("\n> " .. digits:sub(1, 70) .. "$")
    t:tmux("resize-window", "-x", "40", "-y", "24")
    peer.wait(function() return t:tmux("display", "-p", "#{pane_width}"):find "^40" end)
    t:type "+" -- read behind the signal, or with it
    t:expect("\n> " .. digits:sub(1, 70) .. "%+$") -- what tmux has wrapped may stay above
    self:send "hello"
    t:expect("\n< hello\n> " .. digits:sub(1, 70) .. "%+$")
    t:type "end\n"
    t:expect("\n< " .. digits:sub(1, 70) .. "%+end\n> $")
  end

  function T:test_lines_that_are_pasted()
    local t = self:open()
    t:paste "one\ntwo\n\nthree"
    t:key "Enter"
    self.record:wait "^text three"
    lu.assertEquals({ table.unpack(self.record, 1, 4) }, { "text one", "text two", "text ", "text three" })
    t:expect "< three\n> $"
  end

  function T:test_the_terminal_is_given_back()
    local show = "; stty -a | tr ';' '\\n' | grep -o -- '-*icanon\\|-*echo\\b'"
    for _, key in ipairs { "C-d", "C-c" } do
      local t = self:open { behind = show }
      if key == "C-c" then t:type "half" end
      t:key(key)
      t:expect "\nicanon\necho\nexit 0"
      t:stop()
      lu.assertNil(self.record:has "^text")
    end
  end

  function T:test_stopped_and_continued()
    local t = self:open { jobs = true }
    t:type "half"
    t:expect "> half$"
    for _ = 1, 2 do
      t:key "C-z"
      t:expect "Stopped[^\n]*\n.*%$$"
      t:type "clear; stty -a | tr ';' '\\n' | grep -o -- '-*icanon'\n"
      t:expect "^icanon\n%$$"
      t:type "fg\n"
      t:expect "\n> half$"
    end
    t:type " line\n"
    t:expect "< half line\n> $"
  end

  -- The terminal is gone: nothing half typed is sent.
  function T:test_a_terminal_that_goes_away()
    local t = self:open()
    t:type "x\n"
    t:expect "< x\n> $"
    t:type "half"
    t:expect "> half$"
    t:tmux "kill-server"
    self.record:wait "^close"
    lu.assertNil(self.record:has "half")
  end
end

return function(name)
  local T = prompt.class()
  T.editor = name
  cases(T)
  return T
end
