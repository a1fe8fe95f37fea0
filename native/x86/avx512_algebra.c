/* Products of two values, any function by its table, softmax of rows. */
#include "avx512_output.h"

/* Rows of products; path, type and `is_column` are known when it is compiled. */
INLINE void multiply_rows(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                          void *out, int32_t *scale, int32_t *u, const output_path path, const ivit_type type,
                          const int is_column) {
  const output_header *h = op->out.packed;
  const wide_channels *channels = (const wide_channels *)(h + 1);
  ivit_output target = op->out;
  target.type = type;
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = 0; r < rows; r++, a += cols, b += b_stride, to += (size_t)cols * output_size(type)) {
    __m512i most = _mm512_setzero_si512();
    /* Words whose upper half is 0: their pairs' products add up to one. */
    const __m512i one = _mm512_set1_epi32((uint16_t)b[0]);
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        __mmask16 live = first16(cols - n - 16 * j);
        __m256i x = _mm256_maskz_loadu_epi16(live, a + n + 16 * j);
        __m512i y = is_column ? one : _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(live, b + n + 16 * j));
        __m512i product = _mm512_madd_epi16(_mm512_cvtepi16_epi32(x), y);
        v[j] = requantize_wide(path, product, odd(product), channels + n / 16 + j, h);
      }
      most = write_values(&target, v, n, cols, u, to, most);
    }
    finish_row(&target, cols, u, to, scale ? scale + r : NULL, most);
  }
}

#define MULTIPLY(path, type, is_column) \
  multiply_rows(op, rows, a, b, b_stride, out, scale, scratch, path, type, is_column)

void ivit_avx512_multiply(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                          void *out, int32_t *scale, void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == OUTPUT_WIDE)
    MULTIPLY(OUTPUT_WIDE, op->out.type, op->is_column);
  else if (op->is_column)
    MULTIPLY(OUTPUT_HIGH, op->out.type, 1);
  else if (op->out.type == IVIT_U8)
    MULTIPLY(OUTPUT_HIGH, IVIT_U8, 0);
  else if (op->out.type == IVIT_I16)
    MULTIPLY(OUTPUT_HIGH, IVIT_I16, 0);
  else if (op->out.type == IVIT_I32)
    MULTIPLY(OUTPUT_HIGH, IVIT_I32, 0);
  else
    MULTIPLY(OUTPUT_HIGH, op->out.type, 0);
}

/* See ivit_divisor. */
INLINE __m512i divide_eight(__m512i a, const ivit_divisor *d) {
  __m512i high = _mm512_mul_epu32(a, _mm512_set1_epi64(d->high)), low = _mm512_mul_epu32(a, _mm512_set1_epi64(d->low));
  __m512i carried = _mm512_srli_epi64(_mm512_add_epi64(low, _mm512_set1_epi64(d->add_low)), 26);
  __m512i sum = _mm512_add_epi64(_mm512_add_epi64(high, _mm512_set1_epi64(d->add_high)), carried);
  return _mm512_min_epu64(_mm512_srlv_epi64(sum, _mm512_set1_epi64(d->shift)), _mm512_set1_epi64(INT32_MAX));
}

/* Rows divided by one number each; others are divided element by element. */
void ivit_avx512_divide(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride,
                        void *out, int32_t *scale, void *scratch) {
  if (!op->is_column) {
    ivit_portable_divide(op, rows, a, b, b_stride, out, scale, scratch);
    return;
  }
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = 0; r < rows; r++, a += cols, b += b_stride, to += (size_t)cols * output_size(op->out.type)) {
    const ivit_divisor divisor = ivit_divisor_of(*b, op->bits);
    const __m512i negative = _mm512_set1_epi32(divisor.sign);
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        v[j] = _mm512_setzero_si512();
        if (n + 16 * j >= cols) continue;
        __m512i x = _mm512_maskz_loadu_epi32(first16(cols - n - 16 * j), a + n + 16 * j);
        __m512i size = _mm512_abs_epi32(x), sign = _mm512_xor_si512(_mm512_srai_epi32(x, 31), negative);
        __m512i quotient = join_low(divide_eight(size, &divisor), divide_eight(odd(size), &divisor));
        quotient = _mm512_sub_epi32(_mm512_xor_si512(quotient, sign), sign);
        v[j] = requantize_channels(op->out.packed, n + 16 * j, quotient);
      }
      most = write_values(&op->out, v, n, cols, scratch, to, most);
    }
    finish_row(&op->out, cols, scratch, to, scale ? scale + r : NULL, most);
  }
}

