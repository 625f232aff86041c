-- spec/support/hostile.lua -- a peer that shakes hands in TLS as it should and then
-- sends any records it likes (probe.net.tls_peer over a rig's raw peer).
--
--   local peer = hostile.client(rig, port)           -- of a server of ours
--   local peer = hostile.server(rig, raw, { cert =, key = }) -- raw: what accept() gave
--   peer:data "bytes"            -- as application data
--   peer:send(peer.tls:update(true) .. peer.tls:record(23, ""))

local lu = require "luaunit"
local bytes = require "support.bytes"
local codec = require "wsock.core".codec
local peers = require "wsock.probe".net

local Peer = {}
Peer.__index = Peer

local M = {}

-- Takes what has come; says what TLS itself has to say.
function Peer:look()
  local got = self.raw:look()
  self.raw.got = ""
  self.got = self.got .. self.tls:feed(got)
  local out = self.tls:take()
  if #out > 0 then self.raw:send(out) end
  return self.got
end

local function new(rig, raw, options)
  local tls = peers.tls_peer(options or {})
  local peer = setmetatable({ rig = rig, raw = raw, tls = tls, got = "" }, Peer)
  rig:wait(function()
    peer:look()
    return tls:open() or raw.ended
  end, "no TLS")
  if tls:open() then return peer end
  raw:close()
end

--- options: those of tls_peer; nil when it was refused.
function M.client(rig, port, options)
  return new(rig, rig:raw_client(port, true), options)
end

function M.server(rig, raw, options)
  return new(rig, raw, options)
end

function Peer:send(records) self.raw:send(records) end

--- Bytes of the connection inside.
function Peer:data(data)
  local records = {}
  for at = 1, #data, 16384 do records[#records + 1] = self.tls:record(23, data:sub(at, at + 16383)) end
  self:send(table.concat(records))
end

--- Waits for a head, takes it.
function Peer:head()
  return self.rig:wait(function()
    local head, rest = self:look():match "^(.-\r\n\r\n)(.*)$"
    if head then self.got = rest end
    return head
  end, "no head")
end

--- A server's answer to a request for WebSocket.
function Peer:welcome()
  local key = self:head():match "Sec%-WebSocket%-Key: (%S+)"
  self:data("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Accept: " .. codec.accept(key) .. "\r\n\r\n")
end

--- Waits for a frame, takes it: see bytes.parse.
function Peer:take()
  return self.rig:wait(function()
    local frame, rest = bytes.parse(self:look())
    if frame then self.got = rest end
    return frame
  end, "no frame")
end

--- Sends a ping and fails unless its pong is the next frame.
function Peer:check(text)
  self:data(bytes.frame { op = "ping", mask = true, text })
  local frame = self:take()
  lu.assertEquals({ frame.op, frame.payload }, { bytes.OP.pong, text })
end

return M
