/*
 * list.c
 *	  What models there are and what they have done, for the views.
 */
#include "store/registry.h"

#include <sys/stat.h>

#include "storage/fd.h"
#include "utils/memutils.h"

/* ---- entries ---- */

static char *
hex(const uint8 *bytes, int n)
{
	char	   *text = palloc(2 * n + 1);
	int			i;

	for (i = 0; i < n; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	return text;
}

static void
fill_facts(AlbertModelEntry *entry, const AlbertFacts *facts)
{
	entry->architecture = AlbertCleanText(facts->architecture);
	entry->heads = facts->heads;
	entry->parameters = facts->parameters;
	entry->layers = facts->layers;
	entry->hidden_size = facts->hidden_size;
}

static AlbertModelEntry *
new_entry(const char *name, const char *path)
{
	AlbertModelEntry *entry = palloc0(sizeof(AlbertModelEntry));

	entry->name = AlbertCleanText(name);
	entry->origin = "directory";
	entry->file_bytes = -1;
	if (path[0] != '\0' && AlbertMaySeePaths())
		entry->path = AlbertCleanText(path);
	return entry;
}

static void
fill_broken(AlbertModelEntry *entry, const char *error)
{
	entry->state = "broken";
	entry->error = AlbertCleanText(error);
}

static const char *
status_text(const AlbertStatus *status)
{
	return psprintf("%s%s%s", status->message, status->detail[0] != '\0' ? ": " : "", status->detail);
}

/* ---- can the tokenizer be compiled? ---- */

static bool
find_verdict(uint64 fingerprint, char *error)
{
	AlbertRegistry *registry = AlbertRegistryGet();
	bool		found = false;
	int			i;

	LWLockAcquire(&registry->lock, LW_SHARED);
	for (i = 0; i < ALBERT_NVERDICTS && !found; i++)
	{
		found = registry->verdicts[i].fingerprint == fingerprint;
		if (found)
			memcpy(error, registry->verdicts[i].error, sizeof(registry->verdicts[i].error));
	}
	LWLockRelease(&registry->lock);
	return found;
}

static void
note_verdict(uint64 fingerprint, const char *error)
{
	AlbertRegistry *registry = AlbertRegistryGet();
	AlbertVerdict *verdict;

	LWLockAcquire(&registry->lock, LW_EXCLUSIVE);
	verdict = &registry->verdicts[registry->next_verdict];
	registry->next_verdict = (registry->next_verdict + 1) % ALBERT_NVERDICTS;
	verdict->fingerprint = fingerprint;
	strlcpy(verdict->error, error, sizeof(verdict->error));
	LWLockRelease(&registry->lock);
}

/* Tried once a cluster, as long as the files are the same.  Empty when it can be. */
static void
tokenizer_error(AlbertSource *source, char *error)
{
	uint64		fingerprint = AlbertSourceFingerprint(source);
	AlbertStatus status;

	if (find_verdict(fingerprint, error))
		return;
	error[0] = '\0';
	if (AlbertImageSize(source, ALBERT_PART_TEXT, NULL, ALBERT_FP32, &status) == 0)
	{
		if (status.code == ALBERT_NO_MEMORY || status.code == ALBERT_CANCELLED)
			AlbertReport(&status);
		strlcpy(error, status_text(&status), sizeof(((AlbertVerdict *) NULL)->error));
	}
	note_verdict(fingerprint, error);
}

/* Facts from the files of a directory, or why there are none. */
static void
fill_from_directory(AlbertModelEntry *entry, const char *directory)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "albert model directory",
												  ALLOCSET_DEFAULT_SIZES);
	char		error[sizeof(((AlbertVerdict *) NULL)->error)];
	AlbertArena arena;
	AlbertSource *source;
	AlbertStatus status;

	AlbertArenaInitContext(&arena, context);
	if (AlbertSourceOpen(directory, &arena, &source, &status))
	{
		AlbertFacts facts;

		PG_TRY();
		{
			AlbertSourceFacts(source, directory, &facts);
			tokenizer_error(source, error);
		}
		PG_FINALLY();
		{
			AlbertSourceClose(source);
		}
		PG_END_TRY();
		fill_facts(entry, &facts);
		entry->state = "available";
		if (error[0] != '\0')
			fill_broken(entry, error);
	}
	else
		fill_broken(entry, status_text(&status));
	MemoryContextDelete(context);
}

