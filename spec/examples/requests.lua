-- spec/examples/requests.lua -- questions with numbers: a client asks several
-- at once, and each gets its own answer, in whatever order they come.
--
--   lua5.4 requests.lua
--
-- To wait for something of one's own: `join` a task that sleeps, and `cancel`
-- it when the thing is there. Messages are "NUMBER QUESTION", "NUMBER ANSWER";
-- with JSON it would be the same. The server is in the program, too.

local wsock = require "wsock"

-- ---- the server: a task for each question, so that none holds up another -----

local function answer(socket, text)
  local number, seconds, what = text:match "^(%d+) wait ([%d.]+) and say (.*)$"
  if not number then return socket:send((text:match "^%d+" or "?") .. " what?") end
  wsock.sleep(tonumber(seconds))
  socket:send(number .. " " .. what)
end

local server <close> = assert(wsock.listen {
  port = 0,
  onmessage = function(socket, text) wsock.spawn(answer, socket, text) end,
})

-- ---- the client -----------------------------------------------------------------

local socket <close> = assert(wsock.connect(("ws://%s:%d/"):format(server:address())))
local waiting, last = {}, 0 -- by number: the task that sleeps, and what was said

local function ask(question, timeout)
  last = last + 1
  local number = last
  local sent, message = socket:send(number .. " " .. question)
  if not sent then return nil, message end
  local one = { bell = wsock.spawn(wsock.sleep, timeout or 5) }
  waiting[number] = one
  one.bell:join()
  waiting[number] = nil
  return one.said or "no answer"
end

wsock.spawn(function()
  for text in socket:messages() do
    local number, said = text:match "^(%d+) (.*)$"
    local one = waiting[tonumber(number)]
    if one then -- else it came too late
      one.said = said
      one.bell:cancel()
    end
  end
  for _, one in pairs(waiting) do one.bell:cancel() end -- the connection is gone
end)

local slow = wsock.spawn(function() print(ask "wait 0.3 and say slow") end)
local fast = wsock.spawn(function() print(ask "wait 0 and say fast") end)
print(ask "how are you?")
slow:join()
fast:join()
print(ask("wait 60 and say never", 0.1))
