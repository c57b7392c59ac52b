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

#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- file.c: bytes of untrusted files ---- */

typedef struct SourceFile
{
	const char *name;			/* relative to the model directory */
	int			fd;
	int64_t		size;
} SourceFile;

/*
 * Open a regular file below the directory and append it to the source's list.
 * Returns its index, or -1 with *status set; a file that does not exist gives
 * ALBERT_NOT_FOUND.
 */
extern int	AlbertFileOpen(AlbertSource *source, const char *name, AlbertStatus *status);

/* Does a file or link of that name exist?  Reading it may still fail. */
extern bool AlbertFileExists(AlbertSource *source, const char *name);

/* Exactly size bytes from an offset; fails when the file has shrunk. */
extern bool AlbertFileRead(const SourceFile *file, int64_t offset, void *dest, size_t size,
						   AlbertStatus *status);

/* The whole file into the arena, with a NUL behind it; refused when larger than limit. */
extern bool AlbertFileReadAll(AlbertSource *source, int file, size_t limit,
							  char **data, size_t *size, AlbertStatus *status);

/* Two strings put together in the arena; NULL: no memory. */
extern const char *AlbertNameJoin(AlbertSource *source, const char *first, const char *second);

/* Likewise "base/name", or name when base is empty. */
extern const char *AlbertFilePath(AlbertSource *source, const char *base, const char *name);

/* May this name from a file's contents be opened: not empty, no slash, not "." or ".."? */
extern bool AlbertPlainName(const char *name);

/* ---- json.c ---- */

typedef struct AlbertJsonText
{
	const json_t *root;			/* the source's; NULL: there is no such file */
	const char *file;			/* its path, for messages */
} AlbertJsonText;

/* Read and parse the file base/name.  A missing one is an error if it is required. */
extern bool AlbertJsonFile(AlbertSource *source, const char *base, const char *name, bool required,
						   json_type type, AlbertJsonText *json, AlbertStatus *status);

/* ---- tensor.c: one stored tensor, and the list of them ---- */

typedef enum ElementType
{
	ELEMENT_F32,
	ELEMENT_F16,
	ELEMENT_BF16,
	ELEMENT_F64,
	ELEMENT_OTHER				/* integers and the like: never read */
} ElementType;

typedef struct Tensor
{
	const char *name;
	const char *type_name;		/* as the file calls it */
	ElementType type;
	int			file;			/* index in the source's list */
	int			ndim;
	int64_t		shape[MAX_DIMS];
	int64_t		stride[MAX_DIMS];	/* in elements */
	int64_t		offset;			/* of the first element, in bytes from the file's start */
} Tensor;

typedef struct TensorList
{
	Tensor	   *items;
	int			n;
	size_t		room;
} TensorList;

/* Bytes of an element of a type that can be read; 0 for ELEMENT_OTHER. */
extern int	AlbertElementSize(ElementType type);

/* Strides of a row-major tensor. */
extern void AlbertTensorContiguous(Tensor *tensor);

/* A file of weights that is being read. */
typedef struct WeightsFile
{
	AlbertSource *source;
	int			number;			/* in the source's list */
	const char *prefix;			/* put before the name of each of its tensors */
	const json_t *weight_map;	/* of shards: only tensors that it places in this file are taken; may be NULL */
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

typedef enum ClassifierKind
{
	CLASSIFIER_UNKNOWN,			/* the architecture does not tell: the tensors decide */
	CLASSIFIER_SEQUENCE,
	CLASSIFIER_TOKEN,
	CLASSIFIER_CHOICE
} ClassifierKind;

/* original: a file of the original release, whose "gelu" is the tanh formula */
extern bool AlbertConfigRead(AlbertSource *source, const char *base, const char *name, bool original,
							 AlbertStatus *status);

/* A member that has sentence-transformers' name of a function for scores; a missing one changes nothing. */
extern bool AlbertScoreFunctionRead(AlbertSource *source, const json_t *object, const char *key, const char *file,
									AlbertStatus *status);

/* The limits above and the divisibility rules; for configurations from files and images alike. */
extern bool AlbertConfigCheck(const AlbertConfig *config, const char *file, AlbertStatus *status);

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

/* ---- layout.c: what lies where in an image of weights ---- */

typedef struct TensorRule TensorRule;

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
	TensorScope scope;
	int			index;			/* of the layer or Dense module; else 0 */
	const char *end;			/* of its tensors' names: ".weight" or ".bias" */
	MatrixForm	form;
	AlbertPrecision precision;
	bool		vector;			/* stored with one dimension: rows is 1 */
	size_t		field;			/* what points to it, by scope in AlbertModel, AlbertLayer or AlbertDense */
	int32_t		rows;			/* of all its tensors together */
	int32_t		cols;
	int			ntensors;
	size_t		offset;			/* in the image */
	size_t		size;
} Matrix;

