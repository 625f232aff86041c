-- bind/lua_client: which proxy: the option, or the environment's (RP-13).

local lu = require "luaunit"
local clock = require "support.clock"
local forward = require "support.forward"
local process = require "support.process"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = {}

function T:setUp() self.rig = rigs.new() end
function T:tearDown()
  if self.child then self.child:stop() end
  self.rig:close()
end

function T:test_what_the_option_may_be()
  local function says(value, words)
    lu.assertErrorMsgContains("option 'proxy' " .. words, wsock.WebSocket, "ws://h/", nil, { proxy = value })
  end
  for _, bad in ipairs { true, 1, {}, print } do says(bad, "must be a URL or false, got") end
  says("", "is no URL of a proxy: the URL has no host")
  says("ws://h", "is no URL of a proxy: the scheme is none of http, https, socks5, socks5h")
  says("http://h/x", "is no URL of a proxy: a proxy's URL has no path")
  says("http://a\r\nX: y", "is no URL of a proxy: ")
  says("http://a%0D%0A:b@h", "is no URL of a proxy: the user has a control character")
  says("socks5://" .. ("u"):rep(256) .. "@h", "is no URL of a proxy: user or password is longer than 255 bytes")
end

-- A client in a process with these variables; prints what became of it.
local script = [[
local wsock = require "wsock"
local proxy = arg[2]
if proxy == "false" then proxy = false end
local socket = wsock.WebSocket(arg[1], nil, { proxy = proxy, handshakeTimeout = 5 })
socket.onopen = function() print "open" socket:close() end
socket.onerror = function(event) print(event.code, event.message) end
wsock.run()
]]

function T:outcome(url, env, option)
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(script)
  f:close()
  for _, name in ipairs { "ws_proxy", "http_proxy", "all_proxy", "no_proxy", "WS_PROXY", "HTTP_PROXY", "ALL_PROXY",
    "NO_PROXY", "REQUEST_METHOD" } do
    env[name] = env[name] or ""
  end
  if env.REQUEST_METHOD == "" then env.REQUEST_METHOD = nil end
  self.child = process.start_lua { path, url, option, env = env }
  clock.wait(function() return self.child:code() end, 10, function() self.rig:turn() end)
  local output = self.child:output()
  self.child:stop()
  os.remove(path)
  return (output:gsub("%s+$", ""))
end

function T:test_the_environment()
  local _, _, port = self.rig:listen {}
  local url = ("ws://target.spec:%d/"):format(port)
  local proxy = forward.new(self.rig, { names = { ["target.spec"] = "127.0.0.1" }, user = "u:p" })
  local at = "http://u:p@" .. proxy.where
  for i, env in ipairs { { ws_proxy = at }, { http_proxy = at }, { ALL_PROXY = at }, { HTTP_PROXY = at },
    { http_proxy = at, no_proxy = "other.spec" } } do
    lu.assertEquals(self:outcome(url, env), "open")
    lu.assertEquals(#proxy.heads, i)
  end
  for _, row in ipairs {
    { { http_proxy = at, no_proxy = ".spec" } }, { { HTTP_PROXY = at, REQUEST_METHOD = "GET" } },
    { { http_proxy = at }, "false" },
  } do
    lu.assertStrMatches(self:outcome(url, row[1], row[2]), "EAI_%u+\tresolve target%.spec: .*") -- went there directly
  end
  lu.assertEquals(self:outcome(url, { http_proxy = "http://127.0.0.1:1" }, at), "open") -- the option goes first
  lu.assertEquals(self:outcome(("ws://127.0.0.1:%d/"):format(port), { all_proxy = "http://127.0.0.1:1" }), "open")
end

-- The environment is not the program's mistake: it is told, with no word of a
-- password, and nothing goes past the proxy that somebody wanted.
function T:test_an_environment_that_makes_no_sense()
  local _, _, port = self.rig:listen {}
  lu.assertEquals(self:outcome(("ws://target.spec:%d/"):format(port), { http_proxy = "socks4://u:secret@h" }),
    "PROXY\thttp_proxy of the environment: the scheme is none of http, https, socks5, socks5h")
end

return T
