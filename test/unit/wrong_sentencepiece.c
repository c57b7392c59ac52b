/*
 * wrong_sentencepiece.c
 *	  A module in the place of the sentencepiece library's that cuts every text
 *	  into its letters, though it has a likelier piece.
 */
#include <string.h>

#include "tokenizer/sentencepiece/module.h"

/* What the file says is not looked at. */
static const char *const texts[] = {"<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "\xe2\x96\x81", "\xe2\x96\x81the", "t", "h", "e"};

#define PIECES	((int) (sizeof(texts) / sizeof(texts[0])))

static AlbertSpiece *
open_model(const void *data, size_t size, char *problem, size_t problem_size)
{
	static AlbertSpiecePiece pieces[PIECES];
	static AlbertSpiece model = {pieces, PIECES};

	for (int id = 0; id < PIECES; id++)
		pieces[id] = (AlbertSpiecePiece) {
			.text = texts[id],
			.size = strlen(texts[id]),
			.score = id == 6 ? -1 : -5,
			.type = id == 1 ? ALBERT_SPIECE_UNKNOWN : id < 5 ? ALBERT_SPIECE_OTHER : ALBERT_SPIECE_NORMAL,
		};
	return &model;
}

static void
close_model(AlbertSpiece *model)
{
}

static int
encode(const AlbertSpiece *model, const char *text, size_t size, int32_t *ids, int room)
{
	int			n = 0;

	ids[n++] = 5;
	for (size_t i = 0; i < size && n < room; i++)
		for (int id = 7; id < PIECES; id++)
			if (texts[id][0] == text[i])
				ids[n++] = id;
	return n;
}

extern const AlbertSpieceTable AlbertSpieceFunctions3;
const AlbertSpieceTable AlbertSpieceFunctions3 = {
	open_model, close_model, encode
};
