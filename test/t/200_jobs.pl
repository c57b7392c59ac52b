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

my $models = make_models(small => SMALL, slow => 'hidden_size=256,num_hidden_layers=6,intermediate_size=1024,num_attention_heads=4');
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

# ---- a condition that reads another table ----

make_docs($node, 200);
my $fresh = AlbertSession->new($node, 'postgres');
($out, $err) = $fresh->query(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'small', batch_tokens => 256,
	condition => 'docs.id IN (SELECT other.id FROM docs AS other WHERE other.body IS NOT NULL)')});
like($err, qr/NOTICE:  200 rows done, 0 left out/, 'rows that a condition finds in another table are done');
($out) = $fresh->query(q{SELECT pg_read_file('/proc/self/maps') LIKE '%llvmjit%'});
is($out, 'f', 'without compiling the statement for each batch');
$fresh->quit;

# ---- rows that others hold, and a table that grows ----

make_docs($node, 300);
my $holder = AlbertSession->new($node, 'postgres');
$holder->query('BEGIN; SELECT count(*) FROM (SELECT 1 FROM docs WHERE id % 3 = 0 FOR UPDATE) x');
$psql->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'small')});
$node->poll_query_until('postgres', 'SELECT count(embedding) = 200 FROM docs') or die 'rows that nobody holds are not done';
is($node->safe_psql('postgres', 'SELECT relation, task, model, rows_total, rows_done, rows_failed FROM albert_progress'),
	'docs|embedding|small|300|200|0', 'another session sees how far it is');
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN; CREATE ROLE monitor LOGIN; GRANT pg_read_all_stats TO monitor');
my $seen = 'SELECT pid, database, relation, task, model, rows_total, started_at IS NULL FROM albert_progress';
is(AlbertSession->new($node, 'postgres', user => 'stranger')->query($seen), $psql->pid . '|postgres|||||t', 'a stranger sees that there is one');
is(AlbertSession->new($node, 'postgres', user => 'monitor')->query($seen), $psql->pid . '|postgres|docs|embedding|small|300|f', 'who may read all statistics sees it');
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

# ---- cancelled, then continued ----

make_docs($node, 2000);
$psql->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow', batch_tokens => 512)});
$node->poll_query_until('postgres', 'SELECT count(embedding) > 100 FROM docs') or die 'no row is done';
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $psql->pid . ')');
(undef, $err) = $psql->wait;
like($err, qr/canceling statement due to user request/, 'a job can be cancelled');
my $before = $node->safe_psql('postgres', 'SELECT count(embedding) FROM docs');
ok($before > 100 && $before < 2000, "what was committed stays: $before rows");
is($node->safe_psql('postgres', 'SELECT count(*) FROM albert_progress'), 0, 'and no progress is shown any more');
my $ended = AlbertSession->new($node, 'postgres');
$ended->send(q{CALL albert_embed_table('docs', 'body', 'embedding', model => 'slow', batch_tokens => 512)});
$node->poll_query_until('postgres', 'SELECT rows_done > 0 FROM albert_progress') or die 'no row is done';
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $ended->pid . ', 10000)');
is($node->safe_psql('postgres', 'SELECT count(*) FROM albert_progress'), 0, 'nor of a session that was ended');
$before = $node->safe_psql('postgres', 'SELECT count(embedding) FROM docs');
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

$node->stop;
done_testing();
