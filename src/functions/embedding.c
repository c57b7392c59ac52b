/*
 * embedding.c
 *	  Embeddings of texts, and the similarity of two texts.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef struct EmbeddingOptions
{
	uint32		pooling;		/* AlbertPooling bits */
	bool		with_dense;		/* the model's Dense modules follow its own pooling only */
	bool		normalize;		/* as the model's modules say */
	bool		normalize_last; /* as asked for, after dimensions are cut */
	bool		exclude_prompt; /* from pooling, as the model's modules say */
	int			dimensions;		/* 0: all */
	AlbertText	prompt;			/* put before each text; data NULL: none */
} EmbeddingOptions;

/* ---------- options ---------- */

static void
take_pooling(AlbertJob *job, Datum value)
{
	EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	const char *name = AlbertCString(value);

	if (*name == '\0')
		return;
	/* just that: the model's modules belong to its own pooling */
	options->with_dense = false;
	options->normalize = false;
	options->exclude_prompt = false;
	options->pooling = AlbertPoolingByName(name);
	if (options->pooling == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown pooling \"%s\"", name),
				 errhint("Poolings are mean, cls, max, mean_sqrt_len and pooler.")));
	if (options->pooling == ALBERT_POOL_POOLER && (job->binding->model.config->heads & ALBERT_HEAD_POOLER) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no pooler", job->binding->name)));
}

bool
AlbertFindPrompt(const AlbertModel *model, const char *name, AlbertText *prompt)
{
	for (int i = 0; i < model->nprompts; i++)
	{
		if (strcmp(name, model->prompt_names[i]) == 0)
		{
			prompt->data = model->prompts[i];
			prompt->size = strlen(model->prompts[i]);
			return true;
		}
	}
	return false;
}

static void
init_embedding(AlbertJob *job)
{
	EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	const AlbertModel *model = &job->binding->model;

	options->pooling = model->config->pooling != 0 ? model->config->pooling : ALBERT_POOL_MEAN;
	options->with_dense = model->config->pooling != 0;
	options->normalize = model->config->pooling != 0 && model->config->normalize;
	options->exclude_prompt = model->config->exclude_prompt;
	(void) AlbertFindPrompt(model, "", &options->prompt);
}

static void
take_prompt(AlbertJob *job, Datum value)
{
	const AlbertModel *model = &job->binding->model;
	const char *name = AlbertCString(value);

	if (*name == '\0' || AlbertFindPrompt(model, name, &AlbertOptionsOf(job, EmbeddingOptions)->prompt))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" has no prompt named \"%s\"", job->binding->name, name),
			 model->nprompts == 0
			 ? errhint("Its directory defines no prompts; put the words in front of the text instead.")
			 : errhint("Prompts are defined in the model's config_sentence_transformers.json.")));
}

static const AlbertOption embedding_options[] = {
	ALBERT_BOOL_OPTION("normalized", EmbeddingOptions, normalize_last),
	ALBERT_INT_OPTION("dimensions", EmbeddingOptions, dimensions, 0, INT_MAX),
	ALBERT_TAKEN_OPTION("pooling", take_pooling),
	ALBERT_TAKEN_OPTION("prompt", take_prompt),
	ALBERT_NO_OPTION
};

/* How many values the pooling gives; raises when the model's Dense modules do not fit it. */
static int
pooled_width(const AlbertJob *job)
{
	const EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	AlbertStatus status;
	int			width = AlbertPoolWidth(&job->binding->model, options->pooling, options->with_dense, &status);

	if (width == 0)
		AlbertReport(&status);
	return width;
}

static void
check_embedding(AlbertJob *job)
{
	const EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	int			width = pooled_width(job);

	if (options->dimensions > width)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions must be at most the embedding's %d, not %d",
						width, options->dimensions)));
}

void
AlbertPrependPrompt(AlbertJob *job, const AlbertText *prompt, AlbertItem *items, int n)
{
	for (int i = 0; i < n; i++)
	{
		size_t		size = prompt->size + items[i].text.size;
		char	   *text = AlbertJobAlloc(job, size + 1, 1);

		memcpy(text, prompt->data, prompt->size);
		memcpy(text + prompt->size, items[i].text.data, items[i].text.size);
		items[i].text.data = text;
		items[i].text.size = size;
	}
}

/* ---------- pooling ---------- */

float *
AlbertFloatsOf(Datum embedding, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(embedding);

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (float *) ARR_DATA_PTR(array);
}

#define FIRST_TOKEN	(ALBERT_POOL_CLS | ALBERT_POOL_POOLER)

/* The run: the long text whose windows are coming in, as AlbertPoolAdd has it. */
typedef struct PoolState
{
	double	   *sums;
	int64_t		total;
} PoolState;

