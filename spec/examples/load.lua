-- spec/examples/load.lua -- a load test: many clients, each its own coroutine.
--
--   lua5.4 load.lua [url [clients [seconds [bytes]]]]
--                                 ws://127.0.0.1:8080/, an echo; 100, 5, 125

local wsock = require "wsock"

local url, n = arg[1] or "ws://127.0.0.1:8080/", tonumber(arg[2]) or 100
local seconds, payload = tonumber(arg[3]) or 5, ("x"):rep(tonumber(arg[4]) or 125)
local trips, worst, failed, stop, trouble = 0, 0, 0, wsock.now() + seconds, nil

local function client()
  local socket <close>, message = wsock.connect(url)
  local alive = socket ~= nil
  while alive and wsock.now() < stop do
    local sent = wsock.now()
    socket:send(payload)
    alive, message = socket:receive(seconds)
    trips, worst = trips + 1, math.max(worst, wsock.now() - sent)
  end
  if not alive then failed, trouble = failed + 1, trouble or message end
end

for _ = 1, n do wsock.spawn(client) end
wsock.run()
print(("%d clients, %d failed: %.0f round trips a second, the slowest took %.1f ms")
  :format(n, failed, trips / seconds, worst * 1000))
if trouble then print("the first that failed: " .. trouble) end
os.exit(failed == 0)
