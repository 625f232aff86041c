-- spec/proto/offer_spec.lua -- the handshake of permessage-deflate: rows PM-01 to
-- PM-27, EX-04, EX-13 of the matrix, N1, N3, N4, N5 of the threats.

local lu = require "luaunit"
local proto = require "wsock.probe".proto
local growth = require "support.growth"

local T = {}
T.alone = true -- it measures

local ANY = 255 -- client_max_window_bits without a value

-- Short names for the parameters, here only: "pmd; snct; smwb=9".
local LONG = {
  snct = "server_no_context_takeover", cnct = "client_no_context_takeover",
  smwb = "server_max_window_bits", cmwb = "client_max_window_bits",
}

local function long(text)
  return (text:gsub("pmd", "permessage-deflate"):gsub("%f[%w_]%a%a%a%a%f[^%w_]", LONG))
end

local function offer(t)
  return proto.offer_write(t or {})
end

-- PM-01, EX-10
function T:test_writing()
  lu.assertEquals(offer(), "permessage-deflate")
  lu.assertEquals(offer { client_window = ANY }, long "pmd; cmwb")
  lu.assertEquals(offer { server_alone = true, client_alone = true, server_window = 15, client_window = 15 },
    long "pmd; snct; cnct; smwb=15; cmwb=15")
  for bits = 8, 15 do
    lu.assertEquals(offer { server_window = bits, client_window = bits },
      long(("pmd; smwb=%d; cmwb=%d"):format(bits, bits)))
  end
end

-- ---- server ----------------------------------------------------------------------

-- ours, the offers, the answer or false
local CHOICES = {
  { {}, "pmd", "pmd" },
  { {}, "pmd; cmwb", "pmd" }, -- what browsers offer
  { {}, "pmd; cmwb=15", "pmd; cmwb=15" },
  { {}, "pmd; cmwb=10", "pmd; cmwb=10" }, -- PM-25
  { {}, "pmd; smwb=12", "pmd; smwb=12" }, -- PM-20
  { {}, "pmd; smwb=8; cmwb=8", "pmd; smwb=8; cmwb=8" }, -- ZL-03
  { {}, "pmd; smwb=15", "pmd; smwb=15" },
  { {}, "pmd; snct", "pmd; snct" }, -- PM-11, PM-12
  { {}, "pmd; cnct", "pmd; cnct" }, -- PM-15: a hint that is taken
  { {}, 'pmd; smwb="10"; cmwb="1\\1"', "pmd; smwb=10; cmwb=11" }, -- EX-05
  { { server_window = 12 }, "pmd", "pmd; smwb=12" }, -- PM-22
  { { server_window = 12 }, "pmd; smwb=10", "pmd; smwb=10" },
  { { server_window = 10 }, "pmd; smwb=12", "pmd; smwb=10" },
  { { client_window = 12 }, "pmd; cmwb", "pmd; cmwb=12" }, -- PM-23: it is known, and
  { { client_window = 12 }, "pmd; cmwb=15", "pmd; cmwb=12" }, -- PM-23: a hint
  { { client_window = 12 }, "pmd; cmwb=9", "pmd; cmwb=9" },
  { { client_window = 12 }, "pmd", false }, -- PM-24
  { { client_window = 15 }, "pmd", "pmd" },
  { { client_window = 12 }, "pmd, pmd; cmwb", "pmd; cmwb=12" },
  { { server_alone = true }, "pmd", "pmd; snct" }, -- PM-13
  { { client_alone = true }, "pmd", "pmd; cnct" }, -- PM-17
  -- PM-02, PM-03: the first one that is acceptable
  { {}, "pmd; smwb=10, pmd", "pmd; smwb=10" },
  { {}, "pmd; foo, pmd", "pmd" },
  { {}, "foo, bar; x=1, pmd; cmwb, pmd; snct", "pmd" },
  { {}, "pmd; smwb=7, pmd; smwb=8, pmd", "pmd; smwb=8" },
  { {}, ", pmd,,", "pmd" },
  -- PM-08: declined
  { {}, "foo", false }, { {}, "", false }, { {}, "deflate-frame", false }, -- S38, EX-09
  { {}, "pmd; foo", false }, { {}, "pmd; foo=1", false },
  { {}, "pmd; snct; snct", false }, { {}, "pmd; smwb=9; smwb=9", false }, { {}, "pmd; cmwb; cmwb=9", false },
  { {}, "pmd; snct=1", false }, { {}, "pmd; cnct=true", false }, { {}, 'pmd; snct="x"', false }, -- PM-10
  { {}, "pmd; smwb", false }, -- PM-19
  -- EX-13: names have their letter case
  { {}, "Permessage-Deflate", false }, { {}, "pmd; Server_max_window_bits=9", false },
  { {}, "x-webkit-deflate-frame", false }, { {}, "permessage-deflat", false }, { {}, "permessage-deflate2", false },
}

function T:test_choosing()
  for _, row in ipairs(CHOICES) do
    local got, err = proto.offer_choose(row[1], long(row[2]))
    lu.assertEquals(got, row[3] and long(row[3]) or nil, row[2])
    if not got then lu.assertEquals(err, "MORE") end
  end
end

-- PM-18, N1: values of both windows, in an offer and in an answer
local VALUES = {
  "7", "16", "0", "08", "+8", "8.0", "1e1", "1e400", "99999999999", "-1", "015", "1", "85", "20", "x", "",
}

