-- bind/lua_client: the constructor: URLs, subprotocols, the request it makes.

local lu = require "luaunit"
local wsock = require "wsock"
local clock = require "support.clock"
local ipv6 = require "support.ipv6"
local rigs = require "support.rig"

local T = rigs.class()
local contains = lu.assertErrorMsgContains

-- ---- the constructor -----------------------------------------------------------------

-- W-01
function T:test_url_must_be_a_string()
  for _, url in ipairs { 1, true, {}, print } do
    contains("url must be a string", wsock.WebSocket, url)
  end
  lu.assertError(wsock.WebSocket)
  contains("url must be a string, got nil", wsock.WebSocket, nil)
end

-- W-02, W-03, W-05, W-06, W-07
function T:test_bad_urls_raise_syntax_errors()
  for _, url in ipairs {
    "", " ", "/x", "?", "test", "ws://", "ws:", "//host/", "ftp://h/", "mailto:a@b", "about:blank", "ws://h/#",
    "ws://h/#x", "ws://h:65536/", "ws://h:x/", "ws://h h/", "ws://a^b/", "ws://[::1/", "ws://[1]/", "ws://%00/",
    "ws://1.2.3.256/", "ws://h<x>/", "ws://xn--/", "ws://h:-1/", "ws://?q", "ws:///", "javascript:1",
    "ws+unix:", "file:///x",
  } do
    contains("SyntaxError: ", wsock.WebSocket, url)
  end
end

function T:test_the_error_stands_where_the_caller_does()
  local _, message = pcall(function() wsock.WebSocket "nonsense" end)
  lu.assertStrContains(message, "lua_client_spec.lua:")
  lu.assertStrContains(message, "SyntaxError: ")
  lu.assertStrContains(message, "'nonsense'")
end

-- api.md: where the browser throws, the message starts with the browser's name
local function name_of(...)
  local _, message = pcall(...)
  return tostring(message):gsub("^[^ ]*:%d+: ", ""):match "^%u%a+Error" or message
end

function T:test_browser_names_come_first()
  local socket = self.rig:opened()
  lu.assertEquals(name_of(wsock.WebSocket, "x"), "SyntaxError")
  lu.assertEquals(name_of(wsock.WebSocket, "ws://h", ""), "SyntaxError")
  lu.assertEquals(name_of(socket.close, socket, 999), "InvalidAccessError")
  lu.assertEquals(name_of(socket.close, socket, 1000, ("x"):rep(124)), "SyntaxError")
  local young = self.rig:client "ws://127.0.0.1:1/"
  lu.assertEquals(name_of(young.send, young, "x"), "InvalidStateError")
  self.rig:closed(rigs.record(young))
end

-- W-04, W-07, W-21
function T:test_url_is_shown_parsed()
  local t = {
    ["ws://127.0.0.1:1"] = "ws://127.0.0.1:1/", ["WS://127.0.0.1:1/A"] = "ws://127.0.0.1:1/A",
    ["http://127.0.0.1:1/"] = "ws://127.0.0.1:1/", [" ws:127.0.0.1:1\t"] = "ws://127.0.0.1:1/",
    ["ws:\\\\127.1:1\\a\\..\\b"] = "ws://127.0.0.1:1/b", ["ws://0x7f000001:1?a b'c"] = "ws://127.0.0.1:1/?a%20b%27c",
    ["ws://[0:0::1]:1/\xc3\xa9"] = "ws://[::1]:1/%C3%A9", ["ws://localhost:00001/./x/."] = "ws://localhost:1/x/",
  }
  for url, shown in pairs(t) do
    local socket = self.rig:client(url)
    lu.assertEquals(socket.url, shown)
    socket:terminate()
  end
  local socket = self.rig:client "ws://127.0.0.1:80/"
  lu.assertEquals(socket.url, "ws://127.0.0.1/")
  socket:terminate()
  self.rig:settle()
end

function T:test_an_object_with_tostring_is_a_url()
  local server = self.rig:raw_server()
  local url = setmetatable({}, { __tostring = function() return server.url end })
  lu.assertEquals(self.rig:client(url).url, server.url)
  server:welcome()
end

-- W-09, W-10, W-11
function T:test_protocols()
  local url = "ws://127.0.0.1:1/"
  for _, bad in ipairs { "", "a b", "a,b", "a/b", "\xc3\xa9", "a\n", "a\0b", "(x)", "a@b", { "a", "" }, { "a", "a" },
    { 1 }, { "a", true }, { {} }, { "x", "y", "x" } } do
    contains("SyntaxError: ", wsock.WebSocket, url, bad)
  end
  contains("'a b' is no subprotocol name", wsock.WebSocket, url, { "x", "a b" })
  contains("a subprotocol is named twice in 'x, y, x'", wsock.WebSocket, url, { "x", "y", "x" })
  for _, bad in ipairs { 1, true, print } do
    lu.assertError(wsock.WebSocket, url, bad)
  end
  local server = self.rig:raw_server()
  local odd = "v1.x-y_z!#$%&'*+^`|~"
  for shown, good in pairs { [""] = {}, chat = "chat", ["a, A"] = { "a", "A" }, [odd] = odd } do
    local socket = self.rig:client(server.url, good)
    local peer = server:accept()
    lu.assertEquals(peer:head():match "\r\nSec%-WebSocket%-Protocol: ([^\r]*)" or "", shown)
    socket:terminate()
  end
