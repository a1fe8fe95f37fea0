/* Linear layers, included by lanes.h. */

/* Rows of codes as they are multiplied. Those that have the product's width are used where they lie. */
enum { PREPARED_ROWS = 4 * TILE_ROWS };
static size_t prepared_stride(int32_t elements) { return round_up((size_t)elements, 64 / sizeof(code_t)); }

static size_t linear_scratch(const ivit_linear *op) {
  size_t stride = prepared_stride(op->in_features), prepared = PREPARED_ROWS * stride * sizeof(code_t);
  if (op->x_type == IVIT_I16) return prepared + 2 * stride;
  return sizeof(code_t) == 1 ? 0 : prepared;
}

/* Row pointers of a tile; those past the last row repeat it. */
INLINE void point_to_rows(const code_t *x, size_t stride, int32_t rows, const code_t *to[TILE_ROWS]) {
  for (int i = 0; i < TILE_ROWS; i++) to[i] = x + (size_t)(i < rows ? i : rows - 1) * stride;
}

/*
 * One row of a tile's sums to the layer's output: columns n to n + count. `high`: where the row is one of two codes,
 * the sums of the upper ones, else NULL.
 */
INLINE void finish_row(const ivit_linear *op, const linear_header *h, const panel *w, const int32_t *sums,
                       const int32_t *high, int32_t scale, const int32_t *residual, void *out, int32_t n,
                       int32_t count) {
  if (high && h->plan.path == WIDE) {
    finish_split_row(op, high, sums, residual, out, n, count);
    return;
  }
  int dynamic = op->x_type == IVIT_ROWS;
  int32_t mantissa = 0, shift = 0;
  if (h->plan.path == WIDE || (dynamic && !row_fits(op, h, scale, &mantissa, &shift))) {
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
    if (high) s = add(add(s, shift_left(load(high + LANES * j), 8)), load(w->bias + LANES * j));
    if (dynamic) {
      s = add(mullo(s, set1(mantissa)), set1((int32_t)ivit_half(shift)));
      s = add(shift_right(s, shift), load(w->bias + LANES * j));
    }
    v[j] = requantize(&h->plan, s, load(w->multiplier + LANES * j));
    if (residual) v[j] = add(clamp_to(v[j], IVIT_WIDE_LIMIT), old[j]);
  }
  store_chunk(op->out.type, v, op->out.zero, out, count);
}

/* 16-bit inputs as two rows of codes. */
static void linear_split(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const int16_t *x,
                         const int32_t *residual, void *out, void *scratch) {
  const linear_header *h = op->packed;
  size_t features = (size_t)op->in_features, cols = (size_t)op->cols, size = element_size(op->out.type);
  const size_t stride = prepared_stride(op->in_features);
  code_t *codes = scratch;
  uint8_t *bytes = (uint8_t *)scratch + PREPARED_ROWS * stride * sizeof(code_t);
  int32_t sums[TILE_ROWS][CHUNK];
  for (int32_t r0 = 0; r0 < rows; r0 += PREPARED_ROWS / 2) {
    int32_t block = ivit_min(rows - r0, PREPARED_ROWS / 2);
    for (int32_t i = 0; i < block; i++) {
      code_t *to = codes + 2 * (size_t)i * stride;
      uint8_t *high = sizeof(code_t) == 1 ? (uint8_t *)to : bytes;
      split_row(x + (size_t)(r0 + i) * features, op->in_features, high, high + stride);
      if (sizeof(code_t) != 1)
        for (size_t k = 0; k < 2 * stride; k++) to[k] = high[k];
    }
    for (int32_t n = n0; n < n1; n += CHUNK) {
      const panel *w = panel_at(h, n);
      const weight_t *weight = weights_at(h, n);
      for (int32_t r = 0; r < block; r += TILE_ROWS / 2) {
        int32_t live = ivit_min(block - r, TILE_ROWS / 2);
        const code_t *tile[TILE_ROWS];
        point_to_rows(codes + 2 * (size_t)r * stride, stride, 2 * live, tile);
        multiply_tile(sums, tile, h->groups, weight, w->start);
        for (int32_t i = 0; i < live; i++) {
          size_t at = (size_t)(r0 + r + i) * cols + (size_t)n;
          finish_row(op, h, w, sums[2 * i + 1], sums[2 * i], 0, residual ? residual + at : NULL,
                     (int8_t *)out + at * size, n, ivit_min(n1 - n, CHUNK));
        }
      }
    }
  }
}

static void linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                   const int32_t *residual, void *out, void *scratch) {
  const linear_header *h = op->packed;
  const int words = op->x_type == IVIT_I16;
  if (words && !multiplies_words(h)) {
    linear_split(op, rows, n0, n1, x, residual, out, scratch);
    return;
  }
  size_t features = (size_t)op->in_features, cols = (size_t)op->cols, size = element_size(op->out.type);
  int32_t sums[TILE_ROWS][CHUNK];
  for (int32_t r0 = 0; r0 < rows; r0 += PREPARED_ROWS) {
    int32_t block = ivit_min(rows - r0, PREPARED_ROWS);
    const uint8_t *from = (const uint8_t *)x + (size_t)r0 * features * (words ? 2 : 1);
    const code_t *codes = (const code_t *)(const void *)from;
    size_t stride = features;
    if (sizeof(code_t) != 1 && !words) {
      stride = prepared_stride(op->in_features);
      code_t *to = scratch;
      for (int32_t i = 0; i < block; i++) {
        for (size_t k = 0; k < features; k++) to[(size_t)i * stride + k] = from[(size_t)i * features + k];
      }
      codes = to;
    }
    for (int32_t n = n0; n < n1; n += CHUNK) {
      const panel *w = panel_at(h, n);
      const weight_t *weight = weights_at(h, n);
      int32_t count = ivit_min(n1 - n, CHUNK);
      for (int32_t r = 0; r < block; r += TILE_ROWS) {
        int32_t live = ivit_min(block - r, TILE_ROWS);
        const code_t *tile[TILE_ROWS];
        point_to_rows(codes + (size_t)r * stride, stride, live, tile);
        multiply_tile(sums, tile, h->groups, weight, w->start);
        for (int32_t i = 0; i < live; i++) {
          size_t row = (size_t)(r0 + r + i), at = row * cols + (size_t)n;
          finish_row(op, h, w, sums[i], NULL, x_scale ? x_scale[row] : 0, residual ? residual + at : NULL,
                     (int8_t *)out + at * size, n, count);
        }
      }
    }
  }
}
