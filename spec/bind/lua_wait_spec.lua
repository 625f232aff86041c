-- bind/lua_wait: where one can wait and where not, and for how long. What is
-- waited for is in lua_pull_spec.lua and lua_spawn_spec.lua.

local lu = require "luaunit"
local luasocket = require "socket"
local probe = require "wsock.probe".bind
local wsock = require "wsock"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

-- Runs fn in a coroutine of the loop, to its end; what it returned.
function T:inside(fn, ...)
  local task = self.rig.loop:spawn(fn, ...)
  return select(2, assert(task:join(rigs.LIMIT)))
end

-- A client whose peer says nothing unless told.
function T:silent()
  local socket, _, peer = self.rig:opened()
  socket:off("message")
  return socket, peer
end

-- The one error that was reported.
function T:reported()
  self.rig:wait(function() return #self.rig.errors > 0 end, "no error was reported")
  local message = self.rig.errors[1][1]
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
  return message
end

-- ---- the main thread ------------------------------------------------------------------

function T:test_the_main_thread_turns_the_loop()
  local seen = {}
  self.rig.loop:after(0.001, function() seen[1] = "timer" end)
  self.rig.loop:spawn(function() seen[2] = "coroutine" end)
  self.rig.loop:sleep(0.02)
  lu.assertEquals(seen, { "timer", "coroutine" })
end

function T:test_in_pcall_and_under_functions_of_c()
  local socket, peer = self:silent()
  peer:frame { "x" }
  lu.assertEquals({ pcall(socket.receive, socket, 5) }, { true, "x", "text" })
  peer:frame { "y" }
  table.sort({ 1, 2 }, function() if peer then peer = nil lu.assertEquals(socket:receive(5), "y") end end)
end

function T:test_the_default_loop()
  local now = wsock.now()
  wsock.sleep(0.01)
  lu.assertTrue(wsock.now() - now >= 0.01)
  lu.assertEquals({ wsock.spawn(function() wsock.sleep(0) return "x" end):join() }, { true, "x" })
end

-- What the main thread waits for ends by an error: nothing is left behind.
function T:test_an_error_thrown_through_a_wait()
  local socket = self:silent()
  local main = coroutine.running()
  self.rig.loop:after(0.005, function() -- as Ctrl-C does
    debug.sethook(main, function() debug.sethook() error "interrupted!" end, "c", 0)
  end)
  local ok, message = pcall(socket.receive, socket, 5)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "interrupted!")
  lu.assertEquals(select(3, socket:receive(0)), "TIMEOUT")
end

-- ---- coroutines of the loop ------------------------------------------------------------

