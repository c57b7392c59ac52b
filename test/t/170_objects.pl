# Models of the database: uploaded from a client by an ordinary user, used where
# models are used, dumped and restored in every way, on a standby, exported.
# There is no model directory on any of the servers.
use strict;
use warnings;

use Cwd qw(abs_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use AlbertSession;
use AlbertTest;

my $import = source_file('tools/albert-import');
my $models = $ENV{ALBERT_TEST_MODELS} || source_file('build/test-models');
my $mini;
my $no_models = "albert.model_path = '/nonexistent'\nmax_wal_senders = 4\nwal_level = replica\n"
  . "parallel_setup_cost = 0\nparallel_tuple_cost = 0\nmin_parallel_table_scan_size = 0\nmax_parallel_workers_per_gather = 2\n";
my $node = albert_node('objects', conf => $no_models, init => [ allows_streaming => 1 ]);
$mini = server_directory('sharedir') . '/albert/albert-mini';

$node->safe_psql('postgres', q{
	CREATE ROLE maker LOGIN;
	CREATE ROLE someone LOGIN;
	GRANT CREATE ON SCHEMA "!albert" TO maker;
	GRANT CREATE ON SCHEMA public TO maker;
	GRANT CREATE ON DATABASE postgres TO maker;
});
my @connect = ('--', '-h', $node->host, '-p', $node->port, '-U', 'maker', '-d', 'postgres');

sub file_bytes
{
	my ($model) = @_;

	return $node->safe_psql('postgres', "SELECT state, file_bytes FROM albert_models WHERE name = '$model'");
}

# ---- from a client ----

command_ok([ $import, '--quiet', $mini, @connect ], 'an ordinary user with the privilege uploads a model');
is($node->safe_psql('postgres', "SELECT state, origin, owner, path IS NULL FROM albert_models WHERE name = 'albert-mini'"),
	'loaded|database|maker|t', 'which is there then');
command_fails_like([ $import, '--quiet', $mini, @connect ], qr/model "albert-mini" exists already/, 'and is not uploaded again');
command_fails_like([ $import, '--quiet', '--model', 'x', $mini, @connect[ 0 .. 4 ], '-U', 'someone', '-d', 'postgres' ],
	qr/permission denied to create models/, 'others do not');

# A first attempt that did not come far, and one that stopped in the middle of the weights.
$node->safe_psql('postgres', q{SELECT albert_import_file('base', 'config.json', pg_read_binary_file('} . "$models/base_shape/config.json" . q{'));
	SELECT albert_import_file('base', 'model.safetensors', pg_read_binary_file('} . "$models/base_shape/model.safetensors" . q{', 0, 3000000));
	ALTER TABLE "!albert".base OWNER TO maker});
is(file_bytes('base') =~ s/\|.*//r, 'importing', 'an upload that is not finished');
my $begin = time;
my ($out, $err) = run_command([ $import, '--model', 'base', '--option', 'precision=bf16', "$models/base_shape", @connect ]);
note sprintf 'uploaded %.1f MB in %.1f s', (-s "$models/base_shape/model.safetensors") / 1e6, time - $begin;
unlike($err, qr{^config\.json}m, 'goes on where it was');
like($err, qr{^model\.safetensors: 4048576 of}m, 'in the middle of a file');
like($err, qr/model "base" is made/, 'to its end');
is($node->safe_psql('postgres', q(SELECT state, "precision" FROM albert_models WHERE name = 'base')), 'loaded|bf16', 'with its option');

# ---- and back, byte for byte ----

my $exported = PostgreSQL::Test::Utils::tempdir() . '/exported';
command_ok([ $import, '--quiet', '--model', 'base', '--export', $exported, @connect ], 'a model is exported');
command_ok([ 'diff', '-r', "$models/base_shape", $exported ], 'byte for byte');
my $on_server = abs_path($node->data_dir) . '/exported';
$node->safe_psql('postgres', "SELECT albert_export_directory('albert-mini', '$on_server')");
command_ok([ 'diff', '-r', $mini, $on_server ], 'on the server too');
is(join(' ', glob $node->data_dir . '/base/pgsql_tmp/*'), '', 'nothing temporary is left');

# ---- used where models are used ----

# Schemas and names before and behind others; a table that is larger than any model.
$node->safe_psql('postgres', q{
	CREATE SCHEMA "0first";
	CREATE TABLE "0first".docs (id int, body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'albert-mini')) STORED);
	INSERT INTO "0first".docs SELECT i, 'the number of this text is ' || i % 50 FROM generate_series(1, 200) i;
	CREATE INDEX on_tokens ON "0first".docs (albert_token_count(body, 'albert-mini'));
	CREATE TABLE large (id int, padding text, body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'base')) STORED);
	ALTER TABLE large ALTER padding SET STORAGE EXTERNAL;
	INSERT INTO large SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 31250) j), 'text ' || i FROM generate_series(1, 64) i;
	CREATE INDEX on_tokens ON large (albert_token_count(body, 'base'));
	CREATE MATERIALIZED VIEW counts AS SELECT id, albert_token_count(body, 'base') AS n FROM large;
	CREATE TABLE filled (id int, body text, embedding real[], base real[]);
	INSERT INTO filled SELECT i, 'a text of number ' || i FROM generate_series(1, 50) i;
	CALL albert_embed_table('filled', 'body', 'embedding', 'albert-mini');
	CALL albert_embed_table('filled', 'body', 'base', 'base');
	ANALYZE;
});
my $check = q{
	SET search_path = '';
	SELECT md5(string_agg(embedding::text, ' ' ORDER BY id)) FROM "0first".docs;
	SELECT md5(string_agg(embedding::text, ' ' ORDER BY id)) FROM public.large;
	SELECT md5(string_agg(embedding::text || base::text, ' ' ORDER BY id)) FROM public.filled WHERE embedding IS NOT NULL AND base IS NOT NULL;
	SELECT count(*) FROM "0first".docs WHERE public.albert_embedding(body, 'albert-mini') = embedding;
	SELECT count(*) FROM public.filled WHERE public.albert_embedding(body, 'albert-mini') = embedding AND public.albert_embedding(body, 'base') = base;
	SELECT count(*) FROM public.large WHERE public.albert_embedding(body, 'base') = embedding;
	SELECT sum(n) FROM public.counts;
	SET enable_seqscan = off;
	SELECT count(*) FROM "0first".docs WHERE public.albert_token_count(body, 'albert-mini') > 8;
	SELECT count(*) FROM public.large WHERE public.albert_token_count(body, 'base') = 4;
	SELECT public.albert_fill_mask('The capital of [MASK] is Delhi.', 'albert-mini');
};
my $answers = $node->safe_psql('postgres', $check);
like($answers, qr/^200\n50\n64\n/m, 'columns, indexes and jobs hold what calls answer');
for my $case ([ '"0first".docs', 'albert-mini' ], [ 'large', 'base' ])
{
	my ($table, $model) = @$case;

	like($node->safe_psql('postgres', "EXPLAIN (COSTS off) SELECT count(*) FROM $table WHERE albert_embedding(body, '$model') = embedding"),
		qr/Parallel Seq Scan/, "$model: in parallel workers as well");
	like($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN (COSTS off) SELECT FROM $table WHERE albert_token_count(body, '$model') = 4"),
		qr/on_tokens/, "$model: by an index as well");
}

