/*
 * Products of two rows for an exported program, in the vectors that the compiler says its machine has; define
 * IVIT_PORTABLE for none. The integers are the same: sums of 32 bits are taken modulo 2^32, and the whole is proven to
 * fit.
 */
#include "export.h"

/*
 * Each function adds sum x[k]*w[k] of the first elements, as many as fill vectors, to *sum, and returns how many these
 * are. A sum of i16 by i8 has 64 bits. |x[k]*w[k]| <= 32767*127: 256 pairs of them fit 32 bits.
 */
#if defined(__ARM_FEATURE_MVE) && !defined(IVIT_PORTABLE)
#include <arm_mve.h>

/* Helium. (x - 128)*w, and 128 times the sum of w. */
static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  const uint8x16_t half = vdupq_n_u8(128);
  int32_t k = 0, products = 0, weights = 0;
  for (; k + 16 <= count; k += 16) {
    const int8x16_t b = vldrbq_s8(w + k);
    products = vmladavaq_s8(products, vreinterpretq_s8_u8(veorq_u8(vldrbq_u8(x + k), half)), b);
    weights = vaddvaq_s8(weights, b);
  }
  *sum += (uint32_t)products + ((uint32_t)weights << 7);
  return k;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  int32_t k = 0, products = 0;
  for (; k + 16 <= count; k += 16) products = vmladavaq_s8(products, vldrbq_s8(x + k), vldrbq_s8(w + k));
  *sum += (uint32_t)products;
  return k;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  int32_t k = 0;
  for (; k + 8 <= count; k += 8) *sum = vmlaldavaq_s16(*sum, vldrhq_s16(x + k), vldrbq_s16(w + k));
  return k;
}
#elif defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_UNALIGNED) && defined(__GNUC__) && \
    !defined(__ARM_BIG_ENDIAN) && !defined(IVIT_PORTABLE)
#include <arm_acle.h>

/* Four bytes from anywhere. */
static inline uint32_t fast_word(const void *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}

/* Bytes 1 and 3, as numbers of 16 bits: compilers do not put the rotation into the instruction. */
static inline int16x2_t fast_odd_signed(uint32_t word) {
  int32_t odd;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
  return odd;
}

static inline int16x2_t fast_odd_unsigned(uint32_t word) {
  int32_t odd;
  __asm__("uxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
  return odd;
}

/* Arm's DSP extension: two products of 16 bits at a time. */
static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  int32_t k = 0, products = 0;
  for (; k + 4 <= count; k += 4) {
    const uint32_t a = fast_word(x + k), b = fast_word(w + k);
    products = __smlad((int16x2_t)__uxtb16(a), __sxtb16((int8x4_t)b), products);
    products = __smlad(fast_odd_unsigned(a), fast_odd_signed(b), products);
  }
  *sum += (uint32_t)products;
  return k;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  int32_t k = 0, products = 0;
  for (; k + 4 <= count; k += 4) {
    const uint32_t a = fast_word(x + k), b = fast_word(w + k);
    products = __smlad(__sxtb16((int8x4_t)a), __sxtb16((int8x4_t)b), products);
    products = __smlad(fast_odd_signed(a), fast_odd_signed(b), products);
  }
  *sum += (uint32_t)products;
  return k;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  int32_t k = 0;
  for (; k + 4 <= count; k += 4) {
    const uint32_t a = fast_word(x + k), c = fast_word(x + k + 2), b = fast_word(w + k);
    *sum = __smlald((int16x2_t)((a & 0xffff) | c << 16), __sxtb16((int8x4_t)b), *sum);
    *sum = __smlald((int16x2_t)(a >> 16 | (c & 0xffff0000u)), fast_odd_signed(b), *sum);
  }
  return k;
}
#elif defined(__ARM_FEATURE_DOTPROD) && defined(__aarch64__) && !defined(IVIT_PORTABLE)
#include <arm_neon.h>

