/* Products of two values, any function by its table, softmax of rows; included by lanes.h. */

static void multiply_rows(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                          void *out, int32_t *scale, void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_multiply(op, rows, a, b, b_stride, out, scale, scratch);
    return;
  }
  for (int32_t r = 0; r < rows; r++, a += op->cols, b += b_stride) {
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    const vec one = set1(b[0]);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      /* Past the last column: other rows', which `multiplier` 0 makes 0. */
      vec v[CHUNK_VECTORS];
      for (int j = 0; j < CHUNK_VECTORS; j++) {
        v[j] = mullo(load_i16(a + n + LANES * j), op->is_column ? one : load_i16(b + n + LANES * j));
      }
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}

/* Rows divided by one number each; others are divided element by element. */
static void divide_rows(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride,
                        void *out, int32_t *scale, void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE || !op->is_column) {
    ivit_portable_divide(op, rows, a, b, b_stride, out, scale, scratch);
    return;
  }
  for (int32_t r = 0; r < rows; r++, a += op->cols, b += b_stride) {
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    const ivit_divisor divisor = ivit_divisor_of(*b, op->bits);
    const vec negative = set1(divisor.sign);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      load_chunk(a + n, op->cols - n, v);
      for (int j = 0; j < CHUNK_VECTORS; j++) {
        vec sign = shift_right(v[j], 31) ^ negative;
        v[j] = sub(divide_lanes(abs_of(v[j]), &divisor) ^ sign, sign);
      }
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}

INLINE vec interpolate(const int32_t *table, vec x) {
  vec u = add(x, set1(32768)), i = shift_right(u, 8), base, next;
  look_up_pair(table, i, &base, &next);
  vec rest = sub(u, shift_left(i, 8));
  return add(base, shift_right(add(mullo(sub(next, base), rest), set1(128)), 8));
}

static void look_up_rows(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                         void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_lookup(op, rows, x, out, scale, scratch);
    return;
  }
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = interpolate(op->table, load_i16(x + n + LANES * j));
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}

/* The weight of softmaxRow; d = max - x >= 0. */
INLINE vec fine_weight(vec d, int32_t p, ivit_softmax kind) {
  vec q = shift_right(d, p);
  vec r = shift_left(sub(d, shift_left(q, p)), 14 - p);
  vec m = sub(set1(1 << 14), shift_right(r, 1));
  if (kind == IVIT_SOFTMAX_QUADRATIC) {
    vec product = shift_right(mullo(r, sub(set1(1 << 14), r)), 14);
    m = sub(m, shift_right(add(mullo(product, set1(2811)), set1(1 << 13)), 14));
  }
  /* From 23 on a shift leaves nothing; at 22 it would leave the 1 of a whole power of two, which is cut off. */
  vec reached = shift_right(sub(q, set1(22)), 31);
  return shift_right_each(shift_left(m, 8), min(q, set1(23))) & reached;
}

/*
 * Scores of a row to `e`, whole chunks, and their sum. Columns past the last have weight 0.
 */
static uint64_t weigh_row(const ivit_row_softmax *op, const requantize_plan *plan, const int32_t *x, int32_t *e) {
  const vec b = set1((int32_t)((uint32_t)op->score_multiplier << plan->scale));
  vec most = set1(-IVIT_SCORE_LIMIT);
  for (int32_t n = 0; n < op->cols; n += CHUNK) {
    vec v[CHUNK_VECTORS];
    load_chunk(x + n, op->cols - n, v);
    for (int j = 0; j < CHUNK_VECTORS; j++) {
      vec score = requantize(plan, v[j], b);
      store(e + n + LANES * j, score);
      if (n + CHUNK <= op->cols) most = max(most, score);
    }
  }
  int32_t max = reduce_max(most);
  for (int32_t n = op->cols & ~(CHUNK - 1); n < op->cols; n++) max = ivit_max(max, e[n]);

  uint64_t sum = 0;
  for (int32_t n = 0; n < op->cols;) {
    /* At most 512 weights to a lane. */
    int32_t end = ivit_min(op->cols, n + 512 * LANES);
    vec part = set1(0);
    for (; n < end; n += LANES) {
      vec weight = fine_weight(sub(set1(max), load(e + n)), op->fraction_bits, op->kind);
      store(e + n, weight);
      if (n + LANES <= end) part = add(part, weight);
    }
    int32_t lanes[LANES];
    store(lanes, part);
    for (int i = 0; i < LANES; i++) sum += (uint32_t)lanes[i];
  }
  for (int32_t n = op->cols & ~(LANES - 1); n < op->cols; n++) sum += (uint32_t)e[n];
  return sum;
}

static void softmax_rows(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                         void *scratch) {
  const output_header *h = op->out.packed;
  int64_t b = op->score_multiplier < 0 ? -(int64_t)op->score_multiplier : op->score_multiplier;
  int64_t bound = IVIT_WIDE_LIMIT * b;
  requantize_plan plan = {.path = WIDE};
  if (b <= INT32_MAX) plan = plan_requantize(IVIT_WIDE_LIMIT, bound, b, op->score_shift);
  int is_safe = plan.path != WIDE && ivit_shift_round(bound, op->score_shift) < IVIT_SCORE_LIMIT;
  if (h->path == WIDE || !is_safe || op->cols > IVIT_SHARED_COLS) {
    ivit_portable_softmax(op, rows, x, out, scale, scratch);
    return;
  }
  int32_t *e = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    ivit_share s = ivit_share_of(weigh_row(op, &plan, x, e));
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = mul_long_shift(load(e + n + LANES * j), &s);
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}
