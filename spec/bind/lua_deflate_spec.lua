-- spec/bind/lua_deflate_spec.lua -- perMessageDeflate for sockets, servers and
-- protocol objects: rows S38, S39, S43, PM-12 to PM-26, PM-53 of the matrix, N6.

local lu = require "luaunit"
local wsock = require "wsock"
local rigs = require "support.rig"
local conn = require "support.conn"

local T = rigs.class()

local PMD = "permessage-deflate"
local TEXT = ("to be compressed, "):rep(200)

-- A client and a server's socket that are open, with these options.
function T:pair(client, server)
  local near, _, far = self.rig:pair({ perMessageDeflate = client }, { perMessageDeflate = server })
  return near, far
end

-- A raw client that has asked with these lines, and the head of the answer.
function T:asked(server, ...)
  local raw = self.rig:raw_client(select(2, server:address()), true)
  raw:send(conn.request(...))
  return raw, raw:head()
end

-- The agreed extension, the same on both sides.
function T:agreed(client, server)
  local a, b = self:pair(client, server)
  lu.assertEquals(a.extensions, b.extensions)
  a:terminate()
  return a.extensions
end

-- ---- what is agreed on -------------------------------------------------------------

-- S39, S43
function T:test_the_default_is_to_offer_and_not_to_take()
  lu.assertEquals(self:agreed(nil, nil), "")
  lu.assertEquals(self:agreed(nil, true), PMD)
  lu.assertEquals(self:agreed(false, true), "")
  lu.assertEquals(self:agreed(true, false), "")
  lu.assertEquals(self:agreed({}, {}), PMD)
end

function T:test_parameters()
  for _, row in ipairs {
    { { serverNoContextTakeover = true }, true, "; server_no_context_takeover" },
    { { clientNoContextTakeover = true }, true, "; client_no_context_takeover" },
    { { serverMaxWindowBits = 10 }, true, "; server_max_window_bits=10" },
    { { clientMaxWindowBits = 9 }, true, "; client_max_window_bits=9" },
    { { serverMaxWindowBits = 8, clientMaxWindowBits = 8 }, true,
      "; server_max_window_bits=8; client_max_window_bits=8" },
    { true, { serverNoContextTakeover = true, clientNoContextTakeover = true },
      "; server_no_context_takeover; client_no_context_takeover" },
    { true, { serverMaxWindowBits = 11, clientMaxWindowBits = 12 },
      "; server_max_window_bits=11; client_max_window_bits=12" },
    { { serverMaxWindowBits = 10 }, { serverMaxWindowBits = 12 }, "; server_max_window_bits=10" },
  } do
    lu.assertEquals(self:agreed(row[1], row[2]), PMD .. row[3])
  end
end

-- S38, PM-08
function T:test_offers_that_are_declined()
  local server = self.rig:listen { perMessageDeflate = { clientMaxWindowBits = 10 } }
  for _, offer in ipairs {
    "deflate-frame", "x-webkit-deflate-frame", PMD, PMD .. "; foo", PMD .. "; client_max_window_bits=7",
    "foo, bar; a=1",
  } do
    local _, head = self:asked(server, "Sec-WebSocket-Extensions: " .. offer)
    lu.assertStrContains(head, " 101 ")
    lu.assertNil(head:find("Sec-WebSocket-Extensions", 1, true), offer)
  end
end

-- PM-02 over several lines
function T:test_offers_on_several_lines()
  local server = self.rig:listen { perMessageDeflate = true }
  local _, head = self:asked(server, "Sec-WebSocket-Extensions: foo, " .. PMD .. "; bar",
    "Sec-WebSocket-Extensions: " .. PMD .. "; server_max_window_bits=9, " .. PMD)
  lu.assertStrContains(head, "\r\nSec-WebSocket-Extensions: " .. PMD .. "; server_max_window_bits=9\r\n")
end

