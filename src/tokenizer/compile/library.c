/*
 * library.c
 *	  Opening the sentencepiece library's module, and comparing what was
 *	  compiled with what the library does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* for dladdr */
#endif

#include "tokenizer/compile/compile.h"
#include "tokenizer/encode/encoder.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MODULE_NAME	"albert_sentencepiece.so"

/* The module's path beside the file, program or library, that this code was loaded from. */
static void
path_beside(char *path, size_t size)
{
	Dl_info		here;
	const char *file = dladdr((const void *) tok_spiece_open, &here) != 0 ? here.dli_fname : NULL;
	const char *end = file == NULL ? NULL : strrchr(file, '/');

	snprintf(path, size, "%.*s/" MODULE_NAME, end == NULL ? 1 : (int) (end - file), end == NULL ? "." : file);
}

/*
 * The module stays open until the process ends: unloading C++ libraries is
 * not something that they are tested for.
 */
static bool
open_module(const char *path, const AlbertSpieceTable **table, AlbertStatus *status)
{
	void	   *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	*table = module == NULL ? NULL : dlsym(module, ALBERT_SPIECE_TABLE);
	if (*table != NULL && (*table)->version == ALBERT_SPIECE_VERSION)
		return true;
	AlbertFail(status, ALBERT_UNSUPPORTED,
			   "could not load the sentencepiece library, which a spiece.model is read with");
	if (*table != NULL)
		AlbertDetail(status, "\"%s\" is of another version.", path);
	else
		AlbertDetail(status, "%s.", dlerror());
	return AlbertHint(status, "Install the library (package libsentencepiece0 on Debian and Ubuntu), "
					  "or add a tokenizer.json to the model's directory.");
}

bool
tok_spiece_open(Builder *builder, const AlbertTokenizerFiles *files)
{
	SpieceLibrary *library = &builder->library;
	char		problem[256] = "";
	char		path[4096];

	path_beside(path, sizeof(path));
	if (!open_module(files->sentencepiece != NULL ? files->sentencepiece : path, &library->table, builder->status))
		return false;
	library->model = library->table->open(files->spiece_model.data, files->spiece_model.size, problem, sizeof(problem));
	if (library->model != NULL)
		return true;
	tok_malformed(builder, "");
	return AlbertDetail(builder->status, "The sentencepiece library refuses it: %s", problem);
}

void
tok_spiece_close(SpieceLibrary *library)
{
	if (library->model != NULL)
		library->table->close(library->model);
}

/* ---- comparing ---- */

#define MOST_BYTES		512		/* of a text to compare */
#define MOST_IDS		MOST_BYTES
#define TEXTS			500
#define TOLERANCE		1e-5	/* of a sum of scores: the library sums in float32 */

typedef struct Cut
{
	int32_t		ids[MOST_IDS];
	int			count;
} Cut;

typedef struct Comparison
{
	Builder    *builder;
	AlbertTokenizer probe;
	char		text[MOST_BYTES];	/* with U+2581, which begins it */
	size_t		size;
	Cut			here;
	Cut			there;
} Comparison;

static bool
is_mark(const char *text, size_t size)
{
	return size >= 3 && memcmp(text, WORD_MARK_UTF8, 3) == 0;
}

static bool
cut_here(Comparison *comparison, Cut *cut)
{
	Builder    *builder = comparison->builder;
	unsigned char bytes[MOST_BYTES];
	Word		word = {.text = bytes};
	size_t		done;
	Encoder		encoder = {
		.tokenizer = &comparison->probe,
		.header = &builder->header,
		.arena = builder->arena,
		.status = builder->status,
		.out = {.ids = cut->ids, .room = MOST_IDS},
	};

	for (size_t at = 0; at < comparison->size;)
	{
		bool		mark = is_mark(comparison->text + at, comparison->size - at);

		/* every mark but one behind another begins a word */
		if (mark && word.size > 0)
		{
			if (!tok_unigram(&encoder, &word, true, &done))
				return false;
			word = (Word) {.text = bytes};
		}
		bytes[word.size++] = mark ? WORD_MARK : (unsigned char) comparison->text[at];
		at += mark ? 3 : 1;
	}
	if (word.size > 0 && !tok_unigram(&encoder, &word, true, &done))
		return false;
	cut->count = (int) encoder.out.count;
	return true;
}

/* The library puts the first mark there itself, and makes marks of spaces. */
static void
cut_there(const Comparison *comparison, Cut *cut)
{
	const SpieceLibrary *library = &comparison->builder->library;
	char		text[MOST_BYTES];
	size_t		size = 0;

	for (size_t at = 3; at < comparison->size;)
	{
		bool		mark = is_mark(comparison->text + at, comparison->size - at);

		text[size++] = mark ? ' ' : comparison->text[at];
		at += mark ? 3 : 1;
	}
	cut->count = library->table->encode(library->model, text, size, cut->ids, MOST_IDS);
	if (cut->count > MOST_IDS)
		cut->count = MOST_IDS;
}

