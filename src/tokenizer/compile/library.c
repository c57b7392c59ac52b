/*
 * library.c
 *	  Opening the sentencepiece library's module, and comparing what was
 *	  compiled with what the library does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE				/* for dladdr */
#endif

#include "tokenizer/compile/compile.h"

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
	if (*table != NULL)
		return true;
	AlbertFail(status, ALBERT_UNSUPPORTED,
			   "could not load the sentencepiece library, which a spiece.model is read with");
	if (module != NULL)
		AlbertDetail(status, "\"%s\" is of another version.", path);
	else
		AlbertDetail(status, "%s.", dlerror());
	return AlbertHint(status, "Install the library (package libsentencepiece0 on Debian and Ubuntu), "
					  "or add a tokenizer.json to the model's directory.");
}

bool
tok_spiece_open(Builder *builder, const AlbertTokenizerFiles *files)
{
	const AlbertBytes *file = &files->spiece_model;
	char		problem[256] = "";
	char		path[4096];

	path_beside(path, sizeof(path));
	if (!open_module(files->sentencepiece != NULL ? files->sentencepiece : path, &builder->library, builder->status))
		return false;
	builder->spiece = builder->library->open(file->data, file->size, problem, sizeof(problem));
	if (builder->spiece != NULL)
		return true;
	tok_malformed(builder, "");
	return AlbertDetail(builder->status, "The sentencepiece library refuses it: %s", problem);
}

/* ---- comparing ---- */

#define MOST_BYTES		512		/* of a text to compare */
#define TEXTS			500		/* of several pieces, besides each by itself */
#define TOLERANCE		1e-5	/* of a sum of scores: the library sums in float32 */

typedef struct Cut
{
	int32_t		ids[MOST_BYTES];
	int			count;
} Cut;

typedef struct Comparison
{
	Builder    *builder;
	char		text[MOST_BYTES];	/* begins with a space: here as there, spaces become word marks */
	size_t		size;
} Comparison;

/* The next byte of a text that has the piece in it. */
static char
next_byte(const Piece *piece, size_t *at)
{
	unsigned char byte = tok_trie_byte(piece->text, piece->size, true, at);

	return byte == WORD_MARK ? ' ' : (char) byte;
}

/* Do the pieces spell the text, all of them being of the plain kind?  Then their scores can be compared. */
static bool
spells(const Comparison *comparison, const Cut *cut, double *score)
{
	size_t		size = 0;

	*score = 0;
	for (int i = 0; i < cut->count; i++)
	{
		const Piece *piece = &comparison->builder->pieces[cut->ids[i]];

		if ((piece->flags & PIECE_ODD) != 0)
			return false;
		for (size_t at = 0; at < piece->size; size++)
			if (size == comparison->size || comparison->text[size] != next_byte(piece, &at))
				return false;
		*score += piece->score;
	}
	return size == comparison->size;
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
 * symbols, those with a comma behind a digit); a text that the steps here or
 * the library's own normalizer change.
 */
static bool
compare_cuts(const Comparison *comparison, const Cut *here, const Cut *there)
{
	AlbertStatus *status = comparison->builder->status;
	double		score_here;
	double		score_there;
	char		pieces_here[220];
	char		pieces_there[220];

	if (there->count == here->count && memcmp(there->ids, here->ids, here->count * sizeof(int32_t)) == 0)
		return true;
	if (there->count >= 0 && (!spells(comparison, here, &score_here) || !spells(comparison, there, &score_there) ||
							  fabs(score_here - score_there) <= TOLERANCE * (1 + fabs(score_here))))
		return true;
	AlbertFail(status, ALBERT_FORMAT, "spiece.model is cut otherwise than the sentencepiece library cuts it");
	describe(comparison, here, pieces_here, sizeof(pieces_here));
	describe(comparison, there, pieces_there, sizeof(pieces_there));
	return AlbertDetail(status, "Here \"%s\", by the library \"%s\".", pieces_here, pieces_there);
}

static bool
compare(const Comparison *comparison)
{
	Builder    *builder = comparison->builder;
	AlbertArenaMark mark = AlbertArenaGetMark(builder->arena);
	AlbertEncodeOptions options = {.truncation = ALBERT_TRUNCATE_NONE};
	AlbertText	text = {comparison->text, comparison->size};
	AlbertTokens tokens;
	Cut			here;
	Cut			there;

	if (text.size == 1)
		return true;			/* nothing but the first mark */
	if (!AlbertTokenizerEncode(&builder->tokenizer, &text, NULL, &options, builder->arena, &tokens, builder->status))
		return false;
	for (here.count = 0; here.count < tokens.n && here.count < MOST_BYTES; here.count++)
		here.ids[here.count] = tokens.items[here.count].id;
	there.count = builder->library->encode(builder->spiece, text.data, text.size, there.ids, MOST_BYTES);
	if (there.count > MOST_BYTES)
		there.count = MOST_BYTES;
	if (!compare_cuts(comparison, &here, &there))
		return false;
	AlbertArenaRewind(builder->arena, mark);
	return true;
}

/* Append a piece, if it is a plain one and there is room; marks do not follow marks. */
static void
append(Comparison *comparison, int32_t id)
{
	const Piece *piece = &comparison->builder->pieces[id];

	if ((piece->flags & PIECE_ODD) != 0 || piece->size > MOST_BYTES - comparison->size)
		return;
	for (size_t at = 0; at < piece->size;)
	{
		char		byte = next_byte(piece, &at);

		if (byte != ' ' || comparison->text[comparison->size - 1] != ' ')
			comparison->text[comparison->size++] = byte;
	}
}

bool
tok_spiece_compare(Builder *builder)
{
	Comparison	comparison = {.builder = builder};
	int32_t		count = builder->piece_count;
	uint32_t	random = 1;

	comparison.text[0] = ' ';
	for (int32_t i = 0; i < count + TEXTS; i++)
	{
		comparison.size = 1;
		if (i < count)
			append(&comparison, i);
		for (int j = 0; i >= count && j <= (i - count) % 16; j++)
		{
			random = random * 1664525u + 1013904223u;
			append(&comparison, (int32_t) ((random >> 8) % (uint32_t) count));
		}
		if (!compare(&comparison))
			return false;
	}
	return true;
}
