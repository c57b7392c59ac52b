# Loads that are cancelled, fail or die; models unloaded while others compute
# with them; processes killed.
#
# Segments are kept in files of the data directory here, so that they can be
# counted.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL, large => LARGE, broken => SMALL, short => SMALL);
my $node = albert_node('recovery',
	conf => model_conf($models) . "dynamic_shared_memory_type = mmap\nrestart_after_crash = on\n");
my $super = AlbertSession->new($node, 'postgres');

# Segments of this cluster that hold the large model's weights, and those that
# may be other parts of our models; the server's own statistics are in between.
sub large_segments
{
	my @files = glob $node->data_dir . '/pg_dynshmem/mmap.*';

	return scalar grep { -s $_ > 100_000_000 } @files;
}

sub small_segments
{
	my @files = glob $node->data_dir . '/pg_dynshmem/mmap.*';

	return scalar grep { -s $_ < 1_000_000 } @files;
}

sub waits
{
	my ($session) = @_;

	return $node->poll_query_until('postgres',
		"SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = " . $session->pid);
}

# After a crash: every session is new.
sub recovered
{
	$super = AlbertSession->new($node, 'postgres');
	return;
}

my $answer = $super->query('SELECT ' . embedding('large'));
like($answer, qr/^-?\d+\.\d+ /, 'an embedding');
$super->query(q(SELECT albert_unload('large')));
$super->query('SELECT 1');
is(large_segments(), 0, 'an unloaded model is gone from memory');
my $baseline = small_segments();

# ---- one loads, others wait ----

my $loader = AlbertSession->new($node, 'postgres');
my $waiter = AlbertSession->new($node, 'postgres');
my $other = AlbertSession->new($node, 'postgres');
my ($out, $err, $start);

stop_in_load($node, $loader, $super, 'large');

# a wait ends with statement_timeout, and with a cancel
$start = time;
(undef, $err) = $waiter->query(q(SET statement_timeout = '200ms'; SELECT ) . embedding('large'));
like($err, qr/canceling statement due to statement timeout/, 'a wait for a load obeys statement_timeout');
cmp_ok(time - $start, '<', 60, 'at once');
$waiter->query('RESET statement_timeout');
$waiter->send('SELECT ' . embedding('large'));
ok(waits($waiter), 'another wait');
$super->query('SELECT pg_cancel_backend(' . $waiter->pid . ')');
(undef, $err) = $waiter->wait;
like($err, qr/canceling statement due to user request/, 'is cancelled');
is(model_state($super, 'large'), 'loading', 'and the load does not mind');
is($waiter->query('SELECT ' . embedding('small')) =~ /^-?\d/ ? 'yes' : 'no', 'yes', 'other models can be used meanwhile');

# the load goes on, and who waits gets it
$waiter->send('SELECT ' . embedding('large'));
ok(waits($waiter), 'a session waits again');
go_on($super);
(undef, $err) = $loader->wait;
is($err, '', 'the load succeeds');
is($waiter->wait, $answer, 'and who waited uses it');

# the loader is cancelled: one of those who wait does it
stop_in_load($node, $loader, $super, 'large');
$_->send('SELECT ' . embedding('large')) for $waiter, $other;
ok(waits($_), 'two sessions wait') for $waiter, $other;
my $before = loads_logged($node, 'large');
$super->query('SELECT pg_cancel_backend(' . $loader->pid . ')');
(undef, $err) = $loader->wait;
go_on($super);
like($err, qr/canceling statement due to user request/, 'a load is cancelled');
is($waiter->wait, $answer, 'one of those who waited has loaded the model');
is($other->wait, $answer, 'the other has not');
is(loads_logged($node, 'large'), $before + 1, 'it was loaded once');
is(large_segments(), 1, 'and is in memory once');

# the loader is terminated
stop_in_load($node, $loader, $super, 'large');
$waiter->send('SELECT ' . embedding('large'));
ok(waits($waiter), 'a session waits');
$super->query('SELECT pg_terminate_backend(' . $loader->pid . ')');
(undef, $err) = $loader->wait;
go_on($super);
like($err, qr/terminating connection/, 'a loading session is terminated');
is($waiter->wait, $answer, 'who waited has loaded the model');
$super->query('SELECT 1');
$other->query('SELECT 1');
is(large_segments(), 1, 'and it is in memory once');

