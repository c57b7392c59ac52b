-- Models: the views, loading and unloading, counts.  What depends on
-- directories, other users and shared memory is in test/t/1*.pl.

-- another test may have left it loaded
SELECT albert_unload('albert-mini') AS was_loaded \gset

\d albert_models
\d albert_stats

SELECT name, state, architecture, 'fill-mask' = ANY (heads) AS fills, parameters > 100000 AS parameters,
       layers > 0 AS layers, hidden_size > 0 AS hidden_size, precision, kernel, shared_bytes, sha256, loaded_at, error,
       path LIKE '%/albert/albert-mini' AS path
FROM albert_models WHERE name = 'albert-mini';

-- counting tokens needs no weights
SELECT albert_token_count('The capital of France') > 3 AS counted;
SELECT state, shared_bytes > 0 AS shared, precision, kernel, sha256 FROM albert_models WHERE name = 'albert-mini';
SELECT albert_load('albert-mini');
SELECT state, shared_bytes > 4 * parameters * 0.9 AS shared, precision, kernel IS NOT NULL AS kernel,
       sha256 ~ '^[0-9a-f]{64}$' AS sha256, loaded_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS loaded_at
FROM albert_models WHERE name = 'albert-mini';

-- loading what is loaded changes nothing
SELECT loaded_at AS loaded_before FROM albert_models WHERE name = 'albert-mini' \gset
SELECT albert_load('albert-mini');
SELECT loaded_at = :'loaded_before' AS same FROM albert_models WHERE name = 'albert-mini';
SELECT albert_unload('albert-mini');
SELECT albert_unload('albert-mini');
SELECT state, shared_bytes, loaded_at FROM albert_models WHERE name = 'albert-mini';

-- counts
SELECT albert_stats_reset();
SELECT model, calls, rows, tokens, truncated, batches, seconds FROM albert_stats WHERE model = 'albert-mini';
SELECT count(albert_embedding(word)) FROM unnest('{one,two,three,four}'::text[]) AS word;
SELECT model, calls > 0 AS calls, rows, tokens >= 12 AS tokens, truncated, batches > 0 AS batches, seconds > 0 AS seconds
FROM albert_stats WHERE model = 'albert-mini';
SELECT array_length(albert_embedding(repeat('word ', 5000)), 1) > 0 AS truncated;
SELECT rows, truncated FROM albert_stats WHERE model = 'albert-mini';
SELECT albert_stats_reset();
SELECT calls, rows, tokens, truncated, batches, seconds FROM albert_stats WHERE model = 'albert-mini';

-- names are those of directories, and nothing but names
\set VERBOSITY sqlstate
SELECT albert_load('albert-maxi');
SELECT albert_load('x' || repeat('y', 62));
SELECT albert_load('Albert-Mini');
\set VERBOSITY default
SELECT albert_load(repeat('x', 64));
\set VERBOSITY terse
SELECT albert_load('../albert-mini');
SELECT albert_load('/etc/passwd');
SELECT albert_load('albert-mini/');
SELECT albert_load('.hidden');
SELECT albert_load('.');
SELECT albert_load('..');
SELECT albert_load('two words');
SELECT albert_load('al;bert');
SELECT albert_load(U&'\00e4lbert');
SELECT albert_load(E'albert\nmini');
SELECT albert_load('');
SELECT albert_unload('../albert-mini');
SELECT albert_unload('');
SELECT albert_token_count('one', 'albert-maxi');
SELECT albert_token_count('one', '../albert-mini');
\set VERBOSITY default
SELECT albert_load(NULL), albert_unload(NULL);
SELECT albert_unload('albert-maxi');
SET albert.model = 'albert-maxi';
\set VERBOSITY terse
SELECT albert_token_count('one');
\set VERBOSITY default
RESET albert.model;

-- everything the extension has is described
SELECT p.oid::regprocedure AS without_comment
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
     AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
     JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'albert'
WHERE obj_description(p.oid, 'pg_proc') IS NULL;
