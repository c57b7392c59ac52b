# AlbertTest.pm
#	  What the TAP tests share: a cluster with albert in it.
package AlbertTest;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT = qw(albert_node albert_conf source_file server_directory major_version kill_backend);

# A file or directory of the source tree.
sub source_file
{
	return abs_path(dirname(__FILE__) . '/../..') . "/$_[0]";
}

# A directory of the server's installation: server_directory('bindir').
sub server_directory
{
	chomp(my $directory = `pg_config --$_[0]`);
	return $directory;
}

# What every server of the tests is configured with: the models that
# test/assemble_models.py has made are found by name.
sub albert_conf
{
	my $models = $ENV{ALBERT_TEST_MODELS} || source_file('build/test-models');

	return "fsync = off\nalbert.model_path = '\$sharedir/albert:$models'\n";
}

# albert_node(NAME, conf => "...", init => [...], new => [...]): a started cluster
# whose database postgres has the extension.  conf is added to postgresql.conf,
# init and new are options of Cluster's methods.
sub albert_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, @{ $options{new} || [] });

	# the encoding and locale are not those of whoever runs the test
	$node->init(@{ $options{init} || [ extra => [ '--encoding=UTF8', '--locale=C' ] ] });
	$node->append_conf('postgresql.conf', albert_conf());
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
