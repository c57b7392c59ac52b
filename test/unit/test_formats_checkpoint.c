/*
 * test_formats_checkpoint.c
 *	  TensorFlow checkpoints as in the original release: the index is written
 *	  here as TensorFlow writes it, then damaged in many ways.
 */
#include "formats_case.h"

typedef struct Bytes
{
	unsigned char data[1 << 17];
	size_t		n;
} Bytes;

static void
put(Bytes *b, const void *data, size_t n)
{
	if (b->n + n > sizeof(b->data))
		abort();
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static void
put_fixed(Bytes *b, uint64_t value, int size)
{
	put(b, &value, size);
}

static void
put_varint(Bytes *b, uint64_t value)
{
	do
	{
		unsigned char byte = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);

		put(b, &byte, 1);
		value >>= 7;
	} while (value != 0);
}

/* A field of a protocol buffer. */
static void
put_field(Bytes *b, int number, uint64_t value)
{
	put_varint(b, number << 3);
	put_varint(b, value);
}

static void
put_message(Bytes *b, int number, const Bytes *message)
{
	put_varint(b, number << 3 | 2);
	put_varint(b, message->n);
	put(b, message->data, message->n);
}

/* ---- a sorted string table ---- */

static uint32_t
checksum(const unsigned char *bytes, size_t size)
{
	uint32_t	crc = 0xffffffff;

	for (size_t i = 0; i < size; i++)
	{
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

typedef struct Table
{
	Bytes		file;
	Bytes		block;
	Bytes		index;
	char		last[512];		/* key */
	int			compression;	/* written behind every block */
	bool		wrong_checksum;
} Table;

static void
put_entry(Bytes *block, const char *last, const char *key, const Bytes *value)
{
	size_t		shared = 0;

	while (last[shared] != '\0' && last[shared] == key[shared])
		shared++;
	put_varint(block, shared);
	put_varint(block, strlen(key) - shared);
	put_varint(block, value->n);
	put(block, key + shared, strlen(key) - shared);
	put(block, value->data, value->n);
}

/* Write a block with one restart; its handle goes to the end of *handle. */
static void
put_block(Table *table, Bytes *block, Bytes *handle)
{
	size_t		at = table->file.n;
	unsigned char kind = table->compression;

	put_fixed(block, 0, 4);
	put_fixed(block, 1, 4);
	put(&table->file, block->data, block->n);
	put(&table->file, &kind, 1);
	put_fixed(&table->file, checksum(table->file.data + at, block->n + 1) + table->wrong_checksum, 4);
	put_varint(handle, at);
	put_varint(handle, block->n);
	block->n = 0;
}

static void
flush_block(Table *table)
{
	static Bytes handle;

	handle.n = 0;
	put_block(table, &table->block, &handle);
	put_entry(&table->index, "", table->last, &handle);
	table->last[0] = '\0';
}

static void
add_entry(Table *table, const char *key, const Bytes *value)
{
	put_entry(&table->block, table->last, key, value);
	snprintf(table->last, sizeof(table->last), "%s", key);
	if (table->block.n > 700)
		flush_block(table);
}

static void
finish_table(Table *table)
{
	static Bytes footer;

	footer.n = 0;
	if (table->block.n > 0)
		flush_block(table);
	put_block(table, &table->block, &footer);	/* the empty block of metadata */
	put_block(table, &table->index, &footer);
	put(&table->file, footer.data, footer.n);
	for (size_t i = footer.n; i < 40; i++)
		put(&table->file, "", 1);
	put_fixed(&table->file, UINT64_C(0xdb4775248b80fb57), 8);
}

/* ---- the case's model as a checkpoint ---- */

typedef struct Variable
{
	char		name[256];
	Stored		tensor;
	bool		transposed;
} Variable;

static bool
replace(char *name, const char *from, const char *to)
{
	char		rest[256];
	char	   *at = strstr(name, from);

	if (at == NULL)
		return false;
	snprintf(rest, sizeof(rest), "%s", at + strlen(from));
	snprintf(at, 256 - (at - name), "%s%s", to, rest);
	return true;
}

/* From transformers' name to the original one. */
static void
original_name(const Stored *tensor, Variable *variable)
{
	static const char *const pairs[][2] = {
		{LAYER, "encoder/transformer/group_0/inner_group_0/"},
		{"attention.LayerNorm", "LayerNorm"},
		{"full_layer_layer_norm", "LayerNorm_1"},
		{"attention.dense", "attention_1/output/dense"},
		{"attention.", "attention_1/self/"},
		{"ffn_output", "ffn_1/intermediate/output/dense"},
		{"/ffn.", "/ffn_1/intermediate/dense."},
		{"pooler", "pooler/dense"},
		{"encoder.embedding", "encoder/embedding"},
		{"embeddings.", "embeddings/"},
		{"_embeddings.weight", "_embeddings"},
		{"LayerNorm.", "LayerNorm/"},
		{"LayerNorm_1.", "LayerNorm_1/"}
	};
	static const char *const heads[][2] = {
		{"predictions.bias", "cls/predictions/output_bias"},
		{"predictions.", "cls/predictions/transform/"},
		{"sop_classifier.classifier.weight", "cls/seq_relationship/output_weights"},
		{"sop_classifier.classifier.bias", "cls/seq_relationship/output_bias"},
		{"qa_outputs.weight", "cls/squad/output_weights"},
		{"qa_outputs.bias", "cls/squad/output_bias"},
		{"classifier.weight", "output_weights"},
		{"classifier.bias", "output_bias"}
	};
	char	   *name = variable->name;
	bool		is_head = false;

	variable->tensor = *tensor;
	snprintf(name, sizeof(variable->name), "%s", tensor->name);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]) && !is_head; i++)
		is_head = strncmp(name, heads[i][0], strlen(heads[i][0])) == 0 && replace(name, heads[i][0], heads[i][1]);
	if (!is_head)
		snprintf(name, sizeof(variable->name), "bert/%s", tensor->name);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		replace(name, pairs[i][0], pairs[i][1]);
	if (strstr(name, "LayerNorm") != NULL)
	{
		replace(name, "/weight", "/gamma");
		replace(name, "/bias", "/beta");
	}
	else
		variable->transposed = replace(name, ".weight", "/kernel");
	replace(name, ".bias", "/bias");
}

