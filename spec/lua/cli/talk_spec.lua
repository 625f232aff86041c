-- wsock.cli.talk: `wsock URL` in pipes. At a terminal: prompt_spec.

local lu = require "luaunit"
local luasocket = require "socket"
local certs = require "support.certs"
local clock = require "support.clock"
local command = require "support.command"
local forward = require "support.forward"
local peer = require "interop.peer"
local process = require "support.process"
local wsock = require "wsock"

local T = peer.class()

-- An echo server; the URL, its record of the last socket.
local function echo(options)
  local _, port, record = peer.echo(options)
  return ("ws://127.0.0.1:%d/"):format(port), record
end

-- ---- lines ------------------------------------------------------------------------

function T:test_lines_in_and_out()
  local url, record = echo()
  lu.assertEquals({ command.run { url, "-n", "3", stdin = "one\n\ngrüße" } }, { "one\n\ngrüße\n", 0 })
  lu.assertEquals({ command.run { url, "-w", "0.2", stdin = "a\n/close\n//b\n" } }, { "a\n/close\n//b\n", 0 })
  record:wait "^close 1000 %- clean"
end

function T:test_without_a_scheme()
  local url = echo()
  lu.assertEquals({ command.run { url:sub(6), "-n1", stdin = "x\n" } }, { "x\n", 0 })
end

-- The server greets: the greeting counts, and yet the line is sent.
function T:test_the_count_waits_for_the_end_of_the_input()
  local heard
  local _, port = peer.listen {
    onconnection = function(socket) socket:send "hello" end,
    onmessage = function(_, data) heard = data end,
  }
  local child = command.start { "127.0.0.1:" .. port, "-n", "1", stdin = true }
  child:expect("hello", 10, peer.pump)
  child:write "line\n"
  command.wait(function() return heard == "line" end)
  lu.assertNil(child:code())
  child:finish()
  lu.assertEquals(child:wait(10, peer.pump), 0)
end

function T:test_too_few_messages()
  local url = echo()
  local output, code = command.run { url, "-n", "3", "-w", "0.1", stdin = "a\n" }
  lu.assertEquals({ output, code }, { "a\nwsock: 1 of 3 messages came\n", 3 })
end

function T:test_count_without_end_of_patience()
  local function later(socket) wsock.after(1.3, function() socket:send "late" end) end
  local _, port = peer.listen { onmessage = later }
  lu.assertEquals({ command.run { "127.0.0.1:" .. port, "-n1", "-x", "now" } }, { "late\n", 0 })
end

-- From the pong, once: the server speaks after more time than was asked for, and before twice as much is over.
function T:test_patience_ends_when_its_time_is_over()
  local late
  local _, port = peer.listen {
    onmessage = function(socket)
      late = wsock.after(3.6, function() socket:send "late" end)
    end,
  }
  lu.assertEquals({ command.run { "127.0.0.1:" .. port, "-w2", "-x", "now" } }, { "", 0 })
  late:cancel()
end

-- Each message renews the patience.
function T:test_patience_is_for_silence()
  local _, port = peer.listen {
    onmessage = function(socket)
      for i = 1, 6 do wsock.after(i * 0.3, function() socket:send(tostring(i)) end) end
    end,
  }
  lu.assertEquals({ command.run { "127.0.0.1:" .. port, "-w1.5", "-x", "now" } }, { "1\n2\n3\n4\n5\n6\n", 0 })
end

function T:test_waiting_for_the_server_to_close()
  local _, port = peer.listen {
    onmessage = function(socket, data)
      wsock.after(1.2, function()
        socket:send(data)
        socket:close(1000)
      end)
    end,
  }
  lu.assertEquals({ command.run { "127.0.0.1:" .. port, "-w", "-1", stdin = "a" } }, { "a\n", 0 })
end

function T:test_not_waiting_at_all()
  local url, record = echo()
  lu.assertEquals(select(2, command.run { url, "-w", "0", "-x", "a", "-x", "b" }), 0)
  record:wait "^close 1000"
  lu.assertEquals({ record[1], record[2] }, { "text a", "text b" })
end

