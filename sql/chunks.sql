-- Chunks: with overlap 0 they share no character and lose none of a word, never have more tokens than asked for, and
-- are what start and stop cut out.
SET albert.model = 'm01_plain';
\set text 'repeat(''The capital of France. '', 50)'
SELECT chunk, content, start, stop FROM albert_chunks('The capital of France is a city.', max_tokens => 8);
SELECT chunk, content FROM albert_chunks('The capital of France is a city.', 'm01_plain', max_tokens => 8, overlap => 3);
SELECT count(*) FROM albert_chunks('');
SELECT count(*) FROM albert_chunks(E' \t\n');
SELECT count(*) FROM albert_chunks(NULL);
SELECT string_agg(content, ' ' ORDER BY chunk) = trim(:text) AS covers, max(albert_token_count(content)) <= 20 AS fit, count(*) > 10 AS many
FROM albert_chunks(:text, max_tokens => 20);
SELECT bool_and(start < last_stop) AS overlap, bool_and(content = substr(:text, start + 1, stop - start)) AS cut_out, max(albert_token_count(content)) <= 20 AS fit
FROM (SELECT *, lag(stop) OVER (ORDER BY chunk) AS last_stop FROM albert_chunks(:text, max_tokens => 20, overlap => 6)) x;
SELECT count(*) FROM albert_chunks(:text);
SELECT count(*) FROM albert_chunks(:text, max_tokens => 2147483647);

-- special tokens, digits and commas, letters that are dropped or become several
SELECT chunk, content, start, stop FROM albert_chunks('ab [MASK]1,000 x', max_tokens => 6);
SELECT chunk, content, start, stop FROM albert_chunks('ab [MASK]1,000 x', max_tokens => 4);
CREATE TEMP TABLE hard (id int, body text);
INSERT INTO hard VALUES (1, 'ab [MASK]1,000 x [SEP] [CLS]y 12,345,678.90 <pad>[MASK][MASK] z'), (2, U&'cafe\0301 na\00EFve \FB03ce A\030Angstro\0308m \200Bzero\200Bwidth\200B \00ADsoft'),
	(3, U&'\6771\4EAC\306F\65E5\672C\306E\9996\90FD\3067\3059 \3000\3000\AC00\AC01 \1F600\+01F600\+01F469\200D\+01F52C end'), (4, repeat('Donaudampfschifffahrtsgesellschaft', 9)),
	(5, U&'  \00A0 a  \2003b\2028c \0085 d  '), (6, repeat('1,', 60) || ' ' || repeat('[MASK]', 20)), (7, U&'a \FDFA b'), (8, U&'\0301\0301 x\0301\0301 y');
CREATE FUNCTION pg_temp.faults(body text, tokens int, overlap int, model text, split_by text DEFAULT 'token', prefix text DEFAULT '') RETURNS text AS $$
DECLARE
	c record;
	place int := 0;
	left_out text := '';
BEGIN
	FOR c IN SELECT * FROM albert_chunks(body, model, max_tokens => tokens, overlap => overlap, split_by => split_by, prefix => prefix) LOOP
		IF c.content <> substr(body, c.start + 1, c.stop - c.start) OR c.content = '' THEN RETURN 'not cut out'; END IF;
		IF albert_token_count(prefix || c.content, model) > tokens THEN RETURN 'too long'; END IF;
		IF overlap = 0 AND c.start < place THEN RETURN 'repeated'; END IF;
		left_out := left_out || substr(body, place + 1, greatest(c.start - place, 0));
		place := greatest(place, c.stop);
	END LOOP;
	left_out := left_out || substr(body, place + 1);
	-- a text without tokens has no chunks
	IF place = 0 AND albert_token_count(body, model, special_tokens => false) = 0 THEN RETURN NULL; END IF;
	IF left_out !~ U&'^[ \0009\000A\000B\000C\000D\00A0\1680\2003\2028\0085\3000]*$' THEN RETURN 'lost: ' || left_out; END IF;
	RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN CASE WHEN SQLERRM ~ '^max_tokens must be at least \d+ for this text' THEN NULL ELSE SQLERRM END;
END $$ LANGUAGE plpgsql;
SELECT id, model, tokens, overlap, fault
FROM hard, unnest('{m01_plain,r01_real30k,small,albert-mini,b01_bert,b03_bert_unigram}'::text[]) model, unnest('{3,4,5,6,7,9,12,20,40}'::int[]) tokens, unnest('{0,1,2}'::int[]) overlap,
	pg_temp.faults(body, tokens, overlap, model) fault
WHERE overlap <= (tokens - 2) / 2 AND fault IS NOT NULL
ORDER BY id, model COLLATE "C", tokens, overlap;

