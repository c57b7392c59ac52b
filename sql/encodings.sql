-- Databases in other encodings than UTF8.
\set path `echo "$ALBERT_TEST_MODELS"`
\set database :DBNAME
SELECT albert_embedding('café in the city', 'small') AS embedding \gset
CREATE DATABASE albert_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c albert_latin1
SET client_min_messages = warning;
CREATE EXTENSION albert;
RESET client_min_messages;
SET albert.model_path = :'path';
SET client_encoding = 'UTF8';
SELECT albert_embedding('café in the city', 'small') = :'embedding'::real[] AS the_same_embedding;
-- what the encoding lacks is shown in its stead, the word mark as _
SELECT albert_tokenize('the city', 'small');
SELECT start, stop FROM albert_tokens('é city', 'small') WHERE piece = '_city';
SELECT albert_tokenize('Ærø', 'r01_real30k') AS pieces, albert_decode(albert_encode('Ærø', 'r01_real30k'), 'r01_real30k', skip_special_tokens => true) AS decoded;
\c :database
DROP DATABASE albert_latin1;
