# kernels.mk: the instruction sets that kernels are compiled for, file by file; kernels/dispatch.c decides at run time
# what may be called.  For the extension, the unit tests and bench/.

ifneq ($(filter x86_64%,$(shell $(CC) -dumpmachine 2>/dev/null)),)
AVX2_FLAGS = -mavx2 -mfma -mf16c
AVX512_FLAGS = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mfma -mf16c
# older compilers do not know AMX; amx.c then says that it cannot be used
AMX_FLAGS = $(AVX512_FLAGS) $(shell $(CC) -mamx-tile -mamx-bf16 -mamx-int8 -E -x c /dev/null >/dev/null 2>&1 && echo -mamx-tile -mamx-bf16 -mamx-int8)
endif
