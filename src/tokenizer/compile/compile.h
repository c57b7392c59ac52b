/*
 * compile.h
 *	  What the files that compile an image share.
 */
#ifndef ALBERT_TOKENIZER_COMPILE_H
#define ALBERT_TOKENIZER_COMPILE_H

#include "base/json.h"
#include "tokenizer/characters.h"
#include "tokenizer/image.h"
#include "tokenizer/sentencepiece/module.h"

#define MOST_STEPS		64
#define MOST_ITEMS		64

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

typedef struct TrieKey
{
	const char *text;
	uint32_t	size;
	int32_t		id;
} TrieKey;

typedef struct Piece
{
	const char *text;			/* UTF-8; NULL: no piece has this id */
	uint32_t	size;
	uint32_t	flags;			/* PIECE_* */
	double		score;
} Piece;

/* A token of the settings: an AddedToken of the reference, or a plain string. */
typedef struct SettingsToken
{
	const char *text;			/* NULL: none */
	uint32_t	size;
	uint32_t	flags;			/* ADDED_* */
	int32_t		id;				/* once it is settled */
} SettingsToken;

typedef struct SettingsTokens
{
	SettingsToken *items;
	size_t		count;
	size_t		room;
} SettingsTokens;

/* What all files say of a tokenizer but for its model and steps. */
typedef struct Settings
{
	SettingsTokens special;		/* the roles' tokens, by SpecialRole, and additional ones behind them */
	uint32_t	plain_mask;		/* flags of a mask token that is given as a plain string */
	SettingsTokens added;
	bool		settled;		/* the first file's list of added tokens says it all */
	int32_t		do_lower_case;
	int32_t		keep_accents;
	int32_t		strip_accents;	/* -1: as do_lower_case */
	int32_t		tokenize_chinese_chars;
	int32_t		clean_up_spaces;
	int32_t		truncate_left;
	double		model_max_length;	/* 0: not said */
	const char *class_name;		/* tokenizer_class; NULL: not said */
	bool		bert_class;		/* it is BertTokenizer's */
} Settings;

/* What an image is made from. */
typedef struct Builder
{
	AlbertArena *arena;
	AlbertStatus *status;
	const char *file;			/* that is being read, for messages */
	bool		has_json;		/* there is a tokenizer.json */
	json_t	   *documents;		/* parsed so far; pieces' and tokens' texts may be theirs */
	AlbertTokenizer tokenizer;	/* as far as it is made: header, with the sections where they are */
	TokenizerHeader header;
	Piece	   *pieces;
	int32_t		piece_count;
	size_t		piece_room;
	Step		steps[MOST_STEPS];
	TemplateItem items[MOST_ITEMS];
	int32_t		item_count;
	Settings	settings;
	const AlbertSpieceTable *library;	/* the sentencepiece library's functions; NULL: not needed */
	AlbertSpiece *spiece;		/* a spiece.model that it has read, and whose texts the pieces' are; NULL: none */
} Builder;

/* builder.c: what is wrong with the file, and false; name may be NULL */
extern bool tok_malformed(Builder *builder, const char *detail);
extern bool tok_unsupported(Builder *builder, const char *what, const char *name);
extern json_t *tok_parse(Builder *builder, AlbertBytes file);

/* trie.c: of keys that are equal the last one counts; unigram: they may have word marks */
extern bool tok_build_trie(Builder *builder, const TrieKey *keys, size_t count, bool unigram, Section section);

/* builder.c */
extern void tok_builder_section(Builder *builder, Section section, const void *data, size_t size);
extern bool tok_builder_piece(Builder *builder, const char *text, size_t size, double score);
extern bool tok_builder_place(Builder *builder, int32_t id, const char *text, size_t size, uint32_t flags);
extern bool tok_builder_step(Builder *builder, Operation operation, const char *pattern, const char *content);
extern bool tok_builder_item(Builder *builder, TemplateWhat what, int32_t id, int32_t type);
extern bool tok_builder_template(Builder *builder, int32_t cls, int32_t sep);
extern bool tok_builder_layout(Builder *builder, AlbertBytes *image);

/* model.c: the models' tables from the pieces */
extern bool tok_builder_unigram(Builder *builder);
extern bool tok_builder_wordpiece(Builder *builder, const char *prefix, const char *unknown);
extern bool tok_builder_bert_steps(Builder *builder, bool clean, bool ideographs, bool strip_accents, bool lower);
extern bool tok_builder_charsmap(Builder *builder, const unsigned char *map, size_t size);

/* settings.c: a model's defaults, then what files say; tokenizer_json is that file's content, or NULL */
extern bool tok_settings_defaults(Builder *builder, ModelKind model);
extern bool tok_settings_read(Builder *builder, const AlbertTokenizerFiles *files, const json_t *tokenizer_json);
extern bool tok_settings_push(Builder *builder, SettingsTokens *tokens, const SettingsToken *token);
extern SettingsToken *tok_settings_find(const SettingsTokens *tokens, const SettingsToken *wanted);	/* NULL: no such */

/* added.c */
extern bool tok_builder_added(Builder *builder);

/* ascii.c */
extern bool tok_builder_ascii(Builder *builder);

/* scores.c */
extern double tok_score_as_read(double score);

/*
 * library.c.  To compare is to have every piece, and some hundreds of texts
 * made of pieces, cut by the tokenizer and by the library; a difference that is not
 * one of those known is an error that shows it.
 */
extern bool tok_spiece_open(Builder *builder, const AlbertTokenizerFiles *files);
extern bool tok_spiece_compare(Builder *builder);

/* spiece.c, vocab.c, json.c: the three kinds of files */
extern bool tok_compile_spiece(Builder *builder, const AlbertTokenizerFiles *files);
extern bool tok_compile_vocab(Builder *builder, const AlbertTokenizerFiles *files);
extern bool tok_compile_json(Builder *builder, const AlbertTokenizerFiles *files);

#endif							/* ALBERT_TOKENIZER_COMPILE_H */
