# build.mk: compiler settings by file, and the plain-C unit tests, which need no server

# CFLAGS=..., COPT=... and PROFILE=... of a command line say how far to optimise; without one it is -O3.
ifneq ($(CFLAGS_ORIGIN),command line)
override CFLAGS += -O3 $(filter -O%,$(COPT) $(PROFILE))
endif

# Whatever CFLAGS say: C as PostgreSQL is written in, and none of the liberties that would let a result depend on anything
# but its input.
override CFLAGS += -fno-strict-aliasing -fwrapv -ffp-contract=off -MMD -MP
# What PostgreSQL calls is exported (PGDLLEXPORT), and nothing else.
override CFLAGS += -fvisibility=hidden
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
# not those of a build in the source tree, where VPATH finds them
$(filter-out $(wildcard $(OBJS)),$(OBJS)): FORCE
endif
-include $(wildcard $(OBJS:.o=.d))

.PHONY: FORCE
FORCE:

# ---- unit tests: everything below the PostgreSQL line in plain programs ----
# Another directory is for programs made by another compiler or with other flags.
UNIT_DIR = build/unit
UNIT_CC = $(CC)
UNIT_CFLAGS = -std=gnu11 -g -O2 -fno-strict-aliasing -ffp-contract=off -MMD -MP -Wall -Wextra -Wno-sign-compare -Wno-unused-parameter -I$(source)/src -I$(source)/test/unit -DUNIT_TEST_DIRECTORY='"$(source)/test"'
UNIT_SRCS = $(BELOW_SRCS)
UNIT_LIBS = -ljansson -lutf8proc -lm -ldl
UNIT_OBJS = $(patsubst src/%.c,$(UNIT_DIR)/%.o,$(UNIT_SRCS))
UNIT_TESTS = $(patsubst test/unit/test_%.c,$(UNIT_DIR)/test_%,$(call sources,test/unit/test_*.c))

$(UNIT_DIR)/kernels/avx2.o: UNIT_CFLAGS += $(AVX2_FLAGS)
$(UNIT_DIR)/kernels/avx512.o: UNIT_CFLAGS += $(AVX512_FLAGS)
$(UNIT_DIR)/kernels/amx.o: UNIT_CFLAGS += $(AMX_FLAGS)

$(UNIT_DIR)/flags: FORCE
	@mkdir -p $(UNIT_DIR)
	@echo '$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS)' | cmp -s - $@ || echo '$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS)' > $@

$(UNIT_DIR)/%.o: src/%.c $(UNIT_DIR)/flags
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -c -o $@ $<

$(UNIT_DIR)/test_%: test/unit/test_%.c $(UNIT_DIR)/flags $(UNIT_OBJS)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -MF $@.d -MT $@ -o $@ $< $(UNIT_OBJS) $(UNIT_EXTRA_LDFLAGS) $(UNIT_LIBS)

-include $(wildcard $(UNIT_OBJS:.o=.d) $(UNIT_TESTS:=.d))

.PHONY: unit-programs unit-check
unit-programs: $(UNIT_TESTS)
unit-check: $(UNIT_TESTS:=.run)
.PHONY: $(UNIT_TESTS:=.run)
$(UNIT_TESTS:=.run): %.run: % test-models
	@echo "== $<"; $<

# Those of them that use no library, for 64-bit Arm, to be run by an emulator: test/run arm
ARM_CC = aarch64-linux-gnu-gcc
ARM_DIR = build/unit-arm64
ARM_TESTS = training kernels encoder_batch
ARM_SRCS = $(filter-out src/base/json.c,$(filter src/base/% src/kernels/% src/training/% src/encoder/%,$(BELOW_SRCS)))

.PHONY: arm-programs
arm-programs:
	@$(MAKE) --no-print-directory CC=$(ARM_CC) UNIT_DIR=$(ARM_DIR) UNIT_SRCS='$(ARM_SRCS)' UNIT_LIBS='-lm -ldl' \
		UNIT_EXTRA_LDFLAGS=-static UNIT_EXTRA_CFLAGS=-DUNIT_EMULATED $(ARM_TESTS:%=$(ARM_DIR)/test_%)
