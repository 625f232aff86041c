# wsock -- build, try, test, check, install.
#
#   make             build/wsock/core.so
#   make demo        install what is missing, build, serve the chat on :8080
#   make test        install what is missing, build, run every spec (epoll, poll)
#   make check       the house rules: layers, links, names, docs, lint, analysis
#   make asan        the suite under AddressSanitizer and UBSan
#   make valgrind    the suite under valgrind (ONLY=base/ narrows it)
#   make fuzz        every fuzz target for SECONDS=20
#   make cover       line coverage, and of each file by its own spec
#   make bench doc   throughput; the reference as HTML
#   make install     PREFIX=/usr/local DESTDIR= ; make uninstall takes it back
#   make clean       remove what was built (build/node is a download and stays)
#
# Sources are found, not listed: a new csrc/<layer>/<name>.c needs no edit here
# (but one in rockspec/: `make check` says so).

CC      = gcc
LUA     = lua5.4
OUT     = build
PREFIX  = /usr/local
DESTDIR =
SECONDS = 20
JOBS   := $(shell nproc 2>/dev/null || echo 1)
WERROR  = $(if $(filter true,$(CI)),1)

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
# CFLAGS is the user's; the rest is the project's.  A library is linked when a
# source includes its header.  Never -llua: the interpreter has the API.

CFLAGS = -O2 -g
LDFLAGS =
uses   = $(if $(shell grep -ls 'include <$(1)' $(SRC) $(PROBE)),$(2))
PKGS   = $(call uses,openssl/ssl,libssl) $(call uses,openssl/,libcrypto) \
         $(call uses,zlib,zlib)
LIBS   = $(if $(strip $(PKGS)),$(shell pkg-config --libs $(PKGS))) -lpthread
LUAINC = $(shell pkg-config --cflags lua5.4 2>/dev/null)
DEFS   = -std=c11 -D_GNU_SOURCE -Icsrc $(LUAINC)
WARN   = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
         -Wmissing-prototypes -Wwrite-strings -Wcast-qual -Wvla -Wundef \
         $(if $(WERROR),-Werror)
COMPILE = $(CC) $(DEFS) $(WARN) -fPIC -fvisibility=hidden $(CFLAGS)

# ---- build ------------------------------------------------------------------

all: $(MODULE)

# what a test run loads: the module, and the probe that shows specs the inside
spec-ready: $(MODULE) $(PROBED)

objects: $(OBJ)

$(OUT)/obj/%.o: csrc/%.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

$(OUT)/obj/probe/%.o: spec/support/probe/%.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

$(MODULE): $(OBJ)
	@mkdir -p $(@D)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/wsock/probe.so: $(POBJ) $(CORE)
	@mkdir -p $(@D)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(OBJ:.o=.d) $(POBJ:.o=.d)

# ---- run --------------------------------------------------------------------
# need.sh looks first and calls apt-get or npm only for what is not there; the
# sub-make then starts with everything installed.

NEED = @sh spec/support/need.sh
MAKE_IN = @$(MAKE) --no-print-directory -j$(JOBS)
RUN  = $(LUA) spec/run.lua --build=$(OUT)

demo:
	$(NEED) build
	$(MAKE_IN) all
	LUA_CPATH_5_4="$(OUT)/?.so;;" LUA_PATH_5_4="lua/?.lua;lua/?/init.lua;;" \
	    $(LUA) spec/examples/chat/server.lua

test:
	$(NEED) build test
	$(MAKE_IN) spec-ready
	@$(RUN) --backends=epoll,poll $(ONLY)

bench:
	$(NEED) build
	$(MAKE_IN) all
	@$(LUA) spec/bench/run.lua

clean:
	find build -mindepth 1 -maxdepth 1 ! -name node -exec rm -rf {} + 2>/dev/null || true

.PHONY: all demo test check bench asan valgrind fuzz cover doc install \
        uninstall clean spec-ready objects
