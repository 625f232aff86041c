--- What the command asks of a terminal.
-- @module wsock.cli.terminal

local M = {}

--- Whether a descriptor of ours is a terminal.
function M.is(fd)
  return os.execute(("test -t %d"):format(fd)) == true
end

--- Whether it is one that can only print.
function M.dumb()
  local kind = os.getenv "TERM"
  return not kind or kind == "" or kind == "dumb"
end

--- Stops this program, as Ctrl-Z does, until the shell lets it go on.
function M.suspend()
  os.execute "kill -STOP $PPID"
end

local names = { ["\r"] = "\\r", ["\27"] = "\\e" }

local function written(c) return names[c] or ("\\x%02x"):format(c:byte()) end

--- Text that is safe to show: what would move the cursor, or give the terminal orders, is written out. Line ends and
-- tabs stay, and everything that is no control character.
function M.clean(text)
  text = text:gsub("[%z\1-\8\11-\31\127]", written)
  if not utf8.len(text) then return (text:gsub("[\x80-\xff]", written)) end -- of a head: may be a C1 control, too
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
