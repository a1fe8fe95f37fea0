/* Primitives that work row by row, included by lanes.h. */

/* Requantizes 16 values from channel n on; none of path WIDE. */
INLINE void requantize_chunk(const output_header *h, int32_t cols, int32_t n, vec v[CHUNK_VECTORS]) {
  const int32_t *multiplier = multipliers_of(h);
  const int64_t *offset = (const int64_t *)(multiplier + channels_of(cols));
  for (int j = 0; j < CHUNK_VECTORS; j++) {
    int32_t at = n + LANES * j;
    vec b = load(multiplier + at);
    if (h->path == LIFTED) v[j] = shift_left(v[j], h->lift);
    if (h->path == NARROW)
      v[j] = shift_right(add(mullo(v[j], b), load((const int32_t *)offset + at)), h->shift);
    else
      v[j] = shift_right(mul_add_high(v[j], b, load_wide(offset + at)), h->shift);
  }
}

/* --- rows quantized by their own maximum --- */

INLINE vec row_codes(vec u, vec m) { return shift_right(add(mullo(u, m), set1(1 << 23)), 24); }

/* u holds whole chunks. */
static void write_codes(const int32_t *u, int32_t cols, int32_t scale, uint8_t *codes) {
  const vec m = set1(ivit_row_multiplier(scale));
  for (int32_t n = 0; n < cols; n += CHUNK) {
    vec v[CHUNK_VECTORS];
    for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = row_codes(load(u + n + LANES * j), m);
    store_chunk(IVIT_U8, v, 128, codes + n, cols - n);
  }
}

static void quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale) {
  int32_t whole = cols & ~(CHUNK - 1);
  for (int32_t r = 0; r < rows; r++, u += cols, codes += cols) {
    vec most = set1(1);
    for (int32_t n = 0; n < cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      load_chunk(u + n, cols - n, v);
      for (int j = 0; j < CHUNK_VECTORS; j++) most = max(most, abs_of(v[j]));
    }
    scale[r] = ivit_row_scale(reduce_max(most));
    write_codes(u, whole, scale[r], codes);
    if (whole == cols) continue;
    int32_t rest[CHUNK] = {0};
    memcpy(rest, u + whole, (size_t)(cols - whole) * sizeof *u);
    write_codes(rest, cols - whole, scale[r], codes + whole);
  }
}

/* Where a row's values go: to `out`, or by way of `u` to its codes. */
typedef struct {
  const ivit_output *out;
  int32_t cols;
  void *to;
  int32_t *u;
  vec most;
} row_writer;

INLINE row_writer start_row(const ivit_output *out, int32_t r, int32_t cols, void *data, int32_t *u) {
  size_t size = out->type == IVIT_ROWS ? 1 : element_size(out->type);
  return (row_writer){
      .out = out, .cols = cols, .to = (int8_t *)data + (size_t)r * (size_t)cols * size, .u = u, .most = set1(1)};
}

/* Columns past the last are stored in `u` as well: they are 0, as their multiplier and offset are. */
INLINE void write_chunk(row_writer *w, int32_t n, const vec v[CHUNK_VECTORS]) {
  if (w->out->type != IVIT_ROWS) {
    store_chunk(w->out->type, v, w->out->zero, (int8_t *)w->to + (size_t)n * element_size(w->out->type), w->cols - n);
    return;
  }
  for (int j = 0; j < CHUNK_VECTORS; j++) {
    vec u = clamp_to(v[j], IVIT_ROW_LIMIT);
    w->most = max(w->most, abs_of(u));
    store(w->u + n + LANES * j, u);
  }
}

INLINE void finish_codes(const row_writer *w, int32_t *scale) {
  if (w->out->type != IVIT_ROWS) return;
  *scale = ivit_row_scale(reduce_max(w->most));
  write_codes(w->u, w->cols, *scale, w->to);
}

/* --- layer norm, rescale, activation --- */

