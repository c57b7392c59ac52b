/*
 * bench_encoder.c
 *	  Times the bare encoder: tokens a second of one process, without a server.
 *
 *	  bench_encoder [options] DIRECTORY | SHAPE
 *
 * Instead of a directory a shape will do, for random weights: base, large,
 * xlarge, xxlarge, or LAYERSxHIDDENxHEADSxINTERMEDIATExEMBEDDING.
 * Texts are B times L tokens (--texts 8x128), or a stream of lengths that
 * are lognormally distributed (--texts short: median 24), cut into batches of
 * at most --batch-tokens.  Only the time of AlbertEncode counts (and of the
 * masked language model's head with --mlm); ids are random.
 *
 * Prints one line: the median over --rounds rounds of at least --seconds each.
 * With --serve it is driven by another program instead: see serve().
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "load_model.h"
#include "synthetic.h"

typedef struct Options
{
	const char *model;
	const char *kernels;
	const char *precision;
	const char *texts;
	const char *lengths;
	const char *wanted;
	int			batch_tokens;
	int			block_rows;
	int			rounds;
	double		seconds;
	bool		mlm;
	bool		csv;
	bool		cpu_time;
	bool		serve;
} Options;

typedef struct Workload
{
	int			nbatches;
	AlbertBatch *batches;
	int			ntexts;
	int			ntokens;
	double		flops;			/* multiplications and additions, attention included */
} Workload;

static uint64_t seed = 42;

static double
uniform(void)
{
	return (synthetic_random(&seed) + 1) / 2;
}

static double
clock_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_encoder: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	exit(2);
}

static void *
allocate(size_t size)
{
	void	   *result = calloc(1, size);

	if (result == NULL)
		fail("out of memory", "");
	return result;
}

/* ---- the model ---- */

static AlbertPrecision
precision_named(const char *name)
{
	for (int i = ALBERT_FP32; i <= ALBERT_INT8; i++)
		if (strcmp(AlbertPrecisionName(i), name) == 0)
			return i;
	fail("unknown precision", name);
	return ALBERT_FP32;
}

/* The published shapes by name, or layers x hidden x heads x intermediate x embedding. */
static bool
shape_named(const char *name, AlbertConfig *config)
{
	static const char *const shapes[][2] = {
		{"base", "12x768x12x3072x128"}, {"large", "24x1024x16x4096x128"},
		{"xlarge", "24x2048x16x8192x128"}, {"xxlarge", "12x4096x64x16384x128"},
	};

	for (int i = 0; i < 4; i++)
		if (strcmp(shapes[i][0], name) == 0)
			name = shapes[i][1];
	*config = (AlbertConfig)
	{
		.vocab_size = 30000,.num_hidden_groups = 1,.inner_group_num = 1,
			.max_position_embeddings = 512,.type_vocab_size = 2,
			.hidden_act = ALBERT_ACT_GELU_NEW,.layer_norm_eps = 1e-12f
	};
	return sscanf(name, "%dx%dx%dx%dx%d", &config->num_hidden_layers, &config->hidden_size,
				  &config->num_attention_heads, &config->intermediate_size,
				  &config->embedding_size) == 5;
}

static const AlbertModel *
get_model(const Options *options, size_t *bytes)
{
	static LoadedModel loaded;
	static Synthetic synthetic;
	AlbertPrecision precision = precision_named(options->precision);
	AlbertConfig shape;
	AlbertStatus status;
	const AlbertKernels *kernels = AlbertKernelsFind(options->kernels, precision, &status);

	if (kernels == NULL)
		fail("no such kernels", status.message);
	if (shape_named(options->model, &shape))
	{
		synthetic_init(&synthetic, &shape, kernels, precision, 1);
		*bytes = synthetic.arena.total;
		return &synthetic.model;
	}
	if (!load_model(&loaded, options->model, kernels, precision, &status))
		fail(options->model, status.message);
	*bytes = loaded.sizes[ALBERT_PART_WEIGHTS];
	return &loaded.model;
}

/* ---- the texts ---- */

/* Lognormal with median 24 and sigma 0.6, [CLS] and [SEP] included; as short texts in a table are. */
static int
short_length(int longest)
{
	double		u = uniform();
	double		normal = sqrt(-2 * log(u > 1e-12 ? u : 1e-12)) * cos(2 * M_PI * uniform());
	int			length = (int) lrint(24 * exp(0.6 * normal));

	return length < 3 ? 3 : length > longest ? longest : length;
}