static void
fill_from_slot(AlbertModelEntry *entry, const AlbertSlot *slot, const char *directory)
{
	const AlbertStoredImage *weights = &slot->images[ALBERT_PART_WEIGHTS];
	const AlbertKernels *kernels = AlbertKernelsById(slot->key.kernels);
	int			i;

	if (slot->facts.architecture[0] != '\0')
		fill_facts(entry, &slot->facts);
	else if (directory[0] != '\0')
		fill_from_directory(entry, directory);

	if (slot->loader != 0)
		entry->state = "loading";
	else
		entry->state = weights->ready ? "loaded" : "tokenizer";
	entry->error = NULL;
	for (i = 0; i < ALBERT_NPARTS; i++)
	{
		if (slot->images[i].ready)
			entry->shared_bytes += slot->images[i].size;
	}
	if (slot->images[ALBERT_PART_TEXT].ready)
		entry->loaded_at = slot->loaded_at;
	if (weights->ready)
	{
		entry->precision = AlbertPrecisionName(slot->key.precision);
		entry->kernel = kernels != NULL ? kernels->name : NULL;
		if (slot->facts.has_digest)
			entry->identity = entry->digest = hex(slot->facts.digest, ALBERT_SHA256_LEN);
	}
	entry->users = pg_atomic_read_u32((pg_atomic_uint32 *) &slot->users);
	entry->last_used = pg_atomic_read_u64((pg_atomic_uint64 *) &slot->last_used);
}

static AlbertModelEntry *
entry_of_slot(const AlbertSlot *slot, const char *directory)
{
	AlbertModelEntry *entry = new_entry(slot->facts.name[0] != '\0' ? slot->facts.name : slot->key.name,
										slot->facts.path[0] != '\0' ? slot->facts.path : directory);

	fill_from_slot(entry, slot, directory);
	if (slot->key.name[0] == '\0')
		entry->origin = "other database";
	return entry;
}

/* ---- models of the database ---- */

/* Its slots are taken off the copy; of several precisions, the one that the model's name stands for. */
static void
fill_from_slots(AlbertModelEntry *entry, const AlbertObject *object, AlbertSlot *slots, int nslots)
{
	int			precision = object->precision >= 0 ? object->precision : albert_precision;

	for (int i = 0; i < nslots; i++)
	{
		if (memcmp(slots[i].key.identity, object->identity, ALBERT_SHA256_LEN) != 0)
			continue;
		if (slots[i].key.precision == precision)
			fill_from_slot(entry, &slots[i], "");
		slots[i].used = false;
	}
}

static void
fill_from_table(AlbertModelEntry *entry, Oid relation, AlbertSlot *slots, int nslots)
{
	char	   *description = AlbertObjectDescription(relation);
	List	   *files = AlbertObjectFiles(relation);
	AlbertObject object;
	ListCell   *cell;

	entry->origin = "database";
	entry->file_bytes = 0;
	foreach(cell, files)
		entry->file_bytes += ((const AlbertObjectFile *) lfirst(cell))->bytes;
	entry->state = files == NIL && description == NULL ? "restoring" : "importing";
	if (description == NULL)
		return;
	AlbertObjectParse(entry->name, description, false, &object);
	entry->state = "available";
	if (object.directory[0] != '\0')
		entry->origin = "pinned directory";
	entry->digest = hex(object.digest, ALBERT_SHA256_LEN);
	entry->description = AlbertCleanText(description);
	if (object.base[0] != '\0')
	{
		entry->base = pstrdup(object.base);
		entry->base_identity = hex(object.base_digest, ALBERT_SHA256_LEN);
	}
	fill_from_slots(entry, &object, slots, nslots);
	entry->identity = hex(object.identity, ALBERT_SHA256_LEN);
}

/* A name that the user may not use is listed without more, to be taken off again: no directory has it either. */
static AlbertModelEntry *
entry_of_table(const char *name, AlbertSlot *slots, int nslots)
{
	Oid			relation = AlbertObjectRelation(name);
	AlbertModelEntry *entry = new_entry(name, "");
	MemoryContext context = CurrentMemoryContext;

	if (!OidIsValid(relation) || !AlbertObjectIsVisible(relation))
		return entry;
	entry->owner = GetUserNameFromId(AlbertObjectOwner(relation), true);
	PG_TRY();
	{
		fill_from_table(entry, relation, slots, nslots);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
			error->sqlerrcode != ERRCODE_DATA_CORRUPTED && error->sqlerrcode != ERRCODE_WRONG_OBJECT_TYPE)
			PG_RE_THROW();
		FlushErrorState();
		fill_broken(entry, error->message);
	}
	PG_END_TRY();
	return entry;
}

