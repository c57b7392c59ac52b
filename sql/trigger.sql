-- albert_embedding_trigger: an embedding kept in step with its text.

CREATE TABLE notes (id int PRIMARY KEY, body varchar, embedding real[]);
CREATE TRIGGER fresh BEFORE INSERT OR UPDATE ON notes FOR EACH ROW
	EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body', 'small');

-- computed on INSERT and COPY, whatever is given for it
INSERT INTO notes VALUES (1, 'one text'), (2, NULL), (3, 'another');
INSERT INTO notes VALUES (4, 'a third', '{1,2}'), (5, NULL, '{1,2}');
COPY notes FROM stdin;
6	a copied text	\N
7	another one	{1,2}
\.
SELECT id, embedding IS NOT DISTINCT FROM albert_embedding(body, 'small') AS fresh FROM notes ORDER BY id;

-- when the text changes, whatever else the statement writes
UPDATE notes SET body = 'changed' WHERE id = 1;
UPDATE notes SET body = NULL WHERE id = 3;
UPDATE notes SET body = 'now there', embedding = '{1,2}' WHERE id = 2;
UPDATE notes SET body = body || ', changed', embedding = NULL WHERE id IN (4, 6);
INSERT INTO notes VALUES (7, 'in conflict') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
SELECT id, embedding IS NOT DISTINCT FROM albert_embedding(body, 'small') AS fresh FROM notes ORDER BY id;

-- and not otherwise
SELECT albert_stats_reset();
UPDATE notes SET id = id + 10;
UPDATE notes SET body = body || '';
SELECT coalesce(sum(rows), 0) AS rows FROM albert_stats;
SELECT count(*) FILTER (WHERE embedding IS DISTINCT FROM albert_embedding(body, 'small')) AS stale FROM notes;

-- so that a column can be emptied and filled by a job
SELECT albert_stats_reset();
UPDATE notes SET embedding = NULL;
SELECT coalesce(sum(rows), 0) AS rows FROM albert_stats;
UPDATE notes SET body = 'changed before the job' WHERE id = 11;
SELECT count(embedding) FROM notes;
CALL albert_embed_table('notes', 'body', 'embedding', model => 'small');
SELECT sum(rows) AS rows FROM albert_stats;
SELECT count(*) FILTER (WHERE embedding IS DISTINCT FROM albert_embedding(body, 'small')) AS stale FROM notes;
-- what is written to the target alone stays
UPDATE notes SET embedding = '{1,2}' WHERE id = 11;
SELECT embedding FROM notes WHERE id = 11;

-- long texts are compared whole
ALTER TABLE notes ALTER body SET STORAGE EXTERNAL;
INSERT INTO notes VALUES (20, repeat('long text ', 2000) || 'a');
SELECT albert_stats_reset();
UPDATE notes SET id = 21 WHERE id = 20;
SELECT coalesce(sum(rows), 0) AS rows FROM albert_stats;
UPDATE notes SET body = repeat('long text ', 2000) || 'b' WHERE id = 21;
SELECT sum(rows) AS rows FROM albert_stats;

-- the model of the setting, when none is named
CREATE TRIGGER fresh_default BEFORE INSERT OR UPDATE ON notes FOR EACH ROW
	EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body');
DROP TRIGGER fresh ON notes;
SET albert.model = 'm01_plain';
INSERT INTO notes VALUES (30, 'a text');
RESET albert.model;
SELECT embedding = albert_embedding(body, 'm01_plain') AS fresh FROM notes WHERE id = 30;
DROP TRIGGER fresh_default ON notes;

-- triggers before it are seen, those after it are not
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.body = upper(new.body) || ' ' || tg_name; RETURN new; END$$;
CREATE TRIGGER fresh BEFORE INSERT OR UPDATE ON notes FOR EACH ROW
	EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body', 'small');
CREATE TRIGGER after_it BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO notes VALUES (40, 'a text');
DROP TRIGGER after_it ON notes;
CREATE TRIGGER zz BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO notes VALUES (41, 'a text');
DROP TRIGGER zz ON notes;
SELECT id, body, embedding = albert_embedding(body, 'small') AS fresh FROM notes WHERE id >= 40 ORDER BY id;

