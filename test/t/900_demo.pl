# The quick start's script runs to the end and answers.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('demo');
$node->init;
$node->append_conf('postgresql.conf', albert_conf());
$node->start;

my ($demo, $data) = (source_file('demo'), source_file('test/data'));
my ($stdout, $stderr);
my $result = $node->psql('postgres', "\\cd $data\n" . slurp_file("$demo/demo.sql"), stdout => \$stdout, stderr => \$stderr, on_error_stop => 1, timeout => 300);
is($result, 0, 'demo.sql runs without an error') or diag($stderr);
like($stdout, qr/india/, 'the capital question is answered');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 AND count(*) = count(embedding) FROM docs'), 't', 'every sentence has an embedding')
  if $result == 0;
is($node->safe_psql('postgres', q{SELECT sum(value) = (SELECT count(*) FROM docs) FROM report WHERE metric = 'confusion'}), 't', 'every sentence is in the confusion matrix of its topic')
  if $result == 0;

$node->stop;
done_testing();
