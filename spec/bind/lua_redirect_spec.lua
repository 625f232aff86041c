-- bind/lua_redirect: clients that are sent elsewhere (RP-01 to RP-05, S2).

local lu = require "luaunit"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class()

-- Answers the next request of a raw server with a redirect; the request's head.
local function redirect(server, location, status, more)
  local peer = server:accept()
  local head = peer:head()
  peer:send(("HTTP/1.1 %d Moved\r\nLocation: %s\r\n%s\r\n"):format(status or 302, location, more or ""))
  return head, peer
end

local function failure(rig, socket)
  local record = rigs.record(socket)
  rig:closed(record)
  lu.assertEquals(#record, 2, tostring(record)) -- one error, one close
  return record.message, record.code
end

local function not_101(socket, status)
  return ("handshake with %s: server did not answer 101: %d"):format(socket.origin, status)
end

-- ---- off and on ------------------------------------------------------------------

-- RP-01
function T:test_off_unless_asked_for()
  local server = self.rig:raw_server()
  for _, options in ipairs { {}, { maxRedirects = 0 } } do
    local socket = self.rig:client(server.url, nil, options)
    redirect(server, "/elsewhere", 301, "Content-Length: 0\r\n")
    lu.assertEquals({ failure(self.rig, socket) }, { not_101(socket, 301), "HANDSHAKE" })
    lu.assertEquals(socket.url, server.url)
    lu.assertEquals(socket.response.headers.location, "/elsewhere")
  end
  for _, bad in ipairs { -1, 101, 1.5, "1", true } do
    lu.assertErrorMsgContains("option 'maxRedirects'", wsock.WebSocket, "ws://h/", nil, { maxRedirects = bad })
  end
end

-- RP-02, HC-18
function T:test_every_status_and_a_new_key()
  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url .. "a/b?c", nil, { maxRedirects = 1 })
    local record = rigs.record(socket)
    local first, gone = redirect(server, "../d?e", status)
    lu.assertEquals(gone:take_end(), "closed")
    local peer = server:welcome()
    self.rig:events(record, 1)
    lu.assertStrContains(first, "GET /a/b?c HTTP/1.1\r\n")
    lu.assertStrContains(peer.request, "GET /d?e HTTP/1.1\r\n")
    lu.assertNotEquals(peer.request:match "Key: (%S+)", first:match "Key: (%S+)")
    lu.assertEquals({ socket.url, socket.response.status }, { server.url .. "d?e", 101 })
    peer:frame { op = "text", "hello" }
    self.rig:events(record, 2)
    lu.assertEquals(tostring(record), "open text:hello")
    socket:terminate()
  end
end

function T:test_other_answers_are_no_redirects()
  local server = self.rig:raw_server()
  for _, status in ipairs { 200, 300, 304, 305, 306, 401, 503 } do
    local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
    redirect(server, "/x", status, "Content-Length: 0\r\n")
    lu.assertEquals(select(2, failure(self.rig, socket)), "HANDSHAKE")
    lu.assertEquals(socket.response.status, status)
  end
  for _, lines in ipairs { "", "Location: /a\r\nLocation: /b\r\n" } do
    local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
    local peer = server:accept()
    peer:head()
    peer:send("HTTP/1.1 302 Found\r\n" .. lines .. "Content-Length: 3\r\n\r\nabc")
    lu.assertEquals(failure(self.rig, socket), not_101(socket, 302))
    lu.assertEquals(socket.response.body, "abc")
  end
end

-- ---- what goes along, and what stays -------------------------------------------------

local secrets = { Authorization = "Bearer x", Cookie = "a=b", ["X-Api-Key"] = "z" }

local function options_with(headers)
  local all = { ["User-Agent"] = "spec", Accept = "*/*" }
  for name, value in pairs(headers) do all[name] = value end
  return { maxRedirects = 3, headers = all, origin = "http://o", protocols = { "p" } }
end

function T:test_the_same_origin_gets_all_of_it()
  local server = self.rig:raw_server()
  self.rig:client(server.url, nil, options_with(secrets))
  redirect(server, "/again")
  redirect(server, server.url .. "more")
  local head = server:accept():head()
  for name, value in pairs(secrets) do lu.assertStrContains(head, ("\r\n%s: %s\r\n"):format(name, value)) end
  self.rig:client(server.url:gsub("//", "//u:p@"), nil, { maxRedirects = 3 })
  redirect(server, "/again")
  lu.assertStrContains(server:accept():head(), "\r\nAuthorization: Basic dTpw\r\n")
