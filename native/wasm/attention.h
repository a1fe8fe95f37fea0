/* Fused attention, included by simd128.c. */

/* Queries at a time: their scores, weights and the panel at hand stay in the level 1 cache. */
enum { QUERIES = 24 };

/*
 * Packed keys and values of one window and head: panels of 8 keys, then panels of 8 value channels. Queries become u8
 * by adding 128; a panel's `start` takes that back, and CODE_OFFSET.
 */
typedef struct {
  int32_t start[PANEL];
} head_panel;

static size_t head_panel_size(int32_t length) {
  return sizeof(head_panel) + round_up((size_t)length, 8) * PANEL * sizeof(weight_t);
}

static size_t head_panels_size(int32_t columns, int32_t length) {
  return round_up((size_t)columns, PANEL) / PANEL * head_panel_size(length);
}

static size_t attention_pack_size(const ivit_attention *op) {
  return head_panels_size(op->keys, op->dim) + head_panels_size(op->value_dim, op->keys);
}

/* `start` of a panel for codes that are multiplied as the code less `offset`, but mean the code less `zero`. */
static void finish_panel(head_panel *p, int32_t groups, int32_t offset, int32_t zero) {
  const weight_t *w = (const weight_t *)(p + 1);
  v128 a = wasm_i32x4_const_splat(0), b = a;
  for (int32_t g = 0; g < groups; g++, w += GROUP_WEIGHTS) {
    a = multiply_add(a, ONES, load(w));
    b = multiply_add(b, ONES, load(w + GROUP_WEIGHTS / 2));
  }
  const v128 factor = wasm_i32x4_splat(offset - zero);
  store(p->start, wasm_i32x4_mul(a, factor));
  store(p->start + 4, wasm_i32x4_mul(b, factor));
}

/* Keys are the columns of the first product, the value channels those of the second. */
static void attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k, const int8_t *v,
                           void *packed) {
  static const int8_t zeros[PANEL];
  uint8_t *at = packed;
  for (int32_t j = 0; j < op->keys; j += PANEL, at += head_panel_size(op->dim)) {
    weight_t *panel = (weight_t *)(at + sizeof(head_panel));
    for (int32_t c = 0; c < PANEL; c++) {
      const int8_t *key = k + ivit_locate(&op->k, window * op->keys + ivit_min(j + c, op->keys - 1), head);
      for (int32_t i = 0; i < op->dim; i += 8) {
        weight_t *to = panel + i * PANEL + c * GROUP;
        if (op->dim - i >= 8) {
          put_column(to, key + i);
        } else {
          int8_t rest[8] = {0};
          for (int32_t d = i; d < op->dim; d++) rest[d - i] = key[d];
          put_column(to, rest);
        }
      }
    }
    finish_panel((head_panel *)at, groups_of(op->dim), CODE_OFFSET, 128);
  }
  for (int32_t n = 0; n < op->value_dim; n += PANEL, at += head_panel_size(op->keys)) {
    weight_t *panel = (weight_t *)(at + sizeof(head_panel));
    for (int32_t j = 0; j < op->keys; j += GROUP, panel += GROUP_WEIGHTS) {
      const int8_t *rows[GROUP];
      for (int32_t i = 0; i < GROUP; i++) {
        rows[i] = j + i < op->keys ? v + ivit_locate(&op->v, window * op->keys + j + i, head) + n : zeros;
      }
      put_group(panel, rows);
    }
    finish_panel((head_panel *)at, groups_of(op->keys), CODE_OFFSET, 0);
  }
}

typedef struct {
  int32_t *scores;     /* [QUERIES][key_stride] */
  int32_t *sums;       /* [QUERIES] */
  code_t *queries;     /* tiles */
  code_t *weights;     /* tiles */
  code_t *low_weights; /* tiles; NULL where weights are not split */
  size_t key_stride, size;
} workspace;

/* Whether weights take two planes: see IVIT_LOW_BITS. */
static int splits_weights(const ivit_attention *op) { return sizeof(code_t) == 1 && op->softmax_bits > 8; }

