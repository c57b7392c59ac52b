/*
 * test_formats_modules.c
 *	  Directories of sentence-transformers: pooling, Dense modules,
 *	  normalisation, lengths and prompts, and what is refused of them.
 */
#include "formats_case.h"

#define MODULE(name, path, type) \
	"{\"idx\": 0, \"name\": \"" name "\", \"path\": \"" path "\", \"type\": \"sentence_transformers.models." type "\"}"
#define TRANSFORMER	MODULE("0", "", "Transformer")
#define POOLING		MODULE("1", "1_Pooling", "Pooling")
#define DENSE		MODULE("2", "2_Dense", "Dense")
#define NORMALIZE	MODULE("3", "3_Normalize", "Normalize")

static void
begin_modules(Case *c, const char *name, const char *modules, const char *pooling)
{
	begin_case(c, name);
	write_text(c->directory, "modules.json", modules);
	mkdir(text("%s/1_Pooling", c->directory), 0700);
	mkdir(text("%s/2_Dense", c->directory), 0700);
	if (pooling != NULL)
		write_text(c->directory, "1_Pooling/config.json", pooling);
}

static void
add_dense(Case *c, const char *path, const char *config, int out, int in, bool bias)
{
	Stored		tensors[2] = {{"linear.weight", "F32", out, in, 70}, {"linear.bias", "F32", 0, out, 71}};

	write_text(c->directory, text("%s/config.json", path), config);
	write_tensors(text("%s/%s", c->directory, path), "model.safetensors", tensors, bias ? 2 : 1);
}

/* ---- pooling ---- */

static void
check_pooling(const char *name, const char *config, uint32_t pooling)
{
	Case		c;
	Loaded		l;

	begin_modules(&c, name, "[" TRANSFORMER "," POOLING "]", config);
	if (pooling == 0)
	{
		refuse(&c, strstr(name, "unsupported") != NULL ? ALBERT_UNSUPPORTED : ALBERT_FORMAT, "1_Pooling/config.json");
		return;
	}
	if (accept(&c, &l))
		CHECK(l.model.config->pooling == pooling && l.config.pooling == pooling && !l.model.config->normalize &&
			  l.model.config->max_seq_length == 0, "%s: pooling %x", name, l.model.config->pooling);
	end_case(&c, &l);
}

static void
test_pooling(void)
{
	check_pooling("pooling_default", "{\"word_embedding_dimension\": 12}", ALBERT_POOL_MEAN);
	check_pooling("pooling_cls", "{\"word_embedding_dimension\": 12, \"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}", ALBERT_POOL_CLS);
	check_pooling("pooling_all", "{\"pooling_mode_cls_token\": true, \"pooling_mode_max_tokens\": true, \"pooling_mode_mean_tokens\": true, \"pooling_mode_mean_sqrt_len_tokens\": true}",
				  ALBERT_POOL_CLS | ALBERT_POOL_MAX | ALBERT_POOL_MEAN | ALBERT_POOL_MEAN_SQRT_LEN);
	check_pooling("pooling_mode", "{\"embedding_dimension\": 12, \"pooling_mode\": \"cls\"}", ALBERT_POOL_CLS);
	check_pooling("pooling_modes", "{\"pooling_mode\": [\"mean\", \"max\"]}", ALBERT_POOL_MEAN | ALBERT_POOL_MAX);
	check_pooling("pooling_none", "{\"pooling_mode_mean_tokens\": false}", 0);
	check_pooling("pooling_width", "{\"word_embedding_dimension\": 768}", 0);
	check_pooling("pooling_number", "{\"pooling_mode_mean_tokens\": 1}", 0);
	check_pooling("pooling_list", "[]", 0);
	check_pooling("pooling_unsupported_weighted", "{\"pooling_mode_weightedmean_tokens\": true}", 0);
	check_pooling("pooling_unsupported_last", "{\"pooling_mode_lasttoken\": true}", 0);
	check_pooling("pooling_unsupported_mode", "{\"pooling_mode\": \"lasttoken\"}", 0);
}

/* ---- a cross-encoder's function of its score ---- */

#define IDENTITY	"\"torch.nn.modules.linear.Identity\""
#define SIGMOID		"\"torch.nn.modules.activation.Sigmoid\""

