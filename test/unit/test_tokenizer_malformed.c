/*
 * test_tokenizer_malformed.c
 *	  Broken tokenizer files and images: a clean refusal, or, where the damage
 *	  cannot be seen, a tokenizer that still keeps to its memory.  Meant to be
 *	  run under the sanitizers too.
 */
#include "tokenizer_helpers.h"

static const char *const probe = "The capital of [MASK] is 2010, é 日本 \x01 ``x'' ﬁ ½ <pad>";

/* Use a tokenizer for all it can do; results do not matter. */
static void
exercise(Subject *subject)
{
	AlbertText	text;
	int32_t		ids[64];
	int			n;

	if (!subject_encode(subject, probe, "delhi", ALBERT_TRUNCATE_LONGEST, 40))
		return;
	n = subject->tokens.n < 64 ? subject->tokens.n : 64;
	for (int i = 0; i < n; i++)
		ids[i] = subject->tokens.items[i].id;
	AlbertTokenizerDecode(&subject->tokenizer, ids, n, false, true, &subject->arena, &text, &subject->status);
	AlbertTokenizerPieceId(&subject->tokenizer, "the", 3);
}

/* Compile, and either refuse with a message or work. */
static bool
try_files(const AlbertTokenizerFiles *files, const char *what)
{
	Subject		subject;
	bool		opened = subject_open(&subject, files, 512);

	if (opened)
		exercise(&subject);
	else
		CHECK(subject.status.code != ALBERT_OK && subject.status.code != ALBERT_INTERNAL &&
			  subject.status.message[0] != '\0', "%s: refused without a reason", what);
	subject_close(&subject);
	return opened;
}

static uint32_t
random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Cut the bytes short and flip some of them. */
static void
mutilate(const AlbertTokenizerFiles *files, AlbertBytes *victim, const char *what, int rounds, uint32_t seed)
{
	AlbertBytes whole = *victim;
	unsigned char *copy = malloc(whole.size);
	int			refused = 0;

	for (int round = 0; round < rounds; round++)
	{
		size_t		size = whole.size;

		memcpy(copy, whole.data, size);
		if (round % 2 == 0)
			size = random_next(&seed) % whole.size;
		for (uint32_t i = random_next(&seed) % 4; i > 0 && size > 0 && round % 3 != 0; i--)
			copy[random_next(&seed) % size] ^= 1 << random_next(&seed) % 8;
		victim->data = malloc(size + 1);	/* an allocation of its own, for the sanitizer to watch */
		memcpy((void *) victim->data, copy, size);
		victim->size = size;
		refused += !try_files(files, what);
		free((void *) victim->data);
	}
	*victim = whole;
	free(copy);
	printf("%s: %d of %d damaged files refused\n", what, refused, rounds);
}

static void
test_damaged_files(void)
{
	static Buffer model;
	static const char config[] = "{\"do_lower_case\": true, \"keep_accents\": false, \"model_max_length\": 512, "
		"\"mask_token\": {\"__type\": \"AddedToken\", \"content\": \"[MASK]\", \"lstrip\": true}, "
		"\"added_tokens_decoder\": {\"4\": {\"content\": \"[MASK]\", \"special\": true}}}";
	static const char added[] = "{\"<new>\": 70, \"[X]\": 71}";
	AlbertTokenizerFiles files;
	char		path[1024];
	Files		real;

	put_pieces(&model);
	files = (AlbertTokenizerFiles) {.spiece_model = {model.data, model.size},.tokenizer_config_json = {config, strlen(config)},
		.added_tokens_json = {added, strlen(added)}};
	CHECK(try_files(&files, "whole"), "the undamaged files were refused");
	mutilate(&files, &files.spiece_model, "small spiece.model", 3000, 1);
	mutilate(&files, &files.tokenizer_config_json, "tokenizer_config.json", 1000, 2);
	files.tokenizer_config_json.data = NULL;
	mutilate(&files, &files.added_tokens_json, "added_tokens.json", 500, 3);

	snprintf(path, sizeof(path), "%s/tokenizers/small", unit_reference());
	read_tokenizer_files(path, &real);
	real.files.tokenizer_json.data = NULL;
	CHECK(real.files.spiece_model.data != NULL, "no spiece.model in %s", path);
	if (real.files.spiece_model.data != NULL)
		mutilate(&real.files, &real.files.spiece_model, "spiece.model with a character map", 300, 4);
	free_tokenizer_files(&real);
}

