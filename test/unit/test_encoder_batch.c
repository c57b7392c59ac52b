/*
 * test_encoder_batch.c
 *	  What holds for every model, whatever its weights: a row's result does not
 *	  depend on its company, cancels are obeyed, memory is as told and its
 *	  lack is survived, bad input is refused, pooling is arithmetic.
 */
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "synthetic.h"
#include "pooled.h"
#include "unit.h"

#define NTEXTS		11
#define MAX_TOKENS	400

static const int lengths[NTEXTS] = {1, 2, 3, 5, 7, 8, 13, 24, 33, 47, 70};

static const AlbertConfig shapes[] = {
	{.vocab_size = 120,.embedding_size = 19,.hidden_size = 36,.num_hidden_layers = 3,
		.num_hidden_groups = 2,.inner_group_num = 2,.num_attention_heads = 3,
		.intermediate_size = 50,.max_position_embeddings = 80,.type_vocab_size = 2,
		.num_labels = 5,.hidden_act = ALBERT_ACT_GELU_NEW,.layer_norm_eps = 1e-12f},
	{.vocab_size = 333,.embedding_size = 32,.hidden_size = 128,.num_hidden_layers = 3,
		.num_hidden_groups = 1,.inner_group_num = 1,.num_attention_heads = 2,
		.intermediate_size = 512,.max_position_embeddings = 80,.type_vocab_size = 2,
		.num_labels = 3,.hidden_act = ALBERT_ACT_GELU,.layer_norm_eps = 1e-12f},
	{.architecture = ALBERT_ARCHITECTURE_BERT,.vocab_size = 150,.embedding_size = 48,.hidden_size = 48,
		.num_hidden_layers = 2,.num_hidden_groups = 2,.inner_group_num = 1,.num_attention_heads = 4,
		.intermediate_size = 100,.max_position_embeddings = 80,.type_vocab_size = 2,
		.num_labels = 4,.hidden_act = ALBERT_ACT_GELU,.layer_norm_eps = 1e-12f},
};

typedef struct Texts
{
	int32_t		ids[MAX_TOKENS];
	uint8_t		types[MAX_TOKENS];
	int32_t		start[NTEXTS + 1];
} Texts;

static uint64_t seed = 20240607;

static int
random_below(int n)
{
	return (int) ((synthetic_random(&seed) + 1) / 2 * n) % n;
}

static void
make_texts(const AlbertConfig *config, Texts *texts)
{
	texts->start[0] = 0;
	for (int t = 0; t < NTEXTS; t++)
		texts->start[t + 1] = texts->start[t] + lengths[t];
	for (int i = 0; i < texts->start[NTEXTS]; i++)
	{
		texts->ids[i] = random_below(config->vocab_size);
		texts->types[i] = random_below(config->type_vocab_size);
	}
}

static bool
same_rows(const float *a, const float *b, int width)
{
	return memcmp(a, b, width * sizeof(float)) == 0;
}

static float *
row_of(const AlbertRows *rows, int i)
{
	return rows->data + (size_t) i * rows->ld;
}

/* ---- independence of the batch ---- */

typedef struct Alone
{
	AlbertRows	hidden[NTEXTS];
	AlbertRows	mlm[NTEXTS];
	AlbertRows	qa[NTEXTS];
	AlbertRows	labels[NTEXTS];
	AlbertRows	pooled[NTEXTS];
	AlbertRows	order[NTEXTS];
	AlbertRows	vector[NTEXTS];
} Alone;

#define EVERY_POOLING	(ALBERT_POOL_CLS | ALBERT_POOL_MAX | ALBERT_POOL_MEAN | \
						 ALBERT_POOL_MEAN_SQRT_LEN | ALBERT_POOL_POOLER)

static bool
all_heads(const AlbertModel *model, const AlbertBatch *batch, const AlbertRows *hidden,
		  const AlbertRun *run, AlbertRows *mlm, AlbertRows *qa, AlbertRows *labels,
		  AlbertRows *vector, AlbertStatus *status)
{
	return AlbertHeadMlm(model, hidden, run, mlm, status) &&
		AlbertHeadQuestionAnswering(model, hidden, run, qa, status) &&
		AlbertHeadClassifier(model, hidden, run, labels, status) &&
		pool_whole(model, batch, hidden, EVERY_POOLING, false, true, run, vector, status);
}

static void
run_alone(const AlbertModel *model, const Texts *texts, AlbertArena *arena, Alone *alone)
{
	AlbertRun	run = {.arena = arena};
	AlbertStatus status;

	for (int t = 0; t < NTEXTS; t++)
	{
		int32_t		start[2] = {0, lengths[t]};
		AlbertBatch batch = {.ntexts = 1,.ntokens = lengths[t],.ids = texts->ids + texts->start[t],
		.types = texts->types + texts->start[t],.text_start = start};
		AlbertRows	first;
		bool		ok;

		ok = AlbertEncode(model, &batch, &run, &alone->hidden[t], &status) &&
			all_heads(model, &batch, &alone->hidden[t], &run, &alone->mlm[t], &alone->qa[t],
					  &alone->labels[t], &alone->vector[t], &status);
		first = alone->hidden[t];
		first.n = 1;
		ok = ok && AlbertHeadPooler(model, &first, &run, &alone->pooled[t], &status) &&
			AlbertHeadSentenceOrder(model, &alone->pooled[t], &run, &alone->order[t], &status);
		CHECK(ok, "text %d alone: %s", t, ok ? "" : status.message);
		if (!ok)
			exit(unit_report());
	}
}

