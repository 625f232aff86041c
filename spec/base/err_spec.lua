-- spec/base/err_spec.lua -- the list of errors: columns, numbers, no holes.

local lu = require "luaunit"
local err = require "wsock.probe".base.err

local T = {}

local WORDS = {
  NOMEM = true, SYSTEM = true, RANDOM = true, LIMIT = true, PROTOCOL = true,
  TOOBIG = true, HANDSHAKE = true, TIMEOUT = true, CLOSED = true,
  BUFFER = true, ARGUMENT = true, PROXY = true, TLS = true,
}

function T:test_columns_of_some()
  lu.assertEquals({ err.row(err.codes.NOMEM) },
    { "NOMEM", "NOMEM", 1011, 503, "out of memory" })
  lu.assertEquals({ err.row(err.codes.UTF8) },
    { "UTF8", "PROTOCOL", 1007, 0, "text message is not valid UTF-8" })
  lu.assertEquals({ err.row(err.codes.HEAD_BIG) },
    { "HEAD_BIG", "HANDSHAKE", 0, 431, "HTTP head is larger than maxHeaderSize" })
  lu.assertEquals({ err.row(err.codes.TOOBIG) },
    { "TOOBIG", "TOOBIG", 1009, 413, "message is larger than maxPayload" })
end

function T:test_every_code_is_negative_distinct_and_known()
  local seen, n = {}, 0
  for name, code in pairs(err.codes) do
    lu.assertTrue(code < 0 and code > err.last, name)
    lu.assertNil(seen[code], name)
    seen[code], n = true, n + 1
    lu.assertEquals((err.row(code)), name)
  end
  lu.assertEquals(n, -1 - err.last) -- no holes: -1 to last + 1
end

function T:test_every_row_is_usable()
  for name, code in pairs(err.codes) do
    local _, word, close, status, text = err.row(code)
    lu.assertTrue(WORDS[word], name .. ": " .. word)
    lu.assertTrue(close == 0 or close >= 1002 and close <= 1011, name)
    lu.assertTrue(status == 0 or status >= 400 and status <= 505, name)
    lu.assertStrMatches(text, "[%w].*[%w]", nil, nil, name)
  end
end

function T:test_close_codes_may_be_sent()
  -- RFC 6455 7.4.1: 1004, 1005 and 1006 never stand in a frame.
  for name, code in pairs(err.codes) do
    local _, _, close = err.row(code)
    lu.assertFalse(close >= 1004 and close <= 1006, name)
  end
end

function T:test_what_is_no_error()
  for _, code in ipairs { 0, 1, 2, 1000, 2147483647, err.last, err.last - 1, -2147483648 } do
    lu.assertEquals({ err.row(code) }, { "OK", "OK", 0, 0, "no error" }, tostring(code))
  end
end

return T
