-- Training a model on rows, and how well it does.
CREATE TABLE tickets (id serial PRIMARY KEY, body text, queue text, urgent boolean, hours float8, topics text[]);
INSERT INTO tickets (body, queue, urgent, hours, topics)
SELECT format(pattern, thing), queue, queue = 'network', hours + length(thing) / 10.0, ARRAY[queue, CASE WHEN thing < 'm' THEN 'early' END]
FROM (VALUES ('billing', 'The invoice for the %s shows the wrong price.', 2),
             ('billing', 'Please refund my payment for the %s.', 3),
             ('network', 'The wireless connection of the %s is down again.', 8),
             ('network', 'No signal reaches the %s since the cable broke.', 9),
             ('garden', 'The trees and flowers near the %s need water.', 20),
             ('garden', 'Birds and insects live in the grass behind the %s.', 21)) p (queue, pattern, hours),
     unnest(ARRAY['house', 'school', 'office', 'station', 'hotel', 'tower', 'market', 'library', 'factory', 'church']) thing;

-- three classes
CREATE TABLE report AS SELECT * FROM albert_train('queue', 'SELECT body, queue FROM tickets', base => 'albert-mini');
SELECT metric, class, predicted, value FROM report WHERE fold IS NULL AND metric IN ('rows', 'texts', 'skipped') ORDER BY metric, class;
SELECT count(*) AS folds FROM report WHERE metric = 'accuracy' AND fold IS NOT NULL;
SELECT value > 0.8 AS accurate, low < value AND value <= high AS bounded, low > 0.6 AS sure FROM report WHERE metric = 'accuracy' AND fold IS NULL;
SELECT sum(value) FROM report WHERE metric = 'confusion';
SELECT bool_and(value BETWEEN 0 AND 1) FROM report WHERE metric IN ('precision', 'recall', 'f1', 'macro_f1');
SELECT albert_classify('Send the bill again, the price is wrong.', 'queue');
SELECT label FROM albert_classify_scores('The flowers in the garden need water.', 'queue', top_k => 1);
SELECT round(sum(score)::numeric, 5) AS sum, count(*) FROM albert_classify_scores('anything', 'queue');
SELECT count(*) > 55 AS right FROM tickets WHERE albert_classify(body, 'queue') = queue;
SELECT albert_classify('text', 'other text', 'queue');
SELECT albert_zero_shot('text', '{a,b}', 'queue');
SELECT heads @> '{classification}' AS classifies, architecture, state FROM albert_models WHERE name = 'queue';
SELECT q.layers = m.layers AND q.hidden_size = m.hidden_size AND q.parameters = m.parameters AND q.precision = m.precision AS as_its_base, q.shared_bytes
FROM albert_models q, albert_models m WHERE q.name = 'queue' AND m.name = 'albert-mini';
SELECT origin, description ? 'base_sha256' AS pinned, description->>'base' AS base, file_bytes < 10000 AS small FROM albert_models WHERE name = 'queue';
SELECT albert_token_count('a text', 'queue') = albert_token_count('a text', 'albert-mini') AS same_tokenizer;

-- batching and long work are as with any model
ALTER TABLE tickets ADD guessed text GENERATED ALWAYS AS (albert_classify(body, 'queue')) STORED;
SELECT count(*) > 55 AS right FROM tickets WHERE guessed = queue;
ALTER TABLE tickets ADD filled text;
CALL albert_embed_table('tickets', 'body', 'filled', 'queue', task => 'classify');
SELECT count(*) FROM tickets WHERE filled IS DISTINCT FROM guessed;

-- the same rows give the same model, whatever their order
SELECT count(*) > 10 AS trained FROM albert_train('again', 'SELECT body, queue FROM tickets ORDER BY random()', base => 'albert-mini');
SELECT count(DISTINCT sha256) FROM albert_models WHERE name IN ('queue', 'again');
SELECT count(*) FROM (SELECT fold, metric, class, predicted, value FROM report EXCEPT
                      SELECT fold, metric, class, predicted, value FROM albert_train('again', 'SELECT body, queue FROM tickets ORDER BY id DESC', base => 'albert-mini')) x;

-- labelled rows that it has not seen, one with a label that it does not know
SELECT metric, class, predicted, value FROM albert_evaluate('queue',
  $$VALUES ('The price on the invoice is wrong.', 'billing'), ('Water the trees and the grass.', 'garden'), ('The cable is broken, no signal.', 'travel'), (NULL, 'garden')$$)
WHERE metric IN ('rows', 'skipped', 'accuracy', 'confusion') ORDER BY metric, class, predicted, value;

