# 100_reference.pl
#	  Every answer of the reference data, asked for in SQL: tokenizer, hidden
#	  states, fill-mask and the heads.  The goldens are the float64 answers of
#	  transformers; what is compared and how closely is stated at each test.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $reference = source_file('test/reference');
my $node = albert_node('reference');

# One row a golden record.
$node->safe_psql('postgres', 'CREATE TABLE golden (file text, g jsonb)');
for my $file (qw(embeddings fill_mask sop classify qa token_classify multiple_choice
	tokenizer_real30k tokenizer_pairs))
{
	$node->safe_psql('postgres', qq{
		CREATE TEMP TABLE line (g text);
		COPY line FROM '$reference/goldens/$file.jsonl' WITH (FORMAT csv, QUOTE e'\\x01', DELIMITER e'\\x02');
		INSERT INTO golden SELECT '$file', g::jsonb FROM line WHERE g NOT LIKE '%\\u0000%'});
}
$node->safe_psql('postgres', q{
	CREATE VIEW test AS SELECT file, g->>'id' AS id, g->>'model' AS model, g->>'text' AS content, g->>'text_pair' AS pair, g FROM golden;
	CREATE FUNCTION floats(jsonb) RETURNS float8[] LANGUAGE sql IMMUTABLE AS
		$$ SELECT array_agg(v::float8 ORDER BY o) FROM jsonb_array_elements_text($1) WITH ORDINALITY AS x (v, o) $$;
	CREATE FUNCTION ints(jsonb) RETURNS int[] LANGUAGE sql IMMUTABLE AS
		$$ SELECT coalesce(array_agg(v::int ORDER BY o), '{}') FROM jsonb_array_elements_text($1) WITH ORDINALITY AS x (v, o) $$;
	-- the largest difference; NULL when the lengths differ
	CREATE FUNCTION distance(float8[], float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS
		$$ SELECT CASE WHEN cardinality($1) = cardinality($2) THEN
			(SELECT max(abs(a - b)) FROM unnest($1, $2) AS x (a, b)) END $$;
});

# What within has seen: [name, figures] in order, and model => {name => largest error}.
my @compared;
my %agreement;

# What a query finds wrong, as lines; none is a pass.  It must look at MIN cases at least.
sub no_differences
{
	my ($name, $min, $query) = @_;

	my ($rc, $out, $err) = $node->psql('postgres', $query, on_error_stop => 1);
	return ok(0, "$name: $err") if $rc != 0;
	my ($cases, @wrong) = split /\n/, $out;
	diag(join "\n", @wrong[ 0 .. ($#wrong < 20 ? $#wrong : 20) ]) if @wrong;
	diag(sprintf 'figure: %-53s %5d cases, %d different', $name, $cases, scalar @wrong);
	ok($cases >= $min && !@wrong, "$name: $cases cases, " . scalar(@wrong) . ' different');
	return;
}

# Distances within the limit, a line "model|cases|largest|of other shape" for each model; they are shown.
sub within
{
	my ($name, $min, $limit, $query) = @_;
	my ($all, $largest, $unequal) = (0, 0, 0);

	my ($rc, $out, $err) = $node->psql('postgres', $query, on_error_stop => 1);
	return ok(0, "$name: $err") if $rc != 0;
	for my $line (split /\n/, $out)
	{
		my ($model, $cases, $worst, $other) = split /\|/, $line;

		$worst = 'inf' if $worst eq '';
		$agreement{$model}{$name} = sprintf '%.1e', $worst;
		$all += $cases;
		$unequal += $other;
		$largest = $worst if $worst > $largest;
	}
	push @compared, [ $name, sprintf('%d cases, largest error %.1e (limit %s)', $all, $largest, $limit) ];
	ok($all >= $min && $unequal == 0 && $largest <= $limit,
		"$name: $all cases, largest difference $largest (limit $limit), $unequal of other shape");
	return;
}

# ---- tokenizer: exact ----

# hub: the published tokenizer.json; "=slow" where the slow tokenizer's ids are the same.
no_differences('ids without special tokens', 600, q{
	WITH t AS (SELECT id, ints(g->CASE WHEN g->'hub_ids' = '"=slow"' THEN 'slow_ids' ELSE 'hub_ids' END) AS expected,
			(SELECT array_agg(token_id ORDER BY "position") FILTER (WHERE NOT special) FROM albert_tokens(content, model => 'r01_real30k')) AS got
		FROM test WHERE file = 'tokenizer_real30k')
	SELECT count(*)::text FROM t UNION ALL
	SELECT format('%s: %s, not %s', id, got, expected) FROM t WHERE coalesce(got, '{}') <> expected});

no_differences('offsets', 600, q{
	WITH t AS (SELECT id, g->'hub_offsets' AS expected,
			(SELECT coalesce(jsonb_agg(jsonb_build_array(start, stop) ORDER BY "position") FILTER (WHERE NOT special), '[]') FROM albert_tokens(content, model => 'r01_real30k')) AS got
		FROM test WHERE file = 'tokenizer_real30k')
	SELECT count(*)::text FROM t UNION ALL
	SELECT format('%s: %s, not %s', id, got, expected) FROM t WHERE got <> expected});

no_differences('ids and offsets of model inputs', 300, q{
	WITH t AS (SELECT id, g->'ids' AS expected, to_jsonb(albert_encode(content, pair => coalesce(pair, ''), model => model)) AS pair_ids,
			to_jsonb(albert_encode(content, model)) AS ids, pair
		FROM test WHERE file IN ('embeddings', 'fill_mask', 'sop', 'classify', 'token_classify') AND NOT g ? 'tokenizer_kwargs')
	SELECT count(*)::text FROM t UNION ALL
	SELECT id FROM t WHERE CASE WHEN pair IS NULL THEN ids ELSE pair_ids END <> expected});

# ---- hidden states: within 1.4e-5, five times the largest error of torch in float32 ----

my $rows = q{
	CREATE TEMP TABLE hidden AS
	SELECT t.id, t.model, t.g, e."position", e.embedding::float8[] AS x
	FROM test t, LATERAL (
		SELECT * FROM albert_token_embeddings(content, model) WHERE pair IS NULL
		UNION ALL SELECT * FROM albert_token_embeddings(content, pair, model) WHERE pair IS NOT NULL) e
	WHERE file = 'embeddings' AND model NOT LIKE '%tokenizer%' AND model !~ '^m07' AND
		(NOT g ? 'tokenizer_kwargs' OR (g->'tokenizer_kwargs'->>'max_length')::int = albert_max_length(model));
};
$node->safe_psql('postgres', q{
	-- the most tokens that a model takes
	CREATE FUNCTION albert_max_length(model text) RETURNS int LANGUAGE sql STABLE AS
		$$ SELECT count(*)::int FROM albert_token_embeddings(repeat('word ', 600), model) $$});
within('last hidden state, first and last row', 80, 1.8e-5, $rows . q{
	WITH d AS (
		SELECT model, distance(x, floats(g->'f64'->'last_hidden_first')) AS d FROM hidden WHERE "position" = 0
		UNION ALL
		SELECT model, distance(x, floats(g->'f64'->'last_hidden_last')) FROM hidden h WHERE "position" = jsonb_array_length(g->'ids') - 1)
	SELECT model, count(*), max(d), count(*) FILTER (WHERE d IS NULL) FROM d GROUP BY 1 ORDER BY 1});

within('embedding, mean pooling', 60, 1.4e-5, q{
	WITH d AS (SELECT model, distance(albert_embedding(content, model, pooling => 'mean')::float8[], floats(g->'f64'->'mean')) AS d
		FROM test WHERE file = 'embeddings' AND pair IS NULL AND NOT g ? 'tokenizer_kwargs')
	SELECT model, count(*), max(d), count(*) FILTER (WHERE d IS NULL) FROM d GROUP BY 1 ORDER BY 1});
within('embedding, mean pooling, normalised', 60, 1.9e-6, q{
	WITH d AS (SELECT model, distance(albert_embedding(content, model, normalized => true)::float8[], floats(g->'f64'->'mean_normalized')) AS d
		FROM test WHERE file = 'embeddings' AND pair IS NULL AND NOT g ? 'tokenizer_kwargs')
	SELECT model, count(*), max(d), count(*) FILTER (WHERE d IS NULL) FROM d GROUP BY 1 ORDER BY 1});
within('embedding, pooler', 30, 1.1e-5, q{
	WITH d AS (SELECT model, distance(albert_embedding(content, model, pooling => 'pooler')::float8[], floats(g->'f64'->'pooler_output')) AS d
		FROM test WHERE file = 'embeddings' AND pair IS NULL AND NOT g ? 'tokenizer_kwargs' AND g->'f64' ? 'pooler_output')
	SELECT model, count(*), max(d), count(*) FILTER (WHERE d IS NULL) FROM d GROUP BY 1 ORDER BY 1});

# ---- fill-mask: tokens and sequences exact, scores within 4.8e-6 ----

$node->safe_psql('postgres', q{
	CREATE TABLE mask_golden AS
	SELECT id, model, content, m.mask, k.rank, k.v->>'token_str' AS token, (k.v->>'token')::int AS token_id,
		(k.v->>'score')::float8 AS score, k.v->>'sequence' AS sequence
	FROM test, jsonb_array_elements(g->'f64') WITH ORDINALITY AS m (v, mask),
		jsonb_array_elements(m.v) WITH ORDINALITY AS k (v, rank)
	WHERE file = 'fill_mask' AND NOT g ? 'f32_f64_order_differs';
	CREATE TABLE mask_got AS
	SELECT t.id, c.* FROM (SELECT DISTINCT id, model, content FROM mask_golden) t,
		albert_fill_mask_candidates(content, model, top_k => 10) c});
no_differences('fill-mask candidates', 1000, q{
	SELECT count(*)::text FROM mask_golden UNION ALL
	SELECT format('%s: mask %s rank %s: %s (%s) %s, not %s (%s) %s', e.id, e.mask, e.rank, g.token, g.token_id, g.sequence, e.token, e.token_id, e.sequence)
	FROM mask_golden e LEFT JOIN mask_got g ON g.id = e.id AND g.mask = e.mask AND g.rank = e.rank
	WHERE (g.token_id, g.token, g.sequence) IS DISTINCT FROM (e.token_id, e.token, e.sequence)});
within('fill-mask scores', 1000, 4.8e-6, q{
	SELECT e.model, count(*), max(abs(g.score - e.score)), count(*) FILTER (WHERE g.score IS NULL)
	FROM mask_golden e LEFT JOIN mask_got g USING (id, mask, rank) GROUP BY 1 ORDER BY 1});
no_differences('albert_fill_mask is the first candidate of each mask', 100, q{
	WITH t AS (SELECT id, albert_fill_mask(content, model) AS got, albert_decode(array_agg(token_id ORDER BY mask), model) AS expected
		FROM mask_golden WHERE rank = 1 GROUP BY id, content, model)
	SELECT count(*)::text FROM t UNION ALL
	SELECT format('%s: %s, not %s', id, got, expected) FROM t WHERE got <> expected});

# ---- sentence order: within 3.5e-6 ----

within('sentence order', 30, 3.5e-6, q{
	WITH d AS (SELECT model, abs(albert_sentence_order(content, pair, model) - (floats(g->'f64'->'probs'))[1]) AS d FROM test WHERE file = 'sop')
	SELECT model, count(*), max(d), count(*) FILTER (WHERE d IS NULL) FROM d GROUP BY 1 ORDER BY 1});

# ---- classification: labels and their order exact, scores within 1.8e-6 (7e-6 for the unbounded score of a regression) ----

$node->safe_psql('postgres', q{
	CREATE TABLE class_golden AS
	SELECT id, model, content, pair, l.rank, l.v->>'label' AS label, (l.v->>'score')::float8 AS score
	FROM test, jsonb_array_elements(g->'f64'->'all') WITH ORDINALITY AS l (v, rank) WHERE file = 'classify';
	CREATE TABLE class_got AS
	SELECT t.id, c.*
	FROM (SELECT DISTINCT id, model, content, pair FROM class_golden) t, LATERAL (
		SELECT * FROM albert_classify_scores(content, model) WITH ORDINALITY WHERE pair IS NULL
		UNION ALL SELECT * FROM albert_classify_scores(content, pair, model) WITH ORDINALITY WHERE pair IS NOT NULL) c (label, score, rank)});
no_differences('classification labels', 30, q{
	SELECT count(*)::text FROM class_golden UNION ALL
	SELECT format('%s rank %s: %s, not %s', e.id, e.rank, g.label, e.label)
	FROM class_golden e LEFT JOIN class_got g USING (id, rank) WHERE g.label IS DISTINCT FROM e.label});
within('classification scores', 30, 7e-6, q{
	SELECT e.model, count(*), max(abs(g.score - e.score)), count(*) FILTER (WHERE g.score IS NULL)
	FROM class_golden e LEFT JOIN class_got g USING (id, rank) GROUP BY 1 ORDER BY 1});
no_differences('albert_classify is the first label', 10, q{
	WITH t AS (SELECT id, label, CASE WHEN pair IS NULL THEN albert_classify(content, model) ELSE albert_classify(content, pair, model) END AS got
		FROM class_golden WHERE rank = 1)
	SELECT count(*)::text FROM t UNION ALL SELECT format('%s: %s, not %s', id, got, label) FROM t WHERE got <> label});

# ---- question answering: answers and places exact, scores within 1e-6 ----

$node->safe_psql('postgres', q{
	CREATE TABLE qa_golden AS
	SELECT id, model, g->'input' AS i, a.rank, a.v->>'answer' AS answer, (a.v->>'score')::float8 AS score,
		(a.v->>'start')::int AS start, (a.v->>'end')::int AS stop
	FROM test, jsonb_array_elements(CASE jsonb_typeof(g->'f64') WHEN 'array' THEN g->'f64' ELSE jsonb_build_array(g->'f64') END)
		WITH ORDINALITY AS a (v, rank)
	WHERE file = 'qa' AND NOT g ? 'f32_f64_order_differs';
	CREATE TABLE qa_got AS
	SELECT t.id, c.* FROM (SELECT DISTINCT id, model, i FROM qa_golden) t,
		albert_answers(i->>'question', i->>'context', model,
			top_k => coalesce((i->>'top_k')::int, 1),
			handle_impossible => coalesce((i->>'handle_impossible_answer')::bool, false),
			max_answer_len => coalesce((i->>'max_answer_len')::int, 15),
			max_seq_len => coalesce((i->>'max_seq_len')::int, 384),
			doc_stride => coalesce((i->>'doc_stride')::int, -1),
			align_to_words => coalesce((i->>'align_to_words')::bool, true)) c});
no_differences('answers', 20, q{
	SELECT count(*)::text FROM qa_golden UNION ALL
	SELECT format('%s rank %s: %s [%s, %s] %s, not %s [%s, %s] %s', e.id, e.rank, g.answer, g.start, g.stop, g.score, e.answer, e.start, e.stop, e.score)
	FROM qa_golden e LEFT JOIN qa_got g USING (id, rank)
	WHERE (g.answer, g.start, g.stop) IS DISTINCT FROM (e.answer, e.start, e.stop)});
within('scores of answers', 20, 1e-6, q{
	SELECT e.model, count(*), max(abs(g.score - e.score)), count(*) FILTER (WHERE g.score IS NULL)
	FROM qa_golden e LEFT JOIN qa_got g USING (id, rank) GROUP BY 1 ORDER BY 1});

# ---- token classification: everything exact but scores, those within 3.4e-6 ----

$node->safe_psql('postgres', q{
	CREATE TABLE entity_golden AS
	SELECT id, model, content, s.aggregation, e.number, coalesce(e.v->>'entity_group', e.v->>'entity') AS entity, e.v->>'word' AS word,
		(e.v->>'score')::float8 AS score, (e.v->>'start')::int AS start, (e.v->>'end')::int AS stop
	FROM test, jsonb_each(g->'f64') AS s (aggregation, v), jsonb_array_elements(s.v) WITH ORDINALITY AS e (v, number)
	WHERE file = 'token_classify' AND NOT g ? 'f32_f64_order_differs';
	CREATE TABLE entity_got AS
	SELECT t.id, t.aggregation, c.*
	FROM (SELECT id, model, content, a.aggregation FROM test, unnest('{none,simple,first,average,max}'::text[]) AS a (aggregation)
			WHERE file = 'token_classify' AND NOT g ? 'f32_f64_order_differs') t,
		albert_entities(content, model, aggregation => aggregation) WITH ORDINALITY AS c (entity, score, word, start, stop, number)});
no_differences('entities', 100, q{
	SELECT count(*)::text FROM entity_golden UNION ALL
	SELECT format('%s %s %s: %s %s [%s, %s], not %s %s [%s, %s]', id, aggregation, number, g.entity, g.word, g.start, g.stop, e.entity, e.word, e.start, e.stop)
	FROM entity_golden e FULL JOIN entity_got g USING (id, aggregation, number)
	WHERE (g.entity, g.word, g.start, g.stop) IS DISTINCT FROM (e.entity, e.word, e.start, e.stop)});
within('scores of entities', 100, 3.4e-6, q{
	SELECT e.model, count(*), max(abs(g.score - e.score)), count(*) FILTER (WHERE g.score IS NULL)
	FROM entity_golden e LEFT JOIN entity_got g USING (id, aggregation, number) GROUP BY 1 ORDER BY 1});

# ---- multiple choice: the choice exact, probabilities within 7.5e-7 ----

within('multiple choice', 2, 7.5e-7, q{
	WITH t AS (SELECT model, g->>'prompt' AS prompt, floats(g->'f64'->'probs') AS probs, (g->'f64'->>'best')::int AS best,
			ARRAY(SELECT jsonb_array_elements_text(g->'choices')) AS choices FROM test WHERE file = 'multiple_choice'),
	d AS (SELECT model, distance(probs, (SELECT array_agg(score::float8 ORDER BY choice) FROM albert_choose_scores(prompt, choices, model))) AS d,
			albert_choose(prompt, choices, model) = best + 1 AS same FROM t)
	SELECT model, count(*), max(d), count(*) FILTER (WHERE d IS NULL OR NOT same) FROM d GROUP BY 1 ORDER BY 1});

# ---- labels of one's own: what the zero-shot pipeline of transformers 4.57 answers in float32, rounded ----

my $zero_shot = q{SELECT string_agg(label || ' ' || round(score::numeric, 5), ', ') FROM albert_zero_shot_scores('I love this wonderful book!', };
is($node->safe_psql('postgres', $zero_shot . q{ARRAY['sport', 'politics', 'reading'], 'c01_three_labels')}),
	'reading 0.35768, sport 0.32261, politics 0.31971', 'one of the labels given');
is($node->safe_psql('postgres', $zero_shot . q{ARRAY['sport', 'politics', 'reading'], 'c01_three_labels', multi_label => true)}),
	'reading 0.10258, politics 0.10007, sport 0.09192', 'any of the labels given');
is($node->safe_psql('postgres', $zero_shot . q{ARRAY['sport', 'politics'], 'c01_three_labels', template => 'It is about {}!')}),
	'politics 0.52778, sport 0.47223', 'with a template');

# ---- how well all agree ----

for my $i (0 .. $#compared)
{
	diag(sprintf 'figure: (%d) %-49s %s', $i + 1, @{ $compared[$i] });
}
diag('figure: ' . join ' ', sprintf('%-26s', 'largest error by model'), map { sprintf '%7s', "($_)" } 1 .. @compared);
for my $model (sort keys %agreement)
{
	diag('figure: ' . join ' ', sprintf('%-26s', $model), map { sprintf '%7s', $agreement{$model}{ $_->[0] } // '-' } @compared);
}

$node->stop;
done_testing();
