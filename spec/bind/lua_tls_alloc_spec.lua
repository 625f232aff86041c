-- bind/lua_tls: a life with TLS in which each allocation of Lua's, and of ours,
-- fails in turn. OpenSSL's own are the C library's and do not.
local lu = require "luaunit"
local probe = require "wsock.probe".bind
local certs = require "support.certs"

local T = {}

local script = [[
local wsock = require "wsock"
local cert, key, ca, crl = %q, %q, %q, %q
local loop = wsock.loop()
loop.onerror = function() end
local server, client, got
local function step() return pcall(loop.step, loop, 0.002) end

local function life()
  server = wsock.listen { port = 0, loop = loop, closeTimeout = 0.02, handshakeTimeout = 0.2,
    tls = { cert = cert, key = key, ca = ca, crl = crl, requestCert = true,
      sni = { ["a.test"] = { cert = cert, key = key } } },
    onmessage = function(socket, data) socket:send(data .. tostring(socket.tls.version)) end }
  local url = ("wss://127.0.0.1:%%d/"):format(select(2, server:address()))
  client = wsock.WebSocket(url, nil, { loop = loop, handshakeTimeout = 0.2, closeTimeout = 0.02,
    tls = { ca = ca, cert = cert, key = key, verify = false } })
  client:on("open", function() client:send(("x"):rep(100000)) end)
  client:on("message", function(data)
    got = #data .. client.tls.peerCertificate.subject
    server:setTLS { cert = cert, key = key }
    client:close(1000)
  end)
  for _ = 1, 40 do step() if client.readyState == 3 then break end end
end

collectgarbage("incremental", 1, 1000) -- finalizers are called in between, and lost when there is no memory for that
arm()
pcall(life)
disarm()

if client then pcall(client.terminate, client) end
client = nil
if server then server:close(1001, "", 0) end
local over = loop:after(5, function() loop:stop() end)
for _ = 1, 200 do
  loop:step(0.002)
  collectgarbage()
  over:cancel()
  if not loop:step(0) then break end
  over = loop:after(5, function() loop:stop() end)
end
loop:close()
return "fine"
]]

function T:test_each_in_turn()
  local c = certs.get "both_uses"
  local text = script:format(c.cert, c.key, c.ca, certs.list("ca", {}))
  local result, info = probe.state(text)
  lu.assertEquals(result, "fine")
  lu.assertEquals({ info.failed, info.bytes, info.wrong }, { 0, 0, 0 })
  lu.assertTrue(info.calls > 100, info.calls)
  local step = math.max(1, info.calls // 60)
  for _, times in ipairs { 1, 3 } do
    for n = math.random(step), info.calls, step do
      local what = ("allocation %d of %d (%d times)"):format(n, info.calls, times)
      local state
      result, state = probe.state(text, n, times)
      lu.assertEquals(result, "fine", what)
      lu.assertEquals({ state.bytes, state.wrong }, { 0, 0 }, what)
    end
  end
end

-- When a state closes, finalizers run in the reverse order of making, and one of the user's may turn a loop whose
-- contexts are gone: it is sent on by TLS, and asks by TLS.
function T:test_a_loop_that_is_turned_while_its_state_closes()
  local c = certs.get "both_uses"
  local result, info = probe.state(([[
    local wsock = require "wsock"
    local loop = wsock.loop()
    local tls = { ca = %q, cert = %q, key = %q }
    local server = assert(wsock.listen { port = 0, loop = loop, onupgrade = function(request)
      request:reject(302, { Location = "wss://127.0.0.1:1/" })
    end })
    local url = ("ws://127.0.0.1:%%d/"):format(select(2, server:address()))
    GUARD = setmetatable({}, { __gc = function()
      for _ = 1, 1000 do
        if SOCKET.url ~= url then break end
        loop:step(0.01)
      end
      wsock.WebSocket("wss://127.0.0.1:1/", nil, { loop = loop, tls = tls })
    end })
    wsock.WebSocket("wss://127.0.0.1:1/", nil, { loop = loop, tls = tls }):terminate()
    for _ = 1, 3 do loop:step(0) end
    SOCKET = wsock.WebSocket(url, nil, { loop = loop, tls = tls, maxRedirects = 1 })
    return "fine"]]):format(c.ca, c.cert, c.key))
  lu.assertEquals(result, "fine")
  lu.assertEquals({ info.bytes, info.wrong }, { 0, 0 })
end

return T
