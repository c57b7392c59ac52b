-- The batching node: which plans get it, what it computes, and what it must not
-- change.  Many more query shapes are compared in test/t/300_batching_corpus.pl,
-- what needs several sessions or servers in test/t/310_batching.pl.

CREATE TABLE docs (id int PRIMARY KEY, body text, n int, note text);
INSERT INTO docs
SELECT i, CASE WHEN i % 17 = 0 THEN NULL
               WHEN i = 49 THEN 'there is none here'
               ELSE 'word ' || i % 23 || ' is a [MASK] one' END,
       i % 10, 'note ' || i % 5
FROM generate_series(1, 200) i;
ANALYZE docs;
SET max_parallel_workers_per_gather = 0;
-- the quickest of the tests' models
SET albert.model = 'small';

CREATE FUNCTION query_plan(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	RETURN plan;
END $$;

-- what the nodes of a query have done
CREATE FUNCTION batching(query text)
RETURNS TABLE (texts int, computed int, counted boolean, batches int) LANGUAGE sql AS $$
	SELECT (node ->> 'Texts')::int, (node ->> 'Misses')::int, (node ->> 'Tokens')::int > 0, (node ->> 'Batches')::int
	FROM jsonb_path_query(query_plan(query)::jsonb, 'strict $.**?(@."Custom Plan Provider" == "AlbertBatch")') node
$$;

-- the same rows, errors included, with and without the node
CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	with_node text;
	without_node text;
BEGIN
	PERFORM set_config('albert.enable_batching', 'on', true);
	BEGIN
		EXECUTE 'SELECT md5(string_agg(q::text, E''\n'')) FROM (' || query || ') q' INTO with_node;
	EXCEPTION WHEN others THEN with_node := sqlstate || ' ' || sqlerrm;
	END;
	PERFORM set_config('albert.enable_batching', 'off', true);
	BEGIN
		EXECUTE 'SELECT md5(string_agg(q::text, E''\n'')) FROM (' || query || ') q' INTO without_node;
	EXCEPTION WHEN others THEN without_node := sqlstate || ' ' || sqlerrm;
	END;
	PERFORM set_config('albert.enable_batching', 'on', true);
	RETURN CASE WHEN with_node IS DISTINCT FROM without_node THEN 'differs: ' || with_node || ' / ' || without_node
				WHEN with_node ~ '^[0-9A-F]{5} ' THEN 'the same error: ' || with_node
				ELSE 'the same' END;
END $$;

-- ---------- where the node is ----------

-- the first statement of a session, which loads the library while it is planned
\c -
EXPLAIN (COSTS OFF) SELECT id, albert_embedding(body) FROM docs;
SET max_parallel_workers_per_gather = 0;

EXPLAIN (COSTS OFF, VERBOSE) SELECT id, albert_embedding(body), upper(albert_fill_mask(body)) FROM docs WHERE n = 3;
-- cheap quals first, then the call's; the target list for what is left
EXPLAIN (COSTS OFF) SELECT albert_embedding(body) FROM docs WHERE albert_token_count(body) > 9 AND n > 4;
EXPLAIN (COSTS OFF) SELECT albert_token_count(albert_fill_mask(body)) FROM docs ORDER BY id LIMIT 3;
EXPLAIN (COSTS OFF) SELECT albert_token_count(body), count(*) FROM docs GROUP BY 1 ORDER BY 1;
EXPLAIN (COSTS OFF) SELECT n, avg(albert_similarity(body, note)) FROM docs GROUP BY n;
EXPLAIN (COSTS OFF) SELECT a.id FROM docs a JOIN docs b ON b.id = a.id + 1 WHERE albert_similarity(a.body, b.body) > 0.5;
EXPLAIN (COSTS OFF) UPDATE docs SET note = albert_fill_mask(body);
EXPLAIN (COSTS OFF) INSERT INTO docs SELECT id + 1000, body, albert_token_count(body) FROM docs RETURNING id, albert_embedding(body);
PREPARE lengths(int) AS SELECT id, albert_token_count(body) > 3 AS longer FROM docs WHERE id < $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE lengths(5);
EXECUTE lengths(4);
RESET plan_cache_mode;

-- arguments of any aggregate, but where a filter decides whether they are evaluated
CREATE FUNCTION keep_longest(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN CASE WHEN length($1) > length($2) THEN $1 ELSE $2 END; END$$;
CREATE AGGREGATE longest(text) (sfunc = keep_longest, stype = text, initcond = '');
EXPLAIN (COSTS OFF) SELECT longest(albert_fill_mask(body)), avg(albert_token_count(body)) FROM docs;
EXPLAIN (COSTS OFF) SELECT max(albert_fill_mask(body)) FILTER (WHERE albert_token_count(body) > 3) FROM docs;

-- row by row: what is not always evaluated, volatile functions, other functions
EXPLAIN (COSTS OFF) SELECT CASE WHEN n > 3 THEN albert_fill_mask(body) END FROM docs;
EXPLAIN (COSTS OFF) SELECT coalesce(note, albert_fill_mask(body)) FROM docs;
EXPLAIN (COSTS OFF) SELECT id FROM docs WHERE n > 3 OR albert_token_count(body) > 3;
EXPLAIN (COSTS OFF) SELECT albert_token_count(random()::text) FROM docs;
EXPLAIN (COSTS OFF) SELECT count(*) FILTER (WHERE n > 3 AND albert_token_count(body) > 3) FROM docs;
EXPLAIN (COSTS OFF) SELECT albert_fill_mask('a [MASK]');
EXPLAIN (COSTS OFF) SELECT unnest(ARRAY[n, id]), albert_token_count(body) FROM docs;
EXPLAIN (COSTS OFF) SELECT albert_token_count(body) FROM docs WHERE random() < 2;

SET albert.enable_batching = off;
EXPLAIN (COSTS OFF) SELECT id, albert_embedding(body) FROM docs;
-- also for a plan that has the node
EXECUTE lengths(4);
RESET albert.enable_batching;

-- ---------- what it computes ----------

SELECT * FROM batching('SELECT id, albert_embedding(body) FROM docs');
SELECT * FROM batching('SELECT albert_embedding(body), albert_token_count(body) FROM docs');
SELECT * FROM batching('SELECT albert_embedding(''a constant'') FROM docs');
SELECT * FROM batching('SELECT id FROM docs WHERE albert_token_count(body) > 100 AND albert_fill_mask(body) > ''''');
SELECT * FROM batching('SELECT id FROM docs WHERE false AND albert_token_count(body) > 100');
-- a constant among the rows' own values is computed once, however few rows pass what it is for
CREATE FUNCTION rows_computed(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := (SELECT sum(rows) FROM albert_stats);
BEGIN
	EXECUTE 'SELECT count(q) FROM (' || query || ' OFFSET 0) q';
	RETURN (SELECT sum(rows) FROM albert_stats) - before;
END $$;
SET plan_cache_mode = force_custom_plan;
SELECT rows_computed('SELECT id FROM docs WHERE albert_similarity(ARRAY[n, 1]::real[], albert_embedding(''Who decides?'', dimensions => 2)) > 2') AS none_passes;
SELECT rows_computed('SELECT id FROM docs WHERE albert_similarity(ARRAY[n, 1]::real[], albert_embedding(''Who decides?'', dimensions => 2)) > -2 AND id > 190') AS some_pass;
SELECT rows_computed('SELECT id FROM docs WHERE n < 10 / (n + 1) AND albert_similarity(ARRAY[n, 1]::real[], albert_embedding(''Who decides?'', dimensions => 2)) > 2 AND id % 10 <> 0') AS behind_another;
SELECT * FROM batching('SELECT id FROM docs WHERE albert_similarity(ARRAY[n, 1]::real[], albert_embedding(''Who decides?'', dimensions => 2)) > 2');
RESET plan_cache_mode;
-- exactly what a limit asks for, or little more when rows are filtered
SELECT * FROM batching('SELECT id, albert_embedding(body) FROM docs LIMIT 5');
SELECT * FROM batching('SELECT id, albert_embedding(body) FROM docs ORDER BY n, id LIMIT 5 OFFSET 2');
SELECT texts <= 12 AS few FROM batching('SELECT id FROM docs WHERE albert_token_count(body) > 3 LIMIT 6');
SELECT texts <= 2 AS few FROM batching('SELECT EXISTS (SELECT 1 FROM docs WHERE albert_token_count(body) > 3)');
-- the sort key is computed once
SELECT * FROM batching('SELECT id, albert_token_count(body) FROM docs ORDER BY albert_token_count(body), id LIMIT 3');
-- two limits, of which one skips rows
SELECT * FROM batching('SELECT * FROM (SELECT id, albert_embedding(body) FROM docs ORDER BY n, id OFFSET 3) s LIMIT 5');
SELECT count(albert_embedding) FROM (SELECT * FROM (SELECT id, albert_embedding(body) FROM docs ORDER BY n, id OFFSET 3) s LIMIT 5) t;
-- a sort below still knows the limit
SELECT jsonb_path_query(plan::jsonb, 'strict $.**."Sort Method"') AS method
FROM query_plan('SELECT id, albert_embedding(body) FROM docs ORDER BY n, id LIMIT 5') plan;

-- ---------- results are remembered while a statement runs ----------

CREATE TABLE few (id int, body text);
INSERT INTO few SELECT i, 'one of few texts ' || i * 7919 % 10 FROM generate_series(1, 1000) i;
-- a column with 1% distinct values, in whatever order, in however small batches
SET albert.batch_tokens = 16;
SELECT rows_computed('SELECT albert_embedding(body) FROM few') AS list;
SELECT rows_computed('SELECT id FROM few ORDER BY albert_embedding(body)::text, id LIMIT 3') AS sort;
SELECT rows_computed('SELECT DISTINCT albert_embedding(body) FROM few WHERE albert_similarity(body, ''some text'') > -2') AS filter;
RESET albert.batch_tokens;
-- also without the node
SET albert.enable_batching = off;
SELECT rows_computed('SELECT albert_embedding(body) FROM few') AS list;
SELECT rows_computed('SELECT CASE WHEN id > 0 THEN albert_fill_mask(body || '' [MASK]'') END FROM few') AS branch;
SELECT rows_computed('SELECT max(albert_token_count(body)) FILTER (WHERE id > 0) FROM few') AS aggregate;
SELECT rows_computed('SELECT f.id FROM few f JOIN few g ON g.id = f.id AND albert_token_count(f.body) = albert_token_count(g.body)') AS joined;
RESET albert.enable_batching;
CREATE FUNCTION in_a_loop() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	total int := 0;
	text_of_row text;
BEGIN
	FOR text_of_row IN SELECT body FROM few LOOP
		total := total + albert_token_count(text_of_row);
		PERFORM albert_fill_mask(text_of_row || ' [MASK]');
	END LOOP;
	RETURN total;
END $$;
SELECT rows_computed('SELECT in_a_loop() > 0') AS loop;
-- each text of a pair by itself
SELECT rows_computed('SELECT albert_similarity(''text '' || a, ''other '' || b) FROM generate_series(1, 60) a, generate_series(1, 60) b') AS pairs;
SET albert.enable_batching = off;
SELECT rows_computed('SELECT albert_similarity(''text '' || a, ''other '' || b) FROM generate_series(1, 60) a, generate_series(1, 60) b') AS pairs;
RESET albert.enable_batching;
SELECT count(*) AS pairs, bool_and(albert_similarity(a.body, b.body) =
	albert_similarity(albert_embedding(CASE WHEN a.id > 0 THEN a.body END), albert_embedding(CASE WHEN b.id > 0 THEN b.body END))) AS same
FROM (SELECT DISTINCT ON (body) * FROM few ORDER BY body, id) a, (SELECT DISTINCT ON (body) * FROM few ORDER BY body, id) b;
-- not beyond the statement
BEGIN;
SELECT rows_computed('SELECT albert_token_count(''once'') + id FROM few') AS first;
SELECT rows_computed('SELECT albert_token_count(''once'') + id FROM few') AS second;
COMMIT;
-- model and options matter
SELECT rows_computed('SELECT albert_embedding(body, pooling => ''cls''), albert_embedding(body, pooling => ''max''), albert_embedding(body, ''m01_plain'') FROM few WHERE id < 100') AS three;
SELECT rows_computed('SELECT albert_embedding(body, pooling => CASE WHEN id < 500 THEN ''cls'' ELSE ''max'' END) FROM few') AS two;
-- in little memory results are forgotten, and computed again
CREATE FUNCTION remembered(query text) RETURNS TABLE (texts int, hits int, misses int, evictions boolean) LANGUAGE sql AS $$
	SELECT (node ->> 'Texts')::int, (node ->> 'Hits')::int, (node ->> 'Misses')::int, (node ->> 'Evictions')::int > 0
	FROM jsonb_path_query(query_plan(query)::jsonb, 'strict $.**?(@."Custom Plan Provider" == "AlbertBatch")') node
$$;
SELECT * FROM remembered('SELECT albert_embedding(body) FROM few');
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT texts, hits + misses AS asked, misses > 500 AS again, evictions FROM remembered('SELECT albert_token_count(repeat(body, 50) || id % 100) FROM few');
SELECT same('SELECT id, albert_embedding(body || id % 100) FROM few WHERE id <= 300');
SELECT same('SELECT id, albert_similarity(body || id % 100, body) FROM few WHERE id <= 300');
SELECT same('SELECT id, albert_token_count(repeat(body, 1 + id % 9 * 1000)) FROM few WHERE id < 100');
RESET work_mem;
RESET hash_mem_multiplier;
-- an error is not remembered, and what was under way when it came is computed
DO $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		BEGIN
			PERFORM albert_fill_mask(body || CASE WHEN id < 900 THEN ' [MASK]' ELSE '' END) FROM few;
		EXCEPTION WHEN others THEN RAISE NOTICE '%', sqlerrm;
		END;
		RAISE NOTICE '%', (SELECT count(albert_fill_mask(body || ' [MASK]')) FROM few);
	END LOOP;
END $$;

-- ---------- errors ----------

SELECT same('SELECT id, albert_fill_mask(body) FROM docs');
SELECT same('SELECT id, albert_fill_mask(body) FROM docs LIMIT 48');
SELECT same('SELECT id, albert_fill_mask(body) FROM docs LIMIT 49');
SELECT same('SELECT id, albert_fill_mask(body) FROM docs WHERE albert_token_count(body) > 3 LIMIT 45');
SELECT same('SELECT 1 / (id - 20), albert_fill_mask(body) FROM docs');
SELECT same('SELECT albert_fill_mask(body), 1 / (id - 49) FROM docs');
SELECT same('SELECT albert_embedding(body, model => ''nothing'') FROM docs WHERE id <> 17');
SELECT same('SELECT albert_embedding(body, model => ''nothing'') FROM docs WHERE body IS NULL');
SELECT same('SELECT albert_embedding(body, model => CASE WHEN id < 30 THEN ''albert-mini'' ELSE ''nothing'' END) FROM docs LIMIT 29');
SELECT same('SELECT albert_embedding(body, model => CASE WHEN id < 30 THEN ''albert-mini'' ELSE ''nothing'' END) FROM docs');
SELECT same('SELECT albert_embedding(body, pooling => CASE n WHEN 1 THEN ''cls'' WHEN 2 THEN ''max'' ELSE ''mean'' END) FROM docs');
SELECT same('SELECT albert_embedding(body, pooling => note) FROM docs');
SELECT same('SELECT id FROM docs WHERE albert_fill_mask(body) <> ''x'' AND 10 / (n - 9) < 5');
-- of two errors either may be reported
SELECT same('SELECT albert_fill_mask(body), 1 / (id - 50) FROM docs');
-- the rows before the error arrive
BEGIN;
DECLARE c CURSOR FOR SELECT id, albert_fill_mask(body) IS NULL AS missing FROM docs WHERE id > 45;
FETCH 3 FROM c;
FETCH 1 FROM c;
ROLLBACK;
-- rows that a limit would allow for, and that are not asked for
SELECT same('SELECT * FROM (SELECT id, albert_token_count(body) FROM docs WHERE 1 / (id - 3) < 5 LIMIT 5) s LIMIT 2');
SELECT same('SELECT * FROM (SELECT id, albert_token_count(body) FROM docs WHERE 1 / (id - 3) < 5 LIMIT 5) s LIMIT 3');
SELECT same('SELECT * FROM (SELECT id, albert_token_count(body) FROM docs WHERE 1 / (id - 3) < 5 OFFSET 1 LIMIT 5) s OFFSET 1 LIMIT 0');
-- an initplan of a node above, an array: what fails for a row is not read ahead
CREATE FUNCTION one_by_one(query text, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	r record;
	rows int := 0;
BEGIN
	OPEN c FOR EXECUTE query;
	FOR i IN 1 .. n LOOP
		FETCH c INTO r;
		rows := rows + 1;
	END LOOP;
	CLOSE c;
	RETURN rows;
EXCEPTION WHEN others THEN RETURN rows || ' ' || sqlstate;
END $$;
SELECT one_by_one('SELECT id, albert_token_count(CASE WHEN id > 5 THEN (SELECT note FROM docs) ELSE body END) FROM docs LIMIT 50', 5) AS list,
       one_by_one('SELECT id, albert_token_count(CASE WHEN id > 5 THEN (SELECT note FROM docs) ELSE body END) FROM docs LIMIT 50', 6) AS fails,
       one_by_one('SELECT id, albert_token_count(body) FROM docs WHERE CASE WHEN id > 5 THEN (SELECT note FROM docs) ELSE note END IS NOT NULL LIMIT 50', 5) AS filter,
       one_by_one('SELECT id, albert_token_count(body) FROM docs WHERE ARRAY[CASE WHEN id > 5 THEN ARRAY[n] ELSE ARRAY[n, n] END, ARRAY[1, 2]] IS NOT NULL', 5) AS arrays;
-- what has effects runs as often as without the node, but for the row that fails
CREATE SEQUENCE counter;
SELECT nextval('counter'), albert_fill_mask(body) FROM docs;
SELECT nextval('counter');
SELECT nextval('counter'), albert_token_count(body) > 3 AS longer FROM docs LIMIT 3;

-- ---------- cursors ----------

BEGIN;
DECLARE c CURSOR FOR SELECT id, albert_token_count(body) > 3 AS longer FROM docs;
FETCH 4 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 150 FROM c;
FETCH RELATIVE -40 FROM c;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
MOVE BACKWARD ALL IN c;
FETCH 1 FROM c;
UPDATE docs SET note = 'here' WHERE CURRENT OF c;
FETCH 12 FROM c;
DELETE FROM docs WHERE CURRENT OF c;
SELECT count(*) FILTER (WHERE id = 13) AS thirteenth, min(id) FILTER (WHERE note = 'here') AS here FROM docs;
ROLLBACK;

-- ---------- costs ----------

CREATE TABLE long_docs (id int, body text, n int);
ALTER TABLE long_docs ALTER body SET STORAGE EXTERNAL;
INSERT INTO long_docs SELECT i, repeat('many words of text ', 400), i % 10 FROM generate_series(1, 400) i;
CREATE INDEX long_docs_n ON long_docs (n);
ANALYZE long_docs;
CREATE FUNCTION cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END $$;
-- by the length of the texts
SELECT cost('SELECT albert_embedding(body) FROM long_docs') > 20 * cost('SELECT albert_embedding(body) FROM docs') AS by_length,
       cost('SELECT albert_token_count(body) FROM docs') < 0.1 * cost('SELECT albert_embedding(body) FROM docs') AS by_task,
       cost('SELECT albert_similarity(body, note) FROM docs') > cost('SELECT albert_embedding(body) FROM docs') AS by_texts;
-- quals in the order of their costs, an index where it saves calls
EXPLAIN (COSTS OFF) SELECT id FROM long_docs WHERE albert_similarity(body, 'some words') > 0.5 AND albert_token_count(body) > 10 AND id > 7;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM long_docs WHERE albert_similarity(body, 'some words') > 0.5 AND n = 3;
RESET enable_bitmapscan;
-- a table of few pages and much work gets workers; one of little work does not
SET max_parallel_workers_per_gather = 2;
SELECT pg_relation_size('long_docs') < pg_size_bytes(current_setting('min_parallel_table_scan_size')) AS small;
EXPLAIN (COSTS OFF) SELECT id, albert_embedding(body) FROM long_docs;
EXPLAIN (COSTS OFF) SELECT id, length(body) FROM long_docs;
EXPLAIN (COSTS OFF) CREATE TABLE embedded AS SELECT id, albert_embedding(body) AS e FROM long_docs;
-- not without leave
ALTER TABLE long_docs SET (parallel_workers = 0);
EXPLAIN (COSTS OFF) SELECT id, albert_embedding(body) FROM long_docs;
SET max_parallel_workers_per_gather = 0;
-- what calls do is not compiled, whatever they cost
CREATE FUNCTION compiled(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan; -- without costs it would not tell
	RETURN plan -> 0 ? 'JIT';
END $$;
SET jit = on;
SET jit_above_cost = 0;
SELECT compiled('SELECT id FROM docs') = pg_jit_available() AS others,
       compiled('SELECT albert_embedding(body) FROM docs') AS list,
       compiled('SELECT id FROM docs WHERE n < 9 AND albert_similarity(body, note) > 2') AS filter,
       compiled('SELECT id, (SELECT max(albert_token_count(d.body || docs.note)) FROM docs d WHERE d.id < 4) FROM docs WHERE id < 20') AS subselect;
RESET jit_above_cost;
RESET jit;

-- every function of a task tells the planner
SELECT count(*) FILTER (WHERE prosupport <> 0) > 30 AS told,
       array_agg(oid::regprocedure ORDER BY oid) FILTER (WHERE prosupport = 0) AS not_told
FROM pg_proc p
WHERE prosrc IN (SELECT prosrc FROM pg_proc WHERE prosupport = 'albert_support'::regproc);

DROP TABLE docs, long_docs, few;
DROP SEQUENCE counter;
DROP FUNCTION batching, same, query_plan, cost, compiled, rows_computed, keep_longest, in_a_loop, remembered, one_by_one CASCADE;

-- a chain of subqueries that each use the one before twice: there are a billion ways to the first
DO $$
DECLARE
	query text := 'WITH a0 AS MATERIALIZED (SELECT ''x''::text t)';
BEGIN
	FOR i IN 1 .. 30 LOOP
		query := query || format(', a%s AS MATERIALIZED (SELECT x.t FROM a%s x JOIN a%2$s y USING (t))', i, i - 1);
	END LOOP;
	EXECUTE 'EXPLAIN ' || query || ' SELECT albert_token_count(t) FROM a30';
END $$;
