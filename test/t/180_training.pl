# Models that were trained on rows: taken to other programs and back, dumped and
# restored, interrupted and killed while they are made.
use strict;
use warnings;

use Cwd qw(abs_path);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use AlbertSession;
use AlbertTest;

my $node = albert_node('training', conf => "restart_after_crash = on\n");
my $work = abs_path(PostgreSQL::Test::Utils::tempdir());

$node->safe_psql('postgres', q{
	CREATE TABLE tickets (id int, body text, queue text, topics text[], hours float8);
	INSERT INTO tickets
	SELECT row_number() OVER (), format(pattern, thing), queue, ARRAY[queue, left(thing, 1)], length(pattern) + length(thing) / 10.0
	FROM (VALUES ('billing', 'The invoice for the %s shows the wrong price.'), ('billing', 'Please refund my payment for the %s.'),
	             ('network', 'The wireless connection of the %s is down again.'), ('network', 'No signal reaches the %s since the cable broke.'),
	             ('garden', 'The trees and flowers near the %s need water.'), ('garden', 'Birds and insects live in the grass behind the %s.')) p (queue, pattern),
	     unnest(ARRAY['house', 'hotel', 'school', 'station', 'tower', 'theatre']) thing;
	CALL albert_create_model('pooled', directory => 'small', pooling => 'pooler');
	CALL albert_create_model('odd', directory => 'small', pooling => 'max', max_length => 100);
	CREATE TABLE made AS
	SELECT name, base, (SELECT count(*) FROM albert_train(name, format('SELECT body, %s FROM tickets', label), base => base, strength => 10)) AS lines
	FROM (VALUES ('beside', 'albert-mini', 'queue'), ('plain', 'small', 'queue'), ('pooled_one', 'pooled', 'queue'), ('pooled_two', 'pooled', $$queue = 'garden'$$),
	             ('pooled_sets', 'pooled', 'topics'), ('pooled_number', 'pooled', 'hours'), ('odd_one', 'odd', 'queue')) m (name, base, label)});

# The scores of one model that differ from those of another; exact ones of the same computation, and others by rounding.
sub different
{
	my ($a, $b, $most) = @_;

	return $node->safe_psql('postgres', qq{SELECT count(*), count(*) FILTER (WHERE abs(x.score - y.score) > $most * greatest(1, x.score) OR y.score IS NULL)
		FROM tickets, LATERAL albert_classify_scores(body, '$a') x LEFT JOIN LATERAL albert_classify_scores(body, '$b') y USING (label)});
}

sub tensors
{
	my ($file) = @_;
	my $bytes = slurp_file($file);
	my $header = decode_json(substr($bytes, 8, unpack('Q<', $bytes)));

	is((sort { $a <=> $b } map { $_->{data_offsets}[1] } values %$header)[-1] + 8 + unpack('Q<', $bytes), length $bytes, "$file is as long as it says");
	return $header;
}

# ---- exported: the pooler's output is what transformers puts a classifier on ----

for my $case ([ 'pooled_one', 'single_label_classification', 3 ], [ 'pooled_two', 'single_label_classification', 2 ],
	[ 'pooled_sets', 'multi_label_classification', 6 ], [ 'pooled_number', 'regression', 1 ])
{
	my ($name, $problem, $n) = @$case;

	$node->safe_psql('postgres', "SELECT albert_export_directory('$name', '$work/$name')");
	my $config = decode_json(slurp_file("$work/$name/config.json"));
	my $header = tensors("$work/$name/model.safetensors");
	is("@{$config->{architectures}} $config->{problem_type} " . keys(%{ $config->{id2label} }), "AlbertForSequenceClassification $problem $n", "$name: a model for sequence classification");
	is_deeply($header->{'classifier.weight'}{shape}, [ $n, $config->{hidden_size} ], 'its classifier');
	is(join(' ', grep { !/^(albert\.(embeddings|encoder|pooler)\.|classifier\.)/ } keys %$header), '', 'on an encoder with a pooler, and nothing else');
	$node->safe_psql('postgres', "SELECT albert_import_directory('${name}_back', '$work/$name'); CALL albert_create_model('${name}_back')");
	like(different($name, "${name}_back", 1e-4), qr/^[1-9]\d*\|0$/, 'read again it is an ordinary model with the same scores');
	is($node->safe_psql('postgres', "SELECT description ? 'base' FROM albert_models WHERE name = '${name}_back'"), 'f', 'without a base');
}

