--- Files of a directory, for plain requests.
--
-- Only regular files below the directory are sent: a path is walked piece by piece, links are not followed, and names
-- that begin with a dot are not there. A file is read whole, in the loop's own time, so its size has a limit; for large
-- files, or many, a web server stands in front.
-- @module wsock.static

local check = require "wsock.check"
local core = require "wsock.core"
local paths = require "wsock.path"

local M = {}

local MAX_SIZE = 16 << 20 -- bytes: all of them lie in memory until the client has them

local function text_type(name) return name .. "; charset=utf-8" end

local types = {
  html = text_type "text/html", htm = text_type "text/html", css = text_type "text/css",
  js = text_type "text/javascript", mjs = text_type "text/javascript", txt = text_type "text/plain",
  md = text_type "text/markdown", csv = text_type "text/csv", json = "application/json", map = "application/json",
  webmanifest = "application/manifest+json", xml = "application/xml", wasm = "application/wasm",
  pdf = "application/pdf", zip = "application/zip", gz = "application/gzip", svg = "image/svg+xml",
  png = "image/png", jpg = "image/jpeg", jpeg = "image/jpeg", gif = "image/gif", webp = "image/webp",
  avif = "image/avif", ico = "image/x-icon", woff = "font/woff", woff2 = "font/woff2", ttf = "font/ttf",
  otf = "font/otf", mp3 = "audio/mpeg", ogg = "audio/ogg", wav = "audio/wav", mp4 = "video/mp4", webm = "video/webm",
}

-- What open says of a file that is not there for strangers, whatever it is.
local missing = {
  ENOENT = true, ENOTDIR = true, EISDIR = true, ELOOP = true, EACCES = true, EINVAL = true, ENAMETOOLONG = true,
}

local plain = text_type "text/plain"

-- "/css/a%20b.css" -> "css/a b.css", "/css/" -> "css/index.html"; nil: no such file may be asked for.
local function file_of(path, index)
  local names = paths.split(path)
  if not names then return nil end
  for i, name in ipairs(names) do
    if name == "" and i < #names or name:find "^%." or name:find "[/\\\0]" then return nil end
  end
  if names[#names] == "" then
    if not index then return nil end
    names[#names] = index
  end
  return table.concat(names, "/")
end

-- Whether an If-None-Match names the tag (RFC 9110 13.1.2).
local function is_known(header, tag)
  if not header then return false end
  if header:find "^%s*%*%s*$" then return true end
  for quoted in header:gmatch '"([^"]*)"' do
    if quoted == tag then return true end
  end
  return false
end

-- A directory without its slash: what its pages name would be looked for beside it. The location is relative, so that
-- it stays on this host whatever the path looks like (RFC 9110 10.2.2).
local function redirect(request, response)
  local query = request.query
  local location = "./" .. request.path:match "([^/]*)$" .. "/" .. (query and query ~= "" and "?" .. query or "")
  return response:send(301, { Location = location, ["Content-Type"] = plain }, "it is a directory\n")
end

local function not_found(self, request, response)
  if self.not_found then return self.not_found(request, response) end
  return response:send(404, { ["Content-Type"] = plain }, "not found\n")
end

local function type_of(self, name)
  local ending = (name:match "%.([^./]+)$" or ""):lower()
  return self.types[ending] or types[ending] or "application/octet-stream"
end

-- The headers of an answer with a file: ours, unless the user has others of the same names.
local function headers_for(self, tag, kind)
  local headers = {}
  local ours = {
    ETag = 'W/"' .. tag .. '"', ["Content-Type"] = kind, ["Cache-Control"] = "no-cache",
    ["X-Content-Type-Options"] = "nosniff",
  }
  for name, value in pairs(ours) do
    if not self.taken[name:lower()] then headers[name] = value end
  end
  for name, value in pairs(self.headers) do headers[name] = value end
  return headers
end

local function serve(self, request, response)
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return response:send(405, { Allow = "GET, HEAD", ["Content-Type"] = plain }, "method not allowed\n")
  end
  local path = request.rest or request.path
  local name = file_of(path, self.index)
  if not name then return not_found(self, request, response) end
  local opened, size, tag = core.openFile(self.directory, name)
  if not opened then
    if tag == "EISDIR" and self.index and path:sub(-1) ~= "/" then return redirect(request, response) end
    if missing[tag] then return not_found(self, request, response) end
    return response:send(503, { ["Content-Type"] = plain }, "try again later\n")
  end
  local file <close> = opened
  if is_known(request.headers["if-none-match"], tag) then return response:send(304, headers_for(self, tag)) end
  if size > self.maxSize then return response:send(403, { ["Content-Type"] = plain }, "the file is too large\n") end
  local body = file:read()
  if not body then return response:send(503, { ["Content-Type"] = plain }, "try again later\n") end
  return response:send(200, headers_for(self, tag, type_of(self, name)), body)
end

-- A copy of a map of strings; raises unless each could be sent, as a header of the name as_header gives it.
local function strings(option, given, as_header)
  local map = {}
  for key, value in pairs(given or {}) do
    if type(key) ~= "string" or type(value) ~= "string" then
      error(("option '%s' must map names to strings"):format(option), 3)
    end
    local ok, message = pcall(core.checkHeaders, { { as_header(key), value } }, true)
    if not ok then error(("option '%s': %s"):format(option, message), 3) end
    map[key] = value
  end
  return map
end

local function lower_keys(map)
  local lower = {}
  for key, value in pairs(map) do lower[key:lower()] = value end
  return lower
end

--- A handler of plain requests, for `onrequest` or a router's GET.
-- Behind a pattern with a `*` it looks at what that stands for, else at the whole path.
-- @tparam string directory raises when it cannot be opened
-- @tparam[opt] table options `index`, a name ("index.html"), or false; `maxSize` in bytes (16 MiB), more is a 403;
-- `types`, from endings to types, more of them; `headers`, a map, of every file; `notFound(request, response)`
-- @treturn function
function M.new(directory, options)
  if type(directory) ~= "string" then error("directory must be a string, got " .. type(directory), 2) end
  options = check.options(options, "static", {
    index = "any", maxSize = "count", types = "table", headers = "table", notFound = "function",
  })
  local index = options.index
  if index == nil then index = "index.html" end
  if index and not (type(index) == "string" and file_of("/" .. index)) then
    error("option 'index' must be the name of a file, or false", 2)
  end
  -- "." is no file, which is said only when the directory was opened
  local _, message, code = core.openFile(directory, ".")
  if code ~= "EINVAL" then error(("directory '%s': %s"):format(directory, message), 2) end
  for ending in pairs(options.types or {}) do
    if tostring(ending):find(".", 1, true) then
      error(("option 'types': '%s': an ending has no dot"):format(tostring(ending)), 2)
    end
  end
  local headers = strings("headers", options.headers, function(name) return name end)
  local self = {
    directory = directory, index = index, maxSize = options.maxSize or MAX_SIZE, not_found = options.notFound,
    types = lower_keys(strings("types", options.types, function() return "Content-Type" end)),
    headers = headers, taken = lower_keys(headers),
  }
  return function(request, response) return serve(self, request, response) end
end

return M
