-- Models as objects of the database: imported, created, used, granted,
-- renamed, replaced, dropped.  Dumps, standbys, crashes and several sessions
-- are in test/t/1*.pl.
\set m01 `echo "$ALBERT_TEST_MODELS"` /m01_plain
\set VERBOSITY terse
CREATE ROLE albert_maker;
CREATE ROLE albert_friend;
CREATE ROLE albert_stranger;
GRANT CREATE ON SCHEMA "!albert" TO albert_maker;

-- from a directory on the server, for those who may read its files
SET ROLE albert_maker;
SELECT albert_import_directory('mine', :'m01');
RESET ROLE;
GRANT pg_read_server_files TO albert_maker;
SET ROLE albert_maker;
SELECT albert_import_directory('mine', 'relative');
SELECT albert_import_directory('mine', :'m01') > 3 AS files;

-- nothing is to be seen of it for others, nor to be used
SELECT name, state, origin, owner, file_bytes > 1000 AS bytes FROM albert_models WHERE name = 'mine';
SELECT albert_token_count('one', 'mine');
CALL albert_create_model('mine');
SELECT name, state, origin, owner, description - 'sha256' AS description, file_bytes > 1000 AS bytes FROM albert_models WHERE name = 'mine';
SELECT sha256 = description ->> 'sha256' AS sha256, "precision" FROM albert_models WHERE name = 'mine';

-- the same bytes as in the directory: the same answers
SELECT albert_embedding('The capital of France', 'mine') = albert_embedding('The capital of France', 'm01_plain') AS same;
SELECT m.sha256 = d.sha256 AS same FROM albert_models m, albert_models d WHERE m.name = 'mine' AND d.name = 'm01_plain';
SELECT count(*) > 0 AS parts, max(octet_length(data)) <= 1048576 AS small FROM "!albert".mine;

-- a finished model is not imported into
SELECT albert_import_file('mine', 'more.txt', 'more');
CALL albert_create_model('mine');

-- who may use it
SET ROLE albert_friend;
SELECT albert_token_count('one', 'mine');
SELECT count(*) FROM albert_models WHERE name = 'mine';
SELECT albert_drop_model('mine');
SELECT albert_import_file('friendly', 'a', 'a');
SET ROLE albert_maker;
SELECT albert_grant('mine', 'albert_friend');
SET ROLE albert_friend;
SELECT albert_token_count('one', 'mine') > 2 AS counted;
SELECT state, owner FROM albert_models WHERE name = 'mine';
SELECT albert_drop_model('mine');
SELECT albert_grant('mine', 'albert_stranger');
SET ROLE albert_stranger;
SELECT albert_token_count('one', 'mine');
SELECT albert_token_count('one', 'none');
SET ROLE albert_maker;
SELECT albert_revoke('mine', 'albert_friend');
SET ROLE albert_friend;
SELECT albert_token_count('one', 'mine');
SET ROLE albert_maker;
SELECT albert_grant('mine', 'public');
SET ROLE albert_stranger;
SELECT albert_token_count('one', 'mine') > 2 AS counted;
SET ROLE albert_maker;
SELECT albert_revoke('mine', 'public');

-- piece by piece, from a client
SELECT albert_import_file('pieces', 'a/b.bin', 'one ');
SELECT albert_import_file('pieces', 'a/b.bin', 'two ', 4);
SELECT albert_import_file('pieces', 'a/b.bin', 'two ', 4);
SELECT albert_import_file('pieces', 'a/b.bin', 'three', 9);
SELECT albert_import_file('pieces', 'a/b.bin', 'three', 9223372036854775807);
SELECT albert_import_file('pieces', 'a/b.bin', convert_to(repeat('x', 2500000), 'UTF8'), 8);
SELECT albert_import_file('pieces', 'empty', '');
SELECT path, "offset", octet_length(data) FROM "!albert".pieces ORDER BY path, "offset";
SELECT albert_import_file('pieces', '../a', 'a');
SELECT albert_import_file('pieces', '/a', 'a');
SELECT albert_import_file('pieces', 'a//b', 'a');
SELECT albert_import_file('pieces', '', 'a');
SELECT albert_import_file('../pieces', 'a', 'a');
-- each looks up the last one; none scans the table
BEGIN;
SELECT seq_scan AS before FROM pg_stat_xact_all_tables WHERE relid = '"!albert".pieces'::regclass \gset
SELECT sum(albert_import_file('pieces', 'many', 'x', i)) AS bytes FROM generate_series(0, 99) i;
SELECT seq_scan - :before AS scans FROM pg_stat_xact_all_tables WHERE relid = '"!albert".pieces'::regclass;
COMMIT;
DO $$BEGIN EXECUTE (SELECT format('ALTER TABLE "!albert".pieces DROP CONSTRAINT %I', conname) FROM pg_constraint WHERE conrelid = '"!albert".pieces'::regclass AND contype = 'p'); END$$;
SELECT albert_import_file('pieces', 'many', 'x', 100);
CALL albert_create_model('pieces');
SELECT name, state FROM albert_models WHERE name = 'pieces';
SELECT albert_drop_model('pieces');
SELECT name, state FROM albert_models WHERE name = 'pieces';

-- options; a directory under another name
CALL albert_create_model('eight', directory => 'm01_plain', "precision" => 'int8');
SELECT name, state, origin, precision, description - 'sha256' AS description FROM albert_models WHERE name = 'eight';
SELECT albert_embedding('The capital of France', 'eight') = albert_embedding('The capital of France', 'm01_plain') AS same;
CALL albert_create_model('nine', directory => 'no such', "precision" => 'int8');
CALL albert_create_model('nine', directory => 'none', "precision" => 'int8');
CALL albert_create_model('nine', directory => 'm01_plain', "precision" => 'int9');
CALL albert_create_model('nine');
CALL albert_create_model(NULL);

