-- lua/wsock/hub: rooms.

local lu = require "luaunit"
local bytes = require "support.bytes"
local growth = require "support.growth"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class(function(self)
  self.hub = wsock.hub()
  self.sockets, self.peers = {}, {}
end)
T.alone = true -- it measures
local contains = lu.assertErrorMsgContains

-- n sockets of a server, and the raw peers behind them.
function T:gather(n, options)
  options = options or {}
  options.onconnection = function(socket) self.sockets[#self.sockets + 1] = socket end
  local _
  self.server, _, self.port = self.rig:listen(options)
  for i = 1, n do
    self.peers[i] = self.rig:raw_client(self.port)
    self.rig:wait(function() return #self.sockets == i end)
  end
  return table.unpack(self.sockets)
end

-- The payloads a peer got before the answer to a ping.
function T:heard(i)
  local list, peer = {}, self.peers[i]
  peer:frame { op = "ping", "?" }
  while true do
    local frame = peer:take()
    if frame.op == bytes.OP.pong then return list end
    list[#list + 1] = frame.payload
  end
end

-- ---- rooms -------------------------------------------------------------------------------

function T:test_who_is_in_hears()
  local a, b, c = self:gather(3)
  local hub = self.hub
  lu.assertTrue(hub:join(a, "x"))
  lu.assertTrue(hub:join(b, "x"))
  lu.assertTrue(hub:join(b, "y"))
  lu.assertTrue(hub:join(b, "y")) -- once more changes nothing
  hub:join(c, "")
  lu.assertEquals({ hub:publish("x", "1") }, { 2, 0 })
  lu.assertEquals({ hub:publish("y", "\xff", "binary") }, { 1, 0 })
  lu.assertEquals({ hub:publish("x", "2", "text", { except = a }) }, { 1, 0 })
  lu.assertEquals({ hub:publish("z", "3") }, { 0, 0 })
  lu.assertEquals({ hub:publish("", wsock.blob "4") }, { 1, 0 })
  lu.assertEquals({ self:heard(1), self:heard(2), self:heard(3) }, { { "1" }, { "1", "\xff", "2" }, { "4" } })
  lu.assertEquals({ hub:count "x", hub:count "y", hub:count "z", hub:count() }, { 2, 1, 0, 3 })
  lu.assertEquals(hub:rooms(), { "", "x", "y" })
  lu.assertEquals({ hub:rooms(b), hub:rooms(a) }, { { "x", "y" }, { "x" } })
  lu.assertEquals({ hub:has(a, "x"), hub:has(a, "y"), hub:has(a, "z") }, { true, false, false })
  lu.assertEquals(#hub:sockets "x", 2)
  lu.assertEquals(hub:sockets "z", {})
  lu.assertEquals(tostring(hub), "wsock.hub (3 rooms, 3 sockets)")
end

function T:test_leaving()
  local a, b = self:gather(2)
  local hub = self.hub
  for _, room in ipairs { "x", "y", "z" } do
    hub:join(a, room)
    hub:join(b, room)
  end
  lu.assertEquals({ hub:leave(a, "x"), hub:leave(a, "x"), hub:leave(a, "nothing") }, { true, false, false })
  lu.assertEquals({ hub:publish("x", "1"), (hub:publish("y", "2")) }, { 1, 2 })
  lu.assertEquals({ hub:leave(a), hub:leave(a), hub:count "y", hub:count() }, { true, false, 1, 1 })
  lu.assertEquals({ hub:leave(b, "x"), hub:leave(b, "y"), hub:leave(b, "z") }, { true, true, true })
  lu.assertEquals({ hub:count(), hub:rooms(), hub:rooms(b) }, { 0, {}, {} })
  lu.assertTrue(hub:join(a, "x")) -- and come back
  lu.assertEquals(hub:publish("x", "3"), 1)
  lu.assertEquals({ self:heard(1), self:heard(2) }, { { "2", "3" }, { "1", "2" } })
end

-- Closed, lost or terminated: gone from all rooms before the server's onclose hears of it.
function T:test_who_closes_has_left()
  local log = {}
  local hub
  hub = wsock.hub { onleave = function(socket, room, count)
    log[#log + 1] = ("%s %d %s"):format(room, count, hub:has(socket, "x"))
  end }
  local a, b, c, d = self:gather(4, { onclose = function(socket)
    log[#log + 1] = ("closed %d %d"):format(hub:count "x", #hub:rooms(socket))
  end })
  for _, socket in ipairs { a, b, c, d } do hub:join(socket, "x") end
  a:close(4000)
  lu.assertEquals(hub:publish("x", "1"), 3) -- it is still in, and no longer reached
  self.peers[1]:take_close()
  self.peers[1]:say_close(4000)
  self.peers[1]:close()
  self.rig:wait(function() return #log == 2 end)
  self.peers[2]:reset()
  self.rig:wait(function() return #log == 4 end)
  c:terminate()
  self.rig:wait(function() return #log == 6 end)
  lu.assertEquals(log, { "x 3 false", "closed 3 0", "x 2 false", "closed 2 0", "x 1 false", "closed 1 0" })
  lu.assertEquals({ hub:publish("x", "2"), hub:count() }, { 1, 1 })
  lu.assertNil(hub.joined[a])
end

function T:test_who_is_closing_cannot_join()
  local a, b = self:gather(2)
  a:close()
  b:terminate()
  for _, socket in ipairs { a, b } do
    lu.assertEquals({ self.hub:join(socket, "x") }, { nil, "join: the socket is not open", "CLOSED" })
  end
  self.peers[1]:close()
  self.rig:wait(function() return a.readyState == 3 and b.readyState == 3 end)
  lu.assertEquals({ self.hub:join(a, "x") }, { nil, "join: the socket is not open", "CLOSED" })
  lu.assertEquals({ self.hub:leave(a), self.hub:leave(a, "x"), self.hub:count() }, { false, false, 0 })
end

function T:test_limits()
  local a, b = self:gather(2)
  local hub = wsock.hub { maxRooms = 3, maxRoomsPerSocket = 2 }
  lu.assertTrue(hub:join(a, "1") and hub:join(a, "2"))
  lu.assertEquals({ hub:join(a, "3") }, { nil, "join: the socket is in too many rooms", "LIMIT" })
  lu.assertTrue(hub:join(a, "2"))
  lu.assertTrue(hub:join(b, "3"))
  lu.assertEquals({ hub:join(b, "4") }, { nil, "join: there are too many rooms", "LIMIT" })
  lu.assertEquals({ hub:count(), #hub:rooms(), hub:has(b, "4") }, { 2, 3, false })
  hub:leave(b, "3")
  lu.assertTrue(hub:join(b, "4"))
  local none = wsock.hub { maxRooms = 0 }
  lu.assertEquals({ select(3, none:join(a, "1")), none:count() }, { "LIMIT", 0 })
end

function T:test_misuse()
  local a = self:gather(1)
  local hub = self.hub
  for _, bad in ipairs { 1, true, {}, a } do
    for _, name in ipairs { "join", "leave", "has" } do contains("room must be a string", hub[name], hub, a, bad) end
    for _, name in ipairs { "publish", "count", "sockets" } do
      contains("room must be a string", hub[name], hub, bad, "x")
    end
  end
  contains("room must be a string, got nil", hub.join, hub, a)
  contains("room must be a string, got nil", hub.publish, hub)
  for _, bad in ipairs { 1, "x", {}, { readyState = 1 }, true, self.rig.loop, self.server, io.stdout, wsock.blob "" } do
    contains("socket must be a socket", hub.join, hub, bad, "x")
    contains("socket must be a socket", hub.leave, hub, bad)
    contains("socket must be a socket", hub.rooms, hub, bad)
  end
  contains("socket must be a socket", hub.join, hub, nil, "x")
  contains("not valid UTF-8", hub.publish, hub, "x", "\xff")
  contains("unknown option of broadcast 'excpt'", hub.publish, hub, "x", "", nil, { excpt = a })
  contains("did you mean 'onleave'?", wsock.hub, { onleve = print })
  for _, fixed in ipairs { wsock.hub(), wsock.hub { onleave = print } } do
    contains("field 'onleave' of a hub cannot be set", function() fixed.onleave = print end)
  end
  contains("'maxRooms' must be an integer", wsock.hub, { maxRooms = -1 })
  contains("hub_spec.lua", function() local _ = hub:join(a, 1) end)
  contains("hub_spec.lua", function() local n = hub:publish("x", "y", "z") return n end)
  lu.assertEquals({ hub:count(), hub:rooms() }, { 0, {} })
end

-- ---- presence ------------------------------------------------------------------------------

function T:test_presence()
  local log = {}
  local function note(what) return function(socket, room, count)
    log[#log + 1] = ("%s %s %d %s"):format(what, room, count, socket.data)
  end end
  local hub = wsock.hub { onjoin = note "+", onleave = note "-" }
  local a, b = self:gather(2)
  a.data, b.data = "a", "b"
  hub:join(a, "x")
  hub:join(b, "x")
  hub:join(b, "x")
  hub:leave(a, "x")
  hub:leave(a)
  hub:leave(b)
  lu.assertEquals(log, { "+ x 1 a", "+ x 2 b", "- x 1 a", "- x 0 b" })
end

-- Whatever a listener does, the socket is out of all its rooms.
function T:test_listeners_that_raise_leave_join_and_publish()
  local hub
  local seen = {}
  hub = wsock.hub { onleave = function(socket, room)
    seen[#seen + 1] = room
    hub:publish("x", "left " .. room)
    hub:leave(socket)
    if socket.readyState == 1 then hub:join(socket, "again") end
    error "oh"
  end }
  local a, b = self:gather(2)
  for _, room in ipairs { "x", "y" } do
    hub:join(a, room)
    hub:join(b, room)
  end
  contains("oh", hub.leave, hub, a)
  table.sort(seen)
  lu.assertEquals({ seen, hub:rooms(a), hub:count "x" }, { { "again", "x", "y" }, { "again" }, 1 })
  self.peers[1]:reset()
  self.rig:wait(function() return hub:count() == 1 end)
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
  lu.assertEquals(hub:rooms(), { "x", "y" })
end

-- ---- more ----------------------------------------------------------------------------------

function T:test_two_hubs_do_not_disturb_each_other()
  local a = self:gather(1)
  local other = wsock.hub()
  self.hub:join(a, "x")
  other:join(a, "x")
  self.hub:leave(a)
  lu.assertEquals({ self.hub:count(), other:count() }, { 0, 1 })
  self.hub:join(a, "x")
  self.peers[1]:reset()
  self.rig:wait(function() return self.hub:count() == 0 and other:count() == 0 end)
end

function T:test_clients_and_servers_of_two_ports_in_one_room()
  local a = self:gather(1)
  local there
  local _, url = self.rig:listen { onconnection = function(socket) there = socket end }
  local client = self.rig:client(url)
  self.hub:join(client, "x") -- it may still be connecting
  self.rig:wait(function() return client.readyState == 1 and there end)
  self.hub:join(a, "x")
  self.hub:join(there, "x")
  local got = {}
  client:on("message", function(data) got[#got + 1] = "client " .. data end)
  there:on("message", function(data) got[#got + 1] = "there " .. data end)
  lu.assertEquals(self.hub:publish("x", "hi"), 3)
  self.rig:wait(function() return #got == 2 end)
  table.sort(got)
  lu.assertEquals({ got, self:heard(1) }, { { "client hi", "there hi" }, { "hi" } })
end

-- Names a stranger picked to be slow would have to know the state's seed: long ones, alike but for a few bytes.
function T:test_many_rooms_cost_no_more_each()
  local a = self:gather(1)
  local function names(n)
    local list = {}
    for i = 1, n do list[i] = ("\0"):rep(30) .. ("%08d"):format(i * 65536) .. ("x"):rep(200) end
    return list
  end
  growth.linear(names, function(list)
    local hub = wsock.hub { maxRoomsPerSocket = 1 << 20 }
    for _, name in ipairs(list) do lu.assertTrue(hub:join(a, name)) end
    lu.assertTrue(hub:leave(a))
  end, 5000)
end

function T:test_a_thousand_rooms_and_garbage()
  local a, b = self:gather(2)
  local hub = self.hub
  local function used()
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  local before = used()
  for i = 1, 1000 do
    hub:join(a, "room " .. i)
    hub:join(b, "room " .. i)
  end
  lu.assertEquals({ #hub:rooms(), #hub:rooms(a), hub:count() }, { 1000, 1000, 2 })
  hub:leave(a)
  hub:leave(b)
  lu.assertEquals({ hub:rooms(), hub:count() }, { {}, 0 })
  self.hub = nil
  lu.assertTrue(used() - before < 200)
end

return T
