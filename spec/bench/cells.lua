-- spec/bench/cells.lua -- what is measured, and what it must reach.
--
-- A cell has a name, one or more runs of the load against a server, and a
-- measure of what a run gave.  With two runs the figure judged is the ratio
-- first : second, else, or when the cell is absolute, the measure itself: then
-- the second run is a yardstick, how fast the machine was meanwhile.  `least`
-- must be reached, `aim` is where we want to be; with `most` in place of
-- `least` smaller is better.
-- `beats` is how many times the first peer's figure ours must be at least, when
-- peers are asked for; `with` says that they speak TLS, or compress.
-- A run is {server, "options of load"}; with fresh = true its server is
-- started for it alone.

local M = {}

-- ---- measures: of what one run of the load printed -----------------------------

local measure = {
  rate = { "thousand messages per second of server CPU", function(r) return r.messages / r.cpu / 1000 end },
  shakes = { "handshakes per second of server CPU", function(r) return r.messages / r.cpu end },
  cost = { "microseconds of server CPU", function(r) return r.cpu / r.messages * 1e6 end },
  each = { "bytes of server memory for each", function(r) return r.memory / r.conns end },
  size = { "bytes for one that zlib's defaults make", function(r) return r.larger end },
  growth = { "KiB the server has grown", function(r) return r.memory / 1024 end },
}

local function size_name(n)
  if n >= 1 << 20 then return (n >> 20) .. " MiB" end
  return n >= 1024 and (n >> 10) .. " KiB" or n .. " B"
end

-- ---- groups: functions of (quick) that return cells ------------------------------

--- connections x in flight x bytes, and the shares of the raw echo.
local shapes = {
  { 64, 1, 16, 0.90, 0.95 }, { 64, 1, 125, 0.90, 0.95 }, { 64, 1, 1 << 10, 0.90, 0.95 },
  { 64, 1, 16 << 10, 0.80, 0.90 },
  { 64, 1, 64 << 10, 0.65, 0.85 }, { 64, 1, 1 << 20, 0.65, 0.85 },
  { 64, 16, 16, 0.50, 0.65 }, { 64, 16, 125, 0.50, 0.65 },
  { 1000, 16, 16, 0.50, 0.65 }, { 1000, 16, 125, 0.50, 0.65 },
  { 64, 16, 1 << 10, 0.40, 0.55 }, { 64, 16, 16 << 10, 0.75, 0.85 },
}

local function echo()
  local cells = {}
  for i, s in ipairs(shapes) do
    local load = ("conns=%d depth=%d size=%d"):format(s[1], s[2], s[3])
    cells[i] = {
      name = ("%d x %d x %s"):format(s[1], s[2], size_name(s[3])),
      runs = { { "echo", load }, { "raw", "mode=raw " .. load } },
      peers = load, measure = measure.rate, least = s[4], aim = s[5],
    }
  end
  return cells
end

local function text()
  local cells = {}
  for i, kind in ipairs { "ascii", "mixed", "dense" } do
    cells[i] = {
      name = kind .. " text, 64 x 1 x 16 KiB",
      runs = { { "echo", "conns=64 size=16384 kind=" .. kind }, { "echo", "conns=64 size=16384" } },
      measure = measure.rate, least = 0.80, aim = 0.95,
    }
  end
  return cells
end

local function beside(_, most)
  return { {
    name = ("64 x 1 x 125 B beside %d idle ones"):format(most - 64),
    runs = { { "echo", ("conns=%d active=64 size=125"):format(most) }, { "echo", "conns=64 size=125" } },
    measure = measure.rate, least = 0.9,
  } }
end

local yardstick = { "raw", "mode=raw conns=64 size=16" }

local function opening()
  return { {
    name = "opening and closing handshake",
    runs = { { "echo", "mode=rate conns=16 ms=500" }, yardstick },
    absolute = true, measure = measure.cost, most = 45, aim = 35,
  } }
end

local function broadcast()
  return { {
    name = "broadcast to 1000, 125 B, 4 outstanding, a delivery",
    runs = { { "broadcast", "mode=broadcast conns=1000 depth=4 size=125 warm=200 ms=500" }, yardstick },
    absolute = true, measure = measure.cost, most = 2.0, aim = 1.0,
  } }
end

-- What TLS leaves of the plain echo; and handshakes, the WebSocket's too when
-- there are peers to compare with, against OpenSSL's own server.
local function tls()
  local cells = {}
  for i, s in ipairs { { 16, 0.45, 1.8 }, { 16 << 10, 0.25, 2.5 }, { 64 << 10, 0.15, 3 } } do
    local load = "conns=64 size=" .. s[1]
    cells[i] = {
      name = "64 x 1 x " .. size_name(s[1]), runs = { { "echo_tls", "tls=1 " .. load }, { "echo", load } },
      peers = "tls=1 " .. load, with = "tls", measure = measure.rate, least = s[2], beats = s[3],
    }
  end
  return cells
