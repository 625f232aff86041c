-- peer/dial: how many clients of a loop may be pending at the same time; who is
-- one too many waits (HC-04: RFC 6455 4.1).

local lu = require "luaunit"
local probe = require "wsock.probe"
local certs = require "support.certs"
local clock = require "support.clock"
local forward = require "support.forward"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

-- n clients of a loop with this limit, a record each; options of all of them.
function T:clients(url, n, max, options)
  local clients, records = {}, {}
  self.loop.handshakesMax = max
  for i = 1, n do
    clients[i] = self.rig:client(url, nil, options)
    records[i] = rigs.record(clients[i])
  end
  return clients, records
end

-- Nobody else comes: all that could have happened would have by now.
function T:nobody(server)
  self.rig:idle(10)
  lu.assertNil((server.sock:accept()))
end

local function redirect(peer, location)
  peer:head()
  peer:send(("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n"):format(location))
end

-- ---- how many -------------------------------------------------------------------------

function T:test_one_less_as_many_and_one_more()
  local server = self.rig:raw_server()
  local _, records = self:clients(server.url, 3, 2)
  local first, second = server:accept(), server:accept()
  self:nobody(server)
  first:welcome()
  self.rig:events(records[1], 1)
  local third = server:accept()
  third:welcome()
  second:welcome()
  for _, record in ipairs(records) do self.rig:events(record, 1) end
  self:clients(server.url, 1, 2)
  server:accept()
  self:nobody(server)
end

function T:test_in_the_order_they_were_made()
  local server = self.rig:raw_server()
  local list = {}
  self.loop.handshakesMax = 1
  for i = 1, 5 do list[i] = self.rig:client(server.url .. i) end
  list[3]:close()
  for _, i in ipairs { 1, 2, 4, 5 } do
    local peer = server:welcome()
    lu.assertStrMatches(peer.request, "GET /" .. i .. " .*")
    if i < 5 then self.rig:wait(function() return list[i].readyState == 1 end) end
  end
  self:nobody(server)
end

-- 25 sockets all get in (WPT constructor/013), three at a time.
function T:test_25_sockets_3_at_a_time()
  local now, most, open = 0, 0, 0
  local _, url = self.rig:listen {
    onupgrade = function(request)
      now = now + 1
      most = math.max(most, now)
      self.loop:after(0.001, function()
        now = now - 1
        request:accept()
      end)
    end,
  }
  local clients = self:clients(url, 25, 3)
  for _, client in ipairs(clients) do client:on("open", function() open = open + 1 end) end
  self.rig:wait(function() return open == 25 end)
  lu.assertEquals(most, 3)
end

function T:test_tasks_that_connect_wait_as_well()
  local _, url = self.rig:listen { onmessage = function(socket, data) socket:send(data) end }
  self.loop.handshakesMax = 1
  local tasks = {}
  for i = 1, 5 do
    tasks[i] = self.loop:spawn(function()
      local socket <close> = assert(wsock.connect(url, { loop = self.loop }))
      socket:send(i)
      return (socket:receive())
    end)
  end
  for i, task in ipairs(tasks) do lu.assertEquals({ task:join() }, { true, tostring(i) }) end
end

function T:test_each_loop_has_its_own_limit()
  local server, other = self.rig:raw_server(), rigs.new()
  self:clients(server.url, 2, 1)
  server:accept()
  self:nobody(server)
  other:client(server.url)
  server:accept()
  self:nobody(server)
  other:close()
end

-- ---- what frees a place -----------------------------------------------------------------

-- What may happen to the one that has the only place: each is given the client,
-- the raw server it is connecting to, and its record.
local ends = {
  open = function(_, server) server:welcome() end,
  refused = function(_, server)
    local peer = server:accept()
    peer:head()
    peer:send "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
  end,
  ["no HTTP"] = function(_, server)
    local peer = server:accept()
    peer:head()
    peer:send "220 hello\r\n\r\n"
  end,
  gone = function(_, server) server:accept():close() end,
  reset = function(_, server)
    local peer = server:accept()
    peer:head()
    peer:reset()
  end,
  closed = function(client) client:close() end,
  terminated = function(client, server)
    server:accept()
    client:terminate()
    client:terminate()
  end,
  ["closed by its own handler, which raises"] = function(client, server, rig)
    client:on("open", function()
      client:close()
      error "raised"
    end)
    server:welcome()
    rig:wait(function() return rig.errors[1] end)
    rig.errors = {}
  end,
  ["collected"] = function(client, server)
    client:on("open", function() collectgarbage() end)
    client:on("error", function() error "never" end)
    server:welcome()
  end,
  ["sent to where nobody is"] = function(_, server, rig)
    redirect(server:accept(), ("ws://127.0.0.1:%d/"):format(rig:dead_port()))
  end,
  ["sent to what is no URL"] = function(_, server) redirect(server:accept(), "gopher://x") end,
}

