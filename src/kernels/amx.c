/*
 * amx.c
 *	  The kernel set for AMX: bf16 and int8 products on tiles, the rest as in
 *	  AVX-512.
 *
 * A tile has up to 16 rows of 64 bytes.  The packed weights serve as they are:
 * 16 units of 16 channels are a tile whose rows lie one panel unit apart.  The
 * rows of x are prepared row by row, so that 16 rows by 16 units are another.
 * Up to 32 rows and one panel of 32 channels make four tiles of sums.
 */
#include "kernels/internal.h"

#ifdef ALBERT_X86_64

/* A test that runs the tiles in C brings its own names. */
#ifndef ALBERT_AMX_EMULATED
#define SET			albert_kernels_amx
#define SET_NAME	"amx"
#define SET_ID		ALBERT_KERNELS_AMX
#define TILES_NEED	(ALBERT_CPU_AMX | ALBERT_CPU_AVX512_BF16)
#endif

#if defined(__AMX_TILE__) || defined(__AMXTILE__) || defined(ALBERT_AMX_EMULATED)

#define TILE_ROWS	16
#define MAX_ROWS	(2 * TILE_ROWS)
#define TILE_UNITS	16

#include "kernels/avx512_vector.h"
#include "kernels/simd_math.h"
#include "kernels/simd_product.h"
#include "kernels/simd_linear.h"
#include "kernels/simd_attention.h"
#include "kernels/avx512_bf16.h"

/* Tile registers; the instructions want literal numbers. */
#define SUMS_00		0			/* upper rows, left channels */
#define SUMS_01		1
#define SUMS_10		2			/* lower rows */
#define SUMS_11		3
#define ROWS_0		4
#define ROWS_1		5
#define WEIGHTS_0	6
#define WEIGHTS_1	7

/* Compilers do not all know what memory the tile instructions read and write. */
#define MEMORY_IS_USED(p)	__asm__ volatile("" : : "r"(p) : "memory")

typedef struct TileConfig
{
	uint8_t		palette;
	uint8_t		start_row;
	uint8_t		reserved[14];
	uint16_t	row_bytes[16];
	uint8_t		rows[16];
} TileConfig;

/*
 * Tiles for row blocks of at most that many rows, which is dear: once for many
 * products.  In a block with fewer rows the last rows of the tiles are whatever
 * lies there, and their sums are not used.
 */
static void
configure_tiles(int rows)
{
	TileConfig	config = {.palette = 1};
	int			upper = rows < TILE_ROWS ? rows : TILE_ROWS;

	for (int t = SUMS_00; t <= WEIGHTS_1; t++)
	{
		config.row_bytes[t] = 64;
		config.rows[t] = t >= WEIGHTS_0 ? TILE_UNITS :
			t == SUMS_10 || t == SUMS_11 || t == ROWS_1 ? rows - upper : upper;
		if (config.rows[t] == 0)
			config.row_bytes[t] = 0;
	}
	MEMORY_IS_USED(&config);
	_tile_loadconfig(&config);
}

/* Tiles in use make a switch to another process slower. */
static void
release_tiles(void)
{
	_tile_release();
}

/*
 * tile[rows][ld_tile] = sums over `units`, a multiple of TILE_UNITS, of x[rows][ld_x]
 * and w; the ld are in words.
 */
