-- spec/wire/idna_spec.lua -- international names: URI-06, RFC 3492.

local lu = require "luaunit"
local ascii = require "wsock.probe".wire.ascii

local T = {}

local INVALID = "the host has an invalid \"xn--\" label"
local LONG_LABEL = "a label of the host is too long"
local CHARACTER = "the host has a character that is not allowed"
local GIVE = "the host has a character that has to be given as \"xn--\""

local function is(rows)
  for name, expected in pairs(rows) do lu.assertEquals((ascii(name, 255)), expected, name) end
end

local function refused(list, why)
  for _, name in ipairs(list) do lu.assertEquals({ ascii(name, 255) }, { nil, why }, name) end
end

function T:test_ascii()
  is { [""] = "", ["A.b-C_1"] = "a.b-c_1", ["."] = ".", ["a..b."] = "a..b.", ["\0 %"] = "\0 %",
    [("a"):rep(200)] = ("a"):rep(200) }
end

-- Sentences of RFC 3492 7.1 that have no capitals or need none.
function T:test_punycode_samples()
  is {
    ["ليهمابتكلموشعربي؟"] = "xn--egbpdaj6bu4bxfgehfvwxn",
    ["他们为什么不说中文"] = "xn--ihqwcrb4cv8a8dqg056pqjye",
    ["למההםפשוטלאמדבריםעברית"] = "xn--4dbcagdahymbxekheh6e0a7fei0b",
    ["なぜみんな日本語を話してくれないのか"] = "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa",
    ["почемужеонинеговорятпорусски"] = "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l",
    ["3年b組金八先生"] = "xn--3b-ww4c5e180e575a65lsy2b",
    ["tạisaohọkhôngthểchỉnóitiếngviệt"] = "xn--tisaohkhngthchnitingvit-kjcr8268qyxafd2f1b9g",
    ["ひとつ屋根の下2"] = "xn--2-u9tlzr9756bt3uc0v",
    ["majiでkoiする5秒前"] = "xn--majikoi5-783gue6qz075azm5e",
    ["パフィーdeルンバ"] = "xn--de-jg4avhby1noc0d",
    ["そのスピードで"] = "xn--d9juau41awczczp",
  }
end

function T:test_names()
  is {
    ["høst"] = "xn--hst-0na", ["München.DE"] = "xn--mnchen-3ya.de", ["faß.de"] = "xn--fa-hia.de",
    ["日本語.jp"] = "xn--wgv71a119e.jp",
    ["пример.испытание"] = "xn--e1afmkfd.xn--80akhbyknj4f", ["παράδειγμα"] = "xn--hxajbheg2az3al",
    ["i❤.ws"] = "xn--i-7iq.ws",
    ["a。b．c｡d"] = "a.b.c.d", ["Ｇｏ．Ｃｏｍ"] = "go.com", ["a\u{AD}b\u{200B}"] = "ab", ["é"] = "xn--9ca",
  }
end

function T:test_lower_case()
  for upper, lower in pairs {
    ["ÀÖØÞ"] = "àöøþ", ["ĀĮĴĶ"] = "āįĵķ", ["ĹŁŇŊŶ"] = "ĺłňŋŷ", ["ŸŹŽ"] = "ÿźž", ["ƠƯǍǛǞǮǸȞȢȲ"] = "ơưǎǜǟǯǹȟȣȳ",
    ["ΆΈΊΌΎΏ"] = "άέίόύώ", ["ΑΡΣΫ"] = "αρσϋ", ["ЀЏАЯ"] = "ѐџая", ["ѠҀҊҾӀӁӍӐԮ"] = "ѡҁҋҿӏӂӎӑԯ", ["ԱՖ"] = "աֆ",
    ["ḀẔẞẠỾ"] = "ḁẕßạỿ", ["Ａ-Ｚ"] = "a-z",
  } do
    local expected = ascii(lower, 255)
    lu.assertNotNil(expected, lower)
    lu.assertEquals((ascii(upper, 255)), expected, upper)
  end
  -- what is lower case, or between two cases, stays
  for _, c in ipairs { "÷", "ß", "ĸ", "ı", "×", "ς", "ӏ", "ա" } do
    local once = ascii(c, 255)
    lu.assertNotNil(once, c)
    lu.assertEquals(once:sub(1, 4), "xn--")
  end