function T:test_a_coroutine_of_the_loop_lets_others_run()
  local order = {}
  local function count(name, pause)
    for i = 1, 3 do
      order[#order + 1] = name .. i
      self.rig.loop:sleep(pause)
    end
  end
  local a, b = self.rig.loop:spawn(count, "a", 0), self.rig.loop:spawn(count, "b", 0)
  a:join()
  b:join()
  lu.assertEquals(table.concat(order, " "), "a1 b1 a2 b2 a3 b3")
end

function T:test_across_pcall_metamethods_and_iterators()
  local loop = self.rig.loop
  local function wait(...) loop:sleep(0) return ... end
  lu.assertEquals({ self:inside(function()
    local t = setmetatable({}, { __index = function(_, k) return wait(k .. "!") end,
      __add = function() return wait(5) end, __close = function() wait() end })
    local n = 0
    for i in function(_, last) return wait(last < 3 and last + 1 or nil) end, nil, 0 do n = n + i end
    do local closed <close> = t end -- luacheck: ignore
    local ok, message = pcall(function() wait() error "after" end)
    return t.x, t + 1, n, ok, message:match "after$", select(2, xpcall(wait, print, "in xpcall"))
  end) }, { "x!", 5, 6, false, "after", "in xpcall" })
end

function T:test_under_a_function_of_c_it_cannot()
  local loop = self.rig.loop
  local message = self:inside(function()
    local _, why = pcall(table.sort, { 1, 2 }, function() loop:sleep(0) end)
    loop:sleep(0) -- and goes on
    return why
  end)
  lu.assertStrContains(message, "cannot wait here")
end

function T:test_in_a_coroutine_of_its_own_it_cannot_while_the_loop_runs()
  local socket = self:silent()
  local message = self:inside(function()
    return coroutine.wrap(function() return select(2, pcall(socket.receive, socket, 1)) end)()
  end)
  lu.assertStrContains(message, "cannot wait here")
  lu.assertStrContains(message, "did not start this coroutine")
end

function T:test_a_coroutine_of_ones_own_outside_of_the_loop_turns_it()
  local socket, peer = self:silent()
  peer:frame { "x" }
  local co = coroutine.wrap(function()
    local data = socket:receive(5)
    coroutine.yield(data .. 1)
    self.rig.loop:sleep(0.001)
    return data .. 2
  end)
  lu.assertEquals({ co(), co() }, { "x1", "x2" })
end

function T:test_another_loops_coroutine_turns_this_one()
  local other <close> = wsock.loop()
  local socket, peer = self:silent()
  peer:frame { "x" }
  lu.assertEquals({ other:spawn(function() return socket:receive(5) end):join() }, { true, "x", "text" })
  -- and where both run, it cannot
  local message = self:inside(function()
    return select(2, other:spawn(function() return pcall(socket.receive, socket, 1) end):join())
  end)
  lu.assertFalse(message)
end

-- ---- handlers --------------------------------------------------------------------------

function T:test_handlers_wait_and_the_next_call_takes_another_coroutine()
  local socket, _, peer = self.rig:opened()
  local order = {}
  socket:on("message", function(data)
    order[#order + 1] = data .. "<"
    self.rig.loop:sleep(data == "slow" and 0.02 or 0)
    order[#order + 1] = ">" .. data
  end)
  peer:frame { "slow" }
  peer:frame { "fast" }
  self.rig:wait(function() return #order == 4 end)
  lu.assertEquals(table.concat(order, " "), "slow< fast< >fast >slow")
end

function T:test_timers_watchers_and_the_other_listeners_of_an_event_may_wait()
  local loop, seen = self.rig.loop, {}
  loop:after(0, function() loop:sleep(0) seen[#seen + 1] = "timer" end)
  local socket, _, peer = self.rig:opened()
  for i = 1, 3 do
    socket:addEventListener("message", function(event) loop:sleep(0.001 * i) seen[#seen + 1] = event.data .. i end)
  end
  peer:frame { "x" }
  self.rig:wait(function() return #seen == 4 end)
  lu.assertEquals(table.concat(seen, " "), "timer x1 x2 x3")
end

function T:test_a_handler_that_waited_and_raised_is_reported()
  local socket, _, peer = self.rig:opened()
  socket:on("message", function() self.rig.loop:sleep(0) error "late" end)
  peer:frame { "x" }
  self.rig:wait(function() return #self.rig.errors > 0 end)
  lu.assertIs(self.rig.errors[1][3], socket)
  lu.assertStrContains(self.rig.errors[1][2], "lua_wait_spec.lua")
  lu.assertStrContains(self:reported(), "late")
  lu.assertEquals(socket.readyState, 1) -- W-64
end

function T:test_a_servers_socket_whose_handler_waited_and_raised_is_closed_with_1011()
  local near, record = self.rig:pair(nil, { onmessage = function() self.rig.loop:sleep(0) error "late" end })
  near:send "x"
  self.rig:closed(record)
  lu.assertStrMatches(record:last(), "close:1011:.*:true")
  lu.assertStrContains(self:reported(), "late")
end

function T:test_a_refusal_is_sent_though_its_handler_raises()
  for _, wait in ipairs { function() end, function() self.rig.loop:sleep(0) end } do
    local _, _, port = self.rig:listen { onupgrade = function(request)
      request:reject(404)
      wait()
      error "late"
    end }
    lu.assertEquals(visitors.status(self.rig, port), 404)
    self.rig:wait(function() return #self.rig.errors > 0 end)
    lu.assertStrContains(self:reported(), "late")
  end
end

-- It is answered at once, as if it had not waited; the report is about its socket.
function T:test_a_request_whose_handler_waited_and_raised_gets_a_500()
  local function fail() self.rig.loop:sleep(0) error "late" end
  local _, _, port = self.rig:listen { onrequest = fail, onupgrade = fail }
  for _, request in ipairs { visitors.plain(), visitors.upgrade() } do
    lu.assertEquals(visitors.ask(self.rig, port, request).status, 500)
    lu.assertEquals(self.rig.errors[1][3].url, "/")
    lu.assertStrContains(self:reported(), "late")
  end
end

function T:test_whose_answer_is_needed_at_once_cannot_wait()
  for _, option in ipairs { "verify", "origins", "protocols" } do
    local function wait()
      pcall(self.rig.loop.sleep, self.rig.loop, 0)
      return true
    end
    local _, url = self.rig:listen { [option] = wait }
    local record = rigs.record(self.rig:client(url, { "a" }))
    self.rig:closed(record)
    lu.assertEquals(record.code, "HANDSHAKE", option)
    lu.assertStrContains(self:reported(), "cannot wait here")
    self.rig:idle()
  end
end

function T:test_a_handler_that_yields_by_itself_after_it_waited_is_reported()
  local socket, _, peer = self.rig:opened()
  socket:on("message", function() self.rig.loop:sleep(0) coroutine.yield "to whom?" end)
  peer:frame { "x" }
  lu.assertStrContains(self:reported(), "yield")
  local task = self.rig.loop:spawn(function() coroutine.yield() end)
  lu.assertEquals(select(3, task:join()), "ERROR")
  lu.assertStrContains(self:reported(), "yield")
end

-- ---- how long ---------------------------------------------------------------------------

function T:test_timeouts()
  local socket = self:silent()
  local loop = self.rig.loop
  for _, where in ipairs { function(f, ...) return f(...) end, function(f, ...) return self:inside(f, ...) end } do
    for _, seconds in ipairs { 0, 0.03 } do
      local now = loop:now()
      local data, message, code, more = where(socket.receive, socket, seconds)
      lu.assertEquals({ data, message, code, more }, { nil, "receive: timed out", "TIMEOUT" })
      lu.assertTrue(loop:now() - now >= seconds)
    end
    lu.assertEquals(select("#", where(loop.sleep, loop, 0.001)), 0)
  end
end

function T:test_times_that_are_none()
  local socket, loop = self:silent(), self.rig.loop
  for _, wrong in ipairs { -1, 0 / 0, "1", false, {} } do
    lu.assertErrorMsgContains("receive: timeout", socket.receive, socket, wrong)
    lu.assertErrorMsgContains("drain: timeout", socket.drain, socket, wrong)
    lu.assertErrorMsgContains("sleep: seconds", loop.sleep, loop, wrong)
    lu.assertErrorMsgContains("join: timeout", function() return loop:spawn(print):join(wrong) end)
  end
  lu.assertErrorMsgContains("sleep: seconds", loop.sleep, loop)
end

-- A wait that ends early leaves its timer to the next one.
function T:test_waits_that_follow_one_another_with_every_kind_of_limit()
  local socket, peer = self:silent()
  local limits = { 5, 50, 4, false, 30, 3, false, 2 }
  local got = {}
  local task = self.rig.loop:spawn(function()
    for _, limit in ipairs(limits) do got[#got + 1] = socket:receive(limit or nil) or "late" end
    return socket:receive(0.01)
  end)
  for i = 1, #limits do
    self.rig:turn()
    peer:frame { "m" .. i }
    self.rig:wait(function() return #got == i end)
  end
  lu.assertEquals(table.concat(got, " "), "m1 m2 m3 m4 m5 m6 m7 m8")
  lu.assertEquals(select(4, task:join()), "TIMEOUT")
end

function T:test_a_short_limit_under_a_long_one_is_kept()
  local socket = self:silent()
  lu.assertEquals(self:inside(function()
    local now = self.rig.loop:now()
    for _ = 1, 3 do socket:receive(0.01) end
    return self.rig.loop:now() - now < 2
  end), true)
end

-- ---- what others do to a coroutine that waits ----------------------------------------------

function T:test_a_foreign_resume_changes_nothing()
  local socket, peer = self:silent()
  local co
  local task = self.rig.loop:spawn(function()
    co = coroutine.running()
    return socket:receive(5)
  end)
  self.rig:wait(function() return co end)
  for i = 1, 3 do lu.assertEquals({ coroutine.resume(co, "not yours", i) }, { true }) end
  peer:frame { "x" }
  lu.assertEquals({ task:join(5) }, { true, "x", "text" })
end

function T:test_a_foreign_close_is_a_cancel()
  local socket, peer = self:silent()
  local co
  local task = self.rig.loop:spawn(function()
    co = coroutine.running()
    return socket:receive(5)
  end)
  self.rig:wait(function() return co end)
  lu.assertTrue(coroutine.close(co))
  peer:frame { "x" }
  lu.assertEquals(select(3, task:join(5)), "CANCELLED")
  lu.assertFalse(task:cancel())
end

function T:test_a_task_that_is_cancelled_while_somebody_closes_it()
  local task, co, second
  task = self.rig.loop:spawn(function()
    co = coroutine.running()
    local guard <close> = setmetatable({}, { __close = function() second = task:cancel() end }) -- luacheck: ignore
    self.rig.loop:sleep(60)
  end)
  self.rig:wait(function() return co end)
  lu.assertTrue(coroutine.close(co))
  lu.assertTrue(second)
  lu.assertEquals(select(3, task:join(5)), "CANCELLED")
end

-- It turns the loop, which takes it for cancelled, and waits once more: its socket is lent the queue as often as it
-- is taken back.
function T:test_a_handler_that_somebody_else_resumes()
  local loop, co, ended = self.rig.loop, nil, 0
  local socket, _, peer = self.rig:opened()
  for _, name in ipairs { "message", "ping" } do socket:off(name) end
  local other = loop:spawn(loop.sleep, loop, 100)
  socket:on("ping", function()
    co = co or coroutine.running()
    if ended == 0 then
      other:join()
      loop:step(0)
    end
    loop:sleep(0)
    ended = ended + 1
  end)
  peer:frame { op = "ping", "" }
  self.rig:wait(function() return co end)
  other:cancel()
  lu.assertEquals({ coroutine.resume(co) }, { true })
  self.rig:wait(function() return ended == 1 end)
  peer:send(bytes.frame { op = "ping", "" } .. bytes.frame { "for nobody" })
  self.rig:wait(function() return ended == 2 end)
  self.rig:idle()
  local got = {}
  socket:on("message", function(data) got[#got + 1] = data end)
  peer:frame { "for him" }
  self.rig:wait(function() return got[#got] == "for him" end)
  lu.assertEquals(got, { "for him" })
end

-- ---- loops that go ----------------------------------------------------------------------------

function T:test_a_wait_that_can_never_end_raises()
  local loop = self.rig.loop
  local one, two
  one = loop:spawn(function() loop:sleep(0) return two:join() end)
  two = loop:spawn(function() loop:sleep(0) return one:join() end)
  lu.assertErrorMsgContains("never happen", one.join, one)
  loop:run() -- nothing is left
  lu.assertTrue(one:cancel())
  lu.assertEquals({ two:join() }, { true, nil, "the task was cancelled", "CANCELLED" })
end

function T:test_a_loop_that_is_closed()
  local loop = wsock.loop()
  local task = loop:spawn(print)
  loop:close()
  lu.assertErrorMsgContains("loop is closed", loop.sleep, loop, 0)
  lu.assertErrorMsgContains("loop is closed", loop.spawn, loop, print)
  lu.assertEquals(select(3, task:join()), "CANCELLED")
end

-- Finalizers are called in the reverse order, so one that is older than a loop finds it gone.
function T:test_a_finalizer_that_resumes_a_coroutine_of_a_loop_that_is_gone()
  local url = self.rig:raw_server().url
  for i, wait in ipairs {
    function(loop) return loop:sleep(60) end,
    function(loop) return loop:spawn(function() loop:sleep(60) end):join() end,
    function(loop) return wsock.WebSocket(url, nil, { loop = loop }):receive() end,
  } do
    local result
    do
      local co
      local guard = setmetatable({}, { __gc = function() result = { coroutine.resume(co) } end })
      local loop = wsock.loop()
      loop:spawn(function()
        guard.co, co = true, coroutine.running()
        return wait(loop)
      end)
      loop:step()
    end
    collectgarbage()
    collectgarbage()
    if i == 3 then
      lu.assertEquals(result[4], "CLOSED")
    else
      lu.assertFalse(result[1])
      lu.assertStrContains(result[2], "loop is closed")
    end
  end
end

-- One that is younger finds it whole, but not what is younger still.
function T:test_a_finalizer_that_turns_a_loop_that_goes()
  local told, sink, source = {}, luasocket.udp(), luasocket.udp()
  sink:setsockname("127.0.0.1", 0)
  do
    local loop, joined = wsock.loop(), nil
    loop:watch(sink:getfd(), "r", function()
      told[1], told[2] = pcall(loop.sleep, loop, 0)
      sink:receive()
    end)
    local guard = setmetatable({}, { __gc = function() loop:step(10) end })
    local done = loop:spawn(function() return guard end)
    loop:step(0)
    loop:after(0, function() joined = done:join() end) -- the handlers' coroutine is known from here on
    while not joined do loop:step(10) end
  end
  source:sendto("x", sink:getsockname())
  collectgarbage()
  collectgarbage()
  lu.assertFalse(told[1])
  lu.assertStrContains(told[2], "loop is closed")
  sink:close()
  source:close()
end

-- A finalizer may run anywhere, also where the loop runs.
function T:test_a_finalizer_cannot_wait_while_the_loop_runs()
  local loop, message = self.rig.loop, nil
  self:inside(function()
    setmetatable({}, { __gc = function() message = select(2, pcall(loop.sleep, loop, 0)) end })
    collectgarbage()
    collectgarbage()
  end)
  lu.assertStrContains(message, "cannot wait here")
end

-- Without memory for its timer who would wait is told so, and nothing else happens to him.
function T:test_no_memory_to_wait()
  local script = [[
    local wsock = require "wsock"
    local loop = wsock.loop()
    loop.onerror = function() end
    local went, said = 0, "nothing"
    local function wait()
      local ok, message = pcall(loop.sleep, loop, 0.001)
      if ok then went = went + 1 elseif message:find "memory" then said = "no memory" end
    end
    HOW
    arm()
    pcall(function() for _ = 1, 60 do loop:step(0) end end)
    disarm()
    loop:run()
    loop:close()
    return said]]
  for _, how in ipairs {
    "for _ = 1, 40 do loop:spawn(wait) end",
    "for _ = 1, 40 do loop:spawn(function() loop:sleep(0) wait() end) end",
    "local timer timer = loop:every(0, function() wait() if went > 40 then timer:cancel() end end)",
  } do
    local text, told = script:gsub("HOW", function() return how end), 0
    local result, info = probe.state(text)
    lu.assertEquals({ result, info.bytes, info.wrong }, { "nothing", 0, 0 })
    for n = 1, info.calls do
      result, info = probe.state(text, n, 2)
      lu.assertEquals({ info.bytes, info.wrong }, { 0, 0 }, n)
      if result == "no memory" then told = told + 1 end
    end
    lu.assertTrue(told > 0, how)
  end
end

function T:test_a_loop_that_is_collected_with_all_that_waits_in_it()
  local seen = setmetatable({}, { __mode = "v" })
  do
    local loop = wsock.loop()
    local server = self.rig:raw_server()
    local socket = wsock.WebSocket(server.url, nil, { loop = loop })
    seen[1] = loop
    seen[2] = socket
    seen[3] = loop:spawn(function() return socket:receive() end)
    seen[4] = loop:spawn(function() return seen[3]:join() end)
    seen[5] = loop:spawn(function() loop:sleep(60) end)
    for _ = 1, 3 do loop:step(0) end
  end
  collectgarbage()
  collectgarbage()
  lu.assertEquals(#seen, 0)
end

return T
