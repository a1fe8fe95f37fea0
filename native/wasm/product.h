/*
 * The matrix product's register tile: TILE rows by PANEL columns, in two forms that differ in what they multiply.
 *
 * - SIMD128 multiplies pairs of 16-bit numbers (i32x4.dot_i16x8_s): codes and weights are widened.
 * - Relaxed SIMD multiplies groups of four 8-bit numbers (i32x4.relaxed_dot_i8x16_i7x16_add_s). The proposal only
 *   promises what it gives for codes up to 127; what it gives beyond that is the engine's choice, which
 *   product_is_exact finds out.
 *
 * Codes are u8 wherever they lie. Those of a tile are multiplied as code - CODE_OFFSET; panels make up for it.
 */
#ifndef IVIT_PRODUCT_H
#define IVIT_PRODUCT_H

#include <wasm_simd128.h>

#include "../arith.h"

#define INLINE static inline __attribute__((always_inline))

typedef v128_t v128;

INLINE v128 load(const void *p) { return wasm_v128_load(p); }
INLINE void store(void *p, v128 v) { wasm_v128_store(p, v); }

enum { PANEL = 8 };

#ifdef __wasm_relaxed_simd__

/* 12 accumulators, 2 weights and a broadcast of 16 registers. */
enum { TILE = 6, GROUP = 4 };
typedef uint8_t code_t;
typedef int8_t weight_t;

/* 0: the engine multiplies codes as unsigned numbers; 128: as signed ones. */
static int32_t code_offset;
#define CODE_OFFSET code_offset

#define ONES wasm_i8x16_const_splat(1)

INLINE v128 multiply_add(v128 sum, v128 codes, v128 weights) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weights, codes, sum);
}

/* Whether multiply_add is exact for pairs of codes and weights, with codes taken as they are less `offset`. */
static int is_exact_with(int32_t offset) {
  static const uint8_t codes[] = {0, 1, 127, 128, 129, 255};
  static const int8_t weights[] = {-127, -1, 1, 127};
  enum { CODES = sizeof codes, PAIRS = CODES * sizeof weights };
  for (int32_t first = 0; first < PAIRS; first++) {
    for (int32_t second = 0; second < PAIRS; second++) {
      const uint8_t c0 = codes[first % CODES], c1 = codes[second % CODES];
      const int8_t w0 = weights[first / CODES], w1 = weights[second / CODES];
      const int32_t sum = 16702650 * w0;
      const int32_t expected = sum + 2 * ((c0 - offset) * w0 + (c1 - offset) * w1);
      const uint16_t code_pair = (uint16_t)(((c0 ^ offset) & 255) | ((c1 ^ offset) & 255) << 8);
      const uint16_t weight_pair = (uint16_t)((uint8_t)w0 | (uint8_t)w1 << 8);
      v128 got = multiply_add(wasm_i32x4_splat(sum), wasm_i16x8_splat((int16_t)code_pair),
                              wasm_i16x8_splat((int16_t)weight_pair));
      if (wasm_v128_any_true(wasm_v128_xor(got, wasm_i32x4_splat(expected)))) return 0;
    }
  }
  return 1;
}

/*
 * Whether the engine's product is exact for all codes, and which way. x86-64 with AVX-VNNI and ARM64 with dot products
 * are; pmaddubsw, which others use, saturates. Asking once is enough: the relaxed SIMD proposal (WebAssembly core
 * specification, "relaxed operations") lets an engine choose, but holds it to one choice throughout an execution
 * environment. Sets CODE_OFFSET.
 */
static int product_is_exact(void) {
  code_offset = 0;
  if (is_exact_with(0)) return 1;
  code_offset = 128;
  return is_exact_with(128);
}

/* Rows of codes, each less `flip` (0 or 128, modulo 256), for multiply_tile: [length/4][TILE][4]. */
INLINE void interleave_tile(const uint8_t *const rows[TILE], int32_t flip, int32_t length, code_t *to) {
  const uint32_t flips = (uint32_t)(flip ^ CODE_OFFSET) * 0x01010101u;
  for (int32_t k = 0; k < length; k += GROUP) {
    for (int32_t i = 0; i < TILE; i++, to += GROUP) {
      uint32_t codes;
      __builtin_memcpy(&codes, rows[i] + k, sizeof codes);
      codes ^= flips;
      __builtin_memcpy(to, &codes, sizeof codes);
    }
  }
}

