-- spec/net/addr_spec.lua -- addresses to and from text.

local lu = require "luaunit"
local net = require "wsock.probe".net

local T = {}

local function round(text, port)
  local addr, code = net.parse(text, port or 80)
  if not addr then return nil, code end
  return net.format(addr)
end

-- text in, text out (true: the same), family
local numeric = {
  { "127.0.0.1", true, "inet" },
  { "0.0.0.0", true, "inet" },
  { "255.255.255.255", true, "inet" },
  { "::", true, "inet6" },
  { "::1", true, "inet6" },
  { "0:0:0:0:0:0:0:1", "::1", "inet6" },
  { "2001:DB8::1", "2001:db8::1", "inet6" },
  { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "inet6" },
  { "::ffff:192.0.2.1", true, "inet6" },
  { "1:2:3:4:5:6:7:8", true, "inet6" },
  { "fe80::1%1", "fe80::1%lo", "inet6" },
  { "fe80::1%lo", true, "inet6" },
  { "fe80::1%4294967295", true, "inet6" },
  { "fe80::1%9990909", true, "inet6" },
  { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "inet6" },
}

function T:test_numeric()
  for _, row in ipairs(numeric) do
    local addr = assert(net.parse(row[1], 8080), row[1])
    lu.assertEquals({ net.format(addr) }, { row[2] == true and row[1] or row[2], 8080 }, row[1])
    lu.assertEquals(net.family(addr), row[3])
  end
end

local names = {
  "", " ", "localhost", "example.org", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1.", "127.1", "127.0.0.01", "127.0.0.256",
  "0x7f.0.0.1", "0x7f000001", "2130706433", "1.2.3", "1.2.3.4.5", "[::1]", ":::", "::1::", "1:2:3:4:5:6:7", "g::1",
  "12345::", "1:2:3:4:5:6:7:8:9", "::1%", "::1%nosuchinterface", "::1%0", "::1%-1", "::1% 1", "::1%1x",
  "::1%4294967296", "::1%99999999999999999999", "127.0.0.1%lo", "::%", "%lo", "%",
  ("1"):rep(200), (":"):rep(200), "::" .. ("0"):rep(50),
}

function T:test_everything_else_is_a_name()
  for _, text in ipairs(names) do
    lu.assertEquals({ net.parse(text, 80) }, { nil, "ARGUMENT" }, text)
  end
end

function T:test_ports()
  for _, port in ipairs { 0, 1, 80, 443, 32768, 65534, 65535 } do
    lu.assertEquals({ round("127.0.0.1", port) }, { "127.0.0.1", port })
    lu.assertEquals({ round("::1", port) }, { "::1", port })
  end
  for _, port in ipairs { -1, 65536, 65616, 0x7fffffff, -0x80000000 } do
    lu.assertEquals({ net.parse("127.0.0.1", port) }, { nil, "ARGUMENT" })
    lu.assertEquals({ net.parse("::1", port) }, { nil, "ARGUMENT" })
  end
end

-- ---- unix --------------------------------------------------------------------

function T:test_paths()
  for _, path in ipairs { "/tmp/x", "x", "/", "@name", "@", "/with blank", "/\xc3\xa4" } do
    local addr = assert(net.unix(path))
    lu.assertEquals({ net.format(addr) }, { path, 0 })
    lu.assertEquals(net.family(addr), "unix")
  end
end

function T:test_paths_as_the_system_wants_them()
  lu.assertTrue(net.equal(net.unix "/a", net.path "/a\0"), "with a NUL behind")
  lu.assertTrue(net.equal(net.unix "@a", net.path "\0a"), "abstract: a NUL before, none behind")
end

