-- CALL albert_embed_table in one session.  Interrupted, killed, shared and in
-- the way of others it is in test/t/200_jobs.pl and test/t/205_jobs_others.pl.

CREATE TABLE job_docs (id int PRIMARY KEY, body text, embedding real[], n int, pieces text[], best text);
INSERT INTO job_docs (id, body) SELECT i, 'text number ' || i || repeat(' and more', i % 7) FROM generate_series(1, 50) i;
UPDATE job_docs SET body = NULL WHERE id = 7;

-- fills what is NULL, and nothing else
CALL albert_embed_table('job_docs', 'body', 'embedding', model => 'small');
SELECT count(*), count(embedding), count(*) FILTER (WHERE embedding = albert_embedding(body, 'small')) AS rightly FROM job_docs;
CALL albert_embed_table('job_docs', source => 'body', target => 'embedding', model => 'small');
UPDATE job_docs SET embedding = NULL WHERE id <= 10;
SET albert.model = 'small';
CALL albert_embed_table('job_docs', 'body', 'embedding', batch_tokens => 1);
RESET albert.model;
SELECT count(*) FILTER (WHERE embedding = albert_embedding(body, 'small')) AS rightly FROM job_docs;

-- other tasks; rows that a task refuses are reported, and left
CALL albert_embed_table('job_docs', 'body', 'n', model => 'small', task => 'token_count');
CALL albert_embed_table('job_docs', 'body', 'pieces', model => 'small', task => 'tokenize');
SELECT count(*) FILTER (WHERE n = albert_token_count(body, 'small')) AS n,
       count(*) FILTER (WHERE pieces = albert_tokenize(body, 'small')) AS pieces FROM job_docs;
CREATE TABLE job_masks (id int, body text, best text);
INSERT INTO job_masks SELECT i, 'a text' || CASE WHEN i % 10 > 0 THEN ' [MASK]' ELSE '' END FROM generate_series(1, 30) i;
CALL albert_embed_table('job_masks', 'body', 'best', model => 'small', task => 'fill_mask');
SELECT count(best), count(*) FILTER (WHERE best = albert_fill_mask(body, 'small')) AS rightly FROM job_masks WHERE id % 10 > 0;
CALL albert_embed_table('job_masks', 'body', 'best', model => 'classifier', task => 'fill_mask');
-- options of the task; a named model follows no setting
UPDATE job_docs SET embedding = NULL, n = NULL;
CALL albert_embed_table('job_docs', 'body', 'embedding', model => 'm01_plain', options => '{"normalized": true, "dimensions": 16, "pooling": "max"}');
CALL albert_embed_table('job_docs', 'body', 'n', model => 'small', task => 'token_count', options => '{"special_tokens": "false"}');
SELECT count(*) FILTER (WHERE embedding = albert_embedding(body, 'm01_plain', normalized => true, dimensions => 16, pooling => 'max')) AS embedding,
       count(*) FILTER (WHERE n = albert_token_count(body, 'small') - 2) AS n FROM job_docs;
