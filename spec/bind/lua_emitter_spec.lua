-- bind/lua_emitter: listeners: the browser's EventTarget and Node's on, once,
-- off, together on one socket.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"

local T = rigs.class(function(self)
  self.socket, self.record, self.peer = self.rig:opened()
  self.socket:off "message"
  self.socket:off "ping"
  self.seen = {}
end)
local contains = lu.assertErrorMsgContains

-- A listener that notes its name and does something.
function T:note(name, act)
  return function(...)
    self.seen[#self.seen + 1] = name
    if act then act(...) end
  end
end

-- One more message; what was noted since the last one.
function T:message()
  self.seen = {}
  self.peer:frame { "m" }
  self.peer:frame { op = "pong", "over" }
  self.record.over = nil
  self.socket:once("pong", function() self.record.over = true end)
  self.rig:wait(function() return self.record.over end)
  return table.concat(self.seen, " ")
end

-- ---- registering --------------------------------------------------------------------

function T:test_on_once_off_return_the_socket()
  local f = function() end
  lu.assertIs(self.socket:on("message", f), self.socket)
  lu.assertIs(self.socket:once("message", f), self.socket)
  lu.assertIs(self.socket:off("message", f), self.socket)
  lu.assertIs(self.socket:off "message", self.socket)
end

function T:test_what_is_no_listener_raises()
  for _, bad in ipairs { 1, "x", true, {} } do
    contains("must be a function", self.socket.on, self.socket, "message", bad)
    contains("must be a function", self.socket.once, self.socket, "message", bad)
    contains("onmessage must be a function", function() self.socket.onmessage = bad end)
  end
  for _, bad in ipairs { 1, "x", true } do
    contains("must be a function", self.socket.addEventListener, self.socket, "message", bad)
  end
  contains("must be a function", self.socket.on, self.socket, "message", nil)
  lu.assertEquals(self:message(), "")
end

function T:test_unknown_events()
  for _, method in ipairs { "on", "once", "off" } do
    contains("'mesage'; did you mean 'message'?", self.socket[method], self.socket, "mesage", print)
    contains("'onmessage'", self.socket[method], self.socket, "onmessage", print)
    contains("'connection'", self.socket[method], self.socket, "connection", print)
    lu.assertError(self.socket[method], self.socket, 1, print)
    lu.assertError(self.socket[method], self.socket)
  end
  self.socket:addEventListener("whatever", print) -- W-60: allowed, never fired
  self.socket:removeEventListener("whatever", print)
end

function T:test_options_of_a_listener()
  local s = self.socket
  contains("unknown option of addEventListener 'onec'; did you mean 'once'?", s.addEventListener, s, "open", print,
    { onec = true })
  contains("option 'once' must be a boolean", s.addEventListener, s, "open", print, { once = 1 })
  contains("options must be a table, got string", s.addEventListener, s, "open", print, "once")
  s:addEventListener("message", self:note "1", true) -- in browsers "capture": there is nothing to capture here
  s:addEventListener("message", self:note "2", false)
  s:addEventListener("message", self:note "3", {})
  lu.assertEquals(self:message(), "1 2 3")
end

function T:test_callable_tables_are_functions()
  local callable = setmetatable({}, { __call = function(_, data) self.seen[#self.seen + 1] = type(data) end })
  self.socket:on("message", callable)
  self.socket:once("message", callable)
  self.socket.onmessage = callable
  lu.assertIs(self.socket.onmessage, callable)
  self.socket:addEventListener("message", callable)
  lu.assertEquals(self:message(), "string string table table")
  self.socket:off("message", callable)
  self.socket.onmessage = nil
  self.socket:removeEventListener("message", callable)
  lu.assertEquals(self:message(), "")
end

function T:test_arguments()
  local args = {}
  self.socket:on("message", function(...) args[1] = table.pack(...) end)
  self.socket:addEventListener("message", function(...) args[2] = table.pack(...) end)
  self.socket.onmessage = function(...) args[3] = table.pack(...) end
  self:message()
  lu.assertEquals(args[1], { n = 2, "m", "text" })
  lu.assertEquals({ args[2].n, args[3].n }, { 1, 1 })
  lu.assertEquals(args[2][1].data, "m")
end

function T:test_one_function_for_many_sockets_and_events()
  local n = 0
  local function count() n = n + 1 end
  self.socket:on("message", count):on("ping", count):on("pong", count)
  self.peer:send(bytes.frame { "x" } .. bytes.frame { op = "ping", "" } .. bytes.frame { op = "pong", "" })
  self.rig:wait(function() return n == 3 end)
end

-- ---- order and repetition (W-60, W-61, W-62) ----------------------------------------------

function T:test_order_of_registration()
  local s = self.socket
  s:addEventListener("message", self:note "1")
  s.onmessage = self:note "2"
  s:on("message", self:note "3")
  s:addEventListener("message", self:note "4")
  s:once("message", self:note "5")
  lu.assertEquals(self:message(), "1 2 3 4 5")
  lu.assertEquals(self:message(), "1 2 3 4")
end

function T:test_replacing_the_attribute_keeps_its_place()
  local s = self.socket
  s.onmessage = self:note "a"
  s:addEventListener("message", self:note "b")
  s.onmessage = self:note "A"
  lu.assertEquals(self:message(), "A b")
  s.onmessage = nil
  lu.assertEquals(self:message(), "b")
  s.onmessage = self:note "c"
  lu.assertEquals(self:message(), "b c")
end

function T:test_attributes_are_nil_at_first_and_read_back()
  local s = self.socket
  for _, name in ipairs { "open", "message", "error", "close", "ping", "pong", "drain" } do
    local key = "on" .. name
    lu.assertNil(s[key])
    local f = function() end
    s[key] = f
    lu.assertIs(s[key], f)
    s:on(name, print)
    s:addEventListener(name, print)
    lu.assertIs(s[key], f)
    s:off(name, f) -- not what off is for
    lu.assertIs(s[key], f)
    s[key] = nil
    lu.assertNil(s[key])
    s[key] = nil
    s:off(name, print)
    s:removeEventListener(name, print)
  end
end

function T:test_add_event_listener_twice_is_once()
  local f = self:note "f"
  self.socket:addEventListener("message", f)
  self.socket:addEventListener("message", f)
  self.socket:addEventListener("message", f, { once = true }) -- once is no part of what it is
  lu.assertEquals(self:message(), "f")
  lu.assertEquals(self:message(), "f")
  self.socket:removeEventListener("message", f)
  lu.assertEquals(self:message(), "")
end

-- Node's way: as often as it was added, removed one by one.
function T:test_on_twice_is_twice()
  local f = self:note "f"
  self.socket:on("message", f):on("message", f)
  lu.assertEquals(self:message(), "f f")
  self.socket:off("message", f)
  lu.assertEquals(self:message(), "f")
  self.socket:off("message", f)
  self.socket:off("message", f)
  lu.assertEquals(self:message(), "")
end

function T:test_the_ways_do_not_mix()
  local f = self:note "f"
  self.socket:on("message", f)
  self.socket:removeEventListener("message", f)
  lu.assertEquals(self:message(), "f")
  self.socket:off("message", f)
  self.socket:addEventListener("message", f)
  self.socket:off("message", f)
  self.socket:off "message"
  lu.assertEquals(self:message(), "f")
end

function T:test_once()
  local s = self.socket
  s:once("message", self:note "n")
  s:addEventListener("message", self:note "e", { once = true })
  s:addEventListener("message", self:note "k", { once = false })
  s:addEventListener("message", self:note "u", true) -- capture: ignored
  lu.assertEquals(self:message(), "n e k u")
  lu.assertEquals(self:message(), "k u")
end

function T:test_once_can_be_taken_back()
  local f = self:note "f"
  self.socket:once("message", f):off("message", f)
  self.socket:addEventListener("message", f, { once = true })
  self.socket:removeEventListener("message", f)
  lu.assertEquals(self:message(), "")
end

-- W-62: removed before it is called
function T:test_once_is_gone_when_it_is_called()
  local s, f = self.socket, nil
  f = self:note("f", function() s:once("message", f) end)
  s:once("message", f)
  lu.assertEquals(self:message(), "f")
  lu.assertEquals(self:message(), "f")
  s:off("message", f)
  lu.assertEquals(self:message(), "")
end

function T:test_once_for_two_messages_in_one_packet()
  self.socket:once("message", self:note "f")
  self.peer:send(bytes.frame { "1" } .. bytes.frame { "2" } .. bytes.frame { "3" })
  lu.assertEquals(self:message(), "f")
end

function T:test_null_callbacks_are_ignored()
  self.socket:addEventListener("message", nil)
  self.socket:removeEventListener("message", nil)
  self.socket:addEventListener "message"
  lu.assertEquals(self:message(), "")
end

function T:test_off_without_a_function_takes_all_that_on_added()
  local s = self.socket
  s:on("message", self:note "1"):once("message", self:note "2")
  s.onmessage = self:note "3"
  s:addEventListener("message", self:note "4")
  s:off "message"
  lu.assertEquals(self:message(), "3 4")
  s:off "message"
  lu.assertEquals(self:message(), "3 4")
end

-- ---- during dispatch (W-63) -------------------------------------------------------------------

function T:test_added_during_dispatch_waits_for_the_next_event()
  local s, added = self.socket, false
  s:on("message", self:note("1", function()
    if added then return end
    added = true
    s:on("message", self:note "2")
    s:addEventListener("message", self:note "3")
    s.onmessage = self:note "4"
  end))
  lu.assertEquals(self:message(), "1")
  lu.assertEquals(self:message(), "1 2 3 4")
end

function T:test_removed_during_dispatch_is_not_called()
  local s = self.socket
  local b, c = self:note "b", self:note "c"
  s:on("message", self:note("a", function()
    s:off("message", b)
    s:removeEventListener("message", c)
    s.onmessage = nil
  end))
  s:on("message", b)
  s:addEventListener("message", c)
  s.onmessage = self:note "d"
  s:on("message", self:note "e")
  lu.assertEquals(self:message(), "a e")
end

function T:test_removing_itself_and_others_one_by_one()
  local s = self.socket
  local a, b, c
  a = self:note("a", function() s:off("message", a):off("message", b):off("message", c) end)
  b, c = self:note "b", self:note "c"
  s:on("message", a):on("message", b):on("message", c)
  lu.assertEquals(self:message(), "a")
  lu.assertEquals(self:message(), "")
end

function T:test_removing_from_two_down_to_none()
  local s = self.socket
  local a, b
  a = self:note("a", function()
    s:off("message", a)
    s:off("message", b)
  end)
  b = self:note "b"
  s:on("message", a):on("message", b)
  lu.assertEquals(self:message(), "a")
end

function T:test_removing_what_ran_already_disturbs_nobody()
  local s = self.socket
  local a = self:note "a"
  s:on("message", a)
  s:on("message", self:note("b", function() s:off("message", a) end))
  s:on("message", self:note "c")
  lu.assertEquals(self:message(), "a b c")
  lu.assertEquals(self:message(), "b c")
end

function T:test_taken_out_and_put_back_waits_for_the_next_event()
  local s = self.socket
  local b = self:note "b"
  s:on("message", self:note("a", function() s:off("message", b):on("message", b) end))
  s:on("message", b)
  lu.assertEquals(self:message(), "a")
  self.socket:off "message"
  s:on("message", b)
  lu.assertEquals(self:message(), "b")
end

-- HTML: an attribute's listener calls what the attribute is by then
function T:test_attribute_replaced_before_its_turn()
  local s = self.socket
  s:on("message", self:note("1", function() s.onmessage = self:note "new" end))
  s.onmessage = self:note "old"
  lu.assertEquals(self:message(), "1 new")
end

function T:test_attribute_replaced_by_itself()
  local s = self.socket
  s.onmessage = self:note("old", function() s.onmessage = self:note "new" end)
  lu.assertEquals(self:message(), "old")
  lu.assertEquals(self:message(), "new")
end

-- ---- objects (W-65) ---------------------------------------------------------------------------------

function T:test_handle_event()
  local object = {}
  function object:handleEvent(event) self.got = { self, event.type, event.data } end
  self.socket:addEventListener("message", object)
  self:message()
  lu.assertTrue(rawequal(object.got[1], object))
  lu.assertEquals({ object.got[2], object.got[3] }, { "message", "m" })
  object.got = nil
  function object:handleEvent() self.got = "another" end -- looked up when it is called
  self:message()
  lu.assertEquals(object.got, "another")
  self.socket:removeEventListener("message", object)
  object.got = nil
  self:message()
  lu.assertNil(object.got)
end

function T:test_handle_event_through_a_metatable()
  local class = {}
  class.__index = class
  local n = 0
  function class.handleEvent() n = n + 1 end
  self.socket:addEventListener("message", setmetatable({}, class))
  self:message()
  lu.assertEquals(n, 1)
end

function T:test_object_without_handle_event_is_reported()
  self.socket:addEventListener("message", {})
  self.socket:addEventListener("message", setmetatable({}, { __index = function() error "no key" end }))
  self.socket:on("message", self:note "next")
  lu.assertEquals(self:message(), "next")
  lu.assertEquals(#self.rig.errors, 2)
  self.rig.errors = {}
end

-- ---- garbage ---------------------------------------------------------------------------------------------

function T:test_removed_listeners_are_let_go()
  local weak = setmetatable({}, { __mode = "k" })
  do
    local function fresh()
      local f = function() return weak end
      weak[f] = true
      return f
    end
    local a, b, c = fresh(), fresh(), fresh()
    self.socket:on("message", a)
    self.socket:addEventListener("message", b)
    self.socket.onmessage = c
    self.socket:once("message", fresh())
    self:message()
    self.socket:off("message", a)
    self.socket:removeEventListener("message", b)
    self.socket.onmessage = nil
  end
  collectgarbage()
  collectgarbage()
  lu.assertNil(next(weak))
end

function T:test_many_listeners()
  for i = 1, 300 do self.socket:on("message", self:note(i)) end
  local expected = {}
  for i = 1, 300 do expected[i] = i end
  lu.assertEquals(self:message(), table.concat(expected, " "))
end

return T
