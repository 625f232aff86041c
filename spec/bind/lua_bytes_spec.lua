-- bind/lua_bytes: Blob and ArrayBuffer, alone and on their way (S50 to S54).

local lu = require "luaunit"
local bytes = require "support.bytes"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()
local contains = lu.assertErrorMsgContains

local all = {}
for i = 0, 255 do all[i + 1] = string.char(i) end
all = table.concat(all)

-- ---- Blob ------------------------------------------------------------------------------

function T:test_blob_is_what_it_was_made_of()
  for _, data in ipairs { "", "x", all, ("long"):rep(100000) } do
    local blob = wsock.blob(data)
    lu.assertEquals({ blob.size, #blob, blob.type }, { #data, #data, "" })
    bytes.equals(blob:text(), data)
    bytes.equals(tostring(blob), data)
    bytes.equals(blob:arrayBuffer():tostring(), data)
    lu.assertEquals(blob:arrayBuffer().byteLength, #data)
  end
  lu.assertEquals(wsock.blob(12.0):text(), "12")
  lu.assertEquals(wsock.blob(wsock.blob "abc":slice(2)):text(), "bc")
  lu.assertEquals(type(wsock.blob ""), "userdata")
end

function T:test_blob_type()
  lu.assertEquals(wsock.blob("x", { type = "Image/PNG" }).type, "image/png")
  lu.assertEquals(wsock.blob("x", {}).type, "")
  lu.assertEquals(wsock.blob("x", { type = ("x"):rep(255) }).type, ("x"):rep(255))
  contains("type is 256 bytes", wsock.blob, "x", { type = ("x"):rep(256) })
  for _, bad in ipairs { "a\0b", "a\nb", "a\x7fb", "ä" } do
    contains("printable ASCII", wsock.blob, "x", { type = bad })
    contains("printable ASCII", wsock.blob("x").slice, wsock.blob "x", 1, 1, bad)
  end
  contains("'type' must be a string", wsock.blob, "x", { type = 1 })
  contains("did you mean 'type'?", wsock.blob, "x", { typ = "x" })
  lu.assertError(wsock.blob, "x", "image/png")
end

function T:test_blob_of_nonsense_raises()
  contains("data must be", wsock.blob)
  for _, bad in ipairs { true, {}, print, io.stdout, self.rig.loop } do contains("data must be", wsock.blob, bad) end
end

-- A Blob made of an ArrayBuffer is a snapshot.
function T:test_blob_does_not_change()
  local buffer = wsock.arraybuffer "abc"
  local blob = wsock.blob(buffer)
  buffer[1] = 0
  lu.assertEquals(blob:text(), "abc")
  for _, key in ipairs { "size", "type", "x", 1 } do
    contains("cannot be changed", function() blob[key] = 1 end)
  end
  lu.assertNil(blob.nothing)
  lu.assertNil(blob[1])
end

-- Positions: exactly those of string.sub.
function T:test_slices_are_string_subs()
  local data = "0123456789"
  local blob, buffer = wsock.blob(data), wsock.arraybuffer(data)
  local edges = { math.mininteger, -11, -10, -9, -3, -1, 0, 1, 2, 9, 10, 11, math.maxinteger }
  for _, i in ipairs(edges) do
    lu.assertEquals(blob:slice(i):text(), data:sub(i))
    for _, j in ipairs(edges) do
      local want, what = data:sub(i, j), i .. " to " .. j
      lu.assertEquals(blob:slice(i, j):text(), want, what)
      lu.assertEquals(buffer:slice(i, j):tostring(), want, what)
      lu.assertEquals(buffer:tostring(i, j), want, what)
    end
  end
  lu.assertEquals(blob:slice():text(), data)
  lu.assertEquals({ blob:slice(2, 8):slice(2, 3):text(), blob:slice(4, 3).size }, { "23", 0 })
  lu.assertEquals({ blob:slice(1, 1, "Text/Plain").type, wsock.blob("x", { type = "a/b" }):slice().type },
    { "text/plain", "" })
  lu.assertError(blob.slice, blob, "x")
  lu.assertError(blob.slice, blob, 1.5)
  lu.assertError(blob.slice, buffer, 1)
  lu.assertError(buffer.slice, blob, 1)
end

-- A slice keeps what it shows, and only needs some bytes of its own.
function T:test_a_slice_copies_nothing_and_keeps_its_bytes()
  local blob = wsock.blob(("x"):rep(1 << 20) .. "end")
  collectgarbage()
  collectgarbage()
  local before = collectgarbage "count"
  local parts = {}
  for i = 1, 100 do parts[i] = blob:slice(i) end
  lu.assertTrue(collectgarbage "count" - before < 64)
  blob = nil
  parts = parts[100]:slice(-5)
  collectgarbage()
  collectgarbage()
  lu.assertEquals({ blob, parts:text() }, { nil, "xxend" })
end

-- ---- ArrayBuffer -----------------------------------------------------------------------

function T:test_buffer_is_what_it_was_made_of()
  for _, data in ipairs { "", "x", all } do
    local buffer = wsock.arraybuffer(data)
    lu.assertEquals({ buffer.byteLength, #buffer }, { #data, #data })
    bytes.equals(buffer:tostring(), data)
    bytes.equals(tostring(buffer), data)
    bytes.equals(wsock.arraybuffer(buffer):tostring(), data)
    bytes.equals(wsock.arraybuffer(wsock.blob(data)):tostring(), data)
    for i = 1, #data do lu.assertEquals(buffer[i], data:byte(i)) end
  end
  for _, n in ipairs { 0, 1, 7.0, 100000 } do
    lu.assertEquals(wsock.arraybuffer(n):tostring(), ("\0"):rep(n // 1 | 0))
  end
end

function T:test_buffer_sizes_that_cannot_be()
  for _, bad in ipairs { -1, 0.5, 0 / 0, math.huge, math.mininteger } do
    contains("size must be an integer >= 0", wsock.arraybuffer, bad)
  end
  for _, much in ipairs { math.maxinteger, 1 << 62, 1 << 48 } do
    contains("memory", wsock.arraybuffer, much)
  end
  contains("data must be", wsock.arraybuffer)
  contains("data must be", wsock.arraybuffer, {})
end

function T:test_buffer_bytes()
  local buffer = wsock.arraybuffer(3)
  buffer[1], buffer[2.0], buffer[3] = 1, 255, 7.0
  lu.assertEquals(buffer:tostring(), "\1\255\7")
  contains("position 4 is not in 1 to 3", function() buffer[4] = 0 end)
  for _, i in ipairs { 0, 5, -1, math.maxinteger, math.mininteger } do
    contains("position " .. i .. " is not in 1 to 3", function() return buffer[i] end)
    contains("position " .. i .. " is not in 1 to 3", function() buffer[i] = 0 end)
  end
  for _, i in ipairs { 1.5, 0 / 0 } do
    contains("must be an integer", function() return buffer[i] end)
    contains("must be an integer", function() buffer[i] = 0 end)
  end
  contains("must be an integer", function() buffer["1"] = 0 end)
  contains("must be an integer", function() buffer.byteLength = 0 end)
  for _, bad in ipairs { -1, 256, 0.5, "1", true, {} } do
    contains("a byte must be", function() buffer[1] = bad end)
  end
  contains("a byte must be", function() buffer[1] = nil end)
  contains("not in 1 to 0", function() wsock.arraybuffer(0)[1] = 1 end)
  lu.assertNil(buffer.nothing)
  lu.assertEquals(buffer:tostring(), "\1\255\7") -- none of it did anything
end

-- Behind the last byte is nothing, as in a list.
function T:test_buffer_by_ipairs()
  local seen = {}
  for i, byte in ipairs(wsock.arraybuffer "\1\0\255") do seen[#seen + 1] = i .. "=" .. byte end
  lu.assertEquals(seen, { "1=1", "2=0", "3=255" })
  for _ in ipairs(wsock.arraybuffer(0)) do lu.fail "there is no byte" end
end

function T:test_buffer_copies()
  local buffer = wsock.arraybuffer "abc"
  local copy, whole = buffer:slice(2), wsock.arraybuffer(buffer)
  buffer[2] = 0
  copy[2] = 1
  lu.assertEquals({ buffer:tostring(), copy:tostring(), whole:tostring() }, { "a\0c", "b\1", "abc" })
end

-- ---- unpack and pack -------------------------------------------------------------------

function T:test_unpack_is_string_unpack()
  local data = bytes.random(64) .. "\3abcdef\0" .. bytes.random(7)
  local buffer = wsock.arraybuffer(data)
  for _, format in ipairs { "B", "<I2", ">I4", "<i8", "j", "<I3>I3", "c5", "", "!8 b i8", "!16 b i16", "!4 b Xi4 h",
    "=!2 B I4 B I2 I2", "x x B", "I16" } do
    for at = 1, 40 do
      local want = table.pack(pcall(string.unpack, format, data, at))
      local got = table.pack(pcall(buffer.unpack, buffer, format, at))
      if want[1] then
        lu.assertEquals({ format, at, table.unpack(got, 1, got.n) }, { format, at, table.unpack(want, 1, want.n) })
      else
        lu.assertFalse(got[1])
      end
    end
  end
  lu.assertEquals({ buffer:unpack("s1", 65) }, { "abc", 69 })
  lu.assertEquals({ buffer:unpack("z", 66) }, { "abcdef", 73 })
  lu.assertEquals({ buffer:unpack "B" }, { data:byte(), 2 })
  lu.assertEquals({ buffer:unpack("", #buffer + 1) }, { #buffer + 1 })
end

function T:test_unpack_stays_inside()
  local buffer = wsock.arraybuffer "\255abc"
  for _, row in ipairs { { "I4", 2 }, { "s1", 1 }, { "z", 1 }, { "B", 5 }, { "c5", 1 }, { "s4", 1 }, { "I16", 1 } } do
    lu.assertError(buffer.unpack, buffer, row[1], row[2])
  end
  for _, at in ipairs { 0, 6, -1, 1.5, "1", {} } do lu.assertError(buffer.unpack, buffer, "B", at) end
  for _, format in ipairs { "y", "i17", "!3 i4", "c" } do lu.assertError(buffer.unpack, buffer, format) end
  lu.assertError(buffer.unpack, buffer)
  lu.assertError(buffer.unpack, "x", "B")
end

-- What pack writes, unpack reads, at any place and alignment.
function T:test_pack_and_unpack_agree()
  for _, row in ipairs { { "B", 200 }, { "<I2", 513 }, { ">i8", -2 }, { "!8 b i8", 1, -5 }, { "!16 b i16", 1, 3 },
    { "s2", "abc" }, { "z", "abc" }, { "d", 0.25 }, { "c3", "xyz" }, { "" }, { "b x b", 1, 2 } } do
    for at = 1, 33 do
      local buffer = wsock.arraybuffer(("#"):rep(80))
      local after = buffer:pack(row[1], at, table.unpack(row, 2))
      local read = { buffer:unpack(row[1], at) }
      local want = { table.unpack(row, 2) }
      want[#want + 1] = after
      lu.assertEquals(read, want)
      lu.assertEquals(buffer:tostring(1, at - 1), ("#"):rep(at - 1))
      lu.assertEquals(buffer:tostring(after), ("#"):rep(81 - after))
    end
  end
  local buffer = wsock.arraybuffer(8)
  lu.assertEquals(buffer:pack(">I4", 5, 0x01020304), 9)
  lu.assertEquals(buffer:tostring(), "\0\0\0\0\1\2\3\4")
end

function T:test_pack_writes_all_or_nothing()
  local buffer = wsock.arraybuffer "abcd"
  contains("4 bytes at 2 do not fit into 4", buffer.pack, buffer, "I4", 2, 0)
  contains("not in 1 to 4", buffer.pack, buffer, "B", 6, 0)
  for _, row in ipairs { { "B", 0, 1 }, { "B", nil, 1 }, { "B", 1 }, { "B", 1, 256 }, { "B", 1, "x" }, { "q", 1, 1 },
    { nil, 1, 1 }, { "B", 5, 1 }, { "BB", 4, 1, 1 }, { "B", math.maxinteger, 1 } } do
    lu.assertError(buffer.pack, buffer, table.unpack(row, 1, 4))
  end
  lu.assertEquals(buffer:tostring(), "abcd")
  lu.assertError(buffer.pack, wsock.blob "abcd", "B", 1, 1)
  lu.assertError(buffer.pack, wsock.arraybuffer(64), "3B", 2, 1)
end

-- ---- sending ---------------------------------------------------------------------------

-- S50: the type is chosen by the value; W-33: a snapshot is taken at the call.
function T:test_both_are_binary_by_themselves()
  local socket, _, peer = self.rig:opened()
  local buffer = wsock.arraybuffer "ab"
  for _, row in ipairs {
    { 2, "ab", wsock.blob "ab" }, { 2, "ab", buffer }, { 2, "", wsock.blob "" }, { 2, "", wsock.arraybuffer(0) },
    { 2, "ab", buffer, "binary" }, { 1, "ab", buffer, "text" }, { 1, "ab", wsock.blob "ab", "text" },
    { 2, "\xff", wsock.blob "\xff" }, { 2, "bc", wsock.blob "abcd":slice(2, 3) },
  } do
    lu.assertTrue(socket:send(row[3], row[4]))
    local frame = peer:take()
    lu.assertEquals({ frame.op, frame.payload }, { row[1], row[2] })
  end
  contains("UTF-8", socket.send, socket, wsock.blob "\xff", "text")
  socket:send(buffer)
  buffer[1] = 0
  lu.assertEquals(peer:take().payload, "ab")
  lu.assertEquals(socket.bufferedAmount, 0)
  socket:ping(wsock.blob "ping")
  lu.assertEquals(peer:take().payload, "ping")
end

-- A server queues long strings and Blobs by reference, and ArrayBuffers not:
-- they may change.
function T:test_long_ones_of_a_server()
  local far
  local _, _, port = self.rig:listen { onconnection = function(socket) far = socket end }
  local peer = self.rig:raw_client(port)
  local data = bytes.random(200000)
  local buffer = wsock.arraybuffer(data)
  do
    local blob = wsock.blob("-" .. data .. "-")
    far:send(blob:slice(2, -2))
    far:send(buffer)
  end
  for i = 1, #buffer do buffer[i] = 0 end
  buffer = nil
  collectgarbage()
  collectgarbage()
  for _ = 1, 2 do
    local frame = peer:take()
    lu.assertEquals(frame.op, 2)
    bytes.equals(frame.payload, data)
  end
  lu.assertNil(buffer)
end

function T:test_broadcast()
  local server, _, port = self.rig:listen()
  local peer = self.rig:raw_client(port)
  local buffer = wsock.arraybuffer "ab"
  self.rig:wait(function() return server.clientCount == 1 end)
  server:broadcast(wsock.blob "b")
  server:broadcast(buffer)
  server:broadcast(buffer, "text")
  contains("UTF-8", server.broadcast, server, buffer, "text", { filter = function()
    buffer[1] = 255 -- behind the library's back
    return true
  end })
  server:broadcast("t", nil)
  for _, want in ipairs { { 2, "b" }, { 2, "ab" }, { 1, "ab" }, { 1, "t" } } do
    local frame = peer:take()
    lu.assertEquals({ frame.op, frame.payload }, want)
  end
end

function T:test_answers_and_protocol_objects()
  local _, _, port = self.rig:listen {
    onrequest = function(_, response) response:send(200, nil, wsock.blob "page") end,
  }
  local peer = self.rig:raw_client(port, true)
  peer:send "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
  lu.assertStrContains(peer:head(), "Content-Length: 4")

  local client, server = wsock.protocol.client "ws://h/", wsock.protocol.server()
  server:feed(client:output())
  server:next()
  server:accept()
  client:feed(server:output())
  lu.assertEquals(client:next(), "open")
  client:send(wsock.blob "blob")
  client:send(wsock.arraybuffer "buffer")
  client:send(wsock.blob "text", "text")
  server:feed(client:output())
  lu.assertEquals(server:next(), "open")
  lu.assertEquals({ server:next() }, { "message", "blob", "binary" })
  lu.assertEquals({ server:next() }, { "message", "buffer", "binary" })
  lu.assertEquals({ server:next() }, { "message", "text", "text" })
end

-- ---- binaryType ------------------------------------------------------------------------

-- S51, S54: text stays a string, binary comes as chosen; W-28: when delivered.
function T:test_what_arrives_is_chosen_by_binary_type()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url)
  local peer = server:welcome()
  local got = {}
  socket:on("message", function(data, kind)
    got[#got + 1] = { type(data), tostring(data), kind, type(data) == "userdata" and (data.size or data.byteLength) }
    if #got == 3 then socket.binaryType = "arraybuffer" end
    if #got == 5 then socket.binaryType = "string" end
  end)
  local events = {}
  socket.onmessage = function(event) events[#events + 1] = type(event.data) .. event.kind end
  socket.binaryType = "blob"
  lu.assertEquals(socket.binaryType, "blob")
  for i = 1, 3 do
    peer:frame { op = "text", "t" .. i }
    peer:frame { op = "binary", "\xff" .. i }
  end
  peer:frame { op = "binary", "" }
  self.rig:wait(function() return #got == 7 end)
  lu.assertEquals(got, {
    { "string", "t1", "text", false }, { "userdata", "\xff1", "binary", 2 }, { "string", "t2", "text", false },
    { "userdata", "\xff2", "binary", 2 }, { "string", "t3", "text", false }, { "string", "\xff3", "binary", false },
    { "string", "", "binary", false },
  })
  lu.assertEquals(events[2] .. events[4], "userdatabinaryuserdatabinary")
  lu.assertEquals(socket.binaryType, "string")
end

-- On the way a busy server's messages take.
function T:test_a_servers_socket_without_listeners_of_its_own()
  local got = {}
  local _, _, port = self.rig:listen {
    onconnection = function(socket) socket.binaryType = "arraybuffer" end,
    onmessage = function(socket, data, kind)
      got[#got + 1] = kind
      if kind == "binary" then
        got[#got] = data:unpack ">I2"
        data:pack(">I2", 1, 0xABCD)
        socket.binaryType = "string"
      end
      socket:send(data, kind)
    end,
  }
  local peer = self.rig:raw_client(port)
  peer:frame { op = "text", "t" }
  peer:frame { op = "binary", "\1\2" }
  peer:frame { op = "binary", "\3" }
  lu.assertEquals({ peer:take().payload, peer:take().payload }, { "t", "\xab\xcd" })
  peer:take_close() -- a string has no method pack...
  lu.assertEquals({ got[1], got[2] }, { "text", 258 })
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
end

-- ---- life ------------------------------------------------------------------------------

function T:test_metatables_are_out_of_reach()
  for _, object in ipairs { wsock.blob "x", wsock.arraybuffer "x" } do
    lu.assertEquals(getmetatable(object), false)
    lu.assertError(setmetatable, object, {})
  end
end

function T:test_they_are_garbage_like_any_other()
  local function used()
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  local before = used()
  for _ = 1, 200 do
    local blob = wsock.blob(("x"):rep(100000))
    blob = blob:slice(2):slice(2):arrayBuffer():slice(3)
    blob[1] = 0
  end
  lu.assertTrue(used() - before < 16, used() - before)
end

-- Collections at every step, while a handler holds, drops and answers them.
function T:test_collected_inside_handlers()
  local n = 0
  local _, url = self.rig:listen {
    onconnection = function(socket) socket.binaryType = "blob" end,
    onmessage = function(socket, blob)
      local part = blob:slice(2)
      blob = nil
      collectgarbage()
      socket:send(part)
      part = nil
      collectgarbage()
      n = n + (blob == nil and part == nil and 1 or 0)
    end,
  }
  local client = self.rig:client(url)
  client.binaryType = "arraybuffer"
  local got = {}
  client:on("open", function() client:send(wsock.arraybuffer(("y"):rep(20000))) end)
  client:on("message", function(buffer)
    got[#got + 1] = buffer
    collectgarbage()
    if #got < 20 then client:send(buffer) end
  end)
  self.rig:wait(function() return #got == 20 end)
  lu.assertEquals({ n, #got[1], #got[20] }, { 20, 19999, 19980 })
  lu.assertEquals(got[1]:tostring(), ("y"):rep(19999))
end

return T
