/*
 * tokenizer_helpers.h
 *	  What the tests of src/tokenizer share: compiling from files or bytes,
 *	  encoding, reading the reference's records, and writing small
 *	  spiece.model files.
 */
#ifndef ALBERT_TOKENIZER_HELPERS_H
#define ALBERT_TOKENIZER_HELPERS_H

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "tokenizer/tokenizer.h"
#include "../malloc_arena.h"
#include "unit.h"

/* ---- files and directories ---- */

typedef struct Files
{
	AlbertTokenizerFiles files;
	void	   *contents[6];
} Files;

static inline void *
read_file(const char *directory, const char *name, size_t *size)
{
	char		path[2048];
	FILE	   *file;
	char	   *data = NULL;
	size_t		room = 0;
	size_t		n = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (file == NULL)
		return NULL;
	do
	{
		room = room * 2 + 65536;
		data = realloc(data, room);
		n += fread(data + n, 1, room - n, file);
	} while (n == room);
	fclose(file);
	*size = n;
	return data;
}

static inline void
read_tokenizer_files(const char *directory, Files *files)
{
	static const char *const names[6] = {"spiece.model", "vocab.txt", "tokenizer.json", "tokenizer_config.json",
	"special_tokens_map.json", "added_tokens.json"};
	AlbertBytes *bytes[6] = {&files->files.spiece_model, &files->files.vocab_txt, &files->files.tokenizer_json,
		&files->files.tokenizer_config_json, &files->files.special_tokens_map_json, &files->files.added_tokens_json};

	memset(files, 0, sizeof(*files));
	for (int i = 0; i < 6; i++)
	{
		size_t		size = 0;

		files->contents[i] = read_file(directory, names[i], &size);
		bytes[i]->data = files->contents[i];
		bytes[i]->size = size;
	}
}

static inline void
free_tokenizer_files(Files *files)
{
	for (int i = 0; i < 6; i++)
		free(files->contents[i]);
}

/* ---- tokenizers ---- */

typedef struct Subject
{
	AlbertArena image_arena;
	AlbertArena arena;
	AlbertBytes image;
	AlbertTokenizer tokenizer;
	AlbertStatus status;
	AlbertTokens tokens;
} Subject;

static inline bool
subject_open(Subject *subject, const AlbertTokenizerFiles *files, int max_positions)
{
	memset(subject, 0, sizeof(*subject));
	AlbertArenaInitMalloc(&subject->image_arena);
	AlbertArenaInitMalloc(&subject->arena);
	return AlbertTokenizerCompile(files, max_positions, &subject->image_arena, &subject->image, &subject->status) &&
		AlbertTokenizerBind(subject->image.data, subject->image.size, &subject->tokenizer, &subject->status);
}

static inline void
subject_close(Subject *subject)
{
	AlbertArenaFree(&subject->image_arena);
	AlbertArenaFree(&subject->arena);
}

/* text and pair are NUL-terminated, an empty pair is none, as where transformers encodes one; special tokens always. */
static inline bool
subject_encode(Subject *subject, const char *text, const char *pair, AlbertTruncation truncation, int max_length)
{
	AlbertEncodeOptions options = {.truncation = truncation,.max_length = max_length,.special_tokens = true};
	AlbertText	first = {text, strlen(text)};
	AlbertText	second = {pair == NULL || *pair == '\0' ? NULL : pair, pair == NULL ? 0 : strlen(pair)};

	AlbertArenaReset(&subject->arena);
	return AlbertTokenizerEncode(&subject->tokenizer, &first, &second, &options, &subject->arena,
								 &subject->tokens, &subject->status);
}

/* ---- records ---- */

/* Call visit with every object of a file of JSON lines; how many there were, -1: no such file. */
static inline int
for_each_record(const char *directory, const char *name, void (*visit) (json_t *record, void *context), void *context)
{
	size_t		size = 0;
	char	   *data = read_file(directory, name, &size);
	char	   *line = data;
	int			n = 0;

	if (data == NULL)
		return -1;
	while (line < data + size)
	{
		char	   *end = memchr(line, '\n', data + size - line);
		size_t		length = end == NULL ? (size_t) (data + size - line) : (size_t) (end - line);
		json_t	   *record = length == 0 ? NULL : json_loadb(line, length, JSON_ALLOW_NUL, NULL);

		if (record != NULL)
		{
			visit(record, context);
			n++;
		}
		else if (length > 0)
			CHECK(false, "%s: a line is not JSON", name);
		json_decref(record);
		line += length + 1;
	}
	free(data);
	return n;
}