/* The sequences as pooling is to see them: their wanted rows, of which some are the first token's alone. */
static AlbertBatch
batch_of_rows(AlbertJob *job, const AlbertSequence *sequences, int n, const AlbertRows *hidden, int32_t *skip)
{
	int32_t    *text_start = AlbertJobAlloc(job, n + 1, sizeof(int32_t));

	for (int s = 0; s < n; s++)
	{
		text_start[s] = sequences[s].row;
		skip[s] = Max(sequences[s].nrows - (sequences[s].own_to - sequences[s].own_from), 0);
	}
	text_start[n] = hidden->n;
	return (AlbertBatch) {.ntexts = n, .ntokens = hidden->n, .text_start = text_start};
}

/* Vectors of whole texts in front, those of windows put together; returns how many. */
static int
join_windows(AlbertForward *forward, const AlbertSequence *sequences, int n, AlbertRows *vectors)
{
	uint32		pooling = AlbertOptionsOf(forward->job, EmbeddingOptions)->pooling;
	int			hidden_size = forward->job->binding->model.config->hidden_size;
	PoolState  *state = forward->job->state;
	int			done = 0;

	for (int s = 0; s < n; s++)
	{
		float	   *vector = vectors->data + (size_t) s * vectors->ld;
		float	   *target = vectors->data + (size_t) done * vectors->ld;

		if (sequences[s].window == 0 && sequences[s].last)
			memmove(target, vector, vectors->width * sizeof(float));
		else
		{
			if (sequences[s].window == 0)
			{
				memset(state->sums, 0, vectors->width * sizeof(double));
				state->total = 0;
			}
			AlbertPoolAdd(pooling, hidden_size, vector, sequences[s].own_to - sequences[s].own_from,
						  state->sums, &state->total);
			if (sequences[s].last)
				AlbertPoolEnd(pooling, hidden_size, state->sums, state->total, target);
		}
		done += sequences[s].last ? 1 : 0;
	}
	return done;
}

static void
consume_pool(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertJob  *job = forward->job;
	const EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	int32_t    *skip = AlbertJobAlloc(job, n, sizeof(int32_t));
	AlbertBatch rows = batch_of_rows(job, sequences, n, hidden, skip);
	AlbertRows	vectors = AlbertRunPool(job, &rows, skip, hidden, options->pooling);
	int			text = 0;

	vectors.n = join_windows(forward, sequences, n, &vectors);
	if (options->with_dense && vectors.n > 0)
		vectors = AlbertRunHead(job, AlbertPoolDense, &vectors);
	for (int s = 0; s < n; s++)
	{
		AlbertItem *item = &forward->items[sequences[s].item];

		if (!sequences[s].last)
			continue;
		AlbertItemSet(item, AlbertArrayOf(FLOAT4OID, vectors.data + (size_t) text++ * vectors.ld, vectors.width));
	}
}

static void
finish_vector(AlbertJob *job, AlbertItem *item, int number)
{
	const EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	int			n;
	float	   *vector = AlbertFloatsOf(item->result, &n);

	if (options->normalize)
		AlbertNormalizeRow(vector, n);
	if (options->dimensions > 0 && options->dimensions < n)
	{
		item->result = AlbertArrayOf(FLOAT4OID, vector, options->dimensions);
		vector = AlbertFloatsOf(item->result, &n);
	}
	if (options->normalize_last)
		AlbertNormalizeRow(vector, n);
}

/* Tokens of the prompt at a text's front, its leading special token among them, that are not pooled. */
static int
excluded_tokens(AlbertJob *job, const EmbeddingOptions *options)
{
	if (!options->exclude_prompt || options->prompt.data == NULL || options->prompt.size == 0)
		return 0;
	return AlbertTokensOf(job, options->prompt, true).n - 1;
}

/* Which rows of the last layer are pooled: none of a prompt that is excluded. */
static void
want_rows(AlbertForward *forward, uint32 pooling, int prompt_tokens)
{
	bool		only_first = (pooling & ~FIRST_TOKEN) == 0;

	for (int s = 0; s < forward->nsequences; s++)
	{
		AlbertSequence *sequence = &forward->sequences[s];
		int			first = sequence->window == 0 ? prompt_tokens : 0;

		if (sequence->own_to <= first)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the prompt's %d tokens leave none of the text to be pooled", prompt_tokens)));
		sequence->own_from = Max(sequence->own_from, first);
		if (only_first)
			AlbertForwardWant(forward, sequence, first, first, first + 1);
		else
			AlbertForwardWant(forward, sequence, (pooling & FIRST_TOKEN) != 0 ? first : sequence->own_from,
							  sequence->own_from, sequence->own_to);
	}
}

