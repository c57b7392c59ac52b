/*
 * borders.h
 *	  Where a text can be cut, and how well: between tokens, words, sentences,
 *	  paragraphs, sections.
 */
#ifndef ALBERT_BORDERS_H
#define ALBERT_BORDERS_H

#include "executor/task.h"

/* What ends at a cut; what ends there also ends all that is less. */
typedef enum Border
{
	BORDER_NONE,				/* tokens that share a character cannot be cut apart */
	BORDER_TOKEN,
	BORDER_WORD,				/* there is a blank */
	BORDER_SENTENCE,			/* in a block of code: a line */
	BORDER_PARAGRAPH,
	BORDER_SECTION				/* a heading follows */
} Border;

/* A text and its cuts.  A cut is in front of a token, or behind the last. */
typedef struct CutText
{
	AlbertText	text;
	AlbertTokens tokens;		/* no special tokens */
	int		   *bytes;			/* code point -> byte, one more at the end */
	int			length;			/* code points, blanks at the end left out */
	int		   *end;			/* by cut, in code points: where the text before it ends */
	int		   *begin;			/* and where the text after it begins */
	Border		best;			/* that was asked for */
	uint8	   *borders;		/* Border by cut */
} CutText;

/*
 * Tokenize a text and find its cuts; for words, no better borders than those
 * are told.  Sections, and code that is not cut at blank lines or ends of
 * sentences, are looked for where sections are asked for: the text is Markdown.
 */
extern void AlbertCutText(CutText *source, AlbertJob *job, AlbertText text, Border best);

#endif							/* ALBERT_BORDERS_H */
