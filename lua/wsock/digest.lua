--- Digest (RFC 7616) for servers: who has a password, without its being sent.
--
-- A challenge costs no memory: its nonce says when it was made, and is signed. Only nonces that a right password came
-- with are remembered, with the highest count that each was used with, so that what was sent once is good for nothing
-- again. They are forgotten when they are too old to be used; when there are too many, all nonces made so far become
-- stale: who holds one is asked again, and no user notices.
-- @module wsock.digest

local check = require "wsock.check"
local core = require "wsock.core"

local codec = core.codec

local M = {}

local Digest = {}
Digest.__index = Digest
Digest.__name = "wsock.digest"

local LIFETIME = 300 -- seconds: a handshake needs one, a browser that comes back saves a round
local MAX_NONCES = 10000 -- of some 40 bytes each

-- The algorithms, and how many digits their hashes have.
local digits = { ["SHA-256"] = 64, ["SHA-512-256"] = 64, MD5 = 32 }

local text = { "Content-Type", "text/plain; charset=utf-8" }

-- OpenSSL may have no memory, or not be allowed to: then nobody comes in.
local function hash(algorithm, ...) return assert(codec.hash(algorithm, table.concat({ ... }, ":"))) end

-- ---- nonces -------------------------------------------------------------------------

-- 12 hex digits of milliseconds, 12 that count nonces, 32 of a signature.
local NONCE = "^(%x%x%x%x%x%x%x%x%x%x%x%x)(%x%x%x%x%x%x%x%x%x%x%x%x)(%x+)$"

local function milliseconds() return core.now() * 1000 // 1 | 0 end

local function sign(self, made) return assert(codec.hmac(self.secret, made)):sub(1, 32) end

local function new_nonce(self)
  self.serial = self.serial + 1
  local made = ("%012x%012x"):format(milliseconds(), self.serial)
  return made .. sign(self, made)
end

-- All nonces made so far are stale from now on.
local function forget_all(self)
  self.stale, self.recent, self.older = self.serial, { n = 0 }, { n = 0 }
end

-- `recent` takes what is first used within a lifetime, and is `older` from then on; when the next one is over, all that
-- is in it is too old to be used.
local function forget_old(self, now)
  if now - self.since <= self.lifetime then return end
  self.older, self.recent, self.since = self.recent, { n = 0 }, now
end

-- Whether a nonce is ours, not too old, and was not yet used with this count or a higher one. From now on it was.
local function use(self, nonce, count)
  local time, serial, signature = nonce:match(NONCE)
  if not (time and codec.equal(signature, sign(self, time .. serial))) then return false end
  local now = milliseconds()
  serial = tonumber(serial, 16)
  if now - tonumber(time, 16) > self.lifetime or serial <= self.stale then return false end
  forget_old(self, now)
  local used = self.older[serial] and self.older or self.recent
  if count <= (used[serial] or 0) then return false end
  if not used[serial] then
    if self.older.n + self.recent.n >= self.maxNonces then
      forget_all(self) -- this one too
      return true
    end
    used.n = used.n + 1
  end
  used[serial] = count
  return true
end

-- ---- credentials --------------------------------------------------------------------

local function byte_of(pair) return string.char(tonumber(pair, 16)) end

-- What "UTF-8'en'J%C3%A4s%C3%B8n" stands for (RFC 8187 3.2), or nil.
local function extended(value)
  local charset, rest = value:match "^([^']*)'[^']*'([^']*)$"
  if not charset or charset:lower() ~= "utf-8" or rest:gsub("%%%x%x", ""):find("%", 1, true) then return nil end
  local name = rest:gsub("%%(%x%x)", byte_of)
  return utf8.len(name) and name
end

-- The user that is named in one way of the two, or nil.
local function user_of(params)
  local user, other = params.username, params["username*"]
  if user and other then return nil end
  user = user or other and extended(other)
  return user and not user:find "[\0-\31\127]" and user or nil
end

-- The parameters of the request's credentials, with `user`; nil: it has none of Digest; false: they make no sense
-- (RFC 7616 3.4).
local function credentials(request)
  local lines = request.headers:all "authorization"
  if #lines ~= 1 then return nil end
  local scheme, list = core.wire.field.credentials(lines[1])
  if not scheme or scheme:lower() ~= "digest" then return nil end
  local params = {}
  for _, param in ipairs(list or {}) do
    local name = param[1]:lower()
    if params[name] then return false end
    params[name] = param[2]
  end
  local whole = params.realm and params.nonce and params.uri and params.response and params.cnonce
    and (params.nc or ""):find "^%x%x%x%x%x%x%x%x$" and (params.qop or ""):lower() == "auth"
  params.user = user_of(params)
  return whole and params.user and params or false
end

-- H(A1), 3.4.2, of what `password` has for a user; nil: nobody.
local function secret_of(self, algorithm, user, request)
  local found = self.password(user, request)
  if type(found) == "string" then return hash(algorithm, user, self.realm, found) end
  if not found then return nil end
  if type(found) ~= "table" then
    error("password must return a string, a table of hashes or nil, got " .. type(found), 0)
  end
  local known = found[algorithm]
  if known == nil then return nil end
  if type(known) ~= "string" or #known ~= digits[algorithm] or known:find "%X" then
    error(("password: the hash of %s must have %d hex digits"):format(algorithm, digits[algorithm]), 0)
  end
  return known:lower()
