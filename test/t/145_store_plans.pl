# What a name stands for changes: its files, the precision or the kernel set.
# Plans, and whatever else holds a result that was computed before, follow in
# every session; and no session can have a meaning of its own.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AlbertModels;
use AlbertSession;
use AlbertTest;

my $models = make_models(small => SMALL, other => SMALL . ',seed=9');
my $node = albert_node('plans', conf => model_conf($models));
my $super = AlbertSession->new($node, 'postgres');

$super->query(<<'SQL');
CREATE FUNCTION in_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
DECLARE e real[] := albert_embedding('the war', 'small');
BEGIN
	RETURN e[1];
END $$;
CREATE FUNCTION immutable_sql() RETURNS real LANGUAGE sql IMMUTABLE AS $$ SELECT (albert_embedding('the war', 'small'))[1] $$;
CREATE FUNCTION immutable_plpgsql() RETURNS real LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (albert_embedding('the war', 'small'))[1]; END $$;
CREATE DOMAIN as_computed AS real CHECK (VALUE = (albert_embedding('the war', 'small'))[1]);
CREATE TABLE indexed AS SELECT i::real AS x FROM generate_series(1, 1000) i;
CREATE TABLE texts AS SELECT 'the war' AS body FROM generate_series(1, 20);
ALTER TABLE texts SET (parallel_workers = 2);
CREATE INDEX indexed_sum ON indexed ((x + (albert_embedding('the war', 'small'))[1]));
SQL

# Everything that remembers, in one session, next to what is computed on the spot.
my $prepare = <<'SQL';
PREPARE folded AS SELECT (albert_embedding('the war', 'small'))[1];
PREPARE with_table AS SELECT (albert_embedding('the war', 'small'))[1] FROM indexed LIMIT 1;
PREPARE wrapped_sql AS SELECT immutable_sql();
PREPARE wrapped_plpgsql AS SELECT immutable_plpgsql();
SET enable_seqscan = off;
SQL
my $remembered = 'EXECUTE folded; EXECUTE with_table; SELECT in_plpgsql(); EXECUTE wrapped_sql; EXECUTE wrapped_plpgsql';

sub answers
{
	my ($session) = @_;

	return join ' ', sort keys %{ { map { $_ => 1 } split /\n/, scalar $session->query($remembered) } };
}

sub domain_error
{
	my ($session, $value) = @_;

	return ($session->query("SELECT '$value'::real::as_computed"))[1];
}

sub index_plan
{
	my ($session) = @_;

	return scalar $session->query(
		q(EXPLAIN (COSTS OFF) SELECT * FROM indexed WHERE x + (albert_embedding('the war', 'small'))[1] = 5));
}

sub swap
{
	rename "$models/small", "$models/third" or die;
	rename "$models/other", "$models/small" or die;
	rename "$models/third", "$models/other" or die;
	return;
}

my $computed = q(SELECT e[1] FROM (SELECT albert_embedding(t, 'small') FROM (VALUES ('the war')) AS v (t) OFFSET 0) AS w (e));
my %sessions = (same => $super, other => AlbertSession->new($node, 'postgres'));
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE EXTENSION albert');
my $elsewhere = AlbertSession->new($node, 'elsewhere');
$elsewhere->query(q(PREPARE folded AS SELECT (albert_embedding('the war', 'small'))[1]));

my $old = $super->query($computed);
for my $session (values %sessions)
{
	$session->query($prepare);
	is(answers($session), $old, 'all ways give the answer') for 1 .. 2;
	is(domain_error($session, $old), '', 'the domain takes it');
	like(index_plan($session), qr/indexed_sum/, 'the index serves');
}
is($elsewhere->query('EXECUTE folded'), $old, 'in another database too');

# ---- other files and albert_unload ----

swap();
is(answers($sessions{other}), $old, 'until it is unloaded the old model answers');
$super->query(q(SELECT albert_unload('small')));
my $new = $super->query($computed);
isnt($new, $old, 'other files are another model');
for my $name (sort keys %sessions)
{
	my $session = $sessions{$name};

	is(answers($session), $new, "$name session: every plan gives the new model's answer");
	like(domain_error($session, $old), qr/violates check constraint/, "$name session: a domain too");
	is(domain_error($session, $new), '', "$name session: and takes what is right now");
	like(index_plan($session), qr/indexed_sum/, "$name session: an index's expression is seen to be the same");
}
is($elsewhere->query('EXECUTE folded'), $new, 'another database follows');

