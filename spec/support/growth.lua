-- spec/support/growth.lua -- is it linear?  Times a function at n and at 2n.

local lu = require "luaunit"

local M = {}

-- The least CPU time of some runs, each of them long enough to be measured.
local function took(fn, input, times)
  local start = os.clock()
  for _ = 1, times do fn(input) end
  return os.clock() - start
end

local function least(fn, input)
  local times = 1
  while times < 4096 and took(fn, input, times) < 0.002 do times = times * 2 end
  local best = math.huge
  for _ = 1, 4 do best = math.min(best, took(fn, input, times)) end
  return best / times
end

--- Fails unless fn(make(2n)) takes less than 3 times as long as fn(make(n)):
--- twice is linear, four times is quadratic.  A measurement disturbed by
--- something else is made again, eight times at most.
function M.linear(make, fn, n, what)
  local small, large = make(n), make(2 * n)
  local ratio
  for _ = 1, 8 do
    ratio = least(fn, large) / least(fn, small)
    if ratio < 3 then return end
  end
  lu.fail(("%s: twice the input takes %.1f times as long"):format(what or "not linear", ratio))
end

return M