static int
compare_variables(const void *a, const void *b)
{
	return strcmp(((const Variable *) a)->name, ((const Variable *) b)->name);
}

typedef struct Damage
{
	const char *variable;		/* the one to change; NULL: none */
	uint64_t	type;
	uint64_t	size;
	uint64_t	shard;
	uint64_t	offset;
	bool		sliced;
	bool		big_endian;
	bool		no_header;
	bool		objects;		/* as TensorFlow 2 */
	int			compression;
	bool		wrong_checksum;
} Damage;

static void
put_variable(const Variable *variable, size_t offset, const Damage *damage, Bytes *value)
{
	static Bytes shape;
	static Bytes dim;
	const Stored *t = &variable->tensor;
	int			sizes[2] = {t->rows, t->cols};
	size_t		bytes = (size_t) (t->rows == 0 ? 1 : t->rows) * t->cols * 4;
	bool		hit = damage->variable != NULL && strcmp(damage->variable, variable->name) == 0;

	if (variable->transposed)
	{
		sizes[0] = t->cols;
		sizes[1] = t->rows;
	}
	shape.n = 0;
	for (int i = t->rows == 0 ? 1 : 0; i < 2; i++)
	{
		dim.n = 0;
		put_field(&dim, 1, sizes[i]);
		put_message(&shape, 2, &dim);
	}
	value->n = 0;
	put_field(value, 1, hit && damage->type != 0 ? damage->type : 1);
	put_message(value, 2, &shape);
	if (hit && damage->shard != 0)
		put_field(value, 3, damage->shard);
	put_field(value, 4, hit && damage->offset != 0 ? damage->offset : offset);
	put_field(value, 5, hit && damage->size != 0 ? damage->size : bytes);
	put_varint(value, 6 << 3 | 5);
	put_fixed(value, 0, 4);
	if (hit && damage->sliced)
		put_message(value, 7, &dim);
}

static void
put_header(const Damage *damage, Bytes *value)
{
	static Bytes version;

	value->n = version.n = 0;
	put_field(value, 1, 1);
	if (damage->big_endian)
		put_field(value, 2, 1);
	put_field(&version, 1, 1);
	put_message(value, 3, &version);
}

static Table table;
static Bytes values;

static void
make_checkpoint(const Case *c, const Damage *damage)
{
	static Variable variables[64];
	static Bytes value;

	memset(&table, 0, sizeof(table));
	memset(variables, 0, sizeof(variables));
	table.compression = damage->compression;
	table.wrong_checksum = damage->wrong_checksum;
	values.n = 0;
	for (int i = 0; i < c->ntensors; i++)
		original_name(&c->tensors[i], &variables[i]);
	qsort(variables, c->ntensors, sizeof(Variable), compare_variables);
	put_header(damage, &value);
	if (!damage->no_header)
		add_entry(&table, "", &value);
	if (damage->objects)
		add_entry(&table, "_CHECKPOINTABLE_OBJECT_GRAPH", &value);
	for (int i = 0; i < c->ntensors; i++)
	{
		const Stored *t = &variables[i].tensor;
		int			rows = t->rows == 0 ? 1 : t->rows;

		put_variable(&variables[i], values.n, damage, &value);
		add_entry(&table, variables[i].name, &value);
		for (int k = 0; k < rows * t->cols; k++)
		{
			/* the k-th value of the variable is another one of the transposed tensor */
			int			at = variables[i].transposed ? (k % rows) * t->cols + k / rows : k;
			float		v = value_of(t->seed, at);

			put(&values, &v, 4);
		}
		/* what optimizers leave behind must not be in the way */
		put_variable(&variables[i], 0, damage, &value);
		if (i % 5 == 0)
			add_entry(&table, text("%s/adam_m", variables[i].name), &value);
	}
	finish_table(&table);
}