-- PM-06, PM-09, PM-14, PM-21, PM-26, N3: with a text that says so
function T:test_answers_that_fail()
  for _, row in ipairs {
    { true, PMD .. "; foo", "unknown, repeated or has a wrong value" },
    { true, PMD .. "; server_max_window_bits=16", "unknown, repeated or has a wrong value" },
    { true, PMD .. ", " .. PMD, "extension that was not offered" },
    { true, "foo", "extension that was not offered" }, { false, PMD, "extension that was not offered" },
    { { serverNoContextTakeover = true }, PMD, "do not fit the offer" },
    { { serverMaxWindowBits = 10 }, PMD .. "; server_max_window_bits=11", "do not fit the offer" },
    { { clientMaxWindowBits = 10 }, PMD .. "; client_max_window_bits=11", "do not fit the offer" },
  } do
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url, nil, { perMessageDeflate = row[1] })
    local record, message = rigs.record(socket), nil
    socket:on("error", function(text) message = text end)
    server:accept():welcome("Sec-WebSocket-Extensions: " .. row[2])
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "error:HANDSHAKE close:1006::false", row[2])
    lu.assertStrContains(message, row[3])
  end
end

-- EX-16, CC-12: a client that needs it says so in its Close, and the connection was never open
function T:test_one_that_is_required()
  local options = { perMessageDeflate = { required = true, level = 1 } }
  local near = self.rig:pair(options, { perMessageDeflate = true })
  lu.assertEquals(near.extensions, PMD)

  local server = self.rig:raw_server()
  local record = rigs.record(self.rig:client(server.url, nil, options))
  local peer = server:welcome()
  local code, reason = peer:take_close()
  lu.assertEquals(code, 1010)
  lu.assertStrContains(reason, PMD)
  peer:close()
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:HANDSHAKE close:1006::false")
  lu.assertEquals(record.message, "handshake with " .. server.url:sub(1, -2)
    .. ": server did not accept permessage-deflate, which is required")

  local _, url = self.rig:listen()
  options.loop = self.loop
  lu.assertEquals({ wsock.connect(url, options) },
    { nil, (record.message:gsub("^.-//[^/]+: ", "handshake with " .. url:sub(1, -2) .. ": ")), "HANDSHAKE" })
  for _, make in ipairs { wsock.listen, wsock.protocol.server } do
    lu.assertErrorMsgContains("unknown option of perMessageDeflate 'required'", make,
      { perMessageDeflate = { required = true } })
  end
end

