-- What the conformance suites for WebSocket ask of an endpoint that echoes
-- messages: framing, control frames, fragments, UTF-8 and closing, under the
-- numbers by which Autobahn's cases are known.
--
-- A case is {number, list of frames sent to the endpoint, list of frames it
-- answers}.  A frame sent is a table for bytes.frame.  An answer is "text:...",
-- "binary:...", "pong:..." or "close:CODE" ("close:" without a code), and the
-- last one is the end.  `chop` asks for pieces of so many bytes.

local function text(s) return { op = "text", s } end
local function binary(s) return { op = "binary", s } end
local function ping(s) return { op = "ping", s or "" } end
local function pong(s) return { op = "pong", s or "" } end
local function first(s) return { op = "text", fin = false, s } end
local function more(s) return { op = "continuation", fin = false, s } end
local function last(s) return { op = "continuation", s } end
local function close(code, reason)
  return { op = "close", code and string.pack(">I2", code) .. (reason or "") or "" }
end
local BYE, DONE = close(1000), "close:1000"

local list = {}
local function case(number, sent, answers, chop)
  list[#list + 1] = { number, sent, answers, chop = chop }
end

-- ---- 1: lengths ------------------------------------------------------------

for i, n in ipairs { 0, 125, 126, 127, 128, 65535, 65536 } do
  case("1.1." .. i, { text(("*"):rep(n)), BYE }, { "text:" .. ("*"):rep(n), DONE })
  case("1.2." .. i, { binary(("\xfe"):rep(n)), BYE }, { "binary:" .. ("\xfe"):rep(n), DONE })
end
case("1.1.8", { text(("*"):rep(65536)), BYE }, { "text:" .. ("*"):rep(65536), DONE }, 997)
case("1.2.8", { binary(("\xfe"):rep(65536)), BYE }, { "binary:" .. ("\xfe"):rep(65536), DONE }, 997)

-- ---- 2: pings and pongs ----------------------------------------------------

local odd = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
case("2.1", { ping(), BYE }, { "pong:", DONE })
case("2.2", { ping "Hello, world!", BYE }, { "pong:Hello, world!", DONE })
case("2.3", { ping(odd), BYE }, { "pong:" .. odd, DONE })
case("2.4", { ping(("\xfe"):rep(125)), BYE }, { "pong:" .. ("\xfe"):rep(125), DONE })
case("2.5", { ping(("\xfe"):rep(126)), BYE }, { "close:1002" })
case("2.6", { ping(("\xfe"):rep(125)), BYE }, { "pong:" .. ("\xfe"):rep(125), DONE }, 1)
case("2.7", { pong(), BYE }, { DONE })
case("2.8", { pong "unsolicited", BYE }, { DONE })
case("2.9", { pong "unsolicited", ping "asked", BYE }, { "pong:asked", DONE })
do
  local sent, answers = {}, {}
  for i = 1, 10 do sent[i], answers[i] = ping("payload-" .. i), "pong:payload-" .. i end
  sent[11], answers[11] = BYE, DONE
  case("2.10", sent, answers)
  case("2.11", sent, answers, 1)
end

-- ---- 3: reserved bits ------------------------------------------------------

local hello = text "Hello, world!"
case("3.1", { { op = "text", rsv = 1, "Hello" }, BYE }, { "close:1002" })
case("3.2", { hello, { op = "text", rsv = 2, "Hello" }, ping() }, { "text:Hello, world!", "close:1002" })
case("3.3", { hello, { op = "text", rsv = 3, "Hello" }, ping() }, { "text:Hello, world!", "close:1002" })
case("3.4", { hello, { op = "text", rsv = 4, "Hello" }, ping() }, { "text:Hello, world!", "close:1002" }, 1)
case("3.5", { { op = "binary", rsv = 5, odd } }, { "close:1002" })
case("3.6", { { op = "ping", rsv = 6, "Hello" } }, { "close:1002" })
case("3.7", { { op = "close", rsv = 7, "" } }, { "close:1002" })

-- ---- 4: reserved opcodes ---------------------------------------------------

for i, op in ipairs { 3, 4, 5, 6, 7 } do
  case("4.1." .. i, { hello, { op = op, i % 2 == 0 and "x" or "" }, ping() },
    { "text:Hello, world!", "close:1002" }, i > 2 and 1 or nil)
end
for i, op in ipairs { 11, 12, 13, 14, 15 } do
  case("4.2." .. i, { hello, { op = op, i % 2 == 0 and "x" or "" }, ping() },
    { "text:Hello, world!", "close:1002" }, i > 2 and 1 or nil)
end

-- ---- 5: fragments ----------------------------------------------------------

local whole = { "text:fragment1fragment2", DONE }
case("5.1", { { op = "ping", fin = false, "fragment1" }, last "fragment2", BYE }, { "close:1002" })
case("5.2", { { op = "pong", fin = false, "fragment1" }, last "fragment2", BYE }, { "close:1002" })
case("5.3", { first "fragment1", last "fragment2", BYE }, whole)
case("5.5", { first "fragment1", last "fragment2", BYE }, whole, 1)
case("5.6", { first "fragment1", ping "now", last "fragment2", BYE },
  { "pong:now", "text:fragment1fragment2", DONE })
case("5.8", { first "fragment1", ping "now", last "fragment2", BYE },
  { "pong:now", "text:fragment1fragment2", DONE }, 1)
case("5.9", { last "nothing to continue", hello }, { "close:1002" })
case("5.11", { last "nothing to continue", hello }, { "close:1002" }, 1)
case("5.12", { more "nothing to continue", hello }, { "close:1002" })
case("5.14", { more "nothing to continue", hello }, { "close:1002" }, 1)
case("5.15", { first "fragment1", last "fragment2", more "fragment3", text "fragment4" },
  { "text:fragment1fragment2", "close:1002" })
case("5.16", { more "fragment1", first "fragment2", last "fragment3" }, { "close:1002" })
case("5.17", { last "fragment1", first "fragment2", last "fragment3" }, { "close:1002" })
case("5.18", { first "fragment1", text "fragment2" }, { "close:1002" })
for i, chop in ipairs { false, 1 } do
  case("5." .. 18 + i, { first "fragment1", more "fragment2", ping "one", more "fragment3", more "fragment4",
    ping "two", last "fragment5", BYE },
    { "pong:one", "pong:two", "text:fragment1fragment2fragment3fragment4fragment5", DONE }, chop or nil)
end

-- ---- 6: UTF-8 --------------------------------------------------------------

local kosme = "Hello-µ@ßöäüàá-UTF-8!!"
local function octets(s)
  local sent = {}
  for i = 1, #s do
    local c = s:sub(i, i)
    sent[i] = i == 1 and #s == 1 and text(c) or i == 1 and first(c) or i == #s and last(c) or more(c)
  end
  return sent
end
local function with(sent, frame)
  sent[#sent + 1] = frame
  return sent
end
case("6.1.1", { text "", BYE }, { "text:", DONE })
case("6.1.2", { first "", more "", last "", BYE }, { "text:", DONE })
case("6.1.3", { first "", more "middle", last "", BYE }, { "text:middle", DONE })
case("6.2.1", { text(kosme), BYE }, { "text:" .. kosme, DONE })
case("6.2.2", { first(kosme:sub(1, 12)), last(kosme:sub(13)), BYE }, { "text:" .. kosme, DONE })
case("6.2.3", with(octets(kosme), BYE), { "text:" .. kosme, DONE })
case("6.2.4", with(octets "κόσμε", BYE), { "text:κόσμε", DONE })
local broken = "κόσμε\xed\xa0\x80edited"
case("6.3.1", { text(broken), BYE }, { "close:1007" })
case("6.3.2", with(octets(broken), BYE), { "close:1007" })
-- fail fast: the message never ends, and is refused all the same
case("6.4.1", { first "κόσμε", more "\xf4\x90\x80\x80" }, { "close:1007" })
case("6.4.2", { first "κόσμε\xf4", more "\x90" }, { "close:1007" })
case("6.4.3", { { op = "text", length = 21, "κόσμε\xf4\x90" } }, { "close:1007" })
case("6.4.4", { { op = "text", length = 21, "κόσμε\xf4\x90" } }, { "close:1007" }, 1)

-- by section of the well-known stress test: what is text, what is not
local valid = {
  ["6.5"] = { "κόσμε" },
  ["6.6"] = { "\u{80}", "\u{800}", "\u{10000}" },
  ["6.7"] = { "\0", "\u{7F}" },
  ["6.9"] = { "\u{7F}", "\u{7FF}", "\u{FFFF}", "\u{10FFFF}" },
  ["6.11"] = { "\u{D7FF}", "\u{E000}", "\u{FFFD}", "\u{10FFFF}" },
  ["6.22"] = { "\u{FEFF}", "\u{FFFE}", "\u{1FFFE}", "\u{1FFFF}", "\u{10FFFE}", "\u{FDD0}" },
  ["6.23"] = { "\u{FFFC}", "\u{FFFD}" },
}
local invalid = {
  ["6.6"] = { "\xce", "\xce\xba\xe1", "\xce\xba\xe1\xbd", "κόσμ\xce" },
  ["6.8"] = { "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80" },
  ["6.10"] = { "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf" },
  ["6.11"] = { "\xf4\x90\x80\x80" },
  ["6.12"] = { "\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf" },
  ["6.13"] = { "\xc0 \xc1 ", "\xe0 \xe1 ", "\xf0 \xf1 ", "\xf8 ", "\xfc " },
  ["6.14"] = { "\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf" },
  ["6.15"] = { "\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf" },
  ["6.16"] = { "\xfe", "\xff", "\xfe\xfe\xff\xff" },
  ["6.17"] = { "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf" },
  ["6.18"] = { "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf" },
  ["6.19"] = { "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80" },
  ["6.20"] = { "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80",
    "\xed\xbf\xbf" },
  ["6.21"] = { "\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xbf\xbf" },
}
for number, texts in pairs(valid) do
  for i, s in ipairs(texts) do
    case(("%s valid %d"):format(number, i), { text(s), BYE }, { "text:" .. s, DONE })
  end
end
for number, texts in pairs(invalid) do
  for i, s in ipairs(texts) do
    case(("%s invalid %d"):format(number, i), { text(s), BYE }, { "close:1007" })
  end
end

-- ---- 7: closing ------------------------------------------------------------

case("7.1.1", { hello, BYE }, { "text:Hello, world!", DONE })
case("7.1.2", { BYE, BYE }, { DONE })
case("7.1.3", { BYE, ping() }, { DONE })
case("7.1.4", { BYE, hello }, { DONE })
case("7.1.5", { first "fragment1", BYE, last "fragment2" }, { DONE })
case("7.1.6", { text(("BAsd7&jh23"):rep(26214)), BYE, ping() },
  { "text:" .. ("BAsd7&jh23"):rep(26214), DONE })
case("7.3.1", { close() }, { "close:" })
case("7.3.2", { { op = "close", "a" } }, { "close:1002" })
case("7.3.3", { close(1000) }, { DONE })
case("7.3.4", { close(1000, "Hello World!") }, { DONE })
case("7.3.5", { close(1000, ("*"):rep(123)) }, { DONE })
case("7.3.6", { close(1000, ("*"):rep(124)) }, { "close:1002" })
case("7.5.1", { close(1000, "κόσμε\xed\xa0\x80edited") }, { "close:1007" })
for i, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999 } do
  case("7.7." .. i, { close(code) }, { "close:" .. code })
end
for i, code in ipairs { 0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999 } do
  case("7.9." .. i, { close(code) }, { "close:1002" })
end
for i, code in ipairs { 5000, 65535 } do
  case("7.13." .. i, { close(code) }, { "close:1002" })
end
-- registered since the suite was written
for _, code in ipairs { 1012, 1013, 1014 } do
  case("close " .. code, { close(code) }, { "close:" .. code })
end

return list
