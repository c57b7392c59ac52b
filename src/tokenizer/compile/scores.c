/*
 * scores.c
 *	  A score as the tokenizers library reads it from a tokenizer.json.
 *
 * Files are written with the fewest digits that tell a number.  That library's
 * JSON reader (serde_json) takes the digits as one integer and divides once by
 * a power of ten, which misses the nearest float64 by a bit for a quarter of
 * the scores.  Sums of scores decide between segmentations that are nearly
 * equal, so the same numbers are needed here.
 */
#include "tokenizer/compile/compile.h"

#include <math.h>

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 Wide;
#else
typedef uint64_t Wide;
#endif

#define SMALLEST	1e-5		/* of the scores that are corrected; with 17 digits of them, nothing here overflows */
#define LARGEST		1e15
#define MOST_POWER	21

static const double powers[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21
};

/*
 * The integer nearest to the number, mantissa / 2^shift, times 10^power; false
 * if that many digits do not tell the number from its neighbours.
 */
static bool
take_digits(uint64_t mantissa, int shift, int power, uint64_t *digits)
{
	Wide		ten_to = 1;
	Wide		exact;
	Wide		taken;

	for (int i = 0; i < power; i++)
		ten_to *= 10;
	exact = ten_to * mantissa;
	/* of two that are as near, the even one */
	*digits = (uint64_t) ((exact + ((Wide) 1 << (shift - 1)) - 1 + (exact >> shift & 1)) >> shift);
	taken = (Wide) *digits << shift;
	/* closer than half of what separates it from its neighbours */
	return 2 * (taken > exact ? taken - exact : exact - taken) < ten_to;
}

double
tok_score_as_read(double score)
{
	double		size = fabs(score);
	int			power = MOST_POWER;
	int			exponent;
	uint64_t	mantissa;
	uint64_t	digits;

	if (sizeof(Wide) < 16 || !(size >= SMALLEST && size < LARGEST))
		return score;
	mantissa = (uint64_t) ldexp(frexp(size, &exponent), 53);
	while (size * powers[power] >= 1e15)
		power--;
	/* 15 digits, else 16 or 17 */
	for (int most = power + 2; power <= most && power <= MOST_POWER; power++)
	{
		if (!take_digits(mantissa, 53 - exponent, power, &digits))
			continue;
		for (; digits % 10 == 0 && power > 0; power--)
			digits /= 10;
		return copysign((double) digits / powers[power], score);
	}
	return score;
}
