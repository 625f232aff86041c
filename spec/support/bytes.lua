-- spec/support/bytes.lua -- bytes for specs: hex both ways, cuts, frames.

local lu = require "luaunit"

local M = {}

--- "81 02 68 69" for "\x81\x02hi"; long strings are cut in the middle.
function M.hex(s, most)
  most = most or 256
  local function spell(part)
    return (part:gsub(".", function(c) return ("%02x "):format(c:byte()) end)):sub(1, -2)
  end
  if #s <= most then return spell(s) end
  local half = most // 2
  return ("%s ... (%d bytes) ... %s"):format(spell(s:sub(1, half)), #s, spell(s:sub(-half)))
end

--- The bytes of "81 02 68 69"; blanks and line breaks do not matter.
function M.unhex(text)
  text = text:gsub("%s", "")
  assert(#text % 2 == 0 and not text:find "%X", "not hex: " .. text)
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

--- Fails unless both are the same bytes; shows where they part, in hex.
function M.equals(actual, expected, what)
  if actual == expected then return end
  what = what and what .. ": " or ""
  if type(actual) ~= "string" then
    lu.fail(("%sexpected %d bytes, got %s"):format(what, #expected, lu.prettystr(actual)))
  end
  local at = 1
  while at <= #actual and actual:byte(at) == expected:byte(at) do at = at + 1 end
  local from = math.max(1, at - 8)
  lu.fail(("%sbytes differ from offset %d (of %d; %d expected)\n  actual   %s\n  expected %s"):format(
    what, at - 1, #actual, #expected,
    M.hex(actual:sub(from, from + 63)), M.hex(expected:sub(from, from + 63))))
end

--- Every way to cut s in two: for head, tail, n in bytes.splits(s).
--- Both ends are included: ("", s) comes first, (s, "") last.
function M.splits(s)
  local n = -1
  return function()
    n = n + 1
    if n > #s then return nil end
    return s:sub(1, n), s:sub(n + 1), n
  end
end

--- s in pieces of `size` bytes (default 1): for piece in bytes.pieces(s, 3).
function M.pieces(s, size)
  local at = 1
  size = size or 1
  return function()
    if at > #s then return nil end
    local piece = s:sub(at, at + size - 1)
    at = at + size
    return piece
  end
end

--- s in pieces of random sizes from 1 to `most` (default 16), as a list.
function M.cuts(s, most)
  local list, at = {}, 1
  while at <= #s do
    local n = math.random(most or 16)
    list[#list + 1] = s:sub(at, at + n - 1)
    at = at + n
  end
  return list
end

--- n random bytes (math.random's, so the run's seed repeats them).
function M.random(n)
  local t = {}
  for i = 1, n // 8 do t[i] = ("<i8"):pack(math.random(0)) end
  for _ = 1, n % 8 do t[#t + 1] = string.char(math.random(0, 255)) end
  return table.concat(t)
end

--- s XORed with the four bytes of key: a plain way, to compare with.
function M.mask(s, key)
  local t, whole = {}, #s - #s % 8
  local twice = ("<i8"):unpack(key .. key)
  for at = 1, whole, 8 do t[#t + 1] = ("<i8"):pack(("<i8"):unpack(s, at) ~ twice) end
  for i = whole + 1, #s do t[#t + 1] = string.char(s:byte(i) ~ key:byte((i - 1) % 4 + 1)) end
  return table.concat(t)
end

M.OP = { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }

--- One frame, right or wrong as asked: bytes.frame{op = "text", "payload"}.
--- fin (true), rsv (0..7), op (name or number), mask (four bytes, or true for
--- 37 fa 21 3d), length (what the head claims), wide (16 or 64: length field).
function M.frame(t)
  local payload = t[1] or t.payload or ""
  local op = M.OP[t.op] or t.op or M.OP.text
  local length = t.length or #payload
  local wide = t.wide or (length > 65535 and 64 or length > 125 and 16 or 7)
  local key = t.mask == true and "\x37\xfa\x21\x3d" or t.mask or nil
  local first = (t.fin == false and 0 or 0x80) | (t.rsv or 0) << 4 | op
  local flag = key and 0x80 or 0
  local head
  if wide == 7 then head = string.char(first, flag | length)
  elseif wide == 16 then head = string.pack(">BBI2", first, flag | 126, length)
  else head = string.pack(">BBi8", first, flag | 127, length) end
  return head .. (key and key .. M.mask(payload, key) or payload)
end

--- A Close frame: code nil is an empty body.
function M.close(code, reason, mask)
  local body = code and string.pack(">I2", code) .. (reason or "") or ""
  return M.frame { op = "close", mask = mask, body }
end

--- Takes one frame from the front of s: a table {fin, rsv, op, masked, payload,
--- wide} and the rest, or nil when s holds no whole frame.
function M.parse(s)
  if #s < 2 then return nil end
  local first, second = s:byte(1, 2)
  local length, at, wide = second & 0x7f, 3, 7
  if length >= 126 then
    wide = length == 126 and 16 or 64
    if #s < 2 + wide // 8 then return nil end
    length, at = string.unpack(wide == 16 and ">I2" or ">i8", s, 3)
  end
  local masked, key = second & 0x80 ~= 0, nil
  if masked then
    key, at = s:sub(at, at + 3), at + 4
  end
  if #s < at + length - 1 then return nil end
  local payload = s:sub(at, at + length - 1)
  return {
    fin = first & 0x80 ~= 0, rsv = first >> 4 & 7, op = first & 15,
    masked = masked, wide = wide, payload = masked and M.mask(payload, key) or payload,
  }, s:sub(at + length)
end

--- All frames of s as a list, and what is left over.
function M.frames(s)
  local list = {}
  while true do
    local frame, rest = M.parse(s)
    if not frame then return list, s end
    list[#list + 1], s = frame, rest
  end
end

return M
