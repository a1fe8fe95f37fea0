/*
 * The published kernels for every instruction set that multiplies pairs of 16-bit numbers: attention whose weights are
 * divided by their sum before they multiply V. Included after matmul.h. All but the products is plain C, in loops that
 * compilers turn into vectors.
 *
 * Weights are 0 to 2^16 - 1: less 2^15 they are 16-bit numbers with a sign, and `correction` gives back 2^15*sum v,
 * modulo 2^32. What comes out is proven to fit 32 bits.
 *
 * Packed: correction [columns of V], then panels of PAIR_COLS columns like those of multiply_pairs: keys [dim/2]
 * [keys][2], values [keys/2][channels][2].
 */
enum { WEIGHT_OFFSET = 1 << 15 };

/* Columns of all panels: the last is as wide as PAIR_WIDTH has it. */
static size_t panel_columns(int32_t cols) {
  int32_t whole = cols / PAIR_COLS * PAIR_COLS;
  return (size_t)(whole + (whole < cols ? PAIR_WIDTH(cols - whole) : 0));
}

typedef struct {
  size_t key_pairs, value_pairs; /* pairs of a column: of dim, of keys */
  size_t values, size;           /* where the values begin, behind `correction` and the keys; bytes of all */
} published_layout;

static published_layout lay_out_published(const ivit_attention *op) {
  published_layout l = {.key_pairs = ((size_t)op->dim + 1) / 2, .value_pairs = ((size_t)op->keys + 1) / 2};
  l.values = panel_columns(op->value_dim) * sizeof(int32_t) + panel_columns(op->keys) * l.key_pairs * 4;
  l.size = l.values + panel_columns(op->value_dim) * l.value_pairs * 4;
  return l;
}

static size_t published_pack_size(const ivit_attention *op) { return lay_out_published(op).size; }

/* The panel that holds column c of `cols`. */
typedef struct {
  int16_t *first;
  size_t width;
} published_panel;

static inline published_panel panel_of(int16_t *panels, size_t pairs, int32_t cols, int32_t c) {
  const int32_t first = c / PAIR_COLS * PAIR_COLS, rest = cols - first;
  const int32_t width = rest < PAIR_COLS ? PAIR_WIDTH(rest) : PAIR_COLS;
  return (published_panel){panels + (size_t)first * pairs * 2, (size_t)width};
}

static void published_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k, const int8_t *v,
                           void *packed) {
  const published_layout l = lay_out_published(op);
  uint32_t *correction = packed;
  int16_t *keys = (int16_t *)(correction + panel_columns(op->value_dim));
  int16_t *values = (int16_t *)((int8_t *)packed + l.values);
  __builtin_memset(packed, 0, l.size);
  for (int32_t j = 0; j < op->keys; j++) {
    const int32_t token = window * op->keys + j;
    const int8_t *key = k + ivit_locate(&op->k, token, head), *value = v + ivit_locate(&op->v, token, head);
    const published_panel panel = panel_of(keys, l.key_pairs, op->keys, j);
    int16_t *to = panel.first + 2 * (j % PAIR_COLS);
    for (int32_t i = 0; i < op->dim; i++) to[(size_t)(i / 2) * panel.width * 2 + (size_t)(i % 2)] = key[i];
    for (int32_t n = 0; n < op->value_dim; n += PAIR_COLS) {
      const published_panel channels = panel_of(values, l.value_pairs, op->value_dim, n);
      const int32_t count = ivit_min(PAIR_COLS, op->value_dim - n);
      to = channels.first + (size_t)(j / 2) * channels.width * 2 + j % 2;
      for (int32_t c = 0; c < count; c++) to[2 * c] = value[n + c];
      for (int32_t c = 0; c < count; c++) correction[n + c] += (uint32_t)value[n + c] * WEIGHT_OFFSET;
    }
  }
}

/* Scratch: PAIR_ROWS rows of queries, of scores, and of weights. */
typedef struct {
  size_t query_stride, score_stride, weight_stride;
  int32_t *scores;
  int16_t *queries, *weights;
  size_t size;
} published_scratch;

