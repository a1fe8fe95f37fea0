/* Linear layers, included by lanes.h. */

/* Packed weights: a header, then for every 16 columns their constants and weights [groups][16][GROUP]. */
typedef struct {
  requantize_plan plan;
  int32_t groups;
  int32_t bias_bound; /* max |bias| */
  int64_t sum_bound;  /* max over n of |sum x*w|, before row scale and bias */
} linear_header;

typedef struct {
  int32_t start[CHUNK]; /* (CODE_OFFSET - zero)*sum w; for u8 inputs the bias as well */
  int32_t multiplier[CHUNK];
  int32_t bias[CHUNK];
} panel;

static int32_t groups_of(int32_t elements) {
  return (int32_t)round_up((size_t)elements, GROUP * GROUP_STEP) / GROUP;
}

static size_t weights_size(int32_t groups) { return (size_t)groups * CHUNK * GROUP * sizeof(weight_t); }

static size_t panel_size(int32_t groups) { return round_up(sizeof(panel) + weights_size(groups), IVIT_ALIGN); }

static panel *panel_at(const linear_header *h, int32_t n) {
  int8_t *first = (int8_t *)h + round_up(sizeof *h, IVIT_ALIGN);
  return (panel *)(first + (size_t)(n / CHUNK) * panel_size(h->groups));
}

static size_t linear_pack_size(const ivit_linear *op) {
  if (op->x_type == IVIT_I16) return ivit_portable_linear_pack_size(op);
  size_t panels = (size_t)(op->cols + CHUNK - 1) / CHUNK;
  return round_up(sizeof(linear_header), IVIT_ALIGN) + panels * panel_size(groups_of(op->in_features));
}

static void plan_linear(const ivit_linear *op, linear_header *h) {
  int64_t product = 0, limit = 0;
  *h = (linear_header){.groups = groups_of(op->in_features)};
  for (int32_t n = 0; n < op->cols; n++) {
    int64_t sum = ivit_linear_bound(op, n);
    h->sum_bound = sum > h->sum_bound ? sum : h->sum_bound;
    h->bias_bound = ivit_max(h->bias_bound, ivit_abs(op->bias[n]));
    if (op->x_type == IVIT_ROWS) sum = ivit_shift_round(sum * ((int64_t)IVIT_ROW_LIMIT + 1), op->row_shift);
    int64_t acc = sum + ivit_abs(op->bias[n]);
    if (acc > INT32_MAX) acc = INT32_MAX;
    limit = acc > limit ? acc : limit;
    int64_t bound = acc * ivit_abs(op->out.multiplier[n]);
    product = bound > product ? bound : product;
  }
  /* With row scales the limit is checked for each row. */
  if (op->x_type == IVIT_ROWS) limit = 0;
  h->plan = plan_requantize(limit, product, largest_multiplier(op->out.multiplier, op->cols), op->out.shift);
}

static void linear_pack(const ivit_linear *op, void *packed) {
  if (op->x_type == IVIT_I16) {
    ivit_portable_linear_pack(op, packed);
    return;
  }
  linear_header *h = packed;
  plan_linear(op, h);
  size_t features = (size_t)op->in_features;
  for (int32_t n = 0; n < op->cols; n++) {
    panel *to = panel_at(h, n);
    size_t c = (size_t)n % CHUNK;
    if (c == 0) memset(to, 0, panel_size(h->groups));
    weight_t *weight = (weight_t *)(to + 1);
    const int8_t *w = op->weight + (size_t)n * features;
    int32_t sum = 0;
    for (size_t k = 0; k < features; k++) {
      sum += w[k];
      weight[((k / GROUP) * CHUNK + c) * GROUP + k % GROUP] = w[k];
    }
    to->bias[c] = op->bias[n];
    to->start[c] = (CODE_OFFSET - op->x_zero) * sum + (op->x_type == IVIT_U8 ? op->bias[n] : 0);
    to->multiplier[c] = (int32_t)((uint32_t)op->out.multiplier[n] << h->plan.scale);
  }
}

/* Rows of codes as they are multiplied. Those of 8 bits are used where they lie. */
enum { PREPARED_ROWS = 4 * TILE_ROWS };
static size_t prepared_stride(int32_t elements) { return round_up((size_t)elements, 64 / sizeof(code_t)); }

static size_t linear_scratch(const ivit_linear *op) {
  return sizeof(code_t) == 1 ? 0 : PREPARED_ROWS * prepared_stride(op->in_features) * sizeof(code_t);
}

/* Row pointers of a tile; those past the last row repeat it. */
INLINE void point_to_rows(const code_t *x, size_t stride, int32_t rows, const code_t *to[TILE_ROWS]) {
  for (int i = 0; i < TILE_ROWS; i++) to[i] = x + (size_t)(i < rows ? i : rows - 1) * stride;
}

