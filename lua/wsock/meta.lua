---@meta wsock

-- lua/wsock/meta.lua -- the types of everything public, for editors (LuaCATS);
-- those of Blob and ArrayBuffer are in meta_bytes.lua, of waiting in
-- meta_straight.lua, of events in meta_events.lua, of what is written in Lua in meta_helpers.lua.
--
-- luacheck: no max comment line length
-- Never loaded at run time.  README.md has the same names with what they mean;
-- spec/lint/docs.lua keeps the two and the module in step.

---@alias wsock.Kind "text"|"binary"
---@alias wsock.Data string|number|wsock.Blob|wsock.ArrayBuffer
---@alias wsock.HeaderFields table<string, string|number>|{[1]: string, [2]: string|number}[]

-- ---- the module -------------------------------------------------------------

---@alias wsock.OnCallback fun(callback: fun(...), milliseconds?: number, ...): wsock.Timer
---@alias wsock.OnSeconds fun(seconds: number, callback: fun()): wsock.Timer
---@alias wsock.OnLoopError nil|fun(message: any, traceback: string, whose?: wsock.Socket|wsock.Server|wsock.Reconnecting)

-- The functions from run on are the loop's methods of these names, for the
-- default loop.
---@class wsock
---@field protocol wsock.ProtocolModule
---@field closeCodes table<string|integer, string|integer> name to number, number to name
---@field constantTimeEquals fun(a: string, b: string): boolean
---@field CONNECTING 0
---@field OPEN 1
---@field CLOSING 2
---@field CLOSED 3
---@field _VERSION string
---@field run fun()
---@field step fun(timeout?: number): boolean
---@field stop fun()
---@field now fun(): number
---@field after wsock.OnSeconds
---@field every wsock.OnSeconds
---@field watch fun(fd: integer, events: "r"|"w"|"rw", callback: fun(events: string)): wsock.Watcher?, string?, string?
---@field signal fun(name: string, callback: fun()): wsock.SignalHandle?, string?, string?
---@field setTimeout wsock.OnCallback
---@field setInterval wsock.OnCallback
---@field clearTimeout fun(timer: any)
---@field clearInterval fun(timer: any)
local wsock = {}

--- The default loop's `onerror` and `handshakesMax`, the fields of the module that can be set.
---@type wsock.OnLoopError
wsock.onerror = nil
---@type integer
wsock.handshakesMax = 256

--- A client: connects in the background.  Raises when url, protocols or
--- options cannot be right.
---@param url string ws:, http: or ws+unix: URL
---@param protocols? string|string[]
---@param options? wsock.ClientOptions
---@return wsock.Socket
function wsock.WebSocket(url, protocols, options) end

--- A server.
---@param options wsock.ServerOptions
---@return wsock.Server? server, string? message, string? code
function wsock.listen(options) end

--- A loop of one's own.
---@param options? {backend?: "epoll"|"poll", handshakesMax?: integer}
---@return wsock.Loop
function wsock.loop(options) end

-- ---- a connection -----------------------------------------------------------

---@class wsock.Socket
---@field CONNECTING 0
---@field OPEN 1
---@field CLOSING 2
---@field CLOSED 3
---@field readyState 0|1|2|3
---@field url string of a server's socket: the request's target
---@field origin string? client: of the URL; server: the Origin header
---@field protocol string "" when none was agreed
---@field extensions string
---@field bufferedAmount integer payload bytes not yet given to the system
---@field binaryType "string"|"blob"|"arraybuffer" what binary messages arrive as
---@field isPaused boolean
---@field request wsock.Request? a server's socket: the handshake's request
---@field response wsock.Reply? a client's: the server's answer, once it came
---@field remoteAddress string?
---@field remotePort integer?
---@field localAddress string?
---@field localPort integer?
---@field latency number? seconds of the last ping and its pong
---@field data any the user's own slot
---@field onopen nil|fun(event: wsock.Event)
---@field onmessage nil|fun(event: wsock.MessageEvent)
---@field onerror nil|fun(event: wsock.ErrorEvent)
---@field onclose nil|fun(event: wsock.CloseEvent)
---@field onping nil|fun(event: wsock.PingEvent)
---@field onpong nil|fun(event: wsock.PingEvent)
---@field ondrain nil|fun(event: wsock.Event)
---@field onchunk nil|fun(event: wsock.ChunkEvent) with the option streaming
---@field once fun(self: wsock.Socket, name: string, listener: fun(...)): wsock.Socket as on, for one event
---@field off fun(self: wsock.Socket, name: string, listener?: fun(...)): wsock.Socket none: all of on and once
---@field pong fun(self: wsock.Socket, data?: string|number): true?, string?, string? as ping
---@field resume fun(self: wsock.Socket): wsock.Socket
local Socket = {}

