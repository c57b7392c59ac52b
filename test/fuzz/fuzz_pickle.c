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
	AlbertSourceFile file = {.name = "data.pkl", .size = size};
	WeightsFile weights = {.file = &file, .scratch = &arena, .status = &status};
	AlbertSpan	input = {data, data + size};
	PickleValue value;

	AlbertArenaInitMalloc(&arena);
	if (AlbertPickleLoad(&weights, &input, &value))
	{
		if (input.at > input.end)
			abort();
		if (value.kind == PICKLE_DICT && value.list->n % 2 != 0)
			abort();
	}
	else
		fuzz_check_refusal(&status);
	if (arena.total > 300 * 1024 * 1024)
		abort();
	AlbertArenaFree(&arena);
	return 0;
}
