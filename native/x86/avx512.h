/*
 * Shared by the AVX-512 VNNI kernels: the GEMM's register tile and 512-bit forms of the scalar arithmetic in arith.h.
 * Needs F, BW, DQ, VL and VNNI: Cascade Lake, Ice Lake, Zen 4 and later.
 */
#ifndef IVIT_AVX512_H
#define IVIT_AVX512_H

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

#include <immintrin.h>
#include <string.h>

#include "../arith.h"

#define INLINE static inline __attribute__((always_inline))

/* Unrolls a loop over registers: an array indexed by a variable would live in memory. */
#define UNROLL_ROWS _Pragma("GCC unroll 6")
#define UNROLL_VECTORS _Pragma("GCC unroll 4")

/*
 * Keeps loads of constants where they are written. Hoisted out of a loop they would take registers that hold
 * accumulators, and accumulators would be spilled instead.
 */
#define KEEP_LOADS_HERE __asm__ volatile("" ::: "memory")

/* The register tile: 6 rows by up to 4 vectors of 16 columns: 24 accumulators, 4 weights, 1 broadcast. */
enum { TILE_ROWS = 6, TILE_VECTORS = 4, TILE_COLS = 64 };

typedef __m512i tile[TILE_ROWS][TILE_VECTORS];

/* Pointers to the rows of a tile; those past the last row repeat it (their result is not stored). */
typedef struct {
  const uint8_t *row[TILE_ROWS];
} tile_rows;

INLINE tile_rows tile_rows_at(const uint8_t *x, size_t stride, int32_t rows) {
  tile_rows t;
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) t.row[i] = x + (size_t)(i < rows ? i : rows - 1) * stride;
  return t;
}

/* u8 x i8. In assembly and volatile, for the order of instructions: left to itself, GCC loads all rows of x ahead and
 * spills accumulators, which halves the speed. */
#define MULTIPLY_ADD(acc, u8, i8) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u8), "v"(i8))
#define BROADCAST(v, from) __asm__ volatile("vpbroadcastd %1, %0" : "=v"(v) : "m"(*(const int32_t *)(from)))

/*
 * acc[i][j] += sum_k x[i][k]*w[k][16j + lane], 4 values of k at a time: `w` is [groups][vectors*16][4].
 * groups >= 1.
 */
INLINE void tile_multiply(tile acc, const tile_rows *x, int32_t groups, const int8_t *w, const int vectors) {
  const uint8_t *x0 = x->row[0], *x1 = x->row[1], *x2 = x->row[2];
  const uint8_t *x3 = x->row[3], *x4 = x->row[4], *x5 = x->row[5];
  size_t k = 0, end = (size_t)groups * 4;
  do {
    __m512i b[TILE_VECTORS], a;
    UNROLL_VECTORS for (int j = 0; j < vectors; j++) b[j] = _mm512_loadu_si512(w + 64 * j);
#define TILE_ROW(i, from)                                                                  \
  BROADCAST(a, (from) + k);                                                                \
  UNROLL_VECTORS for (int j = 0; j < vectors; j++) MULTIPLY_ADD(acc[i][j], a, b[j]);
    TILE_ROW(0, x0)
    TILE_ROW(1, x1)
    TILE_ROW(2, x2)
    TILE_ROW(3, x3)
    TILE_ROW(4, x4)
    TILE_ROW(5, x5)
#undef TILE_ROW
    w += 64 * vectors;
    k += 4;
  } while (k != end);
}

/* Odd elements moved to the even places, where 64-bit products are taken from. */
INLINE __m512i odd(__m512i v) { return _mm512_shuffle_epi32(v, _MM_PERM_DDBB); }

/* The low halves of eight 64-bit results for the even elements and eight for the odd ones, in order again. */
INLINE __m512i join_low(__m512i even, __m512i odd_results) {
  return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd_results, _MM_PERM_CCAA);
}
/* The high halves. */
INLINE __m512i join_high(__m512i even, __m512i odd_results) {
  return _mm512_mask_shuffle_epi32(odd_results, 0x5555, even, _MM_PERM_DDBB);
}

INLINE __m512i clamp_i32(__m512i v, int32_t limit) {
  return _mm512_max_epi32(_mm512_min_epi32(v, _mm512_set1_epi32(limit)), _mm512_set1_epi32(-limit));
}

/*
 * How (v*b[n] + 2^(c-1)) >> c is computed without an offset.
 * - NARROW: v*b + 2^(c-1) is proven to fit 32 bits;
 * - HIGH: b and c are brought to c >= 33; as 2^(c-1) is then a multiple of 2^32, floors nest and it is
 *   (high32(v*b) + 2^(c-33)) >> (c - 32);
 * - WIDE: neither: 64-bit shifts.
 */
typedef enum { NARROW, HIGH, WIDE } requantize_path;

typedef struct {
  __m512i round;
  __m128i shift;
  requantize_path path;
  int32_t scale; /* HIGH: b is multiplied by 2^scale */
} requantize_plan;