end

local function handshakes()
  local load = "conns=16 tls=1 ms=1000"
  return { {
    name = "TLS handshakes", measure = measure.shakes, least = 0.85,
    runs = { { "echo_tls", "mode=shake " .. load }, { "openssl", "mode=shake " .. load } },
  }, {
    name = "TLS and opening handshakes", measure = measure.shakes,
    runs = { { "echo_tls", "mode=rate " .. load } }, peers = "mode=rate " .. load, with = "tls", beats = 2,
  } }
end

local function idle_tls(_, most)
  most = math.min(most, 1000)
  return { {
    name = ("idle connection over TLS, %d of them"):format(most),
    runs = { { "idle_tls", ("mode=idle tls=1 conns=%d"):format(most), fresh = true } },
    once = true, measure = measure.each, most = 20 << 10,
  } }
end

-- Messages of JSON-like text, and what Node's ws makes of them.
local function deflate()
  local cells = {}
  for i, s in ipairs { { 125, 3.5, 2000 }, { 16 << 10, 2, 200 }, { 1 << 20, 2, 4 } } do
    local load = "packed=1 kind=ascii size=" .. s[1]
    cells[i] = {
      name = "64 x 1 x " .. size_name(s[1]), runs = { { "packed", load .. " conns=64 count=64" } },
      peers = load .. " conns=64 count=64", with = "packed", measure = measure.rate, beats = s[2],
    }
    cells[i + 3] = {
      name = size_name(s[1]), runs = { { "packed", load .. " warm=0 ms=0 count=" .. s[3] } },
      measure = measure.size, most = 1.15, aim = 1.1,
    }
  end
  return cells
end

local function not_deflated()
  return { {
    name = "64 x 1 x 16 B, which go as they are", measure = measure.rate, least = 0.90, aim = 0.97,
    runs = { { "packed", "deflate=1 conns=64 size=16" }, { "echo", "conns=64 size=16" } },
  } }
end

local function idle_deflate(_, most)
  local cells = {}
  most = math.min(most, 1000)
  for i, s in ipairs { { "packed", 180 << 10 }, { "packed_alone", 4096 } } do
    cells[i] = {
      name = ("idle connection, %s, %d of them"):format(i == 1 and "windows kept" or "none kept", most),
      runs = { { s[1], ("mode=idle packed=1 kind=ascii size=16384 conns=%d"):format(most), fresh = true } },
      once = true, measure = measure.each, most = s[2],
    }
  end
  return cells
end

local function straight()
  local cells = {}
  for i, depth in ipairs { 1, 16 } do
    local load = ("conns=64 depth=%d size=125"):format(depth)
    cells[i] = {
      name = ("receive in a loop, 64 x %d x 125 B"):format(depth), runs = { { "straight", load }, { "echo", load } },
      measure = measure.rate, least = 0.7,
    }
  end
  return cells
end

local function idle(_, most)
  return { {
    name = ("idle connection, %d of them"):format(most),
    runs = { { "idle", ("mode=idle conns=%d"):format(most), fresh = true } },
    once = true, measure = measure.each, most = 1024,
  } }
end

local function flat(quick)
  local millions = quick and 1 or 10
  return { {
    name = ("over %d million echoes"):format(millions),
    runs = { { "echo", ("conns=64 depth=16 size=125 warm=1000 ms=0 limit=600 count=%d000000"):format(millions),
      fresh = true } },
    once = true, measure = measure.growth, most = 256,
  } }
end

--- What `micro` prints: name, least GB/s.
M.micro = {
  { "mask-125" }, { "mask-16384", 5 }, { "mask-copy-16384" },
  { "utf8-ascii-125" }, { "utf8-ascii-16384", 3 }, { "utf8-mixed-16384" }, { "utf8-dense-16384" },
}

M.groups = {
  { "echo", "raw TCP", echo },
  { "text", "binary", text },
  { "beside", "alone", beside },
  { "handshake", "raw echo", opening },
  { "broadcast", "raw echo", broadcast },
  { "idle", nil, idle },
  { "memory", nil, flat },
  { "straight", "handlers", straight },
  { "tls", "plain", tls },
  { "tls", "s_server", handshakes },
  { "tls", nil, idle_tls },
  { "deflate", nil, deflate },
  { "deflate", "plain", not_deflated },
  { "deflate", nil, idle_deflate },
}

return M
