--- Paths to handlers, of plain HTTP requests and of WebSockets.
--
-- A path is cut at its slashes, and each piece is percent-decoded by itself; what a pattern has between two slashes is
-- compared with a whole piece. There are no Lua patterns and no going back: a strange path costs no more than a plain
-- one. Nothing is resolved: "." and ".." are names like others, a path ends with a slash or does not.
-- @module wsock.router

local check = require "wsock.check"
local core = require "wsock.core"
local paths = require "wsock.path"

local M = {}

local Router = {}
Router.__index = Router
Router.__name = "wsock.router"

-- The handlers a WebSocket route may have: each is called as a server's.
local events = { "connection", "message", "chunk", "close", "error", "ping", "pong", "drain" }

-- ---- paths and patterns -----------------------------------------------------------

-- A piece of a pattern: what it captures, "*" where it is the rest; nil: nothing.
local function capture_of(piece)
  local sigil, name = piece:match "^([:*])(.*)$"
  if sigil == "*" and name == "" then name = "*" end
  return name, sigil
end

-- "/rooms/:id/*" -> {"rooms", false, captures = {[2] = "id"}, wild = "*"}: the pieces, false where any will do. Or
-- nil and what is wrong with it.
local function parse(pattern)
  if type(pattern) ~= "string" or pattern:byte() ~= 47 then return nil, "it must begin with '/'" end
  if pattern:find "[?#]" then return nil, "a path has no '?' and no '#'" end
  local node, seen = { captures = {}, handlers = {} }, {}
  for piece in pattern:gmatch "/([^/]*)" do
    local name, sigil = capture_of(piece)
    if node.wild then return nil, "nothing may follow the '*'" end
    if not name and piece:find("*", 1, true) then return nil, "a '*' is a piece of its own" end
    if name and name ~= "*" and not name:find "^[%a_][%w_]*$" then return nil, ("'%s' is no name"):format(name) end
    if name and seen[name] then return nil, ("there are two '%s'"):format(name) end
    if name then seen[name] = true end
    if sigil == "*" then
      node.wild = name
    else
      node[#node + 1] = not name and piece
      node.captures[#node] = name
    end
  end
  node.literal = next(seen) == nil
  return node
end

-- The captures of a node, and what its "*" stands for as it came; nil: it is another path.
local function match(node, pieces, raw)
  local n = #node
  if node.wild and #pieces <= n or not node.wild and #pieces ~= n then return nil end
  for i = 1, n do
    if node[i] and node[i] ~= pieces[i] then return nil end
  end
  local params, rest = {}, nil
  for i, name in pairs(node.captures) do
    if pieces[i] == "" then return nil end
    params[name] = pieces[i]
  end
  if node.wild then
    params[node.wild] = table.concat(pieces, "/", n + 1)
    rest = "/" .. table.concat(raw, "/", n + 1)
  end
  return params, rest
end

-- ---- finding ------------------------------------------------------------------------

-- Calls visit(node, params, rest) for every node a path leads to, the best one first, until it returns something; that
-- is the result, or false. nil: the path makes no sense.
local function each(self, path, visit)
  local pieces, raw = paths.split(path)
  if not pieces then return nil end
  local literal = self.literals[table.concat(pieces, "/")]
  if literal and match(literal, pieces, raw) then
    local found = visit(literal, {})
    if found then return found end
  end
  for _, node in ipairs(self.patterns) do
    local params, rest = match(node, pieces, raw)
    local found = params and visit(node, params, rest)
    if found then return found end
  end
  return false
end

-- A node's handler for a method; HEAD is GET, whose body is not sent.
local function handler_of(node, method)
  return node.handlers[method] or method == "HEAD" and node.handlers.GET
end

local function place(request, params, rest)
  request.params, request.rest = params, rest
end

local text = { ["Content-Type"] = "text/plain; charset=utf-8" }

-- ---- plain HTTP -----------------------------------------------------------------------

local function allow_line(allowed)
  local list = {}
  for method in pairs(allowed) do list[#list + 1] = method end
  table.sort(list)
  return table.concat(list, ", ")
end

-- Nobody wants the request: 404, 405 with what is allowed, or 426 where only WebSocket is spoken.
local function refuse(self, request, response, allowed, socket)
  if socket and request.method == "GET" then
    return response:send(426, text, "this is a WebSocket\n")
  end
  if socket then allowed.GET = true end
  if next(allowed) then
    return response:send(405, { Allow = allow_line(allowed), ["Content-Type"] = text["Content-Type"] },
      "method not allowed\n")
  end
  place(request, {}, nil)
  if self.not_found then return self.not_found(request, response) end
  return response:send(404, text, "not found\n")
end

local function on_request(self, request, response)
  local method, allowed, socket = request.method, {}, false
  local handler = each(self, request.path, function(node, params, rest)
    local found = handler_of(node, method)
    if found then
      place(request, params, rest)
      return found
    end
    for name in pairs(node.handlers) do allowed[name] = true end
    if node.handlers.GET then allowed.HEAD = true end
    socket = socket or node.socket ~= nil
  end)
  if handler then return handler(request, response) end
  if handler == nil then return response:send(400, text, "the path makes no sense\n") end
  return refuse(self, request, response, allowed, socket)
end

-- ---- WebSocket ------------------------------------------------------------------------

local function on_upgrade(self, request)
  local route = each(self, request.path, function(node, params, rest)
    if node.socket then place(request, params, rest) end
    return node.socket
  end)
  if route == nil then return request:reject(400, text, "the path makes no sense\n") end
  if not route then return request:reject(404, text, "not found\n") end
  if route.verify then
    local ok, status, headers, body = route.verify(request)
    if not check.verdict("verify", ok) and status == nil then status, headers, body = 403, text, "forbidden\n" end
    if not ok then return request:reject(status, headers, body) end
  end
  local socket = request:accept {
    protocol = check.subprotocol(request, route.protocols), headers = route.headers, limits = route.limits,
  }
  if socket then
    self.routes[socket] = route
    if route.binaryType then socket.binaryType = route.binaryType end
    if not (route.onmessage or route.onchunk) then core.apart(socket) end
  end
end

-- A server's handler for an event: it goes to the handler of the socket's route.
local function dispatcher(self, event)
  local name, routes = "on" .. event, self.routes
  return function(socket, a, b, c)
    local route = routes[socket]
    local handler = route and route[name]
    if event == "close" then routes[socket] = nil end
    if handler then return handler(socket, a, b, c) end
  end
end

-- ---- what users call --------------------------------------------------------------------

local function node_for(self, pattern)
  local node = self.nodes[pattern]
  if node then return node end
  local why
  node, why = parse(pattern)
  if not node then error(("pattern '%s': %s"):format(tostring(pattern), why), 3) end
  if node.literal then
    self.literals[table.concat(node, "/")] = node
  else
    self.patterns[#self.patterns + 1] = node
  end
  self.nodes[pattern] = node
  return node
end

local function add(self, method, pattern, handler)
  if not check.callable(handler) then
    error(("the handler of %s %s must be a function, got %s"):format(method, tostring(pattern), type(handler)), 2)
  end
  local handlers = node_for(self, pattern).handlers
  if handlers[method] then error(("%s %s has its handler already"):format(method, pattern), 2) end
  handlers[method] = handler
  return self
end

--- Adds a handler for plain requests.
-- @tparam string method in capitals, as `"GET"`; a GET handler gets HEAD requests too, unless HEAD has one of its own
-- @tparam string pattern a path, in which `:name` stands for one piece that is not empty, and `*` or `*name` at the
-- end for all the rest; a piece without them is compared as it is
-- @tparam function handler called with the request, which has `params`, and the response
-- @treturn Router itself
function Router:route(method, pattern, handler)
  if type(method) ~= "string" or not method:find "^%u+$" then
    error(("'%s' is no method"):format(tostring(method)), 2)
  end
  return add(self, method, pattern, handler)
end

--- route for GET, and so HEAD.
-- @tparam string pattern
-- @tparam function handler
-- @treturn Router itself
function Router:get(pattern, handler) return add(self, "GET", pattern, handler) end

--- route for POST.
-- @tparam string pattern
-- @tparam function handler
-- @treturn Router itself
function Router:post(pattern, handler) return add(self, "POST", pattern, handler) end

--- route for PUT.
-- @tparam string pattern
-- @tparam function handler
-- @treturn Router itself
function Router:put(pattern, handler) return add(self, "PUT", pattern, handler) end

--- route for PATCH.
-- @tparam string pattern
-- @tparam function handler
-- @treturn Router itself
function Router:patch(pattern, handler) return add(self, "PATCH", pattern, handler) end

--- route for DELETE.
-- @tparam string pattern
-- @tparam function handler
-- @treturn Router itself
function Router:delete(pattern, handler) return add(self, "DELETE", pattern, handler) end

-- Limits a route's sockets may have of their own.
local limits = {
  "maxPayload", "maxFragments", "maxBuffered", "highWaterMark", "lowWaterMark", "closeTimeout", "pingInterval",
  "pingTimeout", "sendTimeout", "autoPong",
}

local route_options = {
  protocols = "list or function", verify = "function", headers = "table", binaryType = "binary type",
}
for _, event in ipairs(events) do route_options["on" .. event] = "function" end
for _, name in ipairs(limits) do route_options[name] = name == "autoPong" and "boolean" or "number" end

--- Adds a WebSocket.
-- @tparam string pattern as for `route`
-- @tparam table options the handlers `onconnection`, `onmessage` (with the server's option `streaming`: `onchunk`),
-- `onclose`, `onerror`, `onping`, `onpong` and `ondrain`, each as a server's; `protocols` and `verify`, as those of
-- wsock.listen, asked after the server's own; `headers` of the 101; `binaryType` of the sockets; and their limits and
-- times where they are not the server's: `maxPayload`, `maxFragments`, `maxBuffered`, `highWaterMark`,
-- `lowWaterMark`, `closeTimeout`, `pingInterval`, `pingTimeout`, `sendTimeout`, `autoPong`
-- @treturn Router itself
function Router:ws(pattern, options)
  local route = {}
  for name, value in pairs(check.options(options, "a WebSocket route", route_options)) do route[name] = value end
  for _, name in ipairs(limits) do
    if route[name] ~= nil then
      route.limits = route.limits or {}
      route.limits[name] = route[name]
    end
  end
  check.passed(pcall(core.checkLimits, route.limits or {}))
  check.passed(pcall(core.checkHeaders, route.headers))
  if not check.callable(route.protocols) then check.passed(pcall(core.checkProtocols, route.protocols)) end
  local node = node_for(self, pattern)
  if node.socket then error(("%s has its WebSocket already"):format(pattern), 2) end
  node.socket = route
  return self
end

--- Options for wsock.listen, which calls this for its option `router`: a copy of those given, with the router's
-- handlers in it.
-- @tparam table options
-- @treturn table
function Router:options(options)
  if type(options) ~= "table" then error("options must be a table, got " .. type(options), 2) end
  local all = {
    onrequest = function(request, response) return on_request(self, request, response) end,
    onupgrade = function(request) return on_upgrade(self, request) end,
  }
  for _, event in ipairs(events) do all["on" .. event] = dispatcher(self, event) end
  all[options.streaming and "onmessage" or "onchunk"] = nil -- which never comes
  for name, value in pairs(options) do
    if all[name] or name == "protocols" then
      error(("option '%s': with a router its routes say this"):format(name), 2)
    end
    if name ~= "router" then all[name] = value end
  end
  return all
end

check.methods(Router, "wsock.router")
check.fixed(Router, "router")

function Router:__tostring()
  local n = 0
  for _ in pairs(self.nodes) do n = n + 1 end
  return ("wsock.router (%d patterns)"):format(n)
end

--- A router without routes.
-- @tparam[opt] table options `notFound(request, response)`: called in place of a plain 404
-- @treturn Router
function M.new(options)
  options = check.options(options, "router", { notFound = "function" })
  return setmetatable({
    not_found = options.notFound,
    nodes = {}, -- by pattern
    literals = {}, -- those without captures, by path
    patterns = {}, -- the others, in the order they were added
    routes = setmetatable({}, { __mode = "k" }), -- the route of each open socket
  }, Router)
end

return M
