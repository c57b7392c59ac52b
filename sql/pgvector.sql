-- Columns of pgvector's types: filled by jobs, triggers and generated columns,
-- searched through its indexes.  A server without pgvector gives pgvector_1.out.
SELECT NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS without_pgvector \gset
\if :without_pgvector
\quit
\endif
SET client_min_messages = warning;
CREATE EXTENSION vector;
RESET client_min_messages;

-- does the plan of a query mention an index of the table?
CREATE FUNCTION pgvector_uses(query text, index name) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
    IF line LIKE '%Index Scan using ' || index || ' on %' THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;

CREATE TABLE pgvector_docs (id int PRIMARY KEY, body text, topic text);
INSERT INTO pgvector_docs VALUES
  (1, 'A violin is a musical instrument with four strings.', 'music'),
  (2, 'The blue whale is the largest animal in the ocean.', 'sea'),
  (3, 'Bread is made from flour, water and yeast.', 'food'),
  (4, 'A judge decides cases in a court of law.', 'law'),
  (5, 'Error 57P01 is raised when the server is shut down.', 'errors'),
  (6, 'Dolphins and seals live in the sea.', 'sea'),
  (7, 'A lawyer speaks for the accused before a jury.', 'law'),
  (8, 'Butter, sugar and eggs are baked into a cake.', 'food'),
  (9, 'The pianist played a sonata by Beethoven.', 'music'),
  (10, NULL, 'nothing'),
  (11, '', 'nothing');

-- ---- jobs ----
ALTER TABLE pgvector_docs ADD vec vector(256), ADD half halfvec(256), ADD sparse sparsevec(256), ADD free vector, ADD short vector(255);
CALL albert_embed_table('pgvector_docs', 'body', 'vec', model => 'albert-mini');
CALL albert_embed_table('pgvector_docs', 'body', 'half', model => 'albert-mini');
CALL albert_embed_table('pgvector_docs', 'body', 'sparse', model => 'albert-mini');
CALL albert_embed_table('pgvector_docs', 'body', 'free', model => 'albert-mini');
SELECT count(*) AS rows,
       count(*) FILTER (WHERE vec = albert_embedding(body, 'albert-mini')::vector) AS vec,
       count(*) FILTER (WHERE half = albert_embedding(body, 'albert-mini')::halfvec) AS half,
       count(*) FILTER (WHERE sparse = albert_embedding(body, 'albert-mini')::sparsevec) AS sparse,
       count(*) FILTER (WHERE free = albert_embedding(body, 'albert-mini')::vector) AS free,
       count(*) FILTER (WHERE vec IS NULL) AS without
  FROM pgvector_docs;
\set VERBOSITY terse
-- what does not fit the column ends the job
CALL albert_embed_table('pgvector_docs', 'body', 'short', model => 'albert-mini');
SELECT count(short) FROM pgvector_docs;

-- ---- writes ----
CREATE TRIGGER vec BEFORE INSERT OR UPDATE ON pgvector_docs
   FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('vec', 'body', 'albert-mini');
CREATE TRIGGER half BEFORE INSERT OR UPDATE ON pgvector_docs
   FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('half', 'body', 'albert-mini');
INSERT INTO pgvector_docs (id, body, topic) VALUES (12, 'A canoe is a narrow boat moved with paddles.', 'sea');
UPDATE pgvector_docs SET body = 'Milk is turned into cheese and butter.' WHERE id = 11;
SELECT id, vec = albert_embedding(body, 'albert-mini')::vector AS vec, half = albert_embedding(body, 'albert-mini')::halfvec AS half
  FROM pgvector_docs WHERE id > 10 ORDER BY id;
CREATE TRIGGER short BEFORE INSERT OR UPDATE ON pgvector_docs
   FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('short', 'body', 'albert-mini');
INSERT INTO pgvector_docs (id, body) VALUES (13, 'This one does not fit.');
DROP TRIGGER short ON pgvector_docs;

CREATE TABLE pgvector_generated (id int PRIMARY KEY, body text,
  vec vector(256) GENERATED ALWAYS AS (albert_embedding(body, 'albert-mini')::vector) STORED,
  half halfvec(256) GENERATED ALWAYS AS (albert_embedding(body, 'albert-mini', normalized => true)::halfvec) STORED);
INSERT INTO pgvector_generated (id, body) SELECT id, body FROM pgvector_docs;
SELECT count(*) AS rows, count(*) FILTER (WHERE g.vec = d.vec) AS same,
       count(*) FILTER (WHERE round(l2_norm(g.half)::numeric, 2) = 1) AS normalized
  FROM pgvector_generated AS g JOIN pgvector_docs AS d USING (id);

-- ---- distances are those of the embeddings ----
SELECT count(*) AS pairs,
       count(*) FILTER (WHERE abs((a.vec <=> b.vec) - (1 - albert_similarity(a.body, b.body, 'albert-mini'))) < 1e-5) AS cosine
  FROM pgvector_docs AS a, pgvector_docs AS b WHERE a.id < b.id AND a.vec IS NOT NULL AND b.vec IS NOT NULL;

