-- Generated columns and expression indexes of albert's functions.

-- the model must be named: the default may change
CREATE TABLE gen_docs (id int PRIMARY KEY, body text);
INSERT INTO gen_docs VALUES (1, 'one text'), (2, NULL), (3, 'another text');
ALTER TABLE gen_docs ADD embedding real[] GENERATED ALWAYS AS (albert_embedding(body)) STORED;
ALTER TABLE gen_docs ADD embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'small')) STORED,
	ADD tokens int GENERATED ALWAYS AS (albert_token_count(body, 'small')) STORED;
INSERT INTO gen_docs VALUES (4, 'a third text');
UPDATE gen_docs SET body = 'changed' WHERE id = 1;
UPDATE gen_docs SET body = NULL WHERE id = 3;
INSERT INTO gen_docs VALUES (4, 'in conflict') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
SELECT id, embedding IS NOT DISTINCT FROM albert_embedding(body, 'small') AS embedding,
       tokens IS NOT DISTINCT FROM albert_token_count(body, 'small') AS tokens
FROM gen_docs ORDER BY id;

-- the row is refused when its text is
ALTER TABLE gen_docs ADD best text GENERATED ALWAYS AS (albert_fill_mask(body, 'small')) STORED;
UPDATE gen_docs SET body = 'a [MASK] text';
ALTER TABLE gen_docs ADD best text GENERATED ALWAYS AS (albert_fill_mask(body, 'small')) STORED;
SELECT count(*) FILTER (WHERE best = albert_fill_mask(body, 'small')) AS rightly FROM gen_docs;
INSERT INTO gen_docs VALUES (5, 'no mask');

-- a generated text can be a job's source, and an embedding of one is a generated column of the same expression
CREATE TABLE gen_names (first text, last text, whole text GENERATED ALWAYS AS (first || ' ' || last) STORED, filled real[],
	embedding real[] GENERATED ALWAYS AS (albert_embedding(first || ' ' || last, 'small')) STORED);
INSERT INTO gen_names VALUES ('Ada', 'Lovelace'), ('Alan', 'Turing');
CALL albert_embed_table('gen_names', 'whole', 'filled', model => 'small');
SELECT filled = embedding AS filled, embedding = albert_embedding(whole, 'small') AS embedding FROM gen_names;

-- an expression index is asked instead of the model
CREATE INDEX gen_index ON gen_docs (albert_token_count(body, 'small'));
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT id FROM gen_docs WHERE albert_token_count(body, 'small') = 5;
RESET enable_seqscan;
CREATE UNIQUE INDEX gen_unique ON gen_names (albert_tokenize(first, 'small'));
INSERT INTO gen_names (first, last) VALUES ('Ada', 'Byron');

DROP TABLE gen_docs, gen_names;
