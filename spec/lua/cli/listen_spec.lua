-- wsock.cli.listen: `wsock listen PORT`.

local lu = require "luaunit"
local certs = require "support.certs"
local command = require "support.command"
local files = require "support.files"
local ipv6 = require "support.ipv6"
local peer = require "interop.peer"

local T = peer.class()

-- A listening command; the process and its URL.
local function start(words)
  table.insert(words, 1, "listen")
  local child = command.start(words)
  return child, child:expect("listening on (%S+)", 10, peer.pump)
end

function T:test_echo()
  local child, url = start { "0" }
  local socket, record = peer.connect(url)
  record:wait "^open"
  socket:send "abc"
  socket:send("\0", "binary")
  record:wait "^binary 00"
  lu.assertEquals(record[2], "text abc")
  child:kill "TERM"
  record:wait "^close 1001 %- clean"
  lu.assertEquals(child:wait(10, peer.pump), 0)
end

function T:test_broadcast_is_for_all_others()
  local _, url = start { "0", "--broadcast" }
  local records, sockets = {}, {}
  for i = 1, 3 do
    sockets[i], records[i] = peer.connect(url)
    records[i]:wait "^open"
  end
  sockets[1]:send "to all"
  records[2]:wait "^text to all"
  records[3]:wait "^text to all"
  sockets[2]:send "back"
  records[1]:wait "^text back"
  lu.assertNil(records[1]:has "to all")
end

function T:test_a_unix_socket()
  local folder = self:directory()
  local _, url = start { "--path", folder .. "/s" }
  lu.assertEquals(url, "ws+unix:" .. folder .. "/s:/")
  lu.assertEquals({ command.run { url, "-n1", "-x", "a" } }, { "a\n", 0 })
  lu.assertStrContains(command.run { url, "-v", "-w0" }, "* open: " .. folder .. "/s\n")
end

function T:test_host()
  ipv6.needed()
  local _, url = start { "0", "--host", "::1" }
  lu.assertStrMatches(url, "ws://%[::1%]:%d+/")
  lu.assertEquals({ command.run { url, "-n1", "-x", "a" } }, { "a\n", 0 })
end

function T:test_headers_subprotocols_origins()
  local _, url = start { "0", "-H", "X-Hello: you", "-s", "b", "-s", "a", "-o", "https://one.example" }
  local socket, record = peer.connect(url, { "a", "b" }, { origin = "https://one.example" })
  record:wait "^open"
  lu.assertEquals({ socket.protocol, socket.response.headers["x-hello"] }, { "a", "you" })
  local _, refused = peer.connect(url, nil, { origin = "https://two.example" })
  refused:wait "^close"
  lu.assertNil(refused:has "^open")
  _, url = start { "0", "-o", "https://one.example", "-o", "*" }
  _, record = peer.connect(url, nil, { origin = "https://two.example" })
  record:wait "^open"
end

function T:test_ping()
  local _, url = start { "0", "--ping", "0.05" }
  local _, record = peer.connect(url)
  record:wait "^ping"
end

function T:test_files()
  local folder = self:directory()
  files.write(folder .. "/index.html", "hello")
  local _, url = start { "0", "--static", folder }
  lu.assertEquals({ peer.run { "curl", "-s", "--noproxy", "*", (url:gsub("^ws", "http")) } }, { "hello", 0 })
  lu.assertEquals({ command.run { url, "-n1", "-x", "a" } }, { "a\n", 0 })
  _, url = start { "0", "--static", folder, "-H", "X-A: b" }
  lu.assertStrContains((peer.run { "curl", "-si", "--noproxy", "*", (url:gsub("^ws", "http")) }), "\r\nX-A: b\r\n")
  local output, code = command.run { "listen", "0", "--static", folder .. "/none" }
  lu.assertEquals(code, 2)
  lu.assertStrContains(output, "--static: ")
  lu.assertStrContains(output, "/none")
end

function T:test_tls()
  local good = certs.get "good"
  local child, url = start { "0", "--tls", good.cert, good.key }
  lu.assertStrMatches(url, "wss://127%.0%.0%.1:%d+/")
  lu.assertEquals({ command.run { url, "-n1", "-x", "a", "--ca", good.ca } }, { "a\n", 0 })
  lu.assertNil(child:code())
  local output, code = command.run { "listen", "0", "--tls", good.key, "/none" }
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, good.key)
end

function T:test_compression()
  for flag, extension in pairs { ["--compress"] = "permessage-deflate", ["--echo"] = "" } do
    local _, url = start { "0", flag }
    local socket, record = peer.connect(url)
    record:wait "^open"
    lu.assertEquals(socket.extensions:match "^[%a-]*", extension)
    socket:terminate()
  end
end

function T:test_verbose()
  local child, url = start { "0", "-v" }
  local socket, record = peer.connect(url .. "x\27?y")
  record:wait "^open"
  socket:send "abc"
  record:wait "^text"
  socket:close(4000, "bye")
  child:expect("%- 127%.0%.0%.1:%d+ 4000 bye\n", 10, peer.pump)
  lu.assertStrMatches(child:output(),
    ".*\n%+ 127%.0%.0%.1:%d+ /x%%1B%?y\n  127%.0%.0%.1:%d+ text, 3 bytes\n%- 127.*")
end

function T:test_faults()
  local child, url = start { "0" }
  local output, code = command.run { "listen", url:match ":(%d+)" }
  lu.assertEquals(code, 1)
  lu.assertStrMatches(output, "wsock: listen 127.0.0.1:%d+: Address already in use\n")
  for fault, words in pairs {
    ["a port is missing"] = {}, ["a port is a number up to 65535, not '65536'"] = { "65536" },
    ["not 'http'"] = { "http" }, ["one port is enough: what is '2'?"] = { "1", "2" },
    ["a port and --path exclude"] = { "1", "--path", "x" },
    ["--echo and --broadcast exclude"] = { "1", "--echo", "--broadcast" },
    ["--broadcast and --exec exclude"] = { "1", "--exec", "x", "--broadcast" },
    ["--tls and --path exclude"] = { "--path", "x", "--tls", "c", "k" },
    ["--watch needs --exec"] = { "1", "--watch" },
    ["unknown flag --brodcast; did you mean --broadcast?"] = { "1", "--brodcast" },
    ["wsock listen --help says more"] = { "x" }, ["unknown flag --port; the port stands alone"] = { "--port=1" },
    ["the address has a flag of its own: --host 127.0.0.1 PORT"] = { "127.0.0.1:1" },
    ["a flag of its own: --host localhost PORT"] = { "localhost", "1" },
    ["wsock: option 'host' must be an IP address"] = { "0", "--host", "no.address" },
  } do
    output, code = command.run { "listen", table.unpack(words) }
    lu.assertEquals(code, 2, fault)
    lu.assertStrContains(output, fault)
  end
  lu.assertNil(child:code())
end

return T
