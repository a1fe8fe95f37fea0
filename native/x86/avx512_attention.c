/* Fused attention: scores, exponential and weighted sum of 6 queries at a time; only a strip of scores exists at once.
 */
#include "avx512.h"

#define UNROLL_ALL _Pragma("GCC unroll 16")

/*
 * Packed keys and values of one window and head. Keys are the weights of one GEMM, 64 to a panel, [dim/4][keys][4];
 * values those of another, 64 channels to a panel, [keys/4][channels][4]. Queries become u8 by adding 128, which
 * `start` takes back: -128*sum_d k.
 */
typedef struct {
  int32_t groups;     /* of 4 query channels */
  int32_t key_panels; /* of 64 keys; the last has key_vectors*16 */
  int32_t key_vectors;
  int32_t weight_groups; /* of 4 keys */
  int32_t value_panels;
  int32_t value_vectors; /* of the last panel */
  size_t keys_at, values_at, size;
} layout;

static int32_t panels_of(int32_t n) { return (n + 63) / 64; }
static int32_t last_vectors(int32_t n) { return (n - (panels_of(n) - 1) * 64 + 15) / 16; }

static layout lay_out(const ivit_attention *op) {
  layout l = {.groups = (op->dim + 3) / 4,
              .key_panels = panels_of(op->keys),
              .key_vectors = last_vectors(op->keys),
              .weight_groups = (op->keys + 3) / 4,
              .value_panels = panels_of(op->value_dim),
              .value_vectors = last_vectors(op->value_dim)};
  size_t key_vectors = (size_t)((l.key_panels - 1) * TILE_VECTORS + l.key_vectors);
  size_t value_vectors = (size_t)((l.value_panels - 1) * TILE_VECTORS + l.value_vectors);
  l.keys_at = (size_t)l.key_panels * TILE_COLS * sizeof(int32_t);
  l.values_at = l.keys_at + (size_t)l.groups * key_vectors * 64;
  l.size = l.values_at + (size_t)l.weight_groups * value_vectors * 64;
  return l;
}

/* Largest |score| before the bias, in its scaled unit, for which max - score cannot overflow. */
enum { SAFE_SCORE = 1 << 28 };

/* How a head's scores and outputs are requantized. */
typedef struct {
  requantize_plan score, value;
} head_plan;

/*
 * Returns whether this head can be computed here: its scores stay so small that they need no clamp, and nothing needs
 * 64-bit shifts. Otherwise portable.c packs and computes it.
 */
static int plan_head(const ivit_attention *op, int32_t head, head_plan *plan) {
  int64_t b = ivit_abs(op->score_multiplier[head]), bound = ((int64_t)op->dim << 14) * b;
  plan->score = plan_requantize((int64_t)op->dim << 14, bound, b, op->score_shift);
  const int32_t *multiplier = op->out.multiplier + head * op->value_dim;
  /* Their unit is so fine that no product is narrow. */
  plan->value =
      plan_requantize((int64_t)1 << 30, INT64_MAX >> 1, largest_multiplier(multiplier, op->value_dim), op->out.shift);
  return (plan->score.path == NARROW || plan->score.path == HIGH) && plan->value.path == HIGH &&
         ivit_shift_round(bound, op->score_shift) <= SAFE_SCORE;
}

size_t ivit_avx512_attention_pack_size(const ivit_attention *op) {
  size_t portable = ivit_portable_attention_pack_size(op), own = lay_out(op).size;
  return own > portable ? own : portable;
}

/* 4 x 16 bytes transposed to 16 x 4. */
INLINE __m512i interleave_rows(__m128i a, __m128i b, __m128i c, __m128i d) {
  __m128i ab0 = _mm_unpacklo_epi8(a, b), ab1 = _mm_unpackhi_epi8(a, b);
  __m128i cd0 = _mm_unpacklo_epi8(c, d), cd1 = _mm_unpackhi_epi8(c, d);
  __m512i v = _mm512_castsi128_si512(_mm_unpacklo_epi16(ab0, cd0));
  v = _mm512_inserti32x4(v, _mm_unpackhi_epi16(ab0, cd0), 1);
  v = _mm512_inserti32x4(v, _mm_unpacklo_epi16(ab1, cd1), 2);
  return _mm512_inserti32x4(v, _mm_unpackhi_epi16(ab1, cd1), 3);
}

