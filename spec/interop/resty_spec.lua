-- spec/interop/resty_spec.lua -- wsock.resty beside lua-resty-websocket itself:
-- the same program in nginx, with Debian's copy of that library, and in plain
-- Lua with ours; what it was answered, line by line.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local files = require "support.files"
local fronts = require "interop.fronts"
local net = require "socket"
local peer = require "interop.peer"
local process = require "support.process"

local T = peer.class()

local MODULES = [[
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
]]

local NGINX = [[
  server {
    listen 127.0.0.1:$port;
    lua_socket_log_errors off;
    location /serve { content_by_lua_file $folder/nginx_serve.lua; }
    location /ask { content_by_lua_file $folder/nginx_ask.lua; }
    location /bare { content_by_lua_file $folder/nginx_bare.lua; }
  }
]]

-- What both are told first.
local PRELUDE = [[
local library = require "$module"
local function log(...)
  local list = {}
  for i = 1, select("#", ...) do list[i] = tostring((select(i, ...))) end
  local file = io.open("$log", "a")
  file:write(table.concat(list, "|"), "\n")
  file:close()
end
]]

local SERVE = PRELUDE .. [[
local wb, err = library:new { timeout = 100, max_payload_len = 300 }
if not wb then return log("new", err) end
local silent = 0
while true do
  local data, typ, more = wb:recv_frame()
  log("recv", data, typ, more, wb.fatal)
  if wb.fatal then break end
  if typ == "close" then
    log("close", (wb:send_close(more, data)))
    break
  elseif typ == "ping" then
    log("pong", (wb:send_pong(data)))
  elseif data == "big" then
    log("big", wb:send_text(("x"):rep(301)))
  elseif data == "long ping" then
    log("long ping", wb:send_ping(("x"):rep(126)))
  elseif data == "cut ping" then
    log("cut ping", wb:send_frame(false, 9, "x"))
  elseif data then
    log("sent", (wb:send_frame(more ~= "again", typ == "text" and 1 or typ == "binary" and 2 or 0, data)))
  elseif silent == 1 then
    log("1001", (wb:send_close(1001, "silence")))
    break
  else
    silent = 1
    log("ping", (wb:send_ping()))
  end
end
log "end"
]]

local ASK = PRELUDE .. [[
local function try(path, steps)
  local wb = library:new { timeout = 700, max_payload_len = 300 }
  log(path, (wb:connect("ws://127.0.0.1:$far" .. path, { protocols = "a", headers = { "X-A: 1" } })))
  steps(wb)
  log(path, wb:close())
  log(path, wb.fatal)
end
local function answer(bytes, err) log(bytes, err) end
local function frame(wb)
  local data, typ, more = wb:recv_frame()
  log("recv", data, typ, more, wb.fatal)
end
try("/frames", function(wb) for _ = 1, 6 do frame(wb) end end)
try("/echo", function(wb)
  answer(wb:send_text "hi")
  frame(wb)
  answer(wb:send_binary(("x"):rep(200)))
  frame(wb)
  answer(wb:send_ping "p")
  answer(wb:send_frame(false, 1, "a"))
  answer(wb:send_frame(true, 0, "b"))
  frame(wb)
  frame(wb)
  frame(wb) -- nothing comes in time
  answer(wb:send_close(1000, "done"))
  answer(wb:send_text "late")
  frame(wb)
  answer(wb:send_close())
  frame(wb)
end)
for _, send in ipairs {
  function(wb) return wb:send_text(("x"):rep(301)) end,
  function(wb) return wb:send_ping(("x"):rep(126)) end,
  function(wb) return wb:send_frame(false, 10, "x") end,
} do
  try("/echo", function(wb)
    log(send(wb))
    log(wb:send_text "x")
    frame(wb)
  end)
end
try("/big", frame)
try("/close", function(wb) frame(wb) answer(wb:send_close(1000)) end)
try("/drop", frame)
local wb = library:new()
log(wb:send_text "x")
frame(wb)
log(wb:close())
log(wb:set_keepalive(1, 1))
log(wb:connect "nonsense")
log "end"
]]

