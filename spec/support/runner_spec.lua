-- The runner itself: it must not call anything a success that is none.
local lu = require "luaunit"
local files = require "support.files"
local process = require "support.process"

local T = {}

-- Runs the runner over a tree with specs of these texts, x/a, x/b, in this
-- environment.
local function run_in(env, texts, ...)
  local dir, remove = process.directory()
  local here = process.run { "sh", "-c", "cd '" .. files.root .. "' && pwd -P" }:match "[^\n]+"
  process.run { "sh", "-c", ("mkdir -p D/spec/x && ln -s R/spec/run.lua R/spec/support D/spec/")
    :gsub("%u%f[/]", { D = dir, R = here }) }
  for i, text in ipairs(type(texts) == "table" and texts or { texts }) do
    files.write(("%s/spec/x/%s_spec.lua"):format(dir, ("abc"):sub(i, i)), text)
  end
  env.SPEC_PROGRESS = ""
  local out, code = process.run_lua { dir .. "/spec/run.lua", "x/", env = env, ... }
  remove()
  return out:match "([^\n]*)\n$", code, out
end

local function run(...) return run_in({}, ...) end

local function class(body)
  return "local lu = require 'luaunit'\nlocal T = {}\n" .. body .. "\nreturn T\n"
end

function T:test_passed_failed_skipped_are_counted()
  local last, code, out = run(class [[
    function T:setUp() self.x = 1 end
    function T:test_a() lu.assertEquals(self.x, 1) self.x = 2 end
    function T:test_b() lu.assertEquals(self.x, 1) lu.success() end
    function T:test_c() lu.assertEquals('a\0b', 'c') end
    function T:test_d() lu.skip 'no' end]])
  lu.assertEquals(last, "2 passed, 1 failed, 1 skipped")
  lu.assertEquals(code, 1)
  lu.assertStrContains(out, "a_spec.lua:6:")
  lu.assertStrContains(out, "a\\x00b")
end

-- Two tests that fail at first, and one that always does.
local stumbling = class [[
    local n = {}
    for _, name in ipairs { 'a', 'b' } do
      T['test_' .. name] = function() n[name] = (n[name] or 0) + 1 if n[name] == 1 then lu.fail 'stumbles' end end
    end
    function T:test_c() lu.fail 'falls' end]]

function T:test_a_second_try_is_shown_and_counts()
  local last, code, out = run(stumbling, "--again=3")
  lu.assertEquals({ last, code }, { "2 passed, 1 failed", 1 })
  lu.assertEquals(select(2, out:gsub("FAILED, ONCE MORE x/a:test_[abc]\n", "")), 3)
  lu.assertEquals(select(2, out:gsub("run twice: x/a:test_[abc]\n", "")), 3)
  lu.assertStrContains(out, "\nFAILED x/a:test_c\n")
end

function T:test_second_tries_are_few()
  lu.assertEquals(run(stumbling), "0 passed, 3 failed")
  lu.assertEquals(run(stumbling, "--again=0"), "0 passed, 3 failed")
  local _, _, out = run(stumbling, "--again=1")
  lu.assertEquals(select(2, out:gsub("run twice", "")), 1)
end

function T:test_success_is_0()
  local last, code = run(class "function T:test_a() end")
  lu.assertEquals({ last, code }, { "1 passed, 0 failed", 0 })
end

function T:test_nothing_selected_is_a_failure()
  local last, code = run(class "function T:test_a() end", "--not=x/")
  lu.assertEquals({ last, code }, { "0 passed, 1 failed", 1 })
end

function T:test_no_tests_in_a_spec_is_a_failure()
  local last, code = run "return {}"
  lu.assertEquals({ last, code }, { "0 passed, 1 failed", 1 })
end

function T:test_256_failures_are_not_0()
  local last, code = run(class "for i = 1, 256 do T['test_' .. i] = function() lu.fail 'no' end end")
  lu.assertEquals({ last, code }, { "0 passed, 256 failed", 1 })
end

