-- bind/lua_turn: one turn of a loop after the other, and who is served in it.
-- What run and step are to a user is in lua_loop_spec.lua.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local net, probe = require "wsock.probe".net, require "wsock.probe".bind

local sys, E = net.sys, net.E
sys.reach() -- faults of these specs are the module's

local waits_by = { epoll = "epoll_wait", poll = "poll" }

local T = rigs.class()

function T:test_every_kind_of_source_in_one_loop()
  local seen = {}
  local function note(name) return function() seen[name] = true end end
  local near, _, far = self.rig:pair()
  near:on("message", note "session")
  local watcher = assert(self.loop:watch(self.rig:raw_server().sock:getfd(), "r", print))
  self.loop:after(0, note "timer")
  self.loop:spawn(note "task")
  far:send "x"
  self.rig:wait(function() return seen.session and seen.timer and seen.task end)
  watcher:cancel()
end

function T:test_descriptors_and_signals()
  local seen = {}
  local tcp = self.rig:raw_server()
  local watcher = assert(self.loop:watch(tcp.sock:getfd(), "r", function(what) seen[#seen + 1] = what end))
  local handle = assert(self.loop:signal("USR2", function() seen[#seen + 1] = "USR2" end))
  self.rig:raw_client(tcp.port, true)
  self.rig:wait(function() return seen[1] end)
  watcher:cancel()
  lu.assertEquals(seen[1], "r")
  os.execute "kill -USR2 $PPID"
  self.rig:wait(function() return seen[#seen] == "USR2" end)
  handle:cancel()
end

-- A server that is out of descriptors rests, and is served when it has slept enough.
function T:test_a_server_that_rests()
  local _, url = self.rig:listen()
  sys.fault("accept4", E.EMFILE, 2) -- nor with the one it has spare
  local record = rigs.record(self.rig:client(url))
  self.rig:events(record, 1)
  lu.assertEquals(tostring(record), "open")
  lu.assertTrue(sys.fault("accept4", 0, 0) > 2)
end

-- ---- what the system says of a wait --------------------------------------------------------

-- A call that a signal interrupted is no failure.
function T:test_an_interrupted_wait()
  local ran
  self.loop:after(0.01, function() ran = true end)
  sys.fault(waits_by[self.loop.backend], E.EINTR, 1)
  self.rig:wait(function() return ran end)
  lu.assertTrue(sys.fault(waits_by[self.loop.backend], 0, 0) > 1)
end

function T:test_a_wait_that_fails()
  local timer = self.loop:after(60, print)
  sys.fault(waits_by[self.loop.backend], E.EBADF, 1)
  lu.assertErrorMsgContains(self.loop.backend .. ": Bad file descriptor", self.loop.step, self.loop)
  lu.assertTrue(self.loop:step(0)) -- and it goes on
  timer:cancel()
end

-- A hook that a signal handler has set runs before the loop waits again.
function T:test_a_hook_runs_in_a_turn()
  local main, ran = coroutine.running(), nil
  self.loop:after(0, function()
    debug.sethook(main, function()
      debug.sethook(main)
      ran = true
    end, "c")
  end)
  local timer = self.loop:after(60, print)
  self.loop:step()
  self.loop:step(0)
  lu.assertTrue(ran)
  timer:cancel()
end

function T:test_a_turn_waits_for_no_longer_than_it_is_told()
  local now = self.loop:now()
  lu.assertFalse(self.loop:step(0.01))
  lu.assertTrue(self.loop:now() - now >= 0.009)
  self.loop:after(0.005, print)
  now = self.loop:now()
  self.loop:step(5)
  lu.assertTrue(self.loop:now() - now < 4)
end

function T:test_a_turn_that_raised_is_gone_on_with()
  local main = coroutine.running()
  local socket, _, peer = self.rig:opened()
  local got = {}
  socket:on("message", function(data) got[#got + 1] = data end)
  self.loop:after(0, function()
    debug.sethook(main, function() debug.sethook() error("interrupted!", 0) end, "c", 0)
  end)
  peer:send(bytes.frame { "a" } .. bytes.frame { "b" })
  lu.assertEquals({ pcall(self.loop.run, self.loop) }, { false, "interrupted!" })
  self.rig:wait(function() return #got == 2 end)
  lu.assertEquals(got, { "a", "b" })
end

-- ---- a message's function, which the turn itself calls -----------------------------------------

-- `n` clients whose numbered messages, `each` of them, reach a server's onmessage in one burst.
function T:burst(n, each, onmessage)
  local _, url = self.rig:listen { onmessage = onmessage }
  local clients = {}
  for i = 1, n do clients[i] = self.rig:client(url) end
  self.rig:wait(function()
    for i = 1, n do
      if clients[i].readyState ~= 1 then return false end
    end
    return true
  end)
  for i = 1, n do
    for m = 1, each do clients[i]:send(("%d.%d"):format(i, m)) end
  end
  return clients
end

local function noting(list)
  return function(socket, data)
    list[socket] = list[socket] or {}
    table.insert(list[socket], data)
  end
end

-- Each socket's own, in the order they came.
local function told(list)
  local all = {}
  for _, own in pairs(list) do all[#all + 1] = table.concat(own, " ") end
  table.sort(all)
  return all
end

local function count(list)
  local n = 0
  for _, own in pairs(list) do n = n + #own end
  return n
end

function T:test_one_that_raises_ends_its_own_socket_only()
  local list, errors = {}, {}
  local note = noting(list)
  self.loop.onerror = function(message) errors[#errors + 1] = message end
  local clients = self:burst(3, 3, function(socket, data)
    note(socket, data)
    if data == "2.2" then error "at 2.2" end
  end)
  local closed
  clients[2]:on("close", function(code) closed = code end)
  self.rig:wait(function() return closed and count(list) == 8 end)
  lu.assertEquals(told(list), { "1.1 1.2 1.3", "2.1 2.2", "3.1 3.2 3.3" })
  lu.assertEquals({ closed, #errors }, { 1011, 1 })
  lu.assertStrContains(errors[1], "at 2.2")
end

function T:test_one_that_catches_an_error()
  local list = {}
  local note = noting(list)
  local clients, caught = self:burst(2, 5, function(socket, data)
    lu.assertFalse(pcall(error, "caught"))
    note(socket, data)
    socket:send(data)
  end), {}
  for i = 1, 2 do clients[i]:on("message", function(data) noting(caught)(clients[i], data) end) end
  self.rig:wait(function() return count(caught) == 10 end)
  lu.assertEquals(told(list), { "1.1 1.2 1.3 1.4 1.5", "2.1 2.2 2.3 2.4 2.5" })
  lu.assertEquals(told(caught), told(list))
end

-- The others of a burst do not wait for one that does; each waits, or raises, for itself.
function T:test_one_that_waits()
  local list, ended, errors = {}, {}, {}
  local note, done = noting(list), noting(ended)
  self.loop.onerror = function(message) errors[#errors + 1] = message end
  self:burst(2, 3, function(socket, data)
    note(socket, data)
    pcall(error, "and catches one before")
    self.loop:sleep(0.01)
    if data == "2.3" then error "in the end" end
    done(socket, data)
  end)
  self.rig:wait(function() return #errors == 1 and count(ended) == 5 end)
  lu.assertEquals(told(list), { "1.1 1.2 1.3", "2.1 2.2 2.3" })
  lu.assertEquals(told(ended), { "1.1 1.2 1.3", "2.1 2.2" })
end

function T:test_one_that_yields_to_nobody()
  local errors = {}
  self.loop.onerror = function(message) errors[#errors + 1] = message end
  local clients, closed = self:burst(1, 2, function() coroutine.yield() end)
  clients[1]:on("close", function(code) closed = code end)
  self.rig:wait(function() return closed end)
  lu.assertEquals({ closed, #errors }, { 1011, 1 })
  lu.assertStrContains(errors[1], "yielded to the loop")
end

-- What was left of its turn belongs to the step that began it.
function T:test_a_step_ends_its_turn()
  local list = {}
  local note = noting(list)
  self:burst(2, 4, function(socket, data)
    note(socket, data)
    self.loop:sleep(60)
  end)
  repeat self.loop:step(5) until count(list) > 0
  for _, own in pairs(list) do lu.assertEquals(#own, 4) end
end

-- Who raises where there is no memory to report it takes nothing with him: the next handler is called.
function T:test_a_handler_after_one_that_nobody_could_report()
  local text = [[
    local wsock = require "wsock"
    local loop, called = wsock.loop(), false
    loop.onerror = function(message) return message .. "!" end
    loop:after(0, function() error("x" .. #tostring(loop)) end)
    arm()
    pcall(loop.step, loop)
    disarm()
    loop:after(0, function() called = true end)
    loop:run()
    loop:close()
    return called and "called" or "lost"]]
  local result, info = probe.state(text)
  lu.assertEquals(result, "called")
  for times = 1, 4 do
    for n = 1, info.calls do
      local after, counts = probe.state(text, n, times)
      lu.assertEquals({ n, after, counts.bytes, counts.wrong }, { n, "called", 0, 0 })
    end
  end
end

-- Plays a conversation of a server that listens by `options` and a client that does `act`. The n-th allocation that
-- counts fails, and the one behind it, so that Lua's second try after a collection does too. What is left of it.
local function starved(options, act, n)
  local result, counts = probe.state(([[
    local wsock = require "wsock"
    local loop = wsock.loop()
    local told, got, ended, raised = 0, 0, "open", 0
    local server = assert(wsock.listen { loop = loop, port = 0, pingInterval = 0, %s })
    local url = "ws://127.0.0.1:" .. select(2, server:address()) .. "/"
    local client = assert(wsock.connect(url, { loop = loop, pingInterval = 0, perMessageDeflate = false }))
    client:on("message", function() disarm() got = got + 1 end)
    client:on("close", function(code) ended = code end)
    local guard, steps = loop:after(5, disarm), 0
    %s
    while (client.readyState < 3 or server.clientCount > 0) and steps < 500 do
      steps = steps + 1
      if not pcall(loop.step, loop, 0.01) then raised = raised + 1 disarm() end
    end
    disarm()
    guard:cancel()
    server:close(1001, "", 0)
    for _ = 1, 500 do
      if not loop:step(0.01) then break end
    end
    return ("%%d told, %%d got, %%s, %%d raised, %%s"):format(told, got, ended, raised, tostring(server))]])
    :format(options, act), n, 2)
  lu.assertEquals({ counts.bytes, counts.wrong }, { 0, 0 })
  return result
end

-- What was queued before there was no memory for the next message leaves, and who sent that one is told.
function T:test_a_message_there_was_no_memory_for()
  local options = [[onmessage = function(socket) told = told + 1 socket:send "r" if told == 1 then arm() end end]]
  local act = [[client:send "a" client:send(("b"):rep(5000), "binary")]]
  lu.assertEquals(starved(options, act, 1), "1 told, 1 got, 1011, 1 raised, wsock.server (closed, 0 clients)")
end

-- An end there was no memory to tell is told when there is some, and the server does not count that socket for ever.
function T:test_an_end_there_was_no_memory_to_tell()
  local options = "onmessage = function() arm() end, onclose = function() told = told + 1 end"
  local act = [[client:send "a" client:close(1000, ("r"):rep(100))]]
  local raised = 0
  for n = 1, 6 do
    local result = starved(options, act, n)
    lu.assertStrMatches(result, "1 told, .*%(closed, 0 clients%)")
    if result:find "1 raised" then raised = raised + 1 end
  end
  lu.assertTrue(raised > 0)
end

-- A function that was told a message raised, and there was no memory to go on: the next run does, or says why it
-- cannot. Here it is so deep in C that nothing can be resumed.
function T:test_a_run_that_cannot_take_over_what_one_left()
  local text = [[
    local wsock = require "wsock"
    local loop, reported, said, raised = wsock.loop(), 0, {}, false
    loop.onerror = function() reported = reported + 1 end
    local server = assert(wsock.listen { loop = loop, port = 0, onmessage = function()
      raised = true
      arm()
      error(loop)
    end })
    local socket = assert(wsock.connect("ws://127.0.0.1:" .. select(2, server:address()) .. "/", { loop = loop }))
    socket:send "x"
    local ok
    repeat ok = pcall(loop.step, loop, 5) until raised
    disarm()
    local function deep(n)
      if n > 0 then pcall(string.gsub, "a", "a", function() deep(n - 1) end) end
      local done, message = pcall(loop.step, loop, 0)
      if not done and message:find "stack overflow" then said.overflow = true end
    end
    if not ok then deep(250) end
    loop:step(0)
    loop:close()
    return ("%s %s %d"):format(ok, said.overflow or false, reported)]]
  lu.assertEquals(probe.state(text), "true false 1")
  local result, counts = probe.state(text, 1, 2)
  lu.assertEquals({ result, counts.bytes, counts.wrong }, { "false true 1", 0, 0 })
end

function T:test_no_turn_within_a_turn()
  local messages = {}
  self.loop:after(0, function()
    messages[1] = select(2, pcall(self.loop.run, self.loop))
    messages[2] = select(2, pcall(self.loop.step, self.loop))
  end)
  self.loop:run()
  for i = 1, 2 do lu.assertStrContains(messages[i], "running already") end
  lu.assertErrorMsgContains("loop is closed", function()
    local loop = wsock.loop()
    loop:close()
    loop:step()
  end)
end

function T:test_what_a_turn_begins_waits_for_the_next()
  local turns = 0
  local function again() turns = turns + 1 self.loop:after(0, again) end
  again()
  self.loop:step()
  lu.assertTrue(turns <= 3, turns)
  local n = 0
  local function spawn() n = n + 1 self.loop:spawn(spawn) end
  spawn()
  self.loop:step()
  lu.assertEquals(n, 2)
end

return T