#define MULTIPLY_TILES(function, multiply_add) \
INLINE void \
function(int rows, int units, const uint32_t *x, size_t ld_x, \
		 const uint32_t *w, uint32_t *tile, size_t ld_tile, bool more) \
{ \
	uint32_t   *lower_tile = tile + TILE_ROWS * ld_tile; \
	bool		lower = rows > TILE_ROWS; \
 \
	MEMORY_IS_USED(x); \
	if (more) \
	{ \
		_tile_loadd(SUMS_00, tile, 4 * ld_tile); \
		_tile_loadd(SUMS_01, tile + VN, 4 * ld_tile); \
	} \
	else \
	{ \
		_tile_zero(SUMS_00); \
		_tile_zero(SUMS_01); \
	} \
	if (lower && more) \
	{ \
		_tile_loadd(SUMS_10, lower_tile, 4 * ld_tile); \
		_tile_loadd(SUMS_11, lower_tile + VN, 4 * ld_tile); \
	} \
	else if (lower) \
	{ \
		_tile_zero(SUMS_10); \
		_tile_zero(SUMS_11); \
	} \
	for (int u = 0; u < units; u += TILE_UNITS) \
	{ \
		_tile_loadd(ROWS_0, x, 4 * ld_x); \
		_tile_loadd(WEIGHTS_0, w, 4 * NR); \
		_tile_loadd(WEIGHTS_1, w + VN, 4 * NR); \
		multiply_add(SUMS_00, ROWS_0, WEIGHTS_0); \
		multiply_add(SUMS_01, ROWS_0, WEIGHTS_1); \
		if (lower) \
		{ \
			_tile_loadd(ROWS_1, x + TILE_ROWS * ld_x, 4 * ld_x); \
			multiply_add(SUMS_10, ROWS_1, WEIGHTS_0); \
			multiply_add(SUMS_11, ROWS_1, WEIGHTS_1); \
		} \
		x += TILE_UNITS; \
		w += TILE_UNITS * NR; \
	} \
	_tile_stored(SUMS_00, tile, 4 * ld_tile); \
	_tile_stored(SUMS_01, tile + VN, 4 * ld_tile); \
	if (lower) \
	{ \
		_tile_stored(SUMS_10, lower_tile, 4 * ld_tile); \
		_tile_stored(SUMS_11, lower_tile + VN, 4 * ld_tile); \
	} \
	MEMORY_IS_USED(tile); \
}

MULTIPLY_TILES(tiles_bf16, _tile_dpbf16ps)
MULTIPLY_TILES(tiles_int8, _tile_dpbusd)

static void
multiply_tiles_bf16(int rows, int units, const void *x, const void *w, void *tile, bool more)
{
	tiles_bf16(rows, units, x, units, w, tile, NR, more);
}

static void
multiply_tiles_int8(int rows, int units, const void *x, const void *w, void *tile, bool more)
{
	tiles_int8(rows, units, x, units, w, tile, NR, more);
}

static void
product_tiles(int rows, int units, const void *x, size_t x_row, size_t x_step,
			  const void *w, void *tile, size_t ld_tile)
{
	tiles_bf16(rows, units, x, x_row, w, tile, ld_tile, false);
}

static const ProductKind kind_tiles_bf16 = {
	.precision = ALBERT_BF16, .unit_inputs = 2, .words = 1, .most_rows = MAX_ROWS, .step = TILE_UNITS,
	.multiply = multiply_tiles_bf16, .product = product_tiles, .convert = convert_bf16, .pair = pair_bf16,
	.begin = configure_tiles, .end = release_tiles
};
static const ProductKind kind_tiles_int8 = {
	.precision = ALBERT_INT8, .unit_inputs = 4, .words = 1, .most_rows = MAX_ROWS, .step = TILE_UNITS,
	.multiply = multiply_tiles_int8, .convert = convert_bytes,
	.begin = configure_tiles, .end = release_tiles
};

static const ProductKind *
product_kind(AlbertPrecision precision)
{
	if (precision == ALBERT_BF16)
		return &kind_tiles_bf16;
	if (precision == ALBERT_INT8)
		return &kind_tiles_int8;
	return &kind_fp32;
}

static bool
usable(void)
{
	return albert_cpu_has(ALBERT_CPU_AVX512 | TILES_NEED);
}

#define SET_NEEDS	"a CPU with AMX (tiles, bf16 and int8), AVX-512 and AVX512_BF16, and the system's permission"
#define SET_GRAIN	{4e9, 4e10, 8e10}

#include "kernels/set_table.h"

#else							/* the compiler does not know AMX */

static bool
usable(void)
{
	return false;
}

const AlbertKernels SET = {
	.name = SET_NAME,
	.id = SET_ID,
	.needs = "a compiler that knows AMX",
	.usable = usable,
};

#endif
#endif							/* ALBERT_X86_64 */
