-- Deadlines, and patience with machines that stall.
local lu = require "luaunit"
local clock = require "support.clock"

local T = {}
T.alone = true -- it measures

local function stand_still(seconds)
  local over = clock.now() + seconds
  repeat until clock.now() > over
end

function T:test_within_looks_once_more_behind_a_stall()
  local done
  lu.assertTrue(clock.within(function() return done end, 0.01, function()
    stand_still(0.05)
    done = true
  end))
  lu.assertNil(clock.within(function() end, 0.01, function() end))
end

function T:test_patience_is_for_stalls_only()
  local tries = {}
  local function fails(times)
    tries[#tries + 1] = times
    stand_still(0.05)
    error("too slow", 0)
  end
  lu.assertErrorMsgEquals("too slow", clock.patiently, fails)
  lu.assertEquals(tries, { 1, 5, 25 })
  tries = {}
  clock.patiently(function(times)
    tries[#tries + 1] = times
    if times < 5 then fails(times) end
  end)
  lu.assertEquals(tries, { 1, 1, 5 })
end

function T:test_the_quickest_of_some()
  local n = 0
  local took = clock.quickest(0.04, function()
    n = n + 1
    if n < 3 then stand_still(0.1 * clock.slow) end
  end)
  lu.assertTrue(took < 0.04 and n >= 3, n)
  lu.assertTrue(clock.quickest(0.001, function() stand_still(0.02 * clock.slow) end) >= 0.01)
end

return T
