-- Multiple choice.
SET albert.model = 'choice';
SELECT albert_choose('one', '{a,b,c}'), albert_choose('one', '{a,b,c}', 'choice') AS by_position, albert_choose('one', '{a,b,c}', model => 'choice') AS by_name,
       albert_choose(NULL, '{a}') IS NULL AS null_context, albert_choose('one', NULL) IS NULL AS null_choices, albert_choose('one', '{""}') AS empty_choice;
SELECT choice, round(score::numeric, 3) AS score FROM albert_choose_scores('one', '{a,b,c}');
SELECT round(sum(score)::numeric, 5) AS sum FROM albert_choose_scores('one', '{a,b,c}', 'choice');
SELECT albert_choose('one', '{a,b,c}') = (SELECT choice FROM albert_choose_scores('one', '{a,b,c}') ORDER BY score DESC LIMIT 1) AS best;
PREPARE choose AS SELECT albert_choose($1, $2, $3);
EXECUTE choose('one', '{a,b,c}', 'choice');
-- thousands are computed some at a time
SELECT count(*), min(choice), max(choice), round(sum(score)::numeric, 4) AS sum FROM albert_choose_scores('one', ARRAY(SELECT 'two ' || i FROM generate_series(1, 1000) i));
SELECT albert_choose('x', '{}');
SELECT albert_choose('x', '{a,NULL}');
SELECT albert_choose(repeat('one ', 600), '{a}', 'choice', overflow => 'error');
SELECT albert_choose('one', '{a}', 'choice', overflow => 'window');
SELECT albert_choose('x', '{a}', 'small');
RESET albert.model;
