# 205_jobs_others.pl
#	  CALL albert_embed_table while others change, drop, hide and hold what it
#	  works on: it goes on, or ends with what there is to say.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AlbertModels;
use AlbertSession;
use AlbertTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $models = make_models(small => SMALL);
my $node = albert_node('jobs_others', init => [ allows_streaming => 1 ], conf => model_conf($models) . "max_prepared_transactions = 5\nautovacuum = off\n");
my $gate = AlbertSession->new($node, 'postgres');

$node->safe_psql('postgres', q{
	CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN new; END'});

sub value
{
	return $node->safe_psql('postgres', $_[0]);
}

# A table of $rows texts; the job's update of row 20 waits at the gate.
sub make_table
{
	my ($name, $rows) = @_;

	$node->safe_psql('postgres', qq{
		SET client_min_messages = error;
		DROP TABLE IF EXISTS $name CASCADE;
		CREATE TABLE $name (id int PRIMARY KEY, body text, embedding real[]);
		CREATE TRIGGER gate BEFORE UPDATE ON $name FOR EACH ROW WHEN (new.id = 20) EXECUTE FUNCTION pass_gate();
		INSERT INTO $name SELECT i, 'text number ' || i FROM generate_series(1, $rows) i});
	return;
}

# Run a job, batch by batch, and statements of others once it is at the gate:
# they get the table as soon as the job's batch lets go of it.  What the job
# has said.
sub meanwhile
{
	my ($job, $sql, %options) = @_;
	my $session = AlbertSession->new($node, 'postgres', %options);
	my $other = AlbertSession->new($node, 'postgres');

	$gate->query('SELECT pg_advisory_lock(1)');
	$session->send($job);
	$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = ' . $session->pid . q{ AND wait_event = 'advisory'})
	  or die 'the job is not at the gate';
	$other->send($sql);
	for (1 .. 1800)
	{
		last if $other->ready || value('SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = ' . $other->pid);
		sleep 0.1;
	}
	$gate->query('SELECT pg_advisory_unlock(1)');
	my (undef, $err) = $session->wait;
	my (undef, $other_err) = $other->wait;
	$session->quit;
	$other->quit;
	is($other_err, '', "others: $sql") unless $options{fails};
	return $err;
}

sub fill
{
	my ($table, %more) = @_;
	my $options = join '', map { ", $_ => $more{$_}" } sort keys %more;

	return "CALL albert_embed_table('$table', 'body', 'embedding', model => 'small', batch_tokens => 1$options)";
}

my $empty = 'SELECT count(*) FROM %s WHERE embedding::real[] IS DISTINCT FROM albert_embedding(body, \'small\')';

# ---- the table itself ----

for my $case (
	[ 'DROP TABLE docs', qr/^ERROR:  table "docs" has been dropped while it was being filled$/m ],
	[ 'ALTER TABLE docs RENAME COLUMN body TO content', qr/^ERROR:  column "body" of relation "docs" does not exist$/m ],
	[ 'ALTER TABLE docs DROP COLUMN embedding', qr/^ERROR:  column "embedding" of relation "docs" does not exist$/m ],
	[ 'ALTER TABLE docs ALTER embedding TYPE int USING NULL', qr/^ERROR:  column "embedding" is of type integer but albert_embedding makes values of type real\[\]$/m ],
	[ q{ALTER TABLE docs DROP embedding, ADD embedding real[] GENERATED ALWAYS AS (ARRAY[id]) STORED}, qr/^ERROR:  column "embedding" is a generated column$/m ])
{
	my ($sql, $message) = @$case;

	make_table('docs', 100);
	like(meanwhile(fill('docs'), $sql), $message, '... ends the job');
}
for my $case (
	[ 'ALTER TABLE docs RENAME TO texts', 'texts' ],
	[ 'CREATE SCHEMA other; ALTER TABLE docs SET SCHEMA other', 'other.docs' ],
	[ 'BEGIN; ALTER TABLE docs RENAME TO texts; CREATE TABLE docs (id int, body text, embedding real[]); COMMIT', 'texts' ],
	[ 'ALTER TABLE docs ALTER embedding TYPE float8[]', 'docs' ],
	[ 'ALTER TABLE docs ALTER body TYPE varchar', 'docs' ],
	[ 'CLUSTER docs USING docs_pkey', 'docs' ])
{
	my ($sql, $table) = @$case;

	make_table('docs', 100);
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS texts, other.docs');
	like(meanwhile(fill('docs'), $sql), qr/NOTICE:  100 rows done, 0 left out/, '... and the job goes on');
	is(value(sprintf($empty, $table)), 0, '... with the same table');
}

make_table('docs', 100);
like(meanwhile(fill('docs'), q{BEGIN; TRUNCATE docs; INSERT INTO docs SELECT i, 'new text ' || i FROM generate_series(1, 70) i; COMMIT}),
	qr/rows done, 0 left out/, '... and the job goes on');
is(value(sprintf($empty, 'docs')), 0, '... with the new rows');

# ---- the model ----

# Values of two models would be mixed; a load of the same files changes nothing.
make_table('docs', 100);
like(meanwhile(fill('docs'), q{SELECT albert_unload('small')}), qr/NOTICE:  100 rows done, 0 left out/, '... and the job goes on');
make_table('docs', 100);
$node->safe_psql('postgres', q{
	ALTER TABLE docs ADD class text;
	SELECT count(*) FROM albert_train('head', $$SELECT body, 'a' || id % 2 FROM docs$$, base => 'small')});
like(meanwhile(q{CALL albert_embed_table('docs', 'body', 'class', 'head', task => 'classify', batch_tokens => 1)},
		q{SELECT count(*) FROM albert_train('head', $$SELECT body, 'b' || id % 3 FROM docs$$, base => 'small')}),
	qr/^ERROR:  the files of model "head" have been changed while table "docs" was being filled$/m, '... ends the job that uses a model trained anew');
my $other_models = make_models(small => SMALL . ',seed=5');
make_table('docs', 100);
like(meanwhile(fill('docs'), "\\! cp $other_models/small/* $models/small/\nSELECT albert_unload('small')"),
	qr/^ERROR:  the files of model "small" have been changed while table "docs" was being filled$/m, '... ends the job');

# ---- partitions ----

sub make_partitions
{
	$node->safe_psql('postgres', q{
		SET client_min_messages = error;
		DROP TABLE IF EXISTS parts, parts_2, spare CASCADE;
		CREATE TABLE parts (id int, body text, embedding real[]) PARTITION BY RANGE (id);
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (50);
		CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (50) TO (100);
		CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (100) TO (200);
		CREATE TABLE spare (id int, body text, embedding real[]);
		CREATE TRIGGER gate BEFORE UPDATE ON parts FOR EACH ROW WHEN (new.id = 20) EXECUTE FUNCTION pass_gate();
		INSERT INTO parts SELECT i, 'part ' || i FROM generate_series(1, 149) i;
		INSERT INTO spare SELECT i, 'spare ' || i FROM generate_series(200, 249) i});
	return;
}

for my $case (
	[ 'DROP TABLE parts_2', undef, qr/NOTICE:  99 rows done, 0 left out/ ],
	[ 'ALTER TABLE parts DETACH PARTITION parts_2', undef, qr/NOTICE:  99 rows done, 0 left out/ ],
	[ 'DROP TABLE parts_1', qr/WARNING:  table "parts_1" is no longer part of table "parts": its other rows are left as they are/, qr/NOTICE:  \d+ rows done, 0 left out/ ],
	[ 'ALTER TABLE parts DETACH PARTITION parts_1', qr/WARNING:  table "parts_1" is no longer part of table "parts"/, qr/NOTICE:  \d+ rows done, 0 left out/ ],
	[ 'ALTER TABLE parts_2 RENAME TO other', undef, qr/NOTICE:  149 rows done, 0 left out/ ],
	[ 'ALTER TABLE parts ATTACH PARTITION spare FOR VALUES FROM (200) TO (300)', undef, qr/NOTICE:  199 rows done, 0 left out/ ],
	[ 'TRUNCATE parts_3', undef, qr/NOTICE:  99 rows done, 0 left out/ ])
{
	my ($sql, $warning, $message) = @$case;

	make_partitions();
	my $err = meanwhile(fill('parts'), $sql);
	like($err, $message, '... and the job goes on');
	defined $warning ? like($err, $warning, '... and says so') : unlike($err, qr/WARNING/, '... without a warning');
	is(value(sprintf($empty, 'parts')), 0, '... with what is there');
	$node->safe_psql('postgres', 'DROP TABLE IF EXISTS parts_1, other');
}
make_partitions();
like(meanwhile(fill('parts'), 'DROP TABLE parts'), qr/^ERROR:  table "parts" has been dropped while it was being filled$/m, '... ends the job');

# ---- who may ----

make_table('docs', 100);
$node->safe_psql('postgres', 'CREATE ROLE writer LOGIN; GRANT SELECT, UPDATE ON docs TO PUBLIC');
like(meanwhile(fill('docs'), 'REVOKE SELECT, UPDATE ON docs FROM PUBLIC', user => 'writer'),
	qr/^ERROR:  permission denied for table docs$/m, '... ends the job');
make_table('docs', 100);
$node->safe_psql('postgres', 'GRANT SELECT, UPDATE ON docs TO PUBLIC');
my $functions = value(q{SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc WHERE proname = 'albert_embedding'});
like(meanwhile(fill('docs'), "REVOKE EXECUTE ON FUNCTION $functions FROM PUBLIC", user => 'writer'),
	qr/^ERROR:  permission denied for function albert_embedding$/m, '... ends the job');
$node->safe_psql('postgres', "GRANT EXECUTE ON FUNCTION $functions TO PUBLIC");
make_table('docs', 100);
$node->safe_psql('postgres', 'GRANT SELECT, UPDATE ON docs TO PUBLIC');
like(meanwhile(fill('docs'), 'DROP ROLE writer', user => 'writer'), qr/NOTICE:  100 rows done|ERROR: /, '... and the job ends');
is(value('SELECT count(*) FROM albert_progress'), 0, '... and is not shown any more');
make_table('docs', 100);
like(meanwhile(fill('docs'), 'SET client_min_messages = error; DROP EXTENSION albert CASCADE; CREATE EXTENSION albert'),
	qr/^ERROR:  function albert_embedding does not exist any more$/m, '... ends the job');

# ---- rows that cannot be had ----

# A job that is to end by itself.
sub ends
{
	my ($job, %options) = @_;
	my $session = AlbertSession->new($node, 'postgres', %options);

	$session->send($job);
	for (1 .. 600)
	{
		last if $session->ready;
		sleep 0.1;
	}
	if (!$session->ready)
	{
		$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $session->pid . ')');
		$session->wait;
		return 'it does not end';
	}
	my $err = ($session->wait)[1];
	$session->quit;
	return $err;
}

make_table('docs', 100);
$node->safe_psql('postgres', q{
	CREATE ROLE reader LOGIN;
	GRANT SELECT, UPDATE ON docs TO reader;
	ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
	CREATE POLICY sees ON docs FOR SELECT USING (id <= 80);
	CREATE POLICY changes ON docs FOR UPDATE USING (id > 30)});
my $err = ends(fill('docs'), user => 'reader');
like($err, qr/WARNING:  30 rows of table "docs" left out: they may be seen but not updated/, 'rows that may be seen but not updated are named');
like($err, qr/NOTICE:  50 rows done, 30 left out/, '... and counted');
is(value('SELECT min(id) || \'-\' || max(id) FROM docs WHERE embedding IS NOT NULL'), '31-80', '... and the others are done');

make_table('docs', 100);
$node->safe_psql('postgres', q{BEGIN; UPDATE docs SET body = 'held' WHERE id <= 3; PREPARE TRANSACTION 'forgotten'});
$err = ends(q{SET lock_timeout = '7s'; } . fill('docs'));
like($err, qr/NOTICE:  waiting for rows of table "docs" that others have locked\nDETAIL:  Prepared transaction "forgotten" holds the lock\.\nHINT:  COMMIT PREPARED/,
	'it is said that a prepared transaction is waited for');
like($err, qr/WARNING:  3 rows of table "docs" left out: others have locked them\nDETAIL:  Prepared transaction "forgotten" holds the lock\./, '... and not for ever');
like($err, qr/NOTICE:  97 rows done, 3 left out/, '... and the rest is counted');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'forgotten'});
like(ends(fill('docs')), qr/NOTICE:  3 rows done, 0 left out/, '... and done by the next call');

