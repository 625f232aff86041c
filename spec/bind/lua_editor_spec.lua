-- bind/lua_editor.c: one editor at a time, what it refuses, and memory. What
-- users see of the two libraries: lua_readline_spec, lua_editline_spec.
--
-- Programs of their own, since an editor takes the terminal of its process; here
-- their standard input is a pipe, which readline reads too.

local lu = require "luaunit"
local files = require "support.files"
local process = require "support.process"

local T = {}

-- What a script prints behind "got ": the editors print as well. `core` and `read(editor)`, the next line, are there.
local function run(script, stdin, env)
  local output, code = process.run_lua { "-e", [[
    local core = require "wsock.core"
    local function read(editor)
      while true do
        local lines = editor:read()
        if lines ~= nil then return lines end
      end
    end
    local function got(...)
      local t = table.pack(...)
      for i = 1, t.n do t[i] = tostring(t[i]) end
      io.stdout:write("\ngot ", table.concat(t, " "), "\n")
    end
  ]] .. script, stdin = stdin or "", env = env }
  local seen = {}
  for line in output:gmatch "got ([^\n]*)" do seen[#seen + 1] = line end
  lu.assertEquals(code, 0, output)
  return seen
end

function T:test_lines_and_the_end()
  local seen = run([[
    local editor <close> = core.lineEditor("readline", 5)
    for _ = 1, 4 do
      editor:show()
      got(read(editor))
      editor:remember "a line"
    end
  ]], "one\n\nhalf")
  -- a line has its end; what has none when the input ends is none, and the end stays
  lu.assertEquals(seen, { "one", "", "false", "false" })
end

function T:test_there_is_one()
  local seen = run [[
    local editor = core.lineEditor("readline", 5)
    got(pcall(core.lineEditor, "libedit", 5))
    editor:close()
    editor:close()
    got(pcall(editor.show, editor))
    editor = core.lineEditor("readline", 5)
    editor = nil
    collectgarbage()
    editor = core.lineEditor("readline", 5)
    got(editor:read())
  ]]
  lu.assertEquals(seen, {
    "false there is an editor, and one terminal", "false this editor is closed", "false",
  })
end

function T:test_misuse()
  local seen = run [[
    got(core.lineEditor("vi", 5))
    got(pcall(core.lineEditor, "readline", 0))
    got(pcall(core.lineEditor, "readline"))
    local editor <close> = core.lineEditor("readline", 5)
    got(pcall(editor.remember, editor))
    got(pcall(editor.show, io.stdout))
  ]]
  local words = {
    "nil vi is not here", "no number of lines", "number expected", "string expected", "wsock.lineEditor expected",
  }
  for i, word in ipairs(words) do lu.assertStrContains(seen[i], word) end
end

-- A library that is none, or has not what is needed, is as if it were not there.
function T:test_no_library()
  local folder, remove = process.directory()
  for _, version in ipairs { 2, 0, 8 } do files.write(folder .. "/libedit.so." .. version, "none") end
  local script = [[got(core.lineEditor("libedit", 5))]]
  local seen = run(script, "", { LD_LIBRARY_PATH = folder })
  process.run { "gcc", "-shared", "-o", folder .. "/libedit.so.2", "-x", "c", "/dev/null" }
  seen[2] = run(script, "", { LD_LIBRARY_PATH = folder })[1]
  remove()
  lu.assertEquals(seen, { "nil libedit is not here", "nil libedit is not here" })
end

-- Each allocation fails in turn: a line may be lost, with an error, and nothing else is.
function T:test_memory()
  local seen = run([[
    local probe = require "wsock.probe".bind
    local life = [=[
      local core = require "wsock.core"
      collectgarbage "stop" -- a finalizer that Lua has no memory to call is lost
      arm()
      local ok, editor = pcall(core.lineEditor, "readline", 5)
      if ok then
        pcall(editor.show, editor)
        for _ = 1, 300 do pcall(editor.read, editor) end
      end
      disarm()
      collectgarbage "restart"
      if ok then editor:close() end
      return "fine"
    ]=]
    local result, info = probe.state(life)
    got(result, info.failed, info.bytes, info.wrong, info.calls > 5)
    local bad = 0
    for n = 1, info.calls do
      local state
      result, state = probe.state(life, n, 1)
      if result ~= "fine" or state.bytes ~= 0 or state.wrong ~= 0 then bad = bad + 1 end
    end
    got(bad)
  ]], (("x"):rep(99) .. "\n"):rep(500))
  lu.assertEquals(seen, { "fine 0 0 0 true", "0" })
end

return T
