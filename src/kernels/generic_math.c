/*
 * generic_math.c
 *	  Activations, softmax and LayerNorm in plain C.
 */
#include "kernels/internal.h"

#define SQRT_HALF			0.70710678118654752440f
#define SQRT_TWO_OVER_PI	0.79788456080286535588f

/* The GELUs and SiLU of negative infinity are their limit, 0. */
static float
activate_one(AlbertActivation act, float x)
{
	if (x == -INFINITY && act != ALBERT_ACT_NONE && act != ALBERT_ACT_TANH)
		return -0.0f;
	switch (act)
	{
		case ALBERT_ACT_GELU:
			/* erfc(-z) is 1 + erf(z) without the cancellation for negative z */
			return 0.5f * x * erfcf(-x * SQRT_HALF);
		case ALBERT_ACT_GELU_NEW:
			return 0.5f * x * (1.0f + tanhf(SQRT_TWO_OVER_PI * (x + 0.044715f * (x * x * x))));
		case ALBERT_ACT_RELU:
			/* so that a NaN stays one */
			return x < 0.0f ? 0.0f : x;
		case ALBERT_ACT_SILU:
			return x / (1.0f + expf(-x));
		case ALBERT_ACT_TANH:
			return tanhf(x);
		case ALBERT_ACT_NONE:
			break;
	}
	return x;
}

void
albert_generic_activate(AlbertActivation act, int n, float *x)
{
	if (act == ALBERT_ACT_NONE)
		return;
	for (int i = 0; i < n; i++)
		x[i] = activate_one(act, x[i]);
}

/* A NaN, a positive infinity, or nothing but negative ones: all NaN. */
void
albert_generic_softmax(int n, float *x)
{
	float		largest = -INFINITY;
	float		sum = 0.0f;

	for (int i = 0; i < n; i++)
		if (x[i] > largest)
			largest = x[i];
	for (int i = 0; i < n; i++)
	{
		x[i] = expf(x[i] - largest);
		sum += x[i];
	}
	for (int i = 0; i < n; i++)
		x[i] /= sum;
}

void
albert_generic_layer_norm(int m, int n, float *x, int ldx,
						  const float *weight, const float *bias, float eps)
{
	for (int r = 0; r < m; r++)
	{
		float	   *row = x + (size_t) r * ldx;
		double		sum = 0.0;
		double		squares = 0.0;
		float		mean;
		float		factor;

		/* one long chain of fp32 would round in one direction, in every row alike */
		for (int i = 0; i < n; i++)
			sum += row[i];
		mean = (float) (sum / n);
		for (int i = 0; i < n; i++)
			squares += (double) (row[i] - mean) * (row[i] - mean);
		factor = (float) (1.0 / sqrt(squares / n + eps));
		for (int i = 0; i < n; i++)
			row[i] = (row[i] - mean) * factor * weight[i] + bias[i];
	}
}
