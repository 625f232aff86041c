-- spec/cover/run.lua -- line coverage of csrc/, in two readings.
--
--   lua5.4 spec/cover/run.lua BUILDDIR [layer/name ...]
--
-- First every source file by its own spec alone (spec/<layer>/<name>_spec.lua):
-- base, wire and proto are to reach 100 % this way, lines marked /* no cover */
-- aside.  Then all files by the whole suite without interop.  Prints one line
-- per file with the line numbers that never ran.  Exit code 1 when a file of
-- those three layers has a gap in the first reading.

local build = assert(arg[1])
package.path = "spec/?.lua;" .. package.path
local rules = require "lint.rules"
local full = { base = true, wire = true, proto = true }

local function capture(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  return text, (pipe:close())
end

local function forget()
  os.execute(("find '%s/obj' -name '*.gcda' -delete"):format(build))
end

-- What gcov says of one source: lines with code, lines that ran, the gaps.
local function measure(file)
  local object = ("%s/obj/%s"):format(build, (file:gsub("%.c$", "")))
  local total, ran, gaps = 0, 0, {}
  if not io.open(object .. ".gcda") then return nil end
  local text = capture(("gcov -t '%s.gcda' 2>/dev/null"):format(object))
  local here
  for line in text:gmatch "[^\n]+" do
    local count, number, code = line:match "^%s*([^:]+):%s*(%d+):(.*)$"
    if number == "0" and code:find "^Source:" then
      here = code:sub(8) == "csrc/" .. file
    elseif here and number and count ~= "-" then
      local excused = code:find("/* no cover", 1, true)
      if not count:find "#" or not excused then
        total = total + 1
        if count:find "#" then gaps[#gaps + 1] = tonumber(number) else ran = ran + 1 end
      end
    end
  end
  return total, ran, gaps
end

-- 3 4 5 9 as "3-5 9"
local function ranges(list)
  local parts, i = {}, 1
  while i <= #list do
    local j = i
    while list[j + 1] and list[j + 1] - list[j] <= 1 do j = j + 1 end
    parts[#parts + 1] = i == j and tostring(list[i]) or list[i] .. "-" .. list[j]
    i = j + 1
  end
  return table.concat(parts, " ")
end

-- Prints one line; true when nothing is missing.
local function report(file)
  local total, ran, gaps = measure(file)
  if not total then
    print(("%-26s  never ran"):format(file))
    return false
  end
  print(("%-26s %5.1f %%  %d of %d%s"):format(file, total == 0 and 100 or ran * 100 / total, ran, total,
    #gaps > 0 and "  missing " .. ranges(gaps) or ""))
  return #gaps == 0, total, ran
end

local files = {}
for path in capture "cd csrc && ls */*.c":gmatch "[^\n]+" do
  local wanted = #arg == 1
  for i = 2, #arg do wanted = wanted or path:find(arg[i], 1, true) end
  if wanted then files[#files + 1] = path end
end

local suite = ("WSOCK_BUILD='%s' lua5.4 spec/run.lua --not=interop/ "):format(build)
print "== each file by its own spec"
local short = 0
for _, file in ipairs(files) do
  forget()
  local spec = rules.covered_by[file] or rules.spec_of(file)
  local text = ""
  for backend in ("epoll poll"):gmatch "%a+" do
    if backend == "epoll" or file:find "^loop/" then
      text = capture(("WSOCK_BACKEND=%s %s '%s' 2>&1"):format(backend, suite, spec))
    end
  end
  local complete = report(file)
  if text:find "\nFAILED" or text:find "^FAILED" then print "  (its spec fails)" end
  if not complete and full[file:match "^[^/]+"] then short = short + 1 end
end

if #arg == 1 then
  print "== all files by the whole suite"
  forget()
  for backend in ("epoll poll"):gmatch "%a+" do
    local text = capture(("WSOCK_BACKEND=%s %s 2>&1"):format(backend, suite))
    print(backend .. ": " .. (text:match "([^\n]*)\n*$" or ""))
  end
  local all, run = 0, 0
  for _, file in ipairs(files) do
    local _, total, ran = report(file)
    all, run = all + (total or 0), run + (ran or 0)
  end
  print(("total %.1f %% of %d lines"):format(run * 100 / math.max(all, 1), all))
end
print(("cover: %d files of base, wire and proto are not covered by their own spec"):format(short))
os.exit(short == 0)
