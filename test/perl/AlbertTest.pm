# AlbertTest.pm
#	  What the TAP tests share: a cluster with albert in it.
package AlbertTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT = qw(albert_node major_version kill_backend);

# albert_node(NAME, conf => "...", init => [...]): a started cluster whose
# database postgres has the extension.  conf is added to postgresql.conf.
sub albert_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(@{ $options{init} || [] });
	$node->append_conf('postgresql.conf', slurp_file($ENV{ALBERT_CONF}));
	$node->append_conf('postgresql.conf', $options{conf}) if defined $options{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION albert');
	return $node;
}

# A started server's major version.
sub major_version
{
	my ($node) = @_;

	return int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
}

# kill_backend(NODE, PID): kill -9 a server process, and wait until the server,
# which restarts all its processes then, is there again.  It is its log that
# tells: whoever connects meanwhile may be let in before it has noticed, or be
# turned away before a statement can be sent, which ends the test.
sub kill_backend
{
	my ($node, $pid) = @_;
	my $offset = -s $node->logfile;

	kill 'KILL', $pid;
	for (1 .. 1800)
	{
		return if slurp_file($node->logfile, $offset) =~ /database system is ready to accept connections/;
		sleep 0.1;
	}
	BAIL_OUT('the server does not come back');
}

1;
