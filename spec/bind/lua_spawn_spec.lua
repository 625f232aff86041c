-- bind/lua_spawn: spawn, join, cancel, and what becomes of coroutines when
-- their loop goes.

local lu = require "luaunit"
local wsock = require "wsock"
local clock = require "support.clock"
local rigs = require "support.rig"

local T = rigs.class()

-- The errors that were reported.
function T:reported()
  local list = {}
  for i, e in ipairs(self.rig.errors) do list[i] = e[1] end
  self.rig.errors = {}
  return list
end

-- Something to be closed that counts.
local function guard(list, name, fn)
  return setmetatable({}, { __close = function(_, e)
    list[#list + 1] = name
    if fn then fn(e) end
  end })
end

-- ---- spawn -----------------------------------------------------------------------

function T:test_it_starts_in_the_next_turn_with_its_arguments()
  local got
  local task = self.loop:spawn(function(...) got = table.pack(...) end, 1, nil, "x", nil)
  lu.assertNil(got)
  lu.assertEquals(tostring(task), "wsock.task (new)")
  self.rig:turn()
  lu.assertEquals(got, { n = 4, 1, nil, "x", nil })
  lu.assertEquals(tostring(task), "wsock.task (done)")
end

function T:test_many_arguments_and_results()
  local list = {}
  for i = 1, 200 do list[i] = i end
  local task = self.loop:spawn(function(...) return ... end, table.unpack(list))
  lu.assertEquals({ task:join() }, { true, table.unpack(list) })
  lu.assertEquals(select("#", self.loop:spawn(function() return nil, nil end):join()), 3)
  lu.assertEquals(select("#", self.loop:spawn(function() end):join()), 1)
end

function T:test_a_callable_object()
  local object = setmetatable({}, { __call = function(_, a) return a + 1 end })
  lu.assertEquals({ self.loop:spawn(object, 1):join() }, { true, 2 })
end

function T:test_what_is_no_function()
  for _, wrong in ipairs { 1, "x", {}, false } do
    lu.assertErrorMsgContains("spawn: function must be a function", self.loop.spawn, self.loop, wrong)
  end
  lu.assertErrorMsgContains("spawn: function must be a function, got no value", self.loop.spawn, self.loop)
end

function T:test_run_goes_on_until_it_ends()
  local order = {}
  self.loop:spawn(function()
    for i = 1, 3 do self.loop:sleep(0.001) order[i] = i end
  end)
  self.loop:run()
  lu.assertEquals(order, { 1, 2, 3 })
  lu.assertStrContains(tostring(self.loop), "0 at work")
end

function T:test_nobody_has_to_hold_it()
  local done
  self.loop:spawn(function()
    self.loop:sleep(0.001)
    collectgarbage()
    done = true
  end)
  collectgarbage()
  self.loop:run()
  lu.assertTrue(done)
end

function T:test_spawned_by_spawned()
  local sum = 0
  local function tree(depth)
    if depth == 0 then sum = sum + 1 return 1 end
    local a, b = self.loop:spawn(tree, depth - 1), self.loop:spawn(tree, depth - 1)
    return select(2, a:join()) + select(2, b:join())
  end
  lu.assertEquals({ self.loop:spawn(tree, 6):join() }, { true, 64 })
  lu.assertEquals(sum, 64)
end

function T:test_not_in_the_loop_after_its_end()
  local seen = setmetatable({}, { __mode = "k" })
  local task = self.loop:spawn(function() seen[coroutine.running()] = true return "kept" end)
  self.loop:run()
  collectgarbage()
  lu.assertNil(next(seen)) -- the coroutine is gone, the handle is not
  lu.assertEquals({ task:join() }, { true, "kept" })
end

-- ---- errors ------------------------------------------------------------------------

function T:test_an_error_is_reported_and_joined()
  local value = {}
  for _, raised in ipairs { "text", 42, value } do
    local task = self.loop:spawn(function() self.loop:sleep(0) error(raised, 0) end)
    local done, message, code = task:join()
    lu.assertNil(done)
    lu.assertIs(message, raised)
    lu.assertEquals(code, "ERROR")
    lu.assertStrContains(self.rig.errors[1][2], "lua_spawn_spec.lua") -- the traceback
    lu.assertIs(self:reported()[1], raised)
  end
end

function T:test_an_error_before_the_first_wait()
  local task = self.loop:spawn(error, "at once")
  lu.assertEquals({ task:join() }, { nil, "at once", "ERROR" })
  lu.assertEquals(self:reported(), { "at once" })
end

function T:test_the_variables_of_one_that_raised_are_closed()
  local closed = {}
  local task = self.loop:spawn(function()
    local a <close> = guard(closed, "a") -- luacheck: ignore
    local b <close> = guard(closed, "b") -- luacheck: ignore
    self.loop:sleep(0)
    error "x"
  end)
  task:join()
  lu.assertEquals(closed, { "b", "a" })
  self:reported()
end

-- Without garbage: what has a finalizer would be met with it at the stack's end, where Lua takes 10 ms to give it up.
function T:test_an_error_when_memory_is_short_of_stack()
  collectgarbage()
  local task = self.loop:spawn(function()
    local function forever() return 1 + forever() end
    return forever()
  end)
  lu.assertEquals(select(3, task:join()), "ERROR")
  lu.assertStrContains(self:reported()[1], "stack overflow")
end

-- ---- join --------------------------------------------------------------------------------

function T:test_join_after_the_end_again_and_by_many()
  local task = self.loop:spawn(function() self.loop:sleep(0.002) return "x" end)
  local others = {}
  for i = 1, 5 do others[i] = self.loop:spawn(function() return task:join() end) end
  for i = 1, 5 do lu.assertEquals({ others[i]:join() }, { true, true, "x" }) end
  lu.assertEquals({ task:join(0) }, { true, "x" })
end

function T:test_join_with_a_limit()
  local task = self.loop:spawn(self.loop.sleep, self.loop, 60)
  lu.assertEquals({ task:join(0.005) }, { nil, "join: timed out", "TIMEOUT" })
  lu.assertEquals({ self.loop:spawn(task.join, task, 0.005):join() }, { true, nil, "join: timed out", "TIMEOUT" })
  task:cancel()
end

function T:test_join_of_itself()
  local task, message
  task = self.loop:spawn(function() message = select(2, pcall(task.join, task)) end)
  task:join()
  lu.assertStrContains(message, "its own end")
end

-- ---- cancel ------------------------------------------------------------------------------

function T:test_cancel_closes_where_it_waits()
  local closed, went_on = {}, false
  local task = self.loop:spawn(function()
    local a <close> = guard(closed, "a") -- luacheck: ignore
    pcall(function()
      local b <close> = guard(closed, "b") -- luacheck: ignore
      self.loop:sleep(60)
    end)
    went_on = true
  end)
  self.rig:turn()
  lu.assertTrue(task:cancel())
  lu.assertEquals(closed, { "b", "a" })
  lu.assertFalse(task:cancel())
  lu.assertEquals(tostring(task), "wsock.task (cancelled)")
  self.loop:run()
  lu.assertFalse(went_on)
  lu.assertEquals({ task:join() }, { nil, "the task was cancelled", "CANCELLED" })
end

function T:test_cancel_before_it_started_and_after_it_ended()
  local ran
  local task = self.loop:spawn(function() ran = true end)
  lu.assertTrue(task:cancel())
  self.loop:run()
  lu.assertNil(ran)
  task = self.loop:spawn(print)
  task = self.loop:spawn(function() return task end)
  self.loop:run()
  lu.assertFalse(task:cancel())
end

function T:test_cancel_wakes_who_joins()
  local task = self.loop:spawn(self.loop.sleep, self.loop, 60)
  local other = self.loop:spawn(function() return task:join() end)
  self.rig:turn()
  self.loop:after(0, function() task:cancel() end)
  lu.assertEquals({ other:join() }, { true, nil, "the task was cancelled", "CANCELLED" })
end

function T:test_cancel_of_one_that_was_woken_in_this_turn()
  local a, b, ran
  b = self.loop:spawn(function() self.loop:sleep(0.002) ran = true end)
  a = self.loop:spawn(function() self.loop:sleep(0.002) b:cancel() end)
  a:join()
  -- a may come after b, but never in between
  lu.assertEquals(ran and "wsock.task (done)" or "wsock.task (cancelled)", tostring(b))
end

-- tasks whose variables cancel the next one, each within the one before: C's stack
-- has an end, and who reaches it is told
function T:test_cancel_within_cancel()
  local tasks, n = {}, clock.times(50000, 500)
  for i = 1, n do
    tasks[i] = self.loop:spawn(function()
      local _ <close> = guard({}, "", function() if i < n then tasks[i + 1]:cancel() end end)
      self.loop:sleep(1000)
    end)
  end
  self.rig:idle(2)
  lu.assertTrue(tasks[1]:cancel())
  lu.assertEquals(tostring(tasks[50]), "wsock.task (cancelled)")
  lu.assertEquals(tostring(tasks[n]), "wsock.task (waiting)")
  lu.assertStrContains(self:reported()[1], "C stack overflow")
  self.loop:close()
  lu.assertEquals(tostring(tasks[n]), "wsock.task (cancelled)")
  self.rig.errors = {}
end

function T:test_a_running_task_cannot_be_cancelled()
  local task, message
  task = self.loop:spawn(function() message = select(2, pcall(task.cancel, task)) return "went on" end)
  lu.assertEquals({ task:join() }, { true, "went on" })
  lu.assertStrContains(message, "the task is running")
end

function T:test_a_close_variable_cancels()
  local task
  do
    local scoped <close> = self.loop:spawn(self.loop.sleep, self.loop, 60)
    task = scoped
  end
  lu.assertEquals(select(3, task:join()), "CANCELLED")
  do local done <close> = self.loop:spawn(print) end -- luacheck: ignore
end

function T:test_an_error_while_closing_is_reported()
  local closed = {}
  local task = self.loop:spawn(function()
    local a <close> = guard(closed, "a", function() error("in close", 0) end) -- luacheck: ignore
    self.loop:sleep(60)
  end)
  self.rig:turn()
  lu.assertTrue(task:cancel())
  lu.assertEquals(self:reported(), { "in close" })
  lu.assertEquals(select(3, task:join()), "CANCELLED")
end

function T:test_what_is_closed_cannot_wait_while_the_loop_runs()
  local closed, messages = {}, {}
  local function wait() messages[#messages + 1] = select(2, pcall(self.loop.sleep, self.loop, 0)) end
  local task = self.loop:spawn(function()
    local a <close> = guard(closed, "a", wait) -- luacheck: ignore
    self.loop:sleep(60)
  end)
  self.loop:spawn(function() task:cancel() end)
  self.loop:run()
  lu.assertStrContains(messages[1], "cannot wait here")
end

function T:test_a_socket_in_a_close_variable_is_closed_by_cancel()
  local _, url = self.rig:listen { onclose = function(_, code) self.code = code end }
  local task = self.loop:spawn(function()
    local socket <close> = assert(wsock.connect(url, { loop = self.loop }))
    socket:receive()
  end)
  self.rig:turn()
  self.rig:idle(10)
  task:cancel()
  self.rig:wait(function() return self.code end)
  lu.assertEquals(self.code, 1005)
end

-- Cancelled at every moment of a life.
function T:test_cancel_at_any_time()
  local server, url = self.rig:listen { onmessage = function(socket, data) socket:send(data) end }
  for turns = 0, 12 do
    local closed = {}
    local task = self.loop:spawn(function()
      local a <close> = guard(closed, "a") -- luacheck: ignore
      local socket <close> = assert(wsock.connect(url, { loop = self.loop }))
      socket:send "x"
      socket:receive(5)
      self.loop:sleep(0)
      local other <close> = self.loop:spawn(socket.receive, socket)
      other:join(0.001)
      socket:drain()
    end)
    for _ = 1, turns do self.loop:step(0.001) end
    local cancelled = task:cancel()
    lu.assertEquals(#closed, (not cancelled or turns > 0) and 1 or 0)
  end
  server:close()
  self.loop:run()
  lu.assertStrContains(tostring(self.loop), "0 at work")
end

-- ---- the end of a loop -------------------------------------------------------------------

function T:test_closing_a_loop_cancels_all()
  local loop, closed = wsock.loop(), {}
  local tasks = {}
  for i = 1, 20 do
    tasks[i] = loop:spawn(function()
      local a <close> = guard(closed, i, function() -- luacheck: ignore
        tasks[#tasks + 1] = loop:spawn(print)
        lu.assertErrorMsgContains("cannot wait here", loop.sleep, loop, 0)
        lu.assertErrorMsgContains("while it runs", loop.close, loop)
      end)
      loop:sleep(60)
    end)
  end
  loop:step()
  loop:close()
  lu.assertEquals(#closed, 20)
  for _, task in ipairs(tasks) do lu.assertEquals(select(3, task:join()), "CANCELLED") end
  lu.assertEquals(#tasks, 40)
end

function T:test_handlers_that_wait_are_cancelled_too()
  local loop, closed = wsock.loop(), {}
  loop:after(0, function()
    local a <close> = guard(closed, "timer") -- luacheck: ignore
    loop:sleep(60)
  end)
  loop:step(0.01)
  loop:step(0.01)
  loop:close()
  lu.assertEquals(closed, { "timer" })
end

-- ---- many ----------------------------------------------------------------------------------

function T:test_memory_is_flat()
  local function some(n)
    for i = 1, n do
      local task = self.loop:spawn(function(a) self.loop:sleep(0) return a end, i)
      self.loop:spawn(function() task:join() end)
      if i % 3 == 0 then task:cancel() end
      if i % 50 == 0 then self.loop:run() end
    end
    self.loop:run()
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  some(1000)
  local before, grew = some(1000), math.huge
  for _ = 1, 3 do grew = math.min(grew, some(1000) - before) end
  lu.assertTrue(grew < 16, grew)
end

return T
