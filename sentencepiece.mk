# sentencepiece.mk: the module that holds the sentencepiece library, opened by whoever loads a spiece.model

SENTENCEPIECE_MODULE = albert_sentencepiece.so
SENTENCEPIECE_SRCS = $(source)/src/tokenizer/sentencepiece/module.cc $(source)/src/tokenizer/sentencepiece/module.h
# The server may have been built by another compiler than the one at hand.
SENTENCEPIECE_CXX = $(if $(shell command -v $(firstword $(CXX)) 2>/dev/null),$(CXX),g++)

all: $(SENTENCEPIECE_MODULE)
# as for the objects: what changes with the flags is made anew, and in the build directory
$(SENTENCEPIECE_MODULE): $(SENTENCEPIECE_SRCS) build/flags
	$(SENTENCEPIECE_CXX) -std=c++17 $(filter -O% -g,$(CFLAGS)) -fPIC -fvisibility=hidden -Wall -Wextra -I$(source)/src -shared -o $@ $< -lsentencepiece

.PHONY: install-sentencepiece uninstall-sentencepiece
install: install-sentencepiece
install-sentencepiece: $(SENTENCEPIECE_MODULE)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_SHLIB) $(SENTENCEPIECE_MODULE) '$(DESTDIR)$(pkglibdir)/$(SENTENCEPIECE_MODULE)'

uninstall: uninstall-sentencepiece
uninstall-sentencepiece:
	rm -f '$(DESTDIR)$(pkglibdir)/$(SENTENCEPIECE_MODULE)'

# The unit programs and the fuzzers find it beside themselves.
$(UNIT_DIR)/$(SENTENCEPIECE_MODULE): $(SENTENCEPIECE_MODULE)
	@mkdir -p $(@D)
	cp $< $@
$(UNIT_TESTS) $(FUZZERS:%=$(FUZZ_DIR)/fuzz_%): | $(UNIT_DIR)/$(SENTENCEPIECE_MODULE)

# A test opens another in its place.
$(UNIT_DIR)/wrong_sentencepiece.so: test/unit/wrong_sentencepiece.c src/tokenizer/sentencepiece/module.h
	@mkdir -p $(@D)
	$(UNIT_CC) $(filter-out -MMD -MP,$(UNIT_CFLAGS)) -fPIC -shared -o $@ $<
$(UNIT_DIR)/test_tokenizer_malformed: | $(UNIT_DIR)/wrong_sentencepiece.so
