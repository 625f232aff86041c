-- spec/support/process.lua -- other programs: start, read, wait for, stop.
--
-- A started program writes both its streams to a file, which is what `output`
-- and `expect` read; a shell waits for it and notes the exit code.  Nothing
-- here sleeps for a fixed time: every wait is for a condition, with a deadline.
-- Under a sanitizer only Lua children are preloaded with it, under valgrind only
-- they run under it too.

local clock = require "support.clock"
local leaks = require "support.leaks"

local M = {}

local running = 0
leaks.count("processes", function() return running end)

local function quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end
M.quote = quote

local function read(path, format)
  local f = io.open(path, "rb")
  local text = f and f:read(format or "a")
  if f then f:close() end
  return text
end

local function shell(command)
  local pipe = assert(io.popen("unset LD_PRELOAD\n" .. command))
  local text = pipe:read "a"
  local _, how, code = pipe:close()
  return text, how == "signal" and 128 + code or code
end

local cwd

-- Child Lua programs see the modules this run sees, wherever they run.
local function lua_paths()
  cwd = cwd or shell "pwd -P":match "[^\n]+"
  local function absolute(path)
    return (path:gsub("[^;]+", function(p)
      return p:sub(1, 1) == "/" and p or cwd .. "/" .. p:gsub("^%./", "")
    end))
  end
  return { LUA_PATH_5_4 = absolute(package.path), LUA_CPATH_5_4 = absolute(package.cpath) }
end