--- Queues a message, or a fragment of one (final = false).
---@param data wsock.Data
---@param kind? wsock.Kind "text" unless told; of a Blob or ArrayBuffer "binary"
---@param options? {final?: boolean, compress?: boolean}
---@return true? sent, string? message, string? code "CLOSED" or "BUFFER"
function Socket:send(data, kind, options) end

--- Starts the closing handshake.
---@param code? integer client: 1000, 3000 to 4999; server also 1001 to 1003, 1007 to 1014
---@param reason? string at most 123 bytes
---@return true
function Socket:close(code, reason) end

--- Drops the connection now: close event 1006.
---@return true
function Socket:terminate() end

---@param data? string|number at most 125 bytes
---@return true? sent, string? message, string? code
function Socket:ping(data) end

--- Stops reading: the peer's writing will block in the end.
---@return wsock.Socket
function Socket:pause() end

--- Listens with plain arguments: open(), message(data, kind), close(code,
--- reason, wasClean), error(message, code, status), ping(data), pong(data),
--- drain(), chunk(data, kind, final).
---@param name "open"|"message"|"close"|"error"|"ping"|"pong"|"drain"|"chunk"
---@param listener fun(...)
---@return wsock.Socket
function Socket:on(name, listener) end

---@param type string
---@param listener fun(event: wsock.Event)|{handleEvent: fun(self: table, event: wsock.Event)}|nil
---@param options? {once?: boolean}
function Socket:addEventListener(type, listener, options) end

---@param type string
---@param listener function|table|nil
function Socket:removeEventListener(type, listener) end

---@return wsock.Stats
function Socket:stats() end

-- buffered and sinceReceived (seconds): of sockets only
---@alias wsock.Stats {bytesIn: integer, bytesOut: integer, framesIn: integer, framesOut: integer, messagesIn: integer, messagesOut: integer, compressedIn: integer, uncompressedIn: integer, compressedOut: integer, uncompressedOut: integer, buffered?: integer, sinceReceived?: number}

-- ---- options ----------------------------------------------------------------

---@class wsock.Options
---@field maxPayload integer? bytes of one message: client 16 MiB, server 1 MiB
---@field maxFragments integer? of one message: 4096
---@field maxHeaderSize integer? bytes of the peer's HTTP head: 32 KiB
---@field maxBuffered integer? payload bytes that may wait to be sent: 16 MiB
---@field highWaterMark integer? output bytes above which drain is owed: 1 MiB
---@field lowWaterMark integer? and at or under which it is given: 256 KiB
---@field receiveQueue integer? messages that may wait for receive: 16
---@field streaming boolean? messages come in parts: false
---@field handshakeTimeout number? seconds: 10
---@field closeTimeout number? seconds: 5
---@field pingInterval number? seconds: 30
---@field pingTimeout number? seconds: 20
---@field sendTimeout number? seconds: 30
---@field autoPong boolean? true
---@field frames boolean? false; true: receive answers frames, nothing is automatic
---@field noDelay boolean? true
---@field perMessageDeflate wsock.PerMessageDeflate|boolean|fun(request: wsock.Request)|nil
---@field headers wsock.HeaderFields? more lines of the request, or of each 101
---@field loop wsock.Loop? the default loop

