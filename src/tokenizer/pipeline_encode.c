/*
 * pipeline_encode.c
 *	  A text to tokens as the pipeline of a tokenizer.json does it: added tokens
 *	  as written, normalizers, added tokens in normalized form, pre-tokenizers,
 *	  the model.
 */
#include "tokenizer/internal.h"

#include <string.h>
#include <utf8proc.h>

/* What pre-tokenizers work on: letters, and where the words in them are. */
typedef struct Words
{
	FastText	text;
	size_t	   *stops;			/* words follow one another, from letter 0 on */
	bool	   *dropped;		/* not a word, but what was between words */
	size_t		count;
	size_t		room;
} Words;

static bool
add_word(EncodeContext *context, Words *words, size_t stop, bool dropped)
{
	size_t		start = words->count == 0 ? 0 : words->stops[words->count - 1];

	if (start == stop)
		return true;
	if (words->count == words->room)
	{
		size_t		room = words->room * 2 + 64;
		size_t	   *stops = AlbertArenaArray(context->arena, room, sizeof(size_t));
		bool	   *flags = AlbertArenaArray(context->arena, room, sizeof(bool));

		if (stops == NULL || flags == NULL)
			return tok_no_memory(context->status);
		if (words->count > 0)
		{
			memcpy(stops, words->stops, words->count * sizeof(size_t));
			memcpy(flags, words->dropped, words->count * sizeof(bool));
		}
		words->stops = stops;
		words->dropped = flags;
		words->room = room;
	}
	words->stops[words->count] = stop;
	words->dropped[words->count++] = dropped;
	return true;
}

/* Copy letters [from, to) behind the words' own. */
static bool
copy_letters(EncodeContext *context, const FastText *text, size_t from, size_t to, Words *words)
{
	for (size_t i = from; i < to; i++)
		if (!tok_fast_append(&words->text, text->items[i], context->arena, context->status))
			return false;
	return true;
}

/* Does the letter end the word before it, begin one, and is it dropped? */
static bool
split_word(EncodeContext *context, int32_t operation, const FastText *text, size_t from, size_t to, Words *out)
{
	for (size_t i = from; i < to; i++)
	{
		uint32_t	code = text->items[i].code;
		bool		space = operation == STEP_SPLIT_SPACES && tok_fast_is_space(code);
		bool		alone = space || (operation == STEP_SPLIT_PUNCTUATION && tok_fast_is_punctuation(code));
		bool		begins = alone || (operation == STEP_SPLIT_MARKS && code == WORD_MARK_CODE);

		if (begins && !add_word(context, out, out->text.count, false))
			return false;
		if (!tok_fast_append(&out->text, text->items[i], context->arena, context->status))
			return false;
		if (alone && !add_word(context, out, out->text.count, space))
			return false;
	}
	return add_word(context, out, out->text.count, false);
}

/* Spaces become word marks, and a word gets one at its start if it has none. */
static bool
mark_word(EncodeContext *context, int32_t operation, const FastText *text, size_t from, size_t to, Words *out)
{
	FastLetter	first = text->items[from];
	bool		marked = first.code == WORD_MARK_CODE || first.code == ' ';
	bool		wanted = operation == STEP_METASPACE_ALWAYS ||
		(operation == STEP_METASPACE_FIRST && first.start == 0);

	first.code = WORD_MARK_CODE;
	if (wanted && !marked && !tok_fast_append(&out->text, first, context->arena, context->status))
		return false;
	for (size_t i = from; i < to; i++)
	{
		FastLetter	letter = text->items[i];

		if (letter.code == ' ')
			letter.code = WORD_MARK_CODE;
		if (!tok_fast_append(&out->text, letter, context->arena, context->status))
			return false;
	}
	return add_word(context, out, out->text.count, false);
}