-- what an owner wants otherwise than the files say
CALL albert_create_model('short', directory => 'm01_plain', max_length => 5, overflow => 'error', pooling => 'cls', normalized => true, comment => 'a short one');
SELECT description - 'sha256' AS description FROM albert_models WHERE name = 'short';
SELECT obj_description('"!albert".short'::regclass);
SELECT albert_embedding('one', 'short') = albert_embedding('one', 'm01_plain', pooling => 'cls', normalized => true) AS same;
SELECT albert_embedding('one two three four five six seven', 'short') IS NULL;
SELECT albert_embedding('one two three four five six seven', 'short', overflow => 'truncate') IS NOT NULL AS truncated;
SET albert.overflow = 'truncate';
SELECT albert_embedding('one two three four five six seven', 'short') IS NULL;
RESET albert.overflow;
CALL albert_create_model('cased', directory => 'm01_plain', do_lower_case => false);
CALL albert_create_model('wrong', directory => 'm01_plain', pooling => 'none');
CALL albert_create_model('wrong', directory => 'm01_plain', overflow => 'none');
CALL albert_create_model('wrong', directory => 'm01_plain', max_length => 100000);
SELECT albert_drop_model(name) FROM albert_models WHERE name IN ('short', 'cased', 'wrong');

-- renaming: plans that have folded results are made anew
PREPARE count AS SELECT albert_token_count('one', 'mine') > 2;
EXECUTE count;
SELECT albert_rename_model('mine', 'eight');
SELECT albert_rename_model('mine', 'not a name');
SELECT albert_rename_model('mine', 'yours');
EXECUTE count;
SELECT albert_token_count('one', 'yours') > 2 AS counted;
SELECT albert_rename_model('yours', 'mine');
EXECUTE count;

-- replacing
CREATE TEMP TABLE docs (body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'mine')) STORED);
CREATE INDEX docs_index ON docs (albert_token_count(body, 'mine'));
SELECT albert_embedding('one', 'mine') AS before \gset
PREPARE embed AS SELECT albert_embedding('one', 'mine')::text = $1;
EXECUTE embed(:'before');
\set m02 `echo "$ALBERT_TEST_MODELS"` /m02_groups2_inner2_gelu
SELECT albert_import_directory('new', :'m02') > 3 AS files;
SELECT albert_grant('mine', 'albert_friend');
BEGIN;
SELECT albert_replace_model('mine', 'new');
SELECT albert_embedding('one', 'mine')::text = :'before' AS same;
EXECUTE embed(:'before');
ROLLBACK;
SELECT albert_embedding('one', 'mine')::text = :'before' AS same;
EXECUTE embed(:'before');
\set VERBOSITY default
SELECT albert_replace_model('mine', 'new');
\set VERBOSITY terse
EXECUTE embed(:'before');
SELECT name, state, owner FROM albert_models WHERE name IN ('mine', 'new') ORDER BY name;
SET ROLE albert_friend;
SELECT albert_token_count('one', 'mine') > 2 AS counted;
SET ROLE albert_maker;
SELECT albert_replace_model('mine', 'mine');
SELECT albert_replace_model('mine', 'none');
SELECT albert_replace_model('none', 'mine');
DROP TABLE docs;

-- a model of the database comes before a directory of its name, with its plans
CREATE FUNCTION pg_temp.answer() RETURNS real[] IMMUTABLE LANGUAGE sql AS $$SELECT albert_embedding('one', 'm01_plain')$$;
PREPARE answer AS SELECT pg_temp.answer() = albert_embedding('one', 'mine');
EXECUTE answer;
SELECT albert_rename_model('mine', 'm01_plain');
SELECT albert_embedding('one', 'm01_plain')::text = :'before' AS directory;
SELECT albert_rename_model('m01_plain', 'mine');
EXECUTE answer;

-- a directory on the server, by those who may write there
SELECT albert_export_directory('mine', '/nowhere');

-- a table is not trusted
CREATE TABLE "!albert".strange (a int);
SELECT albert_token_count('one', 'strange');
SELECT name, state, error FROM albert_models WHERE name = 'strange';
ALTER TABLE "!albert".strange DROP COLUMN a, ADD path text, ADD "offset" bigint, ADD data bytea;
DROP TABLE "!albert".strange;
UPDATE "!albert".mine SET data = '{"sha256": 1}' WHERE path = '';
SELECT state, error FROM albert_models WHERE name = 'mine';
SELECT albert_drop_model('mine');

-- what the owner of the table has done to it is done by him
SELECT albert_import_file('trap', 'a', 'a');
CREATE FUNCTION pg_temp.spring() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'as %', current_user; RETURN new; END$$;
CREATE TRIGGER spring BEFORE INSERT ON "!albert".trap FOR EACH ROW EXECUTE FUNCTION pg_temp.spring();
RESET ROLE;
SELECT albert_export_directory('missing', '/nowhere');
SELECT albert_export_directory('eight', '/nowhere');
SELECT albert_import_file('trap', 'a', 'b');
SELECT albert_drop_model('trap');
SELECT albert_drop_model('eight');
DROP OWNED BY albert_maker;
REVOKE pg_read_server_files FROM albert_maker;
DROP ROLE albert_maker, albert_friend, albert_stranger;
