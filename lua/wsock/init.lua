--- WebSocket for Lua 5.4: client and server, the browser's object and more.
-- @module wsock

local check = require "wsock.check"
local core = require "wsock.core"
local straight = require "wsock.straight"

local M = { connect = straight.connect }

for _, name in ipairs {
  "WebSocket", "listen", "loop", "run", "step", "stop", "now", "after", "every", "watch", "signal",
  "spawn", "sleep", "setTimeout", "setInterval", "clearTimeout", "clearInterval", "protocol", "closeCodes",
  "constantTimeEquals", "broadcast", "blob", "arraybuffer", "_VERSION",
} do
  M[name] = core[name]
end

-- What is written in Lua is loaded when it is first used.
for _, name in ipairs { "router", "static", "hub", "reconnecting", "digest" } do
  M[name] = function(...)
    check.dot(...)
    return require("wsock." .. name).new(...)
  end
end

-- A table whose fields are modules, each loaded when first asked for.
local function modules(prefix)
  return setmetatable({}, { __index = function(_, name) return require(prefix .. name) end })
end

-- The connection under other loops: `adapter.luv`, `.cqueues`, `.copas`.
M.adapter = modules "wsock.adapter."

-- lua-resty-websocket's API: `resty.client`, `resty.server`.
M.resty = modules "wsock.resty."

-- The states of a socket, as in the browser.
M.CONNECTING, M.OPEN, M.CLOSING, M.CLOSED = 0, 1, 2, 3

-- What can be set are fields of the default loop; everything else of the module is fixed, so that a misspelt
-- name is an error where it stands and not a nil somewhere else.
local fixed, settable = M, { onerror = true, handshakesMax = true }

return setmetatable({}, {
  __name = "wsock", -- by which it is known where a ':' was written for a '.'
  __index = function(_, key)
    if settable[key] then return core.defaultLoop()[key] end
    return fixed[key]
  end,
  __newindex = function(_, key, value)
    if not settable[key] then error("field '" .. tostring(key) .. "' of wsock cannot be set", 2) end
    check.passed(pcall(core.setField, core.defaultLoop(), key, value))
  end,
  __pairs = function() return pairs(fixed) end,
  __metatable = false,
})