static published_scratch split_published(const ivit_attention *op, void *scratch) {
  published_scratch s = {.query_stride = round_up((size_t)op->dim, 2),
                         .score_stride = panel_columns(op->keys),
                         .weight_stride = round_up((size_t)op->keys, 2)};
  s.scores = scratch;
  s.queries = (int16_t *)(s.scores + PAIR_ROWS * s.score_stride);
  s.weights = s.queries + PAIR_ROWS * s.query_stride;
  s.size = PAIR_ROWS * (s.score_stride * sizeof *s.scores +
                        (s.query_stride + s.weight_stride) * sizeof *s.queries);
  return s;
}

static size_t published_scratch_size(const ivit_attention *op) {
  int32_t base[1];
  return split_published(op, base).size;
}

/* (v*b + 2^(c-1)) >> c of `count` numbers by a plan that is not WIDE; b: one for each, times 2^plan->scale. */
static void requantize_by(const requantize_plan *plan, const int32_t *restrict v, const int32_t *restrict b,
                          int32_t *restrict out, int32_t count) {
  const int32_t round = plan->round, shift = plan->shift, lift = 1 << plan->lift;
  if (plan->path == NARROW)
    for (int32_t i = 0; i < count; i++) out[i] = (v[i] * b[i] + round) >> shift;
  else
    for (int32_t i = 0; i < count; i++)
      out[i] = ((int32_t)(((int64_t)(v[i] * lift) * b[i]) >> 32) + round) >> shift;
}

/* Scores of the keys of a panel, from the sums of products. */
static void published_scale(const requantize_plan *plan, int32_t multiplier, int32_t shift, const int32_t *sums,
                         int32_t *scores, int32_t count) {
  if (plan->path == WIDE) {
    for (int32_t i = 0; i < count; i++) scores[i] = ivit_scale_score(sums[i], multiplier, shift, 0);
    return;
  }
  int32_t b[PAIR_COLS];
  for (int32_t i = 0; i < PAIR_COLS; i++) b[i] = (int32_t)((uint32_t)multiplier << plan->scale);
  requantize_by(plan, sums, b, scores, count);
  for (int32_t i = 0; i < count; i++)
    scores[i] = ivit_max(ivit_min(scores[i], IVIT_SCORE_LIMIT), -IVIT_SCORE_LIMIT);
}

/* Adds position biases; returns the largest score. */
static int32_t published_maximum(int32_t *restrict scores, const int32_t *restrict bias, int32_t keys) {
  int32_t max = -IVIT_SCORE_LIMIT;
  if (bias)
    for (int32_t j = 0; j < keys; j++)
      scores[j] = ivit_max(ivit_min(scores[j] + bias[j], IVIT_SCORE_LIMIT), -IVIT_SCORE_LIMIT);
  for (int32_t j = 0; j < keys; j++) max = ivit_max(max, scores[j]);
  return max;
}

/* i-softmax: e*factor <= 2^32 - 1, for e is part of the sum. */
static void weigh_ibert(const ivit_attention *op, int32_t max, int32_t *scores) {
  const int32_t keys = op->keys, shift = 32 - op->softmax_bits;
  int64_t sum = 0;
  for (int32_t j = 0; j < keys; j++) {
    const uint32_t d = (uint32_t)max - (uint32_t)scores[j], z = d >> 10;
    const int32_t r = 1998 - (int32_t)(d & 1023);
    const uint32_t q = (uint32_t)(r * r + 2094200);
    scores[j] = z >= 15 ? 0 : (int32_t)(q >> ((z & 15) + 8));
  }
  for (int32_t j = 0; j < keys; j++) sum += scores[j];
  const uint32_t factor = (uint32_t)(0xffffffff / (uint64_t)sum);
  for (int32_t j = 0; j < keys; j++) scores[j] = (int32_t)(((uint32_t)scores[j] * factor) >> shift);
}

