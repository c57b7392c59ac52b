-- The quick start.  Run by demo/run in a temporary cluster.
\set QUIET 1
\pset linestyle ascii
\set ECHO none
\echo
\echo '---- albert in a database: no preload, no restart, no download ----------------------------'
\timing on
\set QUIET 0
\set ECHO queries

\echo
CREATE EXTENSION albert;

\echo
\echo '-- The first call loads the model that came with the extension, once for the whole cluster.'
SELECT albert_fill_mask('The capital of [MASK] is Delhi.');

\echo
SELECT rank, token, round(score::numeric, 3) AS score
  FROM albert_fill_mask_candidates('The currency of Japan is the [MASK].', top_k => 3);

\set ECHO none
\echo
\echo '---- a table of sentences -----------------------------------------------------------------'
\set ECHO queries

\echo
CREATE TABLE docs (id int PRIMARY KEY, article text, topic text, sentence text NOT NULL);
\copy docs FROM 'demo_sentences.tsv' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')

\echo
SELECT count(*) AS sentences, sum(albert_token_count(sentence)) AS tokens FROM docs;

\echo
\echo '-- Hide one word of each sentence, now here, now there, and let the model fill it in.'
CREATE TABLE masked AS
  SELECT id, m[1] || '[MASK]' || m[3] AS text, lower(m[2]) AS hidden
    FROM docs, regexp_match(sentence, '^((?:\w+\W+){' || 1 + id % 6 || '})(\w+)(.*)$') AS m;

\echo
CREATE TABLE filled AS
  SELECT id, text, hidden, albert_fill_mask(text) AS guess FROM masked;

\echo
SELECT text, hidden, guess FROM filled WHERE length(text) < 72 ORDER BY id LIMIT 10;

\echo
SELECT count(*) AS sentences, count(*) FILTER (WHERE guess = hidden) AS guessed FROM filled;

\echo
\echo '-- How the rows were computed: in batches, each distinct text once.'
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT albert_fill_mask(text) FROM masked;

\set ECHO none
\echo
\echo '---- search by meaning --------------------------------------------------------------------'
\set ECHO queries

\echo
ALTER TABLE docs ADD embedding real[] GENERATED ALWAYS AS (albert_embedding(sentence, 'albert-mini')) STORED;

\echo
SELECT article, embedding[1:3] AS first_numbers, cardinality(embedding) AS dimensions FROM docs ORDER BY id LIMIT 3;

\echo
\echo '-- The nearest sentences to a question: cosine similarity of the stored embeddings.'
PREPARE nearest(text) AS
  SELECT round(albert_similarity(embedding, albert_embedding($1, 'albert-mini'))::numeric, 2) AS similarity, topic, left(sentence, 90) AS sentence
    FROM docs ORDER BY albert_similarity(embedding, albert_embedding($1, 'albert-mini')) DESC LIMIT 4;

\echo
EXECUTE nearest('How do people make music?');

\echo
EXECUTE nearest('What do planets move around?');

\echo
\echo '-- Which topic is a sentence about?  The topic of its nearest neighbour, leaving itself out.'
SELECT count(*) AS sentences, count(*) FILTER (WHERE topic = neighbour) AS same_topic
  FROM (SELECT a.topic,
               (SELECT b.topic FROM docs b WHERE b.id <> a.id
                 ORDER BY albert_similarity(a.embedding, b.embedding) DESC LIMIT 1) AS neighbour
          FROM docs a) AS pairs;

\echo
\echo '-- The column keeps itself up to date.'
UPDATE docs SET sentence = 'Whales are mammals that live in the ocean.' WHERE id = 1 RETURNING embedding[1:3] AS first_numbers;

\set ECHO none
\echo
\echo '---- a classifier of one''s own ------------------------------------------------------------'
\set ECHO queries

\echo
\echo '-- Train on the sentences and their topics; the figures are of sentences that were left out.'
CREATE TABLE report AS SELECT * FROM albert_train('topic', 'SELECT sentence, topic FROM docs', base => 'albert-mini');

\echo
SELECT metric, round(value::numeric, 2) AS value, round(low::numeric, 2) AS low, round(high::numeric, 2) AS high
  FROM report WHERE fold IS NULL AND metric IN ('accuracy', 'macro_f1');

\echo
\echo '-- Which topics are taken for which?'
SELECT class AS topic, max(value) FILTER (WHERE class = predicted) AS right,
       string_agg(predicted || ' ' || value, ', ' ORDER BY value DESC, predicted) FILTER (WHERE class <> predicted) AS wrong
  FROM report WHERE metric = 'confusion' GROUP BY class ORDER BY class;

\echo
SELECT text, albert_classify(text, 'topic') AS topic
  FROM unnest(ARRAY['She plays the violin in an orchestra.', 'The moons of Jupiter move around the planet.', 'The goalkeeper saved the ball.']) AS text;

\set ECHO none
\echo
\echo '---- one copy of the model, in shared memory ----------------------------------------------'
\set ECHO queries

\echo
SELECT name, state, layers, hidden_size, parameters, pg_size_pretty(shared_bytes) AS memory FROM albert_models WHERE state = 'loaded';
