---@meta wsock

-- lua/wsock/meta_helpers.lua -- the types of what is written in Lua: router, static, hub, digest, reconnecting; see
-- meta.lua.
-- luacheck: no max comment line length

---@class wsock
local wsock = {}

--- Paths to handlers, for wsock.listen's option router.
---@param options? {notFound?: fun(request: wsock.Request, response: wsock.Response)}
---@return wsock.Router
function wsock.router(options) end

--- A handler that sends the files of a directory.
---@param directory string
---@param options? wsock.StaticOptions
---@return wsock.RouteHandler
function wsock.static(directory, options) end

---@class wsock.StaticOptions
---@field index string|false|nil "index.html"
---@field maxSize integer? bytes of a file: 16 MiB
---@field types table<string, string>? more types, by ending: {txt = "text/plain"}
---@field headers table<string, string>? of every file
---@field notFound nil|wsock.RouteHandler

-- ---- the router -------------------------------------------------------------

---@alias wsock.RouteHandler fun(request: wsock.Request, response: wsock.Response)

---@class wsock.Router
---@field get fun(self: wsock.Router, pattern: string, handler: wsock.RouteHandler): wsock.Router HEAD too
---@field post fun(self: wsock.Router, pattern: string, handler: wsock.RouteHandler): wsock.Router
---@field put fun(self: wsock.Router, pattern: string, handler: wsock.RouteHandler): wsock.Router
---@field patch fun(self: wsock.Router, pattern: string, handler: wsock.RouteHandler): wsock.Router
---@field delete fun(self: wsock.Router, pattern: string, handler: wsock.RouteHandler): wsock.Router
local Router = {}

---@param method string
---@param pattern string
---@param handler wsock.RouteHandler
---@return wsock.Router
function Router:route(method, pattern, handler) end

---@param pattern string
---@param options wsock.RouteOptions
---@return wsock.Router
function Router:ws(pattern, options) end

--- What wsock.listen makes of its options.
---@param options wsock.ServerOptions
---@return wsock.ServerOptions
function Router:options(options) end

---@alias wsock.SocketLimits wsock.RouteOptions from maxPayload on

---@class wsock.RouteOptions
---@field protocols string[]|(fun(offered: string[], request: wsock.Request): string?)|nil
---@field verify nil|fun(request: wsock.Request): boolean?, integer?, wsock.HeaderFields?, string?
---@field headers wsock.HeaderFields? more lines of the 101
---@field binaryType "string"|"blob"|"arraybuffer"|nil of the sockets
---@field onconnection wsock.OnConnection
---@field onmessage wsock.OnMessage
---@field onchunk wsock.OnChunk with the server's option streaming
---@field onclose wsock.OnClose
---@field onerror wsock.OnError
---@field onping wsock.OnData
---@field onpong wsock.OnData
---@field ondrain wsock.OnSocket
---@field maxPayload integer?
---@field maxFragments integer?
---@field maxBuffered integer?
---@field highWaterMark integer?
---@field lowWaterMark integer?
---@field closeTimeout number?
---@field pingInterval number?
---@field pingTimeout number?
---@field sendTimeout number?
---@field autoPong boolean?

-- ---- rooms ------------------------------------------------------------------

--- To the open sockets of a set or a list.
---@param sockets table<wsock.Socket, any>|wsock.Socket[]
---@param data wsock.Data
---@param kind? wsock.Kind
---@param options? {except?: wsock.Socket, compress?: boolean}
---@return integer reached
---@return integer skipped too much waits for them
function wsock.broadcast(sockets, data, kind, options) end

--- Rooms.
---@param options? wsock.HubOptions
---@return wsock.Hub
function wsock.hub(options) end

---@class wsock.HubOptions
---@field onjoin nil|fun(socket: wsock.Socket, room: string, count: integer)
---@field onleave nil|fun(socket: wsock.Socket, room: string, count: integer)
---@field maxRooms integer? 100,000
---@field maxRoomsPerSocket integer? 1,000

---@class wsock.Hub
local Hub = {}

---@param socket wsock.Socket
---@param room string
---@return true? joined, string? message, string? code "CLOSED" or "LIMIT"
function Hub:join(socket, room) end

---@param socket wsock.Socket
---@param room? string all unless told
---@return boolean was_in
function Hub:leave(socket, room) end

---@param room string
---@param data wsock.Data
---@param kind? wsock.Kind
---@param options? {except?: wsock.Socket, compress?: boolean}
---@return integer reached
---@return integer skipped
function Hub:publish(room, data, kind, options) end

