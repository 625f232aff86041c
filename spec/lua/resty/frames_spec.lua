-- resty/frames: what client and server have in common, over a socket made here.

local lu = require "luaunit"
local files = require "support.files"
local frames = require "wsock.resty.frames"

local T = {}

-- An object whose socket answers receive with the next of the lists.
local function object(options, ...)
  local answers, sent = { ... }, {}
  local sock = {
    receive = function(_, seconds)
      sent.seconds = seconds
      return table.unpack(table.remove(answers, 1), 1, 5)
    end,
    sendFrame = function(_, data, kind, final)
      sent[#sent + 1] = ("%s %s %s"):format(kind, data, final)
      return true
    end,
    drain = function() return table.unpack(sent.drain or { true }) end,
    close = function(_, code) sent[#sent + 1] = "closed " .. code end,
  }
  return frames.methods(frames.init({ sock = sock }, options)), sent
end

function T:test_settings()
  local o = frames.init({}, {})
  lu.assertEquals({ o.max_recv_len, o.max_send_len, frames.seconds(o) }, { 65535, 65535, 60 })
  o = frames.init({}, { max_payload_len = 5, max_send_len = 7, timeout = 1500 })
  lu.assertEquals({ o.max_recv_len, o.max_send_len, frames.seconds(o) }, { 5, 7, 1.5 })
end

function T:test_recv_frame()
  local o, sent = object({ timeout = 250 }, { "a", "text", true }, { "b", "binary", false },
    { "r", "close", true, 1000 }, { "", "close", true }, { nil, "receive: timed out", "TIMEOUT" },
    { nil, "reserved bits are set", "CLOSED", 1006, "" })
  lu.assertEquals({ o:recv_frame() }, { "a", "text" })
  lu.assertEquals(sent.seconds, 0.25)
  lu.assertEquals({ o:recv_frame() }, { "b", "binary", "again" })
  lu.assertEquals({ o:recv_frame() }, { "r", "close", 1000 })
  lu.assertEquals({ o:recv_frame() }, { "", "close" })
  lu.assertEquals({ o:recv_frame() }, { nil, nil, "failed to receive the first 2 bytes: timeout" })
  lu.assertEquals({ o:recv_frame() }, { nil, nil, "bad RSV1, RSV2, or RSV3 bits" })
  lu.assertEquals({ o:recv_frame() }, { nil, nil, "fatal error already happened" })
end

function T:test_other_ends()
  for message, words in pairs {
    ["the connection was closed (1000)"] = "failed to receive the first 2 bytes: closed",
    ["recv a.org:1: Connection reset by peer"] = "recv a.org:1: Connection reset by peer",
  } do
    local o = object({}, { nil, message, "CLOSED", 1006, "" })
    lu.assertEquals({ o:recv_frame() }, { nil, nil, words })
  end
end

function T:test_sends()
  local o, sent = object {}
  o:send_text "a"
  o:send_frame(nil, 2, 7)
  o:send_ping()
  o:send_close(1000)
  o:send_close()
  lu.assertEquals(sent, { "text a true", "binary 7 false", "ping  true", "close \3\232 true", "close  true" })
  lu.assertEquals({ o:send_close(-1) }, { nil, "bad status code" })
  sent.drain = { nil, "x", "TIMEOUT" }
  lu.assertEquals({ o:send_text "x" }, { nil, "failed to send frame: timeout" })
  lu.assertTrue(o.fatal)
end

function T:test_sizes()
  local o = object { max_payload_len = 1 << 20 }
  for n, head in pairs { [0] = 2, [125] = 2, [126] = 4, [65535] = 4, [65536] = 10 } do
    lu.assertEquals(o:send_binary(("x"):rep(n)), n + head)
    o.masks = true
    lu.assertEquals(o:send_binary(("x"):rep(n)), n + head + 4)
    o.masks = nil
  end
end

-- Our words stand in its table as they are, or the others' would never come.
function T:test_words_are_those_of_the_library()
  local text = files.read(files.root .. "/csrc/base/err.h"):gsub("\\\n%s*", ""):gsub('"%s+"', "")
  local n = 0
  for words in files.read(files.root .. "/lua/wsock/resty/frames.lua"):gmatch '%["([^"]+)"%] =' do
    n = n + 1
    lu.assertStrContains(text, '"' .. words .. '"')
  end
  lu.assertTrue(n >= 8, n)
end

return T
