/*
 * fuzz_text.c
 *	  libFuzzer on texts, and on token ids to be decoded, with a tokenizer of
 *	  each kind.  The input is a text and its pair, each ended by FUZZ_END; its
 *	  bytes are ids too.
 */
#include <dirent.h>

#include "fuzz_tokenizer.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NKINDS	3

/* The first seed of another fuzzer's corpus. */
static AlbertBytes
seed(const char *fuzzer, const char *name)
{
	static uint8_t buffer[NKINDS][65536];
	static int	n;
	char		path[1024];
	FILE	   *file;
	AlbertBytes bytes = {.data = buffer[n]};

	snprintf(path, sizeof(path), "%s/fuzz/corpus/%s/%s", UNIT_TEST_DIRECTORY, fuzzer, name);
	file = fopen(path, "rb");
	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	bytes.size = fread(buffer[n++], 1, sizeof(buffer[0]), file);
	fclose(file);
	return bytes;
}

static const AlbertTokenizer *
tokenizers(void)
{
	static AlbertTokenizer kinds[NKINDS];
	static AlbertArena arena;
	AlbertTokenizerFiles files[NKINDS];
	AlbertStatus status = {0};
	AlbertBytes bytes;
	const uint8_t *data;
	size_t		size;

	if (kinds[0].image != NULL)
		return kinds;
	AlbertArenaInitMalloc(&arena);
	memset(files, 0, sizeof(files));
	files[0].spiece_model = seed("spiece", "small");
	bytes = seed("vocab", "bert");
	data = bytes.data;
	size = bytes.size;
	files[1].vocab_txt = fuzz_next(&data, &size);
	bytes = seed("tokenizer_json", "unigram");
	data = bytes.data;
	size = bytes.size;
	files[2].tokenizer_json = fuzz_next(&data, &size);
	for (int i = 0; i < NKINDS; i++)
	{
		AlbertBytes image;

		if (!AlbertTokenizerCompile(&files[i], FUZZ_POSITIONS, &arena, &image, &status) ||
			!AlbertTokenizerBind(image.data, image.size, &kinds[i], &status))
		{
			fprintf(stderr, "tokenizer %d: %s\n", i, status.message);
			exit(1);
		}
	}
	return kinds;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const AlbertTokenizer *kinds = tokenizers();
	const uint8_t *rest = data;
	size_t		left = size;
	AlbertBytes text = fuzz_next(&rest, &left);
	AlbertBytes pair = fuzz_next(&rest, &left);

	for (int i = 0; i < NKINDS; i++)
	{
		AlbertArena arena;
		AlbertText	decoded;
		AlbertStatus status = {0};
		int32_t    *ids;

		fuzz_texts(&kinds[i], (AlbertText) {.data = text.data == NULL ? "" : text.data, .size = text.size},
				   (AlbertText) {.data = pair.data, .size = pair.size});
		AlbertArenaInitMalloc(&arena);
		ids = malloc(sizeof(int32_t) * (size + 1));
		for (size_t k = 0; k < size; k++)
			ids[k] = data[k] - 2;
		if (!AlbertTokenizerDecode(&kinds[i], ids, (int) size, false, true, &arena, &decoded, &status))
			fuzz_check_status(&status);
		free(ids);
		AlbertArenaFree(&arena);
	}
	return 0;
}
