/*
 * compile.h
 *	  What the files that compile an image share.
 */
#ifndef ALBERT_TOKENIZER_COMPILE_H
#define ALBERT_TOKENIZER_COMPILE_H

#include "tokenizer/characters.h"
#include "tokenizer/image.h"

#define MOST_STEPS		64
#define MOST_ITEMS		64

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
	int32_t		id;				/* -1: not settled yet */
} SettingsToken;

typedef enum SpecialRole
{
	ROLE_BOS,					/* in the order in which the reference lists them */
	ROLE_EOS,
	ROLE_UNK,
	ROLE_SEP,
	ROLE_PAD,
	ROLE_CLS,
	ROLE_MASK,
	ROLE_COUNT
} SpecialRole;

typedef struct SettingsTokens
{
	SettingsToken *items;
	size_t		count;
	size_t		room;
} SettingsTokens;

/* tokenizer_config.json, special_tokens_map.json, added_tokens.json and tokenizer.json's added tokens taken together. */
typedef struct Settings
{
	SettingsToken roles[ROLE_COUNT];
	SettingsTokens additional;
	SettingsTokens added;		/* with their ids */
	size_t		own_added;		/* from here on, they are of tokenizer.json */
	bool		settled;		/* the first file's list of added tokens says it all */
	bool		do_lower_case;
	bool		keep_accents;
	int			strip_accents;	/* -1: as do_lower_case */
	bool		tokenize_chinese_chars;
	SettingsToken class_name;	/* tokenizer_class; text NULL: not said */
	bool		bert_class;		/* it is BertTokenizer's */
	bool		clean_up_spaces;
	bool		truncate_left;
	double		model_max_length;	/* 0: not said */
} Settings;

/* What an image is made from. */
typedef struct Builder
{
	AlbertArena *arena;
	AlbertStatus *status;
	TokenizerHeader header;
	AlbertBytes sections[SECTION_COUNT];
	Piece	   *pieces;
	int32_t		piece_count;
	int32_t		piece_room;
	char	   *strings;
	size_t		strings_size;
	size_t		strings_room;
	Step		steps[MOST_STEPS];
	int32_t		step_count;
	uint32_t   *codes;			/* the steps' strings */
	size_t		code_count;
	size_t		code_room;
	TemplateItem items[MOST_ITEMS];
	int32_t		item_count;
	bool		has_template;
	Settings	settings;
} Builder;

/* trie.c */
extern bool tok_build_trie(TrieKey *keys, size_t count, AlbertArena *arena,
						   AlbertBytes *section, AlbertStatus *status);

/* builder.c */
extern bool tok_builder_piece(Builder *builder, const char *text, size_t size, double score, uint32_t flags);
extern bool tok_builder_string(Builder *builder, const char *text, size_t size, uint32_t *offset);
extern bool tok_builder_step(Builder *builder, Operation operation, const char *first, const char *second);
extern bool tok_builder_item(Builder *builder, TemplateWhat what, int32_t id, int32_t type);
extern bool tok_builder_hash(Builder *builder);
extern bool tok_builder_layout(Builder *builder, AlbertBytes *image);
extern int32_t tok_builder_find(const Builder *builder, const char *text, size_t size);
extern void tok_builder_probe(Builder *builder, AlbertTokenizer *probe);

/* model.c: the models' tables from the pieces */
extern bool tok_builder_unigram(Builder *builder);
extern bool tok_builder_wordpiece(Builder *builder, const char *prefix, size_t prefix_size);
extern bool tok_builder_bert_steps(Builder *builder, bool clean, bool ideographs, bool strip_accents, bool lower);
extern bool tok_builder_charsmap(Builder *builder, const unsigned char *map, size_t size, const char **problem);

/* settings.c */
extern bool tok_settings_read(const AlbertTokenizerFiles *files, AlbertArena *arena, Settings *settings,
							  AlbertStatus *status);
extern bool tok_settings_push(SettingsTokens *tokens, const SettingsToken *token, AlbertArena *arena,
							  AlbertStatus *status);
extern void tok_albert_defaults(Settings *settings);
extern void tok_bert_defaults(Settings *settings);

/* added.c */
extern bool tok_builder_added(Builder *builder);

/* ascii.c */
extern bool tok_builder_ascii(Builder *builder);

/* scores.c */
extern double tok_score_as_read(double score);
extern void tok_scores_as_read(Builder *builder, AlbertBytes file);

/* spiece.c, vocab.c, json.c: the three kinds of files */
extern bool tok_compile_spiece(Builder *builder, const AlbertTokenizerFiles *files);
extern bool tok_compile_vocab(Builder *builder, const AlbertTokenizerFiles *files);
extern bool tok_compile_json(Builder *builder, const AlbertTokenizerFiles *files);

#endif							/* ALBERT_TOKENIZER_COMPILE_H */
