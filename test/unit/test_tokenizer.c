/*
 * test_tokenizer.c
 *	  The tokenizer against the reference's records: ids, offsets, pairs,
 *	  truncation, decoding, as the hub's tokenizer.json has them, whether that
 *	  file or the spiece.model alone is read.  Exact, no tolerance.
 */
#include "tokenizer_helpers.h"

static void
check_text(json_t *record, void *context)
{
	Subject    *subject = context;
	AlbertTokens *tokens = &subject->tokens;
	const char *id = record_string(record, "id");
	const char *text = record_string(record, "text");
	const json_t *ids = json_object_get(record, "hub_ids");
	AlbertEncodeOptions bare = {.special_tokens = false};
	AlbertText	input = {text, strlen(text)};
	AlbertTokens without;

	if (json_is_string(ids))
		ids = json_object_get(record, "slow_ids");	/* the same */
	CHECK(subject_encode(subject, text, NULL, ALBERT_TRUNCATE_NONE, 0), "%s: %s", id, subject->status.message);
	CHECK(same_ids(ids, tokens->items + 1, tokens->n - 2), "%s: ids differ", id);
	CHECK(same_offsets(json_object_get(record, "hub_offsets"), tokens->items + 1, tokens->n - 2),
		  "%s: offsets differ", id);
	CHECK(tokens->items[0].id == 2 && tokens->items[tokens->n - 1].id == 3 && tokens->items[0].special == 1 &&
		  tokens->items[tokens->n - 1].special == 1, "%s: special tokens", id);
	CHECK(AlbertTokenizerEncode(&subject->tokenizer, &input, NULL, &bare, &subject->arena, &without, &subject->status) &&
		  same_ids(ids, without.items, without.n),
		  "%s: without special tokens", id);
}

/* ---- pairs ---- */

static AlbertTruncation
truncation_of(const json_t *kwargs)
{
	const json_t *value = json_object_get(kwargs, "truncation");

	if (json_is_true(value) || (json_is_string(value) && strcmp(json_string_value(value), "longest_first") == 0))
		return ALBERT_TRUNCATE_LONGEST;
	if (json_is_string(value) && strcmp(json_string_value(value), "only_first") == 0)
		return ALBERT_TRUNCATE_FIRST;
	if (json_is_string(value) && strcmp(json_string_value(value), "only_second") == 0)
		return ALBERT_TRUNCATE_SECOND;
	return ALBERT_TRUNCATE_NONE;
}

/* Padding is the encoder's business: leave it off. */
static int
unpadded(const json_t *ids)
{
	int			n = (int) json_array_size(ids);

	while (n > 0 && json_integer_value(json_array_get(ids, n - 1)) == 0)
		n--;
	return n;
}

static json_t *
first_items(const json_t *list, int n)
{
	json_t	   *copy = json_array();

	for (int i = 0; i < n; i++)
		json_array_append(copy, json_array_get(list, i));
	return copy;
}

static void
check_decoded(Subject *subject, const char *id, const json_t *ids, bool skip, const char *expected)
{
	int32_t		list[4096];
	int			n = 0;
	AlbertText	text;

	for (size_t i = 0; i < json_array_size(ids) && n < 4096; i++)
		list[n++] = (int32_t) json_integer_value(json_array_get(ids, i));
	CHECK(AlbertTokenizerDecode(&subject->tokenizer, list, n, skip, false, &subject->arena, &text, &subject->status) &&
		  strcmp(text.data, expected) == 0, "%s: decoded \"%s\", not \"%s\"", id, text.data, expected);
}

