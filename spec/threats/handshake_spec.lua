-- threats section 4 over real connections: requests that attack a server and
-- answers that attack a client. The rules one by one are in spec/wire and
-- spec/proto; here is what a whole server makes of them, beside a connection
-- that must not notice.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()
T.alone = true -- it measures

local function never() lu.fail "a handler was called" end

-- A server whose handlers must not be called but for the bystander.
local function fortress(rig, options)
  local ready = false
  options = options or {}
  options.verify = function() return ready and never() or true end
  options.onrequest = never
  local server, _, port = rig:listen(options)
  local bystander = visitors.bystander(rig, port)
  ready = true
  return port, bystander, server
end

-- Each text gets its status, and the bystander notices nothing.
local function refuses(rig, rows, options)
  local port, bystander = fortress(rig, options)
  for _, row in ipairs(rows) do
    local answer
    visitors.cheap(0.5, row[2]:sub(1, 60), function()
      answer = visitors.answer(visitors.visit(rig, port, row[2]))
    end)
    lu.assertEquals({ answer and answer.status, row[2]:sub(1, 200) }, { row[1], row[2]:sub(1, 200) })
    lu.assertStrContains(answer.headers.connection, "close")
    bystander:check()
  end
end

-- ---- H1: a head a byte at a time -----------------------------------------------------

function T:test_H1_a_large_head_in_single_bytes()
  local max = clock.times(8192, 1024)
  local port, bystander = fortress(self.rig, { maxHeaderSize = max })
  local peer = visitors.visit(self.rig, port)
  local text, sent = "GET / HTTP/1.1\r\n" .. ("X: 1234567890\r\n"):rep(90) .. "Y: " .. ("y"):rep(64 << 10), 0
  visitors.cheap(2, "a head in single bytes", function() -- sends and turns of the loop included
    while sent < #text and peer:look() == "" do
      sent = sent + 1
      peer.sock:send(text, sent, sent)
      self.rig.loop:step(0)
    end
  end)
  lu.assertTrue(sent <= max + 1, sent) -- not only at the end
  lu.assertEquals(visitors.answer(peer).status, 431)
  bystander:check()
end

-- ---- H2: lines and sizes ---------------------------------------------------------------

function T:test_H2_heads()
  local function with(...) return visitors.plain(nil, { ... }) end
  refuses(self.rig, {
    { 431, "GET / HTTP/1.1\r\nHost: h\r\n" .. ("X: y\r\n"):rep(100) }, -- the 101st line
    { 431, "GET / HTTP/1.1\r\n" .. ("X: y\r\n"):rep(100000):sub(1, 30000) },
    { 431, "GET / HTTP/1.1\r\nX: " .. ("x"):rep(8190) .. "\r\n" },
    { 431, "GET / HTTP/1.1\r\n" .. ("X: " .. ("x"):rep(8000) .. "\r\n"):rep(5) },
    { 414, "GET /" .. ("x"):rep(8192) .. " HTTP/1.1\r\n" },
    { 501, ("G"):rep(33) .. " / HTTP/1.1\r\n" }, { 501, ("G"):rep(9000) }, { 400, ("G"):rep(32) .. "/ HTTP/1.1\r\n" },
    { 400, ("G"):rep(32) .. "\r\n" }, { 405, visitors.upgrade(nil, ("G"):rep(32) .. " / HTTP/1.1") },
    { 400, with "NoColon" }, { 400, with ": empty name" }, { 400, with "a b: c" }, { 400, with "a : c" },
    { 400, with("A: b", " folded") }, { 400, with("A: b\nC: d") }, { 400, with("A: b\rC: d") },
    { 400, with "A: b\0c" }, { 400, with "A: \1" }, { 400, with "A\xff: b" }, { 400, " GET / HTTP/1.1\r\n" },
    { 400, "GET / HTTP/1.1\n" }, { 400, "GET  / HTTP/1.1\r\n" }, { 400, "GET / \r\n" }, { 400, "GET /\r\n" },
    { 400, "GET / HTTP/1.1 \r\n" }, { 400, "GET /\0 HTTP/1.1\r\n" }, { 400, "\r\n\r\n" }, { 400, "\0" },
  })
end

-- 100 lines and 8190 bytes in one are no attack.
function T:test_H2_the_largest_that_is_welcome()
  local _, _, port = self.rig:listen {}
  local text = visitors.upgrade():sub(1, -3)
  text = text .. "X: " .. ("x"):rep(8189) .. "\r\n" .. ("Y: z\r\n"):rep(94) .. "\r\n"
  local peer, answer = visitors.knock(self.rig, port, text)
  lu.assertEquals(answer.status, 101)
  peer:close()
end

-- ---- H3: other protocols, other hosts -----------------------------------------------------