-- resty.websocket.protocol over a stream that has some bytes.
local BARE = PRELUDE .. [[
local function stream(input)
  local s = { sent = "" }
  function s.receive(_, n)
    if #input < n then return nil, "closed" end
    local data = input:sub(1, n)
    input = input:sub(n + 1)
    return data
  end
  function s.send(_, data)
    s.sent = s.sent .. data
    return #data
  end
  return s
end
local lines = {}
local function note(...)
  local list = {}
  for i = 1, select("#", ...) do list[i] = tostring((select(i, ...))) end
  lines[#lines + 1] = table.concat(list, "|")
end
local function hex(text)
  return text and (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) or "nil"
end
local seconds = { 0, 1, 2, 5, 125, 126, 127, 128, 129, 130, 133, 253, 254, 255 }
local lengths = { "", "\0", "\0\126", "\1\44", "\1\45", "\0\0\0\0\0\0\1\45", "\0\0\0\0\127\0\0\0",
  "\0\0\0\0\128\0\0\0", "\0\0\0\1\0\0\0\0", "\128\0\0\0\0\0\0\1" }
for first = 0, 255 do
  for _, second in ipairs(seconds) do
    for i, length in ipairs(lengths) do
      if i < 3 or second % 128 > 125 then
        local input = string.char(first, second) .. length .. ("\3\232ab"):rep(80)
        local data, typ, more = library.recv_frame(stream(input), 300, first % 2 == 0)
        note(first, second, i, hex(data), typ, more)
      end
    end
  end
end
for opcode = 0, 15 do
  for _, n in ipairs { 0, 2, 125, 126, 300, 65535, 65536 } do
    for _, fin in ipairs { true, false } do
      local payload = ("x"):rep(n)
      local frame = library.build_frame(fin, opcode, n, payload, false)
      note(opcode, n, fin, #frame, hex(frame:sub(1, 12)))
      note(#library.build_frame(fin, opcode, n, payload, true))
      local s = stream ""
      local bytes, err = library.send_frame(s, fin, opcode, payload, 65535, false)
      note(bytes, err, s.sent == frame)
    end
  end
end
note(library.build_frame(true, 1, 2147483648, "", false))
log(table.concat(lines, "\n"))
log "end"
]]

-- Writes a program for both.
function T:programs(name, text, values)
  values = values or {}
  local module = ({ serve = "server", ask = "client", bare = "protocol" })[name]
  local modules = { nginx = "nginx.websocket." .. module, ours = "wsock.resty." .. module }
  for who, path in pairs(modules) do
    values.module, values.log = path, ("%s/%s.log"):format(self.folder, who)
    files.write(("%s/%s_%s.lua"):format(self.folder, who, name), (text:gsub("$(%a+)", values)))
  end
end

function T:start_nginx()
  return (fronts.nginx(self.folder, NGINX, {}, MODULES))
end

function T:setUp() self:directory() end

-- What a log has once its program has ended.
function T:log(who)
  local path = ("%s/%s.log"):format(self.folder, who)
  local function read() return files.read(path) or "" end
  local ok = pcall(clock.wait, function() return read():find "end\n$" end, 10, peer.pump)
  lu.assertTrue(ok, who .. " did not end:\n" .. read())
  local text = read()
  os.remove(path)
  return text
end

local REQUEST = "GET /serve HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

-- Sends bytes to a server, waits for its program's end; the log, and what came
-- behind the head.
function T:play(who, port, input)
  local tcp = assert(net.connect("127.0.0.1", port))
  tcp:settimeout(0)
  tcp:send(REQUEST .. input)
  local log, got = self:log(who), ""
  peer.wait(function()
    local some, why, part = tcp:receive(65536)
    got = got .. (some or part)
    return why == "closed" or got:find "\r\n\r\n.*\x88"
  end)
  tcp:close()
  return log, got:match "\r\n\r\n(.*)"
end

local function frames(list)
  local parts = {}
  for i, f in ipairs(list) do
    f.mask = true
    parts[i] = bytes.frame(f)
  end
  return table.concat(parts)
end

local BYE = { op = "close", "\3\232bye" }

local SCENES = {
  talk = frames { { "hi" }, { op = "binary", "\0" }, { "" }, { ("x"):rep(126) }, BYE },
  fragments = frames { { fin = false, "a" }, { op = "ping", "p" }, { op = "continuation", "b" }, BYE },
  no_code = frames { { op = "pong", "" }, { op = "close", "" } },
  silence = "",
  big = frames { { "big" } },
  long_ping = frames { { "long ping" } },
  cut_ping = frames { { "cut ping" } },
  too_long = frames { { ("x"):rep(301) } },
  rsv = frames { { rsv = 4, "x" } },
  control_long = frames { { op = "ping", ("x"):rep(126) } },
  control_cut = frames { { op = "ping", fin = false, "x" } },
  unmasked = bytes.frame { "x" },
  close_short = frames { { op = "close", "x" } },
}

function T:test_server()
  self:programs("serve", SERVE)
  local nginx = self:start_nginx()
  local ours = process.free_port()
  peer.start_lua { "-e", ([[
    local wsock = require "wsock"
    assert(wsock.resty.server.listen { port = %d, handler = loadfile "%s/ours_serve.lua" })
    wsock.run()
  ]]):format(ours, self.folder) }
  peer.wait(function() return peer.listens(ours) end, "our server")
  for name, input in pairs(SCENES) do
    local log, wire = self:play("nginx", nginx, input)
    local mine, sent = self:play("ours", ours, input)
    lu.assertEquals(mine, log, name)
    if not log:find "true\n" then bytes.equals(sent, wire, name) end -- not fatal: the same bytes
  end
end

-- What a program logs here, and in nginx.
function T:both(name)
  peer.start { "curl", "--silent", "--noproxy", "*", ("http://127.0.0.1:%d/%s"):format(self:start_nginx(), name) }
  local theirs = self:log "nginx"
  peer.start_lua { ("%s/ours_%s.lua"):format(self.folder, name) }
  return self:log "ours", theirs
end

-- What the other side of a client does, by path.
local function far_side(socket, request)
  local path = request.path
  if path == "/frames" then
    socket:sendFrame("Hel", "text", false)
    socket:sendFrame("p", "ping")
    socket:sendFrame("lo", "continuation")
    socket:sendFrame("\xff", "binary")
    socket:sendFrame("", "pong")
  elseif path == "/big" then
    socket:sendFrame(("x"):rep(301), "text")
  elseif path == "/close" then
    socket:sendFrame("\x0b\xb8why", "close")
  elseif path == "/drop" then
    return socket:terminate()
  end
  for data, kind, final in socket:messages() do
    if kind == "close" then
      socket:close(1000, "seen")
    elseif path == "/echo" and kind ~= "ping" then
      socket:sendFrame(data, kind, final)
    end
  end
end

function T:test_client()
  local _, far = peer.listen { frames = true, protocols = { "a" }, onconnection = far_side, pingInterval = 0 }
  self:programs("ask", ASK, { far = far })
  lu.assertEquals(self:both "ask")
end

function T:test_protocol()
  self:programs("bare", BARE)
  local mine, theirs = self:both "bare"
  lu.assertTrue(select(2, theirs:gsub("\n", "")) > 10000)
  if mine == theirs then return end
  local lines = mine:gmatch "[^\n]*"
  for line in theirs:gmatch "[^\n]*" do lu.assertEquals(lines(), line) end
end

return T
