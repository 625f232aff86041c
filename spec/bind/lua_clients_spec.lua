-- bind/lua_clients: server.clients and server.clientCount.

local lu = require "luaunit"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

function T:test_clients_and_their_number()
  local server, _, port = self.rig:listen {}
  lu.assertEquals({ server.clientCount, #server.clients }, { 0, 0 })
  local peers = {}
  for i = 1, 5 do
    peers[i] = visitors.knock(self.rig, port)
    lu.assertEquals({ server.clientCount, #server.clients }, { i, i })
  end
  local seen = {}
  for socket in pairs(server.clients) do seen[socket] = (seen[socket] or 0) + 1 end
  local n = 0
  for socket, times in pairs(seen) do
    n = n + 1
    lu.assertEquals({ socket.readyState, times }, { 1, 1 })
  end
  lu.assertEquals(n, 5)
  peers[1]:say_close(1000)
  lu.assertEquals(peers[1]:take_close(), 1000)
  lu.assertEquals(server.clientCount, 5) -- until its connection has ended
  peers[1]:close()
  peers[2]:reset()
  peers[3]:close()
  self.rig:wait(function() return server.clientCount == 2 end)
end

-- A plain request, or one that is not answered yet, is no client.
function T:test_only_open_sockets_are_clients()
  local server, _, port = self.rig:listen { onupgrade = function() end, onrequest = function() end }
  visitors.visit(self.rig, port, visitors.plain())
  visitors.visit(self.rig, port, visitors.upgrade())
  visitors.visit(self.rig, port, "GET /")
  self.rig:idle(10)
  lu.assertEquals(server.clientCount, 0)
  for _ in pairs(server.clients) do lu.fail "a client" end
end

function T:test_it_is_a_set()
  local server, _, port = self.rig:listen {}
  local other = self.rig:listen {}
  local peer = visitors.knock(self.rig, port)
  local socket
  for one in pairs(server.clients) do socket = one end
  lu.assertIsTrue(server.clients[socket])
  for _, key in ipairs { socket, server, "x", true } do lu.assertNil(other.clients[key]) end
  lu.assertErrorMsgContains("clients is a set, no list: use pairs", ipairs(server.clients), server.clients, 0)
  peer:close()
  self.rig:wait(function() return server.clientCount == 0 end)
  lu.assertNil(server.clients[socket])
end

function T:test_it_cannot_be_written()
  local server, _, port = self.rig:listen {}
  visitors.knock(self.rig, port)
  local socket
  for one in pairs(server.clients) do socket = one end
  for _, key in ipairs { socket, "x", 1 } do
    lu.assertErrorMsgContains("clients is read-only", function() server.clients[key] = nil end)
    lu.assertErrorMsgContains("clients is read-only", function() server.clients[key] = true end)
  end
  lu.assertError(setmetatable, server.clients, nil)
  lu.assertIsTrue(server.clients[socket])
end

function T:test_closing_while_iterating()
  local server, _, port = self.rig:listen {}
  for _, how in ipairs { "close", "terminate" } do
    for _ = 1, 8 do visitors.knock(self.rig, port) end
    local n = 0
    for socket in pairs(server.clients) do
      n = n + 1
      if n == 3 then -- the rest, in one go
        for other in pairs(server.clients) do
          other[how](other)
          collectgarbage()
        end
      end
      socket[how](socket)
      collectgarbage()
    end
    lu.assertEquals(n, 8)
    if how == "close" then
      for socket in pairs(server.clients) do socket:terminate() end
    end
    self.rig:wait(function() return server.clientCount == 0 end)
  end
end

-- S82: sending to all while some leave, in the loop and inside the iteration.
function T:test_a_chat_by_hand()
  local server, _, port
  server, _, port = self.rig:listen { onmessage = function(_, data)
    for socket in pairs(server.clients) do
      if data == "leave" then socket:close(4000) end
      socket:send(data)
    end
  end }
  local peers = {}
  for i = 1, 3 do peers[i] = visitors.knock(self.rig, port) end
  peers[1]:frame { "hello" }
  for i = 1, 3 do lu.assertEquals(peers[i]:take().payload, "hello") end
  peers[2]:frame { "leave" }
  for i = 1, 3 do lu.assertEquals({ peers[i]:take_close() }, { 4000, "" }) end
end

-- What pairs hands out may be called by anybody with anything.
function T:test_the_iterator_alone()
  local server = self.rig:listen {}
  local iterator = pairs(server.clients)
  lu.assertErrorMsgContains("table expected", iterator, 1)
  lu.assertErrorMsgContains("table expected", iterator)
end

function T:test_the_metamethods_alone()
  local server, _, port = self.rig:listen {}
  visitors.knock(self.rig, port)
  local _, set = pairs(server.clients)
  local socket = next(set)
  for _, name in ipairs { "__index", "__pairs", "__len" } do
    local method = debug.getmetatable(server.clients)[name]
    for _, wrong in ipairs { 1, "x", true, server, print, {} } do
      lu.assertErrorMsgMatches(".*expected, got.*", method, wrong, socket)
      lu.assertErrorMsgMatches(".*expected, got.*", method, wrong, socket, name)
    end
    lu.assertErrorMsgMatches(".*expected, got.*", method, nil, socket)
  end
end

return T
