-- adapter/cqueues: client and server in cqueues' coroutines.

local cqueues = require "cqueues"

local adapter = require "wsock.adapter.cqueues"
local controller = cqueues.new()
local raised

local T = require "support.adapter_cases" {
  adapter = adapter,
  stream = function(port)
    local sock = require "cqueues.socket".connect("127.0.0.1", port)
    sock:connect()
    return sock
  end,
  spawn = function(fn) controller:wrap(fn) end,
  step = function()
    local ok, message = controller:step(0)
    if not ok then raised = message end
  end,
  error = function(forget)
    raised = not forget and raised or nil
    return raised
  end,
}

return T
