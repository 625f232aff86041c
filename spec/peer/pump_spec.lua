-- peer/pump: bytes through streams that stand on the socket: they open first,
-- in turn and in time, wait for whichever direction they like, hold bytes back,
-- fail in their own words, and end with the session.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"
local clock = require "support.clock"
local sys, E = probe.net.sys, probe.net.E

local T = {}

local BIG = ("x"):rep(300000)

-- A client and a server session, joined; doors: those put on each.
local function open(mem, doors, options)
  options = options or {}
  options.backend = os.getenv "WSOCK_BACKEND"
  local world = probe.peer.world(mem, options)
  if not world then return nil end
  local t = { world = world, events = { {}, {} }, turns = 0 }
  local a, b = sys.pair()
  t.sessions = { world:session(1), world:session(2, true) }
  t.whole = t.sessions[1]:hello()
  for i, fd in ipairs { a, b } do
    local s = t.sessions[i]
    if not s:adopt(fd) then
      sys.close(fd)
      t.whole = nil
    else
      for _, door in ipairs(doors[i]) do
        local own = { server = i == 2 }
        for k, v in pairs(door) do own[k] = v end
        if not s:stack(own) then t.whole = nil end
      end
    end
  end
  return t
end

local function turn(t)
  t.turns = t.turns + 1
  for _, e in ipairs((t.world:turn(5))) do
    local list, data = t.events[e[1]], e[3]
    list[#list + 1] = e[2] .. ":" .. (type(data) == "string" and #data > 20 and #data or data)
  end
end

local function free(t)
  t.sessions[1]:free()
  t.sessions[2]:free()
  t.world:free()
end

-- What was told, but for pongs, which come when they like.
local function text(t, i) return (table.concat(t.events[i], " "):gsub("pong:p ", "")) end

local function has(t, i, pattern) return text(t, i):find(pattern) ~= nil end

local function over(t) return has(t, 1, "close:") and has(t, 2, "close:") end

-- Each sends when it is open, the client closes when all came; false: it hangs.
local function converse(t, most)
  local said, closed = {}, nil
  for _ = 1, most do
    turn(t)
    if over(t) then return true end
    for i, s in ipairs(t.sessions) do
      if not said[i] and has(t, i, "open:") then
        said[i] = true
        if not (s:send("hello", false) and s:ping "p" and s:send(BIG, true) and s:send("bye", false)) then
          s:terminate()
        end
      end
    end
    if not closed and has(t, 1, "text:bye") and has(t, 2, "text:bye") then
      closed = true
      t.sessions[1]:close(1000)
    end
  end
  return false
end

local WHOLE = "open: text:hello ping:p binary:300000 text:bye close:1000"

-- What a session may do to itself while it hears: the whole talk, both sides.
local function talk(doors, what)
  local mem = probe.base.mem()
  local t = open(mem, doors)
  lu.assertTrue(converse(t, 3000), what)
  lu.assertEquals(text(t, 1), WHOLE, what)
  lu.assertEquals(text(t, 2), "upgrade: " .. WHOLE, what)
  lu.assertTrue(t.turns < 700, what)
  free(t)
  counted.clean(mem, what)
end

function T:test_one_two_and_three_streams()
  talk({ { {} }, { {} } }, "one")
  talk({ { {}, {} }, { {}, {} } }, "two")
  talk({ { {}, {}, {} }, { {}, {}, {} } }, "three")
end

-- The server's answer to the Close is followed by the end, and nothing else is.
function T:test_only_the_last_bytes_wait_for_the_end()
  for _, doors in ipairs { { {}, {} }, { { {} }, { {} } }, { { {}, {} }, { {}, {} } } } do
    local before = sys.holds()
    talk(doors, #doors[1])
    lu.assertEquals(sys.holds() - before, 1)
  end
end

-- Whatever may be wanted, at either end, above or below another stream.
function T:test_wants()
  for name, door in pairs {
    read_out = { read_out = 9 }, open_out = { open_out = 4 }, shut = { shut_again = 3 },
    all = { read_out = 3, open_out = 3, shut_again = 1 },
  } do
    talk({ { door }, { {} } }, name .. " of the client")
    talk({ { {} }, { door } }, name .. " of the server")
    talk({ { door, {} }, { {}, door } }, name .. " above and below")
    talk({ { door, door } , { door, door } }, name .. " everywhere")
  end
end

-- Writing that waits for input goes on when there is some, and not before.
function T:test_writing_that_waits_for_input()
  local mem = probe.base.mem()
  local t = open(mem, { { {} }, { { write_in = 1, write_skip = 1 } } })
  clock.wait(function() return has(t, 1, "open:") and has(t, 2, "open:") end, 5, function() turn(t) end)
  lu.assertTrue(t.sessions[2]:send("late", false))
  for _ = 1, 5 do turn(t) end
  lu.assertFalse(has(t, 1, "late"))
  lu.assertTrue(t.sessions[1]:send("poke", false))
  clock.wait(function() return has(t, 1, "late") end, 5, function() turn(t) end)
  lu.assertTrue(has(t, 2, "poke"))
  free(t)
  counted.clean(mem)
end

-- The stream has bytes that the socket knows nothing of any more.
function T:test_what_is_pending_is_read()
  talk({ { { sip = 1500 } }, { {} } }, "client")
  talk({ { {} }, { { sip = 1500 } } }, "server")
  talk({ { { sip = 1500 }, {} }, { { sip = 1500 }, { sip = 1700 } } }, "both")
end

function T:test_an_opening_that_fails_says_so()
  for step = 1, 2 do
    local mem = probe.base.mem()
    local t = open(mem, { { { fail_open = step } }, { {} } })
    clock.wait(function() return over(t) end, 5, function() turn(t) end)
    lu.assertEquals(text(t, 1), "fault:REFUSED close:1006", step)
    local state = t.sessions[1]:state()
    lu.assertEquals({ state.word, state.words }, { "DOOR", "door recv: no entry" })
    lu.assertEquals({ state.state, state.fd }, { 3, -1 })
    free(t)
    counted.clean(mem)
  end
end

function T:test_the_server_hears_of_it_too()
  local mem = probe.base.mem()
  local t = open(mem, { { {} }, { { fail_open = 1 } } })
  clock.wait(function() return over(t) end, 5, function() turn(t) end)
  lu.assertEquals(text(t, 2), "fault:REFUSED close:1006")
  free(t)
  counted.clean(mem)
end

function T:test_reading_that_fails_says_so()
  local mem = probe.base.mem()
  local t = open(mem, { { { fail_read = 2 } }, { {} } })
  clock.wait(function() return over(t) end, 5, function()
    turn(t)
    if has(t, 2, "open:") then t.sessions[2]:send("x", false) end
  end)
  lu.assertStrContains(text(t, 1), "fault:REFUSED close:1006")
  lu.assertEquals(t.sessions[1]:state().word, "DOOR")
  free(t)
  counted.clean(mem)
end

-- A failure at the bottom is told in the bottom's words.
function T:test_failures_below()
  local mem = probe.base.mem()
  local t = open(mem, { { {} }, { {} } })
  sys.fault("recv", E.ECONNRESET, 1, 1)
  clock.wait(function() return over(t) end, 5, function() turn(t) end)
  sys.fault("recv", 0, 0)
  local words = {}
  for _, s in ipairs(t.sessions) do words[#words + 1] = s:state().words end
  lu.assertStrContains(table.concat(words, "\n"), "recv unix: Connection reset by peer")
  free(t)
  counted.clean(mem)
end

-- The handshake's one clock runs over it, at both ends.
function T:test_an_opening_that_never_ends()
  for i = 1, 2 do
    local mem = probe.base.mem()
    local world = probe.peer.world(mem, { backend = os.getenv "WSOCK_BACKEND", handshake_ms = 40 })
    local s, a, b = world:session(1, i == 2), sys.pair()
    local told = {}
    if i == 1 then s:hello() end
    s:adopt(a)
    s:stack { server = i == 2 }
    clock.wait(function() return told[2] end, 5, function()
      for _, e in ipairs((world:turn(5))) do told[#told + 1] = e[2] .. ":" .. e[3] end
    end)
    lu.assertEquals(table.concat(told, " "), "fault:HANDSHAKE_TIMEOUT close:1006")
    s:free()
    sys.close(b)
    world:free()
    counted.clean(mem)
  end
end

function T:test_closing_while_it_opens()
  for _, how in ipairs { "close", "terminate" } do
    for i = 1, 2 do
      local mem = probe.base.mem()
      local t = open(mem, { { {} }, { {} } })
      for _ = 1, i do turn(t) end
      t.sessions[1][how](t.sessions[1])
      clock.wait(function() return over(t) end, 5, function() turn(t) end)
      lu.assertStrContains(text(t, 1), "close:1006")
      free(t)
      counted.clean(mem)
    end
  end
end

-- Freed at any moment: streams give themselves back.
function T:test_freed_at_every_turn()
  for most = 0, 12 do
    local mem = probe.base.mem()
    local t = open(mem, { { {}, {} }, { {}, {} } })
    for _ = 1, most do turn(t) end
    free(t)
    counted.clean(mem, most)
  end
end

function T:test_the_nth_allocation_fails()
  local n, hit = 0
  repeat
    n = n + 1
    local mem = probe.base.mem()
    mem:fail(n)
    local t = open(mem, { { {}, {} }, { {}, {} } }, { close_ms = 30 })
    if t then
      if t.whole then lu.assertTrue(converse(t, 800), "allocation " .. n) end
      free(t)
    end
    hit = mem:state().failed > 0
    counted.clean(mem, "allocation " .. n)
  until not hit
  lu.assertTrue(n > 10, n)
end

function T:test_short_and_failing_calls()
  for _, call in ipairs { "recv", "sendmsg", "send" } do
    for skip = 0, 8 do
      for _, err in ipairs { E.EAGAIN, E.EINTR } do
        local mem = probe.base.mem()
        local t = open(mem, { { {} }, { {} } })
        sys.fault(call, err, 2, skip)
        lu.assertTrue(converse(t, 3000), call)
        sys.fault(call, 0, 0)
        lu.assertEquals(text(t, 1), WHOLE)
        free(t)
        counted.clean(mem)
      end
    end
  end
end

-- But a few steps of openings are taken in a turn, so that who is open already
-- has its turn in between.
function T:test_few_openings_a_turn()
  local mem = probe.base.mem()
  local world = probe.peer.world(mem, { backend = os.getenv "WSOCK_BACKEND" })
  local list, fds = {}, {}
  for i = 1, 20 do
    local a, b = sys.pair()
    list[i], fds[i] = world:session(i, true), b
    lu.assertTrue(list[i]:adopt(a))
    list[i]:stack { server = true, fail_open = 1 }
  end
  local ended, turns = 0, {}
  for t = 1, 6 do
    local before = ended
    for _, e in ipairs((world:turn(0))) do if e[2] == "close" then ended = ended + 1 end end
    turns[t] = ended - before
  end
  lu.assertEquals(turns, { 0, 8, 8, 4, 0, 0 })
  for i = 1, 20 do
    list[i]:free()
    sys.close(fds[i])
  end
  world:free()
  counted.clean(mem)
end

return T
