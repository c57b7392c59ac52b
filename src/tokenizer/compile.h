/*
 * compile.h
 *	  What the files that compile an image share.
 */
#ifndef ALBERT_TOKENIZER_COMPILE_H
#define ALBERT_TOKENIZER_COMPILE_H

#include "tokenizer/internal.h"

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
	bool		plain;			/* given as a string, its flags are the class's defaults */
	int32_t		id;				/* -1: to be found in the vocabulary */
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

/* tokenizer_config.json, special_tokens_map.json and added_tokens.json taken together. */
typedef struct Settings
{
	SettingsToken roles[ROLE_COUNT];
	SettingsTokens additional;
	SettingsTokens added;		/* with their ids */
	size_t		own_added;		/* from here on, they are of tokenizer.json */
	bool		settled;		/* the first file's list of added tokens says it all */
	bool		do_lower_case;
	bool		keep_accents;
	bool		remove_space;
	int			strip_accents;	/* -1: as do_lower_case */
	bool		tokenize_chinese_chars;
	bool		do_basic_tokenize;
	bool		clean_up_spaces;
	bool		truncate_left;
	SettingsTokens never_split;
	double		model_max_length;	/* 0: not said */
} Settings;

/* What an image is made from. */
typedef struct Builder
{
	AlbertArena *arena;
	AlbertStatus *status;
	ImageHeader header;
	AlbertBytes sections[SECTION_COUNT];
	Piece	   *pieces;
	int32_t		piece_count;
	int32_t		piece_room;
	char	   *strings;
	size_t		strings_size;
	size_t		strings_room;
	double		model_max_length;	/* 0: not said */
} Builder;

/* trie.c */
extern bool tok_sort_keys(TrieKey *keys, size_t count, AlbertArena *arena, AlbertStatus *status);
extern bool tok_build_trie(TrieKey *keys, size_t count, AlbertArena *arena,
						   AlbertBytes *section, AlbertStatus *status);

/* image.c */
extern bool tok_builder_piece(Builder *builder, const char *text, size_t size, double score, uint32_t flags);
extern bool tok_builder_string(Builder *builder, const char *text, size_t size, uint32_t *offset);
extern bool tok_builder_hash(Builder *builder, bool last_wins);
extern bool tok_builder_finish(Builder *builder, AlbertBytes *image);
extern bool tok_builder_template(Builder *builder);
extern int32_t tok_builder_find(const Builder *builder, const char *text, size_t size);
extern bool tok_with_word_marks(AlbertArena *arena, const char *text, size_t size, TrieKey *key,
								AlbertStatus *status);

/* settings.c */
extern bool tok_settings_read(const AlbertTokenizerFiles *files, const Settings *defaults, bool fast,
							  AlbertArena *arena, Settings *settings, AlbertStatus *status);
extern bool tok_settings_push(SettingsTokens *tokens, const SettingsToken *token, AlbertArena *arena,
							  AlbertStatus *status);

/* added.c */
extern bool tok_builder_added(Builder *builder, const Settings *settings);

/* spiece.c */
extern bool tok_compile_spiece(Builder *builder, const AlbertTokenizerFiles *files);

/* charsmap.c */
extern bool tok_builder_charsmap(Builder *builder, const unsigned char *map, size_t size, const char **problem);
extern void tok_builder_probe(Builder *builder, AlbertTokenizer *probe);

/* pipeline.c, pipeline_scores.c */
extern void tok_pipeline_scores(Builder *builder, AlbertBytes file);
extern bool tok_compile_pipeline(Builder *builder, const AlbertTokenizerFiles *files);

/* spiece.c */
extern void tok_albert_defaults(Settings *defaults);

/* bert.c */
extern void tok_bert_defaults(Settings *defaults);
extern bool tok_build_wordpiece_tries(Builder *builder, const char *prefix, size_t prefix_size);
extern bool tok_compile_bert(Builder *builder, const AlbertTokenizerFiles *files);

#endif							/* ALBERT_TOKENIZER_COMPILE_H */
