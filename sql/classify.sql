-- Classification: the best label, all labels, pairs, long texts.
SET albert.model = 'classifier';
SELECT albert_classify('good'), albert_classify('good', 'classifier') AS by_position, albert_classify('good', model => 'classifier') AS by_name,
       albert_classify(NULL) IS NULL AS null_text;
SELECT label, round(score::numeric, 3) AS score FROM albert_classify_scores('good');
SELECT label, round(score::numeric, 3) AS score FROM albert_classify_scores('good', 'classifier', top_k => 1);
SELECT count(*) FROM albert_classify_scores('good', top_k => 2147483647);
SELECT round(sum(score)::numeric, 5) AS sum FROM albert_classify_scores('good');
SELECT bool_and(score BETWEEN 0 AND 1), count(*) FROM albert_classify_scores('good', 'multilabel');
SELECT albert_classify('good', min_score => 1.1) IS NULL AS unsure, albert_classify('good', 'classifier', min_score => 0) IS NULL AS sure;
SELECT label, round(score::numeric, 4) AS score FROM albert_classify_scores('good', 'c04_regression');
SELECT count(*), bool_and(score BETWEEN 0 AND 1) AS probabilities FROM albert_classify_scores('good', 'c03_multi_label');

-- pairs
SELECT label, round(score::numeric, 3) AS score FROM albert_classify_scores('good', 'bad', 'classifier');
SELECT * FROM albert_classify_scores('good', 'bad', 'classifier') EXCEPT SELECT * FROM albert_classify_scores('good', pair => 'bad');
SELECT albert_classify('good', 'bad', 'classifier') = albert_classify('good', 'classifier', pair => 'bad') AS same,
       albert_classify('good', pair => '') = albert_classify('good') AS empty_pair;
-- parameters without a type: a text, its pair, and a model
PREPARE scores AS SELECT count(*) FROM (SELECT * FROM albert_classify_scores($1, $2, $3) EXCEPT SELECT * FROM albert_classify_scores('good', pair => 'bad')) x;
EXECUTE scores('good', 'bad', 'classifier');
PREPARE best AS SELECT albert_classify($1, $2);
EXECUTE best('good', 'classifier');

-- texts that are longer than the model's 512 tokens
\set long 'repeat(''the capital of france '', 300)'
SELECT albert_classify(:long, 'classifier', overflow => 'error');
SELECT (SELECT array_agg(score) FROM albert_classify_scores(:long, 'classifier')) = (SELECT array_agg(score) FROM albert_classify_scores(:long || 'x', 'classifier')) AS cut,
       (SELECT array_agg(score) FROM albert_classify_scores(:long, 'classifier', overflow => 'window')) <> (SELECT array_agg(score) FROM albert_classify_scores(:long || 'x', 'classifier', overflow => 'window')) AS seen_whole;
SELECT albert_classify('x', 'small');
SELECT albert_classify_scores('x', top_k => -1);
RESET albert.model;
