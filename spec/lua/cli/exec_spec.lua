-- wsock.cli.exec: a server in a file, run again when it changes.

local lu = require "luaunit"
local command = require "support.command"
local exec = require "wsock.cli.exec"
local files = require "support.files"
local peer = require "interop.peer"

local T = peer.class()

function T:setUp()
  self:directory()
  self.path = self.folder .. "/file.lua"
end

-- As editors do: a new file in the old one's place.
function T:write(text)
  files.write(self.path .. ".new", text)
  assert(os.rename(self.path .. ".new", self.path))
end

function T:start(...)
  self.child = command.start { "listen", "--exec", self.path, ... }
  return self.child:expect("listening on (%S+)", 10, peer.pump)
end

function T:expect(pattern) return self.child:expect(pattern, 10, peer.pump) end

-- Sends, and waits for what comes.
local function ask(socket, record, text, answer)
  local n = #record
  socket:send(text)
  command.wait(function() return #record > n end)
  lu.assertEquals(record[#record], answer)
end

local function connect(url, ...)
  local socket, record = peer.connect(url, ...)
  record:wait "^open"
  return socket, record
end

function T:test_it_is_the_options()
  self:write [[
    local server = ...
    return {
      port = 0, headers = { ["X-From"] = "file" }, protocols = { "a" },
      onmessage = function(socket, data) socket:send(data:upper() .. server().clientCount) end,
    }]]
  local socket, record = connect(self:start(), { "a" })
  lu.assertEquals({ socket.protocol, socket.response.headers["x-from"] }, { "a", "file" })
  ask(socket, record, "abc", "text ABC1")
end

function T:test_flags_are_put_over_it()
  self:write [[return { port = 1, protocols = { "a" }, headers = { ["X-From"] = "file" } }]]
  local socket = connect(self:start("0", "-s", "b", "-H", "X-From: flag"), { "a", "b" })
  lu.assertEquals({ socket.protocol, socket.response.headers["x-from"] }, { "b", "flag" })
end

function T:test_faults()
  local function fault(text)
    if text then self:write(text) end
    local output, code = command.run { "listen", "0", "--exec", self.path }
    lu.assertEquals(code, 2)
    return output
  end
  lu.assertStrContains(fault(), "file.lua: No such file")
  lu.assertStrContains(fault "return {", "file.lua:1: ")
  lu.assertStrContains(fault "\n error 'oh'", "file.lua:2: oh\nstack traceback:")
  lu.assertStrMatches(fault "error {}", "wsock: .-file.lua raised table: .*\nstack traceback:.*")
  lu.assertStrContains(fault "return 5", "file.lua must return a table, not a number")
  lu.assertStrContains(fault "return { onmesage = print }", "unknown option 'onmesage'; did you mean 'onmessage'?")
end

function T:test_a_change_keeps_connections()
  self:write "return { onmessage = function(s, data) s:send(data .. 1) end, onclose = function() print 'left' end }"
  local url = self:start("0", "--watch")
  local socket, record = connect(url)
  ask(socket, record, "a", "text a1")
  self:write "return { onmessage = function(s, data) s:send(data .. 2) end, onping = function() print 'ping' end }"
  self:expect "reloaded"
  ask(socket, record, "a", "text a2")
  socket:ping()
  self:expect "ping\n"
  socket:close(1000)
  record:wait "^close 1000"
  socket, record = connect(url)
  ask(socket, record, "b", "text b2")
  lu.assertNil(self.child:output():find "left") -- that handler is gone
end

function T:test_a_bad_change_changes_nothing()
  self:write "return { onmessage = function(s, data) s:send(data .. 1) end }"
  local socket, record = connect(self:start("0", "--watch"))
  for text, complaint in pairs {
    ["return {"] = "file.lua:1: ", ["error 'oh'"] = "file.lua:1: oh", ["return nil"] = "must return a table, not a nil",
    ["return { onmessage = print, onping = print, onmesage = print }"] = "onmesage",
    ["return { onmessage = print, onpong = 5 }"] = "onpong must be a function",
  } do
    self:write(text)
    self:expect(complaint:gsub("%p", "%%%0") .. ".-\nwsock: what was there before goes on\n")
    ask(socket, record, "a", "text a1")
  end
  self:write "return { onmessage = function(s, data) s:send(data .. 2) end }"
  self:expect "reloaded"
  ask(socket, record, "a", "text a2")
end

function T:test_a_router()
  local text = [[
    local router = require "wsock".router()
    router:ws("/a", { onmessage = function(s, data) s:send(data .. "a%d") end })
    router:get("/b", function(_, response) response:send(200, nil, "b%d") end)
    return { router = router }]]
  self:write(text:gsub("%%d", "1"))
  local url = self:start("0", "--watch", "-v")
  local socket, record = connect(url .. "a")
  ask(socket, record, "x", "text xa1")
  self:write(text:gsub("%%d", "2"))
  self:expect "reloaded"
  ask(socket, record, "x", "text xa1") -- it stays with the routes it came by
  local newer, its = connect(url .. "a")
  ask(newer, its, "x", "text xa2")
  local get = { "curl", "-s", "--noproxy", "*", (url:gsub("^ws", "http")) .. "b" }
  lu.assertEquals(peer.run(get), "b2")
  self:write "return { router = require 'wsock'.router(), onmessage = print }"
  self:expect "'onmessage': with a router its routes say this\nwsock: what was there"
  self:write "return { onmessage = function(s, data) s:send(data .. 3) end }" -- none any more
  self:expect "reloaded.*reloaded"
  ask(socket, record, "x", "text x3")
end

function T:test_a_router_with_parts_of_messages()
  local text = [[
    local router = require "wsock".router()
    router:ws("/a", { onchunk = function(s, data, kind) s:send(data .. "a%d", kind) end })
    return { router = router, streaming = true }]]
  self:write(text:gsub("%%d", "1"))
  local url = self:start("0", "--watch")
  local socket, record = connect(url .. "a")
  ask(socket, record, "x", "text xa1")
  self:write(text:gsub("%%d", "2"))
  self:expect "reloaded"
  ask(socket, record, "x", "text xa1")
  local newer, its = connect(url .. "a")
  ask(newer, its, "x", "text xa2")
end

function T:test_gates_change_too_and_the_rest_is_named()
  self:write "return { maxPayload = 100, verify = function() return true end, protocols = { 'a' } }"
  local url = self:start("0", "--watch")
  connect(url)
  self:write "return { maxPayload = 200, verify = function() return false, 401 end, protocols = { 'a' }, backlog = 5 }"
  self:expect "wsock: takes a new start: backlog, maxPayload\n"
  local socket, record = peer.connect(url)
  record:wait "^close"
  lu.assertEquals(socket.response.status, 401)
  self:write "return { maxPayload = 100, protocols = { 'a' } }"
  self:expect "wsock: takes a new start: verify\n"
  connect(url) -- the gate that was there at first
end

function T:test_an_error_in_a_handler_ends_nothing()
  self:write "return { onmessage = function() error 'oh' end }"
  local url = self:start "0"
  local socket, record = connect(url)
  socket:send "x"
  record:wait "^close 1011"
  self:expect "file.lua:1: oh"
  connect(url)
end

function T:test_its_timers_do_not_keep_it()
  self:write "require 'wsock'.every(60, print) return {}"
  self:start "0"
  self.child:kill "TERM"
  lu.assertEquals(self.child:wait(10, peer.pump), 0)
end

function T:test_open_says_what_is_wrong()
  local file, message = exec.open(self.path)
  lu.assertNil(file)
  lu.assertStrContains(message, "No such file")
end

return T
