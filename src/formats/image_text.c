/*
 * image_text.c
 *	  Building the image of everything but the weights: configuration, labels,
 *	  prompts, pooling and the compiled tokenizer.
 */
#include "formats/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- the tokenizer ---- */

static bool
read_tokenizer_file(AlbertSource *source, TokenizerFile which, AlbertBytes *bytes, AlbertStatus *status)
{
	int			file = source->tokenizer_files[which];
	char	   *data = NULL;

	if (which == TOKENIZER_ALBERT_JSON && source->corrections.data != NULL)
		*bytes = source->corrections;
	else if (file >= 0)
	{
		if (!AlbertFileReadAll(source, file, MAX_TOKENIZER_FILE, &data, &bytes->size, status))
			return false;
		bytes->data = data;
	}
	return true;
}

static bool
check_vocabulary(const AlbertSource *source, AlbertStatus *status)
{
	int			vocab_size = source->info.config.vocab_size;
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

/* Compiled when first asked for, then kept. */
static bool
compile_tokenizer(AlbertSource *source, AlbertStatus *status)
{
	static const size_t places[NTOKENIZER_FILES] = {
		[TOKENIZER_SPIECE_MODEL] = offsetof(AlbertTokenizerFiles, spiece_model),
		[TOKENIZER_VOCAB_TXT] = offsetof(AlbertTokenizerFiles, vocab_txt),
		[TOKENIZER_JSON] = offsetof(AlbertTokenizerFiles, tokenizer_json),
		[TOKENIZER_CONFIG_JSON] = offsetof(AlbertTokenizerFiles, tokenizer_config_json),
		[TOKENIZER_SPECIAL_TOKENS_MAP_JSON] = offsetof(AlbertTokenizerFiles, special_tokens_map_json),
		[TOKENIZER_ADDED_TOKENS_JSON] = offsetof(AlbertTokenizerFiles, added_tokens_json),
		[TOKENIZER_ALBERT_JSON] = offsetof(AlbertTokenizerFiles, albert_json)
	};
	AlbertTokenizerFiles files = {.tokenizer_class = source->tokenizer_class};

	if (source->tokenizer.data != NULL)
		return true;
	for (int i = 0; i < NTOKENIZER_FILES; i++)
		if (!read_tokenizer_file(source, i, (AlbertBytes *) ((char *) &files + places[i]), status))
			return false;
	return AlbertTokenizerCompile(&files, source->info.config.max_position_embeddings,
								  source->arena, &source->tokenizer, status) &&
		check_vocabulary(source, status);
}

/* ---- strings ---- */

/* Put a string behind those at dest, NULL where they are only counted; their bytes are returned. */
static size_t
put_string(char *dest, size_t used, const char *text)
{
	size_t		size = strlen(text) + 1;

	if (dest != NULL)
		memcpy(dest + used, text, size);
	return used + size;
}

/* The labels, prompt names and prompts to dest, if it is not NULL: how many bytes they take. */
static size_t
put_strings(const AlbertSource *source, char *dest)
{
	size_t		used = 0;

	for (int i = 0; i < source->info.config.num_labels; i++)
	{
		char		preset[32];
		const char *label = i < source->label_end ? source->labels[i] : NULL;

		snprintf(preset, sizeof(preset), "LABEL_%d", i);
		used = put_string(dest, used, label != NULL ? label : preset);
	}
	for (int i = 0; i < source->nprompts; i++)
		used = put_string(dest, used, source->prompt_names[i]);
	for (int i = 0; i < source->nprompts; i++)
		used = put_string(dest, used, source->prompts[i]);
	return used;
}

/* ---- layout ---- */

static void
layout(const AlbertSource *source, TextImage *image)
{
	image->strings.offset = align_up(sizeof(TextImage));
	image->strings.size = put_strings(source, NULL);
	image->tokenizer.offset = align_up(image->strings.offset + image->strings.size);
	image->tokenizer.size = source->tokenizer.size;
	image->header.size = align_up(image->tokenizer.offset + image->tokenizer.size);
}

size_t
AlbertTextImageSize(AlbertSource *source, AlbertStatus *status)
{
	TextImage	image;

	if (!compile_tokenizer(source, status))
		return 0;
	layout(source, &image);
	return image.header.size;
}

bool
AlbertTextImageBuild(AlbertSource *source, void *dest, size_t size, AlbertStatus *status)
{
	TextImage  *image = dest;

	if (AlbertTextImageSize(source, status) == 0)
		return false;
	layout(source, image);
	if (image->header.size != size)
		return AlbertFail(status, ALBERT_INTERNAL, "image of the texts has %zu bytes, not %zu",
						  (size_t) image->header.size, size);
	memcpy(&image->info, &source->info, sizeof(image->info));
	image->nlabels = source->info.config.num_labels;
	image->nprompts = source->nprompts;
	put_strings(source, (char *) dest + image->strings.offset);
	memcpy((char *) dest + image->tokenizer.offset, source->tokenizer.data, source->tokenizer.size);
	return true;
}
