-- What ordinary users may do and see.
CREATE ROLE albert_someone;
CREATE ROLE albert_reader IN ROLE pg_read_all_settings;

-- what changes the server is not for everybody
SELECT proname, provolatile, proisstrict, proparallel, proacl IS NOT NULL AS restricted
FROM pg_proc WHERE proname IN ('albert_models', 'albert_stats', 'albert_load', 'albert_unload', 'albert_stats_reset')
ORDER BY proname;

SET ROLE albert_someone;
SELECT albert_load('albert-mini');
SELECT albert_unload('albert-mini');
SELECT albert_stats_reset();

-- settings that are made before the library is loaded are looked at when it is
SET albert.model_path = '/tmp';
SET albert.precision = 'bf16';

-- everybody may compute, see the models and what they have done, not where they are
SELECT array_length(albert_embedding('The capital of France', 'm01_plain'), 1) > 0 AS computed;
SELECT state, path IS NULL AS no_path FROM albert_models WHERE name = 'm01_plain';
SELECT model, rows > 0 AS rows FROM albert_stats WHERE model = 'm01_plain';
SET albert.model = 'm01_plain';
SELECT albert_token_count('one') > 2 AS counted;
RESET albert.model;
SELECT albert_token_count('one', 'albert-maxi');

-- the setting is what the configuration says, which hides nothing
SELECT current_setting('albert.model_path') LIKE '%albert%' AS seen;

SET ROLE albert_reader;
SELECT state, path LIKE '%/m01_plain' AS path FROM albert_models WHERE name = 'm01_plain';
RESET ROLE;

-- a grant is all it takes
GRANT EXECUTE ON FUNCTION albert_unload(text), albert_load(text) TO albert_someone;
SET ROLE albert_someone;
SELECT albert_unload('m01_plain');
SELECT albert_load('m01_plain');
SELECT albert_unload('m01_plain');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION albert_unload(text), albert_load(text) FROM albert_someone;

DROP ROLE albert_someone, albert_reader;
