/*
 * test_formats.c
 *	  The reference models load with the right values, and the reference's
 *	  malformed directories are refused without harm.
 *
 * usage: test_formats [DIRECTORY made by make_malformed.py]
 */
#include <jansson.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "formats_helpers.h"

typedef struct Expected
{
	const char *name;
	const char *architecture;
	int64_t		parameters;
	double		embeddings;		/* digests: see make_formats_expected.py */
	double		layers;
	double		heads;
} Expected;

#include "formats_expected.h"

#define NEXPECTED	((int) (sizeof(expected) / sizeof(expected[0])))

/* ---- digests of what a binding points to ---- */

typedef struct Digest
{
	const AlbertModel *model;
	int			tensors;
	double		total;
} Digest;

static void
add_values(Digest *digest, const float *values, int64_t n)
{
	double		sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double) values[i] * ((i * 7919 + digest->tensors * 31) % 101 - 50);
	digest->total += sum;
	digest->tensors++;
}

static void
add_linear(Digest *digest, const AlbertLinear *linear)
{
	float	   *matrix = unpack_linear(digest->model, linear);

	add_values(digest, matrix, (int64_t) linear->in * linear->out);
	add_values(digest, linear->bias, linear->out);
	free(matrix);
}

/* Keys and values are two tensors each in the file. */
static void
add_key_value(Digest *digest, const AlbertLinear *linear)
{
	float	   *matrix = unpack_linear(digest->model, linear);
	int			hidden = linear->out / 2;

	for (int i = 0; i < 2; i++)
	{
		add_values(digest, matrix + (int64_t) i * hidden * linear->in, (int64_t) hidden * linear->in);
		add_values(digest, linear->bias + i * hidden, hidden);
	}
	free(matrix);
}

static void
add_table(Digest *digest, const AlbertLinear *table)
{
	float	   *rows = malloc(sizeof(float) * table->out * table->in);

	for (int i = 0; i < table->out; i++)
		digest->model->kernels->weight_row(table, i, rows + (size_t) i * table->in);
	add_values(digest, rows, (int64_t) table->out * table->in);
	free(rows);
}

static void
add_norm(Digest *digest, const AlbertNorm *norm, int n)
{
	add_values(digest, norm->weight, n);
	add_values(digest, norm->bias, n);
}

static double
digest_embeddings(const AlbertModel *model)
{
	const AlbertConfig *config = model->config;
	Digest		digest = {.model = model};

	add_table(&digest, &model->word_embeddings);
	add_values(&digest, model->position_embeddings,
			   (int64_t) config->max_position_embeddings * config->embedding_size);
	add_values(&digest, model->token_type_embeddings,
			   (int64_t) config->type_vocab_size * config->embedding_size);
	add_norm(&digest, &model->embedding_norm, config->embedding_size);
	add_linear(&digest, &model->embedding_projection);
	return digest.total;
}

static double
digest_layers(const AlbertModel *model)
{
	Digest		digest = {.model = model};
	int			hidden = model->config->hidden_size;

	for (int i = 0; i < model->config->num_hidden_groups * model->config->inner_group_num; i++)
	{
		const AlbertLayer *layer = &model->layers[i];

		add_linear(&digest, &layer->query);
		add_key_value(&digest, &layer->key_value);
		add_linear(&digest, &layer->dense);
		add_norm(&digest, &layer->attention_norm, hidden);
		add_linear(&digest, &layer->ffn);
		add_linear(&digest, &layer->ffn_output);
		add_norm(&digest, &layer->output_norm, hidden);
	}
	return digest.total;
}

