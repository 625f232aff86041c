-- spec/support/certs.lua -- certificates for specs, made by `openssl` when they
-- are first asked for, in a directory that goes with the run.
--
--   local good = certs.get "good"     -- { cert = path, key = path, ca = path }
--   certs.ca, certs.read(path)
--
-- What must be valid is so for a hundred years and what must not be never will
-- be: no spec fails because of the calendar.

local files = require "support.files"

local M = {}

local function shell(command)
  local pipe = assert(io.popen("unset LD_PRELOAD\nexec 2>&1\nset -e\n" .. command))
  local text = pipe:read "a"
  local ok = pipe:close()
  assert(ok, "openssl: " .. text .. "\n" .. command)
  return text
end

local state = setmetatable({ made = {} }, {
  __gc = function(self) if self.dir then os.execute("unset LD_PRELOAD; rm -rf '" .. self.dir .. "'") end end,
})

local LONG = { "20200101000000Z", "21200101000000Z" }
local PAST = { "20200101000000Z", "20210102000000Z" }
local FUTURE = { "20900102000000Z", "21200101000000Z" }

-- Who signs, for whom, when: what differs from a good server certificate.
local kinds = {
  good = { san = "DNS:localhost,IP:127.0.0.1,IP:::1" },
  second = { san = "DNS:localhost,IP:127.0.0.1" }, -- as good, and another
  expired = { san = "DNS:localhost,IP:127.0.0.1", cn = "old.test", dates = PAST },
  future = { san = "DNS:localhost,IP:127.0.0.1", cn = "new.test", dates = FUTURE },
  other_host = { san = "DNS:a.test,DNS:b.test,IP:10.0.0.1", cn = "127.0.0.1" },
  cn_only = { cn = "localhost" },
  no_names = { cn = "nobody.test", san = "email:x@y.test" },
  wild = { san = "DNS:*.wild.test", cn = "wild" },
  partial = { san = "DNS:w*.wild.test", cn = "partial" },
  localhost = { san = "DNS:localhost", cn = "localhost" },
  ws_localhost = { san = "DNS:ws.localhost", cn = "ws.localhost" },
  a_test = { san = "DNS:a.test", cn = "a.test" },
  b_test = { san = "DNS:b.test,DNS:*.b.test", cn = "b.test" },
  self_signed = { self = true, san = "DNS:localhost,IP:127.0.0.1", cn = "own.test" },
  unknown = { by = "other_ca", san = "DNS:localhost,IP:127.0.0.1", cn = "stranger.test" },
  chained = { by = "middle", san = "DNS:localhost,IP:127.0.0.1", cn = "chained.test" },
  revoked = { san = "DNS:localhost,IP:127.0.0.1", cn = "gone.test" },
  client = { use = "clientAuth", cn = "Alice" },
  client_revoked = { use = "clientAuth", cn = "Gone Alice" },
  client_old = { use = "clientAuth", cn = "Old Alice", dates = PAST },
  client_unknown = { by = "other_ca", use = "clientAuth", cn = "Mallory" },
  both_uses = { use = "serverAuth,clientAuth", san = "IP:127.0.0.1", cn = "both.test" },
  address_name = { san = "DNS:127.0.0.1,DNS:a.test,IP:10.0.0.1", cn = "127.0.0.1" },
  weak = { san = "DNS:localhost,IP:127.0.0.1", cn = "weak.test", key = "RSA -pkeyopt rsa_keygen_bits:768" },
  signed_by_a_server = { by = "server_ca", san = "IP:127.0.0.1", cn = "child.test" },
  control = { san = "DNS:localhost", cn = "a\\\tb", by = "other_ca" },
}

local config = [[
[ca]
default_ca = d
[d]
dir = .
database = index
new_certs_dir = .
serial = serial
default_md = sha256
policy = p
unique_subject = no
copy_extensions = none
[p]
commonName = supplied
organizationName = optional
]]

local function write(name, text) files.write(state.dir .. "/" .. name, text) end

local function prepare()
  if state.dir then return end
  state.dir = shell "mktemp -d":match "[^\n]+"
  write("ca.cnf", config)
  write("index", "")
  write("serial", "1001\n")
  M.dir = state.dir
end

local function openssl(...)
  return "cd '" .. state.dir .. "'\n" .. table.concat({ ... }, "\n")
end

local function key_of(name, kind)
  kind = kind or "EC -pkeyopt ec_paramgen_curve:P-256"
  return ("openssl genpkey -quiet -algorithm %s -out %s.key 2>/dev/null || "
    .. "openssl genpkey -algorithm %s -out %s.key"):format(kind, name, kind, name)
end

