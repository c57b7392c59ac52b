/*
 * similar_parallel.c
 *	  The search for similar pairs, shared out among parallel workers.
 *
 * The vectors lie in the workers' shared memory.  Everybody takes the next
 * block of rows from one counter, the largest part of the work first, until
 * none is left.  Workers send what they find; the leader, which works as well,
 * looks at what has come between its own products.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "functions/embedding.h"
#include "functions/functions.h"
#include "functions/similar.h"
#include "store/store.h"

#define KEY_SHARED		UINT64CONST(1)
#define KEY_VALUES		UINT64CONST(2)
#define KEY_QUEUES		UINT64CONST(3)
#define QUEUE_BYTES		((Size) 65536)
#define SENT_PAIRS		512		/* at a time */
#define OPERATIONS		1000	/* products that cost as much as one of the planner's operators */

extern PGDLLEXPORT void AlbertPairsWorker(dsm_segment *segment, shm_toc *toc);

typedef struct FoundPair
{
	int			a;
	int			b;
	float		similarity;
} FoundPair;

typedef struct PairsShared
{
	int			n;
	int			width;
	float		least;
	pg_atomic_uint32 next;		/* the block that nobody has taken yet */
} PairsShared;

typedef struct Search
{
	const AlbertVectors *vectors;
	float		least;
	PairsShared *shared;		/* NULL: nobody helps */
	AlbertPairTake take;
	void	   *context;
} Search;

/* ---------- what everybody does ---------- */

static void
found(void *context, int a, int b)
{
	const Search *search = context;
	const AlbertVectors *vectors = search->vectors;
	float		similarity = (float) AlbertCosine(vectors->values + (Size) a * vectors->width,
												  vectors->values + (Size) b * vectors->width, vectors->width);

	if (similarity >= search->least)
		search->take(search->context, a, b, similarity);
}

static int
next_block(void *context)
{
	return pg_atomic_fetch_add_u32(&((const Search *) context)->shared->next, 1);
}

static void
run(const Search *search)
{
	AlbertStatus status;
	const AlbertKernels *kernels = AlbertKernelsFind(albert_kernel, ALBERT_FP32, &status);

	if (kernels == NULL ||
		!AlbertNearPairs(search->vectors, search->least, kernels, search->shared != NULL ? next_block : NULL,
						 found, unconstify(Search *, search), &status))
		AlbertReport(&status);
}

/* ---------- workers ---------- */

typedef struct Sender
{
	shm_mq_handle *queue;
	bool		alone;			/* the leader has gone */
	int			n;
	FoundPair	pairs[SENT_PAIRS];
} Sender;

static void
flush(Sender *sender)
{
	if (sender->n > 0 && !sender->alone)
		sender->alone = AlbertQueueSend(sender->queue, sender->n * sizeof(FoundPair), sender->pairs) != SHM_MQ_SUCCESS;
	sender->n = 0;
}

static void
send_pair(void *context, int a, int b, float similarity)
{
	Sender	   *sender = context;

	sender->pairs[sender->n++] = (FoundPair) {a, b, similarity};
	if (sender->n == SENT_PAIRS)
		flush(sender);
}

void
AlbertPairsWorker(dsm_segment *segment, shm_toc *toc)
{
	PairsShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	char	   *queues = shm_toc_lookup(toc, KEY_QUEUES, false);
	shm_mq	   *queue = (shm_mq *) (queues + ParallelWorkerNumber * QUEUE_BYTES);
	Sender	   *sender = palloc0(sizeof(Sender));
	AlbertArena arena;
	AlbertVectors vectors = {
		.n = shared->n, .width = shared->width, .values = shm_toc_lookup(toc, KEY_VALUES, false), .arena = &arena,
		.stopped = AlbertStopped
	};
	Search		search = {
		.vectors = &vectors, .least = shared->least, .shared = shared, .take = send_pair, .context = sender
	};

	AlbertArenaInitContext(&arena, CurrentMemoryContext);
	shm_mq_set_sender(queue, MyProc);
	sender->queue = shm_mq_attach(queue, segment, NULL);
	run(&search);
	flush(sender);
	shm_mq_detach(sender->queue);
}

/* ---------- the leader ---------- */

typedef struct Leader
{
	int			nqueues;
	shm_mq_handle **queues;		/* NULL: all of it has come */
	AlbertPairTake take;
	void	   *context;
} Leader;

/* Whose search this process leads, for what is asked between products. */
static Leader *leading;

