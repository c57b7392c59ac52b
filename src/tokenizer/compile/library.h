/*
 * library.h
 *	  The sentencepiece library in its module, for the compiler of a spiece.model.
 */
#ifndef ALBERT_TOKENIZER_LIBRARY_H
#define ALBERT_TOKENIZER_LIBRARY_H

#include "tokenizer/compile/compile.h"
#include "tokenizer/sentencepiece/module.h"

typedef struct SpieceLibrary
{
	const AlbertSpieceTable *table;
	AlbertSpiece *model;		/* to be closed */
} SpieceLibrary;

extern bool tok_spiece_open(const AlbertTokenizerFiles *files, SpieceLibrary *library, AlbertStatus *status);

/*
 * Cut every piece, and some hundreds of texts made of pieces, as the library
 * does; a difference that is not one of those known is an error that shows it.
 */
extern bool tok_spiece_compare(Builder *builder, const SpieceLibrary *library);

#endif							/* ALBERT_TOKENIZER_LIBRARY_H */
