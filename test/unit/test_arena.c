/*
 * test_arena.c
 *	  src/base: the arena hands out what it says and gives everything back;
 *	  statuses keep their texts in bounds.
 */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"
#include "../malloc_arena.h"
#include "unit.h"

/* A caller that counts, and can refuse. */
typedef struct Giver
{
	int			gets;
	int			puts;
	size_t		held;
	size_t		most;			/* refuse beyond this many bytes */
} Giver;

static void *
giver_get(void *context, size_t size)
{
	Giver	   *giver = context;
	size_t	   *block;

	if (giver->held + size > giver->most)
		return NULL;
	block = malloc(size + sizeof(size_t));
	if (block == NULL)
		return NULL;
	*block = size;
	giver->held += size;
	giver->gets++;
	return block + 1;			/* 8 bytes past malloc's alignment */
}

static void
giver_put(void *context, void *block)
{
	Giver	   *giver = context;
	size_t	   *start = (size_t *) block - 1;

	giver->held -= *start;
	giver->puts++;
	memset(block, 0xdd, *start);	/* whoever still reads it sees that it is gone */
	free(start);
}

static void
giver_arena(AlbertArena *arena, Giver *giver, size_t most)
{
	memset(giver, 0, sizeof(*giver));
	giver->most = most;
	AlbertArenaInit(arena, giver_get, giver_put, giver);
}

static unsigned
next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Pieces of all sizes: aligned, apart from each other, and kept. */
static void
test_pieces(void)
{
	enum
	{
		N = 400
	};
	static unsigned char *pieces[N];
	static size_t sizes[N];
	unsigned	state = 1;
	AlbertArena arena;
	Giver		giver;
	int			misaligned = 0;
	int			damaged = 0;

	giver_arena(&arena, &giver, SIZE_MAX);
	for (int i = 0; i < N; i++)
	{
		sizes[i] = next_random(&state) % (i % 7 == 0 ? 300000 : 500);
		pieces[i] = AlbertArenaAlloc(&arena, sizes[i]);
		if (pieces[i] == NULL)
		{
			CHECK(false, "no piece of %zu bytes", sizes[i]);
			return;
		}
		misaligned += (uintptr_t) pieces[i] % ALBERT_ALIGN != 0;
		memset(pieces[i], i, sizes[i]);
	}
	for (int i = 0; i < N; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			damaged += pieces[i][j] != (unsigned char) i;
	for (int i = 1; i < N; i++)
		damaged += pieces[i] == pieces[i - 1];
	CHECK(misaligned == 0, "%d pieces misaligned", misaligned);
	CHECK(damaged == 0, "%d bytes damaged", damaged);
	CHECK(arena.total == giver.held, "total %zu, held %zu", arena.total, giver.held);
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0 && giver.gets == giver.puts && arena.total == 0,
		  "%zu bytes not given back", giver.held);
}

/* After a rewind or a reset the same memory comes again, and no more is asked for. */
static void
test_reuse(void)
{
	AlbertArena arena;
	Giver		giver;
	AlbertArenaMark mark;
	void	   *first;
	void	   *kept;
	char	   *again;
	int			gets = 0;

	giver_arena(&arena, &giver, SIZE_MAX);
	first = AlbertArenaAlloc(&arena, 100);
	kept = AlbertArenaAlloc(&arena, 3000);
	memset(kept, 7, 3000);
	mark = AlbertArenaGetMark(&arena);
	again = AlbertArenaAlloc(&arena, 200);
	for (int i = 0; i < 50; i++)
		(void) AlbertArenaAlloc(&arena, 100000);
	gets = giver.gets;
	for (int round = 0; round < 20; round++)
	{
		AlbertArenaRewind(&arena, mark);
		CHECK(AlbertArenaAlloc(&arena, 200) == again, "round %d: another place after a rewind", round);
		for (int i = 0; i < 50; i++)
			(void) AlbertArenaAlloc(&arena, 100000);
	}
	CHECK(giver.gets == gets, "%d blocks fetched for what was there before", giver.gets - gets);
	for (int i = 0; i < 3000; i++)
		if (((char *) kept)[i] != 7)
		{
			CHECK(false, "byte %d before the mark changed", i);
			break;
		}
	AlbertArenaReset(&arena);
	CHECK(AlbertArenaAlloc(&arena, 100) == first, "another place after a reset");
	CHECK(giver.puts == 0, "a reset gave blocks back");
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0, "%zu bytes not given back", giver.held);

	/* a mark taken before the first block */
	giver_arena(&arena, &giver, SIZE_MAX);
	mark = AlbertArenaGetMark(&arena);
	first = AlbertArenaAlloc(&arena, 64);
	AlbertArenaRewind(&arena, mark);
	CHECK(AlbertArenaAlloc(&arena, 64) == first, "rewind to the very start");
	AlbertArenaFree(&arena);
	AlbertArenaFree(&arena);	/* harmless */
	CHECK(AlbertArenaAlloc(&arena, 64) != NULL, "usable after it was freed");
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0, "%zu bytes not given back", giver.held);
}