#define MATRIX_NAME_SIZE	256	/* more than any name of the table, its prefix and numbers take */

typedef struct Layout
{
	Matrix	   *matrices;
	int			n;
	size_t		size;			/* of the image */
} Layout;

/* List the matrices of a model in order; the configuration must have passed AlbertConfigCheck. */
extern bool AlbertLayoutList(const AlbertSourceInfo *info, AlbertArena *arena, Layout *layout,
							 AlbertStatus *status);

/* Likewise with precision, size and offset of each for a kernel set. */
extern bool AlbertLayoutPlace(const AlbertSourceInfo *info, const AlbertKernels *kernels,
							  AlbertPrecision precision, AlbertArena *arena, Layout *layout,
							  AlbertStatus *status);

/* What the base model's tensors have before their names in a model with heads. */
extern const char *AlbertLayoutPrefix(const AlbertSourceInfo *info);

/* Is a matrix of the encoder or the pooler? */
extern bool AlbertLayoutIsBase(const Matrix *matrix);

/* Find out which heads the tensors make up: sets the source's prefix and info. */
extern bool AlbertLayoutHeads(AlbertSource *source, AlbertStatus *status);

/* The tensor number which (0 or 1) of a matrix, its type and shape checked. */
extern const Tensor *AlbertLayoutTensor(const AlbertSource *source, const Matrix *matrix, int which,
										AlbertStatus *status);

/* Its name, with that prefix if it is the base model's. */
extern void AlbertLayoutName(const AlbertSource *source, const Matrix *matrix, int which, const char *prefix,
							 char *text, size_t size);

/* Let the model, or its layer, point to a matrix that lies at data. */
extern void AlbertLayoutBind(AlbertModel *model, AlbertLayer *layers, const Matrix *matrix,
							 const void *data);

/* ---- the source itself ---- */

typedef enum TokenizerFile
{
	TOKENIZER_SPIECE_MODEL,
	TOKENIZER_VOCAB_TXT,
	TOKENIZER_JSON,
	TOKENIZER_CONFIG_JSON,
	TOKENIZER_SPECIAL_TOKENS_MAP_JSON,
	TOKENIZER_ADDED_TOKENS_JSON,
	TOKENIZER_ALBERT_JSON,
	NTOKENIZER_FILES
} TokenizerFile;

struct AlbertSource
{
	AlbertArena *arena;
	int			directory;		/* open while AlbertSourceOpen works; else -1 */
	int			nfiles;
	SourceFile	files[MAX_FILES];
	json_t	   *documents;		/* all JSON that was parsed: strings of it are used as they are */
	TensorList	tensors;
	const char *prefix;			/* before the base model's tensor names: "albert." or "" */
	const json_t *config;		/* config.json; NULL: it is the original release's */
	AlbertSourceInfo info;
	ClassifierKind classifier;
	int32_t		tie_word_embeddings;
	const char *tokenizer_class;	/* of config.json; NULL: not said */
	int32_t		nlabels;		/* as the reference counts them: 2 when nothing is said */
	int			label_end;		/* largest label number + 1, when that is more */
	size_t		label_room;		/* entries allocated */
	const char **labels;		/* label_end of them; NULL where the file names none */
	int			nprompts;
	const char **prompt_names;
	const char **prompts;
	int			tokenizer_files[NTOKENIZER_FILES];	/* index in files; -1: there is none */
	AlbertBytes corrections;	/* of the tokenizer, by the model's options; NULL: as an albert.json says */
	AlbertBytes tokenizer;		/* compiled when first needed */
};

/* ---- image layout ---- */

typedef struct ImageSpan
{
	uint64_t	offset;
	uint64_t	size;
} ImageSpan;

typedef struct TextImage
{
	AlbertImageHeader header;
	AlbertSourceInfo info;
	int32_t		nlabels;
	int32_t		nprompts;
	ImageSpan	strings;		/* labels, prompt names, prompts: NUL-ended, one behind the other */
	ImageSpan	tokenizer;
} TextImage;

typedef struct WeightsImage
{
	AlbertImageHeader header;
	AlbertSourceInfo info;		/* the text part's: what lies where follows from it */
	int32_t		kernels_id;
	int32_t		precision;
} WeightsImage;

/* image_text.c: the text part's AlbertImageSize and, but for the header, AlbertImageBuild */
extern size_t AlbertTextImageSize(AlbertSource *source, AlbertStatus *status);
extern bool AlbertTextImageBuild(AlbertSource *source, void *dest, size_t size, AlbertStatus *status);

static inline bool
ends_with(const char *text, const char *end)
{
	size_t		size = strlen(text);

	return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static inline size_t
align_up(size_t size)
{
	return (size + ALBERT_ALIGN - 1) & ~(size_t) (ALBERT_ALIGN - 1);
}

#endif							/* ALBERT_FORMATS_INTERNAL_H */
