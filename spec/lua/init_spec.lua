-- spec/lua/init_spec.lua -- what require "wsock" gives.

local lu = require "luaunit"
local core = require "wsock.core"
local process = require "support.process"
local wsock = require "wsock"

local T = {}

local functions = {
  "WebSocket", "listen", "loop", "run", "step", "stop", "now", "after", "every", "watch", "signal",
  "setTimeout", "setInterval", "clearTimeout", "clearInterval", "constantTimeEquals", "blob", "arraybuffer",
  "router", "connect", "spawn", "sleep",
  "static", "hub", "reconnecting", "digest", "broadcast",
}

function T:tearDown()
  wsock.onerror = nil
end

function T:test_every_name()
  local names = {}
  for key, value in pairs(wsock) do names[key] = type(value) end
  for _, name in ipairs(functions) do
    lu.assertEquals(names[name], "function", name)
    names[name] = nil
  end
  lu.assertEquals(names, {
    protocol = "table", adapter = "table", resty = "table", closeCodes = "table", _VERSION = "string",
    CONNECTING = "number", OPEN = "number", CLOSING = "number", CLOSED = "number",
  })
end

function T:test_constants_are_the_browsers()
  lu.assertEquals({ wsock.CONNECTING, wsock.OPEN, wsock.CLOSING, wsock.CLOSED }, { 0, 1, 2, 3 })
end

function T:test_version()
  lu.assertStrMatches(wsock._VERSION, "wsock %d+%.%d+%.%d+")
end

function T:test_protocol_has_both_roles()
  lu.assertEquals(type(wsock.protocol.client), "function")
  lu.assertEquals(type(wsock.protocol.server), "function")
end

-- S67: 1000 to 1015, both ways.
function T:test_close_codes_both_ways()
  for code = 1000, 1015 do
    local name = wsock.closeCodes[code]
    lu.assertEquals(type(name), "string", code)
    lu.assertEquals(wsock.closeCodes[name], code)
  end
  lu.assertEquals(wsock.closeCodes.GOING_AWAY, 1001)
  lu.assertNil(wsock.closeCodes[999])
  lu.assertNil(wsock.closeCodes[1016])
end

function T:test_fields_cannot_be_set()
  local function set(name) wsock[name] = 1 end
  lu.assertErrorMsgContains("'onmesage' of wsock cannot be set", set, "onmesage")
  lu.assertErrorMsgContains("'run' of wsock cannot be set", set, "run")
  lu.assertErrorMsgContains("init_spec.lua", set, "run") -- the blame is the caller's
  lu.assertErrorMsgContains("'1' of wsock cannot be set", set, 1)
end

function T:test_the_fields_of_the_default_loop()
  local default = require "wsock.core".defaultLoop()
  lu.assertEquals(wsock.handshakesMax, 256)
  wsock.handshakesMax = 3
  lu.assertEquals({ wsock.handshakesMax, default.handshakesMax, wsock.loop().handshakesMax }, { 3, 3, 256 })
  wsock.handshakesMax = 256
  for name, message in pairs { handshakesMax = "handshakesMax must be an integer from 1 to 2147483647, got string",
    onerror = "onerror must be a function, got string" } do
    local _, why = pcall(function() wsock[name] = "x" end)
    lu.assertStrMatches(why, ".*init_spec%.lua:%d+: " .. message)
  end
end

function T:test_what_does_not_exist_is_nil()
  for _, name in ipairs { "websocket", "Router", "new", "socket", "1" } do
    lu.assertNil(wsock[name], name)
  end
end

function T:test_adapters_are_loaded_when_asked_for()
  local output, code = process.run_lua { "-e", [[
    local wsock = require "wsock"
    print(package.loaded.luv, wsock.adapter.luv == require "wsock.adapter.luv", package.loaded.luv ~= nil)
    print(package.loaded["wsock.resty.client"], wsock.resty.client == require "wsock.resty.client")
    print(pcall(function() return wsock.adapter.libuv end))
  ]] }
  lu.assertStrMatches(output, "nil%\ttrue\ttrue\nnil%\ttrue\nfalse\t.*module 'wsock.adapter.libuv' not found.*")
  lu.assertEquals(code, 0)
end