static void
check_pair(json_t *record, void *context)
{
	Subject    *subject = context;
	const char *id = record_string(record, "id");
	const char *text = record_string(record, "text");
	const char *pair = record_string(record, "text_pair");
	const json_t *kwargs = json_object_get(record, "kwargs");
	const json_t *hub = json_object_get(record, "hub");
	const json_t *ids = json_object_get(hub, "ids");
	int			n = unpadded(ids);
	json_t	   *expected_ids = first_items(ids, n);
	json_t	   *expected_types = first_items(json_object_get(hub, "token_type_ids"), n);
	int			max_length = (int) json_integer_value(json_object_get(kwargs, "max_length"));
	bool		good;
	int			whole;

	CHECK(subject_encode(subject, text, pair, ALBERT_TRUNCATE_NONE, 0), "%s: %s", id, subject->status.message);
	whole = subject->tokens.n;
	CHECK(subject->tokens.ncut == 0, "%s: nothing was to be cut", id);
	good = subject_encode(subject, text, pair, truncation_of(kwargs), max_length);
	if (record_string(hub, "error") != NULL)
		CHECK(!good && subject->status.code == ALBERT_TOO_LONG, "%s: the reference refuses this", id);
	else
	{
		CHECK(good, "%s: %s", id, subject->status.message);
		CHECK(same_ids(expected_ids, subject->tokens.items, subject->tokens.n), "%s: ids differ", id);
		CHECK(same_types(expected_types, subject->tokens.items, subject->tokens.n), "%s: types differ", id);
		CHECK(subject->tokens.ncut == whole - n, "%s: %d tokens cut, not %d", id, subject->tokens.ncut, whole - n);
		check_decoded(subject, id, ids, false, record_string(hub, "decoded"));
		check_decoded(subject, id, ids, true, record_string(hub, "decoded_skip_special"));
	}
	json_decref(expected_ids);
	json_decref(expected_types);
}

/* ---- the other records ---- */

typedef struct Models
{
	Subject		small;
	Subject		real;
	Subject		wordpiece;
	int			records;
} Models;

/* The tokenizer of a model of the reference data; manifest.json says the same. */
static Subject *
subject_of(Models *models, const char *model)
{
	if (model != NULL && strstr(model, "real30k") != NULL)
		return &models->real;
	if (model != NULL && strstr(model, "_bert") != NULL && strstr(model, "unigram") == NULL)
		return &models->wordpiece;
	return &models->small;
}

static void
check_record(json_t *record, void *context)
{
	Models	   *models = context;
	const char *id = record_string(record, "id");
	const char *model = record_string(record, "model");
	const char *text = record_string(record, "text");
	const json_t *kwargs = json_object_get(record, "tokenizer_kwargs");
	Subject    *subject = subject_of(models, model);
	AlbertTokens *tokens = &subject->tokens;
	int			max_length = (int) json_integer_value(json_object_get(kwargs, "max_length"));

	if (text == NULL || json_object_get(record, "ids") == NULL)
		return;
	models->records++;
	CHECK(subject_encode(subject, text, record_string(record, "text_pair"), truncation_of(kwargs), max_length),
		  "%s: %s", id, subject->status.message);
	CHECK(same_ids(json_object_get(record, "ids"), tokens->items, tokens->n), "%s: ids differ", id);
	CHECK(same_types(json_object_get(record, "token_type_ids"), tokens->items, tokens->n), "%s: types differ", id);
	CHECK(same_offsets(json_object_get(record, "offsets"), tokens->items, tokens->n),
		  "%s: offsets differ", id);
}

static void
check_question(json_t *record, void *context)
{
	Models	   *models = context;
	const json_t *input = json_object_get(record, "input");
	Subject    *subject = subject_of(models, record_string(record, "model"));
	AlbertTokens *tokens = &subject->tokens;
	const char *id = record_string(record, "id");

	if (record_string(input, "question") == NULL || record_string(input, "context") == NULL)
		return;
	models->records++;
	CHECK(subject_encode(subject, record_string(input, "question"), record_string(input, "context"),
						 ALBERT_TRUNCATE_NONE, 0), "%s: %s", id, subject->status.message);
	CHECK(json_integer_value(json_object_get(record, "n_tokens_unwindowed")) == tokens->n, "%s: %d tokens", id, tokens->n);
	if (json_object_get(record, "ids") == NULL)
		return;
	CHECK(same_ids(json_object_get(record, "ids"), tokens->items, tokens->n), "%s: ids differ", id);
	CHECK(same_types(json_object_get(record, "token_type_ids"), tokens->items, tokens->n), "%s: types differ", id);
	CHECK(same_offsets(json_object_get(record, "offsets"), tokens->items, tokens->n),
		  "%s: offsets differ", id);
}

