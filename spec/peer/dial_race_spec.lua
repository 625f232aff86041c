-- peer/dial: the race of a name's addresses (RFC 8305), by names of our own.

local lu = require "luaunit"
local luasocket = require "socket"
local probe = require "wsock.probe"
local clock = require "support.clock"
local net = probe.net
local faults, E = net.sys, net.E

local T = {}
T.alone = true -- it measures

function T:setUp()
  self.live = faults.live()
  self.mem = probe.base.mem()
  self.world = assert(probe.peer.world(self.mem, { backend = os.getenv "WSOCK_BACKEND" }))
  self.sessions, self.files, self.events = {}, {}, {}
end

function T:tearDown()
  for _, s in ipairs(self.sessions) do s:free() s:free() end
  self.world:free()
  for _, f in ipairs(self.files) do f:close() end
  local state = self.mem:state()
  lu.assertEquals({ state.used, state.live, state.wrong }, { 0, 0, 0 })
  clock.wait(function() -- a look-up of this one must not sleep in the next one
    faults.release()
    return faults.live() == self.live
  end, 20)
end

function T:keep(f)
  self.files[#self.files + 1] = f
  return f
end

-- A listening socket at an address; with `full` one that lets nobody in: its
-- backlog is taken. Returns it and its port.
function T:listener(address, port, full)
  local sock = self:keep(luasocket.tcp4())
  sock:setoption("reuseaddr", true)
  assert(sock:bind(address, port or 0))
  assert(sock:listen(full and 0 or 8))
  local _, chosen = sock:getsockname()
  sock:settimeout(0)
  if full then
    for _ = 1, 3 do
      local guest = self:keep(luasocket.tcp4())
      guest:settimeout(0)
      guest:connect(address, chosen)
    end
  end
  return sock, math.tointeger(tonumber(chosen))
end

function T:dial(conf)
  local s = self.world:session(#self.sessions + 1)
  self.sessions[#self.sessions + 1] = s
  lu.assertTrue(s:hello())
  lu.assertTrue(s:dial(conf))
  return s
end

function T:turn(ms)
  for _, e in ipairs((self.world:turn(ms or 5))) do
    self.events[#self.events + 1] = table.concat({ e[2], tostring(e[3]) }, ":")
  end
end

function T:wait(condition)
  return clock.wait(condition, 5, function() self:turn() end)
end

function T:connected(s)
  self:wait(function() return not s:state().dialing end)
  return s:state().fd >= 0
end

function T:failed(s)
  self:wait(function() return self.events[2] end)
  lu.assertEquals(s:state().fd, -1)
  lu.assertEquals(self.world:watchers() <= 1, true) -- the resolver's only
  return table.concat(self.events, " "), s:state().word, s:state().words
end

-- ---- who wins --------------------------------------------------------------------------

function T:test_the_first_that_answers()
  local sock, port = self:listener "127.0.0.1"
  local s = self:dial { host = "127.0.0.1,127.0.0.2.fake", port = port }
  lu.assertTrue(self:connected(s))
  lu.assertNotNil(self:wait(function() return sock:accept() end):close())
  lu.assertEquals(self.world:watchers(), 2) -- the socket and the resolver
end

function T:test_dead_ones_first_cost_no_time()
  local _, port = self:listener "127.0.0.9"
  local took = clock.quickest(0.2, function()
    local s = self:dial { host = "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.9.fake", port = port }
    lu.assertTrue(self:connected(s))
  end)
  lu.assertTrue(took < 0.2, took)
end

function T:test_a_silent_one_gets_a_head_start_and_no_more()
  local _, port = self:listener("127.0.0.1", 0, true)
  local winner = self:listener("127.0.0.2", port)
  local start = clock.now()
  local s = self:dial { host = "127.0.0.1,127.0.0.2.fake", port = port }
  self:wait(function() return s:state().running == 1 end)
  lu.assertTrue(self:connected(s))
  lu.assertTrue(clock.now() - start >= 0.23)
  self:keep(self:wait(function() return winner:accept() end))
  lu.assertEquals(self.world:watchers(), 2) -- the loser is gone
end

-- The next one's timer was set when the first began; the first failed before.
function T:test_the_timer_of_an_attempt_that_failed()
  local _, port = self:listener("127.0.0.2", 0, true)
  local s = self:dial { host = "127.0.0.1,127.0.0.2.fake", port = port } -- refused, silent
  self:wait(function() return s:state().next == 2 end)
  local limit = clock.now() + 0.35
  while clock.now() < limit do self:turn() end
  lu.assertEquals({ s:state().next, s:state().running }, { 2, 1 })
  s:close()
  lu.assertEquals((self:failed(s)), "fault:ABORTED close:1006")
end

function T:test_sixteen_and_no_more()
  local list = {}
  for i = 1, 15 do list[i] = "127.0.1." .. i end
  local _, port = self:listener("127.0.1.16", 0, true)
  list[16] = "127.0.1.16"
  list[17] = "127.0.1.17"
  local s = self:dial { host = table.concat(list, ",") .. ".fake", port = port }
  self:wait(function() return s:state().next == 16 end)
  local limit = clock.now() + 0.35
  while clock.now() < limit do self:turn() end
  lu.assertEquals({ s:state().next, s:state().running }, { 16, 1 })
  s:terminate()
  self:wait(function() return self.events[1] end)
  lu.assertEquals(self.events, { "close:1006" })
end

function T:test_all_dead()
  local _, port = self:listener "127.0.0.9"
  local s = self:dial { host = "127.0.0.1,::1,127.0.0.2.fake", port = port }
  local events, word, words = self:failed(s)
  lu.assertEquals(events, "fault:SYSTEM close:1006")
  lu.assertEquals(word, "ECONNREFUSED")
  lu.assertStrMatches(words, "connect 127%.0%.0%.%d:" .. port .. ": .+")
end

-- ---- the system's failures ----------------------------------------------------------------

function T:test_no_socket_for_one_address()
  local _, port = self:listener "127.0.0.2"
  local s = self:dial { host = "127.0.0.1,127.0.0.2.fake", port = port }
  faults.fault("socket", E.EMFILE, 1)
  lu.assertTrue(self:connected(s))
end

function T:test_no_socket_at_all()
  faults.fault("socket", E.EMFILE, 2)
  local s = self:dial { host = "127.0.0.1,127.0.0.2.fake", port = 1 }
  local events, word = self:failed(s)
  lu.assertEquals({ events, word }, { "fault:SYSTEM close:1006", "EMFILE" })
  faults.fault("socket", 0, 0)
end

function T:test_no_thread_for_the_resolver()
  faults.fault("pthread_create", E.EAGAIN, 1)
  local s = self:dial { host = "127.0.0.1.fake", port = 1 }
  local events, word, words = self:failed(s)
  lu.assertEquals({ events, word }, { "fault:SYSTEM close:1006", "EAGAIN" })
  lu.assertStrContains(words, "resolve 127.0.0.1.fake")
  faults.fault("pthread_create", 0, 0)
end

function T:test_look_ups_that_fail()
  local s = self:dial { host = "-2.fake", port = 1 }
  local events, word, words = self:failed(s)
  lu.assertEquals({ events, word }, { "fault:SYSTEM close:1006", "EAI_NONAME" })
  lu.assertStrMatches(words, "resolve %-2%.fake: .+")
end

function T:test_a_name_without_addresses_we_can_use()
  local s = self:dial { host = "local.fake", port = 1 }
  local events, word = self:failed(s)
  lu.assertEquals(events, "fault:SYSTEM close:1006")
  lu.assertStrMatches(word, "EAI_%u+")
end

-- ---- an end before the end ---------------------------------------------------------------------

function T:test_closed_while_it_is_looked_up()
  local s = self:dial { host = "slow,127.0.0.1.fake", port = 1 }
  faults.asleep(1)
  s:close()
  self:wait(function() return self.events[2] end)
  lu.assertEquals(self.events, { "fault:ABORTED", "close:1006" })
  faults.release()
end

function T:test_freed_at_every_stage()
  local _, port = self:listener("127.0.0.1", 0, true)
  for _, host in ipairs { "slow,127.0.0.1.fake", "127.0.0.1", "127.0.0.1,127.0.0.1.fake", "-2.fake" } do
    for turns = 0, 3 do
      local s = self:dial { host = host, port = port }
      for _ = 1, turns do self:turn() end
      s:free()
    end
  end
  faults.release()
  for _ = 1, 3 do self:turn() end
end

-- Many names at once: more than the resolver takes is a failure that is told.
function T:test_more_names_than_the_resolver_takes()
  local n = 0
  for i = 1, 2000 do
    local s = self.world:session(i)
    self.sessions[#self.sessions + 1] = s
    s:hello()
    lu.assertTrue(s:dial { host = "-2.fake", port = 1 })
    n = i
  end
  clock.wait(function() return #self.events >= 2 * n end, 20, function() self:turn() end)
  local words = {}
  for _, s in ipairs(self.sessions) do words[s:state().word] = true end
  words.EAI_NONAME = nil
  words.LIMIT = nil
  lu.assertNil(next(words))
end

-- I6: one clock over look-up, TCP and head.
function T:test_the_clock_runs_at_every_stage()
  self.world:free()
  self.world = assert(probe.peer.world(self.mem, { handshake_ms = 50 }))
  local _, full = self:listener("127.0.0.1", 0, true)
  local _, mute = self:listener "127.0.0.2"
  for _, conf in ipairs {
    { host = "slow,127.0.0.1.fake", port = 1, words = "resolve slow,127.0.0.1.fake: handshakeTimeout has passed" },
    { host = "127.0.0.1", port = full, words = ("connect 127.0.0.1:%d: handshakeTimeout has passed"):format(full) },
    { host = "127.0.0.2", port = mute },
  } do
    self.events = {}
    local s = self:dial(conf)
    s:ping "" -- touches it
    self:wait(function() return self.events[2] end)
    lu.assertEquals(self.events, { "fault:HANDSHAKE_TIMEOUT", "close:1006" }, conf.host)
    lu.assertEquals(s:state().words, conf.words)
  end
end

-- ---- no memory ------------------------------------------------------------------------------------

-- The n-th allocation of a whole dial fails, for every n.
function T:test_without_memory_at_every_point()
  local _, port = self:listener "127.0.0.2"
  local n, hit = 0
  repeat
    n = n + 1
    local mem = probe.base.mem()
    mem:fail(n)
    local world = probe.peer.world(mem, { backend = os.getenv "WSOCK_BACKEND" })
    if world then
      local s = world:session(1)
      local ok = s:hello() and s:dial { host = "127.0.0.1,127.0.0.2.fake", port = port }
      if ok then
        clock.wait(function() return not s:state().dialing end, 5, function() world:turn(5) end)
        world:turn(0)
      end
      s:free()
      world:free()
    end
    local state = mem:state()
    lu.assertEquals({ state.used, state.live, state.wrong }, { 0, 0, 0 }, "allocation " .. n)
    hit = state.failed > 0
  until not hit
  lu.assertTrue(n > 4, n)
end

return T
