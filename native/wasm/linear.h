/* Linear layers, included by simd128.c. */

/* Rows interleaved at a time: with the longest rows of common models they stay in the level 1 cache. */
enum { BLOCK = 24 };

static size_t linear_scratch(const ivit_linear *op) {
  if (op->x_type == IVIT_I16) {
    return tile_elements(op->in_features) * sizeof(code_t) + TILE * round_up((size_t)op->in_features, IVIT_ALIGN);
  }
  return BLOCK / TILE * tile_elements(op->in_features) * sizeof(code_t);
}

/* How the sums of a row with a scale become accumulators; `fits`: in 32 bits, and so does the plan. */
typedef struct {
  int32_t fits, mantissa, shift, half;
} row_factor;

static row_factor factor_of(const ivit_linear *op, const linear_header *h, int32_t scale) {
  row_factor f = {0};
  f.fits = row_fits(op, h, scale, &f.mantissa, &f.shift);
  if (f.fits) f.half = (int32_t)ivit_half(f.shift);
  return f;
}

/* acc = ((M'*sum + 2^(row_shift-1)) >> row_shift) + bias of one row of a tile, in place. */
static void scale_row(v128 v[2], const row_factor *f, int32_t scale, int32_t row_shift, const int32_t *bias) {
  if (f->fits) {
    const v128 m = wasm_i32x4_splat(f->mantissa), half = wasm_i32x4_splat(f->half);
    for (int32_t j = 0; j < 2; j++) v[j] = wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(v[j], m), half), f->shift);
  } else {
    const v128 m = wasm_i32x4_splat(scale), half = wasm_i64x2_splat(ivit_half(row_shift));
    for (int32_t j = 0; j < 2; j++) {
      v128 low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(v[j], m), half);
      v128 high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(v[j], m), half);
      v[j] = low_words(wasm_i64x2_shr(low, row_shift), wasm_i64x2_shr(high, row_shift));
    }
  }
  for (int32_t j = 0; j < 2; j++) v[j] = wasm_i32x4_add(v[j], load(bias + 4 * j));
}

static void add_residual(v128 v[2 * TILE], const int32_t *residual, size_t cols, int32_t rows) {
  const v128 lo = wasm_i32x4_const_splat(-IVIT_WIDE_LIMIT), hi = wasm_i32x4_const_splat(IVIT_WIDE_LIMIT);
  for (int32_t i = 0; i < rows; i++, residual += cols) {
    for (int32_t j = 0; j < 2; j++) {
      v[2 * i + j] = wasm_i32x4_add(clamp_words(v[2 * i + j], lo, hi), load(residual + 4 * j));
    }
  }
}

/* 16-bit inputs: two rows of a tile for each. */
static void linear_split(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const int16_t *x,
                         const int32_t *residual, void *out, void *scratch) {
  const linear_header *h = ((const wide_header *)op->packed)->panels;
  const size_t features = (size_t)op->in_features, cols = (size_t)op->cols, size = element_size(op->out.type);
  const size_t stride = round_up(features, IVIT_ALIGN);
  code_t *tile = scratch;
  uint8_t *planes = (uint8_t *)scratch + tile_elements(op->in_features) * sizeof(code_t);
  for (int32_t r0 = 0; r0 < rows; r0 += TILE / 2) {
    const int32_t live = ivit_min(rows - r0, TILE / 2);
    const uint8_t *tile_rows[TILE];
    for (int32_t i = 0; i < TILE / 2; i++) {
      uint8_t *high = planes + 2 * (size_t)i * stride;
      if (i < live) split_row(x + (size_t)(r0 + i) * features, op->in_features, high, high + stride);
      tile_rows[2 * i] = high;
      tile_rows[2 * i + 1] = high + stride;
    }
    interleave_tile(tile_rows, 0, op->in_features, tile);
    for (int32_t n = n0; n < n1; n += PANEL) {
      const panel *w = panel_at(h, n);
      v128 products[2 * TILE];
      int32_t sums[TILE][PANEL];
      multiply_tile(products, tile, h->groups, (const weight_t *)(w + 1), w->start);
      UNROLL_ROWS for (int32_t i = 0; i < 2 * TILE; i++) store(&sums[i / 2][4 * (i % 2)], products[i]);
      for (int32_t i = 0; i < live; i++) {
        const size_t at = (size_t)(r0 + i) * cols + (size_t)n;
        finish_split_row(op, sums[2 * i], sums[2 * i + 1], residual ? residual + at : NULL, (int8_t *)out + at * size, n,
                         ivit_min(n1 - n, PANEL));
      }
    }
  }
}

static void linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                   const int32_t *residual, void *out, void *scratch) {
  if (op->x_type == IVIT_I16) {
    linear_split(op, rows, n0, n1, x, residual, out, scratch);
    return;
  }
  const linear_header *h = op->packed;
  const requantize_plan any = {.path = WIDE};
  const size_t features = (size_t)op->in_features, cols = (size_t)op->cols;
  const size_t tile_size = tile_elements(op->in_features);
  code_t *tiles = scratch;
  row_factor factors[BLOCK];

  for (int32_t first = 0; first < rows; first += BLOCK) {
    const int32_t count = ivit_min(BLOCK, rows - first);
    for (int32_t r = 0; r < count; r += TILE) {
      const uint8_t *tile_rows[TILE];
      for (int32_t i = 0; i < TILE; i++) {
        tile_rows[i] = (const uint8_t *)x + (size_t)(first + ivit_min(r + i, count - 1)) * features;
      }
      interleave_tile(tile_rows, 0, op->in_features, tiles + (size_t)(r / TILE) * tile_size);
    }
    for (int32_t r = 0; x_scale && r < count; r++) factors[r] = factor_of(op, h, x_scale[first + r]);

    for (int32_t n = n0; n < n1; n += PANEL) {
      const panel *w = panel_at(h, n);
      for (int32_t r = 0; r < count; r += TILE) {
        v128 sums[2 * TILE];
        multiply_tile(sums, tiles + (size_t)(r / TILE) * tile_size, h->groups, (const weight_t *)(w + 1), w->start);
        const int32_t live = ivit_min(TILE, count - r);
        const size_t row = (size_t)(first + r), at = row * cols + (size_t)n;
        const requantize_plan *plan = &h->plan;
        for (int32_t i = 0; x_scale && i < live; i++) {
          const row_factor *f = factors + r + i;
          scale_row(sums + 2 * i, f, x_scale[row + (size_t)i], op->row_shift, w->bias);
          if (!f->fits) plan = &any;
        }
        requantize_tile(sums, plan, w->multiplier, op->out.multiplier + n, op->out.shift);
        if (residual) add_residual(sums, residual + at, cols, live);
        store_tile(&op->out, out, at, cols, sums, live, ivit_min(PANEL, op->cols - n));
      }
    }
  }
}
