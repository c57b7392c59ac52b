-- Embeddings: a text's, many texts', tokens'; options; long texts.
SET albert.model = 'small';
SET extra_float_digits = 0;

SELECT albert_embedding('the capital') = albert_embedding('the capital', 'small') AS by_position,
       albert_embedding('the capital') = albert_embedding('the capital', model => 'small') AS by_name,
       albert_embedding(NULL) IS NULL AS null_text, albert_embedding('a', NULL::text) IS NULL AS null_model,
       cardinality(albert_embedding('')) AS empty_text;
SELECT array_agg(round(v::numeric, 3)) AS first_four FROM unnest((albert_embedding('the capital of france'))[1:4]) v;

-- options
SELECT pooling, array_agg(round(v::numeric, 3)) AS first_four
FROM unnest('{mean,cls,max,mean_sqrt_len,pooler}'::text[]) pooling, unnest((albert_embedding('the capital', pooling => pooling))[1:4]) v
GROUP BY pooling ORDER BY pooling COLLATE "C";
SELECT round(sum(v * v)::numeric, 5) AS length FROM unnest(albert_embedding('the capital', normalized => true)) v;
SELECT albert_embedding('the capital', dimensions => 8) = (albert_embedding('the capital'))[1:8] AS first_dimensions,
       albert_embedding('the capital', dimensions => 32) = albert_embedding('the capital') AS all_dimensions;
SELECT round(sum(v * v)::numeric, 5) AS length FROM unnest(albert_embedding('the capital', 'small', dimensions => 8, normalized => true)) v;
SELECT albert_embedding('x', dimensions => 33);
SELECT albert_embedding('x', dimensions => 2147483647);
SELECT albert_embedding('x', dimensions => -1);
SELECT albert_embedding('x', pooling => 'sum');
SELECT albert_embedding('x', prompt => 'query');
SELECT albert_embedding('x', 'answers', pooling => 'pooler');

-- many texts
SELECT array_dims(albert_embeddings('{one,two,three}')) AS dims,
       ARRAY(SELECT unnest(albert_embeddings('{one,two}'))) = albert_embedding('one') || albert_embedding('two') AS rows,
       albert_embeddings('{one,two}') = albert_embeddings('{one,two}', 'small') AS by_position,
       albert_embeddings('{}') AS empty, albert_embeddings(NULL) IS NULL AS null_array;
SELECT albert_embeddings(array_agg(body)) FROM (VALUES ('a'), (NULL), ('c')) docs (body);
SELECT array_dims(albert_embeddings(array_agg(body) FILTER (WHERE body IS NOT NULL))) FROM (VALUES ('a'), (NULL), ('c')) docs (body);
SELECT albert_embeddings('{{a,b},{c,d}}');

-- tokens
SELECT position, piece, token_id, cardinality(embedding) FROM albert_token_embeddings('the capital');
SELECT position, piece FROM albert_token_embeddings('one', 'two', 'small', overflow => 'error');
SELECT position, piece FROM albert_token_embeddings('one', pair => 'two', special_tokens => false);
SELECT max(abs(a - b)) < 1e-5 AS mean_of_tokens
FROM (SELECT avg(v) AS a, i FROM albert_token_embeddings('the capital of france'), unnest(embedding) WITH ORDINALITY AS e (v, i) GROUP BY i) x
JOIN unnest(albert_embedding('the capital of france')) WITH ORDINALITY AS y (b, i) USING (i);

-- texts that are longer than the model's 512 tokens
\set long 'repeat(''the capital of france '', 300)'
SELECT albert_embedding(:long) = albert_embedding(:long || ' and more') AS cut;
SELECT albert_embedding(:long, 'small', overflow => 'error');
SELECT albert_embedding(:long, 'small', overflow => 'pad');
SELECT albert_embedding(:long, 'small', overflow => 'window') <> albert_embedding(:long || ' and more', 'small', overflow => 'window') AS seen_whole,
       albert_embedding('short', 'small', overflow => 'window') = albert_embedding('short') AS short;
