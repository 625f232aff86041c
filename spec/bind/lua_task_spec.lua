-- bind/lua_task: which coroutines are the loop's, and how they are run. What a
-- user does with them is in lua_spawn_spec.lua, how they wait in
-- lua_wait_spec.lua.

local lu = require "luaunit"
local wsock = require "wsock"
local rigs = require "support.rig"

local T = rigs.class()

function T:test_the_class()
  local task = self.loop:spawn(print)
  task:cancel()
  lu.assertEquals(getmetatable(task), false)
  lu.assertNil(task.nothing)
  lu.assertErrorMsgContains("wsock.task expected", task.join, self.loop)
  lu.assertErrorMsgContains("wsock.task expected", task.cancel, {})
end

-- Somebody else runs it, and it turns the loop, which finds it ready: twice, since the first time it is taken for
-- cancelled.
function T:test_one_that_turns_its_own_loop()
  local co, done
  local first = self.loop:spawn(self.loop.sleep, self.loop, 100)
  local second = self.loop:spawn(self.loop.sleep, self.loop, 100)
  local task = self.loop:spawn(function()
    co = coroutine.running()
    for _, other in ipairs { first, second } do
      other:join()
      self.loop:step(0)
    end
    done = true
  end)
  self.loop:step(0)
  for _, other in ipairs { first, second } do
    lu.assertTrue(other:cancel())
    lu.assertEquals({ coroutine.resume(co) }, { true })
    lu.assertEquals({ task:join(0) }, { nil, "the task was cancelled", "CANCELLED" })
  end
  lu.assertTrue(done)
  lu.assertFalse(task:cancel())
  self.loop:run()
end

-- Somebody else runs it, it cancels itself, and waits once more.
function T:test_one_that_is_cancelled_while_somebody_else_runs_it()
  local co, task, done
  local other = self.loop:spawn(self.loop.sleep, self.loop, 100)
  task = self.loop:spawn(function()
    co = coroutine.running()
    other:join()
    lu.assertTrue(task:cancel())
    self.loop:sleep(0)
    done = true
  end)
  self.loop:step(0)
  other:cancel() -- wakes it
  lu.assertEquals({ coroutine.resume(co) }, { true })
  lu.assertEquals(select(3, task:join()), "CANCELLED")
  self.loop:run()
  lu.assertTrue(done)
end

-- A coroutine that never waited serves the next handler too; one that waits is
-- its own, and the next handler gets another.
function T:test_handlers_share_a_coroutine_until_one_waits()
  local seen = {}
  local function note() seen[#seen + 1] = coroutine.running() end
  for _ = 1, 3 do self.loop:after(0, note) end
  self.loop:after(0, function() note() self.loop:sleep(0) end)
  for _ = 1, 2 do self.loop:after(0, note) end
  self.loop:run()
  lu.assertIs(seen[1], seen[4])
  lu.assertNotIs(seen[4], seen[5])
  lu.assertIs(seen[5], seen[6])
end

function T:test_a_handler_that_waits_keeps_run_going()
  local done
  self.loop:after(0, function() self.loop:sleep(0.005) done = true end)
  self.loop:run()
  lu.assertTrue(done)
end

function T:test_a_handler_that_cannot_wait_is_none_the_worse()
  local first
  self.loop:after(0, function()
    pcall(table.sort, { 1, 2 }, function() self.loop:sleep(0) end)
    first = coroutine.running()
  end)
  self.loop:after(0.001, function()
    lu.assertIs(coroutine.running(), first)
    self.loop:sleep(0)
    first = nil
  end)
  self.loop:run()
  lu.assertNil(first)
end

-- A message that comes while its reader waits is handed to it at once.
function T:test_what_is_handed_over_keeps_its_place()
  local near, _, far = self.rig:pair()
  near:off "message"
  local got = {}
  local task = self.loop:spawn(function()
    for data, kind in near:messages() do got[#got + 1] = data .. kind:sub(1, 1) end
  end)
  self.rig:turn()
  for i = 1, 100 do far:send(("m%d "):format(i), i % 2 == 0 and "binary" or "text") end
  far:close()
  task:join()
  lu.assertEquals(#got, 100)
  for i, text in ipairs(got) do lu.assertEquals(text, ("m%d "):format(i) .. (i % 2 == 0 and "b" or "t")) end
end

function T:test_a_task_of_a_loop_run_in_a_coroutine()
  local task = self.loop:spawn(function() self.loop:sleep(0) return "x" end)
  coroutine.wrap(function() self.loop:run() end)()
  lu.assertEquals({ task:join() }, { true, "x" })
end

function T:test_threads_of_the_idle_are_collected()
  local seen = setmetatable({}, { __mode = "k" })
  for _ = 1, 20 do
    self.loop:after(0, function() seen[coroutine.running()] = true self.loop:sleep(0) end)
  end
  self.loop:run()
  collectgarbage()
  collectgarbage()
  local n = 0
  for _ in pairs(seen) do n = n + 1 end
  lu.assertTrue(n <= 1, n)
end

-- Ten thousand that only wait.
function T:test_ten_thousand_sleepers()
  local n, woken = 10000, 0
  collectgarbage()
  local before = collectgarbage "count"
  for i = 1, n do
    self.loop:spawn(function() self.loop:sleep(i % 10 / 1000) woken = woken + 1 end)
  end
  self.loop:step()
  collectgarbage()
  local each = (collectgarbage "count" - before) * 1024 / n
  lu.assertTrue(each < 2500, each)
  self.loop:run()
  lu.assertEquals(woken, n)
end

function T:test_the_default_loops_tasks()
  lu.assertEquals({ wsock.spawn(function(...) return select("#", ...) end, nil, nil):join() }, { true, 2 })
end

return T
