/*
 * list.c
 *	  What models there are and what they have done, for the views.
 */
#include "store/registry.h"

#include <sys/stat.h>

#include "storage/fd.h"
#include "utils/memutils.h"

/* ---- slots ---- */

/* Copies of the slots that something has been loaded into; now: that hold something, or are about to. */
static List *
copy_slots(bool now)
{
	AlbertSlot *copies = palloc(sizeof(AlbertSlot) * ALBERT_NSLOTS);
	AlbertRegistry *registry = AlbertRegistryLock(LW_SHARED);
	List	   *slots = NIL;

	memcpy(copies, registry->slots, sizeof(AlbertSlot) * ALBERT_NSLOTS);
	AlbertRegistryUnlock();
	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		if (now ? copies[i].loader != 0 || copies[i].images[ALBERT_PART_TEXT].size > 0 : copies[i].loaded_at != 0)
			slots = lappend(slots, &copies[i]);
	}
	return slots;
}

/* Those of the model that a key is of, taken off the list. */
static List *
take_slots(List **slots, const AlbertKey *key)
{
	List	   *taken = NIL;
	ListCell   *cell;

	foreach(cell, *slots)
	{
		if (!AlbertSlotIsOf(lfirst(cell), key))
			continue;
		taken = lappend(taken, lfirst(cell));
		*slots = foreach_delete_current(*slots, cell);
	}
	return taken;
}

/* ---- entries ---- */

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

