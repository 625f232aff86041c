-- net/file: a regular file below a directory. Lua sees it through openFile.

local lu = require "luaunit"
local files = require "support.files"
local bytes = require "support.bytes"
local core = require "wsock.core"
local process = require "support.process"

local T = {}

local function run(command, ...)
  assert(os.execute(command:format(...)), command)
end

function T:setUp()
  self.folder, self.remove = process.directory()
  run("mkdir -p %s/root/sub/deep %s/outside && echo secret > %s/outside/secret", self.folder, self.folder, self.folder)
  self.root = self.folder .. "/root"
end

function T:tearDown() self.remove() end

function T:write(name, data) files.write(self.root .. "/" .. name, data) end

-- What opening a path comes to: its content, or the error's code.
function T:open(path)
  local opened, size, tag = core.openFile(self.root, path)
  if not opened then return tag end
  local file <close> = opened
  local data = file:read()
  lu.assertEquals(#data, size)
  return data
end

function T:test_content()
  for name, data in pairs { a = "", ["sub/b"] = "hello\n", ["sub/deep/c d"] = bytes.random(300000),
    ["..."] = "dots", ["..a"] = "more", [("n"):rep(255)] = "long", ["\xff\n"] = "odd" } do
    self:write(name, data)
    bytes.equals(self:open(name), data)
  end
end

function T:test_paths_that_are_none()
  self:write("sub/b", "x")
  for _, path in ipairs { "", "/", "/sub/b", "sub/b/", "sub//b", "sub/", "//", ".", "..", "./sub/b", "sub/./b",
    "sub/../sub/b", "../root/sub/b", "../outside/secret", "sub/..", "sub/b\0", "\0", "sub\0/b" } do
    lu.assertEquals({ path, self:open(path) }, { path, "EINVAL" })
  end
  lu.assertEquals(self:open(("n"):rep(256)), "ENAMETOOLONG")
  lu.assertEquals(self:open("sub/" .. ("n"):rep(10000) .. "/x"), "ENAMETOOLONG")
end

function T:test_what_is_no_file()
  self:write("a", "x")
  run("mkfifo %s/pipe", self.root)
  for path, code in pairs { sub = "EISDIR", ["sub/deep"] = "EISDIR", no = "ENOENT", ["no/x"] = "ENOENT",
    ["a/x"] = "ENOTDIR", pipe = "EACCES" } do
    lu.assertEquals({ path, self:open(path) }, { path, code })
  end
end

-- Neither as the file nor on the way, whatever they point to.
function T:test_links_are_not_followed()
  self:write("a", "x")
  run("cd %s && ln -s a file && ln -s sub way && ln -s ../outside out && ln -s ../outside/secret s && ln -s nothing no "
    .. "&& ln -s loop loop && ln a hard", self.root)
  for path, code in pairs { file = "ELOOP", s = "ELOOP", no = "ELOOP", loop = "ELOOP", way = "ELOOP", out = "ELOOP",
    ["way/x"] = "ENOTDIR", ["out/secret"] = "ENOTDIR", hard = "x" } do
    lu.assertEquals({ path, self:open(path) }, { path, code })
  end
end

function T:test_the_directory_itself_may_be_a_link()
  self:write("a", "x")
  run("ln -s root %s/link", self.folder)
  self.root = self.folder .. "/link"
  lu.assertEquals(self:open "a", "x")
end

function T:test_directories_that_are_none()
  for path, code in pairs { [self.folder .. "/no"] = "ENOENT", [self.folder .. "/outside/secret"] = "ENOTDIR",
    [""] = "ENOENT" } do
    self.root = path
    lu.assertEquals({ path, self:open "a" }, { path, code })
  end
end

-- A directory that may be passed but not listed is passed.
function T:test_a_directory_that_cannot_be_listed()
  self:write("sub/b", "x")
  run("chmod 711 %s/sub", self.root)
  lu.assertEquals(self:open "sub/b", "x")
end

return T
