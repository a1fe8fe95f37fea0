/*
 * What an exported program (src/export/c) has beside the primitives of portable.c: forms of them that need less memory,
 * and the calls for rows r0 to r1 of an op. `out` is row r0 of the result.
 *
 * An export holds what it uses of these sources in one header, every function static: src/export/c/sources.ts takes the
 * sources apart. So a name stands for one thing in all of them, functions are written at the margin, and no function
 * calls itself.
 */
#ifndef IVIT_EXPORT_H
#define IVIT_EXPORT_H

#include "../arith.h"

/*
 * As ivit_linear; where x is u8, `bias` has -zero*sum_k w added; where it has row scales, `correction` is -128*sum_k w.
 */
typedef struct {
  int32_t cols, in_features;
  ivit_type x_type;
  int32_t row_shift;
  int32_t bits; /* of a weight in `weight`: 2 to 8 */
  const void *weight;
  /* Of coded weights: inputs that share a factor of 4 bits, and what the codes stand for; else 0. */
  int32_t group_size;
  const uint8_t *factor;
  const int8_t *codebook;
  const int32_t *bias;
  const int32_t *correction;
  ivit_output out;
} ivit_kept_linear;

typedef struct {
  int32_t cols, piece, fill;
  ivit_type type;
  const int32_t *index;
} ivit_gather;

/* A source of a gather: `data` and `scale` begin with its element, and row, `first`; count: of its elements. */
typedef struct {
  const void *data;
  const int32_t *scale;
  int32_t first_row;
  int32_t count;
} ivit_source;

#endif