-- 3 MB both ways: more than both sides may hold, so each must wait for the other.
function T:test_a_large_pipe_loses_nothing()
  local url = command.start({ "listen", "0" }):expect("(ws://%S+)", 10)
  local folder = self:directory()
  local output, code = command.pipe(([[
    seq 1 N >D/in; %s <D/in >D/out; echo "code $?"; cmp D/in D/out && echo same
    cat D/in | %s | cmp - D/in && echo same]]):gsub("[DN]", { D = folder, N = clock.times(400000, 40000) }), { url })
  lu.assertEquals({ output, code }, { "code 0\nsame\nsame\n", 0 })
end

-- A server that is slow, and silent while it works on what it has read.
function T:test_silence_begins_when_the_server_has_read_everything()
  local _, port = peer.listen {
    onmessage = function(socket, data)
      socket:pause()
      wsock.after(0.5, function()
        socket:send(data)
        socket:resume()
      end)
    end,
  }
  lu.assertEquals({ command.run { "127.0.0.1:" .. port, "-w0.2", stdin = "a\nb\nc\n" } }, { "a\nb\nc\n", 0 })
end

-- Whoever writes into the pipe is stopped by a server that does not read.
function T:test_back_pressure()
  local paused, bytes = true, 0
  local _, port, record = peer.echo {
    onmessage = function(socket, data)
      bytes = bytes + #data
      if paused then socket:pause() end
    end,
  }
  local child = peer.start { "sh", "-c", [[
    lua5.4 -e 'for i = 1, 1000 do print(("x"):rep(100000)) io.stderr:write(i, "\n") end' | ]]
    .. command.shell { "127.0.0.1:" .. port, "-w0" } }
  record:wait "^text"
  local before
  peer.wait(function() -- until nothing is written any more
    local now = child:output()
    local same = now == before and now:find "%d\n$"
    before = now
    peer.turn(0.3)
    return same
  end)
  local written = tonumber(child:output():match "(%d+)\n$")
  lu.assertTrue(written < 500, written)
  paused = false
  record.socket:resume()
  peer.wait(function() return bytes == 100000000 end, "the rest", 60)
end

-- ---- binary, hexadecimal ------------------------------------------------------------

function T:test_binary_is_a_pipe_of_bytes()
  local url, record = echo()
  local bytes = "\0\1\n\n\xff\r"
  lu.assertEquals({ command.run { url, "--binary", "-w.3", stdin = bytes } }, { bytes, 0 })
  lu.assertEquals(record:wait "^binary", "binary 00010a0aff0d")
end

function T:test_hexadecimal()
  local url, record = echo()
  lu.assertEquals({ command.run { url, "--hex", "-n2", stdin = "00 01fF\n\n" } }, { "0001ff\n\n", 0 })
  lu.assertEquals(record:wait "^binary", "binary 0001ff")
  local output, code = command.run { url, "--hex", stdin = "00\n0g\n" }
  lu.assertEquals(code, 2)
  lu.assertStrContains(output, "line 2 is not hexadecimal")
  lu.assertEquals({ command.run { url, "--hex", "-x", "0", "-x", "1", "-x", "00" } },
    { "wsock: message 1 is not hexadecimal\n", 2 }) -- and the rest is not sent
end

function T:test_text_must_be_utf8()
  local url, record = echo()
  local output, code = command.run { url, stdin = "a\nb\xff\nc\n" }
  lu.assertEquals(code, 2)
  lu.assertStrContains(output, "line 2 is not UTF-8; see --binary")
  record:wait "^close 1000"
  lu.assertNil(record:has "^text c")
end

-- ---- the request ----------------------------------------------------------------------

function T:test_headers_subprotocols_origin_auth()
  local seen
  local _, port = peer.listen {
    origins = "*", protocols = { "b", "a" },
    onconnection = function(socket, request)
      seen = request
      socket:send(socket.protocol)
    end,
  }
  local output, code = command.run { ("127.0.0.1:%d/x?y"):format(port), "-n1", "-H", "X-One: 1", "--header=X-Two:2",
    "-s", "a", "-s", "b", "-o", "https://example.com", "--auth", "me:sésame" }
  lu.assertEquals({ output, code }, { "a\n", 0 })
  local h = seen.headers
  lu.assertEquals({ seen.target, h["x-one"], h["x-two"], h.origin, h.authorization },
    { "/x?y", "1", "2", "https://example.com", "Basic bWU6c8Opc2FtZQ==" })
