# BatchingCorpus.pm
#	  Query shapes for comparing plans with the batching node and without:
#	  tables, and a list of statements.
#
# %U is a function of a text that fails for texts without a mask, %L, %S and %A
# others of one text, of two, and returning an array.  A statement may come
# with what is known of it: "error" means that it is to fail; "serial" that with
# workers it may fail in another way; "either" that two rows fail in different
# places, and reading ahead may come upon the later row first, or that a row
# fails for two reasons.
package BatchingCorpus;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(corpus_setup corpus_queries corpus_fill);

# corpus_fill(TEXT, {U => ..., L => ..., S => ..., A => ...})
sub corpus_fill
{
	my ($text, $functions) = @_;

	$text =~ s/%([ULSA])\b/$functions->{$1}/g;
	return $text;
}

sub corpus_setup
{
	return <<'SQL';
CREATE TABLE docs (id int PRIMARY KEY, body text, note text, grp int, n int, tags text[]);
INSERT INTO docs
	SELECT i,
		CASE WHEN i % 17 = 0 THEN NULL
			 WHEN i % 50 = 49 THEN 'bad text ' || i
			 ELSE 'some words ' || (i % 23) || ' and [MASK] more' || repeat(' again', i % 11) END,
		CASE WHEN i % 13 = 0 THEN '' ELSE 'note ' || (i % 5) END,
		i % 7, i % 10,
		ARRAY['a' || (i % 3), 'some [MASK] ' || (i % 4)]
	FROM generate_series(1, 240) i;
CREATE INDEX docs_grp ON docs (grp);
CREATE TABLE labels (id int PRIMARY KEY, grp int, name text);
INSERT INTO labels SELECT i, i % 9, 'label [MASK] ' || (i % 6) FROM generate_series(1, 30) i;
CREATE TABLE parts (id int, body text, n int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (60);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (60) TO (120);
CREATE TABLE parts_3 (n int, body text, dropped int, id int);
ALTER TABLE parts_3 DROP COLUMN dropped;
ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM (120) TO (1000);
INSERT INTO parts SELECT id, body, n FROM docs WHERE body LIKE '%[MASK]%' OR id % 50 = 49;
CREATE INDEX parts_id ON parts (id);
CREATE TABLE parent (id int, body text);
CREATE TABLE child (extra int) INHERITS (parent);
INSERT INTO parent SELECT id, body FROM docs WHERE id < 40;
INSERT INTO child SELECT id, body, n FROM docs WHERE id BETWEEN 50 AND 80;
CREATE TABLE target (id int, body text, word text, len int, at serial);
CREATE TABLE target_parts (id int, body text, word text) PARTITION BY LIST (id);
CREATE TABLE target_even PARTITION OF target_parts FOR VALUES IN (2, 4, 6, 8, 10);
CREATE TABLE target_odd PARTITION OF target_parts FOR VALUES IN (1, 3, 5, 7, 9);
INSERT INTO target_parts SELECT id, body, NULL FROM docs WHERE id <= 10;
CREATE TABLE fresh (id int, body text, len int GENERATED ALWAYS AS (length(body) + 1) STORED);
CREATE TABLE big (id int, body text);
INSERT INTO big SELECT i, 'start [MASK] ' || repeat(md5(i::text) || ' ', 300) FROM generate_series(1, 12) i;
CREATE SEQUENCE counter;
CREATE TABLE log (at serial, what text);
CREATE FUNCTION noted(t text) RETURNS text LANGUAGE plpgsql VOLATILE AS
	$$BEGIN INSERT INTO log (what) VALUES (t); RETURN t; END$$;
CREATE FUNCTION loud(t text) RETURNS text LANGUAGE plpgsql VOLATILE AS
	$$BEGIN RAISE NOTICE 'loud %', t; RETURN t; END$$;
CREATE FUNCTION cleaned(t text) RETURNS text LANGUAGE plpgsql STABLE AS
	$$BEGIN RETURN trim(t); END$$;
CREATE FUNCTION guarded(i int) RETURNS int LANGUAGE plpgsql STABLE AS
	$$BEGIN IF i = 60 THEN RAISE EXCEPTION 'guarded against %', i; END IF; RETURN i; END$$;
CREATE FUNCTION many(i int) RETURNS SETOF text LANGUAGE sql STABLE AS
	$$SELECT body FROM docs WHERE id <= i ORDER BY id$$;
CREATE DOMAIN short AS text CHECK (length(VALUE) < 200);
CREATE TYPE pair AS (word text, len int);
CREATE VIEW barrier WITH (security_barrier) AS SELECT id, body, n FROM docs WHERE grp <> 3;
CREATE VIEW words AS SELECT id, %U(body) AS word, %L(body) AS len FROM docs WHERE body LIKE '%[MASK]%';
CREATE VIEW words_plus AS SELECT id, body, body || ' twice ' || coalesce(body, '') AS twice FROM docs;
CREATE ROLE reader;
CREATE TABLE secret (id int, body text);
INSERT INTO secret SELECT id, body FROM docs WHERE id < 120;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY third ON secret USING (id % 3 = 0 AND body LIKE '%[MASK]%');
GRANT SELECT ON secret TO reader;
GRANT SELECT (id, body), UPDATE (body) ON docs TO reader;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO log (what) VALUES ('row ' || NEW.id); RETURN NEW; END$$;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON target FOR EACH ROW EXECUTE FUNCTION stamp();
ANALYZE;
SQL
}

my @good = ("body LIKE '%[MASK]%'", "id < 49");

# Select lists over docs, by themselves.
my @lists = (
	'id, %U(body)',
	'%U(body), id, %L(body), %U(body)',
	"%L(%U(body) || ' [MASK]'), %U(%U(body) || ' [MASK]')",
	'%S(body, note), %S(note, body), %S(body, body)',
	'%A(body), (%A(body))[1], array_length(%A(note), 1)',
	"upper(%U(body)) || '!' || note, %L(body) + %L(note) * n",
	"CASE WHEN n > 4 THEN %U(body) ELSE note END, n",
	"CASE %L(body) WHEN 12 THEN 'twelve' ELSE %U(body) END, id",
	"CASE WHEN %L(body) > 12 THEN %U(body) WHEN n = 3 THEN note END",
	'coalesce(%U(body), %U(note)), coalesce(note, %U(body))',
	'%L(body) > 11 AND %L(note) > 2, %L(note) > 2 OR %L(body) > 5, NOT (%L(body) > 11)',
	'nullif(%L(body), 11), greatest(%L(body), %L(note), n), least(1, %L(body))',
	'%L(body) IN (10, 11, 12), %L(body) = ANY (ARRAY[n, 11]), %L(body) IS NULL, %L(body) IS DISTINCT FROM n',
	'ARRAY[%L(body), n], ROW(%L(body), note), ARRAY[note, %U(body)]',
	'(ROW(%U(body), %L(body))::pair).len, ROW(%U(body), n)::pair',
	'%U(body)::short, %L(body)::text, %L(body)::bigint, %A(body)::float8[]',
	"%U('const [MASK]'), %L('const'), id",
	'%L(cleaned(body)), %U(cleaned(body))',
	'%L(lower(body) || note || n), %L(left(body, n))',
	'%L(body || (SELECT max(name) FROM labels)), %L((SELECT name FROM labels l WHERE l.id = docs.n + 1))',
	'(SELECT count(*) FROM labels l WHERE l.grp = docs.grp), %L(body)',
	'(SELECT %L(docs.body)), (SELECT max(%L(name)) FROM labels)',
	'docs, %L(body)',
	'docs.*, %L(note)',
	'ctid, tableoid::regclass, %L(body), xmin IS NOT NULL',
	'%L(tags[1]), %L(array_to_string(tags, n::text)), tags',
	'nextval(\'counter\'), %L(body)',
	'%L(body), nextval(\'counter\'), %U(body)',
	'length(noted(body)), %L(body)',
	'%L(noted(body))',
	'loud(note), %L(body)',
	'%L(CASE WHEN n = 1 THEN body ELSE note END), %L(CASE n WHEN 1 THEN note END)',
	'(100 / (n + 1)), %L(body)',
	'row_number() OVER (ORDER BY id), %L(body)',
	'unnest(tags), %L(body)',
	'%L(unnest(tags)), id',
	'generate_series(1, 2), %U(body), n',
);

my @conditions = (
	'%L(body) > 11',
	'%L(body) > 11 AND n < 5',
	'%L(body) > 11 AND %L(note) > 3',
	"%U(body) > 'a' AND %L(body) > 10 AND n <> 4",
	'%L(body) > 14 OR n = 2',
	'n = 2 OR %L(body) > 14',
	'NOT (%L(body) > 11)',
	'%L(body) IS NOT NULL AND grp IN (1, 2)',
	'CASE WHEN n > 3 THEN %L(body) > 11 ELSE false END',
	'EXISTS (SELECT 1 FROM labels l WHERE l.grp = docs.grp AND %L(l.name) > 3)',
	'%L(body) IN (SELECT id FROM labels)',
	'%L(body) = (SELECT max(id) FROM labels WHERE id < 12)',
	'%S(body, note) > 0.1 AND 10 / (n + 1) > 1',
	'grp = 3 AND %L(body) > 3',
	'id = 7 AND %L(body) > 3',
	'ctid < \'(1,1)\' AND %L(body) > 3',
	"%L(body) > 3 AND cleaned(note) <> ''",
	"%L(noted(body)) > 3",
	"%L(body) > 3 AND noted(note) <> ''",
	"noted(note) <> '' AND %L(body) > 3",
);

my @tails = (
	'', 'LIMIT 5', 'LIMIT 5 OFFSET 9', 'OFFSET 190', 'LIMIT 0', 'LIMIT ALL', 'LIMIT (SELECT 3)',
	'ORDER BY 1 LIMIT 7', 'ORDER BY id', 'ORDER BY id DESC LIMIT 3', 'ORDER BY n, id LIMIT 4 OFFSET 2',
	'ORDER BY %L(body) NULLS FIRST, id LIMIT 9', 'ORDER BY %L(note), %L(body), id',
	'ORDER BY n FETCH FIRST 3 ROWS WITH TIES', 'FOR UPDATE', 'ORDER BY id LIMIT 3 FOR SHARE',
);

# Whole statements.  An entry is a string, or [string, what it needs ...].
my @statements = (
	# grouping
	'SELECT %L(body), count(*) FROM docs GROUP BY 1 ORDER BY 1',
	'SELECT n, max(%L(body)), sum(%L(note)) FROM docs GROUP BY n ORDER BY n',
	'SELECT n, count(*) FILTER (WHERE %L(body) > 11) FROM docs GROUP BY n ORDER BY n',
	"SELECT n, %L(string_agg(note, ' ' ORDER BY id)) FROM docs GROUP BY n HAVING %L(max(body)) > 3 ORDER BY n",
	'SELECT grp, %L(note), count(*) FROM docs GROUP BY ROLLUP (grp, %L(note)) ORDER BY 1, 2',
	'SELECT grp, n, %L(max(note)), GROUPING(grp, n) FROM docs GROUP BY GROUPING SETS ((grp), (n), ()) ORDER BY 1, 2',
	'SELECT DISTINCT %L(body) FROM docs ORDER BY 1',
	'SELECT DISTINCT ON (n) n, id, %L(body) FROM docs ORDER BY n, id',
	'SELECT count(DISTINCT %L(body)), array_agg(%L(note) ORDER BY id) FROM docs WHERE id < 20',
	'SELECT %L(note), max(id) FROM docs WHERE %L(note) > 3 GROUP BY %L(note) HAVING count(*) > 2 ORDER BY 1',
	'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY %L(body)) FROM docs',
	'SELECT grp, count(*) FILTER (WHERE %L(body) > 11), round(avg(%S(body, note))::numeric, 3), max(n) FROM docs WHERE id < 49 GROUP BY grp ORDER BY grp',
	'SELECT max(%L(body)), min(%U(note || \' [MASK]\')), array_agg(DISTINCT %L(note)), string_agg(note, \',\' ORDER BY %L(body), id) FROM docs',
	"SELECT sum(%L(body)) FILTER (WHERE n > 3), sum(%L(body)) FILTER (WHERE %L(note) > 3), bool_or(%L(body) > 11) FROM docs",
	'SELECT grp, n, sum(%L(body)) FROM docs GROUP BY GROUPING SETS ((grp), (n), (grp, n), ()) ORDER BY 1, 2',
	'SELECT max(100 / (n + 1)), max(%L(body)) FROM docs',
	'SELECT max(%L(body)), max(100 / (n + 1)), max(%L(note)) FROM docs',
	'SELECT count(noted(note)), max(%L(body)) FROM docs',
	'SELECT max(%L(body)), count(noted(note)) FROM docs',
	'SELECT grp, max(%L(body)), %L(max(note)) FROM docs GROUP BY grp HAVING max(%L(note)) > 3 ORDER BY grp LIMIT 2',
	'SELECT (SELECT max(%L(l.name || docs.n)) FROM labels l WHERE l.grp = docs.grp) FROM docs WHERE id < 30',
	['SELECT max(1 / (id - 49)), max(%U(body)) FROM docs', 'error', 'either'],
	['SELECT max(%U(body)), max(1 / (id - 49)) FROM docs', 'error', 'serial'],
	['SELECT max(1 / (id - 60)), max(%U(body)) FROM docs', 'error', 'serial'],
	['SELECT count(noted(id::text)), max(%U(body)) FROM docs', 'error', 'serial'],
	"SELECT count(*) FROM (SELECT DISTINCT %L(body) FROM docs) s",
	"SELECT grp, max(%L(body)) FROM docs GROUP BY grp ORDER BY grp LIMIT 3",
	# windows
	'SELECT id, %L(body), sum(n) OVER (PARTITION BY grp ORDER BY id) FROM docs ORDER BY id',
	'SELECT id, sum(%L(body)) OVER (ORDER BY id ROWS 2 PRECEDING) FROM docs ORDER BY id',
	'SELECT %L(max(body) OVER (PARTITION BY grp)), id FROM docs ORDER BY id',
	'SELECT * FROM (SELECT id, %L(body) AS l, rank() OVER (PARTITION BY grp ORDER BY %L(body), id) AS r FROM docs) s WHERE r < 3 ORDER BY id',
	# joins
	'SELECT d.id, l.id, %L(d.body), %L(l.name) FROM docs d JOIN labels l ON l.grp = d.grp ORDER BY 1, 2',
	'SELECT d.id, l.id, %S(d.body, l.name) FROM docs d, labels l WHERE l.grp = d.grp AND %S(d.body, l.name) > 2 ORDER BY 1, 2',
	'SELECT d.id, l.id, %S(d.note, l.name) FROM docs d LEFT JOIN labels l ON l.grp = d.grp AND %L(d.body) > 11 ORDER BY 1, 2',
	'SELECT d.id, l.id FROM docs d LEFT JOIN labels l ON l.grp = d.grp WHERE %L(coalesce(l.name, d.note)) > 3 ORDER BY 1, 2',
	'SELECT d.id, l.id FROM docs d FULL JOIN labels l ON l.id = d.id WHERE %L(coalesce(d.note, l.name)) > 1 ORDER BY 1, 2',
	'SELECT d.id FROM docs d JOIN labels l ON l.id = %L(d.body) ORDER BY 1',
	'SELECT d.id, l.id FROM docs d JOIN labels l ON %L(l.name) = %L(d.body) ORDER BY 1, 2',
	'SELECT d.id FROM docs d WHERE EXISTS (SELECT 1 FROM labels l WHERE l.grp = d.grp AND %L(l.name) < %L(d.body)) ORDER BY 1',
	'SELECT d.id FROM docs d WHERE NOT EXISTS (SELECT 1 FROM labels l WHERE l.grp = d.grp AND %L(l.name) < %L(d.body)) ORDER BY 1',
	'SELECT d.id, x.l FROM docs d, LATERAL (SELECT %L(d.body || l.name) AS l FROM labels l WHERE l.grp = d.grp ORDER BY l.id LIMIT 2) x ORDER BY 1, 2',
	'SELECT d.id, x.* FROM docs d CROSS JOIN LATERAL (SELECT l.id, %U(l.name) FROM labels l WHERE l.id = d.n AND %L(l.name) > 2 OFFSET 0) x ORDER BY 1, 2',
	'SELECT a.id, b.id FROM docs a JOIN docs b ON b.id = a.id + 1 WHERE %L(a.body) = %L(b.body) ORDER BY 1',
	'SELECT s.id, s.len FROM (SELECT id, %L(note) AS len FROM docs ORDER BY id LIMIT 40) s JOIN labels l USING (id) ORDER BY 1',
	'SELECT * FROM (SELECT id, %L(body) AS a FROM docs OFFSET 0) x JOIN (SELECT id, %L(name) AS b FROM labels OFFSET 0) y ON x.id = y.id AND x.a > y.b ORDER BY 1',
	'SELECT * FROM (SELECT id, %L(body) AS a FROM docs WHERE id < 90 OFFSET 0) x LEFT JOIN (SELECT id, %L(name) AS b FROM labels) y ON x.id = y.id ORDER BY 1',
	'SET enable_hashjoin = off; SET enable_mergejoin = off; SELECT d.id, l.id, %S(d.note, l.name) FROM docs d JOIN labels l ON l.grp = d.grp AND %L(l.name) + %L(d.note) > 4 ORDER BY 1, 2',
	'SET enable_hashjoin = off; SET enable_nestloop = off; SELECT d.id, l.id, %S(d.note, l.name) FROM docs d JOIN labels l ON l.grp = d.grp AND %L(l.name) + %L(d.note) > 4 ORDER BY 1, 2',
	'SET enable_hashjoin = off; SET enable_nestloop = off; SELECT d.id, l.id FROM docs d JOIN (SELECT id, %L(name) AS len FROM labels OFFSET 0) l ON l.len = d.n ORDER BY 1, 2',
	'SET enable_hashjoin = off; SET enable_nestloop = off; SET enable_sort = off; SELECT x.id, y.id, x.l FROM (SELECT id, %L(body) AS l FROM docs ORDER BY id OFFSET 0) x JOIN (SELECT id, grp, %L(note) AS m FROM docs ORDER BY id OFFSET 0) y ON x.id = y.id ORDER BY 1',
	'SET enable_hashjoin = off; SET enable_nestloop = off; SET enable_material = off; SELECT x.grp, x.id, y.l FROM (SELECT id, grp FROM docs ORDER BY grp OFFSET 0) x JOIN (SELECT grp, %L(name) AS l FROM labels ORDER BY grp OFFSET 0) y ON x.grp = y.grp ORDER BY 1, 2, 3',
	# set operations and subqueries
	'SELECT %L(body) FROM docs UNION SELECT %L(name) FROM labels ORDER BY 1',
	'SELECT id, %L(body) FROM docs WHERE id < 20 UNION ALL SELECT id, %L(name) FROM labels ORDER BY 1, 2',
	'SELECT %L(body) FROM docs INTERSECT SELECT %L(name) + 5 FROM labels ORDER BY 1',
	'SELECT %L(body) FROM docs EXCEPT SELECT %L(name) FROM labels ORDER BY 1',
	'SELECT * FROM (SELECT id, %L(body) AS l FROM docs UNION ALL SELECT id, %L(name) FROM labels) s WHERE l > 8 ORDER BY 1, 2 LIMIT 12',
	'WITH w AS MATERIALIZED (SELECT id, %L(body) AS l FROM docs) SELECT a.id, b.l FROM w a JOIN w b ON a.id = b.id + 1 ORDER BY 1',
	'WITH w AS MATERIALIZED (SELECT id, %L(body) AS l FROM docs) SELECT * FROM w LIMIT 3',
	'WITH w AS (SELECT id, %U(body) AS u FROM docs WHERE id < 45) SELECT count(*), max(u) FROM w',
	'WITH RECURSIVE r(i, l) AS (SELECT 1, 0 UNION ALL SELECT d.id, %L(d.body) FROM r JOIN docs d ON d.id = r.i + 1 WHERE r.i < 30) SELECT * FROM r ORDER BY 1',
	'SELECT id, ARRAY(SELECT %L(l.name) FROM labels l WHERE l.grp = docs.grp ORDER BY l.id) FROM docs ORDER BY id',
	'SELECT id, (SELECT %L(l.name) FROM labels l WHERE l.id = docs.n + 1) FROM docs ORDER BY id',
	['SELECT (SELECT %L(l.name) FROM labels l WHERE l.grp = docs.grp) FROM docs', 'error'],
	'SELECT * FROM words WHERE len > 11 ORDER BY id',
	'SELECT * FROM words WHERE len > 11 LIMIT 4',
	'SELECT * FROM (SELECT id, %L(body) FROM docs ORDER BY n, id OFFSET 9) s LIMIT 5',
	'SELECT * FROM (SELECT id, %L(body) FROM docs ORDER BY n, id LIMIT 9 OFFSET 3) s LIMIT 8',
	'SELECT id, %L(body) FROM barrier WHERE %L(body) > 11 AND n < 100 ORDER BY id',
	'SELECT f, %U(f) FROM many(40) f WHERE f LIKE \'%[MASK]%\'',
	'SELECT i, %L(\'x\' || i) FROM generate_series(1, 30) i WHERE %L(\'x\' || i) > 2 LIMIT 4',
	"SELECT *, %L(column2) FROM (VALUES (1, 'one'), (2, 'two [MASK]'), (3, NULL)) v WHERE %L(column2) > 1",
	'SELECT s.*, %L(s.body) FROM docs s TABLESAMPLE SYSTEM (100) REPEATABLE (1) WHERE id < 30 ORDER BY id',
	# partitions, inheritance, system columns, whole rows
	'SELECT id, %L(body) FROM parts ORDER BY id LIMIT 20',
	'SELECT id, %L(body) FROM parts WHERE %L(body) > 11 ORDER BY id',
	'SELECT p, %L(body), tableoid::regclass FROM parts p WHERE id BETWEEN 50 AND 70 ORDER BY id',
	'SET enable_sort = off; SELECT id, %L(body) FROM parts ORDER BY id LIMIT 5',
	'SELECT p.tableoid::regclass, p.*, %L(p.body) FROM parent p WHERE %L(body) > 11 ORDER BY id',
	'SELECT id, %L(body) FROM parts WHERE id = (SELECT 77)',
	# what fails, and what must not
	['SELECT id, %U(body) FROM docs', 'error', 'serial'],
	['SELECT id, %U(body) FROM docs ORDER BY id', 'error', 'serial'],
	'SELECT id, %U(body) FROM docs LIMIT 48',
	'SELECT id, %U(body) FROM docs LIMIT 40',
	['SELECT id, %U(body) FROM docs LIMIT 49', 'error', 'serial'],
	'SELECT id, %U(body) FROM docs WHERE %L(body) > 3 LIMIT 44',
	['SELECT id, %U(body) FROM docs WHERE %L(body) > 3 LIMIT 60', 'error', 'serial'],
	"SELECT id, %U(body) FROM docs WHERE %U(body) <> 'x' LIMIT 10",
	'SELECT id FROM docs WHERE %L(body) > 3 AND guarded(id) > 0 LIMIT 50',
	['SELECT id FROM docs WHERE %L(body) > 3 AND guarded(id) > 0 LIMIT 57', 'error', 'serial'],
	'SELECT id, %L(body) FROM docs WHERE guarded(id) > 0 LIMIT 59',
	['SELECT id, %L(body) FROM docs WHERE guarded(id) > 0 LIMIT 60', 'error', 'serial'],
	['SELECT %L(body), 1 / (id - 30) FROM docs', 'error', 'serial'],
	['SELECT %U(body), 1 / (id - 60) FROM docs', 'error', 'serial'],
	['SELECT 1 / (id - 49), %U(body) FROM docs', 'error', 'either'],
	['SELECT %U(body), 1 / (id - 49) FROM docs', 'error', 'serial'],
	['SELECT 1 / (id - 49), %U(body) FROM docs ORDER BY id', 'error', 'either'],
	['SELECT %L(body), %U(body) FROM docs WHERE id > 90', 'error', 'serial'],
	['SELECT %U(body), %L(body) FROM docs WHERE 1 / (id - 80) < 5', 'error', 'serial', 'either'],
	['SELECT %U(body), %L(body) FROM docs WHERE 1 / (id - 40) < 5', 'error', 'serial'],
	['SELECT %U(body), %L((100 / (id - 70))::text) FROM docs', 'error', 'serial', 'either'],
	['SELECT %U(body), %L((100 / (id - 70))::text) FROM docs LIMIT 55', 'error', 'serial'],
	'SELECT %U(body), %L((100 / (id - 49))::text) FROM docs LIMIT 48',
	['SELECT %L((100 / (id - 40))::text), %U(body) FROM docs', 'error', 'serial'],
	"SELECT id, CASE WHEN body LIKE '%[MASK]%' THEN %U(body) END FROM docs",
	"SELECT id, %U(CASE WHEN body LIKE '%[MASK]%' THEN body END) FROM docs",
	"SELECT id FROM docs WHERE body LIKE '%[MASK]%' AND %U(body) <> ''",
	"SELECT id FROM docs WHERE body NOT LIKE '%[MASK]%' OR %U(body) <> ''",
	"SELECT count(%U(body)) FILTER (WHERE body LIKE '%[MASK]%') FROM docs",
	['SELECT max(%U(body)) FROM docs', 'error', 'serial'],
	"SELECT id, coalesce(note, %U(body)) FROM docs",
	['SELECT %U(body)::short FROM docs WHERE id BETWEEN 45 AND 60', 'error', 'serial'],
	'SELECT EXISTS (SELECT 1 FROM docs WHERE %U(body) <> \'\')',
	"SELECT id FROM labels l WHERE EXISTS (SELECT 1 FROM docs d WHERE d.grp = l.grp AND %U(d.body) <> 'x' AND d.id < 49) ORDER BY id",
	"SELECT l.id FROM labels l WHERE l.grp IN (SELECT grp FROM docs WHERE %U(body) <> 'x' AND id < 49) ORDER BY 1",
	['SELECT %S(body, note), id FROM docs WHERE 1 / (n - 5) > -100', 'error', 'serial'],
	['SELECT %U(body), nextval(\'counter\') FROM docs WHERE id > 40', 'error', 'serial'],
	['SELECT noted(id::text), %U(body) FROM docs WHERE id > 40', 'error', 'serial'],
	['SELECT %U(body), loud(id::text) FROM docs WHERE id BETWEEN 45 AND 52', 'error', 'serial'],
	# data changes; what they did is looked at after each statement
	'INSERT INTO target (id, body, word) SELECT id, body, %U(body) FROM docs WHERE id < 49',
	['INSERT INTO target (id, body, word) SELECT id, body, %U(body) FROM docs', 'error', 'serial'],
	'INSERT INTO target (id, len) SELECT id, %L(body) FROM docs WHERE %L(body) > 11 RETURNING id, len, at',
	'INSERT INTO target (id, len) SELECT id, n FROM docs WHERE id < 30 RETURNING id, %L(\'n\' || len)',
	"INSERT INTO target (id, word) VALUES (1, %U('a [MASK]')), (2, %U('b [MASK]'))",
	'INSERT INTO fresh (id, body) SELECT id, %L(body)::text FROM docs',
	'INSERT INTO docs SELECT id + 1000, body, note, %L(body), n FROM docs WHERE id < 100',
	'INSERT INTO target_parts SELECT 1 + %L(body) % 10, body, %L(note)::text FROM docs',
	'INSERT INTO docs (id, body) SELECT id, %L(name)::text FROM labels ON CONFLICT (id) DO UPDATE SET body = excluded.body || %L(docs.body)',
	'UPDATE docs SET n = %L(body)',
	'UPDATE docs SET n = %L(body), note = %L(note)::text WHERE %L(body) > 11 RETURNING id, n, note',
	'UPDATE docs SET n = %L(body) FROM labels l WHERE l.id = docs.n AND %L(l.name) > 3',
	'UPDATE docs SET (n, grp) = (SELECT %L(docs.body), max(id) FROM labels), note = %L(note)::text WHERE id < 30',
	'UPDATE docs SET (n, note) = (%L(body), %L(note)::text) WHERE id < 30',
	'UPDATE docs SET tags[2] = %U(body) WHERE id < 40',
	['UPDATE docs SET note = %U(body)', 'error', 'serial'],
	'UPDATE parts SET n = %L(body) WHERE id < 100',
	'UPDATE parent SET body = %L(body)::text WHERE %L(body) > 11 RETURNING tableoid::regclass, *',
	'UPDATE target_parts SET id = 11 - id, word = %L(body)::text',
	'DELETE FROM docs WHERE %L(body) > 11',
	'DELETE FROM docs USING labels l WHERE l.id = docs.id AND %L(l.name) > 4 RETURNING docs.id, %L(docs.body)',
	"WITH gone AS (DELETE FROM docs WHERE %L(body) > 13 RETURNING id, body) INSERT INTO target (id, len) SELECT id, %L(body) FROM gone",
	"WITH new AS (INSERT INTO target (id, body) SELECT id, body FROM docs WHERE id < 20 RETURNING *) SELECT id, %L(body) FROM new LIMIT 2",
	'UPDATE docs SET n = n + 1 WHERE id < 40 RETURNING id, n, %L(body), %U(body)',
	['UPDATE docs SET n = 0 RETURNING id, %U(body)', 'error', 'serial'],
	'INSERT INTO docs SELECT id + 1000, body FROM docs WHERE id < 30 RETURNING ctid IS NULL, %L(body), docs',
	"INSERT INTO docs (id, body) VALUES (1001, 'one [MASK]'), (1002, NULL), (1003, 'three [MASK]') RETURNING id, %U(body)",
	"INSERT INTO docs (id, body) SELECT id, name FROM labels ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING id, %U(docs.body), n",
	'DELETE FROM docs WHERE n = 3 RETURNING *, %L(body)',
	'DELETE FROM docs USING labels l WHERE l.grp = docs.n RETURNING docs.id, l.id, %S(docs.note, l.name)',
	'UPDATE docs SET n = n + 1 WHERE id < 40 RETURNING noted(note), %L(body)',
	'WITH c AS (UPDATE docs SET n = 0 WHERE id < 60 RETURNING id, %L(body) AS l) SELECT * FROM c LIMIT 4',
	q{DO $$ DECLARE x int; BEGIN UPDATE docs SET n = 0 WHERE id = 9 RETURNING %L(body) INTO x; RAISE NOTICE '%', x; UPDATE docs SET n = -1 WHERE id < 9 RETURNING %L(body) INTO x; EXCEPTION WHEN others THEN RAISE NOTICE '%', sqlerrm; END $$},
	q{DO $$ DECLARE r record; BEGIN FOR r IN UPDATE docs SET n = 0 WHERE id < 90 RETURNING id, %L(body) AS l LOOP EXIT WHEN r.l > 20; END LOOP; RAISE NOTICE '%', r; END $$},
	# MERGE, as a nested loop where the order of rows shows (15; RETURNING and rows of the target without a match 17)
	'MERGE INTO docs d USING labels l ON d.id = l.id + 220 WHEN MATCHED THEN UPDATE SET n = %L(l.name), note = l.name WHEN NOT MATCHED THEN INSERT (id, body, n) VALUES (l.id + 1000, l.name, %L(l.name))',
	'MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED THEN UPDATE SET n = %L(l.name) + d.n, note = %U(l.name)',
	'MERGE INTO docs d USING labels l ON d.id = l.id + 220 WHEN NOT MATCHED THEN INSERT (id, body, n) VALUES (l.id + 1000, %U(l.name), %L(l.name))',
	'MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED AND d.n > 4 THEN UPDATE SET n = %L(l.name) WHEN MATCHED THEN DELETE',
	'MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED AND %L(l.name) > 4 THEN UPDATE SET n = %L(l.name) WHEN MATCHED THEN UPDATE SET n = -%L(l.name)',
	'MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED THEN UPDATE SET n = %L(d.body || l.name)',
	"MERGE INTO docs d USING (SELECT id, body FROM docs WHERE id < 49) s ON d.id = s.id AND s.body LIKE '%[MASK]%' WHEN MATCHED THEN UPDATE SET note = %U(s.body)",
	['MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET note = %U(s.body)', 'error', 'serial'],
	"MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED AND s.body LIKE '%[MASK]%' THEN UPDATE SET note = %U(s.body)",
	'MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED AND s.id % 50 = 49 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET note = %U(s.body)',
	'MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, body) VALUES (s.id, %U(s.body))',
	'MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN NOT MATCHED THEN INSERT (id, body) VALUES (s.id, %U(s.body))',
	['MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET n = 1 / (s.id - 30), note = %U(s.body)', 'error', 'serial'],
	['MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET n = 1 / (s.id - 60), note = %U(s.body)', 'error', 'serial'],
	['MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET note = %U(s.body), n = 1 / (s.id - 49)', 'error', 'serial'],
	['MERGE INTO docs d USING (SELECT id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET body = %U(s.body)::short, tags[2] = %U(s.body)', 'error', 'serial'],
	['MERGE INTO docs d USING (SELECT 7 AS id, name FROM labels) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET n = %L(s.name)', 'error', 'serial'],
	['MERGE INTO docs d USING (SELECT 7 AS id, body FROM docs) s ON d.id = s.id WHEN MATCHED THEN UPDATE SET note = %U(s.body)', 'error', 'serial'],
	'SET enable_hashjoin = off; SET enable_mergejoin = off; MERGE INTO target t USING docs d ON t.id = d.id WHEN MATCHED THEN UPDATE SET len = %L(d.body) WHEN NOT MATCHED THEN INSERT (id, body, len) VALUES (d.id, d.body, %L(d.body))',
	'SET enable_hashjoin = off; SET enable_mergejoin = off; MERGE INTO target t USING docs d ON false WHEN MATCHED THEN UPDATE SET word = noted(d.note), len = %L(d.body) WHEN NOT MATCHED THEN INSERT (id, word, len) VALUES (d.id, noted(d.note), %L(d.body))',
	['SET enable_hashjoin = off; SET enable_mergejoin = off; MERGE INTO target t USING docs d ON t.id = d.id WHEN MATCHED THEN UPDATE SET word = %U(d.body) WHEN NOT MATCHED THEN INSERT (id, word) VALUES (d.id, %U(d.body))', 'error', 'serial'],
	"MERGE INTO target_parts t USING docs d ON t.id = d.id WHEN MATCHED THEN UPDATE SET id = 11 - t.id, word = %L(d.body)::text",
	'MERGE INTO target_parts t USING (SELECT id, id % 10 + 1 AS key, body FROM docs WHERE id < 20) d ON t.id = d.id WHEN MATCHED THEN UPDATE SET word = %L(d.body)::text WHEN NOT MATCHED THEN INSERT VALUES (d.key, d.body, %L(d.body)::text)',
	'MERGE INTO parts t USING labels l ON t.id = l.id * 4 WHEN MATCHED THEN UPDATE SET n = %L(l.name), body = upper(%U(l.name)) WHEN NOT MATCHED THEN INSERT (id, body, n) VALUES (l.id, %U(l.name), %L(l.name))',
	'MERGE INTO parent t USING labels l ON t.id = l.id + 20 WHEN MATCHED THEN UPDATE SET body = %U(l.name)',
	'MERGE INTO fresh t USING docs d ON t.id = d.id WHEN NOT MATCHED THEN INSERT (id, body) VALUES (d.id, %L(d.body)::text) WHEN MATCHED THEN UPDATE SET body = %L(d.body)::text',
	'MERGE INTO docs d USING labels l ON d.id = l.id + 220 WHEN MATCHED THEN UPDATE SET n = %L(l.name) WHEN NOT MATCHED BY TARGET THEN INSERT (id, n) VALUES (l.id + 1000, %L(l.name)) WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = 0',
	'SET enable_hashjoin = off; SET enable_mergejoin = off; MERGE INTO docs d USING labels l ON d.id = l.id + 220 WHEN MATCHED THEN UPDATE SET n = %L(l.name) WHEN NOT MATCHED THEN INSERT (id, n) VALUES (l.id + 1000, %L(l.name)) RETURNING merge_action(), d.id, d.n, %L(l.name), l.name',
	'WITH m AS (MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED THEN UPDATE SET n = %L(l.name) RETURNING d.*) SELECT * FROM m LIMIT 3',
	'SET enable_hashjoin = off; SET enable_mergejoin = off; MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED THEN UPDATE SET n = %L(l.name || (SELECT max(name) FROM labels))',
	'PREPARE p(text) AS MERGE INTO docs d USING labels l ON d.id = l.id WHEN MATCHED THEN UPDATE SET n = %L(l.name || $1), body = %U(l.name); EXECUTE p(\'x\'); EXECUTE p(NULL)',
	# rows before and after (18)
	'UPDATE docs SET body = body || \' more\' WHERE id < 30 RETURNING id, %L(old.body), %L(new.body), old.body = new.body',
	'INSERT INTO words_plus (id) VALUES (1001) RETURNING old.twice, new.twice, %L(old.twice), %L(new.id::text)',
	'DELETE FROM words_plus WHERE id < 9 RETURNING old.twice, new.twice, %L(new.twice), %L(old.twice)',
	'CREATE TABLE made AS SELECT id, %L(body) AS len, %A(body) AS a FROM docs; SELECT * FROM made ORDER BY id',
	'CREATE TABLE made AS SELECT id, %L(body) AS len FROM docs ORDER BY id LIMIT 3 WITH NO DATA; SELECT * FROM made',
	'CREATE MATERIALIZED VIEW made AS SELECT id, %L(body) AS len FROM docs; REFRESH MATERIALIZED VIEW made; SELECT * FROM made ORDER BY id',
	'SELECT id, %L(body) AS len INTO made FROM docs; SELECT sum(len) FROM made',
	'COPY (SELECT id, %L(body), %U(note || \' [MASK]\') FROM docs ORDER BY id) TO STDOUT',
	# prepared statements, cursors, procedures
	'SET plan_cache_mode = force_generic_plan; PREPARE p(int) AS SELECT id, %L(body) FROM docs WHERE id < $1 AND %L(body) > $1 - 100 ORDER BY id; EXECUTE p(20); EXECUTE p(9); EXECUTE p(NULL)',
	'SET plan_cache_mode = force_custom_plan; PREPARE p(int, text) AS SELECT id, %L(body || $2) FROM docs WHERE id < $1; EXECUTE p(20, \'x\'); EXECUTE p(9, NULL)',
	'PREPARE p(int) AS SELECT id, %L(body) FROM docs LIMIT $1; EXECUTE p(5); EXECUTE p(NULL); EXECUTE p(0)',
	'PREPARE p AS SELECT %U(body) FROM docs WHERE id < 9; EXECUTE p; SET albert.batch_tokens = 20; EXECUTE p',
	'DECLARE c CURSOR FOR SELECT id, %L(body) FROM docs; FETCH 3 FROM c; FETCH 2 FROM c; MOVE 30 IN c; FETCH 3 FROM c; FETCH ALL FROM c; FETCH 1 FROM c',
	'DECLARE c SCROLL CURSOR FOR SELECT id, %L(body) FROM docs; FETCH 7 FROM c; FETCH BACKWARD 3 FROM c; FETCH 2 FROM c; FETCH LAST FROM c; FETCH PRIOR FROM c; FETCH FIRST FROM c; FETCH ABSOLUTE 100 FROM c; FETCH RELATIVE -5 FROM c; FETCH BACKWARD ALL FROM c; FETCH NEXT FROM c',
	'DECLARE c CURSOR FOR SELECT id, %L(body) FROM docs WHERE %L(body) > 11; FETCH 7 FROM c; FETCH BACKWARD 9 FROM c; FETCH 12 FROM c; FETCH ALL FROM c; FETCH BACKWARD 4 FROM c; FETCH 5 FROM c; MOVE BACKWARD ALL IN c; FETCH 2 FROM c',
	'DECLARE c SCROLL CURSOR FOR SELECT id, %L(body) FROM docs WHERE %L(body) > 11 ORDER BY n, id; FETCH 7 FROM c; FETCH BACKWARD 3 FROM c; FETCH LAST FROM c; FETCH BACKWARD 2 FROM c',
	'DECLARE c NO SCROLL CURSOR FOR SELECT id, %L(body) FROM docs; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c',
	['DECLARE c CURSOR FOR SELECT n, %L(max(body)) FROM docs GROUP BY n ORDER BY n; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c'],
	'DECLARE c SCROLL CURSOR FOR SELECT id, %L(body) FROM parts; FETCH 70 FROM c; FETCH BACKWARD 30 FROM c; FETCH FORWARD 60 FROM c; FETCH BACKWARD ALL FROM c',
	'DECLARE c CURSOR FOR SELECT id, %U(body) FROM docs; FETCH 40 FROM c; FETCH 8 FROM c; FETCH 1 FROM c',
	'DECLARE c CURSOR WITH HOLD FOR SELECT id, %L(body) FROM docs WHERE id < 60; FETCH 5 FROM c',
	"DECLARE c CURSOR FOR SELECT id, %L(body) FROM docs WHERE %L(body) > 11; FETCH 4 FROM c; UPDATE docs SET note = 'current' WHERE CURRENT OF c; FETCH 2 FROM c; DELETE FROM docs WHERE CURRENT OF c; FETCH 1 FROM c; SELECT id, note FROM docs WHERE id < 20 ORDER BY id",
	"DECLARE c CURSOR FOR SELECT id, %L(body) FROM docs WHERE %L(body) > 11 FOR UPDATE; FETCH 4 FROM c; UPDATE docs SET note = 'current' WHERE CURRENT OF c; FETCH 1 FROM c; SELECT id, note FROM docs WHERE id < 20 ORDER BY id",
	"SET enable_seqscan = off; DECLARE c CURSOR FOR SELECT id, %L(body) FROM docs WHERE id < 100; FETCH 4 FROM c; UPDATE docs SET note = 'current' WHERE CURRENT OF c; SELECT id, note FROM docs WHERE id < 9 ORDER BY id",
	"SET enable_seqscan = off; DECLARE c CURSOR FOR SELECT id, %L(id::text) FROM docs WHERE id < 100; FETCH 4 FROM c; UPDATE docs SET note = 'current' WHERE CURRENT OF c; SELECT id, note FROM docs WHERE id < 9 ORDER BY id",
	"DECLARE c CURSOR FOR SELECT id, %L(body) FROM parts; FETCH 70 FROM c; UPDATE parts SET body = 'current' WHERE CURRENT OF c; SELECT id FROM parts WHERE body = 'current'",
	"DECLARE c SCROLL CURSOR FOR SELECT id, %L(body) FROM docs; FETCH 9 FROM c; FETCH BACKWARD 3 FROM c; DELETE FROM docs WHERE CURRENT OF c; SELECT id FROM docs WHERE id < 10",
	['DECLARE c CURSOR FOR SELECT %L(body) FROM docs; DELETE FROM docs WHERE CURRENT OF c', 'error'],
	['DECLARE c CURSOR FOR SELECT %L(body) FROM docs WHERE id < 3; FETCH 5 FROM c; DELETE FROM docs WHERE CURRENT OF c', 'error'],
	q{DO $$ DECLARE r record; s int := 0; BEGIN FOR r IN SELECT id, %L(body) AS l FROM docs LOOP s := s + coalesce(r.l, 0); EXIT WHEN r.id = 77; END LOOP; RAISE NOTICE '%', s; END $$},
	q{DO $$ DECLARE r record; BEGIN FOR r IN SELECT id, %U(body) AS l FROM docs LOOP EXIT WHEN r.id = 48; END LOOP; RAISE NOTICE '%', r; END $$},
	q{DO $$ DECLARE r record; BEGIN FOR r IN SELECT id, %U(body) AS l FROM docs LOOP RAISE NOTICE '%', r.id; END LOOP; EXCEPTION WHEN others THEN RAISE NOTICE 'caught %', sqlstate; END $$},
	q{DO $$ DECLARE x int; BEGIN SELECT %L(body) INTO x FROM docs WHERE id > 5; RAISE NOTICE '%', x; UPDATE docs SET n = 0 WHERE id < 9 RETURNING %L(body) INTO x; EXCEPTION WHEN others THEN RAISE NOTICE '%', sqlerrm; END $$},
	q{DO $$ DECLARE r record; BEGIN FOR i IN 1..3 LOOP BEGIN FOR r IN SELECT id, %L(body) AS l FROM docs WHERE id > i * 10 AND id < i * 10 + 4 LOOP RAISE NOTICE '% %', r.id, r.l; PERFORM 1 / (i - 2); END LOOP; EXCEPTION WHEN division_by_zero THEN RAISE NOTICE 'caught'; END; END LOOP; END $$},
	q{CREATE FUNCTION lens(i int) RETURNS SETOF int LANGUAGE sql AS 'SELECT %L(body) FROM docs WHERE id < i ORDER BY id'; SELECT lens(4); SELECT * FROM lens(9) LIMIT 3; SELECT lens(5) LIMIT 2},
	q{CREATE FUNCTION first_len() RETURNS int LANGUAGE sql AS 'SELECT %L(body) FROM docs ORDER BY id'; SELECT first_len()},
	q{CREATE FUNCTION first_word() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT %U(body) FROM docs'; SELECT first_word()},
	'SELECT %L(body), lag(%L(body)) OVER (ORDER BY id) FROM docs ORDER BY id LIMIT 9',
	# privileges and row security
	'SET ROLE reader; SELECT id, %L(body) FROM secret ORDER BY id',
	"SET ROLE reader; SELECT id, %U(body) FROM secret WHERE %L(body) > 3 ORDER BY id",
	'SET ROLE reader; SELECT id, %L(body) FROM docs ORDER BY id LIMIT 3',
	['SET ROLE reader; SELECT id, %L(note) FROM docs', 'error'],
	['REVOKE EXECUTE ON FUNCTION %L(text) FROM public; SET ROLE reader; SELECT id, %L(body) FROM docs', 'error'],
	# long values
	'SELECT id, %L(body) FROM big ORDER BY id',
	'SELECT id, length(body), %L(left(body, 90)) FROM big WHERE %L(substr(body, 5)) > 0',
	'UPDATE big SET body = %L(body)::text',
);

# corpus_queries(): a list of [statement, needs...]
sub corpus_queries
{
	my @queries;
	my $i = 0;

	for my $list (@lists)
	{
		push @queries, ["SELECT $list FROM docs WHERE $good[0]"], ["SELECT $list FROM docs WHERE id < 49"];
		# a tail and a condition for each list, others for the next one
		for my $step (0 .. 2)
		{
			my $tail = $tails[($i * 3 + $step) % @tails];
			my $condition = $conditions[($i * 3 + $step) % @conditions];

			next if $tail =~ /FOR/ && $list =~ /OVER|unnest|generate_series/;
			push @queries, ["SELECT $list FROM docs WHERE $good[$step % 2] $tail"],
			  ["SELECT $list FROM docs WHERE ($condition) AND id < 49 $tail"],
			  ["SELECT * FROM (SELECT $list FROM docs WHERE id < 49 AND $condition OFFSET 0) s LIMIT 6"];
		}
		$i++;
	}
	for my $condition (@conditions)
	{
		push @queries, ["SELECT id FROM docs WHERE $condition"], ["SELECT id FROM docs WHERE $condition LIMIT 5"],
		  ["SELECT count(*) FROM docs WHERE $condition"],
		  ["DELETE FROM docs WHERE $condition"], ["UPDATE docs SET n = n + %L(body) WHERE $condition"];
	}
	for my $tail (@tails)
	{
		push @queries, ["SELECT id, %L(body) FROM docs WHERE %L(body) > 10 $tail"],
		  ["SELECT %U(body), id, n FROM docs WHERE id < 49 $tail"];
	}
	push @queries, map { ref $_ ? $_ : [$_] } @statements;
	return @queries;
}

1;
