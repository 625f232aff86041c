-- spec/bind/alloc_spec.lua -- what a message costs in memory: its string.
--
-- Both ends are ours and live in this state, so a round trip is two messages.
-- They are longer than 40 bytes: Lua keeps one copy of each shorter string.

local lu = require "luaunit"
local probe = require "wsock.probe".bind
local clock = require "support.clock"
local rigs = require "support.rig"

local T = {}

local N = clock.times(10000, 1000)

function T:setUp()
  probe.count() -- before the loop is made, so that its C memory is counted too
  self.rig = rigs.new()
end

function T:tearDown()
  probe.uncount()
  self.rig:close()
end

-- A client and an echoing server; bounce(n, under_way) lets messages go round
-- n times altogether.
function T:bouncer(message, kind, server_options)
  local _, url = self.rig:listen(server_options or {
    onmessage = function(socket, data, k) socket:send(data, k) end,
  })
  local client = self.rig:client(url, nil, { maxPayload = 16 << 20 })
  self.rig:wait(function() return client.readyState == 1 end, "not open")
  local left, back = 0, 0
  local loop = self.rig.loop
  client:on("message", function(_, k)
    back = back - 1
    if left > 0 then
      left = left - 1
      client:send(message, k)
    elseif back == 0 then
      loop:stop()
    end
  end)
  loop:after(60 * clock.slow, function() loop:stop() end)
  return function(n, under_way)
    left, back = n - under_way, n
    for _ = 1, under_way do client:send(message, kind) end
    loop:run()
    lu.assertEquals(back, 0, "the echoes stopped")
  end
end

-- What of that kind is made in n rounds, or nil: nothing but strings, two for
-- each, and a few blocks: a busy machine cuts one message in a hundred in two,
-- which is then put together.
local function too_many(bounce, n, under_way)
  local few = 16 + n // 20
  collectgarbage()
  probe.count()
  bounce(n, under_way)
  local c = probe.counted()
  if c.strings > 2 * n + few then return ("%d strings in %d rounds"):format(c.strings, n) end
  for _, name in ipairs { "tables", "functions", "userdata", "threads", "other", "resized" } do
    if c[name] > few then return ("%d %s in %d rounds"):format(c[name], name, n) end
  end
end

-- A pool grows to what was never needed before, which may be in any round; what
-- each message costs is made every time.
function T:expect_strings_only(bounce, n, under_way)
  local excess
  bounce(200, under_way)
  for _ = 1, 3 do
    excess = too_many(bounce, n, under_way)
    if not excess then return end
  end
  lu.fail(excess)
end

function T:test_a_short_message_costs_one_string()
  self:expect_strings_only(self:bouncer(("x"):rep(125), "text"), N, 1)
end

function T:test_many_under_way_cost_one_string_each()
  self:expect_strings_only(self:bouncer(("\0\255"):rep(500), "binary"), N, 16)
end

function T:test_a_long_message_costs_one_string()
  self:expect_strings_only(self:bouncer(("ü"):rep(8000), "text"), N // 10, 4)
end

function T:test_a_listener_of_the_socket_costs_nothing_more()
  self:expect_strings_only(self:bouncer(("x"):rep(60), "text", {
    onconnection = function(socket)
      socket:on("message", function(data, kind) socket:send(data, kind) end)
    end,
  }), N, 4)
end

function T:test_memory_is_flat()
  local bounce = self:bouncer(("x"):rep(1000), "binary")
  local function used()
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  bounce(1000, 16)
  local before = used()
  for _ = 1, 5 do bounce(N // 5, 16) end
  lu.assertTrue(used() - before < 4, ("grew by %.1f KiB"):format(used() - before))
end

return T
