/*
 * pickle.c
 *	  A reader of pickles that can only build tensors.
 *
 * A pickle is a program for a stack machine.  This machine knows plain data
 * and the few globals by which PyTorch describes tensors; it has no way to
 * call anything.  Whatever else a pickle asks for is refused by its name.
 * The operations are described in Python's pickletools.
 */
#include "formats/checkpoints/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

typedef enum Callable
{
	CALL_ORDERED_DICT,
	CALL_TENSOR,				/* _rebuild_tensor and _rebuild_tensor_v2 */
	CALL_PARAMETER,
	CALL_SIZE
} Callable;

static const struct
{
	const char *name;
	Callable	callable;
}			callables[] =
{
	{"collections.OrderedDict", CALL_ORDERED_DICT},
	{"torch._utils._rebuild_tensor", CALL_TENSOR},
	{"torch._utils._rebuild_tensor_v2", CALL_TENSOR},
	{"torch._utils._rebuild_parameter", CALL_PARAMETER},
	{"torch.Size", CALL_SIZE}
};

static const struct
{
	const char *name;
	ElementType type;
	const char *type_name;
	int			size;
}			storage_types[] =
{
	{"torch.FloatStorage", ELEMENT_F32, "float32", 4},
	{"torch.HalfStorage", ELEMENT_F16, "float16", 2},
	{"torch.BFloat16Storage", ELEMENT_BF16, "bfloat16", 2},
	{"torch.DoubleStorage", ELEMENT_F64, "float64", 8},
	{"torch.LongStorage", ELEMENT_OTHER, "int64", 8},
	{"torch.IntStorage", ELEMENT_OTHER, "int32", 4},
	{"torch.ShortStorage", ELEMENT_OTHER, "int16", 2},
	{"torch.CharStorage", ELEMENT_OTHER, "int8", 1},
	{"torch.ByteStorage", ELEMENT_OTHER, "uint8", 1},
	{"torch.BoolStorage", ELEMENT_OTHER, "bool", 1}
};

typedef struct Machine
{
	const unsigned char *data;
	size_t		size;
	size_t		at;
	AlbertArena *arena;
	const char *file;
	AlbertStatus *status;
	PickleList	stack;
	PickleValue *memo;
	size_t		memo_room;
	int			nmemo;			/* for MEMOIZE, which numbers by itself */
	int			nvalues;		/* put anywhere so far: copying must not multiply without end */
} Machine;

static bool
bad_pickle(Machine *machine, const char *what)
{
	return AlbertFail(machine->status, ALBERT_FORMAT, "file \"%s\" holds a damaged pickle: %s",
					  machine->file, what);
}

/* ---- lists and the stack ---- */

static bool
append(Machine *machine, PickleList *list, PickleValue value)
{
	if (++machine->nvalues > MAX_PICKLE_VALUES)
		return bad_pickle(machine, "it is too long");
	if (!AlbertArenaReserve(machine->arena, &list->items, list->n, 1, sizeof(PickleValue), &list->room))
		return AlbertNoMemory(machine->status);
	list->items[list->n++] = value;
	return true;
}

static bool
push(Machine *machine, PickleValue value)
{
	return append(machine, &machine->stack, value);
}

static bool
push_number(Machine *machine, PickleKind kind, int64_t value)
{
	PickleValue result = {.kind = kind};

	result.number = value;
	return push(machine, result);
}

static bool
push_text(Machine *machine, PickleKind kind, const char *text, size_t length)
{
	PickleValue result = {.kind = kind};

	result.text = text;
	result.length = length;
	return push(machine, result);
}

/* A list of n values from the top of the stack, which they leave. */
static bool
push_list(Machine *machine, PickleKind kind, int n)
{
	PickleValue result = {.kind = kind};
	PickleList *stack = &machine->stack;

	result.list = AlbertArenaAllocZero(machine->arena, sizeof(PickleList));
	if (result.list == NULL)
		return AlbertNoMemory(machine->status);
	if (n > 0)
	{
		result.list->items = AlbertArenaArray(machine->arena, n, sizeof(PickleValue));
		if (result.list->items == NULL)
			return AlbertNoMemory(machine->status);
		stack->n -= n;
		memcpy(result.list->items, stack->items + stack->n, n * sizeof(PickleValue));
		result.list->n = result.list->room = n;
	}
	return push(machine, result);
}

