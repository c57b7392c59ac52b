# 310_batching.pl
#	  The batching node where it takes more than one session or server: rows
#	  changed by others, workers, cancelling, foreign tables, plans made before
#	  the library was there.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertModels;
use AlbertSession;
use AlbertTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use File::Spec;
use Test::More;
use Time::HiRes qw(time);

my $models = make_models(small => SMALL,
	slow => 'hidden_size=384,num_hidden_layers=12,intermediate_size=1536,num_attention_heads=6');
my $node = albert_node('batching', conf => model_conf($models));
my $force_workers = 'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;'
  . ' SET min_parallel_table_scan_size = 0;';

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE docs (id int PRIMARY KEY, body text, note text);
INSERT INTO docs SELECT i, 'word ' || i % 23 || ' is a [MASK] one' || repeat(' again', i % 7), 'none' FROM generate_series(1, 400) i;
CREATE FUNCTION plan_of(query text) RETURNS json LANGUAGE plpgsql AS
	$$DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, FORMAT JSON) ' || query INTO plan; RETURN plan; END$$;
CREATE FUNCTION texts_of(query text) RETURNS bigint LANGUAGE sql AS
	$$SELECT sum((node ->> 'Texts')::bigint) FROM jsonb_path_query(plan_of(query)::jsonb, 'strict $.**?(@."Custom Plan Provider" == "AlbertBatch")') node$$;
CREATE FUNCTION loops_of(query text) RETURNS bigint LANGUAGE sql AS
	$$SELECT max((node ->> 'Actual Loops')::bigint) FROM jsonb_path_query(plan_of(query)::jsonb, 'strict $.**?(@."Custom Plan Provider" == "AlbertBatch")') node$$;
ANALYZE docs;
SQL

# ---- the library comes while a statement is planned ----

sub nodes_in
{
	my ($text) = @_;
	return scalar(() = $text =~ /AlbertBatch/g);
}

for my $preload (0, 1)
{
	my $how = $preload ? 'preloaded' : 'not preloaded';

	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'albert'"), $node->restart if $preload;
	is(nodes_in($node->safe_psql('postgres', 'EXPLAIN SELECT albert_embedding(body) FROM docs')), 1,
		"$how: the first statement of a session has the node");
	is(nodes_in($node->safe_psql('postgres', <<'SQL')), 4, "$how: so has a cached plan that the first statement made");
PREPARE p AS SELECT albert_token_count(body) FROM docs;
EXPLAIN EXECUTE p;
EXPLAIN EXECUTE p;
PREPARE q AS SELECT max(albert_token_count(body)) FROM docs WHERE albert_token_count(body) > 3;
EXPLAIN EXECUTE q;
SQL
	is($node->safe_psql('postgres', <<'SQL'), "400\n400\n400", "$how: and a cursor, a function, a COPY");
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM docs WHERE albert_token_count(body) > 3;
MOVE 399 IN c;
FETCH 1 FROM c;
COMMIT;
DO $$BEGIN CREATE TEMP TABLE t AS SELECT albert_token_count(body) AS n FROM docs; END$$;
SELECT count(n) FROM t;
\copy (SELECT count(albert_token_count(body)) FROM docs) TO STDOUT
SQL
	is($node->safe_psql('postgres', <<'SQL'), '400', "$how: the node runs in a function's cached plan");
CREATE OR REPLACE FUNCTION total() RETURNS bigint LANGUAGE plpgsql AS
	$$BEGIN RETURN (SELECT count(albert_token_count(body)) FROM docs); END$$;
SELECT total();
SQL
}
$node->safe_psql('postgres', "ALTER SYSTEM RESET shared_preload_libraries");

# ---- rows changed by others ----

