-- spec/interop/fronts.lua -- what people put in front of a server: nginx,
-- haproxy, stunnel and Apache, each in a folder of the spec's and with its configuration.

local files = require "support.files"
local peer = require "interop.peer"

local M = {}

-- What every nginx here begins with; nothing of it outside of its folder.
local NGINX = [[
worker_processes 1; daemon off; master_process off;
pid $folder/nginx.pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $folder/body; proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi; uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
]]

local HAPROXY = [[
global
  maxconn 200
defaults
  mode http
  retries 0
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  timeout tunnel 20s
]]

local STUNNEL = [[
foreground = yes
pid =
[front]
accept = 127.0.0.1:$port
connect = 127.0.0.1:$backend
cert = $cert
key = $key
]]

local APACHE = [[
ServerName localhost
Listen 127.0.0.1:$port
ServerRoot $folder
DefaultRuntimeDir $folder
PidFile $folder/apache.pid
ErrorLog /dev/stderr
Mutex pthread default
User daemon
Group daemon
]]

-- Starts a program on a free port and with a configuration, in which $name
-- stands for values.name: its port, its process. peer.cleanup ends it.
local function start(name, folder, conf, values, words)
  local path = folder .. "/" .. name .. ".conf"
  local child, port = peer.start_listening(function(free)
    local known = { folder = folder, port = free }
    for k, v in pairs(values) do known[k] = v end
    files.write(path, (conf:gsub("%$(%a+)%f[^%w_]", known)))
    local command = { name, table.unpack(words) }
    command[#command + 1] = path
    command.env = { PATH = os.getenv "PATH" .. ":/usr/sbin" }
    return command
  end)
  return port, child
end

--- nginx with servers, what stands within its http { }. $connection_upgrade is
--- what a server behind it gets as Connection; modules come first.
function M.nginx(folder, servers, values, modules)
  return start("nginx", folder, (modules or "") .. NGINX .. servers .. "}\n", values, { "-p", folder, "-c" })
end

--- haproxy with these frontends and backends.
function M.haproxy(folder, ends, values)
  return start("haproxy", folder, HAPROXY .. ends, values, { "-db", "-f" })
end

--- stunnel: speaks TLS with values.cert and .key, plainly to values.backend.
function M.stunnel(folder, values)
  return start("stunnel", folder, STUNNEL, values, {})
end

--- Apache with these directives; modules: names of those it loads.
function M.apache(folder, directives, values, modules)
  local load = {}
  for i, name in ipairs(modules) do
    load[i] = ("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n"):format(name, name)
  end
  return start("apache2", folder, table.concat(load) .. APACHE .. directives, values, { "-DFOREGROUND", "-f" })
end

return M
