-- spec/examples/load.lua -- a load test: many clients, each its own coroutine.
--
--   lua5.4 load.lua url [clients [seconds [bytes]]]      100, 5, 125

local wsock = require "wsock"

local url, n = arg[1], tonumber(arg[2]) or 100
local seconds, message = tonumber(arg[3]) or 5, ("x"):rep(tonumber(arg[4]) or 125)
local trips, worst, failed, stop = 0, 0, 0, wsock.now() + seconds

local function client()
  local socket <close>, alive = wsock.connect(url), true
  while socket and alive and wsock.now() < stop do
    local sent = wsock.now()
    socket:send(message)
    alive = socket:receive(seconds)
    trips, worst = trips + 1, math.max(worst, wsock.now() - sent)
  end
  if not socket or not alive then failed = failed + 1 end
end

for _ = 1, n do wsock.spawn(client) end
wsock.run()
print(("%d clients, %d failed: %.0f round trips a second, the slowest took %.1f ms")
  :format(n, failed, trips / seconds, worst * 1000))
os.exit(failed == 0)
