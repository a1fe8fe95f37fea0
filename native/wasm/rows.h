/* LayerNorm, activations and the quantization of rows, included by simd128.c. */

/* Eight values requantized as output_pack has prepared it, channels n to n + 7; the path is not WIDE. */
INLINE void requantize_eight(const output_header *h, int32_t cols, int32_t n, v128 v[2]) {
  const int32_t *multiplier = multipliers_of(h) + n;
  const int64_t *offset = (const int64_t *)(multipliers_of(h) + channels_of(cols));
  for (int32_t j = 0; j < 2; j++) {
    const v128 b = load(multiplier + 4 * j);
    if (h->path == LIFTED) v[j] = wasm_i32x4_shl(v[j], h->lift);
    if (h->path == NARROW) {
      v[j] = wasm_i32x4_add(wasm_i32x4_mul(v[j], b), load((const int32_t *)offset + n + 4 * j));
    } else {
      const int64_t *o = offset + n + 4 * j;
      v[j] = high_words(wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(v[j], b), load(o)),
                        wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(v[j], b), load(o + 2)));
    }
    v[j] = wasm_i32x4_shr(v[j], h->shift);
  }
}

static int32_t widest(v128 v) {
  v = wasm_i32x4_max(v, wasm_i32x4_shuffle(v, v, 2, 3, 0, 1));
  v = wasm_i32x4_max(v, wasm_i32x4_shuffle(v, v, 1, 0, 3, 2));
  return wasm_i32x4_extract_lane(v, 0);
}

static void quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale) {
  const int32_t even = cols & ~7;
  for (int32_t r = 0; r < rows; r++, u += cols, codes += cols) {
    v128 most = wasm_i32x4_const_splat(1);
    for (int32_t n = 0; n < even; n += 4) most = wasm_i32x4_max(most, wasm_i32x4_abs(load(u + n)));
    int32_t max = widest(most);
    for (int32_t n = even; n < cols; n++) max = ivit_max(max, ivit_abs(u[n]));
    scale[r] = ivit_row_scale(max);

    const int32_t m = ivit_row_multiplier(scale[r]);
    const v128 multiplier = wasm_i32x4_splat(m), half = wasm_i32x4_const_splat(1 << 23);
    const v128 zero = wasm_i8x16_const_splat((int8_t)-128);
    for (int32_t n = 0; n < even; n += 8) {
      v128 a = wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(load(u + n), multiplier), half), 24);
      v128 b = wasm_i32x4_shr(wasm_i32x4_add(wasm_i32x4_mul(load(u + n + 4), multiplier), half), 24);
      v128 wide = wasm_i16x8_narrow_i32x4(a, b);
      wasm_v128_store64_lane(codes + n, wasm_v128_xor(wasm_i8x16_narrow_i16x8(wide, wide), zero), 0);
    }
    for (int32_t n = even; n < cols; n++) codes[n] = (uint8_t)(((u[n] * m + (1 << 23)) >> 24) + 128);
  }
}

/* Sums of x and x^2. A lane of i32 holds the sum of 128 values of 24 bits. */
static void sum_row(const int32_t *x, int32_t cols, int64_t *sum, uint64_t *squares) {
  v128 total = wasm_i64x2_const_splat(0), squared = total;
  const int32_t even = cols & ~3;
  for (int32_t first = 0; first < even; first += 256) {
    v128 part = wasm_i32x4_const_splat(0);
    for (int32_t n = first; n < ivit_min(first + 256, even); n += 4) {
      v128 v = load(x + n);
      part = wasm_i32x4_add(part, v);
      squared = wasm_i64x2_add(squared, wasm_i64x2_extmul_low_i32x4(v, v));
      squared = wasm_i64x2_add(squared, wasm_i64x2_extmul_high_i32x4(v, v));
    }
    total = wasm_i64x2_add(total, wasm_i64x2_extend_low_i32x4(part));
    total = wasm_i64x2_add(total, wasm_i64x2_extend_high_i32x4(part));
  }
  *sum = wasm_i64x2_extract_lane(total, 0) + wasm_i64x2_extract_lane(total, 1);
  *squares = (uint64_t)(wasm_i64x2_extract_lane(squared, 0) + wasm_i64x2_extract_lane(squared, 1));
  for (int32_t n = even; n < cols; n++) {
    *sum += x[n];
    *squares += (uint64_t)((int64_t)x[n] * x[n]);
  }
}

/* (y*f) >> t of four lanes, t <= 32 and the result below 2^31: the low words of a logical shift. */
INLINE v128 normalize_four(v128 y, v128 f, int32_t t) {
  v128 low = wasm_i64x2_extmul_low_i32x4(y, f), high = wasm_i64x2_extmul_high_i32x4(y, f);
  return low_words(wasm_u64x2_shr(low, t), wasm_u64x2_shr(high, t));
}

