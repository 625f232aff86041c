-- bind/lua_limits: limits and times of one socket of a server.

local lu = require "luaunit"
local bytes = require "support.bytes"
local core = require "wsock.core"
local rigs = require "support.rig"

local T = rigs.class()
local contains = lu.assertErrorMsgContains

-- A server's socket accepted with limits, the raw peer behind it, and the socket's record.
function T:accepted(limits, options)
  local far, record
  options = options or {}
  options.onupgrade = function(request)
    far = request:accept { limits = limits }
    record = rigs.record(far)
  end
  local server, _, port = self.rig:listen(options)
  local peer = self.rig:raw_client(port)
  self.rig:wait(function() return far end)
  return far, peer, record, server, port
end

function T:test_each_socket_has_its_own()
  local sizes = { 10, 20, nil }
  local n = 0
  local _, _, port = self.rig:listen { maxPayload = 15, onupgrade = function(request)
    n = n + 1
    request:accept { limits = { maxPayload = sizes[n] } }
  end, onmessage = function(socket, data) socket:send(data) end }
  for i, most in ipairs { 10, 20, 15 } do
    local peer = self.rig:raw_client(port)
    peer:frame { op = "text", ("x"):rep(most) }
    lu.assertEquals(#peer:take().payload, most)
    peer:frame { op = "text", ("x"):rep(most + 1) }
    lu.assertEquals({ i, (peer:take_close()) }, { i, 1009 })
  end
end

function T:test_fragments_and_what_the_server_says_else()
  local _, peer = self:accepted({ maxFragments = 2 }, { maxPayload = 8 })
  for i = 1, 3 do peer:frame { op = i == 1 and "text" or "continuation", fin = false, "x" } end
  lu.assertEquals((peer:take_close()), 1008)
  local _, other = self:accepted({ maxFragments = 100 }, { maxPayload = 8 })
  other:frame { op = "text", ("x"):rep(9) }
  lu.assertEquals((other:take_close()), 1009)
end

function T:test_what_may_wait()
  local far = self:accepted { maxBuffered = 100 }
  lu.assertTrue(far:send(("x"):rep(100)))
  lu.assertEquals(select(3, far:send "x"), "BUFFER")
end

-- A high-water mark under the server's low one takes that along.
function T:test_marks()
  local far, peer, record = self:accepted({ highWaterMark = 1000 }, { lowWaterMark = 5000 })
  far:send(("x"):rep(2000))
  lu.assertEquals(#peer:take().payload, 2000)
  self.rig:wait(function() return record[#record] == "drain" end)
end

function T:test_times()
  local _, peer = self:accepted { pingInterval = 0.03, pingTimeout = 0.03 }
  lu.assertEquals(peer:take().op, bytes.OP.ping)
  peer:take_end() -- no pong
  local _, quiet = self:accepted({ pingInterval = 0, autoPong = false }, { pingInterval = 0.03 })
  quiet:frame { op = "ping", "x" }
  self.rig:idle(10)
  lu.assertEquals(quiet:look(), "")
end

function T:test_close_timeout()
  local far, _, record = self:accepted({ closeTimeout = 0.02 }, { closeTimeout = 1000 })
  far:close()
  self.rig:closed(record)
end

-- A socket keeps its limits until its end, whoever else is gone.
function T:test_life()
  for _ = 1, 3 do
    local far, peer, record, server = self:accepted { maxPayload = 10 }
    collectgarbage()
    collectgarbage()
    peer:frame { op = "text", ("x"):rep(10) }
    self.rig:events(record, 1)
    server:close(1001, "", 0)
    self.rig:closed(record)
    collectgarbage()
    lu.assertEquals(far:stats().messagesIn, 1)
  end
  self:accepted { maxPayload = 10 }
  self.rig.loop:close()
  collectgarbage()
  self.rig = rigs.new()
end

function T:test_what_is_no_limit()
  local rows = {
    { "unknown limit of a socket 'maxPayloads'; did you mean 'maxPayload'?", { maxPayloads = 1 } },
    { "unknown limit of a socket 'maxBody'", { maxBody = 1 } }, { "'maxPayload' must be", { maxPayload = -1 } },
    { "'autoPong' must be a boolean", { autoPong = 1 } }, { "'pingInterval' must be", { pingInterval = -1 } },
    { "must not be above", { lowWaterMark = 2, highWaterMark = 1 } },
  }
  for _, row in ipairs(rows) do
    contains(row[1], core.checkLimits, row[2])
    local _, _, port = self.rig:listen { onupgrade = function(request)
      contains(row[1], request.accept, request, { limits = row[2] })
      request:accept {} -- it can still be accepted
    end }
    self.rig:raw_client(port)
  end
  core.checkLimits {}
  lu.assertError(core.checkLimits)
  local _, _, port = self.rig:listen { onupgrade = function(request)
    contains("'limits' must be a table", request.accept, request, { limits = 1 })
    request:reject()
  end }
  self.rig:raw_client(port)
end

return T
