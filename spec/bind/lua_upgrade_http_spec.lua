-- bind/lua_upgrade: plain HTTP. onrequest, response:send, content and its limit.

local lu = require "luaunit"
local clock = require "support.clock"
local rigs = require "support.rig"
local visitors = require "support.visitors"

local T = rigs.class()

local plain = visitors.plain

-- A server whose answer to plain requests is respond(request, response).
local function serve(rig, respond, options)
  options = options or {}
  options.onrequest = respond
  local server, _, port = rig:listen(options)
  return port, server
end

-- ---- without a handler ---------------------------------------------------------------

function T:test_a_websocket_server_says_so()
  local _, _, port = self.rig:listen {}
  local bystander = visitors.bystander(self.rig, port)
  for _, start in ipairs { "GET / HTTP/1.1", "POST /x HTTP/1.1", "OPTIONS * HTTP/1.1" } do
    local answer = visitors.ask(self.rig, port, plain(start))
    lu.assertEquals({ answer.status, answer.reason, answer.body },
      { 426, "Upgrade Required", "this is a WebSocket server\n" }, start)
    lu.assertEquals({ answer.headers.upgrade, answer.headers.connection, answer.headers["sec-websocket-version"] },
      { "websocket", "close, Upgrade", "13" })
  end
  bystander:check()
end

-- ---- answers ---------------------------------------------------------------------------

