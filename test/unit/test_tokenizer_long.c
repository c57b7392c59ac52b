/*
 * test_tokenizer_long.c
 *	  Long texts of the worst kinds: memory and time grow linearly with the
 *	  text, and an interrupt is seen at once.
 */
#include "tokenizer_helpers.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#define MEMORY_A_BYTE	64
#define SLOWER_THAN_PROSE	40	/* the goal is 5; machines are busy, and what is quadratic takes thousands of times as long */
#define FIXED_MEMORY	(1 << 20)	/* of a short text too */

/* ---- an arena that knows how much it held at most ---- */

typedef struct Meter
{
	size_t		held;
	size_t		most;
} Meter;

static void *
meter_get(void *context, size_t size)
{
	Meter	   *meter = context;
	size_t	   *block = malloc(size + 16);

	if (block == NULL)
		return NULL;
	block[0] = size;
	meter->held += size;
	if (meter->held > meter->most)
		meter->most = meter->held;
	return block + 2;
}

static void
meter_put(void *context, void *block)
{
	Meter	   *meter = context;
	size_t	   *start = (size_t *) block - 2;

	meter->held -= start[0];
	free(start);
}

/* ---- tokenizers ---- */

static const char *const vocab_txt = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncapital\n##ital\ncap\nof\na\n##a\n1\n,\n.\nis\n日\n";

static const char *const unigram_json =
"{\"added_tokens\":[{\"id\":2,\"content\":\"[CLS]\",\"special\":true,\"normalized\":false},"
"{\"id\":3,\"content\":\"[SEP]\",\"special\":true,\"normalized\":false},"
"{\"id\":4,\"content\":\"[MASK]\",\"special\":true,\"normalized\":false,\"lstrip\":true},"
"{\"id\":20,\"content\":\"The New\",\"normalized\":true,\"lstrip\":true,\"rstrip\":true,\"single_word\":true}],"
"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},"
"{\"type\":\"NFKD\"},{\"type\":\"Lowercase\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]},"
"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\"},"
"\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"<pad>\",0],[\"<unk>\",0],[\"[CLS]\",0],[\"[SEP]\",0],[\"[MASK]\",0],"
"[\"\xe2\x96\x81\",-2],[\"\xe2\x96\x81the\",-3],[\"\xe2\x96\x81""capital\",-4],[\"a\",-5],[\"aa\",-6],[\"aaa\",-7],[\"1\",-5],[\",\",-5],"
"[\"\xcc\x81\",-8],[\"i\",-6],[\"s\",-6],[\"t\",-6],[\"h\",-6],[\"e\",-6]]}}";

static const struct
{
	const char *name;
	const char *directory;		/* of the reference, whose spiece.model is read; or */
	const char *vocab;
	const char *json;
	const char *config;
}			kinds[] = {
	{"spiece.model", "real30k", NULL, NULL, NULL},
	{"vocab.txt", NULL, "vocab", NULL, NULL},
	{"vocab.txt, cased", NULL, "vocab", NULL, "{\"do_lower_case\": false}"},
	{"tokenizer.json", NULL, NULL, "json", NULL},
};

static bool
open_kind(int k, Subject *subject)
{
	AlbertTokenizerFiles files;
	char		path[1024];
	Files		read;
	bool		good;

	memset(&read, 0, sizeof(read));
	memset(&files, 0, sizeof(files));
	if (kinds[k].directory != NULL)
	{
		snprintf(path, sizeof(path), "%s/tokenizers/%s", unit_reference(), kinds[k].directory);
		read_tokenizer_files(path, &read);
		files.spiece_model = read.files.spiece_model;
	}
	if (kinds[k].vocab != NULL)
		files.vocab_txt = (AlbertBytes) {vocab_txt, strlen(vocab_txt)};
	if (kinds[k].json != NULL)
		files.tokenizer_json = (AlbertBytes) {unigram_json, strlen(unigram_json)};
	if (kinds[k].config != NULL)
		files.tokenizer_config_json = (AlbertBytes) {kinds[k].config, strlen(kinds[k].config)};
	good = subject_open(subject, &files, 512);
	CHECK(good, "%s: %s %s", kinds[k].name, subject->status.message, subject->status.detail);
	free_tokenizer_files(&read);
	return good;
}

/* ---- texts ---- */