end

function T:test_credentials_by_digest()
  local seen = {}
  local _, port = peer.listen {
    onupgrade = function(request)
      seen[#seen + 1] = request.headers.authorization or "none"
      if seen[#seen]:find "^Digest" then return request:accept() end
      request:reject(401, { ["WWW-Authenticate"] = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"' })
    end,
    onconnection = function(socket) socket:send "in" end,
  }
  local url = "127.0.0.1:" .. port
  local output, code = command.run { url, "-vn1", "--auth", "me:sesame", "--digest" }
  lu.assertEquals(code, 0)
  lu.assertStrContains(output, "in\n")
  lu.assertNil(output:find("sesame", 1, true))
  lu.assertEquals({ command.run { url, "-n1", "--auth", "me:sesame" } }, { "in\n", 0 })
  lu.assertEquals(#seen, 4)
  lu.assertEquals({ seen[1], seen[3] }, { "none", "Basic bWU6c2VzYW1l" })
  for i = 2, 4, 2 do lu.assertStrMatches(seen[i], 'Digest username="me", realm="r", .*') end
end

function T:test_a_host_of_ones_own()
  local _, port = peer.listen { onconnection = function(socket, request) socket:send(request.headers.host) end }
  local output, code = command.run { "127.0.0.1:" .. port, "-n1", "-v", "-H", "host: a.example:81" }
  lu.assertEquals(code, 0)
  lu.assertStrContains(output, "\na.example:81\n")
  lu.assertStrContains(output, "> Host: a.example:81\n")
end

function T:test_ping()
  local url, record = echo { pingInterval = 0 }
  command.run { url, "--ping", "0.05", "-w", "0.3", "-x", "a" }
  lu.assertNotNil(record:has "^ping")
end

function T:test_redirects()
  local url = echo()
  local _, port = peer.listen {
    onupgrade = function(request) request:reject(302, { Location = url .. "there" }) end,
    onrefused = function() end,
  }
  local old = "127.0.0.1:" .. port
  local output, code = command.run { old, "-n1", "-x", "a", "-v" }
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, "< HTTP/1.1 302 Found\n")
  lu.assertEquals({ command.run { old, "-Ln1", "-x", "a" } }, { "a\n", 0 })
  output = command.run { old, "-n1", "-x", "a", "-v", "--location" }
  lu.assertStrContains(output, "* redirected to " .. url .. "there\n")
end

function T:test_a_proxy()
  local url = echo()
  local rig = { loop = { every = function(_, ...) return wsock.every(...) end } }
  function rig.keep(_, thing) return thing end
  local proxy = forward.new(rig, { user = "ann:sesame", names = { ["echo.example"] = url:sub(6, -2) } })
  local through = "ann:sesame@127.0.0.1:" .. proxy.port
  lu.assertEquals({ command.run { "echo.example", "-n1", "-x", "a", "--proxy", through } }, { "a\n", 0 })
  local env = { ws_proxy = "http://" .. through, LC_ALL = "C" }
  lu.assertEquals({ command.run { "echo.example", "-n1", "-x", "a", env = env } }, { "a\n", 0 })
  local output, code = command.run { "echo.example", "-n1", "-x", "a", "--proxy", "http://127.0.0.1:" .. proxy.port }
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, "407")
  output, code = command.run { "localhost:1", "-n1", "-x", "a", "--proxy", "none", env = env }
  lu.assertEquals(code, 1)
  lu.assertNotStrContains(output, "CONNECT")
  proxy:close()
end

function T:test_compression()
  local url = echo { perMessageDeflate = true }
  local text = ("hello "):rep(1000) .. "\n"
  local output = command.run { url, "-n1", "-v", stdin = text }
  lu.assertStrContains(output, ", compressed\n")
  lu.assertStrContains(output, text)
  output = command.run { url, "-n1", "-v", "--no-compress", stdin = text }
  lu.assertNotStrContains(output, "compressed\n")
  lu.assertStrContains(output, text)
end

function T:test_verbose()
  local url = echo { protocols = { "chat" }, headers = { ["X-Hello"] = "you" } }
  local origin = "http" .. url:match "ws(.*)/"
  local output, code = command.run { url .. "p?q", "-v", "-n1", "-x", "a", "-s", "chat", "-o", origin,
    "--auth", "ann:sesame" }
  lu.assertEquals(code, 0)
  local port = url:match ":(%d+)"
  for _, line in ipairs {
    "> GET /p?q HTTP/1.1", "> Host: 127.0.0.1:" .. port, "> Origin: http://127.0.0.1:" .. port,
    "> Sec-WebSocket-Protocol: chat",
    "> Authorization: Basic (of ann, with the password)", "< HTTP/1.1 101 Switching Protocols", "< X-Hello: you",
    "* open: 127.0.0.1 port " .. port .. ", subprotocol chat", "* close: 1000 NORMAL_CLOSURE",
  } do
    lu.assertStrContains(output, line .. "\n")
  end
  lu.assertNotStrContains(output, "sesame")
end

function T:test_verbose_tells_what_a_refusal_says()
  local _, port = peer.listen { verify = function() return false, 403, {}, "ask Ann\n" end }
  local output, code = command.run { "127.0.0.1:" .. port, "-v" }
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, "< HTTP/1.1 403 Forbidden\n")
  lu.assertStrContains(output, "\nask Ann\nwsock: handshake with ws://127.0.0.1:" .. port
    .. ": server did not answer 101: 403\n")
end

function T:test_verbose_pings()
  local url, record = echo { pingInterval = 0 }
  local child = command.start { url, "-v", "-w-1", "--ping", "0.05", "-x", "a" }
  child:expect("%* pong 00000001, after %d+%.%d+ s\n", 10, peer.pump)
  record.socket:ping "hello"
  child:expect("%* ping hello\n", 10, peer.pump)
  record.socket:close(1000)
  lu.assertEquals(child:wait(10, peer.pump), 0)
end

-- ---- coming back ------------------------------------------------------------------------

function T:test_reconnecting()
  local port = process.free_port()
  local child = command.start { "127.0.0.1:" .. port, "--reconnect", "-n3", stdin = true }
  child:expect("not connected: 1006 %S+; again in", 10, peer.pump)
  local server, _, record = peer.echo { port = port }
  child:write "one\n"
  child:expect("\none\n", 20, peer.pump)
  record.socket:terminate()
  child:expect("lost: 1006 %S+; again in", 10, peer.pump)
  child:expect("connected again\n", 20, peer.pump)
  child:write "two\nthree"
  child:finish()
  lu.assertEquals(child:wait(20, peer.pump), 0)
  lu.assertStrMatches(child:output(), ".*\ntwo\nthree\n")
  lu.assertNotNil(server)
end

function T:test_reconnecting_has_an_end()
  local url, record = echo()
  local child = command.start { url, "--reconnect", "-w-1", "-x", "a" }
  child:expect("a\n", 10, peer.pump)
  record.socket:close(1000)
  lu.assertEquals(child:wait(10, peer.pump), 0)
  child = command.start { "127.0.0.1:1", "--reconnect", stdin = true }
  child:expect("again in", 10, peer.pump)
  child:kill "INT"
  lu.assertEquals(child:wait(10, peer.pump), 1)
end

-- ---- TLS ------------------------------------------------------------------------------

function T:test_tls()
  local good = certs.get "good"
  local _, port = peer.echo { tls = { cert = good.cert, key = good.key } }
  local url = ("wss://127.0.0.1:%d/"):format(port)
  local output, code = command.run { url, "-n1", "-x", "a" }
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, "certificate is from an unknown authority")
  lu.assertEquals({ command.run { url, "-n1", "-x", "a", "--ca", good.ca } }, { "a\n", 0 })
  lu.assertEquals({ command.run { url, "-n1", "-x", "a", "-k" } }, { "a\n", 0 })
  output = command.run { url, "-w0", "-x", "a", "--insecure", "-v" }
  lu.assertStrMatches(output, ".*%* TLSv1%.3, TLS_[%w_]+: CN=good%.test, O=Specs, by CN=Spec Root, until 2120.*")
  lu.assertEquals(select(2, command.run { url, "--ca", "/no/such/file" }), 2)
  lu.assertEquals({ command.run { "ws" .. url:sub(4), "-x", "a" } }, -- it hangs up without a word
    { ("wsock: handshake with ws://127.0.0.1:%d: connection ended before the handshake was done; "
      .. "is it a server of wss: ?\n"):format(port), 1 })
end

function T:test_a_certificate_of_ours()
  local good, alice = certs.get "good", certs.get "client"
  local _, port = peer.listen {
    tls = { cert = good.cert, key = good.key, ca = good.ca, requestCert = true },
    onconnection = function(socket) socket:send(socket.tls.peerCertificate.subject) end,
    onrefused = function() end,
  }
  local url = ("wss://127.0.0.1:%d/"):format(port)
  local output, code = command.run { url, "-kn1", "--cert", alice.cert, "--key", alice.key, stdin = "" }
  lu.assertEquals({ output, code }, { "CN=Alice, O=Specs\n", 0 })
  lu.assertNotEquals(select(2, command.run { url, "-kn1", stdin = "" }), 0)
end

-- ---- how it ends --------------------------------------------------------------------------

function T:test_refused()
  local output, code = command.run { "ws://127.0.0.1:1/" }
  lu.assertEquals({ output, code }, { "wsock: connect 127.0.0.1:1: Connection refused\n", 1 })
  local _, port = peer.listen { verify = function() return false, 401 end }
  output, code = command.run { "-v", "127.0.0.1:" .. port }
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, "< HTTP/1.1 401 Unauthorized\n")
end

