-- spec/wire/status_spec.lua -- close codes and the payload of close frames:
-- rows CC-01 to CC-21 of the matrix.

local lu = require "luaunit"
local status = require "wsock.core".wire.status
local bytes = require "support.bytes"

local T = {}

-- First and last of a range; may it be on the wire, be sent by a browser, be
-- sent by a server.
local CODES = {
  { 0, 999, false, false, false }, -- CC-01
  { 1000, 1000, true, true, true }, -- CC-02
  { 1001, 1001, true, false, true }, -- CC-03
  { 1002, 1002, true, false, true }, -- CC-04
  { 1003, 1003, true, false, true }, -- CC-05
  { 1004, 1004, false, false, false }, -- CC-06
  { 1005, 1005, false, false, false }, -- CC-07
  { 1006, 1006, false, false, false }, -- CC-08
  { 1007, 1011, true, false, true }, -- CC-09 to CC-13
  { 1012, 1014, true, false, true }, -- CC-14 to CC-16
  { 1015, 1015, false, false, false }, -- CC-17
  { 1016, 2999, false, false, false }, -- CC-18
  { 3000, 3999, true, true, true }, -- CC-19
  { 4000, 4999, true, true, true }, -- CC-20
  { 5000, 65535, false, false, false }, -- CC-21
}

function T:test_CC_01_to_21()
  local next_code = 0
  for _, row in ipairs(CODES) do
    lu.assertEquals(row[1], next_code)
    next_code = row[2] + 1
    for code = row[1], row[2] do
      if status.onWire(code) ~= row[3] or status.maySend(code) ~= row[4] or status.maySend(code, true) ~= row[5] then
        lu.fail("code " .. code)
      end
      local got, reason, _, name = status.decode(string.pack(">I2", code) .. "why")
      if row[3] then
        lu.assertEquals({ got, reason }, { code, "why" })
      else
        lu.assertEquals({ got, name }, { nil, "CLOSE_CODE" }, code)
      end
    end
  end
  lu.assertEquals(next_code, 65536)
end

function T:test_codes_that_are_none()
  for _, code in ipairs { -1, -1000, 65536, 65536 + 1000, 1 << 32, math.mininteger } do
    lu.assertFalse(status.onWire(code))
    lu.assertFalse(status.maySend(code))
    lu.assertFalse(status.maySend(code, true))
  end
end

function T:test_reading()
  lu.assertEquals({ status.decode "" }, { 1005, "" })
  lu.assertEquals({ status.decode "\x03\xE8" }, { 1000, "" })
  lu.assertEquals({ status.decode "\x03\xE8bye" }, { 1000, "bye" })
  lu.assertEquals({ status.decode("\x0F\xA0" .. ("é"):rep(61) .. "x") }, { 4000, ("é"):rep(61) .. "x" })
  lu.assertEquals({ status.decode("\x03\xE8\0") }, { 1000, "\0" })
end

function T:test_reading_what_is_wrong()
  local function name(payload) return (select(4, status.decode(payload))) end
  for b = 0, 255 do lu.assertEquals(name(string.char(b)), "CLOSE_BODY") end
  for _, reason in ipairs { "\xFF", "\xC3", "a\xED\xA0\x80", "\xC0\x80", "ok\xE2\x82", "\xF4\x90\x80\x80", "\x80" } do
    lu.assertEquals(name("\x03\xE8" .. reason), "CLOSE_UTF8", bytes.hex(reason))
  end
  -- the code is looked at first
  lu.assertEquals(name "\x03\xEC\xFF", "CLOSE_CODE")
end

function T:test_writing()
  bytes.equals(status.encode(), "")
  bytes.equals(status.encode(nil, "not sent"), "")
  bytes.equals(status.encode(1000), "\x03\xE8")
  bytes.equals(status.encode(4999, "bye"), "\x13\x87bye")
  for _, n in ipairs { 0, 1, 122, 123 } do
    local reason = ("r"):rep(n)
    bytes.equals(status.encode(3000, reason), "\x0B\xB8" .. reason)
    lu.assertEquals({ status.decode(status.encode(3000, reason)) }, { 3000, reason })
  end
  lu.assertErrorMsgContains("longer than 123 bytes", status.encode, 3000, ("r"):rep(124))
  for _, code in ipairs { 0, -1, 65536 } do lu.assertErrorMsgContains("out of range", status.encode, code) end
end

function T:test_names()
  local names, count = status.names(), 0
  for name, code in pairs(names) do
    count = count + 1
    lu.assertTrue(name:find "^[A-Z_]+$" ~= nil)
    lu.assertTrue(code >= 1000 and code <= 1015)
  end
  lu.assertEquals(count, 16)
  lu.assertEquals({ names.NORMAL_CLOSURE, names.GOING_AWAY, names.MESSAGE_TOO_BIG, names.BAD_GATEWAY }, { 1000,
    1001, 1009, 1014 })
end

return T