static bool
pop(Machine *machine, PickleValue *value)
{
	PickleList *stack = &machine->stack;

	if (stack->n == 0 || stack->items[stack->n - 1].kind == PICKLE_MARK)
		return bad_pickle(machine, "it takes from an empty stack");
	*value = stack->items[--stack->n];
	return true;
}

/* How many values lie above the topmost mark. */
static bool
above_mark(Machine *machine, int *n)
{
	PickleList *stack = &machine->stack;

	for (int i = stack->n - 1; i >= 0; i--)
	{
		if (stack->items[i].kind == PICKLE_MARK)
		{
			*n = stack->n - 1 - i;
			return true;
		}
	}
	return bad_pickle(machine, "it looks for a mark that is not there");
}

/* The topmost n values become one, and the mark below them goes. */
static bool
mark_to_list(Machine *machine, PickleKind kind)
{
	int			n;
	PickleValue result;

	if (!above_mark(machine, &n) || !push_list(machine, kind, n))
		return false;
	if (kind == PICKLE_DICT && n % 2 != 0)
		return bad_pickle(machine, "a dictionary has a key without a value");
	result = machine->stack.items[machine->stack.n - 1];
	machine->stack.n--;
	machine->stack.items[machine->stack.n - 1] = result;
	return true;
}

/* n values from the top go into the list or dictionary below them (and below a mark). */
static bool
extend(Machine *machine, PickleKind kind, int n, bool mark)
{
	PickleList *stack = &machine->stack;
	int			target = stack->n - n - 1 - (mark ? 1 : 0);

	if (target < 0 || stack->items[target].kind != kind || (kind == PICKLE_DICT && n % 2 != 0))
		return bad_pickle(machine, "it adds to something that is no container");
	for (int i = stack->n - n; i < stack->n; i++)
	{
		if (stack->items[i].kind == PICKLE_MARK)
			return bad_pickle(machine, "it takes from an empty stack");
		if (!append(machine, stack->items[target].list, stack->items[i]))
			return false;
	}
	stack->n = target + 1;
	return true;
}

/* ---- operands ---- */

static bool
take(Machine *machine, size_t n, const unsigned char **bytes)
{
	if (n > machine->size - machine->at)
		return bad_pickle(machine, "it ends in the middle of an operation");
	*bytes = machine->data + machine->at;
	machine->at += n;
	return true;
}

static bool
take_number(Machine *machine, int size, uint64_t *value)
{
	const unsigned char *bytes;

	if (!take(machine, size, &bytes))
		return false;
	*value = AlbertLittleEndian(bytes, size);
	return true;
}

static bool
take_text(Machine *machine, int length_size, PickleKind kind)
{
	uint64_t	length;
	const unsigned char *bytes;

	return take_number(machine, length_size, &length) &&
		take(machine, length, &bytes) &&
		push_text(machine, kind, (const char *) bytes, length);
}

static bool
take_int(Machine *machine, int size, bool with_sign)
{
	uint64_t	value;

	if (!take_number(machine, size, &value))
		return false;
	if (with_sign && size == 4)
		return push_number(machine, PICKLE_INT, (int32_t) value);
	return push_number(machine, PICKLE_INT, (int64_t) value);
}

/* LONG1: little-endian two's complement; more than eight bytes stay bytes */
static bool
take_long(Machine *machine)
{
	uint64_t	length;
	const unsigned char *bytes;
	uint64_t	value;

	if (!take_number(machine, 1, &length) || !take(machine, length, &bytes))
		return false;
	if (length > 8)
		return push_text(machine, PICKLE_OTHER, (const char *) bytes, length);
	value = AlbertLittleEndian(bytes, length);
	if (length > 0 && length < 8 && (bytes[length - 1] & 0x80) != 0)
		value |= UINT64_MAX << 8 * length;
	return push_number(machine, PICKLE_INT, (int64_t) value);
}

