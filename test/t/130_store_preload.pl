# Models preloaded into the main shared memory segment at server start.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL, large => LARGE, broken => SMALL);
PostgreSQL::Test::Utils::append_to_file("$models/broken/config.json", 'x');

# ---- the setting without the preloaded library is harmless ----

my $node = albert_node('preload', conf => model_conf($models) . "albert.preload_models = 'small, large'\n");
my ($out, $err) = AlbertSession->new($node, 'postgres')->query('SELECT ' . embedding('large'));
my $large = $out;
is($err, '', 'not preloaded: no warning');
my $small = $node->safe_psql('postgres', 'SELECT ' . embedding('small'));
isnt($small, $large, 'not preloaded: models are loaded at first use');
is($node->safe_psql('postgres', 'SHOW albert.preload_models'), 'small, large', 'not preloaded: the setting can be seen');

# ---- preloaded ----

$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'albert'\nalbert.preload_models = 'small, large, broken, missing, ../up, small'\n");
my $offset = -s $node->logfile;
$node->restart;
my $log = slurp_file($node->logfile, $offset);
like($log, qr/WARNING:  could not preload model "broken": .*config\.json/, 'a broken model is a warning');
like($log, qr/WARNING:  could not preload model "missing": no such directory/, 'a missing one too');
like($log, qr{WARNING:  could not preload model "\.\./up": invalid model name}, 'and what is no name');
is($node->safe_psql('postgres', 'SELECT name, state, loaded_at IS NOT NULL, sha256 IS NOT NULL FROM albert_models ORDER BY 1'),
	"broken|broken|f|f\nlarge|loaded|t|t\nsmall|loaded|t|t", 'models are loaded at server start');
rename "$models/large", "$models/away" or die;
is($node->safe_psql('postgres', 'SELECT ' . embedding('large')), $large, 'and answer without their files');
is($node->safe_psql('postgres', 'SELECT ' . embedding('small')), $small, 'all of them');
is(loads_logged($node, 'large'), 1, 'without being loaded by a session');
unlike($log, qr/signal|PANIC/, 'no accident in the log');

my $super = AlbertSession->new($node, 'postgres');
my $maps = slurp_file('/proc/' . $super->pid . '/maps');
$super->query('SELECT ' . embedding('large'));
is(scalar(() = slurp_file('/proc/' . $super->pid . '/maps') =~ m{/dev/shm/}g), scalar(() = $maps =~ m{/dev/shm/}g),
	'no segment in /dev/shm is used');

# ---- parallel workers ----

is($super->query(q(SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	CREATE TABLE texts AS SELECT 'the war' AS body FROM generate_series(1, 20); ALTER TABLE texts SET (parallel_workers = 2);
	SET min_parallel_table_scan_size = 0;
	SELECT count(DISTINCT e) FROM (SELECT albert_embedding(body, 'large')::text AS e FROM texts OFFSET 0) AS t)), '1', 'parallel workers');

# ---- after a crash shared memory is made anew ----

sub crash
{
	my $victim = AlbertSession->new($node, 'postgres');

	$node->append_conf('postgresql.conf', 'restart_after_crash = on');
	$node->reload;
	kill_backend($node, $victim->pid);
	$victim->quit;
	return;
}

$offset = -s $node->logfile;
crash();
like(slurp_file($node->logfile, $offset), qr/could not preload model "large": .*directory/s, 'after a crash, files that have gone are a warning');
is($node->safe_psql('postgres', q(SELECT name, state FROM albert_models WHERE name IN ('small', 'large'))), 'small|loaded',
	'the other model is preloaded again');
is($node->safe_psql('postgres', 'SELECT ' . embedding('small')), $small, 'and answers');
rename "$models/away", "$models/large" or die;
is($node->safe_psql('postgres', 'SELECT ' . embedding('large')), $large, 'when the files are back, the model is loaded at first use');
crash();
is($node->safe_psql('postgres', q(SELECT name, state FROM albert_models WHERE name IN ('small', 'large') ORDER BY 1)),
	"large|loaded\nsmall|loaded", 'after another crash both are preloaded');

# ---- unloading ----

($out, $err) = ($super = AlbertSession->new($node, 'postgres'))->query(q(SELECT albert_unload('large')));
is($out, 't', 'a preloaded model can be unloaded');
like($err, qr/NOTICE:  model "large" was loaded at server start and its memory stays reserved/, 'with a notice');
is(model_state($super, 'large'), 'available', 'it is not loaded any more');
is($super->query('SELECT ' . embedding('large')), $large, 'and loaded at next use');
($out, $err) = $super->query(q(SELECT albert_unload('large')));
is($err, '', 'then it is an ordinary model');
is($super->query('DROP EXTENSION albert'), '', 'DROP EXTENSION');
is($super->query('CREATE EXTENSION albert; SELECT ' . embedding('small')), $small, 'and CREATE EXTENSION');

$super->quit;
$node->stop;
done_testing();
