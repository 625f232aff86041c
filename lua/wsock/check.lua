--- Checks of options, for the files in Lua: what they refuse, and in which words, is as with sockets.
-- @module wsock.check

local core = require "wsock.core"

local M = {}

local binary_types = { string = true, blob = true, arraybuffer = true }

-- What an option may be: how it is called in the error, the test, and the type whose values are named as they are.
local kinds = {
  number = { "a number", function(v) return type(v) == "number" and v == v end, "number" },
  seconds = { "a number of seconds >= 0", function(v) return type(v) == "number" and v >= 0 end, "number" },
  count = { "an integer >= 0", function(v) return type(v) == "number" and math.tointeger(v) and v >= 0 end, "number" },
  ["binary type"] = { '"string", "blob" or "arraybuffer"', function(v) return binary_types[v] end, "string" },
  string = { "a string", function(v) return type(v) == "string" end },
  boolean = { "a boolean", function(v) return type(v) == "boolean" end },
  table = { "a table", function(v) return type(v) == "table" end },
  any = { "", function() return true end },
}

--- Whether a value can be called.
-- @param value any
-- @treturn boolean
function M.callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and meta.__call ~= nil
end

kinds["function"] = { "a function", M.callable }
kinds["list or function"] = { "a list or a function", function(v) return type(v) == "table" or M.callable(v) end }

--- Raises, in the name of whoever called the caller, unless a time to wait is nil or a number of seconds.
-- @param timeout what was given
-- @tparam string name of the method
function M.timeout(timeout, name)
  if timeout == nil or type(timeout) == "number" and timeout >= 0 then return end
  local got = type(timeout) == "number" and timeout or type(timeout)
  error(("%s: timeout must be a number of seconds >= 0, got %s"):format(name, got), 3)
end

--- What a protected call returned; what it raised is raised in the name of whoever called the caller. Not to be called
-- in a tail: then there is one caller less.
-- @param ok of pcall, and its other results behind it
-- @return these
function M.passed(ok, ...)
  if not ok then error((...), 3) end
  return ...
end

--- Raises, in the name of whoever called the caller, when the module itself is the first argument of one of its
-- functions: it was called with `:`.
-- @param first
function M.dot(first)
  local meta = debug.getmetatable(first)
  if type(meta) ~= "table" or meta.__name ~= "wsock" then return end
  error("functions of wsock are called with '.', not ':'", 3)
end

--- Raises, in the name of whoever called the caller, when there is a third argument: options stood in the place that
-- `wsock.WebSocket` has for them, and would be lost.
-- @tparam string name the function's
-- @param third its third argument
function M.two(name, third)
  if third ~= nil then error(name .. " takes a URL and options; protocols are one of the options", 3) end
end

--- Makes the methods of a class say so when they are called with a dot.
-- @tparam table class its functions by name; those that begin with `__` are left
-- @tparam string name for the message: `"wsock.hub"`
function M.methods(class, name)
  for key, method in pairs(class) do
    if type(method) == "function" and not key:find "^__" then
      class[key] = function(self, ...)
        if type(self) == "table" then return method(self, ...) end -- a tail call: who called stays who called
        error(("%s: %s expected, got %s; methods are called with ':'"):format(key, name, type(self)), 2)
      end
    end
  end
end

--- A list of integers as a set; raises, in the name of whoever called the caller, for another list.
-- @tparam string name the option's
-- @param list or a function, which is returned
-- @treturn table|function
function M.integers(name, list)
  if M.callable(list) then return list end
  local set = {}
  for i, value in pairs(list) do
    if math.type(i) ~= "integer" then error(("option '%s' must be a list, got a %s key"):format(name, type(i)), 3) end
    if math.type(value) ~= "integer" then
      error(("option '%s' must hold integers, got a %s"):format(name, type(value)), 3)
    end
    set[value] = true
  end
  return set
end

--- Makes the objects of a class refuse fields that are set: what is misspelt, or an option, would be lost. For classes
-- whose constructor fills a table before it is one of them.
-- @tparam table class
-- @tparam string what an object is, for the message: `"hub"`
function M.fixed(class, what)
  function class.__newindex(_, key)
    local message = "field '%s' of a %s cannot be set; what it calls are options of wsock.%s"
    error(message:format(tostring(key), what, what), 2)
  end
end

--- Raises unless what `verify` or `origins` returned is true or false; nil is no. A status without the false before
-- it, say, is taken for neither.
-- @tparam string name the option's
-- @param verdict its first result
-- @treturn boolean
function M.verdict(name, verdict)
  if verdict and verdict ~= true then error(name .. " must return true or false, got " .. type(verdict), 0) end
  return verdict or false
end

--- The subprotocol for a request, as the option `protocols` of a server has it.
-- @tparam table request
-- @param protocols nil; a list, of which the client's first one is taken; or `function(offered, request)`
-- @treturn string|nil
function M.subprotocol(request, protocols)
  if not protocols then return nil end
  local offered = {}
  for name in (request.headers["sec-websocket-protocol"] or ""):gmatch "[^%s,]+" do offered[#offered + 1] = name end
  if M.callable(protocols) then return protocols(offered, request) or nil end
  for _, name in ipairs(offered) do
    for _, ours in ipairs(protocols) do
      if name == ours then return name end
    end
  end
end

--- What is wrong with the values of options, or nil.
-- @tparam table options
-- @tparam table types as of `options`; other keys are not looked at
-- @treturn string|nil
function M.fault(options, types)
  for name, kind in pairs(types) do
    local value, test = options[name], kinds[kind]
    if value ~= nil and not test[2](value) then
      local got = test[3] == type(value) and value or type(value)
      return ("option '%s' must be %s, got %s"):format(name, test[1], got)
    end
  end
end

--- Raises, in the name of whoever called the caller, unless options is nil or a table with known keys and fitting
-- values.
-- @param options what was given
-- @tparam string what what it is an option of, for the message: `"router"`
-- @tparam table types the known keys, each with its kind: `"number"`, `"seconds"` (>= 0), `"count"` (an integer >= 0),
-- `"string"`, `"boolean"`, `"table"`, `"function"` (or callable), `"list or function"`, `"binary type"`, `"any"`
-- @treturn table options, or an empty table
function M.options(options, what, types)
  if options == nil then return {} end
  if type(options) ~= "table" then
    error(("options of %s must be a table, got %s"):format(what, type(options)), 3)
  end
  local names = {}
  for name in pairs(types) do names[#names + 1] = name end
  table.sort(names)
  local ok, message = pcall(core.checkKeys, options, "option of " .. what, names)
  if not ok then error(message, 3) end
  message = M.fault(options, types)
  if message then error(message, 3) end
  return options
end

--- What the core said of options that were given to it without some of our own: an unknown one may be meant for these.
-- @tparam string message
-- @tparam table types our own keys, as of `options`
-- @treturn string the message, with the nearest of all
function M.nearer(message, types)
  local key = tostring(message):match "^unknown option '(.-)'"
  if not key then return message end
  local names = { message:match "did you mean '(.-)'" }
  for name in pairs(types) do names[#names + 1] = name end
  table.sort(names)
  return select(2, pcall(core.checkKeys, { [key] = true }, "option", names))
end

return M
