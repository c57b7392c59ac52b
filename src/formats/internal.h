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
#define MAX_TENSORS			100000
#define MAX_TENSOR_NAME		1024
#define MAX_DIMS			8
#define MAX_PROMPTS			256

#define MAX_PATH			1024

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- names.c ---- */

/* As printf writes it, in the arena; NULL: no memory. */
extern const char *AlbertNameFormat(AlbertArena *arena, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));

/* Order an array of n structures, each of which begins with its name.  A name that is there twice, or NULL. */
extern const char *AlbertNamesSort(void *items, size_t n, size_t size);

/* The structure of that name in such an array; NULL: there is none. */
extern void *AlbertNamesFind(const void *items, size_t n, size_t size, const char *name);

/* ---- file.c: bytes of untrusted files ---- */

/*
 * Files are named by the directory they are in, relative to the model's and ""
 * for itself, and their name there.
 */

/* "base/name", or name when base is empty, in the arena; NULL: no memory. */
extern const char *AlbertFilePath(AlbertSource *source, const char *base, const char *name);

/*
 * Open a regular file and append it to the source's list, unless it is there
 * already.  A file that does not exist gives ALBERT_NOT_FOUND.
 */
extern bool AlbertFileOpen(AlbertSource *source, const char *base, const char *name, const AlbertSourceFile **file,
						   AlbertStatus *status);

/* Does a file or link of that name exist?  Reading it may still fail. */
extern bool AlbertFileExists(const AlbertSource *source, const char *base, const char *name);

/* Exactly size bytes from an offset; fails when the file has shrunk. */
extern bool AlbertFileRead(const AlbertSourceFile *file, int64_t offset, void *dest, size_t size, AlbertStatus *status);

/* Likewise, into the arena. */
extern bool AlbertFileBytes(const AlbertSourceFile *file, int64_t offset, size_t size, AlbertArena *arena,
							AlbertSpan *bytes, AlbertStatus *status);

/* The whole file; refused when larger than limit. */
extern bool AlbertFileReadAll(const AlbertSourceFile *file, size_t limit, AlbertArena *arena, AlbertSpan *bytes,
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

/* A value as text, in the arena and with NUL behind it; NULL: no memory.  flags are jansson's. */
extern char *AlbertJsonDump(AlbertArena *arena, const json_t *value, size_t flags);

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
	const AlbertSourceFile *file;
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
	const AlbertSourceFile *file;
	const char *base;			/* the directory that it is in */
	const char *prefix;			/* put before the name of each of its tensors */
	const json_t *weight_map;	/* of shards: only tensors that it places in this file are taken; else NULL */
	AlbertArena *scratch;		/* freed when it has been read */
	AlbertStatus *status;
} WeightsFile;

/* Say what is wrong with it. */
extern bool AlbertWeightsBad(const WeightsFile *weights, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));
#define AlbertWeightsBad(...)	AlbertFalse(AlbertWeightsBad(__VA_ARGS__))

/* Append a tensor of that file, under its name there, unless the map places it elsewhere. */
extern bool AlbertTensorAdd(const WeightsFile *weights, const Tensor *tensor);

/* The tensor of that name; NULL: there is none. */
extern const Tensor *AlbertTensorFind(const AlbertSource *source, const char *name);
extern void AlbertTensorShape(const Tensor *tensor, char *text, size_t size);

/*
 * Rows row0 .. row0 + nrows - 1 of a tensor seen as (rows, cols) (a vector's
 * have one value each) as fp32.  A value that is not finite as fp32 fails.
 */
extern bool AlbertTensorRows(const Tensor *tensor, int64_t row0, int64_t nrows, float *dest,
							 const volatile sig_atomic_t *interrupt, AlbertStatus *status);

/* ---- readers of weights: each appends to the source's list of tensors ---- */

typedef bool (*WeightsReader) (const WeightsFile *weights);

extern bool AlbertSafetensorsRead(const WeightsFile *weights);

/* checkpoints/torch.c: pytorch_model.bin, as a zip archive or in the form before PyTorch 1.6 */
extern bool AlbertTorchRead(const WeightsFile *weights);

/* checkpoints/tensorflow.c: STEM.index and the files that it names */
extern bool AlbertTensorFlowRead(const WeightsFile *index);

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
	FORM_VECTOR,				/* fp32, one dimension; rows of one value to all who do not ask for the shape */
	FORM_PLAIN,					/* fp32, row-major, as it is */
	FORM_LINEAR					/* AlbertKernels.pack */
} MatrixForm;

/* A tensor that a model has, and its place in an image.  There, keys and values lie one above the other as one. */
typedef struct Matrix
{
	const TensorRule *rule;
	const MatrixKind *kind;
	TensorScope scope;
	int			index;			/* of the layer or Dense module; else 0 */
	bool		second;			/* of two */
	MatrixForm	form;
	AlbertPrecision precision;
	int32_t		rows;
	int32_t		cols;
	int32_t		image_row;		/* where the rows begin in what the image has */
	int32_t		image_rows;		/* and how many that has */
	size_t		offset;			/* of that in the image */
} Matrix;

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
extern bool AlbertLayoutList(const AlbertConfig *config, const AlbertKernels *kernels, AlbertPrecision precision,
							 AlbertArena *arena, Layout *layout, AlbertStatus *status);

/* Find out which heads the tensors make up: sets the source's prefix and configuration. */
extern bool AlbertLayoutHeads(AlbertSource *source, AlbertStatus *status);

/* The tensor of a matrix, its type and shape checked. */
extern const Tensor *AlbertLayoutTensor(const AlbertSource *source, const Matrix *matrix, AlbertStatus *status);

/* Its name in the source, or as transformers would export it in a model with heads. */
extern void AlbertLayoutName(const AlbertSource *source, const Matrix *matrix, bool exported, char *text, size_t size);

/* Let the model, or its layer, point to a matrix that lies at data. */
extern void AlbertLayoutBind(AlbertModel *model, AlbertLayer *layers, const Matrix *matrix,
							 const void *data);

/* Takes nrows rows of a matrix; row0 counts through the image's. */
typedef void (*TakeRows) (void *context, const Matrix *matrix, int row0, int nrows, const float *values);

/* The values of all matrices in order. */
extern bool AlbertMatricesRead(const AlbertSource *source, const Layout *layout, TakeRows take, void *context,
							   const volatile sig_atomic_t *interrupt, AlbertStatus *status);

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
	AlbertSourceFile files[MAX_FILES];
	json_t	   *documents;		/* all JSON that was parsed: strings of it are used as they are */
	Tensor	   *tensors;		/* of all files of weights, by name */
	int			ntensors;
	size_t		tensors_room;
	Naming		naming;			/* of the tensors */
	const char *prefix;			/* before the base model's tensor names: "albert." or "" */
	const json_t *config_json;	/* NULL: it is the original release's */
	AlbertConfig config;
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
	const AlbertSourceFile *tokenizer_files[NTOKENIZER_FILES];	/* NULL: not there */
	AlbertBytes options;		/* the model's options, as far as they are the tokenizer's */
	AlbertBytes tokenizer;		/* compiled when first needed */
};

/* ---- image layout ---- */

/* Behind it lie the labels, prompt names and prompts, NUL-ended, then the tokenizer's image up to the end. */
typedef struct TextImage
{
	AlbertImageHeader header;
	AlbertConfig config;
	int32_t		nprompts;
	uint32_t	tokenizer;		/* where it begins */
} TextImage;

typedef struct WeightsImage
{
	AlbertImageHeader header;
	AlbertConfig config;		/* the text part's: what lies where follows from it */
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