/* A batch of some texts in some order; where each of its rows comes from. */
typedef struct Mixed
{
	int			ntexts;
	int			text[2 * NTEXTS];
	int32_t		start[2 * NTEXTS + 1];
	int32_t		ids[2 * MAX_TOKENS];
	uint8_t		types[2 * MAX_TOKENS];
	int32_t		wanted[2 * MAX_TOKENS];
	int			nwanted;
} Mixed;

static void
mix(const Texts *texts, int ntexts, Mixed *mixed)
{
	mixed->ntexts = ntexts;
	mixed->start[0] = 0;
	for (int i = 0; i < ntexts; i++)
	{
		int			t = random_below(NTEXTS);

		mixed->text[i] = t;
		memcpy(mixed->ids + mixed->start[i], texts->ids + texts->start[t],
			   lengths[t] * sizeof(int32_t));
		memcpy(mixed->types + mixed->start[i], texts->types + texts->start[t], lengths[t]);
		mixed->start[i + 1] = mixed->start[i] + lengths[t];
	}
}

/* kind 0: all rows; 1: first rows; 2: about one in five; 3: all but some; 4: one row of the batch */
static void
choose_wanted(Mixed *mixed, int kind)
{
	int			ntokens = mixed->start[mixed->ntexts];
	int			only = random_below(ntokens);

	mixed->nwanted = 0;
	for (int i = 0, text = 0; i < ntokens; i++)
	{
		bool		take;

		while (i >= mixed->start[text + 1])
			text++;
		take = kind == 0 || (kind == 1 && i == mixed->start[text]) ||
			(kind == 2 && random_below(5) == 0) || (kind == 3 && random_below(5) != 0) ||
			(kind == 4 && i == only);
		if (take)
			mixed->wanted[mixed->nwanted++] = i;
	}
}

static AlbertBatch
batch_of(const Mixed *mixed, bool with_wanted)
{
	AlbertBatch batch = {.ntexts = mixed->ntexts,.ntokens = mixed->start[mixed->ntexts],
		.ids = mixed->ids,.types = mixed->types,.text_start = mixed->start};

	if (with_wanted)
	{
		batch.wanted = mixed->wanted;
		batch.nwanted = mixed->nwanted;
	}
	return batch;
}

/* The row computed alone that the batch's token is. */
static const float *
alone_row(const Mixed *mixed, const AlbertRows *alone, int token)
{
	int			text = 0;

	while (token >= mixed->start[text + 1])
		text++;
	return row_of(&alone[mixed->text[text]], token - mixed->start[text]);
}

static int
count_different(const Mixed *mixed, const AlbertRows *alone, const AlbertRows *rows,
				const int32_t *tokens)
{
	int			different = 0;

	for (int i = 0; i < rows->n; i++)
		if (!same_rows(row_of(rows, i), alone_row(mixed, alone, tokens != NULL ? tokens[i] : i),
					   rows->width))
			different++;
	return different;
}

static void
check_text_heads(const AlbertModel *model, const Mixed *mixed, const Alone *alone,
				 const AlbertRows *hidden, const AlbertRun *run, const char *what)
{
	AlbertRows	pooled;
	AlbertRows	order;
	AlbertStatus status;
	int			different = 0;

	if (!AlbertHeadPooler(model, hidden, run, &pooled, &status) ||
		!AlbertHeadSentenceOrder(model, &pooled, run, &order, &status))
	{
		CHECK(false, "%s: %s", what, status.message);
		return;
	}
	for (int i = 0; i < mixed->ntexts; i++)
		if (!same_rows(row_of(&pooled, i), alone->pooled[mixed->text[i]].data, pooled.width) ||
			!same_rows(row_of(&order, i), alone->order[mixed->text[i]].data, 2))
			different++;
	CHECK(different == 0, "%s: pooler or sentence order of %d of %d texts differs from alone",
		  what, different, mixed->ntexts);
}

static void
check_mixed(const AlbertModel *model, const Mixed *mixed, const Alone *alone, int kind,
			const AlbertRun *run, const char *what)
{
	AlbertBatch batch = batch_of(mixed, kind != 0);
	AlbertRows	hidden;
	AlbertRows	mlm;
	AlbertRows	qa;
	AlbertRows	labels;
	AlbertRows	vector;
	AlbertStatus status;
	const int32_t *tokens = batch.wanted;
	int			different;

	if (!AlbertEncode(model, &batch, run, &hidden, &status))
	{
		CHECK(false, "%s: %s", what, status.message);
		return;
	}
	CHECK(hidden.n == (kind == 0 ? batch.ntokens : mixed->nwanted), "%s: %d rows", what, hidden.n);
	different = count_different(mixed, alone->hidden, &hidden, tokens);
	CHECK(different == 0, "%s: %d of %d hidden rows differ from alone", what, different, hidden.n);
	if (kind == 1)
		check_text_heads(model, mixed, alone, &hidden, run, what);
	if (kind != 0)
		return;
	if (!all_heads(model, &batch, &hidden, run, &mlm, &qa, &labels, &vector, &status))
	{
		CHECK(false, "%s: %s", what, status.message);
		return;
	}
	different = count_different(mixed, alone->mlm, &mlm, NULL) +
		count_different(mixed, alone->qa, &qa, NULL) +
		count_different(mixed, alone->labels, &labels, NULL);
	CHECK(different == 0, "%s: %d rows of heads differ from alone", what, different);
	for (int i = different = 0; i < mixed->ntexts; i++)
		different += !same_rows(row_of(&vector, i), alone->vector[mixed->text[i]].data, vector.width);
	CHECK(different == 0, "%s: %d vectors differ from alone", what, different);
}

