# Ten sessions that use, load and unload five models at random for a few
# seconds, and are cancelled and terminated meanwhile: every answer is the
# right one and nothing is left in the end.  There is room for two of the models
# that are larger.  SECONDS=60 runs it longer.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $middle = 'hidden_size=256,intermediate_size=1024,num_hidden_groups=4,num_hidden_layers=4';
my $models = make_models(small => SMALL, second => SMALL . ',seed=2',
	middle => $middle, other => "$middle,seed=2", third => "$middle,seed=3");
my $node = albert_node('stress',
	conf => model_conf($models) . "dynamic_shared_memory_type = mmap\nalbert.shared_memory_limit = 30MB\n");
my $super = AlbertSession->new($node, 'postgres');
my @names = qw(small second middle other third);
my %answers = map { $_ => scalar $super->query('SELECT ' . embedding($_)) } @names;
my $segments = sub { my @files = glob $node->data_dir . '/pg_dynshmem/mmap.*'; scalar @files };

$super->query('SELECT count(albert_unload(name)) FROM albert_models');
$super->query('SELECT 1');
my $before = $segments->();

sub statement
{
	my ($model) = @_;
	my $r = rand;

	return 'SELECT ' . embedding($model) if $r < 0.5;
	return "SELECT albert_unload('$model')" if $r < 0.75;
	return "SELECT albert_token_count('the war', '$model')" if $r < 0.85;
	return "BEGIN; SAVEPOINT s; SELECT albert_load('$model'); ROLLBACK TO s; SELECT albert_load('$model'); COMMIT" if $r < 0.9;
	return 'SELECT name, state FROM albert_models' if $r < 0.95;
	return "SELECT albert_load('$model')";
}

my @sessions = map { { session => AlbertSession->new($node, 'postgres') } } 1 .. 10;
my ($statements, $cancelled, $terminated, $refused) = (0, 0, 0, 0);
my @wrong;

# What a session answered; a new session for one that was terminated.
sub collect
{
	my ($entry, $seconds) = @_;
	my ($out, $err) = $entry->{session}->wait($seconds);

	$statements++;
	if ($err =~ /terminating|connection/)
	{
		$entry->{session}->quit;
		$entry->{session} = AlbertSession->new($node, 'postgres');
		$terminated++;
	}
	elsif ($err =~ /canceling/)
	{
		$entry->{session}->query('ROLLBACK');
		$cancelled++;
	}
	elsif ($err =~ /within albert\.shared_memory_limit/)
	{
		$entry->{session}->query('ROLLBACK');
		$refused++;
	}
	elsif ($err ne '')
	{
		push @wrong, "$entry->{sql}: $err";
	}
	elsif (defined $entry->{answer} && $out ne $entry->{answer})
	{
		push @wrong, "$entry->{sql}: $out instead of $entry->{answer}";
	}
	delete $entry->{sql};
	return;
}

srand 7;
my $end = time + ($ENV{SECONDS} || 5);
while (time < $end)
{
	for my $entry (@sessions)
	{
		my $model = $names[rand @names];

		if (defined $entry->{sql})
		{
			next unless $entry->{session}->ready || !$entry->{session}->alive;
			collect($entry);
		}
		$entry->{sql} = statement($model);
		$entry->{answer} = $entry->{sql} =~ /albert_embedding/ ? $answers{$model} : undef;
		$entry->{session}->send($entry->{sql});
		if (rand() < 0.05)
		{
			kill 'INT', $sessions[rand @sessions]{session}->pid;
		}
		elsif (rand() < 0.01)
		{
			kill 'TERM', $sessions[rand @sessions]{session}->pid;
		}
	}
	sleep 0.001;
}
for my $entry (@sessions)
{
	collect($entry, 30) if defined $entry->{sql};
	$entry->{session}->quit;
}
note("$statements statements, $cancelled cancelled, $terminated terminated, $refused refused, "
	  . scalar(() = slurp_file($node->logfile) =~ /albert loaded model/g) . ' loads');
is(join("\n", @wrong), '', 'every answer is right');
cmp_ok($statements, '>', 100, 'there were answers');

$node->poll_query_until('postgres', q(SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'client backend'));
$super->query('SELECT count(albert_unload(name)) FROM albert_models');
$super->query('SELECT 1');
is($super->query(q(SELECT count(*) FROM albert_models WHERE state <> 'available')), '0', 'nothing is loaded or loading');
cmp_ok($segments->(), '<=', $before + 1, 'nothing is left in memory (but a segment of the statistics)');
unlike(slurp_file($node->logfile), qr/PANIC|leak|was terminated by signal|TRAP/, 'no accident in the log');

$super->quit;
$node->stop;
done_testing();
