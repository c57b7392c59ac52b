# 320_interrupts.pl
#	  Interrupts that cancel nothing: work that they make begin again gives
#	  what it gives without them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertSession;
use AlbertTest;
use Test::More;
use Time::HiRes qw(sleep);

my $node = albert_node('interrupts');
my $session = AlbertSession->new($node, 'postgres');
my $other = AlbertSession->new($node, 'postgres');
my $text = q{repeat('a whale swims in the sea ', 60) || i * 0};

# Forty times the same value, as a digest; another session interrupts all the while.
sub same_value
{
	my ($value, $name) = @_;
	my $alone = ($session->query("SELECT md5(v) FROM (SELECT ($value) AS v FROM generate_series(1, 1) i) x"))[0];
	my $interrupts = 0;

	$session->send("SELECT count(v), min(md5(v)), max(md5(v)) FROM (SELECT ($value) AS v FROM generate_series(1, 40) i) x");
	until ($session->ready)
	{
		$other->query('SELECT pg_log_backend_memory_contexts(' . $session->pid . ')');
		$interrupts++;
		sleep(0.02);
	}
	is(($session->wait)[0], "40|$alone|$alone", "$name, with interrupts");
	cmp_ok($interrupts, '>', 2, 'some of them');
	return;
}

same_value("SELECT string_agg(l::text, ' ' ORDER BY layer) FROM albert_layers($text, 'albert-mini') l", 'layers');
same_value("SELECT string_agg(md5(e::text), ' ' ORDER BY position) FROM albert_token_embeddings($text, 'albert-mini') e", 'token embeddings');

$node->stop;
done_testing();