---@class wsock.ClientOptions: wsock.Options
---@field protocols string|string[]|nil when the second argument has none
---@field origin string? the Origin header
---@field auth {[1]: string, [2]: string?, scheme?: "basic"|"digest"}? user and password, sent as Basic credentials; as Digest to who asks
---@field host string? the Host header, in place of the URL's
---@field handshakeKey string? 16 bytes in base64, sent as Sec-WebSocket-Key
---@field localAddress string? the address to connect from
---@field maxRedirects integer? redirects that are followed: 0
---@field proxy string|false|nil a proxy's URL; false: none; nil: what the environment says

-- What a server calls.
---@alias wsock.OnConnection nil|fun(socket: wsock.Socket, request: wsock.Request)
---@alias wsock.OnMessage nil|fun(socket: wsock.Socket, data: wsock.Received, kind: wsock.Kind)
---@alias wsock.OnChunk nil|fun(socket: wsock.Socket, data: wsock.Received, kind: wsock.Kind, final: boolean)
---@alias wsock.OnClose nil|fun(socket: wsock.Socket, code: integer, reason: string, wasClean: boolean)
---@alias wsock.OnError nil|fun(socket: wsock.Socket, message: string, code: string)
---@alias wsock.OnData nil|fun(socket: wsock.Socket, data: string)
---@alias wsock.OnSocket nil|fun(socket: wsock.Socket)
---@alias wsock.OnRequest nil|fun(request: wsock.Request, response: wsock.Response)
---@alias wsock.OnUpgrade nil|fun(request: wsock.Request)
---@alias wsock.OnNothing nil|fun()
---@alias wsock.OnRefused nil|fun(message: string, code: string, remoteAddress: string?)

---@class wsock.ServerOptions: wsock.Options
---@field port integer? 0: any free one
---@field host string? "127.0.0.1"
---@field path string? a unix socket instead of port and host
---@field backlog integer? 511
---@field reusePort boolean? false
---@field maxConnections integer? open sockets: 10,000
---@field maxPerAddress integer? connections of one address: no limit
---@field handshakesMax integer? connections before their 101: 1,000
---@field responseTimeout number? seconds for the answer of onrequest, onupgrade: 60; 0: none
---@field maxBody integer? bytes of a plain request's body: 1 MiB
---@field hosts string|string[]|nil what the request may be for: any
---@field origins string|string[]|(fun(origin: string?, request: wsock.Request): boolean?)|nil
---@field protocols string[]|(fun(offered: string[], request: wsock.Request): string?)|nil
---@field verify nil|fun(request: wsock.Request): boolean?, integer?, wsock.HeaderFields?, string?
---@field slowConsumer "skip"|"close"|nil "skip"
---@field router wsock.Router? says what requests and sockets get
---@field onconnection wsock.OnConnection
---@field onmessage wsock.OnMessage
---@field onclose wsock.OnClose
---@field onerror wsock.OnError
---@field onping wsock.OnData
---@field onpong wsock.OnData
---@field ondrain wsock.OnSocket
---@field onchunk wsock.OnChunk
---@field onrequest wsock.OnRequest
---@field onupgrade wsock.OnUpgrade
---@field onlistening wsock.OnNothing
---@field onclosed wsock.OnNothing
---@field onrefused wsock.OnRefused

-- Of wsock.Options neither loop nor noDelay; a server has no headers, auth,
-- origin and protocols either, a client no maxBody.  now: the time in seconds by the
-- clock that tick will be told.
---@alias wsock.ProtocolOptions wsock.Options|{now?: number, origin?: string, auth?: string[], host?: string, handshakeKey?: string, protocols?: string|string[], maxBody?: integer}

-- ---- the server -------------------------------------------------------------

---@class wsock.Server
---@field clients table<wsock.Socket, true> a set, for pairs, # and clients[socket]
---@field clientCount integer
---@field onconnection wsock.OnConnection
---@field onmessage wsock.OnMessage
---@field onclose wsock.OnClose
---@field onerror wsock.OnError
---@field onping wsock.OnData
---@field onpong wsock.OnData
---@field ondrain wsock.OnSocket
---@field onchunk wsock.OnChunk
---@field onrequest wsock.OnRequest
---@field onupgrade wsock.OnUpgrade
---@field onlistening wsock.OnNothing
---@field onclosed wsock.OnNothing
---@field onrefused wsock.OnRefused
---@field once fun(self: wsock.Server, name: string, listener: fun(...)): wsock.Server as on, for one event
---@field off fun(self: wsock.Server, name: string, listener?: fun(...)): wsock.Server none: all of on and once
local Server = {}