/* lookUp of 16 values: one load of 64 bits brings an entry and the next. */
INLINE __m512i interpolate(const int32_t *table, __m256i x) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odds = _mm512_or_si512(even, _mm512_set1_epi32(1));
  __m512i place = _mm512_cvtepu16_epi32(_mm256_xor_si256(x, _mm256_set1_epi16(INT16_MIN)));
  __m512i i = _mm512_srli_epi32(place, 8), rest = _mm512_and_si512(place, _mm512_set1_epi32(255));
  __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(i), table, 4);
  __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(i, 1), table, 4);
  __m512i base = _mm512_permutex2var_epi32(low, even, high), next = _mm512_permutex2var_epi32(low, odds, high);
  __m512i risen = _mm512_mullo_epi32(_mm512_sub_epi32(next, base), rest);
  return _mm512_add_epi32(base, _mm512_srai_epi32(_mm512_add_epi32(risen, _mm512_set1_epi32(128)), 8));
}

void ivit_avx512_lookup(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                        void *scratch) {
  const int32_t cols = op->cols;
  int8_t *to = out;
  for (int32_t r = 0; r < rows; r++, x += cols, to += (size_t)cols * output_size(op->out.type)) {
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        v[j] = _mm512_setzero_si512();
        if (n + 16 * j >= cols) continue;
        __m256i part = _mm256_maskz_loadu_epi16(first16(cols - n - 16 * j), x + n + 16 * j);
        v[j] = requantize_channels(op->out.packed, n + 16 * j, interpolate(op->table, part));
      }
      most = write_values(&op->out, v, n, cols, scratch, to, most);
    }
    finish_row(&op->out, cols, scratch, to, scale ? scale + r : NULL, most);
  }
}

/* --- softmax --- */

/* The weight of softmaxRow; d = max - x >= 0. */
INLINE __m512i fine_weight(__m512i d, int32_t p, const ivit_softmax kind) {
  const __m512i one = _mm512_set1_epi32(1 << 14);
  __m512i q = _mm512_srav_epi32(d, _mm512_set1_epi32(p));
  __m512i r = _mm512_and_si512(d, _mm512_set1_epi32((1 << p) - 1));
  r = _mm512_sllv_epi32(r, _mm512_set1_epi32(14 - p));
  __m512i m = _mm512_sub_epi32(one, _mm512_srli_epi32(r, 1));
  if (kind == IVIT_SOFTMAX_QUADRATIC) {
    __m512i product = _mm512_srli_epi32(_mm512_mullo_epi32(r, _mm512_sub_epi32(one, r)), 14);
    product = _mm512_add_epi32(_mm512_mullo_epi32(product, _mm512_set1_epi32(2811)), _mm512_set1_epi32(1 << 13));
    m = _mm512_sub_epi32(m, _mm512_srli_epi32(product, 14));
  }
  __mmask16 reached = _mm512_cmplt_epi32_mask(q, _mm512_set1_epi32(22));
  return _mm512_maskz_srlv_epi32(reached, _mm512_slli_epi32(m, 8), q);
}

