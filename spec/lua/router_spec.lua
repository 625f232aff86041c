-- lua/wsock/router: paths to handlers.

local lu = require "luaunit"
local bytes = require "support.bytes"
local clock = require "support.clock"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = rigs.class(function(self) self.router = wsock.router() end)
T.alone = true -- it measures
local contains = lu.assertErrorMsgContains

-- ---- helpers ---------------------------------------------------------------------------

function T:serve(options)
  options = options or {}
  options.router = self.router
  self.server, self.url, self.port = self.rig:listen(options)
  return self.server
end

-- What a plain request gets: status, headers in one string, body.
function T:ask(method, target, body)
  if not self.server then self:serve() end
  local peer = self.rig:raw_client(self.port, true)
  peer:send(("%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n%s"):format(method, target,
    body and ("Content-Length: %d\r\n"):format(#body) or "", body or ""))
  peer:take_end()
  local status, head, content = peer.got:match "^HTTP/1.1 (%d+)[^\r]*\r\n(.-)\r\n\r\n(.*)$"
  return tonumber(status), content, head .. "\r\n"
end

-- A client at a path, open or refused: socket, record.
function T:dial(path, protocols)
  if not self.server then self:serve() end
  local socket = self.rig:client(self.url:sub(1, -2) .. path, protocols)
  local record = rigs.record(socket)
  self.rig:wait(function() return socket.readyState ~= 0 and #record > 0 end)
  return socket, record
end

local function say(name)
  return function(request, response)
    local list = {}
    for key, value in pairs(request.params) do list[#list + 1] = key .. "=" .. value end
    table.sort(list)
    response:send(200, nil, name .. ":" .. table.concat(list, ",") .. (request.rest and " " .. request.rest or ""))
  end
end

-- ---- patterns --------------------------------------------------------------------------

function T:test_paths_and_captures()
  local router = self.router
  for _, pattern in ipairs { "/", "/a", "/a/", "/a/b", "/rooms/:id", "/rooms/:id/users/:user", "/rooms/new",
    "/files/*", "/deep/:x/*rest", "/ü", "/a b", "/100%" } do
    lu.assertIs(router:get(pattern, say(pattern)), router)
  end
  for _, row in ipairs {
    { "/", "/:" }, { "/a", "/a:" }, { "/a/", "/a/:" }, { "/a/b", "/a/b:" }, { "/a?x=/b", "/a:" },
    { "/rooms/1", "/rooms/:id:id=1" }, { "/rooms/new", "/rooms/new:" }, { "/rooms/%6eew", "/rooms/new:" },
    { "/rooms/1/users/2", "/rooms/:id/users/:user:id=1,user=2" },
    { "/rooms/a%2Fb", "/rooms/:id:id=a/b" }, { "/rooms/%25%32%35", "/rooms/:id:id=%25" },
    { "/rooms/..", "/rooms/:id:id=.." }, { "/rooms/:id", "/rooms/:id:id=:id" }, { "/rooms/*", "/rooms/:id:id=*" },
    { "/files/", "/files/*:*= /" }, { "/files/x", "/files/*:*=x /x" },
    { "/files/x/%2e%2E/y//", "/files/*:*=x/../y// /x/%2e%2E/y//" },
    { "/deep/1/2/3", "/deep/:x/*rest:rest=2/3,x=1 /2/3" }, { "/%C3%BC", "/ü:" }, { "/a%20b", "/a b:" },
    { "/100%25", "/100%:" },
  } do
    lu.assertEquals({ self:ask("GET", row[1]) }, { 200, row[2], select(3, self:ask("GET", row[1])) }, row[1])
  end
  for _, path in ipairs { "/b", "/A", "/a//", "//a", "/rooms/", "/rooms", "/rooms/1/", "/files", "/rooms//users/2",
    "/deep//x", "/deep/1", "/a%2Fb", "/a%2fb", "/rooms/1/users/", "/a/./b", "/a/b/.." } do
    lu.assertEquals({ path, (self:ask("GET", path)) }, { path, 404 })
  end
  for _, path in ipairs { "/a%", "/rooms/%zz", "/files/%2", "/%%41" } do
    lu.assertEquals({ path, (self:ask("GET", path)) }, { path, 400 })
  end
end

function T:test_patterns_that_cannot_be()
  local router = self.router
  for _, row in ipairs {
    { "a", "begin with" }, { "", "begin with" }, { 1, "begin with" }, { {}, "begin with" }, { "/a?b", "no '?'" },
    { "/a#b", "no '?'" }, { "/:", "is no name" }, { "/:1a", "is no name" }, { "/:a-b", "is no name" },
    { "/*/a", "nothing may follow" }, { "/*a/*b", "nothing may follow" }, { "/:a/:a", "two 'a'" },
    { "/:a/*a", "two 'a'" }, { "/*a.b", "is no name" }, { "/a*", "piece of its own" }, { "/a/b*c", "piece of its own" },
  } do
    contains(row[2], router.get, router, row[1], print)
    contains(row[2], router.ws, router, row[1], {})
  end
  contains("begin with", router.get, router, nil, print)
  contains("router_spec.lua", function() local _ = router:get("a", print) end)
  contains("router_spec.lua", function() local _ = router:get("/a", 1) end)
end

function T:test_registering()
  local router = self.router
  router:get("/a", print):post("/a", print):put("/a", print):patch("/a", print):delete("/a", print)
    :route("PROPFIND", "/a", setmetatable({}, { __call = print })):ws("/a", {})
  for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
    contains("has its handler already", router[method], router, "/a", print)
    contains("must be a function", router[method], router, "/b")
    contains("must be a function", router[method], router, "/b", {})
  end
  contains("has its WebSocket already", router.ws, router, "/a", {})
  for _, bad in ipairs { "get", "", "GET POST", 1, "GÉT" } do
    contains("is no method", router.route, router, bad, "/c", print)
  end
  contains("did you mean 'onmessage'?", router.ws, router, "/c", { onmesage = print })
  contains("'onmessage' must be a function", router.ws, router, "/c", { onmessage = 1 })
  contains("'protocols' must be a list", router.ws, router, "/c", { protocols = "x" })
  contains("unknown option of a WebSocket route 'maxBody'", router.ws, router, "/c", { maxBody = 1 })
  contains("'maxPayload' must be an integer", router.ws, router, "/c", { maxPayload = -1 })
  contains("'maxPayload' must be a number", router.ws, router, "/c", { maxPayload = "1" })
  contains("header 'Upgrade' is written by wsock", router.ws, router, "/c", { headers = { Upgrade = "x" } })
  contains("header 'a b' may not be sent: its name", router.ws, router, "/c", { headers = { ["a b"] = "x" } })
  contains("a subprotocol must be a string, got number", router.ws, router, "/c", { protocols = { 5 } })
  contains("a subprotocol is named twice in 'a, a'", router.ws, router, "/c", { protocols = { "a", "a" } })
  contains([['binaryType' must be "string", "blob" or "arraybuffer", got bytes]], router.ws, router, "/c",
    { binaryType = "bytes" })
  contains("options must be a table, got nil", router.options, router)
  router:ws("/called", { protocols = setmetatable({ a = 1 }, { __call = print }) })
  router:ws("/c", { headers = { { "A", "b" } }, protocols = { "a" }, binaryType = "blob" })
  contains("unknown option of router 'notFond'; did you mean 'notFound'?", wsock.router, { notFond = print })
  contains("field 'notFound' of a router cannot be set", function() self.router.notFound = print end)
  lu.assertEquals(tostring(wsock.router():get("/a", print):get("/:b", print)), "wsock.router (2 patterns)")
end

function T:test_what_listen_takes_with_a_router()
  for _, name in ipairs { "onrequest", "onupgrade", "onconnection", "onmessage", "onclose", "onerror", "onping",
    "onpong", "ondrain", "protocols" } do
    contains("option '" .. name .. "': with a router", wsock.listen, { port = 0, router = self.router, [name] = print })
  end
  for _, bad in ipairs { 1, "x", print, {}, true } do
    contains("'router' must be a router, got " .. type(bad), wsock.listen, { port = 0, router = bad })
  end
  contains("did you mean 'router'?", wsock.listen, { port = 0, ruoter = self.router })
  local heard = {}
  local options = { verify = function(request) heard[#heard + 1] = request.path return true end, maxPayload = 10 }
  self.router:ws("/x", {})
  self:serve(options)
  lu.assertIs(options.onmessage, nil) -- what was given is left as it was
  lu.assertIs(options.router, self.router)
  local socket, record = self:dial "/x"
  socket:send(("x"):rep(11))
  self.rig:closed(record)
  lu.assertEquals({ heard, record:last() }, { { "/x" }, "close:1009:message is larger than maxPayload:true" })
end

-- ---- plain HTTP ------------------------------------------------------------------------

-- A path without captures before one with; else the one added first.
function T:test_which_one_wins()
  self.router:get("/*", say "all"):get("/:a/:b", say "two"):get("/:a/x", say "x"):get("/lit/x", say "literal")
    :post("/:c/*", say "post")
  lu.assertEquals({ (select(2, self:ask("GET", "/lit/x"))) }, { "literal:" })
  lu.assertEquals({ (select(2, self:ask("GET", "/q/x"))) }, { "all:*=q/x /q/x" })
  lu.assertEquals({ (select(2, self:ask("POST", "/q/x"))) }, { "post:*=x,c=q /x" })
end

function T:test_methods_and_405()
  self.router:get("/a", say "get"):post("/a", say "post"):get("/b/:x", say "b"):delete("/b/*", say "gone")
    :route("HEAD", "/c", function(_, response) response:send(204) end):put("/c", say "c"):ws("/w", {})
  local function allow(method, path)
    local status, _, head = self:ask(method, path)
    return status, head:match "\r\nAllow: ([^\r]*)\r\n" or head:match "^Allow: ([^\r]*)\r\n"
  end
  lu.assertEquals({ (select(2, self:ask("POST", "/a", "x"))) }, { "post:" })
  lu.assertEquals({ allow("PUT", "/a") }, { 405, "GET, HEAD, POST" })
  lu.assertEquals({ allow("POST", "/b/1") }, { 405, "DELETE, GET, HEAD" })
  lu.assertEquals({ (select(2, self:ask("DELETE", "/b/1"))) }, { "gone:*=1 /1" })
  lu.assertEquals({ allow("GET", "/c") }, { 405, "HEAD, PUT" })
  lu.assertEquals({ allow("POST", "/w") }, { 405, "GET" })
  lu.assertEquals({ (self:ask("OPTIONS", "*")) }, { 400 })
end

function T:test_head_is_get_without_the_body()
  self.router:get("/a", say "get"):route("HEAD", "/b", function(_, response) response:send(204) end):get("/b", say "b")
  local status, body, head = self:ask("HEAD", "/a")
  lu.assertEquals({ status, body }, { 200, "" })
  lu.assertStrContains(head, "Content-Length: 4\r\n")
  lu.assertEquals({ (self:ask("HEAD", "/b")) }, { 204 })
end

function T:test_a_plain_request_where_websocket_is_spoken()
  self.router:ws("/w", {}):ws("/both", {}):get("/both", say "page")
  local status, _, head = self:ask("GET", "/w")
  lu.assertEquals(status, 426)
  lu.assertStrContains(head, "Upgrade: websocket")
  lu.assertEquals({ (select(2, self:ask("GET", "/both"))) }, { "page:" })
end

function T:test_not_found_can_be_said_otherwise()
  self.router = wsock.router { notFound = function(request, response)
    response:send(404, nil, "no " .. request.path .. " " .. next(request.params and { 1 }))
  end }
  self.router:get("/a", print)
  lu.assertEquals({ (select(2, self:ask("GET", "/b"))) }, { "no /b 1" })
  lu.assertEquals((self:ask("POST", "/a")), 405)
end

function T:test_a_handler_that_raises_and_one_that_answers_later()
  self.router:get("/bad", function() error "oh" end):get("/later", function(_, response)
    self.rig.loop:after(0.01, function() response:send(200, nil, "now") end)
  end)
  lu.assertEquals((self:ask("GET", "/bad")), 500)
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
  lu.assertEquals({ (select(2, self:ask("GET", "/later"))) }, { "now" })
end

function T:test_routes_may_be_added_later()
  self:serve()
  lu.assertEquals((self:ask("GET", "/a")), 404)
  self.router:get("/a", say "a")
  lu.assertEquals((self:ask("GET", "/a")), 200)
end

-- ---- WebSocket -------------------------------------------------------------------------

function T:test_sockets_go_to_their_route()
  local log = {}
  local function route(name)
    return {
      onconnection = function(socket, request) socket:send(name .. " " .. (request.params.id or "-")) end,
      onmessage = function(socket, data, kind) socket:send(name .. socket.request.params.id .. data, kind) end,
      onclose = function(socket, code, reason, clean)
        log[#log + 1] = ("%s %s %d %s %s"):format(name, socket.request.params.id, code, reason, clean)
      end,
    }
  end
  self.router:ws("/rooms/:id", route "room"):ws("/users/:id", route "user"):ws("/silent", {})
  local a, ra = self:dial "/rooms/1"
  local b, rb = self:dial "/users/%41b?q"
  local c, rc = self:dial "/silent"
  a:send "x"
  b:send("y", "binary")
  c:send "z"
  self.rig:events(ra, 3)
  self.rig:events(rb, 3)
  lu.assertEquals({ tostring(ra), tostring(rb), tostring(rc) },
    { "open text:room 1 text:room1x", "open text:user Ab binary:userAby", "open" })
  a:close(4000, "bye")
  b:terminate()
  c:close()
  self.rig:closed(ra)
  self.rig:wait(function() return #log == 2 and self.server.clientCount == 0 end)
  table.sort(log)
  lu.assertEquals(log, { "room 1 4000 bye true", "user Ab 1006  false" })
  lu.assertNil(next(self.router.routes))
end

function T:test_pings_errors_and_drains_too()
  local log = {}
  local function note(name) return function(_, value) log[#log + 1] = name .. tostring(value or "") end end
  self.router:ws("/", { onping = note "ping ", onpong = note "pong ", onerror = note "error ", ondrain = note "drain ",
    onconnection = function(socket)
      socket:ping "p"
      socket:send(("x"):rep(4 << 20))
    end })
  self:serve()
  local peer = self.rig:raw_client(self.port)
  lu.assertEquals(peer:take().payload, "p")
  lu.assertEquals(#peer:take().payload, 4 << 20)
  peer:frame { op = "pong", "q" }
  peer:frame { op = "ping", "r" }
  peer:frame { op = "text", "\xff" }
  peer:take_close()
  peer:shut()
  self.rig:wait(function() return #log == 4 end)
  lu.assertEquals({ log[1], log[2], log[3] }, { "drain ", "pong q", "ping r" })
  lu.assertStrContains(log[4], "error ")
end

function T:test_refused_paths()
  self.router:ws("/rooms/:id", {}):get("/page", say "page")
  for _, row in ipairs { { "/", 404 }, { "/rooms/", 404 }, { "/page", 404 }, { "/rooms/%zz", 400 } } do
    local socket, record = self:dial(row[1])
    self.rig:closed(record)
    lu.assertEquals({ socket.response.status }, { row[2] })
  end
end

function T:test_subprotocols_of_a_route()
  local function second(offered, request) return request.query ~= "no" and offered[2] end
  self.router:ws("/list", { protocols = { "v2", "v1" } }):ws("/none", {}):ws("/fn", { protocols = second })
    :ws("/lie", { protocols = function() return "other" end })
  local socket = self:dial("/list", { "v0", "v1", "v2" })
  lu.assertEquals(socket.protocol, "v1")
  socket = self:dial("/fn", { "a", "b" })
  lu.assertEquals(socket.protocol, "b")
  socket = self:dial "/list"
  lu.assertEquals(socket.protocol, "")
  for _, row in ipairs { { "/list", 101 }, { "/none", 101 }, { "/fn?no", 101 }, { "/lie", 500 } } do
    local record
    socket, record = self:dial(row[1], "x") -- who offers some and gets none fails the handshake itself
    self.rig:closed(record)
    lu.assertEquals({ row[1], socket.response.status }, { row[1], row[2] })
  end
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
end

function T:test_gates_of_a_route()
  local function verify(request)
    if request.params.key == "open" then return true end
    if request.params.key == "shut" then return false end
    if request.params.key == "told" then return false, 401, { ["WWW-Authenticate"] = "Bearer" }, "who?" end
    if request.params.key == "what" then return 401 end
    if request.params.key == "self" then return request:reject(410) and false end
    error "oh"
  end
  self.router:ws("/:key", { verify = verify, headers = { ["X-Room"] = "blue" }, binaryType = "blob" })
  for _, row in ipairs { { "shut", 403, "forbidden\n" }, { "told", 401, "who?" }, { "self", 410, "" },
    { "what", 500, "internal error\n" }, { "raise", 500, "internal error\n" } } do
    local socket, record = self:dial("/" .. row[1])
    self.rig:closed(record)
    lu.assertEquals({ row[1], socket.response.status, socket.response.body }, row)
  end
  lu.assertEquals(#self.rig.errors, 2)
  lu.assertStrContains(self.rig.errors[1][1], "verify must return true or false, got number")
  self.rig.errors = {}
  local socket = self:dial "/open"
  lu.assertEquals(socket.response.headers["x-room"], "blue")
  for far in pairs(self.server.clients) do lu.assertEquals(far.binaryType, "blob") end
end

function T:test_limits_of_a_route()
  local function echo(socket, data) socket:send(data) end
  self.router:ws("/small", { maxPayload = 5, onmessage = echo }):ws("/large", { maxPayload = 50, onmessage = echo })
    :ws("/", { onmessage = echo })
  self:serve { maxPayload = 10 }
  for path, most in pairs { ["/small"] = 5, ["/large"] = 50, ["/"] = 10 } do
    local socket, record = self:dial(path)
    socket:send(("x"):rep(most))
    self.rig:events(record, 2)
    socket:send(("x"):rep(most + 1))
    self.rig:closed(record)
    lu.assertEquals({ record[2], record[#record] },
      { "text:" .. ("x"):rep(most), "close:1009:message is larger than maxPayload:true" })
  end
end

-- The server's own gates come first, for every route.
function T:test_foreign_origins_are_refused_before_the_route_is_asked()
  local asked = false
  self.router:ws("/", { verify = function() asked = true return true end })
  self:serve()
  local socket = self.rig:client(self.url, nil, { origin = "http://evil.example" })
  self.rig:closed(rigs.record(socket))
  lu.assertEquals({ socket.response.status, asked }, { 403, false })
end

function T:test_a_full_server_says_so()
  self.router:ws("/", {})
  self:serve { maxConnections = 1 }
  self:dial "/"
  local socket, record = self:dial "/"
  self.rig:closed(record)
  lu.assertEquals(socket.response.status, 503)
end

-- A raising handler of a route costs that socket only (S66).
function T:test_a_handler_that_raises_closes_its_socket()
  self.router:ws("/", { onmessage = function(_, data) if data == "bad" then error "oh" end end })
  local a, ra = self:dial "/"
  local _, rb = self:dial "/"
  a:send "fine"
  a:send "bad"
  self.rig:closed(ra)
  lu.assertEquals({ ra:last(), rb:last() }, { "close:1011:internal error:true", "open" })
  lu.assertEquals(#self.rig.errors, 1)
  self.rig.errors = {}
end

-- One router behind two servers, and listeners of the server beside it.
function T:test_two_servers_and_other_listeners()
  local heard = {}
  self.router:ws("/", { onmessage = function(socket, data) socket:send(data) end })
  local one = self:serve()
  one:on("message", function(_, data) heard[#heard + 1] = data end)
  local _, url = self.rig:listen { router = self.router }
  local a, ra = self:dial "/"
  local b = self.rig:client(url)
  local rb = rigs.record(b)
  self.rig:events(rb, 1)
  a:send "a"
  b:send "b"
  self.rig:events(ra, 2)
  self.rig:events(rb, 2)
  lu.assertEquals({ ra:last(), rb:last(), heard }, { "text:a", "text:b", { "a" } })
end

-- ---- hostile paths -----------------------------------------------------------------------

-- Pieces without end, and names that are something in Lua.
function T:test_strange_paths_cost_nothing_special()
  local router = self.router
  for i = 1, 300 do router:get(("/%d/:a/:b/*"):format(i), print) end
  router:get("/:name", say "n")
  local long = ("/a"):rep(4000)
  local since = os.clock()
  for _ = 1, 20 do lu.assertEquals((self:ask("GET", long)), 404) end
  lu.assertEquals((self:ask("GET", ("/"):rep(8000))), 404)
  lu.assertEquals((self:ask("GET", "/1/" .. ("%41"):rep(2000))), 404)
  lu.assertTrue(os.clock() - since < 2 * clock.slow)
  for _, name in ipairs { "__index", "__name", "options", "ws", "%00", "n", "*", "." } do
    lu.assertEquals((self:ask("GET", "/" .. name)), 200)
  end
  bytes.equals(select(2, self:ask("GET", "/a%00b")), "n:name=a\0b")
end

return T
