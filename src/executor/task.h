/*
 * task.h
 *	  What an albert SQL function computes, told apart from how it is called.
 *
 * A SQL function over a text runs a task: a C symbol (pg_proc.prosrc), the
 * names of its text arguments, its options, and one function that computes
 * any number of rows.  A scalar call runs one row; the batching node and fills
 * run many.  All overloads of a SQL function share the symbol, and so does the
 * function that gives all as rows of what the other gives the best of: which
 * argument is what is told by the arguments' names.
 */
#ifndef ALBERT_TASK_H
#define ALBERT_TASK_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "encoder/encoder.h"
#include "store/store.h"

#define ALBERT_MAX_ARGS		12
#define ALBERT_OPTIONS_SIZE	64		/* bytes of a task's options struct */

typedef struct AlbertTask AlbertTask;

/* What the rows of a run have in common: the task, the model, the options. */
typedef struct AlbertJob
{
	const AlbertTask *task;
	const AlbertBinding *binding;
	int			overflow;		/* AlbertOverflow: the setting's for the default model, an option's for a named one */
	bool		raises;			/* the items are one row's: the first that is to get a status raises it instead */
	AlbertArena *arena;			/* reset when the run ends */
	AlbertCounts counts;
	union
	{
		double		align;
		char		bytes[ALBERT_OPTIONS_SIZE];
	}			options;		/* the task's own struct: AlbertOptionsOf */
	void	   *state;			/* of a run, the task's own: what run leaves to result */
} AlbertJob;

#define AlbertOptionsOf(job, type) \
	(StaticAssertExpr(sizeof(type) <= ALBERT_OPTIONS_SIZE, "options too large"), (type *) (job)->options.bytes)

/* One row: its texts in UTF-8, and what comes out: a status or a result. */
typedef struct AlbertItem
{
	AlbertText	text;
	AlbertText	pair;			/* data NULL: none */
	ReturnSetInfo *rows;		/* NULL, or where rows are to be put instead of a result */
	Datum		result;			/* in the memory context current at the run */
	bool		isnull;
	AlbertStatus *status;		/* NULL, or why the texts have no result; with one before the run they are left alone */
} AlbertItem;

/* An option of a task, by the name of its SQL argument. */
typedef struct AlbertOption
{
	const char *name;
	enum
	{
		ALBERT_OPTION_TAKEN,	/* by a function of the task's */
		ALBERT_OPTION_BOOL,
		ALBERT_OPTION_INT,
		ALBERT_OPTION_FLOAT,	/* real */
		ALBERT_OPTION_CHOICE	/* a text, one of choices; its number to an int */
	}			kind;
	size_t		place;			/* in job->options */
	const char *const *choices; /* up to a NULL */
	const char *hint;			/* that lists them */
	int			least;			/* of an int, and the most it may be */
	int			most;
	void		(*take) (AlbertJob *job, Datum value);	/* raises for a bad value */
} AlbertOption;

#define ALBERT_BOOL_OPTION(name_, type, member) \
	{.name = name_, .kind = ALBERT_OPTION_BOOL, .place = offsetof(type, member)}
#define ALBERT_FLOAT_OPTION(name_, type, member) \
	{.name = name_, .kind = ALBERT_OPTION_FLOAT, .place = offsetof(type, member)}
#define ALBERT_INT_OPTION(name_, type, member, least_, most_) \
	{.name = name_, .kind = ALBERT_OPTION_INT, .place = offsetof(type, member), .least = least_, .most = most_}
#define ALBERT_CHOICE_OPTION(name_, type, member, choices_, hint_) \
	{.name = name_, .kind = ALBERT_OPTION_CHOICE, .place = offsetof(type, member), .choices = choices_, .hint = hint_}
#define ALBERT_TAKEN_OPTION(name_, function) {.name = name_, .take = function}
#define ALBERT_NO_OPTION {.name = NULL}

struct AlbertTask
{
	const char *text_arg;		/* SQL argument names of the texts */
	const char *pair_arg;		/* NULL: takes none */
	bool		pair_needed;	/* else an empty pair is no pair, as in the reference's tokenizers */
	bool		windows;		/* can see a long text in windows */
	bool		text_only;		/* needs the model's tokenizer and not its weights */
	uint32		heads;			/* AlbertHead bits it needs, 0: none */

	/* defaults into job->options, of those that not every one of its SQL functions has; may be NULL */
	void		(*init) (AlbertJob *job);

	/* what it can be told, up to ALBERT_NO_OPTION; NULL: nothing */
	const AlbertOption *options;

