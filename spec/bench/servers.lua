-- spec/bench/servers.lua -- the programs of the benchmark: built, started, ended.
--
-- Every server prints "port N" and is started when it is first asked for, on
-- the first core; the load runs on the second.  All end by pid.

local process = require "support.process"
local clock = require "support.clock"

local M = {}

local root, build, bench
local cores = {}     -- {first, second}
local running = {}   -- by name
local hard_limit     -- descriptors a process may have

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  return text, pipe:close()
end

local quote = process.quote

-- ---- building --------------------------------------------------------------------

local warnings = "-Wall -Wextra -Wshadow -Wconversion"

-- Sources, and "-l..." what is linked.
local function compile(name, ...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = word:find "^-l" and word or quote(root .. "/" .. word) end
  local text, ok = shell(("%s -std=c11 -D_GNU_SOURCE -O2 %s -I%s -o %s %s"):format(os.getenv "CC" or "cc",
    warnings, quote(root .. "/csrc"), quote(bench .. "/" .. name), table.concat(words, " ")))
  if not ok then error("cannot build " .. name .. ":\n" .. text, 0) end
end

-- "0-2,5" to the first two numbers of it.
local function find_cores()
  local text = shell "taskset -pc $$":match "([%d,-]+)%s*$" or ""
  for first, last in text:gmatch "(%d+)%-?(%d*)" do
    for core = first, last == "" and first or last do cores[#cores + 1] = math.tointeger(core) end
  end
end

local spinners = {}

-- A core that sleeps between two messages takes long to wake, the more so in
-- a virtual machine: something of the lowest priority keeps both awake.  It
-- ends by itself after some minutes of CPU, should we not come to end it.
local function spin()
  for i = 1, math.min(#cores, 2) do
    spinners[i] = process.start { "sh", "-c",
      "ulimit -t 900; exec taskset -c " .. cores[i] .. " chrt --idle 0 sh -c 'while :; do :; done'" }
  end
end

-- A key and a certificate for everybody who speaks TLS here.
local function certify()
  local text, ok = shell(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 "
    .. "-subj /CN=localhost -keyout %s/key.pem -out %s/cert.pem"):format(quote(bench), quote(bench)))
  if not ok then error("cannot make a certificate:\n" .. text, 0) end
end

--- Builds what is in C; root is the project's, build_dir has wsock/core.so.
function M.open(root_dir, build_dir)
  root, build = root_dir, build_dir
  bench = build .. "/bench"
  shell("mkdir -p " .. quote(bench))
  compile("load", "spec/bench/load.c", "spec/bench/ring.c", "spec/bench/secure.c", "spec/bench/packed.c",
    "spec/bench/options.c", "spec/bench/usage.c", "-lssl", "-lcrypto", "-lz")
  compile("raw", "spec/bench/raw.c")
  compile("micro", "spec/bench/micro.c", "spec/bench/ring.c", "csrc/base/mask.c", "csrc/base/utf8.c", "-lz")
  package.cpath = build .. "/?.so;" .. package.cpath
  certify()
  find_cores()
  hard_limit = tonumber((shell "ulimit -Hn")) or math.huge
  spin()
end

--- One line about the machine.
function M.describe()
  local cpuinfo = io.open "/proc/cpuinfo"
  local model = cpuinfo and cpuinfo:read "a":match "model name%s*:%s*([^\n]+)" or "?"
  if cpuinfo then cpuinfo:close() end
  local where = #cores > 1 and ("server on core %d, load on core %d"):format(cores[1], cores[2])
    or "server and load on one core"
  return model .. ", " .. where
end

--- As many connections, up to that number, as descriptors allow.
function M.most_connections(wanted)
  return math.tointeger(math.min(wanted, hard_limit - 100))
end

-- ---- servers ---------------------------------------------------------------------

-- A program of this directory; with words, TLS's certificate among them.
local function lua(name, ...) return { lua = true, root .. "/spec/bench/" .. name .. ".lua", ... } end
local function lua_tls(name) return lua(name, bench .. "/cert.pem", bench .. "/key.pem") end

local node_program = [[
const { WebSocketServer } = require("ws"), fs = require("fs");
const [cert, key] = process.argv.slice(1).map(name => fs.readFileSync(name));
const http = cert ? require("https").createServer({ cert, key }) : require("http").createServer();
const perMessageDeflate = process.env.DEFLATE ? { threshold: 0 } : false;
const server = new WebSocketServer({ server: http, maxPayload: 16 << 20, perMessageDeflate });
server.on("connection", s => s.on("message", (data, binary) => s.send(data, { binary })));
http.listen(0, "127.0.0.1", 511, () => console.log("port " + http.address().port));
]]

local function node(...)
  return { env = { NODE_PATH = root .. "/build/node/node_modules" }, "node", "-e", node_program, ... }
end

local function node_packed()
  local command = node()
  command.env.DEFLATE = "1"
  return command
end

local nginx_modules = "/usr/lib/nginx/modules/"
local nginx_program = [[
load_module MODULES/ndk_http_module.so;
load_module MODULES/ngx_http_lua_module.so;
worker_processes 1; daemon off; master_process off; pid DIR/pid; error_log DIR/log crit;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
  access_log off; lua_socket_log_errors off;
  client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c; uwsgi_temp_path DIR/d;
  scgi_temp_path DIR/e;
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location / { content_by_lua_block {
      local server = require "nginx.websocket.server"
      local ws = assert(server:new { timeout = 60000, max_payload_len = 2097152 })
      while true do
        local data, kind = ws:recv_frame()
        if kind == "text" then ws:send_text(data)
        elseif kind == "binary" then ws:send_binary(data)
        else break end
      end
    } }
  }
}
]]