function T:test_a_spec_that_does_not_load_is_one_failure()
  local last, code = run "syntax error"
  lu.assertEquals({ last, code }, { "0 passed, 1 failed", 1 })
end

function T:test_a_global_is_a_failure()
  local last, _, out = run("Oops = 1\n" .. class "function T:test_a() end")
  lu.assertEquals(last, "0 passed, 1 failed")
  lu.assertStrContains(out, "Oops")
end

function T:test_a_leaked_descriptor_is_a_failure_with_its_name()
  local last, _, out = run(class "function T:test_a() T.f = io.open '/dev/null' end")
  lu.assertEquals(last, "0 passed, 1 failed")
  lu.assertStrContains(out, "/dev/null")
  last = run(class "T.leaks = false function T:test_a() T.f = io.open '/dev/null' end")
  lu.assertEquals(last, "1 passed, 0 failed")
end

function T:test_garbage_is_no_leak()
  local last = run(class "function T:test_a() local _ = io.open '/dev/null' end")
  lu.assertEquals(last, "1 passed, 0 failed")
end

function T:test_a_child_that_dies_is_a_failure_with_the_test_s_name()
  local last, code, out = run(class "function T:test_a() os.exit(0) end", "--backends=epoll,poll")
  lu.assertEquals({ last, code }, { "0 passed, 2 failed", 1 })
  lu.assertStrContains(out, "x/a:test_a")
end

-- What is found once is not there in the second try, and is no success.
function T:test_what_valgrind_finds_in_a_child()
  local dir, remove = process.directory()
  files.write(dir .. "/valgrind", [[
    [ -e "$0.once" ] || echo "== Invalid read" >&9
    : >"$0.once"
    shift
    exec "$@"]])
  local last, code, out = run_in({ SPEC_VALGRIND = "sh " .. dir .. "/valgrind" }, class [[
    function T:test_a() require 'support.process'.run_lua { '-e', '' } end]], "--backends=epoll", "--again=1")
  remove()
  lu.assertEquals({ last, code }, { "1 passed, 1 failed", 1 })
  lu.assertStrContains(out, "== Invalid read\n")
  lu.assertStrContains(out, "valgrind found something in a child")
end

function T:test_backends_are_added_up()
  local last, code = run(class "function T:test_a() end", "--backends=epoll,poll")
  lu.assertEquals({ last, code }, { "2 passed, 0 failed", 0 })
end

-- Each says when it begins and ends: in the same folder, so both see all.
local function meeting(alone)
  return class((alone and "T.alone = true\n" or "") .. [[
    local dir, me = os.getenv "MEETING", os.getenv "WSOCK_BACKEND"
    local function there(who)
      local f <close> = io.open(dir .. "/" .. who)
      return f ~= nil
    end
    function T:test_meet()
      assert(io.open(dir .. "/" .. me, "w")):close()
      local other = me == "poll" and "epoll" or "poll"
      local met = require "support.clock".within(function() return there(other) end, SECONDS)
      lu.assertEquals(met, EXPECTED)
      if EXPECTED == nil then os.remove(dir .. "/" .. me) end
    end]]):gsub("%u%u%u+", alone and { SECONDS = 0.1, EXPECTED = "nil" } or { SECONDS = 20, EXPECTED = "true" })
end

function T:test_backends_side_by_side_and_what_measures_alone()
  for _, alone in ipairs { false, true } do
    local dir, remove = process.directory()
    local last, code, out = run_in({ MEETING = dir }, (meeting(alone)), "--backends=epoll,poll", "--jobs=2")
    remove()
    lu.assertEquals({ last, code }, { "2 passed, 0 failed", 0 }, out)
  end
end

