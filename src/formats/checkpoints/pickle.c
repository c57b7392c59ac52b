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
#define COUNTED		(-1)		/* bytes: as many as the number in front of them says */

typedef struct Machine
{
	const WeightsFile *weights;
	AlbertSpan *input;
	uint64_t	number;			/* the operand of the operation that is being run */
	AlbertSpan	bytes;			/* likewise */
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
	return AlbertWeightsBad(machine->weights, "its pickle %s", what);
}

/* ---- lists and the stack ---- */

static bool
append(Machine *machine, PickleList *list, PickleValue value)
{
	if (++machine->nvalues > MAX_PICKLE_VALUES)
		return bad_pickle(machine, "is too long");
	if (!AlbertArenaReserve(machine->weights->scratch, &list->items, list->n, 1, sizeof(PickleValue), &list->room))
		return AlbertNoMemory(machine->weights->status);
	list->items[list->n++] = value;
	return true;
}

static bool
push(Machine *machine, PickleValue value)
{
	return append(machine, &machine->stack, value);
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
		return bad_pickle(machine, "looks for a mark that is not there");
	if (n > above)
		return bad_pickle(machine, "takes from an empty stack");
	values->n = n == MARKED ? above : n;
	stack->n -= values->n;
	values->items = stack->items + stack->n;
	if (n == MARKED)
		machine->floor = (int) stack->items[--stack->n].number;
	return true;
}

/* ---- operations on plain data; n is how many values they take from the stack ---- */

static bool
start_protocol(Machine *machine, PickleKind kind, int n)
{
	return (machine->number >= 2 && machine->number <= 5) || bad_pickle(machine, "is of an unknown protocol");
}

static bool
skip(Machine *machine, PickleKind kind, int n)
{
	return true;
}

/* A mark holds the floor that was before it. */
static bool
push_mark(Machine *machine, PickleKind kind, int n)
{
	if (!push(machine, (PickleValue) {.kind = kind, .number = machine->floor}))
		return false;
	machine->floor = machine->stack.n;
	return true;
}

static bool
push_true(Machine *machine, PickleKind kind, int n)
{
	return push(machine, (PickleValue) {.kind = kind, .number = 1});
}

/* Where there is no number, it is 0. */
static bool
push_number(Machine *machine, PickleKind kind, int n)
{
	return push(machine, (PickleValue) {.kind = kind, .number = (int64_t) machine->number});
}

/* Little-endian two's complement; more than eight bytes are nothing we look into. */
static bool
push_signed(Machine *machine, PickleKind kind, int n)
{
	size_t		size = AlbertSpanSize(machine->bytes);
	uint64_t	value;

	if (size > 8)
		return push(machine, (PickleValue) {.kind = PICKLE_OTHER});
	value = AlbertLittleEndian(machine->bytes.at, size);
	if (size > 0 && size < 8 && (machine->bytes.end[-1] & 0x80) != 0)
		value |= UINT64_MAX << 8 * size;
	return push(machine, (PickleValue) {.kind = kind, .number = (int64_t) value});
}

/* Bytes; when they are text, and might be a name, they are kept. */
static bool
push_bytes(Machine *machine, PickleKind kind, int n)
{
	size_t		size = AlbertSpanSize(machine->bytes);
	const char *text;

	if (kind != PICKLE_TEXT || size > MAX_TENSOR_NAME || memchr(machine->bytes.at, '\0', size) != NULL)
		return push(machine, (PickleValue) {.kind = PICKLE_OTHER});
	text = AlbertNameFormat(machine->weights->scratch, "%.*s", (int) size, (const char *) machine->bytes.at);
	if (text == NULL)
		return AlbertNoMemory(machine->weights->status);
	return push(machine, (PickleValue) {.kind = kind, .text = text});
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
		return bad_pickle(machine, "adds to something that is no container");
	for (int i = 0; i < values.n; i++)
		if (!append(machine, target->list, values.items[i]))
			return false;
	return true;
}

