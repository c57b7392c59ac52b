-- One number or a few labels of a classification: a cross-encoder's score, entailment, one label's probability, the
-- labels of a text. Checked against sentence-transformers' CrossEncoder.predict and transformers' pipelines.

-- a cross-encoder with the default, the logistic function, and one whose score is the logit
SELECT round(albert_score(query, document, 'c02_one_label')::numeric, 4) AS score, round(albert_score(query, document, 'score')::numeric, 3) AS logit
FROM (VALUES (1, 'who wrote the notes?', 'The notes were written by Ada Lovelace.'), (2, 'who wrote the notes?', ' bread is made from flour '),
	(3, 'a', ''), (4, '', 'b'), (5, 'the capital of france', repeat('the capital of france ', 80))) v (id, query, document) ORDER BY id;
SELECT albert_score('a', NULL, 'score') IS NULL AS null_document, albert_score(NULL, 'a', 'score') IS NULL AS null_query;
SET albert.model = 'score';
SELECT albert_score('a', 'b') = albert_score('a', 'b', 'score') AS by_position, albert_score('a', 'b') = albert_score(document => 'b', query => 'a', model => 'score') AS by_name,
       albert_score('a', 'b') <> albert_score('b', 'a') AS in_this_order, albert_score('a', '') <> albert_score('a', ' b') AS empty_document;
-- the score is a pair's: what the pipeline makes of the same logit
SELECT abs(albert_score('a', 'b', 'c02_one_label') - score) < 1e-6 AS same FROM albert_classify_scores('a', 'b', 'c02_one_label');
SELECT albert_score('a', repeat('one ', 600), 'score', overflow => 'error');
SELECT albert_score('a', 'b', 'score', overflow => 'window');
SELECT albert_score('a', 'b', 'classifier');
SELECT albert_score('a', 'b', 'small');
PREPARE untyped AS SELECT albert_score($1, $2, $3) = albert_score('a', 'b') AS same;
EXECUTE untyped('a', 'b', 'score');
RESET albert.model;

-- entailment
SET albert.model = 'nli';
SELECT albert_entailment('good', 'bad') = score AS same, score BETWEEN 0 AND 1 AS probability, albert_entailment('good', 'bad') = albert_entailment('good', 'bad', 'nli') AS named,
       albert_entailment(premise => 'good', hypothesis => 'bad', model => 'nli', overflow => 'error') = score AS by_name, albert_entailment('bad', 'good') <> score AS in_this_order
FROM albert_classify_scores('good', 'bad', 'nli') WHERE label = 'entailment';
SELECT albert_entailment('good', NULL) IS NULL AS null_hypothesis;
SELECT albert_entailment('a', 'b', 'classifier');
SELECT albert_entailment('a', 'b', 'c04_regression');
SELECT albert_entailment('a', 'b', 'small');
SELECT albert_entailment('a', repeat('one ', 600), 'nli', overflow => 'error');

-- one label's probability
SELECT label, albert_class_probability('good', label) = score AS same, albert_class_probability('good', label, 'nli') = score AS named
FROM albert_classify_scores('good') ORDER BY label COLLATE "C";
SELECT albert_class_probability('good', 'neutral', 'nli', pair => 'bad') = score AS pair, albert_class_probability('good', 'neutral', 'nli', pair => '') = albert_class_probability('good', 'neutral') AS empty_pair
FROM albert_classify_scores('good', 'bad', 'nli') WHERE label = 'neutral';
SELECT albert_class_probability('good', 'sport', 'multilabel') = score AS each_by_itself FROM albert_classify_scores('good', 'multilabel') WHERE label = 'sport';
SELECT albert_class_probability('good', NULL) IS NULL AS null_label, albert_class_probability(NULL, 'neutral') IS NULL AS null_text;
SELECT albert_class_probability('good', 'Neutral');
SELECT albert_class_probability('good', '');
SELECT albert_class_probability('good', 'LABEL_0', 'c04_regression');
SELECT albert_class_probability(repeat('one ', 600), 'neutral', 'nli', overflow => 'window') <> albert_class_probability(repeat('one ', 600), 'neutral', 'nli') AS windows;

