# AlbertModels.pm
#	  Models made for the tests of the store, and sessions held up in the
#	  middle of loading one.
package AlbertModels;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_models model_conf loads_logged stop_in_load go_on model_state embedding SMALL LARGE);

# Settings of make_models.py: a model of less than a megabyte, and one of 200.
use constant SMALL => 'hidden_size=32';
use constant LARGE => 'embedding_size=128,hidden_size=1024,intermediate_size=4096,num_attention_heads=16,'
  . 'num_hidden_groups=4,num_hidden_layers=4,max_position_embeddings=512';

# make_models(NAME => SETTINGS, ...): the directory they are in.
sub make_models
{
	my %models = @_;
	my $directory = abs_path(PostgreSQL::Test::Utils::tempdir());
	my $python = $ENV{PYTHON} || 'python3';
	my $script = abs_path(__FILE__) =~ s{perl/[^/]*$}{make_models.py}r;

	system_or_bail($python, $script, $directory, map { "$_:$models{$_}" } sort keys %models);
	chmod 0755, $directory;
	return $directory;
}

sub model_conf
{
	my ($directory) = @_;

	return "albert.model_path = '$directory'\nalbert.model = 'small'\nlog_min_messages = debug1\n"
	  . "jit = off\nmax_worker_processes = 16\n";
}

# An expression for the rounded beginning of an embedding.
sub embedding
{
	my ($model, $text) = @_;

	$text //= q('the capital of france');
	return "(SELECT string_agg(round(v::numeric, 4)::text, ' ') FROM unnest((albert_embedding($text, '$model'))[1:4]) v)";
}

# How often a model's weights (or another part) have been loaded, by the server's log.
sub loads_logged
{
	my ($node, $model, $part) = @_;
	my $log = slurp_file($node->logfile);

	$part //= 'weights';
	return scalar(() = $log =~ /albert loaded model "\Q$model\E" \($part\)/g);
}

sub model_state
{
	my ($session, $model) = @_;

	return $session->query("SELECT string_agg(state, ',') FROM albert_models WHERE name = '$model'");
}

# Let a session load a model and stop in the middle of it, until go_on.  The
# session is $session; $watcher is another one.  Both are of superusers.
sub stop_in_load
{
	my ($node, $session, $watcher, $model) = @_;

	$watcher->query("SELECT albert_unload('$model')");
	$watcher->query('SELECT pg_advisory_lock(1, 1)');
	$session->query('SET albert.load_lock_id = 1');
	$session->send("SELECT albert_load('$model')");
	$node->poll_query_until('postgres',
		q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = ) . $session->pid)
	  or die 'the session does not load the model';
	return;
}

sub go_on
{
	my ($watcher) = @_;

	$watcher->query('SELECT pg_advisory_unlock(1, 1)');
	return;
}

1;
