-- What the library does when memory runs out: in a Lua state of its own whose
-- n-th allocation fails, for every n of a life's worth. Nothing crashes, nothing
-- leaks, and once there is memory again the loop comes to its end.

local lu = require "luaunit"
local probe = require "wsock.probe".bind

local T = {}

local slow = require "support.clock".slow

-- Both sides of a conversation, and an end that must be reached.
local script = [[
local wsock = require "wsock"
local loop = wsock.loop()
loop.onerror = function() end
local server, clients, told = nil, {}, 0
local function nothing() end
local function step() return pcall(loop.step, loop, 0) end
local url
server = assert(wsock.listen { port = 0, loop = loop, closeTimeout = 0.02, protocols = { "p" }, maxPerAddress = 100 })
url = ("ws://127.0.0.1:%d/x?y"):format(select(2, server:address()))
for _ = 1, 3 do step() end

NEEDS
local body = function()
  LIFE
end

arm()
local ok, message = pcall(body)
disarm()
collectgarbage "restart"

for _, socket in ipairs(clients) do pcall(socket.terminate, socket) end
clients = nil
server:close(1001, "", 0)
local over
local guard = loop:after(3, function() over = true loop:stop() end)
for _ = 1, 20 do
  loop:step(0)
  collectgarbage()
end
local ended = false
for _ = 1, 400 do
  guard:cancel()
  if not loop:step(0) then ended = true break end
  guard = loop:after(3, nothing)
  loop:step(0.01)
end
if not ended then return "the loop does not end: " .. tostring(loop) .. " after " .. tostring(message) end
loop:close()
return "fine"
]]

-- What a life needs is loaded before memory runs out, or most failures would be
-- those of reading its source.

-- Plays a life with every allocation failing in turn; `times` in a row do, so
-- that Lua's own second try after a collection fails as well.
local function exhaust(life, times, step)
  local needs = life:match "^%s*%-%- needs ([%w ]+)" or ""
  local text = script:gsub("LIFE", function() return life end)
    :gsub("NEEDS", (needs:gsub("%w+", 'require "wsock.%0"')))
  local result, info = probe.state(text)
  lu.assertEquals(result, "fine")
  lu.assertEquals({ info.failed, info.bytes, info.wrong }, { 0, 0, 0 })
  local calls = info.calls
  lu.assertTrue(calls > 10, calls)
  step = step * math.ceil(calls / 500) -- a long life by samples; where they begin is chance
  local n = math.random(step)
  while n <= calls do
    result, info = probe.state(text, n, times)
    local what = ("allocation %d of %d (%d times)"):format(n, calls, times)
    lu.assertEquals(result, "fine", what)
    lu.assertEquals({ info.bytes, info.wrong }, { 0, 0 }, what)
    n = n + step
  end
end