/* Weights of a row to `e`, whole vectors, 0 past its end; returns their sum. */
INLINE uint64_t weigh_row(const ivit_row_softmax *op, const requantize_plan *plan, const int32_t *x, int32_t *e,
                          const ivit_softmax kind) {
  const int32_t cols = op->cols;
  const __m512i b = _mm512_set1_epi32((int32_t)((uint32_t)op->score_multiplier << plan->scale));
  const requantize_operands k = operands_of(plan);
  int32_t multiplier[16];
  _mm512_storeu_si512(multiplier, b);
  __m512i most = _mm512_set1_epi32(INT32_MIN);
  for (int32_t n = 0; n < cols; n += 16) {
    __mmask16 live = first16(cols - n);
    __m512i v = _mm512_maskz_loadu_epi32(live, x + n);
    __m512i score = requantize(plan->path, v, b, multiplier, &k);
    _mm512_storeu_si512(e + n, score);
    most = _mm512_mask_max_epi32(most, live, most, score);
  }
  const __m512i max = _mm512_set1_epi32(_mm512_reduce_max_epi32(most));
  __m512i sum = _mm512_setzero_si512();
  uint64_t total = 0;
  for (int32_t n = 0; n < cols;) {
    /* 256 additions of 22 bits fit 31. */
    int32_t end = ivit_min(cols, n + 256 * 16);
    for (; n < end; n += 16) {
      __m512i weight = fine_weight(_mm512_sub_epi32(max, _mm512_loadu_si512(e + n)), op->fraction_bits, kind);
      weight = _mm512_maskz_mov_epi32(first16(cols - n), weight);
      _mm512_storeu_si512(e + n, weight);
      sum = _mm512_add_epi32(sum, weight);
    }
    total += (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(
        _mm512_and_si512(sum, _mm512_set1_epi64(0xffffffff)), _mm512_srli_epi64(sum, 32)));
    sum = _mm512_setzero_si512();
  }
  return total;
}

/* See ivit_share. */
INLINE __m512i share_eight(__m512i e, const ivit_share *s) {
  __m512i high = _mm512_mul_epu32(e, _mm512_set1_epi64(s->high)), low = _mm512_mul_epu32(e, _mm512_set1_epi64(s->low));
  __m512i sum = _mm512_add_epi64(_mm512_add_epi64(_mm512_slli_epi64(high, 31), low), _mm512_set1_epi64(s->add));
  return _mm512_srlv_epi64(sum, _mm512_set1_epi64(s->shift));
}

void ivit_avx512_softmax(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch) {
  int64_t b = op->score_multiplier < 0 ? -(int64_t)op->score_multiplier : op->score_multiplier;
  int64_t bound = IVIT_WIDE_LIMIT * b;
  requantize_plan plan = {.path = WIDE};
  if (b <= INT32_MAX) plan = plan_requantize(IVIT_WIDE_LIMIT, bound, b, op->score_shift);
  int is_safe = plan.path != WIDE && ivit_shift_round(bound, op->score_shift) < IVIT_SCORE_LIMIT;
  if (!is_safe || op->cols > IVIT_SHARED_COLS) {
    ivit_portable_softmax(op, rows, x, out, scale, scratch);
    return;
  }
  const int32_t cols = op->cols;
  int32_t *e = scratch;
  int8_t *to = out;
  for (int32_t r = 0; r < rows; r++, x += cols, to += (size_t)cols * output_size(op->out.type)) {
    uint64_t sum = op->kind == IVIT_SOFTMAX_QUADRATIC ? weigh_row(op, &plan, x, e, IVIT_SOFTMAX_QUADRATIC)
                                                      : weigh_row(op, &plan, x, e, IVIT_SOFTMAX_SHIFT);
    const ivit_share s = ivit_share_of(sum);
    __m512i most = _mm512_setzero_si512();
    for (int32_t n = 0; n < cols; n += 64) {
      __m512i v[4];
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        v[j] = _mm512_setzero_si512();
        if (n + 16 * j >= cols) continue;
        __m512i weight = _mm512_loadu_si512(e + n + 16 * j);
        __m512i part = join_low(share_eight(weight, &s), share_eight(odd(weight), &s));
        v[j] = requantize_channels(op->out.packed, n + 16 * j, part);
      }
      most = write_values(&op->out, v, n, cols, e, to, most);
    }
    finish_row(&op->out, cols, e, to, scale ? scale + r : NULL, most);
  }
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
