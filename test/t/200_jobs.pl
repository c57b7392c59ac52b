# CALL albert_embed_table: whole, interrupted, killed, shared, and in the way of others.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertJobs;
use AlbertModels;
use AlbertSession;
use AlbertTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $models = make_models(small => SMALL, labels => SMALL . ',head=classifier', slow => 'hidden_size=256,num_hidden_layers=6,intermediate_size=1024,num_attention_heads=4');
my $node = albert_node('jobs', conf => model_conf($models) . "restart_after_crash = on\n");
my $psql = AlbertSession->new($node, 'postgres');

# ---- whole ----

make_docs($node, 1000);
my ($out, $err) = $psql->query(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'small')});
like($err, qr/NOTICE:  1000 rows done, 0 left out/, 'all rows are done');
is(wrong_rows($node, 'small'), 0, 'with the values of albert_embedding');
is(updates($node), '1000|1000', 'each once');
($out, $err) = $psql->query(q{CALL albert_embed_table('docs', source => 'body', target => 'embedding', model => 'small')});
like($err, qr/NOTICE:  0 rows done/, 'called again there is nothing to do');

# ---- what it refuses ----

for my $case (
	[ q{BEGIN; CALL albert_embed_table('docs', 'body', 'embedding'); ROLLBACK}, qr/cannot run inside a transaction block/ ],
	[ q{CALL albert_embed_table('docs', 'nothing', 'embedding')}, qr/column "nothing" of relation "docs" does not exist/ ],
	[ q{CALL albert_embed_table('docs', 'body', 'embedding', task => 'nothing')}, qr/there is no task "nothing"/ ],
	[ q{CALL albert_embed_table('docs', 'body', 'embedding', task => 'answer')}, qr/there is no task "answer"/ ],
	[ q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'nothing')}, qr/model "nothing" does not exist/ ],
	[ q{CALL albert_embed_table('docs', 'body', 'embedding', batch_tokens => 0)}, qr/batch_tokens must be between/ ],
	[ q{CALL albert_embed_table(NULL, 'body', 'embedding')}, qr/relation must not be null/ ],
	[ q{CALL albert_embed_table(999999, 'body', 'embedding')}, qr/relation with OID 999999 does not exist/ ],
	[ q{CALL albert_embed_table('pg_stats', 'body', 'embedding')}, qr/"pg_stats" is not a table/ ])
{
	my ($sql, $message) = @$case;
	$node->safe_psql('postgres', 'UPDATE docs SET embedding = NULL WHERE id = 1');
	$node->psql('postgres', $sql, stderr => \my $text);
	like($text, $message, "refused: $sql");
}

# ---- other tasks and targets; rows that a task refuses ----

make_docs($node, 100, 'n int, best text');
$node->safe_psql('postgres', q{UPDATE docs SET body = body || ' [MASK]' WHERE id % 10 <> 0});
($out, $err) = $psql->query(q{CALL albert_embed_table('docs', 'body', 'n', model => 'small', task => 'token_count')});
is($node->safe_psql('postgres', q{SELECT count(*) FROM docs WHERE n = albert_token_count(body, 'small')}), 100, 'token counts');
($out, $err) = $psql->query(q{CALL albert_embed_table('docs', 'body', 'best', model => 'small', task => 'fill_mask')});
is(scalar(() = $err =~ /WARNING:  row \(\d+,\d+\) of table "docs" left out: text has no mask/g), 10, 'rows without a mask are reported');
like($err, qr/90 rows done, 10 left out/, 'and stepped over');
is($node->safe_psql('postgres', q{SELECT count(best), count(*) FILTER (WHERE best = albert_fill_mask(body, 'small')) FROM docs WHERE id % 10 <> 0}),
	'90|90', 'the others are done');

# ---- whose fault: a row's is stepped over, the call's ends it ----