# ---- dumps ----

my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init;
$copy->append_conf('postgresql.conf', "fsync = off\n$no_models");
$copy->start;
my $dump = PostgreSQL::Test::Utils::tempdir();

# Into an empty database of a server that has the package only.
sub restored
{
	my ($name, $file, @restore) = @_;
	my $database = "db_$name";

	$begin = time;
	$copy->safe_psql('postgres', "CREATE DATABASE $database");
	command_ok([ @restore, '-d', $copy->connstr($database), ($restore[0] eq 'psql' ? '-f' : ()), "$dump/$file" ], "$name: restored without an error");
	note sprintf '%s: restored in %.1f s', $name, time - $begin;
	is($copy->safe_psql($database, $check), $answers, "$name: everything is there");
	return;
}

for my $options ([ 'plain' ], [ 'custom', '-Fc', '-Z', '0' ], [ 'directory', '-Fd', '-j', '2', '-Z', '0' ])
{
	my ($name, @options) = @$options;

	command_ok([ 'pg_dump', '-O', '-x', @options, '-f', "$dump/$name", '-d', $node->connstr('postgres') ], "dumped: $name");
}
restored('plain', 'plain', 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1');
restored('custom', 'custom', 'pg_restore', '-O');
restored('single', 'custom', 'pg_restore', '-O', '--single-transaction');
restored('custom_parallel', 'custom', 'pg_restore', '-O', '-j', '4');
restored('directory_parallel', 'directory', 'pg_restore', '-O', '-j', '2');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM pg_database WHERE datname LIKE $$db_%$$'), 5, 'five databases');
is($copy->safe_psql('db_plain', q(SELECT count(*), sum((shared_bytes > 0)::int) FROM albert_models)), '2|2', 'share two models');

# With one worker and a table before it, the model comes too late: an error says what to do.
$copy->safe_psql('postgres', 'CREATE DATABASE late');
command_ok([ 'pg_restore', '-O', '-s', '-d', $copy->connstr('late'), "$dump/custom" ], 'the schema only');
my ($code, $stdout, $stderr) = $copy->psql('late', q{INSERT INTO large (id, body) VALUES (1, 'one')});
like($stderr, qr/model "base" has not been restored yet.*HINT:\s+Restore the data of that schema.*--schema='!albert'/s, 'what to restore first');

# All of the cluster, with its roles and privileges.
$node->safe_psql('postgres', q{SELECT albert_grant('albert-mini', 'someone')});
my $whole = PostgreSQL::Test::Cluster->new('whole');
$whole->init;
$whole->append_conf('postgresql.conf', "fsync = off\n$no_models");
$whole->start;
command_ok([ 'pg_dumpall', '-f', "$dump/all", '-d', $node->connstr('postgres') ], 'pg_dumpall');
command_ok([ 'psql', '-X', '-q', '-f', "$dump/all", '-d', $whole->connstr('postgres') ], 'restored');
is($whole->safe_psql('postgres', $check), $answers, 'everything is there');
is($whole->safe_psql('postgres', q{SELECT string_agg(name || ' ' || owner, ' ' ORDER BY name) FROM albert_models}), 'albert-mini maker base maker', 'with owners');
is($whole->safe_psql('postgres', q{SET ROLE someone; SELECT string_agg(name, ' ') FROM albert_models}), 'albert-mini', 'and privileges');
is($whole->safe_psql('postgres', q{SELECT has_schema_privilege('maker', '!albert', 'CREATE')}), 't', 'that to make models as well');
$_->stop for $copy, $whole;

# ---- a standby ----

$node->safe_psql('postgres', q{SELECT albert_import_file('begun', 'a', 'a')});
$node->backup('base_backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base_backup', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', $check), $answers, 'a standby answers the same');
for my $statement (q{SELECT albert_import_file('more', 'a', 'a')}, q{SELECT albert_import_file('begun', 'a', 'b')}, q{SELECT albert_drop_model('base')},
	q{SELECT albert_replace_model('albert-mini', 'base')}, q{SELECT albert_grant('base', 'someone')})
{
	($code, $stdout, $stderr) = $standby->psql('postgres', $statement);
	like($stderr, qr/ERROR:  cannot execute [A-Z ]+ in a read-only transaction/, "it refuses $statement");
}
is($standby->safe_psql('postgres', q{SELECT albert_unload('base')}), 't', 'unloads a model');
is($standby->safe_psql('postgres', $check), $answers, 'and loads it again');
$node->safe_psql('postgres', q{SELECT albert_drop_model('begun')});
my $reader = AlbertSession->new($standby, 'postgres');
my $old = $reader->query(q{SELECT md5(albert_embedding('one', 'albert-mini')::text)});
$reader->query(q{PREPARE folded AS SELECT md5(albert_embedding('one', 'albert-mini')::text)});
is($reader->query('EXECUTE folded'), $old, 'with a plan');
command_ok([ $import, '--quiet', '--model', 'new', '--replace', 'albert-mini', "$models/m01_plain", @connect ], 'a model is replaced on the primary');
my $new = $node->safe_psql('postgres', q{SELECT md5(albert_embedding('one', 'albert-mini')::text)});
isnt($new, $old, 'by another one');
$node->wait_for_catchup($standby);
is($reader->query(q{SELECT md5(albert_embedding('one', 'albert-mini')::text)}), $new, 'the standby follows');
is($reader->query('EXECUTE folded'), $new, 'its plans too');
is($standby->safe_psql('postgres', q{SET ROLE someone; SELECT md5(albert_embedding('one', 'albert-mini')::text)}), $new, 'the new model has the old one\'s privileges');
$standby->promote;
is($reader->query(q{SELECT md5(albert_embedding('one', 'albert-mini')::text)}), $new, 'and when it is promoted');
is($standby->safe_psql('postgres', q{SELECT albert_drop_model('albert-mini'); SELECT count(*) FROM albert_models WHERE owner IS NOT NULL}), "\n1", 'it is like any server');
$standby->stop;

# ---- replaced while others compute: every answer is the old or the new model's ----

$node->safe_psql('postgres', 'CREATE TABLE answers (answer text)');
my @busy = map { AlbertSession->new($node, 'postgres') } 1 .. 4;
$_->send(q{DO $$ BEGIN
	FOR i IN 1 .. 400 LOOP
		INSERT INTO answers SELECT md5(albert_embedding('one', 'albert-mini')::text);
		PERFORM albert_embedding('other ' || i, 'albert-mini');
		COMMIT;
	END LOOP; END $$}) for @busy;
for my $turn (1 .. 3)
{
	command_ok([ $import, '--quiet', '--model', "next$turn", '--replace', 'albert-mini',
		$turn % 2 ? $mini : "$models/m01_plain", @connect ], 'replaced while 4 sessions compute');
}
$_->wait for @busy;
is($node->safe_psql('postgres', "SELECT count(*) FROM answers WHERE answer NOT IN ('$old', '$new')"), 0, 'no other answers');
is($node->safe_psql('postgres', 'SELECT count(*) FROM answers'), 1600, 'of all calls');
is($node->safe_psql('postgres', q{SELECT string_agg(name, ' ' ORDER BY name) FROM albert_models}), 'albert-mini base', 'no model but the two');

# ---- what the sharing and dropping of databases does ----

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION albert');
my @other = (@connect[ 0 .. 4 ], '-d', 'other');
command_ok([ $import, '--quiet', '--model', 'same', $mini, @other ], 'the same bytes in another database under another name');
is($node->safe_psql('other', q{SELECT count(*) FROM albert_models WHERE shared_bytes > 0 AND sha256 = (SELECT sha256 FROM albert_models WHERE name = 'same')}), 1, 'are there once');
my ($rc, $o, $e) = $node->psql('other', 'DROP EXTENSION albert');
like($e, qr/other objects depend on it/, 'DROP EXTENSION does not drop models by the way');
$node->safe_psql('other', 'DROP EXTENSION albert CASCADE');
is($node->safe_psql('other', q{SELECT count(*) FROM pg_class WHERE relname = 'same'}), 0, 'but when asked to');
$node->stop;

done_testing();
