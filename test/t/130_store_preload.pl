# Models that a worker loads when the server starts.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

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

# ---- preloaded, into memory that the server has set aside ----

$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'albert'\nmin_dynamic_shared_memory = 250MB\nalbert.preload_models = 'small, broken, missing, ../up, small, large'\n");
my $offset = -s $node->logfile;
$node->restart;
$node->poll_query_until('postgres', q(SELECT state = 'loaded' FROM albert_models WHERE name = 'large')) or die 'no model is loaded';
$node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'albert preload'))
  or die 'the worker does not end';
my $log = slurp_file($node->logfile, $offset);
like($log, qr/ERROR:  .*config\.json.*CONTEXT:  loading model "broken"/s, 'a broken model is an error in the log');
like($log, qr/ERROR:  model "missing" does not exist/, 'a missing one too');
like($log, qr{ERROR:  invalid model name: "\.\./up"}, 'and what is no name');
is($node->safe_psql('postgres', 'SELECT name, state, loaded_at IS NOT NULL, sha256 IS NOT NULL FROM albert_models ORDER BY 1'),
	"broken|broken|f|f\nlarge|loaded|t|t\nsmall|loaded|t|t", 'models are loaded when the server starts');
rename "$models/large", "$models/away" or die;
is($node->safe_psql('postgres', 'SELECT ' . embedding('large')), $large, 'and answer without their files');
is($node->safe_psql('postgres', 'SELECT ' . embedding('small')), $small, 'all of them');
is(scalar(() = slurp_file($node->logfile, $offset) =~ /albert loaded model/g), 2, 'they have been loaded once');
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

# ---- what the server has loaded stays, whatever becomes of a database, unless it is told ----

is($super->query(q(DROP EXTENSION albert; CREATE EXTENSION albert; SELECT state FROM albert_models WHERE name = 'large')), 'loaded',
	'DROP EXTENSION takes nothing from the other databases');
is($super->query(q(SELECT albert_unload('large'))), 't', 'a preloaded model can be unloaded');
rename "$models/away", "$models/large" or die;
is(model_state($super, 'large'), 'available', 'it is not loaded any more');
is($super->query('SELECT ' . embedding('large')), $large, 'and loaded at next use');
$super->quit;

# ---- after a crash shared memory is new ----

$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
my $victim = AlbertSession->new($node, 'postgres');
kill_backend($node, $victim->pid);
eval { $victim->quit };
is($node->safe_psql('postgres', 'SELECT ' . embedding('small')), $small, 'after a crash a model is loaded at its next use');

$node->stop;
done_testing();