static double
digest_heads(const AlbertModel *model)
{
	Digest		digest = {.model = model};

	if (model->config->heads & ALBERT_HEAD_POOLER)
		add_linear(&digest, &model->pooler);
	if (model->config->heads & ALBERT_HEAD_MLM)
	{
		add_linear(&digest, &model->mlm_dense);
		add_norm(&digest, &model->mlm_norm, model->config->embedding_size);
		add_table(&digest, &model->mlm_decoder);
		add_values(&digest, model->mlm_decoder.bias, model->config->vocab_size);
	}
	if (model->config->heads & ALBERT_HEAD_SENTENCE_ORDER)
		add_linear(&digest, &model->sentence_order);
	if (model->config->heads & (ALBERT_HEAD_CLASSIFIER | ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE))
		add_linear(&digest, &model->classifier);
	if (model->config->heads & ALBERT_HEAD_QUESTION_ANSWERING)
		add_linear(&digest, &model->qa_outputs);
	return digest.total;
}

static bool
near(double a, double b)
{
	double		difference = a - b;

	return difference < 1e-6 && difference > -1e-6;
}

/* ---- the reference models ---- */

static uint32_t
heads_of(const char *architecture, const char *name)
{
	if (strcmp(architecture, "AlbertForPreTraining") == 0)
		return ALBERT_HEAD_POOLER | ALBERT_HEAD_MLM | ALBERT_HEAD_SENTENCE_ORDER;
	if (strcmp(architecture, "AlbertForMaskedLM") == 0)
		return ALBERT_HEAD_MLM;
	if (strcmp(architecture, "AlbertForSequenceClassification") == 0)
		return ALBERT_HEAD_POOLER | ALBERT_HEAD_CLASSIFIER;
	if (strcmp(architecture, "AlbertForTokenClassification") == 0)
		return ALBERT_HEAD_TOKEN_CLASSIFIER;
	if (strcmp(architecture, "AlbertForMultipleChoice") == 0)
		return ALBERT_HEAD_POOLER | ALBERT_HEAD_CHOICE;
	if (strcmp(architecture, "AlbertForQuestionAnswering") == 0)
		return ALBERT_HEAD_QUESTION_ANSWERING;
	return strcmp(name, "m13_nopooler") == 0 ? 0 : ALBERT_HEAD_POOLER;
}

