-- adapter/cqueues: client and server in cqueues' coroutines.

local cqueues = require "cqueues"
local lu = require "luaunit"

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

function T.test_without_a_controller()
  for _, fn in ipairs { adapter.listen, adapter.accept } do
    lu.assertErrorMsgContains("no controller of cqueues runs here", fn, { port = 0, handler = print })
  end
  lu.assertErrorMsgContains("no controller of cqueues runs here", adapter.connect, "ws://127.0.0.1:1/")
end

return T
