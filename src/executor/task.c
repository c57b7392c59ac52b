/*
 * task.c
 *	  From a SQL call to a job and its items, and the one way to run them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "portability/instr_time.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "executor/task.h"
#include "executor/text.h"

/* The workspace is kept between runs up to this size, so that a run allocates nothing. */
#define KEEP_WORKSPACE	((size_t) 64 * 1024 * 1024)

int			albert_batch_tokens = 512;
int			albert_overflow = ALBERT_OVERFLOW_TRUNCATE;

static const AlbertTaskName *task_names;
static int	ntasks;

static AlbertArena workspace;

/* ---------- signatures ---------- */

/* The task that a pg_proc row runs, a C function, told by its symbol; NULL when it is none. */
static const AlbertTask *
task_of_function(HeapTuple tuple)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	bool		isnull;
	Datum		source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	char	   *symbol;

	if (form->prolang != ClanguageId || isnull)
		return NULL;
	symbol = TextDatumGetCString(source);
	for (int i = 0; i < ntasks; i++)
	{
		if (strcmp(task_names[i].symbol, symbol) == 0)
			return task_names[i].task;
	}
	return NULL;
}

/* An optional pair is called second where it stands before the model. */
static bool
is_pair_argument(const AlbertTask *task, const char *name)
{
	return task->pair_arg != NULL &&
		(strcmp(name, task->pair_arg) == 0 || (!task->pair_needed && strcmp(name, "second") == 0));
}

static void
fill_signature(AlbertSignature *signature, HeapTuple tuple)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	Oid		   *types;
	char	  **names;
	char	   *modes;

	signature->function = form->oid;
	if (signature->task->combine != NULL)
		signature->result_len = -1;
	else
		get_typlenbyval(form->prorettype, &signature->result_len, &signature->result_byval);
	signature->returns_set = form->proretset;
	signature->nargs = form->pronargs;
	signature->text = signature->pair = signature->model = -1;
	if (signature->nargs > ALBERT_MAX_ARGS)
		elog(ERROR, "function \"%s\" has too many arguments", NameStr(form->proname));
	get_func_arg_info(tuple, &types, &names, &modes);
	for (int i = 0; i < signature->nargs; i++)
	{
		const char *name = names == NULL ? "" : names[i];

		signature->names[i] = pstrdup(name);
		signature->types[i] = types[i];
		get_typlenbyval(types[i], &signature->lens[i], &signature->byvals[i]);
		if (strcmp(name, signature->task->text_arg) == 0)
			signature->text = i;
		else if (is_pair_argument(signature->task, name))
			signature->pair = i;
		else if (strcmp(name, "model") == 0)
			signature->model = i;
	}
	if (signature->text < 0)
		elog(ERROR, "function \"%s\" has no argument named \"%s\"",
			 NameStr(form->proname), signature->task->text_arg);
}

/* task NULL: the one that the function's symbol names, if it names one. */
AlbertSignature *
AlbertSignatureFor(Oid function, const AlbertTask *task)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	AlbertSignature *signature = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (task == NULL)
		task = task_of_function(tuple);
	if (task != NULL)
	{
		signature = palloc0(sizeof(AlbertSignature));
		signature->task = task;
		fill_signature(signature, tuple);
	}
	ReleaseSysCache(tuple);
	return signature;
}

AlbertSignature *
AlbertSignatureOf(Oid function)
{
	return AlbertSignatureFor(function, NULL);
}

void
AlbertRequireExecute(Oid function)
{
	AclResult	result = AlbertFunctionAclCheck(function, GetUserId(), ACL_EXECUTE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
}

/* ---------- jobs and items ---------- */

static void
check_heads(const AlbertJob *job)
{
	uint32		heads = job->binding->model.config->heads;

	if ((job->task->heads & ~heads) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model \"%s\" has no head for %s", job->binding->name,
						AlbertHeadNames(job->task->heads & ~heads)),
				 heads == 0
				 ? errdetail("The model has no heads, only hidden states.")
				 : errdetail("The model's heads are: %s.", AlbertHeadNames(heads)),
				 errhint("SELECT name, heads FROM albert_models lists the models and their heads.")));
}

