/*
 * pipeline_normalize.c
 *	  The normalizers of a tokenizer.json, with each letter's alignment.
 *
 * A normalizer is, as in Hugging Face's tokenizers, a list of changes: a letter
 * with change 0 takes the place of the next old letter, with -n it does so and
 * the n old letters behind that go, with +1 it is new and shares the alignment
 * of the old letter before.  Several answers of theirs that look like mistakes
 * follow from this account, and so they do here.
 */
#include "tokenizer/internal.h"

#include <string.h>
#include <utf8proc.h>

typedef struct Change
{
	uint32_t	code;
	int32_t		change;
} Change;

typedef struct Changes
{
	Change	   *items;
	size_t		count;
	size_t		room;
	AlbertArena *arena;
	AlbertStatus *status;
} Changes;

bool
tok_fast_append(FastText *text, FastLetter letter, AlbertArena *arena, AlbertStatus *status)
{
	if (text->count == text->room)
	{
		size_t		room = text->room * 2 + 64;
		FastLetter *items = AlbertArenaArray(arena, room, sizeof(FastLetter));

		if (items == NULL)
			return tok_no_memory(status);
		if (text->count > 0)
			memcpy(items, text->items, text->count * sizeof(FastLetter));
		text->items = items;
		text->room = room;
	}
	text->items[text->count++] = letter;
	return true;
}

static bool
add_change(Changes *changes, uint32_t code, int32_t change)
{
	if (changes->count == changes->room)
	{
		size_t		room = changes->room * 2 + 64;
		Change	   *items = AlbertArenaArray(changes->arena, room, sizeof(Change));

		if (items == NULL)
			return tok_no_memory(changes->status);
		if (changes->count > 0)
			memcpy(items, changes->items, changes->count * sizeof(Change));
		changes->items = items;
		changes->room = room;
	}
	changes->items[changes->count++] = (Change) {code, change};
	return true;
}

/* Carry the changes out; the first removed letters of the old text are gone already. */
static bool
apply(FastText *text, const Changes *changes, size_t removed)
{
	FastText	fresh = {NULL, 0, 0, text->base};
	size_t		old = removed;

	for (size_t i = 0; i < changes->count; i++)
	{
		int32_t		change = changes->items[i].change;
		FastLetter	letter = {changes->items[i].code, text->base, text->base};
		size_t		from = change > 0 ? old - 1 : old;

		if (from < text->count)
		{
			letter.start = text->items[from].start;
			letter.stop = text->items[from].stop;
		}
		if (change <= 0)
			old += 1 + (size_t) -change;
		if (!tok_fast_append(&fresh, letter, changes->arena, changes->status))
			return false;
	}
	*text = fresh;
	return true;
}

/* ---- replacing ---- */

static size_t
match_length(const FastText *text, size_t at, const PipelineStep *step, const uint32_t *strings)
{
	size_t		length = 0;

	if (step->operation == STEP_REPLACE_SPACES)
	{
		while (at + length < text->count && text->items[at + length].code == ' ')
			length++;
		return length >= 2 ? length : 0;
	}
	if (step->first_count > text->count - at)
		return 0;
	for (; length < step->first_count; length++)
		if (text->items[at + length].code != strings[step->first + length])
			return 0;
	return length;
}

/* What replaces a match takes the alignment of the match's last letter. */
bool
tok_fast_replace(FastText *text, const PipelineStep *step, const uint32_t *strings, AlbertArena *arena,
				 AlbertStatus *status)
{
	FastText	fresh = {NULL, 0, 0, text->base};

	for (size_t at = 0; at < text->count;)
	{
		size_t		length = match_length(text, at, step, strings);
		FastLetter	letter = text->items[at + (length > 0 ? length - 1 : 0)];

		if (length == 0)
		{
			if (!tok_fast_append(&fresh, letter, arena, status))
				return false;
			at++;
			continue;
		}
		for (uint32_t i = 0; i < step->second_count; i++)
		{
			letter.code = strings[step->second + i];
			if (!tok_fast_append(&fresh, letter, arena, status))
				return false;
		}
		at += length;
	}
	*text = fresh;
	return true;
}

