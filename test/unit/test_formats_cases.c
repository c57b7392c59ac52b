/*
 * test_formats_cases.c
 *	  Model directories made here: odd but valid ones must load as intended,
 *	  broken ones must be refused with a message that names what is wrong.
 *
 * Each case starts from a small complete model, changes one thing, and loads it.
 */
#include "formats_case.h"

/* ---- configuration ---- */

static void
test_activations(void)
{
	static const struct
	{
		const char *name;
		int			activation;
	}			known[] =
	{
		{"gelu", ALBERT_ACT_GELU}, {"gelu_python", ALBERT_ACT_GELU},
		{"gelu_new", ALBERT_ACT_GELU_NEW}, {"gelu_fast", ALBERT_ACT_GELU_NEW},
		{"gelu_pytorch_tanh", ALBERT_ACT_GELU_NEW}, {"gelu_accurate", ALBERT_ACT_GELU_NEW},
		{"relu", ALBERT_ACT_RELU}, {"silu", ALBERT_ACT_SILU}, {"swish", ALBERT_ACT_SILU},
		{"tanh", ALBERT_ACT_TANH}
	};
	static const char *const unknown[] = {"gelu_10", "quick_gelu", "relu2", "mish", ""};
	Case		c;
	Loaded		l;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		begin_case(&c, "activation");
		set_config(&c, "hidden_act", json_string(known[i].name));
		if (accept(&c, &l))
			CHECK(l.model.config->hidden_act == known[i].activation, "%s: %d", known[i].name,
				  l.model.config->hidden_act);
		end_case(&c, &l);
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
	{
		begin_case(&c, "no_activation");
		set_config(&c, "hidden_act", json_string(unknown[i]));
		refuse(&c, ALBERT_UNSUPPORTED, "hidden_act");
	}
	begin_case(&c, "null_activation");
	set_config(&c, "hidden_act", json_null());
	refuse(&c, ALBERT_FORMAT, "hidden_act");
}

static void
test_config_defaults(void)
{
	Case		c;
	Loaded		l;

	begin_case(&c, "old_config");
	json_object_del(c.config, "model_type");
	json_object_del(c.config, "hidden_act");
	set_config(&c, "net_structure_type", json_integer(0));
	if (accept(&c, &l))
	{
		CHECK(l.model.config->hidden_act == ALBERT_ACT_GELU_NEW && l.model.config->layer_norm_eps == 1e-12f &&
			  l.model.config->type_vocab_size == 2 && l.model.config->num_hidden_groups == 1 &&
			  l.model.config->inner_group_num == 1, "defaults");
		CHECK(strcmp(l.config.class_name, "AlbertModel") == 0, "architecture %s", l.config.class_name);
	}
	end_case(&c, &l);

	begin_case(&c, "no_vocab_size");
	json_object_del(c.config, "vocab_size");
	refuse(&c, ALBERT_FORMAT, "(30000, 8)");
	begin_case(&c, "null_size");
	set_config(&c, "hidden_size", json_null());
	refuse(&c, ALBERT_FORMAT, "hidden_size");
	begin_case(&c, "true_size");
	set_config(&c, "num_hidden_layers", json_true());
	refuse(&c, ALBERT_FORMAT, "num_hidden_layers");
	begin_case(&c, "bert");
	set_config(&c, "model_type", json_string("roberta"));
	refuse(&c, ALBERT_UNSUPPORTED, "\"bert\"");
	begin_case(&c, "relative");
	set_config(&c, "position_embedding_type", json_string("relative_key_query"));
	refuse(&c, ALBERT_UNSUPPORTED, "position_embedding_type");
	begin_case(&c, "inner_groups");
	set_config(&c, "inner_group_num", json_integer(4));
	refuse(&c, ALBERT_FORMAT, "inner_group_num 4");
	begin_case(&c, "problem_type");
	set_config(&c, "problem_type", json_string("ranking"));
	refuse(&c, ALBERT_FORMAT, "problem_type");
	begin_case(&c, "architectures");
	set_config(&c, "architectures", json_string("AlbertModel"));
	refuse(&c, ALBERT_FORMAT, "architectures");
	begin_case(&c, "huge_matrix");
	set_config(&c, "vocab_size", json_integer(1 << 22));
	set_config(&c, "embedding_size", json_integer(1 << 15));
	refuse(&c, ALBERT_UNSUPPORTED, "elements");
}

/* ---- labels ---- */