int
AlbertIntOption(const char *name, Datum value, int least, int most)
{
	int			number = DatumGetInt32(value);

	if (number < least || number > most)
	{
		if (most == INT_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be at least %d, not %d", name, least, number)));
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between %d and %d, not %d", name, least, most, number)));
	}
	return number;
}

static int
choose(const AlbertOption *option, Datum value)
{
	const char *name = AlbertCString(value);

	for (int i = 0; option->choices[i] != NULL; i++)
	{
		if (strcmp(name, option->choices[i]) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown %s \"%s\"", option->name, name),
			 errhint("%s", option->hint)));
}

/* What a call with a named model wants done with a long text. */
static int
overflow_option(const AlbertJob *job, const AlbertSignature *signature, Datum value)
{
	static const char *const names[] = {
		[ALBERT_OVERFLOW_TRUNCATE] = "truncate",
		[ALBERT_OVERFLOW_ERROR] = "error",
		[ALBERT_OVERFLOW_WINDOW] = "window",
		NULL
	};
	const AlbertTask *task = job->task;
	AlbertOption option = {
		.name = "overflow",
		.choices = names,
		.hint = task->windows ? "Overflow is truncate, error or window." : "Overflow is truncate or error."
	};
	int			overflow;

	/* as the model's option says */
	if (VARSIZE_ANY_EXHDR(DatumGetTextPP(value)) == 0)
		return job->overflow;
	overflow = choose(&option, value);
	if (overflow == ALBERT_OVERFLOW_WINDOW && !task->windows)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot see a long text in windows", get_func_name(signature->function)),
				 errhint("%s", option.hint)));
	return overflow;
}

/* False when the task has no such option. */
static bool
take_option(AlbertJob *job, const char *name, Datum value)
{
	const AlbertOption *option = job->task->options;
	char	   *place;

	while (option != NULL && option->name != NULL && strcmp(option->name, name) != 0)
		option++;
	if (option == NULL || option->name == NULL)
		return false;
	place = job->options.bytes + option->place;
	switch (option->kind)
	{
		case ALBERT_OPTION_TAKEN:
			option->take(job, value);
			break;
		case ALBERT_OPTION_BOOL:
			*(bool *) place = DatumGetBool(value);
			break;
		case ALBERT_OPTION_INT:
			*(int *) place = AlbertIntOption(name, value, option->least, option->most);
			break;
		case ALBERT_OPTION_FLOAT:
			*(float *) place = DatumGetFloat4(value);
			break;
		case ALBERT_OPTION_CHOICE:
			*(int *) place = choose(option, value);
			break;
	}
	return true;
}

/* To the store an empty name is the default's, which a function of a named model must not follow. */
static void
require_name(const char *model)
{
	if (*model == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("a model's name must not be empty"),
				 errhint("Leave the model out to use the one that albert.model names.")));
}

void
AlbertJobStartTask(AlbertJob *job, const AlbertTask *task, const char *model)
{
	if (model != NULL)
		require_name(model);
	memset(job, 0, sizeof(*job));
	job->task = task;
	job->binding = AlbertStoreAttach(model, task->text_only ? ALBERT_PART_TEXT : ALBERT_PART_WEIGHTS);
	job->overflow = model == NULL ? albert_overflow : job->binding->model.config->overflow;
	check_heads(job);
	if (task->init != NULL)
		task->init(job);
}

