/* Products of two values, any function by its table, softmax of rows; included by simd128.c. */

/* Eight requantized values of a row, channels n to n + 7, to where the row goes. */
INLINE void put_eight(const ivit_output *out, int32_t cols, int32_t n, v128 v[2], void *row, size_t at) {
  requantize_eight(out->packed, cols, n, v);
  store_eight(out, row, at + (size_t)n, v[0], v[1], ivit_min(8, cols - n));
}

static int is_wide(const ivit_output *out) { return ((const output_header *)out->packed)->path == WIDE; }

static void multiply_rows(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                          void *out, int32_t *scale, void *scratch) {
  if (is_wide(&op->out)) {
    ivit_portable_multiply(op, rows, a, b, b_stride, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  for (int32_t r = 0; r < rows; r++, a += op->cols, b += b_stride) {
    const size_t at = (size_t)r * (size_t)op->cols;
    const v128 one = wasm_i16x8_splat(b[0]);
    for (int32_t n = 0; n < op->cols; n += 8) {
      const v128 x = load(a + n), y = op->is_column ? one : load(b + n);
      v128 v[2] = {wasm_i32x4_extmul_low_i16x8(x, y), wasm_i32x4_extmul_high_i16x8(x, y)};
      put_eight(&op->out, op->cols, n, v, is_dynamic ? scratch : out, is_dynamic ? 0 : at);
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

/* See ivit_divisor. */
INLINE v128 divide_two(v128 high, v128 low, const ivit_divisor *d) {
  const v128 most = wasm_i64x2_const_splat(INT32_MAX);
  const v128 carried = wasm_u64x2_shr(wasm_i64x2_add(low, wasm_i64x2_splat(d->add_low)), 26);
  v128 sum = wasm_i64x2_add(wasm_i64x2_add(high, wasm_i64x2_splat(d->add_high)), carried);
  sum = wasm_u64x2_shr(sum, (uint32_t)d->shift);
  return wasm_v128_bitselect(most, sum, wasm_i64x2_gt(sum, most));
}
INLINE v128 divide_four(v128 a, const ivit_divisor *d) {
  const v128 high = wasm_i32x4_splat(d->high), low = wasm_i32x4_splat(d->low);
  const v128 x = wasm_i32x4_abs(a), sign = wasm_v128_xor(wasm_i32x4_shr(a, 31), wasm_i32x4_splat(d->sign));
  const v128 v =
      low_words(divide_two(wasm_i64x2_extmul_low_i32x4(x, high), wasm_i64x2_extmul_low_i32x4(x, low), d),
                divide_two(wasm_i64x2_extmul_high_i32x4(x, high), wasm_i64x2_extmul_high_i32x4(x, low), d));
  return wasm_i32x4_sub(wasm_v128_xor(v, sign), sign);
}

/* Rows divided by one number each; others are divided element by element. */
static void divide_rows(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride,
                        void *out, int32_t *scale, void *scratch) {
  if (is_wide(&op->out) || !op->is_column) {
    ivit_portable_divide(op, rows, a, b, b_stride, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  for (int32_t r = 0; r < rows; r++, a += op->cols, b += b_stride) {
    const size_t at = (size_t)r * (size_t)op->cols;
    const ivit_divisor divisor = ivit_divisor_of(*b, op->bits);
    for (int32_t n = 0; n < op->cols; n += 8) {
      v128 v[2] = {divide_four(load(a + n), &divisor), divide_four(load(a + n + 4), &divisor)};
      put_eight(&op->out, op->cols, n, v, is_dynamic ? scratch : out, is_dynamic ? 0 : at);
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

/* Entries i and i + 1 of two lanes. */
#define LOAD_PAIR(table, index, lane)                                                                   \
  wasm_v128_load64_lane((table) + wasm_i32x4_extract_lane(index, (lane) + 1),                           \
                        wasm_v128_load64_zero((table) + wasm_i32x4_extract_lane(index, lane)), 1)

INLINE v128 interpolate(const int32_t *table, v128 x) {
  const v128 u = wasm_i32x4_add(x, wasm_i32x4_const_splat(32768)), i = wasm_u32x4_shr(u, 8);
  const v128 low = LOAD_PAIR(table, i, 0), high = LOAD_PAIR(table, i, 2);
  const v128 base = low_words(low, high), next = high_words(low, high);
  const v128 rest = wasm_v128_and(u, wasm_i32x4_const_splat(255));
  const v128 risen = wasm_i32x4_mul(wasm_i32x4_sub(next, base), rest);
  return wasm_i32x4_add(base, wasm_i32x4_shr(wasm_i32x4_add(risen, wasm_i32x4_const_splat(128)), 8));
}

static void look_up_rows(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                         void *scratch) {
  if (is_wide(&op->out)) {
    ivit_portable_lookup(op, rows, x, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    const size_t at = (size_t)r * (size_t)op->cols;
    for (int32_t n = 0; n < op->cols; n += 8) {
      const v128 part = load(x + n);
      v128 v[2] = {interpolate(op->table, wasm_i32x4_extend_low_i16x8(part)),
                   interpolate(op->table, wasm_i32x4_extend_high_i16x8(part))};
      put_eight(&op->out, op->cols, n, v, is_dynamic ? scratch : out, is_dynamic ? 0 : at);
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

/* See ivit_share. */
INLINE v128 share_two(v128 high, v128 low, const ivit_share *s) {
  const v128 sum = wasm_i64x2_add(wasm_i64x2_shl(high, 31), low);
  return wasm_u64x2_shr(wasm_i64x2_add(sum, wasm_i64x2_splat(s->add)), (uint32_t)s->shift);
}
INLINE v128 share_four(v128 e, const ivit_share *s) {
  const v128 high = wasm_i32x4_splat(s->high), low = wasm_i32x4_splat(s->low);
  return low_words(share_two(wasm_u64x2_extmul_low_u32x4(e, high), wasm_u64x2_extmul_low_u32x4(e, low), s),
                   share_two(wasm_u64x2_extmul_high_u32x4(e, high), wasm_u64x2_extmul_high_u32x4(e, low), s));
}

/* The weights are plain C's: no instruction shifts lanes by counts of their own. */
static void softmax_rows(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch) {
  if (is_wide(&op->out) || op->cols > IVIT_SHARED_COLS) {
    ivit_portable_softmax(op, rows, x, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  int32_t *e = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    const size_t at = (size_t)r * (size_t)op->cols;
    const ivit_share s = ivit_share_of(ivit_weigh_row(op, x, e));
    for (int32_t n = 0; n < op->cols; n += 8) {
      v128 v[2] = {share_four(load(e + n), &s), share_four(load(e + n + 4), &s)};
      put_eight(&op->out, op->cols, n, v, is_dynamic ? scratch : out, is_dynamic ? 0 : at);
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

/* --- products of two i16 values --- */

enum { PAIR_ROWS = 6, PAIR_COLS = PANEL };
#define PAIR_WIDTH(n) PANEL

static void multiply_pairs(int32_t sums[PAIR_ROWS][PAIR_COLS], const int16_t *const rows[PAIR_ROWS], int32_t pairs,
                           const int16_t *w, int32_t width) {
  (void)width;
  v128 s[2 * PAIR_ROWS];
  UNROLL_ROWS for (int32_t i = 0; i < 2 * PAIR_ROWS; i++) s[i] = wasm_i32x4_const_splat(0);
  for (int32_t p = 0; p < pairs; p++, w += 2 * PANEL) {
    const v128 b0 = load(w), b1 = load(w + PANEL);
    UNROLL_ROWS for (int32_t i = 0; i < PAIR_ROWS; i++) {
      const v128 x = wasm_v128_load32_splat(rows[i] + 2 * p);
      s[2 * i] = wasm_i32x4_add(s[2 * i], wasm_i32x4_dot_i16x8(x, b0));
      s[2 * i + 1] = wasm_i32x4_add(s[2 * i + 1], wasm_i32x4_dot_i16x8(x, b1));
    }
  }
  UNROLL_ROWS for (int32_t i = 0; i < PAIR_ROWS; i++) {
    store(sums[i], s[2 * i]);
    store(sums[i] + 4, s[2 * i + 1]);
  }
}

static void write_sums(const ivit_output *out, int32_t n, int32_t j, const int32_t *sums, void *to, int32_t count) {
  v128 v[2] = {load(sums), load(sums + 4)};
  requantize_eight(out->packed, n, j, v);
  store_eight(out, to, 0, v[0], v[1], count);
}

#include "../lanes/matmul.h"
#include "../lanes/published.h"