# the loader is cancelled and nobody waits
$loader = AlbertSession->new($node, 'postgres');
stop_in_load($node, $loader, $super, 'large');
$_->query('SELECT 1') for $waiter, $other;
$super->query('SELECT pg_cancel_backend(' . $loader->pid . ')');
$loader->wait;
go_on($super);
is(model_state($super, 'large'), 'available', 'a cancelled load leaves the model as it was');
is(large_segments(), 0, 'and nothing in memory');

# unloading waits for a load
stop_in_load($node, $loader, $super, 'large');
$other->send(q(SELECT albert_unload('large')));
ok(waits($other), 'unloading waits for a load');
go_on($super);
(undef, $err) = $loader->wait;
is($err, '', 'the load ends');
is($other->wait, 't', 'and is undone');
is(model_state($super, 'large'), 'available', 'the model is not loaded');

# kill -9 in the middle of a load, with somebody waiting
stop_in_load($node, $loader, $super, 'large');
$waiter->send('SELECT ' . embedding('large'));
ok(waits($waiter), 'a session waits');
kill_backend($node, $loader->pid);
$waiter->wait;
recovered();
is(model_state($super, 'large'), 'available', 'kill -9 in a load: after the restart nothing is loaded');
is(large_segments(), 0, 'and nothing is left in memory');
is($super->query('SELECT ' . embedding('large')), $answer, 'the next call loads it');

# ---- kill -9 of a process that computes ----

my $victim = AlbertSession->new($node, 'postgres');
$super->query(q(SELECT albert_load('large')));
$victim->send(q(SELECT count(albert_embedding('the war of ' || i, 'large')) FROM generate_series(1, 100000) i));
$node->poll_query_until('postgres', "SELECT query LIKE '%war%' FROM pg_stat_activity WHERE pid = " . $victim->pid);
sleep 0.2;
kill_backend($node, $victim->pid);
$victim->wait;
recovered();
is(model_state($super, 'large'), 'available', 'kill -9 of a computing process: after the restart nothing is loaded');
is(large_segments(), 0, 'and nothing is left in memory');
is($super->query('SELECT ' . embedding('large')), $answer, 'the next call loads it');

# ---- a load that takes longer than statement_timeout ----

$super->query(q(SELECT albert_unload('large')));
my $holder = AlbertSession->new($node, 'postgres');
$holder->query('SELECT pg_advisory_lock(1)');
(undef, $err) = $super->query(q(SET statement_timeout = '50ms'; SELECT albert_load('large')));
$holder->quit;
like($err, qr/canceling statement due to statement timeout/, 'a load obeys statement_timeout');
$super->query('RESET statement_timeout');
is(large_segments(), 0, 'and leaves nothing in memory');
is(model_state($super, 'large'), 'available', 'nor in the registry');

# ---- files that are wrong ----

my $good = slurp_file("$models/broken/config.json");
PostgreSQL::Test::Utils::append_to_file("$models/broken/config.json", 'x');
truncate "$models/short/model.safetensors", 30000 or die;
is($super->query(q(SELECT name, state, error IS NOT NULL, layers IS NULL FROM albert_models WHERE name IN ('broken', 'short') ORDER BY 1)),
	"broken|broken|t|t\nshort|broken|t|t", 'broken models are listed as such');
for my $model (qw(broken short))
{
	(undef, $err) = $super->query("\\set VERBOSITY verbose\nSELECT albert_load('$model')");
	like($err, qr/ERROR:  XX001: .*(config\.json|model\.safetensors)/, "$model: the error names the file");
	like($err, qr{CONTEXT:  loading model "$model" from directory "\Q$models\E/$model"}, "$model: and its directory");
	is(model_state($super, $model), 'broken', "$model: nothing is left");
}
$super->query('\set VERBOSITY default');
is(scalar($super->query(<<'SQL')), 'caught', 'the error can be caught');
CREATE TEMP TABLE said (what text);
DO $$
BEGIN
	PERFORM albert_load('broken');
