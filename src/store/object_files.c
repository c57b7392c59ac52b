/*
 * object_files.c
 *	  Reading model tables: which files there are, and the files themselves.
 *
 * Whoever may have written to a table, its owner can do with it what owners
 * can: so its shape, every path and every place is checked.  Whole models are
 * read by scanning their tables from end to end, which does not need the index
 * that a restore makes last.
 */
#include "store/registry.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#define MAX_PATH	512
#define MAX_DEPTH	4

bool
AlbertObjectPathIsValid(const char *path)
{
	int			depth = 1;
	const char *c;

	if (strlen(path) >= MAX_PATH)
		return false;
	for (;;)
	{
		size_t		size = strcspn(path, "/");

		if (size == 0 || size > 255 || (size <= 2 && strncmp(path, "..", size) == 0))
			return false;
		for (c = path; c < path + size; c++)
		{
			if ((unsigned char) *c < ' ' || *c == '\\')
				return false;
		}
		if (path[size] == '\0')
			return true;
		if (++depth > MAX_DEPTH)
			return false;
		path += size + 1;
	}
}

/* ---- scanning ---- */

typedef struct TableScan
{
	Relation	table;			/* NULL: there is none */
	SysScanDesc scan;
	char	   *path;			/* of the row that next_row has come to */
	int64		offset;
	Datum		data;
} TableScan;

static bool
has_columns(Relation table)
{
	static const Oid types[] = {TEXTOID, INT8OID, BYTEAOID};
	TupleDesc	desc = RelationGetDescr(table);

	if (table->rd_rel->relkind != RELKIND_RELATION || desc->natts < lengthof(types))
		return false;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped || TupleDescAttr(desc, i)->atttypid != types[i])
			return false;
	}
	return true;
}

/* The index on path and "offset", or InvalidOid: a restore makes it last, and an owner may drop it. */
static Oid
primary_key(Relation table)
{
	Oid			key = AlbertPrimaryKeyIndex(table);
	Relation	index;
	bool		usable;

	if (!OidIsValid(key))
		return InvalidOid;
	index = index_open(key, AccessShareLock);
	usable = index->rd_index->indnkeyatts == 2 && index->rd_index->indkey.values[0] == 1 &&
		index->rd_index->indkey.values[1] == 2 && index->rd_indcollation[0] == C_COLLATION_OID;
	index_close(index, AccessShareLock);
	return usable ? key : InvalidOid;
}

static void
path_key(ScanKey key, const char *path)
{
	ScanKeyInit(key, 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(path));
}

/* path: NULL for all rows */
static void
begin_scan(TableScan *scan, Oid relation, const char *path)
{
	ScanKeyData key;
	Oid			index = InvalidOid;

	memset(scan, 0, sizeof(*scan));
	scan->table = try_relation_open(relation, AccessShareLock);
	if (scan->table == NULL)
		return;
	if (!has_columns(scan->table))
	{
		char	   *name = pstrdup(RelationGetRelationName(scan->table));

		/* so that the error can be caught */
		relation_close(scan->table, AccessShareLock);
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" in the schema \"%s\" has not the form of a model's table",
						name, ALBERT_SCHEMA),
				 errhint("Tables of that schema belong to albert.")));
	}
	if (path != NULL)
	{
		index = primary_key(scan->table);
		path_key(&key, path);
	}
	scan->scan = systable_beginscan(scan->table, index, OidIsValid(index), NULL, path != NULL ? 1 : 0, &key);
}

static bool
next_row(TableScan *scan)
{
	HeapTuple	tuple;

	if (scan->path != NULL)
		pfree(scan->path);
	scan->path = NULL;
	while (scan->scan != NULL && HeapTupleIsValid(tuple = systable_getnext(scan->scan)))
	{
		TupleDesc	desc = RelationGetDescr(scan->table);
		bool		nulls[3];
		Datum		path = heap_getattr(tuple, 1, desc, &nulls[0]);
		Datum		offset = heap_getattr(tuple, 2, desc, &nulls[1]);

		scan->data = heap_getattr(tuple, 3, desc, &nulls[2]);
		if (nulls[0] || nulls[1] || nulls[2])
			continue;
		scan->path = TextDatumGetCString(path);
		scan->offset = DatumGetInt64(offset);
		CHECK_FOR_INTERRUPTS();
		return true;
	}
	return false;
}

static void
end_scan(TableScan *scan)
{
	if (scan->path != NULL)
		pfree(scan->path);
	if (scan->scan != NULL)
		systable_endscan(scan->scan);
	if (scan->table != NULL)
		relation_close(scan->table, AccessShareLock);
}

/* ---- what there is ---- */

