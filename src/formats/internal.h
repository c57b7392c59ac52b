/*
 * internal.h
 *	  What the files of src/formats share and nobody else needs.
 *
 * A model directory is opened once (source.c).  Every file of it that an image
 * is made from is kept in a list with its descriptor.  Whatever format the
 * weights have, the reader of that format only fills in a list of tensors:
 * name, type, shape, strides and where in which file the elements lie.
 * tensor.c turns elements into fp32 rows, layout.c says which tensors a model
 * needs and in which order they lie in an image.
 */
#ifndef ALBERT_FORMATS_INTERNAL_H
#define ALBERT_FORMATS_INTERNAL_H

#include <string.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/image.h"
#include "base/json.h"
#include "formats/formats.h"

/* ---- limits: far above any real model, low enough that no product overflows ---- */

#define MAX_VOCAB_SIZE		(1 << 22)
#define MAX_HIDDEN_SIZE		(1 << 15)
#define MAX_INTERMEDIATE	(1 << 17)
#define MAX_LAYERS			1024
#define MAX_INNER_GROUPS	64
#define MAX_POSITIONS		(1 << 17)
#define MAX_TYPES			256	/* a token's type is one byte */
#define MAX_LABELS			(1 << 16)
#define MAX_MATRIX			INT32_MAX	/* elements of one matrix */

#define MAX_JSON_FILE		(2 * 1024 * 1024)	/* config.json and its like */
#define MAX_HEADER			(4 * 1024 * 1024)	/* header of a safetensors file, index of shards */
#define MAX_TOKENIZER_FILE	(64 * 1024 * 1024)
#define MAX_FILES			160
#define MAX_SHARDS			100
#define MAX_TENSORS			100000
#define MAX_TENSOR_NAME		1024
#define MAX_DIMS			8
#define MAX_PROMPTS			256

#define MAX_PATH			1024

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- names.c ---- */

/* A copy in the arena, NUL-terminated; NULL: no memory. */
extern const char *AlbertNameCopy(AlbertArena *arena, const char *text, size_t size);

/* Strings put together; NULL: no memory. */
extern const char *AlbertNameJoin(AlbertArena *arena, const char *first, const char *between, const char *second);

/* Order an array of n structures, each of which begins with its name.  A name that is there twice, or NULL. */
extern const char *AlbertNamesSort(void *items, size_t n, size_t size);

/* The structure of that name in such an array; NULL: there is none. */
extern void *AlbertNamesFind(const void *items, size_t n, size_t size, const char *name);

/* ---- file.c: bytes of untrusted files ---- */

typedef struct SourceFile
{
	const char *name;			/* relative to the model directory */
	int			fd;
	int64_t		size;
} SourceFile;

/*
 * Files are named by the directory they are in, relative to the model's and ""
 * for itself, and their name there.
 */

/* "base/name", or name when base is empty, in the arena; NULL: no memory. */
extern const char *AlbertFilePath(AlbertSource *source, const char *base, const char *name);

/*
 * Open a regular file and append it to the source's list, where *number is its
 * index.  A file that does not exist gives ALBERT_NOT_FOUND.
 */
extern bool AlbertFileOpen(AlbertSource *source, const char *base, const char *name, int *number,
						   AlbertStatus *status);

/* Does a file or link of that name exist?  Reading it may still fail. */
extern bool AlbertFileExists(const AlbertSource *source, const char *base, const char *name);

/* Exactly size bytes from an offset; fails when the file has shrunk. */
extern bool AlbertFileRead(const SourceFile *file, int64_t offset, void *dest, size_t size,
						   AlbertStatus *status);

/* Likewise, into the arena. */
extern bool AlbertFileBytes(const SourceFile *file, int64_t offset, size_t size, AlbertArena *arena,
							AlbertSpan *bytes, AlbertStatus *status);

/* The whole file; refused when larger than limit. */
extern bool AlbertFileReadAll(const SourceFile *file, size_t limit, AlbertArena *arena, AlbertSpan *bytes,
							  AlbertStatus *status);

