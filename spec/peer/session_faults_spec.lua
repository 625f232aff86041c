-- peer/session: two ends of a socket pair, and everything that can fail does:
-- each allocation, each call of recv, sendmsg, epoll_ctl in turn.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local clock = require "support.clock"
local sys, E = probe.net.sys, probe.net.E

local T = {}

local BIG = ("x"):rep(300000)

-- A client and a server session, joined.
local function open(mem, options)
  options = options or {}
  options.backend = os.getenv "WSOCK_BACKEND"
  local world = probe.peer.world(mem, options)
  if not world then return nil end
  local t = { world = world, events = { {}, {} }, turns = 0 }
  t.client, t.server = world:session(1), world:session(2, true)
  local a, b = sys.pair()
  if not t.client:hello() then
    sys.close(a)
    sys.close(b)
    return t, false
  end
  for fd, s in pairs { [a] = t.client, [b] = t.server } do
    if not s:adopt(fd) then sys.close(fd) end
  end
  return t, true
end

local function turn(t, ms)
  t.turns = t.turns + 1
  for _, e in ipairs((t.world:turn(ms or 2))) do
    local list = t.events[e[1]]
    local data = e[3]
    list[#list + 1] = e[2] .. ":" .. (type(data) == "string" and #data > 20 and #data or data)
  end
end

local function free(t)
  t.client:free()
  t.server:free()
  t.world:free()
end

local function has(list, pattern)
  for _, e in ipairs(list) do if e:find(pattern) then return true end end
  return false
end

local function over(t)
  return has(t.events[1], "^close") and has(t.events[2], "^close")
end

-- A whole conversation; each side does its part when it is open.
local function converse(t, n_turns)
  local said, closed = {}, nil
  for _ = 1, n_turns do
    turn(t)
    if over(t) then return true end
    for i, s in ipairs { t.client, t.server } do
      if not said[i] and has(t.events[i], "^open") then
        said[i] = true
        local ok = s:send("hello", false) and s:ping "p" and s:send(BIG, true) and s:send("bye", false)
        if not ok then s:terminate() end
      end
    end
    if not closed and has(t.events[1], "text:bye") and has(t.events[2], "text:bye") then
      closed = true
      t.client:close(1000)
    end
    -- Who could not be given a socket, or hello, ends by hand.
    for i, s in ipairs { t.client, t.server } do
      if s:state().fd < 0 and s:state().state == 0 and #t.events[i] == 0 then s:terminate() end
    end
  end
  return false
end

-- One fault and one close at most, nothing behind them.
local function sane(t, what)
  for i, list in ipairs(t.events) do
    local shown = ("%s, side %d: %s"):format(what, i, table.concat(list, " "))
    local closes, faults = 0, 0
    for k, e in ipairs(list) do
      if e:find "^close" then
        closes = closes + 1
        lu.assertEquals(k, #list, shown)
      elseif e:find "^fault" then
        faults = faults + 1
      end
    end
    lu.assertTrue(closes <= 1 and faults <= 1, shown)
  end
end

function T:test_without_faults()
  local mem = probe.base.mem()
  local t = open(mem)
  lu.assertTrue(converse(t, 500))
  for i = 1, 2 do
    local list = table.concat(t.events[i], " ")
    for _, e in ipairs { "open:", "text:hello", "ping:p", "binary:300000", "text:bye", "close:1000" } do
      lu.assertStrContains(list, e)
    end
  end
  sane(t, "without faults")
  free(t)
  counted.clean(mem)
end

function T:test_the_nth_allocation_fails()
  local n, hit = 0
  repeat
    n = n + 1
    local what = "allocation " .. n
    local mem = probe.base.mem()
    mem:fail(n)
    local t, ok = open(mem, { close_ms = 30 })
    if t then
      if ok then
        lu.assertTrue(converse(t, 500), what)
        sane(t, what)
      end
      free(t)
    end
    hit = mem:state().failed > 0
    counted.clean(mem, what)
  until not hit
  lu.assertTrue(n > 10, n)
end

function T:test_all_allocations_fail_from_the_nth_on()
  local n, hit = 0
  repeat
    n = n + 3
    local what = "allocations from " .. n
    local mem = probe.base.mem()
    mem:fail(n, 1 << 30)
    local t, ok = open(mem, { close_ms = 30 })
    if t then
      if ok then
        converse(t, 100)
        sane(t, what)
      end
      free(t)
    end
    hit = mem:state().failed > 0
    mem:fail(0)
    counted.clean(mem, what)
  until not hit
end

-- Call number `skip` of a system call, and some more, fail with an error.
function T:play(call, err, times, skip)
  local what = ("%s fails %d times after %d calls with %d"):format(call, times, skip, err)
  local mem = probe.base.mem()
  local t = open(mem, { close_ms = 60000 }) -- a busy machine is not to end it
  sys.fault(call, err, times, skip)
  local ended = converse(t, 800)
  local spent = sys.fault(call)
  sys.fault(call, 0, 0)
  lu.assertTrue(ended, what)
  sane(t, what)
  free(t)
  counted.clean(mem, what)
  return t, spent
end

-- P2: whatever was not taken is offered again, and nobody spins meanwhile.
function T:test_calls_that_only_ask_for_patience()
  for _, call in ipairs { "recv", "sendmsg", "send" } do
    for _, err in ipairs { E.EAGAIN, E.EINTR } do
      for skip = 0, 6 do
        local t = self:play(call, err, 2, skip)
        for i = 1, 2 do
          lu.assertEquals(t.events[i][#t.events[i]], "close:1000", call .. " " .. skip)
          lu.assertFalse(has(t.events[i], "^fault"))
          lu.assertTrue(has(t.events[i], "binary:300000"))
        end
        lu.assertTrue(t.turns < 200, t.turns)
      end
    end
  end
end

function T:test_calls_that_break_the_connection()
  for _, call in ipairs { "recv", "sendmsg" } do
    for _, err in ipairs { E.ECONNRESET, E.EPIPE, E.ETIMEDOUT, E.EIO, E.ENOMEM } do
      for skip = 0, 8 do self:play(call, err, 1, skip) end
    end
  end
end

function T:test_watching_that_fails()
  for skip = 0, 6 do
    self:play("epoll_ctl", E.ENOMEM, 1, skip)
  end
end

function T:test_waiting_that_is_interrupted()
  local call = os.getenv "WSOCK_BACKEND" == "poll" and "poll" or "epoll_wait"
  for skip = 0, 6 do
    local t = self:play(call, E.EINTR, 3, skip)
    lu.assertEquals(t.events[1][#t.events[1]], "close:1000")
  end
end

-- A puller whose stack was thrown away: its session is failed, others go on.
function T:test_recover()
  local mem = probe.base.mem()
  local t = open(mem, { close_ms = 30 })
  clock.wait(function() return has(t.events[1], "open") end, 5, function() turn(t) end)
  t.client:reading()
  clock.wait(function() return over(t) end, 5, function() turn(t) end)
  lu.assertTrue(has(t.events[1], "fault:NOMEM"))
  lu.assertTrue(has(t.events[2], "close:1011"))
  free(t)
  counted.clean(mem)
end

-- ---- times -----------------------------------------------------------------------------

-- Events of the client of a mute peer, until its close.
function T:mute(options, act)
  local mem = probe.base.mem()
  local t = open(mem, options)
  clock.wait(function() return has(t.events[1], "open") and has(t.events[2], "open") end, 5,
    function() turn(t) end)
  t.server:pause(true)
  local start = clock.now()
  if act then act(t) end
  clock.wait(function() return has(t.events[1], "^close") end, 5, function() turn(t, 5) end)
  local took = clock.now() - start
  local list = table.concat(t.events[1], " ")
  free(t)
  counted.clean(mem)
  return list, took
end

function T:test_ping_timeout_of_a_mute_peer()
  local list = self:mute { ping_ms = 20, pong_ms = 30 }
  lu.assertEquals(list, "open: fault:PING_TIMEOUT close:1006")
end

function T:test_send_timeout_of_a_peer_that_reads_nothing()
  local list, took = self:mute({ send_ms = 60 }, function(t) for _ = 1, 20 do t.client:send(BIG, true) end end)
  lu.assertEquals(list, "open: fault:SEND_TIMEOUT close:1006")
  lu.assertTrue(took >= 0.04, took)
end

-- C2: the Close cannot be written, and the clock still ends it.
function T:test_close_timeout_behind_a_full_queue()
  local list = self:mute({ close_ms = 40 }, function(t)
    for _ = 1, 20 do t.client:send(BIG, true) end
    t.client:close(1000)
  end)
  lu.assertEquals(list, "open: close:1006")
end

function T:test_terminate_behind_a_full_queue()
  local list = self:mute({}, function(t)
    for _ = 1, 20 do t.client:send(BIG, true) end
    turn(t)
    t.client:terminate()
  end)
  lu.assertEquals(list, "open: close:1006")
end

return T
