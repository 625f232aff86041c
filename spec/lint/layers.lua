-- spec/lint/layers.lua -- the house rules a machine can read, over csrc/.
--
--   lua5.4 spec/lint/layers.lua [root]
--
-- Prints every breach as file:line: message and exits 1 if there is one:
-- includes point down, headers form no cycle, powers stay where they belong,
-- sizes stay under their ceilings, files open as they should, every source has
-- its spec.  The tables are in rules.lua.

local root = arg[1] or "."
package.path = root .. "/spec/?.lua;" .. package.path
local rules = require "lint.rules"
local most = rules.most

local breaches = 0
local function breach(file, n, message, ...)
  breaches = breaches + 1
  print(("%s:%d: " .. message):format(file, n, ...))
end

local function read(path)
  local f = io.open(path, "rb")
  local text = f and f:read "a"
  if f then f:close() end
  return text
end

local function list(command)
  local files = {}
  local pipe = assert(io.popen("cd '" .. root .. "' && " .. command))
  for path in pipe:lines() do files[#files + 1] = path end
  pipe:close()
  return files
end

local function matches(text, patterns, first)
  for i = first or 1, #patterns do
    if text:find(patterns[i]) then return true end
  end
  return false
end

local function lines(text)
  local n = 0
  return coroutine.wrap(function()
    for line in (text:gsub("\n$", "") .. "\n"):gmatch "(.-)\n" do
      n = n + 1
      coroutine.yield(n, line)
    end
  end)
end

-- Comments and the insides of strings become blanks; line breaks stay, so that
-- numbers hold and words in prose do not count as code.
local function bare(text)
  local out, at = {}, 1
  while true do
    local from, to, opening = text:find("(/%*)", at)
    local qfrom, qto = text:find("\"[^\"\n]*\"", at)
    local cfrom, cto = text:find("'[^'\n]+'", at)
    if cfrom and (not qfrom or cfrom < qfrom) then qfrom, qto = cfrom, cto end
    if qfrom and (not from or qfrom < from) then
      from, to, opening = qfrom, qto, nil
      -- an escaped quote does not end a string
      while text:sub(to - 1, to - 1) == "\\" and text:sub(to - 2, to - 2) ~= "\\" do
        to = text:find(text:sub(qfrom, qfrom), to + 1, true) or #text
      end
    end
    if not from then break end
    if opening then to = select(2, text:find("*/", to + 1, true)) or #text end
    out[#out + 1] = text:sub(at, from - 1)
    local inside = text:sub(from, to):gsub("[^\n]", " ")
    out[#out + 1] = opening and inside or text:sub(from, from) .. inside:sub(3) .. text:sub(from, from)
    at = to + 1
  end
  return table.concat(out) .. text:sub(at)
end

-- ---- one check per function: (file in csrc, text, text without prose) ---------

local edges = {}

local allowed = {}
for layer, below in pairs(rules.may) do
  allowed[layer] = { [layer] = true }
  for _, name in ipairs(below) do allowed[layer][name] = true end
end

local function check_own_include(file, n, inc)
  local layer, to = file:match "^[^/]+", inc:match "^([^/]+)/"
  if not to then
    breach(file, n, "include \"%s\" by its layer: \"%s/%s\"", inc, layer, inc)
  elseif not (allowed[layer] or {})[to] then
    breach(file, n, "%s may not include %s", layer, inc)
  elseif not read(root .. "/csrc/" .. inc) then
    breach(file, n, "there is no %s", inc)
  end
  table.insert(edges[file], inc)
end

local function check_includes(file, text)
  local own = file:gsub("%.c$", ".h")
  local first, system
  edges[file] = {}
  for n, line in lines(text) do
    local inc = line:match "^%s*#%s*include%s*\"([^\"]+)\""
    local sys = line:match "^%s*#%s*include%s*<([^>]+)>"
    if inc then
      check_own_include(file, n, inc)
      if system then breach(file, n, "\"%s\" after <%s>: own headers come first", inc, system) end
      if not first and own ~= file and inc ~= own and read(root .. "/csrc/" .. own) then
        breach(file, n, "the first include should be \"%s\"", own)
      end
      first = first or inc
    elseif sys then
      system = sys
      for _, rule in ipairs(rules.headers) do
        if sys:find(rule[1]) then
          if not matches(file, rule, 2) then breach(file, n, "<%s> is not this file's power", sys) end
          break
        end
      end
    end
  end
end

local function check_calls(file, _, code)
  for n, line in lines(code) do
    for before, name in line:gmatch "([^%w_]?)%f[%w_]([%a_][%w_]*)%s*%(" do
      local files = rules.calls[name]
      local member = before == "." or before == ">" or before == "*"
      if files and not member and not matches(file, files) then
        breach(file, n, "%s() is not this file's power", name)
      end
    end
    if line:find "^%s*#%s*if" and matches(line, rules.systems) and not matches(file, rules.platforms) then
      breach(file, n, "platforms are told apart in net/ and loop/ only")
    end
  end
end

local function check_style(file, text, code)
  for n, line in lines(text) do
    local width = utf8.len(line) or #line
    if width > most.line then breach(file, n, "line of %d columns (most %d)", width, most.line) end
    if line:find "\t" then breach(file, n, "a tab") end
    if line:find "%s$" then breach(file, n, "blanks at the end of the line") end
  end
  for n, line in lines(code) do
    local blanks, word = line:match "^( +)(%a+)%f[^%w_]"
    if word == "if" or word == "for" or word == "while" or word == "switch" or word == "do" then
      if #blanks // 4 > most.nesting then breach(file, n, "nested %d deep (most %d)", #blanks // 4, most.nesting) end
    end
    if line:find "^%s*[%a}]*%s*if %(.-[^=!<>]=[^=]" then breach(file, n, "assignment in a condition") end
    if line:find "//" then breach(file, n, "comments are /* */") end
    if line:find "^typedef.*%*%s*[%w_]+;" then breach(file, n, "no typedefs of pointers") end
    if line:find "^typedef.*_t;" then breach(file, n, "no type names in _t") end
  end
end

local function check_functions(file, _, code)
  local start
  for n, line in lines(code) do
    if line == "{" then
      start = n
    elseif start and line:find "^}" then
      if n - start + 1 > most.fn then
        breach(file, start, "function of %d lines (most %d)", n - start + 1, most.fn)
      end
      start = nil
    end
  end
  local at = 1
  while true do -- a name at the left margin's line with a parenthesis: a head
    local from, to, name, params = code:find("\n[%a_][%w_ %*\n]-([%w_]+)(%b())%s-[{;]", at)
    if not from then break end
    local _, commas = params:sub(2, -2):gsub("%b()", ""):gsub(",", "")
    if commas + 1 > most.params and not rules.given[name] then
      local _, n = code:sub(1, from):gsub("\n", "")
      breach(file, n + 1, "%s takes %d parameters (most %d)", name, commas + 1, most.params)
    end
    at = to
  end
end

local function check_frame(file, text)
  local isheader = file:find "%.h$"
  local _, n = text:gsub("\n", "")
  local limit = isheader and most.header or most.file
  if n > limit then breach(file, n, "file of %d lines (most %d)", n, limit) end
  if text:sub(1, #file + 7) ~= "/* " .. file .. " -- " then
    breach(file, 1, "should open with /* %s -- what it is", file)
  end
  if isheader then
    local guard = "WS_" .. file:gsub("[/.]", "_"):upper()
    if not text:find("\n#ifndef " .. guard .. "\n#define " .. guard .. "\n", 1, true) then
      breach(file, 1, "the guard should be %s", guard)
    end
  end
end

local function check_spec(file)
  if not file:find "%.c$" then return end
  local spec = rules.covered_by[file] or rules.spec_of(file)
  if not read(root .. "/spec/" .. spec .. "_spec.lua") then
    breach(file, 1, "there is no spec/%s_spec.lua", spec)
  end
end

-- ---- main ----------------------------------------------------------------------

local files = list "cd csrc && find . -name '*.[ch]' | LC_ALL=C sort | sed 's,^[.]/,,'"
for _, file in ipairs(files) do
  local text = read(root .. "/csrc/" .. file)
  local code = bare(text)
  if not rules.may[file:match "^[^/]+"] then breach(file, 1, "its folder is no layer") end
  check_includes(file, text)
  for _, check in ipairs { check_calls, check_style, check_functions, check_frame, check_spec } do
    check(file, text, code)
  end
end

local state = {}
local function visit(file, trail)
  if state[file] == "done" then return end
  if state[file] then return breach(file, 1, "include cycle: %s", trail) end
  state[file] = "open"
  for _, to in ipairs(edges[file] or {}) do visit(to, trail .. " -> " .. to) end
  state[file] = "done"
end
for _, file in ipairs(files) do visit(file, file) end

for _, file in ipairs(list "find lua -name '*.lua' 2>/dev/null") do
  local text = read(root .. "/" .. file)
  local _, n = text:gsub("\n", "")
  if n > most.lua_file then breach(file, n, "file of %d lines (most %d)", n, most.lua_file) end
  local spec = "spec/lua/" .. file:match "^lua/wsock/(.*)%.lua$" .. "_spec.lua"
  local types = file:find "/meta[%w_]*%.lua$"
  if not types and not read(root .. "/" .. spec) then breach(file, 1, "there is no %s", spec) end
end
local _, height = (read(root .. "/Makefile") or ""):gsub("\n", "")
if height > most.makefile then breach("Makefile", height, "file of %d lines (most %d)", height, most.makefile) end

print(("layers: %d files, %d breaches"):format(#files, breaches))
os.exit(breaches == 0)