static void sum_row(const int32_t *x, int32_t cols, int64_t *sum, uint64_t *squares) {
  wide q = wide_zero();
  *sum = 0;
  for (int32_t n = 0; n < cols;) {
    /* 64 additions of 24-bit numbers fit 32 bits. */
    int32_t end = ivit_min(cols, n + 16 * CHUNK);
    vec part = set1(0);
    for (; n < end; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      load_chunk(x + n, end - n, v);
      for (int j = 0; j < CHUNK_VECTORS; j++) {
        part = add(part, v[j]);
        q = add_squares(q, v[j]);
      }
    }
    int32_t lanes[LANES];
    store(lanes, part);
    for (int i = 0; i < LANES; i++) *sum += lanes[i];
  }
  *squares = reduce_wide(q);
}

static void layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                       void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_layer_norm(op, rows, x, out, scale, scratch);
    return;
  }
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    int64_t sum;
    uint64_t squares;
    int32_t mean, f, t;
    sum_row(x, op->cols, &sum, &squares);
    ivit_norm_factor(sum, squares, op->cols, op->center, op->epsilon, &mean, &f, &t);
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      load_chunk(x + n, op->cols - n, v);
      for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = mul_shift(sub(v[j], set1(mean)), set1(f), t);
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}

static void rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale, void *scratch) {
  const output_header *h = op->out.packed;
  if (h->path == WIDE) {
    ivit_portable_rescale(op, rows, x, out, scale, scratch);
    return;
  }
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      vec v[CHUNK_VECTORS];
      load_chunk(x + n, op->cols - n, v);
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}

/* H(|x|) between knots; one entry a knot: the step to the next in the upper half, H in the lower. */
typedef struct {
  int32_t entry[IVIT_KNOTS + 1]; /* the last: beyond the table, where H is 0 */
  int32_t spacing;
} hump_table;

/* Returns whether 0 <= knots[i] <= i*2^spacing, which keeps |y| <= |x|, as output_pack takes for granted. */
static int load_hump(const ivit_activation *op, hump_table *t) {
  t->spacing = op->spacing;
  t->entry[IVIT_KNOTS] = 0;
  for (int32_t i = 0; i < IVIT_KNOTS; i++) {
    if (op->knots[i] < 0 || op->knots[i] > ((int64_t)i << op->spacing)) return 0;
    t->entry[i] = (int32_t)((uint32_t)(op->knots[i + 1] - op->knots[i]) << 16) | op->knots[i];
  }
  return 1;
}

INLINE vec activate(vec x, const hump_table *t) {
  vec a = abs_of(x);
  vec i = shift_right(a, t->spacing);
  vec rest = shift_left(sub(a, shift_left(i, t->spacing)), 15 - t->spacing);
  vec entry = look_up(t->entry, min(i, set1(IVIT_KNOTS)));
  vec base = shift_right(shift_left(entry, 16), 16), step = shift_right(entry, 16);
  vec hump = add(base, shift_right(add(mullo(step, rest), set1(1 << 14)), 15));
  return sub(max(x, set1(0)), hump);
}

static void activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                       void *scratch) {
  const output_header *h = op->out.packed;
  hump_table table;
  if (h->path == WIDE || !load_hump(op, &table)) {
    ivit_portable_activation(op, rows, x, out, scale, scratch);
    return;
  }
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    row_writer w = start_row(&op->out, r, op->cols, out, scratch);
    for (int32_t n = 0; n < op->cols; n += CHUNK) {
      /* Past the last column: other rows', which `multiplier` 0 makes 0. */
      vec v[CHUNK_VECTORS];
      for (int j = 0; j < CHUNK_VECTORS; j++) v[j] = activate(load_i16(x + n + LANES * j), &table);
      requantize_chunk(h, op->cols, n, v);
      write_chunk(&w, n, v);
    }
    finish_codes(&w, scale ? scale + r : NULL);
  }
}

static void add_wide(size_t count, const int32_t *a, const int32_t *b, int32_t *out) {
  for (size_t i = 0; i < count; i += CHUNK) {
    int32_t n = count - i < CHUNK ? (int32_t)(count - i) : CHUNK;
    vec x[CHUNK_VECTORS], y[CHUNK_VECTORS];
    load_chunk(a + i, n, x);
    load_chunk(b + i, n, y);
    for (int j = 0; j < CHUNK_VECTORS; j++) x[j] = add(x[j], y[j]);
    store_chunk(IVIT_I32, x, 0, out + i, n);
  }
}
