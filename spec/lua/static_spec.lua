-- lua/wsock/static: files of a directory.

local lu = require "luaunit"
local files = require "support.files"
local bytes = require "support.bytes"
local process = require "support.process"
local rigs = require "support.rig"
local wsock = require "wsock"

local T = {}
local contains = lu.assertErrorMsgContains

local function run(command, ...)
  assert(os.execute(command:format(...)), command)
end

function T:setUp()
  self.rig = rigs.new()
  self.folder, self.remove = process.directory()
  self.root = self.folder .. "/public"
  run("mkdir -p %s && cd %s && mkdir css .git empty && echo secret > ../secret && echo secret > .git/config", self.root,
    self.root)
  self:write("index.html", "<p>hello")
  self:write("css/a b.css", "p {}")
  self:write(".env", "secret")
end

function T:tearDown()
  self.rig:close()
  self.remove()
end

function T:write(name, data) files.write(self.root .. "/" .. name, data) end

function T:serve(options, handler)
  local _
  _, _, self.port = self.rig:listen { onrequest = handler or wsock.static(self.root, options) }
end

-- Status, body and head of an answer; the target is sent as it stands.
function T:ask(target, method, ...)
  if not self.port then self:serve() end
  local peer = self.rig:raw_client(self.port, true)
  local lines = { ("%s %s HTTP/1.1"):format(method or "GET", target), "Host: h", ... }
  peer:send(table.concat(lines, "\r\n") .. "\r\n\r\n")
  peer:take_end()
  local status, head, body = peer.got:match "^HTTP/1.1 (%d+)[^\r]*\r\n(.-\r\n)\r\n(.*)$"
  return tonumber(status), body, "\r\n" .. head
end

local function header(head, name) return head:match("\r\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)\r\n") end

-- ---- what is there -----------------------------------------------------------------------

function T:test_files_types_and_headers()
  local data = bytes.random(100000)
  for name, kind in pairs { ["a.html"] = "text/html; charset=utf-8", ["a.JS"] = "text/javascript; charset=utf-8",
    ["a.b.svg"] = "image/svg+xml", ["a.bin"] = "application/octet-stream", a = "application/octet-stream",
    ["a."] = "application/octet-stream", ["b.png"] = "image/png" } do
    self:write(name, data)
    local status, body, head = self:ask("/" .. name)
    bytes.equals(body, data)
    lu.assertEquals({ status, header(head, "Content-Type"), header(head, "X-Content-Type-Options"),
      header(head, "Cache-Control"), header(head, "Content-Length") }, { 200, kind, "nosniff", "no-cache", "100000" })
  end
  lu.assertEquals((select(2, self:ask "/css/a%20b.css")), "p {}")
  lu.assertEquals((select(2, self:ask "/css/%61%20b.css?v=1")), "p {}")
end

function T:test_index()
  lu.assertEquals({ (select(2, self:ask "/")), (select(2, self:ask "/?x")) }, { "<p>hello", "<p>hello" })
  lu.assertEquals({ (self:ask "/css/"), (self:ask "/empty/"), (self:ask "/index.html/") }, { 404, 404, 404 })
  self:write("css/index.html", "css")
  lu.assertEquals({ (select(2, self:ask "/css/")) }, { "css" })
  run("mkdir %s/empty/index.html", self.root)
  lu.assertEquals((self:ask "/empty/"), 404)
end

function T:test_a_directory_without_its_slash()
  for target, location in pairs { ["/css"] = "./css/", ["/css?a=b&c"] = "./css/?a=b&c", ["/%63ss"] = "./%63ss/" } do
    local status, _, head = self:ask(target)
    lu.assertEquals({ target, status, header(head, "Location") }, { target, 301, location })
  end
  for _, target in ipairs { "//css", "//evil.example/css", "/.//css", "/css//" } do
    lu.assertEquals({ target, (self:ask(target)) }, { target, 404 })
  end
  run("mkdir %s/http:", self.root) -- no scheme in front of a relative location
  lu.assertEquals(header(select(3, self:ask "/http:"), "Location"), "./http:/")
end

function T:test_head_and_other_methods()
  local status, body, head = self:ask("/", "HEAD")
  lu.assertEquals({ status, body, header(head, "Content-Length") }, { 200, "", "8" })
  for _, method in ipairs { "POST", "PUT", "DELETE", "OPTIONS", "get" } do
    status, _, head = self:ask("/", method)
    lu.assertEquals({ method, status, header(head, "Allow") }, { method, 405, "GET, HEAD" })
  end