/* Transposes 16 x 16 elements of 32 bits. */
INLINE void transpose16(__m512i v[16]) {
  __m512i a[16];
  UNROLL_ALL for (int i = 0; i < 16; i += 4) {
    __m512i lo0 = _mm512_unpacklo_epi32(v[i], v[i + 1]), hi0 = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    __m512i lo1 = _mm512_unpacklo_epi32(v[i + 2], v[i + 3]), hi1 = _mm512_unpackhi_epi32(v[i + 2], v[i + 3]);
    /* a[i + c], lane L: elements 4L + c of rows i to i + 3. */
    a[i] = _mm512_unpacklo_epi64(lo0, lo1);
    a[i + 1] = _mm512_unpackhi_epi64(lo0, lo1);
    a[i + 2] = _mm512_unpacklo_epi64(hi0, hi1);
    a[i + 3] = _mm512_unpackhi_epi64(hi0, hi1);
  }
  UNROLL_ALL for (int c = 0; c < 4; c++) {
    __m512i lo0 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x44), hi0 = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xee);
    __m512i lo1 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x44),
            hi1 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xee);
    v[c] = _mm512_shuffle_i32x4(lo0, lo1, 0x88);
    v[4 + c] = _mm512_shuffle_i32x4(lo0, lo1, 0xdd);
    v[8 + c] = _mm512_shuffle_i32x4(hi0, hi1, 0x88);
    v[12 + c] = _mm512_shuffle_i32x4(hi0, hi1, 0xdd);
  }
}

/*
 * Keys j0 to j0 + 15 (the last repeated where fewer exist) as one vector column of a panel: element g of `to`, `stride`
 * bytes apart, holds channels 4g to 4g + 3 of all of them.
 */
static void pack_keys(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k, int32_t j0, int8_t *to,
                      size_t stride, int32_t *start) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sums = _mm512_setzero_si512();
  for (int32_t d = 0; d < op->dim; d += 64) {
    __m512i v[16];
    __mmask64 live = first64(op->dim - d);
    UNROLL_ALL for (int i = 0; i < 16; i++) {
      int32_t key = ivit_min(j0 + i, op->keys - 1);
      v[i] = _mm512_maskz_loadu_epi8(live, k + ivit_locate(&op->k, window * op->keys + key, head) + d);
    }
    transpose16(v);
    UNROLL_ALL for (int g = 0; g < 16; g++) {
      if (d + 4 * g >= op->dim) break;
      sums = _mm512_dpbusd_epi32(sums, ones, v[g]);
      _mm512_storeu_si512(to, v[g]);
      to += stride;
    }
  }
  _mm512_storeu_si512(start, _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sums), 7));
}

void ivit_avx512_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                const int8_t *v, void *packed) {
  head_plan plan;
  if (!plan_head(op, head, &plan)) {
    ivit_portable_attention_pack(op, window, head, k, v, packed);
    return;
  }
  layout l = lay_out(op);
  int32_t *start = packed;
  int8_t *keys = (int8_t *)packed + l.keys_at, *values = (int8_t *)packed + l.values_at;

  for (int32_t p = 0; p < l.key_panels; p++) {
    size_t vectors = (size_t)(p + 1 < l.key_panels ? TILE_VECTORS : l.key_vectors);
    for (size_t j = 0; j < vectors; j++) {
      int32_t key = p * TILE_COLS + (int32_t)(16 * j);
      pack_keys(op, window, head, k, key, keys + 64 * j, 64 * vectors, start + key);
    }
    keys += (size_t)l.groups * vectors * 64;
  }

  for (int32_t p = 0; p < l.value_panels; p++) {
    int32_t first = p * TILE_COLS;
    size_t vectors = (size_t)(p + 1 < l.value_panels ? TILE_VECTORS : l.value_vectors);
    for (int32_t g = 0; g < l.weight_groups; g++) {
      const int8_t *row[4];
      for (int32_t i = 0; i < 4; i++) {
        /* Beyond the last key any value does: its weight is 0. */
        int32_t key = ivit_min(4 * g + i, op->keys - 1);
        row[i] = v + ivit_locate(&op->v, window * op->keys + key, head) + first;
      }
      for (size_t j = 0; j < vectors; j++, values += 64) {
        __mmask16 live = first16(op->value_dim - first - (int32_t)(16 * j));
        __m128i bytes[4];
        for (int i = 0; i < 4; i++) bytes[i] = _mm_maskz_loadu_epi8(live, row[i] + 16 * j);
        _mm512_storeu_si512(values, interleave_rows(bytes[0], bytes[1], bytes[2], bytes[3]));
      }
    }
  }
}