/* May this name from a file's contents be opened: not empty, no slash, not "." or ".."? */
extern bool AlbertPlainName(const char *name);

typedef struct AlbertJsonText
{
	const json_t *root;			/* the source's; NULL: there is no such file */
	const char *file;			/* its path, for messages */
} AlbertJsonText;

/* Read and parse the file base/name.  A missing one is an error if it is required. */
extern bool AlbertJsonFile(AlbertSource *source, const char *base, const char *name, bool required,
						   json_type type, AlbertJsonText *json, AlbertStatus *status);

/* ---- tensor.c: one stored tensor, and the list of them ---- */

typedef enum ElementKind
{
	ELEMENT_F32,
	ELEMENT_F16,
	ELEMENT_BF16,
	ELEMENT_F64,
	ELEMENT_OTHER				/* integers and the like: never read */
} ElementKind;

typedef struct ElementType
{
	ElementKind kind;
	int			size;			/* in bytes */
	const char *name;			/* in safetensors files and messages */
	const char *storage;		/* the class of storages in PyTorch files */
	uint64_t	number;			/* TensorFlow's DataType */
} ElementType;

/* Up to one without a size, which stands for any other. */
extern const ElementType AlbertElementTypes[];

typedef struct Tensor
{
	const char *name;
	const ElementType *type;
	int			file;			/* index in the source's list */
	int			ndim;
	int64_t		shape[MAX_DIMS];
	int64_t		stride[MAX_DIMS];	/* in elements */
	int64_t		offset;			/* of the first element, in bytes from the file's start */
} Tensor;

/* Set the strides of a row-major tensor, and tell its size; false when that is too large for a number. */
extern bool AlbertTensorContiguous(Tensor *tensor, int64_t *bytes);

/* A file of weights that is being read. */
typedef struct WeightsFile
{
	AlbertSource *source;
	int			number;			/* in the source's list */
	const char *prefix;			/* put before the name of each of its tensors */
	const json_t *weight_map;	/* of shards: only tensors that it places in this file are taken; else NULL */
	AlbertArena *scratch;		/* freed when it has been read */
} WeightsFile;

/* Append a tensor of that file, under its name there, unless the map places it elsewhere. */
extern bool AlbertTensorAdd(const WeightsFile *weights, const Tensor *tensor, AlbertStatus *status);

/* Order the list by name for AlbertTensorFind; a name that is there twice fails. */
extern bool AlbertTensorSort(AlbertSource *source, AlbertStatus *status);
extern const Tensor *AlbertTensorFind(const AlbertSource *source, const char *name);
extern void AlbertTensorShape(const Tensor *tensor, char *text, size_t size);

/*
 * Rows row0 .. row0 + nrows - 1 of a tensor seen as (rows, cols) (a vector is
 * one row) as fp32.  buffer holds READ_BUFFER bytes.  A value that is not
 * finite as fp32 fails.
 */
#define READ_BUFFER		(1024 * 1024)
extern bool AlbertTensorRows(const AlbertSource *source, const Tensor *tensor,
							 int64_t row0, int64_t nrows, float *dest,
							 void *buffer, const volatile sig_atomic_t *interrupt,
							 AlbertStatus *status);

/* ---- readers of weights: each appends to the source's list of tensors ---- */

typedef bool (*WeightsReader) (const WeightsFile *weights, AlbertStatus *status);

extern bool AlbertSafetensorsRead(const WeightsFile *weights, AlbertStatus *status);

/* checkpoints/torch.c: pytorch_model.bin, as a zip archive or in the form before PyTorch 1.6 */
extern bool AlbertTorchRead(const WeightsFile *weights, AlbertStatus *status);

/* checkpoints/tensorflow.c: STEM.index and the files that it names */
extern bool AlbertTensorFlowRead(const WeightsFile *index, AlbertStatus *status);

/* ---- config.c ---- */

/* original: a file of the original release, whose "gelu" is the tanh formula */
extern bool AlbertConfigRead(AlbertSource *source, const char *base, const char *name, bool original,
							 AlbertStatus *status);