make_docs($node, 60, 'embedding real[], best text');
$node->safe_psql('postgres', q{UPDATE docs SET body = repeat('long ', 2000) WHERE id IN (7, 50); UPDATE docs SET body = body || ' [MASK]' WHERE id > 1});
($out, $err) = $psql->query(q{SET albert.overflow = 'error'; CALL albert_embed_table('docs', 'body', 'embedding', model => 'small')});
is(scalar(() = $err =~ /WARNING:  row \(\d+,\d+\) of table "docs" left out: /g), 2, 'texts that are too long are reported');
like($err, qr/NOTICE:  58 rows done, 2 left out/, '... and stepped over');
is($node->safe_psql('postgres', 'SELECT string_agg(id::text, \',\' ORDER BY id) FROM docs WHERE embedding IS NULL'), '7,50', '... just those');
($out, $err) = $psql->query(q{RESET albert.overflow; CALL albert_embed_table('docs', 'body', 'best', model => 'labels', task => 'fill_mask')});
like($err, qr/^ERROR:  model "labels" has no head for fill-mask$/m, 'a model that cannot do it is an error');
unlike($err, qr/WARNING/, '... of the call, not of each row');

# ---- rows that others hold, and a table that grows ----

make_docs($node, 300);
my $holder = AlbertSession->new($node, 'postgres');
$holder->query('BEGIN; SELECT count(*) FROM (SELECT 1 FROM docs WHERE id % 3 = 0 FOR UPDATE) x');
$psql->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'small')});
$node->poll_query_until('postgres', 'SELECT count(embedding) = 200 FROM docs') or die 'rows that nobody holds are not done';
is($node->safe_psql('postgres', 'SELECT relation, task, model, rows_total, rows_done, rows_failed FROM albert_progress'),
	'docs|embedding|small|300|200|0', 'another session sees how far it is');
$node->safe_psql('postgres', q{INSERT INTO docs SELECT i, 'a late text ' || i FROM generate_series(301, 350) i});
$node->poll_query_until('postgres', 'SELECT count(embedding) = 250 FROM docs') or die 'late rows are not done';
$holder->query('COMMIT');
(undef, $err) = $psql->wait;
like($err, qr/350 rows done/, 'held and late rows are done in the end');
is(wrong_rows($node, 'small'), 0, 'rightly');
is(updates($node), '350|350', 'each once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM albert_progress'), 0, 'and no progress is shown any more');

# ---- two at once ----

make_docs($node, 2000);
my $other = AlbertSession->new($node, 'postgres');
$_->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow', batch_tokens => 512)}) for $psql, $other;
my ($done_a) = ($psql->wait)[1] =~ /(\d+) rows done/;
my ($done_b) = ($other->wait)[1] =~ /(\d+) rows done/;
is($done_a + $done_b, 2000, "two sessions share the work ($done_a and $done_b rows)");
ok($done_a > 0 && $done_b > 0, 'both have done some');
is(updates($node), '2000|2000', 'no row is done twice');
is(wrong_rows($node, 'slow'), 0, 'and all are right');

# ---- partitions ----

$node->safe_psql('postgres', q{
	CREATE TABLE parts (id int, body text, embedding real[]) PARTITION BY RANGE (id);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
	CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (1000);
	INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(1, 120) i;
	UPDATE parts SET body = NULL WHERE id = 7});
