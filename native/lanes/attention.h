/* Fused attention, included by lanes.h: TILE_ROWS queries at a time. */

/*
 * Packed keys and values of one window and head, as panels of 16 columns like those of linear layers: keys [dim/GROUP]
 * [16 keys][GROUP], values [keys/GROUP][16 channels][GROUP]. Queries become u8 by adding 128; `start` of a panel takes
 * that back.
 */
typedef struct {
  int32_t query_groups, weight_groups, key_panels, value_panels;
  size_t key_panel, value_panel; /* bytes */
} layout;

static layout lay_out(const ivit_attention *op) {
  layout l = {.query_groups = groups_of(op->dim), .weight_groups = groups_of(op->keys)};
  l.key_panels = (op->keys + CHUNK - 1) / CHUNK;
  l.value_panels = (op->value_dim + CHUNK - 1) / CHUNK;
  l.key_panel = CHUNK * sizeof(int32_t) + weights_size(l.query_groups);
  l.value_panel = CHUNK * sizeof(int32_t) + weights_size(l.weight_groups);
  return l;
}

typedef struct {
  requantize_plan score, value;
} head_plan;

/*
 * Returns whether this head can be computed here: its scores stay so small that max - score cannot overflow, and 32-bit
 * shifts suffice. Otherwise portable.c packs and computes it.
 */
static int plan_head(const ivit_attention *op, int32_t head, head_plan *plan) {
  int64_t b = ivit_abs(op->score_multiplier[head]), limit = (int64_t)op->dim << 14, bound = limit * b;
  plan->score = plan_requantize(limit, bound, b, op->score_shift);
  int64_t largest = largest_multiplier(op->out.multiplier + head * op->value_dim, op->value_dim);
  plan->value = plan_requantize((int64_t)1 << 30, INT64_MAX >> 1, largest, op->out.shift);
  return plan->score.path != WIDE && plan->value.path != WIDE &&
         ivit_shift_round(bound, op->score_shift) <= IVIT_SCORE_LIMIT >> 2;
}

static size_t attention_pack_size(const ivit_attention *op) {
  layout l = lay_out(op);
  size_t own = (size_t)l.key_panels * l.key_panel + (size_t)l.value_panels * l.value_panel;
  size_t portable = ivit_portable_attention_pack_size(op);
  return own > portable ? own : portable;
}

static void attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k, const int8_t *v,
                           void *packed) {
  head_plan plan;
  if (!plan_head(op, head, &plan)) {
    ivit_portable_attention_pack(op, window, head, k, v, packed);
    return;
  }
  layout l = lay_out(op);
  int8_t *keys = packed, *values = keys + (size_t)l.key_panels * l.key_panel;
  memset(packed, 0, (size_t)l.key_panels * l.key_panel + (size_t)l.value_panels * l.value_panel);
  for (int32_t j = 0; j < op->keys; j++) {
    int32_t token = window * op->keys + j;
    const int8_t *key = k + ivit_locate(&op->k, token, head), *value = v + ivit_locate(&op->v, token, head);
    int32_t *start = (int32_t *)(keys + (size_t)(j / CHUNK) * l.key_panel);
    weight_t *to = (weight_t *)(start + CHUNK) + j % CHUNK * GROUP;
    int32_t sum = 0;
    for (int32_t i = 0; i < op->dim; i++) {
      sum += key[i];
      to[i / GROUP * CHUNK * GROUP + i % GROUP] = key[i];
    }
    start[j % CHUNK] = (CODE_OFFSET - 128) * sum;
    for (int32_t i = 0; i < op->value_dim; i++) {
      int32_t *first = (int32_t *)(values + (size_t)(i / CHUNK) * l.value_panel);
      first[i % CHUNK] += CODE_OFFSET * value[i];
      ((weight_t *)(first + CHUNK))[(j / GROUP * CHUNK + i % CHUNK) * GROUP + j % GROUP] = value[i];
    }
  }
}

/* Whether weights take two planes: see IVIT_LOW_BITS. */
static int splits_weights(const ivit_attention *op) { return sizeof(code_t) == 1 && op->softmax_bits > 8; }

/* Scratch: TILE_ROWS rows of queries, of scores and of weights (and their low bits), and a head's multipliers. */
typedef struct {
  size_t query_stride, score_stride, weight_stride;
  code_t *queries, *weights, *low_weights; /* low_weights: NULL where weights are not split */
  int32_t *scores, *multiplier;
  size_t size;
} workspace;