function T:test_the_metatable_is_out_of_reach()
  lu.assertEquals(getmetatable(wsock), false)
  lu.assertError(setmetatable, wsock, {})
end

function T:test_it_is_one_module()
  lu.assertIs(require "wsock", wsock)
end

function T:test_onerror_is_the_default_loops()
  local function handler() end
  lu.assertNil(wsock.onerror)
  wsock.onerror = handler
  lu.assertIs(wsock.onerror, handler)
  lu.assertIs(core.defaultLoop().onerror, handler)
  core.defaultLoop().onerror = nil
  lu.assertNil(wsock.onerror)
  lu.assertErrorMsgContains("onerror must be a function", function() wsock.onerror = 1 end)
end

function T:test_onerror_hears_of_a_timers_error()
  local heard
  wsock.onerror = function(...) heard = table.pack(...) end
  wsock.after(0, function() error("oh", 0) end)
  wsock.run()
  lu.assertEquals({ heard[1], heard.n }, { "oh", 2 })
  lu.assertStrContains(heard[2], "stack traceback")
end

function T:test_functions_belong_to_the_default_loop()
  local called = {}
  local function note(name) return function() called[#called + 1] = name end end
  wsock.after(0.001, note "module")
  core.defaultLoop():after(0.002, note "loop")
  wsock.run()
  lu.assertEquals(called, { "module", "loop" })
end

-- No descriptor, no loop, no thread before the first use.
function T:test_loading_does_nothing()
  local output, code = process.run_lua { "-e", [[
    local function open()
      local n = 0
      for fd = 0, 63 do
        local file <close> = io.open("/proc/self/fdinfo/" .. fd)
        n = n + (file and 1 or 0)
      end
      return n
    end
    local before = open()
    local wsock = require "wsock"
    local between = open()
    local timer = wsock.after(1, print)
    print(between - before, open() > between)
    timer:cancel()
  ]] }
  lu.assertEquals({ output, code }, { "0\ttrue\n", 0 })
end

-- AU-17
function T:test_constant_time_equals()
  lu.assertTrue(wsock.constantTimeEquals("", ""))
  lu.assertTrue(wsock.constantTimeEquals("a\0b", "a\0b"))
  for _, other in ipairs { "", "a", "a\0c", "A\0b", "a\0b ", "b\0b" } do
    lu.assertFalse(wsock.constantTimeEquals("a\0b", other))
  end
  lu.assertErrorMsgContains("b must be a string", wsock.constantTimeEquals, "a")
end

-- Misuse is told at the line that did it, not at one of ours.
function T:test_where_misuse_stands()
  local loop <close> = wsock.loop()
  local away = wsock.reconnecting("ws://127.0.0.1:1/", { loop = loop })
  local hub, router = wsock.hub(), wsock.router()
  for i, misuse in ipairs {
    function() wsock.onerror = 1 end,
    function() wsock.WebSocket "nonsense" end,
    function() wsock.connect "nonsense" end,
    function() wsock.connect("ws://h/", { x = 1 }) end,
    function() wsock.listen { x = 1 } end,
    function() wsock.reconnecting("ws://h/", { maxDelays = 1 }) end,
    function() away:on("opn", print) end,
    function() away:once("open", 1) end,
    function() away:off "opn" end,
    function() away:addEventListener("open", print, { x = 1 }) end,
    function() away:send {} end,
    function() away:send "\xff" end,
    function() away.x = 1 end,
    function() away.onopen = 1 end,
    function() away:close(1) end,
    function() away:receive "x" end,
    function() hub:join(1, "x") end,
    function() hub:publish("x", {}) end,
    function() router:get("x", print) end,
    function() wsock.static "/no/such/directory" end,
    function() wsock.adapter.cqueues.listen { x = 1 } end,
    function() wsock.adapter.cqueues.listen { port = 0 } end,
  } do
    local line = debug.getinfo(misuse, "S").linedefined
    local ok, message = pcall(misuse)
    lu.assertFalse(ok, i)
    lu.assertStrContains(message, ("init_spec.lua:%d: "):format(line))
    lu.assertEquals(select(2, message:gsub("%.lua:%d+:", "")), 1, message)
  end
  away:terminate()
end

return T