for my $batching (qw(on off))
{
	my ($one, $two) = map { AlbertSession->new($node, 'postgres', settings => "-c albert.enable_batching=$batching") } 1 .. 2;

	$node->safe_psql('postgres', q{UPDATE docs SET body = 'some [MASK] words', note = 'none' WHERE id < 10});
	$one->query(q{BEGIN; UPDATE docs SET body = body || ' and quite some more' WHERE id = 3; UPDATE docs SET body = 'a' WHERE id = 5});
	$two->send(q{UPDATE docs SET note = albert_token_count(body)::text WHERE albert_token_count(body) > 4 AND id < 8});
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}) or die 'no one waits';
	$one->query('COMMIT');
	my (undef, $errors) = $two->wait;
	is($errors, '', "batching $batching: an update waits for another one");
	is($node->safe_psql('postgres', q{SELECT string_agg(id || ' ' || (note = albert_token_count(body)::text), ',' ORDER BY id) FROM docs WHERE id < 8}),
		'1 true,2 true,3 true,4 true,5 false,6 true,7 true',
		"batching $batching: and computes and tests the row as it is then");

	$one->query(q{BEGIN; UPDATE docs SET body = 'new [MASK] words here' WHERE id = 2});
	$two->send(q{SELECT id, albert_token_count(body) = (SELECT albert_token_count('new [MASK] words here')) FROM docs WHERE id < 5 ORDER BY id LIMIT 2 FOR UPDATE});
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}) or die 'no one waits';
	$one->query('COMMIT');
	is($two->wait, "1|f\n2|t", "batching $batching: FOR UPDATE returns the row as it is then");

	$one->query('BEGIN; SELECT 1 FROM docs WHERE id IN (2, 3) FOR UPDATE');
	is($two->query(q{SELECT id, albert_token_count(body) > 1 FROM docs ORDER BY id % 2, id LIMIT 3 FOR UPDATE SKIP LOCKED}), "4|t\n6|t\n8|t",
		"batching $batching: rows that others have locked do not count for a limit");
	$one->query('COMMIT');
	$_->quit for $one, $two;
}

# ---- MERGE ----

SKIP:
{
	skip 'before PostgreSQL 15 there is no MERGE', 4 if major_version($node) < 15;
	$node->safe_psql('postgres', 'CREATE TABLE source AS SELECT id + 395 AS id, body FROM docs WHERE id <= 10; ANALYZE source');
	my $merge = 'MERGE INTO docs d USING source s ON d.id = s.id';
	my $update = 'WHEN MATCHED THEN UPDATE SET note = albert_token_count(s.body)::text';
	my $insert = 'WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.body, albert_token_count(s.body)::text)';

	is(nodes_in($node->safe_psql('postgres', "EXPLAIN (COSTS OFF) $merge $update $insert")), 0, 'the actions of MERGE are row by row');
	is(nodes_in($node->safe_psql('postgres', "EXPLAIN (COSTS OFF) MERGE INTO docs d USING (SELECT id, albert_token_count(body) AS n FROM source OFFSET 0) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET note = s.n::text")),
		1, '... and its source is not');
	is($node->safe_psql('postgres', qq{BEGIN; $merge $update $insert;
		SELECT count(*), count(*) FILTER (WHERE note = albert_token_count(body)::text) FROM docs WHERE id > 400; ROLLBACK}), '5|5', 'MERGE inserts what was computed');
	# another session changes a row that MERGE is about to update
	my ($one, $two) = map { AlbertSession->new($node, 'postgres') } 1 .. 2;
	$one->query(q{BEGIN; UPDATE docs SET id = 1395 WHERE id = 396; UPDATE docs SET note = 'another' WHERE id = 397});
	$two->send("BEGIN; $merge $update $insert; SELECT string_agg(id || ' ' || (note = (SELECT albert_token_count(s.body)::text FROM source s WHERE s.id = d.id)), ',' ORDER BY id) FROM docs d WHERE id > 395 AND id < 1000; ROLLBACK");
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}) or die 'no one waits';
	$one->query('COMMIT');
	is($two->wait, join(',', map { "$_ true" } 396 .. 405), 'and looks again at rows that others have changed');
	$node->safe_psql('postgres', q{UPDATE docs SET id = 396 WHERE id = 1395});
	$_->quit for $one, $two;
}

# ---- workers ----

$node->safe_psql('postgres', q{UPDATE docs SET body = 'some [MASK] words again' WHERE id < 10});
my $query = 'SELECT id, albert_embedding(body) FROM docs';

$node->restart;
my $psql = AlbertSession->new($node, 'postgres');
my $loaded = loads_logged($node, 'small');
$psql->query($force_workers);
is($psql->query("SELECT texts_of('$query')"), 400, 'EXPLAIN counts what workers and leader have done');
is(loads_logged($node, 'small'), $loaded + 1, 'one process has loaded the model, the others attached');
is($psql->query("SET parallel_leader_participation = off; SELECT texts_of('$query'), loops_of('$query') >= 1"), '400|t',
	'workers alone');
