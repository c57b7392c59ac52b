-- Looking inside: what layers do, what tokens attend to.
SET albert.model = 'small';
SELECT layer, l2_distance > 0 AS moved, cosine BETWEEN -1 AND 1 AS cosine FROM albert_layers('the capital');
SELECT layer FROM albert_layers('the capital', 'm02_groups2_inner2_gelu');
SELECT count(*) FROM (SELECT * FROM albert_layers('the capital') EXCEPT SELECT * FROM albert_layers('the capital', model => 'small')) x;
SELECT count(*) FROM albert_layers(NULL);
SELECT query, query_piece, round(sum(weight)::numeric, 4) AS sum, count(*) FROM albert_attention('the capital', 2, 4) GROUP BY query, query_piece ORDER BY query;
SELECT count(*) FROM (SELECT * FROM albert_attention('the capital', 1, 2) EXCEPT SELECT * FROM albert_attention('the capital', 1, 2, 'small')) x;
SELECT count(*) FROM albert_attention('the capital', 1, NULL);
-- long texts are cut, or refused
SELECT max(key) FROM albert_attention(repeat('one ', 600), 1, 1);
SELECT count(*) FROM albert_layers(repeat('one ', 600), 'small');
SELECT albert_layers(repeat('one ', 600), 'small', overflow => 'error');
SELECT albert_layers('one', 'small', overflow => 'window');
SELECT albert_attention('x', 3, 1);
SELECT albert_attention('x', 0, 1);
SELECT albert_attention('x', 1, 5);
RESET albert.model;
