# fuzz.mk: fuzzers of every reader of untrusted bytes, and the sanitizers
#
#   make fuzz            each fuzzer for FUZZ_SECONDS, from the seeds in test/fuzz/corpus
#   make check-sanitize  unit tests and the server's SQL tests under AddressSanitizer, UndefinedBehaviorSanitizer, valgrind
#
# What fuzzers find beyond the seeds is kept in build/fuzz/found, an input that fails in build/fuzz/NAME-crash-...
# With clang and its runtime the fuzzers are libFuzzer's; with another compiler test/fuzz/standalone.c changes the seeds
# blindly, under that compiler's AddressSanitizer and UndefinedBehaviorSanitizer.

FUZZ_SECONDS ?= 60
FUZZERS ?= $(patsubst test/fuzz/fuzz_%.c,%,$(call sources,test/fuzz/fuzz_*.c))
FUZZ_DIR = build/fuzz
FUZZ_OPTIONS = -rss_limit_mb=2048 -timeout=20 -max_len=65536 -print_final_stats=1

SANITIZE = address,undefined
SANITIZE_CFLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all

# Is there clang, with what libFuzzer needs?
ifneq ($(filter fuzz fuzz-programs,$(MAKECMDGOALS)),)
FUZZ_CC := $(shell echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' | clang -fsanitize=fuzzer,$(SANITIZE) -x c -o /dev/null - 2>/dev/null && echo clang)
endif
ifeq ($(FUZZ_CC),)
FUZZ_CC := $(CC)
FUZZ_MAIN = $(FUZZ_DIR)/standalone.o
else
FUZZ_LIBRARY = -fsanitize=fuzzer
FUZZ_OBJECT = -fsanitize=fuzzer-no-link
endif

.PHONY: fuzz fuzz-programs
fuzz-programs:
	@[ -z '$(FUZZ_MAIN)' ] || echo 'fuzz: no libFuzzer: seeds are changed blindly; clang N with libclang-rt-N-dev brings it'
	@$(MAKE) --no-print-directory -s UNIT_DIR=$(FUZZ_DIR) UNIT_CC=$(FUZZ_CC) UNIT_EXTRA_CFLAGS='$(SANITIZE_CFLAGS) $(FUZZ_OBJECT) -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION' \
		FUZZ_CC=$(FUZZ_CC) FUZZ_MAIN=$(FUZZ_MAIN) FUZZ_LIBRARY=$(FUZZ_LIBRARY) FUZZ_KERNELS=plain \
		$(FUZZERS:%=$(FUZZ_DIR)/fuzz_%)

# No fuzzer runs a kernel, and clang takes minutes to instrument one.
ifneq ($(FUZZ_KERNELS),)
$(UNIT_DIR)/kernels/%.o: override UNIT_EXTRA_CFLAGS = -g -O1
endif

fuzz: fuzz-programs
	@$(source)/test/fuzz/run $(FUZZ_DIR) $(FUZZ_SECONDS) "$(FUZZ_OPTIONS)" $(FUZZERS)

$(FUZZ_DIR)/%.o: test/fuzz/%.c $(UNIT_DIR)/flags
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) -c -o $@ $<

$(FUZZ_DIR)/fuzz_%: test/fuzz/fuzz_%.c $(UNIT_DIR)/flags $(FUZZ_MAIN) $(UNIT_OBJS) | $(SENTENCEPIECE_MODULE:%=$(UNIT_DIR)/%)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_EXTRA_CFLAGS) $(FUZZ_LIBRARY) -MF $@.d -MT $@ -o $@ $< $(FUZZ_MAIN) $(UNIT_OBJS) -ljansson -lutf8proc -lm -ldl

-include $(wildcard $(FUZZ_DIR)/*.d)

.PHONY: check-sanitize
check-sanitize:
	@sh $(source)/test/sanitize $(SANITIZE_TESTS)
