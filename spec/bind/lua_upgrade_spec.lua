-- bind/lua_upgrade: the answers. verify, headers, and deciding by hand.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

-- ---- the plain case ------------------------------------------------------------------

-- S33 to S36: the answer, and frames directly behind it
function T:test_101()
  local _, _, port = self.rig:listen { onconnection = function(socket) socket:send "hi" end }
  local peer = visitors.visit(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Key"] = "Iv8io/9s+lYFgZWcXczP8Q==" })
  local head = peer:head()
  lu.assertEquals(head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Accept: hsBlbuDTkk24srzEOTBUlZAlC2g=\r\n\r\n")
  lu.assertEquals(peer:take().payload, "hi")
end

-- S15, S16, S31, S87, SC-05 and around
function T:test_what_browsers_and_others_send()
  local _, _, port = self.rig:listen {}
  for _, row in ipairs {
    { 101, { Connection = "keep-alive, Upgrade" } }, { 101, { Connection = "UPGRADE", Upgrade = "WebSocket" } },
    { 101, { ["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits" } },
    { 101, { ["Sec-WebSocket-Extensions"] = "deflate-frame" } },
    { 101, { Cookie = "a=b", Pragma = "no-cache", ["User-Agent"] = "x", ["Cache-Control"] = "no-cache" } },
    { 400, { Connection = "keep-alive" } }, { 400, { ["Sec-WebSocket-Key"] = "short" } }, { 400, { Host = false } },
    { 426, { ["Sec-WebSocket-Version"] = "12" } }, { 426, { ["Sec-WebSocket-Version"] = false } },
    { 426, { Upgrade = false } }, { 426, { Upgrade = "h2c" } }, { 400, { ["Content-Length"] = "5" } },
  } do
    local got, answer = visitors.status(self.rig, port, row[2])
    lu.assertEquals({ got, row[2] }, row)
    lu.assertNil(answer.headers["sec-websocket-extensions"])
    if got == 426 then
      lu.assertEquals({ answer.headers.upgrade, answer.headers["sec-websocket-version"], answer.headers.connection },
        { "websocket", "13", "close, Upgrade" })
    end
  end
end

-- ---- verify -------------------------------------------------------------------------------

function T:test_verify_says_yes()
  local seen
  local server, _, port = self.rig:listen { verify = function(request)
    seen = request
    request.user = "somebody"
    return true
  end }
  local peer, answer = visitors.knock(self.rig, port, visitors.upgrade({ Cookie = "k=v" }, "GET /a?b=c HTTP/1.1"))
  lu.assertEquals(answer.status, 101)
  lu.assertEquals({ seen.path, seen.query, seen.headers.cookie }, { "/a", "b=c", "k=v" })
  for socket in pairs(server.clients) do lu.assertEquals(socket.request.user, "somebody") end
  peer:close()
end

function T:test_verify_says_no()
  local reply
  local server, _, port = self.rig:listen { verify = function() return table.unpack(reply) end }
  for _, row in ipairs {
    { {}, 403, "forbidden\n" }, { { false }, 403, "forbidden\n" }, { { nil, nil, { A = "b" } }, 403, "forbidden\n" },
    { { false, 401 }, 401, "" }, { { nil, 404, nil, "nothing here" }, 404, "nothing here" },
    { { false, 401, { ["WWW-Authenticate"] = "Basic" }, "who?" }, 401, "who?" },
    { { false, 302, { { "Location", "/x" }, { "Set-Cookie", "a=1" }, { "Set-Cookie", "b=2" } } }, 302, "" },
    { { false, 200, nil, 42 }, 200, "42" },
  } do
    reply = row[1]
    local answer = visitors.ask(self.rig, port, visitors.upgrade())
    lu.assertEquals({ answer.status, answer.body }, { row[2], row[3] })
    lu.assertEquals(answer.headers.connection, "close")
    lu.assertEquals(answer.headers["www-authenticate"],
      row[2] == 401 and (row[1][3] and "Basic" or 'Basic realm="h", charset="UTF-8"') or nil)
    if row[2] == 302 then lu.assertEquals(answer.headers["set-cookie"], "a=1|b=2") end
  end
  lu.assertEquals(server.clientCount, 0)
end

-- H9: no way around it, whatever else is set
-- A status without the false before it, a message, an empty table: nobody comes in.
function T:test_verify_says_neither()
  local verdict
  local server, _, port = self.rig:listen { verify = function() return verdict end }
  for _, value in ipairs { 401, "no", {}, print } do
    verdict = value
    lu.assertEquals(visitors.status(self.rig, port), 500)
    lu.assertStrContains(table.remove(self.rig.errors)[1], "verify must return true or false, got " .. type(value))
  end
  lu.assertEquals(server.clientCount, 0)
end

function T:test_verify_comes_before_every_101()
  local order
  local options = {
    hosts = { "h" },
    verify = function(request)
      order[#order + 1] = "verify"
      return request.path == "/in"
    end,
    protocols = function() order[#order + 1] = "protocols" end,
    origins = function()
      order[#order + 1] = "origins"
      return true
    end,
    onconnection = function() order[#order + 1] = "connection" end,
  }
  local _, _, port = self.rig:listen(options)
  options.onupgrade = function(request)
    order[#order + 1] = "upgrade"
    request:accept()
  end
  local _, _, by_hand = self.rig:listen(options)
  for _, row in ipairs {
    { port, "/in", 101, "origins verify protocols connection" }, { port, "/out", 403, "origins verify" },
    { by_hand, "/in", 101, "origins verify upgrade connection" }, { by_hand, "/out", 403, "origins verify" },
    { by_hand, "http://h/in", 101, "origins verify upgrade connection" },
    { port, "/in/../out", 403, "origins verify" }, { port, "/%69n", 403, "origins verify" },
  } do
    order = {}
    local peer, answer = visitors.knock(self.rig, row[1], visitors.upgrade(nil, "GET " .. row[2] .. " HTTP/1.1"))
    lu.assertEquals({ answer.status, table.concat(order, " ") }, { row[3], row[4] })
    peer:close()
  end
end

-- verify may decide by itself; what it returns then does not count.
function T:test_verify_that_decides_by_hand()
  local act
  local server, _, port = self.rig:listen {
    verify = function(request) return act(request) end,
    onupgrade = function() lu.fail "asked again" end,
  }
  act = function(request)
    request:accept()
    return true
  end
  lu.assertEquals(visitors.status(self.rig, port), 101)
  act = function(request)
    request:reject(404)
    return true
  end
  lu.assertEquals(visitors.status(self.rig, port), 404)
  act = function(request) return request:accept() end
  lu.assertEquals(visitors.status(self.rig, port), 101)
  self.rig:wait(function() return server.clientCount == 0 end)
end

-- ---- headers -------------------------------------------------------------------------------

function T:test_headers_of_every_101()
  local _, _, port = self.rig:listen { headers = { ["X-Version"] = "1", Server = "s" } }
  local _, answer = visitors.status(self.rig, port)
  lu.assertEquals({ answer.headers["x-version"], answer.headers.server }, { "1", "s" })
  local _, _, listed = self.rig:listen { headers = { { "Set-Cookie", "a=1" }, { "Set-Cookie", "b=2" }, { "N", 3 } } }
  _, answer = visitors.status(self.rig, listed)
  lu.assertEquals({ answer.headers["set-cookie"], answer.headers.n }, { "a=1|b=2", "3" })
end

-- ---- by hand -------------------------------------------------------------------------------

-- S17: nothing is accepted by itself
function T:test_accept_now()
  local socket, connected
  local server, _, port = self.rig:listen {
    protocols = { "a" }, headers = { A = "1" },
    onupgrade = function(request)
      socket = request:accept { protocol = "b", headers = { { "B", "2" } } }
      socket:send "first"
    end,
    onconnection = function(s, request)
      connected = s
      lu.assertTrue(rawequal(s.request, request))
      s:send "second"
    end,
  }
  local peer, answer = visitors.knock(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Protocol"] = "a, b" })
  lu.assertEquals({ answer.headers["sec-websocket-protocol"], answer.headers.a, answer.headers.b }, { "b", "1", "2" })
  lu.assertEquals({ peer:take().payload, peer:take().payload }, { "first", "second" })
  lu.assertTrue(rawequal(socket, connected))
  lu.assertEquals(server.clientCount, 1)
end

function T:test_accept_later()
  local asked, got, server, peer
  clock.patiently(function(times)
    local options = { handshakeTimeout = 0.1 * times,
      onupgrade = function(request) asked = request end,
      onmessage = function(_, data) got = data end }
    local listening, _, port = self.rig:listen(options)
    server = listening
    -- frames directly behind the request wait for the answer (H8)
    peer = visitors.visit(self.rig, port, visitors.upgrade() .. bytes.frame { "early", mask = true })
    self.rig:wait(function() return asked or peer:look() ~= "" end)
    local over
    self.rig.loop:after(0.2 * times, function() over = true end)
    self.rig:wait(function() return over end) -- the peer's clock has stopped
    lu.assertEquals({ peer:look(), server.clientCount }, { "", 0 })
  end)
  collectgarbage()
  local socket = asked:accept()
  lu.assertEquals({ socket.readyState, server.clientCount }, { 1, 1 })
  socket:send "hi"
  lu.assertStrContains(peer:head(), " 101 ")
  lu.assertEquals(peer:take().payload, "hi")
  self.rig:wait(function() return got end)
  lu.assertEquals(got, "early")
end

-- I3: while the application thinks about its answer the peer's frames wait where
-- they are, but for a few.
function T:test_what_comes_before_the_answer_is_bounded()
  local asked
  local _, _, port = self.rig:listen { onupgrade = function(request) asked = request end }
  local peer = visitors.visit(self.rig, port, visitors.upgrade())
  self.rig:wait(function() return asked end)
  local chunk, sent, idle = ("x"):rep(1 << 20), 0, 0
  self.rig:wait(function() -- until the kernel's buffers are full, or long after
    local last, _, part = peer.sock:send(chunk)
    local n = last or part
    sent, idle = sent + n, n > 0 and 0 or idle + 1
    self.rig:idle(2)
    return idle == 50 or sent >= 64 << 20
  end)
  lu.assertTrue(sent < 64 << 20, sent)
  asked:reject(403)
end

function T:test_reject_now_and_later()
  local asked, reply
  local server, _, port = self.rig:listen { onupgrade = function(request)
    if request.path == "/now" then request:reject(table.unpack(reply)) else asked = request end
  end }
  for _, row in ipairs {
    { {}, 403, "" }, { { 404 }, 404, "" }, { { 401, { ["WWW-Authenticate"] = "x" }, "no" }, 401, "no", "x" },
    { { nil, nil, "no" }, 403, "no" }, { { 401 }, 401, "", 'Basic realm="h", charset="UTF-8"' },
  } do
    reply, asked = row[1], nil
    local answer = visitors.ask(self.rig, port, visitors.upgrade(nil, "GET /now HTTP/1.1"))
    lu.assertEquals({ answer.status, answer.body }, { row[2], row[3] })
    lu.assertEquals(answer.headers["www-authenticate"], row[4])
    local peer = visitors.visit(self.rig, port, visitors.upgrade())
    self.rig:wait(function() return asked end)
    lu.assertTrue(asked:reject(table.unpack(row[1])))
    answer = visitors.answer(peer)
    lu.assertEquals({ answer.status, answer.body }, { row[2], row[3] })
  end
  lu.assertEquals(server.clientCount, 0)
end

function T:test_one_decision_only()
  local asked
  local _, _, port = self.rig:listen { onupgrade = function(request) asked = request end }
  local too_late = { nil, "the request was answered already, or its connection is gone", "CLOSED" }
  local peer = visitors.visit(self.rig, port, visitors.upgrade())
  self.rig:wait(function() return asked end)
  asked:accept()
  lu.assertEquals({ asked:accept() }, too_late)
  lu.assertEquals({ asked:reject() }, too_late)
  lu.assertStrContains(peer:head(), " 101 ")
  asked = nil
  peer = visitors.visit(self.rig, port, visitors.upgrade())
  self.rig:wait(function() return asked end)
  asked:reject()
  lu.assertEquals({ asked:reject() }, too_late)
  lu.assertEquals({ asked:accept() }, too_late)
  lu.assertEquals(visitors.answer(peer).status, 403)
end

function T:test_bad_decisions_raise_and_can_be_made_again()
  local asked
  local _, _, port = self.rig:listen { onupgrade = function(request) asked = request end }
  local peer = visitors.visit(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Protocol"] = "a" })
  self.rig:wait(function() return asked end)
  for _, row in ipairs {
    { { protocol = "b" }, "'b' was not offered" }, { { protocol = "" }, "was not offered" },
    { { protocol = 1 }, "'protocol' must be a string" }, { { protocl = "a" }, "did you mean 'protocol'?" },
    { { headers = { ["Sec-WebSocket-Accept"] = "x" } }, "written by wsock" },
    { { headers = { Upgrade = "x" } }, "written by wsock" }, { { headers = { X = "a\n" } }, "may not be sent" },
    { { headers = "x" }, "'headers' must be a table" }, { "x", "options must be a table, got string" },
  } do
    lu.assertErrorMsgContains(row[2], asked.accept, asked, row[1])
  end
  lu.assertErrorMsgContains("status must be an integer from 200 to 599, got 101", asked.reject, asked, 101)
  lu.assertErrorMsgContains("not a request; methods are called with ':'", asked.accept, {})
  lu.assertErrorMsgContains("not a request; methods are called with ':'", asked.basicAuth)
  lu.assertErrorMsgContains("not headers; methods are called with ':'", asked.headers.all, "Host")
  lu.assertErrorMsgContains("body must be a string, a number, a Blob or an ArrayBuffer, got table", asked.reject, asked,
    404, nil, {})
  lu.assertErrorMsgContains("not a request", asked.reject, "x")
  lu.assertEquals(asked:accept { protocol = "a" }.protocol, "a")
  lu.assertStrContains(peer:head(), " 101 ")
end

function T:test_two_who_decide()
  local server, _, port = self.rig:listen { onupgrade = function(request) request:reject(404) end }
  local second
  server:on("upgrade", function(request) second = { request:accept() } end)
  lu.assertEquals(visitors.status(self.rig, port), 404)
  lu.assertEquals(second[3], "CLOSED")
end

-- H7: the peer leaves while the application makes up its mind: that is seen,
-- its place is free, and an answer says so.
function T:test_the_peer_has_gone_meanwhile()
  for _, how in ipairs { "close", "reset" } do
    local asked, refused = {}, {}
    local server, _, port = self.rig:listen { handshakesMax = 2,
      onupgrade = function(request) asked[#asked + 1] = request end,
      onrefused = function(_, code) refused[#refused + 1] = code end,
      onconnection = function() lu.fail "is open" end }
    local peer = visitors.visit(self.rig, port, visitors.upgrade())
    self.rig:wait(function() return #asked == 1 end)
    local bystander = visitors.visit(self.rig, port, visitors.upgrade())
    self.rig:wait(function() return #asked == 2 end)
    peer[how](peer)
    self.rig:wait(function() return #refused == 1 end)
    collectgarbage()
    lu.assertNotNil(asked[1].headers)
    lu.assertEquals(select(3, asked[1]:accept()), "CLOSED")
    lu.assertEquals(select(3, asked[1]:reject()), "CLOSED")
    local third = visitors.visit(self.rig, port, visitors.upgrade())
    self.rig:wait(function() return #asked == 3 end)
    lu.assertEquals(server.clientCount, 0)
    server.onconnection = nil
    asked[2]:accept()
    lu.assertStrContains(bystander:head(), " 101 ")
    asked[3]:reject(404)
    lu.assertStrContains(third:head(), " 404 ")
  end
end

-- More than is kept before the answer waits in the system, and is not lost.
function T:test_much_that_comes_before_the_answer()
  local asked, got
  local _, _, port = self.rig:listen { onupgrade = function(request) asked = request end,
    onmessage = function(_, data) got = data end }
  for _, size in ipairs { 16384 - 8 - 1, 16384 - 8, 16384 - 8 + 1, 500000 } do
    asked, got = nil, nil
    local peer = visitors.visit(self.rig, port, visitors.upgrade())
    self.rig:wait(function() return asked end)
    local frame, at = bytes.frame { ("x"):rep(size), mask = true }, 1
    while at <= #frame and at do
      local last, _, part = peer.sock:send(frame, at)
      at = (last or part) + 1
      self.rig:idle(2)
      if not last and asked then
        asked:accept()
        asked = nil
      end
    end
    self.rig:idle(3)
    if asked then asked:accept() end
    self.rig:wait(function() return got end)
    lu.assertEquals(#got, size)
    peer:close()
  end
end

-- Who is never answered is told so, and does not keep others out.
function T:test_the_application_does_not_answer()
  local refused, held = {}, {}
  local _, _, port = self.rig:listen { responseTimeout = 0.05, handshakesMax = 1,
    onupgrade = function(request) held[#held + 1] = request end,
    onrequest = function(_, response) held[#held + 1] = response end,
    onrefused = function(_, code) refused[#refused + 1] = code end }
  for _, request in ipairs { visitors.upgrade(), visitors.plain() } do
    lu.assertEquals(visitors.ask(self.rig, port, request).status, 503)
  end
  self.rig:wait(function() return #refused == 2 end)
  lu.assertEquals(refused, { "TIMEOUT", "TIMEOUT" })
  lu.assertEquals(select(3, held[1]:accept()), "CLOSED")
  lu.assertEquals(select(3, held[2]:send(200)), "CLOSED")
end

-- The options of accept are a table of the application's, and may do anything when
-- they are looked into, between turns even close the loop.
function T:test_options_that_act()
  for _, key in ipairs { "protocol", "headers", "limits" } do
    for _, act in ipairs { "reject", "accept", "close" } do
      local rig, asked = rigs.new(), nil
      local _, url = rig:listen { protocols = { "a" }, onupgrade = function(request) asked = request end }
      local client = rig:client(url, "a")
      rig:wait(function() return asked end)
      local told = { pcall(asked.accept, asked, setmetatable({}, { __index = function(_, name)
        if name ~= key then return name == "protocol" and "a" or nil end
        if act == "close" then rig.loop:close() else asked[act](asked) end
        return key == "protocol" and "a" or {}
      end })) }
      lu.assertTrue(told[1] == false or told[2] == nil and told[4] == "CLOSED", key .. " " .. act)
      rig:close()
      lu.assertEquals(client.readyState, 3)
    end
  end
end

return T