/* 16-bit rows as they are: never asked for where codes have 8 bits (linear_packing.h, multiplies_words). */
INLINE void interleave_words(const int16_t *const rows[TILE], int32_t length, code_t *to) {
  (void)rows, (void)length, (void)to;
}

/* Eight codes, 0 to 255, of one row to their places in a tile. */
INLINE void put_codes(code_t *to, v128 codes) {
  v128 bytes = wasm_v128_xor(wasm_u8x16_narrow_i16x8(codes, codes), wasm_i8x16_splat((int8_t)CODE_OFFSET));
  wasm_v128_store32_lane(to, bytes, 0);
  wasm_v128_store32_lane(to + GROUP * TILE, bytes, 1);
}

/* Eight weights of one column to their places in a panel. */
INLINE void put_column(weight_t *to, const int8_t *from) {
  for (int32_t g = 0; g < 2; g++) __builtin_memcpy(to + g * GROUP * PANEL, from + g * GROUP, GROUP);
}

/* One weight of each of eight columns, from GROUP rows, as one group of a panel. */
INLINE void put_group(weight_t *to, const int8_t *const rows[GROUP]) {
  v128 r[GROUP];
  for (int32_t i = 0; i < GROUP; i++) r[i] = wasm_v128_load64_zero(rows[i]);
  v128 a = wasm_i8x16_shuffle(r[0], r[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  v128 b = wasm_i8x16_shuffle(r[2], r[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  store(to, wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  store(to + 16, wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15));
}

#else

/* 8 accumulators, 2 weights, 4 broadcasts and a product of 16 registers. */
enum { TILE = 4, GROUP = 2 };
typedef int16_t code_t;
typedef int16_t weight_t;
#define CODE_OFFSET 0
#define ONES wasm_i16x8_const_splat(1)

INLINE v128 multiply_add(v128 sum, v128 codes, v128 weights) {
  return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(codes, weights));
}

static int product_is_exact(void) { return 1; }

/* Eight words of each row. */
INLINE void interleave_eight(const v128 x[TILE], code_t *to) {
  v128 ab_low = wasm_i32x4_shuffle(x[0], x[1], 0, 4, 1, 5), ab_high = wasm_i32x4_shuffle(x[0], x[1], 2, 6, 3, 7);
  v128 cd_low = wasm_i32x4_shuffle(x[2], x[3], 0, 4, 1, 5), cd_high = wasm_i32x4_shuffle(x[2], x[3], 2, 6, 3, 7);
  store(to, wasm_i64x2_shuffle(ab_low, cd_low, 0, 2));
  store(to + 8, wasm_i64x2_shuffle(ab_low, cd_low, 1, 3));
  store(to + 16, wasm_i64x2_shuffle(ab_high, cd_high, 0, 2));
  store(to + 24, wasm_i64x2_shuffle(ab_high, cd_high, 1, 3));
}

/* Rows of codes, each less `flip` (0 or 128, modulo 256), for multiply_tile: [length/2][TILE][2]. */
INLINE void interleave_tile(const uint8_t *const rows[TILE], int32_t flip, int32_t length, code_t *to) {
  const v128 flips = wasm_i16x8_splat((int16_t)flip);
  for (int32_t k = 0; k < length; k += 8, to += 8 * TILE) {
    v128 x[TILE];
    for (int32_t i = 0; i < TILE; i++) x[i] = wasm_v128_xor(wasm_u16x8_load8x8(rows[i] + k), flips);
    interleave_eight(x, to);
  }
}

/* The same of 16-bit rows as they are. */
INLINE void interleave_words(const int16_t *const rows[TILE], int32_t length, code_t *to) {
  for (int32_t k = 0; k < length; k += 8, to += 8 * TILE) {
    v128 x[TILE];
    for (int32_t i = 0; i < TILE; i++) x[i] = load(rows[i] + k);
    interleave_eight(x, to);
  }
}

/* Eight codes, 0 to 255, of one row to their places in a tile. */
INLINE void put_codes(code_t *to, v128 codes) {
  wasm_v128_store32_lane(to, codes, 0);
  wasm_v128_store32_lane(to + GROUP * TILE, codes, 1);
  wasm_v128_store32_lane(to + 2 * GROUP * TILE, codes, 2);
  wasm_v128_store32_lane(to + 3 * GROUP * TILE, codes, 3);
}

/* Eight weights of one column to their places in a panel. */
INLINE void put_column(weight_t *to, const int8_t *from) {
  v128 wide = wasm_i16x8_load8x8(from);
  wasm_v128_store32_lane(to, wide, 0);
  wasm_v128_store32_lane(to + GROUP * PANEL, wide, 1);
  wasm_v128_store32_lane(to + 2 * GROUP * PANEL, wide, 2);
  wasm_v128_store32_lane(to + 3 * GROUP * PANEL, wide, 3);
}

/* One weight of each of eight columns, from GROUP rows, as one group of a panel. */
INLINE void put_group(weight_t *to, const int8_t *const rows[GROUP]) {
  v128 a = wasm_i16x8_load8x8(rows[0]), b = wasm_i16x8_load8x8(rows[1]);
  store(to, wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  store(to + 8, wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15));
}

#endif

/* Elements of a tile of rows of `length` codes; the functions above write whole vectors of eight codes of a row. */
INLINE size_t tile_elements(int32_t length) { return ((size_t)length + 7) / 8 * 8 * TILE; }

/* Row i of a tile times the 8 columns of a group; `x` points to the tile's group, w0 and w1 hold the columns. */
#define MULTIPLY_ROW(x, i, a0, a1)                                \
  do {                                                            \
    const v128 codes = wasm_v128_load32_splat((x) + GROUP * (i)); \
    a0 = multiply_add(a0, codes, w0);                             \
    a1 = multiply_add(a1, codes, w1);                             \
  } while (0)

enum { GROUP_WEIGHTS = GROUP * PANEL, GROUP_CODES = GROUP * TILE };

#ifdef __wasm_relaxed_simd__
#define MULTIPLY_LAST_ROWS(x) \
  MULTIPLY_ROW(x, 4, e0, e1); \
  MULTIPLY_ROW(x, 5, f0, f1)
#else
#define MULTIPLY_LAST_ROWS(x)
#endif

/* A group of all rows of a tile. */
#define MULTIPLY_GROUP(x, w)                                     \
  do {                                                           \
    const v128 w0 = load(w), w1 = load((w) + GROUP_WEIGHTS / 2); \
    MULTIPLY_ROW(x, 0, a0, a1);                                  \
    MULTIPLY_ROW(x, 1, b0, b1);                                  \
    MULTIPLY_ROW(x, 2, c0, c1);                                  \
    MULTIPLY_ROW(x, 3, d0, d1);                                  \
    MULTIPLY_LAST_ROWS(x);                                       \
  } while (0)

/* sums[2i + j] = start[4j] to [4j + 3] + row i . columns 4j to 4j + 3, over `groups` >= 1 groups of elements. */
INLINE void multiply_tile(v128 sums[2 * TILE], const code_t *x, int32_t groups, const weight_t *w,
                          const int32_t *start) {
  v128 a0 = load(start), a1 = load(start + 4), b0 = a0, b1 = a1, c0 = a0, c1 = a1, d0 = a0, d1 = a1;
  const weight_t *end = w + (size_t)groups * GROUP_WEIGHTS;
#ifdef __wasm_relaxed_simd__
  v128 e0 = a0, e1 = a1, f0 = a0, f1 = a1;
#endif
  /*
   * Two groups a round, as engines look for interrupts once a round, with a way out between them: they gather the loads
   * of a basic block at its beginning, and those of two groups need more registers than there are.
   */
  const weight_t *last = end - GROUP_WEIGHTS;
#pragma clang loop unroll(disable)
  for (;;) {
    MULTIPLY_GROUP(x, w);
    if (w == last) break;
    MULTIPLY_GROUP(x + GROUP_CODES, w + GROUP_WEIGHTS);
    x += 2 * GROUP_CODES, w += 2 * GROUP_WEIGHTS;
    if (w == end) break;
  }
#ifdef __wasm_relaxed_simd__
  sums[8] = e0, sums[9] = e1, sums[10] = f0, sums[11] = f1;
#endif
  sums[0] = a0, sums[1] = a1, sums[2] = b0, sums[3] = b1, sums[4] = c0, sums[5] = c1, sums[6] = d0, sums[7] = d1;
}

#endif