static bool
take_line(Machine *machine, const char **line, size_t *length)
{
	const unsigned char *start = machine->data + machine->at;
	const unsigned char *end = memchr(start, '\n', machine->size - machine->at);

	if (end == NULL)
		return bad_pickle(machine, "it ends in the middle of an operation");
	*line = (const char *) start;
	*length = end - start;
	machine->at += *length + 1;
	return true;
}

/* ---- memo ---- */

static bool
remember(Machine *machine, uint64_t place)
{
	PickleList *stack = &machine->stack;

	if (stack->n == 0 || place >= MAX_PICKLE_MEMO)
		return bad_pickle(machine, "it cannot remember that");
	if (place >= machine->memo_room)
	{
		size_t		used = machine->memo_room;

		if (!AlbertArenaReserve(machine->arena, &machine->memo, used, place + 1 - used, sizeof(PickleValue),
								&machine->memo_room))
			return AlbertNoMemory(machine->status);
		for (size_t i = used; i < machine->memo_room; i++)
			machine->memo[i].kind = PICKLE_MARK;	/* nothing here */
	}
	machine->memo[place] = stack->items[stack->n - 1];
	return true;
}

static bool
put(Machine *machine, int size)
{
	uint64_t	place;

	return take_number(machine, size, &place) && remember(machine, place);
}

static bool
recall(Machine *machine, int size)
{
	uint64_t	place;

	if (!take_number(machine, size, &place))
		return false;
	if (place >= machine->memo_room || machine->memo[place].kind == PICKLE_MARK)
		return bad_pickle(machine, "it recalls something it never remembered");
	return push(machine, machine->memo[place]);
}

/* ---- globals, and what PyTorch makes with them ---- */

