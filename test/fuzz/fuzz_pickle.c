/*
 * fuzz_pickle.c
 *	  libFuzzer on a pickle by itself, without the archive around it.
 */
#include "fuzz_directory.h"
#include "formats/checkpoints/internal.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AlbertArena arena;
	AlbertStatus status = {0};
	PickleValue value;
	size_t		used = 0;

	AlbertArenaInitMalloc(&arena);
	if (AlbertPickleLoad((const char *) data, size, &used, &arena, "data.pkl", &value, &status))
	{
		if (used > size)
			abort();
		if (value.kind == PICKLE_DICT)
			AlbertPickleGet(&value, "weight");
	}
	else
		fuzz_check_refusal(&status);
	if (arena.total > 300 * 1024 * 1024)
		abort();
	AlbertArenaFree(&arena);
	return 0;
}
