-- net/tls: the stream. Whatever the socket does, bytes come out as they went in;
-- a line that is cut is no clean end; what one turn wrote leaves in one record.
local lu = require "luaunit"
local probe = require "wsock.probe"
local bytes = require "support.bytes"
local clock = require "support.clock"
local hostile = require "support.hostile"
local process = require "support.process"
local relays = require "support.relay"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local sys, E = probe.net.sys, probe.net.E

local T = require "support.tls".class()

local SIZES = { 0, 1, 125, 126, 1000, 16370, 16384, 16385, 65535, 65536, 300000, 2, 1000000 }

-- TL-01
function T:test_messages_of_all_sizes()
  local p = self:pair()
  lu.assertEquals(p.near.tls.version, "TLSv1.3")
  self:echo(p, SIZES)
  self:finish(p)
end

-- A peer that knows nothing newer, in either role.
function T:test_tls_1_2()
  local socket
  local _, _, port = self:server(nil, { onconnection = function(s) socket = s end,
    onmessage = function(s, data, kind) s:send(data, kind) end })
  local peer = hostile.client(self.rig, port, { old = "1.2" })
  peer:data(visitors.upgrade())
  lu.assertStrContains(peer:head(), "HTTP/1.1 101 ")
  lu.assertEquals(socket.tls.version, "TLSv1.2")
  for _, size in ipairs(SIZES) do
    local data = bytes.random(size)
    peer:data(bytes.frame { op = "binary", mask = true, data })
    lu.assertTrue(peer:take().payload == data, size)
  end
  local far = self.rig:raw_server()
  local client, record = self:client((far.url:gsub("^ws:", "wss:")))
  peer = hostile.server(self.rig, far:accept(), { cert = self.good.cert, key = self.good.key, old = "1.2" })
  peer:welcome()
  self.rig:events(record, 1)
  lu.assertEquals(client.tls.version, "TLSv1.2")
  local data = bytes.random(100000)
  client:send(data, "binary")
  lu.assertTrue(peer:take().payload == data)
  peer:data(bytes.frame { op = "text", "hello" })
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open text:hello")
end

-- Bytes come one by one, and in pieces that never fit a record.
function T:test_a_relay_that_dribbles()
  for _, n in ipairs { 1, 7, 1000 } do
    local p = self:pair(nil, nil, { up = n, down = n })
    self:echo(p, n == 1 and { 0, 10, 300 } or { 0, 10, 20000 })
    self:finish(p)
  end
end

-- Only TLS goes over the line: nothing of the handshake's head or a message.
function T:test_nothing_is_readable_on_the_way()
  local p = self:pair({ headers = { ["X-Secret"] = "hush-hush" } }, nil, {})
  p.far:on("message", function(data) p.far:send(data) end)
  local got
  p.near:on("message", function(data) got = data end)
  p.near:send "a secret message"
  self.rig:wait(function() return got end)
  for _, way in ipairs { "up", "down" } do
    for _, word in ipairs { "HTTP/1.1 101", "GET ", "hush", "secret", "Upgrade" } do
      lu.assertNil(p.relay[way]:find(word, 1, true), word)
    end
  end
end

-- ---- ends --------------------------------------------------------------------------

-- TL-09: a FIN without close_notify is somebody else's; 1006, and said so.
function T:test_a_cut_line_is_no_clean_end()
  for _, half in ipairs { false, true } do
    local p = self:pair(nil, nil, {})
    if half then -- in the middle of a message
      p.near:send("x", "text", { final = false })
      p.far:send("x", "text", { final = false })
      self.rig:idle()
    end
    p.relay:cut()
    for _, record in ipairs { p.near_record, p.far_record } do
      self.rig:closed(record)
      lu.assertEquals((tostring(record):gsub("^open ", "")), "error:CLOSED close:1006::false")
      lu.assertEquals(record.message, "TLS: the connection ended without close_notify")
    end
  end
end

