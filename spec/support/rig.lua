-- spec/support/rig.lua -- a loop of its own, and raw TCP peers to misbehave.
--
-- M.class() is a class of specs each of whose tests has a rig: made in setUp,
-- closed in tearDown. Our sockets live in its loop; the far side is plain
-- LuaSocket in the same process, which moves whenever the rig waits. Nothing a
-- test has begun outlives rig:close().

local lu = require "luaunit"
local luasocket = require "socket"
local wsock = require "wsock"
local bytes = require "support.bytes"
local clock = require "support.clock"
local process = require "support.process"
local codec = require "wsock.core".codec

local Rig, Raw, Record = {}, {}, {}
Rig.__index, Raw.__index, Record.__index = Rig, Raw, Record

local M = { LIMIT = clock.LIMIT }

--- A rig; backend nil is the environment's choice.
function M.new(backend)
  local rig = setmetatable({ begun = {}, errors = {} }, Rig)
  rig.loop = wsock.loop { backend = backend }
  rig.loop.onerror = function(message, traceback, socket)
    rig.errors[#rig.errors + 1] = { message, traceback, socket }
  end
  return rig
end

--- A class of specs whose tests have self.rig and its loop, self.loop; also(self)
--- adds to setUp what more they share.
function M.class(also)
  local T = {}
  function T:setUp()
    self.rig = M.new()
    self.loop = self.rig.loop
    if also then also(self) end
  end
  function T:tearDown() self.rig:close() end
  return T
end

local function try_close(thing)
  pcall(function() thing:close() end)
end

--- Ends all that a test has begun; fails if a handler raised and the test did
--- not say so by emptying rig.errors.
function Rig:close()
  for _, thing in ipairs(self.begun) do try_close(thing) end
  self.loop:close()
  for _, e in ipairs(self.errors) do lu.fail("a handler raised: " .. tostring(e[2])) end
end

--- To be closed at the end.
function Rig:keep(thing)
  self.begun[#self.begun + 1] = thing
  return thing
end

--- A folder that goes at the end.
function Rig:directory()
  local folder, remove = process.directory()
  self:keep { close = function() remove() end }
  return folder
end

-- ---- waiting -------------------------------------------------------------------

--- One turn of at most `seconds` (0.005).
function Rig:turn(seconds)
  return self.loop:step(seconds or 0.005)
end

--- Turns the loop until condition() is true; its value.
function Rig:wait(condition, what)
  local ok, value = pcall(clock.wait, condition, M.LIMIT, function() self:turn() end)
  if ok then return value end
  if type(what) == "function" then what = what() end
  error(("%s: %s"):format(what or "a condition", tostring(value)), 2)
end

--- Turns the loop n times without waiting: to see that nothing comes of it.
function Rig:idle(n)
  for _ = 1, n or 5 do self.loop:step(0.001) end
end

--- Turns the loop until it has nothing left to do.
function Rig:settle()
  self:wait(function() return not self.loop:step(0.005) end, "the loop's end")
end

-- ---- what our side sees ----------------------------------------------------------

--- Records a socket's events, one string each: "open", "text:hi", "ping:",
--- "error:TIMEOUT", "close:1006::false", each with the state if `states`.
function M.record(socket, states)
  local list = setmetatable({}, Record)
  local function add(...)
    list[#list + 1] = table.concat({ ... }, ":") .. (states and "@" .. socket.readyState or "")
  end
  socket:on("open", function() add "open" end)
  socket:on("message", function(data, kind) add(kind, data) end)
  socket:on("ping", function(data) add("ping", data) end)
  socket:on("pong", function(data) add("pong", data) end)
  socket:on("drain", function() add "drain" end)
  socket:on("error", function(message, code)
    list.message, list.code = message, code
    add("error", tostring(code))
  end)
  socket:on("close", function(code, reason, clean)
    list.closed = true
    add("close", tostring(code), reason, tostring(clean))
  end)
  return list
end
M.Record = Record

function Record:__tostring() return table.concat(self, " ") end

--- The last one.
function Record:last() return self[#self] end

--- Waits for the close event of a record.
function Rig:closed(record)
  return self:wait(function() return record.closed end, function() return "no close, but: " .. tostring(record) end)
end

--- What a record has after "open", as one string.
function M.after_open(record)
  lu.assertEquals(record[1], "open")
  return table.concat(record, " ", 2)
end

--- Waits until a record has n entries.
function Rig:events(record, n)
  return self:wait(function() return #record >= n end, function() return "only: " .. tostring(record) end)
end

--- Sends to a peer that has left, until something cannot be sent: it waits then,
--- or that was the end.
function Rig:send_in_vain(socket, record)
  self:wait(function()
    if record.closed then return true end
    socket:send "x"
    self:turn()
    return socket.bufferedAmount > 0
  end, "all of it is sent")
end

-- ---- raw peers -------------------------------------------------------------------

local function raw(rig, sock)
  sock:settimeout(0)
  sock:setoption("tcp-nodelay", true)
  return rig:keep(setmetatable({ sock = sock, rig = rig, got = "" }, Raw))
end

--- A plain listening socket: its port and url, and accept().
function Rig:raw_server(host, backlog)
  local ip = host or "127.0.0.1"
  local sock = ip:find ":" and luasocket.tcp6() or luasocket.tcp4()
  sock:setoption("reuseaddr", true)
  assert(sock:bind(ip, 0))
  assert(sock:listen(backlog or 64))
  sock:settimeout(0)
  local _, port = sock:getsockname()
  local server = { sock = sock, port = math.tointeger(tonumber(port)), rig = self }
  server.url = ("ws://%s:%d/"):format(ip:find ":" and "[" .. ip .. "]" or ip, server.port)
  function server.close() sock:close() end
  --- Waits for a connection.
  function server:accept()
    return raw(self.rig, self.rig:wait(function() return (sock:accept()) end, "no connection"))
  end
  --- The same, and answers its request with 101 and further lines.
  function server:welcome(...)
    local peer = self:accept()
    peer:welcome(...)
    return peer
  end
  --- Accepts and welcomes a client that lives in another rig.
  function server:raw_accept(theirs)
    local peer
    theirs:wait(function()
      local accepted = sock:accept()
      peer = accepted and raw(theirs, accepted)
      return peer
    end, "no connection")
    peer:welcome()
    theirs:idle()
    peer.rig = self.rig
    return peer
  end
  return self:keep(server)
end

--- A port that refuses: it is taken, and nobody listens.
function Rig:dead_port()
  local sock = self:keep(luasocket.tcp4())
  assert(sock:bind("127.0.0.1", 0))
  local _, port = sock:getsockname()
  return math.tointeger(tonumber(port))
end

--- A plain connection to a port of ours, handshake and all unless `bare`; from
--- another address of this machine's if need be.
function Rig:raw_client(port, bare, from)
  local sock = luasocket.tcp4()
  sock:settimeout(M.LIMIT)
  if from then assert(sock:bind(from, 0)) end
  assert(sock:connect("127.0.0.1", port))
  local peer = raw(self, sock)
  peer.masks = true
  if not bare then
    peer:send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    peer.response = peer:head()
  end
  return peer
end

-- Takes what has come.
function Raw:look()
  local data, why, part = self.sock:receive(1 << 20)
  self.got = self.got .. (data or part or "")
  if why == "closed" or why and why ~= "timeout" then self.ended = self.ended or why end
  return self.got
end

--- Sends all of it, turning the loop meanwhile.
function Raw:send(data)
  local at = 1
  if #data == 0 then return end
  self.rig:wait(function()
    local last, why, part = self.sock:send(data, at)
    at = (last or part) + 1
    assert(last or why == "timeout", why)
    return at > #data
  end, "the peer takes no more")
  return self
end

--- Sends a frame: {op = "text", "payload", ...}, see bytes.frame; masked if
--- this is a client.
function Raw:frame(t)
  if t.mask == nil then t.mask = self.masks end
  return self:send(bytes.frame(t))
end

--- Sends a Close frame.
function Raw:say_close(code, reason)
  return self:send(bytes.close(code, reason, self.masks))
end

--- Waits for a head, takes it.
function Raw:head()
  return self.rig:wait(function()
    local head, rest = self:look():match "^(.-\r\n\r\n)(.*)$"
    if head then self.got = rest end
    return head or self.ended and error("the peer has ended", 0)
  end, "no head")
end

--- Answers a request with 101.
function Raw:welcome(...)
  self.request = self:head()
  local key = self.request:match "Sec%-WebSocket%-Key: (%S+)"
  local lines = { "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: " .. codec.accept(key), ... }
  self:send(table.concat(lines, "\r\n") .. "\r\n\r\n")
end

--- Waits for a frame, takes it: see bytes.parse.
function Raw:take()
  return self.rig:wait(function()
    local frame, rest = bytes.parse(self:look())
    if frame then self.got = rest end
    return frame or self.ended and error("the peer has ended", 0)
  end, function() return "no frame in " .. bytes.hex(self.got) end)
end

--- Waits for a Close frame and whatever lies before it; its code and reason.
function Raw:take_close()
  local frame
  repeat frame = self:take() until frame.op == bytes.OP.close
  if #frame.payload == 0 then return nil, "" end
  return (">I2"):unpack(frame.payload), frame.payload:sub(3)
end

--- Waits for the far end to be closed; "closed", or what the system says.
function Raw:take_end()
  return self.rig:wait(function()
    self:look()
    return self.ended
  end, "the connection stays open")
end

--- Ends our direction.
function Raw:shut() self.sock:shutdown "send" end

--- Drops the connection with a reset.
function Raw:reset()
  self.sock:setoption("linger", { on = true, timeout = 0 })
  self.sock:close()
end

function Raw:close() self.sock:close() end

-- ---- our own sides ------------------------------------------------------------------

--- wsock.WebSocket in the rig's loop.
function Rig:client(url, protocols, options)
  local o = { loop = self.loop }
  for key, value in pairs(options or {}) do o[key] = value end
  return wsock.WebSocket(url, protocols, o)
end

--- A client connected to a raw peer: socket, record, peer.
function Rig:opened(options, ...)
  local server = self:raw_server()
  local socket = self:client(server.url, nil, options)
  local record = M.record(socket)
  local peer = server:welcome(...)
  self:wait(function() return socket.readyState == 1 end, "not open")
  return socket, record, peer
end

--- A client's life against a raw peer: fn(socket, peer, record) acts, then it
--- ends; what came after "open", and the peer.
function Rig:life(fn, options)
  local socket, record, peer = self:opened(options)
  fn(socket, peer, record)
  self:closed(record)
  self:settle() -- nothing is left, and nothing comes after close
  lu.assertEquals(socket.readyState, socket.CLOSED)
  return M.after_open(record), peer
end

--- wsock.listen in the rig's loop, and what it returns.
function Rig:try_listen(options)
  local o = { loop = self.loop }
  for key, value in pairs(options) do o[key] = value end
  local server, message, code = wsock.listen(o)
  if server then self:keep(server) end
  return server, message, code
end

--- The port of a server.
function M.port_of(server)
  local _, port = server:address()
  return port
end

--- The same on any free port unless told, and not to fail: server, url, port.
function Rig:listen(options)
  local o = { port = 0 }
  for key, value in pairs(options or {}) do o[key] = value end
  local server = assert(self:try_listen(o))
  local port = M.port_of(server)
  return server, ("ws://127.0.0.1:%d/"):format(port), port
end

--- A client and the server's socket for it: client, record, socket, record.
function Rig:pair(client_options, server_options)
  local far, far_record
  local o = { onconnection = function(socket) far, far_record = socket, M.record(socket) end }
  for key, value in pairs(server_options or {}) do o[key] = value end
  local server, url = self:listen(o)
  local near = self:client(url, nil, client_options)
  local record = M.record(near)
  self:wait(function() return far and near.readyState == 1 end, "no pair")
  return near, record, far, far_record, server
end

return M