function T:test_a_server_that_says_nothing()
  local silent = assert(luasocket.bind("127.0.0.1", 0))
  local _, port = silent:getsockname()
  local output, code = command.run { "127.0.0.1:" .. port, "--connect-timeout", "0.2" }
  silent:close()
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, "handshakeTimeout has passed")
end

-- How the command ends when the server's socket does this.
local function ending(act, ...)
  local _, port = peer.listen { onmessage = act, onerror = function() end }
  return command.run { "127.0.0.1:" .. port, "-x", "a", "-w-1", ... }
end

function T:test_how_the_server_closes()
  lu.assertEquals({ ending(function(s) s:close(1000, "bye") end) }, { "", 0 })
  lu.assertEquals({ ending(function(s) s:close() end) }, { "", 0 })
  lu.assertEquals({ ending(function(s) s:close(1001) end) }, { "", 0 })
  lu.assertEquals({ ending(function(s) s:close(1011, "oh\27") end) },
    { "wsock: closed: 1011 INTERNAL_ERROR oh\\e\n", 3 })
  local output, code = ending(function(s) s:terminate() end)
  lu.assertEquals(code, 3)
  lu.assertStrContains(output, "wsock: closed: 1006 ABNORMAL_CLOSURE\n")
  lu.assertEquals(select(2, ending(function(s) s:close(1000) end, "-n1")), 3) -- and no message
