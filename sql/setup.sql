-- The first of all files: the extension, and where the other files find their
-- models. The directory was made by test/assemble_models.py; the server must
-- be able to read it.
\set models `echo "$ALBERT_TEST_MODELS"`
\set path '$sharedir/albert:' :models
CREATE EXTENSION albert;
ALTER DATABASE :"DBNAME" SET albert.model_path = :'path';
\c -
SELECT name
FROM albert_models WHERE name = 'albert-mini' OR path = :'models' || '/' || name
ORDER BY name COLLATE "C";