static void
check_labels(const char *name, json_t *id2label, json_t *label2id, json_t *num_labels,
			 int rows, const char *const *labels)
{
	Case		c;
	Loaded		l;

	begin_case(&c, name);
	add_classifier(&c, "AlbertForSequenceClassification", rows, true);
	if (id2label != NULL)
		set_config(&c, "id2label", id2label);
	if (label2id != NULL)
		set_config(&c, "label2id", label2id);
	if (num_labels != NULL)
		set_config(&c, "num_labels", num_labels);
	if (labels == NULL)
	{
		refuse(&c, ALBERT_FORMAT, "label");
		return;
	}
	if (accept(&c, &l))
	{
		CHECK(l.model.config->num_labels == rows, "%s: %d labels", name, l.model.config->num_labels);
		for (int i = 0; i < rows && i < l.model.config->num_labels; i++)
			CHECK(strcmp(l.model.labels[i], labels[i]) == 0, "%s: label %d is %s", name, i, l.model.labels[i]);
	}
	end_case(&c, &l);
}

static void
test_labels(void)
{
	check_labels("labels", json_pack("{s:s,s:s}", "0", "no", "1", "yes"), NULL, NULL, 2,
				 (const char *const[]) {"no", "yes"});
	check_labels("labels_default", NULL, NULL, NULL, 2, (const char *const[]) {"LABEL_0", "LABEL_1"});
	check_labels("labels_number", NULL, NULL, json_integer(3), 3,
				 (const char *const[]) {"LABEL_0", "LABEL_1", "LABEL_2"});
	check_labels("labels_number_null", NULL, NULL, json_null(), 2, (const char *const[]) {"LABEL_0", "LABEL_1"});
	check_labels("labels_inverted", json_pack("{s:i,s:i}", "no", 0, "yes", 1), NULL, NULL, 2,
				 (const char *const[]) {"no", "yes"});
	check_labels("labels_strings", NULL, json_pack("{s:s,s:s}", "yes", "1", "no", "0"), NULL, 2,
				 (const char *const[]) {"no", "yes"});
	check_labels("labels_numbers", json_pack("{s:i,s:i}", "0", 5, "1", 7), NULL, NULL, 2,
				 (const char *const[]) {"5", "7"});
	check_labels("labels_gap", json_pack("{s:s,s:s}", "0", "a", "2", "c"), NULL, NULL, 3,
				 (const char *const[]) {"a", "LABEL_1", "c"});
	check_labels("labels_gap_filled", json_pack("{s:s,s:s}", "0", "a", "2", "c"),
				 json_pack("{s:i,s:i}", "wrong", 0, "b", 1), NULL, 3, (const char *const[]) {"a", "b", "c"});
	check_labels("labels_utf8", json_pack("{s:s,s:s}", "0", "\xe5\x90\xa6", "1", "s\xc3\xad"), NULL, NULL, 2,
				 (const char *const[]) {"\xe5\x90\xa6", "s\xc3\xad"});
	check_labels("labels_too_few", json_pack("{s:s,s:s}", "0", "a", "1", "b"), NULL, NULL, 3, NULL);
	check_labels("labels_default_few", NULL, NULL, NULL, 5, NULL);
	check_labels("labels_words", json_pack("{s:s}", "a", "b"), NULL, NULL, 1, NULL);
	check_labels("labels_negative", json_pack("{s:s}", "-1", "b"), NULL, NULL, 1, NULL);
	check_labels("labels_huge", json_pack("{s:s}", "99999999999999999999", "b"), NULL, NULL, 1, NULL);
	check_labels("labels_nested", json_pack("{s:{}}", "0"), NULL, NULL, 1, NULL);
	check_labels("labels_list", json_pack("[s]", "a"), NULL, NULL, 1, NULL);
}

static void
test_many_labels(void)
{
	Case		c;
	Loaded		l;
	json_t	   *labels = json_object();

	for (int i = 2999; i >= 0; i--)
		json_object_set_new(labels, text("%d", i), json_string(text("name %d", i)));
	begin_case(&c, "labels_many");
	add_classifier(&c, "AlbertForTokenClassification", 3000, false);
	set_config(&c, "id2label", labels);
	if (accept(&c, &l))
		CHECK(l.model.config->num_labels == 3000 && strcmp(l.model.labels[2999], "name 2999") == 0, "many labels");
	end_case(&c, &l);
}

/* ---- heads and names ---- */

static void
check_heads(const char *name, const char *architecture, int rows, bool pooler, uint32_t heads)
{
	Case		c;
	Loaded		l;

	begin_case(&c, name);
	add_classifier(&c, architecture, rows, pooler);
	if (heads == 0)
	{
		refuse(&c, ALBERT_FORMAT, "");
		return;
	}
	if (accept(&c, &l))
		CHECK(l.model.config->heads == heads, "%s: heads %x", name, l.model.config->heads);
	end_case(&c, &l);
}

