# What all models together may take: those that nobody uses are put out, least
# recently used first; what does not fit is refused with the numbers.
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

# 12 to 13 MB each
my $middle = 'hidden_size=256,intermediate_size=1024,num_hidden_groups=4,num_hidden_layers=4';
my $models = make_models(small => SMALL, a => "$middle,seed=1", b => "$middle,seed=2", c => "$middle,seed=3");
my $node = albert_node('limit',
	conf => model_conf($models) . "dynamic_shared_memory_type = mmap\nalbert.shared_memory_limit = 30MB\n");
my $super = AlbertSession->new($node, 'postgres');

sub loaded
{
	return $super->query(q(SELECT string_agg(name, ' ' ORDER BY name) FROM albert_models WHERE state = 'loaded'));
}

sub segments
{
	my @files = glob $node->data_dir . '/pg_dynshmem/mmap.*';

	return scalar grep { -s $_ > 10_000_000 && -s $_ < 15_000_000 } @files;
}

# Idle sessions let go when they are told, which takes them a moment.
sub segments_become
{
	my ($most) = @_;
	my $end = time + 60;

	sleep 0.01 while segments() > $most && time < $end;
	return segments();
}

sub limit
{
	my ($limit) = @_;

	$super->query("ALTER SYSTEM SET albert.shared_memory_limit = '$limit'");
	$super->query('SELECT pg_reload_conf()');
	$super->query('SELECT pg_sleep(0.01)') until $super->query('SHOW albert.shared_memory_limit') eq $limit;
	return;
}

is($super->query(q(SELECT context, setting, unit, boot_val FROM pg_settings WHERE name = 'albert.shared_memory_limit')), '', 'not there before the library');
my %answers = map { $_ => scalar $super->query('SELECT ' . embedding($_)) } qw(a b);
is($super->query(q(SELECT context, setting, unit, boot_val FROM pg_settings WHERE name = 'albert.shared_memory_limit')),
	'sighup|30|MB|-1', 'the setting is the server\'s');
is(loaded(), 'a b', 'two models are within the limit');

# ---- least recently used goes first, also from under sessions that wait for their client ----

my @idle = map { AlbertSession->new($node, 'postgres') } 1 .. 3;
is($_->query('SELECT ' . embedding('b')), $answers{b}, 'a session that will be idle') for @idle;
is($idle[0]->query('SELECT ' . embedding('a')), $answers{a}, 'and uses another model last');
is(segments(), 2, 'two in memory');
like($super->query('SELECT ' . embedding('c')), qr/^-?\d/, 'a third model is loaded');
is(loaded(), 'a c', 'the one used least recently has gone');
is(segments_become(2), 2, 'its memory too, though sessions had it mapped');
is($_->query('SELECT ' . embedding('b')), $answers{b}, 'which have it back when they want it') for @idle;
is(loaded(), 'b c', 'in the place of another');

# ---- what is in use stays ----

my $user = AlbertSession->new($node, 'postgres');
$user->query('BEGIN');
is($user->query('SELECT ' . embedding('b')), $answers{b}, 'a transaction uses one');
$idle[0]->query('BEGIN; SELECT ' . embedding('c'));
my (undef, $err) = $super->query("\\set VERBOSITY verbose\nSELECT " . embedding('a'));
like($err, qr/^ERROR:  53400: not enough shared memory for model "a" within albert\.shared_memory_limit\n/, 'no room for another');
like($err, qr/^DETAIL:  The model needs 1\d\.\d MB, the limit is 30\.0 MB, and models in use take 2\d\.\d MB of it\.$/m, 'with the numbers');
like($err, qr/^HINT:  Raise albert\.shared_memory_limit, end the transactions/m, 'and what to do');
is(loaded(), 'b c', 'nothing is put out in vain');
is($super->query(q(SELECT state FROM albert_models WHERE name = 'a')), 'available', 'and nothing stays behind');
is($super->query('SELECT ' . embedding('small') . q( <> '')), 't', 'a small one fits');
$idle[0]->query('ROLLBACK');
is($super->query('SELECT ' . embedding('a')), $answers{a}, 'when a transaction ends, its model can go');
is($user->query('SELECT ' . embedding('b') . '; COMMIT'), $answers{b}, 'the other is there still');
like(loaded(), qr/^a b/, 'all along');

# ---- the limit is changed ----

limit('6MB');
like(loaded(), qr/^a b/, 'a lower limit puts out nothing by itself');
(undef, $err) = $super->query('SELECT ' . embedding('c'));
like($err, qr/The model needs 1\d\.\d MB, the limit is 6\.0 MB, and models in use take 0\.0 MB of it/, 'but lets nothing larger in');
like(loaded(), qr/^a b/, 'nor puts out the others for it');
limit('0');
(undef, $err) = $super->query(q(SELECT albert_unload('small'); SELECT albert_token_count('x', 'small')));
like($err, qr/not enough shared memory for model "small"/, 'no memory at all');
limit('100MB');
$super->query('SELECT ' . embedding($_)) for qw(a b c small);
is(loaded(), 'a b c small', 'a higher limit has room for all');

# ---- any user may load models; together they take no more than the limit ----

limit('30MB');
$super->query('CREATE ROLE someone LOGIN');
symlink "$models/$_", "$models/$_$_" or die for qw(a b c);
symlink "$models/small", "$models/s$_" or die for 1 .. 60;
my $someone = AlbertSession->new($node, 'postgres', user => 'someone');
$err = join '', map { ($someone->query('SELECT ' . embedding($_)))[1] } qw(aa bb cc a), map { "s$_" } 1 .. 60;
is($err, '', 'an ordinary user uses 64 models, one after the other');
cmp_ok($super->query('SELECT sum(shared_bytes) FROM albert_models'), '<=', 30 * 1024 * 1024, 'they are within the limit');
is($super->query(q(SELECT count(*) <= 48 FROM albert_models WHERE state = 'loaded')), 't', 'and within the number of models');
cmp_ok(segments_become(2), '<=', 2, 'nor is there more in memory');

# ---- two sessions that want different models and have room for one ----

limit('16MB');
my @both = map { AlbertSession->new($node, 'postgres') } 1 .. 2;
for (1 .. 5)
{
	$both[0]->send('SELECT ' . embedding('a'));
	$both[1]->send('SELECT ' . embedding('b'));
	for my $i (0, 1)
	{
		my ($out, $error) = $both[$i]->wait;
		ok($error =~ /within albert\.shared_memory_limit/ || $out eq $answers{(qw(a b))[$i]}, 'the right answer or no room');
	}
}

$_->quit for @idle, @both, $user, $someone, $super;
$node->stop;
done_testing();
