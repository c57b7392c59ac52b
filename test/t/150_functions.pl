# The functions in a database of another encoding than UTF-8.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertModels;
use AlbertTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $models = make_models(small => SMALL);
my $node = albert_node('functions', conf => model_conf($models));

$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('latin1', 'CREATE EXTENSION albert');
$node->safe_psql('postgres', q{CREATE TABLE utf8 AS SELECT albert_embedding(U&'caf\00e9 in the city') AS e});
my $embedding = $node->safe_psql('postgres', 'SELECT e FROM utf8');
is($node->safe_psql('latin1', q{SET client_encoding = 'UTF8'; SELECT albert_embedding('café in the city')}), $embedding, 'a LATIN1 database gives the same embedding');
is($node->safe_psql('latin1', q{SELECT albert_tokenize('the city')}), '{_the,_city}', 'pieces in LATIN1 have another word mark');
is($node->safe_psql('latin1', q{SET client_encoding = 'UTF8'; SELECT start, stop FROM albert_tokens('é city') WHERE piece = '_city'}), '2|6', 'offsets count characters there too');

$node->stop;
done_testing();
