# The server's spare shared memory used up by somebody else, before any session
# has used albert: the store finds a place all the same, and no end of a
# transaction fails for want of it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL);
my $node = albert_node('spare', conf => model_conf($models) . "max_connections = 20\nmax_locks_per_transaction = 10\n");
my $anchor = $node->data_dir . '/pg_dynshmem/albert.registry';

# An ordinary user's locks take what there is.  What a lock took is never given
# back to anything but locks.
sub flood
{
	my $someone = AlbertSession->new($node, 'postgres', user => 'someone');
	my (undef, $err) = $someone->query('SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 10000000) i');

	like($err, qr/out of shared memory/, 'locks have used up the shared memory there was');
	$someone->quit;
	$node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'));
	return;
}

$node->safe_psql('postgres', 'CREATE ROLE someone LOGIN');
$node->restart;    # CREATE EXTENSION has loaded the library
flood();

my $super = AlbertSession->new($node, 'postgres');
is(scalar($super->query(q(LOAD 'albert'; DROP EXTENSION albert))), '', 'DROP EXTENSION in a session that has not used albert');
is(scalar($super->query('CREATE EXTENSION albert; SELECT ' . embedding('small') . q( <> ''))), 't', 'a model is loaded and computes');
is(scalar(AlbertSession->new($node, 'postgres')->query(q(SELECT state FROM albert_models WHERE name = 'small'))), 'loaded',
	'another session finds it');
is(scalar($super->query(q(SELECT count(*) FROM albert_progress))), '0', 'the view of jobs works');
is(scalar($super->query(q(BEGIN; DROP EXTENSION albert; COMMIT; CREATE EXTENSION albert;
	SELECT state FROM albert_models WHERE name = 'small'))), 'available', 'DROP EXTENSION frees the model');

# ---- what is found in the data directory is not trusted ----

ok(-f $anchor, 'the place is noted in the data directory');
my $old = slurp_file($anchor);
$node->restart;
flood();
is($node->safe_psql('postgres', 'SELECT ' . embedding('small') . q( <> '')), 't', 'after a restart the note is of no use and made anew');
isnt(slurp_file($anchor), $old, 'with another place');
for my $bytes ('', 'x', 'x' x 4096, substr($old, 0, 10), $old)
{
	$node->stop;
	open my $file, '>', $anchor or die;
	print $file $bytes;
	close $file;
	$node->start;
	is($node->safe_psql('postgres', 'SELECT ' . embedding('small') . q( <> '')), 't', 'a note of ' . length($bytes) . ' bytes that is none');
}

# ---- no room for the place: an error, and the next call tries again ----

$node->restart;
unlink $anchor or die;
mkdir $anchor or die;
$super = AlbertSession->new($node, 'postgres');
for my $sql ('SELECT * FROM albert_models', 'SELECT ' . embedding('small'), 'SELECT * FROM albert_progress')
{
	my (undef, $err) = $super->query($sql);
	like($err, qr/^ERROR:  could not .*albert\.registry/, "an ordinary error: $sql");
}
is(scalar($super->query('BEGIN; DROP EXTENSION albert; ROLLBACK; SELECT 1')), '1', 'no obstacle for a rollback');
rmdir $anchor or die;
is(scalar($super->query('SELECT ' . embedding('small') . q( <> ''))), 't', 'then it works');

# ---- preloaded: the library in the postmaster changes nothing ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'albert'\n");
$node->restart;
flood();
is($node->safe_psql('postgres', 'SELECT ' . embedding('small') . q( <> '')), 't', 'preloaded: a model is loaded and computes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM albert_progress'), '0', 'preloaded: the view of jobs works');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 6/, 'no accident in the log');

$super->quit;
$node->stop;
done_testing();