-- An authority: a root of its own, or below another; or, with false, one that
-- acts as such.
local function authority(name, cn, by, may)
  if state.made[name] then return end
  if by then authority(by, by == "ca" and "Spec Root" or by) end
  state.made[name] = true
  local ext = may == false and "basicConstraints=CA:FALSE"
    or "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign"
  write(name .. ".ext", ext .. "\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
  shell(openssl(key_of(name),
    ("openssl req -new -key %s.key -subj '/CN=%s' -out %s.csr"):format(name, cn, name),
    ("openssl ca -batch -notext -config ca.cnf %s -startdate %s -enddate %s -extfile %s.ext -in %s.csr -out %s.crt")
      :format(by and ("-cert %s.crt -keyfile %s.key"):format(by, by) or ("-selfsign -keyfile %s.key"):format(name),
        LONG[1], LONG[2], name, name, name)))
end

local authorities = { ca = { "Spec Root" }, other_ca = { "Other Root" }, middle = { "Spec Middle", "ca" },
  server_ca = { "Some Server", "ca", false } }

local function make(name)
  local t = assert(kinds[name], name)
  local by = t.by or "ca"
  if not t.self then authority(by, table.unpack(authorities[by])) end
  local dates = t.dates or LONG
  local signer = t.self and "-selfsign -keyfile " .. name .. ".key" or ("-cert %s.crt -keyfile %s.key"):format(by, by)
  write(name .. ".ext", "basicConstraints=CA:FALSE\nextendedKeyUsage=" .. (t.use or "serverAuth") .. "\n"
    .. (t.san and "subjectAltName=" .. t.san .. "\n" or ""))
  shell(openssl(key_of(name, t.key),
    ("openssl req -new -utf8 -key %s.key -subj '/CN=%s/O=Specs' -out %s.csr"):format(name, t.cn or "good.test", name),
    ("openssl ca -batch -notext -utf8 -config ca.cnf %s -startdate %s -enddate %s -extfile %s.ext -in %s.csr "
      .. "-out %s.crt"):format(signer, dates[1], dates[2], name, name, name),
    authorities[by][2] and ("cat %s.crt >> %s.crt"):format(by, name) or ""))
end

function M.read(path) return assert(files.read(path)) end

--- The certificate and key of that kind as files, and the authority they are
--- to be checked against.
function M.get(name)
  prepare()
  if not state.made[name] then
    make(name)
    state.made[name] = true
  end
  authority("ca", "Spec Root")
  local base = state.dir .. "/"
  return { cert = base .. name .. ".crt", key = base .. name .. ".key", ca = base .. "ca.crt" }
end

--- The file of an authority: "ca", "other_ca", "middle".
function M.authority(name)
  prepare()
  authority(name, table.unpack(authorities[name]))
  return state.dir .. "/" .. name .. ".crt"
end

--- A list of what an authority has revoked, certificates by kind or authorities;
--- a file. dates: "past" or "future", instead of a hundred years that we are in.
function M.list(by, revoked, dates)
  M.authority(by)
  local from, to = table.unpack(dates == "past" and PAST or dates == "future" and FUTURE or LONG)
  state.lists = (state.lists or 0) + 1
  local path = ("%s/%s-%d.crl"):format(state.dir, by, state.lists)
  local rows = {}
  for _, name in ipairs(revoked) do
    local file = authorities[name] and M.authority(name) or M.get(name).cert
    local serial = shell("openssl x509 -noout -serial -in '" .. file .. "'"):match "serial=(%x+)"
    rows[#rows + 1] = ("R\t%s\t220304050607Z\t%s\tunknown\t/CN=%s\n"):format(LONG[2], serial, name)
  end
  write("list", table.concat(rows))
  write("list.cnf", (config:gsub("= index", "= list")))
  shell(openssl(("openssl ca -gencrl -config list.cnf -cert %s.crt -keyfile %s.key -crl_lastupdate %s "
    .. "-crl_nextupdate %s -out '%s'"):format(by, by, from, to, path)))
  return path
end

--- The key of a kind, encrypted with a password; a file.
function M.locked(name, password)
  local t = M.get(name)
  local path = t.key .. ".locked"
  shell(openssl(("openssl pkey -in '%s' -aes128 -passout 'pass:%s' -out '%s'"):format(t.key, password, path)))
  return path
end

--- A directory with the authority in it, as `openssl rehash` makes one.
function M.directory()
  local path = M.authority "ca"
  local dir = state.dir .. "/hashed"
  shell(("mkdir -p '%s' && cp '%s' '%s/ca.pem' && openssl rehash '%s'"):format(dir, path, dir, dir))
  return dir
end

--- A home directory in which Chromium finds the authority, by NSS's certutil.
function M.home()
  local ca = M.authority "ca"
  local home = state.dir .. "/home"
  shell(("rm -rf '%s'; mkdir -p '%s/.pki/nssdb' && certutil -d 'sql:%s/.pki/nssdb' -N --empty-password && "
    .. "certutil -d 'sql:%s/.pki/nssdb' -A -t C,, -n spec -i '%s'"):format(home, home, home, home, ca))
  return home
end

--- A file of the run's directory, with that text.
function M.file(name, text)
  prepare()
  write(name, text)
  return state.dir .. "/" .. name
end

return M
