-- Pairs of rows whose embeddings are alike, and groups of rows.
CREATE TABLE points (id int PRIMARY KEY, name text UNIQUE, v real[]);
INSERT INTO points
SELECT i, 'p' || i, ARRAY[cos(a), sin(a), 0]::real[]
FROM (SELECT i, (i % 3) * 2.0 + i * 0.001 AS a FROM generate_series(1, 90) i) x;
INSERT INTO points VALUES (100, 'none', NULL), (101, 'zero', '{0,0,0}');

-- the same pairs as a join finds
CREATE VIEW joined AS
SELECT a.id::text AS a, b.id::text AS b, albert_similarity(a.v, b.v) AS similarity
FROM points a, points b WHERE a.id < b.id;
SELECT count(*) FROM albert_similar_pairs('points', 'v', 0.9995);
SELECT count(*) FROM (SELECT * FROM joined WHERE similarity >= 0.9995::real EXCEPT SELECT * FROM albert_similar_pairs('points', 'v', 0.9995)) x;
SELECT count(*) FROM (SELECT * FROM albert_similar_pairs('points', 'v', 0.9995) EXCEPT SELECT * FROM joined WHERE similarity >= 0.9995::real) x;
SELECT count(*) FROM albert_similar_pairs('points', 'v', -1);
SELECT count(*) FROM albert_similar_pairs('points', 'v', 1) WHERE similarity < 1;
SELECT min(a), max(b) FROM albert_similar_pairs('points', 'v', 0.9995, key => 'name');
SELECT count(*) FROM albert_similar_pairs('points', 'v', NULL);

-- more rows than fit a block
CREATE TABLE many AS SELECT i AS id, ARRAY[cos(i), sin(i), cos(i * 7), sin(i * 3), i % 5]::real[] AS v FROM generate_series(1, 2500) i;
SELECT (SELECT count(*) FROM albert_similar_pairs('many', 'v', 0.9999, 'id')) =
       (SELECT count(*) FROM many a, many b WHERE a.id < b.id AND albert_similarity(a.v, b.v) >= 0.9999::real) AS all_found;

-- with parallel workers, and without
SET parallel_setup_cost = 0;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE alone AS SELECT * FROM albert_similar_pairs('many', 'v', 0.999, 'id');
SET max_parallel_workers_per_gather = 2;
CREATE TABLE helped AS SELECT * FROM albert_similar_pairs('many', 'v', 0.999, 'id');
SELECT count(*) > 1000 AS many, count(*) = count(DISTINCT (a, b)) AS each_once FROM helped;
SELECT count(*) FROM (SELECT * FROM alone EXCEPT SELECT * FROM helped) x;
SELECT count(*) FROM (SELECT * FROM helped EXCEPT SELECT * FROM alone) x;
-- all of them, more than the queues hold; within a subtransaction; more than once in a statement
SELECT count(*) = 2500 * 2499 / 2 AS all FROM albert_similar_pairs('many', 'v', -1, 'id');
DO $$
BEGIN
	PERFORM count(*) FROM albert_similar_pairs('many', 'v', 0.999, 'id');
	PERFORM 1 / (count(*) - count(*)) FROM albert_similar_pairs('many', 'v', 0.999, 'id');
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'caught';
END $$;
SELECT count(DISTINCT n) FROM (SELECT (SELECT count(*) FROM albert_similar_pairs('many', 'v', 0.999 + i * 0, 'id')) AS n FROM generate_series(1, 3) i) x;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
DROP TABLE alone, helped;

-- groups: the largest first, the same whenever they are asked for
SELECT cluster, count(*), min(key::int % 3) = max(key::int % 3) AS pure, round(min(similarity)::numeric, 2) AS least
FROM albert_clusters('points', 'v', 3) WHERE key <> '101' GROUP BY cluster ORDER BY cluster;
SELECT count(*) FROM (SELECT * FROM albert_clusters('many', 'v', 7, 'id') EXCEPT SELECT * FROM albert_clusters('many', 'v', 7, 'id')) x;
SELECT count(DISTINCT cluster), min(cluster), max(cluster) FROM albert_clusters('many', 'v', 7, 'id');
CREATE TABLE same AS SELECT i AS id, '{1,2}'::real[] AS v FROM generate_series(1, 5) i;
SELECT * FROM albert_clusters('same', 'v', 4, 'id');
SELECT count(*) FROM albert_clusters('same', 'v', 10000, 'id');

-- embeddings of a model
CREATE TABLE said (id int PRIMARY KEY, body text, v real[] GENERATED ALWAYS AS (albert_embedding(body, 'albert-mini')) STORED);
INSERT INTO said VALUES (1, 'The train to Delhi is late.'), (2, 'My bicycle has two wheels.'), (3, 'The train to Delhi is late.');
SELECT a, b, round(similarity::numeric, 3) AS similarity FROM albert_similar_pairs('said', 'v', 0.99);

-- no rows, partitions, a view
SELECT * FROM albert_similar_pairs('points', 'v', 0.5, 'id') WHERE a = b;
CREATE TABLE parts (id int, v real[]) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
SELECT * FROM albert_similar_pairs('parts', 'v', 0, 'id');
SELECT * FROM albert_clusters('parts', 'v', 2, 'id');
INSERT INTO parts VALUES (5, '{1,1}'), (15, '{1,1}');
SELECT * FROM albert_similar_pairs('parts', 'v', 0.5, 'id');
CREATE VIEW few AS SELECT * FROM points WHERE id < 5;
SELECT count(*) FROM albert_clusters('few', 'v', 1, 'id');

-- what cannot be done
SELECT * FROM albert_similar_pairs('points', 'v', 1.5);
SELECT * FROM albert_similar_pairs('points', 'v', 'NaN');
SELECT * FROM albert_similar_pairs('points', 'w', 0.5);
SELECT * FROM albert_similar_pairs('points', 'v', 0.5, 'w');
SELECT * FROM albert_similar_pairs('said', 'body', 0.5);
SELECT * FROM albert_similar_pairs('many', 'v', 0.5);
SELECT * FROM albert_similar_pairs('points', 'id', 0.5);
SELECT * FROM albert_clusters('points', 'v', 0);
INSERT INTO points VALUES (200, 'other', '{1,2}');
SELECT * FROM albert_clusters('points', 'v', 2);
UPDATE points SET v = '{1,NaN,0}' WHERE id = 200;
SELECT * FROM albert_similar_pairs('points', 'v', 0.5);
UPDATE points SET v = '{1,NULL,0}' WHERE id = 200;
SELECT * FROM albert_similar_pairs('points', 'v', 0.5);
ALTER TABLE many ALTER id DROP NOT NULL;
UPDATE many SET id = NULL WHERE id = 1;
SELECT * FROM albert_clusters('many', 'v', 2, 'id');

-- a table that is not there, as one that has been dropped meanwhile
SELECT * FROM albert_similar_pairs(0, 'v', 0.5);
SELECT * FROM albert_clusters(0, 'v', 2, 'id');

-- who may not read the table may not compare its rows
CREATE ROLE albert_similar_reader;
SET ROLE albert_similar_reader;
SELECT * FROM albert_similar_pairs('said', 'v', 0.5);
RESET ROLE;
DROP ROLE albert_similar_reader;

DROP VIEW joined, few;
DROP TABLE points, many, same, said, parts;
