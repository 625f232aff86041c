-- spec/examples/tcp_client.lua -- wsock.protocol over a socket of LuaSocket's:
-- what wants bytes and time, and where they come from.
--
--   lua5.4 tcp_client.lua ws://127.0.0.1:8080/ word...
--
-- Sends each word as a message, prints as many answers, closes.

local wsock = require "wsock"
local net = require "socket"

local url = arg[1] or "ws://127.0.0.1:8080/"
local host, port = url:match "^ws://([^/:]+):?(%d*)"
if not host then error("not a ws: URL: " .. url) end

local tcp = assert(net.connect(host, port == "" and 80 or tonumber(port)))
tcp:settimeout(0) -- select waits, reading and writing do not

local conn = wsock.protocol.client(url, { now = net.gettime() })
local missing = #arg - 1 -- answers

local on = {}

function on.open()
  for i = 2, #arg do conn:send(arg[i]) end
  if missing <= 0 then conn:close(1000) end
end

function on.message(data)
  print(data)
  missing = missing - 1
  if missing == 0 then conn:close(1000) end
end

function on.error(message) io.stderr:write(message, "\n") end

function on.close(code, reason) print("closed", code, reason) end

local rest = "" -- output that the system has not taken yet
local shut = false

local function write()
  local last, err, partly = tcp:send(rest)
  rest = rest:sub((last or partly) + 1)
  if err == "closed" then conn:closed() end
end

local function read()
  local bytes, err, partly = tcp:receive(65536)
  bytes = bytes or partly
  if bytes ~= "" then conn:feed(bytes) end
  if err == "closed" then conn:eof() elseif err and err ~= "timeout" then conn:closed() end
end

local function hear()
  for name, a, b, c in conn.next, conn do
    if on[name] then on[name](a, b, c) end
  end
end

repeat
  if rest == "" then rest = conn:output(65536) end
  local readable, writable = net.select(
    conn:want "read" and { tcp } or nil, rest ~= "" and { tcp } or nil, conn:timeout())
  if writable[tcp] then write() end
  if readable[tcp] then read() end
  conn:tick(net.gettime())
  hear()
  if conn:want "shutdown" and rest == "" and not shut then
    shut = true
    tcp:shutdown "send"
  end
  if conn:want "close" then
    tcp:close()
    conn:closed()
    hear() -- the last event
  end
until conn.readyState == wsock.CLOSED
