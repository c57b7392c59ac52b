/*
 * borders.c
 *	  Where words, sentences, paragraphs and sections of a text end.
 *
 * The rules are plain ones and the same for all languages; docs/functions.md
 * tells them.  What is found takes time linear in the text's length.
 */
#include "postgres.h"

#include <utf8proc.h>

#include "executor/forward.h"
#include "functions/borders.h"
#include "functions/functions.h"

/* ---------- characters ---------- */

/* 0 behind the end */
static utf8proc_int32_t
character(const CutText *source, int place)
{
	utf8proc_int32_t c;
	int			byte;

	if (place < 0 || place >= source->length)
		return 0;
	byte = source->bytes[place];
	if (source->bytes[place + 1] - byte == 1)
		return source->text.data[byte];
	if (utf8proc_iterate((const utf8proc_uint8_t *) source->text.data + byte,
						 source->bytes[place + 1] - byte, &c) <= 0)
		return 0;
	return c;
}

#define CATEGORY(name)	(1u << UTF8PROC_CATEGORY_##name)
#define BLANKS		(CATEGORY(ZS) | CATEGORY(ZL) | CATEGORY(ZP))
#define LETTERS		(CATEGORY(LU) | CATEGORY(LL) | CATEGORY(LT) | CATEGORY(LM) | CATEGORY(LO))

static inline bool
is_of(utf8proc_int32_t c, uint32 categories)
{
	return (1u << utf8proc_category(c) & categories) != 0;
}

static bool
is_blank(const CutText *source, int place)
{
	utf8proc_int32_t c = character(source, place);

	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	return c == 0x85 || is_of(c, BLANKS);
}

/* Brackets and quotation marks that may stand between the end of a sentence and the blank. */
static bool
is_closing(utf8proc_int32_t c)
{
	return c == '"' || c == '\'' || is_of(c, CATEGORY(PE) | CATEGORY(PF));
}

/* Ends a sentence where a blank follows. */
static bool
is_stop(utf8proc_int32_t c)
{
	return c == '.' || c == '!' || c == '?' || c == 0x2026 /* ... */ ||
		c == 0x061F /* Arabic ? */ || c == 0x06D4 /* Arabic . */ || c == 0x0964 /* danda */ || c == 0x0965;
}

/* Ends a sentence without a blank: ideographic, full-width and half-width stops. */
static bool
is_wide_stop(utf8proc_int32_t c)
{
	return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF0E || c == 0xFF61;
}

/* ---------- cuts ---------- */

/*
 * What stands between two tokens without being part of either, such as an
 * accent that the tokenizer drops, belongs to the first as far as no blank is
 * between, else to the second.  Where tokens overlap the end is behind the
 * beginning.
 */
static void
find_cuts(CutText *source, AlbertJob *job)
{
	const AlbertTokens *tokens = &source->tokens;
	int			n = tokens->n;
	int		   *end = source->end = AlbertJobAlloc(job, n + 1, sizeof(int));
	int		   *begin = source->begin = AlbertJobAlloc(job, n + 1, sizeof(int));

	end[0] = 0;
	for (int t = 0; t < n; t++)
		end[t + 1] = Max(end[t], tokens->items[t].stop);
	begin[n] = source->length;
	for (int t = n - 1; t >= 0; t--)
		begin[t] = Min(begin[t + 1], tokens->items[t].start);
	for (int at = 0; at <= n; at++)
	{
		if (end[at] > begin[at])
			continue;
		while (at > 0 && end[at] < begin[at] && !is_blank(source, end[at]))
			end[at]++;
		/* also blanks that a token has at its front, as [MASK] does */
		begin[at] = end[at];
		while (begin[at] < source->length && is_blank(source, begin[at]))
			begin[at]++;
	}
	/* what stands at the end without being a token's */
	end[n] = source->length;
}

/* ---------- sentences ---------- */

/* Titles that a name follows. */
static bool
is_title(const CutText *source, int from, int to)
{
	static const char *const titles[] = {"Mr", "Mrs", "Ms", "Dr", "Prof", "St"};
	const char *word = source->text.data + source->bytes[from];
	size_t		size = source->bytes[to] - source->bytes[from];

	for (int i = 0; i < lengthof(titles); i++)
	{
		if (strlen(titles[i]) == size && memcmp(titles[i], word, size) == 0)
			return true;
	}
	return false;
}

/* Does a full stop at this place shorten a word: an initial, a title? */
static bool
is_abbreviation(const CutText *source, int place)
{
	int			from = place;

	/* longer words than the longest title are none of those */
	while (from > 0 && place - from <= 4 && is_of(character(source, from - 1), LETTERS))
		from--;
	return place - from == 1 || is_title(source, from, place);
}

/* Does a sentence end before the code point end, with the next thing beginning at begin? */
static bool
ends_sentence(const CutText *source, int end, int begin)
{
	utf8proc_int32_t next = character(source, begin);
	int			place = end;

	if (end == begin && (is_closing(next) || is_stop(next) || is_wide_stop(next)))
		return false;
	/* U+201C closes in German */
	while (place > 0 && (is_closing(character(source, place - 1)) || character(source, place - 1) == 0x201C))
		place--;
	if (is_wide_stop(character(source, place - 1)))
		return true;
	if (end == begin || !is_stop(character(source, place - 1)))
		return false;
	if (is_of(next, CATEGORY(LL)))
		return false;
	return character(source, place - 1) != '.' || !is_abbreviation(source, place - 1);
}

/* ---------- lines ---------- */