/* key and value of config.json, and of the file beside it; NULL: there is none */
static void
check_score_function(const char *name, const char *key, const char *value, const char *own, int function)
{
	Case		c;
	Loaded		l;

	begin_modules(&c, name, "[" TRANSFORMER "]", NULL);
	if (key != NULL)
		set_config(&c, key, json_loads(value, JSON_DECODE_ANY, NULL));
	if (own != NULL)
		write_text(c.directory, "config_sentence_transformers.json", text("{\"activation_fn\": %s}", own));
	if (function < 0)
	{
		refuse(&c, ALBERT_UNSUPPORTED, value);
		return;
	}
	if (accept(&c, &l))
		CHECK(l.model.config->score_function == function, "%s: %d", name, l.model.config->score_function);
	end_case(&c, &l);
}

static void
test_score_function(void)
{
	static const char old[] = "sbert_ce_default_activation_function";
	static const char key[] = "sentence_transformers";

	check_score_function("score_unset", NULL, NULL, NULL, ALBERT_SCORE_UNSET);
	check_score_function("score_old", old, IDENTITY, NULL, ALBERT_SCORE_IDENTITY);
	check_score_function("score_old_sigmoid", old, SIGMOID, NULL, ALBERT_SCORE_SIGMOID);
	check_score_function("score_old_null", old, "null", NULL, ALBERT_SCORE_UNSET);
	check_score_function("score_key", key, "{\"version\": \"4.0.1\", \"activation_fn\": " IDENTITY "}", NULL, ALBERT_SCORE_IDENTITY);
	check_score_function("score_version_alone", key, "{\"version\": \"4.0.1\"}", NULL, ALBERT_SCORE_UNSET);
	check_score_function("score_own", NULL, NULL, IDENTITY, ALBERT_SCORE_IDENTITY);
	check_score_function("score_own_first", key, "{\"activation_fn\": " SIGMOID "}", IDENTITY, ALBERT_SCORE_IDENTITY);
	check_score_function("score_own_null", old, IDENTITY, "null", ALBERT_SCORE_IDENTITY);
	check_score_function("score_tanh", old, "\"torch.nn.modules.activation.Tanh\"", NULL, -1);
	check_score_function("score_foreign", old, "\"mine.Sigmoid\"", NULL, -1);
	check_score_function("score_number", old, "7", NULL, -1);
}

/* ---- the chain ---- */

static void
refuse_chain(const char *name, const char *modules, AlbertCode code, const char *message)
{
	Case		c;

	begin_modules(&c, name, modules, "{}");
	add_dense(&c, "2_Dense", "{\"in_features\": 12, \"out_features\": 5}", 5, 12, true);
	refuse(&c, code, message);
}