# ---- nobody computes after albert_unload but those who remember; in one transaction; without a model in memory ----

swap();
$super->query(q(SELECT albert_unload('small')));
is(answers($sessions{other}), $old, 'without anybody loading the model first');
swap();
is($super->query(q(BEGIN; SELECT albert_unload('small'); EXECUTE folded; COMMIT)), "t\n$new", 'in the transaction that unloads');
is($super->query(q(SELECT albert_unload('small'), albert_unload('small'))), 't|f', 'unloaded');
is(answers($sessions{other}), $new, 'before a change');
$super->query(q(SELECT albert_unload('small')));
swap();
is($super->query(q(SELECT albert_unload('small'))), 'f', 'unloading what is not loaded');
is(answers($sessions{other}), $old, 'has plans made anew as well');

# ---- files that changed while their model was put out for others ----

$sessions{other}->query(q(SELECT albert_load('small')));
# a session that loads other files while it plans has that plan made anew once more
is(answers($sessions{other}), $old, 'once more');
symlink "$models/small", "$models/s$_" or die for 1 .. 48;
$super->query("SELECT albert_load('s$_')") for 1 .. 48;
is(model_state($super, 'small'), 'available', 'the model has been put out for 48 others');
swap();
is($super->query($computed), $new, 'then its files are loaded, which are others now');
is(answers($sessions{$_}), $new, "$_ session: plans follow") for sort keys %sessions;

# ---- precision and kernel set are the server's ----

sub set_server
{
	my ($name, $value) = @_;

	$super->query("ALTER SYSTEM SET albert.$name = $value");
	$super->query('SELECT pg_reload_conf()');
	for my $session (values %sessions)
	{
		$session->query('SELECT pg_sleep(0.01)') until $session->query("SHOW albert.$name") eq $value;
	}
	return;
}

for my $setting ('precision = int8', 'kernel = generic')
{
	for my $session (values %sessions)
	{
		my (undef, $err) = $session->query("SET albert.$setting");
		like($err, qr/parameter "albert\.\w+" cannot be changed now/, "no session sets albert.$setting for itself");
	}
	my ($out, $err) = $node->psql('postgres', "SET albert.$setting; $computed");
	my $session = AlbertSession->new($node, 'postgres');
	($out, $err) = $session->query("SET albert.$setting; $computed");
	is($out, $new, "nor before the library is loaded: $setting");
	like($err, qr/WARNING:  parameter "albert\.\w+" cannot be changed now|ERROR:  parameter/, 'which is said');
	$session->quit;
	my ($name, $value) = split / = /, $setting;
	$session = AlbertSession->new($node, 'postgres', settings => "-c albert.$name=$value");
	is(scalar($session->query($computed)), $new, "nor when it connects: $setting");
	$session->quit;
}
set_server('precision', 'int8');
my $int8 = $super->query($computed);
isnt($int8, $new, 'the server computes in another precision');
is(answers($sessions{$_}), $int8, "$_ session: plans follow a reload") for sort keys %sessions;
is($super->query(q(SELECT string_agg(precision, ' ' ORDER BY precision) FROM albert_models WHERE name = 'small')), 'fp32 int8',
	'what was loaded before stays until there is need of its memory');
is($super->query(<<'SQL'), $int8, 'so do parallel workers');
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off;
SELECT string_agg(DISTINCT e[1]::text, ' ') FROM (SELECT albert_embedding(body, 'small') AS e FROM texts OFFSET 0) AS t
SQL
set_server('precision', 'fp32');
is(answers($sessions{$_}), $new, "$_ session: and back") for sort keys %sessions;
set_server('kernel', 'generic');
$super->query($computed);
is($super->query(q(SELECT count(*) FROM albert_models WHERE name = 'small' AND kernel = 'generic')), '1',
	'another kernel set');
set_server('kernel', 'auto');

# a UNIQUE index on what a model computes
$super->query(<<'SQL');
CREATE TABLE once (body text);
CREATE UNIQUE INDEX ON once (albert_embedding(body, 'small'));
INSERT INTO once VALUES ('the war');
SQL
my $cheat = AlbertSession->new($node, 'postgres', settings => '-c albert.precision=int8 -c albert.kernel=generic');
(undef, my $err) = $cheat->query(q(SET albert.precision = 'bf16'; INSERT INTO once VALUES ('the war')));
like($err, qr/duplicate key value violates unique constraint/, 'a UNIQUE index cannot be passed by a setting');

$_->quit for $cheat, $elsewhere, values %sessions;
$node->stop;
done_testing();