static void
test_independence(const AlbertModel *model, const char *name)
{
	static const int block_rows[] = {0, 1, 2, 5, 7, 16, 17, 48, 64, 100};
	AlbertArena arena;
	AlbertArena alone_arena;
	Alone		alone;
	Texts		texts;
	static Mixed mixed;

	AlbertArenaInitMalloc(&arena);
	AlbertArenaInitMalloc(&alone_arena);
	make_texts(model->config, &texts);
	run_alone(model, &texts, &alone_arena, &alone);
	for (int i = 0; i < (UNIT_IS_EMULATED ? 10 : 40); i++)
	{
		AlbertRun	run = {.arena = &arena,.block_rows = block_rows[i % 10]};
		int			kind = i % 5;
		char		what[200];

		mix(&texts, 1 + random_below(2 * NTEXTS), &mixed);
		choose_wanted(&mixed, kind);
		snprintf(what, sizeof(what), "%s, hidden %d, %d texts, wanted kind %d, blocks of %d", name,
				 model->config->hidden_size, mixed.ntexts, kind, run.block_rows);
		check_mixed(model, &mixed, &alone, kind, &run, what);
		AlbertArenaReset(&arena);
	}
	AlbertArenaFree(&arena);
	AlbertArenaFree(&alone_arena);
}

/* ---- traces ---- */

typedef struct Seen
{
	int			layers;
	int			attentions;
	int			broken;			/* a layer's input is not the one before's output */
	double		worst_sum;		/* of attention probabilities */
	float	   *last;			/* (ntokens, hidden) */
} Seen;

static void
see_layer(void *context, int layer, int ntokens, int hidden_size,
		  const float *input, int ld_input, const float *output, int ld_output)
{
	Seen	   *seen = context;

	for (int i = 0; i < ntokens; i++)
	{
		float	   *last = seen->last + (size_t) i * hidden_size;

		if (layer > 0 && !same_rows(last, input + (size_t) i * ld_input, hidden_size))
			seen->broken++;
		memcpy(last, output + (size_t) i * ld_output, hidden_size * sizeof(float));
	}
	seen->broken += layer != seen->layers;
	seen->layers++;
}

static bool
wants_odd(void *context, int layer)
{
	return layer % 2 == 1;
}

static void
see_attention(void *context, int layer, int text, int heads, int len, const float *probs)
{
	Seen	   *seen = context;

	for (int row = 0; row < heads * len; row++)
	{
		double		sum = 0;

		for (int i = 0; i < len; i++)
			sum += probs[(size_t) row * len + i];
		if (fabs(sum - 1) > seen->worst_sum)
			seen->worst_sum = fabs(sum - 1);
	}
	seen->attentions++;
}

static void
test_trace(const AlbertModel *model, const char *name)
{
	int			applications = model->config->num_hidden_layers * model->config->inner_group_num;
	Seen		seen = {0};
	AlbertTrace trace = {&seen, see_layer, wants_odd, see_attention};
	AlbertArena arena;
	AlbertRun	plain = {.arena = &arena};
	AlbertRun	traced = {.arena = &arena,.trace = &trace};
	AlbertRows	expected;
	AlbertRows	hidden;
	AlbertStatus status;
	Texts		texts;
	static Mixed mixed;
	AlbertBatch batch;
	bool		ok;
	int			different = 0;

	AlbertArenaInitMalloc(&arena);
	make_texts(model->config, &texts);
	mix(&texts, 7, &mixed);
	choose_wanted(&mixed, 2);
	batch = batch_of(&mixed, true);
	seen.last = malloc((size_t) batch.ntokens * model->config->hidden_size * sizeof(float));
	ok = AlbertEncode(model, &batch, &plain, &expected, &status) &&
		AlbertEncode(model, &batch, &traced, &hidden, &status);
	CHECK(ok, "%s: trace: %s", name, ok ? "" : status.message);
	for (int i = 0; ok && i < hidden.n; i++)
	{
		different += !same_rows(row_of(&expected, i), row_of(&hidden, i), hidden.width);
		different += !same_rows(seen.last + (size_t) mixed.wanted[i] * hidden.width,
								row_of(&hidden, i), hidden.width);
	}
	CHECK(different == 0, "%s: a traced run differs in %d rows", name, different);
	CHECK(seen.layers == applications && seen.broken == 0,
		  "%s: %d of %d layers seen, %d rows broken", name, seen.layers, applications, seen.broken);
	CHECK(seen.attentions == applications / 2 * batch.ntexts,
		  "%s: attention of %d texts seen", name, seen.attentions);
	CHECK(seen.worst_sum < 1e-5, "%s: attention sums to 1 within %g", name, seen.worst_sum);
	free(seen.last);
	AlbertArenaFree(&arena);
}

/* ---- bad input ---- */