end

function T:test_protocols_as_an_option()
  local server = self.rig:raw_server()
  self.rig:client(server.url, nil, { protocols = { "x", "y" } })
  lu.assertStrContains(server:accept():head(), "\r\nSec-WebSocket-Protocol: x, y\r\n")
end

-- W-14
function T:test_the_request()
  local server = self.rig:raw_server()
  self.rig:client(server.url .. "chat?room=1&x", nil, {
    origin = "https://example.com", headers = { Cookie = "a=b", ["X-Number"] = 7 },
  })
  local head = server:accept():head()
  lu.assertStrMatches(head, "GET /chat%?room=1&x HTTP/1.1\r\n.*")
  for _, line in ipairs { "Host: 127.0.0.1:" .. server.port, "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Version: 13", "Origin: https://example.com", "Cookie: a=b", "X-Number: 7" } do
    lu.assertStrContains(head, "\r\n" .. line .. "\r\n")
  end
  lu.assertNil(head:find "Referer")
  lu.assertStrContains(head, "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n") -- S39
end

function T:test_headers_as_a_list_keep_their_order()
  local server = self.rig:raw_server()
  self.rig:client(server.url, nil, { headers = { { "X-A", "1" }, { "X-B", "2" }, { "X-A", "3" } } })
  lu.assertStrContains(server:accept():head(), "X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n")
end

-- H6, S32
function T:test_headers_that_may_not_be_sent()
  local function client(headers)
    return wsock.WebSocket("ws://127.0.0.1:1/", nil, { loop = self.rig.loop, headers = headers })
  end
  for _, name in ipairs { "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "sec-websocket-version",
    "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept", "Content-Length",
    "Transfer-Encoding" } do
    contains("'" .. name .. "'", client, { [name] = "x" })
  end
  for _, bad in ipairs { "\r\nX: y", "a\nb", "\r", "a\0b", "\x7f" } do
    contains("header", client, { ["X-A"] = bad })
    contains("header", client, { ["X" .. bad] = "v" })
    contains("header", client, { { "X-A", bad } })
  end
  for _, bad in ipairs { { ["X A"] = "" }, { [""] = "" }, { ["X:"] = "" }, { [1] = "x" }, { X = {} }, { X = true } } do
    contains("header", client, bad)
  end
  for _, bad in ipairs { "a\r\nb", "a\nb", "\0" } do
    lu.assertErrorMsgContains("option 'origin' has a value that may not be sent", wsock.WebSocket, "ws://127.0.0.1:1/",
      nil, { origin = bad })
  end
  self.rig:idle()
end

function T:test_userinfo_becomes_authorization()
  local server = self.rig:raw_server()
  for userinfo, plain in pairs { ["user:pass@"] = "user:pass", ["user@"] = "user:", [":p@"] = ":p",
    ["us%65r:p%3aa%40s@"] = "user:p:a@s", ["Aladdin:open sesame@"] = "Aladdin:open sesame" } do
    local socket = self.rig:client((server.url:gsub("//", "//" .. userinfo:gsub("%%", "%%%%"))))
    local head = server:accept():head()
    local value = assert(head:match "\r\nAuthorization: Basic (%S+)\r\n", head)
    lu.assertEquals(require "wsock.core".codec.base64.decode(value), plain)
    lu.assertEquals(head:match "\r\nHost: (%S+)", "127.0.0.1:" .. server.port)
    socket:terminate()
  end
end

function T:test_ipv6()
  ipv6.needed()
  local server = self.rig:raw_server "::1"
  local socket = self.rig:client(server.url .. "x")
  local record = rigs.record(socket)
  local peer = server:welcome()
  self.rig:events(record, 1)
  lu.assertEquals(tostring(record), "open")
  lu.assertEquals(peer.request:match "Host: (%S+)", "[::1]:" .. server.port)
  lu.assertEquals({ socket.remoteAddress, socket.remotePort }, { "::1", server.port })
end

function T:test_unix_socket()
  local dir, remove = require "support.process".directory()
  local path = dir .. "/sock"
  local got
  local server = self.rig:keep(assert(wsock.listen { path = path, loop = self.rig.loop,
    onmessage = function(s, data) got = s.request.target .. " " .. data end }))
  local socket = self.rig:client("ws+unix:" .. path .. ":/the/target?q")
  socket.onopen = function() socket:send "hello" end
  self.rig:wait(function() return got end)
  lu.assertEquals(got, "/the/target?q hello")
  lu.assertNil(socket.remotePort)
  server:close()
  self.rig:settle()
  remove()
end