function T:test_every_end_frees_one_place_once()
  for name, act in pairs(ends) do
    local server, other = self.rig:raw_server(), self.rig:raw_server()
    self.loop.handshakesMax = 1
    local client = self.rig:client(server.url, nil, { maxRedirects = 1 })
    local record = rigs.record(client)
    self:clients(other.url, 3, 1)
    self:nobody(other)
    act(client, server, self.rig)
    local second = other:accept()
    lu.assertTrue(#record > 0 or client.readyState > 0, name)
    client:terminate() -- the end of one that was open frees no other place
    self:nobody(other)
    second:welcome()
    local third = other:accept()
    self:nobody(other)
    third:welcome()
    other:welcome()
  end
end

function T:test_who_never_came_as_far_frees_it_too()
  for _, url in ipairs { ("ws://127.0.0.1:%d/"):format(self.rig:dead_port()), "ws://nobody.invalid/",
    "ws+unix:/no/such/socket:/" } do
    local server = self.rig:raw_server()
    self:clients(url, 3, 1)
    local client = self.rig:client(server.url)
    server:welcome()
    self.rig:wait(function() return client.readyState == 1 end, url)
  end
end

function T:test_a_time_that_is_over_frees_it()
  local server = self.rig:raw_server()
  self:clients(server.url, 1, 1, { handshakeTimeout = 0.05 })
  local client = self.rig:client(server.url)
  server:accept()
  server:welcome()
  self.rig:wait(function() return client.readyState == 1 end)
end

-- ---- who waits --------------------------------------------------------------------------

function T:test_close_and_terminate_while_waiting()
  local server = self.rig:raw_server()
  local clients, records = self:clients(server.url, 5, 1)
  self.rig:idle()
  clients[2]:close(1000, "no matter")
  lu.assertEquals(clients[2].readyState, clients[2].CLOSING)
  clients[3]:terminate()
  clients[3]:close()
  clients[2]:on("close", function() clients[4]:close() end)
  for i = 2, 4 do self.rig:closed(records[i]) end
  lu.assertEquals(tostring(records[2]), "error:CLOSED close:1006::false")
  lu.assertEquals(tostring(records[3]), "close:1006::false")
  lu.assertEquals(tostring(records[4]), "error:CLOSED close:1006::false")
  server:welcome()
  server:welcome()
  self.rig:events(records[5], 1)
  self:nobody(server)
end

function T:test_closed_between_its_turn_and_its_start()
  local server = self.rig:raw_server()
  local clients, records = self:clients(server.url, 4, 1)
  clients[1]:on("open", function() -- the second has the place by now
    clients[2]:close()
    clients[3]:terminate()
  end)
  server:welcome()
  self.rig:closed(records[2])
  server:welcome()
  self.rig:events(records[4], 1)
  self:nobody(server)
end

-- Waiting is not the server's slowness: neither clock runs before the turn.
function T:test_times_begin_with_the_turn()
  local server = self.rig:raw_server()
  self:clients(server.url, 1, 1)
  local late = rigs.record(self.rig:client(server.url, nil, { handshakeTimeout = 0.05 }))
  local unsent = self.rig:client(server.url, nil, { sendTimeout = 0.02 })
  local sends, over = rigs.record(unsent), nil
  self.loop:after(0.2, function() over = true end)
  self.rig:wait(function() return over end)
  lu.assertEquals({ #late, #sends }, { 0, 0 })
  unsent:terminate()
  server:welcome()
  server:accept() -- and says nothing
  self.rig:closed(late)
  lu.assertEquals(tostring(late), "error:TIMEOUT close:1006::false")
  lu.assertStrContains(late.message, "handshakeTimeout has passed")
end

function T:test_a_loop_that_closes_and_one_nobody_has()
  local server = self.rig:raw_server()
  for _, act in ipairs { function(loop) loop:close() end, function() end } do
    local loop, heard = wsock.loop { handshakesMax = 2 }, 0
    for _ = 1, 5 do
      wsock.WebSocket(server.url, nil, { loop = loop }):on("close", function() heard = heard + 1 end)
    end
    loop:step()
    act(loop)
    loop = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    for _ = 1, 2 do server:accept():take_end() end
    self:nobody(server)
    lu.assertEquals(heard, 0)
  end
end

function T:test_one_that_nobody_holds_has_its_turn()
  local server = self.rig:raw_server()
  local said
  self:clients(server.url, 1, 1)
  self.rig:client(server.url):on("open", function() said = true end)
  collectgarbage()
  collectgarbage()
  server:welcome()
  server:welcome()
  self.rig:wait(function() return said end)
end

-- ---- the limit ---------------------------------------------------------------------------

function T:test_a_higher_limit_lets_them_in_a_lower_one_stops_nobody()
  local server = self.rig:raw_server()
  local _, records = self:clients(server.url, 5, 1)
  local peers = { server:accept() }
  self:nobody(server)
  self.loop.handshakesMax = 3
  lu.assertEquals(self.loop:timeout(), 0.0)
  peers[2], peers[3] = server:accept(), server:accept()
  self:nobody(server)
  self.loop.handshakesMax = 2
  peers[1]:welcome()
  self.rig:events(records[1], 1)
  self:nobody(server)
  peers[2]:welcome()
  peers[4] = server:accept()
  self:nobody(server)
  peers[3]:welcome()
  peers[4]:welcome()
  server:welcome()
  for _, record in ipairs(records) do self.rig:events(record, 1) end
end

-- ---- ways ------------------------------------------------------------------------------

-- Who is sent elsewhere does not wait again, and its clock runs on.
function T:test_a_redirect_keeps_its_place()
  local first, second, third = self.rig:raw_server(), self.rig:raw_server(), self.rig:raw_server()
  self.loop.handshakesMax = 1
  local client = self.rig:client(first.url, nil, { maxRedirects = 1 })
  self:clients(third.url, 1, 1)
  redirect(first:accept(), second.url)
  local peer = second:accept()
  self:nobody(third)
  peer:welcome()
  self.rig:wait(function() return client.readyState == 1 end)
  third:welcome()
end

function T:test_through_proxies()
  for kind, scheme in pairs { http = "http", socks = "socks5" } do
    local server = self.rig:raw_server()
    local proxy = forward.new(self.rig, { kind = kind, names = { ["far.spec"] = "127.0.0.1" } })
    local _, records = self:clients(("ws://far.spec:%d/"):format(server.port), 4, 2,
      { proxy = scheme .. "://" .. proxy.where })
    local first, second = server:accept(), server:accept()
    self:nobody(server)
    lu.assertEquals({ kind, #proxy.heads }, { kind, 2 })
    for _, peer in ipairs { first, second } do peer:welcome() end
    server:welcome()
    server:welcome()
    for _, record in ipairs(records) do self.rig:events(record, 1) end
  end
end

function T:test_over_tls()
  local mute, good = self.rig:raw_server(), certs.get "good"
  local _, url = self.rig:listen { tls = { cert = good.cert, key = good.key } }
  local options = { tls = { ca = good.ca } }
  local first = self:clients((mute.url:gsub("^ws", "wss")), 1, 1, options)[1]
  local clients = self:clients((url:gsub("^ws:", "wss:"):gsub("127.0.0.1", "localhost")), 6, 1, options)
  mute:accept() -- where it stands in the middle of TLS
  self.rig:idle(10)
  for _, client in ipairs(clients) do lu.assertEquals(client.readyState, 0) end
  first:terminate()
  for _, client in ipairs(clients) do
    self.rig:wait(function() return client.readyState > 0 end)
    lu.assertEquals(client.readyState, 1)
  end
end

function T:test_unix_sockets_and_names()
  local path = os.tmpname()
  os.remove(path)
  self.rig:keep(assert(wsock.listen { path = path, loop = self.rig.loop }))
  local server, _, port = self.rig:listen()
  local urls = { ("ws+unix:%s:/"):format(path), ("ws://localhost:%d/"):format(port) }
  self.loop.handshakesMax = 1
  local open = 0
  for i = 1, 6 do
    self.rig:client(urls[i % 2 + 1]):on("open", function() open = open + 1 end)
  end
  self.rig:wait(function() return open == 6 end)
  os.remove(path)
  lu.assertEquals(server.clientCount, 3)
end

-- ---- no memory ---------------------------------------------------------------------------

-- The n-th allocation fails, for every n, while one waits and when its turn
-- comes, with an address to connect to and with a name to look up.
function T:test_without_memory_at_every_point()
  local server = self.rig:raw_server()
  local function once(mem, world, host)
    local first, second = world:session(1), world:session(2)
    if first:hello() and first:dial { host = "127.0.0.1", port = server.port }
      and second:hello() and second:dial { host = host, port = server.port } then
      world:turn(0)
      lu.assertEquals(second:state().next, 0)
      first:terminate()
      clock.wait(function() return not second:state().dialing end, 5, function() world:turn(5) end)
    end
    first:free()
    second:free()
    second:free()
    world:free()
    local state = mem:state()
    lu.assertEquals({ state.used, state.live, state.wrong }, { 0, 0, 0 })
    return state.failed > 0
  end
  for _, host in ipairs { "127.0.0.1", "127.0.0.1.fake" } do
    local n = 0
    repeat
      n = n + 1
      local mem = probe.base.mem()
      local world = assert(probe.peer.world(mem, { backend = os.getenv "WSOCK_BACKEND", pending_max = 1 }))
      mem:fail(n)
    until not once(mem, world, host)
    lu.assertTrue(n > 4, n)
  end
end

return T
