-- spec/interop/digest_spec.lua -- Digest: our client and what Apache's mod_auth_digest asks for (AU-10 to AU-15); curl
-- and what our server asks for (AU-14, AU-16).

local lu = require "luaunit"
local fronts = require "interop.fronts"
local files = require "support.files"
local peer = require "interop.peer"
local base = require "wsock.probe".base
local wsock = require "wsock"

local T = peer.class()

local MODULES = { "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest", "proxy",
  "proxy_http" }

local APACHE = [[
<Location />
  AuthType Digest
  AuthName "inner circle"
  AuthDigestProvider file
  AuthUserFile $folder/users
  Require valid-user
  ProxyPass http://127.0.0.1:$backend/ upgrade=websocket
</Location>
]]

-- Apache in front of an echo: its port, and the record of the echo.
function T:front()
  local folder = self:directory()
  local _, backend, record = peer.echo()
  files.write(folder .. "/users", ("ann:inner circle:%s\n"):format(base.hash(0, "ann:inner circle:open sesame")))
  assert(os.execute(("chmod 755 '%s' && chmod 644 '%s/users'"):format(folder, folder))) -- it reads it as another user
  return (fronts.apache(folder, APACHE, { backend = backend }, MODULES)), record
end

function T:test_apache_lets_us_in()
  local port = self:front()
  for _, row in ipairs {
    { "ann:open%20sesame@", nil }, { "", { "ann", "open sesame" } },
    { "", { "ann", "open sesame", scheme = "digest" } },
  } do
    local socket, record = peer.connect(("ws://%s127.0.0.1:%d/a/b?c=%%22"):format(row[1], port), nil, { auth = row[2] })
    record:wait "^open"
    socket:send "hello"
    record:wait "^text hello"
    socket:close()
    record:wait "^close 1005"
  end
end

function T:test_apache_keeps_others_out()
  local port, seen = self:front()
  for _, auth in ipairs { { "ann", "sesame" }, { "bob", "open sesame" }, { "ann", "open sesame", scheme = "basic" } } do
    local socket, record = peer.connect(("ws://127.0.0.1:%d/"):format(port), nil, { auth = auth })
    record:wait "^close 1006"
    lu.assertEquals(socket.response.status, 401)
  end
  lu.assertNil(seen:has "^open")
end

-- ---- curl and our server ---------------------------------------------------------------

-- A server that asks by these algorithms, with an echo behind it: its port.
local function asking(algorithms)
  local digest = wsock.digest { realm = 'the "inner" circle, Digest x=y', algorithms = algorithms,
    password = function(user) return user == "ann" and "open sesame" end }
  local server, port = peer.echo {
    verify = function(request)
      local user, why = digest:check(request)
      if user then return true end
      return digest:challenge(why)
    end,
    onrequest = function(request, response)
      local user, why = digest:check(request)
      if user then return response:send(200, nil, "hello " .. user) end
      response:send(select(2, digest:challenge(why)))
    end,
  }
  server:on("connection", function(socket) socket:send "first frame" end)
  return port
end

-- curl's command line for a path, with a password and more.
local function curl(port, path, password, ...)
  return { "curl", "--silent", "--show-error", "--include", "--no-buffer", "--max-time", "10", "--noproxy", "*",
    "--http1.1", "--digest", "--user", "ann:" .. password, ("http://127.0.0.1:%d%s"):format(port, path), ... }
end

local ALGORITHMS = { { "SHA-256" }, { "MD5" }, { "SHA-256", "MD5" } }

-- The head of each answer, in order.
local function statuses(output)
  local list = {}
  for status in output:gmatch "HTTP/1%.1 (%d+)" do list[#list + 1] = status end
  return table.concat(list, " ")
end

function T:test_curl_comes_in()
  for _, algorithms in ipairs(ALGORITHMS) do
    local port = asking(algorithms)
    local output = peer.run(curl(port, "/a%20b?c=%22d&e,f", "open sesame"))
    lu.assertEquals(statuses(output), "401 200")
    lu.assertStrContains(output, "hello ann")
    local child = peer.start(curl(port, "/chat?a=b", "open sesame", "--header", "Connection: Upgrade", "--header",
      "Upgrade: websocket", "--header", "Sec-WebSocket-Version: 13", "--header",
      "Sec-WebSocket-Key: Iv8io/9s+lYFgZWcXczP8Q=="))
    child:expect("first frame", 10, peer.pump)
    lu.assertEquals(statuses(child:output()), "401 101")
    child:stop()
  end
end

function T:test_curl_stays_outside()
  for _, algorithms in ipairs(ALGORITHMS) do
    lu.assertEquals(statuses((peer.run(curl(asking(algorithms), "/", "sesame")))), "401 401")
  end
end

return T
