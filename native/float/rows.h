/*
 * Softmax, GELU and LayerNorm in float32, row by row: plain C that each file of this folder compiles for its own
 * instructions. Every step is one operation of IEEE 754 single precision in the order of src/float-kernels/index.ts:
 * all of them are compiled without contraction of products and sums (native/build-addon.mjs).
 *
 * Whoever includes this defines FLOAT_ROWS, the name of the table.
 */
#include "float.h"

#include "../arith.h"

/* Numbers that take the place of integers in the scratch memory. */
typedef float __attribute__((__may_alias__)) real;

static inline float power_of_two(int32_t n) {
  union {
    int32_t bits;
    float value;
  } number = {.bits = (int32_t)((uint32_t)(n + 127) << 23)};
  return number.value;
}

/* 2^t of t <= 0. */
static inline float exp2_of(float t) {
  t = t < -126.0f ? -126.0f : t;
  int32_t n = (int32_t)(t - 0.5f);
  float r = t - (float)n;
  float p = 1.5403530e-4f;
  p = p * r + 1.3333558e-3f;
  p = p * r + 9.6181291e-3f;
  p = p * r + 5.5504109e-2f;
  p = p * r + 2.4022651e-1f;
  p = p * r + 6.9314718e-1f;
  return (p * r + 1.0f) * power_of_two(n);
}

static inline int32_t nearest(float v) {
  float raised = v + 0.5f;
  int32_t whole = (int32_t)raised;
  return ivit_clamp(whole - (raised < (float)whole), -(1 << 30), 1 << 30);
}

static inline float gelu_of(float x) {
  float a = (x < 0 ? -x : x) * 0.70710678f;
  float t = 1.0f / (1.0f + 0.3275911f * a);
  float p = 1.0614054f;
  p = p * t + -1.4531520f;
  p = p * t + 1.4214137f;
  p = p * t + -2.8449674e-1f;
  p = p * t + 2.5482959e-1f;
  float tail = p * t * exp2_of(-a * a * 1.442695f);
  return 0.5f * x * (x < 0 ? tail : 2.0f - tail);
}

static void weigh(const ivit_attention *op, int32_t max, int32_t *scores) {
  real *e = (real *)scores;
  float sum = 0;
  for (int32_t j = 0; j < op->keys; j++) e[j] = exp2_of((float)(scores[j] - max) * 0x1p-10f);
  for (int32_t j = 0; j < op->keys; j++) sum += e[j];
  float reciprocal = 1.0f / sum;
  for (int32_t j = 0; j < op->keys; j++) scores[j] = ivit_min(nearest(e[j] * reciprocal * 65536.0f), 65535);
}

static void gelu_row(const ivit_ibert_gelu *op, const int16_t *restrict x, int32_t *restrict row) {
  float unit = power_of_two(-op->fraction_bits), step = power_of_two(op->fraction_bits + 15);
  for (int32_t n = 0; n < op->cols; n++) row[n] = nearest(gelu_of((float)x[n] * unit) * step);
}

static void norm_row(const ivit_layer_norm *op, const int32_t *restrict x, int32_t *restrict row) {
  float sum = 0, squares = (float)op->epsilon;
  if (op->center)
    for (int32_t n = 0; n < op->cols; n++) sum += (float)x[n];
  float mean = sum / (float)op->cols;
  for (int32_t n = 0; n < op->cols; n++) {
    float y = (float)x[n] - mean;
    squares += y * y;
  }
  float factor = 0x1p30f / __builtin_sqrtf(squares > 1.0f ? squares : 1.0f);
  for (int32_t n = 0; n < op->cols; n++) row[n] = nearest(((float)x[n] - mean) * factor);
}

const ivit_float_rows FLOAT_ROWS = {.weigh = weigh, .gelu = gelu_row, .norm = norm_row};
