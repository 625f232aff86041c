-- spec/interop/forward_spec.lua -- our client through other people's proxies:
-- squid and tinyproxy (CONNECT), microsocks (SOCKS5), each with and without a
-- password, and those that are reached over TLS (stunnel).

local lu = require "luaunit"
local certs = require "support.certs"
local files = require "support.files"
local fronts = require "interop.fronts"
local peer = require "interop.peer"
local process = require "support.process"

local T = peer.class()

-- ---- programs ------------------------------------------------------------------

local function write(path, text, values) files.write(path, (text:gsub("%$(%w+)", values or {}))) end

local SQUID = [[
http_port 127.0.0.1:$port
$access
cache deny all
access_log none
cache_log stdio:$folder/cache.log
pid_filename $folder/squid.pid
coredump_dir $folder
shutdown_lifetime 0 seconds
pinger_enable off
]]

local SQUID_PASSWORD = [[
auth_param basic program /usr/lib/squid/basic_ncsa_auth $folder/users
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
]]

local SQUID_DIGEST = SQUID_PASSWORD:gsub("auth_param[^\n]+",
  "auth_param digest program /usr/lib/squid/digest_file_auth $folder/plain\nauth_param digest realm a lan")

local TINYPROXY = [[
Port $port
Listen 127.0.0.1
Timeout 60
LogLevel Error
MaxClients 20
Allow 127.0.0.1
$access
]]

-- Each starts on a port, in a folder, with or without "ann:sesame".
local start = {}

function start.squid(port, folder, password, how)
  local access = password and (how or SQUID_PASSWORD):gsub("%$folder", folder) or "http_access allow all"
  local hash = process.run { "openssl", "passwd", "-apr1", "sesame" }
  write(folder .. "/users", "ann:" .. hash)
  write(folder .. "/plain", "ann:sesame\n")
  write(folder .. "/squid.conf", SQUID, { port = port, folder = folder, access = access })
  os.execute("chmod -R a+rwX " .. folder) -- it becomes the user proxy
  return { "squid", "-N", "-f", folder .. "/squid.conf" }
end

function start.squid_by_digest(port, folder, password) return start.squid(port, folder, password, SQUID_DIGEST) end

function start.squid_that_closes(port, folder, password)
  return start.squid(port, folder, password, SQUID_DIGEST .. "client_persistent_connections off\n")
end

function start.tinyproxy(port, folder, password)
  write(folder .. "/tiny.conf", TINYPROXY, { port = port, access = password and "BasicAuth ann sesame" or "" })
  return { "tinyproxy", "-d", "-c", folder .. "/tiny.conf" }
end

function start.microsocks(port, _, password)
  local command = { "microsocks", "-i", "127.0.0.1", "-p", tostring(port) }
  if password then
    for _, word in ipairs { "-u", "ann", "-P", "sesame" } do command[#command + 1] = word end
  end
  return command
end

local scheme = { squid = "http", squid_by_digest = "http", squid_that_closes = "http",
  tinyproxy = "http", microsocks = "socks5" }

function T:setUp() self:directory() end

-- A proxy of that kind: "127.0.0.1:port".
function T:proxy(kind, password)
  local _, port = peer.start_listening(function(free) return start[kind](free, self.folder, password) end)
  return ("127.0.0.1:%d"):format(port)
end

-- ---- the tests ------------------------------------------------------------------

local function echo(url, proxy)
  local socket, record = peer.connect(url, nil, { proxy = proxy, tls = { ca = certs.get("good").ca } })
  record:wait "^open"
  socket:send "hello"
  record:wait "^text hello"
  socket:send(("x"):rep(200000), "binary")
  record:wait "^binary"
  socket:close(1000, "bye")
  record:wait "^close 1000 bye clean"
end

local function refused(url, proxy, words)
  local message
  local socket, record = peer.connect(url, nil, { proxy = proxy })
  socket:on("error", function(m) message = m end)
  record:wait "^close 1006"
  lu.assertTrue(record:has "^error PROXY" ~= nil, tostring(record))
  lu.assertStrContains(message, words)
end

local function urls()
  local good = certs.get "good"
  local _, plain = peer.echo_of_localhost()
  local _, secure = peer.echo_of_localhost { tls = { cert = good.cert, key = good.key } }
  return { ("ws://localhost:%d/"):format(plain), ("wss://localhost:%d/"):format(secure),
    ("ws://127.0.0.1:%d/"):format(plain) }
end

for kind in pairs(scheme) do
  T["test_" .. kind] = function(self)
    local at = scheme[kind] .. "://" .. self:proxy(kind)
    for _, url in ipairs(urls()) do echo(url, at) end
    refused(("ws://127.0.0.1:%d/"):format(process.free_port()), at, scheme[kind] == "http" and ": 50" or "refused")
  end

  T["test_" .. kind .. "_with_a_password"] = function(self)
    local where = self:proxy(kind, true)
    local list = urls()
    for _, url in ipairs(list) do echo(url, scheme[kind] .. "://ann:sesame@" .. where) end
    local http = scheme[kind] == "http"
    refused(list[1], scheme[kind] .. "://" .. where, http and "407" or "the proxy wants authentication")
    refused(list[1], scheme[kind] .. "://ann:wrong@" .. where, http and "4" or "user or password is wrong")
  end
end

-- The proxy's certificate is checked, by the proxy's name.
function T:test_a_proxy_over_tls()
  self:over_tls "tinyproxy"
end

function T:test_a_proxy_over_tls_that_closes()
  self:over_tls "squid_that_closes"
end

function T:over_tls(kind)
  local good = certs.get "good"
  local backend = self:proxy(kind, true):match ":(%d+)$"
  local port = fronts.stunnel(self.folder, { backend = backend, cert = good.cert, key = good.key })
  for _, url in ipairs(urls()) do
    echo(url, ("https://ann:sesame@localhost:%d"):format(port))
    local message
    local socket, record = peer.connect(url, nil, { proxy = ("https://ann:sesame@localhost:%d"):format(port) })
    socket:on("error", function(m) message = m end) -- without our authority
    record:wait "^close 1006"
    lu.assertTrue(record:has "^error TLS" ~= nil, tostring(record))
    lu.assertStrContains(message, "TLS handshake with localhost")
  end
end

return T
