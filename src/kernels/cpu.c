/*
 * cpu.c
 *	  What this CPU has, and what the operating system saves of it.
 *
 * An instruction set counts only when its registers survive a context switch
 * (XCR0), whatever cpuid says; AMX's tiles also have to be asked for, once a
 * process.
 */
#include "kernels/internal.h"

#ifdef ALBERT_X86_64

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define XCR0_AVX		0x6		/* xmm, upper halves of ymm */
#define XCR0_AVX512		0xe6	/* and the mask registers, zmm */
#define XCR0_AMX		0x60000 /* tile configuration, tile data */

#define REQUEST_PERMISSION	0x1023	/* ARCH_REQ_XCOMP_PERM */
#define TILE_DATA			18		/* XFEATURE_XTILEDATA */

static uint64_t
enabled_state(void)
{
	uint32_t	low;
	uint32_t	high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return ((uint64_t) high << 32) | low;
}

/*
 * Intel's CPUs with tiles are fast at bf16 there only: an Emerald Rapids does
 * half as many multiplications a second with AVX512_BF16 as in fp32 (65 and 130
 * GFLOP/s).  They are told by AVX512_FP16, also where a system hides the tiles.
 */
static bool
bf16_is_slow(bool fp16)
{
	unsigned	a,
				b,
				c,
				d;

	return fp16 && __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
}

static unsigned
detect(void)
{
	unsigned	has = ALBERT_CPU_KNOWN;
	unsigned	a,
				b,
				c = 0,			/* gcc does not see at -Og that it is always set */
				d,
				c1;
	uint64_t	state;
	bool		slow_bf16;

	if (!__get_cpuid(1, &a, &b, &c1, &d) || !(c1 & bit_OSXSAVE))
		return has;
	state = enabled_state();
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (state & XCR0_AVX) != XCR0_AVX)
		return has;
	if ((c1 & bit_AVX) && (c1 & bit_FMA) && (c1 & bit_F16C) && (b & bit_AVX2))
		has |= ALBERT_CPU_AVX2;
	if ((state & XCR0_AVX512) != XCR0_AVX512 || !(has & ALBERT_CPU_AVX2) ||
		!(b & bit_AVX512F) || !(b & bit_AVX512BW) || !(b & bit_AVX512DQ) ||
		!(b & bit_AVX512VL) || !(b & bit_AVX512CD))
		return has;
	has |= ALBERT_CPU_AVX512;
	if (c & (1u << 11))
		has |= ALBERT_CPU_AVX512_VNNI;
	slow_bf16 = bf16_is_slow(d & (1u << 23));
	if ((state & XCR0_AMX) == XCR0_AMX &&
		(d & (1u << 22)) && (d & (1u << 24)) && (d & (1u << 25)))
		has |= ALBERT_CPU_AMX;
	if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5)))
		has |= ALBERT_CPU_AVX512_BF16 | (slow_bf16 ? 0 : ALBERT_CPU_FAST_BF16);
	if ((has & ALBERT_CPU_AMX) &&
		syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) != 0)
		has &= ~ALBERT_CPU_AMX;
	return has;
}

bool
albert_cpu_has(unsigned features)
{
	static unsigned cached = 0;

	if (cached == 0)
		cached = detect();
	return (cached & features) == features;
}

#endif							/* ALBERT_X86_64 */
