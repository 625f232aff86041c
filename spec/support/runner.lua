-- spec/support/runner.lua -- runs the tests of a class and keeps the score.
--
-- luaunit's assertions, not its runner: that one calls zero tests OK and 256
-- failures success.

local lu = require "luaunit" -- reseeds math.random when it is loaded
local leaks = require "support.leaks"
local now = require "support.clock".now

-- `again`: how many tests may have a second try. On a machine that others use
-- one of five thousand now and then meets a pause longer than its patience.
local M = { passed = 0, failed = 0, skipped = 0, verbose = false, again = 0 }

local failures, unsteady, times = {}, {}, {}

local function show(what, name, message)
  print(("%s %s\n  %s"):format(what, name, (message:gsub("\n", "\n  "))))
end

--- Counts and shows a failure.
function M.fail(name, message)
  M.failed = M.failed + 1
  failures[#failures + 1] = name
  show("FAILED", name, message)
end

--- Puts a list in random order, in place.
function M.shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

-- Control bytes would garble terminals and logs; text stays as it is.
local function printable(s)
  return (s:gsub("[%c\127]", function(c)
    return (c == "\n" or c == "\t") and c or ("\\x%02x"):format(c:byte())
  end))
end

--- For xpcall: the message and where, without the machinery's own lines.
function M.handler(e)
  local text = type(e) == "string" and e or lu.prettystr(e)
  if text:find(lu.SKIP_PREFIX, 1, true) or text:find(lu.SUCCESS_PREFIX, 1, true) then return text end
  local where = debug.traceback("", 2):gsub("\n%s*%[C%]: in function 'error'", "")
    :gsub("\n[^\n]*luaunit%.lua:[^\n]*", "")
    :gsub("\n%s*%[C%]: in function 'xpcall'.*$", ""):gsub("\n[^\n]*support/runner%.lua:.*$", "")
  return printable(text:gsub("LuaUnit test FAILURE: ", "", 1)) .. where
end

-- Calls object:method() when there is one; nil, or what went wrong.
local function call(object, method)
  local fn = object[method]
  if fn == nil then return nil end
  local ok, err = xpcall(fn, M.handler, object)
  if not ok and not err:find(lu.SUCCESS_PREFIX, 1, true) then return err end
end

-- Runs it once, on a table of its own; nil, or what went wrong, or what a skip
-- says.
local function attempt(class, method)
  local self = setmetatable({}, { __index = class })
  local before = class.leaks ~= false and leaks.snapshot()
  local err = call(self, "setUp") or call(self, method)
  local after = call(self, "tearDown")
  local skip = err and err:match("^.-" .. lu.SKIP_PREFIX .. "(.*)")
  if skip and not after then return nil, skip end
  err = err or after
  self = nil -- luacheck: ignore (the test's garbage must be collectable)
  return err or before and leaks.compare(before) or nil
end

local function run_test(class, path, method)
  local name = path .. ":" .. method
  leaks.progress(name)
  leaks.warm()
  if M.verbose then print(name) end
  local start = now()
  local err, skip = attempt(class, method)
  if err and M.again > 0 then
    M.again = M.again - 1
    unsteady[#unsteady + 1] = name
    show("FAILED, ONCE MORE", name, err)
    err, skip = attempt(class, method)
  end
  times[#times + 1] = { now() - start, name }
  if err then return M.fail(name, err) end
  if skip then
    M.skipped = M.skipped + 1
    return print(("SKIPPED %s: %s"):format(name, skip))
  end
  M.passed = M.passed + 1
end

--- The names of a class's tests that contain `only`, sorted.
function M.tests(class, only)
  local names = {}
  for key, value in pairs(class) do
    if type(key) == "string" and key:find "^[Tt]est" and type(value) == "function"
      and key:find(only, 1, true) then names[#names + 1] = key end
  end
  table.sort(names)
  return names
end

--- Runs those tests in random order.
function M.run(class, path, only)
  local names = M.tests(class, only)
  if #names == 0 then
    if only == "" then M.fail(path, "the spec has no tests") end
    return
  end
  local err = call(class, "setUpClass")
  if err then return M.fail(path .. ":setUpClass", err) end
  for _, name in ipairs(M.shuffle(names)) do run_test(class, path, name) end
  err = call(class, "tearDownClass")
  if err then M.fail(path .. ":tearDownClass", err) end
end

--- The slowest tests, the names of those run twice and of failures, the sum; true when all is well.
--- That there was no test is no failure only if it may be empty.
function M.report(about, empty)
  table.sort(times, function(a, b) return a[1] > b[1] end)
  for i = 1, math.min(5, #times) do
    if times[i][1] >= 0.1 then print(("%6.2f s  %s"):format(times[i][1], times[i][2])) end
  end
  for _, name in ipairs(unsteady) do print("run twice: " .. name) end
  for _, name in ipairs(failures) do print("failed: " .. name) end
  if not empty and M.passed + M.failed + M.skipped == 0 then M.fail("the run", "no test was selected") end
  print(about)
  print(("%d passed, %d failed"):format(M.passed, M.failed)
    .. (M.skipped > 0 and (", %d skipped"):format(M.skipped) or ""))
  return M.failed == 0
end

return M
