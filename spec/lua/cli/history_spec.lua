-- wsock.cli.history: where the lines are, which are kept, and for whom.

local lu = require "luaunit"
local files = require "support.files"
local history = require "wsock.cli.history"
local peer = require "interop.peer"
local process = require "support.process"

local T = peer.class()

function T:setUp()
  self:directory()
  self.path = self.folder .. "/it's here/wsock/history"
end

local function path(env) return history.path(function(name) return env[name] end) end

function T:test_where()
  lu.assertEquals(path { HOME = "/home/ann" }, "/home/ann/.local/state/wsock/history")
  lu.assertEquals(path { HOME = "/home/ann", XDG_STATE_HOME = "/state" }, "/state/wsock/history")
  lu.assertEquals(path { HOME = "/home/ann", XDG_STATE_HOME = "state" }, "/home/ann/.local/state/wsock/history")
  lu.assertEquals(path { HOME = "/home/ann", XDG_STATE_HOME = "" }, "/home/ann/.local/state/wsock/history")
  lu.assertEquals(path { HOME = "/home/ann", XDG_STATE_HOME = "/state", WSOCK_HISTORY = "mine" }, "mine")
  lu.assertNil(path { HOME = "/home/ann", WSOCK_HISTORY = "" })
  lu.assertNil(path { HOME = "" })
  lu.assertNil(path {})
end

local function lines_of(path_)
  local _, lines = history.open(path_)
  return lines
end

function T:test_what_is_kept()
  local kept = history.open(self.path)
  local added = {}
  for i, line in ipairs { "one", "one", " secret", "", "\ttab", "two", "one" } do added[i] = kept:add(line) end
  lu.assertEquals(added, { true, false, false, false, false, true, true })
  lu.assertEquals(files.read(self.path), "one\ntwo\none\n")
  lu.assertEquals(lines_of(self.path), { "one", "two", "one" })
  lu.assertFalse((history.open(self.path)):add "one") -- nor in the next run
end

function T:test_it_is_the_users_own()
  history.open(self.path):add "one"
  local modes = process.run { "stat", "-c", "%a", self.path, self.path:match "^(.*)/", self.folder .. "/it's here" }
  lu.assertEquals(modes, "600\n700\n700\n")
end

-- A name without a folder is a file where the command was started.
function T:test_a_bare_name()
  local words = { "-e", "require 'wsock.cli.history'.open 'lines':add 'one'", cwd = self.folder }
  process.run_lua(words)
  lu.assertEquals(files.read(self.folder .. "/lines"), "one\n")
end

function T:test_it_has_an_end()
  local kept = history.open(self.path)
  for i = 1, 600 do kept:add("line " .. i) end
  local _, lines = history.open(self.path)
  lu.assertEquals({ #lines, lines[1], lines[500] }, { 500, "line 101", "line 600" })
  lu.assertEquals(files.read(self.path):match "^[^\n]*", "line 101") -- opened, it was shortened
  lu.assertEquals(process.run { "sh", "-c", 'cd "$1" && ls -A && stat -c %a history', "sh", self.path:match "^(.*)/" },
    "history\n600\n") -- and nothing else is left
end

-- Two at once: each line is there, and whole; who shortens does not take it from who is at work.
function T:test_two_at_once()
  local a, b = history.open(self.path), history.open(self.path)
  for i = 1, 300 do
    a:add("a" .. i)
    b:add("b" .. i)
  end
  local _, before = history.open(self.path) -- shortened
  lu.assertEquals(#before, 500)
  a:add "after"
  local lines = lines_of(self.path)
  lu.assertEquals({ #lines, lines[498], lines[499], lines[500] }, { 500, "a300", "b300", "after" })
end

function T:test_nowhere()
  for _, where in ipairs { "/dev/null/history", "/proc/history", self.folder, false } do
    local kept, lines = history.open(where or nil)
    lu.assertEquals(lines, {}, where)
    lu.assertTrue(kept:add "one")
    lu.assertFalse(kept:add "one")
  end
  local _, lines = history.open "/dev/null"
  lu.assertEquals(lines, {})
end

return T