static bool
run_step(EncodeContext *context, int32_t operation, Words *words)
{
	Words		out = {{NULL, 0, 0, words->text.base}, NULL, NULL, 0, 0};
	size_t		from = 0;

	for (size_t i = 0; i < words->count; i++)
	{
		size_t		to = words->stops[i];
		bool		good;

		if (words->dropped[i])
			good = copy_letters(context, &words->text, from, to, &out) && add_word(context, &out, out.text.count, true);
		else if (operation == STEP_SPLIT_SPACES || operation == STEP_SPLIT_PUNCTUATION || operation == STEP_SPLIT_MARKS)
			good = split_word(context, operation, &words->text, from, to, &out);
		else
			good = mark_word(context, operation, &words->text, from, to, &out);
		if (!good)
			return false;
		from = to;
	}
	*words = out;
	return true;
}

/* ---- the model ---- */

/* A word in bytes, with the letter of each. */
typedef struct Word
{
	unsigned char *text;
	int32_t    *start;
	int32_t    *stop;
	size_t		size;
} Word;

static bool
write_word(EncodeContext *context, const FastLetter *letters, size_t count, Word *word)
{
	bool		marks = context->header->model == MODEL_UNIGRAM;

	word->text = AlbertArenaArray(context->arena, count, 4);
	word->start = AlbertArenaArray(context->arena, count, 4 * sizeof(int32_t));
	word->stop = AlbertArenaArray(context->arena, count, 4 * sizeof(int32_t));
	if (word->text == NULL || word->start == NULL || word->stop == NULL)
		return tok_no_memory(context->status);
	word->size = 0;
	for (size_t i = 0; i < count; i++)
	{
		size_t		length = 1;

		if (marks && letters[i].code == WORD_MARK_CODE)
			word->text[word->size] = WORD_MARK;
		else
			length = tok_utf8_encode(letters[i].code, word->text + word->size);
		for (size_t j = 0; j < length; j++)
		{
			word->start[word->size] = letters[i].start;
			word->stop[word->size++] = letters[i].stop;
		}
	}
	return true;
}

/* Runs of unknown characters are one token. */
static bool
unigram_word(EncodeContext *context, const Word *word)
{
	int32_t		unknown = context->header->model_unk_id;
	Segment    *segments;
	size_t		count;
	size_t		first = 0;

	if (!tok_unigram(context->tokenizer, word->text, word->size, context->arena, &segments, &count, context->status))
		return false;
	for (size_t i = 0; i < count; i++)
	{
		int32_t		id = segments[i].id;
		size_t		stop;

		while (id == unknown && i + 1 < count && segments[i + 1].id == id)
			i++;
		stop = segments[i].stop;
		tok_add(context, id, word->start[first], word->stop[stop - 1]);
		first = stop;
	}
	return true;
}

static bool
encode_word(EncodeContext *context, const FastLetter *letters, size_t count)
{
	AlbertArenaMark mark;
	Word		word = {NULL, NULL, NULL, 0};
	bool		good;

	/* room for all tokens before the mark, so that the rest can be given back */
	if (!tok_reserve(context, count * 4))
		return false;
	mark = AlbertArenaGetMark(context->arena);
	good = write_word(context, letters, count, &word);
	if (good && context->header->model == MODEL_UNIGRAM)
		good = unigram_word(context, &word);
	else if (good)
		good = tok_wordpiece(context, word.text, word.size, word.start, word.stop);
	AlbertArenaRewind(context->arena, mark);
	return good;
}

/* ---- fragments ---- */

static bool
encode_normalized(EncodeContext *context, const FastText *text, size_t from, size_t to)
{
	const PipelineStep *steps = TABLE(context->tokenizer, SECTION_STEPS, PipelineStep);
	size_t		step_count = SECTION_ITEMS(context->header, SECTION_STEPS, PipelineStep);
	Words		words = {{NULL, 0, 0, text->base}, NULL, NULL, 0, 0};
	size_t		start = 0;

	if (!copy_letters(context, text, from, to, &words) || !add_word(context, &words, words.text.count, false))
		return false;
	for (size_t i = context->header->normalizer_count; i < step_count; i++)
		if (!run_step(context, steps[i].operation, &words))
			return false;
	for (size_t i = 0; i < words.count; i++)
	{
		if (!words.dropped[i] && !encode_word(context, words.text.items + start, words.stops[i] - start))
			return false;
		start = words.stops[i];
	}
	return true;
}

