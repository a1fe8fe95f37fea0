/* Linear layers, included by simd128.c. */

/* Rows interleaved at a time: with the longest rows of common models they stay in the level 1 cache. */
enum { BLOCK = 24 };

static size_t linear_scratch(const ivit_linear *op) {
  size_t planes = op->x_type == IVIT_I16 ? TILE * round_up((size_t)op->in_features, IVIT_ALIGN) : 0;
  return BLOCK / TILE * tile_elements(op->in_features) * sizeof(code_t) + planes;
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

/* Rows of a 16-bit input, as they are, for a tile; those past the last repeat it. */
static void interleave_words_of(const int16_t *x, int32_t rows, int32_t features, code_t *to) {
  const int16_t *tile_rows[TILE];
  for (int32_t i = 0; i < TILE; i++) tile_rows[i] = x + (size_t)ivit_min(i, rows - 1) * (size_t)features;
  interleave_words(tile_rows, features, to);
}

/* Rows of codes. */
static void interleave_codes_of(const uint8_t *x, size_t stride, int32_t rows, int32_t features, code_t *to) {
  const uint8_t *tile_rows[TILE];
  for (int32_t i = 0; i < TILE; i++) tile_rows[i] = x + (size_t)ivit_min(i, rows - 1) * stride;
  interleave_tile(tile_rows, 0, features, to);
}

/* Half a tile of rows of a 16-bit input, each as two rows of codes. */
static void interleave_split(const int16_t *x, int32_t rows, int32_t features, uint8_t *planes, code_t *to) {
  const size_t stride = round_up((size_t)features, IVIT_ALIGN);
  for (int32_t i = 0; i < rows; i++) {
    uint8_t *high = planes + 2 * (size_t)i * stride;
    split_row(x + (size_t)i * (size_t)features, features, high, high + stride);
  }
  interleave_codes_of(planes, stride, 2 * rows, features, to);
}

enum { HALF = TILE / 2 };

/* The sums of half a tile's rows from those of their codes. */
INLINE void join_codes(const v128 codes[2 * TILE], const int32_t *bias, v128 sums[TILE]) {
  UNROLL_ROWS for (int32_t i = 0; i < TILE; i++) {
    const v128 *pair = codes + 4 * (i / 2) + i % 2;
    sums[i] = wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_shl(pair[0], 8), pair[2]), load(bias + 4 * (i % 2)));
  }
}

/* 16-bit inputs as two rows of codes. */
static void linear_split(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const int16_t *x,
                         const int32_t *residual, void *out, void *scratch) {
  const linear_header *h = op->packed;
  const size_t features = (size_t)op->in_features, cols = (size_t)op->cols, size = element_size(op->out.type);
  const size_t tile_size = tile_elements(op->in_features);
  code_t *tiles = scratch;
  uint8_t *planes = (uint8_t *)scratch + BLOCK / TILE * tile_size * sizeof(code_t);
  for (int32_t first = 0; first < rows; first += BLOCK / 2) {
    const int32_t count = ivit_min(BLOCK / 2, rows - first);
    for (int32_t r = 0; r < count; r += HALF) {
      interleave_split(x + (size_t)(first + r) * features, ivit_min(HALF, count - r), op->in_features, planes,
                       tiles + (size_t)(r / HALF) * tile_size);
    }
    for (int32_t n = n0; n < n1; n += PANEL) {
      const panel *w = panel_at(h, n);
      const weight_t *weight = weights_at(h, n);
      for (int32_t r = 0; r < count; r += TILE) {
        const int32_t live = ivit_min(TILE, count - r);
        const size_t at = (size_t)(first + r) * cols + (size_t)n;
        v128 sums[2 * TILE] = {0};
        for (int32_t i = 0; i < live; i += HALF) {
          v128 codes[2 * TILE];
          multiply_tile(codes, tiles + (size_t)((r + i) / HALF) * tile_size, h->groups, weight, w->start);
          if (h->plan.path != WIDE) {
            join_codes(codes, w->bias, sums + 2 * i);
            continue;
          }
          for (int32_t j = 0; j < ivit_min(HALF, live - i); j++) {
            const size_t to = at + (size_t)(i + j) * cols;
            const int32_t *pair = (const int32_t *)(codes + 4 * j);
            finish_split_row(op, pair, pair + PANEL, residual ? residual + to : NULL, (int8_t *)out + to * size, n,
                             ivit_min(n1 - n, PANEL));
          }
        }
        if (h->plan.path == WIDE) continue;
        requantize_tile(sums, &h->plan, w->multiplier, op->out.multiplier + n, op->out.shift);
        if (residual) add_residual(sums, residual + at, cols, live);
        store_tile(&op->out, out, at, cols, sums, live, ivit_min(PANEL, op->cols - n));
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
  const requantize_plan any = {.path = WIDE};
  const size_t features = (size_t)op->in_features, cols = (size_t)op->cols;
  const size_t tile_size = tile_elements(op->in_features);
  code_t *tiles = scratch;
  row_factor factors[BLOCK];

  for (int32_t first = 0; first < rows; first += BLOCK) {
    const int32_t count = ivit_min(BLOCK, rows - first);
    for (int32_t r = 0; r < count; r += TILE) {
      const size_t at = (size_t)(first + r) * features;
      code_t *tile = tiles + (size_t)(r / TILE) * tile_size;
      if (words)
        interleave_words_of((const int16_t *)x + at, count - r, op->in_features, tile);
      else
        interleave_codes_of((const uint8_t *)x + at, features, count - r, op->in_features, tile);
    }
    for (int32_t r = 0; x_scale && r < count; r++) factors[r] = factor_of(op, h, x_scale[first + r]);

    for (int32_t n = n0; n < n1; n += PANEL) {
      const panel *w = panel_at(h, n);
      const weight_t *weight = weights_at(h, n);
      for (int32_t r = 0; r < count; r += TILE) {
        v128 sums[2 * TILE];
        multiply_tile(sums, tiles + (size_t)(r / TILE) * tile_size, h->groups, weight, w->start);
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
