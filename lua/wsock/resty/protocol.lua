--- lua-resty-websocket's frames, for code that has a socket of its own.
--
-- `sock` is a stream of bytes: `sock:receive(n)` answers n bytes, or nil, err;
-- `sock:send(bytes)` their number, or nil, err. So is one of LuaSocket. A
-- timeout within a frame loses what has come of it, as in that library; the
-- objects of client and server keep it.
-- @module wsock.resty.protocol

local core = require "wsock.core"
local frames = require "wsock.resty.frames"

local M = { _VERSION = "0.13" } -- whose API this is

local MOST = 0x7fffffff -- bytes of a payload, whatever the caller allows

--- A table, as that library's; the sizes are no matter here.
function M.new_tab()
  return {}
end

-- The sockets of this library have frames, not bytes.
local function check_stream(sock)
  if sock == nil then error("sock must be a stream of bytes, got nil", 3) end
  if sock.sendFrame then error("sock must be a stream of bytes, got a WebSocket: it has methods for frames", 3) end
end

local function read(sock, n, what)
  if n == 0 then return "" end
  local data, err = sock:receive(n)
  if data then return data end
  return nil, ("failed to %s: %s"):format(what, err)
end

-- The length that begins with these seven bits.
local function read_length(sock, len)
  if len < 126 then return len end
  local size = len == 126 and 2 or 8
  local data, err = read(sock, size, ("receive the %d byte payload length"):format(size))
  if not data then return nil, err end
  len = string.unpack(size == 2 and ">I2" or ">i8", data)
  if len < 0 or len > MOST then return nil, "payload len too large" end
  return len
end

-- What a frame's head may not be, in words.
local function bad_start(first, second, force_masking)
  local opcode = first & 0xf
  if first & 0x70 ~= 0 then return "bad RSV1, RSV2, or RSV3 bits" end
  if opcode > 2 and opcode < 8 then return "reserved non-control frames" end
  if opcode > 10 then return "reserved control frames" end
  if force_masking and second & 0x80 == 0 then return "frame unmasked" end
end

local function bad_length(first, len, most)
  if first & 8 ~= 0 then
    if len > 125 then return "too long payload for control frame" end
    if first & 0x80 == 0 then return "fragmented control frame" end
  end
  if len > most then return "exceeding max payload len" end
  if first & 0xf == 8 and len == 1 then return "close frame with a body must carry a 2-byte status code" end
end

-- Its payload, unmasked.
local function read_payload(sock, len, masked)
  local data, err = read(sock, len + (masked and 4 or 0), "read masking-len and payload")
  if data and masked then return core.codec.mask(data:sub(5), data:sub(1, 4)) end
  return data, err
end

--- Reads a frame.
-- @param sock
-- @param max_payload_len bytes it may have (65,535)
-- @param force_masking whether it has to be masked: we are the server
-- @return data, kind, and "again" when it is not its message's last; of a close
-- frame: reason, "close", code or nil; or nil, nil, err
function M.recv_frame(sock, max_payload_len, force_masking)
  check_stream(sock)
  local head, err = read(sock, 2, "receive the first 2 bytes")
  if not head then return nil, nil, err end
  local first, second = head:byte(1, 2)
  err = bad_start(first, second, force_masking)
  if err then return nil, nil, err end
  local len
  len, err = read_length(sock, second & 0x7f)
  err = err or bad_length(first, len, max_payload_len or frames.DEFAULT_LEN)
  if err then return nil, nil, err end
  local data
  data, err = read_payload(sock, len, second & 0x80 ~= 0)
  if not data then return nil, nil, err end
  local kind = frames.kinds[first & 0xf]
  if kind ~= "close" then return data, kind, first & 0x80 == 0 and "again" or nil end
  if len == 0 then return "", kind, nil end
  return data:sub(3), kind, (string.unpack(">I2", data))
end

--- A frame's bytes.
-- @param fin whether it is its message's last
-- @param opcode
-- @param payload_len bytes of payload
-- @param payload
-- @param masking whether to mask it: we are the client
-- @return string; or nil, err
function M.build_frame(fin, opcode, payload_len, payload, masking)
  if payload_len > MOST then return nil, "payload too big" end
  local key = masking and core.codec.random(4) or nil
  local head = core.wire.frame.encode { fin = not not fin, opcode = opcode & 0xf, length = payload_len, key = key }
  payload = payload or ""
  return head .. (key and core.codec.mask(payload, key) or payload)
end

--- Sends a frame.
-- @param sock
-- @param fin as for build_frame
-- @param opcode
-- @param payload what tostring makes of it; nil: none
-- @param max_payload_len bytes it may have (65,535)
-- @param masking
-- @return bytes on the wire; or nil, err
function M.send_frame(sock, fin, opcode, payload, max_payload_len, masking)
  check_stream(sock)
  payload = payload == nil and "" or tostring(payload)
  local err = frames.misfit(fin, opcode, payload, max_payload_len or frames.DEFAULT_LEN)
  if err then return nil, err end
  local frame, bytes
  frame, err = M.build_frame(fin, opcode, #payload, payload, masking)
  if not frame then return nil, "failed to build frame: " .. err end
  bytes, err = sock:send(frame)
  if not bytes then return nil, ("failed to send frame: %s"):format(err) end
  return bytes
end

return M
