/*
 * Shared by the AVX-512 VNNI kernels: the GEMM's register tile and 512-bit forms of the scalar arithmetic in arith.h.
 * Needs F, BW, DQ, VL and VNNI: Cascade Lake, Ice Lake, Zen 4 and later.
 */
#ifndef IVIT_AVX512_H
#define IVIT_AVX512_H

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

#include <immintrin.h>
#include <string.h>

#include "../requantize.h"

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

/* Written one by one: a struct copied at once would wait for its fields to leave the store queue, and the loop with it.
 */
INLINE void point_to_rows(tile_rows *t, const uint8_t *x, size_t stride, int32_t rows) {
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) t->row[i] = x + (size_t)(i < rows ? i : rows - 1) * stride;
}

/*
 * acc[i][j] = start[16j + lane] + sum_k x[i][k]*w[k][16j + lane], 4 values of k at a time: `w` is
 * [groups][vectors*16][4], groups >= 1.
 *
 * In assembly, because compilers left to themselves load all rows of x ahead and keep accumulators in memory, which
 * halves the speed. zmm0 to zmm3 hold the weights, zmm4 four codes of one row.
 */
#define STEP_1(dot, p, i) "vpbroadcastd (%%" p ",%%rax), %%zmm4\n " dot " %%zmm0, %%zmm4, %[a" i "0]\n"
#define STEP_2(dot, p, i) STEP_1(dot, p, i) dot " %%zmm1, %%zmm4, %[a" i "1]\n"
#define STEP_3(dot, p, i) STEP_2(dot, p, i) dot " %%zmm2, %%zmm4, %[a" i "2]\n"
#define STEP_4(dot, p, i) STEP_3(dot, p, i) dot " %%zmm3, %%zmm4, %[a" i "3]\n"
#define LOAD_1 "vmovdqu64 (%[w]), %%zmm0\n"
#define LOAD_2 LOAD_1 "vmovdqu64 64(%[w]), %%zmm1\n"
#define LOAD_3 LOAD_2 "vmovdqu64 128(%[w]), %%zmm2\n"
#define LOAD_4 LOAD_3 "vmovdqu64 192(%[w]), %%zmm3\n"
#define START_COLUMN(j, offset)                                                                                        \
  "vmovdqu64 " offset "(%[start]), %[a0" j "]\n vmovdqa64 %[a0" j "], %[a1" j "]\n vmovdqa64 %[a0" j "], %[a2" j "]\n" \
  "vmovdqa64 %[a0" j "], %[a3" j "]\n vmovdqa64 %[a0" j "], %[a4" j "]\n vmovdqa64 %[a0" j "], %[a5" j "]\n"
#define START_1 START_COLUMN("0", "")
#define START_2 START_1 START_COLUMN("1", "64")
#define START_3 START_2 START_COLUMN("2", "128")
#define START_4 START_3 START_COLUMN("3", "192")
#define SUM(i, j) [a##i##j] "=&v"(acc[i][j])
#define SUMS_1(i) SUM(i, 0)
#define SUMS_2(i) SUMS_1(i), SUM(i, 1)
#define SUMS_3(i) SUMS_2(i), SUM(i, 2)
#define SUMS_4(i) SUMS_3(i), SUM(i, 3)
#define TILE_MULTIPLY(V, dot)                                                                                         \
  __asm__ volatile(                                                                                                \
      START_##V "mov (%[x]), %%r8\n mov 8(%[x]), %%r9\n mov 16(%[x]), %%r10\n"                                     \
                "mov 24(%[x]), %%r11\n mov 32(%[x]), %%r12\n mov 40(%[x]), %%r13\n"                                \
                "xor %%eax, %%eax\n"                                                                               \
                ".p2align 5\n"                                                                                     \
                "0:\n" LOAD_##V STEP_##V(dot, "r8", "0") STEP_##V(dot, "r9", "1") STEP_##V(dot, "r10", "2")           \
                STEP_##V(dot, "r11", "3") STEP_##V(dot, "r12", "4") STEP_##V(dot, "r13", "5")                         \
                "add $" #V "*64, %[w]\n add $4, %%rax\n cmp %[end], %%rax\n jne 0b\n"                                 \
      : SUMS_##V(0), SUMS_##V(1), SUMS_##V(2), SUMS_##V(3), SUMS_##V(4), SUMS_##V(5), [w] "+r"(w)                  \
      : [start] "r"(start), [x] "r"(x->row), [end] "r"((size_t)groups * 4)                                         \
      : "rax", "r8", "r9", "r10", "r11", "r12", "r13", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "memory", "cc")

INLINE void tile_multiply(tile acc, const int32_t *start, const tile_rows *x, int32_t groups, const int8_t *w,
                          const int vectors) {
  switch (vectors) {
    case 1: TILE_MULTIPLY(1, "vpdpbusd"); break;
    case 2: TILE_MULTIPLY(2, "vpdpbusd"); break;
    case 3: TILE_MULTIPLY(3, "vpdpbusd"); break;
    default: TILE_MULTIPLY(4, "vpdpbusd"); break;
  }
}