static double
flops_of(const AlbertConfig *config, int length, double rows_of_last)
{
	double		h = config->hidden_size;
	double		row = 2 * (4 * h * h + 2 * h * config->intermediate_size) + 4 * h * length;
	double		last_row = 2 * (2 * h * h + 2 * h * config->intermediate_size) + 4 * h * length;
	int			n = config->num_hidden_layers * config->inner_group_num;

	return 2 * h * config->embedding_size * length + row * length * (n - 1) +
		4 * h * h * length + last_row * rows_of_last;
}

static void
add_batch(const Options *options, const AlbertConfig *config, Workload *load,
		  const int *lengths, int ntexts)
{
	AlbertBatch *batch = &load->batches[load->nbatches++];
	int32_t    *start = allocate((ntexts + 1) * sizeof(int32_t));
	int32_t    *ids;
	int32_t    *wanted;
	bool		all = strcmp(options->wanted, "all") == 0;

	for (int i = 0; i < ntexts; i++)
		start[i + 1] = start[i] + lengths[i];
	ids = allocate(start[ntexts] * sizeof(int32_t));
	wanted = allocate(ntexts * sizeof(int32_t));
	for (int i = 0; i < start[ntexts]; i++)
		ids[i] = (int) (uniform() * config->vocab_size) % config->vocab_size;
	for (int i = 0; i < ntexts; i++)
	{
		wanted[i] = start[i];
		load->flops += flops_of(config, lengths[i], all ? lengths[i] : 1);
	}
	*batch = (AlbertBatch)
	{
		.ntexts = ntexts,.ntokens = start[ntexts],.ids = ids,.text_start = start,
			.wanted = all ? NULL : wanted,.nwanted = all ? 0 : ntexts
	};
	if (all)
		free(wanted);
	load->ntexts += ntexts;
	load->ntokens += batch->ntokens;
}

/* A batch a line: the lengths of its texts, with blanks between. */
static void
read_workload(const Options *options, const char *path, const AlbertConfig *config, Workload *load)
{
	FILE	   *file = fopen(path, "r");
	char	   *line = NULL;
	size_t		size = 0;
	int			max = 64;

	if (file == NULL)
		fail("cannot read", path);
	memset(load, 0, sizeof(*load));
	load->batches = allocate(max * sizeof(AlbertBatch));
	while (getline(&line, &size, file) > 0)
	{
		int		   *lengths = allocate((strlen(line) / 2 + 1) * sizeof(int));
		int			n = 0;
		char	   *p = line;
		char	   *end;

		for (long length = strtol(p, &end, 10); end != p; length = strtol(p, &end, 10))
		{
			lengths[n++] = (int) length;
			p = end;
		}
		if (load->nbatches == max)
		{
			max *= 2;
			load->batches = realloc(load->batches, max * sizeof(AlbertBatch));
			if (load->batches == NULL)
				fail("out of", "memory");
		}
		if (n > 0)
			add_batch(options, config, load, lengths, n);
		free(lengths);
	}
	free(line);
	fclose(file);
}

static void
free_workload(Workload *load)
{
	for (int i = 0; i < load->nbatches; i++)
	{
		free((void *) load->batches[i].ids);
		free((void *) load->batches[i].text_start);
		free((void *) load->batches[i].wanted);
	}
	free(load->batches);
	memset(load, 0, sizeof(*load));
}

static void
make_workload(const Options *options, const AlbertConfig *config, Workload *load)
{
	enum
	{
		NSHORT = 400
	};
	int			count;
	int			length;
	int		   *lengths;
	int			first = 0;
	int			tokens = 0;

	memset(load, 0, sizeof(*load));
	load->batches = allocate(NSHORT * sizeof(AlbertBatch));
	if (sscanf(options->texts, "%dx%d", &count, &length) == 2 && count > 0 && length > 0)
	{
		lengths = allocate(count * sizeof(int));
		for (int i = 0; i < count; i++)
			lengths[i] = length;
		add_batch(options, config, load, lengths, count);
		free(lengths);
		return;
	}
	if (strcmp(options->texts, "short") != 0)
		fail("texts are BxL or short", options->texts);
	lengths = allocate(NSHORT * sizeof(int));
	for (int i = 0; i < NSHORT; i++)
	{
		lengths[i] = short_length(config->max_position_embeddings);
		if (i > first && tokens + lengths[i] > options->batch_tokens)
		{
			add_batch(options, config, load, lengths + first, i - first);
			first = i;
			tokens = 0;
		}
		tokens += lengths[i];
	}
	add_batch(options, config, load, lengths + first, NSHORT - first);
	free(lengths);
}