# any kind of lock, one holder or several
for my $lock ('FOR UPDATE', 'FOR NO KEY UPDATE', 'FOR SHARE')
{
	make_table('docs', 30);
	my @holders = map { AlbertSession->new($node, 'postgres') } 1 .. 2;
	$holders[0]->query('BEGIN; SELECT 1 FROM docs WHERE id = 7 FOR KEY SHARE');
	$holders[1]->query("BEGIN; SELECT 1 FROM docs WHERE id = 7 $lock") unless $lock eq 'FOR UPDATE';
	$holders[0]->query("COMMIT; BEGIN; SELECT 1 FROM docs WHERE id = 7 $lock") if $lock eq 'FOR UPDATE';
	my $pid = $holders[$lock eq 'FOR UPDATE' ? 0 : 1]->pid;
	$err = ends(q{SET lock_timeout = '1s'; } . fill('docs'));
	like($err, qr/WARNING:  1 row of table "docs" left out: others have locked it\nDETAIL:  Process $pid holds the lock\./, "a row locked $lock: by whom");
	like($err, qr/NOTICE:  29 rows done, 1 left out/, '... and the rest is done');
	$_->quit for @holders;
}

# the whole table
make_table('docs', 30);
my $holder = AlbertSession->new($node, 'postgres');
$holder->query('BEGIN; LOCK TABLE docs IN SHARE MODE');
$err = ends(q{SET lock_timeout = '7s'; } . fill('docs'));
like($err, qr/NOTICE:  waiting for a lock on table "docs"\nDETAIL:  Process @{[ $holder->pid ]} holds the lock\./, 'it is said who has locked the table');
like($err, qr/ERROR:  could not obtain lock on table "docs"\nDETAIL:  Process @{[ $holder->pid ]} holds the lock\./, '... and lock_timeout is obeyed');
$holder->query(q{PREPARE TRANSACTION 'forgotten'});
like(ends(q{SET lock_timeout = '1s'; } . fill('docs')), qr/ERROR:  could not obtain lock on table "docs"\nDETAIL:  Prepared transaction "forgotten" holds the lock\./, '... or a prepared transaction');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'forgotten'});

