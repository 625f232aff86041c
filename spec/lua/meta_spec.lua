-- spec/lua/meta_spec.lua -- the types say what the library does: what
-- spec/lint/docs.lua, which compares names only, cannot see.

local lu = require "luaunit"
local files = require "support.files"
local wsock = require "wsock"

local T = {}

local function read(path) return assert(files.read(files.root .. "/" .. path)) end

-- The types, all files of them.
local types = {}
for path in assert(io.popen("cd '" .. files.root .. "' && ls lua/wsock/meta*.lua")):lines() do
  types[#types + 1] = read(path)
end
types = table.concat(types, "\n")

-- Names and types of a class's own fields.
local function fields_of(class)
  local list, inside = {}, false
  for line in types:gmatch "[^\n]+" do
    local opened = line:match "^%-%-%-@class ([%w_.]+)"
    if opened then inside = opened == class end
    local name, what = line:match "^%-%-%-@field ([%w_]+) (.*)"
    if inside and name then list[name] = what end
  end
  assert(next(list), class)
  return list
end

-- Names of an alias's fields.
local function alias_fields(alias)
  local list = {}
  local text = types:match("%-%-%-@alias " .. alias:gsub("%p", "%%%0") .. " [^{\n]*(%b{})")
  for name in text:gmatch "([%w_]+)%??:" do list[name] = true end
  return list
end

local function sorted(...)
  local list = {}
  for i = 1, select("#", ...) do
    for name in pairs((select(i, ...))) do list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- The option names the library knows.
local function known(array)
  local text = read "csrc/bind/lua_options.c":match(array .. "%[%] = {(.-)NULL}")
  local names = {}
  for name in text:gmatch '"(%w+)"' do names[name] = true end
  return sorted(names)
end

function T:setUp()
  self.server = assert(wsock.listen { port = 0 })
  self.socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, self.server:address()))
  while self.server.clientCount == 0 or self.socket.readyState ~= 1 do wsock.step(1) end
  for socket in pairs(self.server.clients) do self.peer = socket end
end

function T:tearDown()
  self.socket:terminate()
  self.server:close(1001, "", 0)
  wsock.run()
end

function T:test_it_compiles_and_is_a_module_of_types()
  lu.assertEquals(type(loadfile(files.root .. "/lua/wsock/meta.lua")), "function")
  lu.assertNil(package.loaded["wsock.meta"])
end

function T:test_options_of_a_client_are_those_it_takes()
  lu.assertEquals(sorted(fields_of "wsock.Options", fields_of "wsock.ClientOptions"), known "client_names")
end

function T:test_options_of_a_server_are_those_it_takes()
  lu.assertEquals(sorted(fields_of "wsock.Options", fields_of "wsock.ServerOptions"), known "server_names")
end

-- A wrong value is complained of, so the option is read.
function T:test_each_option_is_read()
  local function try(make, name, options)
    options[name] = (name == "origins" or name == "protocols") and 1.5 or name == "loop" and "x"
      or (name:find "^on" or name == "verify" or name == "perMessageDeflate") and 1 or print
    local ok, message = pcall(make, options)
    if ok then message:close() end
    lu.assertFalse(ok, name)
    lu.assertNil(message:find("unknown", 1, true), message)
  end
  for _, name in ipairs(known "server_names") do try(wsock.listen, name, { port = 0 }) end
  for _, name in ipairs(known "client_names") do
    try(function(options) return wsock.WebSocket("ws://127.0.0.1:1/", nil, options) end, name, {})
  end
end

