-- spec/loop/clock_spec.lua -- the clock only goes forward; the date is Lua's.

local lu = require "luaunit"
local loop = require "wsock.probe".loop
local wall = require "support.clock"

local T = {}

function T:test_never_goes_back()
  local last = 0
  for _ = 1, 10000 do
    local ms, us = loop.clock()
    lu.assertTrue(us >= last, "went back")
    lu.assertTrue(ms <= us // 1000, "ms is read first and rounded down")
    last = us
  end
end

function T:test_units()
  local before = wall.now()
  local _, us = loop.clock()
  local since = wall.now()
  wall.wait(function() return wall.now() - since >= 0.05 end)
  local least = wall.now() - since
  local _, later = loop.clock()
  local seconds, most = (later - us) / 1e6, wall.now() - before
  -- the wall's clock has hundredths
  lu.assertTrue(least - 0.03 < seconds and seconds < most + 0.03, seconds)
end

function T:test_date()
  local before = os.time()
  local _, _, date = loop.clock()
  -- os.time may be behind by a tick of the system's
  lu.assertTrue(before <= date and date <= os.time() + 1, date)
end

return T
