# albert: ALBERT language models inside PostgreSQL
#
#   make install     build, and install the extension with its default model
#   make demo        the quick start, in a temporary cluster
#   make check       every test, in temporary clusters
#
# PG_CONFIG chooses the server to build for.

EXTENSION = albert
MODULE_big = albert
DATA = albert--1.0.sql

BELOW_SRCS = $(sort $(foreach dir,base kernels encoder tokenizer formats,$(wildcard src/$(dir)/*.c)))
ABOVE_SRCS = $(sort $(wildcard src/*.c) $(foreach dir,store executor functions,$(wildcard src/$(dir)/*.c)))
OBJS = $(BELOW_SRCS:.c=.o) $(ABOVE_SRCS:.c=.o)

PG_CPPFLAGS = -I$(srcdir)/src
SHLIB_LINK = -ljansson -lutf8proc -lm -ldl

# The kernels need no link-time optimiser, and Debian's bitcode step buys nothing here.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
include build.mk
