/*
 * Products of two i16 values, for every instruction set that multiplies pairs of them. Whoever includes this defines:
 *
 *   PAIR_ROWS, PAIR_COLS   the register tile; PAIR_ROWS is even
 *   PAIR_WIDTH(n)          columns of a panel of which n are wanted, 1 to PAIR_COLS
 *   multiply_pairs         sums[i][c] = sum_p rows[i][2p]*w[p][c][0] + rows[i][2p + 1]*w[p][c][1] of `width` columns,
 *                          w being [pairs][width][2], modulo 2^32
 *   write_sums             columns j to j + count of a row of the result, requantized; the path is not WIDE
 *   is_wide                whether an output's path is WIDE
 *
 * Sums of full-range numbers pass 32 bits after two products. So rows are multiplied as they are where the magnitudes
 * that are really there cannot do that: sum |a| times the largest |b|. Elsewhere they are split, a = 256*high + low
 * with |high|, |low| <= 128, and half as many rows are multiplied at once, in two planes: 128*32767*512 < 2^31.
 */

enum { INNER = 512, SUM_ROWS = 96 };

/* One window and head, rows r0 to r1 of it. */
typedef struct {
  const ivit_matmul *op;
  const int16_t *a, *b;
  int32_t head, first_a, first_b; /* tokens: `first_a` that of row 0, or of the window where a is transposed */
  int32_t rows;
  int16_t *copies; /* [rows][stride] of a transposed a */
  size_t stride;
  int32_t *norms;  /* [blocks][rows]: sums of |a| over INNER elements */
  int16_t *panel, *planes;
  int64_t *sums; /* [SUM_ROWS][PAIR_COLS] */
} matmul_job;

static size_t matmul_stride(const ivit_matmul *op) { return round_up((size_t)op->k, 32); }

/* Writes where its parts lie in `scratch`; returns their size. */
static size_t lay_out_matmul(const ivit_matmul *op, int8_t *scratch, matmul_job *job) {
  size_t blocks = ((size_t)op->k + INNER - 1) / INNER, at = 0;
  job->copies = (int16_t *)(scratch + at);
  at += op->a_transposed ? ((size_t)op->m * matmul_stride(op) + 64) * sizeof(int16_t) : 0;
  job->panel = (int16_t *)(scratch + at);
  at += INNER * PAIR_COLS * sizeof(int16_t);
  job->planes = (int16_t *)(scratch + at);
  at += PAIR_ROWS * INNER * sizeof(int16_t);
  job->sums = (int64_t *)(scratch + at);
  at += SUM_ROWS * PAIR_COLS * sizeof(int64_t);
  job->norms = (int32_t *)(scratch + at);
  return at + round_up((size_t)op->m * blocks * sizeof(int32_t), IVIT_ALIGN);
}

static size_t matmul_scratch(const ivit_matmul *op) {
  matmul_job job;
  int8_t base[1];
  size_t own = lay_out_matmul(op, base, &job), portable = ivit_portable_matmul_scratch(op);
  return own > portable ? own : portable;
}

static const int16_t *row_of(const matmul_job *job, int32_t i) {
  if (job->op->a_transposed) return job->copies + (size_t)i * job->stride;
  return job->a + ivit_locate(&job->op->a, job->first_a + i, job->head);
}

/* Rows of a transposed a, r0 and after, laid in rows; and their norms. */
static void prepare_rows(matmul_job *job, int32_t r0) {
  const ivit_matmul *op = job->op;
  for (int32_t k = 0; op->a_transposed && k < op->k; k++) {
    const int16_t *from = job->a + ivit_locate(&op->a, job->first_a + k, job->head) + r0;
    for (int32_t i = 0; i < job->rows; i++) job->copies[(size_t)i * job->stride + (size_t)k] = from[i];
  }
  int32_t *norm = job->norms;
  for (int32_t k0 = 0; k0 < op->k; k0 += INNER) {
    int32_t count = ivit_min(INNER, op->k - k0);
    for (int32_t i = 0; i < job->rows; i++) {
      const int16_t *x = row_of(job, i) + k0;
      int32_t sum = 0;
      for (int32_t k = 0; k < count; k++) sum += ivit_abs(x[k]);
      *norm++ = sum;
    }
  }
}

