-- spec/support/files.lua -- the checkout's folder; whole files, read and written.

local M = {}

--- The folder the checkout lies in, as spec/run.lua was called.
M.root = arg[0]:match "^(.*)/spec/[^/]*$" or "."

--- What is in a file; nil when there is none.
function M.read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

--- Makes a file of text, in place of one that is there.
function M.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

return M
