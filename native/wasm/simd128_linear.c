/*
 * Linear layers and attention as products of i16 pairs: i32x4.dot_i16x8_s multiplies eight of them exactly. Weights are
 * widened when packed, activations, less their zero point, a block of rows at a time.
 */
#include "simd128.h"

/* Rows widened at a time: with the longest rows of common models they stay in the level 2 cache. */
enum { BLOCK = 32 };

static size_t panels_size(int32_t columns, int32_t length) {
  return round_up((size_t)columns, PANEL) / PANEL * panel_elements(length) * sizeof(int16_t);
}

static void clear(void *memory, size_t bytes) { __builtin_memset(memory, 0, bytes); }

/* --- linear --- */

/* What precedes the panels in `packed`. */
typedef struct {
  int32_t fits_32_bits; /* the sum times a row scale's 8-bit mantissa does */
} linear_header;

/* Layers on i16 are rare: plain C has them. */
static int is_portable(const ivit_linear *op) { return op->x_type == IVIT_I16; }

size_t ivit_simd128_linear_pack_size(const ivit_linear *op) {
  if (is_portable(op)) return ivit_portable_linear_pack_size(op);
  return IVIT_ALIGN + panels_size(op->cols, op->in_features);
}

void ivit_simd128_linear_pack(const ivit_linear *op, void *packed) {
  if (is_portable(op)) {
    ivit_portable_linear_pack(op, packed);
    return;
  }
  linear_header *header = packed;
  int16_t *panels = (int16_t *)((uint8_t *)packed + IVIT_ALIGN);
  clear(panels, panels_size(op->cols, op->in_features));
  const int8_t *w = op->weight;
  header->fits_32_bits = 1;
  for (int32_t n = 0; n < op->cols; n++) {
    for (int32_t k = 0; k < op->in_features; k++) *panel_at(panels, n, op->in_features, k) = *w++;
    if (ivit_linear_bound(op, n) * 256 >= (int64_t)1 << 30) header->fits_32_bits = 0;
  }
}

size_t ivit_simd128_linear_scratch(const ivit_linear *op) {
  return BLOCK / TILE * tile_elements(op->in_features) * sizeof(int16_t);
}

/*
 * (M'*sum + 2^(row_shift-1)) >> row_shift of four sums. M' = m*2^e with m of 9 bits at most: where m*sum fits 32 bits, so
 * does all of it.
 */
INLINE v128 scale_sums(v128 sum, int32_t scale, int32_t row_shift, int fits_32_bits) {
  if (fits_32_bits) {
    int32_t e = __builtin_ctz((uint32_t)scale);
    v128 product = wasm_i32x4_mul(sum, wasm_i32x4_splat(scale >> e));
    int32_t shift = row_shift - e;
    if (shift <= 0) return wasm_i32x4_shl(product, -shift);
    if (shift < 31) return wasm_i32x4_shr(wasm_i32x4_add(product, wasm_i32x4_splat(1 << (shift - 1))), shift);
  }
  v128 m = wasm_i32x4_splat(scale), half = wasm_i64x2_splat(ivit_half(row_shift));
  v128 low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(sum, m), half);
  v128 high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(sum, m), half);
  return low_words(wasm_i64x2_shr(low, row_shift), wasm_i64x2_shr(high, row_shift));
}

