# Models in shared memory: loaded once, seen by every session and parallel worker.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL, large => LARGE);
my $node = albert_node('store', conf => model_conf($models));
my $super = AlbertSession->new($node, 'postgres');

# ---- what is there, and counting tokens without the weights ----

is($super->query('SELECT name, state, shared_bytes, loaded_at IS NULL FROM albert_models'),
	"large|available|0|t\nsmall|available|0|t", 'models are found and nothing is loaded');
is($super->query(q(SELECT architecture, heads, layers, hidden_size, parameters FROM albert_models WHERE name = 'small')),
	'AlbertForPreTraining|{fill-mask,"sentence order",pooler}|2|32|' . parameters(),
	'facts of a model that is not loaded');

sub parameters
{
	my $header = slurp_file("$models/small/model.safetensors");
	my $length = unpack 'Q<', $header;
	my $json = substr $header, 8, $length;
	my $n = 0;

	while ($json =~ /"shape": \[([\d, ]+)\]/g)
	{
		my $size = 1;
		$size *= $_ for split /, /, $1;
		$n += $size;
	}
	return $n;
}

is($super->query(q(SELECT albert_token_count('the capital of france', 'small'))), '6', 'tokens are counted');
is($super->query(q(SELECT state, shared_bytes > 0, kernel IS NULL, sha256 IS NULL FROM albert_models WHERE name = 'small')),
	'tokenizer|t|t|t', 'with only the tokenizer in memory');
is(loads_logged($node, 'small', 'text'), 1, 'which was loaded once');

# ---- eight sessions at once ----

my @sessions = map { AlbertSession->new($node, 'postgres') } 1 .. 8;
$super->query('SELECT pg_advisory_lock(7)');
$_->send('SELECT pg_advisory_lock_shared(7); SELECT ' . embedding('large')) for @sessions;
$node->poll_query_until('postgres',
	q(SELECT count(*) = 8 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted))
  or die 'the sessions do not wait';