static List *
list_objects(AlbertSlot *slots, int nslots)
{
	List	   *entries = NIL;
	ListCell   *cell;

	foreach(cell, AlbertObjectNames())
		entries = lappend(entries, entry_of_table(lfirst(cell), slots, nslots));
	return entries;
}

/* ---- heads ---- */

/* A head is what its base is, but for its own labels. */
static void
fill_from_base(AlbertModelEntry *entry, const AlbertModelEntry *base)
{
	entry->architecture = base->architecture;
	entry->heads = (base->heads & ~(ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE)) | ALBERT_HEAD_CLASSIFIER;
	entry->parameters = base->parameters;
	entry->layers = base->layers;
	entry->hidden_size = base->hidden_size;
	entry->precision = base->precision;
	entry->kernel = base->kernel;
	if (base->base != NULL || (base->identity != NULL && strcmp(base->identity, entry->base_identity) != 0))
		fill_broken(entry, psprintf("its base \"%s\" is not the one that it was trained on", base->name));
	else if (strcmp(base->state, "broken") == 0)
		fill_broken(entry, psprintf("its base \"%s\" is broken", base->name));
	else
		entry->state = base->state;
}

static void
fill_heads(List *entries)
{
	ListCell   *cell;

	foreach(cell, entries)
	{
		AlbertModelEntry *entry = lfirst(cell);
		const AlbertModelEntry *base = NULL;
		ListCell   *other;

		if (entry->base == NULL)
			continue;
		foreach(other, entries)
		{
			if (strcmp(((AlbertModelEntry *) lfirst(other))->name, entry->base) == 0)
			{
				base = lfirst(other);
				break;
			}
		}
		if (base != NULL)
			fill_from_base(entry, base);
		else
			fill_broken(entry, psprintf("its base \"%s\" does not exist", entry->base));
	}
}

/* ---- the list ---- */

/* A copy of the slots that hold something or are about to. */
static int
copy_slots(AlbertSlot *slots)
{
	AlbertRegistry *registry = AlbertRegistryGet();
	int			n = 0;
	int			i;

	LWLockAcquire(&registry->lock, LW_SHARED);
	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];

		if (slot->used && (slot->loader != 0 || slot->images[ALBERT_PART_TEXT].ready))
			memcpy(&slots[n++], slot, sizeof(AlbertSlot));
	}
	LWLockRelease(&registry->lock);
	return n;
}

static bool
listed(List *entries, const char *name)
{
	ListCell   *cell;

	foreach(cell, entries)
	{
		if (strcmp(((AlbertModelEntry *) lfirst(cell))->name, name) == 0)
			return true;
	}
	return false;
}

/* A model directory has one of these, good or bad; other directories are none of our business. */
static bool
is_model_directory(const char *path)
{
	static const char *const files[] = {"config.json", "modules.json", "albert_config.json", "adapter_config.json"};
	struct stat st;
	int			i;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	for (i = 0; i < lengthof(files); i++)
	{
		char		file[MAXPGPATH];

		if (snprintf(file, sizeof(file), "%s/%s", path, files[i]) < sizeof(file) && stat(file, &st) == 0)
			return true;
	}
	return false;
}

/* The slots of a name are taken off the copy; false when there are none. */
static bool
list_slots(List **entries, const char *name, const char *path, uint64 path_hash,
		   AlbertSlot *slots, int nslots)
{
	bool		any = false;
	int			i;

	for (i = 0; i < nslots; i++)
	{
		if (!slots[i].used || slots[i].key.path != path_hash || strcmp(slots[i].key.name, name) != 0)
			continue;
		*entries = lappend(*entries, entry_of_slot(&slots[i], path));
		slots[i].used = false;
		any = true;
	}
	return any;
}

/*
 * The models of one directory of the path that are not listed already: an
 * earlier directory hides what a later one has under the same name.  What has
 * a name that cannot be called is listed with the reason.
 */
