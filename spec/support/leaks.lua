-- spec/support/leaks.lua -- what a test must not leave behind.
--
-- Descriptors are looked up in /proc; whatever else can be counted (bytes of
-- a ws_mem, live sockets, timers) is added by the spec or helper that knows
-- it: leaks.count("name", function() return number end).

local M = {}

local counters = {}

--- Adds something to count before and after each test; fn nil takes it away.
function M.count(name, fn)
  counters[name] = fn
end

-- The numbers of this process's open descriptors.  Descriptors are given out
-- from the lowest free number up, so a long gap is the end.  The one that is
-- opened to look is not in the table yet while its own name is looked up.
local function descriptors()
  local open, gap, fd = {}, 0, 0
  while gap < 64 do
    local f = io.open("/proc/self/fdinfo/" .. fd)
    if f then
      f:close()
      open[fd], gap = true, 0
    else
      gap = gap + 1
    end
    fd = fd + 1
  end
  return open
end

local function describe(fd)
  local stat = assert(io.open "/proc/self/stat")
  local pid = stat:read "n"
  stat:close()
  local pipe = assert(io.popen(("unset LD_PRELOAD; readlink /proc/%d/fd/%d"):format(pid, fd)))
  local text = pipe:read "l"
  pipe:close()
  return text or "already closed"
end

-- What the default loop still has to do: a socket or timer one test leaves
-- there keeps the next one's run() going for ever.
local function at_work()
  local core = package.loaded["wsock.core"]
  return core and tonumber(tostring(core.defaultLoop()):match "(%d+) at work") or 0
end
M.count("things at work in the default loop", at_work)

local function counts()
  local now = {}
  for name, fn in pairs(counters) do now[name] = fn() end
  return now
end

local warm = false

--- The default loop keeps its descriptors from first use on, its resolver from
--- the first look-up on: both happen here, before anything is counted.
function M.warm()
  local wsock = package.loaded.wsock
  if warm or not wsock then return end
  warm = true
  local socket = wsock.WebSocket "ws://localhost/"
  wsock.step(0)
  socket:terminate()
  wsock.run()
end

--- What is there now. Counting makes the default loop, so descriptors come after.
function M.snapshot()
  local now = counts()
  return { fds = descriptors(), counts = now }
end

local function differences(before)
  local list = {}
  local fds, now = descriptors(), counts()
  for fd in pairs(fds) do
    if not before.fds[fd] then
      list[#list + 1] = ("leaked descriptor %d (%s)"):format(fd, describe(fd))
    end
  end
  for name, n in pairs(now) do
    local was = before.counts[name]
    if was and n > was then
      list[#list + 1] = ("leaked %s: %s before, %s after"):format(name, was, n)
    end
  end
  return list
end

--- nil, or a message naming what is there now and was not in the snapshot.
--- Garbage is collected first if there is anything to report: what a dropped
--- object frees is no leak.
function M.compare(before)
  local list = differences(before)
  if #list > 0 then
    collectgarbage()
    collectgarbage()
    list = differences(before)
  end
  if #list == 0 then return nil end
  table.sort(list)
  return table.concat(list, "\n")
end

-- The name of what runs now, in a file that is still there after a crash.
local progress = os.getenv "SPEC_PROGRESS"
local file = progress and progress ~= "" and assert(io.open(progress, "w"))

--- Notes what runs from here on.
function M.progress(name)
  if not file then return end
  file:seek "set"
  file:write(name, "\n")
  file:flush()
end

return M
