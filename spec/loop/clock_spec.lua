-- spec/loop/clock_spec.lua -- the clock only goes forward.

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
  local _, us = loop.clock()
  local since = wall.now()
  wall.wait(function() return wall.now() - since >= 0.05 end)
  local _, later = loop.clock()
  local seconds = wall.now() - since
  -- the wall's clock has hundredths
  lu.assertAlmostEquals((later - us) / 1e6, seconds, 0.03 + seconds / 10)
end

return T
