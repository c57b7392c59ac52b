-- Search by meaning with all-MiniLM-L6-v2.  Run by demo/run in a temporary cluster where albert.model_path finds it.
\set QUIET 1
\pset linestyle ascii
\set ECHO none
\echo
\echo '---- all-MiniLM-L6-v2 in a database: the directory as it is published ---------------------'
\timing on
\set QUIET 0
\set ECHO queries

\echo
CREATE EXTENSION albert;

\echo
SELECT name, state, architecture, layers, hidden_size, parameters FROM albert_models WHERE name = 'all-MiniLM-L6-v2';

\echo
\echo '-- The first call loads it, once for the whole cluster.'
SELECT cardinality(albert_embedding('Hello, world!', 'all-MiniLM-L6-v2')) AS dimensions;

\echo
SELECT round(albert_similarity('How old are you?', 'What is your age?', 'all-MiniLM-L6-v2')::numeric, 2) AS alike,
       round(albert_similarity('How old are you?', 'The oven must be hot.', 'all-MiniLM-L6-v2')::numeric, 2) AS not_alike;

\set ECHO none
\echo
\echo '---- search by meaning --------------------------------------------------------------------'
\set ECHO queries

\echo
CREATE TABLE docs (id int PRIMARY KEY, article text, topic text, sentence text NOT NULL);
\copy docs FROM 'demo_sentences.tsv' (FORMAT csv, HEADER, DELIMITER E'\t', QUOTE E'\b')

\echo
ALTER TABLE docs ADD embedding real[] GENERATED ALWAYS AS (albert_embedding(sentence, 'all-MiniLM-L6-v2')) STORED;

\echo
SELECT count(*) AS sentences, sum(albert_token_count(sentence, 'all-MiniLM-L6-v2')) AS tokens FROM docs;

\echo
\echo '-- The nearest sentences to a question: cosine similarity of the stored embeddings.'
PREPARE nearest(text) AS
  SELECT round(albert_similarity(embedding, albert_embedding($1, 'all-MiniLM-L6-v2'))::numeric, 2) AS similarity, topic, left(sentence, 90) AS sentence
    FROM docs ORDER BY albert_similarity(embedding, albert_embedding($1, 'all-MiniLM-L6-v2')) DESC LIMIT 4;

\echo
EXECUTE nearest('How do people make music?');

\echo
EXECUTE nearest('What do planets move around?');

\echo
EXECUTE nearest('Someone who heals the sick');

\echo
\echo '-- Which topic is a sentence about?  The topic of its nearest neighbour, leaving itself out.'
SELECT count(*) AS sentences, count(*) FILTER (WHERE topic = neighbour) AS same_topic
  FROM (SELECT a.topic,
               (SELECT b.topic FROM docs b WHERE b.id <> a.id
                 ORDER BY albert_similarity(a.embedding, b.embedding) DESC LIMIT 1) AS neighbour
          FROM docs a) AS pairs;

\set ECHO none
\echo
\echo '---- one copy of the model, in shared memory ----------------------------------------------'
\set ECHO queries

\echo
SELECT name, state, precision, pg_size_pretty(shared_bytes) AS memory FROM albert_models WHERE state = 'loaded';