/* Scratch: 6 rows of queries as u8, of scores of 16 or 32 bits, of weights; multipliers of a head's channels. */
typedef struct {
  size_t query_stride, score_stride;
  uint8_t *queries;
  void *scores;
  uint8_t *weights, *low_weights; /* low_weights: of 12-bit weights only */
  int32_t *multiplier, *multiplier_odd;
  size_t size;
} workspace;

static workspace split_scratch(const ivit_attention *op, void *scratch) {
  workspace w = {.query_stride = round_up((size_t)op->dim, 64), .score_stride = round_up((size_t)op->keys, 64)};
  size_t values = round_up((size_t)op->value_dim, 64);
  uint8_t *at = scratch;
  w.queries = at;
  at += TILE_ROWS * w.query_stride;
  w.scores = at;
  at += TILE_ROWS * w.score_stride * sizeof(int32_t);
  w.weights = at;
  at += TILE_ROWS * w.score_stride;
  w.low_weights = at;
  if (op->softmax_bits > 8) at += TILE_ROWS * w.score_stride;
  w.multiplier = (int32_t *)at;
  w.multiplier_odd = w.multiplier + values;
  at += 2 * values * sizeof(int32_t);
  w.size = (size_t)(at - (uint8_t *)scratch);
  return w;
}

size_t ivit_avx512_attention_scratch(const ivit_attention *op) {
  uint8_t base[1];
  size_t portable = ivit_portable_attention_scratch(op), own = split_scratch(op, base).size;
  return own > portable ? own : portable;
}

/*
 * The functions of one register tile below are never inlined: in a function of their own, compilers keep all
 * accumulators in registers.
 */
#define NEVER_INLINE static __attribute__((noinline)) void

/*
 * Scores of a tile: queries against one panel of keys, in log2 units, saturated to 16 bits and in the order that
 * packing leaves them in: of 32 keys, every 4 of the first 16 beside 4 of the others.
 */
typedef struct {
  tile_rows queries;
  int32_t groups;
  requantize_path path;
  requantize_operands requantize;
  int32_t multiplier[16];
  size_t stride;
  const int32_t *bias[TILE_ROWS]; /* a row of the position bias, or NULL */
  int32_t last;                   /* key that the last panel begins with */
  __mmask32 last_keys[2];         /* its places that hold keys */
  __m512i most[TILE_ROWS];        /* the largest 16-bit scores so far, 32 lanes */
} score_tile;

/* `key`: of the panel's first. `wide`: 32-bit scores in order, for those that 16 bits do not hold. */
INLINE void score_panel(score_tile *t, const int8_t *keys, const int32_t *start, int32_t key, void *scores,
                        const requantize_path path, const int vectors, const int wide) {
  tile acc;
  tile_multiply(acc, start, &t->queries, t->groups, keys, vectors);
  const __m512i b = _mm512_loadu_si512(t->multiplier);
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
    __m512i x[TILE_VECTORS];
    UNROLL_VECTORS for (int j = 0; j < TILE_VECTORS; j++) {
      x[j] = j < vectors ? requantize(path, acc[i][j], b, t->multiplier, &t->requantize) : _mm512_setzero_si512();
      if (j < vectors && t->bias[i]) x[j] = _mm512_add_epi32(x[j], _mm512_loadu_si512(t->bias[i] + key + 16 * j));
    }
    size_t at = (size_t)i * t->stride + (size_t)key;
    if (wide) {
      UNROLL_VECTORS for (int j = 0; j < vectors; j++) _mm512_storeu_si512((int32_t *)scores + at + 16 * j, x[j]);
    } else {
      const __m512i least = _mm512_set1_epi16(INT16_MIN);
      __m512i words[2] = {_mm512_packs_epi32(x[0], x[1]), least};
      if (vectors > 2) words[1] = _mm512_packs_epi32(x[2], x[3]);
      if (key == t->last) {
        for (int j = 0; j < 2; j++) words[j] = _mm512_mask_mov_epi16(least, t->last_keys[j], words[j]);
      }
      for (int j = 0; j < 2; j++) _mm512_storeu_si512((int16_t *)scores + at + 32 * j, words[j]);
      __m512i most = _mm512_max_epi16(words[0], words[1]);
      t->most[i] = key == 0 ? most : _mm512_max_epi16(t->most[i], most);
    }
  }
}

