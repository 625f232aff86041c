---@meta wsock

-- lua/wsock/meta_deflate.lua -- the option perMessageDeflate; see meta.lua.

-- true: as a client offers by default; false: not at all.  Of a server also a
-- function of the request that returns true, false or such a table.
---@class wsock.PerMessageDeflate
---@field serverNoContextTakeover boolean? the server begins each message with an empty window
---@field clientNoContextTakeover boolean? the client does
---@field serverMaxWindowBits integer? of the server's window, 8 to 15
---@field clientMaxWindowBits integer? of the client's, 8 to 15
---@field level integer? 1 (fast) to 9 (small)
---@field memLevel integer? 1 to 9
---@field threshold integer? bytes of the shortest message that is compressed
---@field required boolean? of a client: without it there is no connection (close code 1010)
