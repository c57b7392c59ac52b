-- Similarity of two texts, and of two embeddings.
SET albert.model = 'small';
SELECT round(albert_similarity('the capital', 'the city')::numeric, 4) AS similar, round(albert_similarity('the capital', 'the capital')::numeric, 6) AS same,
       albert_similarity('a', 'b') = albert_similarity('a', 'b', 'small') AS by_position, albert_similarity('a', 'b') = albert_similarity('a', 'b', model => 'small') AS by_name,
       albert_similarity('a', NULL) IS NULL AS null_text;
SELECT abs(albert_similarity('one', 'two') - albert_similarity(albert_embedding('one'), albert_embedding('two'))) < 1e-6 AS cosine;
SELECT albert_similarity('{1,0}'::real[], '{1,1}'::real[]), albert_similarity('{0,0}'::real[], '{1,1}'::real[]) AS of_nothing;
SELECT albert_similarity('{1,2}'::real[], '{1,2,3}'::real[]);
SELECT albert_similarity('{1,NULL}'::real[], '{1,2}'::real[]);
SELECT albert_similarity('{{1,2},{3,4}}'::real[], '{1,2,3,4}'::real[]);

-- parameters without a type are texts; one with a type decides
PREPARE texts AS SELECT albert_similarity($1, $2) = albert_similarity('one'::text, 'two'::text) AS texts;
EXECUTE texts('one', 'two');
PREPARE vectors AS SELECT albert_similarity($1::real[], $2) AS vectors;
EXECUTE vectors('{1,0}', '{1,1}');
PREPARE vector AS SELECT albert_similarity(albert_embedding('one'), $1) AS vectors;
EXECUTE vector('{1,2}');

-- long texts
SELECT albert_similarity(repeat('the city ', 600), 'a', 'small', overflow => 'error');
SELECT albert_similarity(repeat('the city ', 600) || 'x', repeat('the city ', 600), 'small') = 1 AS cut,
       albert_similarity(repeat('the city ', 600) || 'x', repeat('the city ', 600), 'small', overflow => 'window') < 1 AS seen_whole;
RESET albert.model;