static inline const char *
record_string(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

static inline bool
same_ids(const json_t *expected, const AlbertToken *tokens, int n)
{
	if (!json_is_array(expected) || (int) json_array_size(expected) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (json_integer_value(json_array_get(expected, i)) != tokens[i].id)
			return false;
	return true;
}

static inline bool
same_types(const json_t *expected, const AlbertToken *tokens, int n)
{
	if (!json_is_array(expected) || (int) json_array_size(expected) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (json_integer_value(json_array_get(expected, i)) != tokens[i].type)
			return false;
	return true;
}

static inline bool
same_offsets(const json_t *expected, const AlbertToken *tokens, int n)
{
	if (!json_is_array(expected) || (int) json_array_size(expected) != n)
		return false;
	for (int i = 0; i < n; i++)
	{
		const json_t *pair = json_array_get(expected, i);

		if (json_integer_value(json_array_get(pair, 0)) != tokens[i].start ||
			json_integer_value(json_array_get(pair, 1)) != tokens[i].stop)
			return false;
	}
	return true;
}

/* ---- protocol buffers, for small models of the tests' own ---- */

typedef struct Buffer
{
	unsigned char data[1 << 16];
	size_t		size;
} Buffer;

static inline void
put_varint(Buffer *buffer, uint64_t value)
{
	while (value >= 0x80)
	{
		buffer->data[buffer->size++] = 0x80 | (value & 0x7F);
		value >>= 7;
	}
	buffer->data[buffer->size++] = value;
}

static inline void
put_bytes(Buffer *buffer, int field, const void *data, size_t size)
{
	put_varint(buffer, field << 3 | 2);
	put_varint(buffer, size);
	memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

static inline void
put_number(Buffer *buffer, int field, uint64_t value)
{
	put_varint(buffer, field << 3);
	put_varint(buffer, value);
}

static inline void
put_piece(Buffer *model, const char *text, float score, int type)
{
	Buffer		piece = {.size = 0};

	put_bytes(&piece, 1, text, strlen(text));
	put_varint(&piece, 2 << 3 | 5);
	memcpy(piece.data + piece.size, &score, 4);
	piece.size += 4;
	if (type != 1)
		put_number(&piece, 3, type);
	put_bytes(model, 1, piece.data, piece.size);
}

/* ALBERT's first pieces, the letters, digits, some words. */
static inline void
put_pieces(Buffer *model)
{
	static const char *const symbols[] = {"(", ")", "\"", "-", "."};
	static const char *const words[] = {"\xe2\x96\x81the", "\xe2\x96\x81""capital", "\xe2\x96\x81of", "\xe2\x96\x81""delhi",
		"cap", "ital", "ing", "\xe2\x96\x81""2010", "\xe2\x96\x81""2010,", "10", "20", "\xe2\x96\x81""is"};

	put_piece(model, "<pad>", 0, 3);
	put_piece(model, "<unk>", 0, 2);
	put_piece(model, "[CLS]", 0, 3);
	put_piece(model, "[SEP]", 0, 3);
	put_piece(model, "[MASK]", 0, 3);
	for (int i = 0; i < 5; i++)
		put_piece(model, symbols[i], 0, 4);
	put_piece(model, "\xe2\x96\x81", -2, 1);
	for (int i = 0; i < 12; i++)
		put_piece(model, words[i], -4 - 0.25f * i, 1);
	for (char c = 'a'; c <= 'z'; c++)
		put_piece(model, (char[]) {c, 0}, -8 - 0.01f * (c - 'a'), 1);
	for (char c = '0'; c <= '9'; c++)
		put_piece(model, (char[]) {c, 0}, -9, 1);
	put_piece(model, ",", -7, 1);
}

static inline void
put_trainer(Buffer *model, int field, int value)
{
	Buffer		trainer = {.size = 0};

	put_number(&trainer, field, value);
	put_bytes(model, 2, trainer.data, trainer.size);
}

static inline bool
open_model(Subject *subject, const Buffer *model, const char *config)
{
	AlbertTokenizerFiles files = {.spiece_model = {model->data, model->size}};

	if (config != NULL)
		files.tokenizer_config_json = (AlbertBytes) {config, strlen(config)};
	return subject_open(subject, &files, 512);
}

#endif							/* ALBERT_TOKENIZER_HELPERS_H */