/* A new list or dictionary of n values. */
static bool
push_list(Machine *machine, PickleKind kind, int n)
{
	PickleList *list = AlbertArenaAllocZero(machine->weights->scratch, sizeof(PickleList));
	PickleList	values = {.n = 0};

	if (list == NULL)
		return AlbertNoMemory(machine->weights->status);
	if (n != 0 && !pop(machine, n, &values))
		return false;
	for (int i = 0; i < values.n; i++)
		if (!append(machine, list, values.items[i]))
			return false;
	return push(machine, (PickleValue) {.kind = kind, .list = list});
}

/* ---- memo ---- */

static bool
remember(Machine *machine, uint64_t place)
{
	const PickleValue *value = top(machine);
	size_t		used = machine->memo_room;

	if (value == NULL || place >= MAX_PICKLE_MEMO)
		return bad_pickle(machine, "remembers what or where it cannot");
	if (place >= used)
	{
		if (!AlbertArenaReserve(machine->weights->scratch, &machine->memo, used, place + 1 - used, sizeof(PickleValue),
								&machine->memo_room))
			return AlbertNoMemory(machine->weights->status);
		memset(machine->memo + used, 0, (machine->memo_room - used) * sizeof(PickleValue));
	}
	machine->memo[place] = *value;
	return true;
}

static bool
put(Machine *machine, PickleKind kind, int n)
{
	return remember(machine, machine->number);
}

static bool
memoize(Machine *machine, PickleKind kind, int n)
{
	return remember(machine, machine->nmemo++);
}

static bool
get(Machine *machine, PickleKind kind, int n)
{
	if (machine->number >= machine->memo_room || machine->memo[machine->number].kind == PICKLE_NOTHING)
		return bad_pickle(machine, "recalls something it never remembered");
	return push(machine, machine->memo[machine->number]);
}

/* ---- globals, and what PyTorch makes with them ---- */

static bool
refuse(Machine *machine, const char *what, const char *name)
{
	AlbertStatus *status = machine->weights->status;

	AlbertFail(status, ALBERT_UNSUPPORTED, "file \"%s\" asks for the %s \"%s\", which is not part of a tensor",
			   machine->weights->file->name, what, name);
	AlbertDetail(status, "Only tensors are read from a pickle; nothing in it is executed.");
	return AlbertHint(status, "Save the weights as safetensors, or as a plain state dictionary.");
}

const PickleValue *
AlbertPickleItem(const PickleList *list, int i, PickleKind kind)
{
	return i < list->n && list->items[i].kind == kind ? &list->items[i] : NULL;
}

/* A module and a name in it are on the stack. */
static bool
find_global(Machine *machine, PickleKind kind, int n)
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
		return bad_pickle(machine, "has a global without a name");
	snprintf(full, sizeof(full), "%.60s.%.60s", module->text, name->text);
	for (size_t i = 0; i < LENGTH(callables); i++)
		if (strcmp(full, callables[i].name) == 0)
			return push(machine, (PickleValue) {.kind = PICKLE_CALLABLE, .number = i});
	for (const ElementType *type = AlbertElementTypes; type->size != 0; type++)
		if (strcmp(full, type->storage) == 0)
			return push(machine, (PickleValue) {.kind = PICKLE_ELEMENTS, .elements = type});
	for (char *c = full; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return refuse(machine, "global", full);
}

/* GLOBAL has the two in lines of their own. */
static bool
read_global(Machine *machine, PickleKind kind, int n)
{
	for (int i = 0; i < 2; i++)
	{
		const unsigned char *start = machine->input->at;
		const unsigned char *end = memchr(start, '\n', AlbertSpanSize(*machine->input));

		if (end == NULL)
			return bad_pickle(machine, "ends in the middle of an operation");
		machine->input->at = end + 1;
		machine->bytes = (AlbertSpan) {start, end};
		if (!push_bytes(machine, PICKLE_TEXT, 0))
			return false;
	}
	return find_global(machine, kind, n);
}

