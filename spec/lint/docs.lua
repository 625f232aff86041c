-- spec/lint/docs.lua -- the manual, the types and the module name the same things.
--
--   lua5.4 spec/lint/docs.lua      (with the built module on the paths)
--
-- Three lists of public names are compared, every pair both ways:
--
--   lua/wsock/meta*.lua  `---@class wsock.Socket`, and under it
--                        `---@field name type` and `function Socket:name(`;
--                        the class `wsock` is the module itself
--   README.md            in "## Reference", a heading "### Socket" opens the
--                        class wsock.Socket ("### wsock": the module); members
--                        are the names in backticks in the first cell of a
--                        table's rows or in a "#### " heading
--   the module           the keys of require "wsock", and the methods of one
--                        object of each class that can be made here

local breaches = 0
local function breach(message, ...)
  breaches = breaches + 1
  print((message):format(...))
end

local function lines_of(path)
  local f = io.open(path)
  if not f then
    breach("%s: it is missing", path)
    return function() end
  end
  return coroutine.wrap(function()
    local n = 0
    for line in f:lines() do
      n = n + 1
      coroutine.yield(n, line)
    end
    f:close()
  end)
end

-- names[class][member] = where it stands
local function put(names, class, member, where)
  names[class] = names[class] or {}
  names[class][member] = where
end

-- "wsock.Socket" and "Socket" are one class, "wsock" the module.
local function class_key(name)
  return (name:gsub("^wsock%.", "")):lower()
end

-- ---- the types -------------------------------------------------------------------

local function read_meta(path, names, methods)
  local class
  for n, line in lines_of(path) do
    local where = path .. ":" .. n
    local opened = line:gsub("^(%-%-%-@class%s+)%(%a+%)%s*", "%1"):match "^%-%-%-@class%s+([%w_.]+)"
    local field = line:match "^%-%-%-@field%s+%??([%w_]+)%??%s"
      or line:match "^%-%-%-@field%s+public%s+([%w_]+)%??%s"
    local owner, sep, method = line:match "^function%s+([%w_]+)([.:])([%w_]+)%s*%("
    if opened then
      class = class_key(opened)
      names[class] = names[class] or {}
    elseif field and class then
      put(names, class, field, where)
    elseif owner then
      put(names, class_key(owner), method, where)
      if sep == ":" then methods[#methods + 1] = { class_key(owner), method, where } end
    end
  end
end

-- ---- the manual ------------------------------------------------------------------

-- The names of a cell: `send(data)`, `socket:send()`, `OPEN CLOSED`, `a` `b`.
local function names_of(cell, visit)
  for code in cell:gmatch "`([^`]+)`" do
    code = code:gsub("%b()", ""):gsub("%b[]", ""):gsub("%b{}", ""):gsub("→.*", ""):gsub("=.*", "")
    for word in code:gmatch "[^%s,/]+" do
      local name = word:match "^[%w_]+[.:]([%a_][%w_]*)$" or word:match "^([%a_][%w_]*)$"
      if name then visit(name) end
    end
  end
end

local function read_manual(path)
  local names, inside, class = {}, false, nil
  for n, line in lines_of(path) do
    local where = path .. ":" .. n
    local function add(name) put(names, class, name, where) end
    if line:find "^## " then
      inside, class = line:find "^## Reference" ~= nil, nil
    elseif inside and line:find "^### " then
      class = class_key(line:match "^### `?([%w_.]*)")
      names[class] = names[class] or {}
    elseif inside and class and line:find "^#### " then
      names_of(line, add)
    elseif inside and class and line:find "^|" and not line:find "^|[%s:|-]+$" then
      names_of(line:match "^|([^|]*)|" or "", add)
    end
  end
  return names
end

-- ---- the module ------------------------------------------------------------------

local function read_module(wsock)
  local names = {}
  for key in pairs(wsock) do
    if type(key) == "string" then put(names, "wsock", key, "the module") end
  end
  return names
end

-- Objects to ask for their methods; none of them needs a peer.
local function specimens(wsock)
  local server = assert(wsock.listen { port = 0 })
  local socket = wsock.WebSocket("ws://127.0.0.1:" .. select(2, server:address()))
  local timer = wsock.after(60, function() end)
  local all = {
    socket = socket, server = server, timer = timer, loop = wsock.loop(),
    protocol = wsock.protocol and wsock.protocol.server {},
    blob = wsock.blob "", arraybuffer = wsock.arraybuffer "", router = wsock.router(), hub = wsock.hub(),
    digest = wsock.digest { realm = "r", password = function() end },
    task = wsock.spawn(function() end),
  }
  return all, function()
    socket:terminate()
    server:close(1001, "", 0)
    timer:cancel()
    wsock.run()
  end
end

-- ---- comparing -------------------------------------------------------------------

local function compare(a, b, what)
  for class, members in pairs(a) do
    if not b[class] then
      breach("%s has no class %s", what, class)
    else
      for name, where in pairs(members) do
        if not b[class][name] then breach("%s: %s.%s is not in %s", where, class, name, what) end
      end
    end
  end
end

local meta, methods = {}, {}
local files = assert(io.popen "ls lua/wsock/meta*.lua")
for path in files:lines() do read_meta(path, meta, methods) end
files:close()
local manual = read_manual "README.md"
compare(meta, manual, "README.md's reference")
compare(manual, meta, "meta.lua")

local ok, wsock = pcall(require, "wsock")
if not ok then
  breach("the module does not load: %s", wsock)
else
  local module = read_module(wsock)
  compare(module, meta, "meta.lua")
  compare({ wsock = meta.wsock or {} }, module, "the module")
  local objects, finish = specimens(wsock)
  for _, m in ipairs(methods) do
    local object = objects[m[1]]
    local found, value = pcall(function() return object[m[2]] end)
    if object and not (found and type(value) == "function") then
      breach("%s: a %s has no method %s", m[3], m[1], m[2])
    end
  end
  finish()
end

print(("docs: %d breaches"):format(breaches))
os.exit(breaches == 0, true)
