/*
 * object.h
 *	  Models as objects of a database.
 *
 * A model of the database is a table of its name in the schema "!albert", with
 * the columns path, "offset" and data: parts of files, of at most 1 MB each.
 * One row, whose path is empty and which is written last, is the model's
 * description, a JSON object: the SHA-256 of the files and the model's options.
 * A table without it is an import that is not finished.  A table whose
 * description names a directory has no files of its own.
 *
 * So a model has what tables have: an owner and privileges (who may SELECT may
 * use it), a place in dumps, on standbys and in backups; and the schema's name
 * sorts before all usual ones, so that dumps restore models first.
 *
 * Model tables are read as catalogs are, whatever the session's search_path or
 * role; nothing of them is executed.
 */
#ifndef ALBERT_OBJECT_H
#define ALBERT_OBJECT_H

#include "store/store.h"

#define ALBERT_SCHEMA		"!albert"
#define ALBERT_FILE_PART_BYTES	(1024 * 1024)
#define ALBERT_OPTIONS_LEN	2048	/* a model's options as JSON, with their NUL */

/* A model of this database, as its table says. */
typedef struct AlbertObject
{
	Oid			relation;		/* comes first: sessions know objects by it */
	uint8		digest[ALBERT_SHA256_LEN];	/* of its files */
	uint8		identity[ALBERT_SHA256_LEN];	/* of its files and options */
	char		directory[ALBERT_NAME_LEN]; /* that has its files; "": its table has them */
	char		base[ALBERT_NAME_LEN];	/* of a head, the model that it is over (see below); "": no head */
	uint8		base_digest[ALBERT_SHA256_LEN];
	int			precision;		/* AlbertPrecision; -1: that of the server */
	char		options[ALBERT_OPTIONS_LEN];	/* the others, as a JSON object */
} AlbertObject;

/* The table of that name in the schema; InvalidOid when there is none.  Whoever asks. */
extern Oid	AlbertObjectRelation(const char *name);

/* May the current user use the model of a table, and what of it belongs to the table's owner? */
extern bool AlbertObjectIsVisible(Oid relation);
extern bool AlbertObjectIsOwn(Oid relation);

/*
 * The model of that name in this database.  False: there is none.  Raises the
 * error of a missing model when the current user may not use it.  While a
 * restore is filling its table this waits.
 */
extern bool AlbertObjectFind(const char *name, AlbertObject *object);

/* Likewise by its table, without a look at privileges; false: it has no description. */
extern bool AlbertObjectRead(Oid relation, const char *name, AlbertObject *object);

/*
 * As the table is now, with its description, NULL if it has none.  Returns what
 * is wrong with either instead of raising that, palloc'd; NULL: nothing.
 */
extern char *AlbertObjectProblem(Oid relation, const char *name, char **description, AlbertObject *object);

/* What a description says of an object, but for its table.  NULL, or what is wrong with it. */
extern const char *AlbertObjectParse(const char *description, AlbertObject *object);

/* The options, as members of a JSON object with the precision; palloc'd. */
extern char *AlbertObjectOptions(const AlbertObject *object);

/* The owner of a model's table. */
extern Oid	AlbertObjectOwner(Oid relation);

/* The model tables of this database that the current user may use or owns: a list of names, sorted. */
extern List *AlbertObjectNames(void);

/* ---- object_files.c ---- */

/* The description in a table, palloc'd; NULL: there is none. */
extern char *AlbertObjectDescription(Oid relation);

/* Where a file of a table from AlbertImportBegin ends, so far; -1: it has not begun. */
extern int64 AlbertObjectFileEnd(Relation table, const char *path);

/*
 * Copy a table's files below a directory, which exists.  A file that lacks a
 * part, and a path that leads elsewhere, is an error.
 */
extern void AlbertObjectExport(Oid relation, const char *name, const char *directory);

/* ---- object_write.c ---- */

/*
 * Open a model table for writing, making it if there is none: locked against
 * other writers, and checked to be the current user's and without description.
 */
extern Relation AlbertImportBegin(const char *name);

/* Append to a file, in parts; to be called with a table from AlbertImportBegin. */
extern void AlbertImportAppend(Relation table, const char *path, int64 offset, const char *data, Size size);

/*
 * The end of an import: check the files as a load does and write the
 * description, with options ("" or members of a JSON object, '"precision": "int8"').
 * directory: that of albert.model_path which has the files, with the member
 * "directory" among the options, or NULL.  The table is closed.  Then the model
 * is there, and loaded.
 */
extern void AlbertImportEnd(Relation table, const char *directory, const char *options);

/* When the transaction commits, free what has that identity, unless other databases have used it (unload.c). */
extern void AlbertUnloadAtCommit(const uint8 *identity);

/* A name has begun to stand for another model, or for none: when the transaction commits, other sessions follow. */
extern void AlbertObjectChanged(Oid relation);

/* Run a SQL command as the current user, with nothing but pg_catalog in the search path. */
extern void AlbertObjectCommand(const char *command);

/* A model's table, quoted for SQL. */
extern char *AlbertObjectQuoted(const char *name);

/* ---- heads ---- */

/*
 * Trained heads: models that are no more than a classifier over the embeddings
 * of another model, their base.  Such a model has two files: config.json, which
 * has the labels and names the base, and model.safetensors, which has
 * classifier.weight and classifier.bias.  The base's identity (the SHA-256 of
 * its files, and its options where it has any), with which alone it is good,
 * is in config.json and in its description.
 */

/* Make a model of the database of a head that was trained on embeddings of base; the name must be free. */
extern void AlbertHeadKeep(const char *name, const AlbertTrainedHead *head, const AlbertBinding *base);

/*
 * Write a head and its base to a directory, which exists: as one model for
 * sequence classification where that is possible, else the base's files and,
 * in "head", the head's.
 */
extern void AlbertHeadExport(const char *name, const char *directory);

#endif							/* ALBERT_OBJECT_H */
