-- spec/examples/upload.lua -- a file goes up as one message, in parts: it is
-- never in memory, at either end, and both show how far they are.
--
--   lua5.4 upload.lua serve [port [folder]]    keeps what comes in folder
--   lua5.4 upload.lua file [url]                sends a file

local wsock = require "wsock"

io.stdout:setvbuf "line"

local function percent(n, all) return ("%3d%%"):format(all > 0 and n * 100 // all or 100) end

-- A whole message, of few bytes.
local function receive_text(socket)
  local text, final = "", false
  while not final do
    local data, _, last = assert(socket:receiveChunk(10))
    text, final = text .. data, last
  end
  return text
end

-- One coroutine for each connection: first a text with the size, then the file.
local function receive(folder)
  local count = 0
  return function(socket)
    count = count + 1
    local path, shown, got = ("%s/upload-%d"):format(folder, count), nil, 0
    local file <close> = assert(io.open(path, "wb"))
    local size, final = tonumber(receive_text(socket)), false
    while not final do
      local data, _, last = assert(socket:receiveChunk(60))
      file:write(data)
      got, final = got + #data, last
      if percent(got, size) ~= shown then
        shown = percent(got, size)
        socket:send(shown)
      end
    end
    socket:close(1000, path)
    print(("%s: %d of %d bytes"):format(path, got, size))
  end
end

local function serve(port, folder)
  local server = assert(wsock.listen { port = port, streaming = true, onconnection = receive(folder) })
  print(("listening on ws://127.0.0.1:%d/"):format(select(2, server:address())))
  wsock.signal("TERM", function() server:close() end)
  wsock.run()
end

local function send(path, url)
  local file <close> = assert(io.open(path, "rb"))
  local socket <close> = assert(wsock.connect(url))
  local size = file:seek "end"
  file:seek "set"
  socket:send(tostring(size))
  wsock.spawn(function() -- what the server says meanwhile
    for shown in socket:messages() do print("sent " .. shown) end
  end)
  local sent = 0
  repeat
    local block = file:read(65536) or ""
    sent = sent + #block
    assert(socket:send(block, "binary", { final = sent == size }))
    assert(socket:drain()) -- no more than lowWaterMark waits
  until sent == size
  wsock.run()
  print("kept as " .. select(5, socket:receive()))
end

if arg[1] == "serve" then
  serve(tonumber(arg[2]) or 8080, arg[3] or ".")
elseif not arg[1] then
  print "upload.lua serve [port [folder]], or upload.lua file [url]"
  os.exit(2)
else
  send(arg[1], arg[2] or "ws://127.0.0.1:8080/")
end
