--- What client and server of the resty face have in common: frames in, frames
-- out, with the answers and the words of lua-resty-websocket.
--
-- An object has `sock`, a socket with the option `frames`; `timeout`, in
-- milliseconds; `max_recv_len`, `max_send_len`; and sets `fatal` as that
-- library does.
-- @module wsock.resty.frames

local M = {}

local DEFAULT_LEN, DEFAULT_MS = 65535, 60000

local CLOSED = "failed to receive the first 2 bytes: closed"

-- Our words for what a peer did wrong to those.
local words = {
  ["reserved bits are set"] = "bad RSV1, RSV2, or RSV3 bits",
  ["reserved opcode"] = "reserved opcode",
  ["frame from the client is not masked"] = "frame unmasked",
  ["64-bit length with its top bit set"] = "payload len too large",
  ["control frame with more than 125 bytes"] = "too long payload for control frame",
  ["close frame with a body of one byte"] = "close frame with a body must carry a 2-byte status code",
  ["message is larger than maxPayload"] = "exceeding max payload len",
  ["connection ended without a close frame"] = CLOSED,
}

local kinds = { [0] = "continuation", "text", "binary", [8] = "close", [9] = "ping", [10] = "pong" }

--- Kinds of frames by opcode.
M.kinds = kinds

--- Bytes of a payload at most, unless told.
M.DEFAULT_LEN = DEFAULT_LEN

--- The settings of new() as fields of an object.
function M.init(object, options)
  local len = options.max_payload_len or DEFAULT_LEN
  object.timeout = options.timeout
  object.max_recv_len = options.max_recv_len or len
  object.max_send_len = options.max_send_len or len
  return object
end

--- Seconds to wait.
function M.seconds(object)
  return (object.timeout or DEFAULT_MS) / 1000
end

--- Milliseconds for all that waits.
function M.set_timeout(self, ms)
  self.timeout = ms
  return 1
end

-- Nothing works any more. A client's connection is let go: its close says no more than that, and what nobody closes
-- would stay. (A server's is closed behind its handler.)
local function give_up(self)
  self.fatal = true
  if self.masks and self.sock then self.sock:close(1000) end
end

local function fail(self, err)
  give_up(self)
  return nil, nil, err
end

--- The next frame: data, kind, and "again" when it is not its message's last;
-- of a close frame: reason, "close", code or nil.
-- @return nil, nil, err: with "timeout" in it when none came in time, and then
-- nothing is lost; else `fatal` is set
function M.recv_frame(self)
  if self.fatal then return nil, nil, "fatal error already happened" end
  if not self.sock then return fail(self, CLOSED) end
  local data, kind, final, code = self.sock:receive(M.seconds(self))
  if data == nil then
    if final == "TIMEOUT" then return nil, nil, "failed to receive the first 2 bytes: timeout" end
    return fail(self, words[kind] or kind:find "closed" and CLOSED or kind)
  end
  if #data > self.max_recv_len then
    self.sock:close(1009)
    return fail(self, "exceeding max payload len")
  end
  if kind == "close" then return data, kind, code end
  return data, kind, not final and "again" or nil
end

--- What may not leave, in words, or nil.
function M.misfit(fin, opcode, payload, most)
  local control = opcode & 8 ~= 0
  if #payload > most then return "payload too big" end
  if control and #payload > 125 then return "too much payload for control frame" end
  if control and not fin then return "fragmented control frame" end
end

-- Bytes on the wire.
local function size_of(self, payload)
  local n = #payload
  return 2 + (n > 65535 and 8 or n > 125 and 2 or 0) + (self.masks and 4 or 0) + n
end

--- Sends one frame as it is, and waits until the system has nearly all.
-- @return bytes on the wire, or nil, err; then `fatal` is set
function M.send_frame(self, fin, opcode, payload)
  if self.fatal then return nil, "fatal error already happened" end
  if self.closed then return nil, "already closed" end
  payload = payload == nil and "" or tostring(payload)
  local why = M.misfit(fin, opcode, payload, self.max_send_len)
    or not kinds[opcode] and "failed to build frame: reserved opcode"
  if not why and not self.sock then
    why = "failed to send frame: closed"
  elseif not why then
    local ok, message, code = self.sock:sendFrame(payload, kinds[opcode], not not fin)
    if ok and opcode ~= 8 then ok, message, code = self.sock:drain(M.seconds(self)) end
    if ok then return size_of(self, payload) end
    why = "failed to send frame: " .. (code == "TIMEOUT" and "timeout" or code == "CLOSED" and "closed" or message)
  end
  give_up(self)
  return nil, why
end

local opcodes = { text = 1, binary = 2, ping = 9, pong = 10, continue = 0 }

for name, opcode in pairs(opcodes) do
  M["send_" .. name] = function(self, data) return self:send_frame(true, opcode, data) end
end

--- Sends a close frame and does not wait for the peer's.
function M.send_close(self, code, message)
  local payload = ""
  if code then
    if math.type(code) ~= "integer" or code < 0 or code > 0x7fff then return nil, "bad status code" end
    payload = string.pack(">I2", code) .. (message or "")
  end
  local bytes, err = self:send_frame(true, 8, payload)
  if self.masks then
    self.closed = true
    self.fatal = self.fatal or not bytes or nil -- as that library has it: twice is an error
  end
  return bytes, err
end

--- The methods both have, put into a class.
function M.methods(class)
  for _, name in ipairs {
    "set_timeout", "recv_frame", "send_frame", "send_text", "send_binary", "send_ping", "send_pong", "send_close",
  } do
    class[name] = M[name]
  end
  return class
end

return M
