# A rehearsal of the next release: an update script is found, runs, and leaves a working extension.
use strict;
use warnings;

use AlbertTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = albert_node('update');
my $directory = $node->safe_psql('postgres', "SELECT setting || '/extension' FROM pg_config WHERE name = 'SHAREDIR'");
my $script = "$directory/albert--1.0--1.1.sql";

plan skip_all => "$directory cannot be written" unless -w $directory;

# what a release without a change in SQL has
open(my $file, '>', $script) or die "$script: $!";
print $file <<'SQL';
/* albert--1.0--1.1.sql */
\echo Use "ALTER EXTENSION albert UPDATE TO '1.1'" to load this file. \quit
SQL
close($file);
END { unlink $script if defined $script; }

my $members = q{SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'albert')};
my $before = $node->safe_psql('postgres', $members);

$node->safe_psql('postgres', 'CREATE TABLE docs (body text, embedding real[] GENERATED ALWAYS AS (albert_embedding(body, \'albert-mini\')) STORED)');
$node->safe_psql('postgres', q{INSERT INTO docs VALUES ('A violin has four strings.')});
is($node->safe_psql('postgres', q{SELECT path FROM pg_extension_update_paths('albert') WHERE source = '1.0' AND target = '1.1'}),
	'1.0--1.1', 'the update is known');
my ($result, $stdout, $stderr) = $node->psql('postgres', q{ALTER EXTENSION albert UPDATE TO '1.1'});
is($result, 0, 'it runs') or diag($stderr);
is($node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'albert'}), '1.1', 'the version is the new one');
is($node->safe_psql('postgres', $members), $before, 'the extension has the members that it had');
is($node->safe_psql('postgres', q{INSERT INTO docs VALUES ('A violin has four strings.');
  SELECT count(*), count(DISTINCT embedding) FROM docs}), '2|1', 'a generated column goes on as it was');
($result, $stdout, $stderr) = $node->psql('postgres', "\\i $script");
is($stdout, q{Use "ALTER EXTENSION albert UPDATE TO '1.1'" to load this file.}, 'psql does not run the script by itself');
$node->safe_psql('postgres', 'DROP EXTENSION albert CASCADE');
$node->safe_psql('postgres', 'CREATE EXTENSION albert VERSION \'1.1\'');
is($node->safe_psql('postgres', q{SELECT albert_fill_mask('The capital of [MASK] is Delhi.')}), 'india', 'the new version can be created at once');

$node->stop;
done_testing();