-- ---- nearest neighbours ----
CREATE INDEX pgvector_hnsw ON pgvector_docs USING hnsw (vec vector_cosine_ops);
CREATE INDEX pgvector_half ON pgvector_docs USING hnsw (half halfvec_l2_ops);
CREATE INDEX pgvector_expression ON pgvector_generated USING hnsw ((albert_embedding(body, 'albert-mini')::vector(256)) vector_ip_ops);
SET enable_seqscan = off;
SELECT pgvector_uses($$SELECT id FROM pgvector_docs ORDER BY vec <=> albert_embedding('Who decides in court?', 'albert-mini')::vector LIMIT 2$$, 'pgvector_hnsw') AS immutable,
       pgvector_uses($$SELECT id FROM pgvector_docs ORDER BY vec <=> albert_embedding('Who decides in court?')::vector LIMIT 2$$, 'pgvector_hnsw') AS stable,
       pgvector_uses($$SELECT id FROM pgvector_docs ORDER BY half <-> albert_embedding('Who decides in court?')::halfvec LIMIT 2$$, 'pgvector_half') AS half,
       pgvector_uses($$SELECT id FROM pgvector_generated ORDER BY albert_embedding(body, 'albert-mini')::vector(256) <#> albert_embedding('Who decides in court?')::vector LIMIT 2$$, 'pgvector_expression') AS expression;
SELECT id, body FROM pgvector_docs ORDER BY vec <=> albert_embedding('Who decides in court?', 'albert-mini')::vector LIMIT 2;
SELECT id, body FROM pgvector_docs ORDER BY vec <=> albert_embedding('Who decides in court?')::vector LIMIT 2;
SELECT id, body FROM pgvector_docs ORDER BY half <-> albert_embedding('Who decides in court?')::halfvec LIMIT 2;
SELECT id, body FROM pgvector_generated ORDER BY albert_embedding(body, 'albert-mini')::vector(256) <#> albert_embedding('Who decides in court?')::vector LIMIT 2;
-- the question comes from a parameter, a subquery, another table
PREPARE pgvector_search(text) AS
  SELECT id, body FROM pgvector_docs ORDER BY vec <=> albert_embedding($1, 'albert-mini')::vector LIMIT 1;
SET plan_cache_mode = force_generic_plan;
EXECUTE pgvector_search('Which animals swim in the sea?');
EXECUTE pgvector_search('What is a cake made of?');
RESET plan_cache_mode;
SELECT id, body FROM pgvector_docs ORDER BY vec <=> (SELECT albert_embedding('Who plays the piano?', 'albert-mini')::vector) LIMIT 1;
SELECT asked.question, near.id
  FROM (VALUES (1, 'What is a cake made of?'), (2, 'Who plays the piano?'), (3, NULL)) AS asked (number, question),
       LATERAL (SELECT id FROM pgvector_docs ORDER BY vec <=> albert_embedding(question, 'albert-mini')::vector LIMIT 1) AS near
 WHERE question IS NOT NULL ORDER BY number;
-- with a condition
SELECT id, body FROM pgvector_docs WHERE topic = 'food' ORDER BY vec <=> albert_embedding('Who decides in court?', 'albert-mini')::vector LIMIT 1;
-- the index gives the order that sorting gives
SELECT array_agg(id ORDER BY place) =
       (SELECT array_agg(id ORDER BY distance, id) FROM (SELECT id, vec <=> albert_embedding('a song', 'albert-mini')::vector AS distance FROM pgvector_docs WHERE vec IS NOT NULL) AS sorted) AS same_order
  FROM (SELECT id, row_number() OVER () AS place
          FROM (SELECT id FROM pgvector_docs ORDER BY vec <=> albert_embedding('a song', 'albert-mini')::vector LIMIT 20) AS found) AS placed;
-- vectors of different lengths
SELECT id FROM pgvector_docs ORDER BY vec <=> albert_embedding('short', 'albert-mini', dimensions => 64)::vector LIMIT 1;
RESET enable_seqscan;

-- ---- aggregates over vectors: the nearest topic ----
SELECT topic FROM pgvector_docs WHERE vec IS NOT NULL GROUP BY topic
 ORDER BY avg(vec) <=> albert_embedding('The lawyer pleads before the judge.', 'albert-mini')::vector LIMIT 1;

-- ---- hybrid search: reciprocal rank fusion ----
ALTER TABLE pgvector_docs ADD words tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(body, ''))) STORED;
CREATE INDEX pgvector_words ON pgvector_docs USING gin (words);
CREATE FUNCTION pgvector_hybrid(question text) RETURNS TABLE (id int, meaning bigint, written bigint, score numeric) LANGUAGE sql STABLE AS $$
  WITH by_meaning AS (
    SELECT near.id, row_number() OVER (ORDER BY near.distance) AS rank
      FROM (SELECT d.id, d.vec <=> (SELECT albert_embedding(question, 'albert-mini')::vector) AS distance
              FROM pgvector_docs AS d ORDER BY distance LIMIT 5) AS near
  ), by_words AS (
    SELECT d.id, row_number() OVER (ORDER BY ts_rank(d.words, asked) DESC, d.id) AS rank
      FROM pgvector_docs AS d, websearch_to_tsquery('english', replace(question, ' ', ' or ')) AS asked
     WHERE d.words @@ asked ORDER BY rank LIMIT 5
  )
  SELECT coalesce(m.id, w.id), m.rank, w.rank, round(coalesce(1.0 / (60 + m.rank), 0) + coalesce(1.0 / (60 + w.rank), 0), 5)
    FROM by_meaning AS m FULL JOIN by_words AS w USING (id)
   ORDER BY 4 DESC, 1 LIMIT 2
$$;
SELECT * FROM pgvector_hybrid('What is 57P01?');
SELECT * FROM pgvector_hybrid('Which animals live in the sea?');

DROP TABLE pgvector_docs, pgvector_generated;
DROP FUNCTION pgvector_hybrid, pgvector_uses;
DROP EXTENSION vector;
