/*
 * entities.c
 *	  Token classification with the aggregation strategies of the reference's
 *	  pipeline (transformers, TokenClassificationPipeline).
 */
#include "postgres.h"

#include "miscadmin.h"

#include "executor/forward.h"
#include "executor/text.h"
#include "functions/functions.h"

typedef enum Aggregation
{
	AGGREGATE_NONE,				/* every token by itself */
	AGGREGATE_SIMPLE,			/* adjacent tokens of one tag */
	AGGREGATE_FIRST,			/* words: their first token decides */
	AGGREGATE_AVERAGE,			/* words: the mean of their tokens' scores decides */
	AGGREGATE_MAX				/* words: their surest token decides */
} Aggregation;

static const char *const aggregations[] = {"none", "simple", "first", "average", "max", NULL};

typedef struct EntityOptions
{
	int			aggregation;
	float		min_score;		/* entities that score less are left out */
} EntityOptions;

static const AlbertOption entity_options[] = {
	ALBERT_CHOICE_OPTION("aggregation", EntityOptions, aggregation, aggregations,
						 "Aggregations are none, simple, first, average and max."),
	ALBERT_FLOAT_OPTION("min_score", EntityOptions, min_score),
	ALBERT_NO_OPTION
};

/* A token, a word of several tokens, or a group of either. */
typedef struct Entity
{
	int			label;
	double		score;
	int			first;			/* tokens of the text */
	int			last;
} Entity;

/* What is looked at: one text with its tokens' probabilities. */
typedef struct Tagged
{
	const AlbertTokenizer *tokenizer;
	const EntityOptions *options;
	const AlbertItem *item;
	const AlbertTokens *tokens;
	const int  *bytes;			/* code point -> byte of the item's text */
	int			num_labels;
	const char *const *labels;
	const double *probs;		/* (tokens, num_labels) */
} Tagged;

static const double *
token_probs(const Tagged *tagged, int token)
{
	return tagged->probs + (size_t) token * tagged->num_labels;
}

/* ---------- words ---------- */

/*
 * Does the token continue a word?  Where the vocabulary marks continuation,
 * when the piece is longer or shorter than its text; else when no blank
 * touches its start.  Unknown text never does.
 */
static bool
is_subword(const Tagged *tagged, int token)
{
	const AlbertTokenizer *tokenizer = tagged->tokenizer;
	const char *text = tagged->item->text.data;
	int			start = tagged->tokens->items[token].start;

	if (tagged->tokens->items[token].id == tokenizer->unk_id)
		return false;
	if (tokenizer->marks_continuation)
	{
		AlbertText	piece = AlbertPiece(tokenizer, tagged->tokens->items[token].id);
		int			length = 0;

		for (size_t i = 0; i < piece.size; i++)
			length += ((unsigned char) piece.data[i] & 0xC0) != 0x80;
		return length != tagged->tokens->items[token].stop - start;
	}
	return start > 0 && text[tagged->bytes[start - 1]] != ' ' &&
		(tagged->bytes[start] == tagged->item->text.size || text[tagged->bytes[start]] != ' ');
}

static Entity
word_entity(const Tagged *tagged, int first, int last)
{
	Entity		word = {.first = first, .last = last};
	int			n = tagged->num_labels;
	const double *probs = token_probs(tagged, first);
	double	   *mean = NULL;

	if (tagged->options->aggregation == AGGREGATE_AVERAGE)
	{
		mean = palloc0(n * sizeof(double));
		for (int t = first; t <= last; t++)
		{
			for (int i = 0; i < n; i++)
				mean[i] += token_probs(tagged, t)[i] / (last - first + 1);
		}
		probs = mean;
	}
	else if (tagged->options->aggregation == AGGREGATE_MAX)
	{
		for (int t = first + 1; t <= last; t++)
		{
			const double *other = token_probs(tagged, t);

			if (other[AlbertArgMax(other, n)] > probs[AlbertArgMax(probs, n)])
				probs = other;
		}
	}
	word.label = AlbertArgMax(probs, n);
	word.score = probs[word.label];
	if (mean != NULL)
		pfree(mean);
	return word;
}

/* The tokens or, by aggregation, words of a sequence with their labels; returns how many. */
static int
label_words(const Tagged *tagged, Entity *entities)
{
	const AlbertTokens *tokens = tagged->tokens;
	int			n = 0;

	for (int t = 0; t < tokens->n; t++)
	{
		int			first = t;

		CHECK_FOR_INTERRUPTS();
		if (tokens->items[t].special)
			continue;
		while (tagged->options->aggregation >= AGGREGATE_FIRST && t + 1 < tokens->n &&
			   !tokens->items[t + 1].special && is_subword(tagged, t + 1))
			t++;
		entities[n++] = word_entity(tagged, first, t);
	}
	return n;
}

/* ---------- groups ---------- */

/* The label without B- or I-. */
static const char *
label_tag(const char *label)
{
	return strncmp(label, "B-", 2) == 0 || strncmp(label, "I-", 2) == 0 ? label + 2 : label;
}

/* Does the entity go on with the group that the one before it is in? */
static bool
continues_group(const Tagged *tagged, const Entity *previous, const Entity *entity)
{
	const char *label = tagged->labels[entity->label];

	return tagged->options->aggregation != AGGREGATE_NONE && strncmp(label, "B-", 2) != 0 &&
		strcmp(label_tag(label), label_tag(tagged->labels[previous->label])) == 0;
}

