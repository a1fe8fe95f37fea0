/* Weighted sums of rows. */
#include "avx512_output.h"

/* Columns of one row's sums, up to 64; those past `count` are 0. x: the first of these columns. */
INLINE void sum_taps(const ivit_mix_rows *op, const int32_t *index, const int16_t *weight, const int32_t *x,
                     int32_t count, const int equal, __m512i v[4]) {
  UNROLL_VECTORS for (int j = 0; j < 4; j++) v[j] = _mm512_setzero_si512();
  for (int32_t t = 0; t < op->taps; t++) {
    if (index[t] < 0) continue;
    const int32_t *from = x + (size_t)index[t] * (size_t)op->cols;
    const __m512i w = _mm512_set1_epi32(weight[t]);
    UNROLL_VECTORS for (int j = 0; j < 4; j++) {
      if (16 * j >= count) break;
      __m512i a = _mm512_maskz_loadu_epi32(first16(count - 16 * j), from + 16 * j);
      v[j] = _mm512_add_epi32(v[j], equal ? a : _mm512_mullo_epi32(a, w));
    }
  }
  if (!equal) return;
  const __m512i w = _mm512_set1_epi32(ivit_shared_weight(op, index, weight));
  UNROLL_VECTORS for (int j = 0; j < 4; j++) v[j] = _mm512_mullo_epi32(v[j], w);
}

/* Eight columns of one row's sums, as 64 bits; those that are not live are 0. x: the first of these columns. */
INLINE __m512i wide_sums(const ivit_mix_rows *op, const int32_t *index, const int16_t *weight, const int32_t *x,
                         __mmask8 live) {
  __m512i v = _mm512_setzero_si512();
  for (int32_t t = 0; t < op->taps; t++) {
    if (index[t] < 0) continue;
    const __m256i a = _mm256_maskz_loadu_epi32(live, x + (size_t)index[t] * (size_t)op->cols);
    v = _mm512_add_epi64(v, _mm512_mul_epi32(_mm512_cvtepi32_epi64(a), _mm512_set1_epi64(weight[t])));
  }
  return v;
}

/* ivit_requantize of columns n to n + 7: the product is proven to fit 64 bits, so its low half is all of it. */
INLINE __m256i requantize_sums(const ivit_output *out, int32_t n, __m512i v, __mmask8 live) {
  const __m512i b = _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(live, out->multiplier + n));
  v = _mm512_add_epi64(_mm512_mullo_epi64(v, b), _mm512_set1_epi64(ivit_half(out->shift)));
  if (out->offset) v = _mm512_add_epi64(v, _mm512_maskz_loadu_epi64(live, out->offset + n));
  v = _mm512_sra_epi64(v, _mm_cvtsi32_si128(out->shift));
  v = _mm512_min_epi64(_mm512_max_epi64(v, _mm512_set1_epi64(out->lo)), _mm512_set1_epi64(out->hi));
  return _mm512_cvtepi64_epi32(v);
}

/* Sums that may pass 32 bits. */
static void mix_wide_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                          void *scratch) {
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = r0; r < r1; r++, to += (size_t)cols * output_size(op->out.type)) {
    const int32_t *index = op->index + (size_t)r * (size_t)op->taps;
    const int16_t *weight = op->weight + (size_t)r * (size_t)op->taps;
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        const int32_t at = n + 16 * j;
        const __mmask16 live = first16(cols - at);
        v[j] = _mm512_setzero_si512();
        if (!live) continue;
        const __mmask8 low = (__mmask8)live, high = (__mmask8)(live >> 8);
        const __m256i a = requantize_sums(&op->out, at, wide_sums(op, index, weight, x + at, low), low);
        v[j] = _mm512_castsi256_si512(a);
        if (!high) continue;
        const __m256i b = requantize_sums(&op->out, at + 8, wide_sums(op, index, weight, x + at + 8, high), high);
        v[j] = _mm512_inserti64x4(v[j], b, 1);
      }
      most = write_values(&op->out, v, n, cols, scratch, to, most);
    }
    finish_row(&op->out, cols, scratch, to, scale ? scale + (r - r0) : NULL, most);
  }
}

void ivit_avx512_mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                          void *scratch) {
  if (!op->fits) {
    mix_wide_rows(op, r0, r1, x, out, scale, scratch);
    return;
  }
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = r0; r < r1; r++, to += (size_t)cols * output_size(op->out.type)) {
    const int32_t *index = op->index + (size_t)r * (size_t)op->taps;
    const int16_t *weight = op->weight + (size_t)r * (size_t)op->taps;
    const int equal = ivit_shared_weight(op, index, weight) != 0;
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      if (equal)
        sum_taps(op, index, weight, x + n, cols - n, 1, v);
      else
        sum_taps(op, index, weight, x + n, cols - n, 0, v);
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        if (n + 16 * j < cols) v[j] = requantize_channels(op->out.packed, n + 16 * j, v[j]);
      }
      most = write_values(&op->out, v, n, cols, scratch, to, most);
    }
    finish_row(&op->out, cols, scratch, to, scale ? scale + (r - r0) : NULL, most);
  }
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
