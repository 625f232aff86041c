--- lua-resty-websocket's server over our loop.
--
-- `new` answers the request of the handler it is called in: one that `listen`
-- calls for each request, as OpenResty runs a content handler.
-- @module wsock.resty.server

local core = require "wsock.core"
local frames = require "wsock.resty.frames"

local M = frames.methods {}

M.send_continue = frames.send_continue

local class = { __index = M }

-- The request of each handler that runs: coroutine → {request =, socket =}.
local current = setmetatable({}, { __mode = "k" })

-- The first of the offered subprotocols that is in the list, or the first.
local function choose(list, request)
  local known
  for _, name in ipairs(list or {}) do
    known = known or {}
    known[name] = true
  end
  for name in (request.headers["sec-websocket-protocol"] or ""):gmatch "[^,%s]+" do
    if not known or known[name] then return name end
  end
end

--- Answers the handler's request by 101.
-- @param options timeout (ms), max_payload_len, max_recv_len, max_send_len;
-- ours: protocols (the subprotocols we know; else the first that is offered)
-- @return the server's side of the connection, or nil, err
function M:new(options) -- luacheck: ignore 212
  options = options or {}
  local here = current[coroutine.running()]
  if not here then return nil, "no request: call new in the handler of listen" end
  if options.send_masked then return nil, "send_masked: a server must not mask (RFC 6455 5.1)" end
  local socket = here.request:accept { protocol = choose(options.protocols, here.request) }
  if not socket then return nil, "response header already sent" end
  here.socket = socket
  return setmetatable(frames.init({ sock = socket }, options), class)
end

-- What is behind the handler: its connection ends with it, and a request it
-- did not answer is refused.
local function finish(here, ok)
  local socket = here.socket
  if not socket then
    here.request:reject(ok and 403 or 500)
  elseif ok then
    socket:close(1000)
  else
    socket:close(1011, "internal error")
  end
end

--- Listens: `handler(request)` runs in a coroutine of its own for each request.
-- @param options those of `wsock.listen` for addresses, gates and limits, and
-- handler
-- @return server, or nil, message, code
function M.listen(options)
  if type(options) ~= "table" then error("options must be a table, got " .. type(options), 2) end
  local mine = { frames = true, maxBuffered = 0, pingInterval = 0 }
  for key, value in pairs(options) do mine[key] = value end
  local handler = mine.handler
  mine.handler = nil
  if type(handler) ~= "function" then error("handler must be a function, got " .. type(handler), 2) end
  function mine.onupgrade(request)
    local here, co = { request = request }, coroutine.running()
    current[co] = here
    local ok, message = xpcall(handler, debug.traceback, request)
    current[co] = nil
    finish(here, ok)
    if not ok then error(message, 0) end
  end
  return core.listen(mine)
end

return M
