# Every kind of dynamic shared memory, and what happens when there is too
# little of it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL, large => LARGE);
my $node = albert_node('memory', conf => model_conf($models));
my %answers;

# The same query in two sessions, one of which loads; again after unloading.
sub works
{
	my ($what) = @_;
	my $one = AlbertSession->new($node, 'postgres');
	my $two = AlbertSession->new($node, 'postgres');

	for my $model (qw(large small))
	{
		for my $time ('', ', loaded again')
		{
			for my $session ($one, $two)
			{
				my ($out, $err) = $session->query('SELECT ' . embedding($model));

				$answers{$model} //= $out;
				is($out, $answers{$model}, "$what: model $model$time");
				is($err, '', "$what: no warning$time");
			}
			is($one->query("SELECT albert_unload('$model')"), 't', "$what: unloaded");
		}
	}
	$_->quit for $one, $two;
	return;
}

works('default');
like($answers{large}, qr/^-?\d+\.\d+ /, 'answers are embeddings');
for my $type (qw(posix sysv mmap))
{
	$node->append_conf('postgresql.conf', "dynamic_shared_memory_type = $type");
	$node->restart;
	works($type);
}
$node->append_conf('postgresql.conf', "dynamic_shared_memory_type = posix\nmin_dynamic_shared_memory = 250MB");
$node->restart;
works('memory set aside at server start');
$node->append_conf('postgresql.conf', 'min_dynamic_shared_memory = 0');
$node->stop;

# ---- the system refuses ----

# Start the server below a shell command; $node does not know of it.
sub start_below
{
	my @command = @_;

	return system(@command, $node->installed_command('pg_ctl'), '-D', $node->data_dir, '-l', $node->logfile,
		'-w', '-s', 'start') == 0;
}

sub stop_below
{
	system_or_bail($node->installed_command('pg_ctl'), '-D', $node->data_dir, '-m', 'fast', '-w', '-s', 'stop');
	return;
}

sub refused
{
	my ($what, $message, $detail, $hint) = @_;
	my $session = AlbertSession->new($node, 'postgres');
	my (undef, $err) = $session->query('SELECT ' . embedding('large'));

	like($err, qr/ERROR:  $message/, "$what: the error says what");
	like($err, qr/DETAIL:  $detail/, "$what: and how much");
	like($err, qr/HINT:  $hint/, "$what: and what to do");
	like($err, qr/CONTEXT:  loading model "large"/, "$what: and when");
	is(model_state($session, 'large'), 'available', "$what: the model is not loaded");
	is($session->query('SELECT ' . embedding('small')), $answers{small}, "$what: a smaller model works");
	is($session->query(q(SELECT albert_unload('small'))), 't', "$what: and is unloaded");
	$session->quit;
	return;
}

# A limit of the size of files stands in for a full file system.  A unit is 512 or 1024 bytes, as the shell likes.
for my $type (qw(posix mmap))
{
	$node->append_conf('postgresql.conf', "dynamic_shared_memory_type = $type");
	start_below('sh', '-c', 'ulimit -f 200000 && exec "$@"', 'sh') or die 'the server does not start';
	refused("$type, limited", 'could not get shared memory for model "large"',
		'The model needs 19\d\.\d MB more: .*File too large', $type eq 'posix' ? 'Enlarge /dev/shm' : 'Make room in the data directory');
	stop_below();
}

# A small /dev/shm of its own, as containers have it.
SKIP:
{
	my @own = ('unshare', '--user', '--map-current-user', '--keep-caps', '--mount', 'sh', '-c');

	$node->append_conf('postgresql.conf', 'dynamic_shared_memory_type = posix');
	skip 'no mount namespace for a small /dev/shm (unshare does not work here)', 24
	  if system("@own 'mount -t tmpfs -o size=1m none /dev/shm' >/dev/null 2>&1") != 0;

	# by default models may take half of what there is
	start_below(@own, 'mount -t tmpfs -o size=64m none /dev/shm && exec "$@"', 'sh') or die 'the server does not start';
	refused('half of 64 MB', 'not enough shared memory for model "large" within albert\.shared_memory_limit',
		'The model needs 19\d\.\d MB, the limit is 32\.0 MB, and models in use take 0\.0 MB of it\.', 'Raise albert\.shared_memory_limit');
	stop_below();

	$node->append_conf('postgresql.conf', 'albert.shared_memory_limit = 1GB');
	start_below(@own, 'mount -t tmpfs -o size=64m none /dev/shm && exec "$@"', 'sh') or die 'the server does not start';
	refused('64 MB', 'not enough shared memory for model "large"', 'The model needs 19\d\.\d MB and [56]\d\.\d MB are free in /dev/shm\.',
		'Enlarge /dev/shm \(for a Docker container: --shm-size\)');
	is(slurp_file($node->logfile) =~ /signal 7|Bus error/ ? 'SIGBUS' : 'none', 'none', '64 MB: no SIGBUS');
	stop_below();

	start_below(@own, 'mount -t tmpfs -o size=256m none /dev/shm && exec "$@"', 'sh') or die 'the server does not start';
	my $session = AlbertSession->new($node, 'postgres');
	my ($out, $err) = $session->query('SELECT ' . embedding('large'));
	is($out, $answers{large}, '256 MB: the model fits');
	like($err, qr/WARNING:  model "large" takes more than half of the shared memory that was free/, '256 MB: with a warning');
	like($err, qr/HINT:  Parallel queries need shared memory too/, '256 MB: that says why');
	(undef, $err) = AlbertSession->new($node, 'postgres')->query('SELECT ' . embedding('large'));
	is($err, '', '256 MB: to the session that loads it, not to others');
	$session->query(q(SELECT albert_unload('large')));
	($out, $err) = $session->query('SELECT ' . embedding('small'));
	is($err, '', '256 MB: and not for a small model');

	# what nobody uses makes room, though an idle session has it mapped
	symlink "$models/large", "$models/twin" or die;
	my $idle = AlbertSession->new($node, 'postgres');
	is($idle->query('SELECT ' . embedding('large')), $answers{large}, '256 MB: a session that will be idle');
	is($session->query('SELECT ' . embedding('twin')), $answers{large}, '256 MB: another model takes the place of one that nobody uses');
	is(model_state($session, 'large'), 'available', '256 MB: which is put out');
	$idle->query('BEGIN; SELECT ' . embedding('twin'));
	(undef, $err) = $session->query('SELECT ' . embedding('large'));
	like($err, qr/ERROR:  not enough shared memory for model "large"\nDETAIL:  The model needs 19\d\.\d MB and 5\d\.\d MB are free/,
		'256 MB: one that is in use is not');
	$_->quit for $idle, $session;
	stop_below();
}

done_testing();