void ivit_simd128_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                         const int32_t *x_scale, const int32_t *residual, void *out, void *scratch) {
  if (is_portable(op)) {
    ivit_portable_linear(op, rows, n0, n1, x, x_scale, residual, out, scratch);
    return;
  }
  const int32_t fits_32_bits = ((const linear_header *)op->packed)->fits_32_bits;
  const int16_t *panels = (const int16_t *)((const uint8_t *)op->packed + IVIT_ALIGN);
  const uint8_t *codes = x;
  int16_t *tiles = scratch;
  const size_t features = (size_t)op->in_features, cols = (size_t)op->cols;
  const size_t tile_size = tile_elements(op->in_features), panel_size = panel_elements(op->in_features);
  const v128 half = wasm_i64x2_splat(ivit_half(op->out.shift));
  const v128 lo = wasm_i32x4_splat(-IVIT_WIDE_LIMIT), hi = wasm_i32x4_splat(IVIT_WIDE_LIMIT);

  for (int32_t first = 0; first < rows; first += BLOCK) {
    int32_t count = ivit_min(BLOCK, rows - first);
    for (int32_t r = 0; r < count; r += TILE) {
      const uint8_t *tile_rows[TILE];
      for (int32_t i = 0; i < TILE; i++) tile_rows[i] = codes + (size_t)(first + ivit_min(r + i, count - 1)) * features;
      interleave_tile(tile_rows, 0, op->x_zero, op->in_features, tiles + (size_t)(r / TILE) * tile_size);
    }
    for (int32_t n = n0; n < n1; n += PANEL) {
      const int16_t *panel = panels + (size_t)(n / PANEL) * panel_size;
      const v128 bias0 = load(op->bias + n), bias1 = load(op->bias + n + 4);
      const v128 multiplier0 = load(op->out.multiplier + n), multiplier1 = load(op->out.multiplier + n + 4);
      for (int32_t r = 0; r < count; r += TILE) {
        v128 acc[2 * TILE];
        multiply_tile(acc, tiles + (size_t)(r / TILE) * tile_size, panel, op->in_features);
        for (int32_t i = 0; i < ivit_min(TILE, count - r); i++) {
          size_t row = (size_t)(first + r + i), at = row * cols + (size_t)n;
          v128 a = acc[2 * i], b = acc[2 * i + 1];
          if (x_scale) {
            a = scale_sums(a, x_scale[row], op->row_shift, fits_32_bits);
            b = scale_sums(b, x_scale[row], op->row_shift, fits_32_bits);
          }
          a = scale_words(wasm_i32x4_add(a, bias0), multiplier0, half, half, op->out.shift);
          b = scale_words(wasm_i32x4_add(b, bias1), multiplier1, half, half, op->out.shift);
          if (residual) {
            a = wasm_i32x4_add(clamp_words(a, lo, hi), load(residual + at));
            b = wasm_i32x4_add(clamp_words(b, lo, hi), load(residual + at + 4));
          }
          store_eight(&op->out, out, at, a, b, ivit_min(PANEL, op->cols - n));
        }
      }
    }
  }
}

/* --- attention --- */

/* Queries at a time: their scores, weights and the panel at hand stay in the level 1 cache. */
enum { QUERIES = 16 };

size_t ivit_simd128_attention_pack_size(const ivit_attention *op) {
  return panels_size(op->keys, op->dim) + panels_size(op->value_dim, op->keys);
}

/* Keys are the columns of the first product, the value channels those of the second. */
void ivit_simd128_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                 const int8_t *v, void *packed) {
  int16_t *keys = packed;
  int16_t *values = (int16_t *)((uint8_t *)packed + panels_size(op->keys, op->dim));
  if (op->dim % STEP) clear(keys, panels_size(op->keys, op->dim));
  if (op->keys % STEP) clear(values, panels_size(op->value_dim, op->keys));
  for (int32_t j = 0; j < op->keys; j++) {
    int32_t token = window * op->keys + j;
    const int8_t *key = k + ivit_locate(&op->k, token, head);
    int16_t *to = panel_at(keys, j, op->dim, 0);
    for (int32_t i = 0; i < op->dim; i += 2, to += 2 * PANEL) {
      to[0] = key[i];
      if (i + 1 < op->dim) to[1] = key[i + 1];
    }
    const int8_t *value = v + ivit_locate(&op->v, token, head);
    for (int32_t n = 0; n < op->value_dim; n += PANEL) {
      to = panel_at(values, n, op->keys, j);
      int32_t count = ivit_min(PANEL, op->value_dim - n);
      for (int32_t i = 0; i < count; i++) to[2 * i] = value[n + i];
    }
  }
}

typedef struct {
  int32_t *scores;  /* [QUERIES][key_stride] */
  int16_t *queries; /* tiles */
  int16_t *weights; /* tiles */
  int32_t *sums;    /* [QUERIES] */
  size_t key_stride;
} attention_memory;