function T:test_status_headers_body()
  local reply
  local port = serve(self.rig, function(_, response) lu.assertTrue(response:send(table.unpack(reply, 1, 3))) end)
  for _, row in ipairs {
    { {}, 200, "OK", "" }, { { 200 }, 200, "OK", "" }, { { 404, nil, "no" }, 404, "Not Found", "no" },
    { { 200, nil, "\0\xff" }, 200, "OK", "\0\xff" }, { { 201, {}, 1.0 }, 201, "Created", "1" },
    { { 599, nil, ("x"):rep(100000) }, 599, nil, ("x"):rep(100000) }, { { nil, nil, "body" }, 200, "OK", "body" },
  } do
    reply = row[1]
    local answer = visitors.ask(self.rig, port, plain())
    lu.assertEquals({ answer.status, answer.body == row[4] }, { row[2], true })
    if row[3] then lu.assertEquals(answer.reason, row[3]) end
    lu.assertEquals({ answer.headers["content-length"], answer.headers.connection }, { tostring(#row[4]), "close" })
  end
  for _, status in ipairs { 204, 304 } do
    reply = { status, nil, "never sent" }
    local answer = visitors.ask(self.rig, port, plain())
    lu.assertEquals({ answer.status, answer.body, answer.headers["content-length"] }, { status, "", nil })
  end
end

function T:test_headers_as_map_and_as_list()
  local headers
  local port = serve(self.rig, function(_, response) response:send(200, headers) end)
  headers = { ["Content-Type"] = "text/html", Age = 7 }
  local answer = visitors.ask(self.rig, port, plain())
  lu.assertEquals({ answer.headers["content-type"], answer.headers.age }, { "text/html", "7" })
  headers = { { "Set-Cookie", "a=1" }, { "Set-Cookie", "b=2" }, { "X", "" } }
  answer = visitors.ask(self.rig, port, plain())
  lu.assertEquals({ answer.headers["set-cookie"], answer.headers.x }, { "a=1|b=2", "" })
end

function T:test_head_requests_get_no_body()
  local method
  local port = serve(self.rig, function(request, response)
    method = request.method
    response:send(200, nil, "12345")
  end)
  local answer = visitors.ask(self.rig, port, plain "HEAD / HTTP/1.1")
  lu.assertEquals({ method, answer.status, answer.body, answer.headers["content-length"] }, { "HEAD", 200, "", "5" })
end

-- S15: the article's server
function T:test_an_empty_answer()
  local port = serve(self.rig, function(_, response) response:send() end)
  local bystander = visitors.bystander(self.rig, port)
  local answer = visitors.ask(self.rig, port, plain())
  lu.assertEquals({ answer.status, answer.body }, { 200, "" })
  bystander:check()
end

-- H3
function T:test_http_1_0()
  local port = serve(self.rig, function() lu.fail "was called" end)
  local answer = visitors.ask(self.rig, port, plain "GET / HTTP/1.0")
  lu.assertEquals({ answer.status, answer.headers.connection }, { 505, "close" })
end

-- One answer for each connection: what is asked behind it is not looked at.
function T:test_a_second_request_behind_the_first()
  local count = 0
  local port = serve(self.rig, function(request, response)
    count = count + 1
    response:send(200, nil, request.path)
  end)
  local answer = visitors.ask(self.rig, port, plain "GET /1 HTTP/1.1" .. plain "GET /2 HTTP/1.1" .. visitors.upgrade())
  lu.assertEquals({ answer.body, count }, { "/1", 1 })
end

function T:test_a_large_answer_to_a_slow_reader()
  local body = ("0123456789"):rep(500000)
  local port = serve(self.rig, function(_, response) response:send(200, nil, body) end)
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.visit(self.rig, port, plain())
  self.rig:idle(20)
  bystander:check()
  local answer = visitors.answer(peer)
  lu.assertTrue(answer.body == body)
end

-- ---- when --------------------------------------------------------------------------------

function T:test_later_from_a_timer()
  clock.patiently(function(times)
    local port = serve(self.rig, function(request, response)
      self.rig.loop:after(0.15 * times, function()
        lu.assertTrue(response:send(200, nil, request.path))
        collectgarbage()
      end)
      collectgarbage()
    end, { handshakeTimeout = 0.1 * times })
    lu.assertEquals(visitors.ask(self.rig, port, plain "GET /late HTTP/1.1").body, "/late")
  end)
end

function T:test_answered_twice()
  local second
  local port = serve(self.rig, function(_, response)
    response:send(200, nil, "first")
    second = { response:send(200, nil, "second") }
  end)
  lu.assertEquals(visitors.ask(self.rig, port, plain()).body, "first")
  lu.assertEquals(second, { nil, "the request was answered already, or its connection is gone", "CLOSED" })
end

function T:test_answered_after_the_peer_has_gone()
  for _, how in ipairs { "close", "reset" } do
    local kept
    local port, server = serve(self.rig, function(_, response) kept = response end)
    local bystander = visitors.bystander(self.rig, port)
    local peer = visitors.visit(self.rig, port, plain())
    self.rig:wait(function() return kept end)
    peer[how](peer)
    self.rig:idle()
    kept:send(200, nil, ("x"):rep(1 << 20)) -- true or nil: the system may not know yet
    self.rig:idle(10)
    lu.assertEquals(kept:send(200), nil)
    bystander:check()
    lu.assertEquals(server.clientCount, 1)
  end
end

-- A peer that ends its direction behind the request still wants the answer.
function T:test_a_half_closed_peer()
  local kept
  local port = serve(self.rig, function(_, response) kept = response end)
  local peer = visitors.visit(self.rig, port, plain())
  peer:shut()
  self.rig:wait(function() return kept end)
  self.rig:idle()
  lu.assertTrue(kept:send(200, nil, "still here"))
  lu.assertEquals(visitors.answer(peer).body, "still here")
end

function T:test_no_answer_ever()
  local asked = 0
  local port, server = serve(self.rig, function() asked = asked + 1 end)
  local bystander = visitors.bystander(self.rig, port)
  local peer = visitors.visit(self.rig, port, plain())
  self.rig:wait(function() return asked == 1 end)
  self.rig:idle(20)
  collectgarbage()
  bystander:check()
  lu.assertEquals(peer:look(), "")
  server:close(1001, "", 0)
  peer:take_end()
end

-- ---- content -----------------------------------------------------------------------------

local function chunked(body, size)
  local list = {}
  for at = 1, #body, size do
    local piece = body:sub(at, at + size - 1)
    list[#list + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
  end
  return table.concat(list) .. "0\r\n\r\n"
end

local function post_length(body)
  return plain("POST / HTTP/1.1", { "Content-Length: " .. #body }, body)
end

local function post_chunked(body)
  return plain("POST / HTTP/1.1", { "Transfer-Encoding: chunked" }, chunked(body, 7))
end

function T:test_content()
  local got
  local port = serve(self.rig, function(request, response)
    got = request.body
    response:send(200, nil, request.method)
  end)
  for _, body in ipairs { "", "x", "\0\r\n\r\n\xff", ("0123456789"):rep(5000) } do
    for _, post in ipairs { post_length, post_chunked } do
      got = nil
      lu.assertEquals(visitors.ask(self.rig, port, post(body)).body, "POST")
      lu.assertEquals(got, body)
    end
  end
  visitors.ask(self.rig, port, plain())
  lu.assertEquals(got, "")
end

function T:test_content_in_pieces()
  local got
  local port = serve(self.rig, function(request, response)
    got = request.body
    response:send()
  end)
  for _, text in ipairs { post_length "hello, world", post_chunked "hello, world" } do
    local peer = visitors.visit(self.rig, port)
    for i = 1, #text do
      peer:send(text:sub(i, i))
      self.rig:turn(0)
    end
    lu.assertEquals(visitors.answer(peer).status, 200)
    lu.assertEquals(got, "hello, world")
  end
end

function T:test_max_body_at_its_edge()
  for _, max in ipairs { 0, 1, 100 } do
    local got
    local port = serve(self.rig, function(request, response)
      got = #request.body
      response:send()
    end, { maxBody = max })
    local bystander = visitors.bystander(self.rig, port)
    for n = math.max(0, max - 1), max + 1 do
      for _, post in ipairs { post_length, post_chunked } do
        got = nil
        local answer = visitors.ask(self.rig, port, post(("x"):rep(n)))
        lu.assertEquals({ answer.status, got }, n <= max and { 200, n } or { 413, nil })
      end
    end
    bystander:check()
  end
end

function T:test_default_max_body()
  local got
  local port = serve(self.rig, function(request, response)
    got = #request.body
    response:send()
  end)
  local max = 1 << 20
  lu.assertEquals(visitors.ask(self.rig, port, post_length(("x"):rep(max))).status, 200)
  lu.assertEquals(got, max)
  -- refused by its head alone
  lu.assertEquals(visitors.ask(self.rig, port, plain("POST / HTTP/1.1", { "Content-Length: " .. max + 1 })).status, 413)
  lu.assertEquals(visitors.ask(self.rig, port,
    plain("POST / HTTP/1.1", { "Content-Length: 9223372036854775807" })).status, 413)
end

function T:test_bad_content_is_refused()
  local port = serve(self.rig, function() lu.fail "was called" end)
  local bystander = visitors.bystander(self.rig, port)
  for _, row in ipairs {
    { 400, { "Content-Length: x" } }, { 400, { "Content-Length: -1" } }, { 400, { "Content-Length: 1, 2" } },
    { 400, { "Content-Length: 1", "Content-Length: 2" } }, { 400, { "Content-Length: 9223372036854775808" } },
    { 400, { "Content-Length: 1", "Transfer-Encoding: chunked" } }, { 501, { "Transfer-Encoding: gzip" } },
    { 400, { "Transfer-Encoding: chunked" }, "x\r\n" }, { 400, { "Transfer-Encoding: chunked" }, "1\r\nab\r\n" },
    { 400, { "Transfer-Encoding: chunked" }, "ffffffffffffffffff\r\n" },
    { 417, { "Expect: 100-continue", "Content-Length: 3" } },
  } do
    local answer = visitors.ask(self.rig, port, plain("POST / HTTP/1.1", row[2], row[3]))
    lu.assertEquals({ answer.status, row[2] }, { row[1], row[2] })
  end
  bystander:check()
end

-- The content of a request that is cut off is nobody's.
function T:test_content_that_does_not_come()
  local refused
  local port = serve(self.rig, function() lu.fail "was called" end,
    { onrefused = function(_, code) refused = code end })
  visitors.visit(self.rig, port, plain("POST / HTTP/1.1", { "Content-Length: 10" }, "12345")):close()
  self.rig:wait(function() return refused end)
  lu.assertEquals(refused, "CLOSED")
end

-- ---- the date (RFC 9110 6.6.1) -----------------------------------------------------------

-- The date of an answer to text; fails unless it is of now.
local function check_date(rig, port, text, status)
  local before = os.time()
  local answer = visitors.ask(rig, port, text)
  local after, found = os.time() + 1, false -- it may be behind by a tick of the system's
  lu.assertEquals(answer.status, status)
  for t = before, after do
    found = found or answer.headers.date == os.date("!%a, %d %b %Y %H:%M:%S GMT", t)
  end
  lu.assertTrue(found, answer.text)
end

function T:test_date()
  local status, headers = 200, nil
  local port, server = serve(self.rig, function(_, response) response:send(status, headers) end, { maxBody = 1 })
  for _, s in ipairs { 200, 204, 304, 403, 500 } do
    status = s
    check_date(self.rig, port, plain(), s)
  end
  status = 200
  check_date(self.rig, port, plain "HEAD / HTTP/1.1", 200)
  check_date(self.rig, port, "\22", 400)
  check_date(self.rig, port, post_length "ab", 413)
  check_date(self.rig, port, visitors.upgrade { ["Sec-WebSocket-Version"] = "8" }, 426)
  check_date(self.rig, port, visitors.upgrade { Origin = "http://elsewhere" }, 403)
  headers = { date = "Thu, 01 Jan 1970 00:00:00 GMT" } -- who says it says it alone
  lu.assertEquals(visitors.ask(self.rig, port, plain()).headers.date, headers.date)
  local peer, answer = visitors.knock(self.rig, port)
  lu.assertEquals({ answer.status, answer.headers.date }, { 101, nil })
  peer:close()
  server:close()
end

-- ---- plain and WebSocket side by side ---------------------------------------------------

-- S85, S94: routes
function T:test_routes()
  local _, _, port = self.rig:listen {
    verify = function(request)
      if request.path == "/ws" then return true end
      return false, 404, nil, "no"
    end,
    onrequest = function(request, response)
      if request.path == "/" then response:send(200, nil, "page") else response:send(404, nil, "no") end
    end,
  }
  lu.assertEquals(visitors.ask(self.rig, port, plain()).body, "page")
  lu.assertEquals(visitors.ask(self.rig, port, plain "GET /ws HTTP/1.1").status, 404)
  lu.assertEquals(visitors.ask(self.rig, port, plain "GET /other HTTP/1.1").status, 404)
  lu.assertEquals(visitors.ask(self.rig, port, visitors.upgrade()).status, 404)
  visitors.bystander(self.rig, port, visitors.upgrade(nil, "GET /ws HTTP/1.1")):check()
end

-- AU-01
function T:test_401_says_what_it_asks_for()
  local headers
  local port = serve(self.rig, function(_, response) response:send(401, headers) end)
  lu.assertEquals(visitors.ask(self.rig, port, plain()).headers["www-authenticate"], 'Basic realm="h", charset="UTF-8"')
  headers = { ["www-authenticate"] = "Bearer" }
  lu.assertEquals(visitors.ask(self.rig, port, plain()).headers["www-authenticate"], "Bearer")
end

-- What frames the answer is ours; the answer can still be given.
function T:test_headers_that_are_not_the_applications()
  local messages = {}
  local port = serve(self.rig, function(_, response)
    for _, name in ipairs { "content-length", "Transfer-Encoding", "Connection" } do
      messages[#messages + 1] = select(2, pcall(response.send, response, 200, { [name] = "1" }))
    end
    response:send(200, nil, "page")
  end)
  lu.assertEquals(visitors.ask(self.rig, port, plain()).body, "page")
  lu.assertEquals(messages, { "header 'content-length' is written by wsock itself",
    "header 'Transfer-Encoding' is written by wsock itself", "header 'Connection' is written by wsock itself" })
end

-- accept on what does not ask for WebSocket is misuse, and told as such.
function T:test_accepting_a_plain_request()
  local message
  local port = serve(self.rig, function(request, response)
    message = select(2, pcall(request.accept, request))
    lu.assertNil(request.nothing)
    response:send(400)
  end)
  lu.assertEquals(visitors.ask(self.rig, port, plain()).status, 400)
  lu.assertStrContains(message, "does not ask for WebSocket")
end

function T:test_rejecting_a_plain_request()
  local message
  local port = serve(self.rig, function(request, response)
    message = select(2, pcall(request.reject, request))
    response:send(410, nil, "gone")
  end)
  lu.assertEquals(visitors.ask(self.rig, port, plain()).body, "gone")
  lu.assertStrContains(message, "does not ask for WebSocket")
end

return T