static AlbertModelEntry *
find_entry(List *entries, const char *name)
{
	ListCell   *cell;

	foreach(cell, entries)
	{
		if (strcmp(((AlbertModelEntry *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	}
	return NULL;
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
	AlbertRegistry *registry = AlbertRegistryLock(LW_SHARED);
	bool		found = false;

	for (int i = 0; i < ALBERT_NVERDICTS && !found; i++)
	{
		found = registry->verdicts[i].fingerprint == fingerprint;
		if (found)
			memcpy(error, registry->verdicts[i].error, sizeof(registry->verdicts[i].error));
	}
	AlbertRegistryUnlock();
	return found;
}

static void
note_verdict(uint64 fingerprint, const char *error)
{
	AlbertRegistry *registry = AlbertRegistryLock(LW_EXCLUSIVE);
	AlbertVerdict *verdict = &registry->verdicts[registry->next_verdict];

	registry->next_verdict = (registry->next_verdict + 1) % ALBERT_NVERDICTS;
	verdict->fingerprint = fingerprint;
	strlcpy(verdict->error, error, sizeof(verdict->error));
	AlbertRegistryUnlock();
}

/* Tried once a cluster, as long as the files are the same.  Empty when it can be. */
static void
tokenizer_error(AlbertSource *source, char *error)
{
	uint64		fingerprint = AlbertFingerprint(source);
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

/* What the files of a directory say, or why they do not. */
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
	entry->state = "available";
	if (AlbertDirectoryOpen(directory, &arena, &source, &status))
	{
		entry->config = *AlbertSourceConfig(source);
		tokenizer_error(source, error);
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
	Size		text = slot->images[ALBERT_PART_TEXT].size;
	Size		weights = slot->images[ALBERT_PART_WEIGHTS].size;
	const AlbertKernels *kernels = AlbertKernelsById(slot->key.kernels);

	if (slot->facts.config.class_name[0] != '\0')
		entry->config = slot->facts.config;
	else if (directory[0] != '\0')
		fill_from_directory(entry, directory);

	if (slot->loader != 0)
		entry->state = "loading";
	else
		entry->state = weights > 0 ? "loaded" : "tokenizer";
	entry->error = NULL;
	entry->shared_bytes = text + weights;
	if (text > 0)
		entry->loaded_at = slot->loaded_at;
	if (weights > 0)
	{
		entry->precision = AlbertPrecisionName(slot->key.precision);
		entry->kernel = kernels != NULL ? kernels->name : NULL;
		entry->identity = entry->digest = AlbertHex(slot->facts.digest);
	}
	entry->users = pg_atomic_read_u32((pg_atomic_uint32 *) &slot->users);
	entry->last_used = pg_atomic_read_u64((pg_atomic_uint64 *) &slot->last_used);
}

static AlbertModelEntry *
entry_of_slot(const AlbertSlot *slot, const char *directory)
{
	AlbertModelEntry *entry = new_entry(slot->facts.name, slot->facts.path[0] != '\0' ? slot->facts.path : directory);

	fill_from_slot(entry, slot, directory);
	if (slot->key.name[0] == '\0')
		entry->origin = "other database";
	return entry;
}

/* ---- models of the database ---- */

/* Of slots of several precisions, the one that the model's name stands for. */
static void
fill_from_slots(AlbertModelEntry *entry, const AlbertObject *object, List **slots)
{
	AlbertKey	key = {.path = 0};
	ListCell   *cell;

	memcpy(key.identity, object->identity, ALBERT_SHA256_LEN);
	foreach(cell, take_slots(slots, &key))
	{
		const AlbertSlot *slot = lfirst(cell);

		if (slot->key.precision == (object->precision >= 0 ? object->precision : albert_precision))
			fill_from_slot(entry, slot, "");
	}
}

static AlbertModelEntry *
entry_of_table(const char *name, Oid relation, List **slots)
{
	AlbertModelEntry *entry = new_entry(name, "");
	AlbertObject object;
	char	   *description;
	const char *problem = AlbertObjectProblem(relation, name, &description, &object);
	int64		bytes;

	entry->origin = "database";
	entry->owner = GetUserNameFromId(AlbertObjectOwner(relation), true);
	if (problem != NULL)
	{
		fill_broken(entry, problem);
		return entry;
	}
	bytes = AlbertObjectBytes(relation);
	entry->file_bytes = Max(bytes, 0);
	entry->state = bytes < 0 ? "restoring" : "importing";
	if (description == NULL)
		return entry;
	entry->state = "available";
	if (object.directory[0] != '\0')
		entry->origin = "pinned directory";
	entry->digest = AlbertHex(object.digest);
	entry->description = AlbertCleanText(description);
	if (object.base[0] != '\0')
	{
		entry->base = pstrdup(object.base);
		entry->base_identity = AlbertHex(object.base_digest);
	}
	fill_from_slots(entry, &object, slots);
	entry->identity = AlbertHex(object.identity);
	return entry;
}

static List *
list_objects(List **slots)
{
	List	   *entries = NIL;
	ListCell   *cell;

	foreach(cell, AlbertObjectNames())
	{
		Oid			relation = AlbertObjectRelation(lfirst(cell));

		if (OidIsValid(relation) && AlbertObjectIsVisible(relation))
			entries = lappend(entries, entry_of_table(lfirst(cell), relation, slots));
	}
	return entries;
}

/* ---- heads ---- */

/* A head is what its base is, but for its own labels. */
static void
fill_from_base(AlbertModelEntry *entry, const AlbertModelEntry *base)
{
	entry->config = base->config;
	entry->config.heads &= ~(ALBERT_HEAD_TOKEN_CLASSIFIER | ALBERT_HEAD_CHOICE);
	entry->config.heads |= ALBERT_HEAD_CLASSIFIER;
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
		const AlbertModelEntry *base = entry->base == NULL ? NULL : find_entry(entries, entry->base);

		if (base != NULL)
			fill_from_base(entry, base);
		else if (entry->base != NULL)
			fill_broken(entry, psprintf("its base \"%s\" does not exist", entry->base));
	}
}

/* ---- the list ---- */

/*
 * A model directory has one of these, good or bad; other directories are none
 * of our business.  One that the server may not look into is taken for a model
 * when it is called like one, which a file system's lost+found is not.
 */
static bool
is_model_directory(const char *path, const char *name)
{
	static const char *const files[] = {"config.json", "modules.json", "albert_config.json", "adapter_config.json"};
	struct stat st;
	int			i;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	for (i = 0; i < lengthof(files); i++)
	{
		char		file[MAXPGPATH];

		if (snprintf(file, sizeof(file), "%s/%s", path, files[i]) < sizeof(file) &&
			(stat(file, &st) == 0 || (errno == EACCES && AlbertModelNameIsValid(name))))
			return true;
	}
	return false;
}

/* One, or as many as the model has slots. */
static List *
entries_of_directory(const char *name, const char *path, List **slots)
{
	AlbertModelEntry *entry = new_entry(name, path);
	AlbertKey	key = {.path = AlbertPathHash()};
	List	   *entries = NIL;
	ListCell   *cell;

	if (!AlbertModelNameIsValid(name))
	{
		fill_broken(entry, AlbertModelNameRule());
		return list_make1(entry);
	}
	strcpy(key.name, name);
	foreach(cell, take_slots(slots, &key))
		entries = lappend(entries, entry_of_slot(lfirst(cell), path));
	if (entries != NIL)
		return entries;
	fill_from_directory(entry, path);
	return list_make1(entry);
}

/*
 * The models of one directory of the path whose names do not stand for others:
 * of the database, whether the user may see them or not, or of an earlier
 * directory.  What has a name that cannot be called is listed with the reason.
 */
static List *
list_directory(List *entries, const char *directory, List **slots)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *file;

	/* A directory that is not there, or not for the server, has no models. */
	if (dir == NULL)
		return entries;
	while ((file = ReadDirExtended(dir, directory, DEBUG1)) != NULL)
	{
		const char *name = file->d_name;
		char		path[MAXPGPATH];

		CHECK_FOR_INTERRUPTS();
		snprintf(path, sizeof(path), "%s/%s", directory, name);
		if (name[0] != '.' && !OidIsValid(AlbertObjectRelation(name)) && find_entry(entries, name) == NULL &&
			is_model_directory(path, name))
			entries = list_concat(entries, entries_of_directory(name, path, slots));
	}
	FreeDir(dir);
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
	List	   *slots;
	List	   *entries;
	ListCell   *cell;

	AlbertStoreSweep();
	slots = copy_slots(true);
	entries = list_objects(&slots);
	foreach(cell, AlbertMayUseDirectories() ? AlbertModelDirectories(albert_model_path) : NIL)
		entries = list_directory(entries, lfirst(cell), &slots);
	fill_heads(entries);

	/* Loaded through another database's path or from its tables, or their directories are gone. */
	foreach(cell, slots)
	{
		const AlbertSlot *slot = lfirst(cell);

		if (slot->key.name[0] != '\0' ? AlbertMayUseDirectories() : AlbertMaySeePaths())
			entries = lappend(entries, entry_of_slot(slot, ""));
	}
	list_sort(entries, compare_entries);
	return entries;
}

/* ---- counts ---- */

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
	List	   *entries = NIL;
	ListCell   *cell;

	foreach(cell, copy_slots(false))
	{
		AlbertSlot *slot = lfirst(cell);
		int64	   *counts = (int64 *) &counts_by_name(&entries, slot->facts.name)->counts;

		for (int i = 0; i < ALBERT_NCOUNTS; i++)
			counts[i] += pg_atomic_read_u64(&slot->counts[i]);
	}
	return entries;
}

void
AlbertStoreResetCounts(void)
{
	AlbertRegistry *registry = AlbertRegistryLock(LW_SHARED);

	for (int i = 0; i < ALBERT_NSLOTS; i++)
	{
		for (int j = 0; j < ALBERT_NCOUNTS; j++)
			pg_atomic_write_u64(&registry->slots[i].counts[j], 0);
	}
	AlbertRegistryUnlock();
}