static void
test_chain(void)
{
	Case		c;
	Loaded		l;

	begin_modules(&c, "chain", "[" TRANSFORMER "," POOLING "," MODULE("d", "", "Dropout") "," DENSE "," NORMALIZE "]",
				  "{\"pooling_mode_max_tokens\": true}");
	add_dense(&c, "2_Dense", "{\"in_features\": 24, \"out_features\": 5, \"bias\": true, \"activation_function\": \"torch.nn.modules.activation.Tanh\"}", 5, 24, true);
	write_text(c.directory, "sentence_bert_config.json", "{\"max_seq_length\": 20, \"do_lower_case\": false}");
	if (accept(&c, &l))
	{
		float	   *matrix;

		CHECK(l.model.config->normalize && l.model.config->ndense == 1 && l.model.config->max_seq_length == 20, "chain");
		CHECK(l.model.config->dense[0].activation == ALBERT_ACT_TANH && l.model.dense[0].in == 24 &&
			  l.model.dense[0].out == 5, "shape of the Dense module");
		matrix = unpack_linear(&l.model, &l.model.dense[0]);
		CHECK(matrix[3 * 24 + 7] == value_of(70, 3 * 24 + 7) && l.model.dense[0].bias[4] == value_of(71, 4),
			  "values of the Dense module");
		free(matrix);
	}
	end_case(&c, &l);

	begin_modules(&c, "no_bias", "[" TRANSFORMER "," POOLING "," DENSE "]", "{}");
	add_dense(&c, "2_Dense", "{\"in_features\": 12, \"out_features\": 7, \"bias\": false, \"activation_function\": \"torch.nn.modules.linear.Identity\"}", 7, 12, false);
	if (accept(&c, &l))
		CHECK(l.model.config->ndense == 1 && l.model.dense[0].bias == NULL &&
			  l.model.config->dense[0].activation == ALBERT_ACT_NONE && !l.model.config->normalize, "no bias");
	end_case(&c, &l);

	begin_modules(&c, "two_dense", "[" TRANSFORMER "," POOLING "," DENSE "," MODULE("x", "3_Dense", "Dense") "]", "{}");
	mkdir(text("%s/3_Dense", c.directory), 0700);
	add_dense(&c, "2_Dense", "{\"in_features\": 12, \"out_features\": 7}", 7, 12, true);
	add_dense(&c, "3_Dense", "{\"in_features\": 7, \"out_features\": 3, \"activation_function\": \"torch.nn.modules.activation.ReLU\"}", 3, 7, true);
	if (accept(&c, &l))
		CHECK(l.model.config->ndense == 2 && l.model.dense[1].out == 3 && l.model.config->dense[1].activation == ALBERT_ACT_RELU,
			  "two Dense modules");
	end_case(&c, &l);

	refuse_chain("lstm", "[" TRANSFORMER "," MODULE("1", "1_LSTM", "LSTM") "]", ALBERT_UNSUPPORTED, "\"LSTM\"");
	refuse_chain("normalize_first", "[" TRANSFORMER "," POOLING "," NORMALIZE "," DENSE "]", ALBERT_UNSUPPORTED, "\"Dense\"");
	refuse_chain("dense_first", "[" TRANSFORMER "," DENSE "," POOLING "]", ALBERT_UNSUPPORTED, "\"Dense\"");
	refuse_chain("two_poolings", "[" TRANSFORMER "," POOLING "," POOLING "]", ALBERT_UNSUPPORTED, "\"Pooling\"");
	refuse_chain("no_transformer", "[" POOLING "]", ALBERT_UNSUPPORTED, "not a Transformer");
	refuse_chain("no_modules", "[]", ALBERT_UNSUPPORTED, "not a Transformer");
	refuse_chain("modules_object", "{}", ALBERT_FORMAT, "modules.json");
	refuse_chain("traversal", "[" TRANSFORMER "," MODULE("1", "../1_Pooling", "Pooling") "]", ALBERT_FORMAT, "path");
	refuse_chain("absolute", "[" MODULE("0", "/etc", "Transformer") "]", ALBERT_FORMAT, "path");
	refuse_chain("dots", "[" TRANSFORMER "," MODULE("1", "..", "Pooling") "]", ALBERT_FORMAT, "path");
	refuse_chain("missing_module", "[" TRANSFORMER "," MODULE("1", "9_Pooling", "Pooling") "]", ALBERT_NOT_FOUND, "9_Pooling/config.json");
	refuse_chain("no_type", "[" TRANSFORMER ", {\"path\": \"\"}]", ALBERT_FORMAT, "type");
	refuse_chain("five_dense", "[" TRANSFORMER "," POOLING "," DENSE "," DENSE "," DENSE "," DENSE "," DENSE "]", ALBERT_FORMAT, "in_features");
}

static void
refuse_dense(const char *name, const char *config, int out, int in, AlbertCode code, const char *message)
{
	Case		c;

	begin_modules(&c, name, "[" TRANSFORMER "," POOLING "," DENSE "]", "{}");
	add_dense(&c, "2_Dense", config, out, in, true);
	refuse(&c, code, message);
}

static void
test_dense(void)
{
	refuse_dense("dense_in", "{\"in_features\": 13, \"out_features\": 5}", 5, 13, ALBERT_FORMAT, "12 values come in");
	refuse_dense("dense_shape", "{\"in_features\": 12, \"out_features\": 5}", 12, 5, ALBERT_FORMAT, "Its shape is (12, 5)");
	refuse_dense("dense_missing", "{\"out_features\": 5}", 5, 12, ALBERT_FORMAT, "in_features");
	refuse_dense("dense_huge", "{\"in_features\": 12, \"out_features\": 2000000000}", 5, 12, ALBERT_FORMAT, "out_features");
	refuse_dense("dense_activation", "{\"in_features\": 12, \"out_features\": 5, \"activation_function\": \"torch.nn.modules.activation.Mish\"}", 5, 12, ALBERT_UNSUPPORTED, "Mish");
	refuse_dense("dense_input", "{\"in_features\": 12, \"out_features\": 5, \"module_input_name\": \"token_embeddings\"}", 5, 12, ALBERT_UNSUPPORTED, "module_input_name");
}

/* ---- prompts, lengths, the old layout ---- */

