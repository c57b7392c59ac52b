# 420_minilm.pl
#	  all-MiniLM-L6-v2, the directory as it is published: token ids and offsets
#	  are those of AutoTokenizer, embeddings those of sentence-transformers in
#	  double precision (test/data/make_minilm_answers.py).
#
#	  ALBERT_MINILM    its directory (tools/minilm.sh), or why there is none
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertTest;
use File::Basename;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = $ENV{ALBERT_MINILM} // 'none';

plan skip_all => 'all-MiniLM-L6-v2 cannot be had' if !-d $directory;

my $data = source_file('test/data');
my $models = dirname($directory);
my $name = basename($directory);
my $node = albert_node('minilm', conf => "albert.model_path = '$models'\n");

sub answer
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# ---- the answers: a row a text ----
my $vectors = slurp_file("$data/minilm_answers.f32");
my $size = 384 * 4;
my $number = 0;

open my $rows, '>', "$PostgreSQL::Test::Utils::tmp_check/vectors" or die;
for (my $at = 0; $at < length $vectors; $at += $size)
{
	print $rows $number++, "\t{", join(',', map { sprintf '%.9g', $_ } unpack 'f<*', substr $vectors, $at, $size), "}\n";
}
close $rows;
answer(qq{
	CREATE TABLE line (id int GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0), g jsonb);
	COPY line (g) FROM '$data/minilm_answers.jsonl' WITH (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02');
	CREATE TABLE vector (id int, expected float8[])});
system_or_bail('psql', '-Xq', '-d', $node->connstr('postgres'), '-c', "\\copy vector FROM '$PostgreSQL::Test::Utils::tmp_check/vectors'");
answer(q{
	CREATE TABLE answer AS SELECT id, g->>'text' AS content, g->'ids' AS ids, g->'offsets' AS offsets, expected FROM line JOIN vector USING (id);
	ANALYZE answer});
is(answer('SELECT count(*) = ' . $number . ' AND count(*) > 200 FROM answer'), 't', "$number texts");

# ---- as it is ----
is(answer("SELECT architecture, layers, hidden_size FROM albert_models WHERE name = '$name'"), 'BertModel|6|384', 'what it is');

is(answer(qq{
	SELECT id, content FROM answer a, LATERAL (
		SELECT jsonb_agg(token_id ORDER BY "position") AS ids, jsonb_agg(jsonb_build_array(start, stop) ORDER BY "position") AS offsets
		FROM albert_tokens(content, model => '$name')) t
	WHERE (t.ids, t.offsets) IS DISTINCT FROM (a.ids, a.offsets)}), '', 'ids and offsets');

answer(qq{CREATE TABLE got AS SELECT id, albert_embedding(content, '$name') AS e FROM answer});
my ($largest, $cosine, $cases) = split /\|/, answer(q{
	SELECT max(d), max(1 - c), count(*) FROM answer JOIN got USING (id), LATERAL (
		SELECT max(abs(a - b)) AS d, sum(a * b) / sqrt(sum(a * a) * sum(b * b)) AS c FROM unnest(expected, e::float8[]) AS x (a, b)) y});

diag(sprintf 'figure: %d embeddings: largest difference %.1e, largest 1 - cosine %.1e (limits 1e-6)', $cases, $largest, $cosine);
is($cases, $number, 'an embedding of each');
cmp_ok($largest, '<', 1e-6, 'embeddings: each number');
cmp_ok(abs $cosine, '<', 1e-6, 'embeddings: cosine');

# ---- alone as in a batch ----
is(answer(qq{
	SET albert.enable_batching = off;
	SELECT id FROM answer JOIN got USING (id) WHERE albert_embedding(content, '$name') <> e}), '', 'row by row the same bits');

# ---- the demo of this model ----
{
	my ($stdout, $stderr);

	$node->safe_psql('postgres', 'CREATE DATABASE demo');
	my $result = $node->psql('demo', "\\cd $data\n" . slurp_file(source_file('demo/minilm.sql')), stdout => \$stdout, stderr => \$stderr, on_error_stop => 1, timeout => 300);

	is($result, 0, 'demo/minilm.sql runs without an error') or diag($stderr);
	like($stdout, qr/music/, 'a question about music is answered');
}

# ---- in fewer bits ----
for my $precision (qw(bf16 int8))
{
	my $limit = { bf16 => 0.999, int8 => 0.95 }->{$precision};

	$node->append_conf('postgresql.conf', "albert.precision = '$precision'\n");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('albert.precision', true) = '$precision'") or die;
	my ($least, $mean) = split /\|/, answer(qq{
		SELECT min(c), avg(c) FROM (
			SELECT albert_similarity(e, albert_embedding(content, '$name')) AS c FROM answer JOIN got USING (id)) x});

	diag("figure: $precision: least cosine to fp32 $least, mean $mean");
	cmp_ok($least, '>', $limit, "$precision is close to fp32");
}

$node->stop;
done_testing();
