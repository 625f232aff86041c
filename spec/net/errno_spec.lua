-- spec/net/errno_spec.lua -- error numbers in words.

local lu = require "luaunit"
local net = require "wsock.probe".net

local T = {}

function T:test_words_are_the_names_of_errno_h()
  for name, number in pairs(net.E) do
    lu.assertEquals((net.errno(number)), name)
  end
end

function T:test_texts()
  lu.assertEquals(select(2, net.errno(net.E.ECONNREFUSED)), "Connection refused")
  lu.assertEquals(select(2, net.errno(net.E.EADDRINUSE)), "Address already in use")
end

function T:test_every_number_has_a_word_and_a_text()
  local words = {}
  for number = -1, 4096 do
    local word, text = net.errno(number)
    lu.assertStrMatches(word, "[A-Z0-9]+")
    lu.assertStrMatches(text, "%u[%g ]+")
    if word ~= "SYSTEM" then
      lu.assertNil(words[word], word .. " is there twice")
      words[word] = number
    end
  end
end

-- Opening a socket's path as a file says so.
function T:test_a_path_that_is_no_file()
  lu.assertEquals({ net.errno(6) }, { "ENXIO", "No such device or address" })
end

function T:test_what_is_not_in_the_table()
  lu.assertEquals({ net.errno(0) }, { "SYSTEM", "Unknown system error" })
  lu.assertEquals({ net.errno(99999) }, { "SYSTEM", "Unknown system error" })
  lu.assertEquals({ net.errno(-1) }, { "SYSTEM", "Unknown system error" })
end

return T