static const char *const units[][2] = {
	{"prose", "The capital of France is a city on the river, and its name is known to all. "},
	{"prose with an accent", "The capital of Fr\xc3\xa0nce is a city on the river, and its name is known to all. "},
	{"marks in alternating order", "\xcc\x81\xcc\xa3"},
	{"letters with many marks", "a\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3"},
	{"digits and commas", "1,"},
	{"a character that stands for a phrase", "\xef\xb7\xba"},
	{"a character that stands for a word", "\xe3\x8c\x96"},
	{"one word", "a"},
	{"one word with accents", "\xc3\xa1"},
	{"ideographs", "\xe6\x97\xa5\xe6\x9c\xac"},
	{"unknown characters", "\xf0\x9f\x98\x80"},
	{"masks", "[MASK]"},
	{"masks and spaces", "        [MASK]"},
	{"half a mask", "[MASK"},
	{"added tokens in normalized form", "The New "},
	{"half of one", "The Ne"},
	{"spaces", " "},
	{"characters that the map deletes", "\xe2\x80\x8b"},
	{"joined emoji", "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd\xe2\x80\x8d"},
	{"syllables", "\xed\x95\x9c\xea\xb5\xad"},
	{"a ligature", "\xef\xac\x83"},
};

#define UNITS	((int) (sizeof(units) / sizeof(units[0])))

/* What comes first is unlike the rest, so that nothing can be told from it. */
static char *
make_text(const char *unit, size_t size)
{
	static const char first[] = "a[MASK]";
	char	   *text = malloc(size + 1);
	size_t		length = strlen(unit);
	size_t		n = strlen(first);

	memcpy(text, first, n);
	for (; n + length <= size; n += length)
		memcpy(text + n, unit, length);
	text[n] = '\0';
	return text;
}

static double
seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* Encode so much of a unit; the time a byte and the memory a byte are told. */
static void
measure(Subject *subject, const char *kind, int unit, size_t size, double *time, double *memory)
{
	AlbertEncodeOptions options = {.special_tokens = true};
	char	   *data = make_text(units[unit][1], size);
	AlbertText	text = {data, strlen(data)};
	Meter		meter = {0, 0};
	AlbertArena arena;
	double		start = seconds();
	AlbertTokens tokens;

	AlbertArenaInit(&arena, meter_get, meter_put, &meter);
	CHECK(AlbertTokenizerEncode(&subject->tokenizer, &text, NULL, &options, &arena, &tokens, &subject->status),
		  "%s, %s: %s", kind, units[unit][0], subject->status.message);
	*time = (seconds() - start) / text.size;
	*memory = meter.most < FIXED_MEMORY ? 0 : (double) (meter.most - FIXED_MEMORY) / text.size;
	AlbertArenaFree(&arena);
	free(data);
}

static void
test_kind(int k, size_t size, int first, int behind)
{
	Subject		subject;
	double		prose = 0;

	if (!open_kind(k, &subject))
		return;
	for (int unit = first; unit < behind; unit++)
	{
		double		time;
		double		memory;

		measure(&subject, kinds[k].name, unit, size, &time, &memory);
		if (unit == 0)
			prose = time;
		CHECK(memory <= MEMORY_A_BYTE, "%s, %s: %.1f bytes a byte", kinds[k].name, units[unit][0], memory);
		CHECK(time <= SLOWER_THAN_PROSE * prose, "%s, %s: %.0f ns a byte, prose %.0f", kinds[k].name, units[unit][0],
			  time * 1e9, prose * 1e9);
		if (getenv("ALBERT_UNIT_VERBOSE") != NULL)
			printf("%-18s %-40s %6.1f ns, %5.1f bytes of memory a byte\n", kinds[k].name, units[unit][0],
				   time * 1e9, memory);
	}
	subject_close(&subject);
}

/* ---- interrupts ---- */

static volatile sig_atomic_t interrupt;

static void
raise_interrupt(int signal)
{
	interrupt = 1;
}

static void
test_interrupt(int k, int unit)
{
	AlbertEncodeOptions options = {.special_tokens = true,.interrupt = &interrupt};
	struct itimerval timer = {.it_value = {.tv_usec = 5000}};
	char	   *data = make_text(units[unit][1], 16 << 20);
	AlbertText	text = {data, strlen(data)};
	Subject		subject;
	double		start;
	AlbertTokens tokens;

	if (!open_kind(k, &subject))
		return;
	interrupt = 0;
	signal(SIGPROF, raise_interrupt);
	start = seconds();
	setitimer(ITIMER_PROF, &timer, NULL);
	CHECK(!AlbertTokenizerEncode(&subject.tokenizer, &text, NULL, &options, &subject.arena, &tokens, &subject.status) &&
		  subject.status.code == ALBERT_CANCELLED, "%s, %s: not interrupted", kinds[k].name, units[unit][0]);
	CHECK(seconds() - start < 2, "%s, %s: interrupted after %.2f s", kinds[k].name, units[unit][0], seconds() - start);
	subject_close(&subject);
	free(data);
}

int
main(void)
{
	for (int k = 0; k < (int) (sizeof(kinds) / sizeof(kinds[0])); k++)
	{
		test_kind(k, 1 << 19, 0, UNITS);
		for (int unit = 0; unit < 3; unit++)
			test_interrupt(k, unit);
	}
	test_kind(0, 10 << 20, 0, 7);
	return unit_report();
}