static bool encode_raw(EncodeContext *context, const FastText *text, size_t from, size_t to);

/* \w of a regular expression: letters, marks, digits, connectors and joiners. */
static bool
is_word_character(uint32_t code)
{
	utf8proc_category_t category = utf8proc_category(code);

	return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
		category == UTF8PROC_CATEGORY_PC || code == 0x200C || code == 0x200D;
}

static bool
stands_alone(const AddedToken *token, const uint32_t *codes, size_t count, size_t start, size_t stop)
{
	return (token->flags & ADDED_SINGLE_WORD) == 0 ||
		((start == 0 || !is_word_character(codes[start - 1])) && (stop == count || !is_word_character(codes[stop])));
}

/*
 * Take the added tokens out of letters; raw: those that are matched as
 * written, else those that are matched after normalization.
 */
static bool
encode_with_added(EncodeContext *context, const FastText *text, bool raw)
{
	bool		(*encode) (EncodeContext *, const FastText *, size_t, size_t) = raw ? encode_raw : encode_normalized;
	uint32_t   *codes = AlbertArenaArray(context->arena, text->count, sizeof(uint32_t));
	size_t		count = text->count;
	size_t		fragment = 0;

	if (codes == NULL)
		return tok_no_memory(context->status);
	for (size_t i = 0; i < count; i++)
		codes[i] = text->items[i].code;
	for (size_t at = 0; at < count;)
	{
		const AddedToken *token = tok_added_longest(context->tokenizer, codes, count, at,
													raw ? ADDED_NORMALIZED : 0, raw ? 0 : ADDED_NORMALIZED);
		size_t		start = at;
		size_t		stop;

		if (token == NULL)
		{
			at++;
			continue;
		}
		stop = at += token->code_count;
		if (!stands_alone(token, codes, count, start, stop))
			continue;
		while ((token->flags & ADDED_LSTRIP) && start > fragment && tok_fast_is_space(codes[start - 1]))
			start--;
		while ((token->flags & ADDED_RSTRIP) && stop < count && tok_fast_is_space(codes[stop]))
			stop++;
		if ((fragment < start && !encode(context, text, fragment, start)) || !tok_reserve(context, 1))
			return false;
		tok_add(context, token->id, text->items[start].start, text->items[stop - 1].stop);
		fragment = stop;
		at = stop > at ? stop : at;
	}
	return fragment == count || encode(context, text, fragment, count);
}

static bool
encode_raw(EncodeContext *context, const FastText *text, size_t from, size_t to)
{
	Words		words = {{NULL, 0, 0, text->items[from].start}, NULL, NULL, 0, 0};

	return copy_letters(context, text, from, to, &words) &&
		tok_fast_normalize(context->tokenizer, &words.text, context->arena, context->status) &&
		encode_with_added(context, &words.text, false);
}

bool
tok_pipeline_encode(EncodeContext *context, const AlbertText *text)
{
	size_t		count;
	FastText	letters = {NULL, 0, 0, 0};

	if (!tok_check_text(text, context->status))
		return false;
	count = tok_utf8_count(text->data, text->size);
	letters.items = AlbertArenaArray(context->arena, count, sizeof(FastLetter));
	if (letters.items == NULL)
		return tok_no_memory(context->status);
	letters.room = count;
	for (size_t at = 0; at < text->size;)
	{
		FastLetter *letter = &letters.items[letters.count];

		at += tok_utf8_decode(text->data + at, &letter->code);
		letter->start = (int32_t) letters.count;
		letter->stop = (int32_t) ++letters.count;
	}
	return encode_with_added(context, &letters, true);
}
