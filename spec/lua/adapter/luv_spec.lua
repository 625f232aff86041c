-- adapter/luv: client and server with callbacks.

local lu = require "luaunit"
local adapter = require "wsock.adapter.luv"
local bare = require "support.bare"
local clock = require "support.clock"
local net = require "socket"
local peer = require "interop.peer"
local uv = require "luv"
local wsock = require "wsock"

local T = {}

local REQUEST = bare.REQUEST

local function pump()
  uv.run "nowait"
  wsock.step(0)
  net.sleep(0.001)
end

local function wait(condition, what, seconds)
  local ok, value = pcall(clock.wait, condition, seconds, pump)
  if not ok then error((what or "a condition") .. ": " .. value, 2) end
  return value
end

-- libuv keeps its descriptors and its look-up threads.
function T:setUpClass()
  uv.new_tcp():close()
  uv.getaddrinfo("localhost", "80", {}, function() end)
  uv.run()
end

function T:setUp()
  self.open = {}
end

-- Handlers that write down what happens.
local function recorder(more)
  local record = peer.record()
  local options = {
    onopen = function() record:add "open" end,
    onmessage = function(_, data, kind) record:add(kind, #data > 64 and #data or data) end,
    onping = function(_, data) record:add("ping", data) end,
    onpong = function(_, data) record:add("pong", data) end,
    onerror = function(_, message, code) record:add("error", code, message) end,
    onclose = function(_, code, reason, clean) record:add("close", code, reason, tostring(clean)) end,
  }
  for key, value in pairs(more or {}) do options[key] = value end
  return options, record
end

local function heard(record, pattern)
  local ok, line = pcall(wait, function() return record:has(pattern) end)
  if not ok then error(("no '%s' came, but: %s"):format(pattern, tostring(record)), 2) end
  return line
end

-- A client of the adapter's at an echo of ours; its record, and the other's.
function T:connect(more, server)
  local _, port, far = peer.echo(server)
  local options, record = recorder(more)
  local socket = adapter.connect(("ws://localhost:%d/a?b"):format(port), options)
  self.open[#self.open + 1] = socket
  heard(record, "^open")
  wait(function() return far.socket end)
  return socket, record, far
end

-- A server of the adapter's; URL, port, record.
function T:listen(more)
  local options, record = recorder(more)
  local connection = options.onconnection
  options.port, options.onopen = 0, nil
  function options.onconnection(socket)
    self.open[#self.open + 1] = socket
    record:add("open", socket.conn.request.path)
    if connection then connection(socket) end
  end
  self.server = assert(adapter.listen(options))
  local host, port = self.server:address()
  lu.assertEquals(host, "127.0.0.1")
  return ("ws://127.0.0.1:%d/chat"):format(port), port, record
end

local function expect(tcp, pattern) return bare.expect(tcp, pattern, wait) end

function T:tearDown()
  if self.server then self.server:close() end
  for _, socket in ipairs(self.open) do socket:terminate() end
  peer.cleanup()
  wait(function()
    return not uv.loop_alive()
  end, "the end of all handles")
end

-- ---- client ------------------------------------------------------------------------

function T:test_client_says_and_hears()
  local socket, record, far = self:connect({ protocols = { "b", "c" }, headers = { ["X-A"] = "1" } },
    { protocols = { "c" } })
  lu.assertEquals({ socket.conn.protocol, far.socket.url, far.socket.request.headers["x-a"] }, { "c", "/a?b", "1" })
  lu.assertTrue(socket:send "Grüße")
  lu.assertTrue(socket:send("\xff", "binary"))
  lu.assertTrue(socket:send(("x"):rep(1000000)))
  heard(record, "^text 1000000$")
  lu.assertEquals({ record[2], record[3] }, { "text Grüße", "binary \xff" })
  far.socket:ping "hi"
  heard(record, "^ping hi")
  heard(far, "^pong hi")
  socket:ping "ho"
  heard(record, "^pong ho")
  lu.assertTrue(socket:close(1000, "bye"))
  heard(record, "^close 1000 bye true")
  heard(far, "^close 1000 bye clean")
  lu.assertEquals(select(3, socket:send "x"), "CLOSED")
end

function T:test_handlers_may_be_set_later()
  local socket, _, far = self:connect()
  local got
  function socket.onmessage(s, data) got = { s == socket, data } end
  far.socket:send "x"
  wait(function() return got end)
  lu.assertEquals(got, { true, "x" })
end

function T:test_messages_in_parts()
  local size, parts, whole = 0, 0, nil
  local _, _, far = self:connect { streaming = true, onchunk = function(_, data, kind, final)
    size, parts = size + #data, parts + 1
    whole = final and kind
  end }
  far.socket:send(("x"):rep(1000000), "binary")
  wait(function() return whole end)
  lu.assertEquals({ whole, size }, { "binary", 1000000 })
  lu.assertTrue(parts > 2, parts)
end

function T:test_a_stream_that_is_there_already()
  local _, port, far = peer.echo()
  local options, record = recorder()
  local tcp, there = uv.new_tcp(), false
  tcp:connect("127.0.0.1", port, function() there = true end)
  wait(function() return there end)
  options.stream = tcp
  self.open[1] = adapter.connect("wss://example.com/x", options)
  heard(record, "^open")
  wait(function() return far.socket end)
  lu.assertEquals(far.socket.request.headers.host, "example.com")
  self.open[1]:send "a"
  heard(record, "^text a")
end

function T:test_the_server_closes()
  local _, record, far = self:connect()
  far.socket:close(3001, "enough")
  heard(record, "^close 3001 enough true")
  heard(far, "^close 3001 enough clean")
end

function T:test_a_lost_connection()
  local _, record, far = self:connect()
  far.socket:terminate()
  heard(record, "^error CLOSED")
  heard(record, "^close 1006  false")
  local socket, again = self:connect()
  socket:terminate()
  lu.assertEquals(#again, 1) -- nothing happens before the loop turns
  heard(again, "^close 1006")
  lu.assertEquals(tostring(again), "open, close 1006  false")
end

function T:test_connect_fails()
  local port = require "support.process".free_port()
  local options, record = recorder()
  adapter.connect(("ws://127.0.0.1:%d"):format(port), options)
  heard(record, "^close")
  lu.assertEquals(record[1], ("error ECONNREFUSED connect 127.0.0.1:%d: ECONNREFUSED"):format(port))
  lu.assertEquals(record[2], "close 1006  false")
  options, record = recorder()
  adapter.connect("ws://no.such.host.invalid", options)
  heard(record, "^close 1006")
  lu.assertStrMatches(record[1], "error EAI_%u+ resolve no%.such%.host%.invalid: EAI_.*")
  local _, taken = peer.listen { verify = function() return false, 401 end }
  options, record = recorder()
  local socket = adapter.connect(("ws://127.0.0.1:%d"):format(taken), options)
  heard(record, "^error HANDSHAKE server did not answer 101: 401$")
  heard(record, "^close 1006")
  lu.assertEquals(socket.conn.response.status, 401)
  options, record = recorder()
  adapter.connect(("ws://[::1]:%d"):format(port), options)
  heard(record, "^error %u+ connect %[::1%]:" .. port .. ": ")
  heard(record, "^close 1006")
end

function T:test_terminate_while_connecting()
  local options, record = recorder()
  adapter.connect("ws://127.0.0.1:1", options):terminate()
  heard(record, "^close 1006")
  lu.assertEquals(#record, 1)
end

function T:test_misuse_raises()
  lu.assertErrorMsgContains("SyntaxError", adapter.connect, "nonsense")
  lu.assertErrorMsgContains("unknown option 'onopem'", adapter.connect, "ws://h", { onopem = print })
  lu.assertErrorMsgContains("TLS", adapter.connect, "wss://h")
  lu.assertErrorMsgContains("unknown option 'x'", adapter.listen, { port = 0, x = 1 })
  local socket = self:connect()
  lu.assertErrorMsgContains("UTF-8", socket.send, socket, "\xff")
end

function T:test_time()
  local silent = assert(net.bind("127.0.0.1", 0))
  local _, port = silent:getsockname()
  local options, record = recorder { handshakeTimeout = 0.1 }
  adapter.connect(("ws://127.0.0.1:%d"):format(port), options)
  heard(record, "^error TIMEOUT")
  heard(record, "^close 1006")
  silent:close()
  local _, dead, far = self:connect { pingInterval = 0.05, pingTimeout = 0.1 }
  far.socket:pause()
  heard(dead, "^error TIMEOUT")
  heard(dead, "^close 1006")
end

function T:test_frame_mode()
  local socket, record, far = self:connect { frames = true, onframe = function(s, data, kind, final, code)
    s.got = ("%s|%s %s %s %s"):format(s.got or "", data, kind, final, code)
  end }
  far.socket:send("a", "text", { final = false })
  far.socket:send "b"
  far.socket:close(3000, "bye")
  wait(function() return (socket.got or ""):find "bye" end)
  lu.assertEquals(socket.got, "|a text false nil|b continuation true nil|bye close true 3000")
  socket:sendFrame("", "close")
  heard(record, "^close 3000 bye true")
end

-- ---- back-pressure --------------------------------------------------------------------

function T:test_pause_stops_the_peer()
  local got = 0
  local socket, _, far = self:connect({ onmessage = function(_, data) got = got + #data end }, { pingInterval = 0 })
  lu.assertIs(socket:resume(), socket)
  lu.assertIs(socket:pause(), socket)
  local block, n = ("x"):rep(100000), 100
  for _ = 1, n do far.socket:send(block) end
  local before
  repeat
    before = far.socket.bufferedAmount
    for _ = 1, 50 do pump() end
  until far.socket.bufferedAmount == before
  lu.assertTrue(before > 1000000, before)
  lu.assertEquals(got, 0)
  socket:resume()
  wait(function() return got == n * #block end)
end

function T:test_resume_tells_what_came_before()
  local socket, record, far = self:connect { onmessage = function(s, data)
    s:pause()
    s.got = (s.got or "") .. data
  end }
  far.socket:send "a"
  far.socket:send "b"
  wait(function() return socket.got end)
  for _ = 1, 20 do pump() end
  lu.assertEquals(socket.got, "a")
  socket:resume()
  socket:send "in between"
  wait(function() return socket.got == "ab" end)
  lu.assertEquals(#record, 1)
end

function T:test_a_slow_peer_shows_and_drains()
  local drained, got = 0, 0
  local socket, record, far = self:connect({
    highWaterMark = 100000, lowWaterMark = 50000, maxBuffered = 3000000, sendTimeout = 0,
    ondrain = function() drained = drained + 1 end,
  }, { onmessage = function(_, data) got = got + #data end, pingInterval = 0 })
  far.socket:pause()
  local block, sent = ("y"):rep(65536), 0
  wait(function()
    local ok, _, code = socket:send(block, "binary")
    if ok then sent = sent + 1 end
    return code == "BUFFER"
  end)
  lu.assertTrue(socket.conn.bufferedAmount > 2000000)
  lu.assertEquals(drained, 0)
  far.socket:resume()
  wait(function() return drained > 0 and got == sent * #block end)
  socket:close()
  heard(record, "^close 1005")
end

function T:test_a_peer_that_takes_nothing_is_given_up()
  clock.patiently(function(times)
    local socket, record, far = self:connect({ sendTimeout = 0.2 * times }, { pingInterval = 0 })
    far.socket:pause()
    for _ = 1, 100 do socket:send(("z"):rep(100000)) end
    heard(record, "^error TIMEOUT")
    heard(record, "^close 1006")
  end)
end

-- Time is over while it still connects: that is what is told.
function T:test_nobody_lets_us_in()
  local full = assert(net.bind("127.0.0.1", 0, 0))
  local guests, _, port = {}, full:getsockname()
  for i = 1, 3 do
    guests[i] = net.tcp4()
    guests[i]:settimeout(0)
    guests[i]:connect("127.0.0.1", port)
  end
  local options, record = recorder { handshakeTimeout = 0.05 }
  self.open[#self.open + 1] = adapter.connect(("ws://127.0.0.1:%d/"):format(port), options)
  heard(record, "^close 1006")
  lu.assertNotNil(record:has "^error TIMEOUT", tostring(record))
  for _, guest in ipairs(guests) do guest:close() end
  full:close()
end

-- ---- server -------------------------------------------------------------------------------

function T:test_server_echoes()
  local url, _, record = self:listen { protocols = { "x", "y" },
    onmessage = function(s, data, kind) s:send(data, kind) end }
  local socket, near = peer.connect(url, { "z", "y", "x" })
  heard(near, "^open")
  lu.assertEquals(socket.protocol, "y")
  socket:send(("x"):rep(100000))
  heard(near, "^text <100000 bytes>")
  socket:close(1000, "bye")
  heard(near, "^close 1000 bye clean")
  heard(record, "^close 1000 bye true")
  lu.assertEquals(tostring(record), "open /chat, close 1000 bye true")
end

function T:test_gates()
  local _, port = self:listen { verify = function(request) return request.headers["x-token"] == "t", 401 end }
  local function status(head)
    local tcp = bare.connect(port, head)
    local got = expect(tcp, "\r\n\r\n"):match "^HTTP/1.1 (%d+)"
    tcp:close()
    return got
  end
  local function with(line) return (REQUEST:gsub("Host", line .. "\r\nHost", 1)) end
  lu.assertEquals(status "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "426")
  lu.assertEquals(status(REQUEST), "401")
  lu.assertEquals(status(with "Origin: http://elsewhere"), "403")
  lu.assertEquals(status(with "X-Token: t"), "101")
  lu.assertEquals(status "nonsense\r\n\r\n", "400")
end

function T:test_plain_requests()
  local _, port = self:listen { onrequest = function(request) return 200, { ["X-A"] = "1" }, request.path end }
  local tcp = bare.connect(port, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n")
  lu.assertStrContains(expect(tcp, "/p$"), "X-A: 1\r\n")
  tcp:close()
end

-- A server whose output does not move reads no more; once it moves it does.
function T:test_an_echo_for_a_client_that_reads_later()
  local url = self:listen { highWaterMark = 100000, lowWaterMark = 50000, sendTimeout = 0, pingInterval = 0,
    onmessage = function(s, data, kind) s:send(data, kind) end }
  peer.read_late(url, pump, wait)
end

-- RFC 6455 7.1.1
function T:test_the_server_ends_first()
  local _, port, record = self:listen {}
  local tcp = bare.close_first(port, wait)
  lu.assertNil(record:has "^close")
  tcp:close()
  heard(record, "^close 1000 bye true")
end

function T:test_a_server_of_a_broken_peer()
  local _, port, record = self:listen {}
  local tcp = bare.connect(port, REQUEST .. "\xff\xff")
  local got = expect(tcp, "\x88.\3\234")
  lu.assertStrContains(got, "101")
  tcp:close()
  heard(record, "^error PROTOCOL")
  heard(record, "^close 1006")
end

-- What is called by no event, or can be no handler, is told at once.
function T:test_misuse()
  local contains = lu.assertErrorMsgContains
  contains("unknown option 'onmesage'; did you mean 'onmessage'?", adapter.listen, { port = 0, onmesage = print })
  contains("unknown option 'onopen'; did you mean 'onconnection'?", adapter.listen, { port = 0, onopen = print })
  contains("unknown option 'receiveQueue'", adapter.listen, { port = 0, receiveQueue = 1 })
  contains("option 'onmessage' must be a function, got number", adapter.listen, { port = 0, onmessage = 1 })
  contains("option 'backlog' must be an integer >= 0, got string", adapter.listen, { port = 0, backlog = "x" })
  contains("unknown option 'onconnection'", adapter.connect, "ws://h/", { onconnection = print })
  contains("option 'onclose' must be a function, got table", adapter.connect, "ws://h/", { onclose = {} })
  contains("stream must be a connected uv_tcp or uv_pipe, got number", adapter.connect, "ws://h/", { stream = 1 })
  contains("stream must be a connected uv_tcp or uv_pipe, got nil", adapter.accept)
end

function T:test_handlers_set_later()
  local socket, record = self:connect()
  local contains = lu.assertErrorMsgContains
  contains("unknown field of a socket 'onmesage'; did you mean 'onmessage'?", function() socket.onmesage = print end)
  contains("unknown field of a socket 'onconnection'", function() socket.onconnection = print end)
  socket.onpong = nil
  contains("luv_spec.lua", function() socket.onpong = 1 end)
  contains("onpong must be a function, got number", function() socket.onpong = 1 end)
  socket.onpong = function(_, data) record:add("later", data) end
  socket.mine = true
  socket:ping "p"
  heard(record, "^later p")
end

function T:test_hosts_to_listen_on()
  self.server = assert(adapter.listen { port = 0, host = "localhost" })
  lu.assertEquals(type(select(2, self.server:address())), "number")
  local server, message, code = adapter.listen { port = 0, host = "no.such.host.invalid" }
  lu.assertNil(server)
  lu.assertStrContains(message, "resolve no.such.host.invalid: EAI_")
  lu.assertStrMatches(code, "EAI_%u+")
end

-- Nothing is to be seen of it but its end.
function T:test_a_program_that_ends_before_its_loop_runs()
  local script = "require 'wsock'.adapter.luv.connect 'ws://127.0.0.1:1/'"
  local out, code = require "support.process".run_lua { "-e", script }
  lu.assertEquals({ out, code }, { "", 0 })
end

function T:test_accept_takes_any_stream()
  local options, record = recorder { onmessage = function(s, data) s:send(data:upper()) end }
  options.onopen = nil
  local fds = uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true })
  local near, far = uv.new_pipe(), uv.new_pipe()
  near:open(fds[1])
  far:open(fds[2])
  self.open[1] = adapter.accept(near, options)
  local conn, text = wsock.protocol.client "ws://h/", nil
  far:write(conn:output())
  far:read_start(function(_, some)
    if some then conn:feed(some) end
    for name, data in conn.next, conn do
      if name == "open" then conn:send "abc" elseif name == "message" then text = data end
    end
    far:write(conn:output())
  end)
  wait(function() return text end)
  lu.assertEquals(text, "ABC")
  far:close()
  heard(record, "^close 1006")
end

function T:test_no_more_than_maxConnections()
  local url, _, record = self:listen { maxConnections = 1 }
  local socket, first = peer.connect(url)
  heard(first, "^open")
  local _, second = peer.connect(url)
  heard(second, "^close 1006")
  socket:close()
  heard(record, "^close")
  local _, third = peer.connect(url)
  heard(third, "^open")
end

function T:test_the_address_is_taken()
  local _, port = self:listen {}
  local ok, message, code = adapter.listen { port = port }
  lu.assertEquals({ ok, code }, { nil, "EADDRINUSE" })
  lu.assertStrMatches(message, "listen 127%.0%.0%.1:%d+: EADDRINUSE.*")
end

-- ---- errors in handlers ------------------------------------------------------------------------

-- libuv's binding ends the process at an error in a callback, so in a child.
function T:test_a_handler_that_raises()
  local output, code = require "support.process".run_lua { "-e", [[
    local adapter, uv = require "wsock.adapter.luv", require "luv"
    io.stdout:setvbuf "no"
    local server = adapter.listen { port = 0, onmessage = function(_, data) error("on " .. data) end }
    local _, port = server:address()
    adapter.connect("ws://127.0.0.1:" .. port, { onopen = function(s) s:send "purpose" end,
      onclose = function(_, code, reason) print(code, reason) server:close() end })
    while uv.loop_alive() do
      local ok, message = pcall(uv.run, "once")
      if not ok then print("raised", message) end
    end
  ]] }
  lu.assertStrContains(output, "on purpose")
  lu.assertStrContains(output, "stack traceback")
  lu.assertTrue(code ~= 0 or output:find "1011", code)
end

function T:test_a_gate_that_raises_has_answered()
  local output = require "support.process".run_lua { "-e", [[
    local adapter, uv, net = require "wsock.adapter.luv", require "luv", require "socket"
    local server = adapter.listen { port = 0, verify = function() error "no gate" end }
    local _, port = server:address()
    local tcp = net.connect("127.0.0.1", port)
    tcp:send "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    tcp:send "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    uv.run()
  ]] }
  lu.assertStrContains(output, "no gate")
end

return T