static void
run_embedding(AlbertJob *job, AlbertItem *items, int n)
{
	const EmbeddingOptions *options = AlbertOptionsOf(job, EmbeddingOptions);
	AlbertForwardOptions forward_options = {
		.max_length = job->binding->model.config->pooling != 0 ? job->binding->model.config->max_seq_length : 0
	};
	int			prompt_tokens = excluded_tokens(job, options);
	int			parts = __builtin_popcount(options->pooling);
	size_t		width = (size_t) parts * job->binding->model.config->hidden_size;
	PoolState	state = {.sums = AlbertJobAlloc(job, width, sizeof(double))};
	AlbertForward forward;

	(void) pooled_width(job);
	if (options->prompt.data != NULL)
		AlbertPrependPrompt(job, &options->prompt, items, n);
	AlbertForwardTokenize(&forward, job, items, n, &forward_options);
	want_rows(&forward, options->pooling, prompt_tokens);
	job->state = &state;
	AlbertForwardRun(&forward, consume_pool);
}

void
AlbertEmbedPlainly(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertJob	plain = *job;

	memset(&plain.options, 0, sizeof(plain.options));
	plain.task = &albert_embedding_task;
	init_embedding(&plain);
	run_embedding(&plain, items, n);
	for (int i = 0; i < n; i++)
	{
		if (items[i].status == NULL)
			finish_vector(&plain, &items[i], i);
	}
	job->counts = plain.counts;
}

/* ---------- albert_embedding(content) real[] ---------- */

const AlbertTask albert_embedding_task = {
	.windows = true,
	.text_arg = "content",
	.init = init_embedding,
	.options = embedding_options,
	.check = check_embedding,
	.run = run_embedding,
	.result = finish_vector
};

/* ---------- albert_embeddings(content text[]) real[][] ---------- */

PG_FUNCTION_INFO_V1(albert_embeddings);
Datum
albert_embeddings(PG_FUNCTION_ARGS)
{
	const AlbertSignature *signature = AlbertCallSignature(fcinfo, &albert_embedding_task);
	ArrayBuildStateArr *rows;
	AlbertItem *items;
	Datum	   *texts;
	AlbertJob	job;
	int			n;

	texts = AlbertTextsOption("content", PG_GETARG_DATUM(signature->text), &n);
	AlbertJobStart(&job, signature, fcinfo->args);
	items = palloc_extended(Max(n, 1) * sizeof(AlbertItem), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
		items[i].text = AlbertTextFromDatum(texts[i]);
	job.raises = true;
	AlbertTaskRun(&job, items, n);
	rows = initArrayResultArr(FLOAT4ARRAYOID, FLOAT4OID, CurrentMemoryContext, false);
	for (int i = 0; i < n; i++)
		rows = accumArrayResultArr(rows, items[i].result, false, FLOAT4ARRAYOID, CurrentMemoryContext);
	PG_RETURN_DATUM(makeArrayResultArr(rows, CurrentMemoryContext, false));
}

/* ---------- albert_similarity(a, b) real ---------- */

double
AlbertCosine(const float *a, const float *b, int n)
{
	double		dot = 0;
	double		norm_a = 0;
	double		norm_b = 0;

	for (int i = 0; i < n; i++)
	{
		dot += (double) a[i] * b[i];
		norm_a += (double) a[i] * a[i];
		norm_b += (double) b[i] * b[i];
	}
	return norm_a == 0 || norm_b == 0 ? 0 : dot / (sqrt(norm_a) * sqrt(norm_b));
}

static Datum
similarity_of(Datum a, Datum b)
{
	int			width;
	const float *x = AlbertFloatsOf(a, &width);
	const float *y = AlbertFloatsOf(b, &width);

	return Float4GetDatum((float) AlbertCosine(x, y, width));
}

const AlbertTask albert_similarity_task = {
	.windows = true,
	.text_arg = "a",
	.pair_arg = "b",
	.pair_needed = true,
	.init = init_embedding,
	.combine = similarity_of,
	.run = run_embedding,
	.result = finish_vector
};

/* ---------- albert_similarity(a real[], b real[]) real ---------- */

PG_FUNCTION_INFO_V1(albert_similarity_vectors);
Datum
albert_similarity_vectors(PG_FUNCTION_ARGS)
{
	int			na;
	int			nb;
	const float *a = AlbertNumbersOption("a", PG_GETARG_DATUM(0), &na);
	const float *b = AlbertNumbersOption("b", PG_GETARG_DATUM(1), &nb);

	if (na != nb)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("embeddings of %d and %d dimensions cannot be compared", na, nb),
				 errhint("Embeddings can be compared when the same model made them.")));
	PG_RETURN_FLOAT4((float) AlbertCosine(a, b, na));
}
