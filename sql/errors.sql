-- What holds for all functions: the catalog, forms of a call, NULL, models and overflows there are not.

-- a comment, volatility, strictness, parallel safety
CREATE TEMP VIEW ours AS
SELECT p.*, p.oid::regprocedure::text AS signature, 'model' = ANY (p.proargnames[1:p.pronargs]) AS named,
       p.prosrc IN ('albert_encode', 'albert_token_count', 'albert_tokenize', 'albert_decode', 'albert_chunks', 'albert_answer') AS never_too_long
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'albert'
JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c';
SELECT signature FROM ours WHERE obj_description(oid, 'pg_proc') IS NULL;
SELECT signature, provolatile, proisstrict, proparallel FROM ours
WHERE prosupport <> 0 AND (provolatile <> CASE WHEN named THEN 'i' ELSE 's' END OR NOT proisstrict OR proparallel <> 's');
SELECT proname, string_agg(provolatile::text, ',' ORDER BY provolatile) AS volatility, bool_and(proisstrict) AS strict, bool_and(proparallel = 's') AS safe
FROM ours WHERE prosupport = 0 AND provolatile <> 'v' GROUP BY proname ORDER BY proname COLLATE "C";
-- a named model's form that runs the encoder over whole texts says what becomes of long ones
SELECT signature FROM ours WHERE prosupport <> 0 AND named AND NOT never_too_long AND NOT 'overflow' = ANY (proargnames);
SELECT signature FROM ours WHERE NOT named AND 'overflow' = ANY (proargnames);
-- no two forms of a name have text and text[] at one position
SELECT a.signature, b.signature FROM ours a JOIN ours b ON a.proname = b.proname AND a.oid < b.oid
JOIN generate_series(0, 11) i ON i < least(a.pronargs, b.pronargs)
JOIN pg_type t ON t.oid = a.proargtypes[i] JOIN pg_type u ON u.oid = b.proargtypes[i]
WHERE (t.oid, u.oid) IN (('text'::regtype, 'text[]'::regtype), ('text[]'::regtype, 'text'::regtype));

-- a model that is not there, NULL, empty
\set VERBOSITY terse
SELECT albert_embedding('x', 'none');
\set VERBOSITY default
SELECT albert_embedding('x', '');
SELECT albert_decode('{5}', '');
SELECT * FROM albert_evaluate('', 'SELECT 1, 2');
SELECT albert_embedding('x', NULL::text) IS NULL AS null_model;
SELECT albert_embedding('x', 'small', overflow => NULL) IS NULL AS null_option;
SELECT albert_embedding('x', 'small', overflow => 'TRUNCATE');

-- tokens
SELECT array_agg(piece ORDER BY position) FILTER (WHERE special) AS special FROM albert_tokens('one', 'two', 'small');
SELECT piece, substr('The capital of France', start + 1, stop - start) AS text FROM albert_tokens('The capital of France', 'small', special_tokens => false) ORDER BY position;
SELECT albert_decode(albert_encode('the capital of france', 'small'), 'small', skip_special_tokens => true), albert_decode(albert_encode('the capital', 'small'), 'small') AS with_special_tokens;
SET albert.model = 'small';
SELECT f, by_position, by_name, pair, empty_pair, without FROM (VALUES
	('encode', albert_encode('the city') = albert_encode('the city', 'small'), albert_encode('the city') = albert_encode('the city', model => 'small'),
		albert_encode('the', pair => 'city') = albert_encode('the', 'city', 'small'), albert_encode('the', pair => '') = albert_encode('the'), albert_encode('the', special_tokens => false)::text),
	('token_count', albert_token_count('the city') = albert_token_count('the city', 'small'), albert_token_count('the city') = albert_token_count('the city', model => 'small'),
		albert_token_count('the', pair => 'city') = albert_token_count('the', 'city', 'small'), albert_token_count('the', pair => '') = albert_token_count('the'), albert_token_count('the', 'small', special_tokens => false)::text)) v (f, by_position, by_name, pair, empty_pair, without);
SELECT albert_tokenize(NULL) IS NULL, albert_encode('a', pair => NULL) IS NULL, albert_token_count(NULL) IS NULL, (SELECT count(*) FROM albert_tokens(NULL));
RESET albert.model;
SELECT albert_decode('{1000000}', 'small');
SELECT albert_decode('{-1}', 'small');
SELECT albert_decode('{1,NULL}', 'small');
SELECT albert_decode('{{1},{2}}', 'small');
SELECT albert_decode(NULL, 'small') IS NULL AS null_ids;

-- forms with two texts and a model, with parameters that have no type
PREPARE one AS SELECT albert_tokenize($1, $2);
EXECUTE one('the city', 'small');
PREPARE two AS SELECT albert_encode($1, $2, $3) = albert_encode('the', 'small', pair => 'city') AS pair;
EXECUTE two('the', 'city', 'small');
PREPARE three AS SELECT albert_embedding($1, $2) = albert_embedding('the', model => 'small') AS model;
EXECUTE three('the', 'small');
PREPARE four AS SELECT array_dims(albert_embeddings($1, $2));
EXECUTE four('{a,b}', 'small');
PREPARE five AS SELECT count(*) FROM albert_chunks($1, max_tokens => $2);
EXECUTE five('the city', 10);
PREPARE six AS SELECT count(*) FROM albert_entities($1, $2);
EXECUTE six('the city', 'tokens');
PREPARE seven AS SELECT albert_fill_mask($1, $2) = albert_fill_mask('the [MASK]', model => 'small') AS model;
EXECUTE seven('the [MASK]', 'small');
DEALLOCATE ALL;

-- counts of texts that did not fit
SELECT albert_stats_reset();
SELECT albert_embedding(repeat('one ', 600), 'small') IS NULL, albert_embedding('short', 'small') IS NULL, albert_embedding(repeat('one ', 600), 'small', overflow => 'window') IS NULL;
SELECT rows, truncated FROM albert_stats WHERE model = 'small';