/* transformers' name of a kind of problem; NULL: unset. */
extern const char *AlbertProblemName(AlbertProblemType problem);

/* A member that has sentence-transformers' name of a function for scores; a missing one changes nothing. */
extern bool AlbertScoreFunctionRead(AlbertSource *source, const json_t *object, const char *key, const char *file,
									AlbertStatus *status);

/* ---- labels.c ---- */
extern bool AlbertLabelsRead(AlbertSource *source, const json_t *root, const char *file, AlbertStatus *status);

/* ---- sentence_transformers.c ---- */

/*
 * modules.json, NULL when there is none, and then what it refers to.  Tensors
 * of the Dense modules are added to the list as "dense.I.weight" and
 * "dense.I.bias".  *base becomes the directory of the transformer itself, ""
 * for the model directory.
 */
extern bool AlbertModulesBase(AlbertSource *source, const json_t **modules, const char **base, AlbertStatus *status);
extern bool AlbertModulesRead(AlbertSource *source, const json_t *modules, const char *base, AlbertStatus *status);

/* ---- weights.c: whichever file of weights there is ---- */

/* Find the weights below a directory and append their tensors, with the prefix before each name. */
extern bool AlbertWeightsOpen(AlbertSource *source, const char *base, const char *prefix,
							  AlbertStatus *status);

/* ---- head_files.c ---- */

/* The head of a source whose configuration and tensors have been read. */
extern bool AlbertHeadFilesRead(AlbertSource *source, AlbertStatus *status);

/* ---- layout.c: what lies where in an image of weights ---- */

typedef struct TensorRule TensorRule;
typedef struct MatrixKind MatrixKind;

/* Whose names tensors have: those of transformers' classes, or the original release's variables. */
typedef enum Naming
{
	NAMING_ALBERT = ALBERT_ARCHITECTURE_ALBERT,
	NAMING_BERT = ALBERT_ARCHITECTURE_BERT,
	NAMING_ORIGINAL,
	NNAMINGS
} Naming;

typedef enum TensorScope
{
	SCOPE_BASE,					/* with the prefix of the base model */
	SCOPE_LAYER,				/* likewise, in every layer of every group */
	SCOPE_HEAD,					/* never with a prefix */
	SCOPE_MODULE				/* a Dense module of sentence-transformers */
} TensorScope;

typedef enum MatrixForm
{
	FORM_PLAIN,					/* fp32, row-major, as it is */
	FORM_LINEAR,				/* AlbertKernels.pack */
	FORM_TABLE					/* AlbertKernels.pack_table */
} MatrixForm;

/* A matrix or vector of an image, made of one tensor or, keys and values, of two. */
typedef struct Matrix
{
	const TensorRule *rule;
	const MatrixKind *kind;
	TensorScope scope;
	int			index;			/* of the layer or Dense module; else 0 */
	MatrixForm	form;
	AlbertPrecision precision;
	bool		vector;			/* stored with one dimension: rows is 1 */
	int			ntensors;
	int32_t		tensor_rows;	/* of each */
	int32_t		tensor_cols;
	int32_t		rows;			/* of all together */
	int32_t		cols;
	size_t		offset;			/* in the image */
} Matrix;

/* Does it belong to the encoder or the pooler? */
static inline bool
is_base(const Matrix *matrix)
{
	return matrix->scope == SCOPE_BASE || matrix->scope == SCOPE_LAYER;
}

#define MATRIX_NAME_SIZE	256	/* more than any name of the table, its prefix and numbers take */

typedef struct Layout
{
	Matrix	   *matrices;
	int			n;
	size_t		size;			/* of the image */
} Layout;

/*
 * List the matrices of a model in order; for a kernel set, if there is one,
 * with the precision, size and offset of each.
 */
extern bool AlbertLayoutList(const AlbertSourceInfo *info, const AlbertKernels *kernels, AlbertPrecision precision,
							 AlbertArena *arena, Layout *layout, AlbertStatus *status);