-- sentences: as many whole ones as fit, a longer one at words
SELECT chunk, content, start, stop FROM albert_chunks('One two. Three four! Five six? Seven.', max_tokens => 12, split_by => 'sentence');
SELECT content FROM albert_chunks('Short one. This is a sentence that is much longer than a chunk can be here. Short two. Short three.', 'albert-mini', max_tokens => 9, split_by => 'sentence');
SELECT content FROM albert_chunks('Dr. Smith met J. S. Bach. "Did he?" she asked. Yes! (He did.) It was 3.5 km. e.g. this one. The end', 'albert-mini', max_tokens => 10, split_by => 'sentence');
SELECT content FROM albert_chunks(U&'One two\3002Three four\FF01\300CFive\3002\300Dsix seven\FF1F', 'albert-mini', max_tokens => 8, split_by => 'sentence');
-- greedy: with one sentence more it would not fit, and no sentence is cut
SELECT bool_and(albert_token_count(substr(t.body, c.start + 1, n.first_stop - c.start)) > 30) AS full_up, bool_and(c.content ~ '[.!?]$') AS whole, count(*) > 5 AS many
FROM (SELECT string_agg('sentence number ' || i || repeat(' and so on', i * 7 % 5) || '.', ' Next ' ORDER BY i) AS body FROM generate_series(1, 40) i) t,
	LATERAL (SELECT *, lead(start) OVER (ORDER BY chunk) AS next FROM albert_chunks(t.body, max_tokens => 30, split_by => 'sentence')) c,
	LATERAL (SELECT c.next + strpos(substr(t.body, c.next + 1), '.') AS first_stop) n
WHERE c.next IS NOT NULL;
-- an overlap begins with a sentence where one fits
SELECT content FROM albert_chunks('One two. Three four. Five six. Seven eight.', 'albert-mini', max_tokens => 12, overlap => 4, split_by => 'sentence');

-- paragraphs, then sentences
\set paragraphs 'E''First one. Still first.\n\nSecond one.\nThe same.\r\n \r\nThird.\n\n\nA fourth that is longer than the others are. It has two sentences.'''
SELECT chunk, content FROM albert_chunks(:paragraphs, 'albert-mini', max_tokens => 14, split_by => 'paragraph');
SELECT chunk, content FROM albert_chunks(:paragraphs, 'albert-mini', max_tokens => 22, split_by => 'paragraph');

-- Markdown: sections; a heading stays with what follows; a block of code is whole where it fits, else cut at its lines
CREATE TEMP TABLE page AS SELECT $md$# Title

Some words. More words.

## Code

Before.
```sh
# not a heading
run one

run two. And more
```
After.

### Last
The end of it.
#hash is no heading
$md$::text AS body;
SELECT chunk, content FROM page, albert_chunks(body, 'albert-mini', max_tokens => 60, split_by => 'markdown');
SELECT chunk, content FROM page, albert_chunks(body, 'albert-mini', max_tokens => 36, split_by => 'markdown');
SELECT chunk, content FROM page, albert_chunks(body, 'albert-mini', max_tokens => 14, split_by => 'markdown');
SELECT chunk, content FROM albert_chunks(E'~~~\none. Two\n\n# three\n```\nfour', 'albert-mini', max_tokens => 12, split_by => 'markdown');
SELECT chunk, content FROM page, albert_chunks(body, 'albert-mini', max_tokens => 40, split_by => 'paragraph');

-- a prefix counts and is not part of the content
SELECT chunk, content, albert_token_count('the title: ' || content, 'albert-mini') <= 12 AS fits FROM albert_chunks('The capital of France is a city. It is large.', 'albert-mini', max_tokens => 12, prefix => 'the title: ');
SELECT albert_chunks('x', 'albert-mini', max_tokens => 6, prefix => 'the title: of it');
SELECT albert_chunks('x', 'albert-mini', max_tokens => 12, overlap => 4, prefix => 'the title: ');
SELECT albert_chunks('x', split_by => 'page');
SELECT count(*) FROM albert_chunks('x', split_by => NULL);

-- the same promises
INSERT INTO hard SELECT 9, body FROM page;
INSERT INTO hard VALUES (10, :paragraphs), (11, U&'\3042\3002\3044\FF01\300C\3046\3002\300D x. Y'), (12, repeat('a. ', 40) || repeat('B. C! ', 20)), (13, E'```\n```\n\n\n# \n#\n# x\n~~~~\n'), (14, repeat(')."', 60)),
	-- offsets of the reference are too small behind what it drops
	(15, U&'[MASK]\007F\007F! \000B\+01F469''\300D'), (16, U&'\FEFF\FEFF\200D'), (17, U&'a\1680\000Bb.\000C\007F\007FC! \200B\200B \000Dd\007F \007F.');
SELECT id, model, tokens, overlap, split_by, prefix, fault
FROM hard, unnest('{r01_real30k,albert-mini,small,b01_bert,b03_bert_unigram}'::text[]) model, unnest('{4,5,7,9,20,40}'::int[]) tokens, unnest('{0,2}'::int[]) overlap,
	unnest('{sentence,paragraph,markdown}'::text[]) split_by, unnest('{"",a b}'::text[]) prefix, pg_temp.faults(body, tokens, overlap, model, split_by, prefix) fault
WHERE overlap <= (tokens - 2 - CASE WHEN prefix = '' THEN 0 ELSE 2 END) / 2 AND tokens > 4 + length(prefix) AND fault IS NOT NULL
ORDER BY id, model COLLATE "C", tokens, overlap, split_by COLLATE "C", prefix COLLATE "C";

SELECT albert_chunks('x', max_tokens => 2);
SELECT albert_chunks(U&'a \FDFA b', max_tokens => 5);
SELECT albert_chunks('x', max_tokens => 10, overlap => 5);
SELECT albert_chunks('x', max_tokens => 10, overlap => -1);
SELECT albert_chunks('x', max_tokens => 10, overlap => 2147483647);
DROP TABLE hard;
RESET albert.model;