/* NEON with dot products. (x - 128)*w, and 128 times the sum of w. */
static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  int32x4_t products = vdupq_n_s32(0), weights = vdupq_n_s32(0);
  int32_t k = 0;
  for (; k + 16 <= count; k += 16) {
    const int8x16_t b = vld1q_s8(w + k);
    products = vdotq_s32(products, vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x + k), vdupq_n_u8(128))), b);
    weights = vdotq_s32(weights, vdupq_n_s8(1), b);
  }
  *sum += (uint32_t)vaddvq_s32(vaddq_s32(products, vshlq_n_s32(weights, 7)));
  return k;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  int32x4_t products = vdupq_n_s32(0);
  int32_t k = 0;
  for (; k + 16 <= count; k += 16) products = vdotq_s32(products, vld1q_s8(x + k), vld1q_s8(w + k));
  *sum += (uint32_t)vaddvq_s32(products);
  return k;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  int64x2_t products = vdupq_n_s64(0);
  int32_t k = 0;
  for (; k + 8 <= count; k += 8) {
    const int16x8_t a = vld1q_s16(x + k), b = vmovl_s8(vld1_s8(w + k));
    products = vpadalq_s32(products, vmlal_high_s16(vmull_s16(vget_low_s16(a), vget_low_s16(b)), a, b));
  }
  *sum += vaddvq_s64(products);
  return k;
}
#elif defined(__AVX2__) && !defined(IVIT_PORTABLE)
#include <immintrin.h>

static inline uint32_t fast_sum(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static inline __m256i fast_load_signed(const int8_t *from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)from));
}

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define FAST_DOT(sum, a, b) _mm256_dpbusd_epi32(sum, a, b)
#elif defined(__AVXVNNI__)
#define FAST_DOT(sum, a, b) _mm256_dpbusd_avx_epi32(sum, a, b)
#endif

static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  __m256i products = _mm256_setzero_si256();
  int32_t k = 0;
#ifdef FAST_DOT
  for (; k + 32 <= count; k += 32) {
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(x + k));
    products = FAST_DOT(products, a, _mm256_loadu_si256((const __m256i *)(const void *)(w + k)));
  }
#endif
  for (; k + 16 <= count; k += 16) {
    const __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(x + k)));
    products = _mm256_add_epi32(products, _mm256_madd_epi16(a, fast_load_signed(w + k)));
  }
  *sum += fast_sum(products);
  return k;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  __m256i products = _mm256_setzero_si256();
  int32_t k = 0;
  for (; k + 16 <= count; k += 16)
    products = _mm256_add_epi32(products, _mm256_madd_epi16(fast_load_signed(x + k), fast_load_signed(w + k)));
  *sum += fast_sum(products);
  return k;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  int32_t k = 0;
  while (k + 16 <= count) {
    const int32_t end = count - k > 2048 ? k + 2048 : count;
    __m256i products = _mm256_setzero_si256();
    for (; k + 16 <= end; k += 16) {
      const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(x + k));
      products = _mm256_add_epi32(products, _mm256_madd_epi16(a, fast_load_signed(w + k)));
    }
    int32_t lanes[8];
    _mm256_storeu_si256((__m256i *)(void *)lanes, products);
    for (int32_t i = 0; i < 8; i++) *sum += lanes[i];
  }
  return k;
}
#elif defined(__SSE2__) && !defined(IVIT_PORTABLE)
#include <emmintrin.h>

static inline uint32_t fast_sum(__m128i s) {
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static inline __m128i fast_load(const void *from) { return _mm_loadu_si128((const __m128i *)from); }
static inline __m128i fast_low(__m128i v) { return _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8); }
static inline __m128i fast_high(__m128i v) { return _mm_srai_epi16(_mm_unpackhi_epi8(v, v), 8); }

