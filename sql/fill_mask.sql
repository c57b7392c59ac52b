-- Fill-mask: the best tokens, ranked candidates, targets, long texts. What
-- the models of the reference answer is in test/t/100_reference.pl.
SET albert.model = 'small';

SELECT albert_fill_mask('the [MASK] of [MASK]') = albert_fill_mask('the [MASK] of [MASK]', 'small') AS by_position,
       albert_fill_mask('the [MASK] of [MASK]') = albert_fill_mask('the [MASK] of [MASK]', model => 'small') AS by_name,
       albert_fill_mask(NULL) IS NULL AS null_text, albert_fill_mask('the [MASK]', NULL) IS NULL AS null_model;
SELECT albert_fill_mask('The capital of [MASK] is Delhi.', 'albert-mini');

-- candidates
SELECT mask, rank, token, token_id, round(score::numeric, 4) AS score, sequence
FROM albert_fill_mask_candidates('Paris is the [MASK] of [MASK].', 'albert-mini', top_k => 2);
SELECT * FROM albert_fill_mask_candidates('the [MASK]') EXCEPT SELECT * FROM albert_fill_mask_candidates('the [MASK]', 'small', top_k => 5);
SELECT * FROM albert_fill_mask_candidates(NULL);
SELECT count(*) AS vocabulary, round(sum(score)::numeric, 4) AS sum, min(rank), max(rank),
       bool_and(score <= last) AS ranked
FROM (SELECT rank, score, lag(score, 1, 1.0) OVER (ORDER BY rank) AS last
      FROM albert_fill_mask_candidates('the [MASK]', top_k => 2147483647)) x;
SELECT mask, count(*), array_agg(rank ORDER BY rank) FROM albert_fill_mask_candidates('[MASK] of [MASK]', top_k => 3) GROUP BY mask ORDER BY mask;

-- targets: their scores stay those among all tokens
SELECT token FROM albert_fill_mask_candidates('the [MASK]', targets => ARRAY[U&'\2581city', 'france']) ORDER BY token;
SELECT (SELECT score FROM albert_fill_mask_candidates('the [MASK]', targets => ARRAY['france']))
     = (SELECT score FROM albert_fill_mask_candidates('the [MASK]', top_k => 1000) WHERE token = 'france') AS same;
SELECT rank, token FROM albert_fill_mask_candidates('A violin is a [MASK].', 'albert-mini', targets => ARRAY['building', 'instrument', 'building', 'instrumentation']);
SET client_min_messages = error;
SELECT count(*) AS of_20000 FROM albert_fill_mask_candidates('the [MASK]', top_k => 100, targets => (SELECT array_agg('france' || i % 50) FROM generate_series(1, 20000) i));
RESET client_min_messages;

-- texts that are longer than the model's 512 tokens
\set long 'repeat(''the capital of france '', 300)'
SELECT albert_fill_mask(:long || '[MASK]');
SELECT albert_fill_mask(:long || '[MASK]', 'small', overflow => 'error');
SELECT albert_fill_mask('[MASK] ' || :long, 'small') = albert_fill_mask('[MASK] ' || :long) AS cut;
SELECT albert_fill_mask(:long || '[MASK]', 'small', overflow => 'window') <> '' AS filled;
SET albert.overflow = 'window';
SELECT albert_fill_mask(:long || '[MASK]') = albert_fill_mask(:long || '[MASK]', 'small', overflow => 'window') AS same;
-- every mask is filled once, wherever windows meet
SELECT count(*), count(DISTINCT mask), max(mask) FROM albert_fill_mask_candidates(repeat('[MASK] city ', 1000), top_k => 1);
RESET albert.overflow;

-- no mask, and what else is wrong
SELECT albert_fill_mask('none');
SELECT albert_fill_mask('the [MASK]', 'classifier');
SELECT albert_fill_mask_candidates('[MASK]', top_k => 0);
SELECT albert_fill_mask_candidates('[MASK]', targets => '{""}');
SELECT albert_fill_mask_candidates('[MASK]', targets => '{city,NULL}');
SELECT albert_fill_mask_candidates('[MASK]', targets => '{{city},{france}}');
