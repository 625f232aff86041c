# wsock -- build, try, test, check, install.
#
#   make             build/wsock/core.so
#   make demo        install what is missing, build, serve the chat on :8080
#   make test        the same and run every spec, on epoll and on poll
#   make check       the house rules: layers, links, names, docs, lint, analysis
#   make asan        the specs under AddressSanitizer and UBSan; make valgrind
#   make fuzz        every fuzz target for SECONDS=20
#   make cover       line coverage, and of each file by its own spec
#   make bench doc   throughput; LDoc of the modules in lua/
#   make install     PREFIX=/usr/local DESTDIR= ; make uninstall takes it back
#   make format      C files in the shape .clang-format says
#   make clean       remove what was built (build/node is a download and stays)
#
# ONLY=base/utf8 narrows test, asan, valgrind, fuzz and cover.
#
# Sources are found, not listed here (in rockspec/ they are).

CC      = gcc
LUA     = lua5.4
OUT     = build
PREFIX  = /usr/local
SECONDS = 20
JOBS   := $(shell nproc 2>/dev/null || echo 1)
WERROR  = $(if $(filter true,$(CI)),1)
BACKENDS = epoll,poll

# ---- sources ----------------------------------------------------------------
SRC   := $(sort $(wildcard csrc/*/*.c))
HDR   := $(sort $(wildcard csrc/*/*.h))
PROBE := $(sort $(wildcard spec/support/probe/*.c))
FUZZ  := $(sort $(wildcard spec/fuzz/*.c))
LUAS  := $(sort $(shell find lua -name '*.lua' 2>/dev/null))

OBJ    = $(SRC:csrc/%.c=$(OUT)/obj/%.o)
CORE   = $(filter-out $(OUT)/obj/bind/%,$(OBJ))
POBJ   = $(PROBE:spec/support/probe/%.c=$(OUT)/obj/probe/%.o)
MODULE = $(OUT)/wsock/core.so
PROBED = $(if $(PROBE),$(OUT)/wsock/probe.so)

# ---- flags ------------------------------------------------------------------
# CFLAGS is the user's, the rest the project's.  A library is linked when a
# source includes its header.  Never -llua: the interpreter has the API.
CFLAGS = -O2 -g
LDFLAGS =
uses   = $(if $(shell grep -ls 'include <$(1)' $(SRC) $(HDR) $(PROBE)),$(2))
PKGS   = $(call uses,openssl/ssl,libssl) $(call uses,openssl/,libcrypto) \
         $(call uses,zlib,zlib)
LIBS   = $(if $(strip $(PKGS)),$(shell pkg-config --libs $(PKGS))) \
         $(call uses,pthread,-lpthread) $(call uses,math,-lm) $(call uses,dlfcn,-ldl)
LUAINC = $(shell pkg-config --cflags lua5.4 2>/dev/null)
DEFS   = -std=c11 -D_GNU_SOURCE -Icsrc $(LUAINC)
WARN   = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
         -Wmissing-prototypes -Wwrite-strings -Wcast-qual -Wvla -Wundef \
         $(if $(WERROR),-Werror)
COMPILE = $(CC) $(DEFS) $(WARN) -fPIC -fvisibility=hidden $(CFLAGS)

# ---- build ------------------------------------------------------------------
all: $(MODULE)
# what specs load: the module, and the probe that shows its inside
spec-ready: $(MODULE) $(PROBED)

objects: $(OBJ)
$(OUT)/obj/%.o: csrc/%.c Makefile
	@mkdir -p $(@D)
	@echo "$(CC) $<"
	@$(COMPILE) -MMD -MP -c -o $@ $<

$(OUT)/obj/probe/%.o: spec/support/probe/%.c Makefile
	@mkdir -p $(@D)
	@echo "$(CC) $<"
	@$(COMPILE) -MMD -MP -c -o $@ $<

$(MODULE): $(OBJ)
	@mkdir -p $(@D)
	@echo "$(CC) -o $@"
	@$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/wsock/probe.so: $(POBJ) $(CORE)
	@mkdir -p $(@D)
	@echo "$(CC) -o $@"
	@$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(OBJ:.o=.d) $(POBJ:.o=.d)

# ---- run --------------------------------------------------------------------
# need.sh installs what is not there; make then starts again with it.
NEED  = @sh spec/support/need.sh
AGAIN = @$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
RUN   = $(LUA) spec/run.lua --build=$(OUT) --backends=$(BACKENDS) --jobs=$(JOBS) --again=3
PATHS = LUA_CPATH_5_4="$(OUT)/?.so;;" LUA_PATH_5_4="lua/?.lua;lua/?/init.lua;;"

demo:
	$(NEED) build
	$(AGAIN) all
	@$(PATHS) $(LUA) spec/examples/chat/server.lua

test:
	$(NEED) build test
	$(AGAIN) spec-ready
	@$(RUN) $(ONLY)

bench:
	$(NEED) build
	$(AGAIN) spec-ready
	@$(PATHS) $(LUA) spec/bench/run.lua

# ---- sanitizers -------------------------------------------------------------
# Interop is left out: its far sides are not ours.  The interpreter must not
# unload the module, or leaks have no names: dlclose does nothing here.
SANITIZE = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
           -fno-sanitize-recover=undefined
asan: export SPEC_PRELOAD = $(shell $(CC) -print-file-name=libasan.so) \
                            $(CURDIR)/build/asan/stay.so
asan: export SPEC_SLOW = 5
asan: export UBSAN_OPTIONS = print_stacktrace=1
asan: export ASAN_OPTIONS = allocator_may_return_null=1
asan:
	$(NEED) build unit
	$(AGAIN) OUT=build/asan WERROR= CFLAGS="$(SANITIZE)" spec-ready
	@echo 'int dlclose(void *h); int dlclose(void *h) { (void)h; return 0; }' | \
	    $(CC) -shared -fPIC -o build/asan/stay.so -x c -
	@$(RUN) --build=build/asan --not=interop/ $(ONLY) \
	    --under="env LD_PRELOAD='$$SPEC_PRELOAD'"

valgrind: export SPEC_SLOW = 20
valgrind: export SPEC_TIMEOUT = 3600
valgrind: export SPEC_VALGRIND = valgrind -q --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --error-exitcode=9 --keep-debuginfo=yes --num-callers=20
valgrind:
	$(NEED) build unit valgrind
	$(AGAIN) spec-ready
	@$(RUN) --not=interop/ --not=examples $(ONLY) --under="$$SPEC_VALGRIND"

# ---- fuzz, cover ------------------------------------------------------------
fuzzers: $(FUZZ:spec/fuzz/%.c=$(OUT)/bin/%)
$(OUT)/bin/%: spec/fuzz/%.c $(CORE) Makefile
	@mkdir -p $(@D)
	$(CC) $(DEFS) $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(CORE) $(LIBS)

fuzz:
	$(NEED) build fuzz
	$(AGAIN) OUT=build/fuzz WERROR= CC=clang fuzzers \
	    CFLAGS="$(SANITIZE) -fsanitize=fuzzer-no-link"
	@sh spec/fuzz/run.sh $(SECONDS) $(ONLY)

cover:
	$(NEED) build unit cover
	$(AGAIN) OUT=build/cover WERROR= CFLAGS="-g -O0 --coverage" spec-ready
	@$(LUA) spec/cover/run.lua build/cover $(ONLY)

include spec/lint/check.mk
# ---- install ----------------------------------------------------------------
$(if $(word 2,$(DESTDIR)/$(PREFIX)),$(error no blanks in PREFIX and DESTDIR, please))
CDIR = $(abspath $(DESTDIR)/$(PREFIX))/lib/lua/5.4
LDIR = $(abspath $(DESTDIR)/$(PREFIX))/share/lua/5.4
COMMAND = $(abspath $(DESTDIR)/$(PREFIX))/bin/wsock

install: all
	@install -D -m 755 $(MODULE) "$(CDIR)/wsock/core.so"
	@install -D -m 755 lua/wsock/bin/wsock "$(COMMAND)"
	@for f in $(LUAS:lua/%=%); do \
	    install -D -m 644 lua/$$f "$(LDIR)/$$f" || exit 1; done
	@cd / && LUA_CPATH_5_4="$(CDIR)/?.so" \
	    LUA_PATH_5_4="$(LDIR)/?.lua;$(LDIR)/?/init.lua" \
	    $(LUA) -e 'print("installed " .. require "wsock"._VERSION)'

uninstall:
	rm -f "$(COMMAND)" "$(CDIR)/wsock/core.so" $(LUAS:lua/%="$(LDIR)/%")
	-@find "$(CDIR)/wsock" "$(LDIR)/wsock" -depth -type d -empty -delete

clean:
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name node \
	    -exec rm -rf {} +

.PHONY: all objects spec-ready demo test bench asan valgrind fuzzers fuzz cover \
        check format install uninstall doc clean
