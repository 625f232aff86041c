-- bind/lua_hello: what sockets and protocol objects ask for alike; credentials.

local lu = require "luaunit"
local wsock = require "wsock"

local T = {}
local contains = lu.assertErrorMsgContains

-- The head a client of this URL and these options sends.
local function head(url, options)
  return wsock.protocol.client(url, options):output()
end

local function authorization(url, options)
  return head(url, options):match "\r\nAuthorization: ([^\r]*)\r\n"
end

-- AU-06, URI-07: of the URL, decoded, and nowhere else
function T:test_user_and_password_of_the_url()
  for url, value in pairs {
    ["ws://u:p@h/"] = "dTpw", ["ws://a%40b:c@h/"] = "YUBiOmM=", ["ws://u@h/"] = "dTo=", ["ws://:p@h/"] = "OnA=",
    ["ws://u:a:b@h/"] = "dTphOmI=", ["ws://u:%C3%A9@h/"] = "dTrDqQ==",
  } do
    lu.assertEquals(authorization(url), "Basic " .. value, url)
    local request = head(url)
    lu.assertStrMatches(request, "GET / HTTP/1.1\r\nHost: h\r\n.*")
    lu.assertNil(request:find "@")
  end
  lu.assertNil(authorization "ws://h/")
  lu.assertNil(authorization "ws://@h/")
end

function T:test_the_option()
  lu.assertEquals(authorization("ws://h/", { auth = { "Aladdin", "open sesame" } }),
    "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
  lu.assertEquals(authorization("ws://h/", { auth = { "u" } }), "Basic dTo=")
  lu.assertEquals(authorization("ws://h/", { auth = { "", "" } }), "Basic Og==")
  lu.assertEquals(authorization("ws://x:y@h/", { auth = { "u", "p" } }), "Basic dTpw") -- it goes before the URL
end

-- AU-03, H6
function T:test_what_may_not_be_sent()
  for _, bad in ipairs { "a:b", "a\r\nX: y", "a\n", "a\0", "\x7f" } do
    contains("option 'auth' has", head, "ws://h/", { auth = { bad, "p" } })
  end
  for _, bad in ipairs { "a\r\nX: y", "a\0", "\x1f" } do
    contains("option 'auth' has", head, "ws://h/", { auth = { "u", bad } })
  end
  for _, bad in ipairs { {}, { 1, 2 }, { "u", 2 }, { "u", false }, { user = "u", password = "p" } } do
    contains("option 'auth' must be {user, password}", head, "ws://h/", { auth = bad })
  end
  contains("option 'auth' must be a table", head, "ws://h/", { auth = "u:p" })
  contains("SyntaxError: the URL 'ws://a%3Ab:c@h/' is invalid: the user has a colon", head, "ws://a%3Ab:c@h/")
  for _, url in ipairs { "ws://a%0D%0AX:b@h/", "ws://a:b%00@h/", "ws://a:%7F@h/" } do
    contains("SyntaxError: ", head, url)
  end
end

-- A protocol object is not there when the server has refused it.
function T:test_no_digest_for_one_request()
  contains("its scheme must be 'basic'", head, "ws://h/", { auth = { "u", "p", scheme = "digest" } })
  lu.assertEquals(authorization("ws://h/", { auth = { "u", "p", scheme = "basic" } }), "Basic dTpw")
  local c = wsock.protocol.client "ws://u:p@h/"
  c:output()
  c:feed 'HTTP/1.1 401 X\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n'
  c:closed()
  local name, message, code = c:next()
  lu.assertEquals({ name, message, code }, { "error", "server did not answer 101: 401", "HANDSHAKE" })
end

function T:test_one_authorization_only()
  local twice = "header 'Authorization' is given, and a user too"
  contains(twice, head, "ws://h/", { auth = { "u", "p" }, headers = { authorization = "Bearer x" } })
  contains(twice, head, "ws://u:p@h/", { headers = { { "Authorization", "Bearer x" } } })
  lu.assertEquals(authorization("ws://h/", { headers = { Authorization = "Bearer x" } }), "Bearer x")
end

function T:test_a_hundred_headers_and_credentials()
  local headers = {}
  for i = 1, 100 do headers[i] = { "X-" .. i, "v" } end
  local request = head("ws://u:p@h/", { headers = headers })
  lu.assertStrContains(request, "X-100: v\r\nAuthorization: Basic dTpw\r\n\r\n")
end

-- ---- Host and the key ---------------------------------------------------------------

function T:test_another_host_than_the_url_names()
  for _, host in ipairs { "a.example", "a.example:8080", "[::1]:80", "10.0.0.1" } do
    local request = head("ws://127.0.0.1:8080/x", { host = host })
    lu.assertStrMatches(request, "GET /x HTTP/1.1\r\nHost: " .. host:gsub("%p", "%%%0") .. "\r\n.*")
    lu.assertNil(request:find "127")
  end
  for _, bad in ipairs { "", "a b", "a:b", "a/b", "u@a", "a\r\nX: y", "a\0" } do
    contains("option 'host' must be a host, or host:port", head, "ws://h/", { host = bad })
  end
  contains("option 'host' must be a string, got number", head, "ws://h/", { host = 1 })
  contains("Host", head, "ws://h/", { headers = { Host = "x" } }) -- there is one way to say it
end

function T:test_a_key_of_ones_own()
  local key = "dGhlIHNhbXBsZSBub25jZQ=="
  local function key_of(options) return head("ws://h/", options):match "\r\nSec%-WebSocket%-Key: (%S+)\r\n" end
  lu.assertEquals(key_of { handshakeKey = key }, key)
  lu.assertNotEquals(key_of {}, key_of {})
  for _, bad in ipairs { "", "x", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZTEy",
    "dGhlIHNhbXBsZSBub25jZ\r\n=", key .. "AAAA" } do
    contains("option 'handshakeKey' must be 16 bytes in base64", head, "ws://h/", { handshakeKey = bad })
  end
  contains("option 'handshakeKey' must be a string", head, "ws://h/", { handshakeKey = 1 })
end

return T