static workspace split_scratch(const ivit_attention *op, void *scratch) {
  workspace w = {.scores = scratch, .key_stride = round_up((size_t)op->keys, PANEL)};
  w.sums = w.scores + QUERIES * w.key_stride;
  w.queries = (code_t *)(w.sums + QUERIES);
  w.weights = w.queries + QUERIES / TILE * tile_elements(op->dim);
  code_t *end = w.weights + QUERIES / TILE * tile_elements(op->keys);
  if (splits_weights(op)) {
    w.low_weights = end;
    end += QUERIES / TILE * tile_elements(op->keys);
  }
  w.size = (size_t)((uint8_t *)end - (uint8_t *)scratch);
  return w;
}

static size_t attention_scratch(const ivit_attention *op) {
  int32_t base[1];
  return split_scratch(op, base).size;
}

/* From this distance on, in units of 2^-fraction_bits, the exponential is 0. */
enum { REACH = 15 };

/* Constants of the exponential for one number of fraction bits. */
typedef struct {
  int32_t fraction_bits;
  v128 fraction; /* the low fraction_bits bits */
  v128 scale;    /* times this a fraction is r in Q14 */
  v128 half_scale;
  v128 one, high_byte, powers, halves, curve, most;
} exponential;

INLINE exponential exponential_of(int32_t p, int32_t bits) {
  return (exponential){
      .fraction_bits = p,
      .fraction = wasm_i16x8_splat((int16_t)((1 << p) - 1)),
      .scale = wasm_i16x8_splat((int16_t)(1 << (14 - p))),
      .half_scale = wasm_i16x8_splat((int16_t)(1 << (13 - p))),
      .one = constant(wasm_i16x8_const_splat(1 << 14)),
      .high_byte = constant(wasm_i16x8_const_splat(8 << 8)),
      /* By byte: of 2^(15-q), q for the low one and q + 8 for the high one; of 2^(q-1), q and q - 8; 0 beyond. */
      .powers = constant(wasm_u8x16_const(0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1)),
      .halves = constant(wasm_u8x16_const(0, 1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0)),
      .curve = constant(wasm_i16x8_const_splat(2 * 2811)),
      .most = wasm_i16x8_splat((int16_t)(2 * ivit_softmax_most(bits))),
  };
}

/*
 * softmaxWeight of eight distances, 0 to REACH << p. The shift of m by q = d >> p is a product with 2^-q in Q15,
 * rounded; taken of m less half of 2^q it is the floor. 2^-0 does not fit Q15, but -2^15 does: the sign is dropped.
 */
INLINE v128 softmax_eight(v128 d, const exponential *k, const ivit_softmax kind, v128 dither) {
  v128 q = wasm_u16x8_shr(d, k->fraction_bits), fraction = wasm_v128_and(d, k->fraction);
  v128 m = wasm_i16x8_sub(k->one, wasm_i16x8_mul(fraction, k->half_scale));
  if (kind == IVIT_SOFTMAX_QUADRATIC) {
    /* (r*(2^14 - r)) >> 14 */
    v128 r = wasm_i16x8_mul(fraction, k->scale), rest = wasm_i16x8_sub(k->one, r);
    v128 product = wasm_i16x8_narrow_i32x4(wasm_u32x4_shr(wasm_u32x4_extmul_low_u16x8(r, rest), 14),
                                           wasm_u32x4_shr(wasm_u32x4_extmul_high_u16x8(r, rest), 14));
    m = wasm_i16x8_sub(m, wasm_i16x8_q15mulr_sat(product, k->curve));
  }
  v128 both = wasm_v128_or(q, wasm_i16x8_shl(q, 8));
  v128 power = wasm_i8x16_swizzle(k->powers, wasm_i16x8_add(both, k->high_byte));
  v128 half = wasm_i8x16_swizzle(k->halves, wasm_i16x8_sub(both, k->high_byte));
  v128 e = wasm_i16x8_abs(wasm_i16x8_q15mulr_sat(wasm_i16x8_sub(m, half), power));
  return wasm_i16x8_q15mulr_sat(wasm_i16x8_add(e, dither), k->most); /* (W*(e + dither) + 2^13) >> 14 */
}

/*
 * Scaled scores of one query to its weights, in their places of a tile.
 * @returns their sum
 */