/* code ALBERT_OK: to be accepted */
static void
expect_code(const AlbertModel *model, const AlbertBatch *batch, AlbertCode code, const char *what)
{
	AlbertArena arena;
	AlbertRun	run = {.arena = &arena};
	AlbertRows	hidden;
	AlbertStatus status = {0};
	bool		ok;

	AlbertArenaInitMalloc(&arena);
	ok = AlbertEncode(model, batch, &run, &hidden, &status);
	CHECK(ok == (code == ALBERT_OK) && status.code == code && ok == (status.message[0] == '\0'),
		  "%s: %s (%d) %s", what, ok ? "accepted" : "refused", status.code, status.message);
	AlbertArenaFree(&arena);
}

static void
test_input(const AlbertModel *model)
{
	int32_t		ids[200] = {1, 2, 3, 4, 5};
	uint8_t		types[200] = {0, 0, 1, 1, 0};
	int32_t		start[3] = {0, 3, 5};
	int32_t		wanted[3] = {0, 2, 4};
	const AlbertBatch good = {.ntexts = 2,.ntokens = 5,.ids = ids,.types = types,.text_start = start,
	.nwanted = 3,.wanted = wanted};
	AlbertBatch batch = good;

	expect_code(model, &good, ALBERT_OK, "good batch");
	ids[3] = -1;
	expect_code(model, &good, ALBERT_INPUT, "negative id");
	ids[3] = model->config->vocab_size;
	expect_code(model, &good, ALBERT_INPUT, "id past the vocabulary");
	ids[3] = model->config->vocab_size - 1;
	expect_code(model, &good, ALBERT_OK, "last id");
	types[4] = model->config->type_vocab_size;
	expect_code(model, &good, ALBERT_INPUT, "type past the last");
	types[4] = 0;
	batch.ntexts = 0;
	expect_code(model, &batch, ALBERT_INPUT, "no text");
	batch = good;
	start[1] = 0;
	expect_code(model, &good, ALBERT_INPUT, "empty text");
	start[1] = 5;
	expect_code(model, &good, ALBERT_INPUT, "empty last text");
	start[1] = 7;
	expect_code(model, &good, ALBERT_INPUT, "text that ends before it starts");
	start[1] = 3;
	batch.ntokens = 6;
	expect_code(model, &batch, ALBERT_INTERNAL, "texts that leave tokens out");
	wanted[1] = 0;
	expect_code(model, &good, ALBERT_INPUT, "wanted row twice");
	wanted[1] = 4;
	expect_code(model, &good, ALBERT_INPUT, "wanted rows not ascending");
	wanted[1] = 2;
	wanted[2] = 5;
	expect_code(model, &good, ALBERT_INPUT, "wanted row past the end");
	wanted[2] = 4;
	wanted[0] = -1;
	expect_code(model, &good, ALBERT_INPUT, "negative wanted row");
	wanted[0] = 0;
	batch = good;
	batch.ntexts = 1;
	start[1] = batch.ntokens = model->config->max_position_embeddings + 1;
	expect_code(model, &batch, ALBERT_INPUT, "text longer than the positions");
	start[1] = batch.ntokens = model->config->max_position_embeddings;
	expect_code(model, &batch, ALBERT_OK, "text as long as the positions");
	batch.nwanted = 0;
	expect_code(model, &batch, ALBERT_OK, "no row wanted");
}

