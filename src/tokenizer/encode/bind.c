/*
 * bind.c
 *	  Binding to an image, and its pieces by id and by text.
 *
 * Images are of this library's own making: what is checked is that it is one,
 * of this version and whole.
 */
#include "tokenizer/image.h"

/* Do the sections lie in the image, with a place for each piece? */
static bool
check_sections(const TokenizerHeader *header)
{
	for (int i = 0; i < SECTION_COUNT; i++)
	{
		const SectionPlace *place = &header->sections[i];

		if (place->offset > header->base.size || place->size > header->base.size - place->offset ||
			place->offset % ALBERT_ALIGN != 0)
			return false;
	}
	return header->vocab_size > 0 && header->special[ROLE_MASK] < header->vocab_size &&
		SECTION_ITEMS(header, SECTION_PIECE_OFFSETS, uint32_t) == (size_t) header->vocab_size + 1;
}

static AlbertText
piece_text(const AlbertTokenizer *tokenizer, int32_t id)
{
	const uint32_t *offsets = TABLE(tokenizer, SECTION_PIECE_OFFSETS, uint32_t);
	const char *bytes = TABLE(tokenizer, SECTION_PIECE_BYTES, char);

	return (AlbertText) {bytes + offsets[id], offsets[id + 1] - offsets[id] - 1};
}

bool
AlbertTokenizerBind(const void *image, size_t size, AlbertTokenizer *tokenizer, AlbertStatus *status)
{
	const TokenizerHeader *header = image;
	const char *base = image;

	memset(tokenizer, 0, sizeof(*tokenizer));
	if (image == NULL ||
		AlbertImageHeaderProblem(&header->base, ALBERT_IMAGE_TOKENIZER, sizeof(TokenizerHeader), size) != NULL ||
		!check_sections(header))
		return AlbertFail(status, ALBERT_FORMAT, "the tokenizer's image is damaged");
	tokenizer->image = image;
	tokenizer->vocab_size = header->vocab_size;
	tokenizer->max_length = header->max_length;
	tokenizer->pad_id = header->special[ROLE_PAD];
	tokenizer->unk_id = header->special[ROLE_UNK];
	tokenizer->mask_id = header->special[ROLE_MASK];
	tokenizer->marks_continuation = header->model == MODEL_WORDPIECE;
	tokenizer->clean_up_spaces = header->clean_up_spaces != 0;
	for (int i = 0; i < SECTION_COUNT; i++)
		tokenizer->tables[i] = base + header->sections[i].offset;
	tokenizer->mask_token = tokenizer->mask_id < 0 ? "" : piece_text(tokenizer, tokenizer->mask_id).data;
	return true;
}

bool
AlbertTokenizerPiece(const AlbertTokenizer *tokenizer, int32_t id, AlbertText *piece, AlbertStatus *status)
{
	if (id < 0 || id >= tokenizer->vocab_size || TABLE(tokenizer, SECTION_PIECE_FLAGS, uint8_t)[id] == 0)
	{
		AlbertFail(status, ALBERT_INPUT, "token id %d is not in the vocabulary", id);
		return AlbertDetail(status, "Its ids are 0 to %d.", tokenizer->vocab_size - 1);
	}
	*piece = piece_text(tokenizer, id);
	return true;
}

int32_t
AlbertTokenizerPieceId(const AlbertTokenizer *tokenizer, const char *piece, size_t size)
{
	const AddedToken *added = TABLE(tokenizer, SECTION_ADDED, AddedToken);
	size_t		count = SECTION_ITEMS(HEADER(tokenizer), SECTION_ADDED, AddedToken);
	bool		unigram = HEADER(tokenizer)->model == MODEL_UNIGRAM;
	const TrieUnit *unit = tok_trie_walk(TRIE(tokenizer, SECTION_TRIE), piece, size, unigram);
	int32_t		id = unit == NULL ? -1 : unit->id;

	for (size_t i = 0; i < count && id < 0; i++)
	{
		AlbertText	text = piece_text(tokenizer, added[i].id);

		if (text.size == size && memcmp(text.data, piece, size) == 0)
			id = added[i].id;
	}
	return id;
}

bool
AlbertTokenizerIsSpecial(const AlbertTokenizer *tokenizer, int32_t id)
{
	return id >= 0 && id < tokenizer->vocab_size &&
		(TABLE(tokenizer, SECTION_PIECE_FLAGS, uint8_t)[id] & PIECE_SPECIAL) != 0;
}
