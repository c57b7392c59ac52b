/*
 * text.c
 *	  Conversion of text between the server encoding and UTF-8, and where in
 *	  it words begin.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "executor/text.h"
#include "store/store.h"

#define WORD_MARK_UTF8		"\xe2\x96\x81"	/* U+2581, SentencePiece's space */
#define WORD_MARK_SIZE	3

AlbertText
AlbertTextFromDatum(Datum value)
{
	struct varlena *varlena = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	char	   *data = VARDATA_ANY(varlena);
	int			size = VARSIZE_ANY_EXHDR(varlena);
	char	   *converted = pg_server_to_any(data, size, PG_UTF8);
	AlbertText	text;

	text.data = converted;
	text.size = converted == data ? size : strlen(converted);
	return text;
}

bool
AlbertTextIsConvertible(Datum value)
{
	int			encoding = GetDatabaseEncoding();
	struct varlena *varlena;
	unsigned char *text;
	int			size;
	Size		room;
	Oid			proc;

	if (encoding == PG_UTF8)
		return true;
	varlena = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	text = (unsigned char *) VARDATA_ANY(varlena);
	size = VARSIZE_ANY_EXHDR(varlena);
	if (encoding == PG_SQL_ASCII)
		return pg_verify_mbstr(PG_UTF8, (char *) text, size, true);
	proc = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(proc))
		return false;
	room = (Size) size * MAX_CONVERSION_GROWTH + 1;
	return pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8, text, size, palloc_extended(room, MCXT_ALLOC_HUGE),
										 (int) Min(room, (Size) INT_MAX), true) == size;
}

Datum
AlbertTextToDatum(const char *utf8, size_t size)
{
	char	   *converted = pg_any_to_server(utf8, size, PG_UTF8);

	if (converted != utf8)
		size = strlen(converted);
	return PointerGetDatum(cstring_to_text_with_len(converted, size));
}

/* A character in the server encoding: '_' for the word mark, '?' where it is lacking. */
static void
append_character(StringInfo out, const unsigned char *utf8, int len, Oid conversion)
{
	unsigned char buffer[MAX_CONVERSION_GROWTH * 4 + 1] = "";

	if (len == 1)
		appendStringInfoChar(out, *utf8);
	else if (len == WORD_MARK_SIZE && memcmp(utf8, WORD_MARK_UTF8, len) == 0)
		appendStringInfoChar(out, '_');
	else if (OidIsValid(conversion) &&
			 pg_do_encoding_conversion_buf(conversion, PG_UTF8, GetDatabaseEncoding(),
										   unconstify(unsigned char *, utf8), len,
										   buffer, sizeof(buffer), true) == len &&
			 buffer[0] != '\0')
		appendStringInfoString(out, (char *) buffer);
	else
		appendStringInfoChar(out, '?');
}

/*
 * Character by character, so that one that the encoding lacks costs a '?' and
 * not the whole answer.
 */
Datum
AlbertOutputToDatum(const char *utf8, size_t size)
{
	int			encoding = GetDatabaseEncoding();
	const char *end = utf8 + size;
	StringInfoData out;
	Oid			conversion;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return AlbertTextToDatum(utf8, size);
	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	initStringInfo(&out);
	for (int len; utf8 < end; utf8 += len)
	{
		len = Min(pg_utf_mblen((const unsigned char *) utf8), end - utf8);
		append_character(&out, (const unsigned char *) utf8, len, conversion);
	}
	return PointerGetDatum(cstring_to_text_with_len(out.data, out.len));
}

AlbertText
AlbertPiece(const AlbertTokenizer *tokenizer, int32_t id)
{
	AlbertText	piece;
	AlbertStatus status;

	if (!AlbertTokenizerPiece(tokenizer, id, &piece, &status))
		AlbertReport(&status);
	return piece;
}

Datum
AlbertPieceToDatum(const AlbertTokenizer *tokenizer, int32_t id)
{
	AlbertText	piece = AlbertPiece(tokenizer, id);

	return AlbertOutputToDatum(piece.data, piece.size);
}

/* ---------- words ---------- */

static bool
has_prefix(const AlbertText *piece, const char *prefix, size_t size)
{
	return piece->size >= size && memcmp(piece->data, prefix, size) == 0;
}

bool
AlbertStartsWord(const AlbertTokenizer *tokenizer, int32_t id)
{
	AlbertText	piece = AlbertPiece(tokenizer, id);

	if (tokenizer->marks_continuation)
		return !has_prefix(&piece, "##", 2);
	/* unknown text is part of its word: the mark before it is a piece of its own */
	if (id == tokenizer->unk_id)
		return false;
	return has_prefix(&piece, WORD_MARK_UTF8, WORD_MARK_SIZE) || AlbertTokenizerIsSpecial(tokenizer, id);
}

void
AlbertAppendPiece(const AlbertTokenizer *tokenizer, StringInfo words,
				  const AlbertText *piece, bool first)
{
	if (tokenizer->marks_continuation)
	{
		if (has_prefix(piece, "##", 2))
			appendBinaryStringInfo(words, piece->data + 2, piece->size - 2);
		else
		{
			if (!first)
				appendStringInfoChar(words, ' ');
			appendBinaryStringInfo(words, piece->data, piece->size);
		}
		return;
	}
	for (size_t i = 0; i < piece->size;)
	{
		AlbertText	rest = {.data = piece->data + i, .size = piece->size - i};

		if (has_prefix(&rest, WORD_MARK_UTF8, WORD_MARK_SIZE))
		{
			if (!first)
				appendStringInfoChar(words, ' ');
			i += WORD_MARK_SIZE;
		}
		else
			appendStringInfoChar(words, piece->data[i++]);
	}
}

/* ---------- names ---------- */

char *
AlbertCString(Datum value)
{
	return text_to_cstring(DatumGetTextPP(value));
}
