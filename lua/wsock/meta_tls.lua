---@meta wsock

-- lua/wsock/meta_tls.lua -- the types of what TLS is told and shows; see meta.lua.

--- Where PEM is said: text with "-----BEGIN" in it, or a file's name.
---@class wsock.TLSOptions
---@field ca string? PEM, or a directory as `openssl rehash` makes: whom to trust; a server: with requestCert
---@field crl string? PEM: lists of what is revoked, of each authority in a chain
---@field cert string? PEM: who we are, and what leads to the root
---@field key string? PEM; it may be in cert
---@field password string? of the key
---@field verify boolean? true; false: whoever answers will do
---@field minVersion "1.2"|"1.3"|nil "1.2"
---@field ciphers string? OpenSSL's names, ":" between them
---@field alpn string[]? { "http/1.1" }
---@field serverName string? client: the name asked for and looked for; the URL's host
---@field requestCert boolean? server: ask clients for a certificate; false
---@field tickets boolean? server: let clients come back quickly; true
---@field sni table<string, {cert: string, key?: string, password?: string}>? server: by host name

---@class wsock.ClientOptions
---@field tls wsock.TLSOptions? of wss: URLs

---@class wsock.ServerOptions
---@field tls wsock.TLSOptions? none: plain

---@class wsock.Socket
---@field tls wsock.TLSInfo? of a wss: connection that is open

---@class wsock.Request
---@field remoteAddress string? whose it is
---@field remotePort integer?
---@field tls wsock.TLSInfo? of a connection over TLS

---@class wsock.Server
---@field setTLS fun(self: wsock.Server, tls: wsock.TLSOptions): true?, string?, string? of who comes from now on

---@class wsock.TLSInfo
---@field version string "TLSv1.3"
---@field cipher string OpenSSL's name
---@field resumed boolean came back by a session
---@field peerCertificate wsock.PeerCertificate? what the other side showed

---@class wsock.PeerCertificate
---@field subject string "CN=example.com, O=Example"
---@field issuer string
---@field names string[] host names and addresses
---@field validFrom string "2024-01-02T03:04:05Z"
---@field validTo string
---@field serialNumber string hex
---@field fingerprint256 string SHA-256 of the certificate, "AB:CD:..."

return {}
