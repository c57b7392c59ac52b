-- Named entities: aggregations, places in the text, long texts.
SET albert.model = 't01_bio';
SELECT entity, round(score::numeric, 3) AS score, word, start, stop FROM albert_entities('Ada Lovelace lived in London.');
SELECT count(*) FROM (SELECT * FROM albert_entities('Ada Lovelace lived in London.') EXCEPT SELECT * FROM albert_entities('Ada Lovelace lived in London.', 't01_bio', aggregation => 'simple')) x;
SELECT a, count(*), bool_and(start < stop AND score BETWEEN 0 AND 1) AS places
FROM unnest('{none,simple,first,average,max}'::text[]) a, albert_entities('Ada Lovelace lived in London.', 't02_default_labels', aggregation => a) GROUP BY a ORDER BY a COLLATE "C";
SELECT count(*) FROM albert_entities('Ada Lovelace lived in London.', min_score => 1.1);
SELECT count(*) FROM albert_entities(NULL);
SELECT albert_entities('x', aggregation => 'all');
SELECT albert_entities('x', 'small');

-- Long texts in windows. Every label of this model is one, so each token is an entity: none is lost, none found twice.
\set long 'repeat(''is '', 647) || ''Ada Lovelace lived in London.'''
SELECT (SELECT count(*) FROM albert_entities(:long, 't02_default_labels', aggregation => 'none')) < 512 AS cut,
       count(*) = albert_token_count(:long, 't02_default_labels', special_tokens => false) AS all_there, count(DISTINCT (start, stop)) = count(*) AS once
FROM albert_entities(:long, 't02_default_labels', aggregation => 'none', overflow => 'window');
SELECT albert_entities(:long, 't02_default_labels', overflow => 'error');
-- a word is not cut, wherever the first window ends in it
SELECT n FROM generate_series(240, 256) n
WHERE NOT EXISTS (SELECT FROM albert_entities(repeat('is ', n) || 'Ada Lovelace lived in London.', 't02_default_labels', aggregation => 'first', overflow => 'window') WHERE word ~ 'lovelace');
SELECT max(n) AS most FROM (SELECT count(*) AS n FROM albert_entities(:long, 't02_default_labels', aggregation => 'average', overflow => 'window') GROUP BY start) x;
RESET albert.model;