typedef void score_function(score_tile *t, const int8_t *keys, const int32_t *start, int32_t key, void *scores);
#define SCORE_PANEL(name, path, vectors, wide)                                                            \
  NEVER_INLINE name(score_tile *t, const int8_t *keys, const int32_t *start, int32_t key, void *scores) { \
    score_panel(t, keys, start, key, scores, path, vectors, wide);                                        \
  }
#define SCORE_PANELS(name, path, wide) \
  SCORE_PANEL(name##1, path, 1, wide)  \
  SCORE_PANEL(name##2, path, 2, wide)  \
  SCORE_PANEL(name##3, path, 3, wide)  \
  SCORE_PANEL(name##4, path, 4, wide)
SCORE_PANELS(score_narrow, NARROW, 0)
SCORE_PANELS(score_high, HIGH, 0)
SCORE_PANELS(score_wide_narrow, NARROW, 1)
SCORE_PANELS(score_wide_high, HIGH, 1)
#define SCORE_NAMES(name) {name##1, name##2, name##3, name##4}
/* [wide][path][vectors - 1] */
static score_function *const score_functions[2][2][TILE_VECTORS] = {
    {[NARROW] = SCORE_NAMES(score_narrow), [HIGH] = SCORE_NAMES(score_high)},
    {[NARROW] = SCORE_NAMES(score_wide_narrow), [HIGH] = SCORE_NAMES(score_wide_high)},
};

static void score_panels(score_tile *t, const layout *l, const void *packed, void *scores, int wide) {
  const int32_t *start = packed;
  const int8_t *keys = (const int8_t *)packed + l->keys_at;
  for (int32_t p = 0; p < l->key_panels; p++) {
    int32_t vectors = p + 1 < l->key_panels ? TILE_VECTORS : l->key_vectors;
    score_functions[wide][t->path][vectors - 1](t, keys, start, p * TILE_COLS, scores);
    keys += (size_t)l->groups * (size_t)vectors * 64;
    start += TILE_COLS;
  }
}

#define DITHER_STEPS(k) 39 * (k) & 63, 39 * (k + 1) & 63, 39 * (k + 2) & 63, 39 * (k + 3) & 63

/* Constants of the exponential. */
typedef struct {
  __m512i fraction_bits;
  __m512i fraction; /* the low fraction_bits bits */
  __m512i half;     /* a fraction shifted left by this is r/2 in Q14 */
  __m512i twice;    /* 2r in Q14 */
  __m512i most;     /* twice the largest weight */
} exponential;

INLINE exponential exponential_of(int32_t p, int32_t bits) {
  return (exponential){.most = _mm512_set1_epi16((int16_t)(2 * ivit_softmax_most(bits))),
                       .fraction_bits = _mm512_set1_epi16((int16_t)p),
                       .fraction = _mm512_set1_epi16((int16_t)((1 << p) - 1)),
                       .half = _mm512_set1_epi16((int16_t)(13 - p)),
                       .twice = _mm512_set1_epi16((int16_t)(15 - p))};
}

/* softmaxDither of a query and 32 keys from a multiple of 64 on, or from 32 more, in the order that packing leaves them
 * in. */
INLINE __m512i dither_words(int32_t query, int32_t key) {
  /* 39*key modulo 64. */
  static const int16_t keys[32] = {
      DITHER_STEPS(0), DITHER_STEPS(16), DITHER_STEPS(4),  DITHER_STEPS(20),
      DITHER_STEPS(8), DITHER_STEPS(24), DITHER_STEPS(12), DITHER_STEPS(28),
  };
  __m512i steps =
      _mm512_add_epi16(_mm512_loadu_si512(keys), _mm512_set1_epi16((int16_t)((27 * (query & 63) + 39 * key) & 63)));
  return _mm512_sub_epi16(_mm512_and_si512(steps, _mm512_set1_epi16(63)), _mm512_set1_epi16(32));
}

/* softmaxWeight of 32 distances d, u16. */
INLINE __m512i softmax_words(__m512i d, const exponential *k, const ivit_softmax kind, __m512i dither) {
  __m512i q = _mm512_srlv_epi16(d, k->fraction_bits), r = _mm512_and_si512(d, k->fraction);
  __m512i m = _mm512_sub_epi16(_mm512_set1_epi16(1 << 14), _mm512_sllv_epi16(r, k->half));
  if (kind == IVIT_SOFTMAX_QUADRATIC) {
    /* (r*(2^14 - r)) >> 14 = (2r*2(2^14 - r)) >> 16. */
    __m512i twice = _mm512_sllv_epi16(r, k->twice);
    __m512i product = _mm512_mulhi_epu16(twice, _mm512_sub_epi16(_mm512_set1_epi16((int16_t)(1 << 15)), twice));
    m = _mm512_sub_epi16(m, _mm512_mulhrs_epi16(product, _mm512_set1_epi16(2 * 2811)));
  }
  /* (W*E + 2^13) >> 14 = (2*W*E + 2^14) >> 15, E = (m >> q) + dither; shifts by 16 and more give 0. */
  return _mm512_mulhrs_epi16(_mm512_add_epi16(_mm512_srlv_epi16(m, q), dither), k->most);
}

/* The places of the first n of 32 keys in the order that packing leaves them in. */
INLINE __mmask32 first_packed(int32_t n) {
  uint32_t low = first16(n), high = first16(n - 16), mask = 0;
  for (int lane = 0; lane < 4; lane++) {
    mask |= (low >> (4 * lane) & 15) << (8 * lane) | (high >> (4 * lane) & 15) << (8 * lane + 4);
  }
  return mask;
}

INLINE int32_t reduce_max_words(__m512i v) {
  __m256i a = _mm256_max_epi16(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  __m128i b = _mm_max_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  /* minpos finds the least unsigned word: of 0x7fff - x that of the largest x. */
  b = _mm_minpos_epu16(_mm_sub_epi16(_mm_set1_epi16(0x7fff), b));
  return 0x7fff - (_mm_cvtsi128_si32(b) & 0xffff);
}

/*
 * Whether a row whose largest score is `top` lost none that matters to 16 bits: one at the top, or one at the bottom
 * that is near enough to have a weight.
 */
INLINE int top_fits(int32_t top, int32_t fraction_bits) {
  return top != INT16_MAX && top - INT16_MIN >= 16 << fraction_bits;
}

/*
 * Weights of `keys` 16-bit scores, the largest of which is `top`, and zeros up to a multiple of 64. Returns their sum.
 * `low`: see IVIT_LOW_BITS; written for 12 bits only.
 */
INLINE int32_t softmax_row(const int16_t *scores, int32_t keys, int32_t query, int32_t top, const exponential *k,
                           uint8_t *weights, uint8_t *low, const ivit_softmax kind, const int32_t bits) {
  const __m512i max = _mm512_set1_epi16((int16_t)top), none = _mm512_setzero_si512();
  const __m512i dither0 = bits > 8 ? none : dither_words(query, 0), dither1 = bits > 8 ? none : dither_words(query, 32);
  const __m512i low_bits = _mm512_set1_epi16((1 << IVIT_LOW_BITS) - 1);
  __m512i sums = none, low_sums = none;
  for (int32_t j = 0; j < keys; j += 64) {
    __m512i w0 = softmax_words(_mm512_sub_epi16(max, _mm512_loadu_si512(scores + j)), k, kind, dither0), w1 = none;
    if (j + 32 < keys) w1 = softmax_words(_mm512_sub_epi16(max, _mm512_loadu_si512(scores + j + 32)), k, kind, dither1);
    if (bits > 8) {
      __m512i l = in_order(_mm512_packus_epi16(_mm512_and_si512(w0, low_bits), _mm512_and_si512(w1, low_bits)));
      low_sums = _mm512_add_epi64(low_sums, _mm512_sad_epu8(l, none));
      _mm512_storeu_si512(low + j, l);
      w0 = _mm512_srli_epi16(w0, IVIT_LOW_BITS);
      w1 = _mm512_srli_epi16(w1, IVIT_LOW_BITS);
    }
    __m512i w = in_order(_mm512_packus_epi16(w0, w1));
    sums = _mm512_add_epi64(sums, _mm512_sad_epu8(w, none));
    _mm512_storeu_si512(weights + j, w);
  }
  if (bits > 8) sums = _mm512_add_epi64(_mm512_slli_epi64(sums, IVIT_LOW_BITS), low_sums);
  return (int32_t)_mm512_reduce_add_epi64(sums);
}

/* The same of 32-bit scores, any that are safe. */
static int32_t softmax_row_wide(const ivit_attention *op, const int32_t *scores, int32_t query, uint8_t *weights,
                                uint8_t *low) {
  const int32_t keys = op->keys, bits = op->softmax_bits;
  const __m512i lowest = _mm512_set1_epi32(-IVIT_SCORE_LIMIT);
  __m512i most = lowest;
  for (int32_t j = 0; j < keys; j += 16) {
    most = _mm512_max_epi32(most, _mm512_mask_loadu_epi32(lowest, first16(keys - j), scores + j));
  }
  int32_t max = _mm512_reduce_max_epi32(most), sum = 0;
  for (int32_t j = 0; j < (int32_t)round_up((size_t)keys, 64); j++) {
    int32_t dither = ivit_softmax_dither(query, j, bits), w = 0;
    if (j < keys) w = ivit_softmax_weight((uint32_t)(max - scores[j]), op->fraction_bits, op->softmax, bits, dither);
    weights[j] = (uint8_t)(w >> (bits - 8));
    if (bits > 8) low[j] = (uint8_t)(w & ((1 << IVIT_LOW_BITS) - 1));
    sum += w;
  }
  return sum;
}

/* A tile of weighted sums, normalised and requantized: weights against one panel of value channels. */
typedef struct {
  tile_rows weights, low_weights;
  int32_t groups, rows;
  int32_t factor[TILE_ROWS]; /* ivit_sum_factor of the sum of weights */
  requantize_operands requantize;
  __m512i zero;
  ivit_type type;
  size_t out_cols;
} value_tile;

/* multiplier, multiplier_odd: of the panel's channels; out: of its first row; count: channels of the panel. */
INLINE void value_panel(const value_tile *t, const int8_t *values, const int32_t *multiplier,
                        const int32_t *multiplier_odd, void *out, int32_t count, const ivit_type type,
                        const int32_t bits, const int vectors) {
  static const int32_t nothing[TILE_COLS];
  tile acc;
  tile_multiply(acc, nothing, &t->weights, t->groups, values, vectors);
  if (bits > 8) {
    tile low;
    tile_multiply(low, nothing, &t->low_weights, t->groups, values, vectors);
    UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
      UNROLL_VECTORS for (int j = 0; j < vectors; j++) {
        acc[i][j] = _mm512_add_epi32(_mm512_slli_epi32(acc[i][j], IVIT_LOW_BITS), low[i][j]);
      }
    }
  }
  int8_t *to = out;
  UNROLL_ROWS for (int i = 0; i < TILE_ROWS; i++) {
    KEEP_LOADS_HERE;
    if (i >= t->rows) break;
    const __m512i f = _mm512_set1_epi32(t->factor[i]), half = _mm512_set1_epi64((int64_t)1 << (bits - 1));
    __m512i v[TILE_VECTORS];
    UNROLL_VECTORS for (int j = 0; j < TILE_VECTORS; j++) {
      if (j >= vectors) {
        v[j] = _mm512_setzero_si512();
        continue;
      }
      __m512i even = _mm512_srli_epi64(_mm512_add_epi64(_mm512_mul_epi32(acc[i][j], f), half), (uint32_t)bits);
      __m512i others = _mm512_srli_epi64(_mm512_add_epi64(_mm512_mul_epi32(odd(acc[i][j]), f), half), (uint32_t)bits);
      even = _mm512_mul_epi32(even, _mm512_loadu_si512(multiplier + 16 * j));
      others = _mm512_mul_epi32(others, _mm512_loadu_si512(multiplier_odd + 16 * j));
      v[j] = _mm512_srav_epi32(_mm512_add_epi32(join_high(even, others), t->requantize.round), t->requantize.shift);
    }
    store_values(type, v, t->zero, to, count);
    to += t->out_cols * element_size(type);
  }
}

typedef void value_function(const value_tile *t, const int8_t *values, const int32_t *multiplier,
                            const int32_t *multiplier_odd, void *out, int32_t count);
#define VALUE_PANEL(name, type, bits, vectors)                                            \
  NEVER_INLINE name(const value_tile *t, const int8_t *values, const int32_t *multiplier, \
                    const int32_t *multiplier_odd, void *out, int32_t count) {            \
    value_panel(t, values, multiplier, multiplier_odd, out, count, type, bits, vectors);  \
  }
VALUE_PANEL(values_u8_1, IVIT_U8, 8, 1)
VALUE_PANEL(values_u8_2, IVIT_U8, 8, 2)
VALUE_PANEL(values_u8_3, IVIT_U8, 8, 3)
VALUE_PANEL(values_u8_4, IVIT_U8, 8, 4)
VALUE_PANEL(values_rows1, IVIT_ROWS, 8, 1)
VALUE_PANEL(values_rows2, IVIT_ROWS, 8, 2)
VALUE_PANEL(values_rows3, IVIT_ROWS, 8, 3)
VALUE_PANEL(values_rows4, IVIT_ROWS, 8, 4)
VALUE_PANEL(values_any1, t->type, 8, 1)
VALUE_PANEL(values_any2, t->type, 8, 2)
VALUE_PANEL(values_any3, t->type, 8, 3)
VALUE_PANEL(values_any4, t->type, 8, 4)
VALUE_PANEL(values_split1, t->type, 12, 1)
VALUE_PANEL(values_split2, t->type, 12, 2)
VALUE_PANEL(values_split3, t->type, 12, 3)
VALUE_PANEL(values_split4, t->type, 12, 4)
static value_function *const value_functions[4][TILE_VECTORS] = {
    {values_u8_1, values_u8_2, values_u8_3, values_u8_4},
    {values_rows1, values_rows2, values_rows3, values_rows4},
    {values_any1, values_any2, values_any3, values_any4},
    {values_split1, values_split2, values_split3, values_split4},
};

static void value_panels(const value_tile *t, const ivit_attention *op, const layout *l, const workspace *w,
                         const void *packed, void *out) {
  const int8_t *values = (const int8_t *)packed + l->values_at;
  const int which = op->softmax_bits > 8 ? 3 : t->type == IVIT_U8 ? 0 : t->type == IVIT_ROWS ? 1 : 2;
  value_function *const *functions = value_functions[which];
  for (int32_t p = 0; p < l->value_panels; p++) {
    int32_t vectors = p + 1 < l->value_panels ? TILE_VECTORS : l->value_vectors, first = p * TILE_COLS;
    functions[vectors - 1](t, values, w->multiplier + first, w->multiplier_odd + first,
                           (int8_t *)out + (size_t)first * element_size(t->type),
                           ivit_min(op->value_dim - first, TILE_COLS));
    values += (size_t)l->weight_groups * (size_t)vectors * 64;
  }
}

/* Up to 6 queries as u8. */
static void load_queries(const ivit_attention *op, const int8_t *q, int32_t token, int32_t head, int32_t rows,
                         const workspace *w) {
  const __m512i flip = _mm512_set1_epi8(-128);
  for (int32_t i = 0; i < rows; i++) {
    const int8_t *row = q + ivit_locate(&op->q, token + i, head);
    for (int32_t d = 0; d < op->dim; d += 64) {
      __m512i codes = _mm512_maskz_loadu_epi8(first64(op->dim - d), row + d);
      _mm512_storeu_si512(w->queries + (size_t)i * w->query_stride + d, _mm512_xor_si512(codes, flip));
    }
  }
}

/* Weights of a tile's queries, and the factors that normalise their sums. */
INLINE void weigh_rows(const ivit_attention *op, const layout *l, const void *packed, const workspace *w,
                       score_tile *scores, const int32_t top[TILE_ROWS], int32_t query, int32_t rows,
                       int32_t factor[TILE_ROWS], const ivit_softmax kind) {
  const exponential k = exponential_of(op->fraction_bits, op->softmax_bits);
  int fits = 1;
  for (int32_t i = 0; i < rows; i++) fits &= top_fits(top[i], op->fraction_bits);
  if (!fits) score_panels(scores, l, packed, w->scores, 1);
  for (int32_t i = 0; i < rows; i++) {
    size_t at = (size_t)i * w->score_stride;
    uint8_t *weights = w->weights + at, *low = w->low_weights + at;
    const int16_t *words = (const int16_t *)w->scores + at;
    int32_t sum;
    if (!fits)
      sum = softmax_row_wide(op, (const int32_t *)w->scores + at, query + i, weights, low);
    else if (op->softmax_bits > 8)
      sum = softmax_row(words, op->keys, query + i, top[i], &k, weights, low, kind, 12);
    else
      sum = softmax_row(words, op->keys, query + i, top[i], &k, weights, low, kind, 8);
    factor[i] = ivit_sum_factor(sum, op->softmax_bits);
  }
}

void ivit_avx512_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                           const int8_t *q, const void *packed, void *out, void *scratch) {
  head_plan plan;
  if (!plan_head(op, head, &plan)) {
    ivit_portable_attention(op, window, head, query0, query1, q, packed, out, scratch);
    return;
  }
  const layout l = lay_out(op);
  const workspace w = split_scratch(op, scratch);
  const int32_t *multiplier = op->out.multiplier + head * op->value_dim;
  for (int32_t n = 0; n < op->value_dim; n += 16) {
    __m512i b = _mm512_maskz_loadu_epi32(first16(op->value_dim - n), multiplier + n);
    b = _mm512_sll_epi32(b, _mm_cvtsi32_si128(plan.value.scale));
    _mm512_storeu_si512(w.multiplier + n, b);
    _mm512_storeu_si512(w.multiplier_odd + n, odd(b));
  }

  const size_t out_cols = (size_t)op->heads * (size_t)op->value_dim, channel = (size_t)head * (size_t)op->value_dim;
  score_tile scores = {.groups = l.groups,
                       .path = plan.score.path,
                       .requantize = operands_of(&plan.score),
                       .stride = w.score_stride,
                       .last = (l.key_panels - 1) * TILE_COLS};
  for (int j = 0; j < 2; j++) scores.last_keys[j] = first_packed(op->keys - scores.last - 32 * j);
  for (int i = 0; i < 16; i++) {
    scores.multiplier[i] = (int32_t)((uint32_t)op->score_multiplier[head] << plan.score.scale);
  }
  value_tile values = {.groups = l.weight_groups,
                       .requantize = operands_of(&plan.value),
                       .zero = _mm512_set1_epi16((int16_t)op->out.zero),
                       .type = op->out.type,
                       .out_cols = out_cols};
  const size_t channel_at = channel * element_size(op->out.type), row_size = out_cols * element_size(op->out.type);

  /* A tile's values wait until the next one's scores are known, to fill the time that their maxima take to find. */
  int8_t *to = NULL;
  for (int32_t query = query0; query < query1; query += TILE_ROWS) {
    int32_t rows = ivit_min(query1 - query, TILE_ROWS), token = window * op->queries + query;
    load_queries(op, q, token, head, rows, &w);
    point_to_rows(&scores.queries, w.queries, w.query_stride, rows);
    for (int32_t i = 0; i < TILE_ROWS; i++) {
      scores.bias[i] = ivit_bias_row(op, window, head, query + ivit_min(i, rows - 1));
    }
    score_panels(&scores, &l, packed, w.scores, 0);
    int32_t top[TILE_ROWS];
    for (int32_t i = 0; i < rows; i++) top[i] = reduce_max_words(scores.most[i]);
    if (query > query0) value_panels(&values, op, &l, &w, packed, to);
    if (op->softmax == IVIT_SOFTMAX_SHIFT) {
      weigh_rows(op, &l, packed, &w, &scores, top, query, rows, values.factor, IVIT_SOFTMAX_SHIFT);
    } else {
      weigh_rows(op, &l, packed, &w, &scores, top, query, rows, values.factor, IVIT_SOFTMAX_QUADRATIC);
    }
    point_to_rows(&values.weights, w.weights, w.score_stride, rows);
    point_to_rows(&values.low_weights, w.low_weights, w.score_stride, rows);
    values.rows = rows;
    to = (int8_t *)out + (size_t)token * row_size + channel_at;
  }
  value_panels(&values, op, &l, &w, packed, to);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
