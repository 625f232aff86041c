-- bind/lua_file: the file as an object. What may be opened is in net/file_spec.lua.

local lu = require "luaunit"
local files = require "support.files"
local core = require "wsock.core"
local process = require "support.process"

local T = {}

function T:setUp() self.root, self.remove = process.directory() end
function T:tearDown() self.remove() end

function T:write(name, data) files.write(self.root .. "/" .. name, data) end

function T:test_size_and_tag_say_whether_it_changed()
  self:write("a", "one")
  local file <close>, size, tag = core.openFile(self.root, "a")
  lu.assertEquals({ size, file:read() }, { 3, "one" })
  lu.assertStrMatches(tag, "%x+%-%x+%.%x+")
  local again <close>, _, same = core.openFile(self.root, "a")
  lu.assertEquals(same, tag)
  assert(os.execute(("touch -d @1000000000.5 %s/a"):format(self.root)))
  local third <close>, _, other = core.openFile(self.root, "a")
  lu.assertEquals(other, "3-3b9aca00.1dcd6500")
  lu.assertEquals({ again:read(), third:read() }, { "one", "one" })
end

function T:test_a_file_that_shrinks_or_grows_while_it_is_read()
  self:write("a", ("x"):rep(100000))
  local file <close> = core.openFile(self.root, "a")
  self:write("a", "short")
  lu.assertEquals(file:read(), "short")
  local second <close> = core.openFile(self.root, "a")
  self:write("a", ("y"):rep(100))
  lu.assertEquals(second:read(), "yyyyy")
  lu.assertEquals(second:read(), "yyyyy") -- goes on, no more than the size at a time
end

function T:test_errors_are_named()
  lu.assertEquals({ core.openFile(self.root, "no") }, { nil, "open: No such file or directory", "ENOENT" })
  local file = core.openFile(self.root, "no")
  lu.assertNil(file)
  self:write("a", "x")
  file = core.openFile(self.root, "a")
  file:close()
  file:close()
  lu.assertEquals({ file:read() }, { nil, "read: Bad file descriptor", "EBADF" })
end

-- Descriptors are counted after each test.
function T:test_a_file_nobody_holds_is_closed()
  self:write("a", "x")
  for _ = 1, 100 do core.openFile(self.root, "a") end
  collectgarbage()
  do
    local file <close> = core.openFile(self.root, "a")
    lu.assertEquals(file:read(), "x")
  end
end

function T:test_misuse()
  for _, args in ipairs { {}, { self.root }, { self.root, 1 }, { {}, "a" } } do
    lu.assertError(core.openFile, table.unpack(args))
  end
  self:write("a", "x")
  local file <close> = core.openFile(self.root, "a")
  lu.assertError(file.read)
  lu.assertError(file.read, io.stdout)
  lu.assertEquals(getmetatable(file), false)
end

return T
