/*
 * vocab.c
 *	  Compiling a vocab.txt, one piece a line, as BertTokenizerFast reads it.
 */
#include "tokenizer/compile/compile.h"

#include <string.h>

#define MOST_WORD	100			/* longer words are unknown */

/* Lines end in LF, CR LF or CR, as for Python's text files. */
static bool
read_lines(Builder *builder, AlbertBytes file)
{
	const char *p = file.data;
	const char *end = p + file.size;

	builder->file = "vocab.txt";
	if (tok_utf8_valid(p, file.size) < file.size)
		return tok_malformed(builder, "It is not valid UTF-8.");
	while (p < end)
	{
		const char *line = p;

		while (p < end && *p != '\n' && *p != '\r')
			p++;
		if (!tok_builder_piece(builder, line, p - line, 0))
			return false;
		p += end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
	}
	return builder->piece_count > 0 || tok_malformed(builder, "It is empty.");
}

/* A line that comes again has the later id; the earlier one stands for nothing. */
static void
drop_doubles(Builder *builder)
{
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		Piece	   *piece = &builder->pieces[id];

		if (AlbertTokenizerPieceId(&builder->tokenizer, piece->text, piece->size) != id)
			*piece = (Piece) {.text = NULL};
	}
}

bool
tok_compile_vocab(Builder *builder, const AlbertTokenizerFiles *files)
{
	TokenizerHeader *header = &builder->header;
	Settings   *settings = &builder->settings;
	bool		strip;

	if (!tok_settings_defaults(builder, MODEL_WORDPIECE))
		return false;
	settings->clean_up_spaces = true;
	if (!tok_settings_read(builder, files, NULL) || !read_lines(builder, files->vocab_txt) ||
		!tok_builder_wordpiece(builder, "##", settings->special.items[ROLE_UNK].text))
		return false;
	drop_doubles(builder);
	strip = settings->strip_accents >= 0 ? settings->strip_accents != 0 : settings->do_lower_case;
	header->max_word = MOST_WORD;
	header->decoder = DECODER_WORDPIECE_CLEAN;
	header->split = SPLIT_SPACES | SPLIT_PUNCTUATION;
	strcpy(header->prefix, "##");
	return tok_builder_bert_steps(builder, true, settings->tokenize_chinese_chars, strip, settings->do_lower_case);
}