-- the metrics of each class are those of the confusion, also where nothing is of a class, or predicted to be
CREATE TABLE judged AS SELECT * FROM albert_evaluate('queue',
  $$VALUES ('The price on the invoice is wrong.', 'billing'), ('Water the trees and the grass.', 'garden'), ('The cable is broken, no signal.', 'travel'), ('Water the flowers.', 'billing')$$);
SELECT m.metric, count(*), bool_and(m.value IS NOT DISTINCT FROM
         CASE m.metric WHEN 'rows' THEN c.rows WHEN 'precision' THEN c.hits / nullif(c.predicted, 0) WHEN 'recall' THEN c.hits / nullif(c.rows, 0)
                       ELSE coalesce(2 * c.hits / nullif(c.rows + c.predicted, 0), 0) END) AS as_counted
FROM judged m, LATERAL (SELECT coalesce(sum(value) FILTER (WHERE j.class = m.class AND j.predicted = m.class), 0) AS hits,
                               coalesce(sum(value) FILTER (WHERE j.class = m.class), 0) AS rows,
                               coalesce(sum(value) FILTER (WHERE j.predicted = m.class), 0) AS predicted
                        FROM judged j WHERE j.metric = 'confusion') c
WHERE m.metric IN ('precision', 'recall', 'f1', 'rows') AND m.class IS NOT NULL GROUP BY m.metric ORDER BY m.metric;
DROP TABLE judged;

-- another set of rows under the same name; who keeps results of the old one is told
SELECT count(*) > 10 AS trained FROM albert_train('queue', $$SELECT body, CASE queue WHEN 'garden' THEN 'outside' ELSE 'inside' END FROM tickets$$, base => 'albert-mini');
SELECT albert_classify('The flowers in the garden need water.', 'queue');
SELECT value FROM albert_evaluate('queue', $$SELECT body, CASE queue WHEN 'garden' THEN 'outside' ELSE 'inside' END FROM tickets$$) WHERE metric = 'rows' AND class IS NULL;

-- trained models of one base are several, also in one statement, and in one transaction that trains one anew
SELECT albert_classify('The flowers in the garden need water.', 'queue'), albert_classify('The flowers in the garden need water.', 'again');
SELECT count(*) FROM tickets WHERE albert_classify(body, 'queue') = albert_classify(body, 'again');
BEGIN;
SELECT albert_classify('The flowers in the garden need water.', 'again');
SELECT count(*) > 10 AS trained FROM albert_train('again', 'SELECT body, upper(queue) FROM tickets', base => 'albert-mini');
SELECT albert_classify('The flowers in the garden need water.', 'again');
ROLLBACK;
SELECT albert_classify('The flowers in the garden need water.', 'again');

-- somebody unloads the base meanwhile, which takes nothing from who has begun with it
SELECT count(*) > 10 AS trained FROM albert_train('again', $$SELECT body, queue FROM tickets WHERE albert_unload('small') IS NOT NULL$$, base => 'small');
SELECT albert_classify('The flowers in the garden need water.', 'again') IS NOT NULL AS works;

-- two classes of another type, sets, numbers, weights
SELECT value > 0.8 AS accurate FROM albert_train('urgent', 'SELECT body, urgent FROM tickets', base => 'albert-mini', balanced => true, folds => 3) WHERE metric = 'accuracy' AND fold IS NULL;
SELECT label FROM albert_classify_scores('No signal, the cable is broken.', 'urgent', top_k => 1);
SELECT metric, value > 0.5 AS good FROM albert_train('topics', 'SELECT body, topics FROM tickets', base => 'albert-mini') WHERE metric = 'macro_f1' AND fold IS NULL;
SELECT 'network' = ANY (albert_labels('The wireless connection is down again.', 'topics')) AS has;
SELECT metric, value > 0.5 AS good FROM albert_train('hours', 'SELECT body, hours FROM tickets', base => 'albert-mini', strength => 100) WHERE metric = 'r2' AND fold IS NULL;
SELECT score BETWEEN 10 AND 30 AS plausible FROM albert_classify_scores('The trees and flowers need water.', 'hours');
SELECT value < 10 AS near FROM albert_evaluate('hours', 'SELECT body, hours FROM tickets') WHERE metric = 'rmse';
SELECT value FROM albert_train('weighted', $$SELECT body, queue, CASE queue WHEN 'garden' THEN 0 ELSE 1.5 END AS weight FROM tickets$$, base => 'albert-mini') WHERE metric = 'texts';

