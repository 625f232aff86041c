-- spec/support/ipv6.lua -- whether this machine has IPv6. Some containers have
-- none: what is about IPv6 alone is skipped there, and says so; what is about
-- every kind of address goes by the others.

local lu = require "luaunit"
local socket = require "socket"

local M = {}

local function can_bind()
  local probe = socket.tcp6()
  local ok = probe and probe:bind("::1", 0)
  if probe then probe:close() end
  return ok ~= nil
end

M.here = can_bind()

--- The two loopback addresses, or the one there is.
M.loopbacks = M.here and { "127.0.0.1", "::1" } or { "127.0.0.1" }

--- Ends the test unless there is IPv6.
function M.needed()
  if not M.here then lu.skip "this machine has no IPv6" end
end

return M
