-- spec/support/forward.lua -- a forward proxy in the spec's own process: HTTP
-- CONNECT or SOCKS5, with or without a password, that notes what goes by.
--
-- It moves by a timer of the rig's loop, so its clients may be ours. Names are
-- looked up in `names`, where all that a spec wants to exist is listed.

local luasocket = require "socket"
local base64 = require "wsock.core".codec.base64

local M, Proxy = {}, {}
Proxy.__index = Proxy

-- One client of the proxy: a coroutine that asks for bytes by yielding.
local function serve(proxy, client)
  local self = { proxy = proxy, client = client, up = "", down = "", got = "" }
  client:settimeout(0)
  client:setoption("tcp-nodelay", true)

  function self.need(n)
    while #self.got < n do coroutine.yield() end
    local part = self.got:sub(1, n)
    self.got = self.got:sub(n + 1)
    return part
  end

  function self.head()
    while not self.got:find "\r\n\r\n" do coroutine.yield() end
    local head, rest = self.got:match "^(.-\r\n\r\n)(.*)$"
    self.got = rest
    return head
  end

  function self.connect(host, port)
    local known = proxy.names[host] or host
    local address, other = known:match "^([%d.]+):(%d+)$"
    local far = luasocket.tcp()
    far:settimeout(2)
    if not far:connect(address or known, other or port) then
      far:close()
      return false
    end
    far:settimeout(0)
    far:setoption("tcp-nodelay", true)
    self.far = far
    return true
  end

  return self
end

local speak = {}

function speak.http(self)
  local head = self.head()
  self.proxy.heads[#self.proxy.heads + 1] = head
  local host, port = head:match "^CONNECT %[?(.-)%]?:(%d+) HTTP/1.1\r\n"
  local user = self.proxy.user
  if not host then
    self.down = "HTTP/1.1 400 Bad Request\r\n\r\n"
  elseif user and not head:find("\r\nProxy-Authorization: Basic " .. base64.encode(user) .. "\r\n", 1, true) then
    self.down = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"spec\"\r\n\r\n"
  elseif self.proxy.digest and not head:find "\r\nProxy%-Authorization: Digest " then
    self.down = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"spec\", nonce=\"n\", algorithm=SHA-256, "
      .. "qop=\"auth\"\r\nConnection: close\r\n\r\nwho are you?"
  elseif not self.connect(host, tonumber(port)) then
    self.down = "HTTP/1.1 502 Bad Gateway\r\n\r\n"
  else
    self.down = self.proxy.answer or "HTTP/1.0 200 Connection established\r\n\r\n"
  end
end

function speak.socks(self)
  local need, user = self.need, self.proxy.user
  local n = need(2):byte(2)
  local ways = need(n)
  self.down = user and (ways:find "\2" and "\5\2" or "\5\xff") or "\5\0"
  if user and not ways:find "\2" then return end
  if user then
    local name = need(need(2):byte(2))
    local word = need(need(1):byte())
    local right = name .. ":" .. word == user
    self.down = self.down .. (right and "\1\0" or "\1\1")
    if not right then return end
  end
  local kind = need(4):byte(4)
  local host
  if kind == 3 then
    host = need(need(1):byte())
  elseif kind == 1 then
    host = ("%d.%d.%d.%d"):format(need(4):byte(1, 4))
  else
    host = ("%x:%x:%x:%x:%x:%x:%x:%x"):format((">I2I2I2I2I2I2I2I2"):unpack(need(16)))
  end
  local port = (">I2"):unpack(need(2))
  self.proxy.heads[#self.proxy.heads + 1] = host .. ":" .. port
  self.down = self.down .. (self.connect(host, port) and "\5\0\0\1\0\0\0\0\0\0" or "\5\5\0\1\0\0\0\0\0\0")
end

local function read(from)
  local data, why, part = from:receive(1 << 16)
  return data or part or "", why == "closed"
end

local function write(to, data)
  if data == "" then return data end
  local last, _, part = to:send(data)
  return data:sub((last or part or 0) + 1)
end

-- A step of one client; false: it is over.
local function step(self)
  local data, gone = read(self.client)
  self.got = self.got .. data
  if coroutine.status(self.talk) ~= "dead" then
    assert(coroutine.resume(self.talk, self))
  end
  self.down = write(self.client, self.down)
  if coroutine.status(self.talk) ~= "dead" then return not gone end
  if not self.far then
    if self.down == "" then self.client:shutdown "send" end
    return not gone
  end
  self.proxy.up = self.proxy.up .. self.got
  self.up, self.got = write(self.far, self.up .. self.got), ""
  if gone and self.up == "" then return false end
  local back, ended = read(self.far)
  self.proxy.down = self.proxy.down .. back
  self.down = write(self.client, self.down .. back)
  return not (ended and self.down == "")
end

local function close(self)
  self.client:close()
  if self.far then self.far:close() end
end

--- A proxy in the rig's loop: {kind = "http" or "socks", user = "name:password",
--- names = {name = address or "address:port"}, port = its own, answer = other words than 200's,
--- digest = true: it asks for Digest, closes, and then takes any}. Its fields: port,
--- where ("127.0.0.1:1234"), heads (what it was asked), up and down (what went
--- through it).
function M.new(rig, options)
  local proxy = setmetatable({ names = {}, heads = {}, up = "", down = "", clients = {} }, Proxy)
  for k, v in pairs(options or {}) do proxy[k] = v end
  local listener = assert(luasocket.bind("127.0.0.1", proxy.port or 0))
  listener:settimeout(0)
  proxy.listener = listener
  proxy.port = math.tointeger(tonumber((select(2, listener:getsockname()))))
  proxy.where = "127.0.0.1:" .. proxy.port
  proxy.timer = rig.loop:every(0.002, function() proxy:turn() end)
  return rig:keep(proxy)
end

function Proxy:turn()
  local client = self.listener:accept()
  if client then
    local one = serve(self, client)
    one.talk = coroutine.create(speak[self.kind or "http"])
    self.clients[#self.clients + 1] = one
  end
  for i = #self.clients, 1, -1 do
    if not step(self.clients[i]) then close(table.remove(self.clients, i)) end
  end
end

function Proxy:close()
  self.timer:cancel()
  self.listener:close()
  for _, one in ipairs(self.clients) do close(one) end
  self.clients = {}
end

return M
