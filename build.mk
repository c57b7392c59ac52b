# build.mk: compiler settings by file, and the plain-C unit tests, which need no server

# Optimised without the liberties that would let a result depend on anything but its input.
override CFLAGS += -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -O3 -ffp-contract=off -MMD -MP

# The server may have been built by another compiler than the one at hand.
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),)
override CFLAGS := $(filter-out -Wno-format-truncation -Wno-stringop-truncation -Wimplicit-fallthrough=% -Wshadow=% -fexcess-precision=%,$(CFLAGS))
# its own headers say gnu_printf when gcc configured the server
override CFLAGS += -Wno-ignored-attributes -Wno-unknown-warning-option
# clang also counts the last members of a table's rows, which gcc leaves to the reader
override CFLAGS += -Wno-missing-field-initializers
else
override CFLAGS += -Wno-clobbered
ifneq ($(filter -Wmissing-variable-declarations,$(CFLAGS)),)
ifeq ($(shell $(CC) -Wmissing-variable-declarations -E -x c /dev/null >/dev/null 2>&1 && echo known),)
override CFLAGS := $(filter-out -Wmissing-variable-declarations,$(CFLAGS))
endif
endif
endif

include kernels.mk
src/kernels/avx2.o: override CFLAGS += $(AVX2_FLAGS)
src/kernels/avx512.o: override CFLAGS += $(AVX512_FLAGS)
src/kernels/amx.o: override CFLAGS += $(AMX_FLAGS)

# Objects are made again when a header they include, or a flag, or the server's version has changed.
BUILD_FLAGS = $(VERSION) $(CC) $(CFLAGS) $(CPPFLAGS)
build/flags: FORCE
	@mkdir -p build
	@echo '$(subst ','\'',$(BUILD_FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(BUILD_FLAGS))' > $@
$(OBJS): build/flags
-include $(wildcard $(OBJS:.o=.d))

.PHONY: FORCE
FORCE:

# ---- unit tests: everything below the PostgreSQL line in plain programs ----
UNIT_CC = $(CC)
UNIT_CFLAGS = -std=gnu11 -g -O2 -fno-strict-aliasing -ffp-contract=off -MMD -MP -Wall -Wextra -Wno-sign-compare -Wno-unused-parameter -Isrc -Itest/unit -DUNIT_TEST_DIRECTORY='"$(srcdir)/test"'
UNIT_OBJS = $(patsubst src/%.c,build/unit/%.o,$(BELOW_SRCS))
UNIT_TESTS = $(patsubst test/unit/test_%.c,build/unit/test_%,$(wildcard test/unit/test_*.c))

build/unit/kernels/avx2.o: UNIT_CFLAGS += $(AVX2_FLAGS)
build/unit/kernels/avx512.o: UNIT_CFLAGS += $(AVX512_FLAGS)
build/unit/kernels/amx.o: UNIT_CFLAGS += $(AMX_FLAGS)

build/unit/flags: FORCE
	@mkdir -p build/unit
	@echo '$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS)' | cmp -s - $@ || echo '$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS)' > $@

build/unit/%.o: src/%.c build/unit/flags
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -c -o $@ $<

build/unit/test_%: test/unit/test_%.c build/unit/flags $(UNIT_OBJS)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -MF $@.d -MT $@ -o $@ $< $(UNIT_OBJS) $(UNIT_EXTRA_LDFLAGS) -ljansson -lutf8proc -lm -ldl

-include $(wildcard $(UNIT_OBJS:.o=.d) $(UNIT_TESTS:=.d))

.PHONY: unit-programs unit-check
unit-programs: $(UNIT_TESTS)
unit-check: $(UNIT_TESTS) build/test-models.stamp
	@set -e; for t in $(UNIT_TESTS); do echo "== $$t"; $$t; done