static workspace split_scratch(const ivit_attention *op, void *scratch) {
  workspace w = {.query_stride = prepared_stride(op->dim),
                 .score_stride = round_up((size_t)op->keys, CHUNK),
                 .weight_stride = prepared_stride(op->keys)};
  size_t at = 0;
  w.queries = scratch;
  at += TILE_ROWS * w.query_stride * sizeof(code_t);
  w.scores = (int32_t *)((int8_t *)scratch + at);
  at += TILE_ROWS * w.score_stride * sizeof(int32_t);
  w.weights = (code_t *)((int8_t *)scratch + at);
  at += TILE_ROWS * w.weight_stride * sizeof(code_t);
  if (splits_weights(op)) {
    w.low_weights = (code_t *)((int8_t *)scratch + at);
    at += TILE_ROWS * w.weight_stride * sizeof(code_t);
  }
  w.multiplier = (int32_t *)((int8_t *)scratch + at);
  w.size = at + round_up((size_t)op->value_dim, CHUNK) * sizeof(int32_t);
  return w;
}

static size_t attention_scratch(const ivit_attention *op) {
  int32_t base[1];
  size_t own = split_scratch(op, base).size, portable = ivit_portable_attention_scratch(op);
  return own > portable ? own : portable;
}

/* softmaxWeight of d = max - x; `most`: see ivit_softmax_most. */
INLINE vec softmax_weight(vec d, int32_t p, ivit_softmax kind, int32_t most, vec dither) {
  vec q = min(shift_right(d, p), set1(15));
  vec r = shift_left(sub(d, shift_left(shift_right(d, p), p)), 14 - p);
  vec m = sub(set1(1 << 14), shift_right(r, 1));
  if (kind == IVIT_SOFTMAX_QUADRATIC) {
    vec product = shift_right(mullo(r, sub(set1(1 << 14), r)), 14);
    m = sub(m, shift_right(add(mullo(product, set1(2811)), set1(1 << 13)), 14));
  }
  vec e = add(shift_right_each(m, q), dither);
  return shift_right(add(mullo(e, set1(most)), set1(1 << 13)), 14);
}

/* `low`: NULL where weights are not split. */
INLINE void store_weights(code_t *to, code_t *low, const vec w[CHUNK_VECTORS]) {
  if (sizeof(code_t) != 1) {
    store_words(to, w);
    return;
  }
  if (!low) {
    store_bytes_u8(to, w, 0);
    return;
  }
  vec upper[CHUNK_VECTORS], lower[CHUNK_VECTORS];
  for (int i = 0; i < CHUNK_VECTORS; i++) {
    upper[i] = shift_right(w[i], IVIT_LOW_BITS);
    lower[i] = sub(w[i], shift_left(upper[i], IVIT_LOW_BITS));
  }
  store_bytes_u8(to, upper, 0);
  store_bytes_u8(low, lower, 0);
}

/* Weights of one row of scores. Returns their sum. */
static int32_t softmax_row(const ivit_attention *op, int32_t *scores, int32_t query, code_t *weights, code_t *low) {
  static const int32_t dithers[] = IVIT_DITHERS;
  const int32_t keys = op->keys, p = op->fraction_bits, at_most = ivit_softmax_most(op->softmax_bits);
  const ivit_softmax kind = op->softmax;
  for (int32_t j = keys; j % CHUNK; j++) scores[j] = -IVIT_SCORE_LIMIT; /* far below all others */
  vec most = set1(-IVIT_SCORE_LIMIT), sum = set1(0);
  for (int32_t j = 0; j < keys; j += LANES) most = max(most, load(scores + j));
  const vec top = set1(reduce_max(most));
  for (int32_t j = 0; j < keys; j += CHUNK) {
    vec w[CHUNK_VECTORS];
    for (int i = 0; i < CHUNK_VECTORS; i++) {
      const vec dither = op->softmax_bits == 8 ? load(dithers + ivit_dither_at(query, j + LANES * i)) : set1(0);
      w[i] = softmax_weight(sub(top, load(scores + j + LANES * i)), p, kind, at_most, dither);
      sum = add(sum, w[i]);
    }
    store_weights(weights + j, low ? low + j : NULL, w);
  }
  return reduce_add(sum);
}

static void load_queries(const ivit_attention *op, const int8_t *q, int32_t head, int32_t token, int32_t rows,
                         const workspace *w) {
  for (int32_t i = 0; i < rows; i++) {
    const int8_t *row = q + ivit_locate(&op->q, token + i, head);
    code_t *to = w->queries + (size_t)i * w->query_stride;
    for (int32_t d = 0; d < op->dim; d++) to[d] = (code_t)(row[d] + 128);
  }
}