-- every token is there once and counts once
SELECT count(*), count(DISTINCT position), max(position), albert_token_count(:long) AS tokens,
       string_agg(piece, '' ORDER BY position) = (SELECT string_agg(piece, '' ORDER BY position) FROM albert_tokens(:long)) AS same_pieces
FROM albert_token_embeddings(:long, 'small', overflow => 'window');
SELECT max(abs(a - b)) < 1e-5 AS mean_of_tokens
FROM (SELECT avg(v) AS a, i FROM albert_token_embeddings(:long, 'small', overflow => 'window'), unnest(embedding) WITH ORDINALITY AS e (v, i) GROUP BY i) x
JOIN unnest(albert_embedding(:long, 'small', overflow => 'window')) WITH ORDINALITY AS y (b, i) USING (i);
-- and once in the other poolings: the maximum is over all of them, the root of their number divides
SELECT bool_and(a = b) AS maximum_of_tokens
FROM (SELECT max(v) AS a, i FROM albert_token_embeddings(:long, 'small', overflow => 'window'), unnest(embedding) WITH ORDINALITY AS e (v, i) GROUP BY i) x
JOIN unnest(albert_embedding(:long, 'small', pooling => 'max', overflow => 'window')) WITH ORDINALITY AS y (b, i) USING (i);
SELECT max(abs(a - b)) < 1e-4 AS mean_sqrt_len
FROM (SELECT sum(v) / sqrt(count(*)) AS a, i FROM albert_token_embeddings(:long, 'small', overflow => 'window'), unnest(embedding) WITH ORDINALITY AS e (v, i) GROUP BY i) x
JOIN unnest(albert_embedding(:long, 'small', pooling => 'mean_sqrt_len', overflow => 'window')) WITH ORDINALITY AS y (b, i) USING (i);
-- a word of 3,000 letters is cut where it must be
SELECT count(*) = albert_token_count(repeat('x', 3000)) AS all_there FROM albert_token_embeddings(repeat('x', 3000), 'small', overflow => 'window');

-- The setting speaks of the default model. A named one follows no setting: an index and a scan agree, and a
-- UNIQUE index keeps duplicates out.
CREATE TABLE long_texts (id int, body text);
INSERT INTO long_texts SELECT i, repeat('the capital of france ', 300) || i FROM generate_series(1, 3) i;
CREATE INDEX long_texts_embedding ON long_texts (albert_embedding(body, 'small'));
SET enable_seqscan = off;
SET albert.overflow = 'window';
SELECT id FROM long_texts WHERE albert_embedding(body, 'small') = albert_embedding(:long || 2, 'small') ORDER BY id;
SET enable_seqscan = on;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT id FROM long_texts WHERE albert_embedding(body, 'small') = albert_embedding(:long || 2, 'small') ORDER BY id;
SELECT count(DISTINCT albert_embedding(body)) AS default_model FROM long_texts;
RESET enable_indexscan;
RESET enable_bitmapscan;
CREATE TABLE one_each (body text);
CREATE UNIQUE INDEX ON one_each (albert_embedding(body, 'small'));
RESET albert.overflow;
INSERT INTO one_each VALUES (:long);
SET albert.overflow = 'window';
\set VERBOSITY sqlstate
INSERT INTO one_each VALUES (:long);
SET albert.overflow = 'error';
INSERT INTO one_each VALUES (:long);
\set VERBOSITY default
RESET albert.overflow;
DROP TABLE long_texts, one_each;

-- nor any other: batches, encodings, digits, paths
CREATE TEMP TABLE before AS SELECT i, albert_embedding(repeat('the city ', i), 'small') AS e FROM generate_series(1, 40) i;
SET albert.batch_tokens = 16;
SET albert.enable_batching = off;
SET client_encoding = 'LATIN1';
SET extra_float_digits = -15;
SET search_path = pg_catalog;
SELECT count(*) FROM pg_temp.before WHERE e <> public.albert_embedding(repeat('the city ', i), 'small');
SET albert.batch_tokens = 65536;
SELECT count(*) FROM pg_temp.before WHERE e <> public.albert_embedding(repeat('the city ', i), 'small');
RESET ALL;
DROP TABLE before;