$super->query('SELECT pg_advisory_unlock(7)');
my %answers;
for my $session (@sessions)
{
	my ($out, $err) = $session->wait;

	$answers{$out}++;
	is($err, '', 'no error or warning in one of eight sessions');
}
is(scalar(keys %answers), 1, 'eight sessions get the same answer');
my ($answer) = map { s/^\n*//r } keys %answers;
like($answer, qr/^-?\d+\.\d+ /, 'which is an embedding');
is(loads_logged($node, 'large'), 1, 'and one of them has loaded the model');
is(loads_logged($node, 'large', 'text'), 0, 'both parts at once');

my $seen = join "\n", map { scalar $_->query(q(SELECT loaded_at, sha256, shared_bytes FROM albert_models WHERE name = 'large')) } @sessions;
my %seen = map { $_ => 1 } split /\n/, $seen;
is(scalar(keys %seen), 1, 'all see the same model') or diag($seen);

# ---- the digest is what sha256sum says ----

my $lines = join '', map { sha256_hex(slurp_file("$models/large/$_")) . "  $_\n" }
  sort qw(config.json model.safetensors spiece.model tokenizer_config.json);
is($super->query(q(SELECT sha256 FROM albert_models WHERE name = 'large')), sha256_hex($lines), 'digest of the files');

# ---- one copy of the weights in memory ----

SKIP:
{
	my $bytes = $super->query(q(SELECT shared_bytes FROM albert_models WHERE name = 'large'));
	my ($pss, $most_private) = (0, 0);

	skip 'no /proc/PID/smaps_rollup here', 2 unless -r "/proc/$$/smaps_rollup";
	for my $session (@sessions)
	{
		my ($in_segment, $private) = (0, 0);

		for (split /\n/, slurp_file('/proc/' . $session->pid . '/smaps'))
		{
			$in_segment = /PostgreSQL\.|SYSV|pg_dynshmem/ if /^[0-9a-f]+-[0-9a-f]+ /;
			$pss += $1 * 1024 if $in_segment && /^Pss:\s+(\d+) kB/;
			$private += $1 * 1024 if !$in_segment && /^Private_(?:Dirty|Clean):\s+(\d+) kB/;
		}
		$most_private = $private if $private > $most_private;
	}
	note(sprintf 'model %.1f MB; shares of eight sessions together %.1f MB; most private memory of a session %.1f MB',
		$bytes / 1e6, $pss / 1e6, $most_private / 1e6);
	cmp_ok($pss, '<', 1.1 * $bytes, 'eight sessions together hold one copy of the model');
	cmp_ok($most_private, '<', 40e6, 'and little of their own');
}

# ---- a new session reads no file ----

rename "$models/large", "$models/away" or die;
my $late = AlbertSession->new($node, 'postgres');
is($late->query('SELECT ' . embedding('large')), $answer, 'a new session answers without the files');
is($late->query(q(SELECT state FROM albert_models WHERE name = 'large')), 'loaded', 'the model is still listed');
unlike(slurp_file('/proc/' . $late->pid . '/maps'), qr/\Q$models\E/, 'no file of the model is mapped') if -r "/proc/$$/maps";

# ---- unloading ----

is($super->query(q(SELECT albert_unload('large'), albert_unload('large'))), 't|f', 'unloading says whether there was something');
my (undef, $error) = $late->query('SELECT ' . embedding('large'));
like($error, qr/model "large" does not exist/, 'without its files, an unloaded model is gone');
rename "$models/away", "$models/large" or die;
is($late->query('SELECT ' . embedding('large')), $answer, 'and back when they are back');
is(loads_logged($node, 'large'), 2, 'after loading it again');

# ---- other files under the same name ----

is($super->query(q(SELECT albert_unload('small'); SELECT albert_token_count('the capital of france', 'small'))),
	"t\n6", 'only the tokenizer again');
my $first = $super->query(q(SELECT loaded_at FROM albert_models WHERE name = 'small'));
utime time - 1000, time - 1000, "$models/small/model.safetensors";
$super->query('SELECT ' . embedding('small'));
is($super->query(q(SELECT state FROM albert_models WHERE name = 'small')), 'loaded', 'the weights follow');
is(loads_logged($node, 'small'), 1, 'loaded once, with a tokenizer from the same reading');
is($late->query(q(SELECT albert_token_count('the capital of france', 'small'))), '6', 'another session follows');

# ---- parallel workers ----

$super->query(<<'SQL');
CREATE TABLE texts AS SELECT 'the war of ' || i AS body FROM generate_series(1, 64) i;
ALTER TABLE texts SET (parallel_workers = 4);
SELECT albert_unload('small');
SQL
my $query = q(SELECT md5(string_agg(e, '' ORDER BY body))
  FROM (SELECT body, albert_embedding(body, 'small')::text AS e FROM texts OFFSET 0) AS t);
my $serial = $super->query("SET max_parallel_workers_per_gather = 0; $query");
$super->query(q(SELECT albert_unload('small')));
my $parallel = 'SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;'
  . 'SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off';
$super->query($parallel);
like($super->query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $query"), qr/Workers Launched: [1-9]/, 'parallel workers run');
is($super->query($query), $serial, 'and compute the same');
my ($loader) = slurp_file($node->logfile) =~ /.*\[(\d+)\][^\n]*albert loaded model "small"/s;
isnt($loader, $super->pid, 'a parallel worker has loaded the model');

# ---- two databases that look for models in different places ----

my $elsewhere = make_models(small => SMALL . ',seed=5');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', "ALTER DATABASE other SET albert.model_path = '$elsewhere'");
$node->safe_psql('other', 'CREATE EXTENSION albert');
my $other = AlbertSession->new($node, 'other');
my $here = $super->query('SELECT ' . embedding('small'));
my $there = $other->query('SELECT ' . embedding('small'));
isnt($there, $here, 'the same name is another model in another database');
is($super->query(q(SELECT state, path FROM albert_models WHERE name = 'small' ORDER BY path)),
	join("\n", map { "loaded|$_/small" } sort $models, $elsewhere), 'both are listed');
is($other->query(q(SELECT albert_unload('small'))), 't', 'one is unloaded');
is(model_state($super, 'small'), 'loaded', 'the other is not');
is($super->query('SELECT ' . embedding('small')), $here, 'and answers as before');

# ---- another precision or kernel set for the server ----

sub set_server
{
	my ($name, $value) = @_;

	$super->query("ALTER SYSTEM SET albert.$name = $value");
	$super->query('SELECT pg_reload_conf()');
	for my $session ($super, $late)
	{
		$session->query('SELECT pg_sleep(0.01)') until $session->query("SHOW albert.$name") eq $value;
	}
	return;
}

set_server(kernel => 'generic');
$_->query('SELECT ' . embedding('small')) for $super, $late;
is($super->query(q(SELECT count(*) FILTER (WHERE kernel = 'generic'), count(*) FROM albert_models WHERE name = 'small' AND path LIKE ')
	. "$models/%'"), $super->query(q(SELECT kernel FROM albert_models WHERE name = 'large')) eq 'generic' ? '1|1' : '1|2',
	'another kernel set has an image of its own, for all sessions');
is($super->query(q(SELECT count(*), bool_and(rows > 0) FROM albert_stats WHERE model = 'small')), '1|t', 'but counts are by name');
set_server(kernel => 'auto');
is($late->query('SELECT ' . embedding('small')), $here, 'and back');
is($super->query(q(SELECT albert_unload('small'))), 't', 'unloading a model');
is(model_state($super, 'small'), 'available', 'forgets all its images');

# ---- counters ----

$super->query(q(SELECT albert_stats_reset()));
$super->query(q(SELECT albert_embedding(body, 'small') FROM texts));
is($super->query(q(SELECT rows, truncated, tokens > rows, seconds > 0 FROM albert_stats WHERE model = 'small' AND rows > 0)),
	'64|0|t|t', 'rows computed by parallel workers are counted');

# ---- DROP EXTENSION frees what only this database has used ----

$other->query('SELECT ' . embedding('small'));
$super->query(q(SELECT albert_load('large')));
is($other->query('DROP EXTENSION albert'), '', 'the extension is dropped in one database');
is($super->query(q(SELECT name, state, path = $$) . "$models/" . q($$ || name FROM albert_models WHERE loaded_at IS NOT NULL ORDER BY name)),
	"large|loaded|t\nsmall|loaded|t", 'its models are gone, those of the other database are not');
$other->query('CREATE EXTENSION albert');
is($other->query('SELECT ' . embedding('small')), $there, 'and come back with the extension');
$super->query('BEGIN; DROP EXTENSION albert; ROLLBACK');
is(model_state($super, 'large'), 'loaded', 'a drop that is rolled back frees nothing');
$super->query('BEGIN; SAVEPOINT s; DROP EXTENSION albert; ROLLBACK TO s; COMMIT');
is(model_state($super, 'large'), 'loaded', 'nor one that is rolled back to a savepoint');

$_->quit for @sessions, $late, $other, $super;
$node->stop;
done_testing();