static bool
persistent_id(Machine *machine, PickleKind kind, int n)
{
	PickleValue *id = top(machine);

	if (id == NULL || id->kind != PICKLE_LIST)
		return bad_pickle(machine, "has a persistent id that is not that of a storage");
	id->kind = kind;
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
			return bad_pickle(machine, "has a dictionary that is not made of pairs");
		if (!append(machine, dict, pair->list->items[0]) ||
			!append(machine, dict, pair->list->items[1]))
			return false;
	}
	return true;
}

static bool
reduce(Machine *machine, PickleKind kind, int n)
{
	PickleList	call;
	const PickleValue *callable;
	const PickleValue *arguments;
	const PickleValue *first;
	PickleKind	made;

	if (!pop(machine, n, &call))
		return false;
	callable = AlbertPickleItem(&call, 0, PICKLE_CALLABLE);
	arguments = AlbertPickleItem(&call, 1, PICKLE_LIST);
	if (callable == NULL || arguments == NULL)
		return bad_pickle(machine, "calls something that is no function");
	made = callables[callable->number].kind;
	if (callables[callable->number].first)
	{
		first = AlbertPickleItem(arguments->list, 0, made);
		return first != NULL ? push(machine, *first) : bad_pickle(machine, "has a tensor that is not described as one");
	}
	if (made == PICKLE_DICT)
		return make_dict(machine, arguments->list);
	return push(machine, (PickleValue) {.kind = made, .list = arguments->list});
}

/* A dictionary may carry attributes (PyTorch's _metadata), which say nothing about weights. */
static bool
build(Machine *machine, PickleKind kind, int n)
{
	PickleList	state;
	const PickleValue *target;

	if (!pop(machine, n, &state))
		return false;
	target = top(machine);
	return (target != NULL && target->kind == kind) ||
		bad_pickle(machine, "gives attributes to something that has none");
}

/* ---- the machine ---- */

