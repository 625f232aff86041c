-- bind/lua_request: the heads of the handshake as tables.

local lu = require "luaunit"
local rigs = require "support.rig"
local visitors = require "support.visitors"
local wsock = require "wsock"

local T = rigs.class()

-- The request object of one head, as an onrequest or onupgrade handler gets it.
local function request_of(rig, text)
  local got
  local _, _, port = rig:listen {
    onrequest = function(request, response)
      got = request
      response:send()
    end,
    onupgrade = function(request)
      got = request
      request:accept()
    end,
  }
  local peer = visitors.visit(rig, port, text)
  peer:head()
  return got, peer
end

function T:test_fields()
  for _, row in ipairs {
    { "GET / HTTP/1.1", "GET", "/", "/", "" }, { "GET /a/b?c=d&e HTTP/1.1", "GET", "/a/b?c=d&e", "/a/b", "c=d&e" },
    { "POST /%20?x?y HTTP/1.1", "POST", "/%20?x?y", "/%20", "x?y" }, { "DELETE /? HTTP/1.1", "DELETE", "/?", "/", "" },
    { "GET http://h/p?q HTTP/1.1", "GET", "http://h/p?q", "/p", "q" }, { "GET //x HTTP/1.1", "GET", "//x", "//x", "" },
    { "FROB /x HTTP/1.1", "FROB", "/x", "/x", "" },
  } do
    local r, peer = request_of(self.rig, visitors.plain(row[1]))
    lu.assertEquals({ r.method, r.target, r.path, r.query, r.body }, { row[2], row[3], row[4], row[5], "" })
    peer:close()
  end
  local r = request_of(self.rig, visitors.upgrade(nil, "GET /chat?a=b HTTP/1.1"))
  lu.assertEquals({ r.method, r.target, r.path, r.query, r.body }, { "GET", "/chat?a=b", "/chat", "a=b", nil })
end

function T:test_headers_in_any_case()
  local r = request_of(self.rig, visitors.plain(nil, { "Cookie: a=b", "x-mixed-CASE: \t v \t", "Empty:" }))
  local h = r.headers
  lu.assertEquals({ h.Host, h.host, h.HOST, h["hOsT"] }, { "h", "h", "h", "h" })
  lu.assertEquals({ h.cookie, h["X-Mixed-Case"], h.empty, h.Empty }, { "a=b", "v", "", "" })
  lu.assertEquals({ h.nothing, h[""], h[0], h[{}], h["host "] }, {})
  lu.assertTrue(rawequal(r.headers, h))
end

function T:test_repeated_lines()
  local r = request_of(self.rig, visitors.plain(nil,
    { "A: 1", "B: x", "a: 2", "A:", "Set-Cookie: a=1", "set-cookie: b=2" }))
  lu.assertEquals({ r.headers.a, r.headers.b, r.headers["set-cookie"] }, { "1, 2, ", "x", "a=1" })
  lu.assertEquals(r.headers:all "A", { "1", "2", "" })
  lu.assertEquals(r.headers:all "a", { "1", "2", "" })
  lu.assertEquals(r.headers:all "Set-Cookie", { "a=1", "b=2" })
  lu.assertEquals(r.headers:all "none", {})
  lu.assertError(r.headers.all, r.headers)
  lu.assertError(r.headers.all, r.headers, 1)
end

