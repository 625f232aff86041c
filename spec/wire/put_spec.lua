-- spec/wire/put_spec.lua -- writing heads: rows MH-12, MH-15, MH-21, MH-22 of
-- the matrix, H6 of the threats.

local lu = require "luaunit"
local head = require "wsock.core".wire.head
local probe = require "wsock.probe"
local wire = probe.wire
local bytes = require "support.bytes"
local counted = require "support.counted"

local T = counted.class()

local function refused(ok, message, code, name)
  lu.assertNil(ok)
  lu.assertEquals({ message, code, name }, { "malformed header value", "HANDSHAKE", "FIELD" })
end

-- What no part of a head may have in it (H6).
local INJECTIONS = { "\r\nX: y", "\n", "\r", "\0", "\x7F", "\x1B", "\v", "\f" }
for b = 0x80, 0xFF do INJECTIONS[#INJECTIONS + 1] = string.char(b) end

local function injected(fn)
  for _, bad in ipairs(INJECTIONS) do
    for _, s in ipairs { bad, "a" .. bad, bad .. "a", "a" .. bad .. "a" } do
      local ok, _, _, name = fn(s)
      lu.assertNil(ok, bytes.hex(s))
      lu.assertEquals(name, "FIELD", bytes.hex(s))
    end
  end
end

-- ---- whole heads ---------------------------------------------------------------

function T:test_requests()
  bytes.equals(head.write { method = "GET", target = "/chat?x=%20", fields = { { "Host", "h:80" }, { "X", "" } } },
    "GET /chat?x=%20 HTTP/1.1\r\nHost: h:80\r\nX: \r\n\r\n")
  bytes.equals(head.write { method = "OPTIONS", target = "*" }, "OPTIONS * HTTP/1.1\r\n\r\n")
end

function T:test_MH_15_responses()
  bytes.equals(head.write { status = 101, fields = { { "Upgrade", "websocket" } } },
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
  bytes.equals(head.write { status = 404, reason = "Nope, \tsorry" }, "HTTP/1.1 404 Nope, \tsorry\r\n\r\n")
  -- the space stays even where there is no reason to give
  bytes.equals(head.write { status = 299 }, "HTTP/1.1 299 \r\n\r\n")
end

function T:test_what_is_written_can_be_read()
  local fields = { { "A", "b" }, { "c-d", 'e, "f"; g=\th' }, { "~", "" }, { "A", "again" } }
  local h = assert(head.parse(head.write { method = "M!", target = "/a{}|^`<>\"\\", fields = fields }))
  lu.assertEquals({ h.method, h.target, h.fields }, { "M!", "/a{}|^`<>\"\\", fields })
  h = assert(head.parse(head.write { status = 503, fields = fields }, true))
  lu.assertEquals({ h.status, h.reason, h.fields }, { 503, "Service Unavailable", fields })
end

-- ---- H6, MH-21, MH-22 ------------------------------------------------------------

function T:test_H6_targets()
  injected(function(s) return head.write { method = "GET", target = "/" .. s } end)
  for _, target in ipairs { "", " ", "/a b", "/\t", "/a#b", "#", "/ HTTP/1.1" } do
    refused(head.write { method = "GET", target = target })
  end
  refused(head.write { method = "GET" })
end

function T:test_H6_methods()
  injected(function(s) return head.write { method = s, target = "/" } end)
  for _, method in ipairs { "", "G T", " GET", "G/T", "G:T", "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET" } do
    refused(head.write { method = method, target = "/" })
  end
end

function T:test_H6_names()
  injected(function(s) return head.write { status = 200, fields = { { s, "v" } } } end)
  for _, name in ipairs { "", " ", "a b", "a:", ":a", "a\t", " a", "a ", "a,", "(a)" } do
    refused(head.write { status = 200, fields = { { "ok", "ok" }, { name, "v" } } })
  end
end

function T:test_H6_values()
  injected(function(s) return head.write { status = 200, fields = { { "X", s } } } end)
  for _, value in ipairs { " a", "a ", "\ta", "a\t", " ", "\t", "a\r\n b" } do
    refused(head.write { status = 200, fields = { { "X", value } } })
    lu.assertFalse(wire.field_ok("X", value))
  end
  for _, value in ipairs { "", "a", "a b", "a\tb", "a, b; c=\"d\"", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" } do
    lu.assertTrue(wire.field_ok("X", value))
  end
end

function T:test_H6_reasons()
  injected(function(s) return head.write { status = 200, reason = s } end)
end

function T:test_status_codes()
  for _, status in ipairs { -1, 0, 1, 99, 600, 1000, 65536 + 200,
    2 ^ 32 + 200 } do refused(head.write { status = status }) end
  for _, status in ipairs { 100, 599 } do lu.assertTrue(head.write { status = status }:find(" " .. status .. " ", 1,
    true) ~= nil) end
end

-- ---- all or nothing --------------------------------------------------------------

local PARTS = {
  { "request", "GET", "/x" }, { "status", 200, "OK" }, { "field", "Name", "value" }, { "end" },
}
local WRITTEN = { "GET /x HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "Name: value\r\n", "\r\n" }

function T:test_limit_of_the_buffer()
  for i, part in ipairs(PARTS) do
    local whole = "kept" .. WRITTEN[i]
    bytes.equals(wire.put(self.mem, 0, table.unpack(part)), whole)
    bytes.equals(wire.put(self.mem, #whole, table.unpack(part)), whole)
    lu.assertEquals({ wire.put(self.mem, #whole - 1, table.unpack(part)) }, { nil, "LIMIT", "kept" })
  end
end

function T:test_no_memory()
  for i, part in ipairs(PARTS) do
    if #WRITTEN[i] > 60 then error "must fit the first room" end
    local long = { table.unpack(part) }
    if i < 4 then long[#long] = long[#long] .. ("x"):rep(200) end
    for n = 1, 3 do
      self.mem:fail(n)
      local got, name, there = wire.put(self.mem, 0, table.unpack(long))
      local failed = self.mem:state().failed
      if not got then
        lu.assertEquals({ name, there }, { "NOMEM", n == 1 and "" or "kept" })
      end
      lu.assertEquals(got == nil, failed > 0)
      self.mem:fail(0)
      self.mem = probe.base.mem()
    end
  end
end

function T:test_a_refused_part_leaves_nothing()
  for _, part in ipairs { { "request", "G T", "/" }, { "request", "GET", "/ " }, { "status", 200, "\n" },
  { "status", 99, "" },
    { "field", "a b", "c" }, { "field", "a", "c\r" } } do
    lu.assertEquals({ wire.put(self.mem, 0, table.unpack(part)) }, { nil, "FIELD", "kept" })
  end
end

-- ---- phrases -------------------------------------------------------------------

function T:test_reasons()
  for status, reason in pairs { [100] = "Continue", [101] = "Switching Protocols", [200] = "OK",
  [301] = "Moved Permanently",
    [304] = "Not Modified", [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
    [405] = "Method Not Allowed", [407] = "Proxy Authentication Required", [408] = "Request Timeout",
    [413] = "Content Too Large", [414] = "URI Too Long", [417] = "Expectation Failed", [426] = "Upgrade Required",
    [431] = "Request Header Fields Too Large", [500] = "Internal Server Error", [501] = "Not Implemented",
    [502] = "Bad Gateway", [503] = "Service Unavailable", [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [511] = "Network Authentication Required", [99] = "", [299] = "", [306] = "", [418] = "", [600] = "" } do
    lu.assertEquals(head.reason(status), reason)
  end
  local count = 0
  for status = 0, 1000 do
    local reason = head.reason(status)
    if reason ~= "" then count = count + 1 end
    lu.assertFalse(reason:find "[^%w %-']" ~= nil, reason)
  end
  lu.assertEquals(count, 62)
end

return T