/* ---- timing ---- */

static void
run_batch(const Options *options, const AlbertModel *model, const AlbertBatch *batch,
		  AlbertArena *arena)
{
	AlbertRun	run = {.arena = arena,.block_rows = options->block_rows};
	AlbertRows	hidden;
	AlbertRows	logits;
	AlbertStatus status;

	if (!AlbertEncode(model, batch, &run, &hidden, &status) ||
		(options->mlm && !AlbertHeadMlm(model, &hidden, &run, &logits, &status)))
		fail("run", status.message);
	AlbertArenaReset(arena);
}

static int
by_value(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* Seconds for the whole workload, the median of the rounds; by the wall's clock and by the processor's. */
typedef struct Measured
{
	double		wall;
	double		cpu;
} Measured;

static Measured
measure(const Options *options, const AlbertModel *model, const Workload *load,
		AlbertArena *arena)
{
	double	   *wall = allocate(options->rounds * sizeof(double));
	double	   *cpu = allocate(options->rounds * sizeof(double));
	Measured	median;

	for (int i = 0; i < load->nbatches; i++)
		run_batch(options, model, &load->batches[i], arena);
	for (int round = 0; round < options->rounds; round++)
	{
		double		start = clock_of(CLOCK_MONOTONIC);
		double		cpu_start = clock_of(CLOCK_PROCESS_CPUTIME_ID);
		int			times = 0;

		do
		{
			for (int i = 0; i < load->nbatches; i++)
				run_batch(options, model, &load->batches[i], arena);
			times++;
		} while (clock_of(CLOCK_MONOTONIC) - start < options->seconds);
		wall[round] = (clock_of(CLOCK_MONOTONIC) - start) / times;
		cpu[round] = (clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_start) / times;
	}
	qsort(wall, options->rounds, sizeof(double), by_value);
	qsort(cpu, options->rounds, sizeof(double), by_value);
	median.wall = wall[options->rounds / 2];
	median.cpu = cpu[options->rounds / 2];
	free(wall);
	free(cpu);
	return median;
}

/*
 * Driven through standard input, so that turns of other engines can come
 * between without loading the model again.  A line with the name of a file
 * (as of --lengths) makes that the workload and answers with its tokens; an
 * empty line makes one pass over it and answers with the seconds.
 */
static void
serve(const Options *options, const AlbertModel *model, AlbertArena *arena)
{
	Workload	load = {0};
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		n;

	while ((n = getline(&line, &size, stdin)) > 0)
	{
		line[n - (line[n - 1] == '\n')] = '\0';
		if (line[0] != '\0')
		{
			free_workload(&load);
			read_workload(options, line, model->config, &load);
			printf("%d\n", load.ntokens);
		}
		else
		{
			double		start = clock_of(CLOCK_MONOTONIC);

			for (int i = 0; i < load.nbatches; i++)
				run_batch(options, model, &load.batches[i], arena);
			printf("%.6f\n", clock_of(CLOCK_MONOTONIC) - start);
		}
		fflush(stdout);
	}
	free_workload(&load);
	free(line);
}

static void
print_usage(void)
{
	printf("usage: bench_encoder [options] DIRECTORY | SHAPE\n"
		   "  SHAPE: base, large, xlarge, xxlarge, or as 4x256x4x1024x64\n"
		   "  --kernels NAME       kernel set (auto)\n"
		   "  --precision NAME     fp32, bf16 or int8 (fp32)\n"
		   "  --texts BxL | short  B texts of L tokens, or lengths around 24 (short)\n"
		   "  --lengths FILE       instead: a batch a line, the lengths of its texts\n"
		   "  --batch-tokens N     most tokens a batch of short texts (256)\n"
		   "  --wanted all|first   rows whose final state is needed (all)\n"
		   "  --block-rows N       rows worked on together (0: as the encoder chooses)\n"
		   "  --mlm                the masked language model's head too, on the wanted rows\n"
		   "  --rounds N           the median of N rounds (5)\n"
		   "  --seconds S          each at least so long (0.5)\n"
		   "  --cpu-time           count processor time, for machines with other work to do\n"
		   "  --csv                comma-separated\n"
		   "  --serve              workloads and passes as standard input says\n");
}

static void
get_options(int argc, char **argv, Options *options)
{
	static const struct option names[] = {
		{"kernels", required_argument, NULL, 'k'}, {"precision", required_argument, NULL, 'p'},
		{"texts", required_argument, NULL, 't'},
		{"lengths", required_argument, NULL, 'l'}, {"batch-tokens", required_argument, NULL, 'b'},
		{"wanted", required_argument, NULL, 'w'}, {"block-rows", required_argument, NULL, 'B'},
		{"mlm", no_argument, NULL, 'm'}, {"rounds", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'}, {"csv", no_argument, NULL, 'c'},
		{"cpu-time", no_argument, NULL, 'C'}, {"serve", no_argument, NULL, 'S'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}
	};
	int			c;

	*options = (Options)
	{
		.kernels = "auto",.precision = "fp32",.texts = "short",.wanted = "all",
			.batch_tokens = 256,.rounds = 5,.seconds = 0.5
	};
	while ((c = getopt_long(argc, argv, "h", names, NULL)) != -1)
	{
		switch (c)
		{
			case 'k':
				options->kernels = optarg;
				break;
			case 'l':
				options->lengths = optarg;
				options->texts = "given";
				break;
			case 'p':
				options->precision = optarg;
				break;
			case 't':
				options->texts = optarg;
				break;
			case 'b':
				options->batch_tokens = atoi(optarg);
				break;
			case 'w':
				options->wanted = optarg;
				break;
			case 'B':
				options->block_rows = atoi(optarg);
				break;
			case 'm':
				options->mlm = true;
				break;
			case 'r':
				options->rounds = atoi(optarg) > 0 ? atoi(optarg) : 1;
				break;
			case 's':
				options->seconds = atof(optarg);
				break;
			case 'C':
				options->cpu_time = true;
				break;
			case 'S':
				options->serve = true;
				break;
			case 'c':
				options->csv = true;
				break;
			default:
				print_usage();
				exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind + 1 != argc)
	{
		print_usage();
		exit(2);
	}
	options->model = argv[optind];
}

int
main(int argc, char **argv)
{
	Options		options;
	Workload	load;
	AlbertArena arena;
	const AlbertModel *model;
	size_t		bytes = 0;
	Measured	time;
	double		seconds;

	get_options(argc, argv, &options);
	model = get_model(&options, &bytes);
	if (options.serve)
	{
		AlbertArenaInitMalloc(&arena);
		serve(&options, model, &arena);
		AlbertArenaFree(&arena);
		return 0;
	}
	if (options.lengths != NULL)
		read_workload(&options, options.lengths, model->config, &load);
	else
		make_workload(&options, model->config, &load);
	AlbertArenaInitMalloc(&arena);
	time = measure(&options, model, &load, &arena);
	seconds = options.cpu_time ? time.cpu : time.wall;
	if (options.csv)
		printf("%s,%s,%s,%s,%d,%s,%d,%d,%d,%.6f,%.1f,%.2f,%zu,%zu,%.2f\n",
			   options.model, model->kernels->name, options.precision, options.texts,
			   options.batch_tokens, options.wanted, load.ntexts, load.ntokens, load.nbatches,
			   seconds, load.ntokens / seconds, load.flops / seconds / 1e9, bytes, arena.total,
			   time.cpu / time.wall);
	else
		printf("%-8s %-9s %-4s %-8s wanted %-5s: %9.0f tokens/s  %8.3f ms a batch (%d tokens)  %6.1f GFLOP/s"
			   "  weights %.1f MB  work %.1f MB%s\n",
			   strrchr(options.model, '/') != NULL ? strrchr(options.model, '/') + 1 : options.model,
			   model->kernels->name, options.precision, options.texts, options.wanted,
			   load.ntokens / seconds, seconds / load.nbatches * 1000, load.ntokens / load.nbatches,
			   load.flops / seconds / 1e9, bytes / 1e6, arena.total / 1e6,
			   time.cpu < 0.95 * time.wall ? "  (the processor was shared)" : "");
	AlbertArenaFree(&arena);
	return 0;
}
