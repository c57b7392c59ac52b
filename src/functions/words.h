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

/*
 * The text of token ids as the fast tokenizers decode it, which differs from
 * the slow ones' (albert_decode) in the blanks beside special tokens.
 */
extern Datum AlbertJoinTokens(AlbertJob *job, const int32_t *ids, int n, bool skip_special_tokens);

#endif							/* ALBERT_WORDS_H */
