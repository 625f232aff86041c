-- spec/support/conn.lua -- connections without sockets, driven by specs.
--
-- A peer is a probe.proto.conn with a round around it: what comes is fed, its
-- events are noted as short strings ("text:hello", "close:1000:bye:true"), its
-- output is collected.  Memory comes from a counting allocator, which must
-- have everything back at the end: M.class() is a class that sees to it.

local lu = require "luaunit"
local bytes = require "support.bytes"
local counted = require "support.counted"
local probe = require "wsock.probe"

local M = { proto = probe.proto }

--- RFC 6455 1.3: the nonce, its key and the token that answers it.
M.NONCE = "the sample nonce"
M.KEY = "dGhlIHNhbXBsZSBub25jZQ=="
M.ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

--- Lines to a head: conn.head{"GET / HTTP/1.1", "Host: h"}.
function M.head(lines)
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- A request that is welcome, with further lines.
function M.request(...)
  return M.head { "GET /chat HTTP/1.1", "Host: example.com", "Upgrade: websocket",
    "Connection: Upgrade", "Sec-WebSocket-Key: " .. M.KEY, "Sec-WebSocket-Version: 13", ... }
end

--- An answer that fits it, with further lines.
function M.response(...)
  return M.head { "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
    "Connection: Upgrade", "Sec-WebSocket-Accept: " .. M.ACCEPT, ... }
end

-- ---- one peer --------------------------------------------------------------

local live = setmetatable({}, { __mode = "k" })

local Peer = {}
Peer.__index = Peer

