# test.mk: the models that the tests find by name

# A Python with numpy.
TEST_PYTHON ?= python3

TEST_MODELS = build/test-models
TEST_MODEL_SRCS = $(addprefix $(source)/test/,assemble_models.py make_models.py) \
	$(shell find $(source)/test/reference -type f ! -name '*.md')

build/test-models.stamp: $(TEST_MODEL_SRCS)
	rm -rf $(TEST_MODELS)
	$(TEST_PYTHON) $(source)/test/assemble_models.py $(TEST_MODELS)
	touch $@

.PHONY: test-models
test-models: build/test-models.stamp
