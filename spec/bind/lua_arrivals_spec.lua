-- bind/lua_arrivals: how many, how long, and what the server hears of those it
-- never let in.

local lu = require "luaunit"
local luasocket = require "socket"
local certs = require "support.certs"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

local function has_left(rig, server, n)
  rig:wait(function() return server.clientCount == n end, "clients: " .. server.clientCount)
end

-- n peers, all of whom became sockets.
local function let_in(rig, port, n, from)
  local peers = {}
  for i = 1, n do
    local answer
    peers[i], answer = visitors.knock(rig, port, nil, from)
    lu.assertEquals(answer.status, 101)
  end
  return peers
end

-- ---- maxConnections ----------------------------------------------------------------

function T:test_max_connections_at_its_edge()
  for _, max in ipairs { 1, 3 } do
    local server, _, port = self.rig:listen { maxConnections = max }
    local peers = let_in(self.rig, port, max)
    for _ = 1, 2 do
      local answer = visitors.ask(self.rig, port, visitors.upgrade())
      lu.assertEquals({ answer.status, answer.body }, { 503, "too many connections\n" })
    end
    lu.assertEquals(server.clientCount, max)
    peers[1]:reset()
    has_left(self.rig, server, max - 1)
    local bystander = visitors.bystander(self.rig, port)
    lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
    bystander:check()
  end
end

-- Plain requests are no connections in this sense.
function T:test_max_connections_and_plain_requests()
  local _, _, port = self.rig:listen { maxConnections = 1,
    onrequest = function(_, response) response:send(200, nil, "hi") end }
  local bystander = visitors.bystander(self.rig, port)
  for _ = 1, 3 do lu.assertEquals(visitors.ask(self.rig, port, visitors.plain()).body, "hi") end
  bystander:check()
end

-- The hooks are not asked when there is no room anyway.
function T:test_max_connections_comes_first()
  local asked = 0
  local _, _, port = self.rig:listen { maxConnections = 1, verify = function()
    asked = asked + 1
    return true
  end }
  visitors.bystander(self.rig, port)
  visitors.ask(self.rig, port, visitors.upgrade())
  lu.assertEquals(asked, 1)
end

