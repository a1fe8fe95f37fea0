/*
 * What a table makes of ../map_rows.h, and of the published GELUs. Whoever includes this defines `rescale_sums`, the
 * table's requantization of rows of i32 by packed constants, first.
 */
#include "../map_rows.h"

/* Behind the rows that requantization takes. */
static inline int32_t *sums_in(void *scratch, int32_t cols) {
  return (int32_t *)((int8_t *)scratch + ivit_row_scratch(cols) / 4 * 3);
}

static void rotate_rows(const ivit_rotate *op, int32_t rows, const int16_t *x, const int16_t *cos, const int16_t *sin,
                        void *out, int32_t *scale, void *scratch) {
  const ivit_rescale rest = {op->cols, op->out};
  const size_t bytes = (size_t)op->cols * ivit_size_of(op->out.type);
  int32_t *sums = sums_in(scratch, op->cols);
  for (int32_t r = 0; r < rows; r++, x += op->stride, cos += op->period, sin += op->period) {
    ivit_rotate_row(op, x, cos, sin, sums);
    rescale_sums(&rest, 1, sums, (int8_t *)out + (size_t)r * bytes, scale ? scale + r : NULL, scratch);
  }
}

static void sum_groups(const ivit_group_norm *op, int32_t rows, const int16_t *x, ivit_group_sums *sums) {
  ivit_sum_groups(op, rows, x, sums);
}

static void group_norm_rows(const ivit_group_norm *op, const ivit_group_factor *factors, int32_t rows,
                            const int16_t *x, void *out, int32_t *scale, void *scratch) {
  const ivit_rescale rest = {op->cols, op->out};
  const size_t bytes = (size_t)op->cols * ivit_size_of(op->out.type);
  int32_t *sums = sums_in(scratch, op->cols);
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    ivit_normalize_groups(op, factors, x, sums);
    rescale_sums(&rest, 1, sums, (int8_t *)out + (size_t)r * bytes, scale ? scale + r : NULL, scratch);
  }
}

static void pool_rows(const ivit_geometry *map, ivit_type type, int32_t r0, int32_t r1, const void *x, void *out) {
  ivit_pool_rows(map, type, r0, r1, x, out);
}

/* The published GELUs: their values, row by row, and then the table's requantization. */

static void ibert_gelu_row(ivit_gelu_numbers k, const int16_t *restrict x, int32_t cols, int32_t *restrict values) {
  for (int32_t n = 0; n < cols; n++) values[n] = ivit_gelu(x[n], k);
}

static void ibert_gelu_rows(const ivit_ibert_gelu *op, int32_t rows, const int16_t *x, void *out, int32_t *scale,
                            void *scratch) {
  const ivit_rescale rest = {op->cols, op->out};
  const size_t bytes = (size_t)op->cols * ivit_size_of(op->out.type);
  int32_t *values = sums_in(scratch, op->cols);
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    ibert_gelu_row(ivit_gelu_of(op->fraction_bits), x, op->cols, values);
    rescale_sums(&rest, 1, values, (int8_t *)out + (size_t)r * bytes, scale ? scale + r : NULL, scratch);
  }
}

/* A row has 256 different numbers at most: each of those between its least and its largest is computed once. */
static void paper_gelu_rows(const ivit_paper_gelu *op, int32_t rows, const int8_t *x, void *out, int32_t *scale,
                            void *scratch) {
  const ivit_rescale rest = {op->cols, op->out};
  const size_t bytes = (size_t)op->cols * ivit_size_of(op->out.type);
  int32_t *values = sums_in(scratch, op->cols), table[256];
  for (int32_t r = 0; r < rows; r++, x += op->cols) {
    int32_t least = x[0], most = x[0];
    for (int32_t n = 1; n < op->cols; n++) least = ivit_min(least, x[n]), most = ivit_max(most, x[n]);
    for (int32_t v = least; v <= most; v++) table[v - least] = ivit_paper_gelu_value(v, most, op->x0);
    for (int32_t n = 0; n < op->cols; n++) values[n] = table[x[n] - least];
    rescale_sums(&rest, 1, values, (int8_t *)out + (size_t)r * bytes, scale ? scale + r : NULL, scratch);
  }
}
