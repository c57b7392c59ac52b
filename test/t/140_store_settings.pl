# Directories, and what users see of them; settings before and after the library
# is loaded; more models than there is room
# for in the registry; a standby; other server encodings.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL, second => SMALL . ',seed=2', broken => SMALL);
my $hiding = make_models(second => SMALL . ',seed=3');
PostgreSQL::Test::Utils::append_to_file("$models/broken/config.json", 'x');
mkdir "$models/$_" or die for 'no-model', '.hidden', 'two words', 'empty words';
symlink "$models/small/$_", "$models/two words/$_" or die for qw(config.json model.safetensors spiece.model);
my $node = albert_node('settings', init => [ allows_streaming => 1 ], conf => model_conf($models));
my $super = AlbertSession->new($node, 'postgres');
$super->query('CREATE ROLE someone LOGIN; CREATE ROLE reader LOGIN; GRANT pg_read_all_settings TO reader');
my $someone = AlbertSession->new($node, 'postgres', user => 'someone');
my $reader = AlbertSession->new($node, 'postgres', user => 'reader');

sub fails_like
{
	my ($session, $sql, $pattern, $what) = @_;
	my (undef, $err) = $session->query($sql);

	like($err, $pattern, $what);
	return;
}

# ---- names ----

is($super->query('SELECT name FROM albert_models'), "broken\nsecond\nsmall\ntwo words", 'directories that hold models are listed');
is($super->query(q(SELECT state, error FROM albert_models WHERE name = 'two words')),
	q(broken|A model's name has at most 63 letters (a to z, A to Z), digits, "_", "-" and ".", and does not begin with ".".),
	'one whose name cannot be used says so');

# Directories that look good until their tokenizer is read.
sub directory_with
{
	my ($name, %files) = @_;

	mkdir "$models/$name" or die;
	symlink "$models/small/$_", "$models/$name/$_" or die for grep { !exists $files{$_} } qw(config.json model.safetensors spiece.model);
	for my $file (grep { defined $files{$_} } keys %files)
	{
		open my $out, '>', "$models/$name/$file" or die;
		print $out $files{$file};
		close $out;
	}
	return;
}

directory_with('x-bpe', 'spiece.model' => undef,
	'tokenizer.json' => '{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}, "added_tokens": []}');
directory_with('x-added', 'added_tokens.json' => '{"[ONE]": 99999}');
directory_with('x-spiece', 'spiece.model' => 'nothing');
directory_with('x-none', 'spiece.model' => undef);
# no models by themselves
directory_with('x-adapter', map({ $_ => undef } qw(config.json model.safetensors spiece.model)),
	'adapter_config.json' => '{"peft_type": "LORA", "base_model_name_or_path": "albert-base-v2"}');
directory_with('x-setfit', 'model_head.pkl' => '');
directory_with('x-onnx', 'model.safetensors' => undef, 'model.onnx' => '');
is($super->query(q(SELECT name, state, error IS NOT NULL, layers IS NOT NULL FROM albert_models WHERE name LIKE 'x-%')),
	join("\n", 'x-adapter|broken|t|f', 'x-added|broken|t|t', 'x-bpe|broken|t|t', 'x-none|broken|t|f', 'x-onnx|broken|t|f',
		'x-setfit|broken|t|f', 'x-spiece|broken|t|t'),
	'directories that cannot be loaded are listed as broken');
for my $name (qw(x-adapter x-added x-bpe x-none x-onnx x-setfit x-spiece))
{
	my (undef, $err) = $super->query("SELECT albert_load('$name')");
	my ($message) = $err =~ /^ERROR:  (.*)/;

	like($super->query("SELECT error FROM albert_models WHERE name = '$name'"), qr/^\Q$message\E/, "$name: with the words of the load");
}
unlink "$models/x-bpe/tokenizer.json";
symlink "$models/small/spiece.model", "$models/x-bpe/spiece.model" or die;
is(model_state($super, 'x-bpe'), 'available', 'a directory that is mended is seen to be');
unlink glob "$models/x-*/*";
rmdir $_ or die for glob "$models/x-*";
{
	mkdir "$models/$_", 0 or die for qw(closed lost+found);
	is($super->query(q(SELECT name, state FROM albert_models WHERE name IN ('closed', 'lost+found'))), 'closed|broken',
		'a directory that is closed to the server is listed when it is called like a model');
	my (undef, $err) = $super->query(q(SELECT albert_load('closed')));
	my ($message) = $err =~ /^ERROR:  (.*)/;

	like($message, qr/Permission denied/, 'it says so');
	is($super->query(q(SELECT error FROM albert_models WHERE name = 'closed')), $message, 'with the words of the load');
	fails_like($someone, q(SELECT albert_token_count('a', 'closed')), qr/^(?!.*\Q$models\E).*Permission denied/s, 'not where it is, to everybody');
	rmdir "$models/$_" or die for qw(closed lost+found);
}
unlink glob qq("$models/two words/*");
rmdir "$models/two words" or die;
$super->query('\set VERBOSITY verbose');
fails_like($super, q(SELECT albert_load('no-model')), qr/ERROR:  58P01: model directory has no file "config.json"\nCONTEXT:  .*no-model/,
	'a directory without a model');

# ---- what ordinary users may do and see ----

$someone->query('\set VERBOSITY verbose');
like($someone->query('SELECT ' . embedding('small')), qr/^-?\d/, 'everybody may compute');
is($someone->query('SELECT count(*), count(path) FROM albert_models'), '3|0', 'everybody may see models, not where they are');
is($reader->query('SELECT count(*), count(path) FROM albert_models'), '3|3', 'but readers of settings may');
fails_like($someone, 'SELECT ' . embedding('nothing'),
	qr/\AERROR:  42704: model "nothing" does not exist\nHINT:  .*albert_models.*\nLOCATION:  [^\n]*\z/, 'a missing model, without directories');
fails_like($super, 'SELECT ' . embedding('nothing'), qr/DETAIL:  .*\Q$models\E/, 'with them for superusers');
(undef, my $err) = $someone->query('SELECT ' . embedding('broken'));
like($err, qr/ERROR:  XX001: .*config\.json/, 'a broken model: the file is named');
unlike($err, qr/\Q$models\E/, 'but not its directory');
fails_like($someone, q(SET albert.model_path = '/tmp'), qr/ERROR:  42501: permission denied to set parameter/, 'not everybody may set the path');
is($someone->query('SHOW albert.model_path'), $models, 'but see it, as settings of postgresql.conf can be seen before their library is loaded');
is(AlbertSession->new($node, 'postgres', user => 'someone')->query('SHOW albert.model_path'), $models, 'before it is loaded too');
for my $session ($someone, $super)
{
	fails_like($session, "SET $_", qr/ERROR:  55P02: parameter "[\w.]+" cannot be changed now/, "nobody may set $_ for one session")
	  for 'albert.precision = fp32', 'albert.kernel = generic', q(albert.shared_memory_limit = '1GB');
}
is($someone->query('SET albert.model = second; SHOW albert.model'), 'second', 'but the default model');
$super->query('\set VERBOSITY default');

# ---- settings ----

is($super->query('SHOW albert.model_path'), $models, 'the path');
SKIP:
{
	skip 'before PostgreSQL 15 anybody may make up a setting', 1 if major_version($node) < 15;
	fails_like($super, q(SET albert.nonsense = 1), qr/invalid configuration parameter name "albert.nonsense"|unrecognized configuration parameter/,
		'an unknown setting');
}
my ($share) = run_command([ $node->installed_command('pg_config'), '--sharedir' ]);
is($super->query(q(SET albert.model_path = '$sharedir/albert'; SELECT count(*) FROM albert_models WHERE path LIKE ') . "$share/albert/%'"),
	scalar(() = glob "$share/albert/*/config.json"), 'the models of the server');
my $first = $super->query("SET albert.model_path = '$models'; SELECT " . embedding('second'));
my $hidden = $super->query("SET albert.model_path = '$hiding:$models:/nonexistent'; SELECT " . embedding('second'));
isnt($hidden, $first, 'the first directory of the path counts');
is($super->query("SELECT path FROM albert_models WHERE name = 'second' AND state = 'loaded' ORDER BY path = '$hiding/second' DESC LIMIT 1"),
	"$hiding/second", 'and is shown');
is($super->query("SET albert.model_path = '$models'; SELECT " . embedding('second')), $first, 'a session can change the path');
$super->query('RESET albert.model_path');
is($super->query('SELECT ' . embedding('second')), $first, 'and go back');

# settings before the library is loaded, as postgresql.conf or ALTER ROLE give them
is($node->safe_psql('postgres', q(SET albert.model = 'second'; SELECT albert_token_count('the war'), current_setting('albert.model'))),
	'4|second', 'a setting made before the library was loaded');

# ---- more models than the registry has room for ----

symlink "$models/small", "$models/s$_" or die for 1 .. 60;
symlink "$models/broken", "$models/b$_" or die for 1 .. 60;
(undef, $err) = $super->query(<<'SQL');
CREATE TEMP TABLE tried (name text, what text);
DO $$
DECLARE
	n text;
BEGIN
	FOR n IN SELECT name FROM albert_models WHERE name ~ '^b\d' LOOP
		BEGIN
			PERFORM albert_load(n);
		EXCEPTION WHEN data_corrupted THEN
			INSERT INTO tried VALUES (n, 'broken');
		END;
	END LOOP;
	FOR n IN SELECT name FROM albert_models WHERE name ~ '^s\d' LOOP
		BEGIN
			PERFORM albert_load(n);
			INSERT INTO tried VALUES (n, 'loaded');
		EXCEPTION WHEN configuration_limit_exceeded THEN
			INSERT INTO tried VALUES (n, 'full');
		END;
	END LOOP;
END
$$
SQL
is($err, '', 'loading 60 broken models and 60 good ones');
is($super->query(q(SELECT count(*) FROM tried WHERE what = 'broken')), '60', 'broken models fail');
my $loaded = $super->query(q(SELECT count(*) FROM albert_models WHERE state = 'loaded'));
is($loaded, 48, 'as many as there is room for are loaded');
is($super->query(q(SELECT count(*) > 10 FROM tried WHERE what = 'full')), 't', 'the others are refused');
my ($out) = $super->query(q(SELECT name FROM tried WHERE what = 'full' LIMIT 1));
my $holder = AlbertSession->new($node, 'postgres');
$holder->query('BEGIN; SELECT count(albert_token_count(content, name)) FROM (SELECT name, $$x$$ AS content FROM albert_models WHERE loaded_at IS NOT NULL OFFSET 0) AS t');
fails_like($super, "SELECT albert_load('$out')",
	qr/ERROR:  too many models are in use\nDETAIL:  There can be 48.*\nHINT:  End some/, 'in clear words');
$holder->query('ROLLBACK');
$holder->quit;
is($super->query("SELECT albert_load('$out'); SELECT " . embedding($out) . ' = ' . embedding('small')), "\nt",
	'when nobody uses them any more, there is room');
is($super->query(q(SELECT count(*) FROM albert_models WHERE state = 'loaded')), 48, 'in the place of others');
is($super->query('SELECT count(albert_unload(name)) FROM albert_models WHERE loaded_at IS NOT NULL'), 48, 'all are unloaded');
unlink glob "$models/[sb][0-9]*";

# ---- a standby ----

$super->query('CREATE TABLE texts AS SELECT 1 AS id, $$the capital of france$$ AS body');
my $answer = $super->query('SELECT ' . embedding('small'));
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
my $session = AlbertSession->new($standby, 'postgres');
is($session->query('SELECT pg_is_in_recovery()'), 't', 'a hot standby');
is($session->query('SELECT ' . embedding('small', 'body') . ' FROM texts'), $answer, 'computes');
is(model_state($session, 'small'), 'loaded', 'with a model in its own memory');
is($session->query(q(SELECT albert_unload('small'))), 't', 'which can be unloaded');
$session->quit;
$standby->stop;

# ---- single-user mode ----

my $refused = major_version($node) < 15 && $super->query('SHOW debug_assertions') eq 'on';
$_->quit for $super, $someone, $reader;
$node->stop;
SKIP:
{
	skip 'before PostgreSQL 15 an assertion keeps single-user mode from dynamic shared memory', 2 if $refused;
	my ($stdout, $stderr) = ('', '');
	my $input = "SELECT albert_token_count('the war', 'small');\nSELECT " . embedding('small') . ";\n";
	IPC::Run::run([ $node->installed_command('postgres'), '--single', '-F', '-D', $node->data_dir, 'postgres' ],
		'<', \$input, '>', \$stdout, '2>', \$stderr);
	like($stdout, qr/albert_token_count = "4"/, 'single-user mode: tokens are counted');
	like($stdout, qr/= "\Q$answer\E"/, 'single-user mode: an embedding');
}

# ---- a server encoding that cannot hold what a broken file says ----

my $latin = PostgreSQL::Test::Cluster->new('latin');
$latin->init(extra => [ '--encoding=LATIN1', '--locale=C' ]);
$latin->append_conf('postgresql.conf', model_conf($models));
$latin->start;
$latin->safe_psql('postgres', 'CREATE EXTENSION albert');
open my $file, '>', "$models/broken/config.json" or die;
print $file qq({"model_type": "\xe6\x97\xa5\xe6\x9c\xac", "architectures": ["\xe6\x97\xa5"]});
close $file;
$session = AlbertSession->new($latin, 'postgres');
is($session->query('SELECT ' . embedding('small')), $answer, 'LATIN1: an embedding');
(undef, $err) = $session->query(q(SELECT albert_load('broken')));
like($err, qr/ERROR:  .*config\.json/, q(LATIN1: an error that quotes other characters));
is(model_state($session, 'broken'), 'broken', 'LATIN1: is shown in the view');
$session->quit;
$latin->stop;

done_testing();
