-- The quick start.  Run by demo/run in a temporary cluster.
\set QUIET 1
\pset linestyle ascii
\set ECHO none
\echo
\echo '---- albert in a database: no preload, no restart, no download ----------------------------'
\timing on
\set QUIET 0
\set ECHO queries

CREATE EXTENSION albert;

-- The first call loads the model that came with the extension, once for the whole cluster.
SELECT albert_fill_mask('The capital of [MASK] is Delhi.');

SELECT rank, token, round(score::numeric, 3) AS score
  FROM albert_fill_mask_candidates('A violin is a musical [MASK].');

\set ECHO none
\echo
\echo '---- a table of sentences -----------------------------------------------------------------'
\set ECHO queries

CREATE TABLE docs (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, body text NOT NULL);
\set ECHO none
\copy docs (body) FROM 'sentences.tsv'
\set ECHO queries

SELECT count(*) AS sentences, sum(albert_token_count(body)) AS tokens FROM docs;

-- Hide the last word of each sentence and let the model fill it in.
CREATE TABLE masked AS
  SELECT id, regexp_replace(body, '\w+(\W*)$', '[MASK]\1') AS text, substring(body FROM '(\w+)\W*$') AS hidden FROM docs;

SELECT text, hidden, albert_fill_mask(text) AS guess FROM masked ORDER BY id LIMIT 8;

SELECT count(*) AS sentences, count(*) FILTER (WHERE albert_fill_mask(text) = lower(hidden)) AS guessed FROM masked;

\set ECHO none
\echo
\echo '---- search by meaning --------------------------------------------------------------------'
\set ECHO queries

ALTER TABLE docs ADD embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'albert-mini')) STORED;

SELECT id, left(body, 40) || '...' AS body, embedding[1:3] AS first_numbers, cardinality(embedding) AS dimensions FROM docs ORDER BY id LIMIT 3;

-- The nearest sentences to a question: cosine similarity of the stored embeddings.
SELECT round(albert_similarity(embedding, albert_embedding('Which animals live in the sea?', 'albert-mini'))::numeric, 3) AS similarity, body
  FROM docs ORDER BY similarity DESC LIMIT 5;

SELECT round(albert_similarity(embedding, albert_embedding('How do people make music?', 'albert-mini'))::numeric, 3) AS similarity, body
  FROM docs ORDER BY similarity DESC LIMIT 5;

-- Keeping the column fresh needs nothing: it is generated.
UPDATE docs SET body = 'Whales are mammals that live in the ocean.' WHERE id = 1;

\set ECHO none
\echo
\echo '---- one copy of the model, in shared memory ----------------------------------------------'
\set ECHO queries

SELECT name, state, layers, hidden_size, parameters, pg_size_pretty(shared_bytes) AS memory FROM albert_models;
