/*
 * module.h
 *	  The C interface of the module that holds the sentencepiece library.
 *
 * The library costs a process some 35 ms and 6 MB, and it is C++ that throws;
 * so it is linked into a shared object of its own, which only a process that
 * compiles a spiece.model opens.  Exceptions end here: every function reports
 * what went wrong by its result.
 */
#ifndef ALBERT_SENTENCEPIECE_MODULE_H
#define ALBERT_SENTENCEPIECE_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum AlbertSpieceType
{
	ALBERT_SPIECE_NORMAL = 1,	/* or user-defined, which the library does not tell */
	ALBERT_SPIECE_UNKNOWN,
	ALBERT_SPIECE_BYTE,
	ALBERT_SPIECE_OTHER			/* a control symbol, or unused */
} AlbertSpieceType;

typedef struct AlbertSpiecePiece
{
	const char *text;			/* UTF-8 as in the file; the model's own */
	size_t		size;
	float		score;
	AlbertSpieceType type;
} AlbertSpiecePiece;

typedef struct AlbertSpiece
{
	const AlbertSpiecePiece *pieces;	/* by id */
	int32_t		piece_count;
} AlbertSpiece;

typedef struct AlbertSpieceTable
{
	/* A model from a file's bytes; NULL: problem tells why not. */
	AlbertSpiece *(*open) (const void *data, size_t size, char *problem, size_t problem_size);
	void		(*close) (AlbertSpiece *model);

	/* The ids that a text is cut into: how many there are, of which room are told; -1: the library refused. */
	int			(*encode) (const AlbertSpiece *model, const char *text, size_t size, int32_t *ids, int room);
} AlbertSpieceTable;

/* The module's one symbol is such a table; the number in its name goes up with any change here. */
#define ALBERT_SPIECE_TABLE	"AlbertSpieceFunctions3"

#ifdef __cplusplus
}
#endif

#endif							/* ALBERT_SENTENCEPIECE_MODULE_H */
