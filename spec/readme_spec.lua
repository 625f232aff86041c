-- spec/readme_spec.lua -- README.md: every block of Lua in it, run as a reader
-- runs it.
--
-- A block is a whole program in a process of its own.  Two things are changed:
-- 8080 becomes a free port, and standard output is written line by line.  What
-- the block prints is what stands in it behind "-->", in that order; … stands
-- for anything, white space is one space.
--
-- A block opened by ```lua and nothing more must end by itself, with code 0.
-- Words behind lua name an entry of `others`, which is the other side: it gets
-- the port and start(), which starts the block and returns its process.  A
-- block that is still running afterwards is stopped.

local lu = require "luaunit"
local certs = require "support.certs"
local clock = require "support.clock"
local command = require "support.command"
local files = require "support.files"
local forward = require "support.forward"
local peer = require "interop.peer"
local process = require "support.process"
local wsock = require "wsock"

local T = peer.class()

local function lines_of(path)
  local list = {}
  for line in assert(io.open(files.root .. "/" .. path)):lines() do list[#list + 1] = line end
  return list
end

local readme = lines_of "README.md"

-- ---- blocks -----------------------------------------------------------------

-- {line =, language =, name =, [1...] = lines} of every fenced block.
local function read_blocks()
  local list, block = {}, nil
  for n, line in ipairs(readme) do
    if not line:find "^```" then
      if block then block[#block + 1] = line end
    elseif block then
      list[#list + 1], block = block, nil
    else
      local language, name = line:match "^```(%S*)%s*(.*)$"
      block = { line = n, language = language, name = name }
    end
  end
  assert(not block, "README.md: a block is not closed")
  return list
end

-- What stands behind "-->", one string each.
local function expected_of(block)
  local list = {}
  for _, line in ipairs(block) do
    local rest = line:match "%-%->(.*)"
    while rest do
      local this, more = rest:match "^(.-)%-%->(.*)$"
      list[#list + 1] = ((this or rest):gsub("^%s+", ""):gsub("%s+$", ""))
      rest = more
    end
  end
  return list
end

local function check_output(block, output, port)
  local expected, printed = expected_of(block), {}
  for line in output:gmatch "[^\n]+" do printed[#printed + 1] = (line:gsub("%s+", " ")) end
  lu.assertEquals(#printed, #expected, output)
  for i, text in ipairs(expected) do
    local pattern = text:gsub("8080", port):gsub("[%p]", "%%%0"):gsub("…", ".*")
    lu.assertStrMatches(printed[i], "^" .. pattern .. "%s*$")
  end
end

-- ---- the other sides ----------------------------------------------------------

local function listening(port)
  clock.wait(function() return peer.listens(port) end, 10)
end

local function url(port, target)
  return ("ws://127.0.0.1:%d%s"):format(port, target or "/")
end

-- Status and body of an HTTP answer.
local function get(port, target, ...)
  local output = peer.run { "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10",
    "--write-out", "\n%{http_code}", ("http://127.0.0.1:%d%s"):format(port, target), ... }
  local body, status = output:match "^(.*)\n(%d+)$"
  return status, body
end

local others = {}

others["first server"] = function(port, start)
  start()
  listening(port)
  local socket, record = peer.connect(url(port))
  record:wait "^open"
  socket:send "abc"
  socket:send("\xff", "binary")
  record:wait "^binary"
  lu.assertEquals(record, { "open", "text abc", "binary ff" })
end

others["first client"] = function(port, start)
  peer.echo { port = port }
  lu.assertEquals(start():wait(10, peer.pump), 0)
end

others["tcp"] = others["first client"]

others["proxies"] = function(port, start)
  local _, echo = peer.echo { port = 0 }
  local rig = { loop = { every = function(_, ...) return wsock.every(...) end } }
  function rig.keep(_, thing) return thing end
  local proxy = forward.new(rig,
    { port = port, user = "ann:sesame", names = { ["echo.example"] = "127.0.0.1:" .. echo } })
  local code = start():wait(10, peer.pump)
  proxy:close()
  lu.assertEquals({ code, #proxy.heads }, { 0, 1 })
end

others["browser"] = function(port, start)
  peer.echo { port = port, protocols = { "v1.chat" } }
  lu.assertEquals(start():wait(10, peer.pump), 0)
end

others["straight"] = others["first client"]

others["server"] = function(port, start)
  local child = start()
  listening(port)
  local socket, record = peer.connect(url(port, "/lobby?blue"))
  record:wait "^text welcome to /lobby$"
  socket:send("\0", "binary")
  record:wait "^binary 00$"
  socket:close(1000, "bye")
  record:wait "^close 1000"
  child:expect("blue", 10, peer.pump)
  child:kill "TERM"
  lu.assertEquals(child:wait(10, peer.pump), 0)
end

others["http"] = function(port, start)
  local child = start()
  listening(port)
  lu.assertEquals({ get(port, "/") }, { "200", "/" })
  lu.assertEquals({ get(port, "/nothing") }, { "404", "/nothing" })
  lu.assertEquals({ get(port, "/", "--data", "hello", "--header", "Content-Type: text/plain") }, { "204", "" })
  child:expect("hello", 10, peer.pump)
  local socket, record = peer.connect(url(port))
  record:wait "^open"
  socket:send "x"
  record:wait "^close 1005"
end

others["gates"] = function(port, start)
  start()
  listening(port)
  local function status(options)
    local socket, record = peer.connect(url(port), "v1.chat", options)
    record:wait "^close"
    return socket.response.status, socket.response.headers["www-authenticate"]
  end
  local token = { Authorization = "Bearer sesame" }
  lu.assertEquals({ status { headers = token, origin = "https://example.org" } }, { 403 })
  lu.assertEquals({ status { origin = "https://example.com" } }, { 401, "Bearer" })
  local socket, record = peer.connect(url(port), { "v1.chat", "v2.chat" },
    { headers = token, origin = "https://example.com" })
  record:wait "^open"
  lu.assertEquals(socket.protocol, "v1.chat")
end

others["digest"] = function(port, start)
  start()
  listening(port)
  for password, status in pairs { sesame = 101, Sesame = 401 } do
    local socket, record = peer.connect(url(port), nil, { auth = { "ann", password, scheme = "digest" } })
    record:wait(status == 101 and "^open" or "^close")
    lu.assertEquals(socket.response.status, status)
  end
end

others["routes"] = function(port, start)
  start()
  listening(port)
  lu.assertEquals({ get(port, "/") }, { "200", "hello\n" })
  lu.assertEquals({ get(port, "/rooms/a%20b") }, { "200", "room a b" })
  lu.assertEquals((get(port, "/rooms/")), "404")
  lu.assertEquals((get(port, "/", "--data", "x")), "405")
  local socket, record = peer.connect(url(port, "/rooms/7"), "v1.chat")
  record:wait "^text welcome to 7$"
  lu.assertEquals(socket.protocol, "v1.chat")
end

others["files"] = function(port, start)
  start()
  listening(port)
  local status, page = get(port, "/chat/")
  lu.assertEquals(status, "200")
  lu.assertStrContains(page, "<html")
  lu.assertEquals((get(port, "/chat/..%2fhello/server.lua")), "404")
  lu.assertEquals((get(port, "/chat/")), "200")
end

others["rooms"] = function(port, start)
  local child = start()
  listening(port)
  local blue, red = url(port, "/rooms/blue"), url(port, "/rooms/red")
  local a, ra = peer.connect(blue)
  local b, rb = peer.connect(blue)
  local _, rc = peer.connect(red)
  for _, record in ipairs { ra, rb, rc } do record:wait "^open" end
  a:send "hello"
  rb:wait "^text hello"
  lu.assertNil(ra:has "hello" or rc:has "hello")
  a:close()
  child:expect("blue%s+1", 10, peer.pump)
  b:terminate()
  child:expect("blue%s+0", 10, peer.pump)
end

others["ticker"] = function(port, start)
  local n = 0
  peer.listen { port = port, onmessage = function(socket, data)
    n = n + 1
    lu.assertEquals(data, "subscribe")
    if n > 1 then return socket:close(1000) end
    socket:send "tick"
    wsock.after(0.1, function() socket:terminate() end)
  end }
  lu.assertEquals(start():wait(20, peer.pump), 0)
end

others["onupgrade"] = function(port, start)
  start()
  listening(port)
  local socket, record = peer.connect(url(port, "/room"))
  local refused, why = peer.connect(url(port, "/elsewhere"))
  record:wait "^text welcome"
  lu.assertEquals(socket.response.headers["x-room"], "blue")
  why:wait "^close"
  lu.assertEquals(refused.response.status, 404)
end

others["frugal"] = function(port, start)
  start()
  listening(port)
  for agent, extensions in pairs {
    curl = "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ["Mozilla/5.0 Version/15.2 Safari/605.1.15"] = "",
  } do
    local socket, record = peer.connect(url(port), nil, { headers = { ["User-Agent"] = agent } })
    record:wait "^open"
    lu.assertEquals(socket.extensions, extensions)
  end
end

others["broadcast"] = function(port, start)
  local child = start()
  listening(port)
  local sockets, records = {}, {}
  for i = 1, 3 do
    sockets[i], records[i] = peer.connect(url(port))
    records[i]:wait "^open"
  end
  sockets[1]:send "to all"
  records[2]:wait "^text to all"
  records[3]:wait "^text to all"
  child:expect("2%s+0", 10, peer.pump)
  lu.assertNil(records[1]:has "to all")
end

others["drain"] = function(port, start)
  local bytes = 0
  peer.echo { port = port, onmessage = function(_, data) bytes = bytes + #data end }
  lu.assertEquals(start():wait(60, peer.pump), 0)
  lu.assertEquals(bytes, 400 * 100000)
end

-- A file for the command, in a block of its own.
others["exec"] = function(port, _, path)
  local child = command.start { "listen", "--exec", path, tostring(port) }
  child:expect("listening on", 10, peer.pump)
  local socket, record = peer.connect(url(port))
  record:wait "^open"
  socket:send "abc"
  record:wait "^text 1: abc"
end

local function ends(_, start)
  lu.assertEquals(start():wait(20, peer.pump), 0)
end

-- The certificates a block of TLS finds where it runs.
local function certificates(path)
  local folder = path:match "^(.*)/"
  local good, client = certs.get "good", certs.get "client"
  for name, from in pairs { ["cert.pem"] = good.cert, ["key.pem"] = good.key, ["ca.pem"] = good.ca,
    ["client.pem"] = client.cert, ["client.key"] = client.key } do
    files.write(folder .. "/" .. name, certs.read(from))
  end
  return folder
end

others["tls"] = function(_, start, path)
  lu.assertEquals(start(certificates(path)):wait(20, peer.pump), 0)
end
others["mutual"] = others["tls"]

-- ---- the tests ------------------------------------------------------------------

-- Line numbers in the program are README's.
local function write_program(path, block, port)
  local text = table.concat(block, "\n"):gsub("8080", port)
  files.write(path, 'io.stdout:setvbuf "line"' .. ("\n"):rep(block.line) .. text .. "\n")
end

local function run(self, block)
  local folder = self:directory()
  local port = process.free_port()
  local path = folder .. "/README.lua"
  write_program(path, block, port)
  local child
  local function start(cwd)
    child = peer.start_lua { path, cwd = cwd }
    return child
  end
  local other = block.name == "" and ends or others[block.name]
  lu.assertNotNil(other, ("README.md:%d: no other side '%s'"):format(block.line, block.name))
  local ok, message = pcall(other, port, start, path)
  if child then child:stop() end
  local output = child and child:output() or ""
  if not ok then error(("%s\nthe block printed:\n%s"):format(message, output), 0) end
  check_output(block, output, port)
end

local used, count = {}, 0
for _, block in ipairs(read_blocks()) do
  if block.language == "lua" then
    count = count + 1
    used[block.name] = true
    T[("test_line_%03d_%s"):format(block.line, (block.name:gsub(" ", "_")))] = function(self) run(self, block) end
  end
end

function T:test_the_guide_has_its_blocks()
  lu.assertTrue(count >= 14, count)
  for name in pairs(others) do lu.assertTrue(used[name], name) end
end

function T:test_it_is_not_too_long()
  lu.assertTrue(#readme <= 1400, #readme)
end

-- As GitHub makes them.
local function anchor(heading)
  return (heading:lower():gsub("[^%w%- ]", ""):gsub(" ", "-"))
end

function T:test_links_lead_somewhere()
  local anchors, links = {}, 0
  for _, line in ipairs(readme) do
    local heading = line:match "^#+ (.*)"
    if heading then anchors[anchor(heading)] = true end
  end
  local code = false
  for n, line in ipairs(readme) do
    if line:find "^```" then code = not code end
    for target in (code and "" or line):gmatch "%]%(([^)]+)%)" do
      links = links + 1
      local where = ("README.md:%d: %s"):format(n, target)
      if target:find "^#" then
        lu.assertTrue(anchors[target:sub(2)], where)
      elseif not target:find "^%a+:" then
        lu.assertNotNil(io.open(files.root .. "/" .. target), where)
      end
    end
  end
  lu.assertTrue(links >= 4, links)
end

return T
