# A model of the database while others change it: dropped, renamed, revoked,
# replaced in the middle of a load; in read-only transactions; in an extension
# that no superuser has made; and what dropping a database gives back.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(one => SMALL . ',seed=1', two => SMALL . ',seed=2', three => SMALL . ',seed=3');
my $node = albert_node('sessions', conf => "albert.model_path = '/nonexistent'\n");
$node->safe_psql('postgres', qq{
	CREATE ROLE friend LOGIN;
	CREATE ROLE owner LOGIN CREATEDB;
	CREATE ROLE maker LOGIN;
	GRANT pg_read_server_files TO owner, maker;
	SELECT albert_import_directory('mine', '$models/one');
	CALL albert_create_model('mine');
	SELECT albert_grant('mine', 'friend');
});

sub answer_of
{
	my ($model) = @_;

	return "SELECT md5(albert_embedding('the capital of france', '$model')::text)";
}

# A statement that a session sends, once it waits for a lock of that type, or for a load.
sub send_and_wait
{
	my ($session, $sql, $type) = @_;

	$session->send($sql);
	$node->poll_query_until('postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = } . $session->pid . qq{ AND wait_event_type = '$type'})
	  or die "the session does not wait: $sql";
	return;
}

my $old = $node->safe_psql('postgres', answer_of('mine'));
my $missing = qr/model "mine" does not exist/;
my ($loader, $other, $watcher) = map { AlbertSession->new($node, 'postgres') } 1 .. 3;
my $friend = AlbertSession->new($node, 'postgres', user => 'friend');
my ($out, $err);

# ---- revoked while it is loaded ----

stop_in_load($node, $loader, $watcher, 'mine');
send_and_wait($friend, answer_of('mine'), 'Extension');
is(model_state($other, 'mine'), 'loading', 'a load can be seen');
is($other->query('SELECT wait_event FROM pg_stat_activity WHERE pid = ' . $friend->pid), major_version($node) >= 17 ? 'AlbertModelLoad' : 'Extension', 'and who waits for it');
$other->query(q{SELECT albert_revoke('mine', 'friend')});
go_on($watcher);
is($friend->wait, $old, 'a statement that has begun ends');
($out, $err) = $friend->query(answer_of('mine'));
like($err, $missing, 'the next one is refused');
$loader->wait;
$other->query(q{SELECT albert_grant('mine', 'friend')});
is($friend->query(answer_of('mine')), $old, 'granted again');

# ---- used in a transaction that goes on ----

my $fresh = AlbertSession->new($node, 'postgres');
$fresh->query('BEGIN');
is($fresh->query(answer_of('mine')), $old, 'a session\'s first transaction has computed with a model');
($out, $err) = $other->query(q{SET lock_timeout = '60s'; BEGIN; SELECT albert_drop_model('mine'); ROLLBACK; RESET lock_timeout});
is($err, '', 'that does not keep it from being dropped');
$fresh->query('COMMIT');

# ---- dropped while it is loaded ----

stop_in_load($node, $loader, $watcher, 'mine');
send_and_wait($friend, answer_of('mine'), 'Extension');
send_and_wait($other, q{BEGIN; SELECT albert_drop_model('mine')}, 'Lock');
go_on($watcher);
is($friend->wait, $old, 'dropping waits for those who load');
($out, $err) = $loader->wait;
is($err, '', 'all of them');
$other->wait;
$other->query('ROLLBACK');
is($friend->query(answer_of('mine')), $old, 'a drop that is rolled back has done nothing');
$watcher->query(q{SELECT albert_unload('mine')});
$other->query(q{BEGIN; SELECT albert_drop_model('mine')});
send_and_wait($friend, answer_of('mine'), 'Lock');
$other->query('COMMIT');
($out, $err) = $friend->wait;
like($err, $missing, 'who comes while it is being dropped waits, and finds it gone');

# ---- renamed and replaced by a session whose transaction goes on ----

$node->safe_psql('postgres', "SELECT albert_import_directory('mine', '$models/one'); CALL albert_create_model('mine');
	SELECT albert_import_directory('new', '$models/two'); CALL albert_create_model('new'); SELECT albert_grant('mine', 'friend')");
my $new = $node->safe_psql('postgres', answer_of('new'));
is($friend->query(answer_of('mine')), $old, 'made again');
$friend->query('PREPARE folded AS ' . answer_of('mine'));
is($friend->query('EXECUTE folded'), $old, 'with a plan');
$other->query(q{BEGIN; SELECT albert_replace_model('mine', 'new')});
is($other->query(answer_of('mine')), $new, 'replaced in a transaction');
is($friend->query('EXECUTE folded'), $old, 'that goes on: the others have the old model');
$other->query('ROLLBACK');
is($other->query(answer_of('mine')), $old, 'rolled back');
is($friend->query('EXECUTE folded'), $old, 'nothing happened');
$other->query(q{BEGIN; SELECT albert_rename_model('mine', 'yours')});
is($friend->query('EXECUTE folded'), $old, 'renamed, in a transaction that goes on');
$other->query(q{SELECT albert_rename_model('new', 'mine'); SELECT albert_grant('mine', 'friend'); COMMIT});
is($friend->query('EXECUTE folded'), $new, 'and ended: another model has the name');
is($friend->query(answer_of('yours')), $old, 'and the model another name');

# ---- the schema ----

$other->query(q{ALTER SCHEMA "!albert" RENAME TO elsewhere});
($out, $err) = $friend->query(answer_of('mine'));
like($err, $missing, 'the schema renamed: there are no models');
($out, $err) = $other->query(q{SELECT albert_import_file('mine', 'a', 'a')});
like($err, qr/schema "!albert" does not exist/, 'and none are made');
is($other->query(q{SELECT count(*) FROM albert_models WHERE owner IS NOT NULL}), '0', 'or listed');
$other->query(q{ALTER SCHEMA elsewhere RENAME TO "!albert"});
is($friend->query(answer_of('mine')), $new, 'and back again');

# ---- read-only transactions ----

$node->safe_psql('postgres', q{SELECT albert_unload(name) FROM albert_models});
is($node->safe_psql('postgres', 'BEGIN READ ONLY; ' . answer_of('mine')), $new, 'a read-only transaction loads a model');
for my $statement (q{SELECT albert_import_file('more', 'a', 'a')}, "SELECT albert_import_directory('more', '$models/one')",
	q{SELECT albert_drop_model('mine')}, q{SELECT albert_rename_model('mine', 'more')}, q{SELECT albert_replace_model('mine', 'yours')},
	q{SELECT albert_grant('mine', 'friend')}, q{SELECT albert_revoke('mine', 'friend')})
{
	($out, $err) = $other->query("BEGIN READ ONLY; $statement; ROLLBACK");
	like($err, qr/^ERROR:  cannot execute [A-Z ]+ in a read-only transaction/, "refused there: $statement");
}
is($friend->query(answer_of('mine')), $new, 'nothing has changed');

# ---- an extension without a superuser ----

# Its owner may make models and let others make them; a dump by its owner is restored by another who is no superuser.
my @owner = (extra_params => [ '-U', 'owner' ]);
$node->safe_psql('postgres', 'CREATE DATABASE owned', @owner);
$node->safe_psql('owned', qq{CREATE EXTENSION albert; GRANT CREATE ON SCHEMA "!albert" TO maker}, @owner);
$node->safe_psql('owned', "SELECT albert_import_directory('made', '$models/three'); CALL albert_create_model('made'); SELECT albert_grant('made', 'owner')",
	extra_params => [ '-U', 'maker' ]);
$node->safe_psql('owned', qq{SELECT albert_import_directory('own', '$models/one'); CALL albert_create_model('own');
	CREATE TABLE docs (body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, 'made')) STORED);
	INSERT INTO docs VALUES ('one'), ('two');
	CREATE INDEX ON docs (albert_token_count(body, 'own'))}, @owner);
