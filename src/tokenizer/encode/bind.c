/*
 * bind.c
 *	  Binding to an image: checking it, and pointing into it.
 */
#include "tokenizer/image.h"

#include <string.h>

static bool
bad_image(AlbertStatus *status, const char *detail)
{
	AlbertFail(status, ALBERT_FORMAT, "the tokenizer's image is damaged");
	return AlbertDetail(status, "%s", detail);
}

static bool
check_ids(const TokenizerHeader *header)
{
	int32_t		n = header->vocab_size;

	return header->pad_id < n && header->unk_id < n && header->mask_id < n && header->model_unk_id < n &&
		header->cls_id < n && header->sep_id < n && header->cls_id >= 0 && header->sep_id >= 0;
}

/* Do the sections lie in the image, and have those whose items are counted elsewhere as many? */
static bool
check_sections(const TokenizerHeader *header)
{
	size_t		n = header->vocab_size;

	for (int i = 0; i < SECTION_COUNT; i++)
	{
		const SectionPlace *place = &header->sections[i];

		if (place->offset > header->base.size || place->size > header->base.size - place->offset ||
			place->offset % ALBERT_ALIGN != 0)
			return false;
	}
	return header->sections[SECTION_PIECE_OFFSETS].size == (n + 1) * sizeof(uint32_t) &&
		header->sections[SECTION_PIECE_FLAGS].size == n &&
		(header->model != MODEL_UNIGRAM || header->sections[SECTION_SCORES].size == n * sizeof(double)) &&
		header->sections[SECTION_HASH].size == header->hash_size * sizeof(int32_t) &&
		header->template_single <= SECTION_ITEMS(header, SECTION_TEMPLATE, TemplateItem) &&
		header->normalizer_count <= SECTION_ITEMS(header, SECTION_STEPS, Step) &&
		(header->model == MODEL_WORDPIECE || (header->model == MODEL_UNIGRAM && header->longest_piece >= 0 &&
											  header->longest_piece <= header->base.size)) &&
		header->max_word >= 0;
}

/* Do the steps' strings, the added tokens and the template stay within what they point into? */
static bool
check_contents(const AlbertTokenizer *tokenizer)
{
	const TokenizerHeader *header = HEADER(tokenizer);
	const Step *steps = TABLE(tokenizer, SECTION_STEPS, Step);
	const AddedToken *added = TABLE(tokenizer, SECTION_ADDED, AddedToken);
	const TemplateItem *items = TABLE(tokenizer, SECTION_TEMPLATE, TemplateItem);
	size_t		codes = SECTION_ITEMS(header, SECTION_STEP_CODES, uint32_t);

	for (size_t i = 0; i < SECTION_ITEMS(header, SECTION_STEPS, Step); i++)
		if ((uint64_t) steps[i].first + steps[i].first_count > codes ||
			(uint64_t) steps[i].second + steps[i].second_count > codes)
			return false;
	for (size_t i = 0; i < SECTION_ITEMS(header, SECTION_ADDED, AddedToken); i++)
		if (added[i].id < 0 || added[i].id >= header->vocab_size)
			return false;
	for (size_t i = 0; i < SECTION_ITEMS(header, SECTION_TEMPLATE, TemplateItem); i++)
		if (items[i].what == TEMPLATE_SPECIAL && (items[i].id < 0 || items[i].id >= header->vocab_size))
			return false;
	return true;
}

static bool
check_strings(const TokenizerHeader *header, const char *strings)
{
	size_t		size = header->sections[SECTION_STRINGS].size;

	return size > 0 && strings[size - 1] == '\0' && header->mask_string < size &&
		header->continuing_string < size;
}

bool
AlbertTokenizerBind(const void *image, size_t size, AlbertTokenizer *tokenizer, AlbertStatus *status)
{
	const TokenizerHeader *header = image;
	const char *base = image;

	memset(tokenizer, 0, sizeof(*tokenizer));
	if (image == NULL ||
		AlbertImageHeaderProblem(&header->base, ALBERT_IMAGE_TOKENIZER, sizeof(TokenizerHeader), size) != NULL)
		return bad_image(status, "It does not begin as one of this version.");
	if (header->vocab_size <= 0 || header->vocab_size > MAX_PIECES ||
		header->hash_size <= header->vocab_size || (header->hash_size & (header->hash_size - 1)) != 0 ||
		header->max_length <= 0 || header->template_single < 0 ||
		header->normalizer_count < 0)
		return bad_image(status, "Its counts make no sense.");
	if (!check_sections(header) || !check_ids(header) ||
		!check_strings(header, base + header->sections[SECTION_STRINGS].offset))
		return bad_image(status, "Its sections do not fit.");

	tokenizer->image = image;
	tokenizer->image_size = header->base.size;
	tokenizer->vocab_size = header->vocab_size;
	tokenizer->max_length = header->max_length;
	tokenizer->pad_id = header->pad_id;
	tokenizer->unk_id = header->unk_id;
	tokenizer->cls_id = header->cls_id;
	tokenizer->sep_id = header->sep_id;
	tokenizer->mask_id = header->mask_id;
	tokenizer->marks_continuation = header->model == MODEL_WORDPIECE;
	tokenizer->clean_up_spaces = (header->flags & TOKENIZER_CLEAN_UP) != 0;
	for (int i = 0; i < SECTION_COUNT; i++)
		tokenizer->tables[i] = base + header->sections[i].offset;
	tokenizer->mask_token = tok_string(tokenizer, header->mask_string);
	return check_contents(tokenizer) || bad_image(status, "Its steps or tokens point outside it.");
}