-- albert_stale_trigger empties a column, and what has been said of it, when one of its sources changes
CREATE TABLE posts (id int PRIMARY KEY, title text, body text, "Kind" varchar, embedding real[], problem text, note text);
CREATE TRIGGER stale BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger('embedding', 'title', 'body', 'Kind');
CREATE TRIGGER stale_problem BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger('problem', 'title', 'body', 'Kind');
INSERT INTO posts SELECT i, 'title ' || i, 'body ' || i, 'kind', ARRAY[i], 'problem', 'note' FROM generate_series(1, 9) i;
SELECT albert_stats_reset();
UPDATE posts SET title = title || '!' WHERE id = 1;
UPDATE posts SET body = NULL WHERE id = 2;
UPDATE posts SET "Kind" = 'other', embedding = '{0}' WHERE id = 3;
UPDATE posts SET note = 'other', title = title || '' WHERE id = 4;
UPDATE posts SET embedding = '{0}', problem = 'other' WHERE id = 5;
INSERT INTO posts VALUES (6, 'in conflict') ON CONFLICT (id) DO UPDATE SET body = 'another';
SELECT id, embedding, problem, note FROM posts ORDER BY id;
-- and so a job has to do what has changed, and no more
CALL albert_embed_table('posts', $$concat_ws(' ', title, body)$$, 'embedding', model => 'small', errors => 'problem');
SELECT sum(rows) AS rows FROM albert_stats;
CALL albert_embed_table('posts', $$concat_ws(' ', title, body)$$, 'embedding', model => 'small', errors => 'problem', options => '{"overflow": "error"}');
UPDATE posts SET body = repeat('long ', 600) WHERE id = 1;
CALL albert_embed_table('posts', $$concat_ws(' ', title, body)$$, 'embedding', model => 'small', errors => 'problem', options => '{"overflow": "error"}');
CALL albert_embed_table('posts', $$concat_ws(' ', title, body)$$, 'embedding', model => 'small', errors => 'problem', options => '{"overflow": "error"}');
UPDATE posts SET body = 'short' WHERE id = 1;
CALL albert_embed_table('posts', $$concat_ws(' ', title, body)$$, 'embedding', model => 'small', errors => 'problem', options => '{"overflow": "error"}');
-- a long text is read only where it has been written
ALTER TABLE posts ALTER body SET STORAGE EXTERNAL;
UPDATE posts SET body = repeat('long text ', 2000) || 'a' WHERE id = 7;
UPDATE posts SET embedding = '{7}', problem = 'there' WHERE id = 7;
UPDATE posts SET id = 70 WHERE id = 7;
UPDATE posts SET body = body || '' WHERE id = 70;
SELECT embedding, problem FROM posts WHERE id = 70;
UPDATE posts SET body = repeat('long text ', 2000) || 'b' WHERE id = 70;
SELECT embedding, problem FROM posts WHERE id = 70;
DROP TABLE posts;
-- partitions have their own numbers of columns
CREATE TABLE posts (id int, embedding real[], body text) PARTITION BY LIST (id);
CREATE TABLE posts_1 (gone int, body text, gone_too int, id int, embedding real[]);
ALTER TABLE posts_1 DROP gone, DROP gone_too;
ALTER TABLE posts ATTACH PARTITION posts_1 FOR VALUES IN (1);
CREATE TRIGGER stale BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger('embedding', 'body');
INSERT INTO posts VALUES (1, '{1}', 'one'), (1, '{2}', 'two');
UPDATE posts SET body = body || '!' WHERE body = 'two';
SELECT body, embedding FROM posts ORDER BY body;
DROP TABLE posts;

-- what it refuses
CREATE DOMAIN needed_text AS text NOT NULL;
CREATE TABLE wrong (id int, body text, embedding real[], place point,
	needed text NOT NULL DEFAULT '', always needed_text DEFAULT '', whole text GENERATED ALWAYS AS (body || ' whole') STORED, twice real[] GENERATED ALWAYS AS (embedding || embedding) STORED);
INSERT INTO wrong VALUES (1, 'one');
CREATE FUNCTION try(timing text, arguments text, each text DEFAULT 'ROW', name text DEFAULT 'albert_embedding_trigger') RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
	EXECUTE format('CREATE TRIGGER bad %s ON wrong FOR EACH %s EXECUTE FUNCTION %s(%s)', timing, each, name, arguments);
	UPDATE wrong SET body = body || 'x';
	DROP TRIGGER bad ON wrong;
	RETURN 'nothing wrong';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', sqlstate || ' ' || sqlerrm, nullif(detail, ''), nullif(hint, ''));
END$$;
\t on
\a
SELECT try('BEFORE UPDATE', $$'embedding', 'body', 'small'$$);
SELECT try('BEFORE UPDATE', $$'embedding'$$);
SELECT try('BEFORE UPDATE', $$'nothing', 'body'$$);
SELECT try('BEFORE UPDATE', $$'embedding', 'ctid'$$);
SELECT try('BEFORE UPDATE', $$'id', 'body', 'small'$$);
SELECT try('BEFORE UPDATE', $$'place', 'body', 'small'$$);
SELECT try('AFTER UPDATE', $$'embedding', 'body', 'small'$$);
SELECT try('BEFORE UPDATE', $$'embedding', 'body', 'small'$$, 'STATEMENT');
SELECT try('BEFORE UPDATE', $$'embedding', 'body', ''$$);
SELECT try('BEFORE UPDATE', $$'embedding', 'whole', 'small'$$);
SELECT try('BEFORE UPDATE', $$'twice', 'body', 'small'$$);
SELECT try('BEFORE UPDATE', $$'embedding', 'id', 'body'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'embedding'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'nothing', 'body'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'embedding', 'body', 'nothing'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'embedding', 'whole'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'twice', 'body'$$, name => 'albert_stale_trigger');
SELECT try('AFTER UPDATE', $$'embedding', 'body'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'embedding', 'body'$$, 'STATEMENT', name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'needed', 'body'$$, name => 'albert_stale_trigger');
SELECT try('BEFORE UPDATE', $$'always', 'body'$$, name => 'albert_stale_trigger');
\a
\t off
SELECT albert_embedding_trigger();
SELECT albert_stale_trigger();
-- at the first row of any kind
CREATE TRIGGER bad BEFORE INSERT OR UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('embedding', 'whole', 'small');
INSERT INTO wrong VALUES (2, NULL);
DROP TRIGGER bad ON wrong;
CREATE TRIGGER bad BEFORE INSERT OR UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger('embedding', 'body');
INSERT INTO wrong VALUES (2, NULL);
DROP TABLE wrong;
DROP DOMAIN needed_text;
DROP FUNCTION try;