static const struct
{
	bool		(*run) (Machine *machine, PickleKind kind, int n);
	PickleKind	kind;			/* of what it makes, or adds to */
	int			n;				/* values that it takes from the stack */
	int			number_size;	/* bytes of the number behind it */
	int			bytes;			/* that follow */
}			operations[256] =
{
	[0x80] = {start_protocol, .number_size = 1},	/* PROTO */
	[0x95] = {skip, .bytes = 8},	/* FRAME */
	['('] = {push_mark, .kind = PICKLE_OTHER},	/* MARK */
	['N'] = {push_number, .kind = PICKLE_NONE}, /* NONE */
	[0x88] = {push_true, .kind = PICKLE_BOOL},	/* NEWTRUE */
	[0x89] = {push_number, .kind = PICKLE_BOOL},	/* NEWFALSE */
	['K'] = {push_number, .kind = PICKLE_INT, .number_size = 1},	/* BININT1 */
	['M'] = {push_number, .kind = PICKLE_INT, .number_size = 2},	/* BININT2 */
	['J'] = {push_signed, .kind = PICKLE_INT, .bytes = 4},	/* BININT */
	[0x8a] = {push_signed, .kind = PICKLE_INT, .number_size = 1, .bytes = COUNTED}, /* LONG1 */
	['G'] = {push_bytes, .kind = PICKLE_OTHER, .bytes = 8}, /* BINFLOAT */
	['X'] = {push_bytes, .kind = PICKLE_TEXT, .number_size = 4, .bytes = COUNTED},	/* BINUNICODE */
	['T'] = {push_bytes, .kind = PICKLE_TEXT, .number_size = 4, .bytes = COUNTED},	/* BINSTRING */
	['U'] = {push_bytes, .kind = PICKLE_TEXT, .number_size = 1, .bytes = COUNTED},	/* SHORT_BINSTRING */
	[0x8c] = {push_bytes, .kind = PICKLE_TEXT, .number_size = 1, .bytes = COUNTED}, /* SHORT_BINUNICODE */
	[0x8d] = {push_bytes, .kind = PICKLE_TEXT, .number_size = 8, .bytes = COUNTED}, /* BINUNICODE8 */
	['C'] = {push_bytes, .kind = PICKLE_OTHER, .number_size = 1, .bytes = COUNTED}, /* SHORT_BINBYTES */
	['B'] = {push_bytes, .kind = PICKLE_OTHER, .number_size = 4, .bytes = COUNTED}, /* BINBYTES */
	[')'] = {push_list, .kind = PICKLE_LIST},	/* EMPTY_TUPLE */
	[']'] = {push_list, .kind = PICKLE_LIST},	/* EMPTY_LIST */
	['}'] = {push_list, .kind = PICKLE_DICT},	/* EMPTY_DICT */
	['t'] = {push_list, .kind = PICKLE_LIST, .n = MARKED},	/* TUPLE */
	[0x85] = {push_list, .kind = PICKLE_LIST, .n = 1},	/* TUPLE1 */
	[0x86] = {push_list, .kind = PICKLE_LIST, .n = 2},	/* TUPLE2 */
	[0x87] = {push_list, .kind = PICKLE_LIST, .n = 3},	/* TUPLE3 */
	['a'] = {extend, .kind = PICKLE_LIST, .n = 1},	/* APPEND */
	['e'] = {extend, .kind = PICKLE_LIST, .n = MARKED},	/* APPENDS */
	['s'] = {extend, .kind = PICKLE_DICT, .n = 2},	/* SETITEM */
	['u'] = {extend, .kind = PICKLE_DICT, .n = MARKED},	/* SETITEMS */
	['q'] = {put, .number_size = 1},	/* BINPUT */
	['r'] = {put, .number_size = 4},	/* LONG_BINPUT */
	[0x94] = {.run = memoize},			/* MEMOIZE */
	['h'] = {get, .number_size = 1},	/* BINGET */
	['j'] = {get, .number_size = 4},	/* LONG_BINGET */
	['c'] = {.run = read_global},		/* GLOBAL */
	[0x93] = {.run = find_global},		/* STACK_GLOBAL */
	['Q'] = {persistent_id, .kind = PICKLE_STORAGE},	/* BINPERSID */
	['R'] = {reduce, .n = 2},	/* REDUCE */
	['b'] = {build, .kind = PICKLE_DICT, .n = 1} /* BUILD */
};

/* The next n bytes of the input. */
static bool
take(Machine *machine, uint64_t n, AlbertSpan *bytes)
{
	bytes->at = machine->input->at;
	if (n > AlbertSpanSize(*machine->input))
		return bad_pickle(machine, "ends in the middle of an operation");
	bytes->end = machine->input->at += n;
	return true;
}

static bool
step(Machine *machine, int operation)
{
	int			size = operations[operation].number_size;
	int			more = operations[operation].bytes;
	char		name[8];

	if (operations[operation].run == NULL)
	{
		snprintf(name, sizeof(name), "0x%02x", operation);
		return refuse(machine, "operation", name);
	}
	if (!take(machine, size, &machine->bytes))
		return false;
	machine->number = AlbertLittleEndian(machine->bytes.at, size);
	return take(machine, more == COUNTED ? machine->number : (uint64_t) more, &machine->bytes) &&
		operations[operation].run(machine, operations[operation].kind, operations[operation].n);
}

bool
AlbertPickleLoad(const WeightsFile *weights, AlbertSpan *input, PickleValue *result)
{
	Machine		machine = {.weights = weights, .input = input};
	PickleList	last;

	for (int steps = 0; steps < MAX_PICKLE_STEPS; steps++)
	{
		AlbertSpan	operation;

		if (!take(&machine, 1, &operation))
			return false;
		if (*operation.at == '.')	/* STOP */
		{
			if (!pop(&machine, 1, &last))
				return false;
			*result = last.items[0];
			return true;
		}
		if (!step(&machine, *operation.at))
			return false;
	}
	return bad_pickle(&machine, "is too long");
}
