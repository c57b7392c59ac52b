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

static const struct
{
	const char *name;
	PickleKind	kind;			/* of what it makes */
	bool		first;			/* which is its first argument */
}			callables[] =
{
	{"collections.OrderedDict", PICKLE_DICT, false},
	{"torch._utils._rebuild_tensor", PICKLE_TENSOR, false},
	{"torch._utils._rebuild_tensor_v2", PICKLE_TENSOR, false},
	{"torch._utils._rebuild_parameter", PICKLE_TENSOR, true},
	{"torch.Size", PICKLE_LIST, true}
};

#define MARKED		(-1)		/* values: as many as lie above the last mark */

typedef struct Machine
{
	AlbertSpan *input;
	AlbertArena *arena;
	const char *file;
	AlbertStatus *status;
	PickleList	stack;
	int			floor;			/* values up to the last mark, which is one; 0: there is no mark */
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
push_number(Machine *machine, PickleKind kind, int64_t number)
{
	return push(machine, (PickleValue) {.kind = kind, .number = number});
}

/* The topmost value; NULL when there is none above the last mark. */
static PickleValue *
top(Machine *machine)
{
	return machine->stack.n == machine->floor ? NULL : &machine->stack.items[machine->stack.n - 1];
}

/*
 * The topmost n values leave the stack, or those above the last mark, and it,
 * if n is MARKED.  They can be read until the next push.
 */
static bool
pop(Machine *machine, int n, PickleList *values)
{
	PickleList *stack = &machine->stack;
	int			above = stack->n - machine->floor;

	if (n == MARKED && machine->floor == 0)
		return bad_pickle(machine, "it looks for a mark that is not there");
	if (n > above)
		return bad_pickle(machine, "it takes from an empty stack");
	values->n = n == MARKED ? above : n;
	stack->n -= values->n;
	values->items = stack->items + stack->n;
	if (n == MARKED)
		machine->floor = (int) stack->items[--stack->n].number;
	return true;
}

/* ---- operands ---- */

static bool
take(Machine *machine, size_t n, const unsigned char **bytes)
{
	if (n > AlbertSpanSize(*machine->input))
		return bad_pickle(machine, "it ends in the middle of an operation");
	*bytes = machine->input->at;
	machine->input->at += n;
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

/* Bytes behind their number, which has so many bytes itself. */
static bool
take_bytes(Machine *machine, int number_size, const unsigned char **bytes, uint64_t *length)
{
	return take_number(machine, number_size, length) && take(machine, *length, bytes);
}

/* ---- operations on plain data ---- */

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

/* A mark holds the floor that was before it. */
static bool
push_mark(Machine *machine)
{
	if (!push_number(machine, PICKLE_OTHER, machine->floor))
		return false;
	machine->floor = machine->stack.n;
	return true;
}

static bool
push_int(Machine *machine, int size)
{
	uint64_t	value;

	if (!take_number(machine, size, &value))
		return false;
	/* only the one of four bytes has a sign */
	return push_number(machine, PICKLE_INT, size == 4 ? (int32_t) value : (int64_t) value);
}

/* Little-endian two's complement; more than eight bytes stay bytes. */
static bool
push_long(Machine *machine)
{
	uint64_t	length;
	const unsigned char *bytes;
	uint64_t	value;

	if (!take_bytes(machine, 1, &bytes, &length))
		return false;
	if (length > 8)
		return push(machine, (PickleValue) {
			.kind = PICKLE_OTHER, .text = (const char *) bytes, .length = (uint32_t) length
		});
	value = AlbertLittleEndian(bytes, length);
	if (length > 0 && length < 8 && (bytes[length - 1] & 0x80) != 0)
		value |= UINT64_MAX << 8 * length;
	return push_number(machine, PICKLE_INT, (int64_t) value);
}

static bool
push_bytes(Machine *machine, int number_size)
{
	uint64_t	length;
	const unsigned char *bytes;

	return take_bytes(machine, number_size, &bytes, &length) && push_number(machine, PICKLE_OTHER, 0);
}

static bool
push_text(Machine *machine, const unsigned char *bytes, size_t length)
{
	const char *text;

	if (length > MAX_TENSOR_NAME || memchr(bytes, '\0', length) != NULL)
		return push_number(machine, PICKLE_OTHER, 0);
	text = AlbertNameCopy(machine->arena, (const char *) bytes, length);
	if (text == NULL)
		return AlbertNoMemory(machine->status);
	return push(machine, (PickleValue) {.kind = PICKLE_TEXT, .text = text});
}

static bool
take_text(Machine *machine, int number_size)
{
	uint64_t	length;
	const unsigned char *bytes;

	return take_bytes(machine, number_size, &bytes, &length) && push_text(machine, bytes, length);
}

static bool
take_line(Machine *machine)
{
	const unsigned char *start = machine->input->at;
	const unsigned char *end = memchr(start, '\n', AlbertSpanSize(*machine->input));

	if (end == NULL)
		return bad_pickle(machine, "it ends in the middle of an operation");
	machine->input->at = end + 1;
	return push_text(machine, start, end - start);
}

/* A new list of n values that leave the stack. */
static bool
push_list(Machine *machine, PickleKind kind, int n)
{
	PickleList *list = AlbertArenaAllocZero(machine->arena, sizeof(PickleList));
	PickleList	values = {.n = 0};

	if (list == NULL)
		return AlbertNoMemory(machine->status);
	if (n != 0 && !pop(machine, n, &values))
		return false;
	if (values.n > 0)
	{
		list->items = AlbertArenaArray(machine->arena, values.n, sizeof(PickleValue));
		if (list->items == NULL)
			return AlbertNoMemory(machine->status);
		memcpy(list->items, values.items, values.n * sizeof(PickleValue));
		list->n = list->room = values.n;
	}
	return push(machine, (PickleValue) {.kind = kind, .list = list});
}

/* n values go into the list or dictionary below them. */
static bool
extend(Machine *machine, PickleKind kind, int n)
{
	PickleList	values;
	PickleValue *target;

	if (!pop(machine, n, &values))
		return false;
	target = top(machine);
	if (target == NULL || target->kind != kind || (kind == PICKLE_DICT && values.n % 2 != 0))
		return bad_pickle(machine, "it adds to something that is no container");
	for (int i = 0; i < values.n; i++)
		if (!append(machine, target->list, values.items[i]))
			return false;
	return true;
}

/* ---- memo ---- */

static bool
remember(Machine *machine, uint64_t place)
{
	const PickleValue *value = top(machine);
	size_t		used = machine->memo_room;

	if (value == NULL || place >= MAX_PICKLE_MEMO)
		return bad_pickle(machine, "it cannot remember that");
	if (place >= used)
	{
		if (!AlbertArenaReserve(machine->arena, &machine->memo, used, place + 1 - used, sizeof(PickleValue),
								&machine->memo_room))
			return AlbertNoMemory(machine->status);
		memset(machine->memo + used, 0, (machine->memo_room - used) * sizeof(PickleValue));
	}
	machine->memo[place] = *value;
	return true;
}

static bool
put(Machine *machine, int size)
{
	uint64_t	place;

	return take_number(machine, size, &place) && remember(machine, place);
}

static bool
get(Machine *machine, int size)
{
	uint64_t	place;

	if (!take_number(machine, size, &place))
		return false;
	if (place >= machine->memo_room || machine->memo[place].kind == PICKLE_NOTHING)
		return bad_pickle(machine, "it recalls something it never remembered");
	return push(machine, machine->memo[place]);
}

/* ---- globals, and what PyTorch makes with them ---- */

const PickleValue *
AlbertPickleItem(const PickleList *list, int i, PickleKind kind)
{
	return i < list->n && list->items[i].kind == kind ? &list->items[i] : NULL;
}

/* A module and a name in it are on the stack. */
static bool
find_global(Machine *machine)
{
	PickleList	names;
	const PickleValue *module;
	const PickleValue *name;
	char		full[128];

	if (!pop(machine, 2, &names))
		return false;
	module = AlbertPickleItem(&names, 0, PICKLE_TEXT);
	name = AlbertPickleItem(&names, 1, PICKLE_TEXT);
	if (module == NULL || name == NULL)
		return bad_pickle(machine, "a global has no name");
	snprintf(full, sizeof(full), "%.60s.%.60s", module->text, name->text);
	for (size_t i = 0; i < LENGTH(callables); i++)
		if (strcmp(full, callables[i].name) == 0)
			return push_number(machine, PICKLE_CALLABLE, i);
	for (const ElementType *type = AlbertElementTypes; type->size != 0; type++)
		if (strcmp(full, type->storage) == 0)
			return push(machine, (PickleValue) {.kind = PICKLE_ELEMENTS, .elements = type});
	for (char *c = full; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	AlbertFail(machine->status, ALBERT_UNSUPPORTED, "file \"%s\" asks for \"%s\", which is not part of a tensor",
			   machine->file, full);
	AlbertDetail(machine->status, "Only tensors are read from a pickle; nothing in it is executed.");
	return AlbertHint(machine->status, "Save the weights as safetensors, or as a plain state dictionary.");
}

static bool
persistent_id(Machine *machine)
{
	PickleValue *id = top(machine);

	if (id == NULL || id->kind != PICKLE_LIST)
		return bad_pickle(machine, "a persistent id is not that of a storage");
	id->kind = PICKLE_STORAGE;
	return true;
}

/* OrderedDict() or OrderedDict([[key, value], ...]) */
static bool
make_dict(Machine *machine, const PickleList *arguments)
{
	const PickleValue *pairs = AlbertPickleItem(arguments, 0, PICKLE_LIST);
	PickleList *dict;

	if (!push_list(machine, PICKLE_DICT, 0))
		return false;
	dict = top(machine)->list;
	for (int i = 0; pairs != NULL && i < pairs->list->n; i++)
	{
		const PickleValue *pair = AlbertPickleItem(pairs->list, i, PICKLE_LIST);

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
	PickleList	call;
	const PickleValue *callable;
	const PickleValue *arguments;
	const PickleValue *first;
	PickleKind	kind;

	if (!pop(machine, 2, &call))
		return false;
	callable = AlbertPickleItem(&call, 0, PICKLE_CALLABLE);
	arguments = AlbertPickleItem(&call, 1, PICKLE_LIST);
	if (callable == NULL || arguments == NULL)
		return bad_pickle(machine, "it calls something that is no function");
	kind = callables[callable->number].kind;
	if (callables[callable->number].first)
	{
		first = AlbertPickleItem(arguments->list, 0, kind);
		return first != NULL ? push(machine, *first) : bad_pickle(machine, "a tensor is not described as one");
	}
	if (kind == PICKLE_DICT)
		return make_dict(machine, arguments->list);
	return push(machine, (PickleValue) {.kind = kind, .list = arguments->list});
}

/* A dictionary may carry attributes (PyTorch's _metadata), which say nothing about weights. */
static bool
build(Machine *machine)
{
	PickleList	state;
	const PickleValue *target;

	if (!pop(machine, 1, &state))
		return false;
	target = top(machine);
	if (target == NULL || target->kind != PICKLE_DICT)
		return bad_pickle(machine, "it gives attributes to something that has none");
	return true;
}

/* ---- the machine ---- */

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
			return push_mark(machine);
		case 'N':				/* NONE */
			return push_number(machine, PICKLE_NONE, 0);
		case 0x88:				/* NEWTRUE */
			return push_number(machine, PICKLE_BOOL, 1);
		case 0x89:				/* NEWFALSE */
			return push_number(machine, PICKLE_BOOL, 0);
		case 'K':				/* BININT1 */
			return push_int(machine, 1);
		case 'M':				/* BININT2 */
			return push_int(machine, 2);
		case 'J':				/* BININT */
			return push_int(machine, 4);
		case 0x8a:				/* LONG1 */
			return push_long(machine);
		case 'G':				/* BINFLOAT */
			return take(machine, 8, &bytes) && push_number(machine, PICKLE_OTHER, 0);
		case 'X':				/* BINUNICODE */
		case 'T':				/* BINSTRING */
			return take_text(machine, 4);
		case 'U':				/* SHORT_BINSTRING */
		case 0x8c:				/* SHORT_BINUNICODE */
			return take_text(machine, 1);
		case 0x8d:				/* BINUNICODE8 */
			return take_text(machine, 8);
		case 'C':				/* SHORT_BINBYTES */
			return push_bytes(machine, 1);
		case 'B':				/* BINBYTES */
			return push_bytes(machine, 4);
		case ')':				/* EMPTY_TUPLE */
		case ']':				/* EMPTY_LIST */
			return push_list(machine, PICKLE_LIST, 0);
		case '}':				/* EMPTY_DICT */
			return push_list(machine, PICKLE_DICT, 0);
		case 't':				/* TUPLE */
			return push_list(machine, PICKLE_LIST, MARKED);
		case 0x85:				/* TUPLE1, TUPLE2, TUPLE3 */
		case 0x86:
		case 0x87:
			return push_list(machine, PICKLE_LIST, operation - 0x84);
		case 'a':				/* APPEND */
			return extend(machine, PICKLE_LIST, 1);
		case 'e':				/* APPENDS */
			return extend(machine, PICKLE_LIST, MARKED);
		case 's':				/* SETITEM */
			return extend(machine, PICKLE_DICT, 2);
		case 'u':				/* SETITEMS */
			return extend(machine, PICKLE_DICT, MARKED);
		case 'q':				/* BINPUT */
			return put(machine, 1);
		case 'r':				/* LONG_BINPUT */
			return put(machine, 4);
		case 0x94:				/* MEMOIZE */
			return remember(machine, machine->nmemo++);
		case 'h':				/* BINGET */
			return get(machine, 1);
		case 'j':				/* LONG_BINGET */
			return get(machine, 4);
		case 'c':				/* GLOBAL */
			return take_line(machine) && take_line(machine) && find_global(machine);
		case 0x93:				/* STACK_GLOBAL */
			return find_global(machine);
		case 'Q':				/* BINPERSID */
			return persistent_id(machine);
		case 'R':				/* REDUCE */
			return reduce(machine);
		case 'b':				/* BUILD */
			return build(machine);
		default:
			AlbertFail(machine->status, ALBERT_UNSUPPORTED,
					   "file \"%s\" holds a pickle with the operation 0x%02x, which is not supported",
					   machine->file, operation);
			return AlbertDetail(machine->status, "Only tensors are read from a pickle; nothing in it is executed.");
	}
}

bool
AlbertPickleLoad(AlbertSpan *input, AlbertArena *arena, const char *file, PickleValue *result, AlbertStatus *status)
{
	Machine		machine = {.input = input, .arena = arena, .file = file, .status = status};

	PickleList	last;

	for (int steps = 0; steps < MAX_PICKLE_STEPS; steps++)
	{
		const unsigned char *operation;

		if (input->at == input->end)
			return bad_pickle(&machine, "it has no end");
		if (!take(&machine, 1, &operation))
			return false;
		if (*operation == '.')	/* STOP */
		{
			if (!pop(&machine, 1, &last))
				return false;
			*result = last.items[0];
			return true;
		}
		if (!step(&machine, *operation))
			return false;
	}
	return bad_pickle(&machine, "it is too long");
}