$psql->query(q{CALL albert_embed_table('parts', 'body', 'embedding', model => 'small')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM parts WHERE embedding IS NULL'), 1, 'partitions are filled, a NULL text is left');

# ---- cancelled, then continued ----

make_docs($node, 2000);
$psql->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow', batch_tokens => 512)});
$node->poll_query_until('postgres', 'SELECT count(embedding) > 100 FROM docs') or die 'no row is done';
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $psql->pid . ')');
(undef, $err) = $psql->wait;
like($err, qr/canceling statement due to user request/, 'a job can be cancelled');
my $before = $node->safe_psql('postgres', 'SELECT count(embedding) FROM docs');
ok($before > 100 && $before < 2000, "what was committed stays: $before rows");
(undef, $err) = $psql->query(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow')});
like($err, qr/@{[ 2000 - $before ]} rows done/, 'the next call does the rest');
is(updates($node), '2000|2000', 'each row once');

# ---- killed again and again ----

make_docs($node, 3000);
my $kills = 0;
srand(11);
for (1 .. 5)
{
	my $session = AlbertSession->new($node, 'postgres');
	$session->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow', batch_tokens => 512)});
	sleep(0.1 + rand(0.3));
	last if $node->safe_psql('postgres', 'SELECT count(*) FROM docs WHERE embedding IS NULL') == 0;
	kill_backend($node, $session->pid);
	$kills++;
}
$psql = AlbertSession->new($node, 'postgres');
(undef, $err) = $psql->query(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow')});
like($err, qr/rows done, 0 left out/, "after $kills kills the last call ends");
is(wrong_rows($node, 'slow'), 0, 'every row is right');
is(updates($node), '3000|3000', 'and was written once');

# ---- the trigger ----

$node->safe_psql('postgres', q{
	CREATE TABLE notes (id int, body varchar, embedding real[]);
	CREATE TRIGGER fresh BEFORE INSERT OR UPDATE ON notes FOR EACH ROW
		EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body', 'small');
	INSERT INTO notes VALUES (1, 'one text'), (2, NULL), (3, 'another')});
is($node->safe_psql('postgres', q{SELECT string_agg((embedding IS NOT DISTINCT FROM albert_embedding(body, 'small'))::text, ',') FROM notes}),
	'true,true,true', 'the trigger embeds new rows');
$node->safe_psql('postgres', q{
	UPDATE notes SET body = 'changed' WHERE id = 1;
	UPDATE notes SET body = NULL WHERE id = 3});
is($node->safe_psql('postgres', q{SELECT string_agg((embedding IS NOT DISTINCT FROM albert_embedding(body, 'small'))::text, ',' ORDER BY id) FROM notes}),
	'true,true,true', 'and changed ones');
$node->safe_psql('postgres', q{SELECT albert_stats_reset()});
$node->safe_psql('postgres', q{UPDATE notes SET id = id + 10});
is($node->safe_psql('postgres', q{SELECT coalesce(sum(rows), 0) FROM albert_stats}), 0, 'but computes nothing when the text is the same');
for my $case (
	[ q{CREATE TRIGGER bad BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('embedding')}, qr/takes two or three arguments, not 1/ ],
	[ q{CREATE TRIGGER bad BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('nothing', 'body')}, qr/column "nothing" of relation "notes" does not exist/ ],
	[ q{CREATE TRIGGER bad BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('id', 'body')}, qr/an embedding cannot be stored in a column of type integer/ ],
	[ q{CREATE TRIGGER bad AFTER UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body')}, qr/must be fired for each row before/ ])
{
	my ($sql, $message) = @$case;
	$node->psql('postgres', qq{BEGIN; $sql; UPDATE notes SET body = body || 'x' WHERE id = 11; ROLLBACK}, stderr => \my $text);
	like($text, $message, "refused: $sql");
}

# Columns of other types get what an assignment would give them, with the checks of domains.
$node->safe_psql('postgres', q{
	CREATE DOMAIN short AS real[] CHECK (cardinality(value) < 10);
	CREATE DOMAIN long AS real[] CHECK (cardinality(value) > 10);
	CREATE DOMAIN there AS real[] NOT NULL});

# One row into a table with an embedding of that type; what psql complains of.
sub insert_typed
{
	my ($type, $body, $embedding) = @_;

	$node->psql('postgres', qq{
		DROP TABLE IF EXISTS typed;
		CREATE TABLE typed (body text, embedding $type);
		CREATE TRIGGER fresh BEFORE INSERT OR UPDATE ON typed FOR EACH ROW EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body', 'small');
		INSERT INTO typed VALUES ($body, $embedding)}, stderr => \my $text);
	return $text =~ s/^.*NOTICE:.*\n?//mr;
}

for my $case ([ 'long', 'NULL' ], [ 'there', q('{}') ], [ 'float8[]', q('{}') ], [ 'numeric[]', q('{}') ], [ 'text', q('') ])
{
	my ($type, $embedding) = @$case;

	is(insert_typed($type, q('one text'), $embedding), '', "a column of type $type takes embeddings");
	is($node->safe_psql('postgres', "SELECT embedding::text = (albert_embedding('one text', 'small'))::$type\::text FROM typed"), 't', 'with the values of a cast');
}
like(insert_typed('short', q('one text'), 'NULL'), qr/value for domain short violates check constraint/, 'a domain is checked');
like(insert_typed('there', 'NULL', q('{}')), qr/domain there does not allow null values/, 'also for NULL');
like(insert_typed('point', q('one text'), 'NULL'), qr/an embedding cannot be stored in a column of type point/, 'no cast, no embedding');
$node->safe_psql('postgres', q{
	CREATE FUNCTION begin_of(real[], int, bool) RETURNS point LANGUAGE sql IMMUTABLE AS 'SELECT point($1[1], $1[2])';
	CREATE CAST (real[] AS point) WITH FUNCTION begin_of(real[], int, bool) AS ASSIGNMENT});
is(insert_typed('point', q('one text'), 'NULL'), '', 'a cast of the type is used');
is($node->safe_psql('postgres', q{SELECT embedding[0] = (albert_embedding('one text', 'small'))[1] FROM typed}), 't', 'for its value');

# ---- pgvector ----

SKIP:
{
	skip 'pgvector is not installed', 7
	  unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'});
	$node->safe_psql('postgres', q{
		CREATE EXTENSION vector;
		CREATE TABLE vectors (id int, body text, embedding vector(32));
		INSERT INTO vectors SELECT i, 'vector ' || i FROM generate_series(1, 100) i});
	$psql->query(q{CALL albert_embed_table('vectors', 'body', 'embedding', model => 'small')});
	is($node->safe_psql('postgres', q{SELECT count(*) FROM vectors WHERE embedding = albert_embedding(body, 'small')::vector}), 100, 'a column of type vector');
	$node->safe_psql('postgres', q{
		CREATE INDEX ON vectors USING hnsw (embedding vector_cosine_ops);
		CREATE TRIGGER fresh BEFORE INSERT OR UPDATE ON vectors FOR EACH ROW
			EXECUTE FUNCTION albert_embedding_trigger('embedding', 'body', 'small');
		INSERT INTO vectors VALUES (101, 'vector 101')});
	is($node->safe_psql('postgres', q{SELECT embedding = albert_embedding(body, 'small')::vector FROM vectors WHERE id = 101}), 't', 'the trigger casts to vector');
	($out, $err) = $psql->query(q{ALTER TABLE vectors ADD half halfvec(32), ADD short vector(31);
		CALL albert_embed_table('vectors', 'body', 'half', model => 'small')});
	is($node->safe_psql('postgres', q{SELECT count(*) FROM vectors WHERE half = albert_embedding(body, 'small')::halfvec}), 101, 'a column of type halfvec');
	($out, $err) = $psql->query(q{CALL albert_embed_table('vectors', 'body', 'short', model => 'small')});
	like($err, qr/^ERROR:  expected 31 dimensions, not 32$/m, 'a column of other dimensions is refused');
	unlike($err, qr/WARNING/, '... and no row is blamed');
	is($node->safe_psql('postgres', q{SET enable_seqscan = off; SELECT albert_embedding('x', 'small') IS NOT NULL; EXPLAIN (COSTS OFF) SELECT id FROM vectors ORDER BY embedding <=> albert_embedding('vector 17')::vector LIMIT 1})
		=~ /Index Scan using vectors_embedding_idx/ ? 1 : 0, 1, 'the index is used');
	is($node->safe_psql('postgres', q{SET enable_seqscan = off; SELECT id FROM vectors ORDER BY embedding <=> albert_embedding('vector 17', 'small')::vector LIMIT 1}),
		17, 'and an index finds the nearest');
}

$node->stop;
done_testing();
