/* Linear layers for an exported program: the weights stay where they are, those of fewer than 8 bits packed. */
#include "export.h"

/* A row of weights, as docs/format.md packs them: weight i takes bits i*bits to (i+1)*bits - 1. */
static void unpack_weights(const uint8_t *packed, int32_t bits, size_t first, int32_t count, int8_t *to) {
  size_t at = first * (size_t)bits;
  const uint8_t *from = packed + (at >> 3);
  uint32_t held = (uint32_t)*from++ >> (at & 7), sign = 1u << (bits - 1), mask = (1u << bits) - 1;
  int32_t left = 8 - (int32_t)(at & 7);
  for (int32_t k = 0; k < count; k++) {
    if (left < bits) {
      held |= (uint32_t)*from++ << left;
      left += 8;
    }
    to[k] = (int8_t)((int32_t)((held & mask) ^ sign) - (int32_t)sign);
    held >>= bits;
    left -= bits;
  }
}

/* Codes of row n of the weights, as docs/format.md has them, by what they stand for. */
static void decode_weights(const ivit_kept_linear *op, int32_t n, int8_t *codes) {
  const int32_t zero = 1 << (op->bits - 1);
  size_t group = (size_t)n * (size_t)((op->in_features - 1) / op->group_size + 1);
  for (int32_t k = 0; k < op->in_features; group++) {
    int32_t factor = op->factor[group >> 1] >> (4 * (group & 1)) & 15;
    factor += factor < 8 ? 16 : 0; /* 16 and four bits with a sign */
    int32_t end = op->in_features - k > op->group_size ? k + op->group_size : op->in_features;
    for (; k < end; k++) codes[k] = (int8_t)((op->codebook[codes[k] + zero] * factor + 8) >> 4);
  }
}

/* bias[n] + sum_k (x[k] - zero)*w[k] of row r. */
static int64_t accumulate(const ivit_kept_linear *op, const void *x, const int32_t *x_scale, int32_t r, int32_t n,
                          const int8_t *w) {
  const size_t at = (size_t)r * (size_t)op->in_features;
  if (op->x_type == IVIT_I16) return op->bias[n] + dot_shorts((const int16_t *)x + at, w, op->in_features);
  int32_t start = op->x_type == IVIT_ROWS ? op->correction[n] : op->bias[n];
  int32_t sum = dot_bytes((const uint8_t *)x + at, w, op->in_features, start);
  if (op->x_type == IVIT_U8) return sum;
  return op->bias[n] + ivit_shift_round((int64_t)x_scale[r] * sum, op->row_shift);
}

static void ivit_kept_linear_rows(const ivit_kept_linear *op, int32_t rows, const void *x, const int32_t *x_scale,
                                  const int32_t *residual, void *out, void *scratch) {
  int8_t *unpacked = scratch;
  for (int32_t n = 0; n < op->cols; n++) {
    const size_t first = (size_t)n * (size_t)op->in_features;
    const int8_t *w = unpacked;
    if (op->bits == 8)
      w = (const int8_t *)op->weight + first;
    else
      unpack_weights(op->weight, op->bits, first, op->in_features, unpacked);
    if (op->group_size) decode_weights(op, n, unpacked);
    for (int32_t r = 0; r < rows; r++) {
      const size_t i = (size_t)r * (size_t)op->cols + (size_t)n;
      int32_t value = ivit_requantize(&op->out, accumulate(op, x, x_scale, r, n, w), n);
      if (residual) value = ivit_clamp((int64_t)value + residual[i], -IVIT_WIDE_LIMIT, IVIT_WIDE_LIMIT);
      ivit_store(&op->out, out, i, value);
    }
  }
}
