/*
 * fuzz_checkpoint.c
 *	  libFuzzer on the index of a TensorFlow checkpoint.
 */
#include "fuzz_directory.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char values[4096];

	fuzz_begin();
	fuzz_write("model.data-00000-of-00001", values, sizeof(values));
	fuzz_write("model.index", data, size);
	fuzz_load();
	return 0;
}
