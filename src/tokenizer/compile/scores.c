/*
 * scores.c
 *	  The scores of a unigram model as the tokenizers library reads them from a
 *	  tokenizer.json.
 *
 * Its JSON reader (serde_json) takes the digits as one integer and multiplies
 * or divides once by a power of ten, which misses the nearest float64 by a bit
 * for a quarter of the scores.  Sums of scores decide between segmentations
 * that are nearly equal, so the same numbers are needed here.
 */
#include "tokenizer/compile/compile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Scan
{
	const char *at;
	const char *end;
} Scan;

static void
skip_space(Scan *scan)
{
	while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4) != NULL)
		scan->at++;
}

static bool
take(Scan *scan, char wanted)
{
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != wanted)
		return false;
	scan->at++;
	return true;
}

/* Take a string; its text is what stands between the quotes. */
static bool
take_string(Scan *scan, const char **text, size_t *size)
{
	if (!take(scan, '"'))
		return false;
	*text = scan->at;
	for (; scan->at < scan->end && *scan->at != '"'; scan->at++)
		if (*scan->at == '\\' && ++scan->at == scan->end)
			return false;
	if (scan->at == scan->end)
		return false;
	*size = scan->at++ - *text;
	return true;
}

/* Skip any value; brackets need only balance, as the file has been parsed before. */
static bool
skip_value(Scan *scan)
{
	int			depth = 0;

	do
	{
		const char *text;
		size_t		size;

		skip_space(scan);
		if (scan->at == scan->end)
			return false;
		if (*scan->at == '"')
		{
			if (!take_string(scan, &text, &size))
				return false;
			continue;
		}
		if (*scan->at == '{' || *scan->at == '[')
			depth++;
		else if (*scan->at == '}' || *scan->at == ']')
			depth--;
		else if (depth == 0)
		{
			while (scan->at < scan->end && memchr(",]} \t\r\n", *scan->at, 7) == NULL)
				scan->at++;
			return true;
		}
		scan->at++;
	} while (depth > 0);
	return true;
}

/* Go to the value of an object's member; the scan is on the object. */
static bool
find_member(Scan *scan, const char *key)
{
	if (!take(scan, '{'))
		return false;
	do
	{
		const char *text;
		size_t		size;

		if (!take_string(scan, &text, &size) || !take(scan, ':'))
			return false;
		if (size == strlen(key) && memcmp(text, key, size) == 0)
			return true;
		if (!skip_value(scan))
			return false;
	} while (take(scan, ','));
	return false;
}

/* serde_json's significand and exponent: digits that do not fit 64 bits are dropped. */
static void
take_digits(Scan *scan, int step, int dropped_step, uint64_t *significand, int *exponent)
{
	bool		full = false;

	for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++)
	{
		uint64_t	digit = *scan->at - '0';

		full = full || *significand > (UINT64_MAX - digit) / 10;
		if (!full)
			*significand = *significand * 10 + digit;
		*exponent += full ? dropped_step : step;
	}
}

/* 10 to a power of 0 to 308, as a constant in a program's text would be. */
static double
power_of_ten(int exponent)
{
	char		text[16];
	int			n = 0;

	text[n++] = '1';
	text[n++] = 'e';
	text[n++] = '0' + exponent / 100;
	text[n++] = '0' + exponent / 10 % 10;
	text[n++] = '0' + exponent % 10;
	text[n] = '\0';
	return strtod(text, NULL);
}

static bool
take_number(Scan *scan, double powers[], double *number)
{
	bool		negative = take(scan, '-');
	uint64_t	significand = 0;
	int			exponent = 0;
	double		value;

	take_digits(scan, 0, 1, &significand, &exponent);
	if (scan->at < scan->end && *scan->at == '.')
	{
		scan->at++;
		take_digits(scan, -1, 0, &significand, &exponent);
	}
	if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E'))
	{
		uint64_t	written = 0;
		int			ignored = 0;
		bool		below;

		scan->at++;
		below = scan->at < scan->end && *scan->at == '-';
		if (scan->at < scan->end && (*scan->at == '-' || *scan->at == '+'))
			scan->at++;
		take_digits(scan, 0, 0, &written, &ignored);
		if (written > 10000)
			return false;
		exponent += below ? -(int) written : (int) written;
	}
	value = (double) significand;
	if (exponent < -308)
	{
		value /= 1e308;
		exponent += 308;
	}
	if (exponent < -308 || exponent > 308)
		return false;
	if (powers[exponent < 0 ? -exponent : exponent] == 0)
		powers[exponent < 0 ? -exponent : exponent] = power_of_ten(exponent < 0 ? -exponent : exponent);
	value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
	*number = negative ? -value : value;
	return true;
}

/*
 * Correct the scores of the builder's pieces, which are the nearest numbers to
 * those in the file.  What is not within a few bits of them is not believed.
 */
void
tok_scores_as_read(Builder *builder, AlbertBytes file)
{
	Scan		scan = {file.data, (const char *) file.data + file.size};
	double		powers[309] = {0};

	if (!find_member(&scan, "model") || !find_member(&scan, "vocab") || !take(&scan, '['))
		return;
	for (int32_t id = 0; id < builder->piece_count; id++)
	{
		Piece	   *piece = &builder->pieces[id];
		const char *text;
		size_t		size;
		double		score;

		if ((id > 0 && !take(&scan, ',')) || !take(&scan, '[') || !take_string(&scan, &text, &size) ||
			!take(&scan, ','))
			return;
		skip_space(&scan);
		if (!take_number(&scan, powers, &score) || !take(&scan, ']'))
			return;
		if (fabs(score - piece->score) <= fabs(piece->score) * 1e-15)
			piece->score = score;
	}
}

/* A score as it comes back when the shortest digits that tell it are written to a tokenizer.json and read from there. */
double
tok_score_as_read(double score)
{
	double		powers[309] = {0};
	char		text[40];
	Scan		scan = {text, text};
	double		read = score;

	for (int digits = 15; digits <= 17; digits++)
	{
		scan.end = text + snprintf(text, sizeof(text), "%.*g", digits, score);
		if (strtod(text, NULL) == score)
			break;
	}
	return take_number(&scan, powers, &read) ? read : score;
}
