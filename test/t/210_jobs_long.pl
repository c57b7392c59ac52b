# 210_jobs_long.pl
#	  CALL albert_embed_table on 100,000 rows with the default model, killed at
#	  random moments and called again until it ends: every row is right, and no
#	  more is computed twice than the batch that each kill has cost.
#
# It takes minutes, and runs when it is named.  ALBERT_ROWS, ALBERT_KILLS and
# ALBERT_SEED are the number of rows, of kills, and the seed of the random
# moments.
#
# Before each kill the job's process is stopped, so that it can be told what it
# holds at that very moment: the rows that it has locked are those of its
# batch, and what it has computed to the end but not committed is the difference
# between albert_stats and the table.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertJobs;
use AlbertSession;
use AlbertTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rows = $ENV{ALBERT_ROWS} || 100_000;
my $kills_wanted = $ENV{ALBERT_KILLS} || 12;
my $seed = $ENV{ALBERT_SEED} || time % 100_000;
my $model = 'albert-mini';
my $job = "CALL albert_embed_table('docs', 'body', 'embedding', model => '$model')";
my $node = albert_node('jobs_long', conf => "restart_after_crash = on\nmax_wal_size = '4GB'\njit = off\n");

srand($seed);
diag("seed $seed");

sub number
{
	return $node->safe_psql('postgres', $_[0]);
}

# What is killed, and how; in turns.
my @kills = (
	[ 'the backend', sub { kill_backend($node, $_[0]) } ],
	[ 'an immediate shutdown', sub
		{
			# the job goes on when its signal to quit is already there
			system_or_bail('sh', '-c', "(sleep 0.5; kill -CONT $_[0]) >/dev/null 2>&1 &");
			$node->stop('immediate');
			$node->start;
		} ],
	[ 'the postmaster and the backend', sub
		{
			my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

			$node->kill9;
			kill 'KILL', $_[0];
			# the others leave when they see that they are alone
			for (1 .. 600)
			{
				last if $node->start(fail_ok => 1);
				sleep 0.1;
				$node->stop('fast', fail_ok => 1);
			}
		} ]);

# What a stopped job holds: rows of the table filled, rows it has locked, rows
# computed since the server was started.  undef when it was stopped where it
# keeps others waiting.
sub look
{
	my $watcher = AlbertSession->new($node, 'postgres');
	my $answer;

	$watcher->send(qq{BEGIN; SELECT (SELECT count(embedding) FROM docs),
		(SELECT count(*) FROM docs WHERE embedding IS NULL) -
		(SELECT count(*) FROM (SELECT 1 FROM docs WHERE embedding IS NULL FOR UPDATE SKIP LOCKED) free),
		coalesce((SELECT rows FROM albert_stats WHERE model = '$model'), 0); ROLLBACK});
	for (1 .. 2000)
	{
		last if $watcher->ready;
		sleep 0.01;
	}
	$answer = $watcher->wait if $watcher->ready;
	return ($watcher, defined $answer ? split /\|/, $answer : ());
}

make_docs($node, $rows);
my $batch = number('SELECT 8192 / min(octet_length(body) / 4 + 2) + 16 FROM docs');
note("a batch has at most $batch rows");

my ($kills, $filled_before, $computed, $lost, $again, $busy) = (0, 0, 0, 0, 0, 0);
my %count;

while ($kills < $kills_wanted)
{
	my $session = AlbertSession->new($node, 'postgres');
	my ($how, $kill) = @{ $kills[ $kills % @kills ] };
	my $start = time;

	$session->send($job);
	# after a random part of what is left, at a random moment of a batch
	my $some = rand(2 * ($rows - $filled_before) / ($kills_wanted - $kills + 1));
	sleep 0.05 until $session->ready || number('SELECT coalesce(sum(rows_done), 0) FROM albert_progress') >= $some;
	sleep rand(0.3);
	last if $session->ready;
	kill 'STOP', $session->pid;
	my ($watcher, $filled, $held, $rows_computed) = look();
	my $seconds = time - $start;
	if (!defined $rows_computed)
	{
		kill 'CONT', $session->pid;
		$_->wait, $_->quit for $watcher, $session;
		next;
	}
	$watcher->quit;
	$kill->($session->pid);
	$session->wait;
	my $wasted = $rows_computed - ($filled - $filled_before);
	my $kept = number('SELECT count(embedding) FROM docs');
	is($kept, $filled, sprintf('kill %d (%s): %d rows are filled, as before it', ++$kills, $how, $filled));
	cmp_ok($held, '<=', $batch, "... no more than a batch was under way ($held rows)");
	ok($wasted >= 0 && $wasted <= $held, "... and no more than that has been computed for nothing ($wasted rows)");
	$busy += $seconds;
	$count{$how}++;
	$computed += $rows_computed;
	$lost += $wasted;
	$again += $held;
	$filled_before = $kept;
}
cmp_ok($kills, '>=', $kills_wanted * 2 / 3, "it was killed again and again");

my $left = number('SELECT count(*) FROM docs WHERE embedding IS NULL');
my $start = time;
my ($out, $err) = AlbertSession->new($node, 'postgres')->query($job);
my $last_seconds = time - $start;
like($err, qr/NOTICE:  (\d+) rows done, 0 left out/, 'the last call ends');
my ($last_rows) = $err =~ /NOTICE:  (\d+) rows done/;
is($last_rows, $left, '... and has done what was left');
$computed += number("SELECT rows FROM albert_stats WHERE model = '$model'");
$busy += $last_seconds;
is(number('SELECT count(*) FROM docs WHERE embedding IS NULL'), 0, 'all rows are filled');
is(updates($node), "$rows|$rows", 'each was written once');
is($computed - $rows, $lost, "no row was computed twice but those that a kill had cost ($lost)");
is(wrong_rows($node, $model), 0, 'every row is right');
diag(sprintf('figure: %d rows, %d kills (%s), %d rows begun twice (those of the batches under way), %d of them computed to the end before, %.0f s in calls, %.0f rows a second in the last one',
	$rows, $kills, join(', ', map { "$count{$_}: $_" } sort keys %count), $again, $computed - $rows, $busy, $last_rows / $last_seconds));

$node->stop;
done_testing();
