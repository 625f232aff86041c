-- spec/wire/body_spec.lua -- how bodies are framed, and chunked ones: rows
-- MH-35 to MH-38 of the matrix.

local lu = require "luaunit"
local head = require "wsock.core".wire.head
local bytes = require "support.bytes"
local growth = require "support.growth"

local T = {}
T.alone = true -- it measures

local function body(lines, status, version)
  local start = status and ("HTTP/%s %d\r\n"):format(version or "1.1", status) or "POST / HTTP/1.1\r\n"
  local kind, length, _, name = head.body(start .. lines .. "\r\n", status ~= nil)
  return kind or name, kind and length
end

local function is(lines, status, kind, length)
  lu.assertEquals({ body(lines, status) }, { kind, length or 0 }, lines)
end

local function bad(lines, name)
  lu.assertEquals((body(lines)), name, lines)
  lu.assertEquals((body(lines, 200)), name, lines)
end

-- ---- framing -------------------------------------------------------------------

function T:test_framing()
  is("", nil, "none")
  is("", 200, "close")
  is("Content-Length: 5\r\n", nil, "length", 5)
  is("Content-Length: 5\r\n", 404, "length", 5)
  is("Transfer-Encoding: chunked\r\n", nil, "chunked")
  is("transfer-encoding: CHUNKED\r\n", 200, "chunked")
end

-- MH-36: a length of nothing is nothing.
function T:test_MH_36_length_zero()
  is("Content-Length: 0\r\n", nil, "none")
  is("Content-Length: 000\r\n", nil, "none")
  is("Content-Length: 0\r\n", 200, "none")
end

function T:test_responses_without_a_body()
  for _, status in ipairs { 100, 101, 103, 199, 204, 304 } do
    is("", status, "none")
    is("Content-Length: 5\r\n", status, "none")
    is("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", status, "none")
  end
  for _, status in ipairs { 200, 203, 205, 303, 305, 600 } do is("", status, "close") end
end