-- "env A=1 'cmd' 'arg'" of a description {cmd, args..., env = {...}}.
local function command_of(t, env)
  local words = { "env" }
  local function set(list)
    for name, value in pairs(list or {}) do
      words[#words + 1] = quote(name .. "=" .. tostring(value))
    end
  end
  set(env)
  set(t.env)
  for _, word in ipairs(t) do words[#words + 1] = quote(word) end
  if t.log then words[#words + 1] = "9>>" .. quote(t.log) end
  return table.concat(words, " ")
end

-- After a crash of this run, whoever started it ends what has begun ("+") and
-- not ended ("-").
local progress = os.getenv "SPEC_PROGRESS"
if progress == "" then progress = nil end

local function note(sign, pid)
  local f = progress and io.open(progress .. ".pids", "a")
  if f then
    f:write(sign, pid, "\n")
    f:close()
  end
end

-- ---- a running program -----------------------------------------------------

local Process = {}
Process.__index = Process

--- What it printed so far, standard output and error in one.
function Process:output()
  return read(self.dir .. "/out") or self.last or ""
end

--- The exit code, 128 + n after signal n, or nil while it runs.
function Process:code()
  if not self.exit then
    local text = read(self.dir .. "/code")
    self.exit = text and math.tointeger(tonumber(text))
  end
  return self.exit
end

--- Waits until the output matches the pattern; returns its captures.  Raises,
--- showing the output, when the program ends without it or the time is over.
--- pump() is called between two looks (a loop's step, say).
function Process:expect(pattern, seconds, pump)
  local found
  local function look()
    local ended = self:code()
    found = table.pack(self:output():match(pattern))
    return found[1] ~= nil or ended
  end
  local ok = pcall(clock.wait, look, seconds or 10, pump)
  if ok and found[1] ~= nil then return table.unpack(found, 1, found.n) end
  error(("%s: no '%s' in the output of %s:\n%s"):format(
    ok and "it ended with code " .. self:code() or "time is over", pattern, self.name, self:output()), 2)
end

--- Waits for its end; returns the exit code.
function Process:wait(seconds, pump)
  local ok = pcall(clock.wait, function() return self:code() end, seconds or 10, pump)
  if not ok then
    error(("%s still runs; its output:\n%s"):format(self.name, self:output()), 2)
  end
  return self.exit
end

--- Sends a signal, "TERM" unless named.
function Process:kill(signal)
  if not self:code() then
    shell(("kill -%s %d 2>/dev/null"):format(signal or "TERM", self.pid))
  end
end

--- Writes to its standard input (started with stdin = true).
function Process:write(text)
  self.stdin:write(text)
  self.stdin:flush()
end

--- Ends its standard input.
function Process:finish()
  if self.stdin then self.stdin:close() end
  self.stdin = nil
end

--- Ends it if it runs: TERM, after `seconds` (5) KILL; pump() as in expect, for
--- one that says good-bye to us.  Forgets its files; the output stays readable.
--- Twice is fine.
function Process:stop(seconds, pump)
  if self.stopped then return end
  self.stopped = true
  running = running - 1
  self:finish()
  self:kill "TERM"
  if not clock.within(function() return self:code() end, seconds or 5, pump) then
    self:kill "KILL"
    self:wait(5)
  end
  note("-", self.pid)
  self.last = self:output()
  shell("rm -rf " .. quote(self.dir))
end
Process.__close = function(self) self:stop() end

--- Starts {command, args..., env = {NAME = value}, cwd = dir, stdin = text or
--- true for Process:write}.
function M.start(t, env)
  local dir = shell "mktemp -d":match "[^\n]+"
  local input = "/dev/null"
  if type(t.stdin) == "string" then
    input = dir .. "/in"
    local f = assert(io.open(input, "wb"))
    f:write(t.stdin)
    f:close()
  elseif t.stdin then
    input = dir .. "/in"
    shell("mkfifo " .. quote(input))
  end
  local text = shell(([[
%s
exec 3>&1
{ ( exec 3>&-; exec %s <%s >%s/out 2>&1 ) & echo $! >&3; exec 3>&-; wait $!; echo $? >%s/c; mv %s/c %s/code
} </dev/null >/dev/null 2>&1 & ]]):format(t.cwd and "cd " .. quote(t.cwd) or "", command_of(t, env),
    quote(input), dir, dir, dir, dir))
  local self = setmetatable({ dir = dir, pid = assert(math.tointeger(tonumber(text)), text), name = t[1] }, Process)
  running = running + 1
  note("+", self.pid)
  if t.stdin == true then self.stdin = assert(io.open(input, "wb")) end
  return self
end

--- Runs a program to its end: output (both streams), exit code.
function M.run(t, env)
  local p = M.start(t, env)
  local ok, code = pcall(p.wait, p, t.seconds or 30)
  p:stop()
  if not ok then error(code, 2) end
  return p:output(), code
end

-- What valgrind says of children, through their descriptor 9; the test in which it
-- says something has failed.
local valgrind = os.getenv "SPEC_VALGRIND"
local findings = valgrind and progress and progress .. ".found"
if findings then
  local seen = 0
  leaks.count("bytes from a child's valgrind", function()
    local text = read(findings) or ""
    io.stdout:write(text:sub(seen + 1))
    seen = #text
    return seen
  end)
end

-- A Lua child: the same interpreter, modules, sanitizer and valgrind as this run.
local function lua_child(t)
  local env, copy = lua_paths(), { log = findings }
  env.LD_PRELOAD = os.getenv "SPEC_PRELOAD"
  for word in (findings and valgrind .. " --log-fd=9" or ""):gmatch "%S+" do copy[#copy + 1] = word end
  copy[#copy + 1] = arg and arg[-1] or "lua5.4"
  local words = #copy
  for key, value in pairs(t) do
    copy[type(key) == "number" and key + words or key] = value
  end
  return copy, env
end

--- start and run for Lua programs: {script, args..., env =, stdin =}.
function M.start_lua(t) return M.start(lua_child(t)) end
function M.run_lua(t) return M.run(lua_child(t)) end

--- The same as words for a shell, for pipelines: {script, args..., env =}.
function M.shell_lua(t) return command_of(lua_child(t)) end

--- A number no seed repeats, for what runs side by side must not choose alike. Lua's own
--- chance hangs on the time and on addresses, which under a sanitizer are always the same.
function M.chance(from, to)
  local f <close> = assert(io.open("/dev/urandom", "rb"))
  return from + ("I4"):unpack(f:read(4)) % (to - from + 1)
end

--- A TCP port nobody listens on now, for programs that cannot pick their own.
function M.free_port()
  local used = {}
  for _, table_name in ipairs { "tcp", "tcp6" } do
    local text = read("/proc/net/" .. table_name) or ""
    for port in text:gmatch "%x+:(%x%x%x%x) %x+:%x%x%x%x " do used[tonumber(port, 16)] = true end
  end
  local port
  repeat port = M.chance(20000, 32000) until not used[port]
  return port
end

--- A directory of one's own, and a function that removes it.
function M.directory()
  local dir = shell "mktemp -d":match "[^\n]+"
  return dir, function() shell("rm -rf " .. quote(dir)) end
end

return M