end

function T:test_signals_close_properly()
  for _, signal in ipairs { "INT", "TERM", "HUP" } do
    local url, record = echo()
    local child = command.start { url, "-w-1", "-x", "a" }
    child:expect("a\n", 10, peer.pump)
    child:kill(signal)
    lu.assertEquals(child:wait(10, peer.pump), 0)
    record:wait "^close 1000 %- clean"
  end
end

function T:test_a_second_signal_does_not_wait()
  local _, port, record = peer.echo { onmessage = function(socket)
    socket:send "x"
    socket:pause() -- so the Close is never answered
  end }
  local child = command.start { "127.0.0.1:" .. port, "-w-1", "-x", "a" }
  child:expect("x\n", 10, peer.pump)
  child:kill "INT"
  peer.turn(0.3)
  lu.assertNil(child:code())
  child:kill "INT"
  lu.assertEquals(child:wait(2, peer.pump), 3)
  lu.assertNotNil(record)
end

function T:test_a_reader_that_leaves_ends_it_quietly()
  local _, port, record = peer.echo()
  local line = ("seq 1 %d 2>/dev/null"):format(clock.times(20000, 5000)) .. " | { %s; echo code $? >&2; } | head -n 2"
  local output = command.pipe(line, { "127.0.0.1:" .. port, "-w-1" })
  lu.assertEquals(output, "1\n2\ncode 0\n")
  record:wait "^close 1000"
end

function T:test_without_standard_input()
  local url = echo()
  lu.assertEquals({ command.pipe("%s <&-", { url, "-w0" }) }, { "", 0 })
end

return T
