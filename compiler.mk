# compiler.mk: the server's flags for the compiler at hand.  For the extension, and for the trial of tools/deps.sh.

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
