-- spec/examples/examples_spec.lua -- the examples, run as a reader runs them.

local lu = require "luaunit"
local certs = require "support.certs"
local clock = require "support.clock"
local peer = require "interop.peer"
local process = require "support.process"

local T = peer.class()

-- Paths from the folder the suite runs in.
local here = require "support.files".root .. "/spec/examples/"

-- Starts an example that listens; the process and the URL it names.
local function start(name, ...)
  local child = peer.start_lua { here .. name, "0", ... }
  return child, child:expect("(%a+://127%.0%.0%.1:%d+/%S*)", 10, peer.pump)
end

-- Status and body of an HTTP answer.
local function get(...)
  local output = peer.run { "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10",
    "--write-out", "\n%{http_code}", ... }
  local body, status = output:match "^(.*)\n(%d+)$"
  return status, body
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]*\n" do list[#list + 1] = line:sub(1, -2) end
  return list
end

-- ---- hello -----------------------------------------------------------------------

function T:test_hello_client_and_server_say_what_the_article_shows()
  local server, url = start "hello/server.lua"
  local since = clock.now()
  local client = peer.start_lua { here .. "hello/client.lua", url }
  local doomed = peer.start_lua { here .. "hello/server.lua", "0" }
  local lost = peer.start_lua { here .. "hello/client.lua", doomed:expect("(ws://%S+)", 10, peer.pump) }

  client:expect("%[message%]", 10, peer.pump)
  lost:expect("%[message%]", 10, peer.pump)
  doomed:kill "KILL"
  lu.assertEquals(lost:wait(10, peer.pump), 0)
  local said = lines(lost:output())
  lu.assertEquals(#said, 5)
  lu.assertEquals({ said[1], said[2], said[3], said[5] }, {
    "[open] Connection established",
    "Sending to server",
    "[message] Data received from server: Hello from server, John!",
    "[close] Connection died",
  })
  lu.assertStrMatches(said[4], "%[error%] .+")

  lu.assertEquals(client:wait(10, peer.pump), 0)
  local waited = clock.now() - since
  lu.assertTrue(waited > 4.9 and waited < 20, waited)
  lu.assertEquals(lines(client:output()), {
    "[open] Connection established",
    "Sending to server",
    "[message] Data received from server: Hello from server, John!",
    "[close] Connection closed cleanly, code=1000 reason=Bye!",
  })
  lu.assertEquals(server:output(), "listening on " .. url .. "\n")
end

function T:test_hello_client_without_a_server()
  local port = process.free_port()
  local client = peer.start_lua { here .. "hello/client.lua", ("ws://127.0.0.1:%d/"):format(port) }
  lu.assertEquals(client:wait(10, peer.pump), 0)
  local said = lines(client:output())
  lu.assertEquals({ #said, said[2] }, { 2, "[close] Connection died" })
  lu.assertStrMatches(said[1], "%[error%] .*refused.*")
end

function T:test_hello_server_answers_plain_requests_with_nothing()
  local _, url = start "hello/server.lua"
  local http = url:gsub("^ws", "http")
  lu.assertEquals({ get(http) }, { "200", "" })
  lu.assertEquals({ get(http .. "any/where") }, { "200", "" })
end

function T:test_hello_server_says_when_its_port_is_taken()
  local _, url = start "hello/server.lua"
  local port = url:match ":(%d+)"
  local second = peer.start_lua { here .. "hello/server.lua", port }
  lu.assertEquals(second:wait(10, peer.pump), 1)
  lu.assertStrContains(second:output(), "in use")
end

-- Required, the server starts when it is told to; the delay is its own to set.
function T:test_hello_server_as_a_module()
  local hello = require "examples.hello.server"
  package.loaded["examples.hello.server"] = nil
  hello.delay = 0.2
  local server = assert(hello.start(0))
  local host, port = server:address()
  lu.assertEquals(host, "127.0.0.1")
  local socket, record = peer.connect(("ws://127.0.0.1:%d/"):format(port), nil, { origin = "http://127.0.0.1" })
  record:wait "^open"
  for _, text in ipairs { "My name is John", "Je m'appelle Zoë", "no name!", "" } do socket:send(text) end
  record:wait "^close"
  lu.assertEquals(record, {
    "open",
    "text Hello from server, John!",
    "text Hello from server, Zoë!",
    "text Hello from server, Guest!",
    "text Hello from server, Guest!",
    "close 1000 Bye! clean",
  })
  local closed
  server.onclosed = function() closed = true end
  server:close()
  peer.wait(function() return closed end, "the end of the server")
  peer.turn(0.3) -- the other three timers
  lu.assertEquals(#record, 6)
end

-- ---- chat ---------------------------------------------------------------------------

function T:test_chat_three_people()
  local chat, url = start "chat/server.lua"
  local ws = url:gsub("^http", "ws") .. "ws"
  local people, records = {}, {}
  for i = 1, 3 do
    people[i], records[i] = peer.connect(ws)
    records[i]:wait "^open"
  end
  people[1]:send "hello"
  for i = 1, 3 do records[i]:wait "^text hello" end
  people[2]:send(("é"):rep(60))
  for i = 1, 3 do lu.assertNotNil(records[i]:wait("^text <100 bytes>")) end
  people[3]:send(("a"):rep(49) .. "🙂!")
  for i = 1, 3 do records[i]:wait("^text " .. ("a"):rep(49) .. "🙂$") end
  people[1]:send "\27[31mred\n\u{9b}m"
  for i = 1, 3 do lu.assertNotNil(records[i]:wait "^text 1b5b33316d7265640ac29b6d$") end
  people[2]:close(1000)
  records[2]:wait "^close 1000"
  people[3]:terminate()
  records[3]:wait "^close 1006"
  chat:expect("connection closed\nconnection closed\n", 10, peer.pump)
  people[1]:send "alone"
  records[1]:wait "^text alone"
  lu.assertNil(records[2]:has "alone")
  people[1]:close()
  records[1]:wait "^close 1005"
  chat:expect("alone\nconnection closed\n", 10, peer.pump)
  lu.assertEquals(lines(chat:output()), {
    ("the chat is on %s (Ctrl-C ends it)"):format(url),
    "new connection", "new connection", "new connection",
    "message received: hello",
    "message received: " .. ("é"):rep(50),
    "message received: " .. ("a"):rep(49) .. "🙂",
    "message received: ?[31mred??m",
    "connection closed", "connection closed",
    "message received: alone",
    "connection closed",
  })
end

function T:test_chat_takes_no_binary_and_no_novels()
  local chat, url = start "chat/server.lua"
  local ws = url:gsub("^http", "ws") .. "ws"
  local socket, record = peer.connect(ws)
  record:wait "^open"
  socket:send("\xff", "binary")
  record:wait "^close 1003 text, please clean"
  socket, record = peer.connect(ws)
  record:wait "^open"
  socket:send(("x"):rep(5000))
  record:wait "^close 1009"
  lu.assertNil(chat:code())
end

local UPGRADE = { "--header", "Connection: Upgrade", "--header", "Upgrade: websocket",
  "--header", "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: Iv8io/9s+lYFgZWcXczP8Q==" }

function T:test_chat_routes()
  local _, url = start "chat/server.lua"
  local status, page = get(url)
  lu.assertEquals(status, "200")
  lu.assertStrContains(page, 'maxlength="50"')
  lu.assertStrContains(page, "${location.host}/ws")
  lu.assertStrContains(page, "textContent")
  lu.assertNil(page:find "innerHTML")
  lu.assertNil(page:find "https?://")
  lu.assertEquals({ get(url .. "ws") }, { "404", "Not found\n" })
  lu.assertEquals({ get(url .. "nothing") }, { "404", "Not found\n" })
  local words = table.move(UPGRADE, 1, #UPGRADE, 1, {})
  words[#words + 1] = url .. "elsewhere"
  lu.assertEquals({ get(table.unpack(words)) }, { "404", "Not found\n" })
end

function T:test_chat_ends_quietly_at_ctrl_c()
  local chat, url = start "chat/server.lua"
  local _, record = peer.connect((url:gsub("^http", "ws")) .. "ws")
  record:wait "^open"
  chat:expect("new connection", 10, peer.pump)
  chat:kill "INT"
  record:wait "^close 1001 %- clean"
  lu.assertEquals(chat:wait(10, peer.pump), 0)
  lu.assertEquals(lines(chat:output()),
    { ("the chat is on %s (Ctrl-C ends it)"):format(url), "new connection", "connection closed" })
end

function T:test_chat_port_by_environment_and_what_it_says_of_bad_ones()
  local chat = peer.start_lua { here .. "chat/server.lua", env = { PORT = "0" } }
  local port = chat:expect(":(%d+)/", 10, peer.pump)
  local second = peer.start_lua { here .. "chat/server.lua", env = { PORT = port } }
  lu.assertEquals(second:wait(10, peer.pump), 1)
  lu.assertEquals(second:output(),
    ("chat: port %d is taken; another one: PORT=%d\n"):format(port, port + 1))
  for _, bad in ipairs { "http", "65536", "-1", "80.5" } do
    local third = peer.start_lua { here .. "chat/server.lua", bad }
    lu.assertEquals(third:wait(10, peer.pump), 1)
    lu.assertEquals(third:output(), ("chat: %s is not a port\n"):format(bad))
  end
end

-- ---- HTTP and WebSocket over one database -----------------------------------------------

function T:test_http_posts_reach_websockets_and_the_reverse()
  local _, url = start "http_and_ws.lua"
  local socket, record = peer.connect((url:gsub("^http", "ws")))
  record:wait "^open"
  lu.assertEquals({ get(url) }, { "200", "[]\n" })
  lu.assertEquals({ get("--data", "from HTTP", url) }, { "201", '{"id":1,"body":"from HTTP"}\n' })
  record:wait '^text {"id":1,"body":"from HTTP"}$'
  socket:send "it's \"Zoë\"\\'); DROP TABLE messages; --"
  local second = [[{"id":2,"body":"it's \"Zoë\"\\'); DROP TABLE messages; --"}]]
  record:wait "^text {\"id\":2"
  lu.assertEquals(record[3], "text " .. second)
  lu.assertEquals({ get(url) }, { "200", ('[{"id":1,"body":"from HTTP"},%s]\n'):format(second) })
end

function T:test_http_and_ws_refuse_what_is_no_message()
  local _, url = start "http_and_ws.lua"
  lu.assertEquals({ get("--data-binary", "", url) }, { "400", '{"error":"a message is UTF-8 text"}\n' })
  lu.assertEquals((get("--data-binary", "\xff", url)), "400")
  lu.assertEquals((get("--request", "DELETE", url)), "405")
  lu.assertEquals((get(url .. "/1")), "404")
  for _, message in ipairs { { "\xff", "binary" }, { "a\0b", "text" } } do
    local socket, record = peer.connect((url:gsub("^http", "ws")))
    record:wait "^open"
    socket:send(message[1], message[2])
    record:wait "^close 1003 a message is text clean"
  end
  lu.assertEquals({ get(url) }, { "200", "[]\n" })
end

function T:test_the_database_outlives_the_server()
  local folder = self:directory()
  local path = folder .. "/messages.db"
  local first, url = start("http_and_ws.lua", path)
  lu.assertEquals((get("--data", "kept", url)), "201")
  first:stop()
  local _, again = start("http_and_ws.lua", path)
  lu.assertEquals({ get(again) }, { "200", '[{"id":1,"body":"kept"}]\n' })
end

-- ---- other loops ------------------------------------------------------------------------

function T:test_our_loop_inside_others()
  for _, name in ipairs { "in_luv.lua", "in_cqueues.lua" } do
    local child, url = start(name)
    local socket, record = peer.connect(url)
    record:wait "^text tick %d+$"
    socket:send "hello"
    record:wait "^text hello$"
    record:wait "^text tick [2-9]"
    socket:close(1000)
    record:wait "^close 1000 %- clean"
    lu.assertNil(child:code(), child:output())
  end
end

function T:test_protocol_over_luasocket()
  local _, port, record = peer.echo()
  local url = ("ws://127.0.0.1:%d/"):format(port)
  local child = peer.start_lua { here .. "tcp_client.lua", url, "one", "Zoë" }
  lu.assertEquals(child:wait(10, peer.pump), 0)
  lu.assertEquals(lines(child:output()), { "one", "Zoë", "closed\t1000\t" })
  record:wait "^close 1000 %- clean"
  child = peer.start_lua { here .. "tcp_client.lua", url }
  lu.assertEquals(child:wait(10, peer.pump), 0)
  lu.assertEquals(child:output(), "closed\t1000\t\n")
end

function T:test_a_server_written_for_openresty()
  local child, url = start "resty_server.lua"
  local socket, record = peer.connect(url)
  record:wait "^open"
  socket:ping "p"
  record:wait "^pong p"
  socket:send("one ", "text", { final = false })
  socket:send "message"
  record:wait "^text ONE MESSAGE$"
  socket:close(3000, "bye")
  record:wait "^close 3000 bye clean"
  child:expect("closed: 3000", 10, peer.pump)
end

-- ---- rooms ------------------------------------------------------------------------------

function T:test_rooms()
  local _, url = start "rooms.lua"
  local http = url:gsub("^ws", "http")
  local records, sockets = {}, {}
  for i, room in ipairs { "blue", "blue", "red%20one" } do
    sockets[i], records[i] = peer.connect(url .. room)
    records[i]:wait "here"
  end
  lu.assertEquals({ get(http .. "blue") }, { "200", "2 here\n" })
  lu.assertEquals({ get((http:gsub("/$", ""))) }, { "200", "blue\nred one\n" })
  sockets[1]:send "hello"
  sockets[1]:send("\xff", "binary")
  records[2]:wait "^binary ff"
  sockets[2]:terminate()
  peer.wait(function() return #records[1] == 4 end, "the number of those who are left")
  lu.assertEquals(records[1], { "open", "text 1 here", "text 2 here", "text 1 here" })
  lu.assertEquals({ records[2][2], records[2][3] }, { "text 2 here", "text hello" })
  lu.assertEquals(records[3], { "open", "text 1 here" })
  lu.assertEquals({ get(http .. "nobody") }, { "200", "0 here\n" })
  lu.assertEquals((get(http .. "blue", "--data", "x")), "405")
end

-- ---- ticker -----------------------------------------------------------------------------

function T:test_the_ticker_goes_away_and_comes_back()
  local port = tostring(process.free_port())
  local function serve()
    local server = peer.start_lua { here .. "ticker/server.lua", port, "0.05" }
    server:expect("listening on", 10, peer.pump)
    return server
  end
  local client = peer.start_lua { here .. "ticker/client.lua", ("ws://127.0.0.1:%s/"):format(port) }
  client:expect("refused\naway; try 1 in", 10, peer.pump) -- it is not there yet
  local server = serve()
  client:expect("connected\ntick %d+%s+text\n", 10, peer.pump)
  server:kill "KILL"
  client:expect("error: [^\n]+\naway; try 1 in [%d.]+ s\n", 10, peer.pump)
  serve()
  client:expect("connected\nback after %d+\ntick %d+%s+text\n", 10, peer.pump)
  lu.assertNil(client:code())
end

-- ---- two names ---------------------------------------------------------------------

-- S95: each name has its certificate; the page is told where its WebSocket is.
local function two_names(ca_of, ...)
  local child = peer.start_lua { here .. "two_names.lua", "0", ... }
  local port = child:expect("https://localhost:(%d+)/", 20, peer.pump)
  local function ask(name, ...)
    return get("--resolve", ("%s:%s:127.0.0.1"):format(name, port), "--cacert", ca_of(name),
      ("https://%s:%s/"):format(name, port), ...)
  end
  local upgrade = { "--http1.1", "--header", "Upgrade: websocket", "--header", "Connection: Upgrade", "--header",
    "Sec-WebSocket-Version: 13", "--header", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "--max-time", "1" }
  local status, body = ask "localhost"
  lu.assertEquals(status, "200")
  lu.assertStrContains(body, ("wss://ws.localhost:%s/"):format(port))
  lu.assertEquals({ ask "ws.localhost" }, { "200", "WebSocket only\n" })
  lu.assertEquals((ask("localhost", table.unpack(upgrade))), "404")
  local origin = ("Origin: https://localhost:%s"):format(port)
  lu.assertEquals((ask("ws.localhost", "--header", "Origin: https://localhost.evil:1", table.unpack(upgrade))), "403")
  local output = peer.run { "curl", "--silent", "--noproxy", "*", "--include", "--no-buffer", "--resolve",
    ("ws.localhost:%s:127.0.0.1"):format(port), "--cacert", ca_of "ws.localhost",
    ("https://ws.localhost:%s/"):format(port), "--header", origin, table.unpack(upgrade) }
  lu.assertStrContains(output, "HTTP/1.1 101")
end

function T:test_two_names_with_certificates_of_an_authority()
  local a, b = certs.get "localhost", certs.get "ws_localhost"
  two_names(function() return a.ca end, a.cert, a.key, b.cert, b.key)
end

function T:test_two_names_makes_certificates()
  local child = peer.start_lua { here .. "two_names.lua", "0" }
  local port = child:expect("https://localhost:(%d+)/", 20, peer.pump)
  for _, name in ipairs { "localhost", "ws.localhost" } do
    local output = peer.run { "curl", "--silent", "--noproxy", "*", "--insecure", "--verbose", "--resolve",
      ("%s:%s:127.0.0.1"):format(name, port), ("https://%s:%s/"):format(name, port) }
    lu.assertStrContains(output, "subject: CN=" .. name .. "\n")
  end
end

-- ---- straight-line ------------------------------------------------------------------

function T:test_straight_line()
  local url = ("ws://127.0.0.1:%d/"):format((select(2, peer.echo())))
  local child = peer.start_lua { here .. "straight_line.lua", url }
  lu.assertEquals(child:wait(10, peer.pump), 0)
  lu.assertEquals(lines(child:output()),
    { "hello -> hello", "how are you? -> how are you?", "bye -> bye", "closed with 1000" })
  child = peer.start_lua { here .. "straight_line.lua", "ws://127.0.0.1:1/" }
  lu.assertEquals(child:wait(10, peer.pump), 1)
  lu.assertStrContains(child:output(), "no connection: connect 127.0.0.1:1: Connection refused")
end

function T:test_requests()
  local child = peer.start_lua { here .. "requests.lua" }
  lu.assertEquals(child:wait(20, peer.pump), 0, child:output())
  local said = lines(child:output())
  lu.assertEquals(said[#said], "no answer")
  lu.assertItemsEquals(said, { "what?", "fast", "slow", "no answer" })
end

function T:test_upload()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
  self.remove = function() os.execute("rm -r " .. folder) end
  local server = peer.start_lua { here .. "upload.lua", "serve", "0", folder }
  local url = server:expect("(ws://%S+)", 10, peer.pump)
  local content = ("0123456789"):rep(300000)
  local f <close> = assert(io.open(folder .. "/what", "wb"))
  f:write(content):close()
  local client = peer.start_lua { here .. "upload.lua", folder .. "/what", url }
  lu.assertEquals(client:wait(20, peer.pump), 0, client:output())
  local said = lines(client:output())
  lu.assertEquals({ said[#said - 1], said[#said] }, { "sent 100%", "kept as " .. folder .. "/upload-1" })
  server:expect("upload%-1: 3000000 of 3000000 bytes", 10, peer.pump)
  local kept <close> = assert(io.open(folder .. "/upload-1", "rb"))
  lu.assertTrue(kept:read "a" == content)
end

function T:test_how_it_is_called()
  local child = peer.start_lua { here .. "upload.lua" }
  lu.assertEquals({ child:wait(10, peer.pump), child:output() },
    { 2, "upload.lua serve [port [folder]], or upload.lua file [url]\n" })
  child = peer.start_lua { here .. "load.lua", "ws://127.0.0.1:1/", "3", "0.1" }
  lu.assertEquals(child:wait(10, peer.pump), 1)
  lu.assertStrMatches(child:output(), "3 clients, 3 failed: 0 .*: connect 127.0.0.1:1: Connection refused\n")
end

function T:test_load()
  local url = ("ws://127.0.0.1:%d/"):format((select(2, peer.echo())))
  local child = peer.start_lua { here .. "load.lua", url, "20", "0.5" }
  lu.assertEquals(child:wait(20, peer.pump), 0)
  lu.assertStrMatches(child:output(), "20 clients, 0 failed: [1-9]%d* round trips a second, the slowest .*\n")
end

return T
