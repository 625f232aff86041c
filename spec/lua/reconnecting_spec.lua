-- lua/wsock/reconnecting: a socket that comes back. Waits are chance times a ceiling; chance is the spec's.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local process = require "support.process"
local reconnecting = require "wsock.reconnecting"
local returning = require "support.returning"
local wsock = require "wsock"

local T = returning.class(function(self) self.log = {} end)
local contains = lu.assertErrorMsgContains
local begin = T.begin

-- With its events in self.log.
function T:begin(options, url)
  local socket, log = begin(self, options, url), self.log
  local function add(...)
    local list = table.pack(...)
    for i = 1, list.n do list[i] = tostring(list[i]) end
    log[#log + 1] = table.concat(list, ":")
  end
  socket:on("open", function() add "open" end)
  if not (options and options.streaming) then
    socket:on("message", function(data, kind, ...) add(kind, tostring(data), ...) end)
  end
  socket:on("error", function(_, code, status) add("error", code, status) end)
  socket:on("close", function(...) add("close", ...) end)
  socket:on("reconnecting", function(delay, attempt, code) add("again", delay, attempt, code) end)
  socket:on("reconnected", function(attempts) add("back", attempts) end)
  self.socket = socket
  return socket, log
end

function T:saw(n)
  self.rig:wait(function() return #self.log >= n end, function() return "only: " .. table.concat(self.log, " ") end)
  return table.concat(self.log, " ")
end

-- Answers a request by something else than 101.
function T:refuse(status)
  local peer = self.server:accept()
  peer:head()
  peer:send(("HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"):format(status))
  peer:close()
end

-- ---- coming back ------------------------------------------------------------------------

function T:test_it_comes_back_and_goes_on()
  local socket = self:begin()
  lu.assertEquals(socket.readyState, 0)
  local peer = self.server:welcome()
  self:saw(1)
  lu.assertEquals({ socket.readyState, socket.attempts, socket.url }, { 1, 0, self.server.url })
  peer:frame { op = "text", "one" }
  self:saw(2)
  peer:reset()
  peer = self.server:welcome()
  self:saw(6)
  peer:frame { op = "binary", "two" }
  lu.assertEquals(self:saw(7), "open text:one error:ECONNRESET:nil again:0.0:1:1006 open back:1 binary:two")
  socket:send "three"
  lu.assertEquals(peer:take().payload, "three")
  peer:say_close(1001)
  peer:take_close()
  peer:close()
  peer = self.server:welcome()
  lu.assertEquals(self:saw(10), table.concat(self.log, " "))
  lu.assertEquals({ self.log[8], self.log[9], self.log[10] }, { "again:0.0:2:1001", "open", "back:2" })
  socket:close(3000, "done")
  lu.assertEquals({ peer:take_close() }, { 3000, "done" })
  peer:say_close(3000, "done")
  peer:close()
  self:saw(11)
  lu.assertEquals({ self.log[11], socket.readyState }, { "close:3000:done:true", 3 })
  self.rig:settle() -- nothing is left: it does not come again
end

function T:test_a_server_that_is_not_there_yet()
  local port = process.free_port() -- one the kernel gives nobody meanwhile
  self:begin(nil, ("ws://127.0.0.1:%d/"):format(port))
  self:saw(4)
  lu.assertEquals({ table.unpack(self.log, 1, 4) },
    { "error:ECONNREFUSED:nil", "again:0.0:1:1006", "error:ECONNREFUSED:nil", "again:0.0:2:1006" })
  self.rig:keep(assert(wsock.listen { port = port, loop = self.rig.loop }))
  self.rig:wait(function() return self.socket.readyState == 1 end)
  lu.assertStrContains(table.concat(self.log, " "), " open")
  lu.assertNil(table.concat(self.log, " "):find "back") -- it was never there before
end

-- The ceiling doubles up to maxDelay; the wait is chance times the ceiling.
function T:test_waits()
  local chances, given = { 1, 0.5, 1, 1, 0, 1 }, 0
  reconnecting.random = function()
    given = given + 1
    return chances[given] or 0
  end
  local delays = {}
  self.server = self.rig:raw_server()
  local url = self.server.url
  self.server.close()
  local socket = self:begin({ delay = 0.004, maxDelay = 0.02 }, url)
  socket:on("reconnecting", function(delay) delays[#delays + 1] = delay end)
  local since = clock.now()
  self.rig:wait(function() return #delays == 7 end)
  for i, want in ipairs { 0.004, 0.004, 0.016, 0.02, 0, 0.02, 0 } do lu.assertAlmostEquals(delays[i], want, 1e-9) end
  lu.assertTrue(clock.now() - since >= 0.05)
  lu.assertEquals(socket.attempts, 7)
end

function T:test_waits_are_drawn_by_chance()
  reconnecting.random = self.random
  self.server = self.rig:raw_server()
  local url = self.server.url
  self.server.close()
  local delays = {}
  local socket = self:begin({ delay = 0.001, maxDelay = 0.001 }, url)
  socket:on("reconnecting", function(delay) delays[#delays + 1] = delay end)
  self.rig:wait(function() return #delays == 20 end)
  local different = {}
  for _, delay in ipairs(delays) do
    lu.assertTrue(delay >= 0 and delay < 0.001)
    different[delay] = true
  end
  lu.assertNotNil(next(different, next(different)))
end

-- A connection that lasted starts the count anew, one that did not goes on counting.
function T:test_the_count()
  local socket = self:begin { delay = 0, maxAttempts = 3 }
  self:refuse(503)
  self:refuse(503)
  local peer = self.server:welcome()
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertEquals(socket.attempts, 2)
  peer:reset() -- longer than a wait of nothing
  self:refuse(503)
  self:refuse(503)
  self:refuse(503)
  self.rig:wait(function() return socket.readyState == 3 end)
  lu.assertEquals(table.concat(self.log, " "), "error:HANDSHAKE:503 again:0.0:1:1006 error:HANDSHAKE:503 "
    .. "again:0.0:2:1006 open error:ECONNRESET:nil again:0.0:1:1006 error:HANDSHAKE:503 again:0.0:2:1006 "
    .. "error:HANDSHAKE:503 again:0.0:3:1006 error:HANDSHAKE:503 close:1006::false")
end

function T:test_a_server_that_hangs_up_at_once_is_not_called_faster_and_faster()
  local socket = self:begin { delay = 1000, maxDelay = 10000, maxAttempts = 4 }
  for _ = 1, 5 do self.server:welcome():reset() end
  self.rig:wait(function() return socket.readyState == 3 end)
  local seen = table.concat(self.log, " ")
  for i = 1, 4 do lu.assertStrContains(seen, ("again:0.0:%d:1006"):format(i)) end
  lu.assertStrContains(seen, "close:1006")
end

-- ---- giving up ----------------------------------------------------------------------------

function T:test_answers_that_end_it()
  for status, again in pairs { [400] = false, [401] = false, [403] = false, [404] = false, [410] = false,
    [499] = false, [408] = true, [425] = true, [429] = true, [500] = true, [503] = true, [200] = true, [302] = true } do
    self.log = {}
    local socket = self:begin()
    self:refuse(status)
    self:saw(2)
    lu.assertEquals({ status, self.log[1], self.log[2] }, { status, "error:HANDSHAKE:" .. status,
      again and "again:0.0:1:1006" or "close:1006::false" })
    lu.assertEquals(socket.readyState, again and 0 or 3)
    socket:terminate()
    self.rig:wait(function() return socket.readyState == 3 end)
  end
end

function T:test_close_codes_that_end_it()
  for code, again in pairs { [1000] = false, [1003] = false, [1008] = false, [1009] = false, [1010] = false,
    [1001] = true, [1011] = true, [1012] = true, [1013] = true, [3000] = true, [4999] = true } do
    self.log = {}
    local socket = self:begin()
    local peer = self.server:welcome()
    peer:say_close(code)
    peer:take_close()
    peer:close()
    self:saw(2)
    lu.assertEquals(self.log[2], again and "again:0.0:1:" .. code or ("close:%d::true"):format(code))
    socket:terminate()
    self.rig:wait(function() return socket.readyState == 3 end)
  end
end

function T:test_close_codes_of_ones_own()
  local asked = {}
  local function stops(code, reason)
    asked[#asked + 1] = code .. reason
    return reason == "stop"
  end
  for _, row in ipairs { { { 4000, 4001 }, 4001, "no more", false }, { { 4000 }, 1000, "", true },
    { {}, 1000, "", true }, { stops, 4002, "stop", false },
    { stops, 4003, "go", true } } do
    self.log = {}
    local socket = self:begin { giveUpCodes = row[1] }
    local peer = self.server:welcome()
    peer:say_close(row[2], row[3])
    peer:take_close()
    peer:close()
    self:saw(2)
    lu.assertEquals(self.log[2]:match "^%a+", row[4] and "again" or "close")
    socket:terminate()
    self.rig:wait(function() return socket.readyState == 3 end)
  end
  lu.assertEquals(asked, { "4002stop", "4003go" })
end

-- ---- the queue ------------------------------------------------------------------------------

-- It goes out behind what those send who are told that there is a connection: to say who one is comes first.
function T:test_what_is_sent_meanwhile_waits()
  local socket = self:begin()
  local buffer = wsock.arraybuffer "ab"
  for _, row in ipairs { { "1" }, { 2 }, { "\xff", "binary" }, { buffer }, { wsock.blob "blob" },
    { buffer, "text" } } do
    lu.assertTrue(socket:send(row[1], row[2]))
  end
  buffer[1] = 0
  lu.assertEquals({ socket.queueLength, socket.bufferedAmount }, { 6, 11 })
  socket:on("open", function() socket:send "login" end)
  local peer = self.server:welcome()
  local got = {}
  for i = 1, 7 do
    local frame = peer:take()
    got[i] = frame.op .. frame.payload
  end
  lu.assertEquals(got, { "1login", "11", "12", "2\xff", "2ab", "2blob", "1ab" })
  peer:reset()
  self.rig:wait(function() return socket.readyState == 0 end)
  lu.assertTrue(socket:send "while away")
  socket:on("reconnected", function() socket:send "again" end)
  peer = self.server:welcome()
  for _, payload in ipairs { "login", "again", "while away" } do lu.assertEquals(peer:take().payload, payload) end
  lu.assertEquals({ socket.queueLength }, { 0 })
end

-- A listener that waits, for an answer or for ever, is overtaken by what waits, and may be left behind by a connection
-- that is lost.
function T:test_a_listener_that_waits_is_overtaken()
  local socket, asked = self:begin(), 0
  socket:on("open", function()
    asked = asked + 1
    socket:send("login " .. asked)
    local answer = socket.socket:receive()
    socket:send("hello " .. tostring(answer))
    self.rig.loop:sleep(1000)
  end)
  lu.assertTrue(socket:send "queued")
  local peer = self.server:welcome()
  for _, payload in ipairs { "login 1", "queued" } do lu.assertEquals(peer:take().payload, payload) end
  lu.assertTrue(socket:send "behind")
  lu.assertEquals({ socket.queueLength, peer:take().payload }, { 0, "behind" })
  peer:reset()
  self.rig:wait(function() return socket.queueLength == 1 end) -- "hello nil", of the first
  peer = self.server:welcome()
  for _, payload in ipairs { "login 2", "hello nil" } do lu.assertEquals(peer:take().payload, payload) end
  peer:frame { op = "text", "ann" }
  lu.assertEquals(peer:take().payload, "hello ann")
end

-- A secret that is not to be compressed is not, whether it waited or not; a message in parts could not wait.
function T:test_options_of_send()
  local _, url = self.rig:listen { perMessageDeflate = true }
  local socket = self:begin({ perMessageDeflate = { threshold = 0 } }, url)
  local secret = ("secret "):rep(100)
  lu.assertTrue(socket:send(secret, "text", { compress = false }))
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertTrue(socket:send(secret, nil, { compress = false }))
  lu.assertEquals({ socket.socket:stats().messagesOut, socket.socket:stats().uncompressedOut }, { 2, 0 })
  lu.assertTrue(socket:send(secret, nil, {}))
  lu.assertEquals(socket.socket:stats().uncompressedOut, #secret)
  contains("unknown option of send 'final'", socket.send, socket, "x", "text", { final = false })
  contains("did you mean 'compress'?", socket.send, socket, "x", "text", { compres = false })
  contains("options of send must be a table", socket.send, socket, "x", "text", true)
end

function T:test_the_queue_is_bounded()
  local socket = self:begin { maxQueue = 3, maxBuffered = 10 }
  lu.assertTrue(socket:send "12345")
  lu.assertEquals({ socket:send "123456" }, { nil, "send: maxBuffered would be passed", "BUFFER" })
  lu.assertTrue(socket:send "12345")
  lu.assertTrue(socket:send "")
  lu.assertEquals({ socket:send "" }, { nil, "send: maxQueue would be passed", "BUFFER" })
  lu.assertEquals({ socket.queueLength, socket.bufferedAmount }, { 3, 10 })
  local none = wsock.reconnecting(self.server.url, { loop = self.rig.loop, maxQueue = 0 })
  lu.assertEquals(select(3, none:send "x"), "BUFFER")
  none:terminate()
end

function T:test_a_queue_without_a_limit_of_bytes()
  local socket = self:begin { maxBuffered = 0 }
  local long = ("x"):rep(17 << 20)
  lu.assertTrue(socket:send(long))
  lu.assertEquals(socket.bufferedAmount, #long)
  socket:terminate()
end

-- More than the socket takes at once goes at its drain, in order.
function T:test_a_long_queue()
  local socket = self:begin { maxBuffered = 1 << 20 }
  for i = 1, 10 do lu.assertTrue(socket:send(("%d"):format(i % 10):rep(100000))) end
  local drained
  socket:on("open", function() for i = 1, 5 do socket:send("first " .. i) end end)
  socket:on("drain", function() drained = true end)
  local peer = self.server:welcome()
  for i = 1, 5 do lu.assertEquals(peer:take().payload, "first " .. i) end
  for i = 1, 10 do bytes.equals(peer:take().payload, ("%d"):format(i % 10):rep(100000)) end
  lu.assertNil(drained)
end

function T:test_what_cannot_be_sent_raises_at_once()
  local socket = self:begin()
  for _, bad in ipairs { {}, true, print, self.rig.loop } do contains("data must be", socket.send, socket, bad) end
  contains("data must be", socket.send, socket)
  for _, bad in ipairs { "Text", "", 1, true } do contains("kind must be", socket.send, socket, "x", bad) end
  for _, bad in ipairs { "\xff", "\xed\xa0\x80", "\xf4\x90\x80\x80" } do
    contains("UTF-8", socket.send, socket, bad)
    contains("UTF-8", socket.send, socket, wsock.blob(bad), "text")
  end
  lu.assertEquals({ socket.queueLength, socket.bufferedAmount }, { 0, 0 })
end

-- ---- ending ---------------------------------------------------------------------------------

function T:test_close_while_it_waits()
  reconnecting.random = function() return 1 end
  local socket = self:begin { delay = 1000 }
  socket:send "never"
  self:refuse(503)
  self:saw(2)
  lu.assertTrue(socket:close())
  lu.assertTrue(socket:close())
  lu.assertEquals({ socket.readyState, #self.log }, { 2, 2 }) -- its close comes in a turn of its own
  lu.assertEquals({ socket:send "x" }, { nil, "send: it has ended", "CLOSED" })
  self.rig:settle()
  lu.assertEquals({ self.log[3], #self.log, socket.readyState, socket.queueLength }, { "close:1006::false", 3, 3, 0 })
  lu.assertEquals({ socket:ping() }, { nil, "ping: there is no connection", "CLOSED" })
end

-- Nobody is told of it, as of sockets; but it is over, whether it was connecting, open, or waiting.
function T:test_its_loop_is_closed()
  reconnecting.random = function() return 1 end
  local _, url = self.rig:listen()
  local gone = self.rig:raw_server()
  gone.close()
  for _, row in ipairs {
    { url, function() return true end }, { url, function(socket) return socket.readyState == 1 end },
    { gone.url, function(socket) return socket.attempts == 1 end },
  } do
    local loop = wsock.loop()
    local socket = wsock.reconnecting(row[1], { loop = loop, delay = 1000 })
    self.rig:wait(function() return row[2](socket) or loop:step() == nil end, "not there yet")
    socket:send "x"
    loop:close()
    lu.assertEquals({ socket.readyState, socket.queueLength }, { 3, 0 })
    lu.assertEquals({ socket:send "x" }, { nil, "send: it has ended", "CLOSED" })
    lu.assertEquals(select(3, socket:receive()), "CLOSED")
    lu.assertEquals({ socket:close(), socket:terminate() }, { true, true })
    for _ in socket:messages() do lu.fail "there is none" end
  end
end

function T:test_close_while_it_connects_and_while_it_is_open()
  local socket = self:begin()
  socket:close()
  self.rig:settle()
  lu.assertEquals(table.concat(self.log, " "), "error:CLOSED:nil close:1006::false")
  self.log, self.server = {}, self.rig:raw_server()
  socket = self:begin()
  self.server:welcome()
  self:saw(1)
  socket:terminate()
  self.rig:settle()
  lu.assertEquals(table.concat(self.log, " "), "open close:1006::false")
end

-- In each of its events it may be told to end, and does.
function T:test_close_in_handlers()
  for _, name in ipairs { "open", "message", "error", "reconnecting", "reconnected" } do
    self.log = {}
    local socket = self:begin()
    socket:once(name, function()
      socket:close()
      collectgarbage()
    end)
    local closed
    socket:on("close", function() closed = true end)
    for _ = 1, 2 do
      local peer = not closed and self.server:welcome()
      if peer then
        pcall(peer.frame, peer, { op = "text", "x" })
        self.rig:idle()
        peer:reset()
      end
      self.rig:idle()
    end
    self.rig:wait(function() return closed end, name)
    self.rig:settle()
    lu.assertEquals({ name, socket.readyState }, { name, 3 })
  end
end

function T:test_options_of_a_listener()
  local socket = self:begin()
  contains("unknown option of addEventListener 'onec'", socket.addEventListener, socket, "open", print, { onec = true })
  contains("'once' must be a boolean", socket.addEventListener, socket, "open", print, { once = 1 })
  socket:addEventListener("open", print, true) -- "capture"
  socket:removeEventListener("open", print)
end

function T:test_codes_are_checked()
  local socket = self:begin()
  contains("InvalidAccessError", socket.close, socket, 1001)
  contains("SyntaxError", socket.close, socket, 1000, ("x"):rep(124))
  lu.assertEquals(socket.readyState, 0)
end

function T:test_a_variable_to_be_closed()
  do
    local socket <close> = self:begin()
    self.server:welcome()
    self:saw(1)
    lu.assertEquals(socket.readyState, 1)
  end
  lu.assertEquals(self.socket.readyState, 2)
end

-- ---- options and attributes ---------------------------------------------------------------

function T:test_options_that_cannot_be()
  local new = wsock.reconnecting
  contains("SyntaxError", new, "nonsense")
  contains("url must be", new)
  contains("options must be a table", new, "ws://h/", 1)
  contains("reconnecting takes a URL and options; protocols are one of the options", new, "ws://h/", nil, {})
  contains("'delay' must be a number of seconds", new, "ws://h/", { delay = -1 })
  contains("'maxQueue' must be an integer", new, "ws://h/", { maxQueue = 1.5 })
  contains("'giveUpCodes' must be a list", new, "ws://h/", { giveUpCodes = 1000 })
  contains("'giveUpCodes' must hold integers", new, "ws://h/", { giveUpCodes = { "1000" } })
  contains("'giveUpCodes' must be a list, got a string key", new, "ws://h/", { giveUpCodes = { a = 1000 } })
  contains("unknown option 'orign'; did you mean 'origin'?", new, "ws://h/", { orign = "x" })
  contains("unknown option 'maxDelays'; did you mean 'maxDelay'?", new, "ws://h/", { maxDelays = 1 })
  contains("unknown option 'noDelays'; did you mean 'noDelay'?", new, "ws://h/", { noDelays = true })
  contains("unknown option 'giveUpCode'; did you mean 'giveUpCodes'?", new, "ws://h/", { giveUpCode = 1 })
  contains("unknown option 'nothing of it all'", new, "ws://h/", { ["nothing of it all"] = 1 })
  contains("SyntaxError", new, "ws://h/", { protocols = { "a", "a" } })
end

-- Messages in parts are passed on as they come; single frames would have to be answered by somebody.
function T:test_streaming()
  local socket = self:begin { streaming = true }
  local parts, finals = {}, {}
  socket:on("chunk", function(data, kind, final) parts[#parts + 1] = kind .. data .. tostring(final) end)
  socket.onchunk = function(event) finals[#finals + 1] = event.final end
  for _ = 1, 2 do
    parts = {}
    local peer = self.server:welcome()
    peer:frame { op = "text", fin = false, "one" }
    peer:frame { op = "continuation", "two" }
    self.rig:wait(function() return parts[#parts] and parts[#parts]:find "true$" end)
    local all = table.concat(parts):gsub("text", ""):gsub("false", ""):gsub("true", "")
    lu.assertEquals(all, "onetwo")
    peer:reset()
    self.rig:wait(function() return socket.readyState == 0 end)
  end
  lu.assertTrue(finals[#finals])
  contains("unknown event 'message'", socket.on, socket, "message", print)
  contains("'onmessage' cannot be set", function() socket.onmessage = print end)
  contains("option 'frames'", wsock.reconnecting, "ws://h/", { frames = true })
end

-- Those of a socket go with every try.
function T:test_options_of_sockets()
  local options = { protocols = "p", headers = { ["X-A"] = "b" } }
  local socket = self:begin(options)
  for _ = 1, 2 do
    local peer = self.server:accept()
    peer:welcome "Sec-WebSocket-Protocol: p"
    lu.assertStrContains(peer.request, "X-A: b")
    self.rig:wait(function() return socket.readyState == 1 end)
    lu.assertEquals(socket.protocol, "p")
    peer:reset()
    self.rig:wait(function() return socket.readyState == 0 end)
  end
  -- what the user changed meanwhile cannot be sent: that is the end, and said
  options.headers["X-A"] = "b\r\n"
  self.rig:wait(function() return socket.readyState == 3 end)
  lu.assertEquals({ self.log[#self.log - 1], self.log[#self.log] }, { "error:ARGUMENT:nil", "close:1006::false" })
end

function T:test_attributes()
  local socket = self:begin()
  lu.assertEquals({ socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED }, { 0, 1, 2, 3 })
  lu.assertEquals({ socket.protocol, socket.extensions, socket.binaryType }, { "", "", "string" })
  lu.assertEquals(type(socket.socket), "userdata")
  socket.data = 7
  lu.assertEquals(socket.data, 7)
  socket.binaryType = "blob"
  for _, name in ipairs { "url", "readyState", "nothing", "onmesage", "send", "queueLength" } do
    contains("field '" .. name .. "' cannot be set", function() socket[name] = print end)
  end
  contains("did you mean 'onmessage'?", function() socket.onmesage = print end)
  lu.assertError(function() socket.binaryType = "bytes" end)
  contains("onopen must be a function", function() socket.onopen = 1 end)
  contains("did you mean 'reconnecting'?", socket.on, socket, "reconecting", print)
  lu.assertNil(socket.nothing)
  lu.assertNil(socket.onopen)
  lu.assertEquals(tostring(socket), ("wsock.reconnecting (%s, connecting)"):format(self.server.url))
  local kinds, events = {}, {}
  socket.onmessage = function(event)
    kinds[#kinds + 1] = type(event.data) .. event.kind .. event.origin
    lu.assertIs(event.target, socket)
  end
  local function note(event) events[#events + 1] = event.type .. tostring(event.attempt or event.attempts or "") end
  socket.onreconnecting, socket.onreconnected = note, note
  socket:addEventListener("open", note)
  for _ = 1, 2 do
    local peer = self.server:welcome()
    peer:frame { op = "binary", "x" }
    peer:frame { op = "ping", "y" }
    lu.assertEquals(peer:take().payload, "y")
    lu.assertTrue(socket:ping "z")
    lu.assertEquals(peer:take().payload, "z")
    peer:reset()
    self.rig:wait(function() return socket.readyState == 0 end)
  end
  local origin = self.server.url:gsub("/$", "")
  lu.assertEquals(kinds, { "userdatabinary" .. origin, "userdatabinary" .. origin })
  lu.assertEquals(events, { "open", "reconnecting1", "open", "reconnected1", "reconnecting2" })
end

-- ---- life ---------------------------------------------------------------------------------

function T:test_a_handler_that_raises_costs_nothing_else()
  local socket = self:begin()
  socket:on("open", function() error "oh" end)
  socket:on("open", function() socket:send "after" end)
  local peer = self.server:welcome()
  lu.assertEquals(peer:take().payload, "after")
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
end

function T:test_it_works_on_when_nobody_holds_it()
  local got
  self.server = self.rig:raw_server()
  do
    local socket = wsock.reconnecting(self.server.url, { loop = self.rig.loop })
    socket:on("message", function(data)
      got = data
      socket:close()
    end)
  end
  for i = 1, 2 do
    collectgarbage()
    collectgarbage()
    local peer = self.server:welcome()
    if i == 1 then peer:reset() else peer:frame { op = "text", "x" } end
  end
  self.rig:wait(function() return got == "x" end)
end

return T