static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  const __m128i zero = _mm_setzero_si128();
  __m128i products = zero;
  int32_t k = 0;
  for (; k + 16 <= count; k += 16) {
    const __m128i a = fast_load(x + k), b = fast_load(w + k);
    products = _mm_add_epi32(products, _mm_madd_epi16(_mm_unpacklo_epi8(a, zero), fast_low(b)));
    products = _mm_add_epi32(products, _mm_madd_epi16(_mm_unpackhi_epi8(a, zero), fast_high(b)));
  }
  *sum += fast_sum(products);
  return k;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  __m128i products = _mm_setzero_si128();
  int32_t k = 0;
  for (; k + 16 <= count; k += 16) {
    const __m128i a = fast_load(x + k), b = fast_load(w + k);
    products = _mm_add_epi32(products, _mm_madd_epi16(fast_low(a), fast_low(b)));
    products = _mm_add_epi32(products, _mm_madd_epi16(fast_high(a), fast_high(b)));
  }
  *sum += fast_sum(products);
  return k;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  int32_t k = 0;
  while (k + 16 <= count) {
    const int32_t end = count - k > 1024 ? k + 1024 : count;
    __m128i products = _mm_setzero_si128();
    for (; k + 16 <= end; k += 16) {
      const __m128i b = fast_load(w + k);
      products = _mm_add_epi32(products, _mm_madd_epi16(fast_load(x + k), fast_low(b)));
      products = _mm_add_epi32(products, _mm_madd_epi16(fast_load(x + k + 8), fast_high(b)));
    }
    int32_t lanes[4];
    _mm_storeu_si128((__m128i *)(void *)lanes, products);
    for (int32_t i = 0; i < 4; i++) *sum += lanes[i];
  }
  return k;
}
#elif defined(__riscv_vector) && (defined(__riscv_v_intrinsic) || defined(__clang__)) && !defined(IVIT_PORTABLE)
#include <riscv_vector.h>

/* RISC-V's V, or Zve32x: vectors of any length. The intrinsics of clang before 16 have other names and arguments. */
#ifdef __riscv_v_intrinsic
#define FAST_V(name) __riscv_##name
#define FAST_V_SUM(name, v, start, count) __riscv_##name(v, start, count)
#else
#define FAST_V(name) name
#define FAST_V_SUM(name, v, start, count) name(start, v, start, count)
#endif

/* start plus all of `products` plus `count` of `last`: elements behind `count` are undefined, so they are not added. */
static inline int32_t fast_sum(int32_t start, vint32m8_t products, vint16m4_t last, size_t count) {
  vint32m1_t total = FAST_V(vmv_v_x_i32m1)(start, 1);
  total = FAST_V_SUM(vredsum_vs_i32m8_i32m1, products, total, FAST_V(vsetvlmax_e32m8)());
  if (count) total = FAST_V_SUM(vwredsum_vs_i16m4_i32m1, last, total, count);
  return FAST_V(vmv_x_s_i32m1_i32)(total);
}

static inline vint16m4_t fast_products(const uint8_t *x, const int8_t *w, size_t count) {
  return FAST_V(vwmulsu_vv_i16m4)(FAST_V(vle8_v_i8m2)(w, count), FAST_V(vle8_v_u8m2)(x, count), count);
}

static inline vint16m4_t fast_signed_products(const int8_t *x, const int8_t *w, size_t count) {
  return FAST_V(vwmul_vv_i16m4)(FAST_V(vle8_v_i8m2)(w, count), FAST_V(vle8_v_i8m2)(x, count), count);
}

static inline vint16m4_t fast_load(const int8_t *from, size_t count) {
  return FAST_V(vsext_vf2_i16m4)(FAST_V(vle8_v_i8m2)(from, count), count);
}

/* sum[i] + w*v[i]. */
static inline vint32m8_t fast_add(vint32m8_t sum, const int8_t *v, int32_t w, size_t count) {
  const vint32m8_t values = FAST_V(vsext_vf4_i32m8)(FAST_V(vle8_v_i8m2)(v, count), count);
  return FAST_V(vmacc_vx_i32m8)(sum, w, values, count);
}

