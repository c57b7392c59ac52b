# AlbertJobs.pm
#	  Tables for CALL albert_embed_table to fill, and what became of them.
package AlbertJobs;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(make_docs wrong_rows updates);

# A table docs of texts, none embedded, and a record of every update that was
# committed.
sub make_docs
{
	my ($node, $rows, $columns) = @_;

	$columns //= 'embedding real[]';
	$node->safe_psql('postgres', qq{
		SET client_min_messages = warning;
		DROP TABLE IF EXISTS docs, updates;
		CREATE TABLE docs (id int PRIMARY KEY, body text, $columns);
		CREATE TABLE updates (id int);
		CREATE OR REPLACE FUNCTION note_update() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN INSERT INTO updates VALUES (new.id); RETURN new; END';
		CREATE TRIGGER note BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION note_update();
		INSERT INTO docs (id, body) SELECT i, 'the number of this text is ' || i || repeat(' and more', i % 7) FROM generate_series(1, $rows) i;
	});
	return;
}

# How many rows have not the embedding of their text.
sub wrong_rows
{
	my ($node, $model) = @_;

	return $node->safe_psql('postgres',
		qq{SELECT count(*) FROM docs WHERE embedding IS DISTINCT FROM albert_embedding(body, '$model')});
}

# "updates|rows updated"
sub updates
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM updates');
}

1;