static void
test_heads(void)
{
	check_heads("sequence", "AlbertForSequenceClassification", 2, true, ALBERT_HEAD_POOLER | ALBERT_HEAD_CLASSIFIER);
	check_heads("token", "AlbertForTokenClassification", 2, false, ALBERT_HEAD_TOKEN_CLASSIFIER);
	check_heads("token_pooler", "AlbertForTokenClassification", 2, true,
				ALBERT_HEAD_POOLER | ALBERT_HEAD_TOKEN_CLASSIFIER);
	check_heads("choice", "AlbertForMultipleChoice", 1, true, ALBERT_HEAD_POOLER | ALBERT_HEAD_CHOICE);
	check_heads("unknown_pooler", NULL, 2, true, ALBERT_HEAD_POOLER | ALBERT_HEAD_CLASSIFIER);
	check_heads("unknown_no_pooler", "MyAlbert", 2, false, ALBERT_HEAD_TOKEN_CLASSIFIER);
	check_heads("choice_of_two", "AlbertForMultipleChoice", 2, true, 0);
	check_heads("sequence_no_pooler", "AlbertForSequenceClassification", 2, false, 0);
}

static void
test_names(void)
{
	Case		c;
	Loaded		l;

	begin_case(&c, "gamma_beta");
	strcpy(find_tensor(&c, "embeddings.LayerNorm.weight")->name, "embeddings.LayerNorm.gamma");
	strcpy(find_tensor(&c, LAYER "attention.LayerNorm.bias")->name, LAYER "attention.LayerNorm.beta");
	if (accept(&c, &l))
		CHECK(l.model.embedding_norm.weight[5] == value_of(3, 5) &&
			  l.model.layers[0].attention_norm.bias[7] == value_of(16, 7), "gamma and beta");
	end_case(&c, &l);

	begin_case(&c, "extra_tensors");
	add_tensor(&c, "embeddings.position_ids", 1, 32);
	c.tensors[c.ntensors - 1].type = "I64";
	add_tensor(&c, "something.else", 3, 3);
	if (accept(&c, &l))
		CHECK(l.config.parameters == 1000 * 8 + 34 * 8 + 16 + 12 * 9 + 4 * 12 * 13 + 24 + 20 * 13 + 12 * 21 + 24,
			  "parameters %lld", (long long) l.config.parameters);
	end_case(&c, &l);

	begin_case(&c, "extra_unknown_type");
	add_tensor(&c, "something.else", 3, 3);
	c.tensors[c.ntensors - 1].type = "F9";
	accept(&c, &l);
	end_case(&c, &l);
	begin_case(&c, "unknown_type");
	find_tensor(&c, LAYER "attention.key.weight")->type = "F9";
	refuse(&c, ALBERT_UNSUPPORTED, "unsupported type");
	begin_case(&c, "missing_bias");
	drop_tensor(&c, LAYER "ffn_output.bias");
	refuse(&c, ALBERT_FORMAT, "\"" LAYER "ffn_output.bias\" is missing");
	begin_case(&c, "missing_prefixed");
	add_prefix(&c);
	drop_tensor(&c, "albert." LAYER "attention.value.weight");
	refuse(&c, ALBERT_FORMAT, "\"albert." LAYER "attention.value.weight\" is missing");
	begin_case(&c, "wrong_shape");
	find_tensor(&c, LAYER "attention.value.bias")->cols = 11;
	refuse(&c, ALBERT_FORMAT, "Its shape is (11); the configuration gives (12).");
	begin_case(&c, "wrong_matrix");
	find_tensor(&c, LAYER "ffn.weight")->rows = 12;
	find_tensor(&c, LAYER "ffn.weight")->cols = 20;
	refuse(&c, ALBERT_FORMAT, "Its shape is (12, 20); the configuration gives (20, 12).");
	begin_case(&c, "quantized");
	find_tensor(&c, LAYER "attention.key.weight")->type = "I8";
	refuse(&c, ALBERT_UNSUPPORTED, "Quantized");
}

