/* NEON with the dot-product extension: Armv8.2 and later. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "../arith.h"

#define LANES 4
#define TILE_ROWS 4
#define GROUP 4
#define GROUP_STEP 4
/* Both operands of the dot product are signed. */
#define CODE_OFFSET 128
typedef int8_t weight_t;
typedef uint8_t code_t;

typedef int32x4_t vec;
#define FN static inline __attribute__((always_inline))

FN vec load(const void *p) { return vld1q_s32(p); }
FN void store(void *p, vec v) { vst1q_s32(p, v); }
FN vec load_i16(const int16_t *p) { return vmovl_s16(vld1_s16(p)); }
FN vec set1(int32_t v) { return vdupq_n_s32(v); }
FN vec add(vec a, vec b) { return vaddq_s32(a, b); }
FN vec sub(vec a, vec b) { return vsubq_s32(a, b); }
FN vec mullo(vec a, vec b) { return vmulq_s32(a, b); }
FN vec min(vec a, vec b) { return vminq_s32(a, b); }
FN vec max(vec a, vec b) { return vmaxq_s32(a, b); }
FN vec abs_of(vec v) { return vabsq_s32(v); }
FN vec shift_left(vec v, int32_t count) { return vshlq_s32(v, vdupq_n_s32(count)); }
FN vec shift_right(vec v, int32_t count) { return vshlq_s32(v, vdupq_n_s32(-count)); }
FN vec shift_right_each(vec v, vec counts) { return vshlq_s32(v, vnegq_s32(counts)); }
FN int32_t reduce_max(vec v) { return vmaxvq_s32(v); }
FN int32_t reduce_add(vec v) { return vaddvq_s32(v); }

/* 64-bit numbers that belong to the lower and to the upper lanes. */
typedef struct {
  int64x2_t low, high;
} wide;
#define OFFSET_SLOT(i) (i)

FN vec low_halves(wide w) { return vuzp1q_s32(vreinterpretq_s32_s64(w.low), vreinterpretq_s32_s64(w.high)); }
FN vec high_halves(wide w) { return vuzp2q_s32(vreinterpretq_s32_s64(w.low), vreinterpretq_s32_s64(w.high)); }
FN wide multiply(vec a, vec b) { return (wide){vmull_s32(vget_low_s32(a), vget_low_s32(b)), vmull_high_s32(a, b)}; }
FN wide load_wide(const int64_t *p) { return (wide){vld1q_s64(p), vld1q_s64(p + 2)}; }
FN wide wide_zero(void) { return (wide){vdupq_n_s64(0), vdupq_n_s64(0)}; }
FN vec mul_high(vec a, vec b) { return high_halves(multiply(a, b)); }
FN vec mul_add_high(vec a, vec b, wide offset) {
  return high_halves(
      (wide){vmlal_s32(offset.low, vget_low_s32(a), vget_low_s32(b)), vmlal_high_s32(offset.high, a, b)});
}
FN vec mul_shift(vec a, vec b, int32_t count) {
  wide p = multiply(a, b);
  int64x2_t c = vdupq_n_s64(-count);
  return low_halves((wide){vshlq_s64(p.low, c), vshlq_s64(p.high, c)});
}
FN int64x2_t long_shift(int64x2_t high, int64x2_t low, const ivit_share *s) {
  int64x2_t sum = vaddq_s64(vaddq_s64(vshlq_n_s64(high, 31), low), vdupq_n_s64(s->add));
  return vshlq_s64(sum, vdupq_n_s64(-s->shift));
}
FN vec mul_long_shift(vec e, const ivit_share *s) {
  wide high = multiply(e, set1(s->high)), low = multiply(e, set1(s->low));
  return low_halves((wide){long_shift(high.low, low.low, s), long_shift(high.high, low.high, s)});
}
FN int32x2_t divide_long(int64x2_t high, int64x2_t low, const ivit_divisor *d) {
  int64x2_t carried = vshrq_n_s64(vaddq_s64(low, vdupq_n_s64(d->add_low)), 26);
  int64x2_t sum = vaddq_s64(vaddq_s64(high, vdupq_n_s64(d->add_high)), carried);
  return vqmovn_s64(vshlq_s64(sum, vdupq_n_s64(-d->shift)));
}
FN vec divide_lanes(vec a, const ivit_divisor *d) {
  wide high = multiply(a, set1(d->high)), low = multiply(a, set1(d->low));
  return vcombine_s32(divide_long(high.low, low.low, d), divide_long(high.high, low.high, d));
}
FN wide add_squares(wide sum, vec v) {
  return (wide){vmlal_s32(sum.low, vget_low_s32(v), vget_low_s32(v)), vmlal_high_s32(sum.high, v, v)};
}
FN uint64_t reduce_wide(wide w) { return (uint64_t)vaddvq_s64(vaddq_s64(w.low, w.high)); }

/* lanes/depthwise.h: one line at a time. */
enum { MAP_LINES = 1 };
typedef struct {
  vec v[4];
} map_sums;
typedef struct {
  int16x8_t w[2];
} map_weights;
FN void lay_lines(int16_t *to, const int16_t *a, const int16_t *b) {
  (void)b;
  vst1q_s16(to, vld1q_s16(a));
  vst1q_s16(to + 8, vld1q_s16(a + 8));
}
FN map_weights load_weights(const int16_t *w) { return (map_weights){{vld1q_s16(w), vld1q_s16(w + 8)}}; }
FN map_sums add_products(map_sums s, const int16_t *x, map_weights w) {
  int16x8_t low = vld1q_s16(x), high = vld1q_s16(x + 8);
  return (map_sums){{vmlal_s16(s.v[0], vget_low_s16(low), vget_low_s16(w.w[0])), vmlal_high_s16(s.v[1], low, w.w[0]),
                     vmlal_s16(s.v[2], vget_low_s16(high), vget_low_s16(w.w[1])),
                     vmlal_high_s16(s.v[3], high, w.w[1])}};
}
FN void order_sums(map_sums *s) { (void)s; }

