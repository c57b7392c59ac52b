# Directories and models of the database: who may use directories when they are
# not for everybody, and directories whose files have changed since a model was
# made of them.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(one => SMALL . ',seed=1', two => SMALL . ',seed=2', three => SMALL . ',seed=3');
my $node = albert_node('directories', conf => "albert.model_path = '$models'\nalbert.model = 'one'\n");
$node->safe_psql('postgres', q{
	CREATE ROLE maker LOGIN;
	CREATE ROLE someone LOGIN;
	CREATE ROLE reader LOGIN;
	GRANT CREATE ON SCHEMA "!albert" TO maker;
	GRANT pg_read_server_files TO reader;
});

sub answer_of
{
	my ($model) = @_;

	return "SELECT md5(albert_embedding('the capital of france', '$model')::text)";
}

# What psql says as a user: the answer, or the error without its context.
sub as
{
	my ($user, $sql) = @_;
	my ($code, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $user ]);

	return $out if $code == 0;
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^CONTEXT:.*//ms;
	return $err;
}

sub directories_for_everybody
{
	my ($value) = @_;

	$node->safe_psql('postgres', "LOAD 'albert'; ALTER SYSTEM SET albert.public_directory_models = $value; SELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT current_setting('albert.public_directory_models') = '$value' FROM albert_models LIMIT 1", 't')
	  or die 'the setting does not come';
	return;
}

# ---- for everybody, as it is unless set ----

my %answer = map { $_ => as('someone', answer_of($_)) } qw(one two);
like($answer{one}, qr/^\w{32}$/, 'anybody may use a directory');
isnt($answer{two}, $answer{one}, 'two models');
is(as('maker', q{CALL albert_create_model('pinned', directory => 'one'); SELECT albert_grant('pinned', 'someone');
	CALL albert_create_model('own', directory => 'two')}), '', 'models made of directories');
is(as('maker', answer_of('pinned')), $answer{one}, 'are what the directory has');

# ---- for some ----

my $session = AlbertSession->new($node, 'postgres', user => 'someone');
$session->query('PREPARE folded AS ' . answer_of('one'));
is($session->query('EXECUTE folded'), $answer{one}, 'a session has planned with a directory');
directories_for_everybody('off');
my $missing = as('someone', answer_of('none'));
like($missing, qr/model "none" does not exist/, 'a model that is not there');
is(as('someone', answer_of('one')), $missing =~ s/none/one/gr, 'a directory looks the same');
is(as('someone', q{SELECT albert_token_count('a')}), $missing =~ s/none/one/gr, 'as the default model too');
my ($out, $err) = $session->query('EXECUTE folded');
like($err, qr/model "one" does not exist/, 'the session has no result of it any more');
is(as('someone', q{SELECT string_agg(name, ' ') FROM albert_models}), 'pinned', 'the list shows what may be used');
is(as('someone', answer_of('pinned')), $answer{one}, 'a model made of it may be used by whom it was granted to');
is(as('someone', answer_of('own')), $missing =~ s/none/own/gr, 'and by nobody else');
is(as('maker', answer_of('own')), $answer{two}, 'its owner may');
is(as('maker', q{CALL albert_create_model('more', directory => 'one')}), $missing =~ s/none/one/gr, 'but make no more of them');
is(as('maker', q{CALL albert_create_model('more', directory => 'none')}), $missing, 'whether there is a directory or not');
is(as('reader', answer_of('one')), $answer{one}, 'who may read files of the server may use directories');
is(as('reader', q{SELECT string_agg(name, ' ') FROM albert_models}), 'one three two', 'and sees them');
directories_for_everybody('on');
is(as('someone', answer_of('one')), $answer{one}, 'for everybody again');
is($session->query('EXECUTE folded'), $answer{one}, 'also in the session');

# ---- files that change ----

# put_files(DIRECTORY, FROM): the files of another model
sub put_files
{
	my ($directory, $from) = @_;

	for my $file (qw(config.json model.safetensors spiece.model))
	{
		PostgreSQL::Test::Utils::system_or_bail('cp', "$models/$from/$file", "$models/$directory/$file.new");
		rename "$models/$directory/$file.new", "$models/$directory/$file" or die;
	}
	return;
}

sub unload
{
	$node->safe_psql('postgres', q{SELECT albert_unload(name) FROM albert_models WHERE loaded_at IS NOT NULL});
	return;
}

my $refused = qr/^ERROR:  the files of model "pinned" are not those that it was made of\nDETAIL:.*\nHINT:  Put the old files back, or drop the model and make it anew\.$/m;
$node->safe_psql('postgres', q{CREATE TABLE docs (body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'pinned')) STORED)});
mkdir "$models/saved" or die;
put_files('saved', 'one');
is(as('maker', q{CALL albert_create_model('other options', directory => 'one', "precision" => 'int8')}) =~ s/\n.*//sr,
	'ERROR:  invalid model name: "other options"', 'a name is a name');
put_files('one', 'three');
is(as('maker', answer_of('pinned')), $answer{one}, 'while it is loaded a model is what it was');
unload();
like(as('maker', answer_of('pinned')), $refused, 'and then an error, not another result');
like(as('maker', q{SELECT albert_token_count('a', 'pinned')}), $refused, 'of the tokenizer as well');
like(as(scalar(getpwuid($<)), q{INSERT INTO docs (body) VALUES ('a')}), $refused, 'in a generated column as well');
like(as('maker', q{EXPLAIN } . answer_of('pinned')), $refused, 'when it is planned');
$answer{three} = as('someone', answer_of('one'));
unlike($answer{three}, qr/^$answer{one}$|ERROR/, 'the directory itself answers as its new files do');
like(as('maker', answer_of('pinned')), $refused, 'which does not help the model');
$node->restart;
like(as('maker', answer_of('pinned')), $refused, 'nor does a restart');
is(as('maker', q{SELECT albert_drop_model('pinned'); CALL albert_create_model('pinned', directory => 'one')}), '', 'made anew, as the hint says');
is(as('maker', answer_of('pinned')), $answer{three}, 'it is that of the new files');
put_files('one', 'saved');
unload();
like(as('maker', answer_of('pinned')), $refused, 'now the old files are others');
put_files('one', 'three');
is(as('maker', answer_of('pinned')), $answer{three}, 'put back they are used');

PostgreSQL::Test::Utils::append_to_file("$models/one/albert.json", '{"model_max_length": 100}');
unload();
like(as('maker', answer_of('pinned')), $refused, 'a file more');
unlink "$models/one/albert.json" or die;
is(as('maker', answer_of('pinned')), $answer{three}, 'and without it');
rename "$models/one", "$models/gone" or die;
is(as('maker', answer_of('pinned')), $answer{three}, 'loaded, it needs no directory');
unload();
like(as('maker', answer_of('pinned')), qr/^ERROR:  the directory of model "pinned" is not there\nDETAIL:.*"one"/m, 'not loaded, it does');
$node->stop;

done_testing();
