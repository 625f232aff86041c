-- spec/run.lua -- loads every *_spec.lua and runs its methods.
--
--   lua5.4 spec/run.lua [options] [path[:method]] ...
--
-- A spec returns one table; its methods whose names start with "test" are the
-- tests, setUp and tearDown surround each, setUpClass and tearDownClass all.
-- Each test gets a table of its own that inherits from the class, and is
-- checked for what it leaves behind (support/leaks.lua; `leaks = false` in a
-- class turns that off).
--
--   path           only specs whose path contains it: base/utf8
--   path:method    only the methods whose name contains it
--   --not=PATH     leave out specs whose path contains it
--   --seed=N       the order (also SPEC_SEED); printed by every run
--   --build=DIR    where wsock/core.so is (also WSOCK_BUILD); default build
--   --backends=A,B run everything in a child per loop backend, sum up
--   --under=CMD    with --backends: start the children under this command
--   --jobs=N       with --backends: from 2 on the backends run side by side,
--                  and behind them, by itself, what has `alone` in its class
--   --part=PART    "together": leave out what has `alone`; "alone": only that
--   --list         print the names only
--   --again=N      a test that fails is run once more, N of them at most; both
--                  failures are shown, and the second counts
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

local runner = require "support.runner"
local leaks = require "support.leaks"
local seed = math.tointeger(tonumber(option.seed or os.getenv "SPEC_SEED"))
  or require "support.process".chance(0, 999999)
runner.verbose = option.verbose ~= nil
runner.again = math.tointeger(tonumber(option.again)) or 0

-- Whether one of the list is part of path, and the method it names.
local function contains(list, path)
  for _, part in ipairs(list) do
    local piece, method = part:match "^([^:]*):?(.*)$"
    if path:find(piece, 1, true) then return true, method end
  end
  return false, ""
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

-- Loading can fail; that is one failure, and the others still run.
local function broken(spec, message)
  if option.part ~= "alone" then runner.fail(spec.path, message) end -- the other part says so
end

-- The class, if it is of the part that is run.
local function load_spec(spec)
  leaks.progress(spec.path)
  local globals = {}
  for key in pairs(_G) do globals[key] = true end
  local ok, class = xpcall(dofile, runner.handler, spec.file)
  if not ok then return broken(spec, class) end
  if type(class) ~= "table" then return broken(spec, "the spec returns no table") end
  for key in pairs(_G) do
    if not globals[key] then
      _G[key] = nil
      return broken(spec, "the spec defines the global " .. tostring(key))
    end
  end
  local part = class.alone and "alone" or "together"
  if (option.part or "") == "" or option.part == part then return class end
end

math.randomseed(seed)
local specs = find_specs()
if not option.list then runner.shuffle(specs) end
-- One at a time: what a spec holds is garbage when it is through, large tables
-- of cases too, or each full collection in a later one would look through it.
for _, spec in ipairs(specs) do
  local _, only = contains(filters, spec.path)
  local class = load_spec(spec)
  math.randomseed(seed) -- for each: alone, its order is the same
  if class and option.list then
    for _, name in ipairs(runner.tests(class, only)) do print(spec.path .. ":" .. name) end
  elseif class then
    runner.run(class, spec.path, only)
  end
  for name in pairs(package.loaded) do
    if name:find "^vectors%." then package.loaded[name] = nil end
  end
end
leaks.progress "the end of the run"
if option.list then os.exit(runner.failed == 0, true) end
-- Of a part the other one may be all there is.
os.exit(runner.report(("seed %d, backend %s"):format(seed, os.getenv "WSOCK_BACKEND" or "default"),
  (option.part or "") ~= ""), true)