static void
check_choices(json_t *record, void *context)
{
	Models	   *models = context;
	Subject    *subject = subject_of(models, record_string(record, "model"));
	const json_t *choices = json_object_get(record, "choices");

	models->records++;
	for (size_t i = 0; i < json_array_size(choices); i++)
	{
		const json_t *row = json_array_get(json_object_get(record, "ids"), i);
		json_t	   *expected = first_items(row, unpadded(row));

		CHECK(subject_encode(subject, record_string(record, "prompt"), json_string_value(json_array_get(choices, i)),
							 ALBERT_TRUNCATE_NONE, 0) &&
			  same_ids(expected, subject->tokens.items, subject->tokens.n), "%s: choice %zu differs",
			  record_string(record, "id"), i);
		json_decref(expected);
	}
}

/* Open a directory's tokenizer.json, or its spiece.model as if that were alone. */
static bool
open_directory(const char *name, bool json, Subject *subject)
{
	char		path[1024];
	Files		files;
	bool		good;

	snprintf(path, sizeof(path), "%s/tokenizers/%s", unit_reference(), name);
	read_tokenizer_files(path, &files);
	if (!json)
		files.files.tokenizer_json.data = NULL;
	good = (files.files.spiece_model.data != NULL || files.files.vocab_txt.data != NULL) &&
		subject_open(subject, &files.files, 512);
	free_tokenizer_files(&files);
	return good;
}

/* ---- what the binding tells, and what needs no records ---- */

static void
check_binding(Subject *subject)
{
	AlbertTokenizer *tokenizer = &subject->tokenizer;
	AlbertText	piece;
	AlbertStatus status;

	CHECK(tokenizer->vocab_size == 30000 && tokenizer->max_length == 512 && tokenizer->pad_id == 0 &&
		  tokenizer->unk_id == 1 && tokenizer->mask_id == 4 &&
		  AlbertTokenizerPieceId(tokenizer, "[CLS]", 5) == 2 && AlbertTokenizerPieceId(tokenizer, "[SEP]", 5) == 3 &&
		  strcmp(tokenizer->mask_token, "[MASK]") == 0 && !tokenizer->clean_up_spaces, "binding");
	for (int id = 0; id < tokenizer->vocab_size; id++)
	{
		CHECK(AlbertTokenizerPiece(tokenizer, id, &piece, &status) &&
			  AlbertTokenizerPieceId(tokenizer, piece.data, piece.size) == id, "piece %d", id);
		CHECK(AlbertTokenizerIsSpecial(tokenizer, id) == (id < 5), "is %d special?", id);
	}
	CHECK(!AlbertTokenizerPiece(tokenizer, 30000, &piece, &status) && status.code == ALBERT_INPUT, "id 30000");
	CHECK(!AlbertTokenizerPiece(tokenizer, -1, &piece, &status) && status.code == ALBERT_INPUT, "id -1");
	CHECK(!AlbertTokenizerIsSpecial(tokenizer, -1) && !AlbertTokenizerIsSpecial(tokenizer, 30000), "strange ids");
	CHECK(AlbertTokenizerPieceId(tokenizer, "nosuchpiece", 11) == -1, "no such piece");
}

/* A text whose cutting is decided by the last bit of two scores, as the library's JSON reader rounds them. */
static void
check_last_bit(Subject *subject)
{
	CHECK(subject_encode(subject, "oooooooooooooooooooooooooo", NULL, ALBERT_TRUNCATE_NONE, 0) && subject->tokens.n == 10 &&
		  subject->tokens.items[2].id == 28290 && subject->tokens.items[5].id == 4328 && subject->tokens.items[8].id == 28290,
		  "sums of scores");
}