static void
test_prompts(void)
{
	Case		c;
	Loaded		l;

	begin_modules(&c, "prompts", "[" TRANSFORMER "," POOLING "]", "{}");
	write_text(c.directory, "config_sentence_transformers.json",
			   "{\"prompts\": {\"query\": \"query: \", \"passage\": \"\"}, \"default_prompt_name\": \"query\", \"similarity_fn_name\": \"cosine\"}");
	if (accept(&c, &l))
	{
		CHECK(l.model.nprompts == 3, "%d prompts", l.model.nprompts);
		for (int i = 0; i < l.model.nprompts; i++)
		{
			const char *name = l.model.prompt_names[i];

			CHECK(strcmp(l.model.prompts[i], strcmp(name, "passage") == 0 ? "" : "query: ") == 0,
				  "prompt \"%s\" is \"%s\"", name, l.model.prompts[i]);
		}
	}
	end_case(&c, &l);

	begin_modules(&c, "no_default_prompt", "[" TRANSFORMER "," POOLING "]", "{}");
	write_text(c.directory, "config_sentence_transformers.json", "{\"prompts\": {}, \"default_prompt_name\": null}");
	if (accept(&c, &l))
		CHECK(l.model.nprompts == 0, "%d prompts", l.model.nprompts);
	end_case(&c, &l);

	begin_modules(&c, "wrong_default_prompt", "[" TRANSFORMER "," POOLING "]", "{}");
	write_text(c.directory, "config_sentence_transformers.json", "{\"prompts\": {\"a\": \"b\"}, \"default_prompt_name\": \"c\"}");
	refuse(&c, ALBERT_FORMAT, "names no prompt");
	begin_modules(&c, "number_prompt", "[" TRANSFORMER "," POOLING "]", "{}");
	write_text(c.directory, "config_sentence_transformers.json", "{\"prompts\": {\"a\": 1}}");
	refuse(&c, ALBERT_FORMAT, "invalid prompt");
	begin_modules(&c, "prompt_left_out", "[" TRANSFORMER "," POOLING "]", "{\"include_prompt\": false}");
	write_text(c.directory, "config_sentence_transformers.json", "{\"prompts\": {\"a\": \"b\"}}");
	if (accept(&c, &l))
		CHECK(l.model.config->exclude_prompt, "the prompt is pooled");
	end_case(&c, &l);
	begin_modules(&c, "prompt_included", "[" TRANSFORMER "," POOLING "]", "{\"include_prompt\": true}");
	if (accept(&c, &l))
		CHECK(!l.model.config->exclude_prompt, "the prompt is not pooled");
	end_case(&c, &l);
}

static void
test_old_layout(void)
{
	Case		c;
	Loaded		l;
	const char *inner;

	begin_modules(&c, "old_layout", "[" MODULE("0", "0_Transformer", "Transformer") "," POOLING "]", "{}");
	inner = text("%s/0_Transformer", c.directory);
	mkdir(inner, 0700);
	inner = strdup(inner);
	write_config(&c, inner);
	write_tensors(inner, "model.safetensors", c.tensors, c.ntensors);
	write_text(inner, "sentence_albert_config.json", "{\"max_seq_length\": 31}");
	if (symlink(spiece, text("%s/spiece.model", inner)) != 0)
		abort();
	CHECK(load(c.directory, &l), "old layout: %s", l.status.message);
	CHECK(l.model.config->max_seq_length == 31 && l.model.config->pooling == ALBERT_POOL_MEAN, "old layout: members");
	free((char *) inner);
	end_case(&c, &l);

	begin_modules(&c, "null_length", "[" TRANSFORMER "," POOLING "]", "{}");
	write_text(c.directory, "sentence_bert_config.json", "{\"max_seq_length\": null}");
	if (accept(&c, &l))
		CHECK(l.model.config->max_seq_length == 0, "null length");
	end_case(&c, &l);
	begin_modules(&c, "text_length", "[" TRANSFORMER "," POOLING "]", "{}");
	write_text(c.directory, "sentence_bert_config.json", "{\"max_seq_length\": \"20\"}");
	refuse(&c, ALBERT_FORMAT, "max_seq_length");
}

int
main(void)
{
	find_spiece();
	test_pooling();
	test_score_function();
	test_chain();
	test_dense();
	test_prompts();
	test_old_layout();
	remove_tree(temp_root());
	return unit_report();
}
