/* Every primitive in plain C, as close to src/kernels as C comes: the fallback, and what the SIMD tables borrow. */
#include "map_rows.h"

static size_t padded(size_t n) { return (n + 63) & ~(size_t)63; }

/* Packed: i32 correction[padded cols] = -zero*sum_k w[n][k], then the weights as they were. */
size_t ivit_portable_linear_pack_size(const ivit_linear *op) {
  if (op->weights_of) return 0;
  return padded((size_t)op->cols) * sizeof(int32_t) + (size_t)op->cols * (size_t)op->in_features;
}

void ivit_portable_linear_pack(const ivit_linear *op, void *packed) {
  if (op->weights_of) return;
  int32_t *correction = packed;
  int8_t *weight = (int8_t *)(correction + padded((size_t)op->cols));
  const int8_t *w = op->weight;
  for (int32_t n = 0; n < op->cols; n++) {
    int32_t sum = 0;
    for (int32_t k = 0; k < op->in_features; k++) {
      sum += *w;
      *weight++ = *w++;
    }
    correction[n] = -op->x_zero * sum;
  }
}

size_t ivit_portable_linear_scratch(const ivit_linear *op) {
  (void)op;
  return 0;
}

void ivit_portable_linear(const ivit_linear *op, int32_t rows, int32_t n0, int32_t n1, const void *x,
                          const int32_t *x_scale, const int32_t *residual, void *out, void *scratch) {
  (void)scratch;
  const int32_t *correction = op->weights_of ? op->weights_of->packed : op->packed;
  const int8_t *weights = (const int8_t *)(correction + padded((size_t)op->cols));
  int32_t features = op->in_features;
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t n = n0; n < n1; n++) {
      const int8_t *w = weights + (size_t)n * (size_t)features;
      int64_t acc;
      if (op->x_type == IVIT_I16) {
        const int16_t *row = (const int16_t *)x + (size_t)r * (size_t)features;
        acc = 0;
        for (int32_t k = 0; k < features; k++) acc += row[k] * w[k];
      } else {
        const uint8_t *row = (const uint8_t *)x + (size_t)r * (size_t)features;
        int32_t sum = correction[n];
        for (int32_t k = 0; k < features; k++) sum += row[k] * w[k];
        acc = op->x_type == IVIT_ROWS ? ivit_shift_round((int64_t)x_scale[r] * sum, op->row_shift) : sum;
      }
      size_t i = (size_t)r * (size_t)op->cols + (size_t)n;
      int32_t value = ivit_requantize(&op->out, acc + op->bias[n], n);
      if (residual) value = ivit_clamp((int64_t)value + residual[i], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
      ivit_store(&op->out, out, i, value);
    }
  }
}

void ivit_portable_store_row(const ivit_output *out, int32_t r, int32_t cols, const int32_t *row, void *data,
                             int32_t *scale) {
  size_t at = (size_t)r * (size_t)cols;
  if (out->type == IVIT_ROWS)
    ivit_portable_quantize_rows(1, cols, row, (uint8_t *)data + at, scale + r);
  else
    for (int32_t n = 0; n < cols; n++) ivit_store(out, data, at + (size_t)n, row[n]);
}