CREATE TABLE job_long (id int, body text, embedding real[]);
INSERT INTO job_long VALUES (1, 'short'), (2, repeat('long ', 600));
SET albert.overflow = 'error';
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small');
SELECT count(*) FILTER (WHERE embedding = albert_embedding(body, 'small')) AS rightly FROM job_long;
UPDATE job_long SET embedding = NULL;
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"overflow": "window"}');
SELECT count(*) FILTER (WHERE embedding = albert_embedding(body, 'small', overflow => 'window')) AS rightly FROM job_long;
UPDATE job_long SET embedding = NULL;
SET albert.model = 'small';
CALL albert_embed_table('job_long', 'body', 'embedding');
CALL albert_embed_table('job_long', 'body', 'embedding', options => '{"overflow": "truncate"}');
RESET albert.model;
RESET albert.overflow;
SELECT count(*) FILTER (WHERE embedding = albert_embedding(body, 'small')) AS rightly FROM job_long;
-- looked at before the first row, though there is none
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"overflow": "wrap"}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"pooling": "middle"}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"prompt": "query"}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"dimensions": -1}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"dimensions": 1.5}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"dimensions": 100000}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"normalized": "perhaps"}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"model": "classifier"}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', task => 'tokenize', options => '{"overflow": "error"}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"pooling": null}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '{"pooling": ["cls"]}');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => '["pooling"]');
CALL albert_embed_table('job_long', 'body', 'embedding', model => 'small', options => NULL);
UPDATE job_docs SET embedding = albert_embedding(body, 'small'), n = albert_token_count(body, 'small');
DROP TABLE job_long;
-- an expression over the row as the source, with the names of the table that was called for, and a condition
CREATE TABLE job_books (id int, title text, body text, lang text, embedding real[], "the Size" int, problem varchar);
INSERT INTO job_books SELECT i, 'title ' || i, 'body ' || i, CASE WHEN i % 2 = 0 THEN 'en' ELSE 'de' END FROM generate_series(1, 20) i;
UPDATE job_books SET title = NULL WHERE id = 4;
CALL albert_embed_table('job_books', $$title || E'\n' || body -- both$$, 'embedding', model => 'small', condition => $$lang = 'en' OR id < 0 -- English$$);
SELECT count(embedding), count(*) FILTER (WHERE embedding = albert_embedding(title || E'\n' || body, 'small') AND lang = 'en') AS rightly FROM job_books;
CALL albert_embed_table('job_books', 'job_books.id', 'the Size', model => 'small', task => 'token_count',
	condition => 'job_books.id IN (SELECT count(*) FROM job_books AS j)');
CALL albert_embed_table('job_books', 'job_books', 'the Size', model => 'small', task => 'token_count');
SELECT id FROM job_books WHERE "the Size" IS DISTINCT FROM albert_token_count(CASE id WHEN 20 THEN '20' ELSE (id, title, body, lang, embedding, NULL, NULL)::text END, 'small') ORDER BY id;
-- a condition that is planned as a join finds rows in another order than that of their places
CREATE TABLE job_order AS SELECT 41 - i AS id, 'book ' || i AS body, NULL::real[] AS embedding FROM generate_series(1, 40) AS i;
SET enable_hashjoin = off;
SET enable_nestloop = off;
CALL albert_embed_table('job_order', 'body', 'embedding', model => 'small', batch_tokens => 16,
	condition => 'id IN (SELECT j.id FROM job_order AS j WHERE j.id % 2 = 1)');
