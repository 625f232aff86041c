-- What luaopen_wsock_core opens, and that it may be opened twice.
local lu = require "luaunit"
local core = require "wsock.core"

local T = {}

function T:test_everything_is_in_one_table()
  for name, kind in pairs {
    WebSocket = "function", listen = "function", loop = "function", run = "function",
    step = "function", stop = "function", now = "function", after = "function",
    every = "function", watch = "function", signal = "function", setTimeout = "function",
    setInterval = "function", clearTimeout = "function", clearInterval = "function",
    codec = "table", wire = "table", protocol = "table", closeCodes = "table", _VERSION = "string",
  } do
    lu.assertEquals(type(core[name]), kind, name)
  end
end

function T:test_version()
  lu.assertStrMatches(core._VERSION, "wsock %d+%.%d+%.%d+")
end

-- CC: names to numbers and numbers to names, as IANA has them
function T:test_close_codes_both_ways()
  local count = 0
  for key, value in pairs(core.closeCodes) do
    lu.assertEquals(core.closeCodes[value], key)
    count = count + 1
  end
  lu.assertEquals(count, 32) -- 1000 to 1015, both ways
  for code = 1000, 1015 do lu.assertIsString(core.closeCodes[code]) end
  lu.assertEquals(core.closeCodes.GOING_AWAY, 1001)
  lu.assertEquals(core.closeCodes[1009], "MESSAGE_TOO_BIG")
end

function T:test_opening_it_again_gives_the_same_classes()
  local path = assert(package.searchpath("wsock.core", package.cpath))
  local open = assert(package.loadlib(path, "luaopen_wsock_core"))
  local again = open("wsock.core", path)
  lu.assertNotEquals(again, nil)
  lu.assertEquals(again._VERSION, core._VERSION)
  local loop <close> = again.loop()
  lu.assertStrContains(tostring(loop), "wsock.loop")
  lu.assertEquals(again.defaultLoop(), core.defaultLoop()) -- one default loop a state
end

return T