/* A request larger than the kept blocks goes past them; smaller ones use them later. */
static void
test_mixed_sizes(void)
{
	AlbertArena arena;
	Giver		giver;
	int			gets = 0;

	giver_arena(&arena, &giver, SIZE_MAX);
	for (int round = 0; round < 6; round++)
	{
		AlbertArenaReset(&arena);
		for (int i = 0; i < 10; i++)
		{
			size_t		size = round % 2 == 0 ? (size_t) (i + 1) << 16 : (size_t) (10 - i) << 16;
			char	   *p = AlbertArenaAlloc(&arena, size);

			CHECK(p != NULL, "round %d: no %zu bytes", round, size);
			if (p != NULL)
				memset(p, round, size);
		}
		if (round == 3)
			gets = giver.gets;
	}
	CHECK(giver.gets == gets, "the same rounds again fetched %d blocks", giver.gets - gets);
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0, "%zu bytes not given back", giver.held);
}

/*
 * Requests that grow from reset to reset leave nothing behind that they are
 * too large for: what is held is little more than what this round and the one
 * before it ask for.
 */
static void
check_growing(const char *name, bool two, bool twice_as_large)
{
	enum
	{
		ROUNDS = 40
	};
	size_t		megabyte = 1024 * 1024;
	AlbertArena arena;
	Giver		giver;
	size_t		most = 0;
	size_t		asked = 0;
	int			gets;

	giver_arena(&arena, &giver, SIZE_MAX);
	for (int round = 0; round < ROUNDS; round++)
	{
		size_t		size = (8 + round) * megabyte;

		AlbertArenaReset(&arena);
		CHECK(AlbertArenaAlloc(&arena, 1000) != NULL && AlbertArenaAlloc(&arena, size) != NULL,
			  "%s, round %d: no %zu bytes", name, round, size);
		asked = size;
		if (two)
		{
			size = twice_as_large ? 2 * size : size + megabyte;
			CHECK(AlbertArenaAlloc(&arena, size) != NULL, "%s, round %d: no %zu bytes", name, round, size);
			asked += size;
		}
		most = giver.held > most ? giver.held : most;
	}
	CHECK(most < 5 * asked / 2, "%s: %zu MB held for requests of %zu MB", name, most / megabyte, asked / megabyte);
	CHECK(arena.total == giver.held, "%s: total %zu, held %zu", name, arena.total, giver.held);

	/* and the last round again fetches nothing */
	gets = giver.gets;
	AlbertArenaReset(&arena);
	(void) AlbertArenaAlloc(&arena, 1000);
	(void) AlbertArenaAlloc(&arena, (8 + ROUNDS - 1) * megabyte);
	if (two)
		(void) AlbertArenaAlloc(&arena, asked - (8 + ROUNDS - 1) * megabyte);
	CHECK(giver.gets == gets, "%s: the last round again fetched %d blocks", name, giver.gets - gets);
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0, "%s: %zu bytes not given back", name, giver.held);
}

/* The same between a mark and its rewinds, which must not touch what was there before the mark. */
static void
test_growing_behind_mark(void)
{
	size_t		megabyte = 1024 * 1024;
	AlbertArena arena;
	Giver		giver;
	AlbertArenaMark mark;
	char	   *kept[12];
	int			damaged = 0;

	giver_arena(&arena, &giver, SIZE_MAX);
	for (int i = 0; i < 12; i++)
	{
		kept[i] = AlbertArenaAlloc(&arena, 100000);
		memset(kept[i], i, 100000);
	}
	mark = AlbertArenaGetMark(&arena);
	for (int round = 0; round < 30; round++)
	{
		char	   *p;

		AlbertArenaRewind(&arena, mark);
		p = AlbertArenaAlloc(&arena, (9 + round) * megabyte);
		CHECK(p != NULL, "round %d behind a mark", round);
		if (p != NULL)
			memset(p, 255, (9 + round) * megabyte);
	}
	CHECK(giver.held < 5 * 38 * megabyte / 2, "%zu MB held for 38 MB behind a mark", giver.held / megabyte);
	for (int i = 0; i < 12; i++)
		for (int j = 0; j < 100000; j++)
			damaged += kept[i][j] != i;
	CHECK(damaged == 0, "%d bytes before the mark damaged", damaged);
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0, "%zu bytes not given back", giver.held);
}