/*
 * Shiftmax. |y| < 2^9, so that floor(|y|/a) is (|y|*(floor(2^20/a) + 1)) >> 20: for a < 2^9 the product is too large by
 * |y|*a < 2^20 at most, which reaches no next integer; above, it is below 2^20. e*factor < 2^32: below 2^31 as long as
 * the sum is not cut off, and where it is, the factor is 1.
 */
static void weigh_paper(const ivit_attention *op, int32_t *scores) {
  enum { BITS = 15, LIMIT = 127 };
  const int32_t keys = op->keys, x0 = op->x0, inverse = (1 << 20) / -x0 + 1, shift = 32 - op->softmax_bits;
  int32_t max = -LIMIT;
  int64_t sum = 0;
  for (int32_t j = 0; j < keys; j++) scores[j] = ivit_max(ivit_min(scores[j], LIMIT), -LIMIT);
  for (int32_t j = 0; j < keys; j++) max = ivit_max(max, scores[j]);
  for (int32_t j = 0; j < keys; j++) {
    const int32_t x = scores[j] - max, y = ivit_max(x + (x >> 1) - (x >> 4), BITS * x0);
    const int32_t q = (-y * inverse) >> 20, a = y - x0 * q - 2 * x0; /* at most 2^16 */
    scores[j] = (int32_t)(((uint32_t)a << (BITS - q)) >> 1);
  }
  for (int32_t j = 0; j < keys; j++) sum += scores[j];
  const uint32_t factor = (uint32_t)ivit_paper_reciprocal(sum);
  for (int32_t j = 0; j < keys; j++) scores[j] = (int32_t)(((uint32_t)scores[j] * factor) >> shift);
}

static void weigh_published(const ivit_attention *op, int32_t max, int32_t *scores) {
  if (op->softmax == IVIT_SOFTMAX_IBERT)
    weigh_ibert(op, max, scores);
  else
    weigh_paper(op, scores);
}

/* Channels n to n + count of a head's row, from their sums; `at`: the first of them. */
static void store_published(const ivit_attention *op, const requantize_plan *plan, const int32_t *multiplier,
                            const int32_t *sums, int32_t channel, int32_t count, void *at) {
  const ivit_output *out = &op->out;
  int32_t r[PAIR_COLS];
  if (plan->path == WIDE)
    for (int32_t i = 0; i < count; i++) r[i] = ivit_requantize(out, sums[i], channel + i);
  else
    requantize_by(plan, sums, multiplier, r, count);
  for (int32_t i = 0; i < count; i++) r[i] = ivit_max(ivit_min(r[i], out->hi), out->lo);
  for (int32_t i = 0; i < count; i++) ivit_store(out, at, (size_t)i, r[i]);
}

/* A block of queries at work. */
typedef struct {
  const ivit_attention *op;
  published_layout l;
  published_scratch s;
  requantize_plan score, value;
  const void *packed;
  int32_t window, head, query, rows; /* `rows` queries from `query` on */
} published_job;

static void published_scores(const published_job *job, const int8_t *q) {
  const ivit_attention *op = job->op;
  const int16_t *rows[PAIR_ROWS];
  int32_t sums[PAIR_ROWS][PAIR_COLS];
  for (int32_t i = 0; i < PAIR_ROWS; i++)
    rows[i] = job->s.queries + (size_t)ivit_min(i, job->rows - 1) * job->s.query_stride;
  for (int32_t i = 0; i < job->rows; i++) {
    int16_t *to = job->s.queries + (size_t)i * job->s.query_stride;
    const int8_t *row = q + ivit_locate(&op->q, job->window * op->queries + job->query + i, job->head);
    to[job->s.query_stride - 1] = 0;
    for (int32_t d = 0; d < op->dim; d++) to[d] = row[d];
  }
  const int16_t *panel = (const int16_t *)((const int32_t *)job->packed + panel_columns(op->value_dim));
  for (int32_t j = 0; j < op->keys; j += PAIR_COLS) {
    const int32_t count = ivit_min(PAIR_COLS, op->keys - j), width = PAIR_WIDTH(count);
    multiply_pairs(sums, rows, (int32_t)job->l.key_pairs, panel, width);
    panel += (size_t)width * job->l.key_pairs * 2;
    for (int32_t i = 0; i < job->rows; i++)
      published_scale(&job->score, op->score_multiplier[job->head], op->score_shift, sums[i],
                   job->s.scores + (size_t)i * job->s.score_stride + j, count);
  }
}

