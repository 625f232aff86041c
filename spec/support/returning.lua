-- spec/support/returning.lua -- clients that come back, whose chance is none.

local reconnecting = require "wsock.reconnecting"
local rigs = require "support.rig"
local wsock = require "wsock"

local M = {}

--- A class of specs on a rig (support/rig.lua) in which waits take no time unless reconnecting.random is set; each
--- has a raw server, self.server, and begin(options, url), which gives a client of it.
function M.class(also)
  local T = rigs.class(function(self)
    self.random = reconnecting.random
    reconnecting.random = function() return 0 end
    self.rig:keep { close = function() reconnecting.random = self.random end }
    self.server = self.rig:raw_server()
    if also then also(self) end
  end)
  function T:begin(options, url)
    local o = { loop = self.loop }
    for key, value in pairs(options or {}) do o[key] = value end
    local socket = wsock.reconnecting(url or self.server.url, o)
    self.rig:keep { close = function() socket:terminate() end }
    return socket
  end
  return T
end

return M