static attention_memory lay_out(const ivit_attention *op, void *scratch) {
  attention_memory m = {.scores = scratch, .key_stride = round_up((size_t)op->keys, PANEL)};
  m.queries = (int16_t *)(m.scores + QUERIES * m.key_stride);
  m.weights = m.queries + QUERIES / TILE * tile_elements(op->dim);
  m.sums = (int32_t *)(m.weights + QUERIES / TILE * tile_elements(op->keys));
  return m;
}

size_t ivit_simd128_attention_scratch(const ivit_attention *op) {
  size_t scores = QUERIES * round_up((size_t)op->keys, PANEL) * sizeof(int32_t);
  size_t tiles = QUERIES / TILE * (tile_elements(op->dim) + tile_elements(op->keys)) * sizeof(int16_t);
  return scores + tiles + QUERIES * sizeof(int32_t);
}

/* The softmax weights of every distance at which they are not 0, by fraction bits and kind: computed once. */
enum { LEAST_BITS = 8, MOST_BITS = 11, REACH = 9 };
static uint8_t weight_tables[MOST_BITS - LEAST_BITS + 1][2][(REACH << MOST_BITS) + 1];

static const uint8_t *weight_table(int32_t fraction_bits, ivit_softmax kind) {
  uint8_t *table = weight_tables[fraction_bits - LEAST_BITS][kind];
  if (table[0] == 0) {
    for (int32_t d = 0; d <= REACH << fraction_bits; d++) {
      table[d] = (uint8_t)ivit_softmax_weight((uint32_t)d, fraction_bits, kind);
    }
  }
  return table;
}

/*
 * Scaled scores of one query to weights, pairs of them into its place in a tile.
 * @returns their sum
 */
static int32_t weigh(int32_t *scores, int32_t keys, const uint8_t *table, int32_t reach, int16_t *weights) {
  /* Beyond the last key: never the maximum. The weight that comes of it meets a zero in the panel, but must not add to
   * the sum. */
  for (int32_t j = keys; j % PANEL; j++) scores[j] = -IVIT_SCORE_LIMIT;
  v128 most = wasm_i32x4_const_splat(-IVIT_SCORE_LIMIT);
  for (int32_t j = 0; j < keys; j += 4) most = wasm_i32x4_max(most, load(scores + j));
  most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 2, 3, 0, 1));
  most = wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 1, 0, 3, 2));

  const v128 limit = wasm_i32x4_splat(reach);
  for (int32_t j = 0; j < keys; j += 4) {
    store(scores + j, wasm_u32x4_min(wasm_i32x4_sub(most, load(scores + j)), limit));
  }
  int32_t sum = 0, j = 0;
  for (; j + 2 <= keys; j += 2, weights += 2 * TILE) {
    int32_t a = table[scores[j]], b = table[scores[j + 1]];
    *(int32_t *)weights = a | b << 16;
    sum += a + b;
  }
  if (j < keys) {
    *(int32_t *)weights = table[scores[j]];
    sum += table[scores[j]];
  }
  return sum;
}

static void score_queries(const ivit_attention *op, const attention_memory *m, int32_t window, int32_t head,
                          int32_t query, int32_t count, const int16_t *panels) {
  const v128 multiplier = wasm_i32x4_splat(op->score_multiplier[head]);
  const v128 half = wasm_i64x2_splat(ivit_half(op->score_shift));
  const v128 lo = wasm_i32x4_splat(-IVIT_SCORE_LIMIT), hi = wasm_i32x4_splat(IVIT_SCORE_LIMIT);
  for (int32_t j = 0; j < op->keys; j += PANEL, panels += panel_elements(op->dim)) {
    for (int32_t r = 0; r < count; r += TILE) {
      v128 acc[2 * TILE];
      multiply_tile(acc, m->queries + (size_t)(r / TILE) * tile_elements(op->dim), panels, op->dim);
      for (int32_t i = 0; i < ivit_min(TILE, count - r); i++) {
        v128 a = clamp_words(scale_words(acc[2 * i], multiplier, half, half, op->score_shift), lo, hi);
        v128 b = clamp_words(scale_words(acc[2 * i + 1], multiplier, half, half, op->score_shift), lo, hi);
        const int32_t *bias = ivit_bias_row(op, window, head, query + r + i);
        if (bias) {
          a = clamp_words(wasm_i32x4_add(a, load(bias + j)), lo, hi);
          b = clamp_words(wasm_i32x4_add(b, load(bias + j + 4)), lo, hi);
        }
        int32_t *scores = m->scores + (size_t)(r + i) * m->key_stride + j;
        store(scores, a);
        store(scores + 4, b);
      }
    }
  }
}