/* Take what has come; false when more may come. */
static bool
take_sent(Leader *leader)
{
	bool		all = true;

	for (int i = 0; i < leader->nqueues; i++)
	{
		shm_mq_result result = SHM_MQ_SUCCESS;

		while (leader->queues[i] != NULL && result == SHM_MQ_SUCCESS)
		{
			Size		size;
			void	   *data;

			result = shm_mq_receive(leader->queues[i], &size, &data, true);
			for (Size k = 0; result == SHM_MQ_SUCCESS && k < size / sizeof(FoundPair); k++)
			{
				const FoundPair *pair = (const FoundPair *) data + k;

				leader->take(leader->context, pair->a, pair->b, pair->similarity);
			}
			if (result == SHM_MQ_DETACHED)
				leader->queues[i] = NULL;
		}
		all = all && leader->queues[i] == NULL;
	}
	return all;
}

static bool
leader_stopped(void)
{
	CHECK_FOR_INTERRUPTS();
	(void) take_sent(leading);
	return false;
}

/* How many workers are worth starting. */
static int
wanted_workers(const AlbertVectors *vectors)
{
	double		cost = (double) vectors->n * vectors->n * vectors->width / OPERATIONS * cpu_operator_cost;
	int			blocks = (vectors->n + ALBERT_PAIR_ROWS - 1) / ALBERT_PAIR_ROWS;

	if (IsInParallelMode() || cost <= parallel_setup_cost ||
		!AlbertMemoryHasRoom((Size) vectors->n * vectors->width * sizeof(float)))
		return 0;
	return Min(max_parallel_workers_per_gather, blocks - 1);
}

/* The workers' shared memory, with the vectors in it. */
static PairsShared *
share(ParallelContext *context, AlbertVectors *vectors, float least)
{
	Size		size = (Size) vectors->n * vectors->width * sizeof(float);
	PairsShared *shared;
	float	   *values;
	char	   *queues;

	shm_toc_estimate_chunk(&context->estimator, sizeof(PairsShared));
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_chunk(&context->estimator, context->nworkers * QUEUE_BYTES);
	shm_toc_estimate_keys(&context->estimator, 3);
	InitializeParallelDSM(context);
	shared = shm_toc_allocate(context->toc, sizeof(PairsShared));
	shared->n = vectors->n;
	shared->width = vectors->width;
	shared->least = least;
	pg_atomic_init_u32(&shared->next, 0);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	values = shm_toc_allocate(context->toc, size);
	memcpy(values, vectors->values, size);
	shm_toc_insert(context->toc, KEY_VALUES, values);
	pfree(unconstify(float *, vectors->values));
	vectors->values = values;
	queues = shm_toc_allocate(context->toc, context->nworkers * QUEUE_BYTES);
	for (int i = 0; i < context->nworkers; i++)
		shm_mq_set_receiver(shm_mq_create(queues + i * QUEUE_BYTES, QUEUE_BYTES), MyProc);
	shm_toc_insert(context->toc, KEY_QUEUES, queues);
	return shared;
}

static void
listen_to_workers(Leader *leader, ParallelContext *context)
{
	char	   *queues = shm_toc_lookup(context->toc, KEY_QUEUES, false);

	leader->nqueues = context->nworkers_launched;
	leader->queues = palloc0(Max(leader->nqueues, 1) * sizeof(shm_mq_handle *));
	for (int i = 0; i < leader->nqueues; i++)
		leader->queues[i] = shm_mq_attach((shm_mq *) (queues + i * QUEUE_BYTES), context->seg,
										  context->worker[i].bgwhandle);
}

static void
wait_for_rest(Leader *leader)
{
	while (!take_sent(leader))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
AlbertSimilarPairs(AlbertVectors *vectors, float least, AlbertPairTake take, void *context)
{
	Search		search = {.vectors = vectors, .least = least, .take = take, .context = context};
	Leader		leader = {.take = take, .context = context};
	int			nworkers = wanted_workers(vectors);
	ParallelContext *workers;

	if (nworkers <= 0)
	{
		run(&search);
		return;
	}
	EnterParallelMode();
	workers = CreateParallelContext("albert", "AlbertPairsWorker", nworkers);
	search.shared = share(workers, vectors, least);
	LaunchParallelWorkers(workers);
	listen_to_workers(&leader, workers);
	leading = &leader;
	vectors->stopped = leader_stopped;
	run(&search);
	wait_for_rest(&leader);
	WaitForParallelWorkersToFinish(workers);
	DestroyParallelContext(workers);
	ExitParallelMode();
	vectors->values = NULL;
}
