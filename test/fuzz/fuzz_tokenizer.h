/*
 * fuzz_tokenizer.h
 *	  What the fuzzers of src/tokenizer share: compile a tokenizer, encode
 *	  texts with it, decode them again, and look whether what comes out can be.
 */
#ifndef ALBERT_FUZZ_TOKENIZER_H
#define ALBERT_FUZZ_TOKENIZER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/tokenizer.h"
#include "../malloc_arena.h"

#define FUZZ_POSITIONS	512

static inline void
fuzz_check_status(const AlbertStatus *status)
{
	if (status->code == ALBERT_OK || status->code == ALBERT_INTERNAL || status->message[0] == '\0')
		abort();				/* a refusal must say why */
}

/* Code points of well-formed UTF-8. */
static inline int32_t
fuzz_code_points(const AlbertText *text)
{
	int32_t		n = 0;

	for (size_t i = 0; i < text->size; i++)
		n += (text->data[i] & 0xc0) != 0x80;
	return n;
}

static inline void
fuzz_encode(const AlbertTokenizer *tokenizer, AlbertText text, AlbertText pair, AlbertEncodeOptions options)
{
	AlbertArena arena;
	AlbertTokens tokens;
	AlbertText	decoded;
	AlbertStatus status = {0};

	AlbertArenaInitMalloc(&arena);
	if (AlbertTokenizerEncode(tokenizer, &text, pair.data == NULL ? NULL : &pair, &options, &arena, &tokens, &status))
	{
		int32_t		longest = fuzz_code_points(&text);
		int32_t    *ids = malloc((tokens.n + 1) * sizeof(int32_t));
		AlbertText	piece;

		if (pair.data != NULL && fuzz_code_points(&pair) > longest)
			longest = fuzz_code_points(&pair);
		for (int i = 0; i < tokens.n; i++)
		{
			if (!AlbertTokenizerPiece(tokenizer, tokens.items[i].id, &piece, &status))
				abort();
			if (tokens.items[i].start < 0 || tokens.items[i].stop < tokens.items[i].start || tokens.items[i].stop > longest)
				abort();
			ids[i] = tokens.items[i].id;
		}
		for (int clean = 0; clean < 2; clean++)
		{
			if (AlbertTokenizerDecode(tokenizer, ids, tokens.n, clean == 0, clean == 1, &arena, &decoded, &status))
			{
				if (decoded.data[decoded.size] != '\0')
					abort();
			}
			else
				fuzz_check_status(&status);
		}
		free(ids);
	}
	else
		fuzz_check_status(&status);
	/* memory grows linearly with the text */
	if (arena.total > (size_t) 16 * 1024 * 1024 + 4096 * (text.size + pair.size))
		abort();
	AlbertArenaFree(&arena);
}

static inline void
fuzz_texts(const AlbertTokenizer *tokenizer, AlbertText text, AlbertText pair)
{
	AlbertText	none = {0};

	fuzz_encode(tokenizer, text, none, (AlbertEncodeOptions) {.special_tokens = true});
	fuzz_encode(tokenizer, text, pair, (AlbertEncodeOptions) {.truncation = ALBERT_TRUNCATE_LONGEST, .max_length = 8, .special_tokens = true});
	fuzz_encode(tokenizer, text, pair, (AlbertEncodeOptions) {.truncation = ALBERT_TRUNCATE_SECOND, .max_length = 5});
}

static inline void
fuzz_compile(const AlbertTokenizerFiles *files, AlbertText text, AlbertText pair)
{
	AlbertArena arena;
	AlbertBytes image;
	AlbertTokenizer tokenizer;
	AlbertStatus status = {0};

	AlbertArenaInitMalloc(&arena);
	if (AlbertTokenizerCompile(files, FUZZ_POSITIONS, &arena, &image, &status) &&
		AlbertTokenizerBind(image.data, image.size, &tokenizer, &status))
		fuzz_texts(&tokenizer, text, pair);
	else
		fuzz_check_status(&status);
	AlbertArenaFree(&arena);
}

/* Inputs of several files: this ends one. */
#define FUZZ_END	0x1e

static inline AlbertBytes
fuzz_next(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size == 0 ? NULL : memchr(*data, FUZZ_END, *size);
	AlbertBytes file = {.data = *data, .size = end == NULL ? *size : (size_t) (end - *data)};

	*data += file.size + (end != NULL);
	*size -= file.size + (end != NULL);
	if (file.size == 0)
		file.data = NULL;		/* no such file */
	return file;
}

/* The files that all kinds of tokenizers may have beside them. */
static inline void
fuzz_next_settings(AlbertTokenizerFiles *files, const uint8_t **data, size_t *size)
{
	files->tokenizer_config_json = fuzz_next(data, size);
	files->special_tokens_map_json = fuzz_next(data, size);
	files->added_tokens_json = fuzz_next(data, size);
}

#define FUZZ_TEXT(literal)	((AlbertText) {.data = (literal), .size = sizeof(literal) - 1})
#define FUZZ_SAMPLE	FUZZ_TEXT("The caf\xc3\xa9's [MASK] \xef\xbc\xa1\xe4\xb8\xad 3.14\xe2\x80\xa6 \xf0\x9f\x98\x80 unaffable<pad>")

/* What is left is a text for the files' tokenizer, or nothing. */
static inline void
fuzz_compile_rest(const AlbertTokenizerFiles *files, const uint8_t *data, size_t size)
{
	AlbertBytes text = fuzz_next(&data, &size);

	fuzz_compile(files, FUZZ_SAMPLE,
				 text.data == NULL ? FUZZ_TEXT("abc ab") : (AlbertText) {.data = text.data, .size = text.size});
}

#endif							/* ALBERT_FUZZ_TOKENIZER_H */