# ---- any other is exported beside its base ----

for my $case ([ 'beside', 'albert-mini' ], [ 'plain', 'small' ])
{
	my ($name, $base) = @$case;

	$node->safe_psql('postgres', "SELECT albert_export_directory('$name', '$work/$name')");
	my $header = tensors("$work/$name/head/model.safetensors");
	is(join(' ', sort keys %$header), 'classifier.bias classifier.weight', "$name: a head");
	is(decode_json(slurp_file("$work/$name/head/config.json"))->{base}, $base, 'of its base');

	# both into the database again; the base has what its digest is of, so that the head fits
	$node->safe_psql('postgres', qq{
		SELECT albert_import_directory('$base', '$work/$name'); CALL albert_create_model('$base');
		SELECT albert_import_directory('${name}_back', '$work/$name/head'); CALL albert_create_model('${name}_back');});
	is(different($name, "${name}_back", 0), $node->safe_psql('postgres', 'SELECT 3 * count(*) FROM tickets') . '|0', 'both read again give the same scores');
	is($node->safe_psql('postgres', "SELECT count(DISTINCT sha256) FROM albert_models WHERE name IN ('$name', '${name}_back')"), 1, 'and are the same');
	$node->safe_psql('postgres', "SELECT albert_drop_model('$base')");
}
command_ok([ source_file('tools/albert-import'), '--quiet', '--model', 'uploaded', "$work/beside/head", '--', '-d', $node->connstr('postgres') ], 'a head is uploaded by a client');
is(different('beside', 'uploaded', 0) =~ s/.*\|//r, 0, 'and is the same');

sub fails
{
	my ($sql, $error, $name) = @_;
	my (undef, undef, $err) = $node->psql('postgres', $sql);

	like($err, $error, $name);
	return;
}

fails("SELECT albert_export_directory('odd_one', '$work/odd')", qr/cannot be exported with its base "odd".*has options that its files do not tell/s, 'options of the base that no file tells');
fails("SELECT albert_import_directory('x', '$work/beside/head'); CALL albert_create_model('x', \"precision\" => 'int8')", qr/model "x" cannot have options/, 'a head has no options');

# a head with a base of another size: its owner may write what he likes into it
append_to_file("$work/forged.sql", q{
	SELECT albert_import_file('forged', 'model.safetensors', data) FROM "!albert".beside WHERE path = 'model.safetensors';
	SELECT albert_import_file('forged', 'config.json', convert_to(regexp_replace(replace(convert_from(data, 'UTF8'), 'albert-mini', 'small'),
		'("base_sha256": ").{64}', '\1' || (SELECT description->>'base_sha256' FROM albert_models WHERE name = 'plain')), 'UTF8')) FROM "!albert".beside WHERE path = 'config.json';
	CALL albert_create_model('forged');
});
fails(slurp_file("$work/forged.sql"), qr/files of model "forged" are malformed.*embeddings that make \d+ values, and those of its base make \d+/s, 'a head for embeddings of another size');

# ---- dumped and restored ----

$node->safe_psql('postgres', q{
	ALTER TABLE tickets ADD guess text GENERATED ALWAYS AS (albert_classify(body, 'beside')) STORED,
	                    ADD guessed text GENERATED ALWAYS AS (albert_classify(body, 'pooled_one')) STORED;
	CREATE INDEX by_guess ON tickets (albert_classify(body, 'pooled_sets'))});
my $answers = q{SELECT name, sha256, md5((SELECT string_agg(x::text, ' ' ORDER BY id, x::text) FROM public.tickets, LATERAL public.albert_classify_scores(body, name) x))
	FROM public.albert_models WHERE name IN ('beside', 'pooled_one', 'pooled_two', 'pooled_sets', 'pooled_number') ORDER BY name;
	SELECT count(*) FROM public.tickets WHERE guess = public.albert_classify(body, 'beside') AND guessed = public.albert_classify(body, 'pooled_one');};
my $before = $node->safe_psql('postgres', $answers);
for my $options ([ 'plain' ], [ 'custom', '-Fc' ])
{
	my ($name, @options) = @$options;

	$node->command_ok([ 'pg_dump', @options, '-f', "$work/$name.dump", 'postgres' ], "$name: a dump");
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	command_ok([ $name eq 'plain' ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$work/$name.dump") : ('pg_restore', '--exit-on-error', "$work/$name.dump"),
		'-d', $node->connstr($name) ], 'restored without an error');
	is($node->safe_psql($name, $answers), $before, 'trained models, their bases and what was computed with them');
}
(undef, undef, my $lost) = $node->psql('custom', q{SELECT albert_drop_model('pooled'); SELECT albert_classify('text', 'pooled_one')});
like($lost, qr/model "pooled" does not exist.*CONTEXT:  model "pooled_one", which was trained on embeddings of "pooled"/s, 'the base dropped: an error that says so');
(undef, undef, $lost) = $node->psql('custom', q{CALL albert_create_model('pooled', directory => 'small'); SELECT albert_classify('text', 'pooled_one')});
like($lost, qr/model "pooled" is not the one that "pooled_one" was trained on/, 'another one of its name: likewise');

# ---- while it is made ----

my $texts = q{SELECT md5(i::text) || ' ' || md5((i * 7)::text), i % 3 FROM generate_series(1, 20000) i};
my $tables = q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = '!albert' AND relkind = 'r'};
my $existing = $node->safe_psql('postgres', $tables);
my $session = AlbertSession->new($node, 'postgres');