INLINE int32_t weigh_by(int32_t *scores, int32_t keys, int32_t query, int32_t p, const ivit_softmax kind,
                        const int32_t bits, code_t *weights, code_t *low) {
  static const int16_t dithers[] = IVIT_DITHERS;
  /* Beyond the last key: never the maximum, and of weight 0, also where all scores are as low as scores become. */
  for (int32_t j = keys; j % PANEL; j++) scores[j] = INT32_MIN;
  v128 most = wasm_i32x4_const_splat(-IVIT_SCORE_LIMIT);
  for (int32_t j = 0; j < keys; j += PANEL) {
    most = wasm_i32x4_max(most, wasm_i32x4_max(load(scores + j), load(scores + j + 4)));
  }
  most = wasm_i32x4_splat(widest(most));

  const v128 limit = wasm_i32x4_splat(REACH << p);
  const exponential k = exponential_of(p, bits);
  const v128 ones = constant(wasm_i16x8_const_splat(1));
  v128 sum = wasm_i32x4_const_splat(0);
  for (int32_t j = 0; j < keys; j += PANEL, weights += PANEL * TILE) {
    v128 a = wasm_u32x4_min(wasm_i32x4_sub(most, load(scores + j)), limit);
    v128 b = wasm_u32x4_min(wasm_i32x4_sub(most, load(scores + j + 4)), limit);
    v128 dither = bits == 8 ? load(dithers + ivit_dither_at(query, j)) : wasm_i16x8_const_splat(0);
    v128 w = softmax_eight(wasm_i16x8_narrow_i32x4(a, b), &k, kind, dither);
    sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(w, ones));
    if (low) {
      v128 upper = wasm_u16x8_shr(w, IVIT_LOW_BITS);
      put_codes(weights, upper);
      put_codes(low, wasm_i16x8_sub(w, wasm_i16x8_shl(upper, IVIT_LOW_BITS)));
      low += PANEL * TILE;
    } else {
      put_codes(weights, w);
    }
  }
  sum = wasm_i32x4_add(sum, wasm_i32x4_shuffle(sum, sum, 2, 3, 0, 1));
  return wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1);
}

static int32_t weigh(const ivit_attention *op, int32_t *scores, int32_t query, code_t *weights, code_t *low) {
  const ivit_softmax shift = IVIT_SOFTMAX_SHIFT, quadratic = IVIT_SOFTMAX_QUADRATIC;
  const int32_t p = op->fraction_bits;
  if (op->softmax_bits > 8) return weigh_by(scores, op->keys, query, p, op->softmax, 12, weights, low);
  if (op->softmax == quadratic) return weigh_by(scores, op->keys, query, p, quadratic, 8, weights, NULL);
  return weigh_by(scores, op->keys, query, p, shift, 8, weights, NULL);
}

static void score_queries(const ivit_attention *op, const workspace *w, int32_t window, int32_t head, int32_t query,
                          int32_t count, const uint8_t *panels) {
  const int64_t limit = (int64_t)op->dim << 14, b = ivit_abs(op->score_multiplier[head]);
  const requantize_plan plan = plan_requantize(limit, limit * b, b, op->score_shift);
  int32_t multiplier[PANEL], scaled[PANEL];
  for (int32_t c = 0; c < PANEL; c++) {
    multiplier[c] = op->score_multiplier[head];
    scaled[c] = (int32_t)((uint32_t)multiplier[c] << plan.scale);
  }
  const v128 lo = wasm_i32x4_const_splat(-IVIT_SCORE_LIMIT), hi = wasm_i32x4_const_splat(IVIT_SCORE_LIMIT);
  for (int32_t j = 0; j < op->keys; j += PANEL, panels += head_panel_size(op->dim)) {
    const head_panel *panel = (const head_panel *)panels;
    for (int32_t r = 0; r < count; r += TILE) {
      v128 sums[2 * TILE];
      multiply_tile(sums, w->queries + (size_t)(r / TILE) * tile_elements(op->dim), groups_of(op->dim),
                    (const weight_t *)(panel + 1), panel->start);
      requantize_tile(sums, &plan, scaled, multiplier, op->score_shift);
      for (int32_t i = 0; i < ivit_min(TILE, count - r); i++) {
        const int32_t *bias = ivit_bias_row(op, window, head, query + r + i);
        int32_t *scores = w->scores + (size_t)(r + i) * w->key_stride + j;
        for (int32_t c = 0; c < 2; c++) {
          v128 s = clamp_words(sums[2 * i + c], lo, hi);
          if (bias) s = clamp_words(wasm_i32x4_add(s, load(bias + j + 4 * c)), lo, hi);
          store(scores + 4 * c, s);
        }
      }
    }
  }
}

