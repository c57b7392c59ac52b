/*
 * test_formats_head.c
 *	  Trained heads: written and read again, what is refused of their files,
 *	  and that a directory which holds one is no model.
 */
#include "formats_case.h"

#define BASE	"\"base\": \"b\", \"base_sha256\": \"00\""

static void
append(void *context, const void *bytes, size_t size)
{
	fwrite(bytes, 1, size, context);
}

/* The files of a head in a directory of its own. */
static void
write_head(Case *c, const char *name, const AlbertTrainedHead *head)
{
	AlbertArena arena;
	AlbertStatus status;
	const char *config;
	FILE	   *file;

	begin_case(c, name);
	AlbertArenaInitMalloc(&arena);
	config = AlbertHeadConfig(head, NULL, &arena, &status);
	CHECK(config != NULL, "%s: %s", name, config == NULL ? status.message : "");
	write_text(c->directory, "config.json", config);
	file = fopen(text("%s/model.safetensors", c->directory), "wb");
	CHECK(AlbertHeadWrite(head, NULL, &arena, append, file, &status), "%s: weights", name);
	fclose(file);
	AlbertArenaFree(&arena);
}

static void
test_again(void)
{
	static const char *const labels[] = {"one", "\xc3\xa4 \"two\"", ""};
	static const float weights[] = {1, -2, 3, 0.5f, 0.25f, -7};
	static const float bias[] = {0, 1, -1};
	const AlbertTrainedHead head = {
		.problem = ALBERT_PROBLEM_MULTI_LABEL, .nlabels = 3, .labels = labels, .pairs = true, .width = 2,
		.weights = weights, .bias = bias, .base = "albert-mini", .base_sha256 = "0123"
	};
	const AlbertTrainedHead *again;
	AlbertSource *source;
	AlbertStatus status;
	AlbertArena arena;
	Case		c;
	int			before = open_files();

	write_head(&c, "again", &head);
	AlbertArenaInitMalloc(&arena);
	CHECK(AlbertSourceOpen(c.directory, &arena, &source, &status), "%s", status.message);
	again = AlbertSourceHead(source);
	CHECK(again != NULL, "a head is read as one");
	AlbertSourceClose(source);
	CHECK(again->problem == head.problem && again->nlabels == 3 && again->pairs && again->width == 2 &&
		  strcmp(again->base, head.base) == 0 && strcmp(again->base_sha256, head.base_sha256) == 0, "members");
	for (int i = 0; i < 3; i++)
		CHECK(strcmp(again->labels[i], labels[i]) == 0, "label %d: %s", i, again->labels[i]);
	CHECK(memcmp(again->weights, weights, sizeof(weights)) == 0 && memcmp(again->bias, bias, sizeof(bias)) == 0, "numbers");
	CHECK(open_files() == before, "files left open");
	AlbertArenaFree(&arena);
	refuse(&c, ALBERT_UNSUPPORTED, "is no model by itself");
}

static void
check_refused(const char *name, const char *config, int rows, int cols, int biases, const char *message)
{
	Stored		tensors[2] = {{"classifier.weight", "F32", rows, cols, 1}, {"classifier.bias", "F32", 0, biases, 2}};
	Case		c;

	begin_case(&c, name);
	write_text(c.directory, "config.json", config);
	write_tensors(c.directory, "model.safetensors", tensors, 2);
	refuse(&c, message == NULL ? ALBERT_UNSUPPORTED : ALBERT_FORMAT, message == NULL ? "no model by itself" : message);
}

static void
test_refused(void)
{
	static const char good[] = "{" BASE ", \"problem_type\": \"regression\", \"labels\": [\"v\", \"w\"]}";
	const float	bad[] = {0, 1.0f / 0.0f};
	const AlbertTrainedHead infinite = {
		.problem = ALBERT_PROBLEM_REGRESSION, .nlabels = 1, .labels = (const char *const[]) {"v"}, .width = 2,
		.weights = bad, .bias = bad, .base = "b", .base_sha256 = "00"
	};
	Case		c;

	check_refused("good", good, 2, 3, 2, NULL);
	check_refused("no_base", "{\"base_sha256\": \"00\", \"problem_type\": \"regression\", \"labels\": [\"v\"]}", 1, 3, 1, "has no valid base");
	check_refused("base_number", "{\"base\": 1, \"base_sha256\": \"00\", \"problem_type\": \"regression\", \"labels\": [\"v\"]}", 1, 3, 1, "has no valid base");
	check_refused("no_problem", "{" BASE ", \"labels\": [\"v\"]}", 1, 3, 1, "problem_type");
	check_refused("no_labels", "{" BASE ", \"problem_type\": \"regression\"}", 1, 3, 1, "labels");
	check_refused("labels_object", "{" BASE ", \"problem_type\": \"regression\", \"labels\": {}}", 1, 3, 1, "labels");
	check_refused("label_number", "{" BASE ", \"problem_type\": \"regression\", \"labels\": [1]}", 1, 3, 1, "a label");
	check_refused("rows", good, 3, 3, 2, "classifier.weight");
	check_refused("biases", good, 2, 3, 3, "classifier.bias");
	check_refused("vector", good, 0, 3, 2, "classifier.weight");
	write_head(&c, "infinite", &infinite);
	refuse(&c, ALBERT_FORMAT, "not a finite number");
}

int
main(void)
{
	find_spiece();
	test_again();
	test_refused();
	remove_tree(temp_root());
	return unit_report();
}
