/* Shared by the SIMD128 kernels. */
#ifndef IVIT_SIMD128_H
#define IVIT_SIMD128_H

#include <wasm_simd128.h>

#include "arith.h"

#define INLINE static inline __attribute__((always_inline))

typedef v128_t v128;

/* Columns of a packed panel, and rows of the register tile: 8 accumulators, 2 weights, 1 broadcast of 16 registers. */
enum { PANEL = 8, TILE = 4 };

INLINE size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
INLINE v128 load(const void *p) { return wasm_v128_load(p); }
INLINE void store(void *p, v128 v) { wasm_v128_store(p, v); }

/* Elements of a row that the product takes in one step of its loop: rows and columns are padded to a multiple. */
enum { STEP = 2 };

/*
 * Rows of x for multiply_tile: TILE rows side by side, [length/2][TILE][2] i16. Takes the row's codes less `zero`; reads
 * and writes up to 16 elements beyond `length`.
 */
INLINE void interleave_tile(const uint8_t *const rows[TILE], int is_signed, int32_t zero, int32_t length, int16_t *to) {
  const v128 z = wasm_i16x8_splat((int16_t)zero);
  for (int32_t k = 0; k < length; k += 16) {
    for (int32_t half = 0; half < 2; half++, to += 32) {
      v128 x[TILE];
      for (int32_t i = 0; i < TILE; i++) {
        v128 codes = is_signed ? wasm_i16x8_load8x8(rows[i] + k + 8 * half) : wasm_u16x8_load8x8(rows[i] + k + 8 * half);
        x[i] = wasm_i16x8_sub(codes, z);
      }
      v128 ab_low = wasm_i32x4_shuffle(x[0], x[1], 0, 4, 1, 5), ab_high = wasm_i32x4_shuffle(x[0], x[1], 2, 6, 3, 7);
      v128 cd_low = wasm_i32x4_shuffle(x[2], x[3], 0, 4, 1, 5), cd_high = wasm_i32x4_shuffle(x[2], x[3], 2, 6, 3, 7);
      store(to, wasm_i64x2_shuffle(ab_low, cd_low, 0, 2));
      store(to + 8, wasm_i64x2_shuffle(ab_low, cd_low, 1, 3));
      store(to + 16, wasm_i64x2_shuffle(ab_high, cd_high, 0, 2));
      store(to + 24, wasm_i64x2_shuffle(ab_high, cd_high, 1, 3));
    }
  }
}

/* i16 elements of an interleaved tile. */
INLINE size_t tile_elements(int32_t length) { return round_up((size_t)length, 16) * TILE; }

/*
 * Columns for multiply_tile: PANEL of them side by side, [length/2][PANEL][2] i16, padded with zeros, so that what lies
 * beyond a row's end does not count.
 */
INLINE size_t panel_elements(int32_t length) { return round_up((size_t)length, STEP) * PANEL; }

INLINE int16_t *panel_at(int16_t *panels, int32_t column, int32_t length, int32_t k) {
  int16_t *panel = panels + (size_t)(column / PANEL) * panel_elements(length);
  return panel + (size_t)(k / 2) * 2 * PANEL + (size_t)(column % PANEL) * 2 + (size_t)(k % 2);
}

/* One pair of elements of TILE rows and PANEL columns. */
#define MULTIPLY_PAIR(x, w)                                \
  do {                                                     \
    const v128 w0 = load(w), w1 = load((w) + 8);           \
    v128 v = wasm_v128_load32_splat(x);                    \
    a0 = wasm_i32x4_add(a0, wasm_i32x4_dot_i16x8(v, w0));  \
    a1 = wasm_i32x4_add(a1, wasm_i32x4_dot_i16x8(v, w1));  \
    v = wasm_v128_load32_splat((x) + 2);                   \
    b0 = wasm_i32x4_add(b0, wasm_i32x4_dot_i16x8(v, w0));  \
    b1 = wasm_i32x4_add(b1, wasm_i32x4_dot_i16x8(v, w1));  \
    v = wasm_v128_load32_splat((x) + 4);                   \
    c0 = wasm_i32x4_add(c0, wasm_i32x4_dot_i16x8(v, w0));  \
    c1 = wasm_i32x4_add(c1, wasm_i32x4_dot_i16x8(v, w1));  \
    v = wasm_v128_load32_splat((x) + 6);                   \
    d0 = wasm_i32x4_add(d0, wasm_i32x4_dot_i16x8(v, w0));  \
    d1 = wasm_i32x4_add(d1, wasm_i32x4_dot_i16x8(v, w1));  \
  } while (0)

/*
 * acc[2i + j] = row i . columns 4j to 4j + 3, over `length` elements. Not unrolled: engines gather the loads of a loop's
 * body at its beginning, and those of two pairs need more registers than there are.
 */
INLINE void multiply_tile(v128 acc[2 * TILE], const int16_t *tile, const int16_t *panel, int32_t length) {
  v128 a0 = wasm_i32x4_const_splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  const int16_t *end = panel + panel_elements(length);
#pragma clang loop unroll(disable)
  do {
    MULTIPLY_PAIR(tile, panel);
    tile += 8;
    panel += 16;
  } while (panel != end);
  acc[0] = a0, acc[1] = a1, acc[2] = b0, acc[3] = b1, acc[4] = c0, acc[5] = c1, acc[6] = d0, acc[7] = d1;
}

