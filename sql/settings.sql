-- Settings: who may change them, values there are not, directories of models,
-- a session's memory.  Reloads, other sessions and settings that are made
-- before the library is loaded are in test/t/14*.pl.
LOAD 'albert';
SELECT name, context, vartype, unit, boot_val FROM pg_settings
WHERE name IN ('albert.kernel', 'albert.model', 'albert.model_path', 'albert.precision', 'albert.shared_memory_limit')
ORDER BY name COLLATE "C";

-- what a model's name stands for is the same in every session
SET albert.precision = 'fp32';
SET albert.kernel = 'generic';
SET albert.shared_memory_limit = '1GB';

-- values there are not
ALTER SYSTEM SET albert.precision = 'fp8';
\set VERBOSITY sqlstate
ALTER SYSTEM SET albert.shared_memory_limit = '-2';
\set VERBOSITY terse
ALTER SYSTEM SET albert.kernel = 'abacus';
\set VERBOSITY default
SET albert.overflow = 'nothing';
SET albert.batch_tokens = 15;
SET albert.batch_tokens = 65537;
SET albert.enable_batching = 'perhaps';
SET albert.model = 'no/slash';
SET albert.model = '../albert-mini';

-- the default model
SET albert.model = '';
SELECT albert_token_count('one');
SET albert.model = 'm01_plain';
SELECT albert_embedding('one') = albert_embedding('one', 'm01_plain') AS same;
RESET albert.model;

-- the directories
SET albert.model_path = 'relative';
SET albert.model_path = '/one:two/three';
SELECT set_config('albert.model_path', '/' || repeat('d', 400), false);
SET albert.model_path = '';
SELECT count(*) FROM albert_models WHERE state = 'available';
SET albert.model_path = '/nonexistent::$sharedir/albert:';
SELECT DISTINCT name FROM albert_models WHERE state NOT IN ('loaded', 'tokenizer') OR name = 'albert-mini';
SELECT albert_token_count('one', 'm01_plain');
RESET albert.model_path;
SELECT albert_token_count('one', 'm01_plain') > 2 AS counted;

-- what a failed call needed is given back when the transaction ends
SET albert.overflow = 'error';
BEGIN;
SAVEPOINT before;
\set VERBOSITY terse
SELECT albert_embeddings(array_agg(CASE WHEN i < 1000000 THEN 'a' ELSE repeat('word ', 2000) END ORDER BY i)) FROM generate_series(1, 1000000) i;
\set VERBOSITY default
ROLLBACK TO before;
SELECT sum(total_bytes) > 70000000 AS much FROM pg_backend_memory_contexts WHERE name = 'albert workspace';
ROLLBACK;
SELECT sum(total_bytes) < 70000000 AS little FROM pg_backend_memory_contexts WHERE name = 'albert workspace';
RESET albert.overflow;
