-- spec/support/tunnels.lua -- what the specs of proxies' tunnels share: a class
-- whose tests have memory that is counted (self.mem) and tunnels in it, all
-- closed at the end. A tunnel stands on bytes a test feeds, see
-- probe/probe_tunnel.c; its proxy is proxy:1080.

local lu = require "luaunit"
local counted = require "support.counted"
local probe = require "wsock.probe"

local M = {}

--- A spec's class; usual is what a tunnel of its tests is made of unless told.
function M.class(usual)
  local T = counted.class(function(self) self.tunnels = setmetatable({}, { __mode = "k" }) end,
    function(self) for t in pairs(self.tunnels) do t:close() end end)

  --- A tunnel, or nil and the word of what failed.
  function T:tunnel(options)
    local o = {}
    for k, v in pairs(usual) do o[k] = v end
    for k, v in pairs(options or {}) do o[k] = v end
    local t, err = probe.net.tunnel(self.mem, o)
    if t then self.tunnels[t] = true end
    return t, err
  end

  --- Opens one with these options, fed with answer, while the n-th allocation
  --- fails, for every n; the first n with which nothing did.
  function T:exhaust(options, answer)
    local n, done = 0, false
    while not done do
      n = n + 1
      self.mem:fail(n)
      local t, err = self:tunnel(options)
      if not t then
        lu.assertEquals(err, "NOMEM")
      else
        t:feed(answer)
        if not M.open(t) then lu.assertStrContains((t:failure "recv"), "out of memory") end
        t:close()
        done = self.mem:state().failed == 0
      end
      self.mem:fail(0)
      lu.assertEquals(self.mem:state().used, 0)
    end
    return n
  end

  return T
end

--- Opens one as far as what its proxy has said will take it: true, or nil and
--- the word.
function M.open(t)
  local ok, code
  for _ = 1, 1000 do -- what was said is shorter than this many turns
    ok, code = t:open()
    if ok or code ~= "AGAIN" or t:want():find "anew" then break end
  end
  return ok, code
end

--- What a refused one says behind "<what> <host>:<port> by proxy:1080: ".
function M.failure(t, what)
  lu.assertEquals({ M.open(t) }, { nil, "PROXY" })
  local text, word = t:failure "recv"
  lu.assertEquals(word, "PROXY")
  lu.assertEquals(text:sub(1, #what), what)
  return (text:sub(#what + 1))
end

return M
