# Models of the database over logical replication: tables are made by hand, as
# ever, and then a subscriber answers as the publisher does.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(one => SMALL . ',seed=1', two => SMALL . ',seed=2', three => SMALL . ',seed=3');
my $publisher = albert_node('publisher', conf => "albert.model_path = '/nonexistent'\nwal_level = logical\nmax_wal_senders = 8\nmax_replication_slots = 8\n");
# it has a directory with the name of a model that will come
my $subscriber = albert_node('subscriber', conf => "albert.model_path = '" . make_models(second => SMALL . ',seed=9') . "'\n");

sub answer_of
{
	my ($model) = @_;

	return "SELECT md5(albert_embedding('the capital of france', '$model')::text)";
}

# make_tables(PATTERN...): the publisher's tables on the subscriber, without rows
sub make_tables
{
	my ($name, @what) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/schema.sql";

	command_ok([ 'pg_dump', '-s', @what, '-f', $file, '-d', $publisher->connstr('postgres') ], "$name: the publisher's tables");
	command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $subscriber->connstr('postgres') ], "$name: are made on the subscriber");
	return;
}

sub wait_for_tables
{
	$subscriber->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')})
	  or die 'the tables are not copied';
	return;
}

sub wait_for_rows
{
	$publisher->wait_for_catchup('models');
	return;
}

# ---- a model that is there when the subscription begins ----

$publisher->safe_psql('postgres', qq{
	CREATE ROLE maker;
	SELECT albert_import_directory('first', '$models/one');
	CALL albert_create_model('first', max_length => 20);
	ALTER TABLE "!albert".first OWNER TO maker;
	CREATE TABLE docs (id int PRIMARY KEY, body text);
	INSERT INTO docs SELECT i, 'text of number ' || i FROM generate_series(1, 20) i;
	CREATE PUBLICATION models FOR TABLE docs, "!albert".first;
});
$subscriber->safe_psql('postgres', 'CREATE ROLE maker');
make_tables('first', '-n', '!albert');
is($subscriber->safe_psql('postgres', q{SELECT state, owner FROM albert_models WHERE name = 'first'}), 'restoring|maker', 'a table without rows');
$subscriber->safe_psql('postgres', q{CREATE TABLE docs (id int PRIMARY KEY, body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'first')) STORED)});
$subscriber->safe_psql('postgres', q{CREATE SUBSCRIPTION models CONNECTION '} . $publisher->connstr . q{ dbname=postgres' PUBLICATION models});
wait_for_tables();
is($subscriber->safe_psql('postgres', answer_of('first')), $publisher->safe_psql('postgres', answer_of('first')), 'the subscriber answers the same');
my $what = q{SELECT state, origin, owner, description, sha256, file_bytes FROM albert_models WHERE name = 'first'};
is($subscriber->safe_psql('postgres', $what), $publisher->safe_psql('postgres', $what), 'has the same model, with its options');
my $docs = q{SELECT count(*), md5(string_agg(albert_embedding(body, 'first')::text, ' ' ORDER BY id)) FROM docs};
my $columns = q{SELECT count(*), md5(string_agg(embedding::text, ' ' ORDER BY id)) FROM docs};
is($subscriber->safe_psql('postgres', $columns), $publisher->safe_psql('postgres', $docs), 'and has computed a generated column with it');
$publisher->safe_psql('postgres', q{INSERT INTO docs SELECT i, 'text of number ' || i FROM generate_series(21, 40) i});
wait_for_rows();
is($subscriber->safe_psql('postgres', $columns), $publisher->safe_psql('postgres', $docs), 'does so as rows come');

# ---- one more, which the subscriber has a directory of the name of ----

my $session = AlbertSession->new($subscriber, 'postgres');
$session->query('PREPARE folded AS ' . answer_of('second'));
my $directory = $session->query('EXECUTE folded');
$publisher->safe_psql('postgres', "SELECT albert_import_directory('second', '$models/two'); CALL albert_create_model('second')");
my $second = $publisher->safe_psql('postgres', answer_of('second'));
isnt($second, $directory, 'another model');
make_tables('second', '-t', '"!albert".second');
$publisher->safe_psql('postgres', 'ALTER PUBLICATION models ADD TABLE "!albert".second');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION models REFRESH PUBLICATION');
wait_for_tables();
is($subscriber->safe_psql('postgres', answer_of('second')), $second, 'comes when the publication has its table');
is($session->query(answer_of('second')), $second, 'before the directory');
$subscriber->safe_psql('postgres', q{SELECT albert_unload('second')});
is($session->query('EXECUTE folded'), $second, 'plans made with the directory end with albert_unload');

# ---- one that comes while it is being uploaded ----

my @parts = map { "SELECT albert_import_file('third', '$_', pg_read_binary_file('$models/three/$_'))" } qw(config.json model.safetensors spiece.model);
$publisher->safe_psql('postgres', shift @parts);
make_tables('third', '-t', '"!albert".third');
$publisher->safe_psql('postgres', 'ALTER PUBLICATION models ADD TABLE "!albert".third');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION models REFRESH PUBLICATION');
wait_for_tables();
my ($out, $err) = $session->query(answer_of('third'));
like($err, qr/model "third" does not exist/, 'an upload that is not finished is no model there either');
is($subscriber->safe_psql('postgres', q{SELECT state FROM albert_models WHERE name = 'third'}), 'importing', 'and is seen as such');
$publisher->safe_psql('postgres', $_) for @parts, q{CALL albert_create_model('third')};
my $third = $publisher->safe_psql('postgres', answer_of('third'));
wait_for_rows();
is($session->query(answer_of('third')), $third, 'finished, it is one, in the same session');

# ---- replaced on both ----

$session->query('PREPARE by_name AS ' . answer_of('first'));
isnt($session->query('EXECUTE by_name'), $third, 'the old model');
$_->safe_psql('postgres', q{SELECT albert_replace_model('first', 'third')}) for $publisher, $subscriber;
is($publisher->safe_psql('postgres', answer_of('first')), $third, 'replaced on the publisher');
is($session->query(answer_of('first')), $third, 'and on the subscriber');
is($session->query('EXECUTE by_name'), $third, 'with its plans');
$publisher->safe_psql('postgres', q{INSERT INTO docs SELECT i, 'text of number ' || i FROM generate_series(41, 60) i});
wait_for_rows();
is($subscriber->safe_psql('postgres', q{SELECT count(*) FROM docs WHERE id > 40 AND embedding = albert_embedding(body, 'first')}), 20, 'replication goes on, with the new model');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION models');
is($subscriber->safe_psql('postgres', q{SELECT albert_drop_model('first'); SELECT albert_drop_model('second'); SELECT count(*) FROM albert_models WHERE owner IS NOT NULL}),
	"\n\n0", 'the subscriber\'s models are its own');
unlike(slurp_file($subscriber->logfile), qr/ERROR(?!:  model "third" does not exist)/, 'nothing failed on the way');
$_->stop for $publisher, $subscriber;

done_testing();
