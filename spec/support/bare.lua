-- spec/support/bare.lua -- bare TCP against a server: what a WebSocket peer
-- would say, byte by byte.

local lu = require "luaunit"
local bytes = require "support.bytes"
local net = require "socket"

local M = {}

--- A good handshake to h, and the mask of frames.
M.REQUEST = table.concat({ "GET /chat HTTP/1.1", "Host: h", "Upgrade: websocket", "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "" }, "\r\n")
M.MASK = "\1\2\3\4"

--- Connects, and says the text.
function M.connect(port, text)
  local tcp = assert(net.connect("127.0.0.1", port))
  tcp:settimeout(0)
  tcp:send(text)
  return tcp
end

--- What comes until the pattern is in it, and whether the other side has ended.
--- wait(condition, what) turns the loops.
function M.expect(tcp, pattern, wait)
  local got, ended = "", false
  wait(function()
    local some, why, part = tcp:receive(65536)
    got = got .. (some or part)
    ended = why == "closed"
    return ended or got:find(pattern)
  end, pattern)
  if not got:find(pattern) then lu.fail(("no '%s' in '%s'"):format(pattern, got)) end
  return got, ended
end

--- Shakes hands with a server and closes with "bye"; what it answers before it ends TCP. Returns the connection,
--- which is still open at this end.
function M.close_first(port, wait)
  local tcp = M.connect(port, M.REQUEST)
  M.expect(tcp, "\r\n\r\n", wait)
  tcp:send(bytes.frame { op = 8, payload = "\3\232bye", mask = M.MASK })
  local got, ended = M.expect(tcp, "\3\232bye", wait)
  if not ended then
    wait(function()
      local some, why, part = tcp:receive(65536)
      got, ended = got .. (some or part), why == "closed"
      return ended
    end, "the end of TCP")
  end
  lu.assertEquals(got, bytes.frame { op = 8, payload = "\3\232bye" })
  return tcp
end

return M