end

-- RP-04; CVE-2026-42498
function T:test_another_origin_gets_no_secret()
  local first, second = self.rig:raw_server(), self.rig:raw_server()
  self.rig:client(first.url, nil, options_with(secrets))
  redirect(first, second.url .. "x")
  local head = redirect(second, first.url .. "back")
  for name in pairs(secrets) do lu.assertNil(head:find("\r\n" .. name:gsub("%-", "%%-")), name) end
  for _, line in ipairs { "User-Agent: spec", "Accept: */*", "Origin: http://o", "Sec-WebSocket-Protocol: p",
    "Host: 127.0.0.1:" .. second.port } do
    lu.assertStrContains(head, "\r\n" .. line .. "\r\n")
  end
  local back = first:accept():head() -- dropped for good, or the second could reflect them
  for name in pairs(secrets) do lu.assertNil(back:find("\r\n" .. name:gsub("%-", "%%-")), name) end
end

function T:test_credentials_of_url_and_option_stay_behind()
  for _, options in ipairs { { maxRedirects = 1 }, { maxRedirects = 1, auth = { "u", "p" } } } do
    local first, second = self.rig:raw_server(), self.rig:raw_server()
    local socket = self.rig:client((first.url:gsub("//", "//u:p@")), nil, options)
    lu.assertStrContains(redirect(first, second.url), "Authorization: Basic dTpw")
    lu.assertNil(second:accept():head():find "Authorization")
    lu.assertEquals(socket.url, second.url)
  end
end

-- A key is for one request; a Host goes along within its origin.
function T:test_host_and_key()
  local first, second = self.rig:raw_server(), self.rig:raw_server()
  local key = "dGhlIHNhbXBsZSBub25jZQ=="
  self.rig:client(first.url, nil, { maxRedirects = 3, host = "a.example", handshakeKey = key })
  local one, two, three = redirect(first, "/x"), redirect(first, second.url), redirect(second, first.url)
  lu.assertStrContains(one, "\r\nHost: a.example\r\n")
  lu.assertStrContains(one, key)
  lu.assertStrContains(two, "\r\nHost: a.example\r\n")
  lu.assertStrContains(three, ("\r\nHost: 127.0.0.1:%d\r\n"):format(second.port))
  local back = first:accept():head()
  lu.assertStrContains(back, ("\r\nHost: 127.0.0.1:%d\r\n"):format(first.port))
  for _, later in ipairs { two, three, back } do lu.assertNil(later:find(key, 1, true)) end
end

-- ---- where it may not lead -------------------------------------------------------

function T:test_what_is_refused()
  local server = self.rig:raw_server()
  for location, why in pairs {
    ["/#x"] = "the URL has a fragment", ["ws+unix:/tmp/x.sock:/"] = "it leads to a unix socket",
    ["ftp://h/"] = "the scheme is none of ws, wss, http, https, ws+unix",
    ["http://h:x/"] = "the port is no number", ["/a:b@c#d"] = "the URL has a fragment",
    ["//h/a@b:c#d"] = "the URL has a fragment", ["ftp:"] = "the scheme is none of ws, wss, http, https, ws+unix",
  } do
    local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
    local status
    socket:on("error", function(_, _, s) status = s end)
    redirect(server, location, 307)
    lu.assertEquals({ failure(self.rig, socket) }, { ("redirect to '%s': %s"):format(location, why), "HANDSHAKE" })
    lu.assertEquals({ status, socket.response.status, socket.url }, { 307, 307, server.url })
  end
end

-- There may be a password in it.
function T:test_a_user_is_not_shown()
  local server = self.rig:raw_server()
  for location, shown in pairs {
    ["ws://u:p@127.0.0.1/x@y"] = "'ws://...@127.0.0.1/x@y': it names a user",
    ["//u:p@h/"] = "'//...@h/': it names a user", ["http:u@p@h/"] = "'http:...@h/': it names a user",
    ["ws://u:p@h:99999/"] = "'ws://...@h:99999/': the port is above 65535",
    ["ftp://u:p@h?@"] = "'ftp://...@h?@': the scheme is none of ws, wss, http, https, ws+unix",
  } do
    local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
    redirect(server, location, 302)
    lu.assertEquals({ failure(self.rig, socket) }, { "redirect to " .. shown, "HANDSHAKE" })
  end
end