-- In order and as they were written.
function T:test_headers_as_a_list()
  local r = request_of(self.rig, visitors.plain(nil, { "B: 1", "a: 2", "B: 3" }))
  local list = {}
  for _, field in ipairs(r.headers) do list[#list + 1] = field[1] .. "=" .. field[2] end
  lu.assertEquals(table.concat(list, " "), "Host=h B=1 a=2 B=3")
end

-- threats N4: names a peer chooses hide nothing of ours and break nothing
function T:test_names_that_mean_something_elsewhere()
  local lines = {}
  local names = { "all", "All", "__index", "__gc", "__metatable", "__proto__", "constructor", "1", "method", "n",
    "body", "accept", "nil" }
  for i, name in ipairs(names) do lines[i] = name .. ": v" .. i end
  local r = request_of(self.rig, visitors.upgrade(nil, "GET / HTTP/1.1"):gsub("\r\n\r\n$",
    "\r\n" .. table.concat(lines, "\r\n") .. "\r\n\r\n"))
  lu.assertEquals(r.headers:all "all", { "v1", "v2" })
  lu.assertIsFunction(r.headers.all)
  for i = 3, #names do lu.assertEquals({ names[i], r.headers[names[i]] }, { names[i], "v" .. i }) end
  lu.assertEquals(r.method, "GET")
  lu.assertIsFunction(r.accept)
  lu.assertNil(r.nothing)
end

function T:test_bytes_of_values()
  local r = request_of(self.rig, visitors.plain(nil, { "X: \xc3\xa4\xff \x80", "Y: a\tb" }))
  lu.assertEquals({ r.headers.x, r.headers.y }, { "\xc3\xa4\xff \x80", "a\tb" })
end

function T:test_as_many_as_there_may_be()
  local lines = {}
  for i = 1, 99 do lines[i] = ("X-%d: %d"):format(i, i) end
  local r = request_of(self.rig, visitors.plain(nil, lines))
  lu.assertEquals(#r.headers, 100)
  lu.assertEquals(r.headers["x-99"], "99")
end

-- The user's own notes on a request stay, and reach the socket.
function T:test_own_fields()
  local _, _, port = self.rig:listen {
    verify = function(request)
      request.user = { "me" }
      return true
    end,
    onconnection = function(socket, request)
      lu.assertTrue(rawequal(socket.request, request))
      socket:send(socket.request.user[1])
    end,
  }
  local peer = visitors.knock(self.rig, port)
  lu.assertEquals(peer:take().payload, "me")
end

-- First asked for long after the fact.
function T:test_looked_at_late()
  local socket, closed
  local server, _, port = self.rig:listen {
    onconnection = function(s) socket = s end,
    onclose = function(s) closed = s.request.headers.cookie end,
  }
  visitors.knock(self.rig, port, visitors.upgrade({ Cookie = "c" }, "GET /late HTTP/1.1")):reset()
  self.rig:wait(function() return closed end)
  lu.assertEquals(closed, "c")
  lu.assertEquals(server.clientCount, 0)
  collectgarbage()
  lu.assertEquals({ socket.request.path, socket.request.headers.cookie }, { "/late", "c" })
end

function T:test_sockets_of_a_server_have_no_response()
  local socket
  local _, _, port = self.rig:listen { onconnection = function(s) socket = s end }
  visitors.knock(self.rig, port)
  lu.assertNil(socket.response)
  lu.assertErrorMsgContains("read-only", function() socket.request = {} end)
end

-- Whose request it is, for gates and handlers; no TLS, no certificate.
function T:test_whose_it_is()
  local seen = {}
  local function look(request) seen[#seen + 1] = { request.remoteAddress, request.remotePort, request.tls } end
  local function verify(request)
    look(request)
    return true
  end
  local function onrequest(request, response)
    look(request)
    response:send()
  end
  local _, _, port = self.rig:listen { verify = verify, onrequest = onrequest }
  for _, text in ipairs { visitors.upgrade(), visitors.plain() } do
    local peer = visitors.visit(self.rig, port, text)
    local _, own = peer.sock:getsockname()
    peer:head()
    lu.assertEquals(table.remove(seen), { "127.0.0.1", math.tointeger(tonumber(own)) })
    peer:close()
  end
  lu.assertEquals(seen, {})
end

-- What a client keeps of the answer: S43, W-28 and around.
function T:test_response_of_a_client()
  local _, url = self.rig:listen { headers = { ["X-A"] = "1" }, protocols = { "p" } }
  local socket = self.rig:client(url, { "p" })
  lu.assertNil(socket.response)
  lu.assertNil(socket.request)
  self.rig:wait(function() return socket.readyState == 1 end)
  local r = socket.response
  lu.assertEquals({ r.status, r.reason, r.body, r.headers["x-a"] }, { 101, "Switching Protocols", "", "1" })
  lu.assertTrue(rawequal(r, socket.response))
  lu.assertEquals(socket.protocol, "p")
  socket:terminate()
end

function T:test_response_of_a_refused_client()
  local _, url = self.rig:listen { verify = function() return false, 401, { ["WWW-Authenticate"] = "x" }, "who?" end }
  local socket = self.rig:client(url)
  local record = rigs.record(socket)
  self.rig:closed(record)
  lu.assertEquals(tostring(record), "error:HANDSHAKE close:1006::false")
  local r = socket.response
  lu.assertEquals({ r.status, r.reason, r.body, r.headers["www-authenticate"] }, { 401, "Unauthorized", "who?", "x" })
end

-- AU-01, AU-03, AU-04, AU-05, AU-17
function T:test_basic_auth()
  local b64 = require "wsock.core".codec.base64.encode
  for value, want in pairs {
    ["Basic " .. b64 "user:pass"] = { "user", "pass" }, ["bAsIc  " .. b64 "u:a:b"] = { "u", "a:b" },
    ["Basic " .. b64 ":"] = { "", "" }, ["Basic " .. b64 "u"] = {}, ["Basic !"] = {}, ["Bearer x"] = {}, [""] = {},
  } do
    local r, peer = request_of(self.rig, visitors.plain(nil, { "Authorization: " .. value }))
    lu.assertEquals({ r:basicAuth() }, want, value)
    peer:close()
  end
  lu.assertEquals({ request_of(self.rig, visitors.plain(nil)):basicAuth() }, {})
  local line = "Authorization: Basic " .. b64 "a:b"
  lu.assertEquals({ request_of(self.rig, visitors.upgrade { Authorization = line:sub(16) }):basicAuth() }, { "a", "b" })
  -- who sends two may have smuggled one in
  lu.assertEquals({ request_of(self.rig, visitors.plain(nil, { line, line })):basicAuth() }, {})
  lu.assertError(request_of(self.rig, visitors.plain(nil)).basicAuth)
end

-- As many as a head may have: Lua's stack has no room for all of them.
function T:test_basic_auth_of_very_many_lines()
  local many = {}
  for i = 1, 95 do many[i] = "Authorization: Basic YTpi" end
  for _ = 1, 8 do
    local r, peer = request_of(self.rig, visitors.plain(nil, many))
    lu.assertEquals({ r:basicAuth() }, {})
    lu.assertEquals(#r.headers:all "authorization", 95)
    peer:close()
  end
end

-- The table is the user's; what is put into it must not be taken for lines.
function T:test_headers_that_were_changed()
  local r = request_of(self.rig, visitors.plain(nil, { "Authorization: Basic YTpi" }))
  local h = r.headers
  for _, odd in ipairs { 5, "x", true, {}, { 1, 2 }, { "Authorization", 1 }, { {}, "x" } } do h[#h + 1] = odd end
  lu.assertEquals(h:all "Authorization", { "Basic YTpi" })
  lu.assertEquals({ r:basicAuth() }, { "a", "b" })
  lu.assertEquals(h.all({ 5 }, "x"), {})
  lu.assertEquals({ r.basicAuth { headers = { 5, {} } } }, {})
  lu.assertError(getmetatable(h).__index, 5, "x")
  lu.assertError(getmetatable(r).__index, 5, "x")
end

function T:test_basic_auth_as_a_gate()
  local users = { ann = "s3cret:x" }
  local asked
  local _, url = self.rig:listen {
    verify = function(request)
      local user, password = request:basicAuth()
      asked = user
      if user and users[user] and wsock.constantTimeEquals(users[user], password) then return true end
      return false, 401, { ["WWW-Authenticate"] = 'Basic realm="spec", charset="UTF-8"' }
    end,
  }
  local socket = self.rig:client(url:gsub("//", "//ann:s3cret%%3Ax@"), nil)
  self.rig:wait(function() return socket.readyState == 1 end)
  lu.assertEquals(asked, "ann")
  for _, auth in ipairs { { "ann", "s3cret" }, { "bob", "s3cret:x" }, { "ann" } } do
    local other = self.rig:client(url, nil, { auth = auth })
    local record = rigs.record(other)
    self.rig:closed(record)
    lu.assertEquals({ record.code, other.response.status }, { "HANDSHAKE", 401 })
    lu.assertEquals(other.response.headers["www-authenticate"], 'Basic realm="spec", charset="UTF-8"')
  end
end

return T