FN vec look_up(const int32_t *table, vec index) {
  int32_t entries[LANES] = {table[vgetq_lane_s32(index, 0)], table[vgetq_lane_s32(index, 1)],
                            table[vgetq_lane_s32(index, 2)], table[vgetq_lane_s32(index, 3)]};
  return load(entries);
}

/* Entries i and i + 1, which one load of 64 bits brings. */
FN void look_up_pair(const int32_t *table, vec index, vec *base, vec *next) {
  int32x4_t low = vcombine_s32(vld1_s32(table + vgetq_lane_s32(index, 0)), vld1_s32(table + vgetq_lane_s32(index, 1)));
  int32x4_t high = vcombine_s32(vld1_s32(table + vgetq_lane_s32(index, 2)), vld1_s32(table + vgetq_lane_s32(index, 3)));
  *base = vuzp1q_s32(low, high);
  *next = vuzp2q_s32(low, high);
}

FN int16x8_t words_of(const vec v[2]) { return vcombine_s16(vqmovn_s32(v[0]), vqmovn_s32(v[1])); }
FN void store_bytes_u8(void *p, const vec v[4], int32_t zero) {
  int16x8_t z = vdupq_n_s16((int16_t)zero);
  uint8x8_t low = vqmovun_s16(vqaddq_s16(words_of(v), z)), high = vqmovun_s16(vqaddq_s16(words_of(v + 2), z));
  vst1q_u8(p, vcombine_u8(low, high));
}
FN void store_bytes_i8(void *p, const vec v[4]) {
  int8x16_t bytes = vcombine_s8(vqmovn_s16(words_of(v)), vqmovn_s16(words_of(v + 2)));
  vst1q_s8(p, vmaxq_s8(bytes, vdupq_n_s8(-127)));
}
FN void store_words(void *p, const vec v[4]) {
  const int16x8_t least = vdupq_n_s16(-32767);
  vst1q_s16(p, vmaxq_s16(words_of(v), least));
  vst1q_s16((int16_t *)p + 8, vmaxq_s16(words_of(v + 2), least));
}

/* 4 rows by 16 columns: 16 sums, 4 rows of codes, 4 vectors of weights. */
static void multiply_tile(int32_t sums[TILE_ROWS][16], const code_t *const rows[TILE_ROWS], int32_t groups,
                          const weight_t *w, const int32_t *start) {
  vec s[TILE_ROWS][4];
  for (int i = 0; i < TILE_ROWS; i++) {
    for (int j = 0; j < 4; j++) s[i][j] = load(start + 4 * j);
  }
  const uint8x16_t flip = vdupq_n_u8(128);
  const code_t *x0 = rows[0], *x1 = rows[1], *x2 = rows[2], *x3 = rows[3];
  for (int32_t g = 0; g < groups; g += GROUP_STEP) {
    int8x16_t a0 = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x0 + 4 * g), flip));
    int8x16_t a1 = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x1 + 4 * g), flip));
    int8x16_t a2 = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x2 + 4 * g), flip));
    int8x16_t a3 = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x3 + 4 * g), flip));
#define ADD_GROUP(lane)                              \
  for (int j = 0; j < 4; j++, w += 16) {             \
    int8x16_t b = vld1q_s8(w);                       \
    s[0][j] = vdotq_laneq_s32(s[0][j], b, a0, lane); \
    s[1][j] = vdotq_laneq_s32(s[1][j], b, a1, lane); \
    s[2][j] = vdotq_laneq_s32(s[2][j], b, a2, lane); \
    s[3][j] = vdotq_laneq_s32(s[3][j], b, a3, lane); \
  }
    ADD_GROUP(0)
    ADD_GROUP(1)
    ADD_GROUP(2)
    ADD_GROUP(3)
#undef ADD_GROUP
  }
  for (int i = 0; i < TILE_ROWS; i++) {
    for (int j = 0; j < 4; j++) store(sums[i] + 4 * j, s[i][j]);
  }
}

/* Pairs of 16-bit numbers: 6 rows by 16 columns. */
#define PAIR_ROWS 6
static void multiply_pairs(int32_t sums[PAIR_ROWS][16], const int16_t *const rows[PAIR_ROWS], int32_t pairs,
                           const int16_t *w, int32_t width) {
  (void)width;
  vec s[PAIR_ROWS][4];
  for (int i = 0; i < PAIR_ROWS; i++)
    for (int j = 0; j < 4; j++) s[i][j] = set1(0);
  for (int32_t p = 0; p < pairs; p++, w += 32) {
    int16x8_t b[4];
    for (int j = 0; j < 4; j++) b[j] = vld1q_s16(w + 8 * j);
    for (int i = 0; i < PAIR_ROWS; i++) {
      int32_t pair;
      memcpy(&pair, rows[i] + 2 * p, sizeof pair);
      int16x8_t x = vreinterpretq_s16_s32(set1(pair));
      for (int j = 0; j < 4; j++) {
        int32x4_t low = vmull_s16(vget_low_s16(b[j]), vget_low_s16(x)), high = vmull_high_s16(b[j], x);
        s[i][j] = add(s[i][j], vpaddq_s32(low, high));
      }
    }
  }
  for (int i = 0; i < PAIR_ROWS; i++)
    for (int j = 0; j < 4; j++) store(sums[i] + 4 * j, s[i][j]);
}

#define ISA_NAME "neon-dot"
#define ISA_TABLE ivit_isa_neon_dot
#include "../lanes/lanes.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
