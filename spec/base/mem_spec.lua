-- spec/base/mem_spec.lua -- memory: what is counted, and failure.

local lu = require "luaunit"
local base = require "wsock.probe".base

local T = {}

function T:test_counts_bytes_and_calls()
  local mem = base.mem()
  local a, b = mem:get(100), mem:get(28)
  lu.assertEquals(mem:state(), { used = 128, calls = 2, failed = 0, live = 2, wrong = 0 })
  mem:put(a, 100)
  lu.assertEquals(mem:state().used, 28)
  mem:put(b, 28)
  lu.assertEquals(mem:state(), { used = 0, calls = 2, failed = 0, live = 0, wrong = 0 })
end

function T:test_resize_keeps_bytes_and_counts_both_ways()
  local mem = base.mem()
  local p = mem:get(4)
  mem:write(p, "abcd")
  p = mem:resize(p, 4, 1000)
  lu.assertEquals(mem:read(p, 4), "abcd")
  lu.assertEquals(mem:state().used, 1000)
  p = mem:resize(p, 1000, 2)
  lu.assertEquals(mem:read(p, 2), "ab")
  lu.assertEquals(mem:state(), { used = 2, calls = 3, failed = 0, live = 1, wrong = 0 })
  mem:put(p, 2)
  lu.assertEquals(mem:state().used, 0)
end

function T:test_resize_of_nothing_is_new()
  local mem = base.mem()
  local p = mem:resize(nil, 0, 7)
  lu.assertEquals(mem:state(), { used = 7, calls = 1, failed = 0, live = 1, wrong = 0 })
  mem:put(p, 7)
end

function T:test_failure_changes_nothing()
  local mem = base.mem()
  local p = mem:get(3)
  mem:write(p, "xyz")
  mem:fail(1, 2)
  lu.assertNil(mem:get(10))
  lu.assertNil(mem:resize(p, 3, 10))
  lu.assertEquals(mem:read(p, 3), "xyz")
  lu.assertEquals(mem:state(), { used = 3, calls = 3, failed = 2, live = 1, wrong = 0 })
  mem:put(p, 3)
  lu.assertEquals(mem:state().used, 0)
end

function T:test_fails_the_nth_call()
  for n = 1, 5 do
    local mem = base.mem()
    mem:fail(n)
    for i = 1, 5 do
      local p = mem:get(8)
      lu.assertEquals(p == nil, i == n, ("call %d of which %d fails"):format(i, n))
      mem:put(p, 8)
    end
    lu.assertEquals(mem:state().used, 0)
  end
end

function T:test_put_of_nothing()
  local mem = base.mem()
  mem:put(nil, 0)
  lu.assertEquals(mem:state(), { used = 0, calls = 0, failed = 0, live = 0, wrong = 0 })
end

function T:test_the_c_library_is_the_default()
  local mem = base.mem(true)
  local p = mem:get(16)
  mem:write(p, "0123456789abcdef")
  p = mem:resize(p, 16, 100000)
  lu.assertEquals(mem:read(p, 16), "0123456789abcdef")
  lu.assertEquals(mem:state().used, 100000)
  mem:put(p, 100000)
  lu.assertEquals(mem:state().used, 0)
end

function T:test_the_probe_sees_a_wrong_size()
  local mem = base.mem()
  local p = mem:get(16)
  mem:put(p, 15)
  lu.assertEquals(mem:state().wrong, 1)
end

return T
