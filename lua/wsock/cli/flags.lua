--- The command's flags: what a help text says is what is understood.
-- A line "  -n, --count COUNT   meaning" is a flag with a value, one without a
-- word in capitals a flag without, one with two words has a list of two;
-- "--cert FILE, --key FILE" are two flags. So no flag is undocumented, and none
-- is only documented.
-- @module wsock.cli.flags

local core = require "wsock.core"

local M = {}

-- Checks, by the name of the flag or of its value; each returns the value, or false and what it must be.
local kinds = {}

local function seconds(text, least)
  local n = tonumber(text)
  return n and n >= least and n < math.huge and n, "must be a number of seconds"
end
function kinds.SECONDS(text) return seconds(text, 0) end
function kinds.wait(text) return seconds(text, -1) end -- -1: for ever

function kinds.COUNT(text)
  return text:find "^%d+$" and math.tointeger(tonumber(text)), "must be a whole number"
end

local function any(text) return text end

--- Reads the flags of a help text.
-- @tparam string help
-- @treturn table map from every name, dashes included, to its flag: a table with `name` (the long one) and `kind`, nil
-- for a flag without a value
function M.read(help)
  local known = {}
  for line in help:gmatch "[^\n]+" do
    local head, short = line:match "^ +(%-.-)  ", nil
    for name, kind in (head or ""):gmatch "(%-%-?[%a-]+) ?([%u ]*)" do
      if #name == 2 then
        short = name
      else
        local flag = { name = name:sub(3), kind = kind ~= "" and kind or nil }
        known[name] = flag
        if short then known[short], short = flag, nil end
      end
    end
  end
  return known
end

--- The known name most like this one: one that goes on from it, or has no more than half of its letters wrong; or nil.
function M.nearest(name, known)
  local best, least
  local letters = #name:gsub("^%-+", "")
  for other in pairs(known) do
    local begins = letters > 1 and other:sub(1, #name) == name
    local d = begins and 0 or core.wordDistance(name, other)
    if not least or d < least or d == least and other < best then best, least = other, d end
  end
  return least and least <= letters // 2 and best or nil
end

-- A fault of the user's is raised as a table, to tell it from one of ours.
local function usage(message, ...)
  error({ usage = message:format(...) }, 0)
end
M.usage = usage

local function put(options, flag, shown, text)
  local value, must = (kinds[flag.name] or kinds[flag.kind] or any)(text)
  if not value then usage("%s %s, got '%s'", shown, must, text) end
  local list = options[flag.name]
  if type(list) == "table" then
    list[#list + 1] = value
  else
    options[flag.name] = value
  end
end

local function find(known, name, strangers)
  local flag = known[name]
  if not flag then
    local near = M.nearest(name, known)
    local hint = strangers and strangers[name] or near and ("did you mean %s?"):format(near)
    usage("unknown flag %s%s", name, hint and "; " .. hint or "")
  end
  return flag
end

-- "-vn5": v has no value, n has "5". Returns the flag that still needs one.
local function short_flags(known, word, options, strangers)
  for i = 2, #word do
    local name = "-" .. word:sub(i, i)
    local flag = find(known, name, strangers)
    if flag.kind then
      if i == #word then return flag, name end
      return put(options, flag, name, word:sub(i + 1))
    end
    options[flag.name] = true
  end
end

local function long_flag(known, word, options, strangers)
  local name, value = word:match "^(%-%-[^=]*)=?(.*)$"
  local flag, given = find(known, name, strangers), word:find("=", 1, true)
  if not flag.kind then
    if given then usage("%s takes no value", name) end
    options[flag.name] = true
  elseif given and flag.kind:find " " then
    usage("%s takes two words: %s", name, flag.kind)
  elseif given then
    put(options, flag, name, value)
  else
    return flag, name
  end
end

--- Reads a command line; raises `{usage = message}` for what it cannot be.
-- @tparam table known from `read`
-- @tparam {string,...} words the command line
-- @tparam {string,...} lists the flags that may be repeated
-- @tparam[opt] table strangers flags of other commands, and what is said to who tries them
-- @treturn table values by long name, lists for those of `lists`
-- @treturn {string,...} the words that are no flags
function M.parse(known, words, lists, strangers)
  local options, rest, i, plain = {}, {}, 1, false
  for _, name in ipairs(lists) do options[name] = {} end
  while i <= #words do
    local word, values, flag, shown = words[i], {}, nil, nil
    if plain or word == "-" or not word:find "^%-" then
      rest[#rest + 1] = word
    elseif word == "--" then
      plain = true
    elseif word:find "^%-%-" then
      flag, shown = long_flag(known, word, options, strangers)
    else
      flag, shown = short_flags(known, word, options, strangers)
    end
    for kind in (flag and flag.kind or ""):gmatch "%u+" do
      i = i + 1
      if not words[i] then usage("%s needs a value: %s", shown, kind) end
      values[#values + 1] = words[i]
    end
    if flag then put(options, flag, shown, #values == 1 and values[1] or values) end
    i = i + 1
  end
  return options, rest
end

--- Header lines, "Name: value", as a list of {name, value}.
function M.fields(lines)
  local list = {}
  for i, line in ipairs(lines) do
    local name, value = line:match "^%s*([^:]-)%s*:%s*(.-)%s*$"
    if not name then usage("--header must be 'Name: value', got '%s'", line) end
    list[i] = { name, value }
  end
  return list
end

return M
