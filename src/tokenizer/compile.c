/*
 * compile.c
 *	  From a model directory's files to an image.
 */
#include "tokenizer/compile.h"

#include <string.h>

bool
tok_no_memory(AlbertStatus *status)
{
	return AlbertFail(status, ALBERT_NO_MEMORY, "out of memory");
}

/* The smaller of what the tokenizer and the model allow. */
static bool
settle_max_length(Builder *builder, int model_max_positions)
{
	double		length = builder->model_max_length;

	if (model_max_positions > 0 && (length == 0 || length > model_max_positions))
		length = model_max_positions;
	if (length == 0 || length > MAX_TEXT)
		length = MAX_TEXT;
	builder->header.max_length = (int32_t) length;
	return true;
}

static bool
check_special_tokens(Builder *builder)
{
	if (builder->header.cls_id < 0 || builder->header.sep_id < 0)
		return AlbertFail(builder->status, ALBERT_FORMAT, "the tokenizer has no %s token",
						  builder->header.cls_id < 0 ? "classification" : "separator");
	return true;
}

bool
AlbertTokenizerCompile(const AlbertTokenizerFiles *files, int model_max_positions,
					   AlbertArena *arena, AlbertBytes *image, AlbertStatus *status)
{
	Builder		builder;
	uint32_t	empty;
	bool		good;

	memset(&builder, 0, sizeof(builder));
	builder.arena = arena;
	builder.status = status;
	builder.header.pad_id = builder.header.unk_id = builder.header.model_unk_id = -1;
	builder.header.cls_id = builder.header.sep_id = builder.header.mask_id = -1;
	if (!tok_builder_string(&builder, "", 0, &empty))
		return false;
	if (files->spiece_model.data != NULL)
		good = tok_compile_spiece(&builder, files);
	else if (files->vocab_txt.data != NULL)
		good = tok_compile_bert(&builder, files);
	else if (files->tokenizer_json.data != NULL)
		good = tok_compile_pipeline(&builder, files);
	else
		good = AlbertFail(status, ALBERT_NOT_FOUND, "the model has no tokenizer");
	return good && settle_max_length(&builder, model_max_positions) &&
		check_special_tokens(&builder) && tok_builder_finish(&builder, image);
}
