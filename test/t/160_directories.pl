# Kinds of model directories through SQL, on small models made here: one of
# sentence-transformers with a Dense module and prompts, and one with a
# WordPiece vocabulary.  What is expected is computed here, in double precision,
# from the files and from the hidden states that albert_token_embeddings gives.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertModels;
use AlbertTest;
use JSON::PP;
use List::Util qw(max sum);
use PostgreSQL::Test::Utils;
use Test::More;

my $models = make_models(
	sentence => SMALL . ',dense=12,seed=4',
	sentence_f32 => SMALL . ',dense=40,seed=5,dtype=F32',
	unpooled_prompt => SMALL . ',dense=12,seed=4',
	windows => SMALL . ',dense=12,seed=4,max_position_embeddings=24',
	first_and_mean => SMALL . ',dense=12,seed=4,max_position_embeddings=24',
	score => SMALL . ',head=score,seed=3',
	wide => SMALL . ',head=wide,seed=3',
	plain => SMALL . ',seed=7',
	corrected => SMALL . ',tokenizer=wordpiece,seed=6',
	corrected_albert => SMALL . ',seed=7',
	padded => SMALL . ',seed=7',
	wordpiece => SMALL . ',tokenizer=wordpiece,seed=6');

# Write a JSON file of a model with some members changed.
sub change_json
{
	my ($file, %members) = @_;
	my $old = -e "$models/$file" ? decode_json(slurp_file("$models/$file")) : {};

	open my $out, '>', "$models/$file" or die "$file: $!";
	print $out encode_json({ %$old, %members });
	close $out;
	return;
}

change_json('unpooled_prompt/1_Pooling/config.json', include_prompt => JSON::PP::false);
change_json('windows/config_sentence_transformers.json', prompts => {}, default_prompt_name => undef);
change_json('first_and_mean/config_sentence_transformers.json', prompts => {}, default_prompt_name => undef);
change_json('first_and_mean/1_Pooling/config.json', pooling_mode_cls_token => JSON::PP::true, pooling_mode_max_tokens => JSON::PP::false);
# a token for padding behind the model's embeddings
my $vocab_size = decode_json(slurp_file("$models/padded/config.json"))->{vocab_size};
change_json('padded/added_tokens.json', '[PAD]' => $vocab_size);
change_json('padded/special_tokens_map.json', pad_token => '[PAD]');
my $node = albert_node('directories', conf => "albert.model_path = '$models'\n");

sub answer
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', "SELECT $sql");
}

# The numbers of an array's output, and of the arrays of several rows.
sub numbers
{
	return map { [ /[-+.\de]+/g ] } split /\n/, $_[0];
}

# tensors(FILE): name => [shape, values]; values are BF16 or F32.
sub tensors
{
	my ($file) = @_;
	my $bytes = slurp_file($file);
	my $length = unpack 'Q<', $bytes;
	my $header = decode_json(substr $bytes, 8, $length);
	my %tensors;

	for my $name (grep { $_ ne '__metadata__' } keys %$header)
	{
		my ($from, $to) = @{ $header->{$name}{data_offsets} };
		my $data = substr $bytes, 8 + $length + $from, $to - $from;
		my @values = $header->{$name}{dtype} eq 'F32' ? unpack('f<*', $data)
		  : map { unpack 'f', pack 'L', $_ << 16 } unpack('S<*', $data);

		$tensors{$name} = [ $header->{$name}{shape}, \@values ];
	}
	return \%tensors;
}

# W x + b
sub linear
{
	my ($tensors, $name, $x) = @_;
	my ($shape, $weight) = @{ $tensors->{"$name.weight"} };
	my (undef, $bias) = @{ $tensors->{"$name.bias"} };
	my ($rows, $cols) = @$shape;

	die "$name takes $cols values, not " . @$x if $cols != @$x;
	return [ map { my $row = $_; $bias->[$row] + sum map { $weight->[ $row * $cols + $_ ] * $x->[$_] } 0 .. $cols - 1 } 0 .. $rows - 1 ];
}