# ---- memory ----

# A batch leaves nothing behind.  Eight rows have one each: a trigger notes what the session has allocated.
make_table('docs', 0);
$node->safe_psql('postgres', q{
	CREATE TABLE memory (id int, bytes bigint);
	CREATE FUNCTION note_memory() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO memory SELECT new.id, sum(used_bytes) FROM pg_backend_memory_contexts; RETURN new; END';
	CREATE TRIGGER memory BEFORE UPDATE ON docs FOR EACH ROW WHEN (new.id % 512 = 0) EXECUTE FUNCTION note_memory();
	INSERT INTO docs SELECT i, 'x' FROM generate_series(1, 8192) i});
like(ends(fill('docs')), qr/NOTICE:  8192 rows done, 0 left out/, 'many small batches');
cmp_ok(value('SELECT max(bytes) - min(bytes) FROM memory WHERE id >= 1024'), '<', 64 * 1024, '... take no more memory than a few');

# ---- rows left out are told by their version, not by their place ----

# Row 5 is refused for its length, and changed while the job is busy with others.
my $fill_short = fill('docs', options => q['{"overflow": "error"}']);
for my $case (
	[ q{UPDATE docs SET body = repeat('longer ', 3000) WHERE id = 5}, '99 rows done, 1 left out', 1, 'refused again' ],
	[ q{DELETE FROM docs WHERE id = 5}, '99 rows done, 0 left out', 0, 'deleted' ],
	[ q{UPDATE docs SET body = 'short' WHERE id = 5}, '100 rows done, 0 left out', 0, 'made good' ],
	[ q{CLUSTER docs USING docs_pkey}, '99 rows done, 1 left out', 1, 'moved' ])
{
	my ($sql, $message, $left, $what) = @$case;

	make_table('docs', 100);
	$node->safe_psql('postgres', q{UPDATE docs SET body = repeat('long ', 2000) WHERE id = 5});
	$node->safe_psql('postgres', q{CLUSTER docs USING docs_pkey});
	$err = meanwhile($fill_short, $sql);
	like($err, qr/WARNING:  row \(\d+,\d+\) of table "docs" left out: /, "a refused row that is $what");
	like($err, qr/NOTICE:  $message/, '... is counted once');
	is(value('SELECT count(*) FROM docs WHERE embedding IS NULL'), $left, '... and nothing else is left');
}

