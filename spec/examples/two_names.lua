-- spec/examples/two_names.lua -- two host names, each with a certificate of its
-- own, on one port: https://localhost:8443/ is a page, wss://ws.localhost:8443/
-- what the page talks to.
--
--   lua5.4 two_names.lua [port [site.pem site.key ws.pem ws.key]]   8443
--
-- Without files it makes two certificates by `openssl`, which nobody knows: open
-- https://ws.localhost:8443/ first and tell the browser to go on, then the page.

local wsock = require "wsock"

local page = [[
<!DOCTYPE html><meta charset="utf-8"><title>two names</title><p id="p">connecting to URL</p>
<script>
const socket = new WebSocket("URL"), p = document.getElementById("p")
socket.onopen = () => socket.send("hello from " + location.host)
socket.onmessage = event => p.textContent = event.data
socket.onclose = event => p.textContent += " (closed, " + event.code + ")"
</script>
]]

-- A certificate for one name, and its key, as PEM text.
local function make(name)
  local file = os.tmpname()
  local command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=%s "
    .. "-addext subjectAltName=DNS:%s -keyout %s -out %s.crt 2>/dev/null && cat %s.crt >> %s; rm -f %s.crt"
  os.execute(command:format(name, name, file, file, file, file, file))
  local text = assert(io.open(file)):read "a"
  os.remove(file)
  return { cert = text } -- key and certificate in one
end

local port = tonumber(arg[1] or 8443)
local site = arg[2] and { cert = arg[2], key = arg[3] } or make "localhost"
local ws = arg[4] and { cert = arg[4], key = arg[5] } or make "ws.localhost"

-- "localhost" of "localhost:8443"
local function host_of(request) return request.headers.host:match "^[^:]+" end

local server = assert(wsock.listen {
  port = port,
  tls = { cert = site.cert, key = site.key, sni = { ["ws.localhost"] = ws } },
  onrequest = function(request, response)
    if host_of(request) ~= "localhost" then
      return response:send(200, { ["Content-Type"] = "text/plain" }, "WebSocket only\n")
    end
    local url = "wss://ws." .. request.headers.host .. "/"
    response:send(200, { ["Content-Type"] = "text/html" }, (page:gsub("URL", url)))
  end,
  -- The page's origin is not the WebSocket's host, so it has to be named.
  origins = function(origin) return origin == nil or origin:match "^https://localhost:%d+$" ~= nil end,
  verify = function(request) return host_of(request) == "ws.localhost", 404 end,
  onmessage = function(socket, data) socket:send("you said: " .. data) end,
})

io.stdout:setvbuf "line"
print(("listening on https://localhost:%d/"):format((select(2, server:address()))))
wsock.run()