-- pairs: whatever the two texts have to do with each other
CREATE TABLE pairs AS
SELECT a.body, b.body AS other, a.queue = b.queue AS same
FROM tickets a JOIN tickets b ON (a.id * 7 + b.id) % 30 = 0 OR (a.queue = b.queue AND (a.id * 5 + b.id) % 20 = 0);
SELECT value > 0.7 AS accurate FROM albert_train('same', 'SELECT body, same, other AS pair FROM pairs', base => 'albert-mini', strength => 10) WHERE metric = 'accuracy' AND fold IS NULL;
SELECT count(*) FILTER (WHERE albert_classify(body, other, 'same') = left(same::text, 1)) > 0.8 * count(*) AS learnt FROM pairs;
SELECT value > 0.8 AS accurate FROM albert_evaluate('same', 'SELECT body, same, other AS pair FROM pairs') WHERE metric = 'accuracy' AND class IS NULL;
SELECT count(*) FROM pairs WHERE albert_classify(body, other, 'same') IS DISTINCT FROM (SELECT label FROM albert_classify_scores(body, other, model => 'same') LIMIT 1);
SELECT value < 1 AS near FROM albert_train('closeness', 'SELECT body, same::int::float8, other AS pair FROM pairs', base => 'albert-mini') WHERE metric = 'rmse' AND fold IS NULL;
SELECT albert_score(body, other, 'closeness') = (SELECT score FROM albert_classify_scores(body, other, model => 'closeness')) AS a_number FROM pairs LIMIT 1;
SELECT albert_classify('text', 'same');
SELECT * FROM albert_evaluate('same', 'SELECT body, same FROM pairs');
SELECT * FROM albert_train('none', 'SELECT body, same, same AS pair FROM pairs');

-- a classifier of pairs that was not trained here
SELECT class, predicted, value FROM albert_evaluate('nli', $$SELECT a, albert_classify(a, b, 'nli'), b AS pair
  FROM (VALUES ('A man sleeps.', 'A person rests.'), ('The dog runs.', 'A cat sits.'), ('It rains.', 'The sun shines all day.')) v (a, b)$$)
WHERE metric = 'confusion' AND class <> predicted;

-- rows that are kept back: the figures are of them, and none of their texts is learnt from
CREATE TABLE split_report AS
SELECT * FROM albert_train('kept', $$SELECT body, queue, CASE WHEN id % 10 = 0 THEN 'test' WHEN id % 10 = 1 THEN NULL ELSE 'train' END AS split FROM tickets
                                     UNION ALL SELECT body, queue, 'validation' FROM tickets WHERE id % 10 = 2$$, base => 'albert-mini');
SELECT metric, value FROM split_report WHERE metric IN ('rows', 'tested', 'texts', 'skipped') AND class IS NULL ORDER BY metric;
SELECT sum(value) FROM split_report WHERE metric = 'confusion';
SELECT count(*) > 10 AS trained FROM albert_train('kept_too', 'SELECT body, queue FROM tickets WHERE id % 10 > 1', base => 'albert-mini');
SELECT count(*), count(DISTINCT sha256) FROM albert_models WHERE name IN ('kept', 'kept_too');
SELECT metric, class, predicted, value FROM split_report WHERE fold IS NULL AND metric IN ('accuracy', 'macro_f1', 'confusion', 'f1', 'recall')
EXCEPT SELECT metric, class, predicted, value FROM albert_evaluate('kept', 'SELECT body, queue FROM tickets WHERE id % 10 = 0');
SELECT * FROM albert_train('none', $$SELECT body, queue, 'other' AS split FROM tickets$$);
SELECT * FROM albert_train('none', $$SELECT body, queue, 'test' AS split FROM tickets$$);
SELECT * FROM albert_train('none', $$SELECT body, queue, CASE queue WHEN 'garden' THEN 'test' ELSE 'train' END AS split FROM tickets$$);
SELECT * FROM albert_evaluate('kept', $$SELECT body, queue, 'test' AS split FROM tickets$$);