function T:test_options_of_protocol_objects()
  local known_to_server = { maxBody = 1, now = 1 }
  local good = { protocols = "a", origin = "http://a", auth = { "u", "p" }, host = "a",
    handshakeKey = ("A"):rep(22) .. "==" }
  for name in pairs(alias_fields "wsock.ProtocolOptions") do
    local value = good[name] or 1
    lu.assertEquals(pcall(wsock.protocol.server, { [name] = value }), known_to_server[name] ~= nil, name)
    lu.assertEquals(pcall(wsock.protocol.client, "ws://a/", { [name] = value }), name ~= "maxBody", name)
  end
  for name in pairs(fields_of "wsock.Options") do
    local flag = name == "autoPong" or name == "perMessageDeflate" or name == "frames" or name == "streaming"
    local value = flag or name:find "Size$" and 1024 or 1
    local client_only, neither = name == "headers",
      name == "loop" or name == "noDelay" or name == "receiveQueue"
    if client_only then value = {} end
    lu.assertEquals(pcall(wsock.protocol.server, { [name] = value }), not neither and not client_only, name)
    lu.assertEquals(pcall(wsock.protocol.client, "ws://a/", { [name] = value }), not neither, name)
  end
end

local function check_fields(object, class, settable)
  for name, what in pairs(fields_of(class)) do
    local value = object[name]
    local optional = what:find "%?" or what:find "^nil" or what:find "^any" or what:find "^wsock.On"
    if what:find "^fun" then
      lu.assertEquals(type(value), "function", name)
    elseif not optional then
      lu.assertNotNil(value, name)
    end
    if settable(name) then
      object[name] = value
    else
      lu.assertError(function() object[name] = value end)
    end
  end
end

local function is_handler(name) return name:find "^on%l%l" and name ~= "once" end

function T:test_fields_of_sockets()
  local function settable(name) return is_handler(name) or name == "data" or name == "binaryType" end
  check_fields(self.socket, "wsock.Socket", settable)
  check_fields(self.peer, "wsock.Socket", settable)
  for name in pairs { request = 1, remoteAddress = 1, remotePort = 1, localAddress = 1, localPort = 1 } do
    lu.assertNotNil(self.peer[name], name)
  end
  lu.assertNotNil(self.socket.response)
end

function T:test_fields_of_servers()
  check_fields(self.server, "wsock.Server", is_handler)
end

function T:test_fields_of_loops()
  local loop <close> = wsock.loop()
  check_fields(loop, "wsock.Loop", function(name) return name == "onerror" or name == "handshakesMax" end)
end

function T:test_fields_of_protocol_objects()
  check_fields(wsock.protocol.server(), "wsock.Protocol", function() return false end)
  check_fields(wsock.protocol.client "ws://a/", "wsock.Protocol", function() return false end)
end

function T:test_stats()
  local names = alias_fields "wsock.Stats"
  lu.assertEquals(sorted(self.socket:stats()), sorted(names))
  for name in pairs(wsock.protocol.server():stats()) do lu.assertTrue(names[name], name) end
end

local function keys_of(list)
  local names = {}
  for key in pairs(list) do
    if type(key) == "string" then names[key] = true end
  end
  return names
end

function T:test_heads()
  local may_be_nil = { body = true, params = true, rest = true, tls = true }
  local request, response = self.peer.request, self.socket.response
  for name in pairs(fields_of "wsock.Request") do
    if not may_be_nil[name] then lu.assertNotNil(request[name], name) end
  end
  lu.assertEquals(sorted(keys_of(response)), sorted(fields_of "wsock.Reply"))
end

-- Event tables have the fields of wsock.Event and no others.
function T:test_events()
  local known_fields = fields_of "wsock.Event"
  local seen = {}
  local function note(event)
    seen[event.type] = true
    for name in pairs(event) do lu.assertNotNil(known_fields[name], name) end
  end
  local socket = wsock.WebSocket "ws://127.0.0.1:1/"
  socket.onerror, socket.onclose = note, note
  self.socket.onmessage, self.socket.onping = note, note
  self.peer:send "x"
  self.peer:ping "y"
  while not (seen.close and seen.message and seen.ping) do wsock.step(1) end
  lu.assertTrue(seen.error)
end

return T
