# 300_batching_corpus.pl
#	  Many query shapes with the batching node and without: the same results,
#	  errors, notices and effects; in batches of different sizes, in little
#	  memory, and with parallel workers.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertTest;
use BatchingCorpus;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my %functions = (
	U => 'albert_fill_mask', L => 'albert_token_count',
	S => 'albert_sentence_order', A => 'albert_embedding');
my $node = albert_node('corpus', conf => <<CONF);
albert.model = 'm01_plain'
max_worker_processes = 8
jit = off
autovacuum = off
CONF
my @queries = corpus_queries();
my $serial = 'SET max_parallel_workers_per_gather = 0;';
my $parallel = 'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;'
  . ' SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;';
my @modes = (
	[ 'in one process', $serial, 0 ],
	[ 'in small batches', "$serial SET albert.batch_tokens = 16;", 0 ],
	[ 'in little memory', "$serial SET work_mem = '64kB';", 0 ],
	[ 'with workers', $parallel, 1 ],
	[ 'with workers and an idle leader', "$parallel SET parallel_leader_participation = off;", 1 ]);

$node->safe_psql('postgres', corpus_fill(corpus_setup(), \%functions));

# What the statements may have changed, apart from what they return.
my $effects = join ' ', (
	"SELECT 'counter', nextval('counter');",
	"SELECT 'log', count(*), md5(string_agg(what, ',' ORDER BY at)) FROM log;",
	map { "SELECT '$_', count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM $_ t;" }
	  qw(docs target target_parts parts parent fresh big));

# Workers matter to queries, and only what is defined by the query can be compared.
sub is_for_workers
{
	my ($query) = @_;

	return $query =~ /^(SET [^;]*; )?(SELECT|WITH|CREATE|COPY)/ && $query !~ /LIMIT|OFFSET [1-9]|FETCH|lens|first_/;
}

# Run the statements with these numbers; their outputs.
sub run_all
{
	my ($settings, $batching, @numbers) = @_;
	my $begin = "SET albert.enable_batching = $batching; $settings";
	my $script = "\\set VERBOSITY verbose\n\\set ON_ERROR_ROLLBACK on\n";
	my ($out, %outputs);

	for my $i (@numbers)
	{
		my $query = corpus_fill($queries[$i][0], \%functions);

		$script .= "\\echo ==== $i\nRESET ALL; RESET ROLE; DEALLOCATE ALL; $begin\nBEGIN;\n"
		  . "SELECT setval('counter', 1), setval('target_at_seq', 1), setval('log_at_seq', 1);\n"
		  . "$query;\nRESET ROLE;\n$effects\nROLLBACK;\n";
	}
	IPC::Run::run([ $node->installed_command('psql'), '-XqAt', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$script, '>', \$out, '2>&1');
	$out =~ s/^psql:<stdin>:\d+: //mg;
	$out =~ s/^LOCATION: .*\n//mg;
	(undef, %outputs) = split /^==== (\d+)\n/m, $out;
	return \%outputs;
}

# Workers return rows in any order, and any rows where the query leaves it open.
sub comparable
{
	my ($output, $query, $known, $parallel) = @_;
	my $failed = $output =~ /^ERROR/m ? 'fails' : 'succeeds';

	return $failed if grep { $_ eq 'either' || ($_ eq 'serial' && $parallel) } @$known;
	return $output unless $parallel;
	$output =~ s/^CONTEXT: .*\n//mg;
	return join "\n", sort split /\n/, $output;
}

# The comparison is of something: most shapes get a node.
my ($explained, $batched) = (0, 0);
my $script = "$serial\n";
for my $query (@queries)
{
	my $sql = corpus_fill($query->[0], \%functions);

	next if $sql =~ /;/ || $sql !~ /^(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|DECLARE)/;
	$script .= "\\echo ====\nEXPLAIN (COSTS OFF) $sql;\n";
	$explained++;
}
my $plans = '';
IPC::Run::run([ $node->installed_command('psql'), '-XqAt', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$script, '>', \$plans, '2>&1');
$batched = grep { /AlbertBatch/ } split /^====\n/m, $plans;
cmp_ok($batched, '>', $explained * 0.8, "most of $explained query shapes are batched ($batched)");

for my $mode (@modes)
{
	my ($name, $settings, $parallel) = @$mode;
	my @numbers = grep { !$parallel || is_for_workers($queries[$_][0]) } 0 .. $#queries;
	my $with = run_all($settings, 'on', @numbers);
	my $without = run_all($settings, 'off', @numbers);
	my $failed = 0;

	for my $i (@numbers)
	{
		my ($query, @known) = @{ $queries[$i] };
		my @both = map { comparable($_->{$i} // '', $query, \@known, $parallel) } $with, $without;

		BAIL_OUT("no output of $query") unless defined $with->{$i} && defined $without->{$i};
		is($both[0], $both[1], "$name: $query") or $failed++;
		is($without->{$i} =~ /^ERROR/m ? 1 : 0, 1, "$name: $query fails") if grep { $_ eq 'error' } @known;
	}
	diag("$name: $failed differ") if $failed;
}

$node->stop;
done_testing();