static void
test_missing_heads(const AlbertModel *model)
{
	AlbertModel bare = *model;
	AlbertConfig headless = *model->config;
	AlbertArena arena;
	AlbertRun	run = {.arena = &arena};
	AlbertRows	rows = {0};
	AlbertRows	out;
	AlbertStatus status;

	headless.heads = 0;
	bare.config = &headless;
	rows.width = model->config->hidden_size;
	AlbertArenaInitMalloc(&arena);
#define REFUSED(call, expected) \
	do { \
		status.code = ALBERT_OK; \
		CHECK(!(call) && status.code == expected, #call ": %d", status.code); \
	} while (0)
	REFUSED(AlbertHeadPooler(&bare, &rows, &run, &out, &status), ALBERT_UNSUPPORTED);
	REFUSED(AlbertHeadMlm(&bare, &rows, &run, &out, &status), ALBERT_UNSUPPORTED);
	REFUSED(AlbertHeadSentenceOrder(&bare, &rows, &run, &out, &status), ALBERT_UNSUPPORTED);
	REFUSED(AlbertHeadClassifier(&bare, &rows, &run, &out, &status), ALBERT_UNSUPPORTED);
	REFUSED(AlbertHeadQuestionAnswering(&bare, &rows, &run, &out, &status), ALBERT_UNSUPPORTED);
	rows.width--;
	REFUSED(AlbertHeadPooler(model, &rows, &run, &out, &status), ALBERT_INTERNAL);
	REFUSED(AlbertHeadMlm(model, &rows, &run, &out, &status), ALBERT_INTERNAL);
#undef REFUSED
	AlbertArenaFree(&arena);
}

/* ---- pooling ---- */

static void
check_vector(const char *what, const float *got, const double *expected, int n)
{
	double		worst = 0;

	for (int i = 0; i < n; i++)
		if (!(fabs(got[i] - expected[i]) <= worst))
			worst = fabs(got[i] - expected[i]);
	CHECK(worst <= 2e-6, "pooling %s: off by %g", what, worst);
}

/* Two texts of 1 and 4 tokens, all poolings, against plain sums. */
static void
test_pooling(const AlbertModel *model)
{
	int			width = model->config->hidden_size;
	int32_t		start[3] = {0, 1, 5};
	AlbertBatch batch = {.ntexts = 2,.ntokens = 5,.text_start = start};
	AlbertBatch firsts = {.ntexts = 2,.ntokens = 2,.text_start = (int32_t[]) {0, 1, 2}};
	AlbertArena arena;
	AlbertRun	run = {.arena = &arena};
	AlbertRows	hidden = {5, width, width + 3, NULL};
	AlbertRows	first = {2, width, 4 * (width + 3), NULL};
	AlbertRows	out;
	AlbertRows	pooled;
	AlbertRows	dense;
	AlbertRows	again;
	AlbertStatus status;
	double		expected[512];
	double		norm = 0;
	bool		ok;

	AlbertArenaInitMalloc(&arena);
	hidden.data = malloc((size_t) hidden.n * hidden.ld * sizeof(float));
	for (int i = 0; i < hidden.n * hidden.ld; i++)
		hidden.data[i] = synthetic_random(&seed) - 0.5f;
	ok = AlbertPool(model, &batch, NULL, &hidden, EVERY_POOLING, &run, &out, &status);
	CHECK(ok && out.n == 2 && out.width == 5 * width, "every pooling: %s", ok ? "" : status.message);
	for (int t = 0; ok && t < 2; t++)
	{
		float	   *got = row_of(&out, t);
		int			n = start[t + 1] - start[t];
		double		sum[512];
		double		max[512];

		for (int j = 0; j < width; j++)
		{
			sum[j] = 0;
			max[j] = -1e9;
			for (int i = start[t]; i < start[t + 1]; i++)
			{
				sum[j] += row_of(&hidden, i)[j];
				max[j] = fmax(max[j], row_of(&hidden, i)[j]);
			}
			expected[j] = row_of(&hidden, start[t])[j];
		}
		check_vector("cls", got, expected, width);
		check_vector("max", got + width, max, width);
		for (int j = 0; j < width; j++)
			expected[j] = sum[j] / n;
		check_vector("mean", got + 2 * width, expected, width);
		for (int j = 0; j < width; j++)
			expected[j] = sum[j] / sqrt(n);
		check_vector("mean_sqrt_len", got + 3 * width, expected, width);
	}

	/* the first rows are enough for cls and pooler, and give the same */
	first.data = hidden.data;
	first.ld = hidden.ld;
	first.n = 2;				/* rows 0 and 1: the first rows of these two texts */
	ok = AlbertPool(model, &firsts, NULL, &first, ALBERT_POOL_CLS | ALBERT_POOL_POOLER,
					&run, &pooled, &status);
	CHECK(ok && pooled.width == 2 * width, "first rows: %s", ok ? "" : status.message);
	for (int t = 0; ok && t < 2; t++)
		CHECK(same_rows(row_of(&pooled, t), row_of(&out, t), width) &&
			  same_rows(row_of(&pooled, t) + width, row_of(&out, t) + 4 * width, width),
			  "pooling first rows of text %d differs", t);

	/* the second text in two windows of 1 and 3 tokens: as whole, but for its first token, which each window has one of */
	{
		int32_t		halves[3] = {1, 2, 5};
		AlbertBatch windows = {.ntexts = 2,.ntokens = 4,.text_start = halves};
		AlbertRows	parts;
		double	   *sums = calloc(5 * width, sizeof(double));
		float	   *joined = malloc(5 * width * sizeof(float));
		int64_t		total = 0;

		for (int i = 0; i < 3; i++)
			halves[i]--;
		first.data = row_of(&hidden, 1);
		first.n = 4;
		ok = AlbertPool(model, &windows, NULL, &first, EVERY_POOLING, &run, &parts, &status);
		CHECK(ok, "windows: %s", ok ? "" : status.message);
		for (int t = 0; ok && t < 2; t++)
			AlbertPoolAdd(EVERY_POOLING, width, row_of(&parts, t), halves[t + 1] - halves[t], sums, &total);
		AlbertPoolEnd(EVERY_POOLING, width, sums, total, joined);
		for (int j = 0; ok && j < 5 * width; j++)
		{
			bool		firsts = j < width || j >= 4 * width;

			expected[j % width] = firsts ? (row_of(&parts, 0)[j] + 3.0 * row_of(&parts, 1)[j]) / 4 : row_of(&out, 1)[j];
			CHECK(fabs(joined[j] - expected[j % width]) < 1e-5 && (total == 4), "windows, value %d of pooling %d: %g, not %g",
				  j % width, j / width, joined[j], expected[j % width]);
		}
		CHECK(memcmp(joined + width, row_of(&out, 1) + width, width * sizeof(float)) == 0, "the maximum over windows");
		free(sums);
		free(joined);
	}

	/* of a text's rows, the first for cls alone */
	{
		int32_t		skip[2] = {0, 1};
		AlbertRows	parts;

		ok = AlbertPool(model, &batch, skip, &hidden, ALBERT_POOL_CLS | ALBERT_POOL_MEAN, &run, &parts, &status);
		CHECK(ok && same_rows(row_of(&parts, 1), row_of(&hidden, 1), width), "the first row");
		for (int j = 0; ok && j < width; j++)
			expected[j] = ((double) row_of(&hidden, 2)[j] + row_of(&hidden, 3)[j] + row_of(&hidden, 4)[j]) / 3;
		if (ok)
			check_vector("mean without the first row", row_of(&parts, 1) + width, expected, width);
	}

	/* dense: tanh of a linear map; then length 1 */
	ok = pool_whole(model, &batch, &hidden, ALBERT_POOL_MEAN, true, true, &run, &dense, &status);
	CHECK(ok && dense.width == model->dense[0].out, "dense: %s", ok ? "" : status.message);
	for (int j = 0; ok && j < dense.width; j++)
		norm += (double) dense.data[j] * dense.data[j];
	CHECK(fabs(norm - 1) < 1e-6, "normalized length %g", sqrt(norm));
	if (ok && pool_whole(model, &batch, &hidden, ALBERT_POOL_MEAN, true, false, &run, &again, &status))
	{
		norm = 0;
		for (int j = 0; j < again.width; j++)
			norm += (double) again.data[j] * again.data[j];
		for (int j = 0; j < again.width; j++)
			expected[j] = again.data[j] / sqrt(norm);
		check_vector("dense", dense.data, expected, dense.width);
		model->kernels->linear(&model->dense[0], 1, row_of(&out, 0) + 2 * width, 0,
							   ALBERT_ACT_TANH, NULL, 0, dense.data, 0,
							   AlbertArenaAlloc(&arena, model->kernels->linear_scratch(&model->dense[0], 1)));
		CHECK(same_rows(dense.data, again.data, dense.width), "dense module differs from its linear map");
	}
	CHECK(!pool_whole(model, &batch, &hidden, ALBERT_POOL_MEAN | ALBERT_POOL_CLS, true, false,
					  &run, &again, &status) && status.code == ALBERT_UNSUPPORTED,
		  "two poolings into a dense module of one");

	/* a vector of length 0 stays 0, as torch's normalize has it */
	memset(hidden.data, 0, (size_t) hidden.n * hidden.ld * sizeof(float));
	ok = pool_whole(model, &batch, &hidden, ALBERT_POOL_MEAN, false, true, &run, &again, &status);
	for (int j = 0; j < width; j++)
		expected[j] = 0;
	if (ok)
		check_vector("of zeros", again.data, expected, width);
	hidden.data[0] = 1e-14f;	/* below eps: divided by 1e-12 */
	ok = pool_whole(model, &batch, &hidden, ALBERT_POOL_MEAN, false, true, &run, &again, &status);
	CHECK(ok && fabs(again.data[0] - 1e-2) < 1e-8, "tiny vector becomes %g", ok ? again.data[0] : NAN);
	free(hidden.data);
	AlbertArenaFree(&arena);
}

/* ---- memory ---- */

typedef struct OneBlock
{
	char	   *block;
	bool		given;
} OneBlock;

static void *
get_once(void *context, size_t size)
{
	OneBlock   *one = context;

	if (one->given)
		return NULL;
	one->given = true;
	return one->block = malloc(size);
}

static void
put_once(void *context, void *block)
{
	free(block);
}

/* An arena with exactly that many bytes left, and none to be had. */
static void
arena_with(AlbertArena *arena, OneBlock *one, size_t bytes)
{
	size_t		size = bytes > 65536 ? bytes : 65536;	/* the arena takes no smaller block */

	one->given = false;
	AlbertArenaInit(arena, get_once, put_once, one);
	if (AlbertArenaAlloc(arena, size) == NULL)
		exit(2);
	AlbertArenaReset(arena);
	if (bytes < size)
		(void) AlbertArenaAlloc(arena, size - bytes);
}

static bool
everything(const AlbertModel *model, const AlbertBatch *batch, const AlbertRun *run,
		   AlbertStatus *status)
{
	AlbertRows	hidden;
	AlbertRows	out;
	AlbertBatch all = *batch;

	all.wanted = NULL;
	return AlbertEncode(model, &all, run, &hidden, status) &&
		all_heads(model, &all, &hidden, run, &out, &out, &out, &out, status) &&
		pool_whole(model, &all, &hidden, ALBERT_POOL_MEAN, true, true, run, &out, status);
}

/* Floats that a row of that width takes. */
static int
stride(int width)
{
	return ((width + 15) / 16 | 1) * 16;
}

/* What encoder.h tells of memory, for a batch that is one block of rows. */
static size_t
memory_told(const AlbertModel *model, int ntokens, int max_len)
{
	const AlbertConfig *config = model->config;
	const AlbertLayer *layer = &model->layers[0];
	const AlbertLinear *linears[] = {&model->embedding_projection, &layer->query, &layer->key_value,
	&layer->dense, &layer->ffn, &layer->ffn_output};
	int			hidden = config->hidden_size;
	size_t		scratch = 0;

	for (int i = 0; i < 6; i++)
		if (linears[i]->weight != NULL)
			scratch = fmax(scratch, model->kernels->linear_scratch(linears[i], ntokens));
	/* result, state, context and what follows attention; query, key and value; what is between the two ffn */
	return ntokens * (4 * stride(hidden) + stride(3 * hidden) + stride(config->intermediate_size)) * sizeof(float) +
		scratch + model->kernels->attention_scratch(model->precision, max_len, hidden, config->num_attention_heads) +
		4 * ALBERT_ALIGN;
}

static void
test_memory(const AlbertModel *model, const char *name)
{
	size_t		told;
	size_t		needed = 0;
	int			failures = 0;
	int			broken = 0;
	int			ok = 0;
	Texts		texts;
	static Mixed mixed;
	AlbertBatch batch;
	int			max_len = 0;

	make_texts(model->config, &texts);
	do
		mix(&texts, 4, &mixed);
	while (mixed.start[4] > 30);
	choose_wanted(&mixed, 3);
	batch = batch_of(&mixed, true);
	for (int i = 0; i < batch.ntexts; i++)
		if (lengths[mixed.text[i]] > max_len)
			max_len = lengths[mixed.text[i]];
	told = memory_told(model, batch.ntokens, max_len);

	/* every allocation fails at some size */
	for (size_t bytes = 0; bytes <= told + 4096; bytes += 64)
	{
		AlbertArena arena;
		OneBlock	one;
		AlbertRun	run = {.arena = &arena};
		AlbertRows	hidden;
		AlbertStatus status = {0};
		AlbertArenaMark before;
		AlbertArenaMark after;

		if (needed > 0 && bytes < told)
			bytes = told;
		arena_with(&arena, &one, bytes);
		before = AlbertArenaGetMark(&arena);
		if (AlbertEncode(model, &batch, &run, &hidden, &status))
		{
			if (needed == 0)
				needed = bytes;
			ok++;
		}
		else
		{
			failures++;
			after = AlbertArenaGetMark(&arena);
			if (status.code != ALBERT_NO_MEMORY || status.message[0] == '\0' || needed > 0 ||
				before.block != after.block || before.used != after.used)
				broken++;
		}
		AlbertArenaFree(&arena);
	}
	CHECK(needed > 0 && needed <= told, "%s: needs %zu bytes, tells %zu", name, needed, told);
	CHECK(broken == 0 && failures == needed / 64 && ok > 0,
		  "%s: %d of %d failures for lack of memory were not clean", name, broken, failures);
	CHECK(told <= needed + needed / 2, "%s: tells %zu bytes for %zu", name, told, needed);
}

/* The heads too, and with a trace. */
static void
test_memory_of_heads(const AlbertModel *model, const char *name)
{
	int32_t		ids[5] = {1, 2, 3, 4, 5};
	int32_t		start[3] = {0, 3, 5};
	AlbertBatch batch = {.ntexts = 2,.ntokens = 5,.ids = ids,.text_start = start};
	Seen		seen = {.last = malloc(5 * model->config->hidden_size * sizeof(float))};
	AlbertTrace trace = {&seen, see_layer, NULL, see_attention};
	int			broken = 0;
	int			failures = 0;
	bool		done = false;

	for (size_t bytes = 0; !done && bytes < 4 * 1024 * 1024; bytes += 64)
	{
		AlbertArena arena;
		OneBlock	one;
		AlbertRun	run = {.arena = &arena,.trace = &trace};
		AlbertStatus status = {0};

		seen.layers = 0;
		arena_with(&arena, &one, bytes);
		done = everything(model, &batch, &run, &status);
		failures += !done;
		broken += !done && status.code != ALBERT_NO_MEMORY;
		AlbertArenaFree(&arena);
	}
	CHECK(done && broken == 0 && failures > 0,
		  "%s: heads without memory: %d failures, %d not clean", name, failures, broken);
	free(seen.last);
}

/* ---- cancel ---- */

static volatile sig_atomic_t cancel;
static struct timespec cancelled_at;

/* BERT's missing projection computes what an identity would, to the bit. */
static void
test_no_projection(const AlbertKernels *kernels)
{
	AlbertConfig shape = shapes[2];
	int			n = shape.hidden_size;
	int32_t		ids[] = {3, 1, 4, 15, 9, 26, 5};
	int32_t		start[] = {0, 3, 7};
	AlbertBatch batch = {.ntexts = 2,.ntokens = 7,.ids = ids,.text_start = start};
	Synthetic	synthetic;
	AlbertModel identity;
	AlbertArena arena;
	AlbertRun	run = {.arena = &arena};
	AlbertRows	without;
	AlbertRows	with;
	AlbertStatus status;
	float	   *row;
	void	   *packed;

	AlbertArenaInitMalloc(&arena);
	synthetic_init(&synthetic, &shape, kernels, ALBERT_FP32, 5);
	packed = synthetic_alloc(&synthetic, kernels->packed_size(ALBERT_FP32, n, n));
	row = synthetic_values(&synthetic, n, 0, 0);
	for (int i = 0; i < n; i++)
	{
		row[i] = 1;
		kernels->pack(ALBERT_FP32, n, n, i, 1, row, packed);
		row[i] = 0;
	}
	identity = synthetic.model;
	identity.embedding_projection = (AlbertLinear) {.in = n,.out = n,.precision = ALBERT_FP32,
	.weight = packed,.bias = row};
	if (!AlbertEncode(&synthetic.model, &batch, &run, &without, &status) ||
		!AlbertEncode(&identity, &batch, &run, &with, &status))
		CHECK(false, "%s without a projection: %s", kernels->name, status.message);
	else
		for (int i = 0; i < 7; i++)
			CHECK(same_rows(row_of(&without, i), row_of(&with, i), n), "%s: row %d without a projection", kernels->name, i);
	AlbertArenaFree(&arena);
	synthetic_free(&synthetic);
}

/* CPU time: the machine may be busy with other things. */
static double
seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) * 1e-9;
}