-- columns of other types get what an assignment would give them, with the checks of domains
CREATE DOMAIN short AS real[] CHECK (cardinality(value) < 10);
CREATE DOMAIN long AS real[] CHECK (cardinality(value) > 10);
CREATE DOMAIN there AS real[] NOT NULL;
CREATE TABLE typed (body text, a long, b there, c float8[], d numeric[], e text, f short, g point);
CREATE TRIGGER a BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('a', 'body', 'small');
CREATE TRIGGER b BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('b', 'body', 'small');
CREATE TRIGGER c BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('c', 'body', 'small');
CREATE TRIGGER d BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('d', 'body', 'small');
CREATE TRIGGER e BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('e', 'body', 'small');
INSERT INTO typed (body, b) VALUES ('one text', '{}');
SELECT a = e.v AS a, b = e.v AS b, c = e.v::float8[] AS c, d = e.v::numeric[] AS d, typed.e = e.v::text AS e
FROM typed, albert_embedding('one text', 'small') AS e (v);
INSERT INTO typed (body, b) VALUES (NULL, '{}');
CREATE TRIGGER f BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('f', 'body', 'small');
INSERT INTO typed (body, b) VALUES ('one text', '{}');
DROP TRIGGER f ON typed;
CREATE FUNCTION begin_of(real[], int, bool) RETURNS point LANGUAGE sql IMMUTABLE AS 'SELECT point($1[1], $1[2])';
CREATE CAST (real[] AS point) WITH FUNCTION begin_of(real[], int, bool) AS ASSIGNMENT;
CREATE TRIGGER g BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('g', 'body', 'small');
INSERT INTO typed (body, b) VALUES ('one text', '{}');
SELECT g[0] = a[1] AS g FROM typed WHERE g IS NOT NULL;
DROP TABLE typed;
DROP CAST (real[] AS point);
DROP FUNCTION begin_of;
DROP DOMAIN short, long, there;

-- who may: the privileges of who writes, on albert_embedding
CREATE ROLE regress_note_writer;
GRANT ALL ON notes TO regress_note_writer;
SELECT string_agg(oid::regprocedure::text, ', ') AS functions FROM pg_proc WHERE proname = 'albert_embedding' \gset
REVOKE EXECUTE ON FUNCTION :functions FROM PUBLIC;
SET ROLE regress_note_writer;
INSERT INTO notes VALUES (50, 'a text');
UPDATE notes SET body = 'changed' WHERE id = 30;
UPDATE notes SET id = 31 WHERE id = 30;
RESET ROLE;
GRANT EXECUTE ON FUNCTION :functions TO PUBLIC;
SET ROLE regress_note_writer;
INSERT INTO notes VALUES (50, 'a text');
RESET ROLE;
DROP TABLE notes;
DROP FUNCTION shout;
DROP ROLE regress_note_writer;

-- albert_columns: which columns are kept, by what, from what
CREATE SCHEMA kept;
SET search_path = kept, public;
CREATE TABLE one (body text, "Tïtle" text, embedding real[], stale real[], label text,
	vector real[] GENERATED ALWAYS AS (albert_embedding(body || 'more', 'small')) STORED,
	sum real GENERATED ALWAYS AS (albert_similarity(body, 'x', model => 'm01_plain') + albert_token_count(body, special_tokens => false, model => 'sm''all')) STORED,
	other text GENERATED ALWAYS AS (upper(body)) STORED);
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON one FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('embedding', 'Tïtle', 'a\b');
CREATE TRIGGER b BEFORE UPDATE ON one FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger('stale', 'body', 'Tïtle');
CREATE TRIGGER c BEFORE INSERT OR UPDATE ON one FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('label', 'body');
CREATE TRIGGER d BEFORE UPDATE ON one FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger();
ALTER TABLE one DISABLE TRIGGER c;
CREATE TABLE parts (id int, body text, embedding real[]) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TRIGGER stale BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION albert_stale_trigger('embedding', 'body');
SELECT * FROM albert_columns ORDER BY relation::text, "column";
SELECT attname, albert_called_models(adbin) FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
 WHERE adrelid = 'one'::regclass ORDER BY attname;
DROP SCHEMA kept CASCADE;
RESET search_path;
