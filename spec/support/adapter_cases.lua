-- spec/support/adapter_cases.lua -- what every adapter with coroutines must do:
-- one set of tests, for cqueues and for copas.
--
--   return require "support.adapter_cases" { adapter =, spawn = function(fn), step = function() }
--
-- The other side is a socket or server of wsock's own, or bare TCP; the adapter's
-- loop and the default loop turn by turns.

local lu = require "luaunit"
local bare = require "support.bare"
local bytes = require "support.bytes"
local clock = require "support.clock"
local net = require "socket"
local peer = require "interop.peer"
local wsock = require "wsock"

local MASK, REQUEST = bare.MASK, bare.REQUEST

return function(under)
  local T, adapter = {}, under.adapter

  local function pump()
    under.step()
    wsock.step(0)
    net.sleep(0.001)
  end

  local function wait(condition, what, seconds)
    local ok, value = pcall(clock.wait, condition, seconds, pump)
    if not ok then error((what or "a condition") .. ": " .. value, 2) end
    return value
  end

  -- Runs fn in a task of the adapter's loop, to its end; what it returned.
  local function run(fn)
    local result
    under.spawn(function() result = table.pack(pcall(fn)) end)
    wait(function() return result end, "the task's end")
    if not result[1] then error(result[2], 2) end
    return table.unpack(result, 2, result.n)
  end

  -- A server of the adapter's, closed in tearDown; its URL and port.
  local function listen(self, options)
    self.tasks = 0
    local handler = options.handler or function(socket)
      for data, kind in socket:messages() do socket:send(data, kind) end
    end
    options.port = 0
    function options.handler(socket)
      self.tasks = self.tasks + 1
      local task <close> = setmetatable({}, { __close = function() self.tasks = self.tasks - 1 end }) -- luacheck: ignore
      handler(socket)
    end
    self.server = run(function() return assert(adapter.listen(options)) end)
    local _, port = self.server:address()
    return ("ws://127.0.0.1:%d/chat"):format(port), port
  end

  -- A client of the adapter's at an echo of ours.
  local function connect(self, options, server)
    local _, port, record = peer.echo(server)
    self.socket = run(function() return assert(adapter.connect(("ws://localhost:%d/a?b"):format(port), options)) end)
    return self.socket, record
  end

  local function expect(tcp, pattern) return bare.expect(tcp, pattern, wait) end

  local function gone(socket)
    wait(function() return socket.over end, "the end of a connection")
  end

  function T:setUp() under.error(true) end

  function T:tearDown()
    if self.socket then
      self.socket:terminate()
      gone(self.socket)
    end
    if self.server then self.server:close() end
    for _, tcp in ipairs(self.bare or {}) do tcp:close() end
    if self.tasks then wait(function() return self.tasks == 0 end, "the end of the handlers") end
    peer.cleanup()
    for _ = 1, 20 do pump() end -- what has ended lets go of its descriptors
    collectgarbage()
  end

  -- ---- client ---------------------------------------------------------------------

  function T:test_client_says_and_hears()
    local socket, record = connect(self, { headers = { ["X-A"] = "1" }, protocols = { "b", "c" },
      origin = "http://localhost" }, { protocols = { "c" } })
    lu.assertEquals({ socket.conn.protocol, record.socket.url, record.socket.request.headers["x-a"] },
      { "c", "/a?b", "1" })
    local big = ("0123456789abcdef"):rep(65536)
    run(function()
      lu.assertTrue(socket:send "Grüße")
      lu.assertTrue(socket:send("\xff\0", "binary"))
      lu.assertTrue(socket:send("", "text"))
      lu.assertTrue(socket:send(big))
      lu.assertEquals({ socket:receive() }, { "Grüße", "text" })
      lu.assertEquals({ socket:receive(5) }, { "\xff\0", "binary" })
      lu.assertEquals({ socket:receive() }, { "", "text" })
      lu.assertTrue(socket:receive() == big)
      lu.assertErrorMsgContains("UTF-8", socket.send, socket, "\xff")
    end)
  end

  function T:test_a_timeout_loses_nothing()
    local socket, record = connect(self)
    run(function()
      lu.assertEquals({ socket:receive(0) }, { nil, "receive: no message came in time", "TIMEOUT" })
      lu.assertEquals({ socket:receive(0.02) }, { nil, "receive: no message came in time", "TIMEOUT" })
    end)
    run(function()
      for _, bad in ipairs { -1, 0 / 0, "1", true, {} } do
        lu.assertErrorMsgContains("receive: timeout must be a number of seconds >= 0", socket.receive, socket, bad)
      end
    end)
    record.socket:send "late"
    lu.assertEquals({ run(function() return socket:receive() end) }, { "late", "text" })
  end

  function T:test_messages_ends_with_the_connection()
    local socket, record = connect(self)
    for i = 1, 3 do record.socket:send(tostring(i)) end
    record.socket:close(3000, "enough")
    local list = {}
    run(function()
      for data, kind in socket:messages() do list[#list + 1] = data .. kind end
    end)
    lu.assertEquals(list, { "1text", "2text", "3text" })
    lu.assertEquals({ run(function() return socket:receive() end) },
      { nil, "the connection is closed", "CLOSED", 3000, "enough" })
    lu.assertEquals({ socket:send "x" }, { nil, select(2, socket:send "x"), "CLOSED" })
  end

  function T:test_close_is_answered()
    local socket, record = connect(self)
    run(function()
      lu.assertErrorMsgContains("InvalidAccessError", socket.close, socket, 1001)
      lu.assertTrue(socket:close(1000, "bye"))
      lu.assertEquals({ socket:receive() }, { nil, "the connection is closed", "CLOSED", 1000, "bye" })
    end)
    record:wait "^close 1000 bye clean"
    lu.assertTrue(socket.over.wasClean)
  end

  function T:test_a_lost_connection()
    local socket, record = connect(self)
    record.socket:terminate()
    local _, message, word, code = run(function() return socket:receive() end)
    lu.assertEquals({ word, code }, { "CLOSED", 1006 })
    lu.assertStrContains(message, "connection")
  end

  function T:test_ping_and_pong()
    local socket, record = connect(self)
    run(function() lu.assertTrue(socket:ping "are you there") end)
    wait(function() return record:has "^ping are you there" end)
    wait(function() return socket.conn.latency end)
    record.socket:ping "and you"
    wait(function() return record:has "^pong and you" end)
  end

  function T:test_connect_fails_as_nil_message_code()
    local port = require "support.process".free_port()
    local ok, message, code = run(function() return adapter.connect(("ws://127.0.0.1:%d"):format(port)) end)
    lu.assertEquals({ ok, code }, { nil, "ECONNREFUSED" })
    lu.assertStrMatches(message:lower(), "connect 127%.0%.0%.1:%d+: connection refused")
    local _, taken = peer.listen { verify = function() return false, 401 end }
    lu.assertEquals({ run(function() return adapter.connect(("ws://127.0.0.1:%d"):format(taken)) end) },
      { nil, "server did not answer 101: 401", "HANDSHAKE", 401 })
    ok, message, code = run(function() return adapter.connect "ws://no.such.host.invalid" end)
    lu.assertEquals(ok, nil)
    if code == "ENETUNREACH" then return end -- without a network cqueues, which asks name servers itself, says this
    lu.assertStrMatches(message, "resolve no%.such%.host%.invalid: .+")
    lu.assertStrMatches(code, "EAI_%u+")
  end

  function T:test_misuse_raises()
    lu.assertErrorMsgContains("SyntaxError", adapter.connect, "nonsense")
    lu.assertErrorMsgContains("unknown option 'x'", adapter.connect, "ws://h", { x = 1 })
    lu.assertErrorMsgContains("TLS", adapter.connect, "wss://h")
    lu.assertErrorMsgContains("unix", adapter.connect, "ws+unix:/x:/")
    lu.assertErrorMsgContains("options must be a table, got string", adapter.connect, "ws://h", "x")
    lu.assertErrorMsgContains("unknown option 'x'", adapter.listen, { port = 0, x = 1 })
    lu.assertErrorMsgContains("options must be a table, got nil", adapter.listen)
    for _, port in ipairs { "80", -1, 65536, 1.5 } do
      lu.assertErrorMsgContains("'port' must be an integer", adapter.listen, { port = port, handler = print })
    end
    lu.assertErrorMsgContains("'port' must be an integer from 0 to 65535, got nil", adapter.listen, { handler = print })
    lu.assertErrorMsgContains("'handler' must be a function, got nil", adapter.listen, { port = 0 })
    local socket = connect(self)
    lu.assertErrorMsgContains("onmessage: here messages are asked for", function() socket.onmessage = print end)
    socket.mine = 1
  end

  function T:test_a_silent_server_is_given_up()
    local silent = assert(net.bind("127.0.0.1", 0))
    self.bare = { silent }
    local _, port = silent:getsockname()
    local ok, message, code = run(function()
      return adapter.connect(("ws://127.0.0.1:%d"):format(port), { handshakeTimeout = 0.1 })
    end)
    lu.assertEquals({ ok, code }, { nil, "TIMEOUT" }, message)
  end

  function T:test_keep_alive_finds_the_dead()
    local socket, record = connect(self, { pingInterval = 0.05, pingTimeout = 0.1 })
    record.socket:pause()
    local _, _, word, code = run(function() return socket:receive(5) end)
    lu.assertEquals({ word, code }, { "CLOSED", 1006 })
  end

  function T:test_messages_in_parts()
    local socket, record = connect(self, { streaming = true }, { perMessageDeflate = true })
    local block, size, parts = ("0123456789"):rep(300000), 0, 0
    record.socket:send(block, "binary")
    record.socket:send "whole"
    run(function()
      local data, kind, final
      repeat
        data, kind, final = socket:receiveChunk(5)
        lu.assertEquals(kind, "binary")
        size, parts = size + #data, parts + 1
      until final
      lu.assertEquals({ socket:receiveChunk(5) }, { "whole", "text", true })
    end)
    lu.assertEquals(size, #block)
    lu.assertTrue(parts > 10, parts)
  end

  -- The URL is what the far end is told, no more.
  function T:test_a_stream_that_is_there_already()
    local _, port, record = peer.echo { origins = "*" }
    self.socket = run(function()
      return assert(adapter.connect("wss://example.com/x", { stream = under.stream(port) }))
    end)
    wait(function() return record.socket end)
    lu.assertEquals({ record.socket.request.headers.host, record.socket.url }, { "example.com", "/x" })
    run(function()
      self.socket:send "a"
      lu.assertEquals(self.socket:receive(5), "a")
    end)
  end

  function T:test_frame_mode()
    local socket, record = connect(self, { frames = true })
    record.socket:send("a", "text", { final = false })
    record.socket:ping "p"
    record.socket:send "b"
    record.socket:close(3000, "bye")
    run(function()
      lu.assertEquals({ socket:receive() }, { "a", "text", false })
      lu.assertEquals({ socket:receive() }, { "p", "ping", true })
      lu.assertEquals({ socket:receive() }, { "b", "continuation", true })
      lu.assertEquals({ socket:receive() }, { "bye", "close", true, 3000 })
      lu.assertTrue(socket:sendFrame("", "close"))
      lu.assertEquals({ select(3, socket:receive()) }, { "CLOSED", 3000, "bye" })
    end)
    wait(function() return record:has "^close 1005" end)
  end

  function T:test_a_frame_that_is_wrong_is_known_at_once()
    local answer
    local _, port = listen(self, { frames = true, handler = function(socket)
      answer = table.pack(socket:receive())
    end })
    self.bare = { bare.connect(port, REQUEST .. "\x81\x01x") }
    wait(function() return answer end)
    lu.assertEquals({ answer[2], answer[3] }, { "frame from the client is not masked", "CLOSED" })
  end

  -- ---- back-pressure ------------------------------------------------------------------

  function T:test_who_does_not_receive_stops_the_peer()
    local socket, record = connect(self, { receiveQueue = 4 }, { pingInterval = 0 })
    local block, n = ("x"):rep(100000), 160
    for i = 1, n do record.socket:send(i .. block) end
    wait(function() return socket.conn.isPaused end)
    for _ = 1, 100 do pump() end
    lu.assertTrue(record.socket.bufferedAmount > 1000000, record.socket.bufferedAmount)
    lu.assertEquals(socket.last - socket.first + 1, 4)
    run(function()
      for i = 1, n do
        local data = assert(socket:receive())
        lu.assertEquals({ #data, tonumber(data:match "^%d+") }, { #tostring(i) + #block, i })
      end
    end)
  end

  function T:test_send_waits_for_a_slow_peer()
    local got = 0
    local socket, record = connect(self, { highWaterMark = 100000, lowWaterMark = 50000, sendTimeout = 0 },
      { onmessage = function(_, data) got = got + #data end, pingInterval = 0 })
    record.socket:pause()
    local block, sent, done = ("y"):rep(65536), 0, false
    under.spawn(function()
      for _ = 1, 200 do
        assert(socket:send(block, "binary"))
        sent = sent + 1
      end
      done = true
    end)
    wait(function() return socket.conn.bufferedAmount > 100000 end)
    local before
    repeat -- what the system takes
      before = sent
      for _ = 1, 50 do pump() end
    until sent == before
    lu.assertTrue(sent < 200 and socket.conn.bufferedAmount < 300000)
    record.socket:resume()
    wait(function() return done and got == 200 * #block end)
  end

  function T:test_a_peer_that_takes_nothing_is_given_up()
    local socket, record = connect(self, { highWaterMark = 1000, sendTimeout = 0.2 }, { pingInterval = 0 })
    record.socket:pause()
    local answer = run(function()
      local ok, _, code
      repeat
        ok, _, code = socket:send(("z"):rep(100000))
      until not ok
      return code
    end)
    lu.assertEquals(answer, "CLOSED")
    gone(socket)
  end

  -- ---- server ---------------------------------------------------------------------------

  local function heard(record, pattern)
    wait(function() return record:has(pattern) end, pattern)
  end

  function T:test_server_closes_behind_its_handler()
    local url = listen(self, { protocols = { "x", "y" }, handler = function(socket)
      lu.assertEquals({ socket.conn.url, socket.conn.request.path }, { "/chat", "/chat" })
      local data, kind = socket:receive()
      socket:send(data .. "!", kind)
    end })
    local socket, record = peer.connect(url, { "z", "y", "x" })
    heard(record, "^open")
    lu.assertEquals(socket.protocol, "y")
    socket:send "hey"
    heard(record, "^close")
    lu.assertEquals(tostring(record), "open, text hey!, close 1000 - clean")
  end

  function T:test_two_of_the_adapters_own()
    local url = listen(self, {})
    run(function()
      local socket <close> = assert(adapter.connect(url))
      for i = 1, 50 do
        socket:send("m" .. i)
        lu.assertEquals(socket:receive(5), "m" .. i)
      end
      self.socket = socket
    end)
    gone(self.socket)
  end

  function T:test_a_handler_that_raises_is_1011_and_the_loops_affair()
    local url = listen(self, { handler = function(socket)
      socket:receive()
      error "oh no"
    end })
    local socket, record = peer.connect(url)
    heard(record, "^open")
    socket:send "x"
    heard(record, "^close 1011 internal error clean")
    lu.assertStrContains(wait(under.error), "oh no")
  end

  function T:test_gates()
    local function get(port, head) -- status line of what answers
      local tcp <close> = setmetatable({ tcp = bare.connect(port, head) }, { __close = function(t) t.tcp:close() end })
      return expect(tcp.tcp, "\r\n\r\n"):match "^HTTP/1.1 (%d+)", tcp
    end
    local _, port = listen(self, { verify = function(request)
      if request.headers["x-token"] == "oops" then error "verify fails" end
      return request.headers["x-token"] == "t", 401, { ["X-Why"] = "token" }
    end })
    lu.assertEquals(get(port, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "426")
    lu.assertEquals(get(port, REQUEST), "401")
    local with = function(line) return (REQUEST:gsub("Host", line .. "\r\nHost", 1)) end
    lu.assertEquals(get(port, with "Origin: http://elsewhere"), "403")
    lu.assertEquals(get(port, with "X-Token: t\r\nOrigin: http://h:99"), "101")
    lu.assertEquals(get(port, with "X-Token: oops"), "500")
    lu.assertStrContains(wait(under.error), "verify fails")
    lu.assertEquals(get(port, "nonsense\r\n\r\n"), "400")
  end

  function T:test_origins_and_plain_requests()
    local _, port = listen(self, { hosts = { "h", "127.0.0.1" }, origins = { "http://a" }, onrequest = function(request)
      return 200, { ["X-A"] = "1" }, request.path
    end })
    local tcp = bare.connect(port, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n")
    lu.assertStrContains(expect(tcp, "/p$"), "X-A: 1\r\n")
    local other = bare.connect(port, (REQUEST:gsub("Host", "Origin: http://a\r\nHost", 1)))
    expect(other, "HTTP/1.1 101")
    local foreign = bare.connect(port, "GET /p HTTP/1.1\r\nHost: evil\r\n\r\n")
    expect(foreign, "HTTP/1.1 421")
    self.bare = { tcp, other, foreign }
  end

  -- A server whose output does not move reads no more; once it moves it does.
  function T:test_an_echo_for_a_client_that_reads_later()
    local url = listen(self, { highWaterMark = 100000, lowWaterMark = 50000, sendTimeout = 0, pingInterval = 0 })
    peer.read_late(url, pump, wait):close()
  end

  -- RFC 6455 7.1.1: the server ends TCP first, and waits for the client's end.
  function T:test_the_server_ends_first()
    local _, port = listen(self, {})
    local tcp = bare.close_first(port, wait)
    self.bare = { tcp }
    for _ = 1, 20 do pump() end
    lu.assertEquals(self.tasks, 1) -- it waits for our end
    tcp:close()
    wait(function() return self.tasks == 0 end)
  end

  function T:test_a_client_that_only_ends_its_own_direction()
    local _, port = listen(self, {})
    local tcp = bare.connect(port, REQUEST)
    self.bare = { tcp }
    expect(tcp, "\r\n\r\n")
    tcp:send(bytes.frame { op = 1, payload = "last", mask = MASK }
      .. bytes.frame { op = 8, payload = "\3\232", mask = MASK })
    tcp:shutdown "send"
    local got = expect(tcp, "\x88\2\3\232$")
    lu.assertEquals(got, bytes.frame { op = 8, payload = "\3\232" }) -- the echo came too late
    wait(function() return self.tasks == 0 end)
  end

  function T:test_no_more_than_maxConnections()
    local url = listen(self, { maxConnections = 1 })
    local socket, record = peer.connect(url)
    heard(record, "^open")
    local _, second = peer.connect(url)
    heard(second, "^close 1006")
    socket:close()
    wait(function() return self.tasks == 0 end)
    local again, third = peer.connect(url)
    heard(third, "^open")
    again:close()
  end

  function T:test_the_address_is_taken()
    local _, port = listen(self, {})
    local ok, message, code = run(function() return adapter.listen { port = port, handler = print } end)
    lu.assertEquals({ ok, code }, { nil, "EADDRINUSE" })
    lu.assertStrMatches(message:lower(), "listen 127%.0%.0%.1:%d+: address already in use")
  end

  return T
end