static void
test_reference(bool json)
{
	static const char *const names[] = {"embeddings.jsonl", "fill_mask.jsonl", "sop.jsonl", "classify.jsonl",
	"token_classify.jsonl"};
	char		goldens[1024];
	Models		models;
	int			n;

	memset(&models, 0, sizeof(models));
	snprintf(goldens, sizeof(goldens), "%s/goldens", unit_reference());
	if (!open_directory("real30k", json, &models.real) || !open_directory("small", json, &models.small) ||
		!open_directory("wordpiece", json, &models.wordpiece))
	{
		CHECK(false, "the reference's tokenizers cannot be opened: %s%s%s", models.real.status.message,
			  models.small.status.message, models.wordpiece.status.message);
		return;
	}
	check_binding(&models.real);
	check_last_bit(&models.real);
	n = for_each_record(goldens, "tokenizer_real30k.jsonl", check_text, &models.real);
	CHECK(n > 0, "tokenizer_real30k.jsonl");
	CHECK(for_each_record(goldens, "tokenizer_pairs.jsonl", check_pair, &models.real) > 0, "tokenizer_pairs.jsonl");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK(for_each_record(goldens, names[i], check_record, &models) > 0, "%s", names[i]);
	CHECK(for_each_record(goldens, "qa.jsonl", check_question, &models) > 0, "qa.jsonl");
	CHECK(for_each_record(goldens, "multiple_choice.jsonl", check_choices, &models) > 0, "multiple_choice.jsonl");
	printf("%s: ids and offsets of %d texts and %d other records equal the reference's\n",
		   json ? "tokenizer.json" : "spiece.model", n, models.records);
	subject_close(&models.real);
	subject_close(&models.small);
	subject_close(&models.wordpiece);
}

/* ---- without the reference: a small model of our own ---- */

static void
check_ids(Subject *subject, const char *text, const char *pieces)
{
	char		found[1024] = "";

	CHECK(subject_encode(subject, text, NULL, ALBERT_TRUNCATE_NONE, 0), "\"%s\": %s", text, subject->status.message);
	for (int i = 1; i < subject->tokens.n - 1; i++)
	{
		AlbertText	piece;

		AlbertTokenizerPiece(&subject->tokenizer, subject->tokens.items[i].id, &piece, &subject->status);
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%.*s", i > 1 ? " " : "", (int) piece.size,
				 piece.data);
	}
	CHECK(strcmp(found, pieces) == 0, "\"%s\": \"%s\", not \"%s\"", text, found, pieces);
}

static void
test_small_model(void)
{
	static Buffer model;
	Subject		subject;
	AlbertText	text;
	int32_t		ids[] = {2, 11, 12, 13, 4, 22, 14, 9, 1, 3};
	size_t		before;

	put_pieces(&model);
	CHECK(open_model(&subject, &model, NULL), "small model: %s", subject.status.message);
	check_ids(&subject, "The capital of [MASK] is Delhi.", "▁the ▁capital ▁of [MASK] ▁is ▁delhi .");
	check_ids(&subject, "  The\tcapital\n", "▁the ▁capital");
	check_ids(&subject, "", "");
	check_ids(&subject, " \n", "");
	check_ids(&subject, "2010, 2010", "▁2010 , ▁2010");
	check_ids(&subject, "é É", "▁ e ▁ e");
	check_ids(&subject, "``the''", "▁ \" t h e \"");
	check_ids(&subject, "un[MASK]capital", "▁ u n [MASK] ▁capital");
	check_ids(&subject, "日本 the", "▁ <unk> ▁the");
	check_ids(&subject, "[mask] <PAD>", "▁ <unk> m a s k <unk> ▁ <pad>");
	CHECK(AlbertTokenizerDecode(&subject.tokenizer, ids, 10, false, false, &subject.arena, &text, &subject.status) &&
		  strcmp(text.data, "[CLS] the capital of[MASK] is delhi.<unk>[SEP]") == 0, "decoded: \"%s\"", text.data);
	CHECK(AlbertTokenizerDecode(&subject.tokenizer, ids, 10, true, false, &subject.arena, &text, &subject.status) &&
		  strcmp(text.data, "the capital of is delhi.") == 0, "decoded: \"%s\"", text.data);
	ids[0] = 1000;
	CHECK(!AlbertTokenizerDecode(&subject.tokenizer, ids, 10, true, false, &subject.arena, &text, &subject.status) &&
		  subject.status.code == ALBERT_INPUT, "an id outside the vocabulary");

	/* a warmed-up arena is enough for all further texts of the kind */
	before = subject.arena.total;
	for (int i = 0; i < 100; i++)
		subject_encode(&subject, "The capital of [MASK] is Delhi, é.", "日本", ALBERT_TRUNCATE_LONGEST, 0);
	CHECK(subject.arena.total == before, "encoding asked for more memory than before");
	subject_close(&subject);
}