static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  const size_t step = FAST_V(vsetvlmax_e8m2)();
  vint32m8_t products = FAST_V(vmv_v_x_i32m8)(0, step);
  size_t left = (size_t)count;
  for (; left >= step; left -= step, x += step, w += step)
    products = FAST_V(vwadd_wv_i32m8)(products, fast_products(x, w, step), step);
  *sum = (uint32_t)fast_sum((int32_t)*sum, products, fast_products(x, w, left), left);
  return count;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  const size_t step = FAST_V(vsetvlmax_e8m2)();
  vint32m8_t products = FAST_V(vmv_v_x_i32m8)(0, step);
  size_t left = (size_t)count;
  for (; left >= step; left -= step, x += step, w += step)
    products = FAST_V(vwadd_wv_i32m8)(products, fast_signed_products(x, w, step), step);
  *sum = (uint32_t)fast_sum((int32_t)*sum, products, fast_signed_products(x, w, left), left);
  return count;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  const size_t step = FAST_V(vsetvlmax_e16m4)();
  for (int32_t k = 0; k < count;) {
    size_t left = (size_t)(count - k > 512 ? 512 : count - k);
    vint32m8_t products = FAST_V(vmv_v_x_i32m8)(0, step);
    for (; left >= step; left -= step, k += (int32_t)step)
      products = FAST_V(vwmacc_vv_i32m8)(products, FAST_V(vle16_v_i16m4)(x + k, step), fast_load(w + k, step), step);
    vint32m1_t total = FAST_V_SUM(vredsum_vs_i32m8_i32m1, products, FAST_V(vmv_v_x_i32m1)(0, 1), step);
    if (left) {
      products = FAST_V(vwmul_vv_i32m8)(FAST_V(vle16_v_i16m4)(x + k, left), fast_load(w + k, left), left);
      total = FAST_V_SUM(vredsum_vs_i32m8_i32m1, products, total, left);
      k += (int32_t)left;
    }
    *sum += FAST_V(vmv_x_s_i32m1_i32)(total);
  }
  return count;
}
#else
/* Nothing: all is left to the caller. */
static inline int32_t fast_bytes(const uint8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  (void)x, (void)w, (void)count, (void)sum;
  return 0;
}

static inline int32_t fast_signed(const int8_t *x, const int8_t *w, int32_t count, uint32_t *sum) {
  (void)x, (void)w, (void)count, (void)sum;
  return 0;
}

static inline int32_t fast_shorts(const int16_t *x, const int8_t *w, int32_t count, int64_t *sum) {
  (void)x, (void)w, (void)count, (void)sum;
  return 0;
}
#endif

static int32_t dot_bytes(const uint8_t *x, const int8_t *w, int32_t count, int32_t start) {
  uint32_t sum = (uint32_t)start;
  for (int32_t k = fast_bytes(x, w, count, &sum); k < count; k++) sum += (uint32_t)(x[k] * w[k]);
  return (int32_t)sum;
}

static int32_t dot_signed(const int8_t *x, const int8_t *w, int32_t count) {
  uint32_t sum = 0;
  for (int32_t k = fast_signed(x, w, count, &sum); k < count; k++) sum += (uint32_t)(x[k] * w[k]);
  return (int32_t)sum;
}

static int64_t dot_shorts(const int16_t *x, const int8_t *w, int32_t count) {
  int64_t sum = 0;
  for (int32_t k = fast_shorts(x, w, count, &sum); k < count; k++) sum += x[k] * w[k];
  return sum;
}

/* acc[i] += sum_j w[j]*v[j][i] of four rows: the sums are read and written once for all of them. */
static void add_four(int32_t *acc, const int32_t *w, const int8_t *const *v, int32_t count) {
  const int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
  const int8_t *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = v[3];
  int32_t i = 0;
#if defined(__ARM_FEATURE_MVE) && !defined(IVIT_PORTABLE)
  for (; i + 4 <= count; i += 4) {
    int32x4_t sum = vmlaq_n_s32(vldrwq_s32(acc + i), vldrbq_s32(v0 + i), w0);
    sum = vmlaq_n_s32(sum, vldrbq_s32(v1 + i), w1);
    sum = vmlaq_n_s32(sum, vldrbq_s32(v2 + i), w2);
    vstrwq_s32(acc + i, vmlaq_n_s32(sum, vldrbq_s32(v3 + i), w3));
  }
#elif defined(__riscv_vector) && (defined(__riscv_v_intrinsic) || defined(__clang__)) && !defined(IVIT_PORTABLE)
  for (size_t step; i < count; i += (int32_t)step) {
    step = FAST_V(vsetvl_e32m8)((size_t)(count - i));
    vint32m8_t sum = fast_add(FAST_V(vle32_v_i32m8)(acc + i, step), v0 + i, w0, step);
    sum = fast_add(fast_add(sum, v1 + i, w1, step), v2 + i, w2, step);
    FAST_V(vse32_v_i32m8)(acc + i, fast_add(sum, v3 + i, w3, step), step);
  }
#endif
  for (; i < count; i++) acc[i] += w0 * v0[i] + w1 * v1[i] + w2 * v2[i] + w3 * v3[i];
}