	/* Raises for options that do not go together or with the model; may be NULL. */
	void		(*check) (AlbertJob *job);

	/*
	 * NULL, or: run is for each of a row's two texts by itself, and this makes
	 * the row's result of theirs.
	 */
	Datum		(*combine) (Datum text, Datum pair);

	/*
	 * Compute n rows, each filled by AlbertItemFill, as far as that is done for
	 * many at once.  A row whose texts are at fault gets a status; all other
	 * errors are raised.  NULL: nothing is.
	 */
	void		(*run) (AlbertJob *job, AlbertItem *items, int n);

	/*
	 * Then, for each row without a status, the first being number 0: make its
	 * result, or give it a status: a value or, for the SQL function that returns
	 * a set, rows.  The arena is rewound after each.  NULL: run has done it.
	 */
	void		(*result) (AlbertJob *job, AlbertItem *item, int number);
	void		(*rows) (AlbertJob *job, AlbertItem *item, int number);
};

/* The tasks by their C functions: pg_proc.prosrc; from _PG_init, and kept. */
typedef struct AlbertTaskName
{
	const char *symbol;
	const AlbertTask *task;
} AlbertTaskName;

extern void AlbertTasksRegister(const AlbertTaskName *names, int n);

/* Which argument of a SQL function is what. */
typedef struct AlbertSignature
{
	const AlbertTask *task;
	Oid			function;
	int			nargs;
	int			text;			/* argument numbers, -1: none */
	int			pair;
	int			model;
	bool		returns_set;
	char	   *names[ALBERT_MAX_ARGS];
	Oid			types[ALBERT_MAX_ARGS];
	int16		lens[ALBERT_MAX_ARGS];
	bool		byvals[ALBERT_MAX_ARGS];
	int16		result_len;		/* of a scalar task; with combine, of its two parts */
	bool		result_byval;
} AlbertSignature;

static inline bool
AlbertIsText(const AlbertSignature *signature, int argument)
{
	return argument == signature->text || argument == signature->pair;
}

static inline bool
AlbertIsOption(const AlbertSignature *signature, int argument)
{
	return !AlbertIsText(signature, argument) && argument != signature->model;
}

/* From the catalog; NULL when the function is not one of ours.  In CurrentMemoryContext. */
extern AlbertSignature *AlbertSignatureOf(Oid function);

/* The same for a task that is known. */
extern AlbertSignature *AlbertSignatureFor(Oid function, const AlbertTask *task);

/*
 * Does who calls it have EXECUTE on the function?  An error if not: for work that
 * is done in its name, not through a call.
 */
extern void AlbertRequireExecute(Oid function);

/*
 * Start a job: attach the model, check its heads, take the options among args.
 * Texts are not looked at.  Not for a row whose AlbertItemFill was false: SQL's
 * strictness says that nothing is computed for it.
 */
extern void AlbertJobStart(AlbertJob *job, const AlbertSignature *signature,
						   const NullableDatum *args);

/* The same without a SQL function: a model by name (NULL: the default), default options. */
extern void AlbertJobStartTask(AlbertJob *job, const AlbertTask *task, const char *model);

/*
 * A row's texts from its arguments, converted to UTF-8; false when one of them or
 * the model is NULL and so the result is NULL.
 */
extern bool AlbertItemFill(AlbertItem *item, const AlbertSignature *signature,
						   const NullableDatum *args);

/*
 * Compute n rows, in batches of albert.batch_tokens, and count them in
 * albert_stats.  Rows whose texts are at fault have a status then, unless the
 * job raises it.
 */
extern void AlbertTaskRun(AlbertJob *job, AlbertItem *items, int n);

/* Set an item's result, which else is NULL. */
static inline void
AlbertItemSet(AlbertItem *item, Datum result)
{
	item->result = result;
	item->isnull = false;
}

/* The item's texts are at fault: keep a copy of the status, or raise it.  Returns false. */
extern bool AlbertItemFail(const AlbertJob *job, AlbertItem *item, const AlbertStatus *status);

/* An integer option within bounds, else an error that names it. */
extern int	AlbertIntOption(const char *name, Datum value, int least, int most);

/* The arena that runs use, emptied; for what needs one outside a run. */
extern AlbertArena *AlbertWorkspace(void);

/* How many tokens a row of that many bytes probably has; for cutting batches and for costs. */
extern int	AlbertEstimateTokens(size_t bytes);

/* settings */
extern int	albert_batch_tokens;
extern int	albert_overflow;	/* AlbertOverflow */

#endif							/* ALBERT_TASK_H */