end

-- ---- ETag --------------------------------------------------------------------------------

function T:test_what_the_client_has_is_not_sent_again()
  local _, _, head = self:ask "/"
  local tag = header(head, "ETag")
  lu.assertStrMatches(tag, 'W/"[%x.-]+"')
  for _, line in ipairs { tag, tag:sub(3), '"other", ' .. tag, '"a","b",' .. tag .. ', "c"', "*", " * " } do
    local status, body, answer = self:ask("/", nil, "If-None-Match: " .. line)
    lu.assertEquals({ line, status, body, header(answer, "ETag"), header(answer, "Content-Type") },
      { line, 304, "", tag, nil })
  end
  for _, line in ipairs { '"other"', "", tag:sub(4, -2), '"', "**", '"*"', ('"a",'):rep(1500) } do
    lu.assertEquals({ line, (self:ask("/", nil, "If-None-Match: " .. line)) }, { line, 200 })
  end
  lu.assertEquals((self:ask("/", "HEAD", "If-None-Match: " .. tag)), 304)
  self:write("index.html", "<p>hallo!")
  local status, body, after = self:ask("/", nil, "If-None-Match: " .. tag)
  lu.assertEquals({ status, body }, { 200, "<p>hallo!" })
  lu.assertNotEquals(header(after, "ETag"), tag)
end

-- ---- what is not there ---------------------------------------------------------------------

-- Every spelling of a way out, of a hidden file, of a name that would be cut short.
function T:test_nothing_outside_the_directory()
  run("cd %s && ln -s ../secret link && ln -s .. up && ln -s .env env && ln -s css styles && mkfifo pipe", self.root)
  local outs = { "..", "%2e%2e", ".%2e", "%2E.", "..%2f", "%2e%2e%2f", "..%5c", "..\\", "....//", "..;", "..%00",
    "%c0%ae%c0%ae", "%252e%252e", "..%252f", "%uff0e%uff0e", "%e0%40%ae", ".", "css/..", "css/../..",
    "css/%2e%2e/%2e%2e", "up", "x" }
  for _, out in ipairs(outs) do
    for _, target in ipairs { "/" .. out .. "/secret", "/" .. out .. "secret",
      "/css/" .. out .. "/" .. out .. "/secret", "//" .. out .. "/secret", "/" .. out .. "%2fsecret", "/" .. out } do
      local status, body = self:ask(target)
      lu.assertTrue(status == 404 or status == 400 or status == 301 and target:find "^/[^.]*$", target .. status)
      lu.assertNil(body:find("secret", 1, true), target)
    end
  end
  for _, target in ipairs { "/.env", "/%2eenv", "/%2Eenv", "/.git/config", "/%2egit/config", "/.git", "/.git/",
    "/env", "/link", "/up/secret", "/styles/a%20b.css", "/styles", "/pipe", "/index.html%00", "/index.html%00.png",
    "/%00", "/index.html/", "/index.html/x", "/css%2fa%20b.css", "/css%2Fa%20b.css", "/css%5ca%20b.css",
    "/INDEX.HTML", "/index.html.", "/%zz", "/index%", "/" .. ("n"):rep(300), "/" .. ("n/"):rep(3000),
    "/~root", "/C:/", "/-", "/*" } do
    local status, body = self:ask(target)
    lu.assertEquals({ target, status, body }, { target, 404, "not found\n" })
  end
  lu.assertEquals((self:ask("/" .. self.root .. "/index.html")), 404)
  lu.assertEquals((self:ask "http://h/index.html"), 200) -- the absolute form of a target
  lu.assertEquals((self:ask "http://h/../secret"), 404)
end

-- ---- options --------------------------------------------------------------------------------

function T:test_options()
  self:serve { index = "home.txt", maxSize = 4, types = { txt = "text/x-mine", css = "text/x-css" },
    headers = { ["cache-control"] = "max-age=60", ["X-A"] = "b" },
    notFound = function(request, response) response:send(404, nil, "no " .. request.path) end }
  self:write("home.txt", "home")
  local status, body, head = self:ask "/"
  lu.assertEquals({ status, body, header(head, "Content-Type"), header(head, "cache-control"), header(head, "X-A"),
    header(head, "Cache-Control"), header(head, "X-Content-Type-Options") },
    { 200, "home", "text/x-mine", "max-age=60", "b", nil, "nosniff" })
  self:write("big", "12345")
  lu.assertEquals({ self:ask "/big" }, { 403, "the file is too large\n", select(3, self:ask "/big") })
  lu.assertEquals({ (select(2, self:ask "/nothing")) }, { "no /nothing" })
  lu.assertEquals({ (select(2, self:ask "/.env")) }, { "no /.env" })
