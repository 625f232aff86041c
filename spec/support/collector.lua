-- spec/support/collector.lua -- finalizers, wherever the collector may run.
--
-- A finalizer is the user's code, and Lua runs it in the middle of any function
-- that allocates, ours among them. Here it does so at each place in turn.

local M = {}

-- An object nobody has, whose finalizer counts down and makes the next one.
local function plant(state)
  setmetatable({}, {
    __gc = function()
      state.left = state.left - 1
      if state.left == 0 then state.act() end
      if state.left > 0 then plant(state) end
    end,
  })
end

-- With a pause of 0 and steps without end each place is a whole collection.
local function eager(f, ...)
  collectgarbage()
  local pause = collectgarbage("setpause", 0)
  collectgarbage("incremental", 0, 0, 40)
  collectgarbage "restart" -- from now on, not when the old pause is over
  local ok, message = pcall(f, ...)
  collectgarbage("incremental", 0, 0, 13)
  collectgarbage("setpause", pause)
  if not ok then error(message, 0) end
end

--- For n = 1, 2, ...: run(make()) with act(it) called at the n-th place where
--- the collector runs meanwhile, until there are fewer places; how many.
function M.everywhere(make, run, act, most)
  for n = 1, most or 400 do
    local scene = make()
    local state = { left = n, act = function() act(scene) end }
    eager(function()
      plant(state)
      run(scene)
    end)
    if state.left > 0 then return n - 1 end
  end
  error "there is no end of places"
end

return M
