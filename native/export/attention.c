/* Attention for an exported program: keys and values are read where they lie. */
#include "export.h"

/* The scores of a query; returns the largest. */
static int32_t score_keys(const ivit_attention *op, int32_t window, int32_t head, int32_t query, const int8_t *row,
                          const int8_t *k, int32_t *scores) {
  const int32_t *bias = ivit_bias_row(op, window, head, query);
  int32_t max = -IVIT_SCORE_LIMIT;
  for (int32_t j = 0; j < op->keys; j++) {
    int32_t s = dot_signed(row, k + ivit_locate(&op->k, window * op->keys + j, head), op->dim);
    scores[j] = ivit_scale_score(s, op->score_multiplier[head], op->score_shift, bias ? bias[j] : 0);
    max = ivit_max(max, scores[j]);
  }
  return max;
}

/* acc = sum_j w[j]*v[j], over keys whose weight is not 0. */
static void add_values(const ivit_attention *op, int32_t window, int32_t head, const int32_t *weights, const int8_t *v,
                       int32_t *acc) {
  const int8_t *values[4];
  int32_t w[4], held = 0;
  for (int32_t i = 0; i < op->value_dim; i++) acc[i] = 0;
  for (int32_t j = 0; j < op->keys; j++) {
    if (!weights[j]) continue;
    w[held] = weights[j];
    values[held++] = v + ivit_locate(&op->v, window * op->keys + j, head);
    if (held == 4) {
      add_four(acc, w, values, op->value_dim);
      held = 0;
    }
  }
  if (held == 0) return;
  for (; held < 4; held++) {
    w[held] = 0;
    values[held] = values[0];
  }
  add_four(acc, w, values, op->value_dim);
}

/* Scratch: i32 [keys], i32 [value_dim]. */
static void ivit_attention_rows(const ivit_attention *op, int32_t r0, int32_t r1, const int8_t *q, const int8_t *k,
                                const int8_t *v, void *out, void *scratch) {
  int32_t *scores = scratch, *acc = scores + op->keys;
  const size_t cols = (size_t)op->heads * (size_t)op->value_dim;
  for (int32_t r = r0; r < r1; r++) {
    const int32_t window = r / op->queries, query = r - window * op->queries;
    for (int32_t head = 0; head < op->heads; head++) {
      int32_t max = score_keys(op, window, head, query, q + ivit_locate(&op->q, r, head), k, scores), sum = 0;
      for (int32_t j = 0; j < op->keys; j++) {
        int32_t dither = ivit_softmax_dither(query, j, op->softmax_bits);
        scores[j] = ivit_softmax_weight((uint32_t)max - (uint32_t)scores[j], op->fraction_bits, op->softmax,
                                        op->softmax_bits, dither);
        sum += scores[j];
      }
      add_values(op, window, head, scores, v, acc);
      const int32_t factor = ivit_sum_factor(sum, op->softmax_bits), channel = head * op->value_dim;
      const size_t at = (size_t)(r - r0) * cols + (size_t)channel;
      for (int32_t i = 0; i < op->value_dim; i++) {
        int64_t o = ivit_shift_round((int64_t)acc[i] * factor, op->softmax_bits);
        ivit_store(&op->out, out, at + (size_t)i, ivit_requantize(&op->out, o, channel + i));
      }
    }
  }
}

/* The same with a published softmax. */
static void ivit_published_attention_rows(const ivit_attention *op, int32_t r0, int32_t r1, const int8_t *q,
                                          const int8_t *k, const int8_t *v, void *out, void *scratch) {
  int32_t *scores = scratch, *acc = scores + op->keys;
  const size_t cols = (size_t)op->heads * (size_t)op->value_dim;
  for (int32_t r = r0; r < r1; r++) {
    const int32_t window = r / op->queries, query = r - window * op->queries;
    for (int32_t head = 0; head < op->heads; head++) {
      int32_t max = score_keys(op, window, head, query, q + ivit_locate(&op->q, r, head), k, scores);
      published_softmax(op, max, scores);
      add_values(op, window, head, scores, v, acc);
      const int32_t channel = head * op->value_dim;
      const size_t at = (size_t)(r - r0) * cols + (size_t)channel;
      for (int32_t i = 0; i < op->value_dim; i++)
        ivit_store(&op->out, out, at + (size_t)i, ivit_requantize(&op->out, acc[i], channel + i));
    }
  }
}
