-- Answers out of a context.
SET albert.model = 'answers';
\set context '''the capital of france is a very old city on the river'''
SELECT albert_answer('which city', :context), albert_answer('which city', :context, 'answers') AS by_position, albert_answer('which city', :context, model => 'answers') AS by_name,
       albert_answer(NULL, 'b') IS NULL AS null_question, albert_answer('a', '') IS NULL AS empty_context;
SELECT rank, answer, round(score::numeric, 4) AS score, start, stop, answer = substr(:context, start + 1, stop - start) AS cut_out FROM albert_answers('which city', :context, top_k => 4);
SELECT albert_answer('which city', :context) = (SELECT answer FROM albert_answers('which city', :context)) AS best_is_first;
SELECT rank, answer, stop - start AS length FROM albert_answers('which city', :context, top_k => 3, max_answer_len => 2, align_to_words => false);
SELECT count(*) FROM albert_answers('which city', '');
SELECT count(*), count(*) FILTER (WHERE answer = '') AS none FROM albert_answers('which city', :context, top_k => 1000, handle_impossible => true);
PREPARE answers AS SELECT albert_answer($1, $2, $3);
EXECUTE answers('which city', 'the capital of france', 'answers');

-- long contexts are read in windows; equal answers but for case are one
SELECT rank, lower(answer) = answer AS lower, stop < 8000 AS inside FROM albert_answers('which city', repeat('The capital of France is a very old city ', 200), top_k => 3);
SELECT count(*), count(DISTINCT lower(answer)) FROM albert_answers('which', repeat('the capital of FRANCE ', 200) || repeat('THE CAPITAL of france ', 200), top_k => 10000);

-- the largest values of all options
SELECT count(*) > 500 AS many, count(*) = count(DISTINCT lower(answer)) AS different, bool_and(score <= last) AS ranked
FROM (SELECT answer, score, lag(score, 1, 1000::real) OVER (ORDER BY rank) AS last
      FROM albert_answers('which', repeat('the capital of france ', 60), top_k => 10000, max_answer_len => 2147483647, max_seq_len => 2147483647)) x;
SELECT count(*) FROM albert_answers('which', repeat('the capital of france ', 20), top_k => 10000, max_answer_len => 512, max_seq_len => 20, doc_stride => 15);
SELECT albert_answer('which', repeat('the capital of france ', 20000), doc_stride => 379);
SELECT albert_answers('which', 'the capital', top_k => 10001);
SELECT albert_answers('which', 'the capital', top_k => 0);
SELECT albert_answer('which', 'the capital', max_answer_len => 0);
SELECT albert_answer('which', 'the capital', max_seq_len => 7);
SELECT albert_answer('which', 'the capital', max_seq_len => 20, doc_stride => 50);
SELECT albert_answer('which', 'the capital', doc_stride => 2147483647);
SELECT albert_answer(repeat('which city ', 400), 'context');
SELECT albert_answer('which', 'the capital', 'small');
RESET albert.model;