/* Whether a row of scale M' keeps to 32 bits; with M' = mantissa*2^e the shift is row_shift - e. */
static int row_fits(const ivit_linear *op, const linear_header *h, int32_t scale, int32_t *mantissa, int32_t *shift) {
  int32_t e = ivit_max(0, ivit_bits((uint64_t)scale) - 8);
  *mantissa = scale >> e;
  *shift = op->row_shift - e;
  if (*shift < 1 || *mantissa << e != scale) return 0;
  if (h->sum_bound * *mantissa + ivit_half(*shift) >= (int64_t)1 << 31) return 0;
  int64_t acc = ivit_shift_round(h->sum_bound * scale, op->row_shift) + h->bias_bound;
  return h->plan.lift == 0 || acc < ((int64_t)1 << 31) >> h->plan.lift;
}

/* One row of a tile's sums to the layer's output: columns n to n + count. */
INLINE void finish_row(const ivit_linear *op, const linear_header *h, const panel *w, const int32_t *sums, int32_t scale,
                       const int32_t *residual, void *out, int32_t n, int32_t count) {
  int dynamic = op->x_type == IVIT_ROWS;
  int32_t mantissa = 0, shift = 0;
  if (h->plan.path == ANY || (dynamic && !row_fits(op, h, scale, &mantissa, &shift))) {
    for (int32_t c = 0; c < count; c++) {
      int64_t acc = dynamic ? ivit_shift_round((int64_t)scale * sums[c], op->row_shift) + w->bias[c] : sums[c];
      int32_t r = ivit_requantize(&op->out, acc, n + c);
      if (residual) r = ivit_clamp((int64_t)r + residual[c], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
      ivit_store(&op->out, out, (size_t)c, r);
    }
    return;
  }
  vec v[CHUNK_VECTORS], old[CHUNK_VECTORS];
  for (int j = 0; j < CHUNK_VECTORS; j++) old[j] = set1(0);
  if (residual) load_chunk(residual, count, old);
  for (int j = 0; j < CHUNK_VECTORS; j++) {
    vec s = load(sums + LANES * j);
    if (dynamic) {
      s = add(mullo(s, set1(mantissa)), set1((int32_t)ivit_half(shift)));
      s = add(shift_right(s, shift), load(w->bias + LANES * j));
    }
    v[j] = requantize(&h->plan, s, load(w->multiplier + LANES * j));
    if (residual) v[j] = add(clamp_to(v[j], IVIT_WIDE_LIMIT), old[j]);
  }
  store_chunk(op->out.type, v, op->out.zero, out, count);
}

static void linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                   const int32_t *residual, void *out, void *scratch) {
  if (op->x_type == IVIT_I16) {
    ivit_portable_linear(op, rows, n0, n1, x, x_scale, residual, out, scratch);
    return;
  }
  const linear_header *h = op->packed;
  size_t features = (size_t)op->in_features, cols = (size_t)op->cols, size = element_size(op->out.type);
  int32_t sums[TILE_ROWS][CHUNK];
  for (int32_t r0 = 0; r0 < rows; r0 += PREPARED_ROWS) {
    int32_t block = ivit_min(rows - r0, PREPARED_ROWS);
    const uint8_t *from = (const uint8_t *)x + (size_t)r0 * features;
    const code_t *codes = (const code_t *)(const void *)from;
    size_t stride = features;
    if (sizeof(code_t) != 1) {
      stride = prepared_stride(op->in_features);
      code_t *to = scratch;
      for (int32_t i = 0; i < block; i++) {
        for (size_t k = 0; k < features; k++) to[(size_t)i * stride + k] = from[(size_t)i * features + k];
      }
      codes = to;
    }
    for (int32_t n = n0; n < n1; n += CHUNK) {
      const panel *w = panel_at(h, n);
      int32_t count = ivit_min(n1 - n, CHUNK);
      for (int32_t r = 0; r < block; r += TILE_ROWS) {
        int32_t live = ivit_min(block - r, TILE_ROWS);
        const code_t *tile[TILE_ROWS];
        point_to_rows(codes + (size_t)r * stride, stride, live, tile);
        multiply_tile(sums, tile, h->groups, (const weight_t *)(w + 1), w->start);
        for (int32_t i = 0; i < live; i++) {
          size_t row = (size_t)(r0 + r + i), at = row * cols + (size_t)n;
          finish_row(op, h, w, sums[i], x_scale ? x_scale[row] : 0, residual ? residual + at : NULL,
                     (int8_t *)out + at * size, n, count);
        }
      }
    }
  }
}
