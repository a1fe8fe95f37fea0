/* The vectors of lanes/lanes.h as AVX2's: 8 lanes of 32 bits. */
#ifndef IVIT_AVX2_LANES_H
#define IVIT_AVX2_LANES_H

#include <immintrin.h>
#include <stdint.h>

#include "../arith.h"

#define LANES 8
#define TILE_ROWS 6

typedef __m256i vec;
#define FN static inline __attribute__((always_inline))

FN vec load(const void *p) { return _mm256_loadu_si256(p); }
FN void store(void *p, vec v) { _mm256_storeu_si256(p, v); }
FN vec load_i16(const int16_t *p) { return _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)p)); }
FN vec set1(int32_t v) { return _mm256_set1_epi32(v); }
FN vec add(vec a, vec b) { return _mm256_add_epi32(a, b); }
FN vec sub(vec a, vec b) { return _mm256_sub_epi32(a, b); }
FN vec mullo(vec a, vec b) { return _mm256_mullo_epi32(a, b); }
FN vec min(vec a, vec b) { return _mm256_min_epi32(a, b); }
FN vec max(vec a, vec b) { return _mm256_max_epi32(a, b); }
FN vec abs_of(vec v) { return _mm256_abs_epi32(v); }
FN vec shift_left(vec v, int32_t count) { return _mm256_sll_epi32(v, _mm_cvtsi32_si128(count)); }
FN vec shift_right(vec v, int32_t count) { return _mm256_sra_epi32(v, _mm_cvtsi32_si128(count)); }
FN vec shift_right_each(vec v, vec counts) { return _mm256_srlv_epi32(v, counts); }

FN int32_t reduce_max(vec v) {
  __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
  m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
  return _mm_cvtsi128_si32(m);
}
FN int32_t reduce_add(vec v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  return _mm_cvtsi128_si32(s);
}

/* 64-bit numbers that belong to the even and to the odd lanes. */
typedef struct {
  __m256i even, odd;
} wide;
#define OFFSET_SLOT(i) ((i) % 2 * (LANES / 2) + (i) / 2)

