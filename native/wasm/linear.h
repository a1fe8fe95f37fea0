/* Linear layers, included by simd128.c. */

/* Rows interleaved at a time: with the longest rows of common models they stay in the level 1 cache. */
enum { BLOCK = 24 };

static size_t linear_scratch(const ivit_linear *op) {
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

/* (M'*sum + 2^(row_shift-1)) >> row_shift of four sums. */
INLINE v128 scale_sums(v128 sum, const row_factor *f, int32_t scale, int32_t row_shift) {
  if (f->fits) {
    v128 product = wasm_i32x4_mul(sum, wasm_i32x4_splat(f->mantissa));
    return wasm_i32x4_shr(wasm_i32x4_add(product, wasm_i32x4_splat(f->half)), f->shift);
  }
  const v128 m = wasm_i32x4_splat(scale), half = wasm_i64x2_splat(ivit_half(row_shift));
  v128 low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(sum, m), half);
  v128 high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(sum, m), half);
  return low_words(wasm_i64x2_shr(low, row_shift), wasm_i64x2_shr(high, row_shift));
}

static void linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x, const int32_t *x_scale,
                   const int32_t *residual, void *out, void *scratch) {
  if (op->x_type == IVIT_I16) {
    ivit_portable_linear(op, rows, n0, n1, x, x_scale, residual, out, scratch);
    return;
  }
  const linear_header *h = op->packed;
  const requantize_plan plan = h->plan;
  const size_t features = (size_t)op->in_features, cols = (size_t)op->cols;
  const size_t tile_size = tile_elements(op->in_features);
  const v128 lo = wasm_i32x4_const_splat(-IVIT_WIDE_LIMIT), hi = wasm_i32x4_const_splat(IVIT_WIDE_LIMIT);
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
        for (int32_t i = 0; i < ivit_min(TILE, count - r); i++) {
          const size_t row = (size_t)(first + r + i), at = row * cols + (size_t)n;
          v128 v[2] = {sums[2 * i], sums[2 * i + 1]};
          int is_planned = plan.path != ANY;
          if (x_scale) {
            const row_factor *f = factors + r + i;
            for (int32_t j = 0; j < 2; j++) {
              v[j] = wasm_i32x4_add(scale_sums(v[j], f, x_scale[row], op->row_shift), load(w->bias + 4 * j));
            }
            is_planned &= f->fits;
          }
          for (int32_t j = 0; j < 2; j++) {
            if (is_planned) v[j] = requantize(&plan, v[j], load(w->multiplier + 4 * j));
            else v[j] = requantize_any(v[j], load(op->out.multiplier + n + 4 * j), op->out.shift);
            if (residual) v[j] = wasm_i32x4_add(clamp_words(v[j], lo, hi), load(residual + at + 4 * j));
          }
          store_eight(&op->out, out, at, v[0], v[1], ivit_min(PANEL, op->cols - n));
        }
      }
    }
  }
}
