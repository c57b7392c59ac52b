/*
 * set_table.h
 *	  The table of a kernel set whose functions are named as its members, with
 *	  tables packed like weights.
 *
 * The including file defines SET, SET_NAME, SET_ID, SET_NEEDS and SET_GRAIN, and
 * SET_FP32_ONLY as true where that is so.
 */
#ifndef SET_FP32_ONLY
#define SET_FP32_ONLY	false
#endif

const AlbertKernels SET = {
	.name = SET_NAME,
	.id = SET_ID,
	.needs = SET_NEEDS,
	.usable = usable,
	.fp32_only = SET_FP32_ONLY,
	.grain = SET_GRAIN,
	.packed_size = packed_size,
	.pack = pack,
	.table_size = packed_size,
	.pack_table = pack,
	.int8_is_narrow = int8_is_narrow,
	.linear_scratch = linear_scratch,
	.linear = linear,
	.table_row = table_row,
	.table_product = table_product,
	.table_scratch = table_scratch,
	.layer_norm = layer_norm,
	.attention_scratch = attention_scratch,
	.attention = attention,
	.activate = activate,
	.softmax = softmax,
};