FN vec odd_lanes(vec v) { return _mm256_srli_epi64(v, 32); }
FN vec high_halves(__m256i even, __m256i odd) { return _mm256_blend_epi32(odd_lanes(even), odd, 0xaa); }
FN vec low_halves(__m256i even, __m256i odd) { return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa); }
FN wide multiply(vec a, vec b) { return (wide){_mm256_mul_epi32(a, b), _mm256_mul_epi32(odd_lanes(a), odd_lanes(b))}; }
FN wide load_wide(const int64_t *p) { return (wide){load(p), load(p + 4)}; }
FN wide wide_zero(void) { return (wide){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
FN wide wide_sum(wide a, wide b) { return (wide){_mm256_add_epi64(a.even, b.even), _mm256_add_epi64(a.odd, b.odd)}; }
FN vec mul_high(vec a, vec b) {
  wide p = multiply(a, b);
  return high_halves(p.even, p.odd);
}
FN vec mul_add_high(vec a, vec b, wide offset) {
  wide p = wide_sum(multiply(a, b), offset);
  return high_halves(p.even, p.odd);
}
/* The bits that a logical shift brings in from the left do not reach the low halves. */
FN vec mul_shift(vec a, vec b, int32_t count) {
  wide p = multiply(a, b);
  __m128i c = _mm_cvtsi32_si128(count);
  return low_halves(_mm256_srl_epi64(p.even, c), _mm256_srl_epi64(p.odd, c));
}
FN vec mul_long_shift(vec e, const ivit_share *s) {
  wide high = multiply(e, set1(s->high)), low = multiply(e, set1(s->low));
  const __m256i plus = _mm256_set1_epi64x(s->add);
  const __m128i c = _mm_cvtsi32_si128(s->shift);
  __m256i even = _mm256_add_epi64(_mm256_add_epi64(_mm256_slli_epi64(high.even, 31), low.even), plus);
  __m256i odd = _mm256_add_epi64(_mm256_add_epi64(_mm256_slli_epi64(high.odd, 31), low.odd), plus);
  return low_halves(_mm256_srl_epi64(even, c), _mm256_srl_epi64(odd, c));
}
FN __m256i divide_long(__m256i high, __m256i low, const ivit_divisor *d) {
  const __m256i most = _mm256_set1_epi64x(INT32_MAX);
  __m256i carried = _mm256_srli_epi64(_mm256_add_epi64(low, _mm256_set1_epi64x(d->add_low)), 26);
  __m256i sum = _mm256_add_epi64(_mm256_add_epi64(high, _mm256_set1_epi64x(d->add_high)), carried);
  sum = _mm256_srl_epi64(sum, _mm_cvtsi32_si128(d->shift));
  return _mm256_blendv_epi8(sum, most, _mm256_cmpgt_epi64(sum, most));
}
FN vec divide_lanes(vec a, const ivit_divisor *d) {
  wide high = multiply(a, set1(d->high)), low = multiply(a, set1(d->low));
  return low_halves(divide_long(high.even, low.even, d), divide_long(high.odd, low.odd, d));
}
FN wide add_squares(wide sum, vec v) { return wide_sum(sum, multiply(v, v)); }
FN uint64_t reduce_wide(wide w) {
  uint64_t parts[4];
  store(parts, _mm256_add_epi64(w.even, w.odd));
  return parts[0] + parts[1] + parts[2] + parts[3];
}

/* lanes/depthwise.h: pairs of products; unpacking leaves every 4 of 8 channels in each half. */
enum { MAP_LINES = 2 };
typedef struct {
  vec v[2];
} map_sums;
typedef map_sums map_weights;
FN void lay_lines(int16_t *to, const int16_t *a, const int16_t *b) {
  __m256i x = load(a), y = load(b);
  store(to, _mm256_unpacklo_epi16(x, y));
  store(to + 16, _mm256_unpackhi_epi16(x, y));
}
FN map_weights load_weights(const int16_t *w) { return (map_weights){{load(w), load(w + 16)}}; }
FN map_sums add_products(map_sums s, const int16_t *x, map_weights w) {
  return (map_sums){{_mm256_add_epi32(s.v[0], _mm256_madd_epi16(w.v[0], load(x))),
                     _mm256_add_epi32(s.v[1], _mm256_madd_epi16(w.v[1], load(x + 16)))}};
}
FN void order_sums(map_sums *s) {
  vec low = s->v[0], high = s->v[1];
  s->v[0] = _mm256_permute2x128_si256(low, high, 0x20);
  s->v[1] = _mm256_permute2x128_si256(low, high, 0x31);
}

FN vec look_up(const int32_t *table, vec index) { return _mm256_i32gather_epi32(table, index, 4); }

/* Entries i and i + 1, which one load of 64 bits brings. */
FN void look_up_pair(const int32_t *table, vec index, vec *base, vec *next) {
  const void *pairs = table;
  __m256 low = _mm256_castsi256_ps(_mm256_i32gather_epi64(pairs, _mm256_castsi256_si128(index), 4));
  __m256 high = _mm256_castsi256_ps(_mm256_i32gather_epi64(pairs, _mm256_extracti128_si256(index, 1), 4));
  *base = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88)), 0xd8);
  *next = _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd)), 0xd8);
}

FN __m256i words_of(const vec v[2]) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[1]), 0xd8); }
/* Each half packed within itself: its 8 bytes are qwords 0 and 2. */
FN void store_packed(void *p, __m256i bytes) {
  _mm_storeu_si128(p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(bytes, 0x08)));
}
FN void store_bytes_u8(void *p, const vec v[2], int32_t zero) {
  __m256i words = _mm256_adds_epi16(words_of(v), _mm256_set1_epi16((int16_t)zero));
  store_packed(p, _mm256_packus_epi16(words, words));
}
FN void store_bytes_i8(void *p, const vec v[2]) {
  __m256i words = words_of(v);
  store_packed(p, _mm256_max_epi8(_mm256_packs_epi16(words, words), _mm256_set1_epi8(-127)));
}
FN void store_words(void *p, const vec v[2]) { store(p, _mm256_max_epi16(words_of(v), _mm256_set1_epi16(-32767))); }