local function spell(name, ...)
  if name == nil then return nil end
  local parts = { name }
  for _, value in ipairs { ... } do
    if value ~= "" or name == "close" or name == "text" or name == "binary" then
      parts[#parts + 1] = tostring(value)
    end
  end
  return table.concat(parts, ":")
end

--- Pulls and notes what events there are; true when there were any.
function Peer:pull()
  local any = false
  while true do
    local name, data, more, clean = self.raw:next()
    if name == nil then return any end
    any = true
    self.events[#self.events + 1] = spell(name, data, more, clean)
    if self.on[name] then self.on[name](self, data) end
  end
end

--- Takes the output.
function Peer:flush()
  local out = self.raw:peek()
  while out ~= "" do
    self.out = self.out .. out
    self.raw:sent(#out)
    out = self.raw:peek()
  end
end

--- One round with bytes from the other side; what is not wanted yet waits.
function Peer:feed(input)
  self.rest = self.rest .. (input or "")
  repeat
    local taken = self.raw:feed(self.rest)
    self.rest = self.rest:sub(taken + 1)
    local any = self:pull() or taken > 0
    if not self.held then self:flush() end
  until not any
  return self
end

--- The other side ends.
function Peer:eof()
  self.raw:eof()
  self:pull()
  if not self.held then self:flush() end
  return self
end

--- Drops the transport and notes the last events.
function Peer:drop()
  self.raw:closed()
  self:pull()
  return self
end

--- Does what is wanted at the end: a direction shut, the transport dropped.
function Peer:settle()
  self:feed()
  if self:wants "shutdown" then self.shut = true end
  if self:wants "close" then self:drop() end
  return self
end

--- Moves the clock by ms and ticks.
function Peer:pass(ms)
  self.now = self.now + ms
  self.raw:clock(self.now)
  self.raw:tick()
  self:pull()
  if not self.held then self:flush() end
  return self
end

--- Does want() have the word?
function Peer:wants(word)
  return (" " .. self.raw:want() .. " "):find(" " .. word .. " ", 1, true) ~= nil
end

--- The output so far, which is then forgotten.
function Peer:take()
  if not self.held then self:flush() end
  local out = self.out
  self.out = ""
  return out
end

--- The same as a list of frames; fails when it ends within one.
function Peer:frames()
  local list, rest = bytes.frames(self:take())
  bytes.equals(rest, "", "output that is no whole frame")
  return list
end

--- The events so far as one string, which are then forgotten.
function Peer:heard()
  local text = table.concat(self.events, " | ")
  self.events = {}
  return text
end

function Peer:state()
  return self.raw:state()
end

--- Frees it; all its memory must be back.
function Peer:free()
  if not live[self] then return end
  live[self] = nil
  self.raw:free()
  counted.clean(self.mem, "bytes, blocks not given back; blocks with a wrong size")
end

--- Frees every peer that a test has left.
function M.finish()
  local list = {}
  for peer in pairs(live) do list[#list + 1] = peer end
  for _, peer in ipairs(list) do peer:free() end
end

--- A class of specs whose tests have peers.
function M.class()
  return { tearDown = M.finish }
end

--- A peer in CONNECTING; options as for probe.proto.conn.
function M.peer(options)
  local mem = options.mem or probe.base.mem()
  options.random = options.random or M.NONCE
  local peer = setmetatable({
    raw = M.proto.conn(mem, options), mem = mem, role = options.role,
    events = {}, out = "", rest = "", on = {}, now = options.now or 0,
  }, Peer)
  live[peer] = true
  return peer
end

local function with(options, more)
  local t = {}
  for k, v in pairs(options or {}) do t[k] = v end
  for k, v in pairs(more) do t[k] = v end
  return t
end

--- A server before the request, which accepts by itself.
function M.server(options)
  local peer = M.peer(with(options, { role = "server" }))
  function peer.on.upgrade(self) assert(self.raw:accept()) end
  return peer
end

--- A client that has asked.
function M.client(options, hello)
  local peer = M.peer(with(options, { role = "client" }))
  assert(peer.raw:start(with({ target = "/chat", host = "example.com" }, hello or {})))
  return peer
end

--- An open server, an open client; nothing is in their output or events.
function M.open_server(options)
  local peer = M.server(options):feed(M.request())
  lu.assertEquals(peer:heard(), "upgrade | open")
  peer:take()
  return peer
end

function M.open_client(options, hello)
  local peer = M.client(options, hello)
  peer:flush()
  peer:feed(M.response())
  lu.assertEquals(peer:heard(), "open")
  peer:take()
  return peer
end

--- The open peer of that role, and the mask its other side has to use.
function M.open(role, options)
  if role == "server" then return M.open_server(options), "\x37\xfa\x21\x3d" end
  return M.open_client(options), nil
end

M.ROLES = { "client", "server" }

-- ---- two of them -----------------------------------------------------------

--- Carries what each has to say to the other until both are silent.
function M.carry(a, b)
  repeat
    local from_a, from_b = a:take(), b:take()
    b:feed(from_a)
    a:feed(from_b)
  until a.out == "" and b.out == ""
end

--- An open client and an open server that hear one another.
function M.pair(client_options, server_options)
  local client, server = M.client(client_options), M.server(server_options)
  M.carry(client, server)
  lu.assertEquals({ client:heard(), server:heard() }, { "open", "upgrade | open" })
  return client, server
end

--- Carries on to the end of both: ends and drops as they want it.
function M.wind_up(a, b)
  for _ = 1, 8 do
    M.carry(a, b)
    for _, turn in ipairs { { a, b }, { b, a } } do
      local one, other = turn[1], turn[2]
      if one:wants "shutdown" and not one.shut then
        one.shut = true
        other:eof()
      end
      if one:wants "close" then
        one:drop()
        other:eof()
      end
    end
  end
end

-- ---- every split -----------------------------------------------------------

-- What a fresh peer makes of the pieces.
local function outcome(make, pieces)
  local peer = make()
  for _, piece in ipairs(pieces) do peer:feed(piece) end
  peer:settle()
  local result = { peer:heard(), peer:take(), peer:state().fault, peer:wants "shutdown" }
  peer:free()
  return result
end

local function same(result, whole, what)
  lu.assertEquals(result[1], whole[1], what .. ": events")
  bytes.equals(result[2], whole[2], what .. ": output")
  lu.assertEquals({ result[3], result[4] }, { whole[3], whole[4] }, what .. ": fault, shutdown")
end

--- Fails unless the input gives the same events and output whole, byte by
--- byte, cut in two anywhere (short inputs) and cut at random.  make() gives
--- the peer that eats it; returns events and output.
function M.every_split(make, input, what)
  what = what or bytes.hex(input, 64)
  local whole = outcome(make, { input })
  local single = {}
  for piece in bytes.pieces(input) do single[#single + 1] = piece end
  same(outcome(make, single), whole, what .. " byte by byte")
  if #input <= 400 then
    for head, tail, n in bytes.splits(input) do
      same(outcome(make, { head, tail }), whole, ("%s cut at %d"):format(what, n))
    end
  end
  for _, most in ipairs { 3, 16, 200 } do
    same(outcome(make, bytes.cuts(input, most)), whole, ("%s cut at random, %d"):format(what, most))
  end
  return whole[1], whole[2]
end

return M
