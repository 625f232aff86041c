---@meta wsock

-- lua/wsock/meta_bytes.lua -- the types of Blob and ArrayBuffer; see meta.lua.

---@class wsock
local wsock = {}

--- Bytes that cannot change.
---@param data wsock.Data
---@param options? {type?: string} a MIME type
---@return wsock.Blob
function wsock.blob(data, options) end

--- Bytes that can be changed: a copy of data, or so many zeros.
---@param data string|integer|wsock.Blob|wsock.ArrayBuffer
---@return wsock.ArrayBuffer
function wsock.arraybuffer(data) end

-- What a message is, by binaryType.
---@alias wsock.Received string|wsock.Blob|wsock.ArrayBuffer

-- Positions are as in string.sub.
---@class wsock.Blob
---@field size integer
---@field type string
---@operator len: integer
local Blob = {}

--- A part of it; no byte is copied.
---@param from? integer
---@param to? integer
---@param type? string
---@return wsock.Blob
function Blob:slice(from, to, type) end

---@return string
function Blob:text() end

---@return wsock.ArrayBuffer copy
function Blob:arrayBuffer() end

---@class wsock.ArrayBuffer
---@field byteLength integer
---@field [integer] integer from 1; a byte
---@operator len: integer
local ArrayBuffer = {}

---@param from? integer
---@param to? integer
---@return wsock.ArrayBuffer copy
function ArrayBuffer:slice(from, to) end

---@param from? integer
---@param to? integer
---@return string
function ArrayBuffer:tostring(from, to) end

--- As string.unpack.
---@param format string
---@param position? integer 1
---@return any ... the values, and the position behind them
function ArrayBuffer:unpack(format, position) end

--- Writes what string.pack makes of the values.
---@param format string
---@param position integer
---@param ... any
---@return integer position behind it
function ArrayBuffer:pack(format, position, ...) end

return wsock
