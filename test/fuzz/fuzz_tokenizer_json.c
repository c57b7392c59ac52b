/*
 * fuzz_tokenizer_json.c
 *	  libFuzzer on tokenizer.json and the files beside it.  The input is
 *	  tokenizer.json, tokenizer_config.json, special_tokens_map.json,
 *	  added_tokens.json and a text, each ended by FUZZ_END.
 */
#include "fuzz_tokenizer.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AlbertTokenizerFiles files = {0};

	files.tokenizer_json = fuzz_next(&data, &size);
	fuzz_next_settings(&files, &data, &size);
	fuzz_compile_rest(&files, data, size);
	return 0;
}
