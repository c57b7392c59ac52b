/*
 * test_formats_torch.c
 *	  PyTorch files: archives and pickles put together here piece by piece,
 *	  and the reference's ones with bytes changed.
 */
#include "formats_case.h"

/* ---- a growing run of bytes ---- */

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

#define PUT(b, literal) put(b, literal, sizeof(literal) - 1)

static void
put_text(Bytes *b, const char *string)
{
	put(b, string, strlen(string));
}

static void
put_number(Bytes *b, uint64_t value, int size)
{
	put(b, &value, size);		/* the tests run on little-endian machines, as the files are */
}

/* ---- pickles ---- */

static void
pickle_string(Bytes *b, const char *string)
{
	put_text(b, "X");
	put_number(b, strlen(string), 4);
	put_text(b, string);
}

static void
pickle_int(Bytes *b, int64_t value)
{
	if (value >= 0 && value < 256)
	{
		put_text(b, "K");
		put_number(b, value, 1);
	}
	else
	{
		PUT(b, "\x8a\x08");
		put_number(b, value, 8);
	}
}

/* The persistent id of a storage; view is put as its last member. */
static void
pickle_storage(Bytes *b, const char *type, const char *key, int64_t elements, const char *view)
{
	put_text(b, "(");
	pickle_string(b, "storage");
	put_text(b, text("ctorch\n%s\n", type));
	pickle_string(b, key);
	pickle_string(b, "cpu");
	pickle_int(b, elements);
	put_text(b, view);
	put_text(b, "tQ");
}

/* One entry of a dictionary: a tensor of rows x cols; rows 0: a vector. */
static void
pickle_tensor(Bytes *b, const char *name, const char *type, const char *key, int64_t elements,
			  int64_t offset, int rows, int cols, int64_t row_stride, int64_t col_stride, const char *view)
{
	pickle_string(b, name);
	put_text(b, "ctorch._utils\n_rebuild_tensor_v2\n(");
	pickle_storage(b, type, key, elements, view);
	pickle_int(b, offset);
	put_text(b, "(");
	if (rows > 0)
		pickle_int(b, rows);
	pickle_int(b, cols);
	put_text(b, "t(");
	if (rows > 0)
		pickle_int(b, row_stride);
	pickle_int(b, col_stride);
	PUT(b, "t\x89" "ccollections\nOrderedDict\n)RtR");
}

/* ---- zip archives ---- */

typedef struct Zip
{
	Bytes		file;
	Bytes		directory;
	int			entries;
	int			method;			/* written for every entry */
	int			flags;
	bool		zip64;
} Zip;

static void
zip_entry(Zip *zip, const char *name, const void *data, size_t size)
{
	size_t		at = zip->file.n;

	put_text(&zip->file, "PK\3\4");
	put_number(&zip->file, 20, 2);
	put_number(&zip->file, zip->flags, 2);
	put_number(&zip->file, zip->method, 2);
	put_number(&zip->file, 0, 8);
	put_number(&zip->file, size, 4);
	put_number(&zip->file, size, 4);
	put_number(&zip->file, strlen(name), 2);
	put_number(&zip->file, 4, 2);
	put_text(&zip->file, name);
	PUT(&zip->file, "FB\0\0");
	put(&zip->file, data, size);

	put_text(&zip->directory, "PK\1\2");
	put_number(&zip->directory, 20, 2);
	put_number(&zip->directory, 20, 2);
	put_number(&zip->directory, zip->flags, 2);
	put_number(&zip->directory, zip->method, 2);
	put_number(&zip->directory, 0, 8);
	put_number(&zip->directory, zip->zip64 ? 0xffffffff : size, 4);
	put_number(&zip->directory, zip->zip64 ? 0xffffffff : size, 4);
	put_number(&zip->directory, strlen(name), 2);
	put_number(&zip->directory, zip->zip64 ? 28 : 0, 2);
	put_number(&zip->directory, 0, 2 + 2 + 2);
	put_number(&zip->directory, 0, 4);
	put_number(&zip->directory, zip->zip64 ? 0xffffffff : at, 4);
	put_text(&zip->directory, name);
	if (zip->zip64)
	{
		put_number(&zip->directory, 1, 2);
		put_number(&zip->directory, 24, 2);
		put_number(&zip->directory, size, 8);
		put_number(&zip->directory, size, 8);
		put_number(&zip->directory, at, 8);
	}
	zip->entries++;
}

