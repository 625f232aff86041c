-- resty/server: lua-resty-websocket's server over our loop, answer for answer.

local lu = require "luaunit"
local peer = require "interop.peer"
local server = require "wsock.resty.server"
local wsock = require "wsock"

local T = {}

function T:tearDown()
  if self.server then
    local done
    self.server.onclosed = function() done = true end
    self.server:close(1001, "", 0.2)
    peer.wait(function() return done end)
  end
  peer.cleanup()
  wsock.onerror = nil
end

-- Listens with that handler; its URL.
function T:listen(handler, options)
  options = options or {}
  options.port, options.handler = 0, handler
  self.server = assert(server.listen(options))
  return ("ws://127.0.0.1:%d/s?q"):format(select(2, self.server:address()))
end

-- What every handler in the wild looks like.
local function echo(self)
  return function()
    local wb, err = server:new { timeout = 5000, max_payload_len = 65535 }
    if not wb then
      self.err = err
      return
    end
    while not wb.fatal do
      local data, typ, more = wb:recv_frame()
      if not data then
        self.err = more
      elseif typ == "close" then
        wb:send_close(more, data)
        return
      elseif typ == "ping" then
        wb:send_pong(data)
      elseif typ == "text" then
        self.bytes = wb:send_text(data)
      else
        wb:send_binary(typ .. " " .. data .. " " .. tostring(more))
      end
    end
  end
end

function T:test_echo()
  local socket, record = peer.connect(self:listen(echo(self)))
  record:wait "^open"
  socket:send "hi"
  record:wait "^text hi$"
  lu.assertEquals(self.bytes, 4) -- not masked
  socket:send(("x"):rep(70000), "binary", { final = false }) -- too long for that server
  record:wait "^close 1009"
  lu.assertEquals(self.err, "exceeding max payload len")
end

function T:test_frames_one_by_one()
  local socket, record = peer.connect(self:listen(echo(self)))
  record:wait "^open"
  socket:send("a", "binary", { final = false })
  socket:ping "p"
  record:wait "^pong p"
  socket:send("b", "binary")
  record:wait "^binary continuation b nil"
  lu.assertStrContains(tostring(record), "binary binary a again")
  socket:close(3001, "enough")
  record:wait "^close 3001 enough clean"
end

function T:test_two_at_once()
  local url = self:listen(echo(self))
  local one, first = peer.connect(url)
  local two, second = peer.connect(url)
  first:wait "^open"
  second:wait "^open"
  two:send "2"
  second:wait "^text 2"
  one:send "1"
  first:wait "^text 1"
end

function T:test_new_and_its_options()
  local got
  local url = self:listen(function(request)
    got = { request.path, request.query }
    local wb = server:new { protocols = { "c", "b" }, max_send_len = 3 }
    got[3] = wb.sock.protocol
    got[4], got[5] = wb:send_text "toolong"
  end)
  local socket, record = peer.connect(url, { "a", "b", "c" })
  record:wait "^close 1000"
  lu.assertEquals(got, { "/s", "q", "b", nil, "payload too big" })
  lu.assertEquals(socket.protocol, "b")
end

function T:test_a_subprotocol_without_a_choice()
  local socket, record = peer.connect(self:listen(echo(self)), { "x", "y" })
  record:wait "^open"
  lu.assertEquals(socket.protocol, "x")
end

function T:test_new_twice_and_elsewhere()
  local err
  local url = self:listen(function()
    server:new()
    err = select(2, server:new())
  end)
  local _, record = peer.connect(url)
  record:wait "^close 1000 %- clean"
  lu.assertEquals(err, "response header already sent")
  lu.assertEquals({ server:new() }, { nil, "no request: call new in the handler of listen" })
end

function T:test_send_masked_is_refused()
  local err
  local url = self:listen(function() err = select(2, server:new { send_masked = true }) end)
  local socket, record = peer.connect(url)
  record:wait "^close 1006"
  lu.assertEquals(socket.response.status, 403) -- not answered by the handler
  lu.assertStrContains(err, "must not mask")
end

function T:test_a_timeout_is_not_fatal()
  local list = {}
  local url = self:listen(function()
    local wb = server:new { timeout = 20 }
    list[1] = select(3, wb:recv_frame())
    list[2] = wb.fatal
    wb:set_timeout(5000)
    list[3] = wb:recv_frame()
  end)
  local socket, record = peer.connect(url)
  record:wait "^open"
  peer.wait(function() return list[1] end)
  socket:send "late"
  record:wait "^close 1000"
  lu.assertEquals({ list[1], list[2], list[3] }, { "failed to receive the first 2 bytes: timeout", nil, "late" })
end

function T:test_all_sends()
  local sizes = {}
  local url = self:listen(function()
    local wb = server:new()
    for i, answer in ipairs {
      wb:send_text "t", wb:send_binary "b", wb:send_ping "p", wb:send_pong "q", wb:send_frame(false, 1, "x"),
      wb:send_continue "y", wb:send_close(1000, "bye"),
    } do
      sizes[i] = answer
    end
    wb:recv_frame()
  end)
  local _, record = peer.connect(url)
  record:wait "^close"
  lu.assertEquals(tostring(record), "open, text t, binary b, ping p, pong q, text xy, close 1000 bye clean")
  lu.assertEquals(sizes, { 3, 3, 3, 3, 3, 3, 7 })
end

function T:test_what_a_client_does_wrong()
  local net = require "socket"
  local err
  local url = self:listen(function()
    local wb = server:new { timeout = 5000 }
    err = select(3, wb:recv_frame())
  end)
  local cases = {
    { "\x81\x01x", "frame unmasked" },
    { "\xc1\x81\0\0\0\0x", "bad RSV1, RSV2, or RSV3 bits" },
    { "\x83\x81\0\0\0\0x", "reserved opcode" },
    { "\x89\xfe\0\x7e\0\0\0\0", "too long payload for control frame" },
    { "\x09\x80\0\0\0\0", "fragmented control frame" },
    { "\x88\x81\0\0\0\0x", "close frame with a body must carry a 2-byte status code" },
    { "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", "payload len too large" },
  }
  for _, case in ipairs(cases) do
    err = nil
    local tcp = assert(net.connect("127.0.0.1", tonumber(url:match ":(%d+)")))
    tcp:send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" .. case[1])
    peer.wait(function() return err end)
    tcp:close()
    lu.assertEquals(err, case[2])
  end
end

function T:test_a_handler_that_raises()
  local heard
  wsock.onerror = function(message) heard = message end
  local url = self:listen(function(request)
    if request.path ~= "/early" then server:new():recv_frame() end
    error "oh no"
  end)
  local socket, record = peer.connect(url)
  record:wait "^open"
  socket:send "x"
  record:wait "^close 1011 internal error"
  lu.assertStrContains(heard, "oh no")
  local early, why = peer.connect((url:gsub("/s%?q", "/early")))
  why:wait "^close"
  lu.assertEquals(early.response.status, 500)
end

function T:test_listen_fails_and_raises()
  local url = self:listen(print)
  local ok, _, code = server.listen { port = tonumber(url:match ":(%d+)"), handler = print }
  lu.assertEquals({ ok, code }, { nil, "EADDRINUSE" })
  lu.assertErrorMsgContains("unknown option 'x'", server.listen, { port = 0, handler = print, x = 1 })
  lu.assertErrorMsgContains("handler must be a function", server.listen, { port = 0 })
  lu.assertErrorMsgContains("options must be a table, got nil", server.listen)
end

return T
