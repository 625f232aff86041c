-- spec/net/prelude_spec.lua -- what streams of proxies have in common: bytes
-- pass once they are open, errors below are told in the words of below.

local lu = require "luaunit"
local bytes = require "support.bytes"
local tunnels = require "support.tunnels"

local T = tunnels.class { kind = "http", host = "h", port = 80 }

local YES = "HTTP/1.1 200 OK\r\n\r\n"

function T:opened(behind, options)
  local t = self:tunnel(options)
  t:feed(YES .. (behind or ""))
  lu.assertTrue(t:open())
  t:said()
  return t
end

function T:test_what_came_behind_goes_first()
  local t = self:opened "abcdef"
  t:feed "gh"
  lu.assertEquals(t:want(), "pending")
  bytes.equals(t:read(4), "abcd")
  lu.assertEquals(t:want(), "pending")
  bytes.equals(t:read(4), "ef")
  lu.assertEquals(t:want(), "pending") -- the socket may have more and not say so again
  bytes.equals(t:read(4), "gh")
  lu.assertEquals(t:want(), "")
  lu.assertEquals({ t:read(4) }, { nil, "AGAIN" })
  t:ends()
  bytes.equals(t:read(4), "")
end

function T:test_the_answer_keeps_no_memory()
  local t = self:opened()
  lu.assertTrue(self.mem:state().used < 700, self.mem:state().used)
  t:feed "x"
  lu.assertEquals(t:read(1), "x")
end

function T:test_writes_pass()
  local t = self:opened(nil, { sip = 3 })
  lu.assertEquals(t:write "hello", 3)
  lu.assertEquals(t:write "lo", 2)
  lu.assertEquals(t:said(), "hello")
  t:mute(true)
  lu.assertEquals({ t:write "x" }, { nil, "AGAIN" })
  t:mute(false)
  lu.assertTrue(t:shutdown())
end

function T:test_it_waits_to_be_able_to_ask()
  local t = self:tunnel()
  t:mute(true)
  lu.assertEquals({ t:open() }, { nil, "AGAIN" })
  lu.assertEquals(t:want(), "opening read_out")
  t:mute(false)
  lu.assertEquals({ t:open() }, { nil, "AGAIN" })
  lu.assertEquals(t:want(), "opening")
  lu.assertStrContains(t:said(), "CONNECT h:80 HTTP/1.1\r\n")
end

function T:test_errors_below_are_its_own()
  local t = self:tunnel()
  t:breaks()
  lu.assertEquals({ t:open() }, { nil, "SYSTEM" })
  lu.assertEquals({ t:failure "recv" }, { "recv below", "BELOW" })
  t = self:tunnel()
  t:open()
  t:breaks()
  lu.assertEquals({ t:open() }, { nil, "SYSTEM" })
  lu.assertEquals({ t:failure "recv" }, { "recv below", "BELOW" })
  for _, call in ipairs { "read", "write" } do
    t = self:opened()
    t:breaks()
    lu.assertEquals({ t[call](t, call == "read" and 5 or "x") }, { nil, "SYSTEM" })
    lu.assertEquals({ t:failure(call) }, { call .. " below", "BELOW" })
  end
end

function T:test_closing_closes_below_once()
  local t = self:tunnel()
  lu.assertEquals(t:close(), 1)
  t = self:opened "left"
  lu.assertEquals(t:close(), 1)
end

function T:test_long_names_are_cut_in_words_only()
  local host = ("a"):rep(63) .. "." .. ("b"):rep(63) .. "." .. ("c"):rep(63) .. "." .. ("d"):rep(61)
  local t = self:tunnel { host = host }
  t:ends()
  lu.assertEquals({ t:open() }, { nil, "PROXY" })
  lu.assertStrMatches((t:failure "recv"), "CONNECT a+%.b+%.c+%.d+:80 by proxy:1080: the proxy ended the connection")
  lu.assertStrContains(t:said(), host .. ":80 HTTP/1.1\r\n")
end

-- It may be made before there is a socket, and go without ever having one.
function T:test_put_on_late_or_never()
  for _, kind in ipairs { "http", "socks" } do
    local t = self:tunnel { kind = kind, late = true, user = "u", password = "p" }
    t:feed(kind == "http" and YES or "\5\0\5\0\0\1\0\0\0\0\0\0")
    t:feed "x"
    lu.assertTrue(t:open())
    lu.assertEquals(t:read(9), "x")
    lu.assertEquals(t:close(), 1)
    t = self:tunnel { kind = kind, late = 1 }
    lu.assertEquals(t:close(), 0)
  end
end

function T:test_words_of_a_status()
  local t = self:tunnel { host = "::1" }
  t:feed "HTTP/1.1 503 Busy\r\n\r\n"
  lu.assertEquals({ t:open() }, { nil, "PROXY" })
  lu.assertEquals({ t:failure "send" }, { "CONNECT [::1]:80 by proxy:1080: 503 Busy", "PROXY" })
end

function T:test_no_memory()
  self.mem:fail(1)
  lu.assertEquals({ self:tunnel() }, { nil, "NOMEM" })
  local t = self:tunnel()
  t:feed(YES)
  self.mem:fail(1)
  lu.assertEquals({ t:open() }, { nil, "PROXY" })
  lu.assertEquals(t:failure "recv", "CONNECT h:80 by proxy:1080: out of memory")
end

return T
