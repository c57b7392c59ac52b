/*
 * amx_emulated.h
 *	  The kernel set of kernels/amx.c with its tile instructions done in plain
 *	  C, to test what it does with tiles on a CPU that has none.
 *
 * It still needs AVX-512 with AVX512_BF16.  The emulation aborts where the processor would
 * fault: a register that is not configured, or shapes that do not fit.
 */
#include "kernels/internal.h"

#ifdef ALBERT_X86_64

#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,fma,f16c")
#endif

typedef struct EmulatedTile
{
	int			rows;
	int			row_bytes;
	uint8_t		data[16][64];
} EmulatedTile;

static EmulatedTile emulated_tiles[8];

static EmulatedTile *
emulated_tile(int t)
{
	if (emulated_tiles[t].rows == 0 || emulated_tiles[t].row_bytes == 0)
		abort();
	return &emulated_tiles[t];
}

static void
emulated_loadconfig(const void *config)
{
	const uint8_t *bytes = config;

	if (bytes[0] != 1)
		abort();
	memset(emulated_tiles, 0, sizeof(emulated_tiles));
	for (int t = 0; t < 8; t++)
	{
		uint16_t	row_bytes;

		memcpy(&row_bytes, bytes + 16 + 2 * t, 2);
		emulated_tiles[t].row_bytes = row_bytes;
		emulated_tiles[t].rows = bytes[48 + t];
		if (row_bytes > 64 || bytes[48 + t] > 16 || (row_bytes == 0) != (bytes[48 + t] == 0))
			abort();
	}
	for (int t = 8; t < 16; t++)
		if (bytes[16 + 2 * t] != 0 || bytes[48 + t] != 0)
			abort();
}

static void
emulated_loadd(int t, const void *from, long stride)
{
	EmulatedTile *tile = emulated_tile(t);

	memset(tile->data, 0, sizeof(tile->data));
	for (int r = 0; r < tile->rows; r++)
		memcpy(tile->data[r], (const char *) from + r * stride, tile->row_bytes);
}

static void
emulated_stored(int t, void *to, long stride)
{
	EmulatedTile *tile = emulated_tile(t);

	for (int r = 0; r < tile->rows; r++)
		memcpy((char *) to + r * stride, tile->data[r], tile->row_bytes);
}

static void
emulated_zero(int t)
{
	memset(emulated_tile(t)->data, 0, sizeof(emulated_tiles[t].data));
}

/* Shapes: sums m x n, a m x k, b k x n (each element of k and n four bytes). */
static void
emulated_product(int sums, int a, int b, bool bf16)
{
	EmulatedTile *c = emulated_tile(sums);
	EmulatedTile *x = emulated_tile(a);
	EmulatedTile *w = emulated_tile(b);

	if (c->rows != x->rows || c->row_bytes != w->row_bytes || x->row_bytes != 4 * w->rows)
		abort();
	for (int m = 0; m < c->rows; m++)
		for (int u = 0; u < w->rows; u++)
			for (int n = 0; n < c->row_bytes / 4; n++)
			{
				if (bf16)
				{
					float	   *sum = (float *) c->data[m] + n;
					const uint16_t *p = (const uint16_t *) x->data[m] + 2 * u;
					const uint16_t *q = (const uint16_t *) w->data[u] + 2 * n;

					*sum += albert_from_bf16(p[0]) * albert_from_bf16(q[0]);
					*sum += albert_from_bf16(p[1]) * albert_from_bf16(q[1]);
				}
				else
				{
					const uint8_t *p = (const uint8_t *) x->data[m] + 4 * u;
					const int8_t *q = (const int8_t *) w->data[u] + 4 * n;

					for (int i = 0; i < 4; i++)
						((int32_t *) c->data[m])[n] += p[i] * q[i];
				}
			}
}

#undef _tile_loadconfig
#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_release
#undef _tile_dpbf16ps
#undef _tile_dpbusd
#define _tile_loadconfig(config)	emulated_loadconfig(config)
#define _tile_loadd(t, p, stride)	emulated_loadd(t, p, stride)
#define _tile_stored(t, p, stride)	emulated_stored(t, p, stride)
#define _tile_zero(t)				emulated_zero(t)
#define _tile_release()				memset(emulated_tiles, 0, sizeof(emulated_tiles))
#define _tile_dpbf16ps(c, a, b)		emulated_product(c, a, b, true)
#define _tile_dpbusd(c, a, b)		emulated_product(c, a, b, false)

#define ALBERT_AMX_EMULATED
#define SET			albert_kernels_amx_emulated
#define SET_NAME	"amx, emulated"
#define SET_ID		1000
#define TILES_NEED	ALBERT_CPU_AVX512_BF16

extern const AlbertKernels SET;

#include "kernels/amx.c"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif							/* ALBERT_X86_64 */