sub tanh
{
	my ($x) = @_;

	return 1 - 2 / (exp(2 * $x) + 1);
}

sub close_to
{
	my ($name, $got, $expected, $limit) = @_;
	my $worst = @$got == @$expected ? max map { abs($got->[$_] - $expected->[$_]) } 0 .. $#$got : 'undefined';

	ok($worst ne 'undefined' && $worst <= $limit, "$name: " . @$got . " values, largest difference $worst (limit $limit)");
	return;
}

# ---- sentence-transformers: the maximum and the mean, tanh(W x + b), length 1 ----

sub hidden_rows
{
	my ($text, $model) = @_;

	return numbers(answer("embedding FROM albert_token_embeddings('$text', '$model')"));
}

sub sentence_vector
{
	my ($model, @rows) = @_;
	my @columns = 0 .. $#{ $rows[0] };
	my @pooled;

	for my $i (@columns)
	{
		my @values = map { $_->[$i] } @rows;

		$pooled[$i] = max @values;
		$pooled[ @columns + $i ] = sum(@values) / @values;
	}
	my @vector = map { tanh($_) } @{ linear(tensors("$models/$model/2_Dense/model.safetensors"), 'linear', \@pooled) };
	my $length = sqrt sum map { $_ * $_ } @vector;
	return [ map { $_ / $length } @vector ];
}

