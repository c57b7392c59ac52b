/*
 * fuzz_spiece.c
 *	  libFuzzer on spiece.model.
 */
#include "fuzz_tokenizer.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AlbertTokenizerFiles files = {.spiece_model = {.data = data, .size = size}};

	fuzz_compile(&files, FUZZ_SAMPLE, FUZZ_TEXT("abc ab"));
	return 0;
}
