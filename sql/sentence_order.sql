-- Sentence order: the probability that the second text follows the first.
SELECT albert_sentence_order('One is less than two.', 'Two is more than one.', 'small') BETWEEN 0 AND 1 AS probability;
SET albert.model = 'small';
SELECT round(albert_sentence_order('one', 'two')::numeric, 3) AS forward, round(albert_sentence_order('two', 'one')::numeric, 3) AS backward,
       albert_sentence_order('one', 'two') = albert_sentence_order('one', 'two', model => 'small') AS by_name,
       albert_sentence_order(NULL, 'b') IS NULL AS null_first, albert_sentence_order('a', NULL) IS NULL AS null_second;
-- no second text is no pair: [CLS] one [SEP], as in the reference's tokenizer
SELECT array_agg(piece ORDER BY position) FROM albert_tokens('one', '', 'small');
SELECT sequence, round(score::numeric, 4) AS score FROM (VALUES ('alone', albert_sentence_order('one', '')), ('blank', albert_sentence_order('one', ' '))) v (sequence, score);
SELECT albert_sentence_order('one', '') <> albert_sentence_order('one', ' ') AS differ;
SELECT albert_sentence_order(repeat('one ', 600), 'two', 'small', overflow => 'error');
SELECT albert_sentence_order('one', 'two', 'small', overflow => 'window');
SELECT albert_sentence_order('one', 'two', 'classifier');
RESET albert.model;