static void
write_checkpoint(Case *c)
{
	char	   *config = json_dumps(c->config, 0);

	write_text(c->directory, "albert_config.json", config);
	free(config);
	write_file(c->directory, "model.ckpt-best.index", table.file.data, table.file.n);
	write_file(c->directory, "model.ckpt-best.data-00000-of-00001", values.data, values.n);
	if (symlink(spiece, text("%s/30k-clean.model", c->directory)) != 0)
		abort();
}

static void
begin_checkpoint(Case *c, const char *name)
{
	begin_case(c, name);
	add_linear(c, "pooler", 12, 12);
	add_tensor(c, "classifier.weight", 2, 12);
	add_tensor(c, "classifier.bias", 0, 2);
	json_object_del(c->config, "model_type");
	set_config(c, "hidden_act", json_string("gelu"));
}

static void
test_good(void)
{
	Case		c;
	Loaded		l;
	Damage		none = {NULL};

	begin_checkpoint(&c, "original");
	make_checkpoint(&c, &none);
	write_checkpoint(&c);
	if (!load(c.directory, &l))
		CHECK(false, "original release: %s %s", l.status.message, l.status.detail);
	else
	{
		float	   *ffn = unpack_linear(&l.model, &l.model.layers[0].ffn);
		float	   *classifier = unpack_linear(&l.model, &l.model.classifier);
		float	   *key_value = unpack_linear(&l.model, &l.model.layers[0].key_value);
		float		row[8];

		/* the numbers are places in begin_case's list */
		CHECK(ffn[13 * 12 + 5] == value_of(17, 13 * 12 + 5), "ffn");
		CHECK(key_value[14 * 12 + 3] == value_of(11, 2 * 12 + 3), "values");
		CHECK(l.model.layers[0].output_norm.weight[4] == value_of(21, 4), "norm");
		CHECK(classifier[12 + 7] == value_of(25, 12 + 7) && l.model.classifier.bias[1] == value_of(26, 1), "classifier");
		l.model.kernels->weight_row(&l.model.word_embeddings, 500, row);
		CHECK(row[3] == value_of(0, 500 * 8 + 3), "words");
		CHECK(l.model.config->hidden_act == ALBERT_ACT_GELU_NEW, "the original gelu is the tanh formula");
		CHECK(l.model.config->heads == (ALBERT_HEAD_POOLER | ALBERT_HEAD_CLASSIFIER), "heads %x", l.model.config->heads);
		free(ffn);
		free(classifier);
		free(key_value);
	}
	end_case(&c, &l);
}

/* The heads of pretraining, and the one for questions. */
static void
test_heads(void)
{
	Case		c;
	Loaded		l;
	Damage		none = {NULL};

	begin_checkpoint(&c, "original_heads");
	add_linear(&c, "predictions.dense", 8, 12);
	add_norm(&c, "predictions.LayerNorm", 8);
	add_tensor(&c, "predictions.bias", 0, 1000);
	add_linear(&c, "sop_classifier.classifier", 2, 12);
	add_linear(&c, "qa_outputs", 2, 12);
	make_checkpoint(&c, &none);
	write_checkpoint(&c);
	if (!load(c.directory, &l))
		CHECK(false, "heads of the original release: %s %s", l.status.message, l.status.detail);
	else
	{
		float	   *dense = unpack_linear(&l.model, &l.model.mlm_dense);
		float	   *order = unpack_linear(&l.model, &l.model.sentence_order);
		float	   *answer = unpack_linear(&l.model, &l.model.qa_outputs);

		CHECK(dense[3 * 12 + 5] == value_of(27, 3 * 12 + 5) && l.model.mlm_dense.bias[6] == value_of(28, 6), "dense");
		CHECK(l.model.mlm_norm.weight[2] == value_of(29, 2) && l.model.mlm_norm.bias[3] == value_of(30, 3), "norm");
		CHECK(l.model.mlm_decoder.bias[500] == value_of(31, 500), "bias");
		CHECK(order[12 + 4] == value_of(32, 12 + 4) && l.model.sentence_order.bias[1] == value_of(33, 1), "order");
		CHECK(answer[12 + 4] == value_of(34, 12 + 4) && l.model.qa_outputs.bias[1] == value_of(35, 1), "answer");
		CHECK(l.model.config->heads == (ALBERT_HEAD_POOLER | ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_MLM |
								ALBERT_HEAD_SENTENCE_ORDER | ALBERT_HEAD_QUESTION_ANSWERING), "heads %x", l.model.config->heads);
		free(dense);
		free(order);
		free(answer);
	}
	end_case(&c, &l);
}

