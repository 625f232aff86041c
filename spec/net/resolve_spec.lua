-- spec/net/resolve_spec.lua -- names to addresses, on threads.
--
-- A host that ends in ".fake" never reaches the system: it spells its own
-- answer (support/probe/probe_faults.c), "slow" in it waits to be released.

local lu = require "luaunit"
local probe = require "wsock.probe"
local clock = require "support.clock"
local process = require "support.process"
local net, base = probe.net, probe.base
local sys, E, EAI = net.sys, net.E, net.EAI

local T = {}

function T:setUpClass()
  self.directory = process.directory()
end

function T:tearDownClass()
  os.execute("rm -r " .. process.quote(self.directory))
end

function T:setUp()
  self.live = sys.live()
  self.resolver = assert(net.resolver())
  self.lookups = {}
end

function T:tearDown()
  for _, l in ipairs(self.lookups) do self.resolver:cancel(l) end
  self.resolver:free()
  self.resolver:free()
  -- the last thread frees what is left
  clock.wait(function()
    sys.release()
    return sys.live() == self.live
  end, 20)
end

function T:start(host, port)
  local l = net.lookup(#self.lookups + 1)
  self.lookups[#self.lookups + 1] = l
  local ok, code, word = self.resolver:start(l, host, port or 80)
  if not ok then return nil, code, word end
  return l
end

function T:readable()
  return sys.wait(self.resolver:fd(), "r", 0) == "r"
end

-- The id of the next one that is done.
function T:next()
  lu.assertEquals(sys.wait(self.resolver:fd(), "r", 20), "r", "nothing is done")
  return self.resolver:next()
end

-- Looks one up; what answer() gives, and the resolver is idle again.
function T:ask(host, port)
  local l = assert(self:start(host, port))
  lu.assertEquals(self:next(), #self.lookups)
  lu.assertNil(self.resolver:next())
  lu.assertFalse(self:readable())
  local word, text, errnum, list = l:answer()
  l:free()
  l:free()
  return word, list, text, errnum
end

-- ---- real names ----------------------------------------------------------------

function T:test_localhost()
  local word, list = self:ask("localhost", 8080)
  lu.assertEquals(word, "OK")
  local found
  for _, text in ipairs(list) do
    found = found or text == "127.0.0.1 8080" or text == "::1 8080"
  end
  lu.assertTrue(found, lu.prettystr(list))
end

function T:test_a_name_that_is_not()
  local word, list, text = self:ask "no-such-name.invalid"
  lu.assertTrue(word == "EAI_NONAME" or word == "EAI_AGAIN", word)
  lu.assertEquals(list, {})
  lu.assertStrMatches(text, "%u[%g ]+")
end

function T:test_names_that_cannot_be()
  for _, host in ipairs { "", ".", "a b", "a..b", "-", ("a"):rep(64) .. ".invalid", "\xff\xfe" } do
    local word, list = self:ask(host)
    lu.assertStrMatches(word, "EAI_[A-Z]+")
    lu.assertEquals(list, {})
  end
end

function T:test_length_of_a_name()
  local longest = ("a"):rep(251) .. ".254"
  lu.assertEquals(#longest, 255)
  lu.assertStrMatches((self:ask(longest)), "EAI_[A-Z]+")
  lu.assertEquals({ self:start(longest .. "x") }, { nil, "SYSTEM", "ENAMETOOLONG" })
  lu.assertNil(self.resolver:next())
end

-- ---- answers -------------------------------------------------------------------

function T:test_the_port_comes_back()
  for _, port in ipairs { 0, 1, 80, 65535 } do
    local _, list = self:ask("10.0.0.1,::2.fake", port)
    lu.assertEquals(list, { "10.0.0.1 " .. port, "::2 " .. port })
  end
end

-- RFC 8305 section 4.
function T:test_families_take_turns()
  for host, expected in pairs {
    ["::1,::2,::3,1.1.1.1,1.1.1.2.fake"] = { "::1", "1.1.1.1", "::2", "1.1.1.2", "::3" },
    ["1.1.1.1,1.1.1.2,::1,::2.fake"] = { "1.1.1.1", "::1", "1.1.1.2", "::2" },
    ["1.1.1.1,1.1.1.2,1.1.1.3.fake"] = { "1.1.1.1", "1.1.1.2", "1.1.1.3" },
    ["::1,::2.fake"] = { "::1", "::2" },
    ["::1,1.1.1.1,1.1.1.2,1.1.1.3,::2.fake"] = { "::1", "1.1.1.1", "::2", "1.1.1.2", "1.1.1.3" },
  } do
    local word, list = self:ask(host, 5)
    lu.assertEquals(word, "OK")
    for i, text in ipairs(expected) do expected[i] = text .. " 5" end
    lu.assertEquals(list, expected, host)
  end
end

function T:test_the_same_address_twice_is_one()
  local _, list = self:ask "127.0.0.1,127.0.0.1,::1,127.0.0.1,::1.fake"
  lu.assertEquals(list, { "127.0.0.1 80", "::1 80" })
end

function T:test_other_families_are_left_out()
  local _, list = self:ask "local,::1,local,1.1.1.1.fake"
  table.sort(list)
  lu.assertEquals(list, { "1.1.1.1 80", "::1 80" })
  local word
  word, list = self:ask "local,local.fake"
  lu.assertEquals({ word, list }, { "EAI_NONAME", {} })
end

function T:test_number_of_addresses()
  for _, n in ipairs { 1, 15, 16, 17, 20 } do
    local hosts = {}
    for i = 1, n do hosts[i] = "10.0.0." .. i end
    local _, list = self:ask(table.concat(hosts, ",") .. ".fake")
    lu.assertEquals(#list, math.min(n, 16))
    lu.assertEquals(list[#list], ("10.0.0.%d 80"):format(math.min(n, 16)))
  end
end

function T:test_errors()
  for name, number in pairs(EAI) do
    local word, list, text, errnum = self:ask(number .. ".fake")
    lu.assertEquals(word, name)
    lu.assertEquals(list, {})
    lu.assertEquals({ word, text }, { net.resolve_row(number) })
    lu.assertEquals(errnum, name == "EAI_SYSTEM" and E.ENOMEM or 0)
  end
end

function T:test_words_of_other_numbers()
  for _, number in ipairs { -5, -9, -1000, 1000 } do
    lu.assertEquals((net.resolve_row(number)), "EAI_NONAME")
  end
end

-- ---- several -------------------------------------------------------------------

function T:test_twenty_at_once()
  for i = 1, 20 do assert(self:start(("10.0.0.%d.fake"):format(i))) end
  local seen = {}
  for _ = 1, 20 do
    local id = self:next()
    lu.assertNil(seen[id])
    seen[id] = true
    local word, _, _, list = self.lookups[id]:answer()
    lu.assertEquals({ word, list }, { "OK", { ("10.0.0.%d 80"):format(id) } })
    self.lookups[id]:free()
  end
  lu.assertFalse(self:readable())
  lu.assertNil(self.resolver:next())
end

function T:test_four_at_once_others_wait_in_line()
  for i = 1, 10 do assert(self:start(("slow,10.0.0.%d.fake"):format(i))) end
  lu.assertEquals(sys.asleep(4), 4)
  lu.assertNil(self.resolver:next())
  sys.release(1)
  local first = self:next()
  lu.assertTrue(first <= 4)
  lu.assertEquals(sys.asleep(4), 4, "the fifth has taken its place")
  sys.release(9)
  local seen = { [first] = true }
  for _ = 1, 9 do seen[self:next()] = true end
  for i = 1, 10 do lu.assertTrue(seen[i]) end
end

function T:test_readable_as_long_as_one_is_done()
  for i = 1, 3 do self:start(("slow,10.0.0.%d.fake"):format(i)) end
  sys.asleep(3)
  sys.release(3)
  for _ = 1, 3 do lu.assertNotNil(self:next()) end
  lu.assertFalse(self:readable())
  self:start "10.0.0.9.fake"
  lu.assertEquals(self:next(), 4)
end

-- A program may start one whenever another is done.
function T:test_one_after_the_other()
  for i = 1, 200 do
    local word = self:ask("10.0.0.1.fake", i)
    lu.assertEquals(word, "OK")
  end
end

function T:test_the_line_has_an_end()
  for _ = 1, 4 do self:start "slow,10.0.0.1.fake" end
  sys.asleep(4)
  for _ = 1, 16384 do assert(self:start "10.0.0.2.fake") end
  lu.assertEquals({ self:start "10.0.0.3.fake" }, { nil, "LIMIT" })
  self.resolver:cancel(self.lookups[5])
  lu.assertNotNil(self:start "10.0.0.4.fake", "one has left it")
  lu.assertEquals({ self:start "10.0.0.5.fake" }, { nil, "LIMIT" })
end

-- ---- giving up -----------------------------------------------------------------

function T:test_cancelling_a_running_one()
  local l = self:start "slow,10.0.0.1.fake"
  sys.asleep(1)
  self.resolver:cancel(l)
  self.resolver:cancel(l)
  sys.release()
  lu.assertEquals((self:ask "10.0.0.2.fake"), "OK")
  lu.assertNil(self.resolver:next())
end

function T:test_cancelling_one_in_the_line()
  for i = 1, 6 do self:start(("slow,10.0.0.%d.fake"):format(i)) end
  sys.asleep(4)
  self.resolver:cancel(self.lookups[5])
  sys.release(5)
  local seen = {}
  for _ = 1, 5 do seen[self:next()] = true end
  lu.assertNil(seen[5])
  lu.assertTrue(seen[6])
end

function T:test_cancelling_one_that_is_done()
  self:start "10.0.0.1.fake"
  self:start "10.0.0.2.fake"
  clock.wait(function() return self:readable() end)
  local first = self:next()
  clock.wait(function() return self:readable() end)
  self.resolver:cancel(self.lookups[3 - first])
  lu.assertFalse(self:readable())
  lu.assertNil(self.resolver:next())
end

function T:test_cancelling_one_that_was_given_back_frees_it()
  local l = self:start "10.0.0.1.fake"
  self:next()
  self.resolver:cancel(l)
  lu.assertEquals(select(4, l:answer()), {})
  l:free()
end

function T:test_starting_the_same_again()
  local l = self:start "10.0.0.1.fake"
  self:next()
  l:free()
  lu.assertTrue(self.resolver:start(l, "10.0.0.2.fake", 1))
  lu.assertEquals(self:next(), 1)
  lu.assertEquals(select(4, l:answer()), { "10.0.0.2 1" })
end

-- ---- the end -------------------------------------------------------------------

function T:test_free_does_not_wait()
  for i = 1, 8 do self:start(("slow,10.0.0.%d.fake"):format(i)) end
  sys.asleep(4)
  self.resolver:free()
  lu.assertEquals(sys.asleep(), 4, "they sleep on")
  lu.assertEquals(self.resolver:fd(), -1)
  for _, l in ipairs(self.lookups) do l:free() end
end

function T:test_free_with_answers_nobody_asked_for()
  for i = 1, 8 do self:start(("10.0.0.%d.fake"):format(i)) end
  clock.wait(function() return self:readable() end)
  self.resolver:free()
end

function T:test_free_while_answers_come()
  for round = 1, 30 do
    local r = assert(net.resolver())
    local list = {}
    for i = 1, 5 do
      list[i] = net.lookup(i)
      assert(r:start(list[i], "10.0.0.1.fake", 1))
    end
    if round % 2 == 0 then r:next() end
    for i = 1, round % 6 do r:cancel(list[i]) end
    r:free()
    for i = 1, 5 do list[i]:free() end
  end
end

-- Lua unloads modules at its end; a thread that comes back then must find its
-- code still there.  The child's exit is held up by output nobody reads yet.
function T:test_a_thread_may_outlive_the_module()
  local file = self.directory .. "/thread-is-not-done"
  assert(io.open(file, "w")):close()
  local child = assert(io.popen(("LUA_CPATH_5_4=%s exec %s -e %s"):format(
    process.quote(package.cpath), arg[-1] or "lua5.4", process.quote(([[
      local net = require "wsock.probe".net
      local r, l = assert(net.resolver()), net.lookup(1)
      assert(r:start(l, "nap=%s.fake", 1))
      net.sys.asleep(1)
      io.stdout:setvbuf("full")
      io.write(("x"):rep(65536)):flush() -- a pipe holds that much
      io.write "end"
      os.exit(0, true)]]):format(file)))))
  clock.wait(function()
    local f = io.open(file)
    return not f or f:close() and false
  end, 10)
  local output = child:read "a"
  lu.assertEquals({ child:close() }, { true, "exit", 0 })
  lu.assertEquals(#output, 65536 + 3)
end

-- ---- failing -------------------------------------------------------------------

function T:test_no_memory()
  sys.fault("realloc", E.ENOMEM)
  lu.assertEquals({ net.resolver() }, { nil, "NOMEM" })
  sys.fault("realloc", E.ENOMEM)
  lu.assertEquals({ self:start "10.0.0.1.fake" }, { nil, "NOMEM" })
  lu.assertEquals((self:ask "10.0.0.2.fake"), "OK")
end

function T:test_no_descriptor()
  sys.fault("pipe", E.EMFILE)
  lu.assertEquals({ net.resolver() }, { nil, "SYSTEM", "EMFILE" })
end

function T:test_no_thread()
  sys.fault("pthread_create", E.EAGAIN)
  lu.assertEquals({ self:start "10.0.0.1.fake" }, { nil, "SYSTEM", "EAGAIN" })
  lu.assertEquals((self:ask "10.0.0.2.fake"), "OK")
end

function T:test_no_further_thread_is_no_harm()
  self:start "slow,10.0.0.1.fake"
  sys.asleep(1)
  sys.fault("pthread_create", E.EAGAIN)
  lu.assertNotNil(self:start "10.0.0.2.fake", "it waits for the one there is")
  lu.assertNil(self.resolver:next())
  sys.release(1)
  lu.assertEquals(self:next(), 1)
  lu.assertEquals(self:next(), 2)
end

function T:test_interrupted_calls_are_repeated()
  local l = self:start "slow,10.0.0.1.fake"
  sys.asleep(1)
  sys.fault("write", E.EINTR, 3)
  sys.release(1)
  lu.assertEquals(sys.wait(self.resolver:fd(), "r", 20), "r")
  sys.fault("read", E.EINTR, 3)
  lu.assertEquals(self.resolver:next(), 1)
  lu.assertFalse(self:readable())
  l:free()
end

-- Threads leave signals to the program.
function T:test_signals_go_to_the_program()
  local wake = assert(probe.loop.wake())
  for i = 1, 4 do self:start(("slow,10.0.0.%d.fake"):format(i)) end
  sys.asleep(4)
  lu.assertTrue(wake:watch(sys.SIGALRM))
  local l = assert(probe.loop.new(base.mem(), "poll"))
  sys.alarms(0.01)
  for _ = 1, 10 do
    -- a thread that took the signal would leave this waiting to the end
    lu.assertEquals({ l:turn(20000) }, { nil, "SYSTEM", "EINTR" })
    lu.assertNil(l:next())
  end
  sys.alarms(0)
  wake:unwatch(sys.SIGALRM)
  wake:free()
  l:free()
end

return T