void
AlbertJobStart(AlbertJob *job, const AlbertSignature *signature, const NullableDatum *args)
{
	const AlbertTask *task = signature->task;
	const char *model = NULL;

	if (signature->model >= 0 && !args[signature->model].isnull)
		model = AlbertCString(args[signature->model].value);
	AlbertJobStartTask(job, task, model);
	for (int i = 0; i < signature->nargs; i++)
	{
		if (!AlbertIsOption(signature, i) || args[i].isnull)
			continue;
		if (strcmp(signature->names[i], "overflow") == 0)
			job->overflow = overflow_option(job, signature, args[i].value);
		else if (!take_option(job, signature->names[i], args[i].value))
			elog(ERROR, "%s has no option \"%s\"", get_func_name(signature->function), signature->names[i]);
	}
	if (task->check != NULL)
		task->check(job);
}

bool
AlbertItemFill(AlbertItem *item, const AlbertSignature *signature, const NullableDatum *args)
{
	memset(item, 0, sizeof(*item));
	item->isnull = true;
	if (args[signature->text].isnull ||
		(signature->pair >= 0 && args[signature->pair].isnull) ||
		(signature->model >= 0 && args[signature->model].isnull))
		return false;
	item->text = AlbertTextFromDatum(args[signature->text].value);
	if (signature->pair >= 0)
		item->pair = AlbertTextFromDatum(args[signature->pair].value);
	if (item->pair.size == 0 && !signature->task->pair_needed)
		item->pair.data = NULL;
	return true;
}

/* ---------- running ---------- */

/* What a run has grown beyond the cap goes back at once, and at the latest with the transaction when it failed. */
static void
trim_workspace(void)
{
	if (workspace.total > KEEP_WORKSPACE)
		AlbertArenaFree(&workspace);
	else
		AlbertArenaReset(&workspace);
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	trim_workspace();
}

/*
 * The arena every run works in.  Runs do not nest, and each starts from an
 * empty arena: what an error left behind is gone with the next run's reset.
 */
AlbertArena *
AlbertWorkspace(void)
{
	trim_workspace();
	return &workspace;
}

void
AlbertTasksRegister(const AlbertTaskName *names, int n)
{
	task_names = names;
	ntasks = n;
	AlbertArenaInitContext(&workspace, AllocSetContextCreate(TopMemoryContext, "albert workspace",
															 ALLOCSET_DEFAULT_SIZES));
	RegisterXactCallback(end_of_transaction, NULL);
}

static void
make_results(AlbertJob *job, AlbertItem *items, int n)
{
	for (int i = 0; i < n; i++)
	{
		AlbertArenaMark mark = AlbertArenaGetMark(job->arena);
		void		(*make) (AlbertJob *job, AlbertItem *item, int number) =
			items[i].rows != NULL ? job->task->rows : job->task->result;

		if (items[i].status != NULL || make == NULL)
			continue;
		make(job, &items[i], i);
		AlbertArenaRewind(job->arena, mark);
	}
}

void
AlbertTaskRun(AlbertJob *job, AlbertItem *items, int n)
{
	instr_time	start;
	instr_time	stop;

	if (n == 0)
		return;
	INSTR_TIME_SET_CURRENT(start);
	memset(&job->counts, 0, sizeof(job->counts));
	job->arena = AlbertWorkspace();
	if (job->task->run != NULL)
		job->task->run(job, items, n);
	make_results(job, items, n);
	AlbertWorkspace();
	INSTR_TIME_SET_CURRENT(stop);
	INSTR_TIME_SUBTRACT(stop, start);
	job->counts.calls = 1;
	job->counts.rows = n;
	job->counts.microseconds = INSTR_TIME_GET_MICROSEC(stop);
	AlbertStoreCount(job->binding, &job->counts);
}

bool
AlbertItemFail(const AlbertJob *job, AlbertItem *item, const AlbertStatus *status)
{
	if (job->raises)
		AlbertReport(status);
	item->status = palloc(sizeof(AlbertStatus));
	*item->status = *status;
	return false;
}

int
AlbertEstimateTokens(size_t bytes)
{
	/* English text has 4 to 5 bytes a piece; [CLS] and [SEP] come on top */
	size_t		tokens = bytes / 4 + 2;

	return tokens > INT_MAX ? INT_MAX : (int) tokens;
}
