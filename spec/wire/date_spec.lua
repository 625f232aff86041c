-- spec/wire/date_spec.lua -- dates as HTTP writes them (RFC 9110 5.6.7).

local lu = require "luaunit"
local date = require "wsock.probe".wire.date

local T = {}

function T:test_dates()
  for text, seconds in pairs {
    ["Thu, 01 Jan 1970 00:00:00 GMT"] = 0, -- the epoch
    ["Sun, 06 Nov 1994 08:49:37 GMT"] = 784111777, -- the RFC's
    ["Fri, 31 Dec 1999 23:59:59 GMT"] = 946684799, -- the last second of a year
    ["Sat, 01 Jan 2000 00:00:00 GMT"] = 946684800,
    ["Tue, 29 Feb 2000 23:59:59 GMT"] = 951868799, -- 400 divides
    ["Wed, 01 Mar 2000 00:00:00 GMT"] = 951868800,
    ["Thu, 29 Feb 2024 12:00:00 GMT"] = 1709208000,
    ["Tue, 31 Dec 2024 23:59:59 GMT"] = 1735689599, -- the 366th day
    ["Tue, 19 Jan 2038 03:14:08 GMT"] = 1 << 31,
    ["Sun, 28 Feb 2100 23:59:59 GMT"] = 4107542399, -- 100 divides
    ["Mon, 01 Mar 2100 00:00:00 GMT"] = 4107542400,
    ["Fri, 31 Dec 9999 23:59:59 GMT"] = 253402300799,
  } do
    lu.assertEquals(date(seconds), text)
  end
end

-- Every day until 2110, so that 2000 and 2100 are among the years.
function T:test_as_the_system_counts()
  for day = 0, 51134 do
    local seconds = day * 86400 + day % 86400
    local got, want = date(seconds), os.date("!%d %m %Y %H:%M:%S %w", seconds)
    local months = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
    local days = { ["0"] = "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
    want = want:gsub("^(%d%d) (%d%d) (.*) (%d)$", function(d, m, rest, w)
      return ("%s, %s %s %s GMT"):format(days[w] or days[tonumber(w)], d, months[tonumber(m)], rest)
    end)
    if got ~= want then lu.assertEquals(got, want) end
  end
end

function T:test_no_such_year()
  for _, seconds in ipairs { -1, math.mininteger, 253402300800, math.maxinteger } do
    lu.assertEquals({ date(seconds) }, { nil, "ARGUMENT" })
  end
end

return T