function T:test_values_of_windows()
  for _, name in ipairs { "smwb", "cmwb" } do
    for bits = 8, 15 do
      local text = long(("pmd; %s=%d"):format(name, bits))
      lu.assertEquals(proto.offer_choose({}, text), text)
      lu.assertEquals(proto.offer_check({ client_window = ANY }, text), text)
    end
    for _, value in ipairs(VALUES) do
      for _, form in ipairs { "pmd; %s=%s", 'pmd; %s="%s"' } do
        local text = long(form:format(name, value))
        lu.assertEquals({ proto.offer_choose({}, text) }, { nil, "MORE" }, text)
        lu.assertNil((proto.offer_check({ client_window = ANY }, text)), text)
      end
    end
    lu.assertNil((proto.offer_choose({}, long(('pmd; %s="9;9"'):format(name)))))
  end
end

-- ---- client ----------------------------------------------------------------------

-- ours, the answer, the error or nil
local ANSWERS = {
  { {}, "pmd" },
  { {}, "pmd; snct; cnct" }, -- PM-13, PM-16
  { {}, "pmd; smwb=10" }, -- PM-22
  { { client_window = ANY }, "pmd; cmwb=15" },
  { { client_window = ANY }, "pmd; cmwb=8" },
  { { client_window = 10 }, "pmd; cmwb=10" },
  { { client_window = 10 }, "pmd; cmwb=9" },
  { { client_window = 10 }, "pmd" },
  { { server_window = 12 }, "pmd; smwb=12" },
  { { server_window = 12 }, "pmd; smwb=8" },
  { { server_alone = true }, "pmd; snct" },
  { { client_alone = true }, "pmd" }, -- PM-15
  { {}, ", pmd , " },
  -- PM-14
  { { server_alone = true }, "pmd", "DEFLATE_ANSWER" },
  -- PM-21
  { { server_window = 12 }, "pmd", "DEFLATE_ANSWER" },
  { { server_window = 12 }, "pmd; smwb=13", "DEFLATE_ANSWER" },
  -- PM-24, PM-26
  { {}, "pmd; cmwb=15", "DEFLATE_ANSWER" },
  { { client_window = 10 }, "pmd; cmwb=11", "DEFLATE_ANSWER" },
  { { client_window = ANY }, "pmd; cmwb", "DEFLATE_PARAM" },
  -- PM-09
  { {}, "pmd; foo", "DEFLATE_PARAM" }, { {}, "pmd; cnct=1", "DEFLATE_PARAM" },
  { {}, "pmd; smwb=16", "DEFLATE_PARAM" }, { {}, "pmd; smwb", "DEFLATE_PARAM" },
  { {}, "pmd; snct; snct", "DEFLATE_PARAM" }, { {}, "pmd; smwb=9; smwb=10", "DEFLATE_PARAM" },
  -- PM-06, N3
  { {}, "pmd, pmd", "EXTENSION_ANSWER" }, { {}, "foo", "EXTENSION_ANSWER" }, { {}, "pmd, foo", "EXTENSION_ANSWER" },
  { {}, "foo, pmd", "EXTENSION_ANSWER" }, { {}, "", "EXTENSION_ANSWER" }, { {}, ",", "EXTENSION_ANSWER" },
  { {}, "pmd; =", "EXTENSION_ANSWER" }, { {}, "Permessage-deflate", "EXTENSION_ANSWER" },
}

function T:test_checking()
  for _, row in ipairs(ANSWERS) do
    local got, err = proto.offer_check(row[1], long(row[2]))
    lu.assertEquals(err, row[3], row[2])
    lu.assertEquals(got ~= nil, row[3] == nil, row[2])
  end
end

-- ---- both ------------------------------------------------------------------------

local function each_offer(fn)
  for _, server in ipairs { 0, 8, 11, 15 } do
    for _, client in ipairs { 0, 8, 11, 15, ANY } do
      for alone = 0, 3 do
        fn {
          server_window = server, client_window = client,
          server_alone = alone & 1 ~= 0, client_alone = alone & 2 ~= 0,
        }
      end
    end
  end
end

-- Whatever a client offers and a server is set to: what is chosen is accepted.
function T:test_each_with_each()
  local chosen, declined = 0, 0
  each_offer(function(theirs)
    each_offer(function(ours)
      if ours.client_window == ANY then return end
      local answer = proto.offer_choose(ours, offer(theirs))
      if answer then
        lu.assertEquals(proto.offer_check(theirs, answer), answer)
        chosen = chosen + 1
      else
        lu.assertTrue(theirs.client_window == 0 and ours.client_window % 15 > 0)
        declined = declined + 1
      end
    end)
  end)
  lu.assertEquals({ chosen, declined }, { 80 * 64 - 16 * 32, 16 * 32 })
end

-- N4
function T:test_names_that_mean_something_elsewhere()
  for _, name in ipairs { "__index", "__gc", "__proto__", "constructor", ("a"):rep(65536), "permessage-deflate\0" } do
    lu.assertNil((proto.offer_choose({}, name)))
    lu.assertNil((proto.offer_choose({}, "permessage-deflate; " .. name)))
    lu.assertNil((proto.offer_check({}, "permessage-deflate; " .. name .. "=1")))
  end
end

-- N3, N5: time in proportion to the bytes
function T:test_many_offers()
  local function choose(value) lu.assertNil((proto.offer_choose({}, value))) end
  growth.linear(function(n) return long("pmd; smwb=7,"):rep(n) end, choose, 1000, "offers")
  growth.linear(function(n) return "permessage-deflate" .. ("; server_max_window_bits=9"):rep(n) end, choose, 1000,
    "parameters")
  growth.linear(function(n) return 'permessage-deflate; server_max_window_bits="' .. ("\\1"):rep(n) .. '"' end, choose,
    10000, "escapes")
  growth.linear(function(n) return (","):rep(n) end, choose, 10000, "commas")
end

return T
