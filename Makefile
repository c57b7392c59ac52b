# albert: ALBERT language models inside PostgreSQL
#
#   make             build
#   make install     install the extension and its default model into the server
#   make uninstall   remove both
#   make demo        the quick start, in a temporary cluster; MODEL=minilm shows search by meaning with all-MiniLM-L6-v2
#   make check       every test, in temporary clusters; TESTS="unit sql/x.sql" runs some
#   make check-versions  the same for this server and for PostgreSQL 16 and 18 with pgvector; VERSIONS="own 18" are some
#   make installcheck  the tests of the installed extension, against the running server
#   make fuzz        fuzzers of every reader of untrusted bytes; make check-sanitize  tests under sanitizers and valgrind
#   make bench       albert beside other engines; BENCH="--rounds 3" are options of bench/bench.py
#   make deps        install what building, demo and check need and the machine lacks; ARM=1 also what 64-bit Arm is
#                    tested with (270 MB)
#   make unit-check  the tests that need no server
#
# PG_CONFIG chooses the server to build for.

# These are scripts: they install what is missing first, and then call make for the rest.
SCRIPTED_GOALS = deps demo check check-versions bench docs-update

PG_CONFIG ?= pg_config

# The directory of this file: another one than where make runs when the build is outside the source tree, as in
# make -f SOURCE/Makefile VPATH=SOURCE.
source := $(or $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST)))),.)

ifneq ($(filter $(SCRIPTED_GOALS),$(MAKECMDGOALS)),)

.PHONY: $(MAKECMDGOALS)
export PG_CONFIG TESTS MODEL

deps:
	@sh $(source)/tools/deps.sh test tools $(if $(ARM),arm)

demo:
	@sh $(source)/demo/run

check:
	@sh $(source)/test/run $(TESTS)

check-versions:
	@sh $(source)/test/versions $(VERSIONS)

bench:
	@sh $(source)/bench/run $(BENCH)

# Run the SQL of the documentation and write the answers into it.
docs-update:
	@DOCS_UPDATE=1 sh $(source)/test/run docs

$(filter-out $(SCRIPTED_GOALS),$(MAKECMDGOALS)):
	@$(MAKE) --no-print-directory $@

else

EXTENSION = albert
MODULE_big = albert
DATA = albert--1.0.sql
SCRIPTS = tools/albert-import

sources = $(patsubst $(source)/%,%,$(sort $(wildcard $(1:%=$(source)/%))))
BELOW_SRCS := $(call sources,$(foreach dir,base kernels training encoder tokenizer formats,src/$(dir)/*.c src/$(dir)/*/*.c))
ABOVE_SRCS := $(call sources,src/*.c $(foreach dir,store executor functions,src/$(dir)/*.c src/$(dir)/*/*.c))
OBJS = $(BELOW_SRCS:.c=.o) $(ABOVE_SRCS:.c=.o)

# 'make installcheck': the tests against a running server that albert is installed in
REGRESS = setup $(filter-out setup,$(patsubst $(source)/sql/%.sql,%,$(sort $(wildcard $(source)/sql/*.sql))))
REGRESS_OPTS = --encoding=UTF8 --no-locale
ISOLATION = $(patsubst $(source)/specs/%.spec,%,$(sort $(wildcard $(source)/specs/*.spec)))
ISOLATION_OPTS = --encoding=UTF8 --no-locale --load-extension=albert
TAP_TESTS = 1
PROVE_TESTS = $(filter-out %_long.pl,$(patsubst $(source)/%,%,$(sort $(wildcard $(source)/test/t/*.pl))))

PG_CPPFLAGS = -I$(source)/src
SHLIB_LINK = -ljansson -lutf8proc -lm -ldl
EXTRA_CLEAN = build $(OBJS:.o=.d) albert_sentencepiece.so

# Nothing here gains from inlining by the server's just-in-time compiler, and its bitcode would not know the
# instruction sets that are enabled file by file.
override with_llvm = no

# PGXS adds to it
CFLAGS_ORIGIN := $(origin CFLAGS)
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(and $(PGXS),$(wildcard $(PGXS))),)
include $(PGXS)
else
all install uninstall installcheck clean:
	@echo "$(PG_CONFIG) finds no PostgreSQL development files (server headers and PGXS)." >&2
	@echo "'make deps' installs what is missing, or set PG_CONFIG=/path/to/pg_config." >&2
	@exit 1
endif
include $(source)/build.mk
include $(source)/test.mk
include $(source)/fuzz.mk
include $(source)/sentencepiece.mk

# ---- models that come with the extension: models/NAME becomes SHAREDIR/albert/NAME ----
MODEL_FILES := $(patsubst $(source)/models/%,%,$(sort $(shell find $(source)/models -type f ! -name '.*' 2>/dev/null)))
MODEL_NAMES := $(sort $(foreach file,$(MODEL_FILES),$(firstword $(subst /, ,$(file)))))

.PHONY: install-models uninstall-models
install: install-models
install-models: all
	$(if $(MODEL_FILES),$(MKDIR_P) $(addprefix '$(DESTDIR)$(datadir)/albert'/,$(sort $(dir $(MODEL_FILES)))))
	$(foreach file,$(MODEL_FILES),$(INSTALL_DATA) '$(source)/models/$(file)' '$(DESTDIR)$(datadir)/albert/$(file)' &&) true

uninstall: uninstall-models
uninstall-models:
	@# the server's makefiles look for a script below the directory it has in the source
	rm -f $(addprefix '$(DESTDIR)$(bindir)'/,$(notdir $(SCRIPTS)))
	$(if $(MODEL_NAMES),rm -rf $(addprefix '$(DESTDIR)$(datadir)/albert'/,$(MODEL_NAMES)))
	-@rmdir '$(DESTDIR)$(datadir)/albert' 2>/dev/null || true

endif
