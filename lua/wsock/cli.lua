--- The command `wsock`.
-- @module wsock.cli

local wsock = require "wsock"
local flags = require "wsock.cli.flags"
local listen = require "wsock.cli.listen"
local talk = require "wsock.cli.talk"

local M = {}

-- Where standard input or output is closed, the next thing opened would take its number, and be read for it.
local function fill_gaps()
  local held = {}
  for i = 1, 3 do held[i] = io.open("/dev/null", "r+") end
  return held
end

local function run(command, words)
  local options, rest = flags.parse(flags.read(command.help), words, command.lists, command.strangers)
  if options.help then
    io.stdout:write(command.help)
    return 0
  elseif options.version then
    io.stdout:write(wsock._VERSION, "\n")
    return 0
  end
  return command.run(options, rest)
end

--- Runs the command.
-- @tparam {string,...} words the command line, without the program's name
-- @treturn integer exit code: 0 done, 1 no connection, 2 usage, 3 closed otherwise than expected
function M.main(words)
  local command, _ <const> = talk, fill_gaps()
  if words[1] == "listen" then
    command, words = listen, table.move(words, 2, #words, 1, {})
  end
  local function traced(e) return type(e) == "table" and e or debug.traceback(e, 2) end
  local ok, result = xpcall(run, traced, command, words)
  if ok then return result end
  if type(result) ~= "table" then error(result, 0) end
  io.stderr:write("wsock: ", result.usage, "\nwsock", command == listen and " listen" or "", " --help says more\n")
  return 2
end

return M