my ($code, $drop, $why) = $node->psql('owned', q{SELECT albert_drop_model('made')}, @owner);
like($why, qr/must be owner of model "made"/, 'an extension\'s owner does not own the models of others');
my $what = q{SELECT name, owner, sha256 FROM albert_models WHERE owner IS NOT NULL ORDER BY name; SELECT count(*) FROM docs WHERE embedding = albert_embedding(body, 'made')};
my $before = $node->safe_psql('owned', $what, @owner);
like($before, qr/^made\|maker\|.*\nown\|owner\|.*\n2$/, 'models of two owners');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
command_ok([ 'pg_dump', '-U', 'owner', '-O', '-f', $dump, '-d', $node->connstr('owned') ], 'dumped by an ordinary user');
$node->safe_psql('postgres', 'CREATE DATABASE restored', @owner);
command_ok([ 'psql', '-X', '-q', '-U', 'owner', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restored by one');
is($node->safe_psql('restored', $what, @owner), $before =~ s/maker/owner/r, 'with its models');

# ---- what a dropped database gives back ----

# The sum of what is in shared memory of a model, seen from another database.
sub shared_bytes
{
	my ($sha256) = @_;

	return $node->safe_psql('postgres', "SELECT coalesce(sum(shared_bytes), 0) FROM albert_models WHERE sha256 = '$sha256'");
}

is($node->safe_psql('postgres', answer_of('yours')), $old, 'this database has one of the models');
my %sha256 = $before =~ /^(\w+)\|\w+\|(\w+)$/mg;
cmp_ok(shared_bytes($sha256{made}), '>', 0, 'a model of two databases');
$node->safe_psql('postgres', 'DROP DATABASE owned', @owner);
cmp_ok(shared_bytes($sha256{made}), '>', 0, 'one database less');
$node->safe_psql('postgres', 'DROP DATABASE restored', @owner);
is(shared_bytes($sha256{made}), 0, 'the last one gives its memory back, whoever drops it');
cmp_ok(shared_bytes($sha256{own}), '>', 0, 'but not what a third one has as well');
$node->stop;

done_testing();
