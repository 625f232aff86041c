-- spec/interop/curl_spec.lua -- what our server answers to plain HTTP, asked
-- by curl.

local lu = require "luaunit"
local peer = require "interop.peer"

local T = {}

T.tearDown = peer.cleanup

local CURL = { "curl", "--silent", "--show-error", "--include", "--no-buffer", "--max-time", "10", "--noproxy", "*" }

local function curl(port, path, ...)
  local words = table.move(CURL, 1, #CURL, 1, {})
  table.move({ ... }, 1, select("#", ...), #words + 1, words)
  words[#words + 1] = ("http://127.0.0.1:%d%s"):format(port, path)
  return words
end

-- Head and body of the answer, without carriage returns, and curl's exit code.
local function get(port, path, ...)
  local output, code = peer.run(curl(port, path, ...))
  output = output:gsub("\r", "")
  return output, code
end

local function site(request, response)
  if request.path == "/" then
    response:send(200, { ["Content-Type"] = "text/plain" }, "hello\n")
  elseif request.path == "/echo" then
    response:send(200, {}, ("%s %s %s"):format(request.method, request.query or "-", request.body))
  elseif request.path == "/later" then
    require "wsock".after(0.02, function() response:send(202, {}, "later") end)
  else
    response:send(404, {}, "not here")
  end
end

local function status(output)
  return output:match "^HTTP/1%.1 (%d+)"
end

local function body(output)
  return output:match "\n\n(.*)$"
end

function T:test_a_page()
  local _, port = peer.echo { onrequest = site }
  local output, code = get(port, "/")
  lu.assertEquals(code, 0)
  lu.assertStrMatches(output, "HTTP/1%.1 200 OK\n.*")
  lu.assertStrContains(output, "\nContent-Type: text/plain\n")
  lu.assertStrContains(output, "\nContent-Length: 6\n")
  lu.assertEquals(body(output), "hello\n")
end

function T:test_a_page_that_is_not_there()
  local _, port = peer.echo { onrequest = site }
  local output = get(port, "/nowhere")
  lu.assertEquals({ status(output), body(output) }, { "404", "not here" })
end

function T:test_an_answer_that_comes_later()
  local _, port = peer.echo { onrequest = site }
  local output = get(port, "/later")
  lu.assertEquals({ status(output), body(output) }, { "202", "later" })
end

function T:test_head_has_no_body()
  local _, port = peer.echo { onrequest = site }
  local output, code = get(port, "/", "--head")
  lu.assertEquals({ status(output), code }, { "200", 0 })
  lu.assertEquals(body(output), "")
end

function T:test_bodies_with_a_length_and_in_chunks()
  local _, port = peer.echo { onrequest = site }
  local text = ("0123456789"):rep(5000)
  for _, header in ipairs { "X: y", "Transfer-Encoding: chunked" } do
    local output = get(port, "/echo?a=b", "--header", header, "--header", "Expect:", "--data-binary", text)
    lu.assertEquals(status(output), "200")
    lu.assertTrue(body(output) == "POST a=b " .. text, output:sub(1, 200))
  end
end

-- "Expect" is refused; curl then sends the body without having been asked to.
function T:test_a_body_with_expect_continue()
  local _, port = peer.echo { onrequest = site }
  local output, code = get(port, "/echo", "--header", "Expect: 100-continue", "--data-binary", "abc")
  lu.assertEquals({ status(output), code }, { "417", 0 })
end

function T:test_a_body_over_the_limit_is_413()
  local _, port = peer.echo { onrequest = site, maxBody = 1000 }
  local output = get(port, "/echo", "--header", "Expect:", "--data-binary", ("x"):rep(1000))
  lu.assertEquals(status(output), "200")
  output = get(port, "/echo", "--header", "Expect:", "--data-binary", ("x"):rep(1001))
  lu.assertEquals(status(output), "413")
end

function T:test_a_server_for_websockets_only_is_426()
  local _, port = peer.echo()
  local output, code = get(port, "/")
  lu.assertEquals({ status(output), code }, { "426", 0 })
  lu.assertStrContains(output:lower(), "\nupgrade: websocket\n")
end

function T:test_http_1_0_is_505()
  local _, port = peer.echo { onrequest = site }
  local output, code = get(port, "/", "--http1.0")
  lu.assertEquals({ status(output), code }, { "505", 0 })
end

function T:test_a_head_over_the_limit_is_431()
  local _, port = peer.echo { onrequest = site, maxHeaderSize = 2000 }
  lu.assertEquals(status(get(port, "/", "--header", "X: " .. ("x"):rep(1500))), "200")
  lu.assertEquals(status(get(port, "/", "--header", "X: " .. ("x"):rep(2000))), "431")
end

function T:test_bad_heads_are_400()
  local _, port = peer.echo { onrequest = site }
  lu.assertEquals(status(get(port, "/", "--header", "Host:")), "400")
  lu.assertEquals(status(get(port, "/", "--header", "Bad Name: x")), "400")
  lu.assertEquals(status(get(port, "/", "--header", "Content-Length: -1")), "400")
end

-- The head of a hand-made upgrade; the key is the article's.
local UPGRADE = {
  "--header", "Connection: keep-alive, Upgrade",
  "--header", "Upgrade: websocket",
  "--header", "Sec-WebSocket-Version: 13",
  "--header", "Sec-WebSocket-Key: Iv8io/9s+lYFgZWcXczP8Q==",
}

local function upgrade(replaced, by)
  local words = table.move(UPGRADE, 1, #UPGRADE, 1, {})
  for i, word in ipairs(words) do
    if word:find(replaced, 1, true) then words[i] = by end
  end
  return table.unpack(words)
end

function T:test_a_hand_made_upgrade_shows_the_101()
  local server, port, record = peer.echo()
  server.onconnection = function(socket)
    record:watch(socket)
    socket:send "first frame"
  end
  -- curl goes on reading after the 101, so its end is not waited for.
  local child = peer.start(curl(port, "/", table.unpack(UPGRADE)))
  child:expect("first frame", 10, peer.pump)
  local head, rest = child:output():match "^(.-)\r\n\r\n(.*)$"
  lu.assertStrMatches(head, "HTTP/1%.1 101 Switching Protocols\r\n.*")
  head = head:lower() .. "\r\n"
  lu.assertStrContains(head, "\r\nupgrade: websocket\r\n")
  lu.assertStrContains(head, "\r\nconnection: upgrade\r\n")
  lu.assertStrContains(head, ("\r\nSec-WebSocket-Accept: hsBlbuDTkk24srzEOTBUlZAlC2g=\r\n"):lower())
  lu.assertEquals(rest, "\x81\x0bfirst frame")
  child:stop()
  record:wait "^close 1006"
end

function T:test_upgrades_that_are_refused()
  local _, port, record = peer.echo()
  local output = get(port, "/", upgrade("Version", "Sec-WebSocket-Version: 12"))
  lu.assertEquals(status(output), "426")
  lu.assertStrContains(output:lower(), "\nsec-websocket-version: 13\n")
  lu.assertEquals(status(get(port, "/", upgrade("Key", "Sec-WebSocket-Key: short"))), "400")
  lu.assertEquals(status(get(port, "/", upgrade("Key", "X: y"))), "400")
  lu.assertEquals(status(get(port, "/", "--header", "Origin: http://elsewhere.example", upgrade("none"))), "403")
  lu.assertEquals(#record, 0)
end

return T
