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
CREATE FUNCTION pg_temp.faults(body text, tokens int, overlap int, model text) RETURNS text AS $$
DECLARE
	c record;
	place int := 0;
	left_out text := '';
BEGIN
	FOR c IN SELECT * FROM albert_chunks(body, model, max_tokens => tokens, overlap => overlap) LOOP
		IF c.content <> substr(body, c.start + 1, c.stop - c.start) OR c.content = '' THEN RETURN 'not cut out'; END IF;
		IF albert_token_count(c.content, model) > tokens THEN RETURN 'too long'; END IF;
		IF overlap = 0 AND c.start < place THEN RETURN 'repeated'; END IF;
		left_out := left_out || substr(body, place + 1, greatest(c.start - place, 0));
		place := greatest(place, c.stop);
	END LOOP;
	left_out := left_out || substr(body, place + 1);
	IF left_out !~ U&'^[ \00A0\2003\2028\0085\3000]*$' THEN RETURN 'lost: ' || left_out; END IF;
	RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN CASE WHEN SQLERRM ~ '^max_tokens must be at least \d+ for this text' THEN NULL ELSE SQLERRM END;
END $$ LANGUAGE plpgsql;
SELECT id, model, tokens, overlap, fault
FROM hard, unnest('{m01_plain,r01_real30k,small,albert-mini}'::text[]) model, unnest('{3,4,5,6,7,9,12,20,40}'::int[]) tokens, unnest('{0,1,2}'::int[]) overlap,
	pg_temp.faults(body, tokens, overlap, model) fault
WHERE overlap <= (tokens - 2) / 2 AND fault IS NOT NULL
ORDER BY id, model COLLATE "C", tokens, overlap;

SELECT albert_chunks('x', max_tokens => 2);
SELECT albert_chunks(U&'a \FDFA b', max_tokens => 5);
SELECT albert_chunks('x', max_tokens => 10, overlap => 5);
SELECT albert_chunks('x', max_tokens => 10, overlap => -1);
SELECT albert_chunks('x', max_tokens => 10, overlap => 2147483647);
DROP TABLE hard;
RESET albert.model;