/* `bound`: max over n of |v|*|b[n]|; `largest`: max |b[n]|. */
INLINE requantize_plan plan_requantize(int64_t bound, int64_t largest, int32_t shift) {
  requantize_plan plan;
  plan.scale = ivit_max(0, 33 - shift);
  if (shift >= 1 && shift <= 31 && bound + ivit_half(shift) < (int64_t)1 << 31) {
    plan.path = NARROW;
    plan.scale = 0;
    plan.round = _mm512_set1_epi32((int32_t)ivit_half(shift));
    plan.shift = _mm_cvtsi32_si128(shift);
  } else if (shift >= 1 && largest < ((int64_t)1 << 31) >> plan.scale) {
    int32_t c = shift + plan.scale;
    plan.path = HIGH;
    plan.round = _mm512_set1_epi32(1 << (c - 33));
    plan.shift = _mm_cvtsi32_si128(c - 32);
  } else {
    plan.path = WIDE;
    plan.scale = 0;
    plan.round = _mm512_set1_epi64(ivit_half(shift));
    plan.shift = _mm_cvtsi32_si128(shift);
  }
  return plan;
}

INLINE __m512i requantize_narrow(__m512i v, __m512i b, __m512i round, __m128i shift) {
  return _mm512_sra_epi32(_mm512_add_epi32(_mm512_mullo_epi32(v, b), round), shift);
}

INLINE __m512i requantize_high(__m512i v, __m512i b, __m512i b_odd, __m512i round, __m128i shift) {
  __m512i high = join_high(_mm512_mul_epi32(v, b), _mm512_mul_epi32(odd(v), b_odd));
  return _mm512_sra_epi32(_mm512_add_epi32(high, round), shift);
}

INLINE int64_t largest_multiplier(const int32_t *multiplier, int32_t n) {
  int64_t largest = 0;
  for (int32_t i = 0; i < n; i++) {
    int64_t b = multiplier[i];
    largest = b > largest ? b : -b > largest ? -b : largest;
  }
  return largest;
}

/* 64 requantized values to codes, in order; no clamp but the type's. */
INLINE __m512i pack_words(__m512i a, __m512i b) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), _mm512_packs_epi32(a, b));
}
INLINE __m512i in_order(__m512i packed_bytes) {
  const __m512i index = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(index, packed_bytes);
}
INLINE __m512i pack_i8(const __m512i v[4]) {
  __m512i words0 = _mm512_packs_epi32(v[0], v[1]), words1 = _mm512_packs_epi32(v[2], v[3]);
  return _mm512_max_epi8(in_order(_mm512_packs_epi16(words0, words1)), _mm512_set1_epi8(-127));
}
/* `zero`: 16-bit lanes. Saturation to 16 bits before the zero point is added changes no result. */
INLINE __m512i pack_u8(const __m512i v[4], __m512i zero) {
  __m512i words0 = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), zero);
  __m512i words1 = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), zero);
  return in_order(_mm512_packus_epi16(words0, words1));
}

/* The first n of 64 / 32 / 16 lanes. */
INLINE __mmask64 first64(int32_t n) { return n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1; }
INLINE __mmask32 first32(int32_t n) { return n >= 32 ? ~(__mmask32)0 : n <= 0 ? 0 : ((__mmask32)1 << n) - 1; }
INLINE __mmask16 first16(int32_t n) { return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1 << n) - 1); }

/*
 * Stores 64 values r, the first `count` of them, as elements of `out` of the type given (IVIT_ROWS: u-hat), with its
 * clamp. `zero`: 16-bit lanes.
 */
INLINE void store_values(const ivit_type type, const __m512i v[4], __m512i zero, void *out, int32_t count) {
  switch (type) {
    case IVIT_U8:
    case IVIT_I8: {
      __m512i codes = type == IVIT_U8 ? pack_u8(v, zero) : pack_i8(v);
      if (count >= 64) _mm512_storeu_si512(out, codes);
      else _mm512_mask_storeu_epi8(out, first64(count), codes);
      break;
    }
    case IVIT_I16: {
      const __m512i least = _mm512_set1_epi16(-32767);
      UNROLL_VECTORS for (int j = 0; j < 2; j++) {
        __m512i words = _mm512_max_epi16(pack_words(v[2 * j], v[2 * j + 1]), least);
        if (count >= 64) _mm512_storeu_si512((int16_t *)out + 32 * j, words);
        else _mm512_mask_storeu_epi16((int16_t *)out + 32 * j, first32(count - 32 * j), words);
      }
      break;
    }
    case IVIT_I32:
    case IVIT_ROWS: {
      const int32_t limit = type == IVIT_I32 ? IVIT_WIDE_LIMIT : IVIT_ROW_LIMIT;
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        __m512i r = clamp_i32(v[j], limit);
        if (count >= 64) _mm512_storeu_si512((int32_t *)out + 16 * j, r);
        else _mm512_mask_storeu_epi32((int32_t *)out + 16 * j, first16(count - 16 * j), r);
      }
      break;
    }
  }
}

INLINE size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

/* avx512_linear.c */
size_t ivit_avx512_linear_pack_size(const ivit_linear *op);
void ivit_avx512_linear_pack(const ivit_linear *op, void *packed);
size_t ivit_avx512_linear_scratch(const ivit_linear *op);
void ivit_avx512_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                        const int32_t *x_scale, const int32_t *residual, void *out, void *scratch);
/* avx512_rows.c */
void ivit_avx512_layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                            void *scratch);
void ivit_avx512_activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                            void *scratch);
void ivit_avx512_rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch);
void ivit_avx512_quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale);
void ivit_avx512_add(size_t count, const int32_t *a, const int32_t *b, int32_t *out);
/* avx512_attention.c */
size_t ivit_avx512_attention_pack_size(const ivit_attention *op);
void ivit_avx512_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                const int8_t *v, void *packed);
size_t ivit_avx512_attention_scratch(const ivit_attention *op);
void ivit_avx512_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                           const int8_t *q, const void *packed, void *out, void *scratch);

#endif