/* The pieces of a token or word, unknown ones as they were written. */
static void
append_entity(const Tagged *tagged, StringInfo words, const Entity *entity, bool first)
{
	const AlbertTokenizer *tokenizer = tagged->tokenizer;
	const AlbertTokens *tokens = tagged->tokens;

	for (int t = entity->first; t <= entity->last; t++)
	{
		AlbertText	piece = AlbertPiece(tokenizer, tokens->items[t].id);

		if (tokens->items[t].id == tokenizer->unk_id)
		{
			piece.data = tagged->item->text.data + tagged->bytes[tokens->items[t].start];
			piece.size = tagged->bytes[tokens->items[t].stop] - tagged->bytes[tokens->items[t].start];
		}
		if (tagged->options->aggregation == AGGREGATE_NONE)
			appendBinaryStringInfo(words, piece.data, piece.size);
		else
			AlbertAppendPiece(tokenizer, words, &piece, first && t == entity->first);
	}
}

/*
 * The text of a group, as convert_tokens_to_string.  Tokens are joined with
 * blanks where words begin; words that were put together before are joined as
 * they are, because that is what the reference does.
 */
static Datum
entity_word(const Tagged *tagged, const Entity *members, int n)
{
	StringInfoData words;
	Datum		result;

	initStringInfo(&words);
	for (int i = 0; i < n; i++)
		append_entity(tagged, &words, &members[i], i == 0 || tagged->options->aggregation >= AGGREGATE_FIRST);
	result = AlbertOutputToDatum(words.data, words.len);
	pfree(words.data);
	return result;
}

/* A row for members [0, n), which is what entity is made of. */
static void
put_entity(const Tagged *tagged, const Entity *entity, const Entity *members, int n)
{
	const char *label = tagged->labels[entity->label];
	const char *dash = tagged->options->aggregation != AGGREGATE_NONE ? strchr(label, '-') : NULL;
	const char *name = dash == NULL ? label : dash + 1;

	if (strcmp(name, "O") == 0 || entity->score < tagged->options->min_score)
		return;
	AlbertPutRow(tagged->item->rows, (Datum[]) {
		AlbertOutputToDatum(name, strlen(name)), Float4GetDatum((float) entity->score),
		entity_word(tagged, members, n),
		Int32GetDatum(tagged->tokens->items[entity->first].start),
		Int32GetDatum(tagged->tokens->items[entity->last].stop)
	}, NULL);
}

static void
put_groups(const Tagged *tagged, const Entity *entities, int n)
{
	int			i = 0;

	while (i < n)
	{
		Entity		group = entities[i];
		int			members = 1;

		while (i + members < n &&
			   continues_group(tagged, &entities[i + members - 1], &entities[i + members]))
		{
			group.score += entities[i + members].score;
			group.last = entities[i + members].last;
			members++;
		}
		group.score /= members;
		put_entity(tagged, &group, &entities[i], members);
		i += members;
	}
}

/* ---------- albert_entities(content) rows ---------- */

/* The probabilities of the tokens that are a window's own, to the whole text's. */
static void
take_window(AlbertJob *job, const AlbertSequence *sequence, const AlbertRows *logits)
{
	int			num_labels = logits->width;

	if (sequence->window == 0)
		job->state = palloc_extended((Size) sequence->whole->n * num_labels * sizeof(double), MCXT_ALLOC_HUGE);
	for (int t = sequence->own_from; t < sequence->own_to; t++)
	{
		double	   *probs = (double *) job->state + (size_t) (sequence->first - 1 + t) * num_labels;
		const float *row = logits->data + (size_t) (sequence->row + t - sequence->own_from) * logits->ld;

		for (int i = 0; i < num_labels; i++)
			probs[i] = row[i];
		AlbertSoftmax(probs, num_labels);
	}
}

/* The whole text's entities: windows are not seen any more, so none is found twice or in halves. */
static void
put_entities(AlbertForward *forward, const AlbertSequence *sequence, int num_labels)
{
	AlbertJob  *job = forward->job;
	const AlbertItem *item = &forward->items[sequence->item];
	Entity	   *entities = palloc_extended((Size) sequence->whole->n * sizeof(Entity), MCXT_ALLOC_HUGE);
	int		   *bytes = AlbertCodePointBytes(&item->text);
	Tagged		tagged = {
		.tokenizer = &job->binding->tokenizer, .options = AlbertOptionsOf(job, EntityOptions),
		.item = item, .tokens = sequence->whole, .bytes = bytes,
		.num_labels = num_labels, .labels = job->binding->model.labels, .probs = job->state
	};

	put_groups(&tagged, entities, label_words(&tagged, entities));
	pfree(bytes);
	pfree(entities);
	pfree(job->state);
}

static void
consume_entities(AlbertForward *forward, const AlbertSequence *sequences, int n, const AlbertRows *hidden)
{
	AlbertRows	logits = AlbertRunHead(forward->job, AlbertHeadClassifier, hidden);

	for (int s = 0; s < n; s++)
	{
		take_window(forward->job, &sequences[s], &logits);
		if (sequences[s].last)
			put_entities(forward, &sequences[s], logits.width);
	}
}

static void
run_entities(AlbertJob *job, AlbertItem *items, int n)
{
	AlbertForwardOptions options = {.rows = ALBERT_ROWS_OWN};

	AlbertForwardTexts(job, items, n, &options, consume_entities);
}

const AlbertTask albert_entities_task = {
	.text_arg = "content",
	.heads = ALBERT_HEAD_TOKEN_CLASSIFIER,
	.windows = true,
	.options = entity_options,
	.run = run_entities
};
