# AlbertModels.pm
#	  Models made for the tests of the store, and sessions stopped in the
#	  middle of loading one.
package AlbertModels;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);
use Test::More;

our @EXPORT = qw(make_models model_conf loads_logged stop_in_load model_state embedding SMALL LARGE);

# Settings of make_models.py: a model that is loaded in no time, and one whose
# loading takes a few tenths of a second.
use constant SMALL => 'hidden_size=32';
use constant LARGE => 'embedding_size=128,hidden_size=1024,intermediate_size=4096,num_attention_heads=16,'
  . 'num_hidden_groups=4,num_hidden_layers=4,max_position_embeddings=512';

# make_models(NAME => SETTINGS, ...): the directory they are in.  All tests of a
# file are skipped when there is no Python.
sub make_models
{
	my %models = @_;
	my $directory = abs_path(PostgreSQL::Test::Utils::tempdir());
	my $python = $ENV{PYTHON} || 'python3';
	my $script = abs_path(__FILE__) =~ s{perl/[^/]*$}{make_models.py}r;

	plan skip_all => "no $python to make models with" if system("$python -c 1 >/dev/null 2>&1") != 0;
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

# Let a session load a model and stop its process in the middle of it.  The
# session is $session; $watcher is another one, of a superuser.  False when the
# process was always quicker, so that it cannot be tested here.
sub stop_in_load
{
	my ($node, $session, $watcher, $model) = @_;

	for my $try (1 .. 20)
	{
		my $offset = -s $node->logfile;
		my $end = time + 60;
		my $seen = 0;

		$watcher->query("SELECT albert_unload('$model')");
		$session->send("SELECT albert_load('$model')");
		while (!$seen && time < $end)
		{
			$seen = slurp_file($node->logfile, $offset) =~ /albert loads model "\Q$model\E"/;
			sleep 0.001;
		}
		kill 'STOP', $session->pid;
		return 1 if model_state($watcher, $model) eq 'loading';
		kill 'CONT', $session->pid;
		$session->wait;
	}
	return 0;
}

1;
