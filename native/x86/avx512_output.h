/* What the row primitives of AVX-512 have in common: requantization by packed constants, and dynamic rows. */
#ifndef IVIT_AVX512_OUTPUT_H
#define IVIT_AVX512_OUTPUT_H

#include "avx512.h"

/*
 * How (v*b[n] + 2^(c-1) + offset[n]) >> c is computed.
 * - WORDS: v has 16 bits and b as well, and all sums fit 32 bits (activations);
 * - SPLIT: v has 16 bits and c 17 or more: by the halves of b, b = high*2^16 + low with low signed, it is
 *   (v*high + ((v*low + low half of offset) >> 16) + high half of offset and 2^(c-1)) >> (c - 16), as floors nest;
 * - HIGH: 64-bit products, c brought to 32 or more, so that the result lies in their high half;
 * - WIDE: 64-bit products, shifts and clamps;
 * - SHIFT: b is a power of 2, and what is added to the product is added to v already (depthwise convolutions).
 */
typedef enum { OUTPUT_WORDS, OUTPUT_SPLIT, OUTPUT_HIGH, OUTPUT_WIDE, OUTPUT_SHIFT } output_path;

/* What output_pack writes: this, then word_channels, split_channels or wide_channels. */
typedef struct {
  output_path path;
  int32_t shift; /* HIGH: c - 32; SPLIT: c - 16 */
  int32_t lo, hi;
  int32_t bounded; /* WORDS and SPLIT: results cannot pass the row limit */
  int8_t fill[IVIT_ALIGN - 5 * sizeof(int32_t)];
} output_header;

/* Constants of 16 channels, for products of even and odd elements. */
typedef struct {
  __m512i b, b_odd, offset, offset_odd;
} wide_channels;

/* 16 results from the low halves of v's even elements and of v_odd's. */
INLINE __m512i requantize_wide(const output_path path, __m512i v, __m512i v_odd, const wide_channels *channels,
                               const output_header *h) {
  __m512i even = _mm512_add_epi64(_mm512_mul_epi32(v, channels->b), channels->offset);
  __m512i others = _mm512_add_epi64(_mm512_mul_epi32(v_odd, channels->b_odd), channels->offset_odd);
  if (path == OUTPUT_HIGH) return _mm512_srav_epi32(join_high(even, others), _mm512_set1_epi32(h->shift));
  const __m512i shift = _mm512_set1_epi64(h->shift);
  const __m512i lo = _mm512_set1_epi64(h->lo), hi = _mm512_set1_epi64(h->hi);
  even = _mm512_max_epi64(_mm512_min_epi64(_mm512_srav_epi64(even, shift), hi), lo);
  others = _mm512_max_epi64(_mm512_min_epi64(_mm512_srav_epi64(others, shift), hi), lo);
  return join_low(even, others);
}

/* --- rows quantized by their own maximum --- */

INLINE int32_t row_maximum(__m512i most) { return ivit_max(1, _mm512_reduce_max_epi32(most)); }

INLINE __m512i row_codes(__m512i u, __m512i m) {
  return _mm512_srai_epi32(_mm512_add_epi32(_mm512_mullo_epi32(u, m), _mm512_set1_epi32(1 << 23)), 24);
}

/*
 * u-hat to codes. `word_order`: u holds every 32 elements as unpacking their 16-bit forms left them, which packing puts
 * in order again.
 */
INLINE void quantize_row(const int32_t *u, int32_t cols, int32_t scale, uint8_t *codes, const int word_order) {
  const __m512i m = _mm512_set1_epi32(ivit_row_multiplier(scale));
  const __m512i flip = _mm512_set1_epi8(-128);
  for (int32_t n = 0; n < cols; n += 64) {
    __m512i v[4];
    UNROLL_VECTORS for (int j = 0; j < 4; j++) v[j] = row_codes(_mm512_loadu_si512(u + n + 16 * j), m);
    __m512i words0 = _mm512_packs_epi32(v[0], v[1]), words1 = _mm512_packs_epi32(v[2], v[3]);
    __m512i bytes = _mm512_packs_epi16(words0, words1);
    bytes = word_order ? _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), bytes) : in_order(bytes);
    bytes = _mm512_xor_si512(bytes, flip);
    if (cols - n >= 64)
      _mm512_storeu_si512(codes + n, bytes);
    else
      _mm512_mask_storeu_epi8(codes + n, first64(cols - n), bytes);
  }
}

/* --- where a row's values go --- */

INLINE size_t output_size(ivit_type type) { return type == IVIT_I32 ? 4 : type == IVIT_I16 ? 2 : 1; }

/* Columns n to n + 63 of a row of `cols`, requantized: to `to`, or as u-hat to `u`. Returns the largest |u-hat|. */
INLINE __m512i write_values(const ivit_output *out, const __m512i v[4], int32_t n, int32_t cols, int32_t *u, void *to,
                            __m512i most) {
  if (out->type != IVIT_ROWS) {
    const __m512i zero = _mm512_set1_epi16((int16_t)out->zero);
    store_values(out->type, v, zero, (int8_t *)to + (size_t)n * output_size(out->type), cols - n);
    return most;
  }
  UNROLL_VECTORS for (int j = 0; j < 4; j++) {
    __m512i r = clamp_i32(_mm512_maskz_mov_epi32(first16(cols - n - 16 * j), v[j]), IVIT_ROW_LIMIT);
    most = _mm512_max_epi32(most, _mm512_abs_epi32(r));
    _mm512_storeu_si512(u + n + 16 * j, r);
  }
  return most;
}

/* The codes of a row whose u-hat is whole. */
INLINE void finish_row(const ivit_output *out, int32_t cols, const int32_t *u, void *to, int32_t *scale, __m512i most) {
  if (out->type != IVIT_ROWS) return;
  *scale = ivit_row_scale(row_maximum(most));
  quantize_row(u, cols, *scale, to, 0);
}

/* Requantizes 16 values of channels n and up, of 64 each; path is HIGH or WIDE. */
INLINE __m512i requantize_channels(const output_header *h, int32_t n, __m512i v) {
  const wide_channels *c = (const wide_channels *)(h + 1) + n / 16;
  return h->path == OUTPUT_HIGH ? requantize_wide(OUTPUT_HIGH, v, odd(v), c, h)
                                : requantize_wide(OUTPUT_WIDE, v, odd(v), c, h);
}

#endif
