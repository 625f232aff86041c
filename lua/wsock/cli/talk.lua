--- `wsock URL`: lines in, messages out.
-- @module wsock.cli.talk

local wsock = require "wsock"
local core = require "wsock.core"
local flags = require "wsock.cli.flags"
local input = require "wsock.cli.input"
local prompt = require "wsock.cli.prompt"
local screen = require "wsock.cli.screen"
local terminal = require "wsock.cli.terminal"

local M = {}

M.help = [==[
Usage: wsock [flags] URL     a line is a message; to be a server: wsock listen

  -x, --execute MESSAGE     send this, read no input; repeatable
  -w, --wait SECONDS        after the input: so much silence (1; -1: for ever)
  -n, --count COUNT         after the input: leave when so many messages came
  -b, --binary              binary messages: bytes as they come, no lines
      --hex                 binary messages in hexadecimal, in and out
  -H, --header LINE         "Name: value" for the request; repeatable
  -s, --subprotocol NAME    offer it; repeatable
  -o, --origin ORIGIN       say where this comes from
      --auth USER, --digest   "user:password" for the server; by Digest only
  -k, --insecure, --ca FILE   wss: do not check who answers; whom to trust
      --cert FILE, --key FILE   wss: the certificate to show, and its key
  -L, --location            follow redirects, up to 10
      --proxy URL           http, https or socks5; none; else the environment's
      --no-compress         do not offer compression
      --reconnect           come back when the connection is lost
      --ping SECONDS, --connect-timeout SECONDS   between pings; to get in
  -v, --verbose             handshake, pings and close, on standard error
  -h, --help, --version     this; the version

At a terminal: /ping [data], /pong [data], /close [code [reason]], //text
Exit code: 0 done, 1 no connection, 2 usage, 3 closed otherwise than expected
]==]
M.lists = { "execute", "header", "subprotocol" }

-- Flags of other commands, and what to do here.
local server = "wsock listen PORT is a server"
M.strangers = {
  ["-c"] = "the URL stands alone", ["--connect"] = "the URL stands alone", ["-l"] = server, ["--listen"] = server,
}

local HIGH = 1024 * 1024 -- bytes waiting to be sent, above which no more is read; the socket's default
local QUIET = 1 -- seconds
local BUSY = 0.02 -- seconds until it is looked again whether all is sent
local REDIRECTS = 10
local ENOUGH = 1 << 40
local BODY = 1000 -- bytes shown of what a refusal says
local LAST = "end of input" -- what the ping behind the last message carries
local PATIENCE = 20 -- seconds for a pong; servers must send it (RFC 6455 5.5.2), and some do not

-- The end of a connection nobody needs to worry about.
local usual = { [1000] = true, [1001] = true, [1005] = true }

local Talk = {}
Talk.__index = Talk

-- ---- out ------------------------------------------------------------------------

-- "48 65" -> "He"; nil when it is no hexadecimal.
local function unhex(text)
  text = text:gsub("%s", "")
  if #text % 2 == 1 or text:find "%X" then return nil end
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- What the user wrote, as bytes and kind; or nil and what is wrong with it.
function Talk:encode(text)
  local o = self.options
  if o.hex then
    local bytes = unhex(text)
    if not bytes then return nil, "is not hexadecimal" end
    return bytes, "binary"
  elseif o.binary then
    return text, "binary"
  elseif not utf8.len(text) then
    return nil, "is not UTF-8; see --binary"
  end
  return text, "text"
end