static void sum_values(const ivit_attention *op, const workspace *w, int32_t head, size_t token, int32_t count,
                       const uint8_t *panels, void *out) {
  const size_t out_cols = (size_t)op->heads * (size_t)op->value_dim;
  const int32_t first = head * op->value_dim;
  const requantize_plan plan = plan_requantize(
      (int64_t)1 << 30, INT64_MAX >> 1, largest_multiplier(op->out.multiplier + first, op->value_dim), op->out.shift);
  const int32_t bits = op->softmax_bits;
  const v128 rounding = wasm_i64x2_splat((int64_t)1 << (bits - 1));
  for (int32_t n = 0; n < op->value_dim; n += PANEL, panels += head_panel_size(op->keys)) {
    const head_panel *panel = (const head_panel *)panels;
    const int32_t *multiplier = op->out.multiplier + first + n;
    int32_t scaled[PANEL];
    for (int32_t c = 0; c < PANEL; c++) scaled[c] = (int32_t)((uint32_t)multiplier[c] << plan.scale);
    for (int32_t r = 0; r < count; r += TILE) {
      v128 sums[2 * TILE];
      multiply_tile(sums, w->weights + (size_t)(r / TILE) * tile_elements(op->keys), groups_of(op->keys),
                    (const weight_t *)(panel + 1), panel->start);
      if (w->low_weights) {
        v128 low[2 * TILE];
        multiply_tile(low, w->low_weights + (size_t)(r / TILE) * tile_elements(op->keys), groups_of(op->keys),
                      (const weight_t *)(panel + 1), panel->start);
        for (int32_t i = 0; i < 2 * TILE; i++) sums[i] = wasm_i32x4_add(wasm_i32x4_shl(sums[i], IVIT_LOW_BITS), low[i]);
      }
      const int32_t live = ivit_min(TILE, count - r);
      for (int32_t i = 0; i < live; i++) {
        const v128 factor = wasm_i32x4_splat(ivit_sum_factor(w->sums[r + i], bits));
        for (int32_t j = 2 * i; j < 2 * i + 2; j++) {
          v128 low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(sums[j], factor), rounding);
          v128 high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(sums[j], factor), rounding);
          sums[j] =
              low_words(wasm_u64x2_shr(low, (uint32_t)bits), wasm_u64x2_shr(high, (uint32_t)bits)); /* below 2^30 */
        }
      }
      requantize_tile(sums, &plan, scaled, multiplier, op->out.shift);
      store_tile(&op->out, out, (token + (size_t)r) * out_cols + (size_t)(first + n), out_cols, sums, live,
                 ivit_min(PANEL, op->value_dim - n));
    }
  }
}

static void attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                      const int8_t *q, const void *packed, void *out, void *scratch) {
  const workspace w = split_scratch(op, scratch);
  const uint8_t *keys = packed, *values = keys + head_panels_size(op->keys, op->dim);
  for (int32_t query = query0; query < query1; query += QUERIES) {
    int32_t count = ivit_min(QUERIES, query1 - query), token = window * op->queries + query;
    for (int32_t r = 0; r < count; r += TILE) {
      const uint8_t *rows[TILE];
      for (int32_t i = 0; i < TILE; i++) {
        rows[i] = (const uint8_t *)q + ivit_locate(&op->q, token + ivit_min(r + i, count - 1), head);
      }
      interleave_tile(rows, 128, op->dim, w.queries + (size_t)(r / TILE) * tile_elements(op->dim));
    }
    score_queries(op, &w, window, head, query, count, keys);
    for (int32_t i = 0; i < count; i++) {
      size_t at = (size_t)(i / TILE) * tile_elements(op->keys) + (size_t)(i % TILE) * GROUP;
      code_t *low = w.low_weights ? w.low_weights + at : NULL;
      w.sums[i] = weigh(op, w.scores + (size_t)i * w.key_stride, query + i, w.weights + at, low);
    }
    sum_values(op, &w, head, (size_t)token, count, values, out);
  }
}
