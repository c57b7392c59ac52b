/*
 * words.h
 *	  Tokens and the words they belong to, as the fast tokenizers of the
 *	  reference know them.
 */
#ifndef ALBERT_WORDS_H
#define ALBERT_WORDS_H

#include "lib/stringinfo.h"

#include "executor/task.h"

/*
 * Append a piece to a string of words as convert_tokens_to_string does; first
 * is whether it is the string's first piece.
 */
extern void AlbertAppendPiece(const AlbertTokenizer *tokenizer, StringInfo words,
							  const AlbertText *piece, bool first);

#endif							/* ALBERT_WORDS_H */
