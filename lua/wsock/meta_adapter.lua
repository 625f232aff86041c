---@meta wsock

-- lua/wsock/meta_adapter.lua -- the types of wsock.adapter; see meta.lua.
-- luacheck: no max comment line length

---@class wsock
---@field adapter {luv: wsock.Adapter, cqueues: wsock.Adapter, copas: wsock.Adapter}

-- With the options of wsock.protocol.client or .server; receiveQueue and
-- handler are of cqueues and copas, handlers (onopen ...) of luv.
---@alias wsock.AdapterOptions wsock.ProtocolOptions|table<string, any>
---@alias wsock.AdapterHandler fun(socket: wsock.AdapterSocket)

---@class wsock.Adapter
local Adapter = {}

---@param url string ws: or http:
---@param options? wsock.AdapterOptions
---@return wsock.AdapterSocket? socket, string? message, string? code, integer? status of a refusal
function Adapter.connect(url, options) end

---@param options wsock.AdapterOptions with port, and handler or luv's handlers
---@return wsock.AdapterServer? server, string? message, string? code
function Adapter.listen(options) end

--- The server's side of a connected stream of that loop.
---@param stream any
---@param options? wsock.AdapterOptions
---@return wsock.AdapterSocket? socket, string? message, string? code
function Adapter.accept(stream, options) end

--- A copas before 2.0: lets the tasks go on that are due.
---@return number? seconds until the next one is
function Adapter.tick() end

---@class wsock.AdapterSocket
---@field conn wsock.Protocol
---@field ping fun(self: wsock.AdapterSocket, data?: string|number): true?, string?, string?
---@field pong fun(self: wsock.AdapterSocket, data?: string|number): true?, string?, string?
---@field close fun(self: wsock.AdapterSocket, code?: integer, reason?: string): true
---@field terminate fun(self: wsock.AdapterSocket): true
---@field pause fun(self: wsock.AdapterSocket) luv
---@field resume fun(self: wsock.AdapterSocket) luv
---@field onopen nil|wsock.AdapterHandler luv, as all on...
---@field onmessage nil|fun(socket: wsock.AdapterSocket, data: string, kind: wsock.Kind)
---@field onclose nil|fun(socket: wsock.AdapterSocket, code: integer, reason: string, wasClean: boolean)
---@field onerror nil|fun(socket: wsock.AdapterSocket, message: string, code: string, status?: integer)
---@field onchunk nil|fun(socket: wsock.AdapterSocket, data: string, kind: wsock.Kind, final: boolean)
---@field receiveChunk fun(self: wsock.AdapterSocket, timeout?: number): string?, string?, boolean|string|nil
---@field onframe nil|fun(socket: wsock.AdapterSocket, data: string, kind: wsock.FrameKind, final: boolean, code?: integer)
---@field sendFrame fun(self: wsock.AdapterSocket, data: string, kind: wsock.FrameKind, final?: boolean): true?, string?, string?
---@field onping nil|fun(socket: wsock.AdapterSocket, data: string)
---@field onpong nil|fun(socket: wsock.AdapterSocket, data: string)
---@field ondrain nil|wsock.AdapterHandler
local AdapterSocket = {}

---@param data string|number
---@param kind? wsock.Kind
---@param options? {final?: boolean}
---@return true? sent, string? message, string? code
function AdapterSocket:send(data, kind, options) end

---@param timeout? number seconds
---@return string? data, wsock.Kind kind without data: a message
---@return string? code, integer? closeCode, string? reason
function AdapterSocket:receive(timeout) end

---@return fun(): string?, wsock.Kind
function AdapterSocket:messages() end

---@class wsock.AdapterServer
local AdapterServer = {}

---@return string host, integer port
function AdapterServer:address() end

--- Accepts no more; who is there stays.
function AdapterServer:close() end
