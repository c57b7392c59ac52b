/*
 * fuzz_safetensors.c
 *	  libFuzzer on a safetensors file.
 */
#include "fuzz_directory.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin();
	fuzz_write("model.safetensors", data, size);
	fuzz_load();
	return 0;
}