/*
 * The loop of the register tile: 6 rows by 2 vectors of 8 columns, in assembly for the same reason as AVX-512's. ymm0
 * and ymm1 hold the weights of a group, ymm2 the codes of one row; STEP multiplies and adds.
 */
#define TILE_ROW(STEP, pointer, i) \
  "vpbroadcastd (%%" pointer ",%%rax), %%ymm2\n" STEP("%%ymm0", "%[a" i "]") STEP("%%ymm1", "%[b" i "]")
#define TILE_START(i) "vmovdqu (%[start]), %[a" i "]\n vmovdqu 32(%[start]), %[b" i "]\n"
#define MULTIPLY_TILE_LOOP(STEP) \
  __asm__ volatile(                                                                                                 \
      TILE_START("0") TILE_START("1") TILE_START("2") TILE_START("3") TILE_START("4") TILE_START("5")               \
      "mov (%[x]), %%r8\n mov 8(%[x]), %%r9\n mov 16(%[x]), %%r10\n"                                                \
      "mov 24(%[x]), %%r11\n mov 32(%[x]), %%r12\n mov 40(%[x]), %%r13\n"                                           \
      "xor %%eax, %%eax\n"                                                                                          \
      ".p2align 5\n"                                                                                                \
      "0:\n vmovdqu (%[w]), %%ymm0\n vmovdqu 32(%[w]), %%ymm1\n"                                                    \
      TILE_ROW(STEP, "r8", "0") TILE_ROW(STEP, "r9", "1") TILE_ROW(STEP, "r10", "2")                                  \
      TILE_ROW(STEP, "r11", "3") TILE_ROW(STEP, "r12", "4") TILE_ROW(STEP, "r13", "5")                                \
      "add $64, %[w]\n add $4, %%rax\n cmp %[end], %%rax\n jne 0b\n"                                                \
      : [a0] "=&x"(a[0]), [b0] "=&x"(b[0]), [a1] "=&x"(a[1]), [b1] "=&x"(b[1]), [a2] "=&x"(a[2]), [b2] "=&x"(b[2]), \
        [a3] "=&x"(a[3]), [b3] "=&x"(b[3]), [a4] "=&x"(a[4]), [b4] "=&x"(b[4]), [a5] "=&x"(a[5]), [b5] "=&x"(b[5]), \
        [w] "+r"(w)                                                                                                 \
      : [start] "r"(start), [x] "r"(rows), [end] "r"((size_t)groups * 4)                                            \
      : "rax", "r8", "r9", "r10", "r11", "r12", "r13", "xmm0", "xmm1", "xmm2", "xmm3", "memory", "cc")

/* Pairs of 16-bit numbers. */
#define PAIR_STEP(weights, sum) "vpmaddwd " weights ", %%ymm2, %%ymm3\n vpaddd %%ymm3, " sum ", " sum "\n"
#define PAIR_ROWS TILE_ROWS
static void multiply_pairs(int32_t sums[PAIR_ROWS][16], const int16_t *const rows[PAIR_ROWS], int32_t groups,
                           const int16_t *w, int32_t width) {
  (void)width;
  static const int32_t start[16];
  vec a[PAIR_ROWS], b[PAIR_ROWS];
  MULTIPLY_TILE_LOOP(PAIR_STEP);
  for (int i = 0; i < PAIR_ROWS; i++) {
    store(sums[i], a[i]);
    store(sums[i] + LANES, b[i]);
  }
}

/* For each table: `rows` are of its code_t, `w` of its weight_t. */
#define DEFINE_MULTIPLY_TILE                                                                                  \
  static void multiply_tile(int32_t sums[TILE_ROWS][16], const code_t *const rows[TILE_ROWS], int32_t groups, \
                            const weight_t *w, const int32_t *start) {                                        \
    vec a[TILE_ROWS], b[TILE_ROWS];                                                                           \
    MULTIPLY_TILE_LOOP(STEP);                                                                                 \
    for (int i = 0; i < TILE_ROWS; i++) {                                                                     \
      store(sums[i], a[i]);                                                                                   \
      store(sums[i] + LANES, b[i]);                                                                           \
    }                                                                                                         \
  }

#endif
