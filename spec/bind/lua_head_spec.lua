-- spec/bind/lua_head_spec.lua -- the binding of HTTP heads and bodies.  The
-- rules themselves: spec/wire/head_spec, body_spec, put_spec.

local lu = require "luaunit"
local head = require "wsock.core".wire.head

local T = {}

local REQUEST = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"

function T:test_scanner()
  local scanner = head.scanner()
  lu.assertFalse(scanner:scan "")
  lu.assertFalse(scanner:scan(REQUEST:sub(1, 9)))
  lu.assertEquals(scanner:scan(REQUEST .. "more"), #REQUEST)
  lu.assertEquals({ head.scanner { size = 5 }:scan(REQUEST) },
    { nil, "HTTP head is larger than maxHeaderSize", "HANDSHAKE", "HEAD_BIG" })
  lu.assertErrorMsgContains("less than it was before", function()
    local s = head.scanner()
    s:scan(REQUEST:sub(1, 9))
    s:scan "G"
  end)
end

function T:test_two_scanners_know_nothing_of_each_other()
  local one, two = head.scanner(), head.scanner()
  one:scan(REQUEST:sub(1, 9))
  lu.assertEquals(two:scan(REQUEST), #REQUEST)
  lu.assertEquals(one:scan(REQUEST), #REQUEST)
end

function T:test_parse()
  lu.assertEquals(head.parse(REQUEST),
    { method = "GET", target = "/x", version = "HTTP/1.1", fields = { { "Host", "h" } }, size = #REQUEST })
  lu.assertEquals(head.parse("HTTP/1.1 200 OK\r\n\r\n", true),
    { status = 200, reason = "OK", version = "HTTP/1.1", fields = {}, size = 19 })
  lu.assertEquals({ head.parse "GET" }, { false })
  lu.assertEquals({ head.parse "\0" }, { nil, "malformed start line", "HANDSHAKE", "HEAD_LINE" })
end

-- The caller's string is not changed by folds that are filled.
function T:test_strings_stay_as_they_are()
  local s = "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"
  local copy = s:sub(1, 5) .. s:sub(6)
  lu.assertEquals(head.parse(s, true).fields, { { "A", "b   c" } })
  lu.assertEquals(s, copy)
  lu.assertEquals(s:byte(22), 13)
end

function T:test_body()
  lu.assertEquals({ head.body(REQUEST) }, { "none", 0 })
  lu.assertEquals({ head.body("HTTP/1.1 200\r\nContent-Length: 7\r\n\r\n", true) }, { "length", 7 })
  lu.assertEquals({ head.body "GET" }, { false })
  lu.assertEquals({ head.body "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n" },
    { nil, "malformed or conflicting body length", "HANDSHAKE", "HEAD_LENGTH" })
end

function T:test_chunked()
  local reader = head.chunked()
  lu.assertEquals({ reader:feed "3\r\nab" }, { "ab", false, "" })
  lu.assertEquals({ reader:feed "c\r\n0\r\n\r\nrest" }, { "c", true, "rest" })
  lu.assertEquals({ head.chunked():feed "x" }, { nil, "malformed or conflicting body length", "HANDSHAKE",
    "HEAD_LENGTH" })
end

function T:test_misuse_raises()
  for _, call in ipairs {
    function() head.scanner { size = -1 } end, function() head.scanner { lines = "x" } end,
    function() head.scanner():scan() end,
    function() head.scanner().scan({}, "x") end, function() head.chunked().feed(head.scanner(), "x") end,
    function() head.parse() end, function() head.body() end, function() head.write "x" end,
    function() head.write { method = {} } end,
    function() head.write { status = "x" } end, function() head.write { status = 200, reason = 5 } end,
    function() head.write { status = 200, fields = "x" } end, function() head.write { status = 200,
    fields = { "x" } } end,
    function() head.write { status = 200, fields = { { "X" } } } end, function() head.write { status = 200,
    fields = { { 1, "x" } } } end,
    function() head.reason {} end,
  } do
    lu.assertFalse((pcall(call)))
  end
end

return T
