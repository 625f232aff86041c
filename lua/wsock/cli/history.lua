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

-- Makes a file that only the user may read, and the folders on its way; whether it went well.
local function make(path)
  local quoted = "'" .. path:gsub("'", "'\\''") .. "'"
  local folder = path:find "/" and 'mkdir -p -- "${f%/*}";' or ""
  return os.execute(('f=%s; umask 077; { %s : >>"$f"; } >/dev/null 2>&1'):format(quoted, folder))
end

-- Writes the lines anew beside the old file, which is there until the end.
local function replace(path, lines)
  local beside = ("%s.%x"):format(path, math.random(0))
  local file = make(beside) and io.open(beside, "w")
  if not file then return end
  local ok = file:write(table.concat(lines, "\n"), "\n")
  ok = file:close() and ok
  if not (ok and os.rename(beside, path)) then os.remove(beside) end
end

--- Keeps a line; unless it is blank, begins with a blank, or is the last one again.
-- @treturn boolean whether the line is one to go back to
function History:add(line)
  if not line:find "^%S" or line == self.last then return false end
  self.last = line
  local file <close> = self.path and io.open(self.path, "a")
  if file then
    file:setvbuf "no"
    file:write(line .. "\n") -- in one piece
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
    if #lines > M.most then
      lines = table.move(lines, #lines - M.most + 1, #lines, 1, {})
      replace(path, lines)
    end
  elseif path then
    path = make(path) and path or nil
  end
  self.path, self.last = path, lines[#lines]
  return self, lines
end

return M
