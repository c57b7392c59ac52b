/*
 * labelled.h
 *	  Labelled texts of a query, and how well predictions of them do.
 */
#ifndef ALBERT_LABELLED_H
#define ALBERT_LABELLED_H

#include "postgres.h"

#include "funcapi.h"

#include "executor/task.h"

typedef enum AlbertLabelKind
{
	ALBERT_LABEL_CLASS,			/* one of several */
	ALBERT_LABEL_SET,			/* any of several: an array */
	ALBERT_LABEL_NUMBER
} AlbertLabelKind;

typedef struct AlbertLabelled
{
	AlbertText	text;
	uint64		hash;			/* of the text */
	int			vector;			/* number of the text among the distinct ones */
	char	   *label;			/* of a class; of a set, its members between NULs */
	int			size;
	int			class;			/* of ALBERT_LABEL_CLASS: its number */
	double		number;
	double		weight;
} AlbertLabelled;

typedef struct AlbertLabels
{
	AlbertLabelKind kind;
	int			nrows;			/* sorted by what is in them, not by where they came from */
	AlbertLabelled *rows;
	int			nskipped;		/* rows without text or label */
	int			ntexts;
	AlbertText *texts;			/* the distinct ones */
	int			nclasses;
	const char **classes;		/* UTF-8 */
} AlbertLabels;

/* Run the query as the current user: text, label and, if it is called that, weight. */
extern void AlbertLabelledRead(const char *query, AlbertLabels *labels);

/* Does the row have the class? */
extern bool AlbertLabelHas(const AlbertLabels *labels, const AlbertLabelled *row, int class);

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