# A refused row is deleted, vacuumed, and a good one takes its place, all while another is held.  In a table
# of one page that is the place that is free first.
make_table('docs', 0);
value(q{INSERT INTO docs SELECT i, CASE i WHEN 5 THEN repeat('long ', 2000) ELSE 'text' END FROM generate_series(1, 15) i});
$holder = AlbertSession->new($node, 'postgres');
$holder->query('BEGIN; SELECT 1 FROM docs WHERE id = 10 FOR SHARE');
my $job = AlbertSession->new($node, 'postgres');
$job->send($fill_short);
$node->poll_query_until('postgres', q{SELECT rows_done = 13 AND rows_failed = 1 FROM albert_progress}) or die 'the job does not come to its end';
my $place = value('SELECT ctid FROM docs WHERE id = 5');
value('DELETE FROM docs WHERE id = 5');
# VACUUM removes no row that was deleted after the oldest transaction had begun: another has to hold.  Both share
# the lock for a moment, so that the job never finds the row free.
my $second = AlbertSession->new($node, 'postgres');
$second->query('BEGIN; SELECT 1 FROM docs WHERE id = 10 FOR SHARE');
$holder->query('COMMIT');
value('VACUUM (FREEZE) docs');
is(value(q{INSERT INTO docs VALUES (1000, 'a good text') RETURNING ctid}), $place, 'a good row is where a refused one was');
$second->query('COMMIT');
$err = ($job->wait)[1];
like($err, qr/NOTICE:  15 rows done, 0 left out/, '... and is not taken for it');
is(value(sprintf($empty, 'docs')), 0, '... but done');

# ---- sessions that are not as usual ----

make_table('docs', 100);
$holder->query(q{BEGIN; UPDATE docs SET body = 'changed' WHERE id IN (3, 90)});
$job->send(q{SET default_transaction_isolation = 'serializable'; } . fill('docs'));
$node->poll_query_until('postgres', q{SELECT rows_done = 98 FROM albert_progress}) or die 'the job does not come to its end';
$holder->query('COMMIT');
like(($job->wait)[1], qr/NOTICE:  100 rows done, 0 left out/, 'a session of serializable transactions');
like(ends(q{SET default_transaction_read_only = on; } . fill('docs')), qr/^ERROR:  cannot execute albert_embed_table in a read-only transaction$/m, 'a read-only one');

# ---- a standby ----

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('jobs_standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$standby->psql('postgres', fill('docs'), stderr => \$err);
like($err, qr/ERROR:  albert_embed_table cannot fill a table on a standby\nHINT:  Call it on the primary; the standby receives what it writes\.$/, 'a standby');
$standby->stop;

$node->stop;
done_testing();
