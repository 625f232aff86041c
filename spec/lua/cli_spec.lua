-- wsock.cli: help, version, faults; the manual has every flag; the command is
-- installed where it should be.

local lu = require "luaunit"
local command = require "support.command"
local flags = require "wsock.cli.flags"
local peer = require "interop.peer"
local process = require "support.process"
local wsock = require "wsock"

local T = peer.class()
T.alone = true -- make install builds what is not there yet

local root = require "support.files".root

local helps = { talk = require "wsock.cli.talk".help, listen = require "wsock.cli.listen".help }

function T:test_help_fits_a_screen()
  for name, words in pairs { talk = { "--help" }, listen = { "listen", "-h" } } do
    local output, code = command.run(words)
    lu.assertEquals({ output, code }, { helps[name], 0 })
    local height = 0
    for line in output:gmatch "([^\n]*)\n" do
      height = height + 1
      lu.assertTrue(utf8.len(line) <= 80, line)
    end
    lu.assertTrue(height < 24, height) -- and the shell's prompt
  end
end

function T:test_version()
  lu.assertEquals({ command.run { "--version" } }, { wsock._VERSION .. "\n", 0 })
  lu.assertEquals({ command.run { "listen", "--version" } }, { wsock._VERSION .. "\n", 0 })
end

function T:test_usage()
  for fault, words in pairs {
    ["a URL is missing"] = {}, ["one URL is enough: what is 'b'?"] = { "a", "b" },
    ["unknown flag --conut; did you mean --count?"] = { "--conut=3", "a" },
    ["--header must be 'Name: value', got 'x'"] = { "-H", "x", "a" },
    ["wsock: SyntaxError: the URL 'ftp://a/' is invalid"] = { "ftp://a/" }, ["SyntaxError"] = { "a", "-s", "no token" },
    ["listen comes first: wsock listen [flags] PORT"] = { "-v", "listen", "1" },
    ["unknown flag -c; the URL stands alone"] = { "-c", "ws://a/" },
    ["--auth must be 'user:password'"] = { "a", "--auth", "me" },
    ["--digest needs --auth"] = { "a", "--digest" },
    ["-w must be a number of seconds, got 'x'"] = { "-wx" },
    ["Sec-WebSocket-Key"] = { "a", "-H", "Sec-WebSocket-Key: x" },
  } do
    local output, code = command.run(words)
    lu.assertEquals(code, 2, fault)
    lu.assertStrContains(output, fault)
    lu.assertStrContains(output, "\nwsock --help says more\n")
  end
end

-- Flags in the first cells of the tables of the manual's chapter, under "wsock URL" and "wsock listen".
local function flags_of_the_manual()
  local names, which = {}, nil
  for line in io.lines(root .. "/README.md") do
    if line:find "^## " then which = nil end
    if line:find "^## The command" then which = "talk" end
    if which and line:find "^### .*listen" then which = "listen" end
    if which and line:find "^|" then
      for name in line:match "^|([^|]*)|":gmatch "%-%-?[%a-]+" do
        if name ~= "---" then names[which .. " " .. name] = true end
      end
    end
  end
  return names
end

function T:test_every_flag_is_in_the_manual_and_the_reverse()
  local known = {}
  for which, help in pairs(helps) do
    for name in pairs(flags.read(help)) do known[which .. " " .. name] = true end
  end
  lu.assertEquals(flags_of_the_manual(), known)
end

-- Whether the installed command works, with nothing told about where its modules are.
local function works(path)
  local child = peer.start { path, "listen", "0", env = { LUA_PATH_5_4 = ";;", LUA_CPATH_5_4 = ";;" } }
  local url = child:expect("listening on (%S+)", 10, peer.pump)
  local client = peer.start { path, url, "-n1", "-x", "hello", env = { LUA_PATH_5_4 = ";;", LUA_CPATH_5_4 = ";;" } }
  lu.assertEquals({ client:wait(10, peer.pump), client:output() }, { 0, "hello\n" })
end

function T:test_make_install()
  local folder = self:directory()
  local output, code = process.run { "make", "-C", root, "install", "DESTDIR=" .. folder, "PREFIX=/opt/wsock",
    seconds = 300 }
  lu.assertEquals(code, 0, output)
  works(folder .. "/opt/wsock/bin/wsock")
  output, code = process.run { "make", "-C", root, "uninstall", "DESTDIR=" .. folder, "PREFIX=/opt/wsock" }
  lu.assertEquals(code, 0, output)
  lu.assertEquals(process.run { "find", folder, "-type", "f" }, "")
end

return T
