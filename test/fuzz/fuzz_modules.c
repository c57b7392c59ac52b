/*
 * fuzz_modules.c
 *	  libFuzzer on sentence-transformers' files.  The input is all of them, in
 *	  the order of names[], each ended by FUZZ_END.
 */
#include "fuzz_directory.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
	"modules.json", "1_Pooling/config.json", "2_Dense/config.json", "config_sentence_transformers.json",
	"sentence_bert_config.json", "2_Dense/model.safetensors"
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun = false;

	if (!begun)
	{
		fuzz_begin();
		fuzz_write_weights();
		fuzz_make_directory("1_Pooling");
		fuzz_make_directory("2_Dense");
		begun = true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		AlbertBytes file = fuzz_next_file(&data, &size);

		fuzz_write(names[i], file.data, file.size);
	}
	fuzz_load();
	return 0;
}