EXCEPTION WHEN data_corrupted THEN
	INSERT INTO said VALUES ('caught');
END
$$;
SELECT what FROM said
SQL
open my $file, '>', "$models/broken/config.json" or die;
print $file $good;
close $file;
like($super->query('SELECT ' . embedding('broken')), qr/^-?\d/, 'once the file is repaired the model can be used');

# ---- unloading under those who compute ----

$super->query(q(SELECT albert_load('large')));
my $user = AlbertSession->new($node, 'postgres');
$user->query('BEGIN');
is($user->query('SELECT ' . embedding('large')), $answer, 'a transaction computes');
is(large_segments(), 1, 'one copy in memory');
is($super->query(q(SELECT albert_unload('large'))), 't', 'the model is unloaded');
is(large_segments(), 1, 'it stays in memory for the transaction');
is(model_state($super, 'large'), 'available', 'but not for others');
is($user->query('SELECT ' . embedding('large')), $answer, 'the transaction computes on');
is(large_segments(), 2, 'with a fresh copy');
$user->query('COMMIT');
is(large_segments(), 1, 'the old one goes with the transaction');
$user->query('BEGIN; SAVEPOINT s; SELECT ' . embedding('large'));
$super->query(q(SELECT albert_unload('large')));
$user->query('ROLLBACK TO s');
is($user->query('SELECT ' . embedding('large')), $answer, 'also after a subtransaction was rolled back');
$user->query('ROLLBACK');
is(large_segments(), 1, 'and after a rollback');

# while a query runs, in several processes
$user->query(<<'SQL');
CREATE TABLE texts AS SELECT i, 'the war of ' || i % 10 AS body FROM generate_series(1, 300) i;
ALTER TABLE texts SET (parallel_workers = 2);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET albert.enable_batching = off;
SQL
my $query = q(SELECT count(*), count(DISTINCT (body, e))
  FROM (SELECT body, albert_embedding(body, 'small')::text AS e, pg_sleep(0.005) FROM texts OFFSET 0) AS t);
$user->send($query);
my $unloads = 0;
until ($user->ready)
{
	$unloads++ if $super->query(q(SELECT albert_unload('small'))) eq 't';
	sleep 0.005;
}
is($user->wait, '300|10', 'a query during which the model is unloaded again and again gets its rows right');
cmp_ok($unloads, '>', 5, "($unloads times)");

# ---- a segment that cannot be mapped ----

# The text part's file is not to be found: a load of the weights fails when all
# is done but for that, and leaves nothing, not even its lock on the registry.
my $small = $super->query('SELECT ' . embedding('small'));
$super->query(q(SELECT albert_unload('small')));
$_->query('SELECT 1') for $user, $super;
my %old = map { $_ => 1 } glob $node->data_dir . '/pg_dynshmem/mmap.*';
$user->query(q(BEGIN; SELECT albert_token_count('a text', 'small')));
my ($text) = grep { !$old{$_} } glob $node->data_dir . '/pg_dynshmem/mmap.*';
$loader = AlbertSession->new($node, 'postgres');
rename $text, "$text.gone" or die "no segment of the text part: $!";
(undef, $err) = $loader->query('SELECT ' . embedding('small'));
rename "$text.gone", $text or die;
like($err, qr/^ERROR:  could not open shared memory segment/, 'a segment that cannot be mapped is an error');
is(model_state($super, 'small'), 'available', 'and the model is loaded no more');
is(scalar($_->query('SELECT ' . embedding('small'))), $small, 'sessions load it anew') for $loader, $user;
$user->query('COMMIT');
$loader->quit;

# ---- nothing piles up ----

$user->query(q(SELECT albert_load('small'); SELECT albert_unload('small'))) for 1 .. 20;
$user->query(q(SELECT albert_unload('large'); SELECT albert_unload('broken')));
$super->query('SELECT 1');
$user->query('SELECT 1');
is(large_segments(), 0, 'all unloaded: no segments of the large model');

# the session that ran parallel queries has a segment of the server's own
$user->quit;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = " . $user->pid);
is(small_segments(), $baseline, 'and no more small ones than in the beginning');

$super->quit;
$node->stop;
done_testing();
