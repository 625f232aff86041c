-- wsock.cli.flags: what a help text says is what is understood.

local lu = require "luaunit"
local flags = require "wsock.cli.flags"

local T = {}

local help = [[
Usage: tool --not-a-flag
  -x, --execute MESSAGE     send it
  -n, --count COUNT         so many
      --ping SECONDS        between -pings; --nor this
      --cert FILE, --key FILE   two of a kind
      --tls CERT KEY        two words
  -v, --verbose             more
  -h, --help, --version     this; that
]]

local known = flags.read(help)

local function parse(...)
  return flags.parse(known, { ... }, { "execute" })
end

-- What is wrong with a command line.
local function fault(...)
  local ok, e = pcall(parse, ...)
  lu.assertFalse(ok)
  return e.usage
end

function T:test_flags_are_read_off_the_text()
  local names = {}
  for name, flag in pairs(known) do names[name] = flag.name .. " " .. tostring(flag.kind) end
  lu.assertEquals(names, {
    ["-x"] = "execute MESSAGE", ["--execute"] = "execute MESSAGE", ["-n"] = "count COUNT", ["--count"] = "count COUNT",
    ["--ping"] = "ping SECONDS", ["--cert"] = "cert FILE", ["--key"] = "key FILE", ["--tls"] = "tls CERT KEY",
    ["-v"] = "verbose nil",
    ["--verbose"] = "verbose nil", ["-h"] = "help nil", ["--help"] = "help nil", ["--version"] = "version nil",
  })
end

function T:test_every_way_to_write_one()
  local ways = { { "-n", "5" }, { "-n5" }, { "--count", "5" }, { "--count=5" }, { "-vn5" }, { "-vn", "5" } }
  for _, words in ipairs(ways) do
    lu.assertEquals(parse(table.unpack(words)).count, 5, table.concat(words, " "))
  end
  lu.assertEquals(parse("-v", "--ping=0.5"), { execute = {}, verbose = true, ping = 0.5 })
  lu.assertEquals(parse("--tls", "a", "-v", "--key", "b"), { execute = {}, tls = { "a", "-v" }, key = "b" })
end

function T:test_the_rest_in_order()
  local options, rest = parse("a", "-v", "b", "-", "--", "-c", "--")
  lu.assertEquals(rest, { "a", "b", "-", "-c", "--" })
  lu.assertTrue(options.verbose)
end

function T:test_lists_gather_and_others_keep_the_last()
  local options = parse("-x", "1", "-n", "1", "--execute=", "-x", "-v", "-n", "2")
  lu.assertEquals(options.execute, { "1", "", "-v" }) -- a value is a value, dashes or not
  lu.assertEquals(options.count, 2)
end

function T:test_faults_name_the_flag()
  lu.assertEquals(fault "--cuont", "unknown flag --cuont; did you mean --count?")
  lu.assertEquals(fault "--counts=3", "unknown flag --counts; did you mean --count?")
  lu.assertEquals(fault "--cou", "unknown flag --cou; did you mean --count?")
  lu.assertEquals(fault "--quite", "unknown flag --quite") -- nothing is like it
  lu.assertEquals(fault "-vq", "unknown flag -q")
  local _, said = pcall(flags.parse, known, { "--pings=1" }, {}, { ["--pings"] = "once is enough" })
  lu.assertEquals(said.usage, "unknown flag --pings; once is enough") -- not: did you mean --ping?
  lu.assertEquals(fault "-x", "-x needs a value: MESSAGE")
  lu.assertEquals(fault "--ping", "--ping needs a value: SECONDS")
  lu.assertEquals(fault("--tls", "a"), "--tls needs a value: KEY")
  lu.assertEquals(fault "--tls=a", "--tls takes two words: CERT KEY")
  lu.assertEquals(fault "--verbose=1", "--verbose takes no value")
  lu.assertEquals(fault("-n", "1.5"), "-n must be a whole number, got '1.5'")
  lu.assertEquals(fault("-n", "-1"), "-n must be a whole number, got '-1'")
  lu.assertEquals(fault "--ping=x", "--ping must be a number of seconds, got 'x'")
  for _, text in ipairs { "-1", "inf", "nan", "1e999", "" } do
    lu.assertStrContains(fault("--ping=" .. text), "must be a number")
  end
end

function T:test_wait_may_be_for_ever()
  local wait = flags.read "  -w, --wait SECONDS   x\n"
  lu.assertEquals(flags.parse(wait, { "-w", "-1" }, {}).wait, -1)
  lu.assertError(flags.parse, wait, { "-w", "-2" }, {})
end

function T:test_nearest_is_the_same_each_time()
  lu.assertEquals(flags.nearest("--aa", { ["--ab"] = 1, ["--ac"] = 1, ["--ad"] = 1 }), "--ab")
  lu.assertEquals(flags.nearest("--he", { ["--ha"] = 1, ["--header"] = 1 }), "--header")
  lu.assertNil(flags.nearest("", { ab = 1, a = 1 }))
end

function T:test_fields()
  lu.assertEquals(flags.fields { "A: b", "C:d:e", "X-Empty:" }, { { "A", "b" }, { "C", "d:e" }, { "X-Empty", "" } })
  local ok, e = pcall(flags.fields, { "A b" })
  lu.assertFalse(ok)
  lu.assertEquals(e.usage, "--header must be 'Name: value', got 'A b'")
end

return T
