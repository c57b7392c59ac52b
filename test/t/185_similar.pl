# albert_similar_pairs with parallel workers: they work, are had or not, and go with a statement that is cancelled.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use AlbertSession;
use AlbertTest;

my $node = albert_node('similar', conf => "log_min_messages = debug1\nmax_worker_processes = 4\nparallel_setup_cost = 0\nmax_parallel_workers_per_gather = 2\n");
my $pairs = q{SELECT count(*), count(DISTINCT (a, b)), md5(string_agg(a || ' ' || b || ' ' || similarity, ',' ORDER BY a, b)) FROM albert_similar_pairs('points', 'v', 0.99, 'id')};
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'};

$node->safe_psql('postgres', q{
	CREATE TABLE points AS SELECT i AS id, ARRAY[cos(i), sin(i), cos(i * 7), sin(i * 3), i % 5]::real[] AS v FROM generate_series(1, 3500) i;
	CREATE TABLE wide AS SELECT i AS id, (SELECT array_agg(sin(i * j)::real) FROM generate_series(1, 512) j) AS v FROM generate_series(1, 20000) i});

# How many workers a statement starts.
sub started
{
	my ($sql) = @_;
	my $offset = -s $node->logfile;
	my $answer = $node->safe_psql('postgres', $sql);
	my $n = () = slurp_file($node->logfile, $offset) =~ /starting background worker process "parallel worker/g;

	return ($answer, $n);
}

my ($alone, $none) = started("SET max_parallel_workers_per_gather = 0; $pairs");
my ($helped, $some) = started($pairs);
is($none, 0, 'alone');
is($some, 2, 'two workers');
is($helped, $alone, 'find the same');
is((started("SET parallel_setup_cost = 1000; SELECT count(*) FROM albert_similar_pairs('points', 'v', 0.99, 'id')"))[1], 0, 'none for little work');
is((started("SET max_parallel_workers = 1; $pairs"))[0], $alone, 'fewer than were asked for');
is((started("SET max_parallel_workers = 0; $pairs"))[0], $alone, 'none to be had');
is((started("BEGIN; CREATE TABLE more AS SELECT * FROM points; SELECT count(*) = (SELECT count(*) FROM albert_similar_pairs('points', 'v', 0.99, 'id')) FROM albert_similar_pairs('more', 'v', 0.99, 'id'); COMMIT"))[0],
	't', 'in a transaction that has written');

my $session = AlbertSession->new($node, 'postgres');
$session->send(q{SELECT count(*) FROM albert_similar_pairs('wide', 'v', -1, 'id')});
$node->poll_query_until('postgres', "SELECT ($workers) = 2") or die 'no workers';
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
like(($session->wait)[1], qr/canceling statement due to user request/, 'cancelled');
ok($node->poll_query_until('postgres', "SELECT ($workers) = 0"), 'the workers have gone');
is(($session->query($pairs))[0], $alone, 'and the session goes on');

$session->send(q{SELECT count(*) FROM albert_similar_pairs('wide', 'v', -1, 'id')});
$node->poll_query_until('postgres', "SELECT ($workers) = 2") or die 'no workers';
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1});
like(($session->wait)[1], qr/terminating .* due to administrator command|lost connection to parallel worker/, 'a worker that is told to end ends the statement');
is(($session->query($pairs))[0], $alone, 'and nothing more');

$node->stop;
done_testing();
