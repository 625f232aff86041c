-- The words in which misuse is refused, seen through the functions that use
-- them: which value, what it should have been, what it was.
local lu = require "luaunit"
local wsock = require "wsock"

local T = {}

local function refused(message, fn, ...)
  lu.assertErrorMsgContains(message, fn, ...)
end

local function client(options)
  return function() return wsock.WebSocket("ws://127.0.0.1:1/", nil, options) end
end

local function server(options)
  options.port = options.port or 0
  return function() return wsock.listen(options) end
end

function T:test_unknown_options_name_the_nearest()
  refused("unknown option 'maxPayloads'; did you mean 'maxPayload'?", client { maxPayloads = 1 })
  refused("unknown option 'pingintervall'; did you mean 'pingInterval'?", server { pingintervall = 1 })
  refused("unknown option 'xyzzy'", client { xyzzy = 1 })
  local _, message = pcall(client { xyzzy = 1 })
  lu.assertNotStrContains(message, "did you mean")
  refused("every option must have a name, got a number key", client { "maxPayload" })
end

function T:test_options_in_the_place_of_subprotocols()
  local message = "protocols must be a list of names, got the key 'headers'; options are the third argument"
  refused(message, wsock.WebSocket, "ws://127.0.0.1:1/", { headers = {} })
end

function T:test_functions_called_with_a_colon()
  for _, call in ipairs {
    function() wsock:WebSocket "ws://127.0.0.1:1/" end, function() wsock:connect "ws://127.0.0.1:1/" end,
    function() wsock:listen { port = 0 } end, function() wsock:after(1, print) end, function() wsock:sleep(1) end,
    function() wsock:setTimeout(print, 1) end, function() wsock:spawn(print) end, function() wsock:router() end,
    function() wsock:hub {} end, function() wsock:static "." end, function() wsock:reconnecting "ws://a/" end,
  } do
    refused("functions of wsock are called with '.', not ':'", call)
  end
end

function T:test_methods_called_with_a_dot()
  local loop <close> = wsock.loop()
  local made <close> = assert(wsock.listen { port = 0, loop = loop })
  local socket = wsock.WebSocket("ws://127.0.0.1:1/", nil, { loop = loop })
  refused("wsock.socket expected, got string; methods are called with ':')", socket.send, "x")
  refused("wsock.socket expected, got wsock.server; methods are called with ':')", socket.close, made)
  refused("wsock.server expected, got string; methods are called with ':')", made.broadcast, "x")
  refused("wsock.loop expected, got no value; methods are called with ':')", loop.run)
end

function T:test_types_are_named()
  refused("option 'maxPayload' must be a number, got string", client { maxPayload = "1" })
  refused("option 'autoPong' must be a boolean, got number", client { autoPong = 1 })
  refused("option 'origin' must be a string, got table", client { origin = {} })
  refused("url must be a string, got nil", wsock.WebSocket, nil)
  refused("options must be a table, got string", wsock.WebSocket, "ws://127.0.0.1:1/", nil, "x")
end

function T:test_ranges_are_told()
  refused("option 'maxHeaderSize' must be an integer from 256 to 1048576", client { maxHeaderSize = 255 })
  refused("option 'maxHeaderSize' must be an integer from 256 to 1048576", client { maxHeaderSize = 1048577 })
  refused("option 'maxPayload' must be an integer >= 0", client { maxPayload = -1 })
  refused("option 'maxPayload' must be an integer >= 0", client { maxPayload = 1.5 })
  refused("option 'pingInterval' must be a number of seconds >= 0", client { pingInterval = -1 })
  refused("option 'pingInterval' must be a number of seconds >= 0", client { pingInterval = 0 / 0 })
end

function T:test_seconds()
  local loop <close> = wsock.loop()
  local function nothing() end
  refused("seconds must be a number of seconds, got string", function() loop:after("1", nothing) end)
  refused("seconds must be a number of seconds >= 0", function() loop:after(-0.1, nothing) end)
  refused("seconds must be a number of seconds >= 0", function() loop:after(0 / 0, nothing) end)
  loop:after(math.huge, nothing):cancel() -- never, and that is fine
end

function T:test_callables()
  local loop <close> = wsock.loop()
  local called = 0
  loop:after(0, setmetatable({}, { __call = function() called = called + 1 end }))
  loop:run()
  lu.assertEquals(called, 1)
  refused("must be a function, got table", function() loop:after(0, {}) end)
end

function T:test_headers()
  refused("header 'X' may not be sent: its value is not visible ASCII", client { headers = { X = "a\r\nb" } })
  refused("header 'X' may not be sent: its value is not visible ASCII", client { headers = { X = "Zo\xc3\xab" } })
  refused("header 'a b' may not be sent: its name is not of letters", client { headers = { ["a b"] = "c" } })
  local words = "header '%s' is written by wsock itself"
  refused((words .. ", see the option 'host'"):format "host", client { headers = { host = "h" } })
  refused((words .. ", see the option 'proxy'"):format "Proxy-Authorization", -- RP-09
    client { headers = { ["Proxy-Authorization"] = "Basic dTpw" } })
  refused(words:format "Upgrade", client { headers = { Upgrade = "h" } })
  refused("headers must be strings by name, or a list of {name, value}", client { headers = { X = true } })
  local many = {}
  for i = 1, 101 do many["X-" .. i] = "v" end
  refused("more than 100 headers", client { headers = many })
  local growing = {}
  growing[1] = setmetatable({}, { __index = function(_, i)
    for k = 2, 100 do growing[k] = { "X-" .. k, "v" } end
    return i == 1 and "X" or "v"
  end })
  refused("headers changed while they were read", client { headers = growing })
end

function T:test_protocols()
  for _, bad in ipairs { { "a", "a" }, { "" }, { "a b" }, { "a,b" }, { 1 }, { "é" } } do
    refused("SyntaxError: ", wsock.WebSocket, "ws://127.0.0.1:1/", bad)
  end
end

-- whatever its length is, among them those at which Lua's buffers grow
function T:test_protocols_of_any_length()
  for n = 1000, 1030 do
    local long = ("a"):rep(n)
    local request = wsock.protocol.client("ws://h/", { protocols = { long, "b", "c" } }):output()
    lu.assertStrContains(request, ("Sec-WebSocket-Protocol: %s, b, c\r\n"):format(long))
  end
end

-- a table of options may close the loop that it names, when it is asked
function T:test_the_loop_is_closed_by_the_options()
  local function closing(key)
    local loop = wsock.loop()
    return setmetatable({ loop = loop, port = 0 }, { __index = function(_, k) if k == key then loop:close() end end })
  end
  for _, key in ipairs { "receiveQueue", "headers", "frames", "maxRedirects" } do
    local o = closing(key)
    o.port = nil
    refused("loop is closed", wsock.WebSocket, "ws://127.0.0.1:1/", nil, o)
  end
  for _, key in ipairs { "verify", "backlog", "onclosed", "reusePort" } do
    refused("loop is closed", wsock.listen, closing(key))
  end
end

-- the world failing: nil, message, code
function T:test_failures_name_call_and_address()
  local first <close> = assert(wsock.listen { port = 0 })
  local _, port = first:address()
  local none, message, code = wsock.listen { port = port }
  lu.assertNil(none)
  lu.assertEquals(message, ("listen 127.0.0.1:%d: Address already in use"):format(port))
  lu.assertEquals(code, "EADDRINUSE")
  first:close()
  wsock.run()
end

return T
