# Every SQL function in every form in which it may be called, on small models
# made here: what is checked is what must hold whatever the weights are.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertModels;
use AlbertTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $models = make_models(small => SMALL, map { $_ => "head=$_,seed=3" } qw(classifier multilabel nli tokens answers choice));
my $node = albert_node('functions', conf => model_conf($models));

sub holds
{
	my ($what, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT $sql");

	is($err eq '' ? $out : $err, 't', $what);
	return;
}

sub fails
{
	my ($what, $state, $message, $sql, $settings) = @_;

	$node->psql('postgres', "\\set VERBOSITY verbose\n" . ($settings // '') . "SELECT $sql", stderr => \my $err);
	like($err, qr/ERROR:  $state: $message/, $what);
	return;
}

# ---- the catalog ----

my $ours = q{FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'albert'};
is($node->safe_psql('postgres', "SELECT string_agg(p.oid::regprocedure::text, ', ') $ours WHERE obj_description(p.oid, 'pg_proc') IS NULL"),
	'', 'every function has a comment');
is($node->safe_psql('postgres', qq{SELECT string_agg(p.oid::regprocedure::text, ', ') $ours
	WHERE p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) AND 'model' = ANY (p.proargnames[1:p.pronargs])
		AND p.proname NOT IN ('albert_load', 'albert_unload') AND (p.provolatile <> 'i' OR NOT p.proisstrict OR p.proparallel <> 's')}),
	'', 'a function of a named model is immutable, strict and parallel safe');
is($node->safe_psql('postgres', qq{SELECT string_agg(p.oid::regprocedure::text, ', ') $ours
	WHERE p.proname ~ '^albert_(tok|en|de|ch|fill|emb|sim|sent|class|zero|answ|lay|att)' AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
		AND NOT 'model' = ANY (p.proargnames[1:p.pronargs]) AND p.prosrc <> 'albert_similarity_vectors'
		AND (p.provolatile <> 's' OR NOT p.proisstrict OR p.proparallel <> 's')}),
	'', 'a function of the default model is stable, strict and parallel safe');
is($node->safe_psql('postgres', qq{SELECT string_agg(p.oid::regprocedure::text, ', ') $ours AND p.proacl IS NOT NULL}),
	'albert_load(text), albert_unload(text), albert_stats_reset()', 'what is not for everybody');

# ---- the forms of a call: the default model, by position, by name ----

for my $call (
	[ 'albert_tokenize', q('the capital') ],
	[ 'albert_encode', q('the capital'), 1 ], [ 'albert_token_count', q('the capital'), 1 ],
	[ 'albert_fill_mask', q('the [MASK]') ], [ 'albert_embedding', q('the capital') ],
	[ 'albert_similarity', q('the capital', 'the city') ], [ 'albert_sentence_order', q('one', 'two') ])
{
	my ($function, $texts, $pairs) = @$call;
	my $bare = "$function($texts)";

	holds("$function: model by position", "$function($texts, 'small') = $bare");
	holds("$function: model by name", "$function($texts, model => 'small') = $bare");
	next unless $pairs;
	holds("$function: pair by name", "$function($texts, pair => 'two') = $function($texts, 'two', 'small')");
	holds("$function: pair and model by name", "$function($texts, pair => 'two', model => 'small') = $function($texts, 'two', 'small')");
	holds("$function: an empty pair is none", "$function($texts, pair => '') = $bare");
	holds("$function: without special tokens", "$function($texts, special_tokens => false) <> $bare");
	holds("$function: an option after the model", "$function($texts, 'small', special_tokens => true) = $bare");
}
for my $call (
	[ 'albert_tokens', q('the capital'), 'special_tokens => true' ], [ 'albert_chunks', q('the capital'), 'max_tokens => 100' ],
	[ 'albert_fill_mask_candidates', q('the [MASK]'), 'top_k => 5' ], [ 'albert_token_embeddings', q('the capital'), 'special_tokens => true' ],
	[ 'albert_classify_scores', q('the capital'), 'top_k => 0', 'classifier' ],
	[ 'albert_zero_shot_scores', q('the capital', ARRAY['a', 'b']), 'multi_label => false', 'nli' ],
	[ 'albert_answers', q('which capital', 'the capital of france'), 'top_k => 1', 'answers' ],
	[ 'albert_entities', q('the capital of france'), q(aggregation => 'simple'), 'tokens' ],
	[ 'albert_choose_scores', q('the capital', ARRAY['a', 'b']), undef, 'choice' ],
	[ 'albert_layers', q('the capital') ], [ 'albert_attention', q('the capital', 1, 2) ])
{
	my ($function, $texts, $option, $model) = @$call;
	my $all = sub { "(SELECT jsonb_agg(to_jsonb(r)) FROM $function($_[0]) r)" };

	$model //= 'small';
	my $set = "set_config('albert.model', '$model', false) IS NOT NULL AND ";
	holds("$function: model by position", $set . $all->("$texts, '$model'") . ' = ' . $all->($texts));
	holds("$function: model by name", $set . $all->("$texts, model => '$model'") . ' = ' . $all->($texts));
	next unless defined $option;
	holds("$function: an option", $set . $all->("$texts, $option") . ' = ' . $all->($texts));
	holds("$function: an option after the model", $set . $all->("$texts, '$model', $option") . ' = ' . $all->($texts));
}

# ---- NULL gives NULL ----

for my $call ('albert_tokenize(NULL)', q(albert_encode('a', pair => NULL)), 'albert_token_count(NULL)', 'albert_fill_mask(NULL)',
	'albert_embedding(NULL::text)', q(albert_embedding('a', NULL)), q(albert_similarity('a', NULL)), q(albert_sentence_order(NULL, 'b')),
	q(albert_classify(NULL, 'classifier')), q(albert_answer(NULL, 'b', 'answers')), q(albert_choose(NULL, ARRAY['a'], 'choice')), 'albert_decode(NULL)',
	'(SELECT max(token) FROM albert_fill_mask_candidates(NULL))', '(SELECT max(word) FROM albert_entities(NULL))')
{
	holds("$call is NULL", "$call IS NULL");
}

# ---- what must hold ----

holds('special tokens surround a pair',
	q{(SELECT array_agg(piece ORDER BY "position") FILTER (WHERE special) FROM albert_tokens('one', 'two', 'small')) = '{[CLS],[SEP],[SEP]}'});
holds('token offsets are places in the text',
	q{bool_and(NOT special AND lower(substr('The capital of France', start + 1, stop - start)) = ltrim(piece, U&'\2581') OR special) FROM albert_tokens('The capital of France')});
holds('decoding is the way back', q{albert_decode(albert_encode('the capital of france'), skip_special_tokens => true) = 'the capital of france'});
holds('chunks cover a text', q{string_agg(content, ' ' ORDER BY chunk) = trim(repeat('word of france ', 500)) FROM albert_chunks(repeat('word of france ', 500), max_tokens => 50)});
holds('chunks fit', q{max(albert_token_count(content)) <= 50 AND count(*) > 20 FROM albert_chunks(repeat('word of france ', 500), max_tokens => 50)});
holds('chunks are cut out of the text', q{bool_and(content = substr(repeat('word of france ', 500), start + 1, stop - start)) FROM albert_chunks(repeat('word of france ', 500), max_tokens => 50, overlap => 10)});
holds('chunks overlap', q{bool_and(start < last_stop) FROM (SELECT start, lag(stop) OVER (ORDER BY chunk) AS last_stop FROM albert_chunks(repeat('word of france ', 500), max_tokens => 50, overlap => 10)) x});
holds('an empty text has no chunk', q{count(*) = 0 FROM albert_chunks('')});
holds('an empty text has an embedding', q{array_length(albert_embedding(''), 1) = 32});
holds('candidates are ranked by score', q{bool_and(score <= last) FROM (SELECT score, lag(score, 1, 1.0) OVER (ORDER BY rank) AS last FROM albert_fill_mask_candidates('the [MASK]', top_k => 1000)) x});
holds('scores of all candidates add up to 1', q{abs(sum(score) - 1) < 1e-4 FROM albert_fill_mask_candidates('the [MASK]', top_k => 100000)});
holds('targets restrict the candidates', q{array_agg(token ORDER BY token) = '{city,france}' FROM albert_fill_mask_candidates('the [MASK]', targets => ARRAY[U&'\2581city', 'france'])});
holds('a target keeps its score', q{(SELECT score FROM albert_fill_mask_candidates('the [MASK]', targets => ARRAY['france'])) = (SELECT score FROM albert_fill_mask_candidates('the [MASK]', top_k => 1000) WHERE token = 'france')});
holds('two masks, two lists', q{array_agg(DISTINCT mask) = '{1,2}' FROM albert_fill_mask_candidates('[MASK] of [MASK]')});
holds('the mean of token embeddings is the embedding', q{max(abs(a - b)) < 1e-5 FROM
	(SELECT avg(v) AS a, i FROM albert_token_embeddings('the capital of france'), unnest(embedding) WITH ORDINALITY AS e (v, i) GROUP BY i) x
	JOIN unnest(albert_embedding('the capital of france')) WITH ORDINALITY AS y (b, i) USING (i)});
holds('poolings differ', q{count(DISTINCT albert_embedding('the capital', pooling => p)) = 5 FROM unnest('{mean,cls,max,mean_sqrt_len,pooler}'::text[]) p});
holds('a normalised embedding has length 1', q{abs(sum(v * v) - 1) < 1e-5 FROM unnest(albert_embedding('the capital', normalized => true)) v});
holds('the first dimensions', q{albert_embedding('the capital', dimensions => 8) = (albert_embedding('the capital'))[1:8]});
holds('an array of texts is an array of embeddings', q{ARRAY(SELECT unnest(albert_embeddings(ARRAY['one', 'two']))) = albert_embedding('one') || albert_embedding('two')});
holds('an empty array', q{albert_embeddings(ARRAY[]::text[]) = '{}'});
holds('a text is like itself', q{abs(albert_similarity('the capital', 'the capital') - 1) < 1e-6});
holds('similarity is the cosine', q{abs(albert_similarity('one', 'two') - albert_similarity(albert_embedding('one'), albert_embedding('two'))) < 1e-6});
holds('an order has a probability', q{albert_sentence_order('one', 'two') BETWEEN 0 AND 1});
holds('class scores are probabilities', q{abs(sum(score) - 1) < 1e-5 AND count(*) = 3 FROM albert_classify_scores('good', 'classifier')});
holds('several labels each have a probability', q{bool_and(score BETWEEN 0 AND 1) AND count(*) = 3 FROM albert_classify_scores('good', 'multilabel')});
holds('the best label is the first', q{albert_classify('good', 'classifier') = (SELECT label FROM albert_classify_scores('good', 'classifier', top_k => 1))});
holds('no label under min_score', q{albert_classify('good', 'classifier', min_score => 1.1) IS NULL});
holds('a pair has another class', q{(SELECT array_agg(score) FROM albert_classify_scores('good', 'bad', 'classifier')) <> (SELECT array_agg(score) FROM albert_classify_scores('good', 'classifier'))});
holds('given labels share a probability', q{abs(sum(score) - 1) < 1e-5 AND array_agg(label ORDER BY label) = '{a,b}' FROM albert_zero_shot_scores('good', ARRAY['a', 'b'], 'nli')});
holds('or have one each', q{(SELECT score FROM albert_zero_shot_scores('good', ARRAY['a', 'b'], 'nli', multi_label => true) WHERE label = 'a') = (SELECT score FROM albert_zero_shot_scores('good', ARRAY['a'], 'nli', multi_label => true))});
holds('the template matters', q{(SELECT score FROM albert_zero_shot_scores('good', ARRAY['a'], 'nli', template => 'It is {}.')) <> (SELECT score FROM albert_zero_shot_scores('good', ARRAY['a'], 'nli'))});
holds('the best of given labels', q{albert_zero_shot('good', ARRAY['a', 'b'], 'nli') = (SELECT label FROM albert_zero_shot_scores('good', ARRAY['a', 'b'], 'nli') LIMIT 1)});
holds('answers are cut out of the context', q{bool_and(answer = substr(c, start + 1, stop - start)) AND count(*) = 5 FROM (SELECT 'the capital of france is a very old city on the river'::text AS c) x, albert_answers('which city', c, 'answers', top_k => 5)});
holds('the best answer is the first', q{albert_answer('which city', 'the capital of france', 'answers') = (SELECT answer FROM albert_answers('which city', 'the capital of france', 'answers'))});
holds('answers are found in long contexts', q{count(*) = 3 FROM albert_answers('which city', repeat('the capital of france is a very old city ', 200), 'answers', top_k => 3)});
holds('an empty context has no answer', q{albert_answer('which city', '', 'answers') IS NULL});
holds('entities are places in the text', q{bool_and(start < stop AND score BETWEEN 0 AND 1) FROM albert_entities('the capital of france', 'tokens', aggregation => 'none')});
holds('min_score leaves entities out', q{count(*) = 0 FROM albert_entities('the capital of france', 'tokens', min_score => 1.1)});
holds('choices share a probability', q{abs(sum(score) - 1) < 1e-6 AND array_agg(choice) = '{1,2,3}' FROM albert_choose_scores('one', ARRAY['a', 'b', 'c'], 'choice')});
holds('the best choice', q{albert_choose('one', ARRAY['a', 'b', 'c'], 'choice') = (SELECT choice FROM albert_choose_scores('one', ARRAY['a', 'b', 'c'], 'choice') ORDER BY score DESC LIMIT 1)});
holds('a row a layer', q{array_agg(layer) = '{1,2}' AND bool_and(l2_distance > 0 AND cosine BETWEEN -1 AND 1) FROM albert_layers('the capital')});
holds('attention adds up to 1', q{bool_and(abs(s - 1) < 1e-5) AND count(*) = 4 FROM (SELECT sum(weight) AS s FROM albert_attention('the capital', 2, 4) GROUP BY query) x});

# ---- long texts ----

my $long = q{repeat('the capital of france ', 300)};
holds('a long text is cut', qq{array_length(albert_embedding($long), 1) = 32 AND albert_embedding($long) = albert_embedding($long || ' and more')});
is($node->safe_psql('postgres', qq{SELECT albert_stats_reset(); SELECT albert_embedding($long) IS NULL, albert_embedding('short') IS NULL; SELECT rows, truncated FROM albert_stats WHERE model = 'small'}),
	"\nf|f\n2|1", 'and counted');
fails('or refused', 22001, 'text has \d+ tokens, the limit is 512', "albert_embedding($long)", "SET albert.overflow = error;\n");
holds('or seen in windows', qq{(SELECT set_config('albert.overflow', 'window', false)) = 'window' AND albert_embedding($long) <> albert_embedding($long || ' and more')});
holds('a mask behind the limit is found in a window', qq{(SELECT set_config('albert.overflow', 'window', false)) = 'window' AND albert_fill_mask($long || ' [MASK]') <> ''});
holds('tokens of a long text in windows are all there', qq{(SELECT set_config('albert.overflow', 'window', false)) = 'window' AND (SELECT count(*) = albert_token_count($long) AND max("position") + 1 = count(*) FROM albert_token_embeddings($long))});

# ---- errors ----

fails('no mask', 22023, 'text has no mask', q{albert_fill_mask('none')});
fails('a mask that was cut off', 22023, 'text has no mask in its first 512 tokens', "albert_fill_mask($long || '[MASK]')");
fails('a head that is not there', '0A000', 'model "small" has no head for classification', q{albert_classify('x', 'small')});
fails('no pooler', '0A000', 'model "answers" has no pooler', q{albert_embedding('x', 'answers', pooling => 'pooler')});
fails('unknown pooling', 22023, 'unknown pooling "sum"', q{albert_embedding('x', pooling => 'sum')});
fails('unknown prompt', 22023, 'model "small" has no prompt named "query"', q{albert_embedding('x', prompt => 'query')});
fails('too many dimensions', 22023, 'dimensions must be at most', q{albert_embedding('x', dimensions => 33)});
fails('a negative number', 22023, 'top_k must be at least 1, not 0', q{albert_fill_mask_candidates('[MASK]', top_k => 0)});
fails('no such target', 22023, 'targets name no token', q{albert_fill_mask_candidates('[MASK]', targets => ARRAY[''])});
fails('an id outside the vocabulary', 22023, 'token id 1000000 is not in the vocabulary', q{albert_decode(ARRAY[1000000])});
fails('NULL among ids', 22004, 'token_ids must not contain nulls', q{albert_decode(ARRAY[1, NULL])});
fails('NULL among texts', 22004, 'content must not contain nulls', q{albert_embeddings(ARRAY['a', NULL])});
fails('embeddings of other models', '2202E', 'embeddings of 2 and 3 dimensions cannot be compared', q{albert_similarity(ARRAY[1, 2]::real[], ARRAY[1, 2, 3]::real[])});
fails('no labels', 22023, 'labels must name at least one label', q{albert_zero_shot('x', ARRAY[]::text[], 'nli')});
fails('a template without a place', 22023, 'template "x" has no place for the label', q{albert_zero_shot('x', ARRAY['a'], 'nli', template => 'x')});
fails('no choices', 22023, 'choices must hold at least one text', q{albert_choose('x', ARRAY[]::text[], 'choice')});
fails('unknown aggregation', 22023, 'unknown aggregation "all"', q{albert_entities('x', 'tokens', aggregation => 'all')});
fails('a question that fills the window', 22023, 'question has \d+ tokens, which leaves no room', "albert_answer($long, 'context', 'answers')");
fails('a stride as long as the window', 22023, 'doc_stride must be less than', q{albert_answer('which', 'the capital', 'answers', max_seq_len => 20, doc_stride => 50)});
fails('a layer too many', 22023, 'layer must be between 1 and 2, not 3', q{albert_attention('x', 3, 1)});
fails('a chunk without room', 22023, 'max_tokens must be at least 3, not 2', q{albert_chunks('x', max_tokens => 2)});
fails('a model that is not there', 42704, 'model "none" does not exist', q{albert_embedding('x', 'none')});

fails('an empty model name', 42602, q{a model's name must not be empty}, q{albert_embedding('x', '')});

# ---- other encodings ----

$node->safe_psql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('latin1', 'CREATE EXTENSION albert');
$node->safe_psql('postgres', q{CREATE TABLE utf8 AS SELECT albert_embedding(U&'caf\00e9 in the city') AS e});
my $embedding = $node->safe_psql('postgres', 'SELECT e FROM utf8');
is($node->safe_psql('latin1', q{SET client_encoding = 'UTF8'; SELECT albert_embedding('café in the city')}), $embedding, 'a LATIN1 database gives the same embedding');
is($node->safe_psql('latin1', q{SELECT albert_tokenize('the city')}), '{_the,_city}', 'pieces in LATIN1 have another word mark');
is($node->safe_psql('latin1', q{SET client_encoding = 'UTF8'; SELECT start, stop FROM albert_tokens('é city') WHERE piece = '_city'}), '2|6', 'offsets count characters there too');

$node->stop;
done_testing();
