-- resty/client: lua-resty-websocket's client over our loop, answer for answer.

local lu = require "luaunit"
local bytes = require "support.bytes"
local client = require "wsock.resty.client"
local peer = require "interop.peer"
local process = require "support.process"
local wsock = require "wsock"

local T = {}

function T:setUp()
  self.clients = {}
end

function T:tearDown()
  for _, wb in ipairs(self.clients) do
    if wb.sock then wb.sock:terminate() end
  end
  peer.cleanup()
end

-- A connected client, and the record of the far end.
function T:connect(options, server, more)
  local _, port, record = peer.echo(server)
  local wb = assert(client:new(options))
  self.clients[#self.clients + 1] = wb
  self.uri = ("ws://127.0.0.1:%d/s?q"):format(port)
  self.answer = table.pack(wb:connect(self.uri, more))
  lu.assertEquals(self.answer[1], 1, self.answer[2])
  peer.wait(function() return record.socket end)
  return wb, record
end

-- ---- connecting ---------------------------------------------------------------------

function T:test_connect_and_its_options()
  local _, record = self:connect({ timeout = 2000 }, { protocols = { "b" } },
    { protocols = "a, b", headers = { "X-One: 1", "X-Two:  two words " }, origin = "http://127.0.0.1" })
  lu.assertNil(self.answer[2])
  lu.assertStrMatches(self.answer[3], "HTTP/1.1 101 .-\r\n.*Sec%-WebSocket%-Protocol: b\r\n.*\r\n")
  local request = record.socket.request
  lu.assertEquals({ request.target, request.headers["x-one"], request.headers["x-two"], request.headers.origin },
    { "/s?q", "1", "two words", "http://127.0.0.1" })
  self:connect({}, { protocols = { "c" } }, { protocols = { "c", "d" } })
  lu.assertStrContains(self.answer[3], "Protocol: c\r\n")
end

function T:test_connect_fails()
  local wb = client:new { timeout = 2000 }
  lu.assertEquals({ wb:connect "nonsense" }, { nil, "bad websocket uri" })
  local port = process.free_port()
  lu.assertEquals({ wb:connect(("ws://127.0.0.1:%d"):format(port)) }, { nil, "failed to connect: connection refused" })
  local _, taken = peer.listen { verify = function() return false, 401, { ["X-A"] = "1" } end }
  local ok, err, head = wb:connect(("ws://127.0.0.1:%d"):format(taken))
  lu.assertEquals({ ok, err }, { nil, "failed websocket handshake: unexpected response status: 401" })
  lu.assertStrMatches(head, "HTTP/1.1 401 .*X%-A: 1\r\n.*")
  lu.assertEquals({ wb:send_text "x" }, { nil, "failed to send frame: closed" })
end

-- Nothing is left of a connect that is cancelled.
function T:test_a_cancelled_connect()
  local net = require "socket"
  local silent <close> = setmetatable({ assert(net.bind("127.0.0.1", 0)) }, { __close = function(t) t[1]:close() end })
  local _, port = silent[1]:getsockname()
  local wb = client:new { timeout = 60000 }
  local task = wsock.spawn(function() wb:connect(("ws://127.0.0.1:%d"):format(port)) end)
  local far = silent[1]
  far:settimeout(0)
  local tcp = peer.wait(function() return far:accept() end)
  tcp:settimeout(0)
  lu.assertTrue(task:cancel())
  peer.wait(function() return select(2, tcp:receive(4096)) == "closed" end)
  tcp:close()
end

function T:test_connect_times_out()
  local net = require "socket"
  local silent <close> = setmetatable({ assert(net.bind("127.0.0.1", 0)) }, { __close = function(t) t[1]:close() end })
  local _, port = silent[1]:getsockname()
  local wb = client:new { timeout = 50 }
  lu.assertEquals({ wb:connect(("ws://127.0.0.1:%d"):format(port)) },
    { nil, "failed to receive response header: timeout" })
end

function T:test_misuse()
  local wb = client:new()
  lu.assertEquals({ wb:connect("ws://h", { headers = "X: 1" }) }, { nil, "custom headers must be a table" })
  lu.assertEquals({ wb:connect("ws://h", { headers = { "bad" } }) },
    { nil, "custom header is no \"Name: value\": bad" })
  lu.assertEquals({ wb:connect() }, { nil, "bad websocket uri" })
  lu.assertEquals({ client:connect "ws://h" }, { nil, "not initialized" }) -- new was forgotten
  for name, words in pairs {
    host = "custom host header", key = "custom Sec-WebSocket-Key", server_name = "SSL server_name",
    client_cert = "client_cert", client_priv_key = "client_priv_key",
  } do
    lu.assertEquals({ wb:connect("ws://h", { [name] = 1 }) }, { nil, words .. " must be a string" })
  end
  for _, name in ipairs { "pool_size", "backlog" } do
    lu.assertEquals({ wb:connect("ws://h", { [name] = "1" }) }, { nil, name .. " must be an integer" })
  end
  lu.assertEquals({ wb:connect("wss://h", { client_cert = "x" }) }, { nil, "client_cert needs client_priv_key" })
  lu.assertStrContains(select(2, wb:connect("ws://h", { host = "a b" })), "must be a host")
  lu.assertStrContains(select(2, wb:connect("ws://h", { key = "abc" })), "16 bytes in base64")
  lu.assertStrContains(select(2, wb:connect("ws://h", { protocols = { "a", "a" } })), "SyntaxError")
  lu.assertStrMatches(select(2, wb:connect("wss://h", { client_cert = "/no/such", client_priv_key = "/no/such" })),
    "failed to set TLS client certificate: .*/no/such.*")
  lu.assertStrContains(select(2, client:new { send_unmasked = true }), "must mask")
end

function T:test_unix()
  local folder, remove = process.directory()
  local server = assert(wsock.listen { path = folder .. "/s", onmessage = function(s, data) s:send(data) end })
  local wb = client:new { timeout = 2000 }
  lu.assertEquals(wb:connect("ws://unix:" .. folder .. "/s:/x"), 1)
  wb:send_text "u"
  lu.assertEquals({ wb:recv_frame() }, { "u", "text" })
  wb.sock:terminate()
  server:close(1001, "", 0)
  wsock.run()
  remove()
end

function T:test_tls()
  local certs = require "support.certs"
  local good = certs.get "good"
  local names = {}
  local _, port = peer.listen { tls = { cert = good.cert, key = good.key }, onconnection = function(socket)
    names[#names + 1] = socket.tls.version
    socket:send "over TLS"
  end }
  local wb = client:new { timeout = 5000 }
  self.clients[1] = wb
  local uri = ("wss://localhost:%d/"):format(port)
  local ok, err = wb:connect(uri)
  lu.assertNil(ok)
  lu.assertStrContains(err, "ssl handshake failed: ")
  lu.assertEquals({ wb:connect(uri, { server_name = 1 }) }, { nil, "SSL server_name must be a string" })
  lu.assertEquals(wb:connect(uri, { ssl_verify = false, server_name = "localhost" }), 1)
  lu.assertEquals({ wb:recv_frame() }, { "over TLS", "text" })
  lu.assertEquals(#names, 1)
end

-- Host, if it is given, is also the name that is asked for.
function T:test_host_and_key()
  local _, record = self:connect({ timeout = 2000 }, nil, { host = "a.example:81", key = "dGhlIHNhbXBsZSBub25jZQ==" })
  local headers = record.socket.request.headers
  lu.assertEquals({ headers.host, headers["sec-websocket-key"] }, { "a.example:81", "dGhlIHNhbXBsZSBub25jZQ==" })
  lu.assertStrContains(self.answer[3], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  local good = require "support.certs".get "good"
  local _, port = peer.listen { tls = { cert = good.cert, key = good.key } }
  local wb = client:new { timeout = 5000 }
  self.clients[#self.clients + 1] = wb
  local _, err = wb:connect(("wss://127.0.0.1:%d/"):format(port), { host = "other.example:1" })
  lu.assertStrContains(err, "ssl handshake failed: TLS handshake with other.example: ")
end

function T:test_a_client_certificate()
  local certs = require "support.certs"
  local good, alice = certs.get "good", certs.get "client"
  local _, port = peer.listen {
    tls = { cert = good.cert, key = good.key, ca = good.ca, requestCert = true },
    onconnection = function(socket) socket:send(socket.tls.peerCertificate.subject) end,
  }
  local uri = ("wss://localhost:%d/"):format(port)
  local wb = client:new { timeout = 5000 }
  self.clients[#self.clients + 1] = wb
  for _, read in ipairs { function(path) return path end, certs.read } do -- files, or their text
    lu.assertEquals(wb:connect(uri, { ssl_verify = false, client_cert = read(alice.cert),
      client_priv_key = read(alice.key) }), 1)
    lu.assertEquals({ wb:recv_frame() }, { "CN=Alice, O=Specs", "text" })
    wb.sock:terminate()
  end
  lu.assertStrContains(select(2, wb:connect(uri, { client_cert = alice.cert, client_priv_key = good.key })),
    "failed to set TLS client certificate: ")
  lu.assertNil((wb:connect(uri, { ssl_verify = false })))
end

function T:test_before_connect()
  lu.assertEquals({ client:new():recv_frame() }, { nil, nil, "failed to receive the first 2 bytes: closed" })
  local wb = client:new()
  lu.assertEquals({ wb:set_timeout(1) }, { 1 })
  lu.assertEquals({ wb:set_keepalive(1, 1) }, { nil, "closed" })
  lu.assertEquals({ wb:send_text "x" }, { nil, "failed to send frame: closed" })
  lu.assertEquals({ wb:close() }, { nil, "fatal error already happened" })
  lu.assertEquals({ client:new():close() }, { nil, "failed to send close frame: failed to send frame: closed" })
end

-- ---- frames ----------------------------------------------------------------------------

function T:test_sends_answer_bytes_on_the_wire()
  local wb, record = self:connect { max_payload_len = 100000 }
  lu.assertEquals(wb:send_text "hi", 8)
  lu.assertEquals(wb:send_binary(("x"):rep(126)), 4 + 4 + 126)
  lu.assertEquals(wb:send_binary(("x"):rep(65536)), 10 + 4 + 65536)
  lu.assertEquals(wb:send_text(12), 8)
  lu.assertEquals(wb:send_text(), 6)
  lu.assertEquals(wb:send_ping "p", 7)
  lu.assertEquals(wb:send_pong(), 6)
  lu.assertEquals(wb:send_frame(false, 1, "a"), 7)
  lu.assertEquals(wb:send_frame(true, 0, "b"), 7)
  record:wait "^text ab$"
  lu.assertEquals(tostring(record),
    ("text hi, binary <126 bytes>, binary <65536 bytes>, text 12, text , ping p, pong , text ab"))
end

function T:test_recv_frame_one_by_one()
  local wb, record = self:connect()
  local far = record.socket
  far:send("Hel", "text", { final = false })
  far:ping "p"
  far:send("lo", "text")
  far:send("\xff", "binary")
  far:pong "q"
  far:close(3000, "enough")
  lu.assertEquals({ wb:recv_frame() }, { "Hel", "text", "again" })
  lu.assertEquals({ wb:recv_frame() }, { "p", "ping" })
  lu.assertEquals({ wb:recv_frame() }, { "lo", "continuation" })
  lu.assertEquals({ wb:recv_frame() }, { "\xff", "binary" })
  lu.assertEquals({ wb:recv_frame() }, { "q", "pong" })
  lu.assertEquals({ wb:recv_frame() }, { "enough", "close", 3000 })
  peer.turn(0.05)
  lu.assertNil(record:has "pong") -- nothing is automatic
  lu.assertNil(record:has "^close")
  lu.assertEquals(wb:send_close(3000), 8)
  record:wait "^close 3000 %- clean"
end

function T:test_a_close_without_a_code()
  local wb, record = self:connect()
  record.socket:close()
  lu.assertEquals({ wb:recv_frame() }, { "", "close" })
end

function T:test_a_timeout_is_not_fatal()
  local wb, record = self:connect { timeout = 20 }
  lu.assertEquals({ wb:recv_frame() }, { nil, nil, "failed to receive the first 2 bytes: timeout" })
  lu.assertNil(wb.fatal)
  lu.assertEquals(wb:set_timeout(5000), 1)
  record.socket:send "now"
  lu.assertEquals({ wb:recv_frame() }, { "now", "text" })
end

-- what has come of a frame is kept
function T:test_a_timeout_inside_a_frame_keeps_the_frame()
  local net = require "socket"
  local listener = assert(net.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local wb = client:new { timeout = 5000 }
  local connected
  local task = wsock.spawn(function() connected = wb:connect(("ws://127.0.0.1:%d"):format(port)) end)
  listener:settimeout(0)
  local tcp = peer.wait(function() return listener:accept() end)
  tcp:settimeout(0)
  local head = ""
  peer.wait(function()
    local some, _, part = tcp:receive(4096)
    head = head .. (some or part)
    return head:find "\r\n\r\n"
  end)
  local accept = require "wsock.core".codec.accept(head:match "Key: (%S+)")
  tcp:send("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " .. accept
    .. "\r\n\r\n")
  peer.wait(function() return connected end)
  task:join()
  local frame = bytes.frame { op = "text", ("0123456789"):rep(30) }
  wb:set_timeout(20)
  for _, cut in ipairs { { 1, 1 }, { 2, 3 }, { 4, 100 } } do
    tcp:send(frame:sub(cut[1], cut[2]))
    lu.assertEquals({ wb:recv_frame() }, { nil, nil, "failed to receive the first 2 bytes: timeout" })
  end
  tcp:send(frame:sub(101))
  lu.assertEquals({ wb:recv_frame() }, { ("0123456789"):rep(30), "text" })
  tcp:close()
  listener:close()
  lu.assertEquals({ wb:recv_frame() }, { nil, nil, "failed to receive the first 2 bytes: closed" })
end

function T:test_what_does_not_leave()
  local cases = {
    { true, 1, ("x"):rep(201), "payload too big" },
    { true, 9, ("x"):rep(126), "too much payload for control frame" },
    { false, 9, "x", "fragmented control frame" },
    { true, 5, "x", "failed to build frame: reserved opcode" },
  }
  for _, case in ipairs(cases) do
    local wb, record = self:connect { max_send_len = 200 }
    lu.assertEquals({ wb:send_frame(case[1], case[2], case[3]) }, { nil, case[4] })
    lu.assertTrue(wb.fatal)
    lu.assertEquals({ wb:send_text "x" }, { nil, "fatal error already happened" })
    lu.assertEquals({ wb:recv_frame() }, { nil, nil, "fatal error already happened" })
    lu.assertEquals({ wb:close() }, { nil, "fatal error already happened" })
    record:wait "^close 1000 %- clean" -- nobody else would close it
  end
end

function T:test_a_second_connect_ends_the_first()
  local wb, record = self:connect()
  assert(wb:connect(self.uri))
  record:wait "^close 1000 %- clean"
  lu.assertEquals(wb:send_text "x", 2 + 4 + 1)
  lu.assertEquals({ wb:recv_frame() }, { "x", "text" })
  lu.assertNil((wb:connect "ws://127.0.0.1:1/"))
  lu.assertEquals({ wb:send_text "x" }, { nil, "failed to send frame: closed" })
end

function T:test_what_is_too_long_to_come()
  local wb, record = self:connect { max_recv_len = 10 }
  record.socket:send(("x"):rep(11))
  lu.assertEquals({ wb:recv_frame() }, { nil, nil, "exceeding max payload len" })
  lu.assertTrue(wb.fatal)
  record:wait "^close 1009"
end

function T:test_the_end_of_the_connection()
  local wb, record = self:connect()
  record.socket:terminate()
  lu.assertEquals({ wb:recv_frame() }, { nil, nil, "failed to receive the first 2 bytes: closed" })
  lu.assertTrue(wb.fatal)
  wb, record = self:connect()
  record.socket:terminate()
  peer.turn(0.05)
  lu.assertEquals({ wb:send_text "x" }, { nil, "failed to send frame: closed" })
end

function T:test_after_our_close()
  local wb = self:connect()
  lu.assertEquals({ wb:send_close("x") }, { nil, "bad status code" })
  lu.assertEquals({ wb:send_close(0x8000) }, { nil, "bad status code" })
  lu.assertEquals(wb:send_close(1001, "away"), 2 + 4 + 6)
  lu.assertEquals({ wb:send_text "x" }, { nil, "already closed" })
  lu.assertEquals({ wb:set_keepalive(1000, 1) }, { nil, "closed" })
  lu.assertEquals({ wb:recv_frame() }, { "away", "close", 1001 })
  lu.assertEquals(wb:close(), 1)
end

function T:test_close_sends_one()
  local wb, record = self:connect()
  lu.assertEquals(wb:close(), 1)
  lu.assertEquals({ wb:send_text "x" }, { nil, "already closed" })
  record:wait "^close 1005 %- clean"
end

-- A slow peer holds the sender, not the memory.
function T:test_send_waits()
  local got = 0
  local wb, record = self:connect({ timeout = 100, max_send_len = 1000000 },
    { onmessage = function(_, data) got = got + #data end, pingInterval = 0, maxPayload = 0 })
  record.socket:pause()
  local data, sent, err = ("x"):rep(1000000), -1
  repeat
    sent = sent + 1
    err = select(2, wb:send_binary(data))
  until err
  lu.assertEquals(err, "failed to send frame: timeout")
  lu.assertTrue(wb.fatal and sent < 20, sent)
  record.socket:resume()
  peer.wait(function() return got == (sent + 1) * #data end) -- what was queued still leaves
end

-- ---- the pool ---------------------------------------------------------------------------

function T:test_keepalive()
  local wb, record = self:connect()
  lu.assertEquals(wb:set_keepalive(5000, 2), 1)
  lu.assertEquals({ wb:send_text "x" }, { nil, "failed to send frame: closed" })
  local again = client:new { timeout = 2000 }
  self.clients[#self.clients + 1] = again
  lu.assertEquals({ again:connect(self.uri) }, { 1, nil, "connection reused" })
  again:send_text "x"
  lu.assertEquals({ again:recv_frame() }, { "x", "text" })
  again:set_keepalive(5000, 2)
  record.socket:send "unasked" -- a connection that got something meanwhile is no good
  peer.turn(0.02)
  lu.assertStrContains(select(3, again:connect(self.uri)), "101")
  again:set_keepalive(20, 2)
  local second = record.socket
  peer.wait(function() return second.readyState == wsock.CLOSED end) -- its time is over
  lu.assertStrContains(select(3, again:connect(self.uri)), "101")
end

function T:test_the_pool_has_a_size()
  local _, port = peer.echo()
  local uri = ("ws://127.0.0.1:%d/"):format(port)
  for i = 1, 3 do
    local wb = client:new { timeout = 2000 }
    assert(wb:connect(uri, { pool = "mine" }))
    self.clients[i] = wb
  end
  for i = 1, 3 do lu.assertEquals(self.clients[i]:set_keepalive(60000, 2), 1) end
  local reused = 0
  for i = 1, 3 do
    if select(3, self.clients[i]:connect(uri, { pool = "mine" })) == "connection reused" then reused = reused + 1 end
  end
  lu.assertEquals(reused, 2)
end

-- What connect said of the pool's size goes before what set_keepalive says.
function T:test_pool_size()
  local _, port = peer.echo()
  local uri = ("ws://127.0.0.1:%d/"):format(port)
  for i = 1, 2 do
    self.clients[i] = client:new { timeout = 2000 }
    assert(self.clients[i]:connect(uri, { pool_size = 1 }))
  end
  for i = 1, 2 do self.clients[i]:set_keepalive(60000, 5) end
  lu.assertEquals(select(3, self.clients[1]:connect(uri)), "connection reused")
  lu.assertStrContains(select(3, self.clients[2]:connect(uri)), "101")
end

-- With a backlog there are no more connections than pool_size; who comes then waits for one.
function T:test_backlog()
  local _, port = peer.echo()
  local uri, options = ("ws://127.0.0.1:%d/"):format(port), { pool_size = 1, backlog = 2 }
  local function begin(ms)
    local wb = client:new { timeout = ms or 20000 }
    self.clients[#self.clients + 1] = wb
    return wb, wsock.spawn(function() return wb:connect(uri, options) end)
  end
  local first, task = begin()
  lu.assertStrContains(select(4, task:join()), "101")
  local second, waits = begin()
  local third, behind = begin()
  local _, late = begin(20)
  lu.assertEquals({ late:join() }, { true, nil, "failed to connect: too many waiting connect operations" })
  lu.assertEquals(first:set_keepalive(60000), 1)
  lu.assertEquals({ waits:join() }, { true, 1, nil, "connection reused" })
  lu.assertNil((behind:join(0)))
  second:close() -- then a new one may be made
  lu.assertStrContains(select(4, behind:join()), "101")
  local _, slow = begin(20)
  lu.assertEquals({ slow:join() }, { true, nil, "failed to connect: timeout" })
  local _, gone = begin()
  local fourth, last = begin()
  peer.turn(0.02)
  lu.assertTrue(gone:cancel()) -- takes nobody's turn with him
  third.sock:terminate()
  lu.assertStrContains(select(4, last:join()), "101")
  fourth.sock:terminate()
end

-- A connection is used again by whom it would have been made for.
function T:test_pools_keep_hosts_apart()
  local wb = self:connect()
  wb:set_keepalive(60000)
  lu.assertStrContains(select(3, wb:connect(self.uri, { host = "a.example" })), "101")
  wb:set_keepalive(60000)
  lu.assertEquals(select(3, wb:connect(self.uri, { host = "a.example" })), "connection reused")
  local other = client:new()
  self.clients[#self.clients + 1] = other
  lu.assertEquals(select(3, other:connect(self.uri)), "connection reused")
end

return T