/* Find out which heads the tensors make up: sets the source's prefix and info. */
extern bool AlbertLayoutHeads(AlbertSource *source, AlbertStatus *status);

/* The tensor number which (0 or 1) of a matrix, its type and shape checked. */
extern const Tensor *AlbertLayoutTensor(const AlbertSource *source, const Matrix *matrix, int which,
										AlbertStatus *status);

/* Its name in the source, or as transformers would export it in a model with heads. */
extern void AlbertLayoutName(const AlbertSource *source, const Matrix *matrix, int which, bool exported,
							 char *text, size_t size);

/* Let the model, or its layer, point to a matrix that lies at data. */
extern void AlbertLayoutBind(AlbertModel *model, AlbertLayer *layers, const Matrix *matrix,
							 const void *data);

typedef struct MatrixReader
{
	const AlbertSource *source;
	AlbertArena *arena;			/* for buffers */
	const volatile sig_atomic_t *interrupt; /* may be NULL */

	/* nrows rows of tensor_cols values; row0 counts through the matrix's tensors, which lie one above the other */
	void		(*take) (void *context, const Matrix *matrix, int row0, int nrows, const float *values);
	void	   *context;
} MatrixReader;

/* The values of all matrices, or the base model's alone, in order. */
extern bool AlbertMatricesRead(const MatrixReader *reader, const Layout *layout, bool base_only, AlbertStatus *status);

/* ---- tokenizer_files.c ---- */

#define NTOKENIZER_FILES	8

extern bool AlbertSourceOpenTokenizer(AlbertSource *source, const char *base, AlbertStatus *status);

/* The source's tokenizer, when it is first asked for; then it is kept. */
extern bool AlbertSourceCompileTokenizer(AlbertSource *source, AlbertStatus *status);

/* ---- the source itself ---- */

struct AlbertSource
{
	AlbertArena *arena;
	int			directory;		/* open while AlbertSourceOpen works; else -1 */
	int			nfiles;
	SourceFile	files[MAX_FILES];
	json_t	   *documents;		/* all JSON that was parsed: strings of it are used as they are */
	Tensor	   *tensors;		/* of all files of weights */
	int			ntensors;
	size_t		tensors_room;
	Naming		naming;			/* of the tensors */
	const char *prefix;			/* before the base model's tensor names: "albert." or "" */
	const json_t *config;		/* config.json; NULL: it is the original release's */
	AlbertSourceInfo info;
	AlbertTrainedHead head;		/* without labels: the directory holds a model */
	uint32_t	classifier;		/* the heads that a classifier makes, as the architecture says; 0: it says nothing */
	int32_t		tie_word_embeddings;
	double		layer_norm_eps;
	const char *tokenizer_class;	/* of config.json; NULL: not said */
	int32_t		nlabels;		/* as the reference counts them: 2 when nothing is said */
	int			label_end;		/* largest label number + 1, when that is more */
	const char **labels;		/* label_end of them; NULL where the file names none */
	json_t	   *prompts;		/* texts by name; NULL: there are none */
	const char *default_prompt; /* applies when none is named; NULL: there is none */
	int			tokenizer_files[NTOKENIZER_FILES];	/* index in files, of which the first is none; 0: not there */
	AlbertBytes options;		/* the model's options, as far as they are the tokenizer's */
	AlbertBytes tokenizer;		/* compiled when first needed */
};

/* ---- image layout ---- */

/* Behind it lie the labels, prompt names and prompts, NUL-ended, then the tokenizer's image up to the end. */
typedef struct TextImage
{
	AlbertImageHeader header;
	AlbertSourceInfo info;
	int32_t		nprompts;
	uint32_t	tokenizer;		/* where it begins */
} TextImage;

typedef struct WeightsImage
{
	AlbertImageHeader header;
	AlbertSourceInfo info;		/* the text part's: what lies where follows from it */
	int32_t		kernels_id;
	int32_t		precision;
} WeightsImage;

static inline bool
ends_with(const char *text, const char *end)
{
	size_t		size = strlen(text);

	return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

#endif							/* ALBERT_FORMATS_INTERNAL_H */
