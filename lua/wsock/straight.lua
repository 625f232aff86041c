--- Straight-line style: waiting in place of listening.
-- What waits is in C: in a coroutine of the loop it yields, elsewhere it turns the loop.
-- @module wsock.straight

local check = require "wsock.check"
local core = require "wsock.core"

local M = {}

--- Whoever is cancelled, or interrupted, while connecting leaves no connection behind: of a `{socket =, done =}` to be
-- closed.
M.unfinished = { __close = function(made) if not made.done then made.socket:terminate() end end }

--- Connects and waits until the socket is open.
-- Its messages wait for `receive` or `messages`; nothing happens to it before this returns.
-- @param url as for `wsock.WebSocket`
-- @param[opt] options those of a client, with `protocols`
-- @return the socket; or nil, message, code and the status of a refused handshake
function M.connect(url, options, ...)
  check.two("connect", ...)
  local socket = check.passed(pcall(core.WebSocket, url, nil, options))
  local made <close> = setmetatable({ socket = socket }, M.unfinished)
  local open, message, code, status = check.passed(pcall(core.opened, socket))
  made.done = true
  if open then return socket end
  return nil, message, code, status
end

return M
