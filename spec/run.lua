-- spec/run.lua -- loads every *_spec.lua and runs its methods.
--
--   lua5.4 spec/run.lua [options] [path[:method]] ...
--
-- A spec returns one table; its methods whose names start with "test" are the
-- tests, setUp and tearDown surround each, setUpClass and tearDownClass all.
-- Each test gets a table of its own that inherits from the class.  The
-- assertions are luaunit's; its runner is not used: it calls zero tests OK and
-- 256 failures success.  Every test is also checked for what it leaves behind
-- (support/leaks.lua; `leaks = false` in a class turns that off).
--
--   path           only specs whose path contains it: base/utf8
--   path:method    only the methods whose name contains it
--   --not=PATH     leave out specs whose path contains it
--   --seed=N       the order (also SPEC_SEED); printed by every run
--   --build=DIR    where wsock/core.so is (also WSOCK_BUILD); default build
--   --backends=A,B run everything in a child per loop backend, sum up
--   --under=CMD    with --backends: start the children under this command
--   --list         print the names only
--   --verbose      print each name before its test runs

local root = arg[0]:match "^(.*)/spec/[^/]*$" or "."
local option, filters, excluded = {}, {}, {}
for _, a in ipairs(arg) do
  local name, value = a:match "^%-%-(%w+)=?(.*)$"
  if name == "not" then excluded[#excluded + 1] = value
  elseif name then option[name] = value
  else filters[#filters + 1] = a end
end
local build = option.build or os.getenv "WSOCK_BUILD" or root .. "/build"
package.path = ("R/lua/?.lua;R/lua/?/init.lua;R/spec/?.lua;"):gsub("R", (root:gsub("%%", "%%%%")))
  .. package.path
package.cpath = build .. "/?.so;" .. package.cpath
io.stdout:setvbuf "line"

if option.backends then
  os.exit(require "support.backends"(arg, option))
end

local lu = require "luaunit" -- reseeds math.random: load it before we do
local leaks = require "support.leaks"
local now = require "support.clock".now
local seed = math.tointeger(tonumber(option.seed or os.getenv "SPEC_SEED"))
  or os.time() % 1000000

-- ---- what to run -----------------------------------------------------------

local function contains(list, text)
  for _, part in ipairs(list) do
    local path, method = part:match "^([^:]*):?(.*)$"
    if text:find(path, 1, true) then return true, method end
  end
  return false, ""
end

local function shuffled(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

local function find_specs()
  local list = {}
  local pipe = assert(io.popen(("find '%s/spec' -name '*_spec.lua' | LC_ALL=C sort"):format(root)))
  for file in pipe:lines() do
    local path = file:match "/spec/(.*)_spec%.lua$"
    if (#filters == 0 or contains(filters, path)) and not contains(excluded, path) then
      list[#list + 1] = { path = path, file = file }
    end
  end
  pipe:close()
  return list
end

-- ---- running ---------------------------------------------------------------

local passed, failed, skipped, failures, times = 0, 0, 0, {}, {}

local function fail(name, message)
  failed = failed + 1
  failures[#failures + 1] = name
  print(("FAILED %s\n  %s"):format(name, (message:gsub("\n", "\n  "))))
end

-- Control bytes would garble terminals and logs; text stays as it is.
local function printable(s)
  return (s:gsub("[%c\127]", function(c)
    return (c == "\n" or c == "\t") and c or ("\\x%02x"):format(c:byte())
  end))
end

local function handler(e)
  local text = type(e) == "string" and e or lu.prettystr(e)
  if text:find(lu.SKIP_PREFIX, 1, true) or text:find(lu.SUCCESS_PREFIX, 1, true) then return text end
  local where = debug.traceback("", 2):gsub("\n%s*%[C%]: in function 'error'", "")
    :gsub("\n[^\n]*luaunit%.lua:[^\n]*", ""):gsub("\n[^\n]*spec/run%.lua:.*$", "")
  return printable(text:gsub("LuaUnit test FAILURE: ", "", 1)) .. where
end

-- Calls object:method() when there is one; nil, or what went wrong.
local function call(object, method)
  local fn = object[method]
  if fn == nil then return nil end
  local ok, err = xpcall(fn, handler, object)
  if not ok and not err:find(lu.SUCCESS_PREFIX, 1, true) then return err end
end

-- The default loop and its descriptors stay from first use on: use it first.
local wake_default_loop
function wake_default_loop()
  local wsock = package.loaded.wsock
  if wsock and wsock.step then
    wsock.step(0)
    wake_default_loop = function() end
  end
end

local function run_test(class, path, method)
  wake_default_loop()
  local name = path .. ":" .. method
  leaks.progress(name)
  if option.verbose then print(name) end
  local self = setmetatable({}, { __index = class })
  local before = class.leaks ~= false and leaks.snapshot()
  local start = now()
  local err = call(self, "setUp") or call(self, method)
  local after = call(self, "tearDown")
  times[#times + 1] = { now() - start, name }
  local skip = err and err:match("^.-" .. lu.SKIP_PREFIX .. "(.*)")
  if skip and not after then
    skipped = skipped + 1
    return print(("SKIPPED %s: %s"):format(name, skip))
  end
  err = err or after
  self = nil -- luacheck: ignore (the test's garbage must be collectable)
  local left = before and not err and leaks.compare(before)
  if err or left then return fail(name, err or left) end
  passed = passed + 1
end

local function run_class(spec)
  local names = {}
  local _, only = contains(filters, spec.path)
  for key, value in pairs(spec.class) do
    if type(key) == "string" and key:find "^[Tt]est" and type(value) == "function"
      and key:find(only, 1, true) then names[#names + 1] = key end
  end
  table.sort(names)
  if #names == 0 and only == "" then return fail(spec.path, "the spec has no tests") end
  if option.list then
    for _, name in ipairs(names) do print(spec.path .. ":" .. name) end
    return
  end
  if #names == 0 then return end
  local err = call(spec.class, "setUpClass")
  if err then return fail(spec.path .. ":setUpClass", err) end
  for _, name in ipairs(shuffled(names)) do run_test(spec.class, spec.path, name) end
  err = call(spec.class, "tearDownClass")
  if err then fail(spec.path .. ":tearDownClass", err) end
end

local function load_spec(spec)
  leaks.progress(spec.path)
  local globals = {}
  for key in pairs(_G) do globals[key] = true end
  local ok, class = xpcall(dofile, handler, spec.file)
  if not ok then return fail(spec.path, class) end
  if type(class) ~= "table" then return fail(spec.path, "the spec returns no table") end
  for key in pairs(_G) do
    if not globals[key] then
      _G[key] = nil
      return fail(spec.path, "the spec defines the global " .. tostring(key))
    end
  end
  spec.class = class
end

-- ---- main ------------------------------------------------------------------

math.randomseed(seed)
local specs = find_specs()
for _, spec in ipairs(specs) do load_spec(spec) end
math.randomseed(seed)
for _, spec in ipairs(shuffled(specs)) do
  if spec.class then run_class(spec) end
end
leaks.progress "the end of the run"
if option.list then os.exit(failed == 0, true) end

table.sort(times, function(a, b) return a[1] > b[1] end)
for i = 1, math.min(5, #times) do
  if times[i][1] >= 0.1 then print(("%6.2f s  %s"):format(times[i][1], times[i][2])) end
end
for _, name in ipairs(failures) do print("failed: " .. name) end
if passed + failed + skipped == 0 then
  fail("the run", "no test was selected")
end
print(("seed %d, backend %s"):format(seed, os.getenv "WSOCK_BACKEND" or "default"))
print(("%d passed, %d failed"):format(passed, failed)
  .. (skipped > 0 and (", %d skipped"):format(skipped) or ""))
os.exit(failed == 0, true)