static void layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                       void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_layer_norm(op, rows, x, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    int64_t sum;
    uint64_t squares;
    int32_t mean, f, t;
    sum_row(x, op->cols, &sum, &squares);
    ivit_norm_factor(sum, squares, op->cols, op->center, op->epsilon, &mean, &f, &t);
    const v128 means = wasm_i32x4_splat(mean), factors = wasm_i32x4_splat(f);
    const size_t at = (size_t)r * (size_t)op->cols;
    for (int32_t n = 0; n < op->cols; n += 8) {
      v128 v[2];
      for (int32_t j = 0; j < 2; j++) v[j] = normalize_four(wasm_i32x4_sub(load(x + n + 4 * j), means), factors, t);
      requantize_eight(h, op->cols, n, v);
      store_eight(&op->out, is_dynamic ? scratch : out, (is_dynamic ? 0 : at) + (size_t)n, v[0], v[1],
                  ivit_min(8, op->cols - n));
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

/* A table of 64 i16, its low and high bytes apart: four vectors each, for i8x16.swizzle. */
typedef struct {
  v128 low[4], high[4];
} table;

static table split_table(const int16_t *entries) {
  uint8_t low[IVIT_KNOTS], high[IVIT_KNOTS];
  for (int32_t i = 0; i < IVIT_KNOTS; i++) {
    low[i] = (uint8_t)entries[i];
    high[i] = (uint8_t)(entries[i] >> 8);
  }
  table t;
  for (int32_t i = 0; i < 4; i++) {
    t.low[i] = load(low + 16 * i);
    t.high[i] = load(high + 16 * i);
  }
  return t;
}

/* Sixteen bytes of a table of 64; 0 where the index, less 16 for each further vector, is beyond a vector. */
INLINE v128 look_up(const v128 parts[4], const v128 indices[4]) {
  v128 a = wasm_v128_or(wasm_i8x16_swizzle(parts[0], indices[0]), wasm_i8x16_swizzle(parts[1], indices[1]));
  v128 b = wasm_v128_or(wasm_i8x16_swizzle(parts[2], indices[2]), wasm_i8x16_swizzle(parts[3], indices[3]));
  return wasm_v128_or(a, b);
}

#define INTERLEAVE_LOW(a, b) wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b) wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* activate() of eight values: q15mulr is (step*fraction + 2^14) >> 15. */
INLINE v128 activate_eight(v128 x, v128 magnitude, v128 knot, v128 step, v128 mask, v128 factor) {
  v128 fraction = wasm_i16x8_mul(wasm_v128_and(magnitude, mask), factor);
  v128 hump = wasm_i16x8_add(knot, wasm_i16x8_q15mulr_sat(step, fraction));
  return wasm_i16x8_sub(wasm_i16x8_max(x, wasm_i16x8_const_splat(0)), hump);
}

static void activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                       void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_activation(op, rows, x, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  int16_t steps[IVIT_KNOTS];
  for (int32_t i = 0; i < IVIT_KNOTS; i++) steps[i] = (int16_t)(op->knots[i + 1] - op->knots[i]);
  const table knots = split_table(op->knots), differences = split_table(steps);
  const v128 mask = wasm_i16x8_splat((int16_t)((1 << op->spacing) - 1));
  const v128 factor = wasm_i16x8_splat((int16_t)(1 << (15 - op->spacing)));
  const v128 sixteen = constant(wasm_i8x16_const_splat(16));

  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    const size_t at = (size_t)r * (size_t)op->cols;
    void *row = is_dynamic ? scratch : out;
    const size_t row_at = is_dynamic ? 0 : at;
    for (int32_t n = 0; n < op->cols; n += 16) {
      v128 x0 = load(x + n), x1 = load(x + n + 8);
      v128 a0 = wasm_i16x8_abs(x0), a1 = wasm_i16x8_abs(x1);
      v128 indices[4];
      indices[0] = wasm_u8x16_narrow_i16x8(wasm_u16x8_shr(a0, op->spacing), wasm_u16x8_shr(a1, op->spacing));
      for (int32_t i = 1; i < 4; i++) indices[i] = wasm_i8x16_sub(indices[i - 1], sixteen);
      v128 knot_low = look_up(knots.low, indices), knot_high = look_up(knots.high, indices);
      v128 step_low = look_up(differences.low, indices), step_high = look_up(differences.high, indices);
      v128 y[2] = {activate_eight(x0, a0, INTERLEAVE_LOW(knot_low, knot_high), INTERLEAVE_LOW(step_low, step_high),
                                  mask, factor),
                   activate_eight(x1, a1, INTERLEAVE_HIGH(knot_low, knot_high), INTERLEAVE_HIGH(step_low, step_high),
                                  mask, factor)};
      for (int32_t i = 0; i < 2; i++) {
        const int32_t first = n + 8 * i;
        if (first >= op->cols) break;
        v128 v[2] = {wasm_i32x4_extend_low_i16x8(y[i]), wasm_i32x4_extend_high_i16x8(y[i])};
        requantize_eight(h, op->cols, first, v);
        store_eight(&op->out, row, row_at + (size_t)first, v[0], v[1], ivit_min(8, op->cols - first));
      }
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

static void rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale, void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_rescale(op, rows, x, out, scale, scratch);
    return;
  }
  const int is_dynamic = op->out.type == IVIT_ROWS;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    const size_t at = (size_t)r * (size_t)op->cols;
    for (int32_t n = 0; n < op->cols; n += 8) {
      v128 v[2] = {load(x + n), load(x + n + 4)};
      requantize_eight(h, op->cols, n, v);
      store_eight(&op->out, is_dynamic ? scratch : out, (is_dynamic ? 0 : at) + (size_t)n, v[0], v[1],
                  ivit_min(8, op->cols - n));
    }
    if (is_dynamic) quantize_rows(1, op->cols, scratch, (uint8_t *)out + at, scale + r);
  }
}

static void add_wide(size_t count, const int32_t *a, const int32_t *b, int32_t *out) {
  const v128 lo = wasm_i32x4_const_splat(-IVIT_WIDE_LIMIT), hi = wasm_i32x4_const_splat(IVIT_WIDE_LIMIT);
  size_t i = 0;
  for (; i + 4 <= count; i += 4) store(out + i, clamp_words(wasm_i32x4_add(load(a + i), load(b + i)), lo, hi));
  for (; i < count; i++) out[i] = ivit_clamp((int64_t)a[i] + b[i], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
}