static bool
prepend(FastText *text, const PipelineStep *step, const uint32_t *strings, AlbertArena *arena, AlbertStatus *status)
{
	FastText	fresh = {NULL, 0, 0, text->base};

	if (text->count == 0)
		return true;
	for (uint32_t i = 0; i < step->first_count; i++)
	{
		FastLetter	letter = text->items[0];

		letter.code = strings[step->first + i];
		if (!tok_fast_append(&fresh, letter, arena, status))
			return false;
	}
	for (size_t i = 0; i < text->count; i++)
		if (!tok_fast_append(&fresh, text->items[i], arena, status))
			return false;
	*text = fresh;
	return true;
}

/* ---- Unicode forms ---- */

/* The canonical combining class, of marks that the library knows. */
static int
combining(uint32_t code)
{
	return tok_fast_is_mark(code) ? tok_python_combining(code) : 0;
}

/* Canonical order within the run of marks that ends here; equal classes keep theirs. */
static void
sink(Changes *changes)
{
	size_t		at = changes->count - 1;
	Change		last = changes->items[at];
	int			class = combining(last.code);

	while (class != 0 && at > 0 && combining(changes->items[at - 1].code) > class)
	{
		changes->items[at] = changes->items[at - 1];
		at--;
	}
	changes->items[at] = last;
}

static bool
decompose(FastText *text, bool compatible, Changes *changes)
{
	for (size_t i = 0; i < text->count; i++)
	{
		uint32_t	parts[18];
		int			n = tok_fast_decompose(text->items[i].code, compatible, parts);

		for (int j = 0; j < n; j++)
		{
			if (!add_change(changes, parts[j], j > 0))
				return false;
			sink(changes);
		}
	}
	return apply(text, changes, 0);
}

/* ---- filters ---- */

static bool
not_mark(uint32_t code)
{
	return !tok_fast_is_mark(code);
}

static bool
not_accent(uint32_t code)
{
	return !tok_fast_is_nonspacing(code);
}

static bool
not_control(uint32_t code)
{
	return !tok_fast_is_control(code);
}

/* Letters that stay keep their alignments. */
static void
filter(FastText *text, bool (*keep) (uint32_t code))
{
	size_t		n = 0;

	for (size_t i = 0; i < text->count; i++)
		if (keep(text->items[i].code))
			text->items[n++] = text->items[i];
	text->count = n;
}

static void
strip(FastText *text, bool left, bool right)
{
	size_t		first = 0;

	while (right && text->count > 0 && tok_fast_is_space(text->items[text->count - 1].code))
		text->count--;
	while (left && first < text->count && tok_fast_is_space(text->items[first].code))
		first++;
	text->items += first;
	text->count -= first;
	text->room -= first;
}

static bool
lower(FastText *text, Changes *changes)
{
	for (size_t i = 0; i < text->count; i++)
	{
		uint32_t	parts[2];
		int			n = tok_fast_lower(text->items[i].code, parts);

		for (int j = 0; j < n; j++)
			if (!add_change(changes, parts[j], j > 0))
				return false;
	}
	return apply(text, changes, 0);
}

/* ---- the character map ---- */

/* One part's replacement: new letters beyond the old number are inserted, missing ones removed with the last. */
static bool
replace_part(Changes *changes, size_t old_count, const char *replacement)
{
	size_t		size = strlen(replacement);
	size_t		count = tok_utf8_count(replacement, size);

	for (size_t at = 0, i = 0; at < size; i++)
	{
		uint32_t	code;

		if (tok_utf8_valid(replacement + at, size - at) == 0)
			break;
		at += tok_utf8_decode(replacement + at, &code);
		if (!add_change(changes, code, i >= old_count))
			return false;
	}
	if (count < old_count && changes->count > 0)
		changes->items[changes->count - 1].change -= (int32_t) (old_count - count);
	return true;
}

