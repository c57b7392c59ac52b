/*
 * generic.c
 *	  The kernel set in plain C.  It defines what every operation means, runs
 *	  on any CPU, and is what the other sets are tested against.
 */
#include "kernels/internal.h"

static AlbertLinear
table_as_linear(const AlbertTable *table, const float *bias)
{
	AlbertLinear linear = {table->cols, table->rows, table->precision, table->data, bias};

	return linear;
}

static void
table_product(const AlbertTable *table, int m, const float *x, int ldx,
			  const float *bias, float *y, int ldy, void *scratch)
{
	AlbertLinear linear = table_as_linear(table, bias);

	albert_generic_linear(&linear, m, x, ldx, ALBERT_ACT_NONE, NULL, 0, y, ldy, scratch);
}

static size_t
table_scratch(const AlbertTable *table, int m)
{
	AlbertLinear linear = table_as_linear(table, NULL);

	return albert_generic_linear_scratch(&linear, m);
}

static bool
usable(void)
{
	return true;
}

static bool
int8_is_narrow(void)
{
	return false;
}

const AlbertKernels albert_kernels_generic = {
	.name = "generic",
	.id = ALBERT_KERNELS_GENERIC,
	.needs = "any CPU",
	.usable = usable,
	.grain = {2.5e8, 2.5e8, 2.5e8},
	.packed_size = albert_generic_packed_size,
	.pack = albert_generic_pack,
	.table_size = albert_generic_packed_size,
	.pack_table = albert_generic_pack,
	.int8_is_narrow = int8_is_narrow,
	.linear_scratch = albert_generic_linear_scratch,
	.linear = albert_generic_linear,
	.table_row = albert_generic_table_row,
	.table_product = table_product,
	.table_scratch = table_scratch,
	.layer_norm = albert_generic_layer_norm,
	.attention_scratch = albert_generic_attention_scratch,
	.attention = albert_generic_attention,
	.activate = albert_generic_activate,
	.softmax = albert_generic_softmax,
};