char *
AlbertObjectDescription(Oid relation)
{
	char	   *description = NULL;
	TableScan	scan;

	begin_scan(&scan, relation, "");
	if (next_row(&scan))
		description = TextDatumGetCString(scan.data);
	end_scan(&scan);
	return description;
}

/* How many bytes of a file are in the row that next_row has come to. */
static int64
part_bytes(const TableScan *scan)
{
	return toast_raw_datum_size(scan->data) - VARHDRSZ;
}

int64
AlbertObjectBytes(Oid relation)
{
	int64		bytes = -1;
	TableScan	scan;

	begin_scan(&scan, relation, NULL);
	while (next_row(&scan))
		bytes = Max(bytes, 0) + (scan.path[0] != '\0' ? part_bytes(&scan) : 0);
	end_scan(&scan);
	return bytes;
}

/* The last row of a path in the index tells. */
int64
AlbertObjectFileEnd(Relation table, const char *path)
{
	Oid			key = primary_key(table);
	int64		end = -1;
	Relation	index;
	SysScanDesc scan;
	ScanKeyData scan_key;
	HeapTuple	tuple;

	if (!OidIsValid(key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table of model \"%s\" has lost its primary key", RelationGetRelationName(table)),
				 errhint("Drop the model, and import it anew.")));
	index = index_open(key, AccessShareLock);
	path_key(&scan_key, path);
	scan = systable_beginscan_ordered(table, index, NULL, 1, &scan_key);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		bool		null;

		end = DatumGetInt64(heap_getattr(tuple, 2, RelationGetDescr(table), &null));
		end += toast_raw_datum_size(heap_getattr(tuple, 3, RelationGetDescr(table), &null)) - VARHDRSZ;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return end;
}

/* ---- copying them ---- */

/* A file that has been met, whose parts need not lie together. */
typedef struct ObjectFile
{
	char	   *path;
	int64		bytes;			/* of all its parts */
	int64		end;			/* of its last part; equal to bytes when none is missing */
} ObjectFile;

static ObjectFile *
file_of(List **files, const char *path)
{
	ObjectFile *file;

	/* parts of a file mostly lie together */
	for (int i = list_length(*files) - 1; i >= 0; i--)
	{
		file = list_nth(*files, i);
		if (strcmp(file->path, path) == 0)
			return file;
	}
	file = palloc0(sizeof(ObjectFile));
	file->path = pstrdup(path);
	*files = lappend(*files, file);
	return file;
}

static void
make_parents(char *path, const char *file)
{
	char	   *slash;

	for (slash = strchr(file, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		*slash = '\0';
		AlbertDirectoryMake(path);
		*slash = '/';
	}
}

static void
open_file(AlbertFile *file, const char *directory, const char *name)
{
	char	   *path = psprintf("%s/%s", directory, name);

	make_parents(path, path + strlen(directory) + 1);
	AlbertFileCreate(file, path, 0);
	file->name = name;
	pfree(path);
}

static void
write_part(AlbertFile *file, int64 offset, Datum data)
{
	struct varlena *value = detoast_attr((struct varlena *) DatumGetPointer(data));

	file->end = offset;
	AlbertFileAppend(file, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if ((Pointer) value != DatumGetPointer(data))
		pfree(value);
}

void
AlbertObjectExport(Oid relation, const char *name, const char *directory)
{
	List	   *files = NIL;
	const ObjectFile *open = NULL;
	ListCell   *cell;
	TableScan	scan;
	AlbertFile	out;

	begin_scan(&scan, relation, NULL);
	while (next_row(&scan))
	{
		ObjectFile *file;

		if (scan.path[0] == '\0')
			continue;
		if (!AlbertObjectPathIsValid(scan.path))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("model \"%s\" has a file of the invalid name \"%s\"", name, scan.path)));
		file = file_of(&files, scan.path);
		file->bytes += part_bytes(&scan);
		if (scan.offset < 0 || scan.offset > PG_INT64_MAX - part_bytes(&scan))
			continue;
		file->end = Max(file->end, scan.offset + part_bytes(&scan));
		if (file != open)
		{
			if (open != NULL)
				AlbertFileClose(&out);
			open_file(&out, directory, file->path);
			open = file;
		}
		write_part(&out, scan.offset, scan.data);
	}
	if (open != NULL)
		AlbertFileClose(&out);
	end_scan(&scan);
	foreach(cell, files)
	{
		const ObjectFile *file = lfirst(cell);

		if (file->bytes != file->end)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("file \"%s\" of model \"%s\" is not whole", file->path, name),
					 errdetail("It should have %lld bytes, and its parts have %lld.",
							   (long long) file->end, (long long) file->bytes)));
	}
}