$psql->query('RESET parallel_leader_participation');
is($psql->query("SELECT count(*) FROM ($query LIMIT 7) s"), 7, 'a limit above the workers');
is($psql->query("SELECT texts_of('$query LIMIT 7') BETWEEN 7 AND 400"), 't', '... counted after they were stopped');
is($psql->query(q{SELECT count(*), sum(c) FROM generate_series(1, 4) g, LATERAL (SELECT count(*) AS c FROM docs WHERE albert_token_count(body || g) > 4 AND id <= g * 100) s}),
	'4|1000', 'workers are started again for another parameter');
is($psql->query(q{SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
	SELECT count(*) FROM (VALUES (1), (2), (3)) v (x) LEFT JOIN (SELECT albert_token_count(body) AS n FROM docs OFFSET 0) s ON s.n > x}),
	1200, 'and for another scan');
# the leader may be computing a batch of its own when it hears of the error, so more than once
$psql->query(q{INSERT INTO docs VALUES (1000, 'nothing to fill here')});
my ($out, $errors);
my @errors = map { ($psql->query(q{SELECT count(albert_fill_mask(body)) FROM docs}))[1] } 1 .. 20;
is_deeply([ grep { $_ !~ /^ERROR:  text has no mask$/m } @errors ], [], 'an error of a worker is the query\'s');
is($psql->query(q{DELETE FROM docs WHERE id = 1000; SELECT count(albert_fill_mask(body)) FROM docs}), 400, '... and the next query runs');
is($psql->query(q{CREATE TABLE made AS SELECT id, albert_embedding(body) AS e FROM docs; SELECT count(*) FROM made JOIN docs USING (id) WHERE e = albert_embedding(body)}),
	400, 'CREATE TABLE AS: a row is the same whoever computed it');
$psql->quit;

# ---- cancelling in the middle of a batch ----

$psql = AlbertSession->new($node, 'postgres', settings => '-c albert.model=slow -c max_parallel_workers_per_gather=0');
$psql->query(q{CREATE TABLE long AS SELECT i AS id, repeat('quite a long text ' || i || ' ', 30) AS body FROM generate_series(1, 300) i; SELECT albert_embedding('attach')});
for my $workers (0, 2)
{
	$psql->query($workers ? $force_workers : 'SET max_parallel_workers_per_gather = 0');
	$psql->query('SET albert.batch_tokens = 8192; SET statement_timeout = 300');
	my $start = time;
	(undef, $errors) = $psql->query('SELECT count(albert_embedding(body)) FROM long');
	my $seconds = time - $start;
	like($errors, qr/canceling statement due to statement timeout/, "a statement is cancelled inside a batch, $workers workers");
	cmp_ok($seconds, '<', 5, sprintf('... soon (after %.1f s)', $seconds));
	is($psql->query('SET statement_timeout = 0; SELECT count(albert_embedding(body)) FROM long WHERE id < 4'), 3, '... and the session goes on');
}
$psql->quit;

# ---- memory ----

$psql = AlbertSession->new($node, 'postgres', settings => '-c max_parallel_workers_per_gather=0');
$psql->query(q{CREATE TABLE wide AS SELECT i AS id, 'a text ' || i AS body, repeat(md5(i::text), 60) AS filler FROM generate_series(1, 2000) i});
is($psql->query(q{SET work_mem = '64kB'; SET albert.batch_tokens = 65536;
	SELECT count(*) FILTER (WHERE node ->> 'Custom Plan Provider' = 'AlbertBatch'), min((node ->> 'Batches')::int) > 40
	FROM jsonb_path_query(plan_of('SELECT albert_token_count(body), filler FROM wide')::jsonb, 'strict $.**?(@."Custom Plan Provider" == "AlbertBatch")') node}),
	'1|t', 'rows kept are bounded by work_mem');
$psql->quit;

# ---- results are remembered while the statement runs, of the model as it was loaded ----

my $other = make_models(other => SMALL . ',seed=7');
my $swapping = "$other/swapping";
mkdir $swapping;
for my $model ([ first => "$models/small" ], [ second => "$other/other" ])
{
	system('cp', '-r', $model->[1], "$swapping/$model->[0]") == 0 or die 'cp';
}
system('cp', '-r', "$swapping/first", "$swapping/model") == 0 or die 'cp';
$psql = AlbertSession->new($node, 'postgres');
my ($same, $swap_errors) = $psql->query(<<SQL);
LOAD 'albert';
SET albert.model_path = '$swapping';
SELECT albert_embedding('a text', 'model');
CREATE FUNCTION swap() RETURNS text LANGUAGE plpgsql AS \$\$
BEGIN
	COPY (SELECT 1) TO PROGRAM 'cp $swapping/second/* $swapping/model/';
	PERFORM albert_unload('model');
	RETURN 'done';