static void
check_damage(const char *name, Damage damage, AlbertCode code, const char *message)
{
	Case		c;
	Loaded		l;
	bool		ok;

	begin_checkpoint(&c, name);
	make_checkpoint(&c, &damage);
	write_checkpoint(&c);
	ok = load(c.directory, &l);
	CHECK(!ok, "%s was accepted", name);
	CHECK(ok || (l.status.code == code && strstr(l.status.message, message) != NULL), "%s: %d %s", name,
		  l.status.code, l.status.message);
	end_case(&c, &l);
}

static void
test_damaged(void)
{
	static const char word[] = "bert/embeddings/word_embeddings";
	Case		c;
	Loaded		l;
	Damage		none = {NULL};

	check_damage("big_endian", (Damage) {.big_endian = true}, ALBERT_UNSUPPORTED, "little-endian");
	check_damage("no_header", (Damage) {.no_header = true}, ALBERT_FORMAT, "file that does not exist");
	check_damage("compressed", (Damage) {.compression = 1}, ALBERT_UNSUPPORTED, "compressed");
	check_damage("objects", (Damage) {.objects = true}, ALBERT_UNSUPPORTED, "TensorFlow 2");
	check_damage("checksum", (Damage) {.wrong_checksum = true}, ALBERT_FORMAT, "checksum");
	check_damage("integer", (Damage) {word, .type = 3}, ALBERT_UNSUPPORTED, "unsupported type");
	check_damage("half", (Damage) {word, .type = 19}, ALBERT_FORMAT, "does not lie in its file");
	check_damage("size", (Damage) {word, .size = 31996}, ALBERT_FORMAT, "does not lie in its file");
	check_damage("size_huge", (Damage) {word, .size = UINT64_MAX}, ALBERT_FORMAT, "does not lie in its file");
	check_damage("offset", (Damage) {word, .offset = 20000}, ALBERT_FORMAT, "does not lie in its file");
	check_damage("offset_huge", (Damage) {word, .offset = UINT64_MAX - 8}, ALBERT_FORMAT, "does not lie in its file");
	check_damage("shard", (Damage) {word, .shard = 1}, ALBERT_FORMAT, "file that does not exist");
	check_damage("slices", (Damage) {word, .sliced = true}, ALBERT_UNSUPPORTED, "slices");

	begin_checkpoint(&c, "two_checkpoints");
	make_checkpoint(&c, &none);
	write_checkpoint(&c);
	write_text(c.directory, "model.ckpt-7.index", "");
	CHECK(!load(c.directory, &l) && strstr(l.status.message, "more than one") != NULL, "two checkpoints: %s", l.status.message);
	end_case(&c, &l);
	begin_checkpoint(&c, "no_data");
	make_checkpoint(&c, &none);
	write_checkpoint(&c);
	unlink(text("%s/model.ckpt-best.data-00000-of-00001", c.directory));
	CHECK(!load(c.directory, &l) && l.status.code == ALBERT_NOT_FOUND, "no data: %s", l.status.message);
	end_case(&c, &l);
}

/* Cut at every length, and every byte changed: refused, for there are checksums, but for padding. */
static void
test_bytes(void)
{
	Case		c;
	Damage		none = {NULL};
	int			survived = 0;

	begin_checkpoint(&c, "bytes");
	make_checkpoint(&c, &none);
	write_checkpoint(&c);
	for (size_t i = 0; i < 2 * table.file.n; i += 3)
	{
		Loaded		l;
		AlbertSource *source;
		size_t		at = i / 2;
		bool		cut = i % 2 == 0;

		table.file.data[at] ^= cut ? 0 : 0x41;
		write_file(c.directory, "model.ckpt-best.index", table.file.data, cut ? at : table.file.n);
		table.file.data[at] ^= cut ? 0 : 0x41;
		memset(&l, 0, sizeof(l));
		AlbertArenaInitMalloc(&l.arena);
		if (AlbertSourceOpen(c.directory, &l.arena, &source, &l.status))
		{
			CHECK(!cut, "an index of %zu bytes was accepted", at);
			survived++;
			AlbertSourceClose(source);
		}
		unload(&l);
	}
	CHECK(survived < 30, "%d changes were not noticed", survived);
	json_decref(c.config);
	remove_tree(c.directory);
}

int
main(void)
{
	find_spiece();
	test_good();
	test_heads();
	test_damaged();
	test_bytes();
	remove_tree(temp_root());
	return unit_report();
}
