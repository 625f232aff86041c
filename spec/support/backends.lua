-- spec/support/backends.lua -- the whole suite once per loop backend.
--
-- Each run is a child, so that a crash or a hang is one failure with a name
-- and the other backend still runs.  The last line printed is the sum.

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

-- Runs one child; returns passed, failed, skipped.
local function run(backend, args, under, seconds)
  local progress = os.tmpname()
  local command = ("exec </dev/null; WSOCK_BACKEND=%s SPEC_PROGRESS=%s exec timeout -k 5 %d %s %s %s 2>&1")
    :format(backend, progress, seconds, under, arg[-1] or "lua5.4", args)
  print("== " .. backend)
  local pipe = assert(io.popen(command))
  local passed, failed, skipped
  for line in pipe:lines() do
    local p, f, rest = line:match "^(%d+) passed, (%d+) failed(.*)$"
    if p then
      passed, failed = math.tointeger(p), math.tointeger(f)
      skipped = math.tointeger(rest:match "^, (%d+) skipped") or 0
    else
      print(line)
    end
  end
  local ok, how, status = pipe:close()
  local at, found = read(progress), read(progress .. ".found")
  os.remove(progress)
  os.remove(progress .. ".found")
  sweep(progress .. ".pids", not passed)
  if not passed then
    if how == "exit" and status == 124 then
      how, status = "the time limit of", seconds .. " s"
    end
    print(("FAILED the %s run ended by %s %s in %s"):format(backend, how, status, at or "nothing yet"))
    return 0, 1, 0
  end
  if not ok and failed == 0 then
    print(("FAILED the %s run ended with %s %s after its last test"):format(backend, how, status))
    failed = 1
  end
  if found and failed == 0 then
    print(("FAILED in the %s run valgrind found something in a child"):format(backend))
    failed = 1
  end
  print(("== %s: %d passed, %d failed"):format(backend, passed, failed))
  return passed, failed, skipped
end

--- The exit code; option.backends is a list with commas, option.under a
--- command the children run under, SPEC_TIMEOUT their limit in seconds.
return function(argv, option)
  local args = { quote(argv[0]) }
  for _, a in ipairs(argv) do
    if not a:find "^%-%-backends" and not a:find "^%-%-under" then
      args[#args + 1] = quote(a)
    end
  end
  local seconds = tonumber(os.getenv "SPEC_TIMEOUT") or 600
  local passed, failed, skipped = 0, 0, 0
  for backend in option.backends:gmatch "[^,]+" do
    local p, f, s = run(backend, table.concat(args, " "), option.under or "", seconds)
    passed, failed, skipped = passed + p, failed + f, skipped + s
  end
  print(("%d passed, %d failed"):format(passed, failed)
    .. (skipped > 0 and (", %d skipped"):format(skipped) or ""))
  return failed == 0 and 0 or 1
end
