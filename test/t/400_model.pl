# The model that comes with albert, on the fixed evaluation set: each kind of
# case must reach the minimum that the set's first line states for it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = source_file('test/data/mini_eval.jsonl');
my $node = albert_node('model');

$node->safe_psql('postgres', qq{
	CREATE TABLE lines (g jsonb);
	COPY lines FROM '$file' WITH (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02')});

# The share of masks whose best token is one of the accepted.
my %cloze = figures(q{
	SELECT g->>'kind', count(*),
		avg((coalesce(g->'accept', jsonb_build_array(g->'expect')) ? albert_fill_mask(g->>'text'))::int)
	FROM lines WHERE g ? 'text' GROUP BY 1});

# Spearman's correlation of the similarities with the teacher's; equal values share their mean rank.
my %similarity = figures(q{
	WITH pairs AS (SELECT g->>'kind' AS kind, albert_similarity(g->>'a', g->>'b') AS ours, (g->>'teacher')::float8 AS teacher
			FROM lines WHERE g ? 'teacher'),
		ranks AS (SELECT kind,
			rank() OVER (PARTITION BY kind ORDER BY ours) + (count(*) OVER (PARTITION BY kind, ours) - 1) / 2.0 AS ours,
			rank() OVER (PARTITION BY kind ORDER BY teacher) + (count(*) OVER (PARTITION BY kind, teacher) - 1) / 2.0 AS teacher
			FROM pairs)
	SELECT kind, count(*), corr(ours, teacher) FROM ranks GROUP BY 1});

# kind => [cases, value]
sub figures
{
	my ($query) = @_;

	return map { my ($kind, @figures) = split /\|/; $kind => \@figures } split /\n/, $node->safe_psql('postgres', $query);
}

my %measured = (%cloze, %similarity);
my $minimum = decode_json($node->safe_psql('postgres', q{SELECT g->'values' FROM lines WHERE g->>'kind' = 'minimum'}));

is($node->safe_psql('postgres', q{SELECT count(*) FROM lines WHERE g->>'kind' <> 'minimum' AND NOT (g ? 'text' OR g ? 'teacher')}), 0,
	'every case is one that is understood');
cmp_ok(scalar(keys %$minimum), '>', 0, 'the set states minima');
for my $kind (sort keys %measured)
{
	my ($cases, $value) = @{ $measured{$kind} };

	diag(sprintf 'figure: %-12s %4d cases  %.4f  (minimum %s)', $kind, $cases, $value, $minimum->{$kind} // 'none');
}
for my $kind (sort keys %$minimum)
{
	my ($cases, $value) = @{ $measured{$kind} // [ 0, -1 ] };

	# The minima are of four digits, made from figures of four digits.
	cmp_ok(sprintf('%.4f', $value), '>=', $minimum->{$kind}, "$kind: $cases cases");
}

$node->stop;
done_testing();
