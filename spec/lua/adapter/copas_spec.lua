-- adapter/copas: client and server in copas' coroutines.  Debian has copas for
-- older Luas only; it is one file that runs in 5.4.

local path = package.path
package.preload.coxpcall = function() return { pcall = pcall, xpcall = xpcall } end
package.path = path .. ";/usr/share/lua/5.2/?.lua"
local copas = require "copas"
package.path = path

local adapter = require "wsock.adapter.copas"
local raised

local T = require "support.adapter_cases" {
  adapter = adapter,
  stream = function(port) return require "socket".connect("127.0.0.1", port) end,
  spawn = copas.addthread,
  step = function() -- an old copas prints what is raised
    local say = print
    rawset(_G, "print", function(message) raised = message end)
    adapter.tick()
    copas.step(0)
    rawset(_G, "print", say)
  end,
  error = function(forget)
    raised = not forget and raised or nil
    return raised
  end,
}

return T
