/*
 * fuzz_torch.c
 *	  libFuzzer on a PyTorch file, archive or pickle.
 */
#include "fuzz_directory.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin();
	fuzz_write("pytorch_model.bin", data, size);
	fuzz_load();
	return 0;
}
