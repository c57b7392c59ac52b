# pg_upgrade takes models of the database along, and what has been computed with
# them.  From a server to another of the same version, unless ALBERT_OLD_INSTALL
# names an older installation that has the extension.
use strict;
use warnings;

use Cwd qw(abs_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertTest;

my $models = make_models(one => SMALL . ',seed=1', two => SMALL . ',seed=2');
my @old = $ENV{ALBERT_OLD_INSTALL} ? (install_path => $ENV{ALBERT_OLD_INSTALL}) : ();
my $conf = "albert.model_path = '$models'\n";
my $old = albert_node('old', conf => $conf, new => \@old);
$old->safe_psql('postgres', qq{
	CREATE ROLE maker LOGIN;
	CREATE ROLE someone LOGIN;
	CREATE ROLE stranger LOGIN;
	GRANT CREATE ON SCHEMA "!albert" TO maker;
	GRANT pg_read_server_files TO maker;
	SET ROLE maker;
	SELECT albert_import_directory('mine', '$models/one');
	CALL albert_create_model('mine', max_length => 20, "precision" => 'int8', comment => 'a model of its own');
	SELECT albert_grant('mine', 'someone');
	CALL albert_create_model('pinned', directory => 'two');
	SELECT albert_import_file('begun', 'config.json', 'not all of it');
	RESET ROLE;
	CREATE TABLE docs (id int, body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'mine')) STORED);
	INSERT INTO docs SELECT i, 'text of number ' || i % 50 FROM generate_series(1, 200) i;
	CREATE INDEX ON docs (albert_token_count(body, 'mine'));
	CREATE INDEX ON docs (albert_embedding(body, 'pinned')) WHERE albert_token_count(body, 'mine') > 5;
	CREATE MATERIALIZED VIEW counts AS SELECT id, albert_token_count(body, 'pinned') AS n FROM docs;
	CREATE DATABASE other;
});
$old->safe_psql('other', 'CREATE EXTENSION albert');
$old->safe_psql('other', "SELECT albert_import_directory('mine', '$models/two'); CALL albert_create_model('mine')");
my $state = q{SELECT name, state IN ('available', 'loaded'), origin, owner, description, sha256, file_bytes, obj_description(to_regclass('"!albert".' || name), 'pg_class')
	FROM albert_models WHERE owner IS NOT NULL ORDER BY name;};
my $check = $state . q{
	SET enable_seqscan = off;
	SELECT count(*) FROM docs WHERE albert_token_count(body, 'mine') > 17;
	SET enable_seqscan = on;
	SELECT md5(string_agg(embedding::text, ' ' ORDER BY id)) FROM docs;
	SELECT count(*) FROM docs WHERE embedding = albert_embedding(body, 'mine');
	SELECT sum(n) FROM counts;
	SELECT md5(albert_embedding('one', 'pinned')::text);
};
my %answers = (postgres => $old->safe_psql('postgres', $check), other => $old->safe_psql('other', $state . q{SELECT md5(albert_embedding('one', 'mine')::text)}));
like($answers{postgres}, qr/^begun\|f\|database\|maker.*\nmine\|t\|database\|maker.*\npinned\|t\|pinned directory\|maker[^\n]*\n[1-9]\d*\n\w{32}\n200$/ms, 'models of the old cluster');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding=UTF8', '--locale=C', $ENV{ALBERT_OLD_INSTALL} ? '--no-data-checksums' : () ]);
$new->append_conf('postgresql.conf', albert_conf() . $conf);
# it leaves scripts where it runs
my @data = map { abs_path($_->data_dir) } $old, $new;
command_ok([ 'sh', '-c', 'cd "$0" && exec pg_upgrade "$@"', PostgreSQL::Test::Utils::tempdir(),
	'-b', $ENV{ALBERT_OLD_INSTALL} ? "$ENV{ALBERT_OLD_INSTALL}/bin" : server_directory('bindir'), '-B', server_directory('bindir'),
	'-d', $data[0], '-D', $data[1], '-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
is($new->safe_psql('postgres', $check), $answers{postgres}, 'everything is there');
is($new->safe_psql('other', $state . q{SELECT md5(albert_embedding('one', 'mine')::text)}), $answers{other}, 'in the other database too');

my @as = map { [ extra_params => [ '-U', $_ ] ] } qw(maker someone stranger);
is($new->safe_psql('postgres', q{SELECT albert_token_count('one', 'mine') > 2}, @{ $as[1] }), 't', 'who may use a model');
my ($code, $out, $err) = $new->psql('postgres', q{SELECT albert_token_count('one', 'mine')}, @{ $as[2] });
like($err, qr/model "mine" does not exist/, 'and who may not');
like($new->safe_psql('postgres', qq{SELECT albert_drop_model('begun'); SELECT albert_import_directory('more', '$models/one'); CALL albert_create_model('more');
	SELECT albert_replace_model('mine', 'more'); SELECT albert_rename_model('mine', 'yours'); SELECT albert_token_count('one', 'yours') > 2}, @{ $as[0] }) =~ s/\s+/ /gr,
	qr/^ \d t$/, 'its owner owns it');
($code, $out, $err) = $new->psql('postgres', 'DROP EXTENSION albert');
like($err, qr/other objects depend on it/, 'models depend on the extension');
$new->safe_psql('postgres', q{SELECT albert_drop_model('yours'); SELECT albert_drop_model('pinned'); DROP TABLE docs CASCADE; DROP EXTENSION albert; CREATE EXTENSION albert});
$new->stop;

done_testing();