function Talk:send(text)
  self.lines = self.lines + 1
  local data, kind = self:encode(text)
  if data then
    local ok, message = self.socket:send(data, kind)
    if self.interactive then self:failed(ok, message) end
    return
  end
  local message = ("%s %d %s"):format(#self.options.execute > 0 and "message" or "line", self.lines, kind)
  if self.interactive then return self.screen:note("wsock: %s", message) end
  self:leave(2, message)
end

-- ---- the end --------------------------------------------------------------------

--- Closes; code: how the command ends if the server agrees.
function Talk:leave(code, message)
  if self.leaving then return end
  self.leaving, self.code = true, code
  if message then self.screen:note("wsock: %s", message) end
  if self.input then self.input:stop() end
  self:finish()
end

-- Close goes out when everything before it is gone: the clock for the server's answer starts then.
function Talk:finish()
  if self.socket.readyState ~= wsock.OPEN then return self.socket:close(1000) end
  if self.socket.bufferedAmount == 0 then return self.socket:close(1000) end
  wsock.after(BUSY, function() self:finish() end)
end

-- When the silence began that matters; nil: it has not. It begins when the server has read everything: when it answers
-- the ping behind the last message.
function Talk:silent_since()
  if self.socket.bufferedAmount > 0 then return nil end
  if not self.pinged and self.socket:ping(LAST) then self.pinged = wsock.now() end
  if not self.ponged and (not self.pinged or wsock.now() - self.pinged < PATIENCE) then return nil end
  return self.last
end

-- After the input: have we waited long enough?
function Talk:wait()
  if self.leaving then return end
  local o = self.options
  local wait = o.wait or (o.count and -1 or QUIET)
  if o.count and self.received >= o.count then return self:leave(0) end
  if wait < 0 then return end
  local since = wait == 0 and self.last or self:silent_since()
  local left = since and since + wait - wsock.now()
  if not left or left > 0 then
    wsock.after(left or BUSY, function() self:wait() end)
  elseif o.count then
    self:leave(3, ("%d of %d messages came"):format(self.received, o.count))
  else
    self:leave(0)
  end
end

function Talk:ended(message)
  if self.leaving then return end
  if message then self.screen:note("wsock: standard input: %s", message) end
  if self.interactive then return self:leave(0) end
  self.last = wsock.now()
  self.complete = true
  self:wait()
end

-- A signal: leave properly, the second one at once.
function Talk:interrupt()
  if self.leaving or self.socket.readyState ~= wsock.OPEN then return self.socket:terminate() end
  self:leave(0)
end

-- ---- the commands of a terminal ---------------------------------------------------

local commands = {}

-- What could not be sent, and why.
function Talk:failed(sent, message)
  if not sent then self.screen:note("wsock: %s", message) end
end

function commands.ping(self, data)
  self.asked = data
  self:failed(self.socket:ping(data))
end

function commands.pong(self, data) self:failed(self:connection():pong(data)) end

function commands.close(self, words)
  local code, reason = words:match "^(%d*)%s*(.*)$"
  self.socket:close(math.tointeger(tonumber(code)), reason ~= "" and reason or nil) -- raises for what may not be sent
  self.leaving, self.code = true, 0
end

function Talk:typed(line)
  local name, rest = line:match "^/(%a+)%s*(.*)$"
  if line:find "^//" then
    self:send(line:sub(2))
  elseif not name then
    self:send(line)
  elseif not commands[name] then
    self.screen:note("no command /%s; there are /ping, /pong and /close, and //%s sends /%s", name, name, name)
  else
    local ok, message = pcall(commands[name], self, rest)
    if not ok then self.screen:note("wsock: %s", (message:gsub("^.-talk%.lua:%d+: ", ""))) end
  end
end

-- ---- in -------------------------------------------------------------------------

function Talk:begin()
  local o = self.options
  if #o.execute > 0 then
    for _, message in ipairs(o.execute) do
      if not self.leaving then self:send(message) end
    end
    return self:ended()
  end
  local function done(message) self:ended(message) end
  if self.interactive then
    self.screen.mark = "< "
    self.input = prompt.start(self.screen, function(line) self:typed(line) end, done)
    return
  end
  local function take(bytes)
    self:send(bytes)
    if self.socket.bufferedAmount > HIGH then self.input:pause() end -- drain is owed now
  end
  self.input = input.start(0, { take = take, done = done, blocks = o.binary and not o.hex })
end

function Talk:got(data, kind)
  self.received, self.last = self.received + 1, wsock.now()
  self.screen:message(data, kind)
  local count = self.options.count
  if count and self.received >= count and (self.complete or self.interactive) then self:leave(0) end
end

-- ---- what -v tells ----------------------------------------------------------------

-- What we asked for; the rest of the request is the same for everyone (RFC 6455 4.1).
function Talk:show_request()
  local d, uri = self.screen, core.wire.uri.parse(self.socket.url)
  d:detail("> GET %s HTTP/1.1", uri.target)
  d:detail("> Host: %s", self.host or uri.hostHeader or "localhost")
  for _, field in ipairs(self.headers) do d:detail("> %s: %s", field[1], field[2]) end
  local auth = self.auth or uri.user and { uri.user } or nil
  if auth and not auth.scheme then d:detail("> Authorization: Basic (of %s, with the password)", auth[1]) end
  if self.options.origin then d:detail("> Origin: %s", self.options.origin) end
  local protocols = table.concat(self.options.subprotocol, ", ")
  if protocols ~= "" then d:detail("> Sec-WebSocket-Protocol: %s", protocols) end
end

function Talk:show_response()
  local r, d = self:connection().response, self.screen
  if not r or self.shown then return end
  self.shown = true
  d:detail("< HTTP/1.1 %d %s", r.status, r.reason)
  for i = 1, #r.headers do d:detail("< %s: %s", r.headers[i][1], r.headers[i][2]) end
  if r.body and r.body ~= "" then d:detail("%s", (r.body:sub(1, BODY):gsub("\n$", ""))) end
end

-- What a ping or a pong carried; those sent by themselves carry a number.
local function carried(data)
  if data == "" then return "" end
  return " " .. ((data:find "%c" or not utf8.len(data)) and terminal.hex(data) or data)
end

local function named(code)
  local name = wsock.closeCodes[code]
  return name and ("%d %s"):format(code, name) or tostring(code)
end

-- ---- events -----------------------------------------------------------------------

-- The socket itself, or the one a reconnecting one has now.
function Talk:connection()
  return self.options.reconnect and self.socket.socket or self.socket
end

function Talk:opened()
  local s = self:connection()
  self:show_response()
  self.screen:detail("* open: %s%s%s%s", s.remoteAddress, s.remotePort and " port " .. s.remotePort or "",
    s.protocol ~= "" and ", subprotocol " .. s.protocol or "", s.extensions ~= "" and ", compressed" or "")
  local url = s.url:gsub("^(%a+://)[^/]*@", "%1") -- there may be a password in it
  if s.url ~= self.url then self.screen:detail("* redirected to %s", url) end
  if s.tls then
    local c = s.tls.peerCertificate or {}
    self.screen:detail("* %s, %s: %s, by %s, until %s", s.tls.version, s.tls.cipher, c.subject, c.issuer, c.validTo)
  end
  self.there = true
  if self.open then return self:back() end
  self.open = true
  if self.interactive then self.screen:note("connected to %s; Ctrl-C or /close ends", url) end
  self:begin()
end

-- The connection is lost, and will be tried again: what is typed waits, a pipe is not read.
function Talk:away(delay, _, code)
  self.shown, self.pinged, self.ponged = false, nil, nil
  self.screen:note("wsock: %s %s; again in %.1f s", self.there and "lost:" or "not connected:", named(code), delay)
  self.there = false
  if self.input and not self.interactive then self.input:pause() end
end

function Talk:back()
  self.screen:note("wsock: connected again")
  if self.input then self.input:resume() end
end

function Talk:closed(code, reason, clean)
  local s = self.screen
  if self.input then self.input:stop() end
  s:detail("* close: %s%s%s", named(code), reason ~= "" and " " .. reason or "", clean and "" or ", not clean")
  if not self.open then
    self.code = self.code or 1
  elseif self.leaving then
    self.code = clean and self.code or 3
  else
    self.code = clean and usual[code] and 0 or 3
    if self.options.count and self.received < self.options.count then self.code = 3 end
  end
  if self.open and not self.leaving and (self.interactive or self.code ~= 0) then
    s:note("wsock: closed: %s%s", named(code), reason ~= "" and " " .. reason or "")
  end
  s:flush()
end

function Talk:listen()
  local s = self.socket
  s:on("open", function() self:opened() end)
  s:on("message", function(data, kind) self:got(data, kind) end)
  s:on("drain", function() if self.input then self.input:resume() end end)
  s:on("ping", function(data) self.screen:detail("* ping%s", carried(data)) end)
  s:on("pong", function(data)
    if data == LAST then self.ponged, self.last = true, wsock.now() end
    local tell = data == self.asked and self.screen.note or self.screen.detail
    tell(self.screen, "* pong%s, after %.3f s", carried(data), self:connection().latency or 0)
  end)
  s:on("error", function(message, code)
    self:show_response()
    local silent = code == "CLOSED" and not self.there and self:connection().url:find "^ws:"
    self.screen:note("wsock: %s%s", message, silent and "; is it a server of wss: ?" or "")
  end)
  if self.options.reconnect then s:on("reconnecting", function(...) self:away(...) end) end
  s:on("close", function(...)
    self:closed(...)
    wsock.stop()
  end)
end

-- ---- from the command line ----------------------------------------------------------

local function credentials(text, digest)
  if not text then
    if digest then flags.usage "--digest needs --auth" end
    return nil
  end
  local user, password = text:match "^([^:]*):(.*)$"
  if not user then flags.usage "--auth must be 'user:password'" end
  return { user, password, scheme = digest and "digest" or nil }
end

-- Three cases: told which, told to use none, not told.
local function proxy_of(url)
  if url == "none" then return false end
  return url
end

local function tls_of(options)
  if not (options.insecure or options.ca or options.cert or options.key) then return nil end
  return { verify = not options.insecure, ca = options.ca, cert = options.cert, key = options.key }
end

-- The header lines but Host, which is an option of its own, and that.
local function take_host(fields)
  local rest, host = {}, nil
  for _, field in ipairs(fields) do
    if field[1]:lower() == "host" then host = field[2] else rest[#rest + 1] = field end
  end
  return rest, host
end

function Talk:settings()
  local o = self.options
  return {
    headers = self.headers, host = self.host, origin = o.origin, protocols = o.subprotocol,
    auth = self.auth, handshakeTimeout = o["connect-timeout"], pingInterval = o.ping,
    perMessageDeflate = not o["no-compress"], maxRedirects = o.location and REDIRECTS or nil, tls = tls_of(o),
    proxy = proxy_of(o.proxy),
    maxBuffered = ENOUGH, maxQueue = o.reconnect and ENOUGH or nil, -- what the user gives has its own end
  }
end

-- localhost:8080/x is ws://localhost:8080/x
local function complete(url)
  return (url:find "^%a[%w+.-]*://" or url:find "^ws%+unix:") and url or "ws://" .. url
end

--- Talks until the connection ends.
-- @tparam table options from `flags.parse`
-- @tparam {string,...} words the URL
-- @treturn integer exit code
function M.run(options, words)
  if not words[1] then flags.usage "a URL is missing" end
  if words[2] and words[1] == "listen" then flags.usage "listen comes first: wsock listen [flags] PORT" end
  if words[2] then flags.usage("one URL is enough: what is '%s'?", words[2]) end
  local self = setmetatable({ options = options, received = 0, lines = 0 }, Talk)
  local shows = terminal.is(1)
  self.interactive = shows and #options.execute == 0 and terminal.is(0)
  self.screen = screen.new(options, { terminal = shows, onbroken = function() self:leave(0) end })
  self.headers, self.host = take_host(flags.fields(options.header))
  self.auth = credentials(options.auth, options.digest)
  local url, settings = complete(words[1]), self:settings()
  local ok, socket
  if options.reconnect then
    ok, socket = pcall(wsock.reconnecting, url, settings)
  else
    ok, socket = pcall(wsock.WebSocket, url, nil, settings)
  end
  if not ok then flags.usage("%s", socket) end
  self.socket, self.url = socket, socket.url
  self:show_request()
  self:listen()
  wsock.signal("PIPE", function() end) -- writing says so by itself
  for _, name in ipairs { "INT", "TERM", "HUP" } do wsock.signal(name, function() self:interrupt() end) end
  local done, fault = pcall(wsock.run)
  if self.input then self.input:stop() end -- a terminal is given back, whatever happens
  return done and self.code or error(fault, 0)
end

return M