-- Every test runs in one part, and only there; what each child says stays together.
function T:test_parts_are_added_up()
  local texts = {
    class "function T:test_a() lu.fail 'one' end function T:test_b() end",
    class "T.alone = true function T:test_a() lu.fail 'two' end function T:test_b() lu.skip 'no' end",
    "syntax error",
  }
  local last, code, out = run_in({}, texts, "--backends=epoll,poll", "--jobs=2")
  lu.assertEquals({ last, code }, { "2 passed, 6 failed, 2 skipped", 1 })
  local said = {}
  for line in out:gmatch "[^\n]+" do
    local word = line:match "^== ([%a, ]+)$" or line:match "^FAILED (x/%S+)" or line:match "^== [^:]*: (%d.*)$"
    said[#said + 1] = word
  end
  local function part(name, ...)
    local list = { ... }
    table.sort(list)
    return name .. " " .. table.concat(list, " ")
  end
  lu.assertEquals(#said, 12 + 2, out)
  lu.assertEquals({ said[1], part("", said[2], said[3]), said[4] },
    { "epoll", part("", "x/a:test_a", "x/c"), "1 passed, 2 failed" })
  lu.assertEquals({ said[5], part("", said[6], said[7]), said[8] },
    { "poll", part("", "x/a:test_a", "x/c"), "1 passed, 2 failed" })
  lu.assertEquals(table.concat(said, "; ", 9), "epoll, alone; x/b:test_a; 0 passed, 1 failed; "
    .. "poll, alone; x/b:test_a; 0 passed, 1 failed")
end

function T:test_a_part_may_be_empty_but_not_the_whole()
  for _, alone in ipairs { "", "T.alone = true\n" } do
    local last, code = run(class(alone .. "function T:test_a() end"), "--backends=epoll,poll", "--jobs=2")
    lu.assertEquals({ last, code }, { "2 passed, 0 failed", 0 })
  end
  local last, code = run(class "function T:test_a() end", "--backends=epoll,poll", "--jobs=2", "--not=x/")
  lu.assertEquals({ last, code }, { "0 passed, 1 failed", 1 })
end

function T:test_children_side_by_side_that_die_or_take_too_long()
  for code, words in pairs { [0] = "exit 0", [124] = "the time limit of 900 s" } do -- 124 is what timeout says
    local last, status, out = run_in({ SPEC_TIMEOUT = 900 }, class("function T:test_a() os.exit(" .. code .. ") end"),
      "--backends=epoll,poll", "--jobs=2")
    lu.assertEquals({ last, status }, { "0 passed, 2 failed", 1 }, out)
    for backend in ("epoll poll"):gmatch "%a+" do
      lu.assertStrContains(out, ("the %s run ended by %s in x/a:test_a"):format(backend, words))
    end
  end
end

-- They do not do the same at the same moment.
function T:test_each_run_has_an_order_of_its_own()
  local seen, different = {}, 0
  for _ = 1, 2 do
    local _, _, out = run_in({ SPEC_SEED = "" }, class "function T:test_a() end", "--backends=epoll,poll")
    for seed in out:gmatch "seed (%d+)" do
      if not seen[seed] then different = different + 1 end
      seen[seed] = true
    end
  end
  lu.assertTrue(different >= 3, different) -- of 4; out of a million
end

function T:test_what_a_spec_holds_goes_with_it()
  local text = [[
    local lu = require 'luaunit'
    local held = require 'support.clock'
    local T = {}
    function T:test_nothing_of_another() collectgarbage() lu.assertNil(next(held.held or {})) end
    function T:tearDownClass() held.held = setmetatable({ T, T.test_nothing_of_another }, { __mode = 'v' }) end
    return T
  ]]
  lu.assertEquals((run_in({}, { text, text, text })), "3 passed, 0 failed")
end

function T:test_the_seed_repeats_the_order()
  local text = class "for i = 1, 9 do T['test_' .. i] = function() end end"
  local function order(seed)
    local _, _, out = run(text, "--verbose", "--seed=" .. seed)
    local names = {}
    for name in out:gmatch "%f[^\n%z]x/a:(test_%d)" do names[#names + 1] = name end
    return names
  end
  local first = order(7)
  lu.assertEquals(#first, 9)
  lu.assertEquals(order(7), first)
  lu.assertNotEquals(order(8), first)
end

return T