static void
check_aligned(const char *name, const AlbertModel *model)
{
	const void *places[] = {
		model->word_embeddings.weight, model->position_embeddings, model->embedding_norm.weight,
		model->embedding_norm.bias, model->embedding_projection.weight, model->layers[0].query.weight,
		model->layers[0].query.bias, model->layers[0].key_value.weight, model->layers[0].ffn.weight,
		model->layers[0].output_norm.bias
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		CHECK((uintptr_t) places[i] % ALBERT_ALIGN == 0, "%s: weight %zu is not aligned", name, i);
}

static void
check_reference_model(const Expected *wanted)
{
	Loaded		loaded;

	if (!load(reference_model(wanted->name), &loaded))
		CHECK(false, "%s: %s", wanted->name, loaded.status.message);
	else
	{
		const AlbertModel *model = &loaded.model;
		double		embeddings = digest_embeddings(model);
		double		layers = digest_layers(model);
		double		heads = digest_heads(model);

		CHECK(strcmp(loaded.config.class_name, wanted->architecture) == 0, "%s: architecture %s",
			  wanted->name, loaded.config.class_name);
		CHECK(model->config->heads == heads_of(wanted->architecture, wanted->name) &&
			  loaded.config.heads == model->config->heads, "%s: heads %x", wanted->name, model->config->heads);
		CHECK(model->config->parameters == wanted->parameters && loaded.config.parameters == wanted->parameters,
			  "%s: %lld parameters", wanted->name, (long long) model->config->parameters);
		CHECK(near(embeddings, wanted->embeddings), "%s: embeddings %.17g", wanted->name, embeddings);
		CHECK(near(layers, wanted->layers), "%s: layers %.17g", wanted->name, layers);
		CHECK(near(heads, wanted->heads), "%s: heads %.17g", wanted->name, heads);
		CHECK(loaded.tokenizer.vocab_size <= model->config->vocab_size, "%s: %d pieces", wanted->name,
			  loaded.tokenizer.vocab_size);
		CHECK(model->config->pooling == 0 && model->config->ndense == 0 && model->nprompts == 0,
			  "%s: sentence-transformers modules out of nothing", wanted->name);
		check_aligned(wanted->name, model);
	}
	unload(&loaded);
}

static bool
must_load(const char *name, Loaded *loaded)
{
	bool		ok = load(reference_model(name), loaded);

	CHECK(ok, "%s: %s", name, loaded->status.message);
	return ok;
}

/* Single members that only some of the models show. */
static void
check_reference_members(void)
{
	static const char *const tags[] = {"O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG"};
	Loaded		l;

	if (must_load("c01_three_labels", &l))
	{
		CHECK(l.model.config->num_labels == 3 &&
			  strcmp(l.model.labels[0], "negative") == 0 && strcmp(l.model.labels[2], "positive") == 0,
			  "c01: labels");
		CHECK(l.model.config->problem_type == ALBERT_PROBLEM_UNSET, "c01: problem type");
	}
	unload(&l);
	if (must_load("c03_multi_label", &l))
		CHECK(l.model.config->problem_type == ALBERT_PROBLEM_MULTI_LABEL && l.model.config->num_labels == 4,
			  "c03: problem type");
	unload(&l);
	if (must_load("c04_regression", &l))
		CHECK(l.model.config->problem_type == ALBERT_PROBLEM_REGRESSION && l.model.config->num_labels == 1,
			  "c04: problem type");
	unload(&l);
	if (must_load("t01_bio", &l))
		for (int i = 0; i < 6; i++)
			CHECK(l.model.config->num_labels == 6 && strcmp(l.model.labels[i], tags[i]) == 0, "t01: label %d", i);
	unload(&l);
	if (must_load("m12_short_positions_eps", &l))
		CHECK(l.model.config->max_position_embeddings == 40 && l.model.config->hidden_act == ALBERT_ACT_SILU &&
			  l.model.config->layer_norm_eps == 1e-5f && l.tokenizer.max_length <= 40, "m12: members");
	unload(&l);
	if (must_load("m09_untied", &l))
		CHECK(l.model.mlm_decoder.weight != l.model.word_embeddings.weight, "m09: decoder is tied");
	unload(&l);
	if (must_load("m07_bin_zip", &l))
		CHECK(l.model.mlm_decoder.weight == l.model.word_embeddings.weight, "m07: decoder is not tied");
	unload(&l);
	if (must_load("m10_base_noprefix", &l))
		CHECK(l.model.config->type_vocab_size == 4 && l.model.config->num_labels == 0, "m10: members");
	unload(&l);
}

/* Every kernel set and precision of this machine: sizes and bindings fit. */
static void
check_kernel_sets(void)
{
	const AlbertKernels *kernels;

	for (int i = 0; (kernels = AlbertKernelsAt(i)) != NULL; i++)
	{
		for (int precision = ALBERT_FP32; precision <= ALBERT_INT8; precision++)
		{
			Loaded		l;

			if (!kernels->usable() || !AlbertKernelsHave(kernels, precision))
				continue;
			if (!load_with(reference_model("m04_odd_sizes"), kernels, precision, NULL, &l))
				CHECK(false, "%s %s: %s", kernels->name, AlbertPrecisionName(precision), l.status.message);
			else
				CHECK(l.model.kernels == kernels && l.model.precision == precision &&
					  l.model.layers[0].ffn.precision == precision &&
					  l.model.pooler.precision == ALBERT_FP32, "%s %s: precision", kernels->name,
					  AlbertPrecisionName(precision));
			unload(&l);
		}
	}
}

/* ---- malformed directories ---- */

static const char *
malformed_directory(int argc, char **argv)
{
	static char directory[512];
	char		command[4096];

	if (argc > 1 || getenv("ALBERT_MALFORMED") != NULL)
		return argc > 1 ? argv[1] : getenv("ALBERT_MALFORMED");
	snprintf(directory, sizeof(directory), "%s/malformed", temp_root());
	snprintf(command, sizeof(command), "\"${PYTHON:-python3}\" '%s/gen/make_malformed.py' '%s' '%s' >'%s.log' 2>&1",
			 unit_reference(), reference_model("m01_plain"), directory, directory);
	CHECK(system(command) == 0, "%s failed", command);
	return directory;
}

/* Exit status of the child that loads a directory. */
#define LOADED		0
#define REFUSED		10
#define NO_MESSAGE	11
#define TOO_MUCH	12
#define FILES_OPEN	13

static int
load_in_child(const char *directory, int output)
{
	Loaded		loaded;
	int			before;
	int			result;

	dup2(output, 1);
	dup2(output, 2);
	alarm(60);
	before = open_files();
	result = load(directory, &loaded) ? LOADED : REFUSED;
	if (result == REFUSED && (loaded.status.code == ALBERT_OK || loaded.status.code == ALBERT_INTERNAL ||
							  loaded.status.message[0] == '\0'))
		result = NO_MESSAGE;
	if (loaded.arena.total > 64 * 1024 * 1024)
		result = TOO_MUCH;
	if (open_files() != before)
		result = FILES_OPEN;
	printf("%s\n", loaded.status.message);
	unload(&loaded);
	return result;
}

static void
check_malformed(const char *root, const char *name, const char *expect, const char *why)
{
	char		directory[4096];
	char		output[8192];
	int			pipes[2];
	size_t		used = 0;
	ssize_t		got;
	int			status;
	pid_t		child;

	snprintf(directory, sizeof(directory), "%s/%s", root, name);
	if (pipe(pipes) != 0)
		abort();
	fflush(stdout);
	child = fork();
	if (child == 0)
	{
		int			result;

		close(pipes[0]);
		result = load_in_child(directory, pipes[1]);
		fflush(stdout);
		_exit(result);
	}
	close(pipes[1]);
	while ((got = read(pipes[0], output + used, sizeof(output) - 1 - used)) > 0)
		used += got;
	output[used] = '\0';
	close(pipes[0]);
	waitpid(child, &status, 0);
	if (getenv("ALBERT_VERBOSE") != NULL)
		printf("%s: %s", name, output);
	CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == LOADED || WEXITSTATUS(status) == REFUSED),
		  "%s (%s): status %x: %s", name, why, status, output);
	CHECK(strstr(output, "PICKLE-PAYLOAD-RAN") == NULL, "%s: the pickle was executed", name);
	if (WIFEXITED(status) && strcmp(expect, "reject") == 0)
		CHECK(WEXITSTATUS(status) == REFUSED, "%s was accepted (%s)", name, why);
	if (WIFEXITED(status) && strcmp(expect, "accept") == 0)
		CHECK(WEXITSTATUS(status) == LOADED, "%s was refused (%s): %s", name, why, output);
}

static void
check_all_malformed(const char *root)
{
	FILE	   *manifest = fopen(text("%s/manifest.jsonl", root), "r");
	char		line[8192];
	int			n = 0;

	if (manifest == NULL)
	{
		CHECK(false, "%s has no manifest.jsonl", root);
		return;
	}
	while (fgets(line, sizeof(line), manifest) != NULL)
	{
		json_t	   *entry = json_loads(line, 0, NULL);
		const char *name = text("%s", json_string_value(json_object_get(entry, "dir")));
		const char *expect = text("%s", json_string_value(json_object_get(entry, "expect")));
		const char *why = text("%s", json_string_value(json_object_get(entry, "why")));

		json_decref(entry);		/* before the fork, or the child would seem to lose it */
		check_malformed(root, name, expect, why);
		n++;
	}
	fclose(manifest);
	CHECK(n > 100, "only %d malformed directories", n);
}

int
main(int argc, char **argv)
{
	int			before = open_files();

	for (int i = 0; i < NEXPECTED; i++)
		check_reference_model(&expected[i]);
	check_reference_members();
	check_kernel_sets();
	CHECK(open_files() == before, "files were left open");
	check_all_malformed(malformed_directory(argc, argv));
	remove_tree(temp_root());
	return unit_report();
}