-- what nothing can be learnt from
SELECT * FROM albert_train('none', 'SELECT body, queue FROM tickets WHERE id < 0');
SELECT * FROM albert_train('none', 'SELECT body, NULL::text FROM tickets');
SELECT * FROM albert_train('none', $$SELECT body, 'one' FROM tickets$$);
SELECT * FROM albert_train('none', $$SELECT body, CASE id WHEN 1 THEN 'rare' ELSE 'common' END FROM tickets$$);
SELECT * FROM albert_train('none', $$SELECT 'same', queue FROM tickets$$);
SELECT * FROM albert_train('none', 'SELECT id, queue FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, queue, id FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, queue, -1 AS weight FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, queue, 0 AS weight FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, queue, ''NaN''::real AS weight FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, ''NaN''::real FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, hours * 1e300 FROM tickets');
SELECT * FROM albert_train('none', 'SELECT body, hours / 0 FROM tickets');
SELECT * FROM albert_train('none', 'DELETE FROM tickets RETURNING body, queue');
SELECT * FROM albert_train('none', 'SELECT 1; SELECT 2');
SELECT * FROM albert_train('none', 'SELECT body, id || body FROM tickets, generate_series(1, 20) i', folds => 1);
SELECT * FROM albert_train('none', 'SELECT body, queue FROM tickets', strength => -1);
SELECT * FROM albert_train('none', 'SELECT body, queue FROM tickets', base => 'queue');
SELECT * FROM albert_train('albert-mini', 'SELECT body, queue FROM tickets', base => 'albert-mini');
SELECT * FROM albert_train('no name', 'SELECT body, queue FROM tickets');
SELECT * FROM albert_train(NULL, 'SELECT body, queue FROM tickets');
SELECT * FROM albert_evaluate('queue', 'SELECT body, hours FROM tickets');
SELECT * FROM albert_evaluate('albert-mini', 'SELECT body, queue FROM tickets');
SELECT count(*) FROM albert_models WHERE name = 'none' OR name LIKE 'new.%';
-- many labels of each of many rows: a cancel is seen all the same
SET statement_timeout = '2s';
DO $do$
DECLARE
	started timestamptz := clock_timestamp();
BEGIN
	PERFORM albert_train('none', $$SELECT 'text ' || i, names FROM generate_series(1, 2500) i,
		(SELECT array_agg('label ' || j) AS names FROM generate_series(1, 1000) j) AS labels$$, base => 'small');
EXCEPTION WHEN query_canceled THEN
	RAISE NOTICE 'cancelled in time: %', clock_timestamp() - started < '20s';
END
$do$;
RESET statement_timeout;

-- a base that is another one now
SELECT count(*) > 10 AS trained FROM albert_train('on_copy', 'SELECT body, queue FROM tickets', base => 'small');
CALL albert_create_model('small', directory => 'm01_plain');
SELECT albert_classify('text', 'on_copy');
SELECT state, error FROM albert_models WHERE name = 'on_copy';
SELECT albert_drop_model('small');
SELECT albert_classify('text', 'on_copy') IS NOT NULL AS works_again;
SELECT state, error FROM albert_models WHERE name = 'on_copy';

-- a base that is no more
CALL albert_create_model('my_base', directory => 'small');
SELECT count(*) > 10 AS trained FROM albert_train('on_mine', 'SELECT body, queue FROM tickets', base => 'my_base');
SELECT albert_classify('text', 'on_mine') IS NOT NULL AS works;
SELECT albert_drop_model('my_base');
-- of the same files, but used otherwise
CALL albert_create_model('my_base', directory => 'small', pooling => 'max');
SELECT albert_classify('text', 'on_mine');
SELECT albert_drop_model('my_base');
\set VERBOSITY terse
SELECT albert_classify('text', 'on_mine');
\set VERBOSITY default
SELECT state, error FROM albert_models WHERE name = 'on_mine';

-- cancelled, it leaves nothing
SET statement_timeout = '300ms';
SELECT count(*) FROM albert_train('none', $$SELECT md5(i::text) || ' ' || md5((i * 7)::text), i % 3 FROM generate_series(1, 50000) i$$, base => 'albert-mini');
RESET statement_timeout;
SELECT count(*) FROM albert_models WHERE name = 'none' OR name LIKE 'new.%';

-- whose it is
CREATE ROLE albert_trainer;
GRANT SELECT ON tickets TO albert_trainer;
SET ROLE albert_trainer;
SELECT albert_classify('text', 'queue');
SELECT * FROM albert_train('queue', 'SELECT body, queue FROM tickets');
SELECT * FROM albert_train('own', 'SELECT body, queue FROM tickets');
RESET ROLE;
SELECT albert_grant('queue', 'albert_trainer');
SET ROLE albert_trainer;
SELECT albert_classify('The flowers in the garden need water.', 'queue');
RESET ROLE;
DROP OWNED BY albert_trainer;
DROP ROLE albert_trainer;

DROP TABLE report, split_report, pairs, tickets;
SELECT albert_drop_model(name) IS NOT NULL FROM unnest('{queue,again,urgent,topics,hours,weighted,on_copy,on_mine,same,closeness,kept,kept_too}'::text[]) name;
