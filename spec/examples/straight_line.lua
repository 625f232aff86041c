-- spec/examples/straight_line.lua -- asks an echo a few questions, one after
-- the other: no handler, no run().
--
--   lua5.4 straight_line.lua [url [line ...]]      ws://127.0.0.1:8080/

local wsock = require "wsock"

local url = arg[1] or "ws://127.0.0.1:8080/"
local lines = #arg > 1 and { table.unpack(arg, 2) } or { "hello", "how are you?", "bye" }

local socket <close>, message = wsock.connect(url)
if not socket then
  print("no connection: " .. message)
  os.exit(1)
end

for _, line in ipairs(lines) do
  socket:send(line)
  local answer, why, code = socket:receive(5) -- seconds
  if answer then
    print(line .. " -> " .. answer)
  elseif code == "TIMEOUT" then
    print(line .. " -> (nothing yet)") -- and nothing is lost: it may still come
  else
    print("the end: " .. why)
    os.exit(1)
  end
end

socket:close(1000, "that was all")
for late in socket:messages() do print("late: " .. late) end
print("closed with " .. select(4, socket:receive()))
