-- Classification by labels of one's own.
SET albert.model = 'nli';
SELECT albert_zero_shot('good', '{a,b}'), albert_zero_shot('good', '{a,b}', 'nli') AS by_position, albert_zero_shot('good', '{a,b}', model => 'nli') AS by_name,
       albert_zero_shot('good', NULL) IS NULL AS null_labels, albert_zero_shot(NULL, '{a}') IS NULL AS null_text;
SELECT label, round(score::numeric, 3) AS score FROM albert_zero_shot_scores('good', '{a,b}');
SELECT label, round(score::numeric, 3) AS score FROM albert_zero_shot_scores('good', '{a,b}', 'nli', multi_label => true);
SELECT label, round(score::numeric, 3) AS score FROM albert_zero_shot_scores('good', '{a}', 'nli');
SELECT (SELECT score FROM albert_zero_shot_scores('good', '{a}', template => 'It is {}.')) <> (SELECT score FROM albert_zero_shot_scores('good', '{a}')) AS template;

-- the labels of a driver that sends parameters without a type
PREPARE scores AS SELECT * FROM albert_zero_shot_scores($1, $2, $3) EXCEPT SELECT * FROM albert_zero_shot_scores('good', '{a,b}');
EXECUTE scores('good', '{a,b}', 'nli');
PREPARE best AS SELECT albert_zero_shot($1, $2);
EXECUTE best('good', '{a,b}');
PREPARE with_options AS SELECT albert_zero_shot($1, $2, model => $3, multi_label => $4, template => $5, overflow => $6);
EXECUTE with_options('good', '{a,b}', 'nli', 'true', 'It is {}.', 'error');

-- thousands of labels are computed some at a time; none is lost or changed
SELECT count(*), count(DISTINCT label), round(sum(score)::numeric, 4) AS sum FROM albert_zero_shot_scores('good', ARRAY(SELECT 'label ' || i FROM generate_series(1, 1000) i));
SELECT (SELECT score FROM albert_zero_shot_scores('good', ARRAY(SELECT 'label ' || i FROM generate_series(1, 600) i), multi_label => true) WHERE label = 'label 555')
     = (SELECT score FROM albert_zero_shot_scores('good', '{label 555}')) AS same;

SELECT albert_zero_shot('x', '{}');
SELECT albert_zero_shot('x', '{a,NULL}');
SELECT albert_zero_shot('x', '{{a},{b}}');
SELECT albert_zero_shot('x', '{a}', template => 'x');
SELECT albert_zero_shot(repeat('one ', 600), '{a}', 'nli', overflow => 'error');
SELECT albert_zero_shot('x', '{a}', 'nli', overflow => 'window');
SELECT albert_zero_shot('x', '{a}', 'small');
SELECT albert_zero_shot('x', '{a}', 'c02_one_label');
RESET albert.model;
