-- adapter/shared: connections of URLs and options, and the gate.

local lu = require "luaunit"
local protocol = require "wsock".protocol
local shared = require "wsock.adapter.shared"

local T = {}

local function server(line, options)
  local conn = shared.server(options, 0, shared.server_types {})
  conn:feed("GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" .. (line or "")
    .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
  lu.assertEquals(conn:next(), "upgrade")
  return conn
end

-- What the gate says: status, subprotocol.
local function admitted(line, options)
  local conn = server(line, options)
  shared.admit(conn, options or {})
  return conn:output():match "HTTP/1.1 (%d+)", conn.protocol
end

function T:test_client()
  local handlers = { onopen = "function" }
  local conn, host, port = shared.client("ws://[::1]:81/x", { onopen = print, origin = "http://o" }, 7, handlers)
  lu.assertEquals({ host, port, conn.url }, { "::1", 81, "ws://[::1]:81/x" })
  lu.assertStrContains(conn:output(), "Origin: http://o")
  lu.assertEquals(conn:timeout(), 10)
  conn:tick(8)
  lu.assertEquals(conn:timeout(), 9)
  lu.assertEquals({ select(2, shared.client("http://a.example", nil, 0, handlers)) }, { "a.example", 80 })
end

function T:test_client_over_a_stream()
  local handlers = { stream = "any" }
  for _, url in ipairs { "wss://h", "ws+unix:/x:/", "ws://h" } do
    lu.assertEquals(select("#", shared.client(url, { stream = {} }, 0, handlers)), 1)
  end
end

function T:test_a_client_of_an_object_that_stands_for_a_url()
  local url = setmetatable({}, { __tostring = function() return "ws://h:81/" end })
  lu.assertEquals({ select(2, shared.client(url, nil, 0, {})) }, { "h", 81 })
end

function T:test_client_misuse()
  for url, why in pairs { ["wss://h"] = "wss: adapters have no TLS; give a stream", ["https://h"] = "no TLS",
    ["ws+unix:/x:/"] = "no unix sockets", ["x"] = "SyntaxError" } do
    lu.assertErrorMsgContains(why, shared.client, url, nil, 0, {})
  end
  lu.assertErrorMsgContains("unknown option 'onopen'", shared.client, "ws://h", { onopen = print }, 0, {})
end

function T:test_server_knows_its_own_options()
  local types = shared.server_types { mine = "count" }
  local options = { host = "", port = 1, maxConnections = 9, hosts = "h", origins = "*", protocols = {}, verify = print,
    onrequest = print, mine = 1, maxPayload = 100 }
  lu.assertNotNil(shared.server(options, 0, types))
  lu.assertErrorMsgContains("unknown option 'mine'", shared.server, options, 0, shared.server_types {})
  lu.assertErrorMsgContains("unknown option 'min'; did you mean 'mine'?", shared.server, { min = 1 }, 0, types)
  lu.assertNotNil(shared.server(nil, 0, types))
end

function T:test_listen_misuse()
  local types = shared.server_types { handler = "function" }
  for _, row in ipairs {
    { { port = "80" }, "option 'port' must be an integer from 0 to 65535, got 80" },
    { { host = 1 }, "option 'host' must be a string, got number" },
    { { maxConnections = "9" }, "option 'maxConnections' must be an integer >= 0, got string" },
    { { verify = true }, "option 'verify' must be a function, got boolean" },
    { { onrequest = {} }, "option 'onrequest' must be a function, got table" },
    { { protocols = "x" }, "option 'protocols' must be a list or a function, got string" },
    { { origins = 1 }, "option 'origins' must be \"*\", a list or a function" },
    { { origins = { "http://a/" } }, "'http://a/' is no origin" },
    { { origins = { ["http://a"] = true } }, "option 'origins' must be a list, got a string key" },
    { { hosts = 1 }, "option 'hosts' must be a host or a list, got number" },
    { { hosts = { "http://a" } }, "'http://a' is no host" },
    { { hosts = { a = true } }, "option 'hosts' must be a list, got a string key" },
    { { protocols = { a = true } }, "protocols must be a list of names, got the key 'a'" },
    { { protocols = { "a b" } }, "'a b' is no subprotocol name" },
    { { handler = 1 }, "option 'handler' must be a function, got number" },
    { {}, "option 'handler' must be a function, got nil" },
  } do
    row[1].port = row[1].port or 0
    lu.assertErrorMsgContains(row[2], shared.check_listen, row[1], types, true)
  end
  lu.assertErrorMsgContains("options must be a table, got nil", shared.check_listen, nil, types)
  shared.check_listen({ port = 0 }, types)
  local callable = setmetatable({ a = 1 }, { __call = print })
  shared.check_listen({ port = 0, origins = callable, protocols = callable }, types)
end

function T:test_hosts()
  for want, hosts in pairs { ["101"] = { "x", "H:80" }, ["421"] = { "x", "h:81" } } do
    lu.assertEquals(admitted("", { hosts = hosts }), want)
    lu.assertEquals(admitted("Origin: http://evil\r\n", { hosts = hosts }), want == "101" and "403" or want)
    local conn = shared.server({ hosts = hosts }, 0, shared.server_types {})
    conn:feed "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    lu.assertEquals(conn:next(), "request")
    shared.answer(conn, { hosts = hosts, onrequest = function() return 200 end })
    lu.assertEquals(conn:output():match "HTTP/1.1 (%d+)", want == "101" and "200" or want)
  end
  lu.assertEquals({ admitted("", { hosts = "h" }), (admitted("", { hosts = "x" })) }, { "101", "421" })
  lu.assertErrorMsgContains("option 'hosts' must hold strings", admitted, "", { hosts = { 1 } }) -- changed since
end

function T:test_origins()
  lu.assertEquals(admitted(), "101")
  lu.assertEquals(admitted "Origin: http://h:1\r\n", "101")
  lu.assertEquals(admitted "Origin: http://x\r\n", "403")
  lu.assertEquals(admitted("Origin: http://x\r\n", { origins = "*" }), "101")
  lu.assertEquals(admitted("Origin: http://x\r\n", { origins = { "http://y", "http://x" } }), "101")
  lu.assertEquals(admitted("Origin: http://h\r\n", { origins = { "http://y" } }), "403")
  lu.assertEquals(admitted("", { origins = { "http://y" } }), "101")
  lu.assertEquals(admitted("Origin: http://X\r\n", { origins = "http://x" }), "101")
  lu.assertEquals(admitted("Origin: http://x\r\nOrigin: http://y\r\n", { origins = { "http://x", "http://y" } }), "403")
end

function T:test_origins_by_a_function()
  local function admits(answer, line)
    return (admitted(line or "Origin: http://x\r\n", { origins = function(origin, request)
      return answer and origin == "http://x" and request.path == "/a"
    end }))
  end
  lu.assertEquals({ admits(true), admits(false), admits(true, "") }, { "101", "403", "403" })
  lu.assertErrorMsgEquals("origins must return true or false, got number", admitted, "Origin: http://x\r\n",
    { origins = function() return 1 end })
end

function T:test_subprotocols()
  local line = "Sec-WebSocket-Protocol: a,b , c\r\n"
  lu.assertEquals({ admitted(line) }, { "101", "" })
  lu.assertEquals({ admitted(line, { protocols = { "c", "b" } }) }, { "101", "b" })
  lu.assertEquals({ admitted(line, { protocols = { "d" } }) }, { "101", "" })
  lu.assertEquals({ admitted("", { protocols = { "d" } }) }, { "101", "" })
  lu.assertEquals({ admitted(line, { protocols = function(offered) return offered[3] end }) }, { "101", "c" })
end

function T:test_verify()
  lu.assertEquals(admitted("", { verify = function() return true end }), "101")
  lu.assertEquals(admitted("", { verify = function() return false end }), "403")
  local gate = { verify = function() return 401 end }
  lu.assertErrorMsgEquals("verify must return true or false, got number", admitted, "", gate)
  local conn = server()
  shared.admit(conn, { verify = function(request) return false, 401, { ["X-Path"] = request.path }, "why" end })
  lu.assertStrMatches(conn:output(), "HTTP/1.1 401.*X%-Path: /a.*why")
end

local function plain()
  local conn = protocol.server()
  conn:feed "GET /p HTTP/1.1\r\nHost: h\r\n\r\n"
  lu.assertEquals(conn:next(), "request")
  return conn
end

function T:test_plain_requests()
  local conn = plain()
  shared.answer(conn, {})
  lu.assertStrMatches(conn:output(), "HTTP/1.1 426.*Upgrade: websocket.*")
  conn = plain()
  shared.answer(conn, { onrequest = function(request) return 201, nil, request.path end })
  lu.assertStrMatches(conn:output(), "HTTP/1.1 201.*/p")
end

function T:test_what_was_written_still_leaves()
  local conn = protocol.client "ws://h"
  lu.assertTrue(shared.may_drop { conn = conn })
  lu.assertFalse(shared.may_drop { conn = conn, writing = true })
  lu.assertTrue(shared.may_drop { conn = conn, writing = true, cut = true })
  conn:closed()
  conn:next()
  lu.assertTrue(shared.may_drop { conn = conn, writing = true })
end

return T
