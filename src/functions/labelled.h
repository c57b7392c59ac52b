/*
 * labelled.h
 *	  Labelled texts of a query, and how well predictions of them do.
 */
#ifndef ALBERT_LABELLED_H
#define ALBERT_LABELLED_H

#include "postgres.h"

#include "funcapi.h"
#include "nodes/bitmapset.h"

#include "executor/task.h"

typedef struct AlbertLabelText
{
	AlbertText	text;			/* with a NUL behind it */
	uint32		hash;
	bool		learnt;			/* is the first text of a row that is not kept back */
} AlbertLabelText;

typedef struct AlbertLabelled
{
	int			text;			/* numbers of distinct texts */
	int			pair;			/* -1: none */
	int			vector;			/* number among the distinct texts or pairs */
	int			group;			/* number among the distinct first texts */
	Bitmapset  *classes;		/* their numbers; of a single label one */
	double		number;
	double		weight;
	bool		tested;			/* kept back from what is learnt */
} AlbertLabelled;

typedef struct AlbertLabels
{
	AlbertProblemType problem;	/* by the label's type: one class, an array of classes, a number */
	bool		pairs;			/* rows have two texts */
	int			nrows;			/* sorted by what is in them, not by where they came from */
	AlbertLabelled *rows;
	int			ntested;
	int			nskipped;		/* rows without text or label, and tested ones whose text is learnt from */
	int			ngroups;
	int			nvectors;
	int		   *vectors;		/* the first row that has each of them */
	int			ntexts;
	AlbertLabelText *texts;		/* the distinct ones */
	int			nclasses;
	const char **classes;		/* UTF-8 */
} AlbertLabels;

/*
 * Run the query as the current user: text, label and, if they are called that,
 * pair, weight and, where rows may be kept back, split.  The first classes are
 * the known ones, the others come in alphabetical order.
 */
extern void AlbertLabelledRead(const char *query, bool may_split, const char *const *known, int nknown,
							   AlbertLabels *labels);

/* The one class of a row with a single label. */
static inline int
AlbertLabelClass(const AlbertLabelled *row)
{
	return bms_singleton_member(row->classes);
}

/*
 * Run a job over the distinct texts or, whole, over what the rows have, a text
 * or a pair; its results, real[] of one width, as the rows of one array.  The
 * model's name is shown in albert_progress, with the task.
 */
extern float *AlbertLabelledRun(AlbertJob *job, const AlbertLabels *labels, bool whole,
								const char *model, const char *task, int *width);

/* palloc'd zeros, of any size. */
extern void *AlbertLabelledAlloc(Size count, Size size);

/*
 * Rows of metrics for what was predicted: scores (nrows, nclasses), or numbers.
 * folds NULL: none.
 */
extern void AlbertLabelsReport(const AlbertLabels *labels, const double *scores, const int32_t *folds, int nfolds,
							   ReturnSetInfo *result);

/* One row of metrics; class NULL, fold < 0 and NaNs are nulls. */
extern void AlbertPutMetric(ReturnSetInfo *result, int fold, const char *metric, const char *class,
							const char *predicted, double value, double low, double high);

#endif							/* ALBERT_LABELLED_H */
