--- Listeners of objects that are written in Lua, as those of sockets: on, once, off and on… with plain arguments or
-- with an event, and the browser's two. Whoever raises is reported, the others are called all the same.
-- @module wsock.events

local check = require "wsock.check"
local core = require "wsock.core"

local M = {}

local Events = {}
Events.__index = Events

-- How a listener was added, and so how it is called and found again.
local PLAIN, EVENT, ATTRIBUTE = 1, 2, 3

-- Raises, in the name of whoever called the method that called this file's, unless there is such an event.
local function known(self, name)
  if self.lists[name] then return end
  local _, message = pcall(core.checkKeys, { [tostring(name)] = true }, "event", self.names)
  error(message, 4)
end

-- A list is never changed, only replaced: whoever walks one is not disturbed by what is added meanwhile.
local function replace(self, name, keep, extra)
  local fresh = {}
  for _, entry in ipairs(self.lists[name]) do
    if keep(entry) then fresh[#fresh + 1] = entry else entry.gone = true end
  end
  fresh[#fresh + 1] = extra
  self.lists[name] = fresh
end

local function all() return true end

local function find(self, name, kind, fn)
  for _, entry in ipairs(self.lists[name]) do
    if entry.kind == kind and (fn == nil or entry.fn == fn) then return entry end
  end
end

--- Adds a listener that gets plain arguments.
-- @tparam string name raises for one that is not there
-- @tparam function fn
-- @tparam[opt] boolean once
function Events:on(name, fn, once)
  known(self, name)
  if not check.callable(fn) then error("listener must be a function, got " .. type(fn), 3) end
  replace(self, name, all, { kind = PLAIN, fn = fn, once = once })
end

--- Takes away what `on` added.
-- @tparam string name
-- @tparam[opt] function fn the one that was added last, if it was so more than once; without it: all of that name
function Events:off(name, fn)
  known(self, name)
  local last
  for _, entry in ipairs(self.lists[name]) do
    if entry.kind == PLAIN and entry.fn == fn then last = entry end
  end
  replace(self, name, function(entry) return entry.kind ~= PLAIN or fn ~= nil and entry ~= last end)
end

--- Adds a listener that gets an event, once each.
-- @tparam string name an unknown one is fine, and never fired
-- @param fn a function, or a table with handleEvent; nil is ignored
-- @tparam[opt] boolean once
function Events:add(name, fn, once)
  if fn == nil or not self.lists[name] or find(self, name, EVENT, fn) then return end
  if type(fn) ~= "table" and not check.callable(fn) then
    error("listener must be a function, got " .. type(fn), 3)
  end
  replace(self, name, all, { kind = EVENT, fn = fn, once = once })
end

--- Takes away what `add` added.
-- @tparam string name
-- @param fn
function Events:remove(name, fn)
  if fn == nil or not self.lists[name] then return end
  replace(self, name, function(entry) return entry.kind ~= EVENT or entry.fn ~= fn end)
end

--- The function of an on… attribute.
-- @tparam string name without on
-- @treturn ?function
function Events:get(name)
  local entry = find(self, name, ATTRIBUTE)
  return entry and entry.fn
end

--- Sets an on… attribute; it keeps its place among the listeners.
-- @tparam string name without on
-- @tparam ?function fn
function Events:set(name, fn)
  if fn ~= nil and not check.callable(fn) then error(("on%s must be a function, got %s"):format(name, type(fn)), 3) end
  local entry = find(self, name, ATTRIBUTE)
  if fn == nil then
    replace(self, name, function(other) return other.kind ~= ATTRIBUTE end)
  elseif entry then
    entry.fn = fn
  else
    replace(self, name, all, { kind = ATTRIBUTE, fn = fn })
  end
end

-- ---- firing ---------------------------------------------------------------------------

local function describe(message)
  return { message, debug.traceback(type(message) == "string" and message or tostring(message), 2) }
end

-- What the loop says of a handler's error.
local function report(self, what)
  local handler = self.loop.onerror
  if not handler then
    io.stderr:write("wsock: ", what[2], "\n")
    return
  end
  local ok, message = pcall(handler, what[1], what[2], self.target)
  if not ok then io.stderr:write("wsock: ", tostring(message), "\n") end
end

local function event_of(self, name, ...)
  local event = { type = name, target = self.target, currentTarget = self.target }
  for i, field in ipairs(self.fields[name]) do event[field] = (select(i, ...)) end
  if self.complete then self.complete(event) end
  return event
end

local function call(entry, event, ...)
  local fn = entry.fn
  if entry.kind == PLAIN then return xpcall(fn, describe, ...) end
  if type(fn) == "table" and not check.callable(fn) then
    return xpcall(function() return fn:handleEvent(event) end, describe)
  end
  return xpcall(fn, describe, event)
end

--- Whether anybody listens to an event.
-- @tparam string name
-- @treturn boolean
function Events:listens(name) return self.lists[name][1] ~= nil end

--- Calls the listeners of an event, in the order they were added.
-- @tparam string name
-- @param ... its plain arguments
function Events:fire(name, ...)
  local event
  for _, entry in ipairs(self.lists[name]) do
    if not entry.gone then
      if entry.once then replace(self, name, function(other) return other ~= entry end) end
      if entry.kind ~= PLAIN and not event then event = event_of(self, name, ...) end
      local ok, what = call(entry, event, ...)
      if not ok then report(self, what) end
    end
  end
end

--- Listeners for an object.
-- @param target the object, which events name
-- @tparam table fields the names of its events, each with the names of its arguments in an event
-- @tparam wsock.Loop loop whose onerror hears of errors
-- @tparam[opt] function complete is given each event, to add what is no argument
-- @treturn Events
function M.new(target, fields, loop, complete)
  local self = { target = target, fields = fields, loop = loop, complete = complete, lists = {}, names = {} }
  for name in pairs(fields) do
    self.lists[name] = {}
    self.names[#self.names + 1] = name
  end
  table.sort(self.names)
  return setmetatable(self, Events)
end

return M
