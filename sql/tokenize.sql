-- The tokenizer's own functions.
SET albert.model = 'r01_real30k';
SELECT albert_tokenize('The capital of [MASK] is New Delhi, since 1911.');
SELECT albert_encode('The capital of [MASK] is New Delhi, since 1911.');
SELECT albert_encode('The capital', special_tokens => false) AS bare, albert_encode('The capital', pair => 'of France') AS pair,
       albert_encode('The capital', pair => '') = albert_encode('The capital') AS an_empty_pair_is_none;
SELECT albert_token_count('The capital') AS tokens, albert_token_count('The capital', special_tokens => false) AS bare,
       albert_token_count('The capital', pair => 'of France') AS pair, albert_token_count('') AS nothing;
SELECT "position", piece, token_id, start, stop, segment, special FROM albert_tokens('Café [MASK]', pair => 'déjà vu');
SELECT albert_decode(albert_encode('The capital of [MASK] is New Delhi.')) AS whole,
       albert_decode(albert_encode('The capital of [MASK] is New Delhi.'), skip_special_tokens => true) AS text;
SELECT albert_tokenize(NULL) IS NULL AND albert_encode(NULL) IS NULL AND albert_decode(NULL) IS NULL AS null_for_null,
       albert_tokenize('') AS nothing, albert_decode('{}') AS empty;
SELECT albert_decode(ARRAY[1000000]);
SELECT albert_decode(ARRAY[1, NULL]);

-- offsets are places in the text
SELECT bool_and(lower(substr('The capital of France', start + 1, stop - start)) = ltrim(piece, U&'\2581')) AS places
FROM albert_tokens('The capital of France') WHERE NOT special;

-- a spiece.model alone
SELECT albert_tokenize('``Cap[MASK]ital'''' 2010, 日本', 'small') AS spiece, albert_tokenize('the capital of france', 'small') AS words;

-- the default model has a tokenizer.json, as in transformers
SELECT albert_tokenize('Paris is the capital of [MASK].', 'albert-mini');

-- long texts, whatever they hold: an interrupt is seen while they are tokenized, and they can be
SET statement_timeout = '20ms';
SELECT albert_token_count(repeat(U&'\0301\0323', 4000000));
SELECT albert_token_count(repeat('1,', 4000000));
RESET statement_timeout;
SELECT albert_token_count(repeat('1,', 500000)) AS commas, albert_token_count(repeat(U&'\0301\0323', 500000)) AS marks,
       albert_token_count(repeat(U&'\FDFA', 100000)) AS phrases, albert_token_count(repeat('[MASK]', 100000)) AS masks,
       albert_token_count(repeat('a', 1000000)) > 1000 AS word;
RESET albert.model;