/* What a rewind frees can be read until the memory is written to, also when the next piece fits no kept block. */
static void
test_stale(void)
{
	AlbertArena arena;
	Giver		giver;
	AlbertArenaMark mark;
	unsigned char *old;
	unsigned char *fresh;
	int			lost = 0;

	giver_arena(&arena, &giver, SIZE_MAX);
	(void) AlbertArenaAlloc(&arena, 60000);
	mark = AlbertArenaGetMark(&arena);
	old = AlbertArenaAlloc(&arena, 200000);
	memset(old, 7, 200000);
	AlbertArenaRewind(&arena, mark);
	fresh = AlbertArenaAlloc(&arena, 900000);
	CHECK(fresh != old, "a larger piece in the same block");
	for (int i = 0; i < 200000; i++)
		lost += old[i] != 7;
	CHECK(lost == 0, "%d bytes lost before anything was written", lost);
	AlbertArenaRewind(&arena, mark);
	CHECK(giver.puts == 1, "%d blocks given back, not the one that was too small", giver.puts);
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0, "%zu bytes not given back", giver.held);
}

static void
test_growing(void)
{
	check_growing("one request", false, false);
	check_growing("two requests", true, false);
	check_growing("the second twice the first", true, true);
	test_growing_behind_mark();
}

static void
test_limits(void)
{
	AlbertArena arena;
	Giver		giver;
	unsigned char *zero;
	void	   *before;
	void	   *a;
	void	   *b;
	int			nonzero = 0;

	giver_arena(&arena, &giver, SIZE_MAX);
	a = AlbertArenaAlloc(&arena, 0);
	b = AlbertArenaAlloc(&arena, 0);
	CHECK(a != NULL && b != NULL && a != b, "pieces of no bytes are pieces");
	CHECK(AlbertArenaAlloc(&arena, SIZE_MAX) == NULL, "SIZE_MAX bytes");
	CHECK(AlbertArenaAlloc(&arena, SIZE_MAX - 63) == NULL, "SIZE_MAX - 63 bytes");
	CHECK(AlbertArenaAllocZero(&arena, SIZE_MAX / 2 + 2) == NULL, "half of SIZE_MAX bytes");
	CHECK(AlbertArenaArray(&arena, SIZE_MAX / 4, 8) == NULL, "a product that overflows");
	CHECK(AlbertArenaArray(&arena, (size_t) 1 << 33, (size_t) 1 << 33) == NULL, "one that wraps to 4");
	CHECK(AlbertArenaArray(&arena, 10, 0) != NULL && AlbertArenaArray(&arena, 0, 10) != NULL,
		  "empty arrays");
	a = AlbertArenaAlloc(&arena, 5000);
	memset(a, 255, 5000);
	AlbertArenaReset(&arena);
	zero = AlbertArenaAllocZero(&arena, 5000);
	for (int i = 0; i < 5000; i++)
		nonzero += zero[i] != 0;
	CHECK(nonzero == 0, "%d bytes not zeroed", nonzero);
	AlbertArenaFree(&arena);

	/* refusals leave the arena as it was */
	giver_arena(&arena, &giver, 300000);
	before = AlbertArenaAlloc(&arena, 1000);
	CHECK(before != NULL, "a small piece within the limit");
	CHECK(AlbertArenaAlloc(&arena, 400000) == NULL, "more than the caller gives");
	CHECK(AlbertArenaAllocZero(&arena, 400000) == NULL, "nor zeroed");
	CHECK(AlbertArenaArray(&arena, 400000, 1) == NULL, "nor as an array");
	a = AlbertArenaAlloc(&arena, 1000);
	CHECK(a != NULL && (char *) a >= (char *) before + 1000, "small pieces still there after a refusal");
	AlbertArenaFree(&arena);
	CHECK(giver.held == 0 && giver.gets == giver.puts, "%zu bytes not given back", giver.held);

	AlbertArenaInitMalloc(&arena);
	a = AlbertArenaAlloc(&arena, 100);
	CHECK(a != NULL, "malloc arena");
	AlbertArenaFree(&arena);
}