/* Do the pieces spell the text, all of them being of the plain kind?  Then their scores can be compared. */
static bool
spells(const Comparison *comparison, const Cut *cut, double *score)
{
	size_t		at = 0;

	*score = 0;
	for (int i = 0; i < cut->count; i++)
	{
		const Piece *piece = &comparison->builder->pieces[cut->ids[i]];

		if ((piece->flags & PIECE_ODD) != 0 || piece->size > comparison->size - at ||
			memcmp(comparison->text + at, piece->text, piece->size) != 0)
			return false;
		at += piece->size;
		*score += piece->score;
	}
	return at == comparison->size;
}

static void
describe(const Comparison *comparison, const Cut *cut, char *text, size_t size)
{
	text[0] = '\0';
	for (int i = 0; i < cut->count && strlen(text) + 100 < size; i++)
	{
		const Piece *piece = &comparison->builder->pieces[cut->ids[i]];

		snprintf(text + strlen(text), size - strlen(text), "%s%.*s", i > 0 ? " " : "",
				 piece->size < 60 ? (int) piece->size : 60, piece->text);
	}
}

/*
 * Known differences are let pass: ways of equal score; pieces that only one
 * of the two takes out of texts, or takes first (control symbols, user-defined
 * symbols, those with a comma behind a digit); a text that the library's own
 * normalizer changes.
 */
static bool
compare(Comparison *comparison)
{
	const Cut  *here = &comparison->here;
	const Cut  *there = &comparison->there;
	AlbertStatus *status = comparison->builder->status;
	double		score_here;
	double		score_there;
	char		pieces_here[220];
	char		pieces_there[220];

	if (comparison->size <= 3)
		return true;			/* nothing but the first mark */
	if (!cut_here(comparison, &comparison->here))
		return false;
	cut_there(comparison, &comparison->there);
	if (there->count == here->count && memcmp(there->ids, here->ids, here->count * sizeof(int32_t)) == 0)
		return true;
	for (int i = 0; i < there->count; i++)
		if (there->ids[i] < 0 || there->ids[i] >= comparison->builder->piece_count)
			return AlbertFail(status, ALBERT_FORMAT, "the sentencepiece library gives the id %d", there->ids[i]);
	if (there->count >= 0 && (!spells(comparison, here, &score_here) || !spells(comparison, there, &score_there) ||
							  fabs(score_here - score_there) <= TOLERANCE * (1 + fabs(score_here))))
		return true;
	AlbertFail(status, ALBERT_FORMAT, "spiece.model is cut otherwise than the sentencepiece library cuts it");
	describe(comparison, here, pieces_here, sizeof(pieces_here));
	describe(comparison, there, pieces_there, sizeof(pieces_there));
	return AlbertDetail(status, "Here \"%s\", by the library \"%s\".", pieces_here, pieces_there);
}

static void
start_text(Comparison *comparison)
{
	memcpy(comparison->text, WORD_MARK_UTF8, 3);
	comparison->size = 3;
}

/* Append a piece, if it is a plain one and there is room; marks do not follow marks. */
static void
append(Comparison *comparison, int32_t id)
{
	const Piece *piece = &comparison->builder->pieces[id];
	char	   *end = comparison->text + comparison->size;
	size_t		skip = is_mark(end - 3, 3) && is_mark(piece->text, piece->size) ? 3 : 0;

	if ((piece->flags & PIECE_ODD) != 0 || piece->size - skip > MOST_BYTES - 4 - comparison->size)
		return;
	memcpy(end, piece->text + skip, piece->size - skip);
	comparison->size += piece->size - skip;
}

static bool
compare_all(Comparison *comparison)
{
	uint32_t	count = (uint32_t) comparison->builder->piece_count;
	uint32_t	random = 1;

	for (uint32_t id = 0; id < count; id++)
	{
		start_text(comparison);
		append(comparison, (int32_t) id);
		if (!compare(comparison))
			return false;
	}
	for (int i = 0; i < TEXTS; i++)
	{
		start_text(comparison);
		for (int j = 0; j < 1 + i % 16; j++)
		{
			random = random * 1664525u + 1013904223u;
			append(comparison, (int32_t) ((random >> 8) % count));
		}
		if (!compare(comparison))
			return false;
	}
	return true;
}

bool
tok_spiece_compare(Builder *builder)
{
	Comparison *comparison = AlbertArenaAllocZero(builder->arena, sizeof(Comparison));
	double	   *scores = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(double));

	if (comparison == NULL || scores == NULL)
		return AlbertNoMemory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
		scores[id] = builder->pieces[id].score;
	comparison->builder = builder;
	tok_builder_probe(builder, &comparison->probe);
	comparison->probe.tables[SECTION_SCORES] = scores;
	return compare_all(comparison);
}