/* Line ends between two places, up to 2. */
static int
line_ends(const CutText *source, int from, int to)
{
	int			n = 0;

	for (int place = from; place < to && n < 2; place++)
	{
		utf8proc_int32_t c = character(source, place);

		if (c == 0x2029)		/* a separator of paragraphs */
			n = 2;
		else if (c == '\n' || c == 0x85 || c == 0x2028 || (c == '\r' && character(source, place + 1) != '\n'))
			n++;
	}
	return n;
}

/* How often a character stands at a place, in a row. */
static int
run_length(const CutText *source, int place, utf8proc_int32_t c)
{
	int			n = 0;

	while (character(source, place + n) == c)
		n++;
	return n;
}

/* Is what begins at this place, the first of its line, a heading: one to six #, and a blank? */
static bool
is_heading(const CutText *source, int place)
{
	int			marks = run_length(source, place, '#');

	return marks >= 1 && marks <= 6 && (place + marks >= source->length || is_blank(source, place + marks));
}

/* ---------- blocks of code ---------- */

typedef struct Fence
{
	int			begin;			/* of the marks, ` or ~ */
	int			n;				/* 0: none */
} Fence;

/* The fence in the line that begins at a place, and where the next line begins. */
static Fence
read_fence(const CutText *source, int line, int *next)
{
	int			place = line + run_length(source, line, ' ');
	utf8proc_int32_t c = character(source, place);
	Fence		fence = {.begin = place};

	if (place - line <= 3 && (c == '`' || c == '~') && run_length(source, place, c) >= 3)
		fence.n = run_length(source, place, c);
	while (place < source->length && character(source, place) != '\n')
		place++;
	*next = place + 1;
	return fence;
}

/* Only blanks up to the end of the line? */
static bool
ends_line(const CutText *source, int place)
{
	while (place < source->length && character(source, place) != '\n')
	{
		if (!is_blank(source, place++))
			return false;
	}
	return true;
}

typedef struct Block
{
	int			begin;			/* code points: the opening fence */
	int			end;			/* behind the closing fence, or the text's end */
} Block;

/* The next block of code from a line on; begin is the text's length when there is none. */
static Block
next_block(const CutText *source, int *line)
{
	Block		block = {source->length, source->length};
	Fence		opening = {0};

	while (*line < source->length)
	{
		Fence		fence = read_fence(source, *line, line);

		int			end = fence.begin + fence.n;

		if (fence.n == 0)
			continue;
		if (opening.n == 0)
		{
			opening = fence;
			block.begin = fence.begin;
		}
		else if (character(source, fence.begin) == character(source, opening.begin) && fence.n >= opening.n &&
				 ends_line(source, end))
		{
			block.end = end;
			break;
		}
	}
	return block;
}

/* ---------- borders ---------- */

static Border
plain_border(const CutText *source, int end, int begin)
{
	if (source->best > BORDER_WORD && line_ends(source, end, begin) == 2)
		return BORDER_PARAGRAPH;
	if (source->best > BORDER_WORD && ends_sentence(source, end, begin))
		return BORDER_SENTENCE;
	return end < begin ? BORDER_WORD : BORDER_TOKEN;
}

/* A walk over a Markdown text's cuts. */
typedef struct Markdown
{
	Block		block;			/* the one that ends at the cut or behind it */
	int			next_line;		/* from where to look for the next one */
	int			line;			/* where the line of the cut begins */
} Markdown;

static Border
markdown_border(const CutText *source, Markdown *markdown, int end, int begin)
{
	const Block *block = &markdown->block;
	bool		new_line = line_ends(source, end, begin) > 0;
	int			line = markdown->line;

	if (new_line)
		markdown->line = begin;
	while (end > block->end && block->begin < source->length)
		markdown->block = next_block(source, &markdown->next_line);
	if (begin > block->begin && begin < block->end)
		return new_line ? BORDER_SENTENCE : end < begin ? BORDER_WORD : BORDER_TOKEN;
	/* a heading stays with what it is the heading of */
	if (new_line && end != block->end && is_heading(source, line))
		return BORDER_WORD;
	if (new_line && is_heading(source, begin))
		return BORDER_SECTION;
	if (new_line && (begin == block->begin || end == block->end))
		return BORDER_PARAGRAPH;
	return plain_border(source, end, begin);
}

static void
find_borders(CutText *source, AlbertJob *job)
{
	int			n = source->tokens.n;
	bool		is_markdown = source->best == BORDER_SECTION;
	int			reached = source->begin[0];
	Markdown	markdown = {0};

	source->borders = AlbertJobAlloc(job, n + 1, sizeof(uint8));
	source->borders[0] = source->borders[n] = BORDER_SECTION;
	if (is_markdown)
	{
		markdown.block = next_block(source, &markdown.next_line);
		markdown.line = reached;
	}
	for (int at = 1; at < n; at++)
	{
		int			end = source->end[at];
		int			begin = source->begin[at];

		source->borders[at] = BORDER_NONE;
		/* offsets behind characters that the tokenizer drops can be too small: nothing would be between two cuts */
		if (end > begin || end <= reached || begin >= source->length)
			continue;
		reached = begin;
		source->borders[at] = is_markdown ? markdown_border(source, &markdown, end, begin)
			: plain_border(source, end, begin);
	}
}

void
AlbertCutText(CutText *source, AlbertJob *job, AlbertText text, Border best)
{
	memset(source, 0, sizeof(*source));
	source->text = text;
	source->best = best;
	source->tokens = AlbertTokensOf(job, text, false);
	source->bytes = AlbertCodePointBytes(&text);
	while (source->bytes[source->length] < text.size)
		source->length++;
	while (source->length > 0 && is_blank(source, source->length - 1))
		source->length--;
	find_cuts(source, job);
	find_borders(source, job);
}