static void
test_decoder(void)
{
	Case		c;
	Loaded		l;
	float		row[8];

	/* stored though tied, with other values: transformers ties, so must we */
	begin_case(&c, "tied_and_stored");
	add_prefix(&c);
	add_mlm(&c);
	add_tensor(&c, "predictions.decoder.weight", 1000, 8);
	if (accept(&c, &l))
	{
		l.model.kernels->weight_row(&l.model.mlm_decoder, 3, row);
		CHECK(row[2] == value_of(0, 3 * 8 + 2), "tied decoder: %g", row[2]);
	}
	end_case(&c, &l);

	begin_case(&c, "untied");
	add_prefix(&c);
	add_mlm(&c);
	add_tensor(&c, "predictions.decoder.weight", 1000, 8);
	set_config(&c, "tie_word_embeddings", json_false());
	if (accept(&c, &l))
	{
		l.model.kernels->weight_row(&l.model.mlm_decoder, 3, row);
		CHECK(row[2] == value_of(c.ntensors - 1, 3 * 8 + 2), "untied decoder: %g", row[2]);
	}
	end_case(&c, &l);

	begin_case(&c, "untied_missing");
	add_prefix(&c);
	add_mlm(&c);
	set_config(&c, "tie_word_embeddings", json_false());
	refuse(&c, ALBERT_FORMAT, "\"predictions.decoder.weight\" is missing");

	begin_case(&c, "decoder_bias");
	add_prefix(&c);
	add_mlm(&c);
	strcpy(find_tensor(&c, "predictions.bias")->name, "predictions.decoder.bias");
	if (accept(&c, &l))
		CHECK(l.model.mlm_decoder.bias[77] == value_of(c.ntensors - 1, 77), "decoder bias");
	end_case(&c, &l);

	/* both, with different values: the reference ends up with the decoder's */
	begin_case(&c, "two_biases");
	add_prefix(&c);
	add_mlm(&c);
	add_tensor(&c, "predictions.decoder.bias", 0, 1000);
	if (accept(&c, &l))
		CHECK(l.model.mlm_decoder.bias[77] == value_of(c.ntensors - 1, 77), "two biases");
	end_case(&c, &l);
}

/* Is this vector the tensor of that name? */
static void
check_vector(Case *c, const char *name, const float *vector)
{
	const Stored *tensor = find_tensor(c, name);

	CHECK(vector != NULL && vector[3] == value_of(tensor->seed, 3) && vector[5] == value_of(tensor->seed, 5),
		  "values of %s", name);
}

static void
test_bert(void)
{
	Case		c;
	Loaded		l;

	begin_bert_case(&c, "bert_heads");
	add_linear(&c, "cls.predictions.transform.dense", 12, 12);
	add_norm(&c, "cls.predictions.transform.LayerNorm", 12);
	add_tensor(&c, "cls.predictions.bias", 0, 1000);
	add_linear(&c, "cls.seq_relationship", 2, 12);
	if (accept(&c, &l))
	{
		CHECK(l.config.heads == (ALBERT_HEAD_POOLER | ALBERT_HEAD_MLM | ALBERT_HEAD_SENTENCE_ORDER), "heads %x", l.config.heads);
		CHECK(l.model.config->hidden_act == ALBERT_ACT_GELU && l.model.config->embedding_size == 12 &&
			  l.model.config->num_hidden_groups == 2 && l.model.config->inner_group_num == 1, "configuration");
		CHECK(l.model.embedding_projection.weight == NULL, "there is no projection");
		CHECK(l.model.mlm_decoder.weight == l.model.word_embeddings.weight, "the decoder is tied");
		check_vector(&c, "bert.embeddings.LayerNorm.bias", l.model.embedding_norm.bias);
		check_vector(&c, "bert.encoder.layer.0.attention.self.query.bias", l.model.layers[0].query.bias);
		check_vector(&c, "bert.encoder.layer.1.attention.self.key.bias", l.model.layers[1].key_value.bias);
		check_vector(&c, "bert.encoder.layer.1.attention.self.value.bias", l.model.layers[1].key_value.bias + 12);
		check_vector(&c, "bert.encoder.layer.1.attention.output.dense.bias", l.model.layers[1].dense.bias);
		check_vector(&c, "bert.encoder.layer.1.attention.output.LayerNorm.weight", l.model.layers[1].attention_norm.weight);
		check_vector(&c, "bert.encoder.layer.1.intermediate.dense.bias", l.model.layers[1].ffn.bias);
		check_vector(&c, "bert.encoder.layer.1.output.dense.bias", l.model.layers[1].ffn_output.bias);
		check_vector(&c, "bert.encoder.layer.1.output.LayerNorm.bias", l.model.layers[1].output_norm.bias);
		check_vector(&c, "bert.pooler.dense.bias", l.model.pooler.bias);
		check_vector(&c, "cls.predictions.transform.dense.bias", l.model.mlm_dense.bias);
		check_vector(&c, "cls.predictions.transform.LayerNorm.weight", l.model.mlm_norm.weight);
		check_vector(&c, "cls.predictions.bias", l.model.mlm_decoder.bias);
	}
	end_case(&c, &l);

	/* an early checkpoint: no model_type, gamma and beta */
	begin_bert_case(&c, "bert_early");
	json_object_del(c.config, "model_type");
	set_config(&c, "architectures", json_pack("[s]", "BertModel"));
	strcpy(find_tensor(&c, "bert.encoder.layer.1.output.LayerNorm.weight")->name, "bert.encoder.layer.1.output.LayerNorm.gamma");
	strcpy(find_tensor(&c, "bert.embeddings.LayerNorm.bias")->name, "bert.embeddings.LayerNorm.beta");
	if (accept(&c, &l))
	{
		CHECK(l.config.heads == ALBERT_HEAD_POOLER, "heads %x", l.config.heads);
		check_vector(&c, "bert.encoder.layer.1.output.LayerNorm.gamma", l.model.layers[1].output_norm.weight);
		check_vector(&c, "bert.embeddings.LayerNorm.beta", l.model.embedding_norm.bias);
	}
	end_case(&c, &l);

	begin_bert_case(&c, "bert_missing");
	drop_tensor(&c, "bert.encoder.layer.1.output.dense.bias");
	refuse(&c, ALBERT_FORMAT, "\"bert.encoder.layer.1.output.dense.bias\" is missing");
	begin_bert_case(&c, "bert_decoder");
	set_config(&c, "is_decoder", json_true());
	refuse(&c, ALBERT_UNSUPPORTED, "\"is_decoder\"");
	begin_bert_case(&c, "bert_named_albert");
	set_config(&c, "model_type", json_string("albert"));
	refuse(&c, ALBERT_FORMAT, "is missing");
}

