-- spec/lint/names.lua -- what the compiled files show and keep.
--
--   lua5.4 spec/lint/names.lua MODULE OBJDIR
--
-- The module exports luaopen_wsock_* and nothing else; what one file offers
-- another starts with ws_; nothing writable lives outside a function's caller:
-- no .data and no .bss, since all state hangs off a loop or an object.

local module, objects = assert(arg[1]), assert(arg[2])
package.path = "spec/?.lua;" .. package.path
local globals = require "lint.rules".globals

local breaches = 0
local function breach(file, message, ...)
  breaches = breaches + 1
  print(("%s: " .. message):format(file, ...))
end

local function symbols(options, file)
  local list = {}
  local pipe = assert(io.popen(("nm -f sysv %s '%s'"):format(options, file)))
  for line in pipe:lines() do
    local name, class, section = line:match "^(%S+)%s*|[^|]*|%s*(%S+)%s*|[^|]*|[^|]*|[^|]*|%s*(%S*)"
    if name and name ~= "Name" then list[#list + 1] = { name = name, class = class, section = section } end
  end
  assert(pipe:close(), "nm failed on " .. file)
  return list
end

local exported = symbols("-D --defined-only", module)
if #exported == 0 then breach(module, "exports nothing") end
for _, s in ipairs(exported) do
  if not s.name:find "^luaopen_wsock_" then breach(module, "exports %s", s.name) end
end

local files = 0
local pipe = assert(io.popen "ls csrc/*/*.c")
for source in pipe:lines() do
  local file = objects .. source:gsub("^csrc", ""):gsub("c$", "o")
  files = files + 1
  for _, s in ipairs(symbols("-g --defined-only", file)) do
    if not s.name:find "^ws_" and not (s.name:find "^luaopen_wsock_" and file:find "/bind/") then
      breach(file, "%s does not start with ws_", s.name)
    end
  end
  for _, s in ipairs(symbols("--defined-only", file)) do
    local at = s.section
    local writable = at == ".data" or at:find "^%.bss" or at:find "^%.t[bd]" or at:find "^%.data%.[^r]" or at == "*COM*"
    if writable and not globals[source:gsub("^csrc/", "")] then
      breach(file, "%s is a global variable (%s)", s.name, s.section)
    end
  end
end
pipe:close()
print(("names: %d exported, %d objects, %d breaches"):format(#exported, files, breaches))
os.exit(breaches == 0)
