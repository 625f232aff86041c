-- spec/support/relay.lua -- a man in the middle: a TCP relay in a rig's loop that
-- carries bytes between who connects and a port, in pieces as small as wanted,
-- keeps what it saw, and cuts the line on demand.
--
--   local relay = relays.new(rig, port, { up = 1, down = 7 })   -- bytes a turn
--   relay.port, relay.up, relay.down      -- what went to the port, and back
--   relay:cut()                           -- both ends get a plain FIN

local luasocket = require "socket"

local M = {}

local Relay = {}
Relay.__index = Relay

-- Sends what goes in; gives the rest.
local function push(relay, to, data)
  if data == "" then return "" end
  local last, err, done = to:send(data)
  if err and err ~= "timeout" then relay:cut() end
  return data:sub((last or done) + 1)
end

-- Passes on `most` bytes of what waits, and the rest in later turns: who is to
-- take it may be of the same loop.
local function pass(relay, to, way, most)
  local wait = relay.waiting[way]
  local rest = push(relay, to, wait:sub(1, most))
  if not relay.near then return end
  relay.waiting[way] = rest .. wait:sub(most + 1)
  if #relay.waiting[way] > 0 then
    relay.rig.loop:after(0, function()
      if relay.near and to == relay[way .. "_to"] then pass(relay, to, way, most) end
    end)
  elseif relay.ended[way] then
    pcall(to.shutdown, to, "send")
  end
end

-- Takes what has come from one side, for the other.
local function carry(relay, from, to, way, most)
  local data, why, part = from:receive(65536)
  data = data or part or ""
  local idle = #relay.waiting[way] == 0
  relay[way] = relay[way] .. data
  if relay.change and #data > 0 then data = relay.change(way, data) end
  relay.waiting[way] = relay.waiting[way] .. data
  if why == "closed" then
    relay.ended[way] = true
    relay.watching[way]:cancel()
  elseif why and why ~= "timeout" then
    return relay:cut()
  end
  if idle then pass(relay, to, way, most or math.maxinteger - 1) end
end

--- One connection is carried at a time.
function M.new(rig, port, pieces)
  pieces = pieces or {}
  local listener = luasocket.tcp4()
  assert(listener:bind("127.0.0.1", 0))
  assert(listener:listen(8))
  local _, own = listener:getsockname()
  local relay = setmetatable({ listener = listener, port = math.tointeger(tonumber(own)), up = "", down = "",
    ended = {}, watching = {}, rig = rig }, Relay)
  relay.accepting = rig.loop:watch(listener:getfd(), "r", function()
    local near = listener:accept()
    if not near then return end
    relay:cut()
    local far = luasocket.tcp4()
    far:settimeout(5)
    assert(far:connect("127.0.0.1", port))
    for _, s in ipairs { near, far } do
      s:settimeout(0)
      s:setoption("tcp-nodelay", true)
    end
    relay.near, relay.far, relay.ended, relay.waiting = near, far, {}, { up = "", down = "" }
    relay.up_to, relay.down_to = far, near
    relay.watching = {
      up = rig.loop:watch(near:getfd(), "r", function() carry(relay, near, far, "up", pieces.up) end),
      down = rig.loop:watch(far:getfd(), "r", function() carry(relay, far, near, "down", pieces.down) end),
    }
  end)
  return rig:keep(relay)
end

--- Ends the connection at both sides, without a word of TLS.
function Relay:cut()
  for _, w in pairs(self.watching) do w:cancel() end
  if self.near then self.near:close() end
  if self.far then self.far:close() end
  self.near, self.far = nil, nil
end

function Relay:close()
  self:cut()
  self.accepting:cancel()
  self.listener:close()
end

--- The TLS records in a text: a list of { type, length }; type 23 is data.
function M.records(text)
  local list, at = {}, 1
  while at + 4 <= #text do
    local kind, _, n = (">BI2I2"):unpack(text, at)
    list[#list + 1] = { kind, n }
    at = at + 5 + n
  end
  return list
end

return M