static void
test_types(void)
{
	static const char *const types[] = {"F32", "F16", "BF16", "F64"};
	Case		c;
	Loaded		l;

	for (size_t i = 0; i < 4; i++)
	{
		float	   *matrix;
		float		row[8];

		begin_case(&c, types[i]);
		for (int k = 0; k < c.ntensors; k++)
			c.tensors[k].type = types[i];
		if (accept(&c, &l))
		{
			matrix = unpack_linear(&l.model, &l.model.layers[0].key_value);
			CHECK(matrix[2 * 12 + 3] == value_of(9, 2 * 12 + 3) &&
				  matrix[14 * 12 + 3] == value_of(11, 2 * 12 + 3), "%s: keys and values", types[i]);
			l.model.kernels->weight_row(&l.model.word_embeddings, 999, row);
			CHECK(row[7] == value_of(0, 7999), "%s: words", types[i]);
			free(matrix);
		}
		end_case(&c, &l);
	}
}

/* ---- files ---- */

static void
test_strange_files(void)
{
	Case		c;
	Loaded		l;

	begin_case(&c, "fifo");
	mkfifo(text("%s/config.json", c.directory), 0600);
	refuse(&c, ALBERT_IO, "\"config.json\" is not a regular file");
	begin_case(&c, "directory_as_file");
	mkdir(text("%s/model.safetensors", c.directory), 0700);
	refuse(&c, ALBERT_IO, "\"model.safetensors\" is not a regular file");
	begin_case(&c, "dangling");
	if (symlink("nowhere", text("%s/model.safetensors", c.directory)) != 0)
		abort();
	write_config(&c, c.directory);
	CHECK(!load(c.directory, &l) && l.status.code == ALBERT_NOT_FOUND, "dangling link: %s", l.status.message);
	end_case(&c, &l);
	begin_case(&c, "link_loop");
	if (symlink("config.json", text("%s/config.json", c.directory)) != 0)
		abort();
	CHECK(!load(c.directory, &l), "a loop of links was accepted");
	end_case(&c, &l);

	begin_case(&c, "links");
	write_tensors(c.directory, "blob", c.tensors, c.ntensors);
	if (symlink("../links/blob", text("%s/model.safetensors", c.directory)) != 0)
		abort();
	accept(&c, &l);
	end_case(&c, &l);

	begin_case(&c, "lfs_weights");
	write_text(c.directory, "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
	refuse(&c, ALBERT_FORMAT, "Git LFS pointer");
	begin_case(&c, "lfs_tokenizer");
	write_text(c.directory, "spiece.model", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
	refuse(&c, ALBERT_FORMAT, "git lfs pull");

	begin_case(&c, "huge_config");
	write_config(&c, c.directory);
	if (truncate(text("%s/config.json", c.directory), (off_t) 1 << 33) != 0)
		abort();
	refuse(&c, ALBERT_FORMAT, "too large");
	begin_case(&c, "no_directory");
	remove_tree(c.directory);
	CHECK(!load(c.directory, &l) && l.status.code == ALBERT_NOT_FOUND, "missing directory: %s", l.status.message);
	end_case(&c, &l);
}

static void
test_foreign_formats(void)
{
	static const char *const names[] = {
		"model-q8.gguf", "model.onnx", "tf_model.h5", "flax_model.msgpack", "weights.safetensors"
	};
	Case		c;
	Loaded		l;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		begin_case(&c, "foreign");
		write_config(&c, c.directory);
		write_text(c.directory, names[i], "GGUF");
		CHECK(!load(c.directory, &l) && l.status.code == ALBERT_NOT_FOUND &&
			  strstr(l.status.message, "no weights in a supported form") != NULL &&
			  strstr(l.status.detail, names[i]) != NULL, "%s: %s %s", names[i], l.status.message, l.status.detail);
		end_case(&c, &l);
	}
}

/* tokenizer_class of tokenizer_config.json (and of config.json, where the first has none); json: with a tokenizer.json. */
static void
check_class(const char *name, const char *class, const char *old_class, bool json, bool good)
{
	Case		c;
	Loaded		l;

	begin_case(&c, name);
	if (class != NULL)
		write_text(c.directory, "tokenizer_config.json", text("{\"tokenizer_class\": \"%s\"}", class));
	if (old_class != NULL)
		set_config(&c, "tokenizer_class", json_string(old_class));
	if (json && symlink(text("%.*stokenizer.json", (int) (strrchr(spiece, '/') + 1 - spiece), spiece), text("%s/tokenizer.json", c.directory)) != 0)
		abort();
	if (!good)
	{
		refuse(&c, ALBERT_UNSUPPORTED, class != NULL ? class : old_class);
		return;
	}
	accept(&c, &l);
	end_case(&c, &l);
}

static void
test_tokenizer_class(void)
{
	check_class("class_none", NULL, NULL, false, true);
	check_class("class_albert", "AlbertTokenizer", NULL, false, true);
	check_class("class_fast", "AlbertTokenizerFast", NULL, false, true);
	check_class("class_japanese", "BertJapaneseTokenizer", NULL, false, false);
	check_class("class_japanese_json", "BertJapaneseTokenizer", NULL, true, false);
	check_class("class_old", NULL, "BertJapaneseTokenizer", false, false);
	check_class("class_newer_first", "AlbertTokenizer", "BertJapaneseTokenizer", false, true);
	check_class("class_of_json", "XLMRobertaTokenizer", NULL, true, true);
	check_class("class_of_json_alone", "XLMRobertaTokenizerFast", NULL, false, false);
	check_class("class_any_json", "PreTrainedTokenizerFast", NULL, true, true);
	check_class("class_own", "MyTokenizerFast", NULL, true, false);
}

/* A token behind the last embedding may be there for padding only. */
static void
test_token_without_embedding(void)
{
	Case		c;
	Loaded		l;

	begin_case(&c, "pad_behind");
	write_text(c.directory, "added_tokens.json", "{\"[PAD]\": 1000}");
	write_text(c.directory, "special_tokens_map.json", "{\"pad_token\": \"[PAD]\"}");
	if (accept(&c, &l))
		CHECK(l.tokenizer.pad_id == 1000, "pad is %d", l.tokenizer.pad_id);
	end_case(&c, &l);
	begin_case(&c, "pad_and_another");
	write_text(c.directory, "added_tokens.json", "{\"[PAD]\": 1000, \"[ONE]\": 1001}");
	write_text(c.directory, "special_tokens_map.json", "{\"pad_token\": \"[PAD]\"}");
	refuse(&c, ALBERT_FORMAT, "more pieces");
	begin_case(&c, "token_behind");
	write_text(c.directory, "added_tokens.json", "{\"[ONE]\": 1000}");
	refuse(&c, ALBERT_FORMAT, "more pieces");
}

/* Exports in a directory of their own beside config.json. */
static void
test_exports(void)
{
	static const char *const names[] = {"onnx/model.onnx", "openvino/openvino_model.bin"};
	static const char *const formats[] = {"(ONNX)", "(OpenVINO)"};
	Case		c;
	Loaded		l;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		begin_case(&c, "export");
		write_config(&c, c.directory);
		mkdir(text("%s/%.*s", c.directory, (int) strcspn(names[i], "/"), names[i]), 0700);
		write_text(c.directory, names[i], "x");
		CHECK(!load(c.directory, &l) && l.status.code == ALBERT_NOT_FOUND && strstr(l.status.detail, names[i]) != NULL &&
			  strstr(l.status.detail, formats[i]) != NULL,
			  "%s: %s %s", names[i], l.status.message, l.status.detail);
		end_case(&c, &l);
	}
}

