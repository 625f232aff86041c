-- lua/wsock/events: listeners of objects that are written in Lua.

local lu = require "luaunit"
local events = require "wsock.events"
local rigs = require "support.rig"

local T = rigs.class(function(self)
  self.target = {}
  self.events = events.new(self.target, { open = {}, close = { "code", "reason" } }, self.loop)
  self.log = {}
end)
local contains = lu.assertErrorMsgContains

function T:note(name)
  return function(...)
    local list = table.pack(...)
    for i = 1, list.n do list[i] = tostring(list[i]) end
    self.log[#self.log + 1] = name .. "(" .. table.concat(list, ",") .. ")"
  end
end

function T:fired(...)
  self.log = {}
  self.events:fire(...)
  return table.concat(self.log, " ")
end

function T:test_plain_arguments_in_order()
  local e, a, b = self.events, self:note "a", self:note "b"
  e:on("close", a)
  e:on("close", b)
  e:on("close", a)
  e:on("open", b, true)
  lu.assertEquals(self:fired("close", 1, nil), "a(1,nil) b(1,nil) a(1,nil)")
  lu.assertEquals({ self:fired "open", self:fired "open" }, { "b()", "" })
  e:off("close", a) -- the one that was added last, as of sockets
  lu.assertEquals(self:fired("close", 2), "a(2) b(2)")
  e:off("close", a)
  e:off("close", a)
  lu.assertEquals(self:fired("close", 2), "b(2)")
  e:on("close", a)
  lu.assertTrue(e:listens "close")
  e:off "close"
  lu.assertEquals(self:fired("close", 3), "")
  lu.assertFalse(e:listens "close")
end

function T:test_events()
  local e, got = self.events, {}
  local function keep(event) got[#got + 1] = event end
  local object = { handleEvent = function(_, event) got[#got + 1] = event end }
  e:add("close", keep)
  e:add("close", keep) -- once each
  e:add("close", object)
  e:add("close", nil)
  e:add("nothing", keep)
  e:set("close", keep)
  e:fire("close", 1000, "bye")
  lu.assertEquals(#got, 3)
  lu.assertIs(got[1], got[2])
  lu.assertEquals({ got[1].type, got[1].code, got[1].reason }, { "close", 1000, "bye" })
  lu.assertIs(got[1].target, self.target)
  lu.assertIs(got[1].currentTarget, self.target)
  e:remove("close", keep)
  e:remove("close", object)
  e:remove("nothing", keep)
  e:remove("close", nil)
  e:fire("close", 1)
  lu.assertEquals(#got, 4)
  e:add("open", keep, true)
  e:fire "open"
  e:fire "open"
  lu.assertEquals(#got, 5)
end

function T:test_what_is_no_argument_is_added()
  local event
  local function complete(v) v.origin = v.type .. v.data end
  local e = events.new(self.target, { message = { "data" } }, self.rig.loop, complete)
  e:set("message", function(v) event = v end)
  e:on("message", self:note "plain")
  e:fire("message", "x")
  lu.assertEquals({ event.origin, self.log }, { "messagex", { "plain(x)" } })
end

-- W-61
function T:test_an_attribute_keeps_its_place()
  local e = self.events
  lu.assertNil(e:get "open")
  e:on("open", self:note "1")
  local second = self:note "2"
  e:set("open", second)
  lu.assertIs(e:get "open", second)
  e:on("open", self:note "3")
  e:set("open", function() self.log[#self.log + 1] = "2'" end)
  lu.assertEquals(self:fired "open", "1() 2' 3()")
  e:set("open", nil)
  e:set("open", function() self.log[#self.log + 1] = "4" end)
  lu.assertEquals(self:fired "open", "1() 3() 4")
end

-- W-62, W-63
function T:test_changes_while_it_is_fired()
  local e, later = self.events, self:note "later"
  local removed = self:note "removed"
  e:on("open", function()
    e:on("open", later)
    e:off("open", removed)
  end)
  e:on("open", removed)
  lu.assertEquals({ self:fired "open", self:fired "open" }, { "", "later()" })
end

function T:test_who_raises_is_reported_and_the_others_are_called()
  local e = self.events
  e:on("open", function() error "oh" end)
  e:on("open", function() error(setmetatable({}, { __tostring = function() return "an object" end })) end)
  e:add("open", {}) -- no handleEvent
  e:on("open", self:note "last")
  lu.assertEquals(self:fired "open", "last()")
  lu.assertEquals(#self.rig.errors, 3)
  lu.assertStrContains(self.rig.errors[1][1], "oh")
  lu.assertIs(self.rig.errors[1][3], e.target)
  lu.assertStrContains(self.rig.errors[1][2], "events_spec.lua")
  lu.assertStrContains(self.rig.errors[2][2], "an object")
  self.rig.errors = {}
end

function T:test_misuse()
  local e = self.events
  contains("unknown event 'opn'; did you mean 'open'?", e.on, e, "opn", print)
  contains("unknown event 'opn'", e.off, e, "opn")
  for _, bad in ipairs { 1, "x", {}, true } do
    contains("listener must be a function", e.on, e, "open", bad)
    contains("onopen must be a function", e.set, e, "open", bad)
  end
  contains("listener must be a function", e.on, e, "open")
  contains("listener must be a function", e.add, e, "open", 1)
end

return T