---@param room? string
---@return integer sockets
function Hub:count(room) end

---@param socket wsock.Socket
---@param room string
---@return boolean
function Hub:has(socket, room) end

---@param socket? wsock.Socket
---@return string[] names sorted
function Hub:rooms(socket) end

---@param room string
---@return wsock.Socket[]
function Hub:sockets(room) end

-- ---- passwords --------------------------------------------------------------

---@alias wsock.DigestAlgorithm "SHA-256"|"SHA-512-256"|"MD5"
---@alias wsock.DigestPassword fun(user: string, request: wsock.Request): string|table<wsock.DigestAlgorithm, string>|nil

--- Who asks for passwords by Digest (RFC 7616), for verify, onupgrade and onrequest.
---@param options {realm: string, password: wsock.DigestPassword, algorithms?: wsock.DigestAlgorithm[], lifetime?: number, maxNonces?: integer}
---@return wsock.Digest
function wsock.digest(options) end

---@class wsock.Digest
local Digest = {}

---@param request wsock.Request
---@return string? user, "stale"|"malformed"|nil why
function Digest:check(request) end

---@param why? "stale"|"malformed"
---@return false verdict, integer status, wsock.HeaderFields headers, string body for verify
function Digest:challenge(why) end

---@param user string
---@param password string
---@param algorithm? wsock.DigestAlgorithm the first of algorithms
---@return string hex to be kept in the place of the password
function Digest:hash(user, password, algorithm) end

-- ---- coming back ------------------------------------------------------------

--- A client that connects again when its connection is lost.
---@param url string
---@param options? wsock.ClientOptions|wsock.ReconnectingOptions
---@return wsock.Reconnecting
function wsock.reconnecting(url, options) end

---@class wsock.ReconnectingOptions
---@field delay number? seconds, ceiling of the first wait: 1
---@field maxDelay number? seconds, ceiling of all: 30
---@field maxAttempts integer? tries to come back, in a row: no limit
---@field maxQueue integer? messages that may wait: 1,000
---@field giveUpCodes integer[]|(fun(code: integer, reason: string): boolean?)|nil

---@class wsock.Reconnecting
---@field CONNECTING 0
---@field OPEN 1
---@field CLOSING 2
---@field CLOSED 3
---@field readyState 0|1|2|3
---@field url string
---@field protocol string
---@field extensions string
---@field bufferedAmount integer
---@field queueLength integer messages
---@field attempts integer tries to come back, in a row
---@field socket wsock.Socket of now, or the last one
---@field binaryType "string"|"blob"|"arraybuffer"
---@field data any
---@field onopen nil|fun(event: table)
---@field onmessage nil|fun(event: table)
---@field onchunk nil|fun(event: table)
---@field onerror nil|fun(event: table)
---@field onclose nil|fun(event: table)
---@field onping nil|fun(event: table)
---@field onpong nil|fun(event: table)
---@field ondrain nil|fun(event: table)
---@field onreconnecting nil|fun(event: table)
---@field onreconnected nil|fun(event: table)
local Reconnecting = {}

---@param data wsock.Data
---@param kind? wsock.Kind
---@param options? { compress: boolean? }
---@return true? sent, string? message, string? code "BUFFER" or "CLOSED"
function Reconnecting:send(data, kind, options) end

---@param code? integer
---@param reason? string
---@return true
function Reconnecting:close(code, reason) end

---@return true
function Reconnecting:terminate() end

--- The next message, across connections.
---@param timeout? number seconds
---@return wsock.Received? data, wsock.Kind kind without data: a message
---@return "TIMEOUT"|"CLOSED"|nil code, integer? closeCode, string? reason
function Reconnecting:receive(timeout) end

---@return fun(): wsock.Received?, wsock.Kind
function Reconnecting:messages() end

---@param data? string|number
---@return true? sent, string? message, string? code
function Reconnecting:ping(data) end

---@param name string
---@param listener fun(...)
---@return wsock.Reconnecting
function Reconnecting:on(name, listener) end

---@param name string
---@param listener fun(...)
---@return wsock.Reconnecting
function Reconnecting:once(name, listener) end

---@param name string
---@param listener? fun(...)
---@return wsock.Reconnecting
function Reconnecting:off(name, listener) end

---@param type string
---@param listener function|table|nil
---@param options? {once?: boolean}
function Reconnecting:addEventListener(type, listener, options) end

---@param type string
---@param listener function|table|nil
function Reconnecting:removeEventListener(type, listener) end

return wsock