static void score_rows(const ivit_attention *op, const layout *l, const workspace *w, const void *packed,
                       const requantize_plan *plan, int32_t head, int32_t rows) {
  int32_t sums[TILE_ROWS][CHUNK];
  const code_t *tile[TILE_ROWS];
  point_to_rows(w->queries, w->query_stride, rows, tile);
  const vec b = set1((int32_t)((uint32_t)op->score_multiplier[head] << plan->scale));
  const int8_t *keys = packed;
  for (int32_t p = 0; p < l->key_panels; p++, keys += l->key_panel) {
    const int32_t *start = (const int32_t *)keys;
    multiply_tile(sums, tile, l->query_groups, (const weight_t *)(start + CHUNK), start);
    for (int32_t i = 0; i < rows; i++) {
      int32_t *to = w->scores + (size_t)i * w->score_stride + (size_t)p * CHUNK;
      for (int j = 0; j < CHUNK; j += LANES) store(to + j, requantize(plan, load(sums[i] + j), b));
    }
  }
}

static void value_rows(const ivit_attention *op, const layout *l, const workspace *w, const int8_t *values,
                       const requantize_plan *plan, const int32_t factor[TILE_ROWS], int32_t rows, void *out) {
  int32_t sums[TILE_ROWS][CHUNK], low[TILE_ROWS][CHUNK];
  const code_t *tile[TILE_ROWS], *low_tile[TILE_ROWS];
  point_to_rows(w->weights, w->weight_stride, rows, tile);
  if (w->low_weights) point_to_rows(w->low_weights, w->weight_stride, rows, low_tile);
  size_t out_cols = (size_t)op->heads * (size_t)op->value_dim, size = element_size(op->out.type);
  for (int32_t n = 0; n < op->value_dim; n += CHUNK, values += l->value_panel) {
    const int32_t *start = (const int32_t *)values;
    multiply_tile(sums, tile, l->weight_groups, (const weight_t *)(start + CHUNK), start);
    if (w->low_weights) multiply_tile(low, low_tile, l->weight_groups, (const weight_t *)(start + CHUNK), start);
    for (int32_t i = 0; i < rows; i++) {
      vec v[CHUNK_VECTORS];
      for (int j = 0; j < CHUNK_VECTORS; j++) {
        vec acc = load(sums[i] + LANES * j);
        if (w->low_weights) acc = add(shift_left(acc, IVIT_LOW_BITS), load(low[i] + LANES * j));
        /* (acc*f + 2^(bits-1)) >> bits = (((acc*f) >> (bits-1)) + 1) >> 1, and |acc*f| < 2^(30+bits). */
        vec o = mul_shift(acc, set1(factor[i]), op->softmax_bits - 1);
        o = shift_right(add(o, set1(1)), 1);
        v[j] = requantize(plan, o, load(w->multiplier + n + LANES * j));
      }
      int8_t *to = (int8_t *)out + ((size_t)i * out_cols + (size_t)n) * size;
      store_chunk(op->out.type, v, op->out.zero, to, op->value_dim - n);
    }
  }
}

static void attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                      const int8_t *q, const void *packed, void *out, void *scratch) {
  head_plan plan;
  if (!plan_head(op, head, &plan)) {
    ivit_portable_attention(op, window, head, query0, query1, q, packed, out, scratch);
    return;
  }
  const layout l = lay_out(op);
  const workspace w = split_scratch(op, scratch);
  const int8_t *values = (const int8_t *)packed + (size_t)l.key_panels * l.key_panel;
  const int32_t *multiplier = op->out.multiplier + head * op->value_dim;
  for (int32_t n = 0; n < op->value_dim; n++) {
    w.multiplier[n] = (int32_t)((uint32_t)multiplier[n] << plan.value.scale);
  }
  size_t out_cols = (size_t)op->heads * (size_t)op->value_dim;
  for (int32_t query = query0; query < query1; query += TILE_ROWS) {
    int32_t rows = ivit_min(query1 - query, TILE_ROWS), token = window * op->queries + query;
    load_queries(op, q, head, token, rows, &w);
    score_rows(op, &l, &w, packed, &plan.score, head, rows);
    int32_t factor[TILE_ROWS];
    for (int32_t i = 0; i < rows; i++) {
      int32_t *scores = w.scores + (size_t)i * w.score_stride;
      const int32_t *bias = ivit_bias_row(op, window, head, query + i);
      for (int32_t j = 0; bias && j < op->keys; j++) scores[j] += bias[j];
      code_t *weights = w.weights + (size_t)i * w.weight_stride;
      code_t *low = w.low_weights ? w.low_weights + (size_t)i * w.weight_stride : NULL;
      int32_t sum = softmax_row(op, scores, query + i, weights, low);
      factor[i] = ivit_sum_factor(sum, op->softmax_bits);
    }
    size_t at = (size_t)token * out_cols + (size_t)(head * op->value_dim);
    value_rows(op, &l, &w, values, &plan.value, factor, rows, (int8_t *)out + at * element_size(op->out.type));
  }
}