void ivit_portable_layer_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                              void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    int64_t sum = 0;
    uint64_t squares = 0;
    for (int32_t n = 0; n < op->cols; n++) {
      sum += x[n];
      squares += (uint64_t)((int64_t)x[n] * x[n]);
    }
    int32_t mean, f, t;
    ivit_norm_factor(sum, squares, op->cols, op->center, op->epsilon, &mean, &f, &t);
    for (int32_t n = 0; n < op->cols; n++) {
      row[n] = ivit_requantize(&op->out, ((int64_t)(x[n] - mean) * f) >> t, n);
    }
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_activation(const ivit_activation *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                              void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    for (int32_t n = 0; n < op->cols; n++) {
      int32_t y = ivit_max(x[n], 0) - ivit_hump(op->knots, op->spacing, ivit_abs(x[n]));
      row[n] = ivit_requantize(&op->out, y, n);
    }
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_paper_norm(const ivit_paper_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                              void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    int64_t sum = 0;
    for (int32_t n = 0; n < op->cols; n++) sum += x[n];
    int64_t mean = sum >= 0 ? sum / op->cols : -((-sum + op->cols - 1) / op->cols);
    int64_t twice = 2 * (sum - mean * op->cols);
    mean += twice > op->cols || (twice == op->cols && (mean & 1));

    uint64_t squares = 0, std = 1 << 16;
    for (int32_t n = 0; n < op->cols; n++) squares += (uint64_t)((x[n] - mean) * (x[n] - mean));
    for (int32_t i = 0; i < 10; i++) std = (std + squares / std) >> 1;
    int64_t factor = (int64_t)(0x7fffffff / std);
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, ((x[n] - mean) * factor) >> 1, n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_paper_gelu(const ivit_paper_gelu *op, int32_t rows, const int8_t *x, void *out, int32_t *scale,
                              void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    int32_t max = x[0];
    for (int32_t n = 1; n < op->cols; n++) max = ivit_max(max, x[n]);
    for (int32_t n = 0; n < op->cols; n++) {
      row[n] = ivit_requantize(&op->out, ivit_paper_gelu_value(x[n], max, op->x0), n);
    }
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_ibert_gelu(const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                              void *scratch) {
  const ivit_gelu_numbers k = ivit_gelu_of(op->fraction_bits);
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, ivit_gelu(x[n], k), n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_rescale(const ivit_rescale *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                           void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, x[n], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

/* The number of b that element n of a row takes: its own, or the row's one. */
static inline size_t place_in(const ivit_binary *op, int32_t n) { return op->is_column ? 0 : (size_t)n; }

void ivit_portable_multiply(const ivit_binary *op, int32_t rows, const int16_t *a, const int16_t *b, size_t b_stride,
                            void *out, int32_t *scale, void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, a += op->cols, b += b_stride) {
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, a[n] * b[place_in(op, n)], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_divide(const ivit_binary *op, int32_t rows, const int32_t *a, const int32_t *b, size_t b_stride,
                          void *out, int32_t *scale, void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, a += op->cols, b += b_stride) {
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_quotient(a[n], b[place_in(op, n)], op->bits);
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, row[n], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_lookup(const ivit_lookup *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                          void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, ivit_look_up(op->table, x[n]), n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_softmax(const ivit_row_softmax *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                           void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    uint64_t sum = ivit_weigh_row(op, x, row);
    for (int32_t n = 0; n < op->cols; n++) {
      row[n] = ivit_requantize(&op->out, (int64_t)((((uint64_t)row[n] << 16) + (sum >> 1)) / sum), n);
    }
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_portable_rotate(const ivit_rotate *op, int32_t rows, const int16_t *x, const int16_t *cos, const int16_t *sin,
                          void *out, int32_t *scale, void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->stride, cos += op->period, sin += op->period) {
    ivit_rotate_row(op, x, cos, sin, row);
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, row[n], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

/* Scratch: a row of each matrix. */
size_t ivit_portable_matmul_scratch(const ivit_matmul *op) { return 2 * padded((size_t)op->k) * sizeof(int16_t); }

/* Row i of a matrix whose tokens begin with `first`. */
static void read_row(const ivit_view *view, int32_t is_transposed, const int16_t *source, int32_t first, int32_t head,
                     int32_t i, int32_t k, int16_t *to) {
  const int16_t *row = is_transposed ? NULL : source + ivit_locate(view, first + i, head);
  for (int32_t t = 0; t < k; t++) to[t] = row ? row[t] : source[ivit_locate(view, first + t, head) + (size_t)i];
}

void ivit_portable_matmul(const ivit_matmul *op, int32_t r0, int32_t r1, const int16_t *a, const int16_t *b, void *out,
                          void *scratch) {
  int16_t *x = scratch, *y = x + padded((size_t)op->k);
  int32_t window = r0 / op->m, is_plain = !op->a.rows && !op->a_transposed;
  int32_t first_a = is_plain ? -(r0 - window * op->m) : window * (op->a_transposed ? op->k : op->m);
  int32_t first_b = window * (op->b_transposed ? op->k : op->n);
  size_t cols = (size_t)op->heads * (size_t)op->n;
  for (int32_t r = r0; r < r1; r++) {
    for (int32_t head = 0; head < op->heads; head++) {
      size_t at = (size_t)(r - r0) * cols + (size_t)head * (size_t)op->n;
      read_row(&op->a, op->a_transposed, a, first_a, head, r - window * op->m, op->k, x);
      for (int32_t j = 0; j < op->n; j++) {
        read_row(&op->b, op->b_transposed, b, first_b, head, j, op->k, y);
        int64_t sum = 0;
        for (int32_t k = 0; k < op->k; k++) sum += x[k] * y[k];
        ivit_store(&op->out[head], out, at + (size_t)j, ivit_requantize(&op->out[head], sum, j));
      }
    }
  }
}

void ivit_portable_quantize_rows(int32_t rows, int32_t cols, const int32_t *u, uint8_t *codes, int32_t *scale) {
  for (int32_t r = 0; r < rows; r++, u += cols, codes += cols) {
    int32_t max = 1;
    for (int32_t n = 0; n < cols; n++) max = ivit_max(max, ivit_abs(u[n]));
    scale[r] = ivit_row_scale(max);
    int32_t m = ivit_row_multiplier(scale[r]);
    for (int32_t n = 0; n < cols; n++) codes[n] = (uint8_t)(((u[n] * m + (1 << 23)) >> 24) + 128);
  }
}

void ivit_portable_add(size_t count, const int32_t *a, const int32_t *b, int32_t *out) {
  for (size_t i = 0; i < count; i++) out[i] = ivit_clamp((int64_t)a[i] + b[i], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
}

/* Packed: the keys [keys][dim], then the values [keys][value_dim]. */
size_t ivit_portable_attention_pack_size(const ivit_attention *op) {
  return (size_t)op->keys * (size_t)(op->dim + op->value_dim);
}

void ivit_portable_attention_pack(const ivit_attention *op, int32_t window, int32_t head, const int8_t *k,
                                  const int8_t *v, void *packed) {
  int8_t *keys = packed;
  int8_t *values = keys + (size_t)op->keys * (size_t)op->dim;
  for (int32_t j = 0; j < op->keys; j++) {
    int32_t token = window * op->keys + j;
    const int8_t *key = k + ivit_locate(&op->k, token, head);
    const int8_t *value = v + ivit_locate(&op->v, token, head);
    for (int32_t i = 0; i < op->dim; i++) *keys++ = key[i];
    for (int32_t i = 0; i < op->value_dim; i++) *values++ = value[i];
  }
}

size_t ivit_portable_attention_scratch(const ivit_attention *op) {
  return (padded((size_t)op->keys) + padded((size_t)op->value_dim)) * sizeof(int32_t);
}

/* Scores, in place, to the weights of the published softmax. */
static void paper_softmax(const ivit_attention *op, int32_t *scores) {
  enum { BITS = 15, LIMIT = 127 };
  int32_t max = -LIMIT;
  int64_t sum = 0;
  for (int32_t j = 0; j < op->keys; j++) max = ivit_max(max, scores[j] = ivit_clamp(scores[j], -LIMIT, LIMIT));
  for (int32_t j = 0; j < op->keys; j++) {
    scores[j] = (int32_t)ivit_shift_exponential(scores[j] - max, op->x0, BITS);
    sum += scores[j];
  }
  int64_t factor = ivit_paper_reciprocal(sum);
  for (int32_t j = 0; j < op->keys; j++) scores[j] = (int32_t)((scores[j] * factor) >> (32 - op->softmax_bits));
}

/* Scores, in place, to the weights of i-softmax. */
static void ibert_softmax(const ivit_attention *op, int32_t max, int32_t *scores) {
  int64_t sum = 0;
  for (int32_t j = 0; j < op->keys; j++) {
    scores[j] = ivit_exponential((uint32_t)max - (uint32_t)scores[j]);
    sum += scores[j];
  }
  int64_t factor = (int64_t)0xffffffff / sum;
  for (int32_t j = 0; j < op->keys; j++) scores[j] = (int32_t)((scores[j] * factor) >> (32 - op->softmax_bits));
}

/* Scores, in place, to weights that are divided by their sum. */
static void published_softmax(const ivit_attention *op, int32_t max, int32_t *scores) {
  if (op->softmax == IVIT_SOFTMAX_IBERT)
    ibert_softmax(op, max, scores);
  else
    paper_softmax(op, scores);
}

void ivit_attend(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head, int32_t query0,
                 int32_t query1, const int8_t *q, const void *packed, void *out, void *scratch) {
  const int8_t *keys = packed;
  const int8_t *values = keys + (size_t)op->keys * (size_t)op->dim;
  int32_t *scores = scratch;
  int32_t *acc = scores + padded((size_t)op->keys);
  size_t out_cols = (size_t)op->heads * (size_t)op->value_dim;

  for (int32_t query = query0; query < query1; query++) {
    int32_t token = window * op->queries + query;
    const int8_t *row = q + ivit_locate(&op->q, token, head);
    const int32_t *bias = ivit_bias_row(op, window, head, query);
    int32_t max = -IVIT_SCORE_LIMIT;
    const int8_t *key = keys;
    for (int32_t j = 0; j < op->keys; j++, key += op->dim) {
      int32_t s = 0;
      for (int32_t i = 0; i < op->dim; i++) s += row[i] * key[i];
      scores[j] = ivit_scale_score(s, op->score_multiplier[head], op->score_shift, bias ? bias[j] : 0);
      max = ivit_max(max, scores[j]);
    }

    if (weigh) weigh(op, max, scores);
    int32_t sum = 0;
    for (int32_t i = 0; i < op->value_dim; i++) acc[i] = 0;
    const int8_t *value = values;
    for (int32_t j = 0; j < op->keys; j++, value += op->value_dim) {
      int32_t w = scores[j];
      if (!weigh) {
        int32_t dither = ivit_softmax_dither(query, j, op->softmax_bits);
        w = ivit_softmax_weight((uint32_t)max - (uint32_t)w, op->fraction_bits, op->softmax, op->softmax_bits, dither);
      }
      sum += w;
      if (w)
        for (int32_t i = 0; i < op->value_dim; i++) acc[i] += w * value[i];
    }

    int32_t factor = weigh ? 0 : ivit_sum_factor(sum, op->softmax_bits);
    int32_t channel = head * op->value_dim;
    size_t at = (size_t)token * out_cols + (size_t)channel;
    for (int32_t i = 0; i < op->value_dim; i++) {
      int64_t o = weigh ? acc[i] : ivit_shift_round((int64_t)acc[i] * factor, op->softmax_bits);
      ivit_store(&op->out, out, at + (size_t)i, ivit_requantize(&op->out, o, channel + i));
    }
  }
}

void ivit_portable_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                             const int8_t *q, const void *packed, void *out, void *scratch) {
  ivit_attend(op, NULL, window, head, query0, query1, q, packed, out, scratch);
}

static void published(const ivit_attention *op, ivit_weigh *weigh, int32_t window, int32_t head, int32_t query0,
                      int32_t query1, const int8_t *q, const void *packed, void *out, void *scratch) {
  ivit_attend(op, weigh ? weigh : published_softmax, window, head, query0, query1, q, packed, out, scratch);
}

const ivit_isa ivit_isa_portable = {
    .name = "portable",
    .tile_rows = 1,
    .tile_cols = 1,
    .linear_pack_size = ivit_portable_linear_pack_size,
    .linear_pack = ivit_portable_linear_pack,
    .linear_scratch = ivit_portable_linear_scratch,
    .linear = ivit_portable_linear,
    .layer_norm = ivit_portable_layer_norm,
    .activation = ivit_portable_activation,
    .paper_gelu = ivit_portable_paper_gelu,
    .ibert_gelu = ivit_portable_ibert_gelu,
    .rescale = ivit_portable_rescale,
    .multiply = ivit_portable_multiply,
    .divide = ivit_portable_divide,
    .lookup = ivit_portable_lookup,
    .softmax = ivit_portable_softmax,
    .rotate = ivit_portable_rotate,
    .matmul_scratch = ivit_portable_matmul_scratch,
    .matmul = ivit_portable_matmul,
    .quantize_rows = ivit_portable_quantize_rows,
    .add = ivit_portable_add,
    .depthwise_scratch = ivit_portable_depthwise_scratch,
    .depthwise = ivit_portable_depthwise,
    .mix_rows = ivit_portable_mix_rows,
    .max_pool = ivit_portable_max_pool,
    .group_sums = ivit_portable_group_sums,
    .group_norm = ivit_portable_group_norm,
    .attention_pack_size = ivit_portable_attention_pack_size,
    .attention_pack = ivit_portable_attention_pack,
    .attention_scratch = ivit_portable_attention_scratch,
    .attention = ivit_portable_attention,
    .published_pack_size = ivit_portable_attention_pack_size,
    .published_pack = ivit_portable_attention_pack,
    .published_scratch = ivit_portable_attention_scratch,
    .published = published,
};
