/*
 * set_table.h
 *	  The table of a kernel set whose functions are named as its members.
 *
 * The including file defines SET, SET_NAME, SET_ID, SET_NEEDS and SET_GRAIN.
 */
const AlbertKernels SET = {
	.name = SET_NAME,
	.id = SET_ID,
	.needs = SET_NEEDS,
	.usable = usable,
	.grain = SET_GRAIN,
	.packed_size = packed_size,
	.pack = pack,
	.linear_scratch = linear_scratch,
	.linear = linear,
	.weight_row = weight_row,
	.layer_norm = layer_norm,
	.attention_scratch = attention_scratch,
	.attention = attention,
	.activate = activate,
	.softmax = softmax,
};