static void
zip_finish(Zip *zip, const char *comment)
{
	size_t		at = zip->file.n;
	size_t		end64;

	put(&zip->file, zip->directory.data, zip->directory.n);
	end64 = zip->file.n;
	if (zip->zip64)
	{
		put_text(&zip->file, "PK\6\6");
		put_number(&zip->file, 44, 8);
		put_number(&zip->file, 45, 4);
		put_number(&zip->file, 0, 8);
		put_number(&zip->file, zip->entries, 8);
		put_number(&zip->file, zip->entries, 8);
		put_number(&zip->file, zip->directory.n, 8);
		put_number(&zip->file, at, 8);
		put_text(&zip->file, "PK\6\7");
		put_number(&zip->file, 0, 4);
		put_number(&zip->file, end64, 8);
		put_number(&zip->file, 1, 4);
	}
	put_text(&zip->file, "PK\5\6");
	put_number(&zip->file, 0, 4);
	put_number(&zip->file, zip->zip64 ? 0xffff : zip->entries, 2);
	put_number(&zip->file, zip->zip64 ? 0xffff : zip->entries, 2);
	put_number(&zip->file, zip->zip64 ? 0xffffffff : zip->directory.n, 4);
	put_number(&zip->file, zip->zip64 ? 0xffffffff : at, 4);
	put_number(&zip->file, strlen(comment), 2);
	put_text(&zip->file, comment);
}

/* ---- the case's model as one of them ---- */

/* All tensors in one storage called "all", one after the other, as float32. */
static size_t
one_storage(const Case *c, Bytes *pickle, Bytes *storage)
{
	size_t		elements = 0;
	size_t		at = 0;

	for (int i = 0; i < c->ntensors; i++)
		elements += (size_t) (c->tensors[i].rows == 0 ? 1 : c->tensors[i].rows) * c->tensors[i].cols;
	PUT(pickle, "\x80\x02" "ccollections\nOrderedDict\n)R(");
	for (int i = 0; i < c->ntensors; i++)
	{
		const Stored *t = &c->tensors[i];
		int			n = (t->rows == 0 ? 1 : t->rows) * t->cols;

		for (int k = 0; k < n; k++)
		{
			float		value = value_of(t->seed, k);

			put(storage, &value, 4);
		}
		pickle_tensor(pickle, t->name, "FloatStorage", "all", elements, at, t->rows, t->cols, t->cols, 1, "N");
		at += n;
	}
	/* what state dictionaries carry besides */
	PUT(pickle, "u}");
	pickle_string(pickle, "_metadata");
	PUT(pickle, "ccollections\nOrderedDict\n)Rsb.");
	return elements;
}

static void
check_values(const char *name, const Loaded *l)
{
	float	   *matrix = unpack_linear(&l->model, &l->model.layers[0].ffn_output);

	CHECK(matrix[5 * 20 + 6] == value_of(19, 5 * 20 + 6) && l->model.position_embeddings[33] == value_of(1, 33),
		  "%s: values", name);
	free(matrix);
}

static Bytes pickle;
static Bytes storage;
static Zip zip;

static void
begin_torch(Case *c, const char *name)
{
	memset(&zip, 0, sizeof(zip));
	pickle.n = storage.n = 0;
	begin_case(c, name);
	write_config(c, c->directory);
}

static void
write_torch(Case *c, const Bytes *bytes)
{
	write_file(c->directory, "pytorch_model.bin", bytes->data, bytes->n);
}

/* write_case would add model.safetensors, which is preferred */
static bool
load_torch(Case *c, Loaded *l)
{
	if (symlink(spiece, text("%s/spiece.model", c->directory)) != 0)
		abort();
	return load(c->directory, l);
}