-- RP-03
function T:test_loops_end()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { maxRedirects = 3 })
  for _ = 1, 4 do redirect(server, "/") end
  lu.assertEquals(failure(self.rig, socket), "redirect to '/': more than maxRedirects")
  self.rig:idle()
  lu.assertNil((server.sock:accept()))
end

function T:test_a_long_or_odd_location_is_shown_as_text()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { maxRedirects = 1 })
  redirect(server, "x:\xff\t" .. ("y"):rep(3000))
  lu.assertStrMatches(failure(self.rig, socket), "redirect to 'x:%?%?y+': the scheme .*")
end

function T:test_the_next_server_may_fail_too()
  local server, gone = self.rig:raw_server(), self.rig:raw_server()
  gone.close()
  local socket = self.rig:client(server.url, nil, { maxRedirects = 1 })
  redirect(server, gone.url)
  lu.assertEquals({ failure(self.rig, socket) },
    { ("connect 127.0.0.1:%d: Connection refused"):format(gone.port), "ECONNREFUSED" })
  lu.assertEquals(socket.url, gone.url)
  socket = self.rig:client(server.url, nil, { maxRedirects = 1 })
  redirect(server, "/x")
  local peer = server:accept()
  peer:head()
  peer:send "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"
  lu.assertEquals(failure(self.rig, socket), not_101(socket, 401))
  lu.assertEquals(socket.response.body, "no")
end

-- ---- time and acts meanwhile ----------------------------------------------------------

function T:test_one_clock_over_all()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { maxRedirects = 100, handshakeTimeout = 0.15 })
  local record, n = rigs.record(socket), 0
  while not record.closed and n < 100 do
    local peer = server.sock:accept()
    if peer then
      self.rig.loop:step(0.02)
      self.rig.loop:step(0.02)
      peer:settimeout(0)
      peer:receive "*a"
      peer:send "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"
      self.rig:keep(peer)
      n = n + 1
    end
    self.rig:turn()
  end
  lu.assertEquals(tostring(record), "error:TIMEOUT close:1006::false")
  lu.assertTrue(n < 100, n)
end

function T:test_closing_between_the_hops()
  for _, act in ipairs { "close", "terminate" } do
    local server = self.rig:raw_server()
    local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
    local record = rigs.record(socket)
    redirect(server, "/x")
    server:accept()
    socket[act](socket)
    self.rig:closed(record)
    lu.assertEquals(tostring(record), act == "close" and "error:CLOSED close:1006::false" or "close:1006::false")
  end
end

function T:test_a_socket_paused_before_it_opens_stays_paused()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
  socket:pause()
  redirect(server, "/x")
  local peer = server:welcome()
  local record = rigs.record(socket)
  peer:frame { op = "text", "later" }
  self.rig:events(record, 1)
  self.rig:idle()
  lu.assertEquals({ tostring(record), socket.isPaused }, { "open", true })
  socket:resume()
  self.rig:events(record, 2)
end

function T:test_bytes_behind_a_redirect_are_no_part_of_what_follows()
  local server = self.rig:raw_server()
  local socket = self.rig:client(server.url, nil, { maxRedirects = 5 })
  local record = rigs.record(socket)
  local peer = server:accept()
  peer:head()
  peer:send("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 5\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n"
    .. "Upgrade: websocket\r\n\r\n\x81\x01x")
  server:welcome()
  self.rig:events(record, 1)
  self.rig:idle()
  lu.assertEquals(tostring(record), "open")
end

-- A redirect in pieces, and the loop dropped at each of them.
function T:test_dropped_at_each_byte()
  local text = "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"
  for n = 0, #text, 3 do
    local rig = rigs.new()
    local server = rig:raw_server()
    rig:client(server.url, nil, { maxRedirects = 1 })
    local peer = server:accept()
    peer:head()
    if n > 0 then peer:send(text:sub(1, n)) end
    rig:idle(2)
    rig:close()
  end
end

function T:test_unix_socket()
  local path = os.tmpname()
  os.remove(path)
  local _, url = self.rig:listen { onconnection = function() end }
  local seen = {}
  self.rig:keep(assert(wsock.listen { path = path, loop = self.rig.loop, onupgrade = function(request)
    seen[#seen + 1] = request.target
    if request.path == "/b" then return request:reject(302, { Location = url }) end
    request:reject(302, { Location = "b" })
  end }))
  local socket = self.rig:client("ws+unix:" .. path .. ":/a", nil, { maxRedirects = 2 })
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertEquals({ seen, socket.url }, { { "/a", "/b" }, url })
  os.remove(path)
end

return T
