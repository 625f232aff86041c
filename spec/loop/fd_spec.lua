-- loop/fd: reading what belongs to somebody else, without waiting.

local lu = require "luaunit"
require "wsock" -- its default loop is there before descriptors are counted
local read = require "wsock.core".read
local sys = require "wsock.probe".net.sys

local T = {}

function T:setUp() self.rd, self.wr = sys.pipe() end

function T:tearDown()
  sys.close(self.rd)
  if self.wr then sys.close(self.wr) end
end

function T:hang_up()
  sys.close(self.wr)
  self.wr = nil
end

function T:test_what_is_there_and_no_more()
  sys.block(self.rd, true)
  sys.write(self.wr, "abc")
  lu.assertEquals(read(self.rd), "abc")
  lu.assertEquals(select(3, read(self.rd)), "EAGAIN") -- and not: waits for ever
  sys.write(self.wr, "de")
  lu.assertEquals(read(self.rd, 1), "d")
  lu.assertEquals(read(self.rd, 1), "e")
end

function T:test_the_end_comes_behind_the_rest()
  sys.write(self.wr, "abc")
  self:hang_up()
  lu.assertEquals(read(self.rd), "abc")
  lu.assertEquals(read(self.rd), "")
  lu.assertEquals(read(self.rd), "")
end

function T:test_it_leaves_the_descriptor_as_it_is()
  sys.block(self.rd, true)
  local before = table.pack(sys.flags(self.rd))
  read(self.rd)
  lu.assertEquals(table.pack(sys.flags(self.rd)), before)
end

function T:test_a_descriptor_that_is_set_not_to_wait()
  sys.block(self.rd, false)
  lu.assertEquals({ read(self.rd) }, { nil, "read: Resource temporarily unavailable", "EAGAIN" })
end

function T:test_files()
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(("x"):rep(100000))
  file:close()
  local fd = sys.open(name)
  lu.assertEquals(#read(fd), 65536)
  lu.assertEquals(#read(fd, 1024 * 1024), 100000 - 65536)
  lu.assertEquals(read(fd), "")
  sys.close(fd)
  os.remove(name)
end

function T:test_what_cannot_be_read()
  lu.assertEquals({ read(self.wr) }, { nil, "read: Resource temporarily unavailable", "EAGAIN" })
  lu.assertEquals({ read(9999) }, { nil, "read: Bad file descriptor", "EBADF" })
end

return T