static void
check_torch(Case *c, const char *name, AlbertCode code, const char *message)
{
	Loaded		l;
	bool		ok = load_torch(c, &l);

	if (code == ALBERT_OK)
	{
		CHECK(ok, "%s was refused: %s %s", name, l.status.message, l.status.detail);
		if (ok)
			check_values(name, &l);
	}
	else
	{
		CHECK(!ok, "%s was accepted", name);
		CHECK(ok || (l.status.code == code && (strstr(l.status.message, message) != NULL ||
											   strstr(l.status.detail, message) != NULL)),
			  "%s: %d %s %s", name, l.status.code, l.status.message, l.status.detail);
	}
	end_case(c, &l);
}

static void
check_archive(const char *name, const char *root, int method, int flags, bool zip64, const char *byte_order,
			  const char *comment, const char *extra, AlbertCode code, const char *message)
{
	Case		c;

	begin_torch(&c, name);
	one_storage(&c, &pickle, &storage);
	zip.method = method;
	zip.flags = flags;
	zip.zip64 = zip64;
	zip_entry(&zip, text("%s/data.pkl", root), pickle.data, pickle.n);
	if (byte_order != NULL)
		zip_entry(&zip, text("%s/byteorder", root), byte_order, strlen(byte_order));
	if (extra != NULL)
		zip_entry(&zip, extra, "x", 1);
	zip_entry(&zip, text("%s/data/all", root), storage.data, storage.n);
	zip_entry(&zip, text("%s/version", root), "3\n", 2);
	zip_finish(&zip, comment);
	write_torch(&c, &zip.file);
	check_torch(&c, name, code, message);
}

static void
test_archives(void)
{
	check_archive("archive", "archive", 0, 0, false, NULL, "", NULL, ALBERT_OK, "");
	check_archive("named", "pytorch_model", 0, 0x808, false, "little", "", NULL, ALBERT_OK, "");
	check_archive("zip64", "archive", 0, 0, true, "little", "", NULL, ALBERT_OK, "");
	check_archive("comment", "archive", 0, 0, false, NULL, "made by a test PK\5\6 with a trap", NULL, ALBERT_OK, "");
	check_archive("deflated", "archive", 8, 0, false, NULL, "", NULL, ALBERT_UNSUPPORTED, "compressed");
	check_archive("encrypted", "archive", 0, 1, false, NULL, "", NULL, ALBERT_UNSUPPORTED, "encrypted");
	check_archive("big_endian", "archive", 0, 0, false, "big", "", NULL, ALBERT_UNSUPPORTED, "little-endian");
	check_archive("script", "archive", 0, 0, false, NULL, "", "archive/constants.pkl", ALBERT_UNSUPPORTED, "TorchScript");
	check_archive("twice", "archive", 0, 0, false, NULL, "", "archive/data/all", ALBERT_FORMAT, "same name");
	check_archive("deep_root", "a/b", 0, 0, false, NULL, "", NULL, ALBERT_FORMAT, "no data.pkl");
}

/* A storage that lies about its length, and one that is shared with an offset beyond it. */
static void
check_storage(const char *name, int64_t claimed, int64_t offset, size_t stored, int cols, int64_t stride,
			  const char *type, AlbertCode code, const char *message)
{
	Case		c;
	size_t		elements;

	begin_torch(&c, name);
	drop_tensor(&c, "embeddings.LayerNorm.bias");
	elements = one_storage(&c, &pickle, &storage);
	pickle.n--;					/* the STOP */
	put_text(&pickle, "(");
	pickle_tensor(&pickle, "embeddings.LayerNorm.bias", type, "other", claimed, offset, 0, cols, 0, stride, "N");
	put_text(&pickle, "u.");
	zip_entry(&zip, "archive/data.pkl", pickle.data, pickle.n);
	zip_entry(&zip, "archive/data/all", storage.data, elements * 4);
	zip_entry(&zip, "archive/data/other", storage.data, stored);
	zip_finish(&zip, "");
	write_torch(&c, &zip.file);
	check_torch(&c, name, code, message);
}

