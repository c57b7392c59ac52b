/*
 * dispatch.c
 *	  The table of kernel sets, and which of them this machine can run.
 */
#include "kernels/internal.h"

/* Fastest first: "auto" takes the first that is usable and has the precision. */
static const AlbertKernels *const kernel_sets[] = {
#ifdef ALBERT_X86_64
	&albert_kernels_amx,
	&albert_kernels_avx512,
	&albert_kernels_avx2,
#endif
#if defined(__aarch64__)
	&albert_kernels_neon,
#endif
	&albert_kernels_openblas,
	&albert_kernels_simd128,
	&albert_kernels_generic,
};

#define NSETS	((int) (sizeof(kernel_sets) / sizeof(kernel_sets[0])))

const AlbertKernels *
AlbertKernelsAt(int i)
{
	return i >= 0 && i < NSETS ? kernel_sets[i] : NULL;
}

const AlbertKernels *
AlbertKernelsById(int id)
{
	for (int i = 0; i < NSETS; i++)
		if (kernel_sets[i]->id == id)
			return kernel_sets[i]->usable() ? kernel_sets[i] : NULL;
	return NULL;
}

static const AlbertKernels *
fastest(AlbertPrecision precision, AlbertStatus *status)
{
	for (int i = 0; i < NSETS; i++)
		if (AlbertKernelsHave(kernel_sets[i], precision) && kernel_sets[i]->usable())
			return kernel_sets[i];
	AlbertFail(status, ALBERT_UNSUPPORTED, "no kernel set computes in precision \"%s\"",
			   AlbertPrecisionName(precision));
	return NULL;
}

const AlbertKernels *
AlbertKernelsFind(const char *name, AlbertPrecision precision, AlbertStatus *status)
{
	const AlbertKernels *found = NULL;

	if (strcmp(name, "auto") == 0)
		return fastest(precision, status);
	for (int i = 0; i < NSETS; i++)
		if (strcmp(kernel_sets[i]->name, name) == 0)
			found = kernel_sets[i];
	if (found == NULL)
	{
		AlbertFail(status, ALBERT_NOT_FOUND, "kernel set \"%s\" does not exist", name);
		return NULL;
	}
	if (!AlbertKernelsHave(found, precision))
	{
		AlbertFail(status, ALBERT_UNSUPPORTED,
				   "kernel set \"%s\" does not compute in precision \"%s\"",
				   name, AlbertPrecisionName(precision));
		return NULL;
	}
	if (!found->usable())
	{
		AlbertFail(status, ALBERT_UNSUPPORTED,
				   "kernel set \"%s\" cannot run on this machine", name);
		AlbertDetail(status, "It needs %s.", found->needs);
		return NULL;
	}
	return found;
}

const char *
AlbertPrecisionName(AlbertPrecision precision)
{
	switch (precision)
	{
		case ALBERT_FP32:
			return "fp32";
		case ALBERT_BF16:
			return "bf16";
		case ALBERT_INT8:
			return "int8";
	}
	return "unknown";
}
