-- spec/interop/digest_spec.lua -- our client and what Apache's mod_auth_digest asks for (AU-10 to AU-15).

local lu = require "luaunit"
local fronts = require "interop.fronts"
local files = require "support.files"
local peer = require "interop.peer"
local base = require "wsock.probe".base

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

return T