static List *
list_directory(List *entries, const char *directory, uint64 path_hash, AlbertSlot *slots, int nslots)
{
	DIR		   *dir = AllocateDir(directory);
	List	   *found = NIL;
	struct dirent *file;
	ListCell   *cell;

	/* A directory that is not there, or not for the server, has no models. */
	if (dir == NULL)
		return entries;
	while ((file = ReadDirExtended(dir, directory, DEBUG1)) != NULL)
	{
		if (file->d_name[0] != '.' && !listed(entries, file->d_name))
			found = lappend(found, pstrdup(file->d_name));
	}
	FreeDir(dir);

	foreach(cell, found)
	{
		const char *name = lfirst(cell);
		char		path[MAXPGPATH];
		AlbertModelEntry *entry;

		CHECK_FOR_INTERRUPTS();
		snprintf(path, sizeof(path), "%s/%s", directory, name);
		if (!is_model_directory(path) ||
			list_slots(&entries, name, path, path_hash, slots, nslots))
			continue;
		entry = new_entry(name, path);
		if (AlbertModelNameIsValid(name))
			fill_from_directory(entry, path);
		else
			fill_broken(entry, AlbertModelNameRule());
		entries = lappend(entries, entry);
	}
	return entries;
}

static int
compare_entries(const ListCell *a, const ListCell *b)
{
	return strcmp(((AlbertModelEntry *) lfirst(a))->name, ((AlbertModelEntry *) lfirst(b))->name);
}

List *
AlbertStoreList(void)
{
	AlbertSlot *slots = palloc(sizeof(AlbertSlot) * ALBERT_NSLOTS);
	uint64		path_hash = AlbertPathHash();
	List	   *entries;
	ListCell   *cell;
	int			nslots;
	int			i;

	AlbertStoreSweep();
	nslots = copy_slots(slots);
	entries = list_objects(slots, nslots);
	foreach(cell, AlbertMayUseDirectories() ? AlbertModelDirectories() : NIL)
		entries = list_directory(entries, lfirst(cell), path_hash, slots, nslots);

	foreach(cell, entries)
	{
		if (((AlbertModelEntry *) lfirst(cell))->state == NULL)
			entries = foreach_delete_current(entries, cell);
	}

	fill_heads(entries);

	/* Loaded through another database's path or from its tables, or their directories are gone. */
	for (i = 0; i < nslots; i++)
	{
		if (slots[i].used && (slots[i].key.name[0] != '\0' ? AlbertMayUseDirectories() : AlbertMaySeePaths()))
			entries = lappend(entries, entry_of_slot(&slots[i], ""));
	}
	list_sort(entries, compare_entries);
	return entries;
}

/* ---- counters ---- */

static AlbertCountsEntry *
counts_by_name(List **entries, const char *name)
{
	AlbertCountsEntry *entry;
	ListCell   *cell;

	foreach(cell, *entries)
	{
		entry = lfirst(cell);
		if (strcmp(entry->name, name) == 0)
			return entry;
	}
	entry = palloc0(sizeof(AlbertCountsEntry));
	strlcpy(entry->name, name, sizeof(entry->name));
	*entries = lappend(*entries, entry);
	return entry;
}

/* A model may have several slots: of a precision or kernel set there was before, or of another database's path. */
List *
AlbertStoreCounts(void)
{
	AlbertRegistry *registry = AlbertRegistryGet();
	List	   *entries = NIL;
	int			i;

	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		AlbertSlot *slot = &registry->slots[i];
		AlbertCounts *counts;
		int64		values[ALBERT_NCOUNTERS];
		char		name[ALBERT_NAME_LEN];
		bool		used;
		int			j;

		LWLockAcquire(&registry->lock, LW_SHARED);
		used = slot->used;
		memcpy(name, slot->key.name[0] != '\0' ? slot->key.name : slot->facts.name, sizeof(name));
		for (j = 0; j < ALBERT_NCOUNTERS; j++)
			values[j] = pg_atomic_read_u64(&slot->counters[j]);
		LWLockRelease(&registry->lock);
		if (!used)
			continue;
		counts = &counts_by_name(&entries, name)->counts;
		counts->calls += values[ALBERT_COUNT_CALLS];
		counts->rows += values[ALBERT_COUNT_ROWS];
		counts->tokens += values[ALBERT_COUNT_TOKENS];
		counts->truncated += values[ALBERT_COUNT_TRUNCATED];
		counts->batches += values[ALBERT_COUNT_BATCHES];
		counts->microseconds += values[ALBERT_COUNT_MICROSECONDS];
	}
	return entries;
}

void
AlbertStoreResetCounts(void)
{
	AlbertRegistry *registry = AlbertRegistryGet();
	int			i;
	int			j;

	for (i = 0; i < ALBERT_NSLOTS; i++)
	{
		for (j = 0; j < ALBERT_NCOUNTERS; j++)
			pg_atomic_write_u64(&registry->slots[i].counters[j], 0);
	}
}
