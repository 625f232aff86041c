-- spec/support/visitors.lua -- who comes to a server: HTTP clients by hand,
-- bystanders whom nothing may disturb, crowds.
--
-- They are raw peers of a rig (support/rig.lua) and move whenever it waits.

local lu = require "luaunit"
local luasocket = require "socket"
local unix = require "socket.unix"
local bytes = require "support.bytes"
local clock = require "support.clock"
local sys = require "wsock.probe".net.sys

local M = {}

--- RFC 6455 1.3: a key and the token that answers it.
M.KEY = "dGhlIHNhbXBsZSBub25jZQ=="
M.ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

-- ---- HTTP by hand --------------------------------------------------------------

--- A plain request; start is "GET / HTTP/1.1" unless given, further lines
--- follow Host, body is what stands behind the head.
function M.plain(start, lines, body)
  local list = { start or "GET / HTTP/1.1", "Host: h" }
  for _, line in ipairs(lines or {}) do list[#list + 1] = line end
  return table.concat(list, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- A request for WebSocket. change maps names to values: false drops the
--- line, a string replaces it, a list makes several of it, and names that are
--- not among the usual lines are added. start as in M.plain.
function M.upgrade(change, start)
  local list = { start or "GET / HTTP/1.1" }
  local usual = { Host = "h", Upgrade = "websocket", Connection = "Upgrade",
    ["Sec-WebSocket-Key"] = M.KEY, ["Sec-WebSocket-Version"] = "13" }
  for name, value in pairs(change or {}) do usual[name] = value end
  for name, values in pairs(usual) do
    if type(values) ~= "table" then values = { values or nil } end
    for _, value in ipairs(values) do list[#list + 1] = name .. ": " .. value end
  end
  return table.concat(list, "\r\n") .. "\r\n\r\n"
end

--- The parts of an HTTP answer: status, reason, headers (by lower-case name,
--- repeated ones joined by "|"), body; nil when text holds no whole head.
function M.parse(text)
  local head, body = text:match "^(.-\r\n)\r\n(.*)$"
  local status, reason = (head or ""):match "^HTTP/1%.1 (%d%d%d) ([^\r\n]*)\r\n"
  if not status then return nil end
  local answer = { status = tonumber(status), reason = reason, headers = {}, body = body, text = text }
  for name, value in head:gmatch "\r\n([^:\r\n]+): ([^\r\n]*)" do
    name = name:lower()
    local before = answer.headers[name]
    answer.headers[name] = before and before .. "|" .. value or value
  end
  return answer
end

--- A connection that has sent `text` (nil: nothing yet); from: see raw_client.
function M.visit(rig, port, text, from)
  local peer = rig:raw_client(port, true, from)
  if text then peer:send(text) end
  return peer
end

--- The whole answer up to the connection's end; nil when there is none.
function M.answer(peer)
  peer:take_end()
  peer:close()
  return M.parse(peer.got)
end

--- Sends text and returns the whole answer.
function M.ask(rig, port, text)
  local answer = M.answer(M.visit(rig, port, text))
  lu.assertNotNil(answer, "an answer to " .. text:sub(1, 200))
  return answer
end

--- Sends text, which is a request for WebSocket, and returns the peer and the
--- answer's head, whatever it says.
function M.knock(rig, port, text, from)
  local peer = M.visit(rig, port, text or M.upgrade(), from)
  return peer, M.parse(peer:head())
end

--- The status a server gives to a request for WebSocket with these headers
--- (change, as in M.upgrade), and its answer's head.
function M.status(rig, port, change)
  local peer, answer = M.knock(rig, port, M.upgrade(change))
  peer:close()
  return answer.status, answer
end

-- ---- bystanders ----------------------------------------------------------------

local Bystander = {}
Bystander.__index = Bystander

--- A WebSocket connection that must not be disturbed. `request` is what it
--- sends to get in; from: see raw_client.
function M.bystander(rig, port, request, from)
  local peer, answer = M.knock(rig, port, request, from)
  lu.assertEquals(answer.status, 101)
  return setmetatable({ peer = peer, pings = 0 }, Bystander)
end

--- Fails unless it is still served: a ping is answered by its own pong, and
--- nothing else has come but messages and pings of the server's own.
function Bystander:check()
  self.pings = self.pings + 1
  local payload = "still here? " .. self.pings
  self.peer:frame { op = "ping", payload }
  local frame
  repeat
    frame = self.peer:take()
    if frame.op == bytes.OP.ping then self.peer:frame { op = "pong", frame.payload } end
  until frame.op > bytes.OP.binary and frame.op ~= bytes.OP.ping
  lu.assertEquals({ frame.op, frame.payload }, { bytes.OP.pong, payload })
end

-- ---- crowds --------------------------------------------------------------------

--- Makes room for n descriptors more than the usual ones if the system lets
--- us; returns how many of them there are, and a function that takes it back.
function M.room(n)
  local before = assert(sys.limit("fds", 256))
  local got = before
  if before < n + 256 and sys.limit("fds", n + 256) then got = n + 256 end
  if got == before then assert(sys.limit("fds", before)) end
  return math.min(n, got - 256), function() assert(sys.limit("fds", before)) end
end

local function connected(where)
  local sock = type(where) == "string" and unix.stream() or luasocket.tcp4()
  sock:settimeout(5)
  if type(where) == "string" then assert(sock:connect(where)) else assert(sock:connect("127.0.0.1", where)) end
  sock:settimeout(0)
  return sock
end

--- n connections to a port, or to a unix socket's path, each having sent text;
--- in steps, so that the backlog is never full.
function M.crowd(rig, where, n, text)
  local list = {}
  for i = 1, n do
    local sock = connected(where)
    if text then assert(sock:send(text)) end
    list[i] = rig:keep(sock)
    if i % 32 == 0 then rig.loop:step(0) end
  end
  return list
end

--- n connections to a port, each having sent text, that are not accepted yet.
function M.queue(rig, port, n, text)
  local list = {}
  for i = 1, n do
    local sock = connected(port)
    if text then assert(sock:send(text)) end
    list[i] = rig:keep(sock)
  end
  return list
end

--- Reads and forgets the 101 of each of a crowd, and checks it.
function M.admitted(rig, list)
  for i, sock in ipairs(list) do
    local got = ""
    rig:wait(function()
      local data, _, part = sock:receive(8192)
      got = got .. (data or part or "")
      return got:find("\r\n\r\n", 1, true)
    end, "no answer to visitor " .. i)
    lu.assertStrContains(got, "HTTP/1.1 101 ")
  end
end

--- All that has come on a socket by now, and whether it has ended.
function M.read(sock)
  local data, why, part = sock:receive(1 << 22)
  return data or part or "", why == "closed"
end

-- ---- what it costs --------------------------------------------------------------

--- Bytes of memory a process (nil: this one) has for itself. Counted page by
--- page: the system's quicker figures are rough where there are many
--- processors, and hold pages of files, which come and go.
function M.memory(pid)
  local f <close> = assert(io.open(("/proc/%s/smaps_rollup"):format(pid or "self")))
  local text = f:read "a"
  return (tonumber(text:match "Anonymous:%s*(%d+)") + tonumber(text:match "Swap:%s*(%d+)")) << 10
end

--- Whether figures of memory mean anything: not under a sanitizer or valgrind.
M.measurable = not os.getenv "SPEC_SLOW"

--- Under valgrind, which counts descriptors in its own way and refuses one
--- only after the system has given it.
M.valgrind = (os.getenv "LD_PRELOAD" or ""):find("vgpreload", 1, true) ~= nil

--- Fails when fn() makes this process more than `most` bytes larger, by what is
--- handed out (looked at now and then) or by pages. Garbage is collected eagerly
--- meanwhile: what a spec itself throws away does not count.
function M.costs_at_most(most, what, fn)
  collectgarbage()
  collectgarbage() -- what finalizers had
  collectgarbage "restart" -- else Lua 5.4.4 may wait for as much garbage as there once was
  local before, pages, peak = sys.heap() or 0, M.memory(), 0
  local holes = select(2, sys.heap()) or 0 -- of tests before this one: to fill them touches pages too
  local function look() peak = math.max(peak, sys.heap() or 0) end
  collectgarbage("incremental", 125, 400)
  debug.sethook(look, "", 1000000)
  local ok, message = pcall(fn)
  debug.sethook()
  collectgarbage("incremental", 200, 100)
  if not ok then error(message, 0) end
  look()
  local grown = math.max(peak - before, M.memory() - pages - holes)
  if M.measurable and grown > most then
    lu.fail(("%s: %d KiB of memory, at most %d are allowed"):format(what, grown >> 10, most >> 10))
  end
end

--- Fails when fn() takes more than `seconds` of processor time.
function M.cheap(seconds, what, fn)
  local start = sys.cpu()
  fn()
  local took = sys.cpu() - start
  seconds = seconds * clock.slow
  if took > seconds then
    lu.fail(("%s: %.3f s of processor time, at most %.3f are allowed"):format(what, took, seconds))
  end
end

M.wait = clock.wait

return M
