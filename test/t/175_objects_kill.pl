# A server process is killed, and with it the server, while it imports, creates,
# replaces or loads a model of the database: nothing is half there.  A dozen
# kills, or ALBERT_KILLS of them.
use strict;
use warnings;

use Cwd qw(abs_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use AlbertSession;
use AlbertTest;

my $models = $ENV{ALBERT_TEST_MODELS} || source_file('build/test-models');
my $node = albert_node('kill', conf => "albert.model_path = '/nonexistent'\nrestart_after_crash = on\n");
my ($old, $new) = ("$models/m01_plain", "$models/m02_groups2_inner2_gelu");
my $answer = q{SELECT md5(albert_embedding('one', 'mine')::text)};
my $state = q{SELECT coalesce(string_agg(state, ' '), 'none') FROM albert_models WHERE name = 'next'};

$node->safe_psql('postgres', "SELECT albert_import_directory('mine', '$old'); CALL albert_create_model('mine')");
my %answers = (old => $node->safe_psql('postgres', $answer));
$node->safe_psql('postgres', "SELECT albert_import_directory('next', '$new'); SELECT albert_replace_model('mine', 'next')");
$answers{new} = $node->safe_psql('postgres', $answer);
isnt($answers{new}, $answers{old}, 'two models');

my $kills = $ENV{ALBERT_KILLS} || 12;
my $wrong = 0;
my %left;
srand(1);
for my $turn (1 .. $kills)
{
	my $session = AlbertSession->new($node, 'postgres');
	my $files = $turn % 2 ? $old : $new;
	my $pid = $session->pid;

	# each in a transaction of its own
	$session->send("SELECT albert_import_directory('next', '$files')");
	$session->send("CALL albert_create_model('next')");
	$session->send("SELECT albert_replace_model('mine', 'next')");
	$session->send("SELECT albert_unload('mine')");
	$session->send($answer);
	sleep rand(0.25);
	kill_backend($node, $pid);
	eval { $session->quit; 1 };

	my $found = $node->safe_psql('postgres', $answer);
	my $next = $node->safe_psql('postgres', $state);
	$wrong++ if $found ne $answers{old} && $found ne $answers{new};
	$wrong++ unless $next =~ /^(none|importing|available|loaded)$/;
	$left{$next}++;
	# "loaded": its bytes are those of the other, which has just answered; what is left can be used, continued or dropped
	$node->safe_psql('postgres', "CALL albert_create_model('next')") if $next eq 'importing';
	$node->safe_psql('postgres', q{SELECT albert_drop_model('next')}) if $next ne 'none';
}
note 'left: ' . join(', ', map { "$_ $left{$_}" } sort keys %left);
is($wrong, 0, "nothing half there after $kills kills");
is(join(' ', glob abs_path($node->data_dir) . '/base/pgsql_tmp/*'), '', 'nor temporary files');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = '!albert' AND relkind = 'r'}), 1, 'nor tables');
$node->stop;
done_testing();
