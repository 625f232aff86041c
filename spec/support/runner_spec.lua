-- The runner itself: it must not call anything a success that is none.
local lu = require "luaunit"
local files = require "support.files"
local process = require "support.process"

local T = {}

-- Runs the runner over a tree with one spec of this text, in this environment.
local function run_in(env, text, ...)
  local dir, remove = process.directory()
  local here = process.run { "sh", "-c", "cd '" .. files.root .. "' && pwd -P" }:match "[^\n]+"
  process.run { "sh", "-c", ("mkdir -p D/spec/x && ln -s R/spec/run.lua R/spec/support D/spec/")
    :gsub("%u%f[/]", { D = dir, R = here }) }
  files.write(dir .. "/spec/x/a_spec.lua", text)
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
