-- spec/support/clock.lua -- time for specs: the wall's, and one that is fed.

local M = {}

--- Seconds from a clock that only goes forward (hundredths are enough here).
function M.now()
  local f = assert(io.open "/proc/uptime")
  local t = f:read "n"
  f:close()
  return t
end

local pause_command = "sleep 0.01"

--- Under a sanitizer (5) or valgrind (20) everything takes longer: all times here
--- are multiplied.
M.slow = tonumber(os.getenv "SPEC_SLOW") or 1

--- How often to do what is costly there: n times, or only `few`.
function M.times(n, few)
  return M.slow > 4 and few or n
end

-- The longest time between two looks, and when the last one was.
local longest, looked = 0, 0

local function look(condition)
  local now = M.now()
  longest, looked = math.max(longest, now - looked), now
  return condition()
end

--- Waits until condition() is true and returns what it returned; nil after
--- `seconds`.  Between two looks it calls pump(), which turns a loop or waits for
--- something; without pump it waits a hundredth.
function M.within(condition, seconds, pump)
  local limit = M.now() + seconds * M.slow
  while true do
    local late = M.now() > limit -- before the look: a stall behind it costs nothing
    local value = look(condition)
    if value then return value end
    if late then return nil end
    if pump then pump() else os.execute(pause_command) end
  end
end

--- The same, but raises.  No deadline is shorter than LIMIT: it is for what never
--- comes, not for machines that stall.
M.LIMIT = 20
function M.wait(condition, seconds, pump)
  seconds = math.max(seconds or 0, M.LIMIT)
  local value = M.within(condition, seconds, pump)
  if not value then error(("waited %g s in vain"):format(seconds), 2) end
  return value
end

--- For what has to come before a short time is over: calls fn(1).  If that raises
--- and the machine stalled meanwhile, it may have been too slow: then fn(5), by
--- which fn multiplies its times, and at last fn(25).
function M.patiently(fn)
  for _, times in ipairs { 1, 5, 25 } do
    longest, looked = 0, M.now()
    local ok, message = pcall(fn, times)
    if ok then return end
    look(function() end)
    if times == 25 or longest < 0.02 then error(message, 0) end
  end
end

--- Seconds the quickest of up to ten calls of fn took; ends at one that takes
--- less than `limit`.  What is quick is so at least once, on a machine that
--- stalls too; what has to wait never is.
function M.quickest(limit, fn)
  local best = math.huge
  limit = limit * M.slow
  for _ = 1, 10 do
    local start = M.now()
    fn()
    best = math.min(best, M.now() - start)
    if best < limit then break end
  end
  return best / M.slow
end

--- A clock that stands until it is moved: clock.now, clock:advance(seconds).
function M.fake(start)
  local clock = { now = start or 0 }
  function clock:advance(seconds)
    self.now = self.now + seconds
    return self.now
  end
  return clock
end

return M
