-- spec/support/backends.lua -- the whole suite once per loop backend.
--
-- Each run is a child, so that a crash or a hang is one failure with a name
-- and the other backend still runs.  Where there are two processors the
-- backends run side by side: the first is shown as it goes, what the second
-- says when it has ended.  What has to have the machine for itself (classes
-- with `alone`) comes behind them, one backend after the other.  The last line
-- printed is the sum.

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local function read(path)
  local f = io.open(path)
  local text = f and f:read "l"
  if f then f:close() end
  return text
end

-- Ends the programs a crashed run has left (support/process.lua noted them).
local function sweep(pids, crashed)
  local f = io.open(pids)
  if not f then return end
  local left = {}
  for line in f:lines() do
    left[line:sub(2)] = line:sub(1, 1) == "+" or nil
  end
  f:close()
  os.remove(pids)
  for pid in pairs(crashed and left or {}) do
    os.execute("kill -KILL " .. pid .. " 2>/dev/null")
  end
end

-- Starts a child: of a backend, a part of the suite ("" is all of it), with its
-- output in a file if it is to be shown later.
local function start(run, args, option)
  run.seconds = tonumber(os.getenv "SPEC_TIMEOUT") or 900
  run.progress = os.tmpname()
  run.log = run.later and os.tmpname()
  run.pipe = assert(io.popen(
    ("exec </dev/null; WSOCK_BACKEND=%s SPEC_PROGRESS=%s exec timeout -k 5 %d %s %s %s --part=%s %s 2>&1"):format(
      run.backend, run.progress, run.seconds, option.under or "", arg[-1] or "lua5.4", args, run.part,
      run.log and ">" .. run.log or "")))
  return run
end

-- The lines of a child, as they come or all at its end; how it ended.
local function lines_of(run)
  local ended
  if run.log then ended = table.pack(run.pipe:close()) end
  local from, count = run.log and assert(io.open(run.log)) or run.pipe, {}
  for line in from:lines() do
    local p, f, rest = line:match "^(%d+) passed, (%d+) failed(.*)$"
    if p then
      count = { math.tointeger(p), math.tointeger(f), math.tointeger(rest:match "^, (%d+) skipped") or 0 }
    else
      print(line)
    end
  end
  local closed = table.pack(from:close())
  if run.log then os.remove(run.log) end
  return count, table.unpack(ended or closed, 1, 3)
end

-- Shows a child to its end; returns passed, failed, skipped.
local function finish(run)
  local name = run.backend .. (run.part == "alone" and ", alone" or "")
  print("== " .. name)
  local count, ok, how, status = lines_of(run)
  local passed, failed, skipped = table.unpack(count)
  local at, found = read(run.progress), read(run.progress .. ".found")
  os.remove(run.progress)
  os.remove(run.progress .. ".found")
  sweep(run.progress .. ".pids", not passed)
  if not passed then
    if how == "exit" and status == 124 then
      how, status = "the time limit of", run.seconds .. " s"
    end
    print(("FAILED the %s run ended by %s %s in %s"):format(name, how, status, at or "nothing yet"))
    return 0, 1, 0
  end
  if not ok and failed == 0 then
    print(("FAILED the %s run ended with %s %s after its last test"):format(name, how, status))
    failed = 1
  end
  if found and failed == 0 then
    print(("FAILED in the %s run valgrind found something in a child"):format(name))
    failed = 1
  end
  print(("== %s: %d passed, %d failed"):format(name, passed, failed))
  return passed, failed, skipped
end

--- The exit code; option.backends is a list with commas, option.under a
--- command the children run under, option.jobs how many may run at once,
--- SPEC_TIMEOUT the limit of each in seconds.
return function(argv, option)
  local args = { quote(argv[0]) }
  for _, a in ipairs(argv) do
    if not a:find "^%-%-backends" and not a:find "^%-%-under" and not a:find "^%-%-jobs" then
      args[#args + 1] = quote(a)
    end
  end
  local words = table.concat(args, " ")
  local total = { 0, 0, 0 }
  local function show(run)
    for i, n in ipairs { finish(run) } do total[i] = total[i] + n end
  end

  local beside = (tonumber(option.jobs) or 1) > 1 and option.backends:find ","
  local together = {}
  for backend in option.backends:gmatch "[^,]+" do
    local run = { backend = backend, part = beside and "together" or "", later = beside and #together > 0 }
    together[#together + 1] = run
    if beside then start(run, words, option) end
  end
  for _, run in ipairs(together) do show(beside and run or start(run, words, option)) end
  for _, run in ipairs(beside and together or {}) do
    show(start({ backend = run.backend, part = "alone" }, words, option))
  end

  if total[1] + total[2] + total[3] == 0 then
    print "FAILED no test was selected"
    total[2] = 1
  end
  print(("%d passed, %d failed"):format(total[1], total[2])
    .. (total[3] > 0 and (", %d skipped"):format(total[3]) or ""))
  return total[2] == 0 and 0 or 1
end
