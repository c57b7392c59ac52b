/*
 * compile.c
 *	  From a model directory's files to an image: as in AutoTokenizer, a
 *	  tokenizer.json rules where there is one.
 */
#include "tokenizer/compile/compile.h"

/* The smaller of what the tokenizer and the model allow. */
static void
settle_max_length(Builder *builder, int model_max_positions)
{
	double		length = builder->settings.model_max_length;

	if (model_max_positions > 0 && (length == 0 || length > model_max_positions))
		length = model_max_positions;
	if (length == 0 || length > MAX_TEXT)
		length = MAX_TEXT;
	builder->header.max_length = (int32_t) length;
}

static bool
check_special_tokens(Builder *builder)
{
	int32_t		cls = builder->header.special[ROLE_CLS];
	int32_t		sep = builder->header.special[ROLE_SEP];

	if (cls < 0 || sep < 0)
		return AlbertFail(builder->status, ALBERT_FORMAT, "the tokenizer has no %s token",
						  cls < 0 ? "classification" : "separator");
	if (builder->item_count == 0 && !tok_builder_template(builder, cls, sep))
		return false;
	for (int32_t i = 0; i < builder->item_count; i++)
	{
		int32_t		id = builder->items[i].id;

		if (builder->items[i].what == TEMPLATE_SPECIAL &&
			(id >= builder->piece_count || builder->pieces[id].text == NULL))
		{
			tok_malformed(builder, "");
			return AlbertDetail(builder->status,
								"Its template names the token id %d, which is not in the vocabulary.", id);
		}
	}
	return true;
}

static bool
compile(Builder *builder, const AlbertTokenizerFiles *files, int model_max_positions, AlbertBytes *image)
{
	bool		good;

	if (files->tokenizer_json.data != NULL)
		good = tok_compile_json(builder, files);
	else if (files->spiece_model.data != NULL)
		good = tok_compile_spiece(builder, files);
	else if (files->vocab_txt.data != NULL)
		good = tok_compile_vocab(builder, files);
	else
		good = AlbertFail(builder->status, ALBERT_NOT_FOUND, "the model has no tokenizer");
	if (!good || !tok_builder_added(builder) || !check_special_tokens(builder) || !tok_builder_ascii(builder))
		return false;
	settle_max_length(builder, model_max_positions);
	builder->header.clean_up_spaces = builder->settings.clean_up_spaces;
	builder->header.truncate_left = builder->settings.truncate_left;
	return tok_builder_layout(builder, image) && (builder->spiece == NULL || tok_spiece_compare(builder));
}

bool
AlbertTokenizerCompile(const AlbertTokenizerFiles *files, int model_max_positions,
					   AlbertArena *arena, AlbertBytes *image, AlbertStatus *status)
{
	Builder    *builder = AlbertArenaAllocZero(arena, sizeof(Builder));
	bool		good;

	if (builder == NULL)
		return AlbertNoMemory(status);
	builder->arena = arena;
	builder->status = status;
	builder->tokenizer.image = &builder->header;
	builder->header.model_unk_id = -1;
	builder->documents = json_array();
	good = builder->documents != NULL ? compile(builder, files, model_max_positions, image) : AlbertNoMemory(status);
	if (builder->spiece != NULL)
		builder->library->close(builder->spiece);
	json_decref(builder->documents);
	return good;
}
