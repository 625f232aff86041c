-- spec/bench/run.lua -- how fast, how small, and against what.
--
--   lua5.4 spec/bench/run.lua [options]       from the project's root, built
--
-- What counts is the CPU time of the server's process, and ratios of it within
-- one run: wall time says little on a machine that others use.  The server has
-- one core, the load another (one for both when there is only one).  Rounds
-- are interleaved: ours, the raw echo, ours, ...; shown are medians, and as
-- ratio the median of the rounds' ratios with half their spread.
--
--   --quick          a minute in place of several (also QUICK=1)
--   --cell=PATTERN   only cells whose "group/name" matches (also CELL=)
--   --rounds=N --seconds=N    per cell; default 9 and 0.5, quick 5 and 0.15
--   --peers          also Node's ws and nginx with lua-nginx-websocket, if there
--   --busy           the load never sleeps: steadier, and kinder to us (also BUSY=1)
--   --strict         exit code 1 when a cell stays under what it must reach
--   --build=DIR      where wsock/core.so is; default build

local root = arg[0]:match "^(.*)/spec/bench/[^/]*$" or "."
package.path = ("R/lua/?.lua;R/lua/?/init.lua;R/spec/?.lua;"):gsub("R", (root:gsub("%%", "%%%%"))) .. package.path

local cells = require "bench.cells"
local servers = require "bench.servers"

local option = { quick = os.getenv "QUICK", cell = os.getenv "CELL", busy = os.getenv "BUSY" }
for _, a in ipairs(arg) do
  local name, value = a:match "^%-%-(%w+)=?(.*)$"
  option[assert(name, "what is " .. a .. "?")] = value
end
local quick = option.quick and option.quick ~= "0"
local rounds = tonumber(option.rounds) or quick and 5 or 9
local seconds = tonumber(option.seconds) or quick and 0.15 or 0.5
local pattern = option.cell or ""
local build = option.build or root .. "/build"
io.stdout:setvbuf "line"

-- ---- figures ---------------------------------------------------------------------

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local n = #sorted
  return (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
end

local function half_spread(list)
  return (math.max(table.unpack(list)) - math.min(table.unpack(list))) / 2
end

local function number(v)
  if not v then return "" end
  local size = math.abs(v)
  return (size >= 100 and "%.0f" or size >= 10 and "%.1f" or "%.2f"):format(v)
end

local count = { aim = 0, ok = 0, UNDER = 0, failed = 0 }

-- "aim", "ok" or "UNDER"; "" when nothing is asked for.
local function verdict(cell, value)
  local sign, bound = 1, cell.least
  if cell.most then
    sign, bound = -1, cell.most
  end
  if not bound then return "" end
  local word = cell.aim and sign * value >= sign * cell.aim and "aim"
    or sign * value >= sign * bound and "ok" or "UNDER"
  count[word] = count[word] + 1
  return word
end

-- ---- the table -------------------------------------------------------------------

local widths = { -52, 9, 9, 7, 7, 8, 8, -1 }

-- One line of the table; cells are cut at nothing, "±" is one column wide.
local function row(...)
  local line = {}
  for i, width in ipairs(widths) do
    local text = tostring(select(i, ...) or "")
    local blanks = (" "):rep(math.abs(width) - utf8.len(text))
    line[i] = width < 0 and text .. blanks or blanks .. text
  end
  print((table.concat(line):gsub("%s+$", "")))
end

local function show(cell, values, ratios, others)
  local mark = cell.most and "<" or ""
  local judged = not cell.absolute and ratios or values[1]
  row(cell.name, number(median(values[1])), ratios and number(median(values[2])),
    ratios and ("%.2f"):format(median(ratios)), #judged > 1 and "±" .. number(half_spread(judged)),
    mark .. number(cell.least or cell.most), cell.aim and mark .. number(cell.aim),
    " " .. verdict(cell, median(judged)) .. others)
end

-- ---- running ---------------------------------------------------------------------

local function run_load(run)
  local server = servers.get(run[1], run.fresh)
  local text = servers.load(server, ("ms=%d warm=%d busy=%d %s"):format(
    seconds * 1000, seconds * 300, option.busy and 1 or 0, run[2]))
  if run.fresh then server:stop() end
  local result = {}
  for name, value in text:gmatch "(%w+)=(%S+)" do result[name] = tonumber(value) end
  if not result.conns then error(text, 0) end
  return result
end

-- Values by run and round, ratios by round.
local function measure(cell, runs)
  local values, ratios = {}, #cell.runs > 1 and {} or nil
  for i = 1, #runs do values[i] = {} end
  for round = 1, cell.once and quick and 1 or rounds do
    for i, run in ipairs(runs) do values[i][round] = cell.measure[2](run_load(run)) end
    if ratios then ratios[round] = values[1][round] / values[2][round] end
  end
  return values, ratios
end

-- The cell's own runs and, when asked for, those of other servers.
local function all_runs(cell)
  local runs = table.move(cell.runs, 1, #cell.runs, 1, {})
  if option.peers and cell.peers then
    for _, name in ipairs(servers.peers(cell.with)) do runs[#runs + 1] = { name, cell.peers } end
  end
  return runs
end

local function run_cell(cell)
  local runs = all_runs(cell)
  local ok, values, ratios = pcall(measure, cell, runs)
  if not ok then
    count.failed = count.failed + 1
    return print(("%-52s FAILED: %s"):format(cell.name, values))
  end
  local others = ""
  for i = #cell.runs + 1, #runs do
    local times = median(values[1]) / median(values[i])
    others = ("%s  %s %s (ours x %.1f)"):format(others, runs[i][1], number(median(values[i])), times)
    if cell.beats and i == #cell.runs + 1 then
      others = ("%s, at least %.1f: %s"):format(others, cell.beats, verdict({ least = cell.beats }, times))
    end
  end
  show(cell, values, ratios, others)
end

local function run_group(group)
  local name, against, make = table.unpack(group)
  local measured
  for _, cell in ipairs(make(quick, servers.most_connections(10000))) do
    if (name .. "/" .. cell.name):find(pattern) then
      if measured ~= cell.measure then
        print ""
        row(name .. ": " .. cell.measure[1], "ours", against, against and "ratio", nil,
          cell.most and "most" or "least", "aim")
        measured = cell.measure
      end
      run_cell(cell)
    end
  end
end

local function run_micro()
  local results
  for _, t in ipairs(cells.micro) do
    if ("micro/" .. t[1]):find(pattern) then
      if not results then
        results = servers.micro()
        print ""
        row("micro: GB per second of CPU", "ours", nil, nil, nil, "least")
      end
      local value = results[t[1]]
      row(t[1], number(value), nil, nil, nil, number(t[2]), nil, " " .. verdict({ least = t[2] }, value))
    end
  end
end

-- ---- main ------------------------------------------------------------------------

local function main()
  print(("%d rounds of %g s; %s"):format(rounds, seconds, servers.describe()))
  for _, group in ipairs(cells.groups) do run_group(group) end
  run_micro()
  print(("\n%d reach the aim, %d what they must, %d stay under it, %d failed"):format(
    count.aim, count.ok, count.UNDER, count.failed))
end

servers.open(root, build)
local ok, err = xpcall(main, debug.traceback)
servers.close()
if not ok then io.stderr:write(err, "\n") end
os.exit(ok and count.failed == 0 and (not option.strict or count.UNDER == 0), true)
