--- The lines typed at terminals, kept in a file from one run to the next.
-- The file is the user's own (mode 600) and grows by one write for each line, so
-- that commands at work at once leave each other's lines whole. What cannot be
-- read or written is no history, and nobody is told.
-- @module wsock.cli.history

local M = {}

local History = {}
History.__index = History

--- How many lines are kept.
M.most = 500

--- Where the lines are: WSOCK_HISTORY, else below XDG_STATE_HOME, else below the home; nil: nowhere.
-- @tparam function getenv os.getenv
function M.path(getenv)
  local told, state, home = getenv "WSOCK_HISTORY", getenv "XDG_STATE_HOME", getenv "HOME"
  if told then return told ~= "" and told or nil end
  if state and state:find "^/" then return state .. "/wsock/history" end
  return home and home:find "^/" and home .. "/.local/state/wsock/history" or nil
end

-- A line of shell in which $f is the file; whether it went well.
local function shell(path, line)
  local quoted = "'" .. path:gsub("'", "'\\''") .. "'"
  return os.execute(("f=%s; umask 077; { %s; } >/dev/null 2>&1 </dev/null"):format(quoted, line))
end

-- Written anew beside the old one, which is there until the end.
local SHORTEN = ('tail -n %d -- "$f" >"$f.$$" && mv -f -- "$f.$$" "$f" || rm -f -- "$f.$$"'):format(M.most)
local MAKE = 'mkdir -p -- "${f%/*}"; : >>"$f"'

--- Keeps a line; unless it is blank, begins with a blank, or is the last one again.
-- @treturn boolean whether the line is one to go back to
function History:add(line)
  if not line:find "^%S" or line == self.last then return false end
  self.last = line
  local file <close> = self.path and io.open(self.path, "a")
  if file then
    file:setvbuf "full"
    file:write(line, "\n")
  end
  return true
end

--- Opens the history of a path, or one that is in no file.
-- @tparam[opt] string path
-- @treturn table with `add`
-- @treturn {string,...} the lines so far, the last `most` of them
function M.open(path)
  local self, lines = setmetatable({}, History), {}
  local file <close> = path and io.open(path, "r")
  if file then
    for line in (file:read "a" or ""):gmatch "[^\n]+" do lines[#lines + 1] = line end
    if #lines > M.most then shell(path, SHORTEN) end
  elseif path then
    path = shell(path, MAKE) and path or nil
  end
  self.path, self.last = path, lines[#lines]
  return self, table.move(lines, math.max(#lines - M.most, 0) + 1, #lines, 1, {})
end

return M