--- Host and port, or a unix socket's path; nothing after close.
---@return string? host
---@return integer? port
function Server:address() end

---@param data wsock.Data
---@param kind? wsock.Kind
---@param options? {except?: wsock.Socket, filter?: fun(socket: wsock.Socket): boolean, compress?: boolean}
---@return integer reached
---@return integer skipped too much waits for them
function Server:broadcast(data, kind, options) end

--- Stops accepting, closes all sockets, waits for them, drops the rest.
---@param code? integer 1001
---@param reason? string
---@param timeout? number seconds; closeTimeout unless told
---@return true
function Server:close(code, reason, timeout) end

---@param name string the handlers' names without "on"
---@param listener fun(...)
---@return wsock.Server
function Server:on(name, listener) end

-- ---- heads ------------------------------------------------------------------

---@class wsock.Request
---@field method string
---@field target string as it came: "/chat?room=1"
---@field path string? of the target
---@field query string? without "?"
---@field headers wsock.Headers
---@field body string? in onrequest
---@field params table<string, string>? by a router: what its pattern captured
---@field rest string? by a router: what "*" stands for, as it came
local Request = {}

--- Basic credentials; nil unless the request has them, once and well-formed.
---@return string? user, string? password
function Request:basicAuth() end

--- In onupgrade or later: answers 101.
---@param options? {protocol?: string, headers?: wsock.HeaderFields, limits?: wsock.SocketLimits}
---@return wsock.Socket? socket, string? message, string? code "CLOSED": answered already, or gone
function Request:accept(options) end

---@param status? integer 403
---@param headers? wsock.HeaderFields
---@param body? string|number
---@return true? sent, string? message, string? code
function Request:reject(status, headers, body) end

---@class wsock.Response
local Response = {}

---@param status? integer 200
---@param headers? wsock.HeaderFields
---@param body? string|number
---@return true? sent, string? message, string? code
function Response:send(status, headers, body) end

---@class wsock.Reply
---@field status integer
---@field reason string
---@field headers wsock.Headers
---@field body string of a refusal

---@class wsock.Headers
---@field [string] string the value, in any letter case; lines joined by ", "
---@field [integer] {[1]: string, [2]: string} name and value, as they came
local Headers = {}

---@param name string
---@return string[] values one per line
function Headers:all(name) end

-- ---- the loop ---------------------------------------------------------------

---@class wsock.Loop
---@field onerror wsock.OnLoopError
---@field handshakesMax integer clients that may be CONNECTING at the same time: 256
---@field backend "epoll"|"poll"
---@field setTimeout fun(self: wsock.Loop, callback: fun(...), milliseconds?: number, ...): wsock.Timer
---@field setInterval fun(self: wsock.Loop, callback: fun(...), milliseconds?: number, ...): wsock.Timer
---@field clearTimeout fun(self: wsock.Loop, timer: any) what is no timer is ignored
---@field clearInterval fun(self: wsock.Loop, timer: any)
---@field pollfd fun(self: wsock.Loop): integer? getfd by cqueues' name
local Loop = {}

--- Turns until nothing is left that can happen, or stop.
function Loop:run() end

--- One turn.
---@param timeout? number seconds; none: does not wait
---@return boolean left
function Loop:step(timeout) end

--- Ends run after this turn.
function Loop:stop() end

--- Lets go of everything at once; no handler is called any more.
function Loop:close() end

---@return number seconds by a clock that only goes forward
function Loop:now() end

---@param seconds number
---@param callback fun()
---@return wsock.Timer
function Loop:after(seconds, callback) end

---@param seconds number
---@param callback fun()
---@return wsock.Timer
function Loop:every(seconds, callback) end

