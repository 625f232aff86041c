-- peer/dial through proxies: a tunnel to the target, whoever resolves its name,
-- and every way in which it does not come to be.

local lu = require "luaunit"
local forward = require "support.forward"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

local schemes = { http = "http", socks = "socks5" }

-- An echo that only the proxy can find, by the name "target.spec".
function T:target()
  local seen = {}
  local _, _, port = self.rig:listen {
    onconnection = function(_, request) seen.headers = request.headers end,
    onmessage = function(socket, data, kind) socket:send(data, kind) end,
  }
  return ("ws://target.spec:%d/chat"):format(port), port, seen
end

function T:proxy(options)
  options.names = { ["target.spec"] = "127.0.0.1" }
  return forward.new(self.rig, options)
end

function T:failure(url, options)
  local client = self.rig:client(url, nil, options)
  local record = rigs.record(client)
  lu.assertEquals(#record, 0)
  self.rig:closed(record)
  lu.assertEquals(#record, 2, tostring(record))
  return record.message, record.code, client
end

-- HC-05, HC-08, RP-09, RP-11, RP-12
function T:test_an_echo_through_each_kind()
  for kind, scheme in pairs(schemes) do
    for _, user in ipairs { "", "ann:s@me:" } do
      local url, port, seen = self:target()
      local proxy = self:proxy { kind = kind, user = user ~= "" and user or nil }
      local at = user ~= "" and "ann:s%40me%3A@" or ""
      local client = self.rig:client(url, nil, { proxy = scheme .. "://" .. at .. proxy.where })
      local record = rigs.record(client)
      self.rig:events(record, 1)
      client:send "hello"
      client:send(("x"):rep(300000), "binary")
      self.rig:events(record, 3)
      lu.assertEquals({ record[1], record[2], #record[3] }, { "open", "text:hello", 300007 })
      lu.assertEquals({ client.url, client.remotePort }, { url, proxy.port })
      lu.assertStrContains(proxy.heads[1], ("target.spec:%d"):format(port))
      lu.assertEquals(seen.headers.host, "target.spec:" .. port)
      lu.assertNil(seen.headers["proxy-authorization"])
      client:close(1000)
      self.rig:closed(record)
      lu.assertEquals(record:last(), "close:1000::true")
    end
  end
end

function T:test_a_host_alone_is_an_http_proxy()
  local url = self:target()
  local proxy = self:proxy {}
  local client = self.rig:client(url, nil, { proxy = proxy.where })
  self.rig:wait(function() return client.readyState == 1 end)
end

-- The server's first frames come right behind the proxy's head.
function T:test_bytes_behind_the_proxys_answer_are_kept()
  local proxy = self.rig:raw_server()
  local client = self.rig:client("ws://far.spec/", nil, { proxy = "http://127.0.0.1:" .. proxy.port })
  local record = rigs.record(client)
  local peer = proxy:accept()
  lu.assertStrContains(peer:head(), "CONNECT far.spec:80 HTTP/1.1\r\nHost: far.spec:80\r\n")
  peer:send "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
  peer:welcome()
  peer:frame { op = "text", "first" }
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open text:first")
end

function T:test_refusals_in_words()
  local url, port = self:target()
  local dead = self.rig:dead_port()
  for _, row in ipairs {
    { { kind = "http", user = "a:b" }, url, "407 Proxy Authentication Required" },
    { { kind = "http" }, "ws://target.spec:" .. dead, "502 Bad Gateway" },
    { { kind = "http", answer = "HTTP/1.1 200 OK\nX\n\n" }, url, "malformed" },
    { { kind = "socks", user = "a:b" }, url, "the proxy wants authentication" },
    { { kind = "socks" }, "ws://target.spec:" .. dead, "connection refused" },
  } do
    local proxy = self:proxy(row[1])
    local message, code, client = self:failure(row[2], { proxy = schemes[row[1].kind] .. "://" .. proxy.where })
    lu.assertEquals(code, "PROXY")
    lu.assertStrContains(message, ("by %s: "):format(proxy.where))
    lu.assertStrContains(message, row[3])
    lu.assertStrMatches(message, (row[1].kind == "http" and "CONNECT" or "SOCKS5") .. " target%.spec:%d+ by .*")
    lu.assertNil(client.response) -- what a proxy says is no answer of the server's
  end
  lu.assertTrue(port > 0)
end

function T:test_no_password_in_any_words()
  local proxy = self:proxy { user = "a:b" }
  local message = self:failure("ws://target.spec/", { proxy = "http://ann:sesame@" .. proxy.where })
  lu.assertStrContains(message, "407")
  lu.assertNil(message:find "sesame")
  lu.assertNil(message:find "ann")
  local _, why = pcall(wsock.WebSocket, "ws://h/", nil, { proxy = "http://ann:sesame@h:x/" })
  lu.assertStrContains(why, "the port is no number")
  lu.assertNil(why:find "sesame")
end

function T:test_a_proxy_that_is_not_there()
  local dead = self.rig:dead_port()
  local message, code = self:failure("ws://target.spec/", { proxy = "127.0.0.1:" .. dead })
  lu.assertEquals({ message, code },
    { ("connect 127.0.0.1:%d (proxy): Connection refused"):format(dead), "ECONNREFUSED" })
  message, code = self:failure("ws://target.spec/", { proxy = "nobody.invalid" })
  lu.assertStrMatches(message, "resolve nobody%.invalid %(proxy%): .+")
  lu.assertStrMatches(code, "EAI_%u+")
end

-- ---- a challenge of a proxy that closes ------------------------------------------------

local CLOSES = 'HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"\r\n'
  .. "Connection: close\r\n\r\nwho are you?"

-- A client of such a proxy, its record, and the proxy.
function T:challenged(url)
  local proxy = self.rig:raw_server()
  local client = self.rig:client(url or "ws://far.spec/", nil, { proxy = "http://ann:sesame@127.0.0.1:" .. proxy.port })
  local peer = proxy:accept()
  lu.assertStrContains(peer:head(), "Proxy-Authorization: Basic ")
  peer:send(CLOSES)
  return client, rigs.record(client), proxy, peer
end

function T:test_a_challenge_is_answered_over_another_connection()
  local client, record, proxy, first = self:challenged()
  local second = proxy:accept()
  first:take_end()
  local head = second:head()
  lu.assertStrContains(head, "CONNECT far.spec:80 HTTP/1.1\r\n")
  lu.assertStrContains(head, 'Proxy-Authorization: Digest username="ann", realm="r", nonce="n", uri="far.spec:80", ')
  second:send "HTTP/1.1 200 OK\r\n\r\n"
  second:welcome()
  lu.assertNotStrContains(second.request, "Proxy-")
  second:frame { op = "text", "hello" }
  self.rig:events(record, 2)
  lu.assertEquals(tostring(record), "open text:hello")
  client:send "back"
  lu.assertEquals(second:take().payload, "back")
end

-- A password that is wrong is not tried for ever.
function T:test_it_is_answered_once()
  local _, record, proxy = self:challenged()
  local second = proxy:accept()
  second:head()
  second:send(CLOSES)
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:PROXY close:1006::false")
  lu.assertStrContains(record.message, "407 Who")
  lu.assertNil((proxy.sock:accept()))
end

function T:test_the_other_connection_cannot_be_had()
  local proxy = self.rig:raw_server()
  local client = self.rig:client("ws://far.spec/", nil, { proxy = "http://a:b@127.0.0.1:" .. proxy.port })
  local record = rigs.record(client)
  local peer = proxy:accept()
  peer:head()
  proxy:close()
  peer:send(CLOSES)
  self.rig:closed(record)
  lu.assertEquals(record.message, ("connect 127.0.0.1:%d (proxy): Connection refused"):format(proxy.port))
  lu.assertEquals(tostring(record), "error:ECONNREFUSED close:1006::false")
end

function T:test_acts_between_two_connections()
  for _, act in ipairs { "close", "terminate" } do
    local client, record, proxy = self:challenged()
    local second = proxy:accept()
    client[act](client)
    self.rig:closed(record)
    lu.assertEquals(record:last(), "close:1006::false")
    second:take_end()
  end
end

-- H10: what the proxy says is never taken for the server's word
function T:test_hostile_answers()
  for _, text in ipairs { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\1x", "\x16\3\1", "\5\0",
    "HTTP/1.1 401 No\r\nContent-Length: 100000000\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: ws://evil/\r\n\r\n",
    ("HTTP/1.1 200 OK\r\n" .. ("X: y\r\n"):rep(5000)) } do
    local proxy = self.rig:raw_server()
    local client = self.rig:client("ws://far.spec/", nil,
      { proxy = "http://127.0.0.1:" .. proxy.port, maxRedirects = 5 })
    local record = rigs.record(client)
    local peer = proxy:accept()
    peer:head()
    pcall(peer.send, peer, text)
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "error:PROXY close:1006::false")
    lu.assertStrMatches(record.message, "CONNECT far%.spec:80 by 127%.0%.0%.1:%d+: .+")
  end
end

function T:test_closed_at_each_byte()
  local yes = "HTTP/1.1 200 OK\r\n\r\n"
  for n = 0, #yes - 1 do
    local proxy = self.rig:raw_server()
    local client = self.rig:client("ws://far.spec/", nil, { proxy = "http://127.0.0.1:" .. proxy.port })
    local record = rigs.record(client)
    local peer = proxy:accept()
    peer:head()
    if n > 0 then peer:send(yes:sub(1, n)) end
    if n % 2 == 0 then peer:close() else peer:reset() end
    self.rig:closed(record)
    local reset = record.code == "ECONNRESET"
    lu.assertTrue(record.code == "PROXY" or (reset and n % 2 == 1), record.code)
  end
end

-- One clock over the proxy too; nothing of it is left behind.
function T:test_time()
  for _, text in ipairs { "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n" } do
    local proxy = self.rig:raw_server()
    local client = self.rig:client("ws://far.spec/", nil,
      { proxy = "http://127.0.0.1:" .. proxy.port, handshakeTimeout = 0.1 })
    local record = rigs.record(client)
    local peer = proxy:accept()
    self.rig:wait(function() return record.closed or peer:look():find "\r\n\r\n" end)
    if text ~= "" and not record.closed then peer:send(text) end
    self.rig:closed(record)
    lu.assertEquals(tostring(record), "error:TIMEOUT close:1006::false")
  end
end

function T:test_acts_while_the_tunnel_is_made()
  for _, act in ipairs { "close", "terminate" } do
    local proxy = self.rig:raw_server()
    local client = self.rig:client("ws://far.spec/", nil, { proxy = "http://127.0.0.1:" .. proxy.port })
    local record = rigs.record(client)
    local peer = proxy:accept()
    peer:head()
    client[act](client)
    self.rig:closed(record)
    lu.assertEquals(record:last(), "close:1006::false")
    peer:take_end()
  end
end

function T:test_redirects_go_through_the_proxy_too()
  local url, port = self:target()
  local first = self.rig:raw_server()
  local proxy = self:proxy {}
  local client = self.rig:client("ws://target.spec:" .. first.port, nil, { proxy = proxy.where, maxRedirects = 1 })
  local peer = first:accept()
  peer:head()
  peer:send(("HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n"):format(url))
  self.rig:wait(function() return client.readyState == 1 end)
  lu.assertStrContains(proxy.heads[1], "CONNECT target.spec:" .. first.port)
  lu.assertStrContains(proxy.heads[2], "CONNECT target.spec:" .. port)
end

function T:test_unix_sockets_need_no_proxy()
  local path = os.tmpname()
  os.remove(path)
  self.rig:keep(assert(wsock.listen { path = path, loop = self.rig.loop }))
  local client = self.rig:client(("ws+unix:%s:/"):format(path), nil, { proxy = "http://nobody.invalid" })
  self.rig:wait(function() return client.readyState == 1 end)
  os.remove(path)
end

return T