/* --- 64-bit requantization of four lanes --- */

/* The high, or the low, 32 bits of four 64-bit lanes. */
INLINE v128 high_words(v128 low, v128 high) { return wasm_i32x4_shuffle(low, high, 1, 3, 5, 7); }
INLINE v128 low_words(v128 low, v128 high) { return wasm_i32x4_shuffle(low, high, 0, 2, 4, 6); }

/* i64 lanes to i32, saturating. */
INLINE v128 saturate_words(v128 low, v128 high) {
  const v128 most = wasm_i64x2_const_splat(INT32_MAX), least = wasm_i64x2_const_splat(INT32_MIN);
  low = wasm_v128_bitselect(most, low, wasm_i64x2_gt(low, most));
  low = wasm_v128_bitselect(least, low, wasm_i64x2_lt(low, least));
  high = wasm_v128_bitselect(most, high, wasm_i64x2_gt(high, most));
  high = wasm_v128_bitselect(least, high, wasm_i64x2_lt(high, least));
  return low_words(low, high);
}

/*
 * (v*multiplier + addend) >> shift of four i32 lanes, saturated to i32; `addend` has the rounding term in it. From shift
 * 32 on the result is the product's high word, shifted further: no 64-bit shift is needed.
 */
INLINE v128 scale_words(v128 v, v128 multiplier, v128 addend_low, v128 addend_high, int32_t shift) {
  v128 low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(v, multiplier), addend_low);
  v128 high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(v, multiplier), addend_high);
  if (__builtin_expect(shift >= 32, 1)) return wasm_i32x4_shr(high_words(low, high), shift - 32);
  return saturate_words(wasm_i64x2_shr(low, shift), wasm_i64x2_shr(high, shift));
}

INLINE v128 clamp_words(v128 v, v128 lo, v128 hi) { return wasm_i32x4_min(wasm_i32x4_max(v, lo), hi); }

/*
 * Eight requantized i32, saturated to the output's type and stored from element `at` on: `count` of them, 1 to 8. The
 * narrowing saturates as the type's range demands, but that the lowest i8 and i16 are not used.
 */
INLINE void store_eight(const ivit_output *out, void *data, size_t at, v128 a, v128 b, int32_t count) {
  uint8_t part[32];
  switch (out->type) {
    case IVIT_U8: {
      v128 wide = wasm_i16x8_add_sat(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_splat((int16_t)out->zero));
      v128 bytes = wasm_u8x16_narrow_i16x8(wide, wide);
      uint8_t *to = (uint8_t *)data + at;
      if (count == 8) {
        wasm_v128_store64_lane(to, bytes, 0);
        return;
      }
      store(part, bytes);
      for (int32_t i = 0; i < count; i++) to[i] = part[i];
      return;
    }
    case IVIT_I8: {
      v128 wide = wasm_i16x8_narrow_i32x4(a, b);
      v128 bytes = wasm_i8x16_max(wasm_i8x16_narrow_i16x8(wide, wide), wasm_i8x16_const_splat(-127));
      uint8_t *to = (uint8_t *)data + at;
      if (count == 8) {
        wasm_v128_store64_lane(to, bytes, 0);
        return;
      }
      store(part, bytes);
      for (int32_t i = 0; i < count; i++) to[i] = part[i];
      return;
    }
    case IVIT_I16: {
      v128 wide = wasm_i16x8_max(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_const_splat(-32767));
      int16_t *to = (int16_t *)data + at;
      if (count == 8) {
        store(to, wide);
        return;
      }
      store(part, wide);
      for (int32_t i = 0; i < count; i++) to[i] = ((const int16_t *)part)[i];
      return;
    }
    case IVIT_I32:
    case IVIT_ROWS: {
      v128 lo = wasm_i32x4_splat(out->lo), hi = wasm_i32x4_splat(out->hi);
      int32_t *to = (int32_t *)data + at;
      a = clamp_words(a, lo, hi);
      b = clamp_words(b, lo, hi);
      if (count == 8) {
        store(to, a);
        store(to + 4, b);
        return;
      }
      store(part, a);
      store(part + 16, b);
      for (int32_t i = 0; i < count; i++) to[i] = ((const int32_t *)part)[i];
      return;
    }
  }
}

size_t ivit_simd128_linear_pack_size(const ivit_linear *op);
void ivit_simd128_linear_pack(const ivit_linear *op, void *packed);
size_t ivit_simd128_linear_scratch(const ivit_linear *op);
void ivit_simd128_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                         const int32_t *x_scale, const int32_t *residual, void *out, void *scratch);
void ivit_simd128_layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                             void *scratch);
void ivit_simd128_activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                             void *scratch);
void ivit_simd128_rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                          void *scratch);
void ivit_simd128_quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale);
void ivit_simd128_add(size_t count, const int32_t *a, const int32_t *b, int32_t *out);
size_t ivit_simd128_attention_pack_size(const ivit_attention *op);
void ivit_simd128_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                 const int8_t *v, void *packed);
size_t ivit_simd128_attention_scratch(const ivit_attention *op);
void ivit_simd128_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                            const int8_t *q, const void *packed, void *out, void *scratch);

#endif