-- Accepted by hand, later, and several in one handler: still no more than max.
function T:test_max_connections_when_accepting_by_hand()
  local waiting, got = {}, {}
  local server, _, port = self.rig:listen { maxConnections = 2,
    onupgrade = function(request) waiting[#waiting + 1] = request end }
  local peers = {}
  for i = 1, 3 do peers[i] = visitors.visit(self.rig, port, visitors.upgrade()) end
  self.rig:wait(function() return #waiting == 3 end)
  self.rig.loop:after(0, function()
    for i, request in ipairs(waiting) do got[i] = { request:accept() } end
  end)
  self.rig:wait(function() return #got == 3 end)
  lu.assertEquals({ got[1][1].readyState, got[2][1].readyState }, { 1, 1 })
  lu.assertEquals(got[3], { nil, "too many connections, or the server is closing", "HANDSHAKE" })
  lu.assertEquals(server.clientCount, 2)
  local statuses = {}
  for i = 1, 3 do statuses[i] = visitors.parse(peers[i]:head()).status end
  table.sort(statuses)
  lu.assertEquals(statuses, { 101, 101, 503 })
end

-- ---- maxPerAddress -----------------------------------------------------------------

local FEW = "too many connections from one address"

function T:test_max_per_address_at_its_edge()
  for _, max in ipairs { 1, 3 } do
    local server, _, port = self.rig:listen { maxPerAddress = max }
    local peers = let_in(self.rig, port, max)
    for _ = 1, 2 * max do
      local answer = visitors.ask(self.rig, port, visitors.upgrade())
      lu.assertEquals({ answer.status, answer.body }, { 503, FEW .. "\n" })
    end
    let_in(self.rig, port, max, "127.0.0.2") -- another's places are his
    local _, answer = visitors.knock(self.rig, port, nil, "127.0.0.2")
    lu.assertEquals({ answer.status, server.clientCount }, { 503, 2 * max })
    peers[1]:reset()
    has_left(self.rig, server, 2 * max - 1)
    local bystander = visitors.bystander(self.rig, port)
    lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
    bystander:check()
  end
end

-- Who has not asked yet takes nobody's place; but there are no more of them than of the others.
function T:test_max_per_address_and_handshakes()
  local refused = {}
  local server, _, port = self.rig:listen { maxPerAddress = 2,
    onrefused = function(...) refused[#refused + 1] = { ... } end }
  local mute = {}
  for i = 1, 10 do mute[i] = visitors.visit(self.rig, port) end -- as many, and 8
  self.rig:idle()
  mute[9]:send(visitors.upgrade())
  mute[10]:send(visitors.upgrade())
  lu.assertStrContains(mute[9]:head() .. mute[10]:head(), " 101 ")
  for i = 9, 10 do mute[i + 2] = visitors.visit(self.rig, port) end
  self.rig:idle()
  local cut = visitors.visit(self.rig, port, visitors.upgrade())
  cut:take_end()
  lu.assertEquals({ cut.got, refused }, { "", { { FEW, "HANDSHAKE", "127.0.0.1" } } })
  lu.assertEquals(server.clientCount, 2)
  mute[1]:close()
  self.rig:wait(function() return #refused == 2 end)
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
  self.rig:wait(function() return #refused == 3 end)
  lu.assertEquals(refused[3], { FEW, "HANDSHAKE", "127.0.0.1" })
  mute[9]:reset()
  has_left(self.rig, server, 1)
  mute[2]:send(visitors.upgrade())
  lu.assertStrContains(mute[2]:head(), " 101 ")
end

-- A plain request has a place while it lasts.
function T:test_max_per_address_and_plain_requests()
  local waiting = {}
  local _, _, port = self.rig:listen { maxPerAddress = 1,
    onrequest = function(_, response) waiting[#waiting + 1] = response end }
  local first = visitors.visit(self.rig, port, visitors.plain())
  self.rig:wait(function() return #waiting == 1 end)
  lu.assertEquals(visitors.ask(self.rig, port, visitors.plain()).status, 503)
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
  waiting[1]:send(200, nil, "hi")
  lu.assertEquals(visitors.answer(first).body, "hi")
  self.rig:wait(function() return visitors.status(self.rig, port) == 101 end)
  lu.assertEquals(#waiting, 1)
end

-- The hooks are not asked when there is no place anyway; by hand there is none either.
function T:test_max_per_address_comes_first()
  local asked = {}
  local _, _, port = self.rig:listen { maxPerAddress = 1,
    origins = function()
      asked[#asked + 1] = "origin"
      return true
    end,
    onupgrade = function(request) asked[#asked + 1] = request end }
  local first = visitors.visit(self.rig, port, visitors.upgrade())
  self.rig:wait(function() return #asked == 2 end)
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
  lu.assertEquals(#asked, 2)
  asked[2]:accept()
  lu.assertStrContains(first:head(), " 101 ")
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
end

-- Each way a connection may end, more often than there are places: 10, one of them for who gets in.
local ways = {
  closed_by_it = function(_, peer)
    peer:say_close(1000)
    peer:take_close()
  end,
  reset = function(_, peer) peer:reset() end,
  left = function(_, peer) peer:close() end,
  closed = function(socket) socket:close() end,
  terminated = function(socket) socket:terminate() end,
  failed = function(_, peer) peer:send "\xff\xff" end,
  raised = function(_, peer) peer:frame { "raise" } end,
  ended_in_its_handler = function(_, peer) peer:frame { "terminate" } end,
}

function T:test_max_per_address_however_a_socket_ends()
  for name, act in pairs(ways) do
    local socket
    local server, _, port = self.rig:listen { maxPerAddress = 1, closeTimeout = 0.05,
      onconnection = function(s) socket = s end,
      onmessage = function(s, data) if data == "raise" then error(data) else s:terminate() end end }
    for _ = 1, 12 do
      local peer, answer = visitors.knock(self.rig, port)
      lu.assertEquals(answer.status, 101, name)
      act(socket, peer)
      has_left(self.rig, server, 0)
    end
    visitors.bystander(self.rig, port):check()
  end
  lu.assertEquals(#self.rig.errors, 12)
  self.rig.errors = {}
end

function T:test_max_per_address_however_a_handshake_ends()
  local good = certs.get "good"
  for name, row in pairs {
    left = { "", {} }, left_early = { "GET /", {} }, no_request = { "?", {} },
    refused = { visitors.upgrade { Origin = "http://evil" }, {} },
    misdirected = { visitors.upgrade(), { hosts = "x" } },
    unverified = { visitors.upgrade(), { verify = function() return false end } },
    timed_out = { "GET /", { handshakeTimeout = 0.01 } }, plain = { visitors.plain(), {} },
    no_TLS = { visitors.plain(), { tls = { cert = good.cert, key = good.key } } },
  } do
    local options = { maxPerAddress = 1, closeTimeout = 0.1 }
    for key, value in pairs(row[2]) do options[key] = value end
    local refused, server = 0
    options.onrefused = function(message)
      lu.assertNotEquals(message, FEW, name)
      refused = refused + 1
    end
    server = self.rig:listen(options)
    local port = rigs.port_of(server)
    for i = 1, 12 do
      local peer = visitors.visit(self.rig, port, row[1])
      if name:find "left" then
        self.rig:idle(3)
        peer:close()
      else
        peer:take_end()
        peer:close()
      end
      if name ~= "unverified" and name ~= "plain" then
        self.rig:wait(function() return refused == i end, name)
      end
      self.rig:idle(3) -- it is gone on our side, too
    end
    server:close(1001, "", 0)
    self.rig:settle()
  end
end

-- What nobody holds any more is still there; and it goes with its server, and the loop.
function T:test_max_per_address_and_the_collector()
  local closed = false
  local server, _, port = self.rig:listen { maxPerAddress = 1, onclosed = function() closed = true end }
  local bystander = visitors.bystander(self.rig, port)
  collectgarbage()
  collectgarbage()
  bystander:check()
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 503)
  server:close(1001, "", 0)
  self.rig:wait(function() return closed end)
  server = nil
  collectgarbage()
  local _, _, again = self.rig:listen { maxPerAddress = 1 }
  visitors.bystander(self.rig, again):check() -- and is left to the rig's end
  lu.assertNil(server)
end

function T:test_max_per_address_and_unix_sockets()
  local path = self.rig:directory() .. "/s"
  local server = self.rig:keep(assert(self.rig:try_listen { path = path, maxPerAddress = 1 }))
  visitors.admitted(self.rig, visitors.crowd(self.rig, path, 5, visitors.upgrade()))
  lu.assertEquals(server.clientCount, 5)
end

-- ---- handshakesMax --------------------------------------------------------------------

-- One more than may be opening waits in the system's queue, unharmed, and is
-- served as soon as there is room; clients do not count. Those who have asked,
-- and wait for an answer, do, and give way to nobody.
function T:test_handshakes_max_at_its_edge()
  for _, max in ipairs { 1, 3 } do
    local asked, slow = {}, {}
    local server, _, port = self.rig:listen { handshakesMax = max, onupgrade = function(request)
      if request.path == "/" then request:accept() else asked[#asked + 1] = request end
    end }
    local bystander = visitors.bystander(self.rig, port)
    local function ask()
      slow[#slow + 1] = visitors.visit(self.rig, port, visitors.upgrade(nil, "GET /slow HTTP/1.1"))
      self.rig:wait(function() return #asked == #slow end)
    end
    for _ = 1, max - 1 do ask() end
    visitors.bystander(self.rig, port):check() -- n-1 are opening, one is free
    ask()
    local late = visitors.visit(self.rig, port, visitors.upgrade())
    self.rig:idle(20)
    lu.assertEquals(late:look(), "")
    lu.assertEquals(server.clientCount, 2)
    bystander:check()
    slow[1]:close()
    lu.assertStrContains(late:head(), " 101 ")
    has_left(self.rig, server, 3)
  end
end

-- Who has not sent a whole request gives way to who comes, the oldest first, but has a second.
function T:test_the_oldest_silent_handshake_gives_way()
  local refused, mute, since = {}, {}, self.rig.loop:now()
  local _, _, port = self.rig:listen { handshakesMax = 3, handshakeTimeout = 0,
    onrefused = function(...) refused[#refused + 1] = { ... } end }
  for i, text in ipairs { "", "GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx" } do
    mute[i] = visitors.visit(self.rig, port, text)
    self.rig:idle(3)
  end
  for i = 1, 3 do
    mute[i + 3] = visitors.visit(self.rig, port)
    mute[i]:take_end()
    self.rig:wait(function() return #refused == i end)
    lu.assertEquals(refused[i], { "handshake was not done when others waited", "TIMEOUT", "127.0.0.1" })
    for k = i + 1, i + 3 do
      mute[k]:look()
      lu.assertNil(mute[k].ended)
    end
  end
  lu.assertTrue(self.rig.loop:now() - since >= 1 - 0.01)
  visitors.bystander(self.rig, port):check()
  mute[4]:take_end()
  mute[5]:send(visitors.upgrade())
  lu.assertStrContains(mute[5]:head(), " 101 ")
end

-- Refused ones that stay, too; over TLS those, too, who do not speak it, or stop in the midst.
function T:test_what_else_gives_way()
  local good = certs.get "good"
  for _, row in ipairs { { "BAD\r\n\r\n" }, { "", { cert = good.cert, key = good.key } },
    { "\x16\x03\x01\x02\x00\x01", { cert = good.cert, key = good.key } } } do
    local server, url, port = self.rig:listen { handshakesMax = 2, handshakeTimeout = 0, closeTimeout = 0,
      tls = row[2] }
    for _ = 1, 2 do visitors.visit(self.rig, port, row[1]) end
    self.rig:idle()
    if row[2] then url = url:gsub("^ws:", "wss:") end
    local client = self.rig:client(url, nil, { tls = { ca = good.ca, verify = row[2] and true or nil } })
    self.rig:wait(function() return client.readyState == 1 end)
    has_left(self.rig, server, 1)
  end
end

-- Who has another answer than 101, and stays, gives way in its turn; nothing of the answer is lost.
function T:test_who_was_answered_gives_way()
  local refused, later, peers, mute = {}, nil, {}, {}
  local _, _, port = self.rig:listen { handshakesMax = 4, closeTimeout = 0,
    onrequest = function(_, response) response:send(200, nil, "hello") end,
    onrefused = function(message) refused[#refused + 1] = message end,
    onupgrade = function(request)
      if request.path == "/no" then request:reject(404) else later = request end
    end }
  for i, text in ipairs { visitors.upgrade(nil, "GET /later HTTP/1.1"), visitors.plain(),
    visitors.upgrade(nil, "GET /no HTTP/1.1") } do
    peers[i] = visitors.visit(self.rig, port, text)
  end
  self.rig:wait(function() return later end)
  later:reject(401, nil, "late")
  peers[4] = visitors.visit(self.rig, port, visitors.upgrade { Origin = "http://elsewhere" })
  lu.assertStrContains(peers[4]:head(), " 403 ")
  for i = 1, 4 do mute[i] = visitors.visit(self.rig, port) end
  self.rig:wait(function() return refused[1] end) -- the last of them, so all are gone
  lu.assertStrContains(refused[1], "rigin")
  for i, status in ipairs { 401, 200, 404 } do lu.assertEquals(visitors.answer(peers[i]).status, status) end
  for i = 1, 4 do
    mute[i]:look()
    lu.assertNil(mute[i].ended)
  end
  lu.assertEquals(#refused, 1)
end

-- An answer that is on its way is not cut off.
function T:test_who_is_being_answered_does_not_give_way()
  local n = 12000000
  local _, _, port = self.rig:listen { handshakesMax = 1, closeTimeout = 0, onrequest = function(_, response)
    response:send(200, nil, ("x"):rep(n))
  end }
  local slow = visitors.visit(self.rig, port, visitors.plain())
  self.rig:idle()
  local late = visitors.visit(self.rig, port, visitors.upgrade())
  local over
  self.rig.loop:after(1.2, function() over = true end)
  self.rig:wait(function() return over end)
  lu.assertEquals(late:look(), "")
  lu.assertEquals(#visitors.answer(slow).body, n)
  lu.assertStrContains(late:head(), " 101 ")
end

function T:test_who_has_asked_does_not_give_way()
  local asked = {}
  local _, _, port = self.rig:listen { handshakesMax = 2, onupgrade = function(request)
    if request.path == "/" then request:accept() else asked[#asked + 1] = request end
  end, onrequest = function(_, response) asked[#asked + 1] = response end }
  for i, text in ipairs { visitors.upgrade(nil, "GET /slow HTTP/1.1"), visitors.plain() } do
    local slow = visitors.visit(self.rig, port, text)
    self.rig:wait(function() return #asked == i end)
    local mute = visitors.visit(self.rig, port)
    self.rig:idle()
    visitors.bystander(self.rig, port):check()
    mute:take_end()
    if i == 1 then asked[i]:accept() else asked[i]:send(200) end
    lu.assertStrContains(slow:head(), i == 1 and " 101 " or " 200 ")
  end
end

-- A process that stood still reads first what came meanwhile.
function T:test_a_request_that_waits_does_not_give_way()
  local refused = 0
  local _, _, port = self.rig:listen { handshakesMax = 3, onrefused = function() refused = refused + 1 end }
  local peers = {}
  for i = 1, 3 do peers[i] = visitors.visit(self.rig, port) end
  self.rig:idle()
  for i = 1, 3 do assert(peers[i].sock:send(visitors.upgrade())) end
  local late = luasocket.tcp4()
  self.rig:keep(late)
  late:settimeout(5)
  assert(late:connect("127.0.0.1", port))
  luasocket.sleep(1.1)
  for i = 1, 3 do lu.assertStrContains(peers[i]:head(), " 101 ") end
  visitors.bystander(self.rig, port):check()
  lu.assertEquals(refused, 0)
end

-- One too many of its address takes nobody's place.
function T:test_who_is_cut_off_displaces_nobody()
  local refused = {}
  local _, _, port = self.rig:listen { handshakesMax = 10, maxPerAddress = 1, handshakeTimeout = 0,
    onrefused = function(message) refused[#refused + 1] = message end }
  local other = visitors.visit(self.rig, port, nil, "127.0.0.2")
  for _ = 1, 9 do visitors.visit(self.rig, port) end
  for i = 1, 3 do
    visitors.visit(self.rig, port):take_end()
    self.rig:wait(function() return #refused == i end)
    lu.assertEquals(refused[i], FEW)
  end
  other:send(visitors.upgrade())
  lu.assertStrContains(other:head(), " 101 ")
end

function T:test_handshakes_max_ends_by_the_clock()
  clock.patiently(function(times)
    local refused = {}
    local _, _, port = self.rig:listen { handshakesMax = 1, handshakeTimeout = 0.1 * times, closeTimeout = 0.1,
      onrefused = function(_, code) refused[#refused + 1] = code end }
    local mute = visitors.visit(self.rig, port)
    self.rig:idle()
    local late = visitors.visit(self.rig, port, visitors.upgrade())
    lu.assertStrContains(late:head(), " 101 ")
    lu.assertEquals(refused, { "TIMEOUT" })
    mute:take_end()
  end)
end

-- A request the application has not answered holds its place.
function T:test_handshakes_max_and_slow_handlers()
  local asked = {}
  local _, _, port = self.rig:listen { handshakesMax = 2,
    onupgrade = function(request) asked[#asked + 1] = request end }
  local peers = {}
  for i = 1, 5 do peers[i] = visitors.visit(self.rig, port, visitors.upgrade()) end
  self.rig:wait(function() return #asked == 2 end)
  self.rig:idle(20)
  lu.assertEquals(#asked, 2)
  for i = 1, 5 do
    self.rig:wait(function() return asked[i] end)
    asked[i]:accept()
  end
  for i = 1, 5 do lu.assertStrContains(peers[i]:head(), " 101 ") end
end

-- ---- handshakeTimeout -------------------------------------------------------------------

-- C4: one clock for the whole head, however it dribbles in, and for a body.
function T:test_one_clock_for_all_of_a_request()
  local post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
  for _, start in ipairs { "", "GET / HTTP/1.1\r\nX: ", post } do
    clock.patiently(function(times)
      local _, _, port = self.rig:listen { handshakeTimeout = 0.3 * times, closeTimeout = 0.2 * times,
        onrequest = function() end }
      local bystander = visitors.bystander(self.rig, port)
      local peer = visitors.visit(self.rig, port, start)
      local over
      self.rig.loop:after(0.25 * times, function() over = true end)
      while not over do -- a byte now and then does not help
        if #start > 0 then peer:send "x" end
        for _ = 1, 5 do self.rig:turn(0.01) end
      end
      lu.assertEquals(peer:look(), "")
      local answer = visitors.answer(peer)
      lu.assertEquals(answer and answer.status, 408, start)
      bystander:check()
    end)
  end
end

function T:test_no_handshake_timeout()
  local _, _, port = self.rig:listen { handshakeTimeout = 0 }
  local peer = visitors.visit(self.rig, port, "GET / HTTP/1.1\r\n")
  self.rig:idle(20)
  lu.assertNil(self.rig.loop:timeout())
  lu.assertEquals(peer:look(), "")
  lu.assertNil(peer.ended)
end

-- ---- refused ----------------------------------------------------------------------------

function T:test_refused_is_told_with_its_reason()
  local refused = {}
  local _, _, port = self.rig:listen { maxHeaderSize = 256,
    onrefused = function(...) refused[#refused + 1] = { ... } end }
  local function is(code, message)
    self.rig:wait(function() return #refused == 1 end, "nothing refused")
    local got = table.remove(refused)
    lu.assertEquals({ #got, got[2], got[3] }, { 3, code, "127.0.0.1" })
    lu.assertIsString(got[1])
    if message then lu.assertStrContains(got[1], message) end
  end
  visitors.visit(self.rig, port):close()
  is "CLOSED"
  visitors.visit(self.rig, port, "GET / HTTP/1.1\r\n"):reset()
  is "ECONNRESET"
  visitors.ask(self.rig, port, "\x16\x03\x01")
  is "HANDSHAKE"
  visitors.ask(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Version"] = "12" })
  is "HANDSHAKE"
  visitors.ask(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Key"] = false })
  is "HANDSHAKE"
  visitors.ask(self.rig, port, "GET / HTTP/1.1\r\nX: " .. ("x"):rep(256))
  is "HANDSHAKE"
  visitors.ask(self.rig, port, visitors.upgrade { Origin = "http://evil.example" })
  is("HANDSHAKE", "origin is not allowed")
  local _, _, full = self.rig:listen { maxConnections = 1,
    onrefused = function(...) refused[#refused + 1] = { ... } end }
  visitors.bystander(self.rig, full):check()
  lu.assertEquals(visitors.ask(self.rig, full, visitors.upgrade()).status, 503)
  is("HANDSHAKE", "too many connections")
end

-- What the application itself turned down it knows already.
function T:test_what_is_not_told_as_refused()
  local refused = {}
  local _, _, port = self.rig:listen { maxConnections = 1,
    verify = function(request) return request.path == "/" end,
    onrefused = function(...) refused[#refused + 1] = { ... } end }
  visitors.ask(self.rig, port, visitors.plain())
  visitors.ask(self.rig, port, visitors.upgrade(nil, "GET /other HTTP/1.1"))
  visitors.bystander(self.rig, port):check()
  self.rig:idle()
  lu.assertEquals(refused, {})
end

return T
