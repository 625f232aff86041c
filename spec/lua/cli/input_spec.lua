-- wsock.cli.input: lines and blocks of a descriptor, in the loop.

local lu = require "luaunit"
local wsock = require "wsock"
local input = require "wsock.cli.input"
local sys = require "wsock.probe".net.sys

local T = {}

function T:setUp()
  self.rd, self.wr = sys.pipe()
  self.seen = {}
end

function T:tearDown()
  if self.input then self.input:stop() end
  sys.close(self.rd)
  if self.wr then sys.close(self.wr) end
end

function T:start(fd, blocks)
  self.input = input.start(fd or self.rd, {
    blocks = blocks,
    take = function(bytes)
      self.seen[#self.seen + 1] = bytes
      if self.act then self.act(bytes) end
    end,
    done = function(message) self.seen[#self.seen + 1] = message or true end,
  })
end

function T:write(bytes) lu.assertEquals(sys.write(self.wr, bytes), #bytes) end

function T:finish()
  sys.close(self.wr)
  self.wr = nil
end

function T:test_lines_however_they_are_cut()
  self:start()
  for _, piece in ipairs { "a", "b\ncd", "\n\n", "e\nf" } do
    self:write(piece)
    wsock.step(1)
  end
  lu.assertEquals(self.seen, { "ab", "cd", "", "e" })
  self:finish()
  wsock.run() -- ends: nothing is watched any more
  lu.assertEquals(self.seen, { "ab", "cd", "", "e", "f", true })
end

function T:test_no_line_of_nothing_at_the_end()
  self:start()
  self:write "a\n"
  self:finish()
  wsock.run()
  lu.assertEquals(self.seen, { "a", true })
end

function T:test_blocks()
  self:start(nil, true)
  self:write "a\nb"
  wsock.step(1)
  self:write "\n"
  self:finish()
  wsock.run()
  lu.assertEquals(self.seen, { "a\nb", "\n", true })
end

function T:test_nothing_is_read_while_paused()
  self:start()
  self:write "a\n"
  self.act = function() self.input:pause() end
  wsock.run() -- ends: a paused input keeps nothing going
  self:write "b\n"
  wsock.step()
  lu.assertEquals(self.seen, { "a" })
  self.input:resume()
  self.input:resume()
  wsock.run()
  lu.assertEquals(self.seen, { "a", "b" })
end

function T:test_stopped_by_a_line()
  self:start()
  self.act = function() self.input:stop() end
  self:write "a\nb\nc"
  wsock.run()
  self.input:resume()
  wsock.run()
  lu.assertEquals(self.seen, { "a" })
end

function T:test_a_file_and_the_null_device()
  local name = os.tmpname()
  local file <close> = assert(io.open(name, "w"))
  for i = 1, 30000 do file:write(i, "\n") end
  file:flush()
  local fd = sys.open(name)
  self:start(fd)
  wsock.run()
  lu.assertEquals(#self.seen, 30001)
  lu.assertEquals({ self.seen[1], self.seen[30000], self.seen[30001] }, { "1", "30000", true })
  sys.close(fd)
  os.remove(name)
  self.seen, fd = {}, sys.open "/dev/null"
  self:start(fd)
  wsock.run()
  lu.assertEquals(self.seen, { true })
  sys.close(fd)
end

function T:test_what_cannot_be_read()
  self:start(9999)
  wsock.run()
  lu.assertEquals(self.seen, { "read: Bad file descriptor" })
end

-- One line in thousands of pieces costs what its bytes cost.
function T:test_a_long_line()
  local piece = ("x"):rep(60000)
  self:start()
  for _ = 1, 100 do
    self:write(piece)
    wsock.step(1)
  end
  self:write "\n"
  wsock.step(1)
  lu.assertEquals({ #self.seen, #self.seen[1] }, { 1, 6000000 })
end

return T
