--- Rooms: who is in them, and telling them something.
--
-- A message to a room is encoded once, whatever the number of sockets in it. A socket that closes leaves its rooms by
-- itself, before its server's onclose hears of it.
-- @module wsock.hub

local check = require "wsock.check"
local core = require "wsock.core"

local M = {}

local Hub = {}
Hub.__index = Hub
Hub.__name = "wsock.hub"

-- Names of rooms often come from strangers, and each costs memory.
local MAX_ROOMS = 100000 -- of the hub
local MAX_ROOMS_PER_SOCKET = 1000

local function check_room(room)
  if type(room) ~= "string" then error("room must be a string, got " .. type(room), 3) end
end

-- Whether a value is a socket; others have no readyState, or refuse to be asked.
local function state_of(socket)
  local ok, state = pcall(function() return socket.readyState end)
  return ok and type(socket) == "userdata" and math.type(state) == "integer" and state or nil
end

local function check_socket(socket)
  local state = state_of(socket)
  if not state then error("socket must be a socket, got " .. type(socket), 3) end
  return state
end

-- ---- coming and going -----------------------------------------------------------------

-- A room of that name; nil: there are too many.
local function open_room(self, name)
  local room = self.all[name]
  if room then return room end
  if self.room_count >= self.max_rooms then return nil end
  room = { sockets = {}, count = 0 }
  self.all[name] = room
  self.room_count = self.room_count + 1
  return room
end

-- Takes a socket out of a room it is in; how many are left.
local function drop(self, socket, name)
  local room = self.all[name]
  room.sockets[socket] = nil
  room.count = room.count - 1
  if room.count == 0 then
    self.all[name] = nil
    self.room_count = self.room_count - 1
  end
  return room.count
end

-- The socket is in no room any more.
local function forget(self, socket)
  self.joined[socket] = nil
  self.socket_count = self.socket_count - 1
  socket:removeEventListener("close", self.closed)
end

-- Out of all its rooms first, so that whoever is told of one sees it out of the others, too, and may raise.
local function leave_all(self, socket)
  local member = self.joined[socket]
  if not member then return false end
  local left = {}
  for name in pairs(member.rooms) do left[#left + 1] = { name, drop(self, socket, name) } end
  forget(self, socket)
  local onleave = self.options.onleave
  if onleave then
    local first
    for _, one in ipairs(left) do
      local ok, message = pcall(onleave, socket, one[1], one[2])
      if not ok then first = first or message end
    end
    if first then error(first, 0) end
  end
  return true
end

--- Puts a socket into a room; the room is there from its first socket to its last.
-- @tparam wsock.Socket socket one of a server, or a client's
-- @tparam string room
-- @treturn ?boolean true, also when it was in it already
-- @treturn ?string nil, message and "CLOSED" for a socket that is closing or closed, "LIMIT" for too many rooms
function Hub:join(socket, room)
  if check_socket(socket) >= 2 then return nil, "join: the socket is not open", "CLOSED" end
  check_room(room)
  local member = self.joined[socket]
  if member and member.rooms[room] then return true end
  if member and member.count >= self.max_per_socket then
    return nil, "join: the socket is in too many rooms", "LIMIT"
  end
  local place = open_room(self, room)
  if not place then return nil, "join: there are too many rooms", "LIMIT" end
  if not member then
    member = { rooms = {}, count = 0 }
    self.joined[socket] = member
    self.socket_count = self.socket_count + 1
    socket:addEventListener("close", self.closed)
  end
  member.rooms[room] = true
  member.count = member.count + 1
  place.sockets[socket] = true
  place.count = place.count + 1
  if self.options.onjoin then self.options.onjoin(socket, room, place.count) end
  return true
end

--- Takes a socket out of a room, or of all.
-- @tparam wsock.Socket socket
-- @tparam[opt] string room without it: all
-- @treturn boolean whether it was in it, or in any
function Hub:leave(socket, room)
  check_socket(socket)
  if room == nil then return leave_all(self, socket) end
  check_room(room)
  local member = self.joined[socket]
  if not (member and member.rooms[room]) then return false end
  member.rooms[room] = nil
  member.count = member.count - 1
  local left = drop(self, socket, room)
  if member.count == 0 then forget(self, socket) end
  if self.options.onleave then self.options.onleave(socket, room, left) end
  return true
end

-- ---- telling ------------------------------------------------------------------------------

--- Sends a message to all sockets in a room.
-- @tparam string room
-- @tparam string|number|wsock.Blob|wsock.ArrayBuffer data
-- @tparam[opt] string kind "text" or "binary"
-- @tparam[opt] table options `except`: a socket that gets none; `compress = false`
-- @treturn integer how many sockets it reached
-- @treturn integer how many had no room for it
function Hub:publish(room, data, kind, options)
  check_room(room)
  local place = self.all[room]
  local reached, full = check.passed(pcall(core.broadcast, place and place.sockets or {}, data, kind, options))
  return reached, full
end

-- ---- asking -------------------------------------------------------------------------------

--- How many sockets are in a room, or in any.
-- @tparam[opt] string room
-- @treturn integer
function Hub:count(room)
  if room == nil then return self.socket_count end
  check_room(room)
  local place = self.all[room]
  return place and place.count or 0
end

--- Whether a socket is in a room.
-- @tparam wsock.Socket socket
-- @tparam string room
-- @treturn boolean
function Hub:has(socket, room)
  check_room(room)
  local member = self.joined[socket]
  return member ~= nil and member.rooms[room] == true
end

local function names_of(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The names of all rooms, or of those a socket is in.
-- @tparam[opt] wsock.Socket socket
-- @treturn {string,...} sorted
function Hub:rooms(socket)
  if socket == nil then return names_of(self.all) end
  check_socket(socket)
  local member = self.joined[socket]
  return names_of(member and member.rooms or {})
end

--- The sockets in a room: a list of its own, in which the caller may do as he likes.
-- @tparam string room
-- @treturn {wsock.Socket,...}
function Hub:sockets(room)
  check_room(room)
  local list, place = {}, self.all[room]
  for socket in pairs(place and place.sockets or {}) do list[#list + 1] = socket end
  return list
end

check.methods(Hub, "wsock.hub")
check.fixed(Hub, "hub")

function Hub:__tostring()
  return ("wsock.hub (%d rooms, %d sockets)"):format(self.room_count, self.socket_count)
end

--- A hub without rooms.
-- @tparam[opt] table options `onjoin(socket, room, count)` and `onleave(socket, room, count)`: who came and went, and
-- how many are there now; `maxRooms` (100,000), `maxRoomsPerSocket` (1,000)
-- @treturn Hub
function M.new(options)
  options = check.options(options, "hub", {
    onjoin = "function", onleave = "function", maxRooms = "count", maxRoomsPerSocket = "count",
  })
  local self = {
    options = { onjoin = options.onjoin, onleave = options.onleave },
    max_rooms = options.maxRooms or MAX_ROOMS, max_per_socket = options.maxRoomsPerSocket or MAX_ROOMS_PER_SOCKET,
    all = {}, room_count = 0, -- by name: {sockets = a set, count = its size}
    joined = {}, socket_count = 0, -- by socket: {rooms = a set of names, count = its size}
  }
  -- one function for all sockets: an event says whose it is
  self.closed = function(event) leave_all(self, event.target) end
  return setmetatable(self, Hub)
end

return M