end

-- Each header goes out once, in whatever letters a user has it.
function T:test_headers_of_the_user_take_the_place_of_ours()
  self:serve { types = { TXT = "text/x-mine" }, headers = { ["content-type"] = "a/b", etag = '"mine"' } }
  local _, _, head = self:ask "/index.html"
  lu.assertEquals({ header(head, "content-type"), header(head, "etag"), header(head, "Content-Type"),
    header(head, "ETag") }, { "a/b", '"mine"', nil, nil })
  self:serve { types = { TXT = "text/x-mine" } }
  self:write("a.txt", "a")
  lu.assertEquals(header(select(3, self:ask "/a.txt"), "Content-Type"), "text/x-mine")
end

function T:test_no_index()
  self:serve { index = false }
  lu.assertEquals({ (self:ask "/"), (self:ask "/css"), (self:ask "/css/"), (self:ask "/index.html") },
    { 404, 404, 404, 200 })
end

function T:test_misuse()
  for _, bad in ipairs { 1, {}, true } do contains("directory must be a string", wsock.static, bad) end
  contains("directory must be a string", wsock.static)
  contains("/nothing': open: No such file", wsock.static, self.root .. "/nothing")
  contains("Not a directory", wsock.static, self.root .. "/index.html")
  contains("did you mean 'index'?", wsock.static, self.root, { indx = "x" })
  for _, bad in ipairs { "", "..", "../x", ".x", 1, true, "a/" } do
    contains("'index' must be the name", wsock.static, self.root, { index = bad })
  end
  contains("'maxSize' must be an integer", wsock.static, self.root, { maxSize = -1 })
  for _, bad in ipairs { { a = 1 }, { "x" }, { { "a", "b" } } } do
    contains("must map names to strings", wsock.static, self.root, { headers = bad })
    contains("must map names to strings", wsock.static, self.root, { types = bad })
  end
  for _, bad in ipairs { { ["a b"] = "x" }, { a = "x\r\ny: z" }, { ["Content-Length"] = "1" } } do
    contains("option 'headers': header '", wsock.static, self.root, { headers = bad })
  end
  contains("option 'types': '.txt': an ending has no dot", wsock.static, self.root, { types = { [".txt"] = "a/b" } })
  contains("option 'types': header 'Content-Type' may not be sent: its value", wsock.static, self.root,
    { types = { txt = "x\r\n" } })
  contains("static_spec.lua", function() local _ = wsock.static("/nothing/at/all") end)
end

-- Behind a pattern with a star only what that stands for is looked at.
function T:test_behind_a_router()
  local router = wsock.router():get("/assets/*", wsock.static(self.root)):get("/:lang/docs/*", wsock.static(self.root))
  self.rig:idle()
  local _
  _, _, self.port = self.rig:listen { router = router }
  for target, status in pairs { ["/assets/"] = 200, ["/assets/css/a%20b.css"] = 200, ["/en/docs/index.html"] = 200,
    ["/assets/../secret"] = 404, ["/assets/%2e%2e/secret"] = 404, ["/assets//index.html"] = 404, ["/assets/.env"] = 404,
    ["/../docs/"] = 200, ["/assets"] = 404, ["/assets/css"] = 301 } do
    lu.assertEquals({ target, (self:ask(target)) }, { target, status })
  end
  lu.assertEquals((self:ask("/assets/", "POST")), 405)
  lu.assertEquals(header(select(3, self:ask "/assets/css"), "Location"), "./css/")
end

-- What clients leave behind is no file: descriptors are counted after each test.
function T:test_many_at_once_and_clients_that_leave()
  self:write("big", ("x"):rep(1 << 20))
  self:serve()
  local peers = {}
  for i = 1, 20 do
    peers[i] = self.rig:raw_client(self.port, true)
    peers[i]:send "GET /big HTTP/1.1\r\nHost: h\r\n\r\n"
    if i % 2 == 0 then peers[i]:reset() end
  end
  for i = 1, 20, 2 do
    peers[i]:take_end()
    lu.assertEquals(#peers[i].got:match "\r\n\r\n(.*)$", 1 << 20)
  end
end

return T
