--- A line being typed: keys in, lines out, and what it looks like.
-- It reads and draws nothing itself, so that a message can be printed while a
-- line is half typed: take the line off, print, draw it again. (The bindings of
-- readline for Lua cannot do that.) The keys are those of most shells; lines
-- already sent come back by Up.
-- @module wsock.cli.editor

local M = {}

local Editor = {}
Editor.__index = Editor

local KEPT = 500 -- lines of history

-- ---- how wide a character is ----------------------------------------------------------

-- First and last of the ranges that take no column, or two. Coarse: what is rare is one column wide.
local none = { { 0x300, 0x36f }, { 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f } }
local wide = {
  { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff },
  { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
  { 0x1f900, 0x1faff }, { 0x20000, 0x3fffd },
}

local function within(ranges, code)
  for _, range in ipairs(ranges) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

-- A character as it is shown, and its columns.
local function shown(char)
  local code = utf8.codepoint(char)
  if code < 32 or code == 127 then return "^" .. string.char(code ~ 64), 2 end
  if code < 0x300 then return code >= 0x80 and code < 0xa0 and "?" or char, 1 end
  return char, within(none, code) and 0 or within(wide, code) and 2 or 1
end

-- ---- the line -------------------------------------------------------------------------

-- chars: the line, one character each; at: how many of them are before the cursor.
local function clear(self)
  self.chars, self.at, self.place = {}, 0, #self.history + 1
end

local function set(self, text)
  self.chars = {}
  for _, code in utf8.codes(text) do self.chars[#self.chars + 1] = utf8.char(code) end
  self.at = #self.chars
end

local function insert(self, char)
  self.at = self.at + 1
  table.insert(self.chars, self.at, char)
end

-- Takes out the characters behind `from` up to `to`.
local function cut(self, from, to)
  local rest = {}
  for i, char in ipairs(self.chars) do
    if i <= from or i > to then rest[#rest + 1] = char end
  end
  self.chars, self.at = rest, from
end

local function kill(self, from, to)
  if to > from then self.killed = table.move(self.chars, from + 1, to, 1, {}) end
  cut(self, from, to)
end

-- Where the word before the cursor begins, the one behind it ends.
local function word_start(self)
  local i = self.at
  while i > 0 and self.chars[i] == " " do i = i - 1 end
  while i > 0 and self.chars[i] ~= " " do i = i - 1 end
  return i
end

local function word_end(self)
  local i, n = self.at, #self.chars
  while i < n and self.chars[i + 1] == " " do i = i + 1 end
  while i < n and self.chars[i + 1] ~= " " do i = i + 1 end
  return i
end

-- The line of the history so many steps away; the one being typed waits behind the last.
local function recall(self, step)
  local place = self.place + step
  if place < 1 or place > #self.history + 1 then return end
  if self.place == #self.history + 1 then self.draft = self:text() end
  self.place = place
  set(self, self.history[place] or self.draft)
end

-- ---- keys ---------------------------------------------------------------------------------

local keys = {}

local function key(names, act)
  for name in names:gmatch "%S+" do keys[name] = act end
end

-- C-x: a control character; ESC-x: Alt; the others: what follows ESC [ or ESC O
key("C-A H 1~ 7~", function(self) self.at = 0 end)
key("C-E F 4~ 8~", function(self) self.at = #self.chars end)
key("C-B D", function(self) self.at = math.max(self.at - 1, 0) end)
key("C-F C", function(self) self.at = math.min(self.at + 1, #self.chars) end)
key("C-P A", function(self) recall(self, -1) end)
key("C-N B", function(self) recall(self, 1) end)
key("ESC-b 1;5D 1;3D", function(self) self.at = word_start(self) end)
key("ESC-f 1;5C 1;3C", function(self) self.at = word_end(self) end)
key("C-H DEL", function(self) cut(self, math.max(self.at - 1, 0), self.at) end)
key("3~", function(self) cut(self, self.at, self.at + 1) end)
key("C-K", function(self) kill(self, self.at, #self.chars) end)
key("C-U", function(self) kill(self, 0, self.at) end)
key("C-W", function(self) kill(self, word_start(self), self.at) end)
key("C-Y", function(self) for _, char in ipairs(self.killed) do insert(self, char) end end)
key("C-D", function(self)
  if #self.chars == 0 then return "end" end
  cut(self, self.at, self.at + 1)
end)
key("C-L", function() return "clear" end)
key("C-I", function(self) insert(self, "\t") end)
key("C-J C-M", function(self)
  local text = self:text()
  if text ~= "" and text ~= self.history[#self.history] then table.insert(self.history, text) end
  if #self.history > KEPT then table.remove(self.history, 1) end
  clear(self)
  return "line", text
end)

-- The next key of the bytes at hand: its name or its character, how many bytes it has; nothing while it is not whole.
local function next_key(bytes)
  local first = bytes:byte()
  if first == 27 then
    local body = bytes:match "^\27[%[O]([0-9;]*[@-~])"
    if body then return body, nil, #body + 2 end
    if #bytes == 1 or bytes:find "^\27[%[O][0-9;]*$" then return end
    return "ESC-" .. bytes:sub(2, 2), nil, 2
  elseif first == 127 then
    return "DEL", nil, 1
  elseif first < 32 then
    return "C-" .. string.char(first + 64), nil, 1
  end
  local size = (first < 0xc0 or first > 0xf4) and 1 or first < 0xe0 and 2 or first < 0xf0 and 3 or 4
  if #bytes < size then return end
  local char = bytes:sub(1, size)
  if utf8.len(char) == 1 then return nil, char, size end
  return "", nil, 1 -- no character: dropped
end

-- ---- for its owner ------------------------------------------------------------------------

--- The line so far.
function Editor:text() return table.concat(self.chars) end

--- Takes bytes from the keyboard. `act(what, line)` is called for each "line" that is finished, and when the user wants
-- to "end" the input or to "clear" the screen.
function Editor:feed(bytes, act)
  bytes = self.rest .. bytes
  while bytes ~= "" do
    local name, char, size = next_key(bytes)
    if not size then break end
    bytes = bytes:sub(size + 1)
    if char then
      insert(self, char)
    elseif keys[name] then
      local what, line = keys[name](self)
      if what then act(what, line) end
    end
  end
  self.rest = bytes
end

--- The line on one row of so many columns, from the row's beginning; if it is longer, the part around the cursor.
-- @tparam string prompt in front of it
-- @tparam integer columns
function Editor:view(prompt, columns)
  local room = math.max(columns - #prompt - 1, 1)
  local from, before = self.at, 0
  while from > 0 do
    local _, width = shown(self.chars[from])
    if before + width > room then break end
    from, before = from - 1, before + width
  end
  local parts, width = {}, 0
  for i = from + 1, #self.chars do
    local text, more = shown(self.chars[i])
    if width + more > room then break end
    parts[#parts + 1], width = text, width + more
  end
  return ("\r\27[K%s%s\r\27[%dC"):format(prompt, table.concat(parts), #prompt + before)
end

--- An editor with an empty line and no history.
function M.new()
  local self = setmetatable({ history = {}, killed = {}, rest = "" }, Editor)
  clear(self)
  return self
end

return M
