---@meta wsock

-- lua/wsock/meta_helpers.lua -- the types of what is written in Lua: router, static; see meta.lua.

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

return wsock