static void
on_alarm(int signal)
{
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cancelled_at);
	cancel = 1;
}

/*
 * How long a cancel may take.  A build with a sanitizer computes many times
 * slower: there it is the time that as many operations take as the kernel set
 * asks for at once (half of the tenth of a second), twice for what else is
 * done between two polls.
 */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED	true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED	true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED	false
#endif

static double
cancel_limit(Synthetic *synthetic)
{
	const AlbertKernels *kernels = synthetic->model.kernels;
	const AlbertLinear *linear = &synthetic->layers[0].query;
	int			rows = (int) (kernels->grain[ALBERT_FP32] / (2.0 * linear->in * linear->out));
	int			ld = linear->in;
	float	   *x;
	float	   *y;
	void	   *scratch;
	struct timespec start;

	if (!SANITIZED)
		return 0.1;
	x = synthetic_values(synthetic, (size_t) rows * ld, 0, 1);
	y = synthetic_values(synthetic, (size_t) rows * ld, 0, 1);
	scratch = synthetic_alloc(synthetic, kernels->linear_scratch(linear, rows) + 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	kernels->linear(linear, rows, x, ld, ALBERT_ACT_NONE, NULL, 0, y, ld, scratch);
	return fmax(0.1, 2 * seconds_since(&start));
}

static void
test_cancel(const AlbertKernels *kernels)
{
	static const AlbertConfig shape =
	{.vocab_size = 100,.embedding_size = 128,.hidden_size = 1024,.num_hidden_layers = 48,
		.num_hidden_groups = 1,.inner_group_num = 1,.num_attention_heads = 16,
		.intermediate_size = 4096,.max_position_embeddings = 2048,.type_vocab_size = 2,
		.hidden_act = ALBERT_ACT_GELU_NEW,.layer_norm_eps = 1e-12f};
	enum
	{
		LEN = 2048
	};
	static int32_t ids[LEN];
	int32_t		start[2] = {0, LEN};
	AlbertBatch batch = {.ntexts = 1,.ntokens = LEN,.ids = ids,.text_start = start};
	Synthetic	synthetic;
	AlbertArena arena;
	AlbertRun	run = {.arena = &arena,.interrupt = &cancel};
	AlbertRows	hidden;
	AlbertStatus status;
	double		limit;
	double		worst;

	synthetic_init(&synthetic, &shape, kernels, ALBERT_FP32, 7);
	worst = limit = cancel_limit(&synthetic);
	AlbertArenaInitMalloc(&arena);
	signal(SIGALRM, on_alarm);
	cancel = 1;
	CHECK(!AlbertEncode(&synthetic.model, &batch, &run, &hidden, &status) &&
		  status.code == ALBERT_CANCELLED, "%s: a raised flag is not seen", kernels->name);
	/* a machine that pauses only adds to the time: the best of three rounds tells what the code takes */
	for (int round = 0; round < 3 && worst >= limit; round++)
	{
		worst = 0;
		for (int i = 0; i < 6; i++)
		{
			struct itimerval timer = {.it_value = {0, 1000 + i * 150000}};
			bool		ok;
			double		seconds;

			cancel = 0;
			setitimer(ITIMER_REAL, &timer, NULL);
			ok = AlbertEncode(&synthetic.model, &batch, &run, &hidden, &status);
			seconds = seconds_since(&cancelled_at);
			if (ok || status.code != ALBERT_CANCELLED)
			{
				CHECK(false, "%s: not cancelled after %d ms", kernels->name, 1 + i * 150);
				continue;
			}
			if (seconds > worst)
				worst = seconds;
			AlbertArenaReset(&arena);
		}
	}
	printf("%-10s cancel obeyed within %.0f ms of %.0f\n", kernels->name, worst * 1000, limit * 1000);
	CHECK(worst < limit, "%s: cancel took %.3f s, not %.3f s", kernels->name, worst, limit);
	AlbertArenaFree(&arena);
	synthetic_free(&synthetic);
}

/* An argument names the only kernel set to test. */
int
main(int argc, char **argv)
{
	const AlbertKernels *kernels;
	int			tested = 0;

	for (int i = 0; (kernels = AlbertKernelsAt(i)) != NULL; i++)
	{
		if (argc > 1 && strcmp(argv[1], kernels->name) != 0)
			continue;
		if (!kernels->usable())
		{
			unit_skip("kernels %s: this machine lacks %s", kernels->name, kernels->needs);
			continue;
		}
		for (int precision = ALBERT_FP32; precision <= ALBERT_INT8; precision++)
		{
			char		name[64];

			if (!AlbertKernelsHave(kernels, precision))
				continue;
			snprintf(name, sizeof(name), "%s %s", kernels->name, AlbertPrecisionName(precision));
			for (int s = 0; s < 3; s++)
			{
				Synthetic	synthetic;

				if (UNIT_IS_EMULATED && shapes[s].hidden_size > 100)
					continue;
				synthetic_init(&synthetic, &shapes[s], kernels, precision, 11 + s);
				test_independence(&synthetic.model, name);
				test_trace(&synthetic.model, name);
				if (!UNIT_IS_EMULATED)
					test_memory(&synthetic.model, name);
				if (s == 0)
				{
					if (!UNIT_IS_EMULATED)
						test_memory_of_heads(&synthetic.model, name);
					test_input(&synthetic.model);
					test_missing_heads(&synthetic.model);
					test_pooling(&synthetic.model);
				}
				synthetic_free(&synthetic);
			}
			tested++;
		}
		test_no_projection(kernels);
		if (!UNIT_IS_EMULATED)
			test_cancel(kernels);
	}
	CHECK(tested > 0, "no kernel set tested");
	return unit_report();
}
