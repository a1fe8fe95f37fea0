/* Depthwise convolution: pairs of 16-bit products, the taps of two lines at a time. Weighted sums of rows. */
#include "avx512_output.h"

enum { MAP_CHANNELS = 32, MAP_LINES = 2, MAP_TILE = 8 };

/* Every 4 of 8 channels, as unpacking leaves them. */
typedef struct {
  __m512i low, high;
} map_sums;
typedef map_sums map_weights;

INLINE map_sums zero_sums(void) { return (map_sums){_mm512_setzero_si512(), _mm512_setzero_si512()}; }
INLINE void lay_lines(int16_t *to, const int16_t *a, const int16_t *b) {
  __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
  _mm512_storeu_si512(to, _mm512_unpacklo_epi16(x, y));
  _mm512_storeu_si512(to + 32, _mm512_unpackhi_epi16(x, y));
}
INLINE map_weights load_weights(const int16_t *w) {
  return (map_weights){_mm512_loadu_si512(w), _mm512_loadu_si512(w + 32)};
}
INLINE map_sums add_products(map_sums s, const int16_t *x, map_weights w) {
  return (map_sums){_mm512_dpwssd_epi32(s.low, w.low, _mm512_loadu_si512(x)),
                    _mm512_dpwssd_epi32(s.high, w.high, _mm512_loadu_si512(x + 32))};
}

INLINE int sums_fit(const ivit_depthwise *op) {
  (void)op;
  return 1;
}

INLINE void store_sums(const ivit_depthwise *op, int32_t n, map_sums s, void *out, int32_t count) {
  const output_header *h = op->out.packed;
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  __m512i a = requantize_channels(h, n, _mm512_permutex2var_epi32(s.low, first, s.high));
  __m512i b = requantize_channels(h, n + 16, _mm512_permutex2var_epi32(s.low, second, s.high));
  const __mmask32 live = first32(count);
  switch (op->out.type) {
    case IVIT_U8: {
      __m512i words = _mm512_adds_epi16(pack_words(a, b), _mm512_set1_epi16((int16_t)op->out.zero));
      _mm256_mask_storeu_epi8(out, live, _mm512_cvtusepi16_epi8(_mm512_max_epi16(words, _mm512_setzero_si512())));
      break;
    }
    case IVIT_I8: {
      __m256i bytes = _mm512_cvtsepi16_epi8(pack_words(a, b));
      _mm256_mask_storeu_epi8(out, live, _mm256_max_epi8(bytes, _mm256_set1_epi8(-127)));
      break;
    }
    case IVIT_I16:
      _mm512_mask_storeu_epi16(out, live, _mm512_max_epi16(pack_words(a, b), _mm512_set1_epi16(-32767)));
      break;
    default: {
      const int32_t limit = op->out.type == IVIT_I32 ? IVIT_WIDE_LIMIT : IVIT_ROW_LIMIT;
      _mm512_mask_storeu_epi32(out, first16(count), clamp_i32(a, limit));
      _mm512_mask_storeu_epi32((int32_t *)out + 16, first16(count - 16), clamp_i32(b, limit));
    }
  }
}

#define quantize_rows ivit_avx512_quantize_rows
#include "../lanes/depthwise.h"

size_t ivit_avx512_depthwise_pack_size(const ivit_depthwise *op) { return depthwise_pack_size(op); }
void ivit_avx512_depthwise_pack(const ivit_depthwise *op, void *packed) { depthwise_pack(op, packed); }
size_t ivit_avx512_depthwise_scratch(const ivit_depthwise *op) { return depthwise_scratch(op); }
void ivit_avx512_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                           int32_t *scale, void *scratch) {
  depthwise(op, r0, r1, x, out, scale, scratch);
}

/* --- sums of rows --- */

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

void ivit_avx512_mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                          void *scratch) {
  if (!op->fits) {
    ivit_portable_mix_rows(op, r0, r1, x, out, scale, scratch);
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
