/* src/float-kernels: softmax, GELU and LayerNorm in float32, of models that are not integer-only. The add-on alone. */
#ifndef IVIT_FLOAT_H
#define IVIT_FLOAT_H

#include "../ivit.h"

/* rows.h, compiled for an instruction set: a row of scores to weights; of values before they are requantized. */
typedef struct {
  ivit_weigh *weigh;
  void (*gelu)(const ivit_ibert_gelu *op, const int16_t *restrict x, int32_t *restrict row);
  void (*norm)(const ivit_layer_norm *op, const int32_t *restrict x, int32_t *restrict row);
} ivit_float_rows;
extern const ivit_float_rows ivit_float_plain;
#if defined(__x86_64__)
extern const ivit_float_rows ivit_float_avx2, ivit_float_avx512;
#endif

/* float.c: by the rows of `isa`, and by its requantization. */
ivit_weigh *ivit_float_weigh(const ivit_isa *isa);
void ivit_float_norm(const ivit_isa *isa, const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out,
                     int32_t *scale, void *scratch);
void ivit_float_gelu(const ivit_isa *isa, const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out,
                     int32_t *scale, void *scratch);

#endif
