-- spec/lint/links.lua -- links each layer with only what lies below it.
--
--   lua5.4 spec/lint/links.lua OBJDIR "LIBRARIES"
--
-- An include tells what a file may see; the linker tells what it really uses.
-- Undefined symbols are errors here, so a layer that calls upwards, by a
-- declaration of its own for instance, does not link.

local objects, libraries = assert(arg[1]), arg[2] or ""
package.path = "spec/?.lua;" .. package.path
local rules = require "lint.rules"

local failed = 0

-- The objects of a layer's sources (not of sources that are gone).
local function glob(layer)
  local list = {}
  local pipe = assert(io.popen(("ls csrc/%s/*.c 2>/dev/null"):format(layer)))
  for path in pipe:lines() do list[#list + 1] = objects .. path:gsub("^csrc", ""):gsub("c$", "o") end
  pipe:close()
  return table.concat(list, " ")
end

os.execute(("mkdir -p %s/links"):format(objects))
for _, layer in ipairs(rules.order) do
  local own = glob(layer)
  if own ~= "" then
    local parts = { "gcc -shared -Wl,-z,defs -o", ("%s/links/%s.so"):format(objects, layer), own }
    for _, below in ipairs(rules.may[layer]) do parts[#parts + 1] = glob(below) end
    -- the interpreter's API: only here, to resolve what a module leaves open
    parts[#parts + 1] = layer == "bind" and "-llua5.4" or ""
    parts[#parts + 1] = libraries
    if not os.execute(table.concat(parts, " ")) then
      failed = failed + 1
      print(("csrc/%s needs more than the layers below it"):format(layer))
    end
  end
end
print(("links: %d layers, %d failed"):format(#rules.order, failed))
os.exit(failed == 0)
