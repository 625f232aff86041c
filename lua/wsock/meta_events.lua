---@meta wsock.events

-- lua/wsock/meta_events.lua -- types of what the browser's way of listening passes.
--
-- luacheck: no max comment line length

---@class wsock.Event
---@field type string
---@field target wsock.Socket
---@field currentTarget wsock.Socket
---@field data any message, ping and pong: a string; message: see binaryType
---@field kind wsock.Kind? message, chunk
---@field final boolean? chunk
---@field origin string? message
---@field message string? error
---@field status integer? error: of a refused handshake
---@field code any error: a word; close: a number
---@field reason string? close
---@field wasClean boolean? close

-- Event by event.
---@alias wsock.ChunkEvent {target: wsock.Socket, type: string, data: wsock.Received, kind: wsock.Kind, final: boolean}
---@alias wsock.MessageEvent {target: wsock.Socket, type: string, data: wsock.Received, kind: wsock.Kind, origin: string?}
---@alias wsock.ErrorEvent {target: wsock.Socket, type: string, message: string, code: string, status: integer?}
---@alias wsock.CloseEvent {target: wsock.Socket, type: string, code: integer, reason: string, wasClean: boolean}
---@alias wsock.PingEvent {target: wsock.Socket, type: string, data: string}

return {}