/* A grapheme of less than six bytes goes as a whole, when its beginning has an entry; else each letter for itself. */
static bool
map_grapheme(const AlbertTokenizer *tokenizer, const FastText *text, size_t from, size_t to, Changes *changes,
			 bool *modified)
{
	unsigned char bytes[6 * 4];
	const char *replacement;
	size_t		size = 0;

	for (size_t i = from; i < to && size < 6; i++)
		size += tok_utf8_encode(text->items[i].code, bytes + size);
	if (size < 6 && tok_charsmap_shortest(tokenizer, bytes, size, &replacement))
	{
		*modified = true;
		return replace_part(changes, to - from, replacement);
	}
	for (size_t i = from; i < to; i++)
	{
		size = tok_utf8_encode(text->items[i].code, bytes);
		if (tok_charsmap_shortest(tokenizer, bytes, size, &replacement))
		{
			*modified = true;
			if (!replace_part(changes, 1, replacement))
				return false;
		}
		else if (!add_change(changes, text->items[i].code, 0))
			return false;
	}
	return true;
}

static bool
map_characters(const AlbertTokenizer *tokenizer, FastText *text, Changes *changes)
{
	bool		modified = false;
	size_t		from = 0;

	while (from < text->count)
	{
		utf8proc_int32_t state = 0;
		size_t		to = from + 1;

		while (to < text->count &&
			   !utf8proc_grapheme_break_stateful(text->items[to - 1].code, text->items[to].code, &state))
			to++;
		if (!map_grapheme(tokenizer, text, from, to, changes, &modified))
			return false;
		from = to;
	}
	return !modified || apply(text, changes, 0);
}

/* ---- BERT's ---- */

static bool
is_ideograph(uint32_t code)
{
	return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
		(code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B81F) ||
		(code >= 0x2B920 && code <= 0x2CEAF) || (code >= 0xF900 && code <= 0xFAFF) ||
		(code >= 0x2F800 && code <= 0x2FA1F);
}

static bool
set_ideographs_apart(FastText *text, Changes *changes)
{
	for (size_t i = 0; i < text->count; i++)
	{
		uint32_t	code = text->items[i].code;
		bool		apart = is_ideograph(code);

		if ((apart && !add_change(changes, ' ', 0)) || !add_change(changes, code, apart) ||
			(apart && !add_change(changes, ' ', 1)))
			return false;
	}
	return apply(text, changes, 0);
}

static void
plain_spaces(FastText *text)
{
	for (size_t i = 0; i < text->count; i++)
		if (tok_fast_is_space(text->items[i].code))
			text->items[i].code = ' ';
}

static bool
run_step(const AlbertTokenizer *tokenizer, const PipelineStep *step, FastText *text, Changes *changes)
{
	const uint32_t *strings = TABLE(tokenizer, SECTION_STEP_CODES, uint32_t);

	switch (step->operation)
	{
		case STEP_REPLACE:
		case STEP_REPLACE_SPACES:
			return tok_fast_replace(text, step, strings, changes->arena, changes->status);
		case STEP_PREPEND:
			return prepend(text, step, strings, changes->arena, changes->status);
		case STEP_NFD:
		case STEP_NFKD:
			return decompose(text, step->operation == STEP_NFKD, changes);
		case STEP_STRIP_MARKS:
			filter(text, not_mark);
			return true;
		case STEP_LOWER:
			return lower(text, changes);
		case STEP_STRIP_LEFT:
		case STEP_STRIP_RIGHT:
			strip(text, step->operation == STEP_STRIP_LEFT, step->operation == STEP_STRIP_RIGHT);
			return true;
		case STEP_CHARSMAP:
			return map_characters(tokenizer, text, changes);
		case STEP_BERT_CLEAN:
			filter(text, not_control);
			plain_spaces(text);
			return true;
		case STEP_BERT_IDEOGRAPHS:
			return set_ideographs_apart(text, changes);
		case STEP_BERT_ACCENTS:
			if (!decompose(text, false, changes))
				return false;
			filter(text, not_accent);
			return true;
		default:
			return AlbertFail(changes->status, ALBERT_INTERNAL, "unknown normalizer");
	}
}

bool
tok_fast_normalize(const AlbertTokenizer *tokenizer, FastText *text, AlbertArena *arena, AlbertStatus *status)
{
	const PipelineStep *steps = TABLE(tokenizer, SECTION_STEPS, PipelineStep);

	for (int32_t i = 0; i < HEADER(tokenizer)->normalizer_count; i++)
	{
		Changes		changes = {NULL, 0, 0, arena, status};

		if (!run_step(tokenizer, &steps[i], text, &changes))
			return false;
	}
	return true;
}