END \$\$;
CREATE FUNCTION embedded(content text, model text) RETURNS real[] LANGUAGE plpgsql VOLATILE AS \$\$BEGIN RETURN albert_embedding(content, model); END\$\$;
SQL
is($swap_errors, '', 'a model to be replaced');
($same, $swap_errors) = $psql->query(<<SQL);
SELECT a = b AS same, b <> c AS swapped, c = d AS same_again, c = embedded('a text', 'second') AS second
FROM (SELECT embedded('a text', 'model') AS a, embedded('a text', 'model') AS b, swap(),
		embedded('a text', 'model') AS c, embedded('a text', 'model') AS d OFFSET 0) s;
SQL
is($same, 't|t|t|t', 'a model that is replaced meanwhile is another one');
is($swap_errors, '', '... without errors');
$psql->quit;

# ---- asynchronous foreign scans below the node ----

SKIP:
{
	my ($status) = $node->psql('postgres', 'CREATE EXTENSION postgres_fdw');
	skip 'postgres_fdw is not installed', 3 if $status != 0;
	my ($port, $host) = ($node->port, $node->host);
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', async_capable 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER here;
CREATE TABLE half_1 AS SELECT * FROM docs WHERE id <= 200;
CREATE TABLE half_2 AS SELECT * FROM docs WHERE id > 200;
CREATE TABLE halves (id int, body text, note text) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE f_1 PARTITION OF halves FOR VALUES FROM (0) TO (201) SERVER here OPTIONS (table_name 'half_1');
CREATE FOREIGN TABLE f_2 PARTITION OF halves FOR VALUES FROM (201) TO (1000) SERVER here OPTIONS (table_name 'half_2');
SQL
	my $plan = $node->safe_psql('postgres', 'EXPLAIN (COSTS OFF) SELECT id, albert_token_count(body) FROM halves');
	like($plan, qr/AlbertBatch.*Foreign Scan/s, 'foreign scans below the node');
	unlike($plan, qr/Async Foreign Scan/, '... are not asynchronous');
	is($node->safe_psql('postgres', 'SELECT count(*), count(albert_token_count) FROM (SELECT id, albert_token_count(body) FROM halves) s'),
		'400|400', '... and give all rows');
}

# ---- above another extension's Custom Scan ----

SKIP:
{
	my $module = File::Spec->rel2abs($node->basedir . '/other_scan.so');
	# the server under test is a copy of programs, without header files
	my @includes = grep { -e "$_/postgres.h" } map { -x ? `'$_' --includedir-server` =~ s/\n//r : () }
	  ($ENV{PG_CONFIG} // (), map { "$_/pg_config" } split /:/, $ENV{PATH});

	skip 'no header files of the server, or no compiler', 6
	  if !@includes || system("cc -shared -fPIC -I'$includes[0]' -o '$module' '$FindBin::RealBin/../modules/other_scan.c'") != 0;
	$psql = AlbertSession->new($node, 'postgres');
	$psql->query("LOAD '$module'");
	$psql->query('SET other_scan.enabled = on');
	like($psql->query('EXPLAIN (COSTS OFF) SELECT id, albert_token_count(body) FROM docs'),
		qr/AlbertBatch.*OtherScan/s, 'a node above a Custom Scan');
	like($psql->query('EXPLAIN (COSTS OFF) UPDATE docs SET note = albert_token_count(body)'),
		qr/AlbertBatch.*OtherScan/s, '... in an UPDATE, too');
	like($psql->query('EXPLAIN (COSTS OFF) SELECT id, albert_token_count(body) FROM docs WHERE albert_token_count(body) > 3'),
		qr/AlbertBatch.*OtherScan/s, '... that has a filter');
	is(nodes_in($psql->query('EXPLAIN (COSTS OFF) SELECT id, albert_token_count(body) FROM docs WHERE random() < 2')), 0, '... but not when it calls volatile functions');
	is($psql->query('SELECT sum(albert_token_count(body)) = (SELECT sum(n) FROM (SELECT CASE WHEN id > 0 THEN albert_token_count(body) END AS n FROM docs) s) FROM docs'),
		't', '... gives the same rows');
	is($psql->query('SELECT count(*) FROM docs d, LATERAL (SELECT albert_token_count(e.body) AS n FROM docs e WHERE e.id <= d.id LIMIT 2) s WHERE d.id < 4'), '5', '... over rescans');
	$psql->quit;
}

$node->stop;
done_testing();