function T:test_length_of_a_path()
  lu.assertEquals({ net.unix "" }, { nil, "ARGUMENT" })
  for _, first in ipairs { "/", "@" } do
    local path = first .. ("a"):rep(105)
    lu.assertEquals({ net.format(assert(net.unix(path))) }, { path, 0 }, "106")
    path = path .. "b"
    lu.assertEquals({ net.format(assert(net.unix(path))) }, { path, 0 }, "107")
    lu.assertEquals({ net.unix(path .. "c") }, { nil, "ARGUMENT" }, "108")
  end
end

-- As messages name an end.
function T:test_names()
  for _, row in ipairs { { "127.0.0.1", "127.0.0.1:80" }, { "::1", "[::1]:80" }, { "0:0::2", "[::2]:80" } } do
    lu.assertEquals(net.name(assert(net.parse(row[1], 80))), row[2])
  end
  lu.assertEquals(net.name(assert(net.parse("127.0.0.1", 0))), "127.0.0.1:0")
  lu.assertEquals(net.name(assert(net.unix "/a/b")), "/a/b")
  lu.assertEquals(net.name(net.path "\0a"), "@a")
  lu.assertEquals(net.name(net.none()), "?")
end

-- What the kernel may give as a peer's address.
function T:test_formats_what_others_made()
  lu.assertEquals({ net.format(net.path "") }, { "unix", 0 }, "unnamed")
  lu.assertEquals({ net.format(net.none()) }, { "?", 0 })
  lu.assertEquals(net.family(net.none()), "none")
  lu.assertEquals({ net.format(net.path "/a\0") }, { "/a", 0 })
  lu.assertEquals({ net.format(net.path "/a\0junk") }, { "/a", 0 })
  lu.assertEquals({ net.format(net.path "/no/nul") }, { "/no/nul", 0 })
  lu.assertEquals({ net.format(net.path "\0a\0b") }, { "@a?b", 0 }, "an abstract name may hold NULs")
  lu.assertEquals({ net.format(net.path "/a\27[2J\n\127") }, { "/a?[2J??", 0 }, "nothing for a terminal to obey")
  local full = "/" .. ("x"):rep(107)
  lu.assertEquals({ net.format(net.path(full)) }, { full, 0 }, "108 bytes without a NUL")
end

-- ---- room --------------------------------------------------------------------

function T:test_room_for_the_text()
  for _, addr in ipairs {
    net.parse("192.168.100.200", 1), net.parse("fe80::1%lo", 2), net.unix "/tmp/x", net.unix "@abc", net.none(),
    net.path "",
  } do
    local whole = net.format(addr)
    for n = 1, #whole + 1 do
      lu.assertEquals((net.format(addr, n)), whole:sub(1, n - 1))
    end
    lu.assertNil((net.format(addr, 0)))
  end
end

-- ---- comparing and keeping -----------------------------------------------------

function T:test_equal()
  local list = {
    net.parse("127.0.0.1", 1), net.parse("127.0.0.1", 2), net.parse("127.0.0.2", 1), net.parse("::1", 1),
    net.parse("::1", 2), net.parse("::2", 1), net.parse("fe80::1%1", 1), net.parse("fe80::1%2", 1),
    net.parse("::ffff:127.0.0.1", 1), net.unix "/a", net.unix "/b", net.unix "/aa", net.unix "@a", net.none(),
  }
  for i, a in ipairs(list) do
    for k, b in ipairs(list) do
      lu.assertEquals(net.equal(a, b), i == k, ("%d %d"):format(i, k))
    end
  end
end

function T:test_internet_addresses_are_kept_in_few_bytes()
  for _, row in ipairs(numeric) do
    local addr = net.parse(row[1], 4711)
    local back, n = net.small(addr)
    lu.assertTrue(net.equal(addr, back))
    lu.assertEquals(n, row[3] == "inet" and 16 or 28)
  end
  for _, addr in ipairs { net.unix "/a", net.none(), net.path "" } do
    local back, n = net.small(addr)
    lu.assertEquals(n, 0)
    lu.assertEquals(net.family(back), "none")
  end
end

return T