static void
test_storages(void)
{
	check_storage("storage", 8, 0, 32, 8, 1, "FloatStorage", ALBERT_OK, "");
	check_storage("storage_view", 100, 92, 400, 8, 1, "FloatStorage", ALBERT_OK, "");
	check_storage("storage_strided", 100, 3, 400, 8, 12, "FloatStorage", ALBERT_OK, "");
	check_storage("storage_half", 8, 0, 16, 8, 1, "HalfStorage", ALBERT_OK, "");
	check_storage("storage_double", 8, 0, 64, 8, 1, "DoubleStorage", ALBERT_OK, "");
	check_storage("storage_long", 8, 0, 64, 8, 1, "LongStorage", ALBERT_UNSUPPORTED, "I64");
	check_storage("storage_quantized", 8, 0, 64, 8, 1, "QInt8Storage", ALBERT_UNSUPPORTED, "torch.QInt8Storage");
	check_storage("storage_short", 8, 0, 31, 8, 1, "FloatStorage", ALBERT_FORMAT, "too short");
	check_storage("storage_beyond", 100, 93, 400, 8, 1, "FloatStorage", ALBERT_FORMAT, "beyond its storage");
	check_storage("storage_stride_beyond", 100, 3, 400, 8, 14, "FloatStorage", ALBERT_FORMAT, "beyond its storage");
	check_storage("storage_huge", INT64_MAX, 0, 400, 8, 1, "FloatStorage", ALBERT_FORMAT, "too large");
	check_storage("storage_offset_huge", INT64_MAX / 8, INT64_MAX / 8 - 8, 400, 8, 1, "FloatStorage", ALBERT_FORMAT, "too short");
	check_storage("storage_overflow", 100, INT64_MAX - 3, 400, 8, INT64_MAX / 4, "FloatStorage", ALBERT_FORMAT, "beyond its storage");
	check_storage("storage_negative", -8, 0, 400, 8, 1, "FloatStorage", ALBERT_FORMAT, "persistent id");
	check_storage("storage_negative_offset", 8, -1, 400, 8, 1, "FloatStorage", ALBERT_FORMAT, "not described");
	check_storage("storage_negative_stride", 8, 7, 400, 8, -1, "FloatStorage", ALBERT_FORMAT, "not described");
	check_storage("storage_empty_beyond", 8, INT64_MAX / 2, 32, 0, 1, "FloatStorage", ALBERT_FORMAT, "beyond its storage");
	check_storage("storage_repeated", 1, 0, 4, 8, 0, "FloatStorage", ALBERT_FORMAT, "beyond its storage");
}

/* ---- the form before PyTorch 1.6 ---- */