function T:test_MH_36_both()
  bad("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "HEAD_LENGTH")
  bad("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "HEAD_LENGTH")
  bad("Content-Length: 0\r\nTransfer-Encoding: identity\r\n", "HEAD_LENGTH")
end

function T:test_MH_37_bad_lengths()
  for _, value in ipairs {
    "-1", "+5", "5,6", "0x5", "5 5", "", "5.0", "5e3", "five", ",", "5,", ",5", "5,,5", "5;5", "\xB2", "1_0",
    "9223372036854775808", "18446744073709551615", "18446744073709551616", ("9"):rep(400), "5, 6", "5, 5, 05x",
  } do
    bad("Content-Length: " .. value .. "\r\n", "HEAD_LENGTH")
  end
  bad("Content-Length: 5\r\nContent-Length: 6\r\n", "HEAD_LENGTH")
  bad("Content-Length: 5\r\nX: y\r\ncontent-length: \r\n", "HEAD_LENGTH")
end

function T:test_repeated_lengths_that_agree()
  is("Content-Length: 5, 5\r\n", nil, "length", 5)
  is("Content-Length: 5,5 ,\t5\r\n", nil, "length", 5)
  is("Content-Length: 5\r\nContent-Length: 5\r\n", 200, "length", 5)
  is("Content-Length: 5\r\nContent-Length: 5, 05\r\n", nil, "length", 5)
end

function T:test_large_lengths()
  is("Content-Length: 9223372036854775807\r\n", nil, "length", math.maxinteger)
  is("Content-Length: " .. ("0"):rep(500) .. "7\r\n", nil, "length", 7)
  is("Content-Length: 4294967296\r\n", 200, "length", 4294967296)
end

function T:test_MH_36_codings()
  for _, value in ipairs { "gzip", "identity", "gzip, chunked", "chunked, gzip", "chunked, chunked", "", ",",
  "chunked,",
    "chunked;x=y", "xchunked", "\"chunked\"", "chunked\t, x" } do
    bad("Transfer-Encoding: " .. value .. "\r\n", "HEAD_CODING")
  end
  bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "HEAD_CODING")
  bad("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "HEAD_CODING")
end

function T:test_no_codings_in_HTTP_1_0()
  lu.assertEquals((body("Transfer-Encoding: chunked\r\n", 200, "1.0")), "HEAD_LENGTH")
  lu.assertEquals((body("Content-Length: 5\r\n", 200, "1.0")), "length")
end

-- ---- chunks --------------------------------------------------------------------

-- Data, rest; or "more" with the data so far; or nil and the error.  In one
-- piece, byte by byte and in random cuts, which must agree.
local function read(s)
  local function feed(pieces)
    local reader, out = head.chunked(), {}
    for i, piece in ipairs(pieces) do
      local data, done, rest, name = reader:feed(piece)
      if not data then return nil, name end
      out[#out + 1] = data
      if done then return table.concat(out), rest .. table.concat(pieces, "", i + 1) end
      lu.assertEquals(rest, "")
    end
    return "more", table.concat(out)
  end
  local single = {}
  for piece in bytes.pieces(s) do single[#single + 1] = piece end
  local whole = { feed { s } }
  lu.assertEquals({ feed(single) }, whole, bytes.hex(s))
  lu.assertEquals({ feed(bytes.cuts(s, 7)) }, whole, bytes.hex(s))
  return table.unpack(whole, 1, 2)
end

function T:test_MH_38_chunks()
  for s, expected in pairs {
    ["0\r\n\r\n"] = { "", "" }, ["5\r\nhello\r\n0\r\n\r\n"] = { "hello", "" },
    ["5\r\nhello\r\n6\r\n world\r\n000\r\n\r\nrest"] = { "hello world", "rest" },
    ["a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"] = { "01234567890123456789", "" },
    ["00000000000000005\r\n"] = { nil, "HEAD_LENGTH" }, ["0000000000000005\r\nhello\r\n0\r\n\r\n"] = { "hello", "" },
    ["2\r\n\r\n\r\n0\r\n\r\n"] = { "\r\n", "" }, ["1\r\n\0\r\n0\r\n\r\n"] = { "\0", "" },
    ["5;x\r\nhello\r\n0;y=z\r\n\r\n"] = { "hello", "" }, ["5 \t;x=\"y;z\" \r\nhello\r\n0\r\n\r\n"] = { "hello", "" },
    ["0\r\nA: b\r\nC:\r\nD: \t e \xC3\r\n\r\nx"] = { "", "x" }, ["5;\r\nhello\r\n0\r\n\r\n"] = { "hello", "" },
  } do
    lu.assertEquals({ read(s) }, expected, bytes.hex(s))
  end
end

function T:test_truncation_at_every_byte()
  local s = "5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"
  for n = 0, #s - 1 do lu.assertEquals((read(s:sub(1, n))), "more") end
  lu.assertEquals(read(s), "hello")
end

function T:test_bad_chunks()
  for s, name in pairs {
    ["\r\n"] = "HEAD_LENGTH", ["g\r\n"] = "HEAD_LENGTH", ["-1\r\n"] = "HEAD_LENGTH", ["+1\r\n"] = "HEAD_LENGTH",
    ["0x5\r\n"] = "HEAD_LENGTH", [" 5\r\n"] = "HEAD_LENGTH", [";x\r\n"] = "HEAD_LENGTH", ["5\n"] = "HEAD_LENGTH",
    ["5\rx"] = "HEAD_LENGTH", ["5\r\nhelloX"] = "HEAD_LENGTH", ["5\r\nhello\n"] = "HEAD_LENGTH",
    ["5\r\nhello\r5"] = "HEAD_LENGTH",
    ["5 \r\n"] = "HEAD_SYNTAX", ["5 x"] = "HEAD_SYNTAX", ["5;\n"] = "HEAD_SYNTAX", ["5;\0"] = "HEAD_SYNTAX",
    ["5;x\rx"] = "HEAD_LENGTH", ["0\r\n x"] = "HEAD_SYNTAX", ["0\r\n:"] = "HEAD_SYNTAX", ["0\r\nA b"] = "HEAD_SYNTAX",
    ["0\r\nA\r\n"] = "HEAD_SYNTAX", ["0\r\nA: \1"] = "HEAD_SYNTAX", ["0\r\nA: b\n"] = "HEAD_SYNTAX",
    ["0\r\n\n"] = "HEAD_SYNTAX",
    ["0\r\n\rx"] = "HEAD_LENGTH", ["0\r\nA: b\rx"] = "HEAD_LENGTH", ["5\r\r\n"] = "HEAD_LENGTH",
    ["5.0\r\n"] = "HEAD_LENGTH",
    ["8000000000000000\r\n"] = "HEAD_LENGTH", ["ffffffffffffffff\r\n"] = "HEAD_LENGTH",
    ["fffffffffffffffff\r\n"] = "HEAD_LENGTH",
    ["\x80"] = "HEAD_LENGTH",
  } do
    lu.assertEquals({ read(s) }, { nil, name }, bytes.hex(s))
  end
end

function T:test_the_largest_chunk()
  local reader = head.chunked()
  lu.assertEquals({ reader:feed "7fffffffffffffff\r\nabc" }, { "abc", false, "" })
  lu.assertEquals({ reader:feed(("x"):rep(70000)) }, { ("x"):rep(70000), false, "" })
end

-- Extensions and trailers share one bound.
function T:test_extensions_and_trailers_are_bounded()
  local function extension(n) return "1" .. ";" .. ("x"):rep(n - 1) .. "\r\na\r\n0\r\n\r\n" end
  lu.assertEquals(read(extension(8191)), "a")
  lu.assertEquals(read(extension(8192)), "a")
  lu.assertEquals({ read(extension(8193)) }, { nil, "HEAD_BIG" })
  lu.assertEquals({ read("0\r\nA:" .. (" "):rep(8190) .. "\r\n\r\n") }, { "", "" })
  lu.assertEquals({ read("0\r\nA:" .. (" "):rep(8191) .. "\r\n\r\n") }, { nil, "HEAD_BIG" })
  lu.assertEquals({ read("1;" .. ("x"):rep(4096) .. "\r\na\r\n0\r\nA:" .. ("b"):rep(4094) .. "\r\n\r\n") }, { nil,
    "HEAD_BIG" })
  lu.assertEquals({ read(("1;x\r\na\r\n"):rep(4097) .. "0\r\n\r\n") }, { nil, "HEAD_BIG" })
  lu.assertEquals({ read(("1;x\r\na\r\n"):rep(4096) .. "0\r\n\r\n") }, { ("a"):rep(4096), "" })
end

function T:test_nothing_is_read_behind_the_end()
  local reader = head.chunked()
  lu.assertEquals({ reader:feed "0\r\n\r\n5\r\n" }, { "", true, "5\r\n" })
  lu.assertEquals({ reader:feed "more" }, { "", true, "more" })
  lu.assertEquals({ reader:feed "" }, { "", true, "" })
end

function T:test_linear()
  growth.linear(function(n) return ("1\r\na\r\n"):rep(n) end, function(s) head.chunked():feed(s) end, 5000)
end

return T