-- N6: who may have it is the server's to say, request by request
function T:test_a_function()
  local answer, asked
  local server = self.rig:listen {
    perMessageDeflate = function(request)
      asked = request.headers["User-Agent"] .. request.path
      return answer
    end,
  }
  local url = "ws://127.0.0.1:" .. select(2, server:address()) .. "/room"
  for _, row in ipairs {
    { true, PMD }, { false, "" }, { { serverMaxWindowBits = 9 }, PMD .. "; server_max_window_bits=9" },
  } do
    answer = row[1]
    local socket = self.rig:client(url, nil, { headers = { ["User-Agent"] = "old" } })
    self.rig:wait(function() return socket.readyState == 1 end)
    lu.assertEquals({ socket.extensions, asked }, { row[2], "old/room" })
  end
  -- what is no answer is an error of the application: 500
  for _, wrong in ipairs { 1, "yes", { { windowBits = 9 } } } do
    answer = type(wrong) == "table" and wrong[1] or wrong
    local socket = self.rig:client(url, nil, { headers = { ["User-Agent"] = "old" } })
    local record = rigs.record(socket)
    self.rig:closed(record)
    lu.assertEquals(socket.response.status, 500)
    lu.assertEquals(#self.rig.errors, 1)
    lu.assertStrContains(self.rig.errors[1][1], "perMessageDeflate")
    self.rig.errors = {}
  end
end

function T:test_a_function_and_onupgrade()
  local raise
  local server = self.rig:listen {
    perMessageDeflate = function(request)
      if raise then error "no idea" end
      return { serverNoContextTakeover = request.path == "/alone" }
    end,
    onupgrade = function(request)
      local ok, message = pcall(request.accept, request)
      if not ok then request:reject(404, nil, message) end
    end,
  }
  local url = "ws://127.0.0.1:" .. select(2, server:address())
  local socket = self.rig:client(url .. "/alone")
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertEquals(socket.extensions, PMD .. "; server_no_context_takeover")
  raise = true
  socket = self.rig:client(url)
  self.rig:closed(rigs.record(socket))
  lu.assertEquals(socket.response.status, 404)
  lu.assertStrContains(socket.response.body, "no idea")
end

-- ---- options -------------------------------------------------------------------------

function T:test_wrong_options()
  for _, row in ipairs {
    { 1, "must be true, false or a table, got number" }, { "yes", "must be true, false or a table, got string" },
    { { serverMaxWindowBits = 7 }, "'serverMaxWindowBits' must be an integer from 8 to 15" },
    { { clientMaxWindowBits = 16 }, "'clientMaxWindowBits' must be an integer from 8 to 15" },
    { { serverMaxWindowBits = "9" }, "'serverMaxWindowBits' must be a number" },
    { { level = 0 }, "'level' must be an integer from 1 to 9" }, { { memLevel = 10 }, "'memLevel' must be" },
    { { threshold = -1 }, "'threshold' must be an integer >= 0" },
    { { clientNoContextTakeover = 1 }, "'clientNoContextTakeover' must be a boolean" },
    { { windowBits = 9 }, "unknown option of perMessageDeflate 'windowBits'" },
    { { Level = 9 }, "did you mean 'level'?" },
  } do
    for _, make in ipairs {
      function(options) return wsock.WebSocket("ws://127.0.0.1:1/", nil, options) end,
      function(options)
        options.port = 0
        return wsock.listen(options)
      end,
      function(options) return wsock.protocol.server(options) end,
      function(options) return wsock.protocol.client("ws://a/", options) end,
    } do
      lu.assertErrorMsgContains(row[2], make, { perMessageDeflate = row[1] })
    end
  end
  lu.assertErrorMsgContains("got function", wsock.WebSocket, "ws://127.0.0.1:1/", nil, { perMessageDeflate = print })
  lu.assertErrorMsgContains("'required' must be a boolean", wsock.WebSocket, "ws://127.0.0.1:1/", nil,
    { perMessageDeflate = { required = "yes" } })
end

-- ---- sending ---------------------------------------------------------------------------

-- Both ways, counted before and after.
function T:test_echo_and_stats()
  local list = {}
  local client, server = self:pair(nil, true)
  server:on("message", function(data, kind) server:send(data, kind) end)
  client:on("message", function(data, kind) list[#list + 1] = kind .. ":" .. data end)
  client:send(TEXT)
  client:send(TEXT, "binary")
  client:send "short"
  self.rig:wait(function() return #list == 3 end)
  lu.assertTrue(list[1] == "text:" .. TEXT and list[2] == "binary:" .. TEXT and list[3] == "text:short")
  local ours, theirs = client:stats(), server:stats()
  for _, s in ipairs { ours, theirs } do
    lu.assertEquals({ s.uncompressedIn, s.uncompressedOut }, { 2 * #TEXT, 2 * #TEXT })
    lu.assertTrue(s.compressedIn > 20 and s.compressedIn < 150)
    lu.assertEquals(s.compressedOut, s.compressedIn)
  end
  lu.assertTrue(ours.bytesOut < 500)
end

function T:test_no_extension_no_compression()
  local client = self:pair(nil, nil)
  client:send(TEXT)
  local s = client:stats()
  lu.assertEquals({ s.compressedIn, s.compressedOut, s.uncompressedIn, s.uncompressedOut }, { 0, 0, 0, 0 })
end

-- PM-53: compress = false, and threshold
function T:test_messages_that_are_not_compressed()
  local client, server = self:pair({ threshold = 100 }, { threshold = 0 })
  client:send(TEXT, "text", { compress = false })
  client:send(("a"):rep(99))
  lu.assertEquals(client:stats().uncompressedOut, 0)
  client:send(("a"):rep(100), nil, { compress = true })
  lu.assertEquals(client:stats().uncompressedOut, 100)
  server:send ""
  server:send "a"
  server:send(TEXT .. TEXT, "binary", { compress = false }) -- by reference
  lu.assertEquals(server:stats().uncompressedOut, 1)
  lu.assertEquals(server:stats().compressedOut, 4)
  lu.assertErrorMsgContains("'compress' must be a boolean", client.send, client, "x", nil, { compress = 1 })
  lu.assertErrorMsgContains("did you mean 'compress'?", client.send, client, "x", nil, { compres = true })
  local list = {}
  client:on("message", function(data) list[#list + 1] = #data end)
  self.rig:wait(function() return #list == 3 end)
  lu.assertEquals(list, { 0, 1, 2 * #TEXT })
end

-- What lies about in large pieces, in fragments, from a Blob
function T:test_large_messages_and_fragments()
  local list = {}
  local client, server = self:pair(true, true)
  server:on("message", function(data, kind) list[#list + 1] = kind .. ":" .. data end)
  client:on("message", function(data, kind) list[#list + 1] = kind .. ":" .. data end)
  local big = ("0123456789 grün "):rep(50000)
  for _, socket in ipairs { client, server } do
    socket:send(big)
    socket:send("ein ", "text", { final = false })
    socket:send("gr\xC3", "text", { final = false })
    socket:send("\xBCnes ", nil, { final = false, compress = false }) -- the first has decided
    socket:send "ende"
    socket:send(wsock.blob(big))
  end
  self.rig:wait(function() return #list == 6 end)
  table.sort(list)
  lu.assertTrue(list[1] == "binary:" .. big and list[2] == list[1])
  lu.assertTrue(list[3] == "text:" .. big and list[4] == list[3])
  lu.assertEquals({ list[5], list[6] }, { "text:ein grünes ende", "text:ein grünes ende" })
  lu.assertTrue(client:stats().compressedOut < 20000)
end

-- W-24
function T:test_buffered_amount()
  local client = self:pair(true, true)
  client:send(TEXT)
  lu.assertEquals(client.bufferedAmount, #TEXT)
  self.rig:wait(function() return client.bufferedAmount == 0 end)
end

-- PM-50, PM-51: a server's maxPayload is for what is meant
function T:test_bombs_and_junk()
  local server, url = self.rig:listen { perMessageDeflate = true, maxPayload = 1000 }
  local socket = self.rig:client(url)
  local record = rigs.record(socket)
  self.rig:wait(function() return socket.readyState == 1 end)
  socket:send(TEXT)
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "open close:1009:message is larger than maxPayload:true")
  local raw = self:asked(server, "Sec-WebSocket-Extensions: " .. PMD)
  raw:frame { op = 1, rsv = 4, "\x07" }
  lu.assertEquals({ raw:take_close() }, { 1007, "compressed message does not inflate" })
end

-- ---- broadcast -------------------------------------------------------------------------

-- Compressed once for all of a kind; everybody understands it, also what is
-- sent to one of them before and after.
function T:test_broadcast()
  local sockets, clients, list = {}, {}, {}
  local server, url = self.rig:listen { perMessageDeflate = true, onconnection = function(socket)
    sockets[#sockets + 1] = socket
  end }
  for i, options in ipairs {
    false, true, true, { serverNoContextTakeover = true }, { serverMaxWindowBits = 9 }, { serverMaxWindowBits = 8 },
    { clientNoContextTakeover = true },
  } do
    clients[i] = self.rig:client(url, nil, { perMessageDeflate = options })
    clients[i]:on("message", function(data) list[#list + 1] = data end)
    self.rig:wait(function() return #sockets == i end)
  end
  local function all(...)
    for _ = 1, 2 do
      for i, socket in ipairs(sockets) do socket:send(TEXT .. i) end
      lu.assertEquals({ server:broadcast(...) }, { 7, 0 })
    end
    for i, socket in ipairs(sockets) do socket:send(TEXT .. i) end
    self.rig:wait(function() return #list == 7 * 5 end)
    local count = {}
    for _, data in ipairs(list) do count[data] = (count[data] or 0) + 1 end
    for i = 1, 7 do lu.assertEquals(count[TEXT .. i], 3) end
    lu.assertEquals(count[...], 14)
    list = {}
  end
  local big = TEXT .. ("for all, "):rep(500)
  local function sums()
    local t = {}
    for i, socket in ipairs(sockets) do t[i] = socket:stats().uncompressedOut end
    return t
  end
  all(big)
  local one, three = sums(), 3 * (#TEXT + 1)
  lu.assertEquals(one[1], 0)
  for i = 2, 7 do lu.assertEquals(one[i], three + 2 * #big, i) end
  all("short", "text") -- not worth it alone
  all(big, "text", { compress = false })
  local last = sums()
  for i = 2, 7 do lu.assertEquals(last[i], one[i] + 2 * three) end
  local random = {}
  for i = 1, 5000 do random[i] = string.char(math.random(0, 255)) end
  all(table.concat(random), "binary") -- would not get smaller
  for i = 2, 7 do lu.assertEquals(sums()[i], last[i] + three) end
  lu.assertErrorMsgContains("'compress' must be a boolean", server.broadcast, server, "x", nil, { compress = 1 })
end

-- The same frame for everybody with the same window, and no compressor each.
function T:test_a_broadcast_is_compressed_once()
  local server = self.rig:listen { perMessageDeflate = true }
  local raws, count = {}, 20
  for i = 1, count do raws[i] = self:asked(server, "Sec-WebSocket-Extensions: " .. PMD) end
  self.rig:wait(function() return server.clientCount == count end)
  lu.assertEquals(server:broadcast(TEXT), count)
  local first = raws[1]:take()
  lu.assertEquals({ first.rsv, first.fin, #first.payload < 100 }, { 4, true, true })
  for i = 2, count do lu.assertEquals(raws[i]:take().payload, first.payload) end
  local total = 0
  for socket in pairs(server.clients) do total = total + socket:stats().compressedOut end
  lu.assertTrue(total > count * #first.payload)
end

-- More kinds than are worth it: the rest gets it plain.
function T:test_a_broadcast_to_many_kinds()
  local level = 0
  local server, url = self.rig:listen { perMessageDeflate = function()
    level = level + 1
    return { level = level % 9 + 1, memLevel = level // 9 + 1 }
  end }
  local got = 0
  for i = 1, 12 do
    local client = self.rig:client(url)
    client:on("message", function(data) got = got + (data == TEXT and 1 or 0) end)
    self.rig:wait(function() return server.clientCount == i end)
  end
  lu.assertEquals(server:broadcast(TEXT), 12)
  self.rig:wait(function() return got == 12 end)
  local plain = 0
  for socket in pairs(server.clients) do
    if socket:stats().uncompressedOut == 0 then plain = plain + 1 end
  end
  lu.assertEquals(plain, 4)
end

-- ---- protocol objects -------------------------------------------------------------------

local function move(from, to)
  to:feed(from:output())
  local list = {}
  for name, value in to.next, to do
    if name == "upgrade" then assert(to:accept()) end
    list[#list + 1] = name .. ":" .. (type(value) == "string" and value or "")
  end
  return table.concat(list, " ")
end

function T.test_protocol_objects()
  local asked
  for _, row in ipairs {
    { nil, nil, "" }, { nil, true, PMD }, { false, true, "" },
    { { serverMaxWindowBits = 9 }, {}, PMD .. "; server_max_window_bits=9" },
    { nil, function(request)
      asked = request.path
      return { serverNoContextTakeover = true }
    end, PMD .. "; server_no_context_takeover" },
    { nil, function() return false end, "" },
  } do
    local client = wsock.protocol.client("ws://a/x", { perMessageDeflate = row[1] })
    local server = wsock.protocol.server { perMessageDeflate = row[2] }
    lu.assertEquals(move(client, server), "upgrade: open:")
    lu.assertEquals(move(server, client), "open:")
    lu.assertEquals({ client.extensions, server.extensions }, { row[3], row[3] })
    client:send(TEXT)
    lu.assertEquals(move(client, server), "message:" .. TEXT)
    server:send(TEXT, "text", { compress = false })
    lu.assertEquals(move(server, client), "message:" .. TEXT)
    lu.assertEquals(client:stats().uncompressedOut, row[3] == "" and 0 or #TEXT)
    lu.assertEquals(server:stats().uncompressedIn, client:stats().uncompressedOut)
    lu.assertEquals(server:stats().compressedOut, 0)
  end
  lu.assertEquals(asked, "/x")
end

-- a function that fails leaves the request to be answered
function T.test_protocol_object_whose_function_fails()
  local fails = true
  local client = wsock.protocol.client "ws://a/x"
  local server = wsock.protocol.server { perMessageDeflate = function() return fails and 5 end }
  server:feed(client:output())
  lu.assertEquals((server:next()), "upgrade")
  lu.assertErrorMsgContains("must be true, false or a table", server.accept, server)
  fails = false
  lu.assertTrue(server:accept())
  lu.assertEquals({ server:accept() }, { nil, "there is no request that waits for an answer", "CLOSED" })
end

-- memory is the object's own, and goes with it
function T.test_protocol_objects_are_collected()
  for _ = 1, 3 do
    local client, server = wsock.protocol.client "ws://a/", wsock.protocol.server { perMessageDeflate = true }
    move(client, server)
    move(server, client)
    for _ = 1, 2 do
      client:send(TEXT, "text", { final = false })
      move(client, server)
    end
    collectgarbage()
  end
  collectgarbage()
end

return T
