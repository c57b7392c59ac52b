/*
 * tokenizer_files.c
 *	  The tokenizer's files of a model directory, and what is compiled of them.
 */
#include "formats/internal.h"

#define PLACE(field)	offsetof(AlbertTokenizerFiles, field)

static const struct
{
	const char *name;
	size_t		place;
	bool		vocabulary;		/* one of these is needed */
}			files[NTOKENIZER_FILES] =
{
	{"spiece.model", PLACE(spiece_model), true},
	{"30k-clean.model", PLACE(spiece_model), true}, /* its name in the original release, if there is no other */
	{"vocab.txt", PLACE(vocab_txt), true},
	{"tokenizer.json", PLACE(tokenizer_json), true},
	{"tokenizer_config.json", PLACE(tokenizer_config_json), false},
	{"special_tokens_map.json", PLACE(special_tokens_map_json), false},
	{"added_tokens.json", PLACE(added_tokens_json), false},
	{"albert.json", PLACE(albert_json), false}
};

bool
AlbertSourceOpenTokenizer(AlbertSource *source, const char *base, AlbertStatus *status)
{
	bool		has_vocabulary = false;

	for (int i = 0; i < NTOKENIZER_FILES; i++)
	{
		const AlbertSourceFile **file = &source->tokenizer_files[i];

		if ((i > 0 && file[-1] != NULL && files[i].place == files[i - 1].place) ||
			!AlbertFileExists(source, base, files[i].name))
			continue;
		if (!AlbertFileOpen(source, base, files[i].name, file, status))
			return false;
		has_vocabulary = has_vocabulary || files[i].vocabulary;
	}
	if (has_vocabulary)
		return true;
	AlbertFail(status, ALBERT_NOT_FOUND, "model directory contains no tokenizer");
	return AlbertHint(status, "One of spiece.model, vocab.txt or tokenizer.json is needed.");
}

bool
AlbertSourceFileIsTokenizer(const AlbertSource *source, const AlbertSourceFile *file)
{
	for (int i = 0; i < NTOKENIZER_FILES; i++)
		if (source->tokenizer_files[i] == file)
			return true;
	return false;
}

static bool
check_vocabulary(const AlbertSource *source, AlbertStatus *status)
{
	int			vocab_size = source->config.vocab_size;
	AlbertTokenizer tokenizer;

	if (!AlbertTokenizerBind(source->tokenizer.data, source->tokenizer.size, &tokenizer, status))
		return false;
	if (tokenizer.vocab_size <= vocab_size)
		return true;
	/* a token for padding, which no text needs, may have been added without an embedding */
	if (tokenizer.vocab_size == vocab_size + 1 && tokenizer.pad_id == vocab_size)
		return true;
	AlbertFail(status, ALBERT_FORMAT, "the tokenizer has more pieces than the model has embeddings");
	return AlbertDetail(status, "The tokenizer has %d pieces, vocab_size is %d.",
						tokenizer.vocab_size, vocab_size);
}

bool
AlbertSourceCompileTokenizer(AlbertSource *source, AlbertStatus *status)
{
	AlbertTokenizerFiles read = {.options = source->options, .tokenizer_class = source->tokenizer_class};

	if (source->tokenizer.data != NULL)
		return true;
	for (int i = 0; i < NTOKENIZER_FILES; i++)
	{
		AlbertSpan	bytes;

		if (source->tokenizer_files[i] == NULL)
			continue;
		if (!AlbertFileReadAll(source->tokenizer_files[i], MAX_TOKENIZER_FILE, source->arena, &bytes, status))
			return false;
		*(AlbertBytes *) ((char *) &read + files[i].place) = (AlbertBytes) {bytes.at, AlbertSpanSize(bytes)};
	}
	return AlbertTokenizerCompile(&read, source->config.max_position_embeddings,
								  source->arena, &source->tokenizer, status) &&
		check_vocabulary(source, status);
}