/* Columns j0 and after of b, `count` of them, elements k0 and after, as a panel. Returns the largest |b|. */
static int32_t pack_panel(const matmul_job *job, int32_t j0, int32_t count, int32_t k0, int32_t inner) {
  const ivit_matmul *op = job->op;
  const size_t width = (size_t)PAIR_WIDTH(count), pairs = ((size_t)inner + 1) / 2;
  int16_t *panel = job->panel;
  if (width != (size_t)count || inner % 2) __builtin_memset(panel, 0, pairs * width * 2 * sizeof *panel);
  if (op->b_transposed) {
    /* Two rows at once: their numbers lie in turns. */
    int16_t *to = panel;
    for (int32_t k = 0; k + 1 < inner; k += 2, to += 2 * width) {
      const int16_t *first = job->b + ivit_locate(&op->b, job->first_b + k0 + k, job->head) + j0;
      const int16_t *second = job->b + ivit_locate(&op->b, job->first_b + k0 + k + 1, job->head) + j0;
      for (int32_t c = 0; c < count; c++) {
        to[2 * c] = first[c];
        to[2 * c + 1] = second[c];
      }
    }
    if (inner % 2) {
      const int16_t *last = job->b + ivit_locate(&op->b, job->first_b + k0 + inner - 1, job->head) + j0;
      for (int32_t c = 0; c < count; c++) to[2 * c] = last[c];
    }
  } else {
    for (int32_t c = 0; c < count; c++) {
      const int16_t *from = job->b + ivit_locate(&op->b, job->first_b + j0 + c, job->head) + k0;
      int16_t *to = panel + 2 * c;
      for (int32_t k = 0; k + 1 < inner; k += 2, to += 2 * width) __builtin_memcpy(to, from + k, 2 * sizeof *to);
      if (inner % 2) *to = from[inner - 1];
    }
  }
  int32_t most = 0;
  for (size_t i = 0; i < pairs * width * 2; i++) most = ivit_max(most, ivit_abs(panel[i]));
  return most;
}

/* a = 256*high + low. */
static void split_words(const int16_t *x, int32_t count, int16_t *high, int16_t *low) {
  for (int32_t k = 0; k < count; k++) {
    low[k] = (int8_t)x[k];
    high[k] = (int16_t)((x[k] - low[k]) >> 8);
  }
  if (count % 2) high[count] = low[count] = 0;
}

/* Sums of a tile: 32 bits in `narrow`, or 64 in `wide`. */
typedef struct {
  int32_t narrow[PAIR_ROWS][PAIR_COLS];
  int64_t wide[PAIR_ROWS][PAIR_COLS];
  int is_wide;
} matmul_tile;

/* Rows i to i + live of elements k0 to k0 + inner by the panel, whose numbers are at most `most`. */
static void multiply_words(const matmul_job *job, int32_t i, int32_t live, int32_t k0, int32_t inner, int32_t most,
                           int32_t width, matmul_tile *t) {
  const int16_t *rows[PAIR_ROWS];
  const int32_t *norms = job->norms + (size_t)(k0 / INNER) * (size_t)job->rows + i, pairs = (inner + 1) / 2;
  int64_t norm = 0;
  for (int32_t q = 0; q < PAIR_ROWS; q++) {
    rows[q] = row_of(job, i + ivit_min(q, live - 1)) + k0;
    norm = norms[ivit_min(q, live - 1)] > norm ? norms[ivit_min(q, live - 1)] : norm;
  }
  t->is_wide = norm * most > INT32_MAX;
  if (!t->is_wide) {
    multiply_pairs(t->narrow, rows, pairs, job->panel, width);
    return;
  }
  for (int32_t first = 0; first < live; first += PAIR_ROWS / 2) {
    const int16_t *planes[PAIR_ROWS];
    for (int32_t q = 0; q < PAIR_ROWS / 2; q++) {
      int16_t *high = job->planes + 2 * q * INNER, *low = high + INNER;
      split_words(rows[first + q], inner, high, low);
      planes[2 * q] = high;
      planes[2 * q + 1] = low;
    }
    multiply_pairs(t->narrow, planes, pairs, job->panel, width);
    for (int32_t q = 0; q < PAIR_ROWS / 2; q++) {
      const int32_t *high = t->narrow[2 * q], *low = t->narrow[2 * q + 1];
      for (int32_t c = 0; c < width; c++) t->wide[first + q][c] = (int64_t)high[c] * 256 + low[c];
    }
  }
}

