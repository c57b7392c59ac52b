/*
 * fuzz_vocab.c
 *	  libFuzzer on vocab.txt and the files beside it.  The input is vocab.txt,
 *	  tokenizer_config.json, special_tokens_map.json, added_tokens.json,
 *	  albert.json and a text, each ended by FUZZ_END.
 */
#include "fuzz_tokenizer.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AlbertTokenizerFiles files = {0};
	AlbertBytes text;

	files.vocab_txt = fuzz_next(&data, &size);
	files.tokenizer_config_json = fuzz_next(&data, &size);
	files.special_tokens_map_json = fuzz_next(&data, &size);
	files.added_tokens_json = fuzz_next(&data, &size);
	files.albert_json = fuzz_next(&data, &size);
	text = fuzz_next(&data, &size);
	fuzz_compile(&files, FUZZ_SAMPLE, text.data == NULL ? FUZZ_TEXT("abc ab") : (AlbertText) {.data = text.data, .size = text.size});
	return 0;
}