local function exists(path)
  local f = io.open(path)
  if f then f:close() end
  return f ~= nil
end

local function nginx(port)
  local conf = bench .. "/nginx.conf"
  local f = assert(io.open(conf, "w"))
  f:write((nginx_program:gsub("%u%u%u+", { MODULES = nginx_modules, DIR = bench, PORT = port })))
  f:close()
  return { "nginx", "-p", os.getenv "PWD" .. "/", "-c", conf, "-e", bench .. "/log" }
end

local programs = {
  echo = function() return lua "echo" end,
  broadcast = function() return lua "broadcast" end,
  idle = function() return lua "idle" end,
  straight = function() return lua "straight" end,
  echo_tls = function() return lua_tls "echo" end,
  idle_tls = function() return lua_tls "idle" end,
  packed = function() return lua "packed" end,
  packed_alone = function() return lua("packed", "alone") end,
  raw = function() return { bench .. "/raw" } end,
  -- OpenSSL's own server: shakes hands, and nothing else
  openssl = function(port)
    return { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-cert", bench .. "/cert.pem", "-key",
      bench .. "/key.pem", "-quiet", "-num_tickets", "1", "-no_cache", stdin = true }
  end,
  node = node,
  node_packed = node_packed,
  node_tls = function() return node(bench .. "/cert.pem", bench .. "/key.pem") end,
  nginx = nginx,
}

-- These must be told their port.
local told = { nginx = true, openssl = true }

--- The names of other servers that are installed, or of those that speak "tls" here, or are "packed".
function M.peers(what)
  local names = {}
  if exists(root .. "/build/node/node_modules/ws/package.json") then names[1] = what and "node_" .. what or "node" end
  if what then return names end
  if exists(nginx_modules .. "ngx_http_lua_module.so") then names[#names + 1] = "nginx" end
  return names
end

-- Puts `words` (a table) in front of a command.
local function pinned(command)
  local t = { "sh", "-c", "ulimit -n $(ulimit -Hn); exec \"$@\"", "sh", env = command.env, stdin = command.stdin }
  if #cores > 1 then table.move({ "taskset", "-c", tostring(cores[1]) }, 1, 3, 5, t) end
  return table.move(command, 1, #command, #t + 1, t)
end

local function listens(port)
  local f = assert(io.open "/proc/net/tcp")
  local text = f:read "a"
  f:close()
  return text:find(("0100007F:%04X 00000000:0000 0A"):format(port), 1, true)
end

local function start(name)
  local port = told[name] and process.free_port()
  local command = programs[name](port)
  if command.lua then
    table.insert(command, 1, arg[-1] or "lua5.4")
    command.env = { LUA_PATH_5_4 = package.path, LUA_CPATH_5_4 = package.cpath }
  end
  local server = process.start(pinned(command))
  if port then
    clock.wait(function() return listens(port) end, 10)
  else
    port = server:expect "port (%d+)"
  end
  server.port = port
  return server
end

--- The running server of that name, or a fresh one, which is the caller's.
function M.get(name, fresh)
  if fresh then return start(name) end
  running[name] = running[name] or start(name)
  return running[name]
end

-- What has the lowest priority may not even find the time to die.
local function end_spinners()
  for _, p in ipairs(spinners) do
    shell(("chrt --other -p 0 %d"):format(p.pid))
    pcall(p.stop, p)
  end
end

--- Ends all that run.
function M.close()
  end_spinners()
  for name, server in pairs(running) do
    running[name] = nil
    server:stop()
  end
end

-- ---- load ------------------------------------------------------------------------

local function on_second_core(command)
  return cores[2] and ("exec taskset -c %d %s"):format(cores[2], command) or "exec " .. command
end

--- What the load printed, measuring that server.
function M.load(server, options)
  return (shell(on_second_core(("%s port=%d pid=%d %s"):format(quote(bench .. "/load"), server.port, server.pid,
    options))))
end

--- What micro printed: name to GB/s.
function M.micro()
  local results = {}
  for name, value in shell(on_second_core(quote(bench .. "/micro"))):gmatch "(%S+) (%S+)\n" do
    results[name] = tonumber(value)
  end
  return results
end

return M
