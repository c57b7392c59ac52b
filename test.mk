# test.mk: the models that the tests find by name, and 'make installcheck'

# A Python with numpy.
TEST_PYTHON ?= python3

# Where the models are put; a running server has to be able to read them there.
export ALBERT_TEST_MODELS ?= $(CURDIR)/build/test-models

TEST_MODELS_DONE = $(ALBERT_TEST_MODELS)/.assembled
TEST_MODEL_SRCS = $(addprefix $(source)/test/,assemble_models.py make_models.py) \
	$(shell find $(source)/test/reference -type f ! -name '*.md')

$(TEST_MODELS_DONE): $(TEST_MODEL_SRCS)
	$(TEST_PYTHON) $(source)/test/assemble_models.py '$(ALBERT_TEST_MODELS)'
	touch '$@'

.PHONY: test-models
test-models: $(TEST_MODELS_DONE)

installcheck: $(TEST_MODELS_DONE)

# The modules of the tests, from the directory in which prove is started.
PG_PROVE_FLAGS += -I test/perl