/* What is no model by itself, with and without a whole model beside it. */
static void
test_parts(void)
{
	Case		c;
	Loaded		l;

	begin_case(&c, "adapter");
	write_text(c.directory, "adapter_config.json", "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"albert-base-v2\"}");
	CHECK(!load(c.directory, &l) && l.status.code == ALBERT_UNSUPPORTED && strstr(l.status.message, "adapter_config.json") != NULL &&
		  strstr(l.status.detail, "\"LORA\", for the model \"albert-base-v2\"") != NULL && strstr(l.status.hint, "merge_and_unload") != NULL,
		  "adapter: %s %s", l.status.message, l.status.detail);
	end_case(&c, &l);
	begin_case(&c, "adapter_and_model");
	write_text(c.directory, "adapter_config.json", "{\"peft_type\": 1, \"base_model_name_or_path\": []}");
	refuse(&c, ALBERT_UNSUPPORTED, "adapter_config.json");
	begin_case(&c, "damaged_adapter");
	write_text(c.directory, "adapter_config.json", "{");
	refuse(&c, ALBERT_UNSUPPORTED, "adapter_config.json");
	begin_case(&c, "setfit");
	write_text(c.directory, "model_head.pkl", "x");
	refuse(&c, ALBERT_UNSUPPORTED, "model_head.pkl");
	/* below the directory of the transformer */
	begin_case(&c, "adapter_below");
	write_text(c.directory, "modules.json", "[{\"path\": \"0_Transformer\", \"type\": \"sentence_transformers.models.Transformer\"}]");
	mkdir(text("%s/0_Transformer", c.directory), 0700);
	write_text(c.directory, "0_Transformer/adapter_config.json", "{}");
	refuse(&c, ALBERT_UNSUPPORTED, "0_Transformer/adapter_config.json");
}

