/*
 * avx512_bf16.h
 *	  Rounding to bf16 with AVX512_BF16, for kernels that multiply it.
 */
#define TARGET_BF16	__attribute__((target("avx512bf16")))

/* n inputs of a row, up to a whole vector. */
static TARGET_BF16 void
convert_bf16(int n, const float *x, const AlbertInt8Row *row, uint32_t *words)
{
	for (int i = 0; i < n; i += VN)
		_mm256_storeu_si256((__m256i *) ((uint16_t *) words + i),
							(__m256i) _mm512_cvtneps_pbh(load_part(x + i, n - i)));
}

/* A vector of pairs: the lower halves of the words are a's. */
static TARGET_BF16 void
pair_bf16(vf a, vf b, uint32_t *words)
{
	vi			low = _mm512_cvtepu16_epi32((__m256i) _mm512_cvtneps_pbh(a));
	vi			high = _mm512_cvtepu16_epi32((__m256i) _mm512_cvtneps_pbh(b));

	vi_store(words, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}
