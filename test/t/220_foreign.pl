# 220_foreign.pl
#	  Two databases through postgres_fdw: what is computed where, with whose
#	  settings, and what a job does with foreign partitions.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertModels;
use AlbertTest;
use Test::More;

my $models = make_models(small => SMALL, other => SMALL . ',seed=5');
my $node = albert_node('foreign', conf => model_conf($models));

plan skip_all => 'postgres_fdw is not installed'
  unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'});

# there: a table, another default model, and another way with long texts
$node->safe_psql('postgres', 'CREATE DATABASE far');
$node->safe_psql('far', q{
	CREATE EXTENSION albert;
	CREATE TABLE docs (id int PRIMARY KEY, body text, embedding real[]);
	INSERT INTO docs SELECT i, 'text number ' || i FROM generate_series(1, 200) i});
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET albert.model = 'small'});
$node->safe_psql('postgres', q{ALTER DATABASE far SET albert.model = 'other'});

# here: the table as a foreign one
my ($host, $port) = ($node->host, $node->port);
$node->safe_psql('postgres', qq{
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'far', extensions 'albert');
	CREATE USER MAPPING FOR CURRENT_USER SERVER far;
	CREATE FOREIGN TABLE docs (id int, body text, embedding real[]) SERVER far});

sub value
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'postgres', $sql);
}

# The plan's lines that tell what is asked of the other server, and what is batched here.
sub where
{
	my $plan = value("EXPLAIN (VERBOSE, COSTS off) $_[0]");

	return join "\n", $plan =~ /^\s*((?:Remote SQL|Calls): .*)$/mg;
}

# ---- what names its model is computed there ----

like(where(q{SELECT id FROM docs WHERE albert_token_count(body, 'small') > 5}),
	qr/^Remote SQL: SELECT id FROM public\.docs WHERE \(\(public\.albert_token_count\(body, 'small'[^\n]*$/, 'a condition goes there');
like(where(q{SELECT avg(albert_token_count(body, 'small')) FROM docs}), qr/^Remote SQL: SELECT avg\(public\.albert_token_count\([^\n]*$/, 'an aggregate');
like(where(q{SELECT id FROM docs ORDER BY albert_similarity(embedding, albert_embedding('text', 'small')) DESC LIMIT 3}),
	qr/^Remote SQL: [^\n]* ORDER BY public\.albert_similarity\(embedding, '\{[^\n]* LIMIT [^\n]*$/, 'an order');
my $update = q{UPDATE docs SET embedding = albert_embedding(body, 'small') WHERE embedding IS NULL};
like(where($update), qr/^Remote SQL: UPDATE public\.docs SET embedding = public\.albert_embedding\(body, 'small'[^\n]*$/, 'an update');

value('SELECT albert_stats_reset()');
value($update);
is(value(q{SELECT count(*) FROM docs WHERE embedding = albert_embedding(body, 'small')}, 'far'), 200, '... which fills the rows there');
is(value('SELECT count(*) FROM docs WHERE embedding IS NULL'), 0, '... as is seen from here');
is(value(q{SELECT id FROM docs ORDER BY albert_similarity(embedding, albert_embedding('text number 17', 'small')) DESC LIMIT 1}), 17, 'the nearest is found');

# ---- what does not is computed here, by the settings here ----

like(where('SELECT id FROM docs WHERE albert_token_count(body) > 5'), qr/^Calls: albert_token_count\([^\n]*\nRemote SQL: SELECT id, body FROM public\.docs$/, 'a default model is that of this session');
like(where(q{SELECT id, albert_embedding(body, 'small') FROM docs}), qr/^Calls: albert_embedding\([^\n]*\nRemote SQL: SELECT id, body FROM public\.docs$/, 'a column of a SELECT is computed here, in batches');
is(value(q{SELECT count(*) FROM docs WHERE albert_embedding(body) = embedding}), 200, '... by the model here');
is(value(q{SELECT count(*) FROM docs WHERE albert_embedding(body) = embedding}, 'far'), 0, '... not by that there');

# ---- jobs ----

my ($stdout, $stderr);
$node->psql('postgres', q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'small')}, stderr => \$stderr);
like($stderr, qr/ERROR:  "docs" is not a table\nHINT:  Call albert_embed_table on the server that has the rows\./, 'a job does not fill a foreign table');
value('UPDATE docs SET embedding = NULL', 'far');
value(q{
	CREATE TABLE parts (id int, body text, embedding real[]) PARTITION BY RANGE (id);
	CREATE TABLE parts_here PARTITION OF parts FOR VALUES FROM (1000) TO (2000);
	ALTER TABLE parts ATTACH PARTITION docs FOR VALUES FROM (0) TO (1000);
	INSERT INTO parts SELECT i, 'text ' || i FROM generate_series(1001, 1020) i});
$node->psql('postgres', q{CALL albert_embed_table('parts', 'body', 'embedding', model => 'small')}, stderr => \$stderr);
like($stderr, qr/WARNING:  foreign table "docs" left out\nHINT: /, 'a foreign partition is named');
like($stderr, qr/NOTICE:  20 rows done, 0 left out/, '... and the others are filled');
is(value('SELECT count(embedding) FROM parts'), 20, '... and nothing else');
value(q{UPDATE parts SET embedding = albert_embedding(body, 'small') WHERE embedding IS NULL});
is(value(q{SELECT count(*) FROM parts WHERE embedding = albert_embedding(body, 'small')}), 220, 'an update fills the rest');

$node->stop;
done_testing();
