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
my $text = q{repeat('a whale swims in the sea ', 20) || i * 0};

# Forty times the same value, as a digest; another session interrupts some of them.  An interrupted run begins again, so
# that there must not be too many.
sub same_value
{
	my ($value, $name) = @_;
	my $digests = "SELECT string_agg(DISTINCT md5(v), ' ') FROM (SELECT ($value) AS v FROM generate_series(1, 40) i) x";
	my $alone = $session->query($digests);

	like($alone, qr/^[0-9a-f]{32}$/, "$name: the same each time");
	$session->send($digests);
	for (1 .. 30)
	{
		$other->query('SELECT pg_log_backend_memory_contexts(' . $session->pid . ')');
		sleep(rand(0.03));
	}
	is($session->wait, $alone, "$name: and with interrupts");
	return;
}

same_value("SELECT string_agg(l::text, ' ' ORDER BY layer) FROM albert_layers($text, 'albert-mini') l", 'layers');
same_value("SELECT string_agg(md5(e::text), ' ' ORDER BY position) FROM albert_token_embeddings($text, 'albert-mini') e", 'token embeddings');

$node->stop;
done_testing();
