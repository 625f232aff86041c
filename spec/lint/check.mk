# spec/lint/check.mk -- the checks of `make check`, one target each, so that all
# run even when one fails and two cores work.  Included by the Makefile.

CHECKS = layers links names docs rockspec luacheck format tidy analyze
CFILES = $(SRC) $(HDR) $(PROBE) $(wildcard spec/support/probe/*.h) $(FUZZ)

check:
	$(NEED) build unit check
	$(AGAIN) spec-ready
	$(AGAIN) -k --output-sync=target $(CHECKS:%=check-%)
	@echo "check: all is well"

check-layers:
	@$(LUA) spec/lint/layers.lua
check-links: objects
	@$(LUA) spec/lint/links.lua $(OUT)/obj "$(LIBS)"
check-names: $(MODULE)
	@$(LUA) spec/lint/names.lua $(MODULE) $(OUT)/obj
check-docs: $(MODULE)
	@$(PATHS) $(LUA) spec/lint/docs.lua
check-rockspec:
	@$(LUA) spec/lint/rockspec.lua
	@luarocks lint rockspec/wsock-scm-1.rockspec
check-luacheck:
	@luacheck -q --no-color $(wildcard lua lua/wsock/bin/*) spec
check-format:
	@for f in $(CFILES); do clang-format $$f | cmp -s - $$f || \
	    { echo "$$f:1: not in shape; make format"; bad=1; }; done; [ -z "$$bad" ]
check-tidy: $(SRC:csrc/%.c=$(OUT)/tidy/%.ok)
# the same objects again: every warning and every finding an error
check-analyze:
	@$(MAKE) --no-print-directory OUT=build/analyze WERROR=1 \
	    CFLAGS="-O2 -fanalyzer" objects

$(OUT)/tidy/%.ok: csrc/%.c $(HDR) .clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(DEFS) 2>$@.log || { cat $@.log; false; }
	@touch $@

.PHONY: $(CHECKS:%=check-%)

format:
	clang-format -i $(CFILES)

# The reference by LDoc: of what runs; meta*.lua is for editors.
doc:
	$(NEED) build doc
	@rm -rf build/doc.lua && mkdir -p build && cp -r lua build/doc.lua
	@rm build/doc.lua/wsock/meta*.lua
	ldoc --fatalwarnings -p wsock -t "wsock reference" -f markdown -d build/doc build/doc.lua