/* Columns j to j + count of a row of the result, from sums of 64 bits. */
static void write_wide(const ivit_output *out, int32_t n, int32_t j, const int64_t *sums, void *to, int32_t count) {
  int32_t narrow[PAIR_COLS];
  int64_t beyond = is_wide(out);
  for (int32_t c = 0; c < count; c++) {
    narrow[c] = (int32_t)sums[c];
    beyond |= sums[c] ^ narrow[c];
  }
  if (!beyond) {
    write_sums(out, n, j, narrow, to, count);
    return;
  }
  for (int32_t c = 0; c < count; c++) ivit_store(out, to, (size_t)c, ivit_requantize(out, sums[c], j + c));
}

static void write_tile(const matmul_job *job, const matmul_tile *t, int32_t i, int32_t live, int32_t j, int32_t count,
                       int8_t *out) {
  const ivit_matmul *op = job->op;
  const ivit_output *to = &op->out[job->head];
  size_t size = element_size(to->type), cols = (size_t)op->heads * (size_t)op->n;
  for (int32_t q = 0; q < live; q++) {
    void *at = out + ((size_t)(i + q) * cols + (size_t)(job->head * op->n + j)) * size;
    if (t->is_wide) {
      write_wide(to, op->n, j, t->wide[q], at, count);
    } else if (is_wide(to)) {
      for (int32_t c = 0; c < count; c++) ivit_store(to, at, (size_t)c, ivit_requantize(to, t->narrow[q][c], j + c));
    } else {
      write_sums(to, op->n, j, t->narrow[q], at, count);
    }
  }
}

/* Sums longer than INNER: rows i0 to i0 + rows of a panel's columns, added up in 64 bits. */
static void add_blocks(const matmul_job *job, int32_t i0, int32_t rows, int32_t j, int32_t count, int8_t *out) {
  const ivit_matmul *op = job->op;
  const int32_t width = PAIR_WIDTH(count);
  matmul_tile t;
  __builtin_memset(job->sums, 0, (size_t)rows * PAIR_COLS * sizeof *job->sums);
  for (int32_t k0 = 0; k0 < op->k; k0 += INNER) {
    int32_t inner = ivit_min(INNER, op->k - k0), most = pack_panel(job, j, count, k0, inner);
    for (int32_t i = 0; i < rows; i += PAIR_ROWS) {
      int32_t live = ivit_min(PAIR_ROWS, rows - i);
      multiply_words(job, i0 + i, live, k0, inner, most, width, &t);
      for (int32_t q = 0; q < live; q++) {
        int64_t *sums = job->sums + (i + q) * PAIR_COLS;
        for (int32_t c = 0; c < count; c++) sums[c] += t.is_wide ? t.wide[q][c] : t.narrow[q][c];
      }
    }
  }
  const ivit_output *to = &op->out[job->head];
  size_t size = element_size(to->type), cols = (size_t)op->heads * (size_t)op->n;
  for (int32_t i = 0; i < rows; i++) {
    void *at = out + ((size_t)(i0 + i) * cols + (size_t)(job->head * op->n + j)) * size;
    write_wide(to, op->n, j, job->sums + i * PAIR_COLS, at, count);
  }
}

static void matmul(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b, void *out,
                   void *scratch) {
  int32_t window = r0 / op->m, is_plain = !op->a.rows && !op->a_transposed;
  matmul_job job = {.op = op, .a = a, .b = b, .rows = r1 - r0, .stride = matmul_stride(op)};
  lay_out_matmul(op, scratch, &job);
  job.first_a = op->a_transposed ? window * op->k : is_plain ? 0 : r0;
  job.first_b = window * (op->b_transposed ? op->k : op->n);
  for (job.head = 0; job.head < op->heads; job.head++) {
    prepare_rows(&job, r0 - window * op->m);
    for (int32_t j = 0; j < op->n; j += PAIR_COLS) {
      int32_t count = ivit_min(PAIR_COLS, op->n - j);
      if (op->k > INNER) {
        for (int32_t i = 0; i < job.rows; i += SUM_ROWS)
          add_blocks(&job, i, ivit_min(SUM_ROWS, job.rows - i), j, count, out);
        continue;
      }
      int32_t most = pack_panel(&job, j, count, 0, op->k);
      for (int32_t i = 0; i < job.rows; i += PAIR_ROWS) {
        matmul_tile t;
        int32_t live = ivit_min(PAIR_ROWS, job.rows - i);
        multiply_words(&job, i, live, 0, op->k, most, PAIR_WIDTH(count), &t);
        write_tile(&job, &t, i, live, j, count, out);
      }
    }
  }
}
