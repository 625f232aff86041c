-- spec/wire/head_spec.lua -- HTTP heads: rows MH of the matrix, H1 to H3 of
-- the threats.

local lu = require "luaunit"
local head = require "wsock.core".wire.head
local probe = require "wsock.probe".wire
local bytes = require "support.bytes"
local clock = require "support.clock"
local growth = require "support.growth"

local T = {}
T.alone = true -- it measures

local REQUEST = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
  .. "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
  .. "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
  .. "Sec-WebSocket-Version: 13\r\n\r\n"
local RESPONSE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  .. "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

-- ---- helpers -----------------------------------------------------------------

-- Size, or "more", or the name of the error; and how many bytes were needed
-- to know, when they come one by one.
local function scan(s, limits)
  local scanner = head.scanner(limits)
  for n = 0, #s do
    local size, _, _, name = scanner:scan(s:sub(1, n))
    if size ~= false then return size or name, n end
  end
  return "more", #s
end

-- The answer to s at once, which must be the answer to s byte by byte.
local function verdict(s, limits)
  local size, _, _, name = head.scanner(limits):scan(s)
  local whole = size == false and "more" or size or name
  local apart, at = scan(s, limits)
  lu.assertEquals(apart, whole, bytes.hex(s))
  return whole, at
end

local function parsed(s, response)
  local h, message, _, name = head.parse(s, response)
  if not h then return nil, name or message end
  return h
end