/* The same of pairs of 16-bit numbers: x holds i16, `w` is [pairs][vectors*16][2]. */
INLINE void tile_multiply_words(tile acc, const int32_t *start, const tile_rows *x, int32_t groups, const int16_t *w,
                                const int vectors) {
  switch (vectors) {
    case 1: TILE_MULTIPLY(1, "vpdpwssd"); break;
    case 2: TILE_MULTIPLY(2, "vpdpwssd"); break;
    case 3: TILE_MULTIPLY(3, "vpdpwssd"); break;
    default: TILE_MULTIPLY(4, "vpdpwssd"); break;
  }
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
 * A plan's numbers as operands of a tile's epilogue. Shifts by a count for each lane: those by one count for all take
 * the units that multiply (Zen 5) or a shuffle more (Intel).
 */
typedef struct {
  __m512i round, shift, lift;
} requantize_operands;

INLINE requantize_operands operands_of(const requantize_plan *plan) {
  return (requantize_operands){.round = _mm512_set1_epi32(plan->round),
                               .shift = _mm512_set1_epi32(plan->shift),
                               .lift = _mm512_set1_epi32(plan->lift)};
}

/* `b_odd` is only read where path is not NARROW; path is none of WIDE. */
INLINE __m512i requantize(const requantize_path path, __m512i v, __m512i b, const int32_t *b_odd,
                          const requantize_operands *k) {
  if (path == NARROW) return _mm512_srav_epi32(_mm512_add_epi32(_mm512_mullo_epi32(v, b), k->round), k->shift);
  if (path == LIFTED) v = _mm512_sllv_epi32(v, k->lift);
  __m512i high = join_high(_mm512_mul_epi32(v, b), _mm512_mul_epi32(odd(v), _mm512_loadu_si512(b_odd)));
  return _mm512_srav_epi32(_mm512_add_epi32(high, k->round), k->shift);
}

/* 64 requantized values to codes, in order; no clamp but the type's. */
#define ORDER_WORDS _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7)
#define ORDER_BYTES _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
INLINE __m512i pack_words(__m512i a, __m512i b) {
  return _mm512_permutexvar_epi64(ORDER_WORDS, _mm512_packs_epi32(a, b));
}
INLINE __m512i in_order(__m512i packed_bytes) { return _mm512_permutexvar_epi32(ORDER_BYTES, packed_bytes); }
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
      if (count >= 64)
        _mm512_storeu_si512(out, codes);
      else
        _mm512_mask_storeu_epi8(out, first64(count), codes);
      break;
    }
    case IVIT_I16: {
      const __m512i least = _mm512_set1_epi16(-32767);
      UNROLL_VECTORS for (int j = 0; j < 2; j++) {
        __m512i words = _mm512_max_epi16(pack_words(v[2 * j], v[2 * j + 1]), least);
        if (count >= 64)
          _mm512_storeu_si512((int16_t *)out + 32 * j, words);
        else
          _mm512_mask_storeu_epi16((int16_t *)out + 32 * j, first32(count - 32 * j), words);
      }
      break;
    }
    case IVIT_I32:
    case IVIT_ROWS: {
      const int32_t limit = type == IVIT_I32 ? IVIT_WIDE_LIMIT : IVIT_ROW_LIMIT;
      UNROLL_VECTORS for (int j = 0; j < 4; j++) {
        __m512i r = clamp_i32(v[j], limit);
        if (count >= 64)
          _mm512_storeu_si512((int32_t *)out + 16 * j, r);
        else
          _mm512_mask_storeu_epi32((int32_t *)out + 16 * j, first16(count - 16 * j), r);
      }
      break;
    }
  }
}

/* avx512_linear.c */
size_t ivit_avx512_linear_pack_size(const ivit_linear *op);
void ivit_avx512_linear_pack(const ivit_linear *op, void *packed);
size_t ivit_avx512_linear_scratch(const ivit_linear *op);
void ivit_avx512_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                        const int32_t *x_scale, const int32_t *residual, void *out, void *scratch);
/* avx512_rows.c */
size_t ivit_avx512_output_pack_size(int32_t cols);
void ivit_avx512_output_pack(const ivit_output *out, int32_t cols, int64_t limit, void *packed);
void ivit_avx512_layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                            void *scratch);
void ivit_avx512_activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                            void *scratch);
void ivit_avx512_rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch);
void ivit_avx512_quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale);
void ivit_avx512_add(size_t count, const int32_t *a, const int32_t *b, int32_t *out);
/* avx512_algebra.c */
void ivit_avx512_multiply(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                          void *out, int32_t *scale, void *scratch);
void ivit_avx512_divide(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride,
                        void *out, int32_t *scale, void *scratch);
void ivit_avx512_lookup(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                        void *scratch);
void ivit_avx512_softmax(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch);
/* avx512_maps.c */
size_t ivit_avx512_depthwise_pack_size(const ivit_depthwise *op);
void ivit_avx512_depthwise_pack(const ivit_depthwise *op, void *packed);
size_t ivit_avx512_depthwise_scratch(const ivit_depthwise *op);
void ivit_avx512_depthwise(const ivit_depthwise *op, int32_t r0, int32_t r1, const int16_t *x, void *out,
                           int32_t *scale, void *scratch);
void ivit_avx512_mix_rows(const ivit_mix_rows *op, int32_t r0, int32_t r1, const int32_t *x, void *out, int32_t *scale,
                          void *scratch);
/* avx512_matmul.c */
size_t ivit_avx512_matmul_scratch(const ivit_matmul *op);
void ivit_avx512_matmul(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b, void *out,
                        void *scratch);
size_t ivit_avx512_published_pack_size(const ivit_attention *op);
void ivit_avx512_published_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                const int8_t *v, void *packed);
size_t ivit_avx512_published_scratch(const ivit_attention *op);
void ivit_avx512_published(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head, int32_t query0,
                           int32_t query1, const int8_t *q, const void *packed, void *out, void *scratch);
/* avx512_attention.c */
size_t ivit_avx512_attention_pack_size(const ivit_attention *op);
void ivit_avx512_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                const int8_t *v, void *packed);
size_t ivit_avx512_attention_scratch(const ivit_attention *op);
void ivit_avx512_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                           const int8_t *q, const void *packed, void *out, void *scratch);

#endif