/* A file that is cut after it was opened is an error, whenever it happens. */
static void
test_shrinking(void)
{
	static const char *const names[] = {"model.safetensors", "tokenizer_config.json"};

	for (int i = 0; i < 2; i++)
	{
		Case		c;
		Loaded		l;
		AlbertSource *source;
		const AlbertKernels *kernels = AlbertKernelsFind("generic", ALBERT_FP32, &l.status);

		begin_case(&c, "shrinking");
		write_text(c.directory, "tokenizer_config.json", "{}");
		write_case(&c);
		memset(&l, 0, sizeof(l));
		AlbertArenaInitMalloc(&l.arena);
		if (!AlbertSourceOpen(c.directory, &l.arena, &source, &l.status))
			CHECK(false, "%s", l.status.message);
		else
		{
			if (truncate(text("%s/%s", c.directory, names[i]), i == 0 ? 9000 : 0) != 0)
				abort();
			CHECK(!load_parts(source, kernels, ALBERT_FP32, NULL, &l) && l.status.code == ALBERT_IO &&
				  strstr(l.status.message, names[i]) != NULL, "%s shrank: %s", names[i], l.status.message);
			AlbertSourceClose(source);
			AlbertSourceClose(source);
		}
		end_case(&c, &l);
	}
}

static void
test_file_list(void)
{
	Case		c;
	Loaded		l;
	AlbertSource *source;
	const AlbertSourceFile *file;
	int			n = 0;
	bool		weights = false;

	begin_case(&c, "file_list");
	write_case(&c);
	memset(&l, 0, sizeof(l));
	AlbertArenaInitMalloc(&l.arena);
	if (AlbertSourceOpen(c.directory, &l.arena, &source, &l.status))
	{
		for (; (file = AlbertSourceGetFile(source, n)) != NULL; n++)
		{
			struct stat st;

			CHECK(stat(text("%s/%s", c.directory, file->name), &st) == 0 && st.st_size == file->size, "size of %s", file->name);
			CHECK((fcntl(file->fd, F_GETFD) & FD_CLOEXEC) != 0, "%s would leak into a child", file->name);
			weights = weights || strcmp(file->name, "model.safetensors") == 0;
		}
		AlbertSourceClose(source);
	}
	CHECK(n == 3 && weights, "%d files", n);
	AlbertSourceClose(NULL);
	end_case(&c, &l);
}

static void
test_interrupt(void)
{
	Case		c;
	Loaded		l;
	const AlbertKernels *kernels = AlbertKernelsFind("generic", ALBERT_FP32, &l.status);
	volatile sig_atomic_t interrupt = 1;

	begin_case(&c, "interrupt");
	write_case(&c);
	CHECK(!load_with(c.directory, kernels, ALBERT_FP32, &interrupt, &l) && l.status.code == ALBERT_CANCELLED,
		  "not cancelled: %s", l.status.message);
	end_case(&c, &l);
}

/* ---- memory that runs out ---- */

static int	blocks_left;

static void *
scarce_get(void *context, size_t size)
{
	return blocks_left-- > 0 ? malloc(size) : NULL;
}

static void
scarce_put(void *context, void *block)
{
	free(block);
}

