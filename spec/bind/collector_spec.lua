-- bind: a finalizer may run wherever Lua allocates, and may do there whatever a
-- handler may: feed a connection whose event is being pushed, take its output,
-- close the loop whose head is being shown, cancel the task a message is for.
-- What is looked for are pointers that outlive what they point at, so these
-- specs say most under a sanitizer.

local lu = require "luaunit"
local wsock = require "wsock"
local bytes = require "support.bytes"
local clock = require "support.clock"
local collector = require "support.collector"
local files = require "support.files"
local rigs = require "support.rig"
local tls = require "support.tls"

local T = {}

local HEAD = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

local function text(data) return bytes.frame { op = "text", mask = true, data } end

-- ---- protocol objects ----------------------------------------------------------

local function server_of(options)
  local conn = wsock.protocol.server(options)
  conn:feed(HEAD)
  lu.assertEquals(conn:next(), "upgrade")
  conn:accept()
  lu.assertEquals(conn:next(), "open")
  conn:output()
  return conn
end

function T:test_an_event_while_another_is_pushed()
  local sizes = { 10, 70000 }
  for _, options in ipairs { {}, { streaming = true }, { frames = true } } do
    local places = collector.everywhere(function()
      local conn = server_of(options)
      for _, n in ipairs(sizes) do conn:feed(text(("a"):rep(n))) end
      return conn
    end, function(conn)
      local _, data = conn:next()
      lu.assertEquals(data, ("a"):rep(#data))
    end, function(conn)
      for _ = 1, 4 do
        conn:feed(text(("b"):rep(5000)))
        conn:next()
      end
    end)
    lu.assertTrue(places > 0)
  end
end

function T:test_a_body_while_its_head_is_shown()
  collector.everywhere(function()
    local conn = wsock.protocol.server()
    conn:feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" .. ("x"):rep(20000))
    return conn
  end, function(conn)
    local name, request = conn:next()
    lu.assertEquals(name, "request")
    lu.assertEquals(request.body, ("x"):rep(20000))
    lu.assertEquals(request.headers.host, "a")
  end, function(conn)
    conn:respond()
    conn:feed(("z"):rep(30000))
    conn:next()
  end)
end

function T:test_output_while_output_is_taken()
  for _, act in ipairs {
    function(s) s.taken = s.conn:output() end,
    function(s) s.taken = s.conn:output(7) end,
    function(s) s.conn:send(("d"):rep(200000)) end,
    function(s)
      s.conn:terminate()
      s.conn:closed()
      for _ in s.conn.next, s.conn do end
      s.gone = true
    end,
  } do
    collector.everywhere(function()
      local s = { conn = server_of() }
      for i = 1, 40 do s.conn:send((i % 2 == 0 and "o" or "e"):rep(i * 100)) end
      s.whole = s.conn.bufferedAmount
      return s
    end, function(s)
      s.out = s.conn:output()
      s.rest = s.conn:output()
    end, act)
  end
end

function T:test_no_byte_of_the_output_twice()
  local expected = server_of()
  for i = 1, 40 do expected:send(("%03d"):format(i):rep(100)) end
  local all = expected:output()
  local function take(s, most)
    local out = s.conn:output(most)
    s.got[#s.got + 1] = out
    return #out
  end
  collector.everywhere(function()
    local s = { conn = server_of(), got = {} }
    for i = 1, 40 do s.conn:send(("%03d"):format(i):rep(100)) end
    return s
  end, function(s)
    take(s, 9000)
    while take(s) > 0 do end
    bytes.equals(table.concat(s.got), all)
  end, function(s) take(s, 5000) end)
end

-- ---- sockets of a loop that goes ---------------------------------------------------

function T:test_the_loop_goes_while_something_of_it_is_shown()
  for _, look in ipairs {
    function(s) return s.client.response end,
    function(s) return s.client.response.headers end,
    function(s) return s.request.headers end,
    function(s) return s.client.protocol, s.client.extensions, s.client.url end,
    function(s) return s.client:stats(), tostring(s.client) end,
    function(s) return s.client:receive() end,
    function(s) return s.client:send(("x"):rep(9000)) end,
    function(s) return s.socket:send(("x"):rep(9000)) end,
    function(s) return s.server:broadcast "x" end,
    function(s) return pairs(s.server.clients) end,
  } do
    collector.everywhere(function()
      local s = { loop = wsock.loop() }
      local function greet(k, request) s.socket, s.request = k, request end
      s.server = assert(wsock.listen { loop = s.loop, port = 0, protocols = { "v1.chat" }, onconnection = greet })
      local _, port = s.server:address()
      s.client = assert(wsock.connect("ws://127.0.0.1:" .. port, { loop = s.loop, protocols = "v1.chat" }))
      while not s.request do s.loop:step(1) end
      s.socket:close(1000, ("because "):rep(12))
      while s.client.readyState < 2 do s.loop:step(1) end
      return s
    end, function(s)
      pcall(look, s)
      s.loop:close()
    end, function(s) s.loop:close() end)
  end
end

function T:test_the_loop_goes_while_something_begins()
  for _, begin in ipairs {
    function(loop) loop:after(1, print) end,
    function(loop) loop:every(1, print) end,
    function(loop) loop:spawn(print, 1, 2) end,
    function(loop) loop:signal("USR2", print) end,
    function(loop) loop:watch(0, "r", print) end,
    function(loop) wsock.WebSocket("ws://127.0.0.1:1/", { "a", "b" }, { loop = loop, headers = { A = "b" } }) end,
    function(loop) wsock.listen { loop = loop, port = 0, protocols = { "a" } } end,
  } do
    collector.everywhere(wsock.loop, function(loop)
      local ok, message = pcall(begin, loop)
      if not ok then lu.assertStrContains(message, "closed") end
      loop:close()
    end, function(loop) loop:close() end)
  end
end

-- Between a message's function that stops and the rest of the turn, which another coroutine does.
function T:test_the_loop_goes_or_turns_while_a_turn_changes_hands()
  local ways = {
    raises = function() error "at once" end,
    catches = function() pcall(error, "caught") end,
    waits = function(s) s.loop:sleep(60) end,
  }
  for name, way in pairs(ways) do
    for _, act in ipairs { "close", "step" } do
      local told
      collector.everywhere(function()
        told = 0
        local s = { loop = wsock.loop() }
        s.loop.onerror = function() end
        s.server = assert(wsock.listen { loop = s.loop, port = 0, onmessage = function()
          told = told + 1
          way(s)
        end })
        local _, port = s.server:address()
        s.client = assert(wsock.connect("ws://127.0.0.1:" .. port, { loop = s.loop }))
        for _ = 1, 3 do s.client:send "x" end
        return s
      end, function(s)
        local ends = clock.now() + 10 * clock.slow
        while told == 0 and clock.now() < ends do
          local ok, message = pcall(s.loop.step, s.loop, 1)
          if not ok then
            lu.assertStrContains(message, "closed")
            break
          end
        end
        s.loop:close()
      end, function(s) pcall(s.loop[act], s.loop) end, 120)
      lu.assertTrue(told <= 3, name)
    end
  end
end

function T:test_the_loop_goes_while_a_certificate_is_shown()
  local C = tls.class()
  local s = setmetatable({}, { __index = C })
  C.setUp(s)
  collector.everywhere(function()
    local scene = { loop = wsock.loop() }
    scene.server = assert(wsock.listen { loop = scene.loop, port = 0, tls = { cert = s.good.cert, key = s.good.key } })
    local _, port = scene.server:address()
    scene.client = assert(wsock.connect("wss://localhost:" .. port, { loop = scene.loop, tls = { ca = s.good.ca } }))
    return scene
  end, function(scene)
    local shown = scene.client.tls
    lu.assertTrue(shown == nil or type(shown) == "table")
    scene.loop:close()
  end, function(scene) scene.loop:close() end)
  C.tearDown(s)
end

-- The authorities of two clients are in one file, which changes between them.
function T:test_a_client_begins_while_another_does()
  local C = tls.class()
  local s = setmetatable({}, { __index = C })
  C.setUp(s)
  local authorities, name, changes = files.read(s.good.ca), os.tmpname(), 0
  local function begin(loop)
    local client = wsock.WebSocket("wss://127.0.0.1:1/", nil, { loop = loop, tls = { ca = name }, maxRedirects = 1 })
    client.onerror = function() end
  end
  collector.everywhere(function()
    files.write(name, authorities)
    return wsock.loop()
  end, function(loop)
    begin(loop)
    loop:close()
  end, function(loop)
    changes = changes + 1
    files.write(name, authorities .. ("\n"):rep(changes))
    pcall(begin, loop)
  end)
  os.remove(name)
  lu.assertTrue(changes > 10, changes)
  C.tearDown(s)
end

-- ---- tasks ---------------------------------------------------------------------------

-- Whoever waits for a message may be gone when the message is made for him: it
-- waits for the next one.
function T:test_who_waits_is_cancelled_while_his_message_is_made()
  for _, options in ipairs { { binaryType = "arraybuffer" }, { binaryType = "blob" }, { frames = true } } do
    collector.everywhere(function()
      local r = rigs.new()
      local s = { rig = r, got = {} }
      s.peer = r:raw_server()
      s.client = r:client(s.peer.url, nil, { frames = options.frames })
      if options.binaryType then s.client.binaryType = options.binaryType end
      s.raw = s.peer:welcome()
      r:wait(function() return s.client.readyState == 1 end)
      s.task = r.loop:spawn(function() s.got[1] = s.client:receive() end)
      r:idle()
      s.raw:frame { op = "binary", "first" }
      return s
    end, function(s)
      s.rig:wait(function() return s.got[1] end)
      s.rig:close()
    end, function(s)
      s.cancelled = s.task:cancel()
      if s.got[1] == nil then
        s.rig.loop:spawn(function() s.got[1] = s.client:receive() end)
      end
    end, 60)
  end
end

-- Who is ended while it is sent elsewhere, or answers who it is, does not go there.
function T:test_the_end_of_a_client_that_begins_anew()
  for _, status in ipairs { 302, 401 } do
    for _, how in ipairs { "terminate", "close" } do
      local places = collector.everywhere(function()
        local rig, asked = rigs.new(), 0
        local _, url = rig:listen { onupgrade = function(request)
          asked = asked + 1
          if asked > 1 then return request:accept() end
          request:reject(status, { Location = "/b", ["WWW-Authenticate"] = 'Digest realm="r", nonce="n", qop="auth"' })
        end }
        local it = { rig = rig, socket = rig:client(url, nil, { maxRedirects = 1, auth = { "u", "p" } }) }
        it.socket:on("open", function() it.opened, it.wrong = true, it.ended end)
        it.socket:on("close", function() it.closed = true end)
        return it
      end, function(it)
        it.rig:wait(function() return it.closed or it.opened end)
        it.rig:close()
        lu.assertNil(it.wrong, how)
      end, function(it)
        it.ended = true
        it.socket[how](it.socket)
      end)
      lu.assertTrue(places > 0)
    end
  end
end

return T
