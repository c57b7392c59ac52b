# build.mk: compiler settings by file, and the plain-C unit tests, which need no server

override CFLAGS += -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-clobbered -O3 -ffp-contract=off

# Instruction sets are enabled file by file; kernels/dispatch.c decides at run time what may be called.
src/kernels/avx2.o: override CFLAGS += -mavx2 -mfma -mf16c
src/kernels/avx512.o: override CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mfma -mf16c

# ---- unit tests: everything below the PostgreSQL line in plain programs ----
UNIT_CC = gcc
UNIT_CFLAGS = -std=gnu11 -g -O2 -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Wno-sign-compare -Wno-unused-parameter -Wno-missing-field-initializers -Isrc -Itest/unit
UNIT_OBJS = $(patsubst src/%.c,build/unit/%.o,$(BELOW_SRCS))
UNIT_TESTS = $(patsubst test/unit/test_%.c,build/unit/test_%,$(wildcard test/unit/test_*.c))

build/unit/kernels/avx2.o: UNIT_CFLAGS += -mavx2 -mfma -mf16c
build/unit/kernels/avx512.o: UNIT_CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mfma -mf16c

build/unit/%.o: src/%.c $(wildcard src/base/*.h src/kernels/*.h src/encoder/*.h src/tokenizer/*.h src/formats/*.h)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -c -o $@ $<

build/unit/test_%: test/unit/test_%.c test/unit/unit.h $(UNIT_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -o $@ $< $(UNIT_OBJS) $(UNIT_EXTRA_LDFLAGS) -ljansson -lutf8proc -lm -ldl

.PHONY: unit-check
unit-check: $(UNIT_TESTS)
	@set -e; for t in $(UNIT_TESTS); do echo "== $$t"; $$t; done
