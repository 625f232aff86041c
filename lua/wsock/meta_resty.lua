---@meta wsock

-- lua/wsock/meta_resty.lua -- the types of frame mode and of wsock.resty; see
-- meta.lua.
-- luacheck: no max comment line length

---@class wsock
---@field resty {client: wsock.RestyClient, server: wsock.RestyServer, protocol: wsock.RestyProtocol}

---@alias wsock.FrameKind "continuation"|"text"|"binary"|"close"|"ping"|"pong"

---@class wsock.Socket
local Socket = {}

--- With the option frames: one frame as it is; of a Close data is code and
--- reason as on the wire.
---@param data string
---@param kind wsock.FrameKind
---@param final? boolean true
---@return true? sent, string? message, string? code
function Socket:sendFrame(data, kind, final) end

-- What client and server have in common.  Sends return the bytes on the wire,
-- or nil, err.
---@class wsock.RestyFrames
---@field sock wsock.Socket?
---@field fatal boolean?
---@field set_timeout fun(self: wsock.RestyFrames, ms: number): integer?
---@field send_text fun(self: wsock.RestyFrames, data?: any): integer?, string?
---@field send_binary fun(self: wsock.RestyFrames, data?: any): integer?, string?
---@field send_ping fun(self: wsock.RestyFrames, data?: any): integer?, string?
---@field send_pong fun(self: wsock.RestyFrames, data?: any): integer?, string?
local RestyFrames = {}

---@return string? data, wsock.FrameKind? typ, string|integer|nil err "again", a close code, or an error
function RestyFrames:recv_frame() end

---@param code? integer
---@param message? string
---@return integer? bytes, string? err
function RestyFrames:send_close(code, message) end

---@param fin boolean
---@param opcode integer
---@param payload? any
---@return integer? bytes, string? err
function RestyFrames:send_frame(fin, opcode, payload) end

---@class wsock.RestyClient: wsock.RestyFrames
local RestyClient = {}

---@param options? {timeout?: number, max_payload_len?: integer, max_recv_len?: integer, max_send_len?: integer}
---@return wsock.RestyClient? wb, string? err
function RestyClient:new(options) end

---@param uri string
---@param options? {protocols?: string|string[], origin?: string, headers?: string[], host?: string, key?: string, ssl_verify?: boolean, server_name?: string, client_cert?: string, client_priv_key?: string, pool?: string, pool_size?: integer, backlog?: integer}
---@return 1? ok, string? err, string? res
function RestyClient:connect(uri, options) end

---@return 1? ok, string? err
function RestyClient:close() end

---@param idle? number milliseconds
---@param size? integer
---@return 1? ok, string? err
function RestyClient:set_keepalive(idle, size) end

---@class wsock.RestyServer: wsock.RestyFrames
---@field send_continue fun(self: wsock.RestyServer, data?: any): integer?, string?
local RestyServer = {}

---@param options? {timeout?: number, max_payload_len?: integer, max_recv_len?: integer, max_send_len?: integer, protocols?: string[]}
---@return wsock.RestyServer? wb, string? err
function RestyServer:new(options) end

---@param options wsock.ServerOptions with handler: fun(request: wsock.Request)
---@return wsock.Server? server, string? message, string? code
function RestyServer.listen(options) end

---@class wsock.RestyProtocol
---@field _VERSION string
local RestyProtocol = {}

---@param sock table with receive(n) and send(bytes)
---@param max_payload_len? integer 65,535
---@param force_masking? boolean
---@return string? data, wsock.FrameKind? typ, string|integer|nil err
function RestyProtocol.recv_frame(sock, max_payload_len, force_masking) end

---@param fin boolean
---@param opcode integer
---@param payload_len integer
---@param payload? string
---@param masking? boolean
---@return string? frame, string? err
function RestyProtocol.build_frame(fin, opcode, payload_len, payload, masking) end

---@param sock table
---@param fin boolean
---@param opcode integer
---@param payload? any
---@param max_payload_len? integer 65,535
---@param masking? boolean
---@return integer? bytes, string? err
function RestyProtocol.send_frame(sock, fin, opcode, payload, max_payload_len, masking) end

---@return table
function RestyProtocol.new_tab() end