static void
expect(const char *what, const Buffer *model, const char *config, AlbertCode code, const char *words)
{
	Subject		subject;
	bool		opened = open_model(&subject, model, config);

	CHECK(opened == (code == ALBERT_OK), "%s: %s", what, opened ? "was taken" : subject.status.message);
	if (!opened)
		CHECK(subject.status.code == code &&
			  (strstr(subject.status.message, words) != NULL || strstr(subject.status.detail, words) != NULL),
			  "%s: code %d, \"%s\" \"%s\"", what, subject.status.code, subject.status.message, subject.status.detail);
	subject_close(&subject);
}

static void
test_refusals(void)
{
	static Buffer model;
	static Buffer part;

	model.size = 0;
	expect("an empty spiece.model", &model, NULL, ALBERT_FORMAT, "no pieces");
	put_pieces(&model);
	put_trainer(&model, 3, 2);
	expect("a BPE model", &model, NULL, ALBERT_UNSUPPORTED, "BPE");
	model.size = 0;
	put_pieces(&model);
	put_trainer(&model, 35, 1);
	expect("byte fallback", &model, NULL, ALBERT_UNSUPPORTED, "bytes");
	model.size = 0;
	put_pieces(&model);
	put_trainer(&model, 24, 1);
	expect("white space as a suffix", &model, NULL, ALBERT_UNSUPPORTED, "suffix");
	model.size = 0;
	put_pieces(&model);
	put_piece(&model, "the", -1, 1);
	put_piece(&model, "the", -1, 1);
	expect("a piece twice", &model, NULL, ALBERT_FORMAT, "already defined");
	model.size = 0;
	put_pieces(&model);
	put_piece(&model, "<unk2>", 0, 2);
	expect("two unknown pieces", &model, NULL, ALBERT_FORMAT, "already defined");
	model.size = 0;
	put_piece(&model, "a", -1, 1);
	expect("no unknown piece", &model, NULL, ALBERT_FORMAT, "not defined");
	model.size = 0;
	put_pieces(&model);
	put_piece(&model, "\xff\xfe", -1, 1);
	expect("a piece that is not UTF-8", &model, NULL, ALBERT_FORMAT, "UTF-8");
	model.size = 0;
	put_pieces(&model);
	put_piece(&model, "nan", 0.0f / 0.0f, 1);
	expect("a score that is no number", &model, NULL, ALBERT_FORMAT, "score");
	model.size = 0;
	put_pieces(&model);
	part.size = 0;
	put_bytes(&part, 2, "\xff\xff\xff\xff...", 7);
	put_bytes(&model, 3, part.data, part.size);
	expect("a character map with a wrong size", &model, NULL, ALBERT_FORMAT, "character map");
	model.size = 0;
	put_pieces(&model);
	put_number(&model, 99, 5);
	expect("a field from the future", &model, NULL, ALBERT_OK, "");
	put_varint(&model, 1 << 3 | 2);
	put_varint(&model, UINT64_MAX);
	expect("a length beyond the end", &model, NULL, ALBERT_FORMAT, "longer than its message");

	model.size = 0;
	put_pieces(&model);
	expect("settings that are no JSON", &model, "{", ALBERT_FORMAT, "tokenizer_config.json");
	expect("settings that are no object", &model, "12", ALBERT_FORMAT, "tokenizer_config.json");
	expect("do_lower_case is a number", &model, "{\"do_lower_case\": 3}", ALBERT_FORMAT, "do_lower_case");
	expect("a length of nothing", &model, "{\"model_max_length\": 0}", ALBERT_FORMAT, "model_max_length");
	expect("cls_token is a list", &model, "{\"cls_token\": []}", ALBERT_FORMAT, "cls_token");
	expect("no cls_token", &model, "{\"cls_token\": null}", ALBERT_FORMAT, "classification");
	expect("an id beyond all bounds", &model, "{\"added_tokens_decoder\": {\"99999999\": {\"content\": \"x\"}}}",
		   ALBERT_FORMAT, "added_tokens_decoder");
	expect("a token of its own", &model, "{\"cls_token\": \"[NEW]\"}", ALBERT_OK, "");
}