end

-- ---- the object -----------------------------------------------------------------------

--- Who a request is from.
-- @tparam table request of `verify`, `onupgrade` or `onrequest`
-- @treturn string|nil the user, whose password is right
-- @treturn string|nil without a user: `"stale"`, all was right but the nonce, and `"malformed"`
function Digest:check(request)
  if type(request) ~= "table" or not request.headers then
    error("check: request must be a request, got " .. type(request), 2)
  end
  local params = credentials(request)
  if params == nil then return nil end
  if not params or params.uri ~= request.target then return nil, "malformed" end
  local algorithm = self.known[(params.algorithm or "MD5"):lower()]
  if not algorithm or params.realm ~= self.realm then return nil end
  local user = params.user
  local secret = secret_of(self, algorithm, user, request)
  local known = secret ~= nil
  secret = secret or hash(algorithm, user, self.realm, self.secret) -- a stranger takes about as long
  local wanted = hash(algorithm, secret, params.nonce, params.nc, params.cnonce, "auth",
    hash(algorithm, request.method, params.uri))
  if not (codec.equal(wanted, params.response) and known) then return nil end
  if not use(self, params.nonce, tonumber(params.nc, 16)) then return nil, "stale" end
  return user
end

--- What `verify` returns for who is to say who it is: `false, 401, headers, body`; 400 for malformed credentials.
-- @tparam[opt] string why what `check` gave beside nil
function Digest:challenge(why)
  if why == "malformed" then return false, 400, { text }, "malformed credentials\n" end
  if why ~= nil and why ~= "stale" then
    error(("challenge: why must be nil, 'stale' or 'malformed', got '%s'"):format(tostring(why)), 2)
  end
  local headers, nonce = { text }, new_nonce(self)
  for _, algorithm in ipairs(self.algorithms) do
    headers[#headers + 1] = { "WWW-Authenticate",
      ('Digest realm="%s", nonce="%s", opaque="%s", algorithm=%s, qop="auth", charset=UTF-8%s'):format(self.quoted,
        nonce, self.opaque, algorithm, why == "stale" and ", stale=true" or "") }
  end
  return false, 401, headers, "who are you?\n"
end

--- What may be kept in the place of a password, for `password` to return in a table: `{ ["SHA-256"] = hash }`.
-- @tparam string user
-- @tparam string password
-- @tparam[opt] string algorithm the first one offered unless told
-- @treturn string hex digits, of use for this realm only
function Digest:hash(user, password, algorithm)
  if type(user) ~= "string" then error("hash: user must be a string, got " .. type(user), 2) end
  if type(password) ~= "string" then error("hash: password must be a string, got " .. type(password), 2) end
  algorithm = algorithm or self.algorithms[1]
  if not digits[algorithm] then error(("hash: unknown algorithm '%s'"):format(tostring(algorithm)), 2) end
  return hash(algorithm, user, self.realm, password)
end

check.methods(Digest, Digest.__name)

-- What is wrong with a list of algorithms, or nil.
local function algorithms_fault(list)
  local seen = {}
  for _, name in ipairs(list) do
    if not digits[name] then
      return ("option 'algorithms': '%s' is none of SHA-256, SHA-512-256, MD5"):format(tostring(name))
    end
    if seen[name] then return ("option 'algorithms' has '%s' twice"):format(name) end
    if not codec.hash(name, "") then return ("option 'algorithms': OpenSSL does not have '%s'"):format(name) end
    seen[name] = true
  end
  if #list == 0 then return "option 'algorithms' must not be empty" end
end

-- What is wrong with options whose types are right, or nil.
local function fault(options)
  if options.realm == nil then return "option 'realm' must be a string, got nil" end
  if options.realm:find "[^ -~]" then return "option 'realm' must be of visible ASCII characters and spaces" end
  if options.password == nil then return "option 'password' must be a function, got nil" end
  return algorithms_fault(options.algorithms or { "SHA-256" })
end

--- Who asks for passwords by Digest.
-- @tparam table options `realm`, what the passwords are for; `password(user, request)`, which returns the user's
-- password, or a table of hashes, or nil; `algorithms`, those offered, the best first ({"SHA-256"}); `lifetime` of a
-- nonce, in seconds (300); `maxNonces` that are remembered (10,000)
-- @treturn table with `check`, `challenge` and `hash`
function M.new(options)
  options = check.options(options, "digest", {
    realm = "string", password = "function", algorithms = "table", lifetime = "seconds", maxNonces = "count",
  })
  local message = fault(options)
  if message then error(message, 2) end
  local self = setmetatable({
    realm = options.realm, quoted = options.realm:gsub('["\\]', "\\%0"), password = options.password,
    algorithms = table.move(options.algorithms or { "SHA-256" }, 1, #(options.algorithms or { 1 }), 1, {}), known = {},
    lifetime = (options.lifetime or LIFETIME) * 1000, maxNonces = options.maxNonces or MAX_NONCES,
    secret = assert(codec.random(32)), serial = 0, since = milliseconds(),
  }, Digest)
  self.opaque = sign(self, "opaque")
  for _, name in ipairs(self.algorithms) do self.known[name:lower()] = name end
  forget_all(self)
  return self
end

return M
