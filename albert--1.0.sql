/* albert--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION albert" to load this file. \quit

-- ---------------------------------------------------------------------
-- Models: what there is, what is loaded, what has been done
-- (src/functions/models.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_models(
    OUT name text,
    OUT state text,
    OUT architecture text,
    OUT heads text[],
    OUT parameters bigint,
    OUT layers integer,
    OUT hidden_size integer,
    OUT "precision" text,
    OUT kernel text,
    OUT shared_bytes bigint,
    OUT sha256 text,
    OUT path text,
    OUT loaded_at timestamptz,
    OUT error text,
    OUT origin text,
    OUT owner text,
    OUT description jsonb,
    OUT file_bytes bigint,
    OUT transactions integer,
    OUT last_used timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_models'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 10000 ROWS 20;
COMMENT ON FUNCTION albert_models() IS 'models found under albert.model_path and in the database, and models that are loaded';

CREATE VIEW albert_models AS SELECT * FROM albert_models();
GRANT SELECT ON albert_models TO PUBLIC;
COMMENT ON VIEW albert_models IS 'models found under albert.model_path and in the database, and models that are loaded';
COMMENT ON COLUMN albert_models.name IS 'what to call the model in SQL: the name of its directory, or that it has in the database';
COMMENT ON COLUMN albert_models.state IS 'importing: not finished; restoring: a table without rows; available: not in memory; loading; tokenizer: only that is in memory; loaded; broken: see error';
COMMENT ON COLUMN albert_models.heads IS 'what the model answers besides embeddings';
COMMENT ON COLUMN albert_models.precision IS 'in which the loaded weights are kept';
COMMENT ON COLUMN albert_models.kernel IS 'kernel set that computes with the loaded weights';
COMMENT ON COLUMN albert_models.shared_bytes IS 'shared memory the model takes, once for all sessions';
COMMENT ON COLUMN albert_models.sha256 IS 'SHA-256 of what sha256sum prints for the model''s files in the order of their names';
COMMENT ON COLUMN albert_models.path IS 'directory of the model; NULL without the privileges of pg_read_all_settings';
COMMENT ON COLUMN albert_models.error IS 'why the model is broken';
COMMENT ON COLUMN albert_models.origin IS 'directory; database; pinned directory: a model of the database whose files are in a directory; other database';
COMMENT ON COLUMN albert_models.owner IS 'of a model of the database';
COMMENT ON COLUMN albert_models.description IS 'SHA-256 and options of a model of the database';
COMMENT ON COLUMN albert_models.file_bytes IS 'of a model of the database, so far as they have been imported';
COMMENT ON COLUMN albert_models.transactions IS 'how many compute with the model now';
COMMENT ON COLUMN albert_models.last_used IS 'when the last transaction that computed with the model ended';

CREATE FUNCTION albert_stats(
    OUT model text,
    OUT calls bigint,
    OUT rows bigint,
    OUT tokens bigint,
    OUT truncated bigint,
    OUT batches bigint,
    OUT seconds double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_stats'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100 ROWS 10;
COMMENT ON FUNCTION albert_stats() IS 'work done by each model in all sessions since the server was started or albert_stats_reset()';

CREATE VIEW albert_stats AS SELECT * FROM albert_stats();
GRANT SELECT ON albert_stats TO PUBLIC;
COMMENT ON VIEW albert_stats IS 'work done by each model in all sessions since the server was started or albert_stats_reset()';
COMMENT ON COLUMN albert_stats.calls IS 'runs of the encoder or of the tokenizer';
COMMENT ON COLUMN albert_stats.rows IS 'texts or pairs of texts';
COMMENT ON COLUMN albert_stats.tokens IS 'special tokens included, after truncation';
COMMENT ON COLUMN albert_stats.truncated IS 'texts that were longer than the model takes';
COMMENT ON COLUMN albert_stats.batches IS 'groups of texts that were computed together';
COMMENT ON COLUMN albert_stats.seconds IS 'time spent in these runs';

CREATE FUNCTION albert_load(model text)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_load'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100000;
COMMENT ON FUNCTION albert_load(text) IS 'load a model into shared memory now rather than at first use';
REVOKE ALL ON FUNCTION albert_load(text) FROM PUBLIC;

CREATE FUNCTION albert_unload(model text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'albert_unload'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION albert_unload(text) IS 'free a model''s shared memory; its next use loads it from its files again; false when it was not loaded';
REVOKE ALL ON FUNCTION albert_unload(text) FROM PUBLIC;

CREATE FUNCTION albert_stats_reset()
RETURNS void
AS 'MODULE_PATHNAME', 'albert_stats_reset'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION albert_stats_reset() IS 'set the counts of albert_stats to zero';
REVOKE ALL ON FUNCTION albert_stats_reset() FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Models as objects of the database: tables in this schema, whose name dumps
-- put before all others, so that models are restored before what is computed
-- with them (src/store/object.h, src/functions/objects.c)
-- ---------------------------------------------------------------------
CREATE SCHEMA "!albert";
GRANT USAGE ON SCHEMA "!albert" TO PUBLIC;
GRANT CREATE ON SCHEMA "!albert" TO @extowner@ WITH GRANT OPTION;
COMMENT ON SCHEMA "!albert" IS 'models of the database, a table each; CREATE is the right to make models, SELECT to use one';

CREATE FUNCTION albert_import_file(model text, path text, part bytea, "offset" bigint DEFAULT -1)
RETURNS bigint
AS 'MODULE_PATHNAME', 'albert_import_file'
LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION albert_import_file(text, text, bytea, bigint) IS
'append to a file of a model that is being imported; how many bytes the file has then';

CREATE FUNCTION albert_import_directory(model text, directory text)
RETURNS integer
AS 'MODULE_PATHNAME', 'albert_import_directory'
LANGUAGE C VOLATILE STRICT COST 100000;
COMMENT ON FUNCTION albert_import_directory(text, text) IS
'import the files of a directory on the server; how many they are';

CREATE PROCEDURE albert_create_model(model text, directory text DEFAULT NULL, "precision" text DEFAULT NULL,
	do_lower_case boolean DEFAULT NULL, keep_accents boolean DEFAULT NULL, strip_accents boolean DEFAULT NULL,
	max_length integer DEFAULT NULL, overflow text DEFAULT NULL, pooling text DEFAULT NULL, normalized boolean DEFAULT NULL,
	prompt text DEFAULT NULL, comment text DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'albert_create_model';
COMMENT ON PROCEDURE albert_create_model(text, text, text, boolean, boolean, boolean, integer, text, text, boolean, text, text) IS
'make a model of the database of imported files, or of a directory of albert.model_path';

CREATE FUNCTION albert_replace_model(model text, by text)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_replace_model'
LANGUAGE C VOLATILE STRICT COST 100000;
COMMENT ON FUNCTION albert_replace_model(text, text) IS
'give a model of the database the files of another, or of an import, which then is no more';

CREATE FUNCTION albert_rename_model(model text, new_name text)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_rename_model'
LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION albert_rename_model(text, text) IS 'rename a model of the database';

CREATE FUNCTION albert_drop_model(model text)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_drop_model'
LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION albert_drop_model(text) IS 'drop a model of the database, or an import';

CREATE FUNCTION albert_export_directory(model text, directory text)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_export_directory'
LANGUAGE C VOLATILE STRICT COST 100000;
COMMENT ON FUNCTION albert_export_directory(text, text) IS
'write the files of a model of the database to a new directory on the server';

CREATE FUNCTION albert_grant(model text, role name)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_grant'
LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION albert_grant(text, name) IS 'let a role, or public, use a model of the database';

CREATE FUNCTION albert_revoke(model text, role name)
RETURNS void
AS 'MODULE_PATHNAME', 'albert_revoke'
LANGUAGE C VOLATILE STRICT COST 1000;
COMMENT ON FUNCTION albert_revoke(text, name) IS 'take back what albert_grant has given';

-- ---------------------------------------------------------------------
-- The functions over texts.  Each exists for the default model (STABLE) and
-- for a named one (IMMUTABLE); the model follows the texts, options are given
-- by name.  The first option is never a text, so that a model after the texts
-- cannot be taken for an option.  Where a second text is optional it is given
-- as pair => ... or between the text and the model.  Forms of one name do not
-- differ in text against text[] alone: a parameter without a type is taken
-- for a text.  What becomes of long texts is said by the setting
-- albert.overflow for the default model, and for a named one, which follows
-- no setting, by the option overflow.
-- ---------------------------------------------------------------------

-- ---------------------------------------------------------------------
-- What the planner asks of the functions below (src/functions/tasks.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'albert_support'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION albert_support(internal) IS 'costs and batching of albert functions, for the planner';

-- ---------------------------------------------------------------------
-- Tokenizer
-- (src/functions/tokenize.c, src/functions/chunks.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_tokenize(content text)
RETURNS text[]
AS 'MODULE_PATHNAME', 'albert_tokenize'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_tokenize(text) IS
'the pieces a text is made of (by the default model)';

CREATE FUNCTION albert_tokenize(content text, model text)
RETURNS text[]
AS 'MODULE_PATHNAME', 'albert_tokenize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_tokenize(text, text) IS
'the pieces a text is made of';

CREATE FUNCTION albert_encode(content text, special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS integer[]
AS 'MODULE_PATHNAME', 'albert_encode'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_encode(text, boolean, text) IS
'token ids of a text, or of a pair of texts (by the default model)';

CREATE FUNCTION albert_encode(content text, model text,
	special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS integer[]
AS 'MODULE_PATHNAME', 'albert_encode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_encode(text, text, boolean, text) IS
'token ids of a text, or of a pair of texts';

CREATE FUNCTION albert_encode(content text, second text, model text)
RETURNS integer[]
AS 'MODULE_PATHNAME', 'albert_encode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_encode(text, text, text) IS
'token ids of a pair of texts';

CREATE FUNCTION albert_token_count(content text, special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS integer
AS 'MODULE_PATHNAME', 'albert_token_count'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_token_count(text, boolean, text) IS
'number of tokens of a text, or of a pair of texts (by the default model)';

CREATE FUNCTION albert_token_count(content text, model text,
	special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS integer
AS 'MODULE_PATHNAME', 'albert_token_count'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_token_count(text, text, boolean, text) IS
'number of tokens of a text, or of a pair of texts';

CREATE FUNCTION albert_token_count(content text, second text, model text)
RETURNS integer
AS 'MODULE_PATHNAME', 'albert_token_count'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 SUPPORT albert_support;
COMMENT ON FUNCTION albert_token_count(text, text, text) IS
'number of tokens of a pair of texts';

CREATE FUNCTION albert_tokens(content text, special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS TABLE ("position" integer, piece text, token_id integer, start integer, stop integer, segment integer, special boolean)
AS 'MODULE_PATHNAME', 'albert_encode'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 50 ROWS 30 SUPPORT albert_support;
COMMENT ON FUNCTION albert_tokens(text, boolean, text) IS
'tokens, with their places in the text, of a text, or of a pair of texts (by the default model)';

CREATE FUNCTION albert_tokens(content text, model text,
	special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS TABLE ("position" integer, piece text, token_id integer, start integer, stop integer, segment integer, special boolean)
AS 'MODULE_PATHNAME', 'albert_encode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 30 SUPPORT albert_support;
COMMENT ON FUNCTION albert_tokens(text, text, boolean, text) IS
'tokens, with their places in the text, of a text, or of a pair of texts';

CREATE FUNCTION albert_tokens(content text, second text, model text)
RETURNS TABLE ("position" integer, piece text, token_id integer, start integer, stop integer, segment integer, special boolean)
AS 'MODULE_PATHNAME', 'albert_encode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50 ROWS 30 SUPPORT albert_support;
COMMENT ON FUNCTION albert_tokens(text, text, text) IS
'tokens, with their places in the text, of a pair of texts';

CREATE FUNCTION albert_decode(token_ids integer[], skip_special_tokens boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME', 'albert_decode'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION albert_decode(integer[], boolean) IS
'text of token ids (by the default model)';

CREATE FUNCTION albert_decode(token_ids integer[], model text, skip_special_tokens boolean DEFAULT false)
RETURNS text
AS 'MODULE_PATHNAME', 'albert_decode'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION albert_decode(integer[], text, boolean) IS
'text of token ids';

CREATE FUNCTION albert_chunks(content text, max_tokens integer DEFAULT 0, overlap integer DEFAULT 0,
	split_by text DEFAULT 'token', prefix text DEFAULT '')
RETURNS TABLE (chunk integer, content text, start integer, stop integer)
AS 'MODULE_PATHNAME', 'albert_chunks'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100 ROWS 10 SUPPORT albert_support;
COMMENT ON FUNCTION albert_chunks(text, integer, integer, text, text) IS
'a long text in chunks that fit the model, cut at ends of words, sentences, paragraphs or sections (by the default model)';

CREATE FUNCTION albert_chunks(content text, model text,
	max_tokens integer DEFAULT 0, overlap integer DEFAULT 0,
	split_by text DEFAULT 'token', prefix text DEFAULT '')
RETURNS TABLE (chunk integer, content text, start integer, stop integer)
AS 'MODULE_PATHNAME', 'albert_chunks'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10 SUPPORT albert_support;
COMMENT ON FUNCTION albert_chunks(text, text, integer, integer, text, text) IS
'a long text in chunks that fit the model, cut at ends of words, sentences, paragraphs or sections';


-- ---------------------------------------------------------------------
-- Fill-mask
-- (src/functions/fill_mask.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_fill_mask(content text)
RETURNS text
AS 'MODULE_PATHNAME', 'albert_fill_mask'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_fill_mask(text) IS
'the most probable tokens at the masks of a text (by the default model)';

CREATE FUNCTION albert_fill_mask(content text, model text, overflow text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME', 'albert_fill_mask'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_fill_mask(text, text, text) IS
'the most probable tokens at the masks of a text';

CREATE FUNCTION albert_fill_mask_candidates(content text, top_k integer DEFAULT 5, targets text[] DEFAULT '{}')
RETURNS TABLE (mask integer, rank integer, token text, token_id integer, score real, sequence text)
AS 'MODULE_PATHNAME', 'albert_fill_mask'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 5 SUPPORT albert_support;
COMMENT ON FUNCTION albert_fill_mask_candidates(text, integer, text[]) IS
'ranked candidates for each mask of a text (by the default model)';

CREATE FUNCTION albert_fill_mask_candidates(content text, model text,
	top_k integer DEFAULT 5, targets text[] DEFAULT '{}', overflow text DEFAULT '')
RETURNS TABLE (mask integer, rank integer, token text, token_id integer, score real, sequence text)
AS 'MODULE_PATHNAME', 'albert_fill_mask'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 5 SUPPORT albert_support;
COMMENT ON FUNCTION albert_fill_mask_candidates(text, text, integer, text[], text) IS
'ranked candidates for each mask of a text';


-- ---------------------------------------------------------------------
-- Embeddings
-- (src/functions/embedding.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_embedding(content text,
	normalized boolean DEFAULT false, dimensions integer DEFAULT 0, pooling text DEFAULT '', prompt text DEFAULT '')
RETURNS real[]
AS 'MODULE_PATHNAME', 'albert_embedding'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_embedding(text, boolean, integer, text, text) IS
'embedding of a text (by the default model)';

CREATE FUNCTION albert_embedding(content text, model text,
	normalized boolean DEFAULT false, dimensions integer DEFAULT 0, pooling text DEFAULT '', prompt text DEFAULT '', overflow text DEFAULT '')
RETURNS real[]
AS 'MODULE_PATHNAME', 'albert_embedding'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_embedding(text, text, boolean, integer, text, text, text) IS
'embedding of a text';

CREATE FUNCTION albert_embeddings(content text[],
	normalized boolean DEFAULT false, dimensions integer DEFAULT 0, pooling text DEFAULT '', prompt text DEFAULT '')
RETURNS real[]
AS 'MODULE_PATHNAME', 'albert_embeddings'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 50000;
COMMENT ON FUNCTION albert_embeddings(text[], boolean, integer, text, text) IS
'embeddings of several texts, one row each (by the default model)';

CREATE FUNCTION albert_embeddings(content text[], model text,
	normalized boolean DEFAULT false, dimensions integer DEFAULT 0, pooling text DEFAULT '', prompt text DEFAULT '', overflow text DEFAULT '')
RETURNS real[]
AS 'MODULE_PATHNAME', 'albert_embeddings'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50000;
COMMENT ON FUNCTION albert_embeddings(text[], text, boolean, integer, text, text, text) IS
'embeddings of several texts, one row each';

CREATE FUNCTION albert_token_embeddings(content text, special_tokens boolean DEFAULT true, pair text DEFAULT '')
RETURNS TABLE ("position" integer, piece text, token_id integer, embedding real[])
AS 'MODULE_PATHNAME', 'albert_token_embeddings'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 30 SUPPORT albert_support;
COMMENT ON FUNCTION albert_token_embeddings(text, boolean, text) IS
'last hidden state by token of a text, or of a pair of texts (by the default model)';

CREATE FUNCTION albert_token_embeddings(content text, model text,
	special_tokens boolean DEFAULT true, pair text DEFAULT '', overflow text DEFAULT '')
RETURNS TABLE ("position" integer, piece text, token_id integer, embedding real[])
AS 'MODULE_PATHNAME', 'albert_token_embeddings'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 30 SUPPORT albert_support;
COMMENT ON FUNCTION albert_token_embeddings(text, text, boolean, text, text) IS
'last hidden state by token of a text, or of a pair of texts';

CREATE FUNCTION albert_token_embeddings(content text, second text, model text, overflow text DEFAULT '')
RETURNS TABLE ("position" integer, piece text, token_id integer, embedding real[])
AS 'MODULE_PATHNAME', 'albert_token_embeddings'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 30 SUPPORT albert_support;
COMMENT ON FUNCTION albert_token_embeddings(text, text, text, text) IS
'last hidden state by token of a pair of texts';

CREATE FUNCTION albert_similarity(a text, b text)
RETURNS real
AS 'MODULE_PATHNAME', 'albert_similarity'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_similarity(text, text) IS
'cosine similarity of the embeddings of two texts (by the default model)';

CREATE FUNCTION albert_similarity(a text, b text, model text, overflow text DEFAULT '')
RETURNS real
AS 'MODULE_PATHNAME', 'albert_similarity'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_similarity(text, text, text, text) IS
'cosine similarity of the embeddings of two texts';

CREATE FUNCTION albert_similarity(a real[], b real[])
RETURNS real
AS 'MODULE_PATHNAME', 'albert_similarity_vectors'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION albert_similarity(real[], real[]) IS
'cosine similarity of two embeddings';


-- ---------------------------------------------------------------------
-- Sentence order, classification, choice
-- (src/functions/score.c, classify.c, choose.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_sentence_order(a text, b text)
RETURNS real
AS 'MODULE_PATHNAME', 'albert_sentence_order'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_sentence_order(text, text) IS
'probability that text b follows text a (by the default model)';

CREATE FUNCTION albert_sentence_order(a text, b text, model text, overflow text DEFAULT '')
RETURNS real
AS 'MODULE_PATHNAME', 'albert_sentence_order'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_sentence_order(text, text, text, text) IS
'probability that text b follows text a';

CREATE FUNCTION albert_classify(content text, min_score real DEFAULT '-infinity', pair text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME', 'albert_classify'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_classify(text, real, text) IS
'best label of a text, or of a pair of texts (by the default model)';

CREATE FUNCTION albert_classify(content text, model text,
	min_score real DEFAULT '-infinity', pair text DEFAULT '', overflow text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME', 'albert_classify'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_classify(text, text, real, text, text) IS
'best label of a text, or of a pair of texts';

CREATE FUNCTION albert_classify(content text, second text, model text, overflow text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME', 'albert_classify'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_classify(text, text, text, text) IS
'best label of a pair of texts';

CREATE FUNCTION albert_classify_scores(content text, top_k integer DEFAULT 0, pair text DEFAULT '')
RETURNS TABLE (label text, score real)
AS 'MODULE_PATHNAME', 'albert_classify'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_classify_scores(text, integer, text) IS
'labels with their scores, best first, of a text, or of a pair of texts (by the default model)';

CREATE FUNCTION albert_classify_scores(content text, model text,
	top_k integer DEFAULT 0, pair text DEFAULT '', overflow text DEFAULT '')
RETURNS TABLE (label text, score real)
AS 'MODULE_PATHNAME', 'albert_classify'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_classify_scores(text, text, integer, text, text) IS
'labels with their scores, best first, of a text, or of a pair of texts';

CREATE FUNCTION albert_classify_scores(content text, second text, model text, overflow text DEFAULT '')
RETURNS TABLE (label text, score real)
AS 'MODULE_PATHNAME', 'albert_classify'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_classify_scores(text, text, text, text) IS
'labels with their scores, best first, of a pair of texts';

CREATE FUNCTION albert_score(query text, document text)
RETURNS real
AS 'MODULE_PATHNAME', 'albert_score'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_score(text, text) IS
'how well a document answers a query, by a cross-encoder (by the default model)';

CREATE FUNCTION albert_score(query text, document text, model text, overflow text DEFAULT '')
RETURNS real
AS 'MODULE_PATHNAME', 'albert_score'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_score(text, text, text, text) IS
'how well a document answers a query, by a cross-encoder';

CREATE FUNCTION albert_entailment(premise text, hypothesis text)
RETURNS real
AS 'MODULE_PATHNAME', 'albert_entailment'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_entailment(text, text) IS
'probability that a premise entails a hypothesis (by the default model)';

CREATE FUNCTION albert_entailment(premise text, hypothesis text, model text, overflow text DEFAULT '')
RETURNS real
AS 'MODULE_PATHNAME', 'albert_entailment'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_entailment(text, text, text, text) IS
'probability that a premise entails a hypothesis';

CREATE FUNCTION albert_class_probability(content text, label text)
RETURNS real
AS 'MODULE_PATHNAME', 'albert_class_probability'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_class_probability(text, text) IS
'probability of one label of a text (by the default model)';

CREATE FUNCTION albert_class_probability(content text, label text, model text,
	pair text DEFAULT '', overflow text DEFAULT '')
RETURNS real
AS 'MODULE_PATHNAME', 'albert_class_probability'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_class_probability(text, text, text, text, text) IS
'probability of one label of a text, or of a pair of texts';

CREATE FUNCTION albert_labels(content text, threshold real DEFAULT 0.5, pair text DEFAULT '')
RETURNS text[]
AS 'MODULE_PATHNAME', 'albert_labels'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_labels(text, real, text) IS
'labels, best first, that are probable enough for a text, or for a pair of texts (by the default model)';

CREATE FUNCTION albert_labels(content text, model text,
	threshold real DEFAULT 0.5, pair text DEFAULT '', overflow text DEFAULT '')
RETURNS text[]
AS 'MODULE_PATHNAME', 'albert_labels'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_labels(text, text, real, text, text) IS
'labels, best first, that are probable enough for a text, or for a pair of texts';

CREATE FUNCTION albert_labels(content text, second text, model text, overflow text DEFAULT '')
RETURNS text[]
AS 'MODULE_PATHNAME', 'albert_labels'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_labels(text, text, text, text) IS
'labels, best first, that are probable enough for a pair of texts';

CREATE FUNCTION albert_zero_shot(content text, labels text[],
	multi_label boolean DEFAULT false, template text DEFAULT 'This example is {}.')
RETURNS text
AS 'MODULE_PATHNAME', 'albert_zero_shot'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 15000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_zero_shot(text, text[], boolean, text) IS
'the label, of those given, that a text entails most (by the default model)';

CREATE FUNCTION albert_zero_shot(content text, labels text[], model text,
	multi_label boolean DEFAULT false, template text DEFAULT 'This example is {}.', overflow text DEFAULT '')
RETURNS text
AS 'MODULE_PATHNAME', 'albert_zero_shot'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 15000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_zero_shot(text, text[], text, boolean, text, text) IS
'the label, of those given, that a text entails most';

CREATE FUNCTION albert_zero_shot_scores(content text, labels text[],
	multi_label boolean DEFAULT false, template text DEFAULT 'This example is {}.')
RETURNS TABLE (label text, score real)
AS 'MODULE_PATHNAME', 'albert_zero_shot'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 15000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_zero_shot_scores(text, text[], boolean, text) IS
'the labels given with how much a text entails each, best first (by the default model)';

CREATE FUNCTION albert_zero_shot_scores(content text, labels text[], model text,
	multi_label boolean DEFAULT false, template text DEFAULT 'This example is {}.', overflow text DEFAULT '')
RETURNS TABLE (label text, score real)
AS 'MODULE_PATHNAME', 'albert_zero_shot'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 15000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_zero_shot_scores(text, text[], text, boolean, text, text) IS
'the labels given with how much a text entails each, best first';

CREATE FUNCTION albert_choose(context text, choices text[])
RETURNS integer
AS 'MODULE_PATHNAME', 'albert_choose'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_choose(text, text[]) IS
'number, from 1, of the choice that fits a context best (by the default model)';

CREATE FUNCTION albert_choose(context text, choices text[], model text, overflow text DEFAULT '')
RETURNS integer
AS 'MODULE_PATHNAME', 'albert_choose'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_choose(text, text[], text, text) IS
'number, from 1, of the choice that fits a context best';

CREATE FUNCTION albert_choose_scores(context text, choices text[])
RETURNS TABLE (choice integer, score real)
AS 'MODULE_PATHNAME', 'albert_choose'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20000 ROWS 4 SUPPORT albert_support;
COMMENT ON FUNCTION albert_choose_scores(text, text[]) IS
'every choice with its probability (by the default model)';

CREATE FUNCTION albert_choose_scores(context text, choices text[], model text, overflow text DEFAULT '')
RETURNS TABLE (choice integer, score real)
AS 'MODULE_PATHNAME', 'albert_choose'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000 ROWS 4 SUPPORT albert_support;
COMMENT ON FUNCTION albert_choose_scores(text, text[], text, text) IS
'every choice with its probability';


-- ---------------------------------------------------------------------
-- Question answering
-- (src/functions/answer.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_answer(question text, context text,
	handle_impossible boolean DEFAULT false, max_answer_len integer DEFAULT 15, max_seq_len integer DEFAULT 384, doc_stride integer DEFAULT -1, align_to_words boolean DEFAULT true)
RETURNS text
AS 'MODULE_PATHNAME', 'albert_answer'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_answer(text, text, boolean, integer, integer, integer, boolean) IS
'the words of a context that answer a question (by the default model)';

CREATE FUNCTION albert_answer(question text, context text, model text,
	handle_impossible boolean DEFAULT false, max_answer_len integer DEFAULT 15, max_seq_len integer DEFAULT 384, doc_stride integer DEFAULT -1, align_to_words boolean DEFAULT true)
RETURNS text
AS 'MODULE_PATHNAME', 'albert_answer'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000 SUPPORT albert_support;
COMMENT ON FUNCTION albert_answer(text, text, text, boolean, integer, integer, integer, boolean) IS
'the words of a context that answer a question';

CREATE FUNCTION albert_answers(question text, context text,
	top_k integer DEFAULT 1, handle_impossible boolean DEFAULT false, max_answer_len integer DEFAULT 15, max_seq_len integer DEFAULT 384, doc_stride integer DEFAULT -1, align_to_words boolean DEFAULT true)
RETURNS TABLE (rank integer, answer text, score real, start integer, stop integer)
AS 'MODULE_PATHNAME', 'albert_answer'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 20000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_answers(text, text, integer, boolean, integer, integer, integer, boolean) IS
'ranked answers to a question out of a context (by the default model)';

CREATE FUNCTION albert_answers(question text, context text, model text,
	top_k integer DEFAULT 1, handle_impossible boolean DEFAULT false, max_answer_len integer DEFAULT 15, max_seq_len integer DEFAULT 384, doc_stride integer DEFAULT -1, align_to_words boolean DEFAULT true)
RETURNS TABLE (rank integer, answer text, score real, start integer, stop integer)
AS 'MODULE_PATHNAME', 'albert_answer'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20000 ROWS 3 SUPPORT albert_support;
COMMENT ON FUNCTION albert_answers(text, text, text, integer, boolean, integer, integer, integer, boolean) IS
'ranked answers to a question out of a context';


-- ---------------------------------------------------------------------
-- Named entities
-- (src/functions/entities.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_entities(content text, min_score real DEFAULT 0, aggregation text DEFAULT 'simple')
RETURNS TABLE (entity text, score real, word text, start integer, stop integer)
AS 'MODULE_PATHNAME', 'albert_entities'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 5 SUPPORT albert_support;
COMMENT ON FUNCTION albert_entities(text, real, text) IS
'entities in a text (by the default model)';

CREATE FUNCTION albert_entities(content text, model text,
	min_score real DEFAULT 0, aggregation text DEFAULT 'simple', overflow text DEFAULT '')
RETURNS TABLE (entity text, score real, word text, start integer, stop integer)
AS 'MODULE_PATHNAME', 'albert_entities'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 5 SUPPORT albert_support;
COMMENT ON FUNCTION albert_entities(text, text, real, text, text) IS
'entities in a text';


-- ---------------------------------------------------------------------
-- Looking inside
-- (src/functions/inside.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_layers(content text)
RETURNS TABLE (layer integer, l2_distance real, cosine real)
AS 'MODULE_PATHNAME', 'albert_layers'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 12 SUPPORT albert_support;
COMMENT ON FUNCTION albert_layers(text) IS
'how far each layer moves the hidden states of a text (by the default model)';

CREATE FUNCTION albert_layers(content text, model text, overflow text DEFAULT '')
RETURNS TABLE (layer integer, l2_distance real, cosine real)
AS 'MODULE_PATHNAME', 'albert_layers'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 12 SUPPORT albert_support;
COMMENT ON FUNCTION albert_layers(text, text, text) IS
'how far each layer moves the hidden states of a text';

CREATE FUNCTION albert_attention(content text, layer integer, head integer)
RETURNS TABLE (query integer, query_piece text, key integer, key_piece text, weight real)
AS 'MODULE_PATHNAME', 'albert_attention'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 400 SUPPORT albert_support;
COMMENT ON FUNCTION albert_attention(text, integer, integer) IS
'what each token of a text attends to in one head of a layer (by the default model)';

CREATE FUNCTION albert_attention(content text, layer integer, head integer, model text, overflow text DEFAULT '')
RETURNS TABLE (query integer, query_piece text, key integer, key_piece text, weight real)
AS 'MODULE_PATHNAME', 'albert_attention'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 400 SUPPORT albert_support;
COMMENT ON FUNCTION albert_attention(text, integer, integer, text, text) IS
'what each token of a text attends to in one head of a layer';


-- ---------------------------------------------------------------------
-- Training on a user's rows
-- (src/functions/train.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_train(model text, query text, base text DEFAULT NULL, balanced boolean DEFAULT false,
	strength double precision DEFAULT NULL, folds integer DEFAULT 5,
	OUT fold integer, OUT metric text, OUT class text, OUT predicted text,
	OUT value double precision, OUT low double precision, OUT high double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_train'
LANGUAGE C VOLATILE COST 1000000 ROWS 50;
COMMENT ON FUNCTION albert_train(text, text, text, boolean, double precision, integer)
IS 'train a model on the texts (or, with a column "pair", pairs of texts) and labels of a query, over embeddings of a base model; how well it does on rows it has not seen';

CREATE FUNCTION albert_evaluate(model text, query text,
	OUT fold integer, OUT metric text, OUT class text, OUT predicted text,
	OUT value double precision, OUT low double precision, OUT high double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_evaluate'
LANGUAGE C VOLATILE STRICT COST 1000000 ROWS 50;
COMMENT ON FUNCTION albert_evaluate(text, text)
IS 'how well a model does on the texts and labels of a query';

-- ---------------------------------------------------------------------
-- Rows that are alike
-- (src/functions/similar.c)
-- ---------------------------------------------------------------------
CREATE FUNCTION albert_similar_pairs(relation regclass, "column" name, min_similarity real, key name DEFAULT '',
	OUT a text, OUT b text, OUT similarity real)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_similar_pairs'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000000 ROWS 1000;
COMMENT ON FUNCTION albert_similar_pairs(regclass, name, real, name)
IS 'pairs of rows, by their keys, whose embeddings are at least that similar; key: the primary key unless another column is named';

CREATE FUNCTION albert_clusters(relation regclass, "column" name, k integer, key name DEFAULT '',
	OUT key text, OUT cluster integer, OUT similarity real)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_clusters'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000000 ROWS 1000;
COMMENT ON FUNCTION albert_clusters(regclass, name, integer, name)
IS 'rows, by their keys, in at most k groups of similar embeddings, the largest first, and how similar each is to its group''s mean';

-- ---------------------------------------------------------------------
-- Long work and fresh columns
-- (src/functions/embed_table.c, src/functions/trigger.c, src/functions/columns.c)
-- ---------------------------------------------------------------------
CREATE PROCEDURE albert_embed_table(relation regclass, source text, target name,
	model text DEFAULT NULL, task text DEFAULT 'embedding', batch_tokens integer DEFAULT 8192,
	options jsonb DEFAULT '{}', condition text DEFAULT NULL, errors name DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'albert_embed_table';
COMMENT ON PROCEDURE albert_embed_table(regclass, text, name, text, text, integer, jsonb, text, name)
IS 'fill a column where it is null from the text in another, or in an expression, committing batch by batch';

CREATE FUNCTION albert_progress_rows(OUT pid integer, OUT database text, OUT relation oid,
	OUT task text, OUT model text, OUT rows_total bigint, OUT rows_done bigint, OUT rows_failed bigint,
	OUT tokens bigint, OUT rows_per_second real, OUT started_at timestamptz, OUT seconds_left double precision)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'albert_progress_rows'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE COST 10 ROWS 2;
COMMENT ON FUNCTION albert_progress_rows() IS 'running calls of albert_embed_table, albert_train and albert_evaluate';

CREATE VIEW albert_progress AS
SELECT pid, database,
	CASE WHEN database = current_database() THEN relation::regclass::text ELSE relation::text END AS relation,
	task, model, rows_total, rows_done, rows_failed, tokens, rows_per_second, started_at,
	make_interval(secs => seconds_left) AS time_left
FROM albert_progress_rows();
COMMENT ON VIEW albert_progress IS 'running calls of albert_embed_table, albert_train and albert_evaluate, how far they are and how fast';
GRANT SELECT ON albert_progress TO PUBLIC;

CREATE FUNCTION albert_embedding_trigger()
RETURNS trigger
AS 'MODULE_PATHNAME', 'albert_embedding_trigger'
LANGUAGE C;
COMMENT ON FUNCTION albert_embedding_trigger() IS 'keep an embedding column in step with a text column: arguments target, source and, optionally, model';

CREATE FUNCTION albert_stale_trigger()
RETURNS trigger
AS 'MODULE_PATHNAME', 'albert_stale_trigger'
LANGUAGE C;
COMMENT ON FUNCTION albert_stale_trigger() IS 'empty a column when an update changes what it is made from: arguments target and sources';

CREATE FUNCTION albert_called_models(expression pg_node_tree)
RETURNS text[]
AS 'MODULE_PATHNAME', 'albert_called_models'
LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION albert_called_models(pg_node_tree) IS 'models that a stored expression names in its calls; NULL when it calls no albert function';

CREATE VIEW albert_columns AS
SELECT t.tgrelid::regclass AS relation, a.words[1] AS "column",
	CASE WHEN t.tgfoid = 'albert_embedding_trigger'::regproc THEN 'computed by trigger' ELSE 'emptied by trigger' END AS kind,
	CASE WHEN t.tgfoid = 'albert_embedding_trigger'::regproc THEN a.words[3] END AS model,
	array_to_string(CASE WHEN t.tgfoid = 'albert_embedding_trigger'::regproc THEN a.words[2:2] ELSE a.words[2:] END, ', ') AS source,
	t.tgenabled <> 'D' AS enabled
FROM pg_catalog.pg_trigger AS t,
	-- the arguments, each of which ends with a zero byte
	LATERAL (SELECT array_agg(convert_from(decode(word, 'hex'), getdatabaseencoding()) ORDER BY number) AS words
		FROM unnest(string_to_array(regexp_replace(encode(t.tgargs, 'hex'), '(..)', '\1 ', 'g'), '00 '))
			WITH ORDINALITY AS w (word, number)
		WHERE number <= t.tgnargs) AS a
WHERE t.tgfoid IN ('albert_embedding_trigger'::regproc, 'albert_stale_trigger'::regproc) AND t.tgnargs >= 2 AND t.tgparentid = 0
UNION ALL
SELECT d.adrelid::regclass, a.attname, 'generated', array_to_string(albert_called_models(d.adbin), ', '),
	pg_get_expr(d.adbin, d.adrelid), true
FROM pg_catalog.pg_attrdef AS d JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attgenerated <> '' AND albert_called_models(d.adbin) IS NOT NULL;
GRANT SELECT ON albert_columns TO PUBLIC;
COMMENT ON VIEW albert_columns IS 'columns of this database that are kept in step with their texts, and how';
COMMENT ON COLUMN albert_columns.kind IS 'generated, computed by trigger (albert_embedding_trigger) or emptied by trigger (albert_stale_trigger)';
COMMENT ON COLUMN albert_columns.model IS 'NULL: that of albert.model at the time of the write, or, of a column that is emptied, none';
COMMENT ON COLUMN albert_columns.source IS 'columns, or the generated column''s expression';
COMMENT ON COLUMN albert_columns.enabled IS 'false: the trigger is disabled';
