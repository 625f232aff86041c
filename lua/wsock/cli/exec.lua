--- `wsock listen --exec FILE`: a file that returns the options of a server.
-- It is run with one argument, a function that returns the server. With
-- `--watch` it is run again when it changes; then its handlers take the place of
-- the old ones, and no connection is dropped.
-- @module wsock.cli.exec

local wsock = require "wsock"

local M = {}

local PERIOD = 0.5 -- seconds between two looks at the file
-- Functions among the options that are no handlers; the server has them from its start, so it is given ours.
local asked = { "verify", "protocols", "origins" }

-- Handlers of one socket.
local by_socket = {
  onconnection = true, onmessage = true, onclose = true, onerror = true, onping = true, onpong = true, ondrain = true,
  onchunk = true,
}

local function read(path)
  local file <close>, message = io.open(path, "rb")
  if not file then return nil, message end
  return file:read "a"
end

local Exec = {}
Exec.__index = Exec

-- The options a text returns, or nil and what is wrong with it.
function Exec:run(text)
  local chunk, message = load(text, "@" .. self.path, "t")
  if not chunk then return nil, message end
  local function traced(e)
    return debug.traceback(type(e) == "string" and e or ("%s raised %s"):format(self.path, tostring(e)), 2)
  end
  local ok, options = xpcall(chunk, traced, function() return self.server end)
  if not ok then return nil, options end
  if type(options) ~= "table" then return nil, ("%s must return a table, not a %s"):format(self.path, type(options)) end
  return options
end

-- ---- again ------------------------------------------------------------------------

-- Whether two options are alike, as far as can be seen: functions never differ, nor objects of one class.
local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) == "function" then return true end
  if type(a) ~= "table" then return a == b end
  if getmetatable(a) then return getmetatable(a) == getmetatable(b) end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function is_handler(key) return type(key) == "string" and key:find "^on" ~= nil end

local function set_handler(server, key, fn) server[key] = fn end

-- New handlers for old; all, or what is wrong with one of them.
local function set_handlers(server, old, new)
  local fault
  local function set(key, fn)
    local ok, message = true, nil
    if is_handler(key) then ok, message = pcall(set_handler, server, key, fn) end
    if not ok then fault = message end
  end
  for key in pairs(old) do set(key, new[key]) end
  for key, fn in pairs(new) do set(key, fn) end
  if not fault then return true end
  for key in pairs(new) do set(key, old[key]) end
  for key, fn in pairs(old) do set(key, fn) end
  return nil, fault
end

-- Options other than handlers that differ, sorted.
local function differences(old, new)
  local list = {}
  for key, value in pairs(new) do
    if not is_handler(key) and not same(value, old[key]) then list[#list + 1] = tostring(key) end
  end
  for key in pairs(old) do
    if not is_handler(key) and new[key] == nil then list[#list + 1] = tostring(key) end
  end
  table.sort(list)
  return list
end

-- The handlers of a file with a router are those of its routes: a socket stays with those it came to.
function Exec:handlers(options)
  local handlers = self.dress(options)
  if not options.router then return handlers end
  local shared = {}
  for name, fn in pairs(handlers) do
    shared[name] = fn
    if by_socket[name] then
      shared[name] = function(socket, ...)
        local own = self.owner[socket] or handlers
        if name == "onconnection" then self.owner[socket] = handlers end
        if own[name] then return own[name](socket, ...) end
      end
    end
  end
  return shared
end

-- Runs the text and gives the server what it returns; what is wrong with it, if anything.
function Exec:replace(text)
  local new, message = self:run(text)
  if not new then return message end
  local ok, handlers = pcall(self.handlers, self, new)
  if not ok then return handlers end
  ok, message = set_handlers(self.server, self.current, handlers)
  if not ok then return message end
  self.options, self.current = new, handlers
end

function Exec:reload(text)
  local fault = self:replace(text)
  if fault then
    if not fault:find(self.path, 1, true) then fault = self.path .. ": " .. fault end
    return self.note("wsock: %s\nwsock: what was there before goes on", fault)
  end
  self.note("reloaded %s", self.path)
  local list = differences(self.first, self.options)
  if #list > 0 then self.note("wsock: takes a new start: %s", table.concat(list, ", ")) end
end

--- Looks at the file from now on, for this server.
function Exec:watch()
  wsock.every(PERIOD, function()
    local text = read(self.path)
    if not text or text == self.text then return end -- an editor may be between two steps
    self.text = text
    self:reload(text)
  end)
end

--- The options the server starts with.
function Exec:settings()
  local settings = {}
  self.current = self:handlers(self.options)
  for key, value in pairs(self.current) do settings[key] = value end
  for _, key in ipairs(asked) do
    if type(settings[key]) == "function" then
      settings[key] = function(...)
        local now = self.options[key] -- no function any more: that takes a new start
        return (type(now) == "function" and now or self.first[key])(...)
      end
    end
  end
  return settings
end

--- Runs a file.
-- @tparam string path
-- @tparam function note prints a remark, like string.format
-- @tparam function dress what is done to a table of options before the server gets it; returns another table
-- @treturn table with `settings()`, `watch()`, and a field `server` to be set; or nil and what is wrong with the file
function M.open(path, note, dress)
  local self = setmetatable({ path = path, note = note, dress = dress }, Exec)
  self.owner = setmetatable({}, { __mode = "k" }) -- socket: the handlers it came to, when there is a router
  local message
  self.text, message = read(path)
  if not self.text then return nil, message end
  self.options, message = self:run(self.text)
  if not self.options then return nil, message end
  self.first = self.options
  return self
end

return M
