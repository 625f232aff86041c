-- spec/base/list_spec.lua -- the list whose links live in its members.

local lu = require "luaunit"
local base = require "wsock.probe".base

local T = {}

function T:setUp()
  self.l = base.list()
end

-- Members of a list, seen from both ends.
function T:holds(list, ...)
  local forwards, backwards = self.l:items(list)
  local want, back = {}, {}
  for i, member in ipairs { ... } do
    want[i] = member .. " "
    table.insert(back, 1, member .. " ")
  end
  lu.assertEquals(forwards, table.concat(want))
  lu.assertEquals(backwards, table.concat(back))
  lu.assertEquals(self.l:first(list), (...))
  lu.assertEquals(self.l:empty(list), select("#", ...) == 0)
end

function T:test_empty()
  self:holds(1)
  lu.assertTrue(self.l:alone(1))
end

function T:test_append_in_order()
  self.l:append(1, 3)
  self:holds(1, 3)
  self.l:append(1, 1)
  self.l:append(1, 8)
  self:holds(1, 3, 1, 8)
  lu.assertFalse(self.l:alone(3))
  self:holds(2)
end

function T:test_remove_first_middle_last()
  for _, member in ipairs { 1, 2, 3, 4, 5 } do self.l:append(1, member) end
  self.l:remove(3)
  self:holds(1, 1, 2, 4, 5)
  self.l:remove(1)
  self:holds(1, 2, 4, 5)
  self.l:remove(5)
  self:holds(1, 2, 4)
  lu.assertTrue(self.l:alone(3))
end

function T:test_remove_twice_and_back_again()
  self.l:append(1, 1)
  self.l:append(1, 2)
  self.l:remove(1)
  self.l:remove(1)
  self:holds(1, 2)
  self.l:append(2, 1)
  self:holds(2, 1)
  self.l:remove(2)
  self:holds(1)
end

function T:test_remove_of_what_was_never_in()
  self.l:remove(7)
  self.l:append(1, 7)
  self:holds(1, 7)
end

function T:test_take_all()
  self.l:take_all(1, 2) -- nothing into nothing
  self:holds(1)
  self:holds(2)
  self.l:append(1, 1)
  self.l:append(1, 2)
  self.l:take_all(1, 2)
  self:holds(1)
  self:holds(2, 1, 2)
  self.l:append(1, 3)
  self.l:take_all(1, 2) -- behind what is there
  self:holds(2, 1, 2, 3)
  self.l:take_all(1, 2) -- nothing behind something
  self:holds(2, 1, 2, 3)
  self.l:remove(2)
  self:holds(2, 1, 3)
end

return T