end

function T:test_encoded_labels()
  is { ["xn--hst-0na"] = "xn--hst-0na", ["XN--HST-0NA.x"] = "xn--hst-0na.x", ["xn-"] = "xn-", ["axn--"] = "axn--",
    ["ｘn--hst-0na"] = "xn--hst-0na", ["xn--fa-hia"] = "xn--fa-hia", ["x\u{AD}n--9ca"] = "xn--9ca" }
  refused({ "xn--", "xn--a", "xn--a-", "xn---", "xn--abc-", "xn--ls8h=", "xn--hst-0né", "xn--99999999999999",
  "xn--a-b",
    "xn---9ca", "xn--hst_0na", "xn--nx-", "xn--0", "xn--9ca\0" }, INVALID)
  -- what stands for code points that are never written: controls, capitals,
  -- dots, surrogates, what vanishes, what is out of range
  refused({ "xn--a-ba", "xn--a-hea", "xn--dca", "xn--ab-r13a", "xn--ib9b", "xn--ab-ot3n", "xn--a-qgn", "xn--a-qin",
  "xn--dn32g",
    "xn--en32g", "xn--zzzzzzzz9" }, INVALID)
  refused({ "xn--" .. ("a"):rep(60) }, LONG_LABEL)
end

function T:test_refused_characters()
  refused({ "a\u{80}", "a\u{A0}b", "a\u{3000}b", "\u{E000}", "\u{FFFD}", "\u{FFFF}", "\u{202E}a", "\u{2066}a",
  "\u{10FFFF}", "\u{FDD0}",
    "\u{1FFFE}", "\u{F0000}" }, CHARACTER)
  refused({ "a\u{301}", "\u{130}", "\u{2100}", "\u{2048}", "\u{FB01}", "\u{2488}", "\u{1D400}", "\u{1F00}",
  "\u{3099}", "\u{1100}", "\u{17F}",
    "\u{AB70}" }, GIVE)
  refused({ "\xFF", "a\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE2\x82", "\xE0\x80\x80",
  "\xF0\x80\x80\x80",
    "\xC3\x28", "\xE2\x28\xA1", "\xF8\x88\x80\x80\x80" }, "the host is not UTF-8")
end

function T:test_length_of_labels()
  -- 63 is the most a label that is not ASCII may become
  local function name(n) return "é" .. ("a"):rep(n) end
  local last
  for n = 1, 70 do
    local text, why = ascii(name(n), 255)
    if text then last = #text else
      lu.assertEquals(why, LONG_LABEL)
      break
    end
  end
  lu.assertEquals(last, 63)
  refused({ ("é"):rep(60), ("日"):rep(255), ("é"):rep(100) .. ("a"):rep(100) }, LONG_LABEL)
  lu.assertEquals({ ascii(("é"):rep(257), 255) }, { nil, "the host is too long" })
end

function T:test_room()
  lu.assertEquals((ascii("høst.x", 13)), "xn--hst-0na.x")
  for n = 0, 12 do lu.assertEquals({ ascii("høst.x", n) }, { nil, "the host is too long" }) end
  lu.assertEquals((ascii("ab", 2)), "ab")
  lu.assertEquals({ ascii("ab", 1) }, { nil, "the host is too long" })
  lu.assertEquals((ascii("", 0)), "")
end

-- Every code point alone in a label: refused, vanished, a dot, ASCII, or a
-- label that reads as itself again.
function T:test_code_points()
  for c = 0x80, 0x2FFFF, 7 do
    if c < 0xD800 or c > 0xDFFF then
      local text = ascii("a" .. utf8.char(c) .. "b", 255)
      if text and text:find "^xn%-%-" then
        lu.assertEquals((ascii(text, 255)), text, ("U+%X"):format(c))
      elseif text then
        lu.assertTrue(text:find "^a.?b$" ~= nil, ("U+%X %s"):format(c, text))
      end
    end
  end
end

return T
