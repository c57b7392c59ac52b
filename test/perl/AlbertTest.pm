# AlbertTest.pm
#	  What the TAP tests share: a cluster with albert in it, and reasons to
#	  leave a test out.
package AlbertTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(albert_node skip_all_without_reference skip_all_without_base_shape);

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

sub skip_all_without_reference
{
	plan skip_all => 'no reference data (set ALBERT_REFERENCE)'
	  unless defined $ENV{ALBERT_REFERENCE} && -d "$ENV{ALBERT_REFERENCE}/models";
	return;
}

sub skip_all_without_base_shape
{
	plan skip_all => 'no base-shaped model (needs the reference data and numpy)'
	  unless defined $ENV{ALBERT_BASE_SHAPE} && -d $ENV{ALBERT_BASE_SHAPE};
	return;
}

1;
