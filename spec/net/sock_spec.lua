-- spec/net/sock_spec.lua -- sockets: TCP over both families, and unix.

local lu = require "luaunit"
local probe = require "wsock.probe"
local bytes = require "support.bytes"
local clock = require "support.clock"
local ipv6 = require "support.ipv6"
local net, base = probe.net, probe.base
local sys, E = net.sys, net.E

local T = {}

function T:setUp()
  self.fds = {}
  self.socks = {}
  self.files = {}
end

function T:tearDown()
  for _, s in ipairs(self.socks) do s:close() end
  for _, fd in ipairs(self.fds) do sys.close(fd) end
  for _, path in ipairs(self.files) do os.remove(path) end
end

function T:sock(...)
  local s = net.sock(...)
  self.socks[#self.socks + 1] = s
  return s
end

local counter = 0

function T:path()
  counter = counter + 1
  local path = os.tmpname() .. "." .. counter
  os.remove((path:gsub("%.%d+$", "")))
  self.files[#self.files + 1] = path
  return path
end

-- The kinds of address to listen on.
function T:kinds()
  return {
    tcp4 = assert(net.parse("127.0.0.1", 0)),
    tcp6 = ipv6.here and assert(net.parse("::1", 0)) or nil,
    unix = assert(net.unix(self:path())),
    abstract = assert(net.unix("@wsock-spec-" .. self:path())),
  }
end

function T:listen(addr, ...)
  local l = self:sock()
  assert(l:listen(addr or assert(net.parse("127.0.0.1", 0)), ...))
  return l, (l:ends())
end

-- A connected pair over l: client, server, and the addresses accept told.
function T:connect(l, to, from)
  local c = self:sock()
  local ok, code = c:connect(to, from)
  if not ok then
    lu.assertEquals(code, "MORE")
    lu.assertStrContains(sys.wait(c:fd(), "w", 5), "w")
  end
  lu.assertTrue(c:connected())
  lu.assertEquals(sys.wait(l:fd(), "r", 5), "r")
  local fd, peer = l:accept()
  return c, self:sock(assert(fd)), peer
end

local function read_all(s, n)
  local parts, got = {}, 0
  while got < n do
    local part, code = s:read(n - got)
    if part then
      if part == "" then break end
      parts[#parts + 1], got = part, got + #part
    else
      lu.assertEquals(code, "AGAIN")
      lu.assertEquals(sys.wait(s:fd(), "r", 5), "r")
    end
  end
  return table.concat(parts)
end

-- ---- connecting and accepting --------------------------------------------------

function T:test_bytes_go_both_ways()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    lu.assertEquals({ l:accept() }, { nil, "AGAIN" }, kind)
    local c, s = self:connect(l, at)
    lu.assertEquals({ c:read(10) }, { nil, "AGAIN" })
    lu.assertEquals(c:write "hello", 5)
    bytes.equals(read_all(s, 5), "hello")
    lu.assertEquals(s:write("a", "", "bc", "def"), 6)
    bytes.equals(read_all(c, 6), "abcdef")
    lu.assertEquals({ l:accept() }, { nil, "AGAIN" })
  end
end

function T:test_descriptors_do_not_block_and_are_not_inherited()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c, s = self:connect(l, at)
    for _, one in ipairs { l, c, s } do
      lu.assertEquals({ sys.flags(one:fd()) }, { true, true }, kind)
    end
  end
end

function T:test_ends()
  local l, at = self:listen()
  local c, s, peer = self:connect(l, at)
  local mine, theirs = c:ends()
  local host, port = net.format(at)
  lu.assertEquals(host, "127.0.0.1")
  lu.assertTrue(port > 0)
  lu.assertTrue(net.equal(theirs, at))
  lu.assertTrue(net.equal(mine, peer))
  local s_local, s_peer = s:ends()
  lu.assertTrue(net.equal(s_local, at))
  lu.assertTrue(net.equal(s_peer, mine))
  lu.assertEquals(net.family(select(2, l:ends())), "none", "a listener has no peer")
  c:close()
  lu.assertEquals(net.family((c:ends())), "none")
  local closed = net.sock()
  lu.assertEquals(net.family((closed:ends())), "none")
end

function T:test_ends_of_a_unix_socket()
  local path = self:path()
  local l = self:listen(net.unix(path))
  local c, _, peer = self:connect(l, net.unix(path))
  lu.assertEquals((net.format(select(2, c:ends()))), path)
  lu.assertEquals((net.format(peer)), "unix", "a client has no name")
end

function T:test_a_local_address()
  local l, at = self:listen()
  local c, _, peer = self:connect(l, at, net.parse("127.0.0.7", 0))
  lu.assertEquals((net.format((c:ends()))), "127.0.0.7")
  lu.assertEquals((net.format(peer)), "127.0.0.7")
end

function T:test_a_local_address_of_ipv6()
  ipv6.needed()
  local l, at = self:listen(net.parse("::1", 0))
  local c = self:connect(l, at, net.parse("::1", 0))
  lu.assertEquals((net.format((c:ends()))), "::1")
end

function T:test_a_local_address_that_is_not_ours()
  local _, at = self:listen()
  local c = self:sock()
  local ok, code, word = c:connect(at, net.parse("192.0.2.1", 0))
  lu.assertEquals({ ok, code, word }, { nil, "SYSTEM", "EADDRNOTAVAIL" })
  lu.assertEquals(c:fd(), -1, "it is closed again")
  ok, code = c:connect(at, net.parse("::1", 0))
  lu.assertEquals({ ok, code }, { nil, "SYSTEM" })
  lu.assertEquals(c:fd(), -1)
end

function T:test_refused()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    l:close()
    local c = self:sock()
    local ok, code, word = c:connect(at)
    if code == "MORE" then
      lu.assertStrContains(sys.wait(c:fd(), "w", 5), "w")
      ok, code, word = c:connected()
    else
      lu.assertEquals(c:fd(), -1)
    end
    lu.assertEquals({ ok, code, word }, { nil, "SYSTEM", "ECONNREFUSED" }, kind)
  end
end

function T:test_no_such_path()
  local c = self:sock()
  lu.assertEquals({ c:connect(net.unix(self:path())) }, { nil, "SYSTEM", "ENOENT" })
  lu.assertEquals(c:fd(), -1)
end

function T:test_no_address_at_all()
  lu.assertEquals(({ self:sock():connect(net.none()) })[2], "SYSTEM")
  lu.assertEquals(({ self:sock():listen(net.none()) })[2], "SYSTEM")
end

function T:test_asking_too_early()
  local l, at = self:listen(nil, 1)
  -- fill the backlog: further connections are neither made nor refused
  local waits -- not every system lets a backlog be full
  for _ = 1, 64 do
    local c = self:sock()
    local _, code = c:connect(at)
    lu.assertEquals(code, "MORE")
    if not sys.wait(c:fd(), "w", 0.02):find "w" then
      local ok, why = c:connected()
      waits = not ok -- else it was only late
      if waits then lu.assertEquals({ why, c:fd() >= 0 }, { "MORE", true }) end
    end
    if waits then break end
  end
  lu.assertNotNil(l)
end

-- A port in the range the system gives connections their own port from: a
-- socket can be given the port it connects to, and meets itself.
function T:test_a_socket_connected_to_itself_was_refused()
  local spare = self:sock()
  assert(spare:listen(net.parse("127.0.0.1", 0)))
  local addr = spare:ends()
  spare:close()
  local c = self:sock()
  local ok, code, word = c:connect(addr, addr)
  if code == "MORE" then
    sys.wait(c:fd(), "w", 5)
    ok, code, word = c:connected()
  elseif ok then
    ok, code, word = c:connected()
  end
  lu.assertEquals({ ok, code, word }, { nil, "SYSTEM", "ECONNREFUSED" })
end

function T:test_a_reset_before_accept_is_passed_over()
  local l, at = self:listen()
  local c = self:sock()
  c:connect(at)
  lu.assertStrContains(sys.wait(c:fd(), "w", 5), "w")
  sys.linger(c:fd())
  c:close()
  local d = self:sock()
  d:connect(at)
  lu.assertEquals(sys.wait(l:fd(), "r", 5), "r")
  -- Linux hands the dead one out, others do not; the living one comes
  local _, mine = nil, nil
  clock.wait(function()
    local fd, peer = l:accept()
    if fd then self:sock(fd) end
    mine = d:ends()
    return fd and net.equal(peer, mine)
  end, 5, function() end)
end

-- ---- reading and writing -------------------------------------------------------

function T:test_end()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c, s = self:connect(l, at)
    c:write "last words"
    c:shutdown()
    bytes.equals(read_all(s, 100), "last words", kind)
    lu.assertEquals(s:read(10), "", "the end")
    lu.assertEquals(s:read(10), "", "and it stays the end")
    lu.assertEquals(s:write "answer", 6, "the other way is open")
    bytes.equals(read_all(c, 6), "answer")
    s:close()
    lu.assertEquals(sys.wait(c:fd(), "r", 5):sub(1, 1), "r")
    lu.assertEquals(c:read(10), "")
  end
end

function T:test_nothing_is_lost_when_the_peer_is_slow()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c, s = self:connect(l, at)
    sys.option(c:fd(), "sndbuf", 65536)
    sys.option(s:fd(), "rcvbuf", 65536)
    local sent, got, all = 0, {}, bytes.random(65536):rep(16)
    local half = false
    while sent < #all do
      local n, code = c:write(all:sub(sent + 1, sent + 200000), all:sub(sent + 200001, sent + 500000))
      if n then
        lu.assertTrue(n > 0)
        sent = sent + n
      else
        lu.assertEquals(code, "AGAIN")
        half = true
        local part = s:read(1 << 20)
        if part then got[#got + 1] = part end
      end
    end
    lu.assertTrue(half, "it must have been full once")
    c:shutdown()
    got[#got + 1] = read_all(s, 1 << 30)
    bytes.equals(table.concat(got), all, kind)
  end
end

function T:test_many_slices()
  local l, at = self:listen()
  local c, s = self:connect(l, at)
  for _, n in ipairs { 1, 2, 63, 64, 65, 100 } do
    local list = {}
    for i = 1, n do list[i] = string.char(i) end
    local taken = c:write(table.unpack(list))
    lu.assertEquals(taken, math.min(n, 64))
    bytes.equals(read_all(s, taken), table.concat(list):sub(1, taken))
  end
  lu.assertEquals(c:write(), 0, "no slices")
end

function T:test_a_peer_that_has_gone_is_an_error_and_no_signal()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c, s = self:connect(l, at)
    s:close()
    sys.wait(c:fd(), "r", 5)
    local ok, code, word
    for _ = 1, 3 do -- TCP learns it from the answer to the first
      ok, code, word = c:write "x"
      if not ok then break end
      sys.wait(c:fd(), "", 1)
    end
    lu.assertEquals({ ok, code }, { nil, "SYSTEM" }, kind)
    lu.assertTrue(word == "EPIPE" or word == "ECONNRESET", word)
    lu.assertEquals(({ c:write("x", "y") })[2], "SYSTEM")
  end
end

-- What it sent before it left is still there, whatever became of ours.
function T:test_what_a_peer_that_left_has_sent()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c, s = self:connect(l, at)
    s:write "last words"
    s:close()
    clock.wait(function() return not c:write "x" end)
    lu.assertEquals({ c:left() }, { true, true }, kind)
    lu.assertEquals(c:read(4), "last", kind)
    lu.assertEquals({ c:left() }, { true, true }, kind)
    lu.assertEquals(c:read(100), " words", kind)
    lu.assertEquals({ c:left() }, { true, false }, kind)
    lu.assertEquals(c:read(100), "", kind)
  end
end

function T:test_other_errors_do_not_mean_that_it_left()
  local l, at = self:listen()
  local c, s = self:connect(l, at)
  lu.assertEquals({ c:left() }, { false, false })
  s:write "x"
  sys.wait(c:fd(), "r", 5)
  sys.fault("send", E.EIO, 1)
  lu.assertEquals({ c:write "x" }, { nil, "SYSTEM", "EIO" })
  lu.assertEquals({ c:left() }, { false, true })
end

-- Whom, also when the connection is gone, at either end.
function T:test_failures_name_the_other_end()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local name = net.name(at)
    local c, s = self:connect(l, at)
    sys.fault("recv", E.EIO, 1)
    c:read(1)
    lu.assertEquals({ c:failure "recv" }, { ("recv %s: Input/output error"):format(name), "EIO" })
    local far = net.name((c:ends()))
    sys.linger(c:fd())
    c:close()
    for _ = 1, 3 do -- a unix socket is told at once, TCP when it asks again
      sys.wait(s:fd(), "r", 5)
      if not s:write "x" then break end
    end
    local text, word = s:failure "send"
    lu.assertEquals(word, kind:find "tcp" and "ECONNRESET" or "EPIPE")
    lu.assertEquals(text, ("send %s: %s"):format(far, word == "EPIPE" and "Broken pipe" or "Connection reset by peer"))
  end
  local none = self:sock()
  none:connect(assert(net.parse("127.0.0.1", 1)), assert(net.parse("192.0.2.1", 0)))
  lu.assertEquals({ none:failure "recv" }, { "recv: Address not available", "EADDRNOTAVAIL" })
end

function T:test_reset()
  local l, at = self:listen()
  local c, s = self:connect(l, at)
  sys.linger(s:fd())
  s:close()
  sys.wait(c:fd(), "r", 5)
  lu.assertEquals({ c:read(10) }, { nil, "SYSTEM", "ECONNRESET" })
end

function T:test_interrupted_calls_are_repeated()
  local l, at = self:listen()
  local c, s = self:connect(l, at)
  sys.fault("send", E.EINTR, 3)
  lu.assertEquals(c:write "abc", 3)
  sys.fault("sendmsg", E.EINTR, 3)
  lu.assertEquals(c:write("d", "ef"), 3)
  bytes.equals(read_all(s, 6), "abcdef")
  c:write "x"
  sys.wait(s:fd(), "r", 5)
  sys.fault("recv", E.EINTR, 3)
  lu.assertEquals(s:read(10), "x")
  local d = self:sock()
  d:connect(at)
  sys.wait(l:fd(), "r", 5)
  sys.fault("accept4", E.EINTR, 3)
  self:sock(assert(l:accept()))
end

function T:test_errors_are_kept()
  local l, at = self:listen()
  local c = self:connect(l, at)
  sys.fault("recv", E.EIO)
  lu.assertEquals({ c:read(10) }, { nil, "SYSTEM", "EIO" })
  sys.fault("send", E.EIO)
  lu.assertEquals({ c:write "x" }, { nil, "SYSTEM", "EIO" })
  sys.fault("sendmsg", E.EIO)
  lu.assertEquals({ c:write("x", "y") }, { nil, "SYSTEM", "EIO" })
  sys.fault("getsockopt", E.ENOBUFS)
  lu.assertEquals({ c:connected() }, { nil, "SYSTEM", "ENOBUFS" })
end

-- One message is one system call, whatever it is made of.
function T:test_system_calls()
  local l, at = self:listen()
  local c, s = self:connect(l, at)
  local function calls(name, fn)
    local before = sys.fault(name)
    fn()
    return sys.fault(name) - before
  end
  lu.assertEquals(calls("send", function() c:write "abc" end), 1)
  lu.assertEquals(calls("sendmsg", function() c:write("a", "b", "c") end), 1)
  sys.wait(s:fd(), "r", 5)
  lu.assertEquals(calls("recv", function() s:read(100) end), 1)
end

function T:test_a_new_one_is_closed()
  lu.assertEquals(net.sock():fd(), -1)
end

function T:test_closing()
  local l, at = self:listen()
  local c = self:connect(l, at)
  c:close()
  c:close()
  lu.assertEquals(c:fd(), -1)
  lu.assertEquals({ c:read(1) }, { nil, "SYSTEM", "EBADF" })
  lu.assertEquals({ c:write "x" }, { nil, "SYSTEM", "EBADF" })
  c:shutdown()
end

function T:test_nodelay()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c = self:connect(l, at)
    local tcp = kind:find "^tcp"
    for _, on in ipairs { true, false } do
      c:nodelay(on)
      if tcp then lu.assertEquals(sys.option(c:fd(), "nodelay") ~= 0, on) end
    end
    lu.assertEquals(c:write "x", 1, kind)
  end
end

function T:test_what_is_accepted_has_it_from_the_listener()
  for _, host in ipairs(ipv6.loopbacks) do
    local l, at = self:listen(assert(net.parse(host, 0)))
    for _, on in ipairs { true, false } do
      l:nodelay(on)
      local _, accepted = self:connect(l, at)
      lu.assertEquals(sys.option(accepted:fd(), "nodelay") ~= 0, on)
    end
  end
end

-- Linux keeps the last bytes for the packet with the end.
function T:test_the_end_travels_with_the_last_bytes()
  for _, host in ipairs(ipv6.loopbacks) do
    for _, slices in ipairs { { "good-bye" }, { "good-", "bye" } } do
      local l, at = self:listen(assert(net.parse(host, 0)))
      local c, s = self:connect(l, at)
      s:nodelay(true)
      s:more()
      lu.assertEquals(s:write(table.unpack(slices)), 8)
      lu.assertEquals(sys.wait(c:fd(), "r", 0.05), "")
      s:shutdown()
      lu.assertEquals(sys.wait(c:fd(), "r", 5), "r")
      lu.assertEquals(c:read(100), "good-bye")
      lu.assertEquals(c:read(100), "")
    end
  end
end

function T:test_last_bytes_before_a_close_without_shutdown()
  for kind, addr in pairs(self:kinds()) do
    local l, at = self:listen(addr)
    local c, s = self:connect(l, at)
    s:more()
    lu.assertEquals(s:write "good-bye", 8, kind)
    s:close()
    lu.assertEquals(read_all(c, 8), "good-bye", kind)
  end
end

-- ---- listening -----------------------------------------------------------------

function T:test_a_port_in_use()
  local _, at = self:listen()
  local second = self:sock()
  lu.assertEquals({ second:listen(at) }, { nil, "SYSTEM", "EADDRINUSE" })
  lu.assertEquals(second:fd(), -1)
end

function T:test_a_port_can_be_taken_again_at_once()
  local l, at = self:listen()
  local c, s = self:connect(l, at)
  s:close() -- the server's side closes first: TIME_WAIT is on its port
  c:close()
  l:close()
  assert(self:sock():listen(at))
end

function T:test_sharing_a_port()
  local _, at = self:listen(nil, 10, true)
  assert(self:sock():listen(at, 10, true))
  lu.assertEquals({ self:sock():listen(at, 10) }, { nil, "SYSTEM", "EADDRINUSE" })
end

function T:test_ipv6_is_ipv6_only()
  local l, at = self:listen(net.parse("::", 0))
  local _, port = net.format(at)
  assert(self:sock():listen(net.parse("0.0.0.0", port)))
  lu.assertTrue(l:fd() >= 0)
end

function T:test_backlogs()
  for _, backlog in ipairs { -1, 0, 1, 128, 0x7fffffff } do
    local l, at = self:listen(nil, backlog)
    self:connect(l, at)
  end
end

function T:test_options_that_cannot_be_set()
  for skip = 0, 2 do
    sys.fault("setsockopt", E.ENOBUFS, 1, skip)
    lu.assertEquals({ self:sock():listen(net.parse("::1", 0), 1, true) }, { nil, "SYSTEM", "ENOBUFS" })
  end
end

function T:test_no_descriptor_for_a_socket()
  sys.fault("socket", E.EMFILE, 2)
  lu.assertEquals({ self:sock():listen(net.parse("::1", 0)) }, { nil, "SYSTEM", "EMFILE" })
  lu.assertEquals({ self:sock():connect(net.parse("::1", 1)) }, { nil, "SYSTEM", "EMFILE" })
end

-- ---- a unix socket's file --------------------------------------------------------

function T:test_a_file_nobody_listens_on_is_replaced()
  local path = self:path()
  local l = self:listen(net.unix(path))
  l:close()
  lu.assertNotNil(io.popen("test -S " .. path .. " && echo y"):read "l", "the file stays behind")
  l = self:listen(net.unix(path))
  self:connect(l, net.unix(path))
end

function T:test_a_file_somebody_listens_on_is_not()
  local path = self:path()
  local l = self:listen(net.unix(path))
  local second = self:sock()
  lu.assertEquals({ second:listen(net.unix(path)) }, { nil, "SYSTEM", "EADDRINUSE" })
  local fd = l:accept() -- the question whether somebody listens
  if fd then self:sock(fd) end
  self:connect(l, net.unix(path))
end

function T:test_a_file_whose_listener_is_busy_is_not()
  local path = self:path()
  local l = self:listen(net.unix(path), 1)
  for _ = 1, 10 do
    if not self:sock():connect(net.unix(path)) then break end
  end
  lu.assertEquals({ self:sock():listen(net.unix(path)) }, { nil, "SYSTEM", "EADDRINUSE" })
  self:sock(assert(l:accept()))
end

function T:test_a_file_that_is_no_socket_is_not()
  local path = self:path()
  local f = assert(io.open(path, "w"))
  f:write "precious"
  f:close()
  lu.assertEquals({ self:sock():listen(net.unix(path)) }, { nil, "SYSTEM", "EADDRINUSE" })
  f = assert(io.open(path))
  lu.assertEquals(f:read "a", "precious")
  f:close()
end

function T:test_a_link_is_not_followed()
  local path, link = self:path(), self:path()
  self:listen(net.unix(path)):close()
  os.execute(("ln -s '%s' '%s'"):format(path, link))
  lu.assertEquals({ self:sock():listen(net.unix(link)) }, { nil, "SYSTEM", "EADDRINUSE" })
end

function T:test_an_abstract_name_in_use()
  local addr = net.unix("@wsock-spec-" .. self:path())
  self:listen(addr)
  lu.assertEquals({ self:sock():listen(addr) }, { nil, "SYSTEM", "EADDRINUSE" })
end

function T:test_a_folder_that_is_not_there()
  lu.assertEquals({ self:sock():listen(net.unix "/nonexistent/x") }, { nil, "SYSTEM", "ENOENT" })
end

-- ---- running out -----------------------------------------------------------------

function T:test_what_running_out_means()
  for _, name in ipairs { "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM" } do
    lu.assertTrue(net.exhausted(E[name]), name)
  end
  for _, name in ipairs { "EAGAIN", "ECONNABORTED", "EBADF", "EINTR", "EPERM" } do
    lu.assertFalse(net.exhausted(E[name]), name)
  end
  lu.assertFalse(net.exhausted(0))
end

function T:test_errors_of_one_connection_are_passed_over()
  local l, at = self:listen()
  self:sock():connect(at)
  sys.wait(l:fd(), "r", 5)
  for _, name in ipairs { "ECONNABORTED", "EPROTO", "EPERM", "ETIMEDOUT", "ENETUNREACH" } do
    sys.fault("accept4", E[name], 2)
  end
  self:sock(assert(l:accept()))
  lu.assertEquals({ l:accept() }, { nil, "AGAIN" })
end

function T:test_but_not_for_ever()
  local l, at = self:listen()
  self:sock():connect(at)
  sys.wait(l:fd(), "r", 5)
  sys.fault("accept4", E.EPERM, 1 << 30)
  lu.assertEquals({ l:accept() }, { nil, "SYSTEM", "EPERM" })
  sys.fault("accept4", 0, 0)
  self:sock(assert(l:accept()))
end

function T:test_errors_of_accept_are_told()
  local l = self:listen()
  sys.fault("accept4", E.EMFILE)
  lu.assertEquals({ l:accept() }, { nil, "SYSTEM", "EMFILE" })
  sys.fault("accept4", E.ENOBUFS)
  lu.assertEquals({ l:accept() }, { nil, "SYSTEM", "ENOBUFS" })
end

function T:test_shedding_closes_one_connection()
  local l, at = self:listen()
  local c, d = self:sock(), self:sock()
  local spare = net.spare_open()
  lu.assertEquals(net.spare_shed(l, spare), spare, "nobody waits")
  c:connect(at)
  sys.wait(l:fd(), "r", 5)
  d:connect(at)
  lu.assertEquals(net.spare_shed(l, spare), spare)
  lu.assertStrContains(sys.wait(c:fd(), "r", 5), "r")
  lu.assertEquals(c:read(1), "")
  sys.wait(l:fd(), "r", 5)
  self:sock(assert(l:accept()))
  net.spare_close(spare)
end

-- A child with few descriptors: what it answers comes back as a string.
function T:test_a_spare_descriptor_gets_rid_of_a_connection()
  local l, at = self:listen()
  local c, d = self:sock(), self:sock()
  c:connect(at)
  d:connect(at)
  sys.wait(l:fd(), "r", 5)
  local answer = base.child(function()
    local spare = net.spare_open()
    sys.limit("fds", 40)
    while sys.dup(0) do end
    local _, code, word = l:accept()
    local after = net.spare_shed(l, spare)
    local again = net.spare_shed(l, after)
    return ("%s %s %s %s"):format(code, word, after == spare, again == spare)
  end)
  lu.assertEquals(answer, "SYSTEM EMFILE true true")
  for _, one in ipairs { c, d } do
    lu.assertStrContains(sys.wait(one:fd(), "r", 5), "r", "it was told")
    lu.assertTrue(one:read(1) == "" or select(3, one:read(1)) == "ECONNRESET")
  end
  lu.assertEquals({ l:accept() }, { nil, "AGAIN" })
end

function T:test_a_spare_lost_once_is_taken_back_later()
  local l, at = self:listen()
  lu.assertEquals(net.spare_close(net.spare_open()), -1)
  local answer = base.child(function()
    sys.limit("fds", 40)
    local last, fd
    repeat last, fd = fd, sys.dup(0) until not fd
    local none = net.spare_open()
    local still = net.spare_shed(l, -1)
    sys.close(last)
    local got = net.spare_shed(l, -1)
    return ("%d %d %s"):format(none, still, got >= 0)
  end)
  lu.assertEquals(answer, "-1 -1 true")
  self:connect(l, at)
end

return T