static void
test_no_memory(void)
{
	Case		c;
	int			before = open_files();
	bool		done = false;

	begin_case(&c, "no_memory");
	write_case(&c);
	for (int blocks = 0; !done && blocks < 200; blocks++)
	{
		Loaded		l;
		AlbertSource *source;
		const AlbertKernels *kernels = AlbertKernelsFind("generic", ALBERT_FP32, &l.status);

		memset(&l, 0, sizeof(l));
		blocks_left = blocks;
		AlbertArenaInit(&l.arena, scarce_get, scarce_put, NULL);
		if (AlbertSourceOpen(c.directory, &l.arena, &source, &l.status))
		{
			done = load_parts(source, kernels, ALBERT_FP32, NULL, &l);
			AlbertSourceClose(source);
		}
		CHECK(done || l.status.code == ALBERT_NO_MEMORY, "%d blocks: %s", blocks, l.status.message);
		CHECK(open_files() == before, "%d blocks left files open", blocks);
		unload(&l);
	}
	CHECK(done, "200 blocks were not enough");
	json_decref(c.config);
	remove_tree(c.directory);
}

/* ---- images that are not what they were ---- */

static bool
bind_copy(const Loaded *l, const void *text_image, size_t text_size, const void *weights, size_t weights_size,
		  AlbertStatus *status)
{
	AlbertArena arena;
	AlbertModel model;
	AlbertTokenizer tokenizer;
	bool		ok;

	AlbertArenaInitMalloc(&arena);
	ok = AlbertImageBind(text_image, text_size, weights, weights_size, &arena, &model, &tokenizer, status);
	AlbertArenaFree(&arena);
	return ok;
}

static void
test_images(void)
{
	Case		c;
	Loaded		l;
	AlbertStatus status;
	unsigned char *copy;
	void	   *aligned;

	begin_case(&c, "images");
	add_classifier(&c, "AlbertForSequenceClassification", 2, true);
	if (accept(&c, &l))
	{
		CHECK(bind_copy(&l, l.image[0], l.size[0], NULL, 0, &status), "text alone: %s", status.message);
		for (int part = 0; part < 2; part++)
		{
			if (posix_memalign(&aligned, ALBERT_ALIGN, l.size[part] + ALBERT_ALIGN) != 0)
				abort();
			copy = aligned;
			/* the headers, byte by byte: nothing that changes them may crash */
			for (size_t i = 0; i < 700 && i < l.size[part]; i++)
			{
				for (int k = 0; k < 4; k++)
				{
					memcpy(copy, l.image[part], l.size[part]);
					bool		bound;

					copy[i] ^= 1 << (2 * k + 1);
					bound = part == 0 ? bind_copy(&l, copy, l.size[0], l.image[1], l.size[1], &status) :
						bind_copy(&l, l.image[0], l.size[0], copy, l.size[1], &status);
					/* magic, version, part; the weights' size and table of places, but for what stands before and behind it */
					CHECK(!bound || (i >= 16 && part == 0) || (i >= 24 && i < 32) || (i >= 56 && i < 64) || i >= 128,
						  "part %d with byte %zu changed was accepted", part, i);
				}
			}
			memcpy(copy, l.image[part], l.size[part]);
			for (size_t size = 0; size < l.size[part]; size += size < 512 ? 8 : 4096)
				CHECK(!(part == 0 ? bind_copy(&l, copy, size, l.image[1], l.size[1], &status) :
						bind_copy(&l, l.image[0], l.size[0], copy, size, &status)),
					  "part %d of %zu bytes was accepted", part, size);
			memmove(copy + 8, copy, l.size[part]);
			CHECK(!(part == 0 ? bind_copy(&l, copy + 8, l.size[0], l.image[1], l.size[1], &status) :
					bind_copy(&l, l.image[0], l.size[0], copy + 8, l.size[1], &status)),
				  "an unaligned image was accepted");
			free(aligned);
		}
	}
	end_case(&c, &l);
}

static void
test_other_weights(void)
{
	Case		a;
	Case		b;
	Loaded		x;
	Loaded		y;
	AlbertStatus status;

	begin_case(&a, "model_a");
	begin_case(&b, "model_b");
	add_linear(&b, "pooler", 12, 12);
	if (accept(&a, &x) && accept(&b, &y))
	{
		CHECK(!bind_copy(&x, x.image[0], x.size[0], y.image[1], y.size[1], &status) &&
			  strstr(status.message, "another model") != NULL, "mixed images: %s", status.message);
		end_case(&b, &y);
	}
	end_case(&a, &x);
}

int
main(void)
{
	find_spiece();
	test_activations();
	test_config_defaults();
	test_labels();
	test_many_labels();
	test_heads();
	test_names();
	test_decoder();
	test_bert();
	test_types();
	test_strange_files();
	test_foreign_formats();
	test_tokenizer_class();
	test_token_without_embedding();
	test_exports();
	test_parts();
	test_shrinking();
	test_file_list();
	test_interrupt();
	test_no_memory();
	test_images();
	test_other_weights();
	remove_tree(temp_root());
	return unit_report();
}
