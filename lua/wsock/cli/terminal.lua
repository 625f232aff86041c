--- What the command asks of a terminal.
-- @module wsock.cli.terminal

local M = {}

--- Whether a descriptor of ours is a terminal.
function M.is(fd)
  return os.execute(("test -t %d"):format(fd)) == true
end

-- What a program prints, without the end of the line; nil when it fails.
local function ask(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe and pipe:read "l"
  return pipe and pipe:close() and text or nil
end

--- Keys come one by one and unseen from now on. Returns what `restore` needs, or nil where that cannot be done.
function M.raw()
  if os.getenv "TERM" == "dumb" then return nil end
  local saved = ask "stty -g"
  return saved and os.execute "stty -icanon -echo min 1 time 0" and saved
end

--- Gives the terminal back as it was.
function M.restore(saved)
  os.execute("stty " .. saved)
end

--- How wide the terminal is.
function M.columns()
  local columns = tonumber((ask "stty size" or ""):match "%d+ (%d+)")
  return columns and columns > 0 and columns or 80
end

--- Stops this program, as Ctrl-Z does, until the shell lets it go on.
function M.suspend()
  os.execute "kill -STOP $PPID"
end

local names = { ["\r"] = "\\r", ["\27"] = "\\e" }

--- Text that is safe to show: what would move the cursor, or give the terminal orders, is written out. Line ends and
-- tabs stay, and everything that is no control character.
function M.clean(text)
  text = text:gsub("[%z\1-\8\11-\31\127]", function(c) return names[c] or ("\\x%02x"):format(c:byte()) end)
  -- C1 controls: U+0080 to U+009F
  return (text:gsub("\xc2([\x80-\x9f])", function(c) return ("\\u{%x}"):format(c:byte()) end))
end

--- Bytes in hexadecimal, at most `most` of them.
function M.hex(bytes, most)
  local cut = most and #bytes > most
  local text = (cut and bytes:sub(1, most) or bytes):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
  return text .. (cut and "…" or "")
end

return M
