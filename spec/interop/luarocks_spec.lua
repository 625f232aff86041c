-- LuaRocks builds the library and installs the command; both work from there.

local lu = require "luaunit"
local peer = require "interop.peer"
local process = require "support.process"

local T = peer.class()

local root = require "support.files".root

function T:test_make_gives_the_library_and_the_command()
  local folder = self:directory()
  local output, code = process.run { "cp", "-r", root .. "/csrc", root .. "/lua", root .. "/rockspec",
    root .. "/README.md", folder }
  lu.assertEquals(code, 0, output)
  output, code = process.run { "luarocks", "--lua-version=5.4", "--tree=" .. folder .. "/tree", "make", cwd = folder,
    seconds = 300 }
  lu.assertEquals(code, 0, output)
  local path = folder .. "/tree/bin/wsock"
  local env = { LUA_PATH_5_4 = ";;", LUA_CPATH_5_4 = ";;" }
  local server = peer.start { path, "listen", "0", env = env, cwd = "/" }
  local url = server:expect("listening on (%S+)", 10, peer.pump)
  local client = peer.start { path, url, "-n1", "-x", "hello", env = env, cwd = "/" }
  lu.assertEquals({ client:wait(10, peer.pump), client:output() }, { 0, "hello\n" })
end

return T
