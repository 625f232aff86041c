-- resty/protocol: lua-resty-websocket's frames over any stream of bytes. That
-- it answers as that library does is for interop/resty to show.

local lu = require "luaunit"
local bytes = require "support.bytes"
local net = require "socket"
local protocol = require "wsock.resty.protocol"
local wsock = require "wsock"

local T = {}

-- A stream that has these bytes, and takes some.
local function stream(input, err)
  local s = { sent = "" }
  function s.receive(_, n)
    if #input < n then return nil, err or "closed" end
    local data = input:sub(1, n)
    input = input:sub(n + 1)
    return data
  end
  function s.send(_, data)
    if err then return nil, err end
    s.sent = s.sent .. data
    return #data
  end
  return s
end

local function recv(input, ...) return { protocol.recv_frame(stream(input), ...) } end

function T:test_frames_come()
  for _, mask in ipairs { false, true } do
    local function frame(t)
      t.mask = mask
      return recv(bytes.frame(t), 70000, mask)
    end
    lu.assertEquals(frame { "hi" }, { "hi", "text" })
    lu.assertEquals(frame { op = "binary", fin = false, "\0\xff" }, { "\0\xff", "binary", "again" })
    lu.assertEquals(frame { op = "continuation", "" }, { "", "continuation" })
    lu.assertEquals(frame { op = "ping", "p" }, { "p", "ping" })
    lu.assertEquals(frame { op = "pong", "" }, { "", "pong" })
    lu.assertEquals(frame { op = "close", "" }, { "", "close" })
    lu.assertEquals(frame { op = "close", "\3\232bye" }, { "bye", "close", 1000 })
    for _, n in ipairs { 125, 126, 65535, 65536, 70000 } do
      lu.assertEquals(frame { ("x"):rep(n) }, { ("x"):rep(n), "text" })
    end
  end
end

function T:test_what_does_not_come()
  for words, input in pairs {
    ["bad RSV1, RSV2, or RSV3 bits"] = "\xc1\0", ["reserved non-control frames"] = "\x83\0",
    ["reserved control frames"] = "\x8b\0", ["frame unmasked"] = "\x81\0",
    ["payload len too large"] = "\x81\xff" .. (">I8"):pack(0x80000000),
    ["too long payload for control frame"] = "\x89\xfe\0\x7e", ["fragmented control frame"] = "\x09\x80",
    ["exceeding max payload len"] = "\x81\xfe\1\x2d",
    ["close frame with a body must carry a 2-byte status code"] = "\x88\x81abcdx",
    ["failed to receive the first 2 bytes: closed"] = "\x81",
    ["failed to receive the 2 byte payload length: closed"] = "\x81\xfe\1",
    ["failed to receive the 8 byte payload length: closed"] = "\x81\xff\0\0\0\0",
    ["failed to read masking-len and payload: closed"] = "\x81\x82abcdx",
  } do
    lu.assertEquals(recv(input, 300, true), { nil, nil, words })
  end
  lu.assertEquals(recv("\x81\xff\xff" .. ("x"):rep(7)), { nil, nil, "payload len too large" })
  lu.assertEquals(recv("\x81\xff" .. (">I8"):pack(65536)), { nil, nil, "exceeding max payload len" })
  lu.assertEquals({ protocol.recv_frame(stream("", "timeout"), 9) },
    { nil, nil, "failed to receive the first 2 bytes: timeout" })
end

function T:test_build_frame()
  bytes.equals(protocol.build_frame(true, 1, 2, "hi", false), "\x81\2hi")
  bytes.equals(protocol.build_frame(nil, 0, 0), "\0\0")
  bytes.equals(protocol.build_frame(true, 2, 126, ("x"):rep(126)), "\x82\x7e\0\x7e" .. ("x"):rep(126))
  local masked = protocol.build_frame(true, 1, 2, "hi", true)
  lu.assertEquals(#masked, 8)
  lu.assertEquals(recv(masked, 10, true), { "hi", "text" })
  lu.assertNotEquals(masked:sub(3, 6), protocol.build_frame(true, 1, 2, "hi", true):sub(3, 6))
  lu.assertEquals({ protocol.build_frame(true, 1, 0x80000000, "") }, { nil, "payload too big" })
end

function T:test_send_frame()
  local s = stream ""
  lu.assertEquals(protocol.send_frame(s, true, 1, "hi", 10, false), 4)
  lu.assertEquals(protocol.send_frame(s, false, 2, 12, 10), 4)
  lu.assertEquals(protocol.send_frame(s, true, 9), 2)
  bytes.equals(s.sent, "\x81\2hi\2\00212\x89\0")
  lu.assertEquals(protocol.send_frame(s, true, 1, "hi", 10, true), 8)
  for words, args in pairs {
    ["payload too big"] = { true, 1, "abc", 2 },
    ["too much payload for control frame"] = { true, 9, ("x"):rep(126), 200 },
    ["fragmented control frame"] = { false, 9, "x", 10 },
  } do
    lu.assertEquals({ protocol.send_frame(s, table.unpack(args)) }, { nil, words })
  end
  lu.assertEquals({ protocol.send_frame(stream("", "closed"), true, 1, "x") }, { nil, "failed to send frame: closed" })
end

-- A server of ours, LuaSocket's stream.
function T:test_over_luasocket()
  local got
  local server = assert(wsock.listen { port = 0, onmessage = function(socket, data)
    got = data
    socket:send(data .. "!")
  end })
  local tcp = assert(net.connect("127.0.0.1", select(2, server:address())))
  tcp:send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
  lu.assertEquals(protocol.send_frame(tcp, true, 1, "hello", 100, true), 11)
  while not got do wsock.step(0.05) end
  wsock.step()
  tcp:settimeout(5)
  repeat local line = tcp:receive "*l" until line == ""
  lu.assertEquals({ protocol.recv_frame(tcp, 100, false) }, { "hello!", "text" })
  tcp:close()
  server:close(1001, "", 0)
  wsock.run()
end

function T:test_misuse_is_named()
  local server = assert(wsock.listen { port = 0 })
  local socket = wsock.WebSocket(("ws://127.0.0.1:%d/"):format(select(2, server:address())))
  lu.assertErrorMsgContains("got a WebSocket", protocol.recv_frame, socket, 10)
  lu.assertErrorMsgContains("got a WebSocket", protocol.send_frame, socket, true, 1, "x", 10)
  lu.assertErrorMsgContains("sock must be a stream of bytes, got nil", protocol.recv_frame)
  socket:terminate()
  server:close(1001, "", 0)
  wsock.run()
end

function T:test_the_rest()
  lu.assertEquals(protocol.new_tab(0, 4), {})
  lu.assertEquals(wsock.resty.protocol, protocol)
end

return T
