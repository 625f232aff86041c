-- spec/support/counted.lua -- a class whose tests have an allocator that counts
-- (probe/probe_base.c), self.mem: at the end everything has to be back.

local lu = require "luaunit"
local base = require "wsock.probe".base

local M = {}

--- Fails unless everything is back that came from mem.
function M.clean(mem, what)
  local state = mem:state()
  lu.assertEquals({ state.used, state.live, state.wrong }, { 0, 0, 0 }, what)
end

--- A spec's class. What a test adds to self.made is freed at its end, before
--- close(self), which undoes what also(self) adds to setUp.
function M.class(also, close)
  local T = {}

  function T:setUp()
    self.mem, self.made = base.mem(), {}
    if also then also(self) end
  end

  function T:tearDown()
    for _, object in ipairs(self.made) do
      object:free()
      object:free() -- twice is fine
    end
    if close then close(self) end
    M.clean(self.mem)
  end

  --- Notes something to be freed at the end; gives it back.
  function T:keep(object)
    self.made[#self.made + 1] = object
    return object
  end

  --- Calls fn() while the n-th allocation fails, for n = 1, 2 … until it works;
  --- every time before it says NOMEM and leaves nothing. That last n.
  function T:exhaust(fn)
    for n = 1, 1000 do
      self.mem:fail(n)
      local ok, code = fn()
      self.mem:fail(0)
      lu.assertEquals(self.mem:state().used, 0)
      if ok then return n end
      lu.assertEquals(code, "NOMEM")
    end
    lu.fail "it never works"
  end

  return T
end

return M
