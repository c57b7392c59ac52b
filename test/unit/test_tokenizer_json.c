/*
 * test_tokenizer_json.c
 *	  vocab.txt as BertTokenizerFast has it, and tokenizer.json, against what the
 *	  reference makes of small files.
 */
#include "tokenizer_helpers.h"

#include "tokenizer_expected_bert.h"
#include "tokenizer_expected_json.h"

#define LENGTH(array)	((int) (sizeof(array) / sizeof((array)[0])))

/* ---- small files ---- */

static bool
open_record(const json_t *record, Subject *subject)
{
	const json_t *files = json_object_get(record, "files");
	const char *vocab = record_string(files, "vocab.txt");
	const char *config = record_string(files, "tokenizer_config.json");
	const char *pipeline = record_string(files, "tokenizer.json");
	AlbertTokenizerFiles bytes;

	memset(&bytes, 0, sizeof(bytes));
	if (vocab != NULL)
		bytes.vocab_txt = (AlbertBytes) {vocab, strlen(vocab)};
	if (config != NULL)
		bytes.tokenizer_config_json = (AlbertBytes) {config, strlen(config)};
	if (pipeline != NULL)
		bytes.tokenizer_json = (AlbertBytes) {pipeline, strlen(pipeline)};
	return subject_open(subject, &bytes, 512);
}

static bool
same_flat_offsets(const json_t *expected, const AlbertTokens *tokens)
{
	if ((int) json_array_size(expected) != 2 * tokens->n)
		return false;
	for (int i = 0; i < tokens->n; i++)
		if (json_integer_value(json_array_get(expected, 2 * i)) != tokens->items[i].start ||
			json_integer_value(json_array_get(expected, 2 * i + 1)) != tokens->items[i].stop)
			return false;
	return true;
}

static void
check_case(Subject *subject, const char *name, const json_t *expected)
{
	AlbertTokens *tokens = &subject->tokens;
	const json_t *text = json_object_get(expected, "text");
	const json_t *pair = json_object_get(expected, "pair");
	const json_t *types = json_object_get(expected, "types");
	const json_t *offsets = json_object_get(expected, "offsets");
	AlbertText	first = {json_string_value(text), json_string_length(text)};
	AlbertText	second = {json_string_value(pair), json_string_length(pair)};
	AlbertEncodeOptions options = {.special_tokens = true};
	AlbertText	decoded;
	int32_t		ids[1024];

	AlbertArenaReset(&subject->arena);
	CHECK(AlbertTokenizerEncode(&subject->tokenizer, &first, second.size == 0 ? NULL : &second, &options, &subject->arena,
								tokens, &subject->status), "%s: \"%s\": %s", name, first.data, subject->status.message);
	CHECK(same_ids(json_object_get(expected, "ids"), tokens->items, tokens->n), "%s: \"%s\": ids differ", name, first.data);
	if (types != NULL)
		CHECK(same_types(types, tokens->items, tokens->n), "%s: \"%s\": types differ", name, first.data);
	if (offsets != NULL)
		CHECK(same_flat_offsets(offsets, tokens), "%s: \"%s\": offsets differ", name, first.data);
	for (int i = 0; i < tokens->n && i < 1024; i++)
		ids[i] = tokens->items[i].id;
	CHECK(AlbertTokenizerDecode(&subject->tokenizer, ids, tokens->n, false, false, &subject->arena, &decoded,
								&subject->status) && strcmp(decoded.data, record_string(expected, "whole")) == 0,
		  "%s: decoded \"%s\", not \"%s\"", name, decoded.data, record_string(expected, "whole"));
	CHECK(AlbertTokenizerDecode(&subject->tokenizer, ids, tokens->n, true, true, &subject->arena, &decoded,
								&subject->status) && strcmp(decoded.data, record_string(expected, "clean")) == 0,
		  "%s: decoded \"%s\", not \"%s\"", name, decoded.data, record_string(expected, "clean"));
}

static void
test_expected(const char *const *lines, int count)
{
	Subject		subject;
	json_t	   *head = NULL;
	int			cases = 0;

	for (int i = 0; i < count; i++)
	{
		json_t	   *line = json_loads(lines[i], JSON_ALLOW_NUL, NULL);

		CHECK(line != NULL, "line %d is not JSON", i);
		if (json_object_get(line, "files") == NULL)
		{
			check_case(&subject, record_string(head, "name"), line);
			cases++;
			json_decref(line);
			continue;
		}
		if (head != NULL)
			subject_close(&subject);
		json_decref(head);
		head = line;
		CHECK(open_record(head, &subject), "%s: %s %s", record_string(head, "name"), subject.status.message,
			  subject.status.detail);
	}
	CHECK(cases > 100, "only %d cases", cases);
	subject_close(&subject);
	json_decref(head);
}

/* ---- refusals ---- */

static void
expect(const char *what, const char *json, AlbertCode code, const char *words)
{
	AlbertTokenizerFiles files;
	Subject		subject;
	bool		opened;

	memset(&files, 0, sizeof(files));
	files.tokenizer_json = (AlbertBytes) {json, strlen(json)};
	opened = subject_open(&subject, &files, 512);
	CHECK(opened == (code == ALBERT_OK), "%s: %s", what, opened ? "was taken" : subject.status.message);
	if (!opened)
		CHECK(subject.status.code == code &&
			  (strstr(subject.status.message, words) != NULL || strstr(subject.status.detail, words) != NULL),
			  "%s: code %d, \"%s\" \"%s\"", what, subject.status.code, subject.status.message, subject.status.detail);
	subject_close(&subject);
}

#define UNIGRAM	"\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1]]}"

