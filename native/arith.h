/* The scalar arithmetic of src/kernels: tails and plain C share it. `>>` on negative numbers is arithmetic (floor) in
 * every compiler this is built with. */
#ifndef IVIT_ARITH_H
#define IVIT_ARITH_H

#include "ivit.h"

static inline int32_t ivit_clamp(int64_t v, int32_t lo, int32_t hi) { return v < lo ? lo : v > hi ? hi : (int32_t)v; }

static inline int32_t ivit_min(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t ivit_max(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t ivit_abs(int32_t a) { return a < 0 ? -a : a; }

/* Bits of v: floor(log2 v) + 1; 0 for 0. */
static inline int32_t ivit_bits(uint64_t v) {
#if defined(__GNUC__)
  return v == 0 ? 0 : 64 - __builtin_clzll(v);
#else
  int32_t bits = 0;
  for (; v != 0; v >>= 1) bits++;
  return bits;
#endif
}

/* 2^(shift-1), the rounding term of a shift right; 0 for shift 0. */
static inline int64_t ivit_half(int32_t shift) { return shift == 0 ? 0 : (int64_t)1 << (shift - 1); }

static inline int64_t ivit_shift_round(int64_t v, int32_t shift) { return (v + ivit_half(shift)) >> shift; }

/*
 * clamp((v*multiplier[n] + 2^(shift-1) + offset[n]) >> shift, lo, hi), no zero point. The product and the whole sum are
 * proven to fit; on the way from one to the other it is added modulo 2^64.
 */
static inline int32_t ivit_requantize(const ivit_output *out, int64_t v, int32_t n) {
  uint64_t sum = (uint64_t)(v * out->multiplier[n]) + (uint64_t)ivit_half(out->shift);
  if (out->offset) sum += (uint64_t)out->offset[n];
  return ivit_clamp((int64_t)sum >> out->shift, out->lo, out->hi);
}

/* Writes requantized r as element i of a buffer of the output's type; IVIT_ROWS: as u-hat. */
static inline void ivit_store(const ivit_output *out, void *data, size_t i, int32_t r) {
  switch (out->type) {
    case IVIT_U8: ((uint8_t *)data)[i] = (uint8_t)(r + out->zero); break;
    case IVIT_I8: ((int8_t *)data)[i] = (int8_t)r; break;
    case IVIT_I16: ((int16_t *)data)[i] = (int16_t)r; break;
    case IVIT_I32:
    case IVIT_ROWS: ((int32_t *)data)[i] = r; break;
  }
}

/*
 * floor(sqrt v), 1 <= v < 2^63: src/kernels/norm.ts, integerSqrt, with four short divisions in place of its loop. Each
 * step doubles the correct bits of the root of v*4^s, 2^62 <= v*4^s < 2^64; the last is within 1 of it.
 */
static inline uint64_t ivit_sqrt(uint64_t v) {
  int32_t s = (64 - ivit_bits(v)) >> 1;
  uint64_t n = v << (2 * s);
  uint32_t u = 1 + (uint32_t)(n >> 62);
  u = (u << 1) + (uint32_t)(n >> 59) / u;
  u = (u << 3) + (uint32_t)(n >> 53) / u;
  u = (u << 7) + (uint32_t)(n >> 41) / u;
  uint64_t root = (((uint64_t)u << 15) + (n >> 17) / u) >> s;
  return root - (root * root > v);
}

/*
 * The mean and the factor of normalizeRow, from sum x and sum x^2 of D values: y = x - mean, y-hat = (y*f) >> t.
 * sum (x - mean)^2 = sum x^2 - mean*(2*sum x - D*mean), below 2^63 at every step.
 */
static inline void ivit_norm_factor(int64_t sum, uint64_t squares, int32_t cols, int32_t center, int64_t epsilon,
                                    int32_t *mean, int32_t *f, int32_t *t) {
  int64_t m = 0;
  if (center) {
    int64_t a = 2 * sum + cols, b = 2 * (int64_t)cols;
    m = a >= 0 ? a / b : -((-a + b - 1) / b);
  }
  uint64_t v = squares - (uint64_t)(m * (2 * sum - cols * m)) + (uint64_t)epsilon;
  uint64_t std = ivit_sqrt(v > 1 ? v : 1);
  int32_t bits = ivit_bits(std);
  uint64_t factor = ((uint64_t)1 << (30 + bits)) / std;
  *mean = (int32_t)m;
  *f = factor > 0x7fffffff ? 0x7fffffff : (int32_t)factor;
  *t = bits;
}

/* H of activate: |x| = a, 0 to 32767. */
static inline int32_t ivit_hump(const int16_t *knots, int32_t spacing, int32_t a) {
  int32_t i = a >> spacing;
  if (i >= IVIT_KNOTS) return 0;
  int32_t r = (a & ((1 << spacing) - 1)) << (15 - spacing);
  return knots[i] + (((knots[i + 1] - knots[i]) * r + (1 << 14)) >> 15);
}

static inline int32_t ivit_scale_score(int32_t s, int32_t multiplier, int32_t shift, int32_t bias) {
  int32_t x = ivit_clamp(ivit_shift_round((int64_t)s * multiplier, shift), -IVIT_SCORE_LIMIT, IVIT_SCORE_LIMIT);
  return ivit_clamp((int64_t)x + bias, -IVIT_SCORE_LIMIT, IVIT_SCORE_LIMIT);
}

/* softmaxDither. */
static inline int32_t ivit_softmax_dither(int32_t query, int32_t key, int32_t bits) {
  return bits > 8 ? 0 : (int32_t)((27 * (uint32_t)query + 39 * (uint32_t)key) & 63) - 32;
}

/* The same for rows of keys: from element (key + 45*query) & 63 on, it is that of `key` and those after it. */
#define IVIT_DITHER(k) ((39 * (k) & 63) - 32)
#define IVIT_DITHERS_8(k)                                                                                             \
  IVIT_DITHER(k), IVIT_DITHER(k + 1), IVIT_DITHER(k + 2), IVIT_DITHER(k + 3), IVIT_DITHER(k + 4), IVIT_DITHER(k + 5), \
      IVIT_DITHER(k + 6), IVIT_DITHER(k + 7)
#define IVIT_DITHERS                                                                                   \
  {IVIT_DITHERS_8(0),  IVIT_DITHERS_8(8),  IVIT_DITHERS_8(16), IVIT_DITHERS_8(24), IVIT_DITHERS_8(32), \
   IVIT_DITHERS_8(40), IVIT_DITHERS_8(48), IVIT_DITHERS_8(56), IVIT_DITHERS_8(64)}
static inline int32_t ivit_dither_at(int32_t query, int32_t key) {
  return (int32_t)((uint32_t)key + 45 * (uint32_t)query) & 63;
}

/* 12-bit weights, where bytes are multiplied, are their upper 8 bits and in a plane of their own the bits below. */
enum { IVIT_LOW_BITS = 4 };

/* softmaxWeight at d = 0. */
static inline int32_t ivit_softmax_most(int32_t bits) { return 255 << (bits - 8); }

/* softmaxMantissa of d below its fixed point. */
static inline int32_t ivit_softmax_mantissa(uint32_t d, int32_t p, ivit_softmax kind) {
  int32_t r = (int32_t)(d & ((1u << p) - 1)) << (14 - p);
  int32_t m = (1 << 14) - (r >> 1);
  return kind == IVIT_SOFTMAX_QUADRATIC ? m - ((((r * ((1 << 14) - r)) >> 14) * 2811 + (1 << 13)) >> 14) : m;
}

/* softmaxWeight: d = max - x >= 0, up to 2^31. */
static inline int32_t ivit_softmax_weight(uint32_t d, int32_t p, ivit_softmax kind, int32_t bits, int32_t dither) {
  if (d >= (uint32_t)16 << p) return 0;
  return (ivit_softmax_most(bits) * ((ivit_softmax_mantissa(d, p, kind) >> (d >> p)) + dither) + (1 << 13)) >> 14;
}

/* The weight of softmaxRow, up to 2^22. */
static inline int32_t ivit_fine_weight(uint32_t d, int32_t p, ivit_softmax kind) {
  if (d >= (uint32_t)22 << p) return 0;
  return (ivit_softmax_mantissa(d, p, kind) << 8) >> (d >> p);
}

/* Weights of a row of softmaxRow; returns their sum. */
static inline uint64_t ivit_weigh_row(const ivit_row_softmax *op, const int32_t *x, int32_t *e) {
  int32_t max = -IVIT_SCORE_LIMIT;
  for (int32_t n = 0; n < op->cols; n++) {
    e[n] = ivit_scale_score(x[n], op->score_multiplier, op->score_shift, 0);
    max = ivit_max(max, e[n]);
  }
  uint64_t sum = 0;
  for (int32_t n = 0; n < op->cols; n++) {
    e[n] = ivit_fine_weight((uint32_t)max - (uint32_t)e[n], op->fraction_bits, op->kind);
    sum += (uint64_t)e[n];
  }
  return sum;
}

/*
 * floor((e*2^16 + floor(s/2)) / s) of weights e, 0 to 2^22, and their sum s, 2^22 to 2^37, without a division for each:
 * it is (e*F + G) >> shift, where t = bits(s), F = ceil(2^(t+39)/s), G = ceil(floor(s/2)*2^(t+23)/s), shift = t + 23.
 * Both are too large by less than 1, which adds less than (e + 1)/2^(t+23) < 1/s: too little to reach the next integer.
 * F = high*2^31 + low.
 */
typedef struct {
  int32_t high, low, shift;
  int64_t add;
} ivit_share;

/* Longest row whose sum stays below 2^37 for certain. */
#define IVIT_SHARED_COLS (1 << 15)

static inline ivit_share ivit_share_of(uint64_t sum) {
  int32_t t = ivit_bits(sum), rest = t - 23;
  uint64_t quotient = ((uint64_t)1 << 62) / sum, remainder = (((uint64_t)1 << 62) - quotient * sum) << rest;
  uint64_t factor = (quotient << rest) + (remainder + sum - 1) / sum;
  uint64_t half = (uint64_t)1 << (t + 22);
  return (ivit_share){.high = (int32_t)(factor >> 31),
                      .low = (int32_t)(factor & 0x7fffffff),
                      .shift = t + 23,
                      .add = (int64_t)(sum & 1 ? half - half / sum : half)};
}

/* divideRounded; any a and b are safe. */
static inline int32_t ivit_quotient(int32_t a, int32_t b, int32_t bits) {
  uint32_t dividend = a < 0 ? 0u - (uint32_t)a : (uint32_t)a, divisor = b < 0 ? 0u - (uint32_t)b : (uint32_t)b;
  divisor += divisor == 0;
  uint64_t quotient = (((uint64_t)dividend << bits) + (divisor >> 1)) / divisor;
  int32_t sign = (a ^ b) >> 31, v = quotient > INT32_MAX ? INT32_MAX : (int32_t)quotient;
  return (v ^ sign) - sign;
}

/*
 * The same for many dividends of one divisor, d = |b|, without a division for each:
 *
 *   floor((|a|*2^bits + floor(d/2)) / d) = (|a|*F + G) >> s
 *
 * where t = bits(d), s = t + 25, F = ceil(2^(bits+s)/d), G = ceil(floor(d/2)*2^s/d). Both are too large by less than 1,
 * which adds less than (|a| + 1)/2^s < 1/d: too little to reach the next integer. F = high*2^26 + low, G likewise, so
 * that the sum is (|a|*high + add_high + ((|a|*low + add_low) >> 26)) >> shift, shift = s - 26.
 */
typedef struct {
  int32_t high, low, shift, sign;
  int64_t add_high, add_low;
} ivit_divisor;

static inline ivit_divisor ivit_divisor_of(int32_t b, int32_t bits) {
  uint32_t d = b < 0 ? 0u - (uint32_t)b : (uint32_t)b;
  d += d == 0;
  int32_t s = ivit_bits(d) + 25, rest = ivit_max(0, bits + s - 62);
  uint64_t one = (uint64_t)1 << (bits + s - rest), quotient = one / d, remainder = (one - quotient * d) << rest;
  uint64_t factor = (quotient << rest) + (remainder + d - 1) / d;
  uint64_t half = (uint64_t)1 << (s - 1), add = d & 1 ? half - half / d : half;
  const uint64_t low = ((uint64_t)1 << 26) - 1;
  return (ivit_divisor){.high = (int32_t)(factor >> 26),
                        .low = (int32_t)(factor & low),
                        .shift = s - 26,
                        .sign = b >> 31,
                        .add_high = (int64_t)(add >> 26),
                        .add_low = (int64_t)(add & low)};
}

/* lookUp. */
static inline int32_t ivit_look_up(const int32_t *table, int16_t x) {
  int32_t u = x + 32768, i = u >> 8;
  return table[i] + (((table[i + 1] - table[i]) * (u & 255) + 128) >> 8);
}

/*
 * The shift exponential of the published kernels: src/kernels/paper-rows.ts, x0 < 0. Results of 2^32 and more, which
 * only x above 0 has, may differ: every sum of them is cut off at 2^31 - 1.
 */
static inline int64_t ivit_shift_exponential(int32_t x, int32_t x0, int32_t n) {
  int32_t y = ivit_max(x + (x >> 1) - (x >> 4), n * x0);
  int32_t q = y <= 0 ? y / x0 : -((y - x0 - 1) / -x0);
  int32_t r = y - x0 * q;
  return ((int64_t)(r - 2 * x0) << ivit_min(n - q, 32)) >> 1;
}

/* floor((2^31 - 1) / min(sum, 2^31 - 1)). */
static inline int32_t ivit_paper_reciprocal(int64_t sum) { return 0x7fffffff / ivit_clamp(sum, 1, 0x7fffffff); }

/* ShiftGELU of one number of a row whose largest is `max`: x*sigmoid. */
static inline int32_t ivit_paper_gelu_value(int32_t x, int32_t max, int32_t x0) {
  enum { GELU_BITS = 23, SIGMOID_SHIFT = 24 };
  int64_t e = ivit_shift_exponential(x - max, x0, GELU_BITS), of_max = ivit_shift_exponential(-max, x0, GELU_BITS);
  return x * (int32_t)((e * ivit_paper_reciprocal(e + of_max)) >> SIGMOID_SHIFT);
}

/* expInteger: I-BERT's exponential. */
static inline int32_t ivit_exponential(uint32_t d) {
  int32_t z = (int32_t)(d >> 10), r = (int32_t)(d & 1023);
  return z >= 15 ? 0 : ((1998 - r) * (1998 - r) + 2094200) >> (z + 8);
}

/* The numbers of geluInteger, I-BERT's i-GELU, for inputs with `bits` fraction bits, 6 to 12. */
typedef struct {
  int32_t edge, one, shift;
} ivit_gelu_numbers;

static inline ivit_gelu_numbers ivit_gelu_of(int32_t bits) {
  static const int32_t edges[] = {161, 321, 641, 1281, 2562, 5124, 10248};
  static const int32_t ones[] = {28366, 113463, 453851, 1815402, 7261607, 29046427, 116185707};
  return (ivit_gelu_numbers){edges[bits - 6], ones[bits - 6], 2 * (bits - 6)};
}

/* At x = 0, where erf is 0, the product is too. */
static inline int32_t ivit_gelu(int32_t x, ivit_gelu_numbers k) {
  int32_t below = ivit_min(ivit_abs(x), k.edge) - k.edge, erf = below * below - k.one;
  return x * (28366 - ((x < 0 ? -erf : erf) >> k.shift));
}

/* Whether weights are divided by their sum before they multiply V. */
static inline int ivit_is_published(const ivit_attention *op) { return op->softmax >= IVIT_SOFTMAX_PAPER; }

/* normalizeSum's factor floor(2^(23 + bits) / sum), sum >= 255 << (bits - 8); o = (acc*factor + 2^(bits - 1)) >> bits.
 */
static inline int32_t ivit_sum_factor(int32_t sum, int32_t bits) {
  return (int32_t)(((uint64_t)1 << (23 + bits)) / (uint32_t)sum);
}

static inline size_t ivit_size_of(ivit_type type) { return type == IVIT_I32 ? 4 : type == IVIT_I16 ? 2 : 1; }

static inline void ivit_copy(void *to, const void *from, size_t bytes) {
#if defined(__GNUC__)
  __builtin_memcpy(to, from, bytes);
#else
  for (size_t i = 0; i < bytes; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
#endif
}

/* `count` elements of a type, all the same. */
static inline void ivit_fill(void *out, int32_t fill, size_t count, ivit_type type) {
  for (size_t i = 0; i < count; i++) {
    if (type == IVIT_I32)
      ((int32_t *)out)[i] = fill;
    else if (type == IVIT_I16)
      ((int16_t *)out)[i] = (int16_t)fill;
    else
      ((uint8_t *)out)[i] = (uint8_t)fill;
  }
}

static inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* roundUpTo8Bits: M' of a row whose largest |u-hat| is max >= 1. */
static inline int32_t ivit_row_scale(int32_t max) {
  int32_t e = ivit_max(0, ivit_bits((uint64_t)max) - 8);
  return ((max + (1 << e) - 1) >> e) << e;
}

/* The multiplier of quantizeRow: code = ((u*m + 2^23) >> 24) + 128. */
static inline int32_t ivit_row_multiplier(int32_t scale) { return 127 * 16777216 / scale; }

/* Where the channels of head `head` of token `token` begin. */
static inline size_t ivit_locate(const ivit_view *view, int32_t token, int32_t head) {
  size_t row = (size_t)(view->rows ? view->rows[token] : token);
  return row * (size_t)view->stride + (size_t)(view->offset + head * view->head_stride);
}

/* The row of position biases of a query, or NULL. */
static inline const int32_t *ivit_bias_row(const ivit_attention *op, int32_t window, int32_t head, int32_t query) {
  if (!op->bias) return NULL;
  size_t table = (size_t)(window % op->bias_batch) * (size_t)op->bias_heads + (size_t)(head % op->bias_heads);
  return op->bias + (table * (size_t)op->queries + (size_t)query) * (size_t)op->keys;
}

#endif
