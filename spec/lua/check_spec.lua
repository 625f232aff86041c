-- lua/wsock/check: the options of what is written in Lua.

local lu = require "luaunit"
local check = require "wsock.check"
local core = require "wsock.core"

local T = {}
local contains = lu.assertErrorMsgContains

local types = {
  n = "number", s = "seconds", c = "count", w = "string", b = "boolean", t = "table", f = "function",
  l = "list or function", a = "any", longName = "string",
}

local callable = setmetatable({}, { __call = print })

local function try(options) return check.options(options, "x", types) end

function T:test_methods_called_with_a_dot()
  local class = { add = function(sum, n) if not n then error("none", 2) end return sum.sum + n, n end }
  class.__tostring = function() return "x" end
  local meta = class.__tostring
  check.methods(class, "wsock.sum")
  lu.assertEquals({ class.add({ sum = 1 }, 2) }, { 3, 2 })
  lu.assertIs(class.__tostring, meta)
  contains("add: wsock.sum expected, got number; methods are called with ':'", class.add, 2)
  local line = debug.getinfo(1, "l").currentline + 1
  local ok, message = pcall(function() class.add { sum = 1 } return true end)
  lu.assertEquals({ ok, message }, { false, debug.getinfo(1, "S").short_src .. ":" .. line .. ": none" })
end

function T:test_verdicts()
  for _, yes in ipairs { true, false } do lu.assertIs(check.verdict("f", yes), yes) end
  lu.assertIs(check.verdict("f", nil), false)
  for _, value in ipairs { 401, "no", {} } do
    lu.assertErrorMsgEquals("f must return true or false, got " .. type(value), check.verdict, "f", value)
  end
end

function T:test_subprotocols()
  local request = { headers = { ["sec-websocket-protocol"] = "a,b , c" } }
  lu.assertNil(check.subprotocol(request, nil))
  lu.assertEquals(check.subprotocol(request, { "c", "b" }), "b")
  lu.assertNil(check.subprotocol(request, { "d" }))
  lu.assertNil(check.subprotocol({ headers = {} }, { "a" }))
  local seen
  lu.assertNil(check.subprotocol(request, function(...) seen = { ... } return false end))
  lu.assertEquals(seen, { { "a", "b", "c" }, request })
end

function T:test_faults_of_options()
  lu.assertNil(check.fault({ n = 1, other = print }, { n = "number", f = "function" }))
  lu.assertEquals(check.fault({ f = 1 }, { f = "function" }), "option 'f' must be a function, got number")
end

function T:test_what_fits_is_given_back()
  local options = { n = -1.5, s = 0, c = 3, w = "", b = false, t = {}, f = print, l = {}, a = io.stdout }
  lu.assertIs(try(options), options)
  lu.assertEquals(try(nil), {})
  lu.assertEquals(try({}), {})
  for _, row in ipairs {
    { f = callable }, { l = print }, { l = callable }, { s = math.huge }, { n = 1 }, { c = 1e6 },
  } do
    lu.assertIs(try(row), row)
  end
end

function T:test_what_does_not_fit_raises()
  for _, row in ipairs {
    { "'n' must be a number, got string", { n = "1" } }, { "'n' must be a number", { n = 0 / 0 } },
    { "'s' must be a number of seconds >= 0, got -1", { s = -1 } }, { "'s' must", { s = 0 / 0 } },
    { "'c' must be an integer >= 0, got 1.5", { c = 1.5 } }, { "'c' must", { c = -1 } }, { "'c' must", { c = 1 / 0 } },
    { "'w' must be a string, got number", { w = 1 } }, { "'b' must be a boolean", { b = "yes" } },
    { "'t' must be a table", { t = print } }, { "'f' must be a function, got table", { f = {} } },
    { "'l' must be a list or a function", { l = "x" } },
  } do
    contains(row[1], try, row[2])
  end
  for _, bad in ipairs { 1, "x", print, true } do contains("options of x must be a table", try, bad) end
end

function T:test_unknown_keys_are_named()
  contains("unknown option of x 'longNam'; did you mean 'longName'?", try, { longNam = 1 })
  contains("unknown option of x 'something'", try, { something = 1 })
  contains("every option of x must have a name", try, { "x" })
end

-- The line to blame is the user's.
function T:test_the_blame()
  local function public(options) local _ = try(options) return 1 end
  for _, bad in ipairs { { n = "x" }, { nn = 1 }, 7 } do
    local _, message = pcall(function() local _ = public(bad) return 1 end)
    lu.assertStrContains(message, "check_spec.lua:")
  end
end

function T:test_passed()
  local function caller(...)
    local a, b = check.passed(pcall(...))
    return a, b
  end
  lu.assertEquals({ caller(math.max, 1, 2) }, { 2 })
  local function users(...) local a = caller(...) return a end
  local _, message = pcall(users, error, "oh")
  lu.assertStrMatches(message, "[^:]*check_spec%.lua:%d+: oh")
  local object = {}
  lu.assertEquals({ pcall(users, error, object) }, { false, object })
end

function T:test_times_to_wait()
  local function wait(timeout) check.timeout(timeout, "wait") end
  for _, good in ipairs { 0, 0.5, 3, math.huge } do wait(good) end
  wait()
  for _, row in ipairs { { -1, "-1" }, { "1", "string" }, { true, "boolean" }, { {}, "table" } } do
    contains("wait: timeout must be a number of seconds >= 0, got " .. row[2], wait, row[1])
  end
  contains("wait: timeout must be", wait, 0 / 0)
end

function T:test_the_module_as_an_argument()
  local function call(...) return check.dot(...) end
  contains("functions of wsock are called with '.', not ':'", call, require "wsock")
  for _, other in ipairs { false, 1, "x", {}, setmetatable({}, { __name = "wsock.hub" }), print } do call(other) end
  call()
end

function T:test_a_third_argument()
  local function call(...) check.two("connect", ...) end
  contains("connect takes a URL and options; protocols are one of the options", call, {})
  call(nil)
  call()
end

function T:test_callable()
  for _, value in ipairs { print, callable } do lu.assertTrue(check.callable(value)) end
  for _, value in ipairs { {}, "x", 1, io.stdout, true } do lu.assertFalse(check.callable(value)) end
  lu.assertFalse(check.callable(nil))
end

function T:test_keys_by_themselves()
  core.checkKeys({ a = 1 }, "key", { "a", "b" })
  core.checkKeys({}, "key", {})
  contains("unknown key 'abd'; did you mean 'abc'?", core.checkKeys, { abd = 1 }, "key", { "abc" })
  lu.assertError(core.checkKeys, { a = 1 }, "key", { {} })
  local numbers = {} -- as strings they would be nobody's
  for i = 1, 2000 do numbers[i] = i + 0.25 end
  contains("string expected, got number", core.checkKeys, { a = 1 }, "key", numbers)
  lu.assertError(core.checkKeys, 1, "key", {})
  lu.assertError(core.checkKeys, {}, "key")
end

return T
