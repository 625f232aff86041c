---@meta wsock.straight

-- lua/wsock/meta_straight.lua -- types of the straight-line style: waiting, and
-- coroutines of a loop.
-- luacheck: no max comment line length, ignore 212 211 241

---@class wsock
local wsock = {}

--- Connects and waits until the socket is open.
---@param url string
---@param options? wsock.ClientOptions
---@return wsock.Socket? socket, string? message, string? code, integer? status of a refused handshake
function wsock.connect(url, options) end

--- A coroutine of the default loop; it starts in the next turn.
---@param fn fun(...): ...
---@param ... any its arguments
---@return wsock.Task
function wsock.spawn(fn, ...) end

--- Waits; the default loop turns meanwhile.
---@param seconds number
function wsock.sleep(seconds) end

---@class wsock.Socket
local Socket = {}

--- The next message.
---@param timeout? number seconds; no limit unless told
---@return wsock.Received? data nil: none came
---@return wsock.Kind kind without data: a message
---@return "TIMEOUT"|"CLOSED"|nil code
---@return integer? closeCode, string? reason
function Socket:receive(timeout) end

--- With the option streaming: the next part of a message.
---@param timeout? number seconds
---@return wsock.Received? data nil: none came
---@return wsock.Kind kind without data: a message
---@return boolean|"TIMEOUT"|"CLOSED" final or the code
---@return integer? closeCode, string? reason
function Socket:receiveChunk(timeout) end

--- For `for data, kind in socket:messages() do`; ends with the connection.
---@return fun(socket: wsock.Socket): wsock.Received?, wsock.Kind
---@return wsock.Socket
function Socket:messages() end

--- Waits until bufferedAmount is at or under lowWaterMark.
---@param timeout? number seconds
---@return true? drained, string? message, string? code "TIMEOUT" or "CLOSED"
function Socket:drain(timeout) end

---@class wsock.Loop
local Loop = {}

---@param fn fun(...): ...
---@param ... any
---@return wsock.Task
function Loop:spawn(fn, ...) end

---@param seconds number
function Loop:sleep(seconds) end

---@class wsock.Task
local Task = {}

--- Waits for its end.
---@param timeout? number seconds
---@return true? done nil: it raised, was cancelled, or the time is up
---@return any ... what it returned; or what it raised or a message, and "ERROR", "CANCELLED" or "TIMEOUT"
function Task:join(timeout) end

--- Closes the coroutine where it waits: its to-be-closed variables are closed,
--- and it never goes on.  Raises for one that is running.
---@return boolean cancelled false: it had ended
function Task:cancel() end

return wsock
