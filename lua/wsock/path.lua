--- The path of a request, cut up.
-- @module wsock.path

local M = {}

local function byte_of(digits) return string.char(tonumber(digits, 16)) end

--- Cuts a path at its slashes, then decodes each piece by itself (RFC 3986 2.4): `"/a%2Fb/c"` has two pieces, `"a/b"`
-- and `"c"`. Nothing is resolved. What is decoded may hold any byte.
-- @param path what `request.path` says
-- @treturn ?table the pieces; nil when it is no path, or has a percent sign that means nothing
-- @treturn ?table the same pieces as they came
function M.split(path)
  local pieces, raw = {}, {}
  if type(path) ~= "string" or path:byte() ~= 47 then return nil end
  for piece in path:gmatch "/([^/]*)" do
    local n = #raw + 1
    raw[n], pieces[n] = piece, piece
    if piece:find("%", 1, true) then
      local rest = piece:gsub("%%%x%x", "")
      if rest:find("%", 1, true) then return nil end
      pieces[n] = piece:gsub("%%(%x%x)", byte_of)
    end
  end
  return pieces, raw
end

return M