for my $model (qw(sentence sentence_f32))
{
	my $text = 'the capital of france';
	my $document = sentence_vector($model, hidden_rows("this text: $text", $model));
	my $query = sentence_vector($model, hidden_rows("what is $text", $model));
	my ($got) = numbers(answer("albert_embedding('$text', '$model')"));

	close_to("$model: the default prompt", $got, $document, 1e-6);
	($got) = numbers(answer("albert_embedding('$text', '$model', prompt => 'document')"));
	close_to("$model: the same by its name", $got, $document, 1e-6);
	($got) = numbers(answer("albert_embedding('$text', '$model', prompt => 'query')"));
	close_to("$model: another prompt", $got, $query, 1e-6);
	cmp_ok(max(map { abs($document->[$_] - $query->[$_]) } 0 .. $#$query), '>', 1e-4, "$model: prompts make a difference");

	$got = [ map { @$_ } numbers(answer("unnest(albert_embeddings(ARRAY['$text', 'another city'], '$model'))")) ];
	close_to("$model: an array of texts", $got,
		[ @$document, @{ sentence_vector($model, hidden_rows('this text: another city', $model)) } ], 1e-6);

	my $other = sentence_vector($model, hidden_rows('this text: another city', $model));
	close_to("$model: similarity", [ answer("albert_similarity('$text', 'another city', '$model')") ],
		[ sum map { $document->[$_] * $other->[$_] } 0 .. $#$other ], 1e-6);

	# 24 tokens: [CLS], the prompt's, as much of the text as fits, [SEP]
	my $room = 22 - (answer("albert_token_count('this text: ', '$model')") - 2);
	($got) = numbers(answer("albert_embedding(repeat('city ', 100), '$model')"));
	close_to("$model: a text longer than the length in its files", $got,
		sentence_vector($model, hidden_rows('this text: ' . 'city ' x $room, $model)), 1e-6);

	# a pooling that is asked for is only that
	my @rows = hidden_rows("this text: $text", $model);
	($got) = numbers(answer("albert_embedding('$text', '$model', pooling => 'mean')"));
	close_to("$model: a pooling of the caller's", $got,
		[ map { my $i = $_; sum(map { $_->[$i] } @rows) / @rows } 0 .. $#{ $rows[0] } ], 1e-5);
}

# ---- a prompt that is seen but not pooled: neither its tokens nor the special one before it ----
for my $text ('the capital of france', '', 'city ' x 100)
{
	my $prompt = answer("albert_token_count('this text: ', 'unpooled_prompt')") - 1;
	# as much as fits in 24 tokens
	my @rows = hidden_rows('this text: ' . ($text =~ /city/ ? 'city ' x (23 - $prompt) : $text), 'unpooled_prompt');
	my ($got) = numbers(answer("albert_embedding('$text', 'unpooled_prompt')"));

	close_to("a prompt that is not pooled, '" . substr($text, 0, 8) . "'", $got, sentence_vector('unpooled_prompt', @rows[ $prompt .. $#rows ]), 1e-6);
	($got) = numbers(answer("albert_embedding('$text', 'unpooled_prompt', pooling => 'mean')"));
	close_to('a pooling of one\'s own is of all tokens', $got, [ map { my $i = $_; sum(map { $_->[$i] } @rows) / @rows } 0 .. $#{ $rows[0] } ], 1e-5);
}
# in windows every token that is not the prompt's counts once
{
	my $text = join ' ', ('the capital of france', 'one city and another city') x 6;
	my ($whole) = numbers(answer("albert_embedding('$text', 'unpooled_prompt', overflow => 'window')"));
	my ($plain) = numbers(answer("albert_embedding('$text', 'sentence', overflow => 'window')"));

	cmp_ok(abs(1 - sqrt sum map { $_**2 } @$whole), '<', 1e-6, 'windows: a vector');
	cmp_ok(max(map { abs($whole->[$_] - $plain->[$_]) } 0 .. $#$whole), '>', 1e-4, 'windows: not that of all tokens');
}

# ---- windows: pooled as one text of all tokens, then the Dense module, once ----
{
	my $text = join ' ', ('the capital of france', 'one city and another city') x 9;
	my @rows = numbers(answer("embedding FROM albert_token_embeddings('$text', 'windows', overflow => 'window')"));
	my ($got) = numbers(answer("albert_embedding('$text', 'windows', overflow => 'window')"));

	cmp_ok(scalar(@rows), '>', 40, 'several windows');
	is(scalar(@rows), answer("albert_token_count('$text', 'windows')"), 'of every token one row');
	close_to('maximum and mean in windows', $got, sentence_vector('windows', @rows), 1e-6);

	# beside the first token's vector, which every window has, tokens that two windows share count once all the same
	my $dense = tensors("$models/first_and_mean/2_Dense/model.safetensors");
	my ($first) = numbers(answer("albert_embedding('$text', 'first_and_mean', pooling => 'cls', overflow => 'window')"));
	my ($mean) = numbers(answer("albert_embedding('$text', 'first_and_mean', pooling => 'mean', overflow => 'window')"));
	my @vector = map { tanh($_) } @{ linear($dense, 'linear', [ @$first, @$mean ]) };
	my $length = sqrt sum map { $_ * $_ } @vector;

	($got) = numbers(answer("albert_embedding('$text', 'first_and_mean', overflow => 'window')"));
	close_to('first token and mean in windows', $got, [ map { $_ / $length } @vector ], 1e-6);
}

# ---- a token without an embedding ----
is(answer(q(albert_embedding('the city', 'padded') = albert_embedding('the city', 'plain'))), 't', 'a token for padding that does not occur');
is(answer("$vocab_size = ANY (albert_encode('the [PAD]', 'padded'))"), 't', 'the tokenizer knows it');
my ($code, undef, $err) = $node->psql('postgres', q(SELECT albert_embedding(text, 'padded') FROM (VALUES ('the city'), ('the [PAD] city')) v (text)));
like($err, qr/the text holds the token for padding, which has no embedding in model "padded"/, 'a text with it is refused');

# ---- albert.json corrects what the tokenizer's files say ----
{
	my $text = q(U&'Caf\00e9 CITY');

	is(answer("array_to_string(albert_tokenize($text, 'corrected'), ' ')"), 'c ##a ##f ##e city', 'as the files say');
	is(answer("cardinality(albert_tokenize(U&'\\00e9', 'corrected_albert')) = cardinality(albert_tokenize('e', 'corrected_albert'))"), 't', 'accents are dropped');
	my $kept = answer(q(array_agg(sha256) FROM albert_models WHERE name LIKE 'corrected%'));
	$node->safe_psql('postgres', q(SELECT albert_unload(name) FROM albert_models WHERE name LIKE 'corrected%'));
	change_json('corrected/albert.json', strip_accents => JSON::PP::false, do_lower_case => JSON::PP::false, model_max_length => 7);
	change_json('corrected_albert/albert.json', keep_accents => JSON::PP::true);
	is(answer("array_to_string(albert_tokenize($text, 'corrected'), ' ')"), '[UNK] [UNK]', 'as albert.json says');
	is(answer("count(*) FROM albert_token_embeddings('the cat the cat the cat', 'corrected')"), 7, 'a length');
	is(answer("albert_tokenize(U&'\\00e9', 'corrected_albert') <> albert_tokenize('e', 'corrected_albert')"), 't', 'accents are kept');
	isnt(answer(q(array_agg(sha256) FROM albert_models WHERE name LIKE 'corrected%')), $kept, 'it is of the model');

	for my $case ([ '{"keep_accent": true}', qr/unknown setting "keep_accent" in file "albert.json"/ ],
		[ '{"do_lower_case": 1}', qr/invalid "do_lower_case" in file "albert.json": 1.*It must be true or false/s ],
		[ '[]', qr/file "albert.json" holds an array where an object is expected/ ],
		[ '{', qr/file "albert.json" is not valid JSON/ ])
	{
		my ($json, $wanted) = @$case;

		$node->safe_psql('postgres', q(SELECT albert_unload('corrected')));
		open my $out, '>', "$models/corrected/albert.json" or die;
		print $out $json;
		close $out;
		my (undef, undef, $error) = $node->psql('postgres', q(SELECT albert_tokenize('a', 'corrected')));
		like($error, $wanted, "albert.json with $json");
	}
	open my $out, '>', "$models/corrected/albert.json" or die;
	print $out '{"strip_accents": true}';
	close $out;
	open $out, '>', "$models/corrected/tokenizer.json" or die;
	print $out '{"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5}}}';
	close $out;
	my (undef, undef, $error) = $node->psql('postgres', q(SELECT albert_tokenize('a', 'corrected')));
	like($error, qr/"strip_accents" in file "albert.json" has no effect beside a tokenizer.json/, 'beside a tokenizer.json');
	$node->safe_psql('postgres', q(SELECT albert_unload(name) FROM albert_models WHERE name LIKE 'corrected%'));
	change_json('corrected_albert/albert.json', keep_accents => JSON::PP::false);
}

# ---- a cross-encoder's default prompt and length ----
{
	change_json('score/config_sentence_transformers.json', prompts => { query => 'find: ' }, default_prompt_name => 'query', activation_fn => 'torch.nn.modules.activation.Sigmoid');
	my $plain = answer(q(albert_score('find: the city', 'a river', 'score')));

	change_json('score/sentence_bert_config.json', max_seq_length => 12);
	open my $out, '>', "$models/score/modules.json" or die;
	print $out encode_json([ { idx => 0, name => '0', path => '', type => 'sentence_transformers.base.modules.transformer.Transformer' } ]);
	close $out;
	$node->safe_psql('postgres', q(SELECT albert_unload('score')));
	close_to('a cross-encoder\'s prompt, and its function of the score', [ answer(q(albert_score('the city', 'a river', 'score'))) ], [ 1 / (1 + exp(-$plain)) ], 1e-6);
	is(answer(q(albert_score('the city', repeat('a river ', 20), 'score') = albert_score('the city', repeat('a river ', 30), 'score'))), 't', 'its length');
}

# ---- WordPiece ----

sub wordpiece_is
{
	my ($name, $expected, $sql) = @_;

	is(answer($sql), $expected, $name);
	return;
}

wordpiece_is('pieces', 'un ##aff ##able cat ##s , run ##ning the city !',
	q{array_to_string(albert_tokenize('Unaffable Cats, running the CITY!', 'wordpiece'), ' ')});
wordpiece_is('accents are dropped, words are cut into characters', 'c ##a ##f ##e',
	q{array_to_string(albert_tokenize(U&'Caf\00e9', 'wordpiece'), ' ')});
wordpiece_is('unknown words', '[UNK] [UNK] the [UNK]',
	q{array_to_string(albert_tokenize(U&'\65e5\672c the \03b1\03b2\03b3', 'wordpiece'), ' ')});
my @vocabulary = split /\n/, slurp_file("$models/wordpiece/vocab.txt");
my %id = map { $vocabulary[$_] => $_ } 0 .. $#vocabulary;
wordpiece_is('ids are lines of vocab.txt', join(',', @id{ '[CLS]', 'the', 'cat', '##s', '[SEP]', 'un', '##able', '[SEP]' }),
	q{array_to_string(albert_encode('the cats', 'unable', 'wordpiece'), ',')});
wordpiece_is('places in the text', '0-3 3-4 4-5 6-9 9-13',
	q{string_agg(start || '-' || stop, ' ' ORDER BY "position") FROM albert_tokens('cats, running', 'wordpiece') WHERE NOT special});
wordpiece_is('back to text', 'unaffable cats, running the city!',
	q{albert_decode(albert_encode('Unaffable Cats, running the CITY!', 'wordpiece'), 'wordpiece', skip_special_tokens => true)});

# The masked language model head: E LayerNorm(gelu(W h + b)) + c over the whole vocabulary.
sub mask_probabilities
{
	my ($h) = @_;
	my $tensors = tensors("$models/wordpiece/model.safetensors");
	my @x = map { 0.5 * $_ * (1 + tanh(sqrt(2 / 3.14159265358979324) * ($_ + 0.044715 * $_**3))) } @{ linear($tensors, 'predictions.dense', $h) };
	my $mean = sum(@x) / @x;
	my $deviation = sqrt(sum(map { ($_ - $mean)**2 } @x) / @x + 1e-12);
	my ($gain, $shift) = map { $tensors->{"predictions.LayerNorm.$_"}[1] } qw(weight bias);

	@x = map { ($x[$_] - $mean) / $deviation * $gain->[$_] + $shift->[$_] } 0 .. $#x;
	my @logits = @{ linear({ 'decoder.weight' => $tensors->{'albert.embeddings.word_embeddings.weight'},
			'decoder.bias' => $tensors->{'predictions.bias'} }, 'decoder', \@x) };
	my $most = max @logits;
	my $sum = sum map { exp($_ - $most) } @logits;
	return map { exp($_ - $most) / $sum } @logits;
}

for my $text ('The cats of [MASK] are running.', '[MASK]', 'unable to see the [MASK] city')
{
	my ($h) = numbers(answer("embedding FROM albert_token_embeddings('$text', 'wordpiece') WHERE token_id = $id{'[MASK]'}"));
	my @p = mask_probabilities($h);
	my @order = (sort { $p[$b] <=> $p[$a] } 0 .. $#p)[ 0 .. 4 ];
	my @got = map { [ split /\|/ ] } split /\n/, answer("token_id, score FROM albert_fill_mask_candidates('$text', 'wordpiece') ORDER BY rank");

	is(join(' ', map { $_->[0] } @got), join(' ', @order), "candidates of \"$text\"");
	close_to('their scores', [ map { $_->[1] } @got ], [ @p[@order] ], 1e-7);
	wordpiece_is('the best of them', $vocabulary[ $order[0] ], "albert_fill_mask('$text', 'wordpiece')");
}

# ---- a classifier of many labels: how often which is taken for which takes no memory for each two of them ----

is(answer(q{sum(value) FROM albert_evaluate('wide', $$SELECT 'the city ' || i, 'label ' || i FROM generate_series(1, 3) i$$) WHERE metric = 'confusion'}), '3', 'a model of 12,000 labels is evaluated');

$node->stop;
done_testing();
