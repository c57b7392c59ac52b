/*
 * fuzz_config.c
 *	  libFuzzer on config.json, beside weights that fit the corpus's first one.
 */
#include "fuzz_directory.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun = false;

	if (!begun)
	{
		fuzz_begin();
		fuzz_write_weights();
		if (!fuzz_load())
			abort();			/* these weights must fit the usual configuration */
		begun = true;
	}
	fuzz_write("config.json", data, size);
	fuzz_load();
	return 0;
}