static void
test_refusals(void)
{
	expect("nothing", "", ALBERT_FORMAT, "JSON");
	expect("no object", "[]", ALBERT_FORMAT, "holds an array where an object is expected");
	expect("no model", "{}", ALBERT_FORMAT, "model");
	expect("a model that is none", "{\"model\":3}", ALBERT_FORMAT, "model");
	expect("the least there can be", "{" UNIGRAM "}", ALBERT_OK, "");
	expect("BPE", "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", ALBERT_UNSUPPORTED,
		   "tokenizer.json has the model \"BPE\"");
	expect("byte fallback", "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"a\",-1]]}}",
		   ALBERT_UNSUPPORTED, "byte_fallback");
	expect("no unknown piece", "{\"model\":{\"type\":\"Unigram\",\"unk_id\":null,\"vocab\":[[\"a\",-1]]}}",
		   ALBERT_UNSUPPORTED, "unknown piece");
	expect("an empty vocabulary", "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[]}}", ALBERT_FORMAT, "vocabulary");
	expect("WordPiece without [UNK]", "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", ALBERT_FORMAT,
		   "tokenizer.json is malformed");
	expect("WordPiece with a wild id", "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":1e12}}}", ALBERT_FORMAT, "vocabulary");
	expect("a strange normalizer", "{\"normalizer\":{\"type\":\"ByteLevel\"}," UNIGRAM "}", ALBERT_UNSUPPORTED, "ByteLevel");
	expect("a strange pre-tokenizer", "{\"pre_tokenizer\":{\"type\":\"Digits\"}," UNIGRAM "}", ALBERT_UNSUPPORTED, "Digits");
	expect("a strange post-processor", "{\"post_processor\":{\"type\":\"RobertaProcessing\"}," UNIGRAM "}",
		   ALBERT_UNSUPPORTED, "RobertaProcessing");
	expect("a strange decoder", "{\"decoder\":{\"type\":\"BPEDecoder\"}," UNIGRAM "}", ALBERT_UNSUPPORTED, "BPEDecoder");
	expect("a strange pattern", "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a+\"},\"content\":\"b\"}," UNIGRAM "}",
		   ALBERT_UNSUPPORTED, "a+");
	expect("a long pattern", "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"abcdefghijklmnopq\"},\"content\":\"b\"}," UNIGRAM "}",
		   ALBERT_UNSUPPORTED, "abcdefghijklmnopq");
	expect("a long prefix", "{\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"################\"}," UNIGRAM "}",
		   ALBERT_UNSUPPORTED, "################");
	expect("a pre-tokenizer behind a Metaspace", "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
		   "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\"},{\"type\":\"BertPreTokenizer\"}]}," UNIGRAM "}",
		   ALBERT_UNSUPPORTED, "behind a \"Metaspace\"");
	expect("another word mark", "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}," UNIGRAM "}",
		   ALBERT_UNSUPPORTED, "word mark");
	expect("a broken character map", "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}," UNIGRAM "}",
		   ALBERT_FORMAT, "character map");
	expect("no base64", "{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"A!\"}," UNIGRAM "}",
		   ALBERT_FORMAT, "character map");
	expect("a template with a wild id", "{\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",9],\"cls\":[\"c\",8]}," UNIGRAM "}",
		   ALBERT_FORMAT, "template");
}

/* Cuts and single changes of a record's files: no crash, and a reason when refused. */
static void
damage(const json_t *record, uint32_t seed)
{
	const json_t *contents = json_object_get(record, "files");
	const char *vocab = record_string(contents, "vocab.txt");
	const char *whole = vocab != NULL ? vocab : record_string(contents, "tokenizer.json");
	size_t		size = strlen(whole);
	int			refused = 0;

	for (int round = 0; round < 600; round++)
	{
		char	   *copy = malloc(size + 1);
		size_t		length = size;
		AlbertTokenizerFiles files;
		Subject		subject;

		memset(&files, 0, sizeof(files));
		memcpy(copy, whole, size);
		seed = seed * 1664525u + 1013904223u;
		if (round % 3 == 0)
			length = (seed >> 4) % size;
		else
			copy[(seed >> 4) % size] = (char) (seed >> 24);
		*(vocab != NULL ? &files.vocab_txt : &files.tokenizer_json) = (AlbertBytes) {copy, length};
		if (!subject_open(&subject, &files, 512))
		{
			refused++;
			CHECK(subject.status.code != ALBERT_OK && subject.status.code != ALBERT_INTERNAL &&
				  subject.status.message[0] != '\0', "refused without a reason");
		}
		else
			subject_encode(&subject, "The capital of [MASK], unable cafés 日本 \x01", "2010", ALBERT_TRUNCATE_LONGEST, 20);
		subject_close(&subject);
		free(copy);
	}
	printf("%s: %d of 600 damaged files refused\n", record_string(record, "name"), refused);
}

static void
test_damage(const char *const *lines, int count)
{
	for (int i = 0; i < count; i++)
	{
		json_t	   *line = json_loads(lines[i], JSON_ALLOW_NUL, NULL);

		if (json_object_get(line, "files") != NULL)
			damage(line, (uint32_t) i + 1);
		json_decref(line);
	}
}

int
main(void)
{
	test_expected(tokenizer_expected_bert, LENGTH(tokenizer_expected_bert));
	test_expected(tokenizer_expected_json, LENGTH(tokenizer_expected_json));
	test_refusals();
	test_damage(tokenizer_expected_bert, LENGTH(tokenizer_expected_bert));
	test_damage(tokenizer_expected_json, LENGTH(tokenizer_expected_json));
	return unit_report();
}