$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
$session->send("SELECT count(*) FROM albert_train('never', \$\$$texts\$\$, base => 'base_shape')");
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM albert_progress WHERE rows_done > 0') or die 'no progress';
is($node->safe_psql('postgres', 'SELECT relation IS NULL, task, model, rows_total, rows_done < 20000, tokens > 0 FROM albert_progress'), 't|train|never|20000|t|t', 'others see how far it is');
is(AlbertSession->new($node, 'postgres', user => 'stranger')->query('SELECT task, model FROM albert_progress'), '|', 'a stranger does not');
is($node->safe_psql('postgres', q{SELECT count(*) FROM albert_models WHERE name = 'never'}), 0, 'and there is no model yet');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
like(($session->wait)[1], qr/canceling statement due to user request/, 'cancelled');
is($node->safe_psql('postgres', "$tables; SELECT count(*) FROM albert_progress"), "$existing\n0", 'it leaves nothing');

# Many labels, so that fits take long.
my $labels = q{SELECT md5((i % 400)::text) || ' ' || md5(i::text), i % 200 FROM generate_series(1, 2000) i};
for my $end (qw(cancel terminate))
{
	$session->send("SELECT count(*) FROM albert_train('never', \$\$$labels\$\$, base => 'small')");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM albert_progress WHERE task = 'fit' AND rows_total = 41}) or die 'no fits';
	$node->safe_psql('postgres', "SELECT pg_${end}_backend(" . $session->pid . ')');
	like(($session->wait)[1], qr/canceling statement due to user request|terminating connection/, "fits: $end") if $end eq 'cancel';
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM albert_progress'), 'nothing goes on');
	is($node->safe_psql('postgres', $tables), $existing, 'and nothing is left');
}

# Replacing a model, and making a new one, killed at any time: in the texts, the fits, the writing.
my $again = q{SELECT count(*) FROM albert_train('beside', 'SELECT body, queue FROM tickets', base => 'albert-mini', strength => 10)};
my $wrong = 0;
srand(18);
for my $turn (1 .. 5)
{
	my $victim = AlbertSession->new($node, 'postgres');
	my $pid = $victim->pid;

	$victim->send($turn % 2 ? $again : "BEGIN; SELECT count(*) FROM albert_train('never', \$\$$texts LIMIT 2000\$\$, base => 'small'); SELECT pg_sleep(60)");
	sleep rand(0.5);
	kill_backend($node, $pid);
	eval { $victim->quit; 1 };
	$wrong++ if $node->safe_psql('postgres', $tables) ne $existing || $node->safe_psql('postgres', $answers) ne $before;
}
is($wrong, 0, 'killed, it leaves nothing, and what was there answers as before');
is($node->safe_psql('postgres', 'SELECT count(*) FROM albert_progress'), 0, 'nothing is shown as running');

$node->stop;
done_testing();