function T:test_H3_what_is_no_http_1_1()
  refuses(self.rig, {
    { 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }, { 505, "GET / HTTP/1.0\r\n\r\n" }, { 505, "GET / HTTP/2.0\r\n\r\n" },
    { 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
    { 400, "\x05\x01\x00" }, { 400, "SSH-2.0-OpenSSH_9.2\r\n" }, { 400, bytes.frame { mask = true, "hi" } },
    { 400, "HTTP/1.1 200 OK\r\n\r\n" }, { 400, "<policy-file-request/>\0" }, { 400, "get / http/1.1\r\n\r\n" },
  })
end

function T:test_H3_hosts_and_targets()
  local rows = {
    { 405, visitors.upgrade(nil, "POST / HTTP/1.1") }, { 405, visitors.upgrade(nil, "HEAD / HTTP/1.1") },
    { 405, "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n" }, { 400, visitors.upgrade(nil, "GET h:80 HTTP/1.1") },
    { 400, visitors.upgrade(nil, "GET * HTTP/1.1") }, { 400, visitors.upgrade(nil, "GET chat HTTP/1.1") },
    { 400, visitors.upgrade(nil, "GET ftp://h/ HTTP/1.1") }, { 400, visitors.upgrade { Connection = "Upgrade, a b" } },
    { 400, visitors.upgrade(nil, "GET http://h:99999/ HTTP/1.1") }, { 400, visitors.upgrade { Host = false } },
    { 400, visitors.upgrade { Host = { "h", "h" } } }, { 400, "GET / HTTP/1.1\r\n\r\n" },
  }
  for _, host in ipairs { "a b", "[::1", "a:99999", "%00", ("a"):rep(300), "u@h", "h/", "" } do
    rows[#rows + 1] = { 400, visitors.upgrade { Host = host } }
  end
  refuses(self.rig, rows)
end

-- ---- X2: DNS rebinding ---------------------------------------------------------------------

-- A page of evil.example, whose name leads here by now: to its browser it comes from the very host it asks, so its
-- Origin is not foreign. With `hosts` neither the socket nor a page, by whatever method, is to be had by that name.
function T:test_X2_a_page_whose_name_leads_here()
  local evil = { Host = "evil.example", Origin = "http://evil.example" }
  local _, _, open = self.rig:listen {}
  lu.assertEquals(visitors.status(self.rig, open, evil), 101)
  local rows = { { 421, visitors.upgrade(evil) } }
  local function add(text) rows[#rows + 1] = { 421, text } end
  for _, host in ipairs { "evil.example:80", "h.evil.example", "127.0.0.1:80", "[::1]", "h.", "localhost.:80", "hh" } do
    add(visitors.upgrade { Host = host, Origin = "http://" .. host })
    add(visitors.upgrade({ Origin = "http://" .. host }, ("GET http://%s/ HTTP/1.1"):format(host)))
    for _, method in ipairs { "GET", "POST", "OPTIONS", "DELETE" } do
      add(("%s / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n"):format(method, host))
    end
  end
  refuses(self.rig, rows, { hosts = { "h", "localhost" } })
end

-- ---- H4, H5 ------------------------------------------------------------------------------

function T:test_H4_lists()
  local many, spaces, commas = {}, "a" .. (" "):rep(8000) .. "b", (","):rep(8000)
  for i = 1, 1000 do many[i] = "p" .. i end
  refuses(self.rig, {
    { 400, visitors.upgrade { ["Sec-WebSocket-Protocol"] = spaces } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Protocol"] = commas } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Protocol"] = { commas, commas, commas } } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Protocol"] = "a, b, a" } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Protocol"] = { "a", "a" } } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Extensions"] = 'a; b="' .. ("\\c"):rep(3000) } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Extensions"] = commas .. ";" } },
    { 400, visitors.upgrade { Connection = (" ,"):rep(4000) } },
  })
  local _, _, port = self.rig:listen { protocols = { "p1000" } }
  local _, answer
  visitors.cheap(0.5, "1000 subprotocols", function()
    local list = table.concat(many, ",")
    _, answer = visitors.knock(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Protocol"] = list })
  end)
  lu.assertEquals({ answer.status, answer.headers["sec-websocket-protocol"] }, { 101, "p1000" })
end

function T:test_H5_smuggling()
  refuses(self.rig, {
    { 400, visitors.upgrade { ["Content-Length"] = "5" } .. "hello" },
    { 400, visitors.upgrade { ["Transfer-Encoding"] = "chunked" } .. "0\r\n\r\n" },
    { 400, visitors.upgrade { Connection = "xUpgrade" } }, { 400, visitors.upgrade { Connection = false } },
    { 400, visitors.upgrade { ["Sec-WebSocket-Key"] = { visitors.KEY, visitors.KEY } } },
    { 400, visitors.plain("POST / HTTP/1.1", { "Content-Length: 1", "Transfer-Encoding: chunked" }, "0\r\n\r\n") },
    { 400, visitors.plain("POST / HTTP/1.1", { "Content-Length: 1", "Content-Length: 2" }, "xy") },
  })
end

-- What stands behind a refused request is not a second one.
function T:test_H5_nothing_follows_a_refusal()
  local port, bystander = fortress(self.rig)
  local answer = visitors.ask(self.rig, port, "BAD\r\n\r\n" .. visitors.upgrade() .. visitors.plain())
  lu.assertEquals(answer.status, 400)
  lu.assertNil(answer.body:find("HTTP/1.1", 1, true))
  bystander:check()
end

-- ---- H7: gone at every byte ------------------------------------------------------------

-- The peer leaves after each byte of its request, with FIN and with RST; the
-- application accepts at once, later, or not at all.
function T:test_H7_the_peer_leaves_at_every_byte()
  local request = visitors.upgrade { ["Sec-WebSocket-Protocol"] = "a" } .. bytes.frame { mask = true, "hi" }
  local step = clock.slow > 1 and 7 or 1
  for _, when in ipairs { "now", "later" } do
    local opened, closed, refused = 0, 0, 0
    local server, _, port = self.rig:listen {
      protocols = { "a" },
      onupgrade = function(r)
        local accept = function() r:accept() end
        if when == "later" then self.rig.loop:after(0.001, accept) else accept() end
      end,
      onconnection = function(socket)
        opened = opened + 1
        socket:send "welcome"
      end,
      onclose = function() closed = closed + 1 end,
      onrefused = function() refused = refused + 1 end,
    }
    local bystander = visitors.bystander(self.rig, port)
    local count = 0
    for n = 0, #request, step do
      for _, how in ipairs { "close", "reset" } do
        local peer = visitors.visit(self.rig, port, request:sub(1, n))
        if n % 3 == 0 then self.rig.loop:step(0) end
        peer[how](peer)
        self.rig.loop:step(0)
        count = count + 1
      end
    end
    self.rig:wait(function() return server.clientCount == 1 end)
    -- each of them ended in one way or the other; a reset may come before accept
    self.rig:wait(function() return refused + opened - 1 >= count // 2 end)
    lu.assertEquals(opened - 1, closed)
    bystander:check()
    visitors.bystander(self.rig, port):check()
    server:close(1001, "", 0)
    self.rig:settle()
  end
end

-- The same for a client: the server leaves after each byte of its answer.
function T:test_H7_the_server_leaves_at_every_byte()
  local far = self.rig:raw_server()
  local answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Accept: %s\r\n\r\n"
  local accept_of = require "wsock.core".codec.accept
  local step = clock.slow > 1 and 7 or 1
  for n = 0, 129, step do
    for _, how in ipairs { "close", "reset" } do
      local socket = self.rig:client(far.url)
      local record = rigs.record(socket)
      local peer = far:accept()
      local whole = answer:format(accept_of(peer:head():match "Sec%-WebSocket%-Key: (%S+)"))
      peer:send(whole:sub(1, n))
      peer[how](peer)
      self.rig:closed(record)
      if n < #whole then
        lu.assertEquals(tostring(record), ("error:%s close:1006::false"):format(
          how == "close" and "CLOSED" or record.code), n)
      else
        lu.assertStrMatches(tostring(record), "open error:%w+ close:1006::false")
      end
      lu.assertEquals(socket.readyState, 3)
    end
  end
end

-- ---- H8: directly behind the head ------------------------------------------------------------

function T:test_H8_pings_glued_to_the_head()
  local pings = {}
  local _, _, port = self.rig:listen { onping = function(_, data) pings[#pings + 1] = #data end }
  for _, n in ipairs { 0, 1, 125 } do
    local ping = bytes.frame { op = "ping", mask = true, ("x"):rep(n) }
    local peer = visitors.visit(self.rig, port, visitors.upgrade() .. ping)
    peer:head()
    local frame = peer:take()
    lu.assertEquals({ frame.op, frame.payload }, { bytes.OP.pong, ("x"):rep(n) })
  end
  lu.assertEquals(pings, { 0, 1, 125 })
  -- and in pieces of every size
  local text = visitors.upgrade() .. bytes.frame { op = "ping", mask = true, "p" } .. bytes.frame { mask = true, "t" }
  for _, size in ipairs { 1, 2, 3, 50 } do
    local peer = visitors.visit(self.rig, port)
    for piece in bytes.pieces(text, size) do
      peer:send(piece)
      self.rig.loop:step(0)
    end
    peer:head()
    lu.assertEquals(peer:take().payload, "p")
  end
end

-- Everything there is to say in one packet, the end included.
function T:test_H8_a_whole_life_in_one_packet()
  local log = {}
  local _, _, port = self.rig:listen {
    onconnection = function() log[#log + 1] = "connection" end,
    onmessage = function(_, data) log[#log + 1] = data end,
    onclose = function(_, code) log[#log + 1] = code end,
  }
  local peer = visitors.visit(self.rig, port, visitors.upgrade() .. bytes.frame { mask = true, "hi" }
    .. bytes.close(1000, "", true))
  peer:shut()
  peer:head()
  lu.assertEquals(peer:take_close(), 1000)
  peer:take_end()
  self.rig:wait(function() return #log == 3 end)
  lu.assertEquals(log, { "connection", "hi", 1000 })
end

return T
