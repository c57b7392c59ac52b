/*
 * bert.c
 *	  Compiling a vocab.txt: BertTokenizer's vocabulary, one piece a line.
 */
#include "tokenizer/compile.h"

#include <string.h>

#define MOST_WORD	100			/* longer words are unknown */

static bool
malformed(Builder *builder, const char *detail)
{
	AlbertFail(builder->status, ALBERT_FORMAT, "vocab.txt is malformed");
	return AlbertDetail(builder->status, "%s", detail);
}

/* Lines end in LF, CR LF or CR, as for Python's text files. */
static bool
read_lines(Builder *builder, AlbertBytes file)
{
	const char *p = file.data;
	const char *end = p + file.size;

	if (tok_utf8_valid(p, file.size) < file.size)
		return malformed(builder, "It is not valid UTF-8.");
	if (file.size > UINT32_MAX / 2)
		return malformed(builder, "It is too large.");
	while (p < end)
	{
		const char *line = p;

		while (p < end && *p != '\n' && *p != '\r')
			p++;
		if (!tok_builder_piece(builder, line, p - line, 0, PIECE_NORMAL))
			return false;
		p += end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
	}
	if (builder->piece_count == 0)
		return malformed(builder, "It is empty.");
	return true;
}

/* A piece that comes again has the later id; the earlier one stands for nothing. */
static void
drop_doubles(Builder *builder)
{
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		Piece	   *piece = &builder->pieces[id];

		if (tok_builder_find(builder, piece->text, piece->size) != id)
			piece->text = NULL;
	}
}

/* Pieces that begin a word, which all do, and those that go on with one. */
bool
tok_build_wordpiece_tries(Builder *builder, const char *prefix, size_t prefix_size)
{
	TrieKey    *first = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	TrieKey    *next = AlbertArenaArray(builder->arena, builder->piece_count, sizeof(TrieKey));
	size_t		first_count = 0;
	size_t		next_count = 0;

	if (first == NULL || next == NULL)
		return tok_no_memory(builder->status);
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		const Piece *piece = &builder->pieces[id];

		if (piece->text == NULL || piece->size == 0)
			continue;
		first[first_count++] = (TrieKey) {piece->text, piece->size, id};
		if (piece->size > prefix_size && memcmp(piece->text, prefix, prefix_size) == 0)
			next[next_count++] = (TrieKey) {piece->text + prefix_size, piece->size - (uint32_t) prefix_size, id};
	}
	return tok_build_trie(first, first_count, builder->arena, &builder->sections[SECTION_TRIE], builder->status) &&
		tok_build_trie(next, next_count, builder->arena, &builder->sections[SECTION_TRIE2], builder->status);
}

static void
make_ascii_table(ImageHeader *header, const Settings *settings)
{
	if (!settings->do_basic_tokenize || settings->never_split.count > 0)
		return;
	for (int code = ' '; code < 0x7F; code++)
		header->ascii[code] = settings->do_lower_case && code >= 'A' && code <= 'Z' ? code + 32 : code;
	header->ascii['\t'] = header->ascii['\n'] = header->ascii['\r'] = ' ';
	header->flags |= TOKENIZER_ASCII;
}

static bool
write_never_split(Builder *builder, const Settings *settings)
{
	size_t		size = 0;
	char	   *text;

	for (size_t i = 0; i < settings->never_split.count; i++)
		size += settings->never_split.items[i].size + 1;
	if (size == 0)
		return true;
	text = AlbertArenaAlloc(builder->arena, size);
	if (text == NULL)
		return tok_no_memory(builder->status);
	size = 0;
	for (size_t i = 0; i < settings->never_split.count; i++)
	{
		memcpy(text + size, settings->never_split.items[i].text, settings->never_split.items[i].size + 1);
		size += settings->never_split.items[i].size + 1;
	}
	builder->sections[SECTION_NEVER_SPLIT] = (AlbertBytes) {text, size};
	return true;
}

void
tok_bert_defaults(Settings *defaults)
{
	static const char *const names[ROLE_COUNT] = {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};

	memset(defaults, 0, sizeof(*defaults));
	for (int role = 0; role < ROLE_COUNT; role++)
	{
		defaults->roles[role].text = names[role];
		defaults->roles[role].size = names[role] == NULL ? 0 : (uint32_t) strlen(names[role]);
		defaults->roles[role].flags = ADDED_SPECIAL;
		defaults->roles[role].plain = true;
		defaults->roles[role].id = -1;
	}
	defaults->do_lower_case = true;
	defaults->do_basic_tokenize = true;
	defaults->tokenize_chinese_chars = true;
	defaults->clean_up_spaces = true;
	defaults->strip_accents = -1;
}

bool
tok_compile_bert(Builder *builder, const AlbertTokenizerFiles *files)
{
	ImageHeader *header = &builder->header;
	Settings	defaults;
	Settings	settings;
	const SettingsToken *unknown = &settings.roles[ROLE_UNK];
	bool		strip;

	header->kind = KIND_BERT;
	header->decoder = DECODER_BERT;
	header->model = MODEL_WORDPIECE;
	header->max_word = MOST_WORD;
	tok_bert_defaults(&defaults);
	if (!read_lines(builder, files->vocab_txt) ||
		!tok_settings_read(files, &defaults, false, builder->arena, &settings, builder->status) ||
		!tok_builder_hash(builder, true))
		return false;
	drop_doubles(builder);
	if (unknown->text != NULL)
		header->model_unk_id = tok_builder_find(builder, unknown->text, unknown->size);
	if (header->model_unk_id < 0)
		return malformed(builder, "It does not have the piece for unknown words.");
	strip = settings.strip_accents >= 0 ? settings.strip_accents != 0 : settings.do_lower_case;
	if (!settings.do_basic_tokenize)
		strip = settings.do_lower_case = false;
	header->flags = (settings.do_lower_case ? TOKENIZER_LOWER_CASE : 0) |
		(strip ? TOKENIZER_STRIP_ACCENTS : 0) |
		(settings.tokenize_chinese_chars ? TOKENIZER_CHINESE : 0) |
		(settings.do_basic_tokenize ? TOKENIZER_BASIC : 0) |
		(settings.clean_up_spaces ? TOKENIZER_CLEAN_UP : 0) |
		(settings.truncate_left ? TOKENIZER_TRUNCATE_LEFT : 0);
	make_ascii_table(header, &settings);
	builder->model_max_length = settings.model_max_length;
	return tok_build_wordpiece_tries(builder, "##", 2) && write_never_split(builder, &settings) &&
		tok_builder_string(builder, "##", 2, &header->continuing_string) &&
		tok_builder_added(builder, &settings) && tok_builder_hash(builder, true) && tok_builder_template(builder);
}