function T:test_unix_socket_that_is_not_there()
  local record = rigs.record(self.rig:client "ws+unix:/nonexistent/sock")
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:ENOENT close:1006::false")
  lu.assertStrContains(record.message, "/nonexistent/sock")
  contains("SyntaxError", wsock.WebSocket, "ws+unix:/" .. ("x"):rep(200))
end

-- The port nobody named is 443 (net/tls_spec.lua is about the rest).
function T:test_the_port_of_wss()
  local client = self.rig:client "wss://127.0.0.1:443/x"
  lu.assertEquals({ client.url, client.origin }, { "wss://127.0.0.1/x", "wss://127.0.0.1" })
  client:terminate()
  self.rig:wait(function() return client.readyState == 3 end)
end

-- ---- handshakeTimeout: one clock over everything (I6) ------------------------------------

function T:times_out(url)
  local start = wsock.now()
  local socket = self.rig:client(url, nil, { handshakeTimeout = 0.05 })
  local record = rigs.record(socket)
  self.rig:closed(record)
  local took = wsock.now() - start
  lu.assertEquals(tostring(record), "error:TIMEOUT close:1006::false")
  lu.assertTrue(took >= 0.045, took)
  return record.message
end

function T:test_nobody_answers_the_syn()
  local server = self.rig:raw_server(nil, 0)
  for _ = 1, 3 do -- the backlog is taken
    local guest = self.rig:keep(require "socket".tcp4())
    guest:settimeout(0)
    guest:connect("127.0.0.1", server.port)
  end
  lu.assertEquals(self:times_out(server.url), ("connect 127.0.0.1:%d: handshakeTimeout has passed"):format(server.port))
end

function T:test_nobody_accepts()
  local server = self.rig:raw_server()
  lu.assertEquals(self:times_out(server.url),
    ("handshake with ws://127.0.0.1:%d: handshakeTimeout has passed"):format(server.port))
end

-- A head that comes byte by byte does not move the clock (C4).
function T:test_a_head_that_dribbles()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { handshakeTimeout = 0.05 })
  local record = rigs.record(socket)
  local peer = server:accept()
  self.rig:wait(function()
    peer.sock:send "H"
    return record.closed
  end)
  lu.assertStrMatches(tostring(record), "error:%u+ close:1006::false")
end

function T:test_a_refusal_whose_body_never_ends()
  clock.patiently(function(times)
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url, nil, { handshakeTimeout = 0.1 * times })
    local record = rigs.record(socket)
    local peer = server:accept()
    peer:head()
    peer:send "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nbecause"
    self.rig:closed(record)
    lu.assertStrMatches(tostring(record), "error:%u+ close:1006::false")
    lu.assertNotNil(socket.response)
    lu.assertEquals({ socket.response.status, socket.response.body }, { 403, "because" })
  end)
end

function T:test_no_clock_once_it_is_open()
  clock.patiently(function(times)
    local socket, record = self.rig:opened { handshakeTimeout = 0.03 * times }
    local over
    self.rig.loop:after(0.06 * times, function() over = true end)
    self.rig:wait(function() return over end)
    lu.assertEquals({ tostring(record), socket.readyState }, { "open", 1 })
  end)
end

-- Each client has its options, whatever becomes of the table.
function T:test_the_options_table_is_read_once()
  local server = self.rig:raw_server()
  local options = { maxPayload = 5, loop = self.rig.loop, headers = { A = "b" } }
  local socket = wsock.WebSocket(server.url, nil, options)
  local record = rigs.record(socket)
  options.maxPayload, options.headers, options.nonsense = 1, nil, true
  local peer = server:welcome()
  peer:frame { "12345" }
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open text:12345")
end

function T:test_options_of_the_wrong_type()
  for _, bad in ipairs { 1, true, "x", print } do
    contains("options must be a table", wsock.WebSocket, "ws://127.0.0.1:1/", nil, bad)
  end
  for _, bad in ipairs { 1, "x", {}, io.stdout } do
    lu.assertError(wsock.WebSocket, "ws://127.0.0.1:1/", nil, { loop = bad })
  end
  for _, key in ipairs { "origin", "localAddress", "headers", "noDelay" } do
    contains(key, wsock.WebSocket, "ws://127.0.0.1:1/", nil, { [key] = 1 })
  end
  wsock.run() -- nothing was begun
end

-- S5: who is in between and does not know WebSocket answers something else, or
-- hangs up, at once or in the middle; nobody waits for more.
function T:test_S5_intermediaries_that_do_not_know_it()
  local far = self.rig:raw_server()
  for _, answer in ipairs {
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>the page without its Upgrade",
    "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n\r\n",
    "HTTP/1.0 501 Not Implemented\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n",
    "",
  } do
    local record = rigs.record(self.rig:client(far.url))
    local peer = far:accept()
    peer:head()
    peer:send(answer)
    peer:shut()
    self.rig:closed(record)
    lu.assertStrMatches(tostring(record), "error:%u+ close:1006::false")
    peer:close()
  end
end

return T
