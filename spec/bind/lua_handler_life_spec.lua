-- bind/lua_handler: whatever a handler does to what it is called for: close,
-- terminate, drop the last reference, raise, send, stop, close another one that
-- is ready in the same turn, close the server, close the loop. Every handler
-- meets every act; what counts is that nothing crashes, that each socket gets
-- its one close event, and that the loop goes on (I11, I13, H7, C3).

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"

local T = {}

local function collect()
  collectgarbage()
  collectgarbage()
end

-- What is done in a handler, with the scene it is done in.
local acts = {
  close = function(s) s.me:close(1000, "act") end,
  close_without_code = function(s) s.me:close() end,
  close_twice = function(s) s.me:close(3000) s.me:close(1000) end,
  terminate = function(s) s.me:terminate() end,
  terminate_twice = function(s) s.me:terminate() s.me:terminate() s.me:close() end,
  drop = function(s)
    s.me, s.clients = nil, {}
    collect()
  end,
  raise = function(s) s.expected = true error "act" end,
  raise_table = function(s) s.expected = true error {} end,
  send = function(s) if s.me.readyState ~= 0 then s.me:send "act" end end,
  send_much = function(s) if s.me.readyState ~= 0 then s.me:send(("x"):rep(400000), "binary") end end,
  send_and_close = function(s)
    if s.me.readyState ~= 0 then s.me:send "act" end
    s.me:close(1000)
    s.me:send "too late"
  end,
  send_and_terminate = function(s)
    if s.me.readyState ~= 0 then s.me:send(("x"):rep(100000)) end
    s.me:terminate()
  end,
  ping = function(s) if s.me.readyState ~= 0 then s.me:ping() s.me:pong() end end,
  stop = function(s) s.loop:stop() end,
  close_others = function(s)
    for i, k in ipairs(s.clients) do
      if not rawequal(k, s.me) then k[i % 2 == 0 and "close" or "terminate"](k) end
    end
  end,
  terminate_all = function(s)
    for _, k in ipairs(s.clients) do k:terminate() end
    for k in pairs(s.server.clients) do k:terminate() end
  end,
  drop_others = function(s)
    for _, k in ipairs(s.clients) do k:terminate() end
    s.clients = {}
    collect()
  end,
  close_server = function(s) s.server:close() end,
  close_server_now = function(s) s.server:close(1001, "now", 0) end,
  drop_server = function(s)
    if s.server then s.server:close() end
    s.server = nil
    collect()
  end,
  close_loop = function(s)
    lu.assertErrorMsgContains("while it runs", s.loop.close, s.loop)
    lu.assertErrorMsgContains("running", s.loop.run, s.loop)
    lu.assertErrorMsgContains("running", s.loop.step, s.loop)
  end,
  new_client = function(s) s.clients[#s.clients + 1] = wsock.WebSocket(s.url, nil, { loop = s.loop }) end,
  listeners = function(s)
    s.deaf = true
    for _, name in ipairs { "open", "message", "close", "error", "ping", "pong", "drain" } do
      s.me:off(name)
      s.me["on" .. name] = function() end
      s.me["on" .. name] = nil
    end
  end,
  pause = function(s)
    local me = s.me:pause()
    s.loop:after(0.002, function() me:resume() end)
  end,
  wait = function(s) s.loop:sleep(0.001) end,
  wait_and_drop = function(s)
    s.loop:sleep(0)
    s.me = nil
    collect()
  end,
  wait_and_close = function(s)
    local me = s.me
    s.loop:sleep(0)
    me:close(1000, "act")
  end,
  wait_and_terminate_all = function(s)
    s.loop:sleep(0)
    for _, k in ipairs(s.clients) do k:terminate() end
  end,
  wait_and_raise = function(s)
    s.expected = true
    s.loop:sleep(0)
    error "act"
  end,
  spawn = function(s)
    local me = s.me
    local task = s.loop:spawn(function() me:drain(0.001) end)
    s.loop:spawn(function() task:join() task:cancel() end)
    s.loop:spawn(s.loop.sleep, s.loop, 0.001):cancel()
  end,
  receive = function(s)
    s.deaf = true -- what it pulls no listener hears
    local me = s.me
    me:receive(0.001)
    me:on("message", function() end) -- nobody would read what it would stop at
  end,
  pull = function(s)
    s.deaf = true
    local me = s.me
    s.loop:spawn(function()
      for _ in me:messages() do if s.pulled then s.pulled(s, "pulled", me) end end
    end)
    s.loop:after(0.01, function() me:on("message", function() end) end)
  end,
  timers = function(s)
    for _ = 1, 20 do s.loop:after(0, function() end):cancel() end
    s.loop:after(0, function() if s.me then s.me:terminate() end end)
  end,
  another_loop = function()
    local other = wsock.loop()
    local done
    other:after(0, function() done = true end)
    other:run()
    lu.assertTrue(done)
    other:close()
  end,
  look = function(s)
    tostring(s.me)
    for _, key in ipairs { "url", "protocol", "extensions", "response", "request", "remoteAddress", "latency" } do
      local _ = s.me[key]
    end
    s.me:stats()
    collect()
  end,
}

-- A scene: a server with three clients; the events of a life happen to all.
-- hook(event, socket) is called in every handler of both sides.
local function scene(r, hook)
  local s = { loop = r.loop, clients = {}, opened = 0, told = 0, ended = 0 }
  local function watch(socket, side)
    socket.data = side
    for _, name in ipairs { "open", "message", "ping", "pong", "drain", "error", "close" } do
      socket:on(name, function(...)
        if name == "close" then s.ended = s.ended + 1 end
        hook(s, side .. "_" .. name, socket, ...)
      end)
    end
  end
  s.server = assert(wsock.listen { port = 0, loop = r.loop, highWaterMark = 1000, closeTimeout = 0.05,
    onconnection = function(socket)
      s.opened = s.opened + 1
      watch(socket, "server")
      hook(s, "server_connection", socket)
    end,
    onlistening = function() s.listening = true end,
  })
  s.url = ("ws://127.0.0.1:%d/"):format(select(2, s.server:address()))
  for i = 1, 3 do
    s.clients[i] = wsock.WebSocket(s.url, nil, { loop = r.loop, highWaterMark = 1000, closeTimeout = 0.05 })
    s.opened = s.opened + 1
    watch(s.clients[i], "client")
  end
  return s
end

local function stirred(r, n)
  for _ = 1, n do r.loop:step(0) end
end

-- Plays a whole life and does `act` in the handlers named `where` (the first
-- `times` times it is called).
local function play(r, act, where, times)
  local left = times
  local s = scene(r, function(s, event, socket)
    if event ~= where or left == 0 then return end
    left = left - 1
    s.me, s.met = socket, true
    acts[act](s)
    s.me = nil
  end)
  local clients = table.move(s.clients, 1, 3, 1, {})
  stirred(r, 9)
  for _, k in ipairs(clients) do -- all ready in the same turn
    if k.readyState == 1 then
      k:send "one"
      k:ping "p"
      k:send(("x"):rep(5000), "binary")
      k:send "two"
    end
  end
  stirred(r, 9)
  if s.server then
    for k in pairs(s.server.clients) do
      k:send "back"
      k:ping "q"
      k:send(("y"):rep(70000))
    end
  end
  stirred(r, 12)
  local far = {}
  for k in pairs(s.server and s.server.clients or {}) do far[#far + 1] = k end
  if far[1] then far[1]:terminate() end
  far = nil -- luacheck: ignore
  stirred(r, 6)
  local left_open = 0
  for _, k in ipairs(clients) do
    if k.readyState == 1 then
      left_open = left_open + 1
      k[left_open == 1 and "terminate" or "close"](k)
    end
  end
  clients = nil -- luacheck: ignore
  collect()
  stirred(r, 6)
  if s.server then s.server:close(1001, "", 0.05) end
  s.me = nil
  for _, k in ipairs(s.clients or {}) do k:close() end
  return s
end

-- A handler for all the rest of the life must not be missing: each socket
-- that told a connection tells its end once.
local function check(r, s, what)
  local limit = clock.now() + 10
  while r.loop:step(0.01) and clock.now() < limit do collectgarbage "step" end
  lu.assertFalse(r.loop:step(0), what .. ": the loop does not end")
  for _, e in ipairs(r.errors) do
    if not s.expected then lu.fail(what .. ": " .. tostring(e[2])) end
  end
  r.errors = {}
end

local events = { "client_open", "client_message", "client_ping", "client_pong", "client_drain", "client_close",
  "client_error", "server_connection", "server_message", "server_ping", "server_pong", "server_drain",
  "server_close", "server_error" }

for name in pairs(acts) do
  T["test_" .. name] = function(self)
    for _, where in ipairs(events) do
      for _, times in ipairs { 1, 1000 } do
        local r = rigs.new()
        self.what = name .. " in " .. where .. " x" .. times
        local s = play(r, name, where, times)
        check(r, s, self.what)
        lu.assertTrue(s.met, self.what .. ": was never called")
        if name ~= "new_client" and not s.deaf then lu.assertEquals(s.ended, s.opened, self.what) end
        r:close()
      end
    end
  end
end

-- Any act in any handler, by chance; the run's seed repeats it.
function T:test_by_chance()
  local names = {}
  for name in pairs(acts) do names[#names + 1] = name end
  table.sort(names)
  for round = 1, tonumber(os.getenv "SPEC_ROUNDS") or 60 do
    local r = rigs.new()
    local function hook(s, _, socket)
      if math.random() > 0.3 then return end
      local name = names[math.random(#names)]
      if name == "new_client" and #s.clients > 8 then return end
      if s.server == nil and name:find "server" or s.server == nil and name == "terminate_all" then return end
      s.me = socket
      acts[name](s)
    end
    local s = scene(r, hook)
    s.pulled = hook
    for _ = 1, 12 do
      stirred(r, 3)
      for _, k in ipairs(s.clients) do
        if k.readyState == 1 and math.random() < 0.5 then
          k:send(("x"):rep(math.random(0, 9000)), "binary")
          k:ping(tostring(round))
        end
      end
      for k in pairs(s.server and s.server.clients or {}) do
        if k.readyState == 1 and math.random() < 0.5 then k:send(("y"):rep(math.random(0, 9000))) end
      end
    end
    if round % 3 > 0 then -- else the loop goes with all of it
      if s.server then s.server:close(1001, "", 0.02) end
      for _, k in ipairs(s.clients) do k:terminate() end
      s.expected = true
      local limit = clock.now() + 10
      while r.loop:step(0.01) and clock.now() < limit do
        for _, k in ipairs(s.clients) do k:terminate() end
      end
      check(r, s, "round " .. round)
    end
    r.errors = {}
    r:close()
  end
end

-- ---- the same for handlers the scene above does not reach -----------------------------------

function T:test_error_handlers_of_refused_clients()
  for name, act in pairs(acts) do
    local r = rigs.new()
    local s = { loop = r.loop, clients = {}, url = "ws://127.0.0.1:1/" }
    s.server = assert(wsock.listen { port = 0, loop = r.loop })
    local told = {}
    for i = 1, 2 do
      s.clients[i] = wsock.WebSocket(s.url, nil, { loop = r.loop })
      for _, event in ipairs { "error", "close" } do
        s.clients[i]:on(event, function()
          told[#told + 1] = event
          s.me = s.clients[i] or wsock.WebSocket(s.url, nil, { loop = r.loop })
          if name == "pause" or #told > 4 then return end
          act(s)
        end)
      end
    end
    stirred(r, 6)
    if s.server then s.server:close() end
    check(r, s, name)
    lu.assertTrue(s.deaf or #told >= 3, name .. ": " .. table.concat(told, " "))
    r:close()
  end
end

function T:test_server_handlers()
  for _, where in ipairs { "onrequest", "onupgrade", "onrefused", "onlistening", "onclosed", "verify", "protocols",
    "origins" } do
    for _, act in ipairs { "close", "terminate", "raise", "drop", "stop", "close_now", "close_loop", "nothing" } do
      local r = rigs.new()
      local server
      local function handler(request)
        local what = server and act
        if what == "close" then server:close()
        elseif what == "close_now" then server:close(1001, "", 0)
        elseif what == "terminate" then for k in pairs(server.clients) do k:terminate() end
        elseif what == "raise" then error "act"
        elseif what == "drop" then server:close() server = nil collect()
        elseif what == "stop" then r.loop:stop()
        elseif what == "close_loop" then pcall(r.loop.close, r.loop) end
        if where == "onupgrade" and type(request) == "table" then pcall(request.accept, request, {}) end
        return where ~= "protocols" or nil
      end
      server = assert(wsock.listen { port = 0, loop = r.loop, [where] = handler, closeTimeout = 0.05 })
      local url = ("ws://127.0.0.1:%d/"):format(select(2, server:address()))
      local port = select(2, server:address())
      local peers = {}
      for i = 1, 2 do
        peers[i] = r:raw_client(port, true)
        peers[i].sock:send("GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\n\r\n")
        peers[i + 2] = r:client(url, "x", { origin = "http://h" })
        peers[i + 4] = r:raw_client(port, true)
        peers[i + 4].sock:send "GARBAGE\r\n\r\n"
      end
      stirred(r, 12)
      for i = 1, 6 do pcall(function() (peers[i].terminate or peers[i].close)(peers[i]) end) end
      stirred(r, 6)
      if server then server:close(1001, "", 0) end
      check(r, { expected = act == "raise" }, where .. " " .. act)
      r:close()
    end
  end
end

-- ---- a loop that goes with everything in it ------------------------------------------------------

function T:test_a_whole_loop_is_dropped_with_live_sockets()
  for step = 0, 12, 3 do
    local r = rigs.new()
    local s = scene(r, function() end)
    stirred(r, step)
    for _, k in ipairs(s.clients) do if k.readyState == 1 then k:send(("x"):rep(100000)) end end
    s.loop:every(1, print)
    local weak = setmetatable({ s.loop, s.server, s.clients[1] }, { __mode = "v" })
    s, r = nil, nil -- luacheck: ignore
    collect()
    collect()
    lu.assertNil(next(weak), "after " .. step .. " turns")
  end
end

function T:test_objects_outlive_their_loop()
  local r = rigs.new()
  local s = scene(r, function() end)
  local timer, interval = r.loop:after(1, print), r.loop:every(1, print)
  stirred(r, 12)
  local sockets = { table.unpack(s.clients) }
  for k in pairs(s.server.clients) do sockets[#sockets + 1] = k end
  lu.assertEquals(#sockets, 6)
  r.loop:close()
  r.loop:close()
  collect()
  for _, k in ipairs(sockets) do
    lu.assertEquals(k.readyState, 3)
    lu.assertEquals({ k:send "x" }, { nil, "connection is not open", "CLOSED" })
    k:close()
    k:terminate()
    acts.look { me = k }
  end
  timer:cancel()
  interval:cancel()
  s.server:close()
  lu.assertEquals(s.server.clientCount, 0)
  for _ in pairs(s.server.clients) do lu.fail "a client of a closed loop" end
  lu.assertError(r.loop.run, r.loop)
  lu.assertError(r.loop.after, r.loop, 1, print)
  lu.assertErrorMsgContains("closed", wsock.WebSocket, s.url, nil, { loop = r.loop })
  lu.assertErrorMsgContains("closed", wsock.listen, { port = 0, loop = r.loop })
  lu.assertStrContains(tostring(r.loop), "closed")
  s.loop = nil
end

-- W-72: who is left hears of it
function T:test_closing_the_loop_says_goodbye()
  local r, other = rigs.new(), rigs.new()
  local server = other:raw_server()
  local socket = r:client(server.url)
  local peer = other:keep(server:raw_accept(r))
  lu.assertEquals(socket.readyState, 1)
  r.loop:close()
  lu.assertEquals(peer:take_close(), 1001)
  peer:take_end()
  other:close()
end

-- A loop closed while its turn was thrown away by an error (Ctrl-C, say).
function T:test_a_turn_that_was_cut_short()
  local r = rigs.new()
  local near, record, far = r:pair()
  far:on("message", function() debug.sethook(r.co, function() debug.sethook(r.co) error "cut" end, "c") end)
  near:send "1"
  near:send "2"
  r.co = coroutine.create(function() while true do r.loop:step(0.01) end end)
  local ok, message
  for _ = 1, 200 do
    ok, message = coroutine.resume(r.co)
    if not ok then break end
  end
  lu.assertFalse(ok)
  lu.assertStrContains(message, "cut")
  far:off "message"
  near:close()
  r:closed(record)
  r:close()
end

function T:test_frames_in_one_read_after_the_socket_is_gone()
  local r = rigs.new()
  local seen = 0
  local _, _, port = r:listen { onmessage = function(socket)
    seen = seen + 1
    socket:terminate()
    socket = nil -- luacheck: ignore
    collect()
  end }
  local peer = r:raw_client(port)
  peer:send(bytes.frame { mask = true, "x" }:rep(100))
  peer:take_end()
  lu.assertEquals(seen, 1)
  r:close()
end

return T