static bool
push_global(Machine *machine, const char *module, size_t module_size,
			const char *name, size_t name_size)
{
	char		full[128];

	snprintf(full, sizeof(full), "%.*s.%.*s", module_size < 60 ? (int) module_size : 60, module,
			 name_size < 60 ? (int) name_size : 60, name);
	for (size_t i = 0; i < LENGTH(callables); i++)
		if (strcmp(full, callables[i].name) == 0)
			return push_number(machine, PICKLE_CALLABLE, callables[i].callable);
	for (size_t i = 0; i < LENGTH(storage_types); i++)
		if (strcmp(full, storage_types[i].name) == 0)
			return push_number(machine, PICKLE_STORAGE_TYPE, i);
	for (char *c = full; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	AlbertFail(machine->status, ALBERT_UNSUPPORTED, "file \"%s\" asks for \"%s\", which is not part of a tensor",
			   machine->file, full);
	AlbertDetail(machine->status, "Only tensors are read from a pickle; nothing in it is executed.");
	return AlbertHint(machine->status, "Save the weights as safetensors, or as a plain state dictionary.");
}

static bool
global_lines(Machine *machine)
{
	const char *module;
	const char *name;
	size_t		module_size;
	size_t		name_size;

	return take_line(machine, &module, &module_size) &&
		take_line(machine, &name, &name_size) &&
		push_global(machine, module, module_size, name, name_size);
}

static bool
global_stack(Machine *machine)
{
	PickleValue module;
	PickleValue name;

	if (!pop(machine, &name) || !pop(machine, &module))
		return false;
	if (module.kind != PICKLE_TEXT || name.kind != PICKLE_TEXT)
		return bad_pickle(machine, "a global has no name");
	return push_global(machine, module.text, module.length, name.text, name.length);
}

static const PickleValue *
argument(const PickleList *arguments, int i, PickleKind kind)
{
	return i < arguments->n && arguments->items[i].kind == kind ? &arguments->items[i] : NULL;
}

/* ('storage', type, key, location, elements[, view]): elements that follow elsewhere */
static bool
make_storage(Machine *machine)
{
	PickleValue id;
	PickleValue result = {.kind = PICKLE_STORAGE};
	const PickleValue *type;
	const PickleValue *key;
	const PickleValue *elements;
	const PickleValue *view;
	char	   *text;

	if (!pop(machine, &id))
		return false;
	type = id.kind == PICKLE_LIST ? argument(id.list, 1, PICKLE_STORAGE_TYPE) : NULL;
	key = type == NULL ? NULL : argument(id.list, 2, PICKLE_TEXT);
	elements = key == NULL ? NULL : argument(id.list, 4, PICKLE_INT);
	if (elements == NULL || elements->number < 0 || key->length > MAX_TENSOR_NAME ||
		memchr(key->text, '\0', key->length) != NULL)
		return bad_pickle(machine, "a persistent id is not that of a storage");
	result.storage = AlbertArenaAllocZero(machine->arena, sizeof(PickleStorage));
	text = AlbertArenaAlloc(machine->arena, key->length + 1);
	if (result.storage == NULL || text == NULL)
		return AlbertNoMemory(machine->status);
	memcpy(text, key->text, key->length);
	text[key->length] = '\0';
	result.storage->type = storage_types[type->number].type;
	result.storage->type_name = storage_types[type->number].type_name;
	result.storage->element_size = storage_types[type->number].size;
	result.storage->key = text;
	result.storage->elements = elements->number;
	result.storage->view_elements = elements->number;
	view = argument(id.list, 5, PICKLE_LIST);
	if (view != NULL)
	{
		const PickleValue *start = argument(view->list, 1, PICKLE_INT);
		const PickleValue *length = argument(view->list, 2, PICKLE_INT);

		if (start == NULL || length == NULL || start->number < 0 || length->number < 0 ||
			start->number > elements->number || length->number > elements->number - start->number)
			return bad_pickle(machine, "a view lies outside its storage");
		result.storage->view_start = start->number;
		result.storage->view_elements = length->number;
	}
	return push(machine, result);
}

static bool
copy_sizes(const PickleValue *list, int64_t *sizes)
{
	for (int i = 0; i < list->list->n; i++)
	{
		if (list->list->items[i].kind != PICKLE_INT || list->list->items[i].number < 0)
			return false;
		sizes[i] = list->list->items[i].number;
	}
	return true;
}

/* Does every element lie in the storage?  Views that repeat elements are refused with the rest. */
static bool
tensor_fits(const PickleTensor *tensor)
{
	int64_t		elements = 1;
	int64_t		last = tensor->offset;

	for (int i = 0; i < tensor->ndim; i++)
	{
		int64_t		span;

		if (tensor->shape[i] == 0)
			return true;
		if (__builtin_mul_overflow(elements, tensor->shape[i], &elements) ||
			__builtin_mul_overflow(tensor->shape[i] - 1, tensor->stride[i], &span) ||
			__builtin_add_overflow(last, span, &last))
			return false;
	}
	return last < tensor->storage->view_elements && elements <= tensor->storage->view_elements;
}

/* (storage, offset, size, stride, ...) */
static bool
make_tensor(Machine *machine, const PickleList *arguments)
{
	const PickleValue *storage = argument(arguments, 0, PICKLE_STORAGE);
	const PickleValue *offset = argument(arguments, 1, PICKLE_INT);
	const PickleValue *shape = argument(arguments, 2, PICKLE_LIST);
	const PickleValue *stride = argument(arguments, 3, PICKLE_LIST);
	PickleValue result = {.kind = PICKLE_TENSOR};

	if (storage == NULL || offset == NULL || shape == NULL || stride == NULL ||
		offset->number < 0 || shape->list->n > MAX_DIMS || shape->list->n != stride->list->n)
		return bad_pickle(machine, "a tensor is not described as one");
	result.tensor = AlbertArenaAllocZero(machine->arena, sizeof(PickleTensor));
	if (result.tensor == NULL)
		return AlbertNoMemory(machine->status);
	result.tensor->storage = storage->storage;
	result.tensor->offset = offset->number;
	result.tensor->ndim = shape->list->n;
	if (!copy_sizes(shape, result.tensor->shape) || !copy_sizes(stride, result.tensor->stride))
		return bad_pickle(machine, "a tensor is not described as one");
	if (!tensor_fits(result.tensor))
		return bad_pickle(machine, "a tensor reaches beyond its storage");
	return push(machine, result);
}

/* OrderedDict() or OrderedDict([[key, value], ...]) */
static bool
make_dict(Machine *machine, const PickleList *arguments)
{
	const PickleValue *pairs = argument(arguments, 0, PICKLE_LIST);
	PickleList *dict;

	if (!push_list(machine, PICKLE_DICT, 0))
		return false;
	dict = machine->stack.items[machine->stack.n - 1].list;
	for (int i = 0; pairs != NULL && i < pairs->list->n; i++)
	{
		const PickleValue *pair = argument(pairs->list, i, PICKLE_LIST);

		if (pair == NULL || pair->list->n != 2)
			return bad_pickle(machine, "a dictionary is not made of pairs");
		if (!append(machine, dict, pair->list->items[0]) ||
			!append(machine, dict, pair->list->items[1]))
			return false;
	}
	return true;
}

static bool
reduce(Machine *machine)
{
	PickleValue arguments;
	PickleValue callable;
	const PickleValue *first;

	if (!pop(machine, &arguments) || !pop(machine, &callable))
		return false;
	if (arguments.kind != PICKLE_LIST || callable.kind != PICKLE_CALLABLE)
		return bad_pickle(machine, "it calls something that is no function");
	switch ((Callable) callable.number)
	{
		case CALL_ORDERED_DICT:
			return make_dict(machine, arguments.list);
		case CALL_TENSOR:
			return make_tensor(machine, arguments.list);
		case CALL_PARAMETER:
			first = argument(arguments.list, 0, PICKLE_TENSOR);
			break;
		default:
			first = argument(arguments.list, 0, PICKLE_LIST);
			break;
	}
	if (first == NULL)
		return bad_pickle(machine, "a tensor is not described as one");
	return push(machine, *first);
}

/* A dictionary may carry attributes (PyTorch's _metadata), which say nothing about weights. */
static bool
build(Machine *machine)
{
	PickleValue state;

	if (!pop(machine, &state))
		return false;
	if (machine->stack.n == 0 || machine->stack.items[machine->stack.n - 1].kind != PICKLE_DICT)
		return bad_pickle(machine, "it gives attributes to something that has none");
	return true;
}

/* ---- the machine ---- */

static bool
drop(Machine *machine)
{
	PickleValue value;

	if (machine->stack.n > 0 && machine->stack.items[machine->stack.n - 1].kind == PICKLE_MARK)
	{
		machine->stack.n--;
		return true;
	}
	return pop(machine, &value);
}

static bool
drop_to_mark(Machine *machine)
{
	int			n;

	if (!above_mark(machine, &n))
		return false;
	machine->stack.n -= n + 1;
	return true;
}

static bool
short_tuple(Machine *machine, int n)
{
	PickleList *stack = &machine->stack;

	for (int i = 1; i <= n; i++)
		if (i > stack->n || stack->items[stack->n - i].kind == PICKLE_MARK)
			return bad_pickle(machine, "it takes from an empty stack");
	return push_list(machine, PICKLE_LIST, n);
}

static bool
extend_from_mark(Machine *machine, PickleKind kind)
{
	int			n;

	return above_mark(machine, &n) && extend(machine, kind, n, true);
}

static bool
start_protocol(Machine *machine)
{
	uint64_t	version;

	if (!take_number(machine, 1, &version))
		return false;
	if (version < 2 || version > 5)
		return bad_pickle(machine, "its protocol is unknown");
	return true;
}

static bool
unsupported(Machine *machine, int operation)
{
	AlbertFail(machine->status, ALBERT_UNSUPPORTED,
			   "file \"%s\" holds a pickle with the operation 0x%02x, which is not supported",
			   machine->file, operation);
	return AlbertDetail(machine->status, "Only tensors are read from a pickle; nothing in it is executed.");
}

static bool
step(Machine *machine, int operation)
{
	const unsigned char *bytes;

	switch (operation)
	{
		case 0x80:				/* PROTO */
			return start_protocol(machine);
		case 0x95:				/* FRAME */
			return take(machine, 8, &bytes);
		case '(':				/* MARK */
			return push_number(machine, PICKLE_MARK, 0);
		case '0':				/* POP */
			return drop(machine);
		case '1':				/* POP_MARK */
			return drop_to_mark(machine);
		case 'N':				/* NONE */
			return push_number(machine, PICKLE_NONE, 0);
		case 0x88:				/* NEWTRUE */
			return push_number(machine, PICKLE_BOOL, 1);
		case 0x89:				/* NEWFALSE */
			return push_number(machine, PICKLE_BOOL, 0);
		case 'K':				/* BININT1 */
			return take_int(machine, 1, false);
		case 'M':				/* BININT2 */
			return take_int(machine, 2, false);
		case 'J':				/* BININT */
			return take_int(machine, 4, true);
		case 0x8a:				/* LONG1 */
			return take_long(machine);
		case 'G':				/* BINFLOAT */
			return take(machine, 8, &bytes) && push_number(machine, PICKLE_OTHER, 0);
		case 'X':				/* BINUNICODE */
		case 'T':				/* BINSTRING */
			return take_text(machine, 4, PICKLE_TEXT);
		case 'U':				/* SHORT_BINSTRING */
		case 0x8c:				/* SHORT_BINUNICODE */
			return take_text(machine, 1, PICKLE_TEXT);
		case 0x8d:				/* BINUNICODE8 */
			return take_text(machine, 8, PICKLE_TEXT);
		case 'C':				/* SHORT_BINBYTES */
			return take_text(machine, 1, PICKLE_OTHER);
		case 'B':				/* BINBYTES */
			return take_text(machine, 4, PICKLE_OTHER);
		case ')':				/* EMPTY_TUPLE */
		case ']':				/* EMPTY_LIST */
			return push_list(machine, PICKLE_LIST, 0);
		case '}':				/* EMPTY_DICT */
			return push_list(machine, PICKLE_DICT, 0);
		case 't':				/* TUPLE */
		case 'l':				/* LIST */
			return mark_to_list(machine, PICKLE_LIST);
		case 'd':				/* DICT */
			return mark_to_list(machine, PICKLE_DICT);
		case 0x85:				/* TUPLE1, TUPLE2, TUPLE3 */
		case 0x86:
		case 0x87:
			return short_tuple(machine, operation - 0x84);
		case 'a':				/* APPEND */
			return extend(machine, PICKLE_LIST, 1, false);
		case 'e':				/* APPENDS */
			return extend_from_mark(machine, PICKLE_LIST);
		case 's':				/* SETITEM */
			return extend(machine, PICKLE_DICT, 2, false);
		case 'u':				/* SETITEMS */
			return extend_from_mark(machine, PICKLE_DICT);
		case 'q':				/* BINPUT */
			return put(machine, 1);
		case 'r':				/* LONG_BINPUT */
			return put(machine, 4);
		case 0x94:				/* MEMOIZE */
			return remember(machine, machine->nmemo++);
		case 'h':				/* BINGET */
			return recall(machine, 1);
		case 'j':				/* LONG_BINGET */
			return recall(machine, 4);
		case 'c':				/* GLOBAL */
			return global_lines(machine);
		case 0x93:				/* STACK_GLOBAL */
			return global_stack(machine);
		case 'Q':				/* BINPERSID */
			return make_storage(machine);
		case 'R':				/* REDUCE */
			return reduce(machine);
		case 'b':				/* BUILD */
			return build(machine);
		default:
			return unsupported(machine, operation);
	}
}

bool
AlbertPickleLoad(const char *data, size_t size, size_t *used, AlbertArena *arena,
				 const char *file, PickleValue *result, AlbertStatus *status)
{
	Machine		machine = {
		.data = (const unsigned char *) data, .size = size, .arena = arena, .file = file, .status = status
	};

	for (int steps = 0; steps < MAX_PICKLE_STEPS; steps++)
	{
		const unsigned char *operation;

		if (machine.at == machine.size)
			return bad_pickle(&machine, "it has no end");
		if (!take(&machine, 1, &operation))
			return false;
		if (*operation == '.')	/* STOP */
		{
			*used = machine.at;
			return pop(&machine, result);
		}
		if (!step(&machine, *operation))
			return false;
	}
	return bad_pickle(&machine, "it is too long");
}

const PickleValue *
AlbertPickleGet(const PickleValue *dict, const char *key)
{
	size_t		length = strlen(key);

	for (int i = 0; dict->kind == PICKLE_DICT && i + 1 < dict->list->n; i += 2)
	{
		const PickleValue *item = &dict->list->items[i];

		if (item->kind == PICKLE_TEXT && item->length == length &&
			memcmp(item->text, key, length) == 0)
			return item + 1;
	}
	return NULL;
}
