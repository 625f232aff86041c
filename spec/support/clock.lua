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

-- Under a sanitizer or valgrind everything takes longer.
local slow = tonumber(os.getenv "SPEC_SLOW") or 1

--- Waits until condition() is true and returns what it returned; raises after
--- `seconds` (default 5; times SPEC_SLOW).  Between two looks it calls pump(), which turns a
--- loop or waits for something; without pump it waits a hundredth.
function M.wait(condition, seconds, pump)
  local limit = M.now() + (seconds or 5) * slow
  while true do
    local value = condition()
    if value then return value end
    if M.now() > limit then
      error(("waited %g s in vain"):format(seconds or 5), 2)
    end
    if pump then pump() else os.execute(pause_command) end
  end
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
