/*
 * text.h
 *	  Text between SQL and the tokenizer: any server encoding on one side,
 *	  UTF-8 on the other; and the words that tokens belong to, as the fast
 *	  tokenizers of the reference know them.
 */
#ifndef ALBERT_TEXT_H
#define ALBERT_TEXT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "tokenizer/tokenizer.h"

/* A text, varchar or name value's characters in UTF-8, in CurrentMemoryContext (or in the value itself). */
extern AlbertText AlbertTextFromDatum(Datum value);

/* Would that succeed?  A value may be no text of the server's encoding, or have characters that UTF-8 lacks. */
extern bool AlbertTextIsConvertible(Datum value);

/* A token's piece in UTF-8. */
extern AlbertText AlbertPiece(const AlbertTokenizer *tokenizer, int32_t id);

/* A text value of UTF-8 characters; raises when the server encoding lacks one of them. */
extern Datum AlbertTextToDatum(const char *utf8, size_t size);

/*
 * The same for a piece of a vocabulary.  In a server encoding other than UTF-8
 * its word mark (U+2581) is written as '_', and characters that the encoding
 * lacks as '?'.
 */
extern Datum AlbertPieceToDatum(const AlbertTokenizer *tokenizer, int32_t id);

/* Like AlbertTextToDatum for what a model says, with '?' for what the encoding lacks. */
extern Datum AlbertOutputToDatum(const char *utf8, size_t size);

/* Does the token begin a word (or stand for itself, as special tokens do)? */
extern bool AlbertStartsWord(const AlbertTokenizer *tokenizer, int32_t id);

/*
 * Append a piece to a string of words as convert_tokens_to_string does; first
 * is whether it is the string's first piece.
 */
extern void AlbertAppendPiece(const AlbertTokenizer *tokenizer, StringInfo words,
							  const AlbertText *piece, bool first);

/* A C string in the server encoding from a SQL text. */
extern char *AlbertCString(Datum value);

#endif							/* ALBERT_TEXT_H */
