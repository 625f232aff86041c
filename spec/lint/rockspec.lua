-- spec/lint/rockspec.lua -- the rockspec lists exactly what the tree holds.
--
--   lua5.4 spec/lint/rockspec.lua            compare, exit 1 on a difference
--   lua5.4 spec/lint/rockspec.lua --write    put the lists in order
--
-- The Makefile finds sources by itself; luarocks wants them listed.

local file = "rockspec/wsock-scm-1.rockspec"

local function read(path)
  local f = assert(io.open(path))
  local text = f:read "a"
  f:close()
  return text
end

local function list(command)
  local t = {}
  local pipe = assert(io.popen(command .. " | LC_ALL=C sort"))
  for line in pipe:lines() do t[#t + 1] = line end
  pipe:close()
  return t
end

local sources = list "find csrc -name '*.c'"
local headers = list "find csrc -name '*.h'"
local modules = list "find lua -name '*.lua' 2>/dev/null"

-- lua/wsock/init.lua is module wsock, lua/wsock/x/y.lua is wsock.x.y.
local function module_name(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

-- Which libraries the sources ask for, by their headers.
local function libraries()
  local all = {}
  for i, path in ipairs(sources) do all[i] = read(path) end
  for _, path in ipairs(headers) do all[#all + 1] = read(path) end
  local text = table.concat(all, "\n")
  local libs = {}
  if text:find "include <openssl/ssl" then libs[#libs + 1] = "ssl" end
  if text:find "include <openssl/" then libs[#libs + 1] = "crypto" end
  if text:find "include <zlib" then libs[#libs + 1] = "z" end
  if text:find "include <pthread" then libs[#libs + 1] = "pthread" end
  if text:find "include <math" then libs[#libs + 1] = "m" end
  if text:find "include <dlfcn" then libs[#libs + 1] = "dl" end
  return libs
end

-- The three lists as they should stand, by the names of their markers.
local function wanted()
  local lua, c, libs = {}, {}, {}
  for _, path in ipairs(modules) do
    lua[#lua + 1] = ("    [\"%s\"] = \"%s\",\n"):format(module_name(path), path)
  end
  for _, path in ipairs(sources) do c[#c + 1] = ("        \"%s\",\n"):format(path) end
  for _, name in ipairs(libraries()) do libs[#libs + 1] = ("        \"%s\",\n"):format(name) end
  return { modules = table.concat(lua), sources = table.concat(c), libraries = table.concat(libs) }
end

-- The text between "-- <name>:" and "-- end" lines.
local text = read(file)
local fresh = text
for name, body in pairs(wanted()) do
  local from = select(2, assert(fresh:find("%-%- " .. name .. ":[^\n]*\n")))
  local to = fresh:find("[^\n]*%-%- end", from)
  fresh = fresh:sub(1, from) .. body .. fresh:sub(to)
end
if arg[1] == "--write" then
  local f = assert(io.open(file, "w"))
  f:write(fresh)
  f:close()
elseif fresh ~= text then
  print(file .. ": its lists differ from the tree; lua5.4 spec/lint/rockspec.lua --write")
  os.exit(1)
end

-- It must also be what luarocks reads: plain assignments.
local spec = {}
assert(load(fresh, "=" .. file, "t", spec))()
local core = spec.build.modules["wsock.core"]
assert(#core.sources == #sources, "sources")
assert(core.defines[1] == "_GNU_SOURCE", "defines")
-- LuaRocks looks for what is named, and says what is missing.
local dependency = { crypto = "CRYPTO", ssl = "OPENSSL", z = "ZLIB" }
for _, name in ipairs(libraries()) do
  local dep = dependency[name]
  if dep then
    assert((spec.external_dependencies[dep] or {}).library == name, "external dependency " .. dep)
    local dirs = table.concat(core.incdirs, " ") .. table.concat(core.libdirs, " ")
    assert(dirs:find("$(" .. dep .. "_INCDIR)", 1, true) and dirs:find("$(" .. dep .. "_LIBDIR)", 1, true), dep)
  end
end
for _, path in pairs(spec.build.install.bin) do read(path) end
local count = 0
for _ in pairs(spec.build.modules) do count = count + 1 end
assert(count == #modules + 1, "modules")
print(("rockspec: %d sources, %d modules"):format(#sources, #modules))
