-- bind: sockets with the option frames (lua_pull, lua_verbs, lua_socket).

local lu = require "luaunit"
local peer = require "interop.peer"
local wsock = require "wsock"

local T = peer.class()

-- A client in frame mode at an echo of ours, and the far socket's record.
local function client(options, server)
  local _, port, record = peer.echo(server)
  options = options or {}
  options.frames = true
  local socket = assert(wsock.connect("ws://127.0.0.1:" .. port, options))
  peer.record():watch(socket) -- ended in cleanup
  peer.wait(function() return record.socket end)
  return socket, record
end

function T:test_receive_answers_frames()
  local socket, record = client()
  local far = record.socket
  far:send("a", "text", { final = false })
  far:ping "p"
  far:send("b", "text")
  far:send("\0", "binary")
  far:close(3000, "bye")
  lu.assertEquals({ socket:receive(5) }, { "a", "text", false })
  lu.assertEquals({ socket:receive() }, { "p", "ping", true })
  lu.assertEquals({ socket:receive() }, { "b", "continuation", true })
  lu.assertEquals({ socket:receive() }, { "\0", "binary", true })
  lu.assertEquals({ socket:receive() }, { "bye", "close", true, 3000 })
  lu.assertEquals(socket.readyState, wsock.OPEN) -- it is ours to answer
  lu.assertTrue(socket:sendFrame("\x0b\xb8", "close"))
  lu.assertEquals({ select(3, socket:receive()) }, { "CLOSED", 3000, "bye" })
  record:wait "^close 3000 %- clean"
end

function T:test_frames_for_a_task_that_waits()
  local socket, record = client()
  local got = {}
  local task = wsock.spawn(function()
    for data, kind, final, code in socket:messages() do
      got[#got + 1] = ("%s %s %s %s"):format(data, kind, final, code)
    end
  end)
  peer.turn(0.02)
  record.socket:send("x", "binary", { final = false })
  record.socket:close()
  peer.wait(function() return #got == 2 end)
  socket:close()
  lu.assertTrue((task:join(5)))
  lu.assertEquals(got, { "x binary false nil", " close true nil" })
end

function T:test_sendFrame()
  local socket, record = client()
  lu.assertTrue(socket:sendFrame("He", "text", false))
  lu.assertTrue(socket:sendFrame("", "ping"))
  lu.assertTrue(socket:sendFrame("llo", "continuation"))
  lu.assertTrue(socket:sendFrame("\xff", "text")) -- nobody here looks at it
  record:wait "^close"
  lu.assertEquals(tostring(record), "ping , text Hello, error PROTOCOL, close 1006 - unclean")
  lu.assertErrorMsgContains("no kind of frame", socket.sendFrame, socket, "x", "blob")
end

function T:test_sendFrame_needs_the_option()
  local _, port = peer.echo()
  local socket, record = peer.connect("ws://127.0.0.1:" .. port)
  lu.assertErrorMsgContains("InvalidStateError", socket.sendFrame, socket, "x", "text")
  record:wait "^open"
  lu.assertErrorMsgContains("option frames is not set", socket.sendFrame, socket, "x", "text")
end

function T:test_a_server_in_frame_mode()
  local got = {}
  local _, port = peer.listen { frames = true, onconnection = function(socket)
    for data, kind, final in socket:messages() do
      got[#got + 1] = ("%s %s %s"):format(data, kind, final)
      if kind == "close" then socket:close(1000) end
    end
  end }
  local socket, record = peer.connect("ws://127.0.0.1:" .. port)
  record:wait "^open"
  socket:send("a", "text", { final = false })
  socket:send "b"
  socket:close(1000)
  record:wait "^close 1000 %- clean"
  lu.assertEquals(got, { "a text false", "b continuation true", " close true" })
end

-- Listeners for messages hear nothing; frames wait.
function T:test_no_listener_takes_a_frame()
  local socket, record = client()
  local heard = 0
  socket:on("message", function() heard = heard + 1 end)
  socket:on("ping", function() heard = heard + 1 end)
  record.socket:send "x"
  record.socket:ping "y"
  peer.turn(0.05)
  lu.assertEquals(heard, 0)
  lu.assertEquals({ socket:receive(1) }, { "x", "text", true })
end

function T:test_back_pressure()
  local socket, record = client({ receiveQueue = 2 }, { pingInterval = 0, maxBuffered = 64 << 20 })
  local block, n = ("x"):rep(1000000), 30 -- far more than the system's own buffers take
  for _ = 1, n do assert(record.socket:send(block)) end
  peer.turn(0.2)
  lu.assertTrue(record.socket.bufferedAmount > 1000000, record.socket.bufferedAmount)
  for _ = 1, n do lu.assertEquals(#assert(socket:receive(5)), #block) end
end

-- What the peer does wrong is known at once, not when the connection is gone.
function T:test_a_fault_ends_receive()
  local net = require "socket"
  local answer
  local _, port = peer.listen { frames = true, onconnection = function(socket)
    answer = table.pack(socket:receive(5))
  end }
  local tcp = assert(net.connect("127.0.0.1", port))
  tcp:send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x01x")
  peer.wait(function() return answer end)
  lu.assertEquals({ answer[2], answer[3], answer[4] }, { "frame from the client is not masked", "CLOSED", 1006 })
  tcp:close()
end

return T
