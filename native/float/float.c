/*
 * Every step is one operation of IEEE 754 single precision in the order of src/float-kernels/index.ts. So this file is
 * compiled without contraction of products and sums (native/build-addon.mjs).
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

static void float_softmax(const ivit_attention *op, int32_t max, int32_t *scores) {
  real *e = (real *)scores;
  float sum = 0;
  for (int32_t j = 0; j < op->keys; j++) e[j] = exp2_of((float)(scores[j] - max) * 0x1p-10f);
  for (int32_t j = 0; j < op->keys; j++) sum += e[j];
  float reciprocal = 1.0f / sum;
  for (int32_t j = 0; j < op->keys; j++) scores[j] = ivit_min(nearest(e[j] * reciprocal * 65536.0f), 65535);
}

static void float_attention(const ivit_attention *op, int32_t window, int32_t head, int32_t query0, int32_t query1,
                            const int8_t *q, const void *packed, void *out, void *scratch) {
  ivit_attend(op, float_softmax, window, head, query0, query1, q, packed, out, scratch);
}

const ivit_isa ivit_isa_float = {
    .name = "float",
    .attention_pack_size = ivit_portable_attention_pack_size,
    .attention_pack = ivit_portable_attention_pack,
    .attention_scratch = ivit_portable_attention_scratch,
    .attention = float_attention,
};

void ivit_float_gelu(const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                     void *scratch) {
  int32_t *row = scratch;
  float unit = power_of_two(-op->fraction_bits), step = power_of_two(op->fraction_bits + 15);
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    for (int32_t n = 0; n < op->cols; n++) row[n] = nearest(gelu_of(x[n] * unit) * step);
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, row[n], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}

void ivit_float_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                     void *scratch) {
  int32_t *row = scratch;
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
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
    for (int32_t n = 0; n < op->cols; n++) row[n] = ivit_requantize(&op->out, row[n], n);
    ivit_portable_store_row(&op->out, r, op->cols, row, out, scale);
  }
}