-- labels of a text that may have several
SET albert.model = 'multilabel';
SELECT albert_labels('good') = ARRAY(SELECT label FROM albert_classify_scores('good') WHERE score >= 0.5) AS same, albert_labels('good', 'multilabel') = albert_labels('good') AS named,
       albert_labels('good', 'multilabel', threshold => 0) = ARRAY(SELECT label FROM albert_classify_scores('good')) AS all_best_first, albert_labels('good', 1.1) AS none,
       albert_labels('good', threshold => 0, pair => 'bad') = albert_labels('good', 'multilabel', 0, pair => 'bad') AS pair, albert_labels('good', 'bad', 'multilabel') = albert_labels('good', pair => 'bad') AS second;
SELECT albert_labels('good', 'classifier', threshold => (SELECT max(score) FROM albert_classify_scores('good', 'classifier'))) = ARRAY[albert_classify('good', 'classifier')] AS the_best_of_one,
       albert_labels('good', 'NaN'::real) AS nan, albert_labels(NULL) IS NULL AS null_text;
SELECT albert_labels('good', 'c04_regression');
SELECT albert_labels('good', 'small');
RESET albert.model;

-- in a batch as by themselves
CREATE TABLE score_rows AS
SELECT i AS id, CASE WHEN i % 13 = 0 THEN NULL ELSE 'word ' || i || repeat(' and more', i % 7) END AS body, (ARRAY['contradiction', 'neutral', 'entailment'])[1 + i % 3] AS label
FROM generate_series(1, 80) i;
ANALYZE score_rows;
CREATE TABLE score_answers (batched bool, id int, score real, entailment real, fixed real, by_row real, labels text[]);
SET max_parallel_workers_per_gather = 0;
SET albert.enable_batching = on;
EXPLAIN (COSTS OFF) SELECT id, albert_score('a question', body, 'score') FROM score_rows WHERE albert_entailment(body, 'it is good', 'nli') > 0.2;
INSERT INTO score_answers
SELECT true, id, albert_score('a question', body, 'score'), albert_entailment(body, 'it is good', 'nli'), albert_class_probability(body, 'neutral', 'nli'),
	albert_class_probability(body, label, 'nli'), albert_labels(body, 'multilabel', threshold => 0.4) FROM score_rows;
SET albert.enable_batching = off;
INSERT INTO score_answers
SELECT false, id, albert_score('a question', body, 'score'), albert_entailment(body, 'it is good', 'nli'), albert_class_probability(body, 'neutral', 'nli'),
	albert_class_probability(body, label, 'nli'), albert_labels(body, 'multilabel', threshold => 0.4) FROM score_rows;
SET albert.enable_batching = on;
SELECT count(*), count(score), count(DISTINCT score) > 20 AS scores, count(DISTINCT by_row) > 20 AS by_row FROM score_answers WHERE batched;
SELECT count(*) AS differing FROM score_answers a JOIN score_answers b USING (id)
WHERE a.batched AND NOT b.batched AND (a.score, a.entailment, a.fixed, a.by_row, a.labels) IS DISTINCT FROM (b.score, b.entailment, b.fixed, b.by_row, b.labels);
SELECT albert_class_probability(body, 'positive', 'nli') FROM score_rows;
-- filled by a job
ALTER TABLE score_rows ADD labels text[];
CALL albert_embed_table('score_rows', 'body', 'labels', model => 'multilabel', task => 'labels', options => '{"threshold": 0.4}');
SELECT count(labels) AS filled, count(*) FILTER (WHERE labels IS DISTINCT FROM albert_labels(body, 'multilabel', threshold => 0.4)) AS differing FROM score_rows;
UPDATE score_rows SET labels = NULL;
CALL albert_embed_table('score_rows', 'body', 'labels', model => 'c04_regression', task => 'labels');
-- not of one text alone
CALL albert_embed_table('score_rows', 'body', 'labels', model => 'nli', task => 'class_probability');
-- in an index
CREATE INDEX ON score_rows (albert_score('a question', body, 'score'));
SELECT (array_agg(id ORDER BY albert_score('a question', body, 'score') DESC NULLS LAST))[1:3] = (SELECT (array_agg(id ORDER BY score DESC NULLS LAST))[1:3] FROM score_answers WHERE batched) AS the_same_first FROM score_rows;
DROP TABLE score_rows, score_answers;