static void
legacy_start(Bytes *b, int protocol, bool little)
{
	PUT(b, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
	PUT(b, "\x80\x02M");
	put_number(b, protocol, 2);
	put_text(b, ".");
	PUT(b, "\x80\x02}(");
	pickle_string(b, "little_endian");
	put(b, little ? "\x88" : "\x89", 1);
	put_text(b, "u.");
}

static void
check_legacy(const char *name, int protocol, bool little, const char *keys, int64_t elements, size_t bytes,
			 AlbertCode code, const char *message)
{
	Case		c;
	static Bytes file;
	size_t		all;
	char		list[32];

	begin_torch(&c, name);
	all = one_storage(&c, &pickle, &storage);
	file.n = 0;
	legacy_start(&file, protocol, little);
	put(&file, pickle.data, pickle.n);
	PUT(&file, "\x80\x02](");
	snprintf(list, sizeof(list), "%s", keys);
	for (const char *key = strtok(list, " "); key != NULL; key = strtok(NULL, " "))
		pickle_string(&file, key);
	put_text(&file, "e.");
	put_number(&file, elements < 0 ? all : (uint64_t) elements, 8);
	put(&file, storage.data, bytes < storage.n ? bytes : storage.n);
	write_torch(&c, &file);
	check_torch(&c, name, code, message);
}

static void
test_legacy(void)
{
	check_legacy("legacy", 1001, true, "all", -1, SIZE_MAX, ALBERT_OK, "");
	check_legacy("legacy_protocol", 1002, true, "all", -1, SIZE_MAX, ALBERT_FORMAT, "protocol");
	check_legacy("legacy_big_endian", 1001, false, "all", -1, SIZE_MAX, ALBERT_UNSUPPORTED, "little-endian");
	check_legacy("legacy_key", 1001, true, "some", -1, SIZE_MAX, ALBERT_FORMAT, "storage");
	check_legacy("legacy_order", 1001, true, "some all", -1, SIZE_MAX, ALBERT_FORMAT, "in order");
	check_legacy("legacy_twice", 1001, true, "all all", -1, SIZE_MAX, ALBERT_FORMAT, "in order");
	check_legacy("legacy_few", 1001, true, "all", 5, SIZE_MAX, ALBERT_FORMAT, "too short");
	check_legacy("legacy_huge", 1001, true, "all", INT64_MAX, SIZE_MAX, ALBERT_FORMAT, "ends before");
	check_legacy("legacy_cut", 1001, true, "all", -1, 1000, ALBERT_FORMAT, "ends before");
}

/* ---- pickles that must not get anywhere ---- */

static void
check_pickle(const char *name, const void *data, size_t size, AlbertCode code, const char *message)
{
	Case		c;

	begin_torch(&c, name);
	zip_entry(&zip, "archive/data.pkl", data, size);
	zip_finish(&zip, "");
	write_torch(&c, &zip.file);
	check_torch(&c, name, code, message);
}

#define PICKLE(name, data, code, message) check_pickle(name, data, sizeof(data) - 1, code, message)

static void
test_pickles(void)
{
	static Bytes many;

	PICKLE("subprocess", "\x80\x02" "csubprocess\nPopen\n(X\2\0\0\0idtR.", ALBERT_UNSUPPORTED, "subprocess.Popen");
	PICKLE("stack_global", "\x80\x04\x8c\x08" "builtins\x8c\x04" "exec\x93.", ALBERT_UNSUPPORTED, "builtins.exec");
	PICKLE("getattr", "\x80\x02" "c__builtin__\ngetattr\n.", ALBERT_UNSUPPORTED, "__builtin__.getattr");
	PICKLE("torch_load", "\x80\x02" "ctorch\nload\n.", ALBERT_UNSUPPORTED, "torch.load");
	PICKLE("control_characters", "\x80\x02" "co\x1bs\nsy\tstem\n.", ALBERT_UNSUPPORTED, "o?s.sy?stem");
	PICKLE("newobj", "\x80\x02" "ccollections\nOrderedDict\n)\x81.", ALBERT_UNSUPPORTED, "0x81");
	PICKLE("inst", "\x80\x02(ios\nsystem\n.", ALBERT_UNSUPPORTED, "0x69");
	PICKLE("extension", "\x80\x02\x82\x01.", ALBERT_UNSUPPORTED, "0x82");
	PICKLE("call_text", "\x80\x02X\1\0\0\0a)R.", ALBERT_FORMAT, "no function");
	PICKLE("call_storage", "\x80\x02" "ctorch\nFloatStorage\n)R.", ALBERT_FORMAT, "no function");
	PICKLE("tensor_of_nothing", "\x80\x02}X\1\0\0\0xctorch._utils\n_rebuild_tensor_v2\n)Rs.", ALBERT_FORMAT, "not described");
	PICKLE("parameter_of_text", "\x80\x02" "ctorch._utils\n_rebuild_parameter\nX\1\0\0\0a\x85R.", ALBERT_FORMAT, "not described");
	PICKLE("dict_of_text", "\x80\x02" "ccollections\nOrderedDict\n]X\1\0\0\0aa\x85R.", ALBERT_FORMAT, "not made of pairs");
	PICKLE("persistent_text", "\x80\x02X\1\0\0\0aQ.", ALBERT_FORMAT, "persistent id");
	PICKLE("build_on_text", "\x80\x02X\1\0\0\0a}b.", ALBERT_FORMAT, "attributes");
	PICKLE("append_to_text", "\x80\x02X\1\0\0\0aNa.", ALBERT_FORMAT, "no container");
	PICKLE("set_in_list", "\x80\x02]NNs.", ALBERT_FORMAT, "no container");
	PICKLE("odd_dict", "\x80\x02}(Nu.", ALBERT_FORMAT, "container");
	PICKLE("protocol_0_dict", "\x80\x02(NNd.", ALBERT_UNSUPPORTED, "0x64");
	PICKLE("no_mark", "\x80\x02Nt.", ALBERT_FORMAT, "mark");
	PICKLE("tuple_over_mark", "\x80\x02N(\x85.", ALBERT_FORMAT, "empty stack");
	PICKLE("stop_on_mark", "\x80\x02(.", ALBERT_FORMAT, "empty stack");
	PICKLE("mark_remembered", "\x80\x02(q\0h\0.", ALBERT_FORMAT, "");
	PICKLE("memo_of_nothing", "\x80\x02q\0.", ALBERT_FORMAT, "remember");
	PICKLE("memo_far", "\x80\x02Nr\xff\xff\xff\x7f.", ALBERT_FORMAT, "remember");
	PICKLE("list_in_itself", "\x80\x02]q\0h\0ah\0.", ALBERT_FORMAT, "no dictionary");
	PICKLE("dict_in_itself", "\x80\x02}q\0X\1\0\0\0xh\0s.", ALBERT_FORMAT, "missing");
	PICKLE("protocol_0", "\x80\0(dp0\n.", ALBERT_FORMAT, "protocol");
	PICKLE("protocol_9", "\x80\x09}.", ALBERT_FORMAT, "protocol");
	PICKLE("long_text", "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff" "a.", ALBERT_FORMAT, "ends in the middle");
	PICKLE("empty", "", ALBERT_FORMAT, "ends in the middle");
	PICKLE("storage_view", "\x80\x02}X\1\0\0\0xctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"
		   "ctorch\nFloatStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\x08(X\1\0\0\0" "1K\0K\4ttQK\0K\4\x85K\1\x85tRs.",
		   ALBERT_FORMAT, "persistent id");
	PICKLE("only_stop", ".", ALBERT_FORMAT, "empty stack");

	/* a list of 1,000 pairs, made into a dictionary again and again: must end soon and small */
	many.n = 0;
	PUT(&many, "\x80\x02](");
	for (int i = 0; i < 1000; i++)
		PUT(&many, "NN\x86");
	PUT(&many, "eq\0" "ccollections\nOrderedDict\nq\1");
	for (int i = 0; i < 20000; i++)
		PUT(&many, "h\1h\0\x85R");
	check_pickle("multiplied", many.data, many.n, ALBERT_FORMAT, "");
}

/* ---- the reference's files with bytes changed ---- */

static void
mutate(const char *name, size_t from, size_t to, unsigned seed)
{
	char		model[4096];
	char		directory[512];
	size_t		size = 0;
	char	   *data;
	int			loaded = 0;

	snprintf(model, sizeof(model), "%s", reference_model(name));
	data = read_file(text("%s/pytorch_model.bin", model), &size);
	snprintf(directory, sizeof(directory), "%s/mutated", temp_root());
	mkdir(directory, 0700);
	if (data == NULL || symlink(spiece, text("%s/spiece.model", directory)) != 0 ||
		symlink(text("%s/config.json", model), text("%s/config.json", directory)) != 0)
		abort();
	if (to > size)
		to = size;
	for (size_t i = from; i < to; i += 1 + (seed >> 8) % 5)
	{
		Loaded		l;
		char		kept = data[i];
		AlbertSource *source;

		seed = seed * 1103515245 + 12345;
		data[i] = seed & 0x10000 ? kept ^ (1 << (seed >> 20 & 7)) : seed >> 20;
		write_file(directory, "pytorch_model.bin", data, size);
		data[i] = kept;
		memset(&l, 0, sizeof(l));
		AlbertArenaInitMalloc(&l.arena);
		if (AlbertSourceOpen(directory, &l.arena, &source, &l.status))
		{
			loaded++;
			AlbertSourceClose(source);
		}
		else
			CHECK(l.status.message[0] != '\0', "%s byte %zu: no message", name, i);
		unload(&l);
	}
	CHECK(loaded > 0, "%s: no change was harmless", name);
	free(data);
	remove_tree(directory);
}

int
main(void)
{
	find_spiece();
	test_archives();
	test_storages();
	test_legacy();
	test_pickles();
	mutate("m07_bin_zip", 0, 4300, 1);
	mutate("m07_bin_zip", 149802 - 3800, 149802, 2);
	mutate("m07_bin_views", 0, 4300, 3);
	mutate("m07_bin_legacy", 0, 4600, 4);
	remove_tree(temp_root());
	return unit_report();
}
