/* src/float-kernels: softmax, GELU and LayerNorm in float32, of models that are not integer-only. The add-on alone. */
#ifndef IVIT_FLOAT_H
#define IVIT_FLOAT_H

#include "../ivit.h"

void ivit_float_norm(const ivit_layer_norm *op, int32_t rows, const int32_t *x, void *out, int32_t *scale,
                     void *scratch);
void ivit_float_gelu(const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                     void *scratch);
/* Portable but for its attention, whose softmax is IVIT_SOFTMAX_FLOAT. */
extern const ivit_isa ivit_isa_float;

#endif
