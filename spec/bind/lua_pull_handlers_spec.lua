-- bind/lua_pull: messages that come while a handler of their socket waits, and
-- nobody listens or asks yet.

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

-- A coroutine of the loop waits until self.go.
function T:hold()
  while not self.go do self.loop:sleep(0.001) end
end

-- A server whose onconnection waits, then calls behind(socket). Its client has
-- sent "a" and "b" by then, and both have come: the server's socket, the client.
function T:waiting(behind, options)
  local far
  local o = { onconnection = function(socket)
    far = socket
    self:hold()
    if behind then behind(socket) end
    self.returned = true
  end }
  for key, value in pairs(options or {}) do o[key] = value end
  local server, url = self.rig:listen(o)
  local near = self.rig:client(url)
  near:on("open", function()
    near:send "a"
    near:send("b", "binary")
  end)
  self.rig:wait(function() return far and far:stats().messagesIn == 2 end)
  lu.assertNil(self.returned)
  return far, near, server
end

-- A function that notes data and kind of what it is given, as one string.
function T:notes()
  self.got = ""
  return function(data, kind) self.got = ("%s%s:%s "):format(self.got, data, kind) end
end

function T:noted(expected)
  self.rig:wait(function() return #self.got >= #expected end, function() return "only: " .. self.got end)
  lu.assertEquals(self.got, expected)
end

-- ---- nothing is lost -----------------------------------------------------------------

function T:test_it_receives_in_order()
  local note = self:notes()
  local _, near = self:waiting(function(socket)
    for data, kind in socket:messages() do note(data, kind) end
  end)
  near:send "c"
  self.go = true
  self:noted "a:text b:binary c:text "
end

function T:test_it_listens_in_any_way()
  for _, way in ipairs { "on", "onmessage", "addEventListener" } do
    local note = self:notes()
    self.go = nil
    local _, near = self:waiting(function(socket)
      local function from_event(event) note(event.data, event.kind) end
      if way == "on" then socket:on("message", note) end
      if way == "onmessage" then socket.onmessage = from_event end
      if way == "addEventListener" then socket:addEventListener("message", from_event) end
      self.loop:sleep(0.001) -- and waits again
    end)
    self.go = true
    near:send "c"
    self:noted "a:text b:binary c:text "
    self.rig:wait(function() return self.returned end)
    self.returned = nil
  end
end

function T:test_somebody_else_listens_or_asks_meanwhile()
  local far = self:waiting()
  far:on("message", self:notes())
  self:noted "a:text b:binary "
  far = self:waiting()
  lu.assertEquals({ far:receive(rigs.LIMIT) }, { "a", "text" })
  self.go = true
  self.rig:wait(function() return self.returned end)
  lu.assertEquals({ far:receive(rigs.LIMIT) }, { "b", "binary" }) -- it pulls for good
end

function T:test_the_server_listens_meanwhile()
  local _, near, server = self:waiting()
  local note = self:notes()
  server.onmessage = function(_, data, kind) note(data, kind) end
  self.go = true
  self:noted "a:text b:binary "
  near:send "c"
  self:noted "a:text b:binary c:text "
end

function T:test_who_listens_already_does_not_wait()
  local note = self:notes()
  self:waiting(nil, { onmessage = function(_, data, kind) note(data, kind) end })
  self:noted "a:text b:binary "
end

function T:test_nobody_wants_them()
  local far, near = self:waiting()
  self.go = true
  self.rig:wait(function() return self.returned end)
  self.rig:idle()
  far:on("message", self:notes())
  near:send "c"
  self:noted "c:text "
end

function T:test_the_last_handler_that_waits_decides()
  local one, two, far
  local server, url = self.rig:listen()
  server:on("connection", function(socket)
    far = socket
    while not one do self.loop:sleep(0.001) end
  end)
  local note = self:notes()
  server:on("connection", function(socket)
    while not two do self.loop:sleep(0.001) end
    socket:on("message", note)
  end)
  local near = self.rig:client(url)
  near:on("open", function() near:send "a" end)
  self.rig:wait(function() return far and far:stats().messagesIn == 1 end)
  one = true
  self.rig:idle()
  near:send "b"
  self.rig:wait(function() return far:stats().messagesIn == 2 end)
  two = true
  self:noted "a:text b:text "
end

function T:test_it_raises()
  local far, near = self:waiting(function() error "in vain" end)
  local record = rigs.record(near)
  far:on("close", self:notes())
  self.go = true
  self.rig:closed(record)
  self:noted "1011:internal error "
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
end

-- ---- other handlers ---------------------------------------------------------------------

function T:test_onopen_of_a_client()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local note = self:notes()
  socket.onopen = function()
    self:hold()
    for data, kind in socket:messages() do note(data, kind) end
  end
  local peer = server:welcome()
  peer:send(bytes.frame { "a" } .. bytes.frame { op = "binary", "b" })
  self.rig:wait(function() return socket:stats().messagesIn == 2 end)
  self.go = true
  self:noted "a:text b:binary "
end

-- Both in one packet, and who heard the first has to find out who hears the rest.
function T:test_a_listener_for_once()
  local socket, _, peer = self.rig:opened()
  local note = self:notes()
  socket:off "message"
  socket:once("message", function(data, kind)
    note(data, kind)
    self:hold()
    socket:on("message", note)
  end)
  peer:send(bytes.frame { "a" } .. bytes.frame { "b" } .. bytes.frame { "c" })
  self.rig:wait(function() return socket:stats().messagesIn == 3 end)
  self.go = true
  self:noted "a:text b:text c:text "
end

function T:test_onupgrade_that_waits_behind_its_accept()
  local note = self:notes()
  local socket
  local _, url = self.rig:listen { onupgrade = function(request)
    socket = request:accept()
    self:hold()
    socket:on("message", note)
  end }
  local near = self.rig:client(url)
  near:on("open", function() near:send "a" end)
  self.rig:wait(function() return socket and socket:stats().messagesIn == 1 end)
  self.go = true
  self:noted "a:text "
end

function T:test_parts_of_messages()
  local got
  self:waiting(function(socket)
    got = { socket:receiveChunk(rigs.LIMIT) }
    socket:on("chunk", function(data, kind, final) got = { got[1], data, kind, final } end)
  end, { streaming = true })
  self.go = true
  self.rig:wait(function() return got and #got == 4 end)
  lu.assertEquals(got, { "a", "b", "binary", true })
end

-- A router's server listens, for those routes that do.
function T:test_a_route_without_a_listener()
  local router = wsock.router()
  local note, heard = self:notes(), nil
  router:ws("/", { onconnection = function(socket)
    self:hold()
    for data, kind in socket:messages() do note(data, kind) end
  end })
  router:ws("/heard", { onmessage = function(_, data) heard = data end, onconnection = function() self:hold() end })
  local _, url = self.rig:listen { router = router }
  for i, path in ipairs { "", "heard" } do
    local near = self.rig:client(url .. path)
    near:on("open", function() near:send("a" .. i) end)
  end
  self.rig:wait(function() return heard end)
  lu.assertEquals({ heard, self.got }, { "a2", "" })
  self.go = true
  self:noted "a1:text "
end

-- ---- as in pull mode ----------------------------------------------------------------------

function T:test_a_full_queue_stops_the_peer_until_it_returns()
  local far, near = self:waiting(nil, { receiveQueue = 2 })
  for i = 1, 40 do near:send("m" .. i) end
  self.rig:idle()
  lu.assertEquals(far:stats().messagesIn, 2)
  self.go = true
  self.rig:wait(function() return far:stats().messagesIn == 42 end)
end

function T:test_pings_are_answered_meanwhile()
  local _, near = self:waiting()
  near:on("pong", self:notes())
  near:ping "p"
  self:noted "p:nil "
end

-- Its close is told when it comes; what came before it is still there.
function T:test_the_connection_ends_meanwhile()
  for _, how in ipairs { "receive", "listen" } do
    local note, closed = self:notes(), nil
    self.go = nil
    local far, near = self:waiting(function(socket)
      if how == "listen" then
        socket:on("message", note)
      else
        for data, kind in socket:messages() do note(data, kind) end
      end
    end, { onclose = function(_, code) closed = code end })
    near:close(3000)
    self.rig:wait(function() return closed end)
    lu.assertEquals({ closed, far.readyState }, { 3000, 3 })
    self.go = true
    self:noted "a:text b:binary "
    self.returned = nil
  end
  self.rig:idle()
end

-- ---- lifetime ---------------------------------------------------------------------------

local ends = {
  terminate = function(s) s.far:terminate() end,
  drop = function(s)
    s.far, s.near = nil, nil
    collectgarbage()
    collectgarbage()
  end,
  close_the_server = function(s) s.server:close(1001, "", 0) end,
  close_the_loop = function(s) s.self.loop:close() end,
}

for name, act in pairs(ends) do
  T["test_an_end_while_it_waits_" .. name] = function(self)
    local s = { self = self }
    s.far, s.near, s.server = self:waiting(function(socket)
      pcall(socket.receive, socket, 0)
      socket:on("message", function() end)
    end)
    act(s)
    if name == "close_the_loop" then return end
    self.rig:idle()
    self.go = true
    self.rig:wait(function() return self.returned end)
    self.rig:idle()
  end
end

return T
