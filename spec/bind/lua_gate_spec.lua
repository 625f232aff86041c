-- bind/lua_gate: who is let in. Hosts, origins and subprotocols.

local lu = require "luaunit"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

-- ---- hosts (X2) -------------------------------------------------------------------------

-- Each Host gets its status: WebSocket's, and that of a plain request, which finds a page.
local function asks_for(rig, option, rows)
  local _, _, port = rig:listen { hosts = option, origins = "*",
    onrequest = function(_, response) response:send(200, nil, "page") end }
  for host, want in pairs(rows) do
    lu.assertEquals(visitors.status(rig, port, { Host = host }), want, host)
    local plain = visitors.ask(rig, port, ("GET / HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host))
    lu.assertEquals(plain.status, want == 101 and 200 or want, host)
  end
end

function T:test_any_host_is_the_default()
  asks_for(self.rig, nil, { ["a"] = 101, ["evil.example:1"] = 101, ["[::1]"] = 101, ["127.0.0.1"] = 101 })
end

function T:test_listed_hosts()
  asks_for(self.rig, { "a.example", "B.example:8080", "c.example:443", "[::1]", "127.0.0.1" }, {
    ["a.example"] = 101, ["A.EXAMPLE"] = 101, ["a.example:1"] = 101, ["b.example:8080"] = 101, ["c.example"] = 101,
    ["c.example:443"] = 101, ["[::1]:99"] = 101, ["[0::1]"] = 101, ["127.0.0.1:8080"] = 101,
    ["b.example"] = 421, ["b.example:80"] = 421, ["c.example:80"] = 421, ["evil.example"] = 421, ["a.example."] = 421,
    ["a.example.evil"] = 421, ["xa.example"] = 421, ["127.0.0.2"] = 421, ["[::2]"] = 421, ["localhost"] = 421,
    ["u@a.example"] = 400, ["a.example:x"] = 400,
  })
  asks_for(self.rig, "a.example", { ["a.example"] = 101, ["b.example"] = 421 })
  asks_for(self.rig, {}, { ["a.example"] = 421 })
end

-- The target's authority is the host, where it has one (RFC 9112 3.2.2).
function T:test_the_host_of_an_absolute_target()
  local _, _, port = self.rig:listen { hosts = { "a.example" } }
  for start, want in pairs { ["GET http://A.example/ HTTP/1.1"] = 101, ["GET http://evil/ HTTP/1.1"] = 421 } do
    local _, answer = visitors.knock(self.rig, port, visitors.upgrade({ Host = "x" }, start))
    lu.assertEquals(answer.status, want)
  end
  lu.assertEquals(visitors.ask(self.rig, port, visitors.plain "GET http://a.example/ HTTP/1.1").status, 426)
end

-- Before anybody else is asked, and told as other gates are.
function T:test_another_host_is_told_so_and_asks_no_further()
  local asked, refused = false, {}
  local function ask() asked = true end
  local _, _, port = self.rig:listen { hosts = { "a.example" }, origins = ask, verify = ask, protocols = ask,
    onupgrade = ask, onrequest = ask, onrefused = function(...) refused[#refused + 1] = { ... } end }
  local post = "POST / HTTP/1.1\r\nHost: evil\r\nContent-Length: 5\r\n\r\nhello"
  for i, text in ipairs { visitors.upgrade(), visitors.plain(), post, visitors.plain "HEAD / HTTP/1.1" } do
    local answer = visitors.ask(self.rig, port, text)
    lu.assertEquals({ answer.status, answer.reason, answer.body, answer.headers.connection },
      { 421, "Misdirected Request", i < 4 and "host is not one of this server's\n" or "", "close" })
    self.rig:wait(function() return refused[i] end, "not told: " .. i)
    lu.assertEquals(refused[i], { "host is not one of this server's", "HANDSHAKE", "127.0.0.1" })
  end
  lu.assertEquals({ asked, #refused }, { false, 4 })
end

-- ---- origins (X1, S27, S89) -------------------------------------------------------------

local function origins(rig, option, rows, host)
  local _, _, port = rig:listen { origins = option }
  for origin, want in pairs(rows) do
    lu.assertEquals(visitors.status(rig, port, { Origin = origin, Host = host }), want, tostring(origin))
  end
end

function T:test_same_host_is_the_default()
  origins(self.rig, nil, {
    [false] = 101, ["http://example.com"] = 101, ["https://example.com"] = 101, ["https://EXAMPLE.com:444"] = 101,
    ["null"] = 403, ["http://evil-example.com"] = 403, ["http://example.com.evil"] = 403,
    ["http://example.com."] = 403, ["http://example.com:80@evil"] = 403, ["http://evil@example.com"] = 403,
    ["http://EXAMPLE.COM.evil"] = 403, ["http://ex\xc3\xa4mple.com"] = 403, ["http://xn--exmple-cua.com"] = 403,
    ["example.com"] = 403, [""] = 403, ["http://"] = 403, ["http://example.co"] = 403, ["file://"] = 403,
    ["http://www.example.com"] = 403, ["http://example.com/"] = 403, ["http://example.com http://evil"] = 403,
  }, "example.com:8080")
end

function T:test_any_origin()
  origins(self.rig, "*", { [false] = 101, ["http://evil"] = 101, ["null"] = 101, ["nonsense"] = 101 })
end

function T:test_listed_origins()
  origins(self.rig, { "https://a.example", "http://b.example:8080", "null" }, {
    [false] = 101, ["https://a.example"] = 101, ["http://b.example:8080"] = 101, ["null"] = 101,
    ["HTTPS://A.example"] = 101, ["http://a.example"] = 403, ["https://a.example:444"] = 403,
    ["http://b.example"] = 403, ["https://a.example.evil"] = 403, ["https://xa.example"] = 403,
    ["https://a.example."] = 403, ["https://u@a.example"] = 403, ["*"] = 403, [""] = 403,
    ["http://h"] = 403, -- the server's own host is not on the list
  })
  origins(self.rig, "https://a.example", { [false] = 101, ["https://a.example"] = 101, ["http://h"] = 403 })
  origins(self.rig, {}, { [false] = 101, ["http://h"] = 403 })
end

function T:test_origins_by_a_function()
  local seen = {}
  local _, _, port = self.rig:listen { origins = function(origin, request)
    seen[#seen + 1] = { origin or "none", request.path }
    return origin == nil or origin:find "%.good$" ~= nil
  end }
  lu.assertEquals(visitors.status(self.rig, port, { Origin = "http://x.good" }), 101)
  lu.assertEquals(visitors.status(self.rig, port, { Origin = "http://x.bad" }), 403)
  lu.assertEquals(visitors.status(self.rig, port), 101)
  lu.assertEquals(seen, { { "http://x.good", "/" }, { "http://x.bad", "/" }, { "none", "/" } })
end

-- A table that can be called is no list.
function T:test_callable_values()
  local function callable(fn)
    return setmetatable({}, { __call = function(_, ...) return fn(...) end })
  end
  local _, _, port = self.rig:listen {
    origins = callable(function(origin, request) return origin == "http://good" and request.path == "/" end),
    protocols = callable(function(offered) return offered[2] end),
    perMessageDeflate = callable(function(request) return request.headers["x-a"] == "1" end),
    verify = callable(function() return true end),
  }
  lu.assertEquals(visitors.status(self.rig, port, { Origin = "http://bad" }), 403)
  local head = { Origin = "http://good", ["Sec-WebSocket-Protocol"] = "a, b", ["X-A"] = "1",
    ["Sec-WebSocket-Extensions"] = "permessage-deflate" }
  local status, answer = visitors.status(self.rig, port, head)
  lu.assertEquals({ status, answer.headers["sec-websocket-protocol"] }, { 101, "b" })
  lu.assertStrContains(answer.headers["sec-websocket-extensions"], "permessage-deflate")
end

-- What is found in a table by mistake, a message: nobody comes in.
function T:test_a_function_says_neither()
  local verdict
  local server, _, port = self.rig:listen { origins = function() return verdict end }
  for _, value in ipairs { 403, "http://a", {}, print } do
    verdict = value
    lu.assertEquals(visitors.status(self.rig, port, { Origin = "http://a" }), 500)
    lu.assertStrContains(table.remove(self.rig.errors)[1], "origins must return true or false, got " .. type(value))
  end
  verdict = nil
  lu.assertEquals(visitors.status(self.rig, port, { Origin = "http://a" }), 403)
  lu.assertEquals(server.clientCount, 0)
end

function T:test_two_origins()
  for _, option in ipairs { "same host", { "http://h" }, function() return true end, "http://h" } do
    local _, _, port = self.rig:listen { origins = option ~= "same host" and option or nil }
    lu.assertEquals(visitors.status(self.rig, port, { Origin = { "http://h", "http://evil" } }), 403)
    lu.assertEquals(visitors.status(self.rig, port, { Origin = { "http://h", "http://h" } }), 403)
  end
end

function T:test_a_foreign_origin_is_told_so_and_asks_no_further()
  local asked
  local _, _, port = self.rig:listen { verify = function() asked = true end, onupgrade = function() asked = true end }
  local answer = visitors.ask(self.rig, port, visitors.upgrade { Origin = "http://evil" })
  lu.assertEquals({ answer.status, answer.body, answer.headers.connection },
    { 403, "origin is not allowed\n", "close" })
  lu.assertNil(asked)
end

-- What the caller does to the list afterwards is no concern of the server's.
function T:test_lists_are_copied()
  local list, hosts, protocols, headers = { "http://a" }, { "h" }, { "x" }, { A = "1" }
  local _, _, port = self.rig:listen { origins = list, hosts = hosts, protocols = protocols, headers = headers }
  list[1], hosts[1], protocols[1], headers.A, headers["b\n"] = {}, {}, 42, false, 1
  local got, answer = visitors.status(self.rig, port, { Origin = "http://a", ["Sec-WebSocket-Protocol"] = "x" })
  lu.assertEquals({ got, answer.headers["sec-websocket-protocol"], answer.headers.a }, { 101, "x", "1" })
end

-- ---- subprotocols (S40 to S43) -----------------------------------------------------------

local function protocol(rig, port, offer)
  local got, answer = visitors.status(rig, port, { ["Sec-WebSocket-Protocol"] = offer })
  return got == 101 and (answer.headers["sec-websocket-protocol"] or "none") or got
end

function T:test_listed_protocols()
  local chosen
  local _, _, port = self.rig:listen { protocols = { "soap", "wamp" },
    onconnection = function(socket) chosen = socket.protocol end }
  for _, row in ipairs {
    { nil, "none" }, { "soap", "soap" }, { "wamp, soap", "wamp" }, { "x, wamp", "wamp" }, { "x", "none" },
    { "SOAP", "none" }, { { "x", "soap" }, "soap" }, { ",wamp,", "wamp" }, { "soap,soap", 400 }, { "a b", 400 },
    { "", 400 },
  } do
    lu.assertEquals(protocol(self.rig, port, row[1]), row[2])
    if row[2] == "none" then lu.assertEquals(chosen, "") end
    if row[2] == "soap" or row[2] == "wamp" then lu.assertEquals(chosen, row[2]) end
  end
  local _, _, none = self.rig:listen {}
  lu.assertEquals(protocol(self.rig, none, "soap"), "none")
end

function T:test_protocols_by_a_function()
  local seen, choice
  local _, _, port = self.rig:listen { protocols = function(offered, request)
    seen = table.concat(offered, "|") .. " " .. request.path
    return choice
  end }
  choice = "b"
  lu.assertEquals(protocol(self.rig, port, { "a, b", "c" }), "b")
  lu.assertEquals(seen, "a|b|c /")
  choice = false
  lu.assertEquals(protocol(self.rig, port, "a"), "none")
  choice = nil
  lu.assertEquals(protocol(self.rig, port, "a"), "none")
  lu.assertEquals(protocol(self.rig, port, nil), "none")
  lu.assertEquals(seen, " /")
end

function T:test_a_protocol_that_was_not_offered_is_the_servers_fault()
  local choice
  local _, _, port = self.rig:listen { protocols = function() return choice end }
  for _, value in ipairs { "x", "", "a, b", "A", 1, {}, true } do
    choice = value
    lu.assertEquals(protocol(self.rig, port, "a, b"), 500)
    lu.assertEquals(#self.rig.errors, 1)
    lu.assertStrContains(self.rig.errors[1][1], "which was not offered")
    self.rig.errors = {}
  end
end

return T