-- Parses what must be a good head.
local function good(s, response)
  lu.assertEquals((verdict(s)), #s, bytes.hex(s))
  local h, name = parsed(s, response)
  if not h then lu.fail(("%s for %s"):format(name, bytes.hex(s))) end
  lu.assertEquals(h.size, #s)
  return h
end

-- s must be refused by scan and parse alike, at its `at`-th byte.
local function bad(s, name, at, response)
  local answer, n = verdict(s)
  lu.assertEquals(answer, name, bytes.hex(s))
  if at then lu.assertEquals(n, at, "refused too late or too early: " .. bytes.hex(s)) end
  local h, parse_name = parsed(s, response)
  lu.assertNil(h)
  lu.assertEquals(parse_name, name, bytes.hex(s))
end

local function request(lines)
  return "GET / HTTP/1.1\r\n" .. lines .. "\r\n"
end

local function response(lines)
  return "HTTP/1.1 200 OK\r\n" .. lines .. "\r\n"
end

-- ---- good heads ----------------------------------------------------------------

function T:test_request_of_the_rfc()
  local h = good(REQUEST)
  lu.assertEquals({ h.method, h.target, h.version, h.status }, { "GET", "/chat", "HTTP/1.1", nil })
  lu.assertEquals(h.fields, {
    { "Host", "server.example.com" }, { "Upgrade", "websocket" }, { "Connection", "Upgrade" },
    { "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==" }, { "Origin", "http://example.com" },
    { "Sec-WebSocket-Protocol", "chat, superchat" }, { "Sec-WebSocket-Version", "13" },
  })
end

function T:test_response_of_the_rfc()
  local h = good(RESPONSE, true)
  lu.assertEquals({ h.method, h.target, h.version, h.status, h.reason },
    { nil, nil, "HTTP/1.1", 101, "Switching Protocols" })
  lu.assertEquals(h.fields, { { "Upgrade", "websocket" }, { "Connection", "Upgrade" },
    { "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" } })
end

function T:test_no_fields()
  lu.assertEquals(good("GET / HTTP/1.1\r\n\r\n").fields, {})
  lu.assertEquals(good("HTTP/1.1 200\r\n\r\n", true).fields, {})
end

function T:test_any_split_and_what_follows()
  for _, s in ipairs { REQUEST, RESPONSE } do
    for first, second in bytes.splits(s) do
      local scanner = head.scanner()
      if #first < #s then lu.assertFalse((scanner:scan(first))) end
      lu.assertEquals((scanner:scan(first .. second .. "\x81\x00more")), #s)
    end
  end
  lu.assertEquals(parsed(REQUEST .. "\x81\x85").size, #REQUEST)
end

-- MH-26: nothing is made of a head that is not all there.
function T:test_MH_26_truncation_at_every_byte()
  for n = 0, #REQUEST - 1 do
    lu.assertEquals((verdict(REQUEST:sub(1, n))), "more")
    lu.assertFalse((head.parse(REQUEST:sub(1, n))))
  end
  for n = 0, #RESPONSE - 1 do
    lu.assertEquals((verdict(RESPONSE:sub(1, n))), "more")
    lu.assertFalse((head.parse(RESPONSE:sub(1, n), true)))
  end
end

-- ---- lines and bytes -------------------------------------------------------------

function T:test_MH_01_octets_pass_through()
  for b = 0x80, 0xFF do
    local c = string.char(b)
    lu.assertEquals(good(request("X: a" .. c .. "b\r\n")).fields[1][2], "a" .. c .. "b")
  end
  lu.assertEquals(good("HTTP/1.1 200 \xC3\xA9\r\n\r\n", true).reason, "\xC3\xA9")
end

function T:test_MH_02_bare_lf_is_refused()
  bad("GET / HTTP/1.1\nHost: h\r\n\r\n", "HEAD_LINE", 15)
  bad(request "X: a\nY: b\r\n", "HEAD_SYNTAX", 21)
  bad("GET / HTTP/1.1\r\n\n", "HEAD_SYNTAX", 17)
  bad("\nGET / HTTP/1.1\r\n\r\n", "HEAD_LINE", 1)
  bad("HTTP/1.1 200 OK\n\n", "HEAD_LINE", 16, true)
end

function T:test_MH_03_bare_cr_is_refused()
  bad(request "X: a\rb\r\n", "HEAD_SYNTAX", 22)
  bad(request "X: a\r\r\n\r\n", "HEAD_SYNTAX", 22)
  bad("GET / HTTP/1.1\rX", "HEAD_LINE", 16)
  bad("GET /\r HTTP/1.1\r\n\r\n", "HEAD_LINE", 6)
  bad("GET / HTTP/1.1\r\n\rX", "HEAD_SYNTAX", 18)
  bad("\rGET / HTTP/1.1\r\n\r\n", "HEAD_LINE", 2)
end

function T:test_MH_04_one_empty_line_first()
  local h = good("\r\n" .. REQUEST)
  lu.assertEquals(h.method, "GET")
  bad("\r\n\r\n" .. REQUEST, "HEAD_LINE", 3)
  bad("\r\nHTTP/1.1 200 OK\r\n\r\n", "HEAD_LINE", nil, true)
end

function T:test_MH_05_space_before_first_field()
  bad(request " X: y\r\n", "HEAD_SYNTAX", 17)
  bad(request "\tX: y\r\n", "HEAD_SYNTAX", 17)
  bad(response " X: y\r\n", "HEAD_SYNTAX", 18, true)
  bad("GET / HTTP/1.1\r\n \r\n\r\n", "HEAD_SYNTAX")
end

function T:test_MH_06_junk_fails_at_once()
  bad(bytes.unhex "16 03 01 02 00 01 00 01 FC 03 03", "HEAD_LINE", 1) -- TLS hello
  bad(bytes.unhex "80 2E 01 03 01", "HEAD_LINE", 1) -- SSL 2
  bad(bytes.unhex "81 85 00 00 00 00 68", "HEAD_LINE", 1) -- a frame
  bad(bytes.unhex "05 01 00", "HEAD_LINE", 1) -- SOCKS
  bad("\0", "HEAD_LINE", 1)
  bad(" GET / HTTP/1.1\r\n\r\n", "HEAD_LINE", 1)
  bad("SSH-2.0-OpenSSH_9.2\r\n", "HEAD_LINE", 20)
  bad("{\"a\":1}", "HEAD_LINE", 1)
end

function T:test_MH_09_methods_that_are_too_long()
  bad(("A"):rep(33), "HEAD_METHOD", 33)
  bad("\r\n" .. ("A"):rep(33) .. " / HTTP/1.1\r\n\r\n", "HEAD_METHOD", 35)
  bad(("x"):rep(32) .. "!", "HEAD_METHOD", 33)
  bad(("A"):rep(1000) .. "/", "HEAD_METHOD", 33)
  for _, n in ipairs { 31, 32 } do
    lu.assertEquals((verdict(("A"):rep(n))), "more")
    bad(("A"):rep(n) .. "/", "HEAD_LINE", n + 1) -- no method at all
    bad(("A"):rep(n) .. "\r\n", "HEAD_LINE", n + 1)
    bad(("A"):rep(n) .. "\0", "HEAD_LINE", n + 1)
  end
end

-- ---- start lines -------------------------------------------------------------------

function T:test_MH_07_version()
  for _, v in ipairs { "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/9.9", "HTTP/3.0" } do
    bad("GET / " .. v .. "\r\n\r\n", "HEAD_VERSION", 16)
  end
  for _, v in ipairs { "http/1.1", "HTTP/1.10", "HTTP/01.1", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1,1",
    "HTTP/a.b", "HTTPS/1.1", "HTTP 1.1", "HTTP/1.1 ", "HTTP/1.1x", "Http/1.1", "HTTP/-1.1", "/1.1", "1.1", "" } do
    bad("GET / " .. v .. "\r\n\r\n", "HEAD_LINE")
  end
  -- the HTTP/2 preface, known with its first line
  bad("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HEAD_VERSION", 16)
end

-- SC-02: 1.1 or higher; what is unknown of a later 1.x is read as 1.1 is (RFC 9110 2.5)
function T:test_SC_02_later_minor_versions()
  for _, v in ipairs { "HTTP/1.1", "HTTP/1.2", "HTTP/1.9" } do
    lu.assertEquals(good("GET / " .. v .. "\r\n\r\n").version, v)
  end
end

function T:test_MH_07_HTTP_0_9()
  bad("GET /\r\n", "HEAD_LINE", 6)
  bad("GET\r\n", "HEAD_LINE", 4)
end

function T:test_MH_09_request_lines()
  for _, line in ipairs {
    "GET /a b HTTP/1.1", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1",
    "GET HTTP/1.1", "GET  HTTP/1.1", " HTTP/1.1", "/ HTTP/1.1", "G(T / HTTP/1.1", "G\xC3T / HTTP/1.1",
    "GET /\xC3\xA9 HTTP/1.1", "GET /\x7F HTTP/1.1", "GET /\0 HTTP/1.1", "GET /a#b HTTP/1.1", "GET # HTTP/1.1",
    "GET / HTTP/1.1 extra", "GET / / HTTP/1.1", "GET /HTTP/1.1", ": / HTTP/1.1",
  } do
    bad(line .. "\r\n\r\n", "HEAD_LINE")
  end
  for _, target in ipairs { "/", "*", "http://h/x?y", "h:80", "//", "/%00", "/a?b?c",
    "/~!$&'()*+,;=:@[]{}|\\^`\"<>" } do
    lu.assertEquals(good("GET " .. target .. " HTTP/1.1\r\n\r\n").target, target)
  end
  for _, method in ipairs { "G", "OPTIONS", "get", "M-SEARCH", "!#$%&'*+-.^_`|~09", "HTTP", ("M"):rep(32) } do
    lu.assertEquals(good(method .. " / HTTP/1.1\r\n\r\n").method, method)
  end
end

function T:test_MH_15_status_lines()
  local cases = {
    ["HTTP/1.1 101 "] = "", ["HTTP/1.1 101"] = "", ["HTTP/1.1 101 x"] = "x", ["HTTP/1.1 101  x "] = " x ",
    ["HTTP/1.1 101 \t"] = "\t", ["HTTP/1.1 101 Web Socket Protocol Handshake"] = "Web Socket Protocol Handshake",
    ["HTTP/1.1 101 \xE2\x98\x83"] = "\xE2\x98\x83", ["HTTP/1.1 101 :;/\"()"] = ":;/\"()",
  }
  for line, reason in pairs(cases) do
    local h = good(line .. "\r\n\r\n", true)
    lu.assertEquals({ h.status, h.reason }, { 101, reason }, line)
  end
end

function T:test_MH_16_status_codes()
  for _, line in ipairs {
    "HTTP/1.1 1010", "HTTP/1.1 10", "HTTP/1.1 abc", "HTTP/1.1 1o1", "HTTP/1.1 -10", "HTTP/1.1 099", "HTTP/1.1 000",
    "HTTP/1.1  101", "HTTP/1.1\t101", "HTTP/1.1101", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 101x", "HTTP/1.1 101\tx",
    "HTTP/11 101", "HTTP/1.10 101", "HTTP/ 101", "HTTP/1.1 101-",
  } do
    bad(line .. "\r\n\r\n", "HEAD_LINE", nil, true)
  end
  bad("ICY 101 OK\r\n\r\n", "HEAD_LINE", nil, true)
  bad("http/1.1 101\r\n\r\n", "HEAD_LINE", 5, true)
  bad("HTTP/1.1 101 \0\r\n\r\n", "HEAD_LINE", 14, true)
  bad("HTTP/2.0 101\r\n\r\n", "HEAD_VERSION", 14, true)
  for _, code in ipairs { 100, 199, 204, 304, 599, 600, 999 } do
    lu.assertEquals(good(("HTTP/1.1 %d\r\n\r\n"):format(code), true).status, code)
  end
end

-- MH-40 needs the version: it is kept.
function T:test_old_and_later_minor_versions_of_responses()
  lu.assertEquals(good("HTTP/1.0 200 OK\r\n\r\n", true).version, "HTTP/1.0")
  lu.assertEquals(good("HTTP/1.9 200 OK\r\n\r\n", true).version, "HTTP/1.9")
end

function T:test_the_other_kind()
  lu.assertEquals({ parsed(REQUEST, true) }, { nil, "HEAD_LINE" })
  lu.assertEquals({ parsed(RESPONSE, false) }, { nil, "HEAD_LINE" })
end

-- ---- fields ------------------------------------------------------------------------

function T:test_MH_17_space_before_colon()
  bad(request "Upgrade : websocket\r\n", "HEAD_SYNTAX", 24)
  bad(request "Upgrade\t: websocket\r\n", "HEAD_SYNTAX", 24)
  bad(response "Upgrade : websocket\r\n", "HEAD_SYNTAX", 25, true)
end

function T:test_MH_18_space_around_values()
  for value, kept in pairs {
    ["\twebsocket \t"] = "websocket", ["x"] = "x", [""] = "", [" "] = "", ["\t \t"] = "", ["  a  b  "] = "a  b",
    [" a\tb"] = "a\tb", [" :"] = ":", [" a:b"] = "a:b", [" \xA0x\xA0"] = "\xA0x\xA0",
  } do
    lu.assertEquals(good(request("U:" .. value .. "\r\n")).fields, { { "U", kept } })
  end
end

function T:test_MH_19_fold_in_a_request()
  bad(request "X: a\r\n b\r\n", "HEAD_SYNTAX", 23)
  bad(request "X: a\r\n\tb\r\n", "HEAD_SYNTAX", 23)
  bad(request "X: a\r\n \r\n", "HEAD_SYNTAX", 23)
end

function T:test_MH_20_fold_in_a_response()
  for fold, value in pairs {
    ["a\r\n b"] = "a   b", ["a\r\n\t b"] = "a    b", ["a \r\n b"] = "a    b", ["a\r\n b\r\n c"] = "a   b   c",
    ["\r\n a"] = "a", ["a\r\n  "] = "a", ["\r\n \r\n "] = "", ["a\r\n :"] = "a   :",
  } do
    lu.assertEquals(good(response("X: " .. fold .. "\r\nY: z\r\n"), true).fields, { { "X", value }, { "Y", "z" } })
  end
end

function T:test_a_fold_is_filled_in_place_and_nothing_else_changes()
  local s = "HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\n\r\n"
  lu.assertEquals((probe.parse(s .. "\r\n x", true, 9)), "HTTP/1.1 200 OK\r\nX: a   b\r\n\r\n\r\n x")
  lu.assertEquals((probe.parse(REQUEST, false, 9)), REQUEST)
end

function T:test_MH_22_controls_in_values()
  for b = 0, 0x7F do
    local c = string.char(b)
    if (b < 0x20 and c ~= "\t" or b == 0x7F) and c ~= "\r" then
      bad(request("X: a" .. c .. "b\r\n"), "HEAD_SYNTAX", 21)
      bad(response("X: a" .. c .. "b\r\n"), "HEAD_SYNTAX", 22, true)
    elseif c ~= "\r" then
      good(request("X: a" .. c .. "b\r\n"))
    end
  end
end

function T:test_MH_23_names_are_tokens()
  bad(request ": x\r\n", "HEAD_SYNTAX", 17)
  bad(request "a b: x\r\n", "HEAD_SYNTAX", 18)
  bad(request "no colon\r\n", "HEAD_SYNTAX")
  bad(request "nocolon\r\n", "HEAD_SYNTAX", 24)
  for b = 0, 255 do
    local c = string.char(b)
    local s = request("X" .. c .. "Y: v\r\n")
    if c:find "[%w!#$%%&'*+.^_`|~-]" then
      lu.assertEquals(good(s).fields[1][1], "X" .. c .. "Y")
    elseif c ~= ":" then
      bad(s, "HEAD_SYNTAX", 18)
    end
  end
end

function T:test_MH_24_25_names_in_any_case_and_several_lines()
  local fields = { { "CONNECTION", "a, b" }, { "x", "1" }, { "connection", "Upgrade" }, { "Connection", "" } }
  lu.assertEquals({ probe.find(fields, "Connection") }, { 3, "a, b", "Upgrade", "" })
  lu.assertEquals({ probe.find(fields, "Connectio") }, { 0 })
  lu.assertEquals({ probe.find({}, "X") }, { 0 })
  lu.assertTrue(probe.has_token(fields, "connection", "B"))
  lu.assertTrue(probe.has_token(fields, "Connection", "upgrade"))
  lu.assertFalse(probe.has_token(fields, "Connection", "Upgrad"))
  lu.assertFalse(probe.has_token(fields, "X", "upgrade"))
end

-- MH-28, H5: an element, not a part of one.
function T:test_MH_28_H5_tokens_of_lists()
  local function has(value) return probe.has_token({ { "C", value } }, "c", "upgrade") end
  for _, value in ipairs { "Upgrade", "keep-alive, Upgrade", ", Upgrade,", "UPGRADE", "a,upgrade,b",
  " , ,\tupgrade\t,",
    '"a, b", upgrade', '"\\"", upgrade' } do
    lu.assertTrue(has(value), value)
  end
  for _, value in ipairs { "", ",", "xUpgrade", "Upgradex", "up grade", "upgrade/1", '"upgrade"', '"a, upgrade, b"',
    "upgrade;q=1", '"upgrade, upgrade', "upgrade\\" } do
    lu.assertFalse(has(value), value)
  end
end

-- SC-01: the whole list is well-formed, not only what is looked for in it.
function T:test_SC_01_lists_of_tokens_and_of_versions()
  local function is(value, versions)
    return probe.is_list({ { "x", "" }, { "C", "a" }, { "c", value } }, "C", versions)
  end
  for _, value in ipairs { "", ",", "a", " a\t,, b ,", "close, Upgrade" } do
    lu.assertTrue(is(value), value)
    lu.assertTrue(is(value, true), value)
  end
  for _, value in ipairs { "a b", "a, b c", "a;b", "a, @", '"a"', 'a, "b', "a=b", "\xC3\xA9",
    "a, b/", "/b", "a/b/c", "a / b" } do
    lu.assertFalse(is(value), value)
    lu.assertFalse(is(value, true), value)
  end
  lu.assertFalse(is "a/1")
  lu.assertTrue(is("a/1, b, TLS/1.0", true))
  lu.assertTrue(probe.is_list({}, "C", false))
end

-- ---- limits ------------------------------------------------------------------------

local NONE = { size = 0, lines = 0, line = 0, target = 0 }

local function with(limits)
  local t = {}
  for k, v in pairs(NONE) do t[k] = limits[k] or v end
  return t
end

function T:test_MH_27_H2_size()
  for _, s in ipairs { REQUEST, RESPONSE } do
    lu.assertEquals((verdict(s, with { size = #s + 1 })), #s)
    lu.assertEquals((verdict(s, with { size = #s })), #s)
    local answer, at = verdict(s, with { size = #s - 1 })
    lu.assertEquals({ answer, at }, { "HEAD_BIG", #s - 1 })
    -- bytes behind the head do not count
    lu.assertEquals((verdict(s .. ("x"):rep(99), with { size = #s })), #s)
  end
end

function T:test_H2_lines()
  local function lines(n) return request(("X: y\r\n"):rep(n)) end
  lu.assertEquals((verdict(lines(100))), #lines(100))
  lu.assertEquals((verdict(lines(99))), #lines(99))
  local answer, at = verdict(lines(101))
  lu.assertEquals({ answer, at }, { "HEAD_LINES", 16 + 600 + 1 })
  lu.assertEquals((verdict(lines(3), with { lines = 3 })), #lines(3))
  lu.assertEquals((verdict(lines(4), with { lines = 3 })), "HEAD_LINES")
  -- a fold is a line too
  lu.assertEquals((verdict(response "X: a\r\n b\r\n c\r\n", with { lines = 3 })), 17 + 6 + 4 + 4 + 2)
  lu.assertEquals((verdict(response "X: a\r\n b\r\n c\r\n", with { lines = 2 })), "HEAD_LINES")
end

function T:test_H2_line()
  local function line(n) return request("X: " .. ("y"):rep(n - 3) .. "\r\n") end
  for _, n in ipairs { 8191, 8192 } do lu.assertEquals((verdict(line(n))), #line(n)) end
  local answer, at = verdict(line(8193))
  lu.assertEquals({ answer, at }, { "HEAD_BIG", 16 + 8193 })
  -- wherever in the line the limit is
  local s = request "abc: de\r\n"
  lu.assertEquals((verdict(s, with { line = 7 })), #s)
  for n = 1, 6 do
    lu.assertEquals({ verdict(s, with { line = n }) }, { "HEAD_BIG", 16 + n + 1 })
  end
  -- a status line has that limit too
  lu.assertEquals((verdict("HTTP/1.1 200 OK\r\n\r\n", with { line = 15 })), 19)
  lu.assertEquals({ verdict("HTTP/1.1 200 OK\r\n\r\n", with { line = 14 }) }, { "HEAD_BIG", 15 })
end

function T:test_MH_08_target()
  local function target(n) return "GET /" .. ("t"):rep(n - 1) .. " HTTP/1.1\r\n\r\n" end
  for _, n in ipairs { 8000, 8191, 8192 } do lu.assertEquals((verdict(target(n))), #target(n)) end
  lu.assertEquals({ verdict(target(8193)) }, { "HEAD_TARGET", 4 + 8193 })
  lu.assertEquals((verdict(target(3), with { target = 3 })), #target(3))
  lu.assertEquals((verdict(target(4), with { target = 3 })), "HEAD_TARGET")
end

function T:test_H2_total_of_the_defaults()
  local function total(n)
    local s = "GET / HTTP/1.1\r\n" .. ("X: " .. ("y"):rep(995) .. "\r\n"):rep(32)
    return s .. "Z: " .. ("z"):rep(n - #s - 7) .. "\r\n\r\n"
  end
  lu.assertEquals((head.scanner():scan(total(32768))), 32768)
  lu.assertEquals((select(4, head.scanner():scan(total(32769)))), "HEAD_BIG")
end

-- What C gets that names no limits: the same.
function T:test_defaults()
  local function feed(lines) return (probe.dribble(request(lines))) end
  lu.assertEquals({ probe.dribble(REQUEST) }, { #REQUEST, #REQUEST })
  lu.assertEquals({ probe.dribble(("A"):rep(3)) }, { "MORE", 3 })
  lu.assertEquals(feed(("X: y\r\n"):rep(101)), "HEAD_LINES")
  lu.assertEquals(feed("X: " .. ("y"):rep(8190) .. "\r\n"), "HEAD_BIG")
  lu.assertEquals((probe.dribble("GET /" .. ("t"):rep(8192) .. " HTTP/1.1\r\n\r\n")), "HEAD_TARGET")
end

function T:test_limits_of_nothing_are_none()
  local s = "GET /" .. ("t"):rep(50000) .. " HTTP/1.1\r\n" .. ("X: y\r\n"):rep(5000) .. "Z: " .. ("z"):rep(50000)
    .. "\r\n\r\n"
  lu.assertEquals((head.scanner(NONE):scan(s)), #s)
  lu.assertEquals(#head.parse(s).fields, 5001)
end

-- H2: a hundred thousand copies of a name are refused after a hundred.
function T:test_H2_copies_of_a_name()
  local answer = select(4, head.scanner(with { lines = 100 }):scan(request(("Host: h\r\n"):rep(100000))))
  lu.assertEquals(answer, "HEAD_LINES")
end

function T:test_room_for_fields()
  lu.assertEquals({ probe.parse(REQUEST, false, 6) }, { nil, "HEAD_LINES" })
  lu.assertEquals(select(2, probe.parse(REQUEST, false, 7)), 7)
  lu.assertEquals({ probe.parse(REQUEST, false, 0) }, { nil, "HEAD_LINES" })
  lu.assertEquals(select(2, probe.parse("GET / HTTP/1.1\r\n\r\n", false, 0)), 0)
end

function T:test_an_error_stays()
  local scanner = head.scanner()
  lu.assertEquals((select(4, scanner:scan "GET / HTTP/1.1\r\nX\r\n")), "HEAD_SYNTAX")
  lu.assertEquals((select(4, scanner:scan "GET / HTTP/1.1\r\nX\r\n\r\n")), "HEAD_SYNTAX")
end

-- ---- cost --------------------------------------------------------------------------

-- H1: byte by byte costs per byte, not per byte squared, and the limit is the
-- end of it.
function T:test_H1_one_byte_at_a_time()
  local function make(n) return "GET / HTTP/1.1\r\nX: " .. ("y"):rep(n) .. "\r\n\r\n" end
  growth.linear(make, function(s) return probe.dribble(s, 0) end, 20000, "value")
  growth.linear(function(n) return request(("a: b\r\n"):rep(n)) end,
    function(s) return probe.dribble(s, 0) end, 4000, "lines")
  growth.linear(function(n) return ("GET /" .. ("t"):rep(n)) end,
    function(s) return probe.dribble(s, 0) end, 20000, "target")
  local start = os.clock()
  lu.assertEquals({ probe.dribble(make(65536), 65536) }, { "HEAD_BIG", 65536 })
  lu.assertTrue(os.clock() - start < 0.05 * clock.slow)
  lu.assertEquals({ probe.dribble(REQUEST, 0) }, { #REQUEST, #REQUEST })
end

function T:test_parse_is_linear()
  growth.linear(function(n) return request(("a:b\r\n"):rep(n)) end, head.parse, 500, "many fields")
  growth.linear(function(n) return request("a:" .. (" "):rep(n) .. "\r\n") end, head.parse, 20000, "spaces")
  growth.linear(function(n) return response("a:b" .. ("\r\n "):rep(n) .. "\r\n") end,
    function(s) return head.parse(s, true) end, 5000, "folds")
  growth.linear(function(n) return { { "C", (","):rep(n) } } end,
    function(fields) return probe.has_token(fields, "C", "x") end, 20000, "commas")
end

-- Random bytes put into good heads: both ways of reading agree, and a head
-- that is accepted reads the same again.
function T:test_random_damage()
  for _ = 1, 400 do
    local is_response = math.random(2) == 1
    local s = is_response and RESPONSE or REQUEST
    for _ = 1, math.random(3) do
      local at = math.random(#s)
      s = s:sub(1, at - 1) .. bytes.random(math.random(0, 2)) .. s:sub(at + math.random(0, 2))
    end
    local answer = verdict(s)
    local h, name = parsed(s, is_response)
    if math.type(answer) and h then
      lu.assertEquals(h.size, answer)
      lu.assertEquals(parsed(s:sub(1, answer), is_response), h)
    elseif not math.type(answer) then
      lu.assertNil(h or nil)
      lu.assertEquals(name or "more", answer)
    end
  end
end

return T