-- ... but behind both Close frames it is no news.
function T:test_a_cut_line_behind_the_close_frames()
  local p = self:pair(nil, nil, {})
  p.relay.change = function(way, data)
    if way == "down" and p.near.readyState >= 2 and #p.relay.down > 0 then
      p.closing = true
    end
    return data
  end
  p.near:close(1000)
  self.rig:wait(function() return p.closing end)
  p.relay:cut()
  self.rig:closed(p.near_record)
  lu.assertEquals(p.near_record:last(), "close:1000::true")
  lu.assertEquals({ p.near:receive() }, { nil, "the connection was closed (1000)", "CLOSED", 1000, "" })
end

function T:test_a_changed_byte()
  local p = self:pair(nil, nil, {})
  p.relay.change = function(way, data)
    return way == "up" and data:sub(1, -2) .. string.char(data:byte(-1) ~ 1) or data
  end
  p.near:send "x"
  self.rig:closed(p.far_record)
  lu.assertStrContains(tostring(p.far_record), "error:TLS close:1006::false")
  lu.assertStrContains(p.far_record.message, "TLS: decryption failed")
  self.rig:closed(p.near_record)
  lu.assertStrContains(tostring(p.near_record), "close:1006")
end

-- S3: one connection's error stays its own: the queue is emptied in between.
function T:test_errors_of_others()
  local p = self:pair()
  for _ = 1, 5 do
    local bad = self:pair(nil, nil, {})
    bad.relay.change = function(_, data) return ("\0"):rep(#data) end
    bad.near:send "x"
    p.near:send "fine"
    self.rig:closed(bad.far_record)
    self:echo(p, { 5, 20000 })
  end
  self:finish(p)
end

function T:test_terminate_is_heard_as_1006()
  local p = self:pair()
  p.far:terminate()
  self.rig:closed(p.near_record)
  lu.assertStrContains(tostring(p.near_record), "close:1006::false")
end

-- ---- who is no TLS -------------------------------------------------------------------

-- Plain text on the TLS port: closed, told to onrefused, nobody else hurt.
function T:test_plain_text_on_the_tls_port()
  local refused = {}
  local _, url, port = self:server(nil, {
    onrefused = function(message, code) refused[#refused + 1] = code .. " " .. message end,
    onmessage = function(socket, data) socket:send(data) end,
  })
  local client, record = self:client(url)
  self.rig:wait(function() return client.readyState == 1 end)
  for _, text in ipairs { "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n",
    "\22\3\1hello, world!", ("\0"):rep(100), "SSH-2.0-x\r\n" } do
    local peer = self.rig:raw_client(port, true)
    peer:send(text)
    lu.assertEquals(peer:take_end(), "closed") -- and no reset
    peer:close()
  end
  self.rig:wait(function() return #refused == 5 end)
  for _, words in ipairs(refused) do lu.assertStrContains(words, "TLS TLS handshake: ") end
  lu.assertEquals(refused[1], "TLS TLS handshake: what came is not TLS")
  client:send "still here"
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open text:still here")
end

function T:test_a_server_without_tls()
  local _, url = self.rig:listen {}
  local client = self.rig:client(url:gsub("^ws:", "wss:"), nil, { tls = { ca = self.good.ca } })
  local record = rigs.record(client)
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:TLS close:1006::false")
  lu.assertEquals(record.message, "TLS handshake with 127.0.0.1: what came is not TLS")
end

-- Nobody at the other end says a word: one clock over TCP, TLS and the head.
function T:test_handshake_timeouts()
  local mute = self.rig:raw_server()
  local url, proxy = mute.url:gsub("^ws:", "wss:"), mute.url:gsub("^ws:", "http:")
  for _, row in ipairs {
    { "TLS handshake: ", {} },
    { ("CONNECT h:443 by 127.0.0.1:%d: "):format(mute.port), { proxy = proxy }, "wss://h/" },
    { "TLS handshake: ", { proxy = proxy:gsub("^http", "https") }, "wss://h/" },
    { ("SOCKS5 h:443 by 127.0.0.1:%d: "):format(mute.port), { proxy = proxy:gsub("^http", "socks5h") }, "wss://h/" },
  } do
    row[2].handshakeTimeout = 0.05
    local record = rigs.record(self.rig:client(row[3] or url, nil, row[2]))
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "error:TIMEOUT close:1006::false")
    lu.assertEquals(record.message, row[1] .. "handshakeTimeout has passed")
  end
  local refused
  local _, _, port = self:server(nil, { handshakeTimeout = 0.05, onrefused = function(_, code) refused = code end })
  local peer = self.rig:raw_client(port, true)
  peer:send "\22\3\1" -- a ClientHello that goes no further
  self.rig:wait(function() return refused end)
  lu.assertEquals(refused, "TIMEOUT")
  peer:take_end()
end

function T:test_closing_while_it_handshakes()
  local mute = self.rig:raw_server()
  for _, how in ipairs { "close", "terminate" } do
    local client = self.rig:client((mute.url:gsub("^ws:", "wss:")))
    local record = rigs.record(client)
    mute:accept()
    client[how](client)
    self.rig:closed(record)
    lu.assertStrContains(tostring(record), "close:1006::false")
  end
end

function T:test_the_peer_leaves_in_the_handshake()
  local mute = self.rig:raw_server()
  local client = self.rig:client((mute.url:gsub("^ws:", "wss:")))
  local record = rigs.record(client)
  mute:accept():close()
  self.rig:closed(record)
  lu.assertStrContains(tostring(record), "close:1006::false")
  local words, where = record.message, "127.0.0.1:" .. mute.port
  lu.assertTrue(words == "TLS handshake with 127.0.0.1: the peer closed the connection"
    or words == ("recv %s: Connection reset by peer"):format(where)
    or words == ("send %s: Broken pipe"):format(where), words)
end

-- H7: the line is cut at any byte of the handshakes, of TLS and of WebSocket.
function T:test_cut_at_any_byte()
  local whole = self:pair(nil, nil, {})
  local sizes = { up = #whole.relay.up, down = #whole.relay.down }
  for _, way in ipairs { "up", "down" } do
    for at = math.random(40), sizes[way] - 1, 41 do
      local refused
      local _, _, port = self:server(nil, { onrefused = function(...) refused = { ... } end })
      local relay = relays.new(self.rig, port, { up = 100, down = 100 })
      relay.change = function(w, data)
        if w ~= way or #relay[way] < at then return data end
        relay.rig.loop:after(0, function() relay:cut() end)
        return data:sub(1, math.max(0, at - (#relay[way] - #data)))
      end
      local client, record = self:client("wss://127.0.0.1:" .. relay.port)
      self.rig:closed(record)
      lu.assertStrContains(tostring(record), "close:1006::false")
      lu.assertEquals(client.readyState, 3)
      self.rig:idle(2)
      lu.assertTrue(refused == nil or #refused[1] > 0)
    end
  end
end

-- ---- system calls that are short, or say "later" ---------------------------------------

-- P2: each of the first calls of recv and send in turn.
function T:test_calls_that_only_ask_for_patience()
  for _, call in ipairs { "recv", "send" } do
    for _, err in ipairs { E.EAGAIN, E.EINTR } do
      for skip = 0, 14, 2 do
        sys.fault(call, err, 2, skip)
        local p = self:pair()
        self:echo(p, { 5, 70000 })
        self:finish(p)
        sys.fault(call, 0, 0)
      end
    end
  end
end

function T:test_calls_that_break_the_connection()
  for _, call in ipairs { "recv", "send" } do
    for skip = 0, 9 do
      local _, url = self:server(nil, { onconnection = function(socket) socket:send(("x"):rep(50000)) end })
      local client, record = self:client(url)
      sys.fault(call, E.ECONNRESET, 1, skip)
      client:on("message", function() client:close(1000) end)
      self.rig:closed(record)
      sys.fault(call, 0, 0)
      self.rig:idle(3)
    end
  end
end

-- TL-11: many messages in one record, of which the first stops the reading.
function T:test_what_waits_inside_is_read_after_a_pause()
  local p = self:pair()
  local got = {}
  p.far:on("message", function(data)
    got[#got + 1] = data
    if #got == 1 then p.far:pause() end
  end)
  for i = 1, 200 do p.near:send(("%d:%s"):format(i, ("x"):rep(i))) end
  self.rig:wait(function() return #got == 1 end)
  self.rig:idle()
  lu.assertEquals(#got, 1)
  p.far:resume()
  self.rig:wait(function() return #got == 200 end)
  for i = 1, 200 do lu.assertStrContains(got[i], i .. ":") end
  self:finish(p)
end

-- H8: a ping glued to the handshake, in the same record.
function T:test_frames_behind_the_handshake()
  local pings = 0
  local _, url = self:server(nil, { onconnection = function(socket)
    socket:ping "glued"
    socket:send "first"
  end })
  local client, record = self:client(url)
  client:on("ping", function() pings = pings + 1 end)
  self.rig:events(record, 3)
  lu.assertEquals(tostring(record), "open ping:glued text:first")
  lu.assertEquals(pings, 1)
end

-- ---- OpenSSL's own programs --------------------------------------------------------------

local REQUEST = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

-- TL-10: the client changes its keys, and asks for ours, while data flow.
function T:test_key_update()
  local seen, socket = {}, nil
  local _, _, port = self:server(nil, { onconnection = function(s)
    socket = s
    s:on("message", function(data)
      seen[#seen + 1] = data
      s:send("echo " .. data)
    end)
  end })
  local program = process.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_3", "-msg",
    stdin = true }
  self.program = program
  local function pump() self.rig:turn() end
  program:write(REQUEST)
  self.rig:wait(function() return socket end, "no handshake")
  for i = 1, 20 do
    program:write "K\n" -- update, and ask for one back
    clock.wait(function()
      return select(2, program:output():gsub(">>> [^\n]*KeyUpdate", "")) >= i
    end, 5, pump)
    program:write(bytes.frame { "m" .. i, op = "text", mask = true } .. "\n")
    self.rig:wait(function() return #seen == i or socket.readyState ~= 1 end)
    if socket.readyState ~= 1 then break end
  end
  lu.assertTrue(#seen >= 1)
  program:expect("<<< [^\n]*KeyUpdate", 5, pump)
  program:expect("echo m1", 5, pump)
end

-- S3: no renegotiation, not even where TLS 1.2 has one.
function T:test_no_renegotiation()
  local socket
  local _, _, port = self:server(nil, { onconnection = function(s) socket = s end })
  local program = process.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_2", stdin = true }
  self.program = program
  program:write(REQUEST)
  self.rig:wait(function() return socket end, "no handshake")
  program:write "R\n"
  program:expect("no renegotiation", 5, function() self.rig:turn() end)
end

function T:test_old_versions_are_refused()
  local refused
  local _, _, port = self:server(nil, { onrefused = function(message) refused = message end })
  local program = process.start { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-tls1_1",
    "-cipher", "DEFAULT:@SECLEVEL=0" }
  self.program = program
  self.rig:wait(function() return refused end, "not refused")
  lu.assertEquals(refused, "TLS handshake: no TLS version in common")
end

function T:test_a_server_of_an_old_version()
  local port = process.free_port()
  local program = process.start { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-tls1_1", "-cert",
    self.good.cert, "-key", self.good.key, "-cipher", "DEFAULT:@SECLEVEL=0", stdin = true }
  self.program = program
  program:expect "ACCEPT"
  local none, why = self:open("wss://127.0.0.1:" .. port)
  lu.assertNil(none)
  lu.assertTrue(why == "TLS handshake with 127.0.0.1: the peer refused: protocol version"
    or why == "TLS handshake with 127.0.0.1: no TLS version in common", why)
end

return T
