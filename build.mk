# build.mk: compiler settings by file, and the plain-C unit tests, which need no server

# CFLAGS=..., COPT=... and PROFILE=... of a command line say how far to optimise; without one it is -O3.
ifneq ($(origin CFLAGS),command line)
override CFLAGS += -O3 $(filter -O%,$(COPT) $(PROFILE))
endif

# Whatever CFLAGS say: C as PostgreSQL is written in, and none of the liberties that would let a result depend on anything
# but its input.
override CFLAGS += -fno-strict-aliasing -fwrapv -ffp-contract=off -MMD -MP
override CFLAGS += -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare

include $(source)/compiler.mk
include $(source)/kernels.mk
src/kernels/avx2.o: override CFLAGS += $(AVX2_FLAGS)
src/kernels/avx512.o: override CFLAGS += $(AVX512_FLAGS)
src/kernels/amx.o: override CFLAGS += $(AMX_FLAGS)

# Objects are made again when a header they include, or a flag, or the server's version has changed.
BUILD_FLAGS = $(VERSION) $(CC) $(CFLAGS) $(CPPFLAGS)
build/flags: FORCE
	@mkdir -p build
	@echo '$(subst ','\'',$(BUILD_FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(BUILD_FLAGS))' > $@
$(OBJS): build/flags
ifneq ($(source),.)
$(shell mkdir -p $(sort $(dir $(OBJS))))
endif
-include $(wildcard $(OBJS:.o=.d))

.PHONY: FORCE
FORCE:

# ---- unit tests: everything below the PostgreSQL line in plain programs ----
UNIT_CC = $(CC)
UNIT_CFLAGS = -std=gnu11 -g -O2 -fno-strict-aliasing -ffp-contract=off -MMD -MP -Wall -Wextra -Wno-sign-compare -Wno-unused-parameter -I$(source)/src -I$(source)/test/unit -DUNIT_TEST_DIRECTORY='"$(source)/test"'
UNIT_OBJS = $(patsubst src/%.c,build/unit/%.o,$(BELOW_SRCS))
UNIT_TESTS = $(patsubst test/unit/test_%.c,build/unit/test_%,$(call sources,test/unit/test_*.c))

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
unit-check: $(UNIT_TESTS) test-models
	@set -e; for t in $(UNIT_TESTS); do echo "== $$t"; $$t; done