RESET enable_hashjoin;
RESET enable_nestloop;
SELECT count(*), count(embedding) FROM job_order;
DROP TABLE job_order;
CREATE TABLE job_shelves (id int, title text, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE job_shelves_1 PARTITION OF job_shelves FOR VALUES FROM (0) TO (5);
CREATE TABLE job_shelves_2 PARTITION OF job_shelves FOR VALUES FROM (5) TO (10);
INSERT INTO job_shelves SELECT i, 'shelf ' || i FROM generate_series(0, 9) i;
CALL albert_embed_table('job_shelves', 'upper(job_shelves.title)', 'embedding', model => 'small', condition => 'job_shelves.id > 2');
SELECT count(embedding), count(*) FILTER (WHERE embedding = albert_embedding(upper(title), 'small')) AS rightly FROM job_shelves;
DROP TABLE job_shelves;
-- a column's name is that column, whatever else it could mean
ALTER TABLE job_books ADD "id + 1" text, ADD n int;
UPDATE job_books SET "id + 1" = 'four words and more' WHERE id = 1;
CALL albert_embed_table('job_books', 'id + 1', 'n', model => 'small', task => 'token_count');
ALTER TABLE job_books DROP "id + 1", DROP n;
-- it is one expression and no more
SELECT count(*) AS books FROM job_books;
CALL albert_embed_table('job_books', '', 'embedding', model => 'small');
CALL albert_embed_table('job_books', '-- body', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body /* ', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body, title', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body AS title', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'DISTINCT body', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'ALL body', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body FROM job_docs', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body UNION SELECT body', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body; DROP TABLE job_books', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body;', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body) FROM job_books WHERE (true', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body', 'embedding', model => 'small', condition => 'true) OR (true');
CALL albert_embed_table('job_books', 'body', 'embedding', model => 'small', condition => 'true LIMIT 1');
CALL albert_embed_table('job_books', 'body', 'embedding', model => 'small', condition => 'id');
CALL albert_embed_table('job_books', 'body', 'embedding', model => 'small', condition => 'nothing > 1');
CALL albert_embed_table('job_books', '$1::text', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'max(body)', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'unnest(ARRAY[body])', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body || random()', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body', 'embedding', model => 'small', condition => 'EXISTS (SELECT FROM job_docs WHERE random() > 2)');
-- an error of the expression is nothing that the text could be blamed for
\set VERBOSITY terse
CALL albert_embed_table('job_books', 'body || 1 / (id - 7)', 'embedding', model => 'small');
\set VERBOSITY default
SELECT count(*) AS books, count(embedding) AS filled FROM job_books;

-- the reason of a row left out goes into a column, and the row is not tried again while it is there
CREATE TABLE job_reasons (id int, body text, best text, problem varchar(60));
INSERT INTO job_reasons SELECT i, 'a text' || CASE WHEN i % 10 > 0 THEN ' [MASK]' ELSE '' END FROM generate_series(1, 30) i;
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'problem');
SELECT problem, count(*), count(best) FROM job_reasons GROUP BY problem ORDER BY problem;
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'problem');
UPDATE job_reasons SET body = 'mended [MASK]', problem = NULL WHERE id = 10;
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'problem', batch_tokens => 1);
SELECT id, body, problem FROM job_reasons WHERE best IS NULL ORDER BY id;
-- nor is one whose value is NULL
UPDATE job_reasons SET best = NULL, problem = NULL;
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'classifier', task => 'classify', options => '{"min_score": 2}', errors => 'problem', condition => 'id <= 5');
SELECT problem, count(*) FROM job_reasons WHERE id <= 5 GROUP BY problem;
-- when the reason cannot be put there it is told
CREATE FUNCTION job_no_reason() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN IF new.id = 10 THEN RETURN NULL; END IF; new.problem = NULL; RETURN new; END$$;
CREATE TRIGGER no_reason BEFORE UPDATE ON job_reasons FOR EACH ROW EXECUTE FUNCTION job_no_reason();
TRUNCATE job_reasons;
INSERT INTO job_reasons VALUES (10, 'a text'), (20, 'a text');
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'problem');
\set VERBOSITY terse
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'best');
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'id');
CALL albert_embed_table('job_reasons', 'body', 'best', model => 'small', task => 'fill_mask', errors => 'nothing');
\set VERBOSITY default
DROP TABLE job_reasons;
DROP FUNCTION job_no_reason;

-- the rows of a name that has to be quoted, in a schema that has to be, too
CREATE SCHEMA "job Schema";
CREATE TABLE "job Schema"."Te""xt" ("the Body" varchar, "the Target" real[]);
INSERT INTO "job Schema"."Te""xt" VALUES ('one'), ('two');
CALL albert_embed_table('"job Schema"."Te""xt"', 'the Body', 'the Target', model => 'small');
DROP SCHEMA "job Schema" CASCADE;

-- what it refuses, with or without rows to fill
CALL albert_embed_table('job_docs', 'nothing', 'embedding');
CALL albert_embed_table('job_docs', 'body', 'nothing');
CALL albert_embed_table('job_docs', 'body', 'embedding', task => 'nothing');
CALL albert_embed_table('job_docs', 'body', 'embedding', task => 'answer');
CALL albert_embed_table('job_docs', 'body', 'embedding', batch_tokens => 0);
CALL albert_embed_table('job_docs', NULL, 'embedding');
CALL albert_embed_table(NULL, 'body', 'embedding');
CALL albert_embed_table(999999, 'body', 'embedding');
CALL albert_embed_table('pg_stats', 'body', 'embedding');
CALL albert_embed_table('job_docs_pkey', 'body', 'embedding');
\set VERBOSITY terse
CALL albert_embed_table('job_docs', 'body', 'embedding', model => 'nothing');
CALL albert_embed_table('job_docs', 'body', 'embedding', model => '');
CALL albert_embed_table('job_docs', 'body', 'best', model => 'm01_plain', task => 'classify');
\set VERBOSITY default
BEGIN;
CALL albert_embed_table('job_docs', 'body', 'embedding');
ROLLBACK;
DO $$ BEGIN CALL albert_embed_table('job_docs', 'body', 'embedding', model => 'small'); END $$;
SET default_transaction_read_only = on;
CALL albert_embed_table('job_docs', 'body', 'embedding', model => 'small');
RESET default_transaction_read_only;

-- a column that does not take the value ends the call
\set VERBOSITY terse
ALTER TABLE job_docs ADD place point, ADD twice real[] GENERATED ALWAYS AS (embedding || embedding) STORED;
CALL albert_embed_table('job_docs', 'body', 'place', model => 'small');
CALL albert_embed_table('job_docs', 'body', 'twice', model => 'small');
CREATE DOMAIN job_short AS real[] CHECK (cardinality(value) < 10);
ALTER TABLE job_docs ADD short job_short;
CALL albert_embed_table('job_docs', 'body', 'short', model => 'small');
\set VERBOSITY default

-- a trigger that keeps rows from being updated, or the value out
CREATE FUNCTION job_refuse() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN IF new.id = 5 THEN RETURN NULL; ELSIF new.id IN (6, 8) THEN new.n = NULL; END IF; RETURN new; END$$;
CREATE TRIGGER refuse BEFORE UPDATE ON job_docs FOR EACH ROW EXECUTE FUNCTION job_refuse();
ALTER TABLE job_docs DISABLE TRIGGER refuse;
UPDATE job_docs SET n = NULL;
ALTER TABLE job_docs ENABLE TRIGGER refuse;
CALL albert_embed_table('job_docs', 'body', 'n', model => 'small', task => 'token_count');
SELECT string_agg(id::text, ',' ORDER BY id) FROM job_docs WHERE n IS NULL AND body IS NOT NULL;

-- partitions, and heirs; a foreign one is named
CREATE TABLE job_parts (id int, body text, embedding real[]) PARTITION BY RANGE (id);
CREATE TABLE job_parts_1 PARTITION OF job_parts FOR VALUES FROM (0) TO (50);
CREATE TABLE job_parts_2 PARTITION OF job_parts FOR VALUES FROM (50) TO (1000) PARTITION BY RANGE (id);
CREATE TABLE job_parts_21 PARTITION OF job_parts_2 FOR VALUES FROM (50) TO (1000);
INSERT INTO job_parts SELECT i, 'part ' || i FROM generate_series(1, 120) i;
CALL albert_embed_table('job_parts', 'body', 'embedding', model => 'small');
SELECT count(*) FILTER (WHERE embedding = albert_embedding(body, 'small')) AS rightly FROM job_parts;
CREATE FOREIGN DATA WRAPPER job_far;
CREATE SERVER job_far FOREIGN DATA WRAPPER job_far;
CREATE FOREIGN TABLE job_parts_3 PARTITION OF job_parts FOR VALUES FROM (1000) TO (2000) SERVER job_far;
CALL albert_embed_table('job_parts', 'body', 'embedding', model => 'small');
CALL albert_embed_table('job_parts_3', 'body', 'embedding', model => 'small');
DROP FOREIGN DATA WRAPPER job_far CASCADE;
CREATE TABLE job_above (id int, body text, embedding real[]);
CREATE TABLE job_heir () INHERITS (job_above);
INSERT INTO job_above VALUES (1, 'above');
INSERT INTO job_heir VALUES (2, 'heir');
CALL albert_embed_table('job_above', 'body', 'embedding', model => 'small');

-- a table of which Citus has a list is in shards
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
INSERT INTO pg_catalog.pg_dist_partition VALUES ('job_above');
CALL albert_embed_table('job_above', 'body', 'embedding', model => 'small');
CALL albert_embed_table('job_heir', 'body', 'embedding', model => 'small');
DROP TABLE pg_catalog.pg_dist_partition;
RESET allow_system_table_mods;

-- who may: the table's privileges, and the function's
CREATE ROLE regress_job_writer;
GRANT SELECT ON job_masks TO regress_job_writer;
SET ROLE regress_job_writer;
\set VERBOSITY terse
CALL albert_embed_table('job_masks', 'body', 'best', model => 'small', task => 'fill_mask');
\set VERBOSITY default
RESET ROLE;
GRANT UPDATE ON job_masks TO regress_job_writer;
SELECT string_agg(oid::regprocedure::text, ', ') AS functions FROM pg_proc WHERE proname = 'albert_fill_mask' \gset
REVOKE EXECUTE ON FUNCTION :functions FROM PUBLIC;
SET ROLE regress_job_writer;
CALL albert_embed_table('job_masks', 'body', 'best', model => 'small', task => 'fill_mask');
RESET ROLE;
GRANT EXECUTE ON FUNCTION :functions TO PUBLIC;
SET ROLE regress_job_writer;
CALL albert_embed_table('job_masks', 'body', 'best', model => 'small', task => 'fill_mask');
RESET ROLE;

-- expressions see what who calls may see, and call what who calls may call

GRANT SELECT, UPDATE (embedding) ON job_books TO regress_job_writer;
CREATE FUNCTION job_secret() RETURNS text STABLE LANGUAGE sql SECURITY DEFINER AS $$SELECT 'secret'$$;
REVOKE EXECUTE ON FUNCTION job_secret FROM PUBLIC;
SET ROLE regress_job_writer;
\set VERBOSITY terse
CALL albert_embed_table('job_books', 'body || (SELECT max(body) FROM job_docs)', 'embedding', model => 'small');
CALL albert_embed_table('job_books', 'body', 'embedding', model => 'small', condition => 'EXISTS (SELECT FROM job_docs)');
CALL albert_embed_table('job_books', 'body || job_secret()', 'embedding', model => 'small');
\set VERBOSITY default
CALL albert_embed_table('job_books', $$body || '!'$$, 'embedding', model => 'small', condition => 'id > 10');
RESET ROLE;
DROP TABLE job_books;
DROP FUNCTION job_secret;

-- row security: rows that may be seen but not updated are named, and end nothing
ALTER TABLE job_above ENABLE ROW LEVEL SECURITY;
CREATE POLICY sees ON job_above FOR SELECT USING (true);
CREATE POLICY changes ON job_above FOR UPDATE USING (id > 5);
GRANT SELECT, UPDATE ON job_above, job_heir TO regress_job_writer;
INSERT INTO job_above SELECT i, 'text ' || i FROM generate_series(3, 9) i;
SET ROLE regress_job_writer;
CALL albert_embed_table('job_above', 'body', 'embedding', model => 'small');
RESET ROLE;
SELECT string_agg(id::text, ',' ORDER BY id) FROM ONLY job_above WHERE embedding IS NULL;

SELECT count(*) FROM albert_progress;
DROP TABLE job_docs, job_masks, job_parts, job_heir, job_above;
DROP FUNCTION job_refuse;
DROP DOMAIN job_short;
DROP ROLE regress_job_writer;
