-- adapter/copas: client and server in copas' coroutines.  Debian has copas
-- 1.1.7, and for older Luas only; it is one file that runs in 5.4.  Later ones
-- have sleep and wakeup, which are imitated here: every test runs both ways.

local path = package.path
package.preload.coxpcall = function() return { pcall = pcall, xpcall = xpcall } end
package.path = path .. ";/usr/share/lua/5.2/?.lua"
local copas = require "copas"
package.path = path

local adapter = require "wsock.adapter.copas"
local lu = require "luaunit"
local net = require "socket"
local peer = require "interop.peer"

local now = net.gettime

-- ---- sleep and wakeup of copas 2 -----------------------------------------------------

local sleepers = {} -- task → when it goes on, math.huge: when it is woken

local queue = { insert = function() end }
function queue.push(_, seconds, co)
  sleepers[co] = seconds < 0 and math.huge or now() + seconds
end

local later = {}
function later.sleep(seconds) coroutine.yield(seconds or 0, queue) end
function later.wakeup(co)
  if sleepers[co] then sleepers[co] = 0 end
end

local function wake()
  local due = {}
  for co, time in pairs(sleepers) do
    if time <= now() then due[#due + 1] = co end
  end
  for _, co in ipairs(due) do
    sleepers[co] = nil
    copas.addthread(co)
  end
end

local function become(version)
  copas.sleep, copas.wakeup = version.sleep, version.wakeup
end

-- ---- the tests, both ways ---------------------------------------------------------------

local raised

-- An old copas prints what is raised.
local function step()
  local say = print
  rawset(_G, "print", function(message) raised = message end)
  adapter.tick()
  wake()
  copas.step(0)
  rawset(_G, "print", say)
end

local T = require "support.adapter_cases" {
  adapter = adapter,
  stream = function(port) return net.connect("127.0.0.1", port) end,
  spawn = copas.addthread,
  step = step,
  error = function(forget)
    raised = not forget and raised or nil
    return raised
  end,
}

local getaddrinfo = net.dns.getaddrinfo

-- Nobody is at the first, or it cannot be reached at all.
function T:test_every_address_of_a_name_is_tried()
  local _, port = peer.echo()
  function net.dns.getaddrinfo() return { { addr = "::1" }, { addr = "::1" }, { addr = "127.0.0.1" } } end
  local message
  copas.addthread(function()
    self.socket, message = adapter.connect(("ws://two.example:%d/"):format(port))
    message = message or "open"
  end)
  peer.wait(function()
    step()
    return message
  end)
  lu.assertEquals(message, "open")
end

local names = {}
for name in pairs(T) do
  if name:find "^test_" then names[#names + 1] = name end
end
for _, name in ipairs(names) do
  T["test_later_" .. name:sub(6)] = function(self)
    become(later)
    T[name](self)
  end
end

local tearDown = T.tearDown
function T:tearDown()
  local ok, message = pcall(tearDown, self)
  become {}
  net.dns.getaddrinfo = getaddrinfo
  if not ok then error(message, 0) end
end

return T