static void
test_input(void)
{
	static const char *const bad[] = {"\x80", "a\xff", "\xc0\x80", "\xc3", "\xe2\x96", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	"\xf5\x80\x80\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "abcdefgh\xc3(", "[MASK]\xc3"};
	static Buffer model;
	Subject		subject;
	AlbertText	none = {NULL, 0};
	AlbertText	nul = {"a\0b", 3};
	AlbertEncodeOptions options = {.special_tokens = true};

	put_pieces(&model);
	CHECK(open_model(&subject, &model, "{\"model_max_length\": 1000000000000000019884624838656}"), "open");
	CHECK(subject.tokenizer.max_length == 512, "max_length is %d", subject.tokenizer.max_length);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		CHECK(!subject_encode(&subject, bad[i], NULL, ALBERT_TRUNCATE_NONE, 0) && subject.status.code == ALBERT_INPUT,
			  "malformed text %zu was taken", i);
		CHECK(!subject_encode(&subject, "a", bad[i], ALBERT_TRUNCATE_NONE, 0) && subject.status.code == ALBERT_INPUT,
			  "malformed pair %zu was taken", i);
	}
	CHECK(AlbertTokenizerEncode(&subject.tokenizer, &nul, &none, &options, &subject.arena, &subject.tokens,
								&subject.status), "a NUL is a character");
	none.data = "";
	CHECK(AlbertTokenizerEncode(&subject.tokenizer, &nul, &none, &options, &subject.arena, &subject.tokens,
								&subject.status) && subject.tokens.items[subject.tokens.n - 2].special, "an empty pair is a pair");
	CHECK(!subject_encode(&subject, "the capital of the capital", "is", ALBERT_TRUNCATE_ERROR, 8) &&
		  subject.status.code == ALBERT_TOO_LONG && strstr(subject.status.message, "9") != NULL &&
		  strstr(subject.status.message, "8") != NULL, "too long: %s", subject.status.message);
	CHECK(subject_encode(&subject, "the capital of the capital", "is", ALBERT_TRUNCATE_ERROR, 9), "just short enough");
	subject_close(&subject);

	CHECK(open_model(&subject, &model, "{\"model_max_length\": 7, \"truncation_side\": \"left\"}"), "open");
	CHECK(subject_encode(&subject, "the capital of delhi is the capital", NULL, ALBERT_TRUNCATE_LONGEST, 0) &&
		  subject.tokens.n == 7 && subject.tokens.ncut == 2 &&
		  subject.tokens.items[1].start == 12 && subject.tokens.items[5].stop == 35, "truncation on the left");
	subject_close(&subject);
}

int
main(void)
{
	test_small_model();
	test_input();
	test_reference(false);
	test_reference(true);
	return unit_report();
}