local lives = {
  connect = [[
    clients[1] = wsock.WebSocket(url, "p", { loop = loop, headers = { ["X-A"] = "b" }, origin = url })
    for _ = 1, 8 do step() end
  ]],
  refused = [[
    clients[1] = wsock.WebSocket("ws://u:p@127.0.0.1:1/", nil, { loop = loop })
    clients[1].onerror = function(e) return e.message .. e.code end
    clients[1].onclose = function(e) return e.reason end
    for _ = 1, 4 do step() end
  ]],
  messages = [[
    server.onmessage = function(socket, data, kind) socket:send(data, kind) end
    clients[1] = wsock.WebSocket(url, "p", { loop = loop })
    local socket = clients[1]
    socket.onmessage = function(e) return e.data .. e.kind .. e.origin end
    socket:on("message", nothing)
    for _ = 1, 6 do step() end
    if socket.readyState == 1 then
      pcall(socket.send, socket, "hello")
      pcall(socket.send, socket, ("x"):rep(70000), "binary")
      pcall(socket.ping, socket, "p")
      pcall(socket.send, socket, "a", "text", { final = false })
      pcall(socket.send, socket, "b")
    end
    for _ = 1, 6 do step() end
    pcall(socket.close, socket, 3000, "reason")
    for _ = 1, 6 do step() end
  ]],
  bytes = [[
    server.onconnection = function(socket) socket.binaryType = "blob" end
    server.onmessage = function(socket, data)
      socket:send(data:slice(2))
      server:broadcast(data:arrayBuffer())
    end
    clients[1] = wsock.WebSocket(url, "p", { loop = loop })
    local socket = clients[1]
    socket.binaryType = "arraybuffer"
    socket.onmessage = function(e)
      e.data:pack("I2", 1, e.data:unpack "B")
      return e.data:slice(2):tostring()
    end
    for _ = 1, 6 do step() end
    if socket.readyState == 1 then
      pcall(socket.send, socket, wsock.arraybuffer(9000))
      pcall(socket.send, socket, wsock.blob(("x"):rep(5000), { type = "a/b" }))
    end
    for _ = 1, 8 do step() end
  ]],
  -- Sockets of the server end on the way; Lua drops a finalizer it has no
  -- memory to call, so they wait.
  redirects = [[
    collectgarbage "stop"
    server.onupgrade = function(request)
      if request.path == "/end" then
        request:accept { protocol = "p" }
      else
        local far = url:gsub("127.0.0.1", "localhost"):gsub("x%?y", "end")
        request:reject(307, { Location = request.path == "/x" and "/y" or far })
      end
    end
    local o = { loop = loop, maxRedirects = 2, auth = { "u", "p" }, headers = { Accept = "x" } }
    clients[1] = wsock.WebSocket(url, "p", o)
    for _ = 1, 14 do step() end
    clients[2] = wsock.WebSocket(url, "p", { loop = loop, maxRedirects = 1 })
    for _ = 1, 10 do step() end
    server:off("upgrade")
  ]],
  challenges = [[
    collectgarbage "stop" -- as in redirects
    server.onupgrade = function(request)
      if (request.headers.authorization or ""):find "^Digest" then return request:accept() end
      request:reject(401, { ["WWW-Authenticate"] = 'Basic realm="r", Digest realm="r", nonce="n", qop="auth"' })
    end
    clients[1] = wsock.WebSocket(url, nil, { loop = loop, auth = { "u", "p", scheme = "digest" } })
    for _ = 1, 10 do step() end
    server:off("upgrade")
  ]],
  passwords = [[ -- needs digest
    collectgarbage "stop" -- as in redirects
    local digest = wsock.digest { realm = "r", password = function(user) return user end }
    server.onupgrade = function(request)
      local user, why = digest:check(request)
      if user then return request:accept() end
      if request.headers.authorization then return request:reject(401) end
      request:reject(select(2, digest:challenge(why)))
    end
    for i, word in ipairs { "u", "wrong" } do
      clients[i] = wsock.WebSocket(url, nil, { loop = loop, auth = { "u", word, scheme = "digest" } })
    end
    for _ = 1, 10 do step() end
    server:off("upgrade")
  ]],
  proxies = [[
    collectgarbage "stop" -- as in redirects
    local where = ("u:p@127.0.0.1:%d"):format(select(2, server:address()))
    for i, proxy in ipairs { "http://" .. where, "socks5://" .. where } do
      clients[i] = wsock.WebSocket("ws://h:1/", nil, { loop = loop, proxy = proxy })
      clients[i].onerror = function(e) return e.message .. e.code end
    end
    for _ = 1, 8 do step() end
  ]],
  coming_back = [[ -- needs reconnecting
    collectgarbage "stop" -- as in redirects
    local socket = wsock.reconnecting(url, { protocols = "p", loop = loop, delay = 0, maxAttempts = 3 })
    clients[1] = socket
    socket:on("open", function() socket:send "open" end)
    socket.onmessage = function(e) return e.data .. e.origin end
    socket:send(wsock.arraybuffer "queued")
    for _ = 1, 6 do step() end
    server.onmessage = function(far) far:terminate() end
    socket:send "x"
    for _ = 1, 10 do step() end
  ]],
  asked_across = [[ -- needs reconnecting
    collectgarbage "stop" -- as in redirects
    local comings = 0
    server:on("connection", function(far)
      comings = comings + 1
      far:send("a" .. comings)
      if comings < 3 then far:terminate() end
    end)
    local socket = wsock.reconnecting(url, { protocols = "p", loop = loop, delay = 0, maxAttempts = 3 })
    clients[1] = socket
    loop:spawn(function() for _ = 1, 3 do socket:receive() end end)
    loop:spawn(function() socket:receive(0.001) end)
    for _ = 1, 16 do step() end
    socket:on("message", nothing)
    for _ = 1, 4 do step() end
  ]],
  rooms = [[ -- needs router hub static
    collectgarbage "stop" -- as in redirects
    local hub = wsock.hub { onjoin = nothing, onleave = nothing }
    local router, other = wsock.router(), nil
    clients[1] = { terminate = function() if other then other:close(1001, "", 0) end end }
    other = assert(wsock.listen { port = 0, loop = loop, closeTimeout = 0.02, router = router })
    router:get("/", wsock.static "."):ws("/:room", { protocols = { "p" }, headers = { A = "b" },
      onconnection = function(socket, request) hub:join(socket, request.params.room) end,
      onmessage = function(socket, data)
        hub:publish("x", data)
        wsock.broadcast(hub:sockets "x", wsock.blob(data))
        hub:leave(socket, "x")
      end })
    url = ("ws://127.0.0.1:%d/"):format(select(2, other:address()))
    clients[2] = wsock.WebSocket(url .. "x", "p", { loop = loop })
    clients[3] = wsock.WebSocket(url, "p", { loop = loop })
    for _ = 1, 6 do step() end
    if clients[2].readyState == 1 then clients[2]:send(("x"):rep(5000)) end
    for _ = 1, 6 do step() end
  ]],
  listeners = [[
    local socket = wsock.WebSocket(url, "p", { loop = loop })
    clients[1] = socket
    socket:on("open", nothing):once("open", nothing)
    socket:addEventListener("open", nothing, { once = true })
    socket.onopen = nothing
    socket:on("close", nothing):off("close", nothing)
    socket.data = {}
    for _ = 1, 6 do step() end
    local _ = socket.response.headers["upgrade"], socket.remoteAddress, socket:stats(), tostring(socket)
  ]],
  server = [[
    server.onconnection = function(socket, request)
      socket.data = request.headers.Host .. request.path
      socket:send(("y"):rep(5000))
      server:broadcast "all"
      for k in pairs(server.clients) do k:ping() end
    end
    for i = 1, 2 do clients[i] = wsock.WebSocket(url, "p", { loop = loop }) end
    for _ = 1, 8 do step() end
    server:broadcast(("z"):rep(9000), "binary")
    for _ = 1, 4 do step() end
    server:close(1001, "going")
    for _ = 1, 6 do step() end
  ]],
  requests = [[
    server.onrequest = function(request, response) response:send(404, { X = "y" }, "no") end
    server.onupgrade = function(request) request:accept { headers = { ["X-B"] = "c" } } end
    clients[1] = wsock.WebSocket(url, nil, { loop = loop })
    for _ = 1, 8 do step() end
    server:off("upgrade")
    server.verify = nil
  ]],
  timers = [[
    local t, s, w
    clients[1] = { terminate = function()
      if t then t:cancel() end
      if s then s:cancel() end
      if w then w:cancel() end
    end }
    t = loop:every(0, nothing)
    w = loop:watch(0, "rw", nothing)
    for _ = 1, 10 do loop:after(0, nothing) end
    loop:setTimeout(nothing, 0, 1, 2, 3)
    s = loop:signal("USR2", nothing)
    for _ = 1, 3 do step() end
    collectgarbage()
    step()
  ]],
  waiting = [[
    server.onconnection = function(socket)
      for data, kind in socket:messages() do socket:send(data, kind) end
    end
    local tasks = {}
    local function spawn(...) tasks[#tasks + 1] = loop:spawn(...) end
    clients[1] = { terminate = function()
      for _, task in ipairs(tasks) do task:cancel() end
    end }
    spawn(function()
      local socket <close> = assert(wsock.connect(url, { loop = loop, protocols = "p" }))
      clients[2] = socket
      socket:send "x"
      socket:receive(1)
      for i = 1, 3 do socket:send("y" .. i) end
      loop:sleep(0)
      return socket:receive(1), socket:drain()
    end)
    spawn(function() return tasks[1]:join() end)
    spawn(function() loop:sleep(0.001) error {} end)
    spawn(loop.sleep, loop, 60)
    loop:after(0, function() loop:sleep(0.001) end)
    for _ = 1, 12 do step() end
    tasks[4]:cancel()
    clients[3] = assert(wsock.connect(url, { loop = loop, protocols = "p" }))
    clients[3]:send "z"
    clients[3]:receive(0.01)
    for _ = 1, 4 do step() end
  ]],
  late_listeners = [[
    collectgarbage "stop" -- as in redirects
    server.onconnection = function(socket)
      loop:sleep(0)
      loop:sleep(0)
      socket:on("message", nothing)
    end
    local socket = wsock.WebSocket(url, "p", { loop = loop })
    clients[1] = socket
    socket:on("open", function() socket:send "x" socket:send "y" socket:close() end)
    for _ = 1, 12 do step() end
  ]],
  failing_handlers = [[
    server.onmessage = function() error {} end
    local socket = wsock.WebSocket(url, "p", { loop = loop })
    clients[1] = socket
    socket.onopen = function() socket:send "x" error "in open" end
    socket.onclose = function() error(setmetatable({}, { __tostring = error })) end
    for _ = 1, 10 do step() end
  ]],
  loops = [[
    local other = wsock.loop()
    local socket = wsock.WebSocket(url, "p", { loop = other })
    for _ = 1, 6 do step() pcall(other.step, other, 0) end
    other:close()
    pcall(socket.close, socket)
    local third = wsock.loop { backend = "poll" }
    third:close()
  ]],
  failing_constructors = [[
    pcall(wsock.WebSocket, "nonsense")
    pcall(wsock.WebSocket, url, { "a", "a" }, { loop = loop })
    pcall(wsock.WebSocket, url, nil, { loop = loop, headers = { Host = "x" } })
    pcall(wsock.WebSocket, url, nil, { loop = loop, localAddress = "x" })
    pcall(wsock.listen, { port = -1, loop = loop })
    pcall(wsock.listen, { port = 0, loop = loop, maxPayload = "x" })
    clients[1] = wsock.WebSocket(url, "p", { loop = loop })
    for _ = 1, 6 do step() end
  ]],
}

for name, life in pairs(lives) do
  T["test_" .. name] = function()
    exhaust(life, 1, math.ceil(slow / 2))
    exhaust(life, 2, math.ceil(slow / 2))
    exhaust(life, 30, 2 * math.ceil(slow / 2))
  end
end

-- A loop that is closed at once, and the state behind it: what was made by halves meets its loop no more.
function T:test_a_server_that_was_not_to_be()
  local text = [[
    local wsock = require "wsock"
    local loop = wsock.loop()
    local options = { port = 0, loop = loop }
    arm()
    pcall(wsock.listen, options)
    disarm()
    loop:close()
    return "fine"
  ]]
  local _, whole = probe.state(text)
  for n = 1, whole.calls do
    for _, times in ipairs { 1, 2, 1000 } do
      local result, info = probe.state(text, n, times)
      local what = ("allocation %d, %d times"):format(n, times)
      lu.assertEquals({ result, info.bytes, info.wrong }, { "fine", 0, 0 }, what)
    end
  end
end

return T
