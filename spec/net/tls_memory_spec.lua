-- net/tls: what an idle connection costs.
local lu = require "luaunit"
local clock = require "support.clock"
local process = require "support.process"
local visitors = require "support.visitors"

local T = require "support.tls".class()
T.alone = true -- it measures

local SERVER = [[
local wsock = require "wsock"
local server = assert(wsock.listen { port = 0, backlog = 4096, handshakesMax = 4096, handshakeTimeout = 600,
  pingInterval = 0,
  tls = { cert = %q, key = %q }, onmessage = function(socket, data) socket:send(data) end })
io.stdout:setvbuf "line"
print(select(2, server:address()))
wsock.run()
]]

-- 20 KiB of user space each, after messages have gone both ways, at 1,000.
function T:test_a_thousand_idle_connections()
  local child = process.start_lua { "-e", SERVER:format(self.good.cert, self.good.key) }
  self.program = child
  local port = child:expect("(%d+)\n", 10)
  local url = ("wss://127.0.0.1:%s/"):format(port)
  local echoed, sockets = 0, {}
  local function open(n)
    for i = #sockets + 1, #sockets + n do
      local options = { tls = { ca = self.good.ca }, handshakeTimeout = 600, pingInterval = 0 }
      local socket = self.rig:client(url, nil, options)
      sockets[i] = socket
      socket:on("open", function() socket:send(("x"):rep(20000)) end)
      socket:on("message", function() echoed = echoed + 1 end)
    end
    clock.wait(function() return echoed == #sockets end, 60, function() self.rig:turn() end)
  end
  open(clock.times(100, 10))
  local base = visitors.memory(child.pid)
  local more = clock.times(1000, 40)
  for _ = 1, more // 40 do open(40) end -- a storm would cost more for a while, and the C library keeps that
  self.rig:idle()
  local each = (visitors.memory(child.pid) - base) / more
  if more == 1000 then lu.assertTrue(each < 20 * 1024, each) end
  for _, socket in ipairs(sockets) do socket:terminate() end
end

return T
