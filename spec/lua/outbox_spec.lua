-- lua/wsock/outbox: messages that wait for a socket.

local lu = require "luaunit"
local outbox = require "wsock.outbox"
local wsock = require "wsock"

local T = {}
local contains = lu.assertErrorMsgContains

-- A socket that takes n messages.
local function taker(n)
  local socket = { readyState = 1, OPEN = 1, got = {} }
  function socket:send(data, kind)
    if #self.got == n then return nil end
    self.got[#self.got + 1] = kind .. ":" .. tostring(data)
    return true
  end
  return socket
end

function T:test_messages()
  local m = outbox.message
  lu.assertEquals(m("ä"), { data = "ä", kind = "text", size = 2 })
  lu.assertEquals(m(1.0), { data = "1", kind = "text", size = 1 })
  lu.assertEquals(m("\xff", "binary"), { data = "\xff", kind = "binary", size = 1 })
  local buffer = wsock.arraybuffer "abc"
  local message = m(buffer)
  buffer[1] = 0
  lu.assertEquals({ message.kind, message.size, message.data:text() }, { "binary", 3, "abc" })
  lu.assertEquals(m(wsock.blob "x", "text").kind, "text")
  lu.assertEquals(m("a", nil, { compress = false }).options, { compress = false })
  contains("data must be a string", function() local x = m {} return x end)
  contains("kind must be \"text\" or \"binary\", got 1", function() local x = m("", 1) return x end)
  contains("data is not valid UTF-8", function() local x = m "\xff" return x end)
end

function T:test_in_order_and_as_far_as_they_are_taken()
  local box = outbox.new(10, 100)
  for i = 1, 3 do lu.assertTrue(box:add(outbox.message("m" .. i))) end
  lu.assertEquals({ box:count(), box.bytes }, { 3, 6 })
  local socket = taker(2)
  box:flush(socket)
  lu.assertEquals({ socket.got, box:count(), box.bytes }, { { "text:m1", "text:m2" }, 1, 2 })
  local other = taker(5)
  other.readyState = 2
  box:flush(other)
  lu.assertEquals(other.got, {})
  other.readyState = 1
  box:flush(other)
  lu.assertEquals({ other.got, box:count(), box.bytes }, { { "text:m3" }, 0, 0 })
end

function T:test_limits()
  local box = outbox.new(2, 5)
  lu.assertTrue(box:add(outbox.message "abc"))
  lu.assertEquals({ box:add(outbox.message "abc") }, { nil, "send: maxBuffered would be passed", "BUFFER" })
  lu.assertTrue(box:add(outbox.message "ab"))
  lu.assertEquals({ box:add(outbox.message "") }, { nil, "send: maxQueue would be passed", "BUFFER" })
  box:clear()
  lu.assertEquals({ box:count(), box.bytes }, { 0, 0 })
  lu.assertTrue(box:add(outbox.message "abcde"))
end

return T