/* ---- the sentencepiece library's module ---- */

static void
test_library(const char *program)
{
	static Buffer model;
	AlbertTokenizerFiles files = {.spiece_model = {model.data, 0},.sentencepiece = "/nonexistent/albert_sentencepiece.so"};
	AlbertArena arena;
	AlbertBytes image;
	AlbertStatus status;
	char		path[1024];

	put_pieces(&model);
	files.spiece_model.size = model.size;
	AlbertArenaInitMalloc(&arena);
	CHECK(!AlbertTokenizerCompile(&files, 512, &arena, &image, &status) && status.code == ALBERT_UNSUPPORTED &&
		  strstr(status.detail, "/nonexistent/albert_sentencepiece.so") != NULL &&
		  strstr(status.hint, "libsentencepiece") != NULL, "without the library: %s %s", status.message, status.detail);

	/* one that cuts otherwise than the scores say is found out */
	snprintf(path, sizeof(path), "%.*s/wrong_sentencepiece.so", (int) (strrchr(program, '/') - program), program);
	files.sentencepiece = path;
	model.size = 0;
	for (int i = 0; i < 10; i++)
		put_piece(&model, "x", 0, 1);
	files.spiece_model.size = model.size;
	CHECK(!AlbertTokenizerCompile(&files, 512, &arena, &image, &status) && status.code == ALBERT_FORMAT &&
		  strstr(status.message, "cut otherwise") != NULL &&
		  strstr(status.detail, "\"\xe2\x96\x81the\", by the library \"\xe2\x96\x81 t h e\"") != NULL,
		  "a library that cuts otherwise: %s %s", status.message, status.detail);
	AlbertArenaFree(&arena);
}

/* An image whose header does not fit is refused before anything is read through it. */
static void
test_images(void)
{
	static Buffer model;
	Subject		subject;
	AlbertTokenizer tokenizer;
	AlbertStatus status;
	unsigned char *copy;
	size_t		size;
	int			refused = 0;

	put_pieces(&model);
	CHECK(open_model(&subject, &model, NULL), "open");
	size = subject.image.size;
	copy = aligned_alloc(64, size);
	memcpy(copy, subject.image.data, size);
	CHECK(AlbertTokenizerBind(copy, size, &tokenizer, &status), "a copy elsewhere binds");
	CHECK(!AlbertTokenizerBind(NULL, size, &tokenizer, &status), "no image");
	for (size_t cut = 0; cut < size; cut += cut < 1024 ? 8 : 997)
		CHECK(!AlbertTokenizerBind(copy, cut, &tokenizer, &status) && status.code == ALBERT_FORMAT,
			  "an image cut to %zu bytes binds", cut);
	/* magic, version, sizes and places of sections: any change there is seen, or harmless to bind */
	for (size_t at = 0; at < 24; at++)
	{
		copy[at] ^= 0x40;
		refused += !AlbertTokenizerBind(copy, size, &tokenizer, &status);
		copy[at] ^= 0x40;
	}
	CHECK(refused >= 20, "only %d of 24 damaged headers were refused", refused);
	for (size_t at = 24; at < 512; at++)
	{
		copy[at] ^= 0xFF;
		if (AlbertTokenizerBind(copy, size, &tokenizer, &status))
			CHECK(tokenizer.image == copy, "bound");
		copy[at] ^= 0xFF;
	}
	free(copy);
	subject_close(&subject);
}

int
main(int argc, char **argv)
{
	test_damaged_files();
	test_refusals();
	test_library(argv[0]);
	test_images();
	return unit_report();
}