static void
test_status(void)
{
	AlbertStatus status;
	char		longer[2000];

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	memset(&status, 'y', sizeof(status));
	CHECK(!AlbertFail(&status, ALBERT_FORMAT, "%s of %d", longer, 5), "AlbertFail returns false");
	CHECK(status.code == ALBERT_FORMAT, "code");
	CHECK(strlen(status.message) == sizeof(status.message) - 1, "message cut to its space");
	CHECK(status.detail[0] == '\0' && status.hint[0] == '\0', "no detail nor hint yet");
	CHECK(!AlbertDetail(&status, "%s", longer) && !AlbertHint(&status, "Try %d.", 6), "return false");
	CHECK(strlen(status.detail) == sizeof(status.detail) - 1, "detail cut to its space");
	CHECK(strcmp(status.hint, "Try 6.") == 0, "hint");
	(void) AlbertFail(&status, ALBERT_IO, "another");
	CHECK(strcmp(status.message, "another") == 0 && status.detail[0] == '\0' && status.hint[0] == '\0',
		  "a new failure forgets the old one's detail and hint");
}

/* An array that grows one by one keeps what it has, and is copied seldom. */
static void
test_array(void)
{
	AlbertArena arena;
	int		   *items = NULL;
	int		   *nothing = NULL;
	size_t		room = 0;
	size_t		untouched = SIZE_MAX / 4;
	int			copies = 0;
	bool		kept = true;

	AlbertArenaInitMalloc(&arena);
	for (int i = 0; i < 100000; i++)
	{
		int		   *before = items;

		CHECK(AlbertArenaReserve(&arena, &items, i, 1, sizeof(int), &room), "there is memory");
		copies += items != before;
		items[i] = i;
	}
	for (int i = 0; i < 100000; i++)
		kept = kept && items[i] == i;
	CHECK(kept, "an array that grows keeps its elements");
	CHECK(copies <= 17, "it is copied %d times", copies);
	CHECK(AlbertArenaReserve(&arena, &items, 10, 1000000, sizeof(int), &room), "there is memory");
	CHECK(room == 1000010 && items[9] == 9, "it takes what is wanted at once");
	CHECK(!AlbertArenaReserve(&arena, &nothing, 0, SIZE_MAX / 2, sizeof(int), &untouched) && nothing == NULL &&
		  untouched == SIZE_MAX / 4, "what cannot be had changes nothing");
	CHECK(!AlbertArenaReserve(&arena, &items, 10, SIZE_MAX - 5, 1, &room) && items[9] == 9, "nor what cannot be counted");
	AlbertArenaFree(&arena);
}

static void
test_bytes(void)
{
	static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 0x88};
	static const unsigned char message[] = {
		0x08, 0xac, 0x02,		/* field 1: the number 300 */
		0x12, 0x02, 'a', 'b',	/* field 2: two bytes */
		0x1d, 1, 0, 0, 0,		/* field 3: four bytes */
		0x22, 0x05, 'x'			/* field 4: five bytes, of which one is there */
	};
	AlbertSpan	span = {message, message + sizeof(message)};
	static const unsigned char long_number[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
	AlbertSpan	endless = {long_number, long_number + 12};
	AlbertField field;
	uint64_t	value;

	CHECK(AlbertLittleEndian(bytes, 8) == UINT64_C(0x8807060504030201), "eight bytes");
	CHECK(AlbertLittleEndian(bytes + 1, 2) == 0x0302 && AlbertLittleEndian(bytes, 0) == 0, "two, and none");
	CHECK(AlbertFieldNext(&span, &field) && field.number == 1 && field.wire == ALBERT_WIRE_VARINT &&
		  field.value == 300, "a varint");
	CHECK(AlbertFieldNext(&span, &field) && field.number == 2 && AlbertSpanSize(field.bytes) == 2 &&
		  field.bytes.at[1] == 'b', "bytes");
	CHECK(AlbertFieldNext(&span, &field) && field.number == 3 && field.wire == ALBERT_WIRE_FIXED32 &&
		  AlbertLittleEndian(field.bytes.at, 4) == 1, "four bytes");
	CHECK(!AlbertFieldNext(&span, &field), "a field that is longer than its message");
	CHECK(!AlbertVarint(&endless, &value), "a varint of more than 64 bits");
	endless.at = endless.end;
	CHECK(!AlbertVarint(&endless, &value), "no varint at all");
}

int
main(void)
{
	test_array();
	test_bytes();
	test_pieces();
	test_reuse();
	test_mixed_sizes();
	test_growing();
	test_stale();
	test_limits();
	test_status();
	return unit_report();
}