static void published_weights(const published_job *job, ivit_weigh *weigh) {
  const ivit_attention *op = job->op;
  for (int32_t i = 0; i < job->rows; i++) {
    int32_t *scores = job->s.scores + (size_t)i * job->s.score_stride;
    int16_t *weights = job->s.weights + (size_t)i * job->s.weight_stride;
    const int32_t max = published_maximum(scores, ivit_bias_row(op, job->window, job->head, job->query + i), op->keys);
    weigh(op, max, scores);
    weights[job->s.weight_stride - 1] = 0;
    for (int32_t j = 0; j < op->keys; j++) weights[j] = (int16_t)(scores[j] - WEIGHT_OFFSET);
  }
}

static void published_values(const published_job *job, void *out) {
  const ivit_attention *op = job->op;
  const uint32_t *correction = job->packed;
  const int16_t *panel = (const int16_t *)((const int8_t *)job->packed + job->l.values), *rows[PAIR_ROWS];
  const size_t cols = (size_t)op->heads * (size_t)op->value_dim, size = element_size(op->out.type);
  int32_t sums[PAIR_ROWS][PAIR_COLS], multiplier[PAIR_COLS];
  for (int32_t i = 0; i < PAIR_ROWS; i++)
    rows[i] = job->s.weights + (size_t)ivit_min(i, job->rows - 1) * job->s.weight_stride;
  for (int32_t n = 0; n < op->value_dim; n += PAIR_COLS) {
    const int32_t count = ivit_min(PAIR_COLS, op->value_dim - n), width = PAIR_WIDTH(count);
    const int32_t channel = job->head * op->value_dim + n;
    multiply_pairs(sums, rows, (int32_t)job->l.value_pairs, panel, width);
    panel += (size_t)width * job->l.value_pairs * 2;
    for (int32_t c = 0; c < count; c++)
      multiplier[c] = (int32_t)((uint32_t)op->out.multiplier[channel + c] << job->value.scale);
    for (int32_t i = 0; i < job->rows; i++) {
      const size_t token = (size_t)(job->window * op->queries + job->query + i);
      for (int32_t c = 0; c < count; c++) sums[i][c] = (int32_t)((uint32_t)sums[i][c] + correction[n + c]);
      store_published(op, &job->value, multiplier, sums[i], channel, count,
                      (int8_t *)out + (token * cols + (size_t)channel) * size);
    }
  }
}

/* weigh: NULL for the op's own. */
static void published_attention(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head,
                                int32_t query0, int32_t query1, const int8_t *q, const void *packed, void *out,
                                void *scratch) {
  const int64_t limit = (int64_t)op->dim << 14, b = ivit_abs(op->score_multiplier[head]);
  const int64_t largest = largest_multiplier(op->out.multiplier + head * op->value_dim, op->value_dim);
  published_job job = {.op = op,
                       .l = lay_out_published(op),
                       .s = split_published(op, scratch),
                       .score = plan_requantize(limit, limit * b, b, op->score_shift),
                       .value = plan_requantize(INT32_MAX, INT32_MAX * largest, largest, op->out.shift),
                       .packed = packed,
                       .window = window,
                       .head = head};
  for (job.query = query0; job.query < query1; job.query += PAIR_ROWS) {
    job.rows = ivit_min(query1 - job.query, PAIR_ROWS);
    published_scores(&job, q);
    published_weights(&job, weigh ? weigh : weigh_published);
    published_values(&job, out);
  }
}