---@param fd integer
---@param events "r"|"w"|"rw"
---@param callback fun(events: "r"|"w"|"rw")
---@return wsock.Watcher? watcher, string? message, string? code
function Loop:watch(fd, events, callback) end

---@param name string
---@param callback fun()
---@return wsock.SignalHandle? handle, string? message, string? code
function Loop:signal(name, callback) end

--- A descriptor that is readable when step has work; nil under poll.
---@return integer? fd
function Loop:getfd() end

---@return "r"
function Loop:events() end

---@return number? seconds until step has work without the descriptor
function Loop:timeout() end

---@alias wsock.Watcher wsock.Timer
---@alias wsock.SignalHandle wsock.Timer

---@class wsock.Timer
local Timer = {}

--- Takes it back; twice is fine.
function Timer:cancel() end

-- ---- bytes in, events out -----------------------------------------------------

---@alias wsock.ProtocolModule {client: wsock.NewClient, server: wsock.NewServer}
---@alias wsock.NewClient fun(url: string, options?: wsock.ProtocolOptions): wsock.Protocol
---@alias wsock.NewServer fun(options?: wsock.ProtocolOptions): wsock.Protocol

---@class wsock.Protocol
---@field readyState 0|1|2|3
---@field url string?
---@field protocol string
---@field extensions string
---@field bufferedAmount integer
---@field isPaused boolean
---@field latency number?
---@field request wsock.Request? server: the head, a plain table
---@field response wsock.Reply? client
---@field sameHost boolean? server: the Origin's host is the Host header's, or there is none
---@field fault string? what went wrong first
---@field eof fun(self: wsock.Protocol) the peer will send no more
---@field closed fun(self: wsock.Protocol) the transport is gone
---@field ping fun(self: wsock.Protocol, data?: string|number): true?, string?, string?
---@field pong fun(self: wsock.Protocol, data?: string|number): true?, string?, string?
---@field close fun(self: wsock.Protocol, code?: integer, reason?: string): true
---@field terminate fun(self: wsock.Protocol): true
---@field pause fun(self: wsock.Protocol): wsock.Protocol
---@field resume fun(self: wsock.Protocol): wsock.Protocol
---@field stats fun(self: wsock.Protocol): wsock.Stats
local Protocol = {}

---@param bytes string what the transport gave
function Protocol:feed(bytes) end

---@param max? integer at most so many bytes
---@return string bytes for the transport; taken for sent
function Protocol:output(max) end

--- "upgrade", request; "request", request; "open"; "message", data, kind, or
--- with streaming "chunk", data, kind, final;
--- "ping", data; "pong", data; "drain"; "error", message, code, of a
--- refusal the status; "close", code, reason, wasClean.
---@return string? name nil: nothing for now
---@return any ...
function Protocol:next() end

---@param what "read"|"write"|"event"|"shutdown"|"close"
---@return boolean
function Protocol:want(what) end

---@return number? seconds until tick is due
function Protocol:timeout() end

---@param now number seconds by any clock that only goes forward
function Protocol:tick(now) end

---@param data wsock.Data
---@param kind? wsock.Kind
---@param options? {final?: boolean}
---@return true? sent, string? message, string? code
function Protocol:send(data, kind, options) end

--- With the option frames: one frame as it is; of a Close data is code and
--- reason as on the wire.
---@param data string
---@param kind "continuation"|"text"|"binary"|"close"|"ping"|"pong"
---@param final? boolean true
---@return true? sent, string? message, string? code
function Protocol:sendFrame(data, kind, final) end

--- Answers "upgrade" by 101.
---@param options? {protocol?: string, headers?: wsock.HeaderFields}
---@return true? sent, string? message, string? code
function Protocol:accept(options) end

--- Answers "upgrade" by a refusal.
---@param status? integer 403
---@param headers? wsock.HeaderFields
---@param body? string|number
---@return true? sent, string? message, string? code
function Protocol:reject(status, headers, body) end

--- Answers "request".
---@param status? integer 200
---@param headers? wsock.HeaderFields
---@param body? string|number
---@return true? sent, string? message, string? code
function Protocol:respond(status, headers, body) end

return wsock