static void sum_values(const ivit_attention *op, const attention_memory *m, int32_t head, size_t token, int32_t count,
                       const int16_t *panels, void *out) {
  const size_t out_cols = (size_t)op->heads * (size_t)op->value_dim;
  const v128 half = wasm_i64x2_splat(ivit_half(op->out.shift)), rounding = wasm_i64x2_const_splat(128);
  for (int32_t n = 0; n < op->value_dim; n += PANEL, panels += panel_elements(op->keys)) {
    const int32_t channel = head * op->value_dim + n;
    const v128 multiplier0 = load(op->out.multiplier + channel), multiplier1 = load(op->out.multiplier + channel + 4);
    for (int32_t r = 0; r < count; r += TILE) {
      v128 acc[2 * TILE];
      multiply_tile(acc, m->weights + (size_t)(r / TILE) * tile_elements(op->keys), panels, op->keys);
      for (int32_t i = 0; i < ivit_min(TILE, count - r); i++) {
        const v128 factor = wasm_i32x4_splat(ivit_sum_factor(m->sums[r + i]));
        v128 o[2];
        for (int32_t j = 0; j < 2; j++) {
          v128 low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(acc[2 * i + j], factor), rounding);
          v128 high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(acc[2 * i + j], factor), rounding);
          o[j] = low_words(wasm_u64x2_shr(low, 8), wasm_u64x2_shr(high, 8)); /* |o| < 2^30 */
        }
        v128 a = scale_words(o[0], multiplier0, half, half, op->out.shift);
        v128 b = scale_words(o[1], multiplier1, half, half, op->out.shift);
        size_t at = (token + (size_t)(r + i)) * out_cols + (size_t)channel;
        store_eight(&op->out, out, at, a, b, ivit_min(PANEL, op->value_dim - n));
      }
    }
  }
}

void ivit_simd128_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                            const int8_t *q, const void *packed, void *out, void *scratch) {
  const attention_memory m = lay_out(op, scratch);
  const int16_t *keys = packed;
  const int16_t *values = (const int16_t *)((const uint8_t *)packed + panels_size(op->keys, op->dim));
  const uint8_t *table = weight_table(op->fraction_bits, op->softmax);
  const int32_t reach = REACH << op->fraction_bits;
  for (int32_t query = query0; query < query1; query += QUERIES) {
    int32_t count = ivit_min(QUERIES, query1 - query), token = window * op->queries + query;
    for (int32_t r = 0; r < count; r += TILE) {
      const uint8_t *rows[TILE];
      for (int32_t i = 0; i < TILE; i++) {
        rows[i] = (const uint8_t *)q + ivit_locate(&op->q, token + ivit_min(r + i, count - 1), head);
      }
      interleave_tile(rows, 1, 0, op->dim, m.queries + (size_t)(r / TILE) * tile_elements(op->dim));
    }
    score_queries(op, &m, window, head, query, count, keys);
    for (int32_t i = 0; i < count; i++) {
      int16_t *weights = m.weights + (size_t)(i / TILE) * tile_elements(op->keys) + 2 * (i % TILE);
      m.sums[i] = weigh(m.scores + (size_t)i * m.key_stride, op->keys, table, reach, weights);
    }
    sum_values(op, &m, head, (size_t)token, count, values, out);
  }
}
